"""The commands of docs/operations.md, in their order, against the real binary.

A block marked `console` is what a person sees: lines that begin with `$ ` are commands, run by bash one after the other, the
lines after them are what is printed, `…` standing for anything, also for nothing or for several lines. A command that ends with
another status than 0 has `# status N` behind it. Blocks of one section (`##`) share a folder in which they run, with `ledger`
in it, the data folder of a master that was used and stopped. A block marked `console serve` is run while a master serves that
folder; `SLAPLEDGER_URL` and `SLAPLEDGER_TOKEN_FILE` are set.

What must have happened before a block, and is no command for operators, is a comment before it:

    <!-- before: truncate -s 0 ledger/log/head -->

A block marked `console no test` and a reason is not run.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import folder  # noqa: E402
from program import Program  # noqa: E402

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "operations.md"
PART = re.compile(r"^## (?P<section>[^\n]*)$|^<!-- before: (?P<before>[^\n]*) -->$|^```console(?P<mark>[^\n]*)\n(?P<text>.*?)^```$",
                  re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"\s+# status (\d+)$")
SECONDS = 120
SECTIONS = (
    "The data folder", "Health and readiness", "Full disk", "Clock", "Verify", "Backup", "Restore", "Repair", "Ship sealed epochs",
    "Copies", "Upgrade", "Downgrade",
)


class Step:
    """A command of the document and what it prints."""

    def __init__(self, command, line):
        found = STATUS.search(command)
        self.status = int(found[1]) if found else 0
        self.command, self.line = STATUS.sub("", command), line
        self.printed = []

    def differences(self, ended):
        wrong = []
        if ended.returncode != self.status:
            wrong.append(f"status {ended.returncode} instead of {self.status}")
        if not matches("\n".join(self.printed), ended.stdout.strip("\n")):
            wrong.append("it printed\n" + ended.stdout + "instead of\n" + "\n".join(self.printed))
        return [f"docs/operations.md:{self.line}: {self.command}\n{text}" for text in wrong]


def matches(pattern, text):
    """Whether a text is the one written; white space counts as one blank, `…` is anything."""
    words = [re.escape(" ".join(part.split())) for part in pattern.split("…")]
    return re.fullmatch(r"\s?.*?\s?".join(words), " ".join(text.split()), re.DOTALL) is not None


class Block:
    """Commands that are run together."""

    def __init__(self, mark, text, line, before):
        self.is_served = mark.strip() == "serve"
        self.is_run = not mark.strip().startswith("no test")
        if mark.strip() not in ("", "serve") and self.is_run:
            raise ValueError(f"docs/operations.md:{line}: nobody knows the mark {mark.strip()!r}")
        self.line, self.before, self.steps = line, before, []
        for number, row in enumerate(text.splitlines(), line + 1):
            if row.startswith("$ "):
                self.steps.append(Step(row[2:], number))
            elif self.steps and self.steps[-1].command.endswith("\\"):
                self.steps[-1].command += "\n" + row
            elif self.steps:
                self.steps[-1].printed.append(row)
            else:
                raise ValueError(f"docs/operations.md:{number}: a block begins with `$ ` and a command")


def sections(text):
    """The blocks of each section, in their order."""
    found, before, current = {}, [], None
    for part in PART.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        if part["section"]:
            current = found.setdefault(part["section"], [])
        elif part["before"]:
            before.append(part["before"])
        else:
            current.append(Block(part["mark"], part["text"], line, before))
            before = []
    return found


class Operations(unittest.TestCase):
    """Each section of the document has a ledger of its own."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="slapledger-operations-")
        cls.place = pathlib.Path(cls.temporary.name)
        cls.program = Program()
        cls.ledger = folder.begin(cls.program, cls.place / "begin", "operations")
        cls.sections = sections(DOCUMENT.read_text(encoding="utf-8"))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def run_section(self, name):
        blocks = [block for block in self.sections[name] if block.is_run]
        self.assertTrue(blocks, f"docs/operations.md: section {name!r} has no command that is tested")
        place = self.place / name.replace(" ", "-").lower()
        home = place / "ledger"
        place.mkdir()
        folder.copy(self.ledger.data, home)
        shutil.copy(self.ledger.token, place / "token")
        binaries = place / "bin"
        binaries.mkdir()
        (binaries / "slapledger").symlink_to(pathlib.Path(self.program.path).resolve())
        environment = {
            "PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(place), "NO_COLOR": "1", "LANG": "C.UTF-8",
            "SLAPLEDGER_TOKEN_FILE": str(place / "token"),
        }
        server = self.program.serve(home, place / "token")
        with server:
            for block in blocks:
                if block.is_served and server.process is None:
                    server.start()
                    environment["SLAPLEDGER_URL"] = server.url.rstrip("/")
                elif not block.is_served and server.process is not None:
                    server.stop()
                    environment.pop("SLAPLEDGER_URL")
                for command in block.before:
                    self.bash(command, place, environment, must_succeed=True)
                for step in block.steps:
                    ended = self.bash(step.command, place, environment)
                    with self.subTest(f"docs/operations.md:{step.line}: {step.command}"):
                        wrong = step.differences(ended)
                        self.assertFalse(wrong, "\n".join(wrong))

    def bash(self, command, place, environment, must_succeed=False):
        """Runs a command in the folder of the section; both outputs are one, as on a screen."""
        done = subprocess.run(["bash", "-c", command], cwd=place, env=environment, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False)
        if must_succeed and done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}")
        return done

    def test_the_sections_are_there(self):
        self.assertEqual([name for name in self.sections if name in SECTIONS], list(SECTIONS))


def add_tests():
    """A test for each section that has commands."""
    for name, blocks in sections(DOCUMENT.read_text(encoding="utf-8")).items():
        if blocks:
            test = "test_" + re.sub(r"\W+", "_", name.lower())
            setattr(Operations, test, lambda self, name=name: self.run_section(name))


add_tests()


class Checker(unittest.TestCase):
    """The reader of the document."""

    TEXT = "## One\n\n<!-- before: touch x -->\n```console\n$ ls x\nx\n$ false # status 1\n```\n"

    def test_blocks_are_read(self):
        [block] = sections(self.TEXT)["One"]
        self.assertEqual((block.before, [step.command for step in block.steps]), (["touch x"], ["ls x", "false"]))
        self.assertEqual([step.status for step in block.steps], [0, 1])
        self.assertEqual(block.steps[0].printed, ["x"])

    def test_what_is_printed_otherwise_is_found(self):
        [block] = sections(self.TEXT)["One"]
        ended = subprocess.CompletedProcess([], 0, stdout="y\n")
        self.assertEqual(len(block.steps[0].differences(ended)), 1)
        ended = subprocess.CompletedProcess([], 1, stdout="x\n")
        self.assertEqual(len(block.steps[0].differences(ended)), 1)
        self.assertEqual(len(block.steps[1].differences(subprocess.CompletedProcess([], 1, stdout=""))), 0)

    def test_dots_stand_for_anything(self):
        self.assertTrue(matches("whole: … events", "whole:   12\nevents"))
        self.assertTrue(matches("…", ""))
        self.assertFalse(matches("whole: … events", "whole: 12 event"))

    def test_an_unknown_mark_is_refused(self):
        with self.assertRaises(ValueError):
            sections("## One\n```console later\n$ true\n```\n")
