//! Meters: how the usage of a period becomes one quantity, exactly, as of any sequence.
//!
//! Nothing is rounded here but what [`Method`] says is: values are fractions of integers. A value that cannot be
//! had exactly, because a product or a sum would pass `i128`, is [`Metered::BEYOND`], and never a number that looks
//! right. Values are functions of the intervals alone, not of the order in which they arrived.

mod carry;
#[cfg(test)]
mod naive;
mod profile;
mod samples;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use slapledger_core::domain::quantity::ONE;
use slapledger_core::domain::time::Period;

use super::dimensions::{DimensionIndex, set_of};
use super::read::{AsOf, cut};
use super::{Amounts, Interval, Target};
use samples::Samples;

/// Microseconds in an hour.
const HOUR: i128 = 3_600_000_000;

/// How the usage of a period becomes one quantity.
///
/// An interval of usage *has time in the period* if it starts before the period's stop and stops after its start. Of
/// usage that was divided among several instances, each has its share as its interval: for each the time it was there,
/// all of the level, and its part of the counter. The *level* is the quantity as reported. Periods and samples are
/// half-open, and of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method<'a> {
    /// The sum of a counter. An interval that reaches over an edge of the period is cut there by time: until an instant
    /// the part of quantity that has accumulated is quantity x elapsed / length, rounded down to billionths, and the
    /// part between two instants is the difference.
    Sum,
    /// The number of usage events whose interval ends in the period: its last microsecond is in the period (start of
    /// the period < stop of the interval <= stop of the period). Each event counts once, in the period in which it
    /// ends; a divided event counts for each instance, where its share ends.
    Count,
    /// The lowest level of the intervals that have time in the period.
    Min,
    /// The highest level of the intervals that have time in the period.
    Max,
    /// The sum of level x time in the period, divided by the sum of the times in the period. Intervals that overlap
    /// each count.
    Average,
    /// The level of the interval that has time in the period and whose stop, cut to the stop of the period, is latest; of
    /// several the one whose start (not cut) is latest; of several the one of the event with the highest sequence.
    Latest,
    /// The number of different values of a dimension among events with time in the period. Events without the dimension
    /// add nothing to it, but are behind it all the same.
    UniqueCount {
        /// Which dimension.
        dimension: &'a str,
    },
    /// The sum of level x time in the period, in hours.
    TimeIntegral,
    /// The nearest-rank percentile of samples. The period is cut where the time since 1970-01-01T00:00:00Z is a multiple of
    /// `sample_minutes`; what an edge of the period leaves of a sample is a sample too. The value of a sample is the
    /// average, as above, over it, rounded half up to billionths. Samples without usage are none. Sorted by value,
    /// the result is that of sample number ceil(percent / 100 x number of samples), counted from 1.
    Percentile {
        /// From 1 to 100; what is outside is taken as the nearer of the two.
        percent: u8,
        /// How long a sample is; 0 is taken as 1.
        sample_minutes: u32,
    },
}

/// A key and its value.
pub type Dimension = (Box<str>, Box<str>);

/// The usage of a period as one quantity, for one group of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// The group: the dimensions it is grouped by, in the order asked for, with their values; empty text for events
    /// without the dimension.
    pub dimensions: Vec<Dimension>,
    /// The value in billionths is this divided by `denominator`: exactly, and not reduced.
    pub numerator: i128,
    /// Above zero.
    pub denominator: i128,
    /// How many events are behind it: for [`Method::Count`] those counted, otherwise those with time in the period.
    pub events: u64,
    /// Their sequences, ascending, each once. Empty if they were not asked for.
    pub sequences: Vec<u64>,
}

impl Metered {
    /// Numerator and denominator of what passes `i128` on the way: more than any quantity can express.
    pub const BEYOND: (i128, i128) = (i128::MAX, 1);

    /// Whether it could not be had exactly; the value means nothing then but "too much".
    pub fn is_beyond(&self) -> bool {
        (self.numerator, self.denominator) == Self::BEYOND
    }
}

