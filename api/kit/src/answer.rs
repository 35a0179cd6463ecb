//! What handlers answer: a value of the type that the route describes, the sequence it reflects, and its headers.
//!
//! Nothing here is written yet: `forms` renders an answer in the form that its reader prefers, and compares tags
//! (`ETag`, `If-None-Match`). `If-Match` is compared here, before a write.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::Sequence;

use super::problem::Problem;
use crate::representation::Representation;

/// Names the sequence that an answer reflects.
pub const SEQUENCE: HeaderName = HeaderName::from_static("slapledger-sequence");

/// What a handler answers: a status, a value, and what stands in the headers.
#[derive(Debug)]
pub struct HttpAnswer<T> {
    status: StatusCode,
    value: T,
    tagging: Tagging,
    is_problem: bool,
    headers: HeaderMap,
}

/// Whether an answer has a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tagging {
    /// It has none.
    None,
    /// It has one: it shows a resource after a write.
    Written,
    /// It has one, and who has it already gets 304: it shows a resource.
    Read,
}

impl<T> HttpAnswer<T> {
    /// An answer that reflects a sequence.
    pub fn new(status: StatusCode, sequence: Sequence, value: T) -> Self {
        let headers = HeaderMap::from_iter([(SEQUENCE, HeaderValue::from(sequence.0))]);
        Self { status, value, tagging: Tagging::None, is_problem: false, headers }
    }

    /// The answer to a read, or to a write that made nothing.
    pub fn ok(sequence: Sequence, value: T) -> Self {
        Self::new(StatusCode::OK, sequence, value)
    }

    /// One resource, with the tag of its content in the form of the answer: 304 if the client sent that tag.
    pub fn resource(sequence: Sequence, value: T) -> Self {
        Self { tagging: Tagging::Read, ..Self::ok(sequence, value) }
    }

    /// The same as the answer to a write: never 304.
    pub fn tagged(status: StatusCode, sequence: Sequence, value: T) -> Self {
        Self { tagging: Tagging::Written, ..Self::new(status, sequence, value) }
    }

    /// A problem with more members than others have.
    pub fn problem(status: StatusCode, sequence: Sequence, value: T) -> Self {
        Self { is_problem: true, ..Self::new(status, sequence, value) }
    }

    /// With the place of what was made.
    #[must_use]
    pub fn located(mut self, place: &str) -> Self {
        if let Ok(location) = HeaderValue::from_str(place) {
            self.headers.insert(header::LOCATION, location);
        }
        self
    }

    /// With the time until it may have changed.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.insert(header::RETRY_AFTER, seconds.into());
        self
    }

    /// Nobody on the way may store it: it holds a secret.
    #[must_use]
    pub fn not_stored(mut self) -> Self {
        self.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self
    }
}

/// A value of which only the forms are known that it can be written in.
pub(crate) trait Writable: Send + Sync {
    fn to_json(&self) -> serde_json::Result<Vec<u8>>;
    fn to_value(&self) -> serde_json::Result<serde_json::Value>;
}

impl<T: Serialize + Send + Sync> Writable for T {
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    fn to_value(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }
}

/// The value of a response that is not written yet.
#[derive(Clone)]
pub(crate) struct Unwritten {
    pub(crate) value: Arc<dyn Writable>,
    pub(crate) tagging: Tagging,
    pub(crate) is_problem: bool,
}

/// The type of the value of a response, by the name of its schema.
#[derive(Clone, Copy)]
pub struct AnswerShape(fn() -> Cow<'static, str>);

impl AnswerShape {
    /// That of this type.
    pub fn of<T: JsonSchema>() -> Self {
        Self(T::schema_name)
    }

    /// The name of its schema.
    pub fn name(self) -> Cow<'static, str> {
        (self.0)()
    }
}

impl<T: Serialize + JsonSchema + Send + Sync + 'static> IntoResponse for HttpAnswer<T> {
    fn into_response(self) -> Response {
        let Self { status, value, tagging, is_problem, headers } = self;
        let mut response = (status, headers).into_response();
        let extensions = response.extensions_mut();
        extensions.insert(Unwritten { value: Arc::new(value), tagging, is_problem });
        extensions.insert(AnswerShape::of::<T>());
        response
    }
}

/// An answer that is a text or a file: it is sent as it is, whatever form its reader prefers.
#[derive(Debug)]
pub struct FileAnswer {
    body: Body,
    headers: HeaderMap,
}

impl FileAnswer {
    /// A text.
    pub fn text(sequence: Sequence, text: String) -> Self {
        Self::new(sequence, "text/plain; charset=utf-8", text.into())
    }

    /// The bytes of a file, read as its reader takes them. Nobody on the way may store it.
    pub fn bytes(sequence: Sequence, body: Body) -> Self {
        let mut answer = Self::new(sequence, "application/octet-stream", body);
        answer.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    fn new(sequence: Sequence, media_type: &'static str, body: Body) -> Self {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (SEQUENCE, HeaderValue::from(sequence.0)),
        ];
        Self { body, headers: HeaderMap::from_iter(headers) }
    }
}

impl IntoResponse for FileAnswer {
    fn into_response(self) -> Response {
        (StatusCode::OK, self.headers, self.body).into_response()
    }
}

/// The answer of a route whose reader chooses between a value and a text of another program.
#[derive(Debug)]
pub enum ValueOrFile<T> {
    /// A value.
    Value(HttpAnswer<T>),
    /// The text.
    File(FileAnswer),
}

impl<T> IntoResponse for ValueOrFile<T>
where
    HttpAnswer<T>: IntoResponse,
{
    fn into_response(self) -> Response {
        match self {
            Self::Value(answer) => answer.into_response(),
            Self::File(file) => file.into_response(),
        }
    }
}

/// Whether what a write is about is still what its sender has seen, in whichever form; if it says what it has seen.
pub fn precondition<R: Serialize>(headers: &HeaderMap, shown: impl FnOnce() -> R) -> Result<(), Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&shown()).map_err(|error| Problem::fault(&error))?;
    let told = || headers.get_all(header::IF_MATCH).iter();
    let fits = |form: Representation| names(told(), &tag(form, &bytes));
    if fits(Representation::Json) || fits(Representation::Xml) {
        return Ok(());
    }
    Err(Problem::precondition_failed("it is not what was seen: read it again"))
}

/// The tag of a resource in JSON, as reading it alone shows it.
pub fn json_tag<R: Serialize>(shown: &R) -> serde_json::Result<String> {
    Ok(tag(Representation::Json, &serde_json::to_vec(shown)?))
}

/// The tag of a resource whose JSON this is, in a form.
pub(crate) fn tag(form: Representation, json: &[u8]) -> String {
    let digest = Sha256::digest(json);
    let short = digest.first_chunk().copied().map_or(0, u128::from_be_bytes);
    format!("\"{short:032x}{}\"", form.mark())
}

/// Whether a header names a tag, or any there is.
pub(crate) fn names<'a>(told: impl Iterator<Item = &'a HeaderValue>, tag: &str) -> bool {
    let told = told.filter_map(|value| value.to_str().ok());
    let mut told = told.flat_map(|value| value.split(',')).map(str::trim);
    told.any(|other| other == "*" || other.strip_prefix("W/").unwrap_or(other) == tag)
}
