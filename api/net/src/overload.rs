//! What a connection is told for which there is no place: 503, when to try again, and that it is closed.
//!
//! Invariants: all of it is bounded in number and in time, so that telling is no new way to exhaust the server; past
//! those bounds a connection is closed without a word. What the client has sent meanwhile is read for a while, as a
//! connection that is closed with something unread in it is reset, and the answer lost.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::stage::Stage;

/// How many connections are told at a time in the clear.
const MOST_ANSWERS: usize = 64;
/// How many are told at a time under TLS: a handshake costs more than all else.
const MOST_ENCRYPTED_ANSWERS: usize = 16;
/// How many handshakes there are a second for nothing but that.
const HANDSHAKES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
/// How many are closed without a word, but not reset.
const MOST_SILENT: usize = 16;
/// For how long a handshake, and then the answer, is tried.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long what still comes is read.
const REST_PATIENCE: Duration = Duration::from_secs(1);
/// How much of it is read.
const MOST_REST_BYTES: usize = 4 * 1024 * 1024;
/// After how many seconds to try again.
pub(super) const RETRY_AFTER_SECONDS: &str = "5";

/// Problem details (RFC 9457) as the kit (`slapledger_kit::problem`) writes them, ready to be sent.
pub(super) const TOO_MANY: &str = "{\"type\":\"urn:slapledger:problem:too-many-connections\",\"title\":\"too many connections\",\
    \"status\":503,\"detail\":\"there are too many connections; try again in 5 seconds\"}";
/// The same for a request that was not read to its end before the server stopped.
pub(super) const STOPPING: &str = "{\"type\":\"urn:slapledger:problem:stopping\",\"title\":\"stopping\",\
    \"status\":503,\"detail\":\"the server is stopping and has not carried this request out; send it again in 5 seconds\"}";

static TOO_MANY_ANSWER: LazyLock<Bytes> = LazyLock::new(|| rendered(TOO_MANY));
static STOPPING_ANSWER: LazyLock<Bytes> = LazyLock::new(|| rendered(STOPPING));

fn rendered(body: &str) -> Bytes {
    let length = body.len();
    let head =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nconnection: close";
    format!("{head}\r\nretry-after: {RETRY_AFTER_SECONDS}\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no place for it.
    TooMany,
    /// The server stops.
    Stopping,
}

impl Reason {
    /// The answer as it is sent.
    pub(super) fn answer(self) -> Bytes {
        match self {
            Self::TooMany => TOO_MANY_ANSWER.clone(),
            Self::Stopping => STOPPING_ANSWER.clone(),
        }
    }
}

/// Tells connections that they are not served; see the module.
pub(super) struct Overload {
    acceptor: Option<TlsAcceptor>,
    answers: Arc<Semaphore>,
    silent: Arc<Semaphore>,
    handshakes: DefaultDirectRateLimiter,
}

impl Overload {
    /// On a listener that speaks TLS, or in the clear.
    pub(super) fn new(acceptor: Option<TlsAcceptor>) -> Self {
        let most = if acceptor.is_some() { MOST_ENCRYPTED_ANSWERS } else { MOST_ANSWERS };
        Self {
            acceptor,
            answers: Arc::new(Semaphore::new(most)),
            silent: Arc::new(Semaphore::new(MOST_SILENT)),
            handshakes: RateLimiter::direct(Quota::per_second(HANDSHAKES_PER_SECOND)),
        }
    }

    /// Tells a connection why it is not served, beside what goes on, and closes it. A stop waits until `told` is
    /// dropped.
    pub(super) fn refuse(&self, stream: TcpStream, reason: Reason, told: watch::Receiver<Stage>) {
        if let Some(permit) = self.answer_permit() {
            let acceptor = self.acceptor.clone();
            tokio::spawn(async move {
                answer(stream, acceptor, reason).await;
                drop((permit, told));
            });
        } else if let Ok(permit) = Arc::clone(&self.silent).try_acquire_owned() {
            tokio::spawn(async move {
                close(stream).await;
                drop((permit, told));
            });
        }
    }

    fn answer_permit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.answers).try_acquire_owned().ok()?;
        (self.acceptor.is_none() || self.handshakes.check().is_ok()).then_some(permit)
    }
}

async fn answer(stream: TcpStream, acceptor: Option<TlsAcceptor>, reason: Reason) {
    match acceptor {
        None => tell(stream, reason, REST_PATIENCE).await,
        Some(acceptor) => {
            match tokio::time::timeout(PATIENCE, acceptor.accept(stream).into_fallible()).await {
                Ok(Ok(stream)) => tell(stream, reason, REST_PATIENCE).await,
                Ok(Err((_, stream))) => close(stream).await,
                Err(_) => {}
            }
        }
    }
}

/// Writes the answer, closes, and reads what still comes within `rest`.
pub(super) async fn tell(mut stream: impl AsyncRead + AsyncWrite + Unpin, reason: Reason, rest: Duration) {
    let talk = async {
        stream.write_all(&reason.answer()).await?;
        stream.shutdown().await
    };
    if let Ok(Ok(())) = tokio::time::timeout(PATIENCE, talk).await {
        take_rest(&mut stream, rest).await;
    }
}

async fn close(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    if let Ok(Ok(())) = tokio::time::timeout(PATIENCE, stream.shutdown()).await {
        take_rest(&mut stream, REST_PATIENCE).await;
    }
}

/// Reads what still comes, for a while, so that the other side gets to read what it was answered.
pub(super) async fn take_rest(stream: &mut (impl AsyncRead + Unpin), patience: Duration) {
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
    let _ = tokio::time::timeout(patience, rest).await;
}

#[cfg(test)]
mod tests {
    use slapledger_kit::code::ProblemCode;
    use slapledger_kit::problem::Problem;

    use super::*;

    /// They are written by hand, as `net` knows nothing of `http`.
    #[test]
    fn what_is_ready_to_be_sent_is_a_problem_as_all_others_are() {
        for (body, code) in [(TOO_MANY, ProblemCode::TooManyConnections), (STOPPING, ProblemCode::Stopping)] {
            let read: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
            let detail = read["detail"].as_str().expect("a detail");
            let problem = Problem::later(code, detail, 5);
            let response = axum::response::IntoResponse::into_response(problem);
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let written = runtime.block_on(axum::body::to_bytes(response.into_body(), 4096)).expect("a body");
            assert_eq!(body.as_bytes(), &*written);
        }
    }
}
