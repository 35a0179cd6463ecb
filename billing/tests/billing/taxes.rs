//! Tax by product, and where a change of tax cuts lines.

use slapledger_core::domain::Command;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::tax::{
    Exemption, SetProductTax, SetTaxRate, SetTaxTreatment, TaxCategory, TaxedProduct,
};

use crate::cloud::{BOOK, Cloud, PRODUCTION, REQUESTS, SELLER, Wanted, at};

fn rate(cloud: &mut Cloud, rate: &str, since: &str) {
    let (rate, valid_from) = (rate.parse().expect(rate), at(since));
    cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from }));
}

fn product(cloud: &mut Cloud, (release, resource): (Option<&str>, Option<&str>), rate: &str, since: &str) {
    cloud.execute(Command::SetProductTax(SetProductTax {
        seller: SELLER,
        product: TaxedProduct {
            software_release: release.map(|release| release.parse().expect(release)),
            resource: resource.map(|resource| resource.parse().expect(resource)),
        },
        category: TaxCategory::S,
        rate: Some(rate.parse().expect(rate)),
        exemption: None,
        valid_from: at(since),
    }));
}

/// A seller with 20 %, a customer with an instance since September, and a book that cuts.
fn cloud(book: &str) -> (Cloud, PartyId) {
    let mut cloud = Cloud::new(&book.replace("rates =", "on_tax_change = \"cut\"\nrates ="));
    let description = Description { vat_id: true, ..Description::default() };
    cloud.execute(Command::DescribeParty(DescribeParty { party: SELLER, description }));
    rate(&mut cloud, "20", "2026-01-01T00:00:00Z");
    cloud.clock("2026-09-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "web", &PRODUCTION);
    (cloud, customer)
}

fn draft(cloud: &mut Cloud, customer: PartyId, (start, stop): (&str, &str)) -> (Invoice, Vec<String>) {
    let run = cloud.open_run(start, stop);
    let document = cloud.view.billing.document(&format!("{run}-{customer}")).expect("a draft");
    let invoice = document.invoice.clone();
    let shown = invoice.lines.iter().map(|line| {
        let (start, stop) = (line.period.start.to_string(), line.period.stop.to_string());
        format!("{} {} {}: {} at {}", line.unit, &start[5..10], &stop[5..10], line.amount, line.tax.rate)
    });
    let shown = shown.collect();
    cloud.finalise(run);
    (invoice, shown)
}

const NOVEMBER: (&str, &str) = ("2026-11-01", "2026-12-01");

#[test]
fn a_change_of_a_product_cuts_its_lines_alone() {
    let (mut cloud, customer) = cloud(BOOK);
    product(&mut cloud, (None, Some(REQUESTS)), "5.5", "2026-11-16T00:00:00Z");
    cloud.clock("2026-11-28T00:00:00Z");
    for day in ["02", "27"] {
        let (start, stop) = (format!("2026-11-{day}T00:00:00Z"), format!("2026-11-{day}T12:00:00Z"));
        cloud.usage(("slappart0", REQUESTS), "2000", (&start, &stop));
    }
    cloud.clock("2026-12-01T00:00:00Z");
    let (_, lines) = draft(&mut cloud, customer, NOVEMBER);
    let expected = [
        "month 11-01 12-01: 10.00 at 20",
        "request 11-01 11-16: 1.00 at 20",
        "request 11-16 12-01: 1.00 at 5.5",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn another_release_of_another_tax_cuts() {
    let (mut cloud, customer) = cloud(BOOK);
    product(&mut cloud, (Some("http://example.org/v2"), None), "5.5", "2026-01-01T00:00:00Z");
    cloud.clock("2026-11-16T00:00:00Z");
    cloud.request(customer, "web", &Wanted { release: "http://example.org/v2", ..PRODUCTION });
    // A release of the same tax does not.
    product(&mut cloud, (Some("http://example.org/v3"), None), "5.5", "2026-01-01T00:00:00Z");
    cloud.clock("2026-11-20T00:00:00Z");
    cloud.request(customer, "web", &Wanted { release: "http://example.org/v3", ..PRODUCTION });
    cloud.clock("2026-12-01T00:00:00Z");
    let (_, lines) = draft(&mut cloud, customer, NOVEMBER);
    assert_eq!(lines, ["month 11-01 11-16: 5.00 at 20", "month 11-16 12-01: 5.00 at 5.5"]);
}

#[test]
fn late_usage_finds_the_lines_as_they_were_cut() {
    let (mut cloud, customer) = cloud(BOOK);
    rate(&mut cloud, "21", "2026-11-16T00:00:00Z");
    cloud.clock("2026-11-28T00:00:00Z");
    let days = ["2026-11-20T00:00:00Z", "2026-11-20T12:00:00Z"];
    cloud.usage(("slappart0", REQUESTS), "2000", (days[0], days[1]));
    cloud.clock("2026-12-01T00:00:00Z");
    let (november, lines) = draft(&mut cloud, customer, NOVEMBER);
    let expected =
        ["month 11-01 11-16: 5.00 at 20", "month 11-16 12-01: 5.00 at 21", "request 11-16 12-01: 1.00 at 21"];
    assert_eq!(lines, expected);
    // What is said of November later cuts nothing of what was charged for it.
    rate(&mut cloud, "22", "2026-11-10T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "2000", (days[0], days[1]));
    cloud.usage(("slappart0", REQUESTS), "1000", ("2026-11-11T00:00:00Z", "2026-11-12T00:00:00Z"));
    cloud.clock("2027-01-01T00:00:00Z");
    let (december, lines) = draft(&mut cloud, customer, ("2026-12-01", "2027-01-01"));
    let expected = [
        "month 12-01 01-01: 10.00 at 21",
        "request 11-16 12-01: 1.00 at 21",
        // Nothing was charged for this before: the tax is the one that is known now.
        "request 11-01 11-16: 0.50 at 22",
    ];
    assert_eq!(lines, expected);
    let cites = december.lines[1].cites.as_ref().map(|cites| (cites.invoice.clone(), cites.line));
    let issued = cloud.view.billing.document("INV-2026-000001").expect("November").invoice.id.clone();
    assert_eq!((cites, november.lines.len()), (Some((issued, 3)), 3));
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

#[test]
fn usage_priced_together_is_cut_by_its_resource() {
    let book = BOOK.replace(
        "{ kind = \"per_unit\", resource = \"requests\", price = \"0.0005\" }",
        "{ kind = \"graduated\", resource = \"requests\", per = \"customer\", \
         tiers = [{ up_to = \"3000\", price = \"0.001\" }, { price = \"0.0005\" }] }",
    );
    let (mut cloud, customer) = cloud(&book);
    cloud.request(customer, "second", &PRODUCTION);
    product(&mut cloud, (None, Some(REQUESTS)), "5.5", "2026-11-16T00:00:00Z");
    // Of a release alone: what is priced together has none.
    product(&mut cloud, (Some(PRODUCTION.release), None), "10", "2026-01-01T00:00:00Z");
    cloud.clock("2026-11-28T00:00:00Z");
    for (partition, day) in [("slappart0", "02"), ("slappart1", "03"), ("slappart0", "27")] {
        let (start, stop) = (format!("2026-11-{day}T00:00:00Z"), format!("2026-11-{day}T12:00:00Z"));
        cloud.usage((partition, REQUESTS), "2000", (&start, &stop));
    }
    cloud.clock("2026-12-01T00:00:00Z");
    let (_, lines) = draft(&mut cloud, customer, NOVEMBER);
    let expected = [
        "month 11-01 12-01: 10.00 at 10",
        "month 11-01 12-01: 10.00 at 10",
        // 3,000 x 0.001 + 1,000 x 0.0005; the tiers go on.
        "request 11-01 11-16: 3.50 at 20",
        "request 11-16 12-01: 1.00 at 5.5",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_advance_is_settled_at_each_tax() {
    let (mut cloud, customer) =
        cloud(&BOOK.replace("\"arrears\", price = \"10.00\"", "\"advance\", price = \"10.00\""));
    cloud.clock("2026-11-01T00:00:00Z");
    let (october, _) = draft(&mut cloud, customer, ("2026-10-01", "2026-11-01"));
    assert_eq!(october.lines.last().map(|line| line.tax.rate.to_string()), Some("20".into()));
    rate(&mut cloud, "21", "2026-11-16T00:00:00Z");
    cloud.clock("2026-12-01T00:00:00Z");
    let (_, lines) = draft(&mut cloud, customer, NOVEMBER);
    let expected = [
        "month 11-01 11-16: 5.00 at 20",
        "month 11-16 12-01: 5.00 at 21",
        "month 11-01 12-01: -10.00 at 20",
        "month 12-01 01-01: 10.00 at 21",
    ];
    assert_eq!(lines, expected);
}

/// Exempts a product.
fn exempt(cloud: &mut Cloud, (release, resource): (Option<&str>, Option<&str>), reason: &str, code: &str) {
    cloud.execute(Command::SetProductTax(SetProductTax {
        seller: SELLER,
        product: TaxedProduct {
            software_release: release.map(|release| release.parse().expect(release)),
            resource: resource.map(|resource| resource.parse().expect(resource)),
        },
        category: TaxCategory::E,
        rate: None,
        exemption: Some(Exemption { reason: reason.into(), code: Some(code.into()) }),
        valid_from: at("2026-01-01T00:00:00Z"),
    }));
}

/// Why a document has no tax in category E, and the code of that.
fn why(invoice: &Invoice) -> Vec<(String, Option<String>)> {
    let exempt = invoice.tax.iter().filter(|subtotal| subtotal.tax.category == TaxCategory::E);
    let reasons = exempt.filter_map(|subtotal| subtotal.exemption.clone());
    reasons.map(|reason| (reason.reason.into(), reason.code.map(Into::into))).collect()
}

/// Before, the reason was the last one that somebody gave for the category, whoever had bought what.
#[test]
fn the_reason_of_a_category_is_that_of_what_was_sold() {
    let (mut cloud, customer) = cloud(BOOK);
    exempt(&mut cloud, (None, Some(REQUESTS)), "education", "VATEX-EU-132");
    exempt(&mut cloud, (Some("http://example.org/v2"), None), "medicine", "VATEX-EU-132");
    exempt(&mut cloud, (Some("http://example.org/v3"), None), "stamps", "VATEX-EU-135");
    let treatment = SetTaxTreatment {
        customer,
        category: TaxCategory::E,
        exemption: Some(Exemption { reason: "an embassy".into(), code: None }),
        valid_from: at("2027-01-01T00:00:00Z"),
    };
    cloud.execute(Command::SetTaxTreatment(treatment));
    let used = |cloud: &mut Cloud, month: &str| {
        let (start, stop) = (format!("2026-{month}-02T00:00:00Z"), format!("2026-{month}-02T12:00:00Z"));
        cloud.usage(("slappart0", REQUESTS), "2000", (&start, &stop));
    };
    cloud.clock("2026-10-03T00:00:00Z");
    used(&mut cloud, "10");
    cloud.clock("2026-11-01T00:00:00Z");
    let (october, _) = draft(&mut cloud, customer, ("2026-10-01", "2026-11-01"));
    let education = || ("education".to_owned(), Some("VATEX-EU-132".to_owned()));
    assert_eq!(why(&october), [education()]);
    // What comes late for October has the reason of October, whatever is said since.
    exempt(&mut cloud, (None, Some(REQUESTS)), "science", "VATEX-EU-132");
    used(&mut cloud, "10");
    cloud.request(customer, "web", &Wanted { release: "http://example.org/v2", ..PRODUCTION });
    cloud.clock("2026-12-01T00:00:00Z");
    let (november, lines) = draft(&mut cloud, customer, NOVEMBER);
    assert_eq!(lines, ["month 11-01 12-01: 10.00 at 0", "request 10-01 11-01: 1.00 at 0"]);
    assert_eq!(why(&november), [("medicine; education".to_owned(), education().1)]);
    cloud.clock("2027-02-01T00:00:00Z");
    let (january, _) = draft(&mut cloud, customer, ("2027-01-01", "2027-02-01"));
    assert_eq!(why(&january), [("medicine".to_owned(), education().1)]);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}
