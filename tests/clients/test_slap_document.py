"""The samples of docs/slap.md, in their order, against a fresh `slapledger proxy` and a fresh `slapledger serve`.

A sample is a block marked `http` (for `proxy`) or `http serve`: method and path, headers, then the fields of a form
one `name=value` a line, or JSON; an empty line; the status, headers and body of the answer. Values of a form are
written as they are and encoded here. A line that begins with a space goes on with the one before it, and an answer of
XML or JSON is one line whatever its layout. `…` in an answer stands for anything but nothing. A path is sent as it is
written.
"""

import re
import unittest
import urllib.parse

from server import ROOT, Server, ServerTestCase, slapledger_only

DOCUMENT = ROOT / "docs" / "slap.md"
ROUTES = ROOT / "api" / "src" / "slap" / "mod.rs"
RPC_ROUTES = ROOT / "api" / "src" / "rpc" / "mod.rs"
BLOCK = re.compile(r"^```http(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADER = re.compile(r"([A-Z][A-Za-z-]*): (.*)")


class Sample:
    """One request and the answer it is to have."""

    def __init__(self, command, text, line):
        self.command, self.line = command or "proxy", line
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
        if self.method == "GET":
            return None, None
        text = "".join(self.fields)
        if text.startswith(("{", "[")):
            return text.encode(), "application/json"
        pairs = [field.partition("=")[::2] for field in self.fields]
        return urllib.parse.urlencode(pairs).encode(), "application/x-www-form-urlencoded"

    def send(self, server):
        body, content_type = self.body()
        return server.call(self.method, self.path, body, content_type, **self.headers)

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
    return [Sample(block[1], block[2], text.count("\n", 0, block.start()) + 2) for block in BLOCK.finditer(text)]


class Master(Server):
    """`slapledger serve`."""

    def command(self):
        command = super().command()
        at = command.index("--computer")
        del command[at:at + 2]
        command[1] = "serve"
        return command


@slapledger_only
class AsProxy(ServerTestCase):
    command = "proxy"

    def test_samples(self):
        found = [sample for sample in samples(DOCUMENT.read_text(encoding="utf-8")) if sample.command == self.command]
        self.assertGreater(len(found), 5, f"docs/slap.md has too few samples for {self.command}")
        for sample in found:
            with self.subTest(sample.name):
                wrong = sample.differences(sample.send(self.server))
                self.assertFalse(wrong, sample.name + "\n" + "\n".join(wrong))


class AsMaster(AsProxy):
    command = "serve"

    def make_server(self):
        return Master(self.computer)


@slapledger_only
class TheDocument(ServerTestCase):
    def test_there_is_a_sample_of_every_route_of_the_slap_tool(self):
        routes = set(re.findall(r'\.route\("(/\w+)"', ROUTES.read_text(encoding="utf-8")))
        self.assertGreater(len(routes), 20)
        shown = {sample.path.partition("?")[0] for sample in samples(DOCUMENT.read_text(encoding="utf-8"))}
        self.assertEqual(routes - shown, set())

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
