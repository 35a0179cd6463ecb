//! The log in sled 0.34: a row of epochs, each a database of frames; all but the last sealed with a manifest.
//!
//! Invariants: an append answers `Durable` only after `flush`, `fdatasync` and the head slot; what readers see ends at
//! the last of those; an append that fails in any way stops the store until it is opened again; only the open epoch
//! and a few sealed ones are open at a time, which bounds memory; nothing is ever repaired in silence.
//!
//! It is for one process: the folder is locked. It does not know events, and it does not replicate.

mod epoch;
mod folder;
mod head;
mod manifest;
mod readers;
mod recovery;
mod term;
#[cfg(test)]
mod tests;
mod verify;

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use self::epoch::{EpochDb, Place};
use self::head::{Acknowledged, HeadFile};
use self::manifest::Sealed;
use self::readers::Readers;
use self::recovery::{Recovered, Tally, recover};
use super::frame::Frame;
use super::store::{Appended, EventStore, Head, StoreFault, StoreStats, Term, check_chain};
use crate::domain::id::Sequence;

/// What may be chosen about a store. The defaults are for production.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The open epoch is sealed when its frames take this many bytes.
    pub epoch_bytes: u64,
    /// How long to wait for the lock of a process that was just killed.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { epoch_bytes: 192 * 1024 * 1024, patience: Duration::from_secs(5) }
    }
}

/// See the module.
#[derive(Debug)]
pub struct SledStore {
    dir: PathBuf,
    options: Options,
    writer: Mutex<Writer>,
    view: RwLock<View>,
    readers: Readers,
    /// Last, so that it is released last.
    _lock: File,
}

/// What appends know.
#[derive(Debug)]
struct Writer {
    db: Arc<EpochDb>,
    tally: Tally,
    head: Head,
    head_file: HeadFile,
    term: Term,
    /// Why there are no more appends.
    stopped: Option<String>,
}

/// What readers know. Replaced after each append; a copy is cheap.
#[derive(Debug, Clone)]
struct View {
    head: Head,
    sealed: Arc<Vec<Sealed>>,
    open: Arc<EpochDb>,
    open_first: Sequence,
}

impl SledStore {
    /// Opens the store in a folder, or makes one.
    pub fn open(dir: &Path) -> Result<Self, StoreFault> {
        Self::open_with(dir, Options::default())
    }

    /// Opens the store with other options than the defaults.
    pub fn open_with(dir: &Path, options: Options) -> Result<Self, StoreFault> {
        folder::create(dir)?;
        let lock = folder::lock(dir, options.patience)?;
        let Recovered { sealed, db, tally, head_file, term } = recover(dir, options.patience)?;
        folder::sync(dir)?;
        let db = Arc::new(db);
        let head = tally.head();
        let view = View { head, sealed: Arc::new(sealed), open: Arc::clone(&db), open_first: tally.first };
        Ok(Self {
            dir: dir.to_owned(),
            options,
            writer: Mutex::new(Writer { db, tally, head, head_file, term, stopped: None }),
            view: RwLock::new(view),
            readers: Readers::new(dir.to_owned(), options.patience),
            _lock: lock,
        })
    }

    fn view(&self) -> View {
        self.view.read().clone()
    }

    fn write(&self, writer: &mut Writer, frames: &[Frame]) -> Result<(), StoreFault> {
        let stopped = |cause| StoreFault::Stopped { cause };
        let head = check_chain(writer.head, frames).map_err(stopped)?;
        if writer.tally.bytes >= self.options.epoch_bytes {
            self.roll(writer)?;
        }
        writer.db.append(frames)?;
        for frame in frames {
            writer.tally.count(frame);
        }
        if let Some(tree) = frames.last().and_then(Frame::tree_after) {
            writer.tally.tree.clone_from(tree);
        }
        writer.head = head;
        writer.head_file.write(Acknowledged { head, term: writer.term })?;
        self.view.write().head = head;
        Ok(())
    }

