//! The writer against stores that fail, starts that follow each other, and senders that repeat themselves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::{
    Clock, Ledger, LedgerOptions, NoIndex, OpenFault, Sequencer, ShutdownFault, Submission, SubmitError,
};
use crate::domain::access::{
    AccessRefusal, Holder, InvalidCredential, IssueCredential, Proof, Purpose, Renews, RevokeCredentials,
    Role, Which,
};
use crate::domain::computer::{ComputerRefusal, ConfigureComputer, RegisterComputer};
use crate::domain::event::{Event, Mode};
use crate::domain::id::{CommandId, ComputerId, CredentialId, KeyId, PartyId, ProjectId, Sequence};
use crate::domain::party::RegisterParty;
use crate::domain::restore::{RecordRestore, RestoreMark, RestoreRefusal};
use crate::domain::sealed::Sealed;
use crate::domain::time::{TimeZone, Timestamp};
use crate::domain::usage::{MemoryIndex, SeenIndex};
use crate::domain::{Answer, Command, Refusal};
use crate::log::envelope::{Actor, ActorKind, Meta, RULES_VERSION};
use crate::log::frame::Frame;
use crate::log::memory::{AppendOutcome, MemoryStore};
use crate::log::store::{Appended, EventStore, Head, StoreFault, StoreStats, Term};

pub(super) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::parse_rfc3339("2026-10-01T12:00:00Z").expect("an instant")
    }
}

pub(super) fn options(mode: Mode) -> LedgerOptions {
    LedgerOptions {
        mode,
        new_ledger: [7; 16],
        key_ring: [6; 16],
        program: "test".into(),
        queue: 8,
        snapshot: None,
        seen: Box::new(|at| {
            let is_new = at == Sequence::ZERO;
            let index = is_new.then(|| Box::new(MemoryIndex::new([1; 16])) as Box<dyn SeenIndex>);
            index.ok_or(NoIndex::Absent)
        }),
    }
}

fn open(store: &Arc<MemoryStore>) -> Result<Ledger, OpenFault> {
    Ledger::open(Arc::clone(store) as Arc<dyn EventStore>, Arc::new(Noon), options(Mode::Proxy))
}

pub(super) fn named(name: Option<u8>, digest: u8, command: Command) -> Submission {
    let meta = Meta {
        project: ProjectId::DEFAULT,
        actor: Actor { kind: ActorKind::Person, id: "PARTY-1".into(), credential: None },
        command: CommandId([name.unwrap_or(0); 16]),
        named_by_sender: name.is_some(),
        digest: [digest; 16],
        causation: None,
        correlation: None,
        rules: RULES_VERSION,
    };
    Submission { meta: Arc::new(meta), command }
}

pub(super) fn party() -> Command {
    let name = Sealed { key: KeyId([1; 16]), digest: [0; 16], nonce: [0; 24], ciphertext: vec![1, 2, 3] };
    Command::RegisterParty(RegisterParty { name, time_zone: TimeZone::UTC, description: None })
}

pub(super) fn computer(name: &str) -> Command {
    let computer = ComputerId::new(name).expect("an id");
    Command::RegisterComputer(RegisterComputer { computer, owner: PartyId(1), time_zone: TimeZone::UTC })
}

pub(super) fn events(ledger: &Ledger) -> Vec<(u64, &'static str)> {
    let mut after = Sequence::ZERO;
    let mut seen = Vec::new();
    while let Some(group) = ledger.feed().poll(after).expect("the log is readable") {
        seen.extend(group.iter().map(|event| (event.sequence.0, event.event.name())));
        after = group.last().expect("a group holds events").sequence;
    }
    seen
}

#[test]
fn a_ledger_begins_with_itself_and_every_start_says_so() {
    let store = Arc::new(MemoryStore::new());
    let first = open(&store).expect("opens");
    assert_eq!(events(&first), [(1, "LedgerCreated"), (2, "WriterStarted")]);
    let ledger = first.created().ledger;
    first.shut_down().expect("it shuts down");
    let second = open(&store).expect("opens again");
    assert_eq!(second.created().ledger, ledger);
    assert_eq!(events(&second), [(1, "LedgerCreated"), (2, "WriterStarted"), (3, "WriterStarted")]);
    assert!(second.term() > first.term());
}

