//! An index of usage identities that can be looked at from outside and copied, as a snapshot on disk would be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use slapledger_core::domain::usage::seen::{Fingerprint, revision};
use slapledger_core::domain::usage::{KnownUsage, SeenIndex};

type UsageByIdentity = BTreeMap<Fingerprint, (u64, u64)>;

/// A handle on an index; clones are the same index.
#[derive(Clone, Default)]
pub(crate) struct SharedIndex(Arc<Mutex<UsageByIdentity>>);

impl SharedIndex {
    /// Another index with the same content.
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.content())))
    }

    /// All it knows: sequence and content under each fingerprint.
    pub(crate) fn content(&self) -> UsageByIdentity {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, UsageByIdentity> {
        self.0.lock().expect("no thread panicked with it")
    }
}

impl SeenIndex for SharedIndex {
    fn key(&self) -> [u8; 16] {
        [7; 16]
    }

    fn get(&self, fingerprint: Fingerprint) -> Option<KnownUsage> {
        let known = self.known().get(&fingerprint).copied();
        known.map(|(sequence, content)| KnownUsage {
            sequence: slapledger_core::domain::id::Sequence(sequence),
            content,
        })
    }

    fn insert(&mut self, identity: Fingerprint, seen: KnownUsage) {
        let mut known = self.known();
        if let Some(earlier) = known.insert(identity, (seen.sequence.0, seen.content)) {
            known.insert(revision(identity, earlier.1), earlier);
        }
    }
}
