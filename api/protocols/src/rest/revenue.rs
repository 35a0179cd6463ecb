//! Reports over documents: `GET /v1/revenue`, and `GET /v1/invoice-comparison` of two periods.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::revenue::{CustomerComparison, Revenue, RevenueBy, RevenueSource};
use slapledger_core::domain::id::{PartyId, Sequence};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::problem::Problem;
use slapledger_usecases::invoicing::open_name;

use super::openapi::schema::List;
use super::period::{period, period_in};
use super::query::{self, Query};
use crate::access::Authorised;

/// A part of the revenue of a period.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RevenueForm {
    /// The customer, software release or computer; null for lines about no instance.
    id: Option<String>,
    /// The name of a customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    currency: Currency,
    /// Without tax; credit notes count below zero.
    net: Amount,
    /// How many lines of documents it is the sum of.
    lines: u64,
}

/// What a customer was invoiced for two periods.
#[derive(Serialize, JsonSchema)]
pub(crate) struct InvoiceChangeForm {
    payer: PartyId,
    name: String,
    currency: Currency,
    before: Amount,
    after: Amount,
    /// What that is more.
    difference: Amount,
    /// Whether some of it is drafts.
    drafts: bool,
}

fn by(query: &Query) -> Result<RevenueBy, Problem> {
    match query.text("by") {
        Some("customer") => Ok(RevenueBy::Customer),
        Some("software") => Ok(RevenueBy::Software),
        Some("computer") => Ok(RevenueBy::Computer),
        Some(_) => Err(Problem::field("by", "must be customer, software or computer")),
        None => Err(Problem::field("by", "is missing; it must be customer, software or computer")),
    }
}

/// A page of a list whose order is that of its amounts: the cursor is how many items came before.
fn page<T, F>(
    all: Vec<T>,
    (limit, after): (usize, usize),
    sequence: Sequence,
    form: impl FnMut(T) -> F,
) -> HttpAnswer<List<F>> {
    let end = after.saturating_add(limit);
    let next = (all.len() > end).then_some(end);
    let items = all.into_iter().skip(after).take(limit).map(form).collect();
    query::list(items, next, sequence)
}

/// `GET /v1/revenue`: of final documents; the largest first.
pub(super) async fn revenue(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<RevenueForm>>, Problem> {
    let query = Query::read(&uri, &["by", "period", "seller"])?;
    let (by, period) = (by(&query)?, period(&query)?);
    let seller: Option<PartyId> = query.parse("seller")?;
    let place = (query.limit()?, query.cursor::<usize>()?.unwrap_or(0));
    let position = query.position(&ctx).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let billing = &view.billing;
        let all = billing.revenue(by, period, seller);
        Ok(page(all, place, sequence, |Revenue { source, currency, net, lines }| {
            let (id, name) = match source {
                RevenueSource::Customer(payer) => {
                    let name = open_name(ctx.keys(), billing.party(payer).map(|party| &party.name));
                    (Some(payer.to_string()), Some(name))
                }
                RevenueSource::Software(release) => (Some(release.to_string()), None),
                RevenueSource::Computer(computer) => (Some(computer.to_string()), None),
                RevenueSource::Other => (None, None),
            };
            RevenueForm { id, name, currency, net, lines }
        }))
    })
    .await
}

/// `GET /v1/invoice-comparison`: the largest change first.
pub(super) async fn compare(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<InvoiceChangeForm>>, Problem> {
    let query = Query::read(&uri, &["before", "after", "seller"])?;
    let periods = (period_in(&query, "before")?, period_in(&query, "after")?);
    let seller: Option<PartyId> = query.parse("seller")?;
    let place = (query.limit()?, query.cursor::<usize>()?.unwrap_or(0));
    let position = query.position(&ctx).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let billing = &view.billing;
        let all = billing.compare_periods(periods, seller);
        Ok(page(all, place, sequence, |change| {
            let CustomerComparison { payer, currency, before, after, difference, drafts } = change;
            let name = open_name(ctx.keys(), billing.party(payer).map(|party| &party.name));
            InvoiceChangeForm { payer, name, currency, before, after, difference, drafts }
        }))
    })
    .await
}
