//! Prepaid credit and one-off charges over REST: what a customer paid before, and what is charged or given by hand.

pub(super) mod describe;
#[cfg(test)]
mod tests;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::{Billing, Charge, PrepaidCredit};
use slapledger_core::domain::charge::{ChargeId, RecordCharge};
use slapledger_core::domain::credit::{CreditId, CreditKind, GrantCredit, PRIORITY, WithdrawCredit};
use slapledger_core::domain::id::{InvoiceId, PartyId, Sequence};
use slapledger_core::domain::invoice::LineRef;
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;

use self::describe::{ChargeWanted, CreditWanted, Withdrawal};
use super::openapi::schema::List;
use super::query::{self, Named, Query};
use super::usage::local;
use crate::access::Authorised;

/// A prepaid credit.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CreditForm {
    id: CreditId,
    seller: PartyId,
    customer: PartyId,
    currency: Currency,
    amount: Amount,
    /// What no invoice has used, and nobody has taken back.
    left: Amount,
    description: Box<str>,
    kind: CreditKind,
    /// Lower ones pay first.
    priority: u8,
    /// From when on it pays nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    granted_at: Timestamp,
    sequence: Sequence,
}

impl CreditForm {
    fn of(credit: PrepaidCredit<'_>) -> Self {
        let PrepaidCredit { granted, sequence, left } = credit;
        Self {
            id: granted.credit,
            seller: granted.seller,
            customer: granted.customer,
            currency: granted.currency,
            amount: granted.amount,
            left,
            description: granted.description.clone(),
            kind: granted.kind,
            priority: granted.priority,
            expires_at: granted.expires_at,
            granted_at: granted.at,
            sequence,
        }
    }
}

/// What becomes of a charge.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChargeState {
    /// It is on the next document.
    Open,
    /// A document has it.
    Invoiced,
    /// No document will have it: what it corrects is void.
    Dropped,
}

/// Something charged or given by hand.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChargeForm {
    id: ChargeId,
    seller: PartyId,
    customer: PartyId,
    currency: Currency,
    /// Below zero, if it is given.
    amount: Amount,
    description: Box<str>,
    /// The line it corrects.
    #[serde(skip_serializing_if = "Option::is_none")]
    cites: Option<LineRef>,
    /// Whether a document has it, or will have it.
    state: ChargeState,
    /// The document that has it; until then it is on the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice: Option<InvoiceId>,
    recorded_at: Timestamp,
    sequence: Sequence,
}

impl ChargeForm {
    fn of(billing: &Billing, charge: &Charge) -> Self {
        let recorded = &charge.recorded;
        let state = match &charge.invoice {
            Some(_) => ChargeState::Invoiced,
            None if billing.is_dropped(charge) => ChargeState::Dropped,
            None => ChargeState::Open,
        };
        Self {
            id: recorded.charge,
            seller: recorded.seller,
            customer: recorded.customer,
            currency: recorded.currency,
            amount: recorded.amount,
            description: recorded.description.clone(),
            cites: recorded.cites.clone(),
            state,
            invoice: charge.invoice.clone(),
            recorded_at: recorded.at,
            sequence: charge.sequence,
        }
    }
}

