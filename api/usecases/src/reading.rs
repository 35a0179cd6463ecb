//! Reading the views as of now, and carrying out what a computer says.

use std::sync::Arc;

use slapledger_core::domain::id::{ComputerId, KeyId, PartitionId, Sequence};
use slapledger_core::domain::{Command, RefusalClass};
use slapledger_core::ledger::{Accepted, Submission, SubmitError};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;

use super::context::RequestContext;

/// How often a value is sealed anew for an instance that came or went meanwhile.
pub const ATTEMPTS: usize = 5;

/// Reads the views when they show everything that was acknowledged until now, and everything up to `min`.
pub async fn read<T>(
    ctx: &RequestContext,
    min: Sequence,
    read: impl FnOnce(&SlapViews, Sequence) -> T,
) -> Result<T, Problem> {
    let min = ctx.newest().max(min);
    ctx.slap().read_at(min, read).await.map_err(Into::into)
}

/// Whether a command may do when its values are sealed anew.
pub fn is_retry(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Refused(refusal) if refusal.class() == RefusalClass::Retry)
}

/// Carries out what a node says. It cannot say it again, so it may wait for room. `digest` names its content in the log.
pub async fn submit_as(
    ctx: &RequestContext,
    digest: [u8; 16],
    node: &ComputerId,
    command: Command,
) -> Result<Accepted, SubmitError> {
    let meta = Arc::new(ctx.meta(ctx.caller.actor_at(node), digest));
    let accepted = ctx.ledger().submit_patiently(Submission { meta, command }).await?;
    ctx.heard(node);
    Ok(accepted)
}

/// There is no such computer.
pub fn no_computer(computer: &ComputerId) -> Problem {
    Problem::unknown(ProblemCode::ComputerUnknown, format!("there is no computer {computer}"))
}

/// There is no such partition.
pub fn no_partition(computer: &ComputerId, partition: &PartitionId) -> Problem {
    Problem::unknown(
        ProblemCode::PartitionUnknown,
        format!("computer {computer} has no partition {partition}"),
    )
}

/// A key that nobody uses. None is taken for what would not be recorded.
pub fn fresh(ctx: &RequestContext) -> Result<KeyId, Problem> {
    ctx.ledger().check_recording()?;
    ctx.keys().fresh().map_err(|fault| Problem::fault(&fault))
}
