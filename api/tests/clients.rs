//! The clients on the command line, as they are used: the binary against the binary, answers included.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What a session is about.
const CATALOGUE: &str = "\
[slapos]
master_url = http://127.0.0.1:1/

[slapconsole]
alias =
  mysql https://example.com/mysql/software.cfg

[software]
kvm = https://example.com/kvm/software.cfg
";
const COMPUTER: &str = r#"{"reference": "COMP-1", "address": "10.0.0.1", "netmask": "255.255.255.0",
 "partition_list": [
  {"reference": "slappart0", "tap": {"name": "tap0"},
   "address_list": [{"addr": "10.0.1.1", "netmask": "255.255.255.255"}]},
  {"reference": "slappart1", "tap": {"name": "tap1"},
   "address_list": [{"addr": "10.0.1.2", "netmask": "255.255.255.255"}]}]}"#;

/// A master with its folder; killed when it is dropped.
struct Master {
    process: Child,
    url: String,
    folder: TempDir,
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Master {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("clock"), "2026-10-01T00:00:00Z").expect("a clock");
        std::fs::write(folder.path().join("slapos-client.cfg"), CATALOGUE).expect("a catalogue");
        std::fs::write(folder.path().join("comp.json"), COMPUTER).expect("a computer");
        // A master is made first; its admin is who asks.
        if arguments.contains(&"serve") {
            let mut init = Command::new(env!("CARGO_BIN_EXE_slapledger"));
            init.args(["init", "--data", "data", "--token-file", "token"]).current_dir(folder.path());
            assert!(init.stdout(Stdio::null()).status().expect("the binary runs").success());
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
        command
            .args(arguments)
            .args(["--listen", "127.0.0.1:0", "--data", "data"])
            .current_dir(folder.path());
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let url = lines.find_map(|line| {
            let line = line.expect("a line");
            Some(line.strip_prefix("serving   ")?.split_whitespace().next()?.trim_end_matches('/').to_owned())
        });
        // What it prints later is read, so that it can be printed.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: url.expect("it serves"), folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command; what it was told, what it printed, and how it ended.
    fn run(&self, session: &mut String, arguments: &[&str], input: &str) -> i32 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
        command.args(arguments).current_dir(self.path()).env_remove("SLAPOS_CLIENT_CONFIGURATION");
        command.env("SLAPLEDGER_URL", &self.url).env("SLAPLEDGER_CATALOGUE", "slapos-client.cfg");
        if self.path().join("token").exists() {
            command.env("SLAPLEDGER_TOKEN_FILE", "token");
        }
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = pipes.spawn().expect("the binary runs");
        let mut stdin = process.stdin.take().expect("its input");
        // A command that reads nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = process.wait_with_output().expect("it ends");
        let status = output.status.code().expect("it ends by itself");
        let _ = writeln!(session, "$ slapledger {}", arguments.join(" "));
        for bytes in [output.stdout, output.stderr] {
            session.push_str(&String::from_utf8(bytes).expect("text").replace(&self.url, "[master]"));
        }
        if status != 0 {
            let _ = writeln!(session, "[exit status {status}]");
        }
        session.push('\n');
        status
    }

    /// What a node says.
    fn post(&self, path: &str, form: &[(&str, &str)]) {
        let answer = ureq::post(format!("{}/{path}", self.url)).send_form(form.iter().copied());
        assert!(answer.expect("an answer").status().is_success());
    }

    fn publish(&self, partition: &str, key: &str, value: &str) {
        let xml = format!(
            "<marshal><dictionary id='i2'><string>{key}</string><string>{value}</string></dictionary></marshal>"
        );
        let place = [("computer_id", "COMP-1"), ("computer_partition_id", partition)];
        self.post("startedComputerPartition", &place);
        let [computer, partition] = place;
        self.post(
            "setComputerPartitionConnectionXml",
            &[computer, partition, ("connection_xml", &xml), ("slave_reference", "None")],
        );
    }
}

