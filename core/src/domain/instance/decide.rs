//! What is decided about instances: requests, allocation, and what nodes report.

use std::collections::BTreeSet;

use super::{
    ConnectionParametersSet, Instance, InstanceAllocated, InstanceChanged, InstanceEnded, InstanceRefusal,
    InstanceRequested, InstanceStateReported, InstanceType, Instances, Names, ReportInstance, ReportedState,
    RequestInstance, RequestOutcome, RequestedState, Requester, SetConnectionParameters, WithoutRoom,
    named_computer,
};
use crate::domain::Outcome;
use crate::domain::computer::Computers;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{ComputerId, InstanceId, PartitionId, PartyId, SoftwareRelease};
use crate::domain::party::Parties;
use crate::domain::software::Supplies;
use crate::domain::time::Timestamp;

/// What a decision about an instance looks at besides instances.
pub(crate) struct Surroundings<'a> {
    pub(crate) parties: &'a Parties,
    pub(crate) computers: &'a Computers,
    pub(crate) supplies: &'a Supplies,
}

impl<'a> Surroundings<'a> {
    /// The first free partition where an instance may be: on the computer its filter names; else on one that
    /// holds the release already; else anywhere.
    fn room(
        &self,
        release: &SoftwareRelease,
        filter: &[(Box<str>, Box<str>)],
    ) -> Option<(&'a ComputerId, &'a PartitionId)> {
        if let Some(named) = named_computer(filter) {
            return self.computers.first_free(named);
        }
        let with_room = self.computers.with_room();
        let holders = self.supplies.holders(release);
        let holder = holders.and_then(|holders| with_room.intersection(holders).next());
        self.computers.first_free(holder.or_else(|| with_room.first())?.as_str())
    }
}

impl Instances {
    pub(crate) fn request(
        &self,
        around: &Surroundings<'_>,
        command: &RequestInstance,
        now: Timestamp,
    ) -> Result<Outcome<(InstanceId, RequestOutcome, bool)>, InstanceRefusal> {
        if let Requester::Party(party) = command.requester
            && around.parties.get(party).is_none()
        {
            return Err(InstanceRefusal::UnknownParty { party });
        }
        let (names, owner, root) = self.names_of(command.requester)?;
        match self.names.get(&(names, command.reference.clone())) {
            Some(&instance) => self.change(instance, command, now),
            None => self.create(around, command, (owner, root), now),
        }
    }

    fn change(
        &self,
        id: InstanceId,
        command: &RequestInstance,
        now: Timestamp,
    ) -> Result<Outcome<(InstanceId, RequestOutcome, bool)>, InstanceRefusal> {
        let known = self.live(id)?;
        if command.parameters.key != known.key {
            return Err(InstanceRefusal::OtherKey { reference: command.reference.clone() });
        }
        let other_parameters = command.parameters.digest != known.parameters;
        let change = InstanceChanged {
            instance: id,
            release: (command.release != known.release).then(|| command.release.clone()),
            software_type: (command.software_type != known.software_type)
                .then(|| command.software_type.clone()),
            instance_type: command.instance_type.filter(|told| *told != known.purpose),
            parameters: other_parameters.then(|| command.parameters.clone()),
            state: command.state.filter(|told| *told != known.state),
            at: now,
        };
        let allocated = known.allocation.is_some();
        let nothing_new = change.release.is_none()
            && change.software_type.is_none()
            && change.instance_type.is_none()
            && change.parameters.is_none()
            && change.state.is_none();
        if nothing_new {
            return Ok(Outcome::unchanged((id, RequestOutcome::Unchanged, allocated)));
        }
        let ends = change.state == Some(RequestedState::Destroyed) && !allocated;
        let mut events = vec![(Stream::Instance(id), Event::InstanceChanged(change))];
        if ends {
            let event = InstanceEnded { instance: id, at: now };
            events.push((Stream::Instance(id), Event::InstanceEnded(event)));
        }
        Ok(Outcome::of((id, RequestOutcome::Changed, allocated), events))
    }

