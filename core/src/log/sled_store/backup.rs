//! What backups, restores and repairs need to know of the folder of a log: which files it consists of up to a durable
//! point, whether copies of them continue each other, and how it is cut.
//!
//! A plan is made without the lock of the folder, also while somebody writes: the head is read before the tails, so
//! what was acknowledged by then is in them. Whether a tail was sealed, and its file used again, while it was copied,
//! is found by the reader of the copy.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::SledStore;
use super::copy::{CopyPlaces, ScratchFolder, SealedCopy};
use super::epoch::EpochDb;
use super::folder::EpochPlace;
use super::folder::{self, Listing, io_fault};
use super::head;
use super::manifest::{EpochManifest, FILES, SealedManifest};
use super::recovery;
use super::tail::Tail;
use super::tally::Tally;
use crate::domain::id::Sequence;
use crate::log::frame::{Frame, pack};
use crate::log::merkle::{Root, Tree};
use crate::log::store::{EventStore, Head, StoreFault};

/// Read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// What a log consists of up to a durable point.
#[derive(Debug, Clone)]
pub struct LogPlan {
    /// Where it ends.
    pub head: Head,
    /// The sealed epochs, in order.
    pub epochs: Vec<EpochPlan>,
    /// The tails of the epochs that are not sealed, in order.
    pub tails: Vec<TailPlan>,
    /// The frame with the first event, if it is in a tail.
    pub first_frame: Option<Frame>,
}

/// A sealed epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochPlan {
    /// Its number.
    pub number: u32,
    /// Its first event.
    pub first: Sequence,
    /// Its last event.
    pub last: Sequence,
    /// The root with that event.
    pub root: Root,
    /// Length and SHA-256 of the settings of its database, if its manifest has them.
    pub settings: Option<(u64, String)>,
    /// Length and SHA-256 of its database, if its manifest has them.
    pub database: Option<(u64, String)>,
}

/// A tail up to a durable point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailPlan {
    /// The number of its epoch.
    pub number: u32,
    /// Its first event.
    pub first: Sequence,
    /// Its last event, or the one before its first.
    pub last: Sequence,
    /// How many bytes of the file hold that.
    pub bytes: u64,
}

/// What copied tails hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadTails {
    /// Where they end.
    pub head: Head,
    /// The root at the sequence that was asked for, if they hold it.
    pub root_at: Option<Root>,
}

impl SledStore {
    /// The folder of the log.
    pub fn folder(&self) -> &Path {
        &self.shared.dir
    }

    /// How many epochs are sealed.
    pub fn sealed_count(&self) -> usize {
        self.shared.view.read().sealed.len()
    }

    /// What the log consists of up to the last event that was acknowledged.
    pub fn backup_plan(&self) -> Result<LogPlan, StoreFault> {
        let view = self.view();
        let mut first_frame = None;
        let mut tails = Vec::with_capacity(view.tails.len());
        for tail in view.tails.iter() {
            let EpochPlace { number, first } = tail.place();
            let last = tail.last().min(view.head.last);
            tails.push(TailPlan { number, first, last, bytes: tail.end_after(last) });
            if first == Sequence(1) && last >= first {
                first_frame = tail.read(first, last, 1)?.into_iter().next();
            }
        }
        let epochs = view.sealed.iter().map(epoch_plan).collect();
        Ok(LogPlan { head: view.head, epochs, tails, first_frame })
    }
}

