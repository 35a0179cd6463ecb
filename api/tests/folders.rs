//! Folders that no server is using: what reads them writes nothing, and what is missing at the end of a log is noticed by
//! every command.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempDir;

fn command(line: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
    command.args(line.split(' ')).arg("--data").arg(data).env_clear().env("HOME", data).env("NO_COLOR", "1");
    command
}

fn run(line: &str, data: &Path) -> Output {
    command(line, data).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What a command that succeeds prints, and what it says beside that.
#[track_caller]
fn done(line: &str, data: &Path) -> (String, String) {
    let ended = run(line, data);
    assert!(ended.status.success(), "{line}: {}", text(&ended.stderr));
    (text(&ended.stdout), text(&ended.stderr))
}

fn demo() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    done("demo --no-serve", folder.path());
    folder
}

/// All files and folders below one: what is in them, and when they were last written to.
fn content(folder: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let modified = |path: &Path| fs::metadata(path).and_then(|it| it.modified()).expect("a time");
        found.insert(folder.clone(), (modified(&folder), Vec::new()));
        for entry in fs::read_dir(folder).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), (modified(&path), fs::read(&path).expect("read")));
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    fs::set_permissions(to, fs::metadata(from).expect("it is there").permissions()).expect("set");
    for entry in fs::read_dir(from).expect("listed") {
        let (from, to) = {
            let entry = entry.expect("an entry");
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(drop).expect("copied") }
    }
}

#[track_caller]
fn assert_same(before: &BTreeMap<PathBuf, (SystemTime, Vec<u8>)>, folder: &Path, line: &str) {
    let after = content(folder);
    let names = |all: &BTreeMap<PathBuf, _>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(&after), "{line}");
    for (path, (modified, bytes)) in before {
        let (modified_then, bytes_then) = &after[path];
        assert!(bytes == bytes_then, "{line} changed {}", path.display());
        assert_eq!(modified, modified_then, "{line} wrote to {}", path.display());
    }
}

#[test]
fn a_project_that_does_not_exist_is_refused() {
    let folder = demo();
    let ended = run("invoice list --project PROJ-9", folder.path());
    assert_eq!((ended.status.code(), text(&ended.stdout)), (Some(1), String::new()));
    let said = text(&ended.stderr);
    assert!(said.contains("--project:") && said.contains("no project PROJ-9"), "{said}");
    done("invoice list --project PROJ-1", folder.path());
}

#[test]
fn a_newer_format_is_not_called_damage() {
    let folder = demo();
    let tails =
        fs::read_dir(folder.path().join("log")).expect("listed").map(|entry| entry.expect("an entry").path());
    let tail = tails.filter(|path| path.to_string_lossy().contains("tail")).max().expect("a tail");
    let mut bytes = fs::read(&tail).expect("read");
    // The version is the last byte of the magic at its beginning (docs/format.md).
    bytes[7] += 1;
    fs::write(&tail, bytes).expect("written");
    let ended = run("verify", folder.path());
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("has a newer format") && !said.contains("NOT whole"), "{said}");
}

/// The commands that only read, as they read a folder or its server.
const READS: [&str; 25] = [
    "explain INV-2026-000001 --json",
    "explain INV-2026-000001/1 --json --events 5",
    "invoice list --json",
    "invoice show INV-2026-000001 --json",
    "invoice runs --json",
    "invoice preview 2026-10-01/2026-11-01 --json",
    "invoice diff RUN-1 --json",
    "price-book list --json",
    "price-book show standard --json",
    "party list --json",
    "party show PARTY-2 --json",
    "credit list --json",
    "charge list --json",
    "discount list --json",
    "user list --json",
    "token list --json",
    "project list --json",
    "journal --json",
    "journal --format hledger",
    "trial-balance --json",
    "accounts list --json",
    "accounts periods",
    "usage gaps 2026-10-01/2026-11-01 --json",
    "computer list --json",
    "service list --json",
];

/// The first final invoice of the demo.
const INVOICE: &str = "INV-2026-000001";

