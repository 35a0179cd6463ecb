use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI64};

use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{CommandId, PartyId, ProjectId};
use slapledger_core::domain::instance::Requester;
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::usage::MemoryIndex;
use slapledger_core::ledger::{self, Clock, Ledger, Submission};
use slapledger_core::log::envelope::{Actor, Meta, RULES_VERSION};
use slapledger_core::log::memory::MemoryStore;

use super::rebuild::RebuildRequest;
use super::*;
use crate::testing::{Everything, at, configure, offer, request, sealed};
use crate::view::Deferred;

/// A second for each look.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        at("2026-10-01T00:00:00Z").plus_micros(self.0.fetch_add(1_000_000, Ordering::Relaxed))
    }
}

pub(super) fn open(store: &MemoryStore) -> Ledger {
    let options = ledger::LedgerOptions {
        mode: Mode::Demo,
        new_ledger: [3; 16],
        key_ring: [0; 16],
        program: "a test".into(),
        queue: 16,
        snapshot: None,
        seen: Box::new(|_| Ok(Box::new(MemoryIndex::new([7; 16])))),
    };
    Ledger::open(Arc::new(store.reopen()), Arc::new(Ticking(AtomicI64::new(0))), options).expect("a ledger")
}

pub(super) fn submit(ledger: &Ledger, command: Command) -> Sequence {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let meta = Arc::new(Meta {
        project: ProjectId::DEFAULT,
        actor: Actor::system(),
        command: CommandId(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes()),
        named_by_sender: false,
        digest: [0; 16],
        causation: None,
        correlation: None,
        rules: RULES_VERSION,
    });
    ledger.submit_blocking(Submission { meta, command }).expect("not refused").sequence
}

pub(super) fn begin(ledger: &Ledger) {
    submit(
        ledger,
        Command::RegisterParty(RegisterParty {
            name: sealed(1),
            time_zone: TimeZone::UTC,
            description: None,
        }),
    );
    let mut command =
        configure("COMP-1", vec![offer("slappart0", "10.0.1.0"), offer("slappart1", "10.0.1.1")]);
    if let Command::ConfigureComputer(configure) = &mut command {
        configure.owner_if_new = Some(PartyId(1));
    }
    submit(ledger, command);
}

pub(super) fn ask(ledger: &Ledger, n: u64) -> Sequence {
    let mut wish = request(Requester::Party(PartyId(1)), &format!("instance {n}"));
    wish.parameters.key.0 = u128::from(n + 1000).to_be_bytes();
    submit(ledger, Command::RequestInstance(wish))
}

fn run(ledger: &Ledger, folder: &tempfile::TempDir) -> Runner<Everything> {
    let options = ViewOptions { folder: Some(folder.path().to_owned()), ..ViewOptions::default() };
    Runner::start("everything", ledger.feed(), Arc::clone(ledger.store()), options, |_| ()).expect("a view")
}

pub(super) fn from_scratch(store: &MemoryStore) -> Vec<u8> {
    let last = store.head().expect("a head").last;
    crate::replay::rebuild::<Everything>(store, last, |_| ()).expect("readable").snapshot()
}

pub(super) fn wait<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
}

fn instances(runner: &Runner<Everything>) -> usize {
    runner.read(|view, _| view.instances.len())
}

#[test]
fn a_view_follows_the_ledger_and_starts_from_its_snapshot() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().expect("a folder"));
    for round in 0..3_u64 {
        let ledger = open(&store);
        if round == 0 {
            begin(&ledger);
        }
        let runner = run(&ledger, &folder);
        assert_eq!(runner.status().snapshot == Sequence::ZERO, round == 0);
        for n in 0..3 {
            let sequence = ask(&ledger, round * 3 + n);
            let count = usize::try_from(round * 3 + n + 1).expect("few");
            let read = runner.read_at_blocking(sequence, |view, at| (view.instances.len(), at));
            assert_eq!(read, Ok((count, sequence)));
            assert_eq!(
                wait(runner.read_at(sequence, |view, at| (view.instances.len(), at))),
                Ok((count, sequence))
            );
        }
        ledger.shut_down().expect("it shuts down");
        runner.finish().expect("it finishes");
        assert_eq!(runner.status().snapshot, runner.position());
        assert_eq!(runner.read(|view, _| view.snapshot()), from_scratch(&store.reopen()));
    }
}

