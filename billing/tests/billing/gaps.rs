//! What is missing before a run: silence, holes in nodes' own counts, suspended usage.

use slapledger_billing::gaps::Gap;
use slapledger_core::domain::time::Period;

use crate::cloud::{BOOK, CPU, Cloud, PRODUCTION, SELLER, at};

fn period(start: &str, stop: &str) -> Period {
    Period::new(at(start), at(stop)).expect("a period")
}

fn october() -> Period {
    period("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
}

fn shown(gap: &Gap) -> String {
    match gap {
        Gap::Silent { computer, start, stop, instances } => {
            format!("{computer} silent {start}/{stop} with {instances}")
        }
        Gap::MissingReports { computer, after, before, count, .. } => {
            format!("{computer} {count} missing from {after} to {before}")
        }
        Gap::Suspended { computer, events, .. } => format!("{computer} {events} suspended"),
        Gap::SilentResource { instance, resource, hours, times, start, stop, .. } => {
            format!("{instance} {resource} {hours} hours in {times} times, {start}/{stop}")
        }
        Gap::DeadComputer { computer, start, stop, instances, charges } => {
            let charges = charges.iter().map(|charge| format!(" {} {}", charge.amount, charge.currency));
            format!("{computer} dead {start}/{stop} with {instances}:{}", charges.collect::<String>())
        }
    }
}

fn is_of_instances(gap: &Gap) -> bool {
    matches!(gap, Gap::SilentResource { .. } | Gap::DeadComputer { .. })
}

/// Of computers and their reports; what of instances is missing, and what dead computers charge, is told of apart.
fn gaps(cloud: &Cloud, within: Period) -> Vec<String> {
    let all = cloud.view.gaps(within, |_| true, None, usize::MAX).items;
    all.iter().filter(|gap| !is_of_instances(gap)).map(shown).collect()
}

fn gaps_of_instances(cloud: &Cloud, within: Period) -> Vec<String> {
    let all = cloud.view.gaps(within, |_| true, None, usize::MAX).items;
    all.iter().filter(|gap| is_of_instances(gap)).map(shown).collect()
}

#[test]
fn each_resource_of_an_instance_is_looked_at_and_dead_computers_still_charge() {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    let one = cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    // CPU for ten days; requests for an hour of them; then nothing.
    cloud.usage(("slappart0", CPU), "1", ("2026-10-01T00:00:00Z", "2026-10-11T00:00:00Z"));
    cloud.usage(("slappart0", "requests"), "1", ("2026-10-02T00:00:00Z", "2026-10-02T01:00:00Z"));
    // 21 of 31 days at 10.00: 6.77.
    let expected = [
        format!("{one} requests 239 hours in 2 times, 2026-10-01T00:00:00Z/2026-10-02T00:00:00Z"),
        "COMP-1 dead 2026-10-11T00:00:00Z/2026-11-01T00:00:00Z with 1: 6.77 EUR".to_owned(),
    ];
    assert_eq!(gaps_of_instances(&cloud, october()), expected);
    // In pages of one they are the same.
    let (mut after, mut told) = (None, Vec::new());
    loop {
        let page = cloud.view.gaps(october(), |_| true, after.as_ref(), 1);
        told.extend(page.items.iter().filter(|gap| is_of_instances(gap)).map(shown));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(told, expected);
}

/// Two instances on COMP-1, of which one comes and goes in October, and one on COMP-2; COMP-3 is empty.
fn cloud() -> Cloud {
    let mut cloud = Cloud::new(BOOK);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    for n in 1..9 {
        // The other partitions of COMP-1 but one, so that the next instance is on COMP-2.
        cloud.request(SELLER, &format!("filler {n}"), &PRODUCTION);
    }
    cloud.computer("COMP-2");
    cloud.request(customer, "two", &PRODUCTION);
    for n in 1..9 {
        cloud.end(SELLER, &format!("filler {n}"));
    }
    cloud.computer("COMP-3");
    cloud.clock("2026-10-10T05:30:00Z");
    cloud.request(SELLER, "three", &PRODUCTION);
    cloud.clock("2026-10-10T09:30:00Z");
    cloud.end(SELLER, "three");
    cloud.clock("2026-11-02T00:00:00Z");
    cloud
}

#[test]
fn silence_is_told_by_hour_where_there_are_instances() {
    let mut cloud = cloud();
    assert_eq!(
        gaps(&cloud, october()),
        [
            "COMP-1 silent 2026-10-01T00:00:00Z/2026-11-01T00:00:00Z with 2",
            "COMP-2 silent 2026-10-01T00:00:00Z/2026-11-01T00:00:00Z with 1",
        ]
    );
    // Usage of any instance, or of the computer itself, and of any resource, is a sign of life in all its hours.
    cloud.usage(("slappart0", CPU), "1", ("2026-10-01T00:00:00Z", "2026-10-10T05:00:00Z"));
    cloud.usage(("COMP-1", "anything"), "1", ("2026-10-10T07:59:00Z", "2026-10-31T22:00:00.000001Z"));
    cloud.numbered("COMP-2", 1, "slappart0", ("2026-10-01T00:00:00Z", "2026-10-31T23:59:59Z"));
    assert_eq!(
        gaps(&cloud, october()),
        [
            "COMP-1 silent 2026-10-10T05:00:00Z/2026-10-10T07:00:00Z with 2",
            "COMP-1 silent 2026-10-31T23:00:00Z/2026-11-01T00:00:00Z with 1",
        ]
    );
    // Before there were any instances nobody is missed.
    assert_eq!(gaps(&cloud, period("2026-09-01T00:00:00Z", "2026-09-20T00:00:00Z")), [""; 0]);
}

#[test]
fn holes_and_suspended_usage_are_told_by_computer() {
    let mut cloud = cloud();
    let all = ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
    for (computer, number) in
        [("COMP-1", 4), ("COMP-1", 7), ("COMP-1", 9), ("COMP-2", 1), ("COMP-3", 1), ("COMP-3", 3)]
    {
        cloud.numbered(computer, number, if computer == "COMP-3" { "COMP-3" } else { "slappart0" }, all);
    }
    cloud.usage(("nobody", CPU), "1", ("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"));
    cloud.usage(("nobody", CPU), "1", ("2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z"));
    cloud.usage(("nobody", CPU), "1", ("2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"));
    let expected = [
        "COMP-1 2 missing from 4 to 7",
        "COMP-1 1 missing from 7 to 9",
        "COMP-1 2 suspended",
        "COMP-3 1 missing from 1 to 3",
    ];
    assert_eq!(gaps(&cloud, october()), expected);
    // In pages of every size, and of one computer.
    for limit in 1..5 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = cloud.view.gaps(october(), |_| true, after.as_ref(), limit);
            assert!(page.items.len() <= limit);
            seen.extend(page.items.iter().filter(|gap| !is_of_instances(gap)).map(shown));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{limit} at a time");
    }
    let third = "COMP-3".parse().expect("a computer");
    let of_third = cloud.view.gaps(october(), |computer| *computer == third, None, 9).items;
    assert_eq!(of_third.iter().map(shown).collect::<Vec<_>>(), expected[3..]);
}

#[test]
fn a_run_warns_of_what_is_missing_as_of_its_cut_off() {
    let mut cloud = cloud();
    cloud.usage(("slappart0", CPU), "1", ("2026-10-01T00:00:00Z", "2026-10-10T05:00:00Z"));
    cloud.usage(("slappart0", CPU), "1", ("2026-10-10T06:00:00Z", "2026-10-31T22:00:00Z"));
    for number in [1, 3, 9] {
        cloud.numbered("COMP-2", number, "slappart0", ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"));
    }
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    let told = [
        "COMP-1: no usage was reported for 3 hours with instances allocated in 2 pieces, the first \
         2026-10-10T05:00:00Z/2026-10-10T06:00:00Z",
        "COMP-1: no cpu, requests for 2 instances in 741 hours, first in \
         2026-10-01T00:00:00Z/2026-10-10T05:00:00Z",
        "COMP-2: by its own count 6 reports of usage between 1 and 9 never came",
        "COMP-2: no requests for 1 instance in 744 hours, first in 2026-10-01T00:00:00Z/2026-11-01T00:00:00Z",
    ];
    assert_eq!(cloud.gap_warnings(run), told);
    // What comes later changes neither the run nor what a rebuild says of it.
    cloud.usage(("slappart0", CPU), "1", ("2026-10-10T05:00:00Z", "2026-11-01T00:00:00Z"));
    assert_eq!(cloud.gap_warnings(run), told);
    assert_eq!(cloud.rebuilt().billing, cloud.view.billing);
    // A draft says what is about its buyer: the seller's instance was on COMP-1 alone.
    let of_draft = |id: &str| {
        let draft = cloud.view.billing.document(id).expect("a draft");
        let warnings = cloud.view.billing.warnings_of(draft).into_iter();
        warnings.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of_draft("RUN-1-PARTY-1"), told[..2]);
    assert_eq!(of_draft("RUN-1-PARTY-2"), told);
}

#[test]
fn prices_without_usage_miss_none() {
    let fee = r#"
name = "standard"
currency = "EUR"
valid_from = "2026-01-01T00:00:00Z"
rates = [{ kind = "recurring", every = "month", when = "arrears", price = "10.00" }]
"#;
    let mut cloud = Cloud::new(fee);
    cloud.clock("2026-09-20T00:00:00Z");
    let customer = cloud.customer("UTC");
    cloud.request(customer, "one", &PRODUCTION);
    cloud.clock("2026-11-02T00:00:00Z");
    let run = cloud.open_run("2026-10-01", "2026-11-01");
    assert_eq!(cloud.gap_warnings(run), [""; 0]);
    assert_eq!(gaps(&cloud, october()), ["COMP-1 silent 2026-10-01T00:00:00Z/2026-11-01T00:00:00Z with 1"]);
}

#[test]
fn what_is_still_to_come_is_not_missing() {
    let mut cloud = cloud();
    cloud.clock("2026-11-02T06:00:00Z");
    let run = cloud.open_run("2026-11-01", "2026-12-01");
    assert_eq!(
        cloud.gap_warnings(run),
        [
            "COMP-1: no usage was reported for 30 hours with instances allocated, 2026-11-01T00:00:00Z/2026-11-02T06:00:00Z",
            "COMP-2: no usage was reported for 30 hours with instances allocated, 2026-11-01T00:00:00Z/2026-11-02T06:00:00Z",
        ]
    );
}
