//! Whether an answer is one that the document promises; every test that asks a route asks this too.

use std::sync::OnceLock;

use axum::http::{HeaderMap, Method, StatusCode, header, response};

use slapledger_kit::answer::AnswerShape;
use slapledger_kit::code::ProblemCode;

use super::operation::Operation;
use crate::rest::routes::operations;

/// An answer to this request, held against what is said of its route. Routes that are not ours say nothing.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &response::Parts) {
    static OPERATIONS: OnceLock<Vec<Operation>> = OnceLock::new();
    // What a page shows is the value of the answer in JSON, and a browser without a credential is led to the sign-in: of
    // browsers the document says nothing.
    let begins = |name: header::HeaderName, text: &str| {
        answer.headers.get(name).is_some_and(|told| told.as_bytes().starts_with(text.as_bytes()))
    };
    if begins(header::CONTENT_TYPE, "text/html") || begins(header::LOCATION, "/ui/sign-in?") {
        return;
    }
    let asked = |operation: &&Operation| operation.place().0 == method && fits(operation.place().1, path);
    let Some(operation) = OPERATIONS.get_or_init(operations).iter().find(asked) else { return };
    let status = answer.status.as_u16();
    assert!(operation.statuses().contains(&status), "{method} {path} is not said to answer {status}");
    let media_type = answer.headers.get(header::CONTENT_TYPE).map(|told| told.to_str().expect("ASCII"));
    let expected = match status {
        304 => &[][..],
        _ if operation.is_bytes(status) => &["application/octet-stream"],
        _ if operation.is_events(status) => &["text/event-stream"],
        _ if operation.is_text(status) => {
            &["application/json", "application/xml; charset=utf-8", "text/plain; charset=utf-8"]
        }
        200..=299 => &["application/json", "application/xml; charset=utf-8"],
        _ => &["application/problem+json", "application/problem+xml", "application/json"],
    };
    assert!(
        media_type.is_none_or(|told| expected.contains(&told)),
        "{method} {path}: {status} is {media_type:?}"
    );
    // The type that a handler answers is the one that its route describes.
    let (answered, described) = (answer.extensions.get::<AnswerShape>(), operation.schema_name(status));
    if let (Some(answered), Some(described)) = (answered, &described) {
        assert_eq!(answered.name(), *described, "{method} {path}: {status}");
    }
    let is_typed = answered.is_some()
        || operation.is_text(status)
        || operation.is_events(status)
        || path == "/openapi.json";
    assert!(is_typed || described.is_none() || status == 503, "{method} {path}: {status} has no type");
}

/// Whether the `type` of a problem in JSON stands in the table, with its status.
#[track_caller]
pub(crate) fn check_problem(status: StatusCode, headers: &HeaderMap, body: &[u8]) {
    if headers.get(header::CONTENT_TYPE).is_none_or(|told| told != "application/problem+json") {
        return;
    }
    let problem: serde_json::Value = serde_json::from_slice(body).expect("a problem is JSON");
    let code = problem["type"].as_str().and_then(ProblemCode::of_urn);
    let row = code.unwrap_or_else(|| panic!("{problem} has no known type")).row();
    assert!(row.statuses.contains(&status.as_u16()), "{status} is not said of {}", row.code.as_str());
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(part, given)| if part.starts_with('{') { !given.is_empty() } else { part == given })
}
