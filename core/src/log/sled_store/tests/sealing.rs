//! From the tail to a sealed database: every state of a crash on the way, and what is kept between starts.

use std::os::unix::fs::MetadataExt as _;

use super::folder::{clean_path, spare_path, unfinished};
use super::*;

/// Puts the tail of the first epoch back, and takes its manifest away.
fn unseal(dir: &Path, before: &BTreeMap<PathBuf, Vec<u8>>, damage: fn(&Path)) {
    fs::write(tail_path(dir, 1), &before[&tail_path(dir, 1)]).unwrap();
    fs::remove_file(manifest_path(dir, 1)).unwrap();
    damage(dir);
}

/// Each state that a crash leaves while an epoch ends and is sealed.
#[test]
fn every_state_of_a_crash_while_sealing_opens() {
    type Crash = fn(&Path, &BTreeMap<PathBuf, Vec<u8>>);
    let states: [(&str, Crash); 9] = [
        ("as it was", |_, _| {}),
        ("the next tail half made", |dir, _| {
            fs::rename(tail_path(dir, 2), unfinished(&tail_path(dir, 2))).unwrap();
        }),
        ("two tails, the database missing", |dir, before| {
            unseal(dir, before, |dir| {
                fs::remove_dir_all(epoch_path(dir, 1)).unwrap();
            });
        }),
        ("two tails, the database half filled", |dir, before| {
            unseal(dir, before, |dir| {
                let db = epoch_path(dir, 1).join("db");
                File::options().write(true).open(db).unwrap().set_len(5000).unwrap();
            });
        }),
        ("two tails, a snapshot of sled half written", |dir, before| {
            unseal(dir, before, |dir| {
                fs::write(epoch_path(dir, 1).join("snap.0000000000000000.generating"), []).unwrap();
                fs::write(epoch_path(dir, 1).join("snap.0000000000000001"), [1; 40]).unwrap();
            });
        }),
        ("two tails, the database whole", |dir, before| unseal(dir, before, |_| {})),
        ("manifest half written", |dir, before| {
            unseal(dir, before, |dir| {
                fs::write(unfinished(&manifest_path(dir, 1)), "{").unwrap();
            });
        }),
        ("manifest written, the tail still there", |dir, before| {
            fs::write(tail_path(dir, 1), &before[&tail_path(dir, 1)]).unwrap();
        }),
        ("head lost", |dir, _| fs::remove_file(dir.join("head")).unwrap()),
    ];
    for (name, crash) in states {
        let dir = folder();
        // One byte fills an epoch: the second append begins the next.
        let tiny = StoreOptions { epoch_bytes: 1, ..SMALL };
        let store = SledStore::open_with(dir.path(), tiny).unwrap();
        let mut scribe = Scribe::new(&store);
        let first = scribe.write(&store, &numbered(1, 5, 300));
        let before = save(dir.path());
        store.roll(&mut store.writer.as_ref().unwrap().lock()).unwrap();
        settle(&store);
        drop(store);
        crash(dir.path(), &before);

        let store = SledStore::open_with(dir.path(), tiny).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(store.head().unwrap(), first, "{name}");
        let mut scribe = Scribe::new(&store);
        scribe.write(&store, &numbered(6, 5, 300));
        scribe.write(&store, &numbered(11, 5, 300));
        assert_eq!(events(&store, 0), all(15), "{name}");
        settle(&store);
        assert_eq!(store.view().sealed.len(), 2, "{name}");
        store.verify().unwrap();
        assert_eq!(events(&store, 0), all(15), "{name}");
        drop(store);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{name}: {left:?}");
        assert!(!tail_path(dir.path(), 1).exists(), "{name}: {left:?}");
    }
}

#[test]
fn an_epoch_that_cannot_begin_stops_the_store_and_loses_nothing() {
    let dir = folder();
    let tiny = StoreOptions { epoch_bytes: 1, ..SMALL };
    let store = SledStore::open_with(dir.path(), tiny).unwrap();
    let mut scribe = Scribe::new(&store);
    let head = scribe.write(&store, &numbered(1, 5, 300));
    // The next tail cannot get its name where a folder stands.
    let obstacle = tail_path(dir.path(), 2);
    fs::create_dir_all(obstacle.join("in the way")).unwrap();
    let frames = scribe.pack(&numbered(6, 5, 300));
    let Appended::Unknown { cause } = store.append(scribe.term, Sequence(5), &frames) else {
        panic!("not unknown")
    };
    assert!(cause.contains("rename ") && cause.contains("epoch-000002.tail"), "{cause}");
    assert_eq!((store.head().unwrap(), events(&store, 0)), (head, all(5)));
    fs::remove_dir_all(&obstacle).unwrap();
    assert!(matches!(store.append(scribe.term, Sequence(5), &frames), Appended::Unknown { .. }));
    drop(store);
    let store = open(&dir).unwrap();
    Scribe::new(&store).write(&store, &numbered(6, 5, 300));
    assert_eq!(events(&store, 0), all(10));
}

/// What cannot be sealed is said, and stays readable in its tail; nothing is lost with the database.
#[test]
fn an_epoch_that_cannot_be_sealed_stays_in_its_tail() {
    let dir = folder();
    // A file stands where the database of the first epoch belongs.
    let obstacle = unfinished(&manifest_path(dir.path(), 1));
    let store = SledStore::open_with(dir.path(), StoreOptions { epoch_bytes: 1, ..SMALL }).unwrap();
    fs::create_dir(&obstacle).unwrap();
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &numbered(1, 5, 300));
    scribe.write(&store, &numbered(6, 5, 300));
    let trouble = || Some(store.damage()).filter(|damage| !damage.is_empty());
    let told = folder::retry(Duration::from_secs(30), trouble).expect("it is said");
    assert!(
        told[0].contains("is not copied into sled") && told[0].contains("epoch-000001.manifest"),
        "{told:?}"
    );
    assert_eq!(events(&store, 0), all(10));
    drop(store);
    fs::remove_dir(&obstacle).unwrap();
    let store = open(&dir).unwrap();
    settle(&store);
    assert_eq!((store.view().sealed.len(), events(&store, 0)), (1, all(10)));
}

