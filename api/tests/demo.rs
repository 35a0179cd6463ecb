//! The demo, as a newcomer runs it: what it prints, and that all of it can be derived again.

use std::path::Path;
use std::process::{Command, Output};

fn slapledger(arguments: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_slapledger"))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8], data: &Path) -> String {
    String::from_utf8(bytes.to_vec()).expect("text").replace(&data.display().to_string(), "[data]")
}

#[test]
fn the_demo_plays_the_same_month_every_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let played = slapledger(&["demo", "--no-serve"], folder.path());
    assert!(played.status.success(), "{}", text(&played.stderr, folder.path()));
    assert_eq!(text(&played.stderr, folder.path()), "");
    insta::assert_snapshot!("demo", text(&played.stdout, folder.path()));

    let rebuilt = slapledger(&["rebuild", "--json"], folder.path());
    assert!(rebuilt.status.success(), "{}", text(&rebuilt.stderr, folder.path()));
    let rebuilt: serde_json::Value = serde_json::from_slice(&rebuilt.stdout).expect("JSON");
    let items = rebuilt["items"].as_array().expect("items");
    let names: Vec<_> = items.iter().map(|item| item["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["inventory", "instances", "catalogue", "metering", "billing", "journal", "access"]);
    for item in items {
        assert_eq!(item["digest"], item["before"], "{item}");
    }

    // Another seed is another month; the same folder is not played over.
    let again = slapledger(&["demo", "--no-serve", "--seed", "7"], folder.path());
    assert!(again.status.success());
    let (first, again) = (text(&played.stdout, folder.path()), text(&again.stdout, folder.path()));
    assert!(again.starts_with("the demo in this folder was played before"), "{again}");
    let table =
        |text: &str| text.lines().filter(|line| line.contains("INV-")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(table(&first), table(&again));
    assert_eq!(table(&first).len(), 9);

    let other = tempfile::tempdir().expect("a folder");
    let other_seed = slapledger(&["demo", "--no-serve", "--seed", "7"], other.path());
    assert_ne!(table(&first), table(&text(&other_seed.stdout, other.path())));
}

#[test]
fn a_projection_that_was_tampered_with_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(slapledger(&["demo", "--no-serve"], folder.path()).status.success());
    // The snapshot is damaged: it is discarded, and nothing is there to compare with.
    let snapshot = folder.path().join("state/slap.snapshot");
    let mut bytes = std::fs::read(&snapshot).expect("a snapshot was taken");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&snapshot, bytes).expect("is written");
    let rebuilt = slapledger(&["rebuild", "instances", "--json"], folder.path());
    assert!(rebuilt.status.success());
    let rebuilt: serde_json::Value = serde_json::from_slice(&rebuilt.stdout).expect("JSON");
    assert_eq!(rebuilt["items"][0]["before"], serde_json::Value::Null);
}

#[test]
fn errors_are_one_readable_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("nothing");
    let rows: &[(&[&str], &str)] = &[
        (&["log"], "slapledger: there is no ledger in [data]; --data names its folder\n"),
        (&["rebuild"], "slapledger: there is no ledger in [data]; --data names its folder\n"),
        (
            &["proxy", "--listen", "0.0.0.0:5000"],
            "slapledger: --listen 0.0.0.0:5000: proxy has no sign-in and listens on loopback alone\n",
        ),
        (&["proxy", "--computer", ""], "slapledger: --computer must not be empty\n"),
        (
            &["log", "--after", "x"],
            "slapledger: invalid value 'x' for '--after <N>': invalid digit found in string; --help says what there \
             is\n",
        ),
    ];
    for (arguments, expected) in rows {
        let output = slapledger(arguments, &empty);
        assert!(!output.status.success(), "{arguments:?}");
        assert_eq!(text(&output.stderr, &empty), *expected, "{arguments:?}");
        assert_eq!(text(&output.stdout, &empty), "", "{arguments:?}");
        assert!(!empty.exists(), "{arguments:?} made the folder");
    }
    let unknown = {
        assert!(slapledger(&["demo", "--no-serve"], folder.path()).status.success());
        slapledger(&["rebuild", "accounts"], folder.path())
    };
    assert_eq!(text(&unknown.stderr, folder.path()), "slapledger: there is no projection accounts\n");
    let mode = slapledger(&["proxy", "--listen", "127.0.0.1:0"], folder.path());
    assert_eq!(
        text(&mode.stderr, folder.path()),
        "slapledger: the folder holds a demo ledger: use `slapledger demo --data DIR`, or another --data\n"
    );
}

/// A folder without its keys was served with new ones, and every parameter in it was shown as empty.
#[test]
fn a_folder_that_lost_its_keys_or_its_log_is_not_served() {
    for (lost, beside) in [("keys", "log"), ("log", "keys")] {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(slapledger(&["demo", "--no-serve"], folder.path()).status.success());
        std::fs::remove_dir_all(folder.path().join(lost)).expect("it was there");
        let refused = slapledger(&["demo", "--no-serve"], folder.path());
        assert!(!refused.status.success());
        let expected = format!(
            "slapledger: [data]/{lost} is missing beside [data]/{beside}; restore it from a backup\n"
        );
        assert_eq!(text(&refused.stderr, folder.path()), expected);
        assert!(!folder.path().join(lost).exists(), "{lost} is not made anew");
    }
}

/// `slapledger demo | head -1` used to end in a panic of the printing thread.
#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_slapledger"))
        .args(["demo", "--no-serve", "--data"])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(demo.stdout.take());
    let ended = demo.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", text(&ended.stderr, folder.path()));
    assert_eq!(text(&ended.stderr, folder.path()), "");
}

#[test]
fn the_log_is_printed_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(slapledger(&["demo", "--no-serve"], folder.path()).status.success());
    let lines = slapledger(&["log", "--json", "--after", "10", "--limit", "5"], folder.path());
    let text = text(&lines.stdout, folder.path());
    let sequences: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["sequence"].as_u64())
        .collect();
    assert_eq!(sequences, [Some(11), Some(12), Some(13), Some(14), Some(15)]);
    let plain = slapledger(&["log", "--limit", "1"], folder.path());
    let plain = String::from_utf8_lossy(&plain.stdout);
    assert!(
        plain.starts_with("       1  2026-09-28T08:00:00Z") && plain.contains("LedgerCreated"),
        "{plain}"
    );
}
