//! A listener on a free port, and what speaks to it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Connections, Peer, serve};

/// How much `/large` answers with: more than any kernel keeps for who does not read.
pub(super) const LARGE_BYTES: usize = 64 * 1024 * 1024;
/// How long `/slow` takes.
pub(super) const SLOW: Duration = Duration::from_millis(1500);

/// A listener that runs.
pub(super) struct Running {
    runtime: Runtime,
    pub(super) address: SocketAddr,
    /// How many answers of `/large` are being written.
    pub(super) under_way: Arc<AtomicUsize>,
    /// How many bodies were waited for, or are.
    pub(super) begun: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<anyhow::Result<()>>>,
}

/// Bounds that are short enough for tests.
pub(super) fn bounds() -> Connections {
    Connections {
        handshake_timeout_seconds: 1,
        head_timeout_seconds: 1,
        idle_timeout_seconds: 2,
        body_timeout_seconds: 1,
        body_least_bytes: 1000,
        write_timeout_seconds: 1,
        ..Connections::default()
    }
}

/// What `/large` answers with; counted for as long as it is kept.
struct Counted {
    bytes: Vec<u8>,
    under_way: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

fn routes(under_way: Arc<AtomicUsize>, begun: &Arc<AtomicUsize>) -> Router {
    let counted = |slow: bool| {
        let begun = Arc::clone(begun);
        move |request| {
            begun.fetch_add(1, Ordering::SeqCst);
            async move {
                let answer = length(request).await;
                if slow {
                    tokio::time::sleep(SLOW).await;
                }
                answer
            }
        }
    };
    let large = move || async move {
        under_way.fetch_add(1, Ordering::SeqCst);
        Bytes::from_owner(Counted { bytes: vec![b'x'; LARGE_BYTES], under_way: Arc::clone(&under_way) })
    };
    Router::new()
        .route("/peer", get(peer))
        .route("/length", post(counted(false)))
        .route("/slow-length", post(counted(true)))
        .route("/unread", post(async || "unread"))
        .route("/large", get(large))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(SLOW).await;
                "slow"
            }),
        )
}

/// Address, TLS, and the fingerprint of the certificate.
async fn peer(Extension(peer): Extension<Peer>) -> String {
    let certificate = peer.certificate.map_or("none".to_owned(), |certificate| hex(&certificate.fingerprint));
    format!("{} {} {certificate}", peer.address, peer.tls)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

async fn length(request: Request) -> Response {
    match request.into_body().collect().await {
        Ok(body) => body.to_bytes().len().to_string().into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

impl Running {
    pub(super) fn plain(bounds: Connections) -> Self {
        Self::start(bounds, None)
    }

    pub(super) fn start(bounds: Connections, tls: Option<ServerConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let under_way = Arc::new(AtomicUsize::new(0));
        let begun = Arc::new(AtomicUsize::new(0));
        let routes = routes(Arc::clone(&under_way), &begun);
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            serve(listener, routes, tls.map(Arc::new), &bounds, stop).await
        });
        Self { runtime, address, under_way, begun, stop: Some(stop), serving: Some(serving) }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout is set");
        stream
    }

    /// Tells it to stop, but does not wait.
    pub(super) fn tell(&mut self) {
        let stop = self.stop.take().expect("it is told once");
        stop.send(()).expect("it runs");
    }

    /// Waits until it has stopped.
    pub(super) fn wait(&mut self) {
        let serving = self.serving.take().expect("it is waited for once");
        let limit = Duration::from_secs(20);
        let ended = self.runtime.block_on(async { tokio::time::timeout(limit, serving).await });
        ended.expect("it stops").expect("it does not panic").expect("it serves");
    }
}

/// Waits until something is so.
pub(super) fn wait_for(is_so: impl Fn() -> bool, what: &str) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A request without a body; the connection stays open.
pub(super) fn asks(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// Sends that and reads the answer: its status and body.
pub(super) fn ask(stream: &mut (impl Read + Write), path: &str) -> io::Result<(u16, String)> {
    stream.write_all(asks(path).as_bytes())?;
    stream.flush()?;
    answer(stream)
}

/// Reads an answer that tells its length.
pub(super) fn answer(stream: &mut impl Read) -> io::Result<(u16, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("heads are text").to_ascii_lowercase();
    let status = head[9..12].parse().expect("a status is a number");
    let (_, length) = head.split_once("content-length: ").expect("the length is told");
    let length = length[..length.find('\r').expect("lines end")].parse().expect("a length is a number");
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8(body).expect("the body is text")))
}

/// All that comes, until the other side closes.
pub(super) fn until_end(stream: &mut impl Read) -> String {
    let mut seen = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut seen);
    String::from_utf8(seen).expect("it is text")
}

/// The other side says 503 and why, when to try again, and closes.
#[track_caller]
pub(super) fn is_told(stream: &mut impl Read, why: &str) {
    let seen = until_end(stream);
    let (head, body) = seen.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {seen:?}"));
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 503"), "{seen}");
    let fields = ["retry-after: 5", "connection: close", "content-type: application/problem+json"];
    for field in fields {
        assert!(head.lines().any(|line| line == field), "{field}: {seen}");
    }
    assert!(body.starts_with('{') && body.ends_with('}') && body.contains(why), "{seen}");
}

/// Whether the other side has closed, without a word.
pub(super) fn is_closed(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(length) => length == 0,
        Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof),
    }
}
