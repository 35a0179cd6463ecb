//! What all routes under `/v1` have in common: query strings, cursors, positions, names of commands, and answers.
//!
//! Invariants: a query parameter that a route does not know is an error, as is one that is given twice; every answer
//! names the sequence that it reflects, in its body where it has one for it and always in the header
//! `slapledger-sequence`; a read reflects every write that was acknowledged before it began.
//!
//! It knows nothing of what is asked for.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use slapledger_core::domain::id::{CommandId, Sequence};
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_projections::runner::ReadFault;
use slapledger_projections::{Page, SlapViews};

use super::forms::Form;
use super::openapi::schema;
use super::problem::Problem;
use crate::app::App;
use crate::slap::read;

/// Names the sequence that an answer reflects.
pub const SEQUENCE: HeaderName = HeaderName::from_static("slapledger-sequence");

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The most items of a page.
const MOST: usize = 1000;
/// The items of a page whose size nobody chose.
const USUAL: usize = 100;
/// How long a read waits for the sequence it is to reflect.
const PATIENCE: Duration = Duration::from_secs(10);

/// The query string of a request.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters, if they are among those known here and those of every read: `limit`, `cursor`,
    /// `min_sequence`.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        const COMMON: [&str; 3] = ["limit", "cursor", "min_sequence"];
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) && !COMMON.contains(&&*name) {
                let names: Vec<&str> = known.iter().copied().chain(COMMON).collect();
                let rule = format!("is not a parameter here; there are {}", names.join(", "));
                return Err(Problem::field(name, rule));
            }
            if pairs.iter().any(|(other, _)| *other == *name) {
                return Err(Problem::field(name, "must not be given more than once"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// A parameter as it was written.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter as what it means.
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parsed = self
            .text(name)
            .map(|text| text.parse().map_err(|rule: T::Err| Problem::field(name, rule.to_string())));
        parsed.transpose()
    }

    /// A parameter that cannot be left out.
    pub fn required<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Problem> {
        self.parse(name)?.ok_or_else(|| Problem::field(name, "is missing"))
    }

    /// A parameter that is a sequence.
    pub fn sequence(&self, name: &str) -> Result<Option<Sequence>, Problem> {
        let parsed = self.text(name).map(|text| sequence(name, text));
        parsed.transpose()
    }

    /// How many items are wanted.
    pub fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.text("limit") else { return Ok(USUAL) };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| Problem::field("limit", format!("must be a number from 1 to {MOST}")))
    }

    /// After which item they are wanted.
    pub fn cursor<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        let rule = || Problem::field("cursor", "must be the next of an earlier answer");
        self.text("cursor").map(|text| text.parse().map_err(|_| rule())).transpose()
    }

    /// Answers with a page of a list that the views hold; `list` takes after which item it begins, and how many it has.
    pub async fn page<T: Serialize, K: FromStr + Display>(
        &self,
        app: &App,
        list: impl FnOnce(&SlapViews, Option<&K>, usize) -> Page<T, K>,
    ) -> Result<Response, Problem> {
        let (limit, after) = (self.limit()?, self.cursor::<K>()?);
        let position = self.position(app).await?;
        let read = read(app, position, |view, at| (list(view, after.as_ref(), limit), at));
        let (Page { items, next }, sequence) = read.await?;
        Ok(self::list(items, next, sequence))
    }

    /// The sequence that a read is to reflect: all that was acknowledged before, and `min_sequence` if that is later;
    /// waits for it.
    pub async fn position(&self, app: &App) -> Result<Sequence, Problem> {
        let Some(wanted) = self.sequence("min_sequence")? else { return Ok(app.ledger.head().last) };
        let mut head = app.ledger.feed().watch();
        let reached = tokio::time::timeout(PATIENCE, head.wait_for(|head| head.last >= wanted)).await;
        if let Ok(Ok(head)) = reached {
            return Ok(head.last);
        }
        let last = app.ledger.head().last;
        let detail = format!("the ledger is at sequence {last}, not yet at {wanted}");
        Err(Problem { field: Some("min_sequence".into()), ..Problem::unavailable(detail, 1) })
    }
}

/// A sequence in its one spelling.
pub fn sequence(field: &str, text: &str) -> Result<Sequence, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.then(|| text.parse().ok()).flatten();
    parsed.map(Sequence).ok_or_else(|| Problem::field(field, "must be a sequence: a number from 0"))
}

impl From<ReadFault> for Problem {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Behind { .. } => Self::unavailable(fault.to_string(), 1),
            ReadFault::Stopped { .. } => Self::fault(&fault),
        }
    }
}

/// The parts of a path that name something. What is no text names nothing.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|rejection| Problem::not_found(rejection.body_text()))
    }
}

/// What is written around the events of a command: under the name of its `Idempotency-Key`, if it has one.
///
/// `content` is all that a repetition must have in common with it. Names are scoped by actor.
pub fn meta(app: &App, actor: Actor, headers: &HeaderMap, content: &[&[u8]]) -> Result<Arc<Meta>, Problem> {
    let digest = app.keys.command_digest(content);
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (key, another) = (given.next(), given.next());
    let rule = "must be one text of 1 to 255 printable ASCII characters";
    let Some(key) = key else { return Ok(Arc::new(app.meta(actor, digest))) };
    let key = key.to_str().ok().filter(|key| another.is_none() && (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| Problem::field(IDEMPOTENCY_KEY, rule))?;
    let command = app.keys.command_digest(&[IDEMPOTENCY_KEY.as_bytes(), key.as_bytes()]);
    let named_by_sender = true;
    Ok(Arc::new(Meta { command: CommandId(command), named_by_sender, ..app.meta(actor, digest) }))
}

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
    let fits = |form: Form| names(headers, &header::IF_MATCH, &tag_of(form, &bytes));
    if fits(Form::Json) || fits(Form::Xml) {
        return Ok(());
    }
    Err(Problem::precondition_failed("it is not what was seen: read it again"))
}

/// The tag of a resource whose JSON this is, in the form that is preferred.
fn tag(headers: &HeaderMap, bytes: &[u8]) -> String {
    tag_of(Form::accepted(headers).unwrap_or(Form::Json), bytes)
}

fn tag_of(form: Form, bytes: &[u8]) -> String {
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

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    /// Some of it.
    pub items: Vec<T>,
    /// What to ask for as `cursor` for those after them; none, if there are no more.
    pub next: Option<String>,
    /// The sequence that the list reflects.
    #[schemars(with = "schema::Sequence")]
    pub sequence: Sequence,
}

/// An answer that is a page of a list.
pub fn list<T: Serialize>(items: Vec<T>, next: Option<impl Display>, sequence: Sequence) -> Response {
    let next = next.map(|next| next.to_string());
    json(StatusCode::OK, sequence, &List { items, next, sequence })
}
