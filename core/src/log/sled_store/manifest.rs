//! The manifest of a sealed epoch: what it holds, with hashes over its frames and over its files.
//!
//! Invariants: its existence is what seals an epoch; it is durable before the tail of the epoch goes; the frontier in it
//! folds to the root, so that the tree can be taken up without reading earlier epochs; the files of a sealed epoch never
//! change. A manifest of format 1 knows no files: there the frames are compared.
//!
//! It is JSON for people and other programs. It is not signed: the root is, elsewhere.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::folder::EpochPlace;
use super::folder::{io_fault, manifest_path, replace};
use crate::domain::id::Sequence;
use crate::log::merkle::{Root, Tree};
use crate::log::store::{Head, StoreFault};

const FORMAT: u32 = 2;

/// The files that make a database of sled, in the order of the manifest. Its snapshots only shorten an opening.
pub(super) const FILES: [&str; 2] = ["conf", "db"];

/// See the module. Hashes are lowercase hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EpochManifest {
    pub(super) format: u32,
    pub(super) epoch: u32,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) frames: u64,
    pub(super) tree_size: u64,
    pub(super) root: String,
    pub(super) frontier: Vec<String>,
    /// SHA-256 over the stored bytes of all frames, one after the other.
    pub(super) sha256: String,
    /// The files of its database; none in format 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FileEntry>,
}

/// A file of a sealed epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    /// Its name in the folder of the epoch.
    pub(super) name: String,
    /// Its length.
    pub(super) bytes: u64,
    /// SHA-256 of its bytes.
    pub(super) sha256: String,
}

impl EpochManifest {
    pub(super) fn new(
        epoch: u32,
        first: Sequence,
        frames: u64,
        tree: &Tree,
        sha256: [u8; 32],
        files: Vec<FileEntry>,
    ) -> Self {
        Self {
            format: FORMAT,
            epoch,
            first: first.0,
            last: tree.size(),
            frames,
            tree_size: tree.size(),
            root: tree.root().to_string(),
            frontier: tree.frontier().iter().map(hex).collect(),
            sha256: hex(&sha256),
            files,
        }
    }

    /// The same in the present format, with the files of an epoch that was sealed without them.
    pub(super) fn with_files(&self, files: Vec<FileEntry>) -> Self {
        Self { format: FORMAT, files, ..self.clone() }
    }

    /// Writes it durably; from then on the epoch is sealed.
    pub(super) fn write(&self, dir: &Path) -> Result<(), StoreFault> {
        let path = manifest_path(dir, self.epoch);
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| StoreFault::DamagedFile { path: path.clone(), cause: error.to_string() })?;
        json.push(b'\n');
        replace(&path, &json)
    }

    /// Reads it and checks it in itself and against the epoch before.
    pub(super) fn read(dir: &Path, epoch: u32, before: Sequence) -> Result<SealedManifest, StoreFault> {
        let path = manifest_path(dir, epoch);
        let bytes = fs::read(&path).map_err(io_fault("read", &path))?;
        let damaged = |cause: String| StoreFault::DamagedFile { path: path.clone(), cause };
        // First: a newer format may have other fields.
        if let Ok(ManifestFormat { format }) = serde_json::from_slice(&bytes)
            && format > FORMAT
        {
            return Err(StoreFault::NewerFile { path, version: format });
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let tree = manifest.tree().ok_or_else(|| damaged("its frontier does not give its root".into()))?;
        let differs = |what| StoreFault::OtherManifest { epoch, sequence: Sequence(manifest.last), what };
        let rules = [
            (matches!(manifest.format, 1 | FORMAT), "format"),
            (manifest.names_its_files(), "files"),
            (manifest.epoch == epoch, "epoch"),
            (manifest.first == before.next().0, "first"),
            (manifest.last >= manifest.first && manifest.last == manifest.tree_size, "last"),
            (manifest.frames >= 1 && manifest.frames <= manifest.tree_size, "frames"),
            (unhex(&manifest.sha256).is_some(), "sha256"),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, what)) => Err(differs(what)),
            None => Ok(SealedManifest { manifest, tree }),
        }
    }

    /// What a manifest says, whether or not it is right.
    #[cfg(test)]
    pub(super) fn read_unchecked(dir: &Path, epoch: u32) -> Self {
        serde_json::from_slice(&fs::read(manifest_path(dir, epoch)).unwrap()).unwrap()
    }

    /// Whether the files are those that an epoch has, from format 2 on.
    fn names_its_files(&self) -> bool {
        let names: Vec<_> = self.files.iter().map(|file| file.name.as_str()).collect();
        let expected: &[&str] = if self.format == 1 { &[] } else { &FILES };
        names == expected && self.files.iter().all(|file| unhex(&file.sha256).is_some())
    }

    fn tree(&self) -> Option<Tree> {
        let frontier = self.frontier.iter().map(|hash| unhex(hash)).collect::<Option<Vec<_>>>()?;
        Tree::from_parts(self.tree_size, frontier).filter(|tree| tree.root().to_string() == self.root)
    }
}

