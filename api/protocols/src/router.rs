//! All routes of all protocols.
//!
//! Every route is within the bounds of `limits`, but for those that say how everything is doing: they must answer when
//! nothing else does.

use std::sync::Arc;

use axum::Router;
use slapledger_kit::forms::{in_json, negotiate};
use slapledger_kit::layer::FunctionLayer;

use super::access::{self, Gateway};
use super::limits::{self, Bounds};
use super::rest::routes::{self as rest, RestRoutes};
use super::{browser, hateoas, pages, request_id, rpc, slap};

/// All routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let RestRoutes { usual, slow, downloads, streams, always, paths } = rest::routes();
    let ui = pages::routes();
    let known: Vec<&str> = paths.into_iter().chain(ui.rules().iter().map(|(path, _)| *path)).collect();
    let bounds = Bounds::new(&gateway);
    let negotiated = |routes| limits::only_known_methods(routes).layer(FunctionLayer::new((), negotiate));
    let in_json = |routes| limits::only_known_methods(routes).layer(FunctionLayer::new((), in_json));
    let usual = negotiated(usual)
        .merge(slap::routes().into_router())
        .merge(rpc::routes().into_router())
        .merge(hateoas::routes().into_router())
        .merge(in_json(ui.into_router()))
        .merge(in_json(streams))
        .fallback(limits::no_route);
    let slow = bounds.for_slow().around(negotiated(slow));
    let downloads = bounds.for_slow().around(in_json(downloads));
    let routes = bounds.around(usual).merge(slow).merge(downloads).merge(in_json(always));
    let authenticated = FunctionLayer::new(Arc::clone(&gateway), access::authenticate);
    let guard = FunctionLayer::new(Arc::clone(&gateway), browser::guard);
    let routes = routes.layer(authenticated).layer(guard).with_state(Arc::clone(&gateway));
    pages::around(routes, gateway, &known).layer(FunctionLayer::new((), request_id::named))
}

/// All routes there are, each with its rule. Of those whose form others have described the method is not said.
#[cfg(test)]
pub(crate) fn rules() -> Vec<(String, &'static slapledger_usecases::policy::Policy)> {
    let described = rest::operations();
    let ours = described.iter().map(|operation| {
        let (method, path) = operation.place();
        (format!("{method} {path}"), operation.policy())
    });
    let guarded = [slap::routes(), rpc::routes(), hateoas::routes(), pages::routes()];
    let theirs = guarded.iter().flat_map(access::Guarded::rules);
    ours.chain(theirs.map(|(path, policy)| (format!("* {path}"), *policy))).collect()
}
