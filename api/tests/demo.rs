//! The demo, as a newcomer runs it: what it prints, and that all of it can be derived again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

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
fn the_demo_plays_the_same_months_every_time() {
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

    // Another seed is other months; the same folder is not played over.
    let again = slapledger(&["demo", "--no-serve", "--seed", "7"], folder.path());
    assert!(again.status.success());
    let (first, again) = (text(&played.stdout, folder.path()), text(&again.stdout, folder.path()));
    assert!(again.starts_with("the demo in this folder was played before"), "{again}");
    let table =
        |text: &str| text.lines().filter(|line| line.contains("INV-")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(table(&first), table(&again));
    assert_eq!(table(&first).len(), 16);
    // What the issue of the pages asks about.
    assert!(
        first.lines().any(|line| line.contains("INV-2026-000015") && line.contains(" 29.88 ")),
        "{first}"
    );

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
        plain.starts_with("       1  2026-08-28T08:00:00Z") && plain.contains("LedgerCreated"),
        "{plain}"
    );
}

/// A demo that is served; killed when it is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a line in a shell that knows nothing of the demo but what the line says.
fn shell(line: &str, folder: &Path, url: Option<&str>) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    for name in ["SLAPLEDGER_CATALOGUE", "SLAPOS_CLIENT_CONFIGURATION", "SLAPLEDGER_URL"] {
        command.env_remove(name);
    }
    command.envs(url.map(|url| ("SLAPLEDGER_URL", url)));
    command.output().expect("a shell")
}

/// `slapledger log` as it was printed did not work: the demo had the folder open.
#[test]
fn commands_that_a_served_demo_prints_work_while_it_serves() {
    let (folder, elsewhere) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut demo = Command::new(env!("CARGO_BIN_EXE_slapledger"));
    demo.args(["demo", "--listen", "127.0.0.1:0", "--data", "it's here"]).current_dir(folder.path());
    let mut served = Served(demo.stdout(Stdio::piped()).spawn().expect("the binary runs"));
    let lines = BufReader::new(served.0.stdout.take().expect("its output")).lines();
    let mut commands = Vec::new();
    for line in lines.map_while(Result::ok) {
        if let Some(command) = line.strip_prefix("  /") {
            commands.push(format!("/{command}"));
            if command.contains(" console ") {
                break;
            }
        }
    }
    let printed = |word: &str| {
        let command = commands.iter().find(|command| command.contains(&format!(" {word} ")));
        command.unwrap_or_else(|| panic!("{word} is not among {commands:?}")).clone()
    };
    let ends_well = |line: &str, url| {
        let output = shell(line, elsewhere.path(), url);
        let (said, errors) = (text(&output.stdout, folder.path()), text(&output.stderr, folder.path()));
        assert!(output.status.success(), "{line}: {said}{errors}");
        said
    };
    assert!(printed("explain").contains("slapledger explain INV-2026-000001/2 --url "));
    assert!(ends_well(&printed("explain"), None).contains("INV-2026-000001 line 2"));
    assert_eq!(ends_well(&printed("log"), None).lines().count(), 20);
    assert!(ends_well(&printed("rebuild"), None).contains("equal to what was kept"));
    // A node of the demo has started it before the command is answered.
    let requested = ends_well(&printed("request"), None);
    assert!(requested.contains("  url  https://softinst-"), "{requested}");
    ends_well(&printed("console"), None);

    // The slides: the short names are products of the master.
    let url = printed("log").rsplit(' ').next().expect("an address").to_owned();
    let program = env!("CARGO_BIN_EXE_slapledger");
    let slides = "kvm_instance = request(kvm, \'i3\')\nmysql_instance = request(mysql, \'i4\')\n\
                  kvm_instance.getParameter(\'url\')\nmysql_instance.getParameter(\'url\')\n\
                  kvm_instance.getStatus()\n";
    std::fs::write(elsewhere.path().join("slides.py"), slides).expect("written");
    let said = ends_well(&format!("{program} console slides.py"), Some(&url));
    let urls: Vec<_> = said.lines().filter(|line| line.contains("https://softinst-")).collect();
    assert!(urls.len() == 2 && urls[0] != urls[1] && said.ends_with("'started'\n"), "{said}");

    // Commands that read ask the server that the environment names.
    assert_eq!(ends_well(&format!("{program} log --limit 3"), Some(&url)).lines().count(), 3);
    assert!(ends_well(&format!("{program} rebuild inventory"), Some(&url)).contains("inventory"));
    // What the command line names goes first.
    let other = shell(&format!("{program} log --data nowhere"), elsewhere.path(), Some(&url));
    assert_eq!(
        text(&other.stderr, folder.path()),
        "slapledger: there is no ledger in nowhere; --data names its folder\n"
    );
    let in_use = shell(&format!("{program} log --data \"it's here\""), folder.path(), None);
    assert!(text(&in_use.stderr, folder.path()).contains("add --url, or set SLAPLEDGER_URL"), "{in_use:?}");
    assert_eq!(in_use.status.code(), Some(1));
    // The file of SLAP clients names the master and the software.
    let file =
        std::fs::read_to_string(folder.path().join("it's here/slapos-client.cfg")).expect("it was written");
    assert!(file.contains(&format!("master_url = {url}/\n")) && file.contains("\n  kvm https://"), "{file}");
}