/// What the log in a folder consists of, while somebody may be writing to it.
pub fn plan_of_folder(dir: &Path) -> Result<LogPlan, StoreFault> {
    let acknowledged = head::read(dir)?.map_or(Sequence::ZERO, |known| known.head.last);
    if !is_in_use(dir)? {
        return plan_of_idle_folder(dir);
    }
    let listing = folder::list(dir)?;
    let sealed = recovery::read_manifests(dir, &listing)?;
    let tails = recovery::open_tails(dir, &listing, sealed.len(), false)?;
    let mut tally = Tally::new(sealed.last().map_or_else(Tree::new, |sealed| sealed.tree.clone()));
    let (mut plans, mut first_frame) = (Vec::with_capacity(tails.len()), None);
    for tail in &tails {
        let EpochPlace { number, first } = tail.place();
        recovery::check_place(tail, tally.head())?;
        tail.scan_live(|frames| {
            if first_frame.is_none() {
                first_frame = frames.first().filter(|frame| frame.first() == Sequence(1)).cloned();
            }
            frames.into_iter().try_for_each(|frame| tally.take(number, frame, &mut |_, _| Ok(())))
        })?;
        tally.settle(&mut |_, _| Ok(()))?;
        plans.push(TailPlan { number, first, last: tail.last(), bytes: tail.end() });
    }
    // What was read but not yet synced by the writer.
    tails.iter().try_for_each(|tail| tail.sync())?;
    let head = tally.head();
    if head.last < acknowledged {
        let epoch = tails.last().map_or(1, |tail| tail.place().number);
        let (last, witness, found) = (head.last, "head".to_owned(), String::new());
        return Err(StoreFault::Shorter { epoch, last, witness, known: acknowledged, found });
    }
    Ok(LogPlan { head, epochs: sealed.iter().map(epoch_plan).collect(), tails: plans, first_frame })
}

/// The same of a folder that nobody writes to: its end is held against all that knows it.
fn plan_of_idle_folder(dir: &Path) -> Result<LogPlan, StoreFault> {
    let options = super::StoreOptions::default();
    let found = recovery::inspect(dir, false, &CopyPlaces::elsewhere(), options.patience)?;
    if found.old.is_some() {
        return Err(StoreFault::DamagedFile {
            path: dir.to_owned(),
            cause: "its open epoch was written by an earlier version; start the server once, then back it up"
                .into(),
        });
    }
    let head = found.head();
    let mut first_frame = None;
    let mut plans = Vec::with_capacity(found.tails.len());
    for tail in &found.tails {
        let EpochPlace { number, first } = tail.place();
        plans.push(TailPlan { number, first, last: tail.last(), bytes: tail.end() });
        if first == Sequence(1) && tail.last() >= first {
            first_frame = tail.read(first, tail.last(), 1)?.into_iter().next();
        }
    }
    Ok(LogPlan { head, epochs: found.sealed.iter().map(epoch_plan).collect(), tails: plans, first_frame })
}

/// Whether a writer has the folder.
fn is_in_use(dir: &Path) -> Result<bool, StoreFault> {
    let path = dir.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_fault("open", &path)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(io_fault("lock", &path)(error)),
    }
}

fn epoch_plan(sealed: &SealedManifest) -> EpochPlan {
    let file = |name: &str| {
        let file = sealed.manifest.files.iter().find(|file| file.name == name)?;
        Some((file.bytes, file.sha256.clone()))
    };
    let [settings, database] = FILES.map(file);
    let Head { last, root } = sealed.head();
    EpochPlan { number: sealed.epoch(), first: sealed.place().first, last, root, settings, database }
}

/// Which epochs the folder of a log has, by number.
#[derive(Debug, Clone)]
pub struct EpochNumbers {
    /// Those with a manifest, in order.
    pub manifests: Vec<u32>,
    /// Those with a tail, in order.
    pub tails: Vec<u32>,
    /// Those with a folder of a database, in order.
    pub databases: Vec<u32>,
}

/// Which epochs the folder of a log has.
pub fn epoch_numbers(dir: &Path) -> Result<EpochNumbers, StoreFault> {
    let Listing { manifests, tails, epochs, .. } = folder::list(dir)?;
    Ok(EpochNumbers { manifests, tails, databases: epochs })
}

/// A sealed epoch, as its manifest has it; `before` is the last event of the epoch before.
pub fn sealed_epoch(dir: &Path, number: u32, before: Sequence) -> Result<EpochPlan, StoreFault> {
    Ok(epoch_plan(&EpochManifest::read(dir, number, before)?))
}

/// Whether an epoch that has a manifest or a tail continues a log that ends here: with this sequence and this root.
pub fn continues(dir: &Path, number: u32, end: Head) -> Result<bool, StoreFault> {
    if folder::tail_path(dir, number).exists() {
        let tail = Tail::open(dir, number, false)?;
        return Ok(tail.place().first == end.last.next() && tail.root_before() == end.root);
    }
    let first = end.last.next();
    if EpochManifest::read(dir, number, end.last).is_err() {
        return Ok(false);
    }
    Ok(frame_of_sealed(dir, (number, first), first)?.header().root_before == end.root)
}

