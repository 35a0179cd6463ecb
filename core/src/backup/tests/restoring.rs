//! Restores: what they verify and refuse first, and where they cut the log.

use super::*;

#[test]
fn a_restore_verifies_every_byte_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    fs::create_dir(path("data/keys")).unwrap();
    fs::write(path("data/keys/ring"), "a ring").unwrap();
    running.seal(1);
    running.write(3);
    let backup = path("backup");
    let private = BackupWish { private: Some(&running.data), ..wish(&backup) };
    back_up(&running.source(), &private, &mut |_| true).unwrap();
    let mut refused = 0;
    for name in files_in(&backup) {
        let whole = fs::read(backup.join(&name)).unwrap();
        for place in [whole.len() / 3, whole.len().saturating_sub(1)] {
            let mut damaged = whole.clone();
            let Some(byte) = damaged.get_mut(place) else { continue };
            *byte ^= 1;
            fs::write(backup.join(&name), &damaged).unwrap();
            let result = restore_to(&backup, &path("restored"), None, 1);
            fs::write(backup.join(&name), &whole).unwrap();
            // The term is in the manifest too, and the lock is empty.
            if name.ends_with("term") {
                result.unwrap();
                fs::remove_dir_all(path("restored")).unwrap();
                continue;
            }
            let fault = result.unwrap_err().to_string();
            assert!(fault.contains(name.to_str().unwrap()), "{}: {fault}", name.display());
            assert!(!path("restored").exists());
            refused += 1;
        }
        if !name.ends_with("term") && !name.ends_with("backup.lock") {
            fs::remove_file(backup.join(&name)).unwrap();
            assert!(restore_to(&backup, &path("restored"), None, 1).is_err(), "without {}", name.display());
            fs::write(backup.join(&name), &whole).unwrap();
        }
    }
    assert!(refused > 8);
    // A refusal leaves nothing, as it may be keys.
    assert!(!path("restored.new").exists());
    // What was left unfinished is removed; what is not ours is not.
    fs::create_dir(path("restored.new")).unwrap();
    fs::write(path("restored.new/restore.unfinished"), "").unwrap();
    fs::write(path("restored.new/keys"), "").unwrap();
    restore_to(&backup, &path("restored"), None, 1).unwrap();
    let fault = restore_to(&backup, &path("restored"), None, 1).unwrap_err();
    assert!(matches!(fault, BackupFault::TargetNotEmpty { .. }), "{fault}");
    fs::create_dir(path("empty")).unwrap();
    fs::create_dir(path("empty.new")).unwrap();
    fs::write(path("empty.new/theirs"), "").unwrap();
    let fault = restore_to(&backup, &path("empty"), None, 1).unwrap_err();
    assert!(matches!(fault, BackupFault::InTheWay { .. }), "{fault}");
    fs::remove_dir_all(path("empty.new")).unwrap();
    restore_to(&backup, &path("empty"), None, 1).unwrap();
}

