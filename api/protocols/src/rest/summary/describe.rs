//! What is said of the summary of a period.

use super::SummaryForm;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn summary(operation: Operation) -> Operation {
    operation
        .called("summariseInvoices", "invoices", "What a period came to, beside an earlier one")
        .description(
            "Totals of the documents and drafts that the caller may see, whose own period begins in either period, with \
             tax; credit notes count below zero.",
        )
        .required_query::<schema::StartStop>("period", "The period; where each payer is")
        .required_query::<schema::StartStop>("before", "The earlier period")
        .reads::<SummaryForm>("What both came to")
}
