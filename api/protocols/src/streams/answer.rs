//! An answer of server-sent events.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use futures_util::Stream;
use slapledger_core::domain::id::Sequence;
use slapledger_kit::answer::SEQUENCE;

/// The answer that sends these pieces as they come; the stream begins after a sequence.
pub(crate) fn server_sent(
    pieces: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
    sequence: Sequence,
) -> Response {
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A reverse proxy passes on each piece as it comes.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(SEQUENCE, HeaderValue::from(sequence.0));
    response
}
