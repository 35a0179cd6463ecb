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
from fee_units import Units
from lines import priced
from matching import best
from meters import carried, measure
from reductions import Discounts, Maximums, Month
from taxes import release_at

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
    """The rates of some kinds, those of overrides first."""
    own = book.get("overrides", [])
    return [(index, rate) for index, rate in [*own, *enumerate(book["rates"], 1)] if rate["kind"] in kinds]


def number_of_override(name):
    """What an override has for the number of a rate: more than any rate has."""
    return 2**32 - 1 - int(name.rsplit("-", 1)[1])


def is_override(index):
    return index > 2**31


def override_of(index):
    return f"OVERRIDE-{2**32 - 1 - index}" if index and is_override(index) else None


def with_overrides(versions, overrides):
    """Versions cut where overrides (start, stop, number, rate) begin and end; each has those that count."""
    if not overrides:
        return versions
    edges = {book["valid_from_at"] for book in versions} | {at for start, stop, *_ in overrides for at in (start, stop)}
    found = []
    for edge in sorted(edges):
        book = version_at(versions, edge)
        if book:
            own = [(index, rate) for start, stop, index, rate in overrides if start <= edge < stop]
            found.append({**book, "valid_from_at": edge, "overrides": own})
    return found


def preferred(rates, attributes):
    """The best override, or else the best rate of the book."""
    own = best([one for one in rates if is_override(one[0])], attributes)
    return own or best([one for one in rates if not is_override(one[0])], attributes)


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
    trial: bool = False  # whether it is in days that cost nothing

    @property
    def match(self):
        return self.rate.get("match") or {}

    def alike(self, other):
        """Whether both charge the same: all fields but `match`, the declaration of the resource, and the rounding."""
        fields = [{key: value for key, value in one.rate.items() if key != "match"} for one in (self, other)]
        measured = [declared(one.book, one.rate["resource"]) if one.rate["kind"] in tariffs.USAGE_KINDS else None
                    for one in (self, other)]
        return self.trial == other.trial and fields[0] == fields[1] and measured[0] == measured[1] and self.book["rounding"] == other.book["rounding"]

    def same(self, other):
        return (self.book["version"], self.index, self.trial) == (other.book["version"], other.index, other.trial)


