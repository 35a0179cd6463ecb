//! Running masters for tests, asked through the routes.

pub(crate) mod kit;
pub(crate) mod world;
