//! Payloads as they once were, and what they mean today.
//!
//! A struct here is never changed: the bytes it reads are in logs that exist. Golden bytes hold one of each.

mod billing;

use bincode::Decode;

pub(in crate::log) use billing::{
    CreditGrantedV1, InvoiceFinalisedV1, InvoiceFinalisedV2, InvoiceLinesRecordedV1, InvoiceLinesRecordedV2,
    InvoiceRunOpenedV1, InvoiceRunOpenedV2, PriceBookPublishedV1, PriceBookPublishedV2, PriceBookPublishedV3,
    PriceBookPublishedV4,
};

use crate::domain::computer::{NetworkAddress, Offer, PartitionOffered};
use crate::domain::id::{
    ComputerId, InstanceId, PartitionId, PartyId, Reference, SoftwareRelease, SoftwareType,
};
use crate::domain::instance::{
    InstanceAllocated, InstanceChanged, InstanceRequested, InstanceType, RequestedState, Requester,
};
use crate::domain::sealed::Sealed;
use crate::domain::time::Timestamp;

/// Before partitions had capabilities.
#[derive(Decode)]
pub(in crate::log) struct PartitionOfferedV1 {
    computer: ComputerId,
    partition: PartitionId,
    addresses: Vec<AddressV1>,
    tap: Option<Box<str>>,
    user: Option<Box<str>>,
    at: Timestamp,
}

/// Before addresses had interfaces, gateways and networks of their own.
#[derive(Decode)]
struct AddressV1 {
    address: Box<str>,
    netmask: Box<str>,
}

impl From<AddressV1> for NetworkAddress {
    fn from(old: AddressV1) -> Self {
        let AddressV1 { address, netmask } = old;
        Self { address, netmask, ..Self::default() }
    }
}

impl From<PartitionOfferedV1> for PartitionOffered {
    fn from(old: PartitionOfferedV1) -> Self {
        let PartitionOfferedV1 { computer, partition, addresses, tap, user, at } = old;
        let addresses = addresses.into_iter().map(NetworkAddress::from).collect();
        Self { computer, offer: Offer { partition, addresses, tap, user, capabilities: Vec::new() }, at }
    }
}

/// The same.
#[derive(Decode)]
pub(in crate::log) struct PartitionOfferedV2 {
    computer: ComputerId,
    offer: OfferV2,
    at: Timestamp,
}

#[derive(Decode)]
struct OfferV2 {
    partition: PartitionId,
    addresses: Vec<AddressV1>,
    tap: Option<Box<str>>,
    user: Option<Box<str>>,
    capabilities: Vec<Box<str>>,
}

impl From<PartitionOfferedV2> for PartitionOffered {
    fn from(old: PartitionOfferedV2) -> Self {
        let OfferV2 { partition, addresses, tap, user, capabilities } = old.offer;
        let addresses = addresses.into_iter().map(NetworkAddress::from).collect();
        let offer = Offer { partition, addresses, tap, user, capabilities };
        Self { computer: old.computer, offer, at: old.at }
    }
}

/// Before there were shared instances.
#[derive(Decode)]
pub(in crate::log) struct InstanceRequestedV1 {
    instance: InstanceId,
    requester: Requester,
    owner: PartyId,
    root: InstanceId,
    reference: Reference,
    release: SoftwareRelease,
    software_type: SoftwareType,
    instance_type: InstanceType,
    parameters: Sealed,
    filter: Vec<(Box<str>, Box<str>)>,
    state: RequestedState,
    at: Timestamp,
}

impl From<InstanceRequestedV1> for InstanceRequested {
    fn from(old: InstanceRequestedV1) -> Self {
        Self {
            instance: old.instance,
            requester: old.requester,
            owner: old.owner,
            root: old.root,
            reference: old.reference,
            release: old.release,
            software_type: old.software_type,
            instance_type: old.instance_type,
            parameters: old.parameters,
            filter: old.filter,
            state: old.state,
            shared: false,
            at: old.at,
        }
    }
}

/// Before filters and requesters could change.
#[derive(Decode)]
pub(in crate::log) struct InstanceChangedV1 {
    instance: InstanceId,
    release: Option<SoftwareRelease>,
    software_type: Option<SoftwareType>,
    instance_type: Option<InstanceType>,
    parameters: Option<Sealed>,
    state: Option<RequestedState>,
    at: Timestamp,
}

impl From<InstanceChangedV1> for InstanceChanged {
    fn from(old: InstanceChangedV1) -> Self {
        Self {
            instance: old.instance,
            release: old.release,
            software_type: old.software_type,
            instance_type: old.instance_type,
            parameters: old.parameters,
            state: old.state,
            wish: old.state,
            filter: None,
            requester: None,
            at: old.at,
        }
    }
}

/// Before there were shared instances.
#[derive(Decode)]
pub(in crate::log) struct InstanceAllocatedV1 {
    instance: InstanceId,
    computer: ComputerId,
    partition: PartitionId,
    at: Timestamp,
}

impl From<InstanceAllocatedV1> for InstanceAllocated {
    fn from(old: InstanceAllocatedV1) -> Self {
        let InstanceAllocatedV1 { instance, computer, partition, at } = old;
        Self { instance, computer, partition, host: None, at }
    }
}
