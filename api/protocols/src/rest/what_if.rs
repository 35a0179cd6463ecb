//! `POST /v1/what-if`: what a period would have cost by prices that are not published, customer by customer. Nothing is
//! recorded.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::extract::Request;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::Billing;
use slapledger_billing::what_if::{Compared, LineGroup, Sides, WhatIf};
use slapledger_core::domain::id::{PartyId, PriceBookName, ResourceId, Sequence};
use slapledger_core::domain::invoice::RunPeriod;
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::keyring::KeyRing;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::invoicing::open_name;

use super::invoices::runs::WarningForm;
use super::openapi::schema;
use super::period::period;
use super::prices;
use super::query::{self, Query};
use super::usage::local;
use crate::access::Authorised;

/// Some customers, by both prices.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Comparison {
    /// The prices that are not published.
    price_book: PriceBookName,
    /// The published ones they are compared with.
    against: PriceBookName,
    currency: Currency,
    #[schemars(with = "schema::RunPeriodBody")]
    period: RunPeriod,
    items: Vec<CustomerForm>,
    /// The sum of the items of this answer.
    #[serde(flatten)]
    sum: BothPrices,
    next: Option<String>,
    sequence: Sequence,
}

/// A customer, by both prices.
#[derive(Serialize, JsonSchema)]
struct CustomerForm {
    payer: PartyId,
    name: String,
    #[serde(flatten)]
    sides: BothPrices,
    /// By kind of line and resource, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<GroupForm>,
    /// What the other prices do not charge, and the published ones do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningForm>,
    /// How many more there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings_left_out: Option<u64>,
}

/// What something comes to, by the published prices and by the others.
#[derive(Serialize, JsonSchema)]
struct BothPrices {
    now: Amount,
    what_if: Amount,
    /// What that is more.
    difference: Amount,
}

impl From<Sides> for BothPrices {
    fn from(Sides { now, what_if, difference }: Sides) -> Self {
        Self { now, what_if, difference }
    }
}

/// Lines that are told together.
#[derive(Serialize, JsonSchema)]
struct GroupForm {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceId>,
    /// What the fee is for, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Box<str>>,
    #[serde(flatten)]
    sides: BothPrices,
}

impl CustomerForm {
    fn of(billing: &Billing, keys: &KeyRing, compared: Compared) -> Self {
        let Compared { payer, sides, lines, warnings, warnings_left_out } = compared;
        let name = open_name(keys, billing.party(payer).map(|party| &party.name));
        let group = |(LineGroup { kind, resource, item }, sides): (LineGroup, Sides)| GroupForm {
            kind,
            resource,
            item,
            sides: sides.into(),
        };
        let lines = lines.into_iter().map(group).collect();
        let warnings = warnings.into_iter().map(WarningForm::of).collect();
        let warnings_left_out = Some(warnings_left_out).filter(|more| *more > 0);
        Self { payer, name, sides: sides.into(), lines, warnings, warnings_left_out }
    }
}

/// `POST /v1/what-if`.
pub(super) async fn compare(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<Comparison>, Problem> {
    let query = Query::read(request.uri(), &["period", "against", "lines"])?;
    let period = period(&query)?;
    let by_line = match query.text("lines") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::field("lines", "must be true or false")),
    };
    let against: Option<PriceBookName> = query.parse("against")?;
    let (limit, after) = (query.limit()?, query.cursor::<PartyId>()?);
    let (headers, body, book) = prices::read_book(request).await?;
    // Nothing is recorded under a name; one that could be none is an error all the same.
    query::meta(&ctx, local(&ctx), &headers, &[b"/v1/what-if", &body])?;
    let position = query.position(&ctx).await?;
    let body = ctx.rate(position, move |ctx, view, sequence| {
        let against = against.unwrap_or_else(|| book.name.clone());
        let Some(published) = view.billing.price_book(against.as_str()).last() else {
            let detail = format!("there is no published price book {against} to compare with");
            let problem = Problem::unknown(ProblemCode::PriceBookUnknown, detail);
            return Err(Problem { field: Some("against".into()), ..problem });
        };
        let currency = published.book.currency;
        let other = || {
            let rule = format!("must be {currency}, as that of {against}: amounts are compared");
            Problem::field("currency", rule)
        };
        let asked =
            WhatIf { seller: FIRST_PARTY, period, book: &book, against: &against, by_line, as_of: sequence };
        let page = view.what_if(asked, after, limit).ok_or_else(other)?;
        let nothing = Amount::zero(currency);
        let none = Sides { now: nothing, what_if: nothing, difference: nothing };
        let sum = page.items.iter().try_fold(none, |sum, compared| sum.plus(compared.sides));
        let sum = sum.ok_or_else(|| Problem::fault(&"a sum of amounts has too many digits"))?;
        let items =
            page.items.into_iter().map(|compared| CustomerForm::of(&view.billing, ctx.keys(), compared));
        let (items, next) = (items.collect(), page.next.map(|next| next.to_string()));
        let price_book = book.name.clone();
        let sum = sum.into();
        Ok(Comparison { price_book, against, currency, period, items, sum, next, sequence })
    });
    let body = body.await?;
    Ok(HttpAnswer::ok(body.sequence, body))
}
