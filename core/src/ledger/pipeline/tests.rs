//! The writer while groups are on their way to a disk that takes its time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::domain::event::{Mode, Stream};
use crate::domain::id::{ComputerId, PartyId, Sequence};
use crate::domain::usage::{UsageOutcome, UsageReport};
use crate::domain::{Answer, Command, Refusal, given};
use crate::ledger::pipeline::MOST_IN_FLIGHT;
use crate::ledger::queue::{WaitingCommand, command_queue};
use crate::ledger::tests::{Noon, SlowStore, computer, events, named, options, party};
use crate::ledger::{Accepted, Ledger, LedgerOptions, Queued, Submission, SubmitError, What};
use crate::log::memory::{AppendOutcome, MemoryStore};
use crate::log::store::EventStore;

type PendingAnswer = Receiver<Result<Accepted, SubmitError>>;

/// A ledger whose appends say that they have begun and wait until they may go on.
struct SlowLedger {
    store: Arc<SlowStore>,
    ledger: Arc<Ledger>,
    has_begun: Receiver<()>,
    go_on: Option<Sender<()>>,
}

impl SlowLedger {
    fn open() -> Self {
        let store = Arc::new(SlowStore::default());
        let options = LedgerOptions { queue: 64, ..options(Mode::Proxy) };
        let as_store = Arc::clone(&store) as Arc<dyn EventStore>;
        let ledger = Ledger::open(as_store, Arc::new(Noon), options).expect("opens");
        ledger.submit_blocking(named(None, 0, party())).expect("is new");
        ledger.submit_blocking(named(None, 0, computer("COMP-1"))).expect("is new");
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel();
        store.slow_down(begun, may_go_on);
        Self { store, ledger: Arc::new(ledger), has_begun, go_on: Some(go_on) }
    }

    /// Lets the append that waits go on.
    fn go_on(&self) {
        self.go_on.as_ref().expect("it is slow").send(()).expect("the append waits");
    }

    /// Lets it and all others go on.
    fn speed_up(&mut self) {
        self.go_on = None;
    }

    /// Sends a command from a thread of its own, and gives time to have it taken.
    fn submit(&self, submission: Submission) -> PendingAnswer {
        let (ledger, (told, answer)) = (Arc::clone(&self.ledger), channel());
        thread::spawn(move || told.send(ledger.submit_blocking(submission)));
        thread::sleep(Duration::from_millis(20));
        answer
    }

    /// Commands that were decided and wait for the disk as one group, behind one that is durable.
    fn begin_group(&self, submissions: Vec<Submission>) -> Vec<PendingAnswer> {
        assert!(submissions.len() > 1, "one alone is committed where it is decided");
        let first = self.submit(named(None, 0, computer("COMP-0")));
        self.has_begun.recv().expect("the first append begins");
        let answers = submissions.into_iter().map(|submission| self.submit(submission)).collect();
        self.go_on();
        first.recv().expect("answered").expect("is new");
        self.has_begun.recv().expect("the second append begins");
        answers
    }
}

fn usage(ids: std::ops::Range<u64>) -> Submission {
    let report = |id| UsageReport { subject: "COMP-1".into(), ..given::usage(&format!("usage {id}"), "1") };
    let reports = ids.map(report);
    named(None, 0, Command::from(given::record("COMP-1", reports)))
}

fn waits(outcome: &PendingAnswer) -> bool {
    matches!(outcome.recv_timeout(Duration::from_millis(100)), Err(mpsc::RecvTimeoutError::Timeout))
}

fn told(outcome: &PendingAnswer) -> Result<Accepted, SubmitError> {
    outcome.recv_timeout(Duration::from_secs(20)).expect("it is answered")
}

fn is_stopped(outcome: &PendingAnswer) -> bool {
    matches!(told(outcome), Err(SubmitError::Stopped(_)))
}

#[test]
fn usage_on_its_way_holds_up_nothing_but_usage() {
    let slow = SlowLedger::open();
    let head = slow.ledger.head();
    let first = slow.submit(usage(0..3));
    slow.has_begun.recv().expect("the append begins");
    // What changes nothing and does not rest on it is answered while the disk is at work.
    let known = ComputerId::new("COMP-1").expect("an id");
    let refusal = crate::domain::computer::ComputerRefusal::AlreadyRegistered { computer: known };
    let again = told(&slow.submit(named(None, 0, computer("COMP-1"))));
    assert_eq!(again, Err(SubmitError::Refused(Refusal::Computer(refusal))));
    assert_eq!(slow.ledger.head(), head, "the append still waits");
    let duplicates = slow.submit(usage(0..3));
    assert!(waits(&duplicates), "what it is a duplicate of is not durable");
    slow.go_on();
    assert_eq!(told(&first).expect("is new").events, 3);
    let duplicates = told(&duplicates).expect("are known");
    let Answer::Usage(outcomes) = duplicates.answer else { panic!("{duplicates:?}") };
    assert!(outcomes.iter().all(|outcome| matches!(outcome, UsageOutcome::Duplicate(_))), "{outcomes:?}");
}

