//! What is said of computers, and what they say of themselves.

use std::collections::BTreeSet;

use axum::extract::Request;
use axum::http::StatusCode;
use slapledger_core::domain::computer::{
    AllocationScope, BangComputer, ConfigureComputer, DescribeComputer, NetworkAddress, Offer,
    RegisterComputer, RequestComputer, RetireComputer, SetAllocationScope,
};
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{ComputerId, PartitionId, SoftwareRelease};
use slapledger_core::domain::instance::ReleasePartition;
use slapledger_core::domain::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_core::log::envelope::Actor;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::body::ReceivedRequest;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{self, error_text, reported_error};
use slapledger_kit::text::carriable;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_projections::inventory::InventoryComputer;
use slapledger_usecases::context::{RequestContext, to_its_end};
use slapledger_usecases::loss;
use slapledger_usecases::reading::{fresh, no_computer, read};

use super::describe::{
    Bang, ComputerDescription, Configuration, Installation, NewComputer, OfferedAddress, OfferedPartition,
    ScopeWanted, SoftwareReport, SupplyWanted,
};
use super::{ComputerResource, find, named};
use crate::access::Authorised;
use crate::rest::change::{ChangedResource, ResourceChange};
use crate::rest::openapi::schema;
use crate::rest::query::{self, Named};

/// The longest body that tells of a computer, in bytes: it may have thousands of partitions.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// `POST /v1/computers`: enters a computer. With a reference it keeps it; with a title the master names it, unless there
/// is one of this title.
pub(crate) async fn enter(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let (sent, wanted) = json_body::read::<NewComputer>(request, json_body::MOST_BYTES).await?;
    let time_zone = wanted.time_zone.map_or(TimeZone::UTC, Into::into);
    let owner = ctx.caller.party()?;
    let command = match (wanted.reference, wanted.title) {
        (Some(schema::ComputerId(computer)), None) => {
            carriable("reference", computer.as_str())?;
            Command::RegisterComputer(RegisterComputer { computer, owner, time_zone })
        }
        (None, Some(title)) => {
            Command::RequestComputer(RequestComputer { owner, title: title.into(), time_zone })
        }
        _ => return Err(Problem::field("reference", "must be given, or a title instead; not both")),
    };
    let registered = match &command {
        Command::RegisterComputer(command) => Some(command.computer.clone()),
        _ => None,
    };
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let is_new = registered.is_some() || accepted.events > 0;
    let entered = match accepted.answer {
        Answer::Computer(computer) => Some(computer),
        _ => registered,
    };
    let computer = entered.ok_or_else(|| Problem::fault(&"a computer was answered with something else"))?;
    let found = read(&ctx, accepted.sequence, |view, at| (find(&ctx, view, &computer), at)).await?;
    let (found, sequence) = (found.0?, found.1);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let resource = ComputerResource::of(ctx.keys(), &found);
    let place = if sent.path().starts_with("/v1/") { "/v1/computers" } else { "/computer_module" };
    let place = format!("{place}/{}", urlencoded(computer.as_str()));
    Ok(HttpAnswer::tagged(status, sequence, resource).located(&place))
}

/// A part of a path.
fn urlencoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Carries out what is said of a computer, and shows it as it is then.
async fn change(
    ctx: &RequestContext,
    (id, actor, sent): (&ComputerId, Actor, &ReceivedRequest),
    command: impl Fn(&InventoryComputer) -> Result<Command, Problem>,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let change = ResourceChange::new(ctx, actor, sent)?;
    let show = |computer: &InventoryComputer| ComputerResource::of(ctx.keys(), computer);
    let (stream, find) = (Stream::Computer(id.clone()), |view: &SlapViews| find(ctx, view, id));
    let accepted = change.carry_out(ChangedResource { stream, find, show, command }).await?;
    change.shown(accepted.sequence, find, show).await
}

/// `PATCH /v1/computers/{id}`: its title and attributes; what is left out stays, what is null goes.
pub(crate) async fn describe(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    let (sent, ComputerDescription { title, attributes }) =
        json_body::read(request, json_body::MOST_BYTES).await?;
    let actor = ctx.caller.actor();
    change(&ctx, (&id, actor, &sent), |computer| {
        let mut all = computer.attributes.clone();
        for (key, value) in attributes.iter().flatten() {
            match value {
                Some(value) => drop(all.insert(key.as_str().into(), value.0.clone())),
                None => drop(all.remove(key.as_str())),
            }
        }
        let title = title.clone().or(computer.title.clone());
        let computer = computer.id.clone();
        Ok(Command::DescribeComputer(DescribeComputer { computer, title, attributes: all }))
    })
    .await
}

