//! Reported, suspended, resolved and dismissed usage: given, when, then.
//!
//! `Given::cloud()` has five events and two requests take four more, so the first usage is event 10.

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

fn unreadable(text: &str) -> Told {
    Err(Unreadable::malformed(text))
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
fn suspended_usage_takes_no_place_until_it_is_resolved() {
    let given = given().when_reported([usage("1", "1"), lost(replacing("1", "2", "2"))]).and();
    let Event::UsageSuspended(event) = &given.log[10].1 else { panic!("not suspended") };
    assert_eq!(event.replaces, Some(Sequence(10)));
    // Dismissed by hand, it leaves the place to whom it belonged.
    let given = given.done(dismiss(11, "nonsense"));
    let when = given.when_reported([replacing("2", "3", "3")]);
    assert_eq!(replaced(when.last_event()), Some(10));

    // And where there was nobody before it, there is nothing to correct.
    let given = self::given().when_reported([lost(usage("1", "1"))]).and().done(dismiss(10, "nonsense"));
    let given =
        given.when_reported([latest("1", "2")]).then([recorded(of_instance(latest("1", "2"), 1))]).and();
    given.when_reported([replacing("1", "2", "3")]).then([corrected(12, of_instance(usage("2", "3"), 1))]);
}

#[test]
fn what_is_put_right_by_its_sender_needs_nobody_any_more() {
    let given = given().when_reported([lost(latest("1", "1"))]).and();
    let right = [recorded(of_instance(latest("1", "1"), 1)), superseded(10, 11)];
    let given =
        given.when_reported([latest("1", "1")]).then(right).answered_usage([Accepted(Sequence(11))]).and();
    let given = given.when(resolve(10)).refused(UsageRefusal::NotSuspended { suspended: Sequence(10) });
    // What it wrote first is still known, and the place is that of the second.
    let given = given.when_reported([lost(latest("1", "1"))]).answered_usage([Duplicate(Sequence(10))]).and();
    let when = given.when_reported([replacing("1", "2", "2")]);
    assert_eq!(replaced(when.last_event()), Some(11));

    // Metered, then lost, then right again: the metered one is corrected.
    let given = self::given().when_reported([latest("1", "1")]).and();
    let given = given.when_reported([lost(latest("1", "2"))]).and();
    let right = [corrected(10, of_instance(latest("1", "3"), 1)), superseded(11, 12)];
    let given = given.when_reported([latest("1", "3")]).then(right).and();
    assert_eq!(given.project().usage.suspended.len(), 0);

    // Lost, and lost again: the last one is looked at.
    let given = self::given().when_reported([lost(latest("1", "1")), lost(latest("1", "2"))]).and();
    assert_eq!(given.project().usage.suspended.keys().copied().collect::<Vec<_>>(), [Sequence(11)]);
    // Replaced under another name, twice: the second replaces the first.
    let given = given.when_reported([replacing("1", "2", "3")]).and();
    let when = given.when_reported([replacing("1", "3", "4")]);
    assert_eq!(replaced(when.last_event()), Some(13));
}

/// Every reason, each with all those that would come after it.
#[test]
fn what_cannot_be_metered_is_suspended_with_the_first_reason() {
    let future = "2026-10-02T00:00:00Z";
    let number = |text: &str, reason| (Box::from(text), Err(reason));
    let mut report = UsageReport {
        quantity: number("NaN", Unmeterable::NotANumber),
        resource: "\u{7}".into(),
        subject: "".into(),
        start: unreadable("yesterday"),
        stop: unreadable("today"),
        ..usage("1", "-1")
    };
    let mut reports = Vec::new();
    let mut then = |report: &UsageReport, reason| reports.push((report.clone(), reason));
    then(&report, Unmeterable::NotANumber);
    report.quantity = number("INF", Unmeterable::Infinite);
    then(&report, Unmeterable::Infinite);
    report.quantity = number("1e99", Unmeterable::OutOfRange);
    then(&report, Unmeterable::OutOfRange);
    report.quantity = usage("1", "-0.000000001").quantity;
    then(&report, Unmeterable::Negative);
    report.quantity = usage("1", "0").quantity;
    then(&report, Unmeterable::BadResource);
    report.resource = "".into();
    then(&report, Unmeterable::BadResource);
    report.resource = "cpu".into();
    then(&report, Unmeterable::NoSubject);
    for unknown in ["slappart9", "COMP-2", "SOFTINST-9", "SOFTINST-3", "softinst-1"] {
        report.subject = unknown.into();
        then(&report, Unmeterable::UnknownSubject);
    }
    report.subject = "COMP-1".into();
    then(&report, Unmeterable::BadStart);
    report.start = Ok(None);
    then(&report, Unmeterable::BadStop);
    report.stop = Ok(None);
    then(&report, Unmeterable::NoStop);
    report.stop = Ok(Some(instant(future)));
    then(&report, Unmeterable::Future);
    report.stop = Ok(Some(instant("2")));
    then(&report, Unmeterable::NoStart);
    (report.start, report.subject) = (Ok(Some(instant("2"))), "slappart2".into());
    then(&report, Unmeterable::EmptyPeriod);
    report.start = Ok(Some(instant("3")));
    then(&report, Unmeterable::EmptyPeriod);
    report.start = Ok(Some(instant("1")));
    then(&report, Unmeterable::Unallocated);
    (report.subject, report.stop) = ("SOFTINST-2".into(), Ok(Some(instant("0"))));
    report.start = Ok(Some(instant("-2")));
    then(&report, Unmeterable::Unallocated);

    // SOFTINST-3 waits; slappart2 is free.
    let elsewhere = RequestInstance { filter: crate::domain::given::on("COMP-2"), ..request("c") };
    let mut given =
        given().done(elsewhere).done(configure("COMP-1", &["slappart0", "slappart1", "slappart2"]));
    for (n, (report, reason)) in reports.into_iter().enumerate() {
        let report = UsageReport { id: id(&n.to_string()), ..report };
        let next = given.next();
        let when = given.when_reported([report.clone()]).answered_usage([Suspended(next, reason)]);
        let event = UsageSuspended {
            id: report.id.clone(),
            subject: report.subject.clone(),
            resource: report.resource.clone(),
            quantity: report.quantity.0.clone(),
            start: report.start.clone().ok().flatten(),
            stop: report.stop.clone().ok().flatten(),
            unreadable_start: report.start.clone().err().map(|unreadable| unreadable.text),
            unreadable_stop: report.stop.clone().err().map(|unreadable| unreadable.text),
            dimensions: Vec::new(),
            node_sequence: None,
            replaces: None,
            reason,
        };
        // Sent again it is known, whatever was wrong with it.
        let when = when.then([(stream(), Event::UsageSuspended(event))]);
        given = when.and().when_reported([report]).then([]).answered_usage([Duplicate(next)]).and();
    }
}

#[test]
fn a_clock_that_is_a_little_ahead_is_no_future() {
    let stop_at = |text: &str| UsageReport { stop: Ok(Some(instant(text))), ..usage(text, "1") };
    given()
        .when_reported([stop_at("2026-10-01T12:05:00Z"), stop_at("2026-10-01T12:05:00.000001Z")])
        .answered_usage([Accepted(Sequence(10)), Suspended(Sequence(11), Unmeterable::Future)]);
}

#[test]
fn whatever_a_subject_is_called_it_is_found() {
    let of = |subject: &str| UsageReport { subject: subject.into(), ..usage(subject, "1") };
    let rows = [
        ("slappart0", Attribution::Instance(InstanceId(1))),
        ("slappart1", Attribution::Instance(InstanceId(2))),
        ("slapuser1", Attribution::Instance(InstanceId(2))),
        ("SOFTINST-2", Attribution::Instance(InstanceId(2))),
        ("COMP-1", Attribution::Computer),
    ];
    for (subject, attribution) in rows {
        let event = metered(of(subject), period("1/2"), attribution);
        given().when_reported([of(subject)]).then([recorded(event)]);
    }
    // An instance of another computer is none of its business.
    let given = given().done(register_computer("COMP-2")).done(configure("COMP-2", &["slappart5"]));
    let next = given.next();
    given
        .when(record("COMP-2", [of("SOFTINST-2")]))
        .answered_usage([Suspended(next, Unmeterable::UnknownSubject)]);
}

/// A partition that is called as an instance or as its own computer is that partition: its name is the node's.
#[test]
fn names_of_the_node_go_before_ours() {
    let mut command = configure("COMP-1", &["slappart0", "slappart1", "COMP-1"]);
    command
        .offers
        .push(crate::domain::computer::Offer { user: Some("SOFTINST-1".into()), ..offer("SOFTINST-2") });
    let given = given().done(command);
    let next = given.next();
    let of = |subject: &str| UsageReport { subject: subject.into(), ..usage(subject, "1") };
    let unallocated = |n| Suspended(Sequence(next.0 + n), Unmeterable::Unallocated);
    given.when_reported([of("COMP-1"), of("SOFTINST-1"), of("SOFTINST-2")]).answered_usage([
        unallocated(0),
        unallocated(1),
        unallocated(2),
    ]);
}

/// SOFTINST-1 until 4 o'clock, SOFTINST-3 from 6 on.
fn two_tenants() -> Given {
    let again = RequestInstance { parameters: sealed("a again", "{}"), ..request("a") };
    let given =
        Given::cloud().done(request("a")).done(request("b")).done(destroy("a")).at("2026-10-01T04:00:00Z");
    let given =
        given.done(report("slappart0", ReportedState::Destroyed)).at("2026-10-01T06:00:00Z").done(again);
    given.at("2026-10-01T12:00:00Z")
}

fn share(instance: u64, text: &str) -> Share {
    Share { instance: InstanceId(instance), period: period(text) }
}

#[test]
fn usage_belongs_to_whoever_was_there() {
    let rows = [
        ("slappart0", "1/4", Some(Attribution::Instance(InstanceId(1)))),
        ("slappart0", "6/12", Some(Attribution::Instance(InstanceId(3)))),
        ("slappart0", "2/10", Some(Attribution::Shares(vec![share(1, "2/4"), share(3, "6/10")]))),
        ("slappart0", "3/5", Some(Attribution::Shares(vec![share(1, "3/4")]))),
        ("slappart0", "5/7", Some(Attribution::Shares(vec![share(3, "6/7")]))),
        ("slappart0", "-1/1", Some(Attribution::Shares(vec![share(1, "0/1")]))),
        ("slappart0", "4/6", None),
        ("slapuser0", "2/10", Some(Attribution::Shares(vec![share(1, "2/4"), share(3, "6/10")]))),
        ("SOFTINST-1", "2/4", Some(Attribution::Instance(InstanceId(1)))),
        ("SOFTINST-1", "2/10", Some(Attribution::Shares(vec![share(1, "2/4")]))),
        ("SOFTINST-3", "2/10", Some(Attribution::Shares(vec![share(3, "6/10")]))),
        ("SOFTINST-1", "4/10", None),
    ];
    for (subject, when, attribution) in rows {
        let period = period(when);
        let (start, stop) = (Ok(Some(period.start)), Ok(Some(period.stop)));
        let report = UsageReport { subject: subject.into(), start, stop, ..usage("1", "1") };
        let given = two_tenants();
        let next = given.next();
        let reported = given.when_reported([report.clone()]);
        match attribution {
            Some(attribution) => reported.then([recorded(metered(report, period, attribution))]),
            None => reported.answered_usage([Suspended(next, Unmeterable::Unallocated)]),
        };
    }
}

#[test]
fn an_empty_start_is_the_previous_stop_or_the_start_of_the_allocation() {
    let first = without_start("1", "2");
    let given = given();
    let begins = metered(first.clone(), period("0/2"), Attribution::Instance(InstanceId(1)));
    let given = given.when_reported([first.clone()]).then([recorded(begins)]).and();
    let of = |id: &str, stop: &str, report: UsageReport| {
        let (id, stop) = (self::id(id), Ok(Some(instant(stop))));
        UsageReport { id, stop, ..report }
    };
    let resource = UsageReport { resource: "memory".into(), ..first.clone() };
    let subject = UsageReport { subject: "slappart1".into(), ..first.clone() };
    let host = UsageReport { subject: "COMP-1".into(), ..first.clone() };
    let instance = UsageReport { subject: "SOFTINST-2".into(), ..first.clone() };
    let when = given.when_reported([
        of("2", "3", first.clone()),
        of("3", "4", first.clone()),
        of("4", "3", resource),
        of("5", "3", subject),
        of("6", "3", instance),
        of("7", "3", host),
        // It stops before the last one did, together with the one before that.
        of("8", "3", first.clone()),
        first,
    ]);
    let Answer::Usage(outcomes) = &when.outcome().answer else { panic!("not usage") };
    assert_eq!(
        outcomes[5..],
        [Suspended(Sequence(16), Unmeterable::NoStart), Accepted(Sequence(17)), Duplicate(Sequence(10)),]
    );
    assert_eq!(periods(when.outcome()), ["2/3", "3/4", "0/3", "0/3", "0/3", "2/3"].map(period));
}

fn periods(outcome: &Outcome<Answer>) -> Vec<Period> {
    let usage = outcome.events.iter().filter_map(|(_, event)| match event {
        Event::UsageRecorded(usage) => Some(usage.period),
        Event::UsageCorrected(event) => Some(event.usage.period),
        _ => None,
    });
    usage.collect()
}

#[test]
fn the_first_start_is_that_of_the_tenant_of_that_time() {
    for (stop, expected) in [("3", "0/3"), ("6", "0/6"), ("8", "6/8")] {
        let when = two_tenants().when_reported([without_start("1", stop)]);
        assert_eq!(periods(when.outcome()), [period(expected)]);
    }
}

/// `cpu`, which is a counter, of which an instance uses at most 10 an hour from 01:00 on.
fn bounded() -> Given {
    use crate::domain::id::PriceBookName;
    use crate::domain::money::{Currency, Rounding};
    use crate::domain::pricing::{
        Conversion, Match, Meter, Model, OnChange, Per, PriceBook, PublishPriceBook, Rate, Resource,
        ResourceKind, Tariff,
    };
    let resource = ResourceId::new("cpu").expect("a resource");
    let declared = Resource {
        resource: resource.clone(),
        kind: ResourceKind::Counter,
        meter: Meter::Sum,
        unit: "s".into(),
        conversion: Conversion::NONE,
        group_by: Vec::new(),
        most: Some("10".parse().expect("a quantity")),
    };
    let (per, free) = (Per::Instance, Quantity::ZERO);
    let tariff = Tariff::PerUnit { price: "1".parse().expect("a price") };
    let rate = Rate { model: Model::Usage { resource, per, free, tariff }, matching: Match::default() };
    let name = PriceBookName::new("standard").expect("a name");
    let book = PriceBook {
        name,
        currency: Currency::EUR,
        valid_from: instant("1"),
        rounding: Rounding::HalfUp,
        on_change: OnChange::Continue,
        resources: vec![declared],
        rates: vec![rate],
    };
    two_tenants().done(PublishPriceBook { book, retroactive: false })
}

/// One report of 999,999,999,999,999 made the sum of a month too much to be charged.
#[test]
fn what_is_more_than_can_be_is_suspended_until_somebody_looks_at_it() {
    let given = bounded();
    let next = given.next().0;
    let much = |id: &str, quantity: &str, from: &str| {
        let period = period(from);
        let (start, stop) = (Ok(Some(period.start)), Ok(Some(period.stop)));
        UsageReport { start, stop, ..usage(id, quantity) }
    };
    let implausible = |n: u64, first: u64, last: u64| {
        let (first, last) = (InstanceId(first), InstanceId(last));
        Suspended(Sequence(next + n), Unmeterable::Implausible { first, last })
    };
    let host = UsageReport { subject: "COMP-1".into(), ..much("host", "999999999999999", "6/7") };
    let given = given
        .when_reported([
            much("a", "10", "6/7"),
            much("b", "10.000000001", "6/7"),
            much("c", "999999999999999", "2/8"),
            much("d", "80", "2/10"),
            // No book applies yet, another resource has no bound, and nobody is charged for the computer itself.
            much("e", "11", "0/1"),
            UsageReport { resource: "memory".into(), ..much("f", "11", "6/7") },
            host,
        ])
        .answered_usage([
            Accepted(Sequence(next)),
            implausible(1, 3, 3),
            implausible(2, 1, 3),
            Accepted(Sequence(next + 3)),
            Accepted(Sequence(next + 4)),
            Accepted(Sequence(next + 5)),
            Accepted(Sequence(next + 6)),
        ])
        .and();
    let when = given.when(ResolveSuspendedUsage { subject: None, ..resolve(next + 1) });
    when.then_named(&["SuspendedUsageResolved"]);
}

#[test]
fn suspended_usage_is_resolved_with_what_was_wrong_put_right() {
    let given = given().when_reported([lost(usage("1", "1"))]).and();
    let event = SuspendedUsageResolved {
        suspended: Sequence(10),
        replaces: None,
        usage: of_instance(usage("1", "1"), 1),
    };
    let given = given
        .when(resolve(10))
        .then([(stream(), Event::SuspendedUsageResolved(event))])
        .answered(&Answer::Done);
    // The identity stays with what was reported.
    let given =
        given.and().when_reported([lost(usage("1", "1"))]).answered_usage([Duplicate(Sequence(10))]).and();
    let given = given.when_reported([usage("1", "1")]).answered_usage([Conflict(Sequence(10))]).and();
    given.when(resolve(10)).refused(UsageRefusal::NotSuspended { suspended: Sequence(10) });

    let wrong = UsageReport {
        quantity: ("INF".into(), Err(Unmeterable::Infinite)),
        resource: "".into(),
        stop: Ok(None),
        ..lost(usage("1", "1"))
    };
    let still = |reason| UsageRefusal::StillUnmeterable { reason };
    let mut command = ResolveSuspendedUsage { subject: None, ..resolve(10) };
    let given = self::given().when_reported([wrong]).and();
    let given = given.when(command.clone()).refused(still(Unmeterable::Infinite));
    command.quantity = Some("-1".parse().expect("a number"));
    let given = given.when(command.clone()).refused(still(Unmeterable::Negative));
    command.quantity = Some("5".parse().expect("a number"));
    let given = given.when(command.clone()).refused(still(Unmeterable::BadResource));
    command.resource = Some("cpu".into());
    let given = given.when(command.clone()).refused(still(Unmeterable::UnknownSubject));
    command.subject = Some("slappart1".into());
    let given = given.when(command.clone()).refused(still(Unmeterable::NoStop));
    command.period = Some(period("1/2"));
    let right = UsageReport { subject: "slappart1".into(), ..usage("1", "5") };
    let event =
        SuspendedUsageResolved { suspended: Sequence(10), replaces: None, usage: of_instance(right, 2) };
    given.when(command).then([(stream(), Event::SuspendedUsageResolved(event))]);
}

/// A start that could not be read was taken for one that was left out, and the previous stop put in its place.
#[test]
fn an_unreadable_start_is_not_a_missing_one() {
    // Another thing is wrong with it too, and is put right: the start is still to be told.
    let both = lost(UsageReport { start: unreadable("yesterday"), ..usage("1", "1") });
    let given = given().when_reported([both]).answered_usage([unknown_subject(10)]).and();
    let still = |reason| UsageRefusal::StillUnmeterable { reason };
    let given = given.when(resolve(10)).refused(still(Unmeterable::BadStart));
    // Nor is a stop.
    let stop = UsageReport { stop: unreadable("today"), ..lost(usage("2", "1")) };
    let given = given.when_reported([stop]).answered_usage([unknown_subject(11)]).and();
    let given = given.when(resolve(11)).refused(still(Unmeterable::BadStop));
    given
        .when(ResolveSuspendedUsage { period: Some(period("1/2")), ..resolve(10) })
        .then_named(&["SuspendedUsageResolved"]);
}

/// Of what could not be read the text counts: another one is another content.
#[test]
fn unreadable_texts_are_kept_and_compared() {
    let says = |text: &str| UsageReport { start: unreadable(text), ..latest("1", "1") };
    let stops = |text: &str| UsageReport { stop: unreadable(text), ..latest("1", "1") };
    let reports =
        [says("soon"), says("now"), stops("soon"), says("soon"), says("now"), stops("soon"), says("")];
    let given = given().when_reported(reports.clone()).answered_usage([
        Suspended(Sequence(10), Unmeterable::BadStart),
        Suspended(Sequence(11), Unmeterable::BadStart),
        Suspended(Sequence(13), Unmeterable::BadStop),
        Duplicate(Sequence(10)),
        Duplicate(Sequence(11)),
        Duplicate(Sequence(13)),
        Suspended(Sequence(15), Unmeterable::BadStart),
    ]);
    let again = [10, 11, 13, 10, 11, 13, 15].map(|known| Duplicate(Sequence(known)));
    given.and().when_reported(reports).then([]).answered_usage(again);
}

/// A partition with two report files, each with its movement, in the one document of `slapos node report`: the second
/// movement began where the first one stopped, and nobody was billed for it.
#[test]
fn reports_that_stop_together_cover_the_same_period() {
    let named = |id: &str, stop: &str, subject: &str| UsageReport {
        subject: subject.into(),
        ..without_start(id, stop)
    };
    // The first document: the allocation is what both begin with.
    let when = given().when_reported([named("a/0", "2", "slappart0"), named("a/1", "2", "slappart0")]);
    assert_eq!(periods(when.outcome()), [period("0/2"), period("0/2")]);
    // The next one, which calls the partition by its user, and a third with the same stop later.
    let when = when.and().when_reported([named("b/0", "3", "slapuser0"), named("b/1", "3", "slappart0")]);
    assert_eq!(periods(when.outcome()), [period("2/3"), period("2/3")]);
    let when = when.and().when_reported([named("c/0", "3", "slappart0"), named("c/1", "3", "slapuser0")]);
    assert_eq!(periods(when.outcome()), [period("2/3"), period("2/3")]);
    // The one after begins where they all stopped; one that comes late, where the one before it stopped, and the one after
    // it is corrected to begin where it stops.
    let late =
        [named("d/0", "5", "slappart0"), named("e/0", "4", "slappart0"), named("d/1", "5", "slapuser0")];
    let when = when.and().when_reported(late);
    assert_eq!(periods(when.outcome()), ["3/5", "3/4", "4/5", "4/5"].map(period));
    // Another that stops with earlier ones covers their period, and changes nothing of the others.
    let when = when.and().when_reported([named("f", "3", "slappart0")]);
    assert_eq!(periods(when.outcome()), ["2/3"].map(period));
}

/// The three orders in which a partition's reports came in what was billed wrong: the last two stops alone were known, so
/// that a late report was suspended, or begun with the allocation and charged twice.
#[test]
fn a_late_report_begins_where_the_one_before_it_stopped() {
    let rows: [(&[&str], &[&str]); 5] = [
        (&["3", "9", "10", "8"], &["0/3", "3/9", "9/10", "3/8", "8/9"]),
        (&["10", "5", "8"], &["0/10", "0/5", "5/8"]),
        (&["2", "4", "3"], &["0/2", "2/4", "2/3", "3/4"]),
        (&["2", "6", "5", "3"], &["0/2", "2/6", "2/5", "5/6", "2/3", "3/5"]),
        (&["1", "2", "3", "4", "5", "2"], &["0/1", "1/2", "2/3", "3/4", "4/5", "1/2"]),
    ];
    for (stops, expected) in rows {
        let report = |(n, stop): (usize, &&str)| without_start(&format!("{n}"), stop);
        let at_once = given().when_reported(stops.iter().enumerate().map(report));
        let expected: Vec<_> = expected.iter().map(|text| period(text)).collect();
        assert_eq!(periods(at_once.outcome()), expected, "{stops:?}");
        // One command for each.
        let mut given = given();
        let mut found = Vec::new();
        for (n, stop) in stops.iter().enumerate() {
            let when = given.when_reported([report((n, stop))]);
            found.extend(periods(when.outcome()));
            given = when.and();
        }
        assert_eq!(found, expected, "{stops:?}, one by one");
    }
}

/// Reports of both tenants of a partition, each in every order: what belongs to the first is not begun with the second.
#[test]
fn a_late_report_of_an_earlier_tenant_is_that_tenants() {
    let given = two_tenants().when_reported([without_start("b", "8")]);
    assert_eq!(periods(given.outcome()), [period("6/8")]);
    let late = [without_start("a", "3"), without_start("c", "2")];
    let when = given.and().when_reported(late);
    let events: Vec<_> = when.outcome().events.iter().map(|(_, event)| event.clone()).collect();
    let of = |id: &str, stop: &str, start: &str| {
        let attribution = Attribution::Instance(InstanceId(1));
        metered(without_start(id, stop), period(&format!("{start}/{stop}")), attribution)
    };
    assert_eq!(events, [Event::UsageRecorded(of("a", "3", "0")), Event::UsageRecorded(of("c", "2", "0"))]);
}

/// A correction repeats all that its sender said; sent again it is a duplicate, and a later revision takes its place.
#[test]
fn a_corrected_report_is_still_known_by_its_name() {
    let second = UsageReport {
        dimensions: vec![("region".into(), "eu".into())],
        node_sequence: Some(7),
        revision: Revision::Latest,
        ..without_start("2", "4")
    };
    let given = given().when_reported([without_start("1", "2"), second.clone()]).and();
    let late = without_start("3", "3");
    let of =
        |report: UsageReport, text: &str| metered(report, period(text), Attribution::Instance(InstanceId(1)));
    let correction = corrected(11, of(second.clone(), "3/4"));
    let given = given
        .when_reported([late.clone()])
        .then([recorded(of(late, "2/3")), correction])
        .answered_usage([Accepted(Sequence(12))])
        .and();
    let given =
        given.when_reported([second.clone()]).then([]).answered_usage([Duplicate(Sequence(13))]).and();
    let more = UsageReport { quantity: usage("2", "2").quantity, ..second };
    given.when_reported([more.clone()]).then([corrected(13, of(more, "3/4"))]);
}

/// What a report that is resolved late stops before is corrected too.
#[test]
fn a_report_that_is_resolved_late_corrects_the_one_after_it() {
    let nan =
        UsageReport { quantity: ("NaN".into(), Err(Unmeterable::NotANumber)), ..without_start("2", "3") };
    let given = given().when_reported([without_start("1", "2"), nan, without_start("3", "4")]).and();
    let one = Some("1".parse().expect("a number"));
    let when = given.when(ResolveSuspendedUsage { quantity: one, ..resolve(11) });
    let when = when.then_named(&["SuspendedUsageResolved", "UsageCorrected"]);
    assert_eq!(replaced(when.last_event()), Some(12));
    assert_eq!(periods(when.outcome()), [period("3/4")]);
}

/// Of what was replaced by other means nothing is corrected any more: it would count again.
#[test]
fn what_is_not_metered_any_more_is_not_corrected() {
    let elsewhere = UsageReport { resource: "memory".into(), ..replacing("2", "3", "1") };
    let given = given().when_reported([without_start("1", "2"), without_start("2", "4"), elsewhere]).and();
    given.when_reported([without_start("4", "3")]).then_named(&["UsageRecorded"]);
}

/// A correction began where the report that it corrects stopped, and was suspended as empty or counted as another hour.
#[test]
fn a_replacement_without_start_begins_where_the_replaced_one_did() {
    let replacing = |other: &str, id: &str, stop: &str| UsageReport {
        revision: Revision::Replaces(UsageId::new(other).expect(other)),
        ..without_start(id, stop)
    };
    let latest = |id: &str, stop: &str| UsageReport { revision: Revision::Latest, ..without_start(id, stop) };
    let given = || given().when_reported([without_start("1", "2"), without_start("2", "4")]).and();
    for stop in ["3", "4", "5"] {
        let when = given().when_reported([replacing("2", "3", stop)]);
        let expected = period(&format!("2/{stop}"));
        assert_eq!(periods(when.outcome()), [expected]);
        // It stands alone now: the next one begins with it, wherever the replaced one stopped.
        let when = when.and().when_reported([without_start("4", "6")]);
        assert_eq!(periods(when.outcome()), [period(&format!("{stop}/6"))]);
    }
    // In one command, of a replacement again, and of one with others beside it.
    let twice = [latest("3", "5"), latest("3", "6"), replacing("3", "4", "7"), latest("4", "8")];
    let when = given().when_reported(twice);
    assert_eq!(periods(when.outcome()), ["4/5", "4/6", "4/7", "4/8"].map(period));
    let beside = [without_start("3", "4"), replacing("2", "4", "3"), without_start("5", "5")];
    assert_eq!(periods(given().when_reported(beside).outcome()), ["2/4", "2/3", "3/4", "4/5"].map(period));
    // Of one that was suspended and resolved.
    let nan =
        UsageReport { quantity: ("NaN".into(), Err(Unmeterable::NotANumber)), ..without_start("3", "5") };
    let resolved = given().when_reported([nan]).and();
    let resolved = resolved.done(ResolveSuspendedUsage { quantity: "1".parse().ok(), ..resolve(12) });
    let when = resolved.when_reported([replacing("3", "4", "6")]);
    assert_eq!(periods(when.outcome()), [period("4/6")]);
    // Of an earlier one, too.
    let when = given().when_reported([replacing("1", "3", "2"), replacing("3", "4", "1")]);
    assert_eq!(periods(when.outcome()), ["0/2", "0/1"].map(period));
    // One that stops before the replaced one began begins like a new one.
    let when = given().when_reported([without_start("3", "6"), replacing("3", "4", "3")]);
    assert_eq!(periods(when.outcome()), ["4/6", "2/3", "3/4"].map(period));
}

/// The report after a resolved one began where the one before it had stopped: an hour was metered twice.
#[test]
fn a_resolved_report_is_a_previous_one_too() {
    let given = given().when_reported([
        without_start("1", "2"),
        UsageReport { quantity: ("NaN".into(), Err(Unmeterable::NotANumber)), ..without_start("2", "3") },
    ]);
    let one = Some("1".parse().expect("a number"));
    let given = given.and().done(ResolveSuspendedUsage { quantity: one, ..resolve(11) });
    let when = given.when_reported([without_start("3", "4")]);
    assert_eq!(periods(when.outcome()), [period("3/4")]);
}

#[test]
fn suspended_usage_is_dismissed_with_a_reason() {
    let given = given().when_reported([lost(usage("1", "1"))]).and();
    let given = given.when(dismiss(9, " \t")).refused(UsageRefusal::BadReason);
    let given = given.when(dismiss(9, &"x".repeat(1001))).refused(UsageRefusal::BadReason);
    let given = given.when(dismiss(9, "x")).refused(UsageRefusal::NotSuspended { suspended: Sequence(9) });
    let reason: Box<str> = "x".repeat(1000).into();
    let event =
        SuspendedUsageDismissed { suspended: Sequence(10), reason: reason.clone(), superseded_by: None };
    let given =
        given.when(dismiss(10, &reason)).then([(stream(), Event::SuspendedUsageDismissed(event))]).and();
    let given = given.when(dismiss(10, "x")).refused(UsageRefusal::NotSuspended { suspended: Sequence(10) });
    given.when_reported([lost(usage("1", "1"))]).answered_usage([Duplicate(Sequence(10))]);
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

    fn get(&self, fingerprint: seen::Fingerprint) -> Option<Seen> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get(fingerprint)
    }

    fn insert(&mut self, identity: seen::Fingerprint, seen: Seen) {
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
