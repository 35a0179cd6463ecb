"""From the log to the documents of invoice runs (docs/invoices.md): what a run adds to the lines of a period.

Advances and their settlement, adjustments of earlier periods, one-off charges, tax, prepaid credit. `Books` plays the runs in
the order in which they were opened, and keeps what was charged by final ones.
"""

import collections
import dataclasses
from fractions import Fraction

from exact import digits_of, half_up
from facts import Facts
from lines import Line
from rating import Rating
from taxes import subtotals, tax_of
from wallet import Wallet
from zones import instant

ADJUSTED = ("recurring", "usage", "percentage", "minimum")


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
    prepaid: list = dataclasses.field(default_factory=list)  # (credit, amount)
    charges: list = dataclasses.field(default_factory=list)

    @property
    def net(self):
        return sum((line.amount for line in self.lines), Fraction(0))

    @property
    def tax(self):
        return subtotals(self.lines, self.currency)

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

    def __init__(self, events, books):
        self.events, self.books = events, books
        self.runs = {}  # final ones
        self.final = []  # documents of final runs, in order
        self.given_back = collections.defaultdict(Fraction)  # (document, line) -> credited
        self.charged = set()  # one-off charges that were invoiced
        self.passed_over = set()  # run and customer, where another run had invoiced some of the time
        self.noted = set()  # documents that credit notes are about
        self.due = {}  # document -> what is left to be paid
        self.taxed = collections.defaultdict(Fraction)  # (document, category and rate) -> tax that was given back
        self.wallet = Wallet(events)

    def versions(self, name, cut_off):
        return [{**book, "valid_from_at": instant(book["valid_from"])} for book in self.books[name]
                if book["sequence"] <= cut_off]

    def documents(self, run):
        """What a run invoices, by customer."""
        facts = Facts(self.events, run["cut_off"])
        found = {}
        versions = self.versions(run["price_book"], run["cut_off"])
        currency = versions[0]["currency"] if versions else None
        for customer in sorted(facts.calendars, key=lambda party: int(party.rsplit("-", 1)[1])):
            calendar = facts.calendars[customer]
            start, stop = bounds(run, calendar)
            document = Document(run["id"], customer, currency, start, stop, [], run["price_book"],
                                instant(run["opened_at"]))
            if self.standing(document, start, stop):
                self.passed_over.add((run["id"], customer))
                continue
            self._fill(document, facts, versions, run)
            if document.lines:
                found[customer] = document
        return found

    def _fill(self, document, facts, versions, run):
        rating = Rating(facts, document.customer, versions, document.start, document.stop)
        priced = list(rating.lines())
        for line in priced:
            line.tax = tax_of(facts, run["seller"], document.customer, line.stop)
        ordinary, settled = self._settle(priced, document)
        advance = list(rating.in_advance())
        lines = ordinary + advance
        for line in lines:
            line.tax = tax_of(facts, run["seller"], document.customer, line.stop)
        document.lines = lines + settled + self._adjust(document, facts, run) + self._one_off(document, facts, run)

    def _settle(self, lines, document):
        """Of each instance, fees of rates in advance against what was charged for them: both, or neither if they are equal for
        each tax."""
        charged = collections.defaultdict(list)
        for earlier in self.final:
            if (earlier.customer, earlier.book) == (document.customer, document.book):
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
            for earlier, line in entries:
                left = self.left_of(earlier, line)
                if not left:
                    continue
                whole = left == line.amount
                settled.append(dataclasses.replace(
                    line, kind="settled", amount=-left, exact=-(line.exact if whole else left), quantity=-line.quantity,
                    unit_price=line.unit_price if whole else None, cites=(earlier.id, line.n), n=None))
        return [line for line in lines if id(line) not in dropped], settled

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
            now = {line.identity: line for line in Rating(facts, document.customer, versions, start, stop).rated()
                   if line.when == "arrears"}
            then = {line.identity: line for line in (own.lines if own else [])
                    if line.kind in ADJUSTED and line.when == "arrears"}
            found += self._differences(document, facts, run, earlier["cut_off"], name, own, now, then)
        return found

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
            charged, counted, exact = (sum((getattr(line, name) for _, line in before), Fraction(0))
                                       for name in ("amount", "quantity", "exact"))
            left = sum((self.left_of(*one) for one in before), Fraction(0))
            amount, count, cost = (new.amount, new.quantity, new.exact) if new else (Fraction(0),) * 3
            # What was given back stays given back, and no more than is left goes back.
            difference = max(amount - charged, -max(left, Fraction(0)))
            if not difference:
                continue
            limited = difference != amount - charged
            model = new or before[0][1]
            line = Line(
                kind="adjustment", start=model.start, stop=model.stop, unit=model.unit, quantity=count - counted,
                exact=difference if limited else cost - exact, amount=difference, version=model.version, rate=model.rate,
                instance=model.instance, resource=model.resource, item=model.item, of=model.of,
                dimensions=model.dimensions, cites=(own.id, old.n if old else 0) if own else None)
            line.tax = before[0][1].tax if before else tax_of(facts, run["seller"], document.customer, line.stop)
            known = frozenset().union(*(one.events for _, one in before))
            corrections = {facts.replaced[sequence] for sequence in known if sequence in facts.replaced}
            now_behind = (new.events if new else frozenset()) | corrections
            line.events = frozenset(one for one in now_behind - known if old is None or one > cut_off)
            line.about = (name, identity)
            yield line

    def _one_off(self, document, facts, run):
        found = []
        # What corrects a document that is void has nothing left to correct.
        void = {one.id for one in self.final if self.is_void(one)}
        for charge in facts.charges.values():
            if charge.cites and charge.cites[0] in void:
                continue
            if (charge.customer, charge.currency) == (document.customer, document.currency) and charge.id not in self.charged:
                found.append(Line(
                    kind="one_off", start=document.start, stop=document.stop, unit="1",
                    quantity=Fraction(1 if charge.amount > 0 else -1), exact=charge.amount, amount=charge.amount,
                    version=None, item=charge.id, cites=charge.cites,
                    tax=tax_of(facts, run["seller"], document.customer, document.stop)))
                document.charges.append(charge.id)
        return found

    def returned(self, note):
        """What a credit note of a run returns to prepaid credit: each invoice that its lines cite gets these lines with
        their tax, what is due of it first, and all together no more than the total of the note."""
        rest, back = -note.total, {}
        about = [(line, self.cited_by(line)) for line in note.lines]
        for name in dict.fromkeys(name for _, name in about if name):
            bases = collections.defaultdict(Fraction)
            for line, cited in about:
                if cited == name:
                    bases[line.tax] -= line.amount
            share = sum((base + half_up(base * tax[1] / 100, digits_of(note.currency)) for tax, base in bases.items()), Fraction(0))
            paid = sum((amount for _, amount in self.wallet.paid[name]), Fraction(0))
            share = min(share, self.due[name] + paid, rest)
            if share <= 0:
                continue
            rest -= share
            used = self.wallet.give_back(name, max(Fraction(0), share - self.due[name]))
            self.due[name] -= share - sum((amount for _, amount in used), Fraction(0))
            for credit, amount in used:
                back[credit] = back.get(credit, Fraction(0)) + amount
        return list(back.items())

    def cited_by(self, line):
        """The invoice that a line of a note gives back to: one whose line has the other sign."""
        name, n = line.cites or (None, None)
        original = next((one for one in self.final if one.id == name and not one.turned), None)
        cited = next((one for one in original.lines if one.n == n), None) if original else None
        return name if cited and cited.amount * line.amount < 0 else None

    # What becomes of documents.

    def left_of(self, document, line):
        """What of a line was not given back."""
        return line.amount - self.given_back[document.id, line.n]

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
        return document.id in self.noted and not any(self.left_of(document, line) for line in document.lines)

    def finalise(self, run, documents, served):
        """Takes the documents of a run as issued; `served` maps customers to what the server showed, for ids and numbers."""
        self.runs[run["id"]] = run
        self.wallet.take_until(run["sequence"])
        for customer, document in documents.items():
            document.id = served[customer]["id"]
            document.prepaid = self.returned(document) if document.turned else self.wallet.pay(document)
            self.due[document.id] = document.due
            self.charged.update(document.charges)
            self.final.append(document)
