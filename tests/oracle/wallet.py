"""Prepaid credit of customers (docs/invoices.md, "Prepaid credit"): it pays by priority, then by expiry, then by age.

Credit that had paid and is given back by a credit note goes back to the credit that paid last. What is withdrawn is what is
left then; a credit note may give something back to it later.
"""

import collections
from fractions import Fraction

from exact import number, show
from facts import Facts
from zones import instant


class Wallet:
    """What is left of every credit, as of the last sequence that was taken."""

    def __init__(self, events):
        self.events, self.taken = events, 0
        self.wrong = []  # sentences about withdrawals
        self.left, self.owner, self.order, self.expires = {}, {}, {}, {}
        self.paid = collections.defaultdict(list)  # document -> [credit, what it paid and was not given back]

    def take_until(self, sequence):
        """Grants and withdrawals up to a sequence."""
        for event in self.events:
            if self.taken < event["sequence"] <= sequence:
                one = Facts([event]) if event["type"] == "CreditGranted" else None
                for credit in one.credits.values() if one else ():
                    self.left[credit.id] = credit.amount
                    self.owner[credit.id] = (credit.customer, credit.currency)
                    self.order[credit.id] = (credit.priority, credit.expires_at or float("inf"), len(self.order))
                    self.expires[credit.id] = credit.expires_at or float("inf")
                if event["type"] == "CreditExpired" and instant(event["data"]["at"]) < self.expires[event["data"]["credit"]]:
                    self.wrong.append(f"{event['data']['credit']} expires before its time")
                if event["type"] in ("CreditWithdrawn", "CreditExpired"):
                    credit, amount = event["data"]["credit"], number(event["data"]["amount"])
                    if amount != self.left[credit]:
                        self.wrong.append(f"{credit}: {show(amount)} is gone of {show(self.left[credit])} that is left")
                    self.left[credit] = Fraction(0)
        self.taken = max(self.taken, sequence)

    def pay(self, document, at):
        """What of a document's total is paid by which credit when it is issued."""
        due, used = max(Fraction(0), document.total), []
        for credit in sorted(self.left, key=self.order.get):
            left = self.left[credit]
            if self.expires[credit] > at and self.owner[credit] == (document.customer, document.currency) and left and due:
                part = min(left, due)
                self.left[credit] -= part
                self.paid[document.id].append([credit, part])
                used.append((credit, part))
                due -= part
        return used

    def give_back(self, document, amount):
        """To which credit a credit note gives back what is more than was due, and how much: the newest first."""
        back = []
        for entry in reversed(self.paid[document]):
            part = min(entry[1], amount)
            if part > 0:
                entry[1] -= part
                self.left[entry[0]] += part
                amount -= part
                back.append((entry[0], part))
        return back
