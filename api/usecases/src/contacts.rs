//! When each computer was last heard of, and what follows from silence.
//!
//! A contact is no event: nodes come every minute, and only silence means something. It is kept in memory, so a computer
//! is given time anew after a start. In a master, a computer that is silent for too long gets no new instances until it
//! is heard of again; both are recorded.

use std::sync::Arc;
use std::time::Duration;

use slapledger_core::domain::Command;
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::computer::NoticeSilence;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::envelope::Actor;
use slapledger_projections::inventory::InventoryComputer;

use crate::context::RequestContext;

/// Looks for computers that fell silent, or were heard of again, as long as the program runs.
pub async fn watch(ctx: Arc<RequestContext>, silent_after: Duration) {
    let started = ctx.now();
    let every = (silent_after / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
    let limit = i64::try_from(silent_after.as_micros()).unwrap_or(i64::MAX);
    loop {
        tokio::time::sleep(every).await;
        for ctx in ctx.of_all_projects() {
            if let Err(error) = look(&ctx, started, limit).await {
                tracing::warn!(project = %ctx.project, %error, "computers were not looked after");
            }
        }
    }
}

/// Notices who of a project fell silent, and who is heard of again.
pub async fn look(ctx: &RequestContext, started: Timestamp, limit: i64) -> Result<(), SubmitError> {
    let now = ctx.now();
    let known = ctx.slap().read(|view, _| {
        let computers = view.inventory.iter();
        let since = |computer: &InventoryComputer| computer.registered_at.max(started);
        let seen = computers.map(|computer| (computer.id.clone(), since(computer), computer.silent_since));
        seen.collect::<Vec<_>>()
    });
    for (computer, since, silent) in known {
        let last = ctx.last_heard(&computer).unwrap_or(since);
        let is_silent = now.micros().saturating_sub(last.micros()) > limit;
        // Heard of again is who was heard of since and can come in: not by what was under way when it was revoked.
        let heard = ctx.last_heard(&computer).is_some_and(|last| silent.is_some_and(|since| last > since))
            && (ctx.engine.certifier.is_none() || has_certificate(ctx, &computer));
        if is_silent == silent.is_some() || silent.is_some() && !heard {
            continue;
        }
        let command = NoticeSilence { computer, since: is_silent.then_some(last) };
        let command = Command::NoticeSilence(command);
        let content = format!("{command:?}");
        ctx.ledger().submit(ctx.own(Actor::system(), command, content.as_bytes())).await?;
    }
    Ok(())
}

fn has_certificate(ctx: &RequestContext, computer: &ComputerId) -> bool {
    let (holder, now) = (Holder::Computer(computer.clone()), ctx.now());
    ctx.access().read(|view, _| view.access.certificates_of(ctx.project, &holder, now).next().is_some())
}
