//! What is said of the route of a run's differences.

use super::DiffForm;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called(
            "diffInvoiceRun",
            "invoices",
            "The lines of a run that would be others if it were opened now, and why; normally none",
        )
        .path::<schema::RunId>("id", "Which run")
        .lists::<DiffForm>("A part of the list, by payer")
}
