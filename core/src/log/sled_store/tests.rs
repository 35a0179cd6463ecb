//! What only this store can get wrong: crashes between two files, damage, epochs, locks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use super::folder::{epoch_path, manifest_path, unfinished};
use super::*;
use crate::log::contract::{self, Scribe, events, numbered};
use crate::log::frame::pack;
use crate::log::merkle::Root;
use crate::log::store::read_events;

/// Epochs of a few appends, and no waiting for locks that are held on purpose.
const SMALL: Options = Options { epoch_bytes: 3000, patience: Duration::from_millis(500) };

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(dir: &TempDir) -> Result<SledStore, StoreFault> {
    SledStore::open_with(dir.path(), SMALL)
}

fn full_text(fault: &StoreFault) -> String {
    with_sources(fault)
}

/// The fault of an opening that has to fail, with its sources.
fn refusal(dir: &TempDir) -> String {
    full_text(&open(dir).expect_err("must not open"))
}

fn all(count: u64) -> Vec<(u64, Vec<u8>)> {
    (1..).zip(numbered(1, count, 300)).collect()
}

/// A folder with `appends` appends of ten events, three to an epoch or so.
fn written(appends: u64) -> TempDir {
    let dir = folder();
    let store = open(&dir).unwrap();
    let mut scribe = Scribe::new(&store);
    for append in 0..appends {
        scribe.write(&store, &noisy(append * 10 + 1, 10));
    }
    dir
}

/// Events that do not compress, so that epochs fill up.
fn noisy(first: u64, count: u64) -> Vec<Vec<u8>> {
    (first..first + count)
        .map(|sequence| {
            let mut state = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let noise = (0..100).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[2]
            });
            sequence.to_be_bytes().into_iter().chain(noise).collect()
        })
        .collect()
}

fn noisy_events(count: u64) -> Vec<(u64, Vec<u8>)> {
    (1..).zip(noisy(1, count)).collect()
}

/// Opens the database of an epoch as anybody could, to do damage.
fn tamper(dir: &TempDir, epoch: u32, damage: impl FnOnce(&sled::Db)) {
    let config =
        sled::Config::new().path(epoch_path(dir.path(), epoch)).segment_size(16 << 20).flush_every_ms(None);
    let db = folder::retry(Duration::from_secs(5), || config.open().ok()).unwrap();
    damage(&db);
    db.flush().unwrap();
}

fn change(db: &sled::Db, first: u64, change: impl FnOnce(&mut Vec<u8>)) {
    let tree = tree_with(db, first);
    let mut value = tree.get(first.to_be_bytes()).unwrap().unwrap().to_vec();
    change(&mut value);
    tree.insert(first.to_be_bytes(), value).unwrap();
}

fn remove(db: &sled::Db, first: u64) {
    tree_with(db, first).remove(first.to_be_bytes()).unwrap();
}

/// The chapter that has a frame at this sequence.
fn tree_with(db: &sled::Db, first: u64) -> sled::Tree {
    let trees = db.tree_names().into_iter().map(|name| db.open_tree(name).unwrap());
    trees
        .into_iter()
        .find(|tree| tree.contains_key(first.to_be_bytes()).unwrap())
        .expect("a frame at this sequence")
}

fn epochs(dir: &TempDir) -> u32 {
    folder::list(dir.path()).unwrap().epochs.last().copied().unwrap_or_default()
}

#[test]
fn keeps_the_contract() {
    let dir = folder();
    let count = std::cell::Cell::new(0);
    contract::check(|| {
        count.set(count.get() + 1);
        SledStore::open(&dir.path().join(count.get().to_string())).unwrap()
    });
    for options in [Options::default(), Options { epoch_bytes: 1, ..SMALL }] {
        let dir = folder();
        contract::check_reopening(|| SledStore::open_with(dir.path(), options).unwrap());
    }
    let dir = folder();
    contract::check(|| {
        count.set(count.get() + 1);
        SledStore::open_with(&dir.path().join(count.get().to_string()), SMALL).unwrap()
    });
}

