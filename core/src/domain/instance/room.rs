//! Where there is room: for instances a partition, for shared ones a host; and who waits for it.

use std::collections::BTreeSet;

use super::events::{InstanceAllocated, Requester};
use super::filter::{self, Filter};
use super::state::{Instance, Instances};
use crate::domain::computer::{Computer, Computers};
use crate::domain::event::{Event, Mode, Stream};
use crate::domain::id::{ComputerId, InstanceId, PartitionId, PartyId, SoftwareRelease, SoftwareType};
use crate::domain::party::Parties;
use crate::domain::software::Supplies;
use crate::domain::time::Timestamp;

/// What a decision about an instance looks at besides instances.
pub(crate) struct Surroundings<'a> {
    pub(crate) mode: Mode,
    pub(crate) parties: &'a Parties,
    pub(crate) computers: &'a Computers,
    pub(crate) supplies: &'a Supplies,
}

impl Surroundings<'_> {
    /// Whether the rules of the master hold; those of slapos proxy, if not.
    pub(super) fn is_master(&self) -> bool {
        self.mode == Mode::Serve
    }
}

/// Who looks for room, and for what.
pub(super) struct Wish<'a> {
    pub(super) owner: PartyId,
    /// The root of the tree it is in, if that exists already.
    pub(super) root: Option<InstanceId>,
    pub(super) release: &'a SoftwareRelease,
    pub(super) software_type: &'a SoftwareType,
    pub(super) filter: &'a Filter,
    pub(super) shared: bool,
}

impl<'a> Wish<'a> {
    fn of(instance: &'a Instance) -> Self {
        Self {
            owner: instance.owner,
            root: Some(instance.root),
            release: &instance.release,
            software_type: &instance.software_type,
            filter: &instance.filter,
            shared: instance.shared,
        }
    }
}

/// A place for an instance: a partition, or that of a host.
pub(super) struct Room {
    pub(super) computer: ComputerId,
    pub(super) partition: PartitionId,
    pub(super) host: Option<InstanceId>,
}

impl Room {
    pub(super) fn allocate(self, instance: InstanceId, at: Timestamp) -> Event {
        let Self { computer, partition, host } = self;
        Event::InstanceAllocated(InstanceAllocated { instance, computer, partition, host, at })
    }
}

/// Where events may have made room.
#[derive(Default)]
pub(crate) struct Affected {
    /// Computers with a partition that was taken, or that let others in than before.
    pub(crate) computers: BTreeSet<ComputerId>,
    /// Releases that run somewhere else or otherwise than before.
    pub(crate) releases: BTreeSet<SoftwareRelease>,
}

impl Affected {
    fn is_empty(&self) -> bool {
        self.computers.is_empty() && self.releases.is_empty()
    }
}

impl Instances {
    pub(super) fn room(&self, around: &Surroundings<'_>, wish: &Wish<'_>) -> Option<Room> {
        if wish.shared { self.host(around, wish) } else { self.partition(around, wish) }
    }

    /// A free partition: on the computer the filter names; else on one that holds the release already; else
    /// anywhere.
    fn partition(&self, around: &Surroundings<'_>, wish: &Wish<'_>) -> Option<Room> {
        let computers = around.computers;
        let on = |id: &ComputerId| {
            let computer = computers.get(id.as_str())?;
            let mut free = self.fitting(around, wish, id, computer);
            free.next().map(|partition| Room {
                computer: id.clone(),
                partition: partition.clone(),
                host: None,
            })
        };
        if let Some(named) = filter::named_computer(wish.filter) {
            return on(computers.with_room().get(named)?);
        }
        let with_room = computers.with_room();
        let holders = around.supplies.holders(wish.release);
        let holding = holders.into_iter().flat_map(|holders| with_room.intersection(holders));
        holding.chain(with_room).find_map(on)
    }

