//! `requestComputerPartition`: a user, or an instance from inside its partition, asks for an instance.
//!
//! An instance says who it is by the `Authorization` header of its partition, as slapos.core sends it, or by the form.
//! It is a claim and no proof: in a master it has to fit the certificate it comes with; to a proxy everybody may make it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::Request;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::SoftwareType;
use slapledger_core::domain::instance::RequestedState;
use slapledger_dto::documents::RequestDocument;
use slapledger_kit::problem::Problem;
use slapledger_kit::text::{SMALL, id};
use slapledger_slap_wire::marshal::Value;
use slapledger_slap_wire::{documents, instance_xml};
use slapledger_usecases::answers::PlacedInstance;
use slapledger_usecases::claim::{self, PartitionClaim};
use slapledger_usecases::frontend::Frontend;
use slapledger_usecases::reading::read;
use slapledger_usecases::requesting::{self, WantedInstance, parse_state, without_room};

use super::form::{Fields, PostedForm};
use super::reply::{Reply, document, not_ready};
use crate::access::{Authorised, claimed};

/// What the client sends for a type of software that nobody named.
const NOT_NAMED: [&str; 2] = ["", "None"];

/// `POST requestComputerPartition`.
pub(super) async fn request(Authorised(ctx): Authorised, request: Request) -> Reply {
    let form = PostedForm::read(request, SMALL).await?;
    let fields = &form.fields;
    let software_type =
        fields.optional("software_type")?.filter(|text| !NOT_NAMED.contains(text)).unwrap_or("default");
    let (requester, actor) = claim::requester(&ctx, claim_of(&form)?).await?;
    let wanted = WantedInstance {
        requester,
        release: fields.id("software_release")?,
        software_type: Some(id::<SoftwareType>("software_type", software_type)?),
        reference: fields.id("partition_reference")?,
        instance_type: None,
        parameters: ("partition_parameter_xml", Some(texts(fields, "partition_parameter_xml")?)),
        filter: boxed(texts(fields, "filter_xml")?),
        state: state(fields)?,
        shared: fields.marshalled("shared_xml")?.is_some_and(|shared| shared.is_true()),
        without_room: without_room(ctx.mode()),
    };
    if ctx.mode() == Mode::Proxy
        && wanted.shared
        && let Some(parameters) = &wanted.parameters.1
        && let Some(frontend) = Frontend::of(wanted.release.as_str(), software_type, parameters)
    {
        return document(documents::request(&made_up(frontend, wanted.release.as_str(), software_type)));
    }
    let meta = Arc::new(ctx.meta(actor, form.digest(ctx.keys())));
    let done = requesting::request(&ctx, meta, &wanted).await?;
    if !done.allocated {
        return Ok(not_ready());
    }
    let placed =
        read(&ctx, done.sequence, |view, _| PlacedInstance::find(ctx.mode(), view, done.instance)).await?;
    match placed.and_then(|placed| placed.request_document(ctx.keys())) {
        Some(answer) => document(documents::request(&answer)),
        // Its node has said meanwhile that it is gone.
        None => Err(Problem::not_found(format!("there is no instance {} any more", wanted.reference)).into()),
    }
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

/// Which partition a request says it comes from. The header goes before the form, as in slapos proxy.
fn claim_of(form: &PostedForm) -> Result<Option<PartitionClaim>, Problem> {
    let fields = &form.fields;
    if let Some(claim) = claimed(form.headers())? {
        return Ok(Some(claim));
    }
    if fields.optional("computer_id")?.is_none() && fields.optional("computer_partition_id")?.is_none() {
        return Ok(None);
    }
    let (computer, partition) = (fields.id("computer_id")?, fields.id("computer_partition_id")?);
    Ok(Some(PartitionClaim { computer, partition, by_header: false }))
}

/// The answer to the request for a front-end that slapos proxy makes up.
fn made_up(frontend: Frontend, release: &str, software_type: &str) -> RequestDocument {
    RequestDocument {
        is_shared: true,
        software_release: release.to_owned(),
        software_type: software_type.to_owned(),
        connection: frontend.connection,
        ..RequestDocument::default()
    }
}
