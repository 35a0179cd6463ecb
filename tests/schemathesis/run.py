"""The served OpenAPI document, held against the specification and against the server that serves it.

Five checks on a demo master with a month of data, each counted:
- the document is valid OpenAPI 3.1 by openapi-spec-validator, which also finds a document that is broken on purpose;
- schemathesis with a fixed seed and bounded examples finds no 500, no undocumented status, media type or shape;
- it finds one 500 that a proxy in between plants, and one status that is documented nowhere.

    COUNT 5 passed, 0 failed, 0 skipped
"""

import copy
import http.client
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from openapi_spec_validator import OpenAPIV31SpecValidator

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from demo import Demo

SEED = "20111"
EXAMPLES = "25"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
RUN_TIMEOUT_SECONDS = 900


class Planting(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the server, and answers one route with a status of its own."""

    protocol_version = "HTTP/1.1"
    target = planted_path = planted_status = None

    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if self.path.split("?")[0] == self.planted_path:
            planted = json.dumps({"type": "urn:slapledger:problem:fault", "title": "fault", "status": self.planted_status,
                                  "detail": "planted"})
            return self.send(self.planted_status, [("content-type", "application/problem+json")], planted.encode())
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        told = [pair for pair in answer.getheaders() if pair[0].lower() not in ("content-length", "transfer-encoding")]
        self.send(answer.status, told, answer.read())

    def send(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

    def log_message(self, *_):
        """Nobody reads it."""


def known(demo):
    """What there is on the server, so that not all requests are for what does not exist."""
    def first(path):
        return demo.get(path + "?limit=1")["items"]

    names = [
        ("instances", first("/v1/instances"), "id"), ("computers", first("/v1/computers"), "id"),
        ("invoices", first("/v1/invoices"), "id"), ("invoice-runs", first("/v1/invoice-runs"), "id"),
        ("instance-trees", first("/v1/instance-trees"), "id"), ("price-books", first("/v1/price-books"), "name"),
        ("accounts", first("/v1/accounts"), "id"),
    ]
    return {name: items[0][member] for name, items, member in names if items}


def config(folder, demo):
    """The configuration of a run: single resources are those that exist."""
    # A sequence that is not reached yet is waited for.
    lines = ["[parameters]", "min_sequence = 1"]
    for name, value in known(demo).items():
        member = "name" if name == "price-books" else "id"
        lines += ["[[operations]]", f'include-path-regex = "^/v1/{name}/"', 'include-method = "GET"',
                  f'parameters = {{ "path.{member}" = {json.dumps(value)} }}']
    path = folder / "schemathesis.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def schemathesis(folder, port, configuration, *more):
    """Runs it; its exit status and output."""
    command = [
        str(pathlib.Path(sys.executable).parent / "st"), "--config-file", str(configuration), "run",
        f"http://127.0.0.1:{port}/openapi.json", "--checks", CHECKS, "--seed", SEED, "--max-examples", EXAMPLES,
        "--generation-database", "none", "--phases", "examples,coverage,fuzzing", *more,
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "NO_COLOR": "1"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_SECONDS)
    return run.returncode, run.stdout + run.stderr


def planted(demo, folder, configuration, path, status):
    """Runs it through a proxy that answers one route wrongly."""
    handler = type("Handler", (Planting,), {"target": demo.port, "planted_path": path, "planted_status": status})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        return schemathesis(folder, server.server_port, configuration, "--include-path", path)
    finally:
        server.shutdown()
        server.server_close()


def main():
    passed = failed = 0

    def check(name, holds, output=""):
        nonlocal passed, failed
        passed, failed = passed + bool(holds), failed + (not holds)
        print(f"{'ok' if holds else 'FAILED':>7}  {name}", flush=True)
        if not holds:
            print(output, flush=True)

    with tempfile.TemporaryDirectory(prefix="slapledger-st-") as folder:
        folder = pathlib.Path(folder)
        with Demo(folder) as demo:
            document = demo.get("/openapi.json")
            errors = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
            check("the document is OpenAPI 3.1", document["openapi"].startswith("3.1.") and not errors, "\n".join(errors))
            broken = copy.deepcopy(document)
            del broken["paths"]["/v1/instances"]["get"]["responses"]["200"]["description"]
            check("a broken document is found", any(OpenAPIV31SpecValidator(broken).iter_errors()))
            configuration = config(folder, demo)
            for path, status, found in [("/v1/software", 500, "Server error"), ("/v1/products", 418, "Undocumented status code")]:
                code, output = planted(demo, folder, configuration, path, status)
                check(f"a planted {status} is found", code == 1 and found.lower() in output.lower(), output)
            began = time.monotonic()
            # A stream has no end, or no schema that schemathesis reads: the matrix of roles asks them, and tests of their own.
            streams = ("/v1/events/stream", "/v1/projections/{name}/generations/stream")
            without = [word for path in streams for word in ("--exclude-path", path)]
            code, output = schemathesis(folder, demo.port, configuration, *without)
            tail = "\n".join(output.splitlines()[-30:])
            print(tail, flush=True)
            check(f"what is served is what is said ({time.monotonic() - began:.0f} s)", code == 0, output)
    print(f"COUNT {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
