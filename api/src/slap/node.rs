//! What a computer says of itself, what it fetches, and the usage it reports.

use std::sync::Arc;

use axum::extract::Request;
use slapledger_core::domain::computer::{Address, BangComputer, ConfigureComputer, Offer, RequestComputer};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartyId, Sequence};
use slapledger_core::domain::time::TimeZone;
use slapledger_core::domain::usage::RecordUsage;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_projections::SlapViews;

use super::answers::SeenComputer;
use super::form::{Fields, Form, LARGE, SMALL, id};
use super::reply::{Reply, document, text, xml};
use super::sealing::{error_text, fresh, seal};
use super::wire::computer_config::{self, ComputerConfig, PartitionConfig};
use super::wire::{documents, tioxml};
use super::{no_computer, read, submit, submit_as, usage_report};
use crate::access::{self, FIRST_PARTY, Here};
use crate::app::App;
use crate::http::problem::Problem;

/// `GET getFullComputerInformation`, and `getComputerInformation`, which clients ask when the other one is 404.
pub(super) async fn computer(Here(app): Here, request: Request) -> Reply {
    let id: ComputerId = Fields::of_query(&request).id("computer_id")?;
    app.caller.check_node(&id)?;
    if let Some(instance) = app.caller.instance() {
        return of_instance(&app, &id, instance).await;
    }
    let find =
        |view: &SlapViews| SeenComputer::find(app.mode, view, id.as_str()).ok_or_else(|| no_computer(&id));
    let write = |seen: SeenComputer| documents::computer(&seen.document(&app.keys));
    let text = app.documents.computers.text(&app, &id, |_| Ok(()), find, write).await?;
    app.heard(&id);
    Ok(xml(text))
}

/// What an instance is shown of its computer: its own partition, and no other.
async fn of_instance(app: &App, id: &ComputerId, instance: InstanceId) -> Reply {
    let find = |view: &SlapViews, _| {
        let place = view.inventory.place(instance).filter(|(computer, _)| *computer == id);
        let foreign =
            || access::forbidden(format!("the certificate is that of {instance}, which is not on {id}"));
        let (_, partition) = place.ok_or_else(foreign)?;
        let seen = SeenComputer::find(app.mode, view, id.as_str()).ok_or_else(|| no_computer(id))?;
        Ok::<_, Problem>(seen.only(partition.as_str()))
    };
    let seen = read(app, Sequence::ZERO, find).await??;
    document(documents::computer(&seen.document(&app.keys)))
}

/// `POST loadComputerConfigurationFromXML`.
pub(super) async fn configure(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, LARGE).await?;
    form.fields.bytes("xml")?;
    let value = form.fields.marshalled("xml")?.unwrap_or(super::wire::marshal::Value::None);
    let config = computer_config::read(&value).map_err(|error| Problem::field("xml", error.to_string()))?;
    let mut command = configuration(config)?;
    command.owner_if_new = owner_if_new(&app);
    let node = command.computer.clone();
    app.caller.check_node(&node)?;
    submit(&app, &form, &node, Command::ConfigureComputer(command)).await?;
    Ok(text("done"))
}

/// Whose a computer becomes that nobody knows yet.
pub(crate) fn owner_if_new(app: &App) -> Option<PartyId> {
    match app.mode {
        // Everybody may bring a computer.
        Mode::Proxy | Mode::Demo => Some(FIRST_PARTY),
        Mode::Serve => None,
    }
}

fn configuration(config: ComputerConfig) -> Result<ConfigureComputer, Problem> {
    let ComputerConfig { reference, address, netmask, partitions, rest: _ } = config;
    let offers = partitions.into_iter().map(offer).collect::<Result<_, _>>()?;
    Ok(ConfigureComputer {
        computer: id("xml: reference", &reference)?,
        address: address.unwrap_or_default().into(),
        netmask: netmask.unwrap_or_default().into(),
        offers,
        owner_if_new: None,
    })
}

