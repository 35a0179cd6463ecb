//! Invoices over REST, and the events behind each line.
//!
//! Amounts, prices and quantities are strings; a price has at least the digits of the minor unit. Names are opened here
//! and nowhere before; one whose key was destroyed reads `(erased)`. The `sequence` of a document is that of the event
//! that issued it, of a draft that of its run's cut-off: a document does not change, and what is shown of it only when a
//! credit note is about it.

pub(super) mod describe;
pub(super) mod notes;
pub(super) mod runs;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::{BalanceState, Billing, BillingView, Document, DocumentPlace, DocumentState};
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{ComputerId, InstanceId, InvoiceId, PartyId, ResourceId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    Citation, CreditUsed, DocumentKind, EventSet, Invoice, InvoiceLine, InvoiceParty, LineKind, LineRef,
    PriceStep, Tax, TaxSubtotal,
};
use slapledger_core::domain::money::{Amount, Currency, Exact, Price};
use slapledger_core::domain::pricing::PriceVersion;
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::{Usage, UsageId};
use slapledger_core::keyring::KeyRing;
use slapledger_core::log::envelope::Recorded;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::invoicing::open_name;

use self::runs::WarningForm;
use super::gaps::start_stop;
use super::log;
use super::openapi::schema::{self, List};
use super::parties::details::Details;
use super::query::{self, Named, Query};
use crate::access::Authorised;

/// An invoice or a draft.
#[derive(Serialize, JsonSchema)]
pub(crate) struct InvoiceForm {
    #[schemars(with = "schema::InvoiceId")]
    id: InvoiceId,
    #[schemars(with = "schema::DocumentState")]
    state: DocumentState,
    /// What became of an invoice that is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::BalanceState>")]
    balance_state: Option<BalanceState>,
    #[schemars(with = "schema::DocumentKind")]
    document: DocumentKind,
    /// 1, or -1 of a credit note: its amounts are what it gives back.
    #[schemars(with = "schema::Sign")]
    sign: i8,
    #[schemars(with = "schema::RunId")]
    run: RunId,
    /// The document that a credit note is about, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Citation>")]
    cites: Option<Citation>,
    seller: PartyForm,
    buyer: PartyForm,
    #[schemars(with = "schema::Currency")]
    currency: Currency,
    #[schemars(with = "schema::Period")]
    period: Period,
    /// Of a document that is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Instant>")]
    issued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Instant>")]
    due_at: Option<Timestamp>,
    lines: Vec<LineForm>,
    #[schemars(with = "schema::Amount")]
    net: Amount,
    #[schemars(with = "Vec<schema::TaxSubtotal>")]
    tax: Vec<TaxSubtotal>,
    #[schemars(with = "schema::Amount")]
    total: Amount,
    #[schemars(with = "schema::Amount")]
    rounding: Amount,
    /// What was paid before, from prepaid credit; of a credit note, what went back into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::CreditUsed>")]
    prepaid: Vec<CreditUsed>,
    /// What credit notes credited of the total of an invoice that is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Amount>")]
    credited: Option<Amount>,
    /// What prepaid credit has paid of it and credit notes did not return.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Amount>")]
    paid: Option<Amount>,
    /// What is left to be paid, after all credit notes about it.
    #[schemars(with = "schema::Amount")]
    due: Amount,
    /// The credit notes about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::InvoiceId>")]
    credit_notes: Vec<InvoiceId>,
    /// Of a draft: what its run warns of that is about its buyer, and computers that their instances were on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningForm>,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct PartyForm {
    #[schemars(with = "schema::PartyId")]
    party: PartyId,
    name: String,
    #[serde(flatten)]
    details: Details,
}

