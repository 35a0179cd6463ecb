"""The log's fdatasync completes before the answer is sent: seen from outside, in the system calls."""

import re
import shutil
import subprocess
import unittest

import durability
from server import Server, slapledger_only
from slap_case import SlapTestCase, cloud_event

DATA, PORT = "/data", 5000
TAIL = "7</data/log/epoch-000001.tail>"
SOCKET = "12<TCP:[127.0.0.1:5000->127.0.0.1:40000]>"
ANSWER = f'1.0 writev({SOCKET}, [{{iov_base="HTTP/1.1 200 OK\\r\\n"..., iov_len=90}}], 1) = 90'
FOLDER = "10 1.0 fsync(8</data/log>) = 0"
WRITE = f'11 1.0 pwrite64({TAIL}, "\\1\\2"..., 4096, 0) = 4096'
SYNC = f"11 1.0 fdatasync({TAIL}) = 0"
# A tail as the log makes it: under another name first.
NEW_SYNC = SYNC.replace(".tail", ".tail.new")
RENAME = '10 1.0 rename("/data/log/epoch-000001.tail.new", "/data/log/epoch-000001.tail") = 0'


def can_trace():
    """Whether strace is there and allowed."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True, check=False).returncode == 0


@slapledger_only
@unittest.skipUnless(can_trace(), "strace is missing or not allowed here")
class Durability(SlapTestCase):
    """A server under strace."""

    def make_server(self):
        server = Server(self.computer)
        self.trace = server.folder / "trace"
        server.prefix = ["strace", "-f", "-ttt", "-yy", "-s", "32", "-o", str(self.trace), "-e",
                         f"trace={durability.TRACE}"]
        return server

    def test_no_answer_leaves_before_its_record_is_durable(self):
        self.format("slappart0")
        self.request("one", {"a": "b"})
        suspended = cloud_event(self.computer, "e1", "slappart9", "service_module/requests", "1",
                                "2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z")
        self.assertStatus(self.server.post_json("v1/usage-events", [suspended], "application/cloudevents-batch+json"), 422)
        self.request("one", {"a": "b"})
        self.assertEqual(self.server.stop(), 0)
        trace = self.trace.read_text(errors="replace")
        seen = [call for call in durability.calls(trace) if durability.is_answer(call, self.server.port)]
        # The last four answers: registration, request, usage, and the request again, which rests on the second.
        first = len(seen) - 4
        self.assertGreaterEqual(first, 0, trace[-4000:])
        found = durability.faults(trace, self.server.data, self.server.port, {first, first + 1, first + 2})
        self.assertEqual(found, [])
        # The same trace with syncs gone, or later than its answer, is refused.
        self.assertRegex(trace, r'rename\("[^"]*/epoch-\d+\.tail\.new"')
        folder = re.compile(rf"fsync\(\d+<{re.escape(str(self.server.data))}/log>")
        self.assertRegex(trace, folder)
        doctored = "\n".join(line for line in trace.splitlines() if not folder.search(line))
        self.assertNotEqual(durability.faults(doctored, self.server.data, self.server.port, {first}), [])
        self.assertNotEqual(
            durability.faults(without_syncs(trace), self.server.data, self.server.port, {first + 1}), [])
        self.assertNotEqual(
            durability.faults(answers_first(trace, self.server.port), self.server.data, self.server.port, {first + 1}), [])


def without_syncs(trace):
    """The trace with every fdatasync called sync_file_range, as sled's own flush does."""
    return trace.replace(" fdatasync(", " sync_file_range(").replace("<... fdatasync resumed>",
                                                                     "<... sync_file_range resumed>")


def answers_first(trace, port):
    """The trace with the last recording's syncs moved behind the answer that they belong to."""
    lines = trace.splitlines()
    answers = [call.began for call in durability.calls(trace) if durability.is_answer(call, port)]
    begin, end = answers[-3], answers[-2]  # the window of the usage post
    moved = [line for line in lines[begin + 1:end] if "fdatasync" in line]
    kept = [line for line in lines[begin + 1:end] if "fdatasync" not in line]
    return "\n".join(lines[:begin + 1] + kept + [lines[end]] + moved + lines[end + 1:])


