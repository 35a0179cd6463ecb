//! The route map.
//!
//! Every route that is ours is described as it is registered, and is in `/openapi.json`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use slapledger_usecases::policy;

use super::invoices::{self, notes, ranked, reviews, runs};
use super::openapi::{self, Routes};
use super::{
    admin, backups, books, catalogue, clock, computers, credentials, credits, diff, discounts, events,
    explain, gaps, instances, invoice_proof, parties, preview, prices, projects, proofs, rebuilds, revenue,
    software, summary, top_ups, trees, usage, what_if,
};
use crate::access::Gateway;

/// What is carried out within the usual time.
fn usual() -> Routes {
    Routes::new()
        // Computers and software.
        .get("/v1/computers", &policy::COMPUTER_READ, computers::computers, computers::describe::list)
        .get("/v1/computer-counts", &policy::COMPUTER_READ, computers::counts, computers::describe::counts)
        .get("/v1/computers/{id}", &policy::COMPUTER_READ, computers::computer, computers::describe::show)
        .post("/v1/computers", &policy::COMPUTER_WRITE, computers::writes::enter, computers::describe::enter)
        .patch(
            "/v1/computers/{id}",
            &policy::COMPUTER_WRITE,
            computers::writes::describe,
            computers::describe::describe,
        )
        .delete(
            "/v1/computers/{id}",
            &policy::COMPUTER_WRITE,
            computers::writes::retire,
            computers::describe::retire,
        )
        .delete(
            "/v1/computers/{id}/partitions/{partition}",
            &policy::COMPUTER_WRITE,
            computers::writes::release,
            computers::describe::release,
        )
        .put(
            "/v1/computers/{id}/configuration",
            &policy::COMPUTER_REPORT,
            computers::writes::configure,
            computers::describe::configure,
        )
        .put(
            "/v1/computers/{id}/allocation-scope",
            &policy::COMPUTER_WRITE,
            computers::writes::set_scope,
            computers::describe::set_scope,
        )
        .post(
            "/v1/computers/{id}/bang",
            &policy::COMPUTER_REPORT,
            computers::writes::bang,
            computers::describe::bang,
        )
        .post(
            "/v1/computers/{id}/certificate",
            &policy::COMPUTER_CERTIFY,
            computers::certificates::issue,
            computers::describe::issue_certificate,
        )
        .delete(
            "/v1/computers/{id}/certificate",
            &policy::COMPUTER_CERTIFY,
            computers::certificates::revoke,
            computers::describe::revoke_certificate,
        )
        .post(
            "/v1/computers/{id}/software",
            &policy::COMPUTER_WRITE,
            computers::writes::supply,
            computers::describe::supply,
        )
        .post(
            "/v1/computers/{id}/software-reports",
            &policy::COMPUTER_REPORT,
            computers::writes::report_software,
            computers::describe::report_software,
        )
        .get("/v1/software", &policy::SOFTWARE_READ, software::software, software::describe::list)
        .get("/v1/products", &policy::KNOWN, software::products, software::describe::products)
        .post("/v1/products", &policy::SOFTWARE_PUBLISH, software::publish, software::describe::publish)
        .get("/v1/software-schemas", &policy::KNOWN, software::schema, software::describe::schema)
        .put(
            "/v1/software-schemas",
            &policy::SCHEMA_WRITE,
            software::supply_schema,
            software::describe::supply_schema,
        )
        .get("/v1/catalogue", &policy::CATALOGUE_READ, catalogue::catalogue, catalogue::describe::list)
        .get("/v1/catalogue/{entry}", &policy::CATALOGUE_READ, catalogue::entry, catalogue::describe::show)
        .put(
            "/v1/catalogue/{entry}",
            &policy::CATALOGUE_WRITE,
            catalogue::record,
            catalogue::describe::record,
        )
        .delete(
            "/v1/catalogue/{entry}",
            &policy::CATALOGUE_WRITE,
            catalogue::remove,
            catalogue::describe::remove,
        )
        // Instances.
        .get("/v1/instances", &policy::INSTANCE_READ, instances::instances, instances::describe::list)
        .post("/v1/instances", &policy::INSTANCE_REQUEST, instances::request, instances::describe::request)
        .get("/v1/instances/{id}", &policy::INSTANCE_READ, instances::instance, instances::describe::show)
        .patch(
            "/v1/instances/{id}",
            &policy::INSTANCE_REQUEST,
            instances::writes::want,
            instances::describe::want,
        )
        .delete(
            "/v1/instances/{id}",
            &policy::INSTANCE_REQUEST,
            instances::writes::destroy,
            instances::describe::destroy,
        )
        .post(
            "/v1/instances/{id}/reports",
            &policy::INSTANCE_REPORT,
            instances::writes::report,
            instances::describe::report,
        )
        .put(
            "/v1/instances/{id}/connection-parameters",
            &policy::INSTANCE_REPORT,
            instances::writes::set_connection,
            instances::describe::set_connection,
        )
        .post(
            "/v1/instances/{id}/bang",
            &policy::INSTANCE_REPORT,
            instances::writes::bang,
            instances::describe::bang,
        )
        .post(
            "/v1/instances/{id}/rename",
            &policy::INSTANCE_REPORT,
            instances::writes::rename,
            instances::describe::rename,
        )
        .post(
            "/v1/instances/{id}/erase",
            &policy::INSTANCE_ERASE,
            instances::writes::erase,
            instances::describe::erase,
        )
        .get("/v1/instance-counts", &policy::INSTANCE_READ, trees::counts, trees::describe::counts)
        .get("/v1/instance-trees", &policy::INSTANCE_READ, trees::trees, trees::describe::list)
        .get("/v1/instance-trees/{id}", &policy::INSTANCE_READ, trees::tree, trees::describe::show)
        // The clock.
        .get("/v1/clock", &policy::CLOCK_READ, clock::show, clock::describe::show)
        .get(
            "/v1/projections/{name}/generations",
            &policy::LOG_DIGEST,
            rebuilds::generations,
            rebuilds::describe::generations,
        )
        .post(
            "/v1/projections/{name}/rebuild/cancel",
            &policy::LOG_REBUILD,
            rebuilds::cancel,
            rebuilds::describe::cancel,
        )
        .post(
            "/v1/projections/{name}/rebuild/swap",
            &policy::LOG_REBUILD,
            rebuilds::swap,
            rebuilds::describe::swap,
        )
        .post(
            "/v1/projections/{name}/rebuild/confirm",
            &policy::LOG_REBUILD,
            rebuilds::confirm,
            rebuilds::describe::confirm,
        )
        .post(
            "/v1/projections/{name}/rebuild/swap-back",
            &policy::LOG_REBUILD,
            rebuilds::swap_back,
            rebuilds::describe::swap_back,
        )
        .post("/v1/clock/confirm", &policy::CLOCK_CONFIRM, clock::confirm, clock::describe::confirm)
        // Usage.
        .post("/v1/usage-events", &policy::USAGE_REPORT, usage::record, usage::describe::record)
        .post("/v1/usage-voids", &policy::USAGE_SETTLE, usage::voids::void, usage::describe::void)
        .get("/v1/usage", &policy::USAGE_READ, usage::readings, usage::describe::readings)
        .get("/v1/usage-receipts", &policy::USAGE_REVIEW, usage::received::list, usage::describe::receipts)
        .get("/v1/usage-suspense", &policy::USAGE_REVIEW, usage::suspense::list, usage::describe::suspense)
        .get(
            "/v1/usage-suspense-counts",
            &policy::USAGE_REVIEW,
            usage::suspense::counts,
            usage::describe::suspense_counts,
        )
        .post(
            "/v1/usage-suspense/{sequence}/resolve",
            &policy::USAGE_SETTLE,
            usage::resolve,
            usage::describe::resolve,
        )
        .post(
            "/v1/usage-suspense/{sequence}/dismiss",
            &policy::USAGE_SETTLE,
            usage::dismiss,
            usage::describe::dismiss,
        )
        .get("/v1/usage-gaps", &policy::USAGE_REVIEW, gaps::list, gaps::describe::list)
        .get("/v1/usage-gap-counts", &policy::USAGE_REVIEW, gaps::counts, gaps::describe::counts)
        // Prices.
        .get("/v1/price-books", &policy::PRICES_READ, prices::list, prices::describe::list)
        .post("/v1/price-books", &policy::PRICES_WRITE, prices::publish, prices::describe::publish)
        .get("/v1/price-books/{name}", &policy::PRICES_READ, prices::show, prices::describe::show)
        .get(
            "/v1/price-books/{name}/overrides",
            &policy::PRICES_READ,
            prices::overrides::list,
            prices::describe::overrides,
        )
        .post(
            "/v1/price-books/{name}/overrides",
            &policy::PRICES_WRITE,
            prices::overrides::set,
            prices::describe::set_override,
        )
        .post(
            "/v1/price-books/{name}/overrides/{id}/end",
            &policy::PRICES_WRITE,
            prices::overrides::end,
            prices::describe::end_override,
        )
        .post("/v1/what-if", &policy::BILLING_READ, what_if::compare, what_if::describe::compare)
        // Invoices.
        .get("/v1/invoice-runs", &policy::BILLING_READ, runs::list_runs, invoices::describe::list_runs)
        .post("/v1/invoice-runs", &policy::BILLING_WRITE, runs::open_run, invoices::describe::open_run)
        .get("/v1/invoice-runs/{id}", &policy::BILLING_READ, runs::show_run, invoices::describe::show_run)
        .get("/v1/invoice-runs/{id}/drafts", &policy::BILLING_READ, ranked::list, invoices::describe::drafts)
        .post(
            "/v1/invoice-runs/{id}/finalise",
            &policy::BILLING_WRITE,
            runs::finalise_run,
            invoices::describe::finalise_run,
        )
        .post(
            "/v1/invoice-runs/{id}/refresh",
            &policy::BILLING_WRITE,
            runs::refresh_run,
            invoices::describe::refresh_run,
        )
        .post(
            "/v1/invoice-runs/{id}/withdraw",
            &policy::BILLING_WRITE,
            runs::withdraw_run,
            invoices::describe::withdraw_run,
        )
        .get("/v1/invoice-runs/{id}/diff", &policy::BILLING_READ, diff::list, diff::describe::list)
        .get("/v1/revenue", &policy::BILLING_READ, revenue::revenue, revenue::describe::revenue)
        .get("/v1/invoice-comparison", &policy::BILLING_READ, revenue::compare, revenue::describe::compare)
        .get("/v1/invoice-summary", &policy::INVOICE_READ, summary::summary, summary::describe::summary)
        .get("/v1/invoice-drafts", &policy::DRAFT_READ, preview::list, preview::describe::list)
        .get(
            "/v1/parties/{id}/credit-forecast",
            &policy::INVOICE_READ,
            top_ups::forecast,
            top_ups::describe::forecast,
        )
        .get("/v1/invoices", &policy::INVOICE_READ, invoices::list, invoices::describe::list)
        .get("/v1/invoices/{id}", &policy::INVOICE_READ, invoices::show, invoices::describe::show)
        .get(
            "/v1/invoices/{id}/lines/{n}/events",
            &policy::INVOICE_READ,
            invoices::line_events,
            invoices::describe::line_events,
        )
        .get(
            "/v1/invoices/{id}/explanation",
            &policy::INVOICE_READ,
            explain::document,
            explain::describe::document,
        )
        .get(
            "/v1/invoices/{id}/proof",
            &policy::INVOICE_READ,
            invoice_proof::proof,
            invoice_proof::describe::proof,
        )
        .get(
            "/v1/invoices/{id}/lines/{n}/explanation",
            &policy::INVOICE_READ,
            explain::line,
            explain::describe::line,
        )
        .post(
            "/v1/invoices/{id}/approve",
            &policy::BILLING_WRITE,
            reviews::approve,
            invoices::describe::approve,
        )
        .post("/v1/invoices/{id}/hold", &policy::BILLING_WRITE, reviews::hold, invoices::describe::hold)
        .post(
            "/v1/invoices/{id}/finalise",
            &policy::BILLING_WRITE,
            reviews::finalise,
            invoices::describe::finalise,
        )
        .post("/v1/invoices/{id}/credit", &policy::BILLING_WRITE, notes::credit, invoices::describe::credit)
        .post("/v1/invoices/{id}/void", &policy::BILLING_WRITE, notes::void, invoices::describe::void)
        .post(
            "/v1/invoices/{id}/lines/{n}/correct",
            &policy::BILLING_WRITE,
            notes::correct,
            invoices::describe::correct,
        )
        // Who sells and buys, and what was paid or charged by hand.
        .get("/v1/parties", &policy::PARTY_READ, parties::list, parties::describe::list)
        .post("/v1/parties", &policy::PARTY_WRITE, parties::register, parties::describe::register)
        .get("/v1/parties/{id}", &policy::PARTY_READ, parties::show, parties::describe::show)
        .patch("/v1/parties/{id}", &policy::PARTY_WRITE, parties::change, parties::describe::change)
        .post("/v1/parties/{id}/erase", &policy::PARTY_WRITE, parties::erase, parties::describe::erase)
        .post(
            "/v1/parties/{id}/revoke-credentials",
            &policy::PARTY_WRITE,
            parties::revoke_credentials,
            parties::describe::revoke_credentials,
        )
        .post(
            "/v1/parties/{id}/tax-treatments",
            &policy::BILLING_WRITE,
            parties::treat,
            parties::describe::treat,
        )
        .post("/v1/tax-rates", &policy::BILLING_WRITE, parties::set_rate, parties::describe::set_rate)
        .post(
            "/v1/product-taxes",
            &policy::BILLING_WRITE,
            parties::set_product_tax,
            parties::describe::set_product_tax,
        )
        .put("/v1/parties/{id}/top-up", &policy::BILLING_WRITE, top_ups::set, top_ups::describe::set)
        .get("/v1/parties/{id}/top-up", &policy::INVOICE_READ, top_ups::show, top_ups::describe::show)
        .get("/v1/credits", &policy::INVOICE_READ, credits::credits, credits::describe::credits)
        .post("/v1/credits", &policy::BILLING_WRITE, credits::grant, credits::describe::grant)
        .get("/v1/credits/{id}", &policy::INVOICE_READ, credits::credit, credits::describe::credit)
        .post(
            "/v1/credits/{id}/withdraw",
            &policy::BILLING_WRITE,
            credits::withdraw,
            credits::describe::withdraw,
        )
        .get("/v1/charges", &policy::INVOICE_READ, credits::charges, credits::describe::charges)
        .post("/v1/charges", &policy::BILLING_WRITE, credits::record, credits::describe::record)
        .get("/v1/charges/{id}", &policy::INVOICE_READ, credits::charge, credits::describe::charge)
        .get("/v1/discounts", &policy::INVOICE_READ, discounts::list, discounts::describe::list)
        .post(
            "/v1/discount-codes/redeem",
            &policy::BILLING_WRITE,
            discounts::redeem,
            discounts::describe::redeem,
        )
        // The books.
        .get("/v1/journal", &policy::BILLING_READ, books::journal, books::describe::journal)
        .get("/v1/accounts", &policy::BILLING_READ, books::accounts, books::describe::accounts)
        .get("/v1/accounts/{id}", &policy::BILLING_READ, books::statement, books::describe::statement)
        .get("/v1/trial-balance", &policy::BILLING_READ, books::trial_balance, books::describe::trial_balance)
        .get("/v1/accounting-periods", &policy::BILLING_READ, books::periods, books::describe::periods)
        .post("/v1/accounting-periods", &policy::BILLING_WRITE, books::close, books::describe::close)
        // Who is let in.
        .get("/v1/projects", &policy::PROJECT_READ, projects::list, projects::describe::list)
        .post("/v1/projects", &policy::PROJECT_WRITE, projects::open, projects::describe::open)
        .post("/v1/tokens", &policy::CREDENTIAL_WRITE, credentials::issue, credentials::describe::issue)
        .get("/v1/credentials", &policy::CREDENTIAL_READ, credentials::list, credentials::describe::list)
        .get("/v1/credentials/{id}", &policy::CREDENTIAL_READ, credentials::show, credentials::describe::show)
        .post(
            "/v1/credentials/{id}/revoke",
            &policy::CREDENTIAL_WRITE,
            credentials::revoke,
            credentials::describe::revoke,
        )
        // The log.
        .get("/v1/events", &policy::LOG_READ, events::list, events::describe::list)
        .get("/v1/log/checkpoint", &policy::KNOWN, proofs::checkpoint, proofs::describe::checkpoint)
        .get("/v1/log/checkpoints", &policy::KNOWN, proofs::published, proofs::describe::published)
        .get("/v1/log/keys", &policy::KNOWN, proofs::keys, proofs::describe::keys)
        .get("/v1/log/proofs/inclusion", &policy::KNOWN, proofs::inclusion, proofs::describe::inclusion)
        .get("/v1/log/proofs/consistency", &policy::KNOWN, proofs::consistency, proofs::describe::consistency)
        .get("/log/checkpoint", &policy::KNOWN, proofs::checkpoint_note, proofs::describe::checkpoint_note)
        .get("/log/tile/entries/{*path}", &policy::LOG_ENTRIES, proofs::entries, proofs::describe::entries)
        .get("/log/tile/{*path}", &policy::KNOWN, proofs::tile, proofs::describe::tile)
}

