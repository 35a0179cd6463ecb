# The texts of the pages. Keys are shared with the other languages; a test compares them.

## Frame
skip = Skip to content
skip-form = Skip to the form
menu = Menu
nav-main = Main
nav-path = Path
nav-money = Money
nav-cloud = Cloud
nav-metering = Usage
nav-ledger = Ledger
nav-operation = Operation
nav-home = Overview
nav-invoices = Invoices
nav-review = Month review
nav-prices = Prices
nav-journal = Journal
nav-balance = Trial balance
nav-instances = Instances
nav-computers = Computers
nav-catalogue = Catalogue
nav-usage = Usage events
nav-log = Log
nav-projections = Projections
nav-credentials = Credentials
mode-demo = demo
mode-proxy = proxy
mode-serve = server
colours = Colours
theme-auto = Auto
theme-light = Light
theme-dark = Dark
keep = Keep
local-only = Open on this machine only: no sign-in
sign-out = Sign out
as-of-told = As it was at sequence { $sequence }, { $time }. Nothing can be changed here.
as-of-now = Show it as it is now
read-at = Read at sequence { $sequence }, { $time }
times = Times: { $zone }
times-buyer = Times: { $zone } (buyer)
same-as-json = The same as JSON
none = none
to-home = To the overview
refused = This was not done

## Sign-in
sign-in = Sign in
sign-in-to = Sign in to Slapledger
sign-in-hint = The session ends when the token does.
sign-in-ask = Ask an admin for a token:
sign-in-certificate = A browser with a client certificate of this server needs no token.
token = Token

## Problems
status-400 = The request is wrong
status-401 = Sign in first
status-403 = Not permitted
status-404 = Nothing here
status-405 = Not possible here
status-406 = No such form
status-409 = Not possible now
status-412 = Modified concurrently
status-413 = Too large
status-429 = Too many requests
status-500 = A fault of the server
status-503 = Not available now
status-507 = No space left

## States
state-draft = Draft
state-final = Final
state-open = open
state-partly-credited = partly credited
state-credited = credited
state-void = void
state-paid = paid
state-held = Held
state-overdue = Overdue
state-requested = Requested
state-started = Started
state-stopped = Stopped
state-destroyed = Destroyed
state-ended = Ended
state-unplaced = Without a place
state-silent = Silent
state-current = Current
state-missing = Missing
state-suspended = Suspended
state-accepted = Accepted
state-duplicate = Duplicate
state-rejected = Rejected
state-retired = Retired
state-withdrawn = Withdrawn
state-free = Free
state-busy = Busy
state-lost = Lost
state-error = Error
state-ok = In order

## Words of the ledger
resource-cpu-load-percent = CPU load
resource-memory-used = Memory used
resource-disk-used = Disk used
resource-requests = Requests
resource-zero-emission-ratio = Zero-emission ratio
unit-percent-hour = percent-hours
unit-mib-hour = MiB-hours
unit-request = requests
unit-month = months
unit-day = days
unit-hour = hours
fee-month = Monthly fee
fee-day = Daily fee
fee-hour = Hourly fee
fee-year = Yearly fee
line-kind-one-off = One-off charge
line-kind-percentage = Percentage
line-kind-minimum = Minimum
line-kind-discount = Discount
line-kind-maximum = Maximum
line-kind-adjustment = Adjustment
line-kind-credit = Credit
line-kind-on-change = Fee for a change
instance-type-production = production
instance-type-testing = testing
rounding-half-up = rounded half up
rounding-half-even = rounded half even
reason-not-a-number = not a number
reason-unknown-subject = unknown partition

## Invoice
invoice-to-invoice = Invoice to { $buyer } for { $period }
invoice-to-credit_note = Credit note to { $buyer } for { $period }
total-in = Total, { $currency }
due-on = Due { $amount } on { $date }
since-event = since { $date }, event { $event }
draft-of = draft of { $run }
state = State
period = Period
lines = Lines
line = Line
for-instances = { $count ->
    [0] for no instance
    [one] for one instance
   *[other] for { $count } instances
 }
