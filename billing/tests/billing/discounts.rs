//! What is taken off a customer's lines, with amounts worked out by hand. October 2026 has 31 days where the customer is.

use slapledger_billing::price_book;
use slapledger_core::domain::Command;
use slapledger_core::domain::discount::RedeemDiscountCode;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::invoice::{GiveBack, IssueCreditNote};

use crate::cloud::{Cloud, PRODUCTION};

const FEE: &str = r#"{ kind = "recurring", every = "month", when = "arrears", price = "10.00" }"#;
const REQUESTS: &str = r#"{ kind = "per_unit", resource = "requests", price = "0.01" }"#;
const DAY: (&str, &str) = ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z");
const LATE_DAY: (&str, &str) = ("2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z");
const OCTOBER: (&str, &str) = ("2026-10-01", "2026-11-01");
const NOVEMBER: (&str, &str) = ("2026-11-01", "2026-12-01");

fn book(rates: &[&str]) -> String {
    format!(
        "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"2026-01-01T00:00:00Z\"\n\
         resources = [{{ resource = \"requests\", kind = \"counter\", meter = \"sum\", unit = \"request\" }}]\n\
         rates = [{}]\n",
        rates.join(", ")
    )
}

/// One customer with two instances since 20 September, and these rates.
fn cloud(rates: &[&str]) -> Cloud {
    let mut cloud = Cloud::new(&book(rates));
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.request(customer, "two", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud
}

/// The lines of a run that are not those of fees and usage.
fn run(cloud: &mut Cloud, (start, stop): (&str, &str)) -> Vec<String> {
    let run = cloud.open_run(start, stop);
    cloud.finalise(run);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing, "a rebuild gives the same");
    let invoice = format!("{run}-PARTY-2");
    let lines = cloud.view.billing.document(&invoice).map_or(0, |document| document.invoice.lines.len());
    for n in 1..=u32::try_from(lines).expect("few") {
        assert!(cloud.view.line_events(&invoice, n).is_some(), "the events behind line {n} are found again");
        let (.., explained) =
            cloud.view.explain_line(&invoice, n, cloud.now_sequence()).expect("a line of the document");
        assert!(explained.found, "line {n} is found again");
    }
    let charges = cloud.charges(run).into_iter();
    charges.filter(|line| !line.contains(" recurring: ") && !line.contains(" usage of requests: ")).collect()
}

