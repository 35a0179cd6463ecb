//! Months that are invoiced in parts: on demand, at a threshold, and documents about nothing.

use slapledger_core::domain::invoice::{Invoice, RunReason};

use super::{BUYER, book, check, invoice, taxed};
use crate::cloud::{Cloud, PRODUCTION, REQUESTS, SELLER, at};

/// The document of a run for the buyer, when the run is final.
fn issued(cloud: &Cloud, id: &str) -> Invoice {
    let document = cloud.view.billing.document(id).expect(id);
    assert!(document.issued.is_some());
    document.invoice.clone()
}

/// A month is invoiced at a threshold of 150.00, and then for the rest.
///
/// There are a fee of 31.00 a month, requests at 0.20 until 1,000 in a month and at 0.10 from then on, and a minimum of
/// 310.00 a month. On the 11th, 10 of 31 days are over:
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | monthly fee | 10 / 31 = 0.322 580 645 | x 31.00 = 9.999 999 995, so 10.00 |
/// | requests | 900 of the 5th | x 0.20 = 180.00 |
/// | minimum | 0.322 580 645 x 310.00 = 99.999 999 95, so 100.00, which is less than 190.00 | none |
///
/// 190.00 reach the threshold; x 20 % = 38.00. The monthly invoice is about the time from the 11th on:
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | monthly fee | 21 / 31 = 0.677 419 355 | x 31.00 = 21.000 000 005, so 21.00 |
/// | requests | 300 of the 20th: 100 are left of the first tier | 100 x 0.20 + 200 x 0.10 = 40.00 |
/// | minimum | 310.00 for the month, less 10.00 + 180.00 + 21.00 + 40.00, and nothing before | 59.00 |
///
/// 120.00; x 20 % = 24.00. Together 310.00, as one invoice of the month would say.
#[test]
fn a_threshold_invoice_followed_by_the_monthly_one() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "31.00" },
        { kind = "graduated", resource = "requests", tiers = [{ up_to = "1000", price = "0.20" }, { price = "0.10" }] },
        { kind = "minimum", price = "310.00" }"#;
    let prices =
        book("EUR", "2026-01-01T00:00:00Z", rates).replace("rates =", "threshold = \"150.00\"\nrates =");
    let mut cloud = Cloud::new(&prices);
    taxed(&mut cloud, "FR", "20");
    let customer = cloud.customer("UTC");
    let other = cloud.customer("UTC");
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.request(other, "mail", &PRODUCTION);
    cloud.clock("2026-10-06T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "900", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
    cloud.clock("2026-10-11T00:00:00Z");
    let name = "standard".parse().expect("a name");
    let reached = |cloud: &Cloud, payer, now| {
        let as_of = (cloud.log.last().expect("events").sequence, at(now));
        let reached = cloud.view.reached_threshold((SELLER, payer), &name, as_of);
        reached.map(|reached| (reached.period.to_string(), reached.amount.to_string()))
    };
    let tenth = "2026-10-01T00:00:00Z/2026-10-11T00:00:00Z".to_owned();
    assert_eq!(reached(&cloud, customer, "2026-10-11T00:00:00Z"), Some((tenth, "190.00".to_owned())));
    // 46.5 days of the minimum would be 150.00.
    assert_eq!(reached(&cloud, other, "2026-10-11T00:00:00Z"), None);
    let run = cloud.open_run_because(RunReason::Threshold, &[customer], "2026-10-01", "2026-10-11T00:00:00Z");
    assert!(cloud.view.billing.awaits_document(customer) && !cloud.view.billing.awaits_document(other));
    cloud.finalise(run);
    assert!(!cloud.view.billing.awaits_document(customer));
    assert_eq!(reached(&cloud, customer, "2026-10-11T00:00:00Z"), None);
    let first = issued(&cloud, &format!("{run}-{BUYER}"));
    assert_eq!(cloud.view.billing.documents_of(run).count(), 1);
    check(
        "a_threshold_invoice",
        &first,
        &[("0.322580645", "10.00"), ("900", "180.00")],
        ["190.00", "38.00", "228.00"],
    );
    cloud.clock("2026-10-21T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "300", ("2026-10-20T00:00:00Z", "2026-10-21T00:00:00Z"));
    let second = invoice(&mut cloud, "2026-11-01T00:00:00Z", ("2026-10-01", "2026-11-01"));
    assert_eq!(second.period.to_string(), "2026-10-11T00:00:00Z/2026-11-01T00:00:00Z");
    let lines = [("0.677419355", "21.00"), ("300", "40.00"), ("0.677419355", "59.00")];
    check("followed_by_the_monthly_one", &second, &lines, ["120.00", "24.00", "144.00"]);
    // The other customer has one invoice for all of the month.
    let whole = issued(&cloud, &format!("{}-{other}", second.run));
    assert_eq!((whole.net.to_string(), whole.lines.len()), ("310.00".to_owned(), 2));
}

/// Documents about nothing are not drafted, and what comes late is charged once.
///
/// October has 5 requests at 0.001: 0.005 would be 0.01, so there are 4, and 0.004 is 0.00. Late in November come 10
/// more of October: 14 x 0.001 = 0.014, so 0.01, of which nothing was charged. November has 100 requests: 0.10.
#[test]
fn a_skipped_document_and_late_usage_for_it() {
    let rates = r#"{ kind = "per_unit", resource = "requests", price = "0.001" }"#;
    let skip =
        book("EUR", "2026-01-01T00:00:00Z", rates).replace("rates =", "zero_invoices = \"skip\"\nrates =");
    for (prices, documents) in [(skip, 0), (book("EUR", "2026-01-01T00:00:00Z", rates), 1)] {
        let mut cloud = Cloud::new(&prices);
        let customer = cloud.customer("UTC");
        cloud.clock("2026-10-01T00:00:00Z");
        cloud.request(customer, "web", &PRODUCTION);
        cloud.clock("2026-11-01T00:00:00Z");
        cloud.usage(("slappart0", REQUESTS), "4", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
        let october = cloud.open_run("2026-10-01", "2026-11-01");
        cloud.finalise(october);
        assert_eq!(cloud.view.billing.documents_of(october).count(), documents);
        cloud.clock("2026-11-20T00:00:00Z");
        cloud.usage(("slappart0", REQUESTS), "10", ("2026-10-10T00:00:00Z", "2026-10-11T00:00:00Z"));
        cloud.usage(("slappart0", REQUESTS), "100", ("2026-11-10T00:00:00Z", "2026-11-11T00:00:00Z"));
        let november = invoice(&mut cloud, "2026-12-01T00:00:00Z", ("2026-11-01", "2026-12-01"));
        let amounts: Vec<_> = november.lines.iter().map(|line| line.amount.to_string()).collect();
        assert_eq!(amounts, ["0.10", "0.01"]);
        // Nothing is left: neither for another month nor for another run of October.
        for (start, stop) in [("2026-12-01", "2027-01-01"), ("2026-10-01", "2026-11-01")] {
            cloud.clock("2027-01-01T00:00:00Z");
            let run = cloud.open_run(start, stop);
            assert_eq!(cloud.charges(run), Vec::<String>::new());
            cloud.finalise(run);
        }
    }
}

/// A document of the middle of a month, opened first; then the month, in the two parts that are left. 3.10 a month is
/// 0.10 a day: 9 + 10 + 12 days.
#[test]
fn the_parts_around_a_document_are_invoiced_by_two_runs() {
    let rates = r#"{ kind = "recurring", every = "day", when = "arrears", price = "0.10" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    let customer = cloud.customer("UTC");
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    let middle = cloud.open_run_for(&[customer], "2026-10-10", "2026-10-20");
    cloud.finalise(middle);
    let before = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(
        cloud.warnings(before),
        [
            "PARTY-2: the draft is about 2026-10-01T00:00:00Z/2026-10-10T00:00:00Z; 1 later part is not invoiced"
        ]
    );
    cloud.finalise(before);
    let after = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(after);
    let again = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.view.billing.documents_of(again).count(), 0);
    let nets = [middle, before, after].map(|run| issued(&cloud, &format!("{run}-{BUYER}")).net.to_string());
    assert_eq!(nets, ["1.00", "0.90", "1.20"]);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}
