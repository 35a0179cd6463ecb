//! Runs that become final by themselves: when their time of grace is over, and their period.
//!
//! They are drawn up again first, so that what came in that time is in them. What is refused is tried again from time to
//! time, as it may be put right; it is said once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use slapledger_billing::BillingView;
use slapledger_core::domain::id::{ProjectId, RunId, Sequence};
use slapledger_core::domain::invoice::{InvoiceRefusal, RefreshInvoiceRun};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Command, Refusal};
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::envelope::Actor;

use super::FinaliseError;
use crate::context::RequestContext;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for runs that are due, as long as the program runs.
pub async fn watch(ctx: Arc<RequestContext>) {
    // Where the log was when a run was refused: until something happens it would be again.
    let mut refused = RefusedRuns::new();
    loop {
        tokio::time::sleep(EVERY).await;
        for ctx in ctx.of_all_projects() {
            look(&Arc::new(ctx), &mut refused).await;
        }
    }
}

/// Where the log was when a run of a project was refused.
pub type RefusedRuns = BTreeMap<(ProjectId, RunId), Sequence>;

/// Makes the runs of a project final that are due.
pub async fn look(ctx: &Arc<RequestContext>, refused: &mut RefusedRuns) {
    let (project, head) = (ctx.project, ctx.ledger().head().last);
    let would_be_refused = |run| refused.get(&(project, run)) == Some(&head);
    for (run, drawn_up_since) in due(ctx, would_be_refused) {
        if let Err(error) = finalise(ctx, run, drawn_up_since).await
            && refused.insert((project, run), refused_at(ctx, &error)).is_none()
        {
            tracing::warn!(%project, %run, %error, "a run that is due did not become final");
        }
    }
}

/// Where the log was when a run was refused; nowhere, if it was for a reason that passes although nothing happens.
fn refused_at(ctx: &RequestContext, error: &FinaliseError) -> Sequence {
    let passes = matches!(
        error,
        FinaliseError::Submit(
            SubmitError::ClockUnconfirmed(_)
                | SubmitError::ClockBehind { .. }
                | SubmitError::NoRoom(_)
                | SubmitError::Busy
        )
    );
    if passes { Sequence::ZERO } else { ctx.ledger().head().last }
}

/// The runs that are due and would not be refused again, and whether they were drawn up since they are.
fn due(ctx: &RequestContext, would_be_refused: impl Fn(RunId) -> bool) -> Vec<(RunId, bool)> {
    let now = ctx.now();
    ctx.billing().read(|view, _| {
        let billing = &view.billing;
        // One whose drafts are being computed is looked at again: others are due meanwhile.
        let ready = billing.becoming_final().filter(|run| !view.is_drafting(run.opened.run));
        let waiting = ready.filter(|run| !would_be_refused(run.opened.run));
        let due = waiting.filter_map(|run| {
            let opened = &run.opened;
            let of_seller =
                billing.calendar_of(opened.seller).map(|calendar| opened.period.stop.within(calendar));
            let over = due_since(now, (opened.grace_until.unwrap_or(opened.at), of_seller), || {
                billing.over_at(opened)
            })?;
            Some((opened.run, run.drawn_up_at >= over))
        });
        due.collect()
    })
}

/// Since when a run is due: when its grace and its period are over, for its seller and for everybody. The last is asked of
/// all payers, while the view waits; so it is only if nothing else keeps the run from being due.
fn due_since(
    now: Timestamp,
    (grace, of_seller): (Timestamp, Option<Timestamp>),
    of_everybody: impl FnOnce() -> Timestamp,
) -> Option<Timestamp> {
    if grace > now || of_seller.is_some_and(|stop| stop > now) {
        return None;
    }
    Some(of_everybody().max(grace)).filter(|over| *over <= now)
}

async fn finalise(ctx: &Arc<RequestContext>, run: RunId, drawn_up_since: bool) -> Result<(), FinaliseError> {
    if !drawn_up_since {
        let (ctx, refresh) = (Arc::clone(ctx), Command::RefreshInvoiceRun(RefreshInvoiceRun { run }));
        let done = tokio::task::spawn_blocking(move || ctx.submit_own(Actor::system(), refresh)).await;
        match done.map_err(|error| FinaliseError::View(error.to_string()))? {
            // What is issued as of its cut-off is not drawn up again; the rest goes with it.
            Ok(_) | Err(SubmitError::Refused(Refusal::Invoice(InvoiceRefusal::RunStarted { .. }))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let there = |view: &BillingView, _| (!view.is_drafting(run)).then_some(());
    if ctx.billing().read_when(EVERY, there).await.is_none() {
        return Ok(());
    }
    super::finalise(ctx, Actor::system(), run).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect(text)
    }

    #[test]
    fn everybody_is_asked_only_if_nothing_else_keeps_a_run_from_being_due() {
        let day = |day: u32| at(&format!("2026-11-{day:02}T00:00:00Z"));
        // Now, its grace, its period for its seller and for everybody; since when it is due, and whether all were asked.
        let rows = [
            (1, 4, Some(1), 1, None, false),
            (3, 4, Some(1), 2, None, false),
            (1, 1, Some(2), 2, None, false),
            (1, 1, None, 2, None, true),
            (2, 1, Some(2), 3, None, true),
            (3, 1, Some(2), 3, Some(3), true),
            (4, 4, Some(1), 2, Some(4), true),
            (9, 4, None, 5, Some(5), true),
        ];
        for row in rows {
            let (now, grace, of_seller, of_everybody, expected, expected_asked) = row;
            let mut asked = false;
            let since = due_since(day(now), (day(grace), of_seller.map(day)), || {
                asked = true;
                day(of_everybody)
            });
            assert_eq!((since, asked), (expected.map(day), expected_asked), "{row:?}");
        }
    }
}
