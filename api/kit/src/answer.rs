//! Answers in JSON with the sequence they reflect, and tags of resources (`ETag`, `If-Match`, `If-None-Match`).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::Sequence;

use super::problem::Problem;
use crate::forms::Representation;

/// Names the sequence that an answer reflects.
pub const SEQUENCE: HeaderName = HeaderName::from_static("slapledger-sequence");

/// An answer in JSON that reflects a sequence.
pub fn json(status: StatusCode, sequence: Sequence, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => json_bytes(status, sequence, bytes),
        Err(error) => Problem::fault(&error).into_response(),
    }
}

/// The same of JSON that is written already.
pub fn json_bytes(status: StatusCode, sequence: Sequence, body: Vec<u8>) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(SEQUENCE, HeaderValue::from(sequence.0));
    response
}

/// One resource, with an `ETag` of its content in the form that is preferred: 304 for whoever has it.
pub fn resource(headers: &HeaderMap, sequence: Sequence, body: &impl Serialize) -> Response {
    let bytes = match serde_json::to_vec(body) {
        Ok(bytes) => bytes,
        Err(error) => return Problem::fault(&error).into_response(),
    };
    let tag = tag(headers, &bytes);
    let mut response = if names(headers, &header::IF_NONE_MATCH, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().insert(SEQUENCE, HeaderValue::from(sequence.0));
        response
    } else {
        json_bytes(StatusCode::OK, sequence, bytes)
    };
    put_tag(&mut response, &tag);
    response
}

/// The same as the answer to a write: never 304.
pub fn tagged(
    headers: &HeaderMap,
    status: StatusCode,
    sequence: Sequence,
    body: &impl Serialize,
) -> Response {
    let bytes = match serde_json::to_vec(body) {
        Ok(bytes) => bytes,
        Err(error) => return Problem::fault(&error).into_response(),
    };
    let tag = tag(headers, &bytes);
    let mut response = json_bytes(status, sequence, bytes);
    put_tag(&mut response, &tag);
    response
}

fn put_tag(response: &mut Response, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

/// With the place of what was made.
pub fn located(mut response: Response, place: &str) -> Response {
    if let Ok(location) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Whether what a write is about is still what its sender has seen, in whichever form; if it says what it has seen.
pub fn precondition<R: Serialize>(headers: &HeaderMap, shown: impl FnOnce() -> R) -> Result<(), Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&shown()).map_err(|error| Problem::fault(&error))?;
    let fits = |form: Representation| names(headers, &header::IF_MATCH, &tag_of(form, &bytes));
    if fits(Representation::Json) || fits(Representation::Xml) {
        return Ok(());
    }
    Err(Problem::precondition_failed("it is not what was seen: read it again"))
}

/// The tag of a resource whose JSON this is, in the form that is preferred.
fn tag(headers: &HeaderMap, bytes: &[u8]) -> String {
    tag_of(Representation::accepted(headers).unwrap_or(Representation::Json), bytes)
}

fn tag_of(form: Representation, bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let short = digest.first_chunk().copied().map_or(0, u128::from_be_bytes);
    format!("\"{short:032x}{}\"", form.mark())
}

/// Whether a header names a tag, or any there is.
fn names(headers: &HeaderMap, header: &HeaderName, tag: &str) -> bool {
    let told = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let mut told = told.flat_map(|value| value.split(',')).map(str::trim);
    told.any(|other| other == "*" || other.strip_prefix("W/").unwrap_or(other) == tag)
}
