"""From the log to the documents of invoice runs (docs/invoices.md): what a run adds to the lines of a period.

Advances and their settlement, adjustments of earlier periods, one-off charges, tax, prepaid credit. `Books` plays the runs in
the order in which they were opened, and keeps what was charged by final ones.
"""

import collections
import dataclasses
from fractions import Fraction

from facts import Facts
from lines import Line
from rating import Rating, number_of_override, version_at, with_overrides
from taxes import TaxCuts, nets, product_of, split, subtotals, tax_of
from wallet import Wallet
from zones import instant

ADJUSTED = ("recurring", "usage", "percentage", "minimum", "discount", "maximum")


@dataclasses.dataclass
class Document:
    """What the oracle says one invoice is. A credit note has `turned` set: its amounts are shown turned round."""

    run: str
    customer: str
    currency: str
    start: int
    stop: int
    lines: list
    book: str = ""
    opened: int = 0
    id: str | None = None
    issued: int = 0
    prepaid: list = dataclasses.field(default_factory=list)  # (credit, amount)
    charges: list = dataclasses.field(default_factory=list)
    inclusive: bool = False  # whether amounts contain tax

    @property
    def net(self):
        return sum((base for base, _ in self.tax.values()), Fraction(0))

    @property
    def tax(self):
        return subtotals(self.lines, self.currency, self.inclusive)

    @property
    def nets(self):
        return nets(self.lines, self.currency, self.inclusive)

    @property
    def is_nothing(self):
        return not self.total and not any(line.amount for line in self.lines)

    @property
    def total(self):
        return self.net + sum((tax for _, tax in self.tax.values()), Fraction(0))

    @property
    def turned(self):
        return self.total < 0

    @property
    def due(self):
        used = sum((amount for _, amount in self.prepaid), Fraction(0))
        return self.total + used if self.turned else self.total - used


def bounds(run, calendar):
    """The period of a run for somebody."""
    return tuple(calendar.bound(run["period"][end]) for end in ("start", "stop"))