#[test]
fn a_ledger_keeps_its_mode() {
    let store = Arc::new(MemoryStore::new());
    open(&store).expect("opens").shut_down().expect("it shuts down");
    let other = Ledger::open(Arc::clone(&store) as Arc<dyn EventStore>, Arc::new(Noon), options(Mode::Demo));
    let other = other.map(|_| ()).expect_err("a proxy is no demo");
    assert!(matches!(other, OpenFault::OtherMode { found: Mode::Proxy, wanted: Mode::Demo }), "{other}");
}

#[test]
fn a_ledger_keeps_its_key_ring() {
    let store = Arc::new(MemoryStore::new());
    open(&store).expect("opens").shut_down().expect("it shuts down");
    let other = LedgerOptions { key_ring: [8; 16], ..options(Mode::Proxy) };
    let other = Ledger::open(Arc::clone(&store) as Arc<dyn EventStore>, Arc::new(Noon), other);
    assert!(matches!(other.map(|_| ()), Err(OpenFault::OtherKeys)));
}

#[test]
fn refused_commands_record_nothing() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    ledger.submit_blocking(named(None, 0, computer("COMP-1"))).expect("is new");
    let before = ledger.head();
    let again = ledger.submit_blocking(named(None, 0, computer("COMP-1"))).expect_err("is taken");
    let computer = ComputerId::new("COMP-1").expect("an id");
    let refusal = Refusal::Computer(ComputerRefusal::AlreadyRegistered { computer });
    assert_eq!(again, SubmitError::Refused(refusal));
    assert_eq!(ledger.head(), before);
}

/// An admin who is no party is let in.
fn issue(credential: CredentialId) -> Command {
    Command::IssueCredential(Box::new(IssueCredential {
        credential,
        holder: Holder::Operator("ops".into()),
        roles: Role::Admin.into(),
        all_projects: false,
        purpose: Purpose::Access,
        proof: Proof::Token { digest: [3; 32] },
        label: None,
        expires_at: None,
        spends: None,
        renews: Renews::Nothing,
    }))
}

/// The same from somebody who came by a credential.
fn by(shown: &str, name: Option<u8>, command: Command) -> Submission {
    let Submission { meta, command } = named(name, 0, command);
    let actor = Actor { credential: Some(shown.into()), ..meta.actor.clone() };
    Submission { meta: Arc::new(Meta { actor, ..(*meta).clone() }), command }
}

#[test]
fn what_a_credential_issued_is_known_as_long_as_the_log_is() {
    let [first, second] = [3, 4].map(|n| CredentialId([n; 16]));
    for restarts in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let mut ledger = open(&store).expect("opens");
        ledger.submit_blocking(named(None, 0, issue(first))).expect("is new");
        ledger.submit_blocking(by(&first.to_string(), None, issue(second))).expect("is new");
        if restarts {
            ledger.shut_down().expect("it shuts down");
            drop(ledger);
            ledger = open(&Arc::new(store.reopen())).expect("opens again");
        }
        let revoke = RevokeCredentials { which: Which::One(first), issued_since: Some(Timestamp::MIN) };
        let revoked = ledger.submit_blocking(named(None, 0, Command::RevokeCredentials(revoke)));
        assert_eq!(revoked.expect("is done").answer, Answer::Revoked(vec![first, second]));
    }
}

