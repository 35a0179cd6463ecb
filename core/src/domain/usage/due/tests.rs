//! Usage from the future: given, when, then. SOFTINST-1 is in slappart0; it is noon.

use super::*;
use crate::domain::event::Event;
use crate::domain::given::{Given, instant, record, request, usage};
use crate::domain::usage::{UsageId, UsageOutcome, UsageReport};

fn given() -> Given {
    Given::cloud().done(request("a")).at("2026-10-01T12:00:00Z")
}

fn until(id: &str, stop: &str) -> UsageReport {
    UsageReport { start: Ok(Some(instant("11"))), stop: Ok(Some(instant(stop))), ..usage(id, "5") }
}

fn accept(suspended: &[u64]) -> AcceptDueUsage {
    AcceptDueUsage { suspended: suspended.iter().copied().map(Sequence).collect() }
}

#[test]
fn usage_from_the_future_is_accepted_when_its_time_has_come() {
    let given = given();
    let at = given.next().0;
    given
        .when_reported([until("1", "14")])
        .answered_usage([UsageOutcome::Suspended(Sequence(at), Unmeterable::Future)])
        .and()
        .when(accept(&[at]))
        .unchanged()
        .and()
        .at("2026-10-01T13:59:59.999999Z")
        .when(accept(&[at]))
        .unchanged()
        .and()
        .at("2026-10-01T14:00:00Z")
        .when(accept(&[at, at, at + 7]))
        .then_named(&["SuspendedUsageResolved"])
        .and()
        .when(accept(&[at]))
        .unchanged()
        .and()
        .when_reported([until("1", "14")])
        .answered_usage([UsageOutcome::Duplicate(Sequence(at))]);
}

/// Another reason than the future is not for a timer to overlook.
#[test]
fn what_waits_for_another_reason_goes_on_waiting() {
    let given = given();
    let at = given.next().0;
    let lost = UsageReport { subject: "nobody".into(), ..until("1", "12") };
    given.done(record("COMP-1", [lost])).when(accept(&[at])).unchanged();
}

#[test]
fn what_cannot_be_metered_then_either_is_suspended_for_that() {
    let given = given();
    let at = given.next().0;
    // By then nothing of it is known: a start is missing, and nobody was in the partition.
    let report = UsageReport { start: Ok(None), subject: "slappart1".into(), ..until("1", "14") };
    let given = given
        .done(record("COMP-1", [report.clone()]))
        .at("2026-10-01T14:00:00Z")
        .when(accept(&[at]))
        .then_named(&["UsageSuspended", "SuspendedUsageDismissed"]);
    let Event::SuspendedUsageDismissed(dismissed) = given.last_event() else { panic!("not dismissed") };
    assert_eq!((dismissed.suspended, dismissed.superseded_by), (Sequence(at), Some(Sequence(at + 1))));
    let given = given.and();
    given
        .when(accept(&[at, at + 1]))
        .unchanged()
        .and()
        .when_reported([report])
        .answered_usage([UsageOutcome::Duplicate(Sequence(at + 1))]);
}

#[test]
fn of_several_each_is_decided_with_those_before_it() {
    let without_start = |id: &str, stop: &str| UsageReport {
        start: Ok(None),
        stop: Ok(Some(instant(stop))),
        ..usage(id, "1")
    };
    let given = given();
    let at = given.next().0;
    let correction = UsageReport {
        revision: Revision::Replaces(UsageId::new("2").expect("an id")),
        ..without_start("3", "15")
    };
    let outcome = given
        .done(record("COMP-1", [without_start("1", "13"), without_start("2", "14"), correction]))
        .at("2026-10-01T16:00:00Z")
        .when(accept(&[at, at + 1, at + 2]));
    let periods: Vec<_> = outcome
        .outcome()
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::SuspendedUsageResolved(event) => Some((event.usage.period.start, event.usage.period.stop)),
            _ => None,
        })
        .collect();
    // The correction came while the second waited, and so dismissed it.
    assert_eq!(periods, [(instant("0"), instant("13")), (instant("13"), instant("15"))]);
}

#[test]
fn a_command_accepts_no_more_than_it_may() {
    let many: Vec<u64> = (0..=MOST_DUE as u64).collect();
    given().when(accept(&many)).refused(UsageRefusal::TooManyDue);
}
