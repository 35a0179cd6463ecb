//! The file `term`: the term of the newest writer, raised durably before that writer may append.
//!
//! Two slots, written in turn and in place, each with its own checksum: raising the term needs no free space, and a
//! torn slot leaves the other. It is not a lock: two processes are kept apart by the lock of the folder, the term fences
//! a writer that does not know it has been replaced.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::folder::{io_fault, replace};
use crate::log::store::{StoreFault, Term};

const MARK: [u8; 8] = *b"slaptm\x00\x01";
const BYTES: usize = 20;
const SLOTS: [usize; 2] = [0, 64];
/// The length of the file. Format 1 had one slot and 20 bytes.
const FILE_BYTES: usize = 84;

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct TermRead {
    /// The newest term, if any writer ever acquired the store.
    pub(super) term: Option<Term>,
    /// Whether the file is one of format 1, whose folders have no tail.
    pub(super) is_format_1: bool,
    /// Whether a slot is damaged that the other one stands in for.
    pub(super) has_damaged_slot: bool,
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("term")
}

/// Reads the term; changes nothing.
pub(super) fn read(dir: &Path) -> Result<TermRead, StoreFault> {
    let path = path_in(dir);
    let mut bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(TermRead::default()),
        Err(error) => return Err(io_fault("read", &path)(error)),
    };
    let damaged = |cause: &str| Err(StoreFault::DamagedFile { path: path.clone(), cause: cause.into() });
    if let Some(version) = newer_format(bytes.get(..BYTES).unwrap_or_default()) {
        return Err(StoreFault::NewerFile { path, version });
    }
    let is_format_1 = bytes.len() == BYTES;
    // A process that was killed while it gave a file of format 1 its second slot leaves a part of that.
    if !is_format_1 && !(SLOTS[1]..=FILE_BYTES).contains(&bytes.len()) {
        return damaged(&format!("it has {} bytes, not {FILE_BYTES}; restore it from a backup", bytes.len()));
    }
    if !is_format_1 {
        bytes.resize(FILE_BYTES, 0);
    }
    let slots = SLOTS.map(|at| bytes.get(at..at + BYTES).filter(|slot| slot.iter().any(|byte| *byte != 0)));
    if let Some(version) = slots.iter().flatten().find_map(|slot| newer_format(slot)) {
        return Err(StoreFault::NewerFile { path, version });
    }
    let terms = slots.map(|slot| slot.and_then(decode));
    let is_damaged = |(slot, term): (Option<&[u8]>, Option<Term>)| slot.is_some() && term.is_none();
    let has_damaged_slot = slots.into_iter().zip(terms).any(is_damaged);
    match terms.into_iter().flatten().max() {
        None => damaged("its checksum is wrong"),
        term => Ok(TermRead { term, is_format_1, has_damaged_slot }),
    }
}

/// Makes a term durable, in place of the older of the two that are there.
pub(super) fn write(dir: &Path, term: Term) -> Result<(), StoreFault> {
    let path = path_in(dir);
    if !path.exists() {
        let mut bytes = encode(term);
        bytes.resize(FILE_BYTES, 0);
        return replace(&path, &bytes);
    }
    let written = || -> io::Result<()> {
        let file = File::options().read(true).write(true).open(&path)?;
        let mut first = [0; BYTES];
        file.read_exact_at(&mut first, SLOTS[0] as u64)?;
        let mut second = vec![0; BYTES];
        // A file of format 1 ends before its second slot.
        if file.metadata()?.len() == FILE_BYTES as u64 {
            file.read_exact_at(&mut second, SLOTS[1] as u64)?;
        }
        let older = usize::from(decode(&first) > decode(&second));
        file.write_all_at(&encode(term), SLOTS[older] as u64)?;
        file.sync_all()
    };
    written().map_err(io_fault("write", &path))
}

fn encode(term: Term) -> Vec<u8> {
    let mut bytes = [MARK, term.0.to_be_bytes()].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

/// The format of a slot whose checksum is right, if it is another than this program writes.
fn newer_format(slot: &[u8]) -> Option<u32> {
    let (content, checksum) = slot.split_last_chunk::<4>()?;
    let is_whole = u32::from_be_bytes(*checksum) == crc32fast::hash(content);
    let mark = content.first_chunk::<8>()?;
    let is_newer = is_whole && mark[..7] == MARK[..7] && mark[7] > MARK[7];
    is_newer.then(|| mark[7].into())
}

fn decode(bytes: &[u8]) -> Option<Term> {
    let term = Term(u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?));
    (bytes == encode(term)).then_some(term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_comes_back_and_damage_is_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap().term, None);
        for term in 1..=258 {
            write(dir.path(), Term(term)).unwrap();
            assert_eq!(read(dir.path()).unwrap().term, Some(Term(term)));
        }
        let path = dir.path().join("term");
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), FILE_BYTES);
        for at in (0..BYTES).chain(64..FILE_BYTES) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            let read = read(dir.path()).unwrap();
            assert!(read.has_damaged_slot && read.term >= Some(Term(257)), "byte {at}");
            flipped[SLOTS[usize::from(at < 64)]] ^= 1;
            fs::write(&path, &flipped).unwrap();
            assert!(matches!(super::read(dir.path()), Err(StoreFault::DamagedFile { .. })), "byte {at}");
        }
        fs::write(&path, &whole[..19]).unwrap();
        assert!(read(dir.path()).is_err());
    }

    #[test]
    fn a_file_of_format_1_is_read_and_gets_its_second_slot() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("term"), encode(Term(7))).unwrap();
        let old = read(dir.path()).unwrap();
        assert_eq!((old.term, old.is_format_1), (Some(Term(7)), true));
        write(dir.path(), Term(8)).unwrap();
        let new = read(dir.path()).unwrap();
        assert_eq!((new.term, new.is_format_1, new.has_damaged_slot), (Some(Term(8)), false, false));
    }

    #[test]
    fn a_newer_format_is_refused_by_that_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut newer = encode(Term(7));
        newer[7] = 3;
        let checksum = crc32fast::hash(&newer[..16]);
        newer[16..].copy_from_slice(&checksum.to_be_bytes());
        for length in [BYTES, FILE_BYTES, 200] {
            newer.resize(length, 0);
            fs::write(dir.path().join("term"), &newer).unwrap();
            assert!(matches!(read(dir.path()), Err(StoreFault::NewerFile { version: 3, .. })), "{length}");
        }
    }

    #[test]
    fn a_second_slot_that_was_begun_leaves_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("term");
        fs::write(&path, encode(Term(7))).unwrap();
        write(dir.path(), Term(8)).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in SLOTS[1]..FILE_BYTES {
            fs::write(&path, &whole[..length]).unwrap();
            let torn = read(dir.path()).unwrap();
            assert_eq!((torn.term, torn.is_format_1), (Some(Term(7)), false), "{length} bytes");
            assert_eq!(torn.has_damaged_slot, length > SLOTS[1], "{length} bytes");
            write(dir.path(), Term(8)).unwrap();
            assert_eq!(read(dir.path()).unwrap().term, Some(Term(8)), "{length} bytes");
            assert_eq!(fs::read(&path).unwrap().len(), FILE_BYTES);
        }
    }
}
