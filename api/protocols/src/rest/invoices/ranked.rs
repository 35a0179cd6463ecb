//! `GET /v1/invoice-runs/{id}/drafts`: the drafts of a run for people who approve them, the most unusual first.

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::DocumentState;
use slapledger_billing::unusual::{DraftFinding, FindingKind, RankedDraft};
use slapledger_core::domain::id::{InvoiceId, PartyId, Sequence};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_kit::answer::{HttpAnswer, json_tag};
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing::open_name;

use super::InvoiceForm;
use super::reviews::ReviewForm;
use super::runs::{RunForm, drafts_of, run_named, unknown_run};
use crate::access::Authorised;
use crate::rest::query::{Named, Query};

/// The drafts of a run, the most unusual first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RunDrafts {
    items: Vec<RankedDraftForm>,
    /// The cursor of the next page; null, if there is none.
    next: Option<String>,
    /// What is true of every draft, if there are several.
    common: Vec<FindingKind>,
    /// The tag of the run as it is now, for `If-Match`.
    run_etag: String,
    sequence: Sequence,
}

/// A draft of a run, and what is unusual about it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RankedDraft")]
pub(crate) struct RankedDraftForm {
    invoice: InvoiceId,
    state: DocumentState,
    payer: PartyId,
    name: String,
    currency: Currency,
    net: Amount,
    total: Amount,
    lines: usize,
    /// What the customer was charged for the period before, without tax; null, if nothing.
    before: Option<Amount>,
    /// What `net` is more than that.
    difference: Option<Amount>,
    /// 0 is to be looked at first, 6 has nothing unusual.
    rank: u8,
    findings: Vec<DraftFinding>,
    /// What was decided of it.
    review: Option<ReviewForm>,
    /// The tag of the draft as it is now.
    etag: String,
}

impl RankedDraftForm {
    fn of(
        ctx: &RequestContext,
        billing: &slapledger_billing::Billing,
        ranked: &RankedDraft<'_>,
    ) -> Result<Self, Problem> {
        let invoice = &ranked.document.invoice;
        let form = InvoiceForm::of(billing, ctx.keys(), ranked.document);
        let payer = invoice.buyer.party;
        Ok(Self {
            invoice: invoice.id.clone(),
            state: ranked.document.state(),
            payer,
            name: open_name(ctx.keys(), Some(&invoice.buyer.name)),
            currency: invoice.currency,
            net: invoice.net,
            total: invoice.total,
            lines: invoice.lines.len(),
            before: ranked.before,
            difference: ranked.before.map(|_| ranked.difference()),
            rank: ranked.rank(),
            findings: ranked.findings.clone(),
            review: billing.review(ranked.document).map(ReviewForm::of),
            etag: json_tag(&form).map_err(|error| Problem::fault(&error))?,
        })
    }
}

/// What is true of every draft.
fn common(ranked: &[RankedDraft<'_>]) -> Vec<FindingKind> {
    let mut drafts = ranked.iter().filter(|draft| draft.document.issued.is_none());
    let Some(first) = drafts.next() else { return Vec::new() };
    let rest: Vec<_> = drafts.collect();
    let has = |draft: &RankedDraft<'_>, kind| draft.findings.iter().any(|finding| finding.kind == kind);
    let mut kinds: Vec<FindingKind> = first.findings.iter().map(|finding| finding.kind).collect();
    kinds.dedup();
    kinds.retain(|kind| !rest.is_empty() && rest.iter().all(|draft| has(draft, *kind)));
    kinds
}

/// `GET /v1/invoice-runs/{id}/drafts`.
pub(crate) async fn list(
    Authorised(ctx): Authorised,
    Named(run): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<RunDrafts>, Problem> {
    let run = run_named(&run)?;
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<usize>()?.unwrap_or(0));
    let position = query.position(&ctx).await?;
    drafts_of(&ctx, run, position).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let known = view.billing.run(run).ok_or_else(|| unknown_run(&run.to_string()))?;
        let run_etag = json_tag(&RunForm::of(view, known)).map_err(|error| Problem::fault(&error))?;
        let ranked = view.ranked_drafts(run);
        let end = after.saturating_add(limit);
        let next = (ranked.len() > end).then(|| end.to_string());
        let shown = ranked.iter().skip(after).take(limit);
        let items = shown.map(|draft| RankedDraftForm::of(ctx, &view.billing, draft));
        let body = RunDrafts {
            items: items.collect::<Result<_, _>>()?,
            next,
            common: common(&ranked),
            run_etag,
            sequence,
        };
        Ok(HttpAnswer::ok(sequence, body))
    })
    .await
}