/// What manifests of all formats have.
#[derive(Deserialize)]
struct ManifestFormat {
    format: u32,
}

/// A manifest that keeps its rules, and the tree at its end.
#[derive(Debug, Clone)]
pub(super) struct SealedManifest {
    pub(super) manifest: EpochManifest,
    pub(super) tree: Tree,
}

impl SealedManifest {
    pub(super) fn epoch(&self) -> u32 {
        self.manifest.epoch
    }

    pub(super) fn place(&self) -> EpochPlace {
        EpochPlace { number: self.manifest.epoch, first: Sequence(self.manifest.first) }
    }

    /// Whether the manifest knows the files of the epoch.
    pub(super) fn knows_files(&self) -> bool {
        !self.manifest.files.is_empty()
    }

    /// The end of the log when the epoch was sealed.
    pub(super) fn head(&self) -> Head {
        Head { last: Sequence(self.manifest.last), root: self.tree.root() }
    }
}

pub(super) fn hex(hash: &[u8; 32]) -> String {
    Root(*hash).to_string()
}

fn unhex(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = digits.iter().try_fold(0, |value, digit| {
            let digit = char::from(*digit).to_digit(16).filter(|_| !digit.is_ascii_uppercase())?;
            Some(value << 4 | u8::try_from(digit).ok()?)
        })?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> EpochManifest {
        let mut tree = Tree::new();
        for n in 0..11u8 {
            tree.push(&[n]);
        }
        let file = |name: &str| FileEntry { name: name.into(), bytes: 7, sha256: "cd".repeat(32) };
        EpochManifest::new(2, Sequence(5), 3, &tree, [0xab; 32], FILES.map(file).into())
    }

    #[test]
    fn comes_back_and_every_changed_field_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let good = sample();
        let read = |manifest: &EpochManifest| {
            manifest.write(dir.path()).unwrap();
            EpochManifest::read(dir.path(), manifest.epoch, Sequence(4))
        };
        let sealed = read(&good).unwrap();
        assert_eq!(sealed.manifest, good);
        assert_eq!(sealed.head().last, Sequence(11));

        let rows: [(&str, EpochManifest); 11] = [
            ("newer version", EpochManifest { format: 3, ..good.clone() }),
            ("files differs", EpochManifest { format: 1, ..good.clone() }),
            ("files differs", EpochManifest { files: vec![], ..good.clone() }),
            ("format differs", EpochManifest { format: 0, ..good.clone() }),
            ("first differs", EpochManifest { first: 6, ..good.clone() }),
            ("last differs", EpochManifest { last: 12, ..good.clone() }),
            ("frames differs", EpochManifest { frames: 0, ..good.clone() }),
            ("frontier", EpochManifest { tree_size: 12, ..good.clone() }),
            ("frontier", EpochManifest { root: "00".repeat(32), ..good.clone() }),
            ("frontier", EpochManifest { frontier: vec![], ..good.clone() }),
            ("sha256 differs", EpochManifest { sha256: "zz".repeat(32), ..good.clone() }),
        ];
        for (part, manifest) in rows {
            let fault = read(&manifest).unwrap_err().to_string();
            assert!(fault.contains(part), "{part}: {fault}");
        }
        let path = manifest_path(dir.path(), 2);
        fs::write(&path, "{").unwrap();
        assert!(matches!(
            EpochManifest::read(dir.path(), 2, Sequence(4)),
            Err(StoreFault::DamagedFile { .. })
        ));
        good.write(dir.path()).unwrap();
        fs::rename(path, manifest_path(dir.path(), 3)).unwrap();
        assert!(
            EpochManifest::read(dir.path(), 3, Sequence(4))
                .unwrap_err()
                .to_string()
                .contains("epoch differs")
        );
    }
}
