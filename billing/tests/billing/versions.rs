//! What a new version of a price book, another release, or the end of a month does to what is counted by the month.
//!
//! Amounts are worked out by hand. October 2026 has 31 days: 15 before the 16th, and 16 from it on.

use slapledger_core::domain::id::{PartyId, RunId, Sequence};
use slapledger_core::domain::instance::RequestedState;
use slapledger_core::domain::usage::Revision;

use crate::cloud::{CPU, Cloud, PRODUCTION, REQUESTS, Wanted, at};

const SINCE: &str = "2026-01-01T00:00:00Z";
const HALF: &str = "2026-10-16T00:00:00Z";

/// A book with one resource of each kind of meter.
fn book(valid_from: &str, settings: &str, rates: &str) -> String {
    let resource = |name: &str, kind: &str, meter: &str| {
        format!("{{ resource = \"{name}\", kind = \"{kind}\", meter = \"{meter}\", unit = \"u\" }}")
    };
    let resources = [
        resource("req", "counter", "sum"),
        resource("pk", "counter", "sum"),
        resource("disk", "gauge", "max"),
        resource("bw", "gauge", "percentile"),
        resource("lic", "gauge", "latest"),
        "{ resource = \"users\", kind = \"counter\", meter = \"unique_count\", dimension = \"user\", unit = \"u\" }"
            .to_owned(),
    ];
    format!(
        "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"{valid_from}\"\n{settings}\n\
         resources = [{}]\nrates = [{rates}]\n",
        resources.join(", ")
    )
}

/// 328.00 for what `use_everything` uses: 10 + 200 + 10 + 6 + 3 + 99.
const RATES: &str = r#"{ kind = "per_unit", resource = "disk", price = "0.10" },
    { kind = "per_unit", resource = "bw", price = "2.00" },
    { kind = "per_unit", resource = "users", price = "5.00" },
    { kind = "per_unit", resource = "req", price = "0.01", free = "1000" },
    { kind = "package", resource = "pk", size = "1000", price = "3.00" },
    { kind = "per_unit", resource = "lic", price = "99" }"#;

fn day(month: u32, day: u32) -> (String, String) {
    (format!("2026-{month:02}-{day:02}T00:00:00Z"), format!("2026-{month:02}-{day:02}T01:00:00Z"))
}

/// The same usage in each month: half of it early, half of it late.
fn use_everything(cloud: &mut Cloud, month: u32) {
    let after = if month == 12 {
        "2027-01-01T00:00:00Z".to_owned()
    } else {
        format!("2026-{:02}-01T00:00:00Z", month + 1)
    };
    cloud.clock(&after);
    let (from, until) = (format!("2026-{month:02}-01T00:00:00Z"), format!("2026-{month:02}-30T00:00:00Z"));
    for (resource, level) in [("disk", "100"), ("bw", "100"), ("lic", "1")] {
        cloud.usage(("slappart0", resource), level, (&from, &until));
    }
    for of_month in [5, 25] {
        let (start, stop) = day(month, of_month);
        for user in ["x", "y"] {
            let id = format!("{month} {of_month} {user}");
            let time = (at(&start), at(&stop));
            cloud.grouped(&id, Revision::None, ("slappart0", "users"), "1", time, &[("user", user)]);
        }
        cloud.usage(("slappart0", "req"), "800", (&start, &stop));
        cloud.usage(("slappart0", "pk"), "400", (&start, &stop));
    }
}

/// One customer with one instance since September.
fn cloud(book: &str) -> Cloud {
    let mut cloud = Cloud::new(book);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud
}

fn run(cloud: &mut Cloud, start: &str, stop: &str, now: &str) -> Vec<String> {
    cloud.clock(now);
    let run = cloud.open_run(start, stop);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing, "a rebuild gives the same");
    cloud.charges(run)
}

fn october(cloud: &mut Cloud) -> Vec<String> {
    run(cloud, "2026-10-01", "2026-11-01", "2026-11-02T00:00:00Z")
}

fn net(lines: &[String]) -> i64 {
    let cents = lines.iter().map(|line| {
        let amount = line.rsplit_once(" = ").expect("an amount").1.split(' ').next().expect("an amount");
        amount.replace('.', "").parse::<i64>().expect(amount)
    });
    cents.sum()
}

