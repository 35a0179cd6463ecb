use proptest::prelude::*;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::PartyId;
use slapledger_core::domain::instance::{
    InstanceAllocated, InstancePlace, ReportInstance, ReportedState, RequestedState, Requester,
};
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::usage::{DismissSuspendedUsage, ResolveSuspendedUsage, UsageId};

use super::*;
use crate::calendar::Step;
use crate::testing::{Story, at, computer, partition, recorded, report, request};

const ONE: i128 = 1_000_000_000;
const HOUR: i128 = 3_600_000_000;
pub(super) const DAY: (&str, &str) = ("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z");
pub(super) const MORNING: (&str, &str) = ("2026-10-01T00:00:00Z", "2026-10-01T12:00:00Z");

pub(super) fn period((start, stop): (&str, &str)) -> Period {
    Period::new(at(start), at(stop)).expect("a period")
}

pub(super) fn instance(id: u64) -> Target {
    Target::Instance(InstanceId(id))
}

/// Instance 1 in slappart0 of COMP-1 since the first instant of October; now it is the third.
pub(super) fn one_tenant() -> Story {
    let mut story = Story::begin();
    story.request(request(Requester::Party(PartyId(1)), "first"));
    story.now = at("2026-10-03T00:00:00Z");
    story
}

/// The same, but since noon of the first of October instance 2 is there, and nobody between 06:00 and noon.
pub(super) fn two_tenants() -> Story {
    let mut story = Story::begin();
    let first = request(Requester::Party(PartyId(1)), "first");
    story.request(first.clone());
    story.now = at("2026-10-01T06:00:00Z");
    let destroyed = slapledger_core::domain::instance::RequestInstance {
        state: Some(RequestedState::Destroyed),
        ..first
    };
    story.then(Command::RequestInstance(destroyed));
    story.then(Command::ReportInstance(ReportInstance {
        place: InstancePlace::new(computer("COMP-1"), partition("slappart0")),
        state: ReportedState::Destroyed,
        error: None,
    }));
    story.now = at("2026-10-01T12:00:00Z");
    story.request(request(Requester::Party(PartyId(1)), "second"));
    story.now = at("2026-10-03T00:00:00Z");
    story
}

fn check(metering: &Metering, target: &Target, within: (&str, &str), expected: (u64, i128, i128, &[u64])) {
    let reading = metering.read(target, "cpu", period(within));
    let (count, sum_billionths, integral, sequences) = expected;
    let sequences = sequences.to_vec();
    assert_eq!(reading, Reading { count, sum_billionths, integral, sequences }, "{target:?} in {within:?}");
    let totals = metering.totals(target, "cpu", period(within));
    assert_eq!(totals, Reading { sequences: Vec::new(), ..reading });
}

#[test]
fn usage_is_read_as_counter_and_as_gauge() {
    let mut story = one_tenant();
    let first = story.events.len() as u64 + 1;
    let hours =
        [("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z"), ("2026-10-01T01:00:00Z", "2026-10-01T03:00:00Z")];
    story.usage(
        "COMP-1",
        vec![report("a", "slappart0", "3", hours[0]), report("b", "slapuser0", "5", hours[1])],
    );
    story.usage("COMP-1", vec![report("c", "COMP-1", "0.5", hours[0])]);
    let metering = &story.view.metering;
    check(metering, &instance(1), DAY, (2, 8 * ONE, 13 * ONE * HOUR, &[first, first + 1]));
    // Half of the second hour's three is 2.5 of 5.
    let middle = ("2026-10-01T00:00:00Z", "2026-10-01T02:00:00Z");
    check(metering, &instance(1), middle, (2, 5 * ONE + ONE / 2, 8 * ONE * HOUR, &[first, first + 1]));
    let none = ("2026-10-01T03:00:00Z", "2026-10-02T00:00:00Z");
    check(metering, &instance(1), none, (0, 0, 0, &[]));
    check(metering, &Target::Computer(computer("COMP-1")), DAY, (1, ONE / 2, ONE / 2 * HOUR, &[first + 2]));
    check(metering, &Target::Computer(computer("COMP-2")), DAY, (0, 0, 0, &[]));
    assert_eq!(metering.targets(), [instance(1), Target::Computer(computer("COMP-1"))]);
    assert_eq!(metering.series(&instance(1)).iter().map(|r| r.as_str()).collect::<Vec<_>>(), ["cpu"]);
    assert_eq!(metering.len(), 3);

    let steps = metering
        .steps(
            (&instance(1), "cpu"),
            period(("2026-10-01T00:30:00Z", "2026-10-01T03:00:00Z")),
            (Step::Hour, TimeZone::UTC),
            10,
        )
        .expect("three steps");
    let sums: Vec<_> = steps.iter().map(|step| (step.count, step.sum_billionths, step.integral)).collect();
    let half = (1, 3 * ONE / 2, 3 * ONE * HOUR / 2);
    assert_eq!(sums, [half, (1, 5 * ONE / 2, 5 * ONE * HOUR), (1, 5 * ONE / 2, 5 * ONE * HOUR)]);
}

