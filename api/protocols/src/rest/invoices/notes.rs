//! Credit notes over REST: lines given back, invoices voided, lines corrected.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::LineCorrection;
use slapledger_core::domain::charge::{ChargeId, MAX_DESCRIPTION, RecordCharge};
use slapledger_core::domain::id::{InvoiceId, Sequence};
use slapledger_core::domain::invoice::{DocumentKind, GiveBack, HowMuch, LineRef};
use slapledger_core::domain::money::Currency;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::body::ReceivedRequest;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing;

use super::describe::{Correction, Credited, LineCredited, Voided};
use super::{InvoiceForm, unknown_invoice};
use crate::access::Authorised;
use crate::rest::openapi::schema;
use crate::rest::query::{self, Named};
use crate::rest::usage::local;

/// What is known of a final invoice before something of it is given back.
struct Known {
    id: InvoiceId,
    currency: Currency,
    document: DocumentKind,
}

async fn known(ctx: &RequestContext, id: &str) -> Result<Known, Problem> {
    let head = ctx.ledger().head().last;
    let read = ctx.billing().read_at(head, |view, _| {
        let document = view.billing.document(id).filter(|document| document.issued.is_some())?;
        let invoice = &document.invoice;
        Some(Known { id: invoice.id.clone(), currency: invoice.currency, document: invoice.document })
    });
    read.await?.ok_or_else(|| {
        Problem::unknown(ProblemCode::InvoiceUnknown, format!("there is no final invoice {id}"))
    })
}

/// `POST /v1/invoices/{id}/credit`: gives lines back, whole or in part.
pub(crate) async fn credit(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    let currency = known(&ctx, &id).await?.currency;
    let (sent, credited) = json_body::read::<Credited>(request, json_body::MOST_BYTES).await?;
    let how_much = |(at, line): (usize, LineCredited)| {
        let Some(amount) = line.amount else { return Ok((line.n, HowMuch::Rest)) };
        Ok((line.n, HowMuch::Amount(amount.of(format!("lines[{at}].amount"), currency)?)))
    };
    let lines = credited.lines.into_iter().enumerate().map(how_much);
    let give_back = GiveBack::Lines(lines.collect::<Result<_, Problem>>()?);
    give(&ctx, &sent, (&id, give_back, credited.reason.into())).await
}

/// `POST /v1/invoices/{id}/void`: gives back all that is left of it.
pub(crate) async fn void(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    let (sent, Voided { reason }) = json_body::read(request, json_body::MOST_BYTES).await?;
    give(&ctx, &sent, (&id, GiveBack::All, reason.into())).await
}

async fn give(
    ctx: &Arc<RequestContext>,
    sent: &ReceivedRequest,
    (id, give_back, reason): (&str, GiveBack, String),
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    let meta = query::meta(ctx, local(ctx), &sent.headers, &sent.content())?;
    let (note, sequence) = invoicing::credit(ctx, meta, (id, give_back, reason.into())).await?;
    let read = ctx.billing().read_at(sequence, |view, at| {
        let document = view.billing.document(note.as_str())?;
        let form = InvoiceForm::of(&view.billing, ctx.keys(), document);
        Some(HttpAnswer::tagged(StatusCode::CREATED, at, form))
    });
    let answer = read.await?.ok_or_else(|| unknown_invoice(note.as_str()))?;
    Ok(answer.located(&format!("/v1/invoices/{note}")))
}

/// What became of a correction: a credit note at once, or a charge on the next invoice.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Corrected {
    #[schemars(with = "schema::InvoiceId")]
    invoice: InvoiceId,
    n: u32,
    /// If the line was too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::InvoiceId>")]
    credit_note: Option<InvoiceId>,
    /// If it was too little.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::ChargeId>")]
    charge: Option<ChargeId>,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
}

