//! Bodies, read to their end within the limit of their route.
//!
//! A body that is too long is answered, never dropped without a word.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;

use super::problem::Problem;

/// How much of a body that is too long is still taken, so that its sender, who may write all of it before it reads
/// anything, gets to see the answer.
const DRAINED_BYTES: usize = 128 * 1024 * 1024;
/// For how long it is taken.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of any body, as it is configured.
#[derive(Clone, Copy)]
pub struct MostBody {
    /// Of a body without parameters.
    pub bytes: usize,
    /// Of a body that carries parameters: it is longer only if its sender told its length, so that memory was set aside
    /// for it.
    pub with_parameters: usize,
}

/// How long the body of a route may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimit {
    /// So many bytes, and no more than any body may have.
    Bytes(usize),
    /// So many bytes, as the route takes the parameters of an instance.
    Parameters(usize),
}

impl From<usize> for BodyLimit {
    fn from(bytes: usize) -> Self {
        Self::Bytes(bytes)
    }
}

impl BodyLimit {
    /// In bytes, within what any body may have.
    fn within(self, any: Option<&MostBody>) -> usize {
        match (self, any) {
            (Self::Bytes(most) | Self::Parameters(most), None) => most,
            (Self::Bytes(most), Some(any)) => most.min(any.bytes),
            (Self::Parameters(most), Some(any)) => most.min(any.with_parameters),
        }
    }
}

/// The length of a body, if its sender told it.
pub fn told_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// All of a body, if it is not longer than its route allows, nor than any may be.
pub async fn collect(parts: &Parts, body: Body, limit: impl Into<BodyLimit>) -> Result<Bytes, Problem> {
    let most = limit.into().within(parts.extensions.get::<MostBody>());
    let headers = &parts.headers;
    let told = told_length(headers);
    if told.is_some_and(|told| told > most as u64) {
        // Who asked before sending is not made to send.
        if !headers.contains_key(header::EXPECT) {
            drain(body).await;
        }
        return Err(too_long(most));
    }
    let mut body = body;
    let mut collected =
        Vec::with_capacity(told.and_then(|told| usize::try_from(told).ok()).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Problem::bad_request(format!("the body could not be read: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        if collected.len() + data.len() > most {
            drop(collected);
            drain(body).await;
            return Err(too_long(most));
        }
        collected.extend_from_slice(data);
    }
    Ok(collected.into())
}

fn too_long(most: usize) -> Problem {
    let detail = format!("the body must have at most {most} bytes");
    Problem::body_too_large(detail)
}

async fn drain(mut body: Body) {
    let all = async {
        let mut taken = 0;
        while let Some(Ok(frame)) = body.frame().await {
            taken += frame.data_ref().map_or(0, Bytes::len);
            if taken > DRAINED_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_PATIENCE, all).await;
}

/// The media type of a body, in lower case and without parameters, if its text is in UTF-8 as far as is said.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let utf_8 = parts.all(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return true };
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    utf_8.then_some(media_type)
}
