//! The intervals of one target and resource.
//!
//! An interval is 32 bytes. Amounts beyond 64 bits, and those of divided usage (where the counter's part is not the
//! gauge's level), are kept beside them. Blocks know the time they span, so that a reading skips those it does not
//! need.

use slapledger_core::domain::time::{Period, Timestamp};

use super::Owner;
use crate::copy_on_write::CopyOnWrite;

/// How many intervals a block holds.
pub(super) const BLOCK: usize = 256;

/// The amounts are beside the intervals, at the index that stands for them.
const WIDE: u64 = 1 << 63;
/// The event was divided among several series.
const DIVIDED: u64 = 1 << 62;
/// The event has dimensions; they are in [`Dimensions`](super::dimensions::Dimensions).
const DIMENSIONS: u64 = 1 << 61;
const SEQUENCE: u64 = DIMENSIONS - 1;
/// The three flags are above the sequence.
const FLAGS_SHIFT: u32 = 61;
const MOST_FLAGS: u8 = 7;

/// What was used, in billionths, either way it may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amounts {
    /// As a counter: how much in all of the interval.
    pub(super) counter: i128,
    /// As a gauge: the level during it.
    pub(super) gauge: i128,
}

/// What is said of an event beside its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) sequence: u64,
    /// Its usage was divided among several series.
    pub(super) divided: bool,
    /// It has dimensions.
    pub(super) dimensions: bool,
}

impl Tag {
    fn bits(self) -> u64 {
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        (self.sequence & SEQUENCE) | flag(self.divided, DIVIDED) | flag(self.dimensions, DIMENSIONS)
    }
}

/// A reported interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    /// Three flags, and the sequence of the event.
    pub(super) tag: u64,
    pub(super) start: i64,
    pub(super) stop: i64,
    /// Billionths, or an index of amounts beside.
    pub(super) amount: i64,
}

impl Interval {
    pub(super) fn sequence(&self) -> u64 {
        self.tag & SEQUENCE
    }

    /// The three flags, as a number up to 7.
    pub(super) fn flags(&self) -> u8 {
        u8::try_from(self.tag >> FLAGS_SHIFT).unwrap_or(MOST_FLAGS)
    }

    /// The interval with this sequence, these flags, start and stop, and amount; `None` if these are no flags or there is
    /// no such sequence.
    pub(super) fn of_parts(sequence: u64, flags: u8, (start, stop): (i64, i64), amount: i64) -> Option<Self> {
        let fits = flags <= MOST_FLAGS && sequence <= SEQUENCE;
        fits.then(|| Self { tag: sequence | (u64::from(flags) << FLAGS_SHIFT), start, stop, amount })
    }

    pub(super) fn is_wide(&self) -> bool {
        self.tag & WIDE != 0
    }

    pub(super) fn is_divided(&self) -> bool {
        self.tag & DIVIDED != 0
    }

    pub(super) fn has_dimensions(&self) -> bool {
        self.tag & DIMENSIONS != 0
    }

    /// When it has time in a period, in microseconds; if it has any.
    pub(super) fn time_in(&self, period: Period) -> Option<(i64, i64)> {
        let (start, stop) = (self.start.max(period.start.micros()), self.stop.min(period.stop.micros()));
        (start < stop).then_some((start, stop))
    }

    pub(super) fn period(&self) -> Option<Period> {
        Period::new(Timestamp::from_micros(self.start)?, Timestamp::from_micros(self.stop)?)
    }
}

/// An interval that counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplacedInterval {
    pub(super) interval: Interval,
    /// The event that took its place.
    pub(super) by: u64,
}

#[derive(Debug)]
pub(super) struct IntervalBlock {
    /// No interval of it starts before.
    pub(super) earliest: i64,
    /// No interval of it stops after.
    pub(super) latest: i64,
    pub(super) intervals: Vec<Interval>,
}

impl Clone for IntervalBlock {
    /// With room for as many as the original: a block that is shared and then goes on is allocated once more, not twice.
    fn clone(&self) -> Self {
        let mut intervals = Vec::with_capacity(self.intervals.capacity());
        intervals.extend_from_slice(&self.intervals);
        let Self { earliest, latest, .. } = *self;
        Self { earliest, latest, intervals }
    }
}