#[test]
fn whose_credential_has_ended_is_too_late_however_early_they_began() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    let credential = CredentialId([3; 16]);
    let shown = credential.to_string();
    let submit = |shown: &str, name, command| ledger.submit_blocking(by(shown, name, command));
    let not_let_in = |why| Err(SubmitError::Refused(Refusal::Access(AccessRefusal::Unauthenticated(why))));
    assert_eq!(submit(&shown, None, party()), not_let_in(InvalidCredential::Unknown));
    ledger.submit_blocking(named(None, 0, issue(credential))).expect("is new");
    submit(&shown, Some(1), party()).expect("they are let in");
    let revoke = RevokeCredentials { which: Which::One(credential), issued_since: None };
    ledger.submit_blocking(named(None, 0, Command::RevokeCredentials(revoke.clone()))).expect("is done");
    let before = ledger.head();
    // What is new, what was answered before under a name, and what changes nothing.
    assert_eq!(submit(&shown, None, party()), not_let_in(InvalidCredential::Revoked));
    assert_eq!(submit(&shown, Some(1), party()), not_let_in(InvalidCredential::Revoked));
    assert_eq!(
        submit(&shown, None, Command::RevokeCredentials(revoke)),
        not_let_in(InvalidCredential::Revoked)
    );
    assert_eq!(submit("none", None, party()), not_let_in(InvalidCredential::Unknown));
    assert_eq!(ledger.head(), before);
}

#[test]
fn only_the_program_records_a_restore() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    let restore = Command::RecordRestore(Box::new(RecordRestore {
        ledger: [7; 16],
        from: "/backup".into(),
        to: "/data".into(),
        backup_last: Sequence(1),
        backup_at: Timestamp::MIN,
        kept: Sequence(1),
        root: [0; 32],
        mark: RestoreMark::new(1),
        last_numbers: Vec::new(),
        clock_confirmed: false,
    }));
    let before = ledger.head();
    let refusal = SubmitError::Refused(Refusal::Restore(RestoreRefusal::NotTheProgram));
    for name in [None, Some(1)] {
        assert_eq!(ledger.submit_blocking(named(name, 0, restore.clone())), Err(refusal.clone()));
    }
    assert_eq!(ledger.head(), before);
    let Submission { meta, command } = named(None, 0, restore);
    let meta = Arc::new(Meta { actor: Actor::system(), ..(*meta).clone() });
    ledger.submit_blocking(Submission { meta, command }).expect("the program does");
    assert_eq!(events(&ledger).last(), Some(&(3, "LedgerRestored")));
}

#[test]
fn a_named_command_is_answered_once_and_the_same_for_ever() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    let first = ledger.submit_blocking(named(Some(9), 1, party())).expect("is new");
    assert_eq!(first.answer, Answer::Party(PartyId(1)));
    assert_eq!(first.events, 2, "the party, and the answer");
    let again = ledger.submit_blocking(named(Some(9), 1, party())).expect("is known");
    assert_eq!((again.answer, again.events), (first.answer.clone(), 0));
    let other = ledger.submit_blocking(named(Some(9), 2, party()));
    assert_eq!(other, Err(SubmitError::CommandIdReused));
    let unnamed = ledger.submit_blocking(named(None, 1, party())).expect("is another command");
    assert_eq!(unnamed.answer, Answer::Party(PartyId(2)));
    ledger.shut_down().expect("it shuts down");

    let ledger = open(&store).expect("opens again");
    let later = ledger.submit_blocking(named(Some(9), 1, party())).expect("is known from the log");
    assert_eq!((later.answer, later.events), (first.answer, 0));
    assert_eq!(ledger.submit_blocking(named(Some(9), 2, party())), Err(SubmitError::CommandIdReused));
}

