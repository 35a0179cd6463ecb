//! Files of backups: copied and hashed in one pass, durable before they count, and never half there under their name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{BackupFault, MANIFEST};

/// Read and written at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Length and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileDigest {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, lowercase hexadecimal.
    pub sha256: String,
}

impl FileDigest {
    /// What differs between a file that was recorded and one that was found.
    pub(super) fn difference(&self, found: &Self) -> Option<&'static str> {
        match (self.bytes == found.bytes, self.sha256 == found.sha256) {
            (true, true) => None,
            (false, _) => Some("length"),
            (true, false) => Some("SHA-256"),
        }
    }
}

/// Told how many bytes were read, piece by piece. An answer of `false` cancels the work.
pub type ByteProgress<'a> = &'a mut dyn FnMut(u64) -> bool;

pub(super) fn io_fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupFault {
    let path = path.to_owned();
    move |source| BackupFault::Io { action, path, source }
}

/// Copies what is read into a new file with this mode, and makes it durable. At most `limit` bytes are read. Long runs of
/// zeros become holes: a database of sled is full of them.
pub(super) fn copy(
    mut from: impl Read,
    from_path: &Path,
    (to, mode): (&Path, u32),
    limit: u64,
    progress: ByteProgress<'_>,
) -> Result<FileDigest, BackupFault> {
    let target = OpenOptions::new().write(true).create_new(true).mode(mode).open(to);
    let target = target.map_err(io_fault("create", to))?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    while bytes < limit {
        let wanted = usize::try_from(limit - bytes).unwrap_or(usize::MAX).min(piece.len());
        let read = fill(&mut from, &mut piece[..wanted]).map_err(io_fault("read", from_path))?;
        if read == 0 {
            break;
        }
        let read = &piece[..read];
        hasher.update(read);
        if read.iter().any(|byte| *byte != 0) {
            target.write_all_at(read, bytes).map_err(io_fault("write", to))?;
        }
        bytes += read.len() as u64;
        if !progress(read.len() as u64) {
            return Err(BackupFault::Cancelled);
        }
    }
    target.set_len(bytes).map_err(io_fault("write", to))?;
    target.sync_all().map_err(io_fault("sync", to))?;
    Ok(FileDigest { bytes, sha256: hex(&hasher.finalize()) })
}

/// The same for a file.
pub(super) fn copy_file(
    from: &Path,
    to: (&Path, u32),
    limit: u64,
    progress: ByteProgress<'_>,
) -> Result<FileDigest, BackupFault> {
    let file = File::open(from).map_err(io_fault("open", from))?;
    copy(file, from, to, limit, progress)
}

/// Length and hash of the first `limit` bytes of a file.
pub(super) fn digest(path: &Path, limit: u64, progress: ByteProgress<'_>) -> Result<FileDigest, BackupFault> {
    let mut file = File::open(path).map_err(io_fault("open", path))?.take(limit);
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let read = fill(&mut file, &mut piece).map_err(io_fault("read", path))?;
        if read == 0 {
            return Ok(FileDigest { bytes, sha256: hex(&hasher.finalize()) });
        }
        hasher.update(&piece[..read]);
        bytes += read as u64;
        if !progress(read as u64) {
            return Err(BackupFault::Cancelled);
        }
    }
}

/// Holds the first `limit` bytes of a file against what was recorded of it.
pub(super) fn check(
    path: &Path,
    recorded: &FileDigest,
    (limit, remedy): (u64, &'static str),
    progress: ByteProgress<'_>,
) -> Result<(), BackupFault> {
    let found = digest(path, limit, progress).map_err(|fault| missing(fault, path, remedy))?;
    match recorded.difference(&found) {
        None => Ok(()),
        Some(what) => {
            let recorded_in = MANIFEST.into();
            Err(BackupFault::OtherFile { path: path.to_owned(), what, recorded_in, remedy })
        }
    }
}

/// The fault of a file that a manifest names: says so if the file is not there.
pub(super) fn missing(fault: BackupFault, path: &Path, remedy: &'static str) -> BackupFault {
    match fault {
        BackupFault::Io { path: found, source, .. }
            if found == path && source.kind() == io::ErrorKind::NotFound =>
        {
            BackupFault::MissingFile { path: found, remedy }
        }
        fault => fault,
    }
}

/// Reads until the buffer is full or nothing is left.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes a folder for its owner alone, with those above it.
pub(super) fn make_private_folder(path: &Path) -> Result<(), BackupFault> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_fault("create", path))
}

/// Makes a file's content, or a folder's entries, durable.
pub(super) fn sync(path: &Path) -> Result<(), BackupFault> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_fault("sync", path))
}

/// Makes the entries of a folder and of all folders in it durable. Files are synced as they are written.
pub(super) fn sync_folders(path: &Path) -> Result<(), BackupFault> {
    for entry in fs::read_dir(path).map_err(io_fault("list", path))? {
        let entry = entry.map_err(io_fault("list", path))?;
        if entry.file_type().map_err(io_fault("look at", path))?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync(path)
}

/// Gives a file or folder another name, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), BackupFault> {
    fs::rename(from, to).map_err(io_fault("rename", from))?;
    sync(parent(from))?;
    sync(parent(to))
}

/// The folder that a path is in; that of a bare name is where the program runs.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes a file, or a folder with all that is in it, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), BackupFault> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_fault("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Replaces a file as a whole, durably.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), BackupFault> {
    let new = beside(path, ".new");
    remove(&new)?;
    copy(content, path, (&new, mode), u64::MAX, &mut |_| true)?;
    rename(&new, path)
}

/// The name with something behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The permission bits of a file or folder.
pub(super) fn mode_of(path: &Path) -> Result<u32, BackupFault> {
    Ok(fs::metadata(path).map_err(io_fault("look at", path))?.permissions().mode() & 0o7777)
}

/// The names in a folder, in order.
pub(super) fn names_in(path: &Path) -> Result<Vec<String>, BackupFault> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(io_fault("list", path))? {
        let entry = entry.map_err(io_fault("list", path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_bytes_holes_and_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut bytes = vec![0; 3 * PIECE_BYTES + 5];
        bytes[PIECE_BYTES + 7] = 1;
        fs::write(path("from"), &bytes).unwrap();
        let mut read = 0;
        let mut count = |bytes| {
            read += bytes;
            true
        };
        let copied = copy_file(&path("from"), (&path("to"), 0o600), u64::MAX, &mut count).unwrap();
        assert_eq!(fs::read(path("to")).unwrap(), bytes);
        assert_eq!((copied.bytes, read), (bytes.len() as u64, bytes.len() as u64));
        assert_eq!(copied.sha256, hex(&Sha256::digest(&bytes)));
        assert_eq!(copied, digest(&path("from"), u64::MAX, &mut |_| true).unwrap());
        assert_eq!(mode_of(&path("to")).unwrap(), 0o600);
        // A part, and a file that is there is never written over.
        let part = copy_file(&path("from"), (&path("part"), 0o600), 10, &mut |_| true).unwrap();
        assert_eq!((part.bytes, fs::metadata(path("part")).unwrap().len()), (10, 10));
        assert_eq!(part, digest(&path("from"), 10, &mut |_| true).unwrap());
        assert!(copy_file(&path("from"), (&path("to"), 0o600), 10, &mut |_| true).is_err());
        let stopped = copy_file(&path("from"), (&path("other"), 0o600), u64::MAX, &mut |_| false);
        assert!(matches!(stopped, Err(BackupFault::Cancelled)));
    }
}
