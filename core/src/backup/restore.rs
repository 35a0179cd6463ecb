//! Restoring a ledger from a backup, whole or up to a point.
//!
//! What can be refused early is refused before anything is copied. Then everything is copied and verified in a folder
//! that is not the target yet: the bytes of every file, then every frame and the tree over them, then every event as
//! the writer reads it. The restored log records that it was restored. Only then the files get their place (see
//! `staging`). What can be derived (`state/`, `index/`) is not in a backup; a start derives it again.

mod staging;

use std::path::Path;
use std::sync::Arc;

pub use staging::{Staging, UNFINISHED};

use super::files::{self, ByteProgress, copy_file, make_private_folder};
use super::manifest::{BackupManifest, LOG, TERM};
use super::source::created;
use super::{BackupFault, MANIFEST, places, private};
use crate::domain::Command;
use crate::domain::event::LedgerCreated;
use crate::domain::id::{CommandId, ProjectId, Sequence};
use crate::domain::restore::{LastNumber, RecordRestore, RestoreMark, check_stated};
use crate::domain::time::Timestamp;
use crate::domain::usage::SeenIndex;
use crate::domain::usage::seen::{Fingerprint, KnownUsage};
use crate::ledger::{Clock, Ledger, LedgerOptions, NoIndex, Submission, SubmitError, last_event};
use crate::log::envelope::{Actor, EventDecoder, Meta, RULES_VERSION, Recorded};
use crate::log::frame::DecodedFrame;
use crate::log::merkle::Root;
use crate::log::sled_store::SledStore;
use crate::log::sled_store::backup::{self, ListedLog};
use crate::log::store::{EventStore, Head, StoreFault};

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
    /// The operator states that the clock is right, although the backup or its last event is of a later time.
    pub clock_confirmed: bool,
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
    /// The last event that was asked for: later than `kept` if that is within a command, which is left out whole.
    pub wanted: Sequence,
    /// The root with the last event that was kept.
    pub root: Root,
    /// The last event of the backup.
    pub backup_last: Sequence,
    /// The mark of this restore.
    pub mark: RestoreMark,
    /// The event that records it.
    pub recorded: Sequence,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When the keys of the backup were copied, if that was before it was made.
    pub keys_as_of: Option<Timestamp>,
    /// Whether the backup had keys.
    pub has_keys: bool,
    /// Whether it had the ring without its master key.
    pub lacks_master_key: bool,
}

/// Restores a ledger to a folder that is empty or does not exist. `progress` sees the bytes that are read.
pub fn restore(wish: &RestoreWish<'_>, progress: ByteProgress<'_>) -> Result<RestoreReport, BackupFault> {
    let RestoreWish { source, target, .. } = *wish;
    let manifest =
        BackupManifest::read(source)?.ok_or_else(|| BackupFault::NoBackup { path: source.to_owned() })?;
    let target = places::check_target(source, target)?;
    check_first(wish, &manifest)?;
    let staging = Staging::begin(&target)?;
    match fill(wish, &manifest, staging.folder(), progress) {
        Ok(report) => {
            staging.finish()?;
            Ok(report)
        }
        Err(fault) => {
            // It may hold keys.
            staging.abandon();
            Err(fault)
        }
    }
}

/// Refuses what can be refused before anything is copied. Damage of the log is found as it is copied, with its file.
fn check_first(wish: &RestoreWish<'_>, manifest: &BackupManifest) -> Result<(), BackupFault> {
    let now = wish.clock.now();
    check_stated(&wish.last_numbers, now).map_err(|refusal| BackupFault::Refused(refusal.into()))?;
    if let Some(at) = manifest.created_at() {
        check_clock(wish, now, ("the backup", at))?;
    }
    let Ok(store) = ListedLog::open(&wish.source.join(LOG), &manifest.listed()) else { return Ok(()) };
    match check_log(wish, &store) {
        Err(fault @ (BackupFault::BadUntil { .. } | BackupFault::ClockBehind { .. })) => Err(fault),
        _ => Ok(()),
    }
}

fn check_log(wish: &RestoreWish<'_>, store: &SledStore) -> Result<(), BackupFault> {
    if let Some(last) = last_event(store)? {
        check_clock(wish, wish.clock.now(), ("its last event", last.recorded_at))?;
    }
    if let Some(until) = wish.until {
        Cut { store, head: store.head()?, frame: None }.last(until)?;
    }
    Ok(())
}

