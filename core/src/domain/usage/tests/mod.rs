//! Reported, suspended, resolved and dismissed usage: given, when, then.
//!
//! `Given::cloud()` has five events and two requests take four more, so the first usage is event 10.

mod attribution;
mod starts;
mod suspended;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::State;
use crate::domain::computer::UnknownComputer;
use crate::domain::event::{Event, Stream};
use crate::domain::given::{
    Given, computer, configure, destroy, instant, offer, period, record, register_computer, register_party,
    report, request, sealed, usage,
};
use crate::domain::instance::{ReportedState, RequestInstance};
use crate::domain::{Answer, Outcome};
use UsageOutcome::{Accepted, Conflict, Duplicate, NothingToReplace, Suspended};

/// SOFTINST-1 in slappart0 and SOFTINST-2 in slappart1 since midnight; it is noon.
fn given() -> Given {
    Given::cloud().done(request("a")).done(request("b")).at("2026-10-01T12:00:00Z")
}

fn stream() -> Stream {
    Stream::Usage(computer("COMP-1"))
}

fn id(text: &str) -> UsageId {
    UsageId::new(text).expect(text)
}

/// The event of a report of which nothing but its period is left to find out.
fn metered(report: UsageReport, period: Period, attribution: Attribution) -> Usage {
    Usage {
        id: report.id,
        subject: report.subject,
        resource: ResourceId::new(&report.resource).expect("a resource"),
        quantity: report.quantity.1.expect("a quantity"),
        period,
        start_found: report.start == Ok(None),
        attribution,
        dimensions: report.dimensions,
        node_sequence: report.node_sequence,
    }
}

fn of_instance(report: UsageReport, instance: u64) -> Usage {
    metered(report, period("1/2"), Attribution::Instance(InstanceId(instance)))
}

fn recorded(usage: Usage) -> (Stream, Event) {
    (stream(), Event::UsageRecorded(usage))
}

fn corrected(replaces: u64, usage: Usage) -> (Stream, Event) {
    (stream(), Event::UsageCorrected(UsageCorrected { replaces: Sequence(replaces), usage }))
}

fn superseded(suspended: u64, by: u64) -> (Stream, Event) {
    let event = SuspendedUsageDismissed {
        suspended: Sequence(suspended),
        reason: "superseded by a later report".into(),
        superseded_by: Some(Sequence(by)),
    };
    (stream(), Event::SuspendedUsageDismissed(event))
}

fn latest(id: &str, quantity: &str) -> UsageReport {
    UsageReport { revision: Revision::Latest, ..usage(id, quantity) }
}

fn replacing(other: &str, id: &str, quantity: &str) -> UsageReport {
    UsageReport { revision: Revision::Replaces(UsageId::new(other).expect(other)), ..usage(id, quantity) }
}

/// A report nobody can meter, under this name.
fn lost(report: UsageReport) -> UsageReport {
    UsageReport { subject: "nobody".into(), ..report }
}

fn without_start(id: &str, stop: &str) -> UsageReport {
    UsageReport { start: Ok(None), stop: Ok(Some(instant(stop))), ..usage(id, "1") }
}

fn unreadable(text: &str) -> ReportedInstant {
    Err(UnreadableInstant::malformed(text))
}

fn unknown_subject(sequence: u64) -> UsageOutcome {
    Suspended(Sequence(sequence), Unmeterable::UnknownSubject)
}

fn resolve(suspended: u64) -> ResolveSuspendedUsage {
    ResolveSuspendedUsage {
        suspended: Sequence(suspended),
        subject: Some("slappart0".into()),
        resource: None,
        quantity: None,
        period: None,
    }
}

fn dismiss(suspended: u64, reason: &str) -> DismissSuspendedUsage {
    DismissSuspendedUsage { suspended: Sequence(suspended), reason: reason.into() }
}

/// What the last usage event takes the place of.
fn replaced(event: &Event) -> Option<u64> {
    match event {
        Event::UsageCorrected(event) => Some(event.replaces.0),
        Event::SuspendedUsageResolved(event) => event.replaces.map(|replaced| replaced.0),
        _ => None,
    }
}

#[test]
fn a_report_is_recorded_once() {
    let report = UsageReport {
        dimensions: vec![("region".into(), "eu".into())],
        node_sequence: Some(17),
        ..usage("1", "12.50")
    };
    given()
        .when_reported([report.clone()])
        .then([recorded(of_instance(report.clone(), 1))])
        .answered_usage([Accepted(Sequence(10))])
        .and()
        // The same number in another spelling is the same content.
        .when_reported([UsageReport {
            quantity: ("12.5".into(), "12.5".parse().map_err(|_| Unmeterable::NotANumber)),
            ..report
        }])
        .then([])
        .answered_usage([Duplicate(Sequence(10))]);
}

