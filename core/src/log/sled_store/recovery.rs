//! Opening the folder: finds out where the log ends, and whether it is whole as far as can be told without reading
//! the sealed epochs.
//!
//! [`inspect`] changes nothing, whatever it finds. [`prepare`] makes the folder ready to be written, and is only called
//! when nothing was refused. States that a crash leaves, and which therefore open: anything named `.new`; a tail that ends
//! in a record that is not whole; the tails of several epochs; a manifest beside its tail; a database without a record of
//! a clean shutdown; a log that is longer than its witnesses.
//!
//! The records of the tails are read, decoded and hashed. The sealed epochs are left to readers, scrub and `verify`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::clean::CleanRecord;
use super::copy::{self, CopyPlaces, hash_file};
use super::folder::EpochPlace;
use super::folder::{self, Listing, epoch_path};
use super::head::{self, Acknowledged, HeadFile};
use super::manifest::{EpochManifest, SealedManifest};
use super::old::OldEpoch;
use super::tail::Tail;
use super::tally::Tally;
use super::term;
use crate::domain::id::Sequence;
use crate::log::merkle::Tree;
use crate::log::store::{Head, StoreFault, Term};

/// What was found.
pub(super) struct Inspected {
    pub(super) sealed: Vec<SealedManifest>,
    /// Of the epochs that are not sealed, in order. The last one is the open epoch; a new log has none.
    pub(super) tails: Vec<Arc<Tail>>,
    /// The open epoch of a folder of format 1, which has no tail.
    pub(super) old: Option<OldEpoch>,
    pub(super) tree: Tree,
    pub(super) term: Term,
    listing: Listing,
}

impl Inspected {
    /// The end of the log.
    pub(super) fn head(&self) -> Head {
        Head { last: Sequence(self.tree.size()), root: self.tree.root() }
    }

    /// The epoch that comes after the sealed ones and the tails.
    fn next_place(&self) -> EpochPlace {
        let before = self.sealed.len() + self.tails.len();
        let number = u32::try_from(before + 1).unwrap_or(u32::MAX);
        EpochPlace { number, first: Sequence(self.tree.size()).next() }
    }
}

/// Reads the folder. Changes nothing in it.
pub(super) fn inspect(
    dir: &Path,
    to_write: bool,
    places: &CopyPlaces,
    patience: Duration,
) -> Result<Inspected, StoreFault> {
    let listing = folder::list(dir)?;
    let acknowledged = head::read(dir)?;
    let sealed = read_manifests(dir, &listing)?;
    let terms = term::read(dir)?;
    if terms.has_damaged_slot {
        tracing::warn!(path = %dir.join("term").display(), "a slot of the term file is damaged; the other one counts");
    }
    let tree = sealed.last().map_or_else(Tree::new, |sealed| sealed.tree.clone());
    let tails = open_tails(dir, &listing, sealed.len(), to_write)?;
    let place = EpochPlace {
        number: u32::try_from(sealed.len() + 1).unwrap_or(u32::MAX),
        first: Sequence(tree.size()).next(),
    };
    let has_database = listing.epochs.binary_search(&place.number).is_ok();
    let is_format_1 = terms.is_format_1 || terms.term.is_none();
    let known = acknowledged.map_or(Head::EMPTY, |known| known.head);
    if tails.is_empty() && has_database && !is_format_1 {
        return Err(StoreFault::MissingEpoch { epoch: place.number, cause: "its tail is not there" });
    }
    let mut met = Met::new(known, place.number, Head { last: Sequence(tree.size()), root: tree.root() })?;
    let mut tally = Tally::new(tree);
    let mut end = None;
    let mut old = None;
    if tails.is_empty() && has_database && epoch_path(dir, place.number).join("db").exists() {
        let epoch = OldEpoch::open(dir, (place, tally.head().root), places, patience)?;
        epoch.each(|frame| tally.take(place.number, frame, &mut |epoch, head| met.check(epoch, head)))?;
        tally.settle(&mut |epoch, head| met.check(epoch, head))?;
        old = Some(epoch);
    }
    let last_tail = tails.last().map_or(0, |tail| tail.place().number);
    for tail in &tails {
        let epoch = tail.place().number;
        check_place(tail, tally.head())?;
        let mut checked = |epoch, head| met.check(epoch, head);
        let found = tail
            .scan(|frames| frames.into_iter().try_for_each(|frame| tally.take(epoch, frame, &mut checked)));
        // What was read before a fault comes before it in the log.
        tally.settle(&mut checked)?;
        end = Some(found?);
        if tail.place().number < last_tail {
            tail.end_with(tally.tree().clone());
        }
    }
    let head = tally.head();
    let open_epoch = tails.last().map_or(place.number, |tail| tail.place().number);
    let witnesses = witnesses(dir, &listing, &sealed, known)?;
    if let Some((witness, known)) = witnesses.into_iter().find(|(_, known)| *known > head.last) {
        let found = end.map_or_else(
            || "its tail is not there".to_owned(),
            |end| format!("at byte {} of its tail {}", end.at, end.cause),
        );
        return Err(StoreFault::Shorter { epoch: open_epoch, last: head.last, found, witness, known });
    }
    met.finish(open_epoch, head)?;
    let term = newest_term(dir, terms.term, head, acknowledged)?;
    Ok(Inspected { sealed, tails, old, tree: tally.into_tree(), term, listing })
}

