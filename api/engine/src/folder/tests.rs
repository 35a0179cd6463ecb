//! Damage in caches, beside the store that is used in production.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId, ProjectId, Sequence};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::usage::{RecordUsage, Revision, UsageId, UsageOutcome, UsageReport};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::log::envelope::Actor;
use slapledger_projections::ViewPart;

use super::{INDEX, KEYS, LOG, STATE, end_of};
use crate::clock::ManualClock;
use crate::{Engine, Open, accepted, unwatched};

const NOW: &str = "2026-10-05T00:00:00Z";
const IDS: std::ops::Range<u64> = 0..60;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

fn open(data: &Path) -> Engine {
    let clock = Arc::new(ManualClock::new(at(NOW)));
    Engine::open(Open {
        data,
        mode: Mode::Proxy,
        clock,
        master_key: None,
        progress: &unwatched,
        accept: &accepted,
    })
    .expect("a cache refuses nothing")
}

fn submit(engine: &Engine, command: Command) -> Answer {
    engine.submit_own(ProjectId::DEFAULT, Actor::system(), command).expect("it is carried out").answer
}

/// Usage of a computer with these identities, all else alike.
fn usage(engine: &Engine, ids: impl IntoIterator<Item = u64>) -> Vec<UsageOutcome> {
    let instant = |hour: u32| -> Timestamp { at(&format!("2026-10-01T{hour:02}:00:00Z")) };
    let report = |id: u64| UsageReport {
        id: UsageId::new(&format!("usage {id}")).expect("an id"),
        revision: Revision::None,
        subject: "COMP-1".into(),
        resource: "cpu".into(),
        quantity: ("1".into(), Ok("1".parse().expect("a quantity"))),
        start: Ok(Some(instant(1))),
        stop: Ok(Some(instant(2))),
        dimensions: Vec::new(),
        node_sequence: None,
    };
    let computer = ComputerId::new("COMP-1").expect("an id");
    let reports = ids.into_iter().map(report).collect();
    match submit(engine, Command::RecordUsage(RecordUsage { computer, reports })) {
        Answer::Usage(outcomes) => outcomes,
        other => panic!("{other:?}"),
    }
}

fn are_duplicates(outcomes: &[UsageOutcome]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, UsageOutcome::Duplicate(_)))
}

/// A folder with usage in it, whose program was shut down twice.
fn sample(data: &Path) {
    let engine = open(data);
    let name = engine.keys.seal(engine.keys.fresh().expect("a key"), b"somebody").expect("sealed");
    submit(
        &engine,
        Command::RegisterParty(RegisterParty { name, time_zone: TimeZone::UTC, description: None }),
    );
    let computer = ComputerId::new("COMP-1").expect("an id");
    let register = RegisterComputer { computer, owner: PartyId(1), time_zone: TimeZone::UTC };
    submit(&engine, Command::RegisterComputer(register));
    usage(&engine, 0..30);
    engine.shut_down().unwrap();
    drop(engine);
    let engine = open(data);
    assert!(!are_duplicates(&usage(&engine, 30..IDS.end)));
    engine.shut_down().unwrap();
}

/// What all views hold, in short.
fn parts(engine: &Engine) -> Vec<ViewPart> {
    let head = engine.ledger.head().last;
    engine.slap.read_at_blocking(head, |_, _| ()).expect("reached");
    engine.billing.read_at_blocking(head, |_, _| ()).expect("reached");
    engine.access.read_at_blocking(head, |_, _| ()).expect("reached");
    [engine.slap.parts().0, engine.billing.parts().0, engine.access.parts().0].concat()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    fs::set_permissions(to, fs::metadata(from).expect("it is there").permissions()).expect("set");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(drop).expect("copied") }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// One flipped bit in the index made every write fail, through all restarts.
#[test]
fn whatever_is_damaged_in_a_cache_is_made_anew() {
    let room = tempfile::tempdir().expect("a folder");
    let (pristine, here) = (room.path().join("pristine"), room.path().join("here"));
    fs::create_dir(&pristine).expect("made");
    sample(&pristine);
    copy(&pristine, &here);
    let expected = {
        let engine = open(&here);
        let known = usage(&engine, IDS);
        assert!(are_duplicates(&known));
        let expected = parts(&engine);
        engine.shut_down().unwrap();
        expected
    };
    let caches = [files(&pristine.join(INDEX)), files(&pristine.join(STATE))].concat();
    assert!(caches.len() >= 8, "two manifests, two runs and four snapshots: {caches:?}");
    for file in caches {
        let length = fs::metadata(&file).expect("it is there").len();
        for n in 0..4 {
            let at = usize::try_from((length - 1) * n / 3).expect("small");
            fs::remove_dir_all(&here).expect("it was there");
            copy(&pristine, &here);
            let path = here.join(file.strip_prefix(&pristine).expect("it is in there"));
            let mut bytes = fs::read(&path).expect("read");
            bytes[at] ^= 1 << n;
            fs::write(&path, bytes).expect("written");
            let shown = format!("{} byte {at}", path.display());
            let engine = open(&here);
            let known = usage(&engine, IDS);
            assert!(are_duplicates(&known), "{shown}: {known:?}");
            assert_eq!(parts(&engine), expected, "{shown}");
            assert!(!are_duplicates(&usage(&engine, [IDS.end])), "{shown}");
            assert_eq!(engine.ledger.fault(), None, "{shown}");
            // Views are snapshotted by their own threads: nobody is left in the folder when it goes.
            engine.shut_down().unwrap();
        }
    }
}

