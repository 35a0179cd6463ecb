//! Backups of a ledger that goes on writing, and what is made of them.

mod keys;
mod repairs;
mod restoring;

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
use crate::ledger::{Clock, Ledger, LedgerOptions, Submission};
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
        let options =
            sled_store::StoreOptions { epoch_bytes: EPOCH_BYTES, ..sled_store::StoreOptions::default() };
        let store = Arc::new(SledStore::open_with(&data.join(LOG), options).unwrap());
        let options = LedgerOptions {
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
