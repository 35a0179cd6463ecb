"""Clients generated from the served OpenAPI document, which read every member of an invoice line through its type.

A demo master gets prices and charges of every kind, so that its documents and drafts have lines of every kind. Then:
- openapi-python-client generates a client without a warning that is not expected; it reads invoices, drafts and credit
  notes, and each value is the one that the server sent, through a member of its type;
- openapi-typescript generates types, and tsc accepts a program that reads every member of a line, with the lines of the
  server as typed values.
What is planted must be found: members without a type, changed values, a document with `oneOf` beside `properties`, wrong
names in the program.

    COUNT 16 passed, 0 failed, 0 skipped
"""

import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from demo import Demo

NODE_MODULES = pathlib.Path(os.environ["GENERATED_NODE"]) / "node_modules"
RUN_TIMEOUT_SECONDS = 120
PERIOD = "2026-11-15/2026-12-01"
# Bodies in these types are for other programs; the JSON beside them is what a generated client sends.
OTHER_BODIES = {"application/xml", "application/toml", "application/x-ndjson", "text/xml"}
# Every kind of line that prices can make; the demo's own have monthly fees and usage.
RATES = [
    {"kind": "recurring", "every": "month", "when": "advance", "item": "support", "price": "3"},
    {"kind": "graduated", "resource": "traffic", "tiers": [{"up_to": "10", "price": "1"}, {"price": "0.5", "flat": "2"}]},
    {"kind": "percentage", "percent": "10", "of": "all"},
    {"kind": "minimum", "price": "1000", "of": "all"},
    {"kind": "discount", "percent": "5"},
    {"kind": "maximum", "price": "2", "resource": "traffic", "per": "instance"},
]
TRAFFIC = {"resource": "traffic", "kind": "counter", "meter": "sum", "unit": "GB", "group_by": ["zone"]}


