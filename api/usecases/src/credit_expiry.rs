//! Prepaid credit that expires: when its time has come, the writer is asked to record what is left of it.
//!
//! The writer decides; this is only its timer. Credits know which of them expires first, so that a look costs nothing.

use std::sync::Arc;
use std::time::Duration;

use slapledger_core::domain::credit::{ExpireCredits, MAX_EXPIRED};
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::envelope::Actor;

use crate::context::RequestContext;

/// The least time between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// The longest time between two looks: somebody may set the clock.
const LONGEST: Duration = Duration::from_secs(60);

/// Looks for credit that has expired, as long as the program runs: when the next credit expires. After every event it looks
/// which one that is.
pub async fn watch(ctx: Arc<RequestContext>) {
    loop {
        let expiring = ExpiringCredit::of(&ctx);
        for project in &expiring.due {
            if let Err(error) = look(&ctx.within(*project)).await {
                tracing::warn!(%project, %error, "credit that has expired was not recorded");
            }
        }
        let pause = expiring.pause(ctx.now());
        let event = ctx.engine.billing.reach(expiring.position.next());
        if tokio::time::timeout(pause, event).await.is_ok() {
            tokio::time::sleep(pause.min(EVERY)).await;
        }
    }
}

/// The credits that expire, of all projects.
struct ExpiringCredit {
    /// The projects that have some whose time has come.
    due: Vec<ProjectId>,
    /// When the next one expires, of all.
    next: Option<Timestamp>,
    /// The last event that the view knew.
    position: Sequence,
}

impl ExpiringCredit {
    fn of(ctx: &RequestContext) -> Self {
        let now = ctx.now();
        ctx.engine.billing.read(|projects, position| {
            let all = || projects.iter().filter_map(|(id, view)| Some((id, view.billing.next_expiry()?)));
            let due = all().filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
            Self { due, next: all().map(|(_, at)| at).min(), position }
        })
    }

    fn pause(&self, now: Timestamp) -> Duration {
        let Some(next) = self.next else { return LONGEST };
        let micros = next.micros().saturating_sub(now.micros());
        // What has expired already was looked at just now.
        let until = u64::try_from(micros).ok().filter(|micros| *micros > 0).map(Duration::from_micros);
        until.unwrap_or(EVERY).min(LONGEST)
    }
}

/// Has what is left of expired credits of a project recorded: some at a time, so that others are answered in between.
pub async fn look(ctx: &RequestContext) -> Result<(), SubmitError> {
    loop {
        let next = ctx.billing().read(|view, _| view.billing.next_expiry());
        let Some(expiry) = next.filter(|expiry| *expiry <= ctx.now()) else { return Ok(()) };
        let command = Command::ExpireCredits(ExpireCredits { limit: MAX_EXPIRED });
        let content = format!("credit that expired at {expiry}");
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
