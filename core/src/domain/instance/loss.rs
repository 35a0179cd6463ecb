//! What becomes of instances whose partition is gone: it left the configuration of its computer, or the computer is
//! retired. No node can report them as destroyed any more.
//!
//! They end, with the shared instances on them. At a master, the root of a tree that its owner still wants is requested
//! again by the same decision, with what was requested of it, so that no crash comes in between; it gets a partition as
//! any request does. What it requested itself it requests again when it runs. In a proxy, instances that one in the middle of a tree requested
//! become its root's, as slapos proxy has it; all others are requested to be destroyed, wherever they are. Nothing of
//! the past changes: what they used and cost stays.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::{InstanceRefusal, ReleasePartition, RequestedAgain};
use super::events::{InstanceChanged, InstanceRequested, RequestedState, Requester};
use super::parts::in_parts;
use super::report::{ended, unchanged};
use super::room::InstanceSurroundings;
use super::state::{Instance, Instances};
use crate::domain::Outcome;
use crate::domain::computer::{ComputerRetired, PartitionWithdrawn, RetireComputer};
use crate::domain::event::{Event, Stream};
use crate::domain::id::InstanceId;
use crate::domain::time::Timestamp;

impl Instances {
    /// The instance in a partition that its computer does not offer any more ends.
    pub(crate) fn release(
        &self,
        around: &InstanceSurroundings<'_>,
        command: &ReleasePartition,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let ReleasePartition { computer, partition, again } = command;
        let known = around.computers.known(computer)?;
        let named = || (computer.clone(), partition.clone());
        if !known.has_partition(partition.as_str()) {
            let (computer, partition) = named();
            return Err(InstanceRefusal::UnknownPartition { computer, partition });
        }
        if known.offers(partition) {
            let (computer, partition) = named();
            return Err(InstanceRefusal::StillOffered { computer, partition });
        }
        let occupant = known.occupant(partition).ok_or_else(|| {
            let (computer, partition) = named();
            InstanceRefusal::PartitionFree { computer, partition }
        })?;
        let mut events = self.lose(around, [occupant], now);
        events.extend(self.request_again(around, &[occupant], again, now)?);
        Ok(Outcome::of((), events))
    }

    /// A computer is gone for good, and all that is on it.
    pub(crate) fn retire(
        &self,
        around: &InstanceSurroundings<'_>,
        command: &RetireComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let RetireComputer { computer, again } = command;
        let known = around.computers.known(computer)?;
        let named: BTreeSet<InstanceId> = again.iter().map(|again| again.instance).collect();
        let stays = |id: &InstanceId| self.wanted_of_party(around, *id).is_some() && !named.contains(id);
        let occupants = around.computers.occupants(computer).filter(|id| !stays(id));
        let occupants: Vec<InstanceId> = occupants.collect();
        let mut lost = self.lose(around, occupants.iter().copied(), now);
        lost.extend(self.request_again(around, &occupants, again, now)?);
        if known.is_retired() {
            return Ok(Outcome::of((), lost));
        }
        let stream = Stream::Computer(computer.clone());
        let withdrawn = known.offered().map(|partition| {
            let event =
                PartitionWithdrawn { computer: computer.clone(), partition: partition.clone(), at: now };
            Event::PartitionWithdrawn(event)
        });
        let retired = Event::ComputerRetired(ComputerRetired { computer: computer.clone(), at: now });
        let events = withdrawn.chain([retired]).map(|event| (stream.clone(), event));
        Ok(Outcome::of((), events.chain(lost)))
    }

    /// An instance that a party requested and still wants, at a master: it does not end without another in its place.
    fn wanted_of_party(&self, around: &InstanceSurroundings<'_>, id: InstanceId) -> Option<&Instance> {
        self.get(id).filter(|known| {
            let Requester::Party(party) = known.requester else { return false };
            around.is_master()
                && known.wish != RequestedState::Destroyed
                && known.state != RequestedState::Destroyed
                && around.parties.get(party).is_some_and(|party| !party.erased)
        })
    }

