//! Codes of discounts in proofs: their readers see those that the customer redeemed.

use slapledger_billing::price_book;
use slapledger_billing::proof::{UsageChosen, repeat};
use slapledger_core::domain::Command;
use slapledger_core::domain::discount::RedeemDiscountCode;
use slapledger_core::domain::id::{PartyId, PriceBookName};
use slapledger_core::domain::pricing::SetPriceOverride;

use super::{INVOICE, ProofEvents, proof};
use crate::cloud::{BOOK, Cloud, PRODUCTION, at};

const DISCOUNT: &str = "kind = \"discount\"\nitem = \"ours\"\npercent = \"20\"\ncode = \"OURS\"";

/// October of a customer, by a book with a code, and with a price of their own that has another one.
fn october(redeemed: &[&str]) -> Cloud {
    let welcome = "{ kind = \"discount\", item = \"welcome\", percent = \"10\", code = \"WELCOME\" },\n]";
    let mut cloud = Cloud::new(&format!("{}{welcome}\n", BOOK.trim_end().trim_end_matches(']')));
    cloud.clock("2026-10-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.execute(Command::SetPriceOverride(SetPriceOverride {
        price_book: PriceBookName::new("standard").expect("a name"),
        customer,
        valid_from: at("2026-10-01T00:00:00Z"),
        valid_until: None,
        rate: Box::new(price_book::parse_rate_toml(DISCOUNT).expect("a rate")),
        retroactive: true,
    }));
    for code in redeemed {
        redeem(&mut cloud, customer, code);
    }
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(run);
    cloud
}

fn redeem(cloud: &mut Cloud, customer: PartyId, code: &str) {
    cloud.execute(Command::RedeemDiscountCode(RedeemDiscountCode { customer, code: code.into() }));
}

fn events(cloud: &Cloud, sees_codes: bool) -> ProofEvents {
    let usage = UsageChosen::OfLines(None);
    proof(&cloud.view, &cloud.log, INVOICE, (usage, sees_codes)).expect("it is final")
}

#[test]
fn a_customer_sees_the_codes_that_they_redeemed() {
    let rows: [(&[&str], usize, &[&str]); 3] =
        [(&[], 2, &[]), (&["WELCOME"], 1, &["WELCOME"]), (&["WELCOME", "OURS"], 0, &["WELCOME", "OURS"])];
    for (redeemed, withheld, seen) in rows {
        let cloud = october(redeemed);
        let own = events(&cloud, false);
        assert_eq!(own.withheld.len(), withheld, "{redeemed:?}");
        let told = serde_json::to_string(&own.shown).expect("it can be written");
        for code in ["WELCOME", "OURS"] {
            assert_eq!(told.contains(&format!("\"{code}\"")), seen.contains(&code), "{redeemed:?}: {code}");
        }
        assert!(repeat(&own.all, INVOICE, None).is_ok());
        // The seller and auditors see all of them.
        let theirs = events(&cloud, true);
        assert_eq!(theirs.withheld.len(), 0);
        assert!(repeat(&theirs.shown, INVOICE, None).is_ok());
    }
}
