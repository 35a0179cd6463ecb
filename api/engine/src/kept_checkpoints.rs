//! The checkpoints that a server published, with the cosignatures of witnesses: one small file each, in a folder of the
//! data folder. They are no part of the log, and nothing is derived from them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::note::{MAX_BYTES, SignedNote, Verifier};

/// The folder, in a data folder.
pub const CHECKPOINTS: &str = "checkpoints";
/// So many are kept, the newest; and the newest that a witness cosigned, however old it is.
const MOST: usize = 1000;
const SUFFIX: &str = ".note";

/// A checkpoint that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedCheckpoint {
    /// What the log was.
    pub checkpoint: Checkpoint,
    /// The note, with all its signatures.
    pub note: SignedNote,
}

impl PublishedCheckpoint {
    /// Whether somebody else than the log signed it.
    pub fn is_cosigned(&self) -> bool {
        self.note.signatures().iter().any(|signature| *signature.name != *self.checkpoint.origin)
    }
}

/// Those that are kept, by size.
#[derive(Debug, Default)]
pub struct KeptCheckpoints {
    folder: Option<PathBuf>,
    by_size: RwLock<BTreeMap<u64, Arc<PublishedCheckpoint>>>,
}

impl KeptCheckpoints {
    /// Reads those of a data folder; what is no checkpoint is left alone. New ones are written if `writable`.
    pub fn open(data: &Path, writable: bool) -> Self {
        let folder = data.join(CHECKPOINTS);
        let mut by_size = BTreeMap::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if let Some(published) = read(&entry.path()) {
                by_size.insert(published.checkpoint.size, Arc::new(published));
            }
        }
        Self { folder: writable.then_some(folder), by_size: RwLock::new(by_size) }
    }

    /// The newest one, or the newest that a witness cosigned.
    pub fn newest(&self, cosigned: bool) -> Option<Arc<PublishedCheckpoint>> {
        let by_size = self.by_size.read();
        by_size.values().rev().find(|published| !cosigned || published.is_cosigned()).cloned()
    }

    /// The newest one that a key signed.
    pub fn newest_of(&self, key: &Verifier) -> Option<Arc<PublishedCheckpoint>> {
        let by_size = self.by_size.read();
        by_size.values().rev().find(|published| key.check(&published.note).is_ok()).cloned()
    }

    /// The one of a log of so many events.
    pub fn of_size(&self, size: u64) -> Option<Arc<PublishedCheckpoint>> {
        self.by_size.read().get(&size).cloned()
    }

    /// Those of smaller logs than `below`, the newest first.
    pub fn before(&self, below: u64, limit: usize) -> Vec<Arc<PublishedCheckpoint>> {
        self.by_size
            .read()
            .range(..below)
            .rev()
            .take(limit)
            .map(|(_, published)| Arc::clone(published))
            .collect()
    }

    /// Keeps one. What cannot be written is kept in memory.
    pub fn keep(&self, published: PublishedCheckpoint) -> io::Result<()> {
        let size = published.checkpoint.size;
        let text = published.note.to_string();
        let gone: Vec<u64> = {
            let mut by_size = self.by_size.write();
            by_size.insert(size, Arc::new(published));
            let many = by_size.len().saturating_sub(MOST);
            let cosigned = by_size.iter().rev().find(|(_, published)| published.is_cosigned());
            let cosigned = cosigned.map(|(size, _)| *size);
            let gone = by_size.keys().copied().take(many).filter(|size| Some(*size) != cosigned);
            let gone: Vec<u64> = gone.collect();
            for size in &gone {
                by_size.remove(size);
            }
            gone
        };
        let Some(folder) = &self.folder else { return Ok(()) };
        fs::create_dir_all(folder)?;
        let path = folder.join(name_of(size));
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        for size in gone {
            match fs::remove_file(folder.join(name_of(size))) {
                // It was in memory alone, for the disk was full when it was published.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        File::open(folder)?.sync_all()
    }
}

fn name_of(size: u64) -> String {
    format!("{size:020}{SUFFIX}")
}

fn read(path: &Path) -> Option<PublishedCheckpoint> {
    let size: u64 = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.parse().ok()?;
    if fs::metadata(path).ok()?.len() > MAX_BYTES as u64 {
        return None;
    }
    let note = SignedNote::parse(&fs::read_to_string(path).ok()?).ok()?;
    let checkpoint = Checkpoint::parse(note.text()).ok()?;
    (checkpoint.size == size).then_some(PublishedCheckpoint { checkpoint, note })
}

#[cfg(test)]
mod tests {
    use slapledger_core::log::merkle::Root;
    use slapledger_core::log::note::{SignatureKind, Signer};

    use super::*;

    fn published(size: u64, witnesses: &[&str]) -> PublishedCheckpoint {
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size, root: Root::EMPTY };
        let mut note = SignedNote::unsigned(&checkpoint.text()).expect("a text");
        for name in ["example.org/log"].iter().chain(witnesses) {
            let signer = Signer::new(name, SignatureKind::Log, &[1; 32]).expect("a key");
            note.add(signer.sign(note.text(), 0));
        }
        PublishedCheckpoint { checkpoint, note }
    }

    #[test]
    fn the_newest_are_kept_over_a_restart() {
        let data = tempfile::tempdir().expect("a folder");
        let kept = KeptCheckpoints::open(data.path(), true);
        assert_eq!(kept.newest(false), None);
        for size in 1..=MOST as u64 + 3 {
            let witnesses: &[&str] = if size == 500 { &["witness.example"] } else { &[] };
            kept.keep(published(size, witnesses)).expect("it is written");
        }
        std::fs::write(data.path().join(CHECKPOINTS).join("1.note"), "nothing").expect("it is written");
        let again = KeptCheckpoints::open(data.path(), false);
        for kept in [&kept, &again] {
            let newest = |cosigned| kept.newest(cosigned).map(|published| published.checkpoint.size);
            assert_eq!((newest(false), newest(true)), (Some(MOST as u64 + 3), Some(500)));
            let sizes: Vec<u64> = kept.before(7, 10).iter().map(|known| known.checkpoint.size).collect();
            assert_eq!(sizes, [6, 5, 4]);
        }
        // While witnesses do not answer, the last one that was cosigned stays, and nothing older.
        for size in MOST as u64 + 4..=MOST as u64 + 600 {
            kept.keep(published(size, &[])).expect("it is written");
        }
        let again = KeptCheckpoints::open(data.path(), false);
        for kept in [&kept, &again] {
            assert_eq!(kept.newest(true).map(|published| published.checkpoint.size), Some(500));
            let sizes: Vec<u64> = kept.before(605, 10).iter().map(|known| known.checkpoint.size).collect();
            assert_eq!(sizes, [604, 603, 602, 601, 500]);
        }
    }
}