/// `slapledger request i1 kvm` found neither software nor a partition on a fresh proxy.
#[test]
fn a_fresh_proxy_prints_what_makes_a_request_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_slapledger"));
    proxy.args(["proxy", "--listen", "127.0.0.1:0", "--data", "data"]).current_dir(folder.path());
    let mut served = Served(proxy.stdout(Stdio::piped()).spawn().expect("the binary runs"));
    let lines = BufReader::new(served.0.stdout.take().expect("its output")).lines();
    let commands: Vec<_> =
        lines.map_while(Result::ok).filter(|line| line.starts_with("  /")).take(2).collect();
    let run = |line: &str| {
        let output = shell(line, folder.path(), None);
        (output.status.code(), text(&output.stdout, folder.path()))
    };
    assert!(commands[0].contains(" computer example computer --url "), "{commands:?}");
    assert!(commands[1].contains(" request i1 kvm --url "), "{commands:?}");
    assert_eq!(run(&commands[1]).0, Some(1), "there is no kvm yet");
    let (status, said) = run(&commands[0]);
    assert!(status == Some(0) && said.starts_with("computer offers 10 partitions\n"), "{said}");
    let (status, said) = run(&commands[1]);
    assert!(
        status == Some(0) && said.starts_with("i1 is requested: started on computer slappart0\n"),
        "{said}"
    );
    // Again, it changes nothing.
    assert_eq!(run(&commands[0]), (Some(0), "computer has 10 partitions\n".to_owned()));
}

#[test]
fn a_busy_port_is_reported_before_the_month_is_played() {
    let folder = tempfile::tempdir().expect("a folder");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = busy.local_addr().expect("an address").to_string();
    let refused = slapledger(&["demo", "--listen", &address], folder.path());
    let error = text(&refused.stderr, folder.path());
    assert!(
        error.starts_with(&format!("slapledger: listen on {address}: choose another address")),
        "{error}"
    );
    assert_eq!((refused.status.code(), text(&refused.stdout, folder.path())), (Some(1), String::new()));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is played");
}

/// `slapledger log 2>&1 | head -4` aborted: a macro of the standard library panicked, and so did the report of that.
#[test]
fn nobody_has_to_read_what_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    assert!(slapledger(&["demo", "--no-serve"], folder.path()).status.success());
    let data = folder.path().to_str().expect("a path");
    let rows: &[(&[&str], i32)] = &[
        (&["log", "--data", data], 0),
        (&["log", "--json", "--data", data], 0),
        (&["verify", "--data", data], 0),
        (&["verify", "--deep", "--data", data], 0),
        (&["rebuild", "--data", data], 0),
        (&["explain", "INV-2026-000001", "--data", data], 0),
        (&["keys", "show", "--data", data], 0),
        (&["demo", "--no-serve", "--data", data], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["console", "-c", "11", "--url", "http://127.0.0.1:1"], 0),
        (&["log", "--data", "/none"], 1),
        (&["log", "--after", "x"], 2),
        (&["log"], 75),
        (&["request", "i1", "https://example.org/kvm/software.cfg"], 75),
        (&["request", "i1", "kvm"], 75),
        (&["backup", "backup"], 75),
        (&["console", "-c", "request(kvm, 'i1')"], 75),
        (&["service"], 2),
    ];
    for (arguments, expected) in rows {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
        command.args(*arguments).env("RUST_LOG", "trace").env("SLAPLEDGER_URL", "http://127.0.0.1:1");
        command.current_dir(elsewhere.path()).stdin(Stdio::null());
        command.stdout(writer.try_clone().expect("a copy")).stderr(writer);
        drop(reader);
        let ended = command.status().expect("the binary runs");
        assert_eq!(ended.code(), Some(*expected), "{arguments:?}: {ended}");
    }
}

#[test]
fn logs_have_a_level_and_a_form() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(slapledger(&["demo", "--no-serve"], folder.path()).status.success());
    let logged = |arguments: &[&str], filter: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
        command.args(arguments).arg("--data").arg(folder.path()).env("RUST_LOG", filter);
        let output = command.output().expect("the binary runs");
        assert!(output.status.success(), "{}", text(&output.stderr, folder.path()));
        let errors = text(&output.stderr, folder.path());
        errors
            .lines()
            .filter(|line| line.starts_with('{') || line.contains("INFO"))
            .map(str::to_owned)
            .collect()
    };
    let plain: Vec<String> = logged(&["demo", "--no-serve"], "info");
    assert!(plain.iter().any(|line| line.contains("INFO")), "{plain:?}");
    let quiet: Vec<String> = logged(&["demo", "--no-serve", "--log-level", "error"], "info");
    assert!(quiet.is_empty(), "the command line goes first: {quiet:?}");
    let json: Vec<String> =
        logged(&["demo", "--no-serve", "--log-level", "info", "--log-format", "json"], "off");
    assert!(!json.is_empty());
    for line in &json {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(line["level"].is_string() && line["fields"]["message"].is_string(), "{line}");
    }
}
