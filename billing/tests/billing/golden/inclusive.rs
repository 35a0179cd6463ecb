//! Prices that contain tax.

use slapledger_billing::journal::TransactionFilter;
use slapledger_billing::line_nets;
use slapledger_core::domain::Command;
use slapledger_core::domain::invoice::{GiveBack, HowMuch, Invoice, IssueCreditNote};
use slapledger_core::domain::money::Amount;
use slapledger_core::domain::party::{DescribeParty, Description};

use super::{BUYER, book, check, invoice, taxed};
use crate::cloud::{Cloud, PRODUCTION, REQUESTS};

fn credit(cloud: &mut Cloud, original: &Invoice, give_back: GiveBack) -> Invoice {
    let command =
        IssueCreditNote { original: original.clone(), give_back, reason: "sorry".into(), as_of: None };
    cloud.execute(Command::IssueCreditNote(Box::new(command)));
    let notes = cloud.view.billing.notes_on(original.run, original.buyer.party);
    notes.last().expect("a note").invoice.clone()
}

fn sums(document: &Invoice) -> [String; 3] {
    let tax: Vec<String> = document.tax.iter().map(|subtotal| subtotal.amount.to_string()).collect();
    [document.net.to_string(), tax.join(" and "), document.total.to_string()]
}

/// A yen has no parts, and 10 % of consumption tax is in the prices.
///
/// | line | quantity | amount | of the tax | without tax |
/// | --- | --- | --- | --- | --- |
/// | monthly fee | 1 | x 980 = 980 | 135 x 980 / 1,480 = 89.4, so 89 | 891 |
/// | requests | 333 | x 1.5 = 499.5, so 500 | 135 - 89 = 46 | 454 |
///
/// 980 + 500 = 1,480 are to be paid. They contain 1,480 x 10 / 110 = 134.54.. of tax, so 135, and 1,345 without it.
///
/// A note about 100 of the requests contains 100 x 10 / 110 = 9.09.., so 9; and one about the rest, 1,380, what is left of
/// the tax on all of it: 135 - 9 = 126. After both nothing is left in any account.
#[test]
fn tax_inclusive_yen() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "980" },
        { kind = "per_unit", resource = "requests", price = "1.5" }"#;
    let prices =
        book("JPY", "2026-01-01T00:00:00Z", rates).replace("rates =", "tax = \"inclusive\"\nrates =");
    let mut cloud = Cloud::new(&prices);
    taxed(&mut cloud, "JP", "10");
    let customer = cloud.customer("UTC");
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "333", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
    let whole = invoice(&mut cloud, "2026-11-01T00:00:00Z", ("2026-10-01", "2026-11-01"));
    check("tax_inclusive_yen", &whole, &[("1", "980"), ("333", "500")], ["1345", "135", "1480"]);
    let nets: Vec<String> = line_nets(&whole).iter().map(ToString::to_string).collect();
    assert_eq!(nets, ["891", "454"]);
    let subtotals = cloud.view.billing.subtotals(&whole);
    assert_eq!((subtotals.len(), subtotals[0].net.to_string()), (1, "1345".to_owned()));
    let some = HowMuch::Amount(Amount::from_minor(100, whole.currency));
    let part = credit(&mut cloud, &whole, GiveBack::Lines(vec![(2, some)]));
    assert_eq!(sums(&part), ["91", "9", "100"]);
    let rest = credit(&mut cloud, &whole, GiveBack::All);
    assert_eq!(sums(&rest), ["1254", "126", "1380"]);
    cloud.view.journal.check().expect("everything could be posted");
    let all = TransactionFilter { from: None, to: None, seller: None, currency: None };
    let left = cloud.view.journal.trial_balances(all).into_iter().flat_map(|balance| balance.balances);
    assert_eq!(left.count(), 0);
}

/// 1,100 yen a month contain 100 of tax. Usage that comes late is adjusted with the tax in it, and a lower amount too: the
/// document of November takes 11 back of 22 requests at 1 yen, of which 20 were a mistake.
#[test]
fn adjustments_of_prices_with_tax_contain_it() {
    let rates = r#"
        { kind = "recurring", every = "month", when = "arrears", price = "1100" },
        { kind = "per_unit", resource = "requests", price = "1" }"#;
    let prices =
        book("JPY", "2026-01-01T00:00:00Z", rates).replace("rates =", "tax = \"inclusive\"\nrates =");
    let mut cloud = Cloud::new(&prices);
    taxed(&mut cloud, "JP", "10");
    let customer = cloud.customer("UTC");
    let country = Some("JP".parse().expect("a country"));
    let description = Description { country, vat_id: true, ..Description::default() };
    cloud.execute(Command::DescribeParty(DescribeParty { party: BUYER, description }));
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "22", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
    let october = invoice(&mut cloud, "2026-11-01T00:00:00Z", ("2026-10-01", "2026-11-01"));
    // 1,122 x 10 / 110 = 102.
    assert_eq!(sums(&october), ["1020", "102", "1122"]);
    cloud.clock("2026-11-10T00:00:00Z");
    cloud.usage(("slappart0", REQUESTS), "11", ("2026-10-07T00:00:00Z", "2026-10-08T00:00:00Z"));
    let november = invoice(&mut cloud, "2026-12-01T00:00:00Z", ("2026-11-01", "2026-12-01"));
    let amounts: Vec<String> = november.lines.iter().map(|line| line.amount.to_string()).collect();
    assert_eq!(amounts, ["1100", "11"]);
    // 1,111 x 10 / 110 = 101.
    assert_eq!(sums(&november), ["1010", "101", "1111"]);
    cloud.view.journal.check().expect("everything could be posted");
}
