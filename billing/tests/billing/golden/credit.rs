//! Prepaid credit: which pays first, and what is left when it expires.

use slapledger_billing::journal::{TransactionFilter, amount_text};
use slapledger_core::domain::credit::{CreditKind, ExpireCredits, GrantCredit};
use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::{Answer, Command};

use super::{BUYER, book, taxed};
use crate::cloud::{Cloud, PRODUCTION, SELLER, at};

fn grant(cloud: &mut Cloud, cents: i128, (kind, priority): (CreditKind, u8), expires: Option<&str>) {
    cloud.execute(Command::GrantCredit(GrantCredit {
        seller: SELLER,
        customer: BUYER,
        currency: Currency::EUR,
        amount: Amount::from_minor(cents, Currency::EUR),
        description: "prepaid".into(),
        kind,
        priority,
        expires_at: expires.map(at),
    }));
}

/// Total, what each credit paid of it, and what is due.
fn paid(invoice: &Invoice) -> (String, Vec<String>, String) {
    let used = invoice.prepaid.iter().map(|used| format!("{} {}", used.credit, used.amount));
    (invoice.total.to_string(), used.collect(), invoice.due.to_string())
}

/// Promotional credit of 30.00 expires in the middle of October. The buyer is invoiced until the 11th and for the rest.
///
/// | credit | kind | priority | expires | amount |
/// | --- | --- | --- | --- | --- |
/// | CREDIT-1 | paid | 50 | never | 100.00 |
/// | CREDIT-2 | promotional | 50 | 16 October | 30.00 |
/// | CREDIT-3 | promotional | 10 | never | 5.00 |
///
/// A fee of 1.00 a day and 20 % of tax: 10 days are 10.00 + 2.00 = 12.00. CREDIT-3 pays first, 5.00, by its priority;
/// then CREDIT-2, 7.00, as it expires. Of CREDIT-2 are left 23.00 on the 16th: they expire. The other 21 days are 21.00 +
/// 4.20 = 25.20, all of which CREDIT-1 pays; 74.80 are left of it. Promotions cost 35.00 - 23.00 = 12.00.
#[test]
fn credit_that_expires_in_mid_month() {
    let rates = r#"{ kind = "recurring", every = "day", when = "arrears", price = "1.00" }"#;
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    taxed(&mut cloud, "FR", "20");
    let customer = cloud.customer("UTC");
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "web", &PRODUCTION);
    grant(&mut cloud, 10_000, (CreditKind::Paid, 50), None);
    grant(&mut cloud, 3_000, (CreditKind::Promotional, 50), Some("2026-10-16T00:00:00Z"));
    grant(&mut cloud, 500, (CreditKind::Promotional, 10), None);
    let expire = || Command::ExpireCredits(ExpireCredits { limit: 100 });
    cloud.clock("2026-10-11T00:00:00Z");
    let first = cloud.open_run_for(&[customer], "2026-10-01", "2026-10-11T00:00:00Z");
    cloud.finalise(first);
    assert_eq!(cloud.execute(expire()), Answer::Unchanged);
    cloud.clock("2026-10-16T00:00:00Z");
    assert_eq!(cloud.execute(expire()), Answer::Done);
    assert_eq!(cloud.execute(expire()), Answer::Unchanged);
    cloud.clock("2026-11-01T00:00:00Z");
    let second = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(second);
    let document = |run| {
        let found = cloud.view.billing.document(&format!("{run}-{BUYER}"));
        paid(&found.expect("a document").invoice)
    };
    let told = |total: &str, used: &[&str]| {
        (total.to_owned(), used.iter().map(|used| (*used).to_owned()).collect::<Vec<_>>(), "0.00".to_owned())
    };
    assert_eq!(document(first), told("12.00", &["CREDIT-3 5.00", "CREDIT-2 7.00"]));
    assert_eq!(document(second), told("25.20", &["CREDIT-1 25.20"]));
    cloud.view.journal.check().expect("everything could be posted");
    let all = TransactionFilter { from: None, to: None, seller: None, currency: None };
    let balances = cloud.view.journal.trial_balances(all).into_iter().flat_map(|balance| balance.balances);
    let balances: Vec<_> =
        balances.map(|(account, sum)| (account.to_string(), amount_text(sum, Currency::EUR))).collect();
    let balances: Vec<_> = balances.iter().map(|(account, sum)| (&**account, &**sum)).collect();
    let expected = [
        ("Assets:Clearing", "100.00"),
        ("Liabilities:Prepaid:PARTY-2", "-74.80"),
        ("Liabilities:Tax:S:20", "-6.20"),
        ("Income:Recurring", "-31.00"),
        ("Expenses:Promotions", "12.00"),
    ];
    assert_eq!(balances, expected);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}
