"""The oracle: reads public routes alone, works out every invoice as the documents say, and compares.

`read` gives what a server shows, as plain data; `check` needs nothing else, so what was read can be kept, altered and
checked again.
"""

from compare import differences
from credit_notes import check_note
from exact import number, show
from invoices import Books


def read(wire):
    """Events, price books, runs and documents of a server."""
    books = {}
    for newest in wire.items("/v1/price-books"):
        name = newest["name"]
        versions = wire.call("GET", f"/v1/price-books/{name}")["versions"]
        books[name] = [wire.call("GET", f"/v1/price-books/{name}?version={one['version']}") for one in versions]
    events = wire.items("/v1/events")
    # Older servers have none.
    own = {event["data"]["price_book"] for event in events if event["type"] == "PriceOverrideSet"}
    overrides = {one["id"]: one["rate"] for name in own for one in wire.items(f"/v1/price-books/{name}/overrides")}
    runs = [wire.call("GET", f"/v1/invoice-runs/{one['id']}") for one in wire.items("/v1/invoice-runs")]
    names = [name for run in runs for name in run["invoices"]]
    names += [one["id"] for one in wire.items("/v1/invoices?state=final") if one["id"] not in names]
    documents = {name: wire.call("GET", f"/v1/invoices/{name}") for name in names}
    granted = [event["data"]["credit"] for event in events if event["type"] == "CreditGranted"]
    credits = {name: wire.call("GET", f"/v1/credits/{name}") for name in granted}
    return {"events": events, "credits": credits, "books": books, "overrides": overrides, "runs": runs, "documents": documents}


def check(seen):
    """Sentences about what differs, in the order of the log; nothing after the first run or note that differs is compared."""
    books = Books(seen["events"], seen["books"], seen.get("overrides"))
    in_runs = {name for run in seen["runs"] for name in run["invoices"]}
    notes = [one for name, one in seen["documents"].items() if name not in in_runs]
    tasks = [(run["sequence"], 0, run) for run in seen["runs"] if run["state"] != "withdrawn"]
    tasks += [(note["sequence"], 1, note) for note in notes]
    for _, is_note, one in sorted(tasks, key=lambda task: task[:2]):
        if is_note:
            found = [f"{one['id']}: {sentence}" for sentence in check_note(one, books)]
        else:
            found = check_run(one, seen["documents"], books)
        if found:
            return found
    found = check_numbers(seen["documents"]) + check_balances(seen["documents"], books)
    return found + check_credits(seen["credits"], books.wallet)


def check_run(run, documents, books):
    expected = books.documents(run)
    served = {}
    for name in run["invoices"]:
        served.setdefault(documents[name]["buyer"]["party"], []).append(documents[name])
    found = []
    for customer in sorted({*expected, *served}):
        many = served.get(customer, [])
        if len(many) != 1:
            found.append(f"{run['id']} {customer}: {len(many)} documents instead of {int(customer in expected)}")
        elif customer not in expected:
            found.append(f"{run['id']} {customer}: {many[0]['id']} should not be there")
    if run["state"] == "final" and not found:
        books.finalise(run, expected, {customer: many[0] for customer, many in served.items()})
    for customer, document in expected.items():
        if len(served.get(customer, [])) == 1:
            (one,) = served[customer]
            found += [f"{run['id']} {customer} {one['id']}: {sentence}" for sentence in differences(document, one)]
    for document in expected.values() if run["state"] == "final" and not found else ():
        books.settle(document)
    return found


def check_numbers(documents):
    """The numbers of each series and year have no gaps."""
    rows = {}
    for name, document in documents.items():
        if document["state"] == "final":
            series, _, count = name.rpartition("-")
            rows.setdefault(series, []).append(int(count))
    return [f"numbers of {series} are {sorted(counts)}" for series, counts in rows.items()
            if sorted(counts) != list(range(1, len(counts) + 1))]


def check_balances(documents, books):
    """What is due of each invoice after all notes."""
    invoices = [one for one in books.final if not one.turned]
    return [f"{one.id}: due is {documents[one.id]['due']}, the documents say {show(books.due[one.id])}" for one in invoices
            if number(documents[one.id]["due"]) != books.due[one.id]]


def check_credits(served, wallet):
    """What is left of prepaid credit in the end."""
    wallet.take_until(10**18)
    shown = {name: number(credit["left"]) for name, credit in served.items()}
    found = [f"{name}: {show(shown.get(name))} is left, the documents say {show(left)}"
             for name, left in wallet.left.items() if shown.get(name) != left]
    return wallet.wrong + found


def lines_in(seen):
    return sum(len(document["lines"]) for document in seen["documents"].values())
