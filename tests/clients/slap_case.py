"""What the tests share: the unmodified slapos.slap client, a computer's configuration, TioXML documents, /v1 lists, the
description of JSON-RPC in the wheel of slapos.core."""

import contextlib
import decimal
import importlib.resources
import json
import os
import pathlib
import subprocess
import sys
from xml.sax.saxutils import escape

import slapos.slap
from slapos.util import dumps

from server import ServerTestCase

SOFTWARE = "https://example.com/software/hello/software.cfg"
OTHER_SOFTWARE = "https://example.com/software/world/software.cfg"

SLAPOS = pathlib.Path(sys.executable).parent / "slapos"
COMMAND_TIMEOUT_SECONDS = 120


def run_slapos(folder, *arguments, stdin=""):
    """Runs `slapos` in a clean environment; (status, standard output, standard error)."""
    done = subprocess.run(
        [str(SLAPOS), *arguments], input=stdin, capture_output=True, text=True, cwd=folder,
        timeout=COMMAND_TIMEOUT_SECONDS, check=False,
        env={"PATH": f"{SLAPOS.parent}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore"})
    return done.returncode, done.stdout, done.stderr


def computer_configuration(reference, partitions):
    """The dictionary that `slapos node format` sends for a computer, slapos.core 1.26.1."""
    return {
        "reference": reference,
        "address": "127.0.0.1",
        "netmask": "255.255.255.255",
        "interface": None,
        "ipv6_interface": None,
        "instance_root": "/srv/slapgrid",
        "instance_storage_home": "",
        "software_root": "/opt/slapgrid",
        "software_user": "slapsoft",
        "os_type": '["Linux", "x86_64"]',
        "partition_has_ipv6_range": True,
        "public_ipv4_address": None,
        "python_version": "3.12.1",
        "slapos_version": "1.26.1",
        "tap_gateway_interface": None,
        "tap_ipv6": None,
        "partition_list": [
            {
                "reference": name,
                "path": f"/srv/slapgrid/{name}",
                "address_list": [
                    {"addr": f"10.0.{index}.1", "netmask": "255.255.255.255"},
                    {"addr": f"fd00::{index + 1}", "netmask": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
                ],
                "tap": {"name": f"slaptap{index}", "ipv4_addr": "", "ipv4_gateway": "", "ipv4_netmask": "",
                        "ipv4_network": "", "ipv6_addr": "", "ipv6_gateway": "", "ipv6_netmask": "", "ipv6_network": ""},
                "tun": None,
                "user": {"name": f"slapuser{index}", "path": f"/srv/slapgrid/{name}", "shell": "/bin/sh",
                         "additional_group_list": []},
                "external_storage_list": [],
                "ipv6_range": {},
            }
            for index, name in enumerate(partitions)
        ],
    }


def movement(resource, reference, quantity, title="Usage"):
    """One movement of a TioXML document; texts are escaped, the quantity is not."""
    return (
        f"<movement><resource>{escape(resource)}</resource><title>{escape(title)}</title>"
        f"<reference>{escape(reference)}</reference><quantity>{quantity}</quantity><price>0.0</price><VAT/>"
        "<category/></movement>"
    )


def transaction(reference, start, stop, *movements):
    """One transaction, the form that `slapos node collect` writes."""
    return (
        f'<transaction type="Sale Packing List"><title>Eco Information</title><start_date>{start}</start_date>'
        f"<stop_date>{stop}</stop_date><reference>{reference}</reference><currency/><payment_mode/><category/>"
        f'<arrow type="Destination"/>{"".join(movements)}</transaction>'
    )


def journal(*transactions):
    """A whole TioXML document."""
    return f"<?xml version='1.0' encoding='utf-8'?><journal>{''.join(transactions)}</journal>"


def cloud_event(source, event_id, subject, resource, quantity, start, stop, **data):
    """A usage event as POST /v1/usage-events takes it."""
    return {
        "specversion": "1.0", "type": "org.slapos.usage", "source": source, "id": event_id, "subject": subject,
        "time": stop, "data": {"resource": resource, "quantity": quantity, "start": start, "stop": stop, **data},
    }


def json_rpc_document():
    """The OpenAPI document of the master's JSON-RPC."""
    return json.loads((importlib.resources.files("slapos.proxy") / "json_rpc.json").read_text(encoding="utf-8"))


class SlapTestCase(ServerTestCase):
    """One computer, the client of a user and of a node, and readers of the /v1 lists."""

    def setUp(self):
        super().setUp()
        self.slap = slapos.slap.slap()
        self.slap.initializeConnection(self.server.url, **self.server.credentials)
        os.environ.pop("SLAPGRID_INSTANCE_ROOT", None)

    # The node's side.

    def format(self, *partitions, computer=None):
        computer = computer or self.computer
        configuration = computer_configuration(computer, partitions)
        self.slap.registerComputer(computer).updateConfiguration(dumps(configuration))

    def node(self, computer=None):
        """The computer as the node fetches it now."""
        return self.slap.registerComputer(computer or self.computer)

    def node_partitions(self, computer=None):
        return {partition.getId(): partition for partition in self.node(computer).getComputerPartitionList()}

    def node_partition(self, partition_id):
        return self.node_partitions()[partition_id]

    def timestamp(self, partition_id):
        return self.node_partition(partition_id).getInstanceParameterDict()["timestamp"]

    def own_parameters(self, partition_id):
        """The instance's own parameters as the node sees them, without what the master adds."""
        added = {"instance_title", "root_instance_title", "root_instance_short_title", "ip_list", "full_address_list",
                 "full_ip_list", "slap_computer_id", "slap_computer_partition_id", "slap_software_release_url",
                 "slap_software_type", "slave_instance_list", "timestamp"}
        seen = self.node_partition(partition_id).getInstanceParameterDict()
        return {key: value for key, value in seen.items() if key not in added}

    def report(self, document, computer=None):
        """Posts a TioXML document; the HTTP answer."""
        return self.server.post_form("useComputer", computer_id=computer or self.computer, use_string=document)

    def free(self, title, **request):
        """Destroys an instance as user and node do together."""
        partition_id = self.request(title, state="destroyed", **request).getId()
        partition = self.node_partition(partition_id)
        partition.stopped()
        partition.destroyed()
        return partition_id

    # The user's side.

    def request(self, title, parameters=None, software=SOFTWARE, **more):
        return self.slap.registerOpenOrder().request(software, title, partition_parameter_kw=parameters, **more)

    # /v1, answers as SURFACE describes them.

    def items(self, path, **query):
        """All items of a list, through its cursor."""
        items, cursor = [], None
        while True:
            page = self.assertStatus(self.server.get(path, **query, **({"cursor": cursor} if cursor else {})), 200).json()
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def instance(self, title):
        """The instance of this title that is not destroyed, from GET /v1/instances."""
        found = [item for item in self.items("v1/instances")
                 if item["title"] == title and item.get("state") != "destroyed"]
        self.assertEqual(len(found), 1, f"instances called {title!r}: {found}")
        return found[0]

    def readings(self, instance_id, start="2026-01-01T00:00:00Z", stop="2030-01-01T00:00:00Z", step="month", **more):
        """The answer of GET /v1/usage."""
        query = {"instance": instance_id, "from": start, "to": stop, "step": step, **more}
        return self.assertStatus(self.server.get("v1/usage", **query), 200).json()

    def usage(self, instance_id, *period, **more):
        """What was used, by resource, as a counter reads it; of whole hours a gauge's integral is the same number."""
        sums = {}
        for item in self.readings(instance_id, *period, **more)["resources"]:
            for reading in item["steps"]:
                self.assertIsInstance(reading["sum"], str, "quantities are strings")
                self.assertIsInstance(reading["time_integral"], str, "quantities are strings")
                if reading["events"]:
                    sums[item["resource"]] = sums.get(item["resource"], 0) + decimal.Decimal(reading["sum"])
        return sums

    def suspended(self):
        return self.items("v1/usage-suspense")

    def post_usage(self, *events, content_type="application/cloudevents-batch+json"):
        """Posts usage events as a batch; the decoded answer, which must be a 200."""
        answer = self.server.post_json("v1/usage-events", list(events), content_type)
        return self.assertStatus(answer, 200).json()

    def assertProblem(self, answer, *statuses):
        """The answer is a problem document (RFC 9457) with one of the statuses."""
        self.assertStatus(answer, *statuses)
        self.assertEqual(answer.headers.get_content_type(), "application/problem+json", answer)
        problem = answer.json()
        self.assertEqual(problem["status"], answer.status)
        self.assertTrue(problem["title"] and problem["type"], problem)
        return problem

    @contextlib.contextmanager
    def unchanged(self, partition_id):
        """What happens inside must not reach the node."""
        before = self.timestamp(partition_id)
        yield
        self.assertEqual(self.timestamp(partition_id), before, "the timestamp moved")

    @contextlib.contextmanager
    def changed(self, partition_id):
        """What happens inside must reach the node."""
        before = self.timestamp(partition_id)
        yield
        self.assertNotEqual(self.timestamp(partition_id), before, "the timestamp did not move")