class Books:
    """Runs one after the other; `books` maps names to versions as served, `events` is the whole log."""

    def __init__(self, events, books, overrides=None):
        self.events, self.books, self.overrides = events, books, overrides or {}
        self.runs = {}  # final ones
        self.final = []  # documents of final runs, in order
        self.given_back = collections.defaultdict(Fraction)  # (document, line) -> credited
        self.taken = collections.defaultdict(Fraction)  # (document, line) -> settled, adjusted or corrected by later lines
        self.corrected = collections.defaultdict(Fraction)  # (document, line) -> what of that charges by hand took
        self.takes = {}  # (document, line) -> the line that it takes something of
        self.sources = {}  # document of a run -> the invoices of which it gives lines back, then those of theirs
        self.by_hand = {}  # of the document being worked out: (document, line) -> amount and residue that its charges take
        self.adds = {}  # (document, line) -> the line for which it charges more
        self.residue_gone = collections.defaultdict(Fraction)  # (document, line) -> what of its residue went with parts of it
        self.void = set()  # documents of which everything was given back
        self.voided = {}  # at which event that happened
        self.charged = set()  # one-off charges that were invoiced
        self.passed_over = set()  # run and customer, where another run had invoiced some of the time
        self.due = {}  # document -> what is left to be paid
        self.taxed = collections.defaultdict(Fraction)  # (document, category and rate) -> tax that was given back
        self.wallet = Wallet(events)

    def versions(self, name, cut_off):
        return [{**book, "valid_from_at": instant(book["valid_from"])} for book in self.books[name]
                if book["sequence"] <= cut_off]

    def own_versions(self, versions, name, customer, cut_off):
        """The versions of a book as a customer has them: with the overrides that were known at a cut-off."""
        known = {}
        for event in self.events:
            data = event["data"]
            if event["sequence"] > cut_off or not event["type"].startswith("PriceOverride"):
                continue
            if event["type"] == "PriceOverrideSet" and (data["price_book"], data["customer"]) == (name, customer):
                stop = instant(data["valid_until"]) if data.get("valid_until") else 10**18
                known[data["override"]] = [instant(data["valid_from"]), stop]
            elif event["type"] == "PriceOverrideEnded" and data["override"] in known:
                known[data["override"]][1] = instant(data["valid_until"])
        own = [(*times, number_of_override(one), self.overrides[one]) for one, times in known.items() if times[0] < times[1]]
        return with_overrides(versions, own)

    def documents(self, run):
        """What a run invoices, by customer."""
        facts = Facts(self.events, run["cut_off"])
        found = {}
        versions = self.versions(run["price_book"], run["cut_off"])
        currency = versions[0]["currency"] if versions else None
        for customer in sorted(facts.calendars, key=lambda party: int(party.rsplit("-", 1)[1])):
            calendar = facts.calendars[customer]
            start, stop = bounds(run, calendar)
            if run.get("payers") and customer not in run["payers"]:
                self.passed_over.add((run["id"], customer))
                continue
            document = Document(run["id"], customer, currency, start, stop, [], run["price_book"], instant(run["opened_at"]),
                                inclusive=bool(versions) and versions[0].get("tax") == "inclusive")
            if self.standing(document, start, stop):
                self.passed_over.add((run["id"], customer))
                continue
            own = self.own_versions(versions, run["price_book"], customer, run["cut_off"])
            self._fill(document, facts, own, run)
            last = version_at(versions, stop - 1)
            skip = last and last.get("zero_invoices") == "skip" and document.is_nothing
            if document.lines and not skip:
                found[customer] = document
        return found

    def _fill(self, document, facts, versions, run):
        def tax(line):
            return tax_of(facts, run["seller"], document.customer, line.stop, product_of(facts, line))

        cuts = TaxCuts(facts, run["seller"], document.customer, run["cut_off"])
        rating = Rating(facts, document.customer, versions, document.start, document.stop, tax,
                        self.discounted(document, run["cut_off"]), cuts)
        self.by_hand = {}
        charges = self._one_off(document, facts, run)  # what they take of earlier lines is gone when these are settled
        priced = list(rating.lines())
        for line in priced:
            line.tax = line.tax or tax(line)
        ordinary, settled = self._settle(priced, document)
        advance = list(rating.in_advance())
        lines = ordinary + advance
        for line in advance:
            line.tax = tax(line)
        document.lines = lines + settled + self._of_void(document) + self._adjust(document, facts, run) + charges
        self.by_hand = {}

    def _settle(self, lines, document):
        """Of each instance, fees of rates in advance against what was charged for them: both, or neither if they are equal for
        each tax."""
        charged = collections.defaultdict(list)
        for earlier in self.final:
            if (earlier.customer, earlier.book) == (document.customer, document.book) and not self.is_void(earlier):
                for line in earlier.lines:
                    if line.kind == "advance" and document.start <= line.start < document.stop:
                        charged[line.instance].append((earlier, line))
        costs = collections.defaultdict(list)
        for line in lines:
            if line.when == "advance":
                costs[line.instance].append(line)
        dropped, settled = set(), []
        for key in {**charged, **costs}:
            entries = charged[key]
            difference = collections.defaultdict(Fraction)
            for earlier, line in entries:
                difference[line.tax] -= self.left_of(earlier, line)
            for line in costs[key]:
                difference[line.tax] += line.amount
            if not any(difference.values()):
                dropped.update(id(line) for line in costs[key])
                continue
            settled += [self.reversed(earlier, line, "settled") for earlier, line in entries if self.left_of(earlier, line)]
        return [line for line in lines if id(line) not in dropped], settled

    def reversed(self, document, line, kind):
        """What takes back all that remains of a line, and with it what remains of its residue."""
        left, residue = self.left_of(document, line), self.residue_of(document, line)
        whole = (left, residue) == (line.amount, line.residue)
        return dataclasses.replace(line, kind=kind, amount=-left, exact=residue - left, quantity=-line.quantity,
                                   unit_price=line.unit_price if whole else None, cites=(document.id, line.n), corrects=None,
                                   n=None)

    def _of_void(self, document):
        """What is still charged of void documents: by their own lines, if what had taken of them is void itself, by lines that
        adjusted more, and by charges that corrected them."""
        found = {}
        mine = [one for one in self.final if (one.customer, one.currency) == (document.customer, document.currency)]
        lines = [(one, line) for one in mine for line in one.lines]
        for void in (one for one in mine if self.is_void(one)):
            about = [(void, line) for line in void.lines]
            about += [(one, line) for one, line in lines
                      if line.kind == "adjustment" and line.about[0] == void.run and not self.is_void(one)]
            for one, line in about:
                about += [later for later in lines
                          if later[1].corrects == (one.id, line.n) and later not in about]
                if (one.id, line.n) not in self.takes and self.left_of(one, line):
                    found[one.id, line.n] = dataclasses.replace(
                        self.reversed(one, line, "adjustment"), steps=(), unit_price=None, about=(None, (None,)))
        return [found[key] for key in sorted(found)]

    def _adjust(self, document, facts, run):
        """Earlier periods rated again with the versions of then and the usage of now."""
        found = []
        for name, earlier in self.runs.items():
            calendar = facts.calendars[document.customer]
            start, stop = bounds(earlier, calendar)
            if earlier["price_book"] != document.book or start < document.stop and document.start < stop:
                continue  # what this document is about itself
            if (name, document.customer) in self.passed_over:
                continue  # it says nothing of them
            own = self.document_of(earlier, document.customer)
            if own and self.is_void(own):
                continue  # it is invoiced again
            if own is None and self.told_by_another(document, earlier, calendar):
                continue
            versions = self.versions(document.book, earlier["cut_off"])
            versions = self.own_versions(versions, document.book, document.customer, earlier["cut_off"])
            then = {line.identity: line for line in (own.lines if own else [])
                    if line.kind in ADJUSTED and line.when == "arrears"}
            discounted = self.discounted(document, earlier["cut_off"])
            tax = self.taxes_charged(document, facts, run, name, then)
            cuts = TaxCuts(facts, run["seller"], document.customer, earlier["cut_off"])
            rating = Rating(facts, document.customer, versions, start, stop, tax, discounted, cuts)
            now = {line.identity: line for line in rating.rated() if line.when == "arrears"}
            found += self._differences(document, facts, run, earlier["cut_off"], name, own, now, then)
        return found

    def discounted(self, document, cut_off):
        """How many invoices of a customer stood at a cut-off that have each discount of the book."""
        found = collections.Counter()
        for one in self.final:
            if (one.customer, one.book) == (document.customer, document.book) and not one.turned and one.issued <= cut_off \
                    and self.voided.get(one.id, cut_off + 1) > cut_off:
                found.update({line.item or "" for line in one.lines if line.kind == "discount"})
        return found

    def taxes_charged(self, document, facts, run, name, then):
        """The tax of a line that is rated again: that with which it was charged, or else that of now."""
        charged = {identity: line.tax for identity, line in then.items()}
        for later in self.final:
            if later.customer == document.customer and not self.is_void(later):
                for line in later.lines:
                    if line.kind == "adjustment" and line.about[0] == name:
                        charged.setdefault(line.about[1], line.tax)
        return lambda line: charged.get(line.identity) or tax_of(
            facts, run["seller"], document.customer, line.stop, product_of(facts, line))

    def _differences(self, document, facts, run, cut_off, name, own, now, then):
        """Adjustment lines for one earlier run; `own` is the customer's document of it, if there was one."""
        adjustments = collections.defaultdict(list)
        for later in self.final:
            if later.customer == document.customer and not self.is_void(later):
                for line in later.lines:
                    if line.kind == "adjustment" and line.about[0] == name:
                        adjustments[line.about[1]].append((later, line))
        for identity in sorted({*now, *then, *adjustments}, key=repr):
            new, old = now.get(identity), then.get(identity)
            before = ([(own, old)] if old else []) + adjustments[identity]
            counted, exact = (sum((getattr(line, name) for _, line in before), Fraction(0)) for name in ("quantity", "exact"))
            remains = sum((self.stands_of(*one) for one in before), Fraction(0))
            credited = sum((self.given_by_hand(one, line) for one, line in before if (one.id, line.n) not in self.takes),
                           Fraction(0))
            amount, count, cost = (new.amount, new.quantity, new.exact) if new else (Fraction(0),) * 3
            # What an adjustment took and a note gave back stays so too.
            regained = sum((self.given_back[one.id, line.n] for one, line in before
                            if line.kind == "adjustment" and (one.id, line.n) in self.takes), Fraction(0))
            # What was credited stays credited, if the line still comes to as much.
            kept = max(min(credited, amount), Fraction(0)) if credited > 0 else min(max(credited, amount), Fraction(0))
            difference = amount - kept - regained - remains
            if not difference:
                continue
            model = new or before[0][1]
            cites = (own.id, old.n) if old else before[0][1].cites if before else (own.id, 0) if own else None
            parts = self._parts(before, difference, count - counted, cites)
            residue = (amount - sum((line.amount for _, line in before), Fraction(0))) - (cost - exact)
            known = frozenset().union(*(one.events for _, one in before))
            corrections = {facts.replaced[sequence] for sequence in known if sequence in facts.replaced}
            now_behind = (new.events if new else frozenset()) | corrections
            events = frozenset(one for one in now_behind - known if old is None or one > cut_off)
            # What was used before the line may change its price, and none of its events.
            events = events or (new.events if new else frozenset())
            last = len(parts) - 1
            for index, (cited, part, quantity, gone, tax) in enumerate(parts):
                if index == last and kept == credited:
                    gone = residue - sum((other[3] for other in parts[:last]), Fraction(0))
                line = Line(
                    kind="adjustment", start=model.start, stop=model.stop, unit=model.unit, quantity=quantity, exact=part - gone,
                    amount=part, version=model.version, rate=model.rate, instance=model.instance, resource=model.resource,
                    item=model.item, of=model.of, dimensions=model.dimensions, reduces=model.reduces, cites=cited)
                tax = tax or (before[0][1].tax if before else None)
                # What is taken off lines has their tax.
                line.events, line.about = events, (name, identity)
                own_tax = new.tax if new and new.reduces else tax_of(
                    facts, run["seller"], document.customer, line.stop, product_of(facts, line))
                line.tax = tax or own_tax
                yield line

    def _parts(self, before, difference, quantity, cites):
        """A difference as (line, amount, quantity, residue, tax): what it takes it takes of the lines that charged, the first
        one first and each no further than to nothing; what is more is about the line that is cited. The rest of a line goes
        with the rest of its residue."""
        parts = []
        for document, line in before:
            left = self.stands_of(document, line)
            if not difference or left * difference >= 0:
                continue
            whole = abs(left) <= abs(difference)
            amount = -left if whole else difference
            difference -= amount
            share = -line.quantity if difference else quantity
            quantity -= share
            parts.append(((document.id, line.n), amount, share, -self.residue_of(document, line) if whole else Fraction(0), line.tax))
        if difference:
            for index, (cited, amount, share, residue, tax) in enumerate(parts):
                if cited == cites:
                    parts[index] = cited, amount + difference, share + quantity, residue, tax
                    break
            else:
                parts.append((cites, difference, quantity, Fraction(0), None))
        return parts

    def _one_off(self, document, facts, run):
        found = []
        for charge in facts.charges.values():
            # What corrects a document that is void has nothing left to correct.
            if charge.cites and self.is_of_void(charge.cites):
                continue
            if (charge.customer, charge.currency) == (document.customer, document.currency) and charge.id not in self.charged:
                parts, rest = self._corrections(charge)
                cited = self.line_of(charge.cites)[1] if charge.cites else None
                if rest:
                    tax = cited.tax if cited else tax_of(facts, run["seller"], document.customer, document.stop)
                    parts.append(("one_off", charge.cites, rest, Fraction(0), tax))
                unit = "1" if len(parts) == 1 else "part"
                found += [Line(kind=kind, start=document.start, stop=document.stop, unit=unit,
                               quantity=Fraction(1 if amount > 0 else -1), exact=amount - residue, amount=amount,
                               version=None, item=charge.id, cites=cites, corrects=charge.cites, tax=tax)
                          for kind, cites, amount, residue, tax in parts]
                document.charges.append(charge.id)
        return found

    def _corrections(self, charge):
        """What a charge takes of the lines that charge for the one it corrects: of the line itself, then of what adjusted or
        corrected it, in the order of their documents. With the rest of a line goes the rest of its residue."""
        rest, parts = charge.amount, []
        document, line = self.line_of(charge.cites) if charge.cites else (None, None)
        if line is None:
            return parts, rest
        run = line.about[0] if line.kind == "adjustment" else document.run
        changes = [(later, other) for later in self.final for other in later.lines
                   if later.customer == document.customer and not self.is_void(later)
                   and (other.corrects == charge.cites
                        or other.kind == "adjustment" and other.cites == charge.cites and other.about[0] == run)]
        changes.sort(key=lambda one: (self.final.index(one[0]), one[1].n))
        for earlier, other in [(document, line), *changes]:
            left = self.stands_of(earlier, other)
            if left * rest >= 0:
                continue
            whole = abs(left) <= abs(rest)
            amount = -left if whole else rest
            residue = -self.residue_of(earlier, other) if whole else Fraction(0)
            rest -= amount
            taken = self.by_hand.get((earlier.id, other.n), (Fraction(0), Fraction(0)))
            self.by_hand[earlier.id, other.n] = taken[0] - amount, taken[1] - residue
            parts.append(("correction", (earlier.id, other.n), amount, residue, other.tax))
        return parts, rest

    def returned(self, note):
        """What a credit note of a run returns to prepaid credit: each invoice that its lines cite gets these lines with their
        tax."""
        wanted = self.wanted(note)
        return self.lower(wanted, -note.total, note) if note.turned else []

    def wanted(self, document):
        """The invoices of which a document gives lines back, and how much with tax; they become its sources."""
        about = [(line, self.cited_by(line)) for line in document.lines]
        names = dict.fromkeys(name for _, name in about if name)
        wanted = [([name] if name in self.invoices() else self.sources[name],
                   self.gross([(line.tax, -line.amount) for line, cited in about if cited == name], document))
                  for name in names]
        direct = [name for names, _ in wanted for name in names]
        self.sources[document.id] = list(dict.fromkeys(direct + [one for name in direct for one in self.sources.get(name, [])]))
        return wanted

    def invoices(self):
        """The ids of all that are no credit notes."""
        return {one.id for one in self.final if not one.turned}

    @staticmethod
    def gross(amounts, document):
        """Amounts with their tax, which is rounded once for each category and rate, if those of a document are without it."""
        bases = collections.defaultdict(Fraction)
        for tax, amount in amounts:
            bases[tax] += amount
        return sum((sum(split(tax, total, document.currency, document.inclusive)) for tax, total in bases.items()), Fraction(0))

    def lower(self, wanted, total, about_document):
        """A credit note lowers balances: what is due first, then what prepaid credit paid; what is more than an invoice can take
        is for later invoices that reversed lines below zero of it, as far as they charged for that, then for whichever can
        take it; and then likewise for later ones that charged more for lines of it. What is returned to prepaid credit."""
        shares = {}

        def take(name, amount):
            paid = sum((part for _, part in self.wallet.paid[name]), Fraction(0))
            share = min(amount, self.due[name] + paid - shares.get(name, 0), total - sum(shares.values()))
            if share <= 0:
                return Fraction(0)
            shares[name] = shares.get(name, 0) + share
            return share

        for names, amount in wanted:
            more = amount
            for name in names:
                more -= take(name, more)
            if more <= 0:
                continue
            for about in (self.takes, self.adds):
                charged = collections.defaultdict(list)
                for (later, n), of in about.items():
                    document, line = self.line_of((later, n))
                    if of[0] in names and not document.turned and line.amount > 0:
                        charged[later].append((line.tax, line.amount))
                for limited in (True, False):
                    for later in sorted(charged):
                        most = self.gross(charged[later], about_document) if limited else more
                        more -= take(later, min(more, most))
            for name in names:
                for source in self.sources.get(name, []):
                    more -= take(source, more)
        back = {}
        for name, share in shares.items():
            used = self.wallet.give_back(name, max(Fraction(0), share - self.due[name]))
            self.due[name] -= share - sum((amount for _, amount in used), Fraction(0))
            for credit, amount in used:
                back[credit] = back.get(credit, Fraction(0)) + amount
        return list(back.items())

    def cited_by(self, line):
        """The document that a line of a note gives back to: unless both the line and the one that it cites are above zero. A
        credit note stands for the invoices it is about."""
        name, n = line.cites or (None, None)
        original = next((one for one in self.final if one.id == name and (not one.turned or self.sources.get(name))), None)
        cited = next((one for one in original.lines if one.n == n), None) if original else None
        return name if original and (line.amount < 0 or cited and cited.amount < 0) else None

    # What becomes of documents.

    def left_of(self, document, line):
        """What remains of a line: what it charged, less what was credited, settled, adjusted and corrected."""
        at = document.id, line.n
        return line.amount - self.given_back[at] - self.taken[at] - self.by_hand.get(at, (Fraction(0),))[0]

    def given_by_hand(self, document, line):
        """What was given of a line by credit notes, and by charges that correct it."""
        at = document.id, line.n
        return self.given_back[at] + self.corrected[at] + self.by_hand.get(at, (Fraction(0),))[0]

    def stands_of(self, document, line):
        """The same; nothing of a line that only takes of another one, which has the less."""
        return Fraction(0) if (document.id, line.n) in self.takes else self.left_of(document, line)

    def residue_of(self, document, line):
        """What remains of the residue of a line."""
        at = document.id, line.n
        return line.residue - self.residue_gone[at] - self.by_hand.get(at, (None, Fraction(0)))[1]

    def line_of(self, cites):
        """Document and line of a citation."""
        document = next((one for one in self.final if one.id == cites[0]), None)
        return document, next((line for line in document.lines if line.n == cites[1]), None) if document else None

    def is_of_void(self, cites):
        """Whether a line is of a void document, or adjusts or corrects one that is."""
        document, line = self.line_of(cites)
        if document is None:
            return False
        if self.is_void(document):
            return True
        if line and line.kind == "adjustment":
            about = next((one for one in self.final if (one.run, one.customer) == (line.about[0], document.customer)), None)
            return about is not None and self.is_void(about)
        return bool(line and line.corrects and self.is_of_void(line.corrects))

    def credit(self, document, line, amount, residue):
        """A credit note takes something of a line; a line that took of another one has taken so much less."""
        self.given_back[document.id, line.n] += amount
        self.residue_gone[document.id, line.n] += residue
        of = self.takes.get((document.id, line.n))
        if of:
            self.taken[of] += amount
            if line.kind == "correction":
                self.corrected[of] += amount
            self.residue_gone[of] += residue

    def standing(self, document, start, stop):
        """Whether the customer has an invoice for some of a time: one that is not void."""
        return any(one.customer == document.customer and one.start < stop and start < one.stop and not self.is_void(one)
                   for one in self.final)

    def document_of(self, run, customer):
        """The customer's document of a final run, if there is one."""
        return next((one for one in self.final if (one.run, one.customer) == (run["id"], customer)), None)

    def told_by_another(self, document, run, calendar):
        """Whether what comes late for a customer without a document of a run is for another run about its time: one that
        invoiced it, or the last of those that did not."""
        start, stop = bounds(run, calendar)
        if self.standing(document, start, stop):
            return True
        for later in list(self.runs.values())[list(self.runs).index(run["id"]) + 1:]:
            same = later["price_book"] == run["price_book"] and bounds(later, calendar) == (start, stop)
            if same and (later["id"], document.customer) not in self.passed_over:
                return True
        return False

    def is_void(self, document):
        """Whether all of a document was given back."""
        return document.id in self.void

    def finalise(self, run, documents, served):
        """Takes the documents of a run as issued; `served` maps customers to what the server showed, for ids and numbers."""
        self.runs[run["id"]] = run
        self.wallet.take_until(run["sequence"])
        for customer, document in documents.items():
            document.id, document.issued = served[customer]["id"], served[customer].get("sequence", run["sequence"])
            back = self.returned(document)
            document.prepaid = back if document.turned else self.wallet.pay(document, instant(served[customer]["issued_at"]))
            self.due[document.id] = document.due
            self.charged.update(document.charges)
            self.final.append(document)

    def settle(self, document):
        """What the lines of a document take of earlier ones, when their numbers are known."""
        for line in document.lines:
            cited = self.line_of(line.cites)[1] if line.cites else None
            if cited and cited.amount * line.amount > 0 and line.kind in ("adjustment", "one_off"):
                self.adds[document.id, line.n] = line.cites
            if cited and cited.amount * line.amount < 0 and line.kind in ("settled", "adjustment", "correction"):
                self.takes[document.id, line.n] = line.cites
                self.taken[line.cites] -= line.amount
                if line.kind == "correction":
                    self.corrected[line.cites] -= line.amount
                self.residue_gone[line.cites] -= line.residue
