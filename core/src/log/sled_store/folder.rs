//! The folder of the log: names of what is in it, its lock, and files that are replaced whole.
//!
//! Invariants: listing changes nothing; a file written by [`replace`] is, after any crash, either the old one or the new
//! one, and durable when the call returns. Nothing here knows what the files hold.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::domain::id::Sequence;
use crate::log::store::StoreFault;

/// Which epoch, and the sequence it begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EpochPlace {
    pub(super) number: u32,
    pub(super) first: Sequence,
}

/// The longest pause between two tries to get a lock.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Suffix of what is not finished; removed when the store is opened for writing.
const UNFINISHED: &str = ".new";

/// Suffix of the file that holds the frames of an epoch that is not sealed.
const TAIL: &str = ".tail";

/// Suffix of the record of a clean shutdown.
const CLEAN: &str = ".clean";

/// A tail file that is free for the next epoch.
const SPARE: &str = "tail.spare";

/// Where copies of sealed epochs are opened.
const SCRATCH: &str = "scratch";

pub(super) fn epoch_path(dir: &Path, epoch: u32) -> PathBuf {
    dir.join(format!("epoch-{epoch:06}"))
}

pub(super) fn manifest_path(dir: &Path, epoch: u32) -> PathBuf {
    dir.join(format!("epoch-{epoch:06}.manifest"))
}

pub(super) fn tail_path(dir: &Path, epoch: u32) -> PathBuf {
    dir.join(format!("epoch-{epoch:06}{TAIL}"))
}

pub(super) fn clean_path(dir: &Path, epoch: u32) -> PathBuf {
    dir.join(format!("epoch-{epoch:06}{CLEAN}"))
}

pub(super) fn spare_path(dir: &Path) -> PathBuf {
    dir.join(SPARE)
}

pub(super) fn scratch_path(dir: &Path) -> PathBuf {
    dir.join(SCRATCH)
}

pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// What the folder holds, by name.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Numbers of the epochs that have a database folder, in order.
    pub(super) epochs: Vec<u32>,
    /// Numbers of the epochs that have a manifest, in order.
    pub(super) manifests: Vec<u32>,
    /// Numbers of the epochs that have a tail, in order.
    pub(super) tails: Vec<u32>,
    /// Numbers of the epochs that have a record of a clean shutdown, in order.
    pub(super) clean: Vec<u32>,
    /// What a crash left unfinished; it was never part of the log.
    pub(super) unfinished: Vec<PathBuf>,
}

/// Lists the epochs. A folder that is not there is empty.
pub(super) fn list(dir: &Path) -> Result<Listing, StoreFault> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
        entries => entries.map_err(io_fault("list", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(io_fault("list", dir))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(UNFINISHED) {
            listing.unfinished.push(entry.path());
            continue;
        }
        let Some(name) = name.strip_prefix("epoch-") else { continue };
        let (numbers, digits) = match name.split_once('.') {
            None => (&mut listing.epochs, name),
            Some((digits, "manifest")) => (&mut listing.manifests, digits),
            Some((digits, "tail")) => (&mut listing.tails, digits),
            Some((digits, "clean")) => (&mut listing.clean, digits),
            Some(_) => continue,
        };
        numbers.extend(epoch_number(digits));
    }
    for numbers in [&mut listing.epochs, &mut listing.manifests, &mut listing.tails, &mut listing.clean] {
        numbers.sort_unstable();
    }
    Ok(listing)
}

fn epoch_number(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|number| format!("{number:06}") == digits)
}

pub(super) fn remove(path: &Path) -> Result<(), StoreFault> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_fault("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Creates the folder and the missing ones above it, durably.
pub(super) fn create(dir: &Path) -> Result<(), StoreFault> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    create(parent)?;
    fs::create_dir(dir).map_err(io_fault("create", dir))?;
    sync(parent)
}

/// Makes a folder's entries, or a file's content and length, durable.
pub(super) fn sync(path: &Path) -> Result<(), StoreFault> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_fault("sync", path))
}

/// Replaces a file as a whole, durably.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StoreFault> {
    let new = unfinished(path);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(io_fault("write", &new))?;
    rename(&new, path)
}

/// Gives a finished file or folder its name, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreFault> {
    fs::rename(from, to).map_err(io_fault("rename", from))?;
    to.parent().map_or(Ok(()), sync)
}

/// Locks the folder for this process, for as long as the file is open. The lock of a process that was just killed may
/// be held for a moment longer, so this waits for `patience`.
pub(super) fn lock(dir: &Path, patience: Duration) -> Result<File, StoreFault> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io_fault("open", &path))?;
    wait_for_lock(dir, patience, || file.try_lock())?;
    Ok(file)
}

/// Keeps writers out while the folder is read, without changing anything in it. A copy may have no lock file, and then
/// there is nobody to keep out.
pub(super) fn lock_shared(dir: &Path, patience: Duration) -> Result<Option<File>, StoreFault> {
    let path = dir.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_fault("open", &path)(error)),
    };
    wait_for_lock(dir, patience, || file.try_lock_shared())?;
    Ok(Some(file))
}

fn wait_for_lock(
    dir: &Path,
    patience: Duration,
    attempt: impl Fn() -> Result<(), TryLockError>,
) -> Result<(), StoreFault> {
    let locked = retry(patience, || match attempt() {
        Ok(()) => Some(Ok(())),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => Some(Err(io_fault("lock", dir)(error))),
    });
    locked.unwrap_or_else(|| Err(StoreFault::InUse { path: dir.to_owned() }))
}

/// Tries until there is an answer or patience ends, with growing pauses.
pub(super) fn retry<T>(patience: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = attempt() {
            return Some(answer);
        }
        if start.elapsed() + pause > patience {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

pub(super) fn io_fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreFault + use<> {
    let path = path.to_owned();
    move |source| StoreFault::Io { action, path, source }
}

/// The bytes that a file, or everything in a folder, takes on disk.
pub(super) fn bytes_on_disk(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    const BLOCK: u64 = 512; // st_blocks counts in these, whatever the file system
    let metadata = fs::symlink_metadata(path)?;
    let mut bytes = metadata.blocks() * BLOCK;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += bytes_on_disk(&entry?.path())?;
        }
    }
    Ok(bytes)
}
