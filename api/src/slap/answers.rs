//! What nodes and users are shown: from the views to the documents of the wire.
//!
//! Two steps, so that nothing is decrypted while the views are held: what a document needs is copied out of them, then
//! opened. Invariants: a partition is shown as long as it is offered or somebody is in it; an instance that is to be
//! destroyed is shown with its software until its node says it is gone; the guid is a label of the place, as in slapos
//! proxy, and passes to the next tenant.

use slapledger_core::domain::id::InstanceId;
use slapledger_core::domain::software::SupplyState;
use slapledger_core::keyring::KeyRing;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::Instance;
use slapledger_projections::inventory::{Computer, Partition};

use super::sealing::open_parameters;
use super::wire::documents::{
    ComputerDocument, InstanceDocument, PartitionDocument, ReleaseDocument, RequestDocument,
};

/// An instance in its partition, as the views have it.
pub(super) struct Placed {
    instance: Instance,
    root_title: String,
    addresses: Vec<(String, String)>,
}

/// A partition, as the views have it.
pub(super) struct SeenPartition {
    computer: String,
    partition: String,
    occupant: Option<Placed>,
}

/// A computer, as the views have it.
pub(super) struct SeenComputer {
    computer: String,
    partitions: Vec<SeenPartition>,
    releases: Vec<ReleaseDocument>,
}

impl Placed {
    /// An instance that is in a partition.
    pub(super) fn find(view: &SlapViews, instance: InstanceId) -> Option<Self> {
        let (computer, partition) = view.inventory.place(instance)?;
        let partition = view.inventory.partition(computer.as_str(), partition.as_str())?;
        Self::in_partition(view, partition)
    }

    fn in_partition(view: &SlapViews, partition: &Partition) -> Option<Self> {
        let instance = view.instances.get(partition.occupant?)?;
        let root = view.instances.get(instance.root).unwrap_or(instance);
        let interface = partition.offer.tap.as_deref().unwrap_or_default();
        let addresses = partition.offer.addresses.iter();
        let addresses = addresses.map(|address| (interface.to_owned(), address.address.to_string()));
        Some(Self {
            instance: instance.clone(),
            root_title: root.reference.to_string(),
            addresses: addresses.collect(),
        })
    }

    /// Nodes compare this text with the one of the last time they worked on the partition.
    fn timestamp(&self) -> String {
        self.instance.changed_at.micros().to_string()
    }

    fn document(self, keys: &KeyRing) -> InstanceDocument {
        let timestamp = self.timestamp();
        let Self { instance, root_title, addresses } = self;
        let connection = instance.connection.as_ref();
        InstanceDocument {
            title: instance.reference.to_string(),
            root_title,
            requested_state: instance.requested.as_str().to_owned(),
            software_release: instance.release.to_string(),
            software_type: instance.software_type.to_string(),
            parameters: open_parameters(keys, &instance.parameters),
            connection: connection.map(|sealed| open_parameters(keys, sealed)).unwrap_or_default(),
            addresses,
            timestamp,
            ..InstanceDocument::default()
        }
    }

    /// The answer to its request; `None` if it has no partition any more.
    pub(super) fn request_document(self, keys: &KeyRing) -> Option<RequestDocument> {
        let allocation = self.instance.allocation.as_ref()?;
        let (computer, partition) = (allocation.computer.to_string(), allocation.partition.to_string());
        let document = self.document(keys);
        Some(RequestDocument {
            instance_guid: Some(guid(&computer, &partition)),
            computer,
            partition,
            requested_state: Some(document.requested_state),
            is_shared: false,
            software_release: document.software_release,
            software_type: document.software_type,
            parameters: document.parameters,
            timestamp: Some(document.timestamp),
            connection: document.connection,
            addresses: document.addresses,
        })
    }
}

impl SeenPartition {
    /// A partition that is offered, or in which somebody is.
    pub(super) fn find(view: &SlapViews, computer: &str, partition: &str) -> Option<Self> {
        let partition =
            view.inventory.partition(computer, partition).filter(|partition| partition.is_present())?;
        Some(Self::of(view, computer, partition))
    }

    fn of(view: &SlapViews, computer: &str, partition: &Partition) -> Self {
        Self {
            computer: computer.to_owned(),
            partition: partition.offer.partition.to_string(),
            occupant: Placed::in_partition(view, partition),
        }
    }

    pub(super) fn document(self, keys: &KeyRing) -> PartitionDocument {
        let Self { computer, partition, occupant } = self;
        PartitionDocument {
            instance_guid: Some(guid(&computer, &partition)),
            computer,
            partition,
            instance: occupant.map(|placed| placed.document(keys)),
        }
    }
}

impl SeenComputer {
    pub(super) fn find(view: &SlapViews, computer: &str) -> Option<Self> {
        let known: &Computer = view.inventory.computer(computer)?;
        let present = known.partitions().iter().filter(|partition| partition.is_present());
        let releases = known.supplies().iter().map(|(release, supply)| ReleaseDocument {
            url: release.to_string(),
            requested_state: supply_state(supply.requested).to_owned(),
        });
        Some(Self {
            computer: computer.to_owned(),
            partitions: present.map(|partition| SeenPartition::of(view, computer, partition)).collect(),
            releases: releases.collect(),
        })
    }

    pub(super) fn document(self, keys: &KeyRing) -> ComputerDocument {
        let Self { computer, partitions, releases } = self;
        let partitions = partitions.into_iter().map(|partition| partition.document(keys)).collect();
        ComputerDocument { computer, partitions, releases }
    }
}

/// The state of a supply on the wire.
pub(crate) fn supply_state(state: SupplyState) -> &'static str {
    match state {
        SupplyState::Available => "available",
        SupplyState::Destroyed => "destroyed",
    }
}

fn guid(computer: &str, partition: &str) -> String {
    format!("{computer}-{partition}")
}
