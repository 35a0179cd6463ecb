//! Proofs of single lines: two lines that are about the same are told apart, and none stands for two.

use slapledger_billing::price_book;
use slapledger_billing::proof::{UsageChosen, repeat};
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::PriceBookName;
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::pricing::SetPriceOverride;
use slapledger_core::domain::tax::{SetProductTax, SetTaxRate, TaxCategory, TaxedProduct};

use super::{INVOICE, events, invoice};
use crate::cloud::{BOOK, Cloud, PRODUCTION, REQUESTS, SELLER, at};

const JANUARY: &str = "2026-01-01T00:00:00Z";

/// October of a customer with requests of a tax of their own, a discount on everything, and two fees of their own.
fn october() -> Cloud {
    let discount = "{ kind = \"discount\", item = \"all\", percent = \"10\" },\n]";
    let mut cloud = Cloud::new(&format!("{}{discount}\n", BOOK.trim_end().trim_end_matches(']')));
    let description = Description { vat_id: true, ..Description::default() };
    cloud.execute(Command::DescribeParty(DescribeParty { party: SELLER, description }));
    let rate = "20".parse().expect("a rate");
    cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from: at(JANUARY) }));
    cloud.execute(Command::SetProductTax(SetProductTax {
        seller: SELLER,
        product: TaxedProduct {
            software_release: None,
            resource: Some(REQUESTS.parse().expect("a resource")),
        },
        category: TaxCategory::S,
        rate: Some("5.5".parse().expect("a rate")),
        exemption: None,
        valid_from: at(JANUARY),
    }));
    cloud.clock("2026-10-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    for item in ["support", "backup"] {
        let rate = format!(
            "kind = \"recurring\"\nitem = \"{item}\"\nevery = \"month\"\nwhen = \"arrears\"\nprice = \"{}.00\"",
            item.len()
        );
        cloud.execute(Command::SetPriceOverride(SetPriceOverride {
            price_book: PriceBookName::new("standard").expect("a name"),
            customer,
            valid_from: at("2026-10-01T00:00:00Z"),
            valid_until: None,
            rate: Box::new(price_book::parse_rate_toml(&rate).expect("a rate")),
            retroactive: true,
        }));
    }
    cloud.clock("2026-10-05T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "2000", ("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"));
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(run);
    cloud
}

#[test]
fn lines_that_differ_in_tax_or_price_alone_are_proved() {
    let cloud = october();
    let lines = cloud.view.billing.document(INVOICE).expect("it is final").invoice.lines.clone();
    let is_like = |one: &InvoiceLine, other: &InvoiceLine| {
        (&one.kind, one.instance, one.period, one.rate)
            == (&other.kind, other.instance, other.period, other.rate)
    };
    let alike = |wanted: fn(&InvoiceLine) -> bool| {
        let mut found = lines.iter().filter(|line| wanted(line));
        let (one, other) = (found.next().expect("the first"), found.next().expect("the second"));
        assert!(is_like(one, other), "{one:?} {other:?}");
    };
    alike(|line| line.kind == LineKind::Discount);
    alike(|line| line.price_override.is_some());
    for line in &lines {
        let repeated = repeat(&events(&cloud, UsageChosen::OfLines(None)), INVOICE, Some(line.n));
        assert_eq!(repeated.map(|repeated| repeated.lines), Ok(1), "line {}", line.n);
    }
}

#[test]
fn a_line_that_is_there_twice_is_found_once() {
    let cloud = october();
    let mut all = events(&cloud, UsageChosen::OfLines(None));
    invoice(&mut all, |invoice| {
        let n = u32::try_from(invoice.lines.len() + 1).expect("few lines");
        let again = InvoiceLine { n, ..invoice.lines[0].clone() };
        invoice.lines.push(again);
    });
    let last = all.iter().find_map(|recorded| match &recorded.event {
        Event::InvoiceFinalised(event) => event.invoice.lines.last().map(|line| line.n),
        _ => None,
    });
    assert!(repeat(&all, INVOICE, Some(1)).is_ok());
    let told = repeat(&all, INVOICE, last).expect_err("it is there once").to_string();
    assert!(told.ends_with("the events give no such line"), "{told}");
}

#[test]
fn what_differs_is_named_at_the_nearest_line() {
    let cloud = october();
    let mut all = events(&cloud, UsageChosen::OfLines(None));
    let mut wrong = 0;
    invoice(&mut all, |invoice| {
        let line = invoice.lines.iter_mut().rfind(|line| line.kind == LineKind::Discount);
        let line = line.expect("the second discount");
        wrong = line.n;
        line.amount = line.amount.negated();
    });
    let told = repeat(&all, INVOICE, Some(wrong)).expect_err("another amount").to_string();
    assert!(told.contains(&format!("{INVOICE} line {wrong}: amount is")), "{told}");
}
