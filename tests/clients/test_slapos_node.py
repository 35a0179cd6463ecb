"""The real `slapos node format`, `software`, `instance` and `report`, as an account that is not root.

tests/run gives the environment (SLAPLEDGER_NODE_VENV with slapos.core on Python 3.12 or newer, SLAPLEDGER_NODE_ACCOUNT
when it runs as root itself); without it the test is skipped.
"""

import contextlib
import datetime
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from decimal import Decimal

from slapos.slap import NotFoundError

from server import PEER
from slap_case import SlapTestCase, journal, movement, transaction

VENV = os.environ.get("SLAPLEDGER_NODE_VENV")
ACCOUNT = os.environ.get("SLAPLEDGER_NODE_ACCOUNT") or pwd.getpwuid(os.getuid()).pw_name
RELEASE = pathlib.Path(__file__).resolve().parent / "software_release"
REQUESTS = "service_module/requests"
COMMAND_TIMEOUT_SECONDS = 300


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc)


class Node:
    """A SlapOS node in a folder of its own, run by the `slapos` command."""

    def __init__(self, computer, master_url, partitions=2, source=RELEASE):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sl-node-"))  # short: it holds a Unix socket
        self.instances = self.folder / "instance"
        self.computer = computer
        release = self.folder / "release"
        shutil.copytree(source, release)
        for script in release.glob("*.sh"):
            script.chmod(0o755)
        self.software = release / "software.cfg"
        for profile in (self.software, release / "instance.cfg.in"):
            profile.write_text(profile.read_text().replace("@release@", str(release)))
        self.partitions, self.config, self.output = partitions, self.folder / "slapos.cfg", ""
        self.configure(master_url)
        (self.folder / "definition.cfg").write_text("[computer]\naddress = 127.0.0.1/255.255.255.255\n" + "".join(
            f"[partition_{n}]\naddress = 127.0.0.1/255.255.255.255\npathname = slappart{n}\nuser = {ACCOUNT}\n"
            "network_interface =\n" for n in range(partitions)))
        self.give_away()

    def configure(self, master_url):
        """Writes the configuration."""
        self.config.write_text(
            f"[slapos]\nsoftware_root = {self.folder}/software\ninstance_root = {self.instances}\n"
            f"master_url = {master_url}\ncomputer_id = {self.computer}\nroot_check = false\n"
            f"pidfile_software = {self.folder}/software.pid\npidfile_instance = {self.folder}/instance.pid\n"
            f"pidfile_report = {self.folder}/report.pid\n"
            f"[slapformat]\ncomputer_xml = {self.folder}/slapos.xml\ninput_definition_file = {self.folder}/definition.cfg\n"
            f"partition_amount = {self.partitions}\nalter_user = false\nalter_network = false\ncreate_tap = false\n"
            "create_tun = false\n"
        )

    def give_away(self):
        """All of it belongs to the account."""
        if os.getuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, account.pw_uid, account.pw_gid)

    def run(self, *arguments, as_root=False):
        """Runs `slapos node ...` in a clean environment, as the account; (status, output)."""
        command = ["env", "-i", f"PATH={VENV}/bin:/usr/bin:/bin", f"HOME={self.folder}", "LANG=C.UTF-8", "TZ=UTC"]
        if os.getuid() == 0 and not as_root:
            command = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", *command]
        command += [f"{VENV}/bin/slapos", "node", arguments[0], "--cfg", str(self.config), *arguments[1:]]
        done = subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=COMMAND_TIMEOUT_SECONDS, check=False)
        self.output = done.stdout
        return done.returncode, done.stdout

    def slapos(self, *arguments, check=True):
        """What `slapos node ...` printed; it must succeed, if that is to be checked."""
        status, output = self.run(*arguments)
        if check and status != 0:
            raise AssertionError(f"slapos node {' '.join(arguments)} ended with {status}\n{output}")
        return output

    def write(self, path, content):
        """A file of the account, in the folder of the instances."""
        path = self.instances / path
        missing = [parent for parent in path.parents if not parent.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        if os.getuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            for each in (path, *missing):
                os.chown(each, account.pw_uid, account.pw_gid)

    def close(self):
        if (self.instances / "etc" / "supervisord.conf").exists():
            self.slapos("supervisorctl", "shutdown", check=False)
            deadline = time.monotonic() + 20
            while (self.instances / "supervisord.socket").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
        shutil.rmtree(self.folder, ignore_errors=True)


@unittest.skipUnless(VENV, os.environ.get("SLAPLEDGER_NODE_MISSING") or "SLAPLEDGER_NODE_VENV names no environment")
class NodeLife(SlapTestCase):
    """One node, one instance, from format to a partition that is free again."""

    def setUp(self):
        super().setUp()
        self.slapgrid = Node(self.computer, self.server.url)
        self.addCleanup(self.slapgrid.close)
        self.release = str(self.slapgrid.software)

    def ask(self, state="started", **parameters):
        return self.request("hello", parameters, software=self.release, state=state)

    def wait_for(self, what, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{what} did not happen within {seconds} s\n{self.slapgrid.output}")
            time.sleep(0.1)

    def workers(self):
        return self.slapgrid.slapos("supervisorctl", "status", check=False)

    def test_whole_life(self):
        node = self.slapgrid
        if PEER == "slapledger":
            self.assertStatus(self.server.post_json("v1/price-books", {
                "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
                "resources": [{"resource": REQUESTS, "kind": "counter", "meter": "sum", "unit": "request"}],
                "rates": [{"kind": "per_unit", "resource": REQUESTS, "price": "0.01"}]}), 201)

        with self.step("format"):
            node.slapos("format", "--now")
            self.assertEqual(sorted(self.node_partitions()), ["slappart0", "slappart1"])

        with self.step("software"):
            self.slap.registerSupply().supply(self.release, self.computer)
            node.slapos("software")
            (completed,) = (node.folder / "software").glob("*/.completed")
            self.assertTrue((completed.parent / "instance.cfg").is_file())

        user = self.ask(name="x<y&z")
        allocated = utc_now()
        part = node.instances / user.getId()
        with self.step("instance"):
            node.slapos("instance")
            self.assertEqual(self.ask(name="x<y&z").getConnectionParameterDict(),
                             {"greeting": "hello <x<y&z>", "partition": user.getId()})
            self.wait_for("the service", lambda: (part / "worker.log").exists())
            self.assertIn("RUNNING", self.workers())
            self.assertReportedState("started")

        with self.step("instance, unchanged, is left alone"):
            before = (part / ".timestamp").read_text()
            self.assertEqual(before, str(self.timestamp(user.getId())))
            self.assertNotIn("Installing Computer Partition", node.slapos("instance"))
            self.assertEqual((part / ".timestamp").read_text(), before)

        with self.step("instance, changed, is processed"):
            self.ask(name="second")
            self.assertIn(f"Installing Computer Partition {user.getId()}", node.slapos("instance"))
            self.assertEqual(self.ask(name="second").getConnectionParameter("greeting"), "hello <second>")

        with self.step("report"):
            written = part / "var" / "xml_report" / "by-hand.xml"
            node.write(written, f"<consumption>{movement(REQUESTS, 'whatever', '5')}</consumption>")
            daily = node.instances / "var" / "xml_report" / self.computer / "daily.xml"
            start, stop = self.period_since(allocated)
            node.write(daily, journal(transaction("today", start, stop, movement(REQUESTS, ACCOUNT, "NaN"),
                                                  movement("service_module/disk_used", user.getId(), "0"))))
            broken = part / "var" / "xml_report" / "broken.xml"
            node.write(broken, "<consumption><movement/></consumption>")
            node.slapos("report")
            self.assertFalse(written.exists(), node.output)
            self.assertFalse(daily.exists(), node.output)
            self.assertTrue(broken.exists(), "slapgrid keeps what is not valid")
            broken.unlink()
            if PEER == "slapledger":
                # 7 by the instance's own report script, 5 by hand, both in one document without a start.
                self.assertEqual(self.usage(self.instance("hello")["id"])[REQUESTS], Decimal(12))
                self.assertEqual(len(self.suspended()), 1, self.suspended())
            first_instance = self.instance("hello")["id"] if PEER == "slapledger" else None

        with self.step("stopped"):
            self.ask("stopped", name="second")
            node.slapos("instance")
            self.wait_for("the end of the service", lambda: "RUNNING" not in self.workers())
            self.assertReportedState("stopped")

        with self.step("destroyed"):
            self.ask("destroyed", name="second")
            node.slapos("instance")
            self.assertEqual(self.node_partition(user.getId()).getSoftwareRelease().getURI(), self.release)
            node.slapos("report")
            with self.assertRaises(NotFoundError):
                self.node_partition(user.getId()).getSoftwareRelease()
            self.assertFalse((part / "worker.log").exists(), "the node cleans the partition")

        with self.step("the next tenant"):
            again = self.ask(name="third")
            self.assertEqual(again.getConnectionParameterDict(), {})
            if PEER == "slapledger":
                self.assertNotEqual(self.instance("hello")["id"], first_instance)
                self.assertNotIn(REQUESTS, self.usage(self.instance("hello")["id"]))
                # What the last report said, sent while the node destroyed the instance, is the first tenant's.
                self.assertEqual(self.usage(first_instance)[REQUESTS], Decimal(12 + 7))
            node.slapos("instance")
            self.assertEqual(self.ask(name="third").getConnectionParameter("greeting"), "hello <third>")

        with self.step("software, removed"):
            self.ask("destroyed", name="third")
            node.slapos("instance")
            node.slapos("report")
            self.slap.registerSupply().supply(self.release, self.computer, state="destroyed")
            node.slapos("software")
            self.assertEqual(self.node().getSoftwareReleaseList(), [])
            self.assertFalse(completed.exists())

    @contextlib.contextmanager
    def step(self, name):
        """One step of the life; the first that fails ends the test and is named."""
        try:
            yield
        except Exception:
            print(f"--- failed at: {name}", file=sys.stderr)
            raise

    def assertReportedState(self, state):
        if PEER == "slapledger":
            self.assertEqual(self.instance("hello")["reported_state"], state)

    def period_since(self, allocated):
        """A period of whole seconds after `allocated` and before now, as a report writes it."""
        start = allocated.replace(microsecond=0) + datetime.timedelta(seconds=1)
        while (stop := utc_now().replace(microsecond=0)) <= start or stop.minute == stop.second == 59:
            time.sleep(0.2)
        return start.strftime("%Y-%m-%d %H:%M:%S"), stop.strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    unittest.main()
