//! Whom usage belongs to: subjects, and the tenants of a partition one after another.

use super::starts::periods;
use super::*;

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
pub(super) fn two_tenants() -> Given {
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
fn usage_belongs_to_the_tenant_of_its_time() {
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
fn the_first_start_is_that_of_the_tenant_of_that_time() {
    for (stop, expected) in [("3", "0/3"), ("6", "0/6"), ("8", "6/8")] {
        let when = two_tenants().when_reported([without_start("1", stop)]);
        assert_eq!(periods(when.outcome()), [period(expected)]);
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
