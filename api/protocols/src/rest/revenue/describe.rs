//! What is said of the routes of reports over documents.

use slapledger_billing::revenue::RevenueBy;

use super::{InvoiceChangeForm, RevenueForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn revenue(operation: Operation) -> Operation {
    operation
        .called("showRevenue", "invoices", "Revenue of a period by customer, software or computer")
        .description(
            "The sum of final documents whose own period begins in the period, without tax, credit notes below zero. \
             Software and computer are those of the instance of a line.",
        )
        .required_query::<RevenueBy>("by", "What it is shown by")
        .required_query::<schema::StartStop>("period", "When; where each payer is")
        .query::<schema::PartyId>("seller", "Of this seller alone")
        .lists::<RevenueForm>("A part of the list, the largest first")
}

pub(crate) fn compare(operation: Operation) -> Operation {
    operation
        .called("compareInvoices", "invoices", "Customers by the change between two periods")
        .description(
            "Documents and drafts whose own period begins in either period, without tax, credit notes below zero.",
        )
        .required_query::<schema::StartStop>("before", "The earlier period; where each payer is")
        .required_query::<schema::StartStop>("after", "The later period")
        .query::<schema::PartyId>("seller", "Of this seller alone")
        .lists::<InvoiceChangeForm>("A part of the list, the largest change first")
}
