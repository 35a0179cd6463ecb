//! Repairing sealed epochs from a backup: files that do not match their manifest come back, and nothing else changes.
//!
//! An epoch is repaired only if the manifest of the backup has the same root, and the files of the backup the hashes of the
//! manifest of the damaged epoch. All of them are verified before the first one takes its place; a damaged file is kept
//! beside it under another name.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, FileDigest, Progress, beside, copy_file, digest, sync};
use super::manifest::{BackupManifest, LOG};
use super::names::LogFile;
use super::{BackupFault, MANIFEST};
use crate::log::sled_store::backup::{self, EpochPlan};

/// Behind the name of a file that was replaced.
const DAMAGED: &str = ".damaged";
/// Behind the name of a file that is not verified yet.
const UNVERIFIED: &str = ".new";

/// What was looked at and repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairReport {
    /// How many sealed epochs the log has.
    pub epochs: usize,
    /// The files that were repaired, and where what was damaged is now, if it was there.
    pub repaired: Vec<(PathBuf, Option<PathBuf>)>,
}

/// A file that does not match its manifest.
struct Broken {
    epoch: u32,
    path: PathBuf,
    expected: FileDigest,
    from: PathBuf,
}

/// Repairs the sealed epochs of the ledger in a data folder that no server is using.
pub fn repair(data: &Path, backup: &Path, progress: Progress<'_>) -> Result<RepairReport, BackupFault> {
    let log = data.join(LOG);
    if !log.is_dir() {
        return Err(BackupFault::NoLedger { path: data.to_owned() });
    }
    let manifest = BackupManifest::read(backup)?;
    let manifest = manifest.ok_or_else(|| BackupFault::NoBackup { path: backup.to_owned() })?;
    let _lock = backup::lock(&log)?;
    let epochs = backup::sealed_epochs(&log)?;
    let mut broken = Vec::new();
    for epoch in &epochs {
        broken.extend(broken_files(&log, epoch, (backup, &manifest), progress)?);
    }
    for file in &broken {
        fetch(file, progress)?;
    }
    let mut repaired = Vec::new();
    for file in broken {
        let aside = put_aside(&file.path)?;
        files::rename(&beside(&file.path, UNVERIFIED), &file.path)?;
        repaired.push((file.path, aside));
    }
    Ok(RepairReport { epochs: epochs.len(), repaired })
}

/// The files of an epoch that do not match its manifest, and where their like is in the backup.
fn broken_files(
    log: &Path,
    epoch: &EpochPlan,
    (backup, manifest): (&Path, &BackupManifest),
    progress: Progress<'_>,
) -> Result<Vec<Broken>, BackupFault> {
    let number = epoch.number;
    let refused = |cause: String| BackupFault::NotRepaired { epoch: number, cause };
    let known = [(LogFile::Settings(number), &epoch.settings), (LogFile::Database(number), &epoch.database)];
    let mut broken = Vec::new();
    for (file, known) in known {
        let Some((bytes, sha256)) = known.clone() else {
            return Err(refused(
                "its manifest has no hashes of its files, as it was sealed by an earlier version; start the server \
                 once so that they are added"
                    .into(),
            ));
        };
        let (path, expected) = (log.join(file.path()), FileDigest { bytes, sha256 });
        match digest(&path, u64::MAX, progress) {
            Ok(found) if found == expected => continue,
            Ok(_) => {}
            Err(BackupFault::Cancelled) => return Err(BackupFault::Cancelled),
            // What cannot be read, or is not there, is damaged too.
            Err(fault) => tracing::warn!(%fault, "a file of a sealed epoch cannot be read"),
        }
        broken.push(Broken { epoch: number, path, expected, from: backup.join(LOG).join(file.path()) });
    }
    if broken.is_empty() {
        return Ok(broken);
    }
    let theirs = manifest.epochs.iter().find(|theirs| theirs.epoch == number);
    let theirs = theirs.ok_or_else(|| {
        refused(format!("{} has no such epoch; use a newer backup", backup.join(MANIFEST).display()))
    })?;
    if theirs.root != epoch.root.to_string() {
        return Err(refused(format!(
            "{} records root {} for it, the log {}; use a backup of this ledger",
            backup.join(MANIFEST).display(),
            theirs.root,
            epoch.root
        )));
    }
    let has = |file: &Broken| theirs.files.iter().any(|theirs| theirs.digest == file.expected);
    match broken.iter().find(|file| !has(file)) {
        Some(file) => Err(refused(format!(
            "the backup has other bytes of {}; use a backup that was made of this folder",
            file.path.display()
        ))),
        None => Ok(broken),
    }
}

/// Copies a file from the backup, and verifies it.
fn fetch(file: &Broken, progress: Progress<'_>) -> Result<(), BackupFault> {
    let new = beside(&file.path, UNVERIFIED);
    files::remove(&new)?;
    if let Some(folder) = file.path.parent() {
        files::make_private_folder(folder)?;
    }
    let found = copy_file(&file.from, (&new, 0o600), u64::MAX, progress)?;
    if let Some(what) = file.expected.difference(&found) {
        files::remove(&new)?;
        return Err(BackupFault::OtherFile {
            path: file.from.clone(),
            what,
            recorded_in: format!("the manifest of epoch {}", file.epoch),
            remedy: "use another backup",
        });
    }
    Ok(())
}

/// Gives a damaged file another name, if it is there.
fn put_aside(path: &Path) -> Result<Option<PathBuf>, BackupFault> {
    let names = (1..).map(|nth| match nth {
        1 => beside(path, DAMAGED),
        nth => beside(path, &format!("{DAMAGED}-{nth}")),
    });
    let aside = names.into_iter().find(|aside| !aside.exists()).unwrap_or_else(|| beside(path, DAMAGED));
    match std::fs::rename(path, &aside) {
        Ok(()) => {
            if let Some(folder) = path.parent() {
                sync(folder)?;
            }
            Ok(Some(aside))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(files::io_fault("rename", path)(error)),
    }
}
