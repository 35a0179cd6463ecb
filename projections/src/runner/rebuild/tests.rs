use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::atomic::AtomicBool;

use slapledger_core::ledger::Ledger;
use slapledger_core::log::envelope::Recorded;
use slapledger_core::log::memory::MemoryStore;

use super::super::ViewOptions;
use super::super::tests::{ask, begin, open, wait};
use super::*;
use crate::replay;
use crate::rows::{RowChange, RowDigests};
use crate::view::{Projection, get, put};

/// What each test stamps the generations with that begin from now on.
static STAMPS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The events that request instances, each with the stamp of its generation: two that were begun under different stamps
/// differ, and a mixture of them shows.
#[derive(Debug, Clone)]
struct Stamped<const TEST: usize> {
    stamp: u64,
    rows: BTreeMap<u64, u64>,
}

impl<const TEST: usize> Default for Stamped<TEST> {
    fn default() -> Self {
        Self { stamp: STAMPS[TEST].load(Ordering::Relaxed), rows: BTreeMap::new() }
    }
}

impl<const TEST: usize> View for Stamped<TEST> {
    const FORMAT: u32 = 1;

    fn apply(&mut self, event: &Recorded) {
        if event.event.name() == "InstanceRequested" {
            self.rows.insert(event.sequence.0, self.stamp);
        }
    }

    fn projections(&self) -> Vec<Box<dyn Projection + '_>> {
        vec![Box::new(self)]
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        let rows: BTreeMap<u64, u64> = get(from)?;
        Ok(Self { stamp: rows.values().next().copied().unwrap_or(0), rows })
    }
}

impl<const TEST: usize> Projection for Stamped<TEST> {
    fn name(&self) -> &'static str {
        "stamped"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(&self.rows, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        rows.table("requests", &self.rows);
    }
}

fn stamp(test: usize, stamp: u64) {
    STAMPS[test].store(stamp, Ordering::Relaxed);
}

/// A ledger with some requests, and a view of it.
struct RebuildTrial<const TEST: usize> {
    store: MemoryStore,
    ledger: Ledger,
    runner: Runner<Stamped<TEST>>,
    asked: AtomicU64,
}

impl<const TEST: usize> RebuildTrial<TEST> {
    fn new(options: ViewOptions) -> Self {
        let store = MemoryStore::new();
        let ledger = open(&store);
        begin(&ledger);
        let start = Runner::<Stamped<TEST>>::start;
        let runner = start("stamped", ledger.feed(), Arc::clone(ledger.store()), options, |_| ());
        let trial = Self { store, ledger, runner: runner.expect("a view"), asked: AtomicU64::new(0) };
        trial.ask(20);
        trial
    }

    /// Requests instances, and waits until the view shows them.
    fn ask(&self, count: u64) -> Sequence {
        let mut last = Sequence::ZERO;
        for _ in 0..count {
            last = ask(&self.ledger, self.asked.fetch_add(1, Ordering::Relaxed));
        }
        self.runner.read_at_blocking(last, |_, _| ()).expect("a view that follows");
        last
    }

    fn state(&self) -> Option<AsideState> {
        self.runner.generations().aside.map(|aside| aside.state)
    }

    fn name(&self) -> Option<&'static str> {
        self.state().as_ref().map(AsideState::as_str)
    }

    /// Waits until the generation aside is in a state; `None` waits until there is none.
    fn until(&self, wanted: Option<&str>) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.name() != wanted {
            assert!(Instant::now() < until, "{:?} is not {wanted:?}", self.runner.generations());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The stamps that readers see.
    fn stamps(&self) -> Vec<u64> {
        self.runner.read(|view, _| {
            let mut stamps: Vec<u64> = view.rows.values().copied().collect();
            stamps.dedup();
            stamps
        })
    }

    fn latest(&self) -> &'static str {
        self.runner.generations().latest.map_or("none", |(_, outcome)| outcome.as_str())
    }
}

fn slow() -> RebuildRequest {
    RebuildRequest { most_events_per_second: NonZeroU64::new(1), ..RebuildRequest::default() }
}

