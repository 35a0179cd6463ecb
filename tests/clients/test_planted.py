"""The tests' own tools, checked: each one must find a planted failure."""

import io
import unittest

import run
import server
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
