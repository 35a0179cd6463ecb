//! Documents that give back.

use slapledger_core::domain::Command;
use slapledger_core::domain::invoice::{DocumentKind, GiveBack, HowMuch, IssueCreditNote};
use slapledger_core::domain::money::Amount;

use super::{BUYER, book, check, invoice, taxed};
use crate::cloud::{Cloud, PRODUCTION, at};

/// A credit note for one line of a previous month, in two parts.
///
/// September, 20 % of tax:
/// 1. an instance, 30 days of 30: 1 month x 10.00 = 10.00
/// 2. CPU, 100 percent for one hour: 100 `percent_hour` x 0.0333 = 3.33
///
/// net 13.33, tax 2.666 = 2.67, total 16.00.
///
/// In November 1.11 of line 2 are given back: tax 0.222 = 0.22, total 1.33. Then the rest of it: 3.33 - 1.11 = 2.22;
/// the tax on all that was given back is 20 % of 3.33 = 0.666 = 0.67, of which 0.22 were given back: 0.45, total 2.67.
#[test]
fn a_line_of_a_previous_month_is_given_back() {
    let rates = "{ kind = \"recurring\", every = \"month\", when = \"arrears\", price = \"10.00\" },\
                 { kind = \"per_unit\", resource = \"cpu\", price = \"0.0333\" }";
    let mut cloud = Cloud::new(&book("EUR", "2026-01-01T00:00:00Z", rates));
    cloud.clock("2026-08-20T00:00:00Z");
    assert_eq!(cloud.customer("UTC"), BUYER);
    taxed(&mut cloud, "FR", "20");
    cloud.request(BUYER, "one", &PRODUCTION);
    cloud.clock("2026-09-30T00:00:00Z");
    cloud.usage(("slappart0", "cpu"), "100", ("2026-09-10T00:00:00Z", "2026-09-10T01:00:00Z"));
    let september = invoice(&mut cloud, "2026-10-01T00:00:00Z", ("2026-09-01", "2026-10-01"));
    check("september", &september, &[("1", "10.00"), ("100", "3.33")], ["13.33", "2.67", "16.00"]);

    let part = Amount::parse("1.11", september.currency).expect("an amount");
    let steps = [
        (HowMuch::Amount(part), "part", ["1.11", "0.22", "1.33"]),
        (HowMuch::Rest, "rest", ["2.22", "0.45", "2.67"]),
    ];
    for (how_much, name, sums) in steps {
        cloud.clock("2026-11-10T09:00:00Z");
        let give_back = GiveBack::Lines(vec![(2, how_much)]);
        let reason = "it was not used".into();
        let command = IssueCreditNote { original: september.clone(), give_back, reason, as_of: None };
        cloud.execute(Command::IssueCreditNote(Box::new(command)));
        let note = cloud.view.billing.notes_on(september.run, BUYER).last().expect("a note").invoice.clone();
        assert_eq!(note.document, DocumentKind::CreditNote);
        assert_eq!(note.issued_at, at("2026-11-10T09:00:00Z"));
        check(&format!("september_{name}"), &note, &[("1", sums[0])], sums);
    }
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}
