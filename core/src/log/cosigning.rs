//! What a log asks of a witness, and what a witness checks before it cosigns (C2SP tlog-witness).
//!
//! A witness remembers the largest tree of each log that it has cosigned. It cosigns a checkpoint only if a proof shows
//! that the tree continues that one. So a log that shows different trees to different readers finds no witness for one
//! of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::checkpoint::{Checkpoint, InvalidCheckpoint};
use super::merkle::Root;
use super::merkle::proof::{ProofFault, check_consistency};
use super::note::{NoteFault, SignedNote, Verifier};

/// The most hashes of a proof.
const MAX_HASHES: usize = 63;

/// A checkpoint that is to be cosigned, and the proof that it continues the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosigningRequest {
    /// The size of the tree that the witness cosigned last.
    pub old: u64,
    /// The hashes that lead from that tree to this one.
    pub hashes: Vec<[u8; 32]>,
    /// The checkpoint.
    pub note: SignedNote,
}

/// Why a text is not such a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// It does not begin with the old size.
    #[error("the first line must be `old SIZE`")]
    Old,
    /// A line is no hash.
    #[error("line {0} must be a hash in base64")]
    Hash(usize),
    /// It has too many hashes.
    #[error("a proof has at most {MAX_HASHES} hashes")]
    TooManyHashes,
    /// No checkpoint follows.
    #[error("an empty line and a signed checkpoint must follow the proof")]
    NoCheckpoint,
    /// What follows is no note.
    #[error(transparent)]
    Note(#[from] NoteFault),
}

impl CosigningRequest {
    /// Reads the body of a request.
    pub fn parse(body: &str) -> Result<Self, InvalidRequest> {
        let (head, note) = body.split_once("\n\n").ok_or(InvalidRequest::NoCheckpoint)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(InvalidRequest::Old)?;
        let size: u64 = old.parse().map_err(|_| InvalidRequest::Old)?;
        if size.to_string() != old {
            return Err(InvalidRequest::Old);
        }
        let mut hashes = Vec::new();
        for (line, text) in (2..).zip(lines) {
            if hashes.len() == MAX_HASHES {
                return Err(InvalidRequest::TooManyHashes);
            }
            let hash = BASE64.decode(text).ok().and_then(|hash| hash.try_into().ok());
            hashes.push(hash.ok_or(InvalidRequest::Hash(line))?);
        }
        Ok(Self { old: size, hashes, note: SignedNote::parse(note)? })
    }

    /// The body of a request.
    pub fn body(&self) -> String {
        let hashes: String = self.hashes.iter().map(|hash| BASE64.encode(hash) + "\n").collect();
        format!("old {}\n{hashes}\n{}", self.old, self.note)
    }
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosigningRefusal {
    /// It knows no such log.
    #[error("the log {origin} is not known to this witness")]
    UnknownLog {
        /// Its name.
        origin: Box<str>,
    },
    /// No key of the log signed it.
    #[error("the checkpoint is not signed by {origin}: {fault}")]
    NotSigned {
        /// The name of the log.
        origin: Box<str>,
        /// What is wrong.
        fault: NoteFault,
    },
    /// It is no checkpoint.
    #[error(transparent)]
    NoCheckpoint(#[from] InvalidCheckpoint),
    /// The old size is larger than the new one.
    #[error("the old size {old} is above the size {size} of the checkpoint")]
    OldSize {
        /// The old size.
        old: u64,
        /// The new size.
        size: u64,
    },
    /// The old size is not that of the tree that was cosigned last.
    #[error("the tree that was cosigned last has size {known}, not {old}")]
    OtherSize {
        /// The size of the tree that was cosigned last.
        known: u64,
        /// The old size of the request.
        old: u64,
    },
    /// The log has two roots at one size.
    #[error("the log is forked: at size {size} it had root {known}, and now {found}")]
    Forked {
        /// The size.
        size: u64,
        /// The root that was cosigned.
        known: Root,
        /// The other root.
        found: Root,
    },
    /// The tree does not continue the one before.
    #[error("the tree of size {size} does not continue the one of size {old}: {fault}")]
    Inconsistent {
        /// The old size.
        old: u64,
        /// The new size.
        size: u64,
        /// What is wrong.
        fault: ProofFault,
    },
}

/// A tree that a witness cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CosignedTree {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Root,
}

impl CosignedTree {
    /// That of a log that was never cosigned.
    pub const EMPTY: Self = Self { size: 0, root: Root::EMPTY };
}

/// The checkpoint of a request, if one of these keys of logs signed it. Whether it continues what was cosigned is for
/// [`check_continues`] to say.
pub fn check_signed(request: &CosigningRequest, logs: &[Verifier]) -> Result<Checkpoint, CosigningRefusal> {
    let checkpoint = Checkpoint::parse(request.note.text())?;
    let origin = || checkpoint.origin.clone();
    let mut keys = logs.iter().filter(|key| *key.name() == *checkpoint.origin).peekable();
    if keys.peek().is_none() {
        return Err(CosigningRefusal::UnknownLog { origin: origin() });
    }
    let mut last = NoteFault::NotSigned { name: origin() };
    for key in keys {
        match key.check(&request.note) {
            Ok(_) => return Ok(checkpoint),
            Err(fault) => last = fault,
        }
    }
    Err(CosigningRefusal::NotSigned { origin: origin(), fault: last })
}

/// Checks that a checkpoint continues the tree of its log that was cosigned last.
pub fn check_continues(
    request: &CosigningRequest,
    checkpoint: &Checkpoint,
    known: CosignedTree,
) -> Result<(), CosigningRefusal> {
    let Checkpoint { size, root, .. } = *checkpoint;
    let old = request.old;
    if old > size {
        return Err(CosigningRefusal::OldSize { old, size });
    }
    if old != known.size {
        return Err(CosigningRefusal::OtherSize { known: known.size, old });
    }
    if old == size && root != known.root {
        return Err(CosigningRefusal::Forked { size, known: known.root, found: root });
    }
    check_consistency((old, known.root), (size, root), &request.hashes)
        .map_err(|fault| CosigningRefusal::Inconsistent { old, size, fault })
}

#[cfg(test)]
mod tests {
    use super::super::merkle::proof::consistency;
    use super::super::merkle::proof::tests::{leaves, root_of};
    use super::super::note::{SignatureKind, Signer};
    use super::*;

