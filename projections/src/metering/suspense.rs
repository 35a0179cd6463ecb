//! Usage that is suspended, and when which of it is due: a report from the future is, when its time has come.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{Unmeterable, UsageSuspended};

use super::Metering;
use crate::copy_on_write::CopyOnWrite;
use crate::page::Page;
use crate::rows::RowDigests;
use crate::view::{get, put};

/// Usage that cannot be metered and waits for somebody to look at it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Suspense {
    /// Who reported it.
    pub computer: ComputerId,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What was reported, and why it cannot be metered.
    pub usage: UsageSuspended,
}

impl Suspense {
    /// When the writer may accept it, if it was reported before its time.
    fn due_at(&self) -> Option<Timestamp> {
        self.usage.stop.filter(|_| self.usage.reason == Unmeterable::Future)
    }
}

/// All that is suspended.
#[derive(Debug, Clone, Default)]
pub(super) struct SuspenseIndex {
    all: CopyOnWrite<BTreeMap<Sequence, Suspense>>,
    /// What becomes due, by when; it follows from `all`.
    due: CopyOnWrite<BTreeSet<(Timestamp, Sequence)>>,
}

impl SuspenseIndex {
    pub(super) fn insert(&mut self, sequence: Sequence, suspense: Suspense) {
        if let Some(at) = suspense.due_at() {
            self.due.insert((at, sequence));
        }
        self.all.insert(sequence, suspense);
    }

    pub(super) fn remove(&mut self, sequence: Sequence) {
        let due_at = self.all.remove(&sequence).and_then(|suspense| suspense.due_at());
        if let Some(at) = due_at {
            self.due.remove(&(at, sequence));
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(&*self.all, out)
    }

    pub(super) fn rows(&self, rows: &mut RowDigests) {
        rows.table("suspended", self.all.iter());
    }

    pub(super) fn read(from: &mut dyn Read) -> io::Result<Self> {
        let all: BTreeMap<Sequence, Suspense> = get(from)?;
        let due = all.iter().filter_map(|(sequence, suspense)| Some((suspense.due_at()?, *sequence)));
        Ok(Self { due: due.collect::<BTreeSet<_>>().into(), all: all.into() })
    }
}

impl Metering {
    /// What waits after a sequence, in order.
    pub fn suspense(
        &self,
        wanted: impl Fn(&Suspense) -> bool,
        after: Sequence,
        limit: usize,
    ) -> Page<(Sequence, &Suspense), Sequence> {
        let waiting = self.suspense.all.range((Bound::Excluded(after), Bound::Unbounded));
        let waiting = waiting.map(|(sequence, suspense)| (*sequence, suspense));
        let waiting = waiting.filter(|(_, suspense)| wanted(suspense));
        Page::take(waiting, limit, |(sequence, _)| *sequence)
    }

    /// All that wait, by sequence.
    pub fn waiting(&self) -> impl Iterator<Item = (Sequence, &Suspense)> {
        self.suspense.all.iter().map(|(sequence, suspense)| (*sequence, suspense))
    }

    /// One that waits.
    pub fn suspended(&self, sequence: Sequence) -> Option<&Suspense> {
        self.suspense.all.get(&sequence)
    }

    /// How many wait.
    pub fn suspense_len(&self) -> usize {
        self.suspense.all.len()
    }

    /// When the next report from the future is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.suspense.due.first().map(|(at, _)| *at)
    }

    /// The reports from the future that are due by now, in order: so many, those that were due first.
    pub fn due(&self, now: Timestamp, most: usize) -> Vec<Sequence> {
        let due = self.suspense.due.iter().take_while(|(at, _)| *at <= now);
        let mut due: Vec<Sequence> = due.map(|(_, sequence)| *sequence).take(most).collect();
        due.sort_unstable();
        due
    }
}
