//! What costs nothing at first, with amounts worked out by hand. October 2026 has 31 days where the customer is.

use slapledger_billing::price_book;

use crate::cloud::{Cloud, PRODUCTION};

const OCTOBER: (&str, &str) = ("2026-10-01", "2026-11-01");
const NOVEMBER: (&str, &str) = ("2026-11-01", "2026-12-01");
const DECEMBER: (&str, &str) = ("2026-12-01", "2027-01-01");
const OCTOBER_DAY: (&str, &str) = ("2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z");
const NOVEMBER_DAY: (&str, &str) = ("2026-11-05T00:00:00Z", "2026-11-06T00:00:00Z");
const DECEMBER_DAY: (&str, &str) = ("2026-12-05T00:00:00Z", "2026-12-06T00:00:00Z");

fn book(rates: &[&str]) -> String {
    format!(
        "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"2026-01-01T00:00:00Z\"\n\
         resources = [{{ resource = \"requests\", kind = \"counter\", meter = \"sum\", unit = \"request\" }},\
         {{ resource = \"disk\", kind = \"gauge\", meter = \"max\", unit = \"MiB\" }}]\n\
         rates = [{}]\n",
        rates.join(", ")
    )
}

/// One customer with two instances since 22 October, and these rates.
fn cloud(rates: &[&str]) -> Cloud {
    let mut cloud = Cloud::new(&book(rates));
    cloud.clock("2026-10-22T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.request(customer, "two", &PRODUCTION);
    cloud.clock("2026-10-31T00:00:00Z");
    cloud
}

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
    cloud.charges(run)
}

fn steps(cloud: &Cloud, invoice: &str, n: usize) -> Vec<String> {
    let invoice = &cloud.view.billing.document(invoice).expect("it is there").invoice;
    let steps = invoice.lines[n - 1].steps.iter();
    steps.map(|step| format!("{} x {}", step.quantity, step.price)).collect()
}

/// Fourteen days end on 5 November at 00:00: a fee in advance for November costs 26 of 30 days, 8.666666670.
#[test]
fn a_fee_in_advance_is_for_what_comes_after_the_trial() {
    let mut cloud = cloud(&[
        r#"{ kind = "recurring", every = "month", when = "advance", price = "10.00", trial = { days = 14 } }"#,
    ]);
    cloud.clock("2026-11-01T00:00:00Z");
    let october = run(&mut cloud, OCTOBER);
    assert_eq!(
        october,
        [
            "PARTY-2: SOFTINST-1 advance: 0.133333333 month = 0.00 (0)",
            "PARTY-2: SOFTINST-1 advance: 0.866666667 month = 8.67 (0.00333333)",
            "PARTY-2: SOFTINST-2 advance: 0.133333333 month = 0.00 (0)",
            "PARTY-2: SOFTINST-2 advance: 0.866666667 month = 8.67 (0.00333333)",
        ]
    );
    cloud.clock("2026-12-01T00:00:00Z");
    // November costs what was charged for it.
    assert_eq!(
        run(&mut cloud, NOVEMBER),
        [
            "PARTY-2: SOFTINST-1 advance: 1 month = 10.00 (0)",
            "PARTY-2: SOFTINST-2 advance: 1 month = 10.00 (0)"
        ]
    );
}

/// Usage of the first days is a line of its own and no part of what is free. A meter that does not add up charges the share
/// of the time after the trial: 5 of 10 days.
#[test]
fn usage_in_days_of_trial() {
    let mut cloud = cloud(&[
        r#"{ kind = "per_unit", resource = "requests", price = "0.01", free = "50", trial = { days = 5 } }"#,
        r#"{ kind = "per_unit", resource = "disk", price = "0.10", trial = { days = 5 } }"#,
    ]);
    let days = ("2026-10-26T00:00:00Z", "2026-10-28T00:00:00Z");
    cloud.usage(("slappart0", "requests"), "400", days);
    cloud.usage(("slappart0", "disk"), "30", days);
    cloud.clock("2026-11-01T00:00:00Z");
    assert_eq!(
        run(&mut cloud, OCTOBER),
        [
            "PARTY-2: SOFTINST-1 usage of disk: 15 MiB = 0.00 (0)",
            "PARTY-2: SOFTINST-1 usage of disk: 15 MiB = 1.50 (0)",
            "PARTY-2: SOFTINST-1 usage of requests: 200 request = 0.00 (0)",
            "PARTY-2: SOFTINST-1 usage of requests: 200 request = 1.50 (0)",
        ]
    );
    assert_eq!(steps(&cloud, "RUN-1-PARTY-2", 3), ["200 x 0"]);
    assert_eq!(steps(&cloud, "RUN-1-PARTY-2", 4), ["50 x 0", "150 x 0.01"]);
    let (.., explained) = cloud.view.explain_line("RUN-1-PARTY-2", 3, cloud.now_sequence()).expect("a line");
    assert!(
        explained.formula.contains(
            &"a trial of 5 days, from 2026-10-22T00:00:00Z until 2026-10-27T00:00:00Z, costs nothing"
                .to_owned()
        ),
        "{:?}",
        explained.formula
    );
}

