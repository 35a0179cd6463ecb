//! A page, put together from the answers of routes.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::time::TimeZone;
use slapledger_kit::answer::SEQUENCE;
use slapledger_kit::forms::{tag_of, take_value};
use slapledger_kit::problem::Problem;
use slapledger_pages::{Answers, FormResult, PageContext, PageRequest, Refused, WebPage};
use slapledger_usecases::caller::{FIRST_PARTY, Principal};
use tower::ServiceExt as _;

use super::answered::{Origin, PartAnswer, problem_of, refused};
use super::browser::Browser;
use super::{Pages, SIGN_IN, headers, local, see_other};
use crate::access::{AS_OF, Sessions, sequence_of};

/// How often a page waits for the views of the past that it shows.
const AS_OF_ATTEMPTS: usize = 8;
/// How often a page may name more answers that it shows.
const ROUNDS: usize = 4;
/// The most answers of a page.
const MOST_PARTS: usize = 40;
impl Pages {
    pub(super) async fn ask(&self, browser: &mut Browser, request: Request) -> PartAnswer {
        let Ok(mut response) = self.routes.clone().oneshot(request).await;
        browser.know(&response);
        let sequence = response.headers().get(SEQUENCE).and_then(|value| value.to_str().ok()?.parse().ok());
        let tag = tag_of(&response);
        match take_value(&mut response) {
            // Of health a fault is what there is to show.
            Some(Ok(value)) if response.status() == StatusCode::ACCEPTED && value["as_of"].is_number() => {
                let detail = format!(
                    "what was so at sequence {} is being derived from the log, {} is reached; reload this page soon",
                    value["as_of"], value["reached"]
                );
                let problem = json!({
                    "status": 503, "title": "Not derived yet", "detail": detail, "field": null, "code": "",
                    "remedy": null, "as_of": value["as_of"],
                });
                PartAnswer::Problem { status: StatusCode::SERVICE_UNAVAILABLE, problem }
            }
            Some(Ok(value)) if response.status().is_success() || value["fault_codes"].is_array() => {
                PartAnswer::Value { value, sequence: sequence.unwrap_or_default(), tag }
            }
            Some(Ok(value)) => {
                let status = response.status();
                let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
                let problem = json!({
                    "status": status.as_u16(), "title": text("title"), "detail": text("detail"),
                    "field": value["field"], "code": "", "remedy": null,
                });
                PartAnswer::Problem { status, problem }
            }
            Some(Err(error)) => {
                let response = Problem::fault(&error).into_response();
                problem_of(response).await
            }
            None => problem_of(response).await,
        }
    }

    /// A page, from what its route and its parts answer.
    pub(super) async fn page(
        &self,
        (page, names): (&'static WebPage, BTreeMap<&'static str, String>),
        browser: &mut Browser,
        request: &Parts,
        refused: Option<Refused>,
    ) -> Response {
        let uri = &request.uri;
        let query: Vec<(String, String)> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let now = self.gateway.engine.now().to_string();
        let mut asked = PageRequest { path: uri.path().to_owned(), names, now, query };
        let origin = Origin::of(&request.headers, &request.extensions).leased(self.gateway.engine.lease());
        let origin = self.as_asked(browser, origin, &mut asked).await;
        let place = place_of(page, &asked);
        let Some(inner) = origin.request(Method::GET, &place, Body::empty()) else {
            return Problem::bad_request("the address cannot be read").into_response();
        };
        let mut tags = BTreeMap::new();
        let (it, sequence) = match self.ask(browser, inner).await {
            PartAnswer::Value { value, sequence, tag } => {
                tags.extend(tag.map(|tag| ("it".to_owned(), tag)));
                (value, sequence)
            }
            PartAnswer::Problem { status, problem } => {
                return self.refused(browser, request, status, &problem);
            }
        };
        let mut answers = Answers::from([("it".to_owned(), it)]);
        for _ in 0..ROUNDS {
            let mut parts = (page.parts)(&asked, &answers);
            parts.retain(|part| !answers.contains_key(&part.name));
            if parts.is_empty() || answers.len() > MOST_PARTS {
                break;
            }
            for part in parts.into_iter().take(MOST_PARTS) {
                let path = asked.carried(&part.path);
                let value = match origin.request(Method::GET, &path, Body::empty()) {
                    Some(request) => match self.ask(browser, request).await {
                        PartAnswer::Value { value, tag, .. } => {
                            tags.extend(tag.map(|tag| (part.name.clone(), tag)));
                            value
                        }
                        PartAnswer::Problem { .. } => Value::Null,
                    },
                    None => Value::Null,
                };
                answers.insert(part.name, value);
            }
        }
        let status = refused.as_ref().and_then(|refused| StatusCode::from_u16(refused.status).ok());
        let context = self.context(browser, &request.headers, &asked, (sequence, refused));
        let context = PageContext { tags, ..context };
        let written = slapledger_pages::page(page, &asked, &context, &answers);
        match written {
            Ok(html) => headers::html(status.unwrap_or(StatusCode::OK), html, browser),
            Err(fault) => Problem::fault(&fault).into_response(),
        }
    }

