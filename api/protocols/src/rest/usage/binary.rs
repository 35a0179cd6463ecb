//! CloudEvents in binary mode (HTTP protocol binding 1.0.2, section 3.1): attributes are headers, the body is the data.
//!
//! The event is written as one in structured mode and read by the same reader, so that both modes have the same rules.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode;
use serde_json::Value;
use serde_json::value::RawValue;
use slapledger_kit::collect;
use slapledger_kit::problem::Problem;

const PREFIX: &str = "ce-";
/// The attribute that every event has.
const SPECVERSION: &str = "ce-specversion";
/// The type of what is in structured mode, whatever headers come with it.
const STRUCTURED: &str = "application/cloudevents";

/// Whether a request is an event in binary mode.
pub(super) fn is_event(headers: &HeaderMap) -> bool {
    let is_structured = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|told| told.as_bytes().to_ascii_lowercase().starts_with(STRUCTURED.as_bytes()));
    headers.contains_key(SPECVERSION) && !is_structured
}

/// Checks that the data of an event is JSON, as far as its headers say. Without a type it is taken for JSON.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = match collect::media_type(headers) {
        Some(told) => told == "application/json" || told == "text/json" || told.ends_with("+json"),
        None => !headers.contains_key(header::CONTENT_TYPE),
    };
    if is_json { Ok(()) } else { Err(Problem::unsupported_media_type(EXPECTED)) }
}

const EXPECTED: &str = "application/json, in UTF-8, for an event in binary mode";

/// The event of headers and body in structured mode.
pub(super) fn structured(headers: &HeaderMap, body: &[u8]) -> Result<Bytes, Problem> {
    let mut event = String::from("{");
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else { continue };
        if ["data", "data_base64", "datacontenttype"].contains(&attribute) {
            let rule = "is not a header of binary mode: the body is the data, and Content-Type is its type";
            return Err(Problem::field(name.as_str(), rule));
        }
        let text = percent_decode(unquoted(value.as_bytes())).decode_utf8();
        let text = text.map_err(|_| Problem::field(name.as_str(), "must be UTF-8, percent-encoded"))?;
        let _ = write!(event, "{}:{},", Value::from(attribute), Value::from(&*text));
    }
    if body.trim_ascii().is_empty() {
        event.push_str("\"data\":null}");
    } else {
        let data: &RawValue = serde_json::from_slice(body).map_err(|error| {
            let what = error.to_string();
            let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
            Problem::malformed(format!("line {}, column {}: {what}", error.line(), error.column().max(1)))
        })?;
        let _ = write!(event, "\"data\":{data}}}");
    }
    Ok(event.into())
}

/// A value without the double quotes that a sender may put around it.
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn headers_say_the_mode() {
        let check = |pairs, expected| assert_eq!(is_event(&headers(pairs)), expected, "{pairs:?}");
        check(&[("ce-specversion", "1.0"), ("content-type", "application/json")], true);
        check(&[("ce-specversion", "1.0")], true);
        check(&[("ce-specversion", "1.0"), ("content-type", "application/CloudEvents+json")], false);
        check(&[("content-type", "application/json")], false);
        let json = |pairs: &[_]| check_type(&headers(pairs)).is_ok();
        assert!(json(&[]) && json(&[("content-type", "application/json; charset=utf-8")]));
        assert!(!json(&[("content-type", "application/x-www-form-urlencoded")]));
        assert!(!json(&[("content-type", "application/json; charset=iso-8859-1")]));
    }

    #[test]
    fn attributes_become_members() {
        let pairs =
            [("ce-specversion", "1.0"), ("ce-subject", "a%20%22b%22"), ("ce-id", "\"x\""), ("host", "h")];
        let event = structured(&headers(&pairs), br#" {"quantity": 1.0} "#).expect("an event");
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        let expected = serde_json::json!({
            "specversion": "1.0", "subject": "a \"b\"", "id": "x", "data": {"quantity": 1.0},
        });
        assert_eq!(event, expected);
        // What follows the data is no member.
        let error = structured(&headers(&pairs), br#"{},"id":"y""#).expect_err("not JSON");
        assert_eq!(error.detail, "line 1, column 3: trailing characters");
        for name in ["ce-data", "ce-data_base64", "ce-datacontenttype"] {
            let error = structured(&headers(&[(name, "{}")]), b"").expect_err(name);
            assert_eq!(error.field.as_deref(), Some(name));
        }
        let event = structured(&headers(&[("ce-dataschema", "http://x")]), b"").expect("an attribute");
        assert_eq!(event, r#"{"dataschema":"http://x","data":null}"#);
        assert!(structured(&headers(&[("ce-id", "%ff")]), b"{}").is_err());
    }
}
