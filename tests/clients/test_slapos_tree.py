"""Trees of three levels and shared instances, made by the real `slapos node` commands.

The instances of tree_release request each other from inside their partitions, with their own SLAP calls. Prepared like
test_slapos_node. Everything but what is marked also passes against `slapos proxy` (SLAP_PEER=slapos-proxy).
"""

import os
import pathlib
import unittest

from slapos.slap import NotFoundError

from server import PEER
from slap_case import SlapTestCase
from test_slapos_node import VENV, Node

RELEASE = pathlib.Path(__file__).resolve().parent / "tree_release"
TREE = {"tree", "child", "grandchild"}


@unittest.skipUnless(VENV, os.environ.get("SLAPLEDGER_NODE_MISSING") or "SLAPLEDGER_NODE_VENV names no environment")
class Tree(SlapTestCase):
    """A host, and a root whose child asks for a grandchild and for a shared instance on the host."""

    def setUp(self):
        super().setUp()
        self.slapgrid = Node(self.computer, self.server.url, partitions=5, source=RELEASE)
        self.addCleanup(self.slapgrid.close)
        self.release = str(self.slapgrid.software)
        self.slapgrid.slapos("format", "--now")
        self.slap.registerSupply().supply(self.release, self.computer)
        self.slapgrid.slapos("software")
        self.ask_host()
        self.slapgrid.slapos("instance")

    def ask_host(self):
        return self.request("database", software=self.release, software_type="host")

    def ask(self, state="started", wish="one"):
        return self.request("tree", {"wish": wish}, software=self.release, software_type="default", state=state)

    def busy(self):
        """State and parameters of what the node has to do, by title."""
        found = {}
        for partition in self.node_partitions().values():
            try:
                partition.getSoftwareRelease()
            except NotFoundError:
                continue
            parameters = partition.getInstanceParameterDict()
            found[parameters["instance_title"]] = partition.getState(), parameters
        return found

    def busy_partitions(self):
        return {parameters["slap_computer_partition_id"] for _, parameters in self.busy().values()}

    def states(self):
        return {title: state for title, (state, _) in self.busy().items()}

    def until(self, what, condition, command="instance", runs=7):
        """Runs the node until the condition holds."""
        for _ in range(runs):
            self.slapgrid.slapos(command)
            if condition():
                return
        self.fail(f"{what} not after {runs} runs of `slapos node {command}`; the node sees {self.busy()}\n"
                  f"{self.slapgrid.output}")

    def published(self, **expected):
        return lambda: self.ask_again().getConnectionParameterDict() == expected

    def ask_again(self):
        return self.request("tree", {"wish": self.wish}, software=self.release, software_type="default")

    def assertAtRest(self):
        """Nothing is left to process."""
        self.slapgrid.slapos("instance")
        self.assertNotIn("Installing Computer Partition", self.slapgrid.slapos("instance"))

    def test_a_tree_grows_changes_stops_and_goes(self):
        # It grows: what the grandchild says, and the address of the shared instance, reach the root.
        self.wish = "one"
        self.ask()
        address = "db://tree_base?size=5"
        self.until("the first path", self.published(path="root/middle/leaf(one)", address=address))
        self.assertEqual(self.states(), dict.fromkeys(TREE | {"database"}, "started"))
        for title in TREE:
            self.assertEqual(self.busy()[title][1]["root_instance_title"], "tree", title)
        (shared,) = self.busy()["database"][1]["slave_instance_list"]
        self.assertEqual({key: shared[key] for key in ("slave_title", "slave_reference", "slap_software_type", "size")},
                         {"slave_title": "tree_base", "slave_reference": "tree_base", "slap_software_type": "host",
                          "size": "5"})
        self.assertEqual(self.ask_host().getConnectionParameterDict(), {"shared": "1"})
        self.assertAtRest()

        # It changes: a parameter of the root goes down, what comes of it goes up.
        self.wish = "two"
        self.ask(wish="two")
        self.until("the second path", self.published(path="root/middle/leaf(two)", address=address))
        self.assertAtRest()

        # A bang of the node's own, and all is processed again.
        self.slapgrid.slapos("bang", "--message", "addresses moved")
        if PEER == "slapledger":  # slapos proxy ignores it
            output = self.slapgrid.slapos("instance")
            for partition_id in self.busy_partitions():
                self.assertIn(f"Installing Computer Partition {partition_id}", output)
        self.assertAtRest()

        # It stops and starts: all of it, and nothing else.
        self.ask("stopped", wish="two")
        stopped = {**dict.fromkeys(TREE, "stopped"), "database": "started"}
        self.until("the stop", lambda: self.states() == stopped)
        self.ask("started", wish="two")
        if PEER == "slapledger":  # slapos proxy answers `started` and leaves the children stopped
            self.until("the start", lambda: set(self.states().values()) == {"started"})

        # It goes, in an order that leaves nothing behind; the host stays.
        self.ask("destroyed", wish="two")
        self.slapgrid.slapos("instance")
        self.until("the end", lambda: set(self.states()) == {"database"}, "report")
        self.assertEqual(self.states(), {"database": "started"})
        if PEER == "slapledger":  # slapos proxy forgets to take away the shared instance of a tree that is gone
            self.assertEqual(self.busy()["database"][1]["slave_instance_list"], [])
            self.slapgrid.slapos("instance")
            self.assertEqual(self.ask_host().getConnectionParameterDict(), {"shared": "0"})

        # The same titles again are other instances.
        self.wish = "three"
        self.ask(wish="three")
        self.assertEqual(self.ask_again().getConnectionParameterDict(), {})
        self.until("the third path", self.published(path="root/middle/leaf(three)", address=address))


if __name__ == "__main__":
    unittest.main()
