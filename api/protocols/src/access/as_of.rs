//! `as_of`: a read of the ledger as it was when an event was the last, or at an instant.
//!
//! The routes that take it say so. Its handler reads as every other: what it reads from are the views of the past.
//! What the caller may see is decided by who they are now, from what there was then.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::Timestamp;
use slapledger_engine::Engine;
use slapledger_engine::past::{PastViews, last_before};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::layer::Next;
use slapledger_kit::problem::Problem;
use slapledger_pages::AS_OF;
use slapledger_usecases::context::{PastAnswer, RequestContext};

/// When to ask again for views that are being derived.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What a request asks for, taken out of its query.
#[derive(Debug, Clone)]
pub(crate) struct AsOfQuery {
    text: Arc<str>,
    /// The address without it.
    address: Arc<str>,
}

/// How far the views that a read asks for are derived.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AsOfPending {
    /// The event that is asked for.
    as_of: Sequence,
    /// The event that was reached.
    reached: Sequence,
}

/// Why a handler does not get its request.
#[derive(Debug)]
pub enum NotAdmitted {
    /// Its sender may not make it, or it is wrong.
    Problem(Problem),
    /// The views that it asks for are not there yet.
    Pending(AsOfNotYet),
}

/// See [`NotAdmitted::Pending`].
#[derive(Debug)]
pub struct AsOfNotYet {
    pending: AsOfPending,
    address: Arc<str>,
}

impl From<Problem> for NotAdmitted {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Pending(AsOfNotYet { pending, address }) => {
                let answer = HttpAnswer::new(StatusCode::ACCEPTED, pending.reached, pending);
                answer.located(&address).retry_after(RETRY_AFTER_SECONDS).into_response()
            }
        }
    }
}

/// Around each route that takes it: takes it out of the query, for [`Authorised`](super::Authorised) to find. Around each
/// route that writes: refuses it, so that nobody takes a change of the present for one of the past.
pub(crate) async fn take_as_of(is_taken: bool, mut request: Request, next: Next) -> Response {
    match taken(request.uri()) {
        Ok(None) => {}
        Ok(Some(_)) if !is_taken => {
            return Problem::field(AS_OF, "is not a parameter of a write; leave it out").into_response();
        }
        Ok(Some((as_of, uri))) => {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(as_of);
        }
        Err(problem) => return problem.into_response(),
    }
    next.run(request).await
}

fn taken(uri: &Uri) -> Result<Option<(AsOfQuery, Uri)>, Problem> {
    let Some(query) = uri.query() else { return Ok(None) };
    let mut asked = None;
    let mut rest = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != AS_OF {
            rest.append_pair(&name, &value);
        } else if asked.replace(value).is_some() {
            return Err(Problem::field(AS_OF, "must not be given more than once"));
        }
    }
    let Some(text) = asked else { return Ok(None) };
    let address = format!("{}?{}", uri.path(), rest.finish());
    let without: Uri =
        address.parse().map_err(|_| Problem::bad_request("the address cannot be read without as_of"))?;
    Ok(Some((AsOfQuery { text: (*text).into(), address: address.into() }, without)))
}

impl AsOfQuery {
    /// The views that it asks for.
    pub(crate) async fn views(&self, ctx: &RequestContext) -> Result<Arc<PastViews>, NotAdmitted> {
        let at = sequence_of(&ctx.engine, &self.text).await?;
        match ctx.views_as_of(at).await? {
            PastAnswer::Ready(views) => Ok(views),
            PastAnswer::Pending(progress) => {
                let pending = AsOfPending { as_of: at, reached: progress.reached() };
                // An instant may mean another event later; whoever asks again asks for this one.
                let joint = if self.address.ends_with('?') { "" } else { "&" };
                let address = format!("{}{joint}{AS_OF}={at}", self.address).into();
                Err(NotAdmitted::Pending(AsOfNotYet { pending, address }))
            }
        }
    }
}

/// The event that a text means: its sequence, or the last event at or before an instant.
pub(crate) async fn sequence_of(engine: &Engine, text: &str) -> Result<Sequence, Problem> {
    let wrong = |rule: String| Problem::field(AS_OF, rule);
    let head = engine.ledger.head().last;
    let at = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(Sequence(u64::MAX), Sequence)
    } else {
        let instant = Timestamp::parse_rfc3339(text).ok_or_else(|| {
            wrong("must be a sequence such as 40213, or an instant such as 2026-10-01T01:00:00Z".to_owned())
        })?;
        if instant > engine.now() {
            return Err(wrong("must not be after now".to_owned()));
        }
        let store = Arc::clone(engine.ledger.store());
        let found = tokio::task::spawn_blocking(move || last_before(&*store, instant.plus_micros(1), head));
        let found = found.await.map_err(|error| Problem::fault(&error))?;
        let at = found.map_err(|fault| Problem::fault(&fault))?;
        if at == Sequence::ZERO {
            return Err(wrong("must not be before the first event".to_owned()));
        }
        at
    };
    if at == Sequence::ZERO {
        return Err(wrong("must be at least 1, the first event".to_owned()));
    }
    if at > head {
        return Err(wrong(format!("must be at most {head}, the newest event")));
    }
    Ok(at)
}
