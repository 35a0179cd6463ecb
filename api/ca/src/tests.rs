//! Authorities in folders of their own; what they issue is read by OpenSSL.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use slapledger_core::domain::id::{ComputerId, InstanceId, PartitionId, PartyId};
use slapledger_core::domain::time::Timestamp;
use tempfile::TempDir;

use super::{Authority, AuthorityFault, CertificateSubject, Issued, Validity};

fn at(instant: &str) -> Timestamp {
    Timestamp::parse_rfc3339(instant).expect("an instant")
}

fn now() -> Timestamp {
    at("2026-11-28T10:20:30.5Z")
}

fn year() -> Validity {
    Validity { not_before: now(), not_after: at("2027-11-28T10:20:30.5Z") }
}

struct Folder {
    dir: PathBuf,
    _parent: TempDir,
}

impl Folder {
    fn new() -> Self {
        let parent = tempfile::tempdir().expect("a folder is made");
        Self { dir: parent.path().join("ca"), _parent: parent }
    }

    fn create(&self) -> Authority {
        Authority::create(&self.dir, "Test", now()).expect("an authority is made")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn computer(id: &str) -> CertificateSubject {
    CertificateSubject::Computer { id: ComputerId::new(id).expect("an id") }
}

/// What openssl says, given that on stdin.
fn openssl(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// `get_computer_name` of slapos.core 1.26.1, slapos/cli/register.py: `k = certificate.find("COMP-")`,
/// `i = certificate.find("/email", k)`, `return certificate[k:i]`.
fn get_computer_name(certificate: &str) -> &str {
    let k = certificate.find("COMP-").expect("it is found");
    let i = k + certificate[k..].find("/email").expect("it is found");
    &certificate[k..i]
}

#[test]
fn node_register_finds_the_id_of_its_computer() {
    let authority = Folder::new().create();
    for id in ["COMP-1", "COMP-123456"] {
        let issued = authority.issue(&computer(id), year()).expect("it is issued");
        assert_eq!(get_computer_name(&issued.certificate_pem), id);
        assert_eq!(get_computer_name(&issued.chain_pem), id);
    }
}

#[test]
fn the_text_says_what_openssl_says() {
    let authority = Folder::new().create();
    let partition = PartitionId::new("slappart3").expect("an id");
    let computer_id = ComputerId::new("COMP-7").expect("an id");
    let instance = CertificateSubject::Instance { computer: computer_id, partition, id: InstanceId(9) };
    let issue = |subject: &CertificateSubject| authority.issue(subject, year()).expect("it is issued");
    let check_issued = |issued: &Issued, told: &str, read: &str| {
        let (text, _) = issued.certificate_pem.split_once("-----BEGIN").expect("there is text before it");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("Certificate:"));
        assert_eq!(lines.next(), Some("    Data:"));
        assert_eq!(text.lines().last(), Some(told));
        assert!(text.contains("        Issuer: CN=Test intermediate\n"), "{text}");
        let openssl = openssl(&["x509", "-noout", "-text", "-nameopt", "compat"], &issued.certificate_pem);
        // All lines but those of names are the same.
        for line in text.lines().filter(|line| !line.contains("Issuer:") && !line.contains("Subject:")) {
            assert!(openssl.lines().any(|other| other == line), "{line}\nin\n{openssl}");
        }
        assert!(openssl.contains(read), "{openssl}");
        for extension in [
            "X509v3 Basic Constraints: critical\n                CA:FALSE",
            "X509v3 Key Usage: critical\n                Digital Signature\n",
            "X509v3 Extended Key Usage: \n                TLS Web Client Authentication\n",
            "X509v3 Authority Key Identifier",
            "NIST CURVE: P-256",
        ] {
            assert!(openssl.contains(extension), "{extension}\nin\n{openssl}");
        }
    };
    let check =
        |subject: &CertificateSubject, told: &str, read: &str| check_issued(&issue(subject), told, read);
    let mail = "emailAddress=nobody@slapledger.invalid";
    // One whose serial would be negative, had it no zero before it: one of 256 has.
    let zero_first =
        std::iter::repeat_with(|| issue(&computer("COMP-1"))).find(|issued| issued.serial >> 119 == 1);
    let zero_first = zero_first.expect("it comes some day");
    check_issued(&zero_first, &format!("        Subject: O=computer, CN=COMP-1/{mail}"), "CN=COMP-1");
    check(&computer("COMP-1"), &format!("        Subject: O=computer, CN=COMP-1/{mail}"), "CN=COMP-1");
    check(
        &CertificateSubject::Person { party: PartyId(3) },
        &format!("        Subject: O=person, CN=PARTY-3/{mail}"),
        "CN=PARTY-3",
    );
    check(
        &instance,
        &format!("        Subject: O=instance, OU=COMP-7 slappart3, CN=SOFTINST-9/{mail}"),
        "OU=COMP-7 slappart3",
    );
    check(
        &computer("Computer Ä, CN=x/y"),
        &format!("        Subject: O=computer, CN=Computer Ä, CN=x/y/{mail}"),
        "CN=Computer",
    );
}

#[test]
fn openssl_accepts_the_chain_and_the_key() {
    let folder = Folder::new();
    let authority = folder.create();
    let client = authority.issue(&computer("COMP-1"), year()).expect("it is issued");
    let names = ["master.example.org", "*.example.org", "127.0.0.1", "::1"].map(str::to_owned);
    let server = authority.server_certificate(&names, year()).expect("it is issued");
    let path = |name: &str| folder.file(name).to_str().expect("a path in UTF-8").to_owned();
    let (root, intermediate) = (path("root.pem"), path("intermediate.pem"));
    for (issued, purpose, other) in [(&client, "sslclient", "sslserver"), (&server, "sslserver", "sslclient")]
    {
        let verify = |purpose: &str| {
            let leaf = path("leaf");
            fs::write(&leaf, &issued.certificate_pem).expect("it is written");
            Command::new("openssl")
                .args(["verify", "-x509_strict", "-attime", "1800000000", "-purpose", purpose])
                .args(["-CAfile", &root, "-untrusted", &intermediate, &leaf])
                .output()
                .expect("openssl is installed")
        };
        let output = verify(purpose);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!verify(other).status.success());
        // The key is of the certificate.
        let public = openssl(&["pkey", "-pubout"], &issued.key_pem);
        assert_eq!(public, openssl(&["x509", "-noout", "-pubkey"], &issued.certificate_pem));
        assert_eq!(issued.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
        let serial = openssl(&["x509", "-noout", "-serial"], &issued.certificate_pem);
        let serial = serial.trim().trim_start_matches("serial=").to_owned();
        assert_eq!(u128::from_str_radix(&serial, 16).expect("a number"), issued.serial);
        let print = openssl(&["x509", "-noout", "-fingerprint", "-sha256"], &issued.certificate_pem);
        let print = print.trim().rsplit('=').next().expect("it is told").replace(':', "").to_lowercase();
        assert_eq!(print, issued.fingerprint.map(|byte| format!("{byte:02x}")).concat());
    }
    let text = openssl(&["x509", "-noout", "-text"], &server.certificate_pem);
    let alternatives =
        "DNS:master.example.org, DNS:*.example.org, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1";
    assert!(text.contains(alternatives), "{text}");
}

#[test]
fn root_and_intermediate_are_what_they_should_be() {
    let folder = Folder::new();
    folder.create();
    let check = |name: &str, says: &[&str]| {
        let pem = fs::read_to_string(folder.file(name)).expect("it is there");
        let text = openssl(&["x509", "-noout", "-text"], &pem);
        for part in
            says.iter().chain(&["X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n"])
        {
            assert!(text.contains(part), "{part}\nin\n{text}");
        }
    };
    check(
        "root.pem",
        &["CA:TRUE, pathlen:1", "Not Before: Nov 28 09:20:30 2026 GMT", "Not After : Nov 28 10:20:30 2046"],
    );
    check(
        "intermediate.pem",
        &["CA:TRUE, pathlen:0", "Issuer: CN = Test root", "Not After : Nov 27 22:20:30 2036"],
    );
}

#[test]
fn a_certificate_does_not_outlive_its_authority() {
    let authority = Folder::new().create();
    let check = |from: &str, until: &str, expected: Option<&str>| {
        let validity = Validity { not_before: at(from), not_after: at(until) };
        match (authority.issue(&computer("COMP-1"), validity), expected) {
            (Ok(issued), Some(expected)) => assert_eq!(issued.not_after, at(expected)),
            (Err(AuthorityFault::Validity { .. }), None) => {}
            (outcome, _) => panic!("{from} to {until}: {outcome:?}"),
        }
    };
    check("2026-11-28T10:20:30.5Z", "2026-12-28T10:20:30.9Z", Some("2026-12-28T10:20:30Z"));
    check("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", Some("2036-11-27T22:20:30Z"));
    check("2026-11-29T00:00:00Z", "2026-11-29T00:00:00.9Z", None);
    check("2026-11-29T00:00:00Z", "2026-11-28T00:00:00Z", None);
    check("2040-01-01T00:00:00Z", "2041-01-01T00:00:00Z", None);
    check("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z", None);
}

#[test]
fn serials_are_positive_and_never_the_same() {
    let authority = Folder::new().create();
    let mut serials: Vec<_> =
        (0..50).map(|_| authority.issue(&computer("COMP-1"), year()).expect("it is issued").serial).collect();
    assert!(serials.iter().all(|serial| *serial > 0 && *serial < 1 << 127));
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), 50);
}

