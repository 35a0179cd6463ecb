//! What forms ask for: their token is checked, and the route that does it is asked as any client would ask it.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use slapledger_kit::layer::Next;
use slapledger_kit::problem::Problem;
use slapledger_pages::{FormBody, PageForm, find};

use super::answered::{Origin, PartAnswer, problem_of, refused};
use super::browser::Browser;
use super::{Pages, SIGN_IN, headers, local, see_other};
use crate::access::{FormChecked, unchecked_form};

/// The longest body of a form: as many as there are connections may be read at a time.
const MOST_BYTES: usize = 64 * 1024;
/// The most fields of a form.
const MOST_FIELDS: usize = 256;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The type of the body of a form.
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// The fields of a form.
pub(super) struct FormFields(pub(super) Vec<(String, String)>);

impl FormFields {
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }

    pub(super) fn read(body: &[u8]) -> Self {
        // Browsers end the lines of a text in their own way.
        let lines = |(name, value): (String, String)| (name, value.replace("\r\n", "\n"));
        Self(form_urlencoded::parse(body).into_owned().take(MOST_FIELDS).map(lines).collect())
    }
}

fn is_form(request: &Request) -> bool {
    let told = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    told.and_then(|told| told.split(';').next())
        .is_some_and(|told| told.trim().eq_ignore_ascii_case(FORM_TYPE))
}

impl Pages {
    /// A form. What is no form of ours goes on as it is.
    pub(super) async fn form(&self, request: Request, next: Next) -> Response {
        let path = request.uri().path().to_owned();
        let is_ui = path.starts_with("/ui/");
        let has_form = ["POST", "PATCH", "DELETE", "PUT"]
            .into_iter()
            .any(|method| PageForm::find(method, &path).is_some());
        if request.method() != Method::POST || !is_form(&request) || !(is_ui || has_form) {
            return next.run(request).await;
        }
        let (mut parts, body) = request.into_parts();
        let mut browser = Browser::of(&self.gateway, &parts);
        let uri = parts.uri.clone();
        let sent = parts.headers.clone();
        let Ok(bytes) = to_bytes(body, MOST_BYTES).await else {
            let problem = Problem::body_too_large(format!("a form has at most {MOST_BYTES} bytes"));
            return headers::secured(
                self.problem(&browser, &sent, &uri, problem.into_response()).await,
                &browser,
            );
        };
        let fields = FormFields::read(&bytes);
        let is_checked = !browser.is_new
            && self.gateway.sessions.checks(&browser.id, (&sent, browser.https), fields.get("csrf"));
        if !is_checked && !is_ui {
            let problem = unchecked_form();
            return headers::secured(
                self.problem(&browser, &sent, &uri, problem.into_response()).await,
                &browser,
            );
        }
        let response = if is_ui {
            // Without it the route refuses, once it knows who sent the form.
            if is_checked {
                parts.extensions.insert(FormChecked);
            }
            let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
            browser.know(&response);
            if response.status().is_client_error() || response.status().is_server_error() {
                self.ui_refused(&browser, (&sent, &uri), &fields, response).await
            } else {
                response
            }
        } else {
            self.carry_out(&mut browser, &parts, &fields).await
        };
        headers::secured(response, &browser)
    }

    async fn ui_refused(
        &self,
        browser: &Browser,
        (sent, uri): (&axum::http::HeaderMap, &axum::http::Uri),
        fields: &FormFields,
        response: Response,
    ) -> Response {
        if uri.path() != SIGN_IN {
            return self.problem(browser, sent, uri, response).await;
        }
        match problem_of(response).await {
            PartAnswer::Problem { status, problem } => {
                let refused = refused(status, &problem, &[]);
                self.sign_in_page(browser, sent, local(fields.get("next")), Some(refused))
            }
            PartAnswer::Value { .. } => see_other(SIGN_IN),
        }
    }

    /// Asks the route that does it; leads on if it was done, and shows the page of the form again if not.
    async fn carry_out(&self, browser: &mut Browser, parts: &Parts, fields: &FormFields) -> Response {
        let path = parts.uri.path();
        let method = match fields.get("method") {
            "" => "POST",
            told => told,
        };
        let Some(form) = PageForm::find(method, path) else {
            let problem =
                Problem::field("method", "is not one that this address takes from a form").into_response();
            return self.problem(browser, &parts.headers, &parts.uri, problem).await;
        };
        let next = local(fields.get("next")).to_owned();
        let origin = Origin::of(&parts.headers, &parts.extensions);
        let answered = match form.body(&fields.0) {
            Ok(body) => {
                let (media_type, body) = match form.body {
                    FormBody::Members(_) => ("application/json", Body::from(body.to_string())),
                    FormBody::Document { field, media_type } => {
                        (media_type, Body::from(fields.get(field).to_owned()))
                    }
                };
                let place =
                    place_of(form, parts.uri.path_and_query().map_or(path, |place| place.as_str()), fields);
                let method = form.method.parse().unwrap_or(Method::POST);
                let Some(mut request) = origin.request(method, &place, body) else {
                    return Problem::bad_request("the address cannot be read").into_response();
                };
                request.extensions_mut().insert(FormChecked);
                let headers = request.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
                for (field, name) in [("key", IDEMPOTENCY_KEY), ("if-match", header::IF_MATCH)] {
                    if let Some(value) = Some(fields.get(field)).filter(|value| !value.is_empty())
                        && let Ok(value) = HeaderValue::from_str(value)
                    {
                        headers.insert(name, value);
                    }
                }
                self.ask(browser, request).await
            }
            Err(field) => {
                let problem = Problem::field(field, "must be JSON").into_response();
                problem_of(problem).await
            }
        };
        let (status, problem) = match answered {
            PartAnswer::Value { value, sequence, .. } => {
                let result = form.result.filter(|of| of.when.is_empty() || !fields.get(of.when).is_empty());
                if let Some(of) = result {
                    return self.result(browser, parts, &of, (&value, sequence, &fields.0));
                }
                let (place, fragment) =
                    next.split_once('#').map_or((&*next, ""), |(place, rest)| (place, rest));
                let joined = if place.contains('?') { "&" } else { "?" };
                let mark = if fragment.is_empty() { "" } else { "#" };
                return see_other(&format!("{place}{joined}done={}{mark}{fragment}", form.done));
            }
            PartAnswer::Problem { status, problem } => (status, problem),
        };
        // The page of the form, with what was typed.
        let shown = fields.get("page");
        let shown = if shown.is_empty() { &*next } else { local(shown) };
        let place = shown.split('#').next().unwrap_or_default();
        let page = find(place.split('?').next().unwrap_or_default());
        let (Some(page), Some(request)) = (page, origin.request(Method::GET, place, Body::empty())) else {
            return self.problem_page(browser, &parts.headers, &parts.uri, (status, &problem));
        };
        let (shown, _) = request.into_parts();
        self.page(page, browser, &shown, Some(refused(status, &problem, &fields.0))).await
    }
}

/// Where the route of a form is asked: with the fields that are parameters.
fn place_of(form: &PageForm, place: &str, fields: &FormFields) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in form.query.iter().filter(|name| !fields.get(name).is_empty()) {
        query.append_pair(name, fields.get(name));
    }
    let query = query.finish();
    if query.is_empty() { place.to_owned() } else { format!("{place}?{query}") }
}
