"""How usage of a period becomes one quantity (docs/price-books.md, "Meters").

A `Part` is the time of one usage event that belongs to one instance. Of a counter the quantity is divided among the parts of
the event by their times, and is spread evenly over each; of a gauge each part has the level.
"""

import dataclasses
from fractions import Fraction

from exact import half_up, quantity, toward_zero
from units import factor
from zones import DAY, HOUR


@dataclasses.dataclass(frozen=True)
class Part:
    """An instance's share of a usage event."""

    sequence: int
    resource: str
    start: int
    stop: int
    value: Fraction  # as reported: of a gauge, the level
    share: Fraction  # of a counter: what of it is this part's
    dimensions: tuple

    def has_time_in(self, start, stop):
        return self.start < stop and self.stop > start

    def time_in(self, start, stop):
        return max(0, min(self.stop, stop) - max(self.start, start))

    def counted_until(self, at):
        """Of a counter: what of it lies before an instant, as if divided at every boundary anew."""
        passed = min(max(at, self.start), self.stop) - self.start
        return toward_zero(self.share * passed / (self.stop - self.start), 9)


def carried(parts, until):
    """The parts of a group with the times between them, and after the last of them until an instant, in which the level of the
    part that stopped last holds."""
    found, latest, at = list(parts), None, None
    for part in sorted(parts, key=lambda part: part.start):
        if latest and at < min(part.start, until):
            found.append(dataclasses.replace(latest, start=at, stop=min(part.start, until)))
        at = part.stop if latest is None else max(at, part.stop)
        if latest is None or (part.stop, part.start, part.sequence) > (latest.stop, latest.start, latest.sequence):
            latest = part
    if latest and at < until:
        found.append(dataclasses.replace(latest, start=at, stop=until))
    return found


def parts_in(meter, parts, start, stop):
    """The parts that a meter looks at."""
    if meter == "count":
        return [part for part in parts if start < part.stop <= stop]
    return [part for part in parts if part.has_time_in(start, stop)]


def average(parts, start, stop):
    times = [part.time_in(start, stop) for part in parts]
    return sum(part.value * time for part, time in zip(parts, times)) / sum(times)


def percentile(parts, start, stop, percent, minutes):
    """The samples are cut from the UTC epoch on; one that the period cuts is what lies inside."""
    size = minutes * 60_000_000
    weights, sums = {}, {}
    for part in parts:
        low, high = max(part.start, start), min(part.stop, stop)
        for sample in range(low // size, -(-high // size)):
            time = min(high, (sample + 1) * size) - max(low, sample * size)
            weights[sample] = weights.get(sample, 0) + time
            sums[sample] = sums.get(sample, 0) + part.value * time
    values = sorted(half_up(sums[sample] / weights[sample], 9) for sample in sums)
    return values[-(-percent * len(values) // 100) - 1]


def reading(resource, parts, start, stop):
    """The exact value of a meter, before any factor; there is at least one part."""
    meter = resource["meter"]
    if meter == "sum":
        return sum((part.counted_until(stop) - part.counted_until(start) for part in parts), Fraction(0))
    if meter == "count":
        return Fraction(len(parts))
    if meter == "time_integral":
        return sum((part.value * part.time_in(start, stop) for part in parts), Fraction(0)) / HOUR
    if meter == "min":
        return min(part.value for part in parts)
    if meter == "max":
        return max(part.value for part in parts)
    if meter == "average":
        return average(parts, start, stop)
    if meter == "latest":
        return max(parts, key=lambda part: (min(part.stop, stop), part.start, part.sequence)).value
    if meter == "unique_count":
        values = {dict(part.dimensions).get(resource["dimension"]) for part in parts}
        return Fraction(len(values - {None}))
    if meter == "percentile":
        minutes = int(resource.get("sample_minutes") or 5)
        assert DAY % (minutes * 60_000_000) == 0
        return percentile(parts, start, stop, int(resource.get("percent") or 95), minutes)
    raise ValueError(f"meter {meter!r}")


def conversion(resource):
    """The factor from what a meter reads to the unit of the resource."""
    if resource.get("reported_in"):
        return factor(resource["reported_in"], resource["unit"], resource["meter"] == "time_integral")
    return Fraction(int(resource.get("multiply_by") or 1), int(resource.get("divide_by") or 1))


def measure(resource, parts, start, stop):
    """Quantity and events of a period; no events, no quantity."""
    parts = parts_in(resource["meter"], parts, start, stop)
    if not parts:
        return Fraction(0), frozenset()
    value = reading(resource, parts, start, stop) * conversion(resource)
    return quantity(value), frozenset(part.sequence for part in parts)
