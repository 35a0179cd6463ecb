//! What the events of a project must be, read one by one: a second reading that shares no code with the decisions.
//!
//! [`ProjectFacts::take`] panics when an event cannot stand where it stands. Facts of two readings are equal exactly if
//! the logs say the same. The order of all events and what is of the ledger itself is looked at in [`crate::whole`].

use std::collections::{BTreeMap, BTreeSet};

use slapledger_billing::BillingView;
use slapledger_core::domain::Project;
use slapledger_core::domain::catalogue::CatalogueEntry;
use slapledger_core::domain::erasure::{ErasureSubject, KeyDestroyed};
use slapledger_core::domain::event::{Event, Mode, Stream};
use slapledger_core::domain::id::{
    ComputerId, InstanceId, KeyId, PartitionId, PartyId, PriceBookName, Reference, Sequence, SoftwareRelease,
};
use slapledger_core::domain::instance::{RequestedState, Requester};
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::{Attribution, Usage, UsageId};
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::SlapViews;

use crate::books::BooksFacts;
use crate::naive::NaiveCloud;

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
    /// The digest of its parameters.
    pub(crate) parameters: [u8; 16],
    pub(crate) state: RequestedState,
    pub(crate) wants: Option<Box<str>>,
    pub(crate) shared: bool,
    pub(crate) host: Option<InstanceId>,
    pub(crate) place: Option<(ComputerId, PartitionId)>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) ended: bool,
    erased: bool,
}

/// A computer, as the log tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ComputerFact {
    owner: PartyId,
    silent: bool,
    configured: bool,
}

/// Usage that is metered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MeteredFact {
    identity: (ComputerId, UsageId),
    /// Among how many instances it is divided.
    shares: usize,
}

/// Everything a log says of a project, as far as it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProjectFacts {
    /// The end of the log.
    pub(crate) last: u64,
    versions: BTreeMap<Stream, u64>,
    computers: BTreeMap<ComputerId, ComputerFact>,
    /// What ended with its partition at a master and is still wanted: it is requested again by the same command.
    to_request_again: BTreeSet<(Requester, Reference)>,
    /// What is to be where, or is being removed there.
    pub(crate) supplies: BTreeSet<(ComputerId, SoftwareRelease)>,
    published: BTreeSet<SoftwareRelease>,
    entries: BTreeMap<Reference, CatalogueEntry>,
    schemas: BTreeMap<SoftwareRelease, Box<str>>,
    offered: BTreeSet<(ComputerId, PartitionId)>,
    pub(crate) occupants: BTreeMap<(ComputerId, PartitionId), InstanceId>,
    pub(crate) instances: BTreeMap<InstanceId, Fact>,
    pub(crate) identities: BTreeMap<(ComputerId, UsageId), BTreeSet<u64>>,
    /// The identity of every event that ever had one.
    pub(crate) named: BTreeMap<u64, (ComputerId, UsageId)>,
    /// The usage that is metered now, by the event that meters it.
    metered: BTreeMap<u64, MeteredFact>,
    pub(crate) suspended: BTreeMap<u64, (ComputerId, UsageId)>,
    price_books: BTreeMap<PriceBookName, u32>,
    pub(crate) books: BooksFacts,
    /// Whether the rules are those of the master.
    master: bool,
    /// Who is where and who waits.
    cloud: NaiveCloud,
}

impl ProjectFacts {
    /// What the ledger is run as holds for every project.
    pub(crate) fn take_of_ledger(&mut self, event: &Event) {
        if let Event::LedgerCreated(created) = event {
            self.master = created.mode == Mode::Serve;
        }
        self.cloud.take(event);
        self.books.take_of_ledger(event);
    }

