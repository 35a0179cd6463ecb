"""Users of a master over TLS, each with the real `slapos` and a certificate of their own.

They come by a token, as the manual of SlapOS tells them: `slapos configure client`. What is another's does not exist for
them; who was let in no more, or never, is refused with words that their client shows.
"""

import stat
import unittest
import urllib.parse

import requests
import slapos.slap
from slapos.slap import ResourceNotReady
from slapos.util import dumps

from master import Identity, MasterTestCase, User, Visitor, authority, forged
from server import slapledger_only
from slap_case import computer_configuration

DENIED = "Access denied to the SlapOS Master. Please check the authentication token or require a new one."


class UsersTestCase(MasterTestCase):
    def client(self, identity):
        """slapos.slap with a certificate."""
        client = slapos.slap.slap()
        client.initializeConnection(self.server.url, **identity.files)
        return client

    def computer(self, user, title, *partitions):
        """A computer that a user has registered by token, and that has said what it offers; its id and identity."""
        token = user.slapos("computer", "token").split()[-1]
        answer = self.server.present(token, "Person_requestComputer", title=title)
        identity, computer = self.server.handed_out(answer), answer.json()["reference"]
        self.client(identity).registerComputer(computer).updateConfiguration(
            dumps(computer_configuration(computer, partitions)))
        return computer, identity


@slapledger_only
class Configure(UsersTestCase):
    """`slapos configure client`."""

    def test_it_writes_what_the_other_commands_need(self):
        alice = self.user("alice")
        self.assertEqual({path.name: stat.S_IMODE(path.stat().st_mode) for path in alice.config.parent.iterdir()},
                         {"slapos-client.cfg": 0o600, "client.crt": 0o600, "client.key": 0o600})
        self.assertIn(f"master_url = {self.server.url}", alice.config.read_text())
        self.assertEqual(alice.json("service", "list"), {})
        self.assertEqual(len(self.server.active(alice.party)), 1)

    def test_a_token_that_is_not_good_is_told_so(self):
        alice = User(self.server, "alice")
        used = self.server.issue(alice.party, "customer")
        self.server.handed_out(self.server.present(used, "Person_getCertificate"))
        revoked = self.server.issue(alice.party, "customer")
        (credential,) = self.server.active(alice.party, "token")
        self.server.made(self.server.post_json(f"v1/credentials/{credential}/revoke", {}), 200)
        access = self.server.issue(alice.party, "customer", purpose="access")
        registers = self.server.issue(alice.party, purpose="register_computer")
        for what, token in (("used", used), ("revoked", revoked), ("for access", access), ("for a computer", registers),
                            ("unknown", used[:-1] + ("0" if used[-1] != "0" else "1")), ("no token", "nothing")):
            with self.subTest(what):
                self.assertRefused(DENIED, alice.configure(token))
                self.assertEqual(list(alice.config.parent.iterdir()), [])

    def test_what_went_wrong_before_spends_no_token(self):
        alice = self.user("alice")
        token = self.server.issue(alice.party, "customer")
        self.assertRefused("Please remove it before creating a new configuration.", alice.configure(token))
        alice.forget()
        # The address as people write it, with a slash that the client adds to.
        self.assertEqual(alice.configure(token, web=self.server.url)[0], 0)


