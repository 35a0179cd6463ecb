use std::collections::BTreeSet;
use std::fs;
use std::hash::Hasher;
use std::path::Path;
use std::thread::{self, JoinHandle};

use proptest::prelude::*;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::manifest::RunManifest;
use super::run::{self, RunSpan};
use super::{Fingerprint, FingerprintFault, MOST_RUNS, TieredIndex, digest};
use crate::domain::id::Sequence;
use crate::domain::usage::seen::{KnownUsage, MemoryIndex, SeenIndex, revision};

const KEY: [u8; 16] = [7; 16];

/// A uniform fingerprint, as identities have them.
pub(super) fn fingerprint(n: u64) -> Fingerprint {
    let mut hasher = SipHasher24::new();
    hasher.write_u64(n);
    hasher.finish128().as_u128()
}

fn seen(sequence: u64, content: u64) -> KnownUsage {
    KnownUsage { sequence: Sequence(sequence), content }
}

#[derive(Debug, Clone)]
enum IndexStep {
    Insert(u64, u64),
    Checkpoint,
    /// One that another thread does.
    CheckpointBeside,
    /// As after a crash: what is younger than the checkpoint is gone.
    Reopen,
    /// The snapshot that went with the newest checkpoint was lost.
    ReopenOneBefore,
    WaitForMerge,
}

fn step() -> impl Strategy<Value = IndexStep> {
    prop_oneof![
        40 => (0..60_u64, 0..4_u64).prop_map(|(id, content)| IndexStep::Insert(id, content)),
        2 => Just(IndexStep::Checkpoint),
        2 => Just(IndexStep::CheckpointBeside),
        1 => Just(IndexStep::Reopen),
        1 => Just(IndexStep::ReopenOneBefore),
        2 => Just(IndexStep::WaitForMerge),
    ]
}

/// Most are uniform; some lie side by side, at both ends of the range too.
fn identity(n: u64) -> Fingerprint {
    match n {
        0..8 => n.into(),
        8..16 => Fingerprint::MAX - Fingerprint::from(n - 8),
        16..24 => (1 << 64) + Fingerprint::from(n),
        _ => fingerprint(n),
    }
}

/// What was inserted, which is what the log would say.
#[derive(Default)]
struct Log(Vec<(Fingerprint, KnownUsage)>);

impl Log {
    fn index(&self) -> MemoryIndex {
        let mut index = MemoryIndex::new(KEY);
        self.0.iter().for_each(|(identity, seen)| index.insert(*identity, *seen));
        index
    }
}

fn check_same(index: &TieredIndex, model: &MemoryIndex) {
    for identity in (0..60).map(identity) {
        assert_eq!(index.get(identity), model.get(identity), "{identity:x}");
        for content in 0..4 {
            let revision = revision(identity, content);
            assert_eq!(index.get(revision), model.get(revision), "revision {content} of {identity:x}");
        }
    }
    assert_eq!(index.fault(), None);
}

/// The two newest are kept.
fn keep(checkpoints: &mut Vec<usize>, length: usize) {
    checkpoints.retain(|known| *known != length);
    checkpoints.push(length);
    checkpoints.drain(..checkpoints.len().saturating_sub(2));
}

