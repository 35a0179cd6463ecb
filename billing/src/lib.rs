//! Price books, rating, invoice runs: amounts derived from events, and the documents that become events.
//!
//! `price_book` reads and shows prices, `units` and `tariff` compute with them, `rating` applies them to what instances were and used, `view` keeps runs,
//! drafts and invoices as a fold of the log, `journal` the books that follow from them, `run` turns drafts into
//! commands, `explain` says why a line is what it is. Nothing here decides what may be recorded, opens what is sealed,
//! or computes with binary floats.

pub mod audit;
mod behind;
pub mod diff;
pub mod discounts;
mod document;
pub mod doubt;
mod drafting;
mod drafts;
mod events;
mod exemption;
pub mod explain;
mod fold;
pub mod forecast;
pub mod gaps;
mod history;
pub mod journal;
mod known_override;
mod month_so_far;
mod net;
mod overrides;
mod parallel;
pub mod preview;
pub mod price_book;
pub mod proof;
mod proration;
mod publication;
mod rating;
mod regions;
mod remainder;
mod reported_again;
pub mod revenue;
mod review;
mod reviewed;
pub mod run;
mod subtotal;
pub mod summary;
mod tariff;
pub mod threshold;
mod units;
pub mod unusual;
pub mod view;
mod warning;
pub mod what_if;

pub use document::Payer;
pub use journal::Journal;
pub use known_override::KnownOverride;
pub use net::line_nets;
pub use price_book::{PriceBookError, PriceBookShown};
pub use publication::{Publication, TouchedInvoice};
pub use remainder::{BalanceState, LineCorrection};
pub use reported_again::{InstancePlaces, ReportedAgain};
pub use review::DraftReview;
pub use subtotal::TreeSubtotal;
pub use view::{
    Billing, BillingView, Charge, CustomerTopUp, Document, DocumentPlace, DocumentState, LateUsage,
    PrepaidCredit, PublishedBook, Run, run_of_draft,
};
pub use warning::{Importance, Warning};
