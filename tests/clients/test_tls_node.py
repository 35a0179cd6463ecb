"""A whole life of the real slapgrid under TLS: from `slapos node register` with a token to a certificate that is revoked,
and on with another.

Its users come by `slapos configure client`; its instances by the certificates that slapgrid fetches for their partitions.
Prepared like test_slapos_node; `slapos node register` runs as root alone.
"""

import configparser
import os
import subprocess
import time
import unittest
from decimal import Decimal

import slapos.slap

from master import Identity, Visitor
from server import slapledger_only
from slap_case import movement
from test_slapos_node import REQUESTS, VENV, Node
from test_tls_users import DENIED, UsersTestCase

OFFLINE = 3  # SLAPGRID_OFFLINE_SUCCESS


class RegisteredNode(Node):
    """A node as `slapos node register` makes it, but for what must not touch this machine."""

    def __init__(self, master, title, token, partitions=2):
        self.title, self.token = title, token
        super().__init__(None, master.url, partitions)

    def register(self, master_url, title, token, web=None):
        """Runs `slapos node register`; (status, output)."""
        return self.run(
            "register", title, "--master-url", master_url, "--master-url-web", web or master_url.rstrip("/"), "--token", token,
            "--interface-name", "lo", "--partition-number", str(self.partitions),
            "--software-root", f"{self.folder}/software", "--instance-root", str(self.instances), as_root=True)

    def configure(self, master_url):
        self.etc = self.folder / "etc"
        self.config = self.etc / "slapos.cfg"
        status, output = self.register(master_url, self.title, self.token)
        if status != 0:
            raise AssertionError(f"slapos node register ended with {status}\n{output}")
        config = configparser.ConfigParser(interpolation=None)
        config.read(self.config)
        self.computer = config["slapos"]["computer_id"]
        # No network, no users and no places of this machine.
        config.remove_section("networkcache")
        config["slapos"].update({
            "root_check": "false", **{f"pidfile_{what}": f"{self.folder}/{what}.pid"
                                      for what in ("software", "instance", "report")}})
        config["slapformat"].update({
            "computer_xml": f"{self.folder}/slapos.xml", "log_file": f"{self.folder}/format.log",
            "input_definition_file": f"{self.folder}/definition.cfg", "alter_user": "false", "alter_network": "false",
            "create_tap": "false", "create_tun": "false"})
        with open(self.config, "w", encoding="utf-8") as file:
            config.write(file)

    @property
    def identity(self):
        return self.read("certificate", "key", self.etc / "ssl")

    def of_partition(self, partition_id):
        """The certificate that slapgrid has fetched for a partition."""
        return self.read(f"{partition_id}.crt", f"{partition_id}.key", self.etc / "ssl" / "partition_pki")

    def read(self, certificate, key, folder):
        kept = self.folder / "read" / certificate
        return Identity(kept, (folder / certificate).read_text(), (folder / key).read_text())

    def replace_identity(self, pair):
        for name in ("certificate", "key"):
            (self.etc / "ssl" / name).write_text(pair[name])


def subject(identity):
    command = ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", str(identity.certificate)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@slapledger_only
