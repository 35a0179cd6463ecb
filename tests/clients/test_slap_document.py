"""The samples of docs/slap.md, in their order, against a fresh `slapledger proxy` and a fresh `slapledger serve`.

A sample is a block marked `http` (for `proxy`) or `http serve` and who asks: method and path, headers, then the fields of a form
one `name=value` a line, or JSON; an empty line; the status, headers and body of the answer. Values of a form are
written as they are and encoded here. A line that begins with a space goes on with the one before it, and an answer of
XML or JSON is one line whatever its layout. `…` in an answer stands for anything but nothing. A path is sent as it is
written. Who asks a master comes as the document says: what it shows of certificates and tokens being got is what the samples
after it come with.
"""

import json
import re
import unittest
import urllib.parse

from slapos.util import loads

from master import Identity, Master, Visitor
from server import ROOT, ServerTestCase, slapledger_only
from slap_case import json_rpc_document

DOCUMENT = ROOT / "docs" / "slap.md"
ROUTES = ROOT / "api" / "protocols" / "src" / "slap" / "mod.rs"
RPC_ROUTES = ROOT / "api" / "protocols" / "src" / "rpc" / "mod.rs"
BLOCK = re.compile(r"^```http(?: (\w+) (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADER = re.compile(r"([A-Z][A-Za-z-]*): (.*)")


class Sample:
    """One request and the answer it is to have."""

    def __init__(self, command, who, text, line):
        self.command, self.who, self.line = command or "proxy", who, line
        asked, gap, answered = text.rstrip("\n").partition("\n\n")
        if not gap:
            raise ValueError(f"docs/slap.md:{line}: a sample without an answer")
        first, *rest = asked.split("\n")
        self.method, self.path = first.split(" ", 1)
        self.headers, rest = headers(rest)
        joined = []
        for part in rest:
            if part.startswith(" ") and joined:
                joined[-1] += part.strip()
            else:
                joined.append(part)
        self.fields = joined
        status, *rest = answered.split("\n")
        self.status = int(status)
        self.answer_headers, rest = headers(rest)
        is_marked_up = bool(rest) and rest[0].startswith(("<marshal>", "{", "["))
        self.answer = "".join(part.strip() for part in rest) if is_marked_up else "\n".join(rest)

    @property
    def name(self):
        return f"docs/slap.md:{self.line}: {self.method} {self.path}"

    def body(self):
        """Body and content type of the request."""
        text = "".join(self.fields)
        if not text:
            return None, None
        if text.startswith(("{", "[")):
            return text.encode(), "application/json"
        pairs = [field.partition("=")[::2] for field in self.fields]
        return urllib.parse.urlencode(pairs).encode(), "application/x-www-form-urlencoded"

    def send(self, asks, token=""):
        """The answer; `…` in a header stands for the token."""
        body, content_type = self.body()
        told = {name: value.replace("…", token) for name, value in self.headers.items()}
        return asks.call(self.method, self.path, body, content_type, **told)

    def differences(self, answer):
        """What the answer has otherwise, in words; empty if it is as written."""
        wrong = []
        if answer.status != self.status:
            wrong.append(f"status {answer.status} instead of {self.status}")
        for name, value in self.answer_headers.items():
            if not matches(value, answer.headers.get(name) or ""):
                wrong.append(f"{name}: {answer.headers.get(name)} instead of {value}")
        if not matches(self.answer, answer.text.rstrip("\n")):
            wrong.append(f"body\n{answer.text}\ninstead of\n{self.answer}")
        return wrong


def headers(lines):
    """The headers that lines begin with, and the lines after them."""
    found = {}
    for at, line in enumerate(lines):
        header = HEADER.fullmatch(line)
        if not header:
            return found, lines[at:]
        found[header[1]] = header[2]
    return found, []


def matches(pattern, text):
    """Whether a text is the one written, `…` standing for anything but nothing."""
    return re.fullmatch(".+?".join(map(re.escape, pattern.split("…"))), text, re.DOTALL) is not None


def samples(text):
    """The samples of a document, in their order."""
    return [Sample(*block.groups(), text.count("\n", 0, block.start()) + 2) for block in BLOCK.finditer(text)]


@slapledger_only
class AsProxy(ServerTestCase):
    command = "proxy"

    def test_samples(self):
        found = [sample for sample in samples(DOCUMENT.read_text(encoding="utf-8")) if sample.command == self.command]
        self.assertGreater(len(found), 5, f"docs/slap.md has too few samples for {self.command}")
        for sample in found:
            with self.subTest(sample.name):
                wrong = sample.differences(self.send(sample))
                self.assertFalse(wrong, sample.name + "\n" + "\n".join(wrong))

    def send(self, sample):
        return sample.send(self.server)


class AsMaster(AsProxy):
    command = "serve"

    def make_server(self):
        return Master()

    def setUp(self):
        super().setUp()
        self.token, self.known = "", {"admin": self.server, "nobody": Visitor(self.server)}

    def send(self, sample):
        answer = sample.send(self.known[sample.who], self.token)
        if answer.status < 300:
            self.remember(sample.path, answer)
        return answer

    def remember(self, path, answer):
        """What others come with from now on."""
        content_type = answer.headers.get_content_type()
        if content_type == "application/json" and isinstance(answer.json(), dict):
            given = answer.json()
        elif "Certificate" in path:
            given = loads(answer.body) if content_type == "text/xml" else {}
        else:
            return
        self.token = given.get("token") or given.get("access_token") or self.token
        who = {"Person_getCertificate": "user", "Person_requestComputer": "node", "generateComputerCertificate": "node",
               "slapos.post.v0.compute_node_certificate": "node"}.get(path.strip("/"))
        if who:
            self.known[who] = Visitor(self.server, Identity(self.server.folder / who, given["certificate"], given["key"]))


def shown():
    """Method and path of all samples, without queries."""
    return {(sample.method, sample.path.partition("?")[0]) for sample in samples(DOCUMENT.read_text(encoding="utf-8"))}


def operations(paths, tags):
    """What an OpenAPI document describes under these tags, by method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if tags & set(operation["tags"])
    }


def without_sample(operations, shown):
    """The operations that no sample shows; a sample shows all that are described in the same words, by whatever name."""
    def words(operation):
        return json.dumps({key: value for key, value in operation.items() if key != "operationId"}, sort_keys=True)

    def is_shown(method, path):
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        return any(method == known and re.fullmatch(pattern, at) for known, at in shown)

    said = {words(operation) for place, operation in operations.items() if is_shown(*place)}
    return sorted(place for place, operation in operations.items() if words(operation) not in said)


@slapledger_only
class TheDocument(ServerTestCase):
    def test_there_is_a_sample_of_every_route_of_the_slap_tool(self):
        routes = set(re.findall(r'\.route\("(/\w+)"', ROUTES.read_text(encoding="utf-8")))
        self.assertGreater(len(routes), 20)
        self.assertEqual(routes - {path for _, path in shown()}, set())

    def test_there_is_a_sample_of_every_call_of_json_rpc(self):
        ours = set(re.findall(r'"(/slapos\.\w+\.\w+\.\w+)"', RPC_ROUTES.read_text(encoding="utf-8")))
        calls = set(json_rpc_document()["paths"])
        self.assertGreater(len(calls), 20)
        self.assertEqual(calls - ours, set(), "slapos.core has calls that are not served")
        paths = {path for method, path in shown() if method == "POST"}
        self.assertEqual((calls | ours) - paths, set())

    def test_there_is_a_sample_of_every_route_for_computers_software_and_instances(self):
        described = operations(self.server.get("openapi.json").json()["paths"], {"computers", "software", "instances"})
        self.assertGreater(len(described), 30)
        self.assertEqual(without_sample(described, shown()), [])

    def test_there_is_a_sample_of_every_route_of_the_original_document(self):
        paths = self.server.get("openapi.json").json()["paths"]
        tags = {tag for methods in paths.values() for operation in methods.values() for tag in operation["tags"]}
        described = {place: what for place, what in operations(paths, tags).items() if "_module/" in place[1]}
        self.assertGreater(len(described), 15)
        # By its own name, not by that of its twin under /v1.
        alone = {place: {"operationId": "", "place": place} for place in described}
        self.assertEqual(without_sample(alone, shown()), [])

    def test_a_route_without_a_sample_is_noticed(self):
        here, there = {"operationId": "here", "summary": "one"}, {"operationId": "there", "summary": "one"}
        known = {("GET", "/a/{id}"): here, ("GET", "/b/{id}/c"): there, ("POST", "/a/{id}"): {"summary": "two"}}
        for seen, missing in (
            ({("GET", "/a/1"), ("POST", "/a/1")}, []),
            ({("GET", "/b/1/c"), ("POST", "/a/1")}, []),
            ({("GET", "/a/1")}, [("POST", "/a/{id}")]),
            ({("POST", "/a/1"), ("GET", "/a/1/2")}, [("GET", "/a/{id}"), ("GET", "/b/{id}/c")]),
        ):
            with self.subTest(seen):
                self.assertEqual(without_sample(known, seen), missing)

    def test_every_sample_is_for_a_command_that_is_tested(self):
        commands = {sample.command for sample in samples(DOCUMENT.read_text(encoding="utf-8"))}
        self.assertEqual(commands, {AsProxy.command, AsMaster.command})

    def test_every_call_of_json_rpc_is_named(self):
        calls = re.findall(r'"/(slapos\.\w+\.\w+\.\w+)"', RPC_ROUTES.read_text(encoding="utf-8"))
        self.assertGreater(len(calls), 20)
        text = DOCUMENT.read_text(encoding="utf-8")
        self.assertEqual([call for call in calls if f"`{call}`" not in text], [])

    def test_a_wrong_sample_is_noticed(self):
        right = "```http\nGET /healthz\n\n200\n…\n```\n"
        for text, is_right in (
            (right, True),
            (right.replace("200", "404"), False),
            (right.replace("…", "something else"), False),
            (right.replace("200\n", "200\nContent-Type: image/png\n"), False),
        ):
            with self.subTest(text):
                (sample,) = samples(text)
                self.assertEqual(not sample.differences(sample.send(self.server)), is_right)


if __name__ == "__main__":
    unittest.main()
