use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::NoIndex;
use crate::domain::Answer;
use crate::domain::given;
use crate::domain::id::Sequence;
use crate::domain::usage::seen::Fingerprint;
use crate::domain::usage::{KnownUsage, MemoryIndex, SeenIndex, UsageLimits, UsageOutcome};
use crate::fingerprints::TieredIndex;
use crate::ledger::tests::{Noon, computer, named, options, party};
use crate::ledger::{GuardOptions, Ledger, LedgerOptions, ShutdownFault, SubmitError};
use crate::log::memory::MemoryStore;
use crate::log::merkle::Tree;
use crate::log::store::{Appended, EventStore};

/// An index that can be damaged from outside.
struct FragileIndex {
    index: MemoryIndex,
    is_damaged: Arc<AtomicBool>,
}

impl SeenIndex for FragileIndex {
    fn key(&self) -> [u8; 16] {
        self.index.key()
    }

    fn get(&self, fingerprint: Fingerprint) -> Option<KnownUsage> {
        // As one on disk does: of what it cannot read it knows nothing.
        if self.is_damaged.load(Ordering::Relaxed) { None } else { self.index.get(fingerprint) }
    }

    fn insert(&mut self, identity: Fingerprint, seen: KnownUsage) {
        self.index.insert(identity, seen);
    }

    fn fault(&self) -> Option<String> {
        self.is_damaged.load(Ordering::Relaxed).then(|| "one of its blocks cannot be read".into())
    }
}

/// Usage with these identities, all else alike.
fn usage(ledger: &Ledger, ids: impl IntoIterator<Item = u64>) -> Result<Vec<UsageOutcome>, SubmitError> {
    let reports = ids.into_iter().map(|id| given::usage(&format!("usage {id}"), "1"));
    let record = given::record("COMP-1", reports);
    match ledger.submit_blocking(named(None, 0, record.into()))?.answer {
        Answer::Usage(outcomes) => Ok(outcomes),
        other => panic!("{other:?}"),
    }
}

fn begin(ledger: &Ledger) {
    ledger.submit_blocking(named(None, 0, party())).expect("is new");
    ledger.submit_blocking(named(None, 0, computer("COMP-1"))).expect("is new");
}

fn are_duplicates(outcomes: &[UsageOutcome]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, UsageOutcome::Duplicate(_)))
}

