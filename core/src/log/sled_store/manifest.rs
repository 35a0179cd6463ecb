//! The manifest of a sealed epoch: what it holds, with a hash over its frames (not over the files of sled, which
//! change when they are opened).
//!
//! Invariants: its existence is what seals an epoch; it is durable before the next epoch begins; the frontier in it
//! folds to the root, so that the tree can be taken up without reading earlier epochs.
//!
//! It is JSON for people and other programs. It is not signed: the root is, elsewhere.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::epoch::Place;
use super::folder::{io_fault, manifest_path, replace};
use crate::domain::id::Sequence;
use crate::log::merkle::{Root, Tree};
use crate::log::store::{Head, StoreFault};

const FORMAT: u32 = 1;

/// See the module. Hashes are lowercase hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
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
}

impl Manifest {
    pub(super) fn new(epoch: u32, first: Sequence, frames: u64, tree: &Tree, sha256: [u8; 32]) -> Self {
        let hex = |hash: &[u8; 32]| Root(*hash).to_string();
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
        }
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
    pub(super) fn read(dir: &Path, epoch: u32, before: Sequence) -> Result<Sealed, StoreFault> {
        let path = manifest_path(dir, epoch);
        let bytes = fs::read(&path).map_err(io_fault("read", &path))?;
        let damaged = |cause: String| StoreFault::DamagedFile { path: path.clone(), cause };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if manifest.format > FORMAT {
            return Err(damaged(format!("format {} is of a newer version of this program", manifest.format)));
        }
        let tree = manifest.tree().ok_or_else(|| damaged("its frontier does not give its root".into()))?;
        let differs = |what| StoreFault::OtherManifest { epoch, sequence: Sequence(manifest.last), what };
        let rules = [
            (manifest.format == FORMAT, "format"),
            (manifest.epoch == epoch, "epoch"),
            (manifest.first == before.next().0, "first"),
            (manifest.last >= manifest.first && manifest.last == manifest.tree_size, "last"),
            (manifest.frames >= 1 && manifest.frames <= manifest.tree_size, "frames"),
            (unhex(&manifest.sha256).is_some(), "sha256"),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, what)) => Err(differs(what)),
            None => Ok(Sealed { manifest, tree }),
        }
    }

    fn tree(&self) -> Option<Tree> {
        let frontier = self.frontier.iter().map(|hash| unhex(hash)).collect::<Option<Vec<_>>>()?;
        Tree::from_parts(self.tree_size, frontier).filter(|tree| tree.root().to_string() == self.root)
    }
}

/// A manifest that keeps its rules, and the tree at its end.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) manifest: Manifest,
    pub(super) tree: Tree,
}

impl Sealed {
    pub(super) fn epoch(&self) -> u32 {
        self.manifest.epoch
    }

    pub(super) fn place(&self) -> Place {
        Place { number: self.manifest.epoch, first: Sequence(self.manifest.first) }
    }

    /// The end of the log when the epoch was sealed.
    pub(super) fn head(&self) -> Head {
        Head { last: Sequence(self.manifest.last), root: self.tree.root() }
    }
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

    fn sample() -> Manifest {
        let mut tree = Tree::new();
        for n in 0..11u8 {
            tree.push(&[n]);
        }
        Manifest::new(2, Sequence(5), 3, &tree, [0xab; 32])
    }

    #[test]
    fn comes_back_and_every_changed_field_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let good = sample();
        let read = |manifest: &Manifest| {
            manifest.write(dir.path()).unwrap();
            Manifest::read(dir.path(), manifest.epoch, Sequence(4))
        };
        let sealed = read(&good).unwrap();
        assert_eq!(sealed.manifest, good);
        assert_eq!(sealed.head().last, Sequence(11));

        let rows: [(&str, Manifest); 9] = [
            ("newer version", Manifest { format: 2, ..good.clone() }),
            ("format differs", Manifest { format: 0, ..good.clone() }),
            ("first differs", Manifest { first: 6, ..good.clone() }),
            ("last differs", Manifest { last: 12, ..good.clone() }),
            ("frames differs", Manifest { frames: 0, ..good.clone() }),
            ("frontier", Manifest { tree_size: 12, ..good.clone() }),
            ("frontier", Manifest { root: "00".repeat(32), ..good.clone() }),
            ("frontier", Manifest { frontier: vec![], ..good.clone() }),
            ("sha256 differs", Manifest { sha256: "zz".repeat(32), ..good.clone() }),
        ];
        for (part, manifest) in rows {
            let fault = read(&manifest).unwrap_err().to_string();
            assert!(fault.contains(part), "{part}: {fault}");
        }
        let path = manifest_path(dir.path(), 2);
        fs::write(&path, "{").unwrap();
        assert!(matches!(Manifest::read(dir.path(), 2, Sequence(4)), Err(StoreFault::DamagedFile { .. })));
        good.write(dir.path()).unwrap();
        fs::rename(path, manifest_path(dir.path(), 3)).unwrap();
        assert!(
            Manifest::read(dir.path(), 3, Sequence(4)).unwrap_err().to_string().contains("epoch differs")
        );
    }
}