    /// Where a page asks for the past: has its own route derive the views, behind its policy and within its limits, and
    /// hands them to all that the page reads. Where there are none, the route says why when it is asked for the page.
    async fn as_asked(&self, browser: &mut Browser, origin: Origin, asked: &mut PageRequest) -> Origin {
        let Some(text) = asked.parameter(AS_OF).map(str::to_owned) else { return origin };
        let place = asked.carried(&asked.path);
        for _ in 0..AS_OF_ATTEMPTS {
            let Some(inner) = origin.request(Method::GET, &place, Body::empty()) else { return origin };
            match self.ask(browser, inner).await {
                PartAnswer::Problem { problem, .. } if problem["as_of"].is_number() => {}
                // What else it says is said again when it is asked for the page.
                _ => break,
            }
        }
        let engine = &self.gateway.engine;
        let is_known = browser.is_local || browser.known.is_some();
        let at = sequence_of(engine, &text).await.ok().filter(|_| is_known);
        let Some(at) = at else { return origin };
        for (_, value) in asked.query.iter_mut().filter(|(name, _)| name == AS_OF) {
            *value = at.to_string();
        }
        let past = engine.past.kept(at);
        if let Some(views) = &past {
            asked.now = views.time.to_string();
        }
        origin.of_past(past)
    }

    /// Somebody without a credential is led to the sign-in; others are told what the problem is.
    fn refused(&self, browser: &Browser, request: &Parts, status: StatusCode, problem: &Value) -> Response {
        if status == StatusCode::UNAUTHORIZED {
            let next = request.uri.path_and_query().map_or("", |place| place.as_str());
            let query =
                form_urlencoded::Serializer::new(String::new()).append_pair("next", local(next)).finish();
            return see_other(&format!("{SIGN_IN}?{query}"));
        }
        self.problem_page(browser, &request.headers, &request.uri, (status, problem))
    }

    /// A problem as a whole page.
    pub(super) fn problem_page(
        &self,
        browser: &Browser,
        sent: &HeaderMap,
        uri: &Uri,
        (status, problem): (StatusCode, &Value),
    ) -> Response {
        let asked = bare(uri.path());
        let sequence = self.gateway.engine.ledger.head().last.0;
        // How far the ledger is, nobody is told who is not known.
        let sequence = if browser.is_local || browser.known.is_some() { sequence } else { 0 };
        let context = self.context(browser, sent, &asked, (sequence, None));
        match slapledger_pages::problem(&context, problem) {
            Ok(html) => headers::html(status, html, browser),
            Err(fault) => Problem::fault(&fault).into_response(),
        }
    }

    /// The same of an answer that is a problem.
    pub(super) async fn problem(
        &self,
        browser: &Browser,
        sent: &HeaderMap,
        uri: &Uri,
        response: Response,
    ) -> Response {
        match problem_of(response).await {
            PartAnswer::Problem { status, problem } => {
                self.problem_page(browser, sent, uri, (status, &problem))
            }
            PartAnswer::Value { .. } => StatusCode::NOT_FOUND.into_response(),
        }
    }

