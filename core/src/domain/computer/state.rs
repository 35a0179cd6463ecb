//! What decisions know of computers: a fold of their events.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use super::commands::UnknownComputer;
use super::events::{
    AllocationScope, AllocationScopeSet, ComputerConfigured, ComputerDescribed, ComputerFellSilent,
    ComputerHeard, ComputerRegistered, ComputerRetired, Offer, PartitionOffered, PartitionWithdrawn,
};
use super::room::{Candidates, RoomIndex, RoomKey};
use crate::domain::id::{ComputerId, InstanceId, PartitionId, PartyId, SoftwareRelease};
use crate::domain::instance::filter::{ATTRIBUTES, NETWORK};
use crate::domain::instance::{InstanceStateReported, ReportedState};
use crate::domain::time::TimeZone;

/// What decisions need to know of a computer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Computer {
    /// Its provider.
    pub owner: PartyId,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
    pub(super) title: Option<Box<str>>,
    pub(super) attributes: BTreeMap<Box<str>, Box<str>>,
    pub(super) scope: AllocationScope,
    pub(super) software: BTreeSet<SoftwareRelease>,
    pub(super) capacity: Option<u32>,
    pub(super) silent: bool,
    pub(super) retired: bool,
    pub(super) address: Box<str>,
    pub(super) netmask: Box<str>,
    pub(super) partitions: BTreeMap<PartitionId, PartitionRecord>,
    users: BTreeMap<Box<str>, PartitionId>,
    /// How many partitions it ever offered.
    ranks: u32,
    /// How many of its partitions are withdrawn and never had a tenant: nothing will name them any more.
    forgotten: usize,
    free: BTreeSet<(u32, PartitionId)>,
    /// What its free partitions are capable of, and how many are.
    able: BTreeMap<Box<str>, u32>,
    /// How many instances there are.
    occupied: usize,
    /// Those whose last report was an error.
    in_error: BTreeSet<InstanceId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct PartitionRecord {
    /// The order in which partitions were first offered, and in which they are allocated.
    rank: u32,
    pub(super) offer: Offer,
    pub(super) offered: bool,
    occupant: Option<InstanceId>,
    /// Whether anybody ever was in it: usage of that time may still name it.
    had_tenant: bool,
}

impl PartitionRecord {
    /// Whether nobody ever was in it, and it is not offered any more.
    fn is_forgotten(&self) -> bool {
        !self.offered && !self.had_tenant
    }
}

/// So many withdrawn partitions that never had a tenant are kept in any case.
const FORGOTTEN: usize = 64;
/// Fewer instances in error than this say nothing of their computer.
const ERRORS: usize = 3;

/// Whether so many instances of a computer are in error that the computer is to blame: three, and half of them.
pub fn in_trouble(in_error: usize, instances: usize) -> bool {
    in_error >= ERRORS && in_error * 2 >= instances
}

impl Computer {
    pub(super) fn new(owner: PartyId, time_zone: TimeZone) -> Self {
        Self {
            owner,
            time_zone,
            title: None,
            attributes: BTreeMap::new(),
            scope: AllocationScope::Personal,
            software: BTreeSet::new(),
            capacity: None,
            silent: false,
            retired: false,
            address: Box::default(),
            netmask: Box::default(),
            partitions: BTreeMap::new(),
            users: BTreeMap::new(),
            ranks: 0,
            forgotten: 0,
            free: BTreeSet::new(),
            able: BTreeMap::new(),
            occupied: 0,
            in_error: BTreeSet::new(),
        }
    }

    /// Whether new instances of a release, of somebody, may be put there at all.
    pub(crate) fn takes(&self, owner: PartyId, release: &SoftwareRelease) -> bool {
        self.takes_any()
            && self.admits(owner)
            && (self.software.is_empty() || self.software.contains(release))
    }

    /// Whether it takes new instances at all.
    fn takes_any(&self) -> bool {
        !self.free.is_empty() && !self.silent && !self.is_in_trouble() && self.headroom() > 0
    }

    /// What it is found by.
    fn room_keys(&self) -> BTreeSet<RoomKey> {
        self.room_keys_when(self.takes_any(), self.able.keys())
    }

