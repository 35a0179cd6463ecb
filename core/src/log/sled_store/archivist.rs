//! What happens to the log behind the writer: its tail is filled ahead, copied into sled, sealed, and looked through.
//!
//! One thread. It reads the frames of the oldest tail and puts them into the database of their epoch, a segment at a time;
//! when the tail is full it closes the database, holds a copy of it against the tail, frame by frame, and writes the
//! manifest. Only then the tail goes. So the frames of an epoch are in its tail until they are, durably and as compared,
//! in a database that never changes again.
//!
//! Nothing here is needed for an answer: what fails is said, and tried again later from the tail. Sealed epochs are read
//! through at a bounded rate, so that damage is found before somebody needs them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::StoreShared;
use super::clean::CleanRecord;
use super::copy::SealedCopy;
use super::epoch::{EpochDb, SEGMENT_BYTES};
use super::folder::{self, epoch_path};
use super::manifest::{EpochManifest, FILES, SealedManifest};
use super::scrub::Scrub;
use super::spare::SpareTail;
use super::tail::Tail;
use crate::domain::id::Sequence;
use crate::log::store::StoreFault;

/// How long it waits when there is nothing to do.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it waits after something failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for the database of the open epoch; what is not done then is done again at the next start.
const LAST_WORK: Duration = Duration::from_secs(3);
/// How often `head` is synced.
const HEAD_EVERY: Duration = Duration::from_secs(1);
/// So much is handed to the disk at a time, so that sealing has little left to wait for.
const SYNC_BYTES: u64 = 16 * 1024 * 1024;
/// A burst that fills [`SYNC_BYTES`] sooner than this is left to the kernel and to sealing: appends and this sync share the
/// bandwidth of one disk.
const BURST: Duration = Duration::from_millis(250);
/// Frames of the tail that are compared at a time.
const COMPARE_BYTES: usize = 4 * 1024 * 1024;

/// See the module.
pub(super) struct Archivist {
    shared: Arc<StoreShared>,
    feeding: Option<Feeding>,
    rests_until: Option<Instant>,
    spare: SpareTail,
    scrub: Scrub,
    head_synced: (Sequence, Instant),
}

/// The database that is being filled.
struct Feeding {
    tail: Arc<Tail>,
    db: EpochDb,
    next: Sequence,
    unsynced: u64,
    unsynced_since: Instant,
}

impl Archivist {
    pub(super) fn new(shared: Arc<StoreShared>) -> Self {
        let scrub = Scrub::new(shared.options.scrub_bytes_per_second);
        let spare = SpareTail::new(&shared.dir);
        Self {
            shared,
            feeding: None,
            rests_until: None,
            spare,
            scrub,
            head_synced: (Sequence::ZERO, Instant::now()),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let is_last = self.shared.wait_for_work(PAUSE);
            self.sync_head(is_last);
            if is_last {
                self.finish();
                break;
            }
            self.fill_ahead();
            if self.rests_until.is_none_or(|until| Instant::now() >= until) {
                self.rests_until = None;
                self.work();
            }
            self.shared.readers.close_idle();
            self.scrub.step(&self.shared);
        }
        self.shared.note_done();
    }

    /// Feeds and seals until there is nothing more to do now.
    fn work(&mut self) {
        loop {
            match self.step(false) {
                Ok(true) if !self.shared.is_stopping() => self.fill_ahead(),
                Ok(_) => break,
                Err(fault) => {
                    self.give_up(&fault);
                    return;
                }
            }
        }
        self.shared.set_trouble(None);
        if let Err(fault) = self.upgrade() {
            tracing::warn!(%fault, "the manifest of an old epoch is not brought up to date");
            self.rests_until = Some(Instant::now() + AFTER_FAILURE);
        }
    }

    fn give_up(&mut self, fault: &StoreFault) {
        let trouble = format!("the log is not copied into sled: {}", super::with_sources(fault));
        tracing::error!(%trouble, "tried again later");
        self.shared.set_trouble(Some(trouble));
        self.feeding = None;
        self.rests_until = Some(Instant::now() + AFTER_FAILURE);
    }

