//! Who sent a request: by the certificate of its connection, by one that a reverse proxy hands on, or by a token.
//!
//! Asked once, before any route. What is presented and is not good is an answer of its own (401), also where nothing is
//! needed; what is presented in two ways counts in this order. Revocation works at the next request, on connections
//! that are open too: nothing is remembered of a credential between two requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest, Sha256};
use slapledger_core::domain::access::{Credential, Proof, Purpose};
use slapledger_core::domain::id::{CredentialId, ProjectId};
use slapledger_dto::token::Token;
use slapledger_engine::Engine;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::layer::Next;
use slapledger_kit::problem::Problem;
use slapledger_kit::refusal;
use slapledger_net::Peer;
use slapledger_usecases::caller::Principal;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Gateway;
use super::failed_attempts::FailedAttempts;
use super::rate_limits::RateLimits;
use super::sessions::session_of;

/// The header by which a reverse proxy hands a certificate on (RFC 9440).
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// The header by which it proves that it is the reverse proxy.
const TERMINATOR: HeaderName = HeaderName::from_static("slapledger-terminator");
/// The header by which it says whom it speaks for.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The header by which those who reach all projects choose one.
pub(crate) const PROJECT: HeaderName = HeaderName::from_static("slapledger-project");

/// How a master authenticates senders.
pub struct AccessControl {
    /// Whether clients reach it by TLS, here or at a reverse proxy.
    pub https: bool,
    /// What clients call the server.
    pub names: Vec<String>,
    /// Whose word counts for a certificate.
    pub reverse_proxy: Option<ReverseProxy>,
    /// Credentials that were wrong.
    pub failed_attempts: FailedAttempts,
    /// How many requests each may send.
    pub rate: RateLimits,
}

/// A reverse proxy that terminates TLS, known by its address and a secret.
pub struct ReverseProxy {
    /// Where it connects from.
    pub addresses: Vec<IpAddr>,
    /// SHA-256 of its secret.
    pub secret: Zeroizing<[u8; 32]>,
}

/// Who a request says it is from; not there where nobody has to say.
#[derive(Clone)]
pub(super) struct Authentication(pub(super) Result<Option<Arc<Principal>>, Problem>);

/// Who an answer is for, for what stands around `authenticate`.
#[derive(Clone)]
pub(crate) struct KnownAs(pub(crate) Arc<Principal>);

/// Around all routes of a master.
pub async fn authenticate(gateway: Arc<Gateway>, mut request: Request, next: Next) -> Response {
    let Some(access) = &gateway.access else { return next.run(request).await };
    let mut peer = request.extensions().get::<Peer>().cloned();
    let speaks = is_reverse_proxy(access, peer.as_ref().map(|peer| peer.address), request.headers());
    let session = session_of(&gateway.sessions, &request, access.https);
    let asked = speaks
        .clone()
        .and_then(|speaks| ask(&gateway.engine, peer.as_ref(), request.headers(), (speaks, session)));
    // A client that a reverse proxy speaks for is bounded by their own address, and not by its.
    if let (Some(peer), Ok(true)) = (&mut peer, speaks)
        && let Some(address) = forwarded_for(request.headers())
    {
        peer.address.set_ip(address);
        request.extensions_mut().insert(peer.clone());
    }
    let address = peer.map(|peer| peer.address.ip());
    let guessed = asked.as_ref().is_err_and(|problem| problem.status == StatusCode::UNAUTHORIZED);
    if guessed
        && let Some(address) = address
        && let Err(problem) = access.failed_attempts.failed(address).await
    {
        return problem.into_response();
    }
    let known = asked.as_ref().ok().and_then(Option::as_ref);
    if let Err(problem) = access.rate.check(known.map(|known| known.credential), address) {
        return problem.into_response();
    }
    let known = known.cloned();
    let kept = if session.is_some() { "no-store" } else { "private, no-cache" };
    request.extensions_mut().insert(Authentication(asked));
    let mut response = next.run(request).await;
    if let Some(known) = known {
        // It is for one reader: nobody on the way stores it, nor a browser whose reader may sign out.
        let headers = response.headers_mut();
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(kept));
        response.extensions_mut().insert(KnownAs(known));
    }
    response
}

fn ask(
    engine: &Engine,
    peer: Option<&Peer>,
    headers: &HeaderMap,
    (of_reverse_proxy, session): (bool, Option<CredentialId>),
) -> Result<Option<Arc<Principal>>, Problem> {
    let handed_on = if of_reverse_proxy { handed_on(headers)? } else { None };
    let presented = handed_on.or_else(|| Some(peer?.certificate.as_ref()?.fingerprint));
    let id = match (presented, bearer(headers)?) {
        (Some(fingerprint), _) => by_certificate(engine, &fingerprint)?,
        (None, Some(token)) => by_token(engine, &token)?,
        (None, None) => match session {
            // Its credential is looked up at each request, so a session ends with it.
            Some(credential) => credential,
            None => return Ok(None),
        },
    };
    known(engine, id, headers).map(|known| Some(Arc::new(known)))
}

/// Whether a request comes from the reverse proxy. A sender who says so and is not is refused.
fn is_reverse_proxy(
    access: &AccessControl,
    address: Option<SocketAddr>,
    headers: &HeaderMap,
) -> Result<bool, Problem> {
    if !headers.contains_key(CLIENT_CERT) && !headers.contains_key(TERMINATOR) {
        return Ok(false);
    }
    let wrong =
        || unauthorized("a certificate is taken from a header only of the terminator that is configured");
    let reverse_proxy = access.reverse_proxy.as_ref().ok_or_else(wrong)?;
    let address = address.filter(|address| reverse_proxy.addresses.contains(&address.ip()));
    let secret = one(headers, &TERMINATOR).ok_or_else(wrong)?;
    let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    let is = address.is_some() && bool::from(digest.ct_eq(&*reverse_proxy.secret));
    if is { Ok(true) } else { Err(wrong()) }
}

