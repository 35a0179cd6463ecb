//! The log: a row of epochs. Each begins as a tail, a plain file whose records are durable when an append is answered,
//! and becomes a database in sled 0.34, sealed with a manifest.
//!
//! Invariants: an append answers `Durable` only after `fdatasync` of its record and the head slot; what readers see ends
//! at the last of those; an append that fails in any way stops the store until it is opened again. The files of a sealed
//! epoch never change, and a tail goes only when its frames are in a sealed database, as compared. Opening changes no byte
//! that a later opening could need; a refusal changes nothing at all; nothing is ever repaired in silence. Memory is
//! bounded: a few sealed epochs are open at a time.
//!
//! It is for one process: the folder is locked. It does not know events, and it does not replicate.

mod archivist;
pub mod backup;
mod clean;
mod copy;
mod epoch;
mod folder;
mod head;
mod manifest;
mod old;
mod readers;
mod recovery;
mod scrub;
mod spare;
mod tail;
mod tally;
mod term;
#[cfg(test)]
mod tests;
mod verify;

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use self::archivist::Archivist;
use self::copy::{CopyPlaces, ScratchFolder};
use self::epoch::EpochDb;
use self::folder::EpochPlace;
use self::head::{Acknowledged, HeadFile};
use self::manifest::SealedManifest;
use self::readers::Readers;
use self::recovery::Inspected;
use self::tail::Tail;
pub use self::verify::{verify_beside, was_closed};
use super::frame::Frame;
use super::merkle::Tree;
use super::store::{Appended, EventStore, Head, StoreFault, StoreStats, Term, check_chain};
use crate::domain::id::Sequence;

/// With more epochs than this that are not sealed yet, an append waits for one to be.
const MOST_TAILS: usize = 4;
/// How long it waits.
const PATIENCE_FOR_SEALING: Duration = Duration::from_secs(30);
/// How long closing waits for the archivist, which has its own bound.
const PATIENCE_FOR_CLOSING: Duration = Duration::from_secs(10);
/// The archivist is woken when so much may wait for it.
const WAKE_BYTES: u64 = 128 * 1024;

/// What may be chosen about a store. The defaults are for production.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// The next epoch begins when the records of the open one take this many bytes.
    pub epoch_bytes: u64,
    /// How long to wait for the lock of a process that was just killed.
    pub patience: Duration,
    /// How fast sealed epochs are read through in the background; the first pass after a start is faster.
    pub scrub_bytes_per_second: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            epoch_bytes: 192 * 1024 * 1024,
            patience: Duration::from_secs(5),
            scrub_bytes_per_second: 8 * 1024 * 1024,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct SledStore {
    shared: Arc<StoreShared>,
    /// Nobody, where the log is only read.
    writer: Option<Mutex<StoreWriter>>,
    archivist: Mutex<Option<thread::JoinHandle<()>>>,
    /// Where the tail of a folder of format 1 is, while that is read.
    _scratch: Option<ScratchFolder>,
}

/// What the writer, readers and the archivist share.
#[derive(Debug)]
struct StoreShared {
    dir: PathBuf,
    options: StoreOptions,
    places: CopyPlaces,
    view: RwLock<StoreView>,
    readers: Readers,
    head_file: Option<Arc<File>>,
    signal: Mutex<Signal>,
    changed: Condvar,
    /// Why the archivist does not get on.
    trouble: Mutex<Option<String>>,
    /// What the last read of a tail met.
    tail_damage: Mutex<Option<TailDamage>>,
    /// Last, so that it is released last.
    _lock: Option<File>,
}

/// A tail could not be read.
#[derive(Debug)]
struct TailDamage {
    cause: String,
    /// Whether its bytes are others than were written: then nothing more is appended behind them.
    is_lasting: bool,
}

#[derive(Debug, Default)]
struct Signal {
    has_work: bool,
    is_stopping: bool,
    is_done: bool,
}

/// What appends know.
#[derive(Debug)]
struct StoreWriter {
    tail: Arc<Tail>,
    tree: Tree,
    head: Head,
    head_file: HeadFile,
    term: Term,
    buffer: Vec<u8>,
    /// Where the open tail ended when the archivist was last woken.
    woken_at: u64,
    /// Why there are no more appends.
    stopped: Option<String>,
}

