"""From facts to the lines of one customer's period by one price book (docs/price-books.md, "How lines are computed").

Pure: the same facts, versions and period give the same lines. What is charged in advance and what was, one-off charges,
adjustments and taxes are the business of invoices.py.
"""

import collections
import dataclasses
import functools
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


def declared(book, name):
    """What a book says of how a resource is measured."""
    return next((one for one in book.get("resources") or [] if one["resource"] == name), None)


@dataclasses.dataclass(frozen=True)
class Winner:
    """A rate, and the version it stands in."""

    book: dict
    index: int
    rate: dict

    @property
    def match(self):
        return self.rate.get("match") or {}

    def alike(self, other):
        """Whether both charge the same: all fields but `match`, the declaration of the resource, and the rounding."""
        fields = [{key: value for key, value in one.rate.items() if key != "match"} for one in (self, other)]
        measured = [declared(one.book, one.rate["resource"]) if one.rate["kind"] in tariffs.USAGE_KINDS else None
                    for one in (self, other)]
        return fields[0] == fields[1] and measured[0] == measured[1] and self.book["rounding"] == other.book["rounding"]

    def same(self, other):
        return (self.book["version"], self.index) == (other.book["version"], other.index)


@dataclasses.dataclass(frozen=True)
class Span:
    """A time in which things are counted together: a month of versions that continue, or the time of one that restarts.
    `parts` are cut where a customer's percentages or minimums change."""

    start: int
    stop: int
    parts: tuple
    continues: bool

    def within(self, start, stop):
        parts = [(max(low, start), min(high, stop)) for low, high in self.parts]
        return Span(max(self.start, start), min(self.stop, stop), tuple(one for one in parts if one[0] < one[1]), self.continues)


@dataclasses.dataclass(frozen=True)
class Counted:
    """What an instance used in a stretch, for a rate whose usage is priced together."""

    winner: Winner
    one: str
    start: int
    stop: int
    quantity: Fraction
    whole: Fraction
    events: frozenset


