//! A second reading of the sentences about methods, as simple as can be, and properties that hold for any usage.

use proptest::prelude::*;
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{InstanceId, ResourceId, Sequence};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::usage::{Attribution, Usage, UsageCorrected, UsageId};

use super::tests::{MINUTE, PLAIN, keys, percentile, reduced};
use super::*;
use crate::calendar::Step;
use crate::metering::Metering;
use crate::metering::tests::instance;
use crate::testing::{at, computer, recorded};
use crate::view::Projection as _;

/// A usage event: quantity in billionths, start and length in microseconds, dimensions, and which
/// of the events before it it takes the place of.
#[derive(Debug, Clone, Default)]
pub(super) struct Reported {
    pub(super) quantity: i128,
    pub(super) time: (i64, i64),
    pub(super) region: Option<u8>,
    pub(super) user: Option<u8>,
    pub(super) replaces: Option<prop::sample::Index>,
}

/// What a simple reader of the sentences about methods knows of an event.
#[derive(Debug, Clone)]
struct Known {
    sequence: u64,
    quantity: i128,
    start: i64,
    stop: i64,
    region: Option<String>,
    user: Option<String>,
    replaced_by: Option<u64>,
}

/// The same events in metering and in a list.
pub(super) struct Fold {
    pub(super) metering: Metering,
    known: Vec<Known>,
}

impl Fold {
    pub(super) fn of(reports: &[Reported]) -> Self {
        let mut fold = Self { metering: Metering::new(), known: Vec::new() };
        for (sequence, report) in (1..).zip(reports) {
            fold.take(sequence, report);
        }
        fold
    }

    fn take(&mut self, sequence: u64, report: &Reported) {
        let start = at("2026-10-01T00:00:00Z").plus_micros(report.time.0);
        let time = Period::new(start, start.plus_micros(report.time.1)).expect("a period");
        let region = report.region.map(|n| format!("region {n}"));
        let user = report.user.map(|n| format!("user {n}"));
        let pair = |key: &str, value: &Option<String>| Some((key.into(), value.as_deref()?.into()));
        let usage = Usage {
            id: UsageId::Text("raw".into()),
            subject: "slappart0".into(),
            resource: ResourceId::new("cpu").expect("a resource"),
            quantity: Quantity::from_billionths(report.quantity).expect("a quantity"),
            period: time,
            start_found: false,
            attribution: Attribution::Instance(InstanceId(1)),
            dimensions: [pair("region", &region), pair("user", &user)].into_iter().flatten().collect(),
            node_sequence: None,
        };
        let replaces = report.replaces.filter(|_| sequence > 1).map(|index| index.index(self.known.len()));
        if let Some(mut replaced) = replaces {
            // What was replaced is not, a second time: its replacement is.
            while let Some(by) = self.known[replaced].replaced_by {
                replaced = self.known.iter().position(|one| one.sequence == by).expect("known");
            }
            self.known[replaced].replaced_by = Some(sequence);
        }
        let event = match replaces {
            None => Event::UsageRecorded(usage),
            Some(at) => {
                let replaces = Sequence(self.known[at].sequence);
                Event::UsageCorrected(UsageCorrected { replaces, usage })
            }
        };
        let (start, stop, replaced_by) = (time.start.micros(), time.stop.micros(), None);
        let quantity = report.quantity;
        self.known.push(Known { sequence, quantity, start, stop, region, user, replaced_by });
        let event = recorded(sequence, (Stream::Usage(computer("COMP-1")), sequence), event, time.stop);
        self.metering.apply(&event);
    }

    /// The meter again, from the list and as simple as can be; values in lowest terms.
    fn naive(
        &self,
        as_of: u64,
        within: Period,
        method: Method<'_>,
        by_region: bool,
    ) -> Vec<(String, (i128, i128), Vec<u64>)> {
        let (from, to) = (within.start.micros(), within.stop.micros());
        let mut groups: BTreeMap<String, Vec<&Known>> = BTreeMap::new();
        for one in &self.known {
            let counts = one.sequence <= as_of && one.replaced_by.is_none_or(|by| by > as_of);
            let behind = one.start < to && one.stop > from && (method != Method::Count || one.stop <= to);
            if counts && behind {
                let region = if by_region { one.region.clone() } else { None };
                groups.entry(region.unwrap_or_default()).or_default().push(one);
            }
        }
        let value = |all: &[&Known]| naive_value(all, (from, to), method);
        groups
            .into_iter()
            .map(|(region, all)| {
                let (numerator, denominator) = value(&all);
                let sequences = all.iter().map(|one| one.sequence).collect();
                (region, reduced(numerator, denominator), sequences)
            })
            .collect()
    }
}

