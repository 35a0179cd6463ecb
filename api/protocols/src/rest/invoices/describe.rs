//! What is said of the routes of invoice runs and invoices.

use serde_json::json;

use super::notes::{Corrected, Correction, Credited, Voided};
use super::ranked::RunDrafts;
use super::reviews::Reviewed;
use super::runs::{RunForm, RunWanted};
use super::{InvoiceForm, LineEvents};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema::{self, Nothing};

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

pub(crate) fn drafts(operation: Operation) -> Operation {
    operation
        .called("reviewInvoiceRun", "invoices", "The drafts of a run, the most unusual first")
        .description(
            "What is unusual, in this order: missing or suspended usage and warnings, a change of a fifth or more \
             against the period before, a first invoice, late usage and adjustments, ended instances, amounts of zero. \
             `common` names what is true of all drafts. `etag` is that of the draft, for `If-Match`.",
        )
        .path::<schema::RunId>("id", "Which run")
        .query::<schema::Limit>("limit", "How many items, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the items after those")
        .reads::<RunDrafts>("Drafts, and what is unusual about each")
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
        .if_match()
}

pub(crate) fn refresh_run(operation: Operation) -> Operation {
    operation
        .called("refreshInvoiceRun", "invoices", "Regenerate the drafts of a run from everything known now")
        .path::<schema::RunId>("id", "Which run")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<RunForm>(200, "Its drafts are new")
        .if_match()
}

pub(crate) fn withdraw_run(operation: Operation) -> Operation {
    operation
        .called("withdrawInvoiceRun", "invoices", "Give up the drafts of a run")
        .path::<schema::RunId>("id", "Which run")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<RunForm>(200, "It is withdrawn; or final with what it has issued")
        .if_match()
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

pub(crate) fn approve(operation: Operation) -> Operation {
    operation
        .called("approveDraft", "invoices", "Approve a draft: it may become final, also alone")
        .description("An approval ends when the run is refreshed. It also ends a hold.")
        .path::<schema::InvoiceId>("id", "Which draft")
        .body::<Reviewed>(json!({"reason": "checked with the customer"}))
        .writes::<InvoiceForm>(200, "The draft")
        .if_match()
}

pub(crate) fn hold(operation: Operation) -> Operation {
    operation
        .called("holdDraft", "invoices", "Hold a draft: it does not become final until it is approved")
        .description("A refresh of the run keeps it held.")
        .path::<schema::InvoiceId>("id", "Which draft")
        .body::<Reviewed>(json!({"reason": "a price is being discussed"}))
        .writes::<InvoiceForm>(200, "The draft")
        .if_match()
}

pub(crate) fn finalise(operation: Operation) -> Operation {
    operation
        .called(
            "finaliseDraft",
            "invoices",
            "Finalise an approved draft alone; done again it changes nothing",
        )
        .description("The grace period of its run does not keep it: somebody has looked at it.")
        .path::<schema::InvoiceId>("id", "Which draft")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<InvoiceForm>(200, "The invoice")
        .if_match()
}

pub(crate) fn void(operation: Operation) -> Operation {
    operation
        .called("voidInvoice", "invoices", "Credit the rest of an invoice, to invoice it again")
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
        .query::<schema::StartStop>("period", "About some of this time; where each payer is")
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
