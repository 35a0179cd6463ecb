//! What decisions know of instances: a fold of their events.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use super::events::{
    ConnectionParametersSet, InstanceAllocated, InstanceChanged, InstanceEnded, InstanceRenamed,
    InstanceRequested, InstanceStateReported, InstanceType, ReportedState, RequestedState, Requester,
};
use super::filter::{self, SlaFilter};
use crate::domain::id::{
    ComputerId, InstanceId, KeyId, PartitionId, PartyId, Reference, SoftwareRelease, SoftwareType,
};
use crate::domain::time::{Period, Timestamp};

/// Where an instance is, and since when; it stays there for life. A shared one is where its host is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Allocation {
    /// Where.
    pub computer: ComputerId,
    /// Where on it.
    pub partition: PartitionId,
    /// On whom, if it is shared.
    pub host: Option<InstanceId>,
    /// Since when.
    pub from: Timestamp,
    /// Until when, if it is over.
    pub until: Option<Timestamp>,
}

impl Allocation {
    /// The time of the allocation within a period, if there is any.
    pub fn within(&self, period: Period) -> Option<Period> {
        let until = self.until.unwrap_or(Timestamp::MAX);
        Period::new(self.from, until).and_then(|allocated| allocated.intersection(period))
    }
}

/// What decisions need to know of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Instance {
    /// Who asked.
    pub requester: Requester,
    /// Who pays.
    pub owner: PartyId,
    /// The root of its tree.
    pub root: InstanceId,
    /// Its name.
    pub reference: Reference,
    /// The key its values are sealed under.
    pub key: KeyId,
    /// Where it is or was, once it is allocated.
    pub allocation: Option<Allocation>,
    /// Whether it lives on another.
    pub shared: bool,
    pub(super) release: SoftwareRelease,
    pub(super) software_type: SoftwareType,
    pub(super) purpose: InstanceType,
    pub(super) parameters: [u8; 16],
    pub(super) filter: SlaFilter,
    pub(super) state: RequestedState,
    /// What its requester wants, whatever its tree forces on it.
    pub(super) wish: RequestedState,
    pub(super) reported: Option<(ReportedState, Option<[u8; 16]>)>,
    pub(super) connection: Option<[u8; 16]>,
    pub(super) ended: bool,
    /// Whether its key is destroyed.
    pub(crate) erased: bool,
}

impl Instance {
    /// Whether it is no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether it waits for room.
    pub(super) fn waits(&self) -> bool {
        !self.ended && self.allocation.is_none()
    }

    /// Whether others may live on it, or could, if they ran the same.
    pub(super) fn may_host(&self) -> bool {
        !self.ended && !self.shared && self.allocation.is_some() && self.state != RequestedState::Destroyed
    }

    /// Whose names its reference is one of.
    pub(super) fn names(&self) -> InstanceNames {
        InstanceNames::of(self.requester, self.root, self.shared)
    }
}

/// Whose names an instance's reference is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) enum InstanceNames {
    OfParty(PartyId),
    OfTree(InstanceId),
    /// Shared instances and others do not take each other's names.
    SharedOfParty(PartyId),
    SharedOfTree(InstanceId),
}

impl InstanceNames {
    pub(super) fn of(requester: Requester, root: InstanceId, shared: bool) -> Self {
        match (requester, shared) {
            (Requester::Party(party), false) => Self::OfParty(party),
            (Requester::Party(party), true) => Self::SharedOfParty(party),
            (Requester::Instance(_), false) => Self::OfTree(root),
            (Requester::Instance(_), true) => Self::SharedOfTree(root),
        }
    }
}

/// All instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Instances {
    /// Instance n is at n - 1: ids are given out in order and never taken back.
    pub(super) all: Vec<Instance>,
    pub(super) names: BTreeMap<(InstanceNames, Reference), InstanceId>,
    /// The living children of an instance, where there are any.
    pub(super) children: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    /// The living shared instances on an instance, where there are any.
    pub(super) shares: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    /// The living instances in partitions, by what they run: where shared ones look for a host.
    pub(super) running: BTreeMap<SoftwareRelease, BTreeSet<InstanceId>>,
    pub(super) waiting: WaitingInstances,
    /// Who has sat in a partition, in order of time.
    tenants: BTreeMap<ComputerId, BTreeMap<PartitionId, Vec<InstanceId>>>,
    /// The keys of all instances there ever were: none becomes the key of another.
    pub(super) keys: BTreeSet<KeyId>,
}

