"""The server under test: started on a free port with a temporary data folder, stopped with SIGTERM.

`SLAPLEDGER_BIN` names the binary (default: target/release/slapledger). `SLAP_PEER=slapos-proxy` starts the real
`slapos proxy` instead, to see that a test expects what slapos.core itself does.
"""

import http.client
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = os.environ.get("SLAP_PEER", "slapledger")
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 30

slapledger_only = unittest.skipIf(PEER == "slapos-proxy", "slapos proxy does not do this")


def binary():
    """Path of the slapledger binary."""
    return os.environ.get("SLAPLEDGER_BIN") or str(ROOT / "target" / "release" / "slapledger")


def free_port():
    """A port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def section(url, options):
    """The section of slapos.cfg of another master."""
    lines = [f"[multimaster/{url}]"]
    for name, value in options.items():
        if isinstance(value, list):
            value = "".join(f"\n  {line}" for line in value)
        if value is not None:
            lines.append(f"{name} = {value}")
    return "\n".join(lines) + "\n"


class Answer:
    """Status, headers and body of one HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers.get('content-type')} {self.text[:600]}>"


class Http:
    """Asks what is at `url`, without a client library, so that nothing is retried, followed or guessed."""

    def open(self, request, timeout, **more):
        return urllib.request.urlopen(request, timeout=timeout, **more)

    def call(self, method, path, body=None, content_type=None, timeout=60, **headers):
        if content_type:
            headers["Content-Type"] = content_type
        request = urllib.request.Request(self.url + path.lstrip("/"), data=body, method=method, headers=headers)
        if body is not None and content_type is None:
            request.add_unredirected_header("Content-Type", "application/octet-stream")
        try:
            with self.open(request, timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def get(self, path, timeout=60, **query):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        return self.call("GET", path, timeout=timeout)

    def post_form(self, path, **form):
        body = urllib.parse.urlencode(form).encode()
        return self.call("POST", path, body, "application/x-www-form-urlencoded")

    def post_json(self, path, value, content_type="application/json", **headers):
        return self.call("POST", path, json.dumps(value).encode(), content_type, **headers)


class Server(Http):
    """One server process and its data folder."""

    def __init__(self, computer="COMP-1", clock=None, prefix=(), products=None, masters=None):
        self.computer = computer
        self.products = products or {}
        # Other masters by address, with the options of `[multimaster/URL]`.
        self.masters = masters or {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="slapledger-test-"))
        self.data = self.folder / "data"
        self.log_path = self.folder / "server.log"
        self.clock_path = self.folder / "clock"
        self.prefix = list(prefix)
        self.has_clock = clock is not None
        self.port = None
        self.process = None
        # How slapos.slap comes to it: nobody has to say who they are.
        self.credentials = {}
        if clock:
            self.set_clock(clock)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def set_clock(self, instant):
        """Writes the server's time, an RFC 3339 instant, in one step."""
        fresh = self.clock_path.with_suffix(".new")
        fresh.write_text(instant + "\n")
        os.replace(fresh, self.clock_path)

    def command(self):
        if PEER == "slapos-proxy":
            config = self.folder / "slapos.cfg"
            products = "".join(f"\n  {product} {release}" for product, release in self.products.items())
            config.write_text(
                f"[slapos]\ncomputer_id = {self.computer}\n[slapproxy]\nhost = 127.0.0.1\nport = {self.port}\n"
                f"database_uri = {self.folder}/proxy.db\nsoftware_product_list ={products}\n"
                + "".join(section(url, options) for url, options in self.masters.items())
            )
            return [str(pathlib.Path(sys.executable).parent / "slapos"), "proxy", "start", "--cfg", str(config)]
        command = [binary(), "proxy", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}"]
        command += ["--computer", self.computer]
        for product, release in self.products.items():
            command += ["--product", f"{product}={release}"]
        if self.masters:
            config = self.folder / "slapos.cfg"
            config.write_text("".join(section(url, options) for url, options in self.masters.items()))
            command += ["--cfg", str(config)]
        if self.has_clock:
            command += ["--clock", str(self.clock_path)]
        return command

    def start(self):
        self.port = self.port or free_port()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.prefix + self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        path = "getRunId" if PEER == "slapos-proxy" else "healthz"
        while True:
            try:
                if self.get(path, timeout=5).status == 200:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"the server did not answer in {START_TIMEOUT_SECONDS} s\n{self.log()}")
            time.sleep(0.02)

    def stop(self, sign=signal.SIGTERM):
        """Ends the process group; its exit status."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            os.killpg(process.pid, sign)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise RuntimeError(f"the server did not end within {STOP_TIMEOUT_SECONDS} s\n{self.log()}") from None
        return process.returncode

    def restart(self):
        self.stop()
        return self.start()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, lines=60):
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def post_endless(self, path, content_type, size, chunked=False):
        """Sends `size` bytes until the server answers, as a client does that looks before each piece."""
        head = [
            f"POST /{path.lstrip('/')} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Type: {content_type}",
            "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}", "Connection: close", "", "",
        ]
        piece = b"x" * 65536
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall("\r\n".join(head).encode())
            sent = 0
            try:
                while sent < size and not select.select([connection], [], [], 0)[0]:
                    connection.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece[: size - sent])
                    sent += len(piece)
                if chunked and sent >= size:
                    connection.sendall(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                pass  # the answer may still be there to read
            answer = http.client.HTTPResponse(connection)
            try:
                answer.begin()
                return Answer(answer.status, answer.headers, answer.read())
            except (http.client.HTTPException, OSError) as error:
                raise AssertionError(f"no answer after {sent} bytes: {error!r}") from error


class ServerTestCase(unittest.TestCase):
    """A fresh server for each test; its log is printed when the test fails."""

    computer = "COMP-1"
    clock = None
    maxDiff = None

    def setUp(self):
        self.server = self.make_server()
        self.addCleanup(self._close)
        self.server.start()

    def make_server(self):
        return Server(self.computer, self.clock)

    def _close(self):
        failed = _failed(self)
        try:
            status = self.server.stop()
            if PEER != "slapos-proxy" and status not in (None, 0) and not failed:
                failed = True
                raise AssertionError(f"the server ended with {status} after SIGTERM")
        finally:
            if failed:
                print(f"--- log of the server, {self.id()}\n{self.server.log()}\n---", file=sys.stderr)
            self.server.remove()

    def assertStatus(self, answer, *statuses):
        """The answer has one of the statuses; its body is shown otherwise."""
        if answer.status not in statuses:
            self.fail(f"status {answer.status} instead of {' or '.join(map(str, statuses))}: {answer!r}")
        return answer


def _failed(test):
    """True when the running test, or one of its sub-tests, has failed so far."""
    result = test._outcome.result
    return any(test in (case, getattr(case, "test_case", None)) for case, _ in result.failures + result.errors)
