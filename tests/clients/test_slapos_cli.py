"""The real `slapos` command line as a user's client.

Software releases are paths of a temporary folder: the command looks for a schema beside each, which must not be a download.
Everything but what is marked `slapledger_only` also passes against `slapos proxy` (SLAP_PEER=slapos-proxy).
"""

import json
import os
import pathlib
import re
import shutil
import tempfile
import time
import unittest

from server import PEER, Server, binary, free_port, slapledger_only
from slap_case import SLAPOS, SlapTestCase, run_slapos


class CommandLineTestCase(SlapTestCase):
    """A fresh server, and a `slapos` that is configured for it."""

    products = {}

    def make_server(self):
        return Server(self.computer, products=self.products)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slapledger-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        super().setUp()
        self.release = str(self.folder / "software.cfg")
        self.other_release = str(self.folder / "other.cfg")
        self.config = self.folder / "slapos.cfg"
        # slapos proxy does not tell where its second interface is; Slapledger does, in getHateoasUrl.
        rest = f"master_rest_url = {self.server.url}hateoas\n" if PEER == "slapos-proxy" else ""
        self.config.write_text(f"[slapos]\nmaster_url = {self.server.url}\n{rest}")

    def run_slapos(self, *arguments, stdin="", config=True):
        """Runs `slapos` in a clean environment; (status, standard output, standard error)."""
        if config:
            position = len(arguments) if "--" not in arguments else arguments.index("--")
            arguments = (*arguments[:position], "--cfg", str(self.config), *arguments[position:])
        return run_slapos(self.folder, *arguments, stdin=stdin)

    def slapos(self, *arguments, **more):
        """What `slapos` printed; it must succeed."""
        status, output, errors = self.run_slapos(*arguments, **more)
        if status != 0:
            self.fail(f"slapos {' '.join(arguments)} ended with {status}\n{output}\n{errors}")
        return output + errors

    def slapos_json(self, *arguments):
        """What `slapos` printed, as JSON."""
        status, output, errors = self.run_slapos(*arguments)
        self.assertEqual(status, 0, errors)
        return json.loads(output)

    def assertRefused(self, text, *arguments, **more):
        """`slapos` fails and says why."""
        status, output, errors = self.run_slapos(*arguments, **more)
        self.assertNotEqual(status, 0, output + errors)
        self.assertIn(text, output + errors)

    def softwares(self, computer=None):
        return {release.getURI(): release.getState() for release in self.node(computer).getSoftwareReleaseList()}


class Supply(CommandLineTestCase):
    """`slapos supply` and `slapos remove`."""

    products = {"hello": "/srv/hello/software.cfg"}

    def test_supply_and_remove(self):
        self.slapos("supply", self.release, self.computer)
        self.slapos("supply", self.other_release, self.computer)
        self.assertEqual(self.softwares(), {self.release: "available", self.other_release: "available"})
        self.slapos("remove", self.release, self.computer)
        self.assertEqual(self.softwares(), {self.release: "destroyed", self.other_release: "available"})

    def test_a_product(self):
        self.slapos("supply", "product.hello", self.computer)
        self.assertEqual(self.softwares(), {"/srv/hello/software.cfg": "available"})
        self.assertRefused("No Software Release corresponding", "supply", "product.unheard-of", self.computer)

    @slapledger_only
    def test_an_unknown_computer_is_refused(self):
        self.assertRefused("COMP-404", "supply", self.release, "COMP-404")


