//! Damage in caches, beside the store that is used in production.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slapledger_core::domain::computer::RegisterComputer;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::usage::{RecordUsage, Revision, UsageId, UsageOutcome, UsageReport};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::log::envelope::Actor;
use slapledger_projections::Part;

use super::{INDEX, LOG, STATE, end_of};
use crate::access::FIRST_PARTY;
use crate::app::{App, Open};
use crate::clock::ManualClock;
use crate::http::testkit::at;

const NOW: &str = "2026-10-05T00:00:00Z";
const IDS: std::ops::Range<u64> = 0..60;

fn open(data: &Path) -> App {
    let clock = Arc::new(ManualClock::new(at(NOW)));
    App::open(Open { data, mode: Mode::Proxy, clock, master_key: None }).expect("a cache refuses nothing")
}

fn submit(app: &App, command: Command) -> Answer {
    app.submit_own(Actor::system(), command).expect("it is carried out").answer
}

/// Usage of a computer with these identities, all else alike.
fn usage(app: &App, ids: impl IntoIterator<Item = u64>) -> Vec<UsageOutcome> {
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
    match submit(app, Command::RecordUsage(RecordUsage { computer, reports })) {
        Answer::Usage(outcomes) => outcomes,
        other => panic!("{other:?}"),
    }
}

fn are_duplicates(outcomes: &[UsageOutcome]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, UsageOutcome::Duplicate(_)))
}

/// A folder with usage in it, whose program was shut down twice.
fn sample(data: &Path) {
    let app = open(data);
    let name = app.keys.seal(app.keys.fresh().expect("a key"), b"somebody").expect("sealed");
    submit(&app, Command::RegisterParty(RegisterParty { name, time_zone: TimeZone::UTC, description: None }));
    let computer = ComputerId::new("COMP-1").expect("an id");
    let register = RegisterComputer { computer, owner: FIRST_PARTY, time_zone: TimeZone::UTC };
    submit(&app, Command::RegisterComputer(register));
    usage(&app, 0..30);
    app.shut_down().unwrap();
    drop(app);
    let app = open(data);
    assert!(!are_duplicates(&usage(&app, 30..IDS.end)));
    app.shut_down().unwrap();
}

/// What all views hold, in short.
fn parts(app: &App) -> Vec<Part> {
    let head = app.ledger.head().last;
    app.slap.read_at_blocking(head, |_, _| ()).expect("reached");
    app.billing.read_at_blocking(head, |_, _| ()).expect("reached");
    app.access.read_at_blocking(head, |_, _| ()).expect("reached");
    [app.slap.parts().0, app.billing.parts().0, app.access.parts().0].concat()
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
        let app = open(&here);
        let known = usage(&app, IDS);
        assert!(are_duplicates(&known));
        let expected = parts(&app);
        app.shut_down().unwrap();
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
            let app = open(&here);
            let known = usage(&app, IDS);
            assert!(are_duplicates(&known), "{shown}: {known:?}");
            assert_eq!(parts(&app), expected, "{shown}");
            assert!(!are_duplicates(&usage(&app, [IDS.end])), "{shown}");
            assert_eq!(app.ledger.fault(), None, "{shown}");
            // Views are snapshotted by their own threads: nobody is left in the folder when it goes.
            app.shut_down().unwrap();
        }
    }
}

/// The damage is met while it is used: a writer that stopped had to be started again, which did not help.
#[test]
fn an_index_that_is_damaged_while_it_is_used_is_made_anew() {
    let room = tempfile::tempdir().expect("a folder");
    sample(room.path());
    let app = open(room.path());
    // The first data block of every run: nothing else of it is read again.
    for run in files(&room.path().join(INDEX)) {
        if run.extension().is_some_and(|extension| extension == "seen") {
            let mut bytes = fs::read(&run).expect("read");
            bytes[4096 + 7] ^= 1;
            fs::write(&run, bytes).expect("written");
        }
    }
    let known = usage(&app, IDS);
    assert!(are_duplicates(&known), "{known:?}");
    assert!(!are_duplicates(&usage(&app, [IDS.end])));
    assert_eq!(app.ledger.fault(), None);
    let expected = parts(&app);
    app.shut_down().unwrap();
    drop(app);
    let app = open(room.path());
    assert!(are_duplicates(&usage(&app, IDS)));
    assert_eq!(parts(&app), expected);
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
    let app = App::open_read_only(room.path(), Arc::new(ManualClock::new(at(NOW))), None).expect("opens");
    let last = app.ledger.head().last;
    let told = end_of(&**app.ledger.store()).expect("read");
    assert_eq!(told, format!("the log ends at sequence {last}, recorded {NOW}"));
    assert!(last > Sequence(60) && app.mode == Mode::Proxy);
    let computer = ComputerId::new("COMP-2").expect("an id");
    let register = RegisterComputer { computer, owner: FIRST_PARTY, time_zone: TimeZone::UTC };
    let refused = app.submit_own(Actor::system(), Command::RegisterComputer(register));
    let refused = refused.expect_err("nothing is written").to_string();
    assert!(refused.contains("it was opened to be read"), "{refused}");
    drop(app);
    assert!(room.path().join(LOG).is_dir());
}
