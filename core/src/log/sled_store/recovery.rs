//! Opening the folder: finds out where the log ends, and whether it is whole as far as can be told without reading
//! the sealed epochs.
//!
//! States that a crash leaves, and which therefore open: anything named `.new`; a manifest without the next epoch; an
//! empty next epoch; a log that is longer than its head. Everything else that does not fit is a fault, and nothing is
//! changed on disk before it is reported.
//!
//! The frames of the open epoch are read, decoded and hashed. The sealed ones are left to `verify`.

use std::fs;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::epoch::{EpochDb, Place, damaged};
use super::folder::{self, Listing, epoch_path};
use super::head::{Acknowledged, HeadFile};
use super::manifest::{Manifest, Sealed};
use super::term;
use crate::domain::id::Sequence;
use crate::log::frame::{Frame, FrameError};
use crate::log::merkle::{Run, Tree};
use crate::log::store::{Head, StoreFault, Term};

/// The stored bytes of the frames that are hashed at a time. Bounds the memory: each thread unpacks one of them.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// More threads wait for sled.
const MOST_THREADS: usize = 4;

/// What was found.
pub(super) struct Recovered {
    pub(super) sealed: Vec<Sealed>,
    pub(super) db: EpochDb,
    pub(super) tally: Tally,
    pub(super) head_file: HeadFile,
    pub(super) term: Term,
}

/// What an epoch holds, counted up frame by frame.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) first: Sequence,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) tree: Tree,
    pub(super) hasher: Sha256,
}

impl Tally {
    /// Of an empty epoch that continues `tree`.
    pub(super) fn new(tree: Tree) -> Self {
        Self { first: Sequence(tree.size()).next(), frames: 0, bytes: 0, tree, hasher: Sha256::new() }
    }

    /// Counts a frame whose tree is known.
    pub(super) fn count(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.bytes().len() as u64;
        self.hasher.update(frame.bytes());
    }

    /// Checks that the frames of an epoch continue the tree, up to the last that ends at `end` or before, and counts
    /// them. `checked` sees the tally after each. The fault is the first in the order of the log.
    pub(super) fn check(
        &mut self,
        db: &EpochDb,
        end: Sequence,
        mut checked: impl FnMut(&Self) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let scanned = db.scan(0, self.first, |frame| {
            if frame.last() > end {
                return Ok(ControlFlow::Break(()));
            }
            bytes += frame.bytes().len();
            batch.push(frame);
            if bytes >= BATCH_BYTES {
                bytes = 0;
                self.check_batch(db.number(), std::mem::take(&mut batch), &mut checked)?;
            }
            Ok(ControlFlow::Continue(()))
        });
        // What was read before a fault of the scan comes before it. After a fault of a batch nothing is left.
        self.check_batch(db.number(), batch, &mut checked)?;
        scanned
    }

    fn check_batch(
        &mut self,
        epoch: u32,
        frames: Vec<Frame>,
        checked: &mut impl FnMut(&Self) -> Result<(), StoreFault>,
    ) -> Result<(), StoreFault> {
        for (mut frame, hashed) in hash_all(frames) {
            frame
                .advance_by(hashed, &mut self.tree)
                .map_err(|source| damaged(epoch, frame.first(), source))?;
            self.count(&frame);
            checked(self)?;
        }
        Ok(())
    }

    pub(super) fn head(&self) -> Head {
        Head { last: Sequence(self.tree.size()), root: self.tree.root() }
    }

    /// What the manifest of the epoch says when it is sealed here.
    pub(super) fn manifest(&self, epoch: u32) -> Manifest {
        Manifest::new(epoch, self.first, self.frames, &self.tree, self.hasher.clone().finalize().into())
    }
}

/// Unpacks and hashes frames, which do not need each other for that, on a few threads. The order stays.
fn hash_all(frames: Vec<Frame>) -> impl Iterator<Item = (Frame, Result<Run, FrameError>)> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS).min(frames.len());
    let mut slots: Vec<_> = frames.into_iter().map(|frame| (frame, None)).collect();
    let next = Mutex::new(slots.iter_mut());
    let work = || {
        loop {
            let Some((frame, hashed)) = next.lock().next() else { return };
            *hashed = Some(frame.hash());
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that cannot be had is not missed: this one does what is left.
            let _ = thread::Builder::new().name("verify".into()).spawn_scoped(scope, work);
        }
        work();
    });
    slots.into_iter().map(|(frame, hashed)| (frame, hashed.expect("every slot was worked on")))
}

