//! The routes of pages that have no REST twin, each with its policy.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::time::Timestamp;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::layer::FunctionLayer;
use slapledger_kit::problem::Problem;
use slapledger_net::Peer;
use slapledger_pages::assets::assets;
use slapledger_usecases::policy;

use super::browser::{LANGUAGE, THEME};
use super::form::FormFields;
use super::{local, see_other};
use crate::access::{
    AS_OF, Authorised, FormChecked, Gateway, Guarded, Sessions, as_problem, authenticate_token, take_as_of,
};

/// How long a browser keeps what a reader prefers: a year.
const YEAR: u32 = 31_536_000;
/// The longest form of these routes.
const MOST_BYTES: usize = 8 * 1024;

/// What a page without a twin answers by itself: how far the ledger is.
#[derive(Serialize, JsonSchema)]
struct PageAnswer {
    sequence: u64,
}

async fn page(Authorised(ctx): Authorised) -> HttpAnswer<PageAnswer> {
    let last = ctx.newest();
    HttpAnswer::ok(last, PageAnswer { sequence: last.0 })
}

/// The same of a page about what is so now.
async fn page_of_now(authorised: Authorised, uri: Uri) -> Result<HttpAnswer<PageAnswer>, Problem> {
    let mut query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    if query.any(|(name, _)| name == AS_OF) {
        return Err(Problem::field(AS_OF, "is not a parameter here: this page shows what is so now"));
    }
    Ok(page(authorised).await)
}

/// Half a month: from the start of any month it leads to a day of that month, in whichever zone.
const HALF_A_MONTH: i64 = 14 * 24 * 3600 * 1_000_000;

/// Routes of the overview that no other page answers.
#[derive(Serialize, JsonSchema)]
struct HomeAnswer {
    /// The month of the newest final document that the reader may see, such as 2026-10.
    invoiced_month: Option<String>,
    sequence: u64,
}

async fn home(Authorised(ctx): Authorised) -> HttpAnswer<HomeAnswer> {
    let last = ctx.newest();
    let start = ctx.billing().read(|view, _| {
        let newest = view.billing.newest_final(|document| {
            let parties = [&document.invoice.buyer, &document.invoice.seller];
            parties.into_iter().any(|party| ctx.caller.sees_party(party.party))
        });
        newest.map(|document| document.invoice.period.start)
    });
    let day = start.and_then(|start| Timestamp::from_micros(start.micros().saturating_add(HALF_A_MONTH)));
    let invoiced_month = day.and_then(|day| day.to_string().get(..7).map(str::to_owned));
    HttpAnswer::ok(last, HomeAnswer { invoiced_month, sequence: last.0 })
}

/// All of them.
pub(crate) fn routes() -> Guarded {
    Guarded::new(as_problem)
        .route("/ui/home", &policy::KNOWN, get(home).layer(FunctionLayer::new(true, take_as_of)))
        .route("/ui/usage", &policy::USAGE_REVIEW, get(page).layer(FunctionLayer::new(true, take_as_of)))
        .route("/ui/request", &policy::INSTANCE_REQUEST, get(page_of_now))
        .route("/ui/operation", &policy::LOG_DIGEST, get(page_of_now))
        .route("/ui/revenue", &policy::BILLING_READ, get(page).layer(FunctionLayer::new(true, take_as_of)))
        .route("/ui/sign-in", &policy::PUBLIC, get(page).post(sign_in))
        .route("/ui/sign-out", &policy::PUBLIC, post(sign_out))
        .route("/ui/preferences", &policy::PUBLIC, post(preferences))
        .route("/ui/assets/{digest}/{name}", &policy::PUBLIC, get(asset))
}

/// The fields of a form whose token was checked.
async fn fields(request: Request) -> Result<FormFields, Problem> {
    if request.extensions().get::<FormChecked>().is_none() {
        return Err(crate::access::unchecked_form());
    }
    let body = axum::body::to_bytes(request.into_body(), MOST_BYTES).await;
    let body =
        body.map_err(|_| Problem::body_too_large(format!("a form has at most {MOST_BYTES} bytes here")))?;
    Ok(FormFields::read(&body))
}

/// Opens a session for whoever knows a token.
async fn sign_in(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Problem> {
    let address = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
    let headers = request.headers().clone();
    let fields = fields(request).await?;
    let next = local(fields.get("next"));
    let Some(access) = &gateway.access else { return Ok(see_other(next)) };
    let credential = match authenticate_token(&gateway.engine, fields.get("token")) {
        Ok(credential) => credential,
        Err(problem) => {
            if let Some(address) = address {
                access.failed_attempts.failed(address).await?;
            }
            return Err(problem);
        }
    };
    // Whoever signs in anew has no use for the session before.
    gateway.sessions.end(&headers, access.https);
    let id = gateway.sessions.open(credential);
    Ok(with_cookie(see_other(next), &Sessions::cookie(&id, access.https)))
}

/// Ends the session of a browser.
async fn sign_out(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    fields(request).await?;
    let https = gateway.https();
    gateway.sessions.end(&headers, https);
    Ok(with_cookie(see_other(super::SIGN_IN), &Sessions::no_cookie(https)))
}

/// Keeps the colours and the language of a reader.
async fn preferences(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Problem> {
    let fields = fields(request).await?;
    let secure = if gateway.https() { "; Secure" } else { "" };
    let mut response = see_other(local(fields.get("next")));
    let theme = slapledger_pages::Theme::of(fields.get("theme")).map(|_| (THEME, fields.get("theme")));
    let language = slapledger_pages::Language::of_tag(fields.get("language"));
    let language = language.map(|language| (LANGUAGE, language.tag()));
    for (name, value) in [theme, language].into_iter().flatten() {
        let cookie = format!("{name}={value}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Strict{secure}");
        response = with_cookie(response, &cookie);
    }
    Ok(response)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Style and scripts, which never change under their address.
async fn asset(
    Path((digest, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = assets().find(&digest, &name).ok_or_else(|| Problem::not_found("there is no such file"))?;
    let takes =
        headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_gzip = takes.split(',').any(|told| told.trim().split(';').next() == Some("gzip"));
    let constant = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if is_gzip {
        return Ok((constant, [(header::CONTENT_ENCODING, "gzip")], file.gzip.as_slice()).into_response());
    }
    Ok((constant, file.bytes).into_response())
}
