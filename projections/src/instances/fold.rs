//! What events make of instances, and which of them move a timestamp.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::computer::{ComputerBanged, Offer, PartitionOffered, PartitionWithdrawn};
use slapledger_core::domain::erasure::{ErasureSubject, KeyDestroyed};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{ComputerId, InstanceId, PartitionId, Sequence};
use slapledger_core::domain::instance::{
    Allocation, ConnectionParametersSet, InstanceAllocated, InstanceChanged, InstanceEnded, InstanceRenamed,
    InstanceRequested, InstanceStateReported, RequestedState, Requester, SealedPartRecorded,
};
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Recorded;

use super::{InstanceView, InstancesView, NameScope, PartitionPlace};

impl InstancesView {
    /// Takes the next event over.
    pub fn apply(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::PartitionOffered(event) => self.offered(event, sequence),
            Event::PartitionWithdrawn(event) => self.withdrawn(event, sequence),
            Event::SealedPartRecorded(event) => self.part_recorded(event),
            Event::InstanceRequested(event) => self.requested(event, sequence),
            Event::InstanceChanged(event) => self.changed(event, sequence),
            Event::InstanceAllocated(event) => self.allocated(event, sequence),
            Event::InstanceEnded(event) => self.ended(event, sequence),
            Event::InstanceStateReported(event) => self.state_reported(event, sequence),
            Event::InstanceBanged(event) => self.nudge_tree(event.root, event.at, sequence),
            Event::InstanceRenamed(event) => self.renamed(event, sequence),
            Event::ComputerBanged(event) => self.computer_banged(event, sequence),
            Event::ConnectionParametersSet(event) => self.connection_set(event, sequence),
            Event::KeyDestroyed(event) => self.key_destroyed(event, sequence),
            _ => {}
        }
    }

    fn touch(&mut self, instance: InstanceId, by: Sequence) -> Option<&mut InstanceView> {
        let instance = self.all.get_mut(&instance)?;
        instance.changed_by = by;
        Some(instance)
    }

    /// Something changed that must reach the node of an instance.
    fn nudge(&mut self, instance: Option<InstanceId>, at: Timestamp, by: Sequence) {
        if let Some(instance) = instance.and_then(|id| self.touch(id, by)) {
            instance.move_timestamp(at);
        }
    }

    fn nudge_tree(&mut self, root: InstanceId, at: Timestamp, by: Sequence) {
        for member in self.trees.get(&root).cloned().into_iter().flatten() {
            self.nudge(Some(member), at, by);
        }
    }

    fn place_mut(&mut self, computer: &ComputerId, partition: &PartitionId) -> &mut PartitionPlace {
        let places = self.places.entry(computer.clone()).or_default();
        places.entry(partition.clone()).or_default()
    }

    fn offered(&mut self, event: &PartitionOffered, by: Sequence) {
        let Offer { partition, addresses, tap, user: _, capabilities: _ } = &event.offer;
        let occupant = self.place_mut(&event.computer, partition).occupant;
        let lost = occupant.filter(|id| self.get(*id).is_some_and(|known| known.lost_since.is_some()));
        if let Some(instance) = lost.and_then(|id| self.touch(id, by)) {
            instance.lost_since = None;
        }
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

    fn withdrawn(&mut self, event: &PartitionWithdrawn, by: Sequence) {
        let Some(places) = self.places.get_mut(&event.computer) else { return };
        match places.get(&event.partition).map(|place| place.occupant) {
            Some(Some(occupant)) => {
                if let Some(instance) = self.touch(occupant, by) {
                    instance.lost_since = Some(event.at);
                }
                return;
            }
            // Of a partition that nobody is in there is nothing to tell.
            Some(None) => drop(places.remove(&event.partition)),
            None => return,
        }
        if places.is_empty() {
            self.places.remove(&event.computer);
        }
    }

    fn part_recorded(&mut self, event: &SealedPartRecorded) {
        let parts = self.parts.entry(event.instance).or_default();
        if event.part == 1 {
            parts.clear();
        }
        parts.extend_from_slice(&event.ciphertext);
    }

    /// A value with all its parts.
    fn whole(&mut self, instance: InstanceId, value: &Sealed) -> Sealed {
        let mut value = value.clone();
        if value.ciphertext.is_empty()
            && let Some(parts) = self.parts.remove(&instance)
        {
            value.ciphertext = parts;
        }
        value
    }

    fn requested(&mut self, event: &InstanceRequested, by: Sequence) {
        let id = event.instance;
        if let Requester::Instance(parent) = event.requester {
            self.children.entry(parent).or_default().insert(id);
        }
        self.by_owner.entry(event.owner).or_default().insert(id);
        self.trees.entry(event.root).or_default().insert(id);
        let parameters = self.whole(id, &event.parameters);
        let instance = InstanceView {
            id,
            requester: event.requester,
            owner: event.owner,
            root: event.root,
            reference: event.reference.clone(),
            release: event.release.clone(),
            software_type: event.software_type.clone(),
            instance_type: event.instance_type,
            parameters,
            connection: None,
            shared: event.shared,
            filter: event.filter.clone(),
            requested: event.state,
            reported: None,
            error: None,
            allocation: None,
            lost_since: None,
            requested_at: event.at,
            reported_at: None,
            changed_at: event.at,
            ended_at: None,
            erased_at: None,
            first_sequence: by,
            changed_by: by,
        };
        self.names.entry(NameScope::of(&instance)).or_default().insert(event.reference.clone(), id);
        self.all.insert(id, instance);
    }

    fn changed(&mut self, event: &InstanceChanged, by: Sequence) {
        let parameters = event.parameters.as_ref().map(|value| self.whole(event.instance, value));
        let Some(instance) = self.touch(event.instance, by) else { return };
        // What it is for is nothing to its node.
        let reaches_node = event.release.is_some()
            || event.software_type.is_some()
            || event.parameters.is_some()
            || event.state.is_some()
            || event.filter.is_some();
        if let Some(release) = &event.release {
            instance.release.clone_from(release);
        }
        if let Some(software_type) = &event.software_type {
            instance.software_type.clone_from(software_type);
        }
        if let Some(parameters) = parameters {
            instance.parameters = parameters;
        }
        if let Some(filter) = &event.filter {
            instance.filter.clone_from(filter);
        }
        instance.instance_type = event.instance_type.unwrap_or(instance.instance_type);
        instance.requested = event.state.unwrap_or(instance.requested);
        let before = instance.requester;
        if let Some(requester) = event.requester {
            instance.requester = Requester::Instance(requester);
        }
        if reaches_node {
            instance.move_timestamp(event.at);
            let host = instance.host();
            self.nudge(host, event.at, by);
        }
        if let (Some(requester), Requester::Instance(before)) = (event.requester, before) {
            remove_from(&mut self.children, before, event.instance);
            self.children.entry(requester).or_default().insert(event.instance);
        }
    }

    fn allocated(&mut self, event: &InstanceAllocated, by: Sequence) {
        let InstanceAllocated { instance, computer, partition, host, at } = event;
        if let Some(host) = host {
            self.shares.entry(*host).or_default().insert(*instance);
            self.nudge(Some(*host), *at, by);
        } else {
            self.place_mut(computer, partition).occupant = Some(*instance);
        }
        let Some(instance) = self.touch(*instance, by) else { return };
        let (computer, partition) = (computer.clone(), partition.clone());
        instance.allocation = Some(Allocation { computer, partition, host: *host, from: *at, until: None });
        instance.changed_at = instance.changed_at.max(*at);
    }

    fn ended(&mut self, event: &InstanceEnded, by: Sequence) {
        let Some(instance) = self.touch(event.instance, by) else { return };
        instance.ended_at = Some(event.at);
        instance.lost_since = None;
        if let Some(allocation) = &mut instance.allocation {
            allocation.until = Some(event.at);
        }
        let names = NameScope::of(instance);
        let (reference, root, host) = (instance.reference.clone(), instance.root, instance.host());
        let was_wanted = instance.requested != RequestedState::Destroyed;
        let parent = match instance.requester {
            Requester::Instance(parent) if was_wanted => Some(parent),
            _ => None,
        };
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
        remove_from(&mut self.trees, root, event.instance);
        if let Some(host) = host {
            remove_from(&mut self.shares, host, event.instance);
            self.nudge(Some(host), event.at, by);
            // Its host went, and it with it: the requester may ask again.
            self.nudge(parent, event.at, by);
            return;
        }
        if let Some((computer, partition)) = place {
            let place = self.place_mut(&computer, &partition);
            if place.occupant == Some(event.instance) {
                place.occupant = None;
            }
            // Its partition went, and it with it: the requester may ask again.
            self.nudge(parent, event.at, by);
        }
    }

    fn state_reported(&mut self, event: &InstanceStateReported, by: Sequence) {
        let Some(instance) = self.touch(event.instance, by) else { return };
        instance.reported = Some(event.state);
        instance.error.clone_from(&event.error);
        instance.reported_at = Some(event.at);
    }

    fn connection_set(&mut self, event: &ConnectionParametersSet, by: Sequence) {
        let connection = self.whole(event.instance, &event.connection);
        let Some(instance) = self.touch(event.instance, by) else { return };
        instance.connection = Some(connection);
        let parent = match instance.requester {
            Requester::Instance(parent) => Some(parent),
            Requester::Party(_) => None,
        };
        self.nudge(parent, event.at, by);
    }

    fn key_destroyed(&mut self, event: &KeyDestroyed, by: Sequence) {
        if let ErasureSubject::Instance(instance) = event.subject
            && let Some(instance) = self.touch(instance, by)
        {
            instance.erased_at = Some(event.at);
        }
    }

    fn computer_banged(&mut self, event: &ComputerBanged, by: Sequence) {
        let places = self.places.get(&event.computer).into_iter().flatten();
        let occupants: Vec<_> = places.map(|(_, place)| place.occupant).collect();
        for occupant in occupants {
            self.nudge(occupant, event.at, by);
        }
    }

    fn renamed(&mut self, event: &InstanceRenamed, by: Sequence) {
        let Some(instance) = self.touch(event.instance, by) else { return };
        let before = std::mem::replace(&mut instance.reference, event.reference.clone());
        let (root, host) = (instance.root, instance.host());
        let names = NameScope::of(instance);
        if let Some(of_names) = self.names.get_mut(&names) {
            of_names.remove(&before);
            of_names.insert(event.reference.clone(), event.instance);
        }
        if root == event.instance {
            // Every member of the tree is told the name of its root.
            self.nudge_tree(root, event.at, by);
        } else {
            self.nudge(Some(event.instance), event.at, by);
        }
        self.nudge(host, event.at, by);
    }
}

/// Takes a member out of a set, and the set out of the map if it was the last.
fn remove_from(sets: &mut BTreeMap<InstanceId, BTreeSet<InstanceId>>, key: InstanceId, member: InstanceId) {
    if let Some(set) = sets.get_mut(&key) {
        set.remove(&member);
        if set.is_empty() {
            sets.remove(&key);
        }
    }
}
