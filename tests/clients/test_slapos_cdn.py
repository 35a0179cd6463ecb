"""A CDN of 400 sites, made by the real `slapos node` commands: see cdn_release.

It prints how many runs of the node its parts take, and how long. Prepared like test_slapos_node.
"""

import os
import pathlib
import time
import unittest

from slapos.slap import NotFoundError

from server import PEER
from slap_case import SlapTestCase
from test_slapos_node import VENV, Node

RELEASE = pathlib.Path(__file__).resolve().parent / "cdn_release"
SITES = 400
FRONTENDS = 3
# A root and its frontends go in two report runs, as at slapos proxy: a root goes last.
REPORT_RUNS = 3


def domain(n):
    return f"site-{n:03}.customer-of-the-cdn.example.com"


@unittest.skipUnless(VENV, os.environ.get("SLAPLEDGER_NODE_MISSING") or "SLAPLEDGER_NODE_VENV names no environment")
class Cdn(SlapTestCase):
    """A root that 400 sites share, and three frontends that get the list of them."""

    def setUp(self):
        super().setUp()
        self.slapgrid = Node(self.computer, self.server.url, partitions=FRONTENDS + 1, source=RELEASE)
        self.addCleanup(self.slapgrid.close)
        self.release = str(self.slapgrid.software)
        self.slapgrid.slapos("format", "--now")
        self.slap.registerSupply().supply(self.release, self.computer)
        self.slapgrid.slapos("software")

    def ask(self, state="started"):
        return self.request("cdn", software=self.release, software_type="default", state=state)

    def ask_site(self, n):
        # Each backend has a long address, so that the list of all sites is longer than one event of the log.
        backend = f"https://[2001:db8:{n:x}::1]:8443/VirtualHostBase/https/{domain(n)}:443/{'folder/' * 12}VirtualHostRoot/"
        return self.request(f"site-{n:03}", {"domain": domain(n), "backend": backend}, software=self.release,
                            software_type="default", shared=True)

    def busy(self):
        """Partitions that the node has something to do with."""
        busy = []
        for name, partition in self.node_partitions().items():
            try:
                partition.getSoftwareRelease()
            except NotFoundError:
                continue
            busy.append(name)
        return busy

    def until(self, what, condition, command, most):
        """Runs the node until the condition holds; how many runs it took, printed with their time."""
        began = time.monotonic()
        for runs in range(1, most + 1):
            self.slapgrid.slapos(command)
            if condition():
                seconds = time.monotonic() - began
                print(f"{what}: {runs} runs of `slapos node {command}` in {seconds:.1f} s", flush=True)
                return
        self.fail(f"{what}: not after {most} runs of `slapos node {command}`\n{self.slapgrid.output}")

    def addresses(self):
        return [self.ask_site(n).getConnectionParameterDict().get("address") for n in range(SITES)]

    def expected(self):
        names = [f"frontend-{n + 1}" for n in range(FRONTENDS)]
        return [" ".join(f"https://{domain(n)}/ by {name}" for name in names) for n in range(SITES)]

    def test_a_cdn_of_400_sites_grows_and_goes(self):
        self.ask()
        for n in range(SITES):
            self.ask_site(n)
        self.until(f"{SITES} sites have their addresses", lambda: self.addresses() == self.expected(), "instance", 4)
        root = next(found for found in self.node_partitions().values()
                    if found.getInstanceParameterDict().get("instance_title") == "cdn")
        listed = root.getInstanceParameterDict()["slave_instance_list"]
        self.assertEqual(sorted(site["domain"] for site in listed), [domain(n) for n in range(SITES)])
        frontends = [found.getInstanceParameterDict() for found in self.node_partitions().values()
                     if found.getInstanceParameterDict().get("slap_software_type") == "frontend"]
        self.assertEqual(len(frontends), FRONTENDS)
        for told in frontends:
            self.assertGreater(len(told["_"]), 65_536)

        # At rest, a run processes nothing.
        self.slapgrid.slapos("instance")
        self.assertNotIn("Installing Computer Partition", self.slapgrid.slapos("instance"))

        self.ask("destroyed")
        self.slapgrid.slapos("instance")
        self.until("the CDN has gone", lambda: self.busy() == [], "report", REPORT_RUNS)
        if PEER == "slapledger":
            # Its sites went with it, and nobody is left on the list.
            lives = [item["title"] for item in self.items("v1/instances") if item["state"] != "destroyed"]
            self.assertEqual(lives, [])


if __name__ == "__main__":
    unittest.main()
