//! What a web browser on the same machine must not be made to do by a page of somebody else.
//!
//! A master on loopback knows no sign-in, and a browser shows a certificate to whatever page asks: anyone who reaches
//! it may use it. A page can post a form to any address, so a request that writes, or is handed a secret, and says that
//! it comes from another page is refused. A page can also give its own host name the address of this machine (DNS
//! rebinding), so a request must name us by an address, as `localhost` or by a name that was configured. Clients that
//! are no browsers send no
//! `Origin`, and the address they were given as `Host`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::forms;
use slapledger_kit::layer::Next;
use slapledger_kit::problem::Problem;
use slapledger_kit::representation::Representation;
use slapledger_net::Peer;

use super::access::Gateway;

/// What a browser says of whose page it asks for.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The scheme of that claim.
const CLAIM: &[u8] = b"x-slappartition";
/// What is read, and is answered with a token or a key.
const GIVES_SECRETS: [&str; 2] =
    ["/hateoas/computer_module/Base_getComputerToken", "/getComputerPartitionCertificate"];

/// Around everything.
pub(crate) async fn guard(gateway: Arc<Gateway>, mut request: Request, next: Next) -> Response {
    if let Err(problem) = well_formed(&request) {
        return problem.into_response();
    }
    // The host that a request names in its address is the one that is meant (RFC 9112, section 3.2.2), for all who
    // look.
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = authority.as_str().parse()
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let names = gateway.access.as_ref().map(|access| access.names.as_slice());
    match check(names, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => match Representation::accepted(request.headers()) {
            Ok(Representation::Xml) => forms::problem_in_xml(problem.into_response()).await,
            Ok(Representation::Json) | Err(_) => problem.into_response(),
        },
    }
}

/// What no client of HTTP may leave out or say twice: anyone who stands between might see another request in it.
fn well_formed(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    // What does not come from a connection (a test) is no message of HTTP/1.1.
    let is_message = request.extensions().get::<Peer>().is_some() && request.version() == Version::HTTP_11;
    if is_message && !headers.contains_key(header::HOST) {
        return Err(Problem::field("host", "is missing; HTTP/1.1 needs it"));
    }
    // Beside a token there may be the claim of a partition, which is in a header of the same name and proves nothing.
    let told = headers.get_all(header::AUTHORIZATION).iter();
    let is_claim = |value: &&HeaderValue| {
        value.as_bytes().get(..CLAIM.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(CLAIM))
    };
    let (claims, others): (Vec<_>, Vec<_>) = told.partition(is_claim);
    if claims.len() > 1 || others.len() > 1 {
        return Err(Problem::field("authorization", "must not be given more than once"));
    }
    Ok(())
}

/// Without `names` the server has none but those of its machine, and no option to give it others.
fn check(names: Option<&[String]>, request: &Request) -> Result<(), Problem> {
    let host = host(request)?;
    if let Some(host) = host.as_ref().filter(|host| !is_ours(names.unwrap_or_default(), host)) {
        let host = host.host();
        let or = if names.is_some() {
            ", as localhost, or by one of its names (`names`, --name)"
        } else {
            " or as localhost"
        };
        return Err(forbidden(
            ProblemCode::HostUnknown,
            "host",
            format!("{host:?} is not this server: name it by its address{or}"),
        ));
    }
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if reads && !GIVES_SECRETS.contains(&request.uri().path()) {
        return Ok(());
    }
    // What a browser says that sends no origin with it.
    if request.headers().get(SITE).is_some_and(|site| site == "cross-site") {
        return Err(forbidden(
            ProblemCode::CrossSite,
            "sec-fetch-site",
            "pages of another site must not ask this".to_owned(),
        ));
    }
    for origin in request.headers().get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let same = host.as_ref().is_some_and(|host| is_page_of(origin, host));
        if !same {
            let rule = format!("{origin:?} is another site: its pages must not write here");
            return Err(forbidden(ProblemCode::CrossSite, "origin", rule));
        }
    }
    Ok(())
}

fn forbidden(code: ProblemCode, field: &str, detail: String) -> Problem {
    Problem { field: Some(field.into()), ..Problem::new(StatusCode::FORBIDDEN, code, detail) }
}

/// The host that a request names, in its address or its header.
fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.clone()));
    }
    let told = one(request.headers())?;
    let parsed = told
        .map(|told| told.parse().map_err(|_| Problem::field("host", "must be a host and perhaps a port")));
    parsed.transpose()
}

fn one(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut told = headers.get_all(header::HOST).iter();
    let (host, another) = (told.next(), told.next());
    if another.is_some() {
        return Err(Problem::field("host", "must not be given more than once"));
    }
    let text = host
        .map(|host| host.to_str().map_err(|_| Problem::field("host", "must be a host and perhaps a port")));
    Ok(text.transpose()?.filter(|host| !host.is_empty()))
}

/// Whether a host can only be this server: an address, a name that never leaves the machine, or one that it was given.
fn is_ours(names: &[String], host: &Authority) -> bool {
    let name = host.host().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
        || name == "localhost"
        || name.ends_with(".localhost")
        || address.parse::<IpAddr>().is_ok()
}

/// Whether a page of this origin came from the host it now asks.
fn is_page_of(origin: &str, host: &Authority) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
mod tests;
