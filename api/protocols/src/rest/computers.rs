//! Computers as resources: what they offer, and what is on them.

pub(super) mod certificates;
pub(super) mod counts;
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
use slapledger_projections::inventory::{ErrorPeriod, InventoryComputer, Partition, SilentPeriod, Supply};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::{no_computer, read};
use slapledger_usecases::software::supply_state;

use self::counts::{ComputerCounts, ComputerState};
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
    registered_at: Timestamp,
    configured_at: Option<Timestamp>,
    /// When it was last heard of, if it fell silent.
    silent_since: Option<Timestamp>,
    /// When it was silent, the last of them last; at most 50.
    silences: Vec<SilenceItem>,
    /// When an instance or a release on it was in error, the last of them last; at most 50.
    errors: Vec<ErrorPeriodItem>,
    /// When it was retired, if it was.
    retired_at: Option<Timestamp>,
    partitions: PartitionCounts,
}

/// A time in which nothing was heard of a computer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Silence")]
struct SilenceItem {
    since: Timestamp,
    /// When it was heard of again; null, if it is silent now.
    until: Option<Timestamp>,
}

impl SilenceItem {
    fn of(known: &SilentPeriod) -> Self {
        Self { since: known.since, until: known.until }
    }
}

/// A time in which an instance or a release on a computer was in error.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErrorPeriod")]
struct ErrorPeriodItem {
    since: Timestamp,
    /// When none was any more; null, if one is now.
    until: Option<Timestamp>,
    /// The most that were at a time.
    most: u32,
}

impl ErrorPeriodItem {
    fn of(known: &ErrorPeriod) -> Self {
        Self { since: known.since, until: known.until, most: known.most }
    }
}

/// How many partitions there are.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "PartitionCounts")]
struct PartitionCounts {
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
    #[schemars(with = "schema::ScopeName")]
    scope: &'static str,
    /// Whom besides its provider, if it is for a group.
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
    reported_state: Option<SoftwareState>,
    error: Option<String>,
    requested_at: Timestamp,
    reported_at: Option<Timestamp>,
}

impl ComputerItem {
    fn of(computer: &InventoryComputer) -> Self {
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
            silences: computer.silences.iter().map(SilenceItem::of).collect(),
            errors: computer.errors.iter().map(ErrorPeriodItem::of).collect(),
            retired_at: computer.retired_at,
            partitions: PartitionCounts {
                free: count("free"),
                busy: count("busy"),
                withdrawn: count("withdrawn"),
                lost: count("lost"),
            },
        }
    }
}

impl ComputerResource {
    fn of(keys: &KeyRing, computer: &InventoryComputer) -> Self {
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

fn find(ctx: &RequestContext, view: &SlapViews, id: &ComputerId) -> Result<InventoryComputer, Problem> {
    let known = view.inventory.computer(id.as_str()).filter(|known| ctx.caller.sees_computer(known));
    known.cloned().ok_or_else(|| no_computer(id))
}

/// `GET /v1/computers`, by reference.
pub(super) async fn computers(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<ComputerItem>>, Problem> {
    let query = Query::read(&uri, &["state"])?;
    let state: Option<ComputerState> = query.parse("state")?;
    let page = |view: &SlapViews, after: Option<&ComputerId>, limit| {
        let theirs = |computer: &InventoryComputer| {
            ctx.caller.sees_computer(computer) && state.is_none_or(|state| state.fits(computer))
        };
        view.inventory.computers(theirs, after.map(ComputerId::as_str), limit).map(ComputerItem::of)
    };
    query.page(&ctx, page).await
}

/// `GET /v1/computer-counts`: of the computers that somebody may see, all of them.
pub(super) async fn counts(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<ComputerCounts>, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let count = |view: &SlapViews, at| {
        let mut counts = ComputerCounts { sequence: at, ..ComputerCounts::default() };
        for computer in view.inventory.iter().filter(|computer| ctx.caller.sees_computer(computer)) {
            counts.add(computer);
        }
        counts
    };
    let counts = read(&ctx, position, count).await?;
    Ok(HttpAnswer::ok(counts.sequence, counts))
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
