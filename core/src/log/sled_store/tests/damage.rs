//! Damage: what is found, how it is named, and that nothing else is touched by finding it.

use super::*;

/// Damage to frames of a sealed epoch whose hashes were made to fit: found by reading and verifying.
#[test]
fn damaged_frames_of_a_sealed_epoch_are_named() {
    type Damage = fn(&sled::Db, u64);
    let damages: [(&str, Damage); 5] = [
        ("its checksum is", |db, first| change(db, first, |value| value[100] ^= 1)),
        ("format 7 was written by a newer version", |db, first| change(db, first, |value| value[0] = 7)),
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
        // The second frame of the epoch.
        let victim = first_of_epoch_2(&dir) + 10;
        forge(&dir, 2, |db| damage(db, victim));
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
        let after = usize::try_from(EpochManifest::read_unchecked(dir.path(), 2).last).unwrap();
        assert_eq!(events(&store, after as u64), noisy_events(330)[after..], "and what comes after");
    }
}

/// The first sequence of epoch 2, from the manifest of epoch 1.
fn first_of_epoch_2(dir: &TempDir) -> u64 {
    EpochManifest::read_unchecked(dir.path(), 1).last + 1
}

/// Frames that are good in themselves, with the right roots, are still not those that were sealed.
#[test]
fn other_frames_of_the_same_events_differ_from_the_manifest() {
    let dir = written(30);
    let first = first_of_epoch_2(&dir);
    forge(&dir, 1, |db| {
        let mut tree = Tree::new();
        let segment = tree_with(db, 1);
        segment.clear().unwrap();
        for frame in pack(&mut tree, &noisy(1, first - 1)).unwrap() {
            segment.insert(frame.first().0.to_be_bytes(), frame.bytes()).unwrap();
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
    forge(&dir, 1, |db| {
        let mut tree = Tree::new();
        pack(&mut tree, &noisy(1, last_frame - 1)).unwrap();
        let forged = pack(&mut tree, &noisy(1000, 10)).unwrap().remove(0);
        let segment = tree_with(db, forged.first().0);
        segment.insert(forged.first().0.to_be_bytes(), forged.bytes()).unwrap();
    });
    let fault = open(&dir).unwrap().verify().unwrap_err().to_string();
    let expected = format!("verify the Merkle root at sequence {sealed_last} in epoch 1");
    assert!(fault.starts_with(&expected), "{fault}");
}

/// A record that is whole and does not continue the tree is met while records are read; the tree is put together later.
#[test]
fn of_two_faults_the_first_is_named() {
    let dir = folder();
    let mut tree = Tree::new();
    let place = EpochPlace { number: 1, first: Sequence(1) };
    let tail = Tail::create(dir.path(), place, tree.root()).unwrap();
    let mut buffer = Vec::new();
    for append in 0..12 {
        let frames = pack(&mut tree, &noisy(append * 10 + 1, 10)).unwrap();
        if append == 3 {
            let mut other = Tree::new();
            pack(&mut other, &noisy(1, 30)).unwrap();
            let forged = pack(&mut other, &noisy(1000, 10)).unwrap();
            tail.append(&forged, &mut buffer).unwrap();
        } else {
            tail.append(&frames, &mut buffer).unwrap();
        }
    }
    term::write(dir.path(), Term(1)).unwrap();
    // The ninth record.
    let at = tail.end() - tail.bytes_from(Sequence(81));
    flip(tail.path(), (at + 100) * 8);
    let fault = refusal(&dir);
    assert!(fault.contains("epoch 1") && fault.contains("sequence 41"), "{fault}");
}

/// Flips of each file.
const TRIALS: u64 = 12;

/// A bit anywhere in the log is refused, or changes nothing that is served; and putting it right brings all back.
#[test]
fn flips_never_give_other_events_and_refusals_change_nothing() {
    let dir = written(9);
    let store = open(&dir).unwrap();
    let sealed = store.view().sealed.len();
    assert!(sealed >= 2);
    drop(store);
    let files: Vec<_> = save(dir.path()).into_iter().collect();
    let (mut refused, mut unchanged) = (BTreeSet::new(), 0);
    for (number, (path, content)) in files.iter().enumerate() {
        // A file that was filled for later holds nothing yet.
        let Some(last) = content.iter().rposition(|byte| *byte != 0) else { continue };
        let used = last as u64 + 1;
        for trial in 0..TRIALS {
            let bit = used * 8 * trial / TRIALS + (number as u64 + trial) % 8;
            flip(path, bit.min(used * 8 - 1));
            let before = save(dir.path());
            let what = format!("bit {bit} of {}", path.display());
            let opened = SledStore::open_read_only(dir.path());
            let read =
                opened.as_ref().map(|store| read_events(store, Sequence(0)).collect::<Result<Vec<_>, _>>());
            match read {
                Ok(Ok(seen)) => {
                    let seen: Vec<_> = seen.into_iter().map(|(at, event)| (at.0, event.to_vec())).collect();
                    assert_eq!(seen, noisy_events(90), "{what}");
                    unchanged += 1;
                }
                Ok(Err(fault)) => assert!(refused.insert((path, bit)), "{what}: {fault}"),
                Err(_) => {
                    refused.insert((path, bit));
                }
            }
            drop(opened);
            // A writer that is refused changes nothing either.
            if let Err(fault) = open(&dir) {
                assert!(!full_text(&fault).is_empty());
                assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new(), "{what}: {fault}");
                flip(path, bit.min(used * 8 - 1));
            } else {
                restore(dir.path(), &files);
            }
            let store =
                SledStore::open_read_only(dir.path()).unwrap_or_else(|fault| panic!("{what}: {fault}"));
            assert_eq!(events(&store, 0), noisy_events(90), "{what}, and back");
        }
    }
    // Every flip of a sealed database, a manifest or the used part of the tail is seen.
    let seen = |part: &str| refused.iter().filter(|(path, _)| path.to_string_lossy().ends_with(part)).count();
    let all = usize::try_from(TRIALS).unwrap();
    assert_eq!((seen("epoch-000001/db"), seen("epoch-000001/conf")), (all, all), "{unchanged} unchanged");
    assert!(seen(".manifest") >= all * sealed - 8, "{}", seen(".manifest"));
    assert!(seen(".tail") >= all - 1, "{}", seen(".tail"));
}

fn restore(dir: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for path in save(dir).keys().filter(|path| !files.iter().any(|(known, _)| known == *path)) {
        fs::remove_file(path).unwrap();
    }
    for (path, content) in files {
        fs::write(path, content).unwrap();
    }
}

#[test]
fn a_record_that_is_not_whole_is_the_end_unless_another_follows() {
    let dir = written_with(6, LARGE);
    let tail = tail_path(dir.path(), 1);
    let whole = fs::read(&tail).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    fs::remove_file(dir.path().join("head")).unwrap();
    fs::remove_file(folder::clean_path(dir.path(), 1)).unwrap();

    // The power went while the last record was written: nobody was answered.
    let torn = [&whole[..used - 300], &vec![0; whole.len() - used + 300]].concat();
    fs::write(&tail, &torn).unwrap();
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    assert_eq!(events(&store, 0), noisy_events(50));
    // What comes next is written over it, and what is left of it is nobody's.
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &numbered(51, 1, 10));
    drop(store);
    fs::remove_file(dir.path().join("head")).unwrap();
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    assert_eq!(store.head().unwrap().last, Sequence(51));
    drop(store);

    // A record in the middle is damage, whatever the head knows.
    fs::write(&tail, &whole).unwrap();
    fs::remove_file(dir.path().join("head")).unwrap();
    let _ = fs::remove_file(folder::clean_path(dir.path(), 1));
    flip(&tail, (used as u64 / 2) * 8);
    let fault = refusal(&dir);
    assert!(fault.contains("epoch-000001.tail at byte") && fault.contains("follows at byte"), "{fault}");
    // So is one of zeros: a block that was never written.
    let mut hole = whole.clone();
    hole[used / 2..used / 2 + 200].fill(0);
    fs::write(&tail, &hole).unwrap();
    assert!(refusal(&dir).contains("follows at byte"));
}

#[test]
fn the_scrub_finds_damage_and_forgets_it_when_it_is_mended() {
    let dir = written(9);
    let scrubbing = StoreOptions { scrub_bytes_per_second: 1 << 30, ..SMALL };
    let db = epoch_path(dir.path(), 1).join("db");
    let bit = fs::metadata(&db).unwrap().len() * 4;
    flip(&db, bit);
    let store = SledStore::open_with(dir.path(), scrubbing).unwrap();
    let damage = || Some(store.damage()).filter(|damage| !damage.is_empty());
    let found = folder::retry(Duration::from_secs(30), damage).expect("the scrub finds it");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("epoch 1, which holds sequences 1 to ") && found[0].contains("repair"),
        "{found:?}"
    );
    // Anyone who reads it is told the same, and the rest is read.
    assert!(store.read(Sequence(0), 100).is_err());
    assert_eq!(events(&store, 60), noisy_events(90)[60..], "the rest is read");
    flip(&db, bit);
    assert_eq!(store.read(Sequence(0), 100).unwrap()[0].first(), Sequence(1));
    drop(store);
    let store = SledStore::open_with(dir.path(), scrubbing).unwrap();
    assert_eq!(store.damage(), Vec::<String>::new());
}

