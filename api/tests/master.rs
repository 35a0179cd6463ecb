//! A master with identities, as it is set up and used: the binary against the binary, over TLS.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A folder in which commands are run, with nothing of anyone who runs the tests.
struct Room(TempDir);

/// How a command ended.
#[derive(Debug)]
struct Ended {
    status: i32,
    out: String,
    err: String,
}

/// A master that serves; killed when it is dropped.
struct Serving {
    process: Child,
    url: String,
    said: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Room {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// With a master in the folder `data`, whose admin has the token in `admin.token`.
    fn made() -> Self {
        let room = Self::new();
        room.done("init --data data --token-file admin.token");
        room
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).expect("written");
        self.set_mode(name, mode);
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("set");
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).expect(name).permissions().mode() & 0o7777
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
        command.args(line.split(' ')).current_dir(self.0.path()).env_clear();
        command.env("HOME", self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Ended {
        self.run_with(line, &[])
    }

    fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Ended {
        let output = self.command(line).envs(variables.iter().copied()).output().expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let status = output.status.code().expect("it ends by itself");
        Ended { status, out: text(output.stdout), err: text(output.stderr) }
    }

    /// What a command that succeeds prints.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let ended = self.run(line);
        assert_eq!(ended.status, 0, "{line}: {ended:?}");
        ended.out
    }

    /// A command fails with one line in which this is said.
    #[track_caller]
    fn refused(&self, line: &str, expected: &str) {
        self.refused_with(line, &[], expected);
    }

    #[track_caller]
    fn refused_with(&self, line: &str, variables: &[(&str, &str)], expected: &str) {
        let Ended { status, out, err } = self.run_with(line, variables);
        let wrong_usage = err.contains("--help says what there is");
        assert_eq!(status, if wrong_usage { 2 } else { 1 }, "{line}: {out}{err}");
        assert!(err.contains(expected), "{line}: {err}");
        assert_eq!(err.trim_end().lines().count(), 1, "{line}: {err}");
    }