events = Events behind it
events-short = Events
event = Event
sequences = sequences { $first } to { $last }
warnings = Warnings
subtotal-of = Subtotal of { $tree }
subtotal-of-all = Subtotal of all instances together
made-of = What it is made of
part = Part
share = Share
bar = Bar
document = Document
seller = Seller
buyer = Buyer
run = Run
run-cut-off = { $run }, cut-off at sequence { $sequence }
price-book = Price book
book-version = { $name }, version { $version }
cites = About
later-documents = Later documents
follow-amount = Follow an amount to see how it was calculated
number = Number
number-short = No.
what = What
quantity = Quantity
unit = Unit
price = Price
price-in = Price, { $currency }
amount-in = Amount, { $currency }
in-steps = in steps
on-place = on { $computer } { $partition }
explain = Explain
net = Net
tax-of = Tax, category { $category }, { $rate } %
prepaid = Paid from prepaid credit

## A line, unfolded
no-explanation = There is no line of this number.
exact = exact
price-rate = Rate { $number } of price book { $name }, version { $version }. It counts from { $from } and was published as event { $event }.
price-each = Each unit costs { $price } { $currency }.
seconds = Seconds
of-seconds = Of seconds
sum-of-shares = Sum of the shares
sum = Sum
level-sum = { $seconds } seconds times level, divided by 3,600: { $quantity } { $unit }.
counter-sum = The sum of what was reported: { $quantity } { $unit }.
as-table = The same as a table
day = Day
hour = Hour
level-seconds = Seconds times level
chart-days = By day, { $unit }. The lowest day is { $low } with { $least }, the highest { $high } with { $most }.
chart-hours = { $day } by hour
taken-back = Line { $line } of { $invoice } charged { $charged }; { $left } of it is left.
adjusted = { $run } charged { $charged } as of sequence { $then }. By now it would be { $now }.
by-hand = Somebody recorded this amount.
allocation = Allocation
is-on = { $instance }, { $title }, has been on { $computer } { $partition } since { $start } (event { $began }).
was-on = { $instance }, { $title }, was on { $computer } { $partition } from { $start } (event { $began }) until { $stop } (event { $ended }).
events-behind = { $count ->
    [one] One event, sequence { $first }.
   *[other] { $count } events, sequences { $first } to { $last }.
 }
sequence = Sequence
recorded = Recorded
reported-period = Reported period
value = Value
counted-from = counted from { $time }
counted-until = counted until { $time }
more-events = { $count ->
    [one] One more event
   *[other] { $count } more events
 }
digest = Digest of the { $count } events
rounding-tax = Rounding and tax
rounding-none = Nothing was rounded.
rounding-added = Rounding added { $residue } { $currency }.
check = Check
identical = Identical
rated-again = Rated again as of sequence { $sequence }, the cut-off of the run: same amount, same events.
not-rated-again = Told from the line alone
differs-now = It would be { $amount } by now, { $difference } { $currency }
nothing-since = No later event changes this line.

## Lists
tab-all = All
tab-draft = Drafts
tab-open = Open
tab-paid = Paid
tab-credited = Credited
tab-void = Void
month = Month
customer = Customer
apply = Apply
clear = Clear
any = Any
next = Next page
shown = { $count ->
    [one] One shown
   *[other] { $count } shown
 }
show = Show
issued = Issued
due = Due
total = Total
unpaid = Unpaid
invoices-lede = Final documents never change. A credit note corrects what was wrong.
of-customer = Documents of { $name }
no-invoices = There are no invoices here.
no-invoices-yet = An invoice run makes drafts of them when a month is over.
no-match = Nothing fits these filters.

## Overview
home-lede = Every amount leads to the usage behind it.
invoiced-in = Invoiced, { $currency }
drafted-in = Not yet invoiced, { $currency }
month-in = { $month }, { $currency }
documents = { $count ->
    [one] One document
   *[other] { $count } documents
 }
not-invoiced = not invoiced
not-invoiced-short = Not invoiced
invoiced = invoiced
change = Change
unpaid-in = Unpaid, { $currency }
of-this-month = of this month
nothing-in-month = Nothing was charged for { $month }.
nothing-in-month-yet = Amounts appear as soon as a price applies to an instance or to usage.
what-is-wrong = What is wrong
findings = { $count ->
    [0] Nothing found
    [one] One finding
   *[other] { $count } findings, the most urgent first
 }
finding-silent = { $count ->
    [one] One computer has reported nothing since { $since }.
   *[other] { $count } computers have reported nothing since { $since }.
 }