/// The names that the original document has for the same.
fn documentary() -> Routes {
    Routes::new()
        .get("/computer_module/", &policy::COMPUTER_READ, computers::computers, computers::describe::list)
        .post(
            "/computer_module/",
            &policy::COMPUTER_WRITE,
            computers::writes::enter,
            computers::describe::enter,
        )
        .get("/computer_module/{id}", &policy::COMPUTER_READ, computers::computer, computers::describe::show)
        .patch(
            "/computer_module/{id}",
            &policy::COMPUTER_WRITE,
            computers::writes::describe,
            computers::describe::describe,
        )
        .get(
            "/software_release_module/",
            &policy::SOFTWARE_READ,
            software::software,
            software::describe::list,
        )
        .get("/software_product_module/", &policy::KNOWN, software::products, software::describe::products)
        .post(
            "/software_product_module/",
            &policy::SOFTWARE_PUBLISH,
            software::publish,
            software::describe::publish,
        )
        .post(
            "/software_installation_module/",
            &policy::COMPUTER_WRITE,
            computers::writes::supply_named,
            computers::describe::supply_named,
        )
        .get(
            "/software_instance_module/",
            &policy::INSTANCE_READ,
            instances::instances,
            instances::describe::list,
        )
        .post(
            "/software_instance_module/",
            &policy::INSTANCE_REQUEST,
            instances::request,
            instances::describe::request,
        )
        .get(
            "/software_instance_module/{id}",
            &policy::INSTANCE_READ,
            instances::instance,
            instances::describe::show,
        )
        .patch(
            "/software_instance_module/{id}",
            &policy::INSTANCE_REQUEST,
            instances::writes::want,
            instances::describe::want,
        )
        .delete(
            "/software_instance_module/{id}",
            &policy::INSTANCE_REQUEST,
            instances::writes::destroy,
            instances::describe::destroy,
        )
        .get("/instance_tree_module/", &policy::INSTANCE_READ, trees::trees, trees::describe::list)
        .get("/instance_tree_module/{id}", &policy::INSTANCE_READ, trees::tree, trees::describe::show)
        .post("/usage_report_module/", &policy::USAGE_REPORT, usage::report::post, usage::describe::report)
}

