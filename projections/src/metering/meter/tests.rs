use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::usage::UsageReport;

use super::naive::{Fold, Reported};
use super::*;
use crate::calendar::Step;
use crate::metering::Metering;
use crate::metering::tests::{DAY, MORNING, instance, one_tenant, period, two_tenants};
use crate::testing::{at, report};
use crate::view::Projection as _;

pub(super) const MINUTE: i64 = 60_000_000;
/// All methods but those that need a number.
pub(super) const PLAIN: [Method<'_>; 8] = [
    Method::Sum,
    Method::Count,
    Method::Min,
    Method::Max,
    Method::Average,
    Method::Latest,
    Method::UniqueCount { dimension: "user" },
    Method::TimeIntegral,
];

pub(super) fn percentile(percent: u8, sample_minutes: u32) -> Method<'static> {
    Method::Percentile { percent, sample_minutes }
}

/// A fraction of ones as one of billionths, in lowest terms.
fn ones(numerator: i128, denominator: i128) -> (i128, i128) {
    reduced(numerator * ONE, denominator)
}

pub(super) fn reduced(numerator: i128, denominator: i128) -> (i128, i128) {
    let (mut a, mut b) = (numerator.abs(), denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (numerator / a.max(1), denominator / a.max(1))
}

pub(super) fn keys(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

fn with(report: UsageReport, dimensions: &[(&str, &str)]) -> UsageReport {
    let dimensions = dimensions.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    UsageReport { dimensions, ..report }
}

/// 3 in the first hour, 5 in the two after it, and 9 in a minute of the third.
fn three_levels() -> (Metering, u64) {
    let mut story = one_tenant();
    let first = story.events.len() as u64 + 1;
    let rows = [
        ("a", "3", ("2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z")),
        ("b", "5", ("2026-10-01T01:00:00Z", "2026-10-01T03:00:00Z")),
        ("c", "9", ("2026-10-01T02:30:00Z", "2026-10-01T02:31:00Z")),
    ];
    for (id, level, when) in rows {
        story.usage("COMP-1", vec![report(id, "slappart0", level, when)]);
    }
    (std::mem::take(&mut story.view.metering), first)
}

/// How, when, the value in lowest terms, and the events behind it.
type Row<'a> = (Method<'a>, (&'a str, &'a str), (i128, i128), &'a [u64]);

#[test]
fn every_method_is_what_it_says() {
    let (metering, first) = three_levels();
    let (two, all) = ([first, first + 1], [first, first + 1, first + 2]);
    let cut = ("2026-10-01T00:30:00Z", "2026-10-01T02:00:00Z");
    // Nine in one of 61 minutes: 309/61 = 5.06557377049...
    let third = (5_065_573_770, 1);
    let rows: [Row<'_>; 27] = [
        // Half of 3, and half of 5.
        (Method::Sum, cut, ones(4, 1), &two),
        (Method::Sum, DAY, ones(17, 1), &all),
        // 5 ends later.
        (Method::Count, cut, ones(1, 1), &two[..1]),
        (Method::Count, DAY, ones(3, 1), &all),
        (Method::Count, ("2026-10-01T00:30:00Z", "2026-10-01T01:00:00Z"), ones(1, 1), &two[..1]),
        (Method::Count, ("2026-10-01T01:00:00Z", "2026-10-01T02:31:00Z"), ones(1, 1), &all[2..]),
        (Method::Min, cut, ones(3, 1), &two),
        (Method::Min, ("2026-10-01T01:00:00Z", "2026-10-01T02:31:00Z"), ones(5, 1), &all[1..]),
        (Method::Max, cut, ones(5, 1), &two),
        (Method::Max, DAY, ones(9, 1), &all),
        // (3 x 30 + 5 x 60) / 90.
        (Method::Average, cut, ones(13, 3), &two),
        // (3 x 60 + 5 x 120 + 9 x 1) / 181.
        (Method::Average, DAY, ones(789, 181), &all),
        (Method::Latest, cut, ones(5, 1), &two),
        (Method::Latest, DAY, ones(5, 1), &all),
        // Cut to 02:30:30 both stop at once, and the minute began later.
        (Method::Latest, ("2026-10-01T00:00:00Z", "2026-10-01T02:30:30Z"), ones(9, 1), &all),
        (Method::TimeIntegral, cut, ones(13, 2), &two),
        (Method::TimeIntegral, DAY, ones(789, 60), &all),
        (Method::UniqueCount { dimension: "user" }, DAY, (0, 1), &all),
        (percentile(1, 60), DAY, ones(3, 1), &all),
        (percentile(33, 60), DAY, ones(3, 1), &all),
        (percentile(34, 60), DAY, ones(5, 1), &all),
        (percentile(66, 60), DAY, ones(5, 1), &all),
        (percentile(67, 60), DAY, third, &all),
        (percentile(100, 60), DAY, third, &all),
        // Half an hour of 3, an hour of 5, a quarter of an hour of 5.
        (percentile(33, 60), ("2026-10-01T00:30:00Z", "2026-10-01T02:15:00Z"), ones(3, 1), &two),
        (percentile(34, 60), ("2026-10-01T00:30:00Z", "2026-10-01T02:15:00Z"), ones(5, 1), &two),
        // 180 minutes, one of them (5 + 9) / 2; the 99th of a hundred is number 179.
        (percentile(100, 1), DAY, ones(7, 1), &all),
    ];
    let now = metering.as_of(Sequence(u64::MAX));
    for (method, within, value, sequences) in rows {
        let metered = now.meter(&instance(1), "cpu", period(within), method, &[]);
        let [found] = metered.as_slice() else { panic!("{method:?} {within:?}: {metered:?}") };
        assert_eq!(reduced(found.numerator, found.denominator), value, "{method:?} {within:?}");
        assert_eq!(
            (&*found.sequences, found.events),
            (sequences, sequences.len() as u64),
            "{method:?} {within:?}"
        );
        assert!(found.dimensions.is_empty() && !found.is_beyond());
        let totals = now.meter_totals(&instance(1), "cpu", period(within), method, &[]);
        assert_eq!(totals, [Metered { sequences: Vec::new(), ..found.clone() }]);
    }
    let later = period(("2026-10-01T03:00:00Z", "2026-10-02T00:00:00Z"));
    for method in PLAIN.into_iter().chain([percentile(50, 5)]) {
        assert_eq!(now.meter(&instance(1), "cpu", later, method, &[]), [], "{method:?}");
        assert_eq!(now.meter(&instance(1), "memory", later, method, &[]), [], "{method:?}");
        assert_eq!(now.meter(&instance(2), "cpu", later, method, &[]), [], "{method:?}");
        assert_eq!(
            metering.as_of(Sequence(first - 1)).meter(&instance(1), "cpu", period(DAY), method, &[]),
            []
        );
    }
    // Nothing ends within.
    let within = period(("2026-10-01T01:30:00Z", "2026-10-01T02:00:00Z"));
    assert_eq!(now.meter(&instance(1), "cpu", within, Method::Count, &[]), []);
}

#[test]
fn divided_usage_is_metered_for_each_by_its_share() {
    let mut story = two_tenants();
    story.usage("COMP-1", vec![with(report("a", "slappart0", "1", DAY), &[("user", "ann")])]);
    let now = story.view.metering.as_of(Sequence(u64::MAX));
    let value = |target: u64, within: (&str, &str), method: Method<'_>| {
        let metered = now.meter(&instance(target), "cpu", period(within), method, &[]);
        metered.first().map(|one| reduced(one.numerator, one.denominator))
    };
    let night = ("2026-10-01T00:00:00Z", "2026-10-01T03:00:00Z");
    let (ann, nobody) = (Method::UniqueCount { dimension: "user" }, None);
    // 6 and 12 of 18 hours.
    let rows = [
        (1, DAY, Method::Sum, Some((ONE / 3, 1))),
        (2, DAY, Method::Sum, Some((ONE - ONE / 3, 1))),
        (1, night, Method::Sum, Some((ONE / 6, 1))),
        (1, DAY, Method::Count, Some(ones(1, 1))),
        (2, DAY, Method::Count, Some(ones(1, 1))),
        // Its share ends at six in the morning, and that of the other at midnight.
        (1, MORNING, Method::Count, Some(ones(1, 1))),
        (1, night, Method::Count, nobody),
        (2, MORNING, Method::Count, nobody),
        (1, DAY, Method::TimeIntegral, Some(ones(6, 1))),
        (2, DAY, Method::TimeIntegral, Some(ones(12, 1))),
        (1, night, Method::Average, Some(ones(1, 1))),
        (2, DAY, Method::Max, Some(ones(1, 1))),
        (2, DAY, ann, Some(ones(1, 1))),
        (2, MORNING, ann, nobody),
    ];
    for (target, within, method, expected) in rows {
        assert_eq!(value(target, within, method), expected, "{target} {within:?} {method:?}");
    }
}

#[test]
fn usage_is_grouped_by_dimensions_and_corrections_keep_theirs() {
    let mut story = one_tenant();
    let first = story.events.len() as u64 + 1;
    let plain = |id: &str, quantity: &str| report(id, "slappart0", quantity, MORNING);
    story.usage(
        "COMP-1",
        vec![
            with(plain("a", "1"), &[("region", "us"), ("user", "ann")]),
            with(plain("b", "2"), &[("region", "eu"), ("user", "ann")]),
            plain("c", "4"),
            with(plain("d", "8"), &[("user", "bob")]),
            with(plain("e", "16"), &[("region", "eu"), ("user", "bob")]),
        ],
    );
    let known = Sequence(first + 4);
    // The usage of ann in eu was in the us, and carol's.
    story.usage("COMP-1", vec![with(plain("b", "32"), &[("region", "us"), ("user", "carol")])]);

    let groups = |metering: &Metering,
                  as_of: Sequence,
                  method: Method<'_>,
                  names: &[&str]|
     -> Vec<(String, i128, Vec<u64>)> {
        let metered = metering.as_of(as_of).meter(&instance(1), "cpu", period(DAY), method, &keys(names));
        let all = metered.into_iter().map(|one| {
            assert_eq!(one.dimensions.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), names);
            let values: Vec<&str> = one.dimensions.iter().map(|(_, value)| &**value).collect();
            let sequences = one.sequences.iter().map(|sequence| sequence - first).collect();
            (values.join("/"), one.numerator / one.denominator / ONE, sequences)
        });
        all.collect()
    };
    let row = |values: &str, value: i128, sequences: &[u64]| (values.to_owned(), value, sequences.to_vec());
    let mut bytes = Vec::new();
    story.view.metering.write(&mut bytes).expect("memory");
    let restored = Metering::read_from(&mut bytes.as_slice()).expect("its own bytes");
    let users = Method::UniqueCount { dimension: "user" };
    for metering in [&story.view.metering, &restored] {
        assert_eq!(
            groups(metering, known, Method::Sum, &["region"]),
            [row("", 12, &[2, 3]), row("eu", 18, &[1, 4]), row("us", 1, &[0])]
        );
        assert_eq!(
            groups(metering, Sequence(u64::MAX), Method::Sum, &["region"]),
            [row("", 12, &[2, 3]), row("eu", 16, &[4]), row("us", 33, &[0, 5])]
        );
        assert_eq!(
            groups(metering, known, Method::Max, &["user", "region"]),
            [
                row("/", 4, &[2]),
                row("ann/eu", 2, &[1]),
                row("ann/us", 1, &[0]),
                row("bob/", 8, &[3]),
                row("bob/eu", 16, &[4])
            ]
        );
        assert_eq!(groups(metering, known, users, &[]), [row("", 2, &[0, 1, 2, 3, 4])]);
        assert_eq!(groups(metering, Sequence(u64::MAX), users, &[]), [row("", 3, &[0, 2, 3, 4, 5])]);
        assert_eq!(
            groups(metering, known, users, &["region"]),
            [row("", 1, &[2, 3]), row("eu", 2, &[1, 4]), row("us", 1, &[0])]
        );
        assert_eq!(groups(metering, known, users, &["nothing"]), [row("", 2, &[0, 1, 2, 3, 4])]);
    }
}