#[test]
fn equal_prices_in_the_middle_of_a_month_change_no_line() {
    let mut once = cloud(&book(SINCE, "", RATES));
    use_everything(&mut once, 10);
    let expected = october(&mut once);
    assert_eq!(net(&expected), 32_800, "{expected:#?}");
    let mut again = cloud(&book(SINCE, "", RATES));
    again.publish(&book(HALF, "", RATES));
    again.publish(&book("2026-10-20T12:00:00Z", "", RATES));
    use_everything(&mut again, 10);
    assert_eq!(october(&mut again), expected);
    // Rates in another order are the same prices.
    let mut turned: Vec<&str> = RATES.split(",\n").collect();
    turned.reverse();
    let mut reordered = cloud(&book(SINCE, "", RATES));
    reordered.publish(&book(HALF, "", &turned.join(",\n")));
    use_everything(&mut reordered, 10);
    assert_eq!(october(&mut reordered), expected);
}

#[test]
fn a_fee_is_one_line_through_versions_that_charge_the_same() {
    let fee = r#"{ kind = "recurring", every = "month", when = "arrears", price = "10.00" }"#;
    let mut cloud = cloud(&book(SINCE, "", fee));
    // Three parts of 10, 11 and 10 days would be 3.23 + 3.55 + 3.23.
    cloud.publish(&book("2026-10-11T00:00:00Z", "", fee));
    cloud.publish(&book("2026-10-22T00:00:00Z", "", fee));
    assert_eq!(october(&mut cloud), ["PARTY-2: SOFTINST-1 recurring: 1 month = 10.00 (0)"]);
}

#[test]
fn a_quarter_is_its_three_months() {
    let rates = format!(
        "{RATES}, {}",
        r#"{ kind = "recurring", every = "month", when = "arrears", price = "9.99" },
        { kind = "percentage", percent = "3.3", of = "usage" },
        { kind = "minimum", price = "400.00" }"#
    );
    let used = || {
        let mut cloud = cloud(&book(SINCE, "", &rates));
        cloud.publish(&book("2026-11-11T00:00:00Z", "", &rates.replace("2.00", "2.50")));
        (10..=12).for_each(|month| use_everything(&mut cloud, month));
        cloud
    };
    let now = "2027-01-02T00:00:00Z";
    let mut apart = used();
    let mut months = run(&mut apart, "2026-10-01", "2026-11-01", now);
    months.extend(run(&mut apart, "2026-11-01", "2026-12-01", now));
    months.extend(run(&mut apart, "2026-12-01", "2027-01-01", now));
    let mut quarter = run(&mut used(), "2026-10-01", "2027-01-01", now);
    months.sort_unstable();
    quarter.sort_unstable();
    assert_eq!(quarter, months);
    assert!(quarter.len() > 24, "{quarter:#?}");
}

#[test]
fn allowances_tiers_and_packages_go_on_with_other_prices() {
    let rates = |unit: &str, package: &str| {
        format!(
            r#"{{ kind = "per_unit", resource = "req", price = "{unit}", free = "1000" }},
            {{ kind = "package", resource = "pk", size = "1000", price = "{package}" }}"#
        )
    };
    let mut cloud = cloud(&book(SINCE, "", &rates("0.01", "3.00")));
    cloud.publish(&book(HALF, "", &rates("0.02", "4.00")));
    use_everything(&mut cloud, 10);
    // 800 free, then 200 free and 600 x 0.02; one package begun, and not another.
    assert_eq!(
        october(&mut cloud),
        [
            "PARTY-2: SOFTINST-1 usage of pk: 400 u = 3.00 (0)",
            "PARTY-2: SOFTINST-1 usage of pk: 400 u = 0.00 (0)",
            "PARTY-2: SOFTINST-1 usage of req: 800 u = 0.00 (0)",
            "PARTY-2: SOFTINST-1 usage of req: 800 u = 12.00 (0)",
        ]
    );
}

#[test]
fn a_tier_is_begun_once_and_all_units_cost_what_the_month_says() {
    let rates = |flat: &str| {
        format!(
            r#"{{ kind = "graduated", resource = "req",
                tiers = [{{ up_to = "1000", price = "0.01", flat = "{flat}" }}, {{ price = "0.005", flat = "1.00" }}] }},
            {{ kind = "volume", resource = "pk",
                tiers = [{{ up_to = "500", price = "0.10", flat = "9.00" }}, {{ price = "0.05", flat = "{flat}" }}] }}"#
        )
    };
    let mut cloud = cloud(&book(SINCE, "", &rates("2.00")));
    cloud.publish(&book(HALF, "", &rates("3.00")));
    use_everything(&mut cloud, 10);
    // Volume: 800 in the month are in the second tier: 400 x 0.05 + 2.00, then 400 x 0.05.
    // Graduated: 800 x 0.01 + 2.00; then 200 x 0.01 + 600 x 0.005 + 1.00.
    assert_eq!(
        october(&mut cloud),
        [
            "PARTY-2: SOFTINST-1 usage of pk: 400 u = 22.00 (0)",
            "PARTY-2: SOFTINST-1 usage of pk: 400 u = 20.00 (0)",
            "PARTY-2: SOFTINST-1 usage of req: 800 u = 10.00 (0)",
            "PARTY-2: SOFTINST-1 usage of req: 800 u = 6.00 (0)",
        ]
    );
}

