//! Making a backup, or bringing one up to date.
//!
//! Epochs are added to the log of the backup as they are copied: nobody counts them before the manifest names them, and
//! an interrupted backup does not copy them again. Then the tail takes the place of the one before, whose bytes it
//! begins with; then the manifest is replaced; then what it does not name goes.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, ByteProgress, FileDigest, digest, io_fault, make_private_folder, mode_of, sync};
use super::manifest::{
    BackupEpoch, BackupManifest, BackupTail, LOG, NamedFile, PrivateFiles, TERM, private_folder,
    private_number, root,
};
use super::names::LogFile;
use super::places::{self, LOCK};
use super::source::BackupSource;
use super::{BackupFault, MANIFEST, private};
use crate::domain::id::Sequence;
use crate::domain::time::Timestamp;
use crate::log::merkle::Root;
use crate::log::sled_store::backup;

/// What a file system has in its own topmost folder.
pub(super) const FILE_SYSTEM: &str = "lost+found";
/// Where files are copied to before they have their names.
const INCOMING: &str = "incoming";
/// How often a backup begins again because an epoch was sealed meanwhile.
const ATTEMPTS: u32 = 8;

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub struct BackupWish<'a> {
    /// Where.
    pub destination: &'a Path,
    /// The data folder whose keys and certificates are copied too.
    pub private: Option<&'a Path>,
    /// Whether sealed epochs on the same file system are linked and not copied: damage to one file is damage to both.
    pub link: bool,
    /// How far it goes.
    pub extent: Extent,
}

/// How far a backup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// To the last durable event.
    All,
    /// To the last sealed epoch. A backup that goes further is left as it is.
    Sealed,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The last event in it.
    pub last: Sequence,
    /// The root with that event.
    pub root: Root,
    /// How many sealed epochs it has.
    pub epochs: usize,
    /// How many of them were copied now.
    pub copied_epochs: usize,
    /// How many bytes were copied now.
    pub copied_bytes: u64,
    /// How many private files it has; none without keys.
    pub private_files: usize,
    /// When its keys were copied, if that was by an earlier backup.
    pub keys_as_of: Option<Timestamp>,
    /// Whether the master key is not among them although the ring is.
    pub lacks_master_key: bool,
}

/// Makes a backup, or brings the one that is there up to date. `progress` sees the bytes that are read.
pub fn back_up(
    source: &dyn BackupSource,
    wish: &BackupWish<'_>,
    progress: ByteProgress<'_>,
) -> Result<BackupReport, BackupFault> {
    places::check_destination(source.data(), wish.destination)?;
    source.check()?;
    let destination = Destination::open(wish)?;
    let previous = BackupManifest::read(wish.destination)?;
    let mut attempt = 1;
    loop {
        let mut plan = source.plan(previous.as_ref())?;
        if wish.extent == Extent::Sealed && !cut_to_sealed(&mut plan, previous.as_ref()) {
            return Ok(report(&previous.unwrap_or(plan), Copied::default()));
        }
        let made = destination.make(source, wish, (previous.as_ref(), plan.clone()), progress);
        match made {
            Err(BackupFault::Cancelled) => return Err(BackupFault::Cancelled),
            // A tail that is sealed while it is copied is not there any more, or is used for another epoch.
            Err(fault) => {
                let sealed =
                    attempt < ATTEMPTS && source.plan(previous.as_ref())?.epochs.len() > plan.epochs.len();
                if !sealed {
                    return Err(fault);
                }
                attempt += 1;
            }
            Ok(report) => return Ok(report),
        }
    }
}

/// Leaves the tails out. Nothing is to be done if the backup that is there goes as far.
fn cut_to_sealed(plan: &mut BackupManifest, previous: Option<&BackupManifest>) -> bool {
    let Some(newest) = plan.epochs.last() else { return false };
    (plan.last, plan.root) = (newest.last, newest.root.clone());
    plan.tails.clear();
    previous.is_none_or(|previous| previous.last < plan.last)
}

/// The folder of a backup, locked.
struct Destination {
    path: PathBuf,
    _lock: File,
}

#[derive(Debug, Clone, Copy, Default)]
struct Copied {
    epochs: usize,
    bytes: u64,
}