finding-silent-then = The usage of what runs there is missing, and a run would warn of it.
open-computers = Open computers
finding-missing = { $computer } never sent { $resources } from { $start } to { $stop }.
finding-missing-then = { $instances }: { $hours } hours are not charged.
finding-suspended = { $count ->
    [one] One usage event of { $computers } is not charged: { $reasons }.
   *[other] { $count } usage events of { $computers } are not charged: { $reasons }.
 }
finding-suspended-then = They are in the log, and wait for somebody to correct or dismiss them.
decide = Decide
finding-unbilled = { $count ->
    [one] { $month } was never invoiced to one customer:
   *[other] { $month } was never invoiced to { $count } customers:
 }
finding-unbilled-then = An invoice run of that month would draft it.
nothing-wrong = Nothing is wrong.
by-growth = Customers by growth, { $currency }

## Usage events
usage-lede = What computers reported that is not charged, and what they never sent.
to-decide = To decide
reason = Reason
reason-future = in the future
reason-title-not-a-number = The quantity is not a number
reason-title-unknown-subject = The computer has no such partition
reason-title-future = The period ends after the report came
computer = Computer
instance = Instance
resource = Resource
missing-in = Missing usage in
outcome = Outcome
received = Received
source-subject = Source and subject
suspended-note = They are in the log and not charged.
suspended-event = Event { $sequence } is in the log and is not charged. To blame is
identity = Identity
would-be-charged = Would be charged to
hours-around = The hours around it
suggested-dismiss = Suggested: dismiss
dismiss = Dismiss
again-reported = { $events ->
    [one] The same hour was reported again, with { $value }. Resolving this event too would charge the hour twice.
   *[other] The same hour was reported again by { $events } events, with { $value }. Resolving this event too would charge the hour twice.
 }
dismiss-hint = A dismissed event stays in the log and is never charged.
reason-kept = Reason, kept in the log
reason-again = the same hour was reported again
resolve-instead = Correct and charge it instead
resolve = Resolve
subject = Partition or instance
from-utc = From, UTC
until-utc = Until, UTC
no-suspended = No usage waits for a decision.
no-suspended-then = Whatever cannot be charged as it was reported appears here.
missing-in-month = Missing in { $month }
no-gaps = No usage is missing.
hours = Hours
gap-silent-computer = everything
done-usage-dismissed = The event was dismissed.
done-usage-resolved = The event was corrected, and is charged.

## Instances
instances-lede = Each customer is a branch, each requested service a leaf.
request-instance = Request an instance
tab-instance-wrong = Wrong
tab-instance-started = Started
tab-instance-stopped = Stopped
tab-instance-ended = Ended
tab-instance-all = All
name-or-number = Name or number
customer-and-instance = Customer and instance
software = Software
type = Type
place = Place
since = Since
instances-in-tree = In its tree
reported-state = reported: { $state }
state-none = nothing yet
no-instances = There are no instances here.
no-instances-yet = Request one: it starts as soon as a partition is free.
software-release = Software release
name = Name
parameters-json = Parameters, as JSON
request = Request
destroy-title = Destroy this instance?
destroy-what = { $count ->
    [one] It ends, and its data with it.
   *[other] It and all { $count } instances of its tree end, and their data with them.
 }
destroy-then = Its fee ends when its computer reports that it is gone. Usage until then is charged.
destroy = Destroy
keep-it = Keep it
rename = Rename
cancel = Cancel
stop = Stop
start = Start
cost-of = Cost of { $month }
details = Details
requester = Requester
requested-at = Requested
reported-at = Reported
rules-of-place = Rules about the place
parameters = Parameters
connection = Connection
show-connection = Show connection parameters
hidden-until-asked = Hidden until you ask.
levels-times-hours = A level is shown as level times hours.
no-usage = No usage was reported.
in-this-tree = In this tree
done-instance-requested = The instance was requested.
done-instance-changed = The change was requested.
done-instance-renamed = The instance was renamed.
done-instance-destroyed = Its destruction was requested.

## Computers
computers-lede = Machines that offer partitions, the silent ones first.
silent-count = { $count ->
    [0] none is silent
    [one] one is silent
   *[other] { $count } are silent
 }
partitions = Partitions
partitions-busy = Partitions taken
partitions-free = Free
partitions-lost = Lost
of-partitions = { $busy } of { $all }
address = Address
registered = Registered
partition = Partition
user = User
no-computers = There are no computers.
no-computers-yet = Register one:

