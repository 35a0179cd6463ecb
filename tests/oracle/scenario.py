"""From a seed, a random month and a bit around it, as a row of steps for play.py. Pure: no clock, no server.

A step is a dictionary: `at`, and either `give_back` or a call (`method`, `path`, `body`, and perhaps `keep`: the name under
which the answer is remembered). Texts may hold `{name}`, `{name.member}`: what was remembered.

Customers, computers and instances are named c0.., n0.., i0..; c0 is the local user, who also sells.
"""

import random as randomness

import random_books
import random_usage
from zones import Calendar, DAY, HOUR, SECOND, day_start, text

ZONES = ("UTC", "Europe/Paris", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Chatham",
         "America/Havana", "Australia/Lord_Howe", "America/Los_Angeles", "Asia/Tokyo")
RELEASES = tuple(f"https://example.org/{name}/software.cfg" for name in ("kvm", "web", "db"))
TYPES = ("default", "big")
CAUSES = {"E": "Exempt", "AE": "Reverse charge", "G": "Export", "K": "Intra-community supply"}


def at(year, month, day):
    return day_start(year, month, day, "UTC")


BEGIN, SEPTEMBER_END = at(2026, 9, 15), at(2026, 9, 25)
OCTOBER_RUN, NOVEMBER_RUN, DECEMBER_RUN = (at(*month, 2) + 12 * HOUR for month in ((2026, 11), (2026, 12), (2027, 1)))


def adds_up(book, resource):
    """Whether a version of a book can have a trial by quantity of a resource."""
    meters = [declared.get("meter") for declared in book["resources"] if declared["resource"] == resource]
    return bool(meters) and all(meter in ("sum", "time_integral", "count") for meter in meters)