/// Who waits for room, by where it may be: a freed partition must not make everybody look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct WaitingInstances {
    pub(super) anywhere: BTreeSet<InstanceId>,
    pub(super) on: BTreeMap<Box<str>, BTreeSet<InstanceId>>,
    /// Shared ones, by what their host must run.
    pub(super) shared: BTreeMap<SoftwareRelease, BTreeSet<InstanceId>>,
    /// Those of all these that are to be in a network without others of their tree.
    pub(super) spread: BTreeSet<InstanceId>,
    /// How many of each party's there are.
    of: BTreeMap<PartyId, usize>,
}

impl WaitingInstances {
    pub(super) fn anybody(&self) -> bool {
        !self.anywhere.is_empty() || !self.on.is_empty() || !self.shared.is_empty()
    }

    /// How many instances of a party wait.
    pub(super) fn of(&self, party: PartyId) -> usize {
        self.of.get(&party).copied().unwrap_or_default()
    }

    fn insert(&mut self, id: InstanceId, instance: &Instance) {
        *self.of.entry(instance.owner).or_default() += 1;
        if instance.shared {
            self.shared.entry(instance.release.clone()).or_default().insert(id);
        } else if let Some(computer) = filter::named_computer(&instance.filter) {
            self.on.entry(computer.into()).or_default().insert(id);
        } else {
            self.anywhere.insert(id);
        }
        if filter::is_spread(&instance.filter) {
            self.spread.insert(id);
        }
    }

    fn remove(&mut self, id: InstanceId, instance: &Instance) {
        if let Some(count) = self.of.get_mut(&instance.owner) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&instance.owner);
            }
        }
        if instance.shared {
            remove_from(&mut self.shared, instance.release.as_str(), id);
        } else if let Some(computer) = filter::named_computer(&instance.filter) {
            remove_from(&mut self.on, computer, id);
        } else {
            self.anywhere.remove(&id);
        }
        self.spread.remove(&id);
    }
}

