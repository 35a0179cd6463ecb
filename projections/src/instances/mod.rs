//! Instances, living and ended: what was requested, where they are, what their nodes say.
//!
//! [`InstanceView::changed_at`] is the timestamp that nodes compare: they process a partition again exactly when it is
//! another. It moves when something that must reach the node changed, and never otherwise: when the instance is
//! allocated; when its release, software type, parameters, filter, name or requested state change, or the name of its
//! tree; when its partition gets other addresses or another interface; when an instance that was requested from inside
//! it is reached in another way, or lost its host or its partition; when a shared instance on it comes, goes or changes; and when its
//! tree or its computer is banged.
//! It takes the time of that event, and never the same value twice: two changes in one microsecond differ by one.
//! Before the allocation nothing reaches a node, and it stands still.
//!
//! Values stay sealed here. A name belongs to the living: a name requested again after its instance ended is
//! another instance.

mod filter;
mod fold;
mod instance;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use slapledger_core::domain::computer::NetworkAddress;
use slapledger_core::domain::id::{ComputerId, InstanceId, KeyId, PartitionId, PartyId, Reference};
use slapledger_core::domain::instance::Requester;

pub use self::filter::{InstanceFilter, TreeFilter};
pub use self::instance::{InstanceCondition, InstanceView};
use crate::page::Page;
use crate::rows::RowDigests;
use crate::view::{Projection, put};

/// Whose names a reference is one of. Shared instances and others do not take each other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
enum NameScope {
    OfParty(PartyId, bool),
    OfTree(InstanceId, bool),
}

impl NameScope {
    fn of(instance: &InstanceView) -> Self {
        match instance.requester {
            Requester::Party(party) => Self::OfParty(party, instance.shared),
            Requester::Instance(_) => Self::OfTree(instance.root, instance.shared),
        }
    }
}

/// A partition, as far as instances care.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
struct PartitionPlace {
    occupant: Option<InstanceId>,
    /// What a node is told of its network.
    addresses: Vec<NetworkAddress>,
    tap: Option<Box<str>>,
}

/// All instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct InstancesView {
    all: BTreeMap<InstanceId, InstanceView>,
    names: BTreeMap<NameScope, BTreeMap<Reference, InstanceId>>,
    children: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    by_owner: BTreeMap<PartyId, BTreeSet<InstanceId>>,
    /// The living members of each tree.
    trees: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    /// The living shared instances on each instance.
    shares: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    places: BTreeMap<ComputerId, BTreeMap<PartitionId, PartitionPlace>>,
    /// What was recorded so far of long values that are not set yet.
    parts: BTreeMap<InstanceId, Vec<u8>>,
}

impl InstancesView {
    /// An instance, living or ended.
    pub fn get(&self, instance: InstanceId) -> Option<&InstanceView> {
        self.all.get(&instance)
    }

    /// The living instance that a requester means by a reference: what `request()` answers with, and whose key its
    /// values are sealed under. From inside a tree all requesters mean the same.
    pub fn find(&self, requester: Requester, shared: bool, reference: &str) -> Option<&InstanceView> {
        let names = match requester {
            Requester::Party(party) => NameScope::OfParty(party, shared),
            Requester::Instance(parent) => NameScope::OfTree(self.all.get(&parent)?.root, shared),
        };
        self.all.get(self.names.get(&names)?.get(reference)?)
    }

    /// The instance in a partition.
    pub fn occupant(&self, computer: &str, partition: &str) -> Option<&InstanceView> {
        self.all.get(&self.places.get(computer)?.get(partition)?.occupant?)
    }

    /// The instances on a computer now, by partition.
    pub fn on_computer(&self, computer: &str) -> impl Iterator<Item = (&PartitionId, &InstanceView)> {
        let places = self.places.get(computer).into_iter().flatten();
        places.filter_map(|(partition, place)| Some((partition, self.all.get(&place.occupant?)?)))
    }

    /// What was requested from inside an instance, living or ended, by id.
    pub fn children(&self, instance: InstanceId) -> impl Iterator<Item = &InstanceView> {
        self.children.get(&instance).into_iter().flatten().filter_map(|child| self.all.get(child))
    }

    /// The living members of a tree, its root among them, by id.
    pub fn tree(&self, root: InstanceId) -> impl Iterator<Item = &InstanceView> {
        self.trees.get(&root).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// The living shared instances on an instance, by id.
    pub fn shares(&self, host: InstanceId) -> impl Iterator<Item = &InstanceView> {
        self.shares.get(&host).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// All that a party pays or paid for, by id.
    pub fn of_owner(&self, owner: PartyId) -> impl Iterator<Item = &InstanceView> {
        self.by_owner.get(&owner).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// All instances, by id.
    pub fn iter(&self) -> impl Iterator<Item = &InstanceView> {
        self.all.values()
    }

    /// The keys of all that was erased: those that no key ring may have.
    pub fn erased_keys(&self) -> impl Iterator<Item = KeyId> {
        self.iter().filter(|instance| instance.erased_at.is_some()).map(InstanceView::key)
    }

    /// How many there are, living or ended.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there never was one.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those asked for after an id, in order of their ids.
    pub fn list(
        &self,
        filter: &InstanceFilter<'_>,
        seen: impl Fn(&InstanceView) -> bool,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Page<&InstanceView, InstanceId> {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let wanted = |instance: &&InstanceView| filter.matches(instance) && seen(instance);
        if let Some(owner) = filter.owner {
            let ids = self.by_owner.get(&owner).into_iter().flat_map(|ids| ids.range(range));
            let found = ids.filter_map(|id| self.all.get(id)).filter(wanted);
            Page::take(found, limit, |instance| instance.id)
        } else {
            let found = self.all.range(range).map(|(_, instance)| instance).filter(wanted);
            Page::take(found, limit, |instance| instance.id)
        }
    }
}

impl Projection for InstancesView {
    fn name(&self) -> &'static str {
        "instances"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        rows.table("instances", &self.all);
        rows.keyed("names", &self.names);
        rows.table("children", &self.children);
        rows.table("owners", &self.by_owner);
        rows.table("trees", &self.trees);
        rows.table("shares", &self.shares);
        rows.table("places", &self.places);
        rows.table("parts", &self.parts);
    }
}
