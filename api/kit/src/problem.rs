//! Errors as everybody outside sees them: one JSON shape (RFC 9457 problem details).

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::code::ProblemCode;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// What kind of problem it is.
    pub code: ProblemCode,
    /// What happened this time, and which rule it broke.
    pub detail: String,
    /// The member of the request that is to blame.
    pub field: Option<String>,
    /// When to try again.
    pub retry_after_seconds: Option<u32>,
}

/// Problem details (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemDetails<'a> {
    /// What kind of problem it is, as a URI that stays; `x-problem-codes` of this document lists them.
    #[schemars(regex(pattern = "^urn:slapledger:problem:[a-z-]+$"))]
    r#type: String,
    /// The same in words.
    title: String,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What happened this time, and which rule it broke.
    detail: Cow<'a, str>,
    /// The member of the request that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl<'a> ProblemDetails<'a> {
    /// The details of a problem that names no member.
    pub fn new(status: StatusCode, code: ProblemCode, detail: Cow<'a, str>) -> Self {
        let title = code.as_str().replace('-', " ");
        Self { r#type: code.urn(), title, status: status.as_u16(), detail, field: None }
    }
}

impl Problem {
    /// A problem of this code.
    pub fn new(status: StatusCode, code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None, retry_after_seconds: None }
    }

    /// The request is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ProblemCode::BadRequest, detail)
    }

    /// A member of the request is wrong.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::bad_request(detail) }
    }

    /// The body has a member that the route does not know.
    pub fn unknown_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: ProblemCode::UnknownField, ..Self::field(field, detail) }
    }

    /// The body is not what its media type promises.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self { code: ProblemCode::BodyMalformed, ..Self::bad_request(detail) }
    }

    /// The body is longer than the route takes.
    pub fn body_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ProblemCode::BodyTooLarge, detail)
    }

    /// A member of the request is longer than what is kept of it.
    pub fn too_large(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::PAYLOAD_TOO_LARGE, ProblemCode::TooLarge, detail);
        Self { field: Some(field.into()), ..problem }
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::unknown(ProblemCode::NotFound, detail)
    }

    /// There is no such thing, which has a code of its own.
    pub fn unknown(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// What the client has seen is not there any more.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::PRECONDITION_FAILED, ProblemCode::PreconditionFailed, detail);
        Self { field: Some("if-match".into()), ..problem }
    }

    /// The body is of a type that this route does not read.
    pub fn unsupported_media_type(expected: &str) -> Self {
        let detail = format!("the body must be {expected}");
        Self {
            field: Some("content-type".into()),
            ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ProblemCode::MediaType, detail)
        }
    }

    /// It may work later.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::later(ProblemCode::Unavailable, detail, retry_after_seconds)
    }

    /// It may work later, for a reason that has a code of its own.
    pub fn later(code: ProblemCode, detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        Self { retry_after_seconds: Some(retry_after_seconds), ..problem }
    }

    /// A fault of ours. What happened is logged, and not told.
    pub fn fault(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed by a fault of ours");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ProblemCode::Fault,
            "a fault of this server; its log says more",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = ProblemDetails::new(self.status, self.code, Cow::Borrowed(&self.detail));
        let details = ProblemDetails { field: self.field.as_deref(), ..details };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // A certificate would do as well, but has no scheme of its own.
            let scheme = HeaderValue::from_static("Bearer realm=\"slapledger\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
