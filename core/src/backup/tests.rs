//! Backups of a ledger that goes on writing, and what is made of them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::files::{mode_of, names_in};
use super::*;
use crate::domain::Command;
use crate::domain::event::{Event, Mode};
use crate::domain::id::{CommandId, InvoiceId, KeyId, ProjectId};
use crate::domain::party::RegisterParty;
use crate::domain::restore::{LastNumber, RestoreMark};
use crate::domain::sealed::Sealed;
use crate::domain::time::{TimeZone, Timestamp};
use crate::domain::usage::{MemoryIndex, SeenIndex};
use crate::ledger::{Clock, Ledger, Options, Submission};
use crate::log::envelope::{Actor, EventDecoder, Meta, RULES_VERSION, Recorded};
use crate::log::sled_store::{self, SledStore};
use crate::log::store::{EventStore, read_frames};

const EPOCH_BYTES: u64 = 64 * 1024;
const MADE_BY: &str = "slapledger test";

/// Ten o'clock, and a second later for every event.
struct Ticking(parking_lot::Mutex<Timestamp>);

impl Ticking {
    fn from(text: &str) -> Arc<Self> {
        Arc::new(Self(parking_lot::Mutex::new(at(text))))
    }
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let mut now = self.0.lock();
        *now = now.plus_micros(1_000_000);
        *now
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// A ledger in a data folder of its own, running.
struct Running {
    ledger: Ledger,
    store: Arc<SledStore>,
    data: PathBuf,
}

impl Running {
    fn new(data: &Path) -> Self {
        Self::with_id(data, 7)
    }

    fn with_id(data: &Path, id: u8) -> Self {
        fs::create_dir_all(data).unwrap();
        let options = sled_store::Options { epoch_bytes: EPOCH_BYTES, ..sled_store::Options::default() };
        let store = Arc::new(SledStore::open_with(&data.join(LOG), options).unwrap());
        let options = Options {
            mode: Mode::Serve,
            new_ledger: [id; 16],
            key_ring: [6; 16],
            program: MADE_BY.into(),
            queue: 8,
            snapshot: None,
            seen: Box::new(|_| Ok(Box::new(MemoryIndex::new([1; 16])) as Box<dyn SeenIndex>)),
        };
        let clock = Ticking::from("2026-10-01T10:00:00Z");
        let ledger = Ledger::open(Arc::clone(&store) as Arc<dyn EventStore>, clock, options).unwrap();
        Self { ledger, store, data: data.to_owned() }
    }

    /// Registers so many parties, each by a command with two events.
    fn write(&self, parties: u64) {
        for _ in 0..parties {
            let next = self.ledger.head().last.0;
            let mut noise = next.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let ciphertext = (0..700).map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise.to_le_bytes()[0]
            });
            let name = Sealed {
                key: KeyId([1; 16]),
                digest: [0; 16],
                nonce: [0; 24],
                ciphertext: ciphertext.collect(),
            };
            let command = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
            let meta = Meta {
                project: ProjectId::DEFAULT,
                actor: Actor::system(),
                command: CommandId(u128::from(next).to_be_bytes()),
                named_by_sender: true,
                digest: [0; 16],
                causation: None,
                correlation: None,
                rules: RULES_VERSION,
            };
            let command = Command::RegisterParty(command);
            self.ledger.submit_blocking(Submission { meta: Arc::new(meta), command }).unwrap();
        }
    }

    /// Writes until so many epochs are sealed.
    fn seal(&self, epochs: usize) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < until, "no epoch is sealed");
            let plan = self.store.backup_plan().unwrap();
            // All that is full is sealed: no other epoch will be.
            match (plan.epochs.len() >= epochs, plan.tails.len()) {
                (true, 1) => return,
                (true, _) => thread::sleep(Duration::from_millis(5)),
                (false, _) => self.write(20),
            }
        }
    }

    fn source(&self) -> FolderSource<'static> {
        source(&self.data)
    }

    fn back_up(&self, destination: &Path) -> Result<BackupReport, BackupFault> {
        back_up(&self.source(), &wish(destination), &mut |_| true)
    }

    fn stop(self) -> PathBuf {
        self.ledger.shut_down().unwrap();
        self.data
    }
}

fn source(data: &Path) -> FolderSource<'static> {
    FolderSource::new(data, MADE_BY, at("2026-11-01T00:00:00Z")).unwrap()
}

fn wish(destination: &Path) -> BackupWish<'_> {
    BackupWish { destination, private: None, link: false, extent: Extent::All }
}

