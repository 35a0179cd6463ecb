//! With TLS: who is let in, and who is known to be whom.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, StreamOwned,
    SupportedProtocolVersion,
};
use slapledger_ca::{Authority, CertificateSubject, Issued, Validity};
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::Clock;
use slapledger_engine::clock::SystemClock;
use tempfile::TempDir;

use super::running::{Running, ask, bounds, hex, is_closed, is_told, wait_for};
use crate::{Connections, ServerIdentity, ShownCertificate, tls};

const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

const HOUR: i64 = 3_600_000_000;

/// An authority in a folder of its own.
struct Ours {
    authority: Authority,
    _folder: TempDir,
}

impl Ours {
    fn new() -> Self {
        Self::named("Test")
    }

    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder is made");
        let yesterday = SystemClock.now().plus_micros(-24 * HOUR);
        let authority = Authority::create(&folder.path().join("ca"), name, yesterday);
        Self { authority: authority.expect("an authority is made"), _folder: folder }
    }

    /// A certificate of a computer, valid from so many hours from now until so many hours from now.
    fn computer(&self, hours: (i64, i64)) -> Issued {
        let subject = CertificateSubject::Computer { id: ComputerId::new("COMP-1").expect("an id") };
        self.authority.issue(&subject, valid(hours)).expect("it is issued")
    }

    fn server(&self) -> Issued {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.authority.server_certificate(&names, valid((-1, 1))).expect("it is issued")
    }

    fn config(&self) -> ServerConfig {
        let shown = self.server();
        let identity = ServerIdentity { chain_pem: &shown.chain_pem, key_pem: &shown.key_pem };
        tls(Arc::new(ShownCertificate::new(identity).expect("a pair")), &self.authority.client_roots_pem())
            .expect("a configuration is made")
    }

    /// A client that trusts this authority, and shows what it has.
    fn client(&self, versions: &[&'static SupportedProtocolVersion], shows: Option<&Issued>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(self.authority.roots_pem()));
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions are known")
            .with_root_certificates(roots);
        match shows {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key");
                builder
                    .with_client_auth_cert(certificates(&issued.certificate_pem), key)
                    .expect("they fit each other")
            }
        }
    }
}

fn valid((from, until): (i64, i64)) -> Validity {
    let now: Timestamp = SystemClock.now();
    Validity { not_before: now.plus_micros(from * HOUR), not_after: now.plus_micros(until * HOUR) }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("certificates")
}

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

fn connect(running: &Running, config: &Arc<ClientConfig>, name: &'static str) -> Encrypted {
    let name = ServerName::try_from(name).expect("a name");
    let connection = ClientConnection::new(Arc::clone(config), name).expect("a client is made");
    StreamOwned::new(connection, running.connect())
}

/// What the server says of who asked: the fingerprint, or why the connection broke off.
fn fingerprint_seen(stream: &mut Encrypted) -> io::Result<String> {
    let (_, text) = ask(stream, "/peer")?;
    let (_, fingerprint) = text.split_once(" true ").expect("it is encrypted");
    Ok(fingerprint.to_owned())
}

