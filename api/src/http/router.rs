//! The route map.
//!
//! Every route is within the bounds of `limits`, but for those that say how everything is doing: they must answer when
//! nothing else does. Every route that is ours is described as it is registered, and is in `/openapi.json`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header;
use axum::{Router, middleware};

use super::forms::{self, Elements};
use super::invoices::{notes, runs};
use super::limits::{self, Bounds};
use super::openapi::{self, Routes};
use super::{
    admin, books, browser, computers, credits, diff, explain, gaps, instances, invoices, parties, preview,
    prices, software, trees, usage, what_if,
};
use crate::app::App;
use crate::{hateoas, rpc, slap};

/// What is carried out within the usual time.
fn usual() -> Routes {
    Routes::new()
        // Computers and software.
        .get("/v1/computers", computers::computers, computers::describe::list)
        .get("/v1/computers/{id}", computers::computer, computers::describe::show)
        .post("/v1/computers", computers::writes::enter, computers::describe::enter)
        .patch("/v1/computers/{id}", computers::writes::describe, computers::describe::describe)
        .put("/v1/computers/{id}/configuration", computers::writes::configure, computers::describe::configure)
        .put(
            "/v1/computers/{id}/allocation-scope",
            computers::writes::set_scope,
            computers::describe::set_scope,
        )
        .post("/v1/computers/{id}/bang", computers::writes::bang, computers::describe::bang)
        .post("/v1/computers/{id}/software", computers::writes::supply, computers::describe::supply)
        .post(
            "/v1/computers/{id}/software-reports",
            computers::writes::report_software,
            computers::describe::report_software,
        )
        .get("/v1/software", software::software, software::describe::list)
        .get("/v1/products", software::products, software::describe::products)
        .post("/v1/products", software::publish, software::describe::publish)
        // Instances.
        .get("/v1/instances", instances::instances, instances::describe::list)
        .post("/v1/instances", instances::request, instances::describe::request)
        .get("/v1/instances/{id}", instances::instance, instances::describe::show)
        .patch("/v1/instances/{id}", instances::writes::want, instances::describe::want)
        .delete("/v1/instances/{id}", instances::writes::destroy, instances::describe::destroy)
        .post("/v1/instances/{id}/reports", instances::writes::report, instances::describe::report)
        .put(
            "/v1/instances/{id}/connection-parameters",
            instances::writes::set_connection,
            instances::describe::set_connection,
        )
        .post("/v1/instances/{id}/bang", instances::writes::bang, instances::describe::bang)
        .post("/v1/instances/{id}/rename", instances::writes::rename, instances::describe::rename)
        .post("/v1/instances/{id}/erase", instances::writes::erase, instances::describe::erase)
        .get("/v1/instance-trees", trees::trees, trees::describe::list)
        .get("/v1/instance-trees/{id}", trees::tree, trees::describe::show)
        // Usage.
        .post("/v1/usage-events", usage::record, usage::describe::record)
        .get("/v1/usage", usage::readings, usage::describe::readings)
        .get("/v1/usage-suspense", usage::suspense, usage::describe::suspense)
        .post("/v1/usage-suspense/{sequence}/resolve", usage::resolve, usage::describe::resolve)
        .post("/v1/usage-suspense/{sequence}/dismiss", usage::dismiss, usage::describe::dismiss)
        .get("/v1/usage-gaps", gaps::list, gaps::describe::list)
        // Prices.
        .get("/v1/price-books", prices::list, prices::describe::list)
        .post("/v1/price-books", prices::publish, prices::describe::publish)
        .get("/v1/price-books/{name}", prices::show, prices::describe::show)
        .post("/v1/what-if", what_if::compare, what_if::describe::compare)
        // Invoices.
        .get("/v1/invoice-runs", runs::list_runs, invoices::describe::list_runs)
        .post("/v1/invoice-runs", runs::open_run, invoices::describe::open_run)
        .get("/v1/invoice-runs/{id}", runs::show_run, invoices::describe::show_run)
        .post("/v1/invoice-runs/{id}/finalise", runs::finalise_run, invoices::describe::finalise_run)
        .post("/v1/invoice-runs/{id}/refresh", runs::refresh_run, invoices::describe::refresh_run)
        .post("/v1/invoice-runs/{id}/withdraw", runs::withdraw_run, invoices::describe::withdraw_run)
        .get("/v1/invoice-runs/{id}/diff", diff::list, diff::describe::list)
        .get("/v1/invoice-drafts", preview::list, preview::describe::list)
        .get("/v1/invoices", invoices::list, invoices::describe::list)
        .get("/v1/invoices/{id}", invoices::show, invoices::describe::show)
        .get("/v1/invoices/{id}/lines/{n}/events", invoices::line_events, invoices::describe::line_events)
        .get("/v1/invoices/{id}/explanation", explain::document, explain::describe::document)
        .get("/v1/invoices/{id}/lines/{n}/explanation", explain::line, explain::describe::line)
        .post("/v1/invoices/{id}/credit", notes::credit, invoices::describe::credit)
        .post("/v1/invoices/{id}/void", notes::void, invoices::describe::void)
        .post("/v1/invoices/{id}/lines/{n}/correct", notes::correct, invoices::describe::correct)
        // Who sells and buys, and what was paid or charged by hand.
        .get("/v1/parties", parties::list, parties::describe::list)
        .post("/v1/parties", parties::register, parties::describe::register)
        .get("/v1/parties/{id}", parties::show, parties::describe::show)
        .patch("/v1/parties/{id}", parties::change, parties::describe::change)
        .post("/v1/parties/{id}/erase", parties::erase, parties::describe::erase)
        .post("/v1/parties/{id}/tax-treatments", parties::treat, parties::describe::treat)
        .post("/v1/tax-rates", parties::set_rate, parties::describe::set_rate)
        .get("/v1/credits", credits::credits, credits::describe::credits)
        .post("/v1/credits", credits::grant, credits::describe::grant)
        .get("/v1/credits/{id}", credits::credit, credits::describe::credit)
        .post("/v1/credits/{id}/withdraw", credits::withdraw, credits::describe::withdraw)
        .get("/v1/charges", credits::charges, credits::describe::charges)
        .post("/v1/charges", credits::record, credits::describe::record)
        .get("/v1/charges/{id}", credits::charge, credits::describe::charge)
        // The books.
        .get("/v1/journal", books::journal, books::describe::journal)
        .get("/v1/accounts", books::accounts, books::describe::accounts)
        .get("/v1/accounts/{id}", books::statement, books::describe::statement)
        .get("/v1/trial-balance", books::trial_balance, books::describe::trial_balance)
        .get("/v1/accounting-periods", books::periods, books::describe::periods)
        .post("/v1/accounting-periods", books::close, books::describe::close)
        // The log.
        .get("/v1/events", admin::events, admin::describe::events)
}