/// The first hundred of each instance's life; late usage of October leaves less of them for November.
#[test]
fn the_first_units_of_a_life() {
    let mut cloud =
        cloud(&[r#"{ kind = "graduated", resource = "requests", free = "10", trial = { quantity = "100" },
            tiers = [{ up_to = "20", price = "0.10" }, { price = "0.01" }] }"#]);
    cloud.usage(("slappart0", "requests"), "60", OCTOBER_DAY);
    cloud.clock("2026-11-30T00:00:00Z");
    assert_eq!(run(&mut cloud, OCTOBER), ["PARTY-2: SOFTINST-1 usage of requests: 60 request = 0.00 (0)"]);
    cloud.usage(("slappart0", "requests"), "80", NOVEMBER_DAY);
    cloud.clock("2026-12-01T00:00:00Z");
    // 40 of the trial, 10 free, 20 x 0.10 and 10 x 0.01.
    assert_eq!(run(&mut cloud, NOVEMBER), ["PARTY-2: SOFTINST-1 usage of requests: 80 request = 2.10 (0)"]);
    assert_eq!(steps(&cloud, "RUN-2-PARTY-2", 1), ["40 x 0", "10 x 0", "20 x 0.1", "10 x 0.01"]);
    let (.., explained) = cloud.view.explain_line("RUN-2-PARTY-2", 1, cloud.now_sequence()).expect("a line");
    assert!(
        explained.formula.contains(&"a trial of 100, 60 used before: the first 40 cost nothing".to_owned()),
        "{:?}",
        explained.formula
    );
    // 30 more in October: nothing there, and 30 more x 0.01 in November.
    cloud.usage(("slappart0", "requests"), "30", OCTOBER_DAY);
    cloud.clock("2027-01-01T00:00:00Z");
    assert_eq!(
        run(&mut cloud, DECEMBER),
        ["PARTY-2: SOFTINST-1 adjustment of INV-2026-000002 line 1: 0 request = 0.30 (0)"]
    );
}

/// Of all instances together: 70 and 50 in October, of which 20 are charged; nothing is left for later.
#[test]
fn the_first_units_of_a_customer() {
    let mut cloud = cloud(&[
        r#"{ kind = "per_unit", resource = "requests", price = "0.01", per = "customer", trial = { quantity = "100" } }"#,
    ]);
    cloud.usage(("slappart0", "requests"), "70", OCTOBER_DAY);
    cloud.usage(("slappart1", "requests"), "50", OCTOBER_DAY);
    cloud.clock("2026-12-31T00:00:00Z");
    assert_eq!(run(&mut cloud, OCTOBER), ["PARTY-2: all usage of requests: 120 request = 0.20 (0)"]);
    cloud.usage(("slappart1", "requests"), "50", DECEMBER_DAY);
    cloud.clock("2027-01-01T00:00:00Z");
    assert_eq!(run(&mut cloud, DECEMBER), ["PARTY-2: all usage of requests: 50 request = 0.50 (0)"]);
}

#[test]
fn refusals_name_the_field() {
    let fee = |trial: &str| {
        format!(
            "{{ kind = \"recurring\", every = \"month\", when = \"arrears\", price = \"1\", trial = {trial} }}"
        )
    };
    let usage = |resource: &str, trial: &str| {
        format!("{{ kind = \"per_unit\", resource = \"{resource}\", price = \"1\", trial = {trial} }}")
    };
    let rows = [
        (fee("{ days = 0 }"), "rates[0].trial must have at least 1 in days"),
        (fee("{ quantity = \"1\" }"), "rates[0].trial by quantity is for usage alone; a fee may have days"),
        (usage("requests", "{ quantity = \"0\" }"), "rates[0].trial must have a quantity above 0"),
        (
            usage("disk", "{ quantity = \"1\" }"),
            "rates[0].trial by quantity needs a meter that adds up: sum, time_integral or count",
        ),
        (fee("{ }"), "rates[0].trial must have days or quantity: what costs nothing at first"),
        (
            usage("requests", "{ days = 1, quantity = \"1\" }"),
            "rates[0].trial.quantity cannot stand beside days: a trial is of one or the other",
        ),
    ];
    for (rate, told) in rows {
        let refused = price_book::parse_toml(&book(&[&rate])).expect_err(&rate).to_string();
        assert!(refused.ends_with(told), "{rate}: {refused}");
    }
}
