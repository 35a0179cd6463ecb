//! Which events an invoice can be derived from again, and deriving it from nothing else.
//!
//! A proof of an invoice holds the events that the billing view needs for its customer: parties, taxes, prices, runs,
//! documents, credits, charges, instances and usage. [`ProofSelection`] chooses them from the log. [`repeat`] folds them
//! into an empty view, so that the draft of the run is computed once more, and compares it with the document that was
//! issued; a credit note is decided once more. An event that names other customers is never chosen, nor one with a code that
//! the customer does not know; the proof says that it was withheld. [`explain_proved`] explains the lines from the same events.

mod compare;
mod explained;
mod fault;
mod note;
mod repeat;
mod selection;

pub use explained::{ProvedExplanation, explain_proved};
pub use fault::RepeatFault;
pub(crate) use repeat::compare_issued;
pub use repeat::{RepeatedInvoice, repeat};
pub use selection::{EventChoice, ProofSelection, UsageChosen, beside_lines};