#[test]
fn shared_usage_is_divided_when_it_is_a_counter() {
    let mut story = two_tenants();
    let sequence = story.events.len() as u64 + 1;
    story.usage("COMP-1", vec![report("a", "slappart0", "1", DAY)]);
    let metering = &story.view.metering;
    // 6 and 12 of the 18 hours that were allocated; what does not divide goes to the last.
    check(metering, &instance(1), DAY, (1, ONE / 3, 6 * ONE * HOUR, &[sequence]));
    check(metering, &instance(2), DAY, (1, ONE - ONE / 3, 12 * ONE * HOUR, &[sequence]));
    check(metering, &instance(2), MORNING, (0, 0, 0, &[]));
    let intervals = metering.intervals(&instance(1), "cpu", period(DAY));
    let [interval] = intervals.as_slice() else { panic!("{intervals:?}") };
    assert_eq!(
        (interval.period, interval.gauge.billionths()),
        (period(("2026-10-01T00:00:00Z", "2026-10-01T06:00:00Z")), ONE)
    );

    // Corrected, all shares go.
    story.usage("COMP-1", vec![report("a", "slappart0", "9", DAY)]);
    let metering = &story.view.metering;
    check(metering, &instance(1), DAY, (1, 3 * ONE, 54 * ONE * HOUR, &[sequence + 1]));
    check(metering, &instance(2), DAY, (1, 6 * ONE, 108 * ONE * HOUR, &[sequence + 1]));
    assert_eq!(metering.len(), 2);

    // Also after a restart, and when the correction is about something else.
    let mut restored = crate::testing::fold::<crate::testing::Everything>(&story.events);
    restored.metering = {
        let mut bytes = Vec::new();
        restored.metering.write(&mut bytes).expect("memory");
        Metering::read_from(&mut bytes.as_slice()).expect("its own bytes")
    };
    let mut elsewhere = report("a", "slappart0", "2", MORNING);
    elsewhere.resource = "memory".into();
    story.usage("COMP-1", vec![elsewhere]);
    crate::view::View::apply(&mut restored, story.events.last().expect("an event"));
    for metering in [&story.view.metering, &restored.metering] {
        check(metering, &instance(1), DAY, (0, 0, 0, &[]));
        check(metering, &instance(2), DAY, (0, 0, 0, &[]));
        assert_eq!(metering.totals(&instance(1), "memory", period(DAY)).sum_billionths, 2 * ONE);
        assert_eq!(
            metering.as_of(Sequence(sequence)).totals(&instance(2), "cpu", period(DAY)).sum_billionths,
            ONE - ONE / 3
        );
    }
}

#[test]
fn corrections_follow_what_counts() {
    let mut story = one_tenant();
    let first = story.events.len() as u64 + 1;
    let mut reports = ["1", "2", "4"].map(|quantity| report("a", "slappart0", quantity, MORNING)).into_iter();
    story.usage("COMP-1", reports.by_ref().take(1).collect());
    check(&story.view.metering, &instance(1), DAY, (1, ONE, 12 * ONE * HOUR, &[first]));
    story.usage("COMP-1", reports.by_ref().take(1).collect());
    check(&story.view.metering, &instance(1), DAY, (1, 2 * ONE, 24 * ONE * HOUR, &[first + 1]));
    // To another subject.
    let mut moved = report("a", "COMP-1", "8", MORNING);
    moved.resource = "memory".into();
    story.usage("COMP-1", vec![moved]);
    check(&story.view.metering, &instance(1), DAY, (0, 0, 0, &[]));
    story.usage("COMP-1", reports.collect());
    check(&story.view.metering, &instance(1), DAY, (1, 4 * ONE, 48 * ONE * HOUR, &[first + 3]));
    assert_eq!(story.view.metering.len(), 1);
    assert_eq!(story.view.metering.counts_as(Sequence(first)), Sequence(first + 3));

    // An event that takes the place of one whose place was taken already takes that one's.
    let mut other = report("b", "slappart0", "16", MORNING);
    other.revision = slapledger_core::domain::usage::Revision::Replaces(UsageId::new("a").expect("an id"));
    story.usage("COMP-1", vec![other.clone()]);
    other.id = UsageId::new("c").expect("an id");
    other.quantity = ("32".into(), Ok("32".parse().expect("a number")));
    story.usage("COMP-1", vec![other]);
    check(&story.view.metering, &instance(1), DAY, (1, 32 * ONE, 384 * ONE * HOUR, &[first + 5]));
}

