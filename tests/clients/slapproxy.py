"""Runs slapos.core's own tests of its proxy over real HTTP, with a fresh server for each test.

The tests (`slapos.tests.test_slapproxy` and `test_slapproxy_json_rpc`, in the wheel of slapos.core) call a Flask
application in their own process. Here what they call is HTTP to a server that is started when a test first needs it.
`SLAP_PEER=slapos-proxy` runs them against the real `slapos proxy`, which shows what this way of running can reach.

Every test left out is in a table below, by name and with its reason. It is run all the same and must fail: one that
passes, or that slapos.core has no more, fails the run, and so does a class that is in no table. So does a count below
FLOOR. The last line is the count, as tests/run reads it.
"""

import argparse
import concurrent.futures
import configparser
import contextlib
import fcntl
import http.client
import importlib
import logging
import os
import pathlib
import re
import sqlite3
import sys
import tempfile
import time
import unittest
import urllib.parse
from unittest import mock

import werkzeug.test
from slapos.slap import NotFoundError

from server import PEER, Server

MODULES = ("slapos.tests.test_slapproxy", "slapos.tests.test_slapproxy_json_rpc")
COMPUTER = "computer"
WORKERS = 2

# At least so many of the 111 tests that are not of the command line must pass; slapos proxy, served this way, passes 99.
FLOOR = 109
COMMAND_LINE = "TestCliInformation"

# The classes that are run.
RUN = (
    "TestLoadComputerConfiguration", "TestInformation", "TestSoftwareInstallation", "TestRequest", "TestSlaveRequest",
    "TestMultiNodeSupport", "TestMultiMasterSupport", "TestMultiMasterConnectionError", COMMAND_LINE, "JsonRpcTestCase", "JsonRpcConnectionErrorTestCase", "JsonRpcExperimentalTestCase",
)

# Mixins, which hold no tests of their own.
MIXINS = ("MasterMixin", "CliMasterMixin")

# Classes that are not run, and why.
LEFT_OUT_CLASSES = {
    "TestLocalSoftwareReleaseRootPathMigration": "local_software_release_root, an option of slapos proxy's own file",
    **{f"TestMigrateVersion{version}ToLatest": "migrates a sqlite database of an older slapos proxy"
       for version in range(10, 18)},
}

# Tests of the classes above that need more than HTTP, and why.
RELAY = "slapos proxy offers to relay any address under /http_proxy; Slapledger is no relay"
LEFT_OUT = {
    "TestCliInformation.test_invalid_computer_names": "registers computers with = in their names, which are no references here",
    "TestCliInformation.test_invalid_service_names":
        "slapos proxy cannot look up titles with quotes and answers 400; Slapledger finds them",
    "TestRequest.test_request_frontend_with_secure_access": RELAY,
    "JsonRpcTestCase.test_post_v0_shared_instance__with_cdn_and_https_proxy": RELAY,
}


# Calls whose parameters slapos proxy checks by an assertion, which a test meets in its own process: a server answers 400.
ASSERTED = ("/getSoftwareReleaseListFromSoftwareProduct",)