impl PartyForm {
    fn of(keys: &KeyRing, party: &InvoiceParty) -> Self {
        let details = Details::open(keys, party.details.as_ref());
        Self { party: party.party, name: open_name(keys, Some(&party.name)), details }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct LineForm {
    n: u32,
    #[serde(flatten)]
    #[schemars(with = "schema::LineKind")]
    kind: LineKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::InstanceId>")]
    instance: Option<InstanceId>,
    /// The group of usage, if its resource groups.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<Box<str>, Box<str>>,
    description: Box<str>,
    #[schemars(with = "schema::Period")]
    period: Period,
    #[schemars(with = "schema::Quantity")]
    quantity: Quantity,
    unit: Box<str>,
    /// For one; null, if that depends on how much it is: then the steps say it.
    unit_price: Option<String>,
    /// The parts of the quantity that cost differently.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::PriceStep>")]
    steps: Vec<PriceStep>,
    #[schemars(with = "schema::Amount")]
    amount: Amount,
    /// What rounding added to the exact price.
    #[schemars(with = "schema::Decimal")]
    residue: Exact,
    #[schemars(with = "Option<schema::PriceVersion>")]
    price_book: Option<PriceVersion>,
    /// Which of its rates, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    #[schemars(with = "schema::Tax")]
    tax: Tax,
    #[schemars(with = "schema::EventSet")]
    events: EventSet,
    /// The line of an earlier document it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::LineRef>")]
    cites: Option<LineRef>,
}

impl LineForm {
    pub(super) fn of(line: &InvoiceLine, currency: Currency) -> Self {
        Self {
            n: line.n,
            kind: line.kind.clone(),
            instance: line.instance,
            dimensions: line.dimensions.iter().cloned().collect(),
            description: line.description.clone(),
            period: line.period,
            quantity: line.quantity,
            unit: line.unit.clone(),
            unit_price: line.unit_price.map(|price| price_text(price, currency)),
            steps: line.steps.clone(),
            amount: line.amount,
            residue: line.residue,
            price_book: line.price_book.clone(),
            rate: Some(line.rate).filter(|rate| *rate > 0),
            tax: line.tax,
            events: line.events.clone(),
            cites: line.cites.clone(),
        }
    }
}

/// A price with at least the digits of the minor unit: 10.00, but 0.00015.
fn price_text(price: Price, currency: Currency) -> String {
    let mut decimal = price.to_decimal();
    if decimal.scale() < currency.minor_digits() {
        decimal.rescale(currency.minor_digits());
    }
    decimal.to_string()
}

impl InvoiceForm {
    fn of(billing: &Billing, keys: &KeyRing, document: &Document) -> Self {
        let invoice = &document.invoice;
        let warnings = billing.warnings_of(document).into_iter().cloned().map(WarningForm::of);
        let cut_off = || billing.run(invoice.run).map_or(Sequence::ZERO, |run| run.opened.cut_off);
        let is_final = document.issued.is_some();
        let of_run = billing.is_of_run(document);
        let notes = billing.notes_on(invoice.run, invoice.buyer.party);
        let balance = billing.balance(document);
        Self {
            id: invoice.id.clone(),
            state: document.state(),
            balance_state: balance.map(|(_, state)| state),
            document: invoice.document,
            sign: if invoice.document == DocumentKind::CreditNote { -1 } else { 1 },
            run: invoice.run,
            cites: invoice.cites.clone(),
            seller: PartyForm::of(keys, &invoice.seller),
            buyer: PartyForm::of(keys, &invoice.buyer),
            currency: invoice.currency,
            period: invoice.period,
            issued_at: is_final.then_some(invoice.issued_at),
            due_at: is_final.then_some(invoice.due_at),
            lines: invoice.lines.iter().map(|line| LineForm::of(line, invoice.currency)).collect(),
            net: invoice.net,
            tax: invoice.tax.clone(),
            total: invoice.total,
            rounding: invoice.rounding,
            prepaid: invoice.prepaid.clone(),
            credited: balance.map(|(balance, _)| balance.credited),
            paid: balance.map(|(balance, _)| balance.paid()),
            due: balance.map_or(invoice.due, |(balance, _)| balance.due),
            credit_notes: if of_run {
                notes.map(|note| note.invoice.id.clone()).collect()
            } else {
                Vec::new()
            },
            warnings: warnings.collect(),
            sequence: document.issued.unwrap_or_else(cut_off),
        }
    }
}

/// All invoices and drafts as the list shows them, for the command line of the process that serves them.
pub fn all_as_json(ctx: &RequestContext) -> anyhow::Result<Vec<serde_json::Value>> {
    ctx.billing_now(|view| {
        let page = view.billing.documents((None, None), |_| true, None, usize::MAX);
        let forms =
            page.items.into_iter().map(|document| InvoiceForm::of(&view.billing, ctx.keys(), document));
        forms.map(serde_json::to_value).collect::<Result<_, _>>().map_err(anyhow::Error::from)
    })?
}

/// A state to filter a list by.
#[derive(Clone, Copy)]
enum WantedState {
    Document(DocumentState),
    Balance(BalanceState),
}

impl WantedState {
    fn read(text: &str) -> Result<Self, Problem> {
        let documents = [DocumentState::Draft, DocumentState::Final];
        let document = documents.into_iter().find(|state| state.as_str() == text).map(Self::Document);
        let balance = BalanceState::ALL.into_iter().find(|state| state.as_str() == text).map(Self::Balance);
        document.or(balance).ok_or_else(|| {
            let rule = "must be draft, final, open, partly_credited, credited, void or paid";
            Problem::field("state", rule)
        })
    }

    fn covers(self, billing: &Billing, document: &Document) -> bool {
        match self {
            Self::Document(state) => document.state() == state,
            Self::Balance(state) => billing.balance(document).is_some_and(|(_, known)| known == state),
        }
    }
}

/// `GET /v1/invoices`: invoices and drafts, by run and payer.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<InvoiceForm>>, Problem> {
    let query = Query::read(&uri, &["payer", "state", "period"])?;
    let payer: Option<PartyId> = query.parse("payer")?;
    let state = query.text("state").map(WantedState::read).transpose()?;
    let period = query.text("period").map(start_stop).transpose()?;
    let (limit, after) = (query.limit()?, query.cursor::<At>()?);
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    Ok(ctx.billing().read(|view, sequence| {
        let billing = &view.billing;
        let in_period = |invoice: &Invoice| {
            period.is_none_or(|period| {
                let within = billing.calendar_of(invoice.buyer.party);
                let within = within.and_then(|calendar| period.within(calendar));
                within.is_some_and(|within| within.intersection(invoice.period).is_some())
            })
        };
        let wanted = |document: &Document| {
            sees(&ctx, document)
                && state.is_none_or(|state| state.covers(billing, document))
                && in_period(&document.invoice)
        };
        let page = billing.documents((payer, None), wanted, after.map(|place| place.0), limit);
        let forms = page.items.into_iter().map(|document| InvoiceForm::of(billing, ctx.keys(), document));
        query::list(forms.collect(), page.next.map(At), sequence)
    }))
}

/// Whether a document is about whoever this is for: they pay it, or it is paid to them.
fn sees(ctx: &RequestContext, document: &Document) -> bool {
    let parties = [&document.invoice.buyer, &document.invoice.seller];
    parties.into_iter().any(|party| ctx.caller.sees_party(party.party))
}

/// A document of this id that whoever this is for may see.
pub(super) fn find<'a>(
    ctx: &RequestContext,
    view: &'a BillingView,
    id: &str,
) -> Result<&'a Document, Problem> {
    view.billing.document(id).filter(|document| sees(ctx, document)).ok_or_else(|| unknown_invoice(id))
}

