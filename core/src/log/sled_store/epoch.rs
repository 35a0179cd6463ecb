//! One epoch: a sled database whose values are frames, keyed by their first sequence as big-endian u64.
//!
//! The frames lie in segments: trees of about [`SEGMENT_BYTES`], named like the key of their first frame. sled writes
//! a leaf again, with all its values, at every tenth change and when it splits; in one tree that writes each frame
//! three times and doubles the file.
//!
//! sled 0.34 takes a damaged or unreadable block for the end of its log and overwrites what follows while it opens. So
//! it only ever opens what nobody needs: a copy of a sealed epoch, or the database of an epoch whose frames are in its
//! tail. Nothing here is durable by itself.
//!
//! sled's errors and panics end here, as faults that name the epoch and its first sequence. Whether the frames are all
//! there is not known here: the callers compare with tail and manifest.

use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::Duration;

use parking_lot::RwLock;

use super::copy::SealedCopy;
use super::folder::{self, EpochPlace};
use crate::domain::id::Sequence;
use crate::log::frame::{Frame, FrameError};
use crate::log::store::StoreFault;

/// sled writes values longer than a quarter of this to files of their own that it never syncs; a leaf with several
/// frames counts as one value. With frames of 100 KB and this, it made none.
const SLED_SEGMENT_BYTES: usize = 16 * 1024 * 1024;

/// sled's page cache. A bound on what it likes to keep, not on what it uses.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// What a segment holds, more or less. Fewer would make the list of trees, which sled writes whole for each new one,
/// matter.
pub(super) const SEGMENT_BYTES: usize = 256 * 1024;

/// The tree that every sled database has. Empty here.
const DEFAULT_TREE: &[u8] = b"__sled__default";

/// An open database. Dropping it closes it.
#[derive(Debug)]
pub(super) struct EpochDb {
    place: EpochPlace,
    /// Taken only by `drop`.
    db: Option<sled::Db>,
    /// In the order of their first sequences.
    segments: RwLock<Vec<Segment>>,
    /// The copy that is open, if it is one; it goes when the database is closed.
    copy: Option<SealedCopy>,
}

#[derive(Debug, Clone)]
struct Segment {
    first: u64,
    tree: sled::Tree,
}

impl EpochDb {
    /// Opens the copy of a sealed epoch.
    pub(super) fn open_copy(
        copy: SealedCopy,
        place: EpochPlace,
        patience: Duration,
    ) -> Result<Self, StoreFault> {
        let mut opened = Self::open(copy.path(), place, patience)?;
        opened.copy = Some(copy);
        Ok(opened)
    }

    /// Opens a database, or makes one.
    pub(super) fn open(path: &Path, place: EpochPlace, patience: Duration) -> Result<Self, StoreFault> {
        let config = sled::Config::new()
            .path(path)
            .segment_size(SLED_SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None);
        // The lock outlives a killed process, and a database closed by this one, by a moment.
        let opened = folder::retry(patience, || match guarded("open", place, || config.open()) {
            Err(StoreFault::Engine { cause, .. }) if cause.contains("could not acquire lock") => None,
            opened => Some(opened),
        });
        let db = opened.unwrap_or_else(|| Err(StoreFault::InUse { path: path.to_owned() }))?;
        let segments = RwLock::new(guarded("open", place, || open_segments(&db))?);
        Ok(Self { place, db: Some(db), segments, copy: None })
    }

    pub(super) fn number(&self) -> u32 {
        self.place.number
    }

    /// The copy that this is, if it is one of a sealed epoch.
    pub(super) fn copy(&self) -> Option<&SealedCopy> {
        self.copy.as_ref()
    }

    /// Adds frames, as a segment.
    pub(super) fn add_segment(&self, frames: &[Frame]) -> Result<(), StoreFault> {
        let Some(first) = frames.first().map(|frame| frame.first().0) else { return Ok(()) };
        self.with("write to", |db| {
            let tree = db.open_tree(first.to_be_bytes())?;
            for frame in frames {
                tree.insert(frame.first().0.to_be_bytes(), frame.bytes())?;
            }
            let mut segments = self.segments.write();
            segments.retain(|segment| segment.first != first);
            segments.push(Segment { first, tree });
            Ok(())
        })
    }

    /// Hands everything to the system and closes the database.
    pub(super) fn close(mut self) -> Result<(), StoreFault> {
        self.with("write to", |db| db.flush().map(|_| ()))?;
        let db = self.db.take();
        let segments = std::mem::take(&mut *self.segments.write());
        guarded("close", self.place, || {
            drop(segments);
            drop(db);
            Ok(())
        })
    }

    /// The last sequence in it, as its last key has it.
    pub(super) fn last(&self) -> Result<Option<Sequence>, StoreFault> {
        let Some(tree) = self.segments.read().last().map(|segment| segment.tree.clone()) else {
            return Ok(None);
        };
        let Some((key, value)) = guarded("read", self.place, || tree.last())? else { return Ok(None) };
        Ok(Some(self.parse(&key, &value, self.place.first)?.last()))
    }