/// Makes the folder ready to be written: what a crash left goes, and the log has a tail to write to.
pub(super) fn prepare(dir: &Path, mut found: Inspected) -> Result<(Inspected, HeadFile), StoreFault> {
    for path in &found.listing.unfinished {
        folder::remove(path)?;
    }
    folder::remove(&folder::scratch_path(dir))?;
    remove_sealed_tails(dir, &found)?;
    let head = found.head();
    // A process that was killed between write and sync left records that nobody made durable; from here on decisions see
    // them.
    for tail in &found.tails {
        tail.sync()?;
    }
    let place = found.next_place();
    if let Some(old) = found.old.take() {
        old.write_tail(dir)?;
        let tail = Tail::open(dir, place.number, true)?;
        tail.scan(|_| Ok(()))?;
        found.tails.push(Arc::new(tail));
        tracing::info!(epoch = place.number, "the open epoch of a folder of format 1 got a tail");
    } else if found.tails.is_empty() {
        found.tails.push(Arc::new(Tail::create(dir, place, head.root)?));
    }
    let (mut head_file, acknowledged) = HeadFile::open(dir)?;
    if head != Head::EMPTY && acknowledged.is_none() {
        tracing::warn!(last = head.last.0, "the head file knew nothing: it was written anew from the log");
    }
    if head != Head::EMPTY && acknowledged.is_none_or(|known| known.head != head) {
        // Killed between the log and its head, or a power cut: the log is what counts.
        head_file.write(Acknowledged { head, term: found.term })?;
    }
    folder::sync(dir)?;
    Ok((found, head_file))
}

/// A crash between the manifest of an epoch and the end of its tail left the tail behind. It goes when the database is
/// what the manifest says; else it is kept, as it may be the only whole copy.
fn remove_sealed_tails(dir: &Path, found: &Inspected) -> Result<(), StoreFault> {
    for sealed in &found.sealed {
        let number = sealed.epoch();
        if found.listing.tails.binary_search(&number).is_err() {
            continue;
        }
        let folder = epoch_path(dir, number);
        let is_whole = sealed.manifest.files.iter().all(|known| {
            hash_file(&folder.join(&known.name), &known.name)
                .and_then(|hashed| copy::check(&folder, sealed, known, &hashed))
                .is_ok()
        });
        if is_whole && sealed.knows_files() {
            folder::remove(&folder::tail_path(dir, number))?;
        } else {
            tracing::warn!(
                epoch = number,
                "the tail of a sealed epoch is kept: its database is not what was sealed"
            );
        }
    }
    Ok(())
}

pub(super) fn read_manifests(dir: &Path, listing: &Listing) -> Result<Vec<SealedManifest>, StoreFault> {
    let mut sealed: Vec<SealedManifest> = Vec::new();
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
        let next = EpochManifest::read(dir, epoch, before)?;
        check_lengths(dir, &next)?;
        before = next.head().last;
        sealed.push(next);
    }
    Ok(sealed)
}

/// That the files of a sealed epoch are as long as they were: what can be told at once.
fn check_lengths(dir: &Path, sealed: &SealedManifest) -> Result<(), StoreFault> {
    let folder = epoch_path(dir, sealed.epoch());
    for known in &sealed.manifest.files {
        let path = folder.join(&known.name);
        let bytes = std::fs::metadata(&path).map_err(folder::io_fault("look at", &path))?.len();
        if bytes != known.bytes {
            let (epoch, first, last) = (sealed.epoch(), sealed.place().first, sealed.head().last);
            return Err(StoreFault::OtherFile { path, epoch, first, last, what: "length" });
        }
    }
    Ok(())
}

