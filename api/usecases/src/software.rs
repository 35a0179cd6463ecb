//! Software on computers: what users supply, and what computers report.

use std::sync::Arc;

use slapledger_core::domain::id::{ComputerId, Sequence, SoftwareRelease};
use slapledger_core::domain::software::{
    ReportSoftware, SoftwareRefusal, SoftwareState, SupplySoftware, SupplyState,
};
use slapledger_core::domain::{Command, Refusal};
use slapledger_core::ledger::{Submission, SubmitError};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{self, error_text};

use super::context::RequestContext;
use super::reading::{fresh, no_computer, read, submit_as};

/// The word for the state of a supply.
pub fn supply_state(state: SupplyState) -> &'static str {
    match state {
        SupplyState::Available => "available",
        SupplyState::Destroyed => "destroyed",
    }
}

/// The state of a supply that this word is for.
pub fn parse_supply_state(told: &str) -> Option<SupplyState> {
    let known = [SupplyState::Available, SupplyState::Destroyed];
    known.into_iter().find(|state| supply_state(*state) == told)
}

/// Supplies a release, as the user asks.
pub async fn supply_as_user(
    ctx: &RequestContext,
    digest: [u8; 16],
    command: SupplySoftware,
) -> Result<(), Problem> {
    let computer = &command.computer;
    let theirs = read(ctx, Sequence::ZERO, |view, _| {
        view.inventory.computer(computer.as_str()).is_some_and(|known| ctx.caller.sees_computer(known))
    });
    if !theirs.await? {
        return Err(no_computer(computer));
    }
    let meta = Arc::new(ctx.meta(ctx.caller.actor(), digest));
    let command = Command::SupplySoftware(command);
    ctx.ledger().submit(Submission { meta, command }).await.map(drop).map_err(Into::into)
}

/// Records what a computer says of a release, and what went wrong with it.
pub async fn record(
    ctx: &RequestContext,
    digest: [u8; 16],
    (computer, release): (ComputerId, SoftwareRelease),
    state: SoftwareState,
    log: Option<&[u8]>,
) -> Result<(), Problem> {
    ctx.caller.check_node(&computer)?;
    let error = match log {
        Some(log) => {
            let log = error_text(log);
            // The key of the error before it: the same error again is nothing new.
            let known = read(ctx, Sequence::ZERO, |view, _| {
                let supply = view.inventory.computer(computer.as_str())?.supplies().get(&release)?;
                supply.error.as_ref().map(|error| error.key)
            });
            let key = known.await?.map_or_else(|| fresh(ctx), Ok)?;
            Some(sealing::seal(ctx.keys(), key, &log)?)
        }
        None => None,
    };
    let command = ReportSoftware { computer: computer.clone(), release, state, error };
    match submit_as(ctx, digest, &computer, Command::ReportSoftware(command)).await {
        Ok(_) => Ok(()),
        // As the master answers, and what slapgrid can live with.
        Err(SubmitError::Refused(Refusal::Software(refusal @ SoftwareRefusal::NotToBeDestroyed { .. }))) => {
            Err(conflict::for_node(ProblemCode::StillRequested, refusal.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
