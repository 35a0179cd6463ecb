//! The shortest time, prices that change, tax that the buyer owes, and currencies without or with many decimals.

use slapledger_core::domain::Command;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::tax::{Exemption, SetTaxTreatment, TaxCategory};

use super::{BUYER, book, check, describe, invoice, taxed};
use crate::cloud::{CPU, Cloud, PRODUCTION, REQUESTS, at};

const OCTOBER: (&str, &str) = ("2026-10-01", "2026-11-01");
const NOVEMBER_CAME: &str = "2026-11-01T00:00:00Z";

/// An instance is allocated for one second. October has 2,678,400 of them.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | by hour | 1 / 3,600 = 0.000 277 778 | x 36.00 = 0.010 000 008, so 0.01 |
/// | by month | 1 / 2,678,400 = 0.000 000 373 | x 1,000,000.00 = 0.373, so 0.37 |
/// | cpu | 100 percent / 3,600 = 0.027 777 778 | x 0.72 = 0.020 000 000 16, so 0.02 |
/// | requests | 7 | x 0.01 = 0.07 |
///
/// 0.01 + 0.37 + 0.02 + 0.07 = 0.47; x 20 % = 0.094, so 0.09; 0.56 in all.
#[test]
fn one_second() {
    let rates = r#"
        { kind = "recurring", item = "by hour", every = "hour", when = "arrears", price = "36.00" },
        { kind = "recurring", item = "by month", every = "month", when = "arrears", price = "1000000.00" },
        { kind = "per_unit", resource = "cpu", price = "0.72" },
        { kind = "per_unit", resource = "requests", price = "0.01" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    let customer = cloud.customer("UTC");
    let second = ("2026-10-20T12:00:00Z", "2026-10-20T12:00:01Z");
    cloud.clock(second.0);
    cloud.request(customer, "blink", &PRODUCTION);
    cloud.clock(second.1);
    cloud.usage(("slappart0", CPU), "100", second);
    cloud.usage(("slappart0", REQUESTS), "7", second);
    cloud.end(customer, "blink");
    let invoice = invoice(&mut cloud, NOVEMBER_CAME, OCTOBER);
    let lines = [("0.000277778", "0.01"), ("0.000000373", "0.37"), ("0.027777778", "0.02"), ("7", "0.07")];
    check("one_second", &invoice, &lines, ["0.47", "0.09", "0.56"]);
}

/// Prices change at midnight of the 16th where the buyer is, in Paris: 22:00 UTC of the 15th. October has 745 hours
/// there, 360 before and 385 after.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | monthly fee, version 1 | 360 / 745 = 0.483 221 477 | x 10.00 = 4.832 214 77, so 4.83 |
/// | monthly fee, version 2 | 385 / 745 = 0.516 778 523 | x 12.00 = 6.201 342 276, so 6.20 |
/// | cpu, version 1 | 60 percent from 21:30 to 22:00 UTC: 30 | x 0.002 = 0.06 |
/// | cpu, version 2 | 60 percent from 22:00 to 22:15 UTC: 15 | x 0.003 = 0.045, so 0.05 |
/// | requests, version 1 | 2,000 from 21:00 to 23:00 UTC: half of them, 1,000 | x 0.000 5 = 0.50 |
/// | requests, version 2 | the other half: 1,000 | x 0.000 8 = 0.80 |
///
/// 4.83 + 6.20 + 0.06 + 0.05 + 0.50 + 0.80 = 12.44; no tax.
#[test]
fn a_price_that_changes_at_midnight() {
    let rates = |fee: &str, cpu: &str, requests: &str| {
        format!(
            r#"{{ kind = "recurring", every = "month", when = "arrears", price = "{fee}" }},
            {{ kind = "per_unit", resource = "cpu", price = "{cpu}" }},
            {{ kind = "per_unit", resource = "requests", price = "{requests}" }}"#
        )
    };
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", &rates("10.00", "0.002", "0.0005")));
    cloud.publish(&book("EUR", "2026-10-15T22:00:00Z", &rates("12.00", "0.003", "0.0008")));
    let customer = cloud.customer("Europe/Paris");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-10-15T23:00:00Z");
    cloud.usage(("slappart0", CPU), "60", ("2026-10-15T21:30:00Z", "2026-10-15T22:15:00Z"));
    cloud.usage(("slappart0", REQUESTS), "2000", ("2026-10-15T21:00:00Z", "2026-10-15T23:00:00Z"));
    let invoice = invoice(&mut cloud, NOVEMBER_CAME, OCTOBER);
    let lines = [
        ("0.483221477", "4.83"),
        ("0.516778523", "6.20"),
        ("30", "0.06"),
        ("15", "0.05"),
        ("1000", "0.50"),
        ("1000", "0.80"),
    ];
    check("a_price_that_changes_at_midnight", &invoice, &lines, ["12.44", "0.00", "12.44"]);
}

/// The seller is in France and charges 20 %. The buyer is a business in Germany, which owes the tax itself (AE); beside
/// it a customer in France buys the same and is charged (S).
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | monthly fee | 1 | x 10.00 = 10.00 |
/// | requests | 333 | x 0.05 = 16.65 |
///
/// 26.65; no tax at AE, and why; 26.65 in all. In France 26.65 x 20 % = 5.33; 31.98 in all.
#[test]
fn tax_that_the_buyer_owes() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "10.00" },
        { kind = "per_unit", resource = "requests", price = "0.05" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    let german = cloud.customer("Europe/Berlin");
    describe(&mut cloud, german, "DE");
    let reverse_charge = Exemption { reason: "Reverse charge".into(), code: Some("VATEX-EU-AE".into()) };
    cloud.execute(Command::SetTaxTreatment(SetTaxTreatment {
        customer: german,
        category: TaxCategory::AE,
        exemption: Some(reverse_charge.clone()),
        valid_from: at("2026-01-01T00:00:00Z"),
    }));
    let french = cloud.customer("Europe/Paris");
    for customer in [german, french] {
        cloud.request(customer, "web", &PRODUCTION);
    }
    cloud.clock("2026-10-06T00:00:00Z");
    for partition in ["slappart0", "slappart1"] {
        cloud.usage((partition, REQUESTS), "333", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
    }
    let invoice = invoice(&mut cloud, NOVEMBER_CAME, OCTOBER);
    check(
        "tax_that_the_buyer_owes",
        &invoice,
        &[("1", "10.00"), ("333", "16.65")],
        ["26.65", "0.00", "26.65"],
    );
    assert_eq!((invoice.buyer.party, invoice.tax.len()), (german, 1));
    let subtotal = &invoice.tax[0];
    assert_eq!((subtotal.tax.category, subtotal.tax.rate.to_string()), (TaxCategory::AE, "0".into()));
    assert_eq!((subtotal.base, subtotal.exemption.as_ref()), (invoice.net, Some(&reverse_charge)));
    let charged = &cloud.view.billing.document("INV-2026-000002").expect("an invoice").invoice;
    assert_eq!((charged.buyer.party, french), (PartyId(3), PartyId(3)));
    assert_eq!(
        [charged.net, charged.tax[0].amount, charged.total].map(|amount| amount.to_string()),
        ["26.65", "5.33", "31.98"]
    );
}

/// From 16 October on, an instance with 33 percent of CPU for a day and 1,001 requests.
fn half_a_month(currency: &str, fee: &str, requests: &str) -> Cloud {
    let rates = format!(
        r#"{{ kind = "recurring", every = "month", when = "arrears", price = "{fee}" }},
        {{ kind = "per_unit", resource = "cpu", price = "0.0123" }},
        {{ kind = "per_unit", resource = "requests", price = "{requests}" }}"#
    );
    let mut cloud = Cloud::new(&book(currency, "2026-01-01T00:00:00Z", &rates));
    let customer = cloud.customer("UTC");
    assert_eq!(customer, BUYER);
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-10-18T00:00:00Z");
    let day = ("2026-10-17T00:00:00Z", "2026-10-18T00:00:00Z");
    cloud.usage(("slappart0", CPU), "33", day);
    cloud.usage(("slappart0", REQUESTS), "1001", day);
    cloud
}

/// A yen has no parts.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | monthly fee | 16 / 31 = 0.516 129 032 | x 1000 = 516.129 032, so 516 |
/// | cpu | 33 percent x 24 hours = 792 | x 0.0123 = 9.741 6, so 10 |
/// | requests | 1,001 | x 0.5 = 500.5, so 501 |
///
/// 516 + 10 + 501 = 1027; x 10 % = 102.7, so 103; 1130 in all.
#[test]
fn yen() {
    let mut cloud = half_a_month("JPY", "1000", "0.5");
    taxed(&mut cloud, "JP", "10");
    let invoice = invoice(&mut cloud, NOVEMBER_CAME, OCTOBER);
    let lines = [("0.516129032", "516"), ("792", "10"), ("1001", "501")];
    check("yen", &invoice, &lines, ["1027", "103", "1130"]);
}

/// A dinar of Tunisia has a thousand parts.
///
/// | line | quantity | amount |
/// | --- | --- | --- |
/// | monthly fee | 16 / 31 = 0.516 129 032 | x 30.000 = 15.483 870 96, so 15.484 |
/// | cpu | 33 percent x 24 hours = 792 | x 0.0123 = 9.741 6, so 9.742 |
/// | requests | 1,001 | x 0.000 5 = 0.500 5, so 0.501 |
///
/// 15.484 + 9.742 + 0.501 = 25.727; x 19 % = 4.888 13, so 4.888; 30.615 in all.
#[test]
fn dinars() {
    let mut cloud = half_a_month("TND", "30.000", "0.0005");
    taxed(&mut cloud, "TN", "19");
    let invoice = invoice(&mut cloud, NOVEMBER_CAME, OCTOBER);
    let lines = [("0.516129032", "15.484"), ("792", "9.742"), ("1001", "0.501")];
    check("dinars", &invoice, &lines, ["25.727", "4.888", "30.615"]);
}