#[test]
fn a_second_opener_is_refused() {
    let dir = folder();
    let store = open(&dir).unwrap();
    assert!(refusal(&dir).contains("data folder in use"));
    drop(store);
    open(&dir).unwrap();
}

#[test]
fn rolls_over_epochs_and_reads_across_them() {
    let dir = written(30);
    assert!(epochs(&dir) > 5);
    let store = open(&dir).unwrap();
    assert_eq!(events(&store, 0), noisy_events(300));
    for after in [0, 1, 9, 10, 57, 150, 299, 300] {
        assert_eq!(events(&store, after), noisy_events(300)[usize::try_from(after).unwrap()..]);
    }
    let mut scribe = Scribe::new(&store);
    let head = scribe.write(&store, &noisy(301, 10));
    assert_eq!(store.verify().unwrap(), head);
    let stats = store.stats();
    assert_eq!((stats.epochs, stats.blobs), (u64::from(epochs(&dir)), 0));
    assert!(stats.bytes_on_disk > 0);
}

#[test]
fn readers_beside_a_rolling_writer_see_every_event_once() {
    let dir = folder();
    let store = Arc::new(open(&dir).unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..3)
            .map(|_| {
                let (store, done) = (Arc::clone(&store), Arc::clone(&done));
                thread::spawn(move || {
                    let mut rounds = 0;
                    while rounds == 0 || !done.load(Ordering::Relaxed) {
                        let head = store.head().unwrap().last.0;
                        let seen = events(&*store, 0);
                        assert!(seen.len() as u64 >= head);
                        assert!(seen.iter().zip(1..).all(|((sequence, event), n)| {
                            *sequence == n && event[..8] == n.to_be_bytes()
                        }));
                        rounds += 1;
                    }
                })
            })
            .collect();
    let mut scribe = Scribe::new(&*store);
    for append in 0..40 {
        scribe.write(&*store, &noisy(append * 10 + 1, 10));
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(events(&*store, 0), noisy_events(400));
}

#[test]
fn a_log_longer_than_its_head_opens_and_brings_the_head_up() {
    for stale in ["older", "missing", "empty"] {
        let dir = folder();
        let head_path = dir.path().join("head");
        let store = open(&dir).unwrap();
        let mut scribe = Scribe::new(&store);
        scribe.write(&store, &numbered(1, 5, 300));
        let before = fs::read(&head_path).unwrap();
        let head = scribe.write(&store, &numbered(6, 5, 300));
        drop(store);
        match stale {
            "older" => fs::write(&head_path, before).unwrap(),
            "missing" => fs::remove_file(&head_path).unwrap(),
            _ => fs::write(&head_path, []).unwrap(),
        }
        let store = open(&dir).unwrap();
        assert_eq!(store.head().unwrap(), head, "{stale}");
        assert_eq!(events(&store, 0), all(10));
        drop(store);
        assert_eq!(HeadFile::open(dir.path()).unwrap().1.unwrap().head, head, "{stale}");
    }
}

#[test]
fn a_log_shorter_than_its_head_is_a_fault_that_names_both() {
    // The last frame is gone, as after damage that sled keeps to itself.
    let dir = folder();
    let store = open(&dir).unwrap();
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &numbered(1, 5, 10));
    scribe.write(&store, &numbered(6, 5, 10));
    drop(store);
    tamper(&dir, 1, |db| remove(db, 6));
    for _ in 0..2 {
        let fault = refusal(&dir);
        assert_eq!(fault, "open the log: epoch 1 ends at sequence 5, but sequence 10 was acknowledged");
    }

    // A whole epoch is gone.
    let dir = written(30);
    let last = epochs(&dir);
    fs::remove_dir_all(epoch_path(dir.path(), last)).unwrap();
    let fault = refusal(&dir);
    assert!(
        fault.contains(&format!("epoch {last} ends at")) && fault.contains("300 was acknowledged"),
        "{fault}"
    );
    assert!(!epoch_path(dir.path(), last).exists(), "nothing is made in its place");
}

