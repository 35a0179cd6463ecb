"""Plays a scenario against a real server through public routes, setting its clock before each step."""

import re

from exact import digits_of, number, show, toward_zero
from zones import text

NAME = re.compile(r"\{([\w -]+)(?:\.(\w+))?\}")


def filled(value, known):
    """A value with each `{name}` in its texts replaced by what is known under it."""
    if isinstance(value, str):
        return NAME.sub(lambda match: known[match[1]][match[2] or "id"], value)
    if isinstance(value, dict):
        return {filled(key, known): filled(held, known) for key, held in value.items()}
    if isinstance(value, list):
        return [filled(held, known) for held in value]
    return value


def play(scenario, wire):
    """Runs all steps; what the server refuses is a fault, but for usage that it suspends, which is part of the game."""
    known = {"c0": {"id": "PARTY-1"}}
    for step in scenario.steps:
        wire.clock(text(step["at"]))
        if "credit" in step:
            give_back(step, wire)
            continue
        answer = wire.call(step["method"], filled(step["path"], known), filled(step["body"], known),
                           step.get("type", "application/json"))
        if step.get("keep"):
            known[step["keep"]] = answer


def give_back(step, wire):
    """A credit note on a line of a final invoice, whole or in part; on an invoice with nothing to give back, none."""
    invoices = [one for one in wire.items("/v1/invoices?state=final") if "CN-" not in one["id"]]
    if not invoices:
        return
    which, line = step["credit"]
    invoice = invoices[which % len(invoices)]
    lines = [one for one in invoice["lines"] if number(one["amount"]) > 0]
    if not lines:
        return
    line = lines[line % len(lines)]
    wanted = {"n": line["n"]}
    if step["part"]:
        digits = digits_of(invoice["currency"])
        part = toward_zero(number(line["amount"]) / step["part"], digits)
        if not part:
            return
        wanted["amount"] = show(part)
    # The line may have been given back before.
    wire.call("POST", f"/v1/invoices/{invoice['id']}/credit", {"reason": "a test", "lines": [wanted]},
              expect=(200, 201, 409, 422))