class Checker(unittest.TestCase):
    """The reader of traces: right ones pass, each doctored one is refused."""

    def faults(self, *lines, recording=(0,)):
        return durability.faults("\n".join(lines), DATA, PORT, set(recording))

    def test_a_right_trace_passes(self):
        self.assertEqual(self.faults(FOLDER, WRITE, SYNC, "10 " + ANSWER), [])

    def test_a_file_is_the_same_under_its_old_name(self):
        answer = "10 " + ANSWER
        new_write = WRITE.replace(".tail", ".tail.new")
        self.assertEqual(self.faults(RENAME, FOLDER, WRITE, SYNC, answer), [])
        self.assertEqual(self.faults(new_write, NEW_SYNC, RENAME, FOLDER, answer), [])
        self.assertEqual(self.faults(new_write, RENAME, FOLDER, SYNC, answer), [])
        at = RENAME.replace("rename(", "renameat2(AT_FDCWD</>, ").replace('.tail")', '.tail", 0)').replace(
            ', "/data/log/epoch-000001.tail"', ', AT_FDCWD</>, "/data/log/epoch-000001.tail"')
        self.assertEqual(self.faults(new_write, NEW_SYNC, at, FOLDER, answer), [])
        interrupted = RENAME.replace(") = 0", " <unfinished ...>"), "10 1.0 <... rename resumed>) = 0"
        self.assertEqual(self.faults(new_write, NEW_SYNC, *interrupted, FOLDER, answer), [])

    def test_room_that_is_made_ahead_is_no_record(self):
        zeros = f'11 1.0 pwrite64({TAIL}, "\\0\\0\\0"..., 262144, 0) = 262144'
        self.assertEqual(self.faults(FOLDER, WRITE, SYNC, zeros, "10 " + ANSWER), [])
        self.assertNotEqual(self.faults(FOLDER, zeros, SYNC, "10 " + ANSWER), [], "nothing was written")

    def test_calls_interrupted_by_other_threads_are_understood(self):
        self.assertEqual(self.faults(
            FOLDER,
            f'11 1.0 pwrite64({TAIL}, "\\1"..., 4096, 0 <unfinished ...>',
            "10 1.0 write(1</dev/null>, \"x\", 1) = 1",
            "11 1.0 <... pwrite64 resumed>) = 4096",
            f"11 1.0 fdatasync({TAIL} <unfinished ...>",
            "10 1.0 write(1</dev/null>, \"x\", 1) = 1",
            "11 1.0 <... fdatasync resumed>) = 0",
            "10 " + ANSWER, "[pid 10] " + ANSWER, "10   " + ANSWER), [])

    def test_doctored_traces_are_refused(self):
        unfinished = f"11 1.0 fdatasync({TAIL} <unfinished ...>"
        resumed = "11 1.0 <... fdatasync resumed>) = 0"
        answer = "10 " + ANSWER
        for name, lines in {
            "the sync comes after the answer": (FOLDER, WRITE, answer, SYNC),
            "no sync at all": (FOLDER, WRITE, answer),
            "sync_file_range is no sync": (FOLDER, WRITE, SYNC.replace("fdatasync", "sync_file_range"), answer),
            "the sync comes before the write": (FOLDER, SYNC, WRITE, answer),
            "a write follows the sync": (FOLDER, WRITE, SYNC, WRITE, answer),
            "the sync is under way": (FOLDER, WRITE, unfinished, answer, resumed),
            "the sync began before the write had completed": (
                FOLDER, unfinished, WRITE, resumed, answer),
            "the sync failed": (FOLDER, WRITE, SYNC.replace("= 0", "= -1 EIO (Input/output error)"), answer),
            "another file was synced": (FOLDER, WRITE, SYNC.replace("epoch-000001.tail", "head"), answer),
            "another log was synced": (FOLDER, WRITE, SYNC.replace("000001", "000002"), answer),
            "nothing was written": (FOLDER, SYNC, answer),
            "the folder was not synced": (WRITE, SYNC, answer),
            "the folder was not synced after the renaming": (FOLDER, RENAME, WRITE, SYNC, answer),
            "the folder was synced after the answer": (RENAME, WRITE, SYNC, answer, FOLDER),
            "what was written under another name was not synced": (
                WRITE.replace(".tail", ".tail.new"), RENAME, FOLDER, answer),
            "no answer": (FOLDER, WRITE, SYNC),
            "a blob": (FOLDER, '10 1.0 openat(AT_FDCWD</>, "/data/log/epoch-000001/blobs/12", O_WRONLY|O_CREAT, 0666) = 9</x>',
                       WRITE, SYNC, answer),
        }.items():
            with self.subTest(name):
                self.assertNotEqual(self.faults(*lines), [])


if __name__ == "__main__":
    unittest.main()
