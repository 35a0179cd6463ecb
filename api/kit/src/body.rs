//! Requests with a body, read to their end: of one media type, and within the bound of their route.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;

use super::problem::Problem;
use crate::collect::{self, BodyLimit};

/// A request that was read to its end.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    method: String,
    path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl ReceivedRequest {
    /// Where it was sent.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All that a repetition of the command must have in common with it.
    pub fn content(&self) -> [&[u8]; 3] {
        [self.method.as_bytes(), self.path.as_bytes(), &self.body]
    }
}

/// Reads a request whose body is of this media type and within this limit.
pub async fn read(
    request: Request,
    media_type: &str,
    limit: impl Into<BodyLimit>,
) -> Result<ReceivedRequest, Problem> {
    if collect::media_type(request.headers()).as_deref() != Some(media_type) {
        return Err(Problem::unsupported_media_type(media_type));
    }
    read_any(request, limit).await
}

/// The same whatever its media type is: where it may be one of several, or there may be no body.
pub async fn read_any(request: Request, limit: impl Into<BodyLimit>) -> Result<ReceivedRequest, Problem> {
    let (parts, body) = request.into_parts();
    let body = collect::collect(&parts, body, limit).await?;
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    Ok(ReceivedRequest { method, path, headers: parts.headers, body })
}
