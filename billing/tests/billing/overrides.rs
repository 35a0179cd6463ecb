//! Prices of single customers.
//!
//! November 2026 has 30 days.

use slapledger_billing::price_book;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{PartyId, PriceBookName};
use slapledger_core::domain::pricing::{EndPriceOverride, OverrideId, SetPriceOverride};

use crate::cloud::{BOOK, Cloud, PRODUCTION, REQUESTS, at};

fn name() -> PriceBookName {
    PriceBookName::new("standard").expect("a name")
}

fn set(cloud: &mut Cloud, customer: PartyId, (from, until): (&str, Option<&str>), rate: &str) {
    let rate = price_book::parse_rate_toml(rate).expect(rate);
    cloud.execute(Command::SetPriceOverride(SetPriceOverride {
        price_book: name(),
        customer,
        valid_from: at(from),
        valid_until: until.map(at),
        rate: Box::new(rate),
        retroactive: true,
    }));
}

fn end(cloud: &mut Cloud, id: u64, until: &str) {
    let (id, valid_until) = (OverrideId(id), Some(at(until)));
    let end = EndPriceOverride { price_book: name(), id, valid_until, retroactive: true };
    cloud.execute(Command::EndPriceOverride(end));
}

const FEE: &str = "kind = \"recurring\"\nevery = \"month\"\nwhen = \"arrears\"\nprice = \"6.00\"";
const REQUEST: &str = "kind = \"per_unit\"\nresource = \"requests\"\nprice = \"0.0010\"\nfree = \"1000\"";

/// Two customers with an instance each, since September.
fn two() -> (Cloud, [PartyId; 2]) {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-01T00:00:00Z");
    let customers = [cloud.customer("UTC"), cloud.customer("UTC")];
    for customer in customers {
        cloud.request(customer, "db", &PRODUCTION);
    }
    (cloud, customers)
}

fn charges(cloud: &mut Cloud) -> Vec<String> {
    let run = cloud.open_run("2026-11-01", "2026-12-01");
    cloud.charges(run)
}

#[test]
fn an_override_is_the_price_of_one_customer_for_a_time() {
    let (mut cloud, customers) = two();
    set(&mut cloud, customers[0], ("2026-11-16T00:00:00Z", None), FEE);
    // A version keeps it.
    cloud.publish(&BOOK.replace("10.00", "20.00").replace("2026-01-01", "2026-11-25"));
    cloud.clock("2026-12-01T00:00:00Z");
    let expected = [
        "PARTY-2: SOFTINST-1 recurring: 0.5 month = 5.00 (0)",
        "PARTY-2: SOFTINST-1 recurring: 0.5 month = 3.00 (0)",
        "PARTY-3: SOFTINST-2 recurring: 0.8 month = 8.00 (0)",
        "PARTY-3: SOFTINST-2 recurring: 0.2 month = 4.00 (0)",
    ];
    assert_eq!(charges(&mut cloud), expected);
    let run = cloud.open_run("2026-11-01", "2026-12-01");
    let lines = &cloud.view.billing.documents_of(run).next().expect("a draft").invoice.lines;
    let named: Vec<_> = lines.iter().map(|line| (line.rate, line.price_override)).collect();
    assert_eq!(named, [(1, None), (0, Some(OverrideId(1)))]);
    let draft = format!("{run}-{}", customers[0]);
    assert!(cloud.view.line_events(&draft, 2).is_some());
    let (_, _, why) = cloud.view.explain_line(&draft, 2, cloud.now_sequence()).expect("a line");
    assert!(why.found);
    let price = serde_json::to_value(why.price.expect("a price")).expect("shown");
    assert_eq!((&price["price_override"], &price["rate"]["price"]), (&"OVERRIDE-1".into(), &"6".into()));
}

#[test]
fn an_override_wins_where_it_matches_whatever_the_book_names() {
    let (mut cloud, customers) = two();
    // The book names the type of instances; this names nothing, and another one the release.
    set(&mut cloud, customers[0], ("2026-11-01T00:00:00Z", None), FEE);
    let dearer =
        format!("{}\nmatch = {{ software_release = \"http://example.org/v2\" }}", FEE.replace('6', "7"));
    set(&mut cloud, customers[0], ("2026-11-01T00:00:00Z", None), &dearer);
    cloud.request(
        customers[0],
        "other",
        &crate::cloud::Wanted { release: "http://example.org/v2", ..PRODUCTION },
    );
    cloud.clock("2026-12-01T00:00:00Z");
    let expected = [
        "PARTY-2: SOFTINST-1 recurring: 1 month = 6.00 (0)",
        "PARTY-2: SOFTINST-3 recurring: 1 month = 7.00 (0)",
        "PARTY-3: SOFTINST-2 recurring: 1 month = 10.00 (0)",
    ];
    assert_eq!(charges(&mut cloud), expected);
}