/// A place in the list of documents: run, payer, and which of the credit notes about their document.
struct At(DocumentPlace);

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let DocumentPlace { run, payer, note } = self.0;
        write!(f, "{run}.{payer}.{note}")
    }
}

impl std::str::FromStr for At {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(());
        let run = next()?.parse().map_err(|_| ())?;
        let payer = next()?.parse().map_err(|_| ())?;
        Ok(Self(DocumentPlace { run, payer, note: next()?.parse().map_err(|_| ())? }))
    }
}

/// `GET /v1/invoices/{id}`.
pub(super) async fn show(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<InvoiceForm>, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let read = ctx.billing().read_at(position, |view, sequence| {
        let document = find(&ctx, view, &id)?;
        let form = InvoiceForm::of(&view.billing, ctx.keys(), document);
        Ok(HttpAnswer::resource(sequence, form))
    });
    read.await?
}

pub(super) fn unknown_invoice(id: &str) -> Problem {
    Problem::unknown(ProblemCode::InvoiceUnknown, format!("there is no invoice {id}"))
}

/// The events behind a line.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LineEvents {
    #[schemars(with = "schema::InvoiceId")]
    invoice: InvoiceId,
    n: u32,
    /// All of them, as the line says.
    #[schemars(with = "schema::EventSet")]
    events: EventSet,
    items: Vec<EventForm>,
    next: Option<String>,
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
}

