//! Readings: what was used in a period, as of any sequence.

use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, TimeZone, Timestamp};

use super::{Amounts, Interval, IntervalSeries, Metering, Method, Target};
use crate::calendar::Step;
use crate::stop;

/// What was used in a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// How many intervals have time in the period.
    pub count: u64,
    /// Read as a counter, in billionths: intervals that reach over an edge of the period are cut there, by time. What
    /// is read of adjoining periods adds up to what is read of both together.
    pub sum_billionths: i128,
    /// Read as a gauge, in billionths times microseconds: each interval's level times its time in the period; those
    /// that overlap each count. Exact, unless it would pass `i128::MAX`, where it stays: that is more than 5 years of
    /// the largest level there is, and more than any quantity can express.
    pub integral: i128,
    /// The events behind it, ascending, each once. Empty if they were not asked for.
    pub sequences: Vec<u64>,
}

/// What was used in one step of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepReading {
    /// The step.
    pub period: Period,
    /// As in [`Reading`].
    pub count: u64,
    /// As in [`Reading`].
    pub sum_billionths: i128,
    /// As in [`Reading`].
    pub integral: i128,
}

/// An interval of usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeteredInterval {
    /// The event that meters it.
    pub sequence: Sequence,
    /// When: the time of the target in it, if the usage was divided.
    pub period: Period,
    /// How much of it is the target's, read as a counter.
    pub counter: Quantity,
    /// The level during it, read as a gauge.
    pub gauge: Quantity,
}

impl MeteredInterval {
    /// Whether it adds to what a method makes of a period, beside having time in it.
    pub fn counts_in(&self, period: Period, method: Method<'_>) -> bool {
        !matches!(method, Method::Count) || self.period.stop <= period.stop
    }
}

/// Metering as it was when an event had just been recorded.
#[derive(Debug, Clone, Copy)]
pub struct AsOf<'a> {
    pub(super) metering: &'a Metering,
    sequence: u64,
    pub(super) carried: Option<CarriedLevels<'a>>,
}

/// How levels hold over the time in which nothing is reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct CarriedLevels<'a> {
    /// The first instant after the last at which any level holds.
    pub(super) until: Timestamp,
    /// The dimensions by which levels are told apart.
    pub(super) group_by: &'a [Box<str>],
}

impl Metering {
    /// All readings as they were when `sequence` was the last event. Later ones, and what they replaced, do not count.
    pub fn as_of(&self, sequence: Sequence) -> AsOf<'_> {
        AsOf { metering: self, sequence: sequence.0, carried: None }
    }

    /// What was used in a period, and the events behind it.
    pub fn read(&self, target: &Target, resource: &str, period: Period) -> Reading {
        self.now().read(target, resource, period)
    }

    /// The same without the events.
    pub fn totals(&self, target: &Target, resource: &str, period: Period) -> Reading {
        self.now().totals(target, resource, period)
    }

    /// See [`AsOf::steps`].
    pub fn steps(
        &self,
        (target, resource): (&Target, &str),
        period: Period,
        (step, zone): (Step, TimeZone),
        most: usize,
    ) -> Option<Vec<StepReading>> {
        self.now().steps((target, resource), period, (step, zone), most)
    }

    /// See [`AsOf::intervals`].
    pub fn intervals(&self, target: &Target, resource: &str, period: Period) -> Vec<MeteredInterval> {
        self.now().intervals(target, resource, period)
    }

    fn now(&self) -> AsOf<'_> {
        self.as_of(Sequence(u64::MAX))
    }
}

impl<'a> AsOf<'a> {
    /// The same where levels carry over: while nothing is reported of a group, the level of the interval that stopped last
    /// holds; of several that with the latest start, then the latest event. It holds until the next interval starts, but not
    /// after an instant. For meters, profiles and [`intervals`](Self::intervals) of gauges.
    #[must_use]
    pub fn carried_until<'c>(self, until: Timestamp, group_by: &'c [Box<str>]) -> AsOf<'c>
    where
        'a: 'c,
    {
        AsOf {
            metering: self.metering,
            sequence: self.sequence,
            carried: Some(CarriedLevels { until, group_by }),
        }
    }
}

