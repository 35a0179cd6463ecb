//! The writer while the clock is in doubt, and while the disk has too little room.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::super::tests::{computer, events, named, options, party};
use super::super::{
    Clock, ClockDoubt, ClockDoubtCause, FreeSpace, GuardOptions, Ledger, LedgerOptions, RoomOptions,
    RoomShort, ShutdownFault, SubmitError,
};
use crate::domain::Answer;
use crate::domain::clock::ClockConfirmed;
use crate::domain::computer::ComputerRefusal;
use crate::domain::event::{Event, Mode};
use crate::domain::id::{ComputerId, PartyId, Sequence};
use crate::domain::time::Timestamp;
use crate::log::envelope::Recorded;
use crate::log::memory::MemoryStore;
use crate::log::store::EventStore;

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

fn noon(seconds: i64) -> Timestamp {
    let noon = Timestamp::parse_rfc3339("2026-10-01T12:00:00Z").expect("an instant");
    noon.plus_micros(seconds * 1_000_000)
}

/// A clock of a machine: time passes, and somebody may set it.
#[derive(Default)]
struct Machine {
    passed: AtomicU64,
    /// By how many seconds it is set wrong.
    off: AtomicI64,
}

impl Machine {
    fn pass(&self, seconds: u64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
    }

    fn step(&self, seconds: i64) {
        self.off.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        noon(self.passed.load(Ordering::SeqCst).cast_signed() + self.off.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.passed.load(Ordering::SeqCst)))
    }
}

fn open(store: &Arc<MemoryStore>, clock: &Arc<Machine>) -> Ledger {
    let (store, clock) = (Arc::clone(store) as Arc<dyn EventStore>, Arc::clone(clock) as Arc<dyn Clock>);
    Ledger::open(store, clock, options(Mode::Proxy)).expect("opens")
}

fn all(ledger: &Ledger) -> Vec<Recorded> {
    let (mut after, mut all) = (Sequence::ZERO, Vec::new());
    while let Some(group) = ledger.feed().poll(after).expect("the log is readable") {
        all.extend(group.iter().cloned());
        after = all.last().expect("a group holds events").sequence;
    }
    all
}

fn in_doubt(result: Result<super::Accepted, SubmitError>) -> ClockDoubt {
    match result {
        Err(SubmitError::ClockUnconfirmed(doubt)) => doubt,
        other => panic!("{other:?}"),
    }
}

/// A clock one year ahead dated all events to come, and the next invoices, until the real time had caught up.
#[test]
fn nothing_is_recorded_by_a_clock_that_stepped_and_all_goes_on_when_the_step_is_undone() {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(Machine::default()));
    let ledger = open(&store, &clock);
    ledger.submit_blocking(named(Some(1), 1, computer("COMP-1"))).expect("is recorded");
    for step in [YEAR, -YEAR] {
        let before = ledger.head();
        assert_eq!(ledger.clock_fault(), None);
        clock.pass(60);
        clock.step(step);
        let expected = clock.now().plus_micros(-step * 1_000_000);
        let doubt = in_doubt(ledger.submit_blocking(named(None, 0, party())));
        assert_eq!(
            doubt,
            ClockDoubt { cause: ClockDoubtCause::Stepped, now: clock.now(), expected },
            "{step}"
        );
        let fault = ledger.clock_fault().expect("there is a fault");
        for part in [clock.now().to_string(), expected.to_string(), "slapledger clock confirm".into()] {
            assert!(fault.contains(&part), "{fault}");
        }
        // What would record nothing is answered.
        let known = ComputerId::new("COMP-1").expect("an id");
        let refused = ComputerRefusal::AlreadyRegistered { computer: known };
        let again = ledger.submit_blocking(named(None, 0, computer("COMP-1")));
        assert_eq!(again, Err(SubmitError::Refused(refused.into())), "{step}");
        let repeated = ledger.submit_blocking(named(Some(1), 1, computer("COMP-1"))).expect("is known");
        assert_eq!((repeated.answer, repeated.events), (Answer::Done, 0));
        let other_content = ledger.submit_blocking(named(Some(1), 2, computer("COMP-1")));
        assert_eq!(other_content, Err(SubmitError::CommandIdReused));
        in_doubt(ledger.submit_blocking(named(Some(2), 1, party())));
        assert_eq!(ledger.head(), before, "{step}: nothing is recorded");
        clock.step(-step);
        ledger.submit_blocking(named(None, 0, party())).expect("is recorded");
        assert_eq!(all(&ledger).last().map(|event| event.recorded_at), Some(clock.now()));
    }
}

