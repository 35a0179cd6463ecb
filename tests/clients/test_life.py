"""The life of instances, driven by the unmodified slapos.slap client: user and node against one server.

Everything but what is marked `slapledger_only` also passes against `slapos proxy` (SLAP_PEER=slapos-proxy).
"""

import json
import unittest

from slapos.slap import NotFoundError
from slapos.util import dumps

from server import slapledger_only
from slap_case import OTHER_SOFTWARE, SOFTWARE, SlapTestCase, computer_configuration

# What a user sends, and what the node gets: str() of the value, and None for an empty text.
PARAMETERS = {
    "markup": ("x<y&z>\"'", "x<y&z>\"'"),
    "entity": ("&amp;lt; &#65; <![CDATA[x]]>", "&amp;lt; &#65; <![CDATA[x]]>"),
    "unicode": ("Ünïcødé € 日本語 🙂", "Ünïcødé € 日本語 🙂"),
    "lines": ("one\ntwo\n\tthree", "one\ntwo\n\tthree"),
    "carriage return": ("one\r\ntwo", "one\r\ntwo"),
    "spaces": ("  padded  ", "  padded  "),
    "empty": ("", None),
    "json": ('{"a": ["<b>", "\\u00e9&"], "c": null}', '{"a": ["<b>", "\\u00e9&"], "c": null}'),
    "true": (True, "True"),
    "nothing": (None, "None"),
    "integer": (12345678901234567890, "12345678901234567890"),
    "float": (1.5, "1.5"),
    "list": ([1, "a", None], "[1, 'a', None]"),
    "dictionary": ({"x": 1}, "{'x': 1}"),
    "long": ("z" * 20000, "z" * 20000),
    "key with <&> é": ("value", "value"),
}


class Registration(SlapTestCase):
    """A computer publishes its partitions."""

    def test_partitions_are_free_at_first(self):
        self.format("slappart0", "slappart1")
        partitions = self.node_partitions()
        self.assertEqual(sorted(partitions), ["slappart0", "slappart1"])
        for partition in partitions.values():
            self.assertEqual(partition.getState(), "destroyed")
            with self.assertRaises(NotFoundError):
                partition.getSoftwareRelease()

    def test_registering_again_changes_nothing(self):
        self.format("slappart0", "slappart1")
        partition_id = self.request("one", {"a": "b"}).getId()
        with self.unchanged(partition_id):
            self.format("slappart0", "slappart1")
        self.assertEqual(self.own_parameters(partition_id), {"a": "b"})

    def test_a_computer_grows_and_shrinks(self):
        self.format("slappart0")
        self.format("slappart0", "slappart1", "slappart2")
        self.assertEqual(sorted(self.node_partitions()), ["slappart0", "slappart1", "slappart2"])
        self.format("slappart0")
        self.request("one")
        with self.assertRaises(NotFoundError):
            self.request("two")

    def test_another_computer_is_chosen_by_its_guid(self):
        self.format("slappart0")
        self.format("slappart0", computer="COMP-2")
        partition = self.request("one", filter_kw={"computer_guid": "COMP-2"})
        self.assertEqual((partition.slap_computer_id, partition.getId()), ("COMP-2", "slappart0"))
        self.assertEqual(self.node_partition("slappart0").getState(), "destroyed")


class Supply(SlapTestCase):
    """Software on a computer."""

    def states(self):
        return {release.getURI(): release.getState() for release in self.node().getSoftwareReleaseList()}

    def test_software_is_supplied_reported_and_removed(self):
        self.format("slappart0")
        self.slap.registerSupply().supply(SOFTWARE, self.computer)
        self.slap.registerSupply().supply(OTHER_SOFTWARE, self.computer)
        self.assertEqual(self.states(), {SOFTWARE: "available", OTHER_SOFTWARE: "available"})
        release = next(r for r in self.node().getSoftwareReleaseList() if r.getURI() == SOFTWARE)
        release.building()
        release.error("no space left on <device> & more")
        release.available()
        self.assertEqual(self.states()[SOFTWARE], "available")
        self.slap.registerSupply().supply(SOFTWARE, self.computer, state="destroyed")
        self.assertEqual(self.states(), {SOFTWARE: "destroyed", OTHER_SOFTWARE: "available"})
        release.destroyed()
        self.assertEqual(self.states(), {OTHER_SOFTWARE: "available"})

    @slapledger_only
    def test_supply_on_an_unknown_computer_is_not_found(self):
        with self.assertRaises(NotFoundError):
            self.slap.registerSupply().supply(SOFTWARE, "COMP-404")


