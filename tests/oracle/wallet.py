"""Prepaid credit of customers (docs/invoices.md, "Prepaid credit"): the oldest pays first, as far as it goes.

Credit that had paid and is given back by a credit note goes back to the credit that paid last.
"""

from fractions import Fraction

from facts import Facts


class Wallet:
    """What is left of every credit, as of the last sequence that was taken."""

    def __init__(self, events):
        self.events, self.taken = events, 0
        self.left, self.owner = {}, {}
        self.paid = []  # (document, credit, amount)

    def take_until(self, sequence):
        """Grants and withdrawals up to a sequence."""
        for event in self.events:
            if self.taken < event["sequence"] <= sequence:
                one = Facts([event]) if event["type"] == "CreditGranted" else None
                for credit in one.credits.values() if one else ():
                    self.left[credit.id] = credit.amount
                    self.owner[credit.id] = (credit.customer, credit.currency)
                if event["type"] == "CreditWithdrawn":
                    self.left[event["data"]["credit"]] = Fraction(0)
        self.taken = max(self.taken, sequence)

    def pay(self, document):
        """How much of a document's total is paid by credit."""
        wanted = due = max(Fraction(0), document.total)
        for credit, left in self.left.items():
            if self.owner[credit] == (document.customer, document.currency) and left and due:
                part = min(left, due)
                self.left[credit] -= part
                self.paid.append((document.id, credit, part))
                due -= part
        return wanted - due

    def give_back(self, document, amount):
        """Returns what a credit note gives back beyond what was due."""
        for entry in reversed(list(self.paid)):
            if entry[0] == document and amount > 0:
                part = min(entry[2], amount)
                self.paid.remove(entry)
                self.paid.append((document, entry[1], entry[2] - part))
                self.left[entry[1]] += part
                amount -= part
