//! Manifests: which runs were the whole index when an event was the last.
//!
//! Invariants: a manifest is durable only after the runs it names; the two newest are kept, with their runs, because
//! the snapshot that goes with the newest may not have become durable. A manifest that cannot be read is a fault of the
//! index, which is then rebuilt from the log.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};

use super::FingerprintFault;
use super::run::{RunSpan, io_fault};
use crate::domain::id::Sequence;

const FORMAT: u32 = 1;
const PREFIX: &str = "manifest-";
/// The name of a manifest while it is being written.
pub(super) const UNFINISHED: &str = "manifest.new";

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct RunManifest {
    format: u32,
    /// The last event whose usage is in the runs.
    pub(super) last: Sequence,
    /// Names the key of the fingerprints.
    pub(super) key: [u8; 16],
    /// Oldest first, with their entries.
    pub(super) runs: Vec<(RunSpan, u64)>,
    /// Where the next run's span begins.
    pub(super) next: u64,
}

impl RunManifest {
    pub(super) fn new(last: Sequence, key: [u8; 16], runs: Vec<(RunSpan, u64)>, next: u64) -> Self {
        Self { format: FORMAT, last, key, runs, next }
    }

    /// Writes it durably, with the names of the runs in the same folder.
    pub(super) fn write(&self, dir: &Path) -> Result<(), FingerprintFault> {
        let body = bincode::encode_to_vec(self, bincode::config::standard())
            .expect("a manifest in memory can be encoded");
        let checksum = crc32fast::hash(&body).to_be_bytes();
        let (path, new) = (path(dir, self.last), dir.join(UNFINISHED));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(&[&checksum, &body[..]].concat())?;
            file.sync_all()
        });
        written.map_err(io_fault("write", &new))?;
        fs::rename(&new, &path).map_err(io_fault("rename", &new))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_fault("sync", dir))
    }

    /// The manifest of that event, if there is one.
    pub(super) fn read(dir: &Path, last: Sequence) -> Result<Option<Self>, FingerprintFault> {
        let path = path(dir, last);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_fault("read", &path)(error)),
        };
        let manifest = Self::decode(&bytes).filter(|manifest| manifest.last == last);
        manifest.map(Some).ok_or(FingerprintFault::Damaged { path, what: "its content" })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checksum, body) = bytes.split_first_chunk()?;
        if u32::from_be_bytes(*checksum) != crc32fast::hash(body) {
            return None;
        }
        let (manifest, read): (Self, usize) =
            bincode::decode_from_slice(body, bincode::config::standard()).ok()?;
        (read == body.len() && manifest.format == FORMAT).then_some(manifest)
    }

    pub(super) fn file_name(&self) -> String {
        file_name(self.last)
    }
}

/// Events that have manifests, in order.
pub(super) fn list(dir: &Path) -> io::Result<Vec<Sequence>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|number| number.parse().ok());
        found.extend(number.map(Sequence).filter(|last| *name == *file_name(*last)));
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether a file of this name is one this index could have written.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
        || name == UNFINISHED
        || name.strip_prefix("run-").is_some_and(|spans| spans.strip_suffix(".seen").is_some())
}

pub(super) fn file_name(last: Sequence) -> String {
    format!("{PREFIX}{:020}", last.0)
}

fn path(dir: &Path, last: Sequence) -> PathBuf {
    dir.join(file_name(last))
}
