//! A second reading of who is where and who waits, word for word and without any index: what the decisions must
//! agree with after every command. Tests only; the simulation compiles this file too.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::computer::AllocationScope;
use crate::domain::event::{Event, Mode};
use crate::domain::id::{
    ComputerId, InstanceId, PartitionId, PartyId, Reference, SoftwareRelease, SoftwareType,
};
use crate::domain::instance::{ReportedState, RequestedState, Requester};

type Pairs = Vec<(Box<str>, Box<str>)>;

/// An instance, as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct One {
    pub(crate) requester: Requester,
    pub(crate) owner: PartyId,
    pub(crate) root: InstanceId,
    pub(crate) reference: Reference,
    pub(crate) key: [u8; 16],
    pub(crate) shared: bool,
    pub(crate) state: RequestedState,
    pub(crate) place: Option<(ComputerId, PartitionId)>,
    pub(crate) host: Option<InstanceId>,
    pub(crate) ended: bool,
    release: SoftwareRelease,
    software_type: SoftwareType,
    filter: Pairs,
    in_error: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NaiveNode {
    owner: PartyId,
    offered: BTreeSet<PartitionId>,
    /// What partitions can do, also those that are not on offer any more.
    able: BTreeMap<PartitionId, Vec<Box<str>>>,
    attributes: Pairs,
    scope: AllocationScope,
    software: Vec<SoftwareRelease>,
    capacity: Option<u32>,
    silent: bool,
}

/// All instances and computers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NaiveCloud {
    master: bool,
    pub(crate) instances: BTreeMap<InstanceId, One>,
    computers: BTreeMap<ComputerId, NaiveNode>,
}

fn wish<'a>(filter: &'a Pairs, key: &str) -> Option<&'a str> {
    filter.iter().find(|(known, _)| &**known == key).map(|(_, value)| &**value)
}

impl NaiveCloud {
    /// Takes the next event over.
    pub(crate) fn take(&mut self, event: &Event) {
        self.take_of_computer(event);
        match event {
            Event::LedgerCreated(event) => self.master = event.mode == Mode::Serve,
            Event::InstanceRequested(event) => {
                let one = One {
                    requester: event.requester,
                    owner: event.owner,
                    root: event.root,
                    reference: event.reference.clone(),
                    key: event.parameters.key.0,
                    shared: event.shared,
                    state: event.state,
                    place: None,
                    host: None,
                    ended: false,
                    release: event.release.clone(),
                    software_type: event.software_type.clone(),
                    filter: event.filter.clone(),
                    in_error: false,
                };
                self.instances.insert(event.instance, one);
            }
            Event::InstanceChanged(event) => {
                let Some(one) = self.instances.get_mut(&event.instance) else { return };
                one.release = event.release.clone().unwrap_or(one.release.clone());
                one.software_type = event.software_type.clone().unwrap_or(one.software_type.clone());
                one.filter = event.filter.clone().unwrap_or(one.filter.clone());
                one.state = event.state.unwrap_or(one.state);
                one.requester = event.requester.map_or(one.requester, Requester::Instance);
            }
            Event::InstanceAllocated(event) => {
                let Some(one) = self.instances.get_mut(&event.instance) else { return };
                one.place = Some((event.computer.clone(), event.partition.clone()));
                one.host = event.host;
            }
            Event::InstanceEnded(event) => {
                let Some(one) = self.instances.get_mut(&event.instance) else { return };
                one.ended = true;
            }
            Event::InstanceStateReported(event) => {
                let Some(one) = self.instances.get_mut(&event.instance) else { return };
                one.in_error = event.state == ReportedState::Error;
            }
            Event::InstanceRenamed(event) => {
                let Some(one) = self.instances.get_mut(&event.instance) else { return };
                one.reference = event.reference.clone();
            }
            _ => {}
        }
    }

