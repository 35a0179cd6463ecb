"""What discounts and maximums take off other lines of a month (docs/price-books.md, "Order within a month").

A month is worked out step by step: `Month` keeps what is left of each of its lines. Runs are of whole months.
"""

from fractions import Fraction

from exact import digits_of, half_up, number, quantity, rounded
from lines import Line
from zones import instant

TAX_ORDER = ("O", "S", "Z", "E", "AE", "K", "G")
OF_ORDER = ("all", "recurring", "usage")
PER_ORDER = ("line", "instance", "customer")


def of_order(subject):
    """Maximums of one kind come in this order."""
    return (OF_ORDER.index(subject), "") if subject in OF_ORDER else (len(OF_ORDER), subject)


def document_order(line):
    """Lines of fees and usage as a document has them (docs/invoices.md, "Order of lines")."""
    if line.instance:
        usage = line.kind == "usage"
        thing = (line.resource if usage else line.item) or ""
        return 0, int(line.instance.rsplit("-", 1)[1]), usage, thing, line.start, line.dimensions
    if line.kind == "usage":
        return 1, 1, line.version, line.rate, line.dimensions, line.start
    if line.of:
        return 1, 2, line.start, line.of
    return 1, 0, line.item or "", line.start, line.version, line.rate


class Month:
    """The lines of a month and what is left of each; `tax` gives a line its tax."""

    def __init__(self, lines, tax):
        self.tax, self.lines, self.left = tax, [], {}
        for line in sorted(lines, key=document_order):
            self.add(line)

    def add(self, line):
        """Another line, of which something may be taken off."""
        line.tax = self.tax(line)
        self.lines.append(line)
        self.left[id(line)] = line.amount

    def sum(self, lines):
        """What is left of some lines."""
        return sum((self.left[id(line)] for line in lines), Fraction(0))

    def take(self, book, lines, amount, residue, fields):
        """Takes an amount off lines, and gives the lines that say so: one for each tax."""
        digits, whole = digits_of(book["currency"]), sum(max(self.left[id(line)], 0) for line in lines)
        passed = before = Fraction(0)
        taxes = {}
        for line in lines:
            passed += max(self.left[id(line)], 0)
            until = half_up(amount * passed / whole, digits)
            self.left[id(line)] -= until - before
            taxes[line.tax] = taxes.get(line.tax, Fraction(0)) + until - before
            before = until
        found = []
        for tax in sorted(taxes, key=lambda tax: (TAX_ORDER.index(tax[0]), tax[1])):
            if taxes[tax]:
                line = Line(amount=-taxes[tax], exact=-taxes[tax] - residue, version=book["version"], tax=tax, **fields)
                residue = Fraction(0)
                found.append(line)
        return found


class Maximums:
    """The maximums of a customer's month; `rating` knows the customer, and `belongs` which lines a subject has."""

    def __init__(self, rating, span, month, belongs, subject_of):
        self.rating, self.span, self.month, self.belongs, self.subject_of = rating, span, month, belongs, subject_of

    def subjects(self, *kinds):
        found = {(rate["per"], self.subject_of(rate)) for book in self.rating.versions for rate in book["rates"]
                 if rate["kind"] == "maximum" and rate["per"] in kinds}
        return sorted(found, key=lambda one: (PER_ORDER.index(one[0]), of_order(one[1])))

    def of_instances(self):
        """Per line, then per instance."""
        for per, subject in self.subjects("line", "instance"):
            for one in self.rating.instances:
                yield from self.of_instance(one, per, subject)

    def of_instance(self, one, per, subject):
        pieces = []
        for low, high in self.span.parts:
            pieces += self.pieces(one, per, subject, low, high)
        mine = [line for line in self.month.lines if line.instance == one.id and self.belongs(line, subject)
                and any(low <= line.start < high for low, high, _ in pieces)]
        things = {}
        for line in mine:
            thing = (("resource", line.resource) if line.kind == "usage" else ("fee", line.item or "")) if per == "line" else ("all",)
            things.setdefault((thing, line.dimensions if per == "line" else ()), []).append(line)
        ended = 10**18 if one.ended is None else one.ended
        parts = []
        for low, high, winner in pieces:
            there = max(low, one.allocated), min(high, ended)
            if there[0] < there[1]:
                whole = winner.rate.get("proration", "allocated") == "none"
                parts.append((*((low, high) if whole else there), winner))
        for (thing, dimensions), lines in sorted(things.items()):
            yield from self.taken(pieces, parts, lines, subject, instance=one.id, reduces=thing, dimensions=dimensions)

    def pieces(self, one, per, subject, start, stop):
        """The times in which one maximum applies to an instance, whether it is allocated or not."""
        rating, first = self.rating, min(at for row in one.changes.values() for at, _ in row)
        rows = [*one.changes.values(), rating.facts.regions[one.computer]]
        edges = {start, stop, *(at for row in rows for at, _ in row if start < at < stop)}
        edges |= {book["valid_from_at"] for book in rating.versions if start < book["valid_from_at"] < stop}
        edges, found = sorted(edges), []
        for low, high in zip(edges, edges[1:]):
            winner = rating.winner(one, ("maximum",), lambda rate: rate["per"] == per and self.subject_of(rate) == subject,
                                   low, since=first)
            if winner is None:
                continue
            last = found[-1] if found and found[-1][1] == low else None
            if last and (last[2].same(winner) or last[2].alike(winner)):
                found[-1] = (last[0], high, last[2])
            else:
                found.append((low, high, winner))
        return found

    def of_customer(self):
        """Per customer, from the parts of a month in which the same maximum applies."""
        for per, subject in self.subjects("customer"):
            chains = []
            for low, high in self.span.parts:
                winner = self.rating.about("maximum", subject, low, per)
                if winner and chains and chains[-1][-1][1] == low:
                    chains[-1].append((low, high, winner))
                elif winner:
                    chains.append([(low, high, winner)])
            for pieces in chains:
                lines = [line for line in self.month.lines if any(low <= line.start < high for low, high, _ in pieces)
                         and (self.belongs(line, subject) or subject == "all" and line.kind == "percentage")]
                parts = []
                for low, high, winner in pieces:
                    there = self.rating.allocated(low, high)
                    if there and winner.rate.get("proration", "allocated") == "none":
                        there = [(low, high)]
                    parts += [(*time, winner) for time in there]
                yield from self.taken(pieces, parts, lines, subject, reduces=("all",))

    def taken(self, pieces, parts, lines, subject, **fields):
        if not lines or not parts:
            return
        book = pieces[0][2].book
        counted = [(quantity(self.rating.months(low, high)), number(winner.rate["price"])) for low, high, winner in parts]
        most = sum((months * price for months, price in counted), Fraction(0))
        at_most = rounded(most, book["rounding"], digits_of(book["currency"]))
        above = self.month.sum(lines) - at_most
        if above > 0:
            fields.update(kind="maximum", start=pieces[0][0], stop=pieces[-1][1], unit="month", of=subject,
                          quantity=sum((months for months, _ in counted), Fraction(0)), rate=pieces[0][2].index)
            yield from self.month.take(book, lines, above, at_most - most, fields)