fn walk(recent: usize, steps: Vec<IndexStep>) {
    let dir = tempfile::tempdir().unwrap();
    let mut index = TieredIndex::create(dir.path(), KEY).unwrap().with_recent(recent);
    let mut log = Log::default();
    let mut model = log.index();
    // Lengths of the log with a checkpoint that is kept.
    let mut checkpoints: Vec<usize> = Vec::new();
    let mut beside: Option<(JoinHandle<Result<(), FingerprintFault>>, usize)> = None;
    for step in steps {
        if !matches!(step, IndexStep::Insert(..) | IndexStep::WaitForMerge)
            && let Some((thread, length)) = beside.take()
        {
            thread.join().unwrap().unwrap();
            keep(&mut checkpoints, length);
        }
        match step {
            IndexStep::Insert(id, content) => {
                let entry = (identity(id), seen(log.0.len() as u64 + 1, content));
                index.insert(entry.0, entry.1);
                model.insert(entry.0, entry.1);
                log.0.push(entry);
            }
            IndexStep::Checkpoint => {
                index.checkpoint(Sequence(log.0.len() as u64)).unwrap();
                keep(&mut checkpoints, log.0.len());
            }
            IndexStep::CheckpointBeside => {
                let work = index.begin_checkpoint(Sequence(log.0.len() as u64)).unwrap();
                beside = Some((thread::spawn(move || work.run()), log.0.len()));
            }
            IndexStep::Reopen | IndexStep::ReopenOneBefore => {
                if matches!(step, IndexStep::ReopenOneBefore) && checkpoints.len() > 1 {
                    checkpoints.pop();
                }
                drop(index);
                log.0.truncate(checkpoints.last().copied().unwrap_or(0));
                let at = Sequence(log.0.len() as u64);
                let opened = TieredIndex::open(dir.path(), KEY, at).unwrap();
                assert_eq!(opened.is_some(), !checkpoints.is_empty());
                index = opened.unwrap_or_else(|| TieredIndex::create(dir.path(), KEY).unwrap());
                index = index.with_recent(recent);
                model = log.index();
            }
            IndexStep::WaitForMerge => index.adopt_merge(true).unwrap(),
        }
        assert_eq!(index.fault(), None);
        let runs: Vec<_> = index.runs.iter().map(|run| run.entries).collect();
        assert!(index.recent.len() <= recent.max(2), "{} in memory, runs of {runs:?}", index.recent.len());
        assert!(runs.len() <= MOST_RUNS, "runs of {runs:?}");
    }
    if let Some((thread, _)) = beside {
        thread.join().unwrap().unwrap();
    }
    check_same(&index, &model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn answers_as_the_index_in_memory_does(
        recent in 2..30_usize,
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        walk(recent, steps);
    }
}

#[test]
fn answers_as_the_index_in_memory_does_with_runs_of_many_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = TieredIndex::create(dir.path(), KEY).unwrap().with_recent(1000);
    let mut model = MemoryIndex::new(KEY);
    for n in 1..=60_000 {
        // Every third comes again, some of them much later.
        let id = if n % 3 == 0 { n / 7 } else { n };
        index.insert(fingerprint(id), seen(n, n % 5));
        model.insert(fingerprint(id), seen(n, n % 5));
        if n % 7500 == 0 {
            index.checkpoint(Sequence(n)).unwrap();
        }
    }
    index.adopt_merge(true).unwrap();
    let reopened = {
        drop(index);
        TieredIndex::open(dir.path(), KEY, Sequence(60_000)).unwrap().unwrap()
    };
    for id in 0..70_000 {
        let identity = fingerprint(id);
        assert_eq!(reopened.get(identity), model.get(identity));
        for content in 0..5 {
            let revision = revision(identity, content);
            assert_eq!(reopened.get(revision), model.get(revision));
        }
    }
    assert_eq!(reopened.fault(), None);
}

#[test]
fn a_checkpoint_beside_the_writer_may_name_a_run_too_many_and_opening_merges_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(TieredIndex::create(dir.path(), KEY).unwrap());
    let spans = (0..=MOST_RUNS as u64).map(|n| RunSpan { first: n, last: n });
    let runs: Vec<_> = spans
        .map(|span| {
            let entry = (fingerprint(span.first), seen(span.first + 1, 0));
            run::write(dir.path(), span, &[entry]).unwrap().sync().unwrap();
            (span, 1)
        })
        .collect();
    let (last, next) = (Sequence(runs.len() as u64), runs.len() as u64);
    RunManifest::new(last, digest(KEY), runs, next).write(dir.path()).unwrap();
    let index = TieredIndex::open(dir.path(), KEY, last).unwrap().unwrap();
    assert!(index.runs.len() <= MOST_RUNS, "{} runs", index.runs.len());
    assert!((0..next).all(|n| index.get(fingerprint(n)) == Some(seen(n + 1, 0))));
    assert_eq!(index.fault(), None);
}