/// The names that the original document has for the same.
fn documentary() -> Routes {
    Routes::new()
        .get("/computer_module/", computers::computers, computers::describe::list)
        .post("/computer_module/", computers::writes::enter, computers::describe::enter)
        .get("/computer_module/{id}", computers::computer, computers::describe::show)
        .patch("/computer_module/{id}", computers::writes::describe, computers::describe::describe)
        .get("/software_release_module/", software::software, software::describe::list)
        .get("/software_product_module/", software::products, software::describe::products)
        .post("/software_product_module/", software::publish, software::describe::publish)
        .post(
            "/software_installation_module/",
            computers::writes::supply_named,
            computers::describe::supply_named,
        )
        .get("/software_instance_module/", instances::instances, instances::describe::list)
        .post("/software_instance_module/", instances::request, instances::describe::request)
        .get("/software_instance_module/{id}", instances::instance, instances::describe::show)
        .patch("/software_instance_module/{id}", instances::writes::want, instances::describe::want)
        .delete("/software_instance_module/{id}", instances::writes::destroy, instances::describe::destroy)
        .get("/instance_tree_module/", trees::trees, trees::describe::list)
        .get("/instance_tree_module/{id}", trees::tree, trees::describe::show)
        .post("/usage_report_module/", usage::report::post, usage::describe::report)
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
    let (documentary, more) = documentary().into_parts();
    let usual = usual.merge(documentary);
    operations.extend(more);
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
    let usual = negotiated(limits::only_known_methods(usual))
        .merge(slap::routes())
        .merge(rpc::routes())
        .merge(hateoas::routes())
        .fallback(limits::no_route);
    let slow = bounds.for_slow().around(negotiated(limits::only_known_methods(slow)));
    let routes = bounds.around(usual).merge(slow).merge(limits::only_known_methods(always));
    routes.layer(middleware::from_fn(browser::guard)).with_state(app)
}

/// What all routes that are ours are said to do, for tests.
#[cfg(test)]
pub(super) fn operations() -> Vec<openapi::operation::Operation> {
    let parts = [usual(), documentary(), slow(), always(Arc::default())];
    parts.into_iter().flat_map(|routes| routes.into_parts().1).collect()
}
