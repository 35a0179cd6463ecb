//! What a computer says of itself, what it fetches, and the usage it reports.

use std::sync::Arc;

use axum::extract::{Request, State};
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::{Address, ConfigureComputer, Offer};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::usage::RecordUsage;

use super::answers::SeenComputer;
use super::form::{Fields, Form, LARGE, id};
use super::reply::{Reply, document, text};
use super::wire::computer_config::{self, ComputerConfig, PartitionConfig};
use super::wire::{documents, tioxml};
use super::{no_computer, read, submit, usage_report};
use crate::app::App;
use crate::http::problem::Problem;

/// `GET getFullComputerInformation`, and `getComputerInformation`, which clients ask when the other one is 404.
pub(super) async fn computer(State(app): State<Arc<App>>, request: Request) -> Reply {
    let id: ComputerId = Fields::of_query(&request).id("computer_id")?;
    let seen = read(&app, Sequence::ZERO, |view, _| SeenComputer::find(view, id.as_str())).await?;
    let seen = seen.ok_or_else(|| no_computer(&id))?;
    document(documents::computer(&seen.document(&app.keys)))
}

/// `POST loadComputerConfigurationFromXML`.
pub(super) async fn configure(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, LARGE).await?;
    form.fields.bytes("xml")?;
    let value = form.fields.marshalled("xml")?.unwrap_or(super::wire::marshal::Value::None);
    let config = computer_config::read(&value).map_err(|error| Problem::field("xml", error.to_string()))?;
    let mut command = configuration(config)?;
    command.owner_if_new = match app.mode {
        // Everybody may bring a computer.
        Mode::Proxy | Mode::Demo => Some(app.local),
        Mode::Serve => None,
    };
    let node = command.computer.clone();
    submit(&app, &form, &node, Command::ConfigureComputer(command)).await?;
    Ok(text("done"))
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
    let PartitionConfig { reference, addresses, tap_name, user_name, capabilities: _, rest: _ } = config;
    let addresses = addresses
        .into_iter()
        .map(|told| Address { address: told.address.into(), netmask: told.netmask.into() });
    Ok(Offer {
        partition: id("xml: partition_list[].reference", &reference)?,
        addresses: addresses.collect(),
        tap: Some(tap_name.into()),
        user: user_name.map(Into::into),
    })
}

/// `POST useComputer`: every movement of every transaction is recorded, metered or not.
pub(super) async fn report_usage(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, LARGE).await?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    let sent = form.fields.bytes("use_string")?;
    let zone = |view: &slapledger_projections::SlapViews, _| {
        view.inventory.computer(computer.as_str()).map(|known| known.time_zone)
    };
    let zone = read(&app, Sequence::ZERO, zone).await?.ok_or_else(|| no_computer(&computer))?;
    let report = tioxml::parse(sent).map_err(|error| Problem::field("use_string", error.to_string()))?;
    let reports = usage_report::reports(&report, sent, zone.0);
    let command = Command::RecordUsage(RecordUsage { computer: computer.clone(), reports });
    submit(&app, &form, &computer, command).await?;
    Ok(text("OK"))
}