    /// What it would be found by, if it took anybody or nobody, and if its free partitions were capable of this. Nothing
    /// finds one that takes nobody.
    fn room_keys_when<'a>(
        &self,
        takes_any: bool,
        able: impl Iterator<Item = &'a Box<str>>,
    ) -> BTreeSet<RoomKey> {
        let mut keys = BTreeSet::new();
        if !takes_any {
            return keys;
        }
        match &self.scope {
            AllocationScope::Open => keys.extend([RoomKey::Admits(None)]),
            AllocationScope::Personal => keys.extend([RoomKey::Admits(Some(self.owner))]),
            AllocationScope::Group(members) => {
                keys.extend(members.iter().chain([&self.owner]).map(|member| RoomKey::Admits(Some(*member))));
            }
            AllocationScope::Closed => return keys,
        }
        if self.software.is_empty() {
            keys.insert(RoomKey::Takes(None));
        }
        keys.extend(self.software.iter().map(|release| RoomKey::Takes(Some(release.clone()))));
        for (key, value) in self.attributes.iter().filter(|(key, _)| ATTRIBUTES.contains(&&***key)) {
            let ends = value.match_indices('/').map(|(at, _)| at).chain([value.len()]);
            let begins = ends.filter_map(|end| value.get(..end));
            keys.extend(begins.map(|begin| RoomKey::Attribute(key.clone(), begin.into())));
        }
        keys.extend(able.map(|able| RoomKey::Capability(able.clone())));
        keys
    }

    /// Whether somebody may use it.
    pub(crate) fn admits(&self, owner: PartyId) -> bool {
        match &self.scope {
            AllocationScope::Open => true,
            AllocationScope::Personal => owner == self.owner,
            AllocationScope::Group(members) => owner == self.owner || members.contains(&owner),
            AllocationScope::Closed => false,
        }
    }

    /// Whether so many of its instances are in error that it is to blame.
    pub fn is_in_trouble(&self) -> bool {
        in_trouble(self.in_error.len(), self.occupied)
    }

    /// Whether one more instance in error would make it to blame, and none does now.
    pub(crate) fn may_have_recovered(&self) -> bool {
        !self.is_in_trouble() && in_trouble(self.in_error.len() + 1, self.occupied)
    }

    /// How many instances more it takes.
    pub(crate) fn headroom(&self) -> usize {
        let capacity =
            self.capacity.map_or(usize::MAX, |capacity| usize::try_from(capacity).unwrap_or(usize::MAX));
        capacity.saturating_sub(self.occupied)
    }

    /// Whether it has the attributes that a filter asks for. `europe/france` is in `europe`.
    pub(crate) fn answers(&self, filter: &[(Box<str>, Box<str>)]) -> bool {
        let asked = filter.iter().filter(|(key, _)| ATTRIBUTES.contains(&&**key));
        asked.into_iter().all(|(key, wanted)| {
            let within = |value: &str| {
                value.strip_prefix(&**wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            self.attributes.get(key).is_some_and(|value| within(value))
        })
    }

    /// The network it is in; one of its own, if nobody said.
    pub(crate) fn network<'a>(&'a self, id: &'a ComputerId) -> &'a str {
        self.attributes.get(NETWORK).map_or(id.as_str(), |network| network)
    }

    /// Whether a partition can do something.
    pub(crate) fn is_capable(&self, partition: &PartitionId, wanted: &str) -> bool {
        let known = self.partitions.get(partition);
        known.is_some_and(|known| known.offer.capabilities.iter().any(|able| &**able == wanted))
    }

    /// Whether it has a partition of this name, offered or withdrawn.
    pub fn has_partition(&self, partition: &str) -> bool {
        self.partitions.contains_key(partition)
    }

    /// The partition that this unix user belongs to.
    pub fn partition_of_user(&self, user: &str) -> Option<&PartitionId> {
        self.users.get(user)
    }

    /// The name of a partition it has, owned.
    pub fn partition(&self, name: &str) -> Option<&PartitionId> {
        self.partitions.get_key_value(name).map(|(partition, _)| partition)
    }

    /// Whether it offers a partition.
    pub(crate) fn offers(&self, partition: &PartitionId) -> bool {
        self.partitions.get(partition).is_some_and(|known| known.offered)
    }

    /// The partitions it offers, free or not.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &PartitionId> {
        self.partitions.iter().filter(|(_, known)| known.offered).map(|(name, _)| name)
    }

    /// Whether it was retired.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// Who sits in a partition.
    pub fn occupant(&self, partition: &PartitionId) -> Option<InstanceId> {
        self.partitions.get(partition).and_then(|partition| partition.occupant)
    }

    /// Partitions that are offered and not taken, in the order they are given out.
    pub fn free(&self) -> impl ExactSizeIterator<Item = &PartitionId> {
        self.free.iter().map(|(_, partition)| partition)
    }

    /// Drops the partitions that nothing will name any more, once they are many and the most of them. A few may return
    /// and have their old place in the order.
    fn forget(&mut self) {
        if self.forgotten > FORGOTTEN && self.forgotten * 2 > self.partitions.len() {
            self.partitions.retain(|_, partition| !partition.is_forgotten());
            let Self { users, partitions, .. } = self;
            users.retain(|_, partition| partitions.contains_key(partition));
            self.forgotten = 0;
        }
    }

    /// Takes a partition out of those that are free, with what it is capable of, before something of it changes.
    fn unlist(&mut self, partition: &PartitionId) {
        let Some(known) = self.partitions.get(partition) else { return };
        if self.free.remove(&(known.rank, partition.clone())) {
            for able in &known.offer.capabilities {
                if let Some(count) = self.able.get_mut(able) {
                    *count -= 1;
                    if *count == 0 {
                        self.able.remove(able);
                    }
                }
            }
        }
    }

    /// Puts a partition among those that are free, if it is.
    fn list(&mut self, partition: &PartitionId) {
        let Some(known) = self.partitions.get(partition) else { return };
        if known.offered && known.occupant.is_none() && self.free.insert((known.rank, partition.clone())) {
            for able in &known.offer.capabilities {
                *self.able.entry(able.clone()).or_default() += 1;
            }
        }
    }

    /// A partition is offered: one it knows, or a new one.
    fn take_offer(&mut self, offer: &Offer) {
        let (name, rank) = (&offer.partition, self.ranks);
        if let Some(user) = self.partitions.get(name).and_then(|known| known.offer.user.clone())
            // Partitions that swap their users are offered one after the other: it may be another's by now.
            && self.users.get(&user) == Some(name)
        {
            self.users.remove(&user);
        }
        let ranks = &mut self.ranks;
        let partition = self.partitions.entry(name.clone()).or_insert_with(|| {
            *ranks = ranks.saturating_add(1);
            PartitionRecord { rank, offer: offer.clone(), offered: true, occupant: None, had_tenant: false }
        });
        self.forgotten -= usize::from(partition.is_forgotten());
        partition.offer.clone_from(offer);
        partition.offered = true;
        if let Some(user) = &offer.user {
            self.users.insert(user.clone(), name.clone());
        }
    }

    /// Changes something of a partition.
    fn change_partition(&mut self, partition: &PartitionId, change: impl FnOnce(&mut Self)) {
        self.unlist(partition);
        change(self);
        self.list(partition);
    }
}