/// Whoever was answered may go on: what follows is later, however soon it comes.
#[test]
fn a_command_is_decided_by_a_clock_that_is_read_after_it_came() {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(Machine::default()));
    let ledger = open(&store, &clock);
    for _ in 0..300 {
        clock.pass(1);
        ledger.submit_blocking(named(None, 0, party())).expect("is recorded");
        assert_eq!(all(&ledger).last().map(|event| event.recorded_at), Some(clock.now()));
    }
}

#[test]
fn a_confirmation_is_about_the_time_that_the_clock_shows_and_is_recorded() {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(Machine::default()));
    let ledger = open(&store, &clock);
    let meta = || named(None, 0, party()).meta;
    assert_eq!(ledger.confirm_clock_blocking(meta(), noon(0)), Ok(None), "there is nothing to confirm");
    let wrong = SubmitError::ClockStatedOtherwise { stated: noon(YEAR), now: noon(0) };
    assert_eq!(ledger.confirm_clock_blocking(meta(), noon(YEAR)), Err(wrong));
    clock.step(YEAR);
    let before = ledger.head();
    for stated in [noon(0), noon(YEAR - 61), noon(YEAR + 61)] {
        let refused = ledger.confirm_clock_blocking(meta(), stated);
        assert_eq!(refused, Err(SubmitError::ClockStatedOtherwise { stated, now: noon(YEAR) }));
    }
    assert_eq!(ledger.head(), before);
    let stated = noon(YEAR - 60);
    let accepted = ledger.confirm_clock_blocking(meta(), stated).expect("it is within a minute");
    assert_eq!(accepted.map(|accepted| (accepted.answer, accepted.events)), Some((Answer::Done, 1)));
    let last = all(&ledger).pop().expect("an event");
    let confirmed = ClockConfirmed { previous: noon(0), confirmed: stated, at: noon(YEAR) };
    assert_eq!((last.event, last.meta.actor.id.as_ref()), (Event::ClockConfirmed(confirmed), "PARTY-1"));
    assert_eq!((ledger.clock_fault(), ledger.confirm_clock_blocking(meta(), stated)), (None, Ok(None)));
    ledger.submit_blocking(named(None, 0, party())).expect("is recorded");
}

#[test]
fn a_start_confirms_nothing_and_is_dated_by_no_clock_in_doubt() {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(Machine::default()));
    open(&store, &clock).shut_down().unwrap();
    for (step, cause) in [(YEAR, ClockDoubtCause::LongAbsence), (-YEAR, ClockDoubtCause::BehindAtStart)] {
        clock.step(step);
        for _ in 0..2 {
            let store = Arc::new(store.reopen());
            let ledger = open(&store, &clock);
            let doubt = in_doubt(ledger.submit_blocking(named(None, 0, party())));
            assert_eq!(doubt, ClockDoubt { cause, now: noon(step), expected: noon(0) });
            assert_eq!(all(&ledger).last().map(|event| event.recorded_at), Some(noon(0)), "{step}");
            ledger.shut_down().unwrap();
        }
        clock.step(-step);
    }
    let ledger = open(&store, &clock);
    ledger.submit_blocking(named(None, 0, party())).expect("is recorded");
}