/// The damage is met while it is used: a writer that stopped had to be started again, which did not help.
#[test]
fn an_index_that_is_damaged_while_it_is_used_is_made_anew() {
    let room = tempfile::tempdir().expect("a folder");
    sample(room.path());
    let engine = open(room.path());
    // The first data block of every run: nothing else of it is read again.
    for run in files(&room.path().join(INDEX)) {
        if run.extension().is_some_and(|extension| extension == "seen") {
            let mut bytes = fs::read(&run).expect("read");
            bytes[4096 + 7] ^= 1;
            fs::write(&run, bytes).expect("written");
        }
    }
    let known = usage(&engine, IDS);
    assert!(are_duplicates(&known), "{known:?}");
    assert!(!are_duplicates(&usage(&engine, [IDS.end])));
    assert_eq!(engine.ledger.fault(), None);
    let expected = parts(&engine);
    engine.shut_down().unwrap();
    drop(engine);
    let engine = open(room.path());
    assert!(are_duplicates(&usage(&engine, IDS)));
    assert_eq!(parts(&engine), expected);
}

#[test]
fn what_a_crash_left_of_a_cache_is_removed() {
    let room = tempfile::tempdir().expect("a folder");
    sample(room.path());
    let left =
        ["state/writer.new", "state/slap.snapshot.new", "state/billing.snapshot.new", "index/manifest.new"];
    for left in left {
        fs::write(room.path().join(left), "half").expect("written");
    }
    open(room.path()).shut_down().unwrap();
    for left in left {
        assert!(!room.path().join(left).exists(), "{left}");
    }
}

#[test]
fn a_folder_that_is_read_takes_no_command_and_knows_where_it_ends() {
    let room = tempfile::tempdir().expect("a folder");
    sample(room.path());
    let engine = Engine::open_read_only(room.path(), Arc::new(ManualClock::new(at(NOW))), None, &unwatched)
        .expect("opens");
    let last = engine.ledger.head().last;
    let told = end_of(&**engine.ledger.store()).expect("read");
    assert_eq!(told, format!("the log ends at sequence {last}, recorded {NOW}"));
    assert!(last > Sequence(60) && engine.mode == Mode::Proxy);
    let computer = ComputerId::new("COMP-2").expect("an id");
    let register = RegisterComputer { computer, owner: PartyId(1), time_zone: TimeZone::UTC };
    let refused = engine.submit_own(ProjectId::DEFAULT, Actor::system(), Command::RegisterComputer(register));
    let refused = refused.expect_err("nothing is written").to_string();
    assert!(refused.contains("it was opened to be read"), "{refused}");
    drop(engine);
    assert!(room.path().join(LOG).is_dir());
}

/// A start that is refused, for whatever reason, leaves every byte of the folder as it was.
#[test]
fn a_refused_start_changes_nothing() {
    let room = tempfile::tempdir().expect("a folder");
    let data = room.path().join("data");
    fs::create_dir(&data).expect("made");
    sample(&data);
    let whole = contents(&data);
    let refuse = || anyhow::bail!("not now");
    let clock = || Arc::new(ManualClock::new(at(NOW)));
    let open = |mode, accept| {
        Engine::open(Open {
            data: &data,
            mode,
            clock: clock(),
            master_key: None,
            progress: &unwatched,
            accept,
        })
        .err()
        .expect("it is refused")
        .to_string()
    };
    assert_eq!(open(Mode::Proxy, &refuse), "not now");
    assert!(open(Mode::Serve, &accepted).contains("holds a proxy ledger"));
    assert_eq!(contents(&data), whole);
    // Snapshots that know more than the log.
    let log = data.join(LOG);
    for name in ["head", "epoch-000001.clean"] {
        fs::remove_file(log.join(name)).expect("it was there");
    }
    let tail = log.join("epoch-000001.tail");
    let mut bytes = fs::read(&tail).expect("a tail");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("records");
    bytes[end - 40..].fill(0);
    fs::write(&tail, bytes).expect("written");
    let before = contents(&data);
    let told = open(Mode::Proxy, &accepted);
    assert!(told.contains("writer.snapshot"), "{told}");
    assert_eq!(contents(&data), before);
}

/// Every file below a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let inside = |path: PathBuf| {
        if path.is_dir() {
            contents(&path)
        } else {
            let content = fs::read(&path).expect("read");
            vec![(path, content)]
        }
    };
    files(folder).into_iter().flat_map(inside).collect()
}

/// The name of a party was shown as erased, and invoices were issued so, when its key was only missing.
#[test]
fn a_key_ring_that_is_older_than_the_log_is_refused() {
    let room = tempfile::tempdir().expect("a folder");
    let (data, kept) = (room.path().join("data"), room.path().join("kept"));
    fs::create_dir(&data).expect("made");
    sample(&data);
    let keys = data.join(KEYS);
    copy(&keys, &kept);
    let engine = open(&data);
    let register = |engine: &Engine| {
        let name = engine.keys.seal(engine.keys.fresh().expect("a key"), b"somebody").expect("sealed");
        let party = RegisterParty { name, time_zone: TimeZone::UTC, description: None };
        submit(engine, Command::RegisterParty(party));
    };
    register(&engine);
    engine.shut_down().unwrap();
    drop(engine);
    fs::remove_dir_all(&keys).expect("it was there");
    copy(&kept, &keys);
    let clock = Arc::new(ManualClock::new(at(NOW)));
    let refused = Engine::open(Open {
        data: &data,
        mode: Mode::Proxy,
        clock,
        master_key: None,
        progress: &unwatched,
        accept: &accepted,
    });
    let told = refused.err().expect("it is refused").to_string();
    assert!(told.contains("the keys of 0 instances and 1 parties are missing"), "{told}");
}
