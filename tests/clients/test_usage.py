"""Usage in: TioXML through useComputer, CloudEvents through POST /v1/usage-events. Slapledger alone meters.

Resources are reported for whole hours, so that a gauge and its integral over the time are the same number.
"""

import json
import unittest
from decimal import Decimal

from server import slapledger_only
from slap_case import SlapTestCase, cloud_event, journal, movement, transaction

CPU = "service_module/cpu_load_percent"
DISK = "service_module/disk_used"
HOUR = ("2026-10-01 00:00:00", "2026-10-01 00:59:59")


class UsageTestCase(SlapTestCase):
    """An instance that has had slappart0 since 1 October; it is 2 October."""

    clock = "2026-10-01T00:00:00Z"

    def setUp(self):
        super().setUp()
        self.format("slappart0", "slappart1")
        self.request("one")
        self.request("two")
        self.one, self.two = self.instance("one")["id"], self.instance("two")["id"]
        self.server.set_clock("2026-10-02T00:00:00Z")

    def assertNothingMetered(self):
        self.assertEqual(self.usage(self.one), {})
        self.assertEqual(self.usage(self.two), {})


@slapledger_only
class TioXml(UsageTestCase):
    """useComputer."""

    def assertReported(self, document):
        self.assertStatus(self.report(document), 200)

    def test_a_daily_report_is_metered(self):
        self.assertReported(journal(transaction(
            "2026-10-01-global", *HOUR, movement(CPU, "slappart0", "12.5"), movement(DISK, "slappart0", "1e3"),
            movement(CPU, "slappart1", "0.25"))))
        self.assertEqual(self.usage(self.one), {CPU: Decimal("12.5"), DISK: 1000})
        self.assertEqual(self.usage(self.two), {CPU: Decimal("0.25")})
        self.assertEqual(self.suspended(), [])

    def test_a_partition_is_known_by_its_unix_user_and_its_instance_id(self):
        self.assertReported(journal(transaction(
            "2026-10-01-global", *HOUR, movement(CPU, "slapuser0", "1"), movement(CPU, self.two, "2"))))
        self.assertEqual(self.usage(self.one), {CPU: 1})
        self.assertEqual(self.usage(self.two), {CPU: 2})

    def test_every_transaction_of_a_document_counts(self):
        self.assertReported(journal(
            transaction("a", *HOUR, movement(CPU, "slappart0", "1")),
            transaction("b", "2026-10-01 01:00:00", "2026-10-01 01:59:59", movement(CPU, "slappart0", "2"))))
        self.assertEqual(self.usage(self.one), {CPU: 3})
        (readings,) = self.readings(self.one, "2026-10-01T00:00:00Z", "2026-10-01T03:00:00Z", "hour")["resources"]
        self.assertEqual([(step["start"][:19], step["events"], Decimal(step["sum"]), Decimal(step["time_integral"]))
                          for step in readings["steps"]],
                         [("2026-10-01T00:00:00", 1, 1, 1), ("2026-10-01T01:00:00", 1, 2, 2),
                          ("2026-10-01T02:00:00", 0, 0, 0)])

    def test_the_same_report_again_is_not_metered_again(self):
        document = journal(transaction("2026-10-01-global", *HOUR, movement(CPU, "slappart0", "12.5")))
        for _ in range(3):
            self.assertReported(document)
        self.assertEqual(self.usage(self.one), {CPU: Decimal("12.5")})

    def test_a_later_report_of_the_day_corrects_and_the_earlier_does_not_come_back(self):
        early = journal(transaction("2026-10-01-global", *HOUR, movement(CPU, "slappart0", "10")))
        late = journal(transaction("2026-10-01-global", *HOUR, movement(CPU, "slappart0", "12.5")))
        for document, expected in ((early, 10), (late, Decimal("12.5")), (early, Decimal("12.5")), (late, Decimal("12.5"))):
            self.assertReported(document)
            self.assertEqual(self.usage(self.one), {CPU: expected})

    def test_the_aggregated_form_starts_where_the_last_one_ended(self):
        def aggregated(stop, quantity):
            """What `slapos node report` sends: no start, local time with 'at', texts None."""
            return (
                '<?xml version="1.0"?><journal><transaction type="Sale Packing List"><title>Resource consumptions</title>'
                f"<start_date></start_date><stop_date>{stop}</stop_date><reference>{self.computer}</reference>"
                "<currency></currency><payment_mode></payment_mode><category></category>"
                '<arrow type="Administration"><source></source><destination></destination></arrow><movement>'
                f"<resource>{CPU}</resource><title>CPU</title><reference>slappart0</reference>"
                f"<quantity>{quantity}</quantity><price>0.0</price><VAT>None</VAT><category>None</category></movement>"
                "</transaction></journal>")

        self.assertReported(aggregated("2026-10-01 at 01:00:00", "1.5"))
        self.assertReported(aggregated("2026-10-01 at 02:00:00", "2.5"))
        self.assertReported(aggregated("2026-10-01 at 02:00:00", "2.5"))
        first_hour = ("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z", "hour")
        self.assertEqual(self.usage(self.one, *first_hour), {CPU: Decimal("1.5")})
        self.assertEqual(self.usage(self.one), {CPU: 4})

    def test_what_cannot_be_metered_is_suspended_alone(self):
        good = movement(CPU, "slappart1", "1")
        for number, (name, document) in enumerate((
            ("NaN", transaction("t1", *HOUR, movement(CPU, "slappart0", "NaN"))),
            ("INF", transaction("t2", *HOUR, movement(CPU, "slappart0", "INF"))),
            ("minus INF", transaction("t3", *HOUR, movement(CPU, "slappart0", "-INF"))),
            ("out of range", transaction("t4", *HOUR, movement(CPU, "slappart0", "1e30"))),
            ("unknown reference", transaction("t5", *HOUR, movement(CPU, "slappart9", "1"))),
            ("empty reference", transaction("t6", *HOUR, movement(CPU, "", "1"))),
            ("future", transaction("t7", "2026-10-03 00:00:00", "2026-10-03 00:59:59", movement(CPU, "slappart0", "1"))),
            ("stop before start", transaction("t8", HOUR[1], HOUR[0], movement(CPU, "slappart0", "1"))),
            ("no time", transaction("t9", "yesterday", "today", movement(CPU, "slappart0", "1"))),
            ("unallocated", transaction("t10", "2026-09-30 00:00:00", "2026-09-30 00:59:59",
                                        movement(CPU, "slappart0", "1"))),
        ), 1):
            with self.subTest(name):
                self.assertReported(journal(document))
                suspended = self.suspended()
                self.assertEqual(len(suspended), number, suspended)
                self.assertTrue(all(item["reason"] for item in suspended), suspended)
                self.assertEqual(self.usage(self.one), {})
        self.assertReported(journal(transaction("t11", *HOUR, movement(CPU, "slappart0", "NaN"), good)))
        self.assertEqual(self.usage(self.two), {CPU: 1})

    def test_what_is_suspended_can_be_dismissed(self):
        self.assertReported(journal(transaction("t", *HOUR, movement(CPU, "slappart9", "1"))))
        (item,) = self.suspended()
        answer = self.server.post_json(f"v1/usage-suspense/{item['sequence']}/dismiss", {"reason": "a test"})
        self.assertStatus(answer, 200, 204)
        self.assertEqual(self.suspended(), [])
        self.assertNothingMetered()

    def test_documents_that_are_none_are_400(self):
        good = journal(transaction("t", *HOUR, movement(CPU, "slappart0", "1")))
        for name, document in (
            ("malformed", good[:-5]),
            ("not XML", "cpu=1"),
            ("empty", ""),
            ("control character", good.replace("Eco", "E\x01o")),
            ("other root", "<marshal/>"),
            ("no transaction", journal()),
            ("no movement", journal(transaction("t", *HOUR))),
            ("wrong order", good.replace("<currency/><payment_mode/>", "<payment_mode/><currency/>")),
            ("missing element", good.replace("<reference>t</reference>", "")),
            ("unknown element", good.replace("<currency/>", "<currency/><colour/>")),
            ("missing attribute", good.replace(' type="Destination"', "")),
            ("unknown attribute", good.replace('type="Destination"', 'type="Destination" colour="blue"')),
            ("quantity no number", good.replace(">1<", ">one<")),
            ("quantity empty", good.replace("<quantity>1</quantity>", "<quantity/>")),
            ("entities", '<!DOCTYPE journal [<!ENTITY e "1">]>' + good.split("?>", 1)[1].replace(">1<", ">&e;<")),
        ):
            with self.subTest(name):
                self.assertNotEqual(document, good)
                self.assertStatus(self.report(document), 400)
        self.assertNothingMetered()
        self.assertEqual(self.suspended(), [])
        self.assertReported(good)
        self.assertEqual(self.usage(self.one), {CPU: 1})

    def test_an_unknown_computer_is_404(self):
        document = journal(transaction("t", *HOUR, movement(CPU, "slappart0", "1")))
        self.assertStatus(self.report(document, computer="COMP-404"), 404)
        self.assertNothingMetered()