pub(super) fn recover(dir: &Path, patience: Duration) -> Result<Recovered, StoreFault> {
    let listing = folder::list(dir)?;
    let (mut head_file, acknowledged) = HeadFile::open(dir)?;
    let sealed = read_manifests(dir, &listing)?;
    let number = open_number(&sealed, &listing)?;
    let tree = sealed.last().map_or_else(Tree::new, |sealed| sealed.tree.clone());
    let place = Place { number, first: Sequence(tree.size()).next() };
    let db = open_or_create(dir, place, acknowledged, patience)?;

    let tally = walk(&db, Tally::new(tree), acknowledged)?;
    let head = tally.head();
    // A process that was killed between write and sync left events that nobody made durable; from here on decisions
    // see them, and the epoch may be sealed with them.
    db.sync()?;
    if head != Head::EMPTY && acknowledged.is_none() {
        tracing::warn!(
            last = head.last.0,
            "the head file knew nothing: a log that lost its end could not be told"
        );
    }
    let term = read_term(dir, head, acknowledged)?;
    if head != Head::EMPTY && acknowledged.is_none_or(|known| known.head != head) {
        // Killed between the log and its head, or a power cut: the log is what counts.
        head_file.write(Acknowledged { head, term })?;
    }
    Ok(Recovered { sealed, db, tally, head_file, term })
}

fn read_manifests(dir: &Path, listing: &Listing) -> Result<Vec<Sealed>, StoreFault> {
    let mut sealed: Vec<Sealed> = Vec::new();
    let mut before = Sequence::ZERO;
    for (&epoch, number) in listing.manifests.iter().zip(1..) {
        if epoch != number {
            return Err(StoreFault::MissingEpoch {
                epoch: number,
                cause: "it has no manifest, but a later one has",
            });
        }
        if listing.epochs.binary_search(&epoch).is_err() {
            return Err(StoreFault::MissingEpoch { epoch, cause: "its folder is not there" });
        }
        let next = Manifest::read(dir, epoch, before)?;
        before = next.head().last;
        sealed.push(next);
    }
    Ok(sealed)
}

/// The epoch after the sealed ones is the open one; there may be none beyond.
fn open_number(sealed: &[Sealed], listing: &Listing) -> Result<u32, StoreFault> {
    let number = sealed.last().map_or(1, |sealed| sealed.epoch() + 1);
    match listing.epochs.last() {
        Some(&last) if last > number => Err(StoreFault::MissingEpoch {
            epoch: number,
            cause: "it has no manifest, but a later epoch is there",
        }),
        _ => Ok(number),
    }
}

fn open_or_create(
    dir: &Path,
    place: Place,
    acknowledged: Option<Acknowledged>,
    patience: Duration,
) -> Result<EpochDb, StoreFault> {
    let path = epoch_path(dir, place.number);
    if path.join("db").exists() {
        return EpochDb::open(dir, place, patience);
    }
    let head = acknowledged.map_or(Sequence::ZERO, |known| known.head.last);
    if head >= place.first {
        let last = Sequence(place.first.0 - 1);
        return Err(StoreFault::ShorterThanHead { epoch: place.number, last, head });
    }
    match fs::remove_dir(&path) {
        Err(error) if path.exists() => Err(folder::io_fault("replace the empty epoch", &path)(error)),
        _ => EpochDb::create(dir, place, patience),
    }
}

/// Reads the open epoch to its end and compares with what was acknowledged.
fn walk(db: &EpochDb, mut tally: Tally, acknowledged: Option<Acknowledged>) -> Result<Tally, StoreFault> {
    let epoch = db.number();
    let known = acknowledged.map_or(Head::EMPTY, |known| known.head);
    let start = tally.head();
    // A head from before this epoch says nothing about it.
    let mut met = known.last < start.last || known == start;
    tally.check(db, Sequence(u64::MAX), |tally| {
        if tally.tree.size() == known.last.0 {
            check_root(epoch, known, tally.head())?;
            met = true;
        }
        Ok(())
    })?;
    let end = tally.head();
    if known.last > end.last {
        return Err(StoreFault::ShorterThanHead { epoch, last: end.last, head: known.last });
    }
    if known.last == start.last {
        check_root(epoch, known, start)?;
    } else if !met {
        return Err(StoreFault::Gap { epoch, expected: known.last, found: Some(end.last) });
    }
    Ok(tally)
}

fn check_root(epoch: u32, known: Head, found: Head) -> Result<(), StoreFault> {
    if known.root == found.root {
        return Ok(());
    }
    Err(StoreFault::OtherRoot { epoch, sequence: known.last, expected: known.root, found: found.root })
}

fn read_term(dir: &Path, head: Head, acknowledged: Option<Acknowledged>) -> Result<Term, StoreFault> {
    match term::read(dir)? {
        Some(term) => Ok(acknowledged.map_or(term, |known| known.term.max(term))),
        None if head == Head::EMPTY => Ok(Term::default()),
        None => {
            let cause = "it is not there, but the log holds events".into();
            Err(StoreFault::DamagedFile { path: dir.join("term"), cause })
        }
    }
}