#[test]
fn the_writer_answers_what_is_known_while_usage_is_on_its_way() {
    let mut slow = SlowLedger::open();
    let first = slow.submit(named(Some(9), 1, party()));
    slow.has_begun.recv().expect("the append begins");
    slow.go_on();
    let first = told(&first).expect("is new");
    let posts = slow.begin_group(vec![usage(0..300), usage(300..600)]);
    // More of them than groups may be in flight.
    for _ in 0..2 * MOST_IN_FLIGHT {
        let again = told(&slow.submit(named(Some(9), 1, party()))).expect("is known");
        assert_eq!((again.answer, again.events), (first.answer.clone(), 0));
    }
    let duplicates = slow.submit(usage(0..300));
    assert!(waits(&duplicates), "what they are duplicates of is not durable");
    assert!(posts.iter().all(waits), "the append still waits");
    slow.speed_up();
    assert!(posts.iter().all(|post| told(post).is_ok()));
    assert_eq!(told(&duplicates).expect("are known").events, 0);
}

#[test]
fn people_overtake_usage() {
    let mut slow = SlowLedger::open();
    let first = slow.submit(named(None, 0, computer("COMP-2")));
    slow.has_begun.recv().expect("the append begins");
    let posts: Vec<_> = (0..10).map(|n| slow.submit(usage(n * 10..(n + 1) * 10))).collect();
    let person = slow.submit(named(None, 0, party()));
    slow.speed_up();
    told(&first).expect("is new");
    let person = told(&person).expect("is new");
    assert_eq!(person.answer, Answer::Party(PartyId(2)));
    for post in posts {
        assert!(
            told(&post).expect("is new").sequence > person.sequence,
            "usage was sent before, and is after"
        );
    }
}

#[test]
fn groups_behind_a_failed_append_are_discarded() {
    for landed in [false, true] {
        let mut slow = SlowLedger::open();
        let group = vec![named(None, 0, party()), named(None, 0, computer("COMP-2")), usage(0..300)];
        let mut lost = slow.begin_group(group);
        let head = slow.ledger.head();
        // Decided on what is on its way, each in a group of its own.
        lost.push(slow.submit(named(None, 0, party())));
        lost.push(slow.submit(usage(300..900)));
        lost.push(slow.submit(named(None, 0, computer("COMP-2"))));
        assert!(lost.iter().all(waits), "answered before it was durable");
        assert_eq!(slow.ledger.head(), head, "shown before it was durable");
        slow.store.memory.inject(AppendOutcome::Unknown { landed });
        let appends = slow.store.appends();
        slow.speed_up();
        assert!(lost.iter().all(is_stopped), "{landed}");
        assert_eq!((slow.ledger.head(), slow.store.appends()), (head, appends), "{landed}: nothing follows");
        assert_eq!(events(&slow.ledger).last(), Some(&(head.last.0, "ComputerRegistered")));
        // Not even what is known for certain: the state is ahead of the log.
        assert!(is_stopped(&slow.submit(named(None, 0, computer("COMP-1")))));
        assert!(slow.ledger.shut_down().is_err(), "it is told");

        let store: Arc<MemoryStore> = Arc::new(slow.store.memory.reopen());
        let again = Ledger::open(store, Arc::new(Noon), options(Mode::Proxy)).expect("opens again");
        let recorded = again.head().last.0 - head.last.0 - 1;
        assert_eq!(recorded, if landed { 302 } else { 0 }, "the append that failed, and none behind it");
    }
}

#[test]
fn a_name_that_is_on_its_way_is_answered_the_same_when_it_is_durable() {
    let mut slow = SlowLedger::open();
    let group = vec![named(Some(9), 1, party()), named(None, 0, computer("COMP-2"))];
    let first = slow.begin_group(group);
    let again = slow.submit(named(Some(9), 1, party()));
    let other = slow.submit(named(Some(9), 2, party()));
    assert!(waits(&again) && waits(&other), "answered before the first one was durable");
    slow.speed_up();
    let answers: Vec<_> = first.iter().map(|first| told(first).expect("is new").answer).collect();
    let again = told(&again).expect("is known");
    assert_eq!((again.answer, again.events), (answers[0].clone(), 0));
    assert_eq!(told(&other), Err(SubmitError::CommandIdReused));
    // By now the answer is read from the log.
    let later = told(&slow.submit(named(Some(9), 1, party()))).expect("is known");
    assert_eq!((later.answer, later.events), (answers[0].clone(), 0));
}

