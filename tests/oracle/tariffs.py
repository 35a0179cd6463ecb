"""What a quantity costs (docs/price-books.md, "How lines are computed", "Usage"): exact, with the steps that lead there."""

import dataclasses
from fractions import Fraction

from exact import number

USAGE_KINDS = ("per_unit", "graduated", "volume", "package")


@dataclasses.dataclass(frozen=True)
class Step:
    """So many units (or packages) at a price, and what is charged once."""

    quantity: Fraction
    price: Fraction
    flat: Fraction = Fraction(0)

    @property
    def amount(self):
        return self.quantity * self.price + self.flat


def is_linear(rate):
    """Whether two lines cost what one line of both would cost."""
    return rate["kind"] == "per_unit" and not rate.get("free")


def tiers_of(rate):
    """Lower bound (outside), upper bound (inside, or none), price and flat of each tier."""
    lower = Fraction(0)
    for tier in rate["tiers"]:
        upper = number(tier["up_to"]) if tier.get("up_to") is not None else None
        yield lower, upper, number(tier.get("price") or "0"), number(tier.get("flat") or "0")
        lower = upper


def price(rate, quantity):
    """The exact amount of a quantity, and its steps; what is free is a step that costs nothing, and the first."""
    free = min(quantity, number(rate.get("free") or "0"))
    charged = quantity - free
    kind, steps = rate["kind"], [Step(free, Fraction(0))]
    if kind == "per_unit":
        steps.append(Step(charged, number(rate["price"])))
    elif kind == "package":
        steps.append(Step(Fraction(-(-charged // number(rate["size"]))), number(rate["price"])))
    elif kind == "graduated":
        for lower, upper, unit_price, flat in tiers_of(rate):
            inside = (charged if upper is None else min(charged, upper)) - lower
            if inside > 0:
                steps.append(Step(inside, unit_price, flat))
    elif kind == "volume":
        for lower, upper, unit_price, flat in tiers_of(rate):
            if lower < charged and (upper is None or charged <= upper):
                steps.append(Step(charged, unit_price, flat))
    else:
        raise ValueError(f"rate {kind!r}")
    return sum((step.amount for step in steps), Fraction(0)), [step for step in steps if step.quantity]
