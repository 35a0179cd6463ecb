//! What a period would have cost by other prices; amounts worked out by hand.

use slapledger_billing::price_book;
use slapledger_billing::what_if::{Compared, WhatIf};
use slapledger_core::domain::id::{PartyId, Sequence};
use slapledger_core::domain::invoice::RunPeriod;
use slapledger_projections::Page;

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, REQUESTS, SELLER, bound};

/// Two customers: one in UTC since September with usage, one in Paris from 16 October on.
fn cloud() -> Cloud {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let one = cloud.customer("UTC");
    cloud.request(one, "one", &PRODUCTION);
    let two = cloud.customer("Europe/Paris");
    cloud.clock("2026-10-15T22:00:00Z");
    cloud.request(two, "two", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    cloud.usage(("slappart0", CPU), "50", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
    cloud.usage(("slappart0", REQUESTS), "10000", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
    cloud
}

fn ask(cloud: &Cloud, book: &str, after: Option<PartyId>, limit: usize) -> Option<Page<Compared, PartyId>> {
    let book = price_book::parse_toml(book).expect("a price book");
    let name = "standard".parse().expect("a name");
    let asked = WhatIf {
        seller: SELLER,
        period: RunPeriod { start: bound("2026-10-01"), stop: bound("2026-11-01") },
        book: &book,
        against: &name,
        by_line: true,
        as_of: Sequence(cloud.log.len() as u64),
    };
    cloud.view.what_if(asked, after, limit)
}

fn shown(page: &Page<Compared, PartyId>) -> Vec<String> {
    let each = page.items.iter().flat_map(|compared| {
        let sides = compared.sides;
        let total = format!("{}: {} {} {}", compared.payer, sides.now, sides.what_if, sides.difference);
        let lines = compared.lines.iter().map(|(group, sides)| {
            let what = group.resource.as_ref().map_or(String::new(), |resource| format!(" {resource}"));
            let item = group.item.as_ref().map_or(String::new(), |item| format!(" {item}"));
            format!("  {}{what}{item}: {} {} {}", group.kind, sides.now, sides.what_if, sides.difference)
        });
        let warnings = compared.warnings.iter().map(|warning| format!("  {warning}"));
        [total].into_iter().chain(lines).chain(warnings).collect::<Vec<_>>()
    });
    each.collect()
}

#[test]
fn other_prices_are_compared_customer_by_customer() {
    let cloud = cloud();
    let before = cloud.view.billing.runs(None, 9).items.len();
    // Valid from next year, and counted all the same: 12.00 a month and 3.00 for care; 1200 percent hours at 0.001; no requests.
    let next = r#"
name = "standard"
currency = "EUR"
valid_from = "2027-01-01T00:00:00Z"
resources = [{ resource = "cpu", kind = "gauge", meter = "time_integral", unit = "percent_hour" }]
rates = [
    { kind = "recurring", every = "month", when = "arrears", price = "12.00" },
    { kind = "recurring", item = "care", every = "month", when = "advance", price = "3.00" },
    { kind = "per_unit", resource = "cpu", price = "0.001" },
]
"#;
    let page = ask(&cloud, next, None, 9).expect("the same currency");
    // In Paris 16 of 31 days of October, one of them with an hour more: 385/745 = 0.516778523 months.
    let expected = [
        "PARTY-2: 17.40 16.20 -1.20",
        "  recurring: 10.00 12.00 2.00",
        "  recurring care: 0.00 3.00 3.00",
        "  usage cpu: 2.40 1.20 -1.20",
        "  usage requests: 5.00 0.00 -5.00",
        "  SOFTINST-1: requests is not declared in the price book; 1 report of usage not charged in \
         2026-10-01T00:00:00Z/2026-11-01T00:00:00Z",
        "PARTY-3: 5.17 7.75 2.58",
        "  recurring: 5.17 6.20 1.03",
        "  recurring care: 0.00 1.55 1.55",
    ];
    assert_eq!(shown(&page), expected);
    assert_eq!(page.next, None);
    let first = ask(&cloud, next, None, 1).expect("the same currency");
    assert_eq!(
        (shown(&first), first.next),
        (expected[..6].iter().map(ToString::to_string).collect(), Some(PartyId(2)))
    );
    let rest = ask(&cloud, next, first.next, 1).expect("the same currency");
    assert_eq!((shown(&rest), rest.next), (expected[6..].iter().map(ToString::to_string).collect(), None));
    assert_eq!(cloud.view.billing.runs(None, 9).items.len(), before);
}

#[test]
fn the_same_prices_make_no_difference() {
    let cloud = cloud();
    let page = ask(&cloud, BOOK, None, 9).expect("the same currency");
    assert_eq!(page.items.len(), 2);
    assert!(
        page.items
            .iter()
            .all(|compared| compared.sides.difference.minor() == 0 && compared.warnings.is_empty())
    );
}

#[test]
fn amounts_of_two_currencies_are_not_compared() {
    let cloud = cloud();
    assert_eq!(ask(&cloud, &BOOK.replace("EUR", "JPY"), None, 9), None);
}
