//! What is said of the route of live drafts.

use super::LiveDraft;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called(
            "previewInvoices",
            "invoices",
            "What would be invoiced now, computed when it is asked for; nothing is recorded",
        )
        .required_query::<schema::StartStop>("period", "When; where each payer is")
        .query::<schema::PartyId>("payer", "Of this payer alone")
        .query::<schema::PriceBookName>(
            "price_book",
            "By which prices; may be left out while there is but one price book",
        )
        .lists::<LiveDraft>("A part of the list, by payer")
        .problem(404)
}
