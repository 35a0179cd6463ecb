//! What is said of the routes of invoice runs and invoices.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::notes::Corrected;
use super::runs::RunForm;
use super::{InvoiceForm, LineEvents};
use crate::rest::gaps::describe::StartStop;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema::{self, Nothing};

/// What a run is to invoice.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunWanted {
    pub(super) period: schema::RunPeriod,
    /// Who sells; the user, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
    /// For how long the drafts may be looked at, and none becomes final.
    #[schemars(range(max = 8784))]
    pub(super) grace_hours: Option<u32>,
    /// Whether its drafts become final by themselves: at once, or when the time of grace is over.
    pub(super) finalise: Option<bool>,
    /// By which prices; may be left out while there is but one price book.
    pub(super) price_book: Option<schema::PriceBookName>,
}

pub(crate) fn list_runs(operation: Operation) -> Operation {
    operation
        .called("listInvoiceRuns", "invoices", "Invoice runs, in the order they were opened")
        .lists::<RunForm>("A part of the list")
}

pub(crate) fn open_run(operation: Operation) -> Operation {
    operation
        .called("openInvoiceRun", "invoices", "Open an invoice run, which fixes its drafts")
        .body::<RunWanted>(
            json!({"period": {"start": "2026-10-01", "stop": "2026-11-01"}, "finalise": false}),
        )
        .writes::<RunForm>(201, "It is open")
        .location(201)
        .problem(404)
}

pub(crate) fn show_run(operation: Operation) -> Operation {
    operation
        .called("showInvoiceRun", "invoices", "An invoice run")
        .path::<schema::RunId>("id", "Which run")
        .shows::<RunForm>("The run")
}

pub(crate) fn finalise_run(operation: Operation) -> Operation {
    operation
        .called(
            "finaliseInvoiceRun",
            "invoices",
            "Finalise the drafts of a run; done again it changes nothing",
        )
        .path::<schema::RunId>("id", "Which run")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<RunForm>(200, "The run is final")
}

/// What is given back, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credited {
    pub(super) reason: schema::LongText,
    #[schemars(length(min = 1))]
    pub(super) lines: Vec<LineCredited>,
}

/// Something of a line.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineCredited {
    #[schemars(with = "schema::Number")]
    pub(super) n: u32,
    /// All that is left of it, if it is not said.
    pub(super) amount: Option<schema::Amount>,
}

/// Why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Voided {
    pub(super) reason: schema::LongText,
}

/// What a line should have been, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Correction {
    pub(super) amount: schema::Amount,
    pub(super) reason: schema::LongText,
}

pub(crate) fn refresh_run(operation: Operation) -> Operation {
    operation
        .called("refreshInvoiceRun", "invoices", "Regenerate the drafts of a run from everything known now")
        .path::<schema::RunId>("id", "Which run")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<RunForm>(200, "Its drafts are new")
}

pub(crate) fn withdraw_run(operation: Operation) -> Operation {
    operation
        .called("withdrawInvoiceRun", "invoices", "Give up the drafts of a run")
        .path::<schema::RunId>("id", "Which run")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<RunForm>(200, "It is withdrawn; or final with what it has issued")
}

pub(crate) fn credit(operation: Operation) -> Operation {
    operation
        .called("creditInvoice", "invoices", "Give back lines of an invoice, whole or in part")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .body::<Credited>(json!({"reason": "not delivered", "lines": [{"n": 1, "amount": "4.00"}]}))
        .writes::<InvoiceForm>(201, "The credit note")
        .location(201)
        .tagged(201)
}

pub(crate) fn void(operation: Operation) -> Operation {
    operation
        .called("voidInvoice", "invoices", "Credit the rest of an invoice; its period can be invoiced again")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .body::<Voided>(json!({"reason": "wrong customer"}))
        .writes::<InvoiceForm>(201, "The credit note")
        .location(201)
        .tagged(201)
}

pub(crate) fn correct(operation: Operation) -> Operation {
    operation
        .called("correctInvoiceLine", "invoices", "Say what a line of an invoice should have been")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .body::<Correction>(json!({"amount": "12.00", "reason": "agreed"}))
        .writes::<Corrected>(201, "A credit note, or a charge on the next invoice")
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listInvoices", "invoices", "Invoices and drafts, by run and payer")
        .query::<schema::PartyId>("payer", "Of this payer alone")
        .query::<schema::InvoiceState>("state", "In this state alone")
        .query::<StartStop>("period", "About some of this time; where each payer is")
        .lists::<InvoiceForm>("A part of the list")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showInvoice", "invoices", "An invoice or a draft")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .shows::<InvoiceForm>("The document")
}

pub(crate) fn line_events(operation: Operation) -> Operation {
    operation
        .called("listLineEvents", "invoices", "The events that a line of an invoice rests on")
        .path::<schema::InvoiceId>("id", "Which invoice")
        .query::<schema::Limit>("limit", "How many items, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the items after those")
        .reads::<LineEvents>("A part of the list")
}
