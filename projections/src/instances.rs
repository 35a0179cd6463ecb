//! Instances, living and ended: what was requested, where they are, what their nodes say.
//!
//! [`Instance::changed_at`] is the timestamp that nodes compare: they process a partition again exactly when it is
//! another. It moves when something that must reach the node changed, and never otherwise: when the instance is
//! allocated; when its release, software type, parameters or requested state change; when its partition gets other
//! addresses or another interface; and when an instance that was requested from inside it is reached in another way.
//! It takes the time of that event, and never the same value twice: two changes in one microsecond differ by one.
//! Before the allocation nothing reaches a node, and it stands still.
//!
//! Values stay sealed here. A name belongs to the living: a name requested again after its instance ended is
//! another instance.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use slapledger_core::domain::computer::{Address, Offer, PartitionOffered};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{
    ComputerId, InstanceId, KeyId, PartitionId, PartyId, Reference, Sequence, SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{
    Allocation, ConnectionParametersSet, InstanceAllocated, InstanceChanged, InstanceEnded,
    InstanceRequested, InstanceStateReported, InstanceType, ReportedState, RequestedState, Requester,
};
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Recorded;

use crate::page::Page;
use crate::view::{Projection, put};

/// An instance, living or ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Instance {
    /// Its id, never used again.
    pub id: InstanceId,
    /// Who asked for it.
    pub requester: Requester,
    /// Who pays.
    pub owner: PartyId,
    /// The root of its tree; itself, if a party asked.
    pub root: InstanceId,
    /// Its title: the name its requester gave it.
    pub reference: Reference,
    /// What it runs.
    pub release: SoftwareRelease,
    /// As what.
    pub software_type: SoftwareType,
    /// What for.
    pub instance_type: InstanceType,
    /// Its parameters, sealed.
    pub parameters: Sealed,
    /// How it is reached, sealed; `None` until its node says it.
    pub connection: Option<Sealed>,
    /// Where it may be (SLA).
    pub filter: Vec<(Box<str>, Box<str>)>,
    /// The state its requester wants.
    pub requested: RequestedState,
    /// The state its node says.
    pub reported: Option<ReportedState>,
    /// What went wrong, if that is what its node last said; sealed.
    pub error: Option<Sealed>,
    /// Where it is or was, since when and until when.
    pub allocation: Option<Allocation>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When its node last said in which state it is.
    pub reported_at: Option<Timestamp>,
    /// The timestamp of SLAP: see the module.
    pub changed_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The event it was asked for by.
    pub first_sequence: Sequence,
    /// The last event that changed anything that is shown of it.
    pub changed_by: Sequence,
}

impl Instance {
    /// The key that its values are sealed under.
    pub fn key(&self) -> KeyId {
        self.parameters.key
    }

    /// Whether it has not ended.
    pub fn lives(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Whether it waits for a partition.
    pub fn waits(&self) -> bool {
        self.lives() && self.allocation.is_none()
    }

    /// Something that must reach its node changed.
    fn move_timestamp(&mut self, at: Timestamp) {
        if self.allocation.is_some() && self.lives() {
            self.changed_at = at.max(self.changed_at.plus_micros(1));
        }
    }
}

/// Which instances are asked for; what is not said does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstanceFilter<'a> {
    /// Those this party pays for.
    pub owner: Option<PartyId>,
    /// Those of this tree.
    pub root: Option<InstanceId>,
    /// Those that are or were on this computer.
    pub computer: Option<&'a str>,
    /// Those that run this release.
    pub release: Option<&'a str>,
    /// Those of this name.
    pub reference: Option<&'a str>,
    /// Those that are for this.
    pub instance_type: Option<InstanceType>,
    /// Those wanted in this state.
    pub requested: Option<RequestedState>,
    /// Those their nodes say are in this state.
    pub reported: Option<ReportedState>,
    /// The living, or the ended.
    pub lives: Option<bool>,
}

impl InstanceFilter<'_> {
    /// Whether an instance is asked for.
    pub fn matches(&self, instance: &Instance) -> bool {
        let on =
            |computer| instance.allocation.as_ref().is_some_and(|place| place.computer.as_str() == computer);
        self.owner.is_none_or(|owner| instance.owner == owner)
            && self.root.is_none_or(|root| instance.root == root)
            && self.computer.is_none_or(on)
            && self.release.is_none_or(|release| instance.release.as_str() == release)
            && self.reference.is_none_or(|reference| instance.reference.as_str() == reference)
            && self.instance_type.is_none_or(|instance_type| instance.instance_type == instance_type)
            && self.requested.is_none_or(|state| instance.requested == state)
            && self.reported.is_none_or(|state| instance.reported == Some(state))
            && self.lives.is_none_or(|lives| instance.lives() == lives)
    }
}

