//! The forms that everything of ours is written in: JSON, and XML for those who prefer it (RFC 9110, section 12.5.1).
//!
//! A handler answers with a value (`answer::Answer`), and one place renders it in the form that its client prefers, with
//! its tag. Whether there is such a form is asked before the handler does anything. Problems come as
//! `application/problem+json` and `application/problem+xml`. A text stays what it is.

pub mod xml;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::{self, AnswerShape, Tagging, Unwritten};
use super::layer::Next;
use super::problem::Problem;
use super::representation::{Representation, quality};

/// What a request says about the form of its answer.
struct AnswerPreference {
    form: Representation,
    /// The tags that its sender has.
    has: Vec<HeaderValue>,
    wants_body: bool,
}

impl AnswerPreference {
    fn of(form: Representation, request: &Request) -> Self {
        let has = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect();
        Self { form, has, wants_body: request.method() != Method::HEAD }
    }
}

/// Marks a request whose answer is taken as a value ([`take_value`]): nothing writes it on the way.
#[derive(Clone, Copy)]
pub struct AsValue;

/// The value of an answer that was asked for with [`AsValue`].
pub fn take_value(response: &mut Response) -> Option<serde_json::Result<serde_json::Value>> {
    response.extensions_mut().remove().map(|Unwritten { value, .. }| value.to_value())
}

/// The tag of a resource that is answered as a value: what a form sends back to say what its reader has seen.
pub fn tag_of(response: &Response) -> Option<String> {
    let Unwritten { value, tagging, .. } = response.extensions().get()?;
    let json = (*tagging != Tagging::None).then(|| value.to_json().ok()).flatten()?;
    Some(answer::tag(Representation::Json, &json))
}

/// How much a request likes HTML, if it names it and likes nothing more that this server writes.
pub fn prefers_html(headers: &axum::http::HeaderMap) -> bool {
    let told = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = told.flat_map(|value| value.split(','));
    let is_html = |range: &str| range.trim().eq_ignore_ascii_case("text/html");
    if !ranges.any(|range| range.split(';').next().is_some_and(is_html)) {
        return false;
    }
    let others = quality(headers, &["application/json", "application/xml", "text/xml"]);
    let html = quality(headers, &["text/html"]);
    html > 0 && html >= others
}

/// Around all routes that are ours: renders what their handlers answer as their readers prefer it.
pub async fn negotiate((): (), request: Request, next: Next) -> Response {
    if request.extensions().get::<AsValue>().is_some() {
        return next.run(request).await;
    }
    let form = match Representation::accepted(request.headers()) {
        Ok(form) => form,
        // A read that nobody wants to have happened is no harm: it may be one that answers with a text.
        Err(problem)
            if request.method() == Method::GET && quality(request.headers(), &["text/plain"]) > 0 =>
        {
            let response = next.run(request).await;
            let is_text = media_type(&response).is_some_and(|told| told.starts_with(b"text/plain"));
            return if is_text { response } else { problem.into_response() };
        }
        Err(problem) => return problem.into_response(),
    };
    let asked = AnswerPreference::of(form, &request);
    let response = rendered(&asked, next.run(request).await);
    let mut response = match form {
        Representation::Json => response,
        Representation::Xml => problem_in_xml(response).await,
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Around the routes that answer in JSON, whatever their readers prefer.
pub async fn in_json((): (), request: Request, next: Next) -> Response {
    if request.extensions().get::<AsValue>().is_some() {
        return next.run(request).await;
    }
    let asked = AnswerPreference::of(Representation::Json, &request);
    rendered(&asked, next.run(request).await)
}

fn media_type(response: &Response) -> Option<&[u8]> {
    response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes)
}

/// Writes the value of an answer, unless its reader has it. This is the only place that does.
fn rendered(asked: &AnswerPreference, mut response: Response) -> Response {
    let Some(Unwritten { value, tagging, is_problem }) = response.extensions_mut().remove() else {
        return response;
    };
    let json = || value.to_json().map_err(|error| Problem::fault(&error));
    let written = || {
        let tag = match tagging {
            Tagging::None => None,
            Tagging::Written | Tagging::Read => Some(answer::tag(asked.form, &json()?)),
        };
        let is_known = tag.as_ref().is_some_and(|tag| answer::names(asked.has.iter(), tag));
        if tagging == Tagging::Read && is_known {
            return Ok((tag, None));
        }
        let (media_type, body) = match asked.form {
            // What prefers XML gets it from `problem_in_xml`.
            _ if is_problem => ("application/problem+json", json()?),
            Representation::Json => ("application/json", json()?),
            Representation::Xml => {
                let shape = response.extensions().get::<AnswerShape>();
                let root = shape.map_or_else(|| "answer".to_owned(), |shape| xml::element(&shape.name()));
                let value = value.to_value().map_err(|error| Problem::fault(&error))?;
                ("application/xml; charset=utf-8", xml::write(xml::XmlRoot::Plain(&root), &value).into())
            }
        };
        Ok::<_, Problem>((tag, Some((media_type, body))))
    };
    let (tag, written) = match written() {
        Ok(written) => written,
        Err(problem) => return problem.into_response(),
    };
    let (mut parts, mut body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
        parts.headers.insert(header::ETAG, tag);
    }
    match written {
        None => parts.status = StatusCode::NOT_MODIFIED,
        Some((media_type, bytes)) => {
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            if asked.wants_body {
                body = Body::from(bytes);
            } else {
                parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
            }
        }
    }
    Response::from_parts(parts, body)
}

/// A problem in XML. Anything else stays what it is.
pub async fn problem_in_xml(response: Response) -> Response {
    if media_type(&response) != Some(b"application/problem+json") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // What we wrote ourselves is in memory already.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Problem::fault(&"an answer could not be read").into_response();
    };
    let written = match serde_json::from_slice(&bytes) {
        Ok(value) => xml::write(xml::XmlRoot::Problem, &value),
        // The answer to HEAD has no body.
        Err(_) if bytes.is_empty() => String::new(),
        Err(error) => return Problem::fault(&error).into_response(),
    };
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+xml"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(written))
}

#[cfg(test)]
mod tests;
