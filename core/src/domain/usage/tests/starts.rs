//! Reports without a start: where they begin, and what a late one corrects.

use super::*;

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

pub(super) fn periods(outcome: &Outcome<Answer>) -> Vec<Period> {
    let usage = outcome.events.iter().filter_map(|(_, event)| match event {
        Event::UsageRecorded(usage) => Some(usage.period),
        Event::UsageCorrected(event) => Some(event.usage.period),
        _ => None,
    });
    usage.collect()
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
    // The one after begins where they all stopped; one that comes late, where the one before it stopped, and the one
    // after it is corrected to begin where it stops.
    let late =
        [named("d/0", "5", "slappart0"), named("e/0", "4", "slappart0"), named("d/1", "5", "slapuser0")];
    let when = when.and().when_reported(late);
    assert_eq!(periods(when.outcome()), ["3/5", "3/4", "4/5", "4/5"].map(period));
    // Another that stops with earlier ones covers their period, and changes nothing of the others.
    let when = when.and().when_reported([named("f", "3", "slappart0")]);
    assert_eq!(periods(when.outcome()), ["2/3"].map(period));
}

/// The three orders in which a partition's reports came in what was billed wrong: the last two stops alone were known,
/// so that a late report was suspended, or begun with the allocation and charged twice.
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