fn naive_value(all: &[&Known], (from, to): (i64, i64), method: Method<'_>) -> (i128, i128) {
    let time = |one: &Known, from: i64, to: i64| i128::from((one.stop.min(to) - one.start.max(from)).max(0));
    let held = |from, to| all.iter().map(|one| one.quantity * time(one, from, to)).sum::<i128>();
    let times = |from, to| all.iter().map(|one| time(one, from, to)).sum::<i128>();
    match method {
        Method::Sum => {
            let until = |one: &Known, instant: i64| {
                let elapsed = i128::from(instant.clamp(one.start, one.stop) - one.start);
                one.quantity * elapsed / i128::from(one.stop - one.start)
            };
            (all.iter().map(|one| until(one, to) - until(one, from)).sum(), 1)
        }
        Method::Count => (all.len() as i128 * ONE, 1),
        Method::Min => (all.iter().map(|one| one.quantity).min().expect("usage"), 1),
        Method::Max => (all.iter().map(|one| one.quantity).max().expect("usage"), 1),
        Method::Average => (held(from, to), times(from, to)),
        Method::Latest => {
            let latest = all.iter().max_by_key(|one| (one.stop.min(to), one.start, one.sequence));
            (latest.expect("usage").quantity, 1)
        }
        Method::UniqueCount { .. } => {
            let mut users: Vec<&String> = all.iter().filter_map(|one| one.user.as_ref()).collect();
            users.sort();
            users.dedup();
            (users.len() as i128 * ONE, 1)
        }
        Method::TimeIntegral => (held(from, to), HOUR),
        Method::Percentile { percent, sample_minutes } => {
            let length = i64::from(sample_minutes) * MINUTE;
            let mut values = Vec::new();
            let mut start = from;
            while start < to {
                let stop = to.min(start - start.rem_euclid(length) + length);
                let (held, time) = (held(start, stop), times(start, stop));
                if time > 0 {
                    values.push((2 * held + time).div_euclid(2 * time));
                }
                start = stop;
            }
            values.sort_unstable();
            let rank = (values.len() * usize::from(percent)).div_ceil(100);
            (values[rank - 1], 1)
        }
    }
}

fn reports() -> impl Strategy<Value = Vec<Reported>> {
    let quantity = prop_oneof![0..5_i128, 0..1_000_000_i128, 0..10_i128.pow(20)];
    // Many begin and end together, and at edges of samples; some are before 1970.
    let start = prop_oneof![
        (0..12_i64).prop_map(|n| n * 30 * MINUTE),
        0..8 * 60 * MINUTE,
        Just(-57 * 366 * 24 * 60 * MINUTE)
    ];
    let length = prop_oneof![(1..6_i64).prop_map(|n| n * 30 * MINUTE), 1..300 * MINUTE, Just(1)];
    let replaces = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let one = (quantity, (start, length), prop::option::of(0..3_u8), prop::option::of(0..4_u8), replaces);
    let one = one.prop_map(|(quantity, time, region, user, replaces)| Reported {
        quantity,
        time,
        region,
        user,
        replaces,
    });
    prop::collection::vec(one, 0..60)
}

fn methods() -> impl Strategy<Value = Method<'static>> {
    let plain = prop::sample::select(PLAIN.to_vec());
    prop_oneof![2 => plain, 1 => (1..=100_u8, 1..100_u32).prop_map(|(percent, minutes)| percentile(percent, minutes))]
}

