"""A month of three instances becomes an invoice, compared line by line with amounts worked out by hand."""

import copy
import unittest
from decimal import Decimal

from server import slapledger_only
from slap_case import SlapTestCase, cloud_event, journal, movement, transaction

CPU = "service_module/cpu_load_percent"
REQUESTS = "service_module/requests"
PRICE_BOOK = {
    "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
    "resources": [
        {"resource": CPU, "kind": "gauge", "meter": "time_integral", "unit": "percent_hour"},
        {"resource": REQUESTS, "kind": "counter", "meter": "sum", "unit": "request"},
    ],
    "rates": [
        {"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00", "match": {"instance_type": "production"}},
        {"kind": "per_unit", "resource": CPU, "price": "0.002"},
        {"kind": "per_unit", "resource": REQUESTS, "price": "0.0005"},
    ],
}
OCTOBER = {"start": "2026-10-01", "stop": "2026-11-01"}

# October 2026 has 31 days, 744 hours, in the payer's time zone, which is UTC. Half a cent rounds up, per line.
#
# db   allocated from 1 Oct 00:00: the whole month.                        1 x 10.00                        = 10.00
#      CPU 12.5 % on 2, 3 and 4 Oct, reported daily (2 Oct first as 10 %, then corrected; 4 Oct twice):
#      3 days x 24 h x 12.5 % = 900 percent hours                        900 x 0.002                        =  1.80
# web  allocated from 16 Oct 00:00 on: 16 of 31 days.                16 / 31 x 10.00 = 5.1612903...         =  5.16
#      CPU 2.5 % for one hour = 2.5 percent hours                        2.5 x 0.002  = 0.005               =  0.01
#      1000 requests on 20 Oct, and 3000 from 31 Oct 23:00 to 1 Nov 01:00, of which one hour of two, 1500, is October's:
#                                                                       2500 x 0.0005                       =  1.25
# job  allocated on 10 Oct from 06:00 to 18:00: 12 of 744 hours.    12 / 744 x 10.00 = 0.1612903...         =  0.16
#      a report of NaN, suspended: not billed.
# sum                                                                                                       = 18.38
EXPECTED = {
    ("db", "recurring", "month"): ("10.00", "10.00"),
    ("db", "usage", "percent_hour"): ("0.002", "1.80"),
    ("web", "recurring", "month"): ("10.00", "5.16"),
    ("web", "usage", "percent_hour"): ("0.002", "0.01"),
    ("web", "usage", "request"): ("0.0005", "1.25"),
    ("job", "recurring", "month"): ("10.00", "0.16"),
}
QUANTITIES = {
    ("db", "usage", "percent_hour"): "900",
    ("web", "usage", "percent_hour"): "2.5",
    ("web", "usage", "request"): "2500",
}
NET = "18.38"


def faults(invoice, titles):
    """What is wrong with an invoice document, as a list of sentences; `titles` maps instance ids to EXPECTED's names."""
    found = []

    def check(what, seen, expected):
        if seen != expected:
            found.append(f"{what} is {seen!r}, not {expected!r}")

    check("currency", invoice["currency"], "EUR")
    check("number of lines", len(invoice["lines"]), len(EXPECTED))
    check("line numbers", [line["n"] for line in invoice["lines"]], list(range(1, len(invoice["lines"]) + 1)))
    seen = set()
    for line in invoice["lines"]:
        key = (titles.get(line["instance"]), line["kind"], line["unit"])
        if key not in EXPECTED or key in seen:
            found.append(f"line {line['n']} {key} is unexpected")
            continue
        seen.add(key)
        price, amount = EXPECTED[key]
        check(f"amount of {key}", line["amount"], amount)
        check(f"unit price of {key}", Decimal(line["unit_price"]), Decimal(price))
        if key in QUANTITIES:
            check(f"quantity of {key}", Decimal(line["quantity"]), Decimal(QUANTITIES[key]))
        check(f"price book of {key}", line["price_book"], {"name": "standard", "version": 1})
        for name in ("quantity", "unit_price", "amount"):
            check(f"type of {name} of {key}", type(line[name]).__name__, "str")
    found += [f"line {key} is missing" for key in EXPECTED if key not in seen]
    check("net", invoice["net"], NET)
    check("sum of the lines", sum(Decimal(line["amount"]) for line in invoice["lines"]), Decimal(NET))
    check("total", invoice["total"], NET)  # the local user pays no tax
    return found


def event_faults(line, items):
    """What is wrong between a line and the list of events behind it."""
    sequences = [item["sequence"] for item in items]
    told = line["events"]
    found = []
    if told["count"] != len(items):
        found.append(f"{told['count']} events told, {len(items)} listed")
    if not items:
        return [*found, "no event behind the line"]
    if sequences != sorted(set(sequences)):
        found.append("the events are not in order, or one is there twice")
    if (told["first_sequence"], told["last_sequence"]) != (sequences[0], sequences[-1]):
        found.append(f"told {told['first_sequence']} to {told['last_sequence']}, listed {sequences[0]} to {sequences[-1]}")
    if not told["digest"]:
        found.append("no digest")
    return found