    fn create(
        &self,
        around: &Surroundings<'_>,
        command: &RequestInstance,
        (owner, root): (PartyId, Option<InstanceId>),
        now: Timestamp,
    ) -> Result<Outcome<(InstanceId, RequestOutcome, bool)>, InstanceRefusal> {
        let state = command.state.unwrap_or(RequestedState::Started);
        if state == RequestedState::Destroyed {
            return Err(InstanceRefusal::NothingToDestroy { reference: command.reference.clone() });
        }
        // The instance this was sealed for is gone: its key may be destroyed any time, and these values with it.
        if self.keys.contains(&command.parameters.key) {
            return Err(InstanceRefusal::OtherKey { reference: command.reference.clone() });
        }
        let instance = InstanceId(self.all.len() as u64 + 1);
        let mut filter = command.filter.clone();
        if let Some(computer) = &command.default_computer
            && filter.iter().all(|(key, _)| &**key != "computer_guid")
        {
            filter.push(("computer_guid".into(), computer.as_str().into()));
        }
        let found = around.room(&command.release, &filter);
        if found.is_none() && command.without_room == WithoutRoom::Refuse {
            return Err(InstanceRefusal::NoRoom { reference: command.reference.clone() });
        }
        let requested = InstanceRequested {
            instance,
            requester: command.requester,
            owner,
            root: root.unwrap_or(instance),
            reference: command.reference.clone(),
            release: command.release.clone(),
            software_type: command.software_type.clone(),
            instance_type: command.instance_type.unwrap_or(InstanceType::Production),
            parameters: command.parameters.clone(),
            filter,
            state,
            at: now,
        };
        let allocated = found.is_some();
        let allocation = found.map(|(computer, partition)| {
            let (computer, partition) = (computer.clone(), partition.clone());
            Event::InstanceAllocated(InstanceAllocated { instance, computer, partition, at: now })
        });
        let events = [Event::InstanceRequested(requested)].into_iter().chain(allocation);
        let events = events.map(|event| (Stream::Instance(instance), event));
        Ok(Outcome::of((instance, RequestOutcome::Created, allocated), events))
    }

    /// Gives the free partitions of these computers to those who wait, first come first served. Other computers
    /// have nothing for them, or they would not be waiting.
    pub(crate) fn allocate_waiting(
        &self,
        computers: &Computers,
        freed: &BTreeSet<ComputerId>,
        now: Timestamp,
    ) -> Vec<(Stream, Event)> {
        let nobody = BTreeSet::new();
        let mut given = BTreeSet::new();
        let mut events = Vec::new();
        for (id, computer) in freed.iter().filter_map(|id| Some((id, computers.get(id.as_str())?))) {
            let here = self.waiting.on.get(id.as_str()).unwrap_or(&nobody);
            let first_come = here.union(&self.waiting.anywhere).filter(|instance| !given.contains(*instance));
            let pairs: Vec<_> = computer.free().zip(first_come).collect();
            for (partition, &instance) in pairs {
                given.insert(instance);
                let (computer, partition) = (id.clone(), partition.clone());
                let event = InstanceAllocated { instance, computer, partition, at: now };
                events.push((Stream::Instance(instance), Event::InstanceAllocated(event)));
            }
        }
        events
    }

    /// Whether somebody waits for room.
    pub(crate) fn anybody_waits(&self) -> bool {
        !self.waiting.anywhere.is_empty() || !self.waiting.on.is_empty()
    }

    fn occupant(
        &self,
        computers: &Computers,
        (computer, partition): (&ComputerId, &PartitionId),
    ) -> Result<(InstanceId, &Instance), InstanceRefusal> {
        let known = computers.known(computer)?;
        let place = || (computer.clone(), partition.clone());
        if !known.has_partition(partition.as_str()) {
            let (computer, partition) = place();
            return Err(InstanceRefusal::UnknownPartition { computer, partition });
        }
        let occupant = known.occupant(partition).and_then(|id| self.get(id).map(|instance| (id, instance)));
        occupant.ok_or_else(|| {
            let (computer, partition) = place();
            InstanceRefusal::PartitionFree { computer, partition }
        })
    }

