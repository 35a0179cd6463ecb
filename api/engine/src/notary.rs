//! What a reader who does not trust the server can check: signed checkpoints of the log, and proofs over its tree.
//!
//! The hashes of whole tiles are brought up to date when a proof needs them, by one thread at a time; a proof works on a
//! clone. Nothing here is in the way of the writer. Blocking: call it from threads made for that.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_core::domain::log_key::SetLogKey;
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::checkpoint::Checkpoint;
use slapledger_core::log::envelope::Actor;
use slapledger_core::log::merkle::proof::{consistency, inclusion, root};
use slapledger_core::log::merkle::several::inclusion_of_several;
use slapledger_core::log::merkle::{Root, leaf_hash};
use slapledger_core::log::note::{NoteFault, SignatureKind, SignedNote, Signer, Verifier};
use slapledger_core::log::store::{EventStore, Head, StoreFault, read_events};
use slapledger_core::log::tiles::{BundlePlace, TILE_WIDTH, TileFile, TileHashes, TilePlace, TileReader};
use slapledger_projections::stop;

use crate::Engine;
use crate::kept_checkpoints::KeptCheckpoints;

/// Why there is no checkpoint or proof.
#[derive(Debug, thiserror::Error)]
pub enum NotaryFault {
    /// The log cannot be read.
    #[error("read the log")]
    Log(#[from] StoreFault),
    /// No key was given.
    #[error("this ledger signs no checkpoints: its server was started without a key of the log")]
    NoKey,
    /// The ledger took no key.
    #[error("set the key of the log: {0}")]
    NotSet(SubmitError),
    /// The log says that another key signs.
    #[error("the key of this folder is not the one that the log records; start a server with it once")]
    NotRecorded,
    /// The name of the log is none.
    #[error(transparent)]
    Note(#[from] NoteFault),
    /// The tree that was derived from the log is not the tree of the log.
    #[error("the tree at sequence {sequence} has root {found}, the log has {expected}")]
    OtherRoot {
        /// Where.
        sequence: Sequence,
        /// What the log says.
        expected: Root,
        /// What was derived.
        found: Root,
    },
}

/// A checkpoint, who signed it, and the note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What the log was.
    pub checkpoint: Checkpoint,
    /// The key that signed it.
    pub key: Verifier,
    /// The signed note.
    pub note: SignedNote,
}

/// That an event is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The hash of the event.
    pub leaf: [u8; 32],
    /// The root of the tree.
    pub root: Root,
    /// The hashes that lead from the one to the other.
    pub path: Vec<[u8; 32]>,
}

/// That a log continues what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The root of the smaller tree.
    pub before: Root,
    /// The root of the larger tree.
    pub after: Root,
    /// The hashes that lead to both.
    pub path: Vec<[u8; 32]>,
}

/// Goes on, unless nobody waits any more.
fn go_on() -> bool {
    stop::check();
    true
}

/// Makes proofs, and keeps what they are made from.
pub struct Notary {
    /// The name of the log in checkpoints.
    origin: Box<str>,
    store: Arc<dyn EventStore>,
    hashes: Mutex<TileHashes>,
    /// Whether they were compared with the log: those of a file are believed only then.
    compared: AtomicBool,
    /// Where they are kept, if the folder may be written to. Held by the one who brings them up to date.
    file: Mutex<Option<TileFile>>,
    /// The checkpoints that were published.
    pub kept: KeptCheckpoints,
    /// What signs checkpoints.
    signer: Mutex<Option<Arc<Signer>>>,
}

impl Notary {
    /// Of the log of a ledger, with what its data folder has at hand.
    pub fn new(ledger: [u8; 16], store: Arc<dyn EventStore>, folder: Option<&Path>) -> Self {
        let opened = folder.and_then(|folder| {
            let opened = TileFile::open(folder);
            opened.inspect_err(|error| tracing::warn!(%error, "hashes of tiles are made again")).ok()
        });
        let (file, hashes) =
            opened.map_or((None, TileHashes::default()), |(file, hashes)| (Some(file), hashes));
        let origin = Self::origin_of(ledger);
        Self {
            origin,
            store,
            hashes: Mutex::new(hashes),
            compared: AtomicBool::new(false),
            file: Mutex::new(file),
            kept: KeptCheckpoints::default(),
            signer: Mutex::default(),
        }
    }

