//! HTTP: the route map, and one file for each group of routes.

pub mod problem;
pub mod router;