@slapledger_only
class Work(UsersTestCase):
    """Two users with a computer each, and all that `slapos` has for them."""

    def setUp(self):
        super().setUp()
        self.alice, self.bob = self.user("alice"), self.user("bob")
        self.computer_id, self.node = self.computer(self.alice, "first", "slappart0", "slappart1")
        self.release = str(self.alice.folder / "software.cfg")

    def partition(self, partition_id, identity=None):
        client = self.client(identity or self.node)
        return {found.getId(): found for found in
                client.registerComputer(self.computer_id).getComputerPartitionList()}[partition_id]

    def test_a_user_at_work(self):
        alice = self.alice
        alice.slapos("supply", self.release, self.computer_id)
        self.assertIn("State is : started.", alice.slapos("request", "one", self.release, "--parameters", "a=x<y&z é"))
        self.partition("slappart0").setConnectionDict({"url": "http://é/?<&>"})
        self.assertIn("'url': 'http://é/?<&>'", alice.slapos("request", "one", self.release, "--parameters", "a=x<y&z é"))
        self.assertEqual(alice.json("service", "list"), {"one": self.release})
        info = alice.json("service", "info", "one")
        self.assertEqual((info["software-url"], info["instance-parameters"], info["connection-parameters"]),
                         (self.release, {"a": "x<y&z é"}, {"url": "http://é/?<&>"}))
        self.assertEqual(alice.slapos("computer", "list"), "List of Computers:\nCOMP-1 first\n")
        self.assertEqual(alice.slapos("computer", "info", "COMP-1").splitlines()[0], "Computer Reference: COMP-1")
        tokens = {alice.slapos("computer", "token") for _ in range(2)}
        self.assertEqual(len(tokens), 2, "a token is used once")
        output = alice.slapos("console", "--python", stdin=f"print('at', request({self.release!r}, 'two').getId())\n")
        self.assertIn("at slappart1", output)
        alice.slapos("remove", self.release, self.computer_id)
        releases = self.client(self.node).registerComputer(self.computer_id).getSoftwareReleaseList()
        self.assertEqual([release.getState() for release in releases], ["destroyed"])

    def test_what_is_anothers_does_not_exist(self):
        self.alice.slapos("request", "one", self.release)
        bob = self.bob
        self.assertEqual(bob.json("service", "list"), {})
        for title in ("one", "unheard of"):
            self.assertRefused(f"Instance {title} does not exist.", bob.run("service", "info", title))
        self.assertEqual(bob.slapos("computer", "list"), "No existing computer.\n")
        self.assertRefused("COMP-1 does not exist", bob.run("computer", "info", "COMP-1"))
        self.assertRefused("NotFoundError", bob.run("supply", self.release, self.computer_id))
        # The same title is another instance, and waits: the computer is for its owner alone.
        waits = self.client(bob.identity).registerOpenOrder().request(self.release, "one")
        with self.assertRaises(ResourceNotReady):
            waits.getId()
        # Nor do the routes of nodes and of JSON-RPC show it.
        asks = Visitor(self.server, bob.identity)
        self.assertStatus(asks.get("registerComputerPartition", computer_reference=self.computer_id,
                                   computer_partition_reference="slappart0"), 404)
        self.assertStatus(asks.get("getFullComputerInformation", computer_id=self.computer_id), 403)
        self.assertStatus(asks.post_json("slapos.get.v0.software_instance", {"instance_guid": "SOFTINST-1"}), 403)
        self.assertStatus(asks.get("v1/instances/SOFTINST-1"), 404)

    def test_a_computer_speaks_of_itself_alone(self):
        self.alice.slapos("request", "one", self.release)
        other, other_node = self.computer(self.bob, "second", "slappart0")
        ours, theirs = self.client(self.node), self.client(other_node)
        self.assertEqual(other, "COMP-2")
        self.assertEqual(len(theirs.registerComputer(other).getComputerPartitionList()), 1)
        asks = Visitor(self.server, other_node)
        here = {"computer_id": self.computer_id}
        place = {**here, "computer_partition_id": "slappart0"}
        for path, form in (
            ("useComputer", {**here, "use_string": "<journal/>"}), ("computerBang", {**here, "message": "m"}),
            ("startedComputerPartition", place), ("stoppedComputerPartition", place), ("destroyedComputerPartition", place),
            ("softwareInstanceError", {**place, "error_log": "e"}), ("softwareInstanceRename", {**place, "new_name": "n"}),
            ("setComputerPartitionConnectionXml", {**place, "connection_xml": dumps({"a": "b"}).decode()}),
            ("buildingSoftwareRelease", {**here, "url": self.release}),
            ("loadComputerConfigurationFromXML", {"xml": dumps(computer_configuration(self.computer_id, [])).decode()}),
            ("generateComputerCertificate", here), ("revokeComputerCertificate", here),
        ):
            with self.subTest(path):
                answer = self.assertStatus(asks.post_form(path, **form), 403)
                self.assertIn("the certificate is that of COMP-2, not of COMP-1", answer.text)
        for path in ("getFullComputerInformation", "getComputerInformation", "getComputerPartitionCertificate",
                     "getHostingSubscriptionIpList"):
            with self.subTest(path):
                self.assertStatus(asks.get(path, **place), 403)
        self.assertStatus(asks.get("getComputerStatus", **here), 404)
        with self.assertRaises(requests.HTTPError) as caught:
            theirs.registerComputer(self.computer_id).getComputerPartitionList()
        self.assertIn("403 Client Error: Forbidden", str(caught.exception))
        with self.assertRaises(requests.HTTPError) as caught:
            ours.registerComputerPartition(other, "slappart0").started()
        self.assertIn("403 Client Error: Forbidden", str(caught.exception))
        self.assertEqual(self.partition("slappart0").getState(), "started")

    def test_a_partition_is_whose_certificate_it_has(self):
        """The header of a partition is a claim: it has to fit the certificate it comes with."""
        user = self.client(self.alice.identity).registerOpenOrder()
        user.request(self.release, "one")
        user.request(self.release, "two")
        pair = self.partition("slappart0").getCertificate()
        self.assertEqual(pair, self.partition("slappart0").getCertificate(), "it is kept, and given again at each run")
        one = Identity(self.server.folder / "one", pair["certificate"], pair["key"])
        partition = self.client(one).registerComputerPartition(self.computer_id, "slappart0")
        self.assertEqual(partition.getInstanceParameterDict()["instance_title"], "one")
        asked = {
            "software_release": self.release, "software_type": "default", "partition_reference": "child",
            "partition_parameter_xml": dumps({}).decode(), "filter_xml": dumps({}).decode(),
            "state": dumps("started").decode(), "shared_xml": dumps(False).decode(),
        }

        def status(identity, claimed):
            claim = f"X-SlapPartition computer_id={self.computer_id}, computer_partition_id={claimed}"
            body = urllib.parse.urlencode(asked).encode()
            return Visitor(self.server, identity).call("POST", "requestComputerPartition", body,
                                                       "application/x-www-form-urlencoded", Authorization=claim).status

        # 408: it is taken, and waits for a partition.
        for who, identity, claimed, expected in (
            ("itself", one, "slappart0", 408), ("its node", self.node, "slappart0", 408),
            ("the other one on its node", one, "slappart1", 403), ("its user", self.alice.identity, "slappart0", 403),
            ("somebody else", self.bob.identity, "slappart0", 403), ("nobody", None, "slappart0", 401),
        ):
            with self.subTest(who):
                self.assertEqual(status(identity, claimed), expected)
        waiting = self.server.made(self.server.get("v1/instances"), 200)["items"]
        self.assertEqual([item["requester"] for item in waiting if item["title"] == "child"], ["SOFTINST-1"])

    def test_a_connection_that_is_open_lets_nobody_in_who_was_revoked(self):
        connection = self.server.connect(self.node)
        self.addCleanup(connection.close)

        def status():
            connection.request("GET", f"/getFullComputerInformation?computer_id={self.computer_id}")
            answer = connection.getresponse()
            answer.read()
            return answer.status

        self.assertEqual(status(), 200)
        used = connection.sock
        self.assertEqual(status(), 200)
        self.server.revoke(self.computer_id)
        self.assertEqual(status(), 401)
        self.assertIs(connection.sock, used, "it was the same connection all the time")

    def test_a_user_is_revoked_and_comes_again(self):
        alice, bob = self.alice, self.bob
        alice.slapos("request", "one", self.release)
        self.assertEqual(len(self.server.revoke(alice.party)), 1)
        request = ("request", "one", self.release)
        self.assertRefused("401 Client Error: Unauthorized", alice.run(*request))
        self.assertRefused("401 Client Error: Unauthorized", alice.run("supply", self.release, self.computer_id))
        self.assertRefused("Hateoas API required for this operation is not available", alice.run("service", "list"))
        self.assertEqual(bob.json("service", "list"), {})
        self.assertEqual(self.partition("slappart0").getState(), "started")
        alice.forget()
        self.assertEqual(alice.configure()[0], 0)
        self.assertIn("State is : started.", alice.slapos(*request))
        self.assertEqual(alice.json("service", "list"), {"one": self.release})


