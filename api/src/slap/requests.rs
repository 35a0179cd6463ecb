//! `requestComputerPartition`: a user, or an instance from inside its partition, asks for an instance.
//!
//! An instance says who it is by the `Authorization` header of its partition, as slapos.core sends it, or by the form.
//! It is a claim and no proof: in a master it has to fit the certificate it comes with; to a proxy everybody may make it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartitionId, Sequence, SoftwareType};
use slapledger_core::domain::instance::{RequestedState, Requester, WithoutRoom};
use slapledger_core::log::envelope::{Actor, ActorKind};

use super::answers::Placed;
use super::form::{Fields, Form, SMALL, id};
use super::frontend::Frontend;
use super::reply::{Reply, document, not_ready};
use super::requesting::{self, Wanted};
use super::wire::marshal::Value;
use super::wire::{documents, instance_xml};
use super::{no_computer, no_partition, read};
use crate::access::{self, Claimed, Here};
use crate::app::App;
use crate::http::problem::Problem;

/// What the client sends for a type of software that nobody named.
const NOT_NAMED: [&str; 2] = ["", "None"];

/// `POST requestComputerPartition`.
pub(super) async fn request(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let fields = &form.fields;
    let software_type =
        fields.optional("software_type")?.filter(|text| !NOT_NAMED.contains(text)).unwrap_or("default");
    let (requester, actor) = match Claim::of(&form)? {
        Some(claim) => claim.requester(&app).await?,
        None => unclaimed(&app)?,
    };
    let wanted = Wanted {
        requester,
        release: fields.id("software_release")?,
        software_type: Some(id::<SoftwareType>("software_type", software_type)?),
        reference: fields.id("partition_reference")?,
        instance_type: None,
        parameters: ("partition_parameter_xml", Some(texts(fields, "partition_parameter_xml")?)),
        filter: boxed(texts(fields, "filter_xml")?),
        state: state(fields)?,
        shared: fields.marshalled("shared_xml")?.is_some_and(|shared| shared.is_true()),
        without_room: without_room(app.mode),
    };
    if app.mode == Mode::Proxy
        && wanted.shared
        && let Some(parameters) = &wanted.parameters.1
        && let Some(frontend) = Frontend::of(wanted.release.as_str(), software_type, parameters)
    {
        return document(documents::request(&frontend.document(wanted.release.as_str(), software_type)));
    }
    let meta = Arc::new(app.meta(actor, form.digest(&app.keys)));
    let done = requesting::request(&app, meta, &wanted).await?;
    if !done.allocated {
        return Ok(not_ready());
    }
    let placed = read(&app, done.sequence, |view, _| Placed::find(app.mode, view, done.instance)).await?;
    match placed.and_then(|placed| placed.request_document(&app.keys)) {
        Some(answer) => document(documents::request(&answer)),
        // Its node has said meanwhile that it is gone.
        None => Err(Problem::not_found(format!("there is no instance {} any more", wanted.reference)).into()),
    }
}

/// What becomes of a request by SLAP for which there is no room.
pub(crate) fn without_room(mode: Mode) -> WithoutRoom {
    match mode {
        Mode::Proxy => WithoutRoom::Refuse,
        Mode::Demo | Mode::Serve => WithoutRoom::Wait,
    }
}

/// Who asks, by the headers alone: the instance in the partition they name, or the user.
pub(crate) async fn requester(app: &App, headers: &HeaderMap) -> Result<(Requester, Actor), Problem> {
    match Claim::of_header(headers)? {
        Some(claim) => claim.requester(app).await,
        None => unclaimed(app),
    }
}

/// Who asks that names no partition: the user, or an instance by its certificate.
fn unclaimed(app: &App) -> Result<(Requester, Actor), Problem> {
    Ok((app.caller.requester()?, app.caller.actor()))
}

/// The texts of a marshalled dictionary; none if it is not there.
fn texts(fields: &Fields, name: &'static str) -> Result<BTreeMap<String, String>, Problem> {
    let Some(value) = fields.marshalled(name)? else { return Ok(BTreeMap::new()) };
    instance_xml::parameters(&value).map_err(|error| Problem::field(name, error.to_string()))
}

fn boxed(texts: BTreeMap<String, String>) -> Vec<(Box<str>, Box<str>)> {
    texts.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

fn state(fields: &Fields) -> Result<Option<RequestedState>, Problem> {
    let wrong = || Problem::field("state", "must be None, started, stopped or destroyed");
    match fields.marshalled("state")? {
        None | Some(Value::None) => Ok(None),
        Some(Value::Str(text)) => parse_state(&text).map(Some).ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}

/// A state as on the wire.
pub(crate) fn parse_state(text: &str) -> Option<RequestedState> {
    use RequestedState::{Destroyed, Started, Stopped};
    [Started, Stopped, Destroyed].into_iter().find(|state| state.as_str() == text)
}

/// Which partition a request says it comes from.
struct Claim {
    computer: ComputerId,
    partition: PartitionId,
    header: bool,
}

impl Claim {
    /// The header goes before the form, as in slapos proxy.
    fn of(form: &Form) -> Result<Option<Self>, Problem> {
        let fields = &form.fields;
        if let Some(claim) = Self::of_header(form.headers())? {
            return Ok(Some(claim));
        }
        if fields.optional("computer_id")?.is_none() && fields.optional("computer_partition_id")?.is_none() {
            return Ok(None);
        }
        let (computer, partition) = (fields.id("computer_id")?, fields.id("computer_partition_id")?);
        Ok(Some(Self { computer, partition, header: false }))
    }

    fn of_header(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let claimed = Claimed::of(headers)?;
        Ok(claimed.map(|Claimed { computer, partition }| Self { computer, partition, header: true }))
    }

    /// The instance that is in the partition, or the user. Whoever came with a credential may claim the partition alone
    /// that it is of.
    async fn requester(self, app: &App) -> Result<(Requester, Actor), Problem> {
        let caller = &app.caller;
        if caller.known().is_some_and(|known| matches!(known.holder, Holder::Party(_))) {
            return Err(access::forbidden("the certificate is that of a person, and no partition's"));
        }
        caller.check_node(&self.computer)?;
        let place = (self.computer.clone(), self.partition.clone());
        let found = self.instance(app).await;
        caller.check_place((&place.0, &place.1), *found.as_ref().unwrap_or(&None))?;
        let Some(instance) = found? else { return unclaimed(app) };
        let actor = match caller.known() {
            Some(_) => caller.actor(),
            None => Actor { kind: ActorKind::Instance, id: instance.to_string().into(), credential: None },
        };
        Ok((Requester::Instance(instance), actor))
    }

    /// The instance that is in the partition. To slapos proxy nobody in a partition is the user: what is asked from a
    /// free one, or by a form from one that does not exist, is a request of the user's own.
    async fn instance(self, app: &App) -> Result<Option<InstanceId>, Problem> {
        let Self { computer, partition, header } = self;
        let found = read(app, Sequence::ZERO, |view, _| {
            let known = view.inventory.computer(computer.as_str()).ok_or_else(|| no_computer(&computer))?;
            let place =
                known.partition(partition.as_str()).ok_or_else(|| no_partition(&computer, &partition))?;
            Ok(place.occupant)
        });
        let proxy = app.mode == Mode::Proxy;
        match found.await? {
            Ok(Some(instance)) => Ok(Some(instance)),
            Ok(None) if proxy => Ok(None),
            Ok(None) => {
                Err(Problem::not_found(format!("partition {partition} of computer {computer} is free")))
            }
            Err(_) if proxy && !header => Ok(None),
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
