//! Calls about instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, KeyId, PartitionId, Reference, Sequence, SoftwareType};
use slapledger_core::domain::instance::{
    BangInstance, InstancePlace, RenameInstance, ReportInstance, ReportedState, RequestedState, Requester,
    SetConnectionParameters,
};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{error_text, open_parameters, seal, seal_parameters};
use slapledger_kit::text::id;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_slap_wire::instance_xml;
use slapledger_slap_wire::marshal::{self, Object};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::frontend::Frontend;
use slapledger_usecases::reading::{ATTEMPTS, is_retry, read, submit_as};
use slapledger_usecases::requesting::{self, WantedInstance, parse_state, without_room};
use slapledger_usecases::{certification, claim, partition};

use super::call::{Call, CallResult, success};
use super::document::{AnswerTo, SeenInstance, parameters};
use super::guid::{self, Guid};
use super::proxy::{ignored_at_proxy, not_registered};
use crate::access::claimed;
use crate::multimaster::{ForwardedAnswer, ForwardedRequest};

/// `slapos.post.v0.software_instance`: `request()`.
pub(super) async fn request(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let software_type = match call.text("software_type")? {
        "" => "default",
        told => told,
    };
    let claim = claimed(&call.headers)?;
    let partition = claim.as_ref().map(|claim| claim.partition.to_string());
    let (requester, actor) = claim::requester(&ctx, claim).await?;
    let filter = call.texts("sla_parameters");
    let wanted = WantedInstance {
        requester,
        reference: call.id::<Reference>("title")?,
        release: call.id("software_release_uri")?,
        software_type: Some(id::<SoftwareType>("software_type", software_type)?),
        instance_type: None,
        parameters: ("parameters", Some(call.texts("parameters"))),
        typed: if call.flag("shared") && ctx.mode() != Mode::Serve {
            call.typed("parameters")?
        } else {
            BTreeMap::new()
        },
        filter: filter.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
        state: call.optional("state").map_or(Some(RequestedState::Started), parse_state),
        shared: call.flag("shared"),
        without_room: without_room(ctx.mode()),
    };
    if let Some(master) = call.gateway.masters.of(&ctx, &call.headers, &wanted).await? {
        let parameters = call.python("parameters");
        let forwarded = ForwardedRequest { wanted: &wanted, software_type, parameters, partition };
        return match master.forward(forwarded).await? {
            ForwardedAnswer::Allocated(object) => elsewhere(&ctx, &wanted, software_type, &object).await,
            ForwardedAnswer::NotReady => Ok(not_ready(wanted.reference.as_str())),
        };
    }
    if let Some(document) = made_up(&ctx, &wanted, software_type).await? {
        return Ok(document);
    }
    let meta = Arc::new(ctx.meta(actor, call.digest));
    let asked = requesting::request(&ctx, meta, &wanted).await;
    let Some(done) = asked.map_err(|problem| no_room(problem, &wanted))? else {
        // As with a form: a parent keeps asking for it, and must not fail.
        return Ok(match ctx.mode() {
            Mode::Serve => not_ready(wanted.reference.as_str()),
            Mode::Proxy | Mode::Demo => {
                let root = root_title(&ctx, wanted.requester).await?;
                placeless(&wanted, software_type, root.as_deref(), ("", "", &BTreeMap::new()))
            }
        });
    };
    if !done.allocated {
        return Ok(not_ready(wanted.reference.as_str()));
    }
    let seen = read(&ctx, done.sequence, |view, _| {
        SeenInstance::of(ctx.mode(), view, view.instances.get(done.instance)?)
    });
    let gone = || Problem::not_found(format!("there is no instance {} any more", wanted.reference));
    Ok(seen.await?.ok_or_else(gone)?.document(ctx.keys(), AnswerTo::Requested))
}

/// As slapos proxy says it.
fn no_room(problem: Problem, wanted: &WantedInstance) -> Problem {
    let reference = &wanted.reference;
    match (problem.code, wanted.shared) {
        (ProblemCode::NoFreePartition, false) => {
            Problem::not_found(format!("No free computer partition found for: {reference}"))
        }
        (ProblemCode::NoFreePartition, true) => {
            Problem::not_found(format!("No partition corresponding to slave request: {reference}"))
        }
        _ => problem,
    }
}

/// It exists, and has no partition yet.
fn not_ready(title: &str) -> Value {
    let message = format!("instance {title} has no partition yet");
    json!({"status": 102, "name": "SoftwareInstanceNotReady", "message": message})
}

