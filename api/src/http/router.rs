//! The route map.
//!
//! Every route is within the bounds of `limits`, but for the two that say how everything is doing: they must answer when
//! nothing else does.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::limits::{self, Bounds};
use super::{admin, instances, invoices, prices, usage};
use crate::app::App;
use crate::{hateoas, rpc, slap};

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .merge(slap::routes())
        .merge(rpc::routes())
        .merge(hateoas::routes())
        .merge(instances::routes())
        // Usage.
        .route("/v1/usage-events", post(usage::record))
        .route("/v1/usage", get(usage::readings))
        .route("/v1/usage-suspense", get(usage::suspense))
        .route("/v1/usage-suspense/{sequence}/resolve", post(usage::resolve))
        .route("/v1/usage-suspense/{sequence}/dismiss", post(usage::dismiss))
        // Prices.
        .route("/v1/price-books", get(prices::list).post(prices::publish))
        .route("/v1/price-books/{name}", get(prices::show))
        // Invoices.
        .route("/v1/invoice-runs", get(invoices::list_runs).post(invoices::open_run))
        .route("/v1/invoice-runs/{id}", get(invoices::show_run))
        .route("/v1/invoice-runs/{id}/finalise", post(invoices::finalise_run))
        .route("/v1/invoices", get(invoices::list))
        .route("/v1/invoices/{id}", get(invoices::show))
        .route("/v1/invoices/{id}/lines/{n}/events", get(invoices::line_events))
        // The log.
        .route("/v1/events", get(admin::events))
        .fallback(limits::no_route);
    // What is derived from it, as a whole.
    let slow = Router::new()
        .route("/v1/projections", get(admin::projections))
        .route("/v1/projections/{name}/rebuild", post(admin::rebuild));
    let health = Router::new().route("/healthz", get(admin::health)).route("/readyz", get(admin::ready));
    let bounds = Bounds::new(&app);
    let slow = bounds.for_slow().around(slow);
    bounds.around(routes).merge(slow).merge(health).with_state(app)
}