#[test]
fn what_reads_a_folder_writes_nothing_in_it_and_says_where_its_log_ends() {
    let folder = demo();
    let before = content(folder.path());
    let lines = ["log --limit 3", "rebuild", "rebuild access --json", "explain INV-2026-000001"];
    for line in lines.into_iter().chain(READS) {
        let (out, err) = done(line, folder.path());
        assert!(!out.is_empty());
        assert!(err.starts_with("the log ends at sequence "), "{line}: {err}");
        assert!(err.contains(", recorded 2026-") && err.lines().count() == 1, "{line}: {err}");
        assert_same(&before, folder.path(), line);
    }
    // What cannot be done changes nothing either.
    for line in ["explain INV-2026-999999", "rebuild accounts"] {
        assert!(!run(line, folder.path()).status.success());
        assert_same(&before, folder.path(), line);
    }
    // Nor does a folder that somebody else may be writing a snapshot in lose what it has of one.
    fs::write(folder.path().join("state/slap.snapshot.new"), "half").expect("written");
    let before = content(folder.path());
    done("explain INV-2026-000001", folder.path());
    assert_same(&before, folder.path(), "explain beside half a snapshot");
}

#[test]
fn a_folder_without_its_keys_or_its_caches_is_still_explained() {
    let folder = demo();
    let (whole, _) = done(&format!("explain {INVOICE} --json"), folder.path());
    for lost in ["state", "index"] {
        fs::remove_dir_all(folder.path().join(lost)).expect("it was there");
    }
    let (offline, _) = done(&format!("explain {INVOICE} --json"), folder.path());
    assert_eq!(offline, whole);
    assert!(!folder.path().join("state").exists() && !folder.path().join("index").exists());
    fs::remove_file(folder.path().join("keys/master")).expect("it was there");
    let (_, err) = done(&format!("explain {INVOICE} --json"), folder.path());
    assert!(err.contains("names and parameters are withheld"), "{err}");
}

