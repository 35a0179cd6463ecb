//! Suspended usage: why, until when, and what resolves or dismisses it.

use super::attribution::two_tenants;
use super::*;

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
            resource: report.resource.as_ref().into(),
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

/// `cpu`, which is a counter, of which an instance uses at most 10 an hour from 01:00 on.
fn bounded() -> Given {
    use crate::domain::id::PriceBookName;
    use crate::domain::money::{Currency, Rounding};
    use crate::domain::pricing::{
        Conversion, InvoiceTerms, Match, Meter, Model, OnChange, Per, PriceBook, PublishPriceBook, Rate,
        Resource, ResourceKind, Tariff,
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
        carry_over: false,
    };
    let (per, free) = (Per::Instance, Quantity::ZERO);
    let tariff = Tariff::PerUnit { price: "1".parse().expect("a price") };
    let rate =
        Rate { model: Model::Usage { resource, per, free, tariff }, trial: None, matching: Match::default() };
    let name = PriceBookName::new("standard").expect("a name");
    let book = PriceBook {
        name,
        currency: Currency::EUR,
        valid_from: instant("1"),
        rounding: Rounding::HalfUp,
        on_change: OnChange::Continue,
        terms: InvoiceTerms::default(),
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
