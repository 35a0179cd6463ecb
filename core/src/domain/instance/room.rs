//! Where there is room: for instances a partition, for shared ones a host; and who waits for it.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{InstanceAllocated, Requester};
use super::filter::{self, SlaFilter};
use super::state::{Instance, Instances};
use crate::domain::computer::{Computer, Computers};
use crate::domain::event::{Event, Mode, Stream};
use crate::domain::id::{ComputerId, InstanceId, PartitionId, PartyId, SoftwareRelease, SoftwareType};
use crate::domain::party::Parties;
use crate::domain::software::Supplies;
use crate::domain::time::Timestamp;

/// What a decision about an instance looks at besides instances.
pub(crate) struct InstanceSurroundings<'a> {
    pub(crate) mode: Mode,
    pub(crate) parties: &'a Parties,
    pub(crate) computers: &'a Computers,
    pub(crate) supplies: &'a Supplies,
}

impl InstanceSurroundings<'_> {
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
    pub(super) filter: &'a SlaFilter,
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

/// Where events may have made room, and for whom.
#[derive(Default)]
pub(crate) struct Affected {
    /// Computers with a partition that was taken, or that let others in than before.
    computers: BTreeSet<ComputerId>,
    /// Instances that shared ones may live on now.
    hosts: BTreeSet<InstanceId>,
    /// Those who wait for a network without an instance of their tree, where there may be one more.
    spread: BTreeSet<InstanceId>,
    /// Instances that were requested in place of others, which ended: they look for room anywhere.
    again: BTreeSet<InstanceId>,
}

impl Instances {
    pub(super) fn room(&self, around: &InstanceSurroundings<'_>, wish: &Wish<'_>) -> Option<Room> {
        if wish.shared { self.host(around, wish) } else { self.partition(around, wish) }
    }

    /// A free partition: on the computer the filter names; else on one that holds the release already; else
    /// anywhere.
    fn partition(&self, around: &InstanceSurroundings<'_>, wish: &Wish<'_>) -> Option<Room> {
        let computers = around.computers;
        let networks = self.networks_to_avoid(around, wish);
        let on = |id: &ComputerId| {
            let (id, computer) = computers.get_key_value(id)?;
            let mut free = fitting(around, wish, &networks, id, computer);
            free.next().map(|partition| Room {
                computer: id.clone(),
                partition: partition.clone(),
                host: None,
            })
        };
        if let Some(named) = filter::named_computer(wish.filter) {
            return on(computers.with_room().get(named)?);
        }
        computers_for(around, wish).find_map(on)
    }

    /// The networks that an instance must not be in.
    fn networks_to_avoid<'c>(&self, around: &InstanceSurroundings<'c>, wish: &Wish<'_>) -> BTreeSet<&'c str> {
        let spread = around.is_master() && filter::is_spread(wish.filter);
        wish.root.filter(|_| spread).map(|root| self.networks(around, root)).unwrap_or_default()
    }

