//! What a log must be as a whole: the order of all events, the Merkle tree over them, what is of the ledger itself, and
//! the projects, each of which is read as if it were all there is.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use slapledger_core::domain::State;
use slapledger_core::domain::access::{Access, CredentialIssued, Holder, Purpose, Standing};
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{CredentialId, ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::{EventDecoder, Recorded};
use slapledger_core::log::memory::MemoryStore;
use slapledger_core::log::store::{EventStore, read_frames};

use crate::facts::ProjectFacts;

/// The projects that senders act in, from the same small stock of names.
pub(crate) const PROJECTS: [ProjectId; 2] = [ProjectId::DEFAULT, ProjectId(2)];

/// Everything a log says, as far as it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) last: u64,
    pub(crate) recorded_at: Option<Timestamp>,
    /// How many events are of the ledger itself.
    of_ledger: u64,
    pub(crate) term: u64,
    pub(crate) starts: u64,
    projects: BTreeMap<ProjectId, ProjectFacts>,
    /// The titles of projects that were opened.
    opened: BTreeMap<ProjectId, Box<str>>,
    /// What was issued, in which project, and what became of it.
    credentials: BTreeMap<CredentialId, (ProjectId, CredentialIssued, Standing)>,
    /// How often each kind of event occurs.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
}

impl Default for Whole {
    fn default() -> Self {
        Self {
            last: 0,
            recorded_at: None,
            of_ledger: 0,
            term: 0,
            starts: 0,
            projects: PROJECTS.into_iter().map(|project| (project, ProjectFacts::default())).collect(),
            opened: BTreeMap::new(),
            credentials: BTreeMap::new(),
            kinds: BTreeMap::new(),
        }
    }
}

impl Whole {
    /// What a store says, with its Merkle tree worked out anew over the stored bytes.
    pub(crate) fn of(store: &MemoryStore) -> Self {
        let mut whole = Self::default();
        let mut decoder = EventDecoder::default();
        let mut leaves = Vec::new();
        for frame in read_frames(store, Sequence::ZERO) {
            for (sequence, bytes) in frame.expect("a frame that was written").events() {
                leaves.push(hash(&[&[0], bytes]));
                whole.take(&decoder.decode(sequence, bytes).expect("an event that was written"));
            }
        }
        let head = store.head().expect("a store in memory");
        assert_eq!(head.last.0, whole.last, "the head is not at the end of the log");
        assert_eq!(head.root.0, naive_root(&leaves), "the root is not that of the stored events");
        whole.check();
        whole
    }

    /// What it says of a project.
    pub(crate) fn project(&self, project: ProjectId) -> &ProjectFacts {
        &self.projects[&project]
    }

    /// What it says of each project.
    pub(crate) fn projects(&self) -> impl Iterator<Item = (ProjectId, &ProjectFacts)> {
        self.projects.iter().map(|(project, facts)| (*project, facts))
    }

    /// Whether a credential is good at an instant, by all that the log says.
    pub(crate) fn is_good(&self, credential: &str, at: Timestamp) -> bool {
        let known = credential.parse().ok().and_then(|id: CredentialId| self.credentials.get(&id));
        known.is_some_and(|(_, issued, standing)| {
            *standing == Standing::Active && issued.expires_at.is_none_or(|end| at < end)
        })
    }

    /// The tokens of a project that are good once and were not used.
    pub(crate) fn unspent_tokens(&self, project: ProjectId) -> impl Iterator<Item = CredentialId> {
        let known = self.credentials.values().filter(move |(of, issued, standing)| {
            *of == project && issued.purpose != Purpose::Access && *standing == Standing::Active
        });
        known.map(|(_, issued, _)| issued.credential)
    }

    fn end(&mut self, credential: CredentialId, standing: Standing) {
        let (_, issued, before) =
            self.credentials.get_mut(&credential).expect("a credential that was issued");
        assert_eq!(*before, Standing::Active, "{credential} ends twice");
        if matches!(standing, Standing::Spent(_)) {
            assert_ne!(issued.purpose, Purpose::Access, "{credential} is good more than once, and is spent");
        }
        *before = standing;
    }