@slapledger_only
class Strangers(UsersTestCase):
    """Certificates that are not of this master, not any more, or not yet known to it; and none."""

    def setUp(self):
        super().setUp()
        self.alice = self.user("alice")
        self.ours = (self.server.data / "ca" / "intermediate.pem", self.server.data / "ca" / "intermediate.key")

    def shows(self, identity):
        """What `slapos request` and `slapos service list` show of a master, with this certificate."""
        alice = self.alice
        for ours, theirs in ((alice.identity.certificate, identity.certificate), (alice.identity.key, identity.key)):
            ours.write_bytes(theirs.read_bytes())
        request = alice.run("request", "one", str(alice.folder / "software.cfg"))
        self.assertRefused("Hateoas API required for this operation is not available", alice.run("service", "list"))
        return request

    def test_of_another_authority(self):
        other = forged(self.server.folder / "other", authority(self.server.folder))
        self.assertRefused("alert unknown ca", self.shows(other))

    def test_expired(self):
        expired = forged(self.server.folder / "expired", self.ours, days=(-3, -1))
        self.assertRefused("alert certificate expired", self.shows(expired))

    def test_not_good_yet(self):
        early = forged(self.server.folder / "early", self.ours, days=(1, 2))
        self.assertRefused("Couldn't connect to the server.", self.shows(early))

    def test_of_this_authority_but_never_issued(self):
        """Anyone who has stolen the key of the authority is still nobody: what counts is what was written down."""
        forgery = forged(self.server.folder / "forged", self.ours)
        self.assertRefused("401 Client Error: Unauthorized", self.shows(forgery))
        answer = self.assertStatus(Visitor(self.server, forgery).get("getHateoasUrl"), 401)
        self.assertIn("the certificate is not known here", answer.text)

    def test_of_a_server(self):
        """The server's own kind of certificate is none for clients; that of an instance is no person's."""
        self.assertStatus(Visitor(self.server).get("healthz"), 200)
        self.assertStatus(Visitor(self.server).get("getHateoasUrl"), 401)
        self.assertStatus(Visitor(self.server, token="slap_x_y").get("getHateoasUrl"), 401)

    def test_none(self):
        alice = self.alice
        config = "".join(line for line in alice.config.read_text().splitlines(True) if "_file" not in line)
        alice.config.write_text(config)
        self.assertRefused("No option 'key_file' and/or 'cert_file'", alice.run("service", "list"))

    def test_the_key_of_another(self):
        other = self.server.identity(self.server.party("other"), "customer")
        mixed = Identity(self.server.folder / "mixed", self.alice.identity.certificate.read_text(), other.key.read_text())
        self.assertRefused("Couldn't connect to the server.", self.shows(mixed))


if __name__ == "__main__":
    unittest.main()