/// `POST /v1/credits`: a customer has paid before.
pub(super) async fn grant(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<CreditForm>, Problem> {
    let (sent, wanted) = json_body::read::<CreditWanted>(request, json_body::MOST_BYTES).await?;
    let currency = wanted.currency.0;
    let command = Command::GrantCredit(GrantCredit {
        seller: wanted.seller.map_or(FIRST_PARTY, Into::into),
        customer: wanted.customer.0,
        currency,
        amount: wanted.amount.of("amount", currency)?,
        description: wanted.description.0.into(),
        kind: wanted.kind.map_or_else(CreditKind::default, Into::into),
        priority: wanted.priority.unwrap_or(PRIORITY),
        expires_at: wanted.expires_at.map(|expiry| expiry.0),
    });
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let Answer::Credit(credit) = accepted.answer else {
        return Err(Problem::fault(&"a credit was answered with something else"));
    };
    let (at, form) = credit_at(&ctx, credit, accepted.sequence).await?;
    let answer = HttpAnswer::tagged(StatusCode::CREATED, at, form);
    Ok(answer.located(&format!("/v1/credits/{credit}")))
}

/// `POST /v1/credits/{id}/withdraw`: takes back what is left.
pub(super) async fn withdraw(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<CreditForm>, Problem> {
    let credit: CreditId = id.parse().map_err(|_| no_credit(&id))?;
    let (sent, Withdrawal { reason }) = json_body::read(request, json_body::MOST_BYTES).await?;
    let command = Command::WithdrawCredit(WithdrawCredit { credit, reason: reason.0.into() });
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let (at, form) = credit_at(&ctx, credit, accepted.sequence).await?;
    Ok(HttpAnswer::tagged(StatusCode::OK, at, form))
}

/// `GET /v1/credits/{id}`.
pub(super) async fn credit(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<CreditForm>, Problem> {
    let credit = id.parse().map_err(|_| no_credit(&id))?;
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let (at, form) = credit_at(&ctx, credit, position).await?;
    Ok(HttpAnswer::resource(at, form))
}

async fn credit_at(
    ctx: &RequestContext,
    credit: CreditId,
    min: Sequence,
) -> Result<(Sequence, CreditForm), Problem> {
    let read = ctx.billing().read_at(min, |view, at| {
        let known =
            view.billing.credit(credit).filter(|known| ctx.caller.sees_party(known.granted.customer))?;
        Some((at, CreditForm::of(known)))
    });
    read.await?.ok_or_else(|| no_credit(&credit.to_string()))
}

fn no_credit(id: &str) -> Problem {
    Problem::unknown(ProblemCode::CreditUnknown, format!("there is no credit {id}"))
}

/// `GET /v1/credits`, the oldest first.
pub(super) async fn credits(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<CreditForm>>, Problem> {
    let query = Query::read(&uri, &["customer"])?;
    let (customer, limit, after) = (query.parse("customer")?, query.limit()?, query.cursor::<CreditId>()?);
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    Ok(ctx.billing().read(|view, sequence| {
        let page = view.billing.credits(customer, |party| ctx.caller.sees_party(party), after, limit);
        query::list(page.items.into_iter().map(CreditForm::of).collect(), page.next, sequence)
    }))
}

/// `POST /v1/charges`: something is to be on the next invoice.
pub(super) async fn record(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<ChargeForm>, Problem> {
    let (sent, wanted) = json_body::read::<ChargeWanted>(request, json_body::MOST_BYTES).await?;
    let currency = wanted.currency.0;
    let command = Command::RecordCharge(RecordCharge {
        seller: wanted.seller.map_or(FIRST_PARTY, Into::into),
        customer: wanted.customer.0,
        currency,
        amount: wanted.amount.of("amount", currency)?,
        description: wanted.description.0.into(),
        cites: None,
        as_of: None,
    });
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let Answer::Charge(charge) = accepted.answer else {
        return Err(Problem::fault(&"a charge was answered with something else"));
    };
    let (at, form) = charge_at(&ctx, charge, accepted.sequence).await?;
    let answer = HttpAnswer::tagged(StatusCode::CREATED, at, form);
    Ok(answer.located(&format!("/v1/charges/{charge}")))
}

/// `GET /v1/charges/{id}`.
pub(super) async fn charge(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<ChargeForm>, Problem> {
    let charge = id.parse().map_err(|_| no_charge(&id))?;
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let (at, form) = charge_at(&ctx, charge, position).await?;
    Ok(HttpAnswer::resource(at, form))
}

async fn charge_at(
    ctx: &RequestContext,
    charge: ChargeId,
    min: Sequence,
) -> Result<(Sequence, ChargeForm), Problem> {
    let read = ctx.billing().read_at(min, |view, at| {
        let known = view.billing.charge(charge);
        let known = known.filter(|known| ctx.caller.sees_party(known.recorded.customer))?;
        Some((at, ChargeForm::of(&view.billing, known)))
    });
    read.await?.ok_or_else(|| no_charge(&charge.to_string()))
}

fn no_charge(id: &str) -> Problem {
    Problem::not_found(format!("there is no charge {id}"))
}

/// `GET /v1/charges`, the oldest first.
pub(super) async fn charges(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<ChargeForm>>, Problem> {
    let query = Query::read(&uri, &["customer"])?;
    let (customer, limit, after) = (query.parse("customer")?, query.limit()?, query.cursor::<ChargeId>()?);
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    Ok(ctx.billing().read(|view, sequence| {
        let page = view.billing.charges(customer, |party| ctx.caller.sees_party(party), after, limit);
        let forms = page.items.into_iter().map(|charge| ChargeForm::of(&view.billing, charge));
        query::list(forms.collect(), page.next, sequence)
    }))
}