#[test]
fn names_are_checked() {
    let authority = Folder::new().create();
    for name in ["", "a b", "example..org", "*", "a.*.org", "http://x", "1.2.3.4.5/8"] {
        let outcome = authority.server_certificate(&[name.to_owned()], year());
        assert!(matches!(outcome, Err(AuthorityFault::ServerName { .. })), "{name}: {outcome:?}");
    }
    let none = authority.server_certificate(&[], year());
    assert!(matches!(none, Err(AuthorityFault::NoServerName)), "{none:?}");
    for name in ["", "  ", "a\nb", "COMP-1 of us", &"x".repeat(49)] {
        let outcome = Authority::create(&Folder::new().dir, name, now());
        assert!(matches!(outcome, Err(AuthorityFault::Name { .. })), "{name}: {outcome:?}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn an_authority_is_opened_as_it_was_made() {
    let folder = Folder::new();
    let made = folder.create();
    assert_eq!(mode(&folder.dir), 0o700);
    for key in ["root.key", "intermediate.key"] {
        assert_eq!(mode(&folder.file(key)), 0o600);
    }
    fs::remove_file(folder.file("root.key")).expect("the key of the root is taken away");
    let opened = Authority::open(&folder.dir).expect("it is not needed");
    assert_eq!(opened.roots_pem(), made.roots_pem());
    assert_eq!(opened.client_roots_pem(), made.client_roots_pem());
    let issued = opened.issue(&computer("COMP-1"), year()).expect("it is issued");
    assert!(issued.chain_pem.ends_with(&made.intermediate_pem));
}

#[test]
fn secrets_are_not_shown() {
    let folder = Folder::new();
    let authority = folder.create();
    let issued = authority.issue(&computer("COMP-1"), year()).expect("it is issued");
    for shown in [format!("{issued:?}"), format!("{authority:?}")] {
        assert!(!shown.contains("KEY") && !shown.contains("key"), "{shown}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused_by_name() {
    let check = |spoil: &dyn Fn(&Folder), expected: &str| {
        let folder = Folder::new();
        folder.create();
        spoil(&folder);
        let fault = Authority::open(&folder.dir).expect_err("it is refused").to_string();
        let fault = fault.replace(folder.dir.to_str().expect("a path in UTF-8"), "CA");
        assert_eq!(fault, expected);
    };
    let other = Folder::new();
    other.create();
    let remove =
        |name: &'static str| move |folder: &Folder| fs::remove_file(folder.file(name)).expect("it was there");
    let swap = |name: &'static str| {
        let from = other.file(name);
        move |folder: &Folder| {
            fs::write(folder.file(name), fs::read(&from).expect("it is there")).expect("it is ours");
        }
    };
    let spoil =
        |name: &'static str| move |folder: &Folder| fs::write(folder.file(name), "x").expect("it is ours");
    let advice = "chmod go= it, after asking who has read it";
    check(
        &|folder| set_mode(&folder.dir, 0o750),
        &format!("CA is open to others than its owner (mode 0750); {advice}"),
    );
    for (key, modes) in [("intermediate.key", 0o640), ("root.key", 0o604)] {
        let expected = format!("CA/{key} is open to others than its owner (mode {modes:04o}); {advice}");
        check(&|folder| set_mode(&folder.file(key), modes), &expected);
    }
    check(&remove("root.pem"), "CA/root.pem is missing");
    check(&remove("intermediate.pem"), "CA/intermediate.pem is missing");
    check(&remove("intermediate.key"), "CA/intermediate.key is missing");
    check(&swap("intermediate.key"), "the key CA/intermediate.key does not fit CA/intermediate.pem");
    check(&swap("root.key"), "the key CA/root.key does not fit CA/root.pem");
    check(&swap("root.pem"), "CA/intermediate.pem was not issued by CA/root.pem");
    check(&swap("intermediate.pem"), "CA/intermediate.pem was not issued by CA/root.pem");
    check(&spoil("root.pem"), "CA/root.pem is not a certificate in PEM");
    check(&spoil("intermediate.pem"), "CA/intermediate.pem is not a certificate in PEM");
    check(&spoil("intermediate.key"), "CA/intermediate.key is not a private key in PEM");
    check(&|folder| fs::remove_dir_all(&folder.dir).expect("it is ours"), "CA is missing");
}

#[test]
fn a_creation_that_was_interrupted_is_refused_and_made_again() {
    let folder = Folder::new();
    let new = folder.dir.with_file_name("ca.new");
    fs::create_dir(&new).expect("there is a folder");
    fs::write(new.join("root.pem"), "half").expect("it is written");
    let fault = Authority::open(&folder.dir).expect_err("it is refused").to_string();
    assert!(fault.ends_with("was not created to its end; create it again"), "{fault}");
    folder.create();
    assert!(!new.exists());
    Authority::open(&folder.dir).expect("it is whole");
}

#[test]
fn an_authority_is_never_written_over() {
    let folder = Folder::new();
    let roots = folder.create().roots_pem().to_owned();
    let fault = Authority::create(&folder.dir, "Test", now()).expect_err("there is one");
    assert!(matches!(fault, AuthorityFault::Exists { .. }), "{fault}");
    assert_eq!(Authority::open(&folder.dir).expect("it is as it was").roots_pem(), roots);
    // An empty folder is one that an operator has prepared.
    let prepared = Folder::new();
    fs::create_dir(&prepared.dir).expect("there is a folder");
    prepared.create();
    assert_eq!(mode(&prepared.dir), 0o700);
}
