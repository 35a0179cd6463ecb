//! The route map.
//!
//! Every route is within the bounds of `limits`, but for those that say how everything is doing: they must answer when
//! nothing else does. Every route that is ours is described as it is registered, and is in `/openapi.json`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header;
use axum::{Router, middleware};

use super::forms::{self, Elements};
use super::limits::{self, Bounds};
use super::openapi::{self, Routes};
use super::{admin, browser, computers, instances, invoices, prices, software, usage};
use crate::app::App;
use crate::slap;

/// What is carried out within the usual time.
fn usual() -> Routes {
    Routes::new()
        // Computers and software.
        .get("/v1/computers", computers::computers, computers::describe::list)
        .get("/v1/computers/{id}", computers::computer, computers::describe::show)
        .get("/v1/software", software::software, software::describe::list)
        // Instances.
        .post("/software_instance_module/", instances::request, instances::describe::request)
        .get("/software_instance_module/{id}", instances::instance, instances::describe::show)
        .get("/v1/instances", instances::instances, instances::describe::list)
        .get("/v1/instances/{id}", instances::instance, instances::describe::show)
        // Usage.
        .post("/v1/usage-events", usage::record, usage::describe::record)
        .get("/v1/usage", usage::readings, usage::describe::readings)
        .get("/v1/usage-suspense", usage::suspense, usage::describe::suspense)
        .post("/v1/usage-suspense/{sequence}/resolve", usage::resolve, usage::describe::resolve)
        .post("/v1/usage-suspense/{sequence}/dismiss", usage::dismiss, usage::describe::dismiss)
        // Prices.
        .get("/v1/price-books", prices::list, prices::describe::list)
        .post("/v1/price-books", prices::publish, prices::describe::publish)
        .get("/v1/price-books/{name}", prices::show, prices::describe::show)
        // Invoices.
        .get("/v1/invoice-runs", invoices::list_runs, invoices::describe::list_runs)
        .post("/v1/invoice-runs", invoices::open_run, invoices::describe::open_run)
        .get("/v1/invoice-runs/{id}", invoices::show_run, invoices::describe::show_run)
        .post("/v1/invoice-runs/{id}/finalise", invoices::finalise_run, invoices::describe::finalise_run)
        .get("/v1/invoices", invoices::list, invoices::describe::list)
        .get("/v1/invoices/{id}", invoices::show, invoices::describe::show)
        .get("/v1/invoices/{id}/lines/{n}/events", invoices::line_events, invoices::describe::line_events)
        // The log.
        .get("/v1/events", admin::events, admin::describe::events)
}

/// What takes as long as reading the whole log.
fn slow() -> Routes {
    Routes::new().get("/v1/projections", admin::projections, admin::describe::projections).post(
        "/v1/projections/{name}/rebuild",
        admin::rebuild,
        admin::describe::rebuild,
    )
}

/// What answers when nothing else does. `document` is filled in when all routes are known.
fn always(document: Arc<std::sync::OnceLock<Bytes>>) -> Routes {
    let describe = move || {
        let document = document.get().cloned().unwrap_or_default();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    Routes::new()
        .get("/healthz", admin::health, admin::describe::health)
        .get("/readyz", admin::ready, admin::describe::ready)
        .get("/openapi.json", describe, admin::describe::document)
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let document = Arc::<std::sync::OnceLock<Bytes>>::default();
    let (usual, mut operations) = usual().into_parts();
    let (slow, more) = slow().into_parts();
    operations.extend(more);
    let elements = Elements::new(operations.iter().filter_map(|operation| {
        let (method, path) = operation.place();
        Some(((method.clone(), path), operation.element()?.to_owned()))
    }));
    let (always, more) = always(Arc::clone(&document)).into_parts();
    operations.extend(more);
    let _ = document.set(openapi::document(&operations).to_string().into());

    let bounds = Bounds::new(&app);
    let negotiated = |routes: Router<Arc<App>>| {
        routes.layer(middleware::from_fn_with_state(elements.clone(), forms::negotiate))
    };
    let usual =
        slap::routes().merge(negotiated(limits::only_known_methods(usual))).fallback(limits::no_route);
    let slow = bounds.for_slow().around(negotiated(limits::only_known_methods(slow)));
    let routes = bounds.around(usual).merge(slow).merge(limits::only_known_methods(always));
    routes.layer(middleware::from_fn(browser::guard)).with_state(app)
}

/// What all routes that are ours are said to do, for tests.
#[cfg(test)]
pub(super) fn operations() -> Vec<openapi::operation::Operation> {
    let parts = [usual(), slow(), always(Arc::default())];
    parts.into_iter().flat_map(|routes| routes.into_parts().1).collect()
}
