//! What a handler is given: the request, once the rule of its route has admitted its sender.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use slapledger_engine::ViewLeases;
use slapledger_engine::past::PastViews;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::Caller;
use slapledger_usecases::context::RequestContext;

use super::Gateway;
use super::as_of::{AsOfQuery, NotAdmitted};
use super::claim::claimed;

/// When the sender of a request stops waiting.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

/// A request whose sender may make it: within their project, with what they may open.
pub struct Authorised(pub Arc<RequestContext>);

impl FromRequestParts<Arc<Gateway>> for Authorised {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, NotAdmitted> {
        let deadline = parts.extensions.get::<Deadline>().map(|deadline| deadline.0);
        let open = RequestContext {
            engine: Arc::clone(&gateway.engine),
            caller: Caller::Local,
            project: gateway.local_project,
            deadline,
            past: None,
            leases: None,
        };
        match parts.extensions.get::<Caller>() {
            Some(caller) => {
                let ctx = open.seen_by(caller);
                if let Some(claim) = claimed(&parts.headers)? {
                    claim.check(&ctx).await?;
                }
                as_asked(ctx, parts).await
            }
            None if gateway.access.is_none() => as_asked(open, parts).await,
            // A route without a rule answers nobody.
            None => Err(Problem::fault(&"a route without a rule was asked for").into()),
        }
    }
}

/// The same with the views that the request asks for.
async fn as_asked(ctx: RequestContext, parts: &Parts) -> Result<Authorised, NotAdmitted> {
    let past = match (parts.extensions.get::<AsOfQuery>(), parts.extensions.get::<Arc<PastViews>>()) {
        (None, _) => None,
        // A page reads all that it shows from the same views.
        (Some(_), Some(views)) => Some(Arc::clone(views)),
        (Some(as_of), None) => Some(as_of.views(&ctx).await?),
    };
    // All that a request reads of a view is of one generation; all parts of a page are.
    let leases = match parts.extensions.get::<Arc<ViewLeases>>() {
        Some(leases) => Arc::clone(leases),
        None => Arc::new(ctx.engine.lease()),
    };
    let leases = past.is_none().then_some(leases);
    Ok(Authorised(Arc::new(RequestContext { past, leases, ..ctx })))
}
