//! `GET /v1/invoice-runs/{id}/diff`: the lines of a run that would be others if it were opened now, and why.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::Billing;
use slapledger_billing::diff::LineDiff;
use slapledger_core::domain::id::{InvoiceId, PartyId, Sequence};
use slapledger_core::domain::invoice::{EventSet, InvoiceLine};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;

use super::invoices::runs::{run_named, unknown_run};
use super::invoices::{EventForm, LineForm, drafts_missing};
use super::log;
use super::openapi::schema::List;
use super::query::{self, Named, PlaceOfParty, Query};
use crate::access::Authorised;

/// A line that would be another.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DiffForm {
    payer: PartyId,
    /// The document of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice: Option<InvoiceId>,
    /// The line as it stands, as something charged; none, if there was none.
    then: Option<LineForm>,
    /// The line as it would be; none, if it would not be there.
    now: Option<LineForm>,
    /// What it would be more.
    difference: Amount,
    /// The events that came since and make it so.
    events: EventSet,
    /// The first ten of them.
    causes: Vec<EventForm>,
    /// The versions of the price book that were published since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<VersionSince>,
}

/// A version of a price book that was published since.
#[derive(Serialize, JsonSchema)]
struct VersionSince {
    version: u32,
    sequence: Sequence,
}

impl DiffForm {
    fn of(billing: &Billing, diff: &LineDiff, currency: Currency) -> Self {
        let calendar = billing.calendar_of(diff.payer);
        let shown =
            |line: &Option<InvoiceLine>| line.as_ref().map(|line| LineForm::of(line, currency, calendar));
        let versions = diff.versions.iter();
        Self {
            payer: diff.payer,
            invoice: diff.invoice.clone(),
            then: shown(&diff.then),
            now: shown(&diff.now),
            difference: diff.difference,
            events: diff.events.clone(),
            causes: Vec::new(),
            versions: versions
                .map(|(version, sequence)| VersionSince { version: *version, sequence: *sequence })
                .collect(),
        }
    }
}

/// `GET /v1/invoice-runs/{id}/diff`.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    Named(run): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<List<DiffForm>>, Problem> {
    let run = run_named(&run)?;
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<PlaceOfParty>()?);
    let position = query.position(&ctx).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        if view.is_drafting(run) {
            return Err(drafts_missing(run));
        }
        let page = view.diff(run, sequence, after.map(|at| at.0), limit);
        let page = page.ok_or_else(|| unknown_run(&run.to_string()))?;
        let book = view.billing.run(run).map(|run| run.opened.price_book.as_str()).unwrap_or_default();
        let currency = view.billing.price_book(book).last().map(|published| published.book.currency);
        let currency = currency.ok_or_else(|| Problem::fault(&format!("{run} has no price book")))?;
        let forms = page.items.iter().map(|diff| DiffForm::of(&view.billing, diff, currency));
        let forms: Vec<DiffForm> = forms.collect();
        let sequences: Vec<Vec<Sequence>> = page.items.into_iter().map(|diff| diff.sequences).collect();
        let next = page.next.map(PlaceOfParty);
        let wanted: BTreeSet<Sequence> = sequences.iter().flatten().copied().collect();
        let found = log::events(&**ctx.ledger().store(), wanted)?;
        let items = forms.into_iter().zip(sequences).map(|(form, sequences)| {
            let causes = sequences.iter().filter_map(|sequence| found.get(sequence)).map(EventForm::of);
            DiffForm { causes: causes.collect(), ..form }
        });
        Ok(query::list(items.collect(), next, sequence))
    })
    .await
}
