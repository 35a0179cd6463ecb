//! One connection: requests are read from it and answered, until it ends or keeps the server waiting for too long.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::Service;

use super::progress::Progress;
use super::registry::{Late, Watch};
use super::{Connections, Peer};

/// How many fields hyper reads without memory of its own for them.
const FIELDS_IN_PLACE: usize = 100;

/// How long a connection that is over may still take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much is still read of it.
const MOST_REST_BYTES: usize = 4 * 1024 * 1024;

const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What all connections of a listener share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) routes: Router,
    pub(super) bounds: Connections,
}

/// Answers the requests of a connection until it ends, or `stopping` says so and what is under way is answered.
pub(super) async fn converse<S>(
    stream: S,
    peer: Peer,
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    mut stopping: watch::Receiver<bool>,
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
    let service = service_fn(|request| answer(request, &peer, &shared, &watch));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch), bounds));
    let mut connection = http.serve_connection(io, service);
    let mut timer = pin!(tokio::time::sleep(head));
    let mut stop = pin!(async {
        // The sender outlives all connections.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    });
    let mut told = false;
    let end = std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(end) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(Ok(end));
            }
            while timer.as_mut().poll(cx).is_ready() {
                match watch.late(head, idle) {
                    Ok(after) => timer.as_mut().reset(Instant::now() + after),
                    Err(late) => return Poll::Ready(Err(late)),
                }
            }
            if told || stop.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if watch.is_idle() {
                return Poll::Ready(Err(Late::Silent));
            }
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
    });
    match end.await {
        Ok(Ok(())) | Err(Late::Silent) => {}
        Ok(Err(error)) => {
            tracing::debug!(%error, address = %peer.address, "a connection broke off");
            // The answer to what could not be read would be lost if the rest came to a closed connection.
            if error.is_parse() {
                take_rest(&mut connection.into_parts().io.into_inner().stream).await;
            }
        }
        Err(Late::Head) => {
            let mut stream = connection.into_parts().io.into_inner().stream;
            let farewell = async {
                let _ = stream.write_all(TOO_SLOW).await;
                let _ = stream.shutdown().await;
            };
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
    }
}

/// Reads what still comes, for a while, so that the other side gets to read what it was answered.
pub(super) async fn take_rest(stream: &mut (impl AsyncRead + Unpin)) {
    let rest = async {
        let mut piece = vec![0; 16 * 1024];
        let mut left = MOST_REST_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(FAREWELL, rest).await;
}

/// The connection was closed for another's sake just as the request came.
#[derive(Debug, thiserror::Error)]
#[error("closed to make place")]
struct Closed;

fn answer(
    request: Request<Incoming>,
    peer: &Peer,
    shared: &Shared,
    watch: &Arc<Watch>,
) -> impl Future<Output = Result<Response<Sent>, Closed>> + Send + 'static {
    let begun = watch.begin().then(|| {
        let mut request = request.map(|body| Received::body(body, &shared.bounds));
        request.extensions_mut().insert(peer.clone());
        (shared.routes.clone().call(request), Arc::clone(watch))
    });
    async move {
        let (answer, watch) = begun.ok_or(Closed)?;
        let answer = answer.await.unwrap_or_else(|never| match never {});
        Ok(answer.map(|body| Sent { body, watch }))
    }
}

/// The body of a request, which must make progress.
struct Received {
    body: Incoming,
    progress: Progress,
}

impl Received {
    fn body(body: Incoming, bounds: &Connections) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        let progress = Progress::new(bounds.body_timeout_seconds, bounds.body_least_bytes);
        Body::new(Self { body, progress })
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
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame?;
        this.progress.moved(frame.data_ref().map_or(0, Bytes::len));
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
    sending: Progress,
}

impl<S> Watched<S> {
    fn new(stream: S, watch: Arc<Watch>, bounds: &Connections) -> Self {
        let sending = Progress::new(bounds.write_timeout_seconds, bounds.write_least_bytes);
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
