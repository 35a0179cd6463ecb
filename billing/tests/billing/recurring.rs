//! Fees that are not for the time of one instance in units of the calendar: for all instances together, of the customer, by
//! the week, from the day of an allocation, and whole.
//!
//! October 2026 begins on a Thursday; the first Monday is the 5th.

use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::instance::InstanceType;

use crate::cloud::{CPU, Cloud, PRODUCTION, Wanted};

const TESTING: Wanted = Wanted { kind: Some(InstanceType::Testing), ..PRODUCTION };

/// A book with these rates, and one for CPU, so that usage can come late.
fn book(valid_from: &str, rates: &str) -> String {
    format!(
        "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"{valid_from}\"\n\
         resources = [{{ resource = \"cpu\", kind = \"gauge\", meter = \"time_integral\", unit = \"percent_hour\" }}]\n\
         rates = [{{ kind = \"per_unit\", resource = \"cpu\", price = \"0.002\" }}, {rates}]\n"
    )
}

fn cloud(rates: &str) -> (Cloud, PartyId) {
    let mut cloud = Cloud::new(&book("2026-01-01T00:00:00Z", rates));
    cloud.clock("2026-09-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    (cloud, customer)
}

/// What each run of some periods charges: descriptions without the quantity in brackets, quantities and amounts.
fn runs(cloud: &mut Cloud, bounds: &[&str]) -> Vec<Vec<String>> {
    let periods = bounds.windows(2);
    let each = periods.map(|period| {
        let run = cloud.open_run(period[0], period[1]);
        let lines = cloud.lines(run).into_iter();
        lines.map(|line| line.trim_start_matches("PARTY-2: ").to_owned()).collect()
    });
    each.collect()
}

const BY_HOUR: &str =
    "{ kind = \"recurring\", every = \"hour\", when = \"arrears\", price = \"0.01\", per = \"customer\" }";

#[test]
fn times_of_all_instances_are_added_before_they_are_priced() {
    let (mut cloud, customer) = cloud(BY_HOUR);
    for n in 0..9 {
        cloud.clock("2026-10-05T00:00:00Z");
        let kind = if n % 2 == 0 { &PRODUCTION } else { &TESTING };
        cloud.request(customer, &format!("job {n}"), kind);
        cloud.clock("2026-10-05T00:10:00Z");
        cloud.end(customer, &format!("job {n}"));
    }
    cloud.clock("2026-11-01T00:00:00Z");
    // Nine times ten minutes are an hour and a half; each alone would cost 0.00.
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(run), ["PARTY-2: all recurring: 1.5 hour = 0.02 (0.005)"]);
    let line = &cloud.view.billing.documents_of(run).next().expect("a draft").invoice.lines[0];
    assert_eq!(&*line.description, "all instances: hourly fee, 2026-10-01/2026-11-01 (1.5 hour)");
    // Request, allocation, request of the end, and end of each.
    assert_eq!(line.events.count, 4 * 9);
    assert!(cloud.view.line_events(&format!("{run}-{customer}"), 1).is_some());
}

