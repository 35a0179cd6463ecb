"""Rating blocks nobody: what everybody else notices while thousands of groups are rated.

One customer of a first project has usage in 6,000 groups. An explanation of a line, what other prices would have cost and an
invoice run of all of that are asked for at once, again and again, while others ask for `/healthz` and write in a second
project. Prints how long those took and how much memory the program used, with the bounds that docs/benchmarks.md gives; then
leaves an explanation in the middle, and expects that the program stops rating.

A machine that is busy with other things is slower than the bounds: the drill fails when an answer is wrong, or takes so many
times its bound that it has waited for somebody's rating.
"""

import argparse
import datetime
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
from server import binary, free_port  # noqa: E402

GROUPS = 6000
BATCH = 500
# Milliseconds and mebibytes; what docs/benchmarks.md says of a machine that does nothing else.
BOUNDS = {"healthz p99": 50, "write p99": 100, "memory": 512}
# So many times a bound is no noise.
NOISE = 20
RESOURCE = "service_module/requests"

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
START, STOP = (str(TODAY + datetime.timedelta(days=days)) for days in (-1, 2))
PERIOD = f"{START}/{STOP}"

BOOK = {
    "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
    "resources": [{"resource": RESOURCE, "kind": "counter", "meter": "sum", "unit": "request", "group_by": ["region"]}],
    "rates": [{"kind": "graduated", "resource": RESOURCE, "tiers": [{"up_to": "20", "price": "0.02"}, {"price": "0.01"}]}],
}