#[test]
fn a_head_with_another_root_is_a_fault() {
    let dir = folder();
    let store = open(&dir).unwrap();
    Scribe::new(&store).write(&store, &numbered(1, 5, 10));
    drop(store);
    let (mut file, known) = HeadFile::open(dir.path()).unwrap();
    let mut known = known.unwrap();
    known.head.root = Root([1; 32]);
    file.write(known).unwrap();
    file.write(known).unwrap();
    assert!(refusal(&dir).starts_with("verify the Merkle root at sequence 5 in epoch 1"));

    known.head.last = Sequence(3);
    file.write(known).unwrap();
    file.write(known).unwrap();
    assert!(refusal(&dir).contains("find sequence 3 in epoch 1"), "no append ended there");
}

/// Each state that a crash leaves while an epoch is sealed and the next one made.
#[test]
fn every_state_of_a_crash_while_rolling_opens() {
    type Crash = fn(&Path, u32);
    let states: [(&str, Crash); 7] = [
        ("manifest half written", |dir, epoch| {
            fs::remove_dir_all(epoch_path(dir, epoch + 1)).unwrap();
            fs::remove_file(manifest_path(dir, epoch)).unwrap();
            fs::write(unfinished(&manifest_path(dir, epoch)), "{").unwrap();
        }),
        ("manifest written, no next epoch", |dir, epoch| {
            fs::remove_dir_all(epoch_path(dir, epoch + 1)).unwrap();
        }),
        ("next epoch half made", |dir, epoch| {
            fs::rename(epoch_path(dir, epoch + 1), unfinished(&epoch_path(dir, epoch + 1))).unwrap();
            fs::write(unfinished(&epoch_path(dir, epoch + 1)).join("conf"), "torn").unwrap();
        }),
        ("next epoch an empty unfinished folder", |dir, epoch| {
            fs::remove_dir_all(epoch_path(dir, epoch + 1)).unwrap();
            fs::create_dir(unfinished(&epoch_path(dir, epoch + 1))).unwrap();
        }),
        ("next epoch an empty folder", |dir, epoch| {
            fs::remove_dir_all(epoch_path(dir, epoch + 1)).unwrap();
            fs::create_dir(epoch_path(dir, epoch + 1)).unwrap();
        }),
        ("next epoch without frames", |_, _| {}),
        ("next epoch without frames, head lost", |dir, _| fs::remove_file(dir.join("head")).unwrap()),
    ];
    for (name, crash) in states {
        let dir = folder();
        // One byte fills an epoch: the second append seals the first epoch and makes the next.
        let tiny = Options { epoch_bytes: 1, ..SMALL };
        let store = SledStore::open_with(dir.path(), tiny).unwrap();
        let mut scribe = Scribe::new(&store);
        scribe.write(&store, &numbered(1, 5, 300));
        scribe.write(&store, &numbered(6, 5, 300));
        store.roll(&mut store.writer.lock()).unwrap();
        let head = store.head().unwrap();
        drop(store);
        crash(dir.path(), 2);

        let store = SledStore::open_with(dir.path(), tiny).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(store.head().unwrap(), head, "{name}");
        let mut scribe = Scribe::new(&store);
        scribe.write(&store, &numbered(11, 5, 300));
        scribe.write(&store, &numbered(16, 5, 300));
        assert_eq!(events(&store, 0), all(20), "{name}");
        store.verify().unwrap();
        drop(store);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{name}: {left:?}");
    }
}