#[test]
fn an_equal_generation_takes_its_place_and_the_old_one_is_kept() {
    let trial = RebuildTrial::<0>::new(ViewOptions::default());
    let first = trial.runner.generations();
    assert_eq!((first.live, first.aside, first.latest), (1, None, None));
    let number = trial.runner.begin_rebuild(RebuildRequest::default()).expect("nothing goes on");
    let outcome = wait(rebuilt(&trial.runner, number, Duration::from_secs(60)));
    let Some(RebuildOutcome::Swapped(found)) = outcome else { panic!("{outcome:?}") };
    assert!(found.is_same());
    assert_eq!((found.sequence, found.differences.count), (trial.runner.position(), 0));
    let now = trial.runner.generations();
    let aside = now.aside.expect("the old one");
    assert_eq!((now.live, aside.number, aside.state.as_str()), (2, 1, "previous"));
    // It says the same as the live one: another rebuild needs its room.
    trial.runner.rebuild(RebuildRequest::default()).expect("the old one makes room");
    assert_eq!(trial.runner.generations().live, 3);
    trial.runner.confirm_rebuilt().expect("there is an old one");
    assert_eq!((trial.state(), trial.latest()), (None, "swapped"));
    let last = trial.ask(5);
    assert_eq!(trial.runner.read(|view, at| (view.rows.len(), at)), (25, last));
}

#[test]
fn a_build_says_how_far_it_is_and_can_be_cancelled() {
    let trial = RebuildTrial::<1>::new(ViewOptions::default());
    let number = trial.runner.begin_rebuild(slow()).expect("nothing goes on");
    let Some(AsideState::Building(progress)) = trial.state() else { panic!("{:?}", trial.state()) };
    assert_eq!(progress.total, trial.ledger.head().last);
    assert!(trial.runner.status().rebuilding.is_some());
    let under_way = RebuildFault::UnderWay { name: "stamped", state: "building" };
    assert_eq!(trial.runner.begin_rebuild(slow()), Err(under_way));
    assert_eq!(trial.runner.swap_rebuilt(), Err(RebuildFault::NotReady { name: "stamped" }));
    assert_eq!(trial.runner.swap_back(), Err(RebuildFault::NoPrevious { name: "stamped" }));
    assert_eq!(trial.runner.confirm_rebuilt(), Err(RebuildFault::NoPrevious { name: "stamped" }));
    trial.runner.cancel_rebuild().expect("it is building");
    let outcome = wait(rebuilt(&trial.runner, number, Duration::from_secs(60)));
    assert_eq!((outcome, trial.state()), (Some(RebuildOutcome::Cancelled), None));
    assert_eq!(trial.runner.cancel_rebuild(), Err(RebuildFault::NothingToCancel { name: "stamped" }));
    assert_eq!((trial.runner.generations().live, trial.runner.status().rebuilding), (1, None));
    trial.runner.rebuild(RebuildRequest::default()).expect("nothing goes on any more");
}

#[test]
fn a_generation_that_differs_waits_for_its_swap_and_can_be_swapped_back() {
    let trial = RebuildTrial::<2>::new(ViewOptions::default());
    stamp(2, 7);
    let rebuilt = trial.runner.rebuild(RebuildRequest::default()).expect("it is compared");
    assert!(!rebuilt.is_same());
    assert_eq!(rebuilt.differences.count, 20);
    let found = &rebuilt.differences.first[0];
    assert_eq!(
        (found.projection, found.row.table, found.change),
        ("stamped", "requests", RowChange::Changed)
    );
    assert_eq!((trial.name(), trial.stamps()), (Some("ready"), vec![0]));
    let under_way = RebuildFault::UnderWay { name: "stamped", state: "ready" };
    assert_eq!(trial.runner.begin_rebuild(slow()), Err(under_way));
    trial.ask(3);
    trial.runner.swap_rebuilt().expect("it is ready");
    trial.until(Some("previous"));
    assert_eq!((trial.stamps(), trial.latest()), (vec![7], "swapped"));
    let last = trial.ask(3);
    assert_eq!(trial.runner.read(|view, at| (view.rows.len(), at)), (26, last));
    // Nobody said that the difference is right.
    assert_eq!(trial.runner.begin_rebuild(slow()), Err(RebuildFault::Unconfirmed { name: "stamped" }));
    assert_eq!(trial.runner.cancel_rebuild(), Err(RebuildFault::NothingToCancel { name: "stamped" }));
    trial.runner.swap_back().expect("the old one is kept");
    trial.until(None);
    assert_eq!((trial.stamps(), trial.latest()), (vec![0], "swapped_back"));
    let last = trial.ask(3);
    let there = trial.runner.read(|view, at| (view.rows.len(), at));
    assert_eq!((there, trial.runner.generations().live), ((29, last), 1));
    assert_eq!(trial.runner.swap_back(), Err(RebuildFault::NoPrevious { name: "stamped" }));
}

