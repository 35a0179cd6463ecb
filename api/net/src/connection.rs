//! One connection: requests are read from it and answered, until it ends or keeps the server waiting for too long.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::Service;

use super::overload::{self, Reason, take_rest};
use super::progress::ConnectionProgress;
use super::registry::{Overdue, Watch};
use super::stage::Stage;
use super::{Connections, Peer};

/// How many fields hyper reads without memory of its own for them.
const FIELDS_IN_PLACE: usize = 100;

/// How long a connection that is over may still take.
const FAREWELL: Duration = Duration::from_secs(2);
/// For how long what still comes is read, so that the other side gets to read what it was answered.
pub(super) const REST_PATIENCE: Duration = Duration::from_secs(2);
/// The same when the server stops.
const LAST_REST_PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer may wait to be read when the server stops, and how often that is looked at.
const LAST_WRITE_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(200);

const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What all connections of a listener share.
#[derive(Debug)]
pub(super) struct ListenerShared {
    pub(super) routes: Router,
    pub(super) bounds: Connections,
}

/// Answers the requests of a connection until it ends, or `stage` says that the server stops: then what is there is
/// answered, and what is not is waited for a little.
pub(super) async fn converse<S>(
    stream: S,
    peer: Peer,
    shared: Arc<ListenerShared>,
    watch: Arc<Watch>,
    stage: watch::Receiver<Stage>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let bounds = &shared.bounds;
    let (head, idle) = (bounds.head_timeout(), bounds.idle_timeout());
    let mut http = http1::Builder::new();
    http.max_header_size(bounds.most_head_bytes);
    if bounds.most_head_fields != FIELDS_IN_PLACE {
        http.max_headers(bounds.most_head_fields);
    }
    let service = service_fn(|request| answer(request, &peer, &shared, &watch, &stage));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch), bounds));
    let mut connection = http.serve_connection(io, service);
    let mut timer = pin!(tokio::time::sleep(head));
    let mut now = Stage::Serving;
    let mut next = pin!(reached(stage.clone(), Stage::Stopping));
    let (mut is_told, mut is_cutting) = (false, false);
    let end = std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(end) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(Ok(end));
            }
            while timer.as_mut().poll(cx).is_ready() {
                let looked = match is_cutting {
                    false => watch.late(head, idle),
                    true if watch.is_stuck(LAST_WRITE_PATIENCE) => Err(Overdue::Silent),
                    true => Ok(LOOK_EVERY),
                };
                match looked {
                    Ok(after) => timer.as_mut().reset(Instant::now() + after),
                    Err(late) => return Poll::Ready(Err(late)),
                }
            }
            while let Some(following) = now.following() {
                if next.as_mut().poll(cx).is_pending() {
                    break;
                }
                now = following;
                watch.stop();
                if let Some(following) = now.following() {
                    next.set(reached(stage.clone(), following));
                }
            }
            if now >= Stage::Closing && watch.is_idle() {
                return Poll::Ready(Err(Overdue::Silent));
            }
            // Not before a request is under way: hyper would close on half a head.
            if now >= Stage::Stopping && !is_told && watch.is_busy() {
                is_told = true;
                Pin::new(&mut connection).graceful_shutdown();
                continue;
            }
            if now == Stage::Cutting && watch.waits_for_head() {
                return Poll::Ready(Err(Overdue::Stopping));
            }
            if now == Stage::Cutting && !is_cutting {
                is_cutting = true;
                timer.as_mut().reset(Instant::now() + LOOK_EVERY);
                continue;
            }
            return Poll::Pending;
        }
    });
    match end.await {
        Ok(Ok(())) if watch.is_cut() => {
            take_rest(&mut connection.into_parts().io.into_inner().stream, LAST_REST_PATIENCE).await;
        }
        Ok(Ok(())) => {}
        Err(Overdue::Silent) => {
            let mut stream = connection.into_parts().io.into_inner().stream;
            if !watch.is_stuck(Duration::ZERO) {
                let _ = tokio::time::timeout(FAREWELL, stream.shutdown()).await;
            }
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, address = %peer.address, "a connection broke off");
            // The answer to what could not be read would be lost if the rest came to a closed connection.
            if error.is_parse() {
                take_rest(&mut connection.into_parts().io.into_inner().stream, REST_PATIENCE).await;
            }
        }
        Err(Overdue::Head) => {
            let mut stream = connection.into_parts().io.into_inner().stream;
            let farewell = async {
                let _ = stream.write_all(TOO_SLOW).await;
                let _ = stream.shutdown().await;
            };
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
        Err(Overdue::Stopping) => {
            let stream = connection.into_parts().io.into_inner().stream;
            overload::tell(stream, Reason::Stopping, LAST_REST_PATIENCE).await;
        }
    }
}

