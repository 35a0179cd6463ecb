//! Tax by product, and lines that are cut where the tax changes.

use slapledger_core::domain::Command;
use slapledger_core::domain::tax::{
    Exemption, SetProductTax, SetTaxRate, SetTaxTreatment, TaxCategory, TaxedProduct,
};

use super::{book, check, describe, invoice, taxed};
use crate::cloud::{CPU, Cloud, PRODUCTION, REQUESTS, SELLER, Wanted, at};

const OCTOBER: (&str, &str) = ("2026-10-01", "2026-11-01");
const NOVEMBER_CAME: &str = "2026-11-01T00:00:00Z";
const BOOKS: &str = "http://example.org/v1";

fn product(
    cloud: &mut Cloud,
    (release, resource): (Option<&str>, Option<&str>),
    category: TaxCategory,
    rate: Option<&str>,
    since: &str,
) {
    let exemption = || Exemption { reason: "exempt by law".into(), code: None };
    cloud.execute(Command::SetProductTax(SetProductTax {
        seller: SELLER,
        product: TaxedProduct {
            software_release: release.map(|release| release.parse().expect(release)),
            resource: resource.map(|resource| resource.parse().expect(resource)),
        },
        category,
        rate: rate.map(|rate| rate.parse().expect(rate)),
        exemption: (category == TaxCategory::E).then(exemption),
        valid_from: at(since),
    }));
}