class OverHttp:
    """A WSGI application that passes each request on to a server, which it starts for the first one. `database` is the
    path at which a test looks for the database of slapos proxy, if it does: a link to the data of the server."""

    def __init__(self, make_server):
        self.make_server = make_server
        self.database = None
        self.server = None

    def __call__(self, environ, start_response):
        if self.server is None:
            self.server = self.make_server().start()
            if self.database:
                self.database.parent.mkdir(parents=True, exist_ok=True)
                self.database.symlink_to(self.server.data)
        wait_for_the_mocked_time()
        path = "/" + urllib.parse.quote(environ["PATH_INFO"].encode("latin-1")).lstrip("/")
        if environ["QUERY_STRING"]:
            path += "?" + environ["QUERY_STRING"]
        headers = {name[5:].replace("_", "-").title(): value
                   for name, value in environ.items() if name.startswith("HTTP_")}
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(environ["REQUEST_METHOD"], path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if environ["REQUEST_METHOD"] == "GET" and answer.status == 404:
            raise NotFoundError(content.decode("utf-8", "replace"))  # as slapos.slap tells it
        if answer.status == 400 and environ["PATH_INFO"] in ASSERTED:
            raise AssertionError(content.decode("utf-8", "replace"))
        start_response(f"{answer.status} {answer.reason}", answer.getheaders())
        return [content]

    def close(self):
        """Ends the server and removes its folder; what it logged."""
        if self.server is None:
            return "(not started)"
        server, self.server = self.server, None
        try:
            server.stop()
            return server.log()
        finally:
            server.remove()


def wait_for_the_mocked_time():
    """A test that sets time.time means the server's clock; the server has a real one, which gets there."""
    if hasattr(time.time, "return_value"):
        while time.clock_gettime(time.CLOCK_REALTIME) < time.time():
            time.sleep(0.01)


def over_http(modules, make_server):
    """Turns the base class of the tests towards servers that `make_server` makes."""

    def start_proxy(test):
        test.app_config = {"software_product_list": {}, "multimaster": masters_of(test.slapos_cfg)}
        test.over_http = OverHttp(lambda: make_server(test))
        if type(test).__name__ == "TestInformation":
            test.over_http.database = pathlib.Path(test.proxy_db)
            test.addCleanup(test.over_http.database.unlink, missing_ok=True)
        test.app = werkzeug.test.Client(test.over_http)
        test.server_log = ""

        def close():
            test.server_log = test.over_http.close()

        test.addCleanup(close)

    def configure_command_line(test):
        server = make_server(test).start()

        def close():
            server.stop()
            test.server_log = server.log()
            server.remove()

        test.addCleanup(close)
        test.proxyaddr = server.url.rstrip("/")
        with open(test.slapos_cfg, "w", encoding="utf-8") as file:
            file.write(f"[slapos]\nsoftware_root = {test._rootdir}/opt/slapgrid\ninstance_root = {test._rootdir}/srv/slapgrid\n"
                       f"master_url = {test.proxyaddr}\nmaster_rest_url = {test.proxyaddr}/hateoas\ncomputer_id = {COMPUTER}\n")

    def start_nothing(test):
        test.app = modules[0].TestAppSession(test.proxyaddr)
        test.proxy_process = mock.Mock()

    modules[0].BasicMixin.startProxy = start_proxy
    modules[0].CliMasterMixin.createSlapOSConfigurationFile = configure_command_line
    modules[0].CliMasterMixin.startProxy = start_nothing


def masters_of(path):
    """The other masters that a slapos.cfg names, without those whose certificates are examples."""
    config = configparser.ConfigParser()
    config.read(path)
    masters = {}
    for name in config.sections():
        options = dict(config.items(name))
        if name.startswith("multimaster/") and os.path.exists(options.get("key", "/")):
            options["software_release_list"] = options["software_release_list"].split()
            masters[name.split("multimaster/")[1]] = options
    return masters


def read_what_was_forwarded(modules):
    """slapos proxy keeps a table of what it forwarded; what there is of it is looked up at the other master instead."""
    views = modules[0].slapos.proxy.views
    execute = views.execute_db

    def forwarded(table, query, *arguments, db=None, **more):
        if table != "forwarded_partition_request":
            return execute(table, query, *arguments, db=db, **more)
        file = pathlib.Path(db.execute("PRAGMA database_list").fetchone()[2])
        with contextlib.closing(sqlite3.connect(file.parent / "external_proxy.db")) as other:
            rows = execute("partition", "SELECT partition_reference FROM %s WHERE slap_state != 'free'"
                           " AND requested_state != 'destroyed' AND partition_reference != 'instance'", db=other)
        return [{**row, "master_url": "http://127.0.0.1:8281"} for row in rows]

    views.execute_db = forwarded


@contextlib.contextmanager
def partitions_from_the_server(modules, server):
    """A test that selects from slapos proxy's table of partitions gets what the server says of them."""
    views = modules[0].slapos.proxy.views
    execute = views.execute_db

    def partitions(table, query, arguments=(), db=None, **more):
        if table != "partition":
            return execute(table, query, arguments, db=db, **more)
        rows = list(partition_rows(server()))
        selected, order = re.fullmatch("SELECT (.*) from %s(?: where reference=\\?)?(?: order by (.*))?", query).groups()
        rows = [row for row in rows if arguments in ((), (row["reference"],))]
        if order:
            rows.sort(key=lambda row: row[order])
        names = list(rows[0]) if selected == "*" else selected.split(", ")
        return [{name: row[name] for name in names} for row in rows]

    with mock.patch.object(views, "execute_db", partitions), \
            mock.patch.object(modules[0], "sqlite_connect", lambda path: path):
        yield


def partition_rows(server):
    """The partitions of the computer as rows of that table. A free one is requested to be started there."""
    instances = {item["id"]: item for item in server.get("v1/instances", limit=1000).json()["items"]}
    for partition in server.get(f"v1/computers/{COMPUTER}").json()["partition_list"]:
        instance = instances.get(partition["instance"])
        parent = instances.get(instance["requester"]) if instance else None
        yield {
            "reference": partition["id"],
            "slap_state": "busy" if instance else "free",
            "requested_by": parent["title"] if parent else "",
            "requested_state": instance["state"] if instance else "started",
            "software_release": instance["software_release"] if instance else None,
            "partition_reference": instance["title"] if instance else None,
        }


def load():
    return [importlib.import_module(name) for name in MODULES]


def classes(modules):
    """The test classes that the modules define themselves, by name."""
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == module.__name__
    }


