//! Snapshots of views on disk: they shorten the way to the end of the log, and are never trusted over it.
//!
//! A file is a magic number, what it is a snapshot of (name, format, sequence, root of the log), the bytes of the
//! view, and SHA-256 of all of that. It is replaced as a whole or not at all. One that does not fit in any respect is
//! as good as none.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::Sequence;
use slapledger_core::log::merkle::Root;

use crate::view::{BUFFER_BYTES, Hashing, View, get, put};

/// A name, and the version of the layout around the view.
const MAGIC: &[u8; 8] = b"SLVIEW01";
const DIGEST_BYTES: u64 = 32;

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) format: u32,
    pub(crate) sequence: Sequence,
    pub(crate) root: Root,
}

/// Where the snapshots of a view are kept.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    path: PathBuf,
}

impl SnapshotFile {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(format!("{name}.snapshot")) }
    }

    /// Replaces the snapshot, durably.
    pub(crate) fn write<V: View>(&self, header: &Header, view: &V) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let temporary = self.path.with_extension("snapshot.new");
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&temporary)?);
        let mut out =
            BufWriter::with_capacity(BUFFER_BYTES, Hashing { inner: file, hasher: Sha256::new(), bytes: 0 });
        out.write_all(MAGIC)?;
        put(header, &mut out)?;
        view.write(&mut out)?;
        let Hashing { inner: mut file, hasher, .. } =
            out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.write_all(&hasher.finalize())?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        File::open(folder)?.sync_all()
    }

    /// The snapshot, if there is one, it is whole, and `fits` says that it is one of this log.
    pub(crate) fn read<V: View>(&self, fits: impl FnOnce(&Header) -> bool) -> Option<(Header, V)> {
        self.try_read(fits).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %self.path.display(), %error, "a snapshot is discarded");
            }
            None
        })
    }

    fn try_read<V: View>(&self, fits: impl FnOnce(&Header) -> bool) -> io::Result<Option<(Header, V)>> {
        let length = verify(&self.path)?;
        let mut content = BufReader::with_capacity(BUFFER_BYTES, File::open(&self.path)?.take(length));
        let mut magic = [0; MAGIC.len()];
        content.read_exact(&mut magic)?;
        let header: Header = get(&mut content)?;
        if magic != *MAGIC || header.format != V::FORMAT || !fits(&header) {
            tracing::info!(path = %self.path.display(), "a snapshot that does not fit the log is discarded");
            return Ok(None);
        }
        let view = V::read(&mut content)?;
        if content.read(&mut [0])? != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes are left over"));
        }
        Ok(Some((header, view)))
    }
}

/// Checks the digest at the end of a file and gives the length of what is before it.
fn verify(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let short = || io::Error::new(io::ErrorKind::InvalidData, "it is cut off");
    let length = file.metadata()?.len().checked_sub(DIGEST_BYTES).ok_or_else(short)?;
    let mut hashing = Hashing { inner: io::sink(), hasher: Sha256::new(), bytes: 0 };
    let mut content = BufReader::with_capacity(BUFFER_BYTES, Read::by_ref(&mut file).take(length));
    if io::copy(&mut content, &mut hashing)? != length {
        return Err(short());
    }
    let mut told = Vec::new();
    file.read_to_end(&mut told)?;
    if told == *hashing.hasher.finalize() {
        Ok(length)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "its digest differs"))
    }
}
