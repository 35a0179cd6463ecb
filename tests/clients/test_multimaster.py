"""Requests that a proxy forwards to another one (`[multimaster/URL]` of slapos.cfg), shared instances included."""

import unittest

from slapos.util import dumps, loads

from server import Server, free_port

RELEASE = "http://example.org/elsewhere/software.cfg"
HERE = "http://example.org/here/software.cfg"


def form(title, release=RELEASE, shared=False, state=None, filter_kw=None, **parameters):
    return {
        "software_release": release, "software_type": "default", "partition_reference": title,
        "partition_parameter_xml": dumps(parameters), "filter_xml": dumps(filter_kw or {}),
        "shared_xml": dumps(shared), "state": dumps(state),
    }


class Multimaster(unittest.TestCase):
    def setUp(self):
        self.other = self.start(Server("other"))
        self.dead = f"http://127.0.0.1:{free_port()}/"
        self.one = self.start(Server("one", masters={
            self.other.url: {"software_release_list": [RELEASE]},
            self.dead: {"software_release_list": ["http://example.org/dead.cfg"]},
        }))
        for server, computer in ((self.other, "other"), (self.one, "one")):
            partitions = [{"reference": f"slappart{n}", "address_list": [], "tap": {"name": "lo"}} for n in range(3)]
            xml = dumps({"reference": computer, "address": "127.0.0.1", "netmask": "", "partition_list": partitions})
            self.assertEqual(server.post_form("loadComputerConfigurationFromXML", xml=xml).status, 200)

    def start(self, server):
        def close():
            server.stop()
            server.remove()

        self.addCleanup(close)
        return server.start()

    def request(self, *arguments, status=200, **more):
        answer = self.one.post_form("requestComputerPartition", **form(*arguments, **more))
        self.assertEqual(answer.status, status, answer)
        return loads(answer.body) if status == 200 else answer

    def titles(self, server):
        items = server.get("v1/instances").json()["items"]
        return sorted(item["title"] for item in items if item["state"] != "destroyed")

    def test_what_is_in_the_list_is_requested_there(self):
        seen = self.request("db", size=5)
        self.assertEqual(seen._master_url, self.other.url)
        self.assertEqual(seen._software_release_document, RELEASE)
        self.assertEqual((seen.slap_computer_id, seen.slap_computer_partition_id), ("other", "slappart0"))
        self.assertEqual(seen._parameter_dict["size"], "5")
        self.request("db", size=5)
        self.assertEqual((self.titles(self.other), self.titles(self.one)), (["user_db"], []))
        # All else stays here.
        self.assertEqual(self.request("web", HERE).slap_computer_id, "one")
        # One that another partition requests is another one.
        more = {"computer_id": "one", "computer_partition_id": "slappart0"}
        answer = self.one.post_form("requestComputerPartition", **form("db"), **more)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.titles(self.other), ["slappart0_db", "user_db"])
        self.request("db", state="destroyed")
        self.assertEqual(self.titles(self.other), ["slappart0_db"])

    def test_a_shared_instance_is_forwarded(self):
        self.assertEqual(self.request("site", shared=True, status=404).status, 404)
        self.request("host")
        seen = self.request("site", shared=True, port=80)
        self.assertEqual((seen.slap_computer_partition_id, seen._parameter_dict["port"]), ("slappart0", "80"))
        host = self.other.get("getFullComputerInformation", computer_id="other")
        slaves = loads(host.body)._computer_partition_list[0]._parameter_dict["slave_instance_list"]
        self.assertEqual([slave["slave_title"] for slave in slaves], ["_user_site"])

    def test_a_filter_names_a_master(self):
        seen = self.request("cache", HERE, filter_kw={"master_url": self.other.url})
        self.assertEqual(seen.slap_computer_id, "other")
        refused = self.request("x", HERE, filter_kw={"master_url": "http://192.0.2.1/"}, status=404)
        self.assertIn("is not listed in multimaster list", refused.text)
        # Its own address, whichever name it has.
        for url in (self.one.url, self.one.url.replace("127.0.0.1", "localhost")):
            self.assertEqual(self.request("local", HERE, filter_kw={"master_url": url}).slap_computer_id, "one")

    def test_a_master_that_is_down_is_523(self):
        self.request("x", "http://example.org/dead.cfg", status=523)
        self.request("x", HERE, filter_kw={"master_url": self.dead}, status=523)
        call = {"title": "x", "software_release_uri": "http://example.org/dead.cfg", "software_type": "default"}
        self.assertEqual(self.one.post_json("slapos.post.v0.software_instance", call).status, 523)
        self.assertEqual(self.titles(self.one), [])

    def test_json_rpc_is_forwarded(self):
        call = {"title": "j", "software_release_uri": RELEASE, "software_type": "default", "parameters": {"a": "b"}}
        seen = self.one.post_json("slapos.post.v0.software_instance", call)
        self.assertEqual(seen.status, 200, seen)
        document = seen.json()
        self.assertEqual((document["computer_guid"], document["compute_partition_id"]), ("other", "slappart0"))
        self.assertEqual(self.titles(self.other), ["user_j"])


if __name__ == "__main__":
    unittest.main()
