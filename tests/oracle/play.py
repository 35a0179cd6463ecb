"""Plays a scenario against a real server through public routes, setting its clock before each step."""

import re
import time

from exact import digits_of, number, show, toward_zero
from zones import instant, text

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
        if "give_back" in step:
            give_back(step, wire)
            continue
        # A batch of which nothing is accepted is 422; what is suspended is in the log all the same.
        expect = (200, 201, 422) if step["path"] == "/v1/usage-events" else (200, 201)
        if step["path"] == "/v1/discount-codes/redeem":
            expect = (200, 404)  # no discount may have the code now
        answer = wire.call(step["method"], filled(step["path"], known), filled(step["body"], known),
                           step.get("type", "application/json"), expect)
        if step.get("keep"):
            known[step["keep"]] = answer
    wait_for_expiry(wire, scenario.steps[-1]["at"])


def wait_for_expiry(wire, now, patience=20):
    """Until the server has recorded that credit has expired whose time has come: it does so by itself, within a second."""
    def waiting():
        return [one["id"] for one in wire.items("/v1/credits")
                if number(one["left"]) and one.get("expires_at") and instant(one["expires_at"]) <= now]

    last = time.monotonic() + patience
    while waiting():
        if time.monotonic() > last:
            raise AssertionError(f"{', '.join(waiting())} did not expire within {patience} s")
        time.sleep(0.1)


def give_back(step, wire):
    """Something of a final invoice is given back, or a line of it corrected; of one with nothing to give back, nothing."""
    invoices = [one for one in wire.items("/v1/invoices?state=final") if one["document"] == "invoice"]
    if not invoices:
        return
    which, first, second, share = step["numbers"]
    invoice = invoices[which % len(invoices)]
    lines = [one for one in invoice["lines"] if number(one["amount"])]
    if not lines:
        return
    path, how = f"/v1/invoices/{invoice['id']}", step["give_back"]
    chosen = {line["n"]: line for line in (lines[first % len(lines)], lines[second % len(lines)])}
    digits = digits_of(invoice["currency"])

    def part(line):
        return show(toward_zero(number(line["amount"]) / step["part"], digits)) if step["part"] else None

    if how == "void":
        body = {"reason": "a test"}
    elif how == "correct":
        n, line = next(iter(chosen.items()))
        path, how = f"{path}/lines/{n}", "correct"
        body = {"reason": "a test", "amount": show(toward_zero(number(line["amount"]) * (share % 5) / 2, digits))}
    else:
        wanted = [{"n": n, **({"amount": part(line)} if part(line) else {})} for n, line in chosen.items()]
        body = {"reason": "a test", "lines": wanted}
    # It may be nothing, or more than is left: the server refuses that.
    wire.call("POST", f"{path}/{how}", body, expect=(200, 201, 409, 422))
