//! Prices of one customer in place of those of the book.

use slapledger_billing::price_book;
use slapledger_core::domain::Command;
use slapledger_core::domain::pricing::SetPriceOverride;

use super::{BUYER, book, check, invoice, taxed};
use crate::cloud::{Cloud, PRODUCTION, REQUESTS, at};

/// From 16 October on the customer pays half of the fee, and requests by other tiers. The tiers go on: 800 of the first
/// 1,000 requests were used before. The discount is of all usage, and the minimum of the month.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | fee of the book | 15 / 31 = 0.483 870 968 | x 31.00 = 15.00 |
/// | fee of the customer | 16 / 31 = 0.516 129 032 | x 15.50 = 7.999 999 996, so 8.00 |
/// | requests by the book | 800 | x 0.01 = 8.00 |
/// | requests of the customer | 400 | 200 x 0.008 + 200 x 0.004 = 2.40 |
/// | discount | 10 % of 10.40 | -1.04 |
/// | minimum | 1 month | 50.00 - (23.00 + 10.40 - 1.04) = 17.64 |
///
/// 50.00; x 20 % = 10.00; 60.00 in all.
#[test]
fn overrides_with_tiers_a_discount_and_a_minimum() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "31.00" },
        { kind = "graduated", resource = "requests", tiers = [{ up_to = "1000", price = "0.01" }, { price = "0.005" }] },
        { kind = "discount", percent = "10", of = "usage" },
        { kind = "minimum", price = "50.00" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    let customer = cloud.customer("UTC");
    assert_eq!(customer, BUYER);
    let fee = "kind = \"recurring\"\nevery = \"month\"\nwhen = \"arrears\"\nprice = \"15.50\"";
    let requests = "kind = \"graduated\"\nresource = \"requests\"\n\
        tiers = [{ up_to = \"1000\", price = \"0.008\" }, { price = \"0.004\" }]";
    for rate in [fee, requests] {
        cloud.execute(Command::SetPriceOverride(SetPriceOverride {
            price_book: "standard".parse().expect("a name"),
            customer,
            valid_from: at("2026-10-16T00:00:00Z"),
            valid_until: None,
            rate: Box::new(price_book::parse_rate_toml(rate).expect(rate)),
            retroactive: false,
        }));
    }
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-10-21T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "800", ("2026-10-05T00:00:00Z", "2026-10-05T12:00:00Z"));
    cloud.usage(("slappart0", REQUESTS), "400", ("2026-10-20T00:00:00Z", "2026-10-20T12:00:00Z"));
    let invoice = invoice(&mut cloud, "2026-11-01T00:00:00Z", ("2026-10-01", "2026-11-01"));
    let lines = [
        ("0.483870968", "15.00"),
        ("0.516129032", "8.00"),
        ("800", "8.00"),
        ("400", "2.40"),
        ("10", "-1.04"),
        ("1", "17.64"),
    ];
    check("overrides_with_tiers_a_discount_and_a_minimum", &invoice, &lines, ["50.00", "10.00", "60.00"]);
}
