//! Use cases and the engine, tested through the routes.

mod as_of;
mod contacts;
mod documents;
mod due;
mod erasure;
mod first_parties;
mod health;
mod losses;
mod usage_quotas;