@slapledger_only
class CloudEvents(UsageTestCase):
    """POST /v1/usage-events."""

    hour = ("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z")

    def event(self, event_id="e1", subject="slappart0", quantity="12.5", hour=None, resource=CPU, **data):
        return cloud_event(self.computer, event_id, subject, resource, quantity, *(hour or self.hour), **data)

    def assertCounts(self, answer, accepted=0, duplicates=0, suspended=0, rejected=0):
        counts = {key: answer[key] for key in ("accepted", "duplicates", "suspended", "rejected")}
        self.assertEqual(counts, {"accepted": accepted, "duplicates": duplicates, "suspended": suspended,
                                  "rejected": rejected}, answer)
        self.assertEqual(len(answer["outcomes"]), duplicates + suspended + rejected, answer)
        self.assertIsInstance(answer["sequence"], int)

    def test_one_event(self):
        answer = self.server.post_json("v1/usage-events", self.event(), "application/cloudevents+json")
        self.assertCounts(self.assertStatus(answer, 200).json(), accepted=1)
        self.assertEqual(self.usage(self.one), {CPU: Decimal("12.5")})

    def test_a_batch_and_lines(self):
        self.assertCounts(self.post_usage(self.event("e1"), self.event("e2", self.two, "1"),
                                          self.event("e3", resource=DISK)), accepted=3)
        lines = "".join(json.dumps(self.event(f"l{n}", quantity="1", hour=(
            f"2026-10-01T0{n}:00:00Z", f"2026-10-01T0{n + 1}:00:00Z"))) + "\n" for n in range(1, 5))
        answer = self.server.call("POST", "v1/usage-events", lines.encode(), "application/x-ndjson")
        self.assertCounts(self.assertStatus(answer, 200).json(), accepted=4)
        self.assertEqual(self.usage(self.one), {CPU: Decimal("16.5"), DISK: Decimal("12.5")})
        self.assertEqual(self.usage(self.two), {CPU: 1})

    def test_the_same_content_again_is_a_duplicate(self):
        first = self.post_usage(self.event())
        same = self.event(quantity="12.50")  # the same number
        answer = self.post_usage(same, self.event("e2", self.two, "1"), same)
        self.assertCounts(answer, accepted=1, duplicates=2)
        outcome = answer["outcomes"][0]
        self.assertEqual((outcome["index"], outcome["id"], outcome["outcome"], outcome["sequence"]),
                         (0, "e1", "duplicate", first["sequence"]))
        self.assertEqual(answer["outcomes"][1]["index"], 2)
        self.assertEqual(self.usage(self.one), {CPU: Decimal("12.5")})

    def test_a_duplicate_stays_one_after_a_restart(self):
        self.post_usage(self.event())
        self.server.restart()
        self.assertCounts(self.post_usage(self.event()), duplicates=1)
        self.assertEqual(self.usage(self.one), {CPU: Decimal("12.5")})

    def test_other_content_under_the_same_id_is_a_conflict(self):
        self.post_usage(self.event())
        answer = self.post_usage(self.event(quantity="13"), self.event("e2", self.two, "1"))
        self.assertCounts(answer, accepted=1, rejected=1)
        (outcome,) = answer["outcomes"]
        self.assertEqual((outcome["index"], outcome["id"], outcome["outcome"], outcome["field"]),
                         (0, "e1", "conflict", "data.quantity"))
        self.assertTrue(outcome["reason"])
        self.assertEqual(self.usage(self.one), {CPU: Decimal("12.5")})

    def test_the_id_of_another_source_is_another_event(self):
        self.format("slappart0", computer="COMP-2")
        self.request("three", filter_kw={"computer_guid": "COMP-2"})
        self.server.set_clock("2026-10-03T00:00:00Z")
        hour = ("2026-10-02T01:00:00Z", "2026-10-02T02:00:00Z")
        other = cloud_event("COMP-2", "e1", "slappart0", CPU, "7", *hour)
        self.assertCounts(self.post_usage(self.event(hour=hour), other), accepted=2)
        self.assertEqual(self.usage(self.one), {CPU: Decimal("12.5")})
        self.assertEqual(self.usage(self.instance("three")["id"]), {CPU: 7})

    def test_an_event_replaces_an_earlier_one(self):
        self.post_usage(self.event())
        self.assertCounts(self.post_usage(self.event("e2", quantity="13", replaces="e1")), accepted=1)
        self.assertEqual(self.usage(self.one), {CPU: 13})
        self.assertCounts(self.post_usage(self.event(), self.event("e2", quantity="13", replaces="e1")), duplicates=2)
        self.assertEqual(self.usage(self.one), {CPU: 13})

    def test_what_cannot_be_metered_is_suspended_alone(self):
        future = ("2026-10-03T00:00:00Z", "2026-10-03T01:00:00Z")
        before = ("2026-09-30T00:00:00Z", "2026-09-30T01:00:00Z")
        answer = self.post_usage(
            self.event("unknown", "slappart9"), self.event("future", hour=future),
            self.event("backwards", hour=self.hour[::-1]), self.event("unallocated", hour=before),
            self.event("NaN", quantity="NaN"), self.event("INF", quantity="INF"),
            self.event("good", self.two, "1"))
        self.assertCounts(answer, accepted=1, suspended=6)
        fields = {outcome["id"]: outcome["field"] for outcome in answer["outcomes"]}
        self.assertTrue(all(o["outcome"] == "suspended" and o["reason"] for o in answer["outcomes"]), answer)
        self.assertEqual(fields["unknown"], "subject")
        self.assertEqual((fields["NaN"], fields["INF"]), ("data.quantity", "data.quantity"))
        self.assertEqual(len(self.suspended()), 6)
        self.assertEqual(self.usage(self.one), {})
        self.assertEqual(self.usage(self.two), {CPU: 1})

    def test_an_event_that_is_none_is_rejected_alone(self):
        def without(*path):
            event = self.event("bad")
            inner = event
            for name in path[:-1]:
                inner = inner[name]
            del inner[path[-1]]
            return event

        for name, bad in (
            ("no id", without("id")), ("no source", without("source")), ("no version", without("specversion")),
            ("no data", without("data")), ("no quantity", without("data", "quantity")),
            ("other version", {**self.event("bad"), "specversion": "9"}),
            ("empty id", self.event("")), ("a number", 5), ("control character", self.event("b\x01d")),
        ):
            with self.subTest(name):
                good = self.event(f"good {name}", self.two, "1", resource=DISK)
                answer = self.post_usage(bad, good)
                self.assertCounts(answer, accepted=1, rejected=1)
                self.assertEqual(answer["outcomes"][0]["index"], 0)
                self.assertTrue(answer["outcomes"][0]["reason"])
        self.assertEqual(self.usage(self.one), {})

    def test_an_event_that_cannot_be_metered_is_suspended_alone(self):
        for name, change, field in (
            ("no resource", {"resource": None}, "data.resource"), ("no number", {"quantity": "NaN"}, "data.quantity"),
            ("no stop", {"stop": None}, "data.stop"), ("bad start", {"start": "yesterday"}, "data.start"),
            ("bad stop", {"stop": "today"}, "data.stop"),
        ):
            with self.subTest(name):
                bad = self.event(f"bad {name}")
                bad["data"] = {key: value for key, value in (bad["data"] | change).items() if value is not None}
                good = self.event(f"good {name}", self.two, "1", resource=DISK)
                answer = self.post_usage(bad, good)
                self.assertCounts(answer, accepted=1, suspended=1)
                outcome = answer["outcomes"][0]
                self.assertEqual((outcome["index"], outcome["field"]), (0, field))
                suspended = self.suspended()[-1]
                self.assertEqual((suspended["id"], suspended["field"]), (f"bad {name}", field))
                # What could not be read is kept as it was written.
                for instant in ("start", "stop"):
                    unreadable = change.get(instant)
                    self.assertEqual(suspended[f"unreadable_{instant}"], unreadable)
                    self.assertEqual(suspended[instant] is None, instant in change)
        self.assertEqual(self.usage(self.one), {})

    def test_bodies_that_are_none(self):
        event = json.dumps(self.event()).encode()
        batch = "application/cloudevents-batch+json"
        for name, body, content_type, status in (
            ("malformed", event[:-1], "application/cloudevents+json", 400),
            ("malformed batch", b"[" + event + b",]", batch, 400),
            ("an object as a batch", event, batch, 400),
            ("a batch as an event", b"[" + event + b"]", "application/cloudevents+json", 400),
            ("empty", b"", batch, 400),
            ("not UTF-8", event.replace(b"slappart0", b"slap\xff"), "application/cloudevents+json", 400),
            ("deep", b"[" * 100000, batch, 400),
            ("plain text", event, "text/plain", 415),
            ("plain JSON", event, "application/json", 415),
            ("form", b"a=b", "application/x-www-form-urlencoded", 415),
        ):
            with self.subTest(name):
                self.assertProblem(self.server.call("POST", "v1/usage-events", body, content_type), status)
        self.assertNothingMetered()
        self.assertEqual(self.suspended(), [])
        self.assertCounts(self.post_usage(self.event()), accepted=1)

    def test_a_body_of_100_megabytes_is_413(self):
        for chunked in (False, True):
            with self.subTest(chunked=chunked):
                answer = self.server.post_endless("v1/usage-events", "application/x-ndjson", 100_000_000, chunked)
                self.assertStatus(answer, 413)
        self.assertNothingMetered()
        self.assertCounts(self.post_usage(self.event()), accepted=1)

    def test_reads_name_their_sequence_and_can_wait_for_one(self):
        sequence = self.post_usage(self.event())["sequence"]
        seen = self.readings(self.one, *self.hour, "hour", min_sequence=sequence)
        self.assertGreaterEqual(seen["sequence"], sequence)
        (readings,) = seen["resources"]
        self.assertEqual([Decimal(step["sum"]) for step in readings["steps"]], [Decimal("12.5")])

    def test_a_gauge_is_integrated_over_its_period(self):
        self.post_usage(self.event(hour=("2026-10-01T00:30:00Z", "2026-10-01T02:00:00Z")))
        (readings,) = self.readings(self.one, "2026-10-01T00:00:00Z", "2026-10-01T03:00:00Z", "hour")["resources"]
        self.assertEqual([Decimal(step["time_integral"]) for step in readings["steps"]],
                         [Decimal("6.25"), Decimal("12.5"), 0])


