"""The tests' own tools, checked: each one must find a planted failure."""

import http.server
import io
import threading
import unittest

import run
import server
import slapproxy
from slap_case import SlapTestCase


class Planted(unittest.TestCase):
    """Not run by itself: one test of each kind."""

    def good(self):
        pass

    def failed(self):
        self.fail("planted")

    def broken(self):
        raise RuntimeError("planted")

    def failed_twice_in_sub_tests(self):
        for n in range(2):
            with self.subTest(n):
                self.fail("planted")

    def skipped(self):
        self.skipTest("planted")

    @unittest.expectedFailure
    def unexpectedly_good(self):
        pass


class Runner(unittest.TestCase):
    """run.py counts every kind of end."""

    def last_lines(self, *names):
        stream = io.StringIO()
        status = run.report(unittest.TestSuite(Planted(name) for name in names), stream)
        return status, stream.getvalue().splitlines()

    def test_green(self):
        status, lines = self.last_lines("good", "good", "skipped")
        self.assertEqual((status, lines[-1]), (0, "COUNT 2 passed, 0 failed, 1 skipped"))
        self.assertEqual(lines[-2], "SKIPPED test_planted.Planted.skipped: planted")

    def test_planted_failures(self):
        for name in ("failed", "broken", "failed_twice_in_sub_tests", "unexpectedly_good"):
            with self.subTest(name):
                status, lines = self.last_lines("good", name)
                self.assertEqual((status, lines[-1]), (1, "COUNT 1 passed, 1 failed, 0 skipped"))

    def test_nothing_to_run_is_a_failure(self):
        self.assertEqual(self.last_lines()[0], 1)


class WrongServer(http.server.BaseHTTPRequestHandler):
    """Answers everything with 200 and nothing."""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


class SlapProxyRunner(unittest.TestCase):
    """slapproxy.py finds a wrong answer, and a table that is not true."""

    outcomes = {"A.good": None, "A.bad": "went wrong"}

    def judge(self, left_out, floor=0):
        passed, failures = slapproxy.judge(self.outcomes, left_out, floor)
        return passed, sorted(failures)

    def test_judge(self):
        self.assertEqual(self.judge({}), (1, ["A.bad"]))
        self.assertEqual(self.judge({"A.bad": "why"}), (1, []))
        self.assertEqual(self.judge({"A.bad": "why", "A.good": "why"}), (0, ["A.good"]))
        self.assertEqual(self.judge({"A.bad": "why", "A.gone": "why"}), (1, ["A.gone"]))
        self.assertEqual(self.judge({"A.bad": "why"}, floor=2), (1, ["floor"]))

    def test_a_class_in_no_table_and_one_that_is_gone(self):
        modules = slapproxy.load()
        there = set(slapproxy.classes(modules))
        self.assertEqual(slapproxy.unlisted(modules, there), [])
        self.assertEqual(len(slapproxy.unlisted(modules, there - {"TestRequest"})), 1)
        self.assertEqual(len(slapproxy.unlisted(modules, there | {"TestGone"})), 1)

    def test_a_wrong_server_is_found(self):
        wrong = http.server.ThreadingHTTPServer(("127.0.0.1", 0), WrongServer)
        threading.Thread(target=wrong.serve_forever, daemon=True).start()
        self.addCleanup(wrong.server_close)
        self.addCleanup(wrong.shutdown)

        class Started(server.Server):
            def start(self):
                self.port = wrong.server_port
                return self

        for name in ("TestLoadComputerConfiguration.test_loadComputerConfigurationFromXML_keep_partitions",
                     "TestInformation.test_getComputerInformation_wrong_computer",
                     "TestSlaveRequest.test_slave_request_no_corresponding_partition",
                     "TestCliInformation.test_computer_list",
                     "JsonRpcTestCase.test_post_v0_hateoas_url"):
            with self.subTest(name):
                _, _, wrong_answer = slapproxy.run_one(name, lambda test: Started())
                self.assertIsNotNone(wrong_answer)


class Assertions(SlapTestCase):
    """What the tests of the life lean on notices a change, and its absence."""

    def test_a_moved_timestamp_is_seen(self):
        self.format("slappart0")
        partition_id = self.request("one", {"a": "b"}).getId()
        with self.assertRaises(AssertionError), self.unchanged(partition_id):
            self.request("one", {"a": "c"})
        with self.assertRaises(AssertionError), self.changed(partition_id):
            self.request("one", {"a": "c"})

    def test_a_wrong_status_is_seen(self):
        with self.assertRaises(AssertionError):
            self.assertStatus(self.server.get("noSuchThing"), 200, 500)
        with self.assertRaises(AssertionError):
            self.assertProblem(server.Answer(404, self.server.get("noSuchThing").headers, b"{}"), 400)

    def test_a_server_that_does_not_start_is_seen(self):
        class Broken(server.Server):
            def command(self):
                return ["false"]

        broken = Broken()
        self.addCleanup(broken.remove)
        with self.assertRaises(RuntimeError):
            broken.start()


if __name__ == "__main__":
    unittest.main()
