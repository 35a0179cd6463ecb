"""Random usage of one instance and resource: quarter-hours, hours, days, odd intervals, and some over the edge of a month."""

from random_books import DIMENSIONS
from zones import DAY, HOUR, SECOND

QUARTER = HOUR // 4


def intervals(random, start, stop, edges):
    """Intervals somewhere between two instants; they may overlap, and reach over `edges`."""
    kind = random.choice(["quarters", "hours", "days", "odd", "odd", "edge"])
    if kind in ("quarters", "hours", "days"):
        step = {"quarters": QUARTER, "hours": HOUR, "days": DAY}[kind]
        begin = random.randint(start // step, max(start // step, stop // step - 1)) * step
        count = random.randint(3, {"quarters": 24, "hours": 20, "days": 12}[kind])
        return [(begin + n * step, begin + (n + 1) * step) for n in range(count) if begin + (n + 1) * step <= stop + step]
    if kind == "edge":
        edge = random.choice(edges)
        return [(edge - random.randint(1, 5 * DAY // SECOND) * SECOND, edge + random.randint(0, 3 * DAY // SECOND) * SECOND)
                for _ in range(random.randint(1, 3))]
    made = []
    for _ in range(random.randint(2, 8)):
        begin = random.randint(start // SECOND, stop // SECOND) * SECOND
        length = random.choice([1, 59, 60, 3599, 7201, 86399, 100000, 500000, random.randint(1, 900000)]) * SECOND
        made.append((begin, begin + length))
    if random.random() < 0.1:
        made.append((start + 123456, start + 7_654_321))  # parts of seconds
    return made


def quantity(random, kind):
    if random.random() < 0.05:
        return "0"
    if kind == "counter":
        return random.choice([str(random.randint(1, 5000)), f"{random.randint(0, 99)}.{random.randint(1, 999999999):09}"])
    return random.choice([str(random.randint(1, 400)), f"{random.randint(0, 100)}.{random.randint(0, 99):02}", "12.5"])


def dimensions(random, names):
    return {name: random.choice(DIMENSIONS[name]) for name in names if random.random() < 0.85}
