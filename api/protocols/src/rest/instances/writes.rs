//! What is wanted of an instance that is there, and what its node says of it.

use axum::extract::Request;
use slapledger_core::domain::Command;
use slapledger_core::domain::erasure::{self, Erase};
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{InstanceId, Reference};
use slapledger_core::domain::instance::{
    BangInstance, InstancePlace, RenameInstance, ReportInstance, ReportedState, RequestInstance,
    RequestedState, SetConnectionParameters, WithoutRoom,
};
use slapledger_core::log::envelope::Actor;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::body::ReceivedRequest;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{self, error_text, reported_error};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_usecases::caller::Caller;
use slapledger_usecases::context::{RequestContext, to_its_end};
use slapledger_usecases::erasure::destroy_key;
use slapledger_usecases::reading::read;

use super::describe::{Connection, InstanceChange, InstanceReport, Rename};
use super::{InstanceResource, no_instance};
use crate::access::Authorised;
use crate::rest::change::{ChangedResource, ResourceChange};
use crate::rest::computers::describe::Bang;
use crate::rest::openapi::schema;
use crate::rest::query::Named;

fn named(text: &str) -> Result<InstanceId, Problem> {
    text.parse().map_err(|_| no_instance(text))
}

/// What somebody may say of an instance, by who they are to it.
type Says = fn(&Caller, &InstanceView) -> bool;

fn find(
    ctx: &RequestContext,
    view: &SlapViews,
    (id, says): (InstanceId, Says),
) -> Result<InstanceView, Problem> {
    let known = view.instances.get(id).filter(|known| says(&ctx.caller, known));
    known.cloned().ok_or_else(|| no_instance(&id.to_string()))
}

/// Carries out what is said of an instance, and shows it as it is then.
async fn change(
    ctx: &RequestContext,
    ((id, says), actor, sent): ((InstanceId, Says), Actor, &ReceivedRequest),
    command: impl Fn(&InstanceView) -> Result<Command, Problem>,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let change = ResourceChange::new(ctx, actor, sent)?;
    let show = |instance: &InstanceView| InstanceResource::of(ctx, instance);
    let (stream, find) = (Stream::Instance(id), |view: &SlapViews| find(ctx, view, (id, says)));
    let command = |instance: &InstanceView| {
        if instance.lives() {
            command(instance)
        } else {
            Err(conflict::of_code(ProblemCode::InstanceDestroyed, format!("instance {id} has ended")))
        }
    };
    let accepted = change.carry_out(ChangedResource { stream, find, show, command }).await?;
    change.shown(accepted.sequence, find, show).await
}

impl InstanceChange {
    /// The request for the instance as it is with the change.
    fn command(&self, ctx: &RequestContext, instance: &InstanceView) -> Result<Command, Problem> {
        let parameters = match &self.parameters {
            None => instance.parameters.clone(),
            Some(told) => {
                sealing::seal_parameters(ctx.parameter_keys(), instance.key(), "parameters", &told.0)?
            }
        };
        let filter = self.sla.as_ref().map(|sla| {
            sla.0.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
        });
        Ok(Command::RequestInstance(RequestInstance {
            requester: instance.requester,
            reference: instance.reference.clone(),
            release: self.software_release.clone().map_or_else(|| instance.release.clone(), Into::into),
            software_type: self
                .software_type
                .clone()
                .map_or_else(|| instance.software_type.clone(), Into::into),
            instance_type: self.instance_type.clone().map(Into::into),
            parameters,
            filter: filter.unwrap_or_else(|| instance.filter.clone()),
            state: self.state.clone().map(Into::into),
            shared: instance.shared,
            default_computer: ctx.engine.default_computer.clone(),
            without_room: WithoutRoom::Wait,
        }))
    }
}

/// `PATCH /v1/instances/{id}`: what its requester wants of it now.
pub(crate) async fn want(
    Authorised(ctx): Authorised,
    Named(of): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let instance = named(&of)?;
    let (sent, wanted) = json_body::read::<InstanceChange>(request, ctx.parameter_body()).await?;
    change(&ctx, ((instance, Caller::wants_instance), ctx.caller.actor(), &sent), |known| {
        wanted.command(&ctx, known)
    })
    .await
}

/// `DELETE /v1/instances/{id}`: it is to be destroyed. It is there until its node says that it is gone.
pub(crate) async fn destroy(
    Authorised(ctx): Authorised,
    Named(of): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let instance = named(&of)?;
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let destroyed = Some(schema::RequestedState(RequestedState::Destroyed));
    let wanted = InstanceChange { state: destroyed, ..InstanceChange::default() };
    change(&ctx, ((instance, Caller::wants_instance), ctx.caller.actor(), &sent), |known| {
        wanted.command(&ctx, known)
    })
    .await
}

