//! Instances whose partition is gone: what is requested again for their owners.
//!
//! The core ends them; here the roots of trees that are still wanted are requested again, with what was requested of
//! them, and get another partition as any request does. What they requested themselves they request again when they
//! run.

use sha2::{Digest, Sha256};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartitionId, Sequence};
use slapledger_core::domain::instance::{RequestedState, Requester, WithoutRoom};
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::open_parameters;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::Instance;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::RequestContext;
use crate::reading::read;
use crate::requesting::{self, WantedInstance};

/// The instances of a computer that are to be requested again, if their partitions are given up: those of one partition,
/// or all. In a proxy whoever wants one requests it.
pub async fn to_request_again(
    ctx: &RequestContext,
    computer: &ComputerId,
    partition: Option<&PartitionId>,
) -> Result<Vec<Instance>, Problem> {
    if ctx.mode() != Mode::Serve {
        return Ok(Vec::new());
    }
    let find = |view: &SlapViews, _| {
        let here = view.instances.on_computer(computer.as_str());
        let here = here.filter(|(name, _)| partition.is_none_or(|partition| partition == *name));
        let wanted = here.map(|(_, instance)| instance).filter(|instance| {
            matches!(instance.requester, Requester::Party(_))
                && instance.requested != RequestedState::Destroyed
        });
        wanted.cloned().collect()
    };
    read(ctx, Sequence::ZERO, find).await
}

/// Requests those again that have ended since. What cannot be requested is logged, and keeps nothing else from it.
pub async fn request_again(ctx: &RequestContext, lost: Vec<Instance>) {
    for instance in lost {
        let id = instance.id;
        let requested = again(ctx, instance).await;
        let _ = requested.inspect_err(|problem| {
            tracing::warn!(%id, detail = %problem.detail, "an instance whose partition is gone was not requested again");
        });
    }
}

async fn again(ctx: &RequestContext, instance: Instance) -> Result<(), Problem> {
    let ended = |view: &SlapViews, _| view.instances.get(instance.id).is_some_and(|known| !known.lives());
    let last = ctx.ledger().head().last;
    if !read(ctx, last, ended).await? {
        return Ok(());
    }
    let digest: [u8; 32] = Sha256::digest(instance.id.to_string()).into();
    let mut of_command = [0; 16];
    of_command.copy_from_slice(&digest[..16]);
    let meta = Arc::new(ctx.meta(ctx.caller.actor(), of_command));
    let wanted = WantedInstance {
        requester: instance.requester,
        reference: instance.reference,
        release: instance.release,
        software_type: Some(instance.software_type),
        instance_type: Some(instance.instance_type),
        // Whoever gives the partition up need not be who may open this.
        parameters: ("parameters", Some(open_parameters(&ctx.engine.keys, &instance.parameters))),
        typed: BTreeMap::new(),
        filter: instance.filter,
        state: Some(instance.requested),
        shared: instance.shared,
        without_room: WithoutRoom::Wait,
    };
    requesting::request(ctx, meta, &wanted).await.map(drop)
}
