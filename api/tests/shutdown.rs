//! How the program ends, and what it tells meanwhile: the binary, signals, and sockets that do half of what they
//! should.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

/// How long a stop may take, whatever clients do.
const STOP: Duration = Duration::from_secs(5);

/// A program that serves; killed when it is dropped.
struct Serving {
    process: Child,
    main: SocketAddr,
    operations: SocketAddr,
    data: PathBuf,
    /// What clients come with: header fields.
    fields: String,
    _folder: TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn slapledger(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slapledger"));
    command.args(line.split(' ')).current_dir(folder).env_clear().env("HOME", folder).stdin(Stdio::null());
    command
}

/// `http://127.0.0.1:5000/`
fn address_of(url: &str) -> SocketAddr {
    let (_, rest) = url.split_once("://").expect("an address");
    rest.trim_end_matches('/').parse().expect("an address")
}

impl Serving {
    fn proxy() -> Self {
        Self::start(tempfile::tempdir().expect("a folder"), "proxy")
    }

    fn master() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made =
            slapledger(folder.path(), "init --data data --token-file token").output().expect("it runs");
        assert!(made.status.success(), "{made:?}");
        Self::start(folder, "serve")
    }

    fn start(folder: TempDir, command: &str) -> Self {
        let line = format!("{command} --data data --listen 127.0.0.1:0 --operations 127.0.0.1:0");
        let mut command = slapledger(folder.path(), &line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it runs");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut url_after = |word: &str| {
            let url = lines.find_map(|line| {
                let line = line.expect("a line");
                Some(address_of(line.strip_prefix(word)?.split_whitespace().next()?))
            });
            url.unwrap_or_else(|| panic!("it does not say {word}"))
        };
        let (operations, main) = (url_after("operations "), url_after("serving "));
        std::thread::spawn(move || lines.for_each(drop));
        let token = fs::read_to_string(folder.path().join("token"));
        let fields = token
            .map_or_else(|_| String::new(), |token| format!("authorization: Bearer {}\r\n", token.trim()));
        Self { process, main, operations, data: folder.path().join("data"), fields, _folder: folder }
    }

    /// A connection that has sent this.
    fn sent(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.main).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream.write_all(text.as_bytes()).expect("it is sent");
        stream
    }

    /// A request whose body is not all there.
    fn half_body(&self) -> String {
        let fields = &self.fields;
        format!(
            "POST /v1/usage-events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
             {fields}content-length: 1000\r\n\r\n{{\"specversion\":"
        )
    }

    /// Status and all of the answer at an address of its own.
    fn operations(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.operations).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        write!(stream, "GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n").expect("it is sent");
        let answer = until_end(&mut stream);
        (answer[9..12].parse().expect("a status"), answer)
    }

    /// Asks it to end, and how it did: its status, and the last line it wrote to stderr.
    fn stop(&mut self, within: Duration) -> (i32, String) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("there is kill");
        assert!(sent.success());
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().expect("it is ours") {
                break status;
            }
            assert!(began.elapsed() < within, "it has not ended after {:?}", began.elapsed());
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut said = String::new();
        self.process.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        (status.code().expect("it ends by itself"), said.lines().last().unwrap_or_default().to_owned())
    }
}

/// All that comes, until the other side closes.
fn until_end(stream: &mut impl Read) -> String {
    let mut seen = Vec::new();
    if let Err(error) = stream.read_to_end(&mut seen) {
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{error}");
    }
    String::from_utf8(seen).expect("it is text")
}

const HALF_HEAD: &str = "GET /v1/computers HTTP/1.1\r\nhost: local";
const WHOLE: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
const LAST: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// A client that has sent half of something, and keeps the connection.
trait Half: Read + Write {}
impl<T: Read + Write> Half for T {}

/// SIGTERM while clients have sent half a body, half a head, nothing, or keep an idle connection.
fn stops_beside(mut serving: Serving, connect: impl Fn(&Serving) -> Box<dyn Half>) {
    let sent = |text: &str| {
        let mut stream = connect(&serving);
        stream.write_all(text.as_bytes()).expect("it is sent");
        stream.flush().expect("it is sent");
        stream
    };
    let mut idle: Vec<_> = (0..3).map(|_| sent(WHOLE)).collect();
    for stream in &mut idle {
        // The beginning of the answer: the rest is in the kernel by then.
        stream.read_exact(&mut [0; 12]).expect("it answers");
    }
    let bodies: Vec<_> = (0..5).map(|_| sent(&serving.half_body())).collect();
    let heads: Vec<_> = (0..3).map(|_| sent(HALF_HEAD)).collect();
    let silent: Vec<_> = (0..3).map(|_| serving.sent("")).collect();
    // A caller that comes after all of them is answered when they were read.
    sent(WHOLE).read_exact(&mut [0; 12]).expect("it answers");
    let (status, said) = serving.stop(STOP);
    assert_eq!((status, said.as_str()), (0, ""));
    let mut told = 0;
    for mut stream in bodies.into_iter().chain(heads) {
        let seen = until_end(&mut stream);
        assert!(seen.is_empty() || seen.starts_with("HTTP/1.1 "), "{seen}");
        told += usize::from(seen.starts_with("HTTP/1.1 503") && seen.contains("retry-after: 5"));
    }
    assert_eq!(told, 8, "all of them are told to try again");
    drop((idle, silent));
}