fn restore_to(
    source: &Path,
    target: &Path,
    until: Option<Until>,
    mark: u32,
) -> Result<RestoreReport, BackupFault> {
    let wish = RestoreWish { source, target, until, mark: RestoreMark::new(mark), ..restore_wish() };
    restore(&wish, &mut |_| true)
}

fn restore_wish() -> RestoreWish<'static> {
    RestoreWish {
        source: Path::new(""),
        target: Path::new(""),
        until: None,
        last_numbers: Vec::new(),
        clock_confirmed: false,
        mark: RestoreMark::new(1),
        clock: Ticking::from("2026-12-01T00:00:00Z"),
        program: MADE_BY.into(),
        command: [9; 16],
    }
}

fn events(store: &dyn EventStore) -> Vec<Recorded> {
    let mut decoder = EventDecoder::default();
    let mut events = Vec::new();
    for frame in read_frames(store, Sequence::ZERO) {
        for (sequence, bytes) in frame.unwrap().events() {
            events.push(decoder.decode(sequence, bytes).unwrap());
        }
    }
    events
}

fn events_in(data: &Path) -> Vec<Recorded> {
    events(&SledStore::open_read_only(&data.join(LOG)).unwrap())
}

/// All files under a folder, by their paths in it.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(relative) = left.pop() {
        for name in names_in(&folder.join(&relative)).unwrap() {
            let relative = relative.join(name);
            if folder.join(&relative).is_dir() { left.push(relative) } else { found.push(relative) }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_backed_up_while_it_is_written_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.seal(2);
    let (made, backups) = thread::scope(|scope| {
        let writer = scope.spawn(|| running.seal(4));
        let mut backups = Vec::new();
        while !writer.is_finished() || backups.len() < 2 {
            backups.push(running.back_up(&path("backup")).unwrap());
        }
        (running.back_up(&path("backup")).unwrap(), backups)
    });
    assert!(backups.is_sorted_by_key(|report| report.last));
    assert_eq!(made.last, running.ledger.head().last);
    let all = events(&*running.store);
    drop(running);
    // The log of the backup is one that can be looked at where it is.
    let there = SledStore::open_read_only(&path("backup").join(LOG)).unwrap();
    assert_eq!(there.verify().unwrap().last, made.last);
    drop(there);
    let restored = restore_to(&path("backup"), &path("restored"), None, 1).unwrap();
    assert_eq!((restored.kept, restored.root), (made.last, made.root));
    let events = events_in(&path("restored"));
    assert_eq!(events[..all.len()], all);
    let names: Vec<_> = events[all.len()..].iter().map(|event| event.event.name()).collect();
    assert_eq!(names, ["WriterStarted", "LedgerRestored"]);
    let Event::LedgerRestored(event) = &events.last().unwrap().event else { unreachable!() };
    assert_eq!((event.kept, event.root, event.ledger), (made.last, made.root.0, [7; 16]));
    assert_eq!(
        (&*event.from, &*event.to),
        (path("backup").to_str().unwrap(), path("restored").to_str().unwrap())
    );
    assert_eq!(event.backup_at, at("2026-11-01T00:00:00Z"));
    assert_eq!(mode_of(&path("restored")).unwrap(), 0o700);
    assert!(!path("restored.new").exists());
}

#[test]
fn a_second_backup_copies_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.seal(2);
    let first = running.back_up(&path("backup")).unwrap();
    assert_eq!(first.copied_epochs, first.epochs);
    let again = running.back_up(&path("backup")).unwrap();
    assert_eq!((again.epochs, again.copied_epochs, again.last), (first.epochs, 0, first.last));
    running.seal(first.epochs + 1);
    let more = running.back_up(&path("backup")).unwrap();
    assert_eq!(more.copied_epochs, more.epochs - first.epochs);
    assert!(more.copied_epochs > 0 && more.copied_bytes > 0);
    // An epoch that was lost in the backup is copied again, and nothing is left over.
    fs::remove_file(path("backup/log/epoch-000001/db")).unwrap();
    assert_eq!(running.back_up(&path("backup")).unwrap().copied_epochs, 1);
    let manifest = BackupManifest::read(&path("backup")).unwrap().unwrap();
    let mut expected: Vec<PathBuf> =
        manifest.log_files().map(|file| Path::new(LOG).join(file.name.path())).collect();
    expected.extend([PathBuf::from("log/term"), MANIFEST.into(), "backup.lock".into()]);
    expected.sort();
    assert_eq!(files_in(&path("backup")), expected);
    let data = running.stop();
    // Of a folder that is not in use.
    let idle = back_up(&source(&data), &wish(&path("backup")), &mut |_| true).unwrap();
    assert!(idle.last >= more.last);
    // Links: the epochs are the same files.
    let place = path("linked");
    let linked = BackupWish { link: true, ..wish(&place) };
    let linked = back_up(&source(&data), &linked, &mut |_| true).unwrap();
    assert_eq!(linked.copied_epochs, linked.epochs);
    let inode = |path: PathBuf| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let db = "log/epoch-000001/db";
    assert_eq!(inode(path("linked").join(db)), inode(data.join(db)));
    restore_to(&path("linked"), &path("restored"), None, 1).unwrap();
}

