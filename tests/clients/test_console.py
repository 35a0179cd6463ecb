"""`slapledger console` at a terminal: history, completion, lines that go on, errors that do not end it."""

import os
import pty
import re
import select
import signal
import stat
import subprocess
import time
import unittest

from server import ServerTestCase, binary, slapledger_only
from slap_case import SOFTWARE, computer_configuration

from slapos.util import dumps

PROMPT = ">>> "
TIMEOUT_SECONDS = 30


class Terminal:
    """The console behind a pseudo-terminal of 80 columns."""

    def __init__(self, server):
        self.state = server.folder / "state"
        catalogue = server.folder / "slapos-client.cfg"
        catalogue.write_text(f"[slapos]\nmaster_url = {server.url}\n[software]\nhello = {SOFTWARE}\n")
        environment = {
            "PATH": os.environ["PATH"], "TERM": "xterm", "HOME": str(server.folder), "LANG": "C.UTF-8",
            "XDG_STATE_HOME": str(self.state), "SLAPLEDGER_CATALOGUE": str(catalogue),
        }
        self.end, other = pty.openpty()
        self.process = subprocess.Popen(
            [binary(), "console"], stdin=other, stdout=other, stderr=other, env=environment, start_new_session=True
        )
        os.close(other)
        self.banner = self.until(PROMPT)

    def read(self, seconds):
        """What is printed, without what moves the cursor; empty at the end."""
        if not select.select([self.end], [], [], seconds)[0]:
            return None
        try:
            return os.read(self.end, 65536).decode()
        except OSError:
            return ""

    def until(self, text, sent=""):
        """Sends keys and reads until the text comes after them; everything that was printed."""
        if sent:
            os.write(self.end, sent.encode())
        raw, deadline = "", time.monotonic() + TIMEOUT_SECONDS
        while True:
            plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", raw)
            if text in plain and self.is_quiet():
                return plain + self.rest
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} does not come: {plain!r}")
            raw += self.read(0.1) or ""

    def is_quiet(self):
        """Nothing more comes for a moment; what came is kept."""
        self.rest = ""
        while more := self.read(0.2):
            self.rest += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", more)
        return True

    def line(self, text):
        """Enters a line; what is printed until the next prompt, without the line itself."""
        printed = self.until("\n" + PROMPT, text + "\r")
        return printed.split("\n", 1)[1].removesuffix(PROMPT).strip("\n")

    def close(self):
        os.write(self.end, b"\x04")
        try:
            return self.process.wait(TIMEOUT_SECONDS)
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.end)


@slapledger_only
class Console(ServerTestCase):
    def setUp(self):
        super().setUp()
        form = dumps(computer_configuration(self.computer, ["slappart0", "slappart1"]))
        self.assertStatus(self.server.post_form("loadComputerConfigurationFromXML", xml=form), 200)

    def open(self):
        return Terminal(self.server)

    def test_lines_are_answered_and_errors_do_not_end_it(self):
        terminal = self.open()
        self.assertIn(f"slapledger console, master {self.server.url.rstrip('/')}", terminal.banner)
        self.assertEqual(terminal.line("i1 = request(hello, 'i1')"), "")
        self.assertEqual(terminal.line("i1"), "<i1: started on COMP-1 slappart0>")
        self.assertEqual(terminal.line("i1.getParameter('url')"), "i1 has no connection parameter \"url\" yet; it has: none")
        self.server.post_form(
            "setComputerPartitionConnectionXml", computer_id=self.computer, computer_partition_id="slappart0",
            connection_xml=dumps({"url": "https://[2001:db8::1]/"}), slave_reference="None",
        )
        self.assertEqual(terminal.line("i1.getParameter('url')"), "'https://[2001:db8::1]/'")
        self.assertEqual(terminal.line("helo"), "there is no name helo; did you mean hello?")
        self.assertEqual(terminal.line("supply(hello, 'COMP-9')"), "there is no computer COMP-9")
        self.assertEqual(terminal.line("a ="), "an expression is missing at the end")
        self.server.stop()
        self.assertIn("cannot be reached", terminal.line("request(hello, 'i2')"))
        self.assertEqual(terminal.line("2"), "2")
        self.assertEqual(terminal.close(), 0)

    def test_a_text_goes_on_until_it_is_complete(self):
        terminal = self.open()
        terminal.until("", "print([1,\r")
        self.assertTrue(terminal.line("2])").endswith("[1, 2]"))
        # ctrl-c leaves the line, not the console.
        terminal.until(PROMPT, "request(\x03")
        self.assertEqual(terminal.line("'still here'"), "'still here'")
        self.assertEqual(terminal.close(), 0)

    def test_names_and_methods_are_completed(self):
        terminal = self.open()
        terminal.line("first = request(hello, 'i1')")
        self.assertEqual(terminal.line("fir\t.getState\t)"), "'started'")
        self.assertEqual(terminal.line("first.getSoft\t)"), repr(SOFTWARE))
        self.assertEqual(terminal.line("hel\tlo"), repr(SOFTWARE))
        self.assertEqual(terminal.line("Tru\t"), "True")
        # What they have in common is put there first, then they are listed.
        listed = terminal.until("getInstanceParameterDict(", "first.getInstanceP\t\t")
        self.assertIn("first.getInstanceParameter", listed)
        self.assertIn("getInstanceParameter(", listed)
        terminal.kill()

    def test_history_is_kept_and_nobody_else_reads_it(self):
        terminal = self.open()
        terminal.line("'remembered'")
        terminal.line(" 'secret'")
        terminal.line("3")
        self.assertEqual(terminal.close(), 0)
        path = terminal.state / "slapledger" / "console-history"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
        self.assertIn("'remembered'", path.read_text())
        self.assertNotIn("secret", path.read_text())
        path.chmod(0o644)
        terminal = self.open()
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(terminal.line("\x1b[A\x1b[A"), "'remembered'")
        # ctrl-r looks for it.
        self.assertEqual(terminal.line("\x12remem\x05"), "'remembered'")
        self.assertEqual(terminal.close(), 0)


if __name__ == "__main__":
    unittest.main()
