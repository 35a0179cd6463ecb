//! What a computer says of itself, what it fetches, and the usage it reports.

use std::sync::Arc;

use axum::extract::Request;
use slapledger_core::domain::computer::{
    BangComputer, ConfigureComputer, NetworkAddress, Offer, RequestComputer,
};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, Sequence};
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{error_text, seal};
use slapledger_kit::text::{LARGE, SMALL, id};
use slapledger_projections::SlapViews;
use slapledger_slap_wire::computer_config::{self, ComputerConfig, PartitionConfig};
use slapledger_slap_wire::{documents, usage_report};
use slapledger_usecases::answers::SeenComputer;
use slapledger_usecases::caller::forbidden;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::node::{owner_if_new, record_usage};
use slapledger_usecases::reading::{fresh, no_computer, read};

use super::form::{Fields, PostedForm};
use super::reply::{SlapReply, document, text, written, xml};
use super::submit;
use crate::access::Authorised;

/// `GET getFullComputerInformation`, and `getComputerInformation`, which clients ask when the other one is 404.
pub(super) async fn computer(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let id: ComputerId = Fields::of_query(&request).id("computer_id")?;
    ctx.caller.check_node(&id)?;
    if let Some(instance) = ctx.caller.instance() {
        return of_instance(&ctx, &id, instance).await;
    }
    let find =
        |view: &SlapViews| SeenComputer::find(ctx.mode(), view, id.as_str()).ok_or_else(|| no_computer(&id));
    let write = |seen: SeenComputer| written(documents::computer(&seen.document(ctx.keys())));
    let text = ctx
        .engine
        .documents
        .computers
        .text((ctx.slap(), ctx.project, ctx.ledger().head().last), &id, |_| Ok(()), find, write)
        .await?;
    ctx.heard(&id);
    Ok(xml(text))
}

/// What an instance is shown of its computer: its own partition, and no other.
async fn of_instance(ctx: &RequestContext, id: &ComputerId, instance: InstanceId) -> SlapReply {
    let find = |view: &SlapViews, _| {
        let place = view.inventory.place(instance).filter(|(computer, _)| *computer == id);
        let foreign = || forbidden(format!("the certificate is that of {instance}, which is not on {id}"));
        let (_, partition) = place.ok_or_else(foreign)?;
        let seen = SeenComputer::find(ctx.mode(), view, id.as_str()).ok_or_else(|| no_computer(id))?;
        Ok::<_, Problem>(seen.only(partition.as_str()))
    };
    let seen = read(ctx, Sequence::ZERO, find).await??;
    document(documents::computer(&seen.document(ctx.keys())))
}

/// `POST loadComputerConfigurationFromXML`.
pub(super) async fn configure(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, LARGE).await?;
    form.fields.bytes("xml")?;
    let value = form.fields.marshalled("xml")?.unwrap_or(slapledger_slap_wire::marshal::Value::None);
    let config = computer_config::read(&value).map_err(|error| Problem::field("xml", error.to_string()))?;
    let mut command = configuration(config, ctx.mode())?;
    command.owner_if_new = owner_if_new(&ctx);
    let node = command.computer.clone();
    ctx.caller.check_node(&node)?;
    submit(&ctx, &form, &node, Command::ConfigureComputer(command)).await?;
    Ok(text("done"))
}

fn configuration(config: ComputerConfig, mode: Mode) -> Result<ConfigureComputer, Problem> {
    let ComputerConfig { reference, address, netmask, partitions, rest: _ } = config;
    let offers = partitions.into_iter().map(|told| offer(told, mode)).collect::<Result<_, _>>()?;
    Ok(ConfigureComputer {
        computer: id("xml: reference", &reference)?,
        address: address.unwrap_or_default().into(),
        netmask: netmask.unwrap_or_default().into(),
        offers,
        owner_if_new: None,
    })
}