#[test]
fn an_unknown_append_stops_the_writer_and_the_next_start_reads_the_log() {
    for landed in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let ledger = open(&store).expect("opens");
        ledger.submit_blocking(named(None, 0, party())).expect("is durable");
        let before = ledger.head();
        store.inject(AppendOutcome::Unknown { landed });
        let lost = ledger.submit_blocking(named(None, 0, computer("COMP-1")));
        assert!(matches!(lost, Err(SubmitError::Stopped(_))), "{lost:?}");
        assert_eq!(ledger.head(), before, "nothing is shown that may not be durable");
        // Not even what does not need the disk: the state it would be decided on may be ahead of the log.
        let after = ledger.submit_blocking(named(None, 0, computer("COMP-2")));
        assert!(matches!(after, Err(SubmitError::Stopped(_))), "{after:?}");
        assert!(ledger.fault().is_some());
        let ended = ledger.shut_down();
        assert!(matches!(ended, Err(ShutdownFault::WriterStopped(_))), "{ended:?}");
        assert_eq!(ledger.shut_down(), ended, "the fault is told again");

        let store = Arc::new(store.reopen());
        let ledger = open(&store).expect("opens again");
        let known = events(&ledger).iter().any(|(_, name)| *name == "ComputerRegistered");
        assert_eq!(known, landed);
        let again = ledger.submit_blocking(named(None, 0, computer("COMP-1")));
        assert_eq!(again.is_err(), landed, "{again:?}");
    }
}

#[test]
fn a_last_snapshot_that_fails_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(MemoryStore::new());
    let snapshot = Some(folder.path().join("state/writer.snapshot"));
    let options = LedgerOptions { snapshot, ..options(Mode::Proxy) };
    let as_store = Arc::clone(&store) as Arc<dyn EventStore>;
    let ledger = Ledger::open(as_store, Arc::new(Noon), options).expect("opens");
    ledger.submit_blocking(named(None, 0, party())).expect("is durable");
    std::fs::write(folder.path().join("state"), "no folder").expect("written");
    let ended = ledger.shut_down();
    assert!(
        matches!(&ended, Err(ShutdownFault::Snapshot(cause)) if cause.contains("writer.snapshot")),
        "{ended:?}"
    );
}

#[test]
fn a_fenced_writer_stops() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    store.acquire().expect("another writer takes over");
    let fenced = ledger.submit_blocking(named(None, 0, party()));
    assert!(matches!(fenced, Err(SubmitError::Stopped(_))), "{fenced:?}");
}

#[test]
fn what_does_not_fit_into_an_event_is_refused_before_it_is_state() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    let name = Sealed { key: KeyId([1; 16]), digest: [0; 16], nonce: [0; 24], ciphertext: vec![0; 70_000] };
    let long = Command::RegisterParty(RegisterParty { name, time_zone: TimeZone::UTC, description: None });
    let refused = ledger.submit_blocking(named(None, 0, long));
    assert!(matches!(refused, Err(SubmitError::TooLarge { event: "PartyRegistered", .. })), "{refused:?}");
    let next = ledger.submit_blocking(named(None, 0, party())).expect("fits");
    assert_eq!(next.answer, Answer::Party(PartyId(1)));
}

#[test]
fn what_is_under_way_is_carried_out_in_order_whether_or_not_it_is_waited_for() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    let begin = |_| ledger.begin_blocking(named(None, 0, party())).expect("there is room");
    // More than the queue holds.
    let mut under_way: Vec<_> = (0..20).map(begin).collect();
    drop(under_way.remove(3));
    let last = under_way.pop().expect("it was handed over").wait().expect("it is new");
    assert_eq!((last.answer, ledger.head().last), (Answer::Party(PartyId(20)), last.sequence));
    let first = under_way.remove(0).wait().expect("it is new");
    assert_eq!(first.answer, Answer::Party(PartyId(1)));
    ledger.shut_down().expect("it shuts down");
    let late = ledger.begin_blocking(named(None, 0, party())).map(|_| ());
    assert!(matches!(late, Err(SubmitError::Stopped(_))), "{late:?}");
}

