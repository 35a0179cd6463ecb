"""From facts to the lines of one customer's period by one price book (docs/price-books.md, "How lines are computed").

Pure: the same facts, versions and period give the same lines. What is charged in advance and what was, one-off charges,
adjustments and taxes are the business of invoices.py.
"""

import collections
from fractions import Fraction

import tariffs
from exact import number, quantity
from lines import priced
from matching import best
from meters import measure
from zones import HOUR

EVER, NEVER = -(10**18), 10**18


def segments(versions, start, stop):
    """The pieces of a period by the version that counts: the latest `valid_from` wins, of equal ones the last published."""
    ordered = sorted(versions, key=lambda book: (book["valid_from_at"], book["version"]))
    found = []
    for index, book in enumerate(ordered):
        end = ordered[index + 1]["valid_from_at"] if index + 1 < len(ordered) else NEVER
        low, high = max(start, book["valid_from_at"]), min(stop, end)
        if low < high:
            found.append((book, low, high))
    return found


def version_at(versions, at):
    found = segments(versions, at, at + 1)
    return found[0][0] if found else None


def numbered(book, *kinds):
    return [(index, rate) for index, rate in enumerate(book["rates"], 1) if rate["kind"] in kinds]


def value_at(changes, at):
    """The last value of a row of changes that counts at an instant."""
    found = [value for since, value in changes if since <= at]
    return found[-1] if found else None