    fn take_of_computer(&mut self, event: &Event) {
        match event {
            Event::ComputerRegistered(event) => {
                let node = NaiveNode {
                    owner: event.owner,
                    offered: BTreeSet::new(),
                    able: BTreeMap::new(),
                    attributes: Vec::new(),
                    scope: AllocationScope::Personal,
                    software: Vec::new(),
                    capacity: None,
                    silent: false,
                };
                self.computers.insert(event.computer.clone(), node);
            }
            Event::PartitionOffered(event) => {
                let Some(node) = self.computers.get_mut(&event.computer) else { return };
                node.offered.insert(event.offer.partition.clone());
                node.able.insert(event.offer.partition.clone(), event.offer.capabilities.clone());
            }
            Event::PartitionWithdrawn(event) => {
                let Some(node) = self.computers.get_mut(&event.computer) else { return };
                node.offered.remove(&event.partition);
            }
            Event::ComputerDescribed(event) => {
                let Some(node) = self.computers.get_mut(&event.computer) else { return };
                node.attributes.clone_from(&event.attributes);
            }
            Event::AllocationScopeSet(event) => {
                let Some(node) = self.computers.get_mut(&event.computer) else { return };
                node.scope.clone_from(&event.scope);
                node.software.clone_from(&event.software);
                node.capacity = event.capacity;
            }
            Event::ComputerFellSilent(event) => {
                let Some(node) = self.computers.get_mut(&event.computer) else { return };
                node.silent = true;
            }
            Event::ComputerHeard(event) => {
                let Some(node) = self.computers.get_mut(&event.computer) else { return };
                node.silent = false;
            }
            _ => {}
        }
    }

    /// What must be true after every command.
    ///
    /// # Panics
    /// If something is not.
    pub(crate) fn check(&self) {
        let mut seats = BTreeSet::new();
        let mut names = BTreeSet::new();
        for (id, one) in self.living() {
            let scope = match one.requester {
                Requester::Party(party) => (0, party.0),
                Requester::Instance(_) => (1, one.root.0),
            };
            assert!(
                names.insert((scope, one.shared, &one.reference)),
                "{} is the name of two",
                one.reference
            );
            if let Some(place) = one.place.as_ref().filter(|_| !one.shared) {
                assert!(seats.insert(place), "{place:?} is given to two");
                assert_eq!(one.host, None, "{id} has a partition and a host");
            }
            if one.shared {
                self.check_host(id, one);
            }
            self.check_parents(id, one);
            if one.place.is_none() {
                let room = if one.shared { self.has_host(one) } else { self.has_partition(one) };
                assert!(!room, "{id} waits while there is room for it");
            }
        }
    }

    fn living(&self) -> impl Iterator<Item = (InstanceId, &One)> {
        self.instances.iter().filter(|(_, one)| !one.ended).map(|(id, one)| (*id, one))
    }

    fn check_host(&self, id: InstanceId, one: &One) {
        let Some(host) = one.host else {
            assert_eq!(one.place, None, "{id} is shared and has a place without a host");
            return;
        };
        let host = self.instances.get(&host).filter(|host| !host.ended && !host.shared);
        let host = host.unwrap_or_else(|| panic!("{id} lives on nobody"));
        assert_eq!(host.place, one.place, "{id} is not where its host is");
    }

    /// All parents live, up to the root; at the master what is under one that is to go is to go.
    fn check_parents(&self, id: InstanceId, one: &One) {
        let (mut at, mut steps) = (one, 0);
        while let Requester::Instance(parent) = at.requester {
            let child = at.state;
            at = self.instances.get(&parent).expect("the parent of a living one");
            if at.ended {
                // Its partition was given up, or left the configuration of a proxy; the child is asked away.
                let goes = child == RequestedState::Destroyed;
                assert!(!self.master || goes, "{id} is wanted, and its parent has ended");
                return;
            }
            let orphan = self.master && at.state == RequestedState::Destroyed;
            assert!(!orphan || child == RequestedState::Destroyed, "{id} is wanted under what is to go");
            steps += 1;
            assert!(steps <= self.instances.len(), "{id} is under itself");
        }
        assert!(self.instances.get(&one.root) == Some(at), "{id} is not under its root");
    }

