//! The file `term`: the term of the newest writer, raised durably before that writer may append.
//!
//! Twenty bytes: a mark, the term, a checksum. Replaced as a whole. It is not a lock: two processes are kept apart by
//! the lock of the folder, the term fences a writer that does not know it has been replaced.

use std::fs;
use std::io;
use std::path::Path;

use super::folder::{io_fault, replace};
use crate::log::store::{StoreFault, Term};

const MARK: [u8; 8] = *b"slaptm\x00\x01";

/// The term on disk, if any writer ever acquired the store.
pub(super) fn read(dir: &Path) -> Result<Option<Term>, StoreFault> {
    let path = dir.join("term");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_fault("read", &path)(error)),
    };
    match decode(&bytes) {
        Some(term) => Ok(Some(term)),
        None => Err(StoreFault::DamagedFile { path, cause: "its checksum is wrong".into() }),
    }
}

/// Makes a term durable.
pub(super) fn write(dir: &Path, term: Term) -> Result<(), StoreFault> {
    replace(&dir.join("term"), &encode(term))
}

fn encode(term: Term) -> Vec<u8> {
    let mut bytes = [MARK, term.0.to_be_bytes()].concat();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
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
        assert_eq!(read(dir.path()).unwrap(), None);
        write(dir.path(), Term(1)).unwrap();
        write(dir.path(), Term(258)).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(Term(258)));
        let whole = fs::read(dir.path().join("term")).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(dir.path().join("term"), &flipped).unwrap();
            assert!(matches!(read(dir.path()), Err(StoreFault::DamagedFile { .. })), "byte {at}");
        }
        fs::write(dir.path().join("term"), &whole[..19]).unwrap();
        assert!(read(dir.path()).is_err());
    }
}
