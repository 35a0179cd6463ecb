"""Counts the instructions that a server executes for each request, with callgrind.

    python3 tests/benchmarks/instructions.py PROGRAM [PROGRAM ..]

A count hardly depends on what else the machine does, so two programs can be compared while others work. Kinds of
requests, each as a client of `proxy` sends it, on one connection:

- `unchanged`: `requestComputerPartition` of an instance that exists and stays as it is
- `computer`: `getFullComputerInformation` of a computer with 100 busy partitions, from the cache
- `usage`: a post of 100 usage events that are new
- `run id`: `getRunId`, which does nothing: what stands before every route

`--keep FOLDER` keeps the profiles of the first program in `FOLDER/1` and so on (`callgrind_annotate FILE` shows them). Only the standard library is used.
"""

import argparse
import http.client
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.parse

PARTITIONS = 100
RELEASE = "http://example.com/software/benchmark/software.cfg"
NOTHING = '<marshal><dictionary id="i2"></dictionary></marshal>'
FORM = "application/x-www-form-urlencoded"
EVENTS = "application/cloudevents-batch+json"


def texts(**pairs):
    return "".join(f"<string>{key}</string><string>{value}</string>" for key, value in pairs.items())


def configuration():
    one = (
        '<dictionary id="i4"><string>address_list</string><list id="i5"><dictionary id="i6">'
        "<string>addr</string><string>10.0.0.{n}</string>"
        "<string>netmask</string><string>255.255.255.255</string></dictionary></list>"
        "<string>reference</string><string>slappart{n}</string>"
        '<string>tap</string><dictionary id="i7"><string>name</string><string>slaptap{n}</string></dictionary>'
        '<string>user</string><dictionary id="i8"><string>name</string><string>slapuser{n}</string></dictionary>'
        "</dictionary>"
    )
    partitions = "".join(one.format(n=n) for n in range(PARTITIONS))
    known = texts(address="127.0.0.1", netmask="255.255.255.255", reference="COMP-0")
    return (
        f'<marshal><dictionary id="i2">{known}<string>partition_list</string>'
        f'<list id="i3">{partitions}</list></dictionary></marshal>'
    )


def request(n):
    return {
        "software_release": RELEASE,
        "software_type": "default",
        "partition_reference": f"instance {n}",
        "partition_parameter_xml": f'<marshal><dictionary id="i2">{texts(domain="example.com", n=n)}</dictionary></marshal>',
        "filter_xml": NOTHING,
        "state": "<marshal><none/></marshal>",
        "shared_xml": "<marshal><bool>0</bool></marshal>",
    }


def usage(round_):
    events = [
        {
            "specversion": "1.0",
            "id": f"{round_}-{n}",
            "source": "COMP-0",
            "subject": f"slappart{n}",
            "type": "org.slapos.usage",
            "time": "2026-10-02T00:15:00Z",
            "data": {
                "resource": "service_module/requests",
                "quantity": "1.5",
                "start": "2026-10-02T00:00:00Z",
                "stop": "2026-10-02T00:15:00Z",
            },
        }
        for n in range(PARTITIONS)
    ]
    return json.dumps(events)


def set_clock(clock, instant):
    """In one step: the program reads it for each command."""
    new = clock.with_suffix(".new")
    new.write_text(instant)
    new.rename(clock)


class Server:
    """A program under callgrind, with a computer whose partitions are busy."""

    def __init__(self, program, folder):
        folder = pathlib.Path(folder)
        self.profile = folder / "profile"
        clock = folder / "clock"
        set_clock(clock, "2026-10-01T00:00:00Z")
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={self.profile}"]
        proxy = [program, "proxy", "--computer", "COMP-0", "--listen", "127.0.0.1:0", "--data", folder / "data"]
        self.process = subprocess.Popen(
            [*valgrind, *proxy, "--clock", clock], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        address = None
        while not address:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            address = re.search(r"127\.0\.0\.1:(\d+)", line)
        self.connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=600)
        self.post("/loadComputerConfigurationFromXML", {"xml": configuration()})
        for n in range(PARTITIONS):
            self.post("/requestComputerPartition", request(n))
        set_clock(clock, "2026-11-15T00:00:00Z")

    def ask(self, method, path, body=None, media_type=None):
        headers = {"Content-Type": media_type} if media_type else {}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert 200 <= answer.status < 300, (path, answer.status, text[:500])
        if media_type == EVENTS:
            accepted = json.loads(text)["accepted"]
            assert accepted == PARTITIONS, text[:500]
        return text

    def post(self, path, fields):
        return self.ask("POST", path, urllib.parse.urlencode(fields), FORM)

    def control(self, *arguments):
        subprocess.run(["callgrind_control", *arguments, str(self.process.pid)], check=True, capture_output=True)

    def count(self, requests, send):
        """The instructions of each of so many requests."""
        # Caches of the program are warm, and its memory is there.
        for n in range(20):
            send(n)
        before = set(self.profile.parent.glob("profile.*"))
        self.control("--instr=on")
        for n in range(20, 20 + requests):
            send(n)
        self.control("--instr=off")
        self.control("--dump")
        (dumped,) = set(self.profile.parent.glob("profile.*")) - before
        total = int(re.search(r"^totals: (\d+)", dumped.read_text(), re.M)[1])
        self.control("--zero")
        return total // requests, dumped

    def stop(self):
        self.process.kill()
        self.process.communicate()


def counts(program, requests, keep):
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        server = Server(program, folder)
        unchanged = urllib.parse.urlencode(request(7))
        kinds = {
            "run id": lambda _: server.ask("GET", "/getRunId"),
            "unchanged": lambda _: server.ask("POST", "/requestComputerPartition", unchanged, FORM),
            "computer": lambda _: server.ask("GET", "/getFullComputerInformation?computer_id=COMP-0"),
            "usage": lambda n: server.ask("POST", "/v1/usage-events", usage(n), EVENTS),
        }
        found = {}
        try:
            for kind, send in kinds.items():
                found[kind], profile = server.count(requests, send)
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / kind.replace(" ", "-")).write_bytes(profile.read_bytes())
        finally:
            server.stop()
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--requests", type=int, default=300, help="requests of each kind")
    parser.add_argument("--keep", metavar="FOLDER", type=pathlib.Path, help="where to keep the profiles")
    options = parser.parse_args()
    first = None
    for n, program in enumerate(options.programs, 1):
        keep = options.keep and options.keep / str(n)
        found = counts(program, options.requests, keep)
        first = first or found
        print(program)
        for kind, count in found.items():
            print(f"  {kind:10} {count:9,} instructions a request, {count / first[kind]:.2f} of the first")


if __name__ == "__main__":
    main()