#[test]
fn other_content_under_the_same_identity_is_a_conflict() {
    let known = usage("1", "1");
    let others = [
        usage("1", "2"),
        UsageReport { subject: "slappart1".into(), ..known.clone() },
        UsageReport { resource: "memory".into(), ..known.clone() },
        UsageReport { start: Ok(Some(instant("0"))), ..known.clone() },
        UsageReport { start: Ok(None), ..known.clone() },
        UsageReport { stop: Ok(Some(instant("3"))), ..known.clone() },
        UsageReport { dimensions: vec![("region".into(), "eu".into())], ..known.clone() },
        UsageReport { node_sequence: Some(0), ..known.clone() },
        UsageReport { quantity: ("NaN".into(), Err(Unmeterable::NotANumber)), ..known.clone() },
        replacing("2", "1", "2"),
    ];
    let conflicts = others.iter().map(|_| Conflict(Sequence(10))).collect::<Vec<_>>();
    given().when_reported([known]).and().when_reported(others).then([]).answered_usage(conflicts);
}

#[test]
fn identities_are_of_a_computer() {
    let given = given().done(register_computer("COMP-2")).done(configure("COMP-2", &["slappart0"]));
    let c = RequestInstance { filter: crate::domain::given::on("COMP-2"), ..request("c") };
    let given = given.done(c).when_reported([usage("1", "1")]).and();
    let next = given.next();
    given
        .when(record("COMP-2", [usage("1", "1")]))
        .answered_usage([Suspended(next, Unmeterable::Unallocated)]);
}

#[test]
fn within_a_batch_each_report_sees_those_before_it() {
    given()
        .when_reported([
            usage("1", "1"),
            usage("1", "1"),
            usage("1", "2"),
            latest("1", "3"),
            latest("1", "1"),
            replacing("1", "2", "4"),
            replacing("9", "3", "5"),
            lost(usage("4", "6")),
            lost(usage("4", "6")),
            replacing("4", "5", "7"),
        ])
        .answered_usage([
            Accepted(Sequence(10)),
            Duplicate(Sequence(10)),
            Conflict(Sequence(10)),
            Accepted(Sequence(11)),
            Duplicate(Sequence(10)),
            Accepted(Sequence(12)),
            NothingToReplace,
            Suspended(Sequence(13), Unmeterable::UnknownSubject),
            Duplicate(Sequence(13)),
            Accepted(Sequence(14)),
        ])
        .then_named(&[
            "UsageRecorded",
            "UsageCorrected",
            "UsageCorrected",
            "UsageSuspended",
            "UsageRecorded",
            "SuspendedUsageDismissed",
        ]);
}

#[test]
fn the_latest_revision_counts_and_an_old_one_is_never_a_reversal() {
    let given = given().when_reported([latest("1", "1")]).and();
    let second = [corrected(10, of_instance(latest("1", "2"), 1))];
    let given =
        given.when_reported([latest("1", "2")]).then(second).answered_usage([Accepted(Sequence(11))]).and();
    let third = [corrected(11, of_instance(latest("1", "3"), 1))];
    let given = given.when_reported([latest("1", "3")]).then(third).and();
    let again = [latest("1", "1"), latest("1", "2"), latest("1", "3")];
    let known = [Duplicate(Sequence(10)), Duplicate(Sequence(11)), Duplicate(Sequence(12))];
    given.when_reported(again).then([]).answered_usage(known);
}

#[test]
fn an_event_may_replace_another_by_name() {
    let given = given().when_reported([usage("1", "1")]).and();
    let second = [corrected(10, of_instance(replacing("1", "2", "2"), 1))];
    let given = given.when_reported([replacing("1", "2", "2")]).then(second).and();
    given
        .when_reported([
            replacing("1", "2", "2"),
            usage("1", "1"),
            replacing("1", "1", "3"),
            replacing("5", "5", "1"),
        ])
        .then([])
        .answered_usage([
            Duplicate(Sequence(11)),
            Duplicate(Sequence(10)),
            Conflict(Sequence(10)),
            NothingToReplace,
        ]);
}