/// What readers know. Replaced after each append; a copy is cheap.
#[derive(Debug, Clone)]
struct StoreView {
    head: Head,
    sealed: Arc<Vec<SealedManifest>>,
    /// Of the epochs that are not sealed, in order; the last is the open one.
    tails: Arc<Vec<Arc<Tail>>>,
}

impl SledStore {
    /// Opens the store in a folder, or makes one.
    pub fn open(dir: &Path) -> Result<Self, StoreFault> {
        Self::open_with(dir, StoreOptions::default())
    }

    /// Opens the store with other options than the defaults.
    pub fn open_with(dir: &Path, options: StoreOptions) -> Result<Self, StoreFault> {
        Self::open_accepted(dir, options, |_| Ok(()))
    }

    /// The same, if `accept` accepts the log, which it may read. What it refuses stays as it was: until then nothing in the
    /// folder is changed.
    pub fn open_accepted<E: From<StoreFault>>(
        dir: &Path,
        options: StoreOptions,
        accept: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<Self, E> {
        folder::create(dir)?;
        let lock = folder::lock(dir, options.patience)?;
        let found = recovery::inspect(dir, true, &CopyPlaces::elsewhere(), options.patience)?;
        let reading = Self::reader(dir, options, &found, None)?;
        accept(&reading)?;
        let writing = Self::writing(dir, options, found, lock)?;
        // The last sealed epoch was read by then, and is read again: its copy is made once.
        writing.shared.readers.take_over(&reading.shared.readers);
        Ok(writing)
    }

    fn writing(dir: &Path, options: StoreOptions, found: Inspected, lock: File) -> Result<Self, StoreFault> {
        let places = CopyPlaces::beside(dir);
        let (found, head_file) = recovery::prepare(dir, found)?;
        let head = found.head();
        let Some(tail) = found.tails.last().cloned() else {
            return Err(StoreFault::MissingEpoch { epoch: 1, cause: "its tail was not made" });
        };
        let shared = StoreShared {
            dir: dir.to_owned(),
            options,
            view: RwLock::new(StoreView {
                head,
                sealed: Arc::new(found.sealed),
                tails: Arc::new(found.tails),
            }),
            readers: Readers::new(dir.to_owned(), places.clone(), options.patience),
            places,
            head_file: Some(head_file.file()),
            signal: Mutex::default(),
            changed: Condvar::new(),
            trouble: Mutex::default(),
            tail_damage: Mutex::default(),
            _lock: Some(lock),
        };
        let shared = Arc::new(shared);
        let writer = StoreWriter {
            tail,
            tree: found.tree,
            head,
            head_file,
            term: found.term,
            buffer: Vec::new(),
            woken_at: 0,
            stopped: None,
        };
        let archivist = Archivist::new(Arc::clone(&shared));
        let thread = thread::Builder::new().name("archivist".into()).spawn(move || archivist.run());
        let thread = thread.map_err(folder::io_fault("start a thread for", dir))?;
        Ok(Self {
            shared,
            writer: Some(Mutex::new(writer)),
            archivist: Mutex::new(Some(thread)),
            _scratch: None,
        })
    }

    /// Opens the store to read it. Nothing in the folder is changed, and it may be one that cannot be: a folder of
    /// somebody else, a read-only file system, a copy. While it is open, nobody can write to it.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreFault> {
        let options = StoreOptions::default();
        let lock = folder::lock_shared(dir, options.patience)?;
        let found = recovery::inspect(dir, false, &CopyPlaces::elsewhere(), options.patience)?;
        Self::reader(dir, options, &found, lock)
    }