class Request(SlapTestCase):
    """request() is an upsert."""

    def setUp(self):
        super().setUp()
        self.format("slappart0", "slappart1")

    def test_a_new_instance_is_started_on_a_free_partition(self):
        partition = self.request("one", {"a": "b"}, software_type="server")
        self.assertEqual(partition.slap_computer_id, self.computer)
        self.assertIn(partition.getId(), ("slappart0", "slappart1"))
        self.assertEqual(partition.getState(), "started")
        self.assertEqual(partition.getInstanceGuid(), f"{self.computer}-{partition.getId()}")
        self.assertEqual(partition.slap_software_release_url, SOFTWARE)
        self.assertEqual(partition.slap_software_type, "server")
        index = partition.getId()[-1]
        self.assertEqual(sorted(map(tuple, partition.ip_list)),
                         sorted([(f"slaptap{index}", f"10.0.{index}.1"), (f"slaptap{index}", f"fd00::{int(index) + 1}")]))
        self.assertEqual(partition.getConnectionParameterDict(), {})

    def test_the_node_sees_release_state_and_parameters(self):
        partition_id = self.request("one", {"a": "b"}, software_type="server").getId()
        partition = self.node_partition(partition_id)
        self.assertEqual(partition.getState(), "started")
        self.assertEqual(partition.getSoftwareRelease().getURI(), SOFTWARE)
        self.assertEqual(partition.getType(), "server")
        seen = partition.getInstanceParameterDict()
        self.assertEqual({key: seen[key] for key in (
            "a", "instance_title", "root_instance_title", "slap_computer_id", "slap_computer_partition_id",
            "slap_software_release_url", "slap_software_type", "slave_instance_list")}, {
            "a": "b", "instance_title": "one", "root_instance_title": "one", "slap_computer_id": self.computer,
            "slap_computer_partition_id": partition_id, "slap_software_release_url": SOFTWARE,
            "slap_software_type": "server", "slave_instance_list": []})
        self.assertTrue(all(isinstance(address, tuple) for address in seen["ip_list"]), seen["ip_list"])
        self.assertIsInstance(seen["timestamp"], str)

    def test_two_instances_do_not_share_a_partition(self):
        self.assertNotEqual(self.request("one").getId(), self.request("two").getId())

    def test_without_room_it_is_not_found_and_what_exists_still_works(self):
        first = self.request("one").getId()
        self.request("two")
        with self.assertRaises(NotFoundError):
            self.request("three")
        self.assertEqual(self.request("one").getId(), first)
        self.format("slappart0", "slappart1", "slappart2")
        self.assertEqual(self.request("three").getId(), "slappart2")

    def test_unchanged_is_the_same_partition_and_timestamp(self):
        for more in ({}, {"state": "started"}, {"state": "started", "software_type": "default"}):
            with self.subTest(more):
                first = self.request("one", {"a": "b", "c": "d"})
                with self.unchanged(first.getId()):
                    again = self.request("one", {"c": "d", "a": "b"}, **more)
                self.assertEqual(again.getId(), first.getId())
                self.assertEqual(again.getInstanceParameter("timestamp"), first.getInstanceParameter("timestamp"))

    def test_each_change_moves_the_timestamp(self):
        partition_id = self.request("one", {"a": "b"}).getId()
        for change in (
            {"parameters": {"a": "c"}},
            {"parameters": {"a": "c", "d": "e"}},
            {"parameters": {}},
            {"software": OTHER_SOFTWARE},
            {"software": OTHER_SOFTWARE, "software_type": "other"},
            {"software": OTHER_SOFTWARE, "software_type": "other", "state": "stopped"},
        ):
            with self.subTest(change), self.changed(partition_id):
                self.assertEqual(self.request("one", **change).getId(), partition_id)
        partition = self.node_partition(partition_id)
        self.assertEqual(partition.getState(), "stopped")
        self.assertEqual(partition.getSoftwareRelease().getURI(), OTHER_SOFTWARE)
        self.assertEqual(partition.getType(), "other")

    def test_a_state_once_requested_stays(self):
        partition_id = self.request("one", state="stopped").getId()
        self.assertEqual(self.node_partition(partition_id).getState(), "stopped")
        with self.unchanged(partition_id):
            self.request("one")
        self.assertEqual(self.node_partition(partition_id).getState(), "stopped")
        with self.changed(partition_id):
            self.request("one", state="started")
        self.assertEqual(self.node_partition(partition_id).getState(), "started")

    def test_parameters_arrive_as_they_were_sent(self):
        partition_id = self.request("one", {key: sent for key, (sent, _) in PARAMETERS.items()}).getId()
        seen = self.own_parameters(partition_id)
        for key, (_, expected) in PARAMETERS.items():
            with self.subTest(key):
                self.assertIn(key, seen)
                self.assertEqual(seen[key], expected)
        self.assertEqual(set(seen), set(PARAMETERS))

    def test_json_in_one_parameter(self):
        value = json.dumps({"text": "x<y&z>\"'", "n": [1, 2.5, None], "ü": "\n"})
        partition = self.request("one", {"_": value})
        self.assertEqual(partition.getInstanceParameter("_"), value)
        self.assertEqual(json.loads(self.own_parameters(partition.getId())["_"]), json.loads(value))

    def test_titles_are_free_text(self):
        for title in ("My first instance", "<b>&amp;</b>", "ünï 日本", "a/b?c=d#e", "x" * 1024):
            with self.subTest(title):
                partition_id = self.request(title).getId()
                seen = self.node_partition(partition_id).getInstanceParameterDict()
                self.assertEqual(seen["instance_title"], title)
                self.free(title)

    def test_an_answer_can_be_asked_for_again(self):
        partition_id = self.request("one", {"a": "b"}).getId()
        partition = self.slap.registerComputerPartition(self.computer, partition_id)
        self.assertEqual(partition.getState(), "started")
        self.assertEqual(partition.getInstanceParameterDict()["a"], "b")
        self.assertEqual(partition.getSoftwareRelease().getURI(), SOFTWARE)

    @slapledger_only
    def test_what_was_acknowledged_survives_a_restart(self):
        first = self.request("one", {"a": "x<y&z>\"'"}, software_type="server")
        self.node_partition(first.getId()).setConnectionDict({"url": "http://[::1]/?a=1&b=<2>"})
        before = self.server.get("getFullComputerInformation", computer_id=self.computer).body
        self.server.restart()
        self.assertEqual(self.server.get("getFullComputerInformation", computer_id=self.computer).body, before)
        with self.unchanged(first.getId()):
            again = self.request("one", {"a": "x<y&z>\"'"}, software_type="server")
        self.assertEqual(again.getId(), first.getId())
        self.assertEqual(again.getConnectionParameter("url"), "http://[::1]/?a=1&b=<2>")


