//! HTTP: the route map, and one file for each group of routes.

mod admin;
mod backups;
mod books;
mod catalogue;
mod change;
mod clock;
mod cloud_event;
mod computers;
mod credentials;
mod credits;
mod diff;
mod discounts;
mod events;
mod explain;
mod gaps;
mod instances;
mod invoice_proof;
pub mod invoices;
mod log;
pub(crate) mod openapi;
mod parties;
mod period;
mod preview;
mod prices;
pub mod projects;
mod proofs;
pub mod query;
mod revenue;
pub(crate) mod routes;
mod software;
mod summary;
mod top_ups;
mod trees;
mod usage;
mod what_if;

pub(crate) use admin::{health_of, readiness_of};
