//! Computers as resources: what they offer, and what is on them.

pub(super) mod certificates;
pub(super) mod describe;
pub(super) mod writes;

use std::collections::BTreeMap;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::computer::AllocationScope;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartyId, SoftwareRelease};
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::KeyRing;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::open;
use slapledger_projections::SlapViews;
use slapledger_projections::inventory::{Computer, Partition, Supply};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::{no_computer, read};
use slapledger_usecases::software::supply_state;

use super::openapi::schema::{self, List};
use super::query::{Named, Query};
use crate::access::Authorised;

/// A computer in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ComputerItem {
    id: String,
    /// What people call it.
    title: Option<String>,
    owner: String,
    time_zone: String,
    address: String,
    netmask: String,
    #[schemars(with = "schema::Instant")]
    registered_at: Timestamp,
    #[schemars(with = "Option<schema::Instant>")]
    configured_at: Option<Timestamp>,
    /// When it was last heard of, if it fell silent.
    #[schemars(with = "Option<schema::Instant>")]
    silent_since: Option<Timestamp>,
    /// When it was retired, if it was.
    #[schemars(with = "Option<schema::Instant>")]
    retired_at: Option<Timestamp>,
    partitions: Counts,
}

/// How many partitions there are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PartitionCounts")]
struct Counts {
    free: usize,
    busy: usize,
    withdrawn: usize,
    /// Withdrawn while somebody is in them: nothing happens there until they are released, or offered again.
    lost: usize,
}

/// A single computer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Computer")]
pub(crate) struct ComputerResource {
    #[serde(flatten)]
    item: ComputerItem,
    /// What filters may ask for.
    attributes: BTreeMap<String, String>,
    allocation_scope: ScopeItem,
    partition_list: Vec<PartitionItem>,
    software: Vec<SupplyItem>,
}

