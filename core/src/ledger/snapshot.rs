//! A file that holds a state between two starts. It shortens the way and is never trusted over the log.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What the file begins with: a name and the version of its layout.
const MAGIC: &[u8; 8] = b"SLSNAP08";

/// A snapshot on disk: magic, SHA-256 of the rest, the rest. Replaced as a whole or not at all.
pub struct SnapshotFile {
    path: PathBuf,
}

impl SnapshotFile {
    /// The snapshot at this path.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its content, if there is one and it is whole.
    pub fn read(&self) -> Option<Vec<u8>> {
        let mut bytes = fs::read(&self.path).ok()?;
        let header = MAGIC.len() + 32;
        let whole = bytes.len() >= header
            && bytes.starts_with(MAGIC)
            && bytes[MAGIC.len()..header] == *Sha256::digest(&bytes[header..]);
        whole.then(|| bytes.split_off(header))
    }

    /// Replaces it, durably.
    pub fn write(&self, content: &[u8]) -> Result<(), String> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let temporary = self.path.with_extension("new");
        let written = || -> std::io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut file = File::create(&temporary)?;
            file.write_all(MAGIC)?;
            file.write_all(&Sha256::digest(content))?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            File::open(folder)?.sync_all()
        };
        written().map_err(|error| format!("write {}: {error}", self.path.display()))
    }
}
