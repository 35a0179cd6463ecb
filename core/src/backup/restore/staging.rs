//! Where a restored or imported ledger is put together until it is whole.
//!
//! A target that does not exist gets its name by one rename. A target that is there, such as a mount point or the folder of
//! a service, stays: the ledger is put together inside it, and its parts move up, the log last.
//!
//! Invariant: from the first file to the last rename, a marker is in the folder, which nothing but a restore or an import
//! opens. So whatever an interrupted one leaves, the next one recognises and removes, and nothing else.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::super::BackupFault;
use super::super::create::FILE_SYSTEM;
use super::super::files::{self, beside, io_fault, make_private_folder, mode_of, sync};
use super::super::manifest::LOG;

/// The marker in a folder that a restore has not finished.
pub const UNFINISHED: &str = "restore.unfinished";
/// What the ledger is put together in, inside a target that is there.
const INSIDE: &str = "restore.new";

/// A restore or an import that is not finished.
pub struct Staging {
    target: PathBuf,
    folder: PathBuf,
    is_inside: bool,
    /// The marker, locked as long as this process works: another one would take the place for left behind.
    lock: Option<File>,
}

impl Staging {
    /// Makes the folder that the ledger is put together in.
    pub fn begin(target: &Path) -> Result<Self, BackupFault> {
        let new = beside(target, ".new");
        let is_inside = match fs::symlink_metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(io_fault("look at", target)(error)),
            Ok(found) if !found.is_dir() => return Err(BackupFault::NotAFolder { path: target.to_owned() }),
            Ok(_) => true,
        };
        for place in [target, &new] {
            if is_locked(&place.join(UNFINISHED)) {
                return Err(BackupFault::BeingMade { path: target.to_owned() });
            }
        }
        if is_inside && !is_free(target)? {
            return Err(BackupFault::TargetNotEmpty { path: target.to_owned() });
        }
        if new.exists() {
            if !is_free(&new)? {
                return Err(BackupFault::InTheWay { path: new });
            }
            files::remove(&new)?;
        }
        let folder = if is_inside { target.join(INSIDE) } else { new };
        let mut staging = Self { target: target.to_owned(), folder, is_inside, lock: None };
        staging.make().inspect_err(|fault| {
            // What another process has there is not removed.
            if !matches!(fault, BackupFault::BeingMade { .. }) {
                staging.abandon();
            }
        })?;
        Ok(staging)
    }

    fn make(&mut self) -> Result<(), BackupFault> {
        if self.is_inside {
            clear(&self.target)?;
            let mode = mode_of(&self.target)?;
            if mode & 0o077 != 0 {
                let own = Permissions::from_mode(mode & 0o700);
                fs::set_permissions(&self.target, own).map_err(io_fault("chmod", &self.target))?;
            }
        }
        let place = if self.is_inside { &self.target } else { &self.folder };
        make_private_folder(place)?;
        let text = b"slapledger restore or import was interrupted; run it again\n";
        let marker = place.join(UNFINISHED);
        files::replace(&marker, text, 0o600)?;
        let lock = File::open(&marker).map_err(io_fault("open", &marker))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(BackupFault::BeingMade { path: self.target.clone() });
        }
        self.lock = Some(lock);
        make_private_folder(&self.folder)?;
        sync(place)
    }

    /// Where to put the ledger together.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the ledger its place. The marker goes last.
    pub fn finish(self) -> Result<(), BackupFault> {
        files::sync_folders(&self.folder)?;
        if self.is_inside {
            let mut names = files::names_in(&self.folder)?;
            // Nothing takes a folder without a log for a ledger.
            names.sort_by_key(|name| name == LOG);
            for name in names {
                files::rename(&self.folder.join(&name), &self.target.join(&name))?;
            }
            files::remove(&self.folder)?;
        } else if let Err(fault) = files::rename(&self.folder, &self.target) {
            self.abandon();
            return Err(fault);
        }
        files::remove(&self.target.join(UNFINISHED))?;
        sync(&self.target)
    }

    /// Removes what is there: it may hold keys. What cannot be removed, the next one removes.
    pub fn abandon(&self) {
        let removed = if self.is_inside { clear(&self.target) } else { files::remove(&self.folder) };
        if let Err(fault) = removed {
            tracing::warn!(%fault, "what was copied is left behind");
        }
    }
}

/// Whether another process has a marker locked. What a killed one left is not locked.
fn is_locked(marker: &Path) -> bool {
    let opened = File::open(marker);
    opened.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether a folder is empty, but for what a restore left unfinished.
fn is_free(folder: &Path) -> Result<bool, BackupFault> {
    if !fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
        return Ok(false);
    }
    let names = files::names_in(folder)?;
    let is_left = names.iter().any(|name| name == UNFINISHED);
    // The marker may be half there.
    Ok(is_left || names.iter().all(|name| name == FILE_SYSTEM || name.starts_with(UNFINISHED)))
}

/// Empties a folder of what a restore left, the marker last.
fn clear(folder: &Path) -> Result<(), BackupFault> {
    let mut names = files::names_in(folder)?;
    names.retain(|name| name != FILE_SYSTEM);
    names.sort_by_key(|name| name == UNFINISHED);
    names.iter().try_for_each(|name| files::remove(&folder.join(name)))
}
