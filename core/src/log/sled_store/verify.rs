//! The full check of the log: every frame decoded, every event hashed, every manifest recomputed.
//!
//! It reads what `read` reads, so it can run while the ledger writes. It repairs nothing.

use super::epoch::EpochDb;
use super::manifest::{Manifest, Sealed};
use super::recovery::Tally;
use super::{SledStore, View};
use crate::domain::id::Sequence;
use crate::log::merkle::Tree;
use crate::log::store::{Head, StoreFault};

impl SledStore {
    /// Recomputes everything up to the head, and gives the head. The fault names epoch and sequence of the first thing
    /// that is not as it was written. Takes about as long as a rebuild.
    pub fn verify(&self) -> Result<Head, StoreFault> {
        let view = self.view();
        let mut tree = Tree::new();
        for sealed in view.sealed.iter() {
            let db = self.readers.get(sealed)?;
            tree = check_sealed(&db, sealed, tree)?;
        }
        check_open(&view, tree)
    }
}

fn check_sealed(db: &EpochDb, sealed: &Sealed, tree: Tree) -> Result<Tree, StoreFault> {
    let epoch = sealed.epoch();
    let mut tally = Tally::new(tree);
    tally.check(db, Sequence(u64::MAX), |_| Ok(()))?;
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
    match difference(&sealed.manifest, &tally.manifest(epoch)) {
        Some(what) => Err(StoreFault::OtherManifest { epoch, sequence: end.last, what }),
        None => Ok(tally.tree),
    }
}

fn difference(recorded: &Manifest, found: &Manifest) -> Option<&'static str> {
    let fields = [
        (recorded.first == found.first, "first"),
        (recorded.last == found.last, "last"),
        (recorded.frames == found.frames, "frames"),
        (recorded.sha256 == found.sha256, "sha256"),
        (recorded == found, "frontier"),
    ];
    fields.into_iter().find_map(|(same, what)| (!same).then_some(what))
}

/// The open epoch up to the head; what comes after is being written.
fn check_open(view: &View, tree: Tree) -> Result<Head, StoreFault> {
    let epoch = view.open.number();
    let known = view.head;
    let mut tally = Tally::new(tree);
    tally.check(&view.open, known.last, |_| Ok(()))?;
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
