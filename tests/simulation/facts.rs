//! What the events of a project must be, read one by one: a second reading that shares no code with the decisions.
//!
//! [`Facts::take`] panics when an event cannot stand where it stands. Facts of two readings are equal exactly if
//! the logs say the same. The order of all events and what is of the ledger itself is looked at in [`crate::whole`].

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::Project;
use slapledger_core::domain::event::{Event, Mode, Stream};
use slapledger_core::domain::id::{
    ComputerId, InstanceId, KeyId, PartitionId, PartyId, PriceBookName, Reference, RunId, Sequence,
};
use slapledger_core::domain::instance::{RequestedState, Requester};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{Attribution, Usage, UsageId};
use slapledger_core::log::envelope::Recorded;

use crate::naive::Cloud;

/// An instance, as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) requester: Requester,
    pub(crate) owner: PartyId,
    pub(crate) root: InstanceId,
    pub(crate) reference: Reference,
    /// All the names it ever had.
    pub(crate) names: BTreeSet<Reference>,
    pub(crate) key: KeyId,
    pub(crate) state: RequestedState,
    pub(crate) wants: Option<Box<str>>,
    pub(crate) shared: bool,
    pub(crate) host: Option<InstanceId>,
    pub(crate) place: Option<(ComputerId, PartitionId)>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) ended: bool,
}

/// Everything a log says of a project, as far as it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// The end of the log.
    pub(crate) last: u64,
    versions: BTreeMap<Stream, u64>,
    pub(crate) parties: BTreeSet<PartyId>,
    pub(crate) computers: BTreeSet<ComputerId>,
    offered: BTreeSet<(ComputerId, PartitionId)>,
    pub(crate) occupants: BTreeMap<(ComputerId, PartitionId), InstanceId>,
    pub(crate) instances: BTreeMap<InstanceId, Fact>,
    pub(crate) identities: BTreeMap<(ComputerId, UsageId), BTreeSet<u64>>,
    /// The usage that is metered now, by the event that meters it.
    pub(crate) metered: BTreeMap<u64, (ComputerId, UsageId)>,
    pub(crate) suspended: BTreeMap<u64, (ComputerId, UsageId)>,
    books: BTreeMap<PriceBookName, u32>,
    pub(crate) runs: BTreeMap<RunId, bool>,
    /// Whether the rules are those of the master.
    master: bool,
    /// Who is where and who waits.
    cloud: Cloud,
}

impl Facts {
    /// What the ledger is run as holds for every project.
    pub(crate) fn take_of_ledger(&mut self, event: &Event) {
        if let Event::LedgerCreated(created) = event {
            self.master = created.mode == Mode::Serve;
        }
        self.cloud.take(event);
    }

