"""Errors planted in what was read from a server; the oracle must find each of them."""

import copy

from exact import digits_of, number, show


def one_more(text, digits, units=1):
    """The next decimal with so many digits, or the one before it with `units` -1."""
    shown = show(number(text) + units * number(f"1e-{digits}"))
    if digits and "." not in shown:
        shown += "."
    return shown + "0" * (digits - len(shown.partition(".")[2])) if digits else shown


def documents(seen):
    """Documents with lines, in the order of their ids."""
    return [document for _, document in sorted(seen["documents"].items()) if document["lines"]]


def alter_amount(seen):
    """One amount by one minor unit, in place."""
    for document in documents(seen)[:1]:
        line = document["lines"][len(document["lines"]) // 2]
        line["amount"] = one_more(line["amount"], digits_of(document["currency"]))


def alterations(seen):
    """Names and altered copies of what was read."""

    def altered(change):
        made = copy.deepcopy(seen)
        document = max(documents(made), key=lambda one: len(one["lines"]))
        change(document, document["lines"][len(document["lines"]) // 2], digits_of(document["currency"]))
        return made

    def amount(_, line, digits):
        line["amount"] = one_more(line["amount"], digits)

    def two_amounts_that_cancel(document, line, digits):
        other = document["lines"][0]
        line["amount"], other["amount"] = one_more(line["amount"], digits), one_more(other["amount"], digits, -1)

    def quantity(_, line, digits):
        line["quantity"] = one_more(line["quantity"], 9)

    def unit(_, line, digits):
        line["unit"] = "furlong"

    def version(_, line, digits):
        line["price_book"]["version"] += 1

    def category(_, line, digits):
        line["tax"]["category"] = "X"

    def period(_, line, digits):
        line["period"]["start"] = "2026-10-01T00:00:00.000001Z"

    def line_missing(document, line, digits):
        document["lines"].remove(line)

    def line_twice(document, line, digits):
        document["lines"].append(dict(line))

    def order(document, line, digits):
        document["lines"].reverse()
        for n, one in enumerate(document["lines"], 1):
            one["n"] = n

    def net(document, line, digits):
        document["net"] = one_more(document["net"], digits)

    def total(document, line, digits):
        document["total"] = one_more(document["total"], digits)

    def residue(_, line, digits):
        line["residue"] = one_more(line["residue"], 9)

    def step(document, line, digits):
        found = next(one for one in document["lines"] if one.get("steps"))["steps"][0]
        found["quantity"] = one_more(found["quantity"], 9)

    def events(document, line, digits):
        next(one for one in document["lines"] if one["kind"] == "usage")["events"]["count"] += 1

    def tax(document, line, digits):
        document["tax"][0]["amount"] = one_more(document["tax"][0]["amount"], digits)

    for change in (amount, two_amounts_that_cancel, quantity, unit, version, category, period, line_missing, line_twice,
                   order, net, total, tax, residue, step, events):
        try:
            yield change.__name__, altered(change)
        except (KeyError, StopIteration):
            pass  # nothing of that kind is on the document
    without = copy.deepcopy(seen)
    for run in without["runs"]:
        run["invoices"] = run["invoices"][1:]
    yield "document missing", without
