//! Voided usage: given, when, then. SOFTINST-1 is in slappart0; the first usage is event 8.

use super::*;
use crate::domain::given::{Given, computer, instant, record, request, usage};
use crate::domain::usage::{Revision, Unmeterable, UsageReport};
use UsageOutcome::{Accepted, Conflict, Duplicate, NothingToVoid, Suspended, Voided};

/// SOFTINST-1 in slappart0 since midnight; it is noon.
fn given() -> Given {
    Given::cloud().done(request("a")).at("2026-10-01T12:00:00Z")
}

fn id(text: &str) -> UsageId {
    UsageId::new(text).expect(text)
}

fn request_of(own: Option<&str>, voids: &str) -> VoidRequest {
    VoidRequest { id: own.map(id), voids: id(voids), reason: "sent by mistake".into() }
}

fn void(voids: &[&str]) -> VoidUsage {
    VoidUsage {
        computer: computer("COMP-1"),
        voids: voids.iter().map(|name| request_of(None, name)).collect(),
    }
}

fn named(own: &str, voids: &str) -> VoidUsage {
    VoidUsage { computer: computer("COMP-1"), voids: vec![request_of(Some(own), voids)] }
}

fn voided(voided: u64, voids: &str) -> (Stream, Event) {
    let event = UsageVoided {
        voided: Sequence(voided),
        voids: id(voids),
        id: None,
        reason: "sent by mistake".into(),
    };
    (Stream::Usage(computer("COMP-1")), Event::UsageVoided(event))
}

fn first(given: &Given) -> u64 {
    given.next().0
}

#[test]
fn a_void_event_is_metered_no_more_and_stays_known() {
    let given = given();
    let at = first(&given);
    given
        .done(record("COMP-1", [usage("1", "5")]))
        .when(void(&["1"]))
        .then([voided(at, "1")])
        .answered_usage([Voided(Sequence(at + 1))])
        .and()
        // Once.
        .when(void(&["1"]))
        .then([])
        .answered_usage([Duplicate(Sequence(at))])
        .and()
        // What is sent again is not metered again.
        .when_reported([usage("1", "5")])
        .then([])
        .answered_usage([Duplicate(Sequence(at))])
        .and()
        // Another event in its place is new usage: there is nothing that it replaces.
        .when_reported([UsageReport { revision: Revision::Replaces(id("1")), ..usage("2", "6") }])
        .then_named(&["UsageRecorded"])
        .answered_usage([Accepted(Sequence(at + 2))])
        .and()
        .when(void(&["nobody"]))
        .then([])
        .answered_usage([NothingToVoid]);
}

#[test]
fn a_void_ends_the_place_whichever_of_its_events_is_named() {
    let given = given();
    let at = first(&given);
    let corrected = given
        .done(record("COMP-1", [usage("1", "5")]))
        .done(record("COMP-1", [UsageReport { revision: Revision::Replaces(id("1")), ..usage("2", "6") }]));
    corrected
        .when(void(&["1", "2"]))
        .then([voided(at + 1, "1")])
        .answered_usage([Voided(Sequence(at + 2)), Duplicate(Sequence(at + 1))]);
}

/// The suspended correction would replace an event that is metered until then.
#[test]
fn a_void_of_a_suspended_event_voids_what_it_would_replace() {
    let given = given();
    let at = first(&given);
    let lost = UsageReport { subject: "nobody".into(), revision: Revision::Latest, ..usage("1", "6") };
    let suspended = given.done(record("COMP-1", [usage("1", "5")])).done(record("COMP-1", [lost]));
    suspended
        .when(void(&["1"]))
        .then_named(&["SuspendedUsageDismissed", "UsageVoided"])
        .answered_usage([Voided(Sequence(at + 2))])
        .and()
        .when(void(&["1"]))
        .then([])
        .answered_usage([Duplicate(Sequence(at + 1))])
        .and()
        // A later revision is metered anew.
        .when_reported([UsageReport { revision: Revision::Latest, ..usage("1", "7") }])
        .then_named(&["UsageRecorded"]);
}

#[test]
fn a_void_of_what_waits_dismisses_it() {
    let given = given();
    let at = first(&given);
    let reported = given.when_reported([UsageReport { subject: "nobody".into(), ..usage("1", "5") }]);
    reported
        .answered_usage([Suspended(Sequence(at), Unmeterable::UnknownSubject)])
        .and()
        .when(void(&["1"]))
        .then_named(&["SuspendedUsageDismissed"])
        .answered_usage([Voided(Sequence(at + 1))]);
}

#[test]
fn a_request_with_a_name_is_known_again() {
    let given = given();
    let at = first(&given);
    let other = VoidUsage {
        voids: vec![VoidRequest { reason: "another".into(), ..request_of(Some("v"), "1") }],
        ..named("v", "1")
    };
    given
        .done(record("COMP-1", [usage("1", "5")]))
        .when(named("v", "1"))
        .then_named(&["UsageVoided"])
        .and()
        .when(named("v", "1"))
        .then([])
        .answered_usage([Duplicate(Sequence(at + 1))])
        .and()
        .when(other)
        .answered_usage([Conflict(Sequence(at + 1))])
        .and()
        // Usage under the name of a request is a conflict, and nobody replaces a request.
        .when_reported([usage("v", "5")])
        .answered_usage([Conflict(Sequence(at + 1))])
        .and()
        .when_reported([UsageReport { revision: Revision::Replaces(id("v")), ..usage("2", "6") }])
        .then_named(&["UsageRecorded"]);
}

#[test]
fn nothing_begins_where_a_void_report_stopped() {
    let without_start = |id: &str, stop: &str| UsageReport {
        start: Ok(None),
        stop: Ok(Some(instant(stop))),
        ..usage(id, "1")
    };
    let given = given()
        .done(record("COMP-1", [without_start("1", "2"), without_start("2", "4")]))
        .done(void(&["2"]))
        .when_reported([without_start("3", "6")]);
    let Event::UsageRecorded(usage) = given.last_event() else { panic!("not recorded") };
    assert_eq!(usage.period.start, instant("2"));
}

#[test]
fn what_cannot_be_voided_is_refused() {
    let nameless = VoidUsage { computer: computer("COMP-9"), ..void(&["1"]) };
    let unknown = crate::domain::computer::UnknownComputer { computer: computer("COMP-9") };
    let silent = |reason: &str| VoidUsage {
        voids: vec![VoidRequest { reason: reason.into(), ..request_of(None, "1") }],
        ..void(&[])
    };
    given()
        .when(nameless)
        .refused(UsageRefusal::UnknownComputer(unknown))
        .when(silent(" "))
        .refused(UsageRefusal::BadReason)
        .when(silent(&"x".repeat(1001)))
        .refused(UsageRefusal::BadReason)
        .when(void(&vec!["1"; MOST_VOIDS + 1]))
        .refused(UsageRefusal::TooManyVoids);
}
