//! Restoring a ledger from a backup, whole or up to a point.
//!
//! Everything is copied and verified under another name first: the bytes of every file, then every frame and the tree over
//! them, then every event as the writer reads it. The restored log records that it was restored. Only then the folder gets
//! its name. What can be derived (`state/`, `index/`) is not in a backup; a start derives it again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{self, Progress, beside, copy_file, io_fault, make_private_folder, sync};
use super::manifest::{BackupManifest, LOG, TERM};
use super::source::created;
use super::{BackupFault, MANIFEST, private};
use crate::domain::Command;
use crate::domain::event::LedgerCreated;
use crate::domain::id::{CommandId, ProjectId, Sequence};
use crate::domain::restore::{LastNumber, RecordRestore, RestoreMark, RestoreRefusal};
use crate::domain::time::Timestamp;
use crate::domain::usage::SeenIndex;
use crate::domain::usage::seen::{Fingerprint, Seen};
use crate::ledger::{Clock, Ledger, NoIndex, Options, Submission, SubmitError};
use crate::log::envelope::{Actor, EventDecoder, Meta, RULES_VERSION, Recorded};
use crate::log::frame::DecodedFrame;
use crate::log::merkle::Root;
use crate::log::sled_store::{SledStore, backup};
use crate::log::store::{EventStore, Head, StoreFault};

/// In a folder that a restore has not finished.
const UNFINISHED: &str = "restore.unfinished";
/// Commands that may wait: there is one.
const QUEUE: usize = 1;

/// Up to where a ledger is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Up to this event.
    Sequence(Sequence),
    /// Up to the last event recorded at or before this instant.
    Instant(Timestamp),
}

/// What is to be restored.
pub struct RestoreWish<'a> {
    /// The folder of the backup.
    pub source: &'a Path,
    /// The data folder to make.
    pub target: &'a Path,
    /// Up to where; all of it, if nothing is said.
    pub until: Option<Until>,
    /// What the operator states of numbers that were issued.
    pub last_numbers: Vec<LastNumber>,
    /// The mark of this restore, random.
    pub mark: RestoreMark,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Name and version of this program.
    pub program: String,
    /// A random id for the command that records the restore.
    pub command: [u8; 16],
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The last event that was kept.
    pub kept: Sequence,
    /// The root with that event.
    pub root: Root,
    /// The last event of the backup.
    pub backup_last: Sequence,
    /// The mark of this restore.
    pub mark: RestoreMark,
    /// The event that records it.
    pub recorded: Sequence,
    /// Whether the backup had keys.
    pub has_keys: bool,
    /// Whether it had the ring without its master key.
    pub lacks_master_key: bool,
}

/// Restores a ledger to a folder that is empty or does not exist. `progress` sees the bytes that are read.
pub fn restore(wish: &RestoreWish<'_>, progress: Progress<'_>) -> Result<RestoreReport, BackupFault> {
    let RestoreWish { source, target, .. } = *wish;
    let manifest =
        BackupManifest::read(source)?.ok_or_else(|| BackupFault::NoBackup { path: source.to_owned() })?;
    let new = prepare(target)?;
    copy_log(source, &manifest, &new, progress)?;
    if let Some(recorded) = &manifest.private {
        private::restore_all(&source.join(&recorded.folder), &recorded.files, &new, progress)?;
    }
    let log = new.join(LOG);
    let ledger = verify_and_cut(source, &manifest, &log, wish.until)?;
    let (kept, recorded) = record(wish, &manifest, &log, &ledger)?;
    let files = manifest.private.as_ref().map_or(&[][..], |private| &private.files);
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let report = RestoreReport {
        kept: kept.last,
        root: kept.root,
        backup_last: Sequence(manifest.last),
        mark: wish.mark,
        recorded,
        has_keys: has("keys/ring"),
        lacks_master_key: has("keys/ring") && !has("keys/master"),
    };
    files::sync_folders(&new)?;
    files::remove(&new.join(UNFINISHED))?;
    sync(&new)?;
    files::rename(&new, target)?;
    Ok(report)
}

