"""What the real `slapos node` does with networks and with partitions that leave its configuration.

Prepared like test_slapos_node. No interface that is there is touched: the test makes a tap of its own, `slapos node format`
reads the taps of partitions from the file that an earlier run of it wrote, and slapgrid calls a program of the test in
place of firewall-cmd.
"""

import os
import re
import subprocess
import unittest

from slapos.slap import NotFoundError
from slapos.util import dumps, loads

from server import PEER, slapledger_only
from slap_case import SlapTestCase
from test_slapos_node import VENV, Node
from test_tls_node import RegisteredNode
from test_tls_users import UsersTestCase

FIREWALL = """#!/bin/sh
# firewall-cmd as slapgrid calls it: no rule is there yet, and each that is added is written down.
case "$*" in
    *--query-rule*) echo no ;;
    *) echo "$*" >>"$0.rules" && echo success ;;
esac
"""


# The interface of the node: its name is short enough for one, and of this process.
TAP = f"sltap{os.getpid()}"


def make_tap():
    """Makes a tap with addresses, as the interface of a node has; whether that could be done."""
    commands = (f"ip tuntap add dev {TAP} mode tap", f"ip addr add 10.77.0.1/16 dev {TAP}",
                f"ip -6 addr add fd77::1/64 dev {TAP} nodad", f"ip link set {TAP} up")
    return all(subprocess.run(command.split(), capture_output=True).returncode == 0 for command in commands)


class TapNode(RegisteredNode):
    """A registered node whose partitions have a tap each, with a route to it, and a firewall."""

    def configure(self, master_url):
        super().configure(master_url)
        self.firewall = self.folder / "firewall-cmd"
        self.firewall.write_text(FIREWALL)
        self.firewall.chmod(0o755)
        with open(self.config, "a", encoding="utf-8") as config:
            config.write(f"[firewall]\nfirewall_cmd = {self.firewall}\nreload_config_cmd = true\n")

    def read_taps(self):
        """Has `slapos node format` read what it wrote before, with taps as they are on a machine that has them."""
        path = self.folder / "slapos.xml"
        computer = loads(path.read_bytes())
        for n, partition in enumerate(computer["partition_list"]):
            partition["tap"].update(name=f"slaptap{n}", ipv4_addr=f"10.77.0.{n + 2}", ipv4_gateway="10.77.0.1",
                                    ipv4_netmask="255.255.0.0", ipv4_network="10.77.0.0")
        path.write_bytes(dumps(computer))
        config = re.sub("(?m)^input_definition_file.*\n", "", self.config.read_text())
        self.config.write_text(re.sub("(?m)^interface_name.*$", f"interface_name = {TAP}", config))
        self.give_away()

    @property
    def rules(self):
        path = self.folder / "firewall-cmd.rules"
        return path.read_text().splitlines() if path.exists() else []


@slapledger_only
@unittest.skipUnless(VENV, os.environ.get("SLAPLEDGER_NODE_MISSING") or "SLAPLEDGER_NODE_VENV names no environment")
@unittest.skipUnless(os.getuid() == 0, "slapos node register runs as root alone")
class Taps(UsersTestCase):
    """The route to the tap of a partition, as slapgrid's firewall reads it."""

    def test_slapgrid_protects_the_route_of_each_tap(self):
        self.addCleanup(subprocess.run, ["ip", "link", "del", TAP], capture_output=True)
        if not make_tap():
            self.skipTest("this machine lets nobody make a tap with an IPv6 address")
        alice = self.user("alice")
        node = TapNode(self.server, "first", alice.slapos("computer", "token").split()[-1])
        self.addCleanup(node.close)
        node.slapos("format", "--now")
        node.read_taps()
        node.slapos("format", "--now")
        alice.slapos("supply", str(node.software), node.computer)
        node.slapos("software")
        order = self.client(alice.identity).registerOpenOrder()
        order.request(str(node.software), "hello", partition_parameter_kw={"name": "tap"})
        node.slapos("instance")
        seen = self.client(node.identity).registerComputer(node.computer).getComputerPartitionList()
        (told,) = [partition.getInstanceParameterDict() for partition in seen if partition.getState() == "started"]
        number = int(told["slap_computer_partition_id"].removeprefix("slappart"))
        tap, route = f"slaptap{number}", f"10.77.0.{number + 2}"
        self.assertEqual(told["ip_list"], [(tap, "127.0.0.1")])
        self.assertEqual(told["full_ip_list"], [
            (tap, "127.0.0.1", "", "255.255.255.255", ""),
            (f"route_{tap}", route, "10.77.0.1", "255.255.0.0", "10.77.0.0")])
        # Everybody is kept from the route but the addresses of its own tree.
        rules = node.rules
        for chain in ("INPUT", "FORWARD"):
            rule = f"--permanent --direct --add-rule ipv4 filter {chain}"
            self.assertIn(f"{rule} 1000 -d {route} -j REJECT", rules)
            self.assertIn(f"{rule} 0 -s 127.0.0.1 -d {route} -j ACCEPT", rules)
        self.assertEqual({rule.split(" -d ")[1].split()[0] for rule in rules}, {route})


@unittest.skipUnless(VENV, os.environ.get("SLAPLEDGER_NODE_MISSING") or "SLAPLEDGER_NODE_VENV names no environment")
class Shrinking(SlapTestCase):
    """A node of three used partitions is formatted with two: the third is forgotten, as at slapos proxy."""

    def setUp(self):
        super().setUp()
        self.slapgrid = Node(self.computer, self.server.url, partitions=3)
        self.addCleanup(self.slapgrid.close)
        self.release = str(self.slapgrid.software)
        self.slapgrid.slapos("format", "--now")
        self.slap.registerSupply().supply(self.release, self.computer)
        self.slapgrid.slapos("software")

    def ask(self, title, state="started"):
        return self.request(title, {"name": title}, software=self.release, state=state)

    def shrink(self, partitions):
        definition = self.slapgrid.folder / "definition.cfg"
        text = definition.read_text()
        definition.write_text(text[:text.index(f"[partition_{partitions}]")])
        config = self.slapgrid.config
        config.write_text(re.sub("(?m)^partition_amount = .*$", f"partition_amount = {partitions}", config.read_text()))
        self.slapgrid.give_away()
        self.slapgrid.slapos("format", "--now")

    def test_a_configuration_that_shrinks(self):
        places = {title: self.ask(title).getId() for title in "abc"}
        self.assertEqual(sorted(places.values()), ["slappart0", "slappart1", "slappart2"])
        self.slapgrid.slapos("instance")
        self.shrink(2)
        (lost,) = [title for title, place in places.items() if place == "slappart2"]
        self.assertEqual(sorted(self.node_partitions()), ["slappart0", "slappart1"])
        # The node goes on with what it still has, and nothing is left over.
        for command in ("instance", "report"):
            self.slapgrid.slapos(command)
        with self.assertRaises(NotFoundError):
            self.ask(lost).getId()
        # When another goes, what was lost gets its partition, with the values that are asked for now.
        first, other = [title for title in "abc" if title != lost]
        self.ask(first, "destroyed")
        self.slapgrid.slapos("instance")
        self.slapgrid.slapos("report")
        again = self.ask(lost)
        self.assertEqual(again.getId(), places[first])
        self.slapgrid.slapos("instance")
        self.assertEqual(self.ask(lost).getConnectionParameter("greeting"), f"hello <{lost}>")
        if PEER == "slapledger":
            self.assertEqual(self.instance(other)["reported_state"], "started")
            self.assertEqual(self.instance(lost)["reported_state"], "started")


if __name__ == "__main__":
    unittest.main()