class Request(CommandLineTestCase):
    """`slapos request` with its options."""

    def seen(self, partition_id="slappart0", computer=None):
        """(state, software type, own parameters) as the node sees them."""
        partition = self.node_partitions(computer)[partition_id]
        parameters = partition.getInstanceParameterDict()
        return partition.getState(), parameters["slap_software_type"], self.own_parameters(partition_id)

    def test_without_room_and_with(self):
        self.assertRefused("NotFoundError", "request", "one", self.release)
        self.format("slappart0")
        output = self.slapos("request", "one", self.release)
        self.assertIn("State is : started.", output)
        self.assertIn("{}", output)
        self.node_partition("slappart0").setConnectionDict({"url": "http://[::1]:80/?a=<b>&c"})
        self.assertIn("'url': 'http://[::1]:80/?a=<b>&c'", self.slapos("request", "one", self.release))

    def test_type_parameters_and_state(self):
        self.format("slappart0")
        arguments = ["request", "one", self.release, "--type", "big", "--parameters", "a=1", "text=x<y&z é=="]
        self.assertIn("State is : stopped.", self.slapos(*arguments, "--state", "stopped"))
        wanted = {"a": "1", "text": "x<y&z é=="}
        self.assertEqual(self.seen(), ("stopped", "big", wanted))
        self.slapos(*arguments)  # without a state: it stays
        self.assertEqual(self.seen(), ("stopped", "big", wanted))
        self.slapos(*arguments, "--state", "started")
        self.slapos("request", "one", self.release, "--type", "small", "--parameters", "a=2")
        self.assertEqual(self.seen(), ("started", "small", {"a": "2"}))
        self.slapos("request", "one", self.release, "--type", "small", "--state", "destroyed")
        self.assertEqual(self.seen()[0], "destroyed")

    def test_node(self):
        self.format("slappart0")
        self.format("slappart0", computer="COMP-2")
        self.slapos("request", "one", self.release, "--node", "computer_guid=COMP-2")
        self.assertEqual(self.node_partitions("COMP-2")["slappart0"].getState(), "started")
        self.assertEqual(self.node_partition("slappart0").getState(), "destroyed")
        status, *_ = self.run_slapos("request", "two", self.release, "--node", "computer_guid=COMP-404")
        self.assertNotEqual(status, 0)

    def test_parameters_in_files(self):
        self.format("slappart0", "slappart1")
        values = {"list": [1, "zwei", None], "text": "é <&>"}
        (self.folder / "software.cfg.json").write_text(json.dumps({
            "name": "hello", "description": "hello", "serialisation": "json-in-xml",
            "software-type": {"default": {"title": "hello", "request": "request.json", "response": "response.json",
                                          "index": 0}}}))
        (self.folder / "request.json").write_text(json.dumps({"type": "object"}))
        for name, content in (("values.json", json.dumps(values)), ("values.yaml", json.dumps(values))):
            with self.subTest(name):
                (self.folder / name).write_text(content)
                self.slapos("request", name, self.release, "--parameters-file", str(self.folder / name))
                partition_id = self.request(name, {"_": json.dumps(values, indent=2)}, software=self.release).getId()
                (value,) = self.own_parameters(partition_id).values()
                self.assertEqual(json.loads(value), values)
                partition = self.node_partition(partition_id)
                partition.setConnectionDict({"_": json.dumps({"port": 8080, "of": name})})
                shown = self.slapos("request", name, self.release, "--parameters-file", str(self.folder / name))
                self.assertIn("'port': 8080", shown)
                self.assertEqual(self.slapos_json("service", "info", name)["connection-parameters"],
                                 {"port": 8080, "of": name})

    def test_shared(self):
        self.format("slappart0")
        arguments = ["request", "shared one", self.release, "--slave", "--type", "host", "--parameters", "size=5"]
        status, *_ = self.run_slapos(*arguments)
        self.assertNotEqual(status, 0, "there is no host")
        self.slapos("request", "host", self.release, "--type", "host")
        self.slapos(*arguments)
        host = self.node_partition("slappart0")
        (shared,) = host.getInstanceParameterDict()["slave_instance_list"]
        self.assertEqual((shared["slave_reference"], shared["size"]), ("_shared one", "5"))
        host.setConnectionDict({"url": "db://5"}, shared["slave_reference"])
        if PEER == "slapledger":  # slapos proxy sends no state, and what the client then asks for is the host's
            self.assertIn("'url': 'db://5'", self.slapos(*arguments))
        self.assertNotIn("db://5", self.slapos("request", "host", self.release, "--type", "host"))
        self.slapos(*arguments, "--state", "destroyed")
        self.assertEqual(self.node_partition("slappart0").getInstanceParameterDict()["slave_instance_list"], [])

    def test_an_instance_named_by_its_guid_hosts(self):
        self.format("slappart0", "slappart1")
        for title in ("first", "second"):
            self.slapos("request", title, self.release, "--type", "host")
        guid = self.request("second", software=self.release, software_type="host").getInstanceGuid()
        self.slapos("request", "shared", self.release, "--slave", "--type", "host", "--node", f"instance_guid={guid}")
        hosts = {partition_id: len(partition.getInstanceParameterDict()["slave_instance_list"])
                 for partition_id, partition in self.node_partitions().items()}
        self.assertEqual(hosts, {"slappart0": 0, "slappart1": 1})


