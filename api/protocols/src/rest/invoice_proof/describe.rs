//! The description of the route of proofs of invoices.

use super::{InvoiceProofShown, UsageOfProof};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn proof(operation: Operation) -> Operation {
    operation
        .called("proveInvoice", "invoices", "Prove an invoice: the events it can be derived from again")
        .description(
            "`slapledger verify-invoice` checks it without the server: that the events are in the log, who signed \
             the checkpoint, and that metering, prices, proration, tax and rounding give the invoice (docs/proofs.md). \
             A seller who is not an admin gets no usage and no instances beside the lines.",
        )
        .path::<schema::InvoiceId>("id", "Which final invoice or credit note")
        .query::<u32>("line", "The line to prove. Default: the whole document")
        .query::<UsageOfProof>("usage", "Which usage: what the lines name, or all of the customer")
        .reads::<InvoiceProofShown>("The proof")
        .only_now()
        .problem(409)
}