#[test]
fn a_roll_that_fails_stops_the_store_and_loses_nothing() {
    let dir = folder();
    let store = SledStore::open_with(dir.path(), Options { epoch_bytes: 1, ..SMALL }).unwrap();
    let mut scribe = Scribe::new(&store);
    let head = scribe.write(&store, &numbered(1, 5, 300));
    // The manifest cannot be written where a folder stands.
    let obstacle = unfinished(&manifest_path(dir.path(), 1));
    fs::create_dir(&obstacle).unwrap();
    let frames = scribe.pack(&numbered(6, 5, 300));
    let Appended::Unknown { cause } = store.append(scribe.term, Sequence(5), &frames) else {
        panic!("not unknown")
    };
    assert!(cause.contains("write ") && cause.contains("epoch-000001.manifest"), "{cause}");
    assert_eq!((store.head().unwrap(), events(&store, 0)), (head, all(5)));
    fs::remove_dir(&obstacle).unwrap();
    assert!(matches!(store.append(scribe.term, Sequence(5), &frames), Appended::Unknown { .. }));
    drop(store);
    let store = open(&dir).unwrap();
    Scribe::new(&store).write(&store, &numbered(6, 5, 300));
    assert_eq!(events(&store, 0), all(10));
}

#[test]
fn missing_epochs_and_manifests_are_faults() {
    type Loss = fn(&Path, u32);
    let losses: [(&str, Loss); 5] = [
        ("open epoch 1: it has no manifest, but a later one has", |dir, _| {
            fs::remove_file(manifest_path(dir, 1)).unwrap();
        }),
        ("open epoch 2: its folder is not there", |dir, _| fs::remove_dir_all(epoch_path(dir, 2)).unwrap()),
        ("it has no manifest, but a later epoch is there", |dir, last| {
            fs::remove_file(manifest_path(dir, last - 1)).unwrap();
        }),
        ("frontier does not give its root", |dir, _| {
            let text = fs::read_to_string(manifest_path(dir, 1)).unwrap();
            fs::write(manifest_path(dir, 1), text.replacen("\"tree_size\": ", "\"tree_size\": 1", 1))
                .unwrap();
        }),
        ("it is not there, but the log holds events", |dir, _| fs::remove_file(dir.join("term")).unwrap()),
    ];
    for (part, loss) in losses {
        let dir = written(30);
        loss(dir.path(), epochs(&dir));
        let before = snapshot(dir.path());
        let fault = refusal(&dir);
        assert!(fault.contains(part), "{part}: {fault}");
        assert_eq!(snapshot(dir.path()), before, "a refusal changes nothing: {part}");
    }
}

/// Names and sizes of what is in the folder itself.
fn snapshot(dir: &Path) -> BTreeMap<std::ffi::OsString, u64> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().len())).collect()
}

/// Damage to frames, in the open epoch (found when opening) and in a sealed one (found by reading and verifying).
#[test]
fn damaged_frames_are_named() {
    type Damage = fn(&sled::Db, u64);
    let damages: [(&str, Damage); 5] = [
        ("its checksum is", |db, first| change(db, first, |value| value[100] ^= 1)),
        ("format 7 is of a newer version", |db, first| change(db, first, |value| value[0] = 7)),
        ("decode a frame of", |db, first| change(db, first, |value| value.truncate(200))),
        ("find sequence", |db, first| remove(db, first)),
        ("is not that of its key", |db, first| {
            let tree = tree_with(db, first);
            let other = tree.iter().next().unwrap().unwrap().1;
            tree.insert(first.to_be_bytes(), other).unwrap();
        }),
    ];
    for (part, damage) in damages {
        let dir = written(33);
        let (open_first, count) = {
            let store = open(&dir).unwrap();
            (store.view().open_first.0, store.view().head.last.0)
        };
        assert!(count - open_first > 15, "two frames at least in the open epoch");
        let last = epochs(&dir);

        // The second frame of the epoch.
        let victim = first_of_epoch_2(&dir) + 10;
        tamper(&dir, 2, |db| damage(db, victim));
        let store = open(&dir).unwrap();
        let faults =
            [store.verify().unwrap_err(), read_events(&store, Sequence(0)).find_map(Result::err).unwrap()];
        for fault in faults {
            let fault = full_text(&fault);
            assert!(fault.contains(part), "{part}: {fault}");
            assert!(fault.contains("epoch 2") && fault.contains(&format!("sequence {victim}")), "{fault}");
        }
        let read = read_events(&store, Sequence(0)).map_while(Result::ok).count() as u64;
        assert_eq!(read, victim - 1, "what comes before is read");
        assert_eq!(events(&store, open_first), noisy_events(count)[usize::try_from(open_first).unwrap()..]);
        drop(store);

        tamper(&dir, last, |db| damage(db, open_first + 10));
        let fault = refusal(&dir);
        assert!(fault.contains(part), "{part}: {fault}");
        assert!(fault.contains(&format!("epoch {last}")), "{fault}");
        assert!(fault.contains(&format!("sequence {}", open_first + 10)), "{fault}");
    }
}