/// Waits until the server is that far.
async fn reached(mut stage: watch::Receiver<Stage>, there: Stage) {
    // The sender outlives all connections.
    let _ = stage.wait_for(|stage| *stage >= there).await;
}

/// The connection was closed for another's sake just as the request came.
#[derive(Debug, thiserror::Error)]
#[error("closed to make place")]
struct Closed;

fn answer(
    request: Request<Incoming>,
    peer: &Peer,
    shared: &ListenerShared,
    watch: &Arc<Watch>,
    stage: &watch::Receiver<Stage>,
) -> impl Future<Output = Result<Response<Sent>, Closed>> + Send + 'static {
    let begun = watch.begin().then(|| {
        let arrival = (!request.body().is_end_stream()).then(Arrival::default);
        let mut request = request.map(|body| Received::body(body, arrival.as_ref(), &shared.bounds));
        request.extensions_mut().insert(peer.clone());
        let cut = arrival.map(|arrival| (arrival, stage.clone()));
        (shared.routes.clone().call(request), cut, Arc::clone(watch))
    });
    async move {
        let (answer, cut, watch) = begun.ok_or(Closed)?;
        let answer = async { answer.await.unwrap_or_else(|never| match never {}) };
        let mut answer = match cut {
            None => answer.await,
            Some((arrival, stage)) => tokio::select! {
                biased;
                answer = answer => answer,
                () = arrival.too_late(stage) => {
                    watch.cut();
                    unread()
                }
            },
        };
        if watch.is_stopping() {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer.map(|body| Sent { body, watch }))
    }
}

/// What a request is answered whose body is not there when the server stops.
fn unread() -> Response<Body> {
    let mut answer = Response::new(Body::from(overload::STOPPING));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static(overload::RETRY_AFTER_SECONDS));
    answer
}

/// Whether all of a body is there, or nobody wants it.
#[derive(Debug, Clone, Default)]
struct Arrival(Arc<AtomicBool>);

impl Arrival {
    fn is_complete(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Ready when the server waits no more and the body is not there: what needs it was not carried out.
    async fn too_late(self, stage: watch::Receiver<Stage>) {
        reached(stage, Stage::Cutting).await;
        if self.0.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
    }
}

/// The body of a request, which must make progress.
struct Received {
    body: Incoming,
    progress: ConnectionProgress,
    arrival: Arrival,
}

impl Received {
    /// Without an arrival there is nothing to come.
    fn body(body: Incoming, arrival: Option<&Arrival>, bounds: &Connections) -> Body {
        let Some(arrival) = arrival else { return Body::empty() };
        let progress = ConnectionProgress::new(bounds.body_timeout_seconds, bounds.body_least_bytes);
        Body::new(Self { body, progress, arrival: arrival.clone() })
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.arrival.is_complete();
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            ready!(this.progress.poll_late(cx));
            return Poll::Ready(Some(Err("it came too slowly".into())));
        };
        let Some(frame) = frame else {
            this.arrival.is_complete();
            return Poll::Ready(None);
        };
        let frame = frame?;
        this.progress.moved(frame.data_ref().map_or(0, Bytes::len));
        if this.body.is_end_stream() {
            this.arrival.is_complete();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; the request is over when it is dropped.
struct Sent {
    body: Body,
    watch: Arc<Watch>,
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.watch.finished();
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells its watch what happens on it, and ends when the other side does not read.
struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    sending: ConnectionProgress,
}

impl<S> Watched<S> {
    fn new(stream: S, watch: Arc<Watch>, bounds: &Connections) -> Self {
        let sending = ConnectionProgress::new(bounds.write_timeout_seconds, bounds.write_least_bytes);
        Self { stream, watch, sending }
    }

    /// What a write came to; the wait for the other side begins, goes on or ends.
    fn sent<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &outcome {
            Poll::Pending => {
                self.watch.writes(true);
                ready!(self.sending.poll_late(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
            }
            Poll::Ready(Ok(done)) => {
                self.sending.moved(bytes(done));
                self.watch.written();
                outcome
            }
            Poll::Ready(Err(_)) => outcome,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watch.heard();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.sent(cx, outcome, |written| *written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.sent(cx, outcome, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Flushed by hyper only when it has nothing left to write itself.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        let outcome = self.sent(cx, outcome, |()| 0);
        if outcome.is_ready() {
            self.watch.writes(false);
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.sent(cx, outcome, |()| 0)
    }
}
