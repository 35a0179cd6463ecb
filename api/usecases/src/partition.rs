//! The end of an instance, as its node reports it.

use slapledger_core::domain::event::Mode;
use slapledger_core::domain::instance::{self, InstanceRefusal, ReportInstance, ReportedState};
use slapledger_core::domain::{Command, Refusal};
use slapledger_core::ledger::SubmitError;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;

use super::context::RequestContext;
use super::reading::{read, submit_as};

/// What a node is told of an instance that others have to go before.
pub fn not_yet(left: &str) -> String {
    format!("Not destroying yet because this partition has child partitions: {left}")
}

/// A node says that an instance is gone. Answers whom it requested and who has to go first.
pub async fn end(
    ctx: &RequestContext,
    digest: [u8; 16],
    place: instance::InstancePlace,
) -> Result<Option<String>, Problem> {
    let instance::InstancePlace { computer, partition, .. } = place.clone();
    let command = ReportInstance { place, state: ReportedState::Destroyed, error: None };
    match submit_as(ctx, digest, &computer, Command::ReportInstance(command)).await {
        Ok(accepted) => {
            let left = |view: &SlapViews, _| {
                let occupant = view.instances.occupant(computer.as_str(), partition.as_str())?;
                let mut names: Vec<_> = if ctx.mode() == Mode::Serve {
                    let children = view.instances.children(occupant.id).filter(|child| child.lives());
                    children.map(|child| child.reference.to_string()).collect()
                } else {
                    // slapos proxy names all of its tree.
                    let others = view.instances.tree(occupant.id).filter(|other| other.id != occupant.id);
                    others.map(|other| other.reference.to_string()).collect()
                };
                names.sort();
                (!names.is_empty()).then(|| names.join(", "))
            };
            read(ctx, accepted.sequence, left).await
        }
        Err(error) if is_free(&error) => Ok(None),
        // Its user wants it back. A node that is told so with this status goes on with its other partitions.
        Err(SubmitError::Refused(Refusal::Instance(refusal @ InstanceRefusal::NotToBeDestroyed { .. }))) => {
            Err(conflict::for_node(ProblemCode::StillRequested, refusal.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a report was refused because nobody is in the partition.
pub fn is_free(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Refused(Refusal::Instance(InstanceRefusal::PartitionFree { .. })))
}