/// `PUT /v1/computers/{id}/configuration`: what a computer says of itself; partitions that it does not name are
/// withdrawn. In a `proxy` it may bring itself.
pub(crate) async fn configure(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    carriable("id", id.as_str())?;
    let (sent, configuration) = json_body::read::<Configuration>(request, MOST_BYTES).await?;
    let address = configuration.address.map_or_else(Box::default, Into::into);
    let netmask = configuration.netmask.map_or_else(Box::default, Into::into);
    let offers = configuration.partitions.into_iter().flatten().map(offer).collect();
    let owner_if_new = slapledger_usecases::node::owner_if_new(&ctx);
    let command = ConfigureComputer { computer: id.clone(), address, netmask, offers, owner_if_new };
    let actor = ctx.caller.actor_at(&id);
    ctx.caller.check_node(&id)?;
    let change = ResourceChange::new(&ctx, actor, &sent)?;
    let find = |view: &SlapViews| Ok(view.inventory.computer(id.as_str()).cloned());
    let show = |computer: &Option<InventoryComputer>| {
        computer.as_ref().map(|computer| ComputerResource::of(ctx.keys(), computer))
    };
    let stream = Stream::Computer(id.clone());
    let command = |_: &Option<InventoryComputer>| Ok(Command::ConfigureComputer(command.clone()));
    let accepted = change.carry_out(ChangedResource { stream, find, show, command }).await?;
    ctx.heard(&id);
    let find =
        |view: &SlapViews| view.inventory.computer(id.as_str()).cloned().ok_or_else(|| no_computer(&id));
    change
        .shown(accepted.sequence, find, |known: &InventoryComputer| ComputerResource::of(ctx.keys(), known))
        .await
}

fn offer(offered: OfferedPartition) -> Offer {
    let OfferedPartition { id, addresses, interface, user, capabilities } = offered;
    let text = |text: Option<schema::NodeText>| text.map_or_else(Box::default, Into::into);
    let address = |offered: OfferedAddress| NetworkAddress {
        address: text(offered.address),
        netmask: text(offered.netmask),
        interface: offered.interface.map(Into::into),
        gateway: text(offered.gateway),
        network: text(offered.network),
    };
    Offer {
        partition: id.into(),
        addresses: addresses.into_iter().flatten().map(address).collect(),
        tap: interface.map(Into::into),
        user: user.map(Into::into),
        capabilities: capabilities.unwrap_or_default(),
    }
}

/// `PUT /v1/computers/{id}/allocation-scope`: whom and what it is for.
pub(crate) async fn set_scope(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    let (sent, wanted) = json_body::read::<ScopeWanted>(request, json_body::MOST_BYTES).await?;
    let scope = scope(wanted.scope, wanted.group.map(|group| group.0).unwrap_or_default())?;
    let software = wanted.software.into_iter().flat_map(|software| software.0);
    let software: BTreeSet<SoftwareRelease> = software.map(Into::into).collect();
    let capacity = wanted.capacity;
    let actor = ctx.caller.actor();
    change(&ctx, (&id, actor, &sent), |computer| {
        let (computer, scope, software) = (computer.id.clone(), scope.clone(), software.clone());
        Ok(Command::SetAllocationScope(SetAllocationScope { computer, scope, software, capacity }))
    })
    .await
}

/// What a scope is, with the group that goes with it.
fn scope(scope: schema::ScopeName, group: Vec<schema::PartyId>) -> Result<AllocationScope, Problem> {
    let is_empty = group.is_empty();
    let scope = match scope {
        schema::ScopeName::Open => AllocationScope::Open,
        schema::ScopeName::Personal => AllocationScope::Personal,
        schema::ScopeName::Closed => AllocationScope::Closed,
        schema::ScopeName::Group => {
            return Ok(AllocationScope::Group(group.into_iter().map(Into::into).collect()));
        }
    };
    if is_empty { Ok(scope) } else { Err(Problem::field("group", "goes with scope group alone")) }
}

/// `POST /v1/computers/{id}/bang`: everything on it is to be processed again.
pub(crate) async fn bang(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    let (sent, Bang { message }) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let message = message.map(|text| error_text(text.as_bytes()));
    change(&ctx, (&id, ctx.caller.actor_at(&id), &sent), |computer| {
        let message = message.as_ref().map(|text| sealing::seal(ctx.keys(), fresh(&ctx)?, text));
        let (computer, message) = (computer.id.clone(), message.transpose()?);
        Ok(Command::BangComputer(BangComputer { computer, message }))
    })
    .await
}

