//! Verifying a backup where it is: the bytes of every file that its manifest names, keys too, then every frame of the log
//! and the tree over them, as a restore does. Nothing is changed.
//!
//! What an interrupted backup left beside those files is not looked at: the next backup replaces it.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::files::{self, ByteProgress, io_fault};
use super::manifest::{BackupManifest, LOG, PrivateFiles};
use super::names::LogFile;
use super::places::LOCK;
use super::source::created;
use super::{BackupFault, MANIFEST, private};
use crate::domain::id::Sequence;
use crate::domain::time::Timestamp;
use crate::log::merkle::Root;
use crate::log::sled_store::backup::ListedLog;
use crate::log::store::{EventStore as _, StoreFault};

/// What to do about a backup that is damaged.
const REMEDY: &str = "use another backup";

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The last event of the backup.
    pub last: Sequence,
    /// The root with that event.
    pub root: Root,
    /// How many sealed epochs it has.
    pub epochs: usize,
    /// How many files it has.
    pub files: usize,
    /// How many of them are private.
    pub private_files: usize,
    /// When its keys were copied, if that was by an earlier backup.
    pub keys_as_of: Option<Timestamp>,
}

/// Whether a folder is that of a backup, whole or not.
pub fn is_backup(folder: &Path) -> bool {
    folder.join(MANIFEST).exists() || folder.join(LOCK).exists()
}

impl VerifyReport {
    fn of(manifest: &BackupManifest) -> Option<Self> {
        let head = manifest.head()?;
        let private_files = manifest.private.as_ref().map_or(0, |private| private.files.len());
        Some(Self {
            last: head.last,
            root: head.root,
            epochs: manifest.epochs.len(),
            files: manifest.log_files().count() + private_files,
            private_files,
            keys_as_of: manifest.keys_as_of(),
        })
    }
}

/// Verifies the backup in a folder; the fault is the first divergence. `progress` sees the bytes that are read.
pub fn verify(folder: &Path, progress: ByteProgress<'_>) -> Result<VerifyReport, BackupFault> {
    let _lock = lock_shared(folder)?;
    let manifest =
        BackupManifest::read(folder)?.ok_or_else(|| BackupFault::NoBackup { path: folder.to_owned() })?;
    let log = folder.join(LOG);
    for file in manifest.log_files() {
        // A tail may be longer than it was.
        let limit = if matches!(file.name, LogFile::Tail(_)) { file.digest.bytes } else { u64::MAX };
        files::check(&log.join(file.name.path()), &file.digest, (limit, REMEDY), progress)?;
    }
    if let Some(PrivateFiles { folder: private, files, .. }) = &manifest.private {
        private::check_all(&folder.join(private), files, REMEDY, progress)?;
    }
    check_log(&log, &manifest)?;
    let damaged =
        || BackupFault::DamagedManifest { path: folder.join(MANIFEST), cause: "it has no root".into() };
    VerifyReport::of(&manifest).ok_or_else(damaged)
}

/// Holds the log against the manifest.
fn check_log(log: &Path, manifest: &BackupManifest) -> Result<(), BackupFault> {
    let store = ListedLog::open(log, &manifest.listed())?;
    let head = store.head()?;
    if manifest.head() != Some(head) {
        return Err(BackupFault::OtherEnd { path: log.to_owned(), last: head.last, root: head.root });
    }
    let first = store.read(Sequence::ZERO, 1)?;
    let first = first.first().ok_or(StoreFault::MissingEpoch { epoch: 1, cause: "it holds no events" })?;
    let found = files::hex(&created(first)?.ledger);
    if found != manifest.ledger {
        return Err(BackupFault::OtherLog { path: log.to_owned(), found, recorded: manifest.ledger.clone() });
    }
    store.verify()?;
    Ok(())
}

/// Keeps backups out while the folder is read, if it has a lock that can be read.
fn lock_shared(folder: &Path) -> Result<Option<File>, BackupFault> {
    let path = folder.join(LOCK);
    let Ok(file) = File::open(&path) else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(BackupFault::DestinationInUse { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io_fault("lock", &path)(error)),
    }
}