/// A front-end that slapos proxy makes up.
async fn made_up(
    ctx: &RequestContext,
    wanted: &WantedInstance,
    software_type: &str,
) -> Result<Option<Value>, Problem> {
    let told = wanted.parameters.1.as_ref().filter(|_| ctx.mode() == Mode::Proxy && wanted.shared);
    let release = wanted.release.as_str();
    let Some(found) = told.and_then(|told| Frontend::of(release, software_type, told)) else {
        return Ok(None);
    };
    let root = root_title(ctx, wanted.requester).await?;
    let title = wanted.reference.as_str();
    let guid = format!("{title}___{}___1", root.as_deref().unwrap_or_default());
    Ok(Some(placeless(wanted, software_type, root.as_deref(), (&guid, &found.title, &found.connection))))
}

/// What another master answered, as slapos proxy shows it.
async fn elsewhere(
    ctx: &RequestContext,
    wanted: &WantedInstance,
    software_type: &str,
    object: &Object,
) -> CallResult {
    let root = root_title(ctx, wanted.requester).await?;
    let title = wanted.reference.as_str();
    let text = |name: &str| object.get(name).and_then(marshal::Value::as_str).unwrap_or_default().to_owned();
    let connection = object.get("_connection_dict").map(instance_xml::parameters);
    let connection = connection.and_then(Result::ok).unwrap_or_default();
    let guid = format!("{title}___{}___{}", root.as_deref().unwrap_or_default(), u8::from(wanted.shared));
    let place = text("slap_computer_partition_id");
    let mut document = placeless(wanted, software_type, root.as_deref(), (&guid, &place, &connection));
    document["computer_guid"] = text("slap_computer_id").into();
    Ok(document)
}

/// The title of the root of the tree that somebody requests for, if it is not a new one.
async fn root_title(ctx: &RequestContext, requester: Requester) -> Result<Option<String>, Problem> {
    let Requester::Instance(parent) = requester else { return Ok(None) };
    let title = |view: &SlapViews, _| {
        let root = view.instances.get(view.instances.get(parent)?.root)?;
        Some(root.reference.to_string())
    };
    read(ctx, Sequence::ZERO, title).await
}

/// The document of what is in no partition.
fn placeless(
    wanted: &WantedInstance,
    software_type: &str,
    root: Option<&str>,
    (guid, place, connection): (&str, &str, &BTreeMap<String, String>),
) -> Value {
    let title = wanted.reference.as_str();
    json!({
        "title": title,
        "instance_guid": guid,
        "software_release_uri": wanted.release.as_str(),
        "software_type": software_type,
        "state": wanted.state.unwrap_or(RequestedState::Started).as_str(),
        "connection_parameters": connection,
        "parameters": parameters(wanted.parameters.1.clone().unwrap_or_default()),
        "shared": wanted.shared,
        "root_instance_title": root.unwrap_or(title),
        "ip_list": [],
        "full_ip_list": [],
        "sla_parameters": {},
        "computer_guid": "",
        "compute_partition_id": place,
        "processing_timestamp": 0,
        "access_status_message": "",
    })
}

/// `slapos.get.v0.software_instance`.
pub(super) async fn show(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let guid = call.text("instance_guid")?;
    let seen =
        guid::look(&ctx, Sequence::ZERO, guid, |view, instance| SeenInstance::of(ctx.mode(), view, instance));
    let waits = || Problem::not_found(format!("instance {guid} has no partition yet"));
    Ok(seen.await?.ok_or_else(waits)?.document(ctx.keys(), AnswerTo::Asked))
}

/// `slapos.get.v0.compute_partition`: the instance in a partition.
pub(super) async fn in_partition(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let computer: ComputerId = call.id("computer_guid")?;
    let partition: PartitionId = call.id("compute_partition_id")?;
    let seen = read(&ctx, Sequence::ZERO, |view, _| {
        let occupant = view.instances.occupant(computer.as_str(), partition.as_str());
        SeenInstance::of(ctx.mode(), view, occupant.filter(|instance| ctx.caller.opens_instance(instance))?)
    });
    let free = || Problem::not_found(format!("No instance on partition {partition} found."));
    Ok(seen.await?.ok_or_else(free)?.document(ctx.keys(), AnswerTo::Asked))
}

/// `slapos.get.v0.instance_tree`: the root of a tree of the user's, by its title.
pub(super) async fn tree(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let title = call.text("title")?;
    let user = Requester::Party(ctx.caller.party()?);
    let find = |view: &SlapViews, _| {
        let mut found =
            [false, true].into_iter().filter_map(|shared| view.instances.find(user, shared, title));
        let found = found.find(|known| ctx.caller.opens_instance(known))?;
        Some(SeenInstance::of(ctx.mode(), view, found))
    };
    let found = read(&ctx, Sequence::ZERO, find).await?;
    let unknown = || Problem::not_found(format!("No instance tree {title} found."));
    Ok(match found.ok_or_else(unknown)? {
        Some(seen) => seen.document(ctx.keys(), AnswerTo::Asked),
        None => not_ready(title),
    })
}