impl AsOf<'_> {
    /// The usage of a period as one quantity for each group, in order of the groups' values, with the events behind
    /// it. Without usage there are no groups; without `group_by` there is one at most.
    pub fn meter(
        &self,
        target: &Target,
        resource: &str,
        period: Period,
        method: Method<'_>,
        group_by: &[Box<str>],
    ) -> Vec<Metered> {
        self.tallied((target, resource), period, method, group_by, true)
    }

    /// The same without the sequences.
    pub fn meter_totals(
        &self,
        target: &Target,
        resource: &str,
        period: Period,
        method: Method<'_>,
        group_by: &[Box<str>],
    ) -> Vec<Metered> {
        self.tallied((target, resource), period, method, group_by, false)
    }

    fn tallied(
        &self,
        key: (&Target, &str),
        period: Period,
        method: Method<'_>,
        group_by: &[Box<str>],
        named: bool,
    ) -> Vec<Metered> {
        let mut grouping = Grouping::by(group_by, &self.metering.dimensions);
        let mut groups: Vec<MeterGroup<'_>> = Vec::new();
        // Events whose level is carried are counted by their names.
        let named = named || self.carried.is_some();
        self.held(key, period, |held| {
            if !held.is_behind(method) {
                return;
            }
            let at = grouping.index(held.set);
            if at == groups.len() {
                groups.push(MeterGroup::new(method, period));
            }
            groups[at].add(&held, &self.metering.dimensions, named);
        });
        let mut groups: Vec<Option<MeterGroup<'_>>> = groups.into_iter().map(Some).collect();
        let in_order =
            grouping.by_values.iter().filter_map(|(values, at)| Some((values, groups[*at].take()?)));
        in_order.map(|(values, group)| group.metered(dimensions(group_by, values))).collect()
    }

    /// Gives all intervals that count as of the sequence and have time in the period; where levels carry over, also those
    /// between them.
    pub(super) fn held<'a>(
        &'a self,
        key: (&Target, &str),
        period: Period,
        mut see: impl FnMut(HeldInterval<'a>),
    ) {
        match self.carried {
            Some(carried) => self.held_or_carried(key, period, carried, see),
            None => self.each_held(key, period, &mut see),
        }
    }

    fn each_held<'a>(
        &'a self,
        (target, resource): (&Target, &str),
        period: Period,
        see: &mut impl FnMut(HeldInterval<'a>),
    ) {
        let Some(index) = self.metering.series_of(target, resource) else { return };
        let (series, rows) = (&self.metering.series[index as usize], self.metering.dimensions.rows(index));
        self.each_of(series, period, |interval| {
            if let Some((start, stop)) = interval.time_in(period) {
                let set = if interval.has_dimensions() { set_of(rows, interval.sequence()) } else { None };
                let amounts = series.amounts(interval);
                see(HeldInterval { interval, amounts, start, stop, set, carried: false });
            }
        });
    }
}

/// An interval that has time in a period.
#[derive(Clone, Copy)]
pub(super) struct HeldInterval<'a> {
    interval: &'a Interval,
    amounts: Amounts,
    /// Its time in the period.
    start: i64,
    stop: i64,
    /// Its dimensions, if it has any.
    set: Option<u32>,
    /// Whether the time is after it, while nothing else was reported.
    carried: bool,
}

impl HeldInterval<'_> {
    fn is_behind(&self, method: Method<'_>) -> bool {
        !matches!(method, Method::Count) || self.ends()
    }

    /// Whether its last microsecond is in the period.
    fn ends(&self) -> bool {
        self.stop == self.interval.stop && !self.carried
    }

    fn time(&self) -> i128 {
        i128::from(self.stop - self.start)
    }

    /// The level times its time in the period.
    fn integral(&self) -> Option<i128> {
        self.amounts.gauge.checked_mul(self.time())
    }
}

/// Which group an event belongs to.
struct Grouping<'a> {
    keys: &'a [Box<str>],
    dimensions: &'a DimensionIndex,
    by_set: FxHashMap<Option<u32>, usize>,
    by_values: BTreeMap<Vec<&'a str>, usize>,
}

impl<'a> Grouping<'a> {
    fn by(keys: &'a [Box<str>], dimensions: &'a DimensionIndex) -> Self {
        Self { keys, dimensions, by_set: FxHashMap::default(), by_values: BTreeMap::new() }
    }

    /// Groups are numbered as they come.
    fn index(&mut self, set: Option<u32>) -> usize {
        // Without keys all sets are in one group, and it is found without a look at them.
        let set = if self.keys.is_empty() { None } else { set };
        if let Some(at) = self.by_set.get(&set) {
            return *at;
        }
        let next = self.by_values.len();
        let at = *self.by_values.entry(values(self.keys, self.dimensions, set)).or_insert(next);
        self.by_set.insert(set, at);
        at
    }
}

/// The values of some dimensions in a set.
fn values<'a>(keys: &[Box<str>], dimensions: &'a DimensionIndex, set: Option<u32>) -> Vec<&'a str> {
    let value = |key| set.and_then(|set| dimensions.value(set, key)).unwrap_or_default();
    keys.iter().map(|key| value(key)).collect()
}

fn dimensions(keys: &[Box<str>], values: &[&str]) -> Vec<Dimension> {
    keys.iter().zip(values).map(|(key, value)| (key.clone(), (*value).into())).collect()
}

/// The usage of one group so far.
struct MeterGroup<'a> {
    period: Period,
    tally: MeterTally<'a>,
    events: u64,
    sequences: Vec<u64>,
    /// Whether some of its time is carried: an event may be behind it twice.
    carried: bool,
}

impl<'a> MeterGroup<'a> {
    fn new(method: Method<'a>, period: Period) -> Self {
        Self { period, tally: MeterTally::new(method), events: 0, sequences: Vec::new(), carried: false }
    }