/// Two events that named the same earlier one were both metered: each took the place of what was gone already.
#[test]
fn what_is_replaced_twice_is_metered_once() {
    let first = || given().when_reported([usage("1", "1")]).and();
    let twice =
        first().when_reported([replacing("1", "2", "2")]).and().when_reported([replacing("1", "3", "3")]);
    assert_eq!(replaced(twice.last_event()), Some(11));
    let batch = first().when_reported([replacing("1", "2", "2"), replacing("1", "3", "3"), latest("1", "4")]);
    let chain: Vec<_> = batch.outcome().events.iter().map(|(_, event)| replaced(event)).collect();
    assert_eq!(chain, [Some(10), Some(11), Some(12)]);

    // A suspended one that is resolved after another took the same place.
    let given = first().when_reported([lost(replacing("1", "2", "2")), lost(replacing("1", "3", "3"))]).and();
    let given = given.when_reported([replacing("1", "4", "4")]).and();
    let when = given.when(resolve(11));
    assert_eq!(replaced(when.last_event()), Some(13));
    let when = when.and().when(resolve(12));
    assert_eq!(replaced(when.last_event()), Some(14));
    // The name of suspended usage leads to the event that metered it.
    let when = when.and().when_reported([replacing("2", "5", "5")]);
    assert_eq!(replaced(when.last_event()), Some(15));
}

#[test]
fn who_reports_must_be_known_and_may_have_nothing_to_say() {
    let unknown = UnknownComputer { computer: computer("COMP-9") };
    given()
        .when(record("COMP-9", [usage("1", "1")]))
        .refused(UsageRefusal::UnknownComputer(unknown))
        .when_reported([])
        .then([])
        .answered_usage([]);
}

#[test]
fn identities_that_are_uuids_are_kept_as_such() {
    let uuid = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5";
    assert!(matches!(id(uuid), UsageId::Uuid(_)));
    for text in [uuid, &uuid.to_uppercase(), &uuid.replace('-', ""), "2026-11-22-global"] {
        assert_eq!(id(text).to_string(), text);
    }
    assert_ne!(id(uuid), id(&uuid.to_uppercase()));
}

/// An index that counts how often it is asked.
struct Counted(MemoryIndex, Arc<AtomicUsize>);

impl SeenIndex for Counted {
    fn key(&self) -> [u8; 16] {
        self.0.key()
    }

    fn get(&self, fingerprint: seen::Fingerprint) -> Option<KnownUsage> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get(fingerprint)
    }

    fn insert(&mut self, identity: seen::Fingerprint, seen: KnownUsage) {
        self.0.insert(identity, seen);
    }
}

/// However often a place was taken, and whichever of those that held it is named, its holder is near.
#[test]
fn many_that_replace_one_after_another_are_not_walked() {
    type Named = fn(usize) -> usize;
    type Metered = fn(usize) -> bool;
    let whom: [(&str, Named); 3] = [("first", |_| 0), ("latest", |n| n - 1), ("any", |n| n / 2)];
    let metered: [(&str, Metered); 3] = [("all", |_| true), ("none", |_| false), ("some", |n| n % 3 != 1)];
    for ((named, whom), (which, metered), batch) in whom
        .iter()
        .flat_map(|whom| metered.iter().map(move |metered| (whom, metered)))
        .flat_map(|(whom, metered)| [1, 100].map(|batch| (*whom, *metered, batch)))
    {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut given = Given::nothing();
        given.state = State::new(Box::new(Counted(MemoryIndex::new([7; 16]), Arc::clone(&asked))));
        let given = given.done(register_party()).done(register_computer("COMP-1"));
        let given = given.done(configure("COMP-1", &["slappart0"])).done(request("a"));
        let mut given = given.at("2026-10-01T12:00:00Z");
        let report = |n: usize| {
            let report = match n {
                0 => usage("0", "1"),
                n => replacing(&whom(n).to_string(), &n.to_string(), "1"),
            };
            if metered(n) { report } else { lost(report) }
        };
        for first in (0..1000).step_by(batch) {
            asked.store(0, Ordering::Relaxed);
            given = given.done(record("COMP-1", (first..first + batch).map(report)));
            let asked = asked.load(Ordering::Relaxed);
            assert!(asked <= 40 * batch, "{named}, {which} metered, at {first}: asked {asked} times");
        }
    }
}

/// A batch is decided in one go by the one writer: everybody waits for it.
#[test]
fn large_batches_are_quick() {
    let report = |n: u32| UsageReport { revision: Revision::Latest, ..usage(&format!("id {n}"), "1") };
    let mut given = given();
    let started = std::time::Instant::now();
    for batch in 0..100 {
        given = given.done(record("COMP-1", (0..1000).map(|n| report(batch * 1000 + n))));
    }
    assert_eq!(given.log.len(), 9 + 100_000);
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}
