//! `backup.json`: what a backup consists of, with a hash of every file. It is written last: a folder without it, or
//! with files that it does not name, is as good as before.
//!
//! A tail may be longer than the manifest says: a later backup that was interrupted appended to it. The bytes that the
//! manifest counts are the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::files::{self, FileDigest, io_fault};
use super::names::LogFile;
use super::{BackupFault, MANIFEST};
use crate::domain::id::Sequence;
use crate::domain::time::Timestamp;
use crate::log::merkle::Root;
use crate::log::sled_store::backup::ListedFiles;
use crate::log::store::Head;

/// The version of the format.
const FORMAT: u32 = 1;
/// The file with the term of the newest writer, in the folder of the log.
pub(super) const TERM: &str = "term";
/// The folder of the log in a backup.
pub const LOG: &str = "log";
/// The longest manifest that is read. Bounds the memory; each epoch takes less than a kilobyte.
pub const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// See the module. Hashes are lowercase hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    /// The version of the format.
    pub format: u32,
    /// The id of the ledger.
    pub ledger: String,
    /// What the ledger is run as.
    pub mode: String,
    /// When the backup was made, RFC 3339.
    pub created_at: String,
    /// Name and version of the program that made it.
    pub program: String,
    /// The last event.
    pub last: u64,
    /// The root of the log with that event.
    pub root: String,
    /// The sealed epochs, in order.
    pub epochs: Vec<BackupEpoch>,
    /// The tails of the epochs that are not sealed, in order.
    pub tails: Vec<BackupTail>,
    /// The bytes of the file with the term of the newest writer, hexadecimal.
    pub term: String,
    /// Keys and certificates, in a backup that has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<PrivateFiles>,
    /// SHA-256 of this manifest as compact JSON, its fields in this order, with nothing here. Empty in what a server
    /// offers.
    #[serde(default)]
    pub sha256: String,
}

/// A sealed epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupEpoch {
    /// Its number, from 1.
    pub epoch: u32,
    /// Its first event.
    pub first: u64,
    /// Its last event.
    pub last: u64,
    /// The root of the log with that event.
    pub root: String,
    /// Its settings, its database and its manifest.
    pub files: Vec<NamedFile>,
}

/// The tail of an epoch that is not sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupTail {
    /// The number of its epoch.
    pub epoch: u32,
    /// Its first event.
    pub first: u64,
    /// Its last event; the one before `first` if it has none.
    pub last: u64,
    /// Its bytes up to the end of that event.
    pub file: NamedFile,
}

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFile {
    /// Which.
    pub name: LogFile,
    /// Its length and hash. The hash of a tail is empty in what a server offers: the downloader computes it.
    #[serde(flatten)]
    pub digest: FileDigest,
}

/// What only the operator may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateFiles {
    /// The folder in the backup that holds them: another one after each backup.
    pub folder: String,
    /// Its files.
    pub files: Vec<PrivateFile>,
    /// When they were copied, RFC 3339, if a later backup without keys kept them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_at: Option<String>,
}

/// A file of the data folder beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateFile {
    /// Its path in the data folder.
    pub path: String,
    /// Its permission bits, octal.
    pub mode: String,
    /// Its length and hash.
    #[serde(flatten)]
    pub digest: FileDigest,
}

impl BackupManifest {
    /// The version of the format that this program writes.
    pub const FORMAT: u32 = FORMAT;

    /// Where the log ends in this backup.
    pub fn head(&self) -> Option<Head> {
        Some(Head { last: Sequence(self.last), root: root(&self.root)? })
    }

    /// When it was made.
    pub fn created_at(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(&self.created_at)
    }

    /// When its keys were copied, if that was before it was made.
    pub fn keys_as_of(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(self.private.as_ref()?.copied_at.as_ref()?)
    }

    /// Its private files as the next backup keeps them, which copies none.
    pub(super) fn kept_private(&self) -> Option<PrivateFiles> {
        let mut private = self.private.clone()?;
        private.copied_at.get_or_insert_with(|| self.created_at.clone());
        Some(private)
    }

    /// All files of the log.
    pub fn log_files(&self) -> impl Iterator<Item = &NamedFile> {
        let sealed = self.epochs.iter().flat_map(|epoch| &epoch.files);
        sealed.chain(self.tails.iter().map(|tail| &tail.file))
    }

    /// The files of the log as a store opens them.
    pub(super) fn listed(&self) -> ListedFiles {
        ListedFiles {
            epochs: self.epochs.iter().map(|epoch| epoch.epoch).collect(),
            tails: self.tails.iter().map(|tail| (tail.epoch, tail.file.digest.bytes)).collect(),
            term: self.term_bytes(),
        }
    }

    /// How many bytes all files have.
    pub fn bytes(&self) -> u64 {
        let private = self.private.iter().flat_map(|private| &private.files).map(|file| file.digest.bytes);
        self.log_files().map(|file| file.digest.bytes).chain(private).sum()
    }