class Life(SlapTestCase):
    """From request to a partition that is free again."""

    def setUp(self):
        super().setUp()
        self.format("slappart0")
        self.slap.registerSupply().supply(SOFTWARE, self.computer)

    def test_whole_life(self):
        for release in self.node().getSoftwareReleaseList():
            release.building()
            release.available()
        partition_id = self.request("one", {"a": "b"}).getId()

        partition = self.node_partition(partition_id)
        partition.setConnectionDict({"url": "https://example.com/?a=1&b=<2>", "password": "p\"'ä", "empty": ""})
        partition.started()
        user = self.request("one", {"a": "b"})
        self.assertEqual(user.getConnectionParameter("url"), "https://example.com/?a=1&b=<2>")
        self.assertEqual(user.getConnectionParameter("password"), "p\"'ä")
        self.assertIsNone(user.getConnectionParameter("empty"))
        with self.assertRaises(NotFoundError):
            user.getConnectionParameter("absent")

        self.request("one", {"a": "b"}, state="stopped")
        partition = self.node_partition(partition_id)
        self.assertEqual(partition.getState(), "stopped")
        partition.stopped()

        self.request("one", {"a": "b"}, state="destroyed")
        partition = self.node_partition(partition_id)
        self.assertEqual(partition.getState(), "destroyed")
        self.assertEqual(partition.getSoftwareRelease().getURI(), SOFTWARE)
        with self.assertRaises(NotFoundError):
            self.request("two")  # still held: the node has not said that it is gone
        partition.stopped()
        partition.destroyed()

        partition = self.node_partition(partition_id)
        self.assertEqual(partition.getState(), "destroyed")
        with self.assertRaises(NotFoundError):
            partition.getSoftwareRelease()
        next_tenant = self.request("two")
        self.assertEqual(next_tenant.getId(), partition_id)
        self.assertEqual(next_tenant.getConnectionParameterDict(), {})
        self.assertEqual(self.own_parameters(partition_id), {})

    def test_the_node_may_repeat_what_it_said(self):
        partition_id = self.request("one").getId()
        partition = self.node_partition(partition_id)
        with self.unchanged(partition_id):
            for _ in range(2):
                partition.started()
                partition.setConnectionDict({"url": "http://one/"})
                partition.error("could not start: <&>")
        self.free("one")
        partition.destroyed()
        self.assertEqual(self.node_partition(partition_id).getState(), "destroyed")

    def test_a_destroyed_title_can_come_back(self):
        partition_id = self.request("one", {"a": "b"}).getId()
        before = self.timestamp(partition_id)
        self.free("one")
        self.assertEqual(self.request("one", {"a": "b"}).getId(), partition_id)
        self.assertNotEqual(self.timestamp(partition_id), before)

    def test_partition_certificate_is_empty(self):
        partition_id = self.request("one").getId()
        self.assertEqual(self.node_partition(partition_id).getCertificate(), {"certificate": "", "key": ""})

    @slapledger_only
    def test_the_ledger_id_is_never_used_again(self):
        self.request("one")
        first = self.instance("one")["id"]
        self.free("one")
        self.request("one")
        self.assertNotEqual(self.instance("one")["id"], first)
        self.assertEqual(self.server.get(f"v1/instances/{first}").json()["state"], "destroyed")

    @slapledger_only
    def test_reported_state_is_kept_beside_the_requested_one(self):
        partition_id = self.request("one").getId()
        self.node_partition(partition_id).started()
        item = self.instance("one")
        self.assertEqual((item["state"], item["reported_state"]), ("started", "started"))
        self.request("one", state="stopped")
        item = self.instance("one")
        self.assertEqual((item["state"], item["reported_state"]), ("stopped", "started"))
        self.assertEqual((item["computer"], item["partition"]), (self.computer, partition_id))
        self.assertEqual((item["software_release"], item["software_type"]), (SOFTWARE, "default"))