/// Documents would be dated before those that were issued.
fn check_clock(
    wish: &RestoreWish<'_>,
    now: Timestamp,
    (what, at): (&'static str, Timestamp),
) -> Result<(), BackupFault> {
    if now < at && !wish.clock_confirmed {
        return Err(BackupFault::ClockBehind { now, what, at });
    }
    Ok(())
}

/// Puts the restored ledger together in a new folder.
fn fill(
    wish: &RestoreWish<'_>,
    manifest: &BackupManifest,
    new: &Path,
    progress: ByteProgress<'_>,
) -> Result<RestoreReport, BackupFault> {
    copy_log(wish.source, manifest, new, progress)?;
    if let Some(recorded) = &manifest.private {
        private::restore_all(&wish.source.join(&recorded.folder), &recorded.files, new, progress)?;
    }
    let log = new.join(LOG);
    let (ledger, wanted) = verify_and_cut(wish, manifest, &log)?;
    let (kept, recorded, recorded_at) = record(wish, manifest, &log, &ledger)?;
    let files = manifest.private.as_ref().map_or(&[][..], |private| &private.files);
    let has = |path: &str| files.iter().any(|file| file.path == path);
    Ok(RestoreReport {
        kept: kept.last,
        wanted,
        root: kept.root,
        backup_last: Sequence(manifest.last),
        mark: wish.mark,
        recorded,
        recorded_at,
        keys_as_of: manifest.keys_as_of(),
        has_keys: has("keys/ring"),
        lacks_master_key: has("keys/ring") && !has("keys/master"),
    })
}

/// Copies the files of the log, each held against its hash.
fn copy_log(
    source: &Path,
    manifest: &BackupManifest,
    new: &Path,
    progress: ByteProgress<'_>,
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
        let found = copy_file(&from, (&to, 0o600), limit, progress)
            .map_err(|fault| files::missing(fault, &from, "use another backup"))?;
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

/// Holds the log against the manifest, and cuts it. Gives its first event, and the last one that was asked for.
fn verify_and_cut(
    wish: &RestoreWish<'_>,
    manifest: &BackupManifest,
    log: &Path,
) -> Result<(LedgerCreated, Sequence), BackupFault> {
    let store = SledStore::open_read_only(log)?;
    let head = store.head()?;
    let path = || wish.source.join(LOG);
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
    if let Some(last) = last_event(&store)? {
        check_clock(wish, wish.clock.now(), ("its last event", last.recorded_at))?;
    }
    let cut = wish.until.map(|until| Cut { store: &store, head, frame: None }.last(until)).transpose()?;
    let (last, wanted) = cut.unwrap_or((head.last, head.last));
    if last < head.last {
        backup::cut(log, store, last)?;
    }
    Ok((ledger, wanted))
}

/// Finds where a log can be cut: between two commands.
struct Cut<'a> {
    store: &'a SledStore,
    head: Head,
    /// The frame that was read last.
    frame: Option<DecodedFrame>,
}

impl Cut<'_> {
    /// The last event that is kept, and the last one that was asked for.
    fn last(mut self, until: Until) -> Result<(Sequence, Sequence), BackupFault> {
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
                return Ok((last, wanted));
            }
            last = Sequence(last.0 - 1);
        }
        if last > Sequence::ZERO {
            return Ok((last, wanted));
        }
        let begun = self.event(Sequence(1))?.recorded_at;
        let first = self.first_command()?;
        Err(bad(format!(
            "nothing would be left; the ledger begins with sequence 1 at {begun}, and its first command is complete with \
             sequence {first}: name that or a later point"
        )))
    }

    /// The last event of the first command.
    fn first_command(&mut self) -> Result<Sequence, BackupFault> {
        let mut last = Sequence(1);
        let meta = self.event(last)?.meta;
        while last < self.head.last && self.event(last.next())?.meta == meta {
            last = last.next();
        }
        Ok(last)
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

/// Opens the restored log as the writer does, which reads every event of it, and records the restore. Gives where the
/// log ended before, the event that was recorded, and when.
fn record(
    wish: &RestoreWish<'_>,
    manifest: &BackupManifest,
    log: &Path,
    ledger: &LedgerCreated,
) -> Result<(Head, Sequence, Timestamp), BackupFault> {
    let store = Arc::new(SledStore::open(log)?);
    let written = Arc::clone(&store);
    let kept = store.head()?;
    let options = LedgerOptions {
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
        clock_confirmed: wish.clock_confirmed,
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
    // The last event of a backup may be long ago. Anyone who restores it says that the clock may be believed.
    let done = running
        .confirm_clock_blocking(Arc::clone(&meta), wish.clock.now())
        .and_then(|_| running.submit_blocking(Submission { meta, command }));
    let closed = running.shut_down();
    match done {
        Ok(accepted) => {
            closed?;
            let recorded = last_event(&*written)?.map_or(Timestamp::MIN, |event| event.recorded_at);
            Ok((kept, accepted.sequence, recorded))
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

    fn get(&self, _fingerprint: Fingerprint) -> Option<KnownUsage> {
        None
    }

    fn insert(&mut self, _identity: Fingerprint, _seen: KnownUsage) {}
}