    /// The manifest of the backup in a folder, if there is one.
    pub fn read(folder: &Path) -> Result<Option<Self>, BackupFault> {
        let path = folder.join(MANIFEST);
        let length = match fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_fault("read", &path)(error)),
        };
        if length > MAX_MANIFEST_BYTES {
            return Err(BackupFault::DamagedManifest { path, cause: "it is too long".into() });
        }
        let text = fs::read(&path).map_err(io_fault("read", &path))?;
        let manifest = Self::parse(&text, &path)?;
        if manifest.sha256 != manifest.own_hash() {
            return Err(BackupFault::DamagedManifest { path, cause: "its own hash differs".into() });
        }
        Ok(Some(manifest))
    }

    /// The hash of all its other fields.
    fn own_hash(&self) -> String {
        let bare = Self { sha256: String::new(), ..self.clone() };
        let json = serde_json::to_vec(&bare).expect("a manifest in memory can be encoded");
        files::hex(&Sha256::digest(json))
    }

    /// The bytes of the file with the term.
    pub(super) fn term_bytes(&self) -> Vec<u8> {
        unhex(&self.term).unwrap_or_default()
    }

    /// A manifest from its JSON; `path` is where it was found.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self, BackupFault> {
        #[derive(Deserialize)]
        struct BackupFormat {
            format: u32,
        }
        let damaged = |cause: String| BackupFault::DamagedManifest { path: path.to_owned(), cause };
        let BackupFormat { format } =
            serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if format > FORMAT {
            return Err(BackupFault::NewerManifest { path: path.to_owned(), format });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        match manifest.broken_rule() {
            Some(rule) => Err(damaged(rule)),
            None => Ok(manifest),
        }
    }

    /// Writes it, durably: with this the backup counts.
    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupFault> {
        let path = folder.join(MANIFEST);
        let hashed = Self { sha256: self.own_hash(), ..self.clone() };
        let mut json = serde_json::to_vec_pretty(&hashed).expect("a manifest in memory can be encoded");
        json.push(b'\n');
        files::replace(&path, &json, 0o600)
    }

    /// What is wrong in itself: epochs and tails follow each other, and name the files they have.
    fn broken_rule(&self) -> Option<String> {
        let hash = |text: &str, bytes: usize| {
            text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if self.format != FORMAT {
            return Some(format!("format {} is not one", self.format));
        }
        if !hash(&self.ledger, 16) {
            return Some("ledger is no id".into());
        }
        if self.created_at().is_none() {
            return Some("created_at is no instant".into());
        }
        let mut before = 0;
        for (entry, number) in self.epochs.iter().zip(1..) {
            let names = entry.files.iter().map(|file| file.name);
            if entry.epoch != number || entry.first != before + 1 || entry.last < entry.first {
                return Some(format!("epoch {} does not continue the one before", entry.epoch));
            }
            if !names.eq(LogFile::of_sealed(number)) || !hash(&entry.root, 32) {
                return Some(format!("epoch {number} does not have its files and its root"));
            }
            before = entry.last;
        }
        for (tail, number) in self.tails.iter().zip(self.epochs.len() as u64 + 1..) {
            if u64::from(tail.epoch) != number || tail.first != before + 1 || tail.last + 1 < tail.first {
                return Some(format!("the tail of epoch {} does not continue the one before", tail.epoch));
            }
            if tail.file.name != LogFile::Tail(tail.epoch) {
                return Some(format!("the tail of epoch {number} is named {}", tail.file.name));
            }
            before = tail.last;
        }
        if self.last != before || !hash(&self.root, 32) {
            return Some(format!("last is {}, but its files end at {before}", self.last));
        }
        if unhex(&self.term).is_none_or(|bytes| bytes.is_empty()) {
            return Some("term is not hexadecimal".into());
        }
        let private = self.private.as_ref()?;
        if private_number(&private.folder).is_none() {
            return Some(format!("private.folder is {:?}", private.folder));
        }
        if private.copied_at.is_some() && self.keys_as_of().is_none() {
            return Some("private.copied_at is no instant".into());
        }
        let odd = private.files.iter().find(|file| !is_inside(&file.path) || file.bits().is_none());
        odd.map(|file| format!("private.files names {:?} with mode {:?}", file.path, file.mode))
    }
}

impl PrivateFile {
    /// Its permission bits, for its owner alone.
    pub fn bits(&self) -> Option<u32> {
        u32::from_str_radix(&self.mode, 8).ok().filter(|mode| mode & !0o700 == 0)
    }
}

/// The number in the name of a private folder.
pub(super) fn private_number(folder: &str) -> Option<u64> {
    let number = folder.strip_prefix("private-")?.parse().ok()?;
    (folder == private_folder(number)).then_some(number)
}

