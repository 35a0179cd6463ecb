//! Running masters for tests, asked through the routes.

pub(crate) mod kit;
pub(crate) mod streamed;
pub(crate) mod world;