/// What takes as long as reading the whole log.
fn slow() -> Routes {
    Routes::new()
        .get("/v1/projections", &policy::LOG_DIGEST, admin::projections, admin::describe::projections)
        .post(
            "/v1/projections/{name}/rebuild",
            &policy::LOG_REBUILD,
            rebuilds::rebuild,
            rebuilds::describe::rebuild,
        )
}

/// What is downloaded as it is, whatever the client prefers.
fn downloads() -> Routes {
    Routes::new().get("/v1/backup", &policy::LOG_BACKUP, backups::plan, backups::describe::plan).get(
        "/v1/backup/files/{name}",
        &policy::LOG_BACKUP,
        backups::file,
        backups::describe::file,
    )
}

/// What goes on for as long as somebody reads it.
fn streams() -> Routes {
    Routes::new().get("/v1/events/stream", &policy::LOG_FOLLOW, events::follow, events::describe::follow).get(
        "/v1/projections/{name}/generations/stream",
        &policy::LOG_DIGEST,
        rebuilds::follow,
        rebuilds::describe::follow,
    )
}

/// What answers when nothing else does. `document` is filled in when all routes are known.
fn always(document: Arc<std::sync::OnceLock<Bytes>>) -> Routes {
    let describe = move || {
        let document = document.get().cloned().unwrap_or_default();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    Routes::new()
        .get("/healthz", &policy::PUBLIC, admin::health, admin::describe::health)
        .get("/readyz", &policy::PUBLIC, admin::ready, admin::describe::ready)
        .get("/openapi.json", &policy::PUBLIC, describe, admin::describe::document)
}

/// All of them, by what stands around them.
pub(crate) struct RestRoutes {
    /// What is carried out within the usual time.
    pub(crate) usual: Router<Arc<Gateway>>,
    /// What takes as long as reading the whole log.
    pub(crate) slow: Router<Arc<Gateway>>,
    /// What is downloaded as it is, whatever the client prefers.
    pub(crate) downloads: Router<Arc<Gateway>>,
    /// What goes on for as long as somebody reads it; only its beginning takes the usual time.
    pub(crate) streams: Router<Arc<Gateway>>,
    /// What answers when nothing else does.
    pub(crate) always: Router<Arc<Gateway>>,
    /// The paths of all of them.
    pub(crate) paths: Vec<&'static str>,
}

/// All routes of this folder.
pub(crate) fn routes() -> RestRoutes {
    let document = Arc::<std::sync::OnceLock<Bytes>>::default();
    let (usual, mut operations) = usual().into_parts();
    let (documentary, more) = documentary().into_parts();
    let usual = usual.merge(documentary);
    operations.extend(more);
    let (slow, more) = slow().into_parts();
    operations.extend(more);
    let (downloads, more) = downloads().into_parts();
    operations.extend(more);
    let (streams, more) = streams().into_parts();
    operations.extend(more);
    let (always, more) = always(Arc::clone(&document)).into_parts();
    operations.extend(more);
    let _ = document.set(openapi::document(&operations).to_string().into());
    let paths = operations.iter().map(|operation| operation.place().1).collect();
    RestRoutes { usual, slow, downloads, streams, always, paths }
}

/// What all routes that are ours are said to do, for tests.
#[cfg(test)]
pub(crate) fn operations() -> Vec<openapi::operation::Operation> {
    let parts = [usual(), documentary(), slow(), downloads(), streams(), always(Arc::default())];
    parts.into_iter().flat_map(|routes| routes.into_parts().1).collect()
}
