"""Proofs of invoices: made by a real server, checked by the program and by a second verifier; lies must be found and named.

    python3 tests/proofs/run.py --seeds 1-3 --binary target/release/slapledger

A line for each check, and at the end `COUNT 12 passed, 0 failed, 0 skipped`. The months are those of the oracle.
`--logs 1000 --only-logs` checks 1,000 random logs and nothing else.
"""

import argparse
import base64
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path += [str(HERE), str(HERE.parent / "oracle")]

import features  # noqa: E402
import stored  # noqa: E402
import verify  # noqa: E402
from checked import Refused, key_of, leaf_hash  # noqa: E402
from ed25519 import SecretKey  # noqa: E402
from forge import ForgedLog, only  # noqa: E402
from logs import random_logs  # noqa: E402
from play import play  # noqa: E402
from scenario import BEGIN, Scenario  # noqa: E402
from wire import Wire  # noqa: E402
from zones import text  # noqa: E402

MUTATIONS = 20  # of each proof


class Program:
    """The commands of the program that check proofs."""

    def __init__(self, binary):
        self.binary = str(binary)

    def run(self, *arguments):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def verify(self, proofs, key, *more):
        """What `verify-invoice` says of proofs."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, proof in enumerate(proofs):
                paths.append(pathlib.Path(folder, f"{number}.proof"))
                paths[-1].write_text(json.dumps(proof))
            return self.run("verify-invoice", *paths, "--key", key, *more)


def leaves_of(wire, size):
    """All events as they are stored."""
    leaves = []
    for tile in range((size + 255) // 256):
        width = min(256, size - 256 * tile)
        path = f"/log/tile/entries/{tile:03}" + (f".p/{width}" if width < 256 else "")
        wire.connection.request("GET", path)
        answer = wire.connection.getresponse()
        body, at = answer.read(), 0
        if answer.status != 200:
            raise AssertionError(f"{path} is {answer.status}: {body!r}")
        while at < len(body):
            length = int.from_bytes(body[at:at + 2], "big")
            leaves.append(body[at + 2:at + 2 + length])
            at += 2 + length
    return leaves


def python_says(proof, key):
    try:
        return "; ".join(verify.check(proof, key)) or "holds"
    except Refused as refused:
        return str(refused)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as fault:
        return f"cannot be read: {fault!r}"


def mutated(proof, dice):
    """A proof in which something is another."""
    changed = json.loads(json.dumps(proof))
    kind = dice.choice(("event", "hash", "note", "drop", "swap", "sequence", "more"))
    events = changed["events"]
    at = dice.randrange(len(events))
    if kind == "event":
        data = bytearray(base64.b64decode(events[at]["bytes"]))
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        events[at]["bytes"] = base64.b64encode(data).decode()
    elif kind == "hash" and changed["hashes"]:
        which = dice.randrange(len(changed["hashes"]))
        data = bytearray.fromhex(changed["hashes"][which])
        data[dice.randrange(32)] ^= 1 << dice.randrange(8)
        changed["hashes"][which] = data.hex()
    elif kind == "note":
        lines = changed["checkpoint"].split("\n")
        lines[1] = str(int(lines[1]) + dice.choice((-1, 1)))
        changed["checkpoint"] = "\n".join(lines)
    elif kind == "swap" and len(events) > 1:
        other = (at + 1) % len(events)
        events[at]["bytes"], events[other]["bytes"] = events[other]["bytes"], events[at]["bytes"]
    elif kind == "sequence":
        events[at]["sequence"] += 1
    elif kind == "more":
        changed["hashes"].append("00" * 32)
    else:
        del events[at]
    return kind, changed


class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, holds, told=""):
        self.passed, self.failed = self.passed + bool(holds), self.failed + (not holds)
        if not holds:
            print(f"FAILED {what}: {told}", flush=True)


def for_all_customers(scenario):
    """The same without prices of single customers in price books: a proof withholds those from the others."""
    for step in scenario.steps:
        if "rates" in (step.get("body") or {}):
            rates = step["body"]["rates"]
            shared = [rate for rate in rates if "customer" not in (rate.get("match") or {})]
            step["body"] = {**step["body"], "rates": shared or rates}
    return scenario


def one_seed(seed, binary, checks, program):
    """All documents of a random month are proved, and changed proofs are refused by both verifiers."""
    dice = random.Random(seed)
    with Wire(binary, text(BEGIN)) as wire:
        wanted = features.of_server(wire.call("GET", "/openapi.json"))
        play(for_all_customers(Scenario(seed, wanted)), wire)
        key = wire.call("GET", "/v1/log/checkpoint")["key"]
        names = [one["id"] for one in wire.items("/v1/invoices?state=final")]
        proofs = {name: wire.call("GET", f"/v1/invoices/{name}/proof?usage=all") for name in names}
        small = {name: wire.call("GET", f"/v1/invoices/{name}/proof") for name in names}
        lines = {name: [wire.call("GET", f"/v1/invoices/{name}/proof?line={line['n']}")
                        for line in wire.call("GET", f"/v1/invoices/{name}")["lines"]] for name in names}
    held = of_lines = 0
    for name in names:
        status, told = program.verify([proofs[name]], key)
        says = python_says(proofs[name], key)
        if proofs[name]["withheld"]:
            checks.check(f"seed {seed} {name} withheld",
                         status == 3 and "cannot be repeated" in told and "cannot be repeated" in says, told + says)
            continue
        held += 1
        checks.check(f"seed {seed} {name}", status == 0, told)
        checks.check(f"seed {seed} {name} in Python", says == "holds", says)
        status, told = program.verify([small[name]], key)
        checks.check(f"seed {seed} {name}, only what its lines name", status == 0, told)
        shown = [proof for proof in lines[name] if not proof["withheld"]]
        status, told = program.verify(shown, key) if shown else (0, "")
        checks.check(f"seed {seed} {name}, each line", status == 0 and told.count(" holds") == len(shown), told)
        of_lines += len(shown)
    status, told = program.verify([proofs[name] for name in names if not proofs[name]["withheld"]], key) if held else (0, "")
    checks.check(f"seed {seed} all together", status == 0, told)
    for name in names[:2]:
        for _ in range(MUTATIONS):
            kind, changed = mutated(proofs[name], dice)
            status, told = program.verify([changed], key)
            says = python_says(changed, key)
            checks.check(f"seed {seed} {name} with another {kind}", status == 1 and says != "holds", told + says)
    print(f"     ok seed {seed}: {len(names)} documents, {held} proved, and {of_lines} lines", flush=True)


PRICES = {
    "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
    "resources": [{"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}],
    "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"},
              {"kind": "per_unit", "resource": "requests", "price": "0.0125"}],
}


def story(wire, prepaid=None):
    """October of two customers, by the second version of the prices; they may have prepaid credit."""
    wire.clock("2026-09-20T00:00:00Z")
    first = [{**PRICES["rates"][0], "price": "8.00"}, PRICES["rates"][1]]
    wire.call("POST", "/v1/price-books", {**PRICES, "rates": first})
    wire.call("POST", "/v1/price-books", PRICES)
    wire.call("POST", "/v1/computers", {"reference": "COMP-n0"})
    wire.call("PUT", "/v1/computers/COMP-n0/allocation-scope", {"scope": "open"})
    partitions = [{"id": f"slappart{n}", "user": f"slapuser{n}"} for n in range(2)]
    offered = {"address": "10.0.0.1", "netmask": "255.0.0.0", "partitions": partitions}
    wire.call("PUT", "/v1/computers/COMP-n0/configuration", offered)
    wire.clock("2026-10-01T00:00:00Z")
    for name in ("One", "Two"):
        party = wire.call("POST", "/v1/parties", {"name": name, "time_zone": "UTC"})["id"]
        wire.call("POST", "/v1/instances", {"instance_id": name, "software_release": "http://example.org/v1", "owner": party,
                                            "sla": {"computer_guid": "COMP-n0"}})
        if prepaid:
            credit = {"customer": party, "currency": "EUR", "amount": prepaid, "description": "paid"}
            wire.call("POST", "/v1/credits", credit)
    wire.clock("2026-10-05T00:00:00Z")
    for n, name in enumerate(("One", "Two")):
        event = {"specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-n0", "id": name, "subject": f"slappart{n}",
                 "data": {"resource": "requests", "quantity": "1003", "start": "2026-10-03T00:00:00Z",
                          "stop": "2026-10-04T00:00:00Z"}}
        wire.call("POST", "/v1/usage-events", event, "application/cloudevents+json", expect=(200, 201))
    wire.clock("2026-11-02T00:00:00Z")
    run = wire.call("POST", "/v1/invoice-runs", {"period": {"start": "2026-10-01", "stop": "2026-11-01"}})
    wire.call("POST", f"/v1/invoice-runs/{run['id']}/finalise")


def lies(binary, checks, program):
    """What a server that lies may do: each is found, and named, by the program; by the second verifier, found."""
    with Wire(binary, text(BEGIN)) as wire:
        story(wire)
        shown = wire.call("GET", "/v1/log/checkpoint")
        leaves = leaves_of(wire, shown["size"])
        names = [one["id"] for one in wire.items("/v1/invoices?state=final")]
        proofs = {name: wire.call("GET", f"/v1/invoices/{name}/proof?usage=all") for name in names}
        pem = (wire.server.data / "signing.key").read_bytes()
        story_of_erasure(wire, checks, program, names[1], proofs[names[1]], shown["key"])
    origin, key = shown["origin"], shown["key"]
    honest = ForgedLog(leaves, origin, SecretKey.of_pem(pem))
    name, other = names[0], names[1]
    sequences = [one["sequence"] for one in proofs[name]["events"]]
    again = honest.proof(name, sequences)
    checks.check("the forger signs as the server does", honest.verifier() == key and again["hashes"] == proofs[name]["hashes"])
    of_type = {}
    for sequence in sequences:
        of_type.setdefault(honest.event(sequence)["type"], []).append(sequence)
    (usage,), (_, book), (issued,) = of_type["UsageRecorded"], of_type["PriceBookPublished"], of_type["InvoiceFinalised"]

    def must_say(what, forged, words, *more, against=None, by_python=True):
        status, told = program.verify(forged if isinstance(forged, list) else [forged], against or key, *more)
        checks.check(f"lie: {what}", status == 1 and words in told, f"status {status}: {told}")
        if by_python and not isinstance(forged, list):
            says = python_says(forged, against or key)
            checks.check(f"lie, in Python: {what}", says != "holds", says)
        print(f"     ok lie: {what}: {told.strip().splitlines()[0][:150]}", flush=True)

    forged = honest.copy()
    forged.change(usage, lambda before, after: only(["quantity"], before, after))
    changed = forged.proof(name, sequences)
    must_say("an event is another than in the log", {**changed, "checkpoint": proofs[name]["checkpoint"]}, "not those of the log")
    must_say("another quantity", changed, "line 2: quantity is 1003, the events give")
    explained = json.loads(json.dumps(proofs[name]))
    explained["explanations"][1]["explanation"]["amount"] = "13.00"
    must_say("an explanation has another amount", explained, "line 2: explanation.amount is \"13.00\", the events give")
    explained = json.loads(json.dumps(proofs[name]))
    explained["explanations"][0]["explanation"]["formula"][0] += " or so"
    must_say("an explanation has another formula", explained, "line 1: explanation.formula[0] is", by_python=False)
    explained = json.loads(json.dumps(proofs[name]))
    del explained["explanations"][0]
    must_say("a line is not explained", explained, "the proof explains 1 lines, the events give 2")
    dropped = honest.proof(name, [one for one in sequences if one != usage])
    must_say("an event is dropped", dropped, "the events give")
    must_say("a price version is dropped", honest.proof(name, [one for one in sequences if one != book]),
             "RUN-1 takes 2 versions of standard, the events before it have 1")
    forged = honest.copy()
    # After the version of the envelope comes the project.
    forged.leaves[usage - 1] = forged.leaves[usage - 1][:1] + b"\x02" + forged.leaves[usage - 1][2:]
    must_say("usage of another project", forged.proof(name, sequences), "is of PROJ-2, and those before it are of PROJ-1")
    hidden = {**again, "events": [one for one in again["events"] if one["sequence"] != usage],
              "withheld": [{"sequence": usage, "hash": leaf_hash(leaves[usage - 1]).hex()}]}
    status, told = program.verify([hidden], key)
    checks.check("what is withheld is not refuted", status == 3 and "cannot be repeated" in told and "NOT" not in told, told)
    checks.check("what is withheld, in Python", "cannot be repeated" in python_says(hidden, key), told)
    status, told = program.verify([again], key)
    checks.check("what a proof cannot show is said", status == 0 and "not shown  that no other key replaced" in told, told)
    forged = honest.copy()
    forged.leaves[usage] = forged.leaves[usage - 1]
    inserted = forged.proof(name, sorted({*sequences, usage + 1}))
    must_say("an event is inserted", inserted, f"event at sequence {usage + 1}: its envelope says {usage}")
    forged = honest.copy()
    forged.leaves[usage - 1], forged.leaves[usage - 2] = forged.leaves[usage - 2], forged.leaves[usage - 1]
    must_say("events are reordered", forged.proof(name, sequences), "its envelope says")
    forged = honest.copy()
    forged.change(book, lambda before, after: only(["book", "rates", 1, "model", "usage", "tariff", "per_unit", "price"],
                                                   before, after))
    must_say("another price", forged.proof(name, sequences), "line 2: unit price is")
    forged = honest.copy()
    before = forged.leaves[issued - 1]
    forged.change(issued, lambda before, after: only(["invoice", "lines", 1, "amount"], before, after))
    forged.sign_lines_again(issued, before)
    for member in ("net", "total", "due"):
        forged.change(issued, lambda before, after, member=member: only(["invoice", member], before, after))
    must_say("a rounding", forged.proof(name, sequences), "line 2: amount is")
    fork = honest.copy()
    unknown = next(n for n in range(len(leaves)) if n + 1 not in sequences)
    fork.leaves[unknown] = fork.leaves[unknown] + b"x"
    must_say("a forked tree is shown to two customers", [again, fork.proof(other, [one["sequence"] for one in proofs[other]["events"]])],
             "the log is forked")
    logs_that_lie(honest, checks, program, (usage, book, issued, name, other), proofs)
    old = honest.proof(name, [one for one in sequences if one < issued], issued - 1)
    old["events"] = again["events"]
    must_say("an old checkpoint", old, "it is an older one")
    twice = honest.copy()
    second = next(one["sequence"] for one in proofs[other]["events"]
                  if honest.event(one["sequence"])["type"] == "InvoiceFinalised")
    twice.leaves[second - 1] = twice.leaves[second - 1].replace(other.encode(), name.encode())
    two = twice.proof(name, [one["sequence"] for one in proofs[other]["events"]])
    must_say("a number is issued twice", [twice.proof(name, sequences), two], "the number was issued twice")
    revoked(binary, checks, program, must_say)


# What a second credit note about 0.54, all that remains of the second line, may say: the words of the program, and what of the
# document becomes what.
LIES_ABOUT_NOTES = (
    ("more than remains", "at most 0.54", ("lines", 0, "amount", "0.55"), ("tax", 0, "base", "0.55"), ("net", "0.55"),
     ("total", "0.55"), ("due", "0.01")),
    ("a second invoice", "is a second document of RUN-1", ("document", "invoice")),
    ("another line", "kind is", ("lines", 0, "cites", "line", 1)),
    ("a line that is not there", "has no line 3", ("lines", 0, "cites", "line", 3)),
    ("another document", "citation is", ("cites", "invoice", "INV-2026-000002")),
    ("a line of another document", "cites no line of", ("lines", 0, "cites", "invoice", "INV-2026-000002")),
    ("less prepaid credit goes back", "prepaid is", ("prepaid", 0, "amount", "0.53"), ("due", "0.01")),
    ("more prepaid credit goes back", "prepaid is", ("prepaid", 0, "amount", "0.55"), ("due", "-0.01")),
    ("nothing is left", "the events give", ("cites", "all", True)),
    ("another tax", "tax is", ("lines", 0, "tax", "category", "S")),
    ("another tax of the note", "tax is", ("tax", 0, "category", "S")),
    ("a rounding", "rounding is", ("rounding", "0.01"), ("total", "0.55"), ("due", "0.01")),
    ("another instance", "instance is", ("lines", 0, "instance", "SOFTINST-2")),
    ("another run", "", ("run", "RUN-2")),
)


def lies_about_notes(binary, checks, program):
    """Credit notes that nobody could issue, and invented documents: found in their own proof, in that of a later document, and
    in the whole log."""
    with Wire(binary, text(BEGIN)) as wire:
        story(wire, prepaid="20.00")
        name = min(one["id"] for one in wire.items("/v1/invoices?state=final"))
        wire.clock("2026-11-10T00:00:00Z")
        for amount in ("12.00", "0.54"):
            back = {"reason": "not delivered", "lines": [{"n": 2, "amount": amount}]}
            wire.call("POST", f"/v1/invoices/{name}/credit", back)
        wire.clock("2026-12-02T00:00:00Z")
        run = wire.call("POST", "/v1/invoice-runs", {"period": {"start": "2026-11-01", "stop": "2026-12-01"}})
        wire.call("POST", f"/v1/invoice-runs/{run['id']}/finalise")
        names = sorted(one["id"] for one in wire.items("/v1/invoices?state=final"))
        shown = wire.call("GET", "/v1/log/checkpoint")
        secret = SecretKey.of_pem((wire.server.data / "signing.key").read_bytes())
        honest = ForgedLog(leaves_of(wire, shown["size"]), shown["origin"], secret)
        proofs = {one: wire.call("GET", f"/v1/invoices/{one}/proof?usage=all") for one in names}
    for one, proof in proofs.items():
        status, told = program.verify([proof], shown["key"])
        checks.check(f"{one} holds", status == 0, told)
        checks.check(f"{one} holds, in Python", python_says(proof, shown["key"]) == "holds", python_says(proof, shown["key"]))
    sequences = {one: [event["sequence"] for event in proof["events"]] for one, proof in proofs.items()}
    note = "INVCN-2026-000002"
    issued = sequences[note][-1]
    later = next(one for one in names if one != note and issued in sequences[one])
    for what, words, *paths in LIES_ABOUT_NOTES:
        forged = honest.copy()
        before = forged.leaves[issued - 1]
        for *path, value in paths:
            forged.change(issued, lambda before, after, path=("invoice", *path), value=value:
                          only(path, before, after) and at(path, after) == value)
        forged.sign_lines_again(issued, before)
        for proved in (note, later):
            proof = forged.proof(proved, sequences[proved])
            status, told = program.verify([proof], shown["key"])
            checks.check(f"note: {what}, {proved}", status == 1 and words in told, f"status {status}: {told}")
            says = python_says(proof, shown["key"])
            checks.check(f"note, in Python: {what}, {proved}", says != "holds" and "cannot be read" not in says, says)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "log")
            path.write_bytes(forged.export())
            status, told = program.run("verify", path, "--deep")
            checks.check(f"note in a log: {what}", status == 1 and words in told, f"status {status}: {told}")
        print(f"     ok note: {what}: {told.strip().splitlines()[-1][:150]}", flush=True)


def at(path, data):
    """What stands at a path."""
    for step in path:
        data = data[step]
    return data


def logs_that_lie(honest, checks, program, known, proofs):
    """The same lies in whole logs that are signed again: `verify --deep` names them; a kept checkpoint shows any."""
    usage, book, issued, name, other = known
    kept = honest.note(issued - 1)

    def changed(sequence, *path):
        forged = honest.copy()
        forged.change(sequence, lambda before, after: only(list(path), before, after))
        return forged

    rounded = honest.copy()
    before = rounded.leaves[issued - 1]
    rounded.change(issued, lambda before, after: only(["invoice", "lines", 1, "amount"], before, after))
    rounded.sign_lines_again(issued, before)
    twice = honest.copy()
    second = next(one["sequence"] for one in proofs[other]["events"]
                  if honest.event(one["sequence"])["type"] == "InvoiceFinalised")
    twice.leaves[second - 1] = twice.leaves[second - 1].replace(other.encode(), name.encode())
    dropped, inserted, reordered, shortened = (honest.copy() for _ in range(4))
    del dropped.leaves[usage - 1]
    inserted.leaves.insert(usage, inserted.leaves[usage - 1])
    reordered.leaves[usage - 1], reordered.leaves[usage - 2] = reordered.leaves[usage - 2], reordered.leaves[usage - 1]
    del shortened.leaves[issued - 3:]
    with tempfile.TemporaryDirectory() as folder:
        path, note = pathlib.Path(folder, "log"), pathlib.Path(folder, "note")
        note.write_text(kept)
        for what, forged, words in (
                ("honest", honest, None), ("another quantity", changed(usage, "quantity"), "quantity is"),
                ("another price", changed(book, "book", "rates", 1, "model", "usage", "tariff", "per_unit", "price"), "unit price is"),
                ("a rounding", rounded, "amount is"), ("a number issued twice", twice, "a second time"),
                ("an event dropped", dropped, "its envelope says"), ("an event inserted", inserted, "its envelope says"),
                ("events reordered", reordered, "its envelope says")):
            path.write_bytes(forged.export())
            status, told = program.run("verify", path, "--deep")
            checks.check(f"a log: {what}", (status, words is None or words in told) == (int(words is not None), True), told)
            print(f"     ok log: {what}: {told.strip().splitlines()[-1][:150]}", flush=True)
        for what, forged, words in (("rewritten", changed(usage, "quantity"), "the log was rewritten"),
                                    ("cut short", shortened, "later events are missing"), ("honest", honest, None)):
            path.write_bytes(forged.export())
            status, told = program.run("verify", path, "--checkpoint", note, "--key", honest.verifier())
            checks.check(f"a log, {what}, and a kept checkpoint", (status, words is None or words in told)
                         == (int(words is not None), True), told)


def auditors_day(binary, checks, program):
    """An auditor keeps a checkpoint, comes back a month later, and checks everything on a machine without network."""
    with tempfile.TemporaryDirectory() as folder, Wire(binary, text(BEGIN)) as wire:
        folder = pathlib.Path(folder)
        story(wire)
        shown = wire.call("GET", "/v1/log/checkpoint")
        note = folder / "kept"
        note.write_text(shown["note"])
        wire.clock("2026-12-02T00:00:00Z")
        run = wire.call("POST", "/v1/invoice-runs", {"period": {"start": "2026-11-01", "stop": "2026-12-01"}})
        wire.call("POST", f"/v1/invoice-runs/{run['id']}/finalise")
        names = [one["id"] for one in wire.items("/v1/invoices?state=final")]
        wire.server.stop()
        data, key = wire.server.data, shown["key"]

        def does(what, *arguments, status=0, words=""):
            found, told = program.run(*arguments)
            checks.check(f"the auditor's day: {what}", found == status and words in told, f"status {found}: {told}")
            return told

        against = ("--checkpoint", note, "--key", key)
        does("the folder continues what was kept", "verify", "--data", data, "--deep", *against, words="continues")
        log, copy = folder / "log.slapexp", folder / "copy"
        does("the log is exported", "export", log, "--data", data)
        does("the export holds", "verify", log, "--deep", *against, words="documents derived again")
        does("it is imported", "import", log, copy)
        does("the copy has the same root", "verify", "--data", copy, *against, words="continues")
        does("an export is not imported over something", "import", log, copy, status=1, words="exists and is not empty")
        again = folder / "again.slapexp"
        does("the copy is exported", "export", again, "--data", copy)
        replayed = [does("replayed", "replay", "--until", shown["size"], "--data", one) for one in (data, copy)]
        checks.check("the auditor's day: both are the same at the checkpoint", replayed[0] == replayed[1])
        part = folder / "part"
        does("a part is exported", "export", part, "--data", data, "--after", shown["size"], "--project", "PROJ-1")
        does("the part holds", "verify", part, *against, words="continues")
        does("a part is not imported", "import", part, folder / "other", status=1, words="only an export of the whole log")
        does("lines are exported", "export", folder / "lines", "--data", data, "--ndjson")
        lines = [json.loads(line) for line in (folder / "lines").read_text().splitlines()]
        checks.check("the auditor's day: every event is a line", [one["sequence"] for one in lines] == list(range(1, len(lines) + 1)))
        does("what changed is shown", "diff", "--data", data, "--from", shown["size"], words="invoice-run/RUN-2")
        does("since an instant too", "diff", "--data", data, "--from", "2026-11-15T00:00:00Z", words="invoice-run/RUN-2")
        for name in names:
            proof = folder / f"{name}.proof"
            does(f"{name} is proved", "proof", name, proof, "--data", data)
            does(f"{name} is checked", "verify-invoice", proof, "--key", key, words="holds")
        wire.server.start()
    print(f"     ok the auditor's day: {len(names)} invoices, {len(lines)} events", flush=True)


def golden(checks):
    """Every payload that a proof may hold is read, to its last byte, as it was first written."""
    known, read = set(), 0
    for line in (ROOT / "fixtures/golden/events-v1.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        data = bytes.fromhex(line.split()[-1])
        number, sequence = stored.number_of(data)
        if number in stored.PAYLOADS:
            stored.event(sequence, data)
            known.add(number)
            read += 1
    checks.check("the golden bytes of all payloads are read", known == set(stored.PAYLOADS),
                 f"without {set(stored.PAYLOADS) - known}")
    print(f"     ok {read} golden events", flush=True)


def revoked(binary, checks, program, must_say):
    """After a rotation a checkpoint that the first key signs does not hold."""
    with Wire(binary, text(BEGIN)) as wire:
        story(wire)
        first = wire.call("GET", "/v1/log/checkpoint")
        pem = (wire.server.data / "signing.key").read_bytes()
        wire.server.stop()
        status, told = program.run("keys", "rotate-log", "--data", wire.server.data)
        checks.check("the key is rotated", status == 0, told)
        wire.server.start()
        wire.connection.close()
        shown = wire.call("GET", "/v1/log/checkpoint")
        leaves = leaves_of(wire, shown["size"])
        name = wire.items("/v1/invoices?state=final")[0]["id"]
        proof = wire.call("GET", f"/v1/invoices/{name}/proof?usage=all")
    status, told = program.verify([proof], shown["key"])
    checks.check("a proof after a rotation", status == 0, told)
    stolen = ForgedLog(leaves, shown["origin"], SecretKey.of_pem(pem))
    forged = stolen.proof(name, [one["sequence"] for one in proof["events"]])
    checks.check("the stolen key is the first", key_of(first["key"]) == key_of(stolen.verifier()))
    must_say("a revoked key signs, and its holder is believed", forged, "the key was revoked", against=first["key"])
    must_say("a revoked key signs", forged, "another key of the log", against=shown["key"])


def story_of_erasure(wire, checks, program, name, before, key):
    """An erasure leaves proofs valid, and a proof from before it opens nothing."""
    party = wire.call("GET", f"/v1/invoices/{name}")["buyer"]["party"]
    checks.check("a proof has no name of a customer", b"Two" not in sealed_texts(before))
    (instance,) = [one["id"] for one in wire.items("/v1/instances") if one["owner"] == party]
    wire.call("DELETE", f"/v1/instances/{instance}")
    wire.call("POST", f"/v1/instances/{instance}/reports", {"state": "destroyed"})
    wire.call("POST", f"/v1/parties/{party}/erase", {}, expect=(200, 201, 202, 204))
    deadline = time.monotonic() + 20
    while "erased_at" not in wire.call("GET", f"/v1/parties/{party}") and time.monotonic() < deadline:
        time.sleep(0.1)
    for what, proof in (("before", before), ("after", wire.call("GET", f"/v1/invoices/{name}/proof?usage=all"))):
        status, told = program.verify([proof], key)
        checks.check(f"a proof from {what} an erasure holds", status == 0, told)
        checks.check(f"a proof from {what} an erasure, in Python", python_says(proof, key) == "holds")


def sealed_texts(proof):
    """What of a proof is the content of parties."""
    events = [(one["sequence"], base64.b64decode(one["bytes"])) for one in proof["events"]]
    return b"\n".join(data for sequence, data in events if stored.event(sequence, data)["type"].startswith("Party"))


class Process:
    """A program that runs until it is stopped; its address is in a line that begins with a word."""

    def __init__(self, word, *arguments):
        self.process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith(word):
                return
        raise AssertionError(f"{arguments} ended: {self.lines}")

    def word(self, name):
        return next(line.split()[1] for line in self.lines if line.startswith(name))

    def stop(self):
        self.process.terminate()
        self.lines += self.process.communicate(timeout=60)[0].splitlines()


def asked(url, path, token, body=None):
    """Status and JSON of an answer."""
    request = urllib.request.Request(url.rstrip("/") + path, None if body is None else json.dumps(body).encode(),
                                     {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"{}")


def until(seconds, look):
    """What is looked for, once it is there."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def witnesses(binary, checks, program):
    """A witness cosigns a log, and refuses its fork."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data, config, secret = folder / "data", folder / "serve.toml", folder / "token"
        status, told = program.run("init", "--data", data, "--token-file", secret)
        checks.check("a ledger is made", status == 0, told)
        token = secret.read_text().strip()

        def serve(where):
            more = ["--config", config] if config.exists() else []
            return Process("serving", binary, "serve", "--data", where, "--plain-http", "--listen", "127.0.0.1:0", *more)

        server = serve(data)
        key = asked(server.word("serving"), "/v1/log/checkpoint", token)[1]["key"]
        server.stop()
        fork = folder / "fork"
        shutil.copytree(data, fork)
        witness = Process("witness", binary, "witness", "--data", folder / "witness", "--name", "witness.example", "--log", key,
                          "--listen", "127.0.0.1:0")
        config.write_text(f'[checkpoints]\ninterval_seconds = 10\n[[witnesses]]\nurl = "{witness.word("witness")}"\n'
                          f'key = "{witness.word("key")}"\n')
        server = serve(data)
        url = server.word("serving")
        cosigned = until(60, lambda: (lambda answer: answer[0] == 200 and answer[1])(
            asked(url, "/v1/log/checkpoint?cosigned=true", token)))
        listed = asked(url, "/v1/log/checkpoints", token)[1]
        server.stop()
        checks.check("a witness cosigns", cosigned, f"{listed} {server.lines}")
        signers = [one["signers"] for one in listed.get("items", [])]
        checks.check("both signers are listed", [key.split("+")[0], "witness.example"] in signers, str(signers))
        note = folder / "note"
        note.write_text(cosigned["note"] if cosigned else "")
        status, told = program.run("verify", "--data", data, "--checkpoint", note, "--key", witness.word("key"))
        checks.check("the log continues what was cosigned", status == 0, told)
        status, told = program.run("verify", "--data", fork, "--checkpoint", note, "--key", witness.word("key"))
        checks.check("an older copy does not", status == 1 and "events are missing" in told, told)
        # The copy goes its own way, until it is as long as the other.
        server = serve(fork)
        url = server.word("serving")
        for n in range(20):
            asked(url, "/v1/parties", token, {"name": f"party {n}", "time_zone": "UTC"})
        fault = until(60, lambda: [one for one in asked(url, "/healthz", token)[1].get("faults", [])
                                   if "does not cosign" in one])
        server.stop()
        checks.check("its fork is refused", fault and "does not continue" in json.dumps(fault), f"{fault} {server.lines}")
        witness.stop()
        # A checkpoint that its log cannot prove is kept; it is no evidence before another one of its size is known.
        kept = list((folder / "witness" / "unproved").glob("*.note"))
        checks.check("the checkpoint that was not proved is kept", kept)
        print(f"     ok witness: {json.dumps(fault)[:160]}", flush=True)


def go_agrees(binary, checks):
    """Go's sumdb/note and sumdb/tlog accept notes, tiles and proofs (tests/proofs/go)."""
    if subprocess.run(["which", "go"], capture_output=True, check=False).returncode:
        print("SKIPPED go: golang-go is not installed", flush=True)
        return 1
    with Wire(binary, text(BEGIN)) as wire, tempfile.TemporaryDirectory() as folder:
        notes = []
        story(wire)
        sizes = [wire.call("GET", "/v1/log/checkpoint")]
        for n in range(300):
            wire.call("POST", "/v1/parties", {"name": f"party {n}", "time_zone": "UTC"})
            if n in (3, 200):
                sizes.append(wire.call("GET", "/v1/log/checkpoint"))
        sizes.append(wire.call("GET", "/v1/log/checkpoint"))
        last = sizes[-1]
        for shown in sizes:
            leaf = random.Random(shown["size"]).randrange(shown["size"]) + 1
            inclusion = wire.call("GET", f"/v1/log/proofs/inclusion?sequence={leaf}&size={shown['size']}")
            consistency = wire.call("GET", f"/v1/log/proofs/consistency?from={shown['size']}&to={last['size']}")
            notes.append({"note": shown["note"], "inclusion": inclusion, "consistency": consistency})
        tiles = {}
        size = last["size"]
        for level, count in ((0, size), (1, size // 256)):
            for tile in range((count + 255) // 256):
                width = min(256, count - 256 * tile)
                path = f"{level}/{tile:03}" + (f".p/{width}" if width < 256 else "")
                wire.connection.request("GET", f"/log/tile/{path}")
                tiles[path] = wire.connection.getresponse().read().hex()
        leaves = [one.hex() for one in leaves_of(wire, size)]
        asked = pathlib.Path(folder, "asked.json")
        asked.write_text(json.dumps({"key": last["key"], "notes": notes, "last": last["note"], "tiles": tiles, "leaves": leaves}))
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": folder, "GOFLAGS": ""}
        done = subprocess.run(["go", "run", HERE / "go" / "main.go", asked], env=environment, capture_output=True, text=True,
                              check=False)
        checks.check("Go accepts notes, tiles and proofs", done.returncode == 0, done.stdout + done.stderr)
        print(f"     ok Go: {done.stdout.strip()}", flush=True)
    return 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1-6", help="which months of the oracle")
    parser.add_argument("--binary", default=os.environ.get("SLAPLEDGER_BIN") or ROOT / "target/release/slapledger")
    parser.add_argument("--logs", type=int, default=10, help="how many random logs")
    parser.add_argument("--only-logs", action="store_true", help="check random logs and nothing else")
    options = parser.parse_args(arguments)
    low, _, high = options.seeds.partition("-")
    checks, program, skipped = Checks(), Program(options.binary), 0
    of_logs = [lambda: random_logs(options.logs, options.binary, checks, program, leaves_of)]
    for what in of_logs if options.only_logs else (
                 *of_logs, lambda: golden(checks), lambda: lies(options.binary, checks, program),
                 lambda: lies_about_notes(options.binary, checks, program), lambda: go_agrees(options.binary, checks),
                 lambda: auditors_day(options.binary, checks, program), lambda: witnesses(options.binary, checks, program),
                 *(lambda seed=seed: one_seed(seed, options.binary, checks, program)
                   for seed in range(int(low), int(high or low) + 1))):
        try:
            skipped += what() or 0
        except Exception:
            checks.check("it ran", False, traceback.format_exc())
    print(f"COUNT {checks.passed} passed, {checks.failed} failed, {skipped} skipped")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
