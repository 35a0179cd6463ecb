//! The web pages: what stands around all routes, and answers a browser in HTML.
//!
//! A browser that reads a route with a page (`slapledger_pages::PAGES`) gets the value of its answer as HTML. The value
//! comes from the same handler, behind the same policy, as the JSON: the request is passed on as it is, and only its
//! answer is written otherwise. A page that shows more than one answer asks for the others in the same way, each at its
//! own route. A form is handed to the REST route that does what it asks for, as JSON, after its token was checked.
//!
//! Not here: what pages look like (`slapledger-pages`), and who may see what.

mod answered;
mod browser;
mod compose;
mod form;
mod headers;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use slapledger_kit::forms::prefers_html;
use slapledger_kit::layer::{FunctionLayer, Next};
use slapledger_pages::{PAGES, find};

pub(crate) use routes::routes;

use crate::access::Gateway;
use crate::limits::NoRoute;
use browser::Browser;

/// Where a browser begins.
const HOME: &str = "/ui/home";
/// Where somebody signs in.
const SIGN_IN: &str = "/ui/sign-in";

/// What answers browsers: all routes, and the gateway before them.
pub(crate) struct Pages {
    routes: Router,
    gateway: Arc<Gateway>,
}

/// All routes, with the pages around them. `known` are the paths of the routes that have a policy.
///
/// # Panics
/// If there is a page whose route does not exist: nobody would have asked its policy.
pub(crate) fn around(routes: Router, gateway: Arc<Gateway>, known: &[&str]) -> Router {
    let without: Vec<&str> =
        PAGES.iter().map(|page| page.route).filter(|route| !known.contains(route)).collect();
    assert!(without.is_empty(), "pages without a route, and so without a policy: {}", without.join(", "));
    let pages = Arc::new(Pages { routes: routes.clone(), gateway });
    routes.layer(FunctionLayer::new(pages, answer))
}

/// Around everything.
async fn answer(pages: Arc<Pages>, request: Request, next: Next) -> Response {
    let is_html = prefers_html(request.headers());
    let path = request.uri().path();
    if path.starts_with("/ui/assets/") || !(is_html || path.starts_with("/ui/")) {
        return next.run(request).await;
    }
    // Most requests come from clients and nodes: they pay for no page, and make no room for one.
    Box::pin(answer_browser(pages, is_html, request, next)).await
}

async fn answer_browser(pages: Arc<Pages>, is_html: bool, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let is_head = request.method() == Method::HEAD;
    if !reads {
        return pages.form(request, next).await;
    }
    if path == "/" {
        return see_other(HOME);
    }
    // A request is not shared between threads, for its body is not; what comes before the body is.
    let (parts, body) = request.into_parts();
    let mut browser = Browser::of(&pages.gateway, &parts);
    let query = parts.uri.query().unwrap_or_default();
    let response = if path == SIGN_IN {
        pages.sign_in(&mut browser, &parts).await
    } else if let Some((page, names)) = find(&path).filter(|(page, _)| is_html && page.is_asked_by(query)) {
        pages.page((page, names), &mut browser, &parts, None).await
    } else {
        let (headers, uri) = (parts.headers.clone(), parts.uri.clone());
        let response = next.run(Request::from_parts(parts, body)).await;
        if !is_html || response.extensions().get::<NoRoute>().is_none() {
            return response;
        }
        browser.know(&response);
        pages.problem(&browser, &headers, &uri, response).await
    };
    let mut response = headers::secured(response, &browser);
    if is_head {
        *response.body_mut() = axum::body::Body::empty();
    }
    response
}

/// Leads a browser elsewhere by a read.
fn see_other(place: &str) -> Response {
    let location = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static(HOME));
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
    )
        .into_response()
}

/// A path of this server that somebody may be led to; home, if it is none.
fn local(place: &str) -> &str {
    let is_path =
        place.starts_with('/') && !place.starts_with("//") && !place.contains(['\\', '\n', '\r', '\t']);
    if is_path && place.len() <= 2048 { place } else { HOME }
}