    /// Takes the next event over.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        let Recorded { sequence, stream, stream_version, event, .. } = recorded;
        let version = self.versions.entry((**stream).clone()).or_default();
        assert_eq!(*stream_version, *version + 1, "versions of {stream} have no gaps");
        *version += 1;
        self.cloud.take(event);
        self.books.take(recorded);
        match event {
            Event::KeyDestroyed(event) => self.key_destroyed(event),
            Event::PriceBookPublished(event) => {
                let version = self.price_books.entry(event.book.name.clone()).or_default();
                assert_eq!(event.version, *version + 1, "versions of {} have no gaps", event.book.name);
                *version += 1;
            }
            _ => {
                self.take_of_computer(event);
                self.take_of_instance(event);
                self.take_of_usage(stream, event, sequence.0);
            }
        }
    }

    fn take_of_computer(&mut self, event: &Event) {
        match event {
            Event::ComputerRegistered(event) => {
                let fact = ComputerFact { owner: event.owner, silent: false, configured: false };
                let before = self.computers.insert(event.computer.clone(), fact);
                assert_eq!(before, None, "{} is registered twice", event.computer);
                assert!(!self.books.is_erased(event.owner), "{} is of somebody erased", event.computer);
            }
            Event::ComputerConfigured(event) => self.computer(&event.computer).configured = true,
            Event::ComputerFellSilent(event) => {
                let before = std::mem::replace(&mut self.computer(&event.computer).silent, true);
                assert!(!before, "{} falls silent twice", event.computer);
            }
            Event::ComputerHeard(event) => {
                let before = std::mem::replace(&mut self.computer(&event.computer).silent, false);
                assert!(before, "{} is heard of again, and was not silent", event.computer);
            }
            Event::PartitionOffered(event) => {
                self.offered.insert((event.computer.clone(), event.offer.partition.clone()));
            }
            Event::PartitionWithdrawn(event) => {
                let place = (event.computer.clone(), event.partition.clone());
                assert!(self.offered.remove(&place), "{place:?} is withdrawn but was not on offer");
            }
            Event::SoftwareSupplied(event) => {
                self.supplies.insert((event.computer.clone(), event.release.clone()));
            }
            Event::SoftwareStateReported(event) if event.state == SoftwareState::Destroyed => {
                self.supplies.remove(&(event.computer.clone(), event.release.clone()));
            }
            Event::CatalogueEntryRecorded(event) => {
                let before = self.entries.insert(event.entry.clone(), event.says.clone());
                assert_ne!(before.as_ref(), Some(&event.says), "{} says the same again", event.entry);
            }
            Event::SoftwareSchemaSupplied(event) => {
                self.schemas.insert(event.release.clone(), event.schema.clone());
            }
            Event::CatalogueEntryRemoved(event) => {
                assert!(self.entries.remove(&event.entry).is_some(), "{} was not there", event.entry);
            }
            Event::SoftwareReleasePublished(event) => {
                self.published.insert(event.release.clone());
            }
            _ => {}
        }
    }

    /// The computers that nothing is heard of.
    pub(crate) fn silent(&self) -> Vec<&ComputerId> {
        self.computers.iter().filter(|(_, fact)| fact.silent).map(|(id, _)| id).collect()
    }

    fn computer(&mut self, computer: &ComputerId) -> &mut ComputerFact {
        self.computers.get_mut(computer).unwrap_or_else(|| panic!("there is no {computer}"))
    }

    fn key_destroyed(&mut self, event: &KeyDestroyed) {
        match event.subject {
            ErasureSubject::Party(party) => {
                let living = self.instances.values().any(|fact| fact.owner == party && !fact.ended);
                assert!(!living, "{party} is erased and pays for something that lives");
                self.books.erased(party, event.key);
            }
            ErasureSubject::Instance(instance) => {
                let fact = self.instances.get_mut(&instance).expect("an instance of the log");
                assert!(fact.ended, "{instance} is erased and lives");
                assert_eq!(fact.key, event.key, "the key of {instance}");
                assert!(!std::mem::replace(&mut fact.erased, true), "{instance} is erased twice");
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
                    parameters: event.parameters.digest,
                    state: event.state,
                    wants: wants.map(|(_, computer)| computer.clone()),
                    shared: event.shared,
                    host: None,
                    place: None,
                    from: None,
                    until: None,
                    ended: false,
                    erased: false,
                };
                self.to_request_again.remove(&(event.requester, event.reference.clone()));
                assert!(!self.books.is_erased(event.owner), "{} was erased and pays", event.owner);
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
                fact.parameters = event.parameters.as_ref().map_or(fact.parameters, |sealed| sealed.digest);
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
                let place = self.alive(event.instance).place.clone();
                // A shared one goes with its host, all go with a partition that is given up, and slapos proxy frees
                // whatever its node says is gone.
                let lost = place.is_some_and(|place| !self.offered.contains(&place));
                let fact = self.alive(event.instance);
                let wanted = fact.state != RequestedState::Destroyed && fact.host.is_none();
                assert!(!wanted || lost || !master, "{} was still wanted", event.instance);
                let (owner, name) = (fact.owner, (fact.requester, fact.reference.clone()));
                let of_party = matches!(fact.requester, Requester::Party(_));
                if master && wanted && of_party && !self.books.is_erased(owner) {
                    self.to_request_again.insert(name);
                }
                let fact = self.alive(event.instance);
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
                self.named.insert(sequence, identity.clone());
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
            Event::UsageVoided(event) => {
                assert!(!event.reason.trim().is_empty(), "nobody says why {} is void", event.voided);
                self.replace(event.voided);
            }
            Event::SuspendedUsageDismissed(event) => {
                assert!(self.suspended.remove(&event.suspended.0).is_some(), "it was not suspended");
            }
            _ => {}
        }
    }

    fn replace(&mut self, sequence: Sequence) {
        let metered = self.metered.remove(&sequence.0);
        let metered = metered.unwrap_or_else(|| panic!("{sequence} is replaced, but not metered"));
        self.identities.entry(metered.identity).or_default().remove(&sequence.0);
    }

    fn meter(&mut self, computer: &ComputerId, usage: &Usage, sequence: u64) {
        assert!(usage.quantity.billionths() >= 0, "less than nothing is metered");
        let identity = (computer.clone(), usage.id.clone());
        let metering = self.identities.entry(identity.clone()).or_default();
        assert!(metering.is_empty(), "{identity:?} is metered twice: by {metering:?} and {sequence}");
        metering.insert(sequence);
        self.named.insert(sequence, identity.clone());
        let shares = match &usage.attribution {
            Attribution::Computer => {
                self.metered.insert(sequence, MeteredFact { identity, shares: 1 });
                return;
            }
            Attribution::Instance(instance) => vec![(*instance, usage.period)],
            Attribution::Shares(shares) => {
                shares.iter().map(|share| (share.instance, share.period)).collect()
            }
        };
        self.metered.insert(sequence, MeteredFact { identity, shares: shares.len() });
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
        let left = &self.to_request_again;
        assert!(left.is_empty(), "ended with a partition, is wanted, and is not requested again: {left:?}");
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
        self.books.check_state(state);
    }

    /// What SLAP is answered from says the same.
    pub(crate) fn check_slap(&self, view: &SlapViews) {
        let SlapViews { inventory, instances, catalogue } = view;
        for (id, fact) in &self.computers {
            let known = inventory.computer(id.as_str()).expect("a computer of the log");
            let is = (known.owner, known.silent_since.is_some(), known.configured_at.is_some());
            assert_eq!(is, (fact.owner, fact.silent, fact.configured), "how {id} is");
            let supplies: Vec<_> = known.supplies().keys().collect();
            let wanted = self.supplies.iter().filter(|(on, _)| on == id);
            assert_eq!(supplies, wanted.map(|(_, release)| release).collect::<Vec<_>>(), "what {id} holds");
            for partition in known.partitions() {
                let place = (id.clone(), partition.offer.partition.clone());
                let is = (partition.offered, partition.occupant);
                let told = (self.offered.contains(&place), self.occupants.get(&place).copied());
                assert_eq!(is, told, "who is at {place:?}");
            }
        }
        assert_eq!(inventory.iter().count(), self.computers.len(), "how many computers there are");
        for (id, fact) in &self.instances {
            let known = instances.get(*id).expect("an instance of the log");
            let place = known.allocation.as_ref().map(|at| (at.computer.clone(), at.partition.clone()));
            assert_eq!((place, known.host()), (fact.place.clone(), fact.host), "where {id} is");
            let is = (known.requested, known.ended_at, known.erased_at.is_some());
            assert_eq!(is, (fact.state, fact.until, fact.erased), "how {id} is");
            assert_eq!((known.owner, &known.reference), (fact.owner, &fact.reference), "whose {id} is");
            assert_eq!((known.requester, known.key()), (fact.requester, fact.key), "who asked for {id}");
        }
        assert_eq!(instances.iter().count(), self.instances.len(), "how many instances there are");
        for release in &self.published {
            assert!(catalogue.product_of(release.as_str()).is_some(), "{release} is of no product");
        }
        let entries = catalogue.entries(|_| true, None, usize::MAX).items;
        let entries = entries.into_iter().map(|known| (known.entry.clone(), known.says.clone()));
        assert_eq!(entries.collect::<BTreeMap<_, _>>(), self.entries, "what the catalogue says");
        for (release, schema) in &self.schemas {
            let known = catalogue.schema(release.as_str()).map(|(known, _)| known);
            assert_eq!(known, Some(&**schema), "the parameters of {release}");
        }
    }

    /// What is billed says the same.
    pub(crate) fn check_billing(&self, view: &BillingView) {
        self.books.check_view(view);
        let metered = self.metered.values().map(|metered| metered.shares).sum::<usize>();
        assert_eq!(view.metering.len(), metered, "how much usage counts");
        let waiting = view.metering.suspense(|_| true, Sequence::ZERO, usize::MAX).items;
        let waiting: Vec<u64> = waiting.into_iter().map(|(sequence, _)| sequence.0).collect();
        assert_eq!(waiting, self.suspended.keys().copied().collect::<Vec<_>>(), "what usage waits");
        for (name, versions) in &self.price_books {
            let published = view.billing.price_book(name.as_str()).count();
            assert_eq!(u32::try_from(published).ok(), Some(*versions), "versions of {name}");
        }
    }
}