#[test]
fn an_equal_generation_waits_if_that_is_asked_for_and_may_be_cancelled() {
    let trial = RebuildTrial::<3>::new(ViewOptions::default());
    let kept = RebuildRequest { swap: false, ..RebuildRequest::default() };
    assert!(trial.runner.rebuild(kept.clone()).expect("it is compared").is_same());
    assert_eq!((trial.name(), trial.runner.generations().live), (Some("ready"), 1));
    trial.runner.cancel_rebuild().expect("it is ready");
    assert_eq!((trial.name(), trial.latest()), (None, "cancelled"));
    // Nobody comes for it.
    let short = RebuildRequest { kept: Duration::from_millis(500), ..kept };
    trial.runner.rebuild(short.clone()).expect("it is compared");
    trial.until(None);
    assert_eq!(trial.latest(), "cancelled");
    trial.runner.rebuild(RebuildRequest { swap: true, ..short }).expect("it is compared");
    trial.until(None);
    assert_eq!((trial.latest(), trial.runner.generations().live), ("swapped", 4));
}

/// Many readers, of one read and of several, while requests come in and generations are swapped to and fro.
#[test]
fn no_reader_sees_a_mixture() {
    let trial = RebuildTrial::<4>::new(ViewOptions::default());
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let reader = || {
            let mut seen = Vec::new();
            let mut last = Sequence::ZERO;
            let one = |view: &Stamped<4>, at: Sequence| {
                let stamps: std::collections::BTreeSet<u64> = view.rows.values().copied().collect();
                assert_eq!(stamps.len(), 1, "a mixture at {at}");
                (stamps.first().copied(), view.rows.len(), at)
            };
            while !done.load(Ordering::Relaxed) {
                let (_, count, at) = trial.runner.read(one);
                assert!(at >= last, "a reader goes back from {last} to {at}");
                last = at;
                seen.push((at, count));
                let lease = trial.runner.lease();
                let first = lease.read(one);
                let head = trial.ledger.head().last;
                let second = lease.read_at_blocking(head, one).expect("a generation that is read follows");
                assert_eq!(first.0, second.0, "a request reads one generation");
                assert!(second.2 >= head);
                seen.push((second.2, second.1));
            }
            seen
        };
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(reader)).collect();
        let writer = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                trial.ask(1);
            }
        });
        for round in 1..=8 {
            stamp(4, round);
            trial.runner.rebuild(RebuildRequest::default()).expect("it is compared");
            trial.runner.swap_rebuilt().expect("it differs and waits");
            trial.until(Some("previous"));
            if round % 2 == 0 {
                trial.runner.swap_back().expect("the old one is kept");
                trial.until(None);
            } else {
                trial.runner.confirm_rebuilt().expect("the old one is kept");
            }
        }
        done.store(true, Ordering::Relaxed);
        writer.join().expect("it writes");
        readers.into_iter().flat_map(|reader| reader.join().expect("it reads")).collect::<Vec<_>>()
    });
    // The slow twin folds the log up to what each answer says it is of.
    let mut twins = BTreeMap::new();
    for (at, count) in seen {
        let twin = twins.entry(at).or_insert_with(|| {
            replay::rebuild::<Stamped<4>>(&trial.store.reopen(), at, |_| ()).expect("readable").rows.len()
        });
        assert_eq!(count, *twin, "as of {at}");
    }
    assert!(twins.len() > 8);
}