    /// Takes the next event over.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        let Recorded { sequence, stream, stream_version, event, .. } = recorded;
        let version = self.versions.entry((**stream).clone()).or_default();
        assert_eq!(*stream_version, *version + 1, "versions of {stream} have no gaps");
        *version += 1;
        self.cloud.take(event);
        match event {
            Event::PartyRegistered(event) => {
                assert!(self.parties.insert(event.party), "{} is registered twice", event.party);
            }
            Event::ComputerRegistered(event) => {
                assert!(
                    self.computers.insert(event.computer.clone()),
                    "{} is registered twice",
                    event.computer
                );
            }
            Event::PartitionOffered(event) => {
                self.offered.insert((event.computer.clone(), event.offer.partition.clone()));
            }
            Event::PartitionWithdrawn(event) => {
                let place = (event.computer.clone(), event.partition.clone());
                assert!(self.offered.remove(&place), "{place:?} is withdrawn but was not on offer");
            }
            Event::PriceBookPublished(event) => {
                let version = self.books.entry(event.book.name.clone()).or_default();
                assert_eq!(event.version, *version + 1, "versions of {} have no gaps", event.book.name);
                *version += 1;
            }
            Event::InvoiceRunOpened(event) => {
                assert_eq!(event.cut_off.0 + 1, sequence.0, "a run is cut off before its own first event");
                assert_eq!(self.runs.insert(event.run, false), None, "{} is opened twice", event.run);
            }
            Event::InvoiceRunFinalised(event) => {
                assert_eq!(self.runs.insert(event.run, true), Some(false), "{} cannot be final", event.run);
            }
            _ => {
                self.take_of_instance(event);
                self.take_of_usage(stream, event, sequence.0);
            }
        }
    }

    fn take_of_instance(&mut self, event: &Event) {
        match event {
            Event::InstanceRequested(event) => {
                let wants = event.filter.iter().find(|(key, _)| &**key == "computer_guid");
                let fact = Fact {
                    requester: event.requester,
                    owner: event.owner,
                    root: event.root,
                    reference: event.reference.clone(),
                    names: [event.reference.clone()].into(),
                    key: event.parameters.key,
                    state: event.state,
                    wants: wants.map(|(_, computer)| computer.clone()),
                    shared: event.shared,
                    host: None,
                    place: None,
                    from: None,
                    until: None,
                    ended: false,
                };
                assert!(
                    self.find(event.requester, event.shared, &event.reference).is_none(),
                    "{} is there",
                    event.reference
                );
                let key_used = self.instances.values().any(|known| known.key == event.parameters.key);
                assert!(!key_used, "a key is that of two instances");
                assert_eq!(
                    self.instances.insert(event.instance, fact),
                    None,
                    "{} is used again",
                    event.instance
                );
            }
            Event::InstanceChanged(event) => {
                let fact = self.alive(event.instance);
                fact.state = event.state.unwrap_or(fact.state);
                fact.requester = event.requester.map_or(fact.requester, Requester::Instance);
                if let Some(filter) = &event.filter {
                    let wants = filter.iter().find(|(key, _)| &**key == "computer_guid");
                    fact.wants = wants.map(|(_, computer)| computer.clone());
                }
            }
            Event::InstanceRenamed(event) => {
                let fact = self.alive(event.instance);
                fact.reference = event.reference.clone();
                fact.names.insert(event.reference.clone());
            }
            Event::InstanceBanged(event) => {
                assert_eq!(self.alive(event.instance).root, event.root, "another tree is banged");
            }
            Event::InstanceAllocated(event) => {
                let place = (event.computer.clone(), event.partition.clone());
                if event.host.is_some() {
                    assert_eq!(self.occupants.get(&place).copied(), event.host, "its host is elsewhere");
                } else {
                    assert!(self.offered.contains(&place), "{place:?} is not on offer");
                    let before = self.occupants.insert(place.clone(), event.instance);
                    assert_eq!(before, None, "{place:?} is given to two");
                }
                let fact = self.alive(event.instance);
                assert_eq!(fact.place, None, "{} moves", event.instance);
                assert_eq!(fact.shared, event.host.is_some(), "only shared ones have hosts");
                fact.host = event.host;
                assert!(fact.wants.as_deref().is_none_or(|wants| wants == place.0.as_str()), "put elsewhere");
                (fact.place, fact.from) = (Some(place), Some(event.at));
            }
            Event::InstanceEnded(event) => {
                let master = self.master;
                let fact = self.alive(event.instance);
                // A shared one goes with its host, and slapos proxy frees whatever its node says is gone.
                let gone = fact.state == RequestedState::Destroyed || fact.host.is_some() || !master;
                assert!(gone, "{} was still wanted", event.instance);
                (fact.ended, fact.until) = (true, Some(event.at));
                if let Some(place) = fact.place.clone().filter(|_| fact.host.is_none()) {
                    assert_eq!(
                        self.occupants.remove(&place),
                        Some(event.instance),
                        "somebody else was there"
                    );
                }
            }
            Event::InstanceStateReported(event) => {
                self.alive(event.instance);
            }
            Event::ConnectionParametersSet(event) => {
                assert_eq!(self.alive(event.instance).key, event.connection.key, "sealed for another");
            }
            _ => {}
        }
    }

    fn take_of_usage(&mut self, stream: &Stream, event: &Event, sequence: u64) {
        let Stream::Usage(computer) = stream else { return };
        match event {
            Event::UsageRecorded(usage) => self.meter(computer, usage, sequence),
            Event::UsageCorrected(event) => {
                self.replace(event.replaces);
                self.meter(computer, &event.usage, sequence);
            }
            Event::UsageSuspended(event) => {
                let identity = (computer.clone(), event.id.clone());
                self.identities.entry(identity.clone()).or_default();
                self.suspended.insert(sequence, identity);
            }
            Event::SuspendedUsageResolved(event) => {
                let was = self.suspended.remove(&event.suspended.0);
                assert_eq!(was, Some((computer.clone(), event.usage.id.clone())), "it was not suspended");
                if let Some(replaced) = event.replaces {
                    self.replace(replaced);
                }
                self.meter(computer, &event.usage, sequence);
            }
            Event::SuspendedUsageDismissed(event) => {
                assert!(self.suspended.remove(&event.suspended.0).is_some(), "it was not suspended");
            }
            _ => {}
        }
    }

    fn replace(&mut self, sequence: Sequence) {
        let identity = self.metered.remove(&sequence.0);
        let identity = identity.unwrap_or_else(|| panic!("{sequence} is replaced, but not metered"));
        self.identities.entry(identity).or_default().remove(&sequence.0);
    }

    fn meter(&mut self, computer: &ComputerId, usage: &Usage, sequence: u64) {
        assert!(usage.quantity.billionths() >= 0, "less than nothing is metered");
        let identity = (computer.clone(), usage.id.clone());
        let metering = self.identities.entry(identity.clone()).or_default();
        assert!(metering.is_empty(), "{identity:?} is metered twice: by {metering:?} and {sequence}");
        metering.insert(sequence);
        self.metered.insert(sequence, identity);
        let shares = match &usage.attribution {
            Attribution::Computer => return,
            Attribution::Instance(instance) => vec![(*instance, usage.period)],
            Attribution::Shares(shares) => {
                shares.iter().map(|share| (share.instance, share.period)).collect()
            }
        };
        for (instance, period) in shares {
            let fact = &self.instances[&instance];
            assert_eq!(fact.place.as_ref().map(|(on, _)| on), Some(computer), "{instance} is elsewhere");
            assert!(fact.from <= Some(period.start), "{instance} is charged before it was there");
            assert!(
                fact.until.is_none_or(|until| period.stop <= until),
                "{instance} is charged after its end"
            );
        }
    }

    fn alive(&mut self, instance: InstanceId) -> &mut Fact {
        let fact = self.instances.get_mut(&instance).filter(|fact| !fact.ended);
        fact.unwrap_or_else(|| panic!("something happens to {instance}, which is not there"))
    }

    /// The living instance of a name.
    pub(crate) fn find(
        &self,
        requester: Requester,
        shared: bool,
        reference: &Reference,
    ) -> Option<(InstanceId, &Fact)> {
        let root_of = |instance: InstanceId| self.instances.get(&instance).map(|fact| fact.root);
        let mut living = self
            .instances
            .iter()
            .filter(|(_, fact)| !fact.ended && fact.shared == shared && fact.reference == *reference);
        let found = living.find(|(_, fact)| match (fact.requester, requester) {
            (Requester::Party(one), Requester::Party(other)) => one == other,
            (Requester::Instance(_), Requester::Instance(other)) => Some(fact.root) == root_of(other),
            _ => false,
        });
        found.map(|(instance, fact)| (*instance, fact))
    }

    /// Everybody is where they may be, and nobody waits beside room.
    pub(crate) fn check(&self) {
        self.cloud.check();
    }

    /// The state that decisions look at says the same.
    pub(crate) fn check_state(&self, state: &Project) {
        let mut known: BTreeMap<(ComputerId, PartitionId), InstanceId> = BTreeMap::new();
        let mut free = BTreeSet::new();
        for (id, computer) in state.computers.iter() {
            free.extend(computer.free().map(|partition| (id.clone(), partition.clone())));
            let places = self.offered.iter().chain(self.occupants.keys()).filter(|(on, _)| on == id);
            known.extend(places.filter_map(|place| Some((place.clone(), computer.occupant(&place.1)?))));
        }
        assert_eq!(known, self.occupants, "who sits where");
        let expected: BTreeSet<_> =
            self.offered.iter().filter(|place| !self.occupants.contains_key(*place)).cloned().collect();
        assert_eq!(free, expected, "what is free");
        for (instance, fact) in &self.instances {
            let known = state.instances.get(*instance).expect("an instance of the log");
            let allocation = known.allocation.as_ref();
            let place = allocation.map(|there| (there.computer.clone(), there.partition.clone()));
            assert_eq!(place, fact.place, "the place of {instance}");
            assert_eq!(allocation.and_then(|there| there.host), fact.host, "the host of {instance}");
            assert_eq!(known.key, fact.key, "the key of {instance}");
        }
    }
}
