//! The most that is charged in a month, with amounts worked out by hand. October 2026 has 31 days where the customer is.

use slapledger_billing::price_book;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::instance::InstanceType;
use slapledger_core::domain::invoice::{GiveBack, IssueCreditNote};
use slapledger_core::domain::party::{DescribeParty, Description};
use slapledger_core::domain::tax::{SetTaxRate, SetTaxTreatment, TaxCategory};

use crate::cloud::{Cloud, PRODUCTION, SELLER, Wanted, at};

const FEE: &str = r#"{ kind = "recurring", every = "month", when = "arrears", price = "10.00" }"#;
const REQUESTS: &str = r#"{ kind = "per_unit", resource = "requests", price = "0.01" }"#;
const HITS: &str = r#"{ kind = "per_unit", resource = "hits", price = "0.02" }"#;
const DAY: (&str, &str) = ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z");
const LATE_DAY: (&str, &str) = ("2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z");

fn book(valid_from: &str, rates: &[&str]) -> String {
    format!(
        "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"{valid_from}\"\n\
         resources = [{{ resource = \"requests\", kind = \"counter\", meter = \"sum\", unit = \"request\" }},\
         {{ resource = \"hits\", kind = \"counter\", meter = \"sum\", unit = \"hit\", group_by = [\"zone\"] }}]\n\
         rates = [{}]\n",
        rates.join(", ")
    )
}

/// One customer with two instances since September, and these rates.
fn cloud(rates: &[&str]) -> Cloud {
    let mut cloud = Cloud::new(&book("2026-01-01T00:00:00Z", rates));
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.request(customer, "two", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud
}

fn run(cloud: &mut Cloud, start: &str, stop: &str) -> Vec<String> {
    let run = cloud.open_run(start, stop);
    cloud.finalise(run);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing, "a rebuild gives the same");
    let invoice = format!("{run}-PARTY-2");
    let lines = cloud.view.billing.document(&invoice).map_or(0, |document| document.invoice.lines.len());
    for n in 1..=u32::try_from(lines).expect("few") {
        assert!(cloud.view.line_events(&invoice, n).is_some(), "the events behind line {n} are found again");
    }
    cloud.charges(run)
}

/// The lines that are not those of fees and usage.
fn reductions(charges: Vec<String>) -> Vec<String> {
    charges.into_iter().filter(|line| line.contains("maximum") || line.contains("m: ")).collect()
}

#[test]
fn each_group_of_usage_is_a_line_and_each_version_goes_on() {
    let most = r#"{ kind = "maximum", price = "3.00", per = "line", of = "usage" }"#;
    let mut cloud = cloud(&[HITS, REQUESTS, most]);
    // A price that changes does not make another maximum: 100 x 0.01 + 250 x 0.02 = 6.00, of which 3.00 is left.
    let dearer = REQUESTS.replace("0.01", "0.02");
    cloud.publish(&book("2026-10-16T00:00:00Z", &[HITS, &dearer, most]));
    cloud.usage(("slappart0", "requests"), "100", DAY);
    cloud.usage(("slappart0", "requests"), "250", LATE_DAY);
    let day = (at(DAY.0), at(DAY.1));
    for (id, zone, quantity) in [("a", "eu", "200"), ("b", "us", "10")] {
        let revision = slapledger_core::domain::usage::Revision::None;
        cloud.grouped(id, revision, ("slappart1", "hits"), quantity, day, &[("zone", zone)]);
    }
    cloud.clock("2026-11-01T00:00:00Z");
    let charges = run(&mut cloud, "2026-10-01", "2026-11-01");
    assert_eq!(
        charges,
        [
            "PARTY-2: SOFTINST-1 usage of requests: 100 request = 1.00 (0)",
            "PARTY-2: SOFTINST-1 usage of requests: 250 request = 5.00 (0)",
            "PARTY-2: SOFTINST-2 usage of hits zone=eu: 200 hit = 4.00 (0)",
            "PARTY-2: SOFTINST-2 usage of hits zone=us: 10 hit = 0.20 (0)",
            "PARTY-2: SOFTINST-1 maximum: 1 month = -3.00 (0)",
            "PARTY-2: SOFTINST-2 maximum zone=eu: 1 month = -1.00 (0)",
        ]
    );
}