class Tree(SlapTestCase):
    """An instance requests others."""

    def setUp(self):
        super().setUp()
        self.format("slappart0", "slappart1", "slappart2")
        self.root = self.request("root")

    def child(self, title="child", **more):
        return self.root.request(SOFTWARE, "default", title, **more)

    def test_a_child_belongs_to_the_tree_and_its_title_to_the_parent(self):
        child = self.child()
        self.assertNotEqual(child.getId(), self.root.getId())
        self.assertEqual(self.child().getId(), child.getId())
        seen = self.node_partition(child.getId()).getInstanceParameterDict()
        self.assertEqual((seen["instance_title"], seen["root_instance_title"]), ("child", "root"))
        self.assertNotEqual(self.request("child").getId(), child.getId())

    def test_connection_parameters_of_a_child_reach_its_parent(self):
        child = self.child()
        with self.changed(self.root.getId()), self.unchanged(child.getId()):
            self.node_partition(child.getId()).setConnectionDict({"url": "http://child/"})
        with self.unchanged(self.root.getId()):
            self.node_partition(child.getId()).setConnectionDict({"url": "http://child/"})
        self.assertEqual(self.child().getConnectionParameter("url"), "http://child/")


@slapledger_only
class FrozenClock(SlapTestCase):
    """Within one instant of the clock, a change must still reach the node."""

    clock = "2026-10-01T00:00:00Z"

    def test_timestamps_differ_though_the_clock_stands(self):
        self.format("slappart0")
        partition_id = self.request("one", {"n": "0"}).getId()
        for n in range(1, 4):
            with self.changed(partition_id):
                self.request("one", {"n": str(n)})
        with self.unchanged(partition_id):
            self.request("one", {"n": "3"})


