"""Tax of lines and documents (docs/invoices.md, "Tax")."""

from fractions import Fraction

from exact import digits_of, half_up


def counting(entries, before):
    """The entry that counts just before an instant: the latest `valid_from`, of equal ones the last recorded."""
    valid = [entry for entry in entries if entry.valid_from < before]
    return max(valid, key=lambda entry: (entry.valid_from, entry.sequence), default=None)


def tax_of(facts, seller, customer, stop):
    """Category and rate at the last instant of a line's period."""
    rate = counting([entry for entry in facts.tax_rates if entry.seller == seller], stop)
    if rate is None:
        return "O", Fraction(0)
    treatment = counting([entry for entry in facts.treatments if entry.party == customer], stop)
    category = treatment.category if treatment else "S"
    return category, rate.rate if category == "S" else Fraction(0)


def subtotals(lines, currency):
    """Base and tax of each category and rate: rounded half up, once, on the sum."""
    bases = {}
    for line in lines:
        bases[line.tax] = bases.get(line.tax, Fraction(0)) + line.amount
    return {tax: (base, half_up(base * tax[1] / 100, digits_of(currency))) for tax, base in bases.items()}