@slapledger_only
class Month(SlapTestCase):
    """October 2026, step by step."""

    clock = "2026-10-01T00:00:00Z"

    def daily(self, day, reference, cpu):
        """The document of `slapos node collect` for one day of October."""
        return journal(transaction(
            f"2026-10-{day:02}-global", f"2026-10-{day:02} 00:00:00", f"2026-10-{day:02} 23:59:59",
            movement(CPU, reference, cpu)))

    def play(self):
        """The month as EXPECTED tells it; the sequences of the usage events of web."""
        clock = self.server.set_clock
        published = self.assertStatus(self.server.post_json("v1/price-books", PRICE_BOOK), 201).json()
        self.assertEqual((published["name"], published["version"]), ("standard", 1))
        self.assertIsInstance(published["sequence"], int)
        self.format("slappart0", "slappart1", "slappart2")
        db = self.request("db").getId()
        clock("2026-10-03T01:00:00Z")
        self.assertStatus(self.report(self.daily(2, db, "10")), 200)
        clock("2026-10-05T01:00:00Z")
        for day in (2, 3, 4, 4):
            self.assertStatus(self.report(self.daily(day, db, "12.5")), 200)
        clock("2026-10-10T06:00:00Z")
        job = self.request("job").getId()
        self.job = self.instance("job")["id"]
        clock("2026-10-10T18:00:00Z")
        self.free("job")
        self.assertStatus(self.report(journal(transaction(
            "job", "2026-10-10 07:00:00", "2026-10-10 07:59:59", movement(CPU, job, "NaN")))), 200)
        clock("2026-10-16T00:00:00Z")
        web = self.request("web").getId()
        self.db, self.web = self.instance("db")["id"], self.instance("web")["id"]
        clock("2026-10-20T12:00:00Z")
        early = [
            cloud_event(self.computer, "cpu-1", self.web, CPU, "2.5", "2026-10-20T08:00:00Z", "2026-10-20T09:00:00Z"),
            cloud_event(self.computer, "req-1", web, REQUESTS, "1000", "2026-10-20T00:00:00Z", "2026-10-20T12:00:00Z"),
        ]
        late = cloud_event(self.computer, "req-2", web, REQUESTS, "3000", "2026-10-31T23:00:00Z", "2026-11-01T01:00:00Z")
        self.assertEqual(self.post_usage(*early)["accepted"], 2)
        self.assertEqual(self.post_usage(*early)["duplicates"], 2)
        clock("2026-11-01T06:00:00Z")
        self.assertEqual(self.post_usage(late)["accepted"], 1)
        self.assertEqual(len(self.suspended()), 1)
        self.titles = {self.db: "db", self.web: "web", self.job: "job"}

    def run_invoices(self, finalise, period=None):
        return self.server.post_json("v1/invoice-runs", {"period": period or OCTOBER, "finalise": finalise})

    def final_invoices(self):
        return self.items("v1/invoices", state="final")

    def test_the_invoice_is_what_the_month_cost(self):
        self.play()

        # A draft first: a pure function of what the log holds.
        run = self.assertStatus(self.run_invoices(False), 201).json()
        self.assertEqual((run["state"], len(run["invoices"])), ("draft", 1), run)
        draft = self.server.get(f"v1/invoices/{run['invoices'][0]}").json()
        self.assertEqual(draft["state"], "draft")
        self.assertEqual(faults(draft, self.titles), [])
        self.assertEqual(self.final_invoices(), [])

        # Finalised: numbered, dated, and never changed again.
        answer = self.assertStatus(self.server.post_json(f"v1/invoice-runs/{run['id']}/finalise", {}), 200, 201)
        run = answer.json()
        self.assertEqual((run["state"], len(run["invoices"])), ("final", 1), run)
        path = f"v1/invoices/{run['invoices'][0]}"
        invoice = self.assertStatus(self.server.get(path), 200).json()
        self.assertEqual((invoice["id"], invoice["state"]), ("INV-2026-000001", "final"))
        self.assertTrue(invoice["issued_at"].startswith("2026-11-01T06:00:00"), invoice["issued_at"])
        self.assertEqual([invoice["period"][end][:19] for end in ("start", "stop")],
                         ["2026-10-01T00:00:00", "2026-11-01T00:00:00"])
        self.assertEqual(faults(invoice, self.titles), [])

        # Every line can be followed back to the log.
        expected = {(self.db, "percent_hour"): 3, (self.web, "percent_hour"): 1, (self.web, "request"): 2}
        for line in invoice["lines"]:
            items = self.items(f"{path}/lines/{line['n']}/events")
            self.assertEqual(event_faults(line, items), [], line)
            if (line["instance"], line["unit"]) in expected:
                # A corrected report may be listed beside the one that took its place.
                self.assertGreaterEqual(len(items), expected[line["instance"], line["unit"]], line)
                if line["instance"] == self.web:
                    self.assertEqual(len(items), expected[line["instance"], line["unit"]], line)

        # Again changes nothing; neither does another run of the month, nor later usage, nor a restart.
        self.server.post_json(f"v1/invoice-runs/{run['id']}/finalise", {})
        self.run_invoices(True)
        self.assertEqual([item["id"] for item in self.final_invoices()], ["INV-2026-000001"])
        self.post_usage(cloud_event(self.computer, "late", self.web, REQUESTS, "1000000",
                                    "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"))
        self.server.restart()
        after = self.server.get(path).json()
        for document in (invoice, after):
            document.pop("sequence", None)
        self.assertEqual(after, invoice)

    def test_a_period_that_has_not_ended_makes_drafts_only(self):
        self.play()
        november = {"start": "2026-11-01", "stop": "2026-12-01"}
        answer = self.run_invoices(True, november)
        self.assertLess(answer.status, 500, answer)
        self.assertEqual(self.final_invoices(), [])
        self.assertStatus(self.run_invoices(False, november), 201)
        self.assertEqual(self.final_invoices(), [])

    def test_a_price_book_with_an_unknown_field_is_refused(self):
        for path in ((), ("rates", 0), ("rates", 0, "match"), ("resources", 0)):
            book = copy.deepcopy(PRICE_BOOK)
            inner = book
            for step in path:
                inner = inner[step]
            inner["colour"] = "blue"
            with self.subTest(path):
                problem = self.assertProblem(self.server.post_json("v1/price-books", book), 400, 422)
                self.assertIn("colour", problem.get("field", "") + problem.get("detail", ""))
        published = self.assertStatus(self.server.post_json("v1/price-books", PRICE_BOOK), 201).json()
        self.assertEqual(published["version"], 1)

    def test_a_price_book_that_makes_no_sense_is_refused(self):
        for name, change in (
            ("currency", {"currency": "XXQ"}),
            ("a float", {"rates": [{"kind": "per_unit", "resource": CPU, "price": 0.002}]}),
            ("a price that is none", {"rates": [{"kind": "per_unit", "resource": CPU, "price": "NaN"}]}),
            ("resource not declared", {"rates": [{"kind": "per_unit", "resource": "service_module/none", "price": "1"}]}),
            ("a tie", {"rates": [PRICE_BOOK["rates"][1], {**PRICE_BOOK["rates"][1], "price": "0.003"}]}),
            ("rounding", {"rounding": "sideways"}),
            ("no date", {"valid_from": "tomorrow"}),
        ):
            with self.subTest(name):
                self.assertProblem(self.server.post_json("v1/price-books", {**PRICE_BOOK, **change}), 400, 409, 422)
        self.assertProblem(self.server.call("POST", "v1/price-books", b"{", "application/json"), 400)