    /// The key of the frame that holds a sequence, if there is one; else the key that it would have at the latest.
    pub(super) fn key_holding(&self, sequence: Sequence) -> Result<u64, StoreFault> {
        let Some(segment) = self.segment(self.index_of(sequence.0)) else { return Ok(sequence.0) };
        let found = guarded("read", self.place, || segment.tree.get_lt(sequence.next().0.to_be_bytes()))?;
        Ok(found.and_then(|(key, _)| key_of(&key)).unwrap_or(sequence.0))
    }

    /// Visits the frames from `key` on until the visitor breaks. The first has to hold `expected`, each further one
    /// has to follow the one before.
    pub(super) fn scan(
        &self,
        key: u64,
        expected: Sequence,
        mut visit: impl FnMut(Frame) -> Result<ControlFlow<()>, StoreFault>,
    ) -> Result<(), StoreFault> {
        let epoch = self.place.number;
        let mut expected = expected;
        let mut follows = false;
        let mut index = self.index_of(key);
        while let Some(Segment { tree, .. }) = self.segment(index) {
            index += 1;
            let mut entries = guarded("read", self.place, || Ok(tree.range(key.to_be_bytes()..)))?;
            while let Some((key, value)) = guarded("read", self.place, || entries.next().transpose())? {
                let frame = self.parse(&key, &value, expected)?;
                let fits = if follows { frame.first() == expected } else { frame.first() <= expected };
                if !fits || frame.last() < expected {
                    return Err(StoreFault::Gap { epoch, expected, found: Some(frame.first()) });
                }
                expected = frame.last().next();
                follows = true;
                if visit(frame)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Where in the list the segment for a key is.
    fn index_of(&self, key: u64) -> usize {
        self.segments.read().partition_point(|segment| segment.first <= key).saturating_sub(1)
    }

    fn segment(&self, index: usize) -> Option<Segment> {
        self.segments.read().get(index).cloned()
    }

    fn parse(&self, key: &[u8], value: &[u8], expected: Sequence) -> Result<Frame, StoreFault> {
        let sequence = key_of(key).map_or(expected, Sequence);
        let frame =
            Frame::parse(value.to_vec()).map_err(|source| damaged(self.place.number, sequence, source))?;
        if frame.first().0.to_be_bytes() == key {
            Ok(frame)
        } else {
            let other = FrameError::Inconsistent("its first sequence is not that of its key");
            Err(damaged(self.place.number, sequence, other))
        }
    }

    fn with<T>(
        &self,
        action: &'static str,
        run: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, StoreFault> {
        let db = self.db.as_ref().expect("taken only by drop");
        guarded(action, self.place, || run(db))
    }
}

impl Drop for EpochDb {
    fn drop(&mut self) {
        let (db, segments) = (self.db.take(), std::mem::take(&mut *self.segments.write()));
        let closed = guarded("close", self.place, || {
            drop(segments);
            drop(db);
            Ok(())
        });
        if let Err(fault) = closed {
            // What was open is a copy, or is made again from the tail.
            tracing::warn!(%fault, "a database did not close well");
        }
    }
}

/// The fault for a frame that cannot be taken.
pub(super) fn damaged(epoch: u32, sequence: Sequence, source: FrameError) -> StoreFault {
    match source {
        FrameError::NewerVersion { version } => StoreFault::NewerVersion { epoch, sequence, version },
        source => StoreFault::DamagedFrame { epoch, sequence, source },
    }
}

fn open_segments(db: &sled::Db) -> sled::Result<Vec<Segment>> {
    let mut list = Vec::new();
    for name in db.tree_names().into_iter().filter(|name| name != DEFAULT_TREE) {
        let first =
            key_of(&name).ok_or_else(|| sled::Error::Unsupported(format!("a tree named {name:?}")))?;
        list.push(Segment { first, tree: db.open_tree(&name)? });
    }
    list.sort_by_key(|segment| segment.first);
    Ok(list)
}

fn key_of(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// Runs sled, and turns what it throws into a fault. After a panic nobody uses what it may have left half-done: an
/// append stops the store, a read gives up.
fn guarded<T>(
    action: &'static str,
    EpochPlace { number, first }: EpochPlace,
    run: impl FnOnce() -> sled::Result<T>,
) -> Result<T, StoreFault> {
    let cause = match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => return Ok(value),
        // Its text ends in a place that is none and an empty backtrace.
        Ok(Err(sled::Error::Corruption { .. })) => "its database is damaged".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(payload) => {
            let message = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("without a message");
            format!("sled panicked: {message}")
        }
    };
    Err(StoreFault::Engine { action, epoch: number, first, cause })
}