#[test]
fn a_request_goes_on_with_the_generation_it_began_with() {
    let trial = RebuildTrial::<5>::new(ViewOptions::default());
    let lease = trial.runner.lease();
    stamp(5, 3);
    trial.runner.rebuild(RebuildRequest::default()).expect("it is compared");
    trial.runner.swap_rebuilt().expect("it differs and waits");
    trial.until(Some("previous"));
    let last = trial.ask(4);
    let first_stamp = |view: &Stamped<5>, at| (view.rows.values().next().copied(), view.rows.len(), at);
    assert_eq!(lease.read_at_blocking(last, first_stamp), Ok((Some(0), 24, last)));
    assert_eq!(wait(lease.read_at(last, first_stamp)), Ok((Some(0), 24, last)));
    assert_eq!((lease.number(), trial.runner.lease().number()), (1, 2));
    drop(lease);
    // Nobody reads it any more: it follows no longer.
    trial.ask(4);
    trial.ask(4);
    let aside = trial.runner.generations().aside.expect("the old one");
    assert!(aside.position < trial.runner.position());
    trial.runner.swap_back().expect("the old one is kept");
    trial.until(None);
    assert_eq!((trial.stamps(), trial.runner.read(|view, _| view.rows.len())), (vec![0], 32));
}

#[test]
fn a_restart_continues_with_the_live_generation() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = ViewOptions { folder: Some(folder.path().to_owned()), ..ViewOptions::default() };
    let trial = RebuildTrial::<6>::new(options.clone());
    trial.runner.begin_rebuild(slow()).expect("nothing goes on");
    trial.ledger.shut_down().expect("it shuts down");
    trial.runner.finish().expect("it finishes");
    assert_eq!((trial.state(), trial.latest()), (None, "cancelled"));
    assert_eq!(trial.runner.begin_rebuild(slow()), Err(RebuildFault::Closed { name: "stamped" }));

    // What was swapped in is what a start continues with.
    stamp(6, 5);
    let ledger = open(&trial.store);
    let start = |ledger: &Ledger| {
        let store = Arc::clone(ledger.store());
        Runner::<Stamped<6>>::start("stamped", ledger.feed(), store, options.clone(), |_| ()).expect("a view")
    };
    let runner = start(&ledger);
    assert_eq!(runner.read(|view, _| view.rows.values().next().copied()), Some(0));
    runner.rebuild(RebuildRequest::default()).expect("it is compared");
    runner.swap_rebuilt().expect("it differs and waits");
    while runner.generations().latest.is_none_or(|(_, outcome)| outcome.as_str() != "swapped") {
        thread::sleep(Duration::from_millis(1));
    }
    ledger.shut_down().expect("it shuts down");
    runner.finish().expect("it finishes");
    stamp(6, 9);
    let ledger = open(&trial.store);
    let runner = start(&ledger);
    assert_eq!(runner.read(|view, _| (view.rows.values().next().copied(), view.rows.len())), (Some(5), 20));
    assert_eq!((runner.generations().live, runner.generations().aside), (1, None));
}

#[test]
fn a_log_that_cannot_be_read_is_told_and_the_live_generation_stays() {
    let trial = RebuildTrial::<7>::new(ViewOptions::default());
    let store = Arc::new(trial.store.reopen());
    let reads = Arc::clone(&store) as Arc<dyn slapledger_core::log::store::EventStore>;
    let start = Runner::<Stamped<7>>::start;
    let runner =
        start("stamped", trial.ledger.feed(), reads, ViewOptions::default(), |_| ()).expect("a view");
    store.fail_read(0);
    let failed = runner.rebuild(RebuildRequest::default());
    assert!(matches!(failed, Err(RebuildFault::Failed { .. })), "{failed:?}");
    let now = runner.generations();
    assert_eq!((now.live, now.aside), (1, None));
    assert!(matches!(now.latest, Some((2, RebuildOutcome::Failed(_)))));
    assert!(runner.rebuild(RebuildRequest::default()).expect("the log can be read").is_same());
}
