//! Who asks for an instance: the instance in the partition that a request says it comes from, or the user.
//!
//! What a request says is a claim and no proof: in a master it has to fit the certificate it comes with; to a proxy
//! everybody may make it.

use http::StatusCode;
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartitionId, Sequence};
use slapledger_core::domain::instance::Requester;
use slapledger_core::log::envelope::{Actor, ActorKind};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;

use super::caller::forbidden;
use super::context::RequestContext;
use super::reading::{no_computer, no_partition, read};

/// The partition that a request says it comes from.
pub struct PartitionClaim {
    /// Of which computer.
    pub computer: ComputerId,
    /// Which of its partitions.
    pub partition: PartitionId,
    /// Whether a header says so, and no form.
    pub by_header: bool,
}

/// Who asks: the instance in the partition that is claimed, or the user.
pub async fn requester(
    ctx: &RequestContext,
    claim: Option<PartitionClaim>,
) -> Result<(Requester, Actor), Problem> {
    match claim {
        Some(claim) => claim.requester(ctx).await,
        None => unclaimed(ctx),
    }
}

/// Who asks that names no partition: the user, or an instance by its certificate.
fn unclaimed(ctx: &RequestContext) -> Result<(Requester, Actor), Problem> {
    Ok((ctx.caller.requester()?, ctx.caller.actor()))
}

impl PartitionClaim {
    /// Whether it fits the certificate of the caller, if that is one of a computer or an instance.
    pub async fn check(&self, ctx: &RequestContext) -> Result<(), Problem> {
        let Self { computer, partition, .. } = self;
        ctx.caller.check_node(computer)?;
        if ctx.caller.instance().is_none() {
            return Ok(());
        }
        let occupant =
            |view: &SlapViews, _| Some(view.instances.occupant(computer.as_str(), partition.as_str())?.id);
        let occupant = read(ctx, Sequence::ZERO, occupant).await?;
        ctx.caller.check_place((computer, partition), occupant)
    }

    /// The instance that is in the partition, or the user. Anyone who came with a credential may claim the partition
    /// alone that it is of.
    async fn requester(self, ctx: &RequestContext) -> Result<(Requester, Actor), Problem> {
        let caller = &ctx.caller;
        if caller.principal().is_some_and(|principal| matches!(principal.holder, Holder::Party(_))) {
            return Err(forbidden("the certificate is that of a person, and no partition's"));
        }
        caller.check_node(&self.computer)?;
        let place = (self.computer.clone(), self.partition.clone());
        let found = self.instance(ctx).await;
        caller.check_place((&place.0, &place.1), *found.as_ref().unwrap_or(&None))?;
        let Some(instance) = found? else { return unclaimed(ctx) };
        let actor = match caller.principal() {
            Some(_) => caller.actor(),
            None => Actor { kind: ActorKind::Instance, id: instance.to_string().into(), credential: None },
        };
        Ok((Requester::Instance(instance), actor))
    }

    /// The instance that is in the partition. To slapos proxy nobody in a partition is the user: what is asked from a
    /// free one, or by a form from one that does not exist, is a request of the user's own.
    async fn instance(self, ctx: &RequestContext) -> Result<Option<InstanceId>, Problem> {
        let Self { computer, partition, by_header } = self;
        let found = read(ctx, Sequence::ZERO, |view, _| {
            let known = view.inventory.computer(computer.as_str()).ok_or_else(|| no_computer(&computer))?;
            let place =
                known.partition(partition.as_str()).ok_or_else(|| no_partition(&computer, &partition))?;
            Ok(place.occupant)
        });
        let proxy = ctx.mode() == Mode::Proxy;
        match found.await? {
            Ok(Some(instance)) => Ok(Some(instance)),
            Ok(None) if proxy => Ok(None),
            Ok(None) => {
                let detail = format!("partition {partition} of computer {computer} is free");
                Err(Problem::unknown(ProblemCode::PartitionFree, detail))
            }
            Err(_) if proxy && !by_header => Ok(None),
            // As slapos proxy answers a claim that fits nothing.
            Err(problem) if proxy => {
                let detail =
                    format!("No partition matching the authorization header: ({computer} / {partition})");
                Err(Problem { status: StatusCode::BAD_REQUEST, detail, ..problem })
            }
            Err(problem) => Err(problem),
        }
    }
}
