"""HTTP to the server under test over one connection that is kept, and the server process itself.

The process is started as the client tests start it (tests/clients/server.py).
"""

import http.client
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from server import Server  # noqa: E402


class Refused(Exception):
    """An answer with a status that was not expected."""


class Wire:
    """A server on its own data folder and the connection to it."""

    def __init__(self, binary, clock):
        self.server = Server("COMP-1", clock)
        self.server.port = None
        command = self.server.command
        self.server.command = lambda: [str(binary), *command()[1:]]
        self.connection = None

    def __enter__(self):
        self.server.start()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.server.stop()
        self.server.remove()

    def clock(self, instant):
        self.server.set_clock(instant)

    def call(self, method, path, body=None, content_type="application/json", expect=(200, 201)):
        """The answer's JSON; anything but an expected status is a fault."""
        headers = {"Content-Type": content_type} if body is not None else {}
        data = None if body is None else json.dumps(body).encode()
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status not in expect:
            raise Refused(f"{method} {path} is {answer.status}: {content.decode('utf-8', 'replace')[:400]}\n"
                          f"    body {json.dumps(body)[:200]}")
        return json.loads(content) if content else None

    def items(self, path):
        """All items of a list, through its cursor."""
        found, cursor, mark = [], "", "&" if "?" in path else "?"
        while True:
            page = self.call("GET", f"{path}{mark}limit=1000{cursor}")
            found += page["items"]
            if not page.get("next"):
                return found
            cursor = f"&cursor={page['next']}"