@unittest.skipUnless(VENV, os.environ.get("SLAPLEDGER_NODE_MISSING") or "SLAPLEDGER_NODE_VENV names no environment")
@unittest.skipUnless(os.getuid() == 0, "slapos node register runs as root alone")
class Life(UsersTestCase):
    """A node with a service whose instance requests another one; in the middle its certificate is revoked."""

    def setUp(self):
        super().setUp()
        self.alice, self.bob = self.user("alice"), self.user("bob")
        self.token = self.alice.slapos("computer", "token").split()[-1]
        self.node = RegisteredNode(self.server, "first", self.token)
        self.addCleanup(self.node.close)
        self.release = str(self.node.software)

    def ask(self, state="started"):
        return self.client(self.alice.identity).registerOpenOrder().request(
            self.release, "hello", partition_parameter_kw={"name": "x<y&z", "child": "below"}, state=state)

    def published(self):
        return self.alice.json("service", "info", "hello")["connection-parameters"]

    def workers(self):
        return self.node.slapos("supervisorctl", "status", check=False)

    def wait_for(self, what, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"{what} did not happen within {seconds} s\n{self.node.output}")
            time.sleep(0.1)

    def assertRefusedNode(self, text, ended):
        status, output = ended
        self.assertNotEqual(status, 0, output)
        self.assertIn(text, output)

    def test_registration(self):
        node, url = self.node, self.server.url
        self.assertEqual(node.computer, "COMP-1")
        self.assertIn("CN=COMP-1", subject(node.identity))
        self.assertEqual(self.alice.slapos("computer", "list"), "List of Computers:\nCOMP-1 first\n")
        config = configparser.ConfigParser(interpolation=None)
        config.read(node.config)
        self.assertEqual(config["slapos"]["master_url"], url)
        self.assertEqual(config["slapos"]["certificate_repository_path"], f"{node.etc}/ssl/partition_pki")
        # A token registers one computer, and a name is taken while its certificate is good.
        self.assertRefusedNode(DENIED, node.register(url, "second", self.token))
        fresh = self.alice.slapos("computer", "token").split()[-1]
        # The client adds a slash to one that is there.
        self.assertRefusedNode('The node name "first" is already in use.', node.register(url, "first", fresh, web=url))
        self.assertTrue(node.config.exists(), "what was there is left alone")
        # That refusal has spent nothing; with the certificate revoked, the name is that computer again.
        self.server.revoke("COMP-1")
        status, output = node.register(url, "first", fresh)
        self.assertEqual(status, 0, output)
        self.assertIn("successfully been configured as COMP-1.", output)
        self.assertRefusedNode(DENIED, node.register(url, "third", fresh))
        # To others the same name is another computer.
        token = self.bob.slapos("computer", "token").split()[-1]
        status, output = node.register(url, "first", token)
        self.assertEqual(status, 0, output)
        self.assertIn("successfully been configured as COMP-2.", output)

    def test_whole_life(self):
        node, alice = self.node, self.alice
        node.slapos("format", "--now")
        self.assertEqual(self.statuses(), {"slappart0": "destroyed", "slappart1": "destroyed"})
        alice.slapos("supply", self.release, node.computer)
        node.slapos("software")

        # The root requests another one from inside its partition, by the certificate of that partition.
        self.ask()
        for _ in range(3):
            node.slapos("instance")
        self.assertEqual(self.published(),
                         {"greeting": "hello <x<y&z>", "partition": "slappart0", "child": "hello <child>"})
        self.assertEqual(self.statuses(), {"slappart0": "started", "slappart1": "started"})
        self.assertEqual(alice.json("service", "list"), {"hello": self.release}, "the other one is no service of its own")
        self.assertRequestedBy("below", "instance")
        worker = node.instances / "slappart0" / "worker.log"
        self.wait_for("the service", worker.exists)
        self.assertNotIn("Installing Computer Partition", node.slapos("instance"), "nothing has changed")

        # The certificate of a partition shows that partition, and speaks of it alone.
        below = node.of_partition("slappart1")
        self.assertIn("SOFTINST-2", subject(below))
        seen = self.client(below).registerComputer(node.computer).getComputerPartitionList()
        self.assertEqual([partition.getId() for partition in seen], ["slappart1"])
        asks = Visitor(self.server, below)
        place = {"computer_id": node.computer, "computer_partition_id": "slappart0"}
        self.assertStatus(asks.get("getComputerPartitionCertificate", **place), 403)
        self.assertStatus(asks.post_form("startedComputerPartition", **place), 403)
        self.assertStatus(asks.get("registerComputerPartition", computer_reference=node.computer,
                                   computer_partition_reference="slappart0"), 403)
        self.assertStatus(asks.post_form("useComputer", computer_id=node.computer, use_string="<journal/>"), 403)

        # Usage is that of the instance in the partition.
        report = f"<consumption>{movement(REQUESTS, 'whatever', '5')}</consumption>"
        node.write("slappart0/var/xml_report/by-hand.xml", report)
        node.slapos("report")
        read = self.server.made(self.server.get("v1/usage", instance="SOFTINST-1", step="month",
                                                **{"from": "2026-01-01T00:00:00Z", "to": "2036-01-01T00:00:00Z"}), 200)
        used = {item["resource"]: sum(Decimal(step["sum"]) for step in item["steps"]) for item in read["resources"]}
        self.assertEqual(used, {REQUESTS: Decimal(12)}, "7 by the instance's own script, and 5 by hand")

        # Its certificate is revoked: the very next run is refused, and what runs is kept.
        (ended,) = self.server.revoke(node.computer)
        status, output = node.run("instance")
        self.assertEqual(status, OFFLINE, output)
        self.assertIn("Processing computer partitions offline...", output)
        self.assertRefusedNode("401 Client Error: Unauthorized", node.run("software"))
        self.assertRefusedNode("401 Client Error: Unauthorized", node.run("format", "--now"))
        self.assertIn("RUNNING", self.workers())
        self.assertStatus(Visitor(self.server, node.identity).get("getFullComputerInformation", computer_id=node.computer), 401)
        with self.subTest("others are not concerned"):
            self.assertEqual(self.published()["partition"], "slappart0")

        # Its owner has another one made, and nobody else has; it goes on.
        mine = self.client(alice.identity).registerComputer(node.computer)
        with self.assertRaises(slapos.slap.NotFoundError):
            self.client(self.bob.identity).registerComputer(node.computer).generateCertificate()
        pair = mine.generateCertificate()
        self.assertNotIn(ended, self.server.active(node.computer))
        node.replace_identity(pair)
        self.ask("stopped")
        node.slapos("instance")
        self.wait_for("the end of the service", lambda: "slappart0:worker" not in self.running())
        self.assertEqual(self.statuses(), {"slappart0": "stopped", "slappart1": "stopped"})

        # A user who is revoked is refused from then on; what they have requested runs on.
        self.ask("started")
        self.server.revoke(alice.party)
        self.assertRefused("401 Client Error: Unauthorized", alice.run("request", "hello", self.release))
        node.slapos("instance")
        node.slapos("instance")
        self.assertEqual(self.statuses(), {"slappart0": "started", "slappart1": "started"})
        alice.forget()
        self.assertEqual(alice.configure()[0], 0)

        # The end: the partitions are free, and the certificates of those who were in them are good for nothing.
        self.ask("destroyed")
        node.slapos("instance")
        for _ in range(3):
            node.slapos("report")
        self.assertEqual(alice.json("service", "list"), {})
        self.assertStatus(Visitor(self.server, below).get("getRunId"), 401)
        self.assertEqual(list((node.etc / "ssl" / "partition_pki").iterdir()), [], "the node cleans up")
        mine = self.client(alice.identity).registerComputer(node.computer)
        mine.revokeCertificate()
        self.assertRefusedNode("401 Client Error: Unauthorized", node.run("software"))
        self.assertNoSecrets()

    def statuses(self):
        found = self.client(self.node.identity).registerComputer(self.node.computer).getComputerPartitionList()
        return {partition.getId(): partition.getState() for partition in found}

    def running(self):
        return {line.split()[0].split("_")[0] for line in self.workers().splitlines() if "RUNNING" in line}

    def assertRequestedBy(self, title, kind):
        """The log says who requested what: an instance by its own certificate."""
        events = self.server.made(self.server.get("v1/events", limit=1000), 200)["items"]
        found = [event for event in events if "InstanceRequested" in str(event) or "instance_requested" in str(event)]
        self.assertTrue(found, [event.get("type") for event in events])
        self.assertEqual(found[-1]["actor"]["kind"], kind, found[-1])

    def assertNoSecrets(self):
        """What the server wrote for its operator shows no token and no key."""
        log = self.server.log(lines=100_000)
        for secret in ("PRIVATE KEY", self.token, self.server.token_file.read_text().strip()):
            self.assertNotIn(secret, log)


if __name__ == "__main__":
    unittest.main()
