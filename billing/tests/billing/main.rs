//! Given what happened in a cloud, what do its customers owe: amounts worked out by hand, and what holds for all of
//! them.

mod behind;
mod cloud;
mod diff;
mod documents;
mod fees;
mod gaps;
mod given_back;
mod golden;
mod late;
mod models;
mod projects;
mod properties;
mod remainder;
mod usage;
mod versions;
mod what_if;