fn files(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// 1,000 identities in two runs that differ too much to be merged, checkpointed at 1000.
fn sample(dir: &Path) {
    let mut index = TieredIndex::create(dir, KEY).unwrap().with_recent(2000);
    for n in 1..=1000 {
        index.insert(fingerprint(n), seen(n, 0));
        if n == 700 {
            index.checkpoint(Sequence(700)).unwrap();
        }
    }
    index.checkpoint(Sequence(1000)).unwrap();
    fs::remove_file(dir.join("manifest-00000000000000000700")).unwrap();
}

#[test]
fn opens_at_its_checkpoints_alone_and_with_its_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    assert!(TieredIndex::open(dir.path(), KEY, Sequence(999)).unwrap().is_none());
    assert!(TieredIndex::open(dir.path(), KEY, Sequence(1001)).unwrap().is_none());
    assert!(TieredIndex::open(dir.path(), [8; 16], Sequence(1000)).unwrap().is_none());
    assert!(TieredIndex::open(&dir.path().join("absent"), KEY, Sequence(1000)).unwrap().is_none());
    let index = TieredIndex::open(dir.path(), KEY, Sequence(1000)).unwrap().unwrap();
    assert_eq!(index.get(fingerprint(1000)), Some(seen(1000, 0)));
    drop(TieredIndex::create(dir.path(), KEY).unwrap());
    assert_eq!(files(dir.path()), BTreeSet::new());
}

#[test]
fn files_that_no_manifest_names_are_deleted_and_others_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let before = files(dir.path());
    for stray in ["run-77-78.seen", "manifest.new", "manifest-00000000000000002000"] {
        fs::write(dir.path().join(stray), "x").unwrap();
    }
    fs::write(dir.path().join("README"), "x").unwrap();
    let mut index = TieredIndex::open(dir.path(), KEY, Sequence(1000)).unwrap().unwrap().with_recent(300);
    let mut expected = before.clone();
    expected.insert("README".into());
    assert_eq!(files(dir.path()), expected);

    // The runs of a manifest go when it does.
    for (n, last) in [(2000, 2000), (3000, 3000)] {
        index.insert(fingerprint(n), seen(n, 0));
        index.checkpoint(Sequence(last)).unwrap();
    }
    index.adopt_merge(true).unwrap();
    index.checkpoint(Sequence(4000)).unwrap();
    index.checkpoint(Sequence(5000)).unwrap();
    index.wait_for_sweeper();
    let manifests: Vec<_> =
        files(dir.path()).into_iter().filter(|name| name.starts_with("manifest")).collect();
    assert_eq!(manifests, ["manifest-00000000000000004000", "manifest-00000000000000005000"]);
    let runs = files(dir.path()).into_iter().filter(|name| name.starts_with("run")).count();
    assert_eq!(runs, index.runs.len());
}

#[test]
fn any_flipped_bit_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    for name in files(dir.path()) {
        let path = dir.path().join(&name);
        let whole = fs::read(&path).unwrap();
        let step = if name.starts_with("manifest") { 1 } else { 37 };
        for at in (0..whole.len()).step_by(step) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, &flipped).unwrap();
            let Ok(Some(index)) = TieredIndex::open(dir.path(), KEY, Sequence(1000)) else { continue };
            let wrong = (1..=1000).find(|n| index.get(fingerprint(*n)) != Some(seen(*n, 0)));
            assert!(index.fault().is_some_and(|fault| fault.contains("damaged")), "{name} {at}");
            // Nothing is believed from then on.
            assert!(wrong.is_some() && index.get(fingerprint(1)).is_none(), "{name} {at}");
        }
        fs::write(&path, &whole).unwrap();
    }
}