class Refused(SlapTestCase):
    """What cannot be answered is the caller's mistake: a 4xx, and nothing has changed."""

    def setUp(self):
        super().setUp()
        self.format("slappart0")
        self.partition_id = self.request("one").getId()

    def form(self, **more):
        return {"computer_id": self.computer, "computer_partition_id": self.partition_id, **more}

    def test_missing_fields_are_400(self):
        for path in ("requestComputerPartition", "supplySupply", "loadComputerConfigurationFromXML",
                     "setComputerPartitionConnectionXml", "destroyedComputerPartition"):
            with self.subTest(path):
                self.assertStatus(self.server.post_form(path), 400)
        for path in ("getFullComputerInformation", "registerComputerPartition"):
            with self.subTest(path):
                self.assertStatus(self.server.get(path), 400)

    def test_unknown_paths_and_methods(self):
        self.assertStatus(self.server.get("noSuchThing"), 404)
        self.assertStatus(self.server.get("requestComputerPartition"), 405)
        self.assertStatus(self.server.post_form("getFullComputerInformation"), 405)

    def test_a_wrong_content_type_is_refused(self):
        body = json.dumps({"url": SOFTWARE, "computer_id": self.computer, "state": "available"}).encode()
        self.assertStatus(self.server.call("POST", "supplySupply", body, "application/json"), 400, 415)
        self.assertEqual(self.node().getSoftwareReleaseList(), [])

    def test_a_request_for_an_unknown_computer_is_not_found(self):
        with self.assertRaises(NotFoundError):
            self.request("two", filter_kw={"computer_guid": "COMP-404"})

    @slapledger_only
    def test_unknown_computer_is_404(self):
        with self.assertRaises(NotFoundError):
            self.node("COMP-404").getComputerPartitionList()
        for path in ("getFullComputerInformation", "getComputerInformation"):
            self.assertStatus(self.server.get(path, computer_id="COMP-404"), 404)
        self.assertStatus(self.server.post_form("supplySupply", url=SOFTWARE, computer_id="COMP-404", state="available"),
                          404)
        for path in ("buildingSoftwareRelease", "availableSoftwareRelease", "softwareReleaseError"):
            with self.subTest(path):
                self.assertStatus(self.server.post_form(path, url=SOFTWARE, computer_id="COMP-404", error_log="x"), 404)

    @slapledger_only
    def test_unknown_partition_is_404(self):
        with self.assertRaises(NotFoundError):
            self.slap.registerComputerPartition(self.computer, "slappart9").getState()
        for computer, partition in ((self.computer, "slappart9"), ("COMP-404", "slappart0")):
            form = {"computer_id": computer, "computer_partition_id": partition}
            for path in ("startedComputerPartition", "stoppedComputerPartition", "destroyedComputerPartition",
                         "softwareInstanceError", "softwareInstanceBang", "setComputerPartitionConnectionXml"):
                with self.subTest(path, partition=partition):
                    more = {"error_log": "x", "message": "x", "connection_xml": dumps({})}
                    self.assertStatus(self.server.post_form(path, **form, **more), 404)
        self.assertEqual(self.node_partition(self.partition_id).getState(), "started")

    @slapledger_only
    def test_marshalled_values_that_are_none_are_400(self):
        good = {
            "software_release": SOFTWARE, "software_type": "default", "partition_reference": "two",
            "partition_parameter_xml": dumps({}), "filter_xml": dumps({}), "state": dumps(None),
            "shared_xml": dumps(False),
        }
        for field, value in (
            ("partition_parameter_xml", "<marshal><dictionary>"),
            ("partition_parameter_xml", "not XML"),
            ("partition_parameter_xml", ""),
            ("partition_parameter_xml", "<marshal><unheard_of/></marshal>"),
            ("partition_parameter_xml", "<marshal><string>a</string></marshal>"),
            ("partition_parameter_xml", '<marshal><reference id="i9"/></marshal>'),
            ("partition_parameter_xml", '<!DOCTYPE x [<!ENTITY a "b">]><marshal><dictionary id="i2">'
                                        "<string>k</string><string>&a;</string></dictionary></marshal>"),
            ("partition_parameter_xml", "<marshal>" + '<list id="i2">' * 20000 + "</list>" * 20000 + "</marshal>"),
            ("state", dumps("flying")),
            ("state", dumps(1)),
            ("filter_xml", dumps([])),
            ("shared_xml", "<marshal>"),
        ):
            with self.subTest(field, value=value[:40]):
                self.assertStatus(self.server.post_form("requestComputerPartition", **{**good, field: value}), 400)
        self.format("slappart0", "slappart1")
        self.assertEqual(self.node_partition("slappart1").getState(), "destroyed")
        self.assertStatus(self.server.post_form("requestComputerPartition", **good), 200)

    @slapledger_only
    def test_a_configuration_that_is_none_is_400(self):
        for xml in ("<marshal>", dumps([]), dumps({}), dumps({"reference": self.computer}),
                    dumps({**computer_configuration(self.computer, ()), "partition_list": "slappart0"})):
            with self.subTest(xml):
                self.assertStatus(self.server.post_form("loadComputerConfigurationFromXML", xml=xml), 400)
        self.assertEqual(self.node_partition(self.partition_id).getState(), "started")

    @slapledger_only
    def test_control_characters_are_400(self):
        """XML cannot carry them back to the node."""
        for character in ("\x00", "\x08", "\x1b", "\ufffe"):
            xml = ('<marshal><dictionary id="i2"><string>k</string><string>a'
                   f"{character}b</string></dictionary></marshal>")
            with self.subTest(repr(character)):
                answer = self.server.post_form(
                    "requestComputerPartition", software_release=SOFTWARE, software_type="default",
                    partition_reference="one", partition_parameter_xml=xml, filter_xml=dumps({}), state=dumps(None),
                    shared_xml=dumps(False))
                self.assertStatus(answer, 400)
        self.assertStatus(self.server.post_form("supplySupply", url="http://a\x01b", computer_id=self.computer,
                                                state="available"), 400)
        self.assertEqual(self.own_parameters(self.partition_id), {})

    @slapledger_only
    def test_a_claim_to_be_an_unknown_partition_is_400(self):
        """As slapos proxy answers an Authorization header that fits no partition."""
        answer = self.server.call(
            "POST", "requestComputerPartition",
            b"software_release=a&software_type=b&partition_reference=c&state=%3Cmarshal%3E%3Cnone%2F%3E%3C%2Fmarshal%3E",
            "application/x-www-form-urlencoded",
            Authorization=f"X-SlapPartition computer_id={self.computer}, computer_partition_id=slappart9")
        self.assertStatus(answer, 400)

    @slapledger_only
    def test_a_form_of_100_megabytes_is_413(self):
        for chunked in (False, True):
            with self.subTest(chunked=chunked):
                answer = self.server.post_endless(
                    "useComputer", "application/x-www-form-urlencoded", 100_000_000, chunked)
                self.assertStatus(answer, 413)
        self.assertEqual(self.node_partition(self.partition_id).getState(), "started")