@dataclasses.dataclass(frozen=True)
class Span:
    """A time in which things are counted together: a month of versions that continue, or the time of one that restarts.
    `parts` are cut where a customer's percentages, minimums or maximums change."""

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

    def __init__(self, facts, customer, versions, start, stop, tax=None, discounted=None, cuts=None):
        self.cuts = cuts  # where a change of tax may cut lines
        self.discounted = discounted or {}  # how many invoices have a discount
        self.facts, self.customer, self.versions, self.tax = facts, customer, versions, tax or (lambda line: None)
        self.start, self.stop = start, stop
        self.calendar = facts.calendars[customer]
        self.instances = facts.owned_by(customer)
        self.known_units = {}

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
                month = span.within(low, high)
                yield dataclasses.replace(month, parts=tuple(cut for part in month.parts for cut in self.cut_by_tax(*part)))

    def is_cut_at(self, at):
        """Whether a change of tax at an instant cuts lines."""
        book = version_at(self.versions, at) if self.cuts else None
        return bool(book) and book.get("on_tax_change") == "cut"

    def cut_by_tax(self, start, stop, product=(None, None)):
        """A time in parts, cut where the tax of a product changes."""
        edges = sorted({start, stop, *(self.cuts.edges(start, stop) if self.cuts else ())})
        found = []
        for begin, end in zip(edges, edges[1:]):
            if found and not (self.is_cut_at(begin) and self.cuts.at(begin - 1, product) != self.cuts.at(begin, product)):
                found[-1] = (found[-1][0], end)
            else:
                found.append((begin, end))
        return found

    def same_customer_rates(self, one, other):
        rows = []
        for book in (one, other):
            rows.append([Winner(book, index, rate) for kind in ("percentage", "minimum", "maximum", "base_fee")
                         for _, index, rate in self.about_customer(book, kind)])
            rows[-1] += [winner for _, winner in self.discounts_of(book)]
        if [row.rate for row in self.about_instances(one)] != [row.rate for row in self.about_instances(other)]:
            return False
        return len(rows[0]) == len(rows[1]) and all(any(own.alike(theirs) for theirs in rows[1]) for own in rows[0])

    def about_instances(self, book):
        """The maximums of a customer's instances and their lines, in an order that says nothing."""
        found = [Winner(book, index, rate) for index, rate in numbered(book, "maximum") if rate["per"] != "customer"
                 and (rate.get("match") or {}).get("customer", self.customer) == self.customer]
        return sorted(found, key=lambda one: sorted(one.rate.items(), key=repr).__repr__())

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
        taxed = self.cuts is not None and "maximum" not in kinds
        edges = sorted(edges | self.cuts.edges(low, high) if taxed else edges)
        found, before = [], None
        for begin, end in zip(edges, edges[1:]):
            winner = self.winner(one, kinds, subject, begin, dimensions)
            if winner is None:
                continue
            for begin, end, winner in self.by_trial(one, begin, end, winner):
                last = found[-1] if found and found[-1][1] == begin else None
                tax = self.cuts.at(begin, self.sold(one, winner, begin)) if taxed else None
                cut = tax != before and self.is_cut_at(begin)
                if last and not cut and (last[2].same(winner) or continues and last[2].alike(winner)):
                    found[-1] = (last[0], end, last[2])
                else:
                    found.append((begin, end, winner))
                before = tax
        return found

    def sold(self, one, winner, at):
        """The release and the resource that a rate charges an instance for; what is priced together is of no release."""
        together = winner.rate.get("per") == "customer" and not winner.trial
        return None if together else release_at(one, at), winner.rate.get("resource")

    def by_trial(self, one, start, stop, winner):
        """A time before and after the end of the days that cost nothing."""
        days = (winner.rate.get("trial") or {}).get("days")
        end = self.calendar.days_after(one.allocated, days) if days else start
        if start < end:
            yield start, min(stop, end), dataclasses.replace(winner, trial=True)
        if end < stop:
            yield max(start, end), stop, winner

    def winner(self, one, kinds, subject, at, dimensions=(), since=EVER):
        """The best rate at an instant; before `since` an instance is what it was first."""
        book = version_at(self.versions, at)
        if book is None:
            return None
        members = self.attributes(one, at)
        if at < since:
            members.update({key: changes[0][1] for key, changes in one.changes.items()})
        members.update({("dimension", key): value for key, value in dimensions})
        found = preferred([(index, rate) for index, rate in numbered(book, *kinds) if subject(rate)], members)
        if found is None:
            return None
        until = found[1].get("until", "destroy_requested")
        if found[1]["kind"] == "recurring" and until == "destroy_requested" and members.get("state") == "destroyed":
            return None
        return Winner(book, *found)

    def months(self, start, stop):
        """A time in months, exactly."""
        return sum((Fraction(end - begin, length) for begin, end, length in self.calendar.by_month(start, stop)), Fraction(0))

    # Fees.

    def units(self, rate, since):
        """The units of a fee, made once for each kind of them."""
        terms = [rate.get(name) for name in ("every", "anchor", "proration")]
        key = (*terms, self.calendar.date_of(since) if rate.get("anchor") == "anniversary" else None)
        if key not in self.known_units:
            self.known_units[key] = Units(self.calendar, rate, since)
        return self.known_units[key]

    def time_of_fee(self, one, rate, start, stop):
        """How many units of a fee the time of an instance is, exactly."""
        since = one.allocated
        if rate.get("per") == "customer":
            since = min(other.allocated for other in self.instances)

        def of_item(other):
            return other.get("item") == rate.get("item")

        def paid_before(low, high):
            return any(counts_alike(winner.rate, rate)
                       for _, _, winner in self.stretches(one, ("recurring",), of_item, low, high, False))

        return self.units(rate, since).count(start, stop, paid_before)

    def fee(self, one, kind, winner, start, stop):
        count = self.time_of_fee(one, winner.rate, start, stop)
        return self.fee_line(winner, quantity(count), start, stop, kind=kind, instance=one.id, when=winner.rate["when"])

    def fee_line(self, winner, count, start, stop, kind="recurring", **more):
        rate = winner.rate
        price = Fraction(0) if winner.trial else number(rate["price"])
        steps = (tariffs.Step(count, Fraction(0)),) if winner.trial else ()
        return priced(winner.book, count * price, kind=kind, start=start, stop=stop, unit=rate["every"], quantity=count,
                      steps=steps, rate=winner.index, item=rate.get("item"), unit_price=price, **more)

    def first_alike(self, winner, low, high):
        """The first rate of a part of a month that charges the same, and the time from there to the end of the last."""
        found = [(begin, end, Winner(book, index, rate)) for book, begin, end in segments(self.versions, low, high)
                 for index, rate in numbered(book, "recurring") if Winner(book, index, rate).alike(winner)]
        return found[0][2], found[0][0], found[-1][1]

    def fees_together(self, span, counted):
        """Lines of fees for all instances; `counted` is made of rates and the times they had, by part of the span."""
        lines = {}
        for (low, high), one, begin, end, winner in counted:
            named, start, stop = self.first_alike(winner, low, high) if span.continues else (winner, low, high)
            key = (start, named.book["version"], named.index)
            line = lines.setdefault(key, [named, stop, Fraction(0)])
            line[2] += self.time_of_fee(one, winner.rate, begin, end)
        for (start, *_), (named, stop, count) in sorted(lines.items(), key=lambda line: line[0]):
            yield self.fee_line(named, quantity(count), start, stop)

    def base_fees(self, span):
        for low, high in span.parts:
            book = version_at(self.versions, low)
            for _, index, rate in self.about_customer(book, "base_fee"):
                since = min((one.allocated for one in self.instances), default=None)
                times = self.owed(rate, low, high)
                if not times:
                    continue
                units = self.units(rate, since)
                count = sum((units.count(begin, end, functools.partial(self.base_fee_before, rate)) for begin, end in times),
                            Fraction(0))
                yield self.fee_line(Winner(book, index, rate), quantity(count), low, high, of=subject_of(rate))

    def base_fee_before(self, rate, start, stop):
        """Whether a base fee of the same units was owed in a time."""
        for book, low, high in segments(self.versions, start, stop):
            for subject, _, other in self.about_customer(book, "base_fee"):
                if subject == subject_of(rate) and counts_alike(other, rate) and self.owed(other, low, high):
                    return True
        return False

    def owed(self, rate, start, stop):
        """The times for which a base fee is owed."""
        return [(start, stop)] if rate.get("owed", "allocated") == "always" else self.held(start, stop)

    def items(self):
        found = {rate.get("item") for book in self.versions for _, rate in numbered(book, "recurring")}
        return sorted(found, key=lambda item: item or "")

    def fees(self, span):
        """Fees for allocated time, those of rates in advance too: as if in arrears."""
        together = []
        for one in self.instances:
            for item in self.items():
                for low, high in span.parts:
                    of_item = functools.partial(lambda item, rate: rate.get("item") == item, item)
                    for begin, end, winner in self.stretches(one, ("recurring",), of_item, low, high, span.continues):
                        if winner.rate.get("per") == "customer":
                            together.append(((low, high), one, begin, end, winner))
                        else:
                            yield self.fee(one, "recurring", winner, begin, end)
        yield from self.fees_together(span, together)

    def in_advance(self):
        """What is charged from the end of the period to the end of that month, for each instance that is allocated then."""
        after = self.stop, self.calendar.month_around(self.stop)[1]
        for one in self.instances:
            if not one.allocated <= self.stop < (NEVER if one.ended is None else one.ended):
                continue
            for item in self.items():
                winner = self.winner(one, ("recurring",), lambda rate: rate.get("item") == item, self.stop)
                if winner and winner.rate["when"] == "advance":
                    for begin, end, part in self.by_trial(one, *after, winner):
                        yield self.fee(one, "advance", part, begin, end)

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
                parts = [part for part in self.reported(one, resource) if part.start < high and part.stop > low]
                for group, own in self.groups(resource, parts):
                    for line in self.of_group(span, piece, resource, one, group, own):
                        if not isinstance(line, Counted):
                            yield line
                        elif line.quantity:  # what adds nothing is not behind the line
                            together.setdefault(group, []).append(line)
            for group, counted in together.items():
                yield from self.pools(piece, resource, group, counted)

    def reported(self, one, resource):
        """What was reported of a resource of an instance; levels may carry over until the instance ends."""
        parts = [part for part in self.facts.parts[one.id] if part.resource == resource["resource"]]
        if not resource.get("carry_over"):
            return parts
        until = NEVER if one.ended is None else one.ended
        return [part for _, own in self.groups(resource, parts) for part in carried(own, until)]

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
        alone = [count for _, _, winner, count, _, _ in taken if winner.rate.get("per") != "customer" and not winner.trial]
        for begin, end, winner, count, events, whole in taken:
            if winner.trial:
                steps = [tariffs.Step(count, Fraction(0))]
                yield self.usage_line(winner, resource, group, count, events, begin, end, one.id, Fraction(0), steps)
                continue
            trial = self.left_of_trial(winner, resource, group, [one], piece.start if piece.continues else begin)
            if winner.rate.get("per") == "customer":
                yield Counted(winner, one.id, begin, end, count, count if whole is None else whole[0], events)
                continue
            if not piece.continues:
                exact, steps = tariffs.price(winner.rate, count, trial=trial)
            elif whole is None:
                exact, steps = tariffs.price(winner.rate, count, before, sum(alone), trial)
            else:
                exact, steps = self.shared(winner.rate, count, *whole)
            yield self.usage_line(winner, resource, group, count, events, begin, end, one.id, exact, steps)
            before += count

    def left_of_trial(self, winner, resource, group, instances, at):
        """What is left of the first units of instances at an instant."""
        trial = (winner.rate.get("trial") or {}).get("quantity")
        if trial is None:
            return Fraction(0)
        used = Fraction(0)
        for one in instances:
            if one.allocated < at:
                own = dict(self.groups(resource, self.reported(one, resource))).get(group, [])
                used += measure(resource, own, one.allocated, at)[0]
        return max(number(trial) - used, Fraction(0))

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
                      steps=tuple(steps),
                      unit_price=number(rate["price"]) if rate["kind"] == "per_unit" and not winner.trial else None)

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
        if span.continues:
            cut = self.cut_by_tax(*part, (None, one.winner.rate["resource"]))
            part = next((low, high) for low, high in cut if low <= one.start < high)
        else:
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
            trial = self.left_of_trial(winner, resource, group, self.instances, span.start if span.continues else start)
            if span.continues and adds:
                exact, steps = tariffs.price(winner.rate, count, before, total, trial)
                before += count
            elif span.continues and whole:
                exact, steps = self.shared(winner.rate, count, whole, Fraction(count) / whole)
            else:
                exact, steps = tariffs.price(winner.rate, count, trial=trial)
            yield self.usage_line(winner, resource, group, count, events, start, stop, None, exact, steps)

    # What is about the customer.

    def about_customer(self, book, kind):
        """The best rate of a kind for each subject."""
        subjects = collections.defaultdict(list)
        for index, rate in numbered(book, kind):
            if rate.get("per", "customer") == "customer":
                subjects[subject_of(rate)].append((index, rate))
        for subject, rates in sorted(subjects.items()):
            winner = preferred(rates, {"customer": self.customer})
            if winner:
                yield subject, *winner

    def discounts_of(self, book):
        """The best discount of each item."""
        items = collections.defaultdict(list)
        for index, rate in numbered(book, "discount"):
            items[rate.get("item") or ""].append((index, rate))
        found = [(item, preferred(rates, {"customer": self.customer})) for item, rates in sorted(items.items())]
        return [(item, Winner(book, *winner)) for item, winner in found if winner]

    def discounts_at(self, at):
        book = version_at(self.versions, at)
        return self.discounts_of(book) if book else []

    def about(self, kind, wanted, at, per=None):
        """The best rate of a kind for a subject at an instant."""
        book = version_at(self.versions, at)
        for subject, index, rate in self.about_customer(book, kind):
            if subject == wanted and per == rate.get("per"):
                return Winner(book, index, rate)
        return None

    def allocated(self, start, stop):
        """The times in which any instance is allocated."""
        times = [(max(start, one.allocated), min(stop, NEVER if one.ended is None else one.ended)) for one in self.instances]
        return united([(low, high) for low, high in times if low < high])

    def percentages(self, start, stop, month):
        book = version_at(self.versions, start)
        for subject, index, rate in self.about_customer(book, "percentage"):
            base = month.sum(line for line in month.lines if belongs(line, subject) and start <= line.start < stop)
            if base > 0:
                percent = number(rate["percent"])
                yield priced(book, base * percent / 100, kind="percentage", start=start, stop=stop, unit="percent",
                             quantity=percent, rate=index, of=subject)

    def minimums(self, span, month):
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
            have = month.sum(line for line in month.lines if start <= line.start < stop
                             and (belongs(line, subject) or subject == "all" and line.kind == "percentage"))
            if line.amount > have:
                line.amount, line.exact = line.amount - have, line.exact - have
                yield line

    def months_owed(self, rate, start, stop):
        """The months of a minimum: of all the time, or of that in which the customer held an instance."""
        times = [(max(start, one.allocated), min(stop, NEVER if one.ended is None else one.ended)) for one in self.instances]
        times = [(low, high, one) for (low, high), one in zip(times, self.instances) if low < high]
        if rate.get("proration", "allocated") == "none":
            return quantity(self.months(start, stop)) if times else Fraction(0)
        return sum((quantity(self.months(low, high)) for low, high in self.held(start, stop)), Fraction(0))

    def held(self, start, stop):
        """The times in which the customer had an instance that was not to be destroyed, without overlaps."""
        times = [(max(start, one.allocated), min(stop, NEVER if one.ended is None else one.ended), one) for one in self.instances]
        held = []
        for low, high, one in times:
            if low >= high:
                continue
            edges = sorted({low, high, *(at for at, _ in one.changes["state"] if low < at < high)})
            held += [(begin, end) for begin, end in zip(edges, edges[1:]) if value_at(one.changes["state"], begin) != "destroyed"]
        return united(held)

    def lines(self):
        """All lines of the period; fees of rates in advance are among them, as if in arrears (`when` tells)."""
        return [line for line in self.rated() if line.quantity]

    def rated(self):
        """The same with usage of nothing, which is no line, but has events behind it."""
        found = []
        for span in self.spans():
            own = [*self.fees(span), *self.usage(span), *self.base_fees(span)]
            month = Month(own, self.tax)
            maximums = Maximums(self, span, month, belongs, subject_of)
            about = list(maximums.of_instances())
            percentages = [line for low, high in span.parts for line in self.percentages(low, high, month)]
            for line in percentages:
                month.add(line)
            about += percentages
            about += Discounts(self, span, month, belongs, subject_of).lines()
            about += maximums.of_customer()
            about += self.minimums(span, month)
            for line in about:
                line.month = span.start
            found += own + about
        return found


def united(times):
    """Times without overlaps; those that touch are one."""
    found = []
    for low, high in sorted(times):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def subject_of(rate):
    """What a percentage, minimum or maximum is of: `all`, `recurring`, `usage`, or `resource:` and its name; of a base fee
    its item."""
    if rate["kind"] == "base_fee":
        return f"item:{rate.get('item') or ''}"
    of = rate.get("of")
    if isinstance(of, dict):
        return f"resource:{of['resource']}"
    if rate.get("resource"):
        return f"resource:{rate['resource']}"
    return of or "all"


def counts_alike(one, other):
    """Whether two fees count their time in the same units."""
    usual = {"anchor": "calendar", "proration": "time", "per": "instance"}
    return all(one.get(name, usual.get(name)) == other.get(name, usual.get(name))
               for name in ("every", "anchor", "proration", "per"))


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