/// The files of a log that are opened: a copy may have others beside them.
#[derive(Debug, Clone)]
pub struct ListedFiles {
    /// The sealed epochs.
    pub epochs: Vec<u32>,
    /// The tails, and how many bytes of each.
    pub tails: Vec<(u32, u64)>,
    /// The bytes of the file with the term.
    pub term: Vec<u8>,
}

/// A log of which only the listed files are seen, opened to be read where it is.
pub struct ListedLog {
    store: SledStore,
    _scratch: ScratchFolder,
}

impl std::ops::Deref for ListedLog {
    type Target = SledStore;
    fn deref(&self) -> &SledStore {
        &self.store
    }
}

impl ListedLog {
    /// Opens these files of the log in a folder. Nothing in the folder is changed.
    pub fn open(dir: &Path, listed: &ListedFiles) -> Result<Self, StoreFault> {
        let dir = dir.canonicalize().map_err(io_fault("open", dir))?;
        let scratch = ScratchFolder::create(&CopyPlaces::elsewhere(), "listed")?;
        let here = scratch.path();
        let link = |from: PathBuf, to: PathBuf| symlink(&from, &to).map_err(io_fault("link", &from));
        for epoch in &listed.epochs {
            link(folder::epoch_path(&dir, *epoch), folder::epoch_path(here, *epoch))?;
            link(folder::manifest_path(&dir, *epoch), folder::manifest_path(here, *epoch))?;
        }
        for (epoch, bytes) in &listed.tails {
            let (from, to) = (folder::tail_path(&dir, *epoch), folder::tail_path(here, *epoch));
            let mut file = File::open(&from).map_err(io_fault("open", &from))?;
            if file.metadata().map_err(io_fault("look at", &from))?.len() == *bytes {
                link(from, to)?;
                continue;
            }
            let mut copy = File::create(&to).map_err(io_fault("create", &to))?;
            std::io::copy(&mut (&mut file).take(*bytes), &mut copy).map_err(io_fault("copy", &from))?;
        }
        let term = here.join("term");
        std::fs::write(&term, &listed.term).map_err(io_fault("write", &term))?;
        Ok(Self { store: SledStore::open_read_only(here)?, _scratch: scratch })
    }
}

/// Keeps writers and readers out of a folder for as long as the file is open.
pub fn lock(dir: &Path) -> Result<File, StoreFault> {
    folder::lock(dir, super::StoreOptions::default().patience)
}

/// The frame with the first event of a log whose first epoch is sealed.
pub fn first_frame(dir: &Path) -> Result<Frame, StoreFault> {
    frame_of_sealed(dir, (1, Sequence(1)), Sequence(1))
}

/// The root at a sequence inside a sealed epoch, if a frame ends there.
pub fn root_in_epoch(
    dir: &Path,
    epoch: u32,
    first: Sequence,
    at: Sequence,
) -> Result<Option<Root>, StoreFault> {
    let frame = frame_of_sealed(dir, (epoch, first), at.next())?;
    Ok((frame.first() == at.next()).then(|| frame.header().root_before))
}

/// The frame that holds a sequence of a sealed epoch.
fn frame_of_sealed(
    dir: &Path,
    (epoch, first): (u32, Sequence),
    sequence: Sequence,
) -> Result<Frame, StoreFault> {
    let sealed = EpochManifest::read(dir, epoch, Sequence(first.0.saturating_sub(1)))?;
    let copy = SealedCopy::of_sealed(dir, &sealed, &CopyPlaces::elsewhere())?;
    let db = EpochDb::open_copy(copy, sealed.place(), super::StoreOptions::default().patience)?;
    let mut found = None;
    db.scan(db.key_holding(sequence)?, sequence, |frame| {
        found = Some(frame);
        Ok(ControlFlow::Break(()))
    })?;
    found.ok_or(StoreFault::Gap { epoch, expected: sequence, found: None })
}

