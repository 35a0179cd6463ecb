//! Calls about computers and the software on them.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::{BangComputer, ConfigureComputer, NetworkAddress, Offer};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, Sequence, SoftwareRelease};
use slapledger_core::domain::software::{SoftwareState, SupplySoftware, SupplyState};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{error_text, seal};
use slapledger_kit::text::{carriable, id};
use slapledger_slap_wire::usage_report;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::{fresh, read, submit_as};
use slapledger_usecases::software::{self, supply_state};
use slapledger_usecases::{certificates, node, status};

use super::call::{Call, CallResult, success};
use super::proxy::{ignored_at_proxy, not_registered};
use crate::access::hateoas_url;

/// Whether a computer is known, and whether anything is on it.
async fn known(ctx: &RequestContext, computer: &ComputerId) -> Result<Option<bool>, Problem> {
    read(ctx, Sequence::ZERO, |view, _| {
        let known = view.inventory.computer(computer.as_str())?;
        Some(known.partitions().iter().any(|partition| partition.occupant.is_some()))
    })
    .await
}

/// `slapos.put.v0.compute_node_format`: a computer says which partitions it offers.
pub(super) async fn format(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let computer: ComputerId = call.id("computer_guid")?;
    ctx.caller.check_node(&computer)?;
    let offers = call.list("compute_partition_list").iter().enumerate();
    let offers = offers.map(|(at, partition)| offer(at, partition)).collect::<Result<_, _>>()?;
    // What this call does not say stays as it is.
    let told = read(&ctx, Sequence::ZERO, |view, _| {
        let known = view.inventory.computer(computer.as_str())?;
        Some((known.address.clone(), known.netmask.clone()))
    });
    let (address, netmask) = told.await?.unwrap_or_default();
    let owner_if_new = node::owner_if_new(&ctx);
    let command = ConfigureComputer { computer: computer.clone(), address, netmask, offers, owner_if_new };
    submit_as(&ctx, call.digest, &computer, Command::ConfigureComputer(command)).await?;
    Ok(success("Formatted"))
}

fn offer(at: usize, told: &Value) -> Result<Offer, Problem> {
    let path = |member: &str| format!("compute_partition_list[{at}].{member}");
    let text = |of: &Value, member: &str| -> Result<Box<str>, Problem> {
        let text = of.get(member).and_then(Value::as_str).unwrap_or_default();
        carriable(&path(member), text)?;
        Ok(text.into())
    };
    let addresses = told.get("ip_list").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let interface = addresses.first().map(|first| text(first, "network-interface")).transpose()?;
    let addresses = addresses.iter().map(|told| {
        Ok::<_, Problem>(NetworkAddress {
            address: text(told, "ip-address")?,
            netmask: text(told, "netmask")?,
            interface: Some(text(told, "network-interface")?),
            gateway: text(told, "gateway-ip-address")?,
            network: text(told, "network-address")?,
        })
    });
    Ok(Offer {
        partition: id(&path("partition_id"), &text(told, "partition_id")?)?,
        addresses: addresses.collect::<Result<_, _>>()?,
        tap: interface,
        user: None,
        capabilities: Vec::new(),
    })
}

/// `slapos.put.v0.compute_node_bang`: everything on a computer is to be processed again.
pub(super) async fn bang(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let computer: ComputerId = call.id("computer_guid")?;
    ctx.caller.check_node(&computer)?;
    let message = error_text(call.text("message")?.as_bytes());
    let Some(occupied) = known(&ctx, &computer).await? else {
        return ignored_at_proxy(&ctx, Err(not_registered(&computer)));
    };
    let message = Some(seal(ctx.keys(), fresh(&ctx)?, &message)?);
    let command = BangComputer { computer: computer.clone(), message };
    submit_as(&ctx, call.digest, &computer, Command::BangComputer(command)).await?;
    let heard = occupied || ctx.mode() != Mode::Proxy;
    Ok(success(if heard { "Bang handled" } else { "Ignored" }))
}

/// `slapos.post.v0.compute_node_usage`.
pub(super) async fn usage(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let computer: ComputerId = call.id("computer_guid")?;
    ctx.caller.check_node(&computer)?;
    let sent = call.text("tioxml")?.as_bytes();
    let reports = |zone| {
        let read = usage_report::read(sent, zone).map(|read| (read.reports, read.voids));
        read.map_err(|error| Problem::field("tioxml", error.to_string()))
    };
    let recorded = match known(&ctx, &computer).await? {
        Some(_) => node::record_usage(&ctx, call.digest, &computer, reports).await,
        None => Err(not_registered(&computer)),
    };
    let recorded = recorded.map(|recorded| {
        let mut told = success("Recorded");
        if let Some(text) = recorded.text() {
            told["message"] = text.into();
        }
        told
    });
    ignored_at_proxy(&ctx, recorded)
}

