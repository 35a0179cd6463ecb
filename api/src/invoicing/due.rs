//! Runs that become final by themselves: when their time of grace is over, and their period.
//!
//! They are drawn up again first, so that what came in that time is in them. What is refused is tried again from time to
//! time, as it may be put right; it is said once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use slapledger_core::domain::id::{RunId, Sequence};
use slapledger_core::domain::invoice::{InvoiceRefusal, RefreshInvoiceRun};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Command, Refusal};
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::envelope::Actor;

use super::FinaliseError;
use crate::app::App;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for runs that are due, as long as the program runs.
pub async fn watch(app: Arc<App>) {
    // Where the log was when a run was refused: until something happens it would be again.
    let mut refused: BTreeMap<RunId, Sequence> = BTreeMap::new();
    loop {
        tokio::time::sleep(EVERY).await;
        let head = app.ledger.head().last;
        for (run, drawn_up_since) in due(&app) {
            if refused.get(&run) == Some(&head) {
                continue;
            }
            if let Err(error) = finalise(&app, run, drawn_up_since).await
                && refused.insert(run, app.ledger.head().last).is_none()
            {
                tracing::warn!(%run, %error, "a run that is due did not become final");
            }
        }
    }
}

/// The runs that are due, and whether they were drawn up since they are.
fn due(app: &App) -> Vec<(RunId, bool)> {
    let now = app.now();
    app.billing.read(|view, _| {
        let due = view.billing.becoming_final().filter_map(|run| {
            let over: Timestamp = view.billing.over_at(&run.opened).max(run.opened.grace_until?);
            (over <= now).then_some((run.opened.run, run.drawn_up_at >= over))
        });
        due.collect()
    })
}

async fn finalise(app: &Arc<App>, run: RunId, drawn_up_since: bool) -> Result<(), FinaliseError> {
    if !drawn_up_since {
        let (app, refresh) = (Arc::clone(app), Command::RefreshInvoiceRun(RefreshInvoiceRun { run }));
        let done = tokio::task::spawn_blocking(move || app.submit_own(Actor::system(), refresh)).await;
        match done.map_err(|error| FinaliseError::View(error.to_string()))? {
            // What is issued as of its cut-off is not drawn up again; the rest goes with it.
            Ok(_) | Err(SubmitError::Refused(Refusal::Invoice(InvoiceRefusal::RunStarted { .. }))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    super::finalise(app, Actor::system(), run).await.map(drop)
}