/// Makes the folder that the restored ledger is put together in.
fn prepare(target: &Path) -> Result<PathBuf, BackupFault> {
    match fs::read_dir(target) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(BackupFault::TargetNotEmpty { path: target.to_owned() });
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_fault("list", target)(error)),
    }
    let new = beside(Path::new(target.to_string_lossy().trim_end_matches('/')), ".new");
    if new.exists() {
        if !new.join(UNFINISHED).exists() && !files::names_in(&new)?.is_empty() {
            return Err(BackupFault::InTheWay { path: new });
        }
        files::remove(&new)?;
    }
    make_private_folder(&new)?;
    files::replace(&new.join(UNFINISHED), b"slapledger restore was interrupted; run it again\n", 0o600)?;
    Ok(new)
}

/// Copies the files of the log, each held against its hash.
fn copy_log(
    source: &Path,
    manifest: &BackupManifest,
    new: &Path,
    progress: Progress<'_>,
) -> Result<(), BackupFault> {
    let (from, to) = (source.join(LOG), new.join(LOG));
    make_private_folder(&to)?;
    for file in manifest.log_files() {
        let (from, to) = (from.join(file.name.path()), to.join(file.name.path()));
        if let Some(folder) = to.parent() {
            make_private_folder(folder)?;
        }
        // A tail may be longer than it was: of the other files all bytes are read.
        let limit = if matches!(file.name, super::LogFile::Tail(_)) { file.digest.bytes } else { u64::MAX };
        let found = copy_file(&from, (&to, 0o600), limit, progress)?;
        if let Some(what) = file.digest.difference(&found) {
            return Err(BackupFault::OtherFile {
                path: from,
                what,
                recorded_in: MANIFEST.into(),
                remedy: "use another backup",
            });
        }
    }
    files::replace(&to.join(TERM), &manifest.term_bytes(), 0o600)
}

/// Holds the log against the manifest, and cuts it. Gives its first event.
fn verify_and_cut(
    source: &Path,
    manifest: &BackupManifest,
    log: &Path,
    until: Option<Until>,
) -> Result<LedgerCreated, BackupFault> {
    let store = SledStore::open_read_only(log)?;
    let head = store.head()?;
    let path = || source.join(LOG);
    if manifest.head() != Some(head) {
        return Err(BackupFault::OtherEnd { path: path(), last: head.last, root: head.root });
    }
    let first = store.read(Sequence::ZERO, 1)?;
    let ledger =
        created(first.first().ok_or(StoreFault::MissingEpoch { epoch: 1, cause: "it holds no events" })?)?;
    let found = files::hex(&ledger.ledger);
    if found != manifest.ledger {
        return Err(BackupFault::OtherLog { path: path(), found, recorded: manifest.ledger.clone() });
    }
    store.verify()?;
    let last = until.map(|until| Cut { store: &store, head, frame: None }.last(until)).transpose()?;
    if let Some(last) = last.filter(|last| *last < head.last) {
        backup::cut(log, store, last)?;
    }
    Ok(ledger)
}

/// Finds where a log can be cut: between two commands.
struct Cut<'a> {
    store: &'a SledStore,
    head: Head,
    /// The frame that was read last.
    frame: Option<DecodedFrame>,
}

