"""What a server does while it is abused: slow clients, more connections than it can have, and bombs (bombs.py).

    tests/tls/drills.py HOST:PORT [--tls] [--pid PID] [--connections 10000] [--token-file FILE --computer COMP-1]

On loopback the connections come from many addresses (127.0.x.y), as those of many clients would. Meanwhile another client
asks again and again, each time on a new connection, and must be answered in time. A line for each check with what was
measured; the last line counts them, as tests/run reads it:

    ok      others are answered beside 10000 connections: at most 0.03 s, 214 times
    COUNT 6 passed, 0 failed, 0 skipped
"""

import argparse
import concurrent.futures
import ipaddress
import pathlib
import resource
import select
import socket
import ssl
import sys
import threading
import time

import bombs

OTHER_FILES = 100
AT_A_TIME = 4
PATIENCE_SECONDS = 30
# The beginning of a request, and of a TLS handshake whose hello has 512 bytes.
HEAD = b"GET / HTTP/1.1\r\nx: "
HANDSHAKE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


class Other(threading.Thread):
    """The client that must be answered whatever happens."""

    def __init__(self, options):
        super().__init__(daemon=True)
        self.options, self.over = options, threading.Event()
        self.longest, self.answered, self.wrong = 0.0, 0, None

    def ask(self):
        began = time.monotonic()
        with socket.create_connection(self.options.address, timeout=PATIENCE_SECONDS) as stream:
            if self.options.tls:
                stream = ssl._create_unverified_context().wrap_socket(stream)
            stream.sendall(f"GET {self.options.path} HTTP/1.1\r\nHost: drill\r\nConnection: close\r\n\r\n".encode())
            answer = stream.recv(4096)
        status = answer[9:12].decode(errors="replace")
        if not answer.startswith(b"HTTP/1.1 ") or status >= "500":
            raise OSError(f"the answer is {answer[:60]!r}")
        self.longest = max(self.longest, time.monotonic() - began)
        self.answered += 1

    def run(self):
        while not self.over.is_set():
            try:
                self.ask()
            except OSError as error:
                self.wrong = self.wrong or str(error)
            time.sleep(0.05)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def verdict(self):
        said = f"at most {self.longest:.2f} s, {self.answered} times"
        good = not self.wrong and self.answered > 0 and self.longest <= self.options.within
        return good, said + (f"; {self.wrong}" if self.wrong else "")