    fn serve(&self, line: &str) -> Serving {
        let mut process = self.command(line).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut said = String::new();
        let url = lines.find_map(|line| {
            let line = line.expect("a line");
            said.push_str(&line);
            said.push('\n');
            let url = line.strip_prefix("serving   ")?.split_whitespace().next()?;
            Some(url.trim_end_matches('/').to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        Serving { process, url: url.unwrap_or_else(|| panic!("it does not serve: {said}")), said }
    }
}

const SERVE: &str = "serve --data data --listen 127.0.0.1:0";

#[test]
fn init_makes_a_master_for_its_owner_alone() {
    let room = Room::new();
    let out = room.done("init --data data --name Acme --token-file admin.token");
    assert!(
        out.contains("token     admin.token\n") && out.contains("serve     slapledger serve --data data\n"),
        "{out}"
    );
    for (name, mode) in
        [("data", 0o700), ("data/ca", 0o700), ("data/signing.key", 0o600), ("admin.token", 0o600)]
    {
        assert_eq!(room.mode(name), mode, "{name}");
    }
    let token = fs::read_to_string(room.path("admin.token")).expect("a token");
    let files: Vec<_> = fs::read_dir(room.0.path())
        .expect("a folder")
        .map(|file| file.expect("a file").file_name())
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    // Nothing that is there is replaced.
    room.refused("init --data data", "data is made, and has an admin; `slapledger token issue --data data ");
    room.refused(
        "init --data data --token-file admin.token",
        "admin.token is there already, and is not replaced",
    );
    assert_eq!(fs::read_to_string(room.path("admin.token")).expect("a token"), token);
    // Without a file it is printed, and good as it is.
    let printed = room.done("init --data other");
    assert!(printed.lines().any(|line| line.starts_with("token     slap_")), "{printed}");
}

#[test]
fn init_that_was_interrupted_is_finished_by_doing_it_again() {
    // Where a step fails, what is after it is not done; what is before it is not done again.
    for (in_the_way, expected) in
        [("data/signing.key.new/a", "write data/signing.key"), ("data/ca/a", "data/ca/root.pem is missing")]
    {
        let room = Room::new();
        let path = room.path(in_the_way);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        for folder in ["data", "data/ca"].into_iter().filter(|folder| room.path(folder).exists()) {
            room.set_mode(folder, 0o700);
        }
        fs::write(&path, "").expect("written");
        room.refused("init --data data --token-file t", expected);
        assert!(!room.path("t").exists());
        let top = room
            .path("data")
            .join(path.strip_prefix(room.path("data")).expect("below").iter().next().expect("a name"));
        fs::remove_dir_all(top).expect("removed");
        room.done("init --data data --token-file t");
        room.serve(SERVE);
    }
    // And where it was killed.
    for milliseconds in [0, 2, 4, 8, 12, 16, 24, 32, 64, 128] {
        let room = Room::new();
        let mut process =
            room.command("init --data data --token-file t").stdout(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(Duration::from_millis(milliseconds));
        let _ = process.kill();
        process.wait().expect("it ends");
        let (had_token, again) = (room.path("t").exists(), room.run("init --data data --token-file u"));
        if again.status != 0 {
            assert!(again.err.contains("is made, and has an admin"), "after {milliseconds} ms: {again:?}");
            if !had_token {
                room.done("token issue --data data --role admin --all-projects --out t");
            }
        }
        let serving = room.serve(SERVE);
        let token = if again.status == 0 { "u" } else { "t" };
        let line =
            format!("token list --url {} --ca-file data/ca/root.pem --token-file {token}", serving.url);
        assert!(room.done(&line).contains("admin in all projects"));
    }
}

#[test]
fn what_was_lost_is_not_made_anew() {
    for lost in ["data/ca", "data/signing.key", "data/keys"] {
        let room = Room::made();
        let path = room.path(lost);
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.expect("removed");
        room.refused("init --data data", &format!("{lost} is missing"));
        assert!(!path.exists());
    }
}

#[test]
fn what_a_master_cannot_be_made_of_is_said() {
    let room = Room::new();
    room.refused("init --data data --name COMP-1", "--name: the name of an authority must not contain COMP-");
    room.refused("init --data data --time-zone Mars", "--time-zone ");
    room.refused("init --data data --token-file no/t", "write no/t");
    assert!(!room.path("data").exists());
    fs::create_dir(room.path("open")).expect("made");
    room.set_mode("open", 0o755);
    room.refused("init --data open", "open is open to others than its owner (mode 0755); chmod go= it");
    room.write("file", "", 0o600);
    room.refused("init --data file", "file is no folder");
    drop(room.serve("proxy --data proxy --listen 127.0.0.1:0"));
    room.set_mode("proxy", 0o700);
    room.refused(
        "init --data proxy",
        "the folder holds a proxy ledger: use `slapledger proxy --data DIR`, or another --data",
    );
    assert!(!room.path("proxy/ca").exists());
    room.refused(
        "serve --data proxy",
        "the folder holds a proxy ledger: use `slapledger proxy --data DIR`, or another --data",
    );
    room.refused("serve --data nothing", "nothing is not there; `slapledger init --data nothing` makes it");
    assert!(!room.path("nothing").exists());
    room.refused("token issue --data nothing --role admin", "there is no ledger in nothing");
}

#[test]
fn a_master_is_not_served_as_it_must_not_be() {
    let room = Room::made();
    room.refused(
        "serve --data data --plain-http --listen 0.0.0.0:0",
        "without TLS a master listens on loopback alone",
    );
    room.refused("serve --data data --computer COMP-1", "--computer");
    room.refused(
        "serve --data data --name a.example,b.example",
        "\"a.example,b.example\" is neither a DNS name nor an IP address",
    );
    room.set_mode("data/ca/intermediate.key", 0o640);
    room.refused(
        "serve --data data",
        "data/ca/intermediate.key is open to others than its owner (mode 0640)",
    );
    room.set_mode("data/ca/intermediate.key", 0o600);
    room.write("key.pem", "", 0o644);
    let check = |text: &str, expected: &str| {
        room.write("serve.toml", text, 0o644);
        room.refused("serve --data data --config serve.toml", expected);
    };
    check("[requests]\nmost_per_second = 0", "read serve.toml: line 2: requests.most_per_second: ");
    check("[connections]\nmost = 0", "read serve.toml: connections.most must be 1 to 1000000, not 0");
    check("name = \"a\"", "read serve.toml: line 1: name: unknown field `name`");
    check("a b", "read serve.toml: line 1: ");
    check(
        "[certificate]\nchain_file = \"data/ca/root.pem\"\nkey_file = \"key.pem\"",
        "key.pem is open to others",
    );
    check(
        "[terminator]\naddresses = [\"127.0.0.1\"]\nsecret_file = \"key.pem\"",
        "a terminator of TLS goes with --plain-http",
    );
    room.refused("serve --data data --config none.toml", "read none.toml");
    // What it has to keep for itself, and what it must have.
    let of_client = "[certificate]\nchain_file = \"data/ca/root.pem\"\nkey_file = \"data/ca/root.key\"";
    room.write("serve.toml", of_client, 0o644);
    room.refused("serve --data data --config serve.toml --name a.example", "it is not for a.example");
    room.refused("serve --data data --config serve.toml --plain-http", "certificate goes with TLS");
    room.set_mode("data", 0o755);
    room.refused("serve --data data", "data is open to others than its owner (mode 0755)");
    room.set_mode("data", 0o700);
    room.set_mode("data/signing.key", 0o644);
    room.refused("serve --data data", "data/signing.key is open to others than its owner (mode 0644)");
    room.set_mode("data/signing.key", 0o600);
    let key = fs::read(room.path("data/signing.key")).expect("it is read");
    room.write("data/signing.key", "no key", 0o600);
    room.refused("serve --data data", "data/signing.key is no Ed25519 key in PEM");
    fs::write(room.path("data/signing.key"), key).expect("it is written");
    fs::rename(room.path("data/signing.key"), room.path("aside")).expect("it is moved");
    room.refused("serve --data data", "data/signing.key is missing; restore it from a backup");
    fs::rename(room.path("aside"), room.path("data/signing.key")).expect("it is moved");
    fs::rename(room.path("data/log"), room.path("aside")).expect("it is moved");
    room.refused("serve --data data", "data/log is missing; restore it from a backup");
    fs::rename(room.path("aside"), room.path("data/log")).expect("it is moved");
    room.refused("serve --data nothing", "nothing is not there; `slapledger init --data nothing` makes it");
    let serving = room.serve("serve --data data --listen 127.0.0.1:0 --name a.example --silent-after 60");
    assert!(serving.said.contains("names     a.example, 127.0.0.1, localhost, ::1\n"), "{}", serving.said);
    room.refused(SERVE, "open data");
}

#[test]
fn clients_say_who_they_are_and_whom_they_trust() {
    let room = Room::made();
    let serving = room.serve("serve --data data --listen 0.0.0.0:0");
    let port = serving.url.rsplit(':').next().expect("a port");
    let here = format!("https://127.0.0.1:{port}");
    let trusting = format!("--url {here} --ca-file data/ca/root.pem");
    let admin = format!("{trusting} --token-file admin.token");
    // Every command that asks a server does so the same way.
    for command in [
        "computer list",
        "invoice list",
        "log",
        "rebuild",
        "party list",
        "usage gaps 2026-10-01/2026-11-01",
        "console -c 1",
    ] {
        room.done(&format!("{command} {admin}"));
    }
    let check = |line: &str, expected: &str| room.refused(&format!("party list {line}"), expected);
    check(&format!("--url {here} --token-file admin.token"), "--ca-file");
    check(
        &format!("--url https://127.0.0.2:{port} --ca-file data/ca/root.pem --token-file admin.token"),
        "its certificate is for other names",
    );
    check(
        &trusting,
        "this needs a client certificate or a token of this server; --token-file, or --cert and --key, say who asks",
    );
    let nowhere = "party list --url https://127.0.0.1:1 --ca-file data/ca/root.pem";
    let Ended { status, err, .. } = room.run_with(nowhere, &[]);
    assert!(status == 75 && err.contains("nobody listens there (connection refused)"), "{status}: {err}");
    check(&format!("--url http://127.0.0.1:{port}"), "https://");
    check("--url ftp://127.0.0.1", "must look like https://");
    check("--url http://192.0.2.1 --token-file admin.token", "a token is not sent to http://192.0.2.1");
    check(&format!("{trusting} --token-file none"), "read none");
    check(&format!("{admin} --project 2"), "--project 2: must look like PROJ-1");
    check(&format!("{admin} --project PROJ-9"), "there is no project PROJ-9");
    check(&format!("--url {here} --ca-file admin.token"), "admin.token holds no certificate");
    room.write("bad", "slap_1_2", 0o600);
    check(&format!("{trusting} --token-file bad"), "bad holds no token");
    room.write("open", &fs::read_to_string(room.path("admin.token")).expect("a token"), 0o604);
    check(&format!("{trusting} --token-file open"), "open is open to others than its owner (mode 0604)");
    let unknown = format!("slap_{}_{}", "0".repeat(32), "0".repeat(64));
    room.refused_with(
        &format!("party list {trusting}"),
        &[("SLAPLEDGER_TOKEN", &unknown)],
        "the token is not known here",
    );

    // A certificate, from the command line, the environment, and the file of a client.
    room.done(&format!("user add Ada --certificate . {admin}"));
    let pair = "--cert PARTY-2.crt --key PARTY-2.key";
    let mine = format!("{trusting} {pair}");
    assert!(room.done(&format!("party list {mine}")).contains("Ada"));
    room.refused(&format!("log {mine}"), "this is for admin, auditor; the credential is for");
    check(&format!("{trusting} --cert PARTY-2.crt"), "--cert goes with --key");
    check(
        &format!("{trusting} --cert PARTY-2.crt --key data/signing.key"),
        "data/signing.key is not the key of PARTY-2.crt",
    );
    check(&format!("{admin} {pair}"), "one of them says who asks");
    check(&format!("--url http://127.0.0.1:{port} {pair}"), "a certificate is shown over TLS");
    let variables = [
        ("SLAPLEDGER_URL", here.as_str()),
        ("SLAPLEDGER_CA_FILE", "data/ca/root.pem"),
        ("SLAPLEDGER_CERT", "PARTY-2.crt"),
        ("SLAPLEDGER_KEY", "PARTY-2.key"),
    ];
    assert_eq!(room.run_with("computer register first", &variables).out, "COMP-1\n");
    let file = format!(
        "[slapos]\nmaster_url = {here}/\n[slapconsole]\ncert_file = ~/PARTY-2.crt\nkey_file = ~/PARTY-2.key\n"
    );
    fs::create_dir(room.path(".slapos")).expect("made");
    room.write(".slapos/slapos-client.cfg", &file, 0o600);
    assert!(room.done("party list --ca-file data/ca/root.pem").contains("Ada"));
    room.set_mode("PARTY-2.key", 0o644);
    room.refused("party list --ca-file data/ca/root.pem", "PARTY-2.key is open to others than its owner");
    room.set_mode("PARTY-2.key", 0o600);
    // Of another authority.
    room.done("init --data other --token-file other.token");
    let other = room.serve("serve --data other --listen 127.0.0.1:0");
    room.refused(
        &format!("party list --url {} --ca-file other/ca/root.pem {pair}", other.url),
        "it does not take the certificate that was shown to it",
    );
}

#[test]
fn users_tokens_projects_and_certificates() {
    let room = Room::made();
    let serving = room.serve(SERVE);
    let trusting = format!("--url {} --ca-file data/ca/root.pem", serving.url);
    let admin = format!("{trusting} --token-file admin.token");
    let as_admin = |line: &str| room.done(&format!("{line} {admin}"));
    let refused = |line: &str, expected: &str| room.refused(&format!("{line} {admin}"), expected);

    let out = as_admin("user add Ada --time-zone Europe/Paris");
    assert!(out.contains("user      PARTY-2 (Ada)\nroles     ") && out.contains("token     slap_"), "{out}");
    assert!(out.contains("good      once, until "), "{out}");
    let line = format!(
        "for       slapos configure client --master-url {0} --master-url-web {0} --token TOKEN\n",
        serving.url
    );
    assert!(out.contains(&line), "{out}");
    as_admin("user add Bob --token --role customer --out bob.token");
    assert_eq!(room.mode("bob.token"), 0o600);
    as_admin("user add Eve --certificate eve");
    assert_eq!((room.mode("eve/PARTY-4.crt"), room.mode("eve/PARTY-4.key")), (0o600, 0o600));
    refused("user add Zoe --time-zone Mars", "time_zone: ");
    refused(
        "user add Zoe --token --role node",
        "PARTY-5 is added and has no credential yet; `slapledger token issue --holder PARTY-5 --role node --purpose \
         access` makes it",
    );
    let bob = format!("{trusting} --token-file bob.token");
    room.refused(&format!("token issue --all-projects {bob}"), "all_projects: is for those");
    let listed = as_admin("user list");
    assert!(listed.contains("Ada") && listed.contains("Europe/Paris"), "{listed}");
    let shown = as_admin("user show PARTY-2");
    assert!(shown.contains("to get a certificate"), "{shown}");
    refused("user show PARTY-9", "there is no party PARTY-9");

    // A token of one's own, and its end.
    let token = room.done(&format!("token issue --label laptop {bob}"));
    assert!(token.starts_with("slap_") && token.lines().count() == 1, "{token}");
    let token = token.trim();
    let id = token.split('_').nth(1).expect("an id");
    let mine = [("SLAPLEDGER_TOKEN", token)];
    assert_eq!(room.run_with(&format!("party list {trusting}"), &mine).status, 0);
    let shown = room.done(&format!("token show {id} {bob}"));
    assert!(shown.contains("laptop") && shown.contains("active") && !shown.contains(token), "{shown}");
    refused("token issue --out bob.token --role admin", "bob.token is there already");
    room.done(&format!("token revoke {id} {bob}"));
    room.refused_with(&format!("party list {trusting}"), &mine, "revoked");
    let json = as_admin("token issue --holder auditor --role auditor --all-projects --out a.token --json");
    assert!(json.contains("\"holder\": \"auditor\"") && !json.contains("slap_"), "{json}");
    assert!(as_admin("token list").contains("auditor in all projects"));
    refused("token issue --role king", "--role");
    refused("token issue --expires soon", "expires_at: ");

    // Nobody of a user comes in any more; then they are forgotten.
    as_admin("user revoke PARTY-3");
    room.refused(&format!("party list {bob}"), "revoked");
    as_admin("user revoke PARTY-3");
    as_admin("user erase PARTY-3");
    assert!(!as_admin("user list").contains("Bob"));

    assert_eq!(as_admin("project open Second"), "PROJ-2\n");
    refused("project open Second", "PROJ-2 is called Second");
    assert!(as_admin("project list").contains("Second"));
    assert!(!as_admin("user list --project PROJ-2").contains("Ada"));

    let eve = format!("{trusting} --cert eve/PARTY-4.crt --key eve/PARTY-4.key");
    let both = format!("party list {admin} --cert eve/PARTY-4.crt --key eve/PARTY-4.key");
    room.refused(&both, "a token (of --token-file or SLAPLEDGER_TOKEN_FILE, admin.token) and a certificate");
    // What somebody else has asked for is an admin's to end.
    let waits = room.run(&format!("request web https://example.com/kvm.cfg {eve}"));
    assert_eq!(waits.status, 2, "{waits:?}");
    assert_eq!(as_admin("service destroy SOFTINST-1"), "web (SOFTINST-1) has ended\n");
    refused("service destroy none", "there is no service none");
    let waits = room.run(&format!("request web https://example.com/kvm.cfg {eve}"));
    assert_eq!(waits.status, 2, "{waits:?}");
    let gone = room.done(&format!("request web https://example.com/kvm.cfg --state destroyed {eve}"));
    assert_eq!(gone, "web is destroyed: it has no partition\n");
    assert_eq!(room.done(&format!("computer register first {eve}")), "COMP-1\n");
    let files = room.done(&format!("computer certificate COMP-1 --out node {eve}"));
    assert_eq!(files, "node/COMP-1.crt\nnode/COMP-1.key\n");
    assert_eq!(room.mode("node/COMP-1.key"), 0o600);
    refused("computer certificate COMP-1 --out node", "node/COMP-1.crt is there already");
    refused("computer certificate COMP-1 --out again", "Certificate still active.");
    assert!(!room.path("again/COMP-1.crt").exists());
    refused("computer certificate COMP-9", "there is no computer COMP-9");
    let node = format!("{trusting} --cert node/COMP-1.crt --key node/COMP-1.key");
    room.done(&format!("computer show COMP-1 {node}"));
    room.done(&format!("computer certificate COMP-1 --revoke {eve}"));
    room.refused(&format!("computer show COMP-1 {node}"), "revoked");
    room.done(&format!("computer certificate COMP-1 --out again {eve}"));

    let rebuilt = as_admin("rebuild access");
    assert!(rebuilt.contains("access") && rebuilt.contains("equal to what was kept"), "{rebuilt}");
    assert!(as_admin("rebuild").contains("access"));
    assert!(as_admin("rebuild access --keep --throttle 1000000").contains("equal to what was kept"));
    assert!(as_admin("rebuild access --status").contains("ready"));
    assert!(as_admin("rebuild access --swap").contains("previous"));
    let back = as_admin("rebuild access --swap-back");
    assert!(back.contains("live") && !back.contains("previous"), "{back}");
    assert!(as_admin("rebuild --confirm").contains("live"));
    room.refused(&format!("rebuild --cancel {admin}"), "no view has a generation to cancel");
    room.refused(&format!("rebuild access --cancel {admin}"), "access has no rebuild to cancel");
    room.refused("token issue --data data --role admin", "open data");
    drop(serving);
    // Anyone who has lost their token makes another where the ledger is.
    room.refused("rebuild --keep --data data", "only a running server has generations");
    let rebuilt = room.done("rebuild --data data");
    assert!(rebuilt.contains("access"), "{rebuilt}");
    let lost = room.done("token issue --data data --role admin --all-projects");
    room.refused("token issue --data data", "--role is missing");
    room.refused("token issue --data data --role admin --holder PARTY-9", "there is no PARTY-9");
    let serving = room.serve(SERVE);
    let line = format!("user list --url {} --ca-file data/ca/root.pem", serving.url);
    assert_eq!(room.run_with(&line, &[("SLAPLEDGER_TOKEN", lost.trim())]).status, 0);
}
