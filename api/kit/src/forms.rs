//! The forms that everything of ours is written in: JSON, and XML for those who prefer it (RFC 9110, section 12.5.1).
//!
//! A handler writes JSON. What its client prefers is asked before it does anything, and its answer is written anew where
//! that is XML. Problems too: `application/problem+json` and `application/problem+xml`. A text stays what it is.

pub mod xml;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::code::ProblemCode;
use super::problem::Problem;

/// What something can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

impl Representation {
    /// The form that is accepted, and preferred if both are; JSON, if nothing is said.
    pub fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let json = quality(headers, &["application/json"]);
        let xml = quality(headers, &["application/xml", "text/xml"]);
        match (json, xml) {
            (0, 0) => {
                let detail = "this can be read as application/json or application/xml";
                let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, ProblemCode::NotAcceptable, detail);
                Err(Problem { field: Some("accept".into()), ..problem })
            }
            (json, xml) if xml > json => Ok(Self::Xml),
            _ => Ok(Self::Json),
        }
    }

    /// What tells the tags of this form from those of the other one.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::Xml => "-xml",
        }
    }
}

/// How much the best liked of these types is liked, in thousandths; all of it, if nothing is said.
fn quality(headers: &HeaderMap, names: &[&str]) -> u16 {
    let told = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> = told.flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    if ranges.is_empty() {
        return 1000;
    }
    let of = |name: &&str| ranges.iter().filter_map(|range| range.fits(name)).max().map_or(0, |(_, q)| q);
    names.iter().map(of).max().unwrap_or(0)
}

/// A media range, and how much it is liked, in thousandths.
struct Range<'a> {
    range: &'a str,
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let told =
            parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
        Some(Self { range, quality: told.map_or(1000, thousandths) })
    }

    /// How exactly it names a type, and how much it is liked; `None` if it does not fit.
    fn fits(&self, name: &str) -> Option<(usize, u16)> {
        let family = name.split('/').next().unwrap_or_default();
        let exactness = match self.range.split_once('/') {
            Some(("*", "*")) => 0,
            Some((told, "*")) if told.eq_ignore_ascii_case(family) => 1,
            _ if self.range.eq_ignore_ascii_case(name) => 2,
            _ => return None,
        };
        Some((exactness, self.quality))
    }
}

/// A quality of at most three digits after the point; one that is none is the least there is.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<3}");
    digits.parse().ok().filter(|parsed| *parsed <= 1000 && fraction.len() <= 3).unwrap_or(1)
}

/// The root elements of answers in XML, by method and path.
#[derive(Clone, Default)]
pub struct Elements(Arc<HashMap<(Method, &'static str), String>>);

impl Elements {
    /// These, by method and path.
    pub fn new(of: impl IntoIterator<Item = ((Method, &'static str), String)>) -> Self {
        Self(Arc::new(of.into_iter().collect()))
    }

    fn of(&self, request: &Request) -> Option<String> {
        let path = request.extensions().get::<MatchedPath>()?;
        // Whatever is told to GET is told of to HEAD.
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        let named = self.0.iter().find(|((known, at), _)| *known == method && *at == path.as_str())?;
        Some(named.1.clone())
    }
}

/// Around all routes that are ours.
pub async fn negotiate(State(elements): State<Elements>, request: Request, next: Next) -> Response {
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
    let element = elements.of(&request);
    let response = next.run(request).await;
    let mut response = match form {
        Representation::Json => response,
        Representation::Xml => rewritten(response, element.as_deref().unwrap_or("answer")).await,
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn media_type(response: &Response) -> Option<&[u8]> {
    response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes)
}

/// The answer in XML, if it is in JSON.
pub async fn rewritten(response: Response, element: &str) -> Response {
    let (media_type, root) = match media_type(&response) {
        Some(b"application/json") => ("application/xml; charset=utf-8", xml::Root::Plain(element)),
        Some(b"application/problem+json") => ("application/problem+xml", xml::Root::Problem),
        _ => return response,
    };
    let (mut parts, body) = response.into_parts();
    // What we wrote ourselves is in memory already.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Problem::fault(&"an answer could not be read").into_response();
    };
    let written = match serde_json::from_slice(&bytes) {
        Ok(value) => xml::write(root, &value),
        // The answer to HEAD has no body.
        Err(_) if bytes.is_empty() => String::new(),
        Err(error) => return Problem::fault(&error).into_response(),
    };
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(written))
}

#[cfg(test)]
mod tests;
