"""Checks a proof of an invoice, as `slapledger verify-invoice` does, and shares no code with it.

    python3 tests/proofs/verify.py PROOF KEY

Signature, tree and stored bytes are read here (`checked`, `stored`); the amounts are worked out by the oracle
(tests/oracle), in exact fractions. The proof has to hold all usage of the customer (`slapledger proof --all-usage`).
"""

import base64
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "oracle")]

import stored  # noqa: E402
from checked import CannotRepeat, Refused, checkpoint_of, key_of, leaf_hash, root_of  # noqa: E402
from compare import differences  # noqa: E402
from credit_notes import check_note  # noqa: E402
from exact import number, show  # noqa: E402
from invoices import Books  # noqa: E402

LARGEST = 1 << 53
OF_LEDGER = ("LedgerCreated", "LogKeySet")


def events_of(proof, key):
    """The events of a proof, all of them in the tree of its signed checkpoint."""
    if proof["format"] != 1:
        raise Refused("the proof has another format")
    origin, size, root = checkpoint_of(proof["checkpoint"], key)
    leaves, events = {}, []
    for one in proof["events"]:
        sequence, data = one["sequence"], base64.b64decode(one["bytes"], validate=True)
        if not 1 <= sequence <= min(size, LARGEST):
            raise Refused(f"event {sequence} is not in the checkpoint of {size} events")
        if events and events[-1]["sequence"] >= sequence:
            raise Refused("the events are not in the order of the log")
        leaves[sequence - 1] = leaf_hash(data)
        try:
            events.append(stored.event(sequence, data))
        except (ValueError, KeyError, OverflowError) as fault:
            raise Refused(f"event {sequence} cannot be read: {fault!r}") from None
    for one in proof["withheld"]:
        leaves[one["sequence"] - 1] = bytes.fromhex(one["hash"])
    if root_of(leaves, size, [bytes.fromhex(one) for one in proof["hashes"]]) != root:
        raise Refused("the events are not those of the log")
    created = next((one["data"] for one in events if (one["sequence"], one["type"]) == (1, "LedgerCreated")), None)
    if created is None or created["ledger"] != origin.removeprefix("slapledger/").replace("-", ""):
        raise Refused("the first event is of another log")
    # A proof may leave out that the key was replaced; it cannot show that it was not.
    keys = [one["data"]["public"] for one in events if one["type"] == "LogKeySet"]
    if not keys or key_of(key)[2].hex() != keys[-1]:
        raise Refused("the key was replaced before the checkpoint")
    projects = {one["project"] for one in events if one["type"] not in OF_LEDGER}
    if len(projects) > 1:
        raise Refused(f"the events are of several projects: {', '.join(sorted(projects))}")
    if proof["withheld"]:
        raise CannotRepeat("events are withheld: the arithmetic cannot be repeated")
    return events


def documents_of(events):
    """Documents, runs and price books as they are served."""
    documents, runs, books, parts = {}, {}, {}, {}

    def check_versions(run, versions):
        published = len(books.get(runs[run]["price_book"], []))
        if published != versions:
            raise Refused(f"{run} takes {versions} versions of its price book, the events before it have {published}")

    for event in events:
        data, sequence = event["data"], event["sequence"]
        match event["type"]:
            case "PriceBookPublished":
                book = stored.shown_book(data["book"], data["version"], sequence)
                books.setdefault(book["name"], []).append(book)
            case "InvoiceRunOpened":
                period = {end: next(iter(bound.values())) for end, bound in data["period"].items()}
                runs[data["run"]] = {**data, "id": data["run"], "period": period, "opened_at": data["at"], "state": "draft",
                                     "sequence": sequence}
                check_versions(data["run"], data["versions"])
            case "InvoiceRunRefreshed":
                runs[data["run"]] |= {"cut_off": data["cut_off"], "sequence": sequence}
                check_versions(data["run"], data["versions"])
            case "InvoiceRunWithdrawn":
                runs[data["run"]]["state"] = "withdrawn"
            case "InvoiceRunFinalised":
                runs[data["run"]]["state"] = "final"
            case "InvoiceLinesRecorded":
                parts.setdefault(data["invoice"], []).extend(data["lines"])
            case "InvoiceFinalised":
                document = data["invoice"]
                if document["id"] in documents:
                    raise Refused(f"{document['id']} was issued twice")
                lines = parts.pop(document["id"], []) if data["parts"] else document["lines"]
                documents[document["id"]] = {
                    **stored.without_none(document), "lines": [stored.shown_line(line) for line in lines], "state": "final",
                    "sequence": sequence, "tax": [stored.without_none(one) for one in document["tax"]]}
    return documents, runs, books


