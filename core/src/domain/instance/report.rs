//! What is decided of what nodes and instances say: states, errors, connection parameters, bangs and names.

use super::commands::{
    BangInstance, InstancePlace, InstanceRefusal, RenameInstance, ReportInstance, SetConnectionParameters,
};
use super::events::{
    ConnectionParametersSet, InstanceBanged, InstanceChanged, InstanceEnded, InstanceRenamed,
    InstanceStateReported, ReportedState, RequestedState,
};
use super::parts::in_parts;
use super::room::InstanceSurroundings;
use super::state::{Instance, Instances};
use crate::domain::Outcome;
use crate::domain::computer::Computers;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{InstanceId, KeyId};
use crate::domain::time::Timestamp;

impl Instances {
    /// Whom a node speaks of: who is in the partition, or a shared instance that lives on that one.
    fn meant(
        &self,
        computers: &Computers,
        place: &InstancePlace,
    ) -> Result<(InstanceId, &Instance), InstanceRefusal> {
        let InstancePlace { computer, partition, shared } = place;
        let known = computers.known(computer)?;
        let named = || (computer.clone(), partition.clone());
        if !known.has_partition(partition.as_str()) {
            let (computer, partition) = named();
            return Err(InstanceRefusal::UnknownPartition { computer, partition });
        }
        let occupant = known.occupant(partition).and_then(|id| self.get(id).map(|instance| (id, instance)));
        let (host, instance) = occupant.ok_or_else(|| {
            let (computer, partition) = named();
            InstanceRefusal::PartitionFree { computer, partition }
        })?;
        let Some(shared) = *shared else { return Ok((host, instance)) };
        let lives = self.shares(host).any(|id| id == shared);
        let known = self.get(shared).filter(|_| lives);
        known.map(|known| (shared, known)).ok_or(InstanceRefusal::UnknownInstance { instance: shared })
    }

    pub(crate) fn report(
        &self,
        around: &InstanceSurroundings<'_>,
        command: &ReportInstance,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let (id, instance) = self.meant(around.computers, &command.place)?;
        instance.check_key(command.error.as_ref().map(|error| error.key))?;
        let ends = command.state == ReportedState::Destroyed;
        // slapos proxy frees whatever its node says is gone.
        let wanted = instance.shared || around.is_master();
        if ends && wanted && instance.state != RequestedState::Destroyed {
            return Err(InstanceRefusal::NotToBeDestroyed { instance: id });
        }
        let digest = command.error.as_ref().map(|error| error.digest);
        let (state, error) = (command.state, command.error.clone());
        let reported = InstanceStateReported { instance: id, state, error, at: now };
        let reported = (Stream::Instance(id), Event::InstanceStateReported(reported));
        if ends {
            // A root goes last, as at slapos proxy; all others go when their node says so, and those that they requested
            // become the root's. So a tree ends in two report runs, in whatever order a node reports it.
            if instance.root != id {
                let root = instance.root;
                let left = self.children.get(&id).into_iter().flatten().map(|child| {
                    let event = InstanceChanged { requester: Some(root), ..unchanged(*child, now) };
                    (Stream::Instance(*child), Event::InstanceChanged(event))
                });
                let ended = self.shares(id).chain([id]).map(|id| ended(id, now));
                return Ok(Outcome::of((), left.chain([reported]).chain(ended)));
            }
            let children = self.children.get(&id).is_some_and(|children| !children.is_empty());
            if children {
                return Ok(Outcome::of((), self.destroy_tree(id, now)));
            }
            let ended = self.shares(id).chain([id]).map(|id| ended(id, now));
            return Ok(Outcome::of((), [reported].into_iter().chain(ended)));
        }
        if instance.reported == Some((state, digest)) {
            return Ok(Outcome::unchanged(()));
        }
        Ok(Outcome::of((), [reported]))
    }

    /// Asks the living children of an instance away.
    pub(super) fn destroy_children(&self, parent: InstanceId, now: Timestamp) -> Vec<(Stream, Event)> {
        let children = self.children.get(&parent).into_iter().flatten();
        let wanted = children.filter_map(|id| self.get(*id).map(|known| (*id, known)));
        let wanted = wanted.filter(|(_, child)| child.state != RequestedState::Destroyed);
        wanted.flat_map(|(child, known)| known.destroy(child, now)).collect()
    }

    pub(crate) fn set_connection(
        &self,
        computers: &Computers,
        command: &SetConnectionParameters,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let (id, instance) = self.meant(computers, &command.place)?;
        instance.check_key(Some(command.connection.key))?;
        if instance.connection == Some(command.connection.digest) {
            return Ok(Outcome::unchanged(()));
        }
        let event = ConnectionParametersSet { instance: id, connection: command.connection.clone(), at: now };
        let events = in_parts(vec![(Stream::Instance(id), Event::ConnectionParametersSet(event))]);
        Ok(Outcome::of((), events))
    }

    pub(crate) fn bang(
        &self,
        computers: &Computers,
        command: &BangInstance,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let (id, instance) = self.meant(computers, &command.place)?;
        instance.check_key(command.message.as_ref().map(|message| message.key))?;
        let (root, message) = (instance.root, command.message.clone());
        let event = InstanceBanged { instance: id, root, message, at: now };
        Ok(Outcome::of((), [(Stream::Instance(id), Event::InstanceBanged(event))]))
    }

    pub(crate) fn rename(
        &self,
        computers: &Computers,
        command: &RenameInstance,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let (id, instance) = self.meant(computers, &command.place)?;
        let reference = command.reference.clone();
        match self.names.get(&(instance.names(), reference.clone())) {
            Some(known) if *known == id => Ok(Outcome::unchanged(())),
            Some(_) => Err(InstanceRefusal::NameTaken { reference }),
            None => {
                let event = InstanceRenamed { instance: id, reference, at: now };
                Ok(Outcome::of((), [(Stream::Instance(id), Event::InstanceRenamed(event))]))
            }
        }
    }
}

impl Instance {
    /// What is sealed for an instance must be sealed under its key.
    fn check_key(&self, key: Option<KeyId>) -> Result<(), InstanceRefusal> {
        match key.filter(|key| *key != self.key) {
            Some(_) => Err(InstanceRefusal::OtherKey { reference: self.reference.clone() }),
            None => Ok(()),
        }
    }

    /// Asks it away. Who has no partition of its own is gone at once.
    pub(super) fn destroy(
        &self,
        id: InstanceId,
        now: Timestamp,
    ) -> impl Iterator<Item = (Stream, Event)> + use<> {
        let state = Some(RequestedState::Destroyed);
        let event = InstanceChanged { state, wish: state, ..unchanged(id, now) };
        let gone = (self.shared || self.allocation.is_none()).then(|| ended(id, now));
        [(Stream::Instance(id), Event::InstanceChanged(event))].into_iter().chain(gone)
    }
}

/// A change of nothing yet.
pub(super) fn unchanged(instance: InstanceId, at: Timestamp) -> InstanceChanged {
    InstanceChanged {
        instance,
        release: None,
        software_type: None,
        instance_type: None,
        parameters: None,
        state: None,
        wish: None,
        filter: None,
        requester: None,
        at,
    }
}

/// The end of an instance.
pub(super) fn ended(instance: InstanceId, at: Timestamp) -> (Stream, Event) {
    (Stream::Instance(instance), Event::InstanceEnded(InstanceEnded { instance, at }))
}
