//! Given what happened in a cloud, what do its customers owe: amounts worked out by hand, and what holds for all of
//! them.

mod behind;
mod cloud;
mod diff;
mod discounts;
mod documents;
mod fees;
mod gaps;
mod given_back;
mod golden;
mod late;
mod maximums;
mod models;
mod overrides;
mod projects;
mod proof;
mod properties;
mod recurring;
mod remainder;
mod remainders;
mod seats;
mod taxes;
mod trials;
mod usage;
mod versions;
mod what_if;
