//! Bounds around all routes: how long a body may be, how many requests are under way, how long one may take; and what
//! is answered where there is no route.
//!
//! A request past a bound is answered, never dropped without a word. Bounds on headers and connections are those of
//! the HTTP server and not here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use slapledger_kit::answer::SEQUENCE;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::collect::{MostBody, collect};
use slapledger_kit::forms;
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

/// The bounds that all requests share.
#[derive(Clone)]
pub(crate) struct Bounds {
    gateway: Arc<Gateway>,
    requests: Arc<Semaphore>,
    shares: Arc<ConcurrencyLimits>,
    revocations: Arc<Semaphore>,
    /// How long one may take, its body included.
    patience: Duration,
}

impl Bounds {
    pub(crate) fn new(gateway: &Arc<Gateway>) -> Self {
        let requests = Arc::new(Semaphore::new(gateway.limits.most_at_a_time));
        let (one, all) = (gateway.limits.most_at_a_time_of_one, gateway.limits.most_at_a_time);
        let shares = Arc::new(ConcurrencyLimits::new(one, all));
        let revocations = Arc::new(Semaphore::new(REVOCATIONS_AT_A_TIME));
        Self { gateway: Arc::clone(gateway), requests, shares, revocations, patience: REQUEST_PATIENCE }
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
            .layer(middleware::from_fn_with_state(self, guard))
    }
}

/// The room a request takes while it is under way.
type Permits = Vec<OwnedSemaphorePermit>;

impl Bounds {
    /// When there is room for a request, also in the share of whoever sent it.
    async fn admit(&self, request: Request) -> Result<(Permits, Request), Problem> {
        // First of their own: whoever waits for that takes no room from others.
        let mut rooms = self.shares.of(&self.gateway.engine, &request);
        rooms.push(Arc::clone(&self.requests));
        Ok((take(rooms).await?, request))
    }

    /// What ends a credential takes no room of its sender's: whoever stole one must not keep them from ending it, by
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
    let all = async {
        let mut permits = Vec::with_capacity(rooms.len());
        for room in rooms {
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

async fn guard(State(bounds): State<Bounds>, mut request: Request, next: Next) -> Response {
    let named = request.uri().path().starts_with("/v1/");
    request.extensions_mut().insert(MostBody(bounds.gateway.limits.most_body_bytes));
    let admitted = if is_revocation(&request) {
        bounds.admit_revocation(request).await
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

/// Where there is no route.
pub(crate) async fn no_route(headers: HeaderMap, uri: Uri) -> Response {
    let problem = Problem::not_found(format!("there is nothing at {}", uri.path())).into_response();
    match Representation::accepted(&headers) {
        Ok(Representation::Xml) => forms::problem_in_xml(problem).await,
        Ok(Representation::Json) | Err(_) => problem,
    }
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}; the header allow says what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, ProblemCode::MethodNotAllowed, detail)
}