class Scenario:
    """The steps of one seed with some features."""

    def __init__(self, seed, features):
        self.random = randomness.Random(f"slapledger oracle {seed}")
        # Apart, and in bodies of their own: voids leave all else of a seed as it is.
        self.voiding, self.voids = randomness.Random(f"slapledger oracle voids {seed}"), {}
        self.newer = randomness.Random(f"slapledger oracle newer {seed}")
        self.apart = randomness.Random(f"slapledger oracle documents {seed}")  # what came later: the rest stays as it is
        self.taxing = randomness.Random(f"slapledger oracle taxes {seed}")
        self.features = features
        self.prices = "/v1/price-books" + ("?retroactive=true" if "retroactive" in features else "")
        self.steps = []
        self.runs = [("2026-10-01", "2026-11-01", OCTOBER_RUN)]
        if "adjustments" in features:
            self.runs.append(("2026-11-01", "2026-12-01", NOVEMBER_RUN))
            if self.random.random() < 0.25:
                self.runs.append(("2026-12-01", "2027-01-01", DECEMBER_RUN))
        self.last = self.runs[-1][2]
        self.customers()
        self.computers()
        self.instances()
        self.books()
        self.usage()
        self.money()
        self.steps.sort(key=lambda step: step["at"])
        for start, stop, when in self.runs:
            self.insert_run(start, stop, when)
            self.give_back(start, stop, when)

    def has(self, feature, likely=1.0):
        return feature in self.features and self.random.random() < likely

    def step(self, when, method, path, body=None, keep=None, **more):
        self.steps.append({"at": when, "method": method, "path": path, "body": body, "keep": keep, **more})

    def instant(self, low, high):
        """A random instant, often at the begin of a second, an hour or a day."""
        unit = self.random.choice([SECOND, SECOND, HOUR, DAY, 1000])
        return max(low, self.random.randint(low, high) // unit * unit)

    # Who and where.

    def customers(self):
        self.zones = {"c0": "UTC"}
        count = self.random.randint(2, 4) if {"parties", "owner"} <= self.features else 0
        for n in range(1, count + 1):
            zone = self.zones[f"c{n}"] = self.random.choice(ZONES)
            self.step(BEGIN, "POST", "/v1/parties", {"name": f"Customer {n}", "time_zone": zone}, keep=f"c{n}")
            if self.has("zone_change", 0.3):
                when, new = self.instant(BEGIN + DAY, OCTOBER_RUN - 3 * DAY), self.random.choice(ZONES)
                self.step(when, "PATCH", f"/v1/parties/{{c{n}}}", {"time_zone": new})
        self.edges = sorted({Calendar([(0, zone)]).month_start((2026, month)) for zone in self.zones.values() for month in (10, 11)})

    def computers(self):
        self.nodes = [f"n{n}" for n in range(self.random.randint(1, 3))]
        self.regions = ["europe/france", "asia/japan"]
        for name in self.nodes:
            path = f"/v1/computers/COMP-{name}"
            self.step(BEGIN, "POST", "/v1/computers", {"reference": f"COMP-{name}"})
            self.step(BEGIN, "PUT", f"{path}/allocation-scope", {"scope": "open"})
            offered = [{"id": f"slappart{n}", "user": f"slapuser{n}"} for n in range(12)]
            self.step(BEGIN, "PUT", f"{path}/configuration", {"address": "10.0.0.1", "netmask": "255.0.0.0", "partitions": offered})
            if self.has("region", 0.8):
                moments = [BEGIN] + ([self.instant(SEPTEMBER_END, OCTOBER_RUN)] if self.random.random() < 0.4 else [])
                for when in moments:
                    self.step(when, "PATCH", path, {"attributes": {"region": self.random.choice(self.regions)}})

    def instances(self):
        self.lives = {}
        for n in range(self.random.randint(5, 10)):
            name, node = f"i{n}", self.random.choice(self.nodes)
            owner = self.random.choice([*self.zones][1:] or ["c0"])
            edge = self.random.choice(self.edges)
            start = self.random.choice([SEPTEMBER_END, edge, self.instant(SEPTEMBER_END, OCTOBER_RUN - 5 * DAY)])
            length = self.random.choice([None, None, SECOND, self.random.randint(1, 40 * 86400) * SECOND, max(SECOND, edge - start)])
            stop = None if length is None or start + length > self.last - DAY else start + length
            self.lives[name] = (node, owner, start, stop)
            body = {"software_release": self.random.choice(RELEASES), "instance_id": f"instance {n}",
                    "software_type": self.random.choice(TYPES), "instance_type": self.random.choice(["production", "testing"]),
                    "sla": {"computer_guid": f"COMP-{node}"}}
            if owner != "c0":
                body["owner"] = f"{{{owner}}}"
            self.step(start, "POST", "/v1/instances", body, keep=name)
            self.changes(name, start, stop or self.last - DAY)
            if stop:
                waits = self.random.choice([0, 0, HOUR, 6 * DAY])
                self.step(max(start, stop - waits), "DELETE", f"/v1/instances/{{{name}}}")
                self.step(stop, "POST", f"/v1/instances/{{{name}}}/reports", {"state": "destroyed"})

    def changes(self, name, start, stop):
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 4])):
            change = self.random.choice([
                {"software_release": self.random.choice(RELEASES)}, {"software_type": self.random.choice(TYPES)},
                {"instance_type": self.random.choice(["production", "testing"])}, {"parameters": {"colour": "blue"}},
                {"state": self.random.choice(["started", "stopped"])}])
            self.step(self.random.randint(start, stop - 1) if self.random.random() < 0.7 else min(self.instant(start, stop), stop - 1),
                      "PATCH", f"/v1/instances/{{{name}}}", change)

    # Prices.

    def books(self):
        values = {"software_release": RELEASES, "software_type": TYPES, "instance_type": ("production", "testing"),
                  "computer": [f"COMP-{node}" for node in self.nodes], "customer": [f"{{{name}}}" for name in self.zones],
                  "region": self.regions if "region" in self.features else (),
                  "state": ("started", "stopped") if "state" in self.features else ()}
        book = random_books.Books(self.random, self.features, values, self.newer)
        if "tax_inclusive" in self.features and self.apart.random() < 0.4:
            book.terms["tax"] = "inclusive"
        if "tax_cut" in self.features and self.taxing.random() < 0.6:
            book.terms["on_tax_change"] = "cut"
        if "zero_invoices" in self.features and self.apart.random() < 0.4:
            book.terms["zero_invoices"] = "skip"
        self.kinds = book.kinds
        first = self.random.choice([at(2026, 1, 1), at(2026, 10, 1), at(2026, 9, 20)])
        valid = [first] + [self.instant(at(2026, 9, 20), at(2026, 11, 20)) for _ in range(self.random.choice([0, 1, 1, 2, 3]))]
        if self.random.random() < 0.2:
            valid.append(self.random.choice(valid))  # the one published last counts
        version = None
        for index, start in enumerate(valid):
            late = index and self.random.random() < 0.2
            when = self.instant(BEGIN + DAY, self.last) if late else BEGIN + HOUR
            alike = version is not None and self.random.random() < 0.6
            version = book.altered(version, text(start)) if alike else book.version(text(start))
            self.step(when, "POST", self.prices, version)

        self.overrides(next(step["body"] for step in self.steps if step["path"] == self.prices))

    def overrides(self, book):
        """Prices of some customers, each made from a rate of the book."""
        newer = self.newer
        if "overrides" not in self.features:
            return
        versions = [step["body"] for step in self.steps if step["path"] == self.prices]
        # A version that restarts has neither.
        restarts = any(version.get("on_change") == "restart" for version in versions)
        rates = [rate for rate in book["rates"] if not (restarts and rate["kind"] in ("maximum", "discount"))]
        for name in self.zones:
            if newer.random() < 0.6:
                continue
            rate = {key: value for key, value in newer.choice(rates).items() if key != "match"}
            if "price" in rate:
                rate["price"] = newer.choice(random_books.PRICES)
            if "quantity" in rate.get("trial", {}) and not all(adds_up(version, rate["resource"]) for version in versions):
                del rate["trial"]
            if rate["kind"] in (*random_books.USAGE, "recurring") and newer.random() < 0.5:
                rate["match"] = {"instance_type": newer.choice(["production", "testing"])}
            start = at(2026, 9, 20) + newer.randint(0, 60 * 24) * HOUR
            stop = start + newer.randint(1, 40 * 24) * HOUR
            wanted = {"customer": self.party(name), "valid_from": text(start), "rate": rate}
            if newer.random() < 0.4:
                wanted["valid_until"] = text(stop)
            path = f"/v1/price-books/{book['name']}/overrides"
            keep = f"own {name}"
            self.step(BEGIN + 2 * HOUR, "POST", f"{path}?retroactive=true", wanted, keep=keep)
            if "valid_until" not in wanted and newer.random() < 0.4:
                when = newer.randint(BEGIN + DAY, self.last + DAY)
                self.step(when, "POST", f"{path}/{{{keep}}}/end?retroactive=true", {"valid_until": text(stop)})

    # Usage.

    def usage(self):
        batches, self.known = {}, 0
        for name, (node, _, start, stop) in self.lives.items():
            low = max(start, SEPTEMBER_END)
            high = max(low, stop or self.last - 2 * DAY)
            for kind in self.random.sample(self.kinds, self.random.randint(1, min(3, len(self.kinds)))):
                for _ in range(self.random.randint(1, 3)):
                    for begin, end in random_usage.intervals(self.random, low, high, self.edges):
                        self.report(batches, name, node, kind, begin, end)
        for when, events in sorted(batches.items()):
            self.random.shuffle(events)
            self.step(when, "POST", "/v1/usage-events", events, type="application/cloudevents-batch+json")
        for when, events in sorted(self.voids.items()):
            self.step(when, "POST", "/v1/usage-events", events, type="application/cloudevents-batch+json")

    def report(self, batches, name, node, kind, begin, end):
        """One event, perhaps twice, perhaps corrected; posted at the next half day after a delay."""
        resource, counted, _, _, names = kind
        delay = self.random.choice([0, 0, 0, HOUR, DAY, 4 * DAY])
        if "adjustments" in self.features and self.random.random() < 0.1:
            delay = self.random.choice(self.runs)[2] + self.random.randint(1, 20) * DAY - end
        event = self.event(name, node, resource, begin, end, random_usage.quantity(self.random, counted),
                           random_usage.dimensions(self.random, names))
        posted = self.post(batches, event, max(end, self.lives[name][2]) + max(0, delay))
        if "voids" in self.features and self.voiding.random() < 0.05:
            self.post(self.voids, self.void(node, event["id"]), posted + self.voiding.choice([0, DAY, 20 * DAY, 40 * DAY]))
        if self.random.random() < 0.08:
            self.post(batches, event, posted + self.random.choice([0, DAY]))
        if self.random.random() < 0.08:
            length = self.random.choice([end - begin, end - begin, max(SECOND, (end - begin) // 2)])
            better = self.event(name, node, resource, begin, begin + length, random_usage.quantity(self.random, counted),
                                random_usage.dimensions(self.random, names), replaces=event["id"])
            later = self.random.choice([DAY // 2, 2 * DAY, 20 * DAY])
            self.post(batches, better, posted + later)

    def event(self, name, node, resource, begin, end, quantity, dimensions, **more):
        self.known += 1
        subject = self.random.choice([f"{{{name}}}", f"{{{name}}}", f"{{{name}.partition}}"])
        data = {"resource": resource, "quantity": quantity, "start": text(begin), "stop": text(end), **more}
        if dimensions:
            data["dimensions"] = dimensions
        return {"specversion": "1.0", "type": "org.slapos.usage", "source": f"COMP-{node}", "id": f"e{self.known}",
                "subject": subject, "time": text(end), "data": data}

    def void(self, node, voids):
        return {"specversion": "1.0", "type": "org.slapos.usage.void", "source": f"COMP-{node}", "id": f"void {voids}",
                "data": {"voids": voids, "reason": "sent by mistake"}}

    def post(self, batches, event, when):
        """Appends to the first batch not before an instant, which is at the latest two days after the last run."""
        when = -(-when // (DAY // 2)) * (DAY // 2)
        when = min(when, self.last + 2 * DAY)
        batches.setdefault(when, []).append(event)
        return when

    # Taxes, credit, charges.

    def money(self):
        if self.has("tax", 0.7):
            for when in [at(2026, 1, 1)] + [self.instant(SEPTEMBER_END, OCTOBER_RUN) for _ in range(self.random.randint(0, 1))]:
                self.step(BEGIN, "POST", "/v1/tax-rates", {"seller": "PARTY-1", "rate": self.random.choice(["20", "7.7", "5.5"]),
                                                           "valid_from": text(when)})
            for name in self.zones:
                self.step(BEGIN, "PATCH", f"/v1/parties/{self.party(name)}", {
                    "vat_id": "FR83404833048", "address": {"city": "Lille", "country": "FR"}})
                for _ in range(self.random.choice([0, 0, 1, 2])):
                    category = self.random.choice(["S", "Z", "E", "G", "AE", "K"])
                    body = {"category": category, "valid_from": text(self.instant(SEPTEMBER_END, self.last))}
                    if category in CAUSES:
                        body.update(reason=CAUSES[category])
                    self.step(self.random.choice([BEGIN, self.instant(BEGIN, self.last)]), "POST",
                              f"/v1/parties/{self.party(name)}/tax-treatments", body)
        if "product_tax" in self.features:
            self.product_taxes()
        currency = next(step["body"]["currency"] for step in self.steps if step["path"] == self.prices)
        digits = {"JPY": "", "TND": ".500", "BHD": ".005"}.get(currency, ".50")
        for name in self.zones:
            for n in range(self.random.choice([0, 0, 1, 2, 3])):
                if self.has("prepaid"):
                    self.credit(name, f"credit {name} {n}", currency, f"{self.random.randint(1, 60)}{digits}")
            if self.has("code", 0.7):
                self.step(self.instant(BEGIN, self.last), "POST", "/v1/discount-codes/redeem", {
                    "customer": self.party(name), "code": self.random.choice(random_books.CODES)})
            if self.has("one_off", 0.4):
                sign = self.random.choice(["", "", "-"])
                self.step(self.instant(BEGIN, self.last), "POST", "/v1/charges", {
                    "customer": self.party(name), "currency": currency, "amount": f"{sign}{self.random.randint(1, 30)}{digits}",
                    "description": "one-off"})

    def product_taxes(self):
        """Taxes of some releases and resources, known before or after they count."""
        random = self.taxing
        for _ in range(random.choice([0, 1, 2, 4])):
            body = {"category": random.choice(["S", "S", "S", "Z", "E", "O"]),
                    "valid_from": text(random.randint(SEPTEMBER_END, self.last) // HOUR * HOUR)}
            named = random.choice(["release", "resource", "both"])
            if named != "resource":
                body["software_release"] = random.choice(RELEASES)
            if named != "release":
                body["resource"] = random.choice(self.kinds)[0]
            if body["category"] == "S" and random.random() < 0.8:
                body["rate"] = random.choice(["5.5", "2.1", "10"])
            if body["category"] == "E":
                body["reason"] = "Exempt by law"
            self.step(random.choice([BEGIN, BEGIN, random.randint(BEGIN, self.last)]), "POST", "/v1/product-taxes", body)

    def credit(self, name, keep, currency, amount):
        """Prepaid credit, of which what is left is perhaps withdrawn later."""
        when = self.instant(BEGIN, self.last)
        body = {"customer": self.party(name), "currency": currency, "amount": amount, "description": "prepaid"}
        if "expiry" in self.features:
            if self.apart.random() < 0.5:
                body["priority"] = self.apart.choice([0, 10, 100])
            if self.apart.random() < 0.3:
                body["kind"] = "promotional"
            if self.apart.random() < 0.5:
                body["expires_at"] = text(when + self.apart.randint(1, 60 * 86400) * SECOND)
        self.step(when, "POST", "/v1/credits", body, keep=keep)
        if self.random.random() < 0.3:
            self.step(self.random.randint(when, self.last + 5 * DAY), "POST", f"/v1/credits/{{{keep}}}/withdraw",
                      {"reason": "paid back"})

    @staticmethod
    def party(name):
        return "PARTY-1" if name == "c0" else f"{{{name}}}"

    def insert_run(self, start, stop, when):
        """A run, final at once or after days in which more usage comes; it stands before steps that are later than it."""
        wanted = {"period": {"start": start, "stop": stop}, "finalise": self.random.random() < 0.6}
        if "payers" in self.features and self.apart.random() < 0.25:
            some = [self.party(name) for name in self.zones if self.apart.random() < 0.5] or ["PARTY-1"]
            self.insert({"at": when - HOUR, "method": "POST", "path": "/v1/invoice-runs", "keep": None,
                         "body": {"period": wanted["period"], "payers": some, "finalise": True}})
        name, later = f"run {start} {when}", when + 3 * DAY
        steps = [{"at": when, "method": "POST", "path": "/v1/invoice-runs", "body": wanted, "keep": name}]

        def then(verb):
            return {"at": later, "method": "POST", "path": f"/v1/invoice-runs/{{{name}}}/{verb}", "body": {}}

        if not wanted["finalise"]:
            if self.has("refresh", 0.2):
                steps += [then("withdraw"), {**steps[0], "at": later}]
            elif self.has("refresh", 0.4):
                steps.append(then("refresh"))
            steps.append(then("finalise"))
        self.insert(*steps)

    def insert(self, *steps):
        """Puts steps where their time is, behind what is at the same time."""
        self.steps = sorted([*self.steps, *steps], key=lambda step: step["at"])

    def give_back(self, start, stop, when):
        """Credit notes, corrections and voids after a run; play.py picks document and lines by the numbers. What is void is
        perhaps invoiced again."""
        if not self.has("credit", 0.5):
            return
        days = sorted(self.random.randint(4 * DAY, 20 * DAY) for _ in range(self.random.randint(1, 4)))
        for day in days:
            how = self.random.choice(["credit", "credit", "credit", "correct", "void"])
            self.insert({"at": when + day, "give_back": how, "numbers": [self.random.randrange(10**6) for _ in range(4)],
                         "part": self.random.choice([None, 2, 3])})
        if self.random.random() < 0.4:
            self.insert_run(start, stop, when + 21 * DAY)