/// Of the first instance 10.00 + 8.00 is above 15.00 by 3.00, and 7.00 of its requests above 5.00 by 3.00 before that; then
/// percentages are of what is left, and the customer pays at most 24.00 with them.
#[test]
fn lines_then_instances_then_percentages_then_the_customer() {
    let mut cloud = cloud(&[
        FEE,
        REQUESTS,
        r#"{ kind = "maximum", price = "8.00", per = "line", resource = "requests" }"#,
        r#"{ kind = "maximum", price = "15.00", per = "instance" }"#,
        r#"{ kind = "percentage", percent = "10" }"#,
        r#"{ kind = "maximum", price = "24.00", per = "customer" }"#,
    ]);
    cloud.usage(("slappart0", "requests"), "1100", DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    // 10.00 + 11.00 - 3.00 - 3.00 = 15.00; and 10.00: ten percent of 25.00 are 2.50; 27.50 is above 24.00 by 3.50.
    assert_eq!(
        run(&mut cloud, "2026-10-01", "2026-11-01"),
        [
            "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)",
            "PARTY-2: SOFTINST-1 usage of requests: 1100 request = 11.00 (0)",
            "PARTY-2: SOFTINST-2 recurring: 1 month = 10.00 (0)",
            "PARTY-2: SOFTINST-1 maximum: 1 month = -3.00 (0)",
            "PARTY-2: SOFTINST-1 maximum: 1 month = -3.00 (0)",
            "PARTY-2: all percentage: 10 percent = 2.50 (0)",
            "PARTY-2: all maximum: 1 month = -3.50 (0)",
        ]
    );
    let explanation = |n| {
        let now = cloud.now_sequence();
        let (.., explanation) = cloud.view.explain_line("RUN-1-PARTY-2", n, now).expect("a line");
        assert!(explanation.found);
        explanation.formula.join("\n")
    };
    assert_eq!(
        explanation(5),
        "2 lines add up to 21.00\n21.00 - 3.00 (what discounts and maximums before it take off) = 18.00\n\
         2678400 s / 2678400 s = 1 month\nat most 1 x 15 = 15\n15 rounded half up = 15.00 EUR, which adds 0\n\
         18.00 - 15.00, but not below 0, = 3.00\ntaken off: -3.00"
    );
    assert_eq!(
        explanation(6),
        "3 lines add up to 31.00\n31.00 - 6.00 (what discounts and maximums before it take off) = 25.00\n\
         25.00 x 10 / 100 = 2.5\n2.5 rounded half up = 2.50 EUR, which adds 0"
    );
}

/// Fees for all instances and base fees are of no instance, and are counted by all that is about the customer.
#[test]
fn fees_of_the_customer_are_counted_by_what_is_about_the_customer() {
    let mut cloud = cloud(&[
        FEE,
        r#"{ kind = "recurring", item = "hours", every = "hour", when = "arrears", price = "0.01", per = "customer" }"#,
        r#"{ kind = "base_fee", every = "month", price = "5.00" }"#,
        r#"{ kind = "maximum", price = "8.00", per = "instance" }"#,
        r#"{ kind = "percentage", percent = "10" }"#,
        r#"{ kind = "discount", percent = "20", of = "recurring" }"#,
        r#"{ kind = "maximum", price = "30.00", per = "customer" }"#,
        r#"{ kind = "minimum", price = "31.00" }"#,
    ]);
    cloud.clock("2026-11-01T00:00:00Z");
    // Twice 744 hours are 14.88. 8.00 + 8.00 + 14.88 + 5.00 = 35.88, of which ten percent are 3.588 and twenty 7.176; what is
    // left is 28.70 and 3.59: 32.29, which is above 30.00 by 2.29, and that below 31.00 by 1.00.
    assert_eq!(
        run(&mut cloud, "2026-10-01", "2026-11-01"),
        [
            "PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)",
            "PARTY-2: SOFTINST-2 recurring: 1 month = 10.00 (0)",
            "PARTY-2: all recurring: 1488 hour = 14.88 (0)",
            "PARTY-2: all recurring: 1 month = 5.00 (0)",
            "PARTY-2: SOFTINST-1 maximum: 1 month = -2.00 (0)",
            "PARTY-2: SOFTINST-2 maximum: 1 month = -2.00 (0)",
            "PARTY-2: all percentage: 10 percent = 3.59 (0.002)",
            "PARTY-2: all discount: 20 percent = -7.18 (-0.004)",
            "PARTY-2: all maximum: 1 month = -2.29 (0)",
            "PARTY-2: all minimum: 1 month = 1.00 (0)",
        ]
    );
}

#[test]
fn the_rate_that_matches_most_is_the_maximum_of_an_instance() {
    let mut cloud = cloud(&[
        REQUESTS,
        r#"{ kind = "maximum", price = "9.00", per = "instance" }"#,
        r#"{ kind = "maximum", price = "3.10", per = "instance", match = { instance_type = "testing" } }"#,
    ]);
    // The second is for testing from the 16th on: 15/31 x 9 + 16/31 x 3.10 = 4.354838712 + 1.5999999992 = 5.9548387112.
    cloud.clock("2026-10-16T00:00:00Z");
    cloud.request(PartyId(2), "two", &Wanted { kind: Some(InstanceType::Testing), ..PRODUCTION });
    cloud.clock("2026-10-31T00:00:00Z");
    cloud.usage(("slappart0", "requests"), "1000", DAY);
    cloud.usage(("slappart1", "requests"), "1000", DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(
        reductions(run(&mut cloud, "2026-10-01", "2026-11-01")),
        [
            "PARTY-2: SOFTINST-1 maximum: 1 month = -1.00 (0)",
            "PARTY-2: SOFTINST-2 maximum: 1 month = -4.05 (-0.0048387112)",
        ]
    );
}

#[test]
fn without_proration_a_part_of_a_month_has_all_of_it() {
    let most = r#"{ kind = "maximum", price = "9.00", per = "customer", proration = "none" }"#;
    let mut cloud = Cloud::new(&book("2026-01-01T00:00:00Z", &[REQUESTS, most]));
    cloud.clock("2026-10-16T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud.usage(("slappart0", "requests"), "1000", LATE_DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(
        reductions(run(&mut cloud, "2026-10-01", "2026-11-01")),
        ["PARTY-2: all maximum: 1 month = -1.00 (0)"]
    );
}

/// Two runs of parts of a month take off together what one run of the month does, and percentages are of what is left.
#[test]
fn a_run_within_a_month_continues_its_maximums() {
    let mut cloud = cloud(&[
        REQUESTS,
        r#"{ kind = "maximum", price = "9.30", per = "instance" }"#,
        r#"{ kind = "percentage", percent = "10" }"#,
    ]);
    // 15/31 of 9.30 are 4.50 (0.483870968 x 9.30 = 4.5000000024): of 6.00, 1.50 is taken off.
    cloud.usage(("slappart0", "requests"), "600", DAY);
    cloud.clock("2026-10-31T12:00:00Z");
    let first = run(&mut cloud, "2026-10-01", "2026-10-16");
    assert_eq!(
        first[1..],
        [
            "PARTY-2: SOFTINST-1 maximum: 0.483870968 month = -1.50 (-0.0000000024)",
            "PARTY-2: all percentage: 10 percent = 0.45 (0)",
        ]
    );
    // By the end of the month 6.00 + 3.00 is not above 9.30: what was taken off is charged again, 4.50 are left of it.
    cloud.usage(("slappart0", "requests"), "300", LATE_DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(
        run(&mut cloud, "2026-10-16", "2026-11-01")[1..],
        [
            "PARTY-2: SOFTINST-1 maximum: 0.516129032 month = 1.50 (0.0000000024)",
            "PARTY-2: all percentage: 10 percent = 0.45 (0)",
        ]
    );
}

/// What is late is adjusted, and so is what is taken off; a void period is taken off again.
#[test]
fn late_usage_and_voids() {
    let mut cloud =
        cloud(&[REQUESTS, HITS, r#"{ kind = "maximum", price = "5.00", per = "customer", of = "usage" }"#]);
    cloud.usage(("slappart0", "requests"), "400", DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(run(&mut cloud, "2026-10-01", "2026-11-01").len(), 1);
    cloud.usage(("slappart1", "requests"), "300", DAY);
    cloud.clock("2026-12-01T00:00:00Z");
    assert_eq!(
        run(&mut cloud, "2026-11-01", "2026-12-01"),
        [
            "PARTY-2: SOFTINST-2 adjustment of INV-2026-000001 line 0: 300 request = 3.00 (0)",
            "PARTY-2: all adjustment of INV-2026-000001 line 0: 1 month = -2.00 (0)",
        ]
    );
    cloud.usage(("slappart1", "requests"), "100", LATE_DAY);
    cloud.clock("2027-01-01T00:00:00Z");
    assert_eq!(
        run(&mut cloud, "2026-12-01", "2027-01-01"),
        [
            "PARTY-2: SOFTINST-2 adjustment of INV-2026-000001 line 0: 100 request = 1.00 (0)",
            "PARTY-2: all adjustment of INV-2026-000001 line 0: 0 month = -1.00 (0)",
        ]
    );
    let original = cloud.view.billing.document("RUN-1-PARTY-2").expect("it is there").invoice.clone();
    let note =
        IssueCreditNote { original, give_back: GiveBack::All, reason: "a mistake".into(), as_of: None };
    cloud.execute(Command::IssueCreditNote(Box::new(note)));
    let again = run(&mut cloud, "2026-10-01", "2026-11-01");
    assert!(again.contains(&"PARTY-2: all maximum: 1 month = -3.00 (0)".to_owned()), "{again:?}");
}

/// What is taken off has the taxes of the lines it is taken off, also if the tax is another one by now.
#[test]
fn taxes_are_those_of_the_lines() {
    let mut cloud = cloud(&[REQUESTS, r#"{ kind = "maximum", price = "8.00", per = "customer" }"#]);
    let tax = |cloud: &mut Cloud, rate: &str, from: &str| {
        let (rate, valid_from) = (rate.parse().expect(rate), at(from));
        cloud.execute(Command::SetTaxRate(SetTaxRate { seller: SELLER, rate, valid_from }));
    };
    for party in [SELLER, PartyId(2)] {
        let description = Description {
            country: Some("FR".parse().expect("a country")),
            vat_id: true,
            ..Default::default()
        };
        cloud.execute(Command::DescribeParty(DescribeParty { party, description }));
    }
    tax(&mut cloud, "20", "2020-01-01T00:00:00Z");
    // Prices change within the month, so that there are two lines of requests, and the tax changes with them.
    let dearer = REQUESTS.replace("0.01", "0.02");
    let most = r#"{ kind = "maximum", price = "8.00", per = "customer" }"#;
    cloud.publish(&book("2026-10-16T00:00:00Z", &[&dearer, most]));
    tax(&mut cloud, "10", "2026-10-16T00:00:00Z");
    cloud.usage(("slappart0", "requests"), "700", DAY);
    cloud.usage(("slappart0", "requests"), "150", LATE_DAY);
    cloud.clock("2026-11-01T00:00:00Z");
    // 7.00 and 3.00: 2.00 is taken off, 1.40 of the one and 0.60 of the other.
    let charges = run(&mut cloud, "2026-10-01", "2026-11-01");
    assert_eq!(
        reductions(charges),
        ["PARTY-2: all maximum: 1 month = -0.60 (0)", "PARTY-2: all maximum: 1 month = -1.40 (0)",]
    );
    let invoice = cloud.view.billing.document("RUN-1-PARTY-2").expect("it is there").invoice.clone();
    let taxes: Vec<String> = invoice.tax.iter().map(|of| format!("{} on {}", of.amount, of.base)).collect();
    assert_eq!(taxes, ["0.24 on 2.40", "1.12 on 5.60"]);
    let treatment = SetTaxTreatment {
        customer: PartyId(2),
        category: TaxCategory::S,
        exemption: None,
        valid_from: at("2020-01-01T00:00:00Z"),
    };
    cloud.execute(Command::SetTaxTreatment(treatment));
    tax(&mut cloud, "5", "2026-10-16T00:00:00Z");
    for n in 1..=4 {
        assert!(cloud.view.line_events(invoice.id.as_str(), n).is_some(), "line {n} is found again");
    }
    // 100 more of the first: 11.00 in all, 3.00 is taken off: 8/11 and 3/11 of it, 2.18 and 0.82.
    cloud.usage(("slappart0", "requests"), "100", DAY);
    cloud.clock("2026-12-01T00:00:00Z");
    run(&mut cloud, "2026-11-01", "2026-12-01");
    let adjusted = &cloud.view.billing.document("RUN-2-PARTY-2").expect("it is there").invoice;
    let lines: Vec<String> = adjusted
        .lines
        .iter()
        .map(|line| {
            format!(
                "{} at {} of line {}",
                line.amount,
                line.tax.rate,
                line.cites.as_ref().map_or(0, |at| at.line)
            )
        })
        .collect();
    assert_eq!(lines, ["1.00 at 20 of line 1", "-0.22 at 10 of line 3", "-0.78 at 20 of line 4"]);
}

#[test]
fn a_maximum_needs_months_that_continue() {
    let restart =
        book("2026-01-01T00:00:00Z", &[REQUESTS, r#"{ kind = "maximum", price = "1", per = "line" }"#])
            .replace("valid_from", "on_change = \"restart\"\nvalid_from");
    let refused = price_book::parse_toml(&restart).expect_err("it is refused");
    assert!(
        refused
            .to_string()
            .ends_with("rates[1].kind maximum needs on_change = \"continue\": it is a maximum of a month"),
        "{refused}"
    );
    let of_all = book(
        "2026-01-01T00:00:00Z",
        &[
            REQUESTS,
            r#"{ kind = "maximum", price = "1", per = "customer", match = { instance_type = "testing" } }"#,
        ],
    );
    let refused = price_book::parse_toml(&of_all).expect_err("it is refused");
    assert!(refused.to_string().contains("rates[1].match may name customer alone"), "{refused}");
}