/// `POST /v1/instances/{id}/erase`: what was sealed for an instance that has ended is gone for good.
pub(crate) async fn erase(
    Authorised(ctx): Authorised,
    Named(of): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let id = named(&of)?;
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let erasing = async move {
        let change = ResourceChange::new(&ctx, ctx.caller.actor(), &sent)?;
        let show = |instance: &InstanceView| InstanceResource::of(&ctx, instance);
        let (stream, find) =
            (Stream::Instance(id), |view: &SlapViews| find(&ctx, view, (id, Caller::wants_instance)));
        let subject = erasure::ErasureSubject::Instance(id);
        let command = |_: &InstanceView| Ok(Command::Erase(Erase { subject }));
        let accepted = change.carry_out(ChangedResource { stream, find, show, command }).await?;
        destroy_key(&ctx, subject, accepted.sequence).await?;
        change.shown(accepted.sequence, find, show).await
    };
    to_its_end(erasing).await
}

/// Where an instance is, as its node says it.
fn place(instance: &InstanceView) -> Result<InstancePlace, Problem> {
    let none = || {
        let detail = format!("instance {} has no partition yet", instance.id);
        conflict::of_code(ProblemCode::InstanceUnallocated, detail)
    };
    let allocation = instance.allocation.as_ref().ok_or_else(none)?;
    let (computer, partition) = (allocation.computer.clone(), allocation.partition.clone());
    Ok(InstancePlace { computer, partition, shared: instance.shared.then_some(instance.id) })
}

/// Carries out what the node of an instance says of it.
async fn say(
    ctx: &RequestContext,
    (id, sent): (InstanceId, &ReceivedRequest),
    command: impl Fn(InstancePlace, &InstanceView) -> Result<Command, Problem>,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let of = (id, Caller::speaks_for as Says);
    let known =
        read(ctx, slapledger_core::domain::id::Sequence::ZERO, |view, _| find(ctx, view, of)).await??;
    let computer = place(&known)?.computer;
    let actor = ctx.caller.actor_at(&computer);
    let answer = change(ctx, (of, actor, sent), |known| command(place(known)?, known)).await?;
    ctx.heard(&computer);
    Ok(answer)
}

/// `POST /v1/instances/{id}/reports`: the state its node says it is in.
pub(crate) async fn report(
    Authorised(ctx): Authorised,
    Named(of): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let instance = named(&of)?;
    let (sent, report) = json_body::read::<InstanceReport>(request, json_body::MOST_BYTES).await?;
    let state = ReportedState::from(report.state);
    let log = reported_error(report.error.as_deref(), state == ReportedState::Error)?;
    say(&ctx, (instance, &sent), |place, known| {
        let error = log.as_ref().map(|log| sealing::seal(ctx.keys(), known.key(), log)).transpose()?;
        Ok(Command::ReportInstance(ReportInstance { place, state, error }))
    })
    .await
}

/// `PUT /v1/instances/{id}/connection-parameters`: how its node says it is reached.
pub(crate) async fn set_connection(
    Authorised(ctx): Authorised,
    Named(of): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    const FIELD: &str = "connection_parameters";
    let instance = named(&of)?;
    let (sent, Connection { connection_parameters: told }) =
        json_body::read(request, ctx.parameter_body()).await?;
    say(&ctx, (instance, &sent), |place, known| {
        let connection = sealing::seal_parameters(ctx.parameter_keys(), known.key(), FIELD, &told.0)?;
        Ok(Command::SetConnectionParameters(SetConnectionParameters { place, connection }))
    })
    .await
}

/// `POST /v1/instances/{id}/bang`: its whole tree is to be processed again.
pub(crate) async fn bang(
    Authorised(ctx): Authorised,
    Named(of): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let instance = named(&of)?;
    let (sent, Bang { message }) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let message = message.map(|text| error_text(text.as_bytes()));
    say(&ctx, (instance, &sent), |place, known| {
        let message =
            message.as_ref().map(|text| sealing::seal(ctx.keys(), known.key(), text)).transpose()?;
        Ok(Command::BangInstance(BangInstance { place, message }))
    })
    .await
}

/// `POST /v1/instances/{id}/rename`.
pub(crate) async fn rename(
    Authorised(ctx): Authorised,
    Named(of): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let instance = named(&of)?;
    let (sent, Rename { title }) = json_body::read(request, json_body::MOST_BYTES).await?;
    let reference = Reference::from(title);
    let renamed = say(&ctx, (instance, &sent), |place, _| {
        Ok(Command::RenameInstance(RenameInstance { place, reference: reference.clone() }))
    });
    renamed.await.map_err(|problem| match problem.field.as_deref() {
        Some("new_name") => Problem { field: Some("title".into()), ..problem },
        _ => problem,
    })
}