/// 20 %; books, which is a release, 5.5 %; CPU is exempt, whatever runs. One instance of books, one of something else.
///
/// | line | quantity | amount | tax |
/// | --- | --- | --- | --- |
/// | fee of books | 1 | x 10.00 = 10.00 | S 5.5 |
/// | cpu of books | 60 percent x 10 hours = 600 | x 0.002 = 1.20 | E |
/// | requests of books | 333 | x 0.05 = 16.65 | S 5.5 |
/// | other fee | 1 | x 10.00 = 10.00 | S 20 |
/// | other requests | 333 | x 0.05 = 16.65 | S 20 |
///
/// 26.65 x 5.5 % = 1.465 75, so 1.47; 26.65 x 20 % = 5.33; 1.20 without tax. 54.50 + 6.80 = 61.30.
#[test]
fn tax_by_product() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "10.00" },
        { kind = "per_unit", resource = "cpu", price = "0.002" },
        { kind = "per_unit", resource = "requests", price = "0.05" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    product(&mut cloud, (Some(BOOKS), None), TaxCategory::S, Some("5.5"), "2026-01-01T00:00:00Z");
    product(&mut cloud, (None, Some(CPU)), TaxCategory::E, None, "2026-01-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "books", &PRODUCTION);
    cloud.request(customer, "other", &Wanted { release: "http://example.org/v2", ..PRODUCTION });
    cloud.clock("2026-10-06T00:00:00Z");
    cloud.usage(("slappart0", CPU), "60", ("2026-10-05T00:00:00Z", "2026-10-05T10:00:00Z"));
    for partition in ["slappart0", "slappart1"] {
        cloud.usage((partition, REQUESTS), "333", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
    }
    let invoice = invoice(&mut cloud, NOVEMBER_CAME, OCTOBER);
    let lines = [("1", "10.00"), ("600", "1.20"), ("333", "16.65"), ("1", "10.00"), ("333", "16.65")];
    check("tax_by_product", &invoice, &lines, ["54.50", "1.47 and 5.33 and 0.00", "61.30"]);
    let product = |n: u32| {
        let (_, _, why) =
            cloud.view.explain_line(invoice.id.as_str(), n, cloud.now_sequence()).expect("a line");
        let product = why.tax.product?;
        Some((
            product.software_release.map(|one| one.to_string()),
            product.resource.map(|one| one.to_string()),
        ))
    };
    assert_eq!(product(1), Some((Some(BOOKS.to_owned()), None)));
    assert_eq!(product(2), Some((None, Some(CPU.to_owned()))));
    assert_eq!(product(4), None);
    let exempt = invoice.tax.last().and_then(|subtotal| subtotal.exemption.as_ref());
    assert_eq!(exempt.map(|exemption| &*exemption.reason), Some("exempt by law"));
}

/// The rate is 20 % until 16 October, then 21 %; from 25 October on the buyer owes the tax (AE). The book cuts. A day of
/// October is 1 / 31 month, so 1.00; of the requests the first 1,000 cost 0.01, all others 0.005: the tiers go on.
///
/// | line | quantity | amount | tax |
/// | --- | --- | --- | --- |
/// | fee | 15 / 31 = 0.483 870 968 | x 31.00 = 15.00 | S 20 |
/// | fee | 9 / 31 = 0.290 322 581 | x 31.00 = 9.00 | S 21 |
/// | fee | 7 / 31 = 0.225 806 452 | x 31.00 = 7.00 | AE |
/// | requests | 800 | x 0.01 = 8.00 | S 20 |
/// | requests | 400 | 200 x 0.01 + 200 x 0.005 = 3.00 | S 21 |
/// | requests | 300 | x 0.005 = 1.50 | AE |
/// | percentage | 10 % of 23.00 | 2.30 | S 20 |
/// | percentage | 10 % of 12.00 | 1.20 | S 21 |
/// | percentage | 10 % of 8.50 | 0.85 | AE |
///
/// 25.30 x 20 % = 5.06; 13.20 x 21 % = 2.772, so 2.77; 9.35 without tax. 47.85 + 7.83 = 55.68.
#[test]
fn a_month_cut_where_tax_changes() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "31.00" },
        { kind = "graduated", resource = "requests", tiers = [{ up_to = "1000", price = "0.01" }, { price = "0.005" }] },
        { kind = "percentage", percent = "10" }"#;
    let prices =
        book("EUR", "2026-01-01T00:00:00Z", rates).replace("rates =", "on_tax_change = \"cut\"\nrates =");
    let mut cloud = Cloud::new(&prices);
    taxed(&mut cloud, "FR", "20");
    let rate = SetTaxRate {
        seller: SELLER,
        rate: "21".parse().expect("a rate"),
        valid_from: at("2026-10-16T00:00:00Z"),
    };
    cloud.execute(Command::SetTaxRate(rate));
    let customer = cloud.customer("UTC");
    describe(&mut cloud, customer, "DE");
    cloud.execute(Command::SetTaxTreatment(SetTaxTreatment {
        customer,
        category: TaxCategory::AE,
        exemption: Some(Exemption { reason: "Reverse charge".into(), code: Some("VATEX-EU-AE".into()) }),
        valid_from: at("2026-10-25T00:00:00Z"),
    }));
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-10-30T00:00:00Z");
    for (quantity, day) in [("800", "05"), ("400", "20"), ("300", "28")] {
        let (start, stop) = (format!("2026-10-{day}T00:00:00Z"), format!("2026-10-{day}T12:00:00Z"));
        cloud.usage(("slappart0", REQUESTS), quantity, (&start, &stop));
    }
    let invoice = invoice(&mut cloud, NOVEMBER_CAME, OCTOBER);
    let lines = [
        ("0.483870968", "15.00"),
        ("0.290322581", "9.00"),
        ("0.225806452", "7.00"),
        ("800", "8.00"),
        ("400", "3.00"),
        ("300", "1.50"),
        ("10", "2.30"),
        ("10", "1.20"),
        ("10", "0.85"),
    ];
    check("a_month_cut_where_tax_changes", &invoice, &lines, ["47.85", "5.06 and 2.77 and 0.00", "55.68"]);
    for line in &invoice.lines {
        let (_, _, why) =
            cloud.view.explain_line(invoice.id.as_str(), line.n, cloud.now_sequence()).expect("a line");
        assert!(why.found, "line {}", line.n);
    }
}