@slapledger_only
class DocumentaryRest(SlapTestCase):
    """POST /software_instance_module/, the form of the original document."""

    module = "software_instance_module/"

    def post(self, **more):
        return self.server.post_json(self.module, {
            "software_release": SOFTWARE, "instance_id": "My first instance", "instance_type": "production", **more})

    def test_created_unchanged_and_kept_for_later(self):
        answer = self.assertStatus(self.post(), 202)  # no partition yet: kept, and allocated later
        self.assertTrue(answer.headers["Retry-After"])
        self.format("slappart0")
        self.assertEqual(self.node_partition("slappart0").getState(), "started")
        answer = self.assertStatus(self.post(), 200)
        location = self.instance("My first instance")["id"]
        self.format("slappart0", "slappart1")
        answer = self.assertStatus(self.post(instance_id="second"), 201)
        second = self.instance("second")["id"]
        self.assertTrue(answer.headers["Location"].endswith(f"/software_instance_module/{second}"), answer.headers)
        self.assertNotEqual(location, second)
        path = f"software_instance_module/{second}"
        seen = self.assertStatus(self.server.call("GET", path, Accept="application/json"), 200)
        self.assertEqual(seen.headers.get_content_type(), "application/json")
        self.assertEqual(seen.json()["software_release"], SOFTWARE)
        seen = self.assertStatus(self.server.call("GET", path, Accept="application/xml"), 200)
        self.assertIn(seen.headers.get_content_type(), ("application/xml", "text/xml"))
        self.assertIn(SOFTWARE, seen.text)

    def test_refusals(self):
        self.assertProblem(self.server.call("POST", self.module, b"{", "application/json"), 400)
        self.assertProblem(self.server.call("POST", self.module, b"{}", "text/plain"), 415)
        self.assertProblem(self.post(colour="blue"), 400, 422)
        self.assertProblem(self.server.get("software_instance_module/SOFTINST-404"), 404)


if __name__ == "__main__":
    unittest.main()