/// Whom and what a computer is for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AllocationScope")]
struct ScopeItem {
    #[schemars(with = "schema::Scope")]
    scope: &'static str,
    /// Whom besides its provider, if it is for a group.
    #[schemars(with = "Vec<schema::PartyId>")]
    group: Vec<PartyId>,
    /// The releases it is limited to; all, if there are none.
    software: Vec<String>,
    /// How many instances it takes at most.
    capacity: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct PartitionItem {
    id: String,
    state: &'static str,
    #[schemars(with = "Option<schema::InstanceId>")]
    instance: Option<InstanceId>,
    interface: Option<String>,
    user: Option<String>,
    addresses: Vec<AddressItem>,
    capabilities: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct AddressItem {
    address: String,
    netmask: String,
    /// Its network interface.
    interface: String,
    gateway: String,
    network: String,
}

#[derive(Serialize, JsonSchema)]
struct SupplyItem {
    software_release: String,
    state: &'static str,
    #[schemars(with = "Option<schema::SoftwareState>")]
    reported_state: Option<SoftwareState>,
    error: Option<String>,
    #[schemars(with = "schema::Instant")]
    requested_at: Timestamp,
    #[schemars(with = "Option<schema::Instant>")]
    reported_at: Option<Timestamp>,
}

impl ComputerItem {
    fn of(computer: &Computer) -> Self {
        let count = |state: &str| {
            computer.partitions().iter().filter(|known| partition_state(known) == state).count()
        };
        Self {
            id: computer.id.to_string(),
            title: computer.title.as_deref().map(str::to_owned),
            owner: computer.owner.to_string(),
            time_zone: computer.time_zone.to_string(),
            address: computer.address.to_string(),
            netmask: computer.netmask.to_string(),
            registered_at: computer.registered_at,
            configured_at: computer.configured_at,
            silent_since: computer.silent_since,
            retired_at: computer.retired_at,
            partitions: Counts {
                free: count("free"),
                busy: count("busy"),
                withdrawn: count("withdrawn"),
                lost: count("lost"),
            },
        }
    }
}

impl ComputerResource {
    fn of(keys: &KeyRing, computer: &Computer) -> Self {
        let supplies = computer.supplies().iter();
        let attributes = computer.attributes.iter();
        let (scope, group) = match &computer.scope {
            AllocationScope::Open => ("open", &[][..]),
            AllocationScope::Personal => ("personal", &[][..]),
            AllocationScope::Group(group) => ("group", group.as_slice()),
            AllocationScope::Closed => ("closed", &[][..]),
        };
        Self {
            item: ComputerItem::of(computer),
            attributes: attributes.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            allocation_scope: ScopeItem {
                scope,
                group: group.to_vec(),
                software: computer.software.iter().map(ToString::to_string).collect(),
                capacity: computer.capacity,
            },
            partition_list: computer.partitions().iter().map(PartitionItem::of).collect(),
            software: supplies.map(|(release, supply)| SupplyItem::of(keys, release, supply)).collect(),
        }
    }
}

fn partition_state(partition: &Partition) -> &'static str {
    match (partition.occupant, partition.offered) {
        (Some(_), true) => "busy",
        (Some(_), false) => "lost",
        (None, true) => "free",
        (None, false) => "withdrawn",
    }
}

impl PartitionItem {
    fn of(partition: &Partition) -> Self {
        let addresses = partition.offer.addresses.iter().map(|told| AddressItem {
            address: told.address.to_string(),
            netmask: told.netmask.to_string(),
            interface: partition.offer.interface_of(told).to_owned(),
            gateway: told.gateway.to_string(),
            network: told.network.to_string(),
        });
        Self {
            id: partition.offer.partition.to_string(),
            state: partition_state(partition),
            instance: partition.occupant,
            interface: partition.offer.tap.as_deref().map(str::to_owned),
            user: partition.offer.user.as_deref().map(str::to_owned),
            addresses: addresses.collect(),
            capabilities: partition.offer.capabilities.iter().map(ToString::to_string).collect(),
        }
    }
}

impl SupplyItem {
    fn of(keys: &KeyRing, release: &SoftwareRelease, supply: &Supply) -> Self {
        Self {
            software_release: release.to_string(),
            state: supply_state(supply.requested),
            reported_state: supply.reported,
            error: supply.error.as_ref().and_then(|sealed| open(keys, sealed)),
            requested_at: supply.requested_at,
            reported_at: supply.reported_at,
        }
    }
}

fn named(text: &str) -> Result<ComputerId, Problem> {
    ComputerId::new(text)
        .map_err(|_| Problem::unknown(ProblemCode::ComputerUnknown, format!("there is no computer {text}")))
}

fn find(ctx: &RequestContext, view: &SlapViews, id: &ComputerId) -> Result<Computer, Problem> {
    let known = view.inventory.computer(id.as_str()).filter(|known| ctx.caller.sees_computer(known));
    known.cloned().ok_or_else(|| no_computer(id))
}

/// `GET /v1/computers`, by reference.
pub(super) async fn computers(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<ComputerItem>>, Problem> {
    let page = |view: &SlapViews, after: Option<&ComputerId>, limit| {
        let theirs = |computer: &Computer| ctx.caller.sees_computer(computer);
        view.inventory.computers(theirs, after.map(ComputerId::as_str), limit).map(ComputerItem::of)
    };
    Query::read(&uri, &[])?.page(&ctx, page).await
}

/// `GET /v1/computers/{id}`.
pub(super) async fn computer(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<ComputerResource>, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let found = read(&ctx, position, |view, at| {
        let known = view.inventory.computer(&id).filter(|known| ctx.caller.sees_computer(known))?;
        Some((known.clone(), at))
    });
    let found = found.await?;
    let (found, sequence) = found.ok_or_else(|| {
        Problem::unknown(ProblemCode::ComputerUnknown, format!("there is no computer {id}"))
    })?;
    Ok(HttpAnswer::resource(sequence, ComputerResource::of(ctx.keys(), &found)))
}