/// An event behind a line: of usage with what was used, of an instance with what happened to it.
#[derive(Serialize, JsonSchema)]
pub(super) struct EventForm {
    #[schemars(with = "schema::Sequence")]
    sequence: Sequence,
    #[serde(rename = "type")]
    kind: &'static str,
    #[schemars(with = "schema::Instant")]
    recorded_at: Timestamp,
    #[serde(flatten)]
    #[schemars(with = "schema::EventSubject")]
    what: What,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What {
    Usage {
        source: Option<ComputerId>,
        id: UsageId,
        subject: Box<str>,
        resource: ResourceId,
        quantity: Quantity,
        start: Timestamp,
        stop: Timestamp,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        dimensions: BTreeMap<Box<str>, Box<str>>,
    },
    Other {
        stream: Stream,
    },
}

impl EventForm {
    pub(super) fn of(recorded: &Recorded) -> Self {
        let usage = match &recorded.event {
            Event::UsageRecorded(usage) => Some(usage),
            Event::UsageCorrected(event) => Some(&event.usage),
            Event::SuspendedUsageResolved(event) => Some(&event.usage),
            _ => None,
        };
        let what = usage.map_or_else(
            || What::Other { stream: (*recorded.stream).clone() },
            |usage| {
                let Usage { id, subject, resource, quantity, period, dimensions, .. } = usage.clone();
                let source = match &*recorded.stream {
                    Stream::Usage(computer) => Some(computer.clone()),
                    _ => None,
                };
                What::Usage {
                    source,
                    id,
                    subject,
                    resource,
                    quantity,
                    start: period.start,
                    stop: period.stop,
                    dimensions: dimensions.into_iter().collect(),
                }
            },
        );
        let (sequence, recorded_at) = (recorded.sequence, recorded.recorded_at);
        Self { sequence, kind: recorded.event.name(), recorded_at, what }
    }
}

/// `GET /v1/invoices/{id}/lines/{n}/events`.
pub(super) async fn line_events(
    Authorised(ctx): Authorised,
    Named((id, n)): Named<(String, String)>,
    uri: Uri,
) -> Result<HttpAnswer<LineEvents>, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<u64>()?.map_or(Sequence::ZERO, Sequence));
    let n: u32 =
        n.parse().map_err(|_| Problem::unknown(ProblemCode::LineUnknown, format!("{id} has no line {n}")))?;
    let position = query.position(&ctx).await?;
    let body = ctx.rate(position, move |ctx, view, sequence| {
        let document = find(ctx, view, &id)?;
        let no_line = || Problem::unknown(ProblemCode::LineUnknown, format!("{id} has no line {n}"));
        let line = document.invoice.lines.iter().find(|line| line.n == n).ok_or_else(no_line)?;
        let behind = view.line_events(&id, n).ok_or_else(|| {
            Problem::not_found(format!(
                "the events behind line {n} of {id} are not known here: it was issued elsewhere"
            ))
        })?;
        let mut rest = behind.into_iter().skip_while(|sequence| *sequence <= after);
        let wanted: Vec<Sequence> = rest.by_ref().take(limit).collect();
        let next = if rest.next().is_some() { wanted.last().map(ToString::to_string) } else { None };
        let found = log::events(&**ctx.ledger().store(), wanted.into_iter().collect::<BTreeSet<_>>())?;
        let items = found.values().map(EventForm::of).collect();
        let (invoice, events) = (document.invoice.id.clone(), line.events.clone());
        Ok(LineEvents { invoice, n, events, items, next, sequence })
    });
    let body = body.await?;
    Ok(HttpAnswer::ok(body.sequence, body))
}

#[cfg(test)]
mod tests;