    /// What reads a log that was inspected.
    fn reader(
        dir: &Path,
        options: StoreOptions,
        found: &Inspected,
        lock: Option<File>,
    ) -> Result<Self, StoreFault> {
        let places = CopyPlaces::elsewhere();
        let mut tails = found.tails.clone();
        let mut scratch = None;
        if let Some(old) = &found.old {
            let folder = ScratchFolder::create(&places, "tail")?;
            old.write_tail(folder.path())?;
            let tail = Tail::open(folder.path(), old.number(), false)?;
            tail.scan(|_| Ok(()))?;
            tails.push(Arc::new(tail));
            scratch = Some(folder);
        }
        let view =
            StoreView { head: found.head(), sealed: Arc::new(found.sealed.clone()), tails: Arc::new(tails) };
        let shared = StoreShared {
            dir: dir.to_owned(),
            options,
            view: RwLock::new(view),
            readers: Readers::new(dir.to_owned(), places.clone(), options.patience),
            places,
            head_file: None,
            signal: Mutex::default(),
            changed: Condvar::new(),
            trouble: Mutex::default(),
            tail_damage: Mutex::default(),
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared), writer: None, archivist: Mutex::default(), _scratch: scratch })
    }

    fn view(&self) -> StoreView {
        self.shared.view.read().clone()
    }

    fn write(&self, writer: &mut StoreWriter, frames: &[Frame]) -> Result<(), StoreFault> {
        let stopped = |cause| StoreFault::Stopped { cause };
        let head = check_chain(writer.head, frames).map_err(stopped)?;
        if !writer.tail.is_empty() && writer.tail.end() >= self.shared.options.epoch_bytes {
            self.roll(writer)?;
        }
        writer.tail.append(frames, &mut writer.buffer)?;
        if let Some(tree) = frames.last().and_then(Frame::tree_after) {
            writer.tree.clone_from(tree);
        }
        writer.head = head;
        writer.head_file.write(Acknowledged { head, term: writer.term })?;
        self.shared.view.write().head = head;
        let end = writer.tail.end();
        if end - writer.woken_at >= WAKE_BYTES {
            writer.woken_at = end;
            self.shared.wake();
        }
        Ok(())
    }

    /// Begins the next epoch. The one before is sealed in the background; a crash meanwhile leaves two tails.
    fn roll(&self, writer: &mut StoreWriter) -> Result<(), StoreFault> {
        self.shared.wait_for_sealing()?;
        let place = EpochPlace { number: writer.tail.place().number + 1, first: writer.head.last.next() };
        let next = Arc::new(Tail::create(&self.shared.dir, place, writer.head.root)?);
        writer
            .head_file
            .file()
            .sync_data()
            .map_err(folder::io_fault("sync", &self.shared.dir.join("head")))?;
        writer.tail.end_with(writer.tree.clone());
        writer.tail = Arc::clone(&next);
        writer.woken_at = 0;
        Arc::make_mut(&mut self.shared.view.write().tails).push(next);
        self.shared.wake();
        Ok(())
    }
}

impl StoreShared {
    fn wake(&self) {
        self.signal.lock().has_work = true;
        self.changed.notify_all();
    }

    /// Waits until there may be something to do; whether it is the last time.
    fn wait_for_work(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        let mut signal = self.signal.lock();
        while !signal.has_work && !signal.is_stopping {
            if self.changed.wait_until(&mut signal, until).timed_out() {
                break;
            }
        }
        signal.has_work = false;
        signal.is_stopping
    }

    fn is_stopping(&self) -> bool {
        self.signal.lock().is_stopping
    }

    /// Waits until few enough epochs wait to be sealed.
    fn wait_for_sealing(&self) -> Result<(), StoreFault> {
        let until = Instant::now() + PATIENCE_FOR_SEALING;
        let mut signal = self.signal.lock();
        loop {
            let waiting = self.view.read().tails.len();
            if waiting < MOST_TAILS {
                return Ok(());
            }
            if self.changed.wait_until(&mut signal, until).timed_out() {
                let trouble = self.trouble.lock().clone().unwrap_or_else(|| "it takes too long".into());
                return Err(StoreFault::Stopped {
                    cause: format!("{waiting} epochs wait to be sealed: {trouble}"),
                });
            }
        }
    }

    /// An epoch was sealed: who waits for that looks again.
    fn note_sealed(&self) {
        drop(self.signal.lock());
        self.changed.notify_all();
    }

    /// The archivist is at its end.
    fn note_done(&self) {
        self.signal.lock().is_done = true;
        self.changed.notify_all();
    }

    /// Notes how a read of a tail ended. A disk that reads again is trusted again; bytes that are others are not.
    fn note_tail(&self, fault: Option<&StoreFault>) {
        let mut damage = self.tail_damage.lock();
        if damage.as_ref().is_some_and(|damage| damage.is_lasting) {
            return;
        }
        *damage = fault.map(|fault| {
            let cause = format!("a tail cannot be read: {}", with_sources(fault));
            tracing::error!(%cause, "the log is damaged");
            TailDamage { cause, is_lasting: !matches!(fault, StoreFault::Io { .. }) }
        });
    }

