//! What is said of computers, and what they say of themselves.

use std::collections::BTreeSet;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use slapledger_core::domain::computer::{
    Address, AllocationScope, BangComputer, ConfigureComputer, DescribeComputer, Offer, RegisterComputer,
    RequestComputer, SetAllocationScope,
};
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{ComputerId, SoftwareRelease};
use slapledger_core::domain::software::{ReportSoftware, SoftwareState, SupplySoftware, SupplyState};
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_core::log::envelope::Actor;
use slapledger_kit::body::ReceivedRequest;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body::{self, JsonObject, Replaced};
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{self, error_text};
use slapledger_kit::text::carriable;
use slapledger_projections::SlapViews;
use slapledger_projections::inventory::Computer;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::{fresh, no_computer, read};
use slapledger_usecases::software::supply_state;

use super::ComputerResource;
use crate::access::Authorised;
use crate::rest::change::{Change, Subject};
use crate::rest::query::{self, Named};

/// The longest body that tells of a computer, in bytes: it may have thousands of partitions.
const MOST_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn named(text: &str) -> Result<ComputerId, Problem> {
    ComputerId::new(text)
        .map_err(|_| Problem::unknown(ProblemCode::ComputerUnknown, format!("there is no computer {text}")))
}

pub(super) fn find(ctx: &RequestContext, view: &SlapViews, id: &ComputerId) -> Result<Computer, Problem> {
    let known = view.inventory.computer(id.as_str()).filter(|known| ctx.caller.sees_computer(known));
    known.cloned().ok_or_else(|| no_computer(id))
}

