//! Overrides over REST: prices of one customer that take the place of rates of a book.

use std::borrow::Cow;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use slapledger_billing::KnownOverride;
use slapledger_billing::price_book::{self, RateShown};
use slapledger_core::domain::id::{PartyId, PriceBookName, Sequence};
use slapledger_core::domain::pricing::{EndPriceOverride, OverrideId, PriceOverride, Rate, SetPriceOverride};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;

use super::flag;
use crate::access::Authorised;
use crate::rest::openapi::schema::{self, List};
use crate::rest::query::{self, Named, Query};
use crate::rest::usage::local;

/// A rate, with the fields that it has in a price book.
pub(super) struct RateWanted(pub(super) Rate);

impl<'de> Deserialize<'de> for RateWanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        price_book::parse_rate_json(value.to_string().as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for RateWanted {
    fn schema_name() -> Cow<'static, str> {
        RateShown::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        RateShown::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        RateShown::json_schema(generator)
    }
}

/// A price of one customer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OverrideWanted {
    pub(super) customer: schema::PartyId,
    pub(super) valid_from: schema::Instant,
    /// The instant until which it counts. Default: until somebody ends it.
    pub(super) valid_until: Option<schema::Instant>,
    /// What is charged; its `match` need not name the customer.
    pub(super) rate: RateWanted,
}

/// When it ends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OverrideEnd {
    /// The instant until which it counts. Default: now.
    pub(super) valid_until: Option<schema::Instant>,
}

/// A price of one customer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PriceOverride")]
pub(crate) struct OverrideForm {
    id: OverrideId,
    price_book: PriceBookName,
    customer: PartyId,
    valid_from: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
    rate: RateShown,
    set_at: Timestamp,
    sequence: Sequence,
    /// The event that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<Sequence>,
}

impl OverrideForm {
    fn of(known: &KnownOverride) -> Self {
        let PriceOverride { id, price_book, customer, valid_from, valid_until, rate } = known.now();
        Self {
            id,
            price_book,
            customer,
            valid_from,
            valid_until,
            rate: RateShown::of(&rate),
            set_at: known.at,
            sequence: known.sequence,
            ended_by: known.ended_by(),
        }
    }
}

fn name_of(name: &str) -> Result<PriceBookName, Problem> {
    let unknown =
        || Problem::unknown(ProblemCode::PriceBookUnknown, format!("there is no price book {name}"));
    PriceBookName::new(name).map_err(|_| unknown())
}

/// `GET /v1/price-books/{name}/overrides`, the oldest first: those whose prices the caller may see.
pub(crate) async fn list(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<List<OverrideForm>>, Problem> {
    let query = Query::read(&uri, &["customer"])?;
    let (customer, limit, after) =
        (query.parse::<PartyId>("customer")?, query.limit()?, query.cursor::<OverrideId>()?);
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    ctx.billing().read(|view, sequence| {
        if view.billing.price_book(&name).next().is_none() {
            let detail = format!("there is no price book {name}");
            return Err(Problem::unknown(ProblemCode::PriceBookUnknown, detail));
        }
        let seen = |party: PartyId| {
            customer.is_none_or(|customer| customer == party) && ctx.caller.sees_prices_of(party)
        };
        let codes = ctx.caller.sees_codes();
        let all = view.billing.overrides_of(&name, seen, after);
        let mut rest = all.filter(|known| codes || known.code().is_none());
        let items: Vec<&KnownOverride> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let next = items.last().filter(|_| more).map(|known| known.id());
        Ok(query::list(items.into_iter().map(OverrideForm::of).collect(), next, sequence))
    })
}

/// `POST /v1/price-books/{name}/overrides`.
pub(crate) async fn set(
    Authorised(ctx): Authorised,
    Named(name): Named<String>,
    uri: Uri,
    request: Request,
) -> Result<HttpAnswer<OverrideForm>, Problem> {
    let retroactive = flag(&Query::read(&uri, &["retroactive"])?, "retroactive")?;
    let price_book = name_of(&name)?;
    let (sent, wanted) = json_body::read::<OverrideWanted>(request, json_body::MOST_BYTES).await?;
    let command = Command::SetPriceOverride(SetPriceOverride {
        price_book,
        customer: wanted.customer.0,
        valid_from: wanted.valid_from.0,
        valid_until: wanted.valid_until.map(|until| until.0),
        rate: Box::new(wanted.rate.0),
        retroactive,
    });
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &content(&sent.content(), retroactive))?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let (at, form) = shown(&ctx, &accepted.answer, accepted.sequence).await?;
    Ok(HttpAnswer::new(StatusCode::CREATED, at, form))
}

/// `POST /v1/price-books/{name}/overrides/{id}/end`.
pub(crate) async fn end(
    Authorised(ctx): Authorised,
    Named((name, id)): Named<(String, String)>,
    uri: Uri,
    request: Request,
) -> Result<HttpAnswer<OverrideForm>, Problem> {
    let retroactive = flag(&Query::read(&uri, &["retroactive"])?, "retroactive")?;
    let price_book = name_of(&name)?;
    let id: OverrideId = id.parse().map_err(|_| {
        Problem::unknown(ProblemCode::OverrideUnknown, format!("price book {name} has no override {id}"))
    })?;
    let (sent, OverrideEnd { valid_until }) =
        json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let valid_until = valid_until.map(|until| until.0);
    let command = Command::EndPriceOverride(EndPriceOverride { price_book, id, valid_until, retroactive });
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &content(&sent.content(), retroactive))?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let (at, form) = shown(&ctx, &accepted.answer, accepted.sequence).await?;
    Ok(HttpAnswer::ok(at, form))
}

/// What a request says, for its idempotency key.
fn content<'s>(sent: &[&'s [u8]], retroactive: bool) -> Vec<&'s [u8]> {
    let flag: &[u8] = if retroactive { b"retroactive" } else { b"" };
    sent.iter().copied().chain([flag]).collect()
}

async fn shown(
    ctx: &RequestContext,
    answer: &Answer,
    min: Sequence,
) -> Result<(Sequence, OverrideForm), Problem> {
    let Answer::PriceOverride(id) = *answer else {
        return Err(Problem::fault(&"an override was answered with something else"));
    };
    let read = ctx
        .billing()
        .read_at(min, |view, at| view.billing.price_override(id).map(|known| (at, OverrideForm::of(known))));
    read.await?.ok_or_else(|| Problem::fault(&format!("{id} is not in the billing view")))
}