/// A database that was closed cleanly is gone on with; any other is made anew from the tail.
#[test]
fn the_database_of_the_open_epoch_is_kept_over_a_clean_shutdown_alone() {
    let dir = written_with(4, LARGE);
    let database = epoch_path(dir.path(), 1);
    // Goes with the folder when that is made anew.
    let mark = database.join("mark");
    fs::write(&mark, "").unwrap();
    let reopen = |appends: u64| {
        let store = SledStore::open_with(dir.path(), LARGE).unwrap();
        let mut scribe = Scribe::new(&store);
        let first = scribe.last().0 + 1;
        for append in 0..appends {
            scribe.write(&store, &noisy(first + append * 10, 10));
        }
        drop(store);
        assert!(clean_path(dir.path(), 1).exists());
    };
    reopen(2);
    assert!(mark.exists(), "gone on with");
    flip(&database.join("db"), 1000 * 8);
    reopen(1);
    assert!(!mark.exists(), "a flipped bit");
    fs::write(&mark, "").unwrap();
    fs::remove_file(clean_path(dir.path(), 1)).unwrap();
    reopen(1);
    assert!(!mark.exists(), "killed");
    fs::write(&mark, "").unwrap();
    fs::write(clean_path(dir.path(), 1), "{").unwrap();
    reopen(1);
    assert!(!mark.exists(), "a damaged record");
    let store = SledStore::open_with(dir.path(), SMALL).unwrap();
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &noisy(91, 10));
    settle(&store);
    assert_eq!(store.view().sealed.len(), 1);
    assert_eq!(store.verify().unwrap().last, Sequence(100));
    assert_eq!(events(&store, 0), noisy_events(100));
}

/// A tail that served an earlier epoch still holds its records.
#[test]
fn records_of_an_earlier_epoch_are_nobodys() {
    let dir = folder();
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    let mut scribe = Scribe::new(&store);
    for append in 0..8 {
        scribe.write(&store, &noisy(append * 10 + 1, 10));
    }
    store.roll(&mut store.writer.as_ref().unwrap().lock()).unwrap();
    settle(&store);
    folder::retry(Duration::from_secs(30), || spare_path(dir.path()).exists().then_some(()))
        .expect("a spare tail");
    scribe.write(&store, &noisy(81, 10));
    store.roll(&mut store.writer.as_ref().unwrap().lock()).unwrap();
    assert!(!spare_path(dir.path()).exists(), "it serves the third epoch");
    scribe.write(&store, &noisy(91, 10));
    settle(&store);
    drop(store);
    for forget in [false, true] {
        if forget {
            fs::remove_file(dir.path().join("head")).unwrap();
        }
        let store = open(&dir).unwrap();
        assert_eq!(events(&store, 0), noisy_events(100));
        assert_eq!(store.verify().unwrap().last, Sequence(100));
    }
}

/// A reader that holds a tail goes on reading it after its epoch is sealed and the file would serve another.
#[test]
fn a_tail_that_is_being_read_is_not_written_over() {
    let dir = folder();
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &noisy(1, 10));
    let view = store.view();
    store.roll(&mut store.writer.as_ref().unwrap().lock()).unwrap();
    settle(&store);
    for _ in 0..3 {
        let first = scribe.last().0 + 1;
        scribe.write(&store, &noisy(first, 10));
        store.roll(&mut store.writer.as_ref().unwrap().lock()).unwrap();
        settle(&store);
    }
    let frames = view.tails[0].read(Sequence(1), Sequence(10), usize::MAX).unwrap();
    assert_eq!(frames[0].decode().unwrap().events().count(), 10);
}

/// Opening needs no room, and neither does raising the term.
#[test]
fn reopening_writes_nothing_that_needs_room() {
    let dir = written_with(4, LARGE);
    let lengths = || -> BTreeMap<_, _> {
        let files = ["term", "head", "epoch-000001.tail"];
        files.map(|name| (name, fs::metadata(dir.path().join(name)).unwrap().blocks())).into()
    };
    let before = lengths();
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    store.acquire().unwrap();
    Scribe::new(&store).write(&store, &noisy(41, 1));
    assert_eq!(lengths(), before);
}

#[test]
fn closing_says_what_could_not_be_finished_and_ends_appends() {
    let dir = folder();
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &noisy(1, 10));
    // The record of the clean shutdown cannot be written where a folder stands.
    let obstacle = unfinished(&clean_path(dir.path(), 1));
    fs::create_dir(&obstacle).unwrap();
    let fault = store.close().unwrap_err().to_string();
    assert!(
        fault.contains("epoch-000001.clean") && fault.contains("the next start does it again"),
        "{fault}"
    );
    let frames = scribe.pack(&noisy(11, 1));
    assert!(matches!(store.append(scribe.term, Sequence(10), &frames), Appended::Unknown { .. }));
    assert_eq!(events(&store, 0), noisy_events(10), "what is there is read");
    drop(store);
    fs::remove_dir(&obstacle).unwrap();
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    assert_eq!(events(&store, 0), noisy_events(10));
    store.close().unwrap();
}