impl Destination {
    fn open(wish: &BackupWish<'_>) -> Result<Self, BackupFault> {
        let path = wish.destination;
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private_folder(path)?;
                sync(files::parent(path))?;
            }
            Err(error) => return Err(io_fault("look at", path)(error)),
            Ok(found) if !found.is_dir() => return Err(BackupFault::NotAFolder { path: path.to_owned() }),
            Ok(_) => {}
        }
        let mode = mode_of(path)?;
        if wish.private.is_some() && mode & 0o077 != 0 {
            return Err(BackupFault::Exposed { path: path.to_owned(), mode });
        }
        let lock = path.join(LOCK);
        // The lock is the first thing in the folder: what has other files, and neither lock nor manifest, is something
        // else.
        let is_strange = |name: &String| name != FILE_SYSTEM;
        let is_ours = lock.exists() || path.join(MANIFEST).exists();
        if !is_ours && files::names_in(path)?.iter().any(is_strange) {
            return Err(BackupFault::NotABackup { path: path.to_owned() });
        }
        let file = File::options().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(io_fault("open", &lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(BackupFault::DestinationInUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(io_fault("lock", &lock)(error)),
        }
    }

    fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    fn incoming(&self) -> PathBuf {
        self.path.join(INCOMING)
    }

    fn make(
        &self,
        source: &dyn BackupSource,
        wish: &BackupWish<'_>,
        (previous, mut plan): (Option<&BackupManifest>, BackupManifest),
        progress: ByteProgress<'_>,
    ) -> Result<BackupReport, BackupFault> {
        if let Some(previous) = previous {
            self.check_continues(previous, &plan)?;
        }
        let (log, incoming) = (self.log(), self.incoming());
        files::remove(&incoming)?;
        make_private_folder(&log)?;
        make_private_folder(&incoming)?;
        sync(&self.path)?;
        let mut copied = Copied::default();
        for epoch in &plan.epochs {
            if !self.has_epoch(epoch, previous, progress)? {
                self.add_epoch(source, epoch, (wish.link, previous), &mut copied, progress)?;
            }
        }
        for tail in &mut plan.tails {
            copied.bytes += copy_tail(source, tail, &incoming, progress)?;
        }
        self.check_tails(previous, &plan)?;
        plan.private = match wish.private {
            Some(data) => Some(self.copy_private(data, previous, &mut copied, progress)?),
            None => self.keep_private(previous, progress)?,
        };
        files::sync_folders(&incoming)?;
        self.commit(&plan)?;
        Ok(report(&plan, copied))
    }

    /// That the ledger goes on where the backup that is there ends, as far as the manifests tell.
    fn check_continues(&self, previous: &BackupManifest, plan: &BackupManifest) -> Result<(), BackupFault> {
        let path = || self.path.clone();
        if previous.ledger != plan.ledger {
            let (found, wanted) = (previous.ledger.clone(), plan.ledger.clone());
            return Err(BackupFault::OtherLedger { path: path(), found, wanted });
        }
        for (known, now) in previous.epochs.iter().zip(&plan.epochs) {
            if (known.last, &known.root) != (now.last, &now.root) {
                return Err(BackupFault::Diverged { path: path(), at: Sequence(known.last.min(now.last)) });
            }
        }
        if previous.last > plan.last {
            let (found, last) = (Sequence(previous.last), Sequence(plan.last));
            return Err(BackupFault::Ahead { path: path(), found, last });
        }
        // What was sealed once stays sealed.
        if let Some(known) = previous.epochs.get(plan.epochs.len()) {
            return Err(BackupFault::Diverged { path: path(), at: Sequence(known.last) });
        }
        Ok(())
    }

    /// Whether the backup has this epoch. One that the manifest there does not name is read: who knows who left it.
    fn has_epoch(
        &self,
        epoch: &BackupEpoch,
        previous: Option<&BackupManifest>,
        progress: ByteProgress<'_>,
    ) -> Result<bool, BackupFault> {
        let log = self.log();
        let named = previous.is_some_and(|previous| previous.epochs.contains(epoch));
        for file in &epoch.files {
            let path = log.join(file.name.path());
            let length = match fs::metadata(&path) {
                Ok(found) => found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(io_fault("look at", &path)(error)),
            };
            if length != file.digest.bytes {
                return Ok(false);
            }
            if !named && digest(&path, u64::MAX, progress)? != file.digest {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies a sealed epoch, holds it against its manifest, and adds it to the log of the backup.
    fn add_epoch(
        &self,
        source: &dyn BackupSource,
        epoch: &BackupEpoch,
        (link, previous): (bool, Option<&BackupManifest>),
        copied: &mut Copied,
        progress: ByteProgress<'_>,
    ) -> Result<(), BackupFault> {
        let (log, incoming) = (self.log(), self.incoming());
        for file in &epoch.files {
            let to = incoming.join(file.name.path());
            if let Some(folder) = to.parent() {
                make_private_folder(folder)?;
            }
            let found = copy_sealed(source, file, &to, link, progress)?;
            if let Some(what) = file.digest.difference(&found) {
                let path = source.path(file.name).unwrap_or_else(|| file.name.path());
                return Err(BackupFault::OtherFile {
                    path,
                    what,
                    recorded_in: LogFile::Manifest(epoch.epoch).to_string(),
                    remedy: "bring it back with `slapledger repair --from BACKUP`",
                });
            }
            copied.bytes += found.bytes;
        }
        if let Some(previous) = previous.filter(|previous| (epoch.first..epoch.last).contains(&previous.last))
        {
            let at = Sequence(previous.last);
            let found = backup::root_in_epoch(&incoming, epoch.epoch, Sequence(epoch.first), at)?;
            self.check_root(previous, found)?;
        }
        if let Some(previous) = previous.filter(|previous| epoch.last == previous.last) {
            self.check_root(previous, root(&epoch.root))?;
        }
        files::sync_folders(&incoming)?;
        let folder = |file: LogFile| file.path().parent().map(Path::to_owned).unwrap_or_default();
        let folder = folder(LogFile::Database(epoch.epoch));
        let manifest = LogFile::Manifest(epoch.epoch).path();
        // What is there under these names, the manifest of the backup does not name as it is.
        files::remove(&log.join(&manifest))?;
        files::remove(&log.join(&folder))?;
        files::rename(&incoming.join(&folder), &log.join(&folder))?;
        files::rename(&incoming.join(&manifest), &log.join(&manifest))?;
        copied.epochs += 1;
        Ok(())
    }

    /// That the copied tails hold what the plan says, and that they continue the backup that is there.
    fn check_tails(
        &self,
        previous: Option<&BackupManifest>,
        plan: &BackupManifest,
    ) -> Result<(), BackupFault> {
        let numbers: Vec<u32> = plan.tails.iter().map(|tail| tail.epoch).collect();
        let sealed = plan.epochs.last().map(|epoch| (epoch.epoch, Sequence(epoch.first)));
        let after = previous.map(|previous| Sequence(previous.last));
        let read = backup::read_tails(&self.incoming(), &numbers, (&self.log(), sealed), after)?;
        if plan.head() != Some(read.head) {
            let (last, root) = (read.head.last, read.head.root);
            return Err(BackupFault::OtherEnd { path: self.incoming(), last, root });
        }
        let sealed_last = plan.epochs.last().map_or(0, |epoch| epoch.last);
        match previous {
            Some(previous) if previous.last > sealed_last => self.check_root(previous, read.root_at),
            _ => Ok(()),
        }
    }

    fn check_root(&self, previous: &BackupManifest, found: Option<Root>) -> Result<(), BackupFault> {
        if found.is_some() && found == root(&previous.root) {
            return Ok(());
        }
        Err(BackupFault::Diverged { path: self.path.clone(), at: Sequence(previous.last) })
    }

    fn copy_private(
        &self,
        data: &Path,
        previous: Option<&BackupManifest>,
        copied: &mut Copied,
        progress: ByteProgress<'_>,
    ) -> Result<PrivateFiles, BackupFault> {
        // Beside those of an interrupted backup and of the one before, which count until the manifest is replaced.
        let before = previous.and_then(|previous| private_number(&previous.private.as_ref()?.folder));
        let names = files::names_in(&self.path)?;
        let there = names.iter().filter_map(|name| private_number(name)).chain(before).max();
        let folder = private_folder(there.map_or(1, |number| number + 1));
        let into = self.incoming().join(&folder);
        let mut files = private::copy_all(data, &into, progress)?;
        if let Some(known) = previous.and_then(|previous| previous.private.as_ref()) {
            let before = self.path.join(&known.folder);
            private::keep_removed((&before, &known.files), &into, &mut files, progress)?;
            if let Some(gone) = private::gone(&known.files, &files) {
                let backup = self.path.clone();
                return Err(BackupFault::KeysGone { path: data.join(&gone.path), backup });
            }
        }
        copied.bytes += files.iter().map(|file| file.digest.bytes).sum::<u64>();
        Ok(PrivateFiles { folder, files, copied_at: None })
    }

    /// The private files of the backup that is there: they may be the only copy, so no backup without keys removes
    /// them.
    fn keep_private(
        &self,
        previous: Option<&BackupManifest>,
        progress: ByteProgress<'_>,
    ) -> Result<Option<PrivateFiles>, BackupFault> {
        let kept = previous.and_then(BackupManifest::kept_private);
        if let Some(private) = &kept {
            let remedy = "copy the keys again with --with-keys";
            private::check_all(&self.path.join(&private.folder), &private.files, remedy, progress)?;
        }
        Ok(kept)
    }

    /// Gives everything its name, the manifest last, and removes what it does not name.
    fn commit(&self, plan: &BackupManifest) -> Result<(), BackupFault> {
        let (log, incoming) = (self.log(), self.incoming());
        for tail in &plan.tails {
            let path = tail.file.name.path();
            files::rename(&incoming.join(&path), &log.join(&path))?;
        }
        // For anyone who looks at the log where it is; a restore takes the term from the manifest.
        files::replace(&log.join(TERM), &plan.term_bytes(), 0o600)?;
        if let Some(private) = &plan.private
            && incoming.join(&private.folder).exists()
        {
            files::rename(&incoming.join(&private.folder), &self.path.join(&private.folder))?;
        }
        plan.write(&self.path)?;
        let kept: BTreeSet<String> = plan.tails.iter().map(|tail| tail.file.name.to_string()).collect();
        for name in files::names_in(&log)? {
            if matches!(name.parse(), Ok(LogFile::Tail(_))) && !kept.contains(&name) {
                files::remove(&log.join(name))?;
            }
        }
        // Keys that no manifest names may be the only copy, until others are there.
        if let Some(private) = &plan.private {
            let others = files::names_in(&self.path)?.into_iter().filter(|name| *name != private.folder);
            for name in others.filter(|name| private_number(name).is_some()) {
                files::remove(&self.path.join(name))?;
            }
        }
        files::remove(&incoming)?;
        sync(&self.path)
    }
}

/// Copies or links a file of a sealed epoch.
fn copy_sealed(
    source: &dyn BackupSource,
    file: &NamedFile,
    to: &Path,
    link: bool,
    progress: ByteProgress<'_>,
) -> Result<FileDigest, BackupFault> {
    let from = source.path(file.name);
    // The manifest is replaced by the program one day, so it is a file of its own.
    if let Some(from) = from.as_ref().filter(|_| link && !matches!(file.name, LogFile::Manifest(_)))
        && fs::hard_link(from, to).is_ok()
    {
        sync(to)?;
        return digest(to, u64::MAX, progress);
    }
    let reader = source.open(file.name, file.digest.bytes.saturating_add(1))?;
    files::copy(reader, &from.unwrap_or_else(|| file.name.path()), (to, 0o600), u64::MAX, progress)
}

/// Copies the bytes of a tail that the plan counts, and puts down their hash.
fn copy_tail(
    source: &dyn BackupSource,
    tail: &mut BackupTail,
    incoming: &Path,
    progress: ByteProgress<'_>,
) -> Result<u64, BackupFault> {
    let name = tail.file.name;
    let bytes = tail.file.digest.bytes;
    let reader = source.open(name, bytes)?;
    let from = source.path(name).unwrap_or_else(|| name.path());
    let found = files::copy(reader, &from, (&incoming.join(name.path()), 0o600), bytes, progress)?;
    if found.bytes < bytes {
        let error = io::Error::from(io::ErrorKind::UnexpectedEof);
        return Err(BackupFault::Io { action: "read", path: from, source: error });
    }
    tail.file.digest = found;
    Ok(bytes)
}

fn report(manifest: &BackupManifest, copied: Copied) -> BackupReport {
    let private = manifest.private.as_ref().map_or(&[][..], |private| &private.files);
    let has = |path: &str| private.iter().any(|file| file.path == path);
    BackupReport {
        last: Sequence(manifest.last),
        root: root(&manifest.root).unwrap_or(Root::EMPTY),
        epochs: manifest.epochs.len(),
        copied_epochs: copied.epochs,
        copied_bytes: copied.bytes,
        private_files: private.len(),
        keys_as_of: manifest.keys_as_of(),
        lacks_master_key: has("keys/ring") && !has("keys/master"),
    }
}