/// A killed process may leave a run half written that no checkpoint names, at any byte of it.
#[test]
fn a_half_written_run_is_damage_after_a_clean_shutdown_alone() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    TieredIndex::verify(dir.path(), true).unwrap();
    let run = files(dir.path()).into_iter().find(|name| name.starts_with("run")).unwrap();
    let whole = fs::read(dir.path().join(&run)).unwrap();
    for written in [0, 1, 20, 4095, 4096, whole.len() - 1] {
        fs::write(dir.path().join("run-7-8.seen"), &whole[..written]).unwrap();
        TieredIndex::verify(dir.path(), false).unwrap();
        TieredIndex::verify(dir.path(), true).unwrap_err();
    }
    fs::remove_file(dir.path().join("run-7-8.seen")).unwrap();
    fs::write(dir.path().join(&run), &whole[..whole.len() - 1]).unwrap();
    TieredIndex::verify(dir.path(), false).unwrap_err();
}

#[test]
fn a_damaged_run_stops_a_merge_and_a_faulty_index_takes_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path());
    let mut index = TieredIndex::open(dir.path(), KEY, Sequence(1000)).unwrap().unwrap().with_recent(300);
    for name in files(dir.path()).into_iter().filter(|name| name.starts_with("run")) {
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096 + 50] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    for n in 2000..6000 {
        index.insert(fingerprint(n), seen(n, 0));
    }
    let fault = index.fault().unwrap();
    assert!(fault.contains("damaged"), "{fault}");
    assert!(
        matches!(index.checkpoint(Sequence(6000)), Err(FingerprintFault::Earlier(earlier)) if earlier == fault)
    );
    assert_eq!(SeenIndex::checkpoint(&mut index, Sequence(6000)), Err(format!("an earlier fault: {fault}")));
    assert!(TieredIndex::open(dir.path(), KEY, Sequence(6000)).unwrap().is_none());
}

#[test]
fn a_folder_that_goes_away_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut index = TieredIndex::create(&path, KEY).unwrap().with_recent(10);
    fs::remove_dir_all(&path).unwrap();
    for n in 0..100 {
        index.insert(fingerprint(n), seen(n, 0));
    }
    let fault = index.fault().unwrap();
    assert!(fault.starts_with("cannot create ") && fault.contains("No such file"), "{fault}");
    assert_eq!(index.get(fingerprint(1)), None);
}

/// Every byte of every file: what a damaged index answers is what an index in memory would, or it says that it is damaged.
#[test]
fn no_flipped_byte_makes_an_answer_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = TieredIndex::create(dir.path(), KEY).unwrap().with_recent(200);
    let mut model = MemoryIndex::new(KEY);
    for n in 1..=150_u64 {
        index.insert(fingerprint(n % 120), seen(n, n % 3));
        model.insert(fingerprint(n % 120), seen(n, n % 3));
        if n == 100 {
            index.checkpoint(Sequence(100)).unwrap();
        }
    }
    index.checkpoint(Sequence(150)).unwrap();
    drop(index);
    let identities: Vec<_> = (0..240).map(fingerprint).collect();
    let asked: Vec<_> = identities.iter().flat_map(|identity| [*identity, revision(*identity, 1)]).collect();
    let pristine: Vec<_> = files(dir.path())
        .into_iter()
        .map(|name| (dir.path().join(&name), fs::read(dir.path().join(&name)).unwrap()))
        .collect();
    let mut noticed = 0;
    for (path, whole) in &pristine {
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(path, &flipped).unwrap();
            let shown = format!("{} byte {at}", path.display());
            match TieredIndex::open(dir.path(), KEY, Sequence(150)) {
                Ok(None) => panic!("{shown}: it is there"),
                Err(_) => noticed += 1,
                Ok(Some(index)) => {
                    let differs = asked.iter().any(|asked| index.get(*asked) != model.get(*asked));
                    assert!(!differs || index.fault().is_some(), "{shown}");
                    noticed += usize::from(index.fault().is_some());
                }
            }
            // An earlier manifest that cannot be read goes, with its runs.
            for (path, whole) in pristine.iter().filter(|(path, _)| !path.exists()) {
                fs::write(path, whole).unwrap();
            }
        }
        fs::write(path, whole).unwrap();
    }
    assert!(noticed > 10_000, "{noticed}");
}

