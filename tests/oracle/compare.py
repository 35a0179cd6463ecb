"""Documents as served against documents as worked out, to the minor unit on every line.

`differences` gives sentences, the first one first; none means equal. A member that the server does not show at all (an older
server shows fewer) is not compared, unless it is in `NEEDED`.
"""

import hashlib
import re

from exact import digits_of, number, show
from rating import override_of
from zones import instant, text

NEEDED = ("kind", "period", "quantity", "amount", "tax")


def pairs(value):
    """Dimensions, however they are shown."""
    if not value:
        return ()
    items = value.items() if isinstance(value, dict) else value
    return tuple(sorted((key, held) for key, held in items))


def cited(line):
    cites = line.get("cites")
    return (cites["invoice"], cites["line"]) if cites else None


def served_key(line):
    """What a served line is about. Its book's number of the rate stands for item, subject and tariff."""
    period, cites = line["period"], cited(line)
    kind = "settled" if line["kind"] == "advance" and cites else line["kind"]
    return (kind, line.get("instance"), line.get("resource"), pairs(line.get("dimensions")), instant(period["start"]),
            instant(period["stop"]), (line.get("price_book") or {}).get("version"), line.get("rate") or line.get("price_override"),
            cites)


def expected_key(line, served_rates):
    """The same of a line that was worked out; older servers do not show the number of the rate."""
    return (line.kind, line.instance, line.resource if line.kind == "usage" else None, pairs(line.dimensions), line.start, line.stop,
            line.version, (override_of(line.rate) or line.rate) if served_rates else None, line.cites)


def reduces(line):
    """What a served line takes something off."""
    shown = line.get("reduces")
    if isinstance(shown, dict):
        return next(iter(shown.items()))
    return (shown,) if shown else ()


def told(line):
    return (line.reduces, *line.tax)


def name_of(key):
    kind, instance, resource, dimensions, start, stop, version, rate, cites = key
    words = [kind, *(word for word in (instance, resource) if word)]
    words += [f"{name}={value}" for name, value in dimensions]
    words.append(f"{text(start)}/{text(stop)}")
    if version is not None:
        words.append(f"version {version}")
    if rate is not None:
        words.append(f"rate {rate}")
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
    if "document" in served:
        check("kind of document", served["document"], "credit_note" if document.turned else "invoice")
        if served["state"] == "final":
            check("series of a credit note", "CN-" in served["id"], document.turned)
    check("start of the period", text(instant(served["period"]["start"])), text(document.start))
    check("stop of the period", text(instant(served["period"]["stop"])), text(document.stop))
    check("numbers of the lines", [line["n"] for line in served["lines"]], list(range(1, len(served["lines"]) + 1)))
    rates = any(line.get("rate") is not None for line in served["lines"])
    waiting = {}
    for line in document.lines:
        waiting.setdefault(expected_key(line, rates), []).append(line)
    for line in served["lines"]:
        key = served_key(line)
        candidates = waiting.get(key)
        what = f"line {line['n']} ({name_of(key)})"
        if not candidates:
            found.append(f"{what}, amount {line['amount']}, should not be there")
            continue
        # Lines of a discount or a maximum differ in what they take something off, and in its tax.
        mine = [one for one in candidates if told(one) == (reduces(line), line["tax"]["category"], number(line["tax"]["rate"]))]
        same = [one for one in mine or candidates if number(line["amount"]) == sign * one.amount]
        expected = (same or mine or candidates)[0]
        candidates.remove(expected)
        expected.n = line["n"]
        line_differences(what, line, expected, sign, amount, check)
    for key, lines in waiting.items():
        found += [f"a line is missing: {name_of(key)}, quantity {show(one.quantity)}, amount {show(one.amount)}" for one in lines]
    found += order_differences(document)
    if document.inclusive and not found:
        # The shares are in the order of the lines as they stand.
        document.lines.sort(key=lambda line: line.n or 0)
        by_number = {line.n: net for line, net in zip(document.lines, document.nets)}
        for line in served["lines"]:
            amount(f"line {line['n']}: net", line.get("net"), by_number.get(line["n"], 0))
    totals(document, served, amount, check)
    return found