    /// One piece of work; whether there may be more at once. With `all` the open epoch is fed to its end.
    fn step(&mut self, all: bool) -> Result<bool, StoreFault> {
        let (tail, last, is_open) = {
            let view = self.shared.view.read();
            let Some(tail) = view.tails.first() else { return Ok(false) };
            let is_open = view.tails.len() == 1;
            (Arc::clone(tail), if is_open { view.head.last } else { tail.last() }, is_open)
        };
        let number = tail.place().number;
        let is_mine = self.feeding.as_ref().is_some_and(|feeding| feeding.tail.place().number == number);
        if !is_mine {
            let waiting = tail.bytes_from(tail.place().first);
            if is_open && (waiting == 0 || (!all && waiting < SEGMENT_BYTES as u64)) {
                return Ok(false);
            }
            self.feeding = Some(begin(&self.shared, Arc::clone(&tail))?);
        }
        // The file serves another epoch only when nobody holds its tail.
        drop(tail);
        let Some(feeding) = &mut self.feeding else { return Ok(false) };
        if feeding.next <= last {
            if is_open && !all && feeding.tail.bytes_from(feeding.next) < SEGMENT_BYTES as u64 {
                return Ok(false);
            }
            feeding.feed(&self.shared, last)?;
            return Ok(true);
        }
        if is_open {
            return Ok(false);
        }
        self.seal()?;
        Ok(true)
    }

    /// Seals the epoch that was fed to its end.
    fn seal(&mut self) -> Result<(), StoreFault> {
        let Some(Feeding { tail, db, .. }) = self.feeding.take() else { return Ok(()) };
        let StoreShared { dir, options, readers, view, places, .. } = &*self.shared;
        let place = tail.place();
        let number = place.number;
        let tree = tail.tree_after().filter(|tree| tree.size() == tail.last().0).cloned();
        let tree =
            tree.ok_or(StoreFault::MissingEpoch { epoch: number, cause: "its last root is not known" })?;
        db.close()?;
        let path = epoch_path(dir, number);
        remove_snapshots(&path)?;
        for name in FILES {
            folder::sync(&path.join(name))?;
        }
        folder::sync(&path)?;
        folder::sync(dir)?;
        // What sled says of a copy of these very bytes is what it will say of them for ever.
        let copy = SealedCopy::of_folder(&path, places)?;
        let files = copy.files().to_vec();
        let db = EpochDb::open_copy(copy, place, options.patience)?;
        let (frames, sha256) = compare(&db, &tail)?;
        let manifest = EpochManifest::new(number, place.first, frames, &tree, sha256, files);
        manifest.write(dir)?;
        readers.adopt(db);
        {
            let mut view = view.write();
            Arc::make_mut(&mut view.sealed).push(SealedManifest { manifest, tree });
            Arc::make_mut(&mut view.tails).remove(0);
        }
        self.shared.note_sealed();
        tracing::info!(epoch = number, "an epoch is sealed");
        recycle(dir, tail)
    }

    /// Gives the manifest of an epoch that was sealed by format 1 the hashes of its files.
    fn upgrade(&mut self) -> Result<(), StoreFault> {
        let StoreShared { dir, view, readers, .. } = &*self.shared;
        let sealed = Arc::clone(&view.read().sealed);
        let Some(at) = sealed.iter().position(|sealed| !sealed.knows_files()) else { return Ok(()) };
        let old = &sealed[at];
        // Opening it compares its frames with the manifest.
        let db = readers.get(old)?;
        let Some(copy) = db.copy() else { return Ok(()) };
        let manifest = old.manifest.with_files(copy.files().to_vec());
        manifest.write(dir)?;
        let upgraded = SealedManifest { manifest, tree: old.tree.clone() };
        Arc::make_mut(&mut view.write().sealed)[at] = upgraded;
        Ok(())
    }

    /// Fills the open tail ahead, and the one after it. What fails here the writer meets, unless the disk has room by
    /// then.
    fn fill_ahead(&mut self) {
        let Some(open) = self.shared.view.read().tails.last().cloned() else { return };
        let whole = self.shared.options.epoch_bytes;
        if let Err(fault) = open.fill_ahead(whole) {
            tracing::warn!(%fault, "the tail is not filled ahead");
        }
        if open.end() > whole / 2
            && let Err(fault) = self.spare.step(whole)
        {
            tracing::warn!(%fault, "the next tail is not filled ahead");
        }
    }

    fn sync_head(&mut self, is_last: bool) {
        let Some(head) = &self.shared.head_file else { return };
        let last = self.shared.view.read().head.last;
        let (synced, at) = self.head_synced;
        if last == synced || (!is_last && at.elapsed() < HEAD_EVERY) {
            return;
        }
        match head.sync_data() {
            Ok(()) => self.head_synced = (last, Instant::now()),
            Err(error) => tracing::warn!(%error, "the head file is not synced"),
        }
    }

    /// Brings the database of the open epoch to its end and records that it is whole, if that can be done soon.
    fn finish(&mut self) {
        let until = Instant::now() + LAST_WORK;
        let outcome = loop {
            match self.step(true) {
                Ok(true) if Instant::now() < until => {}
                Ok(true) => return,
                Ok(false) => break self.close_cleanly(),
                Err(fault) => break Err(fault),
            }
        };
        let told = |fault: &StoreFault| {
            format!("the database of the open epoch is not complete: {}", super::with_sources(fault))
        };
        self.shared.set_trouble(outcome.err().as_ref().map(told));
    }

