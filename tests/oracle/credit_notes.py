"""Credit notes that somebody asked for (docs/invoices.md, "Credit notes and corrections").

Which lines and how much is what was asked, so it is taken from the note; the rest must follow: never more than is left of a
line, the tax of the line, and the document's own tax and totals once all of it is given back.
"""

import collections
from fractions import Fraction

from exact import digits_of, half_up, number, show


def check_note(note, books):
    """Sentences about what is wrong with a credit note; takes what it gives back into account."""
    found, bases, originals = [], collections.defaultdict(Fraction), set()
    final = {one.id: one for one in books.final}
    lines = {(name, line.n): line for name, one in final.items() for line in one.lines}
    for line in note["lines"]:
        cites = line.get("cites") or {}
        name, n = cites.get("invoice"), cites.get("line")
        if (name, n) not in lines:
            return [f"it is of no run, and its line {line['n']} cites no line of a final invoice"]
        cited = lines[name, n]
        amount = number(line["amount"])
        left = cited.amount - books.given_back[name, n]
        if not 0 < amount * (1 if cited.amount > 0 else -1) <= abs(left):
            found.append(f"line {line['n']} gives back {show(amount)} of {name} line {n}, of which {show(left)} is left")
        books.given_back[name, n] += amount
        if (line["tax"]["category"], number(line["tax"]["rate"])) != cited.tax:
            found.append(f"line {line['n']} has another tax than {name} line {n}")
        bases[cited.tax] += amount
        originals.add(name)
    tax = {key: half_up(base * key[1] / 100, digits_of(note["currency"])) for key, base in bases.items()}
    if len(originals) != 1:
        return [f"it gives back lines of {len(originals)} documents"]
    (name,) = originals
    original = final[name]
    books.notes[name].append(tax)
    if all(books.given_back[name, line.n] == line.amount for line in original.lines):
        earlier = books.notes[name][:-1]
        for key, (_, whole) in original.tax.items():
            tax[key] = whole - sum((one.get(key, Fraction(0)) for one in earlier), Fraction(0))
        books.notes[name][-1] = tax
    net = sum(bases.values(), Fraction(0))
    total = net + sum(tax.values(), Fraction(0))
    for member, expected in (("net", net), ("total", total)):
        if number(note[member]) != expected:
            found.append(f"{member} is {note[member]}, the documents say {show(expected)}")
    for entry in note["tax"]:
        key = (entry["category"], number(entry["rate"]))
        if number(entry["amount"]) != tax.get(key):
            found.append(f"tax {key[0]} {show(key[1])} is {entry['amount']}, the documents say {show(tax.get(key))}")
    before = books.credited[name]
    books.credited[name] += total
    due = original.total - original.prepaid
    books.wallet.give_back(name, max(Fraction(0), before + total - due) - max(Fraction(0), before - due))
    return found