#[test]
fn suspended_usage_counts_once_it_is_resolved_and_can_be_corrected_then() {
    let mut story = one_tenant();
    let first = story.events.len() as u64 + 1;
    story.usage("COMP-1", vec![report("a", "nobody", "1", MORNING), report("b", "nobody", "7", MORNING)]);
    let waiting = story.view.metering.suspense(|_| true, Sequence::ZERO, 1);
    assert_eq!(waiting.items.iter().map(|(at, _)| at.0).collect::<Vec<_>>(), [first]);
    assert_eq!(waiting.next, Some(Sequence(first)));
    assert_eq!(&*waiting.items[0].1.usage.subject, "nobody");
    assert_eq!(waiting.items[0].1.computer, computer("COMP-1"));
    let rest = story.view.metering.suspense(|_| true, Sequence(first), 1);
    assert_eq!((rest.items.len(), rest.next), (1, None));

    let (reason, suspended) = ("it was nobody".into(), Sequence(first + 1));
    story.then(Command::DismissSuspendedUsage(DismissSuspendedUsage { suspended, reason }));
    story.then(Command::ResolveSuspendedUsage(ResolveSuspendedUsage {
        suspended: Sequence(first),
        subject: Some("slappart0".into()),
        resource: None,
        quantity: None,
        period: None,
    }));
    assert_eq!(story.view.metering.suspense_len(), 0);
    check(&story.view.metering, &instance(1), DAY, (1, ONE, 12 * ONE * HOUR, &[first + 3]));
    // The sender knows the suspended event alone.
    story.usage("COMP-1", vec![report("a", "slappart0", "3", MORNING)]);
    check(&story.view.metering, &instance(1), DAY, (1, 3 * ONE, 36 * ONE * HOUR, &[first + 4]));
    let before = story.view.metering.as_of(Sequence(first + 2));
    assert_eq!(before.read(&instance(1), "cpu", period(DAY)), Reading::default());
}

#[test]
fn amounts_beyond_64_bits_are_exact() {
    let mut story = one_tenant();
    story.usage("COMP-1", vec![report("a", "slappart0", "999999999999999.999999999", MORNING)]);
    let reading = story.view.metering.totals(&instance(1), "cpu", period(DAY));
    assert_eq!(reading.sum_billionths, 1_000_000_000_000_000 * ONE - 1);
    assert_eq!(reading.integral, (1_000_000_000_000_000 * ONE - 1) * 12 * HOUR);
}

/// Usage of one resource, as if nothing else had happened.
fn raw(sequence: u64, target: u64, quantity: i128, (start, length): (i64, i64)) -> Recorded {
    let start = at("2026-10-01T00:00:00Z").plus_micros(start);
    let usage = Usage {
        id: UsageId::Text("raw".into()),
        subject: "slappart0".into(),
        resource: ResourceId::new("cpu").expect("a resource"),
        quantity: Quantity::from_billionths(quantity).expect("a quantity"),
        period: Period::new(start, start.plus_micros(length)).expect("a period"),
        start_found: false,
        attribution: Attribution::Instance(InstanceId(target)),
        dimensions: Vec::new(),
        node_sequence: None,
    };
    let stream = (Stream::Usage(computer("COMP-1")), sequence);
    recorded(sequence, stream, Event::UsageRecorded(usage), start)
}

fn metering_of(events: impl IntoIterator<Item = Recorded>) -> Metering {
    let mut metering = Metering::new();
    events.into_iter().for_each(|event| metering.apply(&event));
    metering
}

#[test]
fn usage_without_dimensions_takes_no_room_for_them() {
    assert_eq!(size_of::<Interval>(), 32);
    let with = |dimensions: &[(&str, &str)]| {
        let events = (1..=1000).map(|n| {
            let mut event = raw(n, n % 2, 7, (n.cast_signed() * 10, 10));
            if let Event::UsageRecorded(usage) = &mut event.event {
                usage.dimensions =
                    dimensions.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
            }
            event
        });
        metering_of(events).memory_bytes()
    };
    let without = with(&[]);
    let series = metering_of((1..=1000).map(|n| raw(n, n % 2, 7, (n.cast_signed() * 10, 10)))).series;
    assert_eq!(without, series.iter().map(|series| series.memory_bytes()).sum::<usize>());
    // Those that are always the same take one row for each series, whatever they are.
    let rows = with(&[("region", "eu"), ("user", "ann")]) - without;
    assert!(rows > 0 && rows < 200, "{rows} bytes");
}