## Other lists
nav-parties = Parties
nav-accounts = Accounts
log-lede = Every event in its order. Values that are sealed show their key and digest.
projections-lede = Everything that can be read is derived from the log, and can be derived again.
credentials-lede = Who has access, as what, and until when.
review-lede = Invoice runs: one period of one seller, from draft to final.
parties-lede = Who requests, sells and pays.
accounts-lede = The accounts of the books, with their balances.
balance-lede = All accounts that are not empty. Debits equal credits.
journal-lede = Balanced transactions, each from one event.
prices-lede = Price books. A published version never changes.
stream = Stream
actor = Actor
view = View
position = Position
bytes = Bytes
digest-short = Digest
holder = Holder
roles = Roles
label = Label
expires = Expires
revoked = Revoked
from = From
until = Until
cut-off = Cut-off
opened = Opened
documents-title = Documents
time-zone = Time zone
account = Account
kind = Kind
currency = Currency
balance = Balance
debits = Debits
credits = Credits
balanced = Balanced
debit = Debit
credit-side = Credit
event-of = event { $event }
nothing-listed = There is nothing here yet.
account-kind-asset = asset
account-kind-income = income
account-kind-liability = liability
account-kind-expense = expense
book-since = Counts from { $from }, published as event { $event }
for-instances-that = For instances that are
rate-kind-recurring = fee
rate-kind-per-unit = for each unit
rate-kind-graduated = in steps, each at its price
rate-kind-volume = all at the price of the last step
rate-kind-percentage = share of other lines
rate-kind-minimum = at least
rate-kind-discount = discount
rate-kind-maximum = at most
state-active = Active
state-expired = Expired
state-revoked = Revoked
state-spent = Used
ended = Ended
match-instance-type = type
match-software-release = software release
match-software-type = software type
match-computer = computer
match-region = region
match-customer = customer

## Catalogue
catalogue-lede = What was said of software and hosts, and what this log shows since.
catalogue-empty = The catalogue is empty.
catalogue-empty-then = Fill it from a file of tables:
catalogue-rule = The log advances a software: supplied to a computer is supported, requested as testing is tested, started is used, usage on a final invoice is in production.
catalogue-storage = Storage
catalogue-platform = Platforms
catalogue-host = Hosts
catalogue-story = Success stories
catalogue-said = As said
catalogue-shown = Shown by this log
catalogue-instances = { $count ->
    [0] no instance
    [one] one instance
   *[other] { $count } instances
 }
catalogue-ticks = The document gives the ticks of a row without their columns, so only their number is kept: guest recipe, planned, supported, tested, used; host supported, used.
tables = Tables
stage = Stage
stage-considered = considered
stage-planned = planned
stage-supported = supported
stage-tested = tested
stage-used = used
stage-production = in production
host = Host
recipe = Recipe
ticks = Ticks of 7
user-of-story = User
market = Market
application = Application
stack = Stack
now = Now

## Overview of a customer
draft-in = Draft of this month, { $currency }
forecast-in = Forecast to its end, { $currency }
forecast-rule = fees as drafted, usage at the pace so far, without tax
prepaid-left = Prepaid credit left, { $currency }
draft-made-of = What the draft is made of
so-far-in = So far, { $currency }
all-instances = All instances
other-customers = { $count ->
    [one] One other customer
   *[other] { $count } other customers
 }

## Usage of an instance
usage = Usage
by-hour = Hour
by-day = Day
by-month = Month
earlier = Earlier
later = Later
usage-caption = { $resource }, { $unit }: { $sum } in all
destroy-cost = For { $month } it comes to { $amount } { $currency } so far, which stays charged.
what-it-costs = What it costs

## Prices, tokens and operation
publish-prices = Publish a price book
price-book-text = Price book, as TOML
preview = Preview
publish = Publish
compare = Compare
what-if = Other prices on past usage
what-if-lede = { $period }, compared with { $against }.
nothing-recorded = Nothing is recorded.
by-published = By published prices
by-these = By these prices
price-preview = What publishing would do
before = Before
after = After
differs-from = Compared with version { $version }
first-version = It would be the first version.
no-change = No price changes.
touched-documents = Invoices whose period it touches
touches = { $count ->
    [one] It takes effect in the period of one invoice.
   *[other] It takes effect in the periods of { $count } invoices.
 }