fn offer(config: PartitionConfig) -> Result<Offer, Problem> {
    let PartitionConfig { reference, addresses, tap_name, user_name, capabilities, rest: _ } = config;
    let addresses = addresses
        .into_iter()
        .map(|told| Address { address: told.address.into(), netmask: told.netmask.into() });
    Ok(Offer {
        partition: id("xml: partition_list[].reference", &reference)?,
        addresses: addresses.collect(),
        tap: Some(tap_name.into()),
        user: user_name.map(Into::into),
        capabilities: capabilities.into_iter().map(Into::into).collect(),
    })
}

/// `GET getRunId`: two addresses that answer the same are one server. slapos proxy asks itself so.
pub(super) async fn run_id(Here(app): Here) -> String {
    uuid::Uuid::from_bytes(app.run).simple().to_string()
}

/// `POST computerBang`: everything on the computer is to be processed again.
pub(super) async fn bang(Here(app): Here, mut request: Request) -> Reply {
    // slapos.core posts a form; slapos proxy takes no notice of it, and is asked in other ways too.
    let query = Fields::of_query(&request);
    // One that is asked by its query alone has no body, and no type of it.
    let media_type = axum::http::HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().entry(axum::http::header::CONTENT_TYPE).or_insert(media_type);
    let form = Form::read(request, SMALL).await?;
    let named = if query.optional("computer_id")?.is_some() { &query } else { &form.fields };
    let computer: ComputerId = named.id("computer_id")?;
    app.caller.check_node(&computer)?;
    let message = form.fields.optional_bytes("message").map(error_text);
    read(&app, Sequence::ZERO, |view, _| view.inventory.computer(computer.as_str()).map(drop))
        .await?
        .ok_or_else(|| no_computer(&computer))?;
    let message = message.map(|text| seal(&app.keys, fresh(&app)?, &text)).transpose()?;
    let command = Command::BangComputer(BangComputer { computer: computer.clone(), message });
    submit(&app, &form, &computer, command).await?;
    document(documents::empty_text())
}

/// `POST requestComputer`: a user enters a computer by its title; the master names it.
pub(super) async fn request(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let title = form.fields.text("computer_title")?.into();
    let command = RequestComputer { owner: app.caller.party()?, title, time_zone: TimeZone::UTC };
    let meta = Arc::new(app.meta(app.caller.actor(), form.digest(&app.keys)));
    let command = Command::RequestComputer(command);
    match app.ledger.submit(Submission { meta, command }).await?.answer {
        Answer::Computer(computer) => document(documents::requested_computer(computer.as_str())),
        _ => Err(Problem::fault(&"a computer was answered with something else").into()),
    }
}

/// `POST useComputer`: every movement of every transaction is recorded, metered or not.
pub(super) async fn report_usage(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, LARGE).await?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    app.caller.check_node(&computer)?;
    record_usage(&app, form.digest(&app.keys), &computer, ("use_string", form.fields.bytes("use_string")?))
        .await?;
    Ok(text("OK"))
}

/// Records every movement of a report, which came in this field.
pub(crate) async fn record_usage(
    app: &App,
    digest: [u8; 16],
    computer: &ComputerId,
    (field, sent): (&'static str, &[u8]),
) -> Result<(), Problem> {
    let zone = |view: &slapledger_projections::SlapViews, _| {
        view.inventory.computer(computer.as_str()).map(|known| known.time_zone)
    };
    let zone = read(app, Sequence::ZERO, zone).await?.ok_or_else(|| no_computer(computer))?;
    let report = tioxml::parse(sent).map_err(|error| Problem::field(field, error.to_string()))?;
    let reports = usage_report::reports(&report, sent, zone.0);
    let command = Command::RecordUsage(RecordUsage { computer: computer.clone(), reports });
    submit_as(app, digest, computer, command).await?;
    Ok(())
}
