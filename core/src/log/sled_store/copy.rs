//! Copies of sealed epochs, which is what sled opens: see `epoch`.
//!
//! Invariants: the files of a sealed epoch are opened to read and nothing else; a copy whose bytes are not those of the
//! manifest is never opened. A copy lasts as long as somebody reads it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::folder::{self, io_fault};
use super::manifest::{FILES, FileEntry, SealedManifest, hex};
use crate::log::store::StoreFault;

/// Read and written at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Makes names of copies: two of one epoch may exist for a moment.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Where copies are made, in the order of trying.
#[derive(Debug, Clone)]
pub(super) struct CopyPlaces(Vec<PathBuf>);

impl CopyPlaces {
    /// For a log that is written: beside it, so that reading needs no other disk.
    pub(super) fn beside(dir: &Path) -> Self {
        let mut places = Self::elsewhere();
        places.0.insert(0, folder::scratch_path(dir));
        places
    }

    /// For a log that is only read.
    pub(super) fn elsewhere() -> Self {
        Self(vec![std::env::temp_dir(), PathBuf::from("/dev/shm")])
    }
}

/// What names of folders for copies begin with.
const PREFIX: &str = "slapledger-copy-";

/// A folder for copies; removed with all that is in it when it is dropped. What a process that was killed leaves is removed
/// by the next one that makes a folder in the same place.
#[derive(Debug)]
pub(super) struct ScratchFolder {
    path: PathBuf,
    /// Held as long as the folder is used, so that nobody takes it for one that was left.
    _lock: File,
}