#[test]
fn what_is_on_its_way_has_moved_its_stream() {
    let mut slow = SlowLedger::open();
    let seen = slow.ledger.head().last;
    let first = slow.begin_group(vec![named(None, 0, computer("COMP-2")), named(None, 0, party())]);
    let (ledger, (told_by, moved)) = (Arc::clone(&slow.ledger), channel());
    thread::spawn(move || {
        let stream = Stream::Computer(ComputerId::new("COMP-2").expect("an id"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let change = ledger.submit_if_unmoved(named(None, 0, computer("COMP-3")), stream, seen);
        told_by.send(runtime.block_on(change))
    });
    assert!(waits(&moved), "answered before it was durable");
    slow.speed_up();
    assert!(first.iter().all(|first| told(first).is_ok()));
    assert_eq!(told(&moved), Err(SubmitError::ModifiedConcurrently));
}

/// However many people come, usage that waits has its turn.
#[test]
fn people_do_not_shut_usage_out() {
    let (queue, mut commands) = command_queue(200);
    let send = |submission: Submission| {
        let queued = Queued::from(submission);
        let of = queue.of(&queued).expect("the queue is open");
        assert!(of.try_send((tokio::sync::oneshot::channel().0, queued)).is_ok());
    };
    send(usage(0..1));
    (0..200).for_each(|_| send(named(None, 0, party())));
    let mut taken = 0;
    let is_usage = |waiting: &WaitingCommand| matches!(&waiting.1.what, What::Do(Command::RecordUsage(_)));
    // Rounds of few commands, as groups that are soon full.
    let turn = loop {
        assert!(commands.wait(|| false));
        commands.begin_round();
        let round: Vec<_> = std::iter::from_fn(|| commands.next()).take(10).collect();
        taken += round.len();
        if let Some(place) = round.iter().position(is_usage) {
            break taken - round.len() + place;
        }
    };
    assert_eq!(turn, 64);
}

#[test]
fn a_panic_stops_the_writer_and_says_so() {
    let slow = SlowLedger::open();
    slow.store.panic_next();
    let lost = slow.submit(named(None, 0, party()));
    assert!(told(&lost).is_err());
    assert!(is_stopped(&slow.submit(named(None, 0, party()))));
    let fault = slow.ledger.fault().expect("it stopped");
    assert!(fault.contains("panicked"), "{fault}");
}

/// More than the groups that may be in flight, and more events than a frame takes.
#[test]
fn many_posts_at_once_are_all_durable_in_one_order() {
    let store = Arc::new(MemoryStore::new());
    let options = LedgerOptions { queue: 64, ..options(Mode::Proxy) };
    let as_store = Arc::clone(&store) as Arc<dyn EventStore>;
    let ledger = Arc::new(Ledger::open(as_store, Arc::new(Noon), options).expect("opens"));
    ledger.submit_blocking(named(None, 0, party())).expect("is new");
    ledger.submit_blocking(named(None, 0, computer("COMP-1"))).expect("is new");
    let before = ledger.head().last.0;
    let senders: Vec<_> = (0..8_u64)
        .map(|sender| {
            let ledger = Arc::clone(&ledger);
            thread::spawn(move || {
                for n in 0..4 {
                    let first = (sender * 4 + n) * 1500;
                    let accepted = ledger.submit_blocking(usage(first..first + 1500)).expect("is new");
                    assert!(ledger.head().last >= accepted.sequence, "answered before it was published");
                    let Answer::Usage(outcomes) = accepted.answer else { panic!("usage") };
                    let sequences: Vec<u64> = outcomes
                        .iter()
                        .map(|outcome| match outcome {
                            UsageOutcome::Accepted(sequence) => sequence.0,
                            other => panic!("{other:?}"),
                        })
                        .collect();
                    assert!(sequences.windows(2).all(|two| two[0] + 1 == two[1]), "a post is one run");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().expect("a sender ends");
    }
    assert_eq!(ledger.head().last, Sequence(before + 48_000));
    ledger.shut_down().expect("it shuts down");
    // The log can be read, and its tree is that of its events.
    let again = Ledger::open(Arc::new(store.reopen()), Arc::new(Noon), self::options(Mode::Proxy));
    assert_eq!(again.expect("opens again").head().last, Sequence(before + 48_001));
}
