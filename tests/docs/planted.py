"""The reader and the runner of documents, checked: what is wrong in a document must be seen."""

import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from document import Document, matches  # noqa: E402
from run import ROOT, Runner  # noqa: E402


class Anything:
    """A program that is no part of these documents."""

    path = "/bin/true"


def run(text):
    stream = io.StringIO()
    runner = Runner("a.md", Anything(), None, None, stream)
    with tempfile.TemporaryDirectory() as place:
        runner.run(text, pathlib.Path(place) / "a")
    return runner.passed, runner.failed, stream.getvalue()


def fenced(language, text):
    return f"```{language}\n{text}\n```\n"


class Planted(unittest.TestCase):
    def check(self, text, passed, failed):
        self.assertEqual(run(text)[:2], (passed, failed), run(text)[2])

    def test_commands_run_in_their_order_in_an_empty_folder(self):
        self.check(fenced("console", "$ ls\n$ echo a >x; ls\nx") + fenced("sh", "cat x\nexport A=5\ncd /\n")
                   + fenced("console", "$ echo $A; pwd\n5\n/"), 6, 0)

    def test_what_fails_or_prints_otherwise_is_seen(self):
        self.check(fenced("console", "$ false"), 0, 1)
        self.check(fenced("sh", "false"), 0, 1)
        self.check(fenced("console", "$ echo a\nb"), 0, 1)
        self.check(fenced("console", "$ false # status 1"), 1, 0)
        self.check(fenced("console", "$ true # status 1"), 0, 1)
        self.check("<!-- before: false -->\n" + fenced("sh", "true"), 1, 1)

    def test_what_is_skipped_has_a_reason(self):
        self.check(fenced("sh skip: it takes forty minutes", "false"), 0, 0)
        self.assertIn("skipped  a.md:2: false (it takes forty minutes)", run(fenced("sh skip: it takes forty minutes", "false"))[2])
        for mark in ("skip", "skip:", "skip: no", "later"):
            self.check(fenced(f"sh {mark}", "true"), 0, 1)

    def test_every_block_has_a_language_and_every_command_a_block(self):
        for text in (fenced("", "true"), fenced("bash", "true"), "text\n\n    slapledger log\n", "text\n\n    $ true\n",
                     "```sh\ntrue\n", fenced("console", "true"), fenced("sh", "# nothing"), "<!-- stop -->\n"):
            self.check(text, 0, 1)
        self.check(fenced("toml", "a = 1") + "\n    a = 1\n", 0, 0)

    def test_a_server_goes_on_until_it_is_stopped(self):
        serve = "sh -c 'echo $$ >pid; echo serving here; sleep 100'"
        self.check(fenced("sh background", serve) + fenced("sh", "kill -0 $(cat pid)")
                   + "<!-- stop -->\n" + fenced("sh", "! kill -0 $(cat pid)"), 3, 0)
        self.check(fenced("sh background", "exit 3"), 0, 1)

    def test_dots_stand_for_anything(self):
        self.assertTrue(matches("whole: … events", "whole:   12\nevents"))
        self.assertTrue(matches("…", ""))
        self.assertFalse(matches("whole: … events", "whole: 12 event"))

    def test_sections_are_kept_apart(self):
        document = Document("## One\n" + fenced("sh", "true") + "## Two\n" + fenced("console serve", "$ true"))
        self.assertEqual([(name, len(blocks)) for name, blocks in document.sections], [("", 0), ("One", 1), ("Two", 1)])
        self.assertTrue(document.sections[2][1][0].is_served)


if __name__ == "__main__":
    import importlib.util
    SPEC = importlib.util.spec_from_file_location("client_run", ROOT / "tests" / "clients" / "run.py")
    RUNNER = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(RUNNER)
    sys.exit(RUNNER.report(unittest.TestLoader().loadTestsFromTestCase(Planted)))