#[test]
fn a_snapshot_that_does_not_fit_is_discarded() {
    let damage: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[40] ^= 1,
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.push(0),
        Vec::clear,
        |bytes| *bytes.last_mut().expect("bytes") ^= 1,
    ];
    for damage in damage {
        let (store, folder) = (MemoryStore::new(), tempfile::tempdir().expect("a folder"));
        let ledger = open(&store);
        begin(&ledger);
        let runner = run(&ledger, &folder);
        ask(&ledger, 1);
        ledger.shut_down().expect("it shuts down");
        runner.finish().expect("it finishes");
        let path = folder.path().join("everything.snapshot");
        let mut bytes = fs::read(&path).expect("a snapshot");
        damage(&mut bytes);
        fs::write(&path, bytes).expect("written");

        let ledger = open(&store);
        let runner = run(&ledger, &folder);
        assert_eq!(runner.status().snapshot, Sequence::ZERO);
        assert_eq!((instances(&runner), runner.position()), (1, ledger.head().last));
    }
}

/// The data folder was put back from a backup; the snapshot beside it is of a log that never was.
#[test]
fn a_snapshot_of_another_log_is_discarded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (MemoryStore::new(), MemoryStore::new());
    let ledger = open(&one);
    begin(&ledger);
    let runner = run(&ledger, &folder);
    ask(&ledger, 1);
    ledger.shut_down().expect("it shuts down");
    runner.finish().expect("it finishes");
    let end = runner.position();

    let ledger = open(&other);
    begin(&ledger);
    let (name, beside) = ("everything.snapshot", tempfile::tempdir().expect("a folder"));
    fs::copy(folder.path().join(name), beside.path().join(name)).expect("a snapshot");
    // At first it is shorter, then it is as long, then longer.
    for n in 2..5 {
        // The runner before may leave one of its own.
        let folder = tempfile::tempdir().expect("a folder");
        fs::copy(beside.path().join(name), folder.path().join(name)).expect("a snapshot");
        let runner = run(&ledger, &folder);
        assert_eq!(runner.status().snapshot, Sequence::ZERO, "{} against {end}", ledger.head().last);
        assert_eq!(instances(&runner), usize::try_from(n - 2).expect("few"));
        ask(&ledger, n);
    }
    assert!(ledger.head().last > end);
}

#[test]
fn a_view_is_rebuilt_while_it_is_used() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().expect("a folder"));
    let ledger = open(&store);
    begin(&ledger);
    let runner = run(&ledger, &folder);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                ask(&ledger, n);
                if done.load(Ordering::Relaxed) && n > 200 {
                    break;
                }
            }
        });
        for _ in 0..5 {
            let rebuilt = runner.rebuild(RebuildRequest::default()).expect("rebuilt");
            assert!(rebuilt.is_same(), "{rebuilt:?}");
            assert_eq!((rebuilt.before.len(), rebuilt.differences.count), (4, 0));
        }
        done.store(true, Ordering::Relaxed);
    });
    ledger.shut_down().expect("it shuts down");
    runner.finish().expect("it finishes");
    assert_eq!(runner.read(|view, _| view.snapshot()), from_scratch(&store.reopen()));
    assert_eq!(runner.status().rebuilding, None);
}

#[test]
fn waiting_ends() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().expect("a folder"));
    let ledger = open(&store);
    begin(&ledger);
    let options = ViewOptions {
        folder: Some(folder.path().to_owned()),
        patience: Duration::from_millis(20),
        ..ViewOptions::default()
    };
    let runner =
        Runner::<Everything>::start("everything", ledger.feed(), Arc::clone(ledger.store()), options, |_| ())
            .expect("a view");
    let (position, wanted) = (runner.position(), Sequence(1000));
    let behind = Err(ReadFault::Behind { name: "everything", wanted, position });
    assert_eq!(wait(runner.reach(wanted)), behind);
    assert_eq!(runner.read_at_blocking(wanted, |_, _| ()), behind);
}

/// A view that breaks on the second instance.
#[derive(Clone, Default)]
struct Fragile(usize);

impl View for Fragile {
    const FORMAT: u32 = 1;

    fn apply(&mut self, event: &Recorded) {
        self.0 += usize::from(event.event.name() == "InstanceRequested");
        assert!(self.0 < 2, "a bug");
    }

    fn projections(&self) -> Vec<Box<dyn crate::view::Projection + '_>> {
        Vec::new()
    }

    fn read(_: &mut dyn std::io::Read) -> std::io::Result<Self> {
        Ok(Self::default())
    }
}

#[test]
fn a_fold_that_breaks_says_so_and_nobody_waits_for_it() {
    let store = MemoryStore::new();
    let ledger = open(&store);
    begin(&ledger);
    let runner = Runner::<Fragile>::start(
        "fragile",
        ledger.feed(),
        Arc::clone(ledger.store()),
        ViewOptions::default(),
        |_| (),
    )
    .expect("a view");
    let one = ask(&ledger, 1);
    assert_eq!(runner.read_at_blocking(one, |view, _| view.0), Ok(1));
    let two = ask(&ledger, 2);
    let stopped = wait(runner.reach(two));
    assert!(matches!(&stopped, Err(ReadFault::Stopped { position, .. }) if *position == one), "{stopped:?}");
    assert!(runner.status().fault.is_some());
    ledger.shut_down().expect("the writer has no fault");
    let ended = runner.finish();
    assert!(matches!(ended, Err(FinishFault::Stopped { name: "fragile", .. })), "{ended:?}");
}