/// Many blocks, with holes where corrections took something out.
#[test]
fn blocks_are_filled_emptied_and_skipped() {
    let mut metering =
        metering_of((1..=2000).map(|n| raw(n, n % 2, i128::from(n), (n.cast_signed() * 10, 10))));
    let here = computer("COMP-1");
    for instance in [InstanceId(0), InstanceId(1)] {
        metering.allocated.allocated(&InstanceAllocated {
            instance,
            computer: here.clone(),
            partition: partition("slappart0"),
            host: None,
            at: at(DAY.0),
        });
    }
    for n in 300..=1300_u64 {
        metering.replace(n, 5000, &here, None);
    }
    let all = period(DAY);
    let left = (1..300).chain(1301..=2000).filter(|n| n % 2 == 1);
    assert_eq!(metering.read(&instance(1), "cpu", all).sequences, left.clone().collect::<Vec<u64>>());
    assert_eq!(metering.read(&instance(1), "cpu", all).sum_billionths, left.map(i128::from).sum::<i128>());
    assert_eq!(metering.as_of(Sequence(4999)).totals(&instance(1), "cpu", all).count, 1000);
    let start = at("2026-10-01T00:00:00Z").plus_micros(15_005);
    let some = Period::new(start, start.plus_micros(30)).expect("a period");
    assert_eq!(metering.read(&instance(0), "cpu", some).sequences, [1500, 1502]);
    assert_eq!(metering.read(&instance(1), "cpu", some).sequences, [1501, 1503]);
}