class Person:
    """Somebody with a token, on a connection of their own."""

    def __init__(self, port, token, project=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self.fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if project:
            self.fields["Slapledger-Project"] = str(project)

    def send(self, method, path, body=None, content_type=None):
        fields = {**self.fields, "Content-Type": content_type} if content_type else self.fields
        data = body if isinstance(body, (str, type(None))) else json.dumps(body)
        self.connection.request(method, path, data, fields)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def ok(self, method, path, body=None, content_type=None):
        status, text = self.send(method, path, body, content_type)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {text[:300]}")
        return json.loads(text) if text else None


def usage(first, count, start):
    """Events of one instance, each with a value of its own of the dimension that is grouped by."""
    start, stop = start.isoformat(), (start + datetime.timedelta(seconds=1)).isoformat()
    for n in range(first, first + count):
        yield json.dumps({
            "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1", "id": f"group-{n}", "subject": "slappart0",
            "time": stop, "data": {"resource": RESOURCE, "quantity": "3", "start": start, "stop": stop,
                                   "dimensions": {"region": f"r{n}"}}})


def fill(admin):
    computer = admin.ok("POST", "/v1/computers", {"reference": "COMP-1"})["id"]
    partitions = [{"id": "slappart0", "addresses": []}]
    admin.ok("PUT", f"/v1/computers/{computer}/configuration",
             {"address": "127.0.0.1", "netmask": "255.255.255.255", "partitions": partitions})
    admin.ok("PUT", f"/v1/computers/{computer}/allocation-scope", {"scope": "open"})
    admin.ok("POST", "/v1/instances", {"software_release": "http://example.org/software.cfg", "instance_id": "grouped",
                                       "sla": {"computer_guid": computer}})
    admin.ok("POST", "/v1/price-books", BOOK)
    # Usage of a second, once there has been one.
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(milliseconds=100)
    time.sleep(1.5)
    for first in range(0, GROUPS, BATCH):
        answer = admin.ok("POST", "/v1/usage-events", "\n".join(usage(first, BATCH, start)), "application/x-ndjson")
        if answer["accepted"] != BATCH:
            raise SystemExit(f"usage was not accepted: {answer}")


def percentile(values, hundredths):
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * hundredths // 100) - 1)]


class Others:
    """Requests of others, one after the other until it is over, and how long each took."""

    def __init__(self, ask):
        self.ask, self.milliseconds, self.faults, self.over = ask, [], [], False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over:
            began = time.monotonic()
            try:
                status, text = self.ask()
                if status >= 300:
                    self.faults.append(f"{status} {text[:120]}")
            except OSError as error:
                self.faults.append(repr(error))
                return
            self.milliseconds.append(round((time.monotonic() - began) * 1000, 1))
            time.sleep(0.002)

    def end(self):
        self.over = True
        self.thread.join(60)


def judge(figures, faults):
    """What is wrong, as lines."""
    wrong = list(faults)
    for name, bound in BOUNDS.items():
        if figures[name] > bound * NOISE:
            wrong.append(f"{name}: {figures[name]}, more than {NOISE} times {bound}")
    return wrong


def memory(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(text.split("VmHWM:")[1].split()[0]) // 1024


def busy(process, seconds):
    """How much of a core the program used in this time, in percent."""
    def ticks():
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(seconds)
    return round((ticks() - before) * 100 / os.sysconf("SC_CLK_TCK") / seconds)


def rate_at_once(port, token, rounds):
    """What takes long, several times and all at once; what failed, and how long each took."""
    faults, took = [], {}

    def ask(name, method, path, body=None):
        began = time.monotonic()
        status, text = Person(port, token).send(method, path, body)
        took.setdefault(name, []).append(round((time.monotonic() - began) * 1000))
        if status >= 300 and status != 503:
            faults.append(f"{name}: {status} {text[:200]}")
        return status, text

    for _ in range(rounds):
        # A run whose documents are explained; withdrawn at the end, so that the next one can be opened.
        status, text = ask("run", "POST", "/v1/invoice-runs",
                           {"period": {"start": START, "stop": STOP}, "price_book": "standard"})
        if status >= 300:
            faults.append(f"run: {status} {text[:200]}")
            continue
        run = json.loads(text)
        invoice = run["invoices"][0]
        other = {**BOOK, "name": "dearer"}
        other["rates"] = [{**BOOK["rates"][0], "tiers": [{"price": "0.03"}]}]
        threads = [threading.Thread(target=ask, args=asked) for asked in (
            ("explanation", "GET", f"/v1/invoices/{invoice}/lines/17/explanation"),
            ("what-if", "POST", f"/v1/what-if?period={PERIOD}&against=standard", other),
            ("drafts", "GET", f"/v1/invoice-drafts?period={PERIOD}&price_book=standard"),
            ("refresh", "POST", f"/v1/invoice-runs/{run['id']}/refresh"),
        )]
        for thread in threads:
            thread.start()
        # A draft that is computed again is a draft all the time.
        while any(thread.is_alive() for thread in threads):
            ask("document", "GET", f"/v1/invoices/{invoice}")
            time.sleep(0.002)
        for thread in threads:
            thread.join()
        explained = Person(port, token).ok("GET", f"/v1/invoices/{invoice}/lines/17/explanation")
        if not explained["explanation"]["found"] or explained["line"]["amount"] != "0.06":
            faults.append(f"the explanation is another: {json.dumps(explained)[:300]}")
        if len(run["invoices"]) != 1:
            faults.append(f"{len(run['invoices'])} documents")
        ask("withdraw", "POST", f"/v1/invoice-runs/{run['id']}/withdraw")
    return faults, took


def left_in_the_middle(port, token, process):
    """Clients that ask for much and leave: the program must not go on with it."""
    path = f"/v1/invoice-drafts?period={PERIOD}&price_book=standard"
    for _ in range(4):
        person = Person(port, token)
        person.connection.request("GET", path, headers=person.fields)
        time.sleep(0.01)
        person.connection.close()
    time.sleep(0.5)
    return busy(process, 1)


def drill(program, rounds):
    with tempfile.TemporaryDirectory(prefix="rating-") as folder:
        folder = pathlib.Path(folder)
        config = folder / "serve.toml"
        config.write_text("[requests]\nmost_per_second = 100000\n", encoding="ascii")
        subprocess.run([program, "init", "--data", folder / "data", "--token-file", folder / "token"],
                       check=True, stdout=subprocess.DEVNULL)
        token, port = (folder / "token").read_text(encoding="ascii").strip(), free_port()
        with (folder / "log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [program, "serve", "--plain-http", "--config", config, "--data", folder / "data", "--listen",
                 f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=log)
        try:
            admin = Person(port, token)
            for _ in range(600):
                try:
                    if admin.send("GET", "/readyz")[0] == 200:
                        break
                except OSError:
                    admin = Person(port, token)
                time.sleep(0.05)
            other = admin.ok("POST", "/v1/projects", {"title": "Other"})["id"]
            fill(admin)
            asks, writes = Person(port, token), Person(port, token, other)
            health = Others(lambda: asks.send("GET", "/healthz"))
            write = Others(lambda: writes.send("POST", "/v1/parties", {"name": f"Party {time.monotonic_ns()}"}))
            faults, took = rate_at_once(port, token, rounds)
            health.end()
            write.end()
            figures = {"healthz p99": percentile(health.milliseconds, 99), "write p99": percentile(write.milliseconds, 99),
                       "memory": memory(process)}
            for name, times in took.items():
                print(f"  {name}: {' '.join(map(str, sorted(times)[-3:]))} ms at most")
            print(f"  healthz: {len(health.milliseconds)}, p99 {figures['healthz p99']} ms, "
                  f"most {max(health.milliseconds)} ms; bound {BOUNDS['healthz p99']} ms")
            print(f"  writes in another project: {len(write.milliseconds)}, p99 {figures['write p99']} ms, "
                  f"most {max(write.milliseconds)} ms; bound {BOUNDS['write p99']} ms")
            print(f"  memory: {figures['memory']} MiB at most; bound {BOUNDS['memory']} MiB")
            still = left_in_the_middle(port, token, process)
            print(f"  after clients left: {still} % of a core")
            if still > 50:
                faults.append(f"the program goes on for clients that left: {still} % of a core")
            return judge(figures, faults + health.faults + write.faults)
        finally:
            process.terminate()
            process.wait(60)


def planted():
    """The judge finds what it is to find."""
    good = dict.fromkeys(BOUNDS, 1)
    bad = [judge({**good, name: bound * NOISE + 1}, []) for name, bound in BOUNDS.items()]
    return not judge(good, []) and all(bad) and bool(judge(good, ["a fault"])) and percentile(range(1, 101), 99) == 99


def main():
    parser = argparse.ArgumentParser(description="Rate thousands of groups while others work.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{GROUPS} groups, {rounds} rounds", flush=True)
    wrong = drill(str(binary()), rounds)
    for line in wrong:
        print(f"  FAILED {line}")
    checked = planted()
    print("  the judge finds what is planted" if checked else "  FAILED the judge finds nothing")
    failed = int(bool(wrong)) + int(not checked)
    print(f"COUNT {2 - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
