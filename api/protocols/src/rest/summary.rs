//! `GET /v1/invoice-summary`: what a period came to beside another one, of the documents that the caller may see.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::summary::{CustomerSummary, LinePurpose, PeriodSummary};
use slapledger_billing::{BillingView, Document};
use slapledger_core::domain::id::{InvoiceId, PartyId, ResourceId, Sequence};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::keyring::KeyRing;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_usecases::invoicing::open_name;

use super::invoices;
use super::period::period_in;
use super::query::Query;
use crate::access::Authorised;

/// The most customers that are named; the rest is one sum.
const MOST_CUSTOMERS: usize = 200;

/// What two periods came to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SummaryForm {
    /// One for each currency.
    books: Vec<CurrencySummaryForm>,
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
struct CurrencySummaryForm {
    currency: Currency,
    /// All documents of the period, with tax; credit notes count below zero.
    total: Amount,
    /// All of the earlier one.
    before: Amount,
    /// What that is more.
    change: Amount,
    /// What is left to be paid of those of the period.
    due: Amount,
    documents: u64,
    /// How many of them are drafts.
    drafts: u64,
    documents_before: u64,
    /// The largest growth first, at most 200.
    customers: Vec<CustomerSummaryForm>,
    /// All others together.
    others: Option<OtherCustomersForm>,
    /// What the lines of the period are for, the largest first; without tax.
    parts: Vec<PurposeForm>,
}

#[derive(Serialize, JsonSchema)]
struct CustomerSummaryForm {
    payer: PartyId,
    name: String,
    total: Amount,
    before: Amount,
    change: Amount,
    documents: u64,
    /// Its first document that is final.
    document: Option<InvoiceId>,
}

#[derive(Serialize, JsonSchema)]
struct OtherCustomersForm {
    customers: usize,
    total: Amount,
    before: Amount,
    change: Amount,
}

/// What lines are for: a fee by its unit, usage by its resource, or the kind of line.
#[derive(Serialize, JsonSchema)]
struct PurposeForm {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceId>,
    amount: Amount,
}

impl PurposeForm {
    fn of((purpose, amount): (LinePurpose, Amount)) -> Self {
        let (kind, unit, resource) = match purpose {
            LinePurpose::Fee(unit) => ("recurring", Some(unit), None),
            LinePurpose::Usage(resource) => ("usage", None, Some(resource)),
            LinePurpose::Other(kind) => (kind, None, None),
        };
        Self { kind, unit, resource, amount }
    }
}

fn more(now: Amount, before: Amount, currency: Currency) -> Amount {
    Amount::from_minor(now.minor() - before.minor(), currency)
}

impl CurrencySummaryForm {
    fn of(view: &BillingView, keys: &KeyRing, told: PeriodSummary) -> Self {
        let PeriodSummary { currency, total, before, due, documents, documents_before, customers, parts } =
            told;
        let rest = customers.get(MOST_CUSTOMERS..).unwrap_or_default();
        let sum = |of: fn(&CustomerSummary) -> Amount| {
            Amount::from_minor(rest.iter().map(|customer| of(customer).minor()).sum(), currency)
        };
        let (others_now, others_before) = (sum(|customer| customer.now), sum(|customer| customer.before));
        let others = (!rest.is_empty()).then(|| OtherCustomersForm {
            customers: rest.len(),
            total: others_now,
            before: others_before,
            change: more(others_now, others_before, currency),
        });
        let customers = customers.into_iter().take(MOST_CUSTOMERS).map(|customer| CustomerSummaryForm {
            payer: customer.payer,
            name: open_name(keys, view.billing.party(customer.payer).map(|party| &party.name)),
            total: customer.now,
            before: customer.before,
            change: more(customer.now, customer.before, currency),
            documents: customer.documents,
            document: customer.first,
        });
        Self {
            currency,
            total,
            before,
            change: more(total, before, currency),
            due,
            documents: documents.0,
            drafts: documents.1,
            documents_before,
            customers: customers.collect(),
            others,
            parts: parts.into_iter().map(PurposeForm::of).collect(),
        }
    }
}

/// `GET /v1/invoice-summary`.
pub(super) async fn summary(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<SummaryForm>, Problem> {
    let query = Query::read(&uri, &["period", "before"])?;
    let periods = (period_in(&query, "period")?, period_in(&query, "before")?);
    let position = query.position(&ctx).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let shown = |document: &Document| invoices::sees(ctx, document);
        let books = view.billing.summary(periods, shown);
        let books = books.into_iter().map(|told| CurrencySummaryForm::of(view, ctx.keys(), told)).collect();
        Ok(HttpAnswer::ok(sequence, SummaryForm { books, sequence }))
    })
    .await
}
