"""What a master acknowledged while it was under load, and the check that all of it is in the log, once.

A client writes down what it sends before it sends it, and the answer when it has come. What has an answer must be in the
log exactly once; what has none may be there once or not at all, a batch of usage whole or not at all.
"""

import random
import threading
import time
import uuid

BATCH = "application/cloudevents-batch+json"
RELEASE = "https://example.org/release.cfg"
# Usage is of January 2024: past, whenever a drill is held.
JANUARY = 1704067200
PRICES = """\
name = "standard"
currency = "EUR"
valid_from = "2020-01-01T00:00:00Z"
rounding = "half_up"
[[resources]]
resource = "service_module/requests"
kind = "counter"
meter = "sum"
unit = "request"
[[rates]]
kind = "per_unit"
resource = "service_module/requests"
price = "0.01"
"""


class Journal:
    """Acknowledged and unanswered things by kind. A thing is the name by which the log tells it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.acknowledged, self.unanswered, self.refused = [], [], {}

    @classmethod
    def of(cls, acknowledged):
        """A journal of what was acknowledged, as JSON has it."""
        written = cls()
        written.acknowledged = [(kind, tuple(things)) for kind, things in acknowledged]
        return written

    def answered(self, kind, things):
        with self._lock:
            self.acknowledged.append((kind, tuple(things)))

    def unknown(self, kind, things):
        with self._lock:
            self.unanswered.append((kind, tuple(things)))

    def refusal(self, status):
        with self._lock:
            self.refused[status] = self.refused.get(status, 0) + 1

    def until_now(self):
        """A journal of what was acknowledged up to now, and nothing else: all that a copy made from now on must hold."""
        with self._lock:
            return Journal.of(self.acknowledged)

    def count(self):
        return sum(len(things) for _, things in self.acknowledged)

    def faults(self, events):
        """What is wrong with the events of a log (as `log --json` has them), in sentences."""
        found, there, last = [], {}, 0
        for event in events:
            if event["sequence"] != last + 1:
                found.append(f"sequence {event['sequence']} follows {last}")
            last = event["sequence"]
            for thing in told_by(event):
                there[thing] = there.get(thing, 0) + 1
        for kind, things in self.acknowledged:
            for thing in things:
                if there.get((kind, thing), 0) != 1:
                    found.append(f"acknowledged {kind} {thing} is in the log {there.get((kind, thing), 0)} times")
        for kind, things in self.unanswered:
            counts = {there.get((kind, thing), 0) for thing in things}
            if max(counts) > 1:
                found.append(f"{kind} {things[0]} without an answer is in the log more than once")
            if len(counts) > 1:
                found.append(f"a batch of {kind} without an answer is in the log in part")
        return found


def told_by(event):
    """The things that an event of the log is about, as a journal names them."""
    kind, data = event["type"], event["data"]
    if kind in ("UsageRecorded", "UsageSuspended"):
        yield "usage", data["id"]
    elif kind == "InstanceRequested":
        yield "instance", data["instance"]
    elif kind == "ChargeRecorded":
        yield "charge", data["charge"]
    elif kind == "InvoiceRunOpened":
        yield "run", data["run"]
    elif kind == "InvoiceFinalised":
        yield "invoice", event["stream"].split("/")[-1]


def usage(rng, computer="COMP-1", resource="service_module/requests"):
    """A CloudEvent of one hour's usage."""
    hour = JANUARY + 3600 * rng.randrange(720)
    start, stop = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (hour, hour + 3600))
    return {
        "specversion": "1.0", "type": "org.slapos.usage", "source": computer, "subject": computer, "time": stop,
        "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "data": {"resource": resource, "quantity": str(rng.randrange(1, 1000)), "start": start, "stop": stop},
    }


def prepare(server):
    """A computer, a customer and prices, without which there is nothing to bill."""
    made = (
        server.post_json("v1/computers", {"title": "drilled"}),
        server.post_json("v1/parties", {"name": "A customer", "time_zone": "UTC"}),
        server.call("POST", "v1/price-books", PRICES.encode(), "application/toml"),
    )
    for answer in made:
        if answer.status not in (200, 201):
            raise RuntimeError(f"a folder could not be prepared: {answer!r}")


class Client:
    """One client: sends a thing after the other and writes down what it was answered. Stops when the server is gone."""

    def __init__(self, server, journal, seed):
        self.server, self.journal, self.rng = server, journal, random.Random(seed)

    def send(self, kind, sent, things, path, body, content_type="application/json", named=None):
        """Sends one request. `sent` is what the log would tell of it if no answer comes, `things` what it tells once
        there is one, read from the answer by `named`. True if it was carried out."""
        try:
            answer = self.server.post_json(path, body, content_type)
        except OSError:
            if sent:
                self.journal.unknown(kind, sent)
            raise
        if answer.status in (200, 201, 202):
            self.journal.answered(kind, named(answer.json()) if named else things)
            return answer.json()
        if answer.status >= 500 and sent:
            # A fault says nothing about what was written.
            self.journal.unknown(kind, sent)
        self.journal.refusal(answer.status)
        return None

    def usage(self, size=None):
        events = [usage(self.rng) for _ in range(size or self.rng.choice((1, 3, 20)))]
        ids = [event["id"] for event in events]
        return self.send("usage", ids, ids, "v1/usage-events", events, BATCH)

    def instance(self):
        name = f"i-{self.rng.getrandbits(64):x}"
        return self.send("instance", None, None, "v1/instances", {
            "instance_id": name, "instance_type": "production", "software_release": RELEASE, "owner": "PARTY-2",
            "parameters": {"text": f"{self.rng.getrandbits(800):x}"},
        }, named=lambda answer: [answer["id"]])

    def charge(self):
        return self.send("charge", None, None, "v1/charges", {
            "customer": "PARTY-2", "currency": "EUR", "amount": f"{self.rng.randrange(1, 99)}.37",
            "description": f"c-{self.rng.getrandbits(64):x}",
        }, named=lambda answer: [answer["id"]])

    def invoice(self):
        """A charge, a run over one month of its own, and its invoices."""
        if not self.charge():
            return None
        # Every run is of a past month that no other run was of; of so many, none comes twice.
        month = self.rng.randrange(1000 * 12, 2000 * 12)
        bounds = [f"{at // 12:04}-{at % 12 + 1:02}-01" for at in (month, month + 1)]
        run = self.send("run", None, None, "v1/invoice-runs", {"period": dict(zip(("start", "stop"), bounds))},
                        named=lambda answer: [answer["id"]])
        return run and self.send("invoice", None, None, f"v1/invoice-runs/{run['id']}/finalise", {},
                                 named=lambda answer: answer["invoices"])

    def once(self):
        """A little of everything."""
        for step in (self.usage, self.instance, self.charge, self.usage, self.invoice, self.usage):
            step()


class Load:
    """Clients that send until they are told to stop or the server is gone."""

    def __init__(self, server, journal, seed, clients=3):
        self.over = threading.Event()
        self.clients = [Client(server, journal, f"{seed}/{number}") for number in range(clients)]
        self.threads = [threading.Thread(target=self._run, args=(client,), daemon=True) for client in self.clients]
        self.faults = []

    def _run(self, client):
        steps = (client.usage, client.usage, client.usage, client.instance, client.charge, client.invoice)
        while not self.over.is_set():
            try:
                client.rng.choice(steps)()
            except OSError:
                return
            except (KeyError, ValueError) as error:
                self.faults.append(f"a client did not understand an answer: {error!r}")
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
