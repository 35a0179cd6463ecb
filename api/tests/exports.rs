//! Exports, imports and proofs on the command line: whole or not there, and never in the place of something else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder in which commands are run, with the data folder of a demo.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        place.done("demo --no-serve --data ledger");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
        command.args(line.split(' ')).current_dir(self.0.path()).env_clear().env("HOME", self.0.path());
        command.output().expect("the binary runs")
    }

    #[track_caller]
    fn done(&self, line: &str) -> String {
        let ended = self.run(line);
        assert!(ended.status.success(), "{line}: {}", text(&ended.stderr));
        text(&ended.stdout)
    }

    #[track_caller]
    fn refused(&self, line: &str, cause: &str) {
        let ended = self.run(line);
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains(cause), "{line}: {said}");
    }

    /// What is in the folder, but for the ledger.
    fn names(&self) -> Vec<String> {
        let listed = fs::read_dir(self.0.path()).expect("listed");
        let mut names: Vec<String> =
            listed.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
        names.retain(|name| name != "ledger");
        names.sort();
        names
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn an_export_is_for_its_owner_and_replaces_nothing() {
    let place = Place::new();
    place.done("export all --data ledger");
    assert_eq!((mode(&place.path("all")), place.names()), (0o600, vec!["all".to_owned()]));
    fs::write(place.path("mine"), "mine").expect("written");
    for line in ["export mine --data ledger", "proof INV-2026-000001 mine --data ledger"] {
        place.refused(line, "mine is there already, and is not replaced");
        assert_eq!(fs::read(place.path("mine")).expect("read"), b"mine");
    }
    place.refused("export no/folder --data ledger", "write no/folder");
    place.done("proof INV-2026-000001 proof --data ledger");
    assert_eq!(mode(&place.path("proof")), 0o600);
    // A proof that is refused leaves no file.
    place.refused("proof INV-2026-999999 none --data ledger", "there is no invoice INV-2026-999999");
    assert_eq!(place.names(), ["all", "mine", "proof"]);
    place.refused(
        "export none --project PROJ-77 --data ledger",
        "--project PROJ-77: the log has no events of it",
    );
    place.refused("diff --from 99999999 --data ledger", "--from 99999999: the log ends at sequence ");
    place.refused("diff --from 5 --to 99999999 --data ledger", "--to 99999999: the log ends at sequence ");
    let all = place.done("diff --from 0 --data ledger");
    let some = place.done("diff --from 3 --to 7 --data ledger");
    assert!(all.contains(" streams after sequence 0, up to "), "{all}");
    assert!(some.contains("4 events in ") && some.contains(" after sequence 3, up to 7"), "{some}");
    let lines = place.done("export some.ndjson --ndjson --after 3 --until 7 --data ledger");
    assert!(lines.contains("4 events, up to sequence 7"), "{lines}");
    assert_eq!(fs::read_to_string(place.path("some.ndjson")).expect("text").lines().count(), 4);
}

#[test]
fn an_import_is_whole_and_removes_nothing_of_others() {
    let place = Place::new();
    place.done("export all --data ledger");
    let whole = fs::read(place.path("all")).expect("read");
    fs::write(place.path("half"), &whole[..whole.len() / 2]).expect("written");
    place.refused("import half copy", "the file ends in the middle: copy or write it again");
    place.refused("verify half", "the file ends in the middle: copy or write it again");
    assert_eq!(place.names(), ["all", "half"]);
    // What somebody else has beside the target is not what an import left.
    fs::create_dir(place.path("copy.new")).expect("created");
    fs::write(place.path("copy.new/mine"), "mine").expect("written");
    place.refused("import all copy", "is in the way and was not left by a restore or an import");
    assert_eq!(fs::read(place.path("copy.new/mine")).expect("read"), b"mine");
    // What an import that was killed left is removed.
    fs::write(place.path("copy.new/restore.unfinished"), "").expect("written");
    place.refused("import all copy --keys-of nowhere", "--keys-of nowhere: no keys are there");
    place.done("init --data other");
    place.refused("import all copy --keys-of other", "--keys-of other: its key ring is of another ledger");
    fs::remove_dir_all(place.path("other")).expect("removed");
    assert_eq!(place.names(), ["all", "half"]);
    place.done("import all copy --keys-of ledger");
    assert_eq!(place.names(), ["all", "copy", "half"]);
    let checked = place.done("verify --data copy");
    assert!(checked.contains("copy is whole"), "{checked}");
    for (name, expected) in [("copy", 0o700), ("copy/keys", 0o700), ("copy/signing.key", 0o600)] {
        assert_eq!(mode(&place.path(name)), expected, "{name}");
    }
    place.refused("import all copy", "copy exists and is not empty");
    // A mount point is empty, and stays.
    fs::create_dir(place.path("mount")).expect("created");
    place.done("import all mount --keys-of ledger");
    assert!(place.done("verify --data mount").contains("mount is whole"));
    assert_eq!(place.names(), ["all", "copy", "half", "mount"]);
}
