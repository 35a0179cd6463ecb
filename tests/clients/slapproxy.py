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
FLOOR = 103
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
LOOKS_FOR_THE_DATABASE = "looks for the file of slapos proxy's sqlite database"
READS_THE_DATABASE = "reads slapos proxy's sqlite database"
RAISED_IN_PROCESS = "expects an AssertionError raised in its own process; over HTTP the answer is a 400"
RELAY = "slapos proxy offers to relay any address under /http_proxy; Slapledger is no relay"
LEFT_OUT = {
    "TestCliInformation.test_invalid_computer_names": "registers computers with = in their names, which are no references here",
    "TestCliInformation.test_invalid_service_names":
        "slapos proxy cannot look up titles with quotes and answers 400; Slapledger finds them",
    "TestInformation.test_getComputerInformation": LOOKS_FOR_THE_DATABASE,
    "TestInformation.test_getFullComputerInformation": LOOKS_FOR_THE_DATABASE,
    "TestInformation.test_getSoftwareReleaseListFromSoftwareProduct_bothParameter": RAISED_IN_PROCESS,
    "TestInformation.test_getSoftwareReleaseListFromSoftwareProduct_noParameter": RAISED_IN_PROCESS,
    "TestRequest.test_destroy_child_partition": READS_THE_DATABASE,
    "TestRequest.test_destroy_partition": READS_THE_DATABASE,
    "TestRequest.test_request_frontend_with_secure_access": RELAY,
    "JsonRpcTestCase.test_post_v0_shared_instance__with_cdn_and_https_proxy": RELAY,
}


class OverHttp:
    """A WSGI application that passes each request on to a server, which it starts for the first one."""

    def __init__(self, make_server):
        self.make_server = make_server
        self.server = None

    def __call__(self, environ, start_response):
        if self.server is None:
            self.server = self.make_server().start()
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
