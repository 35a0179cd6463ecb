//! The events behind lines that are about earlier documents, and what of each counts.

use slapledger_billing::explain::CountedEvent;
use slapledger_core::domain::id::{InstanceId, InvoiceId};
use slapledger_core::domain::invoice::{GiveBack, HowMuch, InvoiceLine, IssueCreditNote};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::usage::{Revision, UsageId};
use slapledger_core::domain::{Answer, Command};

use crate::cloud::{Cloud, PRODUCTION, REQUESTS, at};

/// Requests at 0.50, and whatever else is declared.
fn book(meter: &str, per: &str) -> String {
    let kind = if matches!(meter, "sum" | "count") { "counter" } else { "gauge" };
    format!(
        r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [{{ resource = "requests", kind = "{kind}", meter = "{meter}", unit = "u" }}]
rates = [
    {{ kind = "per_unit", resource = "requests", price = "0.50", per = "{per}" }},
    {{ kind = "recurring", every = "month", when = "arrears", price = "5" }},
]
"#
    )
}

/// One instance of one customer since the last day of September.
fn cloud(meter: &str) -> Cloud {
    let mut cloud = Cloud::new(&book(meter, "instance"));
    cloud.clock("2026-09-30T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    cloud
}

fn usage(cloud: &mut Cloud, id: &str, quantity: &str, day: u32) {
    reported(cloud, (id, Revision::None), quantity, day);
}

fn reported(cloud: &mut Cloud, (id, revision): (&str, Revision), quantity: &str, day: u32) {
    let period = [day, day + 1].map(|day| at(&format!("2026-10-{day:02}T00:00:00Z")));
    cloud.report(id, revision, ("slappart0", REQUESTS), quantity, (period[0], period[1]));
}

fn run(cloud: &mut Cloud, now: &str, period: (&str, &str)) {
    cloud.clock(now);
    let run = cloud.open_run(period.0, period.1);
    cloud.finalise(run);
}

fn october(cloud: &mut Cloud) {
    run(cloud, "2026-11-02T00:00:00Z", ("2026-10-01", "2026-11-01"));
}

fn november(cloud: &mut Cloud) {
    run(cloud, "2026-12-02T00:00:00Z", ("2026-11-01", "2026-12-01"));
}

fn line(cloud: &Cloud, invoice: &str, n: u32) -> InvoiceLine {
    let document = cloud.view.billing.document(invoice).expect(invoice);
    document.invoice.lines.iter().find(|line| line.n == n).expect("a line").clone()
}

/// What is behind a line: as many events as it names, and what of each counts.
#[track_caller]
fn check(cloud: &Cloud, (invoice, n): (&str, u32), amount: &str, quantities: &[&str]) {
    let line = line(cloud, invoice, n);
    assert_eq!(line.amount.to_string(), amount, "{}", line.description);
    let events = cloud.view.line_events(invoice, n).expect("they are found");
    assert_eq!(events.len() as u64, line.events.count);
    assert_eq!(events.len(), quantities.len());
    let counted = cloud.view.counted(invoice, n, &events);
    let of_each = counted.iter().flat_map(|(_, counted)| counted).map(|counted| counted.quantity.to_string());
    assert_eq!(of_each.collect::<Vec<_>>(), quantities, "{counted:?}");
}

fn credit(cloud: &mut Cloud, invoice: &str, lines: &[(u32, Option<&str>)]) -> InvoiceId {
    let original = cloud.view.billing.document(invoice).expect(invoice).invoice.clone();
    let of_line = |(n, amount): &(u32, Option<&str>)| {
        let much = amount.map_or(HowMuch::Rest, |amount| {
            HowMuch::Amount(Amount::parse(amount, original.currency).expect("an amount"))
        });
        (*n, much)
    };
    let give_back = GiveBack::Lines(lines.iter().map(of_line).collect());
    let command = IssueCreditNote { original, give_back, reason: "goodwill".into(), as_of: None };
    match cloud.execute(Command::IssueCreditNote(Box::new(command))) {
        Answer::Invoice(note) => note,
        other => panic!("{other:?}"),
    }
}

/// Where an invoice has no line, as what was used came to nothing, an adjustment names all events behind it: those that
/// were known then, too. It named two, and one was looked for.
#[test]
fn an_adjustment_of_nothing_names_all_that_is_behind_it() {
    let mut cloud = cloud("sum");
    usage(&mut cloud, "nothing", "0", 5);
    october(&mut cloud);
    usage(&mut cloud, "late", "10", 7);
    november(&mut cloud);
    check(&cloud, ("INV-2026-000002", 2), "5.00", &["0", "10"]);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

/// A level of 4 came to nothing by a late level of 0, and back as that was corrected to 6.
#[test]
fn an_adjustment_of_what_came_back_names_all_that_is_behind_it() {
    let mut cloud = cloud("min");
    usage(&mut cloud, "first", "4", 5);
    october(&mut cloud);
    usage(&mut cloud, "late", "0", 7);
    november(&mut cloud);
    check(&cloud, ("INV-2026-000002", 2), "-2.00", &["0"]);
    let replaces = UsageId::new("late").expect("an id");
    reported(&mut cloud, ("corrected", Revision::Replaces(replaces)), "6", 7);
    run(&mut cloud, "2027-01-02T00:00:00Z", ("2026-12-01", "2027-01-01"));
    check(&cloud, ("INV-2027-000001", 2), "2.00", &["4", "6"]);
}

/// A line of a credit note rests on what is behind the line it credits: of an adjustment, whole or in part, it was not found.
#[test]
fn what_is_behind_a_credited_adjustment_is_behind_its_credit_note() {
    for part in [None, Some("3.00")] {
        let mut cloud = cloud("sum");
        usage(&mut cloud, "first", "4", 5);
        october(&mut cloud);
        usage(&mut cloud, "late", "10", 7);
        usage(&mut cloud, "later", "6", 9);
        november(&mut cloud);
        check(&cloud, ("INV-2026-000002", 2), "8.00", &["10", "6"]);
        let note = credit(&mut cloud, "INV-2026-000002", &[(2, part)]);
        check(&cloud, (note.as_str(), 1), part.unwrap_or("8.00"), &["10", "6"]);
        // So is what is behind a fee and what is behind usage.
        let note = credit(&mut cloud, "INV-2026-000001", &[(2, part.map(|_| "1.00"))]);
        check(&cloud, (note.as_str(), 1), part.map_or("2.00", |_| "1.00"), &["4"]);
        let note = credit(&mut cloud, "INV-2026-000001", &[(1, None)]);
        assert!(cloud.view.line_events(note.as_str(), 1).is_some_and(|events| !events.is_empty()));
    }
}

/// An event that falls to two instances ends for the first in October and for the second in November: `count` counts each
/// where its part ends, and both were said to count.
#[test]
fn what_ends_elsewhere_is_not_counted() {
    let mut cloud = Cloud::new(&book("count", "customer"));
    let customer = cloud.customer("UTC");
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-10T00:00:00Z");
    cloud.end(customer, "one");
    cloud.clock("2026-10-20T00:00:00Z");
    cloud.request(customer, "two", &PRODUCTION);
    cloud.clock("2026-11-03T00:00:00Z");
    let about = ("slappart0", REQUESTS);
    cloud.usage(about, "7", ("2026-10-05T00:00:00Z", "2026-11-02T00:00:00Z"));
    cloud.usage(about, "1", ("2026-10-22T00:00:00Z", "2026-10-23T00:00:00Z"));
    run(&mut cloud, "2026-11-03T00:00:00Z", ("2026-10-01", "2026-11-01"));
    let events = cloud.view.line_events("INV-2026-000001", 3).expect("they are found");
    let counted: Vec<CountedEvent> = cloud.view.counted("INV-2026-000001", 3, &events);
    assert_eq!(line(&cloud, "INV-2026-000001", 3).quantity.to_string(), "2");
    let whose: Vec<Vec<(InstanceId, String)>> = counted
        .iter()
        .map(|(_, counted)| counted.iter().map(|one| (one.instance, one.stop.to_string())).collect())
        .collect();
    let (first, second) = (InstanceId(1), InstanceId(2));
    assert_eq!(
        whose,
        [vec![(first, "2026-10-10T00:00:00Z".to_owned())], vec![(second, "2026-10-23T00:00:00Z".to_owned())]]
    );
}