#[test]
fn what_passes_the_numbers_says_so() {
    let level = 10_i128.pow(24) - 1;
    let years = |n: i64| (0, n * 366 * 24 * 60 * MINUTE);
    let metering = Fold::of(&[Reported { quantity: level, time: years(10), ..Reported::default() }]).metering;
    let now = metering.as_of(Sequence(u64::MAX));
    let start = at("2026-10-01T00:00:00Z");
    let check = |until: i64, method: Method<'_>, expected: (i128, i128)| {
        let within = Period::new(start, start.plus_micros(until)).expect("a period");
        let metered = now.meter(&instance(1), "cpu", within, method, &[]);
        assert_eq!((metered[0].numerator, metered[0].denominator), expected, "{method:?}");
        assert_eq!(metered[0].is_beyond(), expected == Metered::BEYOND);
    };
    let (one, ten) = (years(1).1, years(10).1);
    check(ten, Method::TimeIntegral, Metered::BEYOND);
    check(ten, Method::Average, Metered::BEYOND);
    check(one, Method::TimeIntegral, (level * i128::from(one), HOUR));
    check(one, Method::Average, (level * i128::from(one), i128::from(one)));
    check(ten, Method::Sum, (level, 1));
    check(ten, Method::Max, (level, 1));
    check(ten, percentile(95, 5), (level, 1));
    check(ten, percentile(95, u32::MAX), Metered::BEYOND);
}

