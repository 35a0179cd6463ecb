//! Instances, living and ended: what was requested, where they are, what their nodes say.
//!
//! [`Instance::changed_at`] is the timestamp that nodes compare: they process a partition again exactly when it is
//! another. It moves when something that must reach the node changed, and never otherwise: when the instance is
//! allocated; when its release, software type, parameters, filter, name or requested state change, or the name of its
//! tree; when its partition gets other addresses or another interface; when an instance that was requested from inside
//! it is reached in another way, or lost its host; when a shared instance on it comes, goes or changes; and when its
//! tree or its computer is banged.
//! It takes the time of that event, and never the same value twice: two changes in one microsecond differ by one.
//! Before the allocation nothing reaches a node, and it stands still.
//!
//! Values stay sealed here. A name belongs to the living: a name requested again after its instance ended is
//! another instance.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use slapledger_core::domain::computer::{Address, ComputerBanged, Offer, PartitionOffered};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{
    ComputerId, InstanceId, KeyId, PartitionId, PartyId, Reference, Sequence, SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{
    Allocation, ConnectionParametersSet, InstanceAllocated, InstanceChanged, InstanceEnded, InstanceRenamed,
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
    /// Whether it lives on another (a slave) instead of in a partition of its own.
    pub shared: bool,
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

    /// Whom it lives on, or lived on last, if it is shared.
    pub fn host(&self) -> Option<InstanceId> {
        self.allocation.as_ref()?.host
    }

    /// Whether it waits for a partition, or a host.
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

/// Whose names a reference is one of. Shared instances and others do not take each other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
enum Names {
    OfParty(PartyId, bool),
    OfTree(InstanceId, bool),
}

impl Names {
    fn of(instance: &Instance) -> Self {
        match instance.requester {
            Requester::Party(party) => Self::OfParty(party, instance.shared),
            Requester::Instance(_) => Self::OfTree(instance.root, instance.shared),
        }
    }
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
    /// The living members of each tree.
    trees: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    /// The living shared instances on each instance.
    shares: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    places: BTreeMap<ComputerId, BTreeMap<PartitionId, Place>>,
}

impl Instances {
    /// An instance, living or ended.
    pub fn get(&self, instance: InstanceId) -> Option<&Instance> {
        self.all.get(&instance)
    }

    /// The living instance that a requester means by a reference: what `request()` answers with, and whose key its
    /// values are sealed under. From inside a tree all requesters mean the same.
    pub fn find(&self, requester: Requester, shared: bool, reference: &str) -> Option<&Instance> {
        let names = match requester {
            Requester::Party(party) => Names::OfParty(party, shared),
            Requester::Instance(parent) => Names::OfTree(self.all.get(&parent)?.root, shared),
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

    /// The living members of a tree, its root among them, by id.
    pub fn tree(&self, root: InstanceId) -> impl Iterator<Item = &Instance> {
        self.trees.get(&root).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// The living shared instances on an instance, by id.
    pub fn shares(&self, host: InstanceId) -> impl Iterator<Item = &Instance> {
        self.shares.get(&host).into_iter().flatten().filter_map(|id| self.all.get(id))
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
            Event::InstanceBanged(event) => self.nudge_tree(event.root, event.at, sequence),
            Event::InstanceRenamed(event) => self.renamed(event, sequence),
            Event::ComputerBanged(event) => self.computer_banged(event, sequence),
            Event::ConnectionParametersSet(event) => self.connection_set(event, sequence),
            _ => {}
        }
    }

    fn touch(&mut self, instance: InstanceId, by: Sequence) -> Option<&mut Instance> {
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

    fn place_mut(&mut self, computer: &ComputerId, partition: &PartitionId) -> &mut Place {
        let places = self.places.entry(computer.clone()).or_default();
        places.entry(partition.clone()).or_default()
    }

    fn offered(&mut self, event: &PartitionOffered, by: Sequence) {
        let Offer { partition, addresses, tap, user: _, capabilities: _ } = &event.offer;
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
        if let Requester::Instance(parent) = event.requester {
            self.children.entry(parent).or_default().insert(id);
        }
        self.by_owner.entry(event.owner).or_default().insert(id);
        self.trees.entry(event.root).or_default().insert(id);
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
            shared: event.shared,
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
        self.names.entry(Names::of(&instance)).or_default().insert(event.reference.clone(), id);
        self.all.insert(id, instance);
    }

    fn changed(&mut self, event: &InstanceChanged, by: Sequence) {
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
        if let Some(parameters) = &event.parameters {
            instance.parameters.clone_from(parameters);
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
        if let Some(allocation) = &mut instance.allocation {
            allocation.until = Some(event.at);
        }
        let names = Names::of(instance);
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
            // Its host went, and it with it: whoever asked for it may ask again.
            self.nudge(parent, event.at, by);
            return;
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
        let parent = match instance.requester {
            Requester::Instance(parent) => Some(parent),
            Requester::Party(_) => None,
        };
        self.nudge(parent, event.at, by);
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
        let names = Names::of(instance);
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

impl Projection for Instances {
    fn name(&self) -> &'static str {
        "instances"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::Command;
    use slapledger_core::domain::instance::{
        ReportInstance, RequestInstance, SetConnectionParameters, WithoutRoom,
    };

    use super::*;
    use crate::testing::{Story, computer, configure, offer, partition, release, request, sealed};
    use slapledger_core::domain::instance;

    const PARTY: Requester = Requester::Party(PartyId(1));

    fn on(place: &str) -> (ComputerId, PartitionId) {
        (computer("COMP-1"), partition(place))
    }

    fn says(place: &str, state: ReportedState, error: Option<u8>) -> Command {
        let (computer, partition) = on(place);
        Command::ReportInstance(ReportInstance {
            place: instance::Place::new(computer, partition),
            state,
            error: error.map(sealed),
        })
    }

    fn connects(place: &str, content: u8) -> Command {
        let (computer, partition) = on(place);
        let connection = sealed(content);
        Command::SetConnectionParameters(SetConnectionParameters {
            place: instance::Place::new(computer, partition),
            connection,
        })
    }

    /// SOFTINST-1 in slappart0, and SOFTINST-2 in slappart1, which it requested.
    fn tree() -> Story {
        let mut story = Story::begin();
        assert_eq!(story.request(request(PARTY, "parent")), InstanceId(1));
        assert_eq!(story.request(request(Requester::Instance(InstanceId(1)), "child")), InstanceId(2));
        story.passes(1_000_000);
        story
    }

    /// Which timestamps move with which command, and to when.
    #[test]
    fn timestamps_move_with_what_must_reach_the_node() {
        let parent = request(PARTY, "parent");
        let child = request(Requester::Instance(InstanceId(1)), "child");
        let changed = |change: fn(&mut RequestInstance)| {
            let mut wish = parent.clone();
            change(&mut wish);
            Command::RequestInstance(wish)
        };
        let offers =
            |address| configure("COMP-1", vec![offer("slappart0", address), offer("slappart1", "10.0.1.1")]);
        let user = || {
            let mut other = offer("slappart0", "10.0.1.0");
            other.user = Some("somebody".into());
            configure("COMP-1", vec![other, offer("slappart1", "10.0.1.1")])
        };
        let rows: [(&str, Command, &[u64]); 17] = [
            ("nothing new", Command::RequestInstance(parent.clone()), &[]),
            ("release", changed(|wish| wish.release = release("http://example.com/two.cfg")), &[1]),
            (
                "software type",
                changed(|wish| wish.software_type = SoftwareType::new("other").expect("a type")),
                &[1],
            ),
            ("parameters", changed(|wish| wish.parameters = sealed(7)), &[1]),
            ("stopped", changed(|wish| wish.state = Some(RequestedState::Stopped)), &[1]),
            ("destroyed", changed(|wish| wish.state = Some(RequestedState::Destroyed)), &[1]),
            ("purpose", changed(|wish| wish.instance_type = Some(InstanceType::Testing)), &[]),
            (
                "child's parameters",
                Command::RequestInstance(RequestInstance { parameters: sealed(7), ..child }),
                &[2],
            ),
            (
                "another child",
                Command::RequestInstance(request(Requester::Instance(InstanceId(2)), "other")),
                &[],
            ),
            ("state reported", says("slappart0", ReportedState::Started, None), &[]),
            ("error reported", says("slappart0", ReportedState::Error, Some(1)), &[]),
            ("own connection", connects("slappart0", 1), &[]),
            ("child's connection", connects("slappart1", 1), &[1]),
            ("address", offers("10.0.9.9"), &[1]),
            ("same address", offers("10.0.1.0"), &[]),
            ("unix user", user(), &[]),
            ("withdrawn", configure("COMP-1", vec![offer("slappart1", "10.0.1.1")]), &[]),
        ];
        for (name, command, moved) in rows {
            let mut story = tree();
            let before: Vec<_> = story.view.instances.iter().map(|known| known.changed_at).collect();
            story.then(command);
            for (known, before) in story.view.instances.iter().zip(before) {
                let expected = if moved.contains(&known.id.0) { story.now } else { before };
                assert_eq!(known.changed_at, expected, "{name}: {}", known.id);
            }
        }
    }

    #[test]
    fn two_changes_in_a_microsecond_are_two_timestamps() {
        let mut story = tree();
        let mut wish = request(PARTY, "parent");
        for content in 1..=3 {
            wish.parameters = sealed(content);
            story.then(Command::RequestInstance(wish.clone()));
            let parent = story.view.instances.get(InstanceId(1)).expect("the parent");
            assert_eq!(parent.changed_at, story.now.plus_micros(i64::from(content) - 1));
        }
    }

    #[test]
    fn a_timestamp_begins_with_the_allocation() {
        let mut story = tree();
        for name in ["third", "fourth"] {
            story.request(request(PARTY, name));
        }
        let waiting = story.request(request(PARTY, "waiting"));
        let requested_at = story.now;
        story.passes(5);
        story.then(Command::RequestInstance(RequestInstance {
            parameters: sealed(3),
            ..request(PARTY, "waiting")
        }));
        let known = story.view.instances.get(waiting).expect("it waits");
        assert!(known.waits());
        assert_eq!((known.changed_at, known.requested_at), (requested_at, requested_at));
        story.passes(5);
        let more = ["slappart0", "slappart1", "slappart2"].map(|name| offer(name, "10.0.1.0")).to_vec();
        story.then(configure("COMP-2", more));
        let known = story.view.instances.get(waiting).expect("it is allocated");
        assert_eq!(known.changed_at, story.now);
        assert_eq!(known.allocation.as_ref().map(|place| place.from), Some(story.now));
        let there = story.view.instances.occupant("COMP-2", "slappart2").map(|known| known.id);
        assert_eq!(there, Some(waiting));
    }

    #[test]
    fn names_belong_to_the_requester_or_the_tree_and_to_the_living() {
        let mut story = tree();
        let found =
            |story: &Story, by, name| story.view.instances.find(by, false, name).map(|known| known.id.0);
        let (parent, child) = (Requester::Instance(InstanceId(1)), Requester::Instance(InstanceId(2)));
        assert_eq!(found(&story, PARTY, "parent"), Some(1));
        assert_eq!(found(&story, PARTY, "child"), None);
        assert_eq!(found(&story, parent, "child"), Some(2));
        assert_eq!(found(&story, child, "child"), Some(2));
        assert_eq!(found(&story, Requester::Instance(InstanceId(9)), "child"), None);
        let same_name = story.request(request(PARTY, "child"));
        assert_eq!(found(&story, PARTY, "child"), Some(same_name.0));

        let gone = RequestInstance { state: Some(RequestedState::Destroyed), ..request(child, "child") };
        story.then(Command::RequestInstance(gone));
        assert_eq!(found(&story, parent, "child"), Some(2));
        story.then(says("slappart1", ReportedState::Destroyed, None));
        assert_eq!(found(&story, parent, "child"), None);
        assert_eq!(story.view.instances.occupant("COMP-1", "slappart1"), None);
        let ended = story.view.instances.get(InstanceId(2)).expect("it is remembered");
        assert_eq!((ended.lives(), ended.ended_at), (false, Some(story.now)));
        assert_eq!(ended.allocation.as_ref().and_then(|place| place.until), Some(story.now));
        assert_eq!(story.view.instances.children(InstanceId(1)).count(), 1);
        let again = story.request(request(parent, "child"));
        assert_eq!((found(&story, parent, "child"), again), (Some(4), InstanceId(4)));
        let here: Vec<_> =
            story.view.instances.on_computer("COMP-1").map(|(at, known)| (at.as_str(), known.id.0)).collect();
        assert_eq!(here, [("slappart0", 1), ("slappart1", 4)]);
    }

    #[test]
    fn lists_are_filtered_and_paged() {
        let mut story = Story::begin();
        for n in 0..4 {
            let mut wish = request(PARTY, &format!("instance {n}"));
            wish.without_room = WithoutRoom::Wait;
            wish.instance_type = (n % 2 == 1).then_some(InstanceType::Testing);
            story.request(wish);
        }
        let all = InstanceFilter::default();
        let ids = |filter: &InstanceFilter<'_>, after: Option<u64>, limit| {
            let page = story.view.instances.list(filter, after.map(InstanceId), limit);
            (page.items.iter().map(|known| known.id.0).collect::<Vec<_>>(), page.next.map(|id| id.0))
        };
        assert_eq!(ids(&all, None, 3), (vec![1, 2, 3], Some(3)));
        assert_eq!(ids(&all, Some(3), 3), (vec![4], None));
        assert_eq!(ids(&all, None, 4), (vec![1, 2, 3, 4], None));
        let owned = InstanceFilter { owner: Some(PartyId(1)), ..all };
        assert_eq!(ids(&owned, Some(1), 2), (vec![2, 3], Some(3)));
        assert_eq!(ids(&InstanceFilter { owner: Some(PartyId(2)), ..all }, None, 9), (vec![], None));
        assert_eq!(ids(&InstanceFilter { computer: Some("COMP-2"), ..all }, None, 9), (vec![3, 4], None));
        let testing = InstanceFilter { instance_type: Some(InstanceType::Testing), ..all };
        assert_eq!(ids(&testing, None, 1), (vec![2], Some(2)));
        assert_eq!(ids(&testing, Some(2), 1), (vec![4], None));
        assert_eq!(ids(&InstanceFilter { reference: Some("instance 2"), ..all }, None, 9), (vec![3], None));
        assert_eq!(ids(&InstanceFilter { lives: Some(false), ..all }, None, 9), (vec![], None));
    }
}