/// The first sequence of epoch 2, from the manifest of epoch 1.
fn first_of_epoch_2(dir: &TempDir) -> u64 {
    manifest::Manifest::read(dir.path(), 1, Sequence::ZERO).unwrap().manifest.last + 1
}

/// Frames that are good in themselves, with the right roots, are still not those that were sealed.
#[test]
fn other_frames_of_the_same_events_differ_from_the_manifest() {
    let dir = written(30);
    let first = first_of_epoch_2(&dir);
    tamper(&dir, 1, |db| {
        let mut tree = crate::log::merkle::Tree::new();
        let chapter = tree_with(db, 1);
        chapter.clear().unwrap();
        for frame in pack(&mut tree, &noisy(1, first - 1)).unwrap() {
            chapter.insert(frame.first().0.to_be_bytes(), frame.bytes()).unwrap();
        }
    });
    let store = open(&dir).unwrap();
    assert_eq!(events(&store, 0), noisy_events(300), "the events are the same");
    let fault = store.verify().unwrap_err().to_string();
    assert!(fault.contains("epoch 1") && fault.contains("frames differs"), "{fault}");
}

#[test]
fn events_that_were_exchanged_before_sealing_give_another_root() {
    let dir = written(30);
    let sealed_last = first_of_epoch_2(&dir) - 1;
    let last_frame = sealed_last - 9;
    tamper(&dir, 1, |db| {
        let mut tree = crate::log::merkle::Tree::new();
        pack(&mut tree, &noisy(1, last_frame - 1)).unwrap();
        let forged = pack(&mut tree, &noisy(1000, 10)).unwrap().remove(0);
        let chapter = tree_with(db, forged.first().0);
        chapter.insert(forged.first().0.to_be_bytes(), forged.bytes()).unwrap();
    });
    let fault = open(&dir).unwrap().verify().unwrap_err().to_string();
    let expected = format!("verify the Merkle root at sequence {sealed_last} in epoch 1");
    assert!(fault.starts_with(&expected), "{fault}");
}

/// Frames are hashed side by side, several batches of them here, and put together in order.
#[test]
fn the_tree_of_an_opened_log_is_that_of_its_events_one_by_one() {
    let dir = folder();
    let mut tree = crate::log::merkle::Tree::new();
    let store = SledStore::open(dir.path()).unwrap();
    let mut scribe = Scribe::new(&store);
    for append in 0..9 {
        let batch = noisy(append * 10_001 + 1, 10_001);
        scribe.write(&store, &batch);
        for event in &batch {
            tree.push(event);
        }
    }
    drop(store);
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(store.writer.lock().tally.tree, tree);
    assert_eq!(store.verify().unwrap().root, tree.root());
}

/// The second fault is met while frames are read, the first only when they are put together.
#[test]
fn of_two_faults_the_first_is_named() {
    let dir = folder();
    let options = Options { epoch_bytes: u64::MAX, ..SMALL };
    let store = SledStore::open_with(dir.path(), options).unwrap();
    let mut scribe = Scribe::new(&store);
    for append in 0..12 {
        scribe.write(&store, &noisy(append * 10 + 1, 10));
    }
    drop(store);
    tamper(&dir, 1, |db| {
        let mut tree = crate::log::merkle::Tree::new();
        pack(&mut tree, &noisy(1, 30)).unwrap();
        let forged = pack(&mut tree, &noisy(1000, 10)).unwrap().remove(0);
        let chapter = tree_with(db, 31);
        chapter.insert(31u64.to_be_bytes(), forged.bytes()).unwrap();
        change(db, 81, |value| value[100] ^= 1);
    });
    let fault = refusal(&dir);
    assert!(fault.contains("epoch 1") && fault.contains("sequence 41"), "{fault}");
}