#[test]
fn meters_that_do_not_add_up_are_shared_by_time() {
    let rates = |bw: &str| {
        format!(
            r#"{{ kind = "per_unit", resource = "bw", price = "{bw}" }},
            {{ kind = "graduated", resource = "disk",
                tiers = [{{ up_to = "10", price = "{bw}" }}, {{ price = "1.00" }}] }}"#
        )
    };
    let mut cloud = cloud(&book(SINCE, "", &rates("2.00")));
    cloud.publish(&book(HALF, "", &rates("4.00")));
    use_everything(&mut cloud, 10);
    // 100 x 15/31 at 2.00 and 100 x 16/31 at 4.00: 96.774193548 and 206.451612904.
    // 15/31 of 10 x 2 + 90 x 1 = 110; 16/31 of 10 x 4 + 90 x 1 = 130: 53.225806451 and 67.096774195.
    let lines = october(&mut cloud);
    assert_eq!(
        lines,
        [
            "PARTY-2: SOFTINST-1 usage of bw: 48.387096774 u = 96.77 (-0.004193548)",
            "PARTY-2: SOFTINST-1 usage of bw: 51.612903226 u = 206.45 (-0.001612904)",
            "PARTY-2: SOFTINST-1 usage of disk: 48.387096774 u = 53.23 (0.004193549)",
            "PARTY-2: SOFTINST-1 usage of disk: 51.612903226 u = 67.10 (0.003225805)",
        ]
    );
    let run = RunId(1);
    cloud.finalise(run);
    let now = Sequence(cloud.log.len() as u64);
    let document = cloud.view.billing.documents_of(run).next().expect("an invoice").invoice.id.clone();
    let (_, _, why) = cloud.view.explain_line(document.as_str(), 2, now).expect("a line");
    assert!(why.found);
    assert_eq!(
        why.formula[1..],
        [
            "51.612903226 x 4 = 206.451612904",
            "206.451612904 rounded half up = 206.45 EUR, which adds -0.001612904",
        ]
    );
    assert!(why.formula[0].ends_with(": 100 x 1382400 s / 2678400 s = 51.612903226 u"), "{:?}", why.formula);
}

#[test]
fn an_upgrade_continues_what_its_month_counted() {
    let of = |release: &str, free: &str, price: &str| {
        format!(
            r#"{{ kind = "per_unit", resource = "req", price = "{price}", free = "{free}",
                match = {{ software_release = "http://example.org/{release}" }} }}"#
        )
    };
    let upgraded = |rates: &str, back: bool| {
        let mut cloud = cloud(&book(SINCE, "", rates));
        let customer = PartyId(2);
        cloud.clock("2026-10-15T00:00:00Z");
        cloud.request(customer, "one", &Wanted { release: "http://example.org/v2", ..PRODUCTION });
        if back {
            cloud.clock("2026-10-15T01:00:00Z");
            cloud.request(customer, "one", &PRODUCTION);
        }
        cloud.clock("2026-10-31T00:00:00Z");
        use_everything(&mut cloud, 10);
        october(&mut cloud)
    };
    let same = [of("v1", "1000", "0.01"), of("v2", "1000", "0.01")].join(",");
    let whole = ["PARTY-2: SOFTINST-1 usage of req: 1600 u = 6.00 (0)"];
    assert_eq!(upgraded(&same, false), whole);
    assert_eq!(upgraded(&same, true), whole);
    // Of the 1200 that are free with the better release, 800 were used before.
    let better = [of("v1", "1000", "0.01"), of("v2", "1200", "0.02")].join(",");
    assert_eq!(
        upgraded(&better, false),
        [
            "PARTY-2: SOFTINST-1 usage of req: 800 u = 0.00 (0)",
            "PARTY-2: SOFTINST-1 usage of req: 800 u = 8.00 (0)",
        ]
    );
}

