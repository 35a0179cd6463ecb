//! Accepts connections, as many as there may be, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::connection::{Shared, converse, take_rest};
use super::registry::{Refused, Registry, Watch};
use super::{Connections, Peer, tls};

/// Open files that are not connections: the store, keys, and connections about to be closed.
const OTHER_FILES: u64 = 256;
/// After an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(50);
/// How many connections that wait are then closed.
const MADE_ROOM: usize = 16;
/// How often the same trouble is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// To how many at a time a refusal is explained; others are closed without a word.
const MOST_REFUSALS: usize = 64;
/// For how long that is tried.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-type: text/plain\r\ncontent-length: 32\r\n\
      connection: close\r\n\r\ntoo many connections, try again\n";

/// Serves the routes until `stop` is ready, then finishes what is under way. With `tls`, all connections are
/// encrypted. To be spawned on a runtime, not run by the thread that blocks on it: that one would be woken for every
/// connection.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    tls: Option<Arc<ServerConfig>>,
    bounds: &Connections,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    bounds.check().context("the bounds of connections")?;
    let most = within_open_files(bounds.most);
    let registry = Arc::new(Registry::new(most, bounds));
    // With the state now rather than at each request.
    let shared = Arc::new(Shared { routes: routes.with_state(()), bounds: bounds.clone() });
    let (stopping, stopped) = watch::channel(false);
    let acceptor = tls.map(TlsAcceptor::from);
    let refusals = Arc::new(Semaphore::new(MOST_REFUSALS));
    let mut trouble = Trouble::default();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if of_the_other_side(&error) => continue,
            Err(error) => {
                // Several: the next accept would find as little as this one.
                let closed = (0..MADE_ROOM).take_while(|_| registry.make_place()).count();
                trouble.log(|| tracing::error!(%error, closed, "a connection could not be accepted"));
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => continue,
                    () = &mut stop => break,
                }
            }
        };
        // Small answers on connections that stay open would wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays with delayed sends");
        }
        let seat = match registry.enter(address.ip()) {
            Ok(seat) => seat,
            Err(refused) => {
                trouble.log(|| refused.log(address, bounds, most));
                if acceptor.is_none() {
                    explain(stream, &refusals);
                }
                continue;
            }
        };
        let (index, watch) = (seat.index(), Arc::clone(&seat.watch));
        let (acceptor, shared, stopped) = (acceptor.clone(), Arc::clone(&shared), stopped.clone());
        let task = tokio::spawn(async move {
            let watch = Arc::clone(&seat.watch);
            match acceptor {
                None => {
                    let peer = Peer { address, certificate: None, tls: false };
                    converse(stream, peer, shared, watch, stopped).await;
                }
                Some(acceptor) => {
                    converse_encrypted(stream, address, &acceptor, shared, watch, stopped).await;
                }
            }
            drop(seat);
        });
        registry.runs(index, &watch, task.abort_handle());
    }
    drop(listener);
    drop(stopped);
    // Nobody listening means that nothing is under way.
    let _ = stopping.send(true);
    stopping.closed().await;
    Ok(())
}

async fn converse_encrypted(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: &TlsAcceptor,
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    mut stopped: watch::Receiver<bool>,
) {
    let handshake =
        tokio::time::timeout(shared.bounds.handshake_timeout(), acceptor.accept(stream).into_fallible());
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        _ = stopped.wait_for(|stopping| *stopping) => return,
    };
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, mut stream))) => {
            tracing::debug!(%error, %address, "a TLS handshake failed");
            // The alert says why; it would be lost if more came to a closed connection.
            if stream.shutdown().await.is_ok() {
                take_rest(&mut stream).await;
            }
            return;
        }
        Err(_) => return,
    };
    watch.opened();
    let certificate = tls::peer_certificate(stream.get_ref().1);
    converse(stream, Peer { address, certificate, tls: true }, shared, watch, stopped).await;
}

/// Whether one connection failed before it was accepted, and nothing else is wrong.
fn of_the_other_side(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers 503 beside what goes on, and takes what was sent, so that the answer is not lost with the connection.
fn explain(mut stream: TcpStream, refusals: &Arc<Semaphore>) {
    let Ok(permit) = Arc::clone(refusals).try_acquire_owned() else { return };
    tokio::spawn(async move {
        let talk = async {
            stream.write_all(NO_ROOM).await?;
            stream.shutdown().await
        };
        if let Ok(Ok(())) = tokio::time::timeout(REFUSAL_PATIENCE, talk).await {
            take_rest(&mut stream).await;
        }
        drop(permit);
    });
}

impl Refused {
    fn log(self, address: SocketAddr, bounds: &Connections, most: usize) {
        match self {
            Self::Full => {
                tracing::warn!(most, "all connections have a request under way; new ones are refused");
            }
            Self::Address => {
                let most = bounds.most_per_address;
                tracing::warn!(%address, most, "an address has as many connections as it may have");
            }
        }
    }
}

/// Logs at most now and then.
#[derive(Default)]
struct Trouble {
    logged: Option<Instant>,
}

impl Trouble {
    fn log(&mut self, log: impl FnOnce()) {
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            log();
        }
    }
}

/// How many connections the limit of open files leaves room for, once it is raised as far as is needed and allowed.
fn within_open_files(most: usize) -> usize {
    let wanted = most as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    // None is no limit.
    let (Some(mut current), maximum) = (limit.current, limit.maximum) else { return most };
    if current < wanted {
        let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        let new = Rlimit { current: Some(raised), maximum };
        if raised > current && setrlimit(Resource::Nofile, new).is_ok() {
            current = raised;
        }
    }
    if current >= wanted {
        return most;
    }
    let room = usize::try_from(current.saturating_sub(OTHER_FILES).max(current / 2)).unwrap_or(most);
    tracing::warn!(
        most,
        room,
        open_files = current,
        "the limit of open files leaves room for fewer connections"
    );
    room.max(1)
}