/// Its times stand still until the clock has caught up; it is not asked for again at each start.
#[test]
fn a_log_that_is_ahead_stays_ahead_after_a_confirmation_and_a_start() {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(Machine::default()));
    let ledger = open(&store, &clock);
    clock.step(HOUR);
    ledger.confirm_clock_blocking(named(None, 0, party()).meta, noon(HOUR)).expect("a wrong confirmation");
    clock.step(-HOUR);
    in_doubt(ledger.submit_blocking(named(None, 0, party())));
    let confirmed = ledger.confirm_clock_blocking(named(None, 0, party()).meta, noon(0));
    assert!(confirmed.is_ok_and(|accepted| accepted.is_some()));
    ledger.shut_down().unwrap();

    clock.pass(60);
    let ledger = open(&store, &clock);
    ledger.submit_blocking(named(None, 0, party())).expect("is recorded");
    let status = ledger.clock_status();
    assert_eq!((status.doubt, status.behind, status.recorded_at), (None, true, noon(HOUR)));
    assert!(ledger.clock_fault().is_some_and(|fault| fault.contains("no invoice or credit note is issued")));
    let times: Vec<_> = all(&ledger).iter().map(|event| event.recorded_at).collect();
    assert!(times.is_sorted(), "{times:?}");
    clock.pass(HOUR.cast_unsigned() - 65);
    assert_eq!(ledger.clock_fault(), None, "five seconds are no fault");
    clock.pass(100);
    let accepted = ledger.submit_blocking(named(None, 0, party())).expect("is recorded");
    assert_eq!(
        all(&ledger).last().map(|event| (event.sequence, event.recorded_at)),
        Some((accepted.sequence, clock.now()))
    );
}

/// The room on a disk, as a test sets it.
fn opened_with_room(store: &Arc<MemoryStore>, free: &Arc<AtomicU64>, options: LedgerOptions) -> Ledger {
    let free = Arc::clone(free);
    let look = move || Ok(FreeSpace { free: free.load(Ordering::SeqCst), total: 1 << 30 });
    let room = RoomOptions { reserve_bytes: Some(1 << 20), look: Box::new(look) };
    let guards = GuardOptions { room: Some(room), ..GuardOptions::default() };
    let clock = Arc::new(Machine::default());
    Ledger::open_guarded(Arc::clone(store) as Arc<dyn EventStore>, clock, options, guards).expect("opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_reserve_nothing_is_recorded_and_above_it_all_goes_on() {
    let (store, free) = (Arc::new(MemoryStore::new()), Arc::new(AtomicU64::new(1 << 29)));
    let folder = tempfile::tempdir().expect("a folder");
    let snapshot = folder.path().join("writer.snapshot");
    let ledger = Arc::new(opened_with_room(
        &store,
        &free,
        LedgerOptions { snapshot: Some(snapshot.clone()), ..options(Mode::Proxy) },
    ));
    ledger.submit(named(Some(1), 1, computer("COMP-1"))).await.expect("is recorded");
    assert_eq!(ledger.room_fault(), None);

    free.store(1000, Ordering::SeqCst);
    // The thread looks by itself; what is appended until then is below what was free.
    while ledger.room_fault().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (before, short) = (ledger.head(), RoomShort { free: 1000, reserve: 1 << 20 });
    let refused = ledger.submit(named(None, 0, party())).await;
    assert_eq!(refused, Err(SubmitError::NoRoom(short)));
    let repeated = ledger.submit(named(Some(1), 1, computer("COMP-1"))).await.expect("is known");
    assert_eq!((repeated.answer, repeated.events, ledger.head()), (Answer::Done, 0, before));

    // A node cannot repeat its post: it waits, and is carried out when there is room.
    let patient = {
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move { ledger.submit_patiently(named(None, 0, party())).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!patient.is_finished());
    free.store(1 << 29, Ordering::SeqCst);
    let accepted = patient.await.expect("it ends").expect("is recorded");
    assert_eq!((accepted.answer, ledger.room_fault()), (Answer::Party(PartyId(1)), None));
    ledger.submit(named(None, 0, party())).await.expect("is recorded");

    // A snapshot would take what is left; that there is none is told.
    free.store(1000, Ordering::SeqCst);
    while ledger.room_fault().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        matches!(ledger.shut_down(), Err(ShutdownFault::Snapshot(cause)) if cause.contains("1000 bytes are free"))
    );
    assert!(!snapshot.exists());
    assert_eq!(events(&ledger).last().map(|(_, name)| *name), Some("PartyRegistered"));
}
