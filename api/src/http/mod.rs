//! HTTP: the route map, and one file for each group of routes.

pub(crate) mod body;
pub mod instances;
pub mod problem;
pub mod router;
