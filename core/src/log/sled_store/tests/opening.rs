//! Opening: locks, witnesses, what a crash leaves, and that a refusal changes nothing.

use super::*;

#[test]
fn a_folder_is_for_one_writer_or_for_readers() {
    let dir = written(3);
    let store = open(&dir).unwrap();
    assert!(refusal(&dir).contains("data folder in use"));
    assert!(matches!(SledStore::open_read_only(dir.path()), Err(StoreFault::InUse { .. })));
    drop(store);
    let readers = [(); 2].map(|()| SledStore::open_read_only(dir.path()).unwrap());
    assert!(refusal(&dir).contains("data folder in use"));
    drop(readers);
    open(&dir).unwrap();
}

#[test]
fn reading_changes_nothing_and_writes_nothing() {
    let dir = written(33);
    let before = save(dir.path());
    let store = SledStore::open_read_only(dir.path()).unwrap();
    assert_eq!(events(&store, 0), noisy_events(330));
    assert_eq!(store.verify().unwrap().last, Sequence(330));
    assert!(matches!(store.acquire(), Err(StoreFault::ReadOnly)));
    assert!(matches!(store.append(Term(1), Sequence(330), &[]), Appended::Unknown { .. }));
    drop(store);
    assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new());

    // What is not there is not made.
    let nothing = folder();
    let store = SledStore::open_read_only(&nothing.path().join("log")).unwrap();
    assert_eq!((store.head().unwrap(), events(&store, 0)), (Head::EMPTY, vec![]));
    assert!(!nothing.path().join("log").exists());
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
        assert_eq!(head::read(dir.path()).unwrap().unwrap().head, head, "{stale}");
    }
}

/// Each witness alone is enough to notice that the log lost its end.
#[test]
fn a_log_shorter_than_a_witness_is_refused_and_named() {
    type Loss = fn(&Path);
    let losses: [(&str, Loss); 4] = [
        (
            "(at byte 64 of its tail the file ends), but head knows sequence 330: 10 events are missing",
            |dir| {
                cut(&tail_path(dir, 33), 64);
            },
        ),
        ("but epoch-000033.clean knows sequence 330: 10 events are missing", |dir| {
            fs::remove_file(dir.join("head")).unwrap();
            cut(&tail_path(dir, 33), 64);
        }),
        ("open epoch 33: its tail is not there", |dir| fs::remove_file(tail_path(dir, 33)).unwrap()),
        ("(its tail is not there), but head knows sequence 330: 10 events are missing", |dir| {
            fs::remove_file(tail_path(dir, 33)).unwrap();
            fs::remove_dir_all(epoch_path(dir, 33)).unwrap();
        }),
    ];
    for (part, loss) in losses {
        let dir = written_with(33, StoreOptions { epoch_bytes: 1, ..SMALL });
        loss(dir.path());
        let before = save(dir.path());
        for _ in 0..2 {
            let fault = refusal(&dir);
            assert!(fault.contains(part), "{part}: {fault}");
            let fault = full_text(&SledStore::open_read_only(dir.path()).unwrap_err());
            assert!(fault.contains(part), "{part}: {fault}");
        }
        assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new(), "{part}");
    }
}

fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).unwrap().set_len(length).unwrap();
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

#[test]
fn missing_epochs_and_manifests_are_faults() {
    type Loss = fn(&Path, u32);
    let losses: [(&str, Loss); 7] = [
        ("open epoch 1: it has no manifest, but a later one has", |dir, _| {
            fs::remove_file(manifest_path(dir, 1)).unwrap();
        }),
        ("open epoch 2: its folder is not there", |dir, _| fs::remove_dir_all(epoch_path(dir, 2)).unwrap()),
        ("look at", |dir, _| fs::remove_file(epoch_path(dir, 2).join("db")).unwrap()),
        ("it has no tail and no manifest, but a later epoch", |dir, last| {
            fs::remove_file(manifest_path(dir, last - 1)).unwrap();
        }),
        ("frontier does not give its root", |dir, _| {
            let text = fs::read_to_string(manifest_path(dir, 1)).unwrap();
            fs::write(manifest_path(dir, 1), text.replacen("\"tree_size\": ", "\"tree_size\": 1", 1))
                .unwrap();
        }),
        ("its length is not that of the manifest", |dir, _| {
            let db = epoch_path(dir, 2).join("db");
            cut(&db, fs::metadata(&db).unwrap().len() - 1);
        }),
        ("it is not there, but the log holds events", |dir, _| fs::remove_file(dir.join("term")).unwrap()),
    ];
    for (part, loss) in losses {
        let dir = written(30);
        let last = open_epoch(&open(&dir).unwrap());
        loss(dir.path(), last);
        let before = save(dir.path());
        let fault = refusal(&dir);
        assert!(fault.contains(part), "{part}: {fault}");
        assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new(), "a refusal changes nothing: {part}");
    }
}