/// `slapos.get.v0.compute_node_status`.
pub(super) async fn status(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let computer: ComputerId = call.id("computer_guid")?;
    ctx.caller.check_node(&computer)?;
    let silent = ctx.last_heard(&computer).is_none();
    if ctx.mode() == Mode::Proxy && silent {
        return Ok(json!({"text": "Unknown (not implemented)"}));
    }
    Ok(json!(status::of_computer(&ctx, &computer).await?))
}

/// `slapos.post.v0.compute_node_certificate`. slapos proxy gives an empty one.
pub(super) async fn certificate(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    if ctx.mode() == Mode::Proxy {
        return Ok(json!({"key": "", "certificate": ""}));
    }
    let computer: ComputerId = call.id("computer_guid")?;
    let pair = certificates::generated(&ctx, &computer).await?;
    Ok(json!({"key": *pair.key, "certificate": pair.certificate}))
}

/// `slapos.remove.v0.compute_node_certificate`.
pub(super) async fn remove_certificate(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    if ctx.mode() == Mode::Proxy {
        return Ok(success("Ignored"));
    }
    let computer: ComputerId = call.id("computer_guid")?;
    certificates::revoked(&ctx, &computer).await?;
    Ok(success("Certificate revoked"))
}

/// `slapos.post.v0.software_installation`: a user asks for a release on a computer, or asks it away.
pub(super) async fn supply(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let (computer, release) =
        (call.id("computer_guid")?, call.id::<SoftwareRelease>("software_release_uri")?);
    let told = call.optional("state").unwrap_or("available");
    let state = software::parse_supply_state(told).unwrap_or(SupplyState::Available);
    let title = format!("Supplied {release} to be {told}");
    software::supply_as_user(&ctx, call.digest, SupplySoftware { computer, release, state }).await?;
    Ok(success(title))
}

/// `slapos.put.v0.software_installation_reported_state`.
pub(super) async fn report(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let place = (call.id("computer_guid")?, call.id("software_release_uri")?);
    let (state, title) = match call.text("reported_state")? {
        "available" => (SoftwareState::Available, "Reported"),
        "building" => (SoftwareState::Building, "Reported"),
        _ => (SoftwareState::Destroyed, "Destroyed"),
    };
    let recorded = software::record(&ctx, call.digest, place, state, None).await;
    ignored_at_proxy(&ctx, recorded.map(|()| success(title)))
}

/// `slapos.put.v0.software_installation_error`.
pub(super) async fn error(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let place = (call.id("computer_guid")?, call.id("software_release_uri")?);
    let log = Some(call.text("message")?.as_bytes());
    let recorded = software::record(&ctx, call.digest, place, SoftwareState::Error, log).await;
    ignored_at_proxy(&ctx, recorded.map(|()| success("Reported")))
}

/// `slapos.allDocs.v0.compute_node_software_installation_list`.
pub(super) async fn installations(ctx: Arc<RequestContext>, call: Call) -> CallResult {
    let computer: ComputerId = call.id("computer_guid")?;
    ctx.caller.check_node(&computer)?;
    let list = read(&ctx, Sequence::ZERO, |view, _| {
        let known =
            view.inventory.computer(computer.as_str()).filter(|known| ctx.caller.sees_computer(known))?;
        let supplies = known.supplies().iter();
        let item = |(release, supply): (&SoftwareRelease, &slapledger_projections::inventory::Supply)| json!({"software_release_uri": release.as_str(), "state": supply_state(supply.requested)});
        Some(supplies.map(item).collect::<Vec<_>>())
    });
    Ok(json!({"result_list": list.await?.ok_or_else(|| not_registered(&computer))?}))
}

/// `slapos.allDocs.WIP.compute_node_list`, which slapos proxy alone has.
pub(super) async fn computers(ctx: Arc<RequestContext>, _: Call) -> CallResult {
    if ctx.mode() != Mode::Proxy {
        let detail = "this call is an experiment of slapos proxy";
        return Err(Problem::new(StatusCode::NOT_FOUND, ProblemCode::NotFound, detail));
    }
    let list = read(&ctx, Sequence::ZERO, |view, _| {
        let item = |computer: &slapledger_projections::inventory::InventoryComputer| json!({"computer_guid": computer.id.as_str()});
        view.inventory.iter().map(item).collect::<Vec<_>>()
    });
    Ok(json!({"result_list": list.await?}))
}

/// `slapos.get.v0.hateoas_url`.
pub(super) async fn hateoas_root(_: Arc<RequestContext>, call: Call) -> CallResult {
    Ok(json!({"hateoas_url": hateoas_url(&call.gateway, &call.headers)?}))
}