    /// The networks in which a tree has instances: in partitions, or shared ones on a host.
    fn networks<'c>(&self, around: &InstanceSurroundings<'c>, root: InstanceId) -> BTreeSet<&'c str> {
        let members = self.tree(root).into_iter().filter_map(|member| self.get(member));
        let places = members.filter(|known| !known.ended).filter_map(|known| known.allocation.as_ref());
        let computers = places.filter_map(|place| around.computers.get_key_value(&place.computer));
        computers.map(|(id, computer)| computer.network(id)).collect()
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
    fn host(&self, around: &InstanceSurroundings<'_>, wish: &Wish<'_>) -> Option<Room> {
        let networks = self.networks_to_avoid(around, wish);
        let named = filter::get(wish.filter, filter::HOST).filter(|_| around.is_master());
        if let Some(named) = named {
            return self.room_on(around, wish, &networks, named.parse().ok()?);
        }
        let running = self.running.get(wish.release)?;
        running.iter().find_map(|&id| self.room_on(around, wish, &networks, id))
    }

    /// The place of a host, if a shared instance may live on it.
    fn room_on(
        &self,
        around: &InstanceSurroundings<'_>,
        wish: &Wish<'_>,
        networks_to_avoid: &BTreeSet<&str>,
        id: InstanceId,
    ) -> Option<Room> {
        let host = self.get(id).filter(|known| known.may_host())?;
        let place = host.allocation.as_ref()?;
        let computer = around.computers.get(place.computer.as_str())?;
        let same = (&host.release, &host.software_type) == (wish.release, wish.software_type);
        let named = filter::named_computer(wish.filter).is_none_or(|named| named == place.computer.as_str());
        let guid = filter::get(wish.filter, filter::HOST)
            .is_none_or(|guid| is_called(around.is_master(), guid, id, place));
        let able = |wanted: &str| computer.is_capable(&place.partition, wanted);
        let admitted = !around.is_master()
            || (computer.admits(wish.owner) || host.owner == wish.owner)
                && computer.answers(wish.filter)
                && !networks_to_avoid.contains(computer.network(&place.computer))
                && filter::get(wish.filter, filter::CAPABILITY).is_none_or(able);
        (same && named && guid && admitted).then(|| Room {
            computer: place.computer.clone(),
            partition: place.partition.clone(),
            host: Some(id),
        })
    }

    /// Gives what room there is to those who wait for it, first come first served.
    pub(crate) fn allocate_waiting(
        &self,
        around: &InstanceSurroundings<'_>,
        affected: &Affected,
        now: Timestamp,
    ) -> Vec<(Stream, Event)> {
        let mut round = Round::new(self, around, now);
        let nobody = BTreeSet::new();
        for computer in &affected.computers {
            let here = self.waiting.on.get(computer.as_str()).unwrap_or(&nobody);
            for &instance in here.union(&self.waiting.anywhere) {
                if !round.has_room(computer) {
                    break;
                }
                round.give_partition(instance, computer);
            }
        }
        for &instance in &affected.again {
            if let Some(known) = self.get(instance).filter(|known| !known.shared) {
                round.search(instance, known);
            }
        }
        for &instance in &affected.spread {
            let Some(known) = self.get(instance) else { continue };
            if known.shared {
                for &host in self.running.get(&known.release).into_iter().flatten() {
                    round.give_host(instance, host);
                }
                continue;
            }
            round.search(instance, known);
        }
        for &host in &affected.hosts {
            let release = self.get(host).map(|known| &known.release);
            for &instance in
                release.and_then(|release| self.waiting.shared.get(release)).into_iter().flatten()
            {
                round.give_host(instance, host);
            }
        }
        round.events
    }

    /// What events have to do with room.
    pub(crate) fn affected<'e>(
        &self,
        around: &InstanceSurroundings<'_>,
        events: impl Iterator<Item = &'e Event>,
    ) -> Affected {
        let mut affected = Affected::default();
        if !self.waiting.anybody() {
            return affected;
        }
        let mut has_ended = false;
        for event in events {
            match event {
                Event::InstanceEnded(_) => has_ended = true,
                // A request by itself was given what room there is by its own decision.
                Event::InstanceRequested(event) if has_ended => {
                    affected.again.insert(event.instance);
                }
                _ => {}
            }
            let computer = match event {
                Event::PartitionOffered(event) => Some(&event.computer),
                Event::ComputerDescribed(event) => Some(&event.computer),
                Event::AllocationScopeSet(event) => Some(&event.computer),
                Event::ComputerHeard(event) => Some(&event.computer),
                // A computer with fewer instances in error may take others again.
                Event::InstanceStateReported(event) => self.computer_of(event.instance).filter(|computer| {
                    let known = around.computers.get(computer.as_str());
                    around.is_master() && known.is_some_and(Computer::may_have_recovered)
                }),
                Event::InstanceEnded(event) => self.computer_of(event.instance),
                _ => None,
            };
            affected.computers.extend(computer.cloned());
            match event {
                Event::InstanceAllocated(event) if event.host.is_none() => {
                    affected.hosts.insert(event.instance);
                }
                Event::InstanceChanged(event) => {
                    affected.hosts.insert(event.instance);
                }
                // Anyone who may use a computer may live on what runs there.
                Event::AllocationScopeSet(event) => {
                    affected.hosts.extend(around.computers.occupants(&event.computer));
                }
                // The same, and it may be in another network.
                Event::ComputerDescribed(event) => {
                    affected.hosts.extend(around.computers.occupants(&event.computer));
                    affected.spread.extend(&self.waiting.spread);
                }
                // Its tree is no longer in its network.
                Event::InstanceEnded(event) => {
                    let root = self.get(event.instance).map(|known| known.root);
                    let same = |id: &&InstanceId| self.get(**id).map(|known| known.root) == root;
                    affected.spread.extend(self.waiting.spread.iter().filter(same));
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

    /// Whether `under` is `instance`, or was requested from inside it, or from inside what was.
    pub(super) fn is_under(&self, instance: InstanceId, under: InstanceId) -> bool {
        let parent = |id: &InstanceId| match self.get(*id)?.requester {
            Requester::Instance(parent) => Some(parent),
            Requester::Party(_) => None,
        };
        std::iter::successors(Some(under), parent).any(|id| id == instance)
    }
}

/// What one look at the room gives to those who wait.
struct Round<'a> {
    instances: &'a Instances,
    around: &'a InstanceSurroundings<'a>,
    now: Timestamp,
    given: BTreeSet<InstanceId>,
    /// The partitions given on each computer.
    taken: BTreeMap<ComputerId, BTreeSet<PartitionId>>,
    /// Where the trees of those who wait for a network of their own are, with what was given.
    networks: BTreeMap<InstanceId, BTreeSet<&'a str>>,
    events: Vec<(Stream, Event)>,
}

impl<'a> Round<'a> {
    fn new(instances: &'a Instances, around: &'a InstanceSurroundings<'a>, now: Timestamp) -> Self {
        let (given, taken) = (BTreeSet::new(), BTreeMap::new());
        let (networks, events) = (BTreeMap::new(), Vec::new());
        Self { instances, around, now, given, taken, networks, events }
    }

    fn has_room(&self, computer: &ComputerId) -> bool {
        let taken = self.taken.get(computer).map_or(0, BTreeSet::len);
        self.around.computers.get(computer.as_str()).is_some_and(|known| {
            let headroom = if self.around.is_master() { known.headroom() } else { usize::MAX };
            taken < headroom.min(known.free().len())
        })
    }

    /// Looks everywhere.
    fn search(&mut self, instance: InstanceId, known: &Instance) {
        let around = self.around;
        let named = filter::named_computer(&known.filter);
        for computer in computers_for(around, &Wish::of(known)) {
            if named.is_none_or(|named| named == computer.as_str()) {
                self.give_partition(instance, computer);
            }
            if self.given.contains(&instance) {
                return;
            }
        }
    }

    fn give_partition(&mut self, instance: InstanceId, computer: &ComputerId) {
        if !self.has_room(computer) || self.given.contains(&instance) {
            return;
        }
        let Some((id, computer)) = self.around.computers.get_key_value(computer) else { return };
        let Some(waiting) = self.instances.get(instance) else { return };
        let networks = self.networks_to_avoid(waiting);
        let nothing = BTreeSet::new();
        let taken = self.taken.get(id).unwrap_or(&nothing);
        let wish = Wish::of(waiting);
        let mut fitting = fitting(self.around, &wish, &networks, id, computer);
        let Some(partition) = fitting.find(|partition| !taken.contains(*partition)).cloned() else { return };
        if let Some(networks) = self.networks_of(waiting.root) {
            networks.insert(computer.network(id));
        }
        self.taken.entry(id.clone()).or_default().insert(partition.clone());
        self.give(instance, Room { computer: id.clone(), partition, host: None });
    }

    fn give_host(&mut self, instance: InstanceId, host: InstanceId) {
        if self.given.contains(&instance) {
            return;
        }
        let Some(waiting) = self.instances.get(instance) else { return };
        let networks = self.networks_to_avoid(waiting);
        let Some(room) = self.instances.room_on(self.around, &Wish::of(waiting), &networks, host) else {
            return;
        };
        if let Some((id, computer)) = self.around.computers.get_key_value(&room.computer)
            && let Some(networks) = self.networks_of(waiting.root)
        {
            networks.insert(computer.network(id));
        }
        self.give(instance, room);
    }

    fn give(&mut self, instance: InstanceId, room: Room) {
        self.given.insert(instance);
        self.events.push((Stream::Instance(instance), room.allocate(instance, self.now)));
    }

    fn networks_to_avoid(&mut self, waiting: &Instance) -> BTreeSet<&'a str> {
        let spread = filter::is_spread(&waiting.filter);
        self.networks_of(waiting.root).filter(|_| spread).cloned().unwrap_or_default()
    }

    /// Where a tree is; none where nobody asks.
    fn networks_of(&mut self, root: InstanceId) -> Option<&mut BTreeSet<&'a str>> {
        let asked = self.around.is_master() && !self.instances.waiting.spread.is_empty();
        let Self { instances, around, networks, .. } = self;
        asked.then(|| networks.entry(root).or_insert_with(|| instances.networks(around, root)))
    }
}

