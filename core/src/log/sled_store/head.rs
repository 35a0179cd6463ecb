//! The file `head`: what was acknowledged last, kept outside sled, which drops the end of a damaged log silently.
//!
//! Two slots, written in turn, each with its own checksum; a torn slot leaves the other. Written before every answer;
//! synced about once a second and when an epoch begins, not for each answer: after a power cut it may be behind the
//! log, or empty, but after a killed process it is not. Both slots lie in one sector.
//!
//! It is not the log: a head that is behind says nothing, and a log shorter than its head is a fault.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::io_fault;
use crate::domain::id::Sequence;
use crate::log::merkle::Root;
use crate::log::store::{Head, StoreFault, Term};

const SLOT_BYTES: usize = 64;
const SLOTS: [u64; 2] = [0, SLOT_BYTES as u64];
const CHECKSUM_AT: usize = SLOT_BYTES - 4;
const MARK: [u8; 8] = *b"slaphd\x00\x01";
/// The last byte of the mark is the format.
const FORMAT: u8 = MARK[7];

/// What a slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) head: Head,
    pub(super) term: Term,
}

#[derive(Debug)]
pub(super) struct HeadFile {
    file: Arc<File>,
    path: PathBuf,
    next_slot: usize,
}

/// What was acknowledged, if the file knows. Changes nothing.
pub(super) fn read(dir: &Path) -> Result<Option<Acknowledged>, StoreFault> {
    let path = path_in(dir);
    match File::open(&path) {
        Ok(file) => {
            let slots = Slots::read(&file, &path)?;
            if slots.has_damaged {
                tracing::warn!(path = %path.display(), "a slot of the head file is damaged; the other one counts");
            }
            Ok(slots.newest)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_fault("open", &path)(error)),
    }
}

/// Whether a slot is damaged.
pub(super) fn has_damaged_slot(dir: &Path) -> Result<bool, StoreFault> {
    let path = path_in(dir);
    match File::open(&path) {
        Ok(file) => Ok(Slots::read(&file, &path)?.has_damaged),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_fault("open", &path)(error)),
    }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("head")
}

/// Both slots, as read.
struct Slots {
    newest: Option<Acknowledged>,
    next: usize,
    has_damaged: bool,
}

impl Slots {
    fn read(file: &File, path: &Path) -> Result<Self, StoreFault> {
        let mut slots = [None; 2];
        let mut used = 0;
        for (slot, at) in slots.iter_mut().zip(SLOTS) {
            let bytes = read_slot(file, at).map_err(io_fault("read", path))?;
            used += usize::from(bytes != [0; SLOT_BYTES]);
            *slot = match checked(&bytes) {
                Some((FORMAT, body)) => decode(body),
                Some((newer, _)) => {
                    return Err(StoreFault::NewerFile { path: path.to_owned(), version: newer.into() });
                }
                None => None,
            };
        }
        let [first, second] = slots;
        let newest = first.into_iter().chain(second).max_by_key(|slot| (slot.head.last, slot.term));
        if newest.is_none() && used == SLOTS.len() {
            // A power cut leaves a slot old, new or empty; only damage reaches both.
            let cause = "both slots are damaged".into();
            return Err(StoreFault::DamagedFile { path: path.to_owned(), cause });
        }
        let has_damaged = used > slots.iter().flatten().count();
        Ok(Self { newest, next: usize::from(newest.is_some() && newest == first), has_damaged })
    }
}

