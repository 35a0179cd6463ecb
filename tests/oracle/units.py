"""Units that are known, and the factor between two of them (docs/price-books.md, "Units that are known")."""

from fractions import Fraction

BYTES = {"B": 1, **{p + "B": 1000**n for n, p in enumerate(["k", "M", "G", "T", "P"], 1)},
         **{p + "iB": 1024**n for n, p in enumerate(["K", "M", "G", "T", "P"], 1)}}
BITS = {"bit": 1, **{p + "bit": 1000**n for n, p in enumerate(["k", "M", "G", "T"], 1)}}
TIMES = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
SHARES = {"percent": 1, "core": 100}
COUNTS = {"1": 1, "thousand": 1000, "million": 10**6}
KINDS = {"bytes": BYTES, "bits": BITS, "time": TIMES, "share": SHARES, "count": COUNTS}


def single(name):
    for kind, units in KINDS.items():
        if name in units:
            return kind, Fraction(units[name])
    raise ValueError(f"unit {name!r} is not known")


def dissolve(name):
    """Kind and size of a unit that may be a product with a time."""
    if "_" in name:
        left, right = name.rsplit("_", 1)
        kind, size = single(left)
        time, seconds = single(right)
        if time != "time":
            raise ValueError(f"{name!r} is not a product with a time")
        return (kind, "time"), size * seconds
    kind, size = single(name)
    return (kind,), size


def factor(reported, wanted, integral):
    """By what a reading in `reported` is multiplied to be in `wanted`; an integral has gained hours."""
    kind, size = dissolve(f"{reported}_hour" if integral else reported)
    wanted_kind, wanted_size = dissolve(wanted)
    if kind != wanted_kind:
        raise ValueError(f"{reported!r} does not become {wanted!r}")
    return size / wanted_size
