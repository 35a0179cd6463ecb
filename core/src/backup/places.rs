//! Where a backup and a restored ledger may be: never inside a ledger or another backup, and never around what is copied.
//!
//! A start of a server removes what it does not know from its folder, and so does the next backup; a copy of a folder into
//! itself does not end. Paths are compared without symbolic links.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::io_fault;
use super::manifest::LOG;
use super::{BackupFault, MANIFEST, PRIVATE};

/// The lock of the folder of a backup.
pub(super) const LOCK: &str = "backup.lock";

/// What a data folder has beside its log and what is private: caches.
const CACHES: [&str; 2] = ["state", "index"];

/// Refuses a folder for a backup that is inside the data folder or around a part of it. `data` is none for a ledger of
/// another machine.
pub fn check_destination(data: Option<&Path>, destination: &Path) -> Result<(), BackupFault> {
    let real = real_path(destination)?;
    if let Some(data) = data {
        let parts = PRIVATE.iter().chain(&CACHES).chain([&LOG]).map(|name| data.join(name));
        for part in std::iter::once(data.to_owned()).chain(parts).filter(|part| part.exists()) {
            let part = real_path(&part)?;
            if real.starts_with(&part) {
                let what = "the data folder";
                return Err(BackupFault::Inside {
                    path: destination.to_owned(),
                    what,
                    outer: data.to_owned(),
                });
            }
            if part.starts_with(&real) {
                return Err(BackupFault::Around { path: destination.to_owned(), inner: part });
            }
        }
    }
    check_above(destination, &real)
}

/// Refuses a folder for a restored ledger that is inside the backup, or inside another ledger. Gives it without symbolic
/// links.
pub(super) fn check_target(source: &Path, target: &Path) -> Result<PathBuf, BackupFault> {
    let (from, to) = (real_path(source)?, real_path(target)?);
    if to.starts_with(&from) {
        let what = "the backup";
        return Err(BackupFault::Inside { path: target.to_owned(), what, outer: source.to_owned() });
    }
    check_above(target, &to)?;
    Ok(to)
}

/// Refuses a folder inside any ledger or backup.
fn check_above(path: &Path, real: &Path) -> Result<(), BackupFault> {
    for outer in real.ancestors().skip(1) {
        let is_backup = outer.join(MANIFEST).exists() || outer.join(LOCK).exists();
        let is_ledger = ["term", "lock"].iter().all(|name| outer.join(LOG).join(name).is_file());
        let what = match (is_backup, is_ledger) {
            (true, _) => "the backup",
            (false, true) => "the data folder",
            (false, false) => continue,
        };
        return Err(BackupFault::Inside { path: path.to_owned(), what, outer: outer.to_owned() });
    }
    Ok(())
}

/// A path without symbolic links, also that of what is not there yet.
fn real_path(path: &Path) -> Result<PathBuf, BackupFault> {
    let path = std::path::absolute(path).map_err(io_fault("look at", path))?;
    match fs::canonicalize(&path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(&path).is_ok() {
                return Err(BackupFault::DanglingLink { path });
            }
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => Ok(real_path(parent)?.join(name)),
                _ => Err(io_fault("look at", &path)(error)),
            }
        }
        Err(error) => Err(io_fault("look at", &path)(error)),
    }
}
