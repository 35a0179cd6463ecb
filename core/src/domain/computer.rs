//! Computers and the partitions they offer.
//!
//! A computer offers partitions; the master allocates them. Who sits where is decided in `instance`; here is
//! only what is on offer and what is taken.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{ComputerId, InstanceId, PartitionId, PartyId};
use super::time::{TimeZone, Timestamp};

/// A computer entered the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerRegistered {
    /// Which.
    pub computer: ComputerId,
    /// Its provider.
    pub owner: PartyId,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
    /// When.
    pub at: Timestamp,
}

/// A computer told how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ComputerConfigured {
    /// Which.
    pub computer: ComputerId,
    /// Its own address.
    pub address: Box<str>,
    /// And its netmask.
    pub netmask: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// A computer offers a partition, for the first time, again, or with other properties.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartitionOffered {
    /// Where.
    pub computer: ComputerId,
    /// What is offered.
    pub offer: Offer,
    /// When.
    pub at: Timestamp,
}

/// A computer no longer offers a partition. An instance that is in it stays.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartitionWithdrawn {
    /// Where.
    pub computer: ComputerId,
    /// Which.
    pub partition: PartitionId,
    /// When.
    pub at: Timestamp,
}

/// What is known of a partition from its computer's format.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Offer {
    /// Its name on its computer (`slappart0`).
    pub partition: PartitionId,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Its network interface.
    pub tap: Option<Box<str>>,
    /// Its unix user, under which `slapos node collect` reports.
    pub user: Option<Box<str>>,
}

/// An address of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Address {
    /// IPv4 or IPv6, as the computer wrote it.
    pub address: Box<str>,
    /// Its netmask, as the computer wrote it.
    pub netmask: Box<str>,
}

/// Enter a computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterComputer {
    /// Which.
    pub computer: ComputerId,
    /// Its provider.
    pub owner: PartyId,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
}

/// Take over what a computer says of itself (`loadComputerConfigurationFromXML`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigureComputer {
    /// Which.
    pub computer: ComputerId,
    /// Its own address.
    pub address: Box<str>,
    /// And its netmask.
    pub netmask: Box<str>,
    /// All it offers; what it does not name any more is withdrawn.
    pub offers: Vec<Offer>,
    /// Where everybody may bring a computer (`slapledger proxy`): the provider of one not known yet.
    pub owner_if_new: Option<PartyId>,
}

/// There is no such computer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no computer {computer}")]
pub struct UnknownComputer {
    /// Which.
    pub computer: ComputerId,
}

/// Why a command about a computer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputerRefusal {
    /// No such computer.
    #[error(transparent)]
    Unknown(#[from] UnknownComputer),
    /// The reference is taken.
    #[error("computer {computer} is registered already")]
    AlreadyRegistered {
        /// Which.
        computer: ComputerId,
    },
    /// A configuration names a partition more than once.
    #[error("partition {partition} is named more than once")]
    PartitionTwice {
        /// Which.
        partition: PartitionId,
    },
}

/// What decisions need to know of a computer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Computer {
    /// Its provider.
    pub owner: PartyId,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
    address: Box<str>,
    netmask: Box<str>,
    partitions: BTreeMap<PartitionId, Partition>,
    users: BTreeMap<Box<str>, PartitionId>,
    free: BTreeSet<(u32, PartitionId)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Partition {
    /// The order in which partitions were first offered, and in which they are allocated.
    rank: u32,
    offer: Offer,
    offered: bool,
    occupant: Option<InstanceId>,
}

impl Computer {
    fn new(owner: PartyId, time_zone: TimeZone) -> Self {
        let (address, netmask) = (Box::default(), Box::default());
        let (partitions, users, free) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { owner, time_zone, address, netmask, partitions, users, free }
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

    /// Who sits in a partition.
    pub fn occupant(&self, partition: &PartitionId) -> Option<InstanceId> {
        self.partitions.get(partition).and_then(|partition| partition.occupant)
    }

    /// Partitions that are offered and not taken, in the order they are given out.
    pub fn free(&self) -> impl Iterator<Item = &PartitionId> {
        self.free.iter().map(|(_, partition)| partition)
    }

    fn refresh_free(&mut self, partition: &PartitionId) {
        if let Some(known) = self.partitions.get(partition) {
            let key = (known.rank, partition.clone());
            if known.offered && known.occupant.is_none() {
                self.free.insert(key);
            } else {
                self.free.remove(&key);
            }
        }
    }
}

/// All computers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Computers {
    by_id: BTreeMap<ComputerId, Computer>,
    /// Those with a free partition, so that a request need not look at every full one.
    with_room: BTreeSet<ComputerId>,
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