fn intervals() -> impl Strategy<Value = Vec<(i128, (i64, i64))>> {
    let quantity = prop_oneof![0..1_000_000_i128, 0..10_i128.pow(20), Just(10_i128.pow(23))];
    prop::collection::vec((quantity, (0..86_400_000_000_i64, 1..7_200_000_000_i64)), 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_of_a_period_add_up_to_the_whole(
        intervals in intervals(),
        cuts in prop::collection::btree_set(1..90_000_000_000_i64, 0..20),
    ) {
        let events = (1..).zip(&intervals).map(|(n, (quantity, when))| raw(n, 1, *quantity, *when));
        let metering = metering_of(events);
        let start = at("2026-10-01T00:00:00Z");
        let mut bounds = vec![0];
        bounds.extend(cuts);
        bounds.push(100_000_000_000);
        let whole = Period::new(start, start.plus_micros(100_000_000_000)).expect("a period");
        let whole = metering.totals(&instance(1), "cpu", whole);
        let parts = bounds.windows(2).map(|cut| {
            let part = Period::new(start.plus_micros(cut[0]), start.plus_micros(cut[1])).expect("a period");
            metering.totals(&instance(1), "cpu", part)
        });
        let add = |(sum, integral), part: Reading| (sum + part.sum_billionths, integral + part.integral);
        let (sum, integral) = parts.fold((0, 0), add);
        prop_assert_eq!((sum, integral), (whole.sum_billionths, whole.integral));
        prop_assert_eq!(sum, intervals.iter().map(|(quantity, _)| quantity).sum::<i128>());
        let held = intervals.iter().map(|(quantity, (_, length))| quantity * i128::from(*length));
        prop_assert_eq!(integral, held.sum::<i128>());
    }

    #[test]
    fn steps_are_the_readings_of_their_periods(intervals in intervals(), from in 0..80_000_000_000_i64) {
        let events = (1..).zip(&intervals).map(|(n, (quantity, when))| raw(n, 1, *quantity, *when));
        let metering = metering_of(events);
        let start = at("2026-10-01T00:00:00Z").plus_micros(from);
        let whole = Period::new(start, at("2026-10-02T03:00:00Z")).expect("a period");
        let steps = metering.steps((&instance(1), "cpu"), whole, (Step::Hour, TimeZone::UTC), 100);
        for step in steps.expect("few steps") {
            let reading = metering.totals(&instance(1), "cpu", step.period);
            prop_assert_eq!(
                (step.count, step.sum_billionths, step.integral),
                (reading.count, reading.sum_billionths, reading.integral)
            );
        }
    }

    #[test]
    fn the_order_of_arrival_changes_no_reading(
        intervals in intervals(),
        turn in 0..600_usize,
        from in 0..50_000_000_000_i64,
    ) {
        let read = |intervals: &[(i128, (i64, i64))]| {
            let events = (1..).zip(intervals).map(|(n, (quantity, when))| raw(n, 1, *quantity, *when));
            let start = at("2026-10-01T00:00:00Z").plus_micros(from);
            let period = Period::new(start, start.plus_micros(40_000_000_000)).expect("a period");
            metering_of(events).totals(&instance(1), "cpu", period)
        };
        let mut other = intervals.clone();
        let turn = turn % other.len();
        other.rotate_left(turn);
        other.reverse();
        prop_assert_eq!(read(&intervals), read(&other));
    }

    #[test]
    fn divided_counters_add_up(
        quantity in 0..10_i128.pow(24),
        lengths in prop::collection::vec((0..5_i64, 1..10_000_000_000_i64), 1..6),
    ) {
        let mut start = at("2026-10-01T00:00:00Z");
        let shares: Vec<Share> = (1..).zip(lengths).map(|(id, (gap, length))| {
            start = start.plus_micros(gap);
            let period = Period::new(start, start.plus_micros(length)).expect("a period");
            start = period.stop;
            Share { instance: InstanceId(id), period }
        }).collect();
        let quantity = Quantity::from_billionths(quantity).expect("a quantity");
        let parts = divide(quantity, &shares);
        prop_assert_eq!(parts.iter().map(|part| part.billionths()).sum::<i128>(), quantity.billionths());
        prop_assert!(parts.iter().all(|part| part.billionths() >= 0));
    }
}

#[test]
fn a_void_is_looked_for_among_the_series_of_its_reporter() {
    let mut story = one_tenant();
    let mut moved = report("a", "slappart0", "1", MORNING);
    moved.resource = "memory".into();
    story.usage("COMP-1", vec![report("b", "COMP-1", "1", DAY), moved]);
    // Usage of an instance that no event has put on this computer: nobody could have reported it, and it is not found.
    let mut strange = story.events.last().expect("usage").clone();
    let stranger = InstanceId(99);
    let Event::UsageRecorded(usage) = &mut strange.event else { panic!("usage: {strange:?}") };
    usage.attribution = Attribution::Instance(stranger);
    strange.sequence = Sequence(strange.sequence.0 + 1);
    let mut metering = story.view.metering.clone();
    metering.apply(&strange);
    let here = computer("COMP-1");
    let of = |metering: &Metering, sequence: u64| {
        metering.holder(sequence, &here, None).map(|index| metering.series[index as usize].owner)
    };
    let last = strange.sequence.0;
    assert_eq!(of(&metering, last), None);
    assert_eq!(of(&metering, last - 1), Some(Owner::Instance(InstanceId(1))));
    assert!(matches!(of(&metering, last - 2), Some(Owner::Computer(_))));
    let elsewhere = computer("COMP-2");
    assert_eq!(metering.holder(last - 1, &elsewhere, None), None);
}

#[test]
fn reports_from_the_future_are_due_in_their_order() {
    let mut story = one_tenant();
    let later = ("2026-10-05T00:00:00Z", "2026-10-07T00:00:00Z");
    let soon = ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z");
    story.usage("COMP-1", vec![report("a", "slappart0", "1", later), report("b", "slappart0", "1", soon)]);
    story.usage("COMP-1", vec![report("c", "nobody", "1", DAY)]);
    let last = story.events.len() as u64;
    let (first, second) = (Sequence(last - 2), Sequence(last - 1));
    let metering = &story.view.metering;
    assert_eq!(metering.suspense_len(), 3);
    assert_eq!(metering.next_due(), Some(at(soon.1)));
    assert_eq!(metering.due(at("2026-10-05T23:59:59Z"), 10), []);
    assert_eq!(metering.due(at(soon.1), 10), [second]);
    assert_eq!(metering.due(at(later.1), 10), [first, second]);
    assert_eq!(metering.due(at(later.1), 1), [second], "what was due first goes first");
    let mut bytes = Vec::new();
    metering.write(&mut bytes).expect("memory takes it");
    let read = Metering::read_from(&mut &*bytes).expect("it was written");
    assert_eq!(read.due(at(later.1), 10), [first, second]);
    story.then(Command::DismissSuspendedUsage(DismissSuspendedUsage {
        suspended: second,
        reason: "no".into(),
    }));
    assert_eq!(story.view.metering.next_due(), Some(at(later.1)));
}