#[test]
fn pools_of_a_customer_continue_with_the_next_version_and_stand_beside_each_other() {
    let rate = |price: &str, more: &str| {
        format!(
            r#"{{ kind = "per_unit", resource = "req", price = "{price}", free = "1000", per = "customer"{more} }}"#
        )
    };
    let pooled = |first: &str, second: &str| {
        let mut cloud = cloud(&book(SINCE, "", first));
        let customer = PartyId(2);
        cloud.request(customer, "two", &Wanted { release: "http://example.org/v2", ..PRODUCTION });
        cloud.publish(&book(HALF, "", second));
        cloud.clock("2026-11-01T00:00:00Z");
        for partition in ["slappart0", "slappart1"] {
            for of_month in [5, 25] {
                let (start, stop) = day(10, of_month);
                cloud.usage((partition, "req"), "400", (&start, &stop));
            }
        }
        october(&mut cloud)
    };
    assert_eq!(
        pooled(&rate("0.01", ""), &rate("0.01", "")),
        ["PARTY-2: all usage of req: 1600 u = 6.00 (0)"]
    );
    // 800 of 1000 free, then 200 free and 600 x 0.02.
    assert_eq!(
        pooled(&rate("0.01", ""), &rate("0.02", "")),
        ["PARTY-2: all usage of req: 800 u = 0.00 (0)", "PARTY-2: all usage of req: 800 u = 12.00 (0)"]
    );
    // Two rates for two releases: each has its own 1000.
    let of = |release: &str| format!(r#", match = {{ software_release = "http://example.org/{release}" }}"#);
    let beside = [rate("0.01", &of("v1")), rate("0.01", &of("v2"))].join(",");
    assert_eq!(
        pooled(&beside, &beside),
        ["PARTY-2: all usage of req: 800 u = 0.00 (0)", "PARTY-2: all usage of req: 800 u = 0.00 (0)"]
    );
}

const MINIMUM: &str = r#"{ kind = "per_unit", resource = "pk", price = "0.375" },
    { kind = "minimum", price = "310.00" }"#;

#[test]
fn a_minimum_is_one_for_the_month() {
    // 800 x 0.375 = 300.00: 10.00 are missing, in one version as in two.
    for republished in [false, true] {
        let mut cloud = cloud(&book(SINCE, "", MINIMUM));
        if republished {
            cloud.publish(&book(HALF, "", MINIMUM));
        }
        use_everything(&mut cloud, 10);
        let lines = october(&mut cloud);
        assert_eq!(lines[1..], ["PARTY-2: all minimum: 1 month = 10.00 (0)"]);
    }
    // Twice as much for 16 of 31 days: 150 + 320 are 470, of which 300 are there.
    let mut cloud = cloud(&book(SINCE, "", MINIMUM));
    cloud.publish(&book(HALF, "", &MINIMUM.replace("310", "620")));
    use_everything(&mut cloud, 10);
    let lines = october(&mut cloud);
    assert_eq!(lines[2..], ["PARTY-2: all minimum: 1 month = 170.00 (0.00000008)"], "{lines:#?}");
}

#[test]
fn whether_a_minimum_is_prorated_is_a_setting() {
    for (setting, expected) in [("", "0.032258065 month = 10.00"), ("none", "1 month = 310.00")] {
        let setting = if setting.is_empty() { String::new() } else { format!(", proration = \"{setting}\"") };
        let minimum = format!(r#"{{ kind = "minimum", price = "310.00"{setting} }}"#);
        let mut cloud = Cloud::new(&book(SINCE, "", &minimum));
        let customer = cloud.customer("UTC");
        cloud.clock("2026-10-31T00:00:00Z");
        cloud.request(customer, "late", &PRODUCTION);
        let lines = october(&mut cloud);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with(&format!("PARTY-2: all minimum: {expected} ")), "{lines:?}");
    }
}

#[test]
fn a_book_that_restarts_counts_each_version_for_itself() {
    let mut cloud = cloud(&book(SINCE, "on_change = \"restart\"", RATES));
    cloud.publish(&book(HALF, "on_change = \"restart\"", RATES));
    use_everything(&mut cloud, 10);
    // Levels, users and packages on both sides, and 1000 free twice.
    assert_eq!(net(&october(&mut cloud)), 2 * (1000 + 20_000 + 1000 + 300 + 9900));
}

const FEE: &str = r#"{ kind = "recurring", every = "month", when = "arrears", price = "31.00" }"#;

#[test]
fn a_fee_ends_when_its_owner_ends_it() {
    for (until, expected) in
        [("destroy_requested", "0.032258065 month = 1.00"), ("destroyed", "0.935483871 month = 29.00")]
    {
        let fee = FEE.replace("price", &format!("until = \"{until}\", price"));
        let mut cloud = cloud(&book(SINCE, "", &fee));
        let customer = PartyId(2);
        cloud.clock("2026-10-02T00:00:00Z");
        let gone = Wanted { kind: None, state: RequestedState::Destroyed, ..PRODUCTION };
        cloud.request(customer, "one", &gone);
        cloud.clock("2026-10-30T00:00:00Z");
        cloud.end(customer, "one");
        let lines = october(&mut cloud);
        assert!(lines[0].starts_with(&format!("PARTY-2: SOFTINST-1 recurring: {expected} ")), "{lines:?}");
        let events = cloud.view.billing.documents_of(RunId(1)).next();
        let events = events.expect("a draft").invoice.lines[0].events.count;
        // Its request, its allocation, and what ended it.
        assert_eq!(events, 3, "{until}");
    }
}

#[test]
fn a_stopped_instance_may_cost_less() {
    let stopped = FEE.replace("31.00\"", "3.10\", match = { state = \"stopped\" }");
    let mut cloud = cloud(&book(SINCE, "", &format!("{FEE}, {stopped}")));
    let customer = PartyId(2);
    cloud.clock("2026-10-11T00:00:00Z");
    cloud.request(customer, "one", &Wanted { state: RequestedState::Stopped, ..PRODUCTION });
    cloud.clock("2026-10-21T00:00:00Z");
    cloud.request(customer, "one", &PRODUCTION);
    // 10 days of 31 at 31.00, 10 at 3.10, 11 at 31.00.
    assert_eq!(
        october(&mut cloud),
        [
            "PARTY-2: SOFTINST-1 recurring: 0.322580645 month = 10.00 (0.000000005)",
            "PARTY-2: SOFTINST-1 recurring: 0.322580645 month = 1.00 (0.0000000005)",
            "PARTY-2: SOFTINST-1 recurring: 0.35483871 month = 11.00 (-0.00000001)",
        ]
    );
}

/// Two runs of half a month charge together what one of the month does: free quantities, tiers, packages and the minimum
/// continue, and what does not add up has the share of the time.
#[test]
fn two_runs_of_half_a_month_continue_each_other() {
    let book = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
resources = [
    { resource = "requests", kind = "counter", meter = "sum", unit = "request" },
    { resource = "cpu", kind = "gauge", meter = "max", unit = "percent" },
]
rates = [
    { kind = "graduated", resource = "requests", free = "100", tiers = [
        { up_to = "200", price = "0.10" }, { price = "0.05" } ] },
    { kind = "per_unit", resource = "cpu", price = "1.00" },
    { kind = "minimum", price = "60.00", of = "usage" },
]
"#;
    let setting = |book: &str| {
        let mut cloud = Cloud::new(book);
        cloud.clock("2026-09-20T00:00:00Z");
        let customer = cloud.customer("UTC");
        cloud.request(customer, "one", &PRODUCTION);
        cloud.clock("2026-11-02T00:00:00Z");
        let about = ("slappart0", REQUESTS);
        cloud.usage(about, "150", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
        cloud.usage(about, "250", ("2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z"));
        cloud.usage(("slappart0", CPU), "31", ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z"));
        cloud
    };
    let mut cloud = setting(book);
    let half = cloud.open_run("2026-10-01", "2026-10-11");
    assert_eq!(
        cloud.charges(half),
        [
            // Ten of 31 days of 31, and 50 at 0.10. At least 60.00 x 10/31 = 19.35.
            "PARTY-2: SOFTINST-1 usage of cpu: 10 percent = 10.00 (0)",
            "PARTY-2: SOFTINST-1 usage of requests: 150 request = 5.00 (0)",
            "PARTY-2: all minimum: 0.322580645 month = 4.35 (-0.0048387)",
        ]
    );
    cloud.finalise(half);
    let rest = cloud.open_run("2026-10-11", "2026-11-01");
    let expected = [
        // 250 follow 50 that cost: 150 at 0.10, and 100 at 0.05.
        "PARTY-2: SOFTINST-1 usage of cpu: 21 percent = 21.00 (0)",
        "PARTY-2: SOFTINST-1 usage of requests: 250 request = 20.00 (0)",
        // 56.00 in all: 4.00 are missing, of 60.00, and 4.35 were charged.
        "PARTY-2: all minimum: 0.677419355 month = -0.35 (0.0048387)",
    ];
    assert_eq!(cloud.charges(rest), expected);
    let document = cloud.view.billing.documents_of(rest).next().expect("a draft").invoice.clone();
    let explained =
        cloud.view.explain(document.id.as_str(), 0, 9, cloud.now_sequence()).expect("it is known");
    assert!(explained.lines.iter().all(|(_, explanation)| explanation.found));
    cloud.finalise(rest);
    // What comes late in the first half is what the second half has at another price.
    cloud.usage(("slappart0", REQUESTS), "50", ("2026-10-06T00:00:00Z", "2026-10-07T00:00:00Z"));
    cloud.clock("2026-12-02T00:00:00Z");
    let next = cloud.open_run("2026-11-01", "2026-12-01");
    let charges = cloud.charges(next);
    cloud.finalise(next);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
    // In all: 450, of which 100 are free, 200 at 0.10 and 150 at 0.05, and 31.00: 58.50 of at least 60.00.
    let mut sum = 0;
    for run in [half, rest, next] {
        for document in cloud.view.billing.documents_of(run) {
            let of_november = |line: &&slapledger_core::domain::invoice::InvoiceLine| {
                line.period.start < at("2026-11-01T00:00:00Z")
            };
            sum += document
                .invoice
                .lines
                .iter()
                .filter(of_november)
                .map(|line| line.amount.minor())
                .sum::<i128>();
        }
    }
    assert_eq!(sum, 6000, "{charges:?}");
}

/// A yearly fee over a quarter is what three monthly runs charge: each month is rounded for itself.
#[test]
fn a_yearly_fee_of_a_quarter_is_that_of_its_months() {
    let book = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
rates = [{ kind = "recurring", every = "year", when = "arrears", price = "100.00" }]
"#;
    let setting = || {
        let mut cloud = Cloud::new(book);
        cloud.clock("2026-09-20T00:00:00Z");
        let customer = cloud.customer("UTC");
        cloud.request(customer, "one", &PRODUCTION);
        cloud.clock("2027-01-02T00:00:00Z");
        cloud
    };
    let mut cloud = setting();
    let quarter = cloud.open_run("2026-10-01", "2027-01-01");
    let at_once = cloud.charges(quarter);
    let month = "PARTY-2: SOFTINST-1 recurring: 0.083333333 year = 8.33 (-0.0033333)";
    assert_eq!(at_once, [month; 3]);
    let mut cloud = setting();
    let mut one_by_one = Vec::new();
    for (start, stop) in
        [("2026-10-01", "2026-11-01"), ("2026-11-01", "2026-12-01"), ("2026-12-01", "2027-01-01")]
    {
        let run = cloud.open_run(start, stop);
        one_by_one.extend(cloud.charges(run));
        cloud.finalise(run);
    }
    assert_eq!(one_by_one, at_once);
}

/// A resource is declared in one way, in another, and in the first again: what is free is free again, for one instance and
/// for all of a customer's.
#[test]
fn what_comes_after_another_declaration_counts_anew() {
    for per in ["instance", "customer"] {
        let book = |valid_from: &str, unit: &str| {
            format!(
                r#"
name = "standard"
currency = "EUR"
valid_from = "{valid_from}"
resources = [{{ resource = "requests", kind = "counter", meter = "sum", unit = "{unit}" }}]
rates = [{{ kind = "per_unit", resource = "requests", price = "1.00", free = "100", per = "{per}" }}]
"#
            )
        };
        let mut cloud = Cloud::new(&book(SINCE, "request"));
        cloud.publish(&book("2026-10-10T00:00:00Z", "call"));
        cloud.publish(&book("2026-10-20T00:00:00Z", "request"));
        cloud.clock("2026-09-20T00:00:00Z");
        let customer = cloud.customer("UTC");
        cloud.request(customer, "one", &PRODUCTION);
        cloud.clock("2026-11-02T00:00:00Z");
        for day in ["05", "15", "25"] {
            let period = (format!("2026-10-{day}T00:00:00Z"), format!("2026-10-{day}T12:00:00Z"));
            cloud.usage(("slappart0", REQUESTS), "110", (&period.0, &period.1));
        }
        let run = cloud.open_run("2026-10-01", "2026-11-01");
        let amounts = cloud.charges(run);
        assert_eq!(amounts.len(), 3, "{amounts:?}");
        assert!(amounts.iter().all(|line| line.ends_with("= 10.00 (0)")), "{amounts:?}");
    }
}
