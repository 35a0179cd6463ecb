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
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::connection::{ListenerShared, REST_PATIENCE, converse};
use super::overload::{Overload, Reason, take_rest};
use super::registry::{Registry, SeatRefusal, Watch};
use super::stage::Stage;
use super::{Connections, Peer, tls};

/// Open files that are not connections: the store, keys, connections that are refused or about to be closed, and those
/// of a second listener.
const OTHER_FILES: u64 = 384;
/// After an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(50);
/// How many connections that wait are then closed.
const MADE_ROOM: usize = 16;
/// How many connections that were not accepted before a stop are told so.
const MOST_WAITING: usize = 64;
/// How often the same trouble is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// How long what is not there yet when the server is told to stop may take: the rest of a head, of a body, or of an
/// answer that is not read.
const GRACE: Duration = Duration::from_secs(2);
/// How long requests that are there may take after that.
const FINISH: Duration = Duration::from_secs(60);

/// How long a request may be on its way that was sent before the server was told to stop.
const IN_FLIGHT: Duration = Duration::from_millis(100);

/// Serves the routes until `stop` is ready, then finishes what is under way: requests that are there are answered, those
/// that are not there soon are refused. With `tls`, all connections are encrypted. To be spawned on a runtime, not run by the thread that blocks on it: that one would be woken for every
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
    let shared = Arc::new(ListenerShared { routes: routes.with_state(()), bounds: bounds.clone() });
    let (stages, stage) = watch::channel(Stage::Serving);
    let acceptor = tls.map(TlsAcceptor::from);
    let overload = Overload::new(acceptor.clone());
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
                overload.refuse(stream, Reason::TooMany, stage.clone());
                continue;
            }
        };
        let (index, watch) = (seat.index(), Arc::clone(&seat.watch));
        let (acceptor, shared, stage) = (acceptor.clone(), Arc::clone(&shared), stage.clone());
        let task = tokio::spawn(async move {
            let watch = Arc::clone(&seat.watch);
            match acceptor {
                None => {
                    let peer = Peer { address, certificate: None, tls: false };
                    converse(stream, peer, shared, watch, stage).await;
                }
                Some(acceptor) => {
                    converse_encrypted(stream, address, &acceptor, shared, watch, stage).await;
                }
            }
            drop(seat);
        });
        registry.runs(index, &watch, task.abort_handle());
    }
    let _ = stages.send(Stage::Stopping);
    refuse_waiting(&listener, &overload, &stage).await;
    drop(listener);
    drop(stage);
    // Nobody who looks at the stage means that nothing is under way.
    for (patience, then) in [(IN_FLIGHT, Stage::Closing), (GRACE, Stage::Cutting)] {
        if tokio::time::timeout(patience, stages.closed()).await.is_ok() {
            return Ok(());
        }
        let _ = stages.send(then);
    }
    if tokio::time::timeout(FINISH, stages.closed()).await.is_err() {
        tracing::warn!(seconds = FINISH.as_secs(), "requests that did not end are cut off");
    }
    Ok(())
}

/// What the system has accepted meanwhile would be reset together with the listener.
async fn refuse_waiting(listener: &TcpListener, overload: &Overload, stage: &watch::Receiver<Stage>) {
    for _ in 0..MOST_WAITING {
        // Does not wait: ready at once, or nobody is there.
        let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await else {
            return;
        };
        overload.refuse(stream, Reason::Stopping, stage.clone());
    }
}

async fn converse_encrypted(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: &TlsAcceptor,
    shared: Arc<ListenerShared>,
    watch: Arc<Watch>,
    mut stage: watch::Receiver<Stage>,
) {
    let handshake =
        tokio::time::timeout(shared.bounds.handshake_timeout(), acceptor.accept(stream).into_fallible());
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        _ = stage.wait_for(|stage| *stage > Stage::Serving) => return,
    };
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, mut stream))) => {
            tracing::debug!(%error, %address, "a TLS handshake failed");
            // The alert says why; it would be lost if more came to a closed connection.
            if stream.shutdown().await.is_ok() {
                take_rest(&mut stream, REST_PATIENCE).await;
            }
            return;
        }
        Err(_) => return,
    };
    watch.opened();
    let certificate = tls::peer_certificate(stream.get_ref().1);
    converse(stream, Peer { address, certificate, tls: true }, shared, watch, stage).await;
}

/// Whether one connection failed before it was accepted, and nothing else is wrong.
fn of_the_other_side(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

impl SeatRefusal {
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
