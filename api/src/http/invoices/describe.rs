//! What is said of the routes of invoice runs and invoices.

#![expect(dead_code, reason = "bodies are described, and never made")]

use schemars::JsonSchema;
use serde_json::json;

use super::{InvoiceForm, LineEvents, RunForm};
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema;

/// What a run is to invoice.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RunWanted {
    period: schema::RunPeriod,
    /// Whether its drafts become final at once.
    finalise: Option<bool>,
    /// By which prices; may be left out while there is but one price book.
    price_book: Option<schema::PriceBookName>,
}

/// Nothing needs to be said.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in crate::http) struct Nothing {}

pub(in crate::http) fn list_runs(operation: Operation) -> Operation {
    operation
        .called("listInvoiceRuns", "invoices", "Invoice runs, in the order they were opened")
        .lists::<RunForm<'static>>("A part of the list")
}

pub(in crate::http) fn open_run(operation: Operation) -> Operation {
    operation
        .called("openInvoiceRun", "invoices", "Open an invoice run, which fixes its drafts")
        .body::<RunWanted>(
            json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": false}),
        )
        .writes::<RunForm<'static>>(201, "It is open")
        .location(201)
        .problem(404)
}

pub(in crate::http) fn show_run(operation: Operation) -> Operation {
    operation
        .called("showInvoiceRun", "invoices", "An invoice run")
        .path::<schema::RunId>("id", "Which run")
        .shows::<RunForm<'static>>("The run")
}

pub(in crate::http) fn finalise_run(operation: Operation) -> Operation {
    operation
        .called(
            "finaliseInvoiceRun",
            "invoices",
            "Make the drafts of a run final; done again it changes nothing",
        )
        .path::<schema::RunId>("id", "Which run")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<RunForm<'static>>(200, "The run is final")
}

pub(in crate::http) fn list(operation: Operation) -> Operation {
    operation
        .called("listInvoices", "invoices", "Invoices and drafts, by run and payer")
        .query::<schema::PartyId>("payer", "Of this payer alone")
        .query::<schema::DocumentState>("state", "In this state alone")
        .lists::<InvoiceForm<'static>>("A part of the list")
}

pub(in crate::http) fn show(operation: Operation) -> Operation {
    operation
        .called("showInvoice", "invoices", "An invoice or a draft")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .shows::<InvoiceForm<'static>>("The document")
}

pub(in crate::http) fn line_events(operation: Operation) -> Operation {
    operation
        .called("listLineEvents", "invoices", "The events that a line of an invoice rests on")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .query::<schema::Limit>("limit", "How many items, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the items after those")
        .reads::<LineEvents>("A part of the list")
}
