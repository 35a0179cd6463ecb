//! Destroying the keys of what was erased.
//!
//! The event comes first and is the decision; then the key is destroyed in the ring, and only then is the sender
//! answered. What a crash or a disk leaves between the two is made good: a start destroys every key that the log says is
//! destroyed, also one that a backup of the ring brought back, and a running program tries again from time to time.
//!
//! It decides nothing, and destroys no key that the log does not name.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slapledger_billing::BillingView;
use slapledger_core::domain::erasure::Subject;
use slapledger_core::domain::id::{KeyId, Sequence};
use slapledger_core::keyring::{KeyRing, KeyRingFault};
use slapledger_projections::{Projects, SlapViews};

use crate::app::{App, Scoped};
use crate::http::problem::Problem;

/// How often it is tried again.
const EVERY: Duration = Duration::from_secs(30);

/// Whether a key could not be destroyed that should have been.
#[derive(Debug, Default)]
pub struct Owed(AtomicBool);

/// Destroys every key that the log says is destroyed; returns how many were still there.
pub fn destroy_all(
    keys: &KeyRing,
    slap: &Scoped<SlapViews>,
    billing: &Scoped<BillingView>,
) -> Result<usize, KeyRingFault> {
    let of_instances = |projects: &Projects<SlapViews>, _| {
        projects.iter().flat_map(|(_, view)| view.instances.erased_keys()).collect()
    };
    let of_parties = |projects: &Projects<BillingView>, _| -> Vec<KeyId> {
        projects.iter().flat_map(|(_, view)| view.billing.erased_keys()).collect()
    };
    let mut erased: Vec<KeyId> = slap.read_all(of_instances);
    erased.extend(billing.read_all(of_parties));
    let mut destroyed = 0;
    for key in erased.into_iter().filter(|key| keys.has(*key)) {
        keys.destroy(key)?;
        destroyed += 1;
    }
    Ok(destroyed)
}

/// Destroys the key of somebody who was erased by this event, or an earlier one.
pub async fn destroy_key(app: &Arc<App>, subject: Subject, min: Sequence) -> Result<(), Problem> {
    let erased = match subject {
        Subject::Instance(instance) => {
            let read = app.slap.read_at(min, |view, _| {
                view.instances
                    .get(instance)
                    .filter(|known| known.erased_at.is_some())
                    .map(slapledger_projections::instances::Instance::key)
            });
            read.await
        }
        Subject::Party(party) => {
            let read = app.billing.read_at(min, |view, _| {
                let erased = view.billing.party(party).filter(|known| known.erased_at.is_some());
                erased.map(|known| known.name.key)
            });
            read.await
        }
    };
    let destroyed = match erased {
        Ok(None) => return Err(Problem::fault(&format!("{subject} was erased, and no view says so"))),
        // A key that the ring never had opens nothing.
        Ok(Some(key)) if !app.keys.has(key) => return Ok(()),
        Ok(Some(key)) => {
            let keys = Arc::clone(&app.keys);
            let done = tokio::task::spawn_blocking(move || keys.destroy(key)).await;
            done.map_err(|error| error.to_string()).and_then(|done| done.map_err(|fault| fault.to_string()))
        }
        Err(behind) => Err(behind.to_string()),
    };
    destroyed.map_err(|reason| {
        app.owed.0.store(true, Ordering::Relaxed);
        tracing::error!(%subject, %reason, "a key that is to be destroyed is still there");
        let detail =
            format!("the erasure of {subject} is recorded, but its key is still there; it is tried again");
        Problem::unavailable(detail, 30)
    })
}

/// Tries again what failed, as long as the program runs.
pub async fn watch(app: Arc<App>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if !app.owed.0.swap(false, Ordering::Relaxed) {
            continue;
        }
        let here = Arc::clone(&app);
        let done =
            tokio::task::spawn_blocking(move || destroy_all(&here.keys, &here.slap, &here.billing)).await;
        match done {
            Ok(Ok(destroyed)) => tracing::warn!(destroyed, "keys of what was erased are destroyed now"),
            other => {
                app.owed.0.store(true, Ordering::Relaxed);
                tracing::error!(?other, "keys of what was erased are still there");
            }
        }
    }
}
