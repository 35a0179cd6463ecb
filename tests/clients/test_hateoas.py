"""hateoas: slapos.core's own client of it, and the commands of `slapos` that use it."""

import json
import pathlib
import subprocess
import sys

from slapos.slap import NotFoundError

from master import Master
from server import slapledger_only
from slap_case import OTHER_SOFTWARE, SOFTWARE, SlapTestCase


class HateoasCase(SlapTestCase):
    """The client finds the way by getHateoasUrl."""

    @property
    def navigator(self):
        return self.slap._hateoas_navigator

    def slapos(self, *arguments):
        """Runs `slapos`; status and what it printed, standard output first."""
        config = pathlib.Path(self.server.folder) / "slapos.cfg"
        come = "".join(f"{name} = {path}\n" for name, path in self.server.credentials.items())
        config.write_text(f"[slapos]\nmaster_url = {self.server.url}\n{come}")
        command = [str(pathlib.Path(sys.executable).parent / "slapos"), *arguments, "--cfg", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr


@slapledger_only
class AsSlaposProxy(HateoasCase):
    def test_services(self):
        self.format("slappart0", "slappart1")
        self.request("plain", {"a": "b"}).getId()
        self.slap.registerOpenOrder().request(SOFTWARE, "shared", shared=True, partition_parameter_kw={"c": "d"})
        self.request("é & +", software=OTHER_SOFTWARE)
        found = {title: one._software_release_url for title, one in self.slap.getOpenOrderDict().items()}
        self.assertEqual(found, {"plain": SOFTWARE, "shared": SOFTWARE, "é & +": OTHER_SOFTWARE})
        self.node_partition("slappart0").setConnectionDict({"url": "http://a/?b=1&c=2"})
        plain = self.slap.registerOpenOrder().getInformation("plain")
        self.assertEqual(plain._parameter_dict, {"a": "b"})
        self.assertEqual((plain._requested_state, plain._source_reference, plain._root_slave), ("started", "default", 0))
        self.assertIn("http://a/?b=1&amp;c=2", plain._connection_dict)
        shared = self.slap.registerOpenOrder().getInformation("shared")
        self.assertEqual((shared._requested_state, shared._root_slave), ("unused", 1))
        self.assertEqual(shared._parameter_dict, {"c": "d"})
        self.assertEqual(self.slap.registerOpenOrder().getInformation("é & +")._software_release_url, OTHER_SOFTWARE)
        with self.assertRaises(NotFoundError):
            self.slap.registerOpenOrder().getInformation("nobody")
        rows = self.navigator.getInstanceTreeInstanceList("plain")
        self.assertEqual([row["title"] for row in rows], ["plain"])
        self.assertEqual(rows[0]["getConnectionXmlAsDict"], {"url": "http://a/?b=1&c=2"})

    def test_computers_and_software(self):
        self.format("slappart0")
        self.format("slappart0", computer="COMP-2")
        self.assertEqual(sorted(self.slap.getComputerDict()), ["COMP-1", "COMP-2"])
        self.assertEqual(self.slap.registerComputer("COMP-2").getInformation()._title, "COMP-2")
        self.slap.registerSupply().supply(SOFTWARE, "COMP-2")
        self.assertEqual([row["url_string"] for row in self.navigator.getSoftwareInstallationList("COMP-2")], [SOFTWARE])
        self.assertEqual(self.navigator.getSoftwareInstallationList("COMP-1"), [])
        self.assertIn("no data found", self.navigator.getSoftwareInstallationNews("COMP-2", SOFTWARE))
        self.assertEqual(self.navigator.getComputerNews("COMP-2"), "#access Computer is available")
        self.assertEqual(self.navigator.getMeDocument()["data"]["portal_type"], "Person")

    def test_commands(self):
        self.format("slappart0")
        self.request("plain", {"a": "b"})
        status, out, _ = self.slapos("service", "list")
        self.assertEqual((status, json.loads(out)), (0, {"plain": SOFTWARE}))
        status, out, _ = self.slapos("service", "info", "plain")
        self.assertEqual(status, 0)
        self.assertEqual(
            json.loads(out),
            {"software-url": SOFTWARE, "software-type": "default", "shared": False, "requested-state": "started",
             "instance-parameters": {"a": "b"}, "connection-parameters": {}, "status": "unsupported"},
        )
        status, out, err = self.slapos("service", "info", "nobody")
        self.assertEqual(status, 2)
        self.assertIn("Instance nobody does not exist.", out + err)
        # slapos proxy cannot look up a title with a quote.
        status, out, err = self.slapos("service", "info", 'a"b')
        self.assertEqual(status, 2)
        self.assertIn('Instance a"b does not exist.', out + err)
        status, out, _ = self.slapos("computer", "list")
        self.assertEqual((status, out), (0, "List of Computers:\nCOMP-1 COMP-1\n"))
        status, out, _ = self.slapos("computer", "info", "COMP-1")
        self.assertEqual((status, out), (0, "Computer Reference: COMP-1\nComputer Title    : COMP-1\n"))
        status, out, err = self.slapos("computer", "token")
        self.assertEqual(status, 0, err)
        self.assertRegex(out, r"Computer token: [0-9a-f]{32}")


@slapledger_only
class AsMaster(HateoasCase):
    def make_server(self):
        return Master()

    def test_states_are_shown(self):
        self.assertStatus(self.server.post_form("requestComputer", computer_title="first"), 200)
        self.format("slappart0")
        self.request("plain")
        partition = self.node_partition("slappart0")
        partition.setConnectionDict({"url": "http://a/"})
        partition.started()
        status, out, _ = self.slapos("service", "info", "plain", "--news")
        self.assertEqual(status, 0)
        seen = json.loads(out)
        self.assertEqual((seen["status"], seen["connection-parameters"]), ("green", {"url": "http://a/"}))
        partition.error("it broke")
        self.assertEqual(json.loads(self.slapos("service", "info", "plain")[1])["status"], "red")
        self.assertEqual(self.navigator.getComputerPartitionNews("COMP-1", "slappart0"), "#error it broke")
        self.assertEqual(self.slapos("computer", "list")[1], "List of Computers:\nCOMP-1 first\n")
