//! Destroying the keys of what was erased.
//!
//! The event comes first and is the decision; then the key is destroyed in the ring, and only then is the sender
//! answered. What a crash or a disk leaves between the two is made good: a start destroys every key that the log says is
//! destroyed, also one that a backup of the ring brought back, and a running program tries again from time to time.
//!
//! It decides nothing, and destroys no key that the log does not name.

use std::sync::Arc;
use std::time::Duration;

use slapledger_core::domain::erasure::ErasureSubject;
use slapledger_core::domain::id::Sequence;
use slapledger_engine::erased_keys::destroy_all;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;

use crate::context::RequestContext;

/// How often it is tried again.
const EVERY: Duration = Duration::from_secs(30);

/// Destroys the key of somebody who was erased by this event, or an earlier one.
pub async fn destroy_key(
    ctx: &Arc<RequestContext>,
    subject: ErasureSubject,
    min: Sequence,
) -> Result<(), Problem> {
    let erased = match subject {
        ErasureSubject::Instance(instance) => {
            let read = ctx.slap().read_at(min, |view, _| {
                view.instances
                    .get(instance)
                    .filter(|known| known.erased_at.is_some())
                    .map(slapledger_projections::instances::InstanceView::key)
            });
            read.await
        }
        ErasureSubject::Party(party) => {
            let read = ctx.billing().read_at(min, |view, _| {
                let erased = view.billing.party(party).filter(|known| known.erased_at.is_some());
                erased.map(|known| known.name.key)
            });
            read.await
        }
    };
    let destroyed = match erased {
        Ok(None) => return Err(Problem::fault(&format!("{subject} was erased, and no view says so"))),
        // A key that the ring never had opens nothing.
        Ok(Some(key)) if !ctx.keys().has(key) => return Ok(()),
        Ok(Some(key)) => {
            let keys = Arc::clone(ctx.keys());
            let done = tokio::task::spawn_blocking(move || keys.destroy(key)).await;
            done.map_err(|error| error.to_string()).and_then(|done| done.map_err(|fault| fault.to_string()))
        }
        Err(behind) => Err(behind.to_string()),
    };
    destroyed.map_err(|reason| {
        ctx.engine.destruction_due.set();
        tracing::error!(%subject, %reason, "a key that is to be destroyed is still there");
        let detail =
            format!("the erasure of {subject} is recorded, but its key is still there; it is tried again");
        Problem::later(ProblemCode::ErasurePending, detail, 30)
    })
}

/// Tries again what failed, as long as the program runs.
pub async fn watch(ctx: Arc<RequestContext>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if !ctx.engine.destruction_due.take() {
            continue;
        }
        let engine = Arc::clone(&ctx.engine);
        let destroy = move || destroy_all(&engine.keys, &engine.slap, &engine.billing);
        let done = tokio::task::spawn_blocking(destroy).await;
        match done {
            Ok(Ok(destroyed)) => tracing::warn!(destroyed, "keys of what was erased are destroyed now"),
            other => {
                ctx.engine.destruction_due.set();
                tracing::error!(?other, "keys of what was erased are still there");
            }
        }
    }
}
