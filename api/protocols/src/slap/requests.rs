//! `requestComputerPartition`: a user, or an instance from inside its partition, asks for an instance.
//!
//! An instance says who it is by the `Authorization` header of its partition, as slapos.core sends it, or by the form.
//! It is a claim and no proof: in a master it has to fit the certificate it comes with; to a proxy everybody may make it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::SoftwareType;
use slapledger_core::domain::instance::RequestedState;
use slapledger_dto::documents::RequestDocument;
use slapledger_kit::problem::Problem;
use slapledger_kit::text::id;
use slapledger_slap_wire::marshal::Value;
use slapledger_slap_wire::{documents, instance_xml};
use slapledger_usecases::answers::PlacedInstance;
use slapledger_usecases::claim::{self, PartitionClaim};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::frontend::Frontend;
use slapledger_usecases::reading::read;
use slapledger_usecases::requesting::{self, WantedInstance, parse_state, without_room};

use super::form::{Fields, PostedForm};
use super::reply::{SlapReply, document, not_ready};
use crate::access::{Authorised, Gateway, claimed};
use crate::multimaster::{ForwardedAnswer, ForwardedRequest};

/// The field of the parameters.
const PARAMETERS: &str = "partition_parameter_xml";
/// What the client sends for a type of software that nobody named.
const NOT_NAMED: [&str; 2] = ["", "None"];

/// `POST requestComputerPartition`.
pub(super) async fn request(
    State(gateway): State<Arc<Gateway>>,
    Authorised(ctx): Authorised,
    request: Request,
) -> SlapReply {
    let form = PostedForm::read(request, ctx.parameter_body()).await?;
    let fields = &form.fields;
    let software_type =
        fields.optional("software_type")?.filter(|text| !NOT_NAMED.contains(text)).unwrap_or("default");
    let claim = claim_of(&form)?;
    let partition = claim.as_ref().map(|claim| claim.partition.to_string());
    let (requester, actor) = claim::requester(&ctx, claim).await?;
    let shared = fields.marshalled("shared_xml")?.is_some_and(|shared| shared.is_true());
    let parameters = fields.marshalled(PARAMETERS)?;
    // slapos proxy keeps the types of what the host of a shared instance is told, and of nothing else.
    let typed = parameters.as_ref().filter(|_| shared && ctx.mode() != Mode::Serve);
    let typed = typed.map(instance_xml::typed).transpose();
    let wanted = WantedInstance {
        requester,
        release: fields.id("software_release")?,
        software_type: Some(id::<SoftwareType>("software_type", software_type)?),
        reference: fields.id("partition_reference")?,
        instance_type: None,
        parameters: (PARAMETERS, Some(texts(parameters.as_ref(), PARAMETERS)?)),
        typed: typed.map_err(|error| Problem::field(PARAMETERS, error.to_string()))?.unwrap_or_default(),
        filter: boxed(texts(fields.marshalled("filter_xml")?.as_ref(), "filter_xml")?),
        state: state(fields)?,
        shared,
        without_room: without_room(ctx.mode()),
    };
    if let Some(master) = gateway.masters.of(&ctx, form.headers(), &wanted).await? {
        let parameters = parameters.unwrap_or(Value::Dict(Vec::new()));
        let forwarded = ForwardedRequest { wanted: &wanted, software_type, parameters, partition };
        return match master.forward(forwarded).await? {
            ForwardedAnswer::Allocated(object) => {
                document(documents::forwarded(*object, &master.url, wanted.release.as_str()))
            }
            ForwardedAnswer::NotReady => Ok(not_ready()),
        };
    }
    if ctx.mode() == Mode::Proxy
        && wanted.shared
        && let Some(parameters) = &wanted.parameters.1
        && let Some(frontend) = Frontend::of(wanted.release.as_str(), software_type, parameters)
    {
        return document(documents::request(&made_up(frontend, wanted.release.as_str(), software_type)));
    }
    let meta = Arc::new(ctx.meta(actor, form.digest(ctx.keys())));
    let Some(done) = requesting::request(&ctx, meta, &wanted).await? else {
        return nothing_to_destroy(&ctx, wanted, software_type);
    };
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
fn texts(value: Option<&Value>, name: &'static str) -> Result<BTreeMap<String, String>, Problem> {
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    instance_xml::parameters(value).map_err(|error| Problem::field(name, error.to_string()))
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

/// The answer to a request to destroy what is not there. A parent that keeps an optional child destroyed sends it at each
/// run, and must not fail by it: the master says that there is no instance yet, slapos proxy shows one that is destroyed
/// (and takes a partition for it, which we do not).
fn nothing_to_destroy(ctx: &RequestContext, wanted: WantedInstance, software_type: &str) -> SlapReply {
    if ctx.mode() == Mode::Serve {
        return Ok(not_ready());
    }
    document(documents::request(&RequestDocument {
        instance_guid: Some(String::new()),
        requested_state: Some(RequestedState::Destroyed.as_str().to_owned()),
        is_shared: wanted.shared,
        software_release: wanted.release.to_string(),
        software_type: software_type.to_owned(),
        parameters: wanted.parameters.1.unwrap_or_default(),
        ..RequestDocument::default()
    }))
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