    /// All of them, by reference.
    pub fn iter(&self) -> impl Iterator<Item = (&ComputerId, &Computer)> {
        self.by_id.iter()
    }

    /// Those with a free partition.
    pub(crate) fn with_room(&self) -> &BTreeSet<ComputerId> {
        &self.with_room
    }

    /// The partition a computer gives out next.
    pub(crate) fn first_free(&self, computer: &str) -> Option<(&ComputerId, &PartitionId)> {
        let (id, computer) = self.by_id.get_key_value(computer)?;
        computer.free().next().map(|partition| (id, partition))
    }

    pub(crate) fn register(
        &self,
        command: &RegisterComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        if self.by_id.contains_key(&command.computer) {
            return Err(ComputerRefusal::AlreadyRegistered { computer: command.computer.clone() });
        }
        let (computer, owner, time_zone) = (command.computer.clone(), command.owner, command.time_zone);
        let event = ComputerRegistered { computer, owner, time_zone, at: now };
        Ok(Outcome::of((), [(Stream::Computer(command.computer.clone()), Event::ComputerRegistered(event))]))
    }

    pub(crate) fn configure(
        &self,
        command: &ConfigureComputer,
        now: Timestamp,
    ) -> Result<Outcome<()>, ComputerRefusal> {
        let mut named = BTreeSet::new();
        if let Some(twice) = command.offers.iter().find(|offer| !named.insert(&offer.partition)) {
            return Err(ComputerRefusal::PartitionTwice { partition: twice.partition.clone() });
        }
        let computer = &command.computer;
        let mut events = Vec::new();
        let fresh;
        let known = match (self.by_id.get(computer), command.owner_if_new) {
            (Some(known), _) => known,
            (None, Some(owner)) => {
                let time_zone = TimeZone::UTC;
                let event = ComputerRegistered { computer: computer.clone(), owner, time_zone, at: now };
                events.push(Event::ComputerRegistered(event));
                fresh = Computer::new(owner, time_zone);
                &fresh
            }
            (None, None) => return Err(UnknownComputer { computer: computer.clone() }.into()),
        };
        if (&known.address, &known.netmask) != (&command.address, &command.netmask) {
            let (address, netmask) = (command.address.clone(), command.netmask.clone());
            let event = ComputerConfigured { computer: computer.clone(), address, netmask, at: now };
            events.push(Event::ComputerConfigured(event));
        }
        for offer in &command.offers {
            let same = known.partitions.get(&offer.partition).is_some_and(|p| p.offered && p.offer == *offer);
            if !same {
                let event = PartitionOffered { computer: computer.clone(), offer: offer.clone(), at: now };
                events.push(Event::PartitionOffered(event));
            }
        }
        for (partition, _) in known.partitions.iter().filter(|(name, p)| p.offered && !named.contains(name)) {
            let (computer, partition) = (computer.clone(), partition.clone());
            events.push(Event::PartitionWithdrawn(PartitionWithdrawn { computer, partition, at: now }));
        }
        let stream = Stream::Computer(computer.clone());
        Ok(Outcome::of((), events.into_iter().map(|event| (stream.clone(), event))))
    }

    pub(crate) fn registered(&mut self, event: &ComputerRegistered) {
        self.by_id.insert(event.computer.clone(), Computer::new(event.owner, event.time_zone));
    }

    pub(crate) fn configured(&mut self, event: &ComputerConfigured) {
        if let Some(computer) = self.by_id.get_mut(&event.computer) {
            computer.address.clone_from(&event.address);
            computer.netmask.clone_from(&event.netmask);
        }
    }

