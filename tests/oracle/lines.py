"""Lines as the oracle works them out, and how they are told apart."""

import dataclasses
from fractions import Fraction

from exact import digits_of, rounded


@dataclasses.dataclass
class Line:
    """One line of an invoice. `exact` is its amount before rounding; `when` is that of a fee's rate."""

    kind: str
    start: int
    stop: int
    unit: str
    quantity: Fraction
    exact: Fraction
    amount: Fraction
    version: int | None
    rate: int | None = None
    instance: str | None = None
    resource: str | None = None
    item: str | None = None
    of: str | None = None
    dimensions: tuple = ()
    unit_price: Fraction | None = None
    steps: tuple = ()
    events: frozenset = frozenset()
    when: str = "arrears"
    tax: tuple | None = None
    cites: tuple | None = None  # document, line
    corrects: tuple | None = None  # of a charge by hand: the line that it corrects
    n: int | None = None  # its number on the document as served
    month: int = 0  # of a percentage or minimum: when the time begins whose lines it is of
    reduces: tuple = ()  # of a discount or a maximum: what it takes something off
    about: tuple | None = None  # of an adjustment: the run and the identity of the line that it adjusts

    @property
    def residue(self):
        """What rounding added."""
        return self.amount - self.exact

    @property
    def identity(self):
        """What a line is about, apart from how much it is."""
        return (self.kind, self.instance, self.resource, self.item, self.of, self.dimensions, self.start, self.stop,
                self.version, self.rate, *((self.reduces, self.tax) if self.reduces else ()))


def priced(book, exact, **fields):
    """A line whose amount is rounded by the rule of its book."""
    amount = rounded(exact, book["rounding"], digits_of(book["currency"]))
    return Line(exact=exact, amount=amount, version=book["version"], **fields)
