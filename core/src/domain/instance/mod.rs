//! Software instances: `request()` as an upsert, allocation to a partition, and what nodes report of them.
//!
//! An instance is known by its requester and reference; a request from inside an instance tree belongs to the
//! tree's root. Its id is never used again; the same name requested after its partition was freed is another
//! instance. Allocation is for life: an instance does not move.

mod decide;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};
use serde::Serialize;

use super::computer::UnknownComputer;
use super::id::{
    ComputerId, InstanceId, KeyId, PartitionId, PartyId, Reference, SoftwareRelease, SoftwareType,
};
use super::sealed::Sealed;
use super::time::{Period, Timestamp};

pub(crate) use decide::Surroundings;

/// Who asks for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Requester {
    /// A user of the cloud: the instance is the root of a tree.
    Party(PartyId),
    /// An instance, from inside its partition: the new one is its child.
    Instance(InstanceId),
}

/// The state its requester wants an instance in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestedState {
    /// Running.
    Started,
    /// Installed, not running.
    Stopped,
    /// Gone, and its partition free.
    Destroyed,
}

impl RequestedState {
    /// As on the SLAP wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Destroyed => "destroyed",
        }
    }
}

/// The state its node says an instance is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedState {
    /// Running.
    Started,
    /// Not running.
    Stopped,
    /// Gone.
    Destroyed,
    /// Processing it failed.
    Error,
}

/// What an instance is for. Prices may depend on it; nodes do not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceType {
    /// It earns its keep.
    Production,
    /// It is tried out.
    Testing,
}

impl InstanceType {
    /// As in price books and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Testing => "testing",
        }
    }
}

/// An instance was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceRequested {
    /// Its id, never used again.
    pub instance: InstanceId,
    /// Who asked.
    pub requester: Requester,
    /// Who pays: the party at the root of the tree.
    pub owner: PartyId,
    /// The root of its tree; itself, if a party asked.
    pub root: InstanceId,
    /// The name its requester gave it.
    pub reference: Reference,
    /// What is to run.
    pub release: SoftwareRelease,
    /// As what.
    pub software_type: SoftwareType,
    /// What for.
    pub instance_type: InstanceType,
    /// Its parameters, under the key of the instance.
    pub parameters: Sealed,
    /// Where it may be (SLA): keys and values as they came.
    pub filter: Vec<(Box<str>, Box<str>)>,
    /// In which state.
    pub state: RequestedState,
    /// When.
    pub at: Timestamp,
}

/// The requester changed its mind; only what is new is named.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceChanged {
    /// Which.
    pub instance: InstanceId,
    /// Another release.
    pub release: Option<SoftwareRelease>,
    /// Another type of software.
    pub software_type: Option<SoftwareType>,
    /// Another purpose.
    pub instance_type: Option<InstanceType>,
    /// Other parameters.
    pub parameters: Option<Sealed>,
    /// Another state.
    pub state: Option<RequestedState>,
    /// When.
    pub at: Timestamp,
}

/// An instance got its partition.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceAllocated {
    /// Which.
    pub instance: InstanceId,
    /// Where.
    pub computer: ComputerId,
    /// Where on it.
    pub partition: PartitionId,
    /// Since when it is charged for.
    pub at: Timestamp,
}

/// An instance is no more; its partition, if it had one, is free.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceEnded {
    /// Which.
    pub instance: InstanceId,
    /// Until when it is charged for.
    pub at: Timestamp,
}

/// A node said in which state an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceStateReported {
    /// Which.
    pub instance: InstanceId,
    /// In which state.
    pub state: ReportedState,
    /// What went wrong, if something did.
    pub error: Option<Sealed>,
    /// When.
    pub at: Timestamp,
}

/// A node said how an instance is reached.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ConnectionParametersSet {
    /// Which.
    pub instance: InstanceId,
    /// Addresses and passwords, under the key of the instance.
    pub connection: Sealed,
    /// When.
    pub at: Timestamp,
}

