//! Repairing sealed epochs from a backup: files that do not match their manifest come back, and nothing else changes.
//!
//! An epoch is repaired only if the manifest of the backup has the same root, and the files of the backup the hashes of the
//! manifest of the damaged epoch. An epoch whose own manifest is gone or damaged is repaired if the epoch of the backup fits
//! between its neighbours: it continues the one before, and the one after continues its root. All files are verified before
//! the first one takes its place; a damaged file is kept beside it under another name.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, ByteProgress, FileDigest, beside, copy_file, digest, sync};
use super::manifest::{BackupEpoch, BackupManifest, LOG, root};
use super::names::LogFile;
use super::{BackupFault, MANIFEST};
use crate::domain::id::Sequence;
use crate::log::sled_store::SledStore;
use crate::log::sled_store::backup::{self, EpochNumbers, EpochPlan};
use crate::log::store::{Head, StoreFault};

/// Behind the name of a file that was replaced.
const DAMAGED: &str = ".damaged";
/// Behind the name of a file that is not verified yet.
const UNVERIFIED: &str = ".new";

/// What was looked at and repaired.
#[derive(Debug)]
pub struct RepairReport {
    /// How many sealed epochs the log has.
    pub epochs: usize,
    /// The files that were repaired, and where what was damaged is now, if it was there.
    pub repaired: Vec<(PathBuf, Option<PathBuf>)>,
    /// Why the log cannot be opened all the same, if it cannot.
    pub unopened: Option<StoreFault>,
}

/// A file that does not match its manifest.
struct Broken {
    epoch: u32,
    path: PathBuf,
    expected: FileDigest,
    from: PathBuf,
    is_manifest: bool,
}

/// Repairs the sealed epochs of the ledger in a data folder that no server is using.
pub fn repair(data: &Path, backup: &Path, progress: ByteProgress<'_>) -> Result<RepairReport, BackupFault> {
    let log = data.join(LOG);
    if !log.is_dir() {
        return Err(BackupFault::NoLedger { path: data.to_owned() });
    }
    let manifest = BackupManifest::read(backup)?;
    let manifest = manifest.ok_or_else(|| BackupFault::NoBackup { path: backup.to_owned() })?;
    let lock = backup::lock(&log)?;
    let (epochs, mut broken) = (Repairing { log: &log, backup, manifest: &manifest }).epochs()?;
    for epoch in &epochs {
        broken.extend(broken_files(&log, epoch, (backup, &manifest), progress)?);
    }
    // A manifest seals its epoch, so it comes after the other files.
    broken.sort_by_key(|file| (file.epoch, file.is_manifest));
    for file in &broken {
        fetch(file, progress)?;
    }
    let mut repaired = Vec::new();
    for file in broken {
        let aside = put_aside(&file.path)?;
        files::rename(&beside(&file.path, UNVERIFIED), &file.path)?;
        repaired.push((file.path, aside));
    }
    drop(lock);
    let unopened = SledStore::open_read_only(&log).err();
    let unopened = unopened.filter(|fault| !matches!(fault, StoreFault::InUse { .. }));
    Ok(RepairReport { epochs: epochs.len(), repaired, unopened })
}

/// A log and the backup that it is repaired from.
struct Repairing<'a> {
    log: &'a Path,
    backup: &'a Path,
    manifest: &'a BackupManifest,
}

