//! One epoch: a sled database whose values are frames, keyed by their first sequence as big-endian u64.
//!
//! The frames lie in chapters: trees of about [`CHAPTER_BYTES`], named like the key of their first frame. sled writes
//! a leaf again, with all its values, at every tenth change and when it splits; in one tree that writes each frame
//! three times and doubles the file. A chapter of large frames is over before that.
//!
//! Invariants: a chapter is empty only if it is the last; an append is one atomic batch, then `flush`, then
//! `fdatasync` of sled's file, because sled's flush is `sync_file_range` on Linux and does not survive a power cut;
//! never `flush_async`, which deadlocks; a folder with the name of an epoch is a complete database, because it is
//! made under another name.
//!
//! sled's errors and panics end here, as faults that name the epoch and its first sequence. Whether its frames are all there is not known
//! here: sled forgets the end of a damaged log, so the callers compare with head and manifest.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::Duration;

use parking_lot::RwLock;

use super::folder;
use crate::domain::id::Sequence;
use crate::log::frame::{Frame, FrameError};
use crate::log::store::StoreFault;

/// sled writes values longer than a quarter of this to files of their own that it never syncs; a leaf with several
/// frames counts as one value. With frames of 100 KB and this, it made none.
const SEGMENT_BYTES: usize = 16 * 1024 * 1024;

/// sled's page cache. A bound on what it likes to keep, not on what it uses.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// A chapter is full when its frames take this many bytes. Fewer would make the list of trees, which sled writes whole
/// for each new one, matter.
const CHAPTER_BYTES: usize = 256 * 1024;

/// The tree that every sled database has. Empty here.
const DEFAULT_TREE: &[u8] = b"__sled__default";

/// Which epoch, and the sequence it begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: u32,
    pub(super) first: Sequence,
}

/// An open database. Dropping it closes it.
#[derive(Debug)]
pub(super) struct EpochDb {
    place: Place,
    /// Taken only by `drop`.
    db: Option<sled::Db>,
    chapters: RwLock<Chapters>,
    /// sled's own file, a second time: for `fdatasync`.
    file: File,
}

#[derive(Debug, Default)]
struct Chapters {
    /// In the order of their first sequences.
    list: Vec<Chapter>,
    /// What is left in the last one. Nothing when the database was just opened, whatever is in it: that costs a small
    /// tree and saves counting.
    room: usize,
}

#[derive(Debug, Clone)]
struct Chapter {
    first: u64,
    tree: sled::Tree,
}

impl EpochDb {
    /// Makes a new, durable, empty database and opens it.
    pub(super) fn create(dir: &Path, place: Place, patience: Duration) -> Result<Self, StoreFault> {
        let path = folder::epoch_path(dir, place.number);
        let new = folder::unfinished(&path);
        folder::remove(&new)?;
        drop(Self::open_at(&new, place, patience)?);
        sync_all(&new)?;
        folder::rename(&new, &path)?;
        Self::open_at(&path, place, patience)
    }

    /// Opens a database that is there.
    pub(super) fn open(dir: &Path, place: Place, patience: Duration) -> Result<Self, StoreFault> {
        Self::open_at(&folder::epoch_path(dir, place.number), place, patience)
    }