def play(demo):
    """Prices, a charge, late usage and a credit note; all lines that there are then, as the server sends them."""
    standard = demo.get("/v1/price-books/standard")
    book = {name: standard[name] for name in ("currency", "valid_from", "rounding", "resources", "rates")}
    book["name"] = "standard"
    book["resources"].append(TRAFFIC)
    book["rates"] += RATES
    demo.call("POST", "/v1/price-books?retroactive=true", book)
    demo.call("POST", "/v1/price-books?retroactive=true", {
        "name": "inclusive", "currency": "USD", "valid_from": "2026-11-15T00:00:00Z", "tax": "inclusive",
        "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "12"}]})
    invoice = demo.get("/v1/invoices?limit=1")["items"][0]
    payer, instance = invoice["buyer"]["party"], invoice["lines"][0]["instance"]
    demo.call("POST", "/v1/price-books/standard/overrides", {
        "customer": payer, "valid_from": "2026-11-20T00:00:00Z",
        "rate": {"kind": "recurring", "every": "month", "when": "arrears", "price": "7"}})
    demo.call("POST", "/v1/charges", {"customer": payer, "currency": "EUR", "amount": "5.00", "description": "setup"})

    def event(name, start, stop, resource, quantity, **more):
        data = {"resource": resource, "quantity": quantity, "start": start, "stop": stop, **more}
        return {"specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": name, "subject": instance,
                "data": data}

    reported = demo.call("POST", "/v1/usage-events", [
        # October is invoiced: it is adjusted.
        event("late", "2026-10-10T00:00:00Z", "2026-10-10T01:00:00Z", "service_module/requests", "90000000"),
        event("grouped", "2026-11-10T00:00:00Z", "2026-11-10T01:00:00Z", "traffic", "12.5", dimensions={"zone": "eu"}),
    ], "application/cloudevents-batch+json")
    assert reported["accepted"] == 2, reported
    note = demo.call("POST", f"/v1/invoices/{invoice['id']}/credit", {"reason": "outage", "lines": [{"n": 1}]})
    assert note["document"] == "credit_note", note
    # Half of November has the adjustment; a correction of its line and of the adjustment together is on the next draft.
    demo.call("POST", "/v1/invoice-runs", {"period": {"start": "2026-11-01", "stop": "2026-11-15"}, "finalise": True,
                                           "price_book": "standard"})
    lines = [line for document in demo.get("/v1/invoices?limit=1000")["items"] for line in document["lines"]]
    cited = next(line["cites"] for line in lines if line["kind"] == "adjustment" and line["cites"]["line"])
    demo.call("POST", f"/v1/invoices/{cited['invoice']}/lines/{cited['line']}/correct", {"amount": "0.00", "reason": "a gift"})
    documents = demo.get("/v1/invoices?limit=1000")["items"]
    for name in ("standard", "inclusive"):
        drafts = demo.get(f"/v1/invoice-drafts?period={PERIOD}&price_book={name}&limit=1000")["items"]
        documents += [item["draft"] for item in drafts if item.get("draft")]
    return [line for document in documents for line in document["lines"]]


def run(command, **options):
    """Runs it; its exit status and output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_SECONDS, **options)
    return done.returncode, done.stdout + done.stderr


def generate_python(folder, document):
    """The client of a document, as the package `client` in this folder; what the generator warns of that is not expected."""
    folder.mkdir()
    (folder / "openapi.json").write_text(json.dumps(document))
    # Its layout is nobody's concern here.
    (folder / "config.yml").write_text("post_hooks: []\n")
    command = [str(pathlib.Path(sys.executable).parent / "openapi-python-client"), "generate", "--path", "openapi.json",
               "--config", "config.yml", "--meta", "none", "--output-path", "client"]
    code, output = run(command, cwd=folder)
    problems = [] if code == 0 else [f"status {code}", output]
    blocks = output.split("WARNING parsing ")
    problems += [line for line in blocks[0].splitlines() if "Unable" in line or "ERROR" in line]
    for block in blocks[1:]:
        lines = [line for line in block.splitlines() if line.strip()]
        expected = lines[1].startswith("Unsupported content type ") and lines[1].split()[-1] in OTHER_BODIES
        others = [line for line in lines if line.startswith(("Unable", "Attempted", "ERROR"))]
        if not expected or others:
            problems.append(f"{lines[0]} {lines[1]} {' '.join(others)}")
    return problems


def read_python(folder, demo, lines):
    """What the client in this folder reads; its faults, and the last line that it prints."""
    code, output = run([sys.executable, str(HERE / "read.py"), str(folder), demo.url], input=json.dumps(lines))
    *faults, last = output.splitlines() or [""]
    if code != 0 or not last.startswith("READ "):
        return [f"status {code}", output], last
    return faults, last


def generate_typescript(folder, document):
    """The types of a document, as `schema.d.ts` in this folder; what went wrong."""
    folder.mkdir()
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [str(NODE_MODULES / ".bin" / "openapi-typescript"), "openapi.json", "--output", "schema.d.ts"]
    code, output = run(command, cwd=folder)
    return None if code == 0 else output


def check_typescript(folder, lines, program):
    """Whether tsc accepts the program with these lines and the types in this folder; its output."""
    declared = 'import type { components } from "./schema";\nexport const lines: components["schemas"]["LineForm"][] = '
    (folder / "lines.ts").write_text(f"{declared}{json.dumps(lines, indent=1)};\n")
    (folder / "line.ts").write_text(program)
    options = {"noEmit": True, "strict": True, "exactOptionalPropertyTypes": True, "types": []}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["line.ts"]}))
    code, output = run([str(NODE_MODULES / ".bin" / "tsc"), "--project", "."], cwd=folder)
    return code == 0, output


def of_invoices(document):
    """A copy that describes what read.py asks for, and no more: its client is generated faster."""
    paths = {name: what for name, what in document["paths"].items() if name.startswith(("/v1/invoices", "/v1/invoice-drafts"))}
    return copy.deepcopy({**document, "paths": paths})


def mixed(document):
    """The document as it must not be: the members of a kind stand in a `oneOf` beside the properties of all."""
    broken = of_invoices(document)
    line = broken["components"]["schemas"]["LineForm"]
    members = {name: line["properties"].pop(name) for name in ("kind", "resource", "charge")}
    line["required"].remove("kind")
    line["oneOf"] = [
        {"type": "object", "properties": {"kind": {"type": "string", "const": "usage"}, "resource": members["resource"]},
         "required": ["kind", "resource"]},
        {"type": "object", "properties": {"kind": {"type": "string", "const": "one_off"}, "charge": members["charge"]},
         "required": ["kind", "charge"]},
    ]
    return broken


def main():
    passed = failed = 0

    def check(name, holds, output=""):
        nonlocal passed, failed
        passed, failed = passed + bool(holds), failed + (not holds)
        print(f"{'ok' if holds else 'FAILED':>7}  {name}", flush=True)
        if not holds:
            print(output, flush=True)

    with tempfile.TemporaryDirectory(prefix="slapledger-generated-") as folder:
        folder = pathlib.Path(folder)
        with Demo(folder) as demo:
            lines = play(demo)
            document = demo.get("/openapi.json")
            kinds = document["components"]["schemas"]["LineKindName"]["enum"]
            check(f"the server has lines of all {len(kinds)} kinds", {line["kind"] for line in lines} == set(kinds))
            check("some are grouped, some have steps, some cite",
                  all(any(name in line for line in lines) for name in ("dimensions", "steps", "cites")))

            problems = generate_python(folder / "python", document)
            check("a Python client is generated", not problems, "\n".join(problems))
            faults, last = read_python(folder / "python", demo, lines)
            check(f"it reads every member through its type: {last}", not faults, "\n".join(faults))

            def planted_python(name, found, change):
                changed = copy.deepcopy(lines)
                change(changed)
                faults, _ = read_python(folder / "python", demo, changed)
                check(f"{name} is found", any(found in fault for fault in faults), "\n".join(faults))

            planted_python("a member without a type", "colour has no type", lambda all: all[0].update(colour="red"))
            planted_python("a member of a member without a type", "colour has no type",
                           lambda all: all[0]["events"].update(colour="red"))
            planted_python("a member that its type refuses", "not ['colour', 'start', 'stop']",
                           lambda all: all[0]["period"].update(colour="red"))
            planted_python("a kind that is never sent", "kinds: ",
                           lambda all: all.__setitem__(slice(None), [one for one in all if one["kind"] != "minimum"]))
            broken = mixed(document)
            problems = generate_python(folder / "mixed", broken)
            faults, _ = read_python(folder / "mixed", demo, lines)
            check("a oneOf beside properties is found", problems or faults)
            broken = of_invoices(document)
            broken["components"]["schemas"]["LineForm"]["properties"]["kind"] = {"$ref": "#/components/schemas/Nothere"}
            check("a schema that is not there is found", generate_python(folder / "nothere", broken))

            program = (HERE / "line.ts").read_text()
            problems = generate_typescript(folder / "typescript", document)
            check("types for TypeScript are generated", problems is None, problems)
            accepted, output = check_typescript(folder / "typescript", lines, program)
            check("tsc accepts a program that reads every member", accepted, output)
            assert "line.amount" in program and "amount: true, " in program
            for name, found, sent, of in [
                ("a wrong name of a member", "Property 'amuont' does not exist",
                 program.replace("line.amount", "line.amuont"), lines),
                ("a member that is not read", "Property 'amount' is missing", program.replace("amount: true, ", ""), lines),
                ("a member of a line that the type lacks", "does not exist in type", program, [{**lines[0], "colour": 1}]),
                ("a kind that the type lacks", "is not assignable to type", program, [{**lines[0], "kind": "gift"}]),
            ]:
                accepted, output = check_typescript(folder / "typescript", of, sent)
                check(f"{name} is found", not accepted and found in output, output)
    print(f"COUNT {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