/// `slapos.allDocs.v0.instance_tree_list`: the roots of all trees of the user's.
pub(super) async fn trees(ctx: Arc<RequestContext>, _: Call) -> CallResult {
    let user = ctx.caller.party()?;
    let titles = read(&ctx, Sequence::ZERO, |view, _| {
        let is_root = |known: &&InstanceView| known.lives() && known.root == known.id;
        let theirs = |known: &&InstanceView| ctx.caller.opens_instance(known);
        let roots = || view.instances.of_owner(user).filter(is_root).filter(theirs);
        let own = roots().filter(|known| !known.shared);
        let all = own.chain(roots().filter(|known| known.shared));
        all.map(|root| json!({"title": root.reference.as_str()})).collect::<Vec<_>>()
    });
    Ok(json!({"result_list": titles.await?}))
}

/// `slapos.allDocs.v0.compute_node_instance_list`: the instances in the partitions of a computer.
pub(super) async fn on_computer(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let computer: ComputerId = call.id("computer_guid")?;
    ctx.caller.check_node(&computer)?;
    let list = read(&ctx, Sequence::ZERO, |view, _| {
        let known = view.inventory.computer(computer.as_str())?;
        // To an instance there is the computer it is on, and no other.
        let mut own = ctx.caller.instance().into_iter();
        if !own.all(|own| view.inventory.place(own).is_some_and(|(on, _)| *on == computer)) {
            return None;
        }
        let occupied = known.partitions().iter().filter_map(|partition| {
            let instance = view.instances.get(partition.occupant?)?;
            ctx.caller.opens_instance(instance).then_some((&partition.offer.partition, instance))
        });
        let item = |(partition, instance): (&PartitionId, &InstanceView)| {
            json!({
                "title": instance.reference.as_str(),
                "instance_guid": guid::of(ctx.mode(), view, instance),
                "state": instance.requested.as_str(),
                "compute_partition_id": partition.as_str(),
                "software_release_uri": instance.release.as_str(),
            })
        };
        Some(occupied.map(item).collect::<Vec<_>>())
    });
    let list = list.await?.ok_or_else(|| not_registered(&computer))?;
    Ok(json!({"result_list": list}))
}

/// `slapos.allDocs.v0.instance_node_instance_list`: the shared instances on an instance.
pub(super) async fn shares(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let guid = call.text("instance_guid")?;
    let list = guid::look(&ctx, Sequence::ZERO, guid, |view, host| {
        // A host is told of all of them; anyone who owns it, of their own.
        let shares =
            view.instances.shares(host.id).filter(|shared| ctx.caller.opens_instance(shared)).cloned();
        let shares = shares.map(|shared| (guid::of(ctx.mode(), view, &shared), shared)).collect::<Vec<_>>();
        (!host.shared).then_some(shares)
    });
    let shared = || Problem::not_found(format!("No software instance {guid} found."));
    let item = |(guid, instance): (String, InstanceView)| {
        json!({
            "title": instance.reference.as_str(),
            "instance_guid": guid,
            "software_type": instance.software_type.as_str(),
            "state": instance.requested.as_str(),
            "parameters": parameters(open_parameters(ctx.keys(), &instance.parameters)),
            "compute_partition_id": instance.allocation.map(|place| place.partition.to_string()),
        })
    };
    let list = list.await?.ok_or_else(shared)?;
    Ok(json!({"result_list": list.into_iter().map(item).collect::<Vec<_>>()}))
}

/// `slapos.put.v0.software_instance_reported_state`.
pub(super) async fn report(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let guid = call.text("instance_guid")?;
    let state = match call.text("reported_state")? {
        "started" => ReportedState::Started,
        "stopped" => ReportedState::Stopped,
        _ => return end(&ctx, &call, guid).await,
    };
    let report = |place, _| Ok(Command::ReportInstance(ReportInstance { place, state, error: None }));
    ignored_at_proxy(&ctx, speak(&ctx, &call, guid, report).await.map(|()| success("Reported")))
}

async fn end(ctx: &RequestContext, call: &Call, text: &str) -> CallResult {
    if ctx.mode() == Mode::Proxy && Guid::read(ctx.mode(), text)?.is_shared() {
        // It lives on another, and goes when it is asked away.
        return Ok(success("Ignored"));
    }
    let (place, _) = guid::look(ctx, Sequence::ZERO, text, |_, known| spoken_for(ctx, known)).await??;
    match partition::end(ctx, call.digest, place).await? {
        None => Ok(success("Destroyed")),
        Some(left) => Err(Problem::not_found(partition::not_yet(&left))),
    }
}

