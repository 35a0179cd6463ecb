//! Bounds around all routes: how long a body may be, how many requests are under way, how long one may take; and what
//! is answered where there is no route.
//!
//! A request past a bound is answered, never dropped without a word. Bounds on headers and connections are those of
//! the HTTP server and not here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use slapledger_kit::answer::SEQUENCE;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::collect::{MostBody, collect, told_length};
use slapledger_kit::forms;
use slapledger_kit::layer::{FunctionLayer, Next};
use slapledger_kit::problem::Problem;
use slapledger_kit::representation::Representation;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::access::{Deadline, Gateway};
use crate::access::ConcurrencyLimits;

/// How long one waits to begin.
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);
/// How long one may take, its body included. Clients of SLAP hang up after 60 seconds.
const REQUEST_PATIENCE: Duration = Duration::from_secs(55);
/// How long one may take that reads the whole log.
const SLOW_REQUEST_PATIENCE: Duration = Duration::from_secs(3600);
/// What ends a credential, and has room of its own.
pub(crate) const REVOCATIONS: [(Method, &str); 6] = [
    (Method::POST, "/v1/credentials/{id}/revoke"),
    (Method::POST, "/v1/parties/{id}/revoke-credentials"),
    (Method::DELETE, "/v1/computers/{id}/certificate"),
    (Method::POST, "/revokeComputerCertificate"),
    (Method::POST, "/slapos.remove.v0.compute_node_certificate"),
    (Method::POST, "/v1/parties/{id}/erase"),
];
/// How many of them are under way at a time.
const REVOCATIONS_AT_A_TIME: usize = 16;
/// The longest body of one: as many as there are connections may be read at a time.
const REVOCATION_BYTES: usize = 4 * 1024;

/// How many requests are under way whose bodies are longer than `requests.most_body_bytes`, as they carry parameters.
const LONG_AT_A_TIME: usize = 4;

/// The bounds that all requests share.
#[derive(Clone)]
pub(crate) struct Bounds {
    gateway: Arc<Gateway>,
    requests: Arc<Semaphore>,
    shares: Arc<ConcurrencyLimits>,
    revocations: Arc<Semaphore>,
    long_bodies: Arc<Semaphore>,
    /// How long one may take, its body included.
    patience: Duration,
}

impl Bounds {
    pub(crate) fn new(gateway: &Arc<Gateway>) -> Self {
        let requests = Arc::new(Semaphore::new(gateway.limits.most_at_a_time));
        let (one, all) = (gateway.limits.most_at_a_time_of_one, gateway.limits.most_at_a_time);
        let shares = Arc::new(ConcurrencyLimits::new(one, all));
        let revocations = Arc::new(Semaphore::new(REVOCATIONS_AT_A_TIME));
        let long_bodies = Arc::new(Semaphore::new(LONG_AT_A_TIME));
        let (gateway, patience) = (Arc::clone(gateway), REQUEST_PATIENCE);
        Self { gateway, requests, shares, revocations, long_bodies, patience }
    }

    /// The same for what may take as long as reading the whole log.
    pub(crate) fn for_slow(&self) -> Self {
        Self { patience: SLOW_REQUEST_PATIENCE, ..self.clone() }
    }

    /// Routes within these bounds.
    pub(crate) fn around(self, routes: Router<Arc<Gateway>>) -> Router<Arc<Gateway>> {
        let most = self.gateway.limits.most_body_bytes;
        only_known_methods(routes)
            .layer(DefaultBodyLimit::max(most))
            .layer(FunctionLayer::new(Arc::new(self), guard))
    }
}

/// The room a request takes while it is under way.
type Permits = Vec<OwnedSemaphorePermit>;

impl Bounds {
    /// When there is room for a request, also in the share of whoever sent it.
    async fn admit(&self, mut request: Request) -> Result<(Permits, Request), Problem> {
        // First of their own: whoever waits for that takes no room from others.
        let mut rooms = self.shares.of(&self.gateway.engine, &request);
        let (most, told) = (self.gateway.limits.most_body_bytes, told_length(request.headers()));
        // Chunks that nobody announced take no more memory than others.
        let any = Some(usize::MAX).filter(|_| told.is_some_and(|told| told > most as u64));
        if any.is_some() {
            rooms.push(Arc::clone(&self.long_bodies));
        }
        rooms.push(Arc::clone(&self.requests));
        let permits = take(rooms).await?;
        request.extensions_mut().insert(MostBody { bytes: most, with_parameters: any.unwrap_or(most) });
        Ok((permits, request))
    }

