//! Keys and certificates in backups.

use super::*;

#[test]
fn keys_go_where_nobody_else_can_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.write(1);
    fs::create_dir_all(path("data/keys")).unwrap();
    fs::create_dir_all(path("data/certificates/a")).unwrap();
    for (name, mode) in
        [("keys/ring", 0o600), ("keys/master", 0o400), ("certificates/a/b", 0o644), ("signing.key", 0o600)]
    {
        fs::write(path("data").join(name), name).unwrap();
        fs::set_permissions(path("data").join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let (backup, data) = (path("backup"), running.data.clone());
    let with_keys = BackupWish { private: Some(&data), ..wish(&backup) };
    fs::create_dir(&backup).unwrap();
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o750)).unwrap();
    let fault = back_up(&running.source(), &with_keys, &mut |_| true).unwrap_err();
    assert!(matches!(fault, BackupFault::Exposed { mode: 0o750, .. }), "{fault}");
    assert_eq!(names_in(&backup).unwrap(), [""; 0]);
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o700)).unwrap();
    let report = back_up(&running.source(), &with_keys, &mut |_| true).unwrap();
    assert_eq!((report.private_files, report.lacks_master_key), (4, false));
    fs::write(path("data/keys/ring"), "a longer ring").unwrap();
    back_up(&running.source(), &with_keys, &mut |_| true).unwrap();
    assert_eq!(names_in(&backup).unwrap(), ["backup.json", "backup.lock", "log", "private-2"]);
    let report = restore_to(&backup, &path("restored"), None, 1).unwrap();
    assert!(report.has_keys && !report.lacks_master_key);
    let restored = |name: &str| path("restored").join(name);
    assert_eq!(fs::read_to_string(restored("keys/ring")).unwrap(), "a longer ring");
    for (name, mode) in [
        ("keys", 0o700),
        ("keys/ring", 0o600),
        ("keys/master", 0o400),
        ("certificates/a", 0o700),
        ("certificates/a/b", 0o600),
    ] {
        assert_eq!(mode_of(&restored(name)).unwrap(), mode, "{name}");
    }
}

/// The copy of keys in a backup may be the only one.
#[test]
fn a_backup_without_keys_keeps_those_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.write(1);
    fs::create_dir_all(path("elsewhere")).unwrap();
    fs::write(path("elsewhere/ring"), "a ring").unwrap();
    // Keys may lie on another disk.
    std::os::unix::fs::symlink(path("elsewhere"), path("data/keys")).unwrap();
    fs::write(path("data/signing.key"), "a key").unwrap();
    fs::create_dir(path("data/ca")).unwrap();
    fs::write(path("data/ca/root.key"), "a root").unwrap();
    let (backup, data) = (path("backup"), running.data.clone());
    let with_keys = BackupWish { private: Some(&data), ..wish(&backup) };
    let first = back_up(&running.source(), &with_keys, &mut |_| true).unwrap();
    assert_eq!((first.private_files, first.keys_as_of), (3, None));
    let made_at = at("2026-11-01T00:00:00Z");
    for now in ["2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"] {
        running.write(1);
        let source = FolderSource::new(&data, MADE_BY, at(now)).unwrap();
        let report = back_up(&source, &wish(&backup), &mut |_| true).unwrap();
        assert_eq!((report.private_files, report.keys_as_of), (3, Some(made_at)));
        assert_eq!(names_in(&backup).unwrap(), ["backup.json", "backup.lock", "log", "private-1"]);
    }
    let restored = restore_to(&backup, &path("restored"), None, 1).unwrap();
    assert!(restored.has_keys && restored.keys_as_of == Some(made_at));
    assert_eq!(fs::read_to_string(path("restored/keys/ring")).unwrap(), "a ring");
    // Shipping, too.
    running.seal(1);
    let ship = BackupWish { extent: Extent::Sealed, ..wish(&backup) };
    back_up(&running.source(), &wish(&backup), &mut |_| true).unwrap();
    running.seal(running.store.sealed_count() + 1);
    back_up(&running.source(), &ship, &mut |_| true).unwrap();
    assert!(path("backup/private-1/keys/ring").exists());
    // Keys that are gone from the data folder do not go from the backup.
    for name in ["data/signing.key", "elsewhere/ring"] {
        let whole = fs::read(path(name)).unwrap();
        fs::remove_file(path(name)).unwrap();
        let fault = back_up(&running.source(), &with_keys, &mut |_| true).unwrap_err();
        assert!(matches!(fault, BackupFault::KeysGone { .. }), "{fault}");
        assert!(path("backup/private-1/keys/ring").exists());
        fs::write(path(name), whole).unwrap();
    }
    // The key of the root certificate is removed on purpose.
    fs::remove_file(path("data/ca/root.key")).unwrap();
    back_up(&running.source(), &with_keys, &mut |_| true).unwrap();
    assert_eq!(fs::read_to_string(path("backup/private-2/ca/root.key")).unwrap(), "a root");
    // Without its manifest a folder of keys is still there.
    fs::remove_file(backup.join(MANIFEST)).unwrap();
    running.back_up(&backup).unwrap();
    assert!(path("backup/private-2/keys/ring").exists());
    let report = back_up(&running.source(), &with_keys, &mut |_| true).unwrap();
    assert_eq!((report.private_files, report.keys_as_of), (2, None));
    assert_eq!(names_in(&backup).unwrap(), ["backup.json", "backup.lock", "log", "private-3"]);
    // A lock that is gone is made again.
    fs::remove_file(backup.join("backup.lock")).unwrap();
    running.back_up(&backup).unwrap();
}