class Process:
    """What a server takes, as /proc tells."""

    def __init__(self, pid):
        self.folder = pathlib.Path(f"/proc/{pid}")

    def mebibytes(self):
        status = (self.folder / "status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def connections(self):
        count = 0
        for file in (self.folder / "fd").iterdir():
            try:
                count += str(file.readlink()).startswith("socket:")
            except FileNotFoundError:
                pass  # closed meanwhile
        return count


def source(options, number, share):
    """The address that a connection comes from: another one after each `share` of them."""
    host = options.address[0]
    try:
        if ipaddress.ip_address(host) in ipaddress.ip_network("127.0.0.0/8"):
            return (str(ipaddress.ip_address("127.0.1.1") + number // share), 0)
    except ValueError:
        pass  # a name
    return None


def connect(options, number, share, sends):
    stream = socket.socket()
    stream.settimeout(PATIENCE_SECONDS)
    address = source(options, number, share)
    if address:
        stream.bind(address)
    stream.connect(options.address)
    if sends:
        stream.send(sends)
    stream.setblocking(False)
    return stream


def ended(streams):
    """Those that the server has closed, or answered."""
    poll = select.poll()
    by_number = {stream.fileno(): stream for stream in streams}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(0)]


class Drills:
    def __init__(self, options):
        self.options, self.passed, self.failed = options, 0, 0
        self.process = Process(options.pid) if options.pid else None

    def check(self, name, good, said):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok     ' if good else 'FAILED '} {name}: {said}", flush=True)

    def slow(self):
        """Heads of requests, or handshakes, that never end: a byte at a time."""
        count, patience = 400, self.options.head_timeout + 5
        began, cut_off, sent = time.monotonic(), 0, 0
        sends = HANDSHAKE if self.options.tls else HEAD
        with Other(self.options) as other:
            streams = [connect(self.options, number, 100, b"") for number in range(count)]
            while streams and time.monotonic() - began < patience:
                for stream in ended(streams):
                    stream.close()
                    streams.remove(stream)
                    cut_off += 1
                for stream in streams:
                    try:
                        stream.send(sends[sent:sent + 1] or b"y")
                    except OSError:
                        pass  # the end is seen above
                sent += 1
                time.sleep(0.5)
        took = time.monotonic() - began
        for stream in streams:
            stream.close()
        self.check("slow heads are cut off", not streams, f"{cut_off} of {count} within {took:.1f} s")
        self.check("others are answered beside slow heads", *other.verdict())

    def many(self):
        """More connections than there may be, each with the beginning of a request."""
        wanted = self.options.connections
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        count = wanted if most == resource.RLIM_INFINITY else min(wanted, most - OTHER_FILES)
        before = self.process.mebibytes() if self.process else 0
        most_memory, most_connections, streams, refused = before, 0, [], 0
        with Other(self.options) as other:
            began = time.monotonic()
            for number in range(count):
                try:
                    streams.append(connect(self.options, number, 250, HANDSHAKE if self.options.tls else HEAD))
                except OSError:
                    refused += 1
                if self.process and number % 500 == 499:
                    most_memory = max(most_memory, self.process.mebibytes())
                    most_connections = max(most_connections, self.process.connections())
            took = time.monotonic() - began
            time.sleep(1)
            if self.process:
                most_memory = max(most_memory, self.process.mebibytes())
                most_connections = max(most_connections, self.process.connections())
        for stream in streams:
            stream.close()
        self.check(f"others are answered beside {count} connections", *other.verdict())
        self.check("all of them could try", count == wanted and not refused,
                   f"{len(streams)} of {wanted} in {took:.1f} s" + ("" if count == wanted else f"; ulimit -n is {most}"))
        if self.process:
            grown = most_memory - before
            self.check("memory stays bounded", grown <= self.options.most_mebibytes,
                       f"{before:.0f} MiB before, {most_memory:.0f} MiB at most, {grown:.0f} more")
            self.check("connections stay bounded", most_connections <= self.options.most_connections + OTHER_FILES,
                       f"{most_connections} sockets at most")

    def bombs(self):
        """Documents that are small as they come; several at a time, so that what they take adds up."""
        before = most = self.process.mebibytes() if self.process else 0
        wrong, count, longest = [], 0, 0.0
        with Other(self.options) as other:
            for name, path, content_type, body in bombs.bombs(self.options.computer):
                began = time.monotonic()
                try:
                    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
                        sent = [pool.submit(bombs.send, self.options, path, content_type, body) for _ in range(AT_A_TIME)]
                        statuses = {one.result() for one in sent}
                except OSError as error:
                    statuses = {str(error)}
                count, longest = count + 1, max(longest, time.monotonic() - began)
                most = max(most, self.process.mebibytes() if self.process else 0)
                if not statuses <= bombs.REFUSED:
                    wrong.append(f"{name}: {', '.join(sorted(statuses))}")
        self.check("bombs are refused", not wrong and count > 20 and longest <= self.options.within,
                   "; ".join(wrong) or f"{count} kinds, {AT_A_TIME} at a time, each within {longest:.2f} s")
        self.check("others are answered beside bombs", *other.verdict())
        if self.process:
            grown = most - before
            self.check("memory stays bounded beside bombs", grown <= self.options.most_mebibytes,
                       f"{before:.0f} MiB before, {most:.0f} MiB at most, {grown:.0f} more")

    def afterwards(self):
        with Other(self.options) as other:
            time.sleep(1)
        self.check("all is well afterwards", *other.verdict())

    def run(self):
        if self.options.token:
            self.bombs()
        self.slow()
        self.many()
        self.afterwards()
        print(f"COUNT {self.passed} passed, {self.failed} failed, 0 skipped")
        return 1 if self.failed else 0


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", type=address, metavar="HOST:PORT")
    parser.add_argument("--tls", action="store_true", help="the server speaks TLS")
    parser.add_argument("--pid", type=int, help="of the server: its memory and its sockets are looked at")
    parser.add_argument("--path", default="/", help="what the other client asks for")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--within", type=float, default=2.0, metavar="SECONDS", help="in which others must be answered")
    parser.add_argument("--head-timeout", type=float, default=10.0, metavar="SECONDS", help="of the server")
    parser.add_argument("--most-connections", type=int, default=4096, help="that the server may have")
    parser.add_argument("--most-mebibytes", type=float, default=256, help="that the connections may take")
    parser.add_argument("--token-file", type=pathlib.Path, help="of an admin: bombs are sent with it")
    parser.add_argument("--computer", default="COMP-1", help="one that the server knows, for bombs")
    told = parser.parse_args(arguments)
    told.token = told.token_file.read_text().strip() if told.token_file else None
    return told


def main(arguments):
    return Drills(options(arguments)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