/// All computers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Computers {
    by_id: BTreeMap<ComputerId, Computer>,
    /// Those with a free partition, so that a request need not look at every full one.
    with_room: BTreeSet<ComputerId>,
    room: RoomIndex,
}

impl Computers {
    /// The computer, if there is one.
    pub fn get(&self, computer: &str) -> Option<&Computer> {
        self.by_id.get(computer)
    }

    /// The computer, or the refusal that there is none.
    pub fn known(&self, computer: &ComputerId) -> Result<&Computer, UnknownComputer> {
        self.by_id.get(computer).ok_or_else(|| UnknownComputer { computer: computer.clone() })
    }

    /// The computer and its reference, owned.
    pub(crate) fn get_key_value(&self, computer: &ComputerId) -> Option<(&ComputerId, &Computer)> {
        self.by_id.get_key_value(computer)
    }

    /// Who sits in the partitions of a computer.
    pub(crate) fn occupants(&self, computer: &ComputerId) -> impl Iterator<Item = InstanceId> {
        let partitions = self.by_id.get(computer).into_iter().flat_map(|known| known.partitions.values());
        partitions.filter_map(|partition| partition.occupant)
    }

    /// Those of a party.
    pub(crate) fn of(&self, owner: PartyId) -> impl Iterator<Item = &ComputerId> {
        self.by_id.iter().filter(move |(_, known)| known.owner == owner).map(|(id, _)| id)
    }

    /// The first computer of a party that somebody is on, and who.
    pub(crate) fn first_used_of(&self, owner: PartyId) -> Option<(&ComputerId, InstanceId)> {
        self.of(owner).find_map(|id| Some((id, self.occupants(id).next()?)))
    }

    /// All of them, by reference.
    pub fn iter(&self) -> impl Iterator<Item = (&ComputerId, &Computer)> {
        self.by_id.iter()
    }

    /// Those with a free partition.
    pub(crate) fn with_room(&self) -> &BTreeSet<ComputerId> {
        &self.with_room
    }

    pub(crate) fn registered(&mut self, event: &ComputerRegistered) {
        self.by_id.insert(event.computer.clone(), Computer::new(event.owner, event.time_zone));
    }

