//! Keys and certificates in a backup: the files of a data folder that are not the log and cannot be derived from it.
//!
//! They change while a server runs: keys are appended to the ring, certificates are added. A file is taken when its bytes
//! were the same before and after. Nothing here prints or keeps a secret.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::BackupFault;
use super::files::{self, ByteProgress, copy_file, digest, io_fault, make_private_folder, mode_of};
use super::manifest::PrivateFile;

/// What of a data folder is private: its keys, its authority, certificates of instances, the key of checkpoints.
pub const PRIVATE: [&str; 4] = ["keys", "ca", "certificates", "signing.key"];

/// How many folders are in each other at most; more are a link that leads back.
const DEEPEST: usize = 8;

/// How often a file that changes is read again.
const ATTEMPTS: u32 = 8;

/// Copies the private files of a data folder into a new folder, their modes kept but for the bits of others.
pub fn copy_all(
    data: &Path,
    into: &Path,
    progress: ByteProgress<'_>,
) -> Result<Vec<PrivateFile>, BackupFault> {
    make_private_folder(into)?;
    let mut copied = Vec::new();
    for name in PRIVATE {
        copy_tree(data, Path::new(name), into, &mut copied, progress)?;
    }
    // The master key and the ring are a pair: one that was replaced meanwhile opens nothing of the copied ring.
    let master = copied.iter().find(|file| file.path == "keys/master");
    if let Some(master) = master
        && digest(&data.join(&master.path), u64::MAX, &mut |_| true)? != master.digest
    {
        return Err(BackupFault::Unstable { path: data.join(&master.path) });
    }
    Ok(copied)
}

fn copy_tree(
    data: &Path,
    relative: &Path,
    into: &Path,
    copied: &mut Vec<PrivateFile>,
    progress: ByteProgress<'_>,
) -> Result<(), BackupFault> {
    let from = data.join(relative);
    // Links are followed: keys may lie on another disk.
    let found = match fs::metadata(&from) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if fs::symlink_metadata(&from).is_ok() {
                return Err(BackupFault::DanglingLink { path: from });
            }
            // A certificate may go while the folder is read.
            return Ok(());
        }
        Err(error) => return Err(io_fault("look at", &from)(error)),
    };
    if found.is_dir() {
        if relative.components().count() > DEEPEST {
            return Err(io_fault("copy", &from)(io::Error::other("folders are nested too deeply")));
        }
        make_private_folder(&into.join(relative))?;
        for name in files::names_in(&from)? {
            copy_tree(data, &relative.join(name), into, copied, progress)?;
        }
        return Ok(());
    }
    let mode = mode_of(&from)? & 0o700;
    if let Some(digest) = copy_stable(&from, (&into.join(relative), mode), progress)? {
        let path = relative.to_string_lossy().into_owned();
        copied.push(PrivateFile { path, mode: format!("{mode:04o}"), digest });
    }
    Ok(())
}

/// Copies a file whose bytes are the same before and after; what is appended meanwhile is left out.
fn copy_stable(
    from: &Path,
    (to, mode): (&Path, u32),
    progress: ByteProgress<'_>,
) -> Result<Option<files::FileDigest>, BackupFault> {
    for _ in 0..ATTEMPTS {
        files::remove(to)?;
        let copied = match copy_file(from, (to, mode), u64::MAX, progress) {
            Err(BackupFault::Io { path, source, .. })
                if path == from && source.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            copied => copied?,
        };
        match digest(from, copied.bytes, progress) {
            Ok(again) if again == copied => return Ok(Some(copied)),
            Ok(_) => {}
            Err(BackupFault::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    Err(BackupFault::Unstable { path: from.to_owned() })
}

/// The key of the root certificate, which operators are told to keep elsewhere.
const ROOT_KEY: &str = "ca/root.key";

/// Takes what operators remove from the data folder on purpose from the backup before.
pub(super) fn keep_removed(
    (before, known): (&Path, &[PrivateFile]),
    into: &Path,
    copied: &mut Vec<PrivateFile>,
    progress: ByteProgress<'_>,
) -> Result<(), BackupFault> {
    if copied.iter().any(|file| file.path == ROOT_KEY) {
        return Ok(());
    }
    let kept: Vec<_> = known.iter().filter(|file| file.path == ROOT_KEY).cloned().collect();
    restore_all(before, &kept, into, progress)?;
    copied.extend(kept);
    Ok(())
}

/// A file that a backup has and a newer copy lacks, although a ledger never removes it. Certificates of instances go.
pub(super) fn gone<'a>(known: &'a [PrivateFile], now: &[PrivateFile]) -> Option<&'a PrivateFile> {
    let stays = |file: &&PrivateFile| {
        !file.path.starts_with("certificates/") && file.path.strip_suffix(".new").is_none()
    };
    known.iter().filter(stays).find(|file| !now.iter().any(|now| now.path == file.path))
}

/// Holds the private files of a backup against its manifest.
pub(super) fn check_all(
    folder: &Path,
    recorded: &[PrivateFile],
    remedy: &'static str,
    progress: ByteProgress<'_>,
) -> Result<(), BackupFault> {
    for file in recorded {
        files::check(&folder.join(&file.path), &file.digest, (u64::MAX, remedy), progress)?;
    }
    Ok(())
}

/// Copies the private files of a backup into a new data folder, each held against its hash.
pub(super) fn restore_all(
    from: &Path,
    recorded: &[PrivateFile],
    into: &Path,
    progress: ByteProgress<'_>,
) -> Result<(), BackupFault> {
    for file in recorded {
        let (source, target): (PathBuf, PathBuf) = (from.join(&file.path), into.join(&file.path));
        if let Some(folder) = target.parent() {
            make_private_folder(folder)?;
        }
        let mode = file.bits().unwrap_or(0o600);
        let found = copy_file(&source, (&target, mode), u64::MAX, progress)
            .map_err(|fault| files::missing(fault, &source, "use another backup"))?;
        if let Some(what) = file.digest.difference(&found) {
            return Err(BackupFault::OtherFile {
                path: source,
                what,
                recorded_in: super::MANIFEST.into(),
                remedy: "use another backup",
            });
        }
    }
    Ok(())
}