    fn log(filler: u8) -> Signer {
        Signer::new("example.org/log", SignatureKind::Log, &[filler; 32]).expect("a key")
    }

    fn request(signer: &Signer, old: u64, size: u64, root: Root) -> CosigningRequest {
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size, root };
        let mut note = SignedNote::unsigned(&checkpoint.text()).expect("a text");
        note.add(signer.sign(note.text(), 0));
        let hashes = consistency(&mut leaves(size), old, size).expect("at hand");
        let request = CosigningRequest { old, hashes, note };
        assert_eq!(CosigningRequest::parse(&request.body()), Ok(request.clone()));
        request
    }

    fn decide(
        request: &CosigningRequest,
        logs: &[Verifier],
        known: CosignedTree,
    ) -> Result<u64, CosigningRefusal> {
        let checkpoint = check_signed(request, logs)?;
        check_continues(request, &checkpoint, known).map(|()| checkpoint.size)
    }

    #[test]
    fn a_tree_that_continues_is_cosigned_and_no_other() {
        let logs = [log(1).verifier().clone()];
        let known = CosignedTree { size: 5, root: root_of(5) };
        assert_eq!(decide(&request(&log(1), 0, 5, root_of(5)), &logs, CosignedTree::EMPTY), Ok(5));
        assert_eq!(decide(&request(&log(1), 5, 9, root_of(9)), &logs, known), Ok(9));
        assert_eq!(decide(&request(&log(1), 5, 5, root_of(5)), &logs, known), Ok(5));
        let old = CosigningRefusal::OtherSize { known: 5, old: 4 };
        assert_eq!(decide(&request(&log(1), 4, 9, root_of(9)), &logs, known), Err(old));
        let forked = CosigningRefusal::Forked { size: 5, known: root_of(5), found: root_of(6) };
        assert_eq!(decide(&request(&log(1), 5, 5, root_of(6)), &logs, known), Err(forked));
        let other = request(&log(1), 5, 9, root_of(8));
        assert!(matches!(decide(&other, &logs, known), Err(CosigningRefusal::Inconsistent { .. })));
        let mut backwards = request(&log(1), 0, 3, root_of(3));
        backwards.old = 5;
        let refusal = CosigningRefusal::OldSize { old: 5, size: 3 };
        assert_eq!(decide(&backwards, &logs, known), Err(refusal));
    }

    #[test]
    fn only_a_known_log_is_cosigned() {
        let asked = request(&log(2), 0, 5, root_of(5));
        let refused = decide(&asked, &[log(1).verifier().clone()], CosignedTree::EMPTY);
        assert!(matches!(refused, Err(CosigningRefusal::NotSigned { .. })), "{refused:?}");
        let unknown = CosigningRefusal::UnknownLog { origin: "example.org/log".into() };
        assert_eq!(decide(&asked, &[], CosignedTree::EMPTY), Err(unknown));
        // One of several keys is enough.
        let both = [log(1).verifier().clone(), log(2).verifier().clone()];
        assert_eq!(decide(&asked, &both, CosignedTree::EMPTY), Ok(5));
    }

    #[test]
    fn a_body_that_is_no_request_says_why() {
        let body = request(&log(1), 5, 9, root_of(9)).body();
        let cases = [
            (body.replace("old 5", "old 05"), InvalidRequest::Old),
            (body.replace("old 5", "new 5"), InvalidRequest::Old),
            (body.replacen('=', "!", 1), InvalidRequest::Hash(2)),
            (body.replace("\n\n", "\n"), InvalidRequest::NoCheckpoint),
        ];
        for (body, fault) in cases {
            assert_eq!(CosigningRequest::parse(&body), Err(fault), "{body}");
        }
        let many =
            format!("old 5\n{}\n{}", (BASE64.encode([1; 32]) + "\n").repeat(64), "a\n\n\u{2014} b AAAA\n");
        assert_eq!(CosigningRequest::parse(&many), Err(InvalidRequest::TooManyHashes));
    }
}