    /// The computers that may have room for an instance; whether they have is to be looked at.
    pub(crate) fn candidates(
        &self,
        owner: PartyId,
        release: &SoftwareRelease,
        filter: &[(Box<str>, Box<str>)],
    ) -> Candidates<'_> {
        self.room.candidates(owner, release, filter)
    }

    /// Changes something of a computer.
    fn change(&mut self, id: &ComputerId, change: impl FnOnce(&mut Computer)) {
        let Some(known) = self.by_id.get_mut(id) else { return };
        let before = known.room_keys();
        change(known);
        let after = known.room_keys();
        self.relist(id, &before, after);
    }

    /// Changes something of a computer that says nothing of who may use it and what it has: cheaply, since this is often.
    fn change_room(&mut self, id: &ComputerId, change: impl FnOnce(&mut Computer)) {
        let Some(known) = self.by_id.get_mut(id) else { return };
        let (took_any, was_able) = (known.takes_any(), known.able.keys().cloned().collect::<Vec<_>>());
        change(known);
        if took_any == known.takes_any() && was_able.iter().eq(known.able.keys()) {
            return self.relist_free(id);
        }
        let (before, after) = (known.room_keys_when(took_any, was_able.iter()), known.room_keys());
        self.relist(id, &before, after);
    }

    fn relist(&mut self, id: &ComputerId, before: &BTreeSet<RoomKey>, after: BTreeSet<RoomKey>) {
        self.room.replace(id, before, after);
        self.relist_free(id);
    }

    fn relist_free(&mut self, id: &ComputerId) {
        let Some(known) = self.by_id.get(id) else { return };
        if known.free.is_empty() {
            self.with_room.remove(id);
        } else if !self.with_room.contains(id) {
            self.with_room.insert(id.clone());
        }
    }

    pub(crate) fn configured(&mut self, event: &ComputerConfigured) {
        if let Some(computer) = self.by_id.get_mut(&event.computer) {
            computer.retired = false;
            computer.address.clone_from(&event.address);
            computer.netmask.clone_from(&event.netmask);
        }
    }

    pub(crate) fn offered(&mut self, event: &PartitionOffered) {
        let name = &event.offer.partition;
        self.change_room(&event.computer, |computer| {
            computer.retired = false;
            computer.change_partition(name, |computer| computer.take_offer(&event.offer));
        });
    }

    pub(crate) fn withdrawn(&mut self, event: &PartitionWithdrawn) {
        self.change_room(&event.computer, |computer| {
            computer.change_partition(&event.partition, |computer| {
                let known = computer.partitions.get_mut(&event.partition);
                if let Some(partition) = known.filter(|known| known.offered) {
                    partition.offered = false;
                    computer.forgotten += usize::from(partition.is_forgotten());
                }
            });
            computer.forget();
        });
    }

    pub(crate) fn retired(&mut self, event: &ComputerRetired) {
        if let Some(computer) = self.by_id.get_mut(&event.computer) {
            computer.retired = true;
        }
    }

    pub(crate) fn described(&mut self, event: &ComputerDescribed) {
        self.change(&event.computer, |computer| {
            computer.title.clone_from(&event.title);
            computer.attributes = event.attributes.iter().cloned().collect();
        });
    }

    pub(crate) fn scope_set(&mut self, event: &AllocationScopeSet) {
        self.change(&event.computer, |computer| {
            computer.scope.clone_from(&event.scope);
            computer.software = event.software.iter().cloned().collect();
            computer.capacity = event.capacity;
        });
    }

    pub(crate) fn fell_silent(&mut self, event: &ComputerFellSilent) {
        self.change_room(&event.computer, |computer| computer.silent = true);
    }

    pub(crate) fn heard(&mut self, event: &ComputerHeard) {
        self.change_room(&event.computer, |computer| computer.silent = false);
    }

    /// An instance on a computer reported its state.
    pub(crate) fn state_reported(&mut self, computer: &ComputerId, event: &InstanceStateReported) {
        self.change_room(computer, |computer| {
            if event.state == ReportedState::Error {
                computer.in_error.insert(event.instance);
            } else {
                computer.in_error.remove(&event.instance);
            }
        });
    }

    pub(crate) fn occupy(&mut self, computer: &ComputerId, partition: &PartitionId, by: Option<InstanceId>) {
        self.change_room(computer, |known| {
            known.change_partition(partition, |known| {
                let Some(partition) = known.partitions.get_mut(partition) else { return };
                if let Some(before) = std::mem::replace(&mut partition.occupant, by) {
                    known.occupied = known.occupied.saturating_sub(1);
                    known.in_error.remove(&before);
                }
                partition.had_tenant |= by.is_some();
                known.occupied += usize::from(by.is_some());
            });
        });
    }
}