class Rating:
    """One customer, one period, one row of versions."""

    def __init__(self, facts, customer, versions, start, stop):
        self.facts, self.customer, self.versions = facts, customer, versions
        self.start, self.stop = start, stop
        self.calendar = facts.calendars[customer]
        self.instances = facts.owned_by(customer)

    # What holds when.

    def attributes(self, one, at):
        """The members that a rate may name, as they are at an instant."""
        found = {key: value_at(changes, at) for key, changes in one.changes.items()}
        found.update(computer=one.computer, customer=self.customer, region=value_at(self.facts.regions[one.computer], at))
        return found

    def stretches(self, one, rates, start, stop, dimensions=()):
        """The times in which the same rate was the best for an instance: (start, stop, number, rate)."""
        low, high = max(start, one.allocated), min(stop, NEVER if one.ended is None else one.ended)
        if low >= high or not rates:
            return []
        rows = [*one.changes.values(), self.facts.regions[one.computer]]
        edges = sorted({low, high, *(at for row in rows for at, _ in row if low < at < high)})
        found = []
        for begin, end in zip(edges, edges[1:]):
            members = self.attributes(one, begin)
            members.update({("dimension", key): value for key, value in dimensions})
            winner = best(rates, members)
            if winner is None:
                continue
            if found and found[-1][1] == begin and found[-1][2] == winner[0]:
                found[-1] = (found[-1][0], end, *winner)
            else:
                found.append((begin, end, *winner))
        return found

    def months(self, start, stop):
        """A time in months, exactly."""
        return sum((Fraction(end - begin, length) for begin, end, length in self.calendar.by_month(start, stop)), Fraction(0))

    def count(self, every, start, stop):
        """A time in `every`s, as the quantity of a fee."""
        if every == "hour":
            return quantity(Fraction(stop - start, HOUR))
        if every == "day":
            return quantity(sum(Fraction(end - begin, length) for begin, end, length in self.calendar.by_day(start, stop)))
        months = self.months(start, stop)
        return quantity(months / 12 if every == "year" else months)

    # Fees.

    def fee(self, book, one, kind, index, rate, start, stop):
        count, price = self.count(rate["every"], start, stop), number(rate["price"])
        return priced(book, count * price, kind=kind, start=start, stop=stop, unit=rate["every"], quantity=count,
                      rate=index, instance=one.id, item=rate.get("item"), unit_price=price, when=rate["when"])

    def fees(self, book, start, stop):
        """Fees for allocated time, those of rates in advance too: as if in arrears."""
        rates = numbered(book, "recurring")
        items = sorted({rate.get("item") for _, rate in rates}, key=lambda item: item or "")
        for one in self.instances:
            for item in items:
                same = [(index, rate) for index, rate in rates if rate.get("item") == item]
                for begin, end, index, rate in self.stretches(one, same, start, stop):
                    yield self.fee(book, one, "recurring", index, rate, begin, end)

    def in_advance(self):
        """What is charged from the end of the period to the end of that month, for each instance that is allocated then."""
        book = version_at(self.versions, self.stop)
        if book is None:
            return
        after = self.stop, self.calendar.month_around(self.stop)[1]
        rates = numbered(book, "recurring")
        for one in self.instances:
            if not one.allocated <= self.stop < (NEVER if one.ended is None else one.ended):
                continue
            for item in sorted({rate.get("item") for _, rate in rates}, key=lambda item: item or ""):
                same = [(index, rate) for index, rate in rates if rate.get("item") == item]
                winner = best(same, self.attributes(one, self.stop))
                if winner and winner[1]["when"] == "advance":
                    yield self.fee(book, one, "advance", *winner, *after)

    # Usage.

    def groups(self, resource, parts):
        """The combinations of dimensions that usage has."""
        names = resource.get("group_by") or []
        found = collections.defaultdict(list)
        for part in parts:
            have = dict(part.dimensions)
            found[tuple((name, have.get(name, "")) for name in names)].append(part)
        return sorted(found.items())

    def pieces(self, rate, start, stop):
        """A tariff that is not linear counts anew where a month begins."""
        if tariffs.is_linear(rate):
            return [(start, stop)]
        return [(begin, end) for begin, end, _ in self.calendar.by_month(start, stop)]

    def usage_line(self, book, rate, index, resource, group, count, events, start, stop, instance):
        exact, steps = tariffs.price(rate, count)
        return priced(book, exact, kind="usage", start=start, stop=stop, unit=resource["unit"], quantity=count, rate=index,
                      instance=instance, resource=resource["resource"], dimensions=group, events=events, steps=tuple(steps),
                      unit_price=number(rate["price"]) if rate["kind"] == "per_unit" else None)

    def usage(self, book, start, stop):
        for resource in book.get("resources") or []:
            name = resource["resource"]
            rates = [(index, rate) for index, rate in numbered(book, *tariffs.USAGE_KINDS) if rate["resource"] == name]
            together = {}
            for one in self.instances:
                parts = [part for part in self.facts.parts[one.id]
                         if part.resource == name and part.start < stop and part.stop > start]
                for group, own in self.groups(resource, parts):
                    for begin, end, index, rate in self.stretches(one, rates, start, stop, group):
                        for low, high in self.pieces(rate, begin, end):
                            count, events = measure(resource, own, low, high)
                            if rate.get("per") != "customer":
                                yield self.usage_line(book, rate, index, resource, group, count, events, low, high, one.id)
                                continue
                            whole = (start, stop)
                            if not tariffs.is_linear(rate):
                                month = self.calendar.month_around(low)
                                whole = (max(start, month[0]), min(stop, month[1]))
                            together.setdefault((index, group, *whole), []).append((count, events))
            rates = dict(rates)
            for (index, group, low, high), counted in together.items():
                # What adds nothing is not behind the line, unless there is nothing else.
                counted = [entry for entry in counted if entry[0]] or counted
                count, events = sum(entry[0] for entry in counted), frozenset().union(*(entry[1] for entry in counted))
                yield self.usage_line(book, rates[index], index, resource, group, count, events, low, high, None)

    # What is about the customer.

    def about_customer(self, book, kind):
        """The best rate of a kind for each subject."""
        subjects = collections.defaultdict(list)
        for index, rate in numbered(book, kind):
            subjects[subject_of(rate)].append((index, rate))
        for subject, rates in sorted(subjects.items()):
            winner = best(rates, {"customer": self.customer})
            if winner:
                yield subject, *winner

    def percentages(self, book, start, stop, lines):
        for subject, index, rate in self.about_customer(book, "percentage"):
            base = sum((line.amount for line in lines if belongs(line, subject)), Fraction(0))
            if base > 0:
                percent = number(rate["percent"])
                yield priced(book, base * percent / 100, kind="percentage", start=start, stop=stop, unit="percent",
                             quantity=percent, rate=index, of=subject)

    def minimums(self, book, start, stop, lines):
        if not any(one.allocated < stop and (one.ended is None or one.ended > start) for one in self.instances):
            return
        for subject, index, rate in self.about_customer(book, "minimum"):
            months = quantity(self.months(start, stop))
            owed = priced(book, months * number(rate["price"]), kind="minimum", start=start, stop=stop, unit="month",
                          quantity=months, rate=index, of=subject)
            have = sum((line.amount for line in lines if belongs(line, subject)
                        or subject == "all" and line.kind == "percentage"), Fraction(0))
            if owed.amount > have:
                owed.amount, owed.exact = owed.amount - have, owed.exact - have
                yield owed

    def lines(self):
        """All lines of the period; fees of rates in advance are among them, as if in arrears (`when` tells)."""
        return [line for line in self.rated() if line.quantity]

    def rated(self):
        """The same with usage of nothing, which is no line, but has events behind it."""
        found = []
        for book, start, stop in segments(self.versions, self.start, self.stop):
            own = [*self.fees(book, start, stop), *self.usage(book, start, stop)]
            own += self.percentages(book, start, stop, own)
            own += self.minimums(book, start, stop, own)
            found += own
        return found


def subject_of(rate):
    """What a percentage or minimum is of: `all`, `recurring`, `usage`, or `resource:` and its name."""
    of = rate.get("of")
    if isinstance(of, dict):
        return f"resource:{of['resource']}"
    if rate.get("resource"):
        return f"resource:{rate['resource']}"
    return of or "all"


def belongs(line, subject):
    """Whether a line is among those that a percentage or minimum is of: usage, and fees of rates in arrears."""
    fee = line.kind == "recurring" and line.when == "arrears"
    if subject == "all":
        return fee or line.kind == "usage"
    if subject == "recurring":
        return fee
    if subject == "usage":
        return line.kind == "usage"
    return line.kind == "usage" and f"resource:{line.resource}" == subject