/// A view that counts instances, and leaves each to be counted apart; the third breaks there.
#[derive(Clone, Default)]
struct Apart {
    seen: usize,
    counted: usize,
}

/// Held while work that is done apart must wait.
static HELD: Mutex<()> = Mutex::new(());

impl View for Apart {
    const FORMAT: u32 = 1;

    fn apply(&mut self, event: &Recorded) {
        let one = usize::from(event.event.name() == "InstanceRequested");
        (self.seen, self.counted) = (self.seen + one, self.counted + one);
    }

    fn apply_live(&mut self, event: &Recorded) -> Option<Deferred<Self>> {
        if event.event.name() != "InstanceRequested" {
            return None;
        }
        self.seen += 1;
        let breaks = self.seen == 3;
        Some(Deferred::new(move || {
            drop(HELD.lock());
            assert!(!breaks, "a bug");
            Box::new(|view: &mut Self| view.counted += 1)
        }))
    }

    fn projections(&self) -> Vec<Box<dyn crate::view::Projection + '_>> {
        Vec::new()
    }

    fn read(_: &mut dyn std::io::Read) -> std::io::Result<Self> {
        Ok(Self::default())
    }
}

#[test]
fn a_view_goes_on_and_is_read_while_work_is_done_apart() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().expect("a folder"));
    let ledger = open(&store);
    begin(&ledger);
    let options = ViewOptions { folder: Some(folder.path().to_owned()), ..ViewOptions::default() };
    let runner = Runner::<Apart>::start("apart", ledger.feed(), Arc::clone(ledger.store()), options, |_| ())
        .expect("a view");
    let held = HELD.lock();
    let two = (1..=2).map(|n| ask(&ledger, n)).last().expect("some");
    assert_eq!(runner.read_at_blocking(two, |view, _| (view.seen, view.counted)), Ok((2, 0)));
    let counted = |view: &Apart, _| (view.counted == 2).then_some(());
    let shortly = Duration::from_millis(20);
    assert!(runner.read_when_blocking(shortly, counted).is_none());
    assert!(wait(runner.read_when(shortly, counted)).is_none());
    assert!(!runner.settle(shortly));
    runner.snapshot();
    assert_eq!(runner.status().snapshot, Sequence::ZERO, "what is not whole is not kept");
    drop(held);
    let long = Duration::from_secs(60);
    assert!(wait(runner.read_when(long, counted)).is_some());
    assert!(runner.settle(long));
    runner.snapshot();
    assert_eq!(runner.status().snapshot, two);
    // It breaks after this read, not before.
    let held = HELD.lock();
    let three = ask(&ledger, 3);
    assert_eq!(runner.read_at_blocking(three, |view, _| view.seen), Ok(3));
    drop(held);
    assert!(runner.settle(long), "what broke is not waited for");
    ledger.shut_down().expect("the writer has no fault");
    let ended = runner.finish();
    assert!(matches!(ended, Err(FinishFault::Stopped { name: "apart", .. })), "{ended:?}");
}

#[test]
fn a_last_snapshot_that_fails_is_told() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().expect("a folder"));
    let ledger = open(&store);
    begin(&ledger);
    let options = ViewOptions { folder: Some(folder.path().join("state")), ..ViewOptions::default() };
    let start = Runner::<Everything>::start;
    let runner = start("everything", ledger.feed(), Arc::clone(ledger.store()), options, |_| ());
    let runner = runner.expect("a view");
    fs::write(folder.path().join("state"), "no folder").expect("written");
    ledger.shut_down().expect("it shuts down");
    let ended = runner.finish();
    assert!(matches!(ended, Err(FinishFault::Snapshot { name: "everything", .. })), "{ended:?}");
}

/// Readers and the writer of a view at once: nobody sees half of a group, and all get on.
#[test]
fn readers_see_whole_commands() {
    let store = MemoryStore::new();
    let ledger = open(&store);
    begin(&ledger);
    let start = Runner::<Everything>::start;
    let runner =
        start("everything", ledger.feed(), Arc::clone(ledger.store()), ViewOptions::default(), |_| ());
    let runner = runner.expect("a view");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // The first two are allocated by the command that requests them.
                    let (known, there) = runner.read(|view, _| {
                        let there = view.instances.on_computer("COMP-1").count();
                        (view.instances.len(), there)
                    });
                    assert_eq!(there, known.min(2));
                }
            });
        }
        let last = (0..300).map(|n| ask(&ledger, n)).last().expect("some");
        runner.read_at_blocking(last, |_, _| ()).expect("readers do not keep the view from going on");
        done.store(true, Ordering::Relaxed);
    });
}