impl Cut<'_> {
    /// The last event that is kept.
    fn last(mut self, until: Until) -> Result<Sequence, BackupFault> {
        let bad = |rule: String| {
            let until = match until {
                Until::Sequence(sequence) => sequence.to_string(),
                Until::Instant(instant) => instant.to_string(),
            };
            BackupFault::BadUntil { until, rule }
        };
        let end = self.head.last;
        let wanted = match until {
            Until::Sequence(wanted) if wanted > end => {
                return Err(bad(format!("the backup ends at sequence {end}; name it or an earlier one")));
            }
            Until::Sequence(wanted) => wanted,
            Until::Instant(instant) => self.last_at(instant)?,
        };
        let mut last = wanted;
        // Events of one command are durable together, and mean nothing apart.
        while last > Sequence::ZERO && last < end {
            if self.event(last)?.meta != self.event(last.next())?.meta {
                return Ok(last);
            }
            last = Sequence(last.0 - 1);
        }
        if last > Sequence::ZERO {
            return Ok(last);
        }
        let begun = self.event(Sequence(1))?.recorded_at;
        Err(bad(format!("nothing would be left; the ledger begins with sequence 1 at {begun}")))
    }

    /// The last event recorded at or before an instant; 0 if there is none.
    fn last_at(&mut self, instant: Timestamp) -> Result<Sequence, BackupFault> {
        // The writer never lets recorded_at run backwards.
        let (mut known, mut beyond) = (0, self.head.last.0 + 1);
        while beyond - known > 1 {
            let middle = known.midpoint(beyond);
            if self.event(Sequence(middle))?.recorded_at <= instant {
                known = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(Sequence(known))
    }

    fn event(&mut self, sequence: Sequence) -> Result<Recorded, BackupFault> {
        let holds = |frame: &DecodedFrame| frame.events().any(|(found, _)| found == sequence);
        if !self.frame.as_ref().is_some_and(holds) {
            let before = Sequence(sequence.0 - 1);
            let frame = self.store.read(before, 1)?.into_iter().next();
            let missing = StoreFault::Gap { epoch: 0, expected: sequence, found: None };
            let frame = frame.ok_or(missing)?.decode();
            self.frame = Some(frame.map_err(|source| StoreFault::Body { sequence, source })?);
        }
        let events = self.frame.iter().flat_map(DecodedFrame::events);
        let (_, bytes) = events.into_iter().find(|(found, _)| *found == sequence).ok_or(StoreFault::Gap {
            epoch: 0,
            expected: sequence,
            found: None,
        })?;
        let recorded = EventDecoder::default().decode(sequence, bytes);
        Ok(recorded.map_err(|source| crate::ledger::OpenFault::Event { sequence, source })?)
    }
}

/// Opens the restored log as the writer does, which reads every event of it, and records the restore. Gives where the log
/// ended before, and the event that was recorded.
fn record(
    wish: &RestoreWish<'_>,
    manifest: &BackupManifest,
    log: &Path,
    ledger: &LedgerCreated,
) -> Result<(Head, Sequence), BackupFault> {
    let store = Arc::new(SledStore::open(log)?);
    let kept = store.head()?;
    let options = Options {
        mode: ledger.mode,
        new_ledger: ledger.ledger,
        key_ring: ledger.key_ring,
        program: wish.program.clone(),
        queue: QUEUE,
        snapshot: None,
        seen: Box::new(|at| match at {
            Sequence::ZERO => Ok(Box::new(NoUsage) as Box<dyn SeenIndex>),
            _ => Err(NoIndex::Absent),
        }),
    };
    let running = Ledger::open(store, Arc::clone(&wish.clock), options)?;
    let place = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = path.to_string_lossy().replace(char::is_control, "?");
        Box::<str>::from(text)
    };
    let command = RecordRestore {
        ledger: ledger.ledger,
        from: place(wish.source),
        to: place(wish.target),
        backup_last: Sequence(manifest.last),
        backup_at: manifest.created_at().unwrap_or(Timestamp::MIN),
        kept: kept.last,
        root: kept.root.0,
        mark: wish.mark,
        last_numbers: wish.last_numbers.clone(),
    };
    let meta = Meta {
        project: ProjectId::DEFAULT,
        actor: Actor::system(),
        command: CommandId(wish.command),
        named_by_sender: false,
        digest: [0; 16],
        causation: None,
        correlation: None,
        rules: RULES_VERSION,
    };
    let (meta, command) = (Arc::new(meta), Command::RecordRestore(Box::new(command)));
    // The last event of a backup may be long ago. Whoever restores it says that the clock may be believed; the restore is
    // refused if it shows a time before the backup was made.
    let now = wish.clock.now();
    let done = match manifest.created_at().filter(|made_at| now < *made_at) {
        Some(backup_at) => Err(SubmitError::Refused(RestoreRefusal::ClockBehind { now, backup_at }.into())),
        None => running
            .confirm_clock_blocking(Arc::clone(&meta), now)
            .and_then(|_| running.submit_blocking(Submission { meta, command })),
    };
    let closed = running.shut_down();
    match done {
        Ok(accepted) => {
            closed?;
            Ok((kept, accepted.sequence))
        }
        Err(SubmitError::Refused(refusal)) => Err(BackupFault::Refused(refusal)),
        Err(error) => Err(BackupFault::Record(error)),
    }
}

/// An index of usage identities that knows none: a restore decides nothing about usage.
struct NoUsage;

impl SeenIndex for NoUsage {
    fn key(&self) -> [u8; 16] {
        [0; 16]
    }

    fn get(&self, _fingerprint: Fingerprint) -> Option<Seen> {
        None
    }

    fn insert(&mut self, _identity: Fingerprint, _seen: Seen) {}
}
