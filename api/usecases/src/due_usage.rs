//! Usage that was reported before its time: when its time has come, the writer is asked to accept it.
//!
//! The writer decides; this is only its timer. What it cannot meter then is suspended for another reason, so that each
//! report is asked about once.

use std::sync::Arc;
use std::time::Duration;

use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{AcceptDueUsage, MOST_DUE};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::envelope::Actor;

use crate::context::RequestContext;

/// The least time between two looks. Somebody may set the clock of the ledger, so no sleep is longer while a report waits
/// for its time.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for usage that is due, as long as the program runs: when the next report is due, and not before a report waits.
pub async fn watch(ctx: Arc<RequestContext>) {
    loop {
        let waiting = WaitingUsage::of(&ctx);
        for project in &waiting.due {
            if let Err(error) = look(&ctx.within(*project)).await {
                tracing::warn!(%project, %error, "usage whose time has come was not accepted");
            }
        }
        if waiting.next.is_none() {
            // Nothing waits before another event. A view that does not come so far is looked at again.
            let _ = ctx.engine.billing.reach(waiting.position.next()).await;
        }
        tokio::time::sleep(waiting.pause(ctx.now())).await;
    }
}

/// The reports from the future, of all projects.
struct WaitingUsage {
    /// The projects that have some whose time has come.
    due: Vec<ProjectId>,
    /// When the next one is due, of all.
    next: Option<Timestamp>,
    /// The last event that the view knew.
    position: Sequence,
}

impl WaitingUsage {
    fn of(ctx: &RequestContext) -> Self {
        let now = ctx.now();
        ctx.engine.billing.read(|projects, position| {
            let all = || projects.iter().filter_map(|(id, view)| Some((id, view.metering.next_due()?)));
            let due = all().filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
            Self { due, next: all().map(|(_, at)| at).min(), position }
        })
    }

    fn pause(&self, now: Timestamp) -> Duration {
        let micros = self.next.map_or(0, |at| at.micros().saturating_sub(now.micros()));
        // What is due already was looked at just now.
        u64::try_from(micros)
            .ok()
            .filter(|micros| *micros > 0)
            .map_or(EVERY, Duration::from_micros)
            .min(EVERY)
    }
}

/// Has the usage of a project accepted that is due: some at a time, so that others are answered in between.
pub async fn look(ctx: &RequestContext) -> Result<(), SubmitError> {
    loop {
        let suspended = due(ctx);
        if suspended.is_empty() {
            return Ok(());
        }
        let content = format!("{suspended:?}");
        let command = Command::AcceptDueUsage(AcceptDueUsage { suspended });
        let accepted = ctx.ledger().submit(ctx.own(Actor::system(), command, content.as_bytes())).await?;
        // A writer whose clock is behind changes nothing: it is asked again later.
        if accepted.answer == Answer::Unchanged {
            return Ok(());
        }
        // The next look is at a view that knows of it. One that does not come so far is looked at again later.
        if ctx.billing().reach(accepted.sequence).await.is_err() {
            return Ok(());
        }
    }
}

/// The first reports whose time has come.
fn due(ctx: &RequestContext) -> Vec<Sequence> {
    let now = ctx.now();
    ctx.billing().read(|view, _| view.metering.due(now, MOST_DUE))
}
