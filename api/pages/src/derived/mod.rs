//! What pages compute from the answers they show: groups, sums, shares and charts. Amounts are added exactly.

pub(crate) mod books;
pub(crate) mod catalogue;
pub(crate) mod computers;
pub(crate) mod home;
pub(crate) mod instances;
pub(crate) mod invoice;
pub(crate) mod invoices;
pub(crate) mod line;
pub(crate) mod list;
pub(crate) mod log;
mod month;
pub(crate) mod operation;
mod own;
pub(crate) mod price_book;
pub(crate) mod request;
pub(crate) mod review;
pub(crate) mod tree;
pub(crate) mod usage;
mod values;