/// `request()`: ask for an instance, or change one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInstance {
    /// Who asks.
    pub requester: Requester,
    /// The name it goes by among its requester's.
    pub reference: Reference,
    /// What is to run.
    pub release: SoftwareRelease,
    /// As what.
    pub software_type: SoftwareType,
    /// What for; as it is, if not said (production at first).
    pub instance_type: Option<InstanceType>,
    /// Its parameters, under the key of the instance (a fresh one if it is new).
    pub parameters: Sealed,
    /// Where it may be; counts when it is new.
    pub filter: Vec<(Box<str>, Box<str>)>,
    /// In which state; as it is, if not said (started at first).
    pub state: Option<RequestedState>,
    /// Where to look for room if the filter names no computer; anywhere, if not said.
    pub default_computer: Option<ComputerId>,
    /// What becomes of it if there is no room.
    pub without_room: WithoutRoom,
}

/// What becomes of a request for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutRoom {
    /// It is refused (as slapos proxy does).
    Refuse,
    /// It is kept, and allocated as soon as there is room.
    Wait,
}

/// The node says in which state a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportInstance {
    /// Which computer speaks.
    pub computer: ComputerId,
    /// Of which partition.
    pub partition: PartitionId,
    /// In which state it is.
    pub state: ReportedState,
    /// What went wrong, if something did.
    pub error: Option<Sealed>,
}

/// The node says how an instance is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetConnectionParameters {
    /// Which computer speaks.
    pub computer: ComputerId,
    /// Of which partition.
    pub partition: PartitionId,
    /// Addresses and passwords, under the key of the instance.
    pub connection: Sealed,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RequestOutcome {
    /// It is new.
    Created,
    /// It was there, and something is other now.
    Changed,
    /// It was there, as requested.
    Unchanged,
}

/// Why a command about an instance is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstanceRefusal {
    /// The requester is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// The requesting instance does not exist, or no more.
    #[error("there is no instance {instance}")]
    UnknownInstance {
        /// Which.
        instance: InstanceId,
    },
    /// No such computer.
    #[error(transparent)]
    UnknownComputer(#[from] UnknownComputer),
    /// The computer has no such partition.
    #[error("computer {computer} has no partition {partition}")]
    UnknownPartition {
        /// Which computer.
        computer: ComputerId,
        /// Which partition.
        partition: PartitionId,
    },
    /// No instance sits in the partition.
    #[error("partition {partition} of computer {computer} is free")]
    PartitionFree {
        /// Which computer.
        computer: ComputerId,
        /// Which partition.
        partition: PartitionId,
    },
    /// There is no free partition where it may be.
    #[error("there is no free partition for instance {reference}")]
    NoRoom {
        /// What was asked for.
        reference: Reference,
    },
    /// Destruction was asked of something that does not exist.
    #[error("there is no instance {reference} to destroy")]
    NothingToDestroy {
        /// What was asked for.
        reference: Reference,
    },
    /// The node reports as destroyed what is still wanted.
    #[error("instance {instance} is not to be destroyed")]
    NotToBeDestroyed {
        /// Which.
        instance: InstanceId,
    },
    /// A value is sealed under a key that is not the instance's: it came or went while the request was under
    /// way. Sealing it anew and sending it again is all there is to do.
    #[error("instance {reference} changed hands while it was requested")]
    OtherKey {
        /// Which.
        reference: Reference,
    },
}

/// Where an instance is, and since when; it stays there for life.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Allocation {
    /// Where.
    pub computer: ComputerId,
    /// Where on it.
    pub partition: PartitionId,
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
    release: SoftwareRelease,
    software_type: SoftwareType,
    purpose: InstanceType,
    parameters: [u8; 16],
    filter: Vec<(Box<str>, Box<str>)>,
    state: RequestedState,
    reported: Option<(ReportedState, Option<[u8; 16]>)>,
    connection: Option<[u8; 16]>,
    ended: bool,
}

/// Whose names an instance's reference is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
enum Names {
    OfParty(PartyId),
    OfTree(InstanceId),
}

/// All instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Instances {
    /// Instance n is at n - 1: ids are given out in order and never taken back.
    all: Vec<Instance>,
    names: BTreeMap<(Names, Reference), InstanceId>,
    /// The living children of an instance, where there are any.
    children: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    waiting: Waiting,
    /// Who has sat in a partition, in order of time.
    tenants: BTreeMap<ComputerId, BTreeMap<PartitionId, Vec<InstanceId>>>,
    /// The keys of all instances there ever were: none becomes the key of another.
    keys: BTreeSet<KeyId>,
}