/// Whenever a backup stops, the one before it is whole, and the next one completes it.
#[test]
fn an_interrupted_backup_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.seal(1);
    let first = running.back_up(&path("backup")).unwrap();
    running.seal(first.epochs + 1);
    let mut interrupted = 0;
    for stop in [0, 1, 2, 3, 5, 8, 13, 21, 34] {
        let mut step = 0;
        let stopped = back_up(&running.source(), &wish(&path("backup")), &mut |_| {
            step += 1;
            step <= stop
        });
        let Err(fault) = stopped else { break };
        assert!(matches!(fault, BackupFault::Cancelled), "{fault}");
        interrupted += 1;
        let restored = restore_to(&path("backup"), &path(&format!("restored-{stop}")), None, 1).unwrap();
        assert_eq!((restored.kept, restored.root), (first.last, first.root), "stopped at {stop}");
    }
    assert!(interrupted > 2);
    let done = running.back_up(&path("backup")).unwrap();
    assert_eq!(done.last, running.ledger.head().last);
    // An interrupted first backup is none, and is completed.
    let third = path("third");
    let wish = wish(&third);
    assert!(back_up(&running.source(), &wish, &mut |_| false).is_err());
    let none = restore_to(&path("third"), &path("none"), None, 1).unwrap_err();
    assert!(matches!(none, BackupFault::NoBackup { .. }), "{none}");
    back_up(&running.source(), &wish, &mut |_| true).unwrap();
    restore_to(&path("third"), &path("some"), None, 1).unwrap();
}

#[test]
fn a_backup_of_something_else_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.write(10);
    running.back_up(&path("old")).unwrap();
    running.seal(1);
    running.back_up(&path("new")).unwrap();
    let other = Running::with_id(&path("other"), 8);
    other.write(100);
    let fault = other.back_up(&path("old")).unwrap_err();
    assert!(matches!(fault, BackupFault::OtherLedger { .. }), "{fault}");
    // A ledger that was restored from an older backup does not go on where the newer backup ends.
    restore_to(&path("old"), &path("restored"), None, 1).unwrap();
    let fault = back_up(&source(&path("restored")), &wish(&path("new")), &mut |_| true).unwrap_err();
    assert!(matches!(fault, BackupFault::Ahead { .. }), "{fault}");
    let restored = Running::new(&path("restored"));
    let newer = BackupManifest::read(&path("new")).unwrap().unwrap();
    while restored.ledger.head().last.0 <= newer.last {
        restored.write(20);
    }
    let fault = restored.back_up(&path("new")).unwrap_err();
    assert!(matches!(fault, BackupFault::Diverged { .. }), "{fault}");
    // Also where the backup ended in a tail that is sealed since, or in one that is still there.
    running.seal(1);
    restored.back_up(&path("old")).unwrap();
    let restored_data = restored.stop();
    let data = running.stop();
    let fault = back_up(&source(&data), &wish(&path("old")), &mut |_| true).unwrap_err();
    assert!(matches!(fault, BackupFault::Diverged { .. } | BackupFault::Ahead { .. }), "{fault}");
    assert_eq!(BackupManifest::read(&path("new")).unwrap(), Some(newer));
    // A folder with anything else in it, a data folder above all.
    let fault = back_up(&source(&data), &wish(&restored_data), &mut |_| true).unwrap_err();
    assert!(matches!(fault, BackupFault::NotABackup { .. }), "{fault}");
    assert!(matches!(
        FolderSource::new(folder.path(), MADE_BY, Timestamp::MIN),
        Err(BackupFault::NoLedger { .. })
    ));
}

/// The same where everything that differs is in the tail.
#[test]
fn a_tail_with_other_events_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.write(3);
    running.back_up(&path("old")).unwrap();
    running.write(1);
    let newer = running.back_up(&path("new")).unwrap();
    restore_to(&path("old"), &path("restored"), None, 1).unwrap();
    let restored = Running::new(&path("restored"));
    restored.write(5);
    assert!(restored.ledger.head().last > newer.last);
    let fault = restored.back_up(&path("new")).unwrap_err();
    assert!(matches!(fault, BackupFault::Diverged { at, .. } if at == newer.last), "{fault}");
    // And where its epoch is sealed since.
    restored.seal(1);
    let fault = restored.back_up(&path("new")).unwrap_err();
    assert!(matches!(fault, BackupFault::Diverged { at, .. } if at == newer.last), "{fault}");
    running.seal(1);
    running.back_up(&path("new")).unwrap();
}

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