    /// What ends a credential takes no room of its sender's: a thief must not keep them from ending it, by
    /// filling all that is theirs. So its body, which is short, is read before it takes any.
    async fn admit_revocation(&self, request: Request) -> Result<(Permits, Request), Problem> {
        let (parts, body) = request.into_parts();
        let body = tokio::time::timeout(QUEUE_PATIENCE, collect(&parts, body, REVOCATION_BYTES));
        let body = body
            .await
            .map_err(|_| Problem::later(ProblemCode::BodyTimeout, "the body takes too long", 1))??;
        let permits = take(vec![Arc::clone(&self.revocations)]).await?;
        Ok((permits, Request::from_parts(parts, Body::from(body))))
    }
}

/// Waits for room in all of these, one after the other.
async fn take(rooms: Vec<Arc<Semaphore>>) -> Result<Permits, Problem> {
    let mut permits = Vec::with_capacity(rooms.len());
    let mut rooms = rooms.into_iter();
    // Most often there is room, and no timer is needed. Others who wait go first: a permit that is returned is theirs.
    let mut full = None;
    for room in rooms.by_ref() {
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            permits.push(permit);
        } else {
            full = Some(room);
            break;
        }
    }
    let Some(full) = full else { return Ok(permits) };
    let all = async {
        for room in std::iter::once(full).chain(rooms) {
            permits.push(room.acquire_owned().await?);
        }
        Ok::<_, AcquireError>(permits)
    };
    match tokio::time::timeout(QUEUE_PATIENCE, all).await {
        Ok(Ok(permits)) => Ok(permits),
        Ok(Err(_)) | Err(_) => {
            Err(Problem::later(ProblemCode::Overloaded, "too many requests are under way", 1))
        }
    }
}

/// Whether a request ends a credential.
fn is_revocation(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    REVOCATIONS.iter().any(|(method, of)| method == request.method() && path == Some(of))
}

/// Routes that say so when they are asked by a method that they do not take.
pub(crate) fn only_known_methods(routes: Router<Arc<Gateway>>) -> Router<Arc<Gateway>> {
    routes.method_not_allowed_fallback(no_method)
}

async fn guard(bounds: Arc<Bounds>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let response = within(&bounds, request, next).await;
    // Paths without a route and methods that nobody takes are as many as senders want.
    if let Some(route) = route.filter(|_| response.status() != StatusCode::METHOD_NOT_ALLOWED) {
        let metrics = &bounds.gateway.engine.metrics;
        metrics.answered(method.as_str(), route.as_str(), response.status().as_str(), begun.elapsed());
    }
    response
}

async fn within(bounds: &Bounds, request: Request, next: Next) -> Response {
    let named = request.uri().path().starts_with("/v1/");
    let admitted = if is_revocation(&request) {
        Box::pin(bounds.admit_revocation(request)).await
    } else {
        bounds.admit(request).await
    };
    let mut response = match admitted {
        Ok((_permits, mut request)) => {
            request.extensions_mut().insert(Deadline(Instant::now() + bounds.patience));
            tokio::time::timeout(bounds.patience, next.run(request)).await.unwrap_or_else(|_| {
                // What was handed to the writer is still carried out: only its answer is lost.
                let detail = "the request took too long; it may yet be carried out";
                Problem::later(ProblemCode::RequestTimeout, detail, 5).into_response()
            })
        }
        Err(problem) => problem.into_response(),
    };
    // How far the ledger is, nobody is told who is refused for want of a credential.
    let known = response.status() != StatusCode::UNAUTHORIZED;
    if named && known && !response.headers().contains_key(SEQUENCE) {
        let last = bounds.gateway.engine.ledger.head().last;
        response.headers_mut().insert(SEQUENCE, HeaderValue::from(last.0));
    }
    response
}

/// Marks the answer where there is no route.
#[derive(Clone, Copy)]
pub(crate) struct NoRoute;

/// Where there is no route.
pub(crate) async fn no_route(headers: HeaderMap, uri: Uri) -> Response {
    let problem = Problem::not_found(format!("there is nothing at {}", uri.path())).into_response();
    let mut response = match Representation::accepted(&headers) {
        Ok(Representation::Xml) => forms::problem_in_xml(problem).await,
        Ok(Representation::Json) | Err(_) => problem,
    };
    response.extensions_mut().insert(NoRoute);
    response
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}; the header allow says what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, ProblemCode::MethodNotAllowed, detail)
}