impl HeadFile {
    /// Opens the file to write, or creates it; tells what was acknowledged, if the file knows.
    pub(super) fn open(dir: &Path) -> Result<(Self, Option<Acknowledged>), StoreFault> {
        let path = path_in(dir);
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_fault("open", &path))?;
        let Slots { newest, next, .. } = Slots::read(&file, &path)?;
        Ok((Self { file: Arc::new(file), path, next_slot: next }, newest))
    }

    /// The file, for anyone who syncs it.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Writes to the slot that is not the newest.
    pub(super) fn write(&mut self, acknowledged: Acknowledged) -> Result<(), StoreFault> {
        let bytes = encode(acknowledged);
        self.file.write_all_at(&bytes, SLOTS[self.next_slot]).map_err(io_fault("write", &self.path))?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

/// A slot that the file ends before, or within, reads as if the rest were zeros.
fn read_slot(file: &File, at: u64) -> io::Result<[u8; SLOT_BYTES]> {
    let mut bytes = [0; SLOT_BYTES];
    let mut filled = 0;
    while filled < SLOT_BYTES {
        match file.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

fn encode(Acknowledged { head, term }: Acknowledged) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&MARK);
    bytes[8..16].copy_from_slice(&head.last.0.to_be_bytes());
    bytes[16..48].copy_from_slice(&head.root.0);
    bytes[48..56].copy_from_slice(&term.0.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The format of a slot and what follows its mark, if its checksum is right.
fn checked(bytes: &[u8; SLOT_BYTES]) -> Option<(u8, &[u8])> {
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    if u32::from_be_bytes(*checksum) != crc32fast::hash(content) {
        return None;
    }
    let (mark, body) = content.split_first_chunk::<8>()?;
    (mark[..7] == MARK[..7]).then_some((mark[7], body))
}

fn decode(body: &[u8]) -> Option<Acknowledged> {
    let (last, body) = body.split_first_chunk()?;
    let (root, body) = body.split_first_chunk()?;
    let (term, _) = body.split_first_chunk()?;
    let head = Head { last: Sequence(u64::from_be_bytes(*last)), root: Root(*root) };
    Some(Acknowledged { head, term: Term(u64::from_be_bytes(*term)) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn acknowledged(last: u64) -> Acknowledged {
        Acknowledged { head: Head { last: Sequence(last), root: Root([7; 32]) }, term: Term(3) }
    }

    fn reopen(dir: &Path) -> Option<Acknowledged> {
        HeadFile::open(dir).unwrap().1
    }

    #[test]
    fn a_new_file_knows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(reopen(dir.path()), None);
        assert_eq!(reopen(dir.path()), None);
    }

    #[test]
    fn the_newest_slot_wins_and_a_torn_one_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        for last in 1..8 {
            // Opened anew each time: the slot to overwrite is found from the file.
            let (mut file, before) = HeadFile::open(dir.path()).unwrap();
            assert_eq!(before, (last > 1).then(|| acknowledged(last - 1)));
            file.write(acknowledged(last)).unwrap();
        }
        let path = dir.path().join("head");
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), 128);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let expected = if bit / 8 < SLOT_BYTES { 6 } else { 7 };
            assert_eq!(reopen(dir.path()), Some(acknowledged(expected)), "bit {bit}");
        }
    }

    #[test]
    fn two_damaged_slots_are_a_fault_and_empty_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("head");
        fs::write(&path, [1; 128]).unwrap();
        assert!(matches!(HeadFile::open(dir.path()), Err(StoreFault::DamagedFile { .. })));
        for (content, name) in [(vec![0; 128], "zeros"), (vec![], "empty"), (vec![5; 20], "one torn slot")] {
            fs::write(&path, content).unwrap();
            assert_eq!(reopen(dir.path()), None, "{name}");
        }
    }

    #[test]
    fn a_slot_of_a_newer_format_is_refused_by_that_name() {
        let dir = tempfile::tempdir().unwrap();
        HeadFile::open(dir.path()).unwrap().0.write(acknowledged(3)).unwrap();
        let path = dir.path().join("head");
        let mut newer = fs::read(&path).unwrap();
        newer[7] = 2;
        let checksum = crc32fast::hash(&newer[..CHECKSUM_AT]);
        newer[CHECKSUM_AT..SLOT_BYTES].copy_from_slice(&checksum.to_be_bytes());
        fs::write(&path, &newer).unwrap();
        assert!(matches!(read(dir.path()), Err(StoreFault::NewerFile { version: 2, .. })));
        assert!(matches!(HeadFile::open(dir.path()), Err(StoreFault::NewerFile { version: 2, .. })));
        assert_eq!(fs::read(&path).unwrap(), newer);
    }
}