touches-then = Publishing it needs your consent. Later invoices adjust what these charged.
touches-none = It touches no period that is invoiced.
retroactive = It may take effect in periods that are invoiced
versions = Versions
version = Version { $version }
rates = Rates
rate-change-same = unchanged
rate-change-new = new
rate-change-gone = gone
done-prices-published = The price book was published.
issue-token = Issue a token
issue = Issue
holder-hint = A party such as PARTY-2, or the name of an operator. Yourself, if you leave it empty.
role-admin = admin
role-auditor = auditor
role-customer = customer
role-provider = provider
role-publisher = publisher
token-issued = The token was issued
token-once = This is the only time that you see it.
token-once-then = Copy it now. The server keeps a digest of it, and cannot show it again.
token-kept = I have copied it
credential-kind-token = token
credential-kind-certificate = certificate
issued-by = Issued by
project = Project
all-projects = all projects
revoke-credential = Revoke this credential
revoke-then = Whoever has it is refused from now on. It cannot be undone.
revoke-all = Revoke all other credentials of its holder too
revoke = Revoke
done-credential-revoked = The credential was revoked.
nav-operation-page = Operation
operation-lede = How the server is: faults first.
faults = Faults
view-lags = The view { $view } is { $lag } events behind the log.
writer = Writer
term = term { $term }
last-event = Last event
on-disk = On disk
epochs = { $count ->
    [one] one epoch
   *[other] { $count } epochs
 }
clock = Clock
views = Views
lag = Lag
snapshot = Snapshot
rebuild = Rebuild
rebuilding = Rebuilding
rebuild-note = A rebuild derives a view again from the first event, beside the one in use, and compares both. If they are equal, the new generation is used, and the previous one is kept for a while.
shipping = Copies of sealed epochs
copied-to = Copied to
copied = Copied
waiting = Waiting
expiring = Credentials that expire within 30 days
none-expiring = None expires soon.
projects = Projects

## A request by a form
request-lede = Choose a software. If its provider has described its parameters, the form asks for each.
request-by-form = By a form
instance-purpose = Purpose
no-parameters = This software takes no parameters.
no-schema = Nobody has described the parameters of this software.
yes = yes
no = no

## More words
state-failed = Failed
state-approved = Approved
line-kind-advance = Fee in advance

## Computers in time
last-days = The last 31 days
lane-name = { $count ->
    [0] { $computer } was never silent
    [one] { $computer } was silent once
   *[other] { $computer } was silent { $count } times
 }
silent-from = Silent from
silent-until = Until
never-silent = It was never silent.
state-available = Available
state-building = Being built

## What was refused
refused-invalid = A value does not fit
refused-unknown-field = A field is not known
refused-precondition-failed = Somebody changed it meanwhile: look at it again, and repeat the change
refused-modified-concurrently = Somebody changed it meanwhile: look at it again, and repeat the change
refused-name-taken = The name is taken
refused-no-free-partition = No partition is free
refused-quota-exceeded = There are too many already
refused-party-unknown = There is no such party
refused-holder-unknown = There is no such holder
refused-instance-unknown = There is no such instance
refused-instance-destroyed = The instance is destroyed
refused-price-book-unknown = There is no such price book
refused-already-invoiced = It takes effect in a period that is invoiced
refused-period-invoiced-by-prices = It takes effect in a period that is invoiced: consent to that, or choose a later start
refused-currency-fixed = The currency of a price book never changes
refused-usage-not-suspended = Nobody has to decide about this event any more
refused-usage-unmeterable = With these values it cannot be charged either
refused-forbidden = Your roles do not permit this
refused-conflict = The state of the ledger does not allow it
refused-idempotency-key-reused = This form was sent before: load the page again
refused-rebuild-under-way = A rebuild is under way already
refused-generation-unconfirmed = The previous generation differs, and nobody confirmed that
refused-no-such-generation = There is no such generation any more
refused-overloaded = The server is busy: repeat it in a moment

## Live
live = Live
live-off = Not live since %
live-waiting = % new