    fn on<'a>(&'a self, computer: &'a ComputerId) -> impl Iterator<Item = &'a One> {
        let there = move |one: &&One| one.place.as_ref().is_some_and(|(on, _)| on == computer);
        self.living().map(|(_, one)| one).filter(|one| !one.shared).filter(there)
    }

    fn is_for(node: &NaiveNode, party: PartyId) -> bool {
        match &node.scope {
            AllocationScope::Open => true,
            AllocationScope::Personal => party == node.owner,
            AllocationScope::Group(members) => party == node.owner || members.contains(&party),
            AllocationScope::Closed => false,
        }
    }

    fn has_attributes(node: &NaiveNode, filter: &Pairs) -> bool {
        let other = ["computer_guid", "instance_guid", "capability", "mode"];
        let asked = filter.iter().filter(|(key, _)| !other.contains(&&**key));
        let mut asked = asked.filter(|(key, _)| !key.starts_with("fw_") && &**key != "retention_delay");
        asked.all(|(key, wanted)| {
            let is = wish(&node.attributes, key);
            is == Some(&**wanted) || is.is_some_and(|is| is.starts_with(&format!("{wanted}/")))
        })
    }

    fn network(&self, computer: &ComputerId) -> String {
        let node = &self.computers[computer];
        wish(&node.attributes, "network_guid").unwrap_or(computer.as_str()).to_owned()
    }

    /// Whether an instance is not to be spread, or no other of its tree is in the network of a computer.
    fn may_be_in_network_of(&self, one: &One, computer: &ComputerId) -> bool {
        let network = self.network(computer);
        let mut others = self.living().filter(|(_, other)| other.root == one.root);
        wish(&one.filter, "mode").is_none()
            || !others
                .any(|(_, other)| other.place.as_ref().is_some_and(|(on, _)| self.network(on) == network))
    }

    fn has_partition(&self, one: &One) -> bool {
        self.computers.iter().any(|(id, node)| {
            let named = wish(&one.filter, "computer_guid").is_none_or(|named| named == id.as_str());
            let (there, in_error) = (self.on(id).count(), self.on(id).filter(|one| one.in_error).count());
            let open = !self.master
                || Self::is_for(node, one.owner)
                    && Self::has_attributes(node, &one.filter)
                    && !node.silent
                    && node
                        .capacity
                        .is_none_or(|most| there < usize::try_from(most).expect("a small number"))
                    && (node.software.is_empty() || node.software.contains(&one.release))
                    && (in_error < 3 || in_error * 2 < there)
                    && self.may_be_in_network_of(one, id);
            let mut free = node.offered.iter().filter(|partition| {
                let taken = |one: &One| one.place.as_ref().is_some_and(|(_, at)| at == *partition);
                !self.on(id).any(taken)
            });
            named && open && free.any(|partition| !self.master || Self::is_able(node, partition, &one.filter))
        })
    }

    fn is_able(node: &NaiveNode, partition: &PartitionId, filter: &Pairs) -> bool {
        wish(filter, "capability")
            .is_none_or(|asked| node.able[partition].iter().any(|able| &**able == asked))
    }

    fn has_host(&self, one: &One) -> bool {
        self.living().any(|(id, host)| {
            let Some((computer, partition)) = &host.place else { return false };
            let node = &self.computers[computer];
            let named = wish(&one.filter, "computer_guid").is_none_or(|named| named == computer.as_str());
            let guids = if self.master {
                vec![id.to_string()]
            } else {
                vec![partition.to_string(), format!("{computer}-{partition}")]
            };
            let called =
                wish(&one.filter, "instance_guid").is_none_or(|guid| guids.iter().any(|n| n == guid));
            let open = !self.master
                || (Self::is_for(node, one.owner) || host.owner == one.owner)
                    && Self::has_attributes(node, &one.filter)
                    && self.may_be_in_network_of(one, computer);
            let runs = (&host.release, &host.software_type) == (&one.release, &one.software_type);
            let able = !self.master || Self::is_able(node, partition, &one.filter);
            !host.shared && host.state != RequestedState::Destroyed && named && called && open && runs && able
        })
    }
}
