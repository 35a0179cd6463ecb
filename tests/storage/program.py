"""The program under test: its commands on a data folder, and a master that serves one.

A drill never looks at the clock to know that something has happened: it waits for an answer, for the end of a process, or
for a file.
"""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
from server import Http, binary, free_port  # noqa: E402

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 60
COMMAND_TIMEOUT_SECONDS = 120


class Ended:
    """A command that has ended: its exit status, standard output as bytes, standard error as text."""

    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors

    @property
    def is_done(self):
        return self.status == 0

    @property
    def words(self):
        """All that it said to a person, on one line."""
        return " ".join((self.errors or self.output.decode(errors="replace")).split())[-400:]

    def events(self):
        """The events that `log --json` printed."""
        return [json.loads(line) for line in self.output.splitlines()]


class Program:
    """The commands of the binary. A planted program (planted.py) changes what happens around them."""

    def __init__(self, path=None):
        self.path = str(path or binary())
        self._commands = {}

    def run(self, *arguments, env=None, before=()):
        """Runs a command to its end; `before` are the words of a program that starts it."""
        done = subprocess.run(
            [*before, self.path, *map(str, arguments)], capture_output=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "NO_COLOR": "1", **(env or {})}, timeout=COMMAND_TIMEOUT_SECONDS, check=False)
        ended = Ended(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
        if "--data" in arguments:
            self.left(pathlib.Path(arguments[arguments.index("--data") + 1]), ended.status)
        if arguments[0] == "restore" and len(arguments) > 2:
            self.left(pathlib.Path(arguments[2]), ended.status)
        return ended

    def left(self, data, status):
        """Called after each process that had a data folder open. Nothing happens here; see planted.py."""

    def has(self, command):
        """Whether this binary knows the command."""
        if command not in self._commands:
            self._commands[command] = self.run(command, "--help").is_done
        return self._commands[command]

    def log(self, data, **more):
        return self.run("log", "--json", "--data", data, **more)

    def verify(self, data, *options, **more):
        return self.run("verify", "--data", data, *options, **more)

    def init(self, data, token_file, **more):
        return self.run("init", "--data", data, "--token-file", token_file, **more)

    def serve(self, data, token_file, **more):
        """A master on a data folder, not started yet."""
        return Serving(self, data, token_file, **more)


class Serving(Http):
    """A master that serves a data folder over plain HTTP on loopback; who asks shows the token."""

    def __init__(self, program, data, token_file, config=None, env=None, before=()):
        self.program, self.data, self.token_file = program, pathlib.Path(data), pathlib.Path(token_file)
        self.config, self.env, self.before = config, env or {}, list(before)
        self.log_path = self.data.with_name(self.data.name + ".server-log")
        self.process = self.port = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def open(self, request, timeout, **more):
        request.add_unredirected_header("Authorization", "Bearer " + self.token_file.read_text().strip())
        return super().open(request, timeout, **more)

    def call(self, *arguments, **more):
        try:
            return super().call(*arguments, **more)
        except http.client.HTTPException as error:
            raise OSError(f"no whole answer: {error!r}") from error

    def spawn(self):
        """Starts the process and does not wait until it answers."""
        self.port = free_port()
        command = [*self.before, self.program.path, "serve", "--data", str(self.data), "--plain-http",
                   "--listen", f"127.0.0.1:{self.port}"]
        if self.config:
            command += ["--config", str(self.config)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, "NO_COLOR": "1", **self.env})
        return self

    def is_ready(self):
        """Waits until the server is ready for requests (true) or its process has ended (false)."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while self.process.poll() is None:
            try:
                if self.get("readyz", timeout=5).status == 200:
                    return True
            except OSError:
                pass
            if time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"the server was not ready within {START_TIMEOUT_SECONDS} s\n{self.said()}")
            time.sleep(0.01)
        return False

    def start(self):
        """Starts the server, which must become ready."""
        if not self.spawn().is_ready():
            raise RuntimeError(f"the server ended with {self.process.returncode}\n{self.said()}")
        return self

    def stop(self, sign=signal.SIGTERM):
        """Ends the process; its exit status."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(sign)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise RuntimeError(f"the server did not end within {STOP_TIMEOUT_SECONDS} s\n{self.said()}") from None
        self.program.left(self.data, process.returncode)
        return process.returncode

    def said(self):
        """The end of what the server printed."""
        try:
            return self.log_path.read_text(errors="replace")[-600:]
        except OSError:
            return ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)