## Receipts
received-events = What became of each event
received-last = Usage events that came last
received-since = since { $time }
what-next = What to do next
no-computer = no known computer
no-receipts = No usage event has come since the program started.
no-receipts-yet = Events appear here as they are reported, accepted or not.
receipts-note = The numbers are exact since the program started. Of each computer and outcome the last 1,000 are kept to look at; duplicates and rejected events are not in the log.
older = Older
outcome-all = All
outcome-accepted = Accepted
outcome-duplicate = Duplicate
outcome-suspended = Suspended
outcome-rejected = Rejected
receipt-next-accepted = nothing: it is metered
receipt-next-duplicate = nothing: it was recorded when it came first
receipt-next-suspended = resolve or dismiss it
receipt-next-rejected = correct the member at the sender, and send it again
receipt-next-conflict = send it under an id of its own, or as a correction (replaces)

## Month review
nav-revenue = Revenue
review-of = Review of { $what }
review-run = { $run } ({ $state }) has { $count ->
    [one] one document
   *[other] { $count } documents
} made from everything known at sequence { $sequence }.
run-open = Open a run
run-refresh = Refresh drafts
run-withdraw = Withdraw
run-finalise = Finalise { $count }
withdraw-what = Withdraw this run and its { $count } documents?
withdraw-then = Its drafts are discarded. Nothing was charged by them, and the period can be invoiced by another run.
finalise-what = Finalise { $count } drafts?
finalise-then = They become numbered invoices that never change. { $undecided } of them were not reviewed. { $held } are held and stay drafts.
drafts-in = Documents, { $currency }
issued-count = { $count } final
importance-blocks = Blocks
importance-not-charged = Not charged
importance-may-be-missing = May be missing
drafts-by-rank = Drafts, the most unusual first
compare-months = Compare months
true-of-all = True of every draft:
unusual = What is unusual
decision = Decision
nothing-unusual = Nothing unusual
finding-missing-usage = { $hours } h without { $resources } on { $computer }
finding-suspended-usage = { $count } reports are not charged
finding-late-usage = { $count } reports came after the drafts were made
finding-adjustment = { $count } lines adjust earlier documents
finding-zero = { $count } lines of 0.00
unusual-missing-usage = Missing usage
unusual-suspended-usage = Suspended usage
unusual-warning = Warning
unusual-change = Unusual change
unusual-first-invoice = First invoice
unusual-late-usage = Late usage
unusual-adjustment = Adjustments
unusual-ended-instance = Instance ended
unusual-zero = Amounts of zero
reason-for-others = Reason, shown to other reviewers
approve = Approve
hold = Hold
finalise-one = Finalise
rank-rule = Order: missing or suspended usage and warnings, a change of a fifth or more against the month before, a first invoice, late usage and adjustments, ended instances, amounts of zero.
no-drafts = This run has no drafts.
done-draft-approved = The draft was approved.
done-draft-held = The draft is held.
done-draft-finalised = The draft is a final invoice now.
done-run-opened = The run was opened.
done-run-refreshed = The drafts were made again.
done-run-withdrawn = The run was withdrawn.
done-run-finalised = The drafts are final invoices now, but for those that are held.

## Revenue
revenue-lede = What final documents come to, without tax, in six months.
revenue-by = Revenue by
revenue-by-customer = Customer
revenue-by-software = Software
revenue-by-computer = Computer
revenue-in = Revenue, { $currency }
revenue-other = about no instance
revenue-left = { $count } more are not shown.
no-revenue = No document of these months.
chart-revenue = Revenue by month, { $currency }
months-compared = { $before } and { $after } compared
comparison-note = Drafts are included here.

