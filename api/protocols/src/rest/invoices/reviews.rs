//! Drafts over REST, one by one: approved, held, made final alone.

use axum::extract::Request;
use axum::http::{Uri, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use slapledger_billing::{BillingView, DraftReview, run_of_draft};
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{PartyId, RunId, Sequence};
use slapledger_core::domain::invoice::{DraftDecision, ReviewDraft};
use slapledger_core::domain::time::Timestamp;
use slapledger_kit::answer::{HttpAnswer, precondition};
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing;

use super::runs::drafts_of;
use super::{InvoiceForm, find, unknown_invoice};
use crate::access::Authorised;
use crate::rest::change::{ChangedResource, ResourceChange};
use crate::rest::openapi::schema;
use crate::rest::query::{self, Named, Query};
use crate::rest::usage::local;

/// Why a draft is approved or held.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reviewed {
    reason: schema::LongText,
}

/// The last decision on a draft.
#[derive(Serialize, JsonSchema)]
pub(super) struct ReviewForm {
    decision: DraftDecision,
    reason: Box<str>,
    /// Who decided it.
    by: Box<str>,
    at: Timestamp,
    sequence: Sequence,
}

impl ReviewForm {
    pub(super) fn of(review: &DraftReview) -> Self {
        let DraftReview { decision, reason, by, at, sequence } = review.clone();
        Self { decision, reason, by, at, sequence }
    }
}

/// The run and the payer of a document.
async fn place_of(ctx: &RequestContext, id: &str) -> Result<(RunId, PartyId), Problem> {
    let head = ctx.ledger().head().last;
    if let Some(run) = run_of_draft(id) {
        drafts_of(ctx, run, head).await?;
    }
    let read = ctx.billing().read_at(head, |view, _| {
        let document = find(ctx, view, id)?;
        // A credit note was never a draft.
        let of_run = view.billing.is_of_run(document);
        of_run
            .then_some((document.invoice.run, document.invoice.buyer.party))
            .ok_or_else(|| unknown_invoice(id))
    });
    read.await?
}

/// `POST /v1/invoices/{id}/approve`: the draft may become final, also alone.
pub(crate) async fn approve(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    review(&ctx, &id, request, DraftDecision::Approved).await
}

/// `POST /v1/invoices/{id}/hold`: the draft does not become final until it is approved.
pub(crate) async fn hold(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    review(&ctx, &id, request, DraftDecision::Held).await
}

async fn review(
    ctx: &RequestContext,
    id: &str,
    request: Request,
    decision: DraftDecision,
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    let (run, payer) = place_of(ctx, id).await?;
    let (sent, Reviewed { reason }) = json_body::read(request, json_body::MOST_BYTES).await?;
    let reason = Box::<str>::from(String::from(reason));
    let change = ResourceChange::new(ctx, local(ctx), &sent)?;
    let accepted = change
        .carry_out(ChangedResource {
            stream: Stream::InvoiceRun(run),
            find: |view: &BillingView| written(ctx, view, id),
            show: Clone::clone,
            command: |_: &_| {
                let reason = reason.clone();
                Ok(Command::ReviewDraft(ReviewDraft { run, payer, decision, reason }))
            },
        })
        .await?;
    shown(ctx, id, accepted.sequence).await
}

/// A draft as reading it shows it, in JSON.
fn written(ctx: &RequestContext, view: &BillingView, id: &str) -> Result<Box<RawValue>, Problem> {
    let form = InvoiceForm::of(&view.billing, ctx.keys(), find(ctx, view, id)?);
    to_raw_value(&form).map_err(|error| Problem::fault(&error))
}

/// `POST /v1/invoices/{id}/finalise`: an approved draft becomes an invoice, alone; done again it changes nothing.
pub(crate) async fn finalise(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
    request: Request,
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    Query::read(&uri, &[])?;
    let (run, payer) = place_of(&ctx, &id).await?;
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let head = ctx.ledger().head().last;
    if sent.headers.contains_key(header::IF_MATCH) {
        let seen = ctx.billing().read_at(head, |view, _| written(&ctx, view, &id)).await??;
        precondition(&sent.headers, || seen)?;
    }
    let is_final = ctx.billing().read_at(head, |view, _| {
        view.billing.document(&id).is_some_and(|document| document.issued.is_some())
    });
    if is_final.await? {
        return shown(&ctx, &id, head).await;
    }
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let (invoice, sequence) = invoicing::finalise_one(&ctx, meta, (run, payer)).await?;
    shown(&ctx, invoice.as_str(), sequence).await
}

async fn shown(ctx: &RequestContext, id: &str, min: Sequence) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    let read = ctx.billing().read_at(min, |view, at| {
        let document = view.billing.document(id)?;
        Some(HttpAnswer::ok(at, InvoiceForm::of(&view.billing, ctx.keys(), document)))
    });
    read.await?.ok_or_else(|| unknown_invoice(id))
}