class Service(CommandLineTestCase):
    """`slapos service list` and `slapos service info`."""

    def info(self, title):
        return self.slapos_json("service", "info", title)

    def test_list(self):
        self.assertEqual(self.slapos_json("service", "list"), {})
        self.format("slappart0", "slappart1", "slappart2")
        self.request("é <root> & 1", software=self.release)
        self.request("two", software=self.other_release).request(self.release, "default", "child")
        self.request("shared", software=self.release, shared=True)
        self.assertEqual(self.slapos_json("service", "list"),
                         {"é <root> & 1": self.release, "two": self.other_release, "shared": self.release})

    @slapledger_only
    def test_what_is_gone_is_not_listed(self):
        """slapos proxy answers 500 once a host is gone that had a shared instance."""
        self.format("slappart0")
        self.request("one", software=self.release)
        self.request("shared", software=self.release, shared=True)
        self.request("shared", software=self.release, shared=True, state="destroyed")
        self.assertEqual(self.slapos_json("service", "list"), {"one": self.release})
        self.free("one", software=self.release)
        self.assertEqual(self.slapos_json("service", "list"), {})
        self.assertRefused("Instance one does not exist.", "service", "info", "one")

    def test_info(self):
        self.assertRefused("Instance one does not exist.", "service", "info", "one")
        self.format("slappart0", "slappart1")
        root = self.request("one", {"a": "x<y&z"}, software=self.release, software_type="big", state="stopped")
        root.request(self.release, "default", "child")
        self.assertRefused("Instance child does not exist.", "service", "info", "child")
        self.node_partition(root.getId()).setConnectionDict({"url": "http://é/?<&>"})
        info = self.info("one")
        self.assertIn(info.pop("status"), ("unsupported", "none", "green", "red", "orange"))
        self.assertEqual(info, {
            "software-url": self.release, "software-type": "big", "shared": False, "requested-state": "stopped",
            "instance-parameters": {"a": "x<y&z"}, "connection-parameters": {"url": "http://é/?<&>"}})

    def test_info_of_a_shared_instance(self):
        self.format("slappart0")
        self.request("host", software=self.release)
        self.request("shared", {"size": "5"}, software=self.release, shared=True)
        (shared,) = self.node_partition("slappart0").getInstanceParameterDict()["slave_instance_list"]
        self.node_partition("slappart0").setConnectionDict({"url": "db://5"}, shared["slave_reference"])
        info = self.info("shared")
        self.assertEqual((info["shared"], info["software-url"], info["instance-parameters"],
                          info["connection-parameters"]), (True, self.release, {"size": "5"}, {"url": "db://5"}))


class Computers(CommandLineTestCase):
    """`slapos computer list`, `info` and `token`."""

    def test_list(self):
        self.format("slappart0")
        self.format("slappart0", computer="COMP-2")
        lines = self.slapos("computer", "list").splitlines()
        self.assertEqual(lines[0], "List of Computers:")
        self.assertEqual(sorted(lines[1:]), ["COMP-1 COMP-1", "COMP-2 COMP-2"])

    def test_info(self):
        self.format("slappart0", computer="COMP-2")
        self.assertEqual(self.slapos("computer", "info", "COMP-2").splitlines(),
                         ["Computer Reference: COMP-2", "Computer Title    : COMP-2"])
        status, output, errors = self.run_slapos("computer", "info", "COMP-404")
        self.assertEqual(status, 2)
        self.assertIn("COMP-404 does not exist", output + errors)

    @slapledger_only
    def test_token(self):
        tokens = {re.fullmatch(r"Computer token: (\S+)\n?", self.slapos("computer", "token")).group(1)
                  for _ in range(2)}
        self.assertEqual(len(tokens), 2, "a token is used once")


