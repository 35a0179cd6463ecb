"""Credit notes that somebody asked for (docs/invoices.md, "Credit notes and corrections").

Which lines and how much is what was asked, so it is taken from the note; the rest must follow: never more than is left of a
line, the tax on all that was given back so far less what earlier notes had, the prepaid credit it gives back, what is due.
"""

import collections
from fractions import Fraction

from compare import expected_key, served_key, spoken, spoken_pairs
from exact import number, show
from taxes import split


def check_note(note, books):
    """Sentences about what is wrong with a credit note; takes what it gives back into account."""
    found = []

    def check(what, seen, expected):
        if seen != expected:
            found.append(f"{what} is {show(seen)}, the documents say {show(expected)}")

    original = next((one for one in books.final if one.id == (note.get("cites") or {}).get("invoice")), None)
    if original is None or original.turned:
        return ["it is of no run, and cites no invoice"]
    books.wallet.take_until(note["sequence"])
    check("kind of document", note["document"], "credit_note")
    check("series of a credit note", "CN-" in note["id"], True)
    check("run", note.get("run", original.run), original.run)
    check("buyer", note["buyer"]["party"], original.customer)
    check("currency", note["currency"], original.currency)
    check("numbers of the lines", [line["n"] for line in note["lines"]], list(range(1, len(note["lines"]) + 1)))
    if books.is_void(original):
        found.append(f"{original.id} is void: there is nothing left to give back")
    sums = given_back(note, original, books, check)
    tax = taxes(original, sums, books)
    bases = {key: total - tax[key] if original.inclusive else total for key, total in sums.items()}
    net = sum(bases.values(), Fraction(0))
    shown = {(entry["category"], number(entry["rate"])): entry for entry in note["tax"]}
    check("categories of tax", sorted(map(str, shown)), sorted(map(str, tax)))
    for key, entry in shown.items():
        check(f"base of tax {key[0]} {show(key[1])}", number(entry["base"]), bases.get(key))
        check(f"tax {key[0]} {show(key[1])}", number(entry["amount"]), tax.get(key))
    total = net + sum(tax.values(), Fraction(0))
    check("net", number(note["net"]), net)
    check("rounding", number(note.get("rounding", "0")), Fraction(0))
    check("total", number(note["total"]), total)
    back = books.lower([([original.id], total)], total, original)
    due = total - sum((amount for _, amount in back), Fraction(0))
    check("prepaid", spoken(note.get("prepaid", [])), spoken_pairs(back))
    check("due", number(note["due"]), due)
    left = [books.left_of(original, line) for line in original.lines]
    # A void leaves lines below zero, where the note would ask for money, to the next run.
    void = not any(left) or note["cites"]["all"] and not net and all(one <= 0 for one in left)
    if void:
        books.void.add(original.id)
        books.voided[original.id] = note["sequence"]
    check("whether all is given back", note["cites"]["all"], void)
    return found


def given_back(note, original, books, check):
    """Takes the lines of a note over; what it gives back by category and rate of tax."""
    bases = collections.defaultdict(Fraction)
    lines = {line.n: line for line in original.lines}
    rates = any(line.get("rate") or line.get("price_override") for line in note["lines"])
    for line in note["lines"]:
        what, cites = f"line {line['n']}", line.get("cites") or {}
        cited = lines.get(cites.get("line")) if cites.get("invoice") == original.id else None
        if cited is None:
            check(f"what {what} cites", str(cites), f"a line of {original.id}")
            continue
        amount, left = number(line["amount"]), books.left_of(original, cited)
        sign = 1 if cited.amount >= 0 else -1
        if not 0 < sign * amount <= sign * left and (amount or left):
            check(f"what {what} gives back of line {cited.n}", show(amount), f"at most the {show(left)} that is left")
        # What remains of the residue goes back with the last of it.
        residue = books.residue_of(original, cited) if amount == left else Fraction(0)
        check(f"{what}: residue", number(line["residue"]), residue)
        whole = (amount, residue) == (cited.amount, cited.residue)
        check(f"{what}: quantity", number(line["quantity"]), cited.quantity if whole else Fraction(-1 if amount < 0 else 1))
        if "period" in line:
            # Without kind and citation, which differ: what was settled is an advance, and the note cites the line.
            about, expected = served_key(line)[1:-1], expected_key(cited, rates)[1:-1]
            check(f"{what}: kind", line["kind"], "advance" if cited.kind == "settled" else cited.kind)
            if about != expected:
                check(f"what {what} is about", str(about), str(expected))
        check(f"{what}: tax", (line["tax"]["category"], number(line["tax"]["rate"])), cited.tax)
        books.credit(original, cited, amount, residue)
        bases[cited.tax] += amount
    return bases


def taxes(original, bases, books):
    """The tax on all that was given back so far, less what earlier notes had."""
    found = {}
    for key in bases:
        so_far = sum((books.given_back[original.id, line.n] for line in original.lines if line.tax == key), Fraction(0))
        all_of_it = split(key, so_far, original.currency, original.inclusive)[1]
        found[key] = all_of_it - books.taxed[original.id, key]
        books.taxed[original.id, key] = all_of_it
    return found
