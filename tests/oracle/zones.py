"""Instants and calendars. An instant is a whole number of microseconds since 1970-01-01T00:00:00Z.

A calendar is a customer's row of months: each month is in the zone that counted when it began, and begins where the one
before ended. A change of zone counts from the month after the one in which it was made.
"""

import bisect
import datetime
import re
import zoneinfo

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
EPOCH = datetime.datetime(1970, 1, 1)
FORM = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$")
FIRST_MONTH = (2024, 1)


def instant(text):
    """Microseconds of an RFC 3339 text."""
    match = FORM.match(text)
    if not match:
        raise ValueError(f"{text!r} is not an instant")
    *numbers, part, offset = match.groups()
    at = micros(datetime.datetime(*map(int, numbers))) + int((part or "0").ljust(6, "0")[:6])
    if offset != "Z":
        minutes = int(offset[1:3]) * 60 + int(offset[4:6])
        at -= (minutes if offset[0] == "+" else -minutes) * 60 * SECOND
    return at


def micros(naive):
    """Microseconds of a datetime in UTC that does not say so."""
    delta = naive - EPOCH
    return (delta.days * 86400 + delta.seconds) * SECOND + delta.microseconds


def text(at):
    """An instant in RFC 3339, in UTC."""
    seconds, part = divmod(at, SECOND)
    whole = (EPOCH + datetime.timedelta(seconds=seconds)).isoformat()
    return whole + (f".{part:06}".rstrip("0") if part else "") + "Z"


def day_start(year, month, day, zone):
    """The first instant of a day where the zone is: of a midnight that comes twice the first, of one that never comes the
    first instant after it."""
    return first_at(datetime.datetime(year, month, day), zone)


def first_at(wall, zone):
    """The first instant at which clocks show a time, or the first one after it if they never do."""
    info = zoneinfo.ZoneInfo(zone)
    offsets = [info.utcoffset(wall.replace(fold=fold)) for fold in (0, 1)]
    early, late = (micros(wall - offset) for offset in offsets)
    if early <= late:
        return early
    # The clock jumped over it: the jump is between the two readings.
    low, high = late, early
    while high - low > SECOND:
        middle = (low + high) // 2 // SECOND * SECOND
        local = (EPOCH + datetime.timedelta(seconds=middle // SECOND)).replace(tzinfo=datetime.timezone.utc).astimezone(info)
        if local.replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle
    return high


def next_month(month):
    return (month[0] + month[1] // 12, month[1] % 12 + 1)


class Calendar:
    """The months of a customer; `zones` lists when a zone was named and which, the first one counting from ever."""

    def __init__(self, zones):
        self.zones = sorted(zones, key=lambda change: change[0])
        self.months = [FIRST_MONTH]
        self.month_zones = [self.zones[0][1]]
        self.starts = [day_start(*FIRST_MONTH, 1, self.zones[0][1])]

    def _grow(self):
        month = next_month(self.months[-1])
        start = day_start(*month, 1, self.month_zones[-1])
        zone = [name for at, name in self.zones if at < start] or [self.zones[0][1]]
        self.months.append(month)
        self.starts.append(start)
        self.month_zones.append(zone[-1])

    def month_start(self, month):
        while self.months[-1] < month:
            self._grow()
        return self.starts[self.months.index(month)]

    def month_around(self, at):
        """Start and stop of the month that an instant is in."""
        while self.starts[-1] <= at:
            self._grow()
        index = bisect.bisect_right(self.starts, at) - 1
        return self.starts[index], self.starts[index + 1]

    def zone_at(self, at):
        self.month_around(at)
        return self.month_zones[bisect.bisect_right(self.starts, at) - 1]

    def days_after(self, at, days):
        """The same local time so many days later, in the zone that counts then."""
        zone = self.zone_at(at)
        utc = (EPOCH + datetime.timedelta(microseconds=at)).replace(tzinfo=datetime.timezone.utc)
        wall = utc.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None, fold=0) + datetime.timedelta(days=days)
        later = first_at(wall, zone)
        return later if self.zone_at(later) == zone else first_at(wall, self.zone_at(later))

    def months_between(self, one, other):
        """How many calendar months an instant is after another one."""
        return self.number(other) - self.number(one)

    def number(self, at):
        self.month_around(at)
        return bisect.bisect_right(self.starts, at) - 1

    def bound(self, value):
        """An end of a period: an instant as it is, a date as midnight in the zone of its month."""
        if "T" in value:
            return instant(value)
        year, month, day = map(int, value.split("-"))
        start = self.month_start((year, month))
        if day == 1:
            return start
        return day_start(year, month, day, self.month_zones[self.months.index((year, month))])

    def start_of(self, day):
        """The first instant of a day: it is not before its month begins."""
        month = self.month_start((day.year, day.month))
        return max(month, self.bound(day.isoformat()))

    def date_of(self, at):
        """The day that an instant is in."""
        start, _ = self._day_around(at)
        self.month_around(at)
        year, month = self.months[bisect.bisect_right(self.starts, at) - 1]
        dates = (datetime.date(year, month, day) for day in range(1, 29))
        day = max(date for date in [*dates, *self._last_days(year, month)] if self.start_of(date) <= start)
        return day

    @staticmethod
    def _last_days(year, month):
        first = datetime.date(*next_month((year, month)), 1)
        return [day for day in (first - datetime.timedelta(n) for n in (1, 2, 3)) if day.month == month]

    def _day_around(self, at):
        """Start and stop of the local day that an instant is in: days of a month begin as its zone has them."""
        begin, end = self.month_around(at)
        index = bisect.bisect_right(self.starts, at) - 1
        (year, month), zone = self.months[index], self.month_zones[index]
        starts = [begin]
        for day in range(2, 32):
            try:
                start = day_start(year, month, day, zone)
            except ValueError:
                break
            if starts[-1] < start < end:
                starts.append(start)
        starts.append(end)
        index = bisect.bisect_right(starts, at) - 1
        return starts[index], starts[index + 1]

    def by_day(self, start, stop):
        """The pieces of a period that lie in one local day each, with the length of that day."""
        pieces = []
        while start < stop:
            begin, end = self._day_around(start)
            pieces.append((start, min(end, stop), end - begin))
            start = pieces[-1][1]
        return pieces

    def by_month(self, start, stop):
        """The pieces of a period that lie in one month each, with the length of that month."""
        pieces = []
        while start < stop:
            begin, end = self.month_around(start)
            pieces.append((start, min(end, stop), end - begin))
            start = pieces[-1][1]
        return pieces
