//! The dimensions of usage: sets of keys and values as small numbers, and which events have which.
//!
//! Usage without dimensions takes no room here. What has some takes a row only where the set is another than that of
//! the usage before it in its series: most nodes say the same of an instance for ever. Rows stay when usage is
//! replaced, so that readings as of an earlier sequence find them.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::small;
use crate::copy_on_write::CopyOnWrite;
use crate::view::{get, put};

/// Keys and values, as the sender's event has them.
type Pairs = [(Box<str>, Box<str>)];

/// From this event of a series on, usage with dimensions has these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DimensionRow {
    since: u64,
    set: u32,
}

/// All sets, by their number, and the rows of each series that has any.
#[derive(Debug, Clone, Default)]
pub(super) struct DimensionIndex {
    /// In the order of the events that brought them.
    sets: CopyOnWrite<Vec<Arc<Pairs>>>,
    ids: CopyOnWrite<FxHashMap<Arc<Pairs>, u32>>,
    rows: CopyOnWrite<FxHashMap<u32, CopyOnWrite<Vec<DimensionRow>>>>,
}

impl DimensionIndex {
    /// Notes what the newest event of a series says.
    pub(super) fn note(&mut self, series: u32, sequence: u64, pairs: &Pairs) {
        let set = self.intern(pairs);
        // Looked at first: a change copies what is shared.
        if self.rows(series).last().is_none_or(|last| last.set != set) {
            self.rows.entry(series).or_default().push(DimensionRow { since: sequence, set });
        }
    }

    fn intern(&mut self, pairs: &Pairs) -> u32 {
        if let Some(id) = self.ids.get(pairs) {
            return *id;
        }
        let (id, pairs) = (small(self.sets.len()), Arc::<Pairs>::from(pairs));
        self.sets.push(Arc::clone(&pairs));
        self.ids.insert(pairs, id);
        id
    }

    /// The rows of a series, for [`set_of`].
    pub(super) fn rows(&self, series: u32) -> &[DimensionRow] {
        self.rows.get(&series).map_or(&[], |rows| rows.as_slice())
    }

    /// The value of a dimension in a set.
    pub(super) fn value(&self, set: u32, key: &str) -> Option<&str> {
        let pairs = self.sets.get(set as usize)?;
        pairs.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value)
    }

    /// About how much memory the rows take, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.rows.values().map(|rows| rows.capacity() * size_of::<DimensionRow>()).sum()
    }

    pub(super) fn write_sets(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self.sets.len() as u64, out)?;
        self.sets.iter().try_for_each(|pairs| put(&**pairs, out))
    }

    /// Before any rows are read.
    pub(super) fn read_sets(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let count: u64 = get(from)?;
        for n in 0..count {
            let pairs: Vec<(Box<str>, Box<str>)> = get(from)?;
            if u64::from(self.intern(&pairs)) != n {
                return Err(super::bytes::damaged());
            }
        }
        Ok(())
    }

    pub(super) fn write_rows(&self, series: u32, out: &mut dyn Write) -> io::Result<()> {
        let rows = self.rows(series);
        put(rows.len() as u64, out)?;
        rows.iter().try_for_each(|row| put((row.since, row.set), out))
    }

    pub(super) fn read_rows(&mut self, series: u32, from: &mut dyn Read) -> io::Result<()> {
        let count: u64 = get(from)?;
        let mut rows: Vec<DimensionRow> = Vec::new();
        for _ in 0..count {
            let (since, set) = get(from)?;
            let follows = rows.last().is_none_or(|last| last.since < since && last.set != set);
            if !follows || set as usize >= self.sets.len() {
                return Err(super::bytes::damaged());
            }
            rows.push(DimensionRow { since, set });
        }
        if !rows.is_empty() {
            self.rows.insert(series, rows.into());
        }
        Ok(())
    }
}

/// The set of an event that has dimensions, by the rows of its series.
pub(super) fn set_of(rows: &[DimensionRow], sequence: u64) -> Option<u32> {
    let after = rows.partition_point(|row| row.since <= sequence);
    Some(rows.get(after.checked_sub(1)?)?.set)
}
