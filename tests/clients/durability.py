"""Reads a system-call trace of the server and says where an answer left before the log was durable.

The trace is strace's: `strace -f -ttt -yy -e trace=<TRACE>`. A call that another thread interrupts is on two lines
(`<unfinished ...>`, `<... resumed>`): it begins with the first and has completed with the second.

The log is the tail of its open epoch. A file that is made under another name and renamed when it is finished is one and the
same file under both names. It is there after a power cut if it was synced, under either name, and its folder after the
renaming. Writes of zeros make room ahead of the records: no answer rests on them.
"""

import re
from dataclasses import dataclass

# With a question mark: not every architecture has it.
TRACE = ("fdatasync,fsync,sync_file_range,sendto,sendmsg,write,writev,pwrite64,pwritev,pwritev2,openat,"
         "?rename,?renameat,renameat2")
ZEROS = re.compile(r'^\d+<[^>]*>, "(\\0)+"(\.\.\.)?,')
LINE = re.compile(r"^(?:\[pid\s+(\d+)\] |(\d+) +)?\d+\.\d+ (.*)$")
CALL = re.compile(r"^(\w+)\((.*)$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
TARGET = re.compile(r"^\d+<(.*?)>(?=[,)\s]|$)")
WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2"}
SYNCS = {"fdatasync", "fsync"}  # sync_file_range is none: it survives a killed process, not a power cut
ANSWERS = {"write", "writev", "sendto", "sendmsg"}
RENAMES = {"rename", "renameat", "renameat2"}


@dataclass
class Call:
    """One system call: the lines on which it begins and has completed (None: never), its arguments, its result."""

    name: str
    arguments: str
    began: int
    ended: int | None = None
    result: str = ""

    @property
    def target(self):
        """The path or socket behind the descriptor."""
        found = TARGET.match(self.arguments)
        return found.group(1) if found else ""

    def completed_between(self, begin, end):
        """It began after one line and had completed well before another."""
        return self.began > begin and self.ended is not None and self.ended < end and not self.result.startswith("-1")


def calls(trace):
    """The calls of a trace, in the order in which they begin."""
    found, pending = [], {}
    for number, line in enumerate(trace.splitlines()):
        match = LINE.match(line)
        if not match:
            continue
        process, text = match.group(1) or match.group(2), match.group(3)
        if resumed := RESUMED.match(text):
            call = pending.pop((process, resumed.group(1)), None)
            if call:
                call.arguments += resumed.group(2)
                call.ended, call.result = number, text.rpartition(" = ")[2]
        elif begun := CALL.match(text):
            call = Call(begun.group(1), begun.group(2), number)
            found.append(call)
            if text.endswith("<unfinished ...>"):
                call.arguments = call.arguments.removesuffix("<unfinished ...>").rstrip()
                pending[process, call.name] = call
            else:
                call.ended, call.result = number, text.rpartition(" = ")[2]
    return found


@dataclass
class Rename:
    """A file or folder that was given another name, and the call that did it."""

    old: str
    new: str
    call: Call


def renames(everything):
    """The renames of a trace that succeeded, in order."""
    found = []
    for call in everything:
        paths = re.findall(r'"([^"]*)"', call.arguments)
        if call.name in RENAMES and call.ended is not None and call.result.split()[:1] == ["0"] and len(paths) == 2:
            found.append(Rename(*paths, call))
    return found


def last_name(path, line, renamed):
    """The name that what was called `path` on a line of the trace has in the end."""
    for rename in renamed:
        if rename.call.ended > line and f"{path}/".startswith(f"{rename.old}/"):
            path = rename.new + path[len(rename.old):]
    return path


def is_answer(call, port):
    """The call that sends the first bytes of an HTTP answer from the server's port."""
    return (call.name in ANSWERS and '"HTTP/1.1 ' in call.arguments
            and re.match(rf"TCP(v6)?:\[.*:{port}->", call.target) is not None)


def faults(trace, data, port, recording):
    """What is wrong in a trace, as sentences; none means that every answer waited until the log was durable.

    `data` is the data folder, `port` the server's; `recording` are the numbers (from 0) of the answers to requests that
    must have written to the log.
    """
    everything = calls(trace)
    renamed = renames(everything)
    names = {id(call): last_name(call.target, call.began, renamed) for call in everything}

    def named(call):
        return names[id(call)]

    log = re.compile(rf"^{re.escape(str(data))}/log/epoch-\d+\.tail(\.new)?$")
    writes = [call for call in everything
              if call.name in WRITES and log.match(call.target) and not ZEROS.match(call.arguments)]
    syncs = [call for call in everything if call.name in SYNCS]
    answers = [call for call in everything if is_answer(call, port)]
    found, previous = [], -1
    if len(answers) <= max(recording):
        found.append(f"only {len(answers)} answers in the trace")
    for number, answer in enumerate(answers):
        for write in writes:
            if write.began > answer.began:
                break
            if write.ended is None or write.ended > answer.began:
                found.append(f"answer {number} left while the log was being written (line {write.began + 1})")
            elif not any(named(sync) == named(write) and sync.completed_between(write.ended, answer.began)
                         for sync in syncs):
                found.append(f"answer {number} left before the log's write of line {write.began + 1} was synced")
        if number in recording and not any(previous < write.began < answer.began for write in writes):
            found.append(f"answer {number} left though nothing was written to the log")
        for file in {named(write) for write in writes if write.began < answer.began}:
            folder = file.rpartition("/")[0]
            named_at = max((rename.call.ended for rename in renamed
                            if rename.new == file and rename.call.began < answer.began), default=-1)
            if not any(named(sync) == folder and sync.completed_between(named_at, answer.began) for sync in syncs):
                found.append(f"answer {number} left before the folder {folder} was synced: {file} may not be there")
        previous = answer.began
    for call in everything:
        if call.name == "openat" and "O_CREAT" in call.arguments and re.search(r'/blobs/[^"]', call.arguments):
            found.append(f"a file in blobs/, which nothing syncs, was made (line {call.began + 1})")
    return found