impl Repairing<'_> {
    /// The sealed epochs of the log, and the manifests of those that lack theirs.
    fn epochs(&self) -> Result<(Vec<EpochPlan>, Vec<Broken>), BackupFault> {
        let numbers = backup::epoch_numbers(self.log)?;
        let has = |numbers: &[u32], number| numbers.binary_search(&number).is_ok();
        // The epoch after the last one that must be sealed: the first tail that no manifest follows.
        let sealed = numbers.manifests.last().copied().unwrap_or(0);
        let tail = numbers.tails.iter().copied().find(|tail| *tail > sealed);
        // Without a tail, the database of the newest epoch is what is left of the open one.
        let last = tail.unwrap_or_else(|| numbers.databases.last().copied().unwrap_or(0)).max(sealed + 1) - 1;
        let (mut epochs, mut broken) = (Vec::<EpochPlan>::new(), Vec::new());
        for number in 1..=last {
            let before = epochs.last().map_or(Sequence::ZERO, |epoch| epoch.last);
            if has(&numbers.manifests, number) {
                match backup::sealed_epoch(self.log, number, before) {
                    Ok(epoch) => {
                        epochs.push(epoch);
                        continue;
                    }
                    Err(StoreFault::DamagedFile { .. } | StoreFault::OtherManifest { .. }) => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
            let theirs = self.fitting(number, epochs.last(), &numbers)?;
            let file = LogFile::Manifest(number);
            let expected = theirs.files.iter().find(|theirs| theirs.name == file).map(|file| &file.digest);
            let expected = expected.ok_or_else(|| self.refused(number, "the backup does not name it"))?;
            broken.push(Broken {
                epoch: number,
                path: self.log.join(file.path()),
                expected: expected.clone(),
                from: self.backup.join(LOG).join(file.path()),
                is_manifest: true,
            });
            let plan = plan_of(theirs).ok_or_else(|| self.refused(number, "the backup has no root of it"))?;
            epochs.push(plan);
        }
        Ok((epochs, broken))
    }

    /// The epoch of the backup that fits where the log lacks one.
    fn fitting(
        &self,
        number: u32,
        before: Option<&EpochPlan>,
        numbers: &EpochNumbers,
    ) -> Result<&BackupEpoch, BackupFault> {
        let of = |number: u32| self.manifest.epochs.iter().find(|theirs| theirs.epoch == number);
        let none = || {
            self.refused(number, "the backup does not have this epoch; use a newer backup, or restore one")
        };
        let other = || {
            self.refused(number, "the epoch of the backup does not fit the log; use a backup of this ledger")
        };
        let theirs = of(number).ok_or_else(none)?;
        if let Some(before) = before
            && of(before.number).is_none_or(|known| known.root != before.root.to_string())
        {
            return Err(other());
        }
        // What comes after it in the log: epochs in between are in the backup, or they are refused in their turn.
        let known = numbers.manifests.iter().chain(&numbers.tails).copied();
        let next = known.filter(|next| *next > number).min();
        let next =
            next.ok_or_else(|| self.refused(number, "nothing in the log comes after it; restore a backup"))?;
        let end = of(next - 1).ok_or_else(none)?;
        let end = root(&end.root).map(|root| Head { last: Sequence(end.last), root }).ok_or_else(other)?;
        if backup::continues(self.log, next, end)? { Ok(theirs) } else { Err(other()) }
    }

    fn refused(&self, number: u32, cause: &str) -> BackupFault {
        let path = self.log.join(LogFile::Manifest(number).path());
        let cause = format!("{} is not there or damaged, and {cause}", path.display());
        BackupFault::NotRepaired { epoch: number, cause }
    }
}

/// An epoch of a backup as the log would have it.
fn plan_of(theirs: &BackupEpoch) -> Option<EpochPlan> {
    let digest = |file: LogFile| {
        let file = theirs.files.iter().find(|theirs| theirs.name == file)?;
        Some((file.digest.bytes, file.digest.sha256.clone()))
    };
    Some(EpochPlan {
        number: theirs.epoch,
        first: Sequence(theirs.first),
        last: Sequence(theirs.last),
        root: root(&theirs.root)?,
        settings: digest(LogFile::Settings(theirs.epoch)),
        database: digest(LogFile::Database(theirs.epoch)),
    })
}

/// The files of an epoch that do not match its manifest, and where their like is in the backup.
fn broken_files(
    log: &Path,
    epoch: &EpochPlan,
    (backup, manifest): (&Path, &BackupManifest),
    progress: ByteProgress<'_>,
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
        let from = backup.join(LOG).join(file.path());
        broken.push(Broken { epoch: number, path, expected, from, is_manifest: false });
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
fn fetch(file: &Broken, progress: ByteProgress<'_>) -> Result<(), BackupFault> {
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