#[test]
fn each_price_of_all_instances_is_a_line() {
    let dear = BY_HOUR.replace(" }", ", match = { instance_type = \"testing\" } }").replace("0.01", "0.03");
    let same = "match = { software_release = \"http://example.org/v2\", instance_type = \"production\" }";
    let same = BY_HOUR.replace(" }", &format!(", {same} }}"));
    let all = format!("{BY_HOUR}, {dear}, {same}");
    let (mut cloud, customer) = cloud(&all);
    cloud.clock("2026-10-01T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.request(customer, "two", &Wanted { release: "http://example.org/v2", ..PRODUCTION });
    cloud.request(customer, "three", &TESTING);
    // The same prices in a later version are the same line; a higher price from the 21st on is another.
    cloud.publish(&book("2026-10-11T00:00:00Z", &all));
    cloud.publish(&book("2026-10-21T00:00:00Z", &all.replace("0.01", "0.02")));
    cloud.clock("2026-11-01T00:00:00Z");
    let expected = [[
        "all instances: hourly fee, 2026-10-01/2026-10-21: 960 hour x 0.01 = 9.60 v1",
        "all instances: hourly fee, 2026-10-01/2026-11-01: 744 hour x 0.03 = 22.32 v1",
        "all instances: hourly fee, 2026-10-21/2026-11-01: 528 hour x 0.02 = 10.56 v3",
    ]];
    assert_eq!(runs(&mut cloud, &["2026-10-01", "2026-11-01"]), expected);
}

const BASE: &str = "{ kind = \"base_fee\", every = \"month\", price = \"31.00\" }";

#[test]
fn a_base_fee_is_owed_once_while_there_is_an_instance() {
    let (mut cloud, customer) = cloud(BASE);
    cloud.customer("UTC");
    cloud.clock("2026-10-03T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-05T00:00:00Z");
    cloud.request(customer, "two", &PRODUCTION);
    cloud.clock("2026-10-06T00:00:00Z");
    cloud.end(customer, "one");
    cloud.clock("2026-10-08T00:00:00Z");
    cloud.end(customer, "two");
    cloud.clock("2026-10-31T00:00:00Z");
    cloud.request(customer, "three", &PRODUCTION);
    cloud.clock("2026-11-01T00:00:00Z");
    // From the 3rd to the 8th, and the 31st: 6 days of 31. Nobody else owes it.
    let expected = [["base fee, 2026-10-01/2026-11-01: 0.193548387 month x 31 = 6.00 v1"]];
    assert_eq!(runs(&mut cloud, &["2026-10-01", "2026-11-01"]), expected);
}

#[test]
fn a_base_fee_that_is_owed_always_is_owed_without_instances() {
    let always = "{ kind = \"base_fee\", item = \"contract\", every = \"month\", price = \"31.00\", owed = \"always\", \
                  match = { customer = \"PARTY-2\" } }, { kind = \"percentage\", percent = \"10\" }";
    let (mut cloud, _) = cloud(always);
    cloud.customer("UTC");
    cloud.publish(&book("2026-11-11T00:00:00Z", "{ kind = \"percentage\", percent = \"10\" }"));
    cloud.clock("2026-12-01T00:00:00Z");
    // In November until a version without it, a third of a month; a percentage is of it.
    let run = cloud.open_run("2026-11-01", "2026-12-01");
    let expected = [
        "PARTY-2: all recurring: 0.333333333 month = 10.33 (-0.003333323)",
        "PARTY-2: all percentage: 10 percent = 1.03 (-0.003)",
    ];
    assert_eq!(cloud.charges(run), expected);
    assert_eq!(cloud.warnings(run), Vec::<String>::new());
    cloud.finalise(run);
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(run).len(), 2);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

fn fee(members: &str) -> String {
    format!("{{ kind = \"recurring\", when = \"arrears\", {members} }}")
}

#[test]
fn weeks_begin_on_monday_or_on_the_day_of_the_allocation() {
    let by_calendar = fee("item = \"calendar\", every = \"week\", price = \"7.00\"");
    let own = fee("item = \"own\", every = \"week\", price = \"7.00\", anchor = \"anniversary\"");
    let whole = fee("item = \"whole\", every = \"week\", price = \"7.00\", proration = \"whole\"");
    let own_whole = fee(
        "item = \"whole own\", every = \"week\", price = \"7.00\", anchor = \"anniversary\", proration = \"whole\"",
    );
    let (mut cloud, customer) = cloud(&[by_calendar, own, whole, own_whole].join(", "));
    cloud.clock("2026-10-07T12:00:00Z");
    cloud.request(customer, "db", &PRODUCTION);
    cloud.clock("2026-11-30T00:00:00Z");
    let runs = runs(&mut cloud, &["2026-10-01", "2026-10-21", "2026-11-01"]);
    let of = |run: &[String]| -> Vec<String> {
        run.iter().map(|line| line.split_once("slappart0: ").expect("a place").1.to_owned()).collect()
    };
    // From noon of Wednesday the 7th: 13.5 days. Weeks from Monday: the 5th, the 12th, the 19th; from the 7th: that, the 14th.
    let first = [
        "calendar, production, 2026-10-07T12:00:00Z/2026-10-21T00:00:00Z: 1.928571429 week x 7 = 13.50 v1",
        "own, production, 2026-10-07T12:00:00Z/2026-10-21T00:00:00Z: 1.928571429 week x 7 = 13.50 v1",
        "whole, production, 2026-10-07T12:00:00Z/2026-10-21T00:00:00Z: 3 week x 7 = 21.00 v1",
        "whole own, production, 2026-10-07T12:00:00Z/2026-10-21T00:00:00Z: 2 week x 7 = 14.00 v1",
    ];
    assert_eq!(of(&runs[0]), first);
    // The week of the 19th was paid; the 26th begins. From the 7th: the 21st and the 28th.
    let rest = [
        "calendar, production, 2026-10-21/2026-11-01: 1.571428571 week x 7 = 11.00 v1",
        "own, production, 2026-10-21/2026-11-01: 1.571428571 week x 7 = 11.00 v1",
        "whole, production, 2026-10-21/2026-11-01: 1 week x 7 = 7.00 v1",
        "whole own, production, 2026-10-21/2026-11-01: 2 week x 7 = 14.00 v1",
    ];
    assert_eq!(of(&runs[1]), rest);
}

#[test]
fn a_year_that_was_begun_is_paid_once_whatever_changes() {
    let rates = fee("every = \"year\", price = \"120.00\", anchor = \"anniversary\", proration = \"whole\"");
    let (mut cloud, customer) = cloud(&rates);
    cloud.clock("2026-10-07T12:00:00Z");
    cloud.request(customer, "db", &PRODUCTION);
    cloud.clock("2026-10-20T00:00:00Z");
    cloud.request(customer, "db", &TESTING);
    cloud.publish(&book("2026-10-25T00:00:00Z", &rates.replace("120.00", "240.00")));
    cloud.clock("2027-12-01T00:00:00Z");
    let bounds = ["2026-10-01", "2026-11-01", "2026-12-01", "2027-10-01", "2027-11-01", "2027-12-01"];
    let charged: Vec<Vec<String>> = runs(&mut cloud, &bounds)
        .into_iter()
        .map(|run| run.iter().map(|line| line.split_once(": 1 year x ").expect(line).1.to_owned()).collect())
        .collect();
    // On 7 October of each year, at the price of that day.
    assert_eq!(charged, [&["120 = 120.00 v1"][..], &[], &[], &["240 = 240.00 v2"], &[]]);
}

#[test]
fn whole_units_of_all_instances_and_of_a_customer() {
    let each = fee("every = \"day\", price = \"1.00\", per = \"customer\", proration = \"whole\"");
    let once = "{ kind = \"base_fee\", every = \"day\", price = \"1.00\", proration = \"whole\" }";
    let hours = fee("item = \"hours\", every = \"hour\", price = \"0.01\", proration = \"whole\"");
    let (mut cloud, customer) = cloud(&[&each, once, &hours].join(", "));
    // Three tenths of a second past the hour, then gone and there again on one day, over midnight.
    for (name, since, until) in [
        ("one", "2026-10-05T10:00:00.3Z", "2026-10-05T12:00:00.3Z"),
        ("two", "2026-10-05T23:00:00Z", "2026-10-06T01:00:00Z"),
    ] {
        cloud.clock(since);
        cloud.request(customer, name, &PRODUCTION);
        cloud.clock(until);
        cloud.end(customer, name);
    }
    cloud.clock("2026-11-01T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let expected = [
        "PARTY-2: SOFTINST-1 recurring: 3 hour = 0.03 (0)",
        "PARTY-2: SOFTINST-2 recurring: 2 hour = 0.02 (0)",
        "PARTY-2: all recurring: 3 day = 3.00 (0)",
        "PARTY-2: all recurring: 2 day = 2.00 (0)",
    ];
    assert_eq!(cloud.charges(run), expected);
}

/// The month from the 5th begins in the trial and costs nothing, also after the trial; the next one is charged.
#[test]
fn a_whole_unit_that_begins_in_a_trial_costs_nothing() {
    let terms = "every = \"month\", price = \"31.00\", anchor = \"anniversary\", proration = \"whole\"";
    let (mut cloud, customer) = cloud(&fee(&format!("{terms}, trial = {{ days = 14 }}")));
    cloud.clock("2026-10-05T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-12-02T00:00:00Z");
    let october = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.charges(october), ["PARTY-2: SOFTINST-1 recurring: 1 month = 0.00 (0)"]);
    let november = cloud.open_run("2026-11-01", "2026-12-01");
    assert_eq!(cloud.charges(november), ["PARTY-2: SOFTINST-1 recurring: 1 month = 31.00 (0)"]);
}

