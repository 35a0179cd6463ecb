//! HTTP: the route map, and one file for each group of routes.

mod admin;
pub(crate) mod body;
mod cloud_event;
pub mod instances;
pub mod invoices;
mod json_body;
mod limits;
mod log;
mod prices;
pub mod problem;
pub mod query;
pub mod router;
#[cfg(test)]
pub(crate) mod testkit;
mod usage;