    /// The free partitions of a computer that a wish may have.
    fn fitting<'c>(
        &self,
        around: &Surroundings<'_>,
        wish: &Wish<'_>,
        id: &ComputerId,
        computer: &'c Computer,
    ) -> impl Iterator<Item = &'c PartitionId> {
        let master = around.is_master();
        let admitted = !master
            || (computer.takes(wish.owner, wish.release)
                && computer.answers(wish.filter)
                && !self.is_taken(around, wish, id, computer));
        let capability = filter::get(wish.filter, filter::CAPABILITY).filter(|_| master).map(Box::from);
        computer.free().filter(move |partition| {
            let able = |wanted: &str| computer.is_capable(partition, wanted);
            admitted && capability.as_deref().is_none_or(able)
        })
    }

    /// Whether an instance of the same tree is in the computer's network, and must not be.
    fn is_taken(&self, around: &Surroundings<'_>, wish: &Wish<'_>, id: &ComputerId, at: &Computer) -> bool {
        let spread = filter::get(wish.filter, filter::MODE) == Some(filter::UNIQUE_BY_NETWORK);
        let Some(root) = wish.root.filter(|_| spread) else { return false };
        let network = at.network(id);
        self.tree(root).into_iter().any(|member| {
            let living = self.get(member).filter(|known| !known.ended);
            let allocation = living.and_then(|known| known.allocation.as_ref());
            let other = allocation.and_then(|place| around.computers.get_key_value(&place.computer));
            other.is_some_and(|(id, computer)| computer.network(id) == network)
        })
    }

    /// The members of a tree: its root, ended or not, and who lives under it.
    fn tree(&self, root: InstanceId) -> Vec<InstanceId> {
        let mut members = vec![root];
        let mut at = 0;
        while let Some(parent) = members.get(at).copied() {
            members.extend(self.children.get(&parent).into_iter().flatten());
            at += 1;
        }
        members
    }

    /// An instance a shared one may live on: the first that runs the same software as the same type, where the
    /// filter wants it.
    fn host(&self, around: &Surroundings<'_>, wish: &Wish<'_>) -> Option<Room> {
        let running = self.running.get(wish.release)?;
        running.iter().find_map(|&id| {
            let host = self.get(id).filter(|known| known.may_host())?;
            let place = host.allocation.as_ref()?;
            let computer = around.computers.get(place.computer.as_str())?;
            let same = host.software_type == *wish.software_type;
            let named =
                filter::named_computer(wish.filter).is_none_or(|named| named == place.computer.as_str());
            let guid = filter::get(wish.filter, filter::HOST)
                .is_none_or(|guid| is_called(around.is_master(), guid, id, place));
            let admitted = !around.is_master()
                || (computer.admits(wish.owner) || host.owner == wish.owner) && computer.answers(wish.filter);
            (same && named && guid && admitted).then(|| Room {
                computer: place.computer.clone(),
                partition: place.partition.clone(),
                host: Some(id),
            })
        })
    }

    /// Gives what room there is to those who wait for it, first come first served.
    pub(crate) fn allocate_waiting(
        &self,
        around: &Surroundings<'_>,
        affected: &Affected,
        now: Timestamp,
    ) -> Vec<(Stream, Event)> {
        if !self.waiting.anybody() || affected.is_empty() {
            return Vec::new();
        }
        let nobody = BTreeSet::new();
        let mut given: BTreeSet<InstanceId> = BTreeSet::new();
        let mut events = Vec::new();
        let mut give = |instance: InstanceId, room: Room| {
            events.push((Stream::Instance(instance), room.allocate(instance, now)));
        };
        for computer in &affected.computers {
            let Some(known) = around.computers.get(computer.as_str()) else { continue };
            let mut taken: BTreeSet<&PartitionId> = BTreeSet::new();
            let mut trees: BTreeSet<InstanceId> = BTreeSet::new();
            let here = self.waiting.on.get(computer.as_str()).unwrap_or(&nobody);
            let room =
                if around.is_master() { known.headroom() } else { usize::MAX }.min(known.free().count());
            for &instance in here.union(&self.waiting.anywhere) {
                if taken.len() == room {
                    break;
                }
                let Some(waiting) = self.get(instance).filter(|_| !given.contains(&instance)) else {
                    continue;
                };
                // Two of a tree that must not be in one network: the second is looked at when the first is there.
                let spread = filter::get(&waiting.filter, filter::MODE).is_some();
                if spread && trees.contains(&waiting.root) {
                    continue;
                }
                let wish = Wish::of(waiting);
                let mut fitting = self.fitting(around, &wish, computer, known);
                let Some(partition) = fitting.find(|partition| !taken.contains(partition)) else { continue };
                taken.insert(partition);
                trees.insert(waiting.root);
                given.insert(instance);
                let (computer, partition) = (computer.clone(), partition.clone());
                give(instance, Room { computer, partition, host: None });
            }
        }
        for instance in
            affected.releases.iter().flat_map(|release| self.waiting.shared.get(release)).flatten()
        {
            if let Some(room) = self.get(*instance).and_then(|known| self.host(around, &Wish::of(known))) {
                give(*instance, room);
            }
        }
        events
    }

    /// What events have to do with room.
    pub(crate) fn affected<'e>(&self, events: impl Iterator<Item = &'e Event>) -> Affected {
        let mut affected = Affected::default();
        if !self.waiting.anybody() {
            return affected;
        }
        for event in events {
            let computer = match event {
                Event::PartitionOffered(event) => Some(&event.computer),
                Event::ComputerDescribed(event) => Some(&event.computer),
                Event::AllocationScopeSet(event) => Some(&event.computer),
                Event::ComputerHeard(event) => Some(&event.computer),
                // A computer with fewer instances in error may take others again.
                Event::InstanceStateReported(event) => self.computer_of(event.instance),
                Event::InstanceEnded(event) => self.computer_of(event.instance),
                _ => None,
            };
            affected.computers.extend(computer.cloned());
            match event {
                Event::InstanceAllocated(event) => affected.releases.extend(self.release_of(event.instance)),
                Event::InstanceChanged(event) => affected.releases.extend(self.release_of(event.instance)),
                // Whoever may use a computer may live on what runs there.
                Event::ComputerDescribed(_) | Event::AllocationScopeSet(_) => {
                    affected.releases.extend(self.waiting.shared.keys().cloned());
                }
                _ => {}
            }
        }
        affected
    }

    fn computer_of(&self, instance: InstanceId) -> Option<&ComputerId> {
        let known = self.get(instance).filter(|known| !known.shared)?;
        known.allocation.as_ref().map(|allocation| &allocation.computer)
    }

    fn release_of(&self, instance: InstanceId) -> Option<SoftwareRelease> {
        self.get(instance).filter(|known| known.may_host()).map(|known| known.release.clone())
    }

    /// Whether `under` is `instance`, or was requested from inside it, or from inside what was.
    pub(super) fn is_under(&self, instance: InstanceId, under: InstanceId) -> bool {
        let parent = |id: &InstanceId| match self.get(*id)?.requester {
            Requester::Instance(parent) => Some(parent),
            Requester::Party(_) => None,
        };
        std::iter::successors(Some(under), parent).any(|id| id == instance)
    }
}

/// Whether a guid means an instance: its id at the master; its place, or its partition alone, at slapos proxy.
fn is_called(master: bool, guid: &str, id: InstanceId, place: &super::state::Allocation) -> bool {
    if master {
        return guid.parse() == Ok(id);
    }
    let (computer, partition) = (place.computer.as_str(), place.partition.as_str());
    guid == partition
        || guid.strip_prefix(computer).and_then(|rest| rest.strip_prefix('-')) == Some(partition)
}