/// Where a period begins, in microseconds since the first of October, and how long it is.
fn periods() -> impl Strategy<Value = Period> {
    let start = prop_oneof![
        (0..12_i64).prop_map(|n| n * 30 * MINUTE),
        0..8 * 60 * MINUTE,
        Just(-57 * 366 * 24 * 60 * MINUTE - 10 * MINUTE)
    ];
    let length = prop_oneof![(1..20_i64).prop_map(|n| n * 30 * MINUTE), 1..600 * MINUTE];
    (start, length).prop_map(|(start, length)| {
        let start = at("2026-10-01T00:00:00Z").plus_micros(start);
        Period::new(start, start.plus_micros(length)).expect("a period")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_simple_reading_of_the_sentences_agrees(
        reports in reports(),
        within in periods(),
        method in methods(),
        by_region: bool,
        known: prop::sample::Index,
    ) {
        let fold = Fold::of(&reports);
        let as_of = known.index(reports.len() + 1) as u64;
        let group_by = if by_region { keys(&["region"]) } else { Vec::new() };
        let now = fold.metering.as_of(Sequence(as_of));
        let metered = now.meter(&instance(1), "cpu", within, method, &group_by);
        let found: Vec<_> = metered.iter().map(|one| {
            assert!(one.denominator > 0);
            assert_eq!(one.events, one.sequences.len() as u64);
            let region = one.dimensions.first().map(|(_, value)| value.to_string()).unwrap_or_default();
            (region, reduced(one.numerator, one.denominator), one.sequences.clone())
        }).collect();
        prop_assert_eq!(found, fold.naive(as_of, within, method, by_region));

        // A restored metering reads the same, and has the same bytes.
        let mut bytes = Vec::new();
        fold.metering.write(&mut bytes).expect("memory");
        let restored = Metering::read_from(&mut bytes.as_slice()).expect("its own bytes");
        let again = restored.as_of(Sequence(as_of)).meter(&instance(1), "cpu", within, method, &group_by);
        prop_assert_eq!(&again, &metered);
        let mut second = Vec::new();
        restored.write(&mut second).expect("memory");
        prop_assert_eq!(second, bytes);
    }

    #[test]
    fn profiles_are_the_meters_of_their_parts(
        reports in reports(),
        within in periods(),
        method in methods(),
        by_region: bool,
    ) {
        let fold = Fold::of(&reports);
        let group_by = if by_region { keys(&["region"]) } else { Vec::new() };
        let now = fold.metering.as_of(Sequence(u64::MAX));
        let target = instance(1);
        let one_of = |within: Period, group: &[(Box<str>, Box<str>)]| {
            let all = now.meter(&target, "cpu", within, method, &group_by);
            all.into_iter().find(|one| one.dimensions == group)
        };
        for whole in now.meter(&target, "cpu", within, method, &group_by) {
            let group = &whole.dimensions;
            let parts = now.profile((&target, "cpu"), within, (method, group), (Step::Hour, TimeZone::UTC), 10_000);
            let parts = parts.expect("few parts");
            let numbers = |parts: &[(Period, Metered)]| parts.iter().map(|(_, one)| one.numerator).sum::<i128>();
            match method {
                Method::Sum | Method::Count | Method::TimeIntegral => {
                    prop_assert_eq!(numbers(&parts), whole.numerator);
                    prop_assert!(parts.iter().all(|(_, one)| one.denominator == whole.denominator));
                }
                Method::Average => {
                    prop_assert_eq!(numbers(&parts), whole.numerator);
                    prop_assert_eq!(parts.iter().map(|(_, one)| one.denominator).sum::<i128>(), whole.denominator);
                }
                Method::UniqueCount { .. } => prop_assert_eq!(numbers(&parts), whole.numerator),
                Method::Min | Method::Max | Method::Latest => {
                    prop_assert_eq!(parts.len(), 1);
                    prop_assert_eq!(parts[0].1.numerator, whole.numerator);
                    prop_assert!(whole.sequences.contains(&parts[0].1.sequences[0]));
                }
                Method::Percentile { percent, .. } => {
                    let mut values: Vec<i128> = parts.iter().map(|(_, one)| one.numerator).collect();
                    values.sort_unstable();
                    let rank = (values.len() * usize::from(percent)).div_ceil(100);
                    prop_assert_eq!(values[rank - 1], whole.numerator);
                    // Each is the meter of its own time.
                    for (part, one) in &parts {
                        let again = one_of(*part, group).expect("usage");
                        prop_assert_eq!(again.numerator, one.numerator);
                    }
                }
            }
            if matches!(method, Method::Sum | Method::Count | Method::TimeIntegral | Method::Average) {
                for (part, one) in &parts {
                    let again = one_of(*part, group);
                    prop_assert_eq!(again.as_ref(), Some(one));
                }
            }
        }
    }

    #[test]
    fn adjoining_periods_add_up(reports in reports(), within in periods(), cuts in prop::collection::vec(0..600 * MINUTE, 0..6)) {
        let fold = Fold::of(&reports);
        let now = fold.metering.as_of(Sequence(u64::MAX));
        let mut bounds: Vec<Timestamp> = cuts.iter().map(|cut| within.start.plus_micros(*cut)).collect();
        bounds.retain(|cut| within.contains(*cut));
        bounds.extend([within.start, within.stop]);
        bounds.sort_unstable();
        for method in [Method::Sum, Method::Count, Method::TimeIntegral] {
            let value = |within: Period| {
                now.meter_totals(&instance(1), "cpu", within, method, &[]).first().map_or(0, |one| one.numerator)
            };
            let parts = bounds.windows(2).filter_map(|two| Period::new(two[0], two[1]));
            prop_assert_eq!(parts.map(value).sum::<i128>(), value(within), "{:?}", method);
        }
    }

    #[test]
    fn the_order_of_arrival_changes_no_meter(
        reports in reports(),
        within in periods(),
        method in methods(),
        by_region: bool,
        turn in 0..60_usize,
    ) {
        // Of several that end and begin together the last to arrive is the latest: that is the one order that counts.
        prop_assume!(method != Method::Latest);
        let reports: Vec<Reported> = reports.into_iter().map(|report| Reported { replaces: None, ..report }).collect();
        let mut other = reports.clone();
        if !other.is_empty() {
            let turn = turn % other.len();
            other.rotate_left(turn);
            other.reverse();
        }
        let group_by = if by_region { keys(&["region"]) } else { Vec::new() };
        let read = |reports: &[Reported]| {
            let metering = Fold::of(reports).metering;
            metering.as_of(Sequence(u64::MAX)).meter_totals(&instance(1), "cpu", within, method, &group_by)
        };
        prop_assert_eq!(read(&reports), read(&other));
    }
}