    /// With the checkpoints that were published of a data folder.
    #[must_use]
    pub fn with_kept(self, kept: KeptCheckpoints) -> Self {
        Self { kept, ..self }
    }

    /// Signs checkpoints with a key from now on.
    pub(crate) fn take_signer(&self, signer: Signer) {
        *self.signer.lock() = Some(Arc::new(signer));
    }

    /// A signed checkpoint of the log as it ends at a head.
    pub fn sign(&self, head: Head) -> Result<SignedCheckpoint, NotaryFault> {
        let signer = self.signer.lock().clone().ok_or(NotaryFault::NoKey)?;
        let checkpoint = Checkpoint { origin: self.origin().into(), size: head.last.0, root: head.root };
        let mut note = SignedNote::unsigned(&checkpoint.text())?;
        note.add(signer.sign(note.text(), 0));
        Ok(SignedCheckpoint { checkpoint, key: signer.verifier().clone(), note })
    }

    /// The name of the log of a ledger, for ever.
    pub fn origin_of(ledger: [u8; 16]) -> Box<str> {
        format!("slapledger/{}", uuid::Uuid::from_bytes(ledger)).into()
    }

    /// The name of the log, for ever.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The hashes of all whole tiles up to an event.
    fn up_to(&self, head: Head) -> Result<TileHashes, NotaryFault> {
        let known = self.hashes.lock().clone();
        if self.compared.load(Ordering::Acquire) && known.events() + TILE_WIDTH > head.last.0 {
            return Ok(known);
        }
        let mut file = self.file.lock();
        // Somebody else may have done it meanwhile.
        let mut known = self.hashes.lock().clone();
        known.extend(&*self.store, head.last, go_on)?;
        let found = root(&mut TileReader::new(&known, &*self.store), head.last.0)?;
        // A file of more events than the log ever had is of another log.
        let too_many = !self.compared.load(Ordering::Acquire) && known.events() > head.last.0;
        if found != head.root || too_many {
            // A file that was cut short, or is of another log.
            tracing::warn!("the hashes of tiles are not those of the log; they are made again");
            if let Some(file) = &mut *file {
                file.clear().unwrap_or_else(|error| tracing::warn!(%error, "remove the hashes of tiles"));
            }
            known = TileHashes::default();
            known.extend(&*self.store, head.last, go_on)?;
            let found = root(&mut TileReader::new(&known, &*self.store), head.last.0)?;
            if found != head.root {
                return Err(NotaryFault::OtherRoot { sequence: head.last, expected: head.root, found });
            }
        }
        if let Some(file) = &mut *file {
            file.append(&known).unwrap_or_else(|error| tracing::warn!(%error, "keep the hashes of tiles"));
        }
        self.hashes.lock().clone_from(&known);
        self.compared.store(true, Ordering::Release);
        Ok(known)
    }

    /// That the event is in the first `size` events, which there are.
    pub fn inclusion(
        &self,
        sequence: Sequence,
        size: u64,
        head: Head,
    ) -> Result<Option<InclusionProof>, NotaryFault> {
        let hashes = self.up_to(head)?;
        let Some(before) = sequence.0.checked_sub(1).filter(|leaf| *leaf < size && size <= head.last.0)
        else {
            return Ok(None);
        };
        let mut reader = TileReader::new(&hashes, &*self.store);
        let path = inclusion(&mut reader, before, size)?;
        let event = read_events(&*self.store, Sequence(before)).next().transpose()?;
        let root = root(&mut reader, size)?;
        Ok(event.map(|(_, event)| InclusionProof { leaf: leaf_hash(&event), root, path }))
    }