    /// Takes the next event over.
    pub(crate) fn take(&mut self, recorded: &Recorded) {
        let Recorded { sequence, stream, stream_version, recorded_at, meta, event } = recorded;
        assert_eq!(sequence.0, self.last + 1, "sequences have no gaps");
        assert!(Some(*recorded_at) >= self.recorded_at, "recorded_at runs backwards at {sequence}");
        self.last = sequence.0;
        self.recorded_at = Some(*recorded_at);
        *self.kinds.entry(event.name()).or_default() += 1;
        let shown = meta.actor.credential.as_deref();
        let at = *recorded_at;
        assert!(shown.is_none_or(|shown| self.is_good(shown, at)), "{shown:?} let somebody in at {sequence}");
        match event {
            Event::ProjectOpened(event) => {
                assert_eq!(event.project.0, self.opened.len() as u64 + 2, "projects are numbered");
                let taken = self.opened.values().any(|title| *title == event.title);
                assert!(!taken, "{} is the title of two", event.title);
                self.opened.insert(event.project, event.title.clone());
            }
            Event::CredentialIssued(event) => {
                let known = (meta.project, event.clone(), Standing::Active);
                let before = self.credentials.insert(event.credential, known);
                assert_eq!(before, None, "{} is issued twice", event.credential);
            }
            Event::CredentialRevoked(event) => self.end(event.credential, Standing::Revoked(event.at)),
            Event::CredentialSpent(event) => self.end(event.credential, Standing::Spent(event.at)),
            _ => {}
        }
        self.projects.values_mut().for_each(|facts| facts.last = sequence.0);
        if **stream != Stream::Ledger {
            let facts = self.projects.get_mut(&meta.project).expect("a project that somebody acts in");
            facts.take(recorded);
            return;
        }
        assert_eq!(*stream_version, self.of_ledger + 1, "versions of the ledger have no gaps");
        self.of_ledger += 1;
        match event {
            Event::LedgerCreated(_) => assert_eq!(sequence.0, 1, "the ledger is created once, first"),
            Event::WriterStarted(event) => {
                assert!(event.term > self.term, "terms rise: {} after {}", event.term, self.term);
                self.term = event.term;
                self.starts += 1;
            }
            Event::AnswerRecorded(_) => {}
            Event::ClockConfirmed(event) => assert_eq!(event.at, at, "a clock is confirmed now"),
            Event::LogKeySet(event) => assert_eq!(event.at, at, "a key signs from now on"),
            Event::LedgerRestored(event) => {
                assert!(event.kept < *sequence, "{} was kept before there was more", event.kept);
            }
            other => panic!("{} is not of the ledger", other.name()),
        }
        self.projects.values_mut().for_each(|facts| facts.take_of_ledger(event));
    }

    /// Everybody is where they may be, and nobody waits beside room.
    pub(crate) fn check(&self) {
        self.projects.values().for_each(ProjectFacts::check);
        for (project, issued, standing) in self.credentials.values() {
            // What has expired may be forgotten before its holder ends.
            let expired = issued.expires_at <= self.recorded_at && issued.expires_at.is_some();
            let ended = self.projects.get(project).is_some_and(|facts| match &issued.holder {
                Holder::Party(party) => facts.books.is_erased(*party),
                Holder::Instance(instance) => facts.instances[instance].ended,
                Holder::Operator(_) | Holder::Computer(_) => false,
            });
            assert!(
                !ended || expired || *standing != Standing::Active,
                "{} is over, and is let in",
                issued.holder
            );
        }
    }

    /// Projects and credentials are what the log says.
    pub(crate) fn check_access(&self, access: &Access) {
        let titles = access.projects().skip(1).map(|(project, title)| (project, title.into()));
        assert_eq!(titles.collect::<BTreeMap<_, Box<str>>>(), self.opened, "which projects there are");
        for (credential, (project, issued, standing)) in &self.credentials {
            let known = access.credential(*credential).expect("a credential of the log");
            assert_eq!((known.project, &known.issued, known.standing), (*project, issued, *standing));
        }
    }

    /// The state that decisions look at says the same.
    pub(crate) fn check_state(&self, state: &State) {
        for (project, facts) in &self.projects {
            facts.check_state(state.project(*project));
        }
        self.check_access(&state.access);
        let strangers = state.projects().filter(|(project, _)| !PROJECTS.contains(project)).count();
        assert_eq!(strangers, 0, "a project that nobody acts in");
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// RFC 9162, 2.1.1, word for word: split at the largest power of two smaller than the number of leaves.
fn naive_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => hash(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash(&[&[1], &naive_root(left), &naive_root(right)])
        }
    }
}

