//! What is said of the routes of explanations.

use super::{DocumentExplained, LineExplained};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn document(operation: Operation) -> Operation {
    operation
        .called("explainInvoice", "invoices", "Why the lines of an invoice or draft say what they say")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .query::<schema::Limit>("limit", "How many lines, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the lines after those")
        .reads::<DocumentExplained>("Some of its lines, and its sums")
}

pub(crate) fn line(operation: Operation) -> Operation {
    operation
        .called(
            "explainLine",
            "invoices",
            "Why a line says what it says, with the events it rests on: its arithmetic can be done again by hand",
        )
        .path::<schema::InvoiceId>("id", "Which invoice")
        .query::<schema::Limit>("limit", "How many events, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the events after those")
        .reads::<LineExplained>("The line")
}