#[test]
fn commands_that_ask_a_master() {
    let product = "kvm=https://example.com/kvm/best.cfg";
    let master = Master::start(&["proxy", "--computer", "COMP-1", "--clock", "clock", "--product", product]);
    let mut session = String::new();
    let mut run = |line: &str| master.run(&mut session, &line.split(' ').collect::<Vec<_>>(), "");
    run("computer format comp.json");
    run("computer list");
    run("supply kvm COMP-1");
    run("supply mysql COMP-1");
    run("supply mysql COMP-1 --destroyed");
    run("supply kvm COMP-9");
    run("service list");
    run("request i1 kvm --type small --parameters disk=5 name=a=b");
    run("request i1 kvm --wait 0");
    master.publish("slappart0", "url", "https://[2001:db8::1]:6080/");
    run("request i1 kvm --type small --wait 60");
    run("request i2 product.kvm --state stopped --json");
    run("request i2 product.mysql");
    run("request i3 mysql");
    run("request i2 product.kvm --node region");
    run("request i2 mariadb");
    run("request i2 kvm --state paused");
    run("request i2 kvm --parameters-file comp.json");
    run("service list");
    run("service show i1");
    run("service show SOFTINST-2");
    run("service show i9");
    run("computer show COMP-1");
    run("computer show COMP-9");
    run("request i2 product.kvm --state destroyed");
    run("service list --url http://127.0.0.1:1");
    run("request i1 kvm --catalogue nothing.cfg");
    insta::assert_snapshot!("commands", session);
}

#[test]
fn the_books_of_the_demo() {
    let master = Master::start(&["demo"]);
    let mut session = String::new();
    let mut run = |line: &str| master.run(&mut session, &line.split(' ').collect::<Vec<_>>(), "");
    run("journal");
    run("journal --to 2026-11-02");
    run("journal --format ledger --from 2026-11-03");
    run("trial-balance");
    run("accounts list");
    run("account Assets:Receivable:PARTY-2");
    run("account Income:Usage:service_module/requests --from 2026-11-01 --to 2026-12-01");
    run("account Income:Rounding --at 2026-11-02");
    run("accounts close --until 2026-11-02");
    run("accounts close --until 2026-11-02");
    run("accounts close --until November");
    run("account Assets:Cash");
    run("account Assets:Clearing");
    run("trial-balance --at yesterday");
    run("trial-balance --seller PARTY-99");
    run("journal --format csv");
    insta::assert_snapshot!("books", session);
    let mut periods = String::new();
    assert_eq!(master.run(&mut periods, &["accounts", "periods"], ""), 0);
    assert!(periods.contains("2026-11-01T23:00:00Z"), "{periods}");
}

#[test]
fn the_five_lines_of_the_original() {
    let master = Master::start(&["proxy", "--computer", "COMP-1", "--clock", "clock"]);
    let mut session = String::new();
    master.run(&mut session, &["computer", "format", "comp.json"], "");
    let lines = "\
kvm_instance = request(kvm, 'i1')
mysql_instance = request(mysql, 'i2')
kvm_instance
mysql_instance
kvm_instance.getParameter('url')
";
    // Nothing is published yet: the fifth line says so.
    assert_eq!(master.run(&mut session, &["console"], lines), 2);
    master.publish("slappart0", "url", "https://[2001:db8::1]:6080/");
    assert_eq!(master.run(&mut session, &["console"], lines), 0);
    std::fs::write(
        master.path().join("more.py"),
        "\
i1 = request(kvm, 'i1', partition_parameter_kw={'disk': 5}, software_type='small', state='stopped')
[i1.getState(), i1.getStatus(), i1.getId(), i1.getComputerId(), i1.getInstanceGuid()]
i1.getInstanceParameterDict()
i1.getConnectionParameterDict()
i1.getSoftwareRelease()
i1.bang('look again')
i1.rename('first')
i1
request(mysql, 'i2')
request(mysql, 'i3')
",
    )
    .expect("a script");
    assert_eq!(master.run(&mut session, &["console", "more.py"], ""), 1);
    master.run(&mut session, &["service", "list"], "");
    assert_eq!(master.run(&mut session, &["console", "-c", "supply(kvm, 'COMP-9')"], ""), 1);
    assert_eq!(master.run(&mut session, &["console", "-c", "print(1); kwm"], ""), 1);
    insta::assert_snapshot!("console", session);
}

#[test]
fn what_is_not_ready_has_an_exit_status_of_its_own() {
    let master = Master::start(&["serve", "--plain-http"]);
    let mut session = String::new();
    let mut run = |arguments: &[&str]| master.run(&mut session, arguments, "");
    assert_eq!(run(&["computer", "register", "first"]), 0);
    assert_eq!(run(&["computer", "register", "first"]), 0);
    assert_eq!(run(&["request", "i1", "kvm"]), 2);
    assert_eq!(run(&["request", "i1", "kvm", "--wait", "1"]), 2);
    assert_eq!(run(&["console", "-c", "i1 = request(kvm, 'i1'); i1; i1.getId()"]), 2);
    run(&["service", "list"]);
    assert_eq!(run(&["computer", "format", "comp.json"]), 0);
    assert_eq!(run(&["request", "i1", "kvm"]), 0);
    insta::assert_snapshot!("not_ready", session);
}