#[test]
fn averages_of_samples_are_rounded_half_up_and_odd_numbers_are_taken_as_the_nearest() {
    let quantities = [0, 1];
    let reports = quantities.map(|quantity| Reported { quantity, time: (0, MINUTE), ..Reported::default() });
    let metering = Fold::of(&reports).metering;
    let start = at("2026-10-01T00:00:00Z");
    let within = Period::new(start, start.plus_micros(MINUTE)).expect("a period");
    for (percent, minutes) in [(0, 0), (1, 1), (100, 1), (255, 1), (50, u32::MAX)] {
        let method = percentile(percent, minutes);
        let metered = metering.as_of(Sequence(u64::MAX)).meter(&instance(1), "cpu", within, method, &[]);
        assert_eq!((metered[0].numerator, metered[0].denominator), (1, 1), "{method:?}");
    }
}

/// A month in one interval has many samples, and is one edge.
#[test]
fn long_intervals_have_all_their_samples() {
    let month = 31 * 24 * 60 * MINUTE;
    let reports = [
        Reported { quantity: 10, time: (0, month), ..Reported::default() },
        Reported { quantity: 30, time: (7 * MINUTE, 90 * MINUTE), ..Reported::default() },
    ];
    let metering = Fold::of(&reports).metering;
    let start = at("2026-10-01T00:00:00Z");
    let within = Period::new(start, start.plus_micros(month)).expect("a period");
    let now = metering.as_of(Sequence(u64::MAX));
    let profile = |most| {
        now.profile((&instance(1), "cpu"), within, (percentile(95, 5), &[]), (Step::Day, TimeZone::UTC), most)
    };
    assert_eq!(profile(8927), None);
    let samples = profile(8928).expect("so many samples");
    // Of the second sample, three minutes are 10 and 30: (10 x 5 + 30 x 3) / 8 = 17.5.
    assert_eq!(samples[..4].iter().map(|(_, one)| one.numerator).collect::<Vec<_>>(), [10, 18, 20, 20]);
    // Of the one that begins at minute 95, two minutes: (10 x 5 + 30 x 2) / 7 = 15.7.
    assert_eq!(samples[18..21].iter().map(|(_, one)| one.numerator).collect::<Vec<_>>(), [20, 16, 10]);
    assert!(samples.windows(2).all(|two| two[0].0.stop == two[1].0.start));
    assert_eq!((samples[0].0.start, samples[8927].0.stop), (within.start, within.stop));
}