/// The computers where a wish may find room, those first that hold its release already. The master knows who may use which, and
/// for what; slapos proxy looks at all that have a free partition.
pub(super) fn computers_for<'a>(
    around: &InstanceSurroundings<'a>,
    wish: &Wish<'_>,
) -> Box<dyn Iterator<Item = &'a ComputerId> + 'a> {
    let holders = around.supplies.holders(wish.release);
    if !around.is_master() {
        let with_room = around.computers.with_room();
        let holding = holders.into_iter().flat_map(|holders| with_room.intersection(holders));
        return Box::new(holding.chain(with_room));
    }
    let candidates = around.computers.candidates(wish.owner, wish.release, wish.filter);
    let Some(holders) = holders else { return Box::new(candidates.iter()) };
    if holders.len() < candidates.len() {
        let holding = holders.iter().filter(move |id| candidates.contains(id));
        return Box::new(holding.chain(candidates.iter()));
    }
    Box::new(candidates.iter().filter(|id| holders.contains(*id)).chain(candidates.iter()))
}

/// The free partitions of a computer that a wish may have.
pub(super) fn fitting<'c>(
    around: &InstanceSurroundings<'_>,
    wish: &Wish<'_>,
    networks_to_avoid: &BTreeSet<&str>,
    id: &ComputerId,
    computer: &'c Computer,
) -> impl Iterator<Item = &'c PartitionId> {
    let master = around.is_master();
    let admitted = !master
        || (computer.takes(wish.owner, wish.release)
            && computer.answers(wish.filter)
            && !networks_to_avoid.contains(computer.network(id)));
    let capability = filter::get(wish.filter, filter::CAPABILITY).filter(|_| master).map(Box::from);
    computer.free().filter(move |partition| {
        let able = |wanted: &str| computer.is_capable(partition, wanted);
        admitted && capability.as_deref().is_none_or(able)
    })
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
