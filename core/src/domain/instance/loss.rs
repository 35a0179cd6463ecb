//! What becomes of instances whose partition is gone: it left the configuration of its computer, or the computer is
//! retired. No node can report them as destroyed any more.
//!
//! They end, with the shared instances on them. In a proxy, instances that one in the middle of a tree requested
//! become its root's, as slapos proxy has it; all others are requested to be destroyed, wherever they are. Nothing of
//! the past changes: what they used and cost stays.

use std::collections::BTreeSet;

use super::commands::{InstanceRefusal, ReleasePartition};
use super::events::{InstanceChanged, RequestedState};
use super::report::{ended, unchanged};
use super::room::Surroundings;
use super::state::Instances;
use crate::domain::Outcome;
use crate::domain::computer::{ComputerRetired, PartitionWithdrawn, RetireComputer, UnknownComputer};
use crate::domain::event::{Event, Stream};
use crate::domain::id::InstanceId;
use crate::domain::time::Timestamp;

impl Instances {
    /// The instance in a partition that its computer does not offer any more ends.
    pub(crate) fn release(
        &self,
        around: &Surroundings<'_>,
        command: &ReleasePartition,
        now: Timestamp,
    ) -> Result<Outcome<()>, InstanceRefusal> {
        let ReleasePartition { computer, partition } = command;
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
        Ok(Outcome::of((), self.lose(around, [occupant], now)))
    }

    /// A computer is gone for good, and all that is on it.
    pub(crate) fn retire(
        &self,
        around: &Surroundings<'_>,
        command: &RetireComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, UnknownComputer> {
        let computer = &command.computer;
        let known = around.computers.known(computer)?;
        if known.is_retired() {
            return Ok(Outcome::unchanged(()));
        }
        let stream = Stream::Computer(computer.clone());
        let withdrawn = known.offered().map(|partition| {
            let event =
                PartitionWithdrawn { computer: computer.clone(), partition: partition.clone(), at: now };
            Event::PartitionWithdrawn(event)
        });
        let retired = Event::ComputerRetired(ComputerRetired { computer: computer.clone(), at: now });
        let events = withdrawn.chain([retired]).map(|event| (stream.clone(), event));
        let lost = self.lose(around, around.computers.occupants(computer), now);
        Ok(Outcome::of((), events.chain(lost)))
    }

    /// In a proxy, what ends because of the partitions that these events withdraw. A master keeps it until somebody
    /// releases the partition: a node may come back.
    pub(crate) fn lost_by(
        &self,
        around: &Surroundings<'_>,
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
        around: &Surroundings<'_>,
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