/// Whose names a reference is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
enum Names {
    OfParty(PartyId),
    OfTree(InstanceId),
}

/// A partition, as far as instances care.
#[derive(Debug, Default, PartialEq, Eq, Encode, Decode)]
struct Place {
    occupant: Option<InstanceId>,
    /// What a node is told of its network.
    addresses: Vec<Address>,
    tap: Option<Box<str>>,
}

/// All instances.
#[derive(Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Instances {
    all: BTreeMap<InstanceId, Instance>,
    names: BTreeMap<Names, BTreeMap<Reference, InstanceId>>,
    children: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    by_owner: BTreeMap<PartyId, BTreeSet<InstanceId>>,
    places: BTreeMap<ComputerId, BTreeMap<PartitionId, Place>>,
}

impl Instances {
    /// An instance, living or ended.
    pub fn get(&self, instance: InstanceId) -> Option<&Instance> {
        self.all.get(&instance)
    }

    /// The living instance that a requester means by a reference: what `request()` answers with, and whose key its
    /// values are sealed under. From inside a tree all requesters mean the same.
    pub fn find(&self, requester: Requester, reference: &str) -> Option<&Instance> {
        let names = match requester {
            Requester::Party(party) => Names::OfParty(party),
            Requester::Instance(parent) => Names::OfTree(self.all.get(&parent)?.root),
        };
        self.all.get(self.names.get(&names)?.get(reference)?)
    }

    /// The instance in a partition.
    pub fn occupant(&self, computer: &str, partition: &str) -> Option<&Instance> {
        self.all.get(&self.places.get(computer)?.get(partition)?.occupant?)
    }

    /// The instances on a computer now, by partition.
    pub fn on_computer(&self, computer: &str) -> impl Iterator<Item = (&PartitionId, &Instance)> {
        let places = self.places.get(computer).into_iter().flatten();
        places.filter_map(|(partition, place)| Some((partition, self.all.get(&place.occupant?)?)))
    }

    /// What was requested from inside an instance, living or ended, by id.
    pub fn children(&self, instance: InstanceId) -> impl Iterator<Item = &Instance> {
        self.children.get(&instance).into_iter().flatten().filter_map(|child| self.all.get(child))
    }

    /// All that a party pays or paid for, by id.
    pub fn of_owner(&self, owner: PartyId) -> impl Iterator<Item = &Instance> {
        self.by_owner.get(&owner).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// All instances, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.all.values()
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
        after: Option<InstanceId>,
        limit: usize,
    ) -> Page<&Instance, InstanceId> {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let wanted = |instance: &&Instance| filter.matches(instance);
        if let Some(owner) = filter.owner {
            let ids = self.by_owner.get(&owner).into_iter().flat_map(|ids| ids.range(range));
            let found = ids.filter_map(|id| self.all.get(id)).filter(wanted);
            Page::take(found, limit, |instance| instance.id)
        } else {
            let found = self.all.range(range).map(|(_, instance)| instance).filter(wanted);
            Page::take(found, limit, |instance| instance.id)
        }
    }

