//! The listener for operators: health, readiness and metrics, on an address of its own.
//!
//! Invariants: it shares nothing with the main listener but what it tells: a thread, a runtime and connections of its
//! own, so that neither the connections, nor the requests, nor the blocking work of others keep it from answering. What
//! it answers is in memory; metrics also look at views, beside the thread that tells of health. It is plain HTTP
//! without sign-in, so that it is on loopback unless somebody says otherwise; it shows what `/healthz` shows to everybody
//! and how many things there are, and changes nothing.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use slapledger_engine::Engine;
use slapledger_engine::metrics::METRICS_TYPE;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::forms::in_json;
use slapledger_kit::layer::FunctionLayer;
use slapledger_kit::problem::Problem;
use slapledger_net::{self as net, Connections};
use tokio::sync::oneshot;

use crate::rest::{health_of, readiness_of};

/// How long somebody waits for metrics: Prometheus hangs up after 10 seconds, if nothing else is configured.
const METRICS_PATIENCE: Duration = Duration::from_secs(9);

/// Bounds that fit short questions of few. Nobody's share is bounded: they all come from one address.
fn bounds() -> Connections {
    Connections {
        most: 32,
        most_per_address: 32,
        head_timeout_seconds: 5,
        idle_timeout_seconds: 30,
        body_timeout_seconds: 2,
        write_timeout_seconds: 5,
        most_head_bytes: 8192,
        ..Connections::default()
    }
}

/// Says whether the listener may be at this address.
pub fn check_address(address: SocketAddr, is_exposed: bool) -> anyhow::Result<()> {
    ensure!(
        is_exposed || address.ip().is_loopback(),
        "operations {address}: anybody who reaches it may ask, in the clear; name a loopback address, such as \
         127.0.0.1:{}, or set operations_exposed = true in the file of --config",
        address.port()
    );
    Ok(())
}

/// A listener that answers until it is dropped.
#[derive(Debug)]
pub struct Operations {
    /// Where it is.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Operations {
    /// Answers from now on, on a thread of its own.
    pub fn start(engine: Arc<Engine>, address: SocketAddr) -> anyhow::Result<Self> {
        let listen = || format!("listen on {address} for operations");
        let listener = TcpListener::bind(address).with_context(listen)?;
        listener.set_nonblocking(true).with_context(listen)?;
        let address = listener.local_addr().with_context(listen)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let bounds = bounds();
                let served = net::serve(listener, routes(engine), None, &bounds, std::future::pending());
                // Nobody is waited for: no answer takes long enough to be under way.
                tokio::select! {
                    served = served => served,
                    _ = stopped => Ok(()),
                }
            });
            if let Err(error) = served {
                tracing::error!(%error, "health is not told at the address for operations");
            }
        };
        let thread =
            thread::Builder::new().name("operations".into()).spawn(serve).context("start a thread")?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        // Whether it ended by itself is all the same now.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the listener for operations panicked");
        }
    }
}

fn routes(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/healthz", get(async |State(engine): State<Arc<Engine>>| health_of(&engine)))
        .route("/readyz", get(async |State(engine): State<Arc<Engine>>| readiness_of(&engine)))
        .layer(FunctionLayer::new((), in_json))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(no_method)
        .fallback(no_route)
        .with_state(engine)
}

/// `GET /metrics`. It looks at views, and so may wait for them: not on the thread that tells of health, and one look at a
/// time.
async fn metrics(State(engine): State<Arc<Engine>>) -> Result<Response, Problem> {
    let text = tokio::task::spawn_blocking(move || engine.metrics.text(&engine));
    let late = || Problem::later(ProblemCode::Overloaded, "the metrics were not read in time", 15);
    let text = tokio::time::timeout(METRICS_PATIENCE, text).await.map_err(|_| late())?;
    let text = text.map_err(|error| Problem::fault(&error))?.ok_or_else(late)?;
    Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}

async fn no_route(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {} here; /healthz, /readyz and /metrics are", uri.path()))
}

async fn no_method(method: Method, uri: Uri) -> Response {
    let detail = format!("{} takes GET and HEAD, not {method}", uri.path());
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, ProblemCode::MethodNotAllowed, detail);
    ([(header::ALLOW, "GET, HEAD")], problem).into_response()
}

#[cfg(test)]
mod tests;