/// What made every write fail until somebody deleted the folder is made good by the writer, and nobody notices.
#[test]
fn a_damaged_index_is_rebuilt_and_the_same_commands_are_decided() {
    let store = Arc::new(MemoryStore::new());
    let (is_damaged, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let seen = {
        let (is_damaged, made) = (Arc::clone(&is_damaged), Arc::clone(&made));
        move |at| {
            assert_eq!(at, Sequence::ZERO, "there is no snapshot");
            made.fetch_add(1, Ordering::Relaxed);
            // A new one is whole.
            is_damaged.store(false, Ordering::Relaxed);
            let (index, is_damaged) = (MemoryIndex::new([1; 16]), Arc::clone(&is_damaged));
            Ok(Box::new(FragileIndex { index, is_damaged }) as Box<dyn SeenIndex>)
        }
    };
    let options = LedgerOptions { seen: Box::new(seen), ..options(crate::domain::event::Mode::Proxy) };
    let limits = UsageLimits { most_suspended_of_node: 1_234, ..UsageLimits::default() };
    let guards = GuardOptions { usage: limits, ..GuardOptions::default() };
    let as_store = Arc::clone(&store) as Arc<dyn EventStore>;
    let ledger = Ledger::open_guarded(as_store, Arc::new(Noon), options, guards).expect("opens");
    begin(&ledger);
    let first = usage(&ledger, 0..50).expect("recorded");
    assert!(!are_duplicates(&first));
    let before = ledger.head();

    is_damaged.store(true, Ordering::Relaxed);
    let again = usage(&ledger, 0..50).expect("decided by a new index");
    assert!(are_duplicates(&again), "{again:?}");
    assert_eq!((ledger.head(), made.load(Ordering::Relaxed)), (before, 2));
    assert_eq!(ledger.fault(), None);
    usage(&ledger, 50..60).expect("writes go on");
    assert_eq!(ledger.sequencer.read().usage_limits(), limits);
    assert!(ledger.head().last > before.last);

    // A disk that damages it again at once is not trusted.
    is_damaged.store(true, Ordering::Relaxed);
    let before = ledger.head();
    let stopped = usage(&ledger, 0..50);
    assert!(matches!(stopped, Err(SubmitError::Stopped(_))), "{stopped:?}");
    let fault = ledger.fault().expect("it stopped");
    assert!(fault.contains("soon after it was rebuilt: one of its blocks cannot be read"), "{fault}");
    assert_eq!((ledger.head(), made.load(Ordering::Relaxed)), (before, 2), "nothing more was recorded");
}

/// What is told without the writer is told by an index that is whole, or not at all.
#[test]
fn a_damaged_index_tells_nothing() {
    let (store, is_damaged) = (MemoryStore::new(), Arc::new(AtomicBool::new(false)));
    let fragile = FragileIndex { index: MemoryIndex::new([1; 16]), is_damaged: Arc::clone(&is_damaged) };
    let mut sequencer = super::Sequencer::new(Box::new(fragile));
    let commands = [((), named(None, 0, party())), ((), named(None, 0, computer("COMP-1")))];
    sequencer.decide(given::at("2026-10-01T12:00:00Z"), &store, commands).expect("decided");
    let same = named(None, 0, computer("COMP-1"));
    let now = given::at("2026-10-01T12:00:00Z");
    let told = || sequencer.decide_unchanged(now, sequencer.last(), &same);
    assert!(told().is_some());
    is_damaged.store(true, Ordering::Relaxed);
    assert!(told().is_none());
}

const IDS: std::ops::Range<u64> = 0..40;

/// A ledger with its snapshot and its index in this folder.
fn open(store: &MemoryStore, folder: &Path) -> Ledger {
    let index = folder.join("index");
    let seen = move |at| {
        let damaged = |fault: crate::fingerprints::FingerprintFault| NoIndex::Damaged(fault.to_string());
        let index = if at == Sequence::ZERO {
            TieredIndex::create(&index, [1; 16]).map_err(damaged)?
        } else {
            TieredIndex::open(&index, [1; 16], at).map_err(damaged)?.ok_or(NoIndex::Absent)?
        };
        Ok(Box::new(index) as Box<dyn SeenIndex>)
    };
    let snapshot = Some(folder.join("state/writer.snapshot"));
    let options =
        LedgerOptions { seen: Box::new(seen), snapshot, ..options(crate::domain::event::Mode::Proxy) };
    Ledger::open(Arc::new(store.reopen()), Arc::new(Noon), options).expect("a cache refuses nothing")
}

fn copy(from: &Path, to: &Path) {
    for name in ["index", "state"] {
        let (from, to) = (from.join(name), to.join(name));
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).expect("made");
        for entry in fs::read_dir(from).expect("listed") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

/// A store with usage in it, and the caches of a ledger that was shut down twice.
fn sample(folder: &Path) -> MemoryStore {
    let store = MemoryStore::new();
    let ledger = open(&store, folder);
    begin(&ledger);
    usage(&ledger, 0..20).expect("recorded");
    ledger.shut_down().expect("it shuts down");
    drop(ledger);
    let ledger = open(&store, folder);
    usage(&ledger, 20..IDS.end).expect("recorded");
    ledger.shut_down().expect("it shuts down");
    store
}

/// Another store with the same log.
fn copy_of(store: &MemoryStore) -> MemoryStore {
    let (copy, mut tree) = (MemoryStore::new(), Tree::new());
    let mut frames = store.reopen().read(Sequence::ZERO, usize::MAX).expect("read");
    for frame in &mut frames {
        frame.advance(&mut tree).expect("it continues");
    }
    let term = copy.acquire().expect("a term");
    assert_eq!(copy.append(term, Sequence::ZERO, &frames), Appended::Durable);
    copy
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let list = |name: &str| {
        fs::read_dir(folder.join(name)).expect("listed").map(|entry| entry.expect("an entry").path())
    };
    let mut files: Vec<_> = list("index").chain(list("state")).collect();
    files.sort();
    files
}

/// A known identity that becomes unknown doubles usage; one that was never seen and becomes known loses it.
#[test]
fn no_flipped_bit_in_a_cache_is_believed() {
    let (pristine, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = sample(pristine.path());
    let names = files(pristine.path());
    assert!(names.len() >= 5, "a snapshot, two manifests, two runs: {names:?}");
    let end = store.reopen().head().unwrap();
    for name in names {
        let length = fs::metadata(&name).unwrap().len();
        for n in 0..8 {
            let at = (length - 1) * n / 7;
            copy(pristine.path(), here.path());
            let path = here.path().join(name.strip_prefix(pristine.path()).unwrap());
            let mut bytes = fs::read(&path).unwrap();
            bytes[usize::try_from(at).unwrap()] ^= 1 << (n % 8);
            fs::write(&path, bytes).unwrap();

            let ledger = open(&copy_of(&store), here.path());
            let shown = format!("{} byte {at}", path.display());
            let known = usage(&ledger, IDS).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert!(are_duplicates(&known), "{shown}: {known:?}");
            let new = usage(&ledger, IDS.end..IDS.end + 2).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert!(!are_duplicates(&new), "{shown}: {new:?}");
            assert_eq!(ledger.head().last, Sequence(end.last.0 + 3), "{shown}");
            assert_eq!(ledger.fault(), None, "{shown}");
        }
    }
}

#[test]
fn what_a_crash_left_of_a_snapshot_is_removed_and_one_that_cannot_be_written_stops_nothing() {
    let here = tempfile::tempdir().unwrap();
    let store = sample(here.path());
    let left = here.path().join("state/writer.new");
    fs::write(&left, "half").unwrap();
    let ledger = open(&store, here.path());
    assert!(!left.exists());
    drop(ledger);

    // Nothing can be written where a file is in the place of a folder.
    fs::remove_dir_all(here.path().join("state")).unwrap();
    fs::write(here.path().join("state"), "").unwrap();
    let ledger = open(&store, here.path());
    assert!(are_duplicates(&usage(&ledger, IDS).expect("decided")));
    assert!(matches!(ledger.shut_down(), Err(ShutdownFault::Snapshot(_))), "it is told");
    assert_eq!(ledger.fault(), None);
}
