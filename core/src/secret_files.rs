//! Files and folders that hold keys: only their owner may read them, and they are durable before they have their name.
//!
//! The key ring and the certificate authority keep theirs this way.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a file or folder with keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileFault {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read keys.
    #[error(
        "{} is open to others than its owner (mode {mode:04o}); chmod go= it, after asking who has read it",
        path.display()
    )]
    Exposed {
        /// The folder or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// The fault of an action on a path, to map an error of the system with.
pub fn io_fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretFileFault {
    let path = path.to_owned();
    move |source| SecretFileFault::Io { action, path, source }
}

/// Refuses a file or folder that others than its owner may read.
pub fn refuse_exposed(path: &Path) -> Result<(), SecretFileFault> {
    let mode = fs::metadata(path).map_err(io_fault("look at", path))?.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 { Ok(()) } else { Err(SecretFileFault::Exposed { path: path.to_owned(), mode }) }
}

/// The folder that a file or folder is in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// The name of a file or folder until it is complete.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Creates a folder that only its owner may enter.
pub fn create_folder(dir: &Path) -> Result<(), SecretFileFault> {
    DirBuilder::new().mode(0o700).create(dir).map_err(io_fault("create", dir))
}

/// Writes a new file with these permission bits, and makes it durable.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), SecretFileFault> {
    let written = File::options().create_new(true).write(true).mode(mode).open(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(io_fault("write", path))
}

/// Makes the names in a folder durable.
pub fn sync_folder(dir: &Path) -> Result<(), SecretFileFault> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(io_fault("sync", dir))
}