/// A flipped bit, or a file that ends early, gives an error or nothing, never other events. sled shortens a damaged
/// log without a word (two flips of ten): then the head speaks.
#[test]
fn flips_and_truncations_of_the_file_of_sled_never_give_other_events() {
    let dir = folder();
    let options = Options { epoch_bytes: u64::MAX, ..SMALL };
    let store = SledStore::open_with(dir.path(), options).unwrap();
    let mut scribe = Scribe::new(&store);
    for append in 0..12 {
        scribe.write(&store, &noisy(append * 10 + 1, 10));
    }
    drop(store);
    let files = save(dir.path());
    let db = epoch_path(dir.path(), 1).join("db");
    let used = files[&db].iter().rposition(|byte| *byte != 0).unwrap();
    let (mut refused, mut unchanged) = (0, 0);
    let mut attempt = |what: &str| {
        match SledStore::open_with(dir.path(), options) {
            Err(fault) => {
                let fault = full_text(&fault);
                assert!(fault.contains("epoch 1") && fault.contains("sequence "), "{what}: {fault}");
                refused += 1;
            }
            Ok(store) => {
                assert_eq!(events(&store, 0), noisy_events(120), "{what}");
                unchanged += 1;
            }
        }
        restore(dir.path(), &files);
    };
    for trial in 0..120 {
        let at = used * trial / 120;
        let mut flipped = files[&db].clone();
        flipped[at] ^= 1 << (trial % 8);
        write_sparse(&db, &flipped, used);
        attempt(&format!("bit {} of byte {at}", trial % 8));
    }
    for trial in 0..20 {
        let length = used * trial / 20;
        fs::write(&db, &files[&db][..length]).unwrap();
        attempt(&format!("cut at {length}"));
    }
    assert!(refused > 20, "{refused} refused, {unchanged} unchanged");
}

fn save(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(save(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn restore(dir: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in save(dir).keys().filter(|path| !files.contains_key(*path)) {
        fs::remove_file(path).unwrap();
    }
    for (path, content) in files {
        let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        write_sparse(path, content, used);
    }
}

/// sled's file is mostly zeros, which need not be written.
fn write_sparse(path: &Path, content: &[u8], used: usize) {
    let file = File::create(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &content[..used.min(content.len())], 0).unwrap();
    if used < content.len() {
        std::os::unix::fs::FileExt::write_all_at(
            &file,
            &content[used..(used + 64).min(content.len())],
            used as u64,
        )
        .unwrap();
    }
    file.set_len(content.len() as u64).unwrap();
}

/// sled puts large values into files that it never syncs. Frames must not be large values.
#[test]
fn thousands_of_the_largest_frames_make_no_blobs() {
    let dir = folder();
    let store = SledStore::open(&dir.path().join("log")).unwrap();
    let mut scribe = Scribe::new(&store);
    let mut frames = 0;
    for append in 0..300u64 {
        // From one frame to a dozen at once.
        let batch = noisy(append * 7, 1000 * (1 + append % 12));
        let last = scribe.last();
        let packed = scribe.pack(&batch);
        frames += packed.len();
        assert_eq!(store.append(scribe.term, last, &packed), Appended::Durable);
        assert_eq!(store.stats().blobs, 0, "after {frames} frames");
    }
    assert!(store.stats().epochs > 1, "a full epoch");
    assert_eq!(store.verify().unwrap(), store.head().unwrap());
    assert!(frames > 2000, "{frames}");
}

#[test]
fn a_term_outlives_the_process() {
    let dir = folder();
    for term in 1..4 {
        assert_eq!(open(&dir).unwrap().acquire().unwrap(), Term(term));
    }
}