class Discounts:
    """The discounts of a customer's month."""

    def __init__(self, rating, span, month, belongs, subject_of):
        self.rating, self.span, self.month, self.belongs, self.subject_of = rating, span, month, belongs, subject_of

    def lines(self):
        chains = {}
        for low, high in self.span.parts:
            for item, winner in self.rating.discounts_at(low):
                chain = chains.setdefault(item, [])
                if chain and chain[-1][-1][1] == low:
                    chain[-1].append((low, high, winner))
                else:
                    chain.append([(low, high, winner)])
        found = [[part for part in parts if self.granted(item, *part)] for item, some in chains.items() for parts in some]
        order = lambda parts: (parts[0][2].rate.get("order", 0), parts[0][2].rate.get("item") or "")
        for parts in sorted((parts for parts in found if parts), key=order):
            yield from self.taken(parts)

    def granted(self, item, start, _, winner):
        rate = winner.rate
        if rate.get("invoices") is not None and self.rating.discounted.get(item, 0) >= rate["invoices"]:
            return False
        if rate.get("code") is not None:
            first = self.rating.facts.codes[self.rating.customer].get(rate["code"])
        elif rate.get("months") is None:
            return True
        else:
            first = min((one.allocated for one in self.rating.instances), default=None)
        return first is not None and 0 <= self.rating.calendar.months_between(first, start) < rate.get("months", 10**6)

    def off(self, low, high, winner):
        """The lines a discount is of in its time."""
        subject, until = self.subject_of(winner.rate), winner.rate.get("until")
        return [line for line in self.month.lines if low <= line.start < high
                and (until is None or line.start < instant(until))
                and (self.belongs(line, subject) or subject == "all" and line.kind == "percentage")]

    def taken(self, parts):
        lines = [self.off(*part) for part in parts]
        left = [self.month.sum(of) for of in lines]
        book, rate = parts[0][2].book, parts[0][2].rate
        base = exact = months = Fraction(0)
        for (low, high, winner), rest in zip(parts, left):
            if sum(left) < number(winner.rate.get("minimum_spend") or "0"):
                continue
            base += rest
            if "percent" in winner.rate:
                exact += rest * number(winner.rate["percent"]) / 100
            else:
                months += quantity(self.rating.months(low, high))
                exact += quantity(self.rating.months(low, high)) * number(winner.rate["amount"])
        off = rounded(exact, book["rounding"], digits_of(book["currency"]))
        if off > base:
            off, exact = base, base
        percent = "percent" in rate
        fields = dict(kind="discount", start=parts[0][0], stop=parts[-1][1], unit="percent" if percent else "month",
                      quantity=number(rate["percent"]) if percent else months, rate=parts[0][2].index,
                      of=self.subject_of(rate), item=rate.get("item"), reduces=("all",))
        if off:
            yield from self.month.take(book, sum(lines, []), off, exact - off, fields)