/// Reads copied tails, which continue the newest sealed epoch of a log: its number and its first sequence.
pub fn read_tails(
    dir: &Path,
    numbers: &[u32],
    (log, sealed): (&Path, Option<(u32, Sequence)>),
    at: Option<Sequence>,
) -> Result<ReadTails, StoreFault> {
    let tree = match sealed {
        Some((epoch, first)) => EpochManifest::read(log, epoch, Sequence(first.0.saturating_sub(1)))?.tree,
        None => Tree::new(),
    };
    let mut tally = Tally::new(tree);
    let mut root_at = None;
    let mut note = |head: Head| {
        if Some(head.last) == at {
            root_at = Some(head.root);
        }
    };
    note(tally.head());
    for number in numbers {
        let tail = Tail::open(dir, *number, false)?;
        recovery::check_place(&tail, tally.head())?;
        let mut checked = |_, head| {
            note(head);
            Ok(())
        };
        tail.scan(|frames| {
            frames.into_iter().try_for_each(|frame| tally.take(*number, frame, &mut checked))
        })?;
        tally.settle(&mut checked)?;
    }
    Ok(ReadTails { head: tally.head(), root_at })
}

/// Cuts a log after an event: its epoch gets a tail that ends there, and all that comes after goes. The store reads the
/// log in this folder, which nobody else uses.
pub fn cut(dir: &Path, store: SledStore, last: Sequence) -> Result<(), StoreFault> {
    let (place, mut tree) = epoch_of(&store, last);
    let tail = Tail::create_unfinished(dir, place, tree.root())?;
    let mut after = Sequence(place.first.0 - 1);
    let mut buffer = Vec::new();
    while after < last {
        let mut kept = Vec::new();
        for mut frame in store.read(after, READ_BYTES)? {
            let first = frame.first();
            let body = |source| StoreFault::Body { sequence: first, source };
            if frame.last() <= last {
                after = frame.last();
                frame.advance(&mut tree).map_err(body)?;
                kept.push(frame);
                continue;
            }
            let decoded = frame.decode().map_err(body)?;
            let events = decoded.events().filter(|(sequence, _)| *sequence <= last);
            let events: Vec<_> = events.map(|(_, bytes)| bytes.to_vec()).collect();
            let packed = pack(&mut tree, &events);
            kept.extend(packed.map_err(|error| StoreFault::Stopped { cause: error.to_string() })?);
            after = last;
            break;
        }
        if kept.is_empty() {
            return Err(StoreFault::Gap { epoch: place.number, expected: after.next(), found: None });
        }
        tail.append(&kept, &mut buffer)?;
    }
    drop(store);
    let listing = folder::list(dir)?;
    let later = |numbers: &[u32]| {
        let from = numbers.partition_point(|number| *number < place.number);
        numbers[from..].to_vec()
    };
    // Manifests first: an epoch without one is not sealed.
    for number in later(&listing.manifests) {
        folder::remove(&folder::manifest_path(dir, number))?;
    }
    for number in later(&listing.clean) {
        folder::remove(&folder::clean_path(dir, number))?;
    }
    for number in later(&listing.epochs) {
        folder::remove(&folder::epoch_path(dir, number))?;
    }
    for number in later(&listing.tails) {
        folder::remove(&folder::tail_path(dir, number))?;
    }
    tail.publish(dir)
}

/// The epoch that holds an event, and the tree before its first one.
fn epoch_of(store: &SledStore, sequence: Sequence) -> (EpochPlace, Tree) {
    let view = store.view();
    let sealed = view.sealed.partition_point(|sealed| sealed.head().last < sequence);
    let before = |nth: usize| nth.checked_sub(1).and_then(|nth| view.sealed.get(nth));
    if let Some(found) = view.sealed.get(sealed) {
        return (found.place(), before(sealed).map_or_else(Tree::new, |sealed| sealed.tree.clone()));
    }
    let mut tree = before(sealed).map_or_else(Tree::new, |sealed| sealed.tree.clone());
    let mut place = EpochPlace { number: 1, first: Sequence(1) };
    for tail in view.tails.iter() {
        place = tail.place();
        if tail.last() >= sequence {
            break;
        }
        if let Some(after) = tail.tree_after() {
            tree = after.clone();
        }
    }
    (place, tree)
}
