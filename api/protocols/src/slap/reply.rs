//! Replies of the SLAP routes: marshalled documents, and short plain texts that clients show and ignore.

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use slapledger_core::ledger::SubmitError;
use slapledger_kit::problem::Problem;
use slapledger_slap_wire::marshal::MarshalError;

/// What a route answers.
pub(super) type SlapReply = Result<Response, Failure>;

/// A problem, told to a client that reads the status and perhaps shows the text.
#[derive(Debug)]
pub(super) struct Failure(Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Problem { status, field, detail, retry_after_seconds, .. } = self.0;
        let field = field.map_or_else(String::new, |field| format!("{field}: "));
        let mut response = (status, plain(format!("{field}{detail}\n"))).into_response();
        if let Some(seconds) = retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// What somebody is told who is not let in.
pub(super) fn refuse(problem: Problem) -> Response {
    Failure(problem).into_response()
}

fn plain(text: impl Into<String>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into())
}

/// A text nobody reads.
pub(super) fn text(text: impl Into<String>) -> Response {
    plain(text).into_response()
}

/// A document.
pub(super) fn document(document: Result<String, MarshalError>) -> SlapReply {
    Ok(xml(written(document)?.into()))
}

/// The text of a document. What could not be carried was refused when it came.
pub(super) fn written(document: Result<String, MarshalError>) -> Result<String, Problem> {
    document.map_err(|error| Problem::fault(&error))
}

/// The text of a document, as an answer. Without the charset clients would read it as ISO-8859-1.
pub(super) fn xml(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}

/// It exists, and has no partition yet. Clients know this status as `ResourceNotReady`.
pub(super) fn not_ready() -> Response {
    (StatusCode::REQUEST_TIMEOUT, plain("the instance has no partition yet\n")).into_response()
}