class Console(CommandLineTestCase):
    """`slapos console`: the lines of its own documentation."""

    products = {"kvm": "/srv/kvm/software.cfg"}

    def test_lines_from_standard_input(self):
        self.format("slappart0", "slappart1")
        output = self.slapos("console", "--python", stdin="\n".join([
            f"mysql = {self.release!r}",
            "supply(product.kvm, 'COMP-1')",
            "kvm_instance = request(product.kvm, 'i1')",
            "mysql_instance = request(mysql, 'i2', partition_parameter_kw={'size': '5'})",
            "print('at', kvm_instance.getId(), mysql_instance.getId(), mysql_instance.getState())",
            "slap.registerComputer('COMP-1').getComputerPartitionList()[0].setConnectionDict({'url': 'http://kvm'})",
            "print('url', request(product.kvm, 'i1').getConnectionParameter('url'))",
            "request(mysql, 'i3')",
            "",
        ]))
        self.assertIn("at slappart0 slappart1 started", output)
        self.assertIn("url http://kvm", output)
        self.assertIn("NotFoundError", output)  # there is no room for i3
        self.assertEqual(self.softwares(), {"/srv/kvm/software.cfg": "available"})
        self.assertEqual(self.own_parameters("slappart1"), {"size": "5"})

    def test_a_script_with_arguments(self):
        self.format("slappart0")
        script = self.folder / "script.py"
        script.write_text("import sys\ninstance = request(sys.argv[1], 'one')\n"
                          "print(instance.getInstanceGuid(), instance.getInstanceParameterDict()['timestamp'])\n"
                          "print(getInformation('one')._software_release_url)\n")
        output = self.slapos("console", str(script), self.release)
        self.assertIn(f"COMP-1-slappart0 {self.timestamp('slappart0')}\n", output)
        self.assertIn(f"{self.release}\n", output)


class Configure(CommandLineTestCase):
    """`slapos configure`, as far as a master without identities goes."""

    def test_client_gets_no_certificate(self):
        """There is nobody to be known: the command says so and leaves no half of a configuration."""
        fresh = self.folder / "fresh" / "client.cfg"
        status, output, errors = self.run_slapos(
            "configure", "client", "--master-url", self.server.url, "--master-url-web", self.server.url.rstrip("/"),
            "--token", "any", "--cfg", str(fresh), config=False)
        self.assertNotEqual(status, 0)
        self.assertIn("404", output + errors)
        self.assertEqual(list(fresh.parent.iterdir()), [])

    @slapledger_only
    @unittest.skipUnless(os.getuid() == 0, "slapos configure local runs as root alone")
    def test_local(self):
        """The command makes a node of this machine; where it would start slapos proxy, Slapledger starts."""
        home, port = self.folder / "home", free_port()
        (home / "bin").mkdir(parents=True)
        root = pathlib.Path(tempfile.mkdtemp(prefix="sl-"))  # short: it holds a Unix socket
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        config = self.folder / "etc" / "slapos.cfg"
        (self.folder / "definition.cfg").write_text("[computer]\naddress = 127.0.0.1/255.255.255.255\n" + "".join(
            f"[partition_{n}]\naddress = 127.0.0.1/255.255.255.255\npathname = slappart{n}\nuser = nobody\n"
            "network_interface =\n" for n in range(2)))
        # The command runs <home>/bin/slapos for the proxy, and for a format before and one after the proxy is started.
        # The format here leaves users and network of the machine alone.
        (home / "bin" / "slapos").write_text(
            "#!/bin/sh\n"
            f"if [ \"$1 $2\" = 'proxy start' ]; then exec {binary()} proxy --data {self.folder}/local-data "
            f"--listen 127.0.0.1:{port} --computer local_computer; fi\n"
            f"sed '/^.slapformat.$/a alter_user = false\\nalter_network = false\\n"
            f"input_definition_file = {self.folder}/definition.cfg' {config} > {self.folder}/format.cfg\n"
            f"tries=1; [ -S {root}/instance/supervisord.socket ] && tries=50\n"
            "while [ $tries -gt 0 ]; do\n"
            f"  {SLAPOS} \"$@\" --cfg {self.folder}/format.cfg && exit; tries=$((tries - 1)); sleep 0.2\n"
            "done\nexit 1\n")
        (home / "bin" / "slapos").chmod(0o755)

        def shut_down():
            self.run_slapos("node", "supervisorctl", "--cfg", str(config), "shutdown", config=False)
            deadline = time.monotonic() + 20
            while (root / "instance" / "supervisord.socket").exists() and time.monotonic() < deadline:
                time.sleep(0.1)

        self.addCleanup(shut_down)
        self.slapos("configure", "local", "--daemon-listen-port", str(port), "--partition-number", "2",
                    "--slapos-configuration-directory", str(config.parent), "--slapos-buildout-directory", str(home),
                    "--slapos-instance-root", str(root / "instance"), "--slapos-software-root", str(root / "software"),
                    config=False)
        self.config = config
        self.assertIn("local_computer local_computer", self.slapos("computer", "list"))
        self.assertIn("State is : started.", self.slapos("request", "one", self.release))
        self.assertEqual(self.slapos_json("service", "list"), {"one": self.release})


if __name__ == "__main__":
    unittest.main()
