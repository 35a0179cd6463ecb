"""The units of a fee (docs/price-books.md, "Units of a fee"): where they begin, and what of them a time is."""

import bisect
import datetime
from fractions import Fraction

from zones import HOUR

MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Units are made for these years: the months of a scenario, and a year's unit before and after them.
FIRST, LAST = datetime.date(2024, 6, 1), datetime.date(2029, 1, 1)


def days(every, anchor):
    """The days on which units begin."""
    if every == "day":
        return [FIRST + datetime.timedelta(n) for n in range((LAST - FIRST).days)]
    if every == "week":
        anchor = anchor or datetime.date(2024, 6, 3)  # a Monday
        first = FIRST + datetime.timedelta((anchor - FIRST).days % 7)
        return [first + datetime.timedelta(7 * n) for n in range((LAST - first).days // 7)]
    anchor, found = anchor or datetime.date(2024, 1, 1), []
    step = MONTHS[every]
    for month in range((anchor.year - 2024) * 12 + anchor.month - 1 - 1200 * step, 60, step):
        year, number = 2024 + month // 12, month % 12 + 1
        last = (datetime.date(year + number // 12, number % 12 + 1, 1) - datetime.timedelta(1)).day
        found.append(datetime.date(year, number, min(anchor.day, last)))
    return [day for day in found if FIRST <= day < LAST]


class Units:
    """The units of a rate for somebody; `since` is the instant whose day an anniversary is."""

    def __init__(self, calendar, rate, since):
        self.every, self.calendar = rate["every"], calendar
        anchor = rate.get("anchor", "calendar")
        self.anchored = anchor != "calendar"
        self.whole = rate.get("proration", "time") == "whole"
        if self.every == "hour":
            return
        day = None
        if anchor == "anniversary":
            day = calendar.date_of(since)
        elif self.anchored:
            day = datetime.date.fromisoformat(anchor)
        self.starts = sorted({calendar.start_of(one) for one in days(self.every, day)})

    def around(self, at):
        """Start and stop of the unit that an instant is in."""
        if self.every == "hour":
            return at // HOUR * HOUR, at // HOUR * HOUR + HOUR
        index = bisect.bisect_right(self.starts, at) - 1
        return self.starts[index], self.starts[index + 1]

    def begun(self, start, stop):
        """The units that have any time of a time."""
        while start < stop:
            unit = self.around(start)
            yield unit
            start = unit[1]

    def count(self, start, stop, paid_before):
        """How many units a time is. `paid_before` says of a time before it, in the same unit, whether the fee was owed."""
        if self.whole:
            units = list(self.begun(start, stop))
            first = units[0][0]
            return Fraction(len(units) - (1 if first < start and paid_before(first, start) else 0))
        if self.every in ("quarter", "year") and not self.anchored:
            months = sum((Fraction(end - begin, length) for begin, end, length in self.calendar.by_month(start, stop)), Fraction(0))
            return months / MONTHS[self.every]
        parts = ((begin, end, max(begin, start), min(end, stop)) for begin, end in self.begun(start, stop))
        return sum((Fraction(high - low, end - begin) for begin, end, low, high in parts), Fraction(0))
