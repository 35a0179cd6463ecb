//! Instances whose partition is gone: what is requested again for their owners.
//!
//! The core ends them and requests them again by one decision; here their parameters are sealed for the instances in
//! their place. A computer is retired in steps of so many instances; the program finishes a retirement at its next start.

use std::collections::BTreeMap;
use std::sync::Arc;

use slapledger_core::domain::Command;
use slapledger_core::domain::computer::RetireComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartitionId, Sequence};
use slapledger_core::domain::instance::{RequestedAgain, RequestedState, Requester};
use slapledger_core::ledger::Submission;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{self, ToldParameters};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;

use crate::context::RequestContext;
use crate::reading::{ATTEMPTS, fresh, is_retry, read};

/// The most instances of one step of a retirement.
const STEP_INSTANCES: usize = 100;
/// The most bytes of their parameters, but for the first.
const STEP_BYTES: usize = 4 * 1024 * 1024;

/// The instances of a computer that are requested again, if their partitions are given up: the one in a partition, or
/// all. In a proxy, whoever wants an instance requests it.
pub fn wanted_on(
    ctx: &RequestContext,
    view: &SlapViews,
    computer: &ComputerId,
    partition: Option<&PartitionId>,
) -> Vec<InstanceView> {
    if ctx.mode() != Mode::Serve {
        return Vec::new();
    }
    let here = view.instances.on_computer(computer.as_str());
    let here = here.filter(|(name, _)| partition.is_none_or(|partition| partition == *name));
    let wanted = here.map(|(_, instance)| instance).filter(|instance| {
        matches!(instance.requester, Requester::Party(_)) && instance.requested != RequestedState::Destroyed
    });
    wanted.cloned().collect()
}

/// These instances, with their parameters sealed for those in their place.
pub fn requested_again(
    ctx: &RequestContext,
    wanted: &[InstanceView],
) -> Result<Vec<RequestedAgain>, Problem> {
    wanted.iter().map(|instance| again(ctx, instance)).collect()
}

fn again(ctx: &RequestContext, instance: &InstanceView) -> Result<RequestedAgain, Problem> {
    // Whoever gives the partition up need not be who may open this. What was erased has no parameters any more.
    let xml = sealing::open(&ctx.engine.keys, &instance.parameters).map_or_else(|| no_parameters(ctx), Ok)?;
    let parameters = sealing::seal(&ctx.engine.keys, fresh(ctx)?, &xml)?;
    Ok(RequestedAgain { instance: instance.id, parameters_were: instance.parameters.digest, parameters })
}

fn no_parameters(ctx: &RequestContext) -> Result<String, Problem> {
    let (field, none) = ("parameters", BTreeMap::new());
    let most_bytes = ctx.engine.most_parameter_bytes;
    ToldParameters { field, texts: &none, typed: &none, most_bytes }.xml()
}

/// Has all instances on a retired computer end that are still wanted, and requests them again.
pub async fn finish_retirement(ctx: &RequestContext, computer: &ComputerId) -> Result<(), Problem> {
    let mut attempts = ATTEMPTS;
    while attempts > 0 {
        let left = read(ctx, Sequence::ZERO, |view, _| wanted_on(ctx, view, computer, None)).await?;
        if left.is_empty() {
            return Ok(());
        }
        let mut bytes = 0;
        let step = left.iter().take(STEP_INSTANCES).take_while(|instance| {
            let is_first = bytes == 0;
            bytes += instance.parameters.ciphertext.len().max(1);
            is_first || bytes <= STEP_BYTES
        });
        let again = step.map(|instance| again(ctx, instance)).collect::<Result<Vec<_>, _>>()?;
        let command = Command::RetireComputer(RetireComputer { computer: computer.clone(), again });
        let meta = Arc::new(ctx.meta(ctx.caller.actor(), [0; 16]));
        match ctx.ledger().submit(Submission { meta, command }).await {
            Ok(_) => attempts = ATTEMPTS,
            Err(error) if is_retry(&error) => attempts -= 1,
            Err(error) => return Err(error.into()),
        }
    }
    let detail = format!("what is on computer {computer} changes all the time; retire it again");
    Err(Problem::later(ProblemCode::ModifiedConcurrently, detail, 1))
}

/// Finishes the retirements that a program which died left unfinished. What cannot be done now (nothing may be recorded at
/// the moment) is logged: the next start does it, or whoever retires the computer again.
pub async fn finish_retirements(ctx: &RequestContext) {
    for ctx in ctx.of_all_projects() {
        let retired = |view: &SlapViews, _| {
            let retired = view.inventory.iter().filter(|computer| computer.retired_at.is_some());
            retired.map(|computer| computer.id.clone()).collect::<Vec<_>>()
        };
        // A view that cannot be read is told by what reads it to answer somebody.
        for computer in read(&ctx, Sequence::ZERO, retired).await.unwrap_or_default() {
            let finished = finish_retirement(&ctx, &computer).await;
            let _ = finished.inspect_err(|problem| {
                tracing::warn!(%computer, detail = %problem.detail, "a retirement is not finished; retire it again");
            });
        }
    }
}
