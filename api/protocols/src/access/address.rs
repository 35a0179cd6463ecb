//! The address of this server, as its client reaches it.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};
use slapledger_core::domain::event::Mode;
use slapledger_kit::problem::Problem;

use super::Gateway;

/// The address of the root document of hateoas, as this client reaches it.
pub(crate) fn hateoas_url(gateway: &Gateway, headers: &HeaderMap) -> Result<String, Problem> {
    let rule =
        || Problem::field("host", "must be the name or address of this server, and a port where needed");
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).ok_or_else(rule)?;
    let authority: Authority = host.parse().map_err(|_| rule())?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(rule());
    }
    // Anyone who may speak to a proxy is on its machine, and tells this of its own way here.
    let told = headers.get("x-forwarded-proto").filter(|_| gateway.engine.mode == Mode::Proxy);
    let secure = gateway.access.as_ref().is_some_and(|access| access.https);
    let scheme = if secure || told.is_some_and(|told| told == "https") { "https" } else { "http" };
    let prefix = prefix(headers);
    Ok(format!("{scheme}://{authority}{prefix}/hateoas/"))
}

/// The path under which a reverse proxy serves this server, if it says one that is a path. Anyone who sends it gets it
/// back, and nobody else.
fn prefix(headers: &HeaderMap) -> &str {
    let told = headers.get("x-forwarded-prefix").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let told = told.trim_end_matches('/');
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
    let is_path = told.starts_with('/') && !told.starts_with("//") && told.chars().all(is_part);
    if is_path && !told.split('/').any(|part| matches!(part, "." | "..")) { told } else { "" }
}