    /// Adds an interval that has time in the period of the group, and is behind its value.
    fn add(&mut self, held: &HeldInterval<'a>, dimensions: &'a DimensionIndex, named: bool) {
        self.events += 1;
        self.carried |= held.carried;
        if named {
            self.sequences.push(held.interval.sequence());
        }
        self.tally.add(held, dimensions, self.period);
    }

    fn metered(mut self, dimensions: Vec<Dimension>) -> Metered {
        // Replaced ones come after those that count.
        self.sequences.sort_unstable();
        self.sequences.dedup();
        let events = if self.carried { self.sequences.len() as u64 } else { self.events };
        let (numerator, denominator) = self.tally.value().unwrap_or(Metered::BEYOND);
        Metered { dimensions, numerator, denominator, events, sequences: self.sequences }
    }
}

/// A sum that is none any more once it has passed `i128`.
#[derive(Debug, Clone, Copy)]
struct Sum(Option<i128>);

impl Sum {
    const ZERO: Self = Self(Some(0));

    fn add(&mut self, more: Option<i128>) {
        self.0 = self.0.zip(more).and_then(|(sum, more)| sum.checked_add(more));
    }
}

/// What a method keeps of the intervals it has seen.
enum MeterTally<'a> {
    Sum(Sum),
    Count(u64),
    Min(Option<i128>),
    Max(Option<i128>),
    Average { integral: Sum, time: Sum },
    Latest(Option<(IntervalOrder, i128)>),
    Unique { dimension: &'a str, sets: FxHashSet<u32>, values: FxHashSet<&'a str> },
    Integral(Sum),
    Percentile { percent: u8, samples: Samples },
}

/// What decides which interval is the latest: its stop as cut, its start, its sequence.
type IntervalOrder = (i64, i64, u64);

fn place(held: &HeldInterval<'_>) -> IntervalOrder {
    (held.stop, held.interval.start, held.interval.sequence())
}

impl<'a> MeterTally<'a> {
    fn new(method: Method<'a>) -> Self {
        match method {
            Method::Sum => Self::Sum(Sum::ZERO),
            Method::Count => Self::Count(0),
            Method::Min => Self::Min(None),
            Method::Max => Self::Max(None),
            Method::Average => Self::Average { integral: Sum::ZERO, time: Sum::ZERO },
            Method::Latest => Self::Latest(None),
            Method::UniqueCount { dimension } => {
                Self::Unique { dimension, sets: FxHashSet::default(), values: FxHashSet::default() }
            }
            Method::TimeIntegral => Self::Integral(Sum::ZERO),
            Method::Percentile { percent, sample_minutes } => {
                Self::Percentile { percent, samples: Samples::of_minutes(sample_minutes) }
            }
        }
    }

    fn add(&mut self, held: &HeldInterval<'a>, dimensions: &'a DimensionIndex, period: Period) {
        let level = held.amounts.gauge;
        match self {
            Self::Sum(sum) => {
                let whole = held.ends() && held.start == held.interval.start;
                let counter = held.amounts.counter;
                sum.add(Some(if whole { counter } else { cut(counter, held.interval, period) }));
            }
            Self::Count(count) => *count += 1,
            Self::Min(least) => *least = Some(least.map_or(level, |least| least.min(level))),
            Self::Max(most) => *most = Some(most.map_or(level, |most| most.max(level))),
            Self::Average { integral, time } => {
                integral.add(held.integral());
                time.add(Some(held.time()));
            }
            Self::Latest(latest) => {
                let place = place(held);
                if latest.is_none_or(|(before, _)| before < place) {
                    *latest = Some((place, level));
                }
            }
            Self::Unique { dimension, sets, values } => {
                if let Some(set) = held.set.filter(|set| sets.insert(*set)) {
                    values.extend(dimensions.value(set, dimension));
                }
            }
            Self::Integral(integral) => integral.add(held.integral()),
            Self::Percentile { samples, .. } => samples.add(level, held.start, held.stop),
        }
    }

    /// Numerator and denominator; none, if it passed `i128` on the way.
    fn value(self) -> Option<(i128, i128)> {
        let number = |count: u64| i128::from(count) * ONE;
        match self {
            Self::Sum(sum) => sum.0.map(|sum| (sum, 1)),
            Self::Count(count) => Some((number(count), 1)),
            Self::Min(level) | Self::Max(level) => Some((level.unwrap_or_default(), 1)),
            Self::Average { integral, time } => integral.0.zip(time.0.filter(|time| *time > 0)),
            Self::Latest(latest) => Some((latest.map_or(0, |(_, level)| level), 1)),
            Self::Unique { values, .. } => Some((number(values.len() as u64), 1)),
            Self::Integral(integral) => integral.0.map(|integral| (integral, HOUR)),
            Self::Percentile { percent, samples } => {
                samples.values().map(|values| (samples::nearest_rank(values, percent), 1))
            }
        }
    }
}
