//! The first party of each project, who runs it: it is registered when the project is opened; should the program die in
//! between, when it starts again.

use std::sync::Arc;

use slapledger_core::domain::Command;
use slapledger_core::domain::id::ProjectId;
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::TimeZone;
use slapledger_core::ledger::Submission;
use slapledger_kit::problem::Problem;
use slapledger_projections::AccessView;
use tokio::sync::Mutex;

use super::caller::FIRST_PARTY;
use super::context::RequestContext;
use super::reading::fresh;

/// Nobody enters it twice.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Enters the first party of a project that has none.
pub async fn enter_first_party(ctx: &RequestContext, name: &str, time_zone: TimeZone) -> Result<(), Problem> {
    let _one_at_a_time = ONE_AT_A_TIME.lock().await;
    let last = ctx.ledger().head().last;
    if ctx.billing().read_at(last, |view, _| view.billing.knows_party(FIRST_PARTY)).await? {
        return Ok(());
    }
    let key = fresh(ctx)?;
    let name = ctx.keys().seal(key, name.as_bytes()).map_err(|fault| Problem::fault(&fault))?;
    let command = Command::RegisterParty(RegisterParty { name, time_zone, description: None });
    let meta = Arc::new(ctx.meta(ctx.caller.actor(), [0; 16]));
    ctx.ledger().submit(Submission { meta, command }).await?;
    Ok(())
}

/// Enters those that a program which died did not come to.
pub async fn enter_first_parties(ctx: &RequestContext) -> Result<(), Problem> {
    let of = |view: &AccessView, _| {
        view.access.projects().map(|(id, title)| (id, title.to_owned())).collect::<Vec<_>>()
    };
    let all = ctx.access().read_at(ctx.ledger().head().last, of).await?;
    for (id, title) in all.into_iter().filter(|(id, _)| *id != ProjectId::DEFAULT) {
        enter_first_party(&ctx.within(id), &title, TimeZone::UTC).await?;
    }
    Ok(())
}
