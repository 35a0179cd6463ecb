"""The oracle against figures worked out by hand from the documents: it must be right before it may judge."""

import dataclasses
import types
import unittest
from fractions import Fraction as F

import tariffs
from credit_notes import check_note
from exact import half_even, half_up, show
from facts import Facts, divided
from invoices import Books
from meters import Part, measure
from taxes import nets, subtotals
from units import factor
from wallet import Wallet
from zones import Calendar, HOUR, instant, text

BOOK = {"name": "standard", "version": 1, "sequence": 0, "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z",
        "rounding": "half_up", "resources": [], "rates": []}
OCTOBER, NOVEMBER = {"start": "2026-10-01", "stop": "2026-11-01"}, {"start": "2026-11-01", "stop": "2026-12-01"}


def log(*rows):
    """Events from (type, at, data), numbered from 1; PARTY-1 is in UTC."""
    rows = [("PartyRegistered", "2026-09-01T00:00:00Z", {"party": "PARTY-1", "time_zone": "UTC"}), *rows]
    return [{"sequence": n, "type": name, "data": {"at": at, **data}} for n, (name, at, data) in enumerate(rows, 1)]


def instance(name, start, stop=None, **attributes):
    rows = [("InstanceRequested", start, {"instance": name, "owner": "PARTY-1", **attributes}),
            ("InstanceAllocated", start, {"instance": name, "computer": "COMP-1"})]
    return rows + ([("InstanceEnded", stop, {"instance": name})] if stop else [])


def usage(name, resource, quantity, start, stop, **dimensions):
    return ("UsageRecorded", stop, {
        "id": "x", "resource": resource, "quantity": quantity, "period": {"start": start, "stop": stop},
        "attribution": {"instance": name}, "dimensions": list(dimensions.items())})


def run(name, period, events, cut_off=None):
    return {"id": name, "period": period, "price_book": "standard", "seller": "PARTY-1", "cut_off": cut_off or len(events),
            "opened_at": "2026-12-02T00:00:00Z", "sequence": len(events)}


def part(start, stop, value, sequence=1, **dimensions):
    return Part(sequence, "r", start * HOUR, stop * HOUR, F(value), F(value), tuple(dimensions.items()))


def amounts(document):
    return [(line.kind, show(line.quantity), show(line.amount)) for line in document.lines]


class Numbers(unittest.TestCase):
    def test_halves(self):
        self.assertEqual([show(half_up(F(x), 2)) for x in ("0.005", "0.015", "-0.005", "0.0049999")], ["0.01", "0.02", "-0.01", "0"])
        self.assertEqual([show(half_even(F(x), 2)) for x in ("0.005", "0.015", "0.0051")], ["0", "0.02", "0.01"])

    def test_units(self):
        self.assertEqual(factor("MiB", "GiB_hour", True), F(1, 1024))
        self.assertEqual(factor("MB", "GB", False), F(1, 1000))
        self.assertEqual(factor("percent", "core_day", True), F(1, 2400))
        self.assertRaises(ValueError, factor, "MiB", "core", False)


class PricesWithTax(unittest.TestCase):
    def test_the_tax_is_taken_out_of_the_sum_and_divided_among_the_lines(self):
        tax = ("S", F(10))
        lines = [types.SimpleNamespace(amount=F(amount), tax=tax) for amount in (980, 500)]
        self.assertEqual(subtotals(lines, "JPY", True), {tax: (F(1345), F(135))})  # 134.54..
        self.assertEqual(nets(lines, "JPY", True), [F(891), F(454)])  # 89.4 and the rest
        self.assertEqual(nets(lines, "JPY", False), [F(980), F(500)])


class Credits(unittest.TestCase):
    def test_credits_pay_by_priority_then_by_expiry_then_by_age(self):
        def granted(name, **more):
            return ("CreditGranted", "2026-10-01T00:00:00Z", {
                "credit": name, "customer": "PARTY-1", "currency": "EUR", "amount": "1", **more})

        late, early = "2026-10-20T00:00:00Z", "2026-10-10T00:00:00Z"
        events = log(granted("C-1"), granted("C-2", expires_at=late), granted("C-3", expires_at=early), granted("C-4", priority=0))
        document = types.SimpleNamespace(total=F(10), customer="PARTY-1", currency="EUR", id="INV-1")
        for at, expected in (("2026-10-09T23:59:59Z", ["C-4", "C-3", "C-2", "C-1"]), (early, ["C-4", "C-2", "C-1"])):
            wallet = Wallet(events)
            wallet.take_until(len(events))
            self.assertEqual([credit for credit, _ in wallet.pay(document, instant(at))], expected)