#[test]
fn a_client_is_known_by_its_certificate_also_when_its_session_is_resumed() {
    let ours = Ours::new();
    let running = Running::start(bounds(), Some(ours.config()));
    let issued = ours.computer((-1, 1));
    for versions in [TLS12, TLS13] {
        for (shows, expected) in [(None, "none".to_owned()), (Some(&issued), hex(&issued.fingerprint))] {
            let config = Arc::new(ours.client(versions, shows));
            let mut first = connect(&running, &config, "localhost");
            assert_eq!(fingerprint_seen(&mut first).expect("it answers"), expected);
            assert_eq!(first.conn.handshake_kind(), Some(HandshakeKind::Full));
            let mut again = connect(&running, &config, "localhost");
            for _ in 0..2 {
                assert_eq!(fingerprint_seen(&mut again).expect("it answers"), expected);
            }
            assert_eq!(again.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }
    let config = Arc::new(ours.client(TLS13, None));
    assert_eq!(fingerprint_seen(&mut connect(&running, &config, "127.0.0.1")).expect("it answers"), "none");
}

#[test]
fn only_valid_certificates_of_ours_are_let_in() {
    let (ours, others, same_name) = (Ours::new(), Ours::named("Other"), Ours::new());
    let running = Running::start(bounds(), Some(ours.config()));
    let check = |name: &str, shows: &Issued, alert: &str| {
        for versions in [TLS12, TLS13] {
            let mut stream = connect(&running, &Arc::new(ours.client(versions, Some(shows))), "localhost");
            let error = fingerprint_seen(&mut stream).expect_err(name).to_string();
            assert!(error.contains(alert), "{name}: {error}");
        }
        let mut stream = connect(&running, &Arc::new(ours.client(TLS13, None)), "localhost");
        assert_eq!(fingerprint_seen(&mut stream).expect("others are answered"), "none");
    };
    check("of another authority", &others.computer((-1, 1)), "UnknownCA");
    check("of another authority that has its name", &same_name.computer((-1, 1)), "DecryptError");
    check("expired", &ours.computer((-2, -1)), "CertificateExpired");
    check("of a server", &ours.server(), "alert");
}

#[test]
fn a_server_of_another_authority_or_name_is_refused_by_clients() {
    let (ours, others) = (Ours::new(), Ours::named("Other"));
    let running = Running::start(bounds(), Some(ours.config()));
    let check = |client: ClientConfig, name: &'static str, wrong: &str| {
        let error = fingerprint_seen(&mut connect(&running, &Arc::new(client), name)).expect_err(name);
        assert!(error.to_string().contains(wrong), "{error}");
    };
    check(others.client(TLS13, None), "localhost", "UnknownIssuer");
    check(ours.client(TLS13, None), "example.org", "not valid for name");
}

#[test]
fn http_1_is_negotiated_and_nothing_else() {
    let ours = Ours::new();
    let running = Running::start(bounds(), Some(ours.config()));
    let check = |offered: &[&[u8]], negotiated: Option<&[u8]>| {
        let mut config = ours.client(TLS13, None);
        config.resumption = Resumption::disabled();
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let mut stream = connect(&running, &Arc::new(config), "localhost");
        let answered = fingerprint_seen(&mut stream);
        assert_eq!(answered.is_ok(), negotiated.is_some() || offered.is_empty(), "{answered:?}");
        assert_eq!(stream.conn.alpn_protocol(), negotiated);
    };
    check(&[], None);
    check(&[b"h2", b"http/1.1"], Some(b"http/1.1"));
    check(&[b"h2"], None);
}

#[test]
fn a_handshake_that_does_not_end_is_cut_off() {
    let ours = Ours::new();
    let running = Running::start(bounds(), Some(ours.config()));
    let config = Arc::new(ours.client(TLS13, None));
    // What is sent, and whether the end comes at once.
    for (sent, at_once) in [("", false), ("\u{16}\u{3}\u{1}", false), ("GET /peer HTTP/1.1\r\n\r\n", true)] {
        let began = Instant::now();
        let mut stream = running.connect();
        stream.write_all(sent.as_bytes()).expect("it is sent");
        let mut alert = Vec::new();
        let _ = stream.read_to_end(&mut alert);
        assert!(!alert.starts_with(b"HTTP"), "nothing is answered in the clear");
        let took = began.elapsed();
        assert_eq!(took < Duration::from_millis(900), at_once, "{sent:?}: {took:?}");
        assert!(took < Duration::from_secs(6), "{sent:?}: {took:?}");
        let mut other = connect(&running, &config, "localhost");
        assert_eq!(fingerprint_seen(&mut other).expect("others are answered"), "none");
    }
}

#[test]
fn bounds_hold_under_tls_as_well() {
    let ours = Ours::new();
    let mut running = Running::start(bounds(), Some(ours.config()));
    let config = Arc::new(ours.client(TLS13, None));
    let began = Instant::now();
    let mut slow = connect(&running, &config, "localhost");
    slow.write_all(b"GET /pe").expect("it is sent");
    slow.flush().expect("it is sent");
    assert_eq!(super::running::answer(&mut slow).expect("it is told").0, 408);
    assert!(began.elapsed() > Duration::from_millis(900));

    let mut idle = connect(&running, &config, "localhost");
    assert_eq!(fingerprint_seen(&mut idle).expect("it answers"), "none");
    let handshaking = running.connect();
    running.tell();
    assert!(is_closed(&mut idle));
    running.wait();
    drop(handshaking);
}

#[test]
fn who_finds_no_place_is_told_under_tls_as_well() {
    let ours = Ours::new();
    let running = Running::start(Connections { most_per_address: 1, ..bounds() }, Some(ours.config()));
    let config = Arc::new(ours.client(TLS13, None));
    let mut served = connect(&running, &config, "localhost");
    assert_eq!(fingerprint_seen(&mut served).expect("it answers"), "none");
    for versions in [TLS12, TLS13] {
        let config = Arc::new(ours.client(versions, None));
        let mut refused = connect(&running, &config, "localhost");
        is_told(&mut refused, "there are too many connections; try again in 5 seconds");
    }
    // Those who do not speak take what room there is for telling, and others are closed without a word; not for long.
    let silent: Vec<_> = (0..100).map(|_| running.connect()).collect();
    let began = Instant::now();
    for mut stream in silent {
        assert!(is_closed(&mut stream));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(fingerprint_seen(&mut served).expect("who has a place keeps it"), "none");
    is_told(&mut connect(&running, &config, "localhost"), "there are too many connections");
}

#[test]
fn a_stop_waits_a_little_for_the_rest_of_a_request_under_tls_as_well() {
    let ours = Ours::new();
    let mut running = Running::start(Connections::default(), Some(ours.config()));
    let config = Arc::new(ours.client(TLS13, None));
    let sent = |text: &str| {
        let mut stream = connect(&running, &config, "localhost");
        stream.write_all(text.as_bytes()).expect("it is sent");
        stream.flush().expect("it is sent");
        stream
    };
    let body = "POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345";
    let (mut half_head, mut half_body, mut late) = (sent("GET /pe"), sent(body), sent(body));
    let mut idle = connect(&running, &config, "localhost");
    assert_eq!(fingerprint_seen(&mut idle).expect("it answers"), "none");
    wait_for(|| running.begun.load(Ordering::SeqCst) == 2, "both bodies are waited for");
    let handshaking = running.connect();
    let began = Instant::now();
    running.tell();
    late.write_all(b"67890").expect("it is sent");
    late.flush().expect("it is sent");
    assert_eq!(super::running::answer(&mut late).expect("it is there"), (200, "10".to_owned()));
    // Closed as TLS has it: nobody cut it off.
    assert_eq!(idle.read(&mut [0; 16]).expect("it is told"), 0);
    is_told(&mut half_head, "the server is stopping");
    is_told(&mut half_body, "the server is stopping");
    running.wait();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(handshaking);
}