/// A second reading that finds nothing wrong with anything shows nothing.
#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use slapledger_core::domain::id::PartyId;
    use slapledger_core::domain::money::Amount;
    use slapledger_core::log::envelope::{Actor, Meta};

    use super::*;
    use crate::world::{STEPS, SimulatedWorld};

    /// Spoils a log, given the place of the event that it is about.
    type PlantedFault = fn(&mut Vec<Recorded>, usize);

    fn events(store: &MemoryStore) -> Vec<Recorded> {
        let mut decoder = EventDecoder::default();
        let mut events = Vec::new();
        for frame in read_frames(store, Sequence::ZERO) {
            for (sequence, bytes) in frame.unwrap().events() {
                events.push(decoder.decode(sequence, bytes).unwrap());
            }
        }
        events
    }

    /// Logs of rising seeds, until each of these events is in one of them.
    fn logs_with(names: &BTreeSet<&str>) -> Vec<Vec<Recorded>> {
        let mut missing = names.clone();
        let mut logs = Vec::new();
        for seed in 1.. {
            if missing.is_empty() {
                break;
            }
            let mut world = SimulatedWorld::new(seed);
            (0..STEPS).for_each(|_| world.step());
            let log = events(world.store());
            let known = missing.len();
            missing.retain(|name| !log.iter().any(|event| event.event.name() == *name));
            if missing.len() < known {
                logs.push(log);
            }
        }
        logs
    }

    fn holds(events: &[Recorded]) -> bool {
        catch_unwind(AssertUnwindSafe(|| Whole::default().take_all(events))).is_ok()
    }

    impl Whole {
        fn take_all<'a>(mut self, events: impl IntoIterator<Item = &'a Recorded>) {
            events.into_iter().for_each(|event| self.take(event));
        }
    }

    #[test]
    fn planted_faults_are_found() {
        let again: PlantedFault = |log, at| {
            let (end, mut event) = (log.last().unwrap().clone(), log[at].clone());
            event.sequence = end.sequence.next();
            event.recorded_at = end.recorded_at;
            let mut newest_first = log.iter().rev();
            let last = newest_first
                .find(|other| (other.project(), &other.stream) == (event.project(), &event.stream));
            event.stream_version = last.unwrap().stream_version + 1;
            log.push(event);
        };
        let elsewhere: PlantedFault = |log, at| {
            let other = PROJECTS.into_iter().find(|project| *project != log[at].meta.project);
            let project = other.expect("there are two");
            log[at].meta = Arc::new(Meta { project, ..(*log[at].meta).clone() });
        };
        let shown: PlantedFault = |log, at| {
            let credential = Some("somebody else's".into());
            let actor = Actor { credential, ..log[at].meta.actor.clone() };
            log[at].meta = Arc::new(Meta { actor, ..(*log[at].meta).clone() });
        };
        let more: PlantedFault = |log, at| {
            let Event::InvoiceFinalised(event) = &mut log[at].event else { panic!("a document") };
            let cent = Amount::from_minor(1, event.invoice.currency);
            event.invoice.total = event.invoice.total.checked_add(cent).unwrap();
        };
        let of_nobody: PlantedFault = |log, at| {
            let Event::InvoiceDraftReviewed(event) = &mut log[at].event else { panic!("a review") };
            event.payer = PartyId(999);
        };
        let faults: [(&str, &str, PlantedFault); 25] = [
            ("an instance in another project", "InstanceRequested", elsewhere),
            ("usage in another project", "UsageRecorded", elsewhere),
            ("a lost event", "InstanceRequested", |log, at| drop(log.remove(at))),
            ("time that runs backwards", "UsageRecorded", |log, at| log[at].recorded_at = Timestamp::MIN),
            ("a version that is left out", "InstanceChanged", |log, at| log[at].stream_version += 1),
            ("another stream", "InstanceEnded", |log, at| log[at].stream = Arc::new(Stream::Ledger)),
            ("usage that is metered twice", "UsageRecorded", again),
            ("a correction of nothing", "UsageCorrected", again),
            ("a void of nothing", "UsageVoided", again),
            ("a partition that is given twice", "InstanceAllocated", again),
            ("an instance that is requested twice", "InstanceRequested", again),
            ("a term twice", "WriterStarted", again),
            ("a credential that is issued twice", "CredentialIssued", again),
            ("somebody who may not come in", "UsageRecorded", shown),
            ("a token that is spent twice", "CredentialSpent", again),
            ("a party that is registered twice", "PartyRegistered", again),
            ("a credit that is granted twice", "CreditGranted", again),
            ("a charge that is recorded twice", "ChargeRecorded", again),
            ("a code that is redeemed twice", "DiscountCodeRedeemed", again),
            ("books that are closed twice", "AccountsClosed", again),
            ("a key that is destroyed twice", "KeyDestroyed", again),
            ("a run that is opened twice", "InvoiceRunOpened", again),
            ("a document that is issued twice", "InvoiceFinalised", again),
            ("a document that asks for more than its lines", "InvoiceFinalised", more),
            ("a draft of nobody that is reviewed", "InvoiceDraftReviewed", of_nobody),
        ];
        let logs = logs_with(&faults.iter().map(|(_, kind, _)| *kind).collect());
        assert!(logs.iter().all(|log| holds(log)));
        for (name, kind, fault) in faults {
            let places = |log: &Vec<Recorded>| log.iter().position(|event| event.event.name() == kind);
            let (good, at) = logs.iter().find_map(|log| Some((log, places(log)?))).expect(kind);
            let mut log = good.clone();
            fault(&mut log, at);
            assert!(!holds(&log), "{name}");
        }
    }
}
