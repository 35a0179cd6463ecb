//! The headers of pages: what a browser may do with them, and what it keeps.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use slapledger_pages::assets::gzip;

use super::browser::Browser;

/// Below this many bytes compression saves nothing.
const WORTH_COMPRESSING: usize = 1024;

/// A page with its headers.
pub(super) fn secured(response: Response, browser: &Browser) -> Response {
    let (mut parts, body) = response.into_parts();
    let nonce = &browser.nonce;
    // htmx needs no more than this: it inserts no style, and nothing that is evaluated.
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let constant: [(HeaderName, &'static str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A browser that sends no referrer sends no origin with a form either, and would be refused.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
        (header::VARY, "accept, accept-encoding, accept-language, cookie"),
    ];
    for (name, value) in constant {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = policy.parse() {
        parts.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // What somebody signed in for is on no disk when they have gone.
    let is_known = browser.has_session || browser.known.is_some();
    let kept = if is_known { "no-store" } else { "private, no-cache" };
    parts.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(kept));
    if browser.is_new
        && let Ok(cookie) = browser.cookie().parse()
    {
        parts.headers.append(header::SET_COOKIE, cookie);
    }
    Response::from_parts(parts, body)
}

/// A page as its reader takes it: compressed, or not.
pub(super) fn html(status: StatusCode, html: String, browser: &Browser) -> Response {
    let is_gzip = browser.gzip && html.len() >= WORTH_COMPRESSING;
    let body = if is_gzip { Body::from(gzip(html.as_bytes())) } else { Body::from(html) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
