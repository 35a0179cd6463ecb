//! The full check of the log: every file hashed, every frame decoded, every event hashed, every manifest recomputed.
//!
//! It reads what readers read, so it can run while the ledger writes. It repairs nothing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::clean::CleanRecord;
use super::epoch::EpochDb;
use super::manifest::{EpochManifest, SealedManifest};
use super::tally::Tally;
use super::{SledStore, StoreView, folder, head, term};
use crate::domain::id::Sequence;
use crate::log::merkle::Tree;
use crate::log::store::{Head, StoreFault};

/// Frames of a tail that are read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

impl SledStore {
    /// Recomputes everything up to the head, and gives the head. The fault names epoch and sequence of the first thing
    /// that is not as it was written.
    pub fn verify(&self) -> Result<Head, StoreFault> {
        self.verify_with(|_| ())
    }

    /// The same; `progress` is told up to which sequence everything is whole.
    pub fn verify_with(&self, mut progress: impl FnMut(Sequence)) -> Result<Head, StoreFault> {
        let view = self.view();
        let mut tree = Tree::new();
        for sealed in view.sealed.iter() {
            // Opening it compares its files with the manifest.
            let db = self.shared.readers.get(sealed)?;
            tree = check_sealed(&db, sealed, tree, &mut progress)?;
        }
        check_tails(&view, tree, &mut progress)
    }
}

/// Whether the last process that wrote this log, which ends at `end`, closed it. One that is killed may leave files half
/// written that nothing counts on; after a clean shutdown every byte is as it was written.
pub fn was_closed(dir: &Path, end: Sequence) -> Result<bool, StoreFault> {
    for epoch in folder::list(dir)?.clean {
        if CleanRecord::read(dir, epoch)?.is_some_and(|clean| clean.last() == end) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks what lies beside the epochs in the folder of a log: both slots of `head` and `term`, records of clean shutdowns
/// and the databases they are about. Opening the log gets along with a damaged one of them; here it is a fault. A slot
/// that is not whole is one only after a clean shutdown ([`was_closed`]).
pub fn verify_beside(dir: &Path, was_closed: bool) -> Result<(), StoreFault> {
    let damaged = |path: PathBuf, cause: &str| Err(StoreFault::DamagedFile { path, cause: cause.into() });
    if head::has_damaged_slot(dir)? && was_closed {
        return damaged(dir.join("head"), "a slot is damaged; the other one counts");
    }
    if term::read(dir)?.has_damaged_slot && was_closed {
        return damaged(dir.join("term"), "a slot is damaged; the other one counts");
    }
    for epoch in folder::list(dir)?.clean {
        match CleanRecord::read(dir, epoch)? {
            None => return damaged(folder::clean_path(dir, epoch), "it is not what a clean shutdown wrote"),
            Some(clean) if !clean.holds(dir)? => {
                let cause =
                    "its bytes are not those of the last clean shutdown; it is made anew at the next start";
                return damaged(folder::epoch_path(dir, epoch).join("db"), cause);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_sealed(
    db: &EpochDb,
    sealed: &SealedManifest,
    tree: Tree,
    progress: &mut impl FnMut(Sequence),
) -> Result<Tree, StoreFault> {
    let epoch = sealed.epoch();
    let first = sealed.place().first;
    let (mut frames, mut hasher) = (0, Sha256::new());
    let mut tally = Tally::new(tree);
    let mut checked = |_, head: Head| {
        progress(head.last);
        Ok(())
    };
    let scanned = db.scan(0, first, |frame| {
        frames += 1;
        hasher.update(frame.bytes());
        tally.take(epoch, frame, &mut checked)?;
        Ok(ControlFlow::Continue(()))
    });
    // What was read before a fault of the scan comes before it.
    tally.settle(&mut checked)?;
    scanned?;
    let end = tally.head();
    let known = sealed.head();
    if end.last < known.last {
        return Err(StoreFault::Gap { epoch, expected: end.last.next(), found: None });
    }
    if end.last == known.last && end.root != known.root {
        return Err(StoreFault::OtherRoot {
            epoch,
            sequence: end.last,
            expected: known.root,
            found: end.root,
        });
    }
    let files = sealed.manifest.files.clone();
    let tree = tally.into_tree();
    let found = EpochManifest::new(epoch, first, frames, &tree, hasher.finalize().into(), files);
    match difference(&sealed.manifest, &found) {
        Some(what) => Err(StoreFault::OtherManifest { epoch, sequence: end.last, what }),
        None => Ok(tree),
    }
}

fn difference(recorded: &EpochManifest, found: &EpochManifest) -> Option<&'static str> {
    let fields = [
        (recorded.first == found.first, "first"),
        (recorded.last == found.last, "last"),
        (recorded.frames == found.frames, "frames"),
        (recorded.sha256 == found.sha256, "sha256"),
        (recorded.frontier == found.frontier, "frontier"),
    ];
    fields.into_iter().find_map(|(same, what)| (!same).then_some(what))
}

/// The epochs that are not sealed, up to the head; what comes after is being written.
fn check_tails(
    view: &StoreView,
    tree: Tree,
    progress: &mut impl FnMut(Sequence),
) -> Result<Head, StoreFault> {
    let known = view.head;
    let mut tally = Tally::new(tree);
    let mut checked = |_, head: Head| {
        progress(head.last);
        Ok(())
    };
    let mut epoch = 0;
    for tail in view.tails.iter() {
        epoch = tail.place().number;
        let last = known.last.min(tail.last());
        let mut next = tail.place().first;
        while next <= last {
            let frames = match tail.read(next, last, READ_BYTES) {
                Ok(frames) => frames,
                Err(fault) => {
                    tally.settle(&mut checked)?;
                    return Err(fault);
                }
            };
            for frame in frames {
                next = frame.last().next();
                tally.take(epoch, frame, &mut checked)?;
            }
        }
    }
    tally.settle(&mut checked)?;
    let end = tally.head();
    if end.last < known.last {
        return Err(StoreFault::Gap { epoch, expected: end.last.next(), found: None });
    }
    if end.root != known.root {
        return Err(StoreFault::OtherRoot {
            epoch,
            sequence: end.last,
            expected: known.root,
            found: end.root,
        });
    }
    Ok(end)
}
