//! Levels that hold until the next report: the time between intervals is that of the interval that stopped last.

use std::collections::BTreeMap;

use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};

use super::{Grouping, HeldInterval, IntervalOrder, Target};
use crate::metering::AsOf;
use crate::metering::read::{CarriedLevels, MeteredInterval};

/// The intervals of a group, as they matter for a period.
#[derive(Default)]
struct GroupLevels<'a> {
    /// The latest of those that stopped before the period.
    before: Option<HeldInterval<'a>>,
    within: Vec<HeldInterval<'a>>,
}

impl AsOf<'_> {
    /// As `held`, with the times between intervals too.
    pub(super) fn held_or_carried<'a>(
        &'a self,
        key: (&Target, &str),
        period: Period,
        carried: CarriedLevels<'_>,
        mut see: impl FnMut(HeldInterval<'a>),
    ) {
        let Some(known) = Period::new(Timestamp::MIN, period.stop) else { return };
        let mut grouping = Grouping::by(carried.group_by, &self.metering.dimensions);
        let mut groups: BTreeMap<usize, GroupLevels<'a>> = BTreeMap::new();
        self.each_held(key, known, &mut |held: HeldInterval<'a>| {
            groups.entry(grouping.index(held.set)).or_default().add(held, period);
        });
        let until = period.stop.min(carried.until).micros();
        for group in groups.into_values() {
            group.give(period.start.micros(), until, &mut see);
        }
    }
}

impl<'a> GroupLevels<'a> {
    fn add(&mut self, held: HeldInterval<'a>, period: Period) {
        match held.interval.time_in(period) {
            Some((start, stop)) => self.within.push(HeldInterval { start, stop, ..held }),
            None if self.before.is_none_or(|before| order(&before) < order(&held)) => {
                self.before = Some(held);
            }
            None => {}
        }
    }

    fn give(mut self, start: i64, until: i64, see: &mut impl FnMut(HeldInterval<'a>)) {
        self.within.sort_unstable_by_key(|held| (held.start, held.interval.sequence()));
        let (mut at, mut latest) = (start, self.before);
        let carry = |from: i64, to: i64, latest: Option<HeldInterval<'a>>| {
            let (start, stop) = (from, to.min(until));
            latest.filter(|_| start < stop).map(|held| HeldInterval { start, stop, carried: true, ..held })
        };
        for held in self.within {
            if let Some(carried) = carry(at, held.start, latest) {
                see(carried);
            }
            see(held);
            at = at.max(held.stop);
            latest = latest.filter(|latest| order(latest) > order(&held)).or(Some(held));
        }
        if let Some(carried) = carry(at, until, latest) {
            see(carried);
        }
    }
}

impl HeldInterval<'_> {
    /// The time in which it holds after it stopped, if that is what it is.
    pub(in crate::metering) fn as_carried(&self) -> Option<MeteredInterval> {
        let (start, stop) = (Timestamp::from_micros(self.start)?, Timestamp::from_micros(self.stop)?);
        let quantity = |billionths| Quantity::from_billionths(billionths).unwrap_or_default();
        let carried = MeteredInterval {
            sequence: Sequence(self.interval.sequence()),
            period: Period::new(start, stop)?,
            counter: Quantity::ZERO,
            gauge: quantity(self.amounts.gauge),
        };
        Some(carried).filter(|_| self.carried)
    }
}

/// What decides which interval stopped last.
fn order(held: &HeldInterval<'_>) -> IntervalOrder {
    (held.interval.stop, held.interval.start, held.interval.sequence())
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::quantity::ONE;

    use super::super::naive::{Fold, Reported};
    use super::super::{Metered, Method};
    use super::*;
    use crate::metering::tests::instance;
    use crate::testing::at;

    const HOUR: i64 = 3_600_000_000;

    /// A level during some hours from 1 October on.
    fn level(level: i128, (start, stop): (i64, i64), region: Option<u8>) -> Reported {
        let time = (start * HOUR, (stop - start) * HOUR);
        Reported { quantity: level * ONE, time, region, ..Reported::default() }
    }

    fn metered(
        fold: &Fold,
        hours: (i64, i64),
        until: i64,
        method: Method<'_>,
        keys: &[Box<str>],
    ) -> Vec<(i128, u64)> {
        let hour = |hour: i64| at("2026-10-01T00:00:00Z").plus_micros(hour * HOUR);
        let period = Period::new(hour(hours.0), hour(hours.1)).expect("not empty");
        let usage = fold.metering.as_of(Sequence(u64::MAX)).carried_until(hour(until), keys);
        let value = |metered: Metered| (metered.numerator / metered.denominator / ONE, metered.events);
        usage.meter(&instance(1), "cpu", period, method, keys).into_iter().map(value).collect()
    }

    #[test]
    fn the_level_that_stopped_last_holds_until_the_next() {
        // 3 until 10, though 7 was reported for a part of that time later; then nothing until 20; 5 for two hours.
        let reports = [level(3, (0, 10), None), level(7, (2, 4), None), level(5, (20, 22), None)];
        let fold = Fold::of(&reports);
        let integral = |hours, until| metered(&fold, hours, until, Method::TimeIntegral, &[]);
        assert_eq!(integral((0, 10), 100), [(3 * 10 + 7 * 2, 2)]);
        assert_eq!(integral((10, 20), 100), [(3 * 10, 1)]);
        assert_eq!(integral((15, 30), 100), [(3 * 5 + 5 * 10, 2)]);
        // Long after the last report, and no longer than it may.
        assert_eq!(integral((1000, 1010), 2000), [(50, 1)]);
        assert_eq!(integral((1000, 1010), 1004), [(20, 1)]);
        assert_eq!(integral((1000, 1010), 1000), []);
        let decided = |method| metered(&fold, (12, 21), 100, method, &[]);
        assert_eq!(decided(Method::Min), [(3, 2)]);
        assert_eq!(decided(Method::Max), [(5, 2)]);
        assert_eq!(decided(Method::Latest), [(5, 2)]);
        assert_eq!(metered(&fold, (12, 19), 100, Method::Latest, &[]), [(3, 1)]);
        // 8 hours of 3 and 1 of 5; the median of the samples of an hour.
        assert_eq!(decided(Method::Percentile { percent: 50, sample_minutes: 60 }), [(3, 2)]);
        assert_eq!(decided(Method::Percentile { percent: 100, sample_minutes: 60 }), [(5, 2)]);
    }

    #[test]
    fn each_group_has_a_level_of_its_own() {
        let fold = Fold::of(&[level(3, (0, 1), Some(1)), level(5, (10, 11), Some(2))]);
        let keys: [Box<str>; 1] = ["region".into()];
        assert_eq!(metered(&fold, (20, 30), 100, Method::Latest, &keys), [(3, 1), (5, 1)]);
        assert_eq!(metered(&fold, (20, 30), 100, Method::Latest, &[]), [(5, 1)]);
        assert_eq!(metered(&fold, (5, 12), 100, Method::TimeIntegral, &keys), [(3 * 7, 1), (5 * 2, 1)]);
    }
}
