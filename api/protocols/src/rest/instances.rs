//! Instances as resources: what is requested, where it is, what its node says of it.
//!
//! A post is `request()`: the same decision, by another way in. What it leaves out of an instance that exists stays as it
//! is. Values that are sealed are opened for a single instance and never in a list.

pub(super) mod describe;
#[cfg(test)]
mod tests;
pub(super) mod writes;

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{InstanceId, PartyId, Reference, Sequence};
use slapledger_core::domain::instance::{
    InstanceType, ReportedState, RequestOutcome, RequestedState, Requester, WithoutRoom,
};
use slapledger_core::domain::time::Timestamp;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{open, open_parameters};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::{InstanceFilter, InstanceView};
use slapledger_usecases::caller::forbidden;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;
use slapledger_usecases::requesting::{self, Requested, WantedInstance};

use self::describe::InstanceWanted;
use super::openapi::schema::{self, List};
use super::query::{self, Named, Query};
use crate::access::Authorised;

/// When to ask again for an instance that has no partition yet.
const RETRY_AFTER_SECONDS: u32 = 30;

/// An instance in a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SoftwareInstanceItem")]
pub(super) struct InstanceItem {
    id: InstanceId,
    title: String,
    state: &'static str,
    reported_state: Option<ReportedState>,
    instance_type: InstanceType,
    software_release: String,
    software_type: String,
    requester: String,
    owner: String,
    root: InstanceId,
    /// Whether it lives on another instance, not in a partition of its own.
    shared: bool,
    /// Whom it lives on, if it is shared.
    host: Option<InstanceId>,
    computer: Option<String>,
    partition: Option<String>,
    /// Since when its computer does not offer that partition any more: nothing happens there until the provider releases
    /// it, or offers it again.
    partition_lost_since: Option<Timestamp>,
    sla: BTreeMap<String, String>,
    requested_at: Timestamp,
    allocated_at: Option<Timestamp>,
    reported_at: Option<Timestamp>,
    changed_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// When its parameters, connection parameters and error texts were erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<Timestamp>,
}

/// A single instance.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SoftwareInstance")]
pub(super) struct InstanceResource {
    #[serde(flatten)]
    item: InstanceItem,
    parameters: BTreeMap<String, String>,
    connection_parameters: BTreeMap<String, String>,
    error: Option<String>,
}

impl InstanceItem {
    /// An instance as a list shows it.
    pub(super) fn of(instance: &InstanceView) -> Self {
        let requested = if instance.lives() { instance.requested } else { RequestedState::Destroyed };
        let place = instance.allocation.as_ref();
        Self {
            id: instance.id,
            title: instance.reference.to_string(),
            state: requested.as_str(),
            reported_state: instance.reported,
            instance_type: instance.instance_type,
            software_release: instance.release.to_string(),
            software_type: instance.software_type.to_string(),
            requester: match instance.requester {
                Requester::Party(party) => party.to_string(),
                Requester::Instance(parent) => parent.to_string(),
            },
            owner: instance.owner.to_string(),
            root: instance.root,
            shared: instance.shared,
            host: instance.host(),
            computer: place.map(|place| place.computer.to_string()),
            partition: place.map(|place| place.partition.to_string()),
            partition_lost_since: instance.lost_since,
            sla: instance.filter.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            requested_at: instance.requested_at,
            allocated_at: place.map(|place| place.from),
            reported_at: instance.reported_at,
            changed_at: instance.changed_at,
            ended_at: instance.ended_at,
            erased_at: instance.erased_at,
        }
    }
}

impl InstanceResource {
    /// An instance by itself.
    pub(super) fn of(ctx: &RequestContext, instance: &InstanceView) -> Self {
        let keys = ctx.keys_for(instance);
        let connection = instance.connection.as_ref();
        Self {
            item: InstanceItem::of(instance),
            parameters: open_parameters(keys, &instance.parameters),
            connection_parameters: connection.map(|sealed| open_parameters(keys, sealed)).unwrap_or_default(),
            error: instance.error.as_ref().and_then(|sealed| open(keys, sealed)),
        }
    }
}