    /// The requests in place of instances that end, where their owners still want them. Each needs its parameters sealed
    /// again; if those have changed since, they are sealed once more.
    fn request_again(
        &self,
        around: &InstanceSurroundings<'_>,
        ending: &[InstanceId],
        again: &[RequestedAgain],
        now: Timestamp,
    ) -> Result<Vec<(Stream, Event)>, InstanceRefusal> {
        let again: BTreeMap<InstanceId, &RequestedAgain> =
            again.iter().map(|again| (again.instance, again)).collect();
        let mut keys = BTreeSet::new();
        let mut events = Vec::new();
        let wanted = ending.iter().filter_map(|id| Some((*id, self.wanted_of_party(around, *id)?)));
        for ((old, known), number) in wanted.zip(self.all.len() as u64 + 1..) {
            let sealed = again.get(&old).filter(|again| again.parameters_were == known.parameters);
            let sealed = sealed.map(|again| &again.parameters);
            let sealed = sealed.filter(|sealed| !self.keys.contains(&sealed.key) && keys.insert(sealed.key));
            let parameters =
                sealed.ok_or_else(|| InstanceRefusal::OtherKey { reference: known.reference.clone() })?;
            let instance = InstanceId(number);
            let requested = InstanceRequested {
                instance,
                requester: known.requester,
                owner: known.owner,
                root: instance,
                reference: known.reference.clone(),
                release: known.release.clone(),
                software_type: known.software_type.clone(),
                instance_type: known.purpose,
                parameters: parameters.clone(),
                filter: known.filter.clone(),
                state: known.wish,
                shared: known.shared,
                at: now,
            };
            events.push((Stream::Instance(instance), Event::InstanceRequested(requested)));
        }
        Ok(in_parts(events))
    }

    /// In a proxy, what ends because of the partitions that these events withdraw. A master keeps it until somebody
    /// releases the partition: a node may come back.
    pub(crate) fn lost_by(
        &self,
        around: &InstanceSurroundings<'_>,
        events: &[(Stream, Event)],
        now: Timestamp,
    ) -> Vec<(Stream, Event)> {
        if around.is_master() {
            return Vec::new();
        }
        let occupants = events.iter().filter_map(|(_, event)| match event {
            Event::PartitionWithdrawn(gone) => {
                around.computers.get(gone.computer.as_str())?.occupant(&gone.partition)
            }
            _ => None,
        });
        self.lose(around, occupants, now)
    }

    /// The events that end instances whose partitions are gone.
    pub(crate) fn lose(
        &self,
        around: &InstanceSurroundings<'_>,
        occupants: impl IntoIterator<Item = InstanceId>,
        now: Timestamp,
    ) -> Vec<(Stream, Event)> {
        let occupants: BTreeSet<InstanceId> = occupants.into_iter().collect();
        let shares = occupants.iter().flat_map(|occupant| self.shares(*occupant));
        let lost: BTreeSet<InstanceId> = shares.chain(occupants.iter().copied()).collect();
        let mut events = Vec::new();
        let mut handled = lost.clone();
        for (occupant, known) in occupants.iter().filter_map(|id| Some((*id, self.get(*id)?))) {
            let root = known.root;
            if !around.is_master() && root != occupant && !lost.contains(&root) {
                let left = self.children_of(occupant).filter(|child| handled.insert(*child));
                events.extend(left.map(|child| {
                    let event = InstanceChanged { requester: Some(root), ..unchanged(child, now) };
                    (Stream::Instance(child), Event::InstanceChanged(event))
                }));
                continue;
            }
            for under in self.all_under(occupant) {
                if handled.insert(under) {
                    let wanted = self.get(under).filter(|known| known.state != RequestedState::Destroyed);
                    events.extend(wanted.into_iter().flat_map(|known| known.destroy(under, now)));
                }
            }
        }
        events.extend(lost.into_iter().map(|id| ended(id, now)));
        events
    }

    fn children_of(&self, parent: InstanceId) -> impl Iterator<Item = InstanceId> {
        self.children.get(&parent).into_iter().flatten().copied()
    }

    /// All living instances that were requested from inside one, or from inside what was.
    fn all_under(&self, top: InstanceId) -> Vec<InstanceId> {
        let mut under: Vec<InstanceId> = self.children_of(top).collect();
        let mut at = 0;
        while let Some(parent) = under.get(at).copied() {
            under.extend(self.children_of(parent));
            at += 1;
        }
        under
    }
}
