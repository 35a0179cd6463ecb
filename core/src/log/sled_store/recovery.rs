//! Opening the folder: finds out where the log ends, and whether it is whole as far as can be told without reading
//! the sealed epochs.
//!
//! States that a crash leaves, and which therefore open: anything named `.new`; a manifest without the next epoch; an
//! empty next epoch; a log that is longer than its head. Everything else that does not fit is a fault, and nothing is
//! changed on disk before it is reported.
//!
//! The frames of the open epoch are read, decoded and hashed. The sealed ones are left to `verify`.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::epoch::{EpochDb, Place, damaged};
use super::folder::{self, Listing, epoch_path};
use super::head::{Acknowledged, HeadFile};
use super::manifest::{Manifest, Sealed};
use super::term;
use crate::domain::id::Sequence;
use crate::log::frame::Frame;
use crate::log::merkle::Tree;
use crate::log::store::{Head, StoreFault, Term};

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

    /// Checks that a frame continues the tree, and counts it.
    pub(super) fn check(&mut self, epoch: u32, mut frame: Frame) -> Result<(), StoreFault> {
        frame.advance(&mut self.tree).map_err(|source| damaged(epoch, frame.first(), source))?;
        self.count(&frame);
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
    db.scan(0, tally.first, |frame| {
        tally.check(epoch, frame)?;
        if tally.tree.size() == known.last.0 {
            check_root(epoch, known, tally.head())?;
            met = true;
        }
        Ok(ControlFlow::Continue(()))
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
