//! Whole invoices, each worked out by hand in the comment above it.
//!
//! The decisive amounts are asserted as they were worked out, not as the program has them; the snapshot beside shows
//! all else that the document says.

mod calendars;
mod credit;
mod currencies;
mod fees;
mod inclusive;
mod notes;
mod overrides;
mod parts;
mod reductions;
mod taxes;

use slapledger_core::domain::Command;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::tax::SetTaxRate;

use crate::cloud::{Cloud, SELLER, at};

/// Who buys: the first customer of a cloud.
const BUYER: PartyId = PartyId(2);

/// A price book that measures CPU (percent and hours) and requests (their number).
fn book(currency: &str, valid_from: &str, rates: &str) -> String {
    format!(
        "name = \"standard\"\ncurrency = \"{currency}\"\nvalid_from = \"{valid_from}\"\n\
         resources = [{{ resource = \"cpu\", kind = \"gauge\", meter = \"time_integral\", unit = \"percent_hour\" }},\
         {{ resource = \"requests\", kind = \"counter\", meter = \"sum\", unit = \"request\" }}]\n\
         rates = [{rates}]\n"
    )
}

/// A seller with a VAT identifier charges so many percent.
fn taxed(cloud: &mut Cloud, country: &str, percent: &str) {
    describe(cloud, SELLER, country);
    let rate = percent.parse().expect(percent);
    let valid_from = at("2000-01-01T00:00:00Z");
    cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from }));
}

/// A party lives in a country and has a VAT identifier there.
fn describe(cloud: &mut Cloud, party: PartyId, country: &str) {
    let country = Some(country.parse().expect(country));
    let description = Description { country, vat_id: true, ..Description::default() };
    cloud.execute(Command::DescribeParty(DescribeParty { party, description }));
}

/// Invoices a period at an instant; returns the document of the buyer.
fn invoice(cloud: &mut Cloud, now: &str, (start, stop): (&str, &str)) -> Invoice {
    cloud.clock(now);
    let run = cloud.open_run(start, stop);
    assert_eq!(cloud.warnings(run), Vec::<String>::new());
    cloud.finalise(run);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing, "a rebuild gives the same");
    let document =
        cloud.view.billing.document(&format!("{run}-{BUYER}")).expect("they have something to pay");
    assert!(document.issued.is_some());
    let invoice = document.invoice.clone();
    for line in &invoice.lines {
        let events = cloud.view.line_events(invoice.id.as_str(), line.n);
        assert!(events.is_some(), "the events behind {line:?} are found again");
    }
    invoice
}

/// Quantity and amount of each line as they were worked out, then net, tax and total; and all else as it was before.
#[track_caller]
fn check(name: &str, invoice: &Invoice, lines: &[(&str, &str)], sums: [&str; 3]) {
    let shown: Vec<_> =
        invoice.lines.iter().map(|line| (line.quantity.to_string(), line.amount.to_string())).collect();
    let shown: Vec<_> = shown.iter().map(|(quantity, amount)| (quantity.as_str(), amount.as_str())).collect();
    assert_eq!(shown, lines);
    let tax: Vec<_> = invoice.tax.iter().map(|subtotal| subtotal.amount.to_string()).collect();
    assert_eq!([invoice.net.to_string(), tax.join(" and "), invoice.total.to_string()], sums);
    assert_eq!(invoice.due, invoice.total);
    insta::assert_snapshot!(name, serde_json::to_string_pretty(invoice).expect("it is shown as JSON"));
}
