"""What a quantity costs (docs/price-books.md, "How lines are computed", "Usage"): exact, with the steps that lead there."""

import dataclasses
from fractions import Fraction

from exact import half_up, number

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
    return rate["kind"] == "per_unit" and not rate.get("free") and "quantity" not in (rate.get("trial") or {})


def tiers_of(rate):
    """Lower bound (outside), upper bound (inside, or none), price and flat of each tier."""
    lower = Fraction(0)
    for tier in rate["tiers"]:
        upper = number(tier["up_to"]) if tier.get("up_to") is not None else None
        yield lower, upper, number(tier.get("price") or "0"), number(tier.get("flat") or "0")
        lower = upper


def price(rate, quantity, before=Fraction(0), total=None, trial=Fraction(0)):
    """The exact amount of a quantity that follows others of its month, and its steps; what is free is a step that costs
    nothing, and the first. `total` is all that is counted together, `trial` what is left of a trial when the month begins."""
    total = quantity if total is None else total
    allowance = number(rate.get("free") or "0") + trial
    free = min(quantity, max(allowance - before, Fraction(0)))
    tried = min(quantity, max(trial - before, Fraction(0)))
    charged, passed = quantity - free, max(before - allowance, Fraction(0))
    kind, steps = rate["kind"], [Step(tried, Fraction(0)), Step(free - tried, Fraction(0))]
    if kind == "per_unit":
        steps.append(Step(charged, number(rate["price"])))
    elif kind == "package":
        begun = [-(-some // number(rate["size"])) for some in (passed, passed + charged)]
        steps.append(Step(Fraction(begun[1] - begun[0]), number(rate["price"])))
    elif kind == "graduated":
        for lower, upper, unit_price, flat in tiers_of(rate):
            top = passed + charged if upper is None else min(passed + charged, upper)
            inside = top - max(lower, passed)
            if inside > 0:
                steps.append(Step(inside, unit_price, flat if passed <= lower else Fraction(0)))
    elif kind == "volume":
        all_charged = max(total - allowance, Fraction(0))
        for lower, upper, unit_price, flat in tiers_of(rate):
            if charged and lower < all_charged and (upper is None or all_charged <= upper):
                steps.append(Step(charged, unit_price, flat if not passed else Fraction(0)))
    else:
        raise ValueError(f"rate {kind!r}")
    return summed(rate, steps, charged)


def share_of(steps, share):
    """Each step as far as a share goes, rounded half up to nine digits."""
    steps = [Step(half_up(step.quantity * share, 9), step.price, half_up(step.flat * share, 9)) for step in steps]
    return sum((step.amount for step in steps), Fraction(0)), steps


def summed(rate, steps, charged):
    # A quantity that begins no package of its own shows that.
    kept = [step for step in steps if step.quantity or rate["kind"] == "package" and step is steps[-1] and charged]
    return sum((step.amount for step in steps), Fraction(0)), kept