#[test]
fn a_folder_answers_what_its_server_answers() {
    let folder = demo();
    let read = |out: &str| -> Value {
        let Ok(mut read) = serde_json::from_str::<Value>(out) else { return out.into() };
        // A server begins with an event of its own.
        if let Some(members) = read.as_object_mut() {
            members.remove("sequence");
        }
        read
    };
    let mut serving =
        command("demo --listen 127.0.0.1:0", folder.path()).stdout(Stdio::piped()).spawn().expect("runs");
    let mut said = BufReader::new(serving.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let url =
        said.find_map(|line| Some(line.strip_prefix("serving   ")?.split_whitespace().next()?.to_owned()));
    let url = url.expect("it serves");
    let ask = |line: &str| {
        let asked = Command::new(env!("CARGO_BIN_EXE_slapledger"))
            .args(line.split(' '))
            .args(["--url", url.trim_end_matches('/')])
            .env_clear()
            .env("HOME", folder.path())
            .output()
            .expect("the binary runs");
        assert!(asked.status.success(), "{}", text(&asked.stderr));
        text(&asked.stdout)
    };
    // A server accepts usage whose time has come; a folder alone does not.
    while ask("usage suspended --json").contains("\"reason\": \"future\"") {}
    let online = READS.map(|line| (line, read(&ask(line))));
    // And the folder is refused while it is served.
    let in_use = run(READS[0], folder.path());
    let _ = serving.kill();
    let _ = serving.wait();
    assert!(!in_use.status.success());
    assert!(text(&in_use.stderr).contains("in use"), "{}", text(&in_use.stderr));
    let offline = READS.map(|line| (line, read(&done(line, folder.path()).0)));
    for (served, alone) in online.iter().zip(&offline) {
        assert_eq!(served, alone);
    }
}

#[test]
fn a_folder_on_the_command_line_goes_before_a_server_of_the_environment() {
    let folder = demo();
    let nobody = ("SLAPLEDGER_URL", "http://127.0.0.1:1");
    let read = command("invoice list", folder.path()).env(nobody.0, nobody.1).output().expect("it runs");
    assert!(read.status.success(), "{}", text(&read.stderr));
    let both = run("invoice list --url http://127.0.0.1:1", folder.path());
    assert!(text(&both.stderr).contains("cannot be used with"), "{}", text(&both.stderr));
    // What writes takes no folder.
    let wrote = run("invoice run 2026-10-01/2026-11-01", folder.path());
    assert!(text(&wrote.stderr).contains("unexpected argument '--data'"), "{}", text(&wrote.stderr));
}

/// A log that lost its end used to be opened without a word, beside a snapshot that knew more.
#[test]
fn every_command_notices_that_events_are_missing() {
    let room = tempfile::tempdir().expect("a folder");
    let (data, old) = (room.path().join("data"), room.path().join("old"));
    done("init", &data);
    copy(&data.join("log"), &old);
    for _ in 0..3 {
        done("token issue --role admin --all-projects", &data);
    }
    fs::remove_dir_all(data.join("log")).expect("it was there");
    copy(&old, &data.join("log"));
    let lines = [
        "log",
        "rebuild",
        "explain INV-2026-000001",
        "keys show",
        "keys rotate",
        "token issue --role admin --all-projects",
        "init",
        "serve --plain-http --listen 127.0.0.1:0",
    ];
    let refused = |line: &str, expected: &str| {
        let ended = run(line, &data);
        let err = text(&ended.stderr);
        assert!(!ended.status.success(), "{line}");
        assert!(err.contains(expected), "{line}: {err}");
    };
    for line in lines {
        refused(line, "events are missing; restore the log from a backup");
    }
    refused("log", "but state/writer.snapshot knows ");
    // Each of them is a witness; one that is damaged is none.
    let damage = |name: &str| {
        let path = data.join(name);
        let mut bytes = fs::read(&path).expect("it is there");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes).expect("written");
    };
    damage("state/writer.snapshot");
    refused("log", "but index/manifest-");
    for manifest in fs::read_dir(data.join("index")).expect("listed") {
        let name = manifest.expect("an entry").file_name().into_string().expect("a name");
        if name.starts_with("manifest-") {
            damage(&format!("index/{name}"));
        }
    }
    for view in ["slap", "billing", "access"] {
        refused("log", ".snapshot knows ");
        damage(&format!("state/{view}.snapshot"));
    }
    let (_, err) = done("token issue --role admin --all-projects", &data);
    for name in ["writer", "slap", "billing", "access"] {
        let told = format!("state/{name}.snapshot is damaged");
        let lines: Vec<_> = err.lines().filter(|line| line.contains(&told)).collect();
        assert_eq!(lines.len(), 1, "{err}");
        assert!(lines[0].contains("rebuilt from the log in "), "{err}");
    }
    assert_eq!(done("token issue --role admin --all-projects", &data).1, "", "they were made anew");
}

/// Caches of another log are no caches of this one.
#[test]
fn a_log_is_not_opened_beside_the_caches_of_another() {
    let room = tempfile::tempdir().expect("a folder");
    let (here, there) = (room.path().join("here"), room.path().join("there"));
    done("init", &here);
    done("init", &there);
    for cache in ["state", "index"] {
        fs::remove_dir_all(here.join(cache)).expect("it was there");
        copy(&there.join(cache), &here.join(cache));
    }
    let refused = run("log", &here);
    let err = text(&refused.stderr);
    assert!(!refused.status.success() && err.contains("it is another log; restore"), "{err}");
    for cache in ["state", "index"] {
        fs::remove_dir_all(here.join(cache)).expect("it was there");
    }
    done("log", &here);
    // What is left of a ledger is no place to begin another.
    copy(&there.join("state"), &here.join("state"));
    for lost in ["log", "keys"] {
        fs::remove_dir_all(here.join(lost)).expect("it was there");
    }
    let refused = run("proxy --listen 127.0.0.1:0", &here);
    let err = text(&refused.stderr);
    assert!(!refused.status.success() && err.contains("events are missing"), "{err}");
    assert!(!here.join("log").exists() && !here.join("keys").exists());
}
