"""Reads lines with the client that openapi-python-client generated; runs in a process of its own for each client.

    read.py FOLDER URL < lines.json

FOLDER holds the package `client`. Standard input has the lines as the server sent them; each is read through its type, and
so are the invoices and drafts that the client asks the server for itself. Prints each fault in a line, and nothing else but
`READ n lines of k kinds with m members`.
"""

import datetime
import enum
import json
import sys

sys.path.insert(0, sys.argv[1])

import attrs  # noqa: E402
from client import Client  # noqa: E402
from client import models  # noqa: E402
from client.api.invoices import list_invoices, preview_invoices, show_invoice  # noqa: E402
from client.types import Unset  # noqa: E402

PERIOD = "2026-11-15/2026-12-01"
faults = []


def fault(place, text):
    faults.append(f"{place}: {text}")


def compare(place, seen, sent):
    """That a value of the client is the one that was sent, to the last member."""
    if attrs.has(type(seen)):
        compare_object(place, seen, sent)
    elif isinstance(seen, datetime.datetime):
        if seen != datetime.datetime.fromisoformat(sent):
            fault(place, f"is {seen}, not {sent}")
    elif isinstance(seen, enum.Enum):
        compare(place, seen.value, sent)
    elif isinstance(seen, list) and isinstance(sent, list):
        if len(seen) != len(sent):
            fault(place, f"has {len(seen)} items, not {len(sent)}")
        for n, (one, other) in enumerate(zip(seen, sent)):
            compare(f"{place}[{n}]", one, other)
    elif type(seen) is not type(sent) or isinstance(seen, dict):
        # A dictionary is what the client makes of a value that it has no type for.
        fault(place, f"is {seen!r} without a type of its own, not {sent!r}")
    elif seen != sent:
        fault(place, f"is {seen!r}, not {sent!r}")


def declared(model):
    """The members that a type has, by their names in JSON."""
    names = {field.name for field in attrs.fields(type(model))} - {"additional_properties"}
    # The generator writes an underscore behind what Python has a use for.
    return {name.rstrip("_"): name for name in names}


def compare_object(place, seen, sent):
    if not isinstance(sent, dict):
        return fault(place, f"is an object, not {sent!r}")
    names = declared(seen)
    more = getattr(seen, "additional_properties", {})
    if not names:
        # An object of any members, such as dimensions.
        return None if more == sent else fault(place, f"is {more}, not {sent}")
    for name in sorted(more):
        fault(place, f"{name} has no type")
    present = {name: getattr(seen, of) for name, of in names.items()}
    present = {name: value for name, value in present.items() if not isinstance(value, Unset)}
    if present.keys() | more.keys() != sent.keys():
        fault(place, f"has {sorted(present)}, not {sorted(sent)}")
    for name in present.keys() & sent.keys():
        compare(f"{place}.{name}", present[name], sent[name])


def main():
    sent = json.load(sys.stdin)
    line_form = getattr(models, "LineForm", None)
    if line_form is None:
        print("there is no type LineForm")
        return
    kinds, members = set(), set()
    for n, line in enumerate(sent):
        read = line_form.from_dict(line)
        compare(f"line {n}", read, line)
        kinds.add(line["kind"])
        members |= line.keys()
    count = len(sent)
    # And as the client itself asks for them.
    client = Client(base_url=sys.argv[2], raise_on_unexpected_status=True)

    def answered(name, answer):
        if not 200 <= answer.status_code < 300:
            return fault(name, f"answered {answer.status_code}")
        compare(name, answer.parsed, json.loads(answer.content))
        return answer.parsed

    page = answered("invoices", list_invoices.sync_detailed(client=client, limit=1000))
    drafts = answered("drafts", preview_invoices.sync_detailed(client=client, period=PERIOD, price_book="standard"))
    for invoice in page.items if page else []:
        read = answered(invoice.id, show_invoice.sync_detailed(invoice.id, client=client))
        count += len(read.lines) if read else 0
    count += sum(len(item.draft.lines) for item in drafts.items) if drafts else 0
    # What was never sent was never read.
    of_type = {one.value for one in models.LineKindName} if hasattr(models, "LineKindName") else set()
    if kinds != of_type:
        fault("kinds", f"{sorted(kinds)} were read, the type has {sorted(of_type)}")
    of_type = set(declared(line_form.from_dict(sent[0])))
    if members != of_type:
        fault("members", f"{sorted(members)} were read, the type has {sorted(of_type)}")
    print("\n".join([*faults, f"READ {count} lines of {len(kinds)} kinds with {len(members)} members"]))


main()
