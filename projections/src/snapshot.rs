//! Snapshots of views on disk: they shorten the way to the end of the log, and are never trusted over it.
//!
//! A file is a magic number, what it is a snapshot of (name, format, sequence, root of the log), the bytes of the
//! view, and SHA-256 of all of that. It is replaced as a whole or not at all. One that does not fit in any respect is
//! as good as none; anyone who wanted it is told why.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::Sequence;
use slapledger_core::log::merkle::Root;
use slapledger_core::log::witness::Witness;

use crate::view::{BUFFER_BYTES, HashingWriter, View, put};

/// A name, and the version of the layout around the view.
const MAGIC: &[u8; 8] = b"SLVIEW01";
const DIGEST_BYTES: u64 = 32;
/// No header is longer.
const HEADER_BYTES: usize = 1024;

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ViewSnapshotHeader {
    pub(crate) name: String,
    pub(crate) format: u32,
    pub(crate) sequence: Sequence,
    pub(crate) root: Root,
}

/// Where the snapshots of a view are kept.
#[derive(Debug, Clone)]
pub(crate) struct ViewSnapshotFile {
    path: PathBuf,
}

impl ViewSnapshotFile {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(format!("{name}.snapshot")) }
    }

    /// Replaces the snapshot, durably.
    pub(crate) fn write<V: View>(&self, header: &ViewSnapshotHeader, view: &V) -> io::Result<()> {
        let written = self.try_write(header, view);
        // What was written of it takes room on a disk that may be full.
        written.inspect_err(|_| self.remove_unfinished())
    }

    fn try_write<V: View>(&self, header: &ViewSnapshotHeader, view: &V) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let temporary = self.unfinished();
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&temporary)?);
        let mut out = BufWriter::with_capacity(
            BUFFER_BYTES,
            HashingWriter { inner: file, hasher: Sha256::new(), bytes: 0 },
        );
        out.write_all(MAGIC)?;
        put(header, &mut out)?;
        view.write(&mut out)?;
        let HashingWriter { inner: mut file, hasher, .. } =
            out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.write_all(&hasher.finalize())?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        File::open(folder)?.sync_all()
    }

    /// Removes what a crash, or a full disk, left of one that was being written.
    pub(crate) fn remove_unfinished(&self) {
        let path = self.unfinished();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot remove an unfinished snapshot");
            }
            _ => {}
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.path.with_extension("snapshot.new")
    }

    /// The snapshot, if there is one and `fits` says that it is one of this log. The error says what is wrong with the
    /// file, which it names.
    pub(crate) fn read<V: View>(
        &self,
        fits: impl FnOnce(&ViewSnapshotHeader) -> bool,
    ) -> Result<Option<(ViewSnapshotHeader, V)>, String> {
        let path = self.path.display();
        match self.try_read(fits) {
            Ok(Some(snapshot)) => Ok(Some(snapshot)),
            Ok(None) => Err(format!("{path} does not fit the log or this version")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{path} is damaged ({error})")),
        }
    }

    /// What it says of the log, if there is one and its beginning can be read.
    pub(crate) fn witness(&self, name: &str) -> Option<Witness> {
        let mut content = BufReader::new(File::open(&self.path).ok()?);
        let ViewSnapshotHeader { sequence: last, root, .. } = read_header(&mut content).ok()?;
        let path = self.path.clone();
        Some(Witness {
            name: name.into(),
            last,
            root: Some(root),
            is_whole: Box::new(move || verify(&path).is_ok()),
        })
    }

    fn try_read<V: View>(
        &self,
        fits: impl FnOnce(&ViewSnapshotHeader) -> bool,
    ) -> io::Result<Option<(ViewSnapshotHeader, V)>> {
        let length = verify(&self.path)?;
        let mut content = BufReader::with_capacity(BUFFER_BYTES, File::open(&self.path)?.take(length));
        let header = read_header(&mut content)?;
        if header.format != V::FORMAT || !fits(&header) {
            return Ok(None);
        }
        let view = V::read(&mut content)?;
        if content.read(&mut [0])? != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes are left over"));
        }
        Ok(Some((header, view)))
    }
}

/// The header at the beginning of a file, which may hold anything.
fn read_header(content: &mut impl Read) -> io::Result<ViewSnapshotHeader> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut magic = [0; MAGIC.len()];
    content.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(invalid("it is no snapshot of a view".into()));
    }
    // A length that is damaged makes no room for itself.
    let config = bincode::config::standard().with_limit::<HEADER_BYTES>();
    bincode::decode_from_std_read(content, config).map_err(|error| invalid(error.to_string()))
}

/// Checks the digest at the end of a file and gives the length of what is before it.
fn verify(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let short = || io::Error::new(io::ErrorKind::InvalidData, "it is cut off");
    let length = file.metadata()?.len().checked_sub(DIGEST_BYTES).ok_or_else(short)?;
    let mut hashing = HashingWriter { inner: io::sink(), hasher: Sha256::new(), bytes: 0 };
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
