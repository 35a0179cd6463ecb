//! Computers as resources: what they offer, and what is on them.

pub(super) mod describe;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::{ComputerId, InstanceId, SoftwareRelease};
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::KeyRing;
use slapledger_projections::inventory::{Computer, Partition, Supply};

use super::openapi::schema;
use super::problem::Problem;
use super::query::{self, Named, Query};
use crate::app::App;
use crate::slap::sealing::open;
use crate::slap::{read, supply_state};

/// A computer in a list.
#[derive(Serialize, JsonSchema)]
struct ComputerItem {
    id: String,
    owner: String,
    time_zone: String,
    address: String,
    netmask: String,
    #[schemars(with = "schema::Instant")]
    registered_at: Timestamp,
    #[schemars(with = "Option<schema::Instant>")]
    configured_at: Option<Timestamp>,
    partitions: Counts,
}

/// How many partitions there are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PartitionCounts")]
struct Counts {
    free: usize,
    busy: usize,
    withdrawn: usize,
}

/// A single computer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Computer")]
struct ComputerResource {
    #[serde(flatten)]
    item: ComputerItem,
    partition_list: Vec<PartitionItem>,
    software: Vec<SupplyItem>,
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
}

#[derive(Serialize, JsonSchema)]
struct AddressItem {
    address: String,
    netmask: String,
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
            owner: computer.owner.to_string(),
            time_zone: computer.time_zone.to_string(),
            address: computer.address.to_string(),
            netmask: computer.netmask.to_string(),
            registered_at: computer.registered_at,
            configured_at: computer.configured_at,
            partitions: Counts { free: count("free"), busy: count("busy"), withdrawn: count("withdrawn") },
        }
    }
}

fn partition_state(partition: &Partition) -> &'static str {
    match (partition.occupant, partition.offered) {
        (Some(_), _) => "busy",
        (None, true) => "free",
        (None, false) => "withdrawn",
    }
}

impl PartitionItem {
    fn of(partition: &Partition) -> Self {
        let addresses = partition.offer.addresses.iter();
        let addresses = addresses
            .map(|told| AddressItem { address: told.address.to_string(), netmask: told.netmask.to_string() });
        Self {
            id: partition.offer.partition.to_string(),
            state: partition_state(partition),
            instance: partition.occupant,
            interface: partition.offer.tap.as_deref().map(str::to_owned),
            user: partition.offer.user.as_deref().map(str::to_owned),
            addresses: addresses.collect(),
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

/// `GET /v1/computers`, by reference.
pub(super) async fn computers(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<ComputerId>()?);
    let position = query.position(&app).await?;
    let page = read(&app, position, |view, at| {
        let page = view.inventory.computers(after.as_ref().map(ComputerId::as_str), limit);
        (page.items.into_iter().map(ComputerItem::of).collect(), page.next, at)
    });
    let (items, next, sequence): (Vec<_>, _, _) = page.await?;
    Ok(query::list(items, next, sequence))
}

/// `GET /v1/computers/{id}`.
pub(super) async fn computer(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let position = Query::read(&uri, &[])?.position(&app).await?;
    let found = read(&app, position, |view, at| Some((view.inventory.computer(&id)?.clone(), at))).await?;
    let (found, sequence) = found.ok_or_else(|| Problem::not_found(format!("there is no computer {id}")))?;
    let supplies = found.supplies().iter();
    let resource = ComputerResource {
        item: ComputerItem::of(&found),
        partition_list: found.partitions().iter().map(PartitionItem::of).collect(),
        software: supplies.map(|(release, supply)| SupplyItem::of(&app.keys, release, supply)).collect(),
    };
    Ok(query::resource(&headers, sequence, &resource))
}
