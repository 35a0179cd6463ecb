//! Why lines of invoices say what they say: all that is needed to do their arithmetic again by hand.
//!
//! An explanation is bounded: of a line, the events come in pages; of a document, its lines do. What is explained is
//! for billing to say; here it is shown, with the events as they stand in the log.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::DocumentState;
use slapledger_billing::explain::{CountedFor, Explained, Explanation, TaxExplained};
use slapledger_core::domain::id::{InvoiceId, Sequence};
use slapledger_core::domain::invoice::{DocumentKind, EventSet};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;

use super::invoices::{EventForm, LineForm, find, position_of, unknown_invoice};
use super::log;
use super::query::{Named, Query};
use crate::access::Authorised;

/// A line, explained.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LineExplained {
    invoice: InvoiceId,
    state: DocumentState,
    document: DocumentKind,
    currency: Currency,
    line: LineForm,
    explanation: Explanation,
    /// All events behind it, as the line says.
    events: EventSet,
    items: Vec<ExplainedEvent>,
    next: Option<String>,
    sequence: Sequence,
}

/// An event behind a line, and what of it counts.
#[derive(Serialize, JsonSchema)]
struct ExplainedEvent {
    #[serde(flatten)]
    event: EventForm,
    /// Of usage: the time and the quantity or level that fall to instances in the time of the line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    counted: Vec<CountedFor>,
}

/// A document, explained.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DocumentExplained {
    invoice: InvoiceId,
    state: DocumentState,
    document: DocumentKind,
    currency: Currency,
    items: Vec<ExplainedLine>,
    next: Option<String>,
    /// The sum of all lines.
    net: Amount,
    tax: Vec<TaxExplained>,
    rounding: Amount,
    /// Net, tax and rounding.
    total: Amount,
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
struct ExplainedLine {
    line: LineForm,
    explanation: Explanation,
}

/// `GET /v1/invoices/{id}/explanation`: lines in order, `limit` of them at a time.
pub(super) async fn document(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<DocumentExplained>, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<u32>()?.unwrap_or(0));
    let position = position_of(&ctx, &query, &id).await?;
    let body = ctx.rate(position, move |ctx, view, sequence| {
        find(ctx, view, &id)?;
        let explained = view.explain(&id, after, limit, sequence);
        let Explained { document, lines, more, tax } = explained.ok_or_else(|| unknown_invoice(&id))?;
        let invoice = &document.invoice;
        let next = lines.last().filter(|_| more).map(|(line, _)| line.n.to_string());
        let calendar = view.billing.calendar_of(invoice.buyer.party);
        let items = lines.into_iter().map(|(line, explanation)| ExplainedLine {
            line: LineForm::of(line, invoice.currency, calendar),
            explanation,
        });
        Ok(DocumentExplained {
            invoice: invoice.id.clone(),
            state: document.state(),
            document: invoice.document,
            currency: invoice.currency,
            items: items.collect(),
            next,
            net: invoice.net,
            tax,
            rounding: invoice.rounding,
            total: invoice.total,
            sequence,
        })
    });
    let body = body.await?;
    Ok(HttpAnswer::ok(body.sequence, body))
}

/// `GET /v1/invoices/{id}/lines/{n}/explanation`, with the events behind the line, `limit` of them at a time.
pub(super) async fn line(
    Authorised(ctx): Authorised,
    Named((id, n)): Named<(String, String)>,
    uri: Uri,
) -> Result<HttpAnswer<LineExplained>, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<u64>()?.map_or(Sequence::ZERO, Sequence));
    let no_line = Problem::unknown(ProblemCode::LineUnknown, format!("{id} has no line {n}"));
    let Ok(n) = n.parse::<u32>() else { return Err(no_line) };
    let position = position_of(&ctx, &query, &id).await?;
    let body = ctx.rate(position, move |ctx, view, sequence| {
        let mut counted: BTreeMap<Sequence, Vec<CountedFor>> = BTreeMap::new();
        find(ctx, view, &id)?;
        let (document, line, explanation) = view.explain_line(&id, n, sequence).ok_or(no_line)?;
        // Without those of a document that was issued elsewhere.
        let behind = view.line_events(&id, n).unwrap_or_default();
        let mut rest = behind.into_iter().skip_while(|sequence| *sequence <= after);
        let wanted: Vec<Sequence> = rest.by_ref().take(limit).collect();
        let next = if rest.next().is_some() { wanted.last().map(ToString::to_string) } else { None };
        counted.extend(view.counted(&id, n, &wanted));
        let invoice = &document.invoice;
        let mut body = LineExplained {
            invoice: invoice.id.clone(),
            state: document.state(),
            document: invoice.document,
            currency: invoice.currency,
            line: LineForm::of(line, invoice.currency, view.billing.calendar_of(invoice.buyer.party)),
            explanation,
            events: line.events.clone(),
            items: Vec::new(),
            next,
            sequence,
        };
        let found = log::events(&**ctx.ledger().store(), wanted.into_iter().collect::<BTreeSet<_>>())?;
        body.items = found
            .values()
            .map(|recorded| {
                let counted = counted.remove(&recorded.sequence).unwrap_or_default();
                ExplainedEvent { event: EventForm::of(recorded), counted }
            })
            .collect();
        Ok(body)
    });
    let body = body.await?;
    Ok(HttpAnswer::ok(body.sequence, body))
}
