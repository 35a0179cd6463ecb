//! All routes of all protocols.
//!
//! Every route is within the bounds of `limits`, but for those that say how everything is doing: they must answer when
//! nothing else does.

use std::sync::Arc;

use axum::{Router, middleware};
use slapledger_kit::forms::{in_json, negotiate};

use super::access::{self, Gateway};
use super::limits::{self, Bounds};
use super::rest::routes::{self as rest, RestRoutes};
use super::{browser, hateoas, rpc, slap};

/// All routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let RestRoutes { usual, slow, downloads, always } = rest::routes();
    let bounds = Bounds::new(&gateway);
    let negotiated = |routes| limits::only_known_methods(routes).layer(middleware::from_fn(negotiate));
    let in_json = |routes| limits::only_known_methods(routes).layer(middleware::from_fn(in_json));
    let usual = negotiated(usual)
        .merge(slap::routes().into_router())
        .merge(rpc::routes().into_router())
        .merge(hateoas::routes().into_router())
        .fallback(limits::no_route);
    let slow = bounds.for_slow().around(negotiated(slow));
    let downloads = bounds.for_slow().around(in_json(downloads));
    let routes = bounds.around(usual).merge(slow).merge(downloads).merge(in_json(always));
    let known = middleware::from_fn_with_state(Arc::clone(&gateway), access::authenticate);
    let guard = middleware::from_fn_with_state(Arc::clone(&gateway), browser::guard);
    routes.layer(known).layer(guard).with_state(gateway)
}

/// All routes there are, each with its rule. Of those whose form others have described the method is not said.
#[cfg(test)]
pub(crate) fn rules() -> Vec<(String, &'static slapledger_usecases::policy::Policy)> {
    let described = rest::operations();
    let ours = described.iter().map(|operation| {
        let (method, path) = operation.place();
        (format!("{method} {path}"), operation.policy())
    });
    let guarded = [slap::routes(), rpc::routes(), hateoas::routes()];
    let theirs = guarded.iter().flat_map(access::Guarded::rules);
    ours.chain(theirs.map(|(path, policy)| (format!("* {path}"), *policy))).collect()
}