/// `POST /v1/computers/{id}/software`: a release is to be there, or to go.
pub(crate) async fn supply(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    let (sent, wanted) = json_body::read::<SupplyWanted>(request, json_body::MOST_BYTES).await?;
    supplied(&ctx, &id, &sent, (wanted.software_release.into(), wanted.state.into())).await
}

/// `POST /software_installation_module/`: the same, of a computer that the body names.
pub(crate) async fn supply_named(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let (sent, wanted) = json_body::read::<Installation>(request, json_body::MOST_BYTES).await?;
    let supply = (wanted.software_release.into(), wanted.state.into());
    supplied(&ctx, &wanted.computer.0, &sent, supply).await
}

async fn supplied(
    ctx: &RequestContext,
    id: &ComputerId,
    sent: &ReceivedRequest,
    (release, state): (SoftwareRelease, SupplyState),
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    change(ctx, (id, ctx.caller.actor(), sent), |computer| {
        let (computer, release) = (computer.id.clone(), release.clone());
        Ok(Command::SupplySoftware(SupplySoftware { computer, release, state }))
    })
    .await
}

/// `POST /v1/computers/{id}/software-reports`: how far a computer is with a release.
pub(crate) async fn report_software(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    let (sent, report) = json_body::read::<SoftwareReport>(request, json_body::MOST_BYTES).await?;
    let release = SoftwareRelease::from(report.software_release);
    let state = SoftwareState::from(report.state);
    let log = reported_error(report.error.as_deref(), state == SoftwareState::Error)?;
    let answer = change(&ctx, (&id, ctx.caller.actor_at(&id), &sent), |computer| {
        // The key of the error before it: the same error again is nothing new.
        let known = computer.supplies().get(&release).and_then(|supply| Some(supply.error.as_ref()?.key));
        let seal = |log: &String| sealing::seal(ctx.keys(), known.map_or_else(|| fresh(&ctx), Ok)?, log);
        let error = log.as_ref().map(seal).transpose()?;
        let (computer, release) = (computer.id.clone(), release.clone());
        Ok(Command::ReportSoftware(ReportSoftware { computer, release, state, error }))
    })
    .await?;
    ctx.heard(&id);
    Ok(answer)
}

/// `DELETE /v1/computers/{id}`: it is gone for good, and what is on it moves or ends.
pub(crate) async fn retire(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let retiring = async move {
        let change = ResourceChange::new(&ctx, ctx.caller.actor(), &sent)?;
        let show = |computer: &InventoryComputer| ComputerResource::of(ctx.keys(), computer);
        let (stream, find) = (Stream::Computer(id.clone()), |view: &SlapViews| find(&ctx, view, &id));
        let command = |computer: &InventoryComputer| {
            let (computer, again) = (computer.id.clone(), Vec::new());
            Ok(Command::RetireComputer(RetireComputer { computer, again }))
        };
        change.carry_out(ChangedResource { stream, find, show, command }).await?;
        loss::finish_retirement(&ctx, &id).await?;
        change.shown(ctx.ledger().head().last, find, show).await
    };
    to_its_end(retiring).await
}

/// `DELETE /v1/computers/{id}/partitions/{partition}`: the instance in a partition that left the configuration of its
/// computer moves or ends.
pub(crate) async fn release(
    Authorised(ctx): Authorised,
    Named((id, partition)): Named<(String, String)>,
    request: Request,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let id = named(&id)?;
    let partition: PartitionId = partition.parse().map_err(|_| {
        let detail = format!("computer {id} has no partition {partition}");
        Problem::unknown(ProblemCode::PartitionUnknown, detail)
    })?;
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let releasing = async move {
        let change = ResourceChange::new(&ctx, ctx.caller.actor(), &sent)?;
        let stream = Stream::Computer(id.clone());
        let find = |view: &SlapViews| {
            Ok((find(&ctx, view, &id)?, loss::wanted_on(&ctx, view, &id, Some(&partition))))
        };
        let show = |(computer, _): &(InventoryComputer, Vec<InstanceView>)| {
            ComputerResource::of(ctx.keys(), computer)
        };
        let command = |(computer, wanted): &(InventoryComputer, Vec<InstanceView>)| {
            let (computer, partition) = (computer.id.clone(), partition.clone());
            let again = loss::requested_again(&ctx, wanted)?;
            Ok(Command::ReleasePartition(ReleasePartition { computer, partition, again }))
        };
        let accepted = change.carry_out(ChangedResource { stream, find, show, command }).await?;
        change.shown(accepted.sequence, find, show).await
    };
    to_its_end(releasing).await
}