    pub(crate) fn offered(&mut self, event: &PartitionOffered) {
        let Some(computer) = self.by_id.get_mut(&event.computer) else { return };
        let name = &event.offer.partition;
        let rank = u32::try_from(computer.partitions.len()).unwrap_or(u32::MAX);
        if let Some(user) = computer.partitions.get(name).and_then(|known| known.offer.user.clone())
            // Partitions that swap their users are offered one after the other: it may be another's by now.
            && computer.users.get(&user) == Some(name)
        {
            computer.users.remove(&user);
        }
        let partition = computer.partitions.entry(name.clone()).or_insert_with(|| Partition {
            rank,
            offer: event.offer.clone(),
            offered: true,
            occupant: None,
        });
        partition.offer.clone_from(&event.offer);
        partition.offered = true;
        if let Some(user) = &event.offer.user {
            computer.users.insert(user.clone(), name.clone());
        }
        self.refresh_room(&event.computer, name);
    }

    pub(crate) fn withdrawn(&mut self, event: &PartitionWithdrawn) {
        let Some(computer) = self.by_id.get_mut(&event.computer) else { return };
        if let Some(partition) = computer.partitions.get_mut(&event.partition) {
            partition.offered = false;
        }
        self.refresh_room(&event.computer, &event.partition);
    }

    pub(crate) fn occupy(&mut self, computer: &ComputerId, partition: &PartitionId, by: Option<InstanceId>) {
        let Some(known) = self.by_id.get_mut(computer) else { return };
        if let Some(partition) = known.partitions.get_mut(partition) {
            partition.occupant = by;
        }
        self.refresh_room(computer, partition);
    }