    /// What a form was answered, shown once.
    pub(super) fn result(
        &self,
        browser: &Browser,
        request: &Parts,
        of: &FormResult,
        (value, sequence, sent): (&Value, u64, &[(String, String)]),
    ) -> Response {
        let asked = bare(request.uri.path());
        let context = self.context(browser, &request.headers, &asked, (sequence, None));
        let sent: Vec<(String, String)> =
            sent.iter().filter(|(name, _)| !["csrf", "key"].contains(&name.as_str())).cloned().collect();
        match slapledger_pages::result(of, &context, (value, &sent)) {
            Ok(html) => {
                let mut response = headers::html(StatusCode::OK, html, browser);
                // It may have a secret in it, which no browser keeps.
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            Err(fault) => Problem::fault(&fault).into_response(),
        }
    }

    /// The page for signing in.
    pub(super) async fn sign_in(&self, browser: &mut Browser, request: &Parts) -> Response {
        let query = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
        let next =
            query.into_owned().find(|(name, _)| name == "next").map(|(_, value)| value).unwrap_or_default();
        if browser.is_local {
            return see_other(local(&next));
        }
        let origin = Origin::of(&request.headers, &request.extensions);
        let Some(inner) = origin.request(Method::GET, SIGN_IN, Body::empty()) else {
            return see_other(SIGN_IN);
        };
        let refused = match self.ask(browser, inner).await {
            PartAnswer::Value { .. } => None,
            // Whoever had a session learns why it ended.
            PartAnswer::Problem { status, problem } if browser.has_session => {
                Some(refused(status, &problem, &[]))
            }
            PartAnswer::Problem { status, problem } => {
                return self.problem_page(browser, &request.headers, &request.uri, (status, &problem));
            }
        };
        self.sign_in_page(browser, &request.headers, local(&next), refused)
    }

    pub(super) fn sign_in_page(
        &self,
        browser: &Browser,
        sent: &HeaderMap,
        next: &str,
        refused: Option<Refused>,
    ) -> Response {
        let asked = bare(SIGN_IN);
        let status = refused.as_ref().and_then(|refused| StatusCode::from_u16(refused.status).ok());
        let context = self.context(browser, sent, &asked, (0, refused));
        match slapledger_pages::sign_in(&context, next, false) {
            Ok(html) => headers::html(status.unwrap_or(StatusCode::OK), html, browser),
            Err(fault) => Problem::fault(&fault).into_response(),
        }
    }

    fn context(
        &self,
        browser: &Browser,
        headers: &HeaderMap,
        asked: &PageRequest,
        (sequence, refused): (u64, Option<Refused>),
    ) -> PageContext {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let engine = &self.gateway.engine;
        let own = |name: &(String, String)| name.0 != "done";
        PageContext {
            path: asked.path.clone(),
            query: asked.query.iter().filter(|pair| own(pair)).cloned().collect(),
            language: browser.language,
            theme: browser.theme,
            zone: self.zone(browser, asked).0,
            reader: if asked.parameter(AS_OF).is_some() {
                browser.reader().of_past()
            } else {
                browser.reader()
            },
            csrf: browser.csrf.clone(),
            key: Sessions::unguessable(),
            nonce: browser.nonce.clone(),
            tags: BTreeMap::new(),
            event_types: Event::NAMES,
            sequence,
            now: if asked.now.is_empty() { engine.now().to_string() } else { asked.now.clone() },
            as_of: asked.parameter(AS_OF).map(str::to_owned),
            mode: match engine.mode {
                slapledger_core::domain::event::Mode::Demo => "demo",
                slapledger_core::domain::event::Mode::Proxy => "proxy",
                slapledger_core::domain::event::Mode::Serve => "serve",
            },
            host: host.to_owned(),
            refused,
            done: asked.parameter("done").map(str::to_owned),
        }
    }

    /// The zone in which a reader counts days: that of their party, or of the first party, at the time of the page.
    fn zone(&self, browser: &Browser, asked: &PageRequest) -> TimeZone {
        let (party, project) = match browser.known.as_deref() {
            Some(Principal { holder: Holder::Party(party), project, .. }) => (*party, *project),
            Some(known) => (FIRST_PARTY, known.project),
            None if browser.is_local => (FIRST_PARTY, self.gateway.local_project),
            None => return TimeZone::UTC,
        };
        let engine = &self.gateway.engine;
        let at = asked.parameter(AS_OF).and_then(|at| at.parse().ok());
        let past = at.and_then(|at| engine.past.kept(Sequence(at)));
        let billing =
            past.as_ref().map_or_else(|| engine.billing_of(project), |past| past.billing_of(project));
        billing.read(|view, _| view.billing.calendar_of(party).map(Calendar::newest)).unwrap_or(TimeZone::UTC)
    }
}

fn bare(path: &str) -> PageRequest {
    PageRequest { path: path.to_owned(), names: BTreeMap::new(), now: String::new(), query: Vec::new() }
}

/// Where the route of a page is asked: without the parameters that are the page's own.
fn place_of(page: &WebPage, asked: &PageRequest) -> String {
    let mut sent = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &asked.query {
        // An empty field of a form says nothing.
        if !page.own.contains(&name.as_str()) && name != "done" && !value.is_empty() {
            sent.append_pair(name, value);
        }
    }
    for (name, value) in (page.sent)(asked) {
        sent.append_pair(&name, &value);
    }
    if let Some(limit) = page.limit.filter(|_| asked.parameter("limit").is_none()) {
        sent.append_pair("limit", &limit.to_string());
    }
    let query = sent.finish();
    if query.is_empty() { asked.path.clone() } else { format!("{}?{query}", asked.path) }
}