#[test]
fn many_senders_are_decided_in_one_order() {
    let store = Arc::new(MemoryStore::new());
    let ledger = Arc::new(open(&store).expect("opens"));
    let senders: Vec<_> = (0..8)
        .map(|_| {
            let ledger = Arc::clone(&ledger);
            std::thread::spawn(move || {
                let mut parties = Vec::new();
                for _ in 0..50 {
                    let accepted = ledger.submit_blocking(named(None, 0, party())).expect("is durable");
                    assert!(ledger.head().last >= accepted.sequence, "answered before it was published");
                    parties.push(accepted.answer);
                }
                parties
            })
        })
        .collect();
    let mut parties: Vec<_> = senders
        .into_iter()
        .flat_map(|sender| sender.join().expect("a sender ends"))
        .map(|answer| match answer {
            Answer::Party(party) => party.0,
            other => panic!("{other:?}"),
        })
        .collect();
    parties.sort_unstable();
    assert_eq!(parties, (1..=400).collect::<Vec<_>>());
    let last = events(&ledger).last().copied().expect("there are events");
    assert_eq!(last, (402, "PartyRegistered"));
    assert!(matches!(ledger.feed().poll(Sequence(402)), Ok(None)));
}

#[test]
fn feeds_see_every_event_once_whether_live_or_from_the_log() {
    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    let feed = ledger.feed();
    let reader = std::thread::spawn(move || {
        let (mut after, mut seen) = (Sequence::ZERO, Vec::new());
        while let Some(group) = feed.next(after).expect("the log is readable") {
            seen.extend(group.iter().map(|event| event.sequence.0));
            after = group.last().expect("a group holds events").sequence;
        }
        seen
    });
    for _ in 0..200 {
        ledger.submit_blocking(named(None, 0, party())).expect("is durable");
    }
    ledger.shut_down().expect("it shuts down");
    assert_eq!(reader.join().expect("the reader ends"), (1..=202).collect::<Vec<_>>());
    let from_the_middle = ledger.feed().next(Sequence(100)).expect("readable").expect("there is more");
    assert!(matches!(from_the_middle[0].event, Event::PartyRegistered(_)));
    assert_eq!(from_the_middle[0].sequence, Sequence(101));
}

#[tokio::test]
async fn a_change_of_what_has_moved_is_not_decided() {
    use crate::domain::event::Stream;

    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    ledger.submit(named(None, 0, party())).await.expect("entered");
    let seen = ledger.submit(named(None, 0, computer("COMP-1"))).await.expect("entered").sequence;
    let stream = |name: &str| Stream::Computer(ComputerId::new(name).expect("an id"));
    let elsewhere = ledger.submit(named(None, 0, computer("COMP-2"))).await.expect("entered").sequence;
    let unmoved =
        ledger.submit_if_unmoved(named(Some(1), 1, computer("COMP-3")), stream("COMP-1"), seen).await;
    unmoved.expect("what happened elsewhere does not matter");
    let before = ledger.head();
    let before_it = Sequence(seen.0 - 1);
    let moved =
        ledger.submit_if_unmoved(named(Some(2), 2, computer("COMP-4")), stream("COMP-1"), before_it).await;
    assert_eq!(moved, Err(SubmitError::ModifiedConcurrently));
    let moved = ledger.submit_if_unmoved(named(Some(2), 2, computer("COMP-4")), stream("COMP-2"), seen).await;
    assert_eq!((moved, elsewhere > seen), (Err(SubmitError::ModifiedConcurrently), true));
    // One that was carried out is answered again, whatever has moved.
    let again = ledger.submit_if_unmoved(named(Some(1), 1, computer("COMP-3")), stream("COMP-2"), seen).await;
    assert_eq!(again.map(|accepted| accepted.answer), Ok(Answer::Done));
    let known = ledger.answer_of(named(Some(1), 1, computer("COMP-3")).meta).await;
    assert_eq!(known.map(|known| known.map(|accepted| accepted.answer)), Ok(Some(Answer::Done)));
    let other = ledger.answer_of(named(Some(1), 3, computer("COMP-3")).meta).await;
    assert_eq!(other, Err(SubmitError::CommandIdReused));
    assert_eq!(ledger.answer_of(named(Some(2), 2, computer("COMP-4")).meta).await, Ok(None));
    assert_eq!(ledger.head(), before, "nothing was recorded");
}

