"""Every JSON-RPC call, its answer held against the response schema of the OpenAPI document in the wheel of slapos.core."""

import jsonschema

from master import Master
from server import slapledger_only
from slap_case import SOFTWARE, SlapTestCase, journal, json_rpc_document, movement, transaction

COMPUTER = "COMP-1"


def schema(part):
    return part["content"]["application/json"]["schema"]


class Calls(SlapTestCase):
    """One server; `call` holds request and answer against the document."""

    def setUp(self):
        super().setUp()
        self.paths = json_rpc_document()["paths"]
        self.called = set()

    def call(self, name, status=200, **members):
        path = f"/slapos.{name}"
        self.called.add(path)
        described = self.paths[path]["post"]
        jsonschema.Draft7Validator(schema(described["requestBody"])).validate(members)
        answer = self.assertStatus(self.server.post_json(path, members), status)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        if status == 200:
            jsonschema.Draft7Validator(schema(described["responses"]["200"])).validate(answer.json())
        else:
            self.assertEqual(sorted(answer.json()), ["status", "title", "type"])
            self.assertEqual(answer.json()["status"], status)
        return answer.json()

    def life(self, guid_of, node_format):
        """Every call once, from the format of the computer to the end of its instances."""
        node_format()
        computer, place = {"computer_guid": COMPUTER}, {"computer_guid": COMPUTER, "software_release_uri": SOFTWARE}
        self.call("get.v0.hateoas_url")
        self.call("post.v0.software_installation", **place)
        self.call("put.v0.software_installation_reported_state", **place, reported_state="building")
        self.call("put.v0.software_installation_error", **place, message="no space left")
        self.call("put.v0.software_installation_reported_state", **place, reported_state="available")
        self.call("allDocs.v0.compute_node_software_installation_list", **computer)
        wish = {"title": "one", "software_release_uri": SOFTWARE, "software_type": "default"}
        instance = self.call("post.v0.software_instance", **wish, parameters={"a": 1, "b": [True, None]})
        self.assertEqual(instance["parameters"], {"a": "1", "b": "[True, None]"})
        one = {"instance_guid": instance["instance_guid"]}
        self.assertEqual(one["instance_guid"], guid_of("one", 1, shared=False))
        shared = self.call("post.v0.software_instance", **{**wish, "title": "two"}, shared=True, parameters={"c": "d"})
        self.assertEqual(shared["instance_guid"], guid_of("two", 2, shared=True))
        self.call("get.v0.software_instance", **one)
        self.call("get.v0.software_instance", instance_guid=shared["instance_guid"])
        self.call("get.v0.compute_partition", **computer, compute_partition_id="slappart0")
        self.call("get.v0.instance_tree", title="one")
        self.call("allDocs.v0.instance_tree_list")
        self.call("allDocs.v0.compute_node_instance_list", **computer)
        self.assertEqual(len(self.call("allDocs.v0.instance_node_instance_list", **one)["result_list"]), 1)
        self.call("put.v0.software_instance_connection_parameter", **one, connection_parameter_dict={"url": "http://a/"})
        self.call("put.v0.software_instance_error", **one, message="it broke")
        self.call("put.v0.software_instance_reported_state", **one, reported_state="started")
        self.call("put.v0.software_instance_bang", **one, message="again")
        self.call("put.v0.compute_node_bang", **computer, message="again")
        self.call("put.v0.software_instance_title", **one, title="three")
        renamed = {"instance_guid": guid_of("three", 1, shared=False)}
        self.assertEqual(self.call("get.v0.software_instance", **renamed)["connection_parameters"], {"url": "http://a/"})
        self.call("get.v0.compute_node_status", **computer)
        report = journal(transaction("r1", "2026-01-01 00:00:00", "2026-01-01 23:59:59",
                                     movement("service_module/cpu_load_percent", COMPUTER, "1.5")))
        self.call("post.v0.compute_node_usage", **computer, tioxml=report)
        self.call("post.v0.software_instance", **{**wish, "title": "three"}, state="destroyed")
        self.call("put.v0.software_instance_reported_state", **renamed, reported_state="destroyed")
        self.call("get.v0.software_instance", status=403, **renamed)
        self.call("post.v0.software_installation", **place, state="destroyed")
        self.call("put.v0.software_installation_reported_state", **place, reported_state="destroyed")

    def node_format(self):
        address = {"ip-address": "10.0.0.1", "netmask": "255.255.255.255", "network-interface": "tap0"}
        partitions = [{"partition_id": f"slappart{n}", "ip_list": [address]} for n in range(2)]
        self.call("put.v0.compute_node_format", computer_guid=COMPUTER, compute_partition_list=partitions)

    def certificates(self, status):
        self.call("post.v0.compute_node_certificate", status, computer_guid=COMPUTER)
        self.call("remove.v0.compute_node_certificate", status, computer_guid=COMPUTER)


@slapledger_only
class AsSlaposProxy(Calls):
    def test_every_call(self):
        self.life(lambda title, number, shared: f"{title}______{int(shared)}", self.node_format)
        self.certificates(200)
        self.call("get.v0.software_instance_certificate", instance_guid="one______0")
        self.assertEqual(self.called, set(self.paths), "a call of the document was not made")

    def test_what_the_document_forbids_is_refused(self):
        """A member too many, one too few, and one of another type, of every call of the document."""
        for path, described in self.paths.items():
            with self.subTest(path):
                rules = schema(described["post"]["requestBody"])
                members = {name: "x" for name in rules.get("required", [])}
                answer = self.assertStatus(self.server.post_json(path, {**members, "more": 1}), 400)
                self.assertIn("more: ", answer.json()["title"])
                for name in rules.get("required", []):
                    fewer = {key: value for key, value in members.items() if key != name}
                    answer = self.assertStatus(self.server.post_json(path, fewer), 400)
                for name in rules.get("properties", {}):
                    answer = self.assertStatus(self.server.post_json(path, {**members, name: 1.5}), 400)
                    self.assertEqual(answer.json()["status"], 400)
                self.assertStatus(self.server.get(path), 405)


@slapledger_only
class AsMaster(Calls):
    def make_server(self):
        return Master()

    def test_every_call(self):
        made = self.assertStatus(self.server.post_form("requestComputer", computer_title="first"), 200)
        self.assertIn(COMPUTER, made.text)
        self.life(lambda title, number, shared: f"SOFTINST-{number}", self.node_format)
        self.certificates(200)

    def test_without_room_it_waits(self):
        self.assertStatus(self.server.post_form("requestComputer", computer_title="first"), 200)
        wish = {"title": "one", "software_release_uri": SOFTWARE, "software_type": "default"}
        waits = self.call("post.v0.software_instance", **wish)
        self.assertEqual((waits["status"], waits["name"]), (102, "SoftwareInstanceNotReady"))
        self.node_format()
        self.assertEqual(self.call("post.v0.software_instance", **wish)["compute_partition_id"], "slappart0")
