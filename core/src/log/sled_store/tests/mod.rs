//! What only this store can get wrong: crashes between two files, damage, epochs, locks.

mod damage;
mod opening;
mod sealing;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use super::copy::hash_file;
use super::folder::{epoch_path, manifest_path, tail_path};
use super::manifest::{EpochManifest, FILES};
use super::*;
use crate::log::contract::{self, Scribe, events, numbered};
use crate::log::frame::pack;
use crate::log::merkle::Root;
use crate::log::store::read_events;

/// Epochs of a few appends, no waiting for locks that are held on purpose, and no scrub.
const SMALL: StoreOptions =
    StoreOptions { epoch_bytes: 3000, patience: Duration::from_millis(500), scrub_bytes_per_second: 0 };
/// One epoch.
const LARGE: StoreOptions = StoreOptions { epoch_bytes: u64::MAX, ..SMALL };

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

/// A closed folder with `appends` appends of ten events, three to an epoch or so, all sealed but the open one.
fn written(appends: u64) -> TempDir {
    written_with(appends, SMALL)
}

fn written_with(appends: u64, options: StoreOptions) -> TempDir {
    let dir = folder();
    let store = SledStore::open_with(dir.path(), options).unwrap();
    let mut scribe = Scribe::new(&store);
    for append in 0..appends {
        scribe.write(&store, &noisy(append * 10 + 1, 10));
    }
    settle(&store);
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

/// Opens the database of an epoch as anybody could, to do damage; then hides the damage from the hashes of the files.
fn forge(dir: &TempDir, epoch: u32, damage: impl FnOnce(&sled::Db)) {
    let folder = epoch_path(dir.path(), epoch);
    let config = sled::Config::new().path(&folder).segment_size(16 << 20).flush_every_ms(None);
    let db = folder::retry(Duration::from_secs(5), || config.open().ok()).unwrap();
    damage(&db);
    db.flush().unwrap();
    drop(db);
    let files = FILES.iter().map(|name| hash_file(&folder.join(name), name).unwrap()).collect();
    EpochManifest::read_unchecked(dir.path(), epoch).with_files(files).write(dir.path()).unwrap();
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

/// The segment that has a frame at this sequence.
fn tree_with(db: &sled::Db, first: u64) -> sled::Tree {
    let trees = db.tree_names().into_iter().map(|name| db.open_tree(name).unwrap());
    trees
        .into_iter()
        .find(|tree| tree.contains_key(first.to_be_bytes()).unwrap())
        .expect("a frame at this sequence")
}

/// Waits until all epochs but the open one are sealed.
fn settle(store: &SledStore) {
    let sealed = || store.view().tails.len() == 1;
    folder::retry(Duration::from_secs(60), || sealed().then_some(())).expect("sealed in a minute");
}

fn open_epoch(store: &SledStore) -> u32 {
    store.view().tails.last().unwrap().place().number
}

/// Every file of a folder with its bytes.
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

/// The files that must not change when an opening is refused, and which of them did.
fn changed(dir: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let after = save(dir);
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// Changes one bit, or changes it back.
fn flip(path: &Path, bit: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).unwrap();
}

#[test]
fn keeps_the_contract() {
    let dir = folder();
    let count = std::cell::Cell::new(0);
    contract::check(|| {
        count.set(count.get() + 1);
        SledStore::open(&dir.path().join(count.get().to_string())).unwrap()
    });
    for options in [StoreOptions::default(), StoreOptions { epoch_bytes: 1, ..SMALL }] {
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
fn rolls_over_epochs_and_reads_across_them() {
    let dir = written(30);
    let store = open(&dir).unwrap();
    assert!(open_epoch(&store) > 5);
    assert_eq!(events(&store, 0), noisy_events(300));
    for after in [0, 1, 9, 10, 57, 150, 299, 300] {
        assert_eq!(events(&store, after), noisy_events(300)[usize::try_from(after).unwrap()..]);
    }
    let mut scribe = Scribe::new(&store);
    let head = scribe.write(&store, &noisy(301, 10));
    assert_eq!(store.verify().unwrap(), head);
    let stats = store.stats();
    assert_eq!((stats.epochs, stats.blobs), (u64::from(open_epoch(&store)), 0));
    assert!(stats.bytes_on_disk > 0);
    assert_eq!(store.damage(), Vec::<String>::new());
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
    assert_eq!(store.writer.as_ref().unwrap().lock().tree, tree);
    assert_eq!(store.verify().unwrap().root, tree.root());
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
    settle(&store);
    assert!(store.stats().epochs > 1, "a full epoch");
    assert_eq!(store.verify().unwrap(), store.head().unwrap());
    assert!(frames > 2000, "{frames}");
}
