//! hateoas: what `slapos service` and `slapos computer` read: a root document that names two templates, a search and a
//! traversal.
//!
//! The client sends one of a few queries (`query` reads them) and follows the `relative_url` of what it finds. The search
//! gives what is asked for in `select_list`; a document gives its values as the fields of a form (`document`). Addresses
//! in the answers are made of the `Host` that the request names; nobody else is asked what this server is called.

mod address;
mod document;
mod query;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};
use slapledger_core::domain::access::{Holder, Purpose, Role};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_engine as engine;
use slapledger_kit::problem::Problem;
use slapledger_usecases::certification::{self, WantedCredential};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;
use slapledger_usecases::{policy, status};

use crate::access::{Authorised, Gateway, Guarded, hateoas_url};

/// The most things that a search gives.
const MOST: usize = 1000;

/// The routes of this folder.
pub(crate) fn routes() -> Guarded {
    Guarded::new(|problem| HateoasProblem(problem).into_response())
        .route("/getHateoasUrl", &policy::KNOWN, get(url))
        .route("/hateoas", &policy::CLIENT, get(answer))
        .route("/hateoas/", &policy::CLIENT, get(answer))
        .route("/hateoas/computer_module/Base_getComputerToken", &policy::COMPUTER_WRITE, get(token))
}

/// `GET getHateoasUrl`.
async fn url(
    State(gateway): State<Arc<Gateway>>,
    _: Authorised,
    headers: HeaderMap,
) -> Result<String, HateoasProblem> {
    Ok(hateoas_url(&gateway, &headers)?)
}

/// A problem. The client shows no more of it than the phrase beside the status.
struct HateoasProblem(Problem);

impl<P: Into<Problem>> From<P> for HateoasProblem {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for HateoasProblem {
    fn into_response(self) -> Response {
        let phrase = match self.0.status {
            // As slapos proxy writes it.
            StatusCode::BAD_REQUEST => Some(ReasonPhrase::from_static(b"BAD REQUEST")),
            _ => None,
        };
        let mut response = self.0.into_response();
        if let Some(phrase) = phrase {
            response.extensions_mut().insert(phrase);
        }
        response
    }
}

/// The parameters of a request.
struct HateoasParameters(Vec<(String, String)>);

impl HateoasParameters {
    const KNOWN: [&str; 6] = ["mode", "query", "select_list", "limit", "relative_url", "view"];

    fn read(uri: &Uri) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let pairs: Vec<(String, String)> = pairs.into_owned().collect();
        let twice =
            |at: usize, name: &str| name != "select_list" && pairs[..at].iter().any(|pair| pair.0 == name);
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !Self::KNOWN.contains(&name.as_str()) {
                let rule = format!("is not a parameter here; there are {}", Self::KNOWN.join(", "));
                return Err(Problem::field(name, rule));
            }
            if twice(at, name) {
                return Err(Problem::field(name, "must not be given more than once"));
            }
        }
        Ok(Self(pairs))
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|pair| pair.0 == name).map(|pair| pair.1.clone()).collect()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| Problem::field(name, "is missing"))
    }

    fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else { return Ok(MOST) };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| Problem::field("limit", format!("must be a number from 1 to {MOST}")))
    }
}

/// `GET /hateoas/`, in its three modes.
async fn answer(
    State(gateway): State<Arc<Gateway>>,
    Authorised(ctx): Authorised,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HateoasProblem> {
    let told = HateoasParameters::read(&uri)?;
    match told.get("mode") {
        None | Some("root") => Ok(json_of(&root(&ctx, &hateoas_url(&gateway, &headers)?)?)),
        Some("search") => Ok(json_of(&search(&ctx, &told).await?)),
        Some("traverse") => Ok(json_of(&traverse(&ctx, &told).await?)),
        Some(_) => Err(Problem::field("mode", "must be root, search or traverse").into()),
    }
}

fn json_of(document: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

fn root(ctx: &RequestContext, url: &str) -> Result<Value, Problem> {
    // Of the address of the token the client has the slash.
    let this = url.trim_end_matches('/');
    Ok(json!({"_links": {
        "raw_search": {"href": format!("{url}?mode=search&query={{query}}&select_list={{select_list}}")},
        "traverse": {"href": format!("{url}?mode=traverse&relative_url={{relative_url}}&view={{view}}")},
        "self": {"href": this},
        "me": {"href": format!("urn:jio:get:person_module/{}", ctx.caller.party()?)},
    }}))
}

async fn search(ctx: &RequestContext, told: &HateoasParameters) -> Result<Value, Problem> {
    let search = query::Search::read(told.required("query")?)?;
    let names = document::selected(&told.all("select_list"))?;
    let limit = told.limit()?;
    let user = ctx.caller.party()?;
    let found = read(ctx, Sequence::ZERO, |view, _| document::search(ctx, user, view, (&search, limit)));
    let found = found.await?;
    let rows: Vec<Value> = found.iter().map(|found| found.row(ctx.keys(), &names)).collect();
    Ok(json!({"_embedded": {"contents": rows}}))
}

async fn traverse(ctx: &RequestContext, told: &HateoasParameters) -> Result<Value, Problem> {
    let relative_url = told.required("relative_url")?;
    if told.get("view").is_some_and(|view| !matches!(view, "slaposjs_view" | "view")) {
        return Err(Problem::field("view", "must be slaposjs_view or view"));
    }
    let user = ctx.caller.party()?;
    if relative_url == format!("person_module/{user}") {
        let mut form = document::HateoasForm::new("Person_viewAsHateoas");
        form.text("reference", json!(user.to_string()));
        return Ok(form.document("Person"));
    }
    let found = read(ctx, Sequence::ZERO, |view, _| document::find(ctx, user, view, relative_url)).await?;
    let found = found.ok_or_else(|| {
        let problem = Problem::not_found("there is no such document, or no more");
        Problem { field: Some("relative_url".to_owned()), ..problem }
    })?;
    let computer = match found.as_computer().and_then(|id| id.parse::<ComputerId>().ok()) {
        Some(id) => status::of_computer(ctx, &id).await?.remove("text"),
        None => None,
    };
    Ok(found.form(ctx, computer))
}

/// `GET computer_module/Base_getComputerToken`: a token that registers one computer. At slapos proxy nobody has to prove
/// who they are, and it gives one all the same: a random text that means nothing.
async fn token(Authorised(ctx): Authorised) -> Result<Response, HateoasProblem> {
    if ctx.mode() == Mode::Proxy {
        let token = uuid::Uuid::from_bytes(engine::random_id()).simple().to_string();
        let body = json!({"access_token": token}).to_string();
        return Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response());
    }
    ctx.certifier()?;
    let user = ctx.caller.party()?;
    let wanted =
        WantedCredential::once(&ctx, Holder::Party(user), Role::Provider.into(), Purpose::RegisterComputer);
    let token = certification::issue_token(&ctx, wanted).await?;
    let body = json!({"access_token": *token.text()}).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