#[test]
fn a_log_is_cut_between_two_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.seal(3);
    running.back_up(&path("backup")).unwrap();
    let all = events(&*running.store);
    let boundary = |wanted: u64| {
        let wanted = usize::try_from(wanted).unwrap();
        let last =
            (1..=wanted).rev().find(|last| all.get(*last).is_none_or(|next| next.meta != all[last - 1].meta));
        last.unwrap() as u64
    };
    let plan = running.store.backup_plan().unwrap();
    let ends = plan.epochs.iter().map(|epoch| epoch.last.0);
    let wanted: Vec<u64> = ends.take(2).flat_map(|last| [last, last + 1]).chain([2, 3]).collect();
    let end = all.len() as u64;
    for (nth, wanted) in wanted.into_iter().chain([end - 1]).enumerate() {
        for until in [
            Until::Sequence(Sequence(wanted)),
            Until::Instant(all[usize::try_from(wanted).unwrap() - 1].recorded_at),
        ] {
            let target = path(&format!("restored-{nth}"));
            let report = restore_to(&path("backup"), &target, Some(until), 1).unwrap();
            let expected = match until {
                Until::Sequence(wanted) => boundary(wanted.0),
                Until::Instant(at) => all.iter().filter(|event| event.recorded_at <= at).count() as u64,
            };
            assert_eq!(report.kept.0, expected, "{until:?}");
            let kept = events_in(&target);
            let count = usize::try_from(expected).unwrap();
            assert_eq!(kept[..count], all[..count]);
            assert_eq!(
                kept[count..].iter().map(|event| event.event.name()).collect::<Vec<_>>(),
                ["WriterStarted", "LedgerRestored"]
            );
            let store = SledStore::open_read_only(&target.join(LOG)).unwrap();
            store.verify().unwrap();
            drop(store);
            fs::remove_dir_all(&target).unwrap();
        }
    }
    let bad = |until| restore_to(&path("backup"), &path("bad"), Some(until), 1).unwrap_err().to_string();
    let beyond = format!("--until {0}: the backup ends at sequence {end}", end + 1);
    assert!(bad(Until::Sequence(Sequence(end + 1))).starts_with(&beyond));
    assert!(bad(Until::Sequence(Sequence(0))).contains("nothing would be left"));
    assert!(bad(Until::Sequence(Sequence(1))).contains("nothing would be left"));
    assert!(
        bad(Until::Instant(at("2026-10-01T00:00:00Z")))
            .contains("begins with sequence 1 at 2026-10-01T10:00:")
    );
}

/// Wherever a restore is killed, it can be run again.
#[test]
fn a_restore_that_was_killed_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.write(3);
    let backup = path("backup");
    running.back_up(&backup).unwrap();
    // Before, in and after the first write; after the last rename.
    let left: [(&str, &[&str]); 6] = [
        ("one.new", &[]),
        ("two.new", &["restore.unfinished.new"]),
        ("three.new", &["restore.unfinished", "log", "keys"]),
        ("four", &["restore.unfinished", "log", "keys"]),
        ("five", &["restore.unfinished.new"]),
        ("six", &["lost+found"]),
    ];
    for (place, names) in left {
        fs::create_dir(path(place)).unwrap();
        for name in names {
            fs::write(path(place).join(name), "").unwrap();
        }
        let target = path(place.trim_end_matches(".new"));
        restore_to(&backup, &target, None, 1).unwrap();
        let names = names_in(&target).unwrap();
        let expected: &[&str] = if place == "six" { &["log", "lost+found"] } else { &["log"] };
        assert_eq!(names, expected, "{place}");
        assert!(!path(&format!("{place}.new")).exists());
        assert_eq!(mode_of(&target).unwrap(), 0o700);
    }
    // A folder that is there stays, and so does what leads to it.
    fs::create_dir(path("mounted")).unwrap();
    std::os::unix::fs::symlink(path("mounted"), path("linked")).unwrap();
    let inode = |path: PathBuf| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(path("mounted"));
    restore_to(&backup, &path("linked"), None, 1).unwrap();
    assert_eq!(inode(path("mounted")), before);
    assert_eq!(names_in(&path("mounted")).unwrap(), ["log"]);
    // What cannot be is refused before anything is copied.
    std::os::unix::fs::symlink(path("nothing"), path("dangling")).unwrap();
    fs::write(path("file"), "").unwrap();
    for name in ["dangling", "file"] {
        let wish = RestoreWish { source: &backup, target: &path(name), ..restore_wish() };
        let fault = restore(&wish, &mut |_| panic!("it copies")).unwrap_err();
        let is_expected = matches!(fault, BackupFault::DanglingLink { .. } | BackupFault::NotAFolder { .. });
        assert!(is_expected, "{name}: {fault}");
    }
}

