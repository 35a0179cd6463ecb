//! HTTP: the route map, and one file for each group of routes.

mod admin;
mod backups;
mod books;
mod change;
mod clock;
mod cloud_event;
mod computers;
mod credentials;
mod credits;
mod diff;
mod explain;
mod gaps;
mod instances;
pub mod invoices;
mod log;
pub(crate) mod openapi;
mod parties;
mod preview;
mod prices;
pub mod projects;
pub mod query;
pub(crate) mod routes;
mod software;
mod trees;
mod usage;
mod what_if;

pub(crate) use admin::{health_of, readiness_of};