    /// The hashes that lead from leaves, which rise, to the root of the first `size` events, which there are.
    pub fn inclusion_of_several(
        &self,
        leaves: &[u64],
        size: u64,
        head: Head,
    ) -> Result<Vec<[u8; 32]>, NotaryFault> {
        let hashes = self.up_to(head)?;
        let mut reader = TileReader::new(&hashes, &*self.store);
        Ok(inclusion_of_several(&mut reader, leaves, size)?)
    }

    /// The newest checkpoint that a witness cosigned, if the present key signed it and it has at least so many events.
    pub fn cosigned(&self, least: Sequence) -> Option<SignedCheckpoint> {
        let key = self.signer.lock().as_ref()?.verifier().clone();
        let newest = self.kept.newest(true).filter(|newest| newest.checkpoint.size >= least.0)?;
        key.check(&newest.note).ok()?;
        let (checkpoint, note) = (newest.checkpoint.clone(), newest.note.clone());
        Some(SignedCheckpoint { checkpoint, key, note })
    }

    /// That the first `to` events continue the first `from`, which there are.
    pub fn consistency(
        &self,
        from: u64,
        to: u64,
        head: Head,
    ) -> Result<Option<ConsistencyProof>, NotaryFault> {
        if from > to || to > head.last.0 {
            return Ok(None);
        }
        let hashes = self.up_to(head)?;
        let mut reader = TileReader::new(&hashes, &*self.store);
        let path = consistency(&mut reader, from, to)?;
        Ok(Some(ConsistencyProof { before: root(&mut reader, from)?, after: root(&mut reader, to)?, path }))
    }

    /// The hashes of a tile, if the log has it.
    pub fn tile(&self, place: TilePlace, head: Head) -> Result<Option<Vec<u8>>, NotaryFault> {
        if !place.is_in(head.last.0) {
            return Ok(None);
        }
        let hashes = self.up_to(head)?;
        Ok(Some(TileReader::new(&hashes, &*self.store).tile(place)?))
    }

    /// The events of a tile of leaves, if the log has them.
    pub fn bundle(&self, place: BundlePlace, head: Head) -> Result<Option<Vec<u8>>, NotaryFault> {
        if !place.is_in(head.last.0) {
            return Ok(None);
        }
        Ok(Some(place.read(&*self.store)?))
    }

    /// A key of the log as others check with it.
    pub fn verifier(&self, public: [u8; 32]) -> Result<Verifier, NotaryFault> {
        Ok(Verifier::new(&self.origin, SignatureKind::Log, public)?)
    }
}

impl Engine {
    /// The key that the log says signs checkpoints.
    fn recorded_key(&self) -> Option<[u8; 32]> {
        let head = self.ledger.head().last;
        let newest =
            self.access.read_at_blocking(head, |view, _| view.log_keys.last().map(|(_, key)| key.public));
        newest.ok().flatten()
    }

    /// Signs checkpoints with a key from now on, in PKCS #8; the log says so, if it is another one than before.
    pub fn sign_with(&self, pkcs8: &[u8]) -> Result<(), NotaryFault> {
        let signer = Signer::from_pkcs8(self.notary.origin(), SignatureKind::Log, pkcs8)?;
        let public = signer.verifier().public();
        if self.recorded_key() != Some(public) {
            let set = Command::SetLogKey(SetLogKey { public });
            self.submit_own(ProjectId::DEFAULT, Actor::system(), set).map_err(NotaryFault::NotSet)?;
        }
        self.notary.take_signer(signer);
        Ok(())
    }

    /// Signs checkpoints with a key without recording it, for a folder that is only read. Refused, if the log says that
    /// another key signs.
    pub fn sign_as_recorded(&self, pkcs8: &[u8]) -> Result<(), NotaryFault> {
        let signer = Signer::from_pkcs8(self.notary.origin(), SignatureKind::Log, pkcs8)?;
        let public = signer.verifier().public();
        if self.recorded_key() != Some(public) {
            return Err(NotaryFault::NotRecorded);
        }
        self.notary.take_signer(signer);
        Ok(())
    }

    /// A signed checkpoint of what is durable now.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, NotaryFault> {
        self.notary.sign(self.ledger.head())
    }
}

#[cfg(test)]
mod tests;
