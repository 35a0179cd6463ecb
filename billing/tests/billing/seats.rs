//! Levels that hold until the next report.
//!
//! October 2026 has 744 hours, November 720.

use slapledger_core::domain::Command;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::usage::{Revision, UsageId, VoidRequest, VoidUsage};

use crate::cloud::{Cloud, PRODUCTION, at};

const SEATS: &str = "seats";

fn book(meter: &str) -> String {
    format!(
        "name = \"standard\"\ncurrency = \"EUR\"\nvalid_from = \"2026-01-01T00:00:00Z\"\n\
         resources = [{{ resource = \"seats\", kind = \"gauge\", meter = \"{meter}\", unit = \"seat\", carry_over = true }}]\n\
         rates = [{{ kind = \"per_unit\", resource = \"seats\", price = \"1.00\" }}]\n"
    )
}

fn cloud(meter: &str) -> (Cloud, PartyId) {
    let mut cloud = Cloud::new(&book(meter));
    cloud.clock("2026-08-01T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "office", &PRODUCTION);
    cloud.clock("2026-08-10T01:00:00Z");
    cloud.usage(("slappart0", SEATS), "3", ("2026-08-10T00:00:00Z", "2026-08-10T01:00:00Z"));
    (cloud, customer)
}

fn charges(cloud: &mut Cloud, period: (&str, &str)) -> Vec<String> {
    let run = cloud.open_run(period.0, period.1);
    let lines = cloud.charges(run).into_iter();
    lines.map(|line| line.trim_start_matches("PARTY-2: SOFTINST-1 ").to_owned()).collect()
}

const OCTOBER: (&str, &str) = ("2026-10-01", "2026-11-01");
const NOVEMBER: (&str, &str) = ("2026-11-01", "2026-12-01");

#[test]
fn the_last_report_holds_until_the_next_and_until_the_instance_ends() {
    let rows = [
        // 3 for 240 hours, then 5 for 504.
        ("time_integral", "3240 seat = 3240.00 (0)", "120 seat = 120.00 (0)"),
        ("latest", "5 seat = 5.00 (0)", "5 seat = 5.00 (0)"),
        ("min", "3 seat = 3.00 (0)", "5 seat = 5.00 (0)"),
        ("max", "5 seat = 5.00 (0)", "5 seat = 5.00 (0)"),
        ("average", "4.35483871 seat = 4.35 (-0.00483871)", "5 seat = 5.00 (0)"),
        ("percentile", "5 seat = 5.00 (0)", "5 seat = 5.00 (0)"),
    ];
    for (meter, october, november) in rows {
        let (mut cloud, customer) = cloud(meter);
        cloud.clock("2026-10-11T01:00:00Z");
        cloud.usage(("slappart0", SEATS), "5", ("2026-10-11T00:00:00Z", "2026-10-11T01:00:00Z"));
        cloud.clock("2026-11-02T00:00:00Z");
        cloud.end(customer, "office");
        cloud.clock("2026-12-01T00:00:00Z");
        let usage = |told: &str| vec![format!("usage of seats: {told}")];
        assert_eq!(charges(&mut cloud, OCTOBER), usage(october), "{meter}");
        assert_eq!(charges(&mut cloud, NOVEMBER), usage(november), "{meter}");
        assert_eq!(charges(&mut cloud, ("2026-12-01", "2027-01-01")), Vec::<String>::new(), "{meter}");
    }
}

#[test]
fn what_comes_late_changes_every_month_that_it_reaches() {
    let (mut cloud, _) = cloud("time_integral");
    for (period, now) in [(OCTOBER, "2026-11-01T00:00:00Z"), (NOVEMBER, "2026-12-01T00:00:00Z")] {
        cloud.clock(now);
        let run = cloud.open_run(period.0, period.1);
        cloud.finalise(run);
    }
    // From 22 October on it was 4: 240 hours of October, and all of November.
    let hour = ("2026-10-22T00:00:00Z", "2026-10-22T01:00:00Z");
    let period = (at(hour.0), at(hour.1));
    cloud.report("late", Revision::None, ("slappart0", SEATS), "4", period);
    cloud.clock("2027-01-01T00:00:00Z");
    let december = ("2026-12-01", "2027-01-01");
    let mut expected = vec![
        "usage of seats: 2976 seat = 2976.00 (0)".to_owned(),
        "adjustment of INV-2026-000001 line 1: 240 seat = 240.00 (0)".to_owned(),
        "adjustment of INV-2026-000002 line 1: 720 seat = 720.00 (0)".to_owned(),
    ];
    assert_eq!(charges(&mut cloud, december), expected);
    // Said otherwise, and then void: what is carried is that of August again.
    let instead = Revision::Replaces(UsageId::new("late").expect("an id"));
    cloud.report("corrected", instead, ("slappart0", SEATS), "5", period);
    expected[0] = "usage of seats: 3720 seat = 3720.00 (0)".to_owned();
    expected[1] = "adjustment of INV-2026-000001 line 1: 480 seat = 480.00 (0)".to_owned();
    expected[2] = "adjustment of INV-2026-000002 line 1: 1440 seat = 1440.00 (0)".to_owned();
    assert_eq!(charges(&mut cloud, december), expected);
    let computer = "COMP-1".parse().expect("a computer");
    let voids = UsageId::new("corrected").expect("an id");
    let voids = vec![VoidRequest { id: None, voids, reason: "sent by mistake".into() }];
    cloud.execute(Command::VoidUsage(VoidUsage { computer, voids }));
    assert_eq!(charges(&mut cloud, december), ["usage of seats: 2232 seat = 2232.00 (0)"]);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
}

#[test]
fn a_line_says_what_is_carried_and_no_usage_is_missing() {
    let (mut cloud, customer) = cloud("time_integral");
    cloud.clock("2026-11-01T00:00:00Z");
    let run = cloud.open_run(OCTOBER.0, OCTOBER.1);
    let draft = format!("{run}-{customer}");
    let events = cloud.view.line_events(&draft, 1).expect("they are found again");
    assert_eq!(events.len(), 1, "the report of August");
    let (_, _, why) = cloud.view.explain_line(&draft, 1, cloud.now_sequence()).expect("a line");
    assert!(why.found);
    assert_eq!(why.formula[0], "31 days with usage: 8035200 / 3600 s = 2232 seat");
    let counted = cloud.view.counted(&draft, 1, &events);
    let told: Vec<_> = counted.iter().flat_map(|(_, counted)| counted).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].start, told[0].stop), (at("2026-10-01T00:00:00Z"), at("2026-11-01T00:00:00Z")));
    assert_eq!(told[0].quantity.to_string(), "3");
}
