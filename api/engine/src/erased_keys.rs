//! Keys that the log says are destroyed: a start destroys every one that is still there, also one that a backup of the
//! ring brought back.
//!
//! It decides nothing, and destroys no key that the log does not name.

use std::sync::atomic::{AtomicBool, Ordering};

use slapledger_billing::BillingView;
use slapledger_core::domain::id::{KeyId, Sequence};
use slapledger_core::keyring::{KeyRing, KeyRingFault};
use slapledger_projections::runner::Runner;
use slapledger_projections::{Projects, SlapViews};

/// Whether a key could not be destroyed that should have been.
#[derive(Debug, Default)]
pub struct DestructionDue(AtomicBool);

impl DestructionDue {
    /// A key could not be destroyed.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one could not be, since this was last asked.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Destroys every key that the log says is destroyed; returns how many were still there.
pub fn destroy_all(
    keys: &KeyRing,
    slap: &Runner<Projects<SlapViews>>,
    billing: &Runner<Projects<BillingView>>,
) -> Result<usize, KeyRingFault> {
    let of_instances = |projects: &Projects<SlapViews>, _: Sequence| -> Vec<KeyId> {
        projects.iter().flat_map(|(_, view)| view.instances.erased_keys()).collect()
    };
    let of_parties = |projects: &Projects<BillingView>, _: Sequence| -> Vec<KeyId> {
        projects.iter().flat_map(|(_, view)| view.billing.erased_keys()).collect()
    };
    let mut erased = slap.read(of_instances);
    erased.extend(billing.read(of_parties));
    let mut destroyed = 0;
    for key in erased.into_iter().filter(|key| keys.has(*key)) {
        keys.destroy(key)?;
        destroyed += 1;
    }
    Ok(destroyed)
}
