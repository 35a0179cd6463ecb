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


# What each planted error needs to be on a document, but for lines.
NEEDED = {
    "tax": lambda document: any(number(entry["amount"]) for entry in document["tax"]),
    "tax_base": lambda document: len(document["tax"]) > 1,
    "prepaid": lambda document: document.get("prepaid") and document["document"] == "invoice",
    "prepaid_of_another_credit": lambda document: document.get("prepaid") and document["document"] == "invoice",
    "given_back": lambda document: by_hand(document),
    "given_back_of_another_line": lambda document: by_hand(document),
    "tax_given_back": lambda document: by_hand(document) and any(number(entry["amount"]) for entry in document["tax"]),
    "prepaid_given_back": lambda document: by_hand(document) and document.get("prepaid"),
    "void_or_not": lambda document: by_hand(document),
}


def by_hand(document):
    """Whether it is a credit note that somebody asked for."""
    return document["document"] == "credit_note" and document["cites"]["reason"] == "a test"


def alterations(seen):
    """Names and altered copies of what was read; nothing for what cannot be planted in it."""

    def altered(change):
        made = copy.deepcopy(seen)
        fit = [one for one in documents(made) if NEEDED.get(change.__name__, lambda _: True)(one)]
        if not fit:
            return None
        document = max(fit, key=lambda one: len(one["lines"]))
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

    def due(document, line, digits):
        document["due"] = one_more(document["due"], digits)

    def residue(_, line, digits):
        line["residue"] = one_more(line["residue"], 9)

    def step(document, line, digits):
        found = next(one for one in document["lines"] if one.get("steps"))["steps"][0]
        found["quantity"] = one_more(found["quantity"], 9)

    def events(document, line, digits):
        next(one for one in document["lines"] if one["kind"] == "usage")["events"]["count"] += 1

    def tax(document, line, digits):
        entry = next(one for one in document["tax"] if number(one["amount"]))
        entry["amount"] = one_more(entry["amount"], digits)

    def tax_base(document, line, digits):
        one, other = document["tax"][:2]
        one["base"], other["base"] = one_more(one["base"], digits), one_more(other["base"], digits, -1)

    def prepaid(document, line, digits):
        document["prepaid"][0]["amount"] = one_more(document["prepaid"][0]["amount"], digits, -1)
        document["due"] = one_more(document["due"], digits)

    def prepaid_of_another_credit(document, line, digits):
        document["prepaid"][0]["credit"] = "CREDIT-999"

    def given_back(document, line, digits):
        line["amount"], document["net"] = one_more(line["amount"], digits), one_more(document["net"], digits)

    def given_back_of_another_line(document, line, digits):
        line["cites"]["line"] += 1000

    def tax_given_back(document, line, digits):
        tax(document, line, digits)
        document["total"], document["due"] = (one_more(document[name], digits) for name in ("total", "due"))

    def prepaid_given_back(document, line, digits):
        prepaid(document, line, digits)  # less of it goes back, and more is due

    def void_or_not(document, line, digits):
        document["cites"]["all"] = not document["cites"]["all"]

    for change in (amount, two_amounts_that_cancel, quantity, unit, version, category, period, line_missing, line_twice,
                   order, net, total, due, tax, tax_base, residue, step, events, prepaid, prepaid_of_another_credit,
                   given_back, given_back_of_another_line, tax_given_back, prepaid_given_back, void_or_not):
        try:
            made = altered(change)
        except (KeyError, StopIteration, TypeError):
            made = None  # nothing of that kind is on the document
        yield change.__name__, made
    without = copy.deepcopy(seen)
    for run in without["runs"]:
        run["invoices"] = run["invoices"][1:]
    yield "document missing", without
    left = copy.deepcopy(seen)
    for credit in list(left["credits"].values())[:1]:
        credit["left"] = one_more(credit["left"], digits_of(credit["currency"]))
    yield "what is left of a credit", left if left["credits"] else None