#[test]
fn quantities_go_on_where_an_override_begins() {
    let (mut cloud, customers) = two();
    cloud.usage(("slappart0", REQUESTS), "1500", ("2026-11-02T00:00:00Z", "2026-11-02T01:00:00Z"));
    cloud.usage(("slappart0", REQUESTS), "1500", ("2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z"));
    cloud.clock("2026-11-22T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "1500", ("2026-11-02T00:00:00Z", "2026-11-02T01:00:00Z"));
    cloud.usage(("slappart0", REQUESTS), "1500", ("2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z"));
    set(&mut cloud, customers[0], ("2026-11-16T00:00:00Z", None), REQUEST);
    cloud.clock("2026-12-01T00:00:00Z");
    // What is free was used before the override began: 1500 x 0.0005, then 1500 x 0.0010.
    let charged = charges(&mut cloud);
    assert_eq!(
        charged[1..3],
        [
            "PARTY-2: SOFTINST-1 usage of requests: 1500 request = 0.75 (0)",
            "PARTY-2: SOFTINST-1 usage of requests: 1500 request = 1.50 (0)",
        ]
    );
}

#[test]
fn a_run_fixes_the_overrides_that_it_knows() {
    let (mut cloud, customers) = two();
    set(&mut cloud, customers[0], ("2026-11-01T00:00:00Z", None), FEE);
    cloud.clock("2026-12-01T00:00:00Z");
    let run = cloud.open_run("2026-11-01", "2026-12-01");
    cloud.finalise(run);
    // Later ends and prices change nothing of it, also when usage comes late.
    end(&mut cloud, 1, "2026-11-16T00:00:00Z");
    set(&mut cloud, customers[0], ("2026-11-01T00:00:00Z", None), REQUEST);
    cloud.usage(("slappart0", REQUESTS), "2000", ("2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z"));
    cloud.clock("2027-01-01T00:00:00Z");
    let next = cloud.open_run("2026-12-01", "2027-01-01");
    let mine: Vec<String> =
        cloud.charges(next).into_iter().filter(|line| line.starts_with("PARTY-2")).collect();
    let expected = [
        "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)",
        "PARTY-2: SOFTINST-1 adjustment of INV-2026-000001 line 0: 2000 request = 1.00 (0)",
    ];
    assert_eq!(mine, expected);
    // What would be other now is told.
    let found = cloud.view.diff(run, cloud.now_sequence(), None, 100).expect("a run").items;
    assert!(found.iter().any(|line| line.then.as_ref().is_some_and(|then| then.price_override.is_some())));
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

#[test]
fn an_override_in_advance_is_settled() {
    let (mut cloud, customers) = two();
    set(&mut cloud, customers[0], ("2026-10-20T00:00:00Z", None), &FEE.replace("arrears", "advance"));
    cloud.clock("2026-11-01T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(october);
    cloud.clock("2026-11-16T00:00:00Z");
    cloud.end(customers[0], "db");
    cloud.clock("2026-12-01T00:00:00Z");
    let charged: Vec<String> =
        charges(&mut cloud).into_iter().filter(|line| line.starts_with("PARTY-2")).collect();
    // Turned round, as it is a credit note: 3.00 less 6.00.
    assert_eq!(
        charged,
        [
            "PARTY-2: SOFTINST-1 recurring: -0.5 month = -3.00 (0)",
            "PARTY-2: SOFTINST-1 advance of INV-2026-000001 line 3: 1 month = 6.00 (0)",
        ]
    );
}

/// A book with a trial of 14 days for the fee, from the allocation on 1 November.
#[test]
fn an_override_without_a_trial_ends_that_of_the_book() {
    let book = BOOK.replace("price = \"10.00\"", "price = \"30.00\", trial = { days = 14 }");
    let mut cloud = Cloud::new(&book);
    cloud.clock("2026-11-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "db", &PRODUCTION);
    set(&mut cloud, customer, ("2026-11-06T00:00:00Z", None), &FEE.replace("6.00", "30.00"));
    cloud.clock("2026-12-01T00:00:00Z");
    let expected = [
        "PARTY-2: SOFTINST-1 recurring: 0.166666667 month = 0.00 (0)",
        // 25 of 30 days.
        "PARTY-2: SOFTINST-1 recurring: 0.833333333 month = 25.00 (0.00000001)",
    ];
    assert_eq!(charges(&mut cloud), expected);
}

#[test]
fn a_maximum_and_a_minimum_can_be_those_of_one_customer() {
    let (mut cloud, customers) = two();
    let maximum = "kind = \"maximum\"\nper = \"instance\"\nprice = \"4.00\"";
    set(&mut cloud, customers[0], ("2026-11-01T00:00:00Z", None), maximum);
    set(&mut cloud, customers[0], ("2026-11-01T00:00:00Z", None), "kind = \"minimum\"\nprice = \"5.00\"");
    cloud.clock("2026-12-01T00:00:00Z");
    let expected = [
        "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)",
        "PARTY-2: SOFTINST-1 maximum: 1 month = -6.00 (0)",
        "PARTY-2: all minimum: 1 month = 1.00 (0)",
        "PARTY-3: SOFTINST-2 recurring: 1 month = 10.00 (0)",
    ];
    assert_eq!(charges(&mut cloud), expected);
}