    pub(crate) fn report(
        &self,
        computers: &Computers,
        command: &ReportInstance,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let (id, instance) = self.occupant(computers, (&command.computer, &command.partition))?;
        if command.error.as_ref().is_some_and(|error| error.key != instance.key) {
            return Err(InstanceRefusal::OtherKey { reference: instance.reference.clone() });
        }
        let ends = command.state == ReportedState::Destroyed;
        if ends && instance.state != RequestedState::Destroyed {
            return Err(InstanceRefusal::NotToBeDestroyed { instance: id });
        }
        let digest = command.error.as_ref().map(|error| error.digest);
        let (state, error) = (command.state, command.error.clone());
        let reported = InstanceStateReported { instance: id, state, error, at: now };
        let stream = Stream::Instance(id);
        if ends {
            let living: Vec<_> = self.children.get(&id).into_iter().flatten().collect();
            if !living.is_empty() {
                return Ok(Outcome::of((), self.destroy_children(&living, now)));
            }
            let ended = InstanceEnded { instance: id, at: now };
            let events = [Event::InstanceStateReported(reported), Event::InstanceEnded(ended)];
            return Ok(Outcome::of((), events.map(|event| (stream.clone(), event))));
        }
        if instance.reported == Some((state, digest)) {
            return Ok(Outcome::unchanged(()));
        }
        Ok(Outcome::of((), [(stream, Event::InstanceStateReported(reported))]))
    }

    /// A parent goes last: its children are asked away first, and the node reports it again when they are gone.
    fn destroy_children(&self, living: &[&InstanceId], now: Timestamp) -> Vec<(Stream, Event)> {
        let wanted = living.iter().filter_map(|id| self.get(**id).map(|child| (**id, child)));
        let mut events = Vec::new();
        for (child, known) in wanted.filter(|(_, child)| child.state != RequestedState::Destroyed) {
            let event = InstanceChanged {
                instance: child,
                release: None,
                software_type: None,
                instance_type: None,
                parameters: None,
                state: Some(RequestedState::Destroyed),
                at: now,
            };
            events.push((Stream::Instance(child), Event::InstanceChanged(event)));
            if known.allocation.is_none() {
                let event = InstanceEnded { instance: child, at: now };
                events.push((Stream::Instance(child), Event::InstanceEnded(event)));
            }
        }
        events
    }

    pub(crate) fn set_connection(
        &self,
        computers: &Computers,
        command: &SetConnectionParameters,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let (id, instance) = self.occupant(computers, (&command.computer, &command.partition))?;
        if command.connection.key != instance.key {
            return Err(InstanceRefusal::OtherKey { reference: instance.reference.clone() });
        }
        if instance.connection == Some(command.connection.digest) {
            return Ok(Outcome::unchanged(()));
        }
        let event = ConnectionParametersSet { instance: id, connection: command.connection.clone(), at: now };
        Ok(Outcome::of((), [(Stream::Instance(id), Event::ConnectionParametersSet(event))]))
    }

    fn live(&self, instance: InstanceId) -> Result<&Instance, InstanceRefusal> {
        self.get(instance).filter(|known| !known.ended).ok_or(InstanceRefusal::UnknownInstance { instance })
    }

    fn names_of(
        &self,
        requester: Requester,
    ) -> Result<(Names, PartyId, Option<InstanceId>), InstanceRefusal> {
        Ok(match requester {
            Requester::Party(party) => (Names::OfParty(party), party, None),
            Requester::Instance(parent) => {
                // Only from inside its partition can an instance ask for another.
                let placed = self.live(parent).ok().filter(|known| known.allocation.is_some());
                let parent = placed.ok_or(InstanceRefusal::UnknownInstance { instance: parent })?;
                (Names::OfTree(parent.root), parent.owner, Some(parent.root))
            }
        })
    }
}