#[test]
fn each_is_of_what_is_left_and_none_goes_below_zero() {
    let rates = [
        REQUESTS,
        r#"{ kind = "discount", item = "first", amount = "8.00", order = 1 }"#,
        r#"{ kind = "discount", item = "second", percent = "50" }"#,
        r#"{ kind = "discount", item = "third", percent = "50", order = 2 }"#,
    ];
    let mut cloud = cloud(&rates);
    cloud.usage(("slappart0", "requests"), "1000", DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    // 10.00: half of it, then 8.00 of the 5.00 that are left; there is nothing left for the third.
    assert_eq!(
        run(&mut cloud, OCTOBER),
        ["PARTY-2: all discount: 50 percent = -5.00 (0)", "PARTY-2: all discount: 1 month = -5.00 (0)"]
    );
    let (.., explained) =
        cloud.view.explain_line("RUN-1-PARTY-2", 3, cloud.now_sequence()).expect("the second discount");
    assert_eq!(
        explained.formula,
        [
            "1 lines add up to 10.00",
            "10.00 - 5.00 (what discounts and maximums before it take off) = 5.00",
            "2678400 s / 2678400 s = 1 month",
            "1 x 8 = 8",
            "no more than what is left: 5.00",
            "taken off: -5.00",
        ]
    );
}

#[test]
fn the_one_that_names_the_customer_applies() {
    let mut cloud = cloud(&[
        FEE,
        r#"{ kind = "discount", item = "a", percent = "10" }"#,
        r#"{ kind = "discount", item = "a", percent = "25", match = { customer = "PARTY-2" } }"#,
        r#"{ kind = "discount", item = "b", percent = "90", match = { customer = "PARTY-3" } }"#,
    ]);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(run(&mut cloud, OCTOBER), ["PARTY-2: all discount: 25 percent = -5.00 (0)"]);
}

/// Months are counted from that of the first allocation: September, of which there are 11 of 30 days.
#[test]
fn for_so_many_months() {
    let mut cloud = cloud(&[FEE, r#"{ kind = "discount", percent = "10", months = 2 }"#]);
    cloud.clock("2026-12-01T00:00:00Z");
    // 2 x 3.67 (0.366666667 x 10 = 3.66666667): 0.734, so 0.73.
    assert_eq!(
        run(&mut cloud, ("2026-09-01", "2026-10-01")),
        ["PARTY-2: all discount: 10 percent = -0.73 (0.004)"]
    );
    assert_eq!(run(&mut cloud, OCTOBER), ["PARTY-2: all discount: 10 percent = -2.00 (0)"]);
    assert_eq!(run(&mut cloud, NOVEMBER), Vec::<String>::new());
}

/// A void invoice is none, and its period has the discount again.
#[test]
fn on_so_many_invoices_that_stand() {
    let mut cloud = cloud(&[FEE, r#"{ kind = "discount", percent = "10", invoices = 1 }"#]);
    cloud.clock("2027-01-01T00:00:00Z");
    let discount = ["PARTY-2: all discount: 10 percent = -2.00 (0)"];
    assert_eq!(run(&mut cloud, OCTOBER), discount);
    assert_eq!(run(&mut cloud, NOVEMBER), Vec::<String>::new());
    let original = cloud.view.billing.document("RUN-1-PARTY-2").expect("it is there").invoice.clone();
    let note =
        IssueCreditNote { original, give_back: GiveBack::All, reason: "a mistake".into(), as_of: None };
    cloud.execute(Command::IssueCreditNote(Box::new(note)));
    assert_eq!(run(&mut cloud, OCTOBER), discount);
    assert_eq!(run(&mut cloud, ("2026-12-01", "2027-01-01")), Vec::<String>::new());
    // Nothing of this changes what was invoiced before: November has no discount now either.
    assert!(cloud.view.explain_line("RUN-2-PARTY-2", 1, cloud.now_sequence()).is_some());
}

/// What begins later than `until` has no discount: a third instance, for 12 of 31 days.
#[test]
fn until_an_instant() {
    let mut cloud = cloud(&[FEE, r#"{ kind = "discount", percent = "10", until = "2026-10-16T00:00:00Z" }"#]);
    cloud.clock("2026-10-20T00:00:00Z");
    cloud.request(PartyId(2), "three", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(run(&mut cloud, OCTOBER), ["PARTY-2: all discount: 10 percent = -2.00 (0)"]);
}

/// The first half has 4.00, which is too little; by the end of the month there are 8.00, and all of it is discounted.
#[test]
fn from_a_minimum_spend_on_in_two_runs_of_a_month() {
    let mut cloud = cloud(&[REQUESTS, r#"{ kind = "discount", amount = "3.10", minimum_spend = "5.00" }"#]);
    cloud.usage(("slappart0", "requests"), "400", DAY);
    cloud.clock("2026-10-31T00:00:00Z");
    assert_eq!(run(&mut cloud, ("2026-10-01", "2026-10-16")), Vec::<String>::new());
    cloud.usage(("slappart0", "requests"), "400", LATE_DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(
        run(&mut cloud, ("2026-10-16", "2026-11-01")),
        ["PARTY-2: all discount: 0.516129032 month = -3.10 (0)"]
    );
}

#[test]
fn late_usage_has_the_discount_of_its_month() {
    let mut cloud = cloud(&[REQUESTS, r#"{ kind = "discount", percent = "10", invoices = 1 }"#]);
    cloud.usage(("slappart0", "requests"), "400", DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(run(&mut cloud, OCTOBER), ["PARTY-2: all discount: 10 percent = -0.40 (0)"]);
    cloud.usage(("slappart1", "requests"), "305", DAY);
    cloud.clock("2026-12-01T00:00:00Z");
    // 7.05: 0.705 is 0.71, and 0.40 of it was taken off.
    assert_eq!(
        run(&mut cloud, NOVEMBER),
        [
            "PARTY-2: all adjustment of INV-2026-000001 line 2: 0 percent = -0.31 (-0.005)",
            "PARTY-2: SOFTINST-2 adjustment of INV-2026-000001 line 0: 305 request = 3.05 (0)",
        ]
    );
}

/// A code counts from the beginning of the month in which it is redeemed, also on what is invoiced of it already.
#[test]
fn a_code_counts_from_its_month_on() {
    let rates = [FEE, r#"{ kind = "discount", percent = "10", code = "WELCOME", months = 2 }"#];
    let mut cloud = cloud(&rates);
    let redeem = |cloud: &mut Cloud| {
        let (customer, code) = (PartyId(2), "WELCOME".into());
        cloud.execute(Command::RedeemDiscountCode(RedeemDiscountCode { customer, code }));
    };
    cloud.clock("2026-10-16T00:00:00Z");
    assert_eq!(run(&mut cloud, ("2026-10-01", "2026-10-16")), Vec::<String>::new());
    cloud.clock("2026-10-20T00:00:00Z");
    redeem(&mut cloud);
    cloud.clock("2026-11-01T00:00:00Z");
    // 16/31 of 20.00 are 10.32 (2 x 5.16): 20.00 x 10 % less what it was before, 9.68 x 10 % (0.968).
    assert_eq!(
        run(&mut cloud, ("2026-10-16", "2026-11-01")),
        [
            "PARTY-2: all discount: 10 percent = -1.03 (0.002)",
            "PARTY-2: all adjustment of INV-2026-000001 line 0: 10 percent = -0.97 (-0.002)",
        ]
    );
    redeem(&mut cloud);
    cloud.clock("2027-01-01T00:00:00Z");
    assert_eq!(run(&mut cloud, NOVEMBER), ["PARTY-2: all discount: 10 percent = -2.00 (0)"]);
    assert_eq!(run(&mut cloud, ("2026-12-01", "2027-01-01")), Vec::<String>::new());
}

#[test]
fn refusals_name_the_field() {
    let rows = [
        (r#"percent = "0""#, "rates[1].percent must be above 0 and at most 100"),
        (r#"percent = "100.1""#, "rates[1].percent must be above 0 and at most 100"),
        (r#"amount = "0""#, "rates[1].amount must be above 0"),
        (r#"percent = "1", months = 0"#, "rates[1].months must be at least 1"),
        (r#"percent = "1", invoices = 0"#, "rates[1].invoices must be at least 1"),
        (
            r#"percent = "1", amount = "1""#,
            "rates[1].amount cannot stand beside percent: a discount is one or the other",
        ),
        (r#"item = "a""#, "rates[1] must have percent or amount: how much is taken off"),
        (r#"percent = "1", resource = "r""#, "rates[1].resource r is not declared in resources"),
        (
            r#"percent = "1", match = { region = "eu" }"#,
            "rates[1].match may name customer alone: this is about all of a customer's lines",
        ),
    ];
    for (members, told) in rows {
        let text = book(&[FEE, &format!("{{ kind = \"discount\", {members} }}")]);
        let refused = price_book::parse_toml(&text).expect_err(members).to_string();
        assert!(refused.ends_with(told), "{members}: {refused}");
    }
    let text = book(&[FEE, r#"{ kind = "discount", percent = "1" }"#])
        .replace("valid_from", "on_change = \"restart\"\nvalid_from");
    let refused = price_book::parse_toml(&text).expect_err("it is refused").to_string();
    assert!(
        refused
            .ends_with("rates[1].kind discount needs on_change = \"continue\": it is a discount of a month")
    );
}