#[test]
fn half_sent_requests_do_not_keep_it_from_ending() {
    stops_beside(Serving::proxy(), |serving| Box::new(serving.sent("")));
}

#[test]
fn half_sent_requests_do_not_keep_it_from_ending_under_tls() {
    let serving = Serving::master();
    let root = fs::read(serving.data.join("ca/root.pem")).expect("a root");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&root).expect("a certificate")).expect("it is one");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let config = Arc::new(config);
    stops_beside(serving, move |serving| {
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(&config), name).expect("a client");
        Box::new(StreamOwned::new(connection, serving.sent("")))
    });
}

#[test]
fn what_cannot_be_closed_well_is_said_and_is_the_exit_status() {
    let mut serving = Serving::proxy();
    let state = serving.data.join("state");
    // It may not have been made yet.
    let _ = fs::remove_dir_all(&state);
    fs::write(&state, "no folder").expect("written");
    let (status, said) = serving.stop(STOP);
    assert_eq!(status, 1, "{said}");
    let begins = "slapledger: did not shut down cleanly: snapshot the state of the writer: ";
    assert!(said.starts_with(begins), "{said}");
    assert!(said.contains("snapshot view billing: ") && said.ends_with("start it again"), "{said}");
    // And that is true.
    fs::remove_file(&state).expect("removed");
    let out = slapledger(serving.data.parent().expect("a folder"), "log --data data --limit 1").output();
    assert!(out.expect("it runs").status.success());
}

/// All connections that one address may have.
const OF_ONE_ADDRESS: usize = 128;

#[test]
fn connections_of_one_address_starve_neither_health_nor_who_asks_to_try_again() {
    let mut serving = Serving::proxy();
    let held: Vec<_> = (0..OF_ONE_ADDRESS).map(|_| serving.sent(&serving.half_body())).collect();
    // When all of them have their place, the next one is told.
    let began = Instant::now();
    loop {
        let seen = until_end(&mut serving.sent(LAST));
        if seen.starts_with("HTTP/1.1 503") {
            assert!(seen.contains("retry-after: 5") && seen.contains("too many connections"), "{seen}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{seen}");
    }
    for path in ["/healthz", "/readyz"] {
        let began = Instant::now();
        let (status, seen) = serving.operations(path);
        assert_eq!(status, 200, "{seen}");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    // That an address has no more is logged.
    let (status, said) = serving.stop(STOP);
    assert_eq!(status, 0, "{said}");
    drop(held);
}

#[test]
fn readiness_ends_with_the_signal_and_health_is_told_to_the_end() {
    let mut serving = Serving::proxy();
    assert_eq!(serving.operations("/readyz").0, 200);
    // Holds the stop up for its grace.
    let _half = serving.sent(&serving.half_body());
    let operations = serving.operations;
    let watching = std::thread::spawn(move || {
        let mut seen = Vec::new();
        // Until it is gone.
        while let Ok(mut stream) = TcpStream::connect(operations) {
            if write!(stream, "GET /readyz HTTP/1.1\r\nconnection: close\r\n\r\n").is_err() {
                break;
            }
            let answer = until_end(&mut stream);
            seen.extend(answer.get(9..12).map(str::to_owned));
        }
        seen
    });
    let (status, said) = serving.stop(STOP);
    assert_eq!((status, said.as_str()), (0, ""));
    let mut seen = watching.join().expect("it looks");
    seen.dedup();
    assert!(seen.ends_with(&["503".to_owned()]) && seen.len() <= 2, "{seen:?}");
}

#[test]
fn an_address_for_operations_that_others_reach_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |line: &str, expected: &str| {
        let ended = slapledger(folder.path(), line).output().expect("it runs");
        let said = String::from_utf8(ended.stderr).expect("text");
        let wrong_usage = said.contains("--help says what there is");
        assert_eq!(ended.status.code(), Some(if wrong_usage { 2 } else { 1 }), "{line}: {said}");
        assert!(said.contains(expected), "{line}: {said}");
    };
    refused("proxy --operations 0.0.0.0:0", "--operations 0.0.0.0:0: proxy has no sign-in");
    refused("serve --operations 0.0.0.0:9000", "operations_exposed = true");
    refused("serve --operations 9000", "--operations");
    assert!(fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing is made");
}