    fn refresh_room(&mut self, computer: &ComputerId, partition: &PartitionId) {
        let Some(known) = self.by_id.get_mut(computer) else { return };
        known.refresh_free(partition);
        if known.free.is_empty() {
            self.with_room.remove(computer);
        } else if !self.with_room.contains(computer) {
            self.with_room.insert(computer.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::given::{
        Given, computer, configure, destroy, offer, partition, register_computer, register_party, request,
    };

    use super::*;

    fn stream() -> Stream {
        Stream::Computer(computer("COMP-1"))
    }

    fn offered(given: &Given, offer: Offer) -> (Stream, Event) {
        (
            stream(),
            Event::PartitionOffered(PartitionOffered { computer: computer("COMP-1"), offer, at: given.now }),
        )
    }

    fn withdrawn(given: &Given, name: &str) -> (Stream, Event) {
        let (computer, partition) = (computer("COMP-1"), partition(name));
        (stream(), Event::PartitionWithdrawn(PartitionWithdrawn { computer, partition, at: given.now }))
    }

    fn free(given: &Given) -> Vec<&str> {
        let computer = given.state.computers.get("COMP-1").expect("it is registered");
        let free: Vec<_> = computer.free().map(PartitionId::as_str).collect();
        let listed = given.state.computers.with_room().contains("COMP-1");
        assert_eq!(listed, !free.is_empty(), "the list of computers with room is wrong");
        free
    }

    #[test]
    fn a_computer_is_registered_once() {
        let given = Given::nothing().done(register_party());
        let event = ComputerRegistered {
            computer: computer("COMP-1"),
            owner: PartyId(1),
            time_zone: TimeZone::UTC,
            at: given.now,
        };
        given
            .when(register_computer("COMP-1"))
            .then([(stream(), Event::ComputerRegistered(event))])
            .and()
            .when(register_computer("COMP-1"))
            .refused(ComputerRefusal::AlreadyRegistered { computer: computer("COMP-1") });
    }

    /// A configuration that contradicts itself is wrong whoever sends it, so that is said first.
    #[test]
    fn configurations_are_refused_in_order() {
        let unknown = UnknownComputer { computer: computer("COMP-9") };
        Given::cloud()
            .when(configure("COMP-9", &["slappart0", "slappart1", "slappart0"]))
            .refused(ComputerRefusal::PartitionTwice { partition: partition("slappart0") })
            .when(configure("COMP-9", &["slappart0"]))
            .refused(ComputerRefusal::Unknown(unknown));
    }

    #[test]
    fn a_configuration_records_what_is_other_than_before() {
        let given = Given::nothing().done(register_party()).done(register_computer("COMP-1"));
        let configured = ComputerConfigured {
            computer: computer("COMP-1"),
            address: "10.0.0.254".into(),
            netmask: "255.255.255.0".into(),
            at: given.now,
        };
        let first = [
            (stream(), Event::ComputerConfigured(configured.clone())),
            offered(&given, offer("slappart0")),
            offered(&given, offer("slappart1")),
        ];
        let given = given.when(configure("COMP-1", &["slappart0", "slappart1"])).then(first).and();
        assert_eq!(free(&given), ["slappart0", "slappart1"]);
        let given = given.when(configure("COMP-1", &["slappart1", "slappart0"])).unchanged().and();

        let gone = [withdrawn(&given, "slappart0")];
        let given = given.when(configure("COMP-1", &["slappart1"])).then(gone).and();
        assert_eq!(free(&given), ["slappart1"]);
        let given = given.when(configure("COMP-1", &["slappart1"])).unchanged().and();
        assert!(given.state.computers.get("COMP-1").is_some_and(|known| known.has_partition("slappart0")));

        // It comes back at its old place in the order.
        let back = [offered(&given, offer("slappart0"))];
        let given = given.when(configure("COMP-1", &["slappart0", "slappart1"])).then(back).and();
        assert_eq!(free(&given), ["slappart0", "slappart1"]);

        let other = Offer { tap: None, ..offer("slappart1") };
        let changed = [offered(&given, other.clone())];
        let mut command = configure("COMP-1", &["slappart0"]);
        command.offers.push(other);
        let given = given.when(command.clone()).then(changed).and();
        command.address = "10.0.0.253".into();
        let configured = ComputerConfigured { address: "10.0.0.253".into(), ..configured };
        given.when(command).then([(stream(), Event::ComputerConfigured(configured))]);
    }

    #[test]
    fn where_anybody_may_bring_a_computer_its_configuration_registers_it() {
        let command =
            ConfigureComputer { owner_if_new: Some(PartyId(1)), ..configure("COMP-1", &["slappart0"]) };
        Given::nothing()
            .done(register_party())
            .when(command.clone())
            .then_named(&["ComputerRegistered", "ComputerConfigured", "PartitionOffered"])
            .and()
            .when(command)
            .unchanged();
    }

    #[test]
    fn a_withdrawn_partition_keeps_its_tenant_and_is_not_given_to_another() {
        let given = Given::cloud().done(request("a")).done(configure("COMP-1", &["slappart1"]));
        let known = given.state.computers.get("COMP-1").expect("it is registered");
        assert_eq!(known.occupant(&partition("slappart0")), Some(InstanceId(1)));
        let given = given.done(destroy("a")).done(crate::domain::given::report(
            "slappart0",
            crate::domain::instance::ReportedState::Destroyed,
        ));
        assert_eq!(free(&given), ["slappart1"]);
        let given = given.done(configure("COMP-1", &["slappart0", "slappart1"]));
        assert_eq!(free(&given), ["slappart0", "slappart1"]);
        assert_eq!(free(&given.done(request("b")).done(request("c"))), Vec::<&str>::new());
    }

    /// Two partitions swapped their unix users. The second offer forgot the user of the first, because it was
    /// the second's before, and the usage of that user was suspended from then on.
    #[test]
    fn users_can_be_swapped() {
        let swapped = |name, user: &str| Offer { user: Some(user.into()), ..offer(name) };
        let mut command = configure("COMP-1", &[]);
        command.offers = vec![swapped("slappart0", "slapuser1"), swapped("slappart1", "slapuser0")];
        let given = Given::cloud().done(command);
        let known = given.state.computers.get("COMP-1").expect("it is registered");
        assert_eq!(known.partition_of_user("slapuser1"), Some(&partition("slappart0")));
        assert_eq!(known.partition_of_user("slapuser0"), Some(&partition("slappart1")));

        let mut command = configure("COMP-1", &[]);
        command.offers = vec![Offer { user: None, ..offer("slappart0") }, swapped("slappart1", "slapuser0")];
        let given = given.done(command);
        let known = given.state.computers.get("COMP-1").expect("it is registered");
        assert_eq!(known.partition_of_user("slapuser1"), None);
        assert_eq!(known.partition_of_user("slapuser0"), Some(&partition("slappart1")));
    }
}