#[test]
fn a_newer_format_is_refused_with_advice() {
    type Newer = fn(&Path);
    let files: [Newer; 2] = [
        |dir| {
            let text = fs::read_to_string(manifest_path(dir, 1)).unwrap();
            fs::write(manifest_path(dir, 1), text.replacen("\"format\": 2", "\"format\": 3", 1)).unwrap();
        },
        |dir| {
            let listing = folder::list(dir).unwrap();
            let tail = tail_path(dir, *listing.tails.last().unwrap());
            File::options().write(true).open(tail).unwrap().write_all_at(&[2], 7).unwrap();
        },
    ];
    for newer in files {
        let dir = written(30);
        newer(dir.path());
        let before = save(dir.path());
        let fault = refusal(&dir);
        assert!(fault.contains("was written by a newer version of slapledger; use that version"), "{fault}");
        assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_term_outlives_the_process() {
    let dir = folder();
    for term in 1..4 {
        assert_eq!(open(&dir).unwrap().acquire().unwrap(), Term(term));
    }
}

/// The open epoch was a database without a tail in format 1, and manifests knew no files.
#[test]
fn a_folder_of_format_1_is_read_and_brought_up_to_date() {
    let dir = written(33);
    let last = open_epoch(&open(&dir).unwrap());
    let as_format_1 = |dir: &Path| {
        for epoch in 1..last {
            let old =
                EpochManifest { format: 1, files: Vec::new(), ..EpochManifest::read_unchecked(dir, epoch) };
            old.write(dir).unwrap();
        }
        fs::remove_file(tail_path(dir, last)).unwrap();
        let _ = fs::remove_file(folder::clean_path(dir, last));
        let _ = fs::remove_file(folder::spare_path(dir));
        let term = term::read(dir).unwrap().term.unwrap();
        let mut bytes = [b"slaptm\x00\x01".as_slice(), &term.0.to_be_bytes()].concat();
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        fs::write(dir.join("term"), bytes).unwrap();
    };
    as_format_1(dir.path());
    let before = save(dir.path());
    let store = SledStore::open_read_only(dir.path()).unwrap();
    assert_eq!(events(&store, 0), noisy_events(330));
    drop(store);
    assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new(), "reading it changes nothing");

    // One that lost its end is refused, and its database is left alone.
    let whole = fs::read(dir.path().join("head")).unwrap();
    let (mut file, known) = HeadFile::open(dir.path()).unwrap();
    let mut known = known.unwrap();
    known.head.last = Sequence(340);
    file.write(known).unwrap();
    assert!(refusal(&dir).contains("10 events are missing"));
    fs::write(dir.path().join("head"), whole).unwrap();
    assert_eq!(changed(dir.path(), &before), Vec::<PathBuf>::new(), "refusing it changes nothing");

    let store = open(&dir).unwrap();
    assert_eq!(events(&store, 0), noisy_events(330));
    let mut scribe = Scribe::new(&store);
    scribe.write(&store, &noisy(331, 10));
    let is_current = || store.view().sealed.iter().all(SealedManifest::knows_files).then_some(());
    folder::retry(Duration::from_secs(60), is_current).expect("manifests get the hashes of their files");
    drop(store);
    let store = open(&dir).unwrap();
    assert_eq!(events(&store, 0), noisy_events(340));
    store.verify().unwrap();
}

/// A killed process may leave the slot that it was writing half written; after a clean shutdown a slot is whole.
#[test]
fn a_slot_that_is_not_whole_is_damage_after_a_clean_shutdown_alone() {
    for name in ["head", "term"] {
        let dir = written_with(4, LARGE);
        // A second term: both slots are in use.
        SledStore::open_with(dir.path(), LARGE).unwrap().acquire().unwrap();
        let verify = |end| verify_beside(dir.path(), was_closed(dir.path(), Sequence(end)).unwrap());
        verify(40).unwrap();
        flip(&dir.path().join(name), 9 * 8);
        let fault = verify(40).unwrap_err().to_string();
        assert!(fault.contains(&format!("{name}: a slot is damaged")), "{fault}");
        // Somebody appended since, and was killed.
        verify(41).unwrap();
        fs::remove_file(folder::clean_path(dir.path(), 1)).unwrap();
        verify(40).unwrap();
    }
}

#[test]
fn what_a_clean_shutdown_recorded_is_compared() {
    let dir = written_with(4, LARGE);
    let db = epoch_path(dir.path(), 1).join("db");
    flip(&db, 1000 * 8);
    let fault = verify_beside(dir.path(), true).unwrap_err().to_string();
    assert!(fault.contains("db: its bytes are not those of the last clean shutdown"), "{fault}");
    flip(&db, 1000 * 8);
    fs::write(folder::clean_path(dir.path(), 1), "{").unwrap();
    let fault = verify_beside(dir.path(), true).unwrap_err().to_string();
    assert!(fault.contains("epoch-000001.clean: it is not what a clean shutdown wrote"), "{fault}");
}
