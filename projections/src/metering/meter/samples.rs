//! Samples: time cut into equal parts, each with the average of the levels in it.
//!
//! An interval fills most of its samples in the same way, so only the edges of intervals are kept. Work and memory
//! follow the number of intervals, not the number of samples: a month-long interval is as cheap as a short one.

use slapledger_core::domain::time::{Period, Timestamp};

const MINUTE: i64 = 60_000_000;

/// Intervals, cut into samples aligned to the first instant of 1970.
pub(super) struct Samples {
    /// In microseconds.
    length: i64,
    edges: Vec<Edge>,
    /// Something passed `i128`.
    beyond: bool,
}

/// What begins, ends or is in part in one sample.
#[derive(Clone, Copy)]
struct Edge {
    /// The number of the sample.
    sample: i64,
    /// Level times time, and time, of what is in the sample in part.
    held: i128,
    time: i128,
    /// Levels, and how many, that fill all samples from this one on.
    levels: i128,
    count: i64,
}

/// Samples that follow each other and have the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampleRun {
    /// The number of the first.
    pub(super) first: i64,
    /// How many.
    pub(super) count: i64,
    /// In billionths.
    pub(super) value: i128,
}

impl Samples {
    pub(super) fn of_minutes(minutes: u32) -> Self {
        Self { length: i64::from(minutes.max(1)) * MINUTE, edges: Vec::new(), beyond: false }
    }

    /// Adds an interval, already cut to the period.
    pub(super) fn add(&mut self, level: i128, start: i64, stop: i64) {
        let (first, last) = (start.div_euclid(self.length), (stop - 1).div_euclid(self.length));
        // The first and the last sample may be filled in part, or be cut by an edge of the period.
        if first == last {
            self.part(first, level, stop - start);
            return;
        }
        self.part(first, level, (first + 1) * self.length - start);
        self.part(last, level, stop - last * self.length);
        if first + 1 < last {
            let edge = Edge { sample: first + 1, held: 0, time: 0, levels: level, count: 1 };
            self.edges.push(edge);
            self.edges.push(Edge { sample: last, levels: -level, count: -1, ..edge });
        }
    }

    fn part(&mut self, sample: i64, level: i128, time: i64) {
        let time = i128::from(time);
        match level.checked_mul(time) {
            Some(held) => self.edges.push(Edge { sample, held, time, levels: 0, count: 0 }),
            None => self.beyond = true,
        }
    }

    /// The samples that have any usage, in order of time; none, if something passed `i128`.
    pub(super) fn values(mut self) -> Option<Vec<SampleRun>> {
        if self.beyond {
            return None;
        }
        self.edges.sort_unstable_by_key(|edge| edge.sample);
        let mut runs = Vec::new();
        let (mut levels, mut count) = (0_i128, 0_i64);
        let mut next = 0;
        for edges in self.edges.chunk_by(|one, other| one.sample == other.sample) {
            let sample = edges[0].sample;
            if count > 0 && next < sample {
                let value = half_up(levels, i128::from(count));
                runs.push(SampleRun { first: next, count: sample - next, value });
            }
            let (mut held, mut time) = (0_i128, 0_i128);
            for edge in edges {
                levels = levels.checked_add(edge.levels)?;
                count += edge.count;
                held = held.checked_add(edge.held)?;
                time += edge.time;
            }
            next = sample;
            if time > 0 {
                let length = i128::from(self.length);
                let held = levels.checked_mul(length).and_then(|full| full.checked_add(held))?;
                let value = half_up(held, time + length * i128::from(count));
                runs.push(SampleRun { first: sample, count: 1, value });
                next += 1;
            }
        }
        Some(runs)
    }

    /// The part of a period that is in a sample.
    pub(super) fn part_of(length_minutes: u32, sample: i64, period: Period) -> Option<Period> {
        let length = i64::from(length_minutes.max(1)) * MINUTE;
        let start = Timestamp::MIN.micros().max(sample.saturating_mul(length));
        let stop = Timestamp::MAX.micros().min(sample.saturating_add(1).saturating_mul(length));
        Period::new(Timestamp::from_micros(start)?, Timestamp::from_micros(stop)?)?.intersection(period)
    }
}

/// The value of sample number ceil(percent / 100 x number of samples), counted from 1 in order of value.
pub(super) fn nearest_rank(mut runs: Vec<SampleRun>, percent: u8) -> i128 {
    runs.sort_unstable_by_key(|run| run.value);
    let all: i128 = runs.iter().map(|run| i128::from(run.count)).sum();
    let mut left = (all * i128::from(percent.clamp(1, 100)) + 99) / 100;
    for run in &runs {
        left -= i128::from(run.count);
        if left <= 0 {
            return run.value;
        }
    }
    0
}

/// A fraction with a denominator above zero as the nearest integer; of two the greater.
fn half_up(numerator: i128, denominator: i128) -> i128 {
    let (whole, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    if rest >= denominator - rest { whole + 1 } else { whole }
}