/// Two runs of parts of a month charge what one run of it does, and late usage changes no fee.
#[test]
fn parts_of_a_month_are_the_month() {
    let rates = [
        BY_HOUR.to_owned(),
        BASE.replace("month", "week"),
        fee(
            "item = \"a\", every = \"month\", price = \"31.00\", anchor = \"2026-01-31\", proration = \"whole\"",
        ),
        fee("item = \"b\", every = \"week\", price = \"7.00\", proration = \"whole\", per = \"customer\""),
    ];
    let (mut cloud, customer) = cloud(&rates.join(", "));
    cloud.clock("2026-09-10T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-10-15T18:00:00Z");
    cloud.request(customer, "two", &TESTING);
    cloud.clock("2026-11-02T00:00:00Z");
    let sum = |cloud: &mut Cloud, bounds: &[&str]| -> i128 {
        let mut net = 0;
        for period in bounds.windows(2) {
            let run = cloud.open_run(period[0], period[1]);
            net += cloud
                .view
                .billing
                .documents_of(run)
                .map(|document| document.invoice.net.minor())
                .sum::<i128>();
        }
        net
    };
    let whole = sum(&mut cloud, &["2026-10-01", "2026-11-01"]);
    // Hours: 744 + 390 are 11.34. Base: 31/7 x 31.00 = 137.29. Months from 30 September, which the first had begun and the
    // other begins on the 15th, and from 31 October. Weeks: 4 that begin in October, and 3 of the other.
    assert_eq!(whole, 1134 + 13_729 + 3100 * 3 + 700 * (4 + 3));
    let parts = sum(&mut cloud, &["2026-10-01", "2026-10-13T07:30:00Z", "2026-10-31", "2026-11-01"]);
    assert!((whole - parts).abs() <= 3, "{whole} and {parts}");

    let run = cloud.open_run("2026-10-01", "2026-11-01");
    cloud.finalise(run);
    cloud.usage(("slappart0", CPU), "50", ("2026-10-20T00:00:00Z", "2026-10-20T10:00:00Z"));
    cloud.clock("2026-12-02T00:00:00Z");
    let next = cloud.open_run("2026-11-01", "2026-12-01");
    let late: Vec<String> =
        cloud.charges(next).into_iter().filter(|line| line.contains("adjustment")).collect();
    let invoice = "INV-2026-000001";
    assert_eq!(
        late,
        [format!("PARTY-2: SOFTINST-1 adjustment of {invoice} line 0: 500 percent_hour = 1.00 (0)")]
    );
    let document = cloud.view.billing.document(invoice).expect("it is issued");
    assert_eq!(document.invoice.net.minor(), whole);
}
