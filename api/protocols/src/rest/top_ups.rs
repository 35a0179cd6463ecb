//! Top-ups of prepaid credit over REST: when more is requested, what was, and when credit runs out.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::extract::Request;
use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::CustomerTopUp;
use slapledger_billing::forecast::CreditForecast;
use slapledger_core::domain::Command;
use slapledger_core::domain::id::{PartyId, PriceBookName, Sequence};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::top_up::{SetTopUp, TopUpRequested};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;

use self::describe::TopUpWanted;
use super::parties::{named, unknown};
use super::preview::book;
use super::query::{self, Named, Query};
use super::usage::local;
use crate::access::Authorised;

/// The most requests that are shown of a top-up.
const MOST_REQUESTS: usize = 100;

/// The top-ups of a customer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TopUpsForm {
    customer: PartyId,
    top_ups: Vec<TopUpForm>,
}

/// When more prepaid credit is requested.
#[derive(Serialize, JsonSchema)]
struct TopUpForm {
    seller: PartyId,
    currency: Currency,
    /// More is requested when the balance falls below this; never, if it is zero.
    threshold: Amount,
    /// How much.
    amount: Amount,
    /// What is left of the credits that have not expired.
    balance: Amount,
    /// Whether more was requested, and the balance is still below.
    requested: bool,
    /// The last hundred requests, the newest first.
    requests: Vec<TopUpRequestForm>,
}

/// A request for more prepaid credit.
#[derive(Serialize, JsonSchema)]
struct TopUpRequestForm {
    /// What was left.
    balance: Amount,
    amount: Amount,
    at: Timestamp,
    sequence: Sequence,
}

impl TopUpForm {
    fn of(known: &CustomerTopUp<'_>) -> Self {
        let CustomerTopUp { owner: (seller, _, currency), top_up, balance, requests } = *known;
        let newest = requests.iter().rev().take(MOST_REQUESTS);
        let requests = newest.map(|(TopUpRequested { balance, amount, at, .. }, sequence)| {
            TopUpRequestForm { balance: *balance, amount: *amount, at: *at, sequence: *sequence }
        });
        Self {
            seller,
            currency,
            threshold: top_up.threshold,
            amount: top_up.amount,
            balance,
            requested: top_up.requested,
            requests: requests.collect(),
        }
    }
}

/// `PUT /v1/parties/{id}/top-up`: when more prepaid credit is requested.
pub(super) async fn set(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<TopUpsForm>, Problem> {
    let customer = named(&id)?;
    let (sent, wanted) = json_body::read::<TopUpWanted>(request, json_body::MOST_BYTES).await?;
    let currency = wanted.currency.0;
    let command = Command::SetTopUp(SetTopUp {
        seller: wanted.seller.map_or(FIRST_PARTY, Into::into),
        customer,
        currency,
        threshold: wanted.threshold.of("threshold", currency)?,
        amount: wanted.amount.of("amount", currency)?,
    });
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let (at, form) = shown(&ctx, customer, accepted.sequence).await?;
    Ok(HttpAnswer::ok(at, form))
}

/// `GET /v1/parties/{id}/top-up`.
pub(super) async fn show(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<TopUpsForm>, Problem> {
    let customer = named(&id)?;
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let (at, form) = shown(&ctx, customer, position).await?;
    Ok(HttpAnswer::resource(at, form))
}

async fn shown(
    ctx: &RequestContext,
    customer: PartyId,
    min: Sequence,
) -> Result<(Sequence, TopUpsForm), Problem> {
    let now = ctx.now();
    let read = ctx.billing().read_at(min, |view, at| {
        view.billing.party(customer).filter(|_| ctx.caller.sees_party(customer))?;
        let top_ups =
            view.billing.top_ups(customer, now).into_iter().map(|known| TopUpForm::of(&known)).collect();
        Some((at, TopUpsForm { customer, top_ups }))
    });
    read.await?.ok_or_else(|| unknown(&customer.to_string()))
}

/// When prepaid credit runs out.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ForecastForm {
    customer: PartyId,
    seller: PartyId,
    currency: Currency,
    /// What is left of the credits that have not expired.
    balance: Amount,
    /// The time that the rate is taken from: this month, as far as it is not invoiced.
    period: Period,
    /// What is charged for it, with tax.
    charged: Amount,
    /// What of that is to be paid yet: fees in advance were charged before.
    uninvoiced: Amount,
    /// What is charged in a day.
    per_day: Amount,
    /// When nothing is left; null, if that is more than a hundred years away.
    runs_out_at: Option<Timestamp>,
    /// What this assumes.
    assumes: [&'static str; 4],
}

const ASSUMES: [&str; 4] = [
    "charges go on at the rate of the part of this month that is not invoiced, with its tax",
    "what is charged is paid at once, not when the next document is issued",
    "credits pay by priority, expiry and age, and what is left at expiry is lost",
    "no credit is granted or withdrawn, and open invoices stay as they are",
];

/// `GET /v1/parties/{id}/credit-forecast`: computed when it is asked for; nothing is recorded.
pub(super) async fn forecast(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<ForecastForm>, Problem> {
    let customer = named(&id)?;
    let query = Query::read(&uri, &["seller", "price_book"])?;
    let seller: PartyId = query.parse("seller")?.unwrap_or(FIRST_PARTY);
    let named: Option<PriceBookName> = query.parse("price_book")?;
    let position = query.position(&ctx).await?;
    ctx.rate(position, move |ctx, view, sequence| {
        let known = view.billing.party(customer).filter(|_| ctx.caller.sees_party(customer));
        known.ok_or_else(|| unknown(&customer.to_string()))?;
        let price_book = book(view, named)?;
        let found = view.credit_forecast((seller, customer), &price_book, (sequence, ctx.now()));
        let found = found.ok_or_else(|| {
            Problem::not_found(
                "all of this month until now is invoiced: there is no rate to forecast from yet",
            )
        })?;
        let CreditForecast { balance, period, charged, uninvoiced, per_day, runs_out_at } = found;
        let currency = view.billing.price_book(price_book.as_str()).next().map(|first| first.book.currency);
        let currency = currency.ok_or_else(|| Problem::not_found("there is no such price book"))?;
        Ok(HttpAnswer::ok(
            sequence,
            ForecastForm {
                customer,
                seller,
                currency,
                balance,
                period,
                charged,
                uninvoiced,
                per_day,
                runs_out_at,
                assumes: ASSUMES,
            },
        ))
    })
    .await
}