/// All intervals of one target and resource.
#[derive(Debug, Clone)]
pub(super) struct IntervalSeries {
    pub(super) owner: Owner,
    pub(super) resource: u32,
    /// Those that count, by sequence.
    pub(super) blocks: Vec<CopyOnWrite<IntervalBlock>>,
    /// Those that do not any more, by the event that replaced them.
    pub(super) replaced: Vec<ReplacedInterval>,
    wide: Vec<Amounts>,
}

impl IntervalSeries {
    pub(super) fn new(owner: Owner, resource: u32) -> Self {
        Self { owner, resource, blocks: Vec::new(), replaced: Vec::new(), wide: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.intervals.len()).sum()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let intervals: usize = self.blocks.iter().map(|block| block.intervals.capacity()).sum();
        intervals * size_of::<Interval>()
            + self.blocks.capacity() * size_of::<CopyOnWrite<IntervalBlock>>()
            + self.blocks.len() * size_of::<IntervalBlock>()
            + self.replaced.capacity() * size_of::<ReplacedInterval>()
            + self.wide.capacity() * size_of::<Amounts>()
    }

    pub(super) fn amounts(&self, interval: &Interval) -> Amounts {
        if interval.is_wide() {
            let beside = usize::try_from(interval.amount).ok().and_then(|index| self.wide.get(index));
            beside.copied().unwrap_or(Amounts { counter: 0, gauge: 0 })
        } else {
            Amounts { counter: interval.amount.into(), gauge: interval.amount.into() }
        }
    }

    /// Adds an interval of the newest event; amounts that do not fit into it are kept beside.
    pub(super) fn push(&mut self, tag: Tag, period: Period, amounts: Amounts) {
        let (start, stop) = (period.start.micros(), period.stop.micros());
        let tag = tag.bits();
        let interval = match i64::try_from(amounts.counter) {
            Ok(amount) if amounts.counter == amounts.gauge => Interval { tag, start, stop, amount },
            _ => Interval { tag: tag | WIDE, start, stop, amount: self.keep_beside(amounts) },
        };
        self.append(interval);
    }

    /// Keeps amounts beside the intervals and gives their index.
    pub(super) fn keep_beside(&mut self, amounts: Amounts) -> i64 {
        let index = i64::try_from(self.wide.len()).unwrap_or(i64::MAX);
        self.wide.push(amounts);
        index
    }

    pub(super) fn append(&mut self, interval: Interval) {
        let Interval { start, stop, .. } = interval;
        match self.blocks.last_mut() {
            Some(block) if block.intervals.len() < BLOCK => {
                let block: &mut IntervalBlock = block;
                block.earliest = block.earliest.min(start);
                block.latest = block.latest.max(stop);
                block.intervals.push(interval);
            }
            full => {
                // A series with few intervals takes little; one with many allocates once for each block.
                let mut intervals = Vec::with_capacity(if full.is_some() { BLOCK } else { 4 });
                intervals.push(interval);
                // Most series of a month are one block: room for one, and then as usual.
                if self.blocks.is_empty() {
                    self.blocks.reserve_exact(1);
                }
                self.blocks.push(IntervalBlock { earliest: start, latest: stop, intervals }.into());
            }
        }
    }

    /// Sets aside what an event metered here; whether there was anything.
    pub(super) fn retire(&mut self, sequence: u64, by: u64) -> bool {
        let mut any = false;
        while let Some((block, at)) = self.find(sequence) {
            let interval = self.blocks[block].intervals.remove(at);
            self.replaced.push(ReplacedInterval { interval, by });
            if self.blocks[block].intervals.is_empty() {
                self.blocks.remove(block);
            }
            any = true;
        }
        any
    }

    /// What of an event counts here: nothing, or one interval or more, next to each other.
    pub(super) fn of_event(&self, sequence: u64) -> &[Interval] {
        let Some((block, at)) = self.find(sequence) else { return &[] };
        let intervals = &self.blocks[block].intervals[at..];
        let after = intervals.partition_point(|interval| interval.sequence() <= sequence);
        &intervals[..after]
    }

    fn find(&self, sequence: u64) -> Option<(usize, usize)> {
        let before = |block: &CopyOnWrite<IntervalBlock>| {
            block.intervals.last().is_some_and(|last| last.sequence() < sequence)
        };
        let block = self.blocks.partition_point(before);
        let intervals = &self.blocks.get(block)?.intervals;
        let at = intervals.partition_point(|interval| interval.sequence() < sequence);
        intervals.get(at).filter(|found| found.sequence() == sequence).map(|_| (block, at))
    }
}