/// The bytes of the open tail are others than were written, under a store that goes on: nothing more is acknowledged
/// behind what could not be read at the next start.
#[test]
fn damage_of_the_open_tail_ends_appends() {
    let dir = written_with(3, LARGE);
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &noisy(31, 10));
    assert_eq!(store.damage(), Vec::<String>::new());
    let tail = store.view().tails.last().unwrap().path().to_owned();
    flip(&tail, 400 * 8);
    assert!(store.read(Sequence(0), 1 << 20).is_err());
    let told = store.damage().join("; ");
    assert!(told.contains("a tail cannot be read"), "{told}");
    let last = scribe.last();
    let frames = scribe.pack(&noisy(41, 10));
    let appended = store.append(scribe.term, last, &frames);
    assert!(matches!(&appended, Appended::Unknown { cause } if cause.contains("a tail cannot be read")));
    // The bytes are right again, and all that was acknowledged is there; this store stays as it is.
    flip(&tail, 400 * 8);
    assert!(matches!(store.append(scribe.term, last, &frames), Appended::Unknown { .. }));
    drop(store);
    let store = SledStore::open_with(dir.path(), LARGE).unwrap();
    assert_eq!(events(&store, 0), noisy_events(40));
}

/// What is asked before anything is written sees the whole log, and its refusal leaves every byte as it was.
#[test]
fn what_is_not_accepted_stays_as_it_was() {
    let dir = written(9);
    fs::remove_file(dir.path().join("head")).unwrap();
    let before = save(dir.path());
    let opened = SledStore::open_accepted(dir.path(), SMALL, |store| {
        assert_eq!(events(store, 0), noisy_events(90));
        Err(StoreFault::Stopped { cause: "not this one".into() })
    });
    assert!(full_text(&opened.expect_err("it is refused")).contains("not this one"));
    assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new());
    assert_eq!(events(&open(&dir).unwrap(), 0), noisy_events(90));
}