    fn close_cleanly(&mut self) -> Result<(), StoreFault> {
        let Some(Feeding { tail, db, next, .. }) = self.feeding.take() else { return Ok(()) };
        let number = tail.place().number;
        let dir = &self.shared.dir;
        db.close()?;
        CleanRecord::of(dir, number, Sequence(next.0 - 1))?.write(dir)
    }
}

/// Opens the database of an epoch where a clean shutdown left it, or makes it anew.
fn begin(shared: &StoreShared, tail: Arc<Tail>) -> Result<Feeding, StoreFault> {
    let (dir, patience) = (&shared.dir, shared.options.patience);
    let place = tail.place();
    let path = epoch_path(dir, place.number);
    let clean = CleanRecord::read(dir, place.number)?;
    let clean = clean.filter(|clean| clean.last() <= tail.last() && clean.holds(dir).unwrap_or(false));
    // From here on its bytes are others.
    CleanRecord::remove(dir, place.number)?;
    if let Some(clean) = clean {
        remove_snapshots(&path)?;
        let opened = EpochDb::open(&path, place, patience);
        if let Some(db) = opened.ok().filter(|db| db.last().ok().flatten() == Some(clean.last())) {
            return Ok(Feeding::new(tail, db, clean.last().next()));
        }
        tracing::warn!(epoch = place.number, "the database of the open epoch is made anew from the tail");
    }
    folder::remove(&path)?;
    let db = EpochDb::open(&path, place, patience)?;
    Ok(Feeding::new(tail, db, place.first))
}

impl Feeding {
    fn new(tail: Arc<Tail>, db: EpochDb, next: Sequence) -> Self {
        Self { tail, db, next, unsynced: 0, unsynced_since: Instant::now() }
    }

    /// Adds a segment.
    fn feed(&mut self, shared: &StoreShared, last: Sequence) -> Result<(), StoreFault> {
        let read = self.tail.read(self.next, last, SEGMENT_BYTES);
        shared.note_tail(read.as_ref().err());
        let frames = read?;
        self.db.add_segment(&frames)?;
        self.unsynced += frames.iter().map(|frame| frame.bytes().len() as u64).sum::<u64>();
        if let Some(frame) = frames.last() {
            self.next = frame.last().next();
        }
        if self.unsynced >= SYNC_BYTES {
            if self.unsynced_since.elapsed() >= BURST {
                let db = epoch_path(&shared.dir, self.tail.place().number).join("db");
                std::fs::File::open(&db)
                    .and_then(|file| file.sync_data())
                    .map_err(folder::io_fault("sync", &db))?;
            }
            (self.unsynced, self.unsynced_since) = (0, Instant::now());
        }
        Ok(())
    }
}

/// Holds a database against the tail it was filled from; counts and hashes the frames.
fn compare(db: &EpochDb, tail: &Tail) -> Result<(u64, [u8; 32]), StoreFault> {
    let (epoch, last) = (tail.place().number, tail.last());
    let mut expected = Vec::new().into_iter();
    let mut next = tail.place().first;
    let (mut count, mut hasher) = (0, Sha256::new());
    db.scan(0, next, |frame| {
        if next > last {
            return Err(StoreFault::Gap { epoch, expected: next, found: Some(frame.first()) });
        }
        let known = if let Some(known) = expected.next() {
            known
        } else {
            expected = tail.read(next, last, COMPARE_BYTES)?.into_iter();
            expected.next().ok_or(StoreFault::Gap { epoch, expected: next, found: None })?
        };
        if known != frame {
            return Err(StoreFault::OtherManifest { epoch, sequence: next, what: "a frame" });
        }
        count += 1;
        hasher.update(frame.bytes());
        next = frame.last().next();
        Ok(ControlFlow::Continue(()))
    })?;
    if next != last.next() {
        return Err(StoreFault::Gap { epoch, expected: next, found: None });
    }
    Ok((count, hasher.finalize().into()))
}

/// sled's snapshots only shorten an opening, and a half-written one keeps it from opening.
fn remove_snapshots(folder: &Path) -> Result<(), StoreFault> {
    for entry in std::fs::read_dir(folder).map_err(folder::io_fault("list", folder))? {
        let entry = entry.map_err(folder::io_fault("list", folder))?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            folder::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Keeps the file of a tail that is not needed any more for the next epoch, unless somebody still reads it.
fn recycle(dir: &Path, tail: Arc<Tail>) -> Result<(), StoreFault> {
    let (path, spare) = (tail.path().to_owned(), folder::spare_path(dir));
    match Arc::into_inner(tail) {
        Some(_) if !spare.exists() => folder::rename(&path, &spare),
        _ => folder::remove(&path),
    }
}