/// A disk that is full for a while is no damage: nothing is forgotten, and what waited is written when there is room.
#[test]
fn while_the_disk_takes_no_more_identities_stay_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let mut index = TieredIndex::create(&path, KEY).unwrap().with_recent(100);
    let mut model = MemoryIndex::new(KEY);
    let mut insert = |index: &mut TieredIndex, ids: std::ops::Range<u64>| {
        for n in ids {
            index.insert(fingerprint(n), seen(n, 0));
            model.insert(fingerprint(n), seen(n, 0));
        }
        assert!((0..700).map(fingerprint).all(|identity| index.get(identity) == model.get(identity)));
        assert_eq!(index.fault(), None);
    };
    insert(&mut index, 0..150);
    // Where a folder has its name, the next run cannot be written.
    let next = path.join(RunSpan { first: index.next, last: index.next }.file_name());
    fs::create_dir(&next).unwrap();
    insert(&mut index, 150..450);
    assert!(index.recent.len() > 300);
    assert!(matches!(index.checkpoint(Sequence(450)), Err(FingerprintFault::Io { .. })));
    insert(&mut index, 450..460);
    // There is room again.
    fs::remove_dir(&next).unwrap();
    insert(&mut index, 460..600);
    assert!(index.recent.len() < 200);
    index.checkpoint(Sequence(600)).unwrap();

    // When there is none for too long, the table is full.
    fs::create_dir(path.join(RunSpan { first: index.next, last: index.next }.file_name())).unwrap();
    for n in 600..1100 {
        index.insert(fingerprint(n), seen(n, 0));
    }
    let fault = index.fault().unwrap();
    assert!(fault.starts_with("cannot create "), "{fault}");
}

#[test]
fn the_newest_checkpoint_that_can_be_read_is_a_witness() {
    let dir = tempfile::tempdir().unwrap();
    let witness = |dir: &Path| TieredIndex::witness(dir, "index").map(|witness| (witness.name, witness.last));
    assert_eq!(witness(&dir.path().join("absent")), None);
    let mut index = TieredIndex::create(dir.path(), KEY).unwrap();
    assert_eq!(witness(dir.path()), None);
    index.checkpoint(Sequence(3)).unwrap();
    index.checkpoint(Sequence(7)).unwrap();
    let name = |last| format!("index/manifest-{last:020}");
    assert_eq!(witness(dir.path()), Some((name(7), Sequence(7))));
    fs::write(dir.path().join("manifest-00000000000000000007"), "damaged").unwrap();
    assert_eq!(witness(dir.path()), Some((name(3), Sequence(3))));
}

#[test]
fn a_checkpoint_whose_work_is_not_done_leaves_everything_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = TieredIndex::create(dir.path(), KEY).unwrap().with_recent(100);
    (0..50).for_each(|n| index.insert(fingerprint(n), seen(n + 1, 0)));
    drop(index.begin_checkpoint(Sequence(50)).unwrap());
    (50..60).for_each(|n| index.insert(fingerprint(n), seen(n + 1, 0)));
    let is_whole = |index: &TieredIndex| (0..60).all(|n| index.get(fingerprint(n)) == Some(seen(n + 1, 0)));
    assert!(is_whole(&index) && index.fault().is_none());
    assert!(TieredIndex::open(dir.path(), KEY, Sequence(50)).unwrap().is_none(), "it is no checkpoint");
    index.checkpoint(Sequence(60)).unwrap();
    assert!(is_whole(&index));
    let opened = TieredIndex::open(dir.path(), KEY, Sequence(60)).unwrap();
    assert!(opened.as_ref().is_some_and(is_whole));
}