/// The tails of the epochs after the sealed ones. One of a sealed epoch is what a crash left.
pub(super) fn open_tails(
    dir: &Path,
    listing: &Listing,
    sealed: usize,
    to_write: bool,
) -> Result<Vec<Arc<Tail>>, StoreFault> {
    let sealed = u32::try_from(sealed).unwrap_or(u32::MAX);
    let mut tails = Vec::new();
    let unsealed =
        |numbers: &[u32]| numbers.iter().copied().filter(|number| *number > sealed).collect::<Vec<_>>();
    for (number, expected) in unsealed(&listing.tails).into_iter().zip(sealed + 1..) {
        if number != expected {
            let cause = "it has no tail and no manifest, but a later epoch has; a copy of a folder in use may be so: copy it with `slapledger backup`";
            return Err(StoreFault::MissingEpoch { epoch: expected, cause });
        }
        tails.push(Arc::new(Tail::open(dir, number, to_write)?));
    }
    let after = sealed + u32::try_from(tails.len()).unwrap_or(u32::MAX);
    let open = after.max(sealed + 1);
    match listing.epochs.last() {
        Some(&last) if last > open => {
            let cause = "it has no tail and no manifest, but a later epoch is there";
            Err(StoreFault::MissingEpoch { epoch: after + 1, cause })
        }
        _ => Ok(tails),
    }
}

/// That a tail begins where the log before it ends.
pub(super) fn check_place(tail: &Tail, before: Head) -> Result<(), StoreFault> {
    let damaged = |cause| Err(StoreFault::DamagedFile { path: tail.path().to_owned(), cause });
    let (first, expected) = (tail.place().first, before.last.next());
    if first != expected {
        return damaged(format!("it begins with sequence {first}, not {expected}"));
    }
    if tail.root_before() != before.root {
        return damaged(format!("it continues root {}, not {}", tail.root_before(), before.root));
    }
    Ok(())
}

/// What other files know of how far the log goes, the nearest first.
fn witnesses(
    dir: &Path,
    listing: &Listing,
    sealed: &[SealedManifest],
    acknowledged: Head,
) -> Result<Vec<(String, Sequence)>, StoreFault> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut known = vec![(name(&dir.join("head")), acknowledged.last)];
    for epoch in listing.clean.iter().copied().filter(|epoch| *epoch as usize > sealed.len()) {
        if let Some(clean) = CleanRecord::read(dir, epoch)? {
            known.push((name(&folder::clean_path(dir, epoch)), clean.last()));
        }
    }
    Ok(known)
}

/// Whether the log has what was acknowledged, at the same place and with the same root.
struct Met {
    known: Head,
    is_met: bool,
}

impl Met {
    /// `start` is where the sealed epochs end. A head from before that says nothing about the tails.
    fn new(known: Head, epoch: u32, start: Head) -> Result<Self, StoreFault> {
        if known.last == start.last {
            check_root(epoch, known, start)?;
        }
        Ok(Self { known, is_met: known.last <= start.last })
    }

    fn check(&mut self, epoch: u32, head: Head) -> Result<(), StoreFault> {
        if head.last == self.known.last {
            check_root(epoch, self.known, head)?;
            self.is_met = true;
        }
        Ok(())
    }

    fn finish(&self, epoch: u32, end: Head) -> Result<(), StoreFault> {
        if self.is_met {
            return Ok(());
        }
        Err(StoreFault::Gap { epoch, expected: self.known.last, found: Some(end.last) })
    }
}

fn check_root(epoch: u32, known: Head, found: Head) -> Result<(), StoreFault> {
    if known.root == found.root {
        return Ok(());
    }
    Err(StoreFault::OtherRoot { epoch, sequence: known.last, expected: known.root, found: found.root })
}

fn newest_term(
    dir: &Path,
    term: Option<Term>,
    head: Head,
    acknowledged: Option<Acknowledged>,
) -> Result<Term, StoreFault> {
    match term {
        Some(term) => Ok(acknowledged.map_or(term, |known| known.term.max(term))),
        None if head == Head::EMPTY => Ok(Term::default()),
        None => {
            let cause = "it is not there, but the log holds events".into();
            Err(StoreFault::DamagedFile { path: dir.join("term"), cause })
        }
    }
}