def names(test_class):
    """Its tests; one set to None is none."""
    return [name for name in unittest.TestLoader().getTestCaseNames(test_class) if getattr(test_class, name)]


def fresh_server(test):
    """The server of one test, with the configuration that the test has made so far."""
    config = getattr(test, "app_config", {})
    return Server(COMPUTER, products=config.get("software_product_list"), masters=config.get("multimaster"))


@contextlib.contextmanager
def one_at_a_time():
    """These tests start the other master on one port."""
    path = pathlib.Path(tempfile.gettempdir()) / "slapledger-multimaster.lock"
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # A process that the test has forked may have the file open, too.
            fcntl.flock(lock, fcntl.LOCK_UN)


def run_one(name, make_server=fresh_server):
    """Runs one test, `Class.test`; (name, seconds, what went wrong or None)."""
    modules = load()
    over_http(modules, make_server)
    class_name, test_name = name.split(".")
    alone = contextlib.nullcontext()
    if class_name == "TestMultiMasterSupport":
        read_what_was_forwarded(modules)
        alone = one_at_a_time()
    test = classes(modules)[class_name](test_name)
    if PEER != "slapos-proxy" and class_name == "TestRequest":
        alone = partitions_from_the_server(modules, lambda: test.over_http.server)
    result = unittest.TestResult()
    began = time.monotonic()
    logging.disable(logging.CRITICAL)
    try:
        with alone:
            test.run(result)
    finally:
        logging.disable(logging.NOTSET)
    wrong = [text for _, text in result.errors + result.failures] + [reason for _, reason in result.skipped]
    if wrong:
        wrong.append(f"--- log of the server\n{getattr(test, 'server_log', '')}\n---")
    return name, time.monotonic() - began, "\n".join(wrong) or None


def unlisted(modules, known):
    """Classes of the modules that `known` does not name, and names in it that they do not define."""
    there = set(classes(modules))
    return [f"{name}: a class in no table" for name in sorted(there - known)] + \
        [f"{name}: listed, but slapos.core has no such class" for name in sorted(known - there)]


def judge(outcomes, left_out, floor):
    """The failures of a run, from what went wrong (or None) by name: (passed, {name: text})."""
    failures = {}
    passed = 0
    for name, wrong in outcomes.items():
        if name in left_out:
            if wrong is None:
                failures[name] = f"left out ({left_out[name]}), but it passes"
        elif wrong is None:
            passed += 1
        else:
            failures[name] = wrong
    for name in left_out:
        if name not in outcomes:
            failures[name] = "left out, but slapos.core has no such test"
    counted = sum(wrong is None and not name.startswith(COMMAND_LINE) for name, wrong in outcomes.items())
    if counted < floor:
        failures["floor"] = f"{counted} tests passed; at least {floor} have to"
    return passed, failures


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="Class or Class.test; without any, all")
    options = parser.parse_args(arguments)
    by_class = classes(load())
    every = [f"{name}.{test}" for name in RUN if name in by_class for test in names(by_class[name])]
    chosen = [name for name in every
              if not options.names or name in options.names or name.split(".")[0] in options.names]
    left_out = {} if PEER == "slapos-proxy" else LEFT_OUT
    began = time.monotonic()
    outcomes = {}
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        for name, seconds, wrong in pool.map(run_one, chosen):
            outcomes[name] = wrong
            word = "left out" if name in left_out else "ok" if wrong is None else "FAILED"
            print(f"{word:>8} {seconds:6.2f} s  {name}" + (f": {left_out[name]}" if name in left_out else ""), flush=True)
    if options.names:
        left_out = {name: reason for name, reason in left_out.items() if name in chosen}
    passed, failures = judge(outcomes, left_out, 0 if options.names else FLOOR)
    for text in unlisted(load(), {*RUN, *MIXINS, *LEFT_OUT_CLASSES}):
        failures[text] = text
    for name, wrong in failures.items():
        print(f"\n--- {name}\n{wrong}")
    if not options.names:
        for name, reason in LEFT_OUT_CLASSES.items():
            print(f"left out: {name}: {reason}")
    print(f"{len(chosen)} tests in {time.monotonic() - began:.1f} s: {passed} passed, {len(left_out)} left out")
    print(f"COUNT {passed} passed, {len(failures)} failed, 0 skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
