//! Where usage begins whose sender left the start out.
//!
//! It begins at the latest known stop of its partition (or instance) and resource that is earlier than its own stop,
//! so that several reports with one stop cover one and the same period. Only the last period is kept: what stops
//! before that begins cannot be placed any more. A report that takes the place of one of that period begins where
//! that one began.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};

use super::{Sequence, Timestamp};
use crate::domain::time::Period;

/// Of how many events of a period it is known that they may be replaced without a start.
const MOST_EVENTS: usize = 1000;

/// The last period that was found for a partition (or instance) and resource.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct LastFound {
    period: Period,
    /// What is metered there since its start, its last ones.
    events: BTreeSet<Sequence>,
}

impl LastFound {
    pub(super) fn new(period: Period) -> Self {
        Self { period, events: BTreeSet::new() }
    }

    /// Where a report begins that stops then; `None` if that is not known any more.
    pub(super) fn start(&self, stop: Timestamp, replaces: Option<Sequence>) -> Option<Timestamp> {
        match replaces {
            Some(other) if self.events.contains(&other) => Some(self.period.start),
            _ if self.period.stop < stop => Some(self.period.stop),
            None => Some(self.period.start),
            // It may have ended where this period begins.
            Some(_) => None,
        }
    }

    /// Such a report is metered.
    pub(super) fn add(&mut self, period: Period, sequence: Sequence, replaces: Option<Sequence>) {
        let takes_place = replaces.is_some_and(|other| self.events.remove(&other));
        let alone = takes_place && self.events.is_empty();
        if alone || (period.start != self.period.start && period.stop > self.period.stop) {
            *self = Self::new(period);
        }
        if period.start == self.period.start {
            self.period.stop = period.stop.max(self.period.stop);
            self.events.insert(sequence);
            if self.events.len() > MOST_EVENTS {
                self.events.pop_first();
            }
        }
    }
}