/// Who waits for room, by where it may be: a freed partition must not make everybody look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
struct Waiting {
    anywhere: BTreeSet<InstanceId>,
    on: BTreeMap<Box<str>, BTreeSet<InstanceId>>,
}

impl Waiting {
    fn insert(&mut self, instance: InstanceId, filter: &[(Box<str>, Box<str>)]) {
        match named_computer(filter) {
            Some(computer) => self.on.entry(computer.into()).or_default().insert(instance),
            None => self.anywhere.insert(instance),
        };
    }

    fn remove(&mut self, instance: InstanceId, filter: &[(Box<str>, Box<str>)]) {
        match named_computer(filter) {
            Some(computer) => remove_from(&mut self.on, computer, instance),
            None => {
                self.anywhere.remove(&instance);
            }
        }
    }
}

/// The computer an instance is to be on, if its filter names one.
fn named_computer(filter: &[(Box<str>, Box<str>)]) -> Option<&str> {
    filter.iter().find(|(key, _)| &**key == "computer_guid").map(|(_, value)| &**value)
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

    fn get_mut(&mut self, instance: InstanceId) -> Option<&mut Instance> {
        self.all.get_mut(index(instance)?)
    }

    pub(crate) fn requested(&mut self, event: &InstanceRequested) {
        let names = match event.requester {
            Requester::Party(party) => Names::OfParty(party),
            Requester::Instance(_) => Names::OfTree(event.root),
        };
        if let Requester::Instance(parent) = event.requester {
            self.children.entry(parent).or_default().insert(event.instance);
        }
        self.names.insert((names, event.reference.clone()), event.instance);
        self.waiting.insert(event.instance, &event.filter);
        self.keys.insert(event.parameters.key);
        self.all.push(Instance {
            requester: event.requester,
            owner: event.owner,
            root: event.root,
            reference: event.reference.clone(),
            key: event.parameters.key,
            allocation: None,
            release: event.release.clone(),
            software_type: event.software_type.clone(),
            purpose: event.instance_type,
            parameters: event.parameters.digest,
            filter: event.filter.clone(),
            state: event.state,
            reported: None,
            connection: None,
            ended: false,
        });
    }

    pub(crate) fn changed(&mut self, event: &InstanceChanged) {
        let Some(instance) = self.get_mut(event.instance) else { return };
        if let Some(release) = &event.release {
            instance.release.clone_from(release);
        }
        if let Some(software_type) = &event.software_type {
            instance.software_type.clone_from(software_type);
        }
        if let Some(parameters) = &event.parameters {
            instance.parameters = parameters.digest;
        }
        instance.purpose = event.instance_type.unwrap_or(instance.purpose);
        instance.state = event.state.unwrap_or(instance.state);
    }

    pub(crate) fn allocated(&mut self, event: &InstanceAllocated) {
        let partitions = self.tenants.entry(event.computer.clone()).or_default();
        partitions.entry(event.partition.clone()).or_default().push(event.instance);
        let Some(instance) = index(event.instance).and_then(|at| self.all.get_mut(at)) else { return };
        self.waiting.remove(event.instance, &instance.filter);
        let (computer, partition) = (event.computer.clone(), event.partition.clone());
        instance.allocation = Some(Allocation { computer, partition, from: event.at, until: None });
    }

    /// Returns the partition that is free now.
    pub(crate) fn ended(&mut self, event: &InstanceEnded) -> Option<(ComputerId, PartitionId)> {
        let instance = index(event.instance).and_then(|at| self.all.get_mut(at))?;
        self.waiting.remove(event.instance, &instance.filter);
        instance.ended = true;
        let freed = instance.allocation.as_mut().map(|allocation| {
            allocation.until = Some(event.at);
            (allocation.computer.clone(), allocation.partition.clone())
        });
        let names = match instance.requester {
            Requester::Party(party) => Names::OfParty(party),
            Requester::Instance(parent) => {
                remove_from(&mut self.children, &parent, event.instance);
                Names::OfTree(instance.root)
            }
        };
        self.names.remove(&(names, instance.reference.clone()));
        freed
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
}

fn index(instance: InstanceId) -> Option<usize> {
    usize::try_from(instance.0).ok()?.checked_sub(1)
}