def overrides_of(events):
    """The prices of the customer alone, by their numbers, as they are served."""
    own = [event["data"] for event in events if event["type"] == "PriceOverrideSet"]
    return {one["override"]: stored.shown_rate(one["rate"]) for one in own}


def check_explanations(proof, document):
    """Sentences about explanations that are not of the lines; of each, its number and its amount are compared."""
    told = proof.get("explanations")
    if not told:
        return []
    lines = [line for line in document["lines"] if proof.get("line") in (None, line["n"])][:1000]
    if [one["line"] for one in told] != [line["n"] for line in lines]:
        return [f"{proof['invoice']}: the explanations are not those of its lines"]
    found = []
    for one, line in zip(told, lines):
        amount = number(one["explanation"]["amount"]) * (-1 if one["explanation"]["turned"] else 1)
        if amount != number(line["amount"]):
            found.append(f"{proof['invoice']}: line {line['n']} is {line['amount']}, its explanation says {show(amount)}")
    return found


def check(proof, key):
    """Sentences about what is wrong with the document of a proof; none, if it is what its events give."""
    events = events_of(proof, key)
    documents, runs, books = documents_of(events)
    wanted = documents.get(proof["invoice"])
    if wanted is None:
        return [f"no event issues {proof['invoice']}"]
    known = Books(events, books, overrides_of(events))
    of_runs = {}
    notes = []
    for one in sorted(documents.values(), key=lambda one: one["sequence"]):
        of_runs[one["run"]] = one if one["run"] not in of_runs else (notes.append(one), of_runs[one["run"]])[1]
    tasks = [(run["sequence"], 0, run) for run in runs.values() if run["state"] != "withdrawn"]
    # What another price book charged, and what was credited of it, is not in the proof.
    tasks += [(note["sequence"], 1, note) for note in notes if note["run"] in runs or note is wanted]
    for _, is_note, one in sorted(tasks, key=lambda task: task[:2]):
        if is_note:
            found = check_note(one, known)
            name = one["id"]
        else:
            name, found = check_run(one, of_runs.get(one["id"]), known, wanted)
        if found or name == proof["invoice"]:
            return [f"{name}: {sentence}" for sentence in found] or check_explanations(proof, wanted)
    return [f"{proof['invoice']} is of no run"]


def check_run(run, served, books, wanted):
    """The document of a run for the customer, compared with what the oracle works out."""
    customer = wanted["buyer"]["party"]
    # Parties other than the customer have nothing here.
    expected = {party: one for party, one in books.documents(run).items() if party == customer}
    if served is None:
        if run["state"] == "final":
            books.finalise(run, {}, {})
        return None, []
    if customer not in expected:
        return served["id"], ["it should not be there"]
    document = expected[customer]
    books.finalise({**run, "sequence": served["sequence"]}, expected, {customer: served})
    found = differences(document, served)
    # Lines do not store what they are without tax.
    found = [one for one in found if not re.search(r"^line \d+: net is None", one)]
    if not document.turned and number(served["due"]) != document.due:
        found.append(f"due is {served['due']}, the events give {show(document.due)}")
    if not found:
        books.settle(document)
    return served["id"], found


def main(arguments):
    if len(arguments) != 2:
        print("usage: verify.py PROOF KEY", file=sys.stderr)
        return 2
    proof = json.loads(pathlib.Path(arguments[0]).read_text())
    try:
        found = check(proof, arguments[1])
    except CannotRepeat as withheld:
        print(f"{proof['invoice']} cannot be repeated: {withheld}")
        return 3
    except Refused as refused:
        found = [str(refused)]
    print(found[0] if found else f"{proof['invoice']} holds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
