//! What is said of the routes of price books.

use serde_json::json;
use slapledger_billing::PriceBookShown;

use super::overrides::{OverrideEnd, OverrideForm, OverrideWanted};
use super::{PublishedForm, VersionShown};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn overrides(operation: Operation) -> Operation {
    operation
        .called("listPriceOverrides", "prices", "The prices of single customers, the oldest first")
        .description("An override is shown to its customer, the seller and auditors, also when it has ended.")
        .path::<schema::PriceBookName>("name", "Which price book")
        .query::<schema::PartyId>("customer", "Of this customer alone")
        .lists::<OverrideForm>("A part of the list")
}

pub(crate) fn set_override(operation: Operation) -> Operation {
    operation
        .called(
            "setPriceOverride",
            "prices",
            "Give a customer a price that takes the place of rates of a book",
        )
        .description(
            "It is the rate of its subject where its `match` covers, whatever version of the book applies.",
        )
        .path::<schema::PriceBookName>("name", "Which price book")
        .query::<schema::Flag>("retroactive", "Whether it may take effect in a period that is invoiced")
        .body::<OverrideWanted>(json!({
            "customer": "PARTY-1", "valid_from": "2026-01-01T00:00:00Z",
            "rate": {"kind": "recurring", "every": "month", "when": "arrears", "price": "8.00"},
        }))
        .writes::<OverrideForm>(201, "It is set")
}

pub(crate) fn end_override(operation: Operation) -> Operation {
    operation
        .called("endPriceOverride", "prices", "End a price of a customer")
        .description("An end can be brought forward, not moved back.")
        .path::<schema::PriceBookName>("name", "Which price book")
        .path::<schema::OverrideId>("id", "Which override")
        .query::<schema::Flag>("retroactive", "Whether that may change a period that is invoiced")
        .body::<OverrideEnd>(json!({"valid_until": "2027-01-01T00:00:00Z"}))
        .writes::<OverrideForm>(200, "It ends")
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listPriceBooks", "prices", "The newest version of each price book, by name")
        .lists::<VersionShown>("A part of the list")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showPriceBook", "prices", "A version of a price book, and what versions there are")
        .path::<schema::PriceBookName>("name", "Which price book")
        .query::<schema::Number>("version", "Which version; the newest, if it is not said")
        .shows::<VersionShown>("The version")
}

pub(crate) fn publish(operation: Operation) -> Operation {
    let operation =
        operation.called("publishPriceBook", "prices", "Publish a price book as its next version");
    book(operation)
        .query::<schema::Flag>("preview", "Whether to tell what it would do, and record nothing")
        .query::<schema::Flag>("retroactive", "Whether it may take effect in a period that is invoiced")
        .if_match()
        .writes::<PublishedForm>(200, "This version counted already, or it is a preview")
        .writes::<PublishedForm>(201, "It is published")
}

/// It reads a price book.
pub(crate) fn book(operation: Operation) -> Operation {
    operation
        .body_as::<PriceBookShown>(
            "application/json",
            Some(json!({
                "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
                "resources": [{"resource": "service_module/cpu_load_percent", "kind": "gauge",
                    "meter": "time_integral", "unit": "percent_hour"}],
                "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00",
                    "match": {"instance_type": "production"}}],
            })),
        )
        .body_as::<schema::Text>("application/toml", None)
}
