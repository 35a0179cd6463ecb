"""Tax of lines and documents (docs/invoices.md, "Tax")."""

from fractions import Fraction

from exact import digits_of, half_up


def counting(entries, before):
    """The entry that counts just before an instant: the latest `valid_from`, of equal ones the last recorded."""
    valid = [entry for entry in entries if entry.valid_from < before]
    return max(valid, key=lambda entry: (entry.valid_from, entry.sequence), default=None)


def product_of(facts, line):
    """The release and the resource that a line is about: those of fees and usage of one instance at the end of the line; of
    usage that is priced together, the resource alone."""
    kind = line.about[1][0] if line.kind == "adjustment" else line.kind
    if kind not in ("recurring", "usage", "advance"):
        return None, None
    resource = line.resource if kind == "usage" else None
    return (release_at(facts.instances[line.instance], line.stop - 1) if line.instance else None), resource


def release_at(one, at):
    """What an instance runs at an instant."""
    releases = one.changes["software_release"]
    return next((value for since, value in reversed(releases) if since <= at), releases[0][1] if releases else None)


def of_product(facts, seller, product, before):
    """What counts for a product: of the entry for both, for the resource and for the release the first there is."""
    release, resource = product
    for wanted in ((release, resource), (None, resource), (release, None)):
        if wanted == (None, None):
            continue
        mine = [entry for entry in facts.product_taxes if entry.seller == seller and (entry.release, entry.resource) == wanted]
        entry = counting(mine, before)
        if entry:
            return entry
    return None


def tax_of(facts, seller, customer, stop, product=(None, None)):
    """Category and rate at the last instant of a line's period."""
    rate = counting([entry for entry in facts.tax_rates if entry.seller == seller], stop)
    if rate is None:
        return "O", Fraction(0)
    treatment = counting([entry for entry in facts.treatments if entry.party == customer], stop)
    category = treatment.category if treatment else "S"
    entry = of_product(facts, seller, product, stop)
    if entry and (category == "S" or entry.category in ("E", "O")):
        own = rate.rate if entry.rate is None else entry.rate
        return entry.category, own if entry.category == "S" else Fraction(0)
    return category, rate.rate if category == "S" else Fraction(0)


class TaxCuts:
    """Where a change of tax may cut lines, by what was known when their run was opened."""

    def __init__(self, facts, seller, customer, cut_off):
        self.facts, self.seller, self.customer = facts, seller, customer
        self.tax_rates, self.treatments, self.product_taxes = (
            [entry for entry in entries if entry.sequence <= cut_off]
            for entries in (facts.tax_rates, facts.treatments, facts.product_taxes))

    def edges(self, start, stop):
        """Instants at which something about tax begins to count."""
        mine = [entry for entry in self.tax_rates + self.product_taxes if entry.seller == self.seller]
        mine += [entry for entry in self.treatments if entry.party == self.customer]
        return {entry.valid_from for entry in mine if start < entry.valid_from < stop}

    def at(self, instant, product=(None, None)):
        """The tax at an instant."""
        return tax_of(self, self.seller, self.customer, instant + 1, product)


def split(tax, total, currency, inclusive):
    """Base and tax of a sum of lines: the tax is on it, or in it; rounded half up, once."""
    if inclusive:
        within = half_up(total * tax[1] / (100 + tax[1]), digits_of(currency))
        return total - within, within
    return total, half_up(total * tax[1] / 100, digits_of(currency))


def nets(lines, currency, inclusive):
    """What each line comes to without tax: of the tax in all of its category and rate, what its share adds to those before."""
    found = [line.amount for line in lines]
    for tax in {line.tax for line in lines} if inclusive else ():
        mine = [index for index, line in enumerate(lines) if line.tax == tax]
        total = sum((lines[index].amount for index in mine), Fraction(0))
        so_far, before, within = Fraction(0), Fraction(0), split(tax, total, currency, True)[1]
        for index in mine if total else ():
            so_far += lines[index].amount
            until = half_up(within * so_far / total, digits_of(currency))
            found[index] -= until - before
            before = until
    return found


def subtotals(lines, currency, inclusive=False):
    """Base and tax of each category and rate."""
    bases = {}
    for line in lines:
        bases[line.tax] = bases.get(line.tax, Fraction(0)) + line.amount
    return {tax: split(tax, total, currency, inclusive) for tax, total in bases.items()}