/// The same of another project.
fn within(project: u64, submission: Submission) -> Submission {
    let Submission { meta, command } = submission;
    let meta = Arc::new(Meta { project: ProjectId(project), ..(*meta).clone() });
    Submission { meta, command }
}

#[tokio::test]
async fn names_of_commands_and_histories_are_those_of_a_project() {
    use crate::domain::event::Stream;

    let store = Arc::new(MemoryStore::new());
    let ledger = open(&store).expect("opens");
    for (project, digest) in [(1, 1), (2, 2)] {
        let first = ledger.submit(within(project, named(Some(9), digest, party()))).await.expect("is new");
        assert_eq!((first.answer, first.events), (Answer::Party(PartyId(1)), 2));
    }
    let seen = ledger.submit(named(None, 0, computer("COMP-1"))).await.expect("is new").sequence;
    let there = ledger.submit(within(2, named(None, 0, computer("COMP-1")))).await.expect("is new").sequence;
    assert!(there > seen);
    let stream = || Stream::Computer(ComputerId::new("COMP-1").expect("an id"));
    let unmoved = ledger.submit_if_unmoved(named(None, 0, computer("COMP-2")), stream(), seen).await;
    unmoved.expect("what happened in another project does not matter");
    let moved = within(2, named(None, 0, computer("COMP-2")));
    let moved = ledger.submit_if_unmoved(moved, stream(), seen).await;
    assert_eq!(moved, Err(SubmitError::ModifiedConcurrently));
    let other = ledger.submit(within(2, named(Some(9), 1, party()))).await;
    assert_eq!(other, Err(SubmitError::CommandIdReused));
    let unknown = ledger.answer_of(within(3, named(Some(9), 1, party())).meta).await;
    assert_eq!(unknown, Ok(None));
    ledger.shut_down().expect("it shuts down");

    let ledger = open(&store).expect("opens again");
    for (project, digest) in [(1, 1), (2, 2)] {
        let again = ledger.submit(within(project, named(Some(9), digest, party()))).await.expect("known");
        assert_eq!((again.answer, again.events), (Answer::Party(PartyId(1)), 0));
    }
    let mut versions = Vec::new();
    let mut after = Sequence::ZERO;
    while let Some(group) = ledger.feed().poll(after).expect("the log is readable") {
        versions.extend(group.iter().map(|event| {
            let (project, version) = (event.project().0, event.stream_version);
            format!("{project} {} {version}", event.stream)
        }));
        after = group.last().expect("a group holds events").sequence;
    }
    assert_eq!(
        versions,
        [
            "1 ledger 1",
            "1 ledger 2",
            "1 party/PARTY-1 1",
            "1 ledger 3",
            "2 party/PARTY-1 1",
            "1 ledger 4",
            "1 computer/COMP-1 1",
            "2 computer/COMP-1 1",
            "1 computer/COMP-2 1",
            "1 ledger 5"
        ]
    );
}

/// A store whose disk takes its time: an append says that it has begun, and waits until it may go on.
#[derive(Default)]
pub(super) struct SlowStore {
    pub(super) memory: MemoryStore,
    disk: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>,
    appends: AtomicUsize,
    panics: AtomicBool,
}

impl SlowStore {
    pub(super) fn slow_down(&self, begun: mpsc::Sender<()>, may_go_on: mpsc::Receiver<()>) {
        *self.disk.lock() = Some((begun, may_go_on));
    }

    /// The next append panics.
    pub(super) fn panic_next(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// How many have begun.
    pub(super) fn appends(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }
}

impl EventStore for SlowStore {
    fn acquire(&self) -> Result<Term, StoreFault> {
        self.memory.acquire()
    }

    fn head(&self) -> Result<Head, StoreFault> {
        self.memory.head()
    }

    fn append(&self, term: Term, expected_last: Sequence, frames: &[Frame]) -> Appended {
        self.appends.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics.swap(false, Ordering::SeqCst), "an append panics");
        if let Some((begun, go_on)) = &*self.disk.lock() {
            // Where nobody is left to say so, it goes on.
            let _ = begun.send(());
            let _ = go_on.recv();
        }
        self.memory.append(term, expected_last, frames)
    }

