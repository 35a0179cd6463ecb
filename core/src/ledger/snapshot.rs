//! A file that holds a state between two starts. It shortens the way and is never trusted over the log.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tracing::warn;

use super::Sequencer;
use crate::log::witness::Witness;

/// What the file begins with: a name and the version of its layout.
const MAGIC: &[u8; 8] = b"SLSNAP34";

/// So many bytes hold the place of a snapshot in the log: the tree has 64 hashes at most.
const BEGINS_BYTES: u64 = 4096;

/// A snapshot on disk: magic, SHA-256 of the rest, the rest. Replaced as a whole or not at all.
pub struct SnapshotFile {
    path: PathBuf,
}

impl SnapshotFile {
    /// The snapshot at this path.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content, if there is one. The error says what is wrong with the file, which it names.
    pub fn read(&self) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read ({error})", self.path.display())),
        };
        let header = MAGIC.len() + 32;
        let is_whole = bytes.len() >= header
            && bytes.starts_with(MAGIC)
            && bytes[MAGIC.len()..header] == *Sha256::digest(&bytes[header..]);
        if is_whole {
            return Ok(Some(bytes.split_off(header)));
        }
        Err(format!("{} is damaged or of another version", self.path.display()))
    }

    /// Whether an earlier version of the program wrote it. It is no damage, and of no use to this one.
    pub fn is_of_earlier_version(&self) -> bool {
        let (name, version) = MAGIC.split_at(6);
        let mut begins = [0; MAGIC.len()];
        let read = File::open(&self.path).and_then(|mut file| file.read_exact(&mut begins));
        let (of, its_version) = begins.split_at(name.len());
        read.is_ok() && of == name && its_version.iter().all(u8::is_ascii_digit) && its_version < version
    }

    /// What it says of the log, if there is one and its beginning can be read.
    pub fn witness(&self, name: &str) -> Option<Witness> {
        let mut begins = Vec::new();
        File::open(&self.path).ok()?.take(BEGINS_BYTES).read_to_end(&mut begins).ok()?;
        let content = begins.strip_prefix(MAGIC)?.get(32..)?;
        let (last, root) = Sequencer::snapshot_place(content)?;
        let file = Self::new(self.path.clone());
        let is_whole = Box::new(move || matches!(file.read(), Ok(Some(_))));
        Some(Witness { name: name.into(), last, root: Some(root), is_whole })
    }

    /// Removes what a crash, or a full disk, left of one that was being written.
    pub fn remove_unfinished(&self) {
        let path = self.unfinished();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                warn!(path = %path.display(), %error, "cannot remove an unfinished snapshot");
            }
            _ => {}
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.path.with_extension("new")
    }

    /// Replaces it, durably.
    pub fn write(&self, content: &[u8]) -> Result<(), String> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let temporary = self.unfinished();
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
        written().map_err(|error| {
            // What was written of it takes room on a disk that may be full.
            self.remove_unfinished();
            format!("write {}: {error}", self.path.display())
        })
    }
}