/// `POST /software_instance_module/` and `POST /v1/instances`.
pub(super) async fn request(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let (sent, wanted) = json_body::read::<InstanceWanted>(request, ctx.parameter_body()).await?;
    let wanted = self::wanted(&ctx, wanted).await?;
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let requested = requesting::request(&ctx, meta, &wanted).await?;
    let Requested { instance, outcome, allocated, sequence } = requested.ok_or_else(|| {
        let detail = format!("there is no instance {} to destroy", wanted.reference);
        Problem::unknown(ProblemCode::InstanceUnknown, detail)
    })?;
    let (found, sequence) = find(&ctx, instance, sequence).await?;
    let waits = !allocated && found.lives();
    let status = match outcome {
        _ if waits => StatusCode::ACCEPTED,
        RequestOutcome::Created => StatusCode::CREATED,
        RequestOutcome::Changed | RequestOutcome::Unchanged => StatusCode::OK,
    };
    let resource = InstanceResource::of(&ctx, &found);
    let place = if sent.path().starts_with("/v1/") { "/v1/instances" } else { "/software_instance_module" };
    let answer = HttpAnswer::tagged(status, sequence, resource).located(&format!("{place}/{instance}"));
    Ok(if waits { answer.retry_after(RETRY_AFTER_SECONDS) } else { answer })
}

async fn wanted(ctx: &RequestContext, sent: InstanceWanted) -> Result<WantedInstance, Problem> {
    let reference = Reference::from(sent.instance_id);
    let (requester, owner) = (sent.requester.map(InstanceId::from), sent.owner.map(PartyId::from));
    let requester = match (requester, owner) {
        (Some(_), Some(_)) => {
            return Err(Problem::field("owner", "is that of the requester: name one of them"));
        }
        (Some(requester), None) => {
            let asks = |view: &SlapViews, _| {
                view.instances.get(requester).is_some_and(|known| ctx.caller.asks_from(known))
            };
            if !read(ctx, Sequence::ZERO, asks).await? {
                return Err(no_instance(&requester.to_string()));
            }
            Requester::Instance(requester)
        }
        (None, None) => ctx.caller.requester()?,
        (None, Some(owner)) if !ctx.caller.sees_party(owner) => {
            return Err(Problem { field: Some("owner".into()), ..forbidden("is somebody else") });
        }
        (None, Some(owner)) => Requester::Party(owner),
    };
    let shared = sent.shared.unwrap_or(false);
    let filter = if let Some(schema::Parameters(sla)) = sent.sla {
        sla.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
    } else {
        let known = read(ctx, Sequence::ZERO, |view, _| {
            view.instances.find(requester, shared, reference.as_str()).map(|known| known.filter.clone())
        });
        known.await?.unwrap_or_default()
    };
    Ok(WantedInstance {
        requester,
        reference,
        release: sent.software_release.into(),
        software_type: sent.software_type.map(Into::into),
        instance_type: sent.instance_type.map(Into::into),
        parameters: ("parameters", sent.parameters.map(|parameters| parameters.0)),
        typed: BTreeMap::new(),
        filter,
        state: sent.state.map(Into::into),
        shared,
        without_room: WithoutRoom::Wait,
    })
}

async fn find(
    ctx: &RequestContext,
    instance: InstanceId,
    min: Sequence,
) -> Result<(InstanceView, Sequence), Problem> {
    let find = |view: &SlapViews, at| {
        let known = view.instances.get(instance).filter(|known| ctx.caller.sees_instance(view, known));
        Some((known?.clone(), at))
    };
    read(ctx, min, find).await?.ok_or_else(|| no_instance(&instance.to_string()))
}

fn no_instance(id: &str) -> Problem {
    Problem::unknown(ProblemCode::InstanceUnknown, format!("there is no instance {id}"))
}

/// `GET /v1/instances/{id}`.
pub(super) async fn instance(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<InstanceResource>, Problem> {
    let (resource, sequence) = shown(&ctx, &id, &uri).await?;
    Ok(HttpAnswer::resource(sequence, resource))
}

async fn shown(ctx: &RequestContext, id: &str, uri: &Uri) -> Result<(InstanceResource, Sequence), Problem> {
    let position = Query::read(uri, &[])?.position(ctx).await?;
    let instance = id.parse().map_err(|_| no_instance(id))?;
    let (found, sequence) = find(ctx, instance, position).await?;
    Ok((InstanceResource::of(ctx, &found), sequence))
}

/// `GET /v1/instances`, living and ended, by id.
pub(super) async fn instances(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<InstanceItem>>, Problem> {
    let query = Query::read(&uri, &["root", "computer", "title"])?;
    let filter = InstanceFilter {
        root: query.parse("root")?,
        computer: query.text("computer"),
        reference: query.text("title"),
        ..InstanceFilter::default()
    };
    let page = |view: &SlapViews, after: Option<&InstanceId>, limit| {
        let theirs = |instance: &InstanceView| ctx.caller.sees_instance(view, instance);
        view.instances.list(&filter, theirs, after.copied(), limit).map(InstanceItem::of)
    };
    query.page(&ctx, page).await
}