class Rating:
    """One customer, one period, one row of versions."""

    def __init__(self, facts, customer, versions, start, stop):
        self.facts, self.customer, self.versions = facts, customer, versions
        self.start, self.stop = start, stop
        self.calendar = facts.calendars[customer]
        self.instances = facts.owned_by(customer)

    # What is counted together.

    def spans(self):
        found, before = [], None
        for book, low, high in segments(self.versions, self.start, self.stop):
            continues = book.get("on_change", "continue") == "continue"
            if before is None or not continues or found[-1].stop != low:
                found.append(Span(low, high, ((low, high),), continues))
            else:
                parts = found[-1].parts
                if self.same_customer_rates(before, book):
                    parts = (*parts[:-1], (parts[-1][0], high))
                else:
                    parts = (*parts, (low, high))
                found[-1] = Span(found[-1].start, high, parts, True)
            before = book
        for span in found:
            if not span.continues:
                yield span
                continue
            for low, high, _ in self.calendar.by_month(span.start, span.stop):
                yield span.within(low, high)

    def same_customer_rates(self, one, other):
        rows = []
        for book in (one, other):
            rows.append([Winner(book, index, rate) for kind in ("percentage", "minimum")
                         for _, index, rate in self.about_customer(book, kind)])
        return len(rows[0]) == len(rows[1]) and all(any(own.alike(theirs) for theirs in rows[1]) for own in rows[0])

    # What holds when.

    def attributes(self, one, at):
        """The members that a rate may name, as they are at an instant."""
        found = {key: value_at(changes, at) for key, changes in one.changes.items()}
        found.update(computer=one.computer, customer=self.customer, region=value_at(self.facts.regions[one.computer], at))
        return found

    def stretches(self, one, kinds, subject, start, stop, continues, dimensions=()):
        """The times in which the same rate was the best for an instance, or, where prices continue, one that charges the
        same; the first of them names the line."""
        low, high = max(start, one.allocated), min(stop, NEVER if one.ended is None else one.ended)
        if low >= high:
            return []
        rows = [*one.changes.values(), self.facts.regions[one.computer]]
        edges = {low, high, *(at for row in rows for at, _ in row if low < at < high)}
        edges |= {begin for _, begin, _ in segments(self.versions, low, high)}
        edges = sorted(edges)
        found = []
        for begin, end in zip(edges, edges[1:]):
            winner = self.winner(one, kinds, subject, begin, dimensions)
            if winner is None:
                continue
            last = found[-1] if found and found[-1][1] == begin else None
            if last and (last[2].same(winner) or continues and last[2].alike(winner)):
                found[-1] = (last[0], end, last[2])
            else:
                found.append((begin, end, winner))
        return found

    def winner(self, one, kinds, subject, at, dimensions=()):
        book = version_at(self.versions, at)
        if book is None:
            return None
        members = self.attributes(one, at)
        members.update({("dimension", key): value for key, value in dimensions})
        found = best([(index, rate) for index, rate in numbered(book, *kinds) if subject(rate)], members)
        if found is None:
            return None
        until = found[1].get("until", "destroy_requested")
        if found[1]["kind"] == "recurring" and until == "destroy_requested" and members.get("state") == "destroyed":
            return None
        return Winner(book, *found)

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

    def fee(self, one, kind, winner, start, stop):
        rate = winner.rate
        count, price = self.count(rate["every"], start, stop), number(rate["price"])
        return priced(winner.book, count * price, kind=kind, start=start, stop=stop, unit=rate["every"], quantity=count,
                      rate=winner.index, instance=one.id, item=rate.get("item"), unit_price=price, when=rate["when"])

    def items(self):
        found = {rate.get("item") for book in self.versions for _, rate in numbered(book, "recurring")}
        return sorted(found, key=lambda item: item or "")

    def fees(self, span):
        """Fees for allocated time, those of rates in advance too: as if in arrears."""
        for one in self.instances:
            for item in self.items():
                for low, high in span.parts:
                    of_item = functools.partial(lambda item, rate: rate.get("item") == item, item)
                    for begin, end, winner in self.stretches(one, ("recurring",), of_item, low, high, span.continues):
                        yield self.fee(one, "recurring", winner, begin, end)

    def in_advance(self):
        """What is charged from the end of the period to the end of that month, for each instance that is allocated then."""
        after = self.stop, self.calendar.month_around(self.stop)[1]
        for one in self.instances:
            if not one.allocated <= self.stop < (NEVER if one.ended is None else one.ended):
                continue
            for item in self.items():
                winner = self.winner(one, ("recurring",), lambda rate: rate.get("item") == item, self.stop)
                if winner and winner.rate["when"] == "advance":
                    yield self.fee(one, "advance", winner, *after)

    # Usage.

    def groups(self, resource, parts):
        """The combinations of dimensions that usage has."""
        names = resource.get("group_by") or []
        found = collections.defaultdict(list)
        for part in parts:
            have = dict(part.dimensions)
            found[tuple((name, have.get(name, "")) for name in names)].append(part)
        return sorted(found.items())

    def declarations(self, span):
        """The times in which a resource is measured in one way."""
        versions = segments(self.versions, span.start, span.stop)
        for name in sorted({one["resource"] for book, *_ in versions for one in book.get("resources") or []}):
            found = []
            for book, low, high in versions:
                resource = declared(book, name)
                if found and found[-1][0] == resource:
                    found[-1] = (resource, found[-1][1], high)
                else:
                    found.append((resource, low, high))
            yield from ((name, resource, low, high) for resource, low, high in found if resource)

    def usage(self, span):
        for name, resource, low, high in self.declarations(span):
            piece, together = span.within(low, high), {}
            for one in self.instances:
                parts = [part for part in self.facts.parts[one.id]
                         if part.resource == name and part.start < high and part.stop > low]
                for group, own in self.groups(resource, parts):
                    for line in self.of_group(span, piece, resource, one, group, own):
                        if not isinstance(line, Counted):
                            yield line
                        elif line.quantity:  # what adds nothing is not behind the line
                            together.setdefault(group, []).append(line)
            for group, counted in together.items():
                yield from self.pools(piece, resource, group, counted)

    def of_group(self, span, piece, resource, one, group, own):
        """Lines of an instance, and what it adds to those of its customer."""
        found = []
        for low, high in piece.parts:
            found += self.stretches(one, tariffs.USAGE_KINDS, lambda rate: rate["resource"] == resource["resource"], low, high,
                                    piece.continues, group)
        if not found:
            return
        if not piece.continues:
            taken = [(low, high, winner, *measure(resource, own, low, high), None) for begin, end, winner in found
                     for low, high in self.pieces(winner.rate, begin, end)]
        elif resource["meter"] in ("sum", "count", "time_integral"):
            taken = [(begin, end, winner, *measure(resource, own, begin, end), None) for begin, end, winner in found]
        else:
            taken = self.shares(span, found, resource, one, own)
        before = Fraction(0)
        alone = [count for _, _, winner, count, _, _ in taken if winner.rate.get("per") != "customer"]
        for begin, end, winner, count, events, whole in taken:
            if winner.rate.get("per") == "customer":
                yield Counted(winner, one.id, begin, end, count, count if whole is None else whole[0], events)
                continue
            if not piece.continues:
                exact, steps = tariffs.price(winner.rate, count)
            elif whole is None:
                exact, steps = tariffs.price(winner.rate, count, before, sum(alone))
            else:
                exact, steps = self.shared(winner.rate, count, *whole)
            yield self.usage_line(winner, resource, group, count, events, begin, end, one.id, exact, steps)
            before += count

    def shares(self, span, found, resource, one, own):
        """Of a meter that does not add up: the value of the whole time, and what of it each stretch is."""
        value, events = measure(resource, own, found[0][0], found[-1][1])
        present = min(span.stop, NEVER if one.ended is None else one.ended) - max(span.start, one.allocated)
        passed, taken = 0, []
        for begin, end, winner in found:
            before = quantity(value * passed / present)
            passed += end - begin
            count = quantity(value * passed / present) - before
            taken.append((begin, end, winner, count, events, (value, Fraction(end - begin, present))))
        return taken

    def shared(self, rate, count, value, share):
        """The price of a share of a value: each step of the whole, as far as the share goes."""
        if tariffs.is_linear(rate) or share == 1:
            return tariffs.price(rate, count)
        return tariffs.share_of(tariffs.price(rate, value)[1], share)

    def pieces(self, rate, start, stop):
        """Where prices restart, a tariff that is not linear counts anew where a month begins."""
        if tariffs.is_linear(rate):
            return [(start, stop)]
        return [(begin, end) for begin, end, _ in self.calendar.by_month(start, stop)]

    def usage_line(self, winner, resource, group, count, events, start, stop, instance, exact, steps):
        rate = winner.rate
        return priced(winner.book, exact, kind="usage", start=start, stop=stop, unit=resource["unit"], quantity=count,
                      rate=winner.index, instance=instance, resource=resource["resource"], dimensions=group, events=events,
                      steps=tuple(steps), unit_price=number(rate["price"]) if rate["kind"] == "per_unit" else None)

    # Usage priced together.

    def pools(self, span, resource, group, counted):
        """Lines of a customer: pools that continue each other are priced one after the other."""
        pools = {}
        for one in counted:
            key = self.pool_of(span, one)
            pools.setdefault(key[:4], []).append((key[4:], one))
        waiting, classes = [[key, entries] for key, entries in sorted(pools.items(), key=lambda pool: pool[0][:3])], []
        for pool in waiting:
            joined = [some for some in classes if span.continues and any(self.go_on(pool, other) for other in some)]
            classes = [some for some in classes if some not in joined] + [sum(joined, []) + [pool]]
        for some in classes:
            yield from self.class_lines(span, resource, group, self.merged(some) if span.continues else some)

    def pool_of(self, span, one):
        """What names a pool (beginning, version, rate), the part it is in; and, of one of its members, rate and end."""
        part = next((low, high) for low, high in span.parts if low <= one.start < high)
        if not span.continues:
            low, high = part
            if not tariffs.is_linear(one.winner.rate):
                month = self.calendar.month_around(one.start)
                low, high = max(low, month[0]), min(high, month[1])
            return low, one.winner.book["version"], one.winner.index, part, one.winner, high
        versions = segments(self.versions, *part)
        at = next(at for at, (_, low, high) in enumerate(versions) if low <= one.start < high)
        first = last = at
        winner = one.winner
        while first > 0 and self.twin(versions[first - 1][0], one.winner):
            first -= 1
            winner = self.twin(versions[first][0], one.winner)
        while last + 1 < len(versions) and self.twin(versions[last + 1][0], one.winner):
            last += 1
        return versions[first][1], winner.book["version"], winner.index, part, winner, max(versions[last][2], one.stop)

    def twin(self, book, winner):
        """The rate of another version with the same `match` that charges the same."""
        for index, rate in numbered(book, *tariffs.USAGE_KINDS):
            other = Winner(book, index, rate)
            if other.match == winner.match and other.alike(winner):
                return other
        return None

    def go_on(self, pool, other):
        """Whether two pools continue each other: the same `match`, or an instance that is in both."""
        rates = [entries[0][0][0].match for _, entries in (pool, other)]
        users = [{one.one for _, one in entries} for _, entries in (pool, other)]
        return rates[0] == rates[1] or bool(users[0] & users[1])

    def merged(self, some):
        """Pools by beginning; those of one part that charge the same are one."""
        found = []
        for key, entries in sorted(some, key=lambda pool: pool[0][:3]):
            same = next((pool for pool in found
                         if pool[0][3] == key[3] and pool[1][0][0][0].alike(entries[0][0][0])), None)
            if same:
                same[1] += entries
            else:
                found.append([key, list(entries)])
        return found

    def class_lines(self, span, resource, group, some):
        members = [one for _, entries in some for _, one in entries]
        whole = sum({one.one: one.whole for one in members}.values())
        total, before = sum(one.quantity for one in members), Fraction(0)
        adds = resource["meter"] in ("sum", "count", "time_integral")
        for (start, *_), entries in some:
            winner, stop = entries[0][0][0], max(end for (_, end), _ in entries)
            own = [one for _, one in entries]
            count, events = sum(one.quantity for one in own), frozenset().union(*(one.events for one in own))
            if span.continues and adds:
                exact, steps = tariffs.price(winner.rate, count, before, total)
                before += count
            elif span.continues and whole:
                exact, steps = self.shared(winner.rate, count, whole, Fraction(count) / whole)
            else:
                exact, steps = tariffs.price(winner.rate, count)
            yield self.usage_line(winner, resource, group, count, events, start, stop, None, exact, steps)

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

    def percentages(self, start, stop, lines):
        book = version_at(self.versions, start)
        for subject, index, rate in self.about_customer(book, "percentage"):
            base = sum((line.amount for line in lines if belongs(line, subject) and start <= line.start < stop), Fraction(0))
            if base > 0:
                percent = number(rate["percent"])
                yield priced(book, base * percent / 100, kind="percentage", start=start, stop=stop, unit="percent",
                             quantity=percent, rate=index, of=subject)

    def minimums(self, span, lines):
        chains = []
        for low, high in span.parts:
            book = version_at(self.versions, low)
            for subject, index, rate in self.about_customer(book, "minimum"):
                chain = next((one for one in chains if one[0] == subject and one[1][-1][1] == low), None)
                if chain is None:
                    chains.append((subject, [(low, high, book, index, rate)]))
                else:
                    chain[1].append((low, high, book, index, rate))
        for subject, parts in chains:
            months, owed = Fraction(0), Fraction(0)
            for low, high, _, _, rate in parts:
                count = self.months_owed(rate, low, high)
                months, owed = months + count, owed + count * number(rate["price"])
            start, stop, (_, _, book, index, _) = parts[0][0], parts[-1][1], parts[0]
            line = priced(book, owed, kind="minimum", start=start, stop=stop, unit="month", quantity=months, rate=index,
                          of=subject)
            have = sum((line.amount for line in lines if start <= line.start < stop
                        and (belongs(line, subject) or subject == "all" and line.kind == "percentage")), Fraction(0))
            if line.amount > have:
                line.amount, line.exact = line.amount - have, line.exact - have
                yield line

    def months_owed(self, rate, start, stop):
        """The months of a minimum: of all the time, or of that in which the customer held an instance."""
        times = [(max(start, one.allocated), min(stop, NEVER if one.ended is None else one.ended)) for one in self.instances]
        times = [(low, high, one) for (low, high), one in zip(times, self.instances) if low < high]
        if rate.get("proration", "allocated") == "none":
            return quantity(self.months(start, stop)) if times else Fraction(0)
        held = []
        for low, high, one in times:
            edges = sorted({low, high, *(at for at, _ in one.changes["state"] if low < at < high)})
            held += [(begin, end) for begin, end in zip(edges, edges[1:]) if value_at(one.changes["state"], begin) != "destroyed"]
        united = []
        for low, high in sorted(held):
            if united and low <= united[-1][1]:
                united[-1] = (united[-1][0], max(united[-1][1], high))
            else:
                united.append((low, high))
        return sum((quantity(self.months(low, high)) for low, high in united), Fraction(0))

    def lines(self):
        """All lines of the period; fees of rates in advance are among them, as if in arrears (`when` tells)."""
        return [line for line in self.rated() if line.quantity]

    def rated(self):
        """The same with usage of nothing, which is no line, but has events behind it."""
        found = []
        for span in self.spans():
            own = [*self.fees(span), *self.usage(span)]
            about = [line for low, high in span.parts for line in self.percentages(low, high, own)]
            about += self.minimums(span, own + about)
            for line in about:
                line.month = span.start
            found += own + about
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