@slapledger_only
class Tenants(SlapTestCase):
    """A period in which the partition changed hands."""

    clock = "2026-10-01T00:00:00Z"

    def test_a_counter_is_split_by_time(self):
        self.assertStatus(self.server.post_json("v1/price-books", {
            "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
            "resources": [{"resource": "service_module/requests", "kind": "counter", "meter": "sum", "unit": "request"}],
            "rates": [{"kind": "per_unit", "resource": "service_module/requests", "price": "0.01"}]}), 201)
        self.format("slappart0")
        self.request("first")
        first = self.instance("first")["id"]
        self.server.set_clock("2026-10-01T01:00:00Z")
        self.free("first")
        self.request("second")
        second = self.instance("second")["id"]
        self.server.set_clock("2026-10-02T00:00:00Z")
        answer = self.post_usage(cloud_event(
            self.computer, "e1", "slappart0", "service_module/requests", "10",
            "2026-10-01T00:00:00Z", "2026-10-01T03:00:00Z"))
        self.assertEqual(answer["accepted"], 1, answer)
        # One hour of three is the first tenant's: 10/3 at nine decimals, and the rest is the second's.
        first_part = self.usage(first)["service_module/requests"]
        second_part = self.usage(second)["service_module/requests"]
        self.assertEqual(first_part, Decimal("3.333333333"))
        self.assertEqual(first_part + second_part, 10)


if __name__ == "__main__":
    unittest.main()
