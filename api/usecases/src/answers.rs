//! What nodes and users are shown: from the views to the documents of the wire.
//!
//! Two steps, so that nothing is decrypted while the views are held: what a document needs is copied out of them, then
//! opened. Invariants: a partition is shown as long as it is offered or somebody is in it; an instance that is to be
//! destroyed is shown with its software until its node says it is gone.

use bincode::Encode;
use slapledger_core::domain::computer::Offer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::InstanceId;
use slapledger_core::domain::instance::RequestedState;
use slapledger_core::keyring::KeyRing;
use slapledger_dto::documents::{
    ComputerDocument, FullAddress, InstanceDocument, PartitionDocument, ReleaseDocument, RequestDocument,
    SharedDocument,
};
use slapledger_kit::sealing::{open_parameters, open_typed_parameters};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_projections::inventory::{InventoryComputer, Partition};

use super::names;
use super::software::supply_state;
use crate::status;

/// A shared instance, as its host is told of it.
#[derive(Encode)]
struct SharedInstance {
    instance: InstanceView,
    reference: String,
}

/// An instance in its partition or on its host, as the views have it.
#[derive(Encode)]
pub struct PlacedInstance {
    mode: Mode,
    instance: InstanceView,
    guid: Option<String>,
    root_title: String,
    offer: Offer,
    shares: Vec<SharedInstance>,
}

/// A partition, as the views have it. All that its document shows is in it.
#[derive(Encode)]
pub struct SeenPartition {
    computer: String,
    partition: String,
    guid: Option<String>,
    occupant: Option<PlacedInstance>,
}

/// A computer, as the views have it. All that its document shows is in it: what is encoded tells whether it changed.
#[derive(Encode)]
pub struct SeenComputer {
    computer: String,
    partitions: Vec<SeenPartition>,
    releases: Vec<ReleaseDocument>,
}

impl SeenComputer {
    /// The same with one partition, and with no software: what an instance is shown.
    #[must_use]
    pub fn only(mut self, partition: &str) -> Self {
        self.partitions.retain(|seen| seen.partition == partition);
        self.releases.clear();
        self
    }
}

impl PlacedInstance {
    /// An instance that is in a partition, or a shared one that is or was on a host.
    pub fn find(mode: Mode, view: &SlapViews, instance: InstanceId) -> Option<Self> {
        let known = view.instances.get(instance)?;
        let place = known.allocation.as_ref().filter(|_| known.shared || known.lives())?;
        let partition = view.inventory.partition(place.computer.as_str(), place.partition.as_str())?;
        Some(Self::at(mode, view, known, partition))
    }

    fn at(mode: Mode, view: &SlapViews, instance: &InstanceView, partition: &Partition) -> Self {
        let root = view.instances.get(instance.root).unwrap_or(instance);
        // A master tells a node of what is to run; slapos proxy tells it of everybody.
        let shares = view.instances.shares(instance.id);
        let shares = shares
            .filter(|shared| mode != Mode::Serve || shared.requested == RequestedState::Started)
            .map(|shared| SharedInstance {
                instance: shared.clone(),
                reference: names::shared_reference(mode, &view.instances, shared),
            });
        Self {
            mode,
            instance: instance.clone(),
            guid: names::guid(mode, &view.instances, instance),
            root_title: root.reference.to_string(),
            offer: partition.offer.clone(),
            shares: shares.collect(),
        }
    }

    /// Nodes compare this text with the one of the last time they worked on the partition.
    /// The master counts microseconds; slapos proxy has seconds, and decimals of them.
    fn timestamp(mode: Mode, instance: &InstanceView) -> String {
        let micros = instance.changed_at.micros();
        match mode {
            Mode::Serve => micros.to_string(),
            Mode::Proxy | Mode::Demo => {
                format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
            }
        }
    }

    fn addresses(&self) -> Vec<(String, String)> {
        let own = self.offer.addresses.iter().filter(|told| !told.is_route());
        own.map(|told| (self.offer.interface_of(told).to_owned(), told.address.to_string())).collect()
    }

    /// What its node is told of it.
    pub fn document(self, keys: &KeyRing) -> InstanceDocument {
        let timestamp = Self::timestamp(self.mode, &self.instance);
        let addresses = self.addresses();
        let Self { mode, instance, guid: _, root_title, offer, shares } = self;
        let connection = instance.connection.as_ref();
        let mut document = InstanceDocument {
            title: instance.reference.to_string(),
            root_short_title: (mode == Mode::Serve).then(|| root_title.clone()),
            root_title,
            requested_state: instance.requested.as_str().to_owned(),
            software_release: instance.release.to_string(),
            software_type: instance.software_type.to_string(),
            parameters: open_parameters(keys, &instance.parameters),
            connection: connection.map(|sealed| open_parameters(keys, sealed)).unwrap_or_default(),
            addresses,
            shared: shares.into_iter().map(|share| share.document(mode, keys)).collect(),
            timestamp,
            ..InstanceDocument::default()
        };
        if mode == Mode::Serve {
            document.access_status = Some(status::text(keys, &instance));
            let filter = instance.filter.iter().map(|(key, value)| (key.to_string(), value.to_string()));
            document.filter = Some(filter.collect());
            let full = offer.addresses.iter().map(|told| FullAddress {
                interface: offer.interface_of(told).to_owned(),
                address: told.address.to_string(),
                gateway: told.gateway.to_string(),
                netmask: told.netmask.to_string(),
                network: told.network.to_string(),
            });
            document.full_addresses = Some(full.collect());
        }
        document
    }

