"""Documents as served against documents as worked out, to the minor unit on every line.

`differences` gives sentences, the first one first; none means equal. A member that the server does not show at all (an older
server shows fewer) is not compared, unless it is in `NEEDED`.
"""

import re

from exact import digits_of, number, show
from zones import instant, text

NEEDED = ("kind", "period", "quantity", "amount", "tax")


def pairs(value):
    """Dimensions, however they are shown."""
    if not value:
        return ()
    items = value.items() if isinstance(value, dict) else value
    return tuple(sorted((key, held) for key, held in items))


def subject(line):
    """What a served percentage or minimum is of, as rating.subject_of writes it."""
    of = line.get("of")
    if isinstance(of, dict):
        return f"resource:{of['resource']}" if "resource" in of else of.get("kind")
    if line["kind"] in ("percentage", "minimum") and line.get("resource"):
        return f"resource:{line['resource']}"
    return of


def served_key(line):
    period = line["period"]
    about_customer = line["kind"] in ("percentage", "minimum")
    return (line["kind"], line.get("instance"), None if about_customer else line.get("resource"), line.get("item") or None,
            pairs(line.get("dimensions")), instant(period["start"]), instant(period["stop"]),
            (line.get("price_book") or {}).get("version"), cited(line), subject(line))


def cited(line):
    cites = line.get("cites")
    return (cites.get("invoice"), cites.get("line") or 0) if cites else None


def expected_key(line):
    item = None if line.kind == "one_off" else line.item or None
    return (line.kind, line.instance, line.resource, item, line.dimensions, line.start, line.stop, line.version, line.cites,
            line.of)


def name_of(key):
    kind, instance, resource, item, dimensions, start, stop, version, cites, of = key
    words = [kind, *(word for word in (instance, resource, item, of) if word)]
    words += [f"{name}={value}" for name, value in dimensions]
    words.append(f"{text(start)}/{text(stop)}")
    if version is not None:
        words.append(f"version {version}")
    if cites:
        words.append(f"cites {cites[0]} line {cites[1]}")
    return " ".join(words)


def differences(document, served):
    """What is wrong with a served document; numbers the document's lines as they were served."""
    sign = -1 if document.turned else 1
    digits = digits_of(document.currency)
    found = []

    def check(what, seen, expected):
        if seen != expected:
            found.append(f"{what} is {show(seen)}, the documents say {show(expected)}")

    def amount(what, seen, expected):
        form = r"-?\d+" + (rf"\.\d{{{digits}}}" if digits else "")
        if not isinstance(seen, str) or not re.fullmatch(form, seen):
            found.append(f"{what} is {seen!r}, not a text with {digits} digits after the point")
        else:
            check(what, number(seen), sign * expected)

    check("currency", served["currency"], document.currency)
    check("start of the period", text(instant(served["period"]["start"])), text(document.start))
    check("stop of the period", text(instant(served["period"]["stop"])), text(document.stop))
    check("numbers of the lines", [line["n"] for line in served["lines"]], list(range(1, len(served["lines"]) + 1)))
    waiting = {}
    for line in document.lines:
        waiting.setdefault(expected_key(line), []).append(line)
    for line in served["lines"]:
        key = served_key(line)
        candidates = waiting.get(key)
        what = f"line {line['n']} ({name_of(key)})"
        if not candidates:
            found.append(f"{what}, amount {line['amount']}, should not be there")
            continue
        same = [one for one in candidates if number(line["amount"]) == sign * one.amount]
        expected = (same or candidates)[0]
        candidates.remove(expected)
        expected.n = line["n"]
        line_differences(what, line, expected, sign, amount, check)
    for key, lines in waiting.items():
        found += [f"a line is missing: {name_of(key)}, quantity {show(one.quantity)}, amount {show(one.amount)}" for one in lines]
    found += order_differences(document)
    totals(document, served, amount, check)
    return found


def line_differences(what, line, expected, sign, amount, check):
    check(f"{what}: quantity", number(line["quantity"]) if line.get("quantity") is not None else None, expected.quantity)
    if expected.unit:
        check(f"{what}: unit", line.get("unit"), expected.unit)
    if line.get("unit_price") is not None and expected.unit_price is not None:
        check(f"{what}: unit price", number(line["unit_price"]), expected.unit_price)
    amount(f"{what}: amount", line["amount"], expected.amount)
    if line.get("residue") is not None:
        check(f"{what}: residue", number(line["residue"]), sign * expected.residue)
    if line.get("rate") is not None and expected.rate is not None:
        check(f"{what}: number of the rate", line["rate"], expected.rate)
    if line.get("steps") and expected.steps:
        check(f"{what}: steps", [step_of(step) for step in line["steps"]],
              [(show(step.quantity), show(step.price), show(step.flat)) for step in expected.steps])
    check(f"{what}: tax category", line["tax"]["category"], expected.tax[0])
    check(f"{what}: tax rate", number(line["tax"]["rate"]), expected.tax[1])


def step_of(step):
    """A step as served: so many units at a price, and what is charged once."""
    price = step.get("unit_price", step.get("price"))
    return show(number(step["quantity"])), show(number(price)), show(number(step.get("flat") or "0"))


def place(line):
    """Where a line stands on a document (docs/invoices.md, "Order of lines")."""
    if line.kind in ("recurring", "advance", "usage") and line.instance:
        number_of_instance = int(line.instance.rsplit("-", 1)[1])
        usage = line.kind == "usage"
        return 0, number_of_instance, usage, (line.resource if usage else line.item) or "", line.start, line.dimensions
    rank = {"usage": 1, "percentage": 2, "minimum": 3, "settled": 4, "adjustment": 5, "one_off": 6}[line.kind]
    if line.kind == "usage":
        return rank, line.resource, line.start, line.dimensions
    return (rank,)


def order_differences(document):
    lines = sorted((line for line in document.lines if line.n), key=lambda line: line.n)
    for before, after in zip(lines, lines[1:]):
        if place(before) > place(after):
            return [f"line {after.n} ({name_of(expected_key(after))}) should stand before line {before.n}"]
    return []


def totals(document, served, amount, check):
    amount("net", served["net"], document.net)
    shown = {(entry["category"], number(entry["rate"])): entry for entry in served["tax"]}
    check("categories of tax", sorted(map(str, shown)), sorted(map(str, document.tax)))
    for key, (base, tax) in document.tax.items():
        if key in shown:
            amount(f"base of tax {key[0]} {show(key[1])}", shown[key]["base"], base)
            amount(f"tax {key[0]} {show(key[1])}", shown[key]["amount"], tax)
    amount("total", served["total"], document.total)
    if served.get("prepaid") is not None and served["state"] == "final":
        amount("prepaid", served["prepaid"], document.prepaid)
    if served.get("due") is not None and served["state"] == "final":
        amount("due", served["due"], document.total - document.prepaid)