/// When, numerator in ones, denominator, and the events behind it.
type Part = (String, i128, i128, Vec<u64>);

#[test]
fn profiles_say_where_a_value_comes_from() {
    let (metering, first) = three_levels();
    let now = metering.as_of(Sequence(u64::MAX));
    let profile = |method, within, most| -> Option<Vec<Part>> {
        let key = (&instance(1), "cpu");
        let parts = now.profile(key, period(within), (method, &[]), (Step::Hour, TimeZone::UTC), most)?;
        let part = |(period, one): (Period, Metered)| {
            let sequences = one.sequences.iter().map(|sequence| sequence - first).collect();
            (period.to_string(), one.numerator / ONE, one.denominator, sequences)
        };
        Some(parts.into_iter().map(part).collect())
    };
    let row = |within: &str, numerator: i128, denominator: i128, sequences: &[u64]| {
        let (start, stop) = within.split_once('-').expect("two times");
        let within = format!("2026-10-01T{start}:00Z/2026-10-01T{stop}:00Z");
        (within, numerator, denominator, sequences.to_vec())
    };
    let cut = ("2026-10-01T00:20:00Z", "2026-10-01T04:00:00Z");
    assert_eq!(profile(Method::Sum, cut, 3), None);
    assert_eq!(
        profile(Method::Sum, cut, 4).expect("four hours"),
        [row("00:20-01:00", 2, 1, &[0]), row("01:00-02:00", 2, 1, &[1]), row("02:00-03:00", 11, 1, &[1, 2])]
    );
    assert_eq!(
        profile(Method::Count, cut, 4).expect("four hours"),
        [row("00:20-01:00", 1, 1, &[0]), row("02:00-03:00", 2, 1, &[1, 2])]
    );
    let minutes = i128::from(MINUTE);
    assert_eq!(
        profile(Method::Average, cut, 4).expect("four hours"),
        [
            row("00:20-01:00", 120 * minutes, 40 * minutes, &[0]),
            row("01:00-02:00", 300 * minutes, 60 * minutes, &[1]),
            row("02:00-03:00", 309 * minutes, 61 * minutes, &[1, 2])
        ]
    );
    assert_eq!(profile(Method::Min, cut, 0).expect("one"), [row("00:20-01:00", 3, 1, &[0])]);
    assert_eq!(profile(Method::Max, cut, 0).expect("one"), [row("02:30-02:31", 9, 1, &[2])]);
    assert_eq!(profile(Method::Latest, cut, 0).expect("one"), [row("01:00-03:00", 5, 1, &[1])]);
}
