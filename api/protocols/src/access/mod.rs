//! Who sends a request, and whether they may.
//!
//! A request is authenticated by a credential (`authenticate`): a certificate of its connection, a token, or a
//! certificate that a reverse proxy hands on. Each route carries a rule of `usecases::policy`, the one table of what
//! roles may do; `guard` asks it before the handler runs. A handler gets the request as `Authorised`.
//!
//! Invariants: there is no route without a rule; what belongs to somebody else is answered as what does not exist; in
//! `proxy` and `demo` everybody is the local user, and nothing of this is asked.
//!
//! Not here: which credentials there are. They are events, and decided in the core.

mod address;
mod as_of;
mod authenticate;
mod authorised;
mod claim;
mod concurrency;
mod continued;
mod failed_attempts;
mod guard;
mod rate_limits;
mod request_limits;
mod sessions;

use std::sync::Arc;

use slapledger_core::domain::id::ProjectId;
use slapledger_engine::Engine;

use crate::multimaster::OtherMasters;
pub use crate::streams::EventStreams;

pub(crate) use address::hateoas_url;
pub use as_of::NotAdmitted;
pub(crate) use as_of::{AsOfPending, sequence_of, take_as_of};
pub use authenticate::{AccessControl, ReverseProxy, authenticate};
pub(crate) use authenticate::{KnownAs, PROJECT, authenticate_token, by_token};
pub use authorised::Authorised;
pub(crate) use authorised::Deadline;
pub(crate) use claim::claimed;
pub use concurrency::ConcurrencyLimits;
pub(crate) use continued::ContinuedRequest;
pub use failed_attempts::FailedAttempts;
pub use guard::{Guarded, Refuse, as_problem, enforce};
pub use rate_limits::RateLimits;
pub use request_limits::RequestLimits;
pub use sessions::Sessions;
pub(crate) use sessions::{FormChecked, cookie, unchecked_form};
pub(crate) use slapledger_pages::AS_OF;

/// What stands before all routes: the engine they lead to, who is authenticated, and the limits of requests.
pub struct Gateway {
    /// What carries requests out.
    pub engine: Arc<Engine>,
    /// How senders are authenticated; nobody is, if there is none.
    pub access: Option<AccessControl>,
    /// The limits of requests.
    pub limits: RequestLimits,
    /// The masters to which requests for some software are forwarded.
    pub masters: OtherMasters,
    /// The project of senders where nobody is authenticated.
    pub local_project: ProjectId,
    /// The sessions of browsers.
    pub sessions: Sessions,
    /// The streams of events.
    pub streams: Arc<EventStreams>,
}

impl Gateway {
    /// Whether clients reach it by TLS, here or at a reverse proxy.
    pub(crate) fn https(&self) -> bool {
        self.access.as_ref().is_some_and(|access| access.https)
    }

    /// For one local user, who may do everything.
    pub fn open(engine: Arc<Engine>) -> Self {
        let (limits, masters) = (RequestLimits::default(), OtherMasters::default());
        let sessions = Sessions::default();
        let streams = Arc::default();
        Self { engine, access: None, limits, masters, local_project: ProjectId::DEFAULT, sessions, streams }
    }
}