/// Whom the reverse proxy says it speaks for: the last address, which it added itself. Those before it are anybody's
/// word.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    last.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The fingerprint of the certificate that the reverse proxy hands on.
fn handed_on(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    if !headers.contains_key(CLIENT_CERT) {
        return Ok(None);
    }
    let told = one(headers, &CLIENT_CERT).and_then(|value| value.to_str().ok());
    // nginx says so of a client that has shown none.
    if told.is_some_and(str::is_empty) {
        return Ok(None);
    }
    let rule = "must be a certificate: DER as a byte sequence (RFC 9440), or PEM in percent-encoding";
    let der = told.and_then(certificate).ok_or_else(|| Problem::field("client-cert", rule))?;
    Ok(Some(Sha256::digest(der).into()))
}

/// A certificate, as RFC 9440 writes it, or as nginx does (`$ssl_client_escaped_cert`).
fn certificate(told: &str) -> Option<Vec<u8>> {
    let told = told.trim();
    if let Some(encoded) = told.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')) {
        return BASE64.decode(encoded).ok();
    }
    let pem = percent_decode_str(told).collect::<Vec<u8>>();
    CertificateDer::from_pem_slice(&pem).ok().map(|der| der.to_vec())
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut all = headers.get_all(name).iter();
    let (first, another) = (all.next(), all.next());
    first.filter(|_| another.is_none())
}

/// The token of a request. Other schemes of authorization are claims of SLAP, and prove nothing.
fn bearer(headers: &HeaderMap) -> Result<Option<Token>, Problem> {
    for value in headers.get_all(header::AUTHORIZATION) {
        let text = value.to_str().unwrap_or_default();
        let (scheme, told) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            return Token::read(told.trim()).map(Some).ok_or_else(unknown_token);
        }
    }
    Ok(None)
}

fn by_certificate(engine: &Engine, fingerprint: &[u8; 32]) -> Result<CredentialId, Problem> {
    let find = |access: &slapledger_core::domain::access::Access| {
        access.certificate(fingerprint).map(|credential| credential.issued.credential)
    };
    engine
        .access
        .read(|view, _| find(&view.access))
        .ok_or_else(|| refused(ProblemCode::CertificateUnknown, "the certificate is not known here"))
}

/// The credential of a token. One that does not exist is compared too, and takes as long.
pub(crate) fn by_token(engine: &Engine, token: &Token) -> Result<CredentialId, Problem> {
    let digest = engine.access.read(|view, _| match view.access.credential(token.credential) {
        Some(Credential { issued, .. }) => match issued.proof {
            Proof::Token { digest } => Some(digest),
            Proof::Certificate { .. } => None,
        },
        None => None,
    });
    let is = token.is(&digest.unwrap_or([0; 32]));
    if is && digest.is_some() { Ok(token.credential) } else { Err(unknown_token()) }
}

/// The credential of a token that gives access now.
pub(crate) fn authenticate_token(engine: &Engine, token: &str) -> Result<CredentialId, Problem> {
    let token = Token::read(token.trim()).ok_or_else(unknown_token)?;
    let id = by_token(engine, &token)?;
    known(engine, id, &HeaderMap::new()).map(|known| known.credential)
}

pub(super) fn known(engine: &Engine, id: CredentialId, headers: &HeaderMap) -> Result<Principal, Problem> {
    let now = engine.now();
    let found = engine.access.read(|view, _| {
        let credential = view.access.credential(id)?;
        let project = match chosen(headers) {
            None => Ok(credential.project),
            Some(chosen) => chosen.and_then(|project| {
                let may = credential.issued.all_projects || credential.project == project;
                let there = view.access.knows(project);
                if may && there { Ok(project) } else { Err(no_project(project)) }
            }),
        };
        Some((credential.clone(), project))
    });
    let (credential, project) = found.ok_or_else(unknown_token)?;
    let is_token = matches!(credential.issued.proof, Proof::Token { .. });
    credential.check(now).map_err(|why| {
        let code = if is_token { refusal::of_token(why) } else { refusal::of_certificate(why) };
        refused(code, why.to_string())
    })?;
    if credential.issued.purpose != Purpose::Access {
        let detail = "the token is good for one registration, and for nothing else";
        return Err(refused(ProblemCode::TokenPurpose, detail));
    }
    let issued = credential.issued;
    Ok(Principal {
        credential: id,
        holder: issued.holder,
        roles: issued.roles,
        project: project?,
        all_projects: issued.all_projects,
        home: credential.project,
        until: issued.expires_at.filter(|_| matches!(issued.proof, Proof::Token { .. })),
    })
}

fn chosen(headers: &HeaderMap) -> Option<Result<ProjectId, Problem>> {
    let value = headers.get(PROJECT)?;
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(parsed.ok_or_else(|| Problem::field("slapledger-project", "must look like PROJ-1")))
}

fn no_project(project: ProjectId) -> Problem {
    Problem::field("slapledger-project", format!("there is no project {project}"))
}

fn unknown_token() -> Problem {
    refused(ProblemCode::TokenUnknown, "the token is not known here")
}

/// The sender is not authenticated.
pub(crate) fn unauthorized(detail: impl Into<String>) -> Problem {
    refused(ProblemCode::Unauthorized, detail)
}

fn refused(code: ProblemCode, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
}
