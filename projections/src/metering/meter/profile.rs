//! Profiles: where in a period the value of a meter comes from, for explanations.

use std::collections::BTreeMap;

use slapledger_core::domain::quantity::ONE;
use slapledger_core::domain::time::{Period, TimeZone, Timestamp};

use super::samples::Samples;
use super::{Dimension, Grouping, HeldInterval, MeterGroup, Metered, Method, Target};
use crate::calendar::Step;
use crate::metering::AsOf;

impl AsOf<'_> {
    /// Where the value of a group comes from; `group` is [`Metered::dimensions`] of its meter. Parts without usage are
    /// left out. `None` if there would be more than `most` parts.
    ///
    /// - [`Method::Sum`], [`Method::Count`], [`Method::TimeIntegral`]: the value of each step of the period as cut in
    ///   the time zone; they add up to the value of the period.
    /// - [`Method::Average`]: level x time and time of each step, as numerator and denominator; the sum of the numerators
    ///   divided by that of the denominators is the value of the period.
    /// - [`Method::Min`], [`Method::Max`]: of the intervals with that level the one that is first by start, stop and
    ///   sequence. [`Method::Latest`]: the interval that decided. Both cut to the period.
    /// - [`Method::UniqueCount`]: for each value, in order, the interval it was in first, by start, stop and
    ///   sequence; each counts one, and its dimensions are the counted one and its value.
    /// - [`Method::Percentile`]: all samples, in order of time; they name no events.
    pub fn profile(
        &self,
        key: (&Target, &str),
        period: Period,
        (method, group): (Method<'_>, &[Dimension]),
        (step, zone): (Step, TimeZone),
        most: usize,
    ) -> Option<Vec<(Period, Metered)>> {
        match method {
            Method::Sum | Method::Count | Method::TimeIntegral | Method::Average => {
                let parts = step.cut(period, zone, most)?;
                Some(self.by_step(key, &parts, (method, group)))
            }
            Method::Min | Method::Max | Method::Latest => {
                Some(self.decisive(key, period, (method, group)).into_iter().collect())
            }
            Method::UniqueCount { dimension } => self.first_of_each(key, period, (dimension, group), most),
            Method::Percentile { sample_minutes, .. } => {
                self.samples(key, period, (sample_minutes, group), most)
            }
        }
    }

    fn by_step(
        &self,
        key: (&Target, &str),
        parts: &[Period],
        (method, group): (Method<'_>, &[Dimension]),
    ) -> Vec<(Period, Metered)> {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Vec::new() };
        let mut steps: Vec<Option<MeterGroup<'_>>> = parts.iter().map(|_| None).collect();
        let whole = Period { start: first.start, stop: last.stop };
        self.held_of(key, whole, group, |held| {
            let from = parts.partition_point(|part| part.stop.micros() <= held.start);
            for (part, step) in parts.iter().zip(&mut steps).skip(from) {
                let (start, stop) = (held.start.max(part.start.micros()), held.stop.min(part.stop.micros()));
                if start >= stop {
                    break;
                }
                let held = HeldInterval { start, stop, ..held };
                if held.is_behind(method) {
                    let group = step.get_or_insert_with(|| MeterGroup::new(method, *part));
                    group.add(&held, &self.metering.dimensions, true);
                }
            }
        });
        let used = parts.iter().zip(steps).filter_map(|(part, step)| Some((*part, step?)));
        used.map(|(part, step)| (part, step.metered(group.to_vec()))).collect()
    }

    fn decisive(
        &self,
        key: (&Target, &str),
        period: Period,
        (method, group): (Method<'_>, &[Dimension]),
    ) -> Option<(Period, Metered)> {
        let mut best: Option<HeldInterval<'_>> = None;
        self.held_of(key, period, group, |held| {
            let better = |best: HeldInterval<'_>| {
                let (level, other) = (held.amounts.gauge, best.amounts.gauge);
                match method {
                    Method::Min => (level, order(&held)) < (other, order(&best)),
                    Method::Max => (other, order(&held)) < (level, order(&best)),
                    _ => super::place(&held) > super::place(&best),
                }
            };
            if best.is_none_or(better) {
                best = Some(held);
            }
        });
        let best = best?;
        Some((time_of(&best)?, one(&best, group.to_vec(), best.amounts.gauge)))
    }

    fn first_of_each(
        &self,
        key: (&Target, &str),
        period: Period,
        (dimension, group): (&str, &[Dimension]),
        most: usize,
    ) -> Option<Vec<(Period, Metered)>> {
        let dimensions = &self.metering.dimensions;
        let mut first: BTreeMap<&str, HeldInterval<'_>> = BTreeMap::new();
        self.held_of(key, period, group, |held| {
            if let Some(value) = held.set.and_then(|set| dimensions.value(set, dimension)) {
                let known = first.entry(value).or_insert(held);
                if order(&held) < order(known) {
                    *known = held;
                }
            }
        });
        if first.len() > most {
            return None;
        }
        let each = first.into_iter().filter_map(|(value, held)| {
            Some((time_of(&held)?, one(&held, vec![(dimension.into(), value.into())], ONE)))
        });
        Some(each.collect())
    }

    fn samples(
        &self,
        key: (&Target, &str),
        period: Period,
        (minutes, group): (u32, &[Dimension]),
        most: usize,
    ) -> Option<Vec<(Period, Metered)>> {
        let mut samples = Samples::of_minutes(minutes);
        self.held_of(key, period, group, |held| samples.add(held.amounts.gauge, held.start, held.stop));
        let Some(runs) = samples.values() else {
            let (numerator, denominator) = Metered::BEYOND;
            let (dimensions, events, sequences) = (group.to_vec(), 0, Vec::new());
            return Some(vec![(period, Metered { dimensions, numerator, denominator, events, sequences })]);
        };
        let count: i128 = runs.iter().map(|run| i128::from(run.count)).sum();
        if usize::try_from(count).ok().is_none_or(|count| count > most) {
            return None;
        }
        let each = runs.iter().flat_map(|run| (run.first..run.first + run.count).map(|at| (at, run.value)));
        let each = each.filter_map(|(sample, numerator)| {
            let (dimensions, sequences) = (group.to_vec(), Vec::new());
            let metered = Metered { dimensions, numerator, denominator: 1, events: 0, sequences };
            Some((Samples::part_of(minutes, sample, period)?, metered))
        });
        Some(each.collect())
    }

    /// As `held`, of one group.
    fn held_of<'a>(
        &'a self,
        key: (&Target, &str),
        period: Period,
        group: &[Dimension],
        mut see: impl FnMut(HeldInterval<'a>),
    ) {
        let keys: Vec<Box<str>> = group.iter().map(|(key, _)| key.clone()).collect();
        let mut grouping = Grouping::by(&keys, &self.metering.dimensions);
        // The group asked for is number 0.
        grouping.by_values.insert(group.iter().map(|(_, value)| &**value).collect(), 0);
        self.held(key, period, |held| {
            if grouping.index(held.set) == 0 {
                see(held);
            }
        });
    }
}

fn order(held: &HeldInterval<'_>) -> (i64, i64, u64) {
    (held.interval.start, held.interval.stop, held.interval.sequence())
}

fn time_of(held: &HeldInterval<'_>) -> Option<Period> {
    Period::new(Timestamp::from_micros(held.start)?, Timestamp::from_micros(held.stop)?)
}

fn one(held: &HeldInterval<'_>, dimensions: Vec<Dimension>, numerator: i128) -> Metered {
    let sequences = vec![held.interval.sequence()];
    Metered { dimensions, numerator, denominator: 1, events: 1, sequences }
}
