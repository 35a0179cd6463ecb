//! Credit notes over REST: lines given back, invoices voided, lines corrected.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slapledger_billing::LineCorrection;
use slapledger_core::domain::charge::{ChargeId, MAX_DESCRIPTION, RecordCharge};
use slapledger_core::domain::id::{InvoiceId, Sequence};
use slapledger_core::domain::invoice::{DocumentKind, GiveBack, HowMuch, InvoiceRefusal, LineRef};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_core::log::envelope::Meta;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::body::ReceivedRequest;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing;

use super::{InvoiceForm, unknown_invoice};
use crate::access::Authorised;
use crate::rest::openapi::schema;
use crate::rest::query::{self, Named};
use crate::rest::usage::local;

/// What is given back, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credited {
    pub(super) reason: schema::LongText,
    #[schemars(length(min = 1))]
    pub(super) lines: Vec<LineCredited>,
}

/// Something of a line.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineCredited {
    #[schemars(with = "schema::Number")]
    pub(super) n: u32,
    /// All that is left of it, if it is not said.
    pub(super) amount: Option<schema::Amount>,
}

/// Why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Voided {
    pub(super) reason: schema::LongText,
}

/// What a line should have been, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Correction {
    pub(super) amount: schema::Amount,
    pub(super) reason: schema::LongText,
}

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
    let (note, sequence) = invoicing::credit(ctx, meta, (id, give_back, reason.into()), None).await?;
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
    invoice: InvoiceId,
    n: u32,
    /// If the line was too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_note: Option<InvoiceId>,
    /// If it was too little.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<ChargeId>,
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
    let n: u32 = n.parse().map_err(|_| no_line(&id, &n))?;
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
    let wanted = WantedCorrection { line: (&number, n), amount, currency, document, reason: &reason };
    let mut tries = TRIES;
    loop {
        match wanted.correct(&ctx, Arc::clone(&meta)).await {
            // Somebody else corrected something of the same customer meanwhile: it is worked out again.
            Err(problem) if problem.code == ProblemCode::ModifiedConcurrently && tries > 1 => tries -= 1,
            done => {
                let (answer, sequence) = done?;
                return Ok(Corrected::of((number, n), answer, sequence)?.answer());
            }
        }
    }
}

/// How often a correction is worked out, if others correct something of the same customer at the same time.
const TRIES: u32 = 8;

/// What should be charged for a line.
struct WantedCorrection<'r> {
    line: (&'r InvoiceId, u32),
    amount: Amount,
    currency: Currency,
    document: DocumentKind,
    reason: &'r str,
}

impl WantedCorrection<'_> {
    /// Works out what corrects the line, and does it unless what is charged has changed meanwhile.
    async fn correct(
        &self,
        ctx: &Arc<RequestContext>,
        meta: Arc<Meta>,
    ) -> Result<(Answer, Sequence), Problem> {
        let Self { line: (number, n), amount, currency, document, reason } = *self;
        let head = ctx.ledger().head().last;
        let read = ctx.billing().read_at(head, |view, at| {
            let found = view.billing.document(number.as_str())?;
            let line = found.invoice.lines.iter().find(|line| line.n == n)?;
            let correction = view.billing.correction(&found.invoice, line, amount);
            let of_void = view.billing.is_of_void(&LineRef { invoice: number.clone(), line: n });
            Some((found.invoice.clone(), correction, (view.billing.is_void(&found.invoice), of_void), at))
        });
        let (invoice, correction, (void, of_void), at) =
            read.await?.ok_or_else(|| no_line(number.as_str(), n))?;
        if document == DocumentKind::CreditNote {
            return Err(conflict::of_code(
                ProblemCode::NotAnInvoice,
                format!("{} is a credit note: record a charge for what it credited too much", invoice.id),
            ));
        }
        if void {
            let detail = InvoiceRefusal::Void { invoice: invoice.id }.to_string();
            return Err(conflict::of_code(ProblemCode::InvoiceVoid, detail));
        }
        match correction.ok_or_else(|| Problem::field("amount", "has too many digits"))? {
            LineCorrection::None => {
                let detail = format!("{amount} is what is charged for line {n} of {} already", invoice.id);
                Err(Problem {
                    field: Some("amount".into()),
                    ..conflict::of_code(ProblemCode::AmountUnchanged, detail)
                })
            }
            // No run would charge it.
            LineCorrection::Charge(_) if of_void => {
                let detail = format!(
                    "line {n} of {} changed what a void document charged: the next invoice run reverses it",
                    invoice.id
                );
                Err(conflict::of_code(ProblemCode::InvoiceVoid, detail))
            }
            LineCorrection::Charge(difference) => {
                let command = Command::RecordCharge(RecordCharge {
                    seller: invoice.seller.party,
                    customer: invoice.buyer.party,
                    currency,
                    amount: difference,
                    description: description((&invoice.id, n), reason)?,
                    cites: Some(LineRef { invoice: invoice.id.clone(), line: n }),
                    as_of: Some(at),
                });
                let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
                Ok((accepted.answer, accepted.sequence))
            }
            LineCorrection::Credit(down_to) => {
                let give_back = GiveBack::Lines(vec![(n, HowMuch::DownTo(down_to))]);
                let how = (number.as_str(), give_back, reason.into());
                let (note, sequence) = invoicing::credit(ctx, meta, how, Some(at)).await?;
                Ok((Answer::Invoice(note), sequence))
            }
        }
    }
}

fn no_line(id: &str, n: impl Display) -> Problem {
    Problem::unknown(ProblemCode::LineUnknown, format!("{id} has no line {n}"))
}