    /// Takes the next event over.
    pub fn apply(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::PartitionOffered(event) => self.offered(event, sequence),
            Event::InstanceRequested(event) => self.requested(event, sequence),
            Event::InstanceChanged(event) => self.changed(event, sequence),
            Event::InstanceAllocated(event) => self.allocated(event, sequence),
            Event::InstanceEnded(event) => self.ended(event, sequence),
            Event::InstanceStateReported(event) => self.state_reported(event, sequence),
            Event::ConnectionParametersSet(event) => self.connection_set(event, sequence),
            _ => {}
        }
    }

    fn touch(&mut self, instance: InstanceId, by: Sequence) -> Option<&mut Instance> {
        let instance = self.all.get_mut(&instance)?;
        instance.changed_by = by;
        Some(instance)
    }

    fn place_mut(&mut self, computer: &ComputerId, partition: &PartitionId) -> &mut Place {
        let places = self.places.entry(computer.clone()).or_default();
        places.entry(partition.clone()).or_default()
    }

    fn offered(&mut self, event: &PartitionOffered, by: Sequence) {
        let Offer { partition, addresses, tap, user: _ } = &event.offer;
        let place = self.place_mut(&event.computer, partition);
        if (&place.addresses, &place.tap) == (addresses, tap) {
            return;
        }
        place.addresses.clone_from(addresses);
        place.tap.clone_from(tap);
        if let Some(occupant) = place.occupant
            && let Some(instance) = self.touch(occupant, by)
        {
            instance.move_timestamp(event.at);
        }
    }

    fn requested(&mut self, event: &InstanceRequested, by: Sequence) {
        let id = event.instance;
        let names = match event.requester {
            Requester::Party(party) => Names::OfParty(party),
            Requester::Instance(parent) => {
                self.children.entry(parent).or_default().insert(id);
                Names::OfTree(event.root)
            }
        };
        self.names.entry(names).or_default().insert(event.reference.clone(), id);
        self.by_owner.entry(event.owner).or_default().insert(id);
        let instance = Instance {
            id,
            requester: event.requester,
            owner: event.owner,
            root: event.root,
            reference: event.reference.clone(),
            release: event.release.clone(),
            software_type: event.software_type.clone(),
            instance_type: event.instance_type,
            parameters: event.parameters.clone(),
            connection: None,
            filter: event.filter.clone(),
            requested: event.state,
            reported: None,
            error: None,
            allocation: None,
            requested_at: event.at,
            reported_at: None,
            changed_at: event.at,
            ended_at: None,
            first_sequence: by,
            changed_by: by,
        };
        self.all.insert(id, instance);
    }

    fn changed(&mut self, event: &InstanceChanged, by: Sequence) {
        let Some(instance) = self.touch(event.instance, by) else { return };
        // What it is for is nothing to its node.
        let reaches_node = event.release.is_some()
            || event.software_type.is_some()
            || event.parameters.is_some()
            || event.state.is_some();
        if let Some(release) = &event.release {
            instance.release.clone_from(release);
        }
        if let Some(software_type) = &event.software_type {
            instance.software_type.clone_from(software_type);
        }
        if let Some(parameters) = &event.parameters {
            instance.parameters.clone_from(parameters);
        }
        instance.instance_type = event.instance_type.unwrap_or(instance.instance_type);
        instance.requested = event.state.unwrap_or(instance.requested);
        if reaches_node {
            instance.move_timestamp(event.at);
        }
    }

    fn allocated(&mut self, event: &InstanceAllocated, by: Sequence) {
        let InstanceAllocated { instance, computer, partition, at } = event;
        self.place_mut(computer, partition).occupant = Some(*instance);
        let Some(instance) = self.touch(*instance, by) else { return };
        let (computer, partition) = (computer.clone(), partition.clone());
        instance.allocation = Some(Allocation { computer, partition, from: *at, until: None });
        instance.changed_at = instance.changed_at.max(*at);
    }

    fn ended(&mut self, event: &InstanceEnded, by: Sequence) {
        let Some(instance) = self.touch(event.instance, by) else { return };
        instance.ended_at = Some(event.at);
        if let Some(allocation) = &mut instance.allocation {
            allocation.until = Some(event.at);
        }
        let names = match instance.requester {
            Requester::Party(party) => Names::OfParty(party),
            Requester::Instance(_) => Names::OfTree(instance.root),
        };
        let reference = instance.reference.clone();
        let place =
            instance.allocation.as_ref().map(|place| (place.computer.clone(), place.partition.clone()));
        if let Some(of_names) = self.names.get_mut(&names) {
            if of_names.get(&reference) == Some(&event.instance) {
                of_names.remove(&reference);
            }
            if of_names.is_empty() {
                self.names.remove(&names);
            }
        }
        if let Some((computer, partition)) = place {
            let place = self.place_mut(&computer, &partition);
            if place.occupant == Some(event.instance) {
                place.occupant = None;
            }
        }
    }

    fn state_reported(&mut self, event: &InstanceStateReported, by: Sequence) {
        let Some(instance) = self.touch(event.instance, by) else { return };
        instance.reported = Some(event.state);
        instance.error.clone_from(&event.error);
        instance.reported_at = Some(event.at);
    }

    fn connection_set(&mut self, event: &ConnectionParametersSet, by: Sequence) {
        let Some(instance) = self.touch(event.instance, by) else { return };
        instance.connection = Some(event.connection.clone());
        if let Requester::Instance(parent) = instance.requester
            && let Some(parent) = self.touch(parent, by)
        {
            parent.move_timestamp(event.at);
        }
    }
}

impl Projection for Instances {
    fn name(&self) -> &'static str {
        "instances"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }
}
