//! Repair of a folder from a backup.

use super::*;

#[test]
fn a_sealed_epoch_is_repaired_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.seal(2);
    running.back_up(&path("backup")).unwrap();
    let fault = repair(&path("data"), &path("backup"), &mut |_| true).unwrap_err();
    assert!(matches!(fault, BackupFault::Store(StoreFault::InUse { .. })), "{fault}");
    let data = running.stop();
    let all = events_in(&data);
    let report = repair(&data, &path("backup"), &mut |_| true).unwrap();
    assert_eq!(report.repaired, []);
    let db = data.join("log/epoch-000001/db");
    let whole = fs::read(&db).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    fs::write(&db, &damaged).unwrap();
    fs::remove_file(data.join("log/epoch-000002/conf")).unwrap();
    let before: Vec<_> = files_in(&data);
    let report = repair(&data, &path("backup"), &mut |_| true).unwrap();
    let aside = data.join("log/epoch-000001/db.damaged");
    let expected = [(db.clone(), Some(aside.clone())), (data.join("log/epoch-000002/conf"), None)];
    assert_eq!(report.repaired, expected);
    assert_eq!((fs::read(&aside).unwrap(), fs::read(&db).unwrap()), (damaged.clone(), whole.clone()));
    assert_eq!(files_in(&data).len(), before.len() + 2);
    assert_eq!(events_in(&data), all);
    // A backup that is damaged too, one that is older, and one of another ledger repair nothing.
    fs::write(&db, &damaged).unwrap();
    let theirs = path("backup/log/epoch-000001/db");
    let good = fs::read(&theirs).unwrap();
    fs::write(&theirs, &damaged).unwrap();
    let fault = repair(&data, &path("backup"), &mut |_| true).unwrap_err().to_string();
    assert!(fault.contains("backup/log/epoch-000001/db"), "{fault}");
    fs::write(&theirs, good).unwrap();
    let other = Running::with_id(&path("other"), 8);
    other.back_up(&path("older")).unwrap();
    let fault = repair(&data, &path("older"), &mut |_| true).unwrap_err().to_string();
    assert!(fault.contains("has no such epoch"), "{fault}");
    other.seal(2);
    other.back_up(&path("foreign")).unwrap();
    let fault = repair(&data, &path("foreign"), &mut |_| true).unwrap_err().to_string();
    assert!(fault.contains("use a backup of this ledger"), "{fault}");
    assert_eq!(fs::read(&db).unwrap(), damaged);
    repair(&data, &path("backup"), &mut |_| true).unwrap();
    assert!(data.join("log/epoch-000001/db.damaged-2").exists());
    assert_eq!(fs::read(&db).unwrap(), whole);
}

/// A manifest that is gone or damaged comes back, if the epoch of the backup fits between its neighbours.
#[test]
fn a_manifest_is_repaired_where_its_epoch_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.seal(3);
    running.back_up(&path("backup")).unwrap();
    let data = running.stop();
    let all = events_in(&data);
    let other = Running::with_id(&path("other"), 8);
    other.seal(3);
    other.back_up(&path("foreign")).unwrap();
    let file = |number: usize| data.join(format!("log/epoch-{number:06}.manifest"));
    let last = BackupManifest::read(&path("backup")).unwrap().unwrap().epochs.len();
    for number in [1, 2, last] {
        let whole = fs::read(file(number)).unwrap();
        for damaged in [None, Some("{}")] {
            fs::remove_file(file(number)).unwrap();
            if let Some(text) = damaged {
                fs::write(file(number), text).unwrap();
            }
            assert!(SledStore::open_read_only(&data.join(LOG)).is_err(), "{number}");
            let fault = repair(&data, &path("foreign"), &mut |_| true).unwrap_err().to_string();
            // That of another ledger may have fewer.
            let is_refused = ["does not fit the log", "does not have this epoch"];
            assert!(is_refused.iter().any(|part| fault.contains(part)), "{number}: {fault}");
            let report = repair(&data, &path("backup"), &mut |_| true).unwrap();
            assert_eq!(report.repaired.len(), 1);
            assert_eq!(report.repaired[0].0, file(number));
            assert_eq!(
                (report.unopened.is_none(), report.repaired[0].1.is_some()),
                (true, damaged.is_some())
            );
            assert_eq!(fs::read(file(number)).unwrap(), whole);
        }
    }
    assert_eq!(events_in(&data), all);
    // With the files of its database.
    fs::remove_file(file(2)).unwrap();
    fs::remove_dir_all(data.join("log/epoch-000002")).unwrap();
    assert_eq!(repair(&data, &path("backup"), &mut |_| true).unwrap().repaired.len(), 3);
    assert_eq!(events_in(&data), all);
    // What no backup repairs is said.
    let tail = data.join(format!("log/epoch-{:06}.tail", last + 1));
    fs::remove_file(tail).unwrap();
    let report = repair(&data, &path("backup"), &mut |_| true).unwrap();
    assert!(report.unopened.is_some() && report.repaired.is_empty());
}