impl AsOf<'_> {
    /// What was used in a period, and the events behind it.
    pub fn read(&self, target: &Target, resource: &str, period: Period) -> Reading {
        let mut reading = Reading::default();
        self.each(target, resource, period, |series, interval| {
            if add(&mut reading, series.amounts(interval), interval, period) {
                reading.sequences.push(interval.sequence());
            }
        });
        // Replaced ones come after those that count, and a divided event may be here more than once.
        reading.sequences.sort_unstable();
        reading.sequences.dedup();
        reading
    }

    /// The same without the events.
    pub fn totals(&self, target: &Target, resource: &str, period: Period) -> Reading {
        let mut reading = Reading::default();
        self.each(target, resource, period, |series, interval| {
            add(&mut reading, series.amounts(interval), interval, period);
        });
        reading
    }

    /// What was used in each step of a period, as cut in a time zone; steps without usage too. `None` if there would
    /// be more than `most`.
    pub fn steps(
        &self,
        (target, resource): (&Target, &str),
        period: Period,
        (step, zone): (Step, TimeZone),
        most: usize,
    ) -> Option<Vec<StepReading>> {
        let parts = step.cut(period, zone, most)?;
        let mut readings = vec![Reading::default(); parts.len()];
        self.each(target, resource, period, |series, interval| {
            let amounts = series.amounts(interval);
            let first = parts.partition_point(|part| part.stop.micros() <= interval.start);
            for (part, reading) in parts.iter().zip(&mut readings).skip(first) {
                if !add(reading, amounts, interval, *part) {
                    break;
                }
            }
        });
        let steps = parts.into_iter().zip(readings).map(|(period, reading)| {
            let Reading { count, sum_billionths, integral, .. } = reading;
            StepReading { period, count, sum_billionths, integral }
        });
        Some(steps.collect())
    }

    /// The intervals that have time in a period, by the events that meter them; where levels carry over, also the times in
    /// which they hold.
    pub fn intervals(&self, target: &Target, resource: &str, period: Period) -> Vec<MeteredInterval> {
        let mut found = Vec::new();
        self.each(target, resource, period, |series, interval| {
            let amounts = series.amounts(interval);
            let quantity = |billionths| Quantity::from_billionths(billionths).unwrap_or_default();
            if let Some(whole) = interval.period().filter(|whole| whole.intersection(period).is_some()) {
                found.push(MeteredInterval {
                    sequence: Sequence(interval.sequence()),
                    period: whole,
                    counter: quantity(amounts.counter),
                    gauge: quantity(amounts.gauge),
                });
            }
        });
        if self.carried.is_some() {
            self.held((target, resource), period, |held| found.extend(held.as_carried()));
        }
        found.sort_unstable_by_key(|interval| (interval.sequence, interval.period));
        found
    }

    /// Gives all intervals that count as of the sequence and may have time in the period.
    fn each<'a>(
        &'a self,
        target: &Target,
        resource: &str,
        period: Period,
        mut see: impl FnMut(&'a IntervalSeries, &'a Interval),
    ) {
        if let Some(index) = self.metering.series_of(target, resource) {
            let series = &self.metering.series[index as usize];
            self.each_of(series, period, |interval| see(series, interval));
        }
    }

    /// The same for a series.
    pub(super) fn each_of<'a>(
        &'a self,
        series: &'a IntervalSeries,
        period: Period,
        mut see: impl FnMut(&'a Interval),
    ) {
        let (start, stop) = (period.start.micros(), period.stop.micros());
        for block in &series.blocks {
            stop::check();
            if block.intervals.first().is_some_and(|first| first.sequence() > self.sequence) {
                break;
            }
            if block.earliest >= stop || block.latest <= start {
                continue;
            }
            let known = block.intervals.iter().take_while(|interval| interval.sequence() <= self.sequence);
            known.for_each(&mut see);
        }
        // By the event that replaced them: those that counted then are at the end.
        let from = series.replaced.partition_point(|replaced| replaced.by <= self.sequence);
        for replaced in &series.replaced[from..] {
            if replaced.interval.sequence() <= self.sequence {
                see(&replaced.interval);
            }
        }
    }
}

/// Adds what an interval has in a period; whether it has any time there.
fn add(reading: &mut Reading, amounts: Amounts, interval: &Interval, period: Period) -> bool {
    let Some((start, stop)) = interval.time_in(period) else { return false };
    let whole = start == interval.start && stop == interval.stop;
    let counter = if whole { amounts.counter } else { cut(amounts.counter, interval, period) };
    reading.count += 1;
    reading.sum_billionths = reading.sum_billionths.saturating_add(counter);
    let held = amounts.gauge.saturating_mul(i128::from(stop - start));
    reading.integral = reading.integral.saturating_add(held);
    true
}

/// The part of a counter that falls into a period.
pub(super) fn cut(billionths: i128, interval: &Interval, period: Period) -> i128 {
    let part = interval.period().and_then(|whole| whole.intersection(period).map(|part| (whole, part)));
    match (Quantity::from_billionths(billionths), part) {
        (Some(quantity), Some((whole, part))) => {
            quantity.split(whole, &[part]).first().map_or(0, |part| part.billionths())
        }
        _ => 0,
    }
}