    /// The answer to its request; `None` if it has no partition any more.
    pub fn request_document(self, keys: &KeyRing) -> Option<RequestDocument> {
        let allocation = self.instance.allocation.as_ref()?;
        let (computer, partition) = (allocation.computer.to_string(), allocation.partition.to_string());
        let (instance_guid, is_shared) = (self.guid.clone(), self.instance.shared);
        // slapos proxy has no timestamp for what has no partition of its own.
        let has_timestamp = !is_shared || self.mode == Mode::Serve;
        let document = self.document(keys);
        Some(RequestDocument {
            instance_guid,
            computer,
            partition,
            requested_state: Some(document.requested_state),
            is_shared,
            software_release: document.software_release,
            software_type: document.software_type,
            parameters: document.parameters,
            timestamp: has_timestamp.then_some(document.timestamp),
            connection: document.connection,
            addresses: document.addresses,
        })
    }
}

impl SharedInstance {
    fn document(self, mode: Mode, keys: &KeyRing) -> SharedDocument {
        let Self { instance, reference } = self;
        let master = mode == Mode::Serve;
        let connection = instance.connection.as_ref().filter(|_| master);
        SharedDocument {
            title: if master { instance.reference.to_string() } else { reference.clone() },
            reference,
            software_type: instance.software_type.to_string(),
            timestamp: master.then(|| PlacedInstance::timestamp(mode, &instance)),
            parameters: open_parameters(keys, &instance.parameters),
            typed: open_typed_parameters(keys, &instance.parameters),
            connection: connection.map(|sealed| open_parameters(keys, sealed)).unwrap_or_default(),
        }
    }
}

impl SeenPartition {
    /// A partition that is offered, or in which somebody is.
    pub fn find(mode: Mode, view: &SlapViews, computer: &str, partition: &str) -> Option<Self> {
        let partition =
            view.inventory.partition(computer, partition).filter(|partition| partition.is_present())?;
        Some(Self::of(mode, view, computer, partition))
    }

    fn of(mode: Mode, view: &SlapViews, computer: &str, partition: &Partition) -> Self {
        let occupant = partition.occupant.and_then(|id| view.instances.get(id));
        let name = partition.offer.partition.to_string();
        Self {
            computer: computer.to_owned(),
            guid: names::guid_of_place(mode, computer, &name, partition.occupant),
            partition: name,
            occupant: occupant.map(|instance| PlacedInstance::at(mode, view, instance, partition)),
        }
    }

    /// The same with no other shared instances than these: what the owner of a host is shown.
    #[must_use]
    pub fn sharing(mut self, theirs: impl Fn(&InstanceView) -> bool) -> Self {
        if let Some(placed) = &mut self.occupant {
            placed.shares.retain(|share| theirs(&share.instance));
        }
        self
    }

    /// What is told of it.
    pub fn document(self, keys: &KeyRing) -> PartitionDocument {
        let Self { computer, partition, guid, occupant } = self;
        PartitionDocument {
            instance_guid: guid,
            computer,
            partition,
            instance: occupant.map(|placed| placed.document(keys)),
        }
    }
}

impl SeenComputer {
    /// A computer.
    pub fn find(mode: Mode, view: &SlapViews, computer: &str) -> Option<Self> {
        let known: &InventoryComputer = view.inventory.computer(computer)?;
        let present = known.partitions().iter().filter(|partition| partition.is_present());
        let releases = known.supplies().iter().map(|(release, supply)| ReleaseDocument {
            url: release.to_string(),
            requested_state: supply_state(supply.requested).to_owned(),
        });
        Some(Self {
            computer: computer.to_owned(),
            partitions: present.map(|partition| SeenPartition::of(mode, view, computer, partition)).collect(),
            releases: releases.collect(),
        })
    }

    /// What is told of it.
    pub fn document(self, keys: &KeyRing) -> ComputerDocument {
        let Self { computer, partitions, releases } = self;
        let partitions = partitions.into_iter().map(|partition| partition.document(keys)).collect();
        ComputerDocument { computer, partitions, releases }
    }
}