class Checker(unittest.TestCase):
    """The comparison itself: a right invoice passes, each planted fault is found."""

    titles = {"I-1": "db", "I-2": "web", "I-3": "job"}

    def invoice(self):
        ids = {title: instance for instance, title in self.titles.items()}
        lines = [
            {"n": n, "instance": ids[title], "kind": kind, "unit": unit, "unit_price": price, "amount": amount,
             "quantity": QUANTITIES.get((title, kind, unit), "1"), "price_book": {"name": "standard", "version": 1}}
            for n, ((title, kind, unit), (price, amount)) in enumerate(EXPECTED.items(), 1)
        ]
        return {"currency": "EUR", "lines": lines, "net": NET, "total": NET}

    def test_a_right_invoice_passes(self):
        self.assertEqual(faults(self.invoice(), self.titles), [])
        self.assertEqual(sum(Decimal(amount) for _, amount in EXPECTED.values()), Decimal(NET))

    def test_planted_faults_are_found(self):
        def one_cent(invoice):
            invoice["lines"][2]["amount"] = "5.17"

        def cents_that_cancel(invoice):
            invoice["lines"][0]["amount"], invoice["lines"][1]["amount"] = "10.01", "1.79"

        def a_number(invoice):
            invoice["lines"][0]["amount"] = 10.0

        def line_missing(invoice):
            del invoice["lines"][3]

        def line_twice(invoice):
            invoice["lines"].append({**invoice["lines"][3], "n": 7})

        def total(invoice):
            invoice["total"] = "18.39"

        def price_version(invoice):
            invoice["lines"][0]["price_book"] = {"name": "standard", "version": 2}

        def quantity(invoice):
            invoice["lines"][4]["quantity"] = "4000"

        for plant in (one_cent, cents_that_cancel, a_number, line_missing, line_twice, total, price_version, quantity):
            with self.subTest(plant.__name__):
                invoice = self.invoice()
                plant(invoice)
                self.assertNotEqual(faults(invoice, self.titles), [])

    def test_planted_faults_in_the_events_are_found(self):
        line = {"events": {"count": 2, "first_sequence": 4, "last_sequence": 9, "digest": "d"}}
        self.assertEqual(event_faults(line, [{"sequence": 4}, {"sequence": 9}]), [])
        for sequences in ([], [4], [4, 8], [9, 4], [4, 4], [4, 5, 9], [3, 9]):
            with self.subTest(sequences):
                self.assertNotEqual(event_faults(line, [{"sequence": s} for s in sequences]), [])


if __name__ == "__main__":
    unittest.main()
