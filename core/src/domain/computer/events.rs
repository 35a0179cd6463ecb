//! What can happen to a computer and its partitions.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::domain::id::{ComputerId, PartitionId, PartyId, SoftwareRelease};
use crate::domain::sealed::Sealed;
use crate::domain::time::{TimeZone, Timestamp};

/// A computer entered the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerRegistered {
    /// Which.
    pub computer: ComputerId,
    /// Its provider.
    pub owner: PartyId,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
    /// When.
    pub at: Timestamp,
}

/// A computer told how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerConfigured {
    /// Which.
    pub computer: ComputerId,
    /// Its own address.
    pub address: Box<str>,
    /// And its netmask.
    pub netmask: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// A computer offers a partition, for the first time, again, or with other properties.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartitionOffered {
    /// Where.
    pub computer: ComputerId,
    /// What is offered.
    pub offer: Offer,
    /// When.
    pub at: Timestamp,
}

/// A computer no longer offers a partition. An instance that is in it stays.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartitionWithdrawn {
    /// Where.
    pub computer: ComputerId,
    /// Which.
    pub partition: PartitionId,
    /// When.
    pub at: Timestamp,
}

/// What is known of a partition from its computer's format.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Offer {
    /// Its name on its computer (`slappart0`).
    pub partition: PartitionId,
    /// Its addresses.
    pub addresses: Vec<NetworkAddress>,
    /// Its network interface.
    pub tap: Option<Box<str>>,
    /// Its unix user, under which `slapos node collect` reports.
    pub user: Option<Box<str>>,
    /// What it can do that others cannot.
    pub capabilities: Vec<Box<str>>,
}

/// An address of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct NetworkAddress {
    /// IPv4 or IPv6, as the computer wrote it.
    pub address: Box<str>,
    /// Its netmask, as the computer wrote it.
    pub netmask: Box<str>,
    /// Its network interface; that of the partition, if none is named.
    pub interface: Option<Box<str>>,
    /// Its gateway; empty if it has none.
    pub gateway: Box<str>,
    /// Its network; empty if none is named.
    pub network: Box<str>,
}

/// How the interface of an address begins that is the route to a partition, and none of its own.
const ROUTE: &str = "route_";

impl NetworkAddress {
    /// The address of the route to a partition through its interface.
    #[must_use]
    pub fn of_route(self, interface: &str) -> Self {
        Self { interface: Some(format!("{ROUTE}{interface}").into()), ..self }
    }

    /// Whether it is that of a route.
    pub fn is_route(&self) -> bool {
        self.interface.as_ref().is_some_and(|interface| interface.starts_with(ROUTE))
    }
}

impl Offer {
    /// The bytes of its texts.
    pub(super) fn text_bytes(&self) -> usize {
        let of = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let addresses = self.addresses.iter().map(|told| {
            let NetworkAddress { address, netmask, interface, gateway, network } = told;
            address.len() + netmask.len() + of(interface) + gateway.len() + network.len()
        });
        let capabilities = self.capabilities.iter().map(|capability| capability.len());
        let texts: usize = addresses.chain(capabilities).sum();
        self.partition.as_str().len() + of(&self.tap) + of(&self.user) + texts
    }

    /// The interface of one of its addresses.
    pub fn interface_of<'a>(&'a self, address: &'a NetworkAddress) -> &'a str {
        address.interface.as_deref().or(self.tap.as_deref()).unwrap_or_default()
    }
}

/// A computer was given a title, and attributes that filters ask for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerDescribed {
    /// Which.
    pub computer: ComputerId,
    /// What people call it.
    pub title: Option<Box<str>>,
    /// All of its attributes, by the names filters have for them.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// When.
    pub at: Timestamp,
}

/// A provider said whom and what a computer is for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct AllocationScopeSet {
    /// Which computer.
    pub computer: ComputerId,
    /// Whom it is for.
    pub scope: AllocationScope,
    /// The releases it is limited to; all, if there are none.
    pub software: Vec<SoftwareRelease>,
    /// How many instances it takes at most; as many as it has partitions, if not said.
    pub capacity: Option<u32>,
    /// When.
    pub at: Timestamp,
}

/// Whom a computer is for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationScope {
    /// Everybody.
    Open,
    /// Its provider alone.
    Personal,
    /// Its provider and these.
    Group(Vec<PartyId>),
    /// Nobody.
    Closed,
}

/// Nothing was heard of a computer for so long that it gets no new instances.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerFellSilent {
    /// Which.
    pub computer: ComputerId,
    /// When it was last heard of.
    pub since: Timestamp,
    /// When that was noticed.
    pub at: Timestamp,
}

/// A silent computer was heard of again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerHeard {
    /// Which.
    pub computer: ComputerId,
    /// When.
    pub at: Timestamp,
}

/// A computer asked for all its partitions to be processed again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerBanged {
    /// Which.
    pub computer: ComputerId,
    /// Why.
    pub message: Option<Sealed>,
    /// When.
    pub at: Timestamp,
}

/// A computer was retired: it is gone, and with it all that was on it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerRetired {
    /// Which.
    pub computer: ComputerId,
    /// When.
    pub at: Timestamp,
}