    fn read(&self, after: Sequence, max_bytes: usize) -> Result<Vec<Frame>, StoreFault> {
        self.memory.read(after, max_bytes)
    }

    fn stats(&self) -> StoreStats {
        self.memory.stats()
    }
}

/// "It is registered already" would be a lie if the power went before the registration is on the disk.
#[test]
fn what_changes_nothing_waits_for_what_it_saw() {
    for landed in [true, false] {
        let store = Arc::new(SlowStore::default());
        let opened =
            Ledger::open(Arc::clone(&store) as Arc<dyn EventStore>, Arc::new(Noon), options(Mode::Proxy));
        let ledger = Arc::new(opened.expect("opens"));
        let (begun, has_begun) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        store.slow_down(begun, may_go_on);
        if !landed {
            store.memory.inject(AppendOutcome::Unknown { landed });
        }
        let submit = |name: &'static str| {
            let (ledger, (told, answer)) = (Arc::clone(&ledger), mpsc::channel());
            thread::spawn(move || told.send(ledger.submit_blocking(named(None, 0, computer(name)))));
            answer
        };
        let first = submit("COMP-1");
        has_begun.recv().expect("the append begins");
        let again = submit("COMP-1");
        assert!(again.recv_timeout(Duration::from_millis(100)).is_err(), "answered before it was durable");
        go_on.send(()).expect("the append waits");
        let (first, again) = (first.recv().expect("answered"), again.recv().expect("answered"));
        if landed {
            assert!(first.is_ok(), "{first:?}");
            assert!(matches!(again, Err(SubmitError::Refused(_))), "{again:?}");
        } else {
            assert!(matches!(first, Err(SubmitError::Stopped(_))), "{first:?}");
            assert!(matches!(again, Err(SubmitError::Stopped(_))), "{again:?}");
            // The state says that it is registered, and is not believed any more.
            let later = submit("COMP-1").recv().expect("answered");
            assert!(matches!(later, Err(SubmitError::Stopped(_))), "{later:?}");
        }
    }
}

/// Told at once or in its turn, a command is answered the same.
#[test]
fn what_changes_nothing_is_told_the_same_at_once() {
    let store = MemoryStore::new();
    let mut sequencer = Sequencer::new(Box::new(MemoryIndex::new([1; 16])));
    let configure = |address: &str| {
        let (address, netmask) = (address.into(), "255.0.0.0".into());
        let computer = ComputerId::new("COMP-1").expect("an id");
        let offers = Vec::new();
        Command::ConfigureComputer(ConfigureComputer {
            computer,
            address,
            netmask,
            offers,
            owner_if_new: None,
        })
    };
    let rows = [
        (named(None, 0, configure("10.0.0.1")), true),
        (named(None, 0, party()), false),
        (named(None, 0, computer("COMP-1")), false),
        (named(None, 0, computer("COMP-1")), true),
        (named(None, 0, configure("10.0.0.1")), false),
        (named(None, 0, configure("10.0.0.1")), true),
        (named(None, 0, configure("10.0.0.2")), false),
        (named(Some(3), 0, configure("10.0.0.2")), false),
    ];
    for (submission, is_told) in rows {
        let shown = format!("{:?}", submission.command);
        let told = sequencer.decide_unchanged(Noon.now(), sequencer.last(), &submission);
        assert_eq!(told.is_some(), is_told, "{shown}");
        let before = sequencer.last();
        let mut group = sequencer.decide(Noon.now(), &store, [((), submission)]).expect("decides");
        assert_eq!(group.frames.is_empty(), is_told, "{shown}");
        let ((), in_its_turn) = group.replies.remove(0);
        if let Some(told) = told {
            assert_eq!((told, before), (in_its_turn, sequencer.last()), "{shown}");
        }
    }
}