class Months(unittest.TestCase):
    def test_daylight_saving_and_a_midnight_that_comes_twice(self):
        paris, havana = Calendar([(0, "Europe/Paris")]), Calendar([(0, "America/Havana")])
        self.assertEqual(text(paris.bound("2026-10-01")), "2026-09-30T22:00:00Z")
        self.assertEqual(text(paris.bound("2026-11-01")), "2026-10-31T23:00:00Z")
        self.assertEqual(text(havana.bound("2026-11-01")), "2026-11-01T04:00:00Z")  # the first of the two

    def test_days_are_as_long_as_they_are_there(self):
        paris = Calendar([(0, "Europe/Paris")])
        october = paris.by_day(paris.bound("2026-10-01"), paris.bound("2026-11-01"))
        self.assertEqual(sum(F(stop - start, length) for start, stop, length in october), 31)
        self.assertEqual([length // HOUR for _, _, length in october if length != 24 * HOUR], [25])
        half = paris.by_day(instant("2026-10-24T22:00:00Z"), instant("2026-10-25T10:30:00Z"))
        self.assertEqual([F(stop - start, length) for start, stop, length in half], [F(1, 2)])

    def test_a_change_of_zone_counts_from_the_next_month_on(self):
        moved = Calendar([(0, "Asia/Kathmandu"), (instant("2026-10-10T00:00:00Z"), "America/New_York")])
        self.assertEqual(text(moved.bound("2026-10-01")), "2026-09-30T18:15:00Z")
        self.assertEqual(text(moved.bound("2026-11-01")), "2026-10-31T18:15:00Z")
        self.assertEqual(text(moved.bound("2026-12-01")), "2026-12-01T05:00:00Z")


class Meters(unittest.TestCase):
    # Hours:   0      1      2      3      4      5
    #          |-- 10 -------|-- 4 -|             a gap
    #                 |-- 20 --------------|      overlaps
    PARTS = [part(0, 2, 10, 1, user="ann"), part(2, 3, 4, 2, user="bob"), part(1, 4, 20, 3, user="ann")]

    def check(self, meter, expected, start=0, stop=5, **more):
        resource = {"resource": "r", "meter": meter, "unit": "u", **more}
        self.assertEqual(show(measure(resource, self.PARTS, start * HOUR, stop * HOUR)[0]), expected, meter)

    def test_each_meter(self):
        self.check("time_integral", "84")  # 20 + 4 + 60
        self.check("min", "4")
        self.check("max", "20")
        self.check("average", "14")  # 84 over 6 hours
        self.check("latest", "20")
        self.check("latest", "20", stop=2)  # both are cut to 2; the one that started at 1 is the later
        self.check("unique_count", "2", dimension="user")
        self.check("count", "2", start=2)  # stops at 3 and 4; the one at 2 belongs to the time before
        self.check("sum", "11.666666666", start=1, stop=2)  # 5 of 10, and a third of 20, toward zero

    def test_a_counter_is_divided_cumulatively(self):
        third = [part(0, 3, 1)]
        resource = {"resource": "r", "meter": "sum", "unit": "u"}
        found = [show(measure(resource, third, hour * HOUR, (hour + 1) * HOUR)[0]) for hour in range(3)]
        self.assertEqual(found, ["0.333333333", "0.333333333", "0.333333334"])

    def test_a_counter_of_two_tenants_is_divided_among_them_first(self):
        self.assertEqual([show(one) for one in divided(F(1), [(0, 1), (5, 7)])], ["0.333333333", "0.666666667"])

    def test_samples(self):
        # Hours as samples: 10, 15 (10 and 20), 12 (4 and 20), 20; of four, 95 % is the fourth, 50 % the second.
        self.check("percentile", "20", sample_minutes=60)
        self.check("percentile", "12", sample_minutes=60, percent=50)
        self.check("percentile", "10", sample_minutes=60, percent=1)

    def test_a_factor(self):
        self.check("sum", "11.333333333", multiply_by=1, divide_by=3)


class Tariffs(unittest.TestCase):
    TIERS = [{"up_to": "10", "price": "1", "flat": "5"}, {"up_to": "20", "price": "0.5"}, {"price": "0.1", "flat": "2"}]

    def check(self, quantity, expected, **rate):
        self.assertEqual(show(tariffs.price(rate, F(quantity))[0]), expected)

    def test_each_tariff(self):
        self.check("2.5", "0.005", kind="per_unit", price="0.002")
        self.check("10", "15", kind="graduated", tiers=self.TIERS)  # the bound belongs to its tier
        self.check("25", "22.5", kind="graduated", tiers=self.TIERS)  # 10 + 5, 5, 0.5 + 2
        self.check("10", "15", kind="volume", tiers=self.TIERS)
        self.check("10.5", "5.25", kind="volume", tiers=self.TIERS)
        self.check("25", "4.5", kind="volume", tiers=self.TIERS)
        self.check("20.1", "9", kind="package", size="10", price="3")
        self.check("20", "6", kind="package", size="10", price="3")
        self.check("3", "0", kind="graduated", tiers=self.TIERS, free="3")  # nothing is in the first tier
        self.check("13", "15", kind="graduated", tiers=self.TIERS, free="3")


class Runs(unittest.TestCase):
    FEE = {"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00"}
    REQUESTS = {"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}

    def books(self, events, *rates, **book):
        return Books(events, {"standard": [{**BOOK, "resources": [self.REQUESTS], "rates": list(rates), **book}]})

    def test_the_example_of_the_document(self):
        events = log(*instance("SOFTINST-1", "2026-10-16T00:00:00Z"))
        (document,) = self.books(events, self.FEE).documents(run("RUN-1", OCTOBER, events)).values()
        self.assertEqual(amounts(document), [("recurring", "0.516129032", "5.16")])
        self.assertEqual(document.lines[0].residue, F("5.16") - F("5.16129032"))

    def test_a_change_that_changes_no_rate_cuts_nothing(self):
        change = ("InstanceChanged", "2026-10-11T00:00:00Z", {"instance": "SOFTINST-1", "software_type": "big"})
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", software_type="small"), change)
        dear = {**self.FEE, "price": "31.00", "match": {"software_type": "big"}}
        (document,) = self.books(events, self.FEE).documents(run("RUN-1", OCTOBER, events)).values()
        self.assertEqual(amounts(document), [("recurring", "1", "10")])
        (document,) = self.books(events, self.FEE, dear).documents(run("RUN-1", OCTOBER, events)).values()
        self.assertEqual(amounts(document), [("recurring", "0.322580645", "3.23"), ("recurring", "0.677419355", "21")])

    def test_percentage_and_minimum(self):
        events = log(*instance("SOFTINST-1", "2026-10-16T00:00:00Z"))
        rates = self.FEE, {"kind": "percentage", "percent": "10", "of": "all"}, {"kind": "minimum", "price": "20", "of": "all"}
        (document,) = self.books(events, *rates).documents(run("RUN-1", OCTOBER, events)).values()
        # 5.16, a tenth of it 0.516, and what 5.68 lack of 20.
        self.assertEqual(amounts(document), [("recurring", "0.516129032", "5.16"), ("percentage", "10", "0.52"),
                                             ("minimum", "0.516129032", "4.64")])

    def play(self, books, *runs):
        found = []
        for one in runs:
            documents = books.documents(one)
            for customer, document in documents.items():
                for n, line in enumerate(document.lines, 1):
                    line.n = n
            books.finalise(one, documents, {customer: {"id": f"INV-{one['id']}", "issued_at": one["opened_at"]}
                                             for customer in documents})
            for document in documents.values():
                books.settle(document)
            found.append(amounts(documents["PARTY-1"]) if documents else [])
        return found

    def test_what_was_charged_in_advance_is_settled(self):
        advance = {**self.FEE, "when": "advance"}
        for stop, expected in (
            (None, [("advance", "1", "10")]),  # November costs what was charged for it
            ("2026-11-16T00:00:00Z", [("recurring", "0.5", "5"), ("settled", "-1", "-10")]),
        ):
            with self.subTest(stop):
                events = log(*instance("SOFTINST-1", "2026-10-16T00:00:00Z", stop))
                found = self.play(self.books(events, advance), run("RUN-1", OCTOBER, events), run("RUN-2", NOVEMBER, events))
                self.assertEqual(found, [[("recurring", "0.516129032", "5.16"), ("advance", "1", "10")], expected])

    def test_late_usage_is_adjusted_once(self):
        late = usage("SOFTINST-1", "requests", "100", "2026-10-20T00:00:00Z", "2026-10-21T00:00:00Z")
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "10", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"), late)
        december = {"start": "2026-12-01", "stop": "2027-01-01"}
        found = self.play(self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.03"}),
                          run("RUN-1", OCTOBER, events, len(events) - 1), run("RUN-2", NOVEMBER, events), run("RUN-3", december, events))
        self.assertEqual(found, [[("usage", "10", "0.3")], [("adjustment", "100", "3")], []])

    def test_tax_and_prepaid_credit(self):
        events = log(
            ("TaxRateSet", "2026-09-01T00:00:00Z", {"seller": "PARTY-1", "rate": "20", "valid_from": "2026-01-01T00:00:00Z"}),
            ("CreditGranted", "2026-09-01T00:00:00Z", {"credit": "C-1", "customer": "PARTY-1", "currency": "EUR", "amount": "5"}),
            ("CreditGranted", "2026-09-02T00:00:00Z", {"credit": "C-2", "customer": "PARTY-1", "currency": "EUR", "amount": "9"}),
            *instance("SOFTINST-1", "2026-10-01T00:00:00Z"))
        books = self.books(events, self.FEE)
        self.play(books, run("RUN-1", OCTOBER, events), run("RUN-2", NOVEMBER, events))
        self.assertEqual([(one.total, one.prepaid, one.due) for one in books.final],
                         [(12, [("C-1", 5), ("C-2", 7)], 0), (12, [("C-2", 2)], 10)])

    def test_a_month_is_cut_where_tax_changes(self):
        """A day is 1.00. 20 % until 16 October, then 21 %; the requests are of a product with 5.5 % from the 20th on."""
        def rate(percent, since):
            return ("TaxRateSet", "2026-09-01T00:00:00Z", {"seller": "PARTY-1", "rate": percent, "valid_from": since})

        events = log(
            rate("20", "2026-01-01T00:00:00Z"), rate("21", "2026-10-16T00:00:00Z"),
            ("ProductTaxSet", "2026-09-01T00:00:00Z", {"seller": "PARTY-1", "resource": "requests", "category": "S", "rate": "5.5",
                                                       "valid_from": "2026-10-20T00:00:00Z"}),
            *instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", release="web"),
            *[usage("SOFTINST-1", "requests", "100", f"2026-10-{day}T00:00:00Z", f"2026-10-{day}T01:00:00Z") for day in ("05", "17", "25")])
        tiers = [{"up_to": "150", "price": "0.10"}, {"price": "0.01"}]
        for cut, expected in (
                ("last_instant", [("31", F(21)), ("16.5", F("5.5"))]),
                ("cut", [("15", F(20)), ("16", F(21)), ("10", F(20)), ("5.5", F(21)), ("1", F("5.5"))])):
            books = self.books(events, {**self.FEE, "price": "31.00"}, {"kind": "graduated", "resource": "requests", "tiers": tiers})
            books.books["standard"][0]["on_tax_change"] = cut
            self.play(books, run("RUN-1", OCTOBER, events))
            self.assertEqual([(show(line.amount), line.tax[1]) for line in books.final[0].lines], expected, cut)

    def test_an_override_takes_the_place_of_a_rate_for_a_time(self):
        events = log(
            ("PriceOverrideSet", "2026-09-01T00:00:00Z", {"override": "OVERRIDE-1", "price_book": "standard", "customer": "PARTY-1",
                                                          "valid_from": "2026-10-16T00:00:00Z", "valid_until": None}),
            *instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"))
        books = self.books(events, {**self.FEE, "price": "31.00"})
        books.overrides["OVERRIDE-1"] = {**self.FEE, "price": "15.50", "match": {"customer": "PARTY-1"}}
        self.assertEqual(self.play(books, run("RUN-1", OCTOBER, events)),
                         [[("recurring", "0.483870968", "15"), ("recurring", "0.516129032", "8")]])

    def note(self, books, cited, *amounts, rate="20", **more):
        """A credit note on lines from the first on, as a server would show it; what is wrong with it."""
        lines = [{"n": n, "amount": amount, "residue": "0", "quantity": "1", "tax": {"category": "S", "rate": rate},
                  "cites": {"invoice": cited, "line": n}} for n, amount in enumerate(amounts, 1)]
        net = show(sum(map(F, amounts)))
        shown = {"id": "INVCN-2026-000001", "document": "credit_note", "buyer": {"party": "PARTY-1"}, "currency": "EUR",
                 "sequence": 10**6, "lines": lines, "net": net, "cites": {"invoice": cited, "all": False},
                 **{name: held for name, held in more.items() if name not in ("tax", "all")}}
        shown["tax"] = [{"category": "S", "rate": rate, "base": net, "amount": more["tax"]}]
        shown["cites"]["all"] = more.get("all", False)
        return check_note(shown, books)

    def taxed(self, *rows, price="5.16"):
        """The books after October was invoiced at a fee and a fifth of it as tax."""
        events = log(
            ("TaxRateSet", "2026-09-01T00:00:00Z", {"seller": "PARTY-1", "rate": "20", "valid_from": "2026-01-01T00:00:00Z"}),
            *rows, *instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"))
        books = self.books(events, {**self.FEE, "price": price})
        self.play(books, run("RUN-1", OCTOBER, events))
        return books

    def test_the_tax_of_credit_notes_adds_up_to_that_of_the_document(self):
        books = self.taxed()  # 5.16 and 1.03
        # A half: 0.516 of tax, so 0.52. The other: 1.03 less 0.52.
        self.assertEqual(self.note(books, "INV-RUN-1", "2.58", tax="0.52", total="3.10", due="3.10"), [])
        self.assertEqual(self.note(books, "INV-RUN-1", "2.58", tax="0.51", total="3.09", due="3.09", all=True), [])
        self.assertNotEqual(self.note(books, "INV-RUN-1", "0.01", tax="0", total="0.01", due="0.01", all=True), [])
        books = self.taxed()
        self.note(books, "INV-RUN-1", "2.58", tax="0.52", total="3.10", due="3.10")
        self.assertEqual(self.note(books, "INV-RUN-1", "2.58", tax="0.52", total="3.10", due="3.10", all=True)[0],
                         "tax S 20 is 0.52, the documents say 0.51")

    def test_prepaid_credit_goes_back_last_and_the_newest_first(self):
        def granted(name, amount):
            return ("CreditGranted", "2026-09-01T00:00:00Z",
                    {"credit": name, "customer": "PARTY-1", "currency": "EUR", "amount": amount})

        books = self.taxed(granted("C-1", "5"), granted("C-2", "4"), price="10")  # 12, of which 9 were prepaid
        # 6 with tax: 3 were due, and 3 of the 4 go back. Then 1 of it and 2 of the 5.
        self.assertEqual(self.note(books, "INV-RUN-1", "5", tax="1", total="6", due="3", prepaid=[{"credit": "C-2", "amount": "3"}]), [])
        back = [{"credit": "C-2", "amount": "1"}, {"credit": "C-1", "amount": "2"}]
        self.assertEqual(self.note(books, "INV-RUN-1", "2.5", tax="0.5", total="3", due="0", prepaid=back), [])
        self.assertEqual(books.wallet.left, {"C-1": 2, "C-2": 4})

    def test_what_was_given_back_stays_given_back(self):
        late = usage("SOFTINST-1", "requests", "0", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z")
        for corrected, expected in (("50", [("adjustment", "-50", "-1.5")]), ("0", [("adjustment", "-100", "-2.5")])):
            late[2]["quantity"] = corrected
            events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                         usage("SOFTINST-1", "requests", "100", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
                         ("UsageCorrected", "2026-11-05T00:00:00Z", {"replaces": 5, "usage": late[2]}))
            books = self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.03"})
            self.play(books, run("RUN-1", OCTOBER, events, len(events) - 1))
            books.given_back["INV-RUN-1", 1] = F("0.5")  # of 3.00
            self.assertEqual(self.play(books, run("RUN-2", NOVEMBER, events)), [expected])

    def test_a_void_of_late_usage_takes_back_what_it_was_charged(self):
        usages = [usage("SOFTINST-1", "requests", quantity, "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z")
                  for quantity in ("100", "40")]
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"), *usages,
                     ("UsageVoided", "2026-11-05T00:00:00Z", {"voided": 5, "voids": "e1", "reason": "by mistake"}))
        books = self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.03"})
        # 140 for 4.20, of which 100 are void: 3.00 go back.
        self.assertEqual(self.play(books, run("RUN-1", OCTOBER, events, len(events) - 1)), [[("usage", "140", "4.2")]])
        self.assertEqual(self.play(books, run("RUN-2", NOVEMBER, events)), [[("adjustment", "-100", "-3")]])

    def test_a_void_in_time_counts_in_no_meter(self):
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "0", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "7", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
                     ("UsageVoided", "2026-10-05T00:00:00Z", {"voided": 5, "voids": "e1", "reason": "by mistake"}))
        books = self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.03"})
        self.assertEqual(self.play(books, run("RUN-1", OCTOBER, events)), [[("usage", "7", "0.21")]])

    def test_what_was_given_back_of_a_fee_in_advance_is_not_taken_back(self):
        events = log(*instance("SOFTINST-1", "2026-10-16T00:00:00Z"))
        books = self.books(events, {**self.FEE, "when": "advance"})
        self.play(books, run("RUN-1", OCTOBER, events))
        books.given_back["INV-RUN-1", 2] = F(4)
        self.assertEqual(self.play(books, run("RUN-2", NOVEMBER, events)),
                         [[("recurring", "1", "10"), ("advance", "1", "10"), ("settled", "-1", "-6")]])

    DECEMBER = {"start": "2026-12-01", "stop": "2027-01-01"}

    def test_what_takes_of_two_lines_is_a_line_for_each(self):
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "1001", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "503", "2026-10-04T00:00:00Z", "2026-10-05T00:00:00Z"))
        nothing = usage("SOFTINST-1", "requests", "2", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z")[2]
        gone = usage("SOFTINST-1", "requests", "0", "2026-10-04T00:00:00Z", "2026-10-05T00:00:00Z")[2]
        known = len(events)
        events += [{"sequence": known + n, "type": "UsageCorrected", "data": {"at": "2026-12-05T00:00:00Z", **data}}
                   for n, data in enumerate(({"replaces": known - 1, "usage": nothing}, {"replaces": known, "usage": gone}), 1)]
        books = self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.004"})
        found = self.play(books, run("RUN-1", OCTOBER, events, known - 1), run("RUN-2", NOVEMBER, events, known),
                          run("RUN-3", self.DECEMBER, events))
        # 4.004, then 6.016, then 0.008: the first line goes, and of the second all but a cent.
        self.assertEqual(found, [[("usage", "1001", "4")], [("adjustment", "503", "2.02")],
                                 [("adjustment", "-1001", "-4"), ("adjustment", "-501", "-2.01")]])
        self.assertEqual([show(line.residue) for document in books.final for line in document.lines],
                         ["-0.004", "0.008", "0.004", "-0.006"])

    def test_what_adjusted_a_void_document_is_settled(self):
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "100", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "50", "2026-10-04T00:00:00Z", "2026-10-05T00:00:00Z"))
        books = self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.03"})
        self.play(books, run("RUN-1", OCTOBER, events, len(events) - 1), run("RUN-2", NOVEMBER, events))
        books.void.add("INV-RUN-1")
        books.given_back["INV-RUN-1", 1] = F(3)
        self.assertEqual(self.play(books, run("RUN-3", self.DECEMBER, events)), [[("adjustment", "-50", "-1.5")]])

    def test_a_charge_takes_of_the_lines_that_charge_for_the_one_it_corrects(self):
        charge = ("ChargeRecorded", "2026-12-01T00:00:00Z", {
            "charge": "CHARGE-1", "customer": "PARTY-1", "currency": "EUR", "amount": "-5", "cites": {"invoice": "INV-RUN-1", "line": 1}})
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "100", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "50", "2026-10-04T00:00:00Z", "2026-10-05T00:00:00Z"), charge)
        books = self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.03"})
        found = self.play(books, run("RUN-1", OCTOBER, events, len(events) - 2), run("RUN-2", NOVEMBER, events, len(events) - 1),
                          run("RUN-3", self.DECEMBER, events))
        # 3.00 of the line, 1.50 of what adjusted it, and 0.50 that nothing is left for.
        self.assertEqual(found[2], [("correction", "-1", "-3"), ("correction", "-1", "-1.5"), ("one_off", "-1", "-0.5")])
        self.assertEqual([line.cites for line in books.final[2].lines],
                         [("INV-RUN-1", 1), ("INV-RUN-2", 1), ("INV-RUN-1", 1)])
        self.assertEqual([books.left_of(*books.line_of((f"INV-RUN-{n}", 1))) for n in (1, 2)], [0, 0])

    def test_a_note_lowers_what_a_later_invoice_charged_for_its_line_below_zero(self):
        books = self.taxed(price="8")  # 9.60 with tax
        first = books.final[0]
        later = dataclasses.replace(first, id="INV-2", run="RUN-2", lines=[
            dataclasses.replace(first.lines[0], kind="adjustment", amount=F(amount), n=n) for n, amount in ((1, 20), (2, 2))])
        books.final.append(later)
        books.due["INV-2"], books.takes["INV-2", 2] = F("26.4"), ("INV-RUN-1", 2)
        # 2.40 more than the first can take.
        self.assertEqual(books.lower([(["INV-RUN-1"], F(12))], F(12), books.final[0]), [])
        self.assertEqual((books.due["INV-RUN-1"], books.due["INV-2"]), (0, 24))

    def test_a_note_lowers_what_a_later_invoice_charged_more_for_its_line(self):
        books = self.taxed(price="8")  # 9.60 with tax
        first = books.final[0]
        later = dataclasses.replace(first, id="INV-2", run="RUN-2", lines=[
            dataclasses.replace(first.lines[0], kind="adjustment", amount=F(amount), n=n) for n, amount in ((1, 20), (2, 2))])
        books.final.append(later)
        books.due["INV-2"], books.adds["INV-2", 2] = F("26.4"), ("INV-RUN-1", 2)
        self.assertEqual(books.lower([(["INV-RUN-1"], F(12))], F(12), books.final[0]), [])
        self.assertEqual((books.due["INV-RUN-1"], books.due["INV-2"]), (0, 24))

    def test_late_usage_is_told_once_by_two_runs_of_its_month(self):
        late = usage("SOFTINST-1", "requests", "100", "2026-10-20T00:00:00Z", "2026-10-21T00:00:00Z")
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"), late)
        runs = [run("RUN-1", OCTOBER, events, len(events) - 1), run("RUN-2", OCTOBER, events, len(events) - 1),
                run("RUN-3", NOVEMBER, events)]
        found = self.play(self.books(events, {"kind": "per_unit", "resource": "requests", "price": "0.03"}), *runs)
        self.assertEqual(found, [[], [], [("adjustment", "100", "3")]])

    def test_the_version_that_counts(self):
        later = {**BOOK, "version": 2, "valid_from": "2026-10-16T00:00:00Z", "rates": [{**self.FEE, "price": "20"}]}
        same = {**later, "version": 3, "rates": [{**self.FEE, "price": "40"}]}
        events = log(*instance("SOFTINST-1", "2026-10-01T00:00:00Z"))
        books = Books(events, {"standard": [{**BOOK, "rates": [self.FEE]}, later, same]})
        self.assertEqual(self.play(books, run("RUN-1", OCTOBER, events)),
                         [[("recurring", "0.483870968", "4.84"), ("recurring", "0.516129032", "20.65")]])


