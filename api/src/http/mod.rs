//! HTTP: the route map, and one file for each group of routes.

mod admin;
mod backups;
pub(crate) mod body;
mod books;
mod browser;
mod change;
mod clock;
mod cloud_event;
mod computers;
mod credentials;
mod credits;
mod diff;
mod explain;
mod forms;
mod gaps;
mod instances;
pub mod invoices;
mod json_body;
mod limits;
mod log;
pub(crate) mod openapi;
mod parties;
mod preview;
mod prices;
pub mod problem;
pub mod projects;
pub mod query;
pub mod router;
mod software;
#[cfg(test)]
pub(crate) mod testkit;
mod trees;
mod usage;
mod what_if;

pub(crate) use admin::{health_of, readiness_of};
