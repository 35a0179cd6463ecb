//! What an earlier invoice could not know: fees settled after they were charged in advance, usage that came late.

use slapledger_core::domain::Command;
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::tax::SetTaxRate;
use slapledger_core::domain::usage::Revision;

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, SELLER, at};

const ADVANCE: &str = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
rates = [{ kind = "recurring", every = "month", when = "advance", price = "30.00" }]
"#;

#[test]
fn a_fee_in_advance_is_settled_by_the_time_that_was_allocated() {
    let mut cloud = Cloud::new(ADVANCE);
    let customer = cloud.customer("UTC");
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.request(customer, "two", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    // Half of October was not charged before; all of November is.
    let (half, whole) = ("0.516129032 month = 15.48 (-0.00387096)", "1 month = 30.00 (0)");
    assert_eq!(
        cloud.charges(october),
        [
            format!("PARTY-2: SOFTINST-1 recurring: {half}"),
            format!("PARTY-2: SOFTINST-2 recurring: {half}"),
            format!("PARTY-2: SOFTINST-1 advance: {whole}"),
            format!("PARTY-2: SOFTINST-2 advance: {whole}"),
        ]
    );
    cloud.finalise(october);
    // Two ends after ten days of November, which has thirty: 10.00 instead of 30.00.
    cloud.clock("2026-11-11T00:00:00Z");
    cloud.end(customer, "two");
    cloud.clock("2026-12-01T00:00:00Z");
    let november = cloud.open_run("2026-11-01", "2026-12-01");
    assert_eq!(
        cloud.charges(november),
        [
            "PARTY-2: SOFTINST-2 recurring: 0.333333333 month = 10.00 (0.00000001)",
            "PARTY-2: SOFTINST-2 advance of INV-2026-000001 line 4: -1 month = -30.00 (0)",
            "PARTY-2: SOFTINST-1 advance: 1 month = 30.00 (0)",
        ]
    );
    cloud.finalise(november);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// The rate changed after the fee was charged: the fee is the same and its tax is not. 30.00 were charged at 20 % and the
/// rate is 25 % from 1 October on.
#[test]
fn a_tax_rate_that_changed_after_an_advance_is_settled() {
    let mut cloud = Cloud::new(ADVANCE);
    let country = Some("FR".parse().expect("a country"));
    let description = Description { country, vat_id: true, ..Description::default() };
    cloud.execute(Command::DescribeParty(DescribeParty { party: SELLER, description }));
    let tax = |cloud: &mut Cloud, rate: &str, from: &str| {
        let (rate, valid_from) = (rate.parse().expect(rate), at(from));
        cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from }));
    };
    tax(&mut cloud, "20", "2026-01-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.clock("2026-09-01T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    let mut documents = Vec::new();
    let months = [("2026-09-01", "2026-10-01"), ("2026-10-01", "2026-11-01"), ("2026-11-01", "2026-12-01")];
    for (start, stop) in months {
        cloud.clock(&format!("{stop}T06:00:00Z"));
        let run = cloud.open_run(start, stop);
        let taxes: Vec<_> = cloud
            .view
            .billing
            .documents_of(run)
            .flat_map(|document| &document.invoice.tax)
            .map(|subtotal| format!("{} % of {} = {}", subtotal.tax.rate, subtotal.base, subtotal.amount))
            .collect();
        documents.push((cloud.charges(run), taxes));
        cloud.finalise(run);
        if stop == "2026-10-01" {
            cloud.clock("2026-10-05T00:00:00Z");
            tax(&mut cloud, "25", "2026-10-01T00:00:00Z");
        }
    }
    let expected = [
        "PARTY-2: SOFTINST-1 recurring: 1 month = 30.00 (0)",
        "PARTY-2: SOFTINST-1 advance of INV-2026-000001 line 2: -1 month = -30.00 (0)",
        "PARTY-2: SOFTINST-1 advance: 1 month = 30.00 (0)",
    ];
    assert_eq!(documents[1].0, expected);
    assert_eq!(documents[1].1, ["20 % of -30.00 = -6.00", "25 % of 60.00 = 15.00"]);
    // What was charged at the new rate is settled by nothing.
    assert_eq!(documents[2].0, ["PARTY-2: SOFTINST-1 advance: 1 month = 30.00 (0)"]);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// October is invoiced with 12 hours at 50 percent: 600 `percent_hour` x 0.002 = 1.20.
fn invoiced() -> Cloud {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud.report("first", Revision::None, ("slappart0", CPU), "50", day(5));
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    let lines = [
        "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)",
        "PARTY-2: SOFTINST-1 usage of cpu: 600 percent_hour = 1.20 (0)",
    ];
    assert_eq!(cloud.charges(october), lines);
    cloud.finalise(october);
    cloud
}

/// The first half of a day of October.
fn day(day: u32) -> (slapledger_core::domain::time::Timestamp, slapledger_core::domain::time::Timestamp) {
    (at(&format!("2026-10-{day:02}T00:00:00Z")), at(&format!("2026-10-{day:02}T12:00:00Z")))
}

fn november(cloud: &mut Cloud) -> Vec<String> {
    cloud.clock("2026-12-01T00:00:00Z");
    let run = cloud.open_run("2026-11-01", "2026-12-01");
    let charges = cloud.charges(run);
    for (document, line) in cloud
        .view
        .billing
        .documents_of(run)
        .flat_map(|document| document.invoice.lines.iter().map(move |line| (document, line)))
    {
        let events = cloud.view.line_events(document.invoice.id.as_str(), line.n);
        assert!(events.is_some(), "the events of {line:?} are found again");
    }
    cloud.finalise(run);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
    charges
}

const FEE: &str = "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)";

#[test]
fn late_usage_is_an_adjustment_that_cites_the_line() {
    let mut cloud = invoiced();
    cloud.clock("2026-11-03T00:00:00Z");
    cloud.report("late", Revision::None, ("slappart0", CPU), "10", day(6));
    // 120 percent_hours more: 0.24.
    let late = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 120 percent_hour = 0.24 (0)";
    assert_eq!(november(&mut cloud), [FEE, late]);
    // It is charged once.
    cloud.clock("2027-01-01T00:00:00Z");
    let december = cloud.open_run("2026-12-01", "2027-01-01");
    assert_eq!(cloud.charges(december), [FEE]);
}

/// What came late and changed nothing is behind no line. It is behind the next adjustment, with what changed something.
#[test]
fn events_that_changed_nothing_are_behind_the_next_adjustment() {
    let mut cloud = invoiced();
    cloud.clock("2026-11-03T00:00:00Z");
    cloud.report("nothing", Revision::None, ("slappart0", CPU), "0", day(6));
    assert_eq!(november(&mut cloud), [FEE]);
    cloud.report("late", Revision::None, ("slappart0", CPU), "10", day(7));
    cloud.clock("2027-01-01T00:00:00Z");
    let december = cloud.open_run("2026-12-01", "2027-01-01");
    let late = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 120 percent_hour = 0.24 (0)";
    assert_eq!(cloud.charges(december), [FEE, late]);
    let draft = cloud.view.billing.documents_of(december).next().expect("a draft");
    let behind: Vec<u64> = draft.invoice.lines.iter().map(|line| line.events.count).collect();
    assert_eq!(behind[1], 2);
    assert!(cloud.view.line_events(draft.invoice.id.as_str(), 2).is_some());
}

#[test]
fn corrected_usage_is_adjusted_by_the_difference() {
    let mut cloud = invoiced();
    cloud.clock("2026-11-03T00:00:00Z");
    let instead_of = Revision::Replaces("first".parse_id());
    cloud.report("second", instead_of, ("slappart0", CPU), "0", day(5));
    let given = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: -600 percent_hour = -1.20 (0)";
    assert_eq!(november(&mut cloud), [FEE, given]);
}

#[test]
fn usage_that_no_line_was_about_cites_the_document() {
    let mut cloud = invoiced();
    cloud.clock("2026-11-03T00:00:00Z");
    cloud.report("late", Revision::None, ("slappart0", "requests"), "1000", day(6));
    let late = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 0: 1000 request = 0.50 (0)";
    assert_eq!(november(&mut cloud), [FEE, late]);
}

/// The oracle found no events behind such a line: what took it away is no part of any line.
#[test]
fn a_line_that_is_gone_rests_on_what_took_it_away() {
    let book = "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"2026-01-01T00:00:00Z\"\n\
        resources = [{ resource = \"cpu\", kind = \"gauge\", meter = \"min\", unit = \"percent\" }]\n\
        rates = [{ kind = \"per_unit\", resource = \"cpu\", price = \"1\" }]";
    let mut cloud = Cloud::new(book);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud.report("first", Revision::None, ("slappart0", CPU), "50", day(5));
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(october);
    cloud.clock("2026-11-03T00:00:00Z");
    cloud.report("late", Revision::None, ("slappart0", CPU), "0", day(6));
    let late = cloud.log.last().expect("it is recorded").sequence;
    let given = "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 1: 50 percent = 50.00 (0)";
    assert_eq!(november(&mut cloud), [given]);
    let note = cloud.view.billing.document("INVCN-2026-000001").expect("it gives more than it asks for");
    assert_eq!((note.invoice.lines[0].events.count, note.invoice.lines[0].events.first_sequence), (1, late));
}

/// A bill that gives more than it asks for is a credit note.
#[test]
fn a_document_below_nothing_is_a_credit_note() {
    let mut cloud = invoiced();
    cloud.clock("2026-11-01T00:00:01Z");
    let customer = slapledger_core::domain::id::PartyId(2);
    cloud.end(customer, "one");
    cloud.report("second", Revision::Replaces("first".parse_id()), ("slappart0", CPU), "0", day(5));
    assert_eq!(
        november(&mut cloud),
        [
            "PARTY-2: SOFTINST-1 recurring: -0.000000386 month = 0.00 (0.00000386)",
            "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 2: 600 percent_hour = 1.20 (0)",
        ]
    );
}

/// November gives 30.00 back that were charged for it in advance, so what it charges is turned round on a credit note:
/// 500 x -0.001, and what is charged once with them.
#[test]
fn a_line_that_is_turned_round_shows_what_is_charged_once() {
    let mut cloud = Cloud::new(
        r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [{ resource = "requests", kind = "counter", meter = "sum", unit = "request" }]
rates = [
    { kind = "recurring", every = "month", when = "advance", price = "30.00" },
    { kind = "volume", resource = "requests", tiers = [{ price = "0.001", flat = "1.00" }] },
]
"#,
    );
    let customer = cloud.customer("UTC");
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(october);
    cloud.clock("2026-11-02T00:00:00Z");
    cloud.usage(("slappart0", "requests"), "500", ("2026-11-01T00:00:00Z", "2026-11-01T12:00:00Z"));
    cloud.end(customer, "one");
    cloud.clock("2026-12-01T00:00:00Z");
    let november = cloud.open_run("2026-11-01", "2026-12-01");
    let lines = cloud.view.billing.documents_of(november).flat_map(|document| &document.invoice.lines);
    let steps = lines.flat_map(|line| line.steps.iter().map(move |step| (line.amount, step)));
    let shown =
        steps.map(|(amount, step)| format!("{} x {} + {} = {amount}", step.quantity, step.price, step.flat));
    assert_eq!(shown.collect::<Vec<_>>(), ["-500 x 0.001 + 1 = -1.50"]);
    cloud.finalise(november);
}

trait ParseId {
    fn parse_id(&self) -> slapledger_core::domain::usage::UsageId;
}

impl ParseId for str {
    fn parse_id(&self) -> slapledger_core::domain::usage::UsageId {
        slapledger_core::domain::usage::UsageId::new(self).expect(self)
    }
}