/// The name of a private folder.
pub(super) fn private_folder(number: u64) -> String {
    format!("private-{number}")
}

/// Whether a path stays in its folder.
fn is_inside(path: &str) -> bool {
    let mut parts = PathBuf::from(path);
    let inside = parts.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    inside && parts.pop() && !path.contains("//") && !path.ends_with('/')
}

/// A root from its text.
pub(super) fn root(text: &str) -> Option<Root> {
    unhex(text)?.try_into().ok().map(Root)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    type Change = fn(&mut BackupManifest);

    fn file(name: LogFile) -> NamedFile {
        NamedFile { name, digest: FileDigest { bytes: 7, sha256: "ab".repeat(32) } }
    }

    fn sample() -> BackupManifest {
        let epoch = |epoch: u32, first, last| BackupEpoch {
            epoch,
            first,
            last,
            root: "cd".repeat(32),
            files: LogFile::of_sealed(epoch).map(file).into(),
        };
        let tail = |epoch, first, last| BackupTail { epoch, first, last, file: file(LogFile::Tail(epoch)) };
        let key = PrivateFile {
            path: "keys/master".into(),
            mode: "0600".into(),
            digest: FileDigest { bytes: 32, sha256: "ef".repeat(32) },
        };
        BackupManifest {
            format: 1,
            ledger: "01".repeat(16),
            mode: "serve".into(),
            created_at: "2026-11-30T09:15:00Z".into(),
            program: "slapledger 0.1.0".into(),
            last: 30,
            root: "cd".repeat(32),
            epochs: vec![epoch(1, 1, 10), epoch(2, 11, 20)],
            tails: vec![tail(3, 21, 30), tail(4, 31, 30)],
            term: "00ff".into(),
            private: Some(PrivateFiles { folder: "private-2".into(), files: vec![key], copied_at: None }),
            sha256: String::new(),
        }
    }

    #[test]
    fn a_manifest_comes_back_and_one_that_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(BackupManifest::read(folder.path()).unwrap(), None);
        sample().write(folder.path()).unwrap();
        let read = BackupManifest::read(folder.path()).unwrap().unwrap();
        assert_eq!(BackupManifest { sha256: String::new(), ..read }, sample());
        let path = folder.path().join(MANIFEST);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("0.1.0", "0.1.1")).unwrap();
        let fault = BackupManifest::read(folder.path()).unwrap_err().to_string();
        assert!(fault.contains("its own hash differs"), "{fault}");
        let rows: Vec<(&str, Change)> = vec![
            ("newer version", |manifest| manifest.format = 2),
            ("format 0", |manifest| manifest.format = 0),
            ("ledger", |manifest| manifest.ledger = "x".into()),
            ("created_at", |manifest| manifest.created_at = "yesterday".into()),
            ("epoch 2 does not continue", |manifest| manifest.epochs[1].first = 12),
            ("epoch 3 does not continue", |manifest| manifest.epochs[1].epoch = 3),
            ("epoch 1 does not have", |manifest| manifest.epochs[0].files.swap(0, 1)),
            ("epoch 1 does not have", |manifest| manifest.epochs[0].root.clear()),
            ("tail of epoch 3", |manifest| manifest.tails[0].first = 20),
            ("tail of epoch 5", |manifest| manifest.tails[1].epoch = 5),
            ("is named epoch-000009.tail", |manifest| manifest.tails[0].file.name = LogFile::Tail(9)),
            ("end at 30", |manifest| manifest.last = 31),
            ("term", |manifest| manifest.term = "0".into()),
            ("private.folder", |manifest| manifest.private.as_mut().unwrap().folder = "../x".into()),
            ("private.copied_at", |manifest| {
                manifest.private.as_mut().unwrap().copied_at = Some("yesterday".into());
            }),
            ("private.files", |manifest| manifest.private.as_mut().unwrap().files[0].path = "../x".into()),
            ("private.files", |manifest| manifest.private.as_mut().unwrap().files[0].path = "/etc/x".into()),
            ("private.files", |manifest| manifest.private.as_mut().unwrap().files[0].mode = "0644".into()),
        ];
        for (part, change) in rows {
            let mut manifest = sample();
            change(&mut manifest);
            manifest.write(folder.path()).unwrap();
            let fault = BackupManifest::read(folder.path()).unwrap_err().to_string();
            assert!(fault.contains(part) && fault.contains("backup.json"), "{part}: {fault}");
        }
        fs::write(folder.path().join(MANIFEST), "{").unwrap();
        assert!(matches!(BackupManifest::read(folder.path()), Err(BackupFault::DamagedManifest { .. })));
    }

    #[test]
    fn roots_have_one_spelling() {
        assert_eq!(root(&Root([0xab; 32]).to_string()), Some(Root([0xab; 32])));
        for wrong in ["", "ab", &"AB".repeat(32), &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(root(wrong), None, "{wrong}");
        }
    }
}