#[test]
fn a_backup_is_verified_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    fs::create_dir(path("data/keys")).unwrap();
    fs::write(path("data/keys/ring"), "a ring").unwrap();
    running.seal(2);
    running.write(3);
    let backup = path("backup");
    let private = BackupWish { private: Some(&running.data), ..wish(&backup) };
    let made = back_up(&running.source(), &private, &mut |_| true).unwrap();
    let whole = |backup: &Path| verify(backup, &mut |_| true);
    let report = whole(&backup).unwrap();
    assert_eq!((report.last, report.root, report.epochs), (made.last, made.root, made.epochs));
    assert_eq!(report.private_files, 1);
    for name in files_in(&backup) {
        // The term is in the manifest too, and the lock is empty.
        if name.ends_with("term") || name.ends_with("backup.lock") {
            continue;
        }
        let file = backup.join(&name);
        let bytes = fs::read(&file).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [flipped.as_slice(), &bytes[..bytes.len() - 3]] {
            fs::write(&file, damaged).unwrap();
            let fault = whole(&backup).unwrap_err().to_string();
            assert!(fault.contains(name.to_str().unwrap()), "{}: {fault}", name.display());
        }
        fs::remove_file(&file).unwrap();
        let fault = whole(&backup).unwrap_err().to_string();
        assert!(fault.contains(name.to_str().unwrap()), "{}: {fault}", name.display());
        fs::write(&file, bytes).unwrap();
    }
    // What an interrupted backup adds does not matter.
    running.seal(made.epochs + 2);
    for stop in [3, 8, 21] {
        let mut step = 0;
        let stopped = back_up(&running.source(), &wish(&backup), &mut |_| {
            step += 1;
            step <= stop
        });
        if stopped.is_ok() {
            break;
        }
        assert_eq!(whole(&backup).unwrap(), report, "stopped at {stop}");
    }
}

#[test]
fn a_backup_is_never_inside_its_ledger_nor_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    running.write(3);
    fs::create_dir_all(path("secret/keys")).unwrap();
    std::os::unix::fs::symlink(path("secret/keys"), path("data/keys")).unwrap();
    std::os::unix::fs::symlink(path("data"), path("link")).unwrap();
    let inside =
        ["data", "data/backup", "data/log/backup", "data/keys/a/b", "secret/keys/backup", "link/backup"];
    for name in inside {
        let fault = running.back_up(&path(name)).unwrap_err();
        assert!(matches!(fault, BackupFault::Inside { .. }), "{name}: {fault}");
    }
    for name in ["secret", "."] {
        let fault = running.back_up(&path(name)).unwrap_err();
        assert!(matches!(fault, BackupFault::Around { .. }), "{name}: {fault}");
    }
    running.back_up(&path("backup")).unwrap();
    let fault = running.back_up(&path("backup/log/more")).unwrap_err();
    assert!(matches!(fault, BackupFault::Inside { what: "the backup", .. }), "{fault}");
    // Nor is a restored ledger inside a backup or another ledger.
    for name in ["backup", "backup/new", "data/new", "link/new"] {
        let fault = restore_to(&path("backup"), &path(name), None, 1).unwrap_err();
        assert!(matches!(fault, BackupFault::Inside { .. }), "{name}: {fault}");
    }
    let mut expected: Vec<PathBuf> =
        ["backup.json", "backup.lock", "log/epoch-000001.tail", "log/term"].map(PathBuf::from).into();
    expected.sort();
    assert_eq!(files_in(&path("backup")), expected);
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
fn sealed_epochs_can_be_shipped_without_the_tail() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let running = Running::new(&path("data"));
    let shipped = path("shipped");
    let ship = BackupWish { extent: Extent::Sealed, ..wish(&shipped) };
    let none = back_up(&running.source(), &ship, &mut |_| true).unwrap();
    assert_eq!(none.epochs, 0);
    running.seal(2);
    let report = back_up(&running.source(), &ship, &mut |_| true).unwrap();
    let plan = running.store.backup_plan().unwrap();
    assert_eq!(report.copied_epochs, report.epochs);
    assert_eq!(report.last, plan.epochs[report.epochs - 1].last);
    restore_to(&shipped, &path("restored"), None, 1).unwrap();
    // A backup that goes further is left alone.
    let full = running.back_up(&shipped).unwrap();
    assert_eq!(back_up(&running.source(), &ship, &mut |_| true).unwrap().last, full.last);
}

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
