//! `request()`, whichever way it came: from what is wanted to a command whose values are sealed under the right key.
//!
//! Which key that is depends on whether the instance is there, so it is looked up, and looked up again if the instance
//! came or went between the look and the decision. What a request leaves out stays as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{InstanceId, Reference, Sequence, SoftwareRelease, SoftwareType};
use slapledger_core::domain::instance::{
    InstanceRefusal, InstanceType, RequestInstance, RequestOutcome, RequestedState, Requester, WithoutRoom,
};
use slapledger_core::domain::{Answer, Command, Refusal};
use slapledger_core::ledger::{Submission, SubmitError};
use slapledger_core::log::envelope::Meta;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{self, ToldParameters};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;

use crate::context::RequestContext;
use crate::reading::{ATTEMPTS, fresh, is_retry, read};

/// The type of software that nobody named.
const DEFAULT_TYPE: &str = "default";

/// What is wanted.
pub struct WantedInstance {
    /// By whom.
    pub requester: Requester,
    /// Under which name.
    pub reference: Reference,
    /// What is to run.
    pub release: SoftwareRelease,
    /// As what.
    pub software_type: Option<SoftwareType>,
    /// What for.
    pub instance_type: Option<InstanceType>,
    /// With which parameters, and the field they came in.
    pub parameters: (&'static str, Option<BTreeMap<String, String>>),
    /// Those of them that are no texts, marshalled, where their host is told types.
    pub typed: BTreeMap<String, String>,
    /// Where it may be.
    pub filter: Vec<(Box<str>, Box<str>)>,
    /// In which state.
    pub state: Option<RequestedState>,
    /// Whether it is to live on another instance.
    pub shared: bool,
    /// What becomes of it if there is no room.
    pub without_room: WithoutRoom,
}

/// What became of it.
pub struct Requested {
    /// Which instance it is.
    pub instance: InstanceId,
    /// Whether it is new, changed or as it was.
    pub outcome: RequestOutcome,
    /// Whether it has a partition.
    pub allocated: bool,
    /// A view that has come as far shows it.
    pub sequence: Sequence,
}

/// Requests an instance. `None` if it was to be destroyed and is not there, or no more: there is nothing to do.
pub async fn request(
    ctx: &RequestContext,
    meta: Arc<Meta>,
    wanted: &WantedInstance,
) -> Result<Option<Requested>, Problem> {
    for _ in 0..ATTEMPTS {
        let known = read(ctx, Sequence::ZERO, |view, _| known(view, wanted)).await?;
        let command = Command::RequestInstance(command(ctx, wanted, known.as_ref())?);
        match ctx.ledger().submit(Submission { meta: Arc::clone(&meta), command }).await {
            Ok(accepted) => {
                let Answer::Instance { instance, outcome, allocated } = accepted.answer else {
                    return Err(Problem::fault(&"a request was answered with something else"));
                };
                let sequence = accepted.sequence;
                return Ok(Some(Requested { instance, outcome, allocated, sequence }));
            }
            Err(error) if is_retry(&error) => {}
            Err(SubmitError::Refused(Refusal::Instance(InstanceRefusal::NothingToDestroy { .. }))) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let detail = format!("instance {} comes and goes; ask again", wanted.reference);
    Err(Problem::later(ProblemCode::ModifiedConcurrently, detail, 1))
}

/// The instance as it is.
fn known(view: &SlapViews, wanted: &WantedInstance) -> Option<InstanceView> {
    view.instances.find(wanted.requester, wanted.shared, wanted.reference.as_str()).cloned()
}

fn command(
    ctx: &RequestContext,
    wanted: &WantedInstance,
    known: Option<&InstanceView>,
) -> Result<RequestInstance, Problem> {
    let (field, parameters) = &wanted.parameters;
    let none = BTreeMap::new();
    let told = ToldParameters {
        field,
        texts: parameters.as_ref().unwrap_or(&none),
        typed: &wanted.typed,
        most_bytes: ctx.engine.most_parameter_bytes,
    };
    let parameters = match known {
        Some(instance) if parameters.is_none() => instance.parameters.clone(),
        Some(instance) => told.seal(ctx.keys(), instance.key())?,
        None => {
            let xml = told.xml()?;
            sealing::seal(ctx.keys(), fresh(ctx)?, &xml)?
        }
    };
    let software_type = wanted.software_type.clone().or_else(|| Some(known?.software_type.clone()));
    let software_type =
        software_type.map_or_else(|| slapledger_kit::text::id("software_type", DEFAULT_TYPE), Ok)?;
    Ok(RequestInstance {
        requester: wanted.requester,
        reference: wanted.reference.clone(),
        release: wanted.release.clone(),
        software_type,
        instance_type: wanted.instance_type,
        parameters,
        filter: wanted.filter.clone(),
        state: wanted.state,
        shared: wanted.shared,
        default_computer: ctx.engine.default_computer.clone(),
        without_room: wanted.without_room,
    })
}

/// What becomes of a request by SLAP for which there is no room.
pub fn without_room(mode: Mode) -> WithoutRoom {
    match mode {
        Mode::Proxy => WithoutRoom::Refuse,
        Mode::Demo | Mode::Serve => WithoutRoom::Wait,
    }
}

/// The state that this word is for.
pub fn parse_state(text: &str) -> Option<RequestedState> {
    use RequestedState::{Destroyed, Started, Stopped};
    [Started, Stopped, Destroyed].into_iter().find(|state| state.as_str() == text)
}