#[test]
fn a_restore_refuses_first_what_it_can_refuse_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.write(3);
    let (backup, target) = (path("backup"), path("restored"));
    running.back_up(&backup).unwrap();
    let number =
        |text: &str| LastNumber { project: ProjectId::DEFAULT, number: InvoiceId::new(text).unwrap() };
    let asked = || RestoreWish { source: &backup, target: &target, ..restore_wish() };
    let early = Ticking::from("2026-10-31T00:00:00Z");
    let earlier = Ticking::from("2026-09-01T00:00:00Z");
    let rows = [
        ("no number of a document", RestoreWish { last_numbers: vec![number("412")], ..asked() }),
        (
            "at most 999999999999",
            RestoreWish { last_numbers: vec![number("INV-2026-9999999999999")], ..asked() },
        ),
        ("2028 has not begun", RestoreWish { last_numbers: vec![number("INV-2028-000001")], ..asked() }),
        (
            "again",
            RestoreWish { last_numbers: vec![number("INV-2026-7"), number("INV-2026-000008")], ..asked() },
        ),
        ("the backup is of 2026-11-01", RestoreWish { clock: early.clone(), ..asked() }),
        ("--confirm-clock", RestoreWish { clock: earlier.clone(), ..asked() }),
        (
            "the backup ends at sequence",
            RestoreWish { until: Some(Until::Sequence(Sequence(99))), ..asked() },
        ),
        ("complete with sequence 2", RestoreWish { until: Some(Until::Sequence(Sequence(0))), ..asked() }),
    ];
    for (part, wish) in rows {
        let fault = restore(&wish, &mut |_| panic!("it copies")).unwrap_err().to_string();
        assert!(fault.contains(part), "{part}: {fault}");
        assert_eq!(names_in(folder.path()).unwrap(), ["backup", "data"]);
    }
    // The last event may be later than the backup, if the clock went back in between.
    let text = fs::read_to_string(backup.join(MANIFEST)).unwrap();
    let source = FolderSource::new(&path("data"), MADE_BY, at("2026-08-01T00:00:00Z")).unwrap();
    back_up(&source, &wish(&backup), &mut |_| true).unwrap();
    assert_ne!(fs::read_to_string(backup.join(MANIFEST)).unwrap(), text);
    let behind = RestoreWish { clock: earlier.clone(), ..asked() };
    let fault = restore(&behind, &mut |_| panic!("it copies")).unwrap_err().to_string();
    assert!(fault.contains("its last event is of 2026-10-01"), "{fault}");
    // Both are accepted on the word of the operator.
    running.back_up(&backup).unwrap();
    let confirmed = RestoreWish { clock: earlier, clock_confirmed: true, ..asked() };
    let report = restore(&confirmed, &mut |_| true).unwrap();
    let last = events_in(&target).pop().unwrap();
    assert_eq!((report.recorded, report.recorded_at), (last.sequence, last.recorded_at));
    assert!(report.recorded_at < at("2026-11-01T00:00:00Z"));
}

#[test]
fn a_place_that_another_process_fills_is_left_alone() {
    let room = tempfile::tempdir().unwrap();
    let (missing, empty) = (room.path().join("missing"), room.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    for target in [missing, empty] {
        let first = Staging::begin(&target).unwrap();
        fs::write(first.folder().join("half"), "half").unwrap();
        let fault = Staging::begin(&target).map(drop).unwrap_err();
        assert!(matches!(fault, BackupFault::BeingMade { .. }), "{fault}");
        assert!(first.folder().join("half").exists());
        first.finish().unwrap();
        assert!(target.join("half").exists() && !target.join(UNFINISHED).exists());
        let fault = Staging::begin(&target).map(drop).unwrap_err();
        assert!(matches!(fault, BackupFault::TargetNotEmpty { .. }), "{fault}");
    }
    // What a killed one left is not locked.
    let killed = room.path().join("killed");
    drop(Staging::begin(&killed).unwrap());
    Staging::begin(&killed).unwrap().finish().unwrap();
}
