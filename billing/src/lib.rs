//! Price books, rating, invoice runs: amounts derived from events, and the documents that become events.
//!
//! `price_book` reads and shows prices, `units` and `tariff` compute with them, `rating` applies them to what instances were and used, `view` keeps runs,
//! drafts and invoices as a fold of the log, `journal` the books that follow from them, `run` turns drafts into commands, `explain` says why a line is
//! what it is. Nothing here decides what may be
//! recorded, opens what is sealed, or computes with binary floats.

mod behind;
pub mod diff;
mod document;
pub mod doubt;
mod drafting;
mod drafts;
mod events;
pub mod explain;
mod fold;
pub mod gaps;
mod history;
pub mod journal;
pub mod preview;
pub mod price_book;
mod proration;
mod publication;
mod rating;
mod regions;
mod remainder;
pub mod run;
mod tariff;
mod units;
pub mod view;
mod warning;
pub mod what_if;

pub use document::Payer;
pub use journal::Journal;
pub use price_book::{PriceBookError, PriceBookForm};
pub use publication::{Publication, TouchedInvoice};
pub use remainder::{BalanceState, LineCorrection};
pub use view::{
    Billing, BillingView, Charge, Document, DocumentPlace, DocumentState, Late, PrepaidCredit, PublishedBook,
    Run,
};
pub use warning::Warning;