/// `slapos.put.v0.software_instance_error`.
pub(super) async fn error(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let log = error_text(call.text("message")?.as_bytes());
    let report = |place, key| {
        let error = Some(seal(ctx.keys(), key, &log)?);
        Ok(Command::ReportInstance(ReportInstance { place, state: ReportedState::Error, error }))
    };
    let spoken = speak(&ctx, &call, call.text("instance_guid")?, report).await;
    ignored_at_proxy(&ctx, spoken.map(|()| success("Reported")))
}

/// `slapos.put.v0.software_instance_connection_parameter`.
pub(super) async fn connect(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    const FIELD: &str = "connection_parameter_dict";
    let parameters = call.texts(FIELD);
    let connect = |place, key| {
        let connection = seal_parameters(ctx.parameter_keys(), key, FIELD, &parameters)?;
        Ok(Command::SetConnectionParameters(SetConnectionParameters { place, connection }))
    };
    speak(&ctx, &call, call.text("instance_guid")?, connect).await?;
    Ok(success("Updated"))
}

/// `slapos.put.v0.software_instance_bang`.
pub(super) async fn bang(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let guid = not_shared_at_proxy(&ctx, &call)?;
    let message = error_text(call.text("message")?.as_bytes());
    let bang = |place, key| {
        let message = Some(seal(ctx.keys(), key, &message)?);
        Ok(Command::BangInstance(BangInstance { place, message }))
    };
    speak(&ctx, &call, guid, bang).await?;
    Ok(success("Bang handled"))
}

/// `slapos.put.v0.software_instance_title`.
pub(super) async fn rename(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let guid = not_shared_at_proxy(&ctx, &call)?;
    let reference: Reference = call.id("title")?;
    let rename =
        |place, _| Ok(Command::RenameInstance(RenameInstance { place, reference: reference.clone() }));
    speak(&ctx, &call, guid, rename).await?;
    Ok(success("Renamed"))
}

/// slapos proxy does this with none that is shared.
fn not_shared_at_proxy<'a>(ctx: &RequestContext, call: &'a Call) -> Result<&'a str, Problem> {
    let text = call.text("instance_guid")?;
    let shared = ctx.mode() == Mode::Proxy && Guid::read(ctx.mode(), text)?.is_shared();
    if shared { Err(Problem::not_found("NotImplemented")) } else { Ok(text) }
}

/// `slapos.get.v0.software_instance_certificate`. slapos proxy gives an empty one.
pub(super) async fn certificate(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    if ctx.mode() == Mode::Proxy {
        return Ok(json!({"key": "", "certificate": ""}));
    }
    let guid = call.text("instance_guid")?;
    let speaks = |_: &SlapViews, instance: &InstanceView| {
        ctx.caller.speaks_for(instance).then_some(instance.id).ok_or_else(|| no_instance(guid))
    };
    let instance = guid::look(&ctx, Sequence::ZERO, guid, speaks).await??;
    let pair = certification::certify_instance(&ctx, instance).await?;
    Ok(json!({"key": *pair.key, "certificate": pair.certificate}))
}

fn no_instance(guid: &str) -> Problem {
    Problem::not_found(format!("No software instance {guid} found."))
}

/// Where an instance is, and the key its values are sealed under, if it is spoken for by its node or itself.
fn spoken_for(ctx: &RequestContext, instance: &InstanceView) -> Result<(InstancePlace, KeyId), Problem> {
    if !ctx.caller.speaks_for(instance) {
        return Err(no_instance(&instance.id.to_string()));
    }
    let waits = || Problem::not_found(format!("instance {} has no partition yet", instance.reference));
    let place = instance.allocation.as_ref().ok_or_else(waits)?;
    let shared = instance.shared.then_some(instance.id);
    let (computer, partition) = (place.computer.clone(), place.partition.clone());
    Ok((InstancePlace { computer, partition, shared }, instance.key()))
}

/// Carries out what the node of an instance says, with values sealed under the key of the instance; under another one's
/// if it has changed meanwhile.
async fn speak(
    ctx: &RequestContext,
    call: &Call,
    guid: &str,
    command: impl Fn(InstancePlace, KeyId) -> Result<Command, Problem>,
) -> Result<(), Problem> {
    for _ in 0..ATTEMPTS {
        let (place, key) = guid::look(ctx, Sequence::ZERO, guid, |_, known| spoken_for(ctx, known)).await??;
        let node = place.computer.clone();
        match submit_as(ctx, call.digest, &node, command(place, key)?).await {
            Ok(_) => return Ok(()),
            Err(error) if is_retry(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let detail = format!("instance {guid} comes and goes; say it again");
    Err(Problem::later(ProblemCode::ModifiedConcurrently, detail, 1))
}