fn offer(config: PartitionConfig, mode: Mode) -> Result<Offer, Problem> {
    let PartitionConfig { reference, addresses, tap_name, route, user_name, capabilities, rest: _ } = config;
    let own = addresses.into_iter().map(|told| NetworkAddress {
        address: told.address.into(),
        netmask: told.netmask.into(),
        ..NetworkAddress::default()
    });
    // slapos proxy knows of no routes.
    let route = route.filter(|_| mode == Mode::Serve).map(|told| {
        let address = NetworkAddress {
            address: told.address.into(),
            netmask: told.netmask.into(),
            gateway: told.gateway.into(),
            network: told.network.into(),
            ..NetworkAddress::default()
        };
        address.of_route(&tap_name)
    });
    let addresses = own.chain(route);
    Ok(Offer {
        partition: id("xml: partition_list[].reference", &reference)?,
        addresses: addresses.collect(),
        tap: Some(tap_name.into()),
        user: user_name.map(Into::into),
        capabilities: capabilities.into_iter().map(Into::into).collect(),
    })
}

/// `GET getRunId`: two addresses that answer the same are one server. slapos proxy asks itself so.
pub(super) async fn run_id(Authorised(ctx): Authorised) -> String {
    uuid::Uuid::from_bytes(ctx.engine.run).simple().to_string()
}

/// `POST computerBang`: everything on the computer is to be processed again.
pub(super) async fn bang(Authorised(ctx): Authorised, mut request: Request) -> SlapReply {
    // slapos.core posts a form; slapos proxy takes no notice of it, and is asked in other ways too.
    let query = Fields::of_query(&request);
    // One that is asked by its query alone has no body, and no type of it.
    let media_type = axum::http::HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().entry(axum::http::header::CONTENT_TYPE).or_insert(media_type);
    let form = PostedForm::read(request, SMALL).await?;
    let named = if query.optional("computer_id")?.is_some() { &query } else { &form.fields };
    let computer: ComputerId = named.id("computer_id")?;
    ctx.caller.check_node(&computer)?;
    let message = form.fields.optional_bytes("message").map(error_text);
    read(&ctx, Sequence::ZERO, |view, _| view.inventory.computer(computer.as_str()).map(drop))
        .await?
        .ok_or_else(|| no_computer(&computer))?;
    let message = message.map(|text| seal(ctx.keys(), fresh(&ctx)?, &text)).transpose()?;
    let command = Command::BangComputer(BangComputer { computer: computer.clone(), message });
    submit(&ctx, &form, &computer, command).await?;
    document(documents::empty_text())
}

/// `POST requestComputer`: a user enters a computer by its title; the master names it.
pub(super) async fn request(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let title = form.fields.text("computer_title")?.into();
    let command = RequestComputer { owner: ctx.caller.party()?, title, time_zone: TimeZone::UTC };
    let meta = Arc::new(ctx.meta(ctx.caller.actor(), form.digest(ctx.keys())));
    let command = Command::RequestComputer(command);
    match ctx.ledger().submit(Submission { meta, command }).await?.answer {
        Answer::Computer(computer) => document(documents::requested_computer(computer.as_str())),
        _ => Err(Problem::fault(&"a computer was answered with something else").into()),
    }
}

/// `POST useComputer`: every movement of every transaction is recorded, metered or not.
pub(super) async fn report_usage(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, LARGE).await?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    ctx.caller.check_node(&computer)?;
    let sent = form.fields.bytes("use_string")?;
    let reports = |zone| {
        let read = usage_report::read(sent, zone).map(|read| (read.reports, read.voids));
        read.map_err(|error| Problem::field("use_string", error.to_string()))
    };
    let recorded = record_usage(&ctx, form.digest(ctx.keys()), &computer, reports).await?;
    // Clients expect `OK`, and show the rest.
    Ok(text(match recorded.text() {
        Some(told) => format!("OK\n{told}"),
        None => "OK".to_owned(),
    }))
}
