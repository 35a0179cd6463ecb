//! Files that hold a secret, or a log: for their owner alone, whole or not at all, and never in the place of another.
//!
//! The place is looked at before there is a secret, so that none is made that has nowhere to go.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use zeroize::Zeroizing;

/// A place for a file, with nothing there yet. Given up, it leaves nothing.
pub struct SecretFile {
    path: PathBuf,
    beside: PathBuf,
    file: File,
}

impl SecretFile {
    pub fn at(path: &Path) -> anyhow::Result<Self> {
        ensure!(path.symlink_metadata().is_err(), "{} is there already, and is not replaced", path.display());
        let mut name = OsString::from(path);
        name.push(".new");
        let beside = PathBuf::from(name);
        let of_file = || format!("write {}", path.display());
        ensure!(
            !is_being_written(&beside).with_context(of_file)?,
            "{} is being written by another process; wait until it ends",
            path.display()
        );
        let opened = || {
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    Err(io::Error::other("another process writes the same file"))
                }
                // Some file systems know no locks.
                Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
            }
        };
        let file = opened().with_context(of_file)?;
        Ok(Self { path: path.to_owned(), beside, file })
    }

    /// Where it is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has it on the disk, and not in its place yet.
    pub fn fill(&mut self, content: &[u8]) -> anyhow::Result<()> {
        let end: &[u8] = if content.ends_with(b"\n") { b"" } else { b"\n" };
        let written = [content, end].into_iter().try_for_each(|part| self.file.write_all(part));
        written.with_context(|| format!("write {}", self.path.display()))?;
        self.sync()
    }

    /// Has what was written on the disk.
    pub fn sync(&mut self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("write {}", self.path.display()))
    }

    /// Puts it in its place.
    pub fn take(self) -> anyhow::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let placed = || {
            // Another process may have put its own file there.
            let (ours, there) = (self.file.metadata()?, fs::symlink_metadata(&self.beside)?);
            if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
                return Err(io::Error::other("another process writes the same file"));
            }
            place(&self.beside, &self.path)?;
            File::open(folder)?.sync_all()
        };
        placed().with_context(|| format!("write {}", self.path.display()))
    }
}

impl io::Write for SecretFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Gives a file its name, if nothing has that name.
fn place(beside: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(beside, path).or_else(|error| match error.kind() {
        // A memory stick has no hard links.
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported if path.symlink_metadata().is_err() => {
            fs::rename(beside, path)
        }
        _ => Err(error),
    })
}

/// Whether another process has the file that it writes open. What a killed one left is not locked.
fn is_being_written(beside: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(beside).is_ok_and(|found| found.is_file()) {
        return Ok(false);
    }
    Ok(matches!(File::open(beside)?.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.beside);
    }
}

/// Writes a file of a secret.
pub fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut place = SecretFile::at(path)?;
    place.fill(content)?;
    place.take()
}

/// Whether others than the owner may do anything with what has these permission bits.
pub fn is_exposed(mode: u32) -> bool {
    mode & 0o077 != 0
}

/// A secret from a file that its owner alone may read, without the line end.
pub fn secret(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mode = fs::metadata(path).with_context(|| format!("read {}", path.display()))?.permissions().mode();
    ensure!(
        !is_exposed(mode),
        "{} is open to others than its owner (mode {:04o}); chmod go= it, after asking who has read it",
        path.display(),
        mode & 0o7777
    );
    let text = Zeroizing::new(fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?);
    Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_and_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let names = || {
            let all = fs::read_dir(folder.path()).expect("a folder");
            all.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
        };
        // What a crash left may be open to others, and is not written into.
        fs::write(folder.path().join("secret.new"), "old").expect("written");
        let mut place = SecretFile::at(&path).expect("a place");
        place.fill(b"new").expect("written");
        drop(place);
        assert!(names().is_empty());
        write(&path, b"new").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), "new\n");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o7777, 0o600);
        assert_eq!(names(), ["secret"]);
        let error = write(&path, b"other").expect_err("it is there").to_string();
        assert!(error.ends_with("secret is there already, and is not replaced"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("read"), "new\n");
        let other = folder.path().join("other");
        let place = SecretFile::at(&other).expect("a place");
        let error = SecretFile::at(&other).map(drop).expect_err("it is being written").to_string();
        assert!(error.ends_with("is being written by another process; wait until it ends"), "{error}");
        // Whatever else took its name meanwhile is not taken for it.
        fs::remove_file(folder.path().join("other.new")).expect("removed");
        fs::write(folder.path().join("other.new"), "half").expect("written");
        assert!(place.take().is_err() && !other.exists());
        let nowhere = folder.path().join("no/secret");
        assert!(write(&nowhere, b"new").is_err());
    }
}