    /// Seals the open epoch and begins the next. All of it is durable already; a crash after the manifest is found by
    /// recovery, which begins the next epoch itself.
    fn roll(&self, writer: &mut Writer) -> Result<(), StoreFault> {
        let number = writer.db.number();
        let manifest = writer.tally.manifest(number);
        manifest.write(&self.dir)?;
        let place = Place { number: number + 1, first: writer.head.last.next() };
        let next = Arc::new(EpochDb::create(&self.dir, place, self.options.patience)?);
        let full = std::mem::replace(&mut writer.db, Arc::clone(&next));
        let tree = writer.tally.tree.clone();
        writer.tally = Tally::new(tree.clone());

        self.readers.adopt(&full);
        let mut view = self.view.write();
        Arc::make_mut(&mut view.sealed).push(Sealed { manifest, tree });
        view.open = next;
        view.open_first = writer.tally.first;
        Ok(())
    }
}

impl EventStore for SledStore {
    fn acquire(&self) -> Result<Term, StoreFault> {
        let mut writer = self.writer.lock();
        if let Some(cause) = &writer.stopped {
            return Err(StoreFault::Stopped { cause: cause.clone() });
        }
        let next = Term(writer.term.0 + 1);
        term::write(&self.dir, next)?;
        writer.term = next;
        Ok(next)
    }

    fn head(&self) -> Result<Head, StoreFault> {
        Ok(self.view.read().head)
    }

    fn append(&self, term: Term, expected_last: Sequence, frames: &[Frame]) -> Appended {
        let mut writer = self.writer.lock();
        if let Some(cause) = &writer.stopped {
            return Appended::Unknown { cause: cause.clone() };
        }
        if term != writer.term {
            return Appended::Fenced { by: writer.term };
        }
        if expected_last != writer.head.last {
            return Appended::Conflict { last: writer.head.last };
        }
        if frames.is_empty() {
            return Appended::Durable;
        }
        match self.write(&mut writer, frames) {
            Ok(()) => Appended::Durable,
            Err(fault) => {
                let cause = with_sources(&fault);
                tracing::error!(%cause, "the log takes no more events until it is opened again");
                writer.stopped = Some(cause.clone());
                Appended::Unknown { cause }
            }
        }
    }

    fn read(&self, after: Sequence, max_bytes: usize) -> Result<Vec<Frame>, StoreFault> {
        let view = self.view();
        if after >= view.head.last {
            return Ok(Vec::new());
        }
        let from = after.next();
        let (db, last) = if from >= view.open_first {
            (view.open, view.head.last)
        } else {
            let sealed = &view.sealed[view.sealed.partition_point(|sealed| sealed.head().last < from)];
            (self.readers.get(sealed)?, sealed.head().last)
        };
        self.readers.close_idle();
        read_epoch(&db, from, last, max_bytes)
    }

    fn stats(&self) -> StoreStats {
        let epochs = self.view.read().open.number();
        let blobs = (1..=epochs).map(|epoch| count_blobs(&self.dir, epoch)).sum::<io::Result<u64>>();
        let bytes = folder::bytes_on_disk(&self.dir);
        if let Some(error) = blobs.as_ref().err().or(bytes.as_ref().err()) {
            tracing::warn!(%error, "the size of the log is not known");
        }
        StoreStats {
            epochs: epochs.into(),
            bytes_on_disk: bytes.unwrap_or_default(),
            blobs: blobs.unwrap_or_default(),
        }
    }
}

/// Frames of one epoch, which ends at `last`, from the one that holds `from`.
fn read_epoch(
    db: &EpochDb,
    from: Sequence,
    last: Sequence,
    max_bytes: usize,
) -> Result<Vec<Frame>, StoreFault> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut bytes = 0;
    let scanned = db.scan(db.key_holding(from)?, from, |frame| {
        let length = frame.bytes().len();
        if frame.last() > last || (!frames.is_empty() && bytes + length > max_bytes) {
            return Ok(ControlFlow::Break(()));
        }
        bytes += length;
        let done = frame.last() == last;
        frames.push(frame);
        Ok(if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    if frames.is_empty() {
        // Events up to `last` were durable: an epoch without them has lost them.
        scanned?;
        return Err(StoreFault::Gap { epoch: db.number(), expected: from, found: None });
    }
    // What comes before a fault can be read; the next read meets the fault itself.
    Ok(frames)
}

fn count_blobs(dir: &Path, epoch: u32) -> io::Result<u64> {
    let blobs = folder::epoch_path(dir, epoch).join("blobs");
    Ok(fs::read_dir(blobs)?.count() as u64)
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