    fn lasting_damage(&self) -> Option<String> {
        let damage = self.tail_damage.lock();
        damage.as_ref().filter(|damage| damage.is_lasting).map(|damage| damage.cause.clone())
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock() = trouble;
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Err(fault) = self.close() {
            tracing::warn!("{fault}");
        }
    }
}

impl EventStore for SledStore {
    fn acquire(&self) -> Result<Term, StoreFault> {
        let mut writer = self.writer.as_ref().ok_or(StoreFault::ReadOnly)?.lock();
        if let Some(cause) = &writer.stopped {
            return Err(StoreFault::Stopped { cause: cause.clone() });
        }
        let next = Term(writer.term.0 + 1);
        term::write(&self.shared.dir, next)?;
        writer.term = next;
        Ok(next)
    }

    fn head(&self) -> Result<Head, StoreFault> {
        Ok(self.shared.view.read().head)
    }

    fn append(&self, term: Term, expected_last: Sequence, frames: &[Frame]) -> Appended {
        let Some(writer) = &self.writer else {
            return Appended::Unknown { cause: StoreFault::ReadOnly.to_string() };
        };
        let mut writer = writer.lock();
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
        let written = match self.shared.lasting_damage() {
            Some(cause) => Err(cause),
            None => self.write(&mut writer, frames).map_err(|fault| with_sources(&fault)),
        };
        match written {
            Ok(()) => Appended::Durable,
            Err(cause) => {
                tracing::error!(%cause, "the log takes no events until it is opened again");
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
        let tail = view.tails.iter().rev().find(|tail| tail.place().first <= from);
        if let Some(tail) = tail {
            let read = tail.read(from, view.head.last, max_bytes);
            self.shared.note_tail(read.as_ref().err());
            return read;
        }
        let sealed = &view.sealed[view.sealed.partition_point(|sealed| sealed.head().last < from)];
        let db = self.shared.readers.get(sealed)?;
        read_epoch(&db, from, sealed.head().last, max_bytes)
    }

    fn stats(&self) -> StoreStats {
        let view = self.view();
        let epochs = view.sealed.len() + view.tails.len();
        let numbers = (1..).take(epochs);
        let blobs = numbers.map(|epoch| count_blobs(&self.shared.dir, epoch)).sum::<io::Result<u64>>();
        let bytes = folder::bytes_on_disk(&self.shared.dir);
        if let Some(error) = blobs.as_ref().err().or(bytes.as_ref().err()) {
            tracing::warn!(%error, "the size of the log is not known");
        }
        StoreStats {
            epochs: epochs as u64,
            bytes_on_disk: bytes.unwrap_or_default(),
            blobs: blobs.unwrap_or_default(),
        }
    }

    fn close(&self) -> Result<(), StoreFault> {
        let not_closed = |cause: String| StoreFault::NotClosed { cause };
        if let Some(writer) = &self.writer {
            writer.lock().stopped.get_or_insert_with(|| "it was closed".into());
        }
        let Some(thread) = self.archivist.lock().take() else { return Ok(()) };
        let until = Instant::now() + PATIENCE_FOR_CLOSING;
        let mut signal = self.shared.signal.lock();
        signal.is_stopping = true;
        self.shared.changed.notify_all();
        while !signal.is_done && !thread.is_finished() {
            // It may have ended by a panic, without a word.
            let next = (Instant::now() + Duration::from_millis(100)).min(until);
            if self.shared.changed.wait_until(&mut signal, next).timed_out() && Instant::now() >= until {
                return Err(not_closed("the archivist did not end in time".into()));
            }
        }
        drop(signal);
        if thread.join().is_err() {
            return Err(not_closed("the archivist panicked".into()));
        }
        self.shared.trouble.lock().take().map_or(Ok(()), |trouble| Err(not_closed(trouble)))
    }

    fn damage(&self) -> Vec<String> {
        let mut damage = self.shared.readers.damage();
        damage.extend(self.shared.tail_damage.lock().as_ref().map(|damage| damage.cause.clone()));
        damage.extend(self.shared.trouble.lock().clone());
        damage
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
    // An epoch that has no database yet has no blobs either.
    match fs::read_dir(folder::epoch_path(dir, epoch).join("blobs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        entries => Ok(entries?.count() as u64),
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
