"""Folders that earlier releases wrote (fixtures/folders/): each one reads as it did, is verified, and is upgraded in place by
a master; one that a newer release wrote is refused with advice and left as it is."""

import json
import pathlib
import re
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import folder  # noqa: E402
from journal import Client, Journal  # noqa: E402
from make_folder import root_of_head  # noqa: E402
from program import Program  # noqa: E402

# What a refusal of a newer format says to do.
ADVICE = re.compile(r"newer (version|release).*(upgrade|use|run|open it with)|upgrade slapledger", re.IGNORECASE | re.DOTALL)


class Formats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = Program()

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="slapledger-formats-")
        self.addCleanup(temporary.cleanup)
        self.place = pathlib.Path(temporary.name)

    def done(self, ended):
        self.assertTrue(ended.is_done, ended.words)
        return ended

    def reads_as_written(self, log, number):
        """The log begins with what the release that wrote it printed. Only members that events have got since are new."""
        then = [json.loads(line) for line in folder.log_then(number)]
        now = [json.loads(line) for line in self.done(log).output.splitlines()[:len(then)]]
        self.assertEqual(len(now), len(then))
        for event, was in zip(now, then):
            self.assertEqual(changed(was, event), [], f"event {was['sequence']}")

    def test_a_changed_member_is_found(self):
        was = {"amount": "1.00", "lines": [{"n": 1}], "cites": None}
        self.assertEqual(changed(was, {**was, "new": "of a later release", "lines": [{"n": 1, "new": None}]}), [])
        self.assertEqual(changed(was, {**was, "amount": "1.01"}), [".amount"])
        self.assertEqual(changed(was, {"amount": "1.00", "lines": [{"n": 1}]}), [".cites"])
        self.assertEqual(changed(was, {**was, "lines": [{"n": 1}, {"n": 2}]}), [".lines"])
        self.assertEqual(changed(was, {**was, "lines": [{"n": 2}]}), [".lines[0].n"])

    def test_there_is_a_fixture_of_the_format_that_is_written(self):
        data, token = self.place / "data", self.place / "token"
        self.done(self.program.init(data, token))
        with self.program.serve(data, token).start() as server:
            server.stop()
        self.assertEqual(written_format(data), folder.fixtures()[-1],
                         "tests/storage/make_folder.py makes the fixture of a new format")

    def test_every_folder_opens(self):
        for number in folder.fixtures():
            with self.subTest(f"format {number}"):
                self.opens(number)

    def opens(self, number):
        data, token, facts = folder.unpack(number, self.place / f"format-{number}")
        written = Journal.of(facts["acknowledged"])
        before = folder.digests(data)
        self.reads_as_written(self.program.log(data), number)
        self.assertEqual(root_of_head(data).hex(), facts["root"])
        if self.program.has("verify"):
            self.done(self.program.verify(data))
            self.done(self.program.verify(data, "--deep"))
            # What only reads upgrades nothing.
            self.assertEqual(folder.changes(before, folder.digests(data)), [])
        self.done(self.program.run("rebuild", "--data", data))
        folder.confirm_clock(self.program, data)
        for _ in range(2):
            with self.program.serve(data, token).start() as server:
                Client(server, written, f"format {number}").once()
                self.assertEqual(server.stop(), 0, server.said())
        self.assertFalse(written.refused)
        log = self.program.log(data)
        self.reads_as_written(log, number)
        self.assertEqual(written.faults(log.events()), [])
        if self.program.has("verify"):
            self.done(self.program.verify(data, "--deep"))

    def test_a_newer_format_is_refused(self):
        for what, change in NEWER.items():
            with self.subTest(what):
                data, token, _ = folder.unpack(folder.fixtures()[-1], self.place / what.replace(" ", "-"))
                if not change(data):
                    continue  # this format has no such file
                before = folder.digests(data)
                ended = [self.program.log(data), self.program.run("rebuild", "--data", data)]
                with self.program.serve(data, token).spawn() as server:
                    self.assertFalse(server.is_ready(), "a master starts on it")
                    words = [*(each.words for each in ended), server.said()]
                    server.stop()
                for each in words:
                    self.assertRegex(each, ADVICE)
                self.assertEqual(folder.changes(before, folder.digests(data)), [])


def changed(was, now, place=""):
    """Where a value lacks a member that it had, or has it with another value."""
    if isinstance(was, dict) and isinstance(now, dict):
        return [found for name, value in was.items()
                for found in (changed(value, now[name], f"{place}.{name}") if name in now else [f"{place}.{name}"])]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [found for n, pair in enumerate(zip(was, now)) for found in changed(*pair, f"{place}[{n}]")]
    return [] if was == now else [place]


def written_format(data):
    """The format of a folder: of its manifests, or, where no epoch is sealed, by what the open epoch is."""
    manifests = sorted((data / "log").glob("epoch-*.manifest"))
    if manifests:
        return json.loads(manifests[-1].read_text())["format"]
    return 2 if list((data / "log").glob("epoch-*.tail")) else 1


def newer_manifest(data):
    path = sorted((data / "log").glob("epoch-*.manifest"))[-1]
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99, "more": "of it"}))
    return True


def newer_tail(data):
    """The last byte of the mark is the version."""
    tails = sorted((data / "log").glob("epoch-*.tail"))
    for path in tails:
        content = bytearray(path.read_bytes())
        content[7] = 99
        path.write_bytes(content)
    return bool(tails)


NEWER = {"newer manifest": newer_manifest, "newer tail": newer_tail}


if __name__ == "__main__":
    unittest.main()