class Versions(unittest.TestCase):
    """What goes on when prices change in mid-month, worked out by hand."""

    HALF = "2026-10-16T00:00:00Z"
    REQUESTS = {"resource": "requests", "kind": "counter", "meter": "sum", "unit": "request"}
    LEVEL = {"resource": "level", "kind": "gauge", "meter": "max", "unit": "GB"}

    def rated(self, first, second, *more, **settings):
        books = [{**BOOK, "resources": [self.REQUESTS, self.LEVEL], "rates": first}]
        books.append({**books[0], "version": 2, "valid_from": self.HALF, "rates": second, **settings})
        events = log(*instance("SOFTINST-1", "2026-09-01T00:00:00Z"),
                     usage("SOFTINST-1", "requests", "800", "2026-10-05T00:00:00Z", "2026-10-05T01:00:00Z"),
                     usage("SOFTINST-1", "requests", "800", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"),
                     usage("SOFTINST-1", "level", "100", "2026-10-01T00:00:00Z", "2026-10-31T00:00:00Z"), *more)
        document = Books(events, {"standard": books}).documents(run("RUN-1", OCTOBER, events))["PARTY-1"]
        return [(line.kind, show(line.quantity), show(line.amount)) for line in document.lines]

    def test_equal_prices_are_one_line(self):
        for rate, amount in (({"kind": "per_unit", "resource": "requests", "price": "0.01", "free": "1000"}, "6"),
                             ({"kind": "package", "resource": "requests", "price": "3", "size": "1000"}, "6"),
                             ({"kind": "per_unit", "resource": "requests", "price": "0.01", "free": "1000", "per": "customer"}, "6")):
            self.assertEqual(self.rated([rate], [rate]), [("usage", "1600", amount)])
        level = {"kind": "per_unit", "resource": "level", "price": "0.1"}
        self.assertEqual(self.rated([level], [level]), [("usage", "100", "10")])

    def test_a_book_that_restarts_counts_anew(self):
        rate = {"kind": "per_unit", "resource": "requests", "price": "0.01", "free": "1000"}
        self.assertEqual(self.rated([rate], [rate], on_change="restart"), [("usage", "800", "0"), ("usage", "800", "0")])

    def test_what_is_free_goes_on_at_another_price(self):
        for per in ("instance", "customer"):
            rate = {"kind": "per_unit", "resource": "requests", "price": "0.01", "free": "1000", "per": per}
            self.assertEqual(self.rated([rate], [{**rate, "price": "0.02"}]), [("usage", "800", "0"), ("usage", "800", "12")])

    def test_a_maximum_is_shared_by_time(self):
        level = {"kind": "per_unit", "resource": "level", "price": "2"}
        self.assertEqual(self.rated([level], [{**level, "price": "4"}]),
                         [("usage", "48.387096774", "96.77"), ("usage", "51.612903226", "206.45")])

    def test_one_minimum_covers_the_month(self):
        usage = {"kind": "per_unit", "resource": "requests", "price": "0.1875"}
        least = {"kind": "minimum", "price": "310"}
        self.assertEqual(self.rated([usage, least], [usage, least]), [("usage", "1600", "300"), ("minimum", "1", "10")])
        self.assertEqual(self.rated([usage, least], [usage, {**least, "price": "620"}]),
                         [("usage", "800", "150"), ("usage", "800", "150"), ("minimum", "1", "170")])

    def test_a_fee_ends_when_its_owner_ends_it(self):
        gone = ("InstanceChanged", "2026-10-02T00:00:00Z", {"instance": "SOFTINST-1", "state": "destroyed"})
        fee = {"kind": "recurring", "every": "month", "when": "arrears", "price": "31"}
        self.assertEqual(self.rated([fee], [fee], gone), [("recurring", "0.032258065", "1")])
        fee["until"] = "destroyed"
        self.assertEqual(self.rated([fee], [fee], gone), [("recurring", "1", "31")])


class Fees(unittest.TestCase):
    """Fees of other units than the calendar's months, worked out by hand."""

    def rated(self, rate, *lives, period=("2026-10-01", "2026-11-01")):
        rates = [{"every": "month", "when": "arrears", "kind": "recurring", **rate}]
        rows = [row for n, life in enumerate(lives, 1) for row in instance(f"SOFTINST-{n}", *life)]
        events = log(*rows)
        books = Books(events, {"standard": [{**BOOK, "rates": rates}]})
        document = books.documents(run("RUN-1", dict(zip(("start", "stop"), period)), events)).get("PARTY-1")
        return [(show(line.quantity), show(line.amount)) for line in document.lines] if document else []

    ANNIVERSARY = {"anchor": "anniversary", "price": "28"}
    FEBRUARY = ("2026-02-01", "2026-03-01")

    def test_an_anniversary_on_the_31st(self):
        self.assertEqual(self.rated(self.ANNIVERSARY, ["2026-01-31T06:00:00Z"], period=self.FEBRUARY), [("0.996543779", "27.9")])
        whole = {**self.ANNIVERSARY, "proration": "whole"}
        self.assertEqual(self.rated(whole, ["2026-01-31T06:00:00Z"], period=self.FEBRUARY), [("1", "28")])
        self.assertEqual(self.rated(whole, ["2026-01-31T06:00:00Z", "2026-02-20T00:00:00Z"], period=self.FEBRUARY), [])

    def test_times_of_all_instances_are_added(self):
        lives = [[f"2026-10-{day:02}T00:00:00Z", f"2026-10-{day:02}T00:30:00Z"] for day in range(1, 31)]
        fee = {"every": "hour", "price": "0.01", "per": "customer"}
        self.assertEqual(self.rated(fee, *lives), [("15", "0.15")])
        self.assertEqual(self.rated({**fee, "proration": "whole"}, *lives), [("30", "0.3")])

    def test_weeks_begin_on_monday(self):
        life = ["2026-10-07T00:00:00Z", "2026-10-19T00:00:00Z"]
        self.assertEqual(self.rated({"every": "week", "price": "7"}, life), [("1.714285714", "12")])
        self.assertEqual(self.rated({"every": "week", "price": "7", "proration": "whole"}, life), [("2", "14")])
        self.assertEqual(self.rated({"every": "week", "price": "7", "proration": "whole", "anchor": "2026-01-03"}, life),
                         [("3", "21")])

    def test_a_base_fee_is_owed_once(self):
        lives = [["2026-10-03T00:00:00Z", "2026-10-06T00:00:00Z"], ["2026-10-05T00:00:00Z", "2026-10-08T00:00:00Z"]]
        base = {"kind": "base_fee", "price": "31"}
        self.assertEqual(self.rated(base, *lives), [("0.161290323", "5")])
        self.assertEqual(self.rated({**base, "every": "quarter"}, *lives), [("0.053763441", "1.67")])
        self.assertEqual(self.rated({**base, "owed": "always", "match": {"customer": "PARTY-1"}}, *lives), [("1", "31")])


class Seats(unittest.TestCase):
    """Levels that carry over, worked out by hand."""

    def rated(self, meter, *reports, ended=None, group_by=()):
        resource = {"resource": "seats", "kind": "gauge", "meter": meter, "unit": "seat", "carry_over": True,
                    "group_by": list(group_by)}
        rate = {"kind": "per_unit", "resource": "seats", "price": "1"}
        events = log(*instance("SOFTINST-1", "2026-08-01T00:00:00Z", *([ended] if ended else [])),
                     *(usage("SOFTINST-1", "seats", *report) for report in reports))
        books = Books(events, {"standard": [{**BOOK, "resources": [resource], "rates": [rate]}]})
        document = books.documents(run("RUN-1", OCTOBER, events)).get("PARTY-1")
        return [show(line.quantity) for line in document.lines] if document else []

    AUGUST = ("3", "2026-08-10T00:00:00Z", "2026-08-10T01:00:00Z")
    TENTH = ("5", "2026-10-11T00:00:00Z", "2026-10-11T01:00:00Z")

    def test_the_last_report_holds_for_months(self):
        self.assertEqual(self.rated("latest", self.AUGUST), ["3"])
        self.assertEqual(self.rated("time_integral", self.AUGUST), ["2232"])  # 3 x 744
        self.assertEqual(self.rated("time_integral", self.AUGUST, self.TENTH), ["3240"])  # 3 x 240 + 5 x 504
        self.assertEqual(self.rated("average", self.AUGUST, self.TENTH), ["4.35483871"])
        self.assertEqual(self.rated("min", self.AUGUST, self.TENTH), ["3"])

    def test_it_ends_with_the_instance(self):
        self.assertEqual(self.rated("time_integral", self.AUGUST, ended="2026-10-02T00:00:00Z"), ["72"])
        self.assertEqual(self.rated("latest", self.AUGUST, ended="2026-09-02T00:00:00Z"), [])


class Unknown(unittest.TestCase):
    def test_an_event_that_is_not_known_is_a_fault(self):
        self.assertRaises(ValueError, Facts, log(("UsageVoidedSomehow", "2026-10-01T00:00:00Z", {})))


if __name__ == "__main__":
    unittest.main()
