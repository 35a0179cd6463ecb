//! Discounts over REST: which customers have, and codes that are redeemed for them.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::discounts::CustomerDiscount;
use slapledger_core::domain::Command;
use slapledger_core::domain::discount::RedeemDiscountCode;
use slapledger_core::domain::id::{PartyId, PriceBookName, Sequence};
use slapledger_core::domain::pricing::OverrideId;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;

use self::describe::RedemptionWanted;
use super::openapi::schema::List;
use super::query::{self, PlaceOfParty, Query};
use super::usage::local;
use crate::access::Authorised;

/// A discount that a customer has.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DiscountForm {
    customer: PartyId,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Box<str>>,
    /// The code that was redeemed for it, if it needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Box<str>>,
    price_book: PriceBookName,
    version: u32,
    /// Which of its rates, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    /// The price of the customer that takes the place of a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_override: Option<OverrideId>,
    /// When the code was redeemed, or the customer's first instance was allocated.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// When it ends, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// On how many more invoices it is, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoices_left: Option<u32>,
}

impl DiscountForm {
    fn of(discount: CustomerDiscount) -> Self {
        let CustomerDiscount {
            customer,
            price_book,
            version,
            rate,
            price_override,
            item,
            code,
            since,
            until,
            invoices_left,
        } = discount;
        let item = Some(item).filter(|item| !item.is_empty());
        Self { customer, item, code, price_book, version, rate, price_override, since, until, invoices_left }
    }
}

/// A code that a customer redeemed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RedemptionForm {
    customer: PartyId,
    code: Box<str>,
    redeemed_at: Timestamp,
    sequence: Sequence,
}

/// `GET /v1/discounts`: the discounts of customers that are not over.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<DiscountForm>>, Problem> {
    let query = Query::read(&uri, &["customer"])?;
    let customer: Option<PartyId> = query.parse("customer")?;
    let (limit, after) = (query.limit()?, query.cursor::<PlaceOfParty>()?);
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    let now = ctx.now();
    Ok(ctx.billing().read(|view, sequence| {
        let seen = |party: PartyId| {
            customer.is_none_or(|customer| customer == party) && ctx.caller.sees_party(party)
        };
        let page = view.billing.discounts((now, sequence), seen, after.map(|at| at.0), limit);
        let forms = page.items.into_iter().map(DiscountForm::of);
        query::list(forms.collect(), page.next.map(PlaceOfParty), sequence)
    }))
}

/// `POST /v1/discount-codes/redeem`: gives a customer the discounts of a code.
pub(super) async fn redeem(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<RedemptionForm>, Problem> {
    let (sent, wanted) = json_body::read::<RedemptionWanted>(request, json_body::MOST_BYTES).await?;
    let (customer, code): (PartyId, Box<str>) = (wanted.customer.0, wanted.code.0.into());
    let command = Command::RedeemDiscountCode(RedeemDiscountCode { customer, code: code.clone() });
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let read = ctx.billing().read_at(accepted.sequence, |view, at| {
        let (redeemed_at, sequence) = view.billing.redemption(customer, &code)?;
        Some((at, RedemptionForm { customer, code: code.clone(), redeemed_at, sequence }))
    });
    let (at, form) = read.await?.ok_or_else(|| Problem::fault(&"a redeemed code is not known"))?;
    Ok(HttpAnswer::tagged(StatusCode::OK, at, form))
}
