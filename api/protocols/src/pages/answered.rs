//! Requests that a page makes of routes, and what they answer.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};
use slapledger_engine::ViewLeases;
use slapledger_engine::past::PastViews;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::forms::AsValue;
use slapledger_net::Peer;
use slapledger_pages::Refused;

/// The most bytes of a problem.
const MOST_PROBLEM: usize = 64 * 1024;

/// What of a request is passed on to every route that a page reads.
pub(super) struct Origin {
    headers: HeaderMap,
    peer: Option<Peer>,
    past: Option<Arc<PastViews>>,
    leases: Option<Arc<ViewLeases>>,
}

impl Origin {
    pub(super) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let mut headers = headers.clone();
        for name in [
            header::ACCEPT,
            header::IF_NONE_MATCH,
            header::IF_MATCH,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::TRANSFER_ENCODING,
            header::EXPECT,
        ] {
            headers.remove(name);
        }
        Self { headers, peer: extensions.get().cloned(), past: None, leases: None }
    }

    /// The same for routes that read these views where they are asked for the past.
    pub(super) fn of_past(self, past: Option<Arc<PastViews>>) -> Self {
        Self { past, ..self }
    }

    /// The same for routes that read these generations.
    pub(super) fn leased(self, leases: ViewLeases) -> Self {
        Self { leases: Some(Arc::new(leases)), ..self }
    }

    /// A request of the same sender.
    pub(super) fn request(&self, method: Method, place: &str, body: Body) -> Option<Request> {
        let uri: Uri = place.parse().ok()?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(AsValue);
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        if let Some(past) = &self.past {
            request.extensions_mut().insert(Arc::clone(past));
        }
        if let Some(leases) = &self.leases {
            request.extensions_mut().insert(Arc::clone(leases));
        }
        Some(request)
    }
}

/// What a route answered: a value, or why not.
pub(super) enum PartAnswer {
    Value { value: Value, sequence: u64, tag: Option<String> },
    Problem { status: StatusCode, problem: Value },
}

/// A problem as its page shows it.
pub(super) async fn problem_of(response: Response) -> PartAnswer {
    let status = response.status();
    let bytes = to_bytes(response.into_body(), MOST_PROBLEM).await.unwrap_or_default();
    let mut problem: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({}));
    let code = problem["type"].as_str().and_then(ProblemCode::of_urn);
    let members = problem.as_object_mut().map(std::mem::take).unwrap_or_default();
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let problem = json!({
        "status": status.as_u16(), "title": text("title"), "detail": text("detail"), "field": members.get("field"),
        "code": code.map(ProblemCode::as_str).unwrap_or_default(), "remedy": code.map(|code| code.row().remedy),
    });
    PartAnswer::Problem { status, problem }
}

/// A problem that a form is shown again with, and what was sent in it.
pub(super) fn refused(status: StatusCode, problem: &Value, sent: &[(String, String)]) -> Refused {
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let secret = ["csrf", "key", "token", "method", "next", "page"];
    Refused {
        status: status.as_u16(),
        code: text("code"),
        detail: text("detail"),
        field: problem["field"].as_str().map(str::to_owned),
        sent: sent.iter().filter(|(name, _)| !secret.contains(&&**name)).cloned().collect(),
    }
}