/// Takes a member out of a set, and the set out of the map if it was the last.
fn remove_from<K, Q>(sets: &mut BTreeMap<K, BTreeSet<InstanceId>>, key: &Q, member: InstanceId)
where
    K: std::borrow::Borrow<Q> + Ord,
    Q: Ord + ?Sized,
{
    if let Some(set) = sets.get_mut(key) {
        set.remove(&member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

impl Instances {
    /// The instance, ended or not.
    pub fn get(&self, instance: InstanceId) -> Option<&Instance> {
        self.all.get(index(instance)?)
    }

    /// Who has sat in a partition, in order of time.
    pub fn tenants(&self, computer: &str, partition: &str) -> &[InstanceId] {
        self.tenants.get(computer).and_then(|partitions| partitions.get(partition)).map_or(&[], Vec::as_slice)
    }

    /// The partition that a living instance of its own has.
    pub(crate) fn place(&self, instance: InstanceId) -> Option<(&ComputerId, &PartitionId)> {
        let known = self.get(instance).filter(|known| !known.shared && !known.ended)?;
        known.allocation.as_ref().map(|allocation| (&allocation.computer, &allocation.partition))
    }

    /// The first of the living instances that a party pays for.
    pub(crate) fn first_living_of(&self, owner: PartyId) -> Option<InstanceId> {
        let mut all = (1..).map(InstanceId).zip(&self.all);
        all.find(|(_, known)| known.owner == owner && !known.ended).map(|(id, _)| id)
    }

    /// The living shared instances on an instance.
    pub(super) fn shares(&self, host: InstanceId) -> impl Iterator<Item = InstanceId> {
        self.shares.get(&host).into_iter().flatten().copied()
    }

    fn get_mut(&mut self, instance: InstanceId) -> Option<&mut Instance> {
        self.all.get_mut(index(instance)?)
    }

    pub(crate) fn requested(&mut self, event: &InstanceRequested) {
        if let Requester::Instance(parent) = event.requester {
            self.children.entry(parent).or_default().insert(event.instance);
        }
        self.keys.insert(event.parameters.key);
        let instance = Instance {
            requester: event.requester,
            owner: event.owner,
            root: event.root,
            reference: event.reference.clone(),
            key: event.parameters.key,
            allocation: None,
            shared: event.shared,
            release: event.release.clone(),
            software_type: event.software_type.clone(),
            purpose: event.instance_type,
            parameters: event.parameters.digest,
            filter: event.filter.clone(),
            state: event.state,
            wish: event.state,
            reported: None,
            connection: None,
            ended: false,
            erased: false,
        };
        self.names.insert((instance.names(), event.reference.clone()), event.instance);
        self.waiting.insert(event.instance, &instance);
        self.all.push(instance);
    }

    pub(crate) fn changed(&mut self, event: &InstanceChanged) {
        let id = event.instance;
        let Some(instance) = index(id).and_then(|at| self.all.get_mut(at)) else { return };
        if instance.waits() {
            self.waiting.remove(id, instance);
        }
        if let Some(release) = &event.release {
            if instance.allocation.is_some() && !instance.shared && !instance.ended {
                remove_from(&mut self.running, instance.release.as_str(), id);
                self.running.entry(release.clone()).or_default().insert(id);
            }
            instance.release.clone_from(release);
        }
        if let Some(software_type) = &event.software_type {
            instance.software_type.clone_from(software_type);
        }
        if let Some(parameters) = &event.parameters {
            instance.parameters = parameters.digest;
        }
        if let Some(filter) = &event.filter {
            instance.filter.clone_from(filter);
        }
        instance.purpose = event.instance_type.unwrap_or(instance.purpose);
        instance.state = event.state.unwrap_or(instance.state);
        instance.wish = event.wish.unwrap_or(instance.wish);
        if let Some(requester) = event.requester
            && let Requester::Instance(before) = instance.requester
        {
            instance.requester = Requester::Instance(requester);
            remove_from(&mut self.children, &before, id);
            self.children.entry(requester).or_default().insert(id);
        }
        if instance.waits() {
            self.waiting.insert(id, instance);
        }
    }

    pub(crate) fn allocated(&mut self, event: &InstanceAllocated) {
        let id = event.instance;
        let Some(instance) = index(id).and_then(|at| self.all.get_mut(at)) else { return };
        self.waiting.remove(id, instance);
        if let Some(host) = event.host {
            self.shares.entry(host).or_default().insert(id);
        } else {
            let tenants = self.tenants.entry(event.computer.clone()).or_default();
            tenants.entry(event.partition.clone()).or_default().push(id);
            self.running.entry(instance.release.clone()).or_default().insert(id);
        }
        let (computer, partition) = (event.computer.clone(), event.partition.clone());
        let (host, from) = (event.host, event.at);
        instance.allocation = Some(Allocation { computer, partition, host, from, until: None });
    }

    /// Returns the partition that is free now.
    pub(crate) fn ended(&mut self, event: &InstanceEnded) -> Option<(ComputerId, PartitionId)> {
        let id = event.instance;
        let instance = index(id).and_then(|at| self.all.get_mut(at))?;
        if instance.waits() {
            self.waiting.remove(id, instance);
        }
        instance.ended = true;
        if let Requester::Instance(parent) = instance.requester {
            remove_from(&mut self.children, &parent, id);
        }
        self.names.remove(&(instance.names(), instance.reference.clone()));
        let allocation = instance.allocation.as_mut()?;
        allocation.until = Some(event.at);
        if let Some(host) = allocation.host {
            remove_from(&mut self.shares, &host, id);
            return None;
        }
        remove_from(&mut self.running, instance.release.as_str(), id);
        Some((allocation.computer.clone(), allocation.partition.clone()))
    }

    pub(crate) fn renamed(&mut self, event: &InstanceRenamed) {
        let Some(instance) = index(event.instance).and_then(|at| self.all.get_mut(at)) else { return };
        let names = instance.names();
        self.names.remove(&(names, instance.reference.clone()));
        instance.reference.clone_from(&event.reference);
        self.names.insert((names, event.reference.clone()), event.instance);
    }

    pub(crate) fn state_reported(&mut self, event: &InstanceStateReported) {
        if let Some(instance) = self.get_mut(event.instance) {
            instance.reported = Some((event.state, event.error.as_ref().map(|error| error.digest)));
        }
    }

    pub(crate) fn connection_set(&mut self, event: &ConnectionParametersSet) {
        if let Some(instance) = self.get_mut(event.instance) {
            instance.connection = Some(event.connection.digest);
        }
    }

    pub(crate) fn erased(&mut self, instance: InstanceId) {
        if let Some(instance) = self.get_mut(instance) {
            instance.erased = true;
        }
    }
}

fn index(instance: InstanceId) -> Option<usize> {
    usize::try_from(instance.0).ok()?.checked_sub(1)
}