    fn open_at(path: &Path, place: Place, patience: Duration) -> Result<Self, StoreFault> {
        let config = sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None);
        // The lock outlives a killed process, and a database closed by this one, by a moment.
        let opened = folder::retry(patience, || match guarded("open", place, || config.open()) {
            Err(StoreFault::Engine { cause, .. }) if cause.contains("could not acquire lock") => None,
            opened => Some(opened),
        });
        let db = opened.unwrap_or_else(|| Err(StoreFault::InUse { path: path.to_owned() }))?;
        let list = guarded("open", place, || open_chapters(&db))?;
        let file = path.join("db");
        let file = File::open(&file).map_err(folder::io_fault("open", &file))?;
        Ok(Self { place, db: Some(db), chapters: RwLock::new(Chapters { list, room: 0 }), file })
    }

    pub(super) fn number(&self) -> u32 {
        self.place.number
    }

    /// Makes what sled's file holds durable: what a killed process wrote may be in the memory of the system alone.
    pub(super) fn sync(&self) -> Result<(), StoreFault> {
        self.with("sync", |_| Ok(self.file.sync_data()?))
    }

    /// Makes frames durable, all or none.
    pub(super) fn append(&self, frames: &[Frame]) -> Result<(), StoreFault> {
        let bytes = frames.iter().map(|frame| frame.bytes().len()).sum();
        let Some(first) = frames.first().map(Frame::first) else { return Ok(()) };
        self.with("write to", |db| {
            let chapter = self.chapter_for(db, first, bytes)?;
            let key = |frame: &Frame| frame.first().0.to_be_bytes();
            if let [only] = frames {
                // Atomic by itself; a batch would write, and wait for, a record of its own first.
                chapter.insert(key(only), only.bytes())?;
            } else {
                let mut batch = sled::Batch::default();
                for frame in frames {
                    batch.insert(&key(frame), frame.bytes());
                }
                chapter.apply_batch(batch)?;
            }
            db.flush()?;
            self.file.sync_data()?;
            Ok(())
        })
    }

    /// The chapter to write to: the last, or a new one. A crash before its first frame leaves it empty, and the next
    /// append, which has the same sequence, finds it again.
    fn chapter_for(&self, db: &sled::Db, first: Sequence, bytes: usize) -> sled::Result<sled::Tree> {
        let current = {
            let mut chapters = self.chapters.write();
            let open = chapters.room > 0;
            chapters.room = chapters.room.saturating_sub(bytes);
            chapters.list.last().filter(|_| open).map(|chapter| chapter.tree.clone())
        };
        if let Some(tree) = current {
            return Ok(tree);
        }
        let tree = db.open_tree(first.0.to_be_bytes())?;
        let mut chapters = self.chapters.write();
        chapters.list.retain(|chapter| chapter.first != first.0);
        chapters.list.push(Chapter { first: first.0, tree: tree.clone() });
        chapters.room = CHAPTER_BYTES.saturating_sub(bytes);
        Ok(tree)
    }

    /// The key of the frame that holds a sequence, if there is one; else the key that it would have at the latest.
    pub(super) fn key_holding(&self, sequence: Sequence) -> Result<u64, StoreFault> {
        let Some(chapter) = self.chapter(self.index_of(sequence.0)) else { return Ok(sequence.0) };
        let found = guarded("read", self.place, || chapter.tree.get_lt(sequence.next().0.to_be_bytes()))?;
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
        while let Some(Chapter { tree, .. }) = self.chapter(index) {
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

    /// Where in the list the chapter for a key is.
    fn index_of(&self, key: u64) -> usize {
        self.chapters.read().list.partition_point(|chapter| chapter.first <= key).saturating_sub(1)
    }

    fn chapter(&self, index: usize) -> Option<Chapter> {
        self.chapters.read().list.get(index).cloned()
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
        let db = self.db.take();
        let chapters = std::mem::take(&mut *self.chapters.write());
        let closed = guarded("close", self.place, || {
            drop(chapters);
            drop(db);
            // sled may write when it opens and closes; a sealed epoch must survive being read.
            self.file.sync_data()?;
            Ok(())
        });
        if let Err(fault) = closed {
            tracing::error!(%fault, "an epoch did not close well");
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

fn open_chapters(db: &sled::Db) -> sled::Result<Vec<Chapter>> {
    let mut list = Vec::new();
    for name in db.tree_names().into_iter().filter(|name| name != DEFAULT_TREE) {
        let first =
            key_of(&name).ok_or_else(|| sled::Error::Unsupported(format!("a tree named {name:?}")))?;
        list.push(Chapter { first, tree: db.open_tree(&name)? });
    }
    list.sort_by_key(|chapter| chapter.first);
    Ok(list)
}

fn key_of(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// Runs sled, and turns what it throws into a fault. After a panic nobody uses what it may have left half-done: an
/// append stops the store, a read gives up.
fn guarded<T>(
    action: &'static str,
    Place { number, first }: Place,
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

/// Makes a folder with all that is in it durable.
fn sync_all(path: &Path) -> Result<(), StoreFault> {
    for entry in fs::read_dir(path).map_err(folder::io_fault("list", path))? {
        let entry = entry.map_err(folder::io_fault("list", path))?.path();
        if entry.is_dir() { sync_all(&entry)? } else { folder::sync(&entry)? }
    }
    folder::sync(path)
}