/// `POST /v1/computers`: enters a computer. With a reference it keeps it; with a title the master names it, unless there
/// is one of this title.
pub(crate) async fn enter(Authorised(ctx): Authorised, request: Request) -> Result<Response, Problem> {
    let told = json_body::told(request, json_body::MOST_BYTES, |object| {
        let reference: Option<ComputerId> = object.parsed("reference")?;
        let title = object.optional("title", text)?;
        Ok((reference, title, object.parsed("time_zone")?.unwrap_or(TimeZone::UTC)))
    });
    let (sent, (reference, title, time_zone)) = told.await?;
    let owner = ctx.caller.party()?;
    let command = match (reference, title) {
        (Some(computer), None) => {
            carriable("reference", computer.as_str())?;
            Command::RegisterComputer(RegisterComputer { computer, owner, time_zone })
        }
        (None, Some(title)) => Command::RequestComputer(RequestComputer { owner, title, time_zone }),
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
    let response = query::tagged(&sent.headers, status, sequence, &resource);
    let place = if sent.path().starts_with("/v1/") { "/v1/computers" } else { "/computer_module" };
    Ok(query::located(response, &format!("{place}/{}", urlencoded(computer.as_str()))))
}

/// A part of a path.
fn urlencoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[expect(clippy::unnecessary_wraps, reason = "it reads a member of a body, as others do that may refuse")]
fn text(text: &str) -> Result<Box<str>, String> {
    Ok(text.into())
}

/// Carries out what is said of a computer, and shows it as it is then.
async fn change(
    ctx: &RequestContext,
    (id, actor, sent): (&ComputerId, Actor, &ReceivedRequest),
    command: impl Fn(&Computer) -> Result<Command, Problem>,
) -> Result<Response, Problem> {
    let change = Change::new(ctx, actor, sent)?;
    let show = |computer: &Computer| ComputerResource::of(ctx.keys(), computer);
    let (stream, find) = (Stream::Computer(id.clone()), |view: &SlapViews| find(ctx, view, id));
    let accepted = change.carry_out(Subject { stream, find, show, command }).await?;
    change.shown(accepted.sequence, find, show).await
}

/// `PATCH /v1/computers/{id}`: its title and attributes; what is left out stays, what is null goes.
pub(crate) async fn describe(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&id)?;
    let told = json_body::told(request, json_body::MOST_BYTES, |object| {
        Ok((object.replaced("title", text)?, object.texts_or_null("attributes")?))
    });
    let (sent, (title, attributes)) = told.await?;
    let actor = ctx.caller.actor();
    change(&ctx, (&id, actor, &sent), |computer| {
        let mut all = computer.attributes.clone();
        for (key, value) in attributes.iter().flatten() {
            match value {
                Some(value) => drop(all.insert(key.as_str().into(), value.as_str().into())),
                None => drop(all.remove(key.as_str())),
            }
        }
        let title = match &title {
            Replaced::By(title) => title.clone(),
            Replaced::Not => computer.title.clone(),
        };
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
) -> Result<Response, Problem> {
    let id = named(&id)?;
    carriable("id", id.as_str())?;
    let told = json_body::told(request, MOST_BYTES, |object| {
        let address = kept(object, "address")?.unwrap_or_default();
        let netmask = kept(object, "netmask")?.unwrap_or_default();
        Ok((
            address,
            netmask,
            object.objects("partitions")?.into_iter().map(offer).collect::<Result<_, _>>()?,
        ))
    });
    let (sent, (address, netmask, offers)) = told.await?;
    let owner_if_new = slapledger_usecases::node::owner_if_new(&ctx);
    let command = ConfigureComputer { computer: id.clone(), address, netmask, offers, owner_if_new };
    let actor = ctx.caller.actor_at(&id);
    ctx.caller.check_node(&id)?;
    let change = Change::new(&ctx, actor, &sent)?;
    let find = |view: &SlapViews| Ok(view.inventory.computer(id.as_str()).cloned());
    let show = |computer: &Option<Computer>| {
        computer.as_ref().map(|computer| ComputerResource::of(ctx.keys(), computer))
    };
    let stream = Stream::Computer(id.clone());
    let command = |_: &Option<Computer>| Ok(Command::ConfigureComputer(command.clone()));
    let accepted = change.carry_out(Subject { stream, find, show, command }).await?;
    ctx.heard(&id);
    change.shown(accepted.sequence, find, show).await
}

fn offer(mut told: JsonObject) -> Result<Offer, Problem> {
    let partition = told.required("id", |text| text.parse().map_err(rule))?;
    let addresses = told.objects("addresses")?.into_iter().map(|mut told| {
        let address = kept(&mut told, "address")?.unwrap_or_default();
        let netmask = kept(&mut told, "netmask")?.unwrap_or_default();
        told.end()?;
        Ok(Address { address, netmask })
    });
    let addresses = addresses.collect::<Result<_, Problem>>()?;
    let (tap, user) = (kept(&mut told, "interface")?, kept(&mut told, "user")?);
    let capabilities = told.texts("capabilities")?;
    told.end()?;
    Ok(Offer { partition, addresses, tap, user, capabilities })
}

fn rule(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A text that nodes get back in XML.
fn kept(object: &mut JsonObject, name: &str) -> Result<Option<Box<str>>, Problem> {
    object.optional(name, |text| {
        carriable(name, text).map_err(|problem| problem.detail)?;
        if text.len() > 255 { Err("must not be longer than 255 bytes".to_owned()) } else { Ok(text.into()) }
    })
}

/// `PUT /v1/computers/{id}/allocation-scope`: whom and what it is for.
pub(crate) async fn set_scope(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&id)?;
    let told = json_body::told(request, json_body::MOST_BYTES, |object| {
        let scope = scope(object)?;
        let software = object.texts("software")?;
        let software =
            software.iter().map(|text| text.parse().map_err(|error| Problem::field("software", rule(error))));
        Ok((scope, software.collect::<Result<BTreeSet<_>, _>>()?, object.number("capacity")?))
    });
    let (sent, (scope, software, capacity)) = told.await?;
    let actor = ctx.caller.actor();
    change(&ctx, (&id, actor, &sent), |computer| {
        let (computer, scope, software) = (computer.id.clone(), scope.clone(), software.clone());
        Ok(Command::SetAllocationScope(SetAllocationScope { computer, scope, software, capacity }))
    })
    .await
}

fn scope(object: &mut JsonObject) -> Result<AllocationScope, Problem> {
    let word = object.required("scope", text)?;
    let group = object.texts("group")?;
    let group = group.iter().map(|party| party.parse().map_err(|error| Problem::field("group", rule(error))));
    let group = group.collect::<Result<Vec<_>, _>>()?;
    let is_empty = group.is_empty();
    let scope = match &*word {
        "open" => AllocationScope::Open,
        "personal" => AllocationScope::Personal,
        "closed" => AllocationScope::Closed,
        "group" => return Ok(AllocationScope::Group(group)),
        _ => return Err(Problem::field("scope", "must be open, personal, group or closed")),
    };
    if is_empty { Ok(scope) } else { Err(Problem::field("group", "goes with scope group alone")) }
}

/// `POST /v1/computers/{id}/bang`: everything on it is to be processed again.
pub(crate) async fn bang(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&id)?;
    let message =
        |object: &mut JsonObject| object.optional("message", |text| Ok(error_text(text.as_bytes())));
    let (sent, message) = json_body::told_if_any(request, json_body::MOST_BYTES, message).await?;
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
) -> Result<Response, Problem> {
    let id = named(&id)?;
    let (sent, wanted) = json_body::told(request, json_body::MOST_BYTES, supply_wanted).await?;
    supplied(&ctx, &id, &sent, wanted).await
}

/// `POST /software_installation_module/`: the same, of a computer that the body names.
pub(crate) async fn supply_named(Authorised(ctx): Authorised, request: Request) -> Result<Response, Problem> {
    let told = json_body::told(request, json_body::MOST_BYTES, |object| {
        Ok((object.required("computer", |text| text.parse().map_err(rule))?, supply_wanted(object)?))
    });
    let (sent, (id, wanted)) = told.await?;
    supplied(&ctx, &id, &sent, wanted).await
}

fn supply_wanted(object: &mut JsonObject) -> Result<(SoftwareRelease, SupplyState), Problem> {
    let release = release(object)?;
    let state = object.required("state", |told| {
        let mut all = [SupplyState::Available, SupplyState::Destroyed].into_iter();
        let found = all.find(|state| supply_state(*state) == told);
        found.ok_or_else(|| "must be available or destroyed".to_owned())
    })?;
    Ok((release, state))
}

async fn supplied(
    ctx: &RequestContext,
    id: &ComputerId,
    sent: &ReceivedRequest,
    (release, state): (SoftwareRelease, SupplyState),
) -> Result<Response, Problem> {
    change(ctx, (id, ctx.caller.actor(), sent), |computer| {
        let (computer, release) = (computer.id.clone(), release.clone());
        Ok(Command::SupplySoftware(SupplySoftware { computer, release, state }))
    })
    .await
}

fn release(object: &mut JsonObject) -> Result<SoftwareRelease, Problem> {
    object.required("software_release", |text| {
        carriable("software_release", text).map_err(|problem| problem.detail)?;
        text.parse().map_err(rule)
    })
}

/// `POST /v1/computers/{id}/software-reports`: how far a computer is with a release.
pub(crate) async fn report_software(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = named(&id)?;
    let told = json_body::told(request, json_body::MOST_BYTES, |object| {
        let release = release(object)?;
        let state = object.required("state", |told| match told {
            "building" => Ok(SoftwareState::Building),
            "available" => Ok(SoftwareState::Available),
            "destroyed" => Ok(SoftwareState::Destroyed),
            "error" => Ok(SoftwareState::Error),
            _ => Err("must be building, available, destroyed or error".to_owned()),
        })?;
        Ok((release, state, object.error(state == SoftwareState::Error)?))
    });
    let (sent, (release, state, log)) = told.await?;
    let response = change(&ctx, (&id, ctx.caller.actor_at(&id), &sent), |computer| {
        // The key of the error before it: the same error again is nothing new.
        let known = computer.supplies().get(&release).and_then(|supply| Some(supply.error.as_ref()?.key));
        let seal = |log: &String| sealing::seal(ctx.keys(), known.map_or_else(|| fresh(&ctx), Ok)?, log);
        let error = log.as_ref().map(seal).transpose()?;
        let (computer, release) = (computer.id.clone(), release.clone());
        Ok(Command::ReportSoftware(ReportSoftware { computer, release, state, error }))
    })
    .await?;
    ctx.heard(&id);
    Ok(response)
}
