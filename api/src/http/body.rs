//! Bodies of requests, read under a bound and only in the type that a route takes.
//!
//! Nothing is read of a body that says it is too long, and no more than the bound of one that does not say. What a
//! body means is not known here.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use slapledger_core::keyring::KeyRing;

use super::problem::Problem;

/// A request that was read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    method: String,
    path: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Sent {
    /// Names the content of the command that was sent (`Meta::digest`).
    pub(crate) fn digest(&self, keys: &KeyRing) -> [u8; 16] {
        keys.command_digest(&[self.method.as_bytes(), self.path.as_bytes(), &self.body])
    }
}

/// Reads a body of one media type, whatever its parameters, of at most `limit` bytes.
pub(crate) async fn read(request: Request, media_type: &str, limit: usize) -> Result<Sent, Problem> {
    let (parts, body) = request.into_parts();
    let told = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = told.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(media_type) {
        return Err(Problem::unsupported_media_type(media_type));
    }
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large(limit));
    }
    let body = match Limited::new(body, limit).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large(limit)),
        Err(error) => return Err(Problem::bad_request(format!("the body could not be read: {error}"))),
    };
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    Ok(Sent { method, path, headers: parts.headers, body })
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body must have at most {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
}
