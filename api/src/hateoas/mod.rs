//! hateoas: what `slapos service` and `slapos computer` read: a root document that names two templates, a search and a
//! traversal.
//!
//! The client sends one of a few queries (`query` reads them) and follows the `relative_url` of what it finds. The search
//! gives what is asked for in `select_list`; a document gives its values as the fields of a form (`document`). Addresses
//! in the answers are made of the `Host` that the request names; nobody else is asked what this server is called.

use std::sync::Arc;

use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use slapledger_core::domain::event::Mode;

use crate::app::App;
use crate::http::problem::Problem;

/// The address of the root document, as this client reaches it.
pub(crate) fn root_url(mode: Mode, headers: &HeaderMap) -> Result<String, Problem> {
    let rule =
        || Problem::field("host", "must be the name or address of this server, and a port where needed");
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).ok_or_else(rule)?;
    let authority: Authority = host.parse().map_err(|_| rule())?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(rule());
    }
    // Whoever may speak to a proxy is on its machine, and tells this of its own way here.
    let scheme = headers.get("x-forwarded-proto").filter(|_| mode == Mode::Proxy);
    let scheme = if scheme.is_some_and(|told| told == "https") { "https" } else { "http" };
    Ok(format!("{scheme}://{authority}/hateoas/"))
}

/// `GET getHateoasUrl`.
pub(crate) async fn url(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<String, Problem> {
    root_url(app.mode, &headers)
}