## Log and books
log-head = Head
log-head-note = the last event
log-root = Root
log-signed-by = Signed by
log-checkpoint = Signed checkpoint
log-checkpoint-download = Download the checkpoint
log-root-rule = Two copies of the log with the same root at the same size have the same events, byte for byte.
log-unsigned = This server signs no checkpoints: it was started without a key of the log.
log-seek = Go to an event
recorded-from = Recorded from
recorded-until = Recorded before
stream-version = Stream and version
log-open-place = Open { $stream }
log-as-of = The cloud as of this event
log-link = Link to this event
log-proof = Inclusion proof
log-names-documents = Names documents
log-names-events = Names events
log-more-events = and { $count } more
log-sealed = Sealed values show their key and digest. The digest of the command proves which request caused the event.
log-none-yet = No event so far fits these filters.
log-look-further = Look further
balance-at = Before the day
balance-before = Books of { $seller }: all that is dated before { $time }.
balance-all = Books of { $seller }: all that was ever posted.
not-balanced = Not balanced
export-for = Export for { $program }
dated-from = Dated from
dated-before = Dated before
journal-kind-invoice = invoice
journal-kind-credit-note = credit note
journal-kind-credit-granted = credit granted
journal-kind-credit-withdrawn = credit withdrawn
journal-kind-credit-expired = credit expired
journal-kind-closing = closing
statement-lede = Account of the books of { $seller }: { $kind }, { $currency }. A debit is above zero, a credit below.
opening-balance = Opening balance
closing-balance = Closing balance
from-the-first = from the first event
to-the-last = up to the last event
before-time = before { $time }
cited-lines = { $count ->
    [one] line { $lines }
   *[other] lines { $lines }
 }
in-the-log = In the log
event-number = event { $number }
all-of-stream = all of its events
account-kind-equity = equity

## Counts and operation
gap-all = anything
and-more = and { $count } more
finding-error = { $count ->
    [one] Something on one computer is in error: { $computers }.
   *[other] Something on { $count } computers is in error: { $computers }.
 }
finding-error-then = An instance or a release reports it. Its computer may get no other instances.
finding-hours = { $hours } hours have no usage.
finding-reports = { $count } reports of { $computer } never came, from { $start } to { $stop }.
finding-reports-then = The computer counts its reports; the numbers between are missing.
finding-missing-left = { $count ->
    [one] Usage of one more computer is missing.
   *[other] Usage of { $count } more computers is missing.
 }
lane-errors = { $count ->
    [0] nothing on it was in error
    [one] something on it was in error once
   *[other] something on it was in error { $count } times
 }
lane-heard = heard
lane-silent = silent
lane-error = an instance or a release in error
error-from = In error from
error-most = At a time
never-in-error = Nothing on it was in error.
tab-computer-all = All
tab-computer-silent = Silent
tab-computer-error = In error
tab-computer-current = Current
tab-computer-requested = Requested
tab-computer-retired = Retired
queue = Queue of the writer
queue-most = { $count } may wait
greatest-lag = Greatest lag
lag-of-views = events, of { $count } views
disk-free = Free on the disk
disk-of = of { $total }, { $reserve } kept free
since-snapshot = Events since
more-expiring = The first { $count } are shown.
project-title = Name of a new project
project-open = Open a project
done-project-opened = The project was opened.
rebuilt = The view was rebuilt
rebuilt-lede = Derived again from the first event to sequence { $sequence }, and compared with what was in use.
rebuilt-then = The new generation is in use now. The previous one is kept for a while, and can be used again.
rebuilt-waits = The new generation waits, and the previous one is in use. A difference means that what is in use does not follow from the log: tell those who maintain the program.
rebuilding-lede = The view is derived again while the one in use answers. The page of operation shows how far it is.
rebuild-failed = The last rebuild failed
row-table = Table
row-key = Row
row-change-added = In the new generation alone
row-change-removed = Missing in the new generation
row-change-changed = Different
generation-building = Being derived
generation-comparing = Being compared
generation-ready = Waits for its swap
generation-swapping = Taking its place
generation-previous = Previous generation kept
generation-rate = { $rate } events/s
generation-left = { $seconds } s left
generation-kept = kept for { $seconds } s
generation-differs = { $count ->
    [one] One row differs
   *[other] { $count } rows differ
 }
rebuild-change-cancel = Cancel
rebuild-change-swap = Use the new one
rebuild-change-confirm = Confirm
rebuild-change-swap-back = Use the previous one
done-rebuild-cancelled = The rebuild was cancelled.
done-rebuild-swapped = The new generation is in use.
done-rebuild-confirmed = The previous generation was discarded.
done-rebuild-swapped-back = The previous generation is in use again.
projection = Projection
compared = Compared
digest-before = Digest before
digest-now = Digest now
different = Different

## Start
last-invoiced = Last invoiced: { $month }

## Bounds
finding-missing-unseen = { $count ->
    [one] Missing usage of one computer was not counted here.
   *[other] Missing usage of { $count } computers was not counted here.
 }

## Cut lists
drafts-cut = The first 20 customers with a draft are in these sums.
balance-left = { $count } more accounts are in the sums.