def line_differences(what, line, expected, sign, amount, check):
    check(f"{what}: quantity", number(line["quantity"]) if line.get("quantity") is not None else None,
          sign * expected.quantity)
    if expected.unit:
        check(f"{what}: unit", line.get("unit"), expected.unit)
    amount(f"{what}: amount", line["amount"], expected.amount)
    check(f"{what}: what it reduces", reduces(line), expected.reduces)
    if line.get("residue") is not None:
        check(f"{what}: residue", number(line["residue"]), sign * expected.residue)
    explained(what, line, expected, sign, check)
    if line["kind"] == "usage" or line["kind"] == "adjustment" and expected.instance and expected.about[1][0] == "usage":
        told = line["events"]
        check(f"{what}: number of events", told["count"], len(expected.events))
        check(f"{what}: digest of its events", told["digest"], digest(expected.events))
    check(f"{what}: tax category", line["tax"]["category"], expected.tax[0])
    check(f"{what}: tax rate", number(line["tax"]["rate"]), expected.tax[1])


def digest(sequences):
    """SHA-256 over the sequences of events, each as 8 bytes big-endian, ascending."""
    return hashlib.sha256(b"".join(one.to_bytes(8, "big") for one in sorted(sequences))).hexdigest()


def explained(what, line, expected, sign, check):
    """Unit price and steps: where all units cost the same, the price may stand alone."""
    shown = number(line["unit_price"]) if line.get("unit_price") is not None else None
    if expected.kind != "usage":
        if expected.unit_price is not None and shown is not None:
            check(f"{what}: unit price", shown, expected.unit_price)
    if expected.kind in ("recurring", "advance") or expected.kind == "usage" and (line.get("steps") or len(expected.steps) > 1):
        steps = [[show(number(step[name] or "0")) for name in ("quantity", "price", "flat")] for step in line.get("steps") or []]
        check(f"{what}: steps", steps,
              [[show(sign * step.quantity), show(step.price), show(step.flat)] for step in expected.steps])
        if len(expected.steps) > 1:
            check(f"{what}: unit price beside steps", shown, None)
    elif expected.kind == "usage":
        for step in expected.steps:
            check(f"{what}: unit price", shown, step.price)
            check(f"{what}: what is charged once", 0, step.flat)


def place(line):
    """Where a line stands on a document (docs/invoices.md, "Order of lines")."""
    if line.instance and line.kind in ("recurring", "usage") and line.when == "arrears":
        number_of_instance = int(line.instance.rsplit("-", 1)[1])
        usage = line.kind == "usage"
        return 0, number_of_instance, usage, (line.resource if usage else line.item) or "", line.start, line.dimensions
    if line.kind == "usage":
        return 1, 1
    if line.kind == "recurring" and not line.instance:
        return 1, 2 if line.of else 0
    if line.kind == "maximum" and line.instance:
        return 2, line.month, 0, int(line.instance.rsplit("-", 1)[1])
    steps = ("percentage", "discount", "maximum", "minimum")
    if line.kind in steps:
        return 2, line.month, steps.index(line.kind) + 1, line.start if line.kind == "percentage" else 0
    if line.kind in ("recurring", "settled"):
        return 3, int(line.instance.rsplit("-", 1)[1]), line.kind == "settled"
    return ({"advance": 4, "adjustment": 5, "one_off": 6, "correction": 6}[line.kind],)


def order_differences(document):
    lines = sorted((line for line in document.lines if line.n), key=lambda line: line.n)
    for before, after in zip(lines, lines[1:]):
        if place(before) > place(after):
            return [f"line {after.n} ({name_of(expected_key(after, True))}) should stand before line {before.n}"]
    return []


def totals(document, served, amount, check):
    amount("net", served["net"], document.net)
    shown = {(entry["category"], number(entry["rate"])): entry for entry in served["tax"]}
    check("categories of tax", sorted(map(str, shown)), sorted(map(str, document.tax)))
    for key, (base, tax) in document.tax.items():
        if key in shown:
            amount(f"base of tax {key[0]} {show(key[1])}", shown[key]["base"], base)
            amount(f"tax {key[0]} {show(key[1])}", shown[key]["amount"], tax)
            if key[0] != "O":  # README.md
                check(f"whether tax {key[0]} says why", "exemption" in shown[key], key[0] not in ("S", "Z"))
    amount("total", served["total"], document.total)
    check("prepaid", spoken(served.get("prepaid", [])), spoken_pairs(document.prepaid))
    if served["state"] != "final" or document.turned:
        amount("due", served["due"], document.due)  # that of an invoice is its balance: oracle.check_balances


def spoken(used):
    """What credits pay, as served, for people and for comparing."""
    return spoken_pairs((one["credit"], number(one["amount"])) for one in used)


def spoken_pairs(used):
    return ", ".join(f"{credit}: {show(amount)}" for credit, amount in used) or "nothing"