impl Corrected {
    fn of((invoice, n): (InvoiceId, u32), answer: Answer, sequence: Sequence) -> Result<Self, Problem> {
        let (credit_note, charge) = match answer {
            Answer::Invoice(note) => (Some(note), None),
            Answer::Charge(charge) => (None, Some(charge)),
            _ => return Err(Problem::fault(&"a correction was answered with something else")),
        };
        Ok(Self { invoice, n, credit_note, charge, sequence })
    }

    fn answer(self) -> HttpAnswer<Self> {
        HttpAnswer::new(StatusCode::CREATED, self.sequence, self)
    }
}

/// What a charge says that corrects a line. It is the reason that its sender may shorten.
fn description((invoice, n): (&InvoiceId, u32), reason: &str) -> Result<Box<str>, Problem> {
    let before = format!("correction of {invoice} line {n}: ");
    let most = MAX_DESCRIPTION.saturating_sub(before.len());
    if reason.len() > most {
        let rule = format!("must be at most {most} bytes here: the charge says \"{before}\" before it");
        return Err(Problem::field("reason", rule));
    }
    Ok((before + reason).into())
}

/// `POST /v1/invoices/{id}/lines/{n}/correct`: what is charged for a line, with what corrected it before, should be
/// this amount. What is too much is given back at once, as far as it is left of the line itself.
pub(crate) async fn correct(
    Authorised(ctx): Authorised,
    Named((id, n)): Named<(String, String)>,
    request: Request,
) -> Result<HttpAnswer<Corrected>, Problem> {
    let Known { id: number, currency, document } = known(&ctx, &id).await?;
    let no_line = || Problem::unknown(ProblemCode::LineUnknown, format!("{id} has no line {n}"));
    let n: u32 = n.parse().map_err(|_| no_line())?;
    let (sent, correction) = json_body::read::<Correction>(request, json_body::MOST_BYTES).await?;
    let amount = correction.amount.of("amount", currency)?;
    let reason: String = correction.reason.into();
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    // Done before, it is answered again: by its own doing the line is what it should be.
    if meta.named_by_sender
        && let Some(accepted) = ctx.ledger().answer_of(Arc::clone(&meta)).await?
    {
        return Ok(Corrected::of((number, n), accepted.answer, accepted.sequence)?.answer());
    }
    let head = ctx.ledger().head().last;
    let read = ctx.billing().read_at(head, |view, _| {
        let found = view.billing.document(&id)?;
        let line = found.invoice.lines.iter().find(|line| line.n == n)?;
        let correction = view.billing.correction(&found.invoice, line, amount);
        Some((found.invoice.clone(), correction))
    });
    let (invoice, correction) = read.await?.ok_or_else(no_line)?;
    if document == DocumentKind::CreditNote {
        return Err(conflict::of_code(
            ProblemCode::NotAnInvoice,
            format!("{} is a credit note: record a charge for what it credited too much", invoice.id),
        ));
    }
    let correction = correction.ok_or_else(|| Problem::field("amount", "has too many digits"))?;
    let (answer, sequence) = match correction {
        LineCorrection::None => {
            let detail = format!("{amount} is what is charged for line {n} of {} already", invoice.id);
            return Err(Problem {
                field: Some("amount".into()),
                ..conflict::of_code(ProblemCode::AmountUnchanged, detail)
            });
        }
        LineCorrection::Charge(difference) => {
            let command = Command::RecordCharge(RecordCharge {
                seller: invoice.seller.party,
                customer: invoice.buyer.party,
                currency,
                amount: difference,
                description: description((&invoice.id, n), &reason)?,
                cites: Some(LineRef { invoice: invoice.id.clone(), line: n }),
            });
            let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
            (accepted.answer, accepted.sequence)
        }
        LineCorrection::Credit(down_to) => {
            let give_back = GiveBack::Lines(vec![(n, HowMuch::DownTo(down_to))]);
            let (note, sequence) = invoicing::credit(&ctx, meta, (&id, give_back, reason.into())).await?;
            (Answer::Invoice(note), sequence)
        }
    };
    Ok(Corrected::of((number, n), answer, sequence)?.answer())
}
