"""The log's fdatasync completes before the answer is sent: seen from outside, in the system calls."""

import re
import shutil
import subprocess
import unittest

import durability
from server import Server, slapledger_only
from slap_case import SlapTestCase, cloud_event

DATA, PORT = "/data", 5000
DB = "7</data/epochs/1/db>"
SOCKET = "12<TCP:[127.0.0.1:5000->127.0.0.1:40000]>"
ANSWER = f'1.0 writev({SOCKET}, [{{iov_base="HTTP/1.1 200 OK\\r\\n"..., iov_len=90}}], 1) = 90'
FOLDER = "10 1.0 fsync(8</data/epochs/1>) = 0"
WRITE = f'11 1.0 pwrite64({DB}, "\\1\\2"..., 4096, 0) = 4096'
SYNC = f"11 1.0 fdatasync({DB}) = 0"
# An epoch as the log makes it: under another name first.
NEW_FOLDER = "10 1.0 fsync(8</data/epochs/1.new>) = 0"
RENAME = '10 1.0 rename("/data/epochs/1.new", "/data/epochs/1") = 0'
PARENT = "10 1.0 fsync(8</data/epochs>) = 0"


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
        self.post_usage(cloud_event(self.computer, "e1", "slappart9", "service_module/requests", "1",
                                    "2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z"))
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
        epoch = re.compile(r"fsync\(\d+<[^>]*/epoch-\d+\.new>")
        self.assertRegex(trace, epoch)
        for missing in (epoch, re.compile(rf"fsync\(\d+<{re.escape(str(self.server.data))}/log>")):
            doctored = "\n".join(line for line in trace.splitlines() if not missing.search(line))
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

    def test_a_folder_is_the_same_under_its_old_name(self):
        answer = "10 " + ANSWER
        self.assertEqual(self.faults(NEW_FOLDER, RENAME, PARENT, WRITE, SYNC, answer), [])
        self.assertEqual(self.faults(RENAME, FOLDER, PARENT, WRITE, SYNC, answer), [])
        self.assertEqual(self.faults(NEW_FOLDER, WRITE.replace("1/db", "1.new/db"), RENAME, PARENT, SYNC, answer), [])
        at = RENAME.replace("rename(", "renameat2(AT_FDCWD</>, ").replace(', "/data/epochs/1")', ', AT_FDCWD</>, "/data/epochs/1", 0)')
        self.assertEqual(self.faults(NEW_FOLDER, at, PARENT, WRITE, SYNC, answer), [])
        interrupted = RENAME.replace(") = 0", " <unfinished ...>"), "10 1.0 <... rename resumed>) = 0"
        self.assertEqual(self.faults(NEW_FOLDER, *interrupted, PARENT, WRITE, SYNC, answer), [])

    def test_calls_interrupted_by_other_threads_are_understood(self):
        self.assertEqual(self.faults(
            FOLDER,
            f'11 1.0 pwrite64({DB}, "\\1"..., 4096, 0 <unfinished ...>',
            "10 1.0 write(1</dev/null>, \"x\", 1) = 1",
            "11 1.0 <... pwrite64 resumed>) = 4096",
            f"11 1.0 fdatasync({DB} <unfinished ...>",
            "10 1.0 write(1</dev/null>, \"x\", 1) = 1",
            "11 1.0 <... fdatasync resumed>) = 0",
            "10 " + ANSWER, "[pid 10] " + ANSWER, "10   " + ANSWER), [])

    def test_doctored_traces_are_refused(self):
        unfinished = f"11 1.0 fdatasync({DB} <unfinished ...>"
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
            "another file was synced": (FOLDER, WRITE, SYNC.replace("/db", "/conf"), answer),
            "another log was synced": (FOLDER, WRITE, SYNC.replace("epochs/1", "epochs/2"), answer),
            "nothing was written": (FOLDER, SYNC, answer),
            "the folder was not synced": (WRITE, SYNC, answer),
            "the renamed folder was not synced": (RENAME, PARENT, WRITE, SYNC, answer),
            "another folder was synced and renamed": (
                NEW_FOLDER, RENAME.replace('/1"', '/2"'), PARENT, WRITE, SYNC, answer),
            "the renaming failed": (
                NEW_FOLDER, RENAME.replace("= 0", "= -1 ENOTEMPTY (Directory not empty)"), PARENT, WRITE, SYNC, answer),
            "the folder above was not synced": (NEW_FOLDER, RENAME, WRITE, SYNC, answer),
            "the folder above was synced before the renaming": (NEW_FOLDER, PARENT, RENAME, WRITE, SYNC, answer),
            "the folder above was synced after the answer": (NEW_FOLDER, RENAME, WRITE, SYNC, answer, PARENT),
            "no answer": (FOLDER, WRITE, SYNC),
            "a blob": (FOLDER, '10 1.0 openat(AT_FDCWD</>, "/data/epochs/1/blobs/12", O_WRONLY|O_CREAT, 0666) = 9</x>',
                       WRITE, SYNC, answer),
        }.items():
            with self.subTest(name):
                self.assertNotEqual(self.faults(*lines), [])


if __name__ == "__main__":
    unittest.main()
