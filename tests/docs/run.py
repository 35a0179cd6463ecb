"""Runs each fenced command of README.md and docs/*.md against the built program, in their order, in an empty folder.

document.py says how blocks are marked. The documents have a network of their own, in which their ports are free and
master.example.com is this machine. `SOURCES` is the folder of the sources, for the comments before blocks. The last lines count the commands, as tests/run
reads them; a skipped one is named with its reason, and is no skipped test: its reason is part of the document.

    tests/docs/run.py [--without DOCUMENT]... [DOCUMENT]...
"""

import argparse
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "storage"))
sys.path.insert(0, str(ROOT / "tests" / "clients"))
import folder  # noqa: E402
from document import Document  # noqa: E402
from program import Program  # noqa: E402

SECONDS = 180
# What a server prints when it serves.
SERVING = "serving "
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
# Names that documents give to a master, which is on this machine here.
HOSTS = "127.0.0.1 localhost master.example.com\n::1 localhost\n"
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
# Runs a command with the variables and in the folder that the one before left.
SHELL = """
cd "$(cat "$STATE/folder")" || exit 1
. "$STATE/variables"
eval "$COMMAND"
status=$?
unset COMMAND
export -p >"$STATE/variables"
pwd >"$STATE/folder"
exit $status
"""


def own_network(hosts):
    """Gives this process loopback alone, and the names of documents for it, if it may."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNS | CLONE_NEWNET | (0 if user == 0 else CLONE_NEWUSER)
    if libc.unshare(flags) != 0:
        return False
    if user != 0:
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    hosts.write_text(HOSTS)
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or libc.mount(bytes(hosts), b"/etc/hosts", None, MS_BIND, None):
        raise OSError(ctypes.get_errno(), "mount /etc/hosts")
    with socket.socket() as any_socket:
        request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        (up,) = struct.unpack_from("H", request, 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", up | IFF_UP))
    return True


class Place:
    """A folder in which commands run, with what is set there, and a server in the background."""

    def __init__(self, path, program, venv):
        self.path, self.server = path, None
        path.mkdir(parents=True)
        home, self.state, binaries = (path.with_name(path.name + end) for end in ("-home", "-state", "-bin"))
        for made in (home, self.state, binaries):
            made.mkdir()
        (binaries / "slapledger").symlink_to(pathlib.Path(program.path).resolve())
        search = f"{binaries}:{os.environ['PATH']}" + (f":{venv}/bin" if venv else "")
        self.environment = {
            "PATH": search, "HOME": str(home), "NO_COLOR": "1", "LANG": "C.UTF-8", "SOURCES": str(ROOT), "COLUMNS": "100",
        }
        (self.state / "folder").write_text(str(path))
        (self.state / "variables").write_text("")

    def command(self, command):
        environment = {**self.environment, "COMMAND": command, "STATE": str(self.state)}
        return {"args": ["bash", "-c", SHELL], "cwd": self.path, "env": environment, "stdin": subprocess.DEVNULL,
                "stderr": subprocess.STDOUT}

    def run(self, command):
        """The status of a command and what it printed; both outputs are one, as on a screen."""
        try:
            done = subprocess.run(stdout=subprocess.PIPE, timeout=SECONDS, check=False, **self.command(command))
        except subprocess.TimeoutExpired as late:
            return None, f"it did not end within {SECONDS} s\n" + (late.output or b"").decode(errors="replace")
        return done.returncode, done.stdout.decode(errors="replace")

    def start(self, command):
        """Starts a server; its status if it ended, and what it printed until it served."""
        self.stop()
        log = self.state / "server"
        with open(log, "wb") as output:
            self.server = subprocess.Popen(stdout=output, start_new_session=True, **self.command("exec " + command))
        deadline = time.monotonic() + SECONDS
        while True:
            text = log.read_text(errors="replace")
            lines = text.splitlines()
            # What is printed with the address is there a moment later.
            if any(line.startswith(SERVING) for line in lines):
                time.sleep(0.3)
                return 0, log.read_text(errors="replace")
            if self.server.poll() is not None:
                return self.server.returncode, text
            if time.monotonic() > deadline:
                return None, f"it did not serve within {SECONDS} s\n{text}"
            time.sleep(0.05)

    def stop(self):
        if self.server and self.server.poll() is None:
            os.killpg(self.server.pid, signal.SIGTERM)
            try:
                self.server.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.server.pid, signal.SIGKILL)
                self.server.wait()
        self.server = None


class Runner:
    """Runs the blocks of one document and counts its commands."""

    def __init__(self, name, program, ledger, venv, stream):
        self.name, self.program, self.ledger, self.venv, self.stream = name, program, ledger, venv, stream
        self.passed, self.failed = 0, 0

    def say(self, word, line, text):
        print(f"{word:>7}  {self.name}:{line}: {text}", file=self.stream, flush=True)

    def run(self, text, folder_of_all):
        document = Document(text)
        for fault in document.faults:
            self.failed += 1
            print(f" FAILED  {self.name}: {fault}", file=self.stream, flush=True)
        if not document.has_ledger:
            return self.run_blocks(document.blocks, Place(folder_of_all / "empty", self.program, self.venv))
        for number, (_, blocks) in enumerate(document.sections):
            if blocks:
                place = Place(folder_of_all / str(number), self.program, self.venv)
                ledger = self.ledger()
                folder.copy(ledger.data, place.path / "ledger")
                shutil.copy(ledger.token, place.path / "token")
                self.run_blocks(blocks, place)

    def run_blocks(self, blocks, place):
        served = None
        try:
            for block in blocks:
                if block.reason is not None:
                    for step in block.steps:
                        self.say("skipped", step.line, f"{step.command.splitlines()[0]} ({block.reason})")
                    continue
                if block.stops:
                    place.stop()
                if block.is_served and served is None:
                    token = place.path / "token"
                    served = self.program.serve(place.path / "ledger", token).start()
                    place.environment["SLAPLEDGER_URL"] = served.url.rstrip("/")
                    place.environment["SLAPLEDGER_TOKEN_FILE"] = str(token)
                elif not block.is_served and served is not None:
                    served.stop()
                    served = None
                    place.run("unset SLAPLEDGER_URL")
                    place.environment.pop("SLAPLEDGER_URL")
                self.run_block(block, place)
        finally:
            place.stop()
            if served is not None:
                served.stop(signal.SIGKILL)

    def run_block(self, block, place):
        for command in block.before:
            status, output = place.run(command)
            if status != 0:
                self.failed += 1
                self.say("FAILED", block.line, f"before it, {command}: {output}")
        for step in block.steps:
            is_server = block.is_background and step is block.steps[-1]
            status, output = place.start(step.command) if is_server else place.run(step.command)
            wrong = step.differences(status, output)
            self.failed += bool(wrong)
            self.passed += not wrong
            self.say("FAILED" if wrong else "ok", step.line, "\n".join([step.command, *wrong]))


def documents(names, without):
    every = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    for name in [*names, *without]:
        if name not in every:
            raise SystemExit(f"there is no {name}")
    return [name for name in names or every if name not in without]


def main(arguments, stream=sys.stdout):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="DOCUMENT")
    parser.add_argument("--without", action="append", default=[], metavar="DOCUMENT")
    parser.add_argument("--venv", help="a virtual environment with slapos.core, at the end of PATH")
    options = parser.parse_args(arguments)
    program, begun = Program(), []
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="slapledger-docs-") as temporary:
        place = pathlib.Path(temporary)
        if not own_network(place / "hosts"):
            print("SKIPPED docs: a network of its own needs root or user namespaces", file=stream)
            print("COUNT 0 passed, 0 failed, 1 skipped", file=stream)
            return 0

        def ledger():
            if not begun:
                begun.append(folder.begin(program, place / "begin", "operations"))
            return begun[0]

        for name in documents(options.names, options.without):
            runner = Runner(name, program, ledger, options.venv, stream)
            try:
                runner.run((ROOT / name).read_text(encoding="utf-8"), place / name.replace("/", "-"))
            except (OSError, RuntimeError) as error:
                runner.failed += 1
                runner.say("FAILED", 0, f"{error!r}")
            passed, failed = passed + runner.passed, failed + runner.failed
    print(f"COUNT {passed} passed, {failed} failed, 0 skipped", file=stream)
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
