//! Backup, restore and repair: the binary against folders that the binary wrote, also while it writes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use slapledger_core::log::sled_store::{self, SledStore};
use slapledger_core::log::store::{Appended, EventStore as _};
use tempfile::TempDir;

/// A folder in which commands are run.
struct Place(TempDir);

/// A server; killed when it is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Ends it by SIGTERM.
    fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
        command.args(line.split(' ')).current_dir(self.0.path()).env_clear().env("HOME", self.0.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the binary runs")
    }

    #[track_caller]
    fn done(&self, line: &str) -> String {
        let ended = self.run(line);
        assert!(ended.status.success(), "{line}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).expect("text")
    }

    #[track_caller]
    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.done(line)).expect("JSON")
    }

    #[track_caller]
    fn refused(&self, line: &str, expected: &str) {
        let ended = self.run(line);
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{line}: {error}");
        assert!(error.contains(expected), "{line}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{line}: {error}");
    }

    /// A server without a bound that the load could reach: on a fast machine it sends thousands of requests a second.
    fn serve(&self, line: &str) -> Server {
        let unbounded = "[requests]\nmost_per_second = 1000000\n";
        fs::write(self.path("serve.toml"), unbounded).expect("a file");
        let mut process = self.command(line).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let url = lines.find_map(|line| {
            let line = line.expect("a line");
            let url = line.strip_prefix("serving   ")?.split_whitespace().next()?;
            Some(url.trim_end_matches('/').to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, url: url.expect("it serves") }
    }

    /// The events of a folder, a line each.
    #[track_caller]
    fn log(&self, data: &str) -> Vec<String> {
        self.done(&format!("log --data {data} --json")).lines().map(str::to_owned).collect()
    }
}

/// Parties that are registered one after the other, until it is dropped.
struct Load {
    is_over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(server: &Server, token: &str) -> Self {
        let (is_over, written) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicU64>::default());
        let threads = (0..2).map(|_| {
            let (is_over, written) = (Arc::clone(&is_over), Arc::clone(&written));
            let (url, token) = (format!("{}/v1/parties", server.url), format!("Bearer {token}"));
            std::thread::spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                while !is_over.load(Ordering::Relaxed) {
                    let request = agent.post(&url).header("authorization", &token);
                    let body = r#"{"name":"somebody","time_zone":"UTC"}"#;
                    request.content_type("application/json").send(body).expect("it is registered");
                    written.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let threads = threads.collect();
        Self { is_over, written, threads }
    }

    /// Waits until so many more were written.
    fn wait_for(&self, more: u64) {
        let (from, until) = (self.written.load(Ordering::Relaxed), Instant::now() + Duration::from_secs(120));
        while self.written.load(Ordering::Relaxed) < from + more {
            assert!(Instant::now() < until, "nothing is written");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("it wrote"));
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    // What goes while it is copied is a complaint of cp, and what the copy lacks.
    let _ = status;
}

const SERVE: &str = "serve --data data --config serve.toml --plain-http --listen 127.0.0.1:0";

#[test]
fn a_server_that_writes_is_backed_up_restored_and_served() {
    let place = Place::new();
    place.done("init --data data --token-file token");
    let server = place.serve(SERVE);
    let token = fs::read_to_string(place.path("token")).expect("a token");
    let load = Load::on(&server, token.trim());
    let mut last = 0;
    for _ in 0..3 {
        load.wait_for(20);
        let made = place.json("backup backup --data data --with-keys --json");
        assert!(made["last"].as_u64() > Some(last), "{made}");
        last = made["last"].as_u64().expect("a sequence");
    }
    // The same over HTTP, without keys.
    load.wait_for(5);
    let url = format!("--url {} --token-file token", server.url);
    let over_http = place.json(&format!("backup downloaded {url} --json"));
    load.wait_for(5);
    let again = place.json(&format!("backup downloaded {url} --json"));
    assert!(again["last"].as_u64() > over_http["last"].as_u64());
    place.refused(
        &format!("backup keyless {url} --with-keys"),
        "run `slapledger backup DEST --data DIR --with-keys`",
    );
    // A copy of the folder opens with a part of the log, or is refused with what to do.
    let mut copies = Vec::new();
    for nth in 0..4 {
        load.wait_for(10);
        let name = format!("copy-{nth}");
        copy(&place.path("data"), &place.path(&name));
        copies.push(name);
    }
    load.end();
    server.stop();
    let log = place.log("data");
    for name in copies {
        let ended = place.run(&format!("log --data {name} --json"));
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        if ended.status.success() {
            let lines: Vec<_> = std::str::from_utf8(&ended.stdout).expect("text").lines().collect();
            assert!(lines.len() > 10 && log.len() >= lines.len() && log[..lines.len()] == lines, "{name}");
        } else {
            assert!(
                error.contains("slapledger backup") || error.contains("slapledger restore"),
                "{name}: {error}"
            );
        }
    }
    for (backup, last) in [("backup", last), ("downloaded", again["last"].as_u64().expect("a sequence"))] {
        let target = format!("restored-{backup}");
        let restored = place.json(&format!("restore {backup} {target} --json"));
        assert_eq!(restored["kept"], last);
        let lines = place.log(&target);
        let kept = usize::try_from(last).expect("a number");
        assert_eq!(lines[..kept], log[..kept]);
        assert!(lines.last().expect("an event").contains("LedgerRestored"));
        place.refused(&format!("restore {backup} {target}"), "is not empty");
    }
    // With its keys it is served; without them it says what is missing.
    let server = place.serve(&SERVE.replace("data data", "data restored-backup"));
    let parties = place.done(&format!("party list --url {} --token-file token", server.url));
    assert!(parties.contains("somebody"), "{parties}");
    server.stop();
    place.refused(&SERVE.replace("data data", "data restored-downloaded"), "keys is missing");
    // The restored ledger does not go on where the newest backup ended.
    let ahead = place.run("backup downloaded --data restored-backup");
    let error = String::from_utf8_lossy(&ahead.stderr).into_owned();
    assert!(!ahead.status.success() && error.contains("keep that backup and name another folder"), "{error}");
}

/// The number of the credit note that a demo issues next.
fn next_credit_note(place: &Place, data: &str) -> String {
    let server = place.serve(&format!("demo --data {data} --listen 127.0.0.1:0"));
    let line =
        format!("invoice credit INV-2026-000001 --line 1=0.01 --reason test --url {} --json", server.url);
    let note = place.json(&line);
    server.stop();
    note["id"].as_str().expect("a number").to_owned()
}

#[test]
fn a_server_that_is_not_there_leaves_no_folder_behind() {
    let place = Place::new();
    let ended = place.run("backup copy --url http://127.0.0.1:1");
    assert!(!ended.status.success());
    assert!(!place.path("copy").exists(), "nothing is created before the server has answered");
}

#[test]
fn a_number_is_never_issued_twice() {
    let place = Place::new();
    place.done("demo --data data --no-serve");
    place.done("backup backup --data data --with-keys");
    assert_eq!(next_credit_note(&place, "data"), "INVCN-2026-000001");
    let mut issued = Vec::new();
    for target in ["one", "two"] {
        let restored = place.json(&format!("restore backup {target} --json"));
        let number = next_credit_note(&place, target);
        let mark = restored["mark"].as_str().expect("a mark");
        assert_eq!(number, format!("INVCN-{mark}-2026-000001"));
        issued.push(number);
    }
    assert_ne!(issued[0], issued[1]);
    place.done("restore backup three --last-number INVCN-2026-000001");
    assert_eq!(next_credit_note(&place, "three"), "INVCN-2026-000002");
    place.refused(
        "restore backup four --last-number INV-2026-000000",
        "last-number INV-2026-000000 is below INV-2026-0000",
    );
    place.refused(
        "restore backup four --last-number INX-2026-000001",
        "no seller issues documents of series INX",
    );
    assert!(!place.path("four").exists());
}

#[test]
fn a_ledger_is_restored_up_to_a_point() {
    let place = Place::new();
    place.done("demo --data data --no-serve");
    place.done("backup backup --data data");
    let log = place.log("data");
    let event = |line: &String| serde_json::from_str::<Value>(line).expect("an event");
    let middle = &log[log.len() / 2];
    let at = event(middle)["recorded_at"].as_str().expect("an instant").to_owned();
    let by_sequence = place.json(&format!("restore backup one --until {} --json", event(middle)["sequence"]));
    let by_instant = place.json(&format!("restore backup two --until {at} --json"));
    assert!(by_sequence["kept"].as_u64() <= event(middle)["sequence"].as_u64());
    assert!(by_instant["kept"].as_u64() >= event(middle)["sequence"].as_u64());
    for (target, report) in [("one", by_sequence), ("two", by_instant)] {
        let kept = usize::try_from(report["kept"].as_u64().expect("a sequence")).expect("a number");
        assert_eq!(place.log(target)[..kept], log[..kept]);
        let command = |line: &String| event(line)["command"].clone();
        assert_ne!(command(&log[kept - 1]), command(&log[kept]), "a command is cut");
    }
    place
        .refused("restore backup three --until yesterday", "must be a sequence such as 40213, or an instant");
    place.refused(&format!("restore backup three --until {}", log.len() + 1), "the backup ends at sequence");
    place.refused("restore nothing three", "nothing holds no backup");
    // A backup in which one bit is another is refused, and its file is named.
    let tail = place.path("backup/log/epoch-000001.tail");
    let mut bytes = fs::read(&tail).expect("a tail");
    let place_of_bit = bytes.len() / 2;
    bytes[place_of_bit] ^= 1;
    fs::write(&tail, bytes).expect("written");
    place.refused("restore backup three", "backup/log/epoch-000001.tail");
    assert!(!place.path("three").exists());
}

#[test]
fn a_backup_that_is_killed_leaves_the_one_before() {
    let place = Place::new();
    place.done("demo --data data --no-serve");
    let first = place.json("backup backup --data data --with-keys --json");
    next_credit_note(&place, "data");
    for milliseconds in [0, 1, 2, 4, 8, 16, 32, 64] {
        let mut process = place.command("backup backup --data data --with-keys");
        let mut process = process.stdout(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = process.kill();
        process.wait().expect("it ends");
        let target = format!("restored-{milliseconds}");
        let restored = place.json(&format!("restore backup {target} --json"));
        assert!(restored["kept"].as_u64() >= first["last"].as_u64());
        fs::remove_dir_all(place.path(&target)).expect("removed");
    }
    let done = place.json("backup backup --data data --json");
    assert_eq!(done["last"], place.log("data").len());
}

/// Has the epochs of a folder sealed, however short they are.
fn seal(data: &Path) {
    let options = sled_store::StoreOptions { epoch_bytes: 1, ..sled_store::StoreOptions::default() };
    let store = SledStore::open_with(&data.join("log"), options).expect("it opens");
    let (term, head) = (store.acquire().expect("a term"), store.head().expect("a head"));
    // Nothing is appended without events, so the last of the log are appended again as those of a start.
    let mut tree = slapledger_core::log::merkle::Tree::new();
    let mut decoder = slapledger_core::log::envelope::EventDecoder::default();
    let mut started = None;
    for frame in slapledger_core::log::store::read_frames(&store, slapledger_core::domain::id::Sequence::ZERO)
    {
        for (sequence, bytes) in frame.expect("a frame").events() {
            tree.push(bytes);
            let event = decoder.decode(sequence, bytes).expect("an event");
            if event.event.name() == "WriterStarted" {
                started = Some(event);
            }
        }
    }
    let started = started.expect("a start");
    let ledger = store.head().expect("a head");
    let mut event = started.clone();
    event.sequence = ledger.last.next();
    event.stream_version += 1000;
    let frames = slapledger_core::log::frame::pack(&mut tree, &[event.encode()]).expect("a short event");
    assert_eq!(store.append(term, head.last, &frames), Appended::Durable);
    let until = Instant::now() + Duration::from_secs(60);
    while store.sealed_count() == 0 {
        assert!(Instant::now() < until, "it is not sealed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_damaged_epoch_is_repaired_from_a_backup() {
    let place = Place::new();
    place.done("demo --data data --no-serve");
    seal(&place.path("data"));
    place.done("backup backup --data data");
    let log = place.log("data");
    let db = place.path("data/log/epoch-000001/db");
    let whole = fs::read(&db).expect("a database");
    let mut damaged = whole.clone();
    let middle = whole.iter().rposition(|byte| *byte != 0).expect("bytes") / 2;
    damaged[middle] ^= 1;
    fs::write(&db, &damaged).expect("written");
    let refused = place.run("log --data data");
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("slapledger repair --from BACKUP"), "{error}");
    let repaired = place.done("repair --from backup --data data");
    assert!(repaired.contains("data/log/epoch-000001/db.damaged"), "{repaired}");
    assert_eq!(fs::read(&db).expect("a database"), whole);
    assert_eq!(place.log("data"), log);
    assert!(place.done("repair --from backup --data data").starts_with("nothing to repair"));
    // Without its manifest nothing opens, and the backup has it.
    let manifest = place.path("data/log/epoch-000001.manifest");
    fs::remove_file(&manifest).expect("removed");
    assert!(!place.run("log --data data").status.success());
    let repaired = place.done("repair --from backup --data data");
    assert!(repaired.contains("epoch-000001.manifest (it was not there)"), "{repaired}");
    assert_eq!(place.log("data"), log);
    // What cannot be repaired is said, by the exit status too.
    fs::remove_file(place.path("data/log/epoch-000002.tail")).expect("removed");
    place.refused("repair --from backup --data data", "restore a backup");
}

#[test]
fn a_backup_keeps_its_keys_and_is_verified() {
    let place = Place::new();
    place.done("demo --data data --no-serve");
    place.done("backup backup --data data --with-keys");
    let printed = place.done("backup backup --data data");
    assert!(printed.contains("; --with-keys brings them up to date"), "{printed}");
    assert_eq!(place.json("backup backup --data data --json")["with_keys"], true);
    let verified = place.done("verify --data backup");
    assert!(verified.contains("backup is whole: the backup ends at sequence"), "{verified}");
    let ring = place.path("backup/private-1/keys/ring");
    let whole = fs::read(&ring).expect("a ring");
    let mut flipped = whole.clone();
    flipped[0] ^= 1;
    fs::write(&ring, flipped).expect("written");
    place.refused("verify --data backup", "backup/private-1/keys/ring");
    fs::write(&ring, whole).expect("written");
    let restored = place.json("restore backup restored --json");
    assert_eq!(restored["with_keys"], true);
    // A backup is no data folder, and nothing is written to it.
    let names = || fs::read_dir(place.path("backup/log")).expect("a folder").count();
    let before = names();
    for line in ["serve --data backup --plain-http --listen 127.0.0.1:0", "demo --data backup --no-serve"] {
        let ended = place.run(line);
        assert_eq!((ended.status.code(), names()), (Some(1), before), "{line}");
    }
    place.refused("demo --data backup --no-serve", "is a backup; restore it first");
    // One of two sources would be ignored.
    let ended = place.run("backup other --data data --url http://127.0.0.1:1");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(2) && told.contains("cannot be used with"), "{told}");
    // Neither goes into the other.
    place.refused("backup data/backup --data data", "is inside the data folder");
    place.refused("restore backup backup/new", "is inside the backup");
    // Where a shell stands, and what lies there already.
    fs::create_dir(place.path("here")).expect("a folder");
    let mut here = place.command("restore ../backup .");
    assert!(here.current_dir(place.path("here")).status().expect("it runs").success());
    assert!(place.path("here/log").is_dir() && !place.path("here/restore.unfinished").exists());
}
