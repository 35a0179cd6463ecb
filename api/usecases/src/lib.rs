//! What several protocols do: request, supply, report, certify, erase, credit, run invoices.
//!
//! A use case takes a [`context::RequestContext`] and words of the core, and answers with words of the core or a problem.
//! It knows no wire format and no route. What is decided, and what follows from it, is the core's.

pub mod answers;
pub mod caller;
pub mod certificates;
pub mod certification;
pub mod claim;
pub mod contacts;
pub mod context;
pub mod credit_expiry;
pub mod due_usage;
pub mod erasure;
pub mod event_scope;
pub mod first_parties;
pub mod frontend;
pub mod invoice_proof;
pub mod invoicing;
pub mod loss;
pub mod names;
pub mod node;
pub mod partition;
pub mod policy;
pub mod reading;
pub mod receipts;
pub mod requesting;
pub mod software;
pub mod status;