impl ScratchFolder {
    /// Makes one in the first place that can have one.
    pub(super) fn create(places: &CopyPlaces, name: &str) -> Result<Self, StoreFault> {
        let mut failed = None;
        for place in &places.0 {
            match Self::create_in(place, name) {
                Ok(folder) => return Ok(folder),
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        Err(failed.unwrap_or(StoreFault::ReadOnly))
    }

    fn create_in(place: &Path, name: &str) -> Result<Self, StoreFault> {
        fs::create_dir_all(place).map_err(io_fault("create", place))?;
        remove_left(place);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = place.join(format!("{PREFIX}{}-{number}-{name}", std::process::id()));
            // For its owner alone: the log is nobody else's business.
            fs::DirBuilder::new().mode(0o700).create(&path).map_err(io_fault("create", &path))?;
            let folder = File::open(&path).map_err(io_fault("open", &path))?;
            // Where there are no locks, nobody removes what was left either.
            let is_taken = matches!(folder.try_lock(), Err(TryLockError::WouldBlock));
            // Another process may have taken it for one that was left, before it was locked: then one more is made.
            if !is_taken && path.is_dir() {
                return Ok(Self { path, _lock: folder });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes folders that nobody uses any more. It is a matter of room only, so that a failure is none.
fn remove_left(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let (is_folder, path) = (entry.file_type().is_ok_and(|kind| kind.is_dir()), entry.path());
        if is_ours
            && is_folder
            && let Ok(folder) = File::open(&path)
            && folder.try_lock().is_ok()
            && fs::remove_dir_all(&path).is_ok()
        {
            tracing::debug!(path = %path.display(), "removed what an interrupted command left");
        }
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a copy of a part of the log is left behind");
        }
    }
}

/// A copy of the files of a sealed epoch.
#[derive(Debug)]
pub(super) struct SealedCopy {
    folder: ScratchFolder,
    files: Vec<FileEntry>,
}

impl SealedCopy {
    /// Copies the files of an epoch, whatever they hold.
    pub(super) fn of_folder(from: &Path, places: &CopyPlaces) -> Result<Self, StoreFault> {
        let mut failed = None;
        for place in &places.0 {
            match Self::copy_into(place, from) {
                Ok(copy) => return Ok(copy),
                // There may be room, or a right to write, elsewhere.
                Err(StoreFault::Io { action, path, source }) if !path.starts_with(from) => {
                    failed = failed.or(Some(StoreFault::Io { action, path, source }));
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(failed.unwrap_or(StoreFault::ReadOnly))
    }

    /// Copies a sealed epoch, and holds what was copied against its manifest.
    pub(super) fn of_sealed(
        dir: &Path,
        sealed: &SealedManifest,
        places: &CopyPlaces,
    ) -> Result<Self, StoreFault> {
        let from = folder::epoch_path(dir, sealed.epoch());
        let copy = Self::of_folder(&from, places)?;
        for (known, found) in sealed.manifest.files.iter().zip(&copy.files) {
            check(&from, sealed, known, found)?;
        }
        Ok(copy)
    }

    fn copy_into(place: &Path, from: &Path) -> Result<Self, StoreFault> {
        let name = from.file_name().and_then(|name| name.to_str()).unwrap_or("epoch");
        let mut copy = Self { folder: ScratchFolder::create_in(place, name)?, files: Vec::new() };
        for name in FILES {
            copy.files.push(copy_file(&from.join(name), &copy.path().join(name), name)?);
        }
        Ok(copy)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What was copied.
    pub(super) fn files(&self) -> &[FileEntry] {
        &self.files
    }
}

/// Holds a file of a sealed epoch against its manifest.
pub(super) fn check(
    folder: &Path,
    sealed: &SealedManifest,
    known: &FileEntry,
    found: &FileEntry,
) -> Result<(), StoreFault> {
    let what = match (known.bytes == found.bytes, known.sha256 == found.sha256) {
        (true, true) => return Ok(()),
        (false, _) => "length",
        (true, false) => "SHA-256",
    };
    let (first, last) = (sealed.place().first, sealed.head().last);
    Err(StoreFault::OtherFile { path: folder.join(&known.name), epoch: sealed.epoch(), first, last, what })
}

/// Copies a file and hashes it on the way. Long runs of zeros are left out: sled's file is full of them.
fn copy_file(from: &Path, to: &Path, name: &str) -> Result<FileEntry, StoreFault> {
    let source = File::open(from).map_err(io_fault("open", from))?;
    let target = File::create(to).map_err(io_fault("create", to))?;
    let mut hash = HashingReader::new(source, from);
    let mut written = 0;
    while let Some(piece) = hash.next()? {
        if piece.iter().any(|byte| *byte != 0) {
            target.write_all_at(piece, written).map_err(io_fault("write", to))?;
        }
        written += piece.len() as u64;
    }
    target.set_len(written).map_err(io_fault("write", to))?;
    Ok(hash.finish(name))
}

/// The length and hash of a file.
pub(super) fn hash_file(path: &Path, name: &str) -> Result<FileEntry, StoreFault> {
    let mut hash = HashingReader::new(File::open(path).map_err(io_fault("open", path))?, path);
    while hash.next()?.is_some() {}
    Ok(hash.finish(name))
}

/// A file that is read and hashed piece by piece.
pub(super) struct HashingReader {
    file: File,
    path: PathBuf,
    hasher: Sha256,
    bytes: u64,
    piece: Vec<u8>,
}

impl HashingReader {
    pub(super) fn new(file: File, path: &Path) -> Self {
        Self { file, path: path.to_owned(), hasher: Sha256::new(), bytes: 0, piece: vec![0; PIECE_BYTES] }
    }

    /// The next piece, or nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, StoreFault> {
        let read = loop {
            match self.file.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(io_fault("read", &self.path))?,
            }
        };
        let piece = &self.piece[..read];
        self.hasher.update(piece);
        self.bytes += read as u64;
        Ok((read > 0).then_some(piece))
    }

    pub(super) fn finish(self, name: &str) -> FileEntry {
        let sha256 = hex(&self.hasher.finalize().into());
        FileEntry { name: name.into(), bytes: self.bytes, sha256 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_used_stays() {
        let place = tempfile::tempdir().unwrap();
        let places = CopyPlaces(vec![place.path().to_owned()]);
        let used = ScratchFolder::create(&places, "epoch-000001").unwrap();
        fs::write(used.path().join("db"), b"used").unwrap();
        let left = place.path().join(format!("{PREFIX}1-1-epoch-000001"));
        let other = place.path().join("slapledger-mine");
        for folder in [&left, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("db"), b"left").unwrap();
        }
        let next = ScratchFolder::create(&places, "epoch-000002").unwrap();
        assert!(used.path().join("db").exists() && other.join("db").exists() && next.path().is_dir());
        assert!(!left.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
