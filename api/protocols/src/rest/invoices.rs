//! Invoices over REST, and the events behind each line.
//!
//! Amounts, prices and quantities are strings; a price has at least the digits of the minor unit. Names are opened here
//! and nowhere before; one whose key was destroyed reads `(erased)`. The `sequence` of a document is that of the event
//! that issued it, of a draft that of its run's cut-off: a document does not change, and what is shown of it only when
//! a credit note is about it.

pub(super) mod describe;
pub(super) mod notes;
pub(super) mod ranked;
pub(super) mod reviews;
pub(super) mod runs;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::{
    BalanceState, Billing, BillingView, Document, DocumentPlace, DocumentState, TreeSubtotal, line_nets,
    run_of_draft,
};
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::charge::ChargeId;
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{ComputerId, InstanceId, InvoiceId, PartyId, ResourceId, RunId, Sequence};
use slapledger_core::domain::invoice::{
    Citation, CreditUsed, DocumentKind, EventSet, Invoice, InvoiceLine, InvoiceParty, LineKind, LineRef,
    PriceStep, Reduces, Tax, TaxSubtotal,
};
use slapledger_core::domain::money::{Amount, Currency, Exact, Price};
use slapledger_core::domain::pricing::{OverrideId, PriceTax, PriceVersion};
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

use self::reviews::ReviewForm;
use self::runs::WarningForm;
use super::log;
use super::openapi::schema::{self, List};
use super::parties::details::Details;
use super::period::optional_period;
use super::query::{self, Named, Query};
use crate::access::Authorised;

/// An invoice or a draft.
#[derive(Serialize, JsonSchema)]
pub(crate) struct InvoiceForm {
    id: InvoiceId,
    state: DocumentState,
    /// What became of an invoice that is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_state: Option<BalanceState>,
    document: DocumentKind,
    /// 1, or -1 of a credit note: its amounts are what it gives back.
    #[schemars(with = "schema::Sign")]
    sign: i8,
    run: RunId,
    /// The document that a credit note is about, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    cites: Option<Citation>,
    seller: InvoicePartyForm,
    buyer: InvoicePartyForm,
    currency: Currency,
    period: Period,
    /// The period where the buyer is: days, or instants with their offsets.
    local_period: String,
    /// Of a document that is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    /// Whether the amounts of the lines contain tax; they do not, if it is left out.
    #[serde(skip_serializing_if = "PriceTax::is_exclusive")]
    price_tax: PriceTax,
    lines: Vec<LineForm>,
    net: Amount,
    /// The net by instance tree; lines about all instances of the buyer stand under none.
    subtotals: Vec<TreeSubtotal>,
    tax: Vec<TaxSubtotal>,
    total: Amount,
    rounding: Amount,
    /// What was paid before, from prepaid credit; of a credit note, what went back into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prepaid: Vec<CreditUsed>,
    /// What credit notes credited of the total of an invoice that is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    credited: Option<Amount>,
    /// What prepaid credit has paid of it and credit notes did not return.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<Amount>,
    /// What is left to be paid, after all credit notes about it.
    due: Amount,
    /// What was decided of it while it was a draft.
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<ReviewForm>,
    /// The credit notes about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credit_notes: Vec<InvoiceId>,
    /// Of a draft: what its run warns of that is about its buyer, and computers that their instances were on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<WarningForm>,
    sequence: Sequence,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PartyForm")]
pub(crate) struct InvoicePartyForm {
    party: PartyId,
    name: String,
    #[serde(flatten)]
    details: Details,
}

impl InvoicePartyForm {
    fn of(keys: &KeyRing, party: &InvoiceParty) -> Self {
        let details = Details::open(keys, party.details.as_ref());
        Self { party: party.party, name: open_name(keys, Some(&party.name)), details }
    }
}

/// The kinds of lines.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LineKindName {
    Recurring,
    Usage,
    Advance,
    Percentage,
    Minimum,
    Adjustment,
    OneOff,
    Discount,
    Maximum,
    /// What a charge by hand takes of the line that it cites.
    Correction,
}

/// A line of a document. What it is about are members of its own: generators make one type of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct LineForm {
    n: u32,
    kind: LineKindName,
    /// Of a line of usage: what was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ResourceId")]
    resource: Option<ResourceId>,
    /// Of a one-off line or a correction: its charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ChargeId")]
    charge: Option<ChargeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<InstanceId>,
    /// The group of usage, if its resource groups.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<Box<str>, Box<str>>,
    description: Box<str>,
    period: Period,
    /// The period where the buyer is: days, or instants with their offsets.
    local_period: String,
    quantity: Quantity,
    unit: Box<str>,
    /// For one; null, if that depends on how much it is: then the steps say it.
    unit_price: Option<String>,
    /// The parts of the quantity that cost differently.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<PriceStep>,
    amount: Amount,
    /// Without the tax that the amount contains, if it contains tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<Amount>,
    /// What rounding added to the exact price.
    residue: Exact,
    price_book: Option<PriceVersion>,
    /// Of a discount or a maximum: which lines of its tax it takes something off.
    #[serde(skip_serializing_if = "Option::is_none")]
    reduces: Option<Reduces>,
    /// Which of its rates, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    /// The price of the customer that took the place of a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_override: Option<OverrideId>,
    tax: Tax,
    events: EventSet,
    /// The line of an earlier document it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    cites: Option<LineRef>,
}

impl LineForm {
    /// The lines of a document.
    pub(super) fn all(invoice: &Invoice, calendar: Option<&Calendar>) -> Vec<Self> {
        let contains_tax = !invoice.price_tax.is_exclusive();
        let lines = invoice.lines.iter().zip(line_nets(invoice)).map(|(line, net)| {
            let net = Some(net).filter(|_| contains_tax);
            Self { net, ..Self::of(line, invoice.currency, calendar) }
        });
        lines.collect()
    }

    /// A line; its period is also shown as the calendar of its buyer has it.
    pub(super) fn of(line: &InvoiceLine, currency: Currency, calendar: Option<&Calendar>) -> Self {
        let (mut resource, mut charge) = (None, None);
        let kind = match &line.kind {
            LineKind::Recurring => LineKindName::Recurring,
            LineKind::Usage { resource: used } => {
                resource = Some(used.clone());
                LineKindName::Usage
            }
            LineKind::Advance => LineKindName::Advance,
            LineKind::Percentage => LineKindName::Percentage,
            LineKind::Minimum => LineKindName::Minimum,
            LineKind::Discount => LineKindName::Discount,
            LineKind::Maximum => LineKindName::Maximum,
            LineKind::Adjustment => LineKindName::Adjustment,
            LineKind::OneOff { charge: known } => {
                charge = Some(*known);
                LineKindName::OneOff
            }
            LineKind::Correction { charge: known } => {
                charge = Some(*known);
                LineKindName::Correction
            }
        };
        Self {
            n: line.n,
            kind,
            resource,
            charge,
            instance: line.instance,
            dimensions: line.dimensions.iter().cloned().collect(),
            description: line.description.clone(),
            period: line.period,
            local_period: shown_by(calendar, line.period),
            quantity: line.quantity,
            unit: line.unit.clone(),
            unit_price: line.unit_price.map(|price| price_text(price, currency)),
            steps: line.steps.clone(),
            amount: line.amount,
            net: None,
            residue: line.residue,
            price_book: line.price_book.clone(),
            reduces: line.reduces.clone(),
            rate: Some(line.rate).filter(|rate| *rate > 0),
            price_override: line.price_override,
            tax: line.tax,
            events: line.events.clone(),
            cites: line.cites.clone(),
        }
    }
}

/// A period as a calendar shows it; in UTC, if nobody knows of one.
fn shown_by(calendar: Option<&Calendar>, period: Period) -> String {
    calendar.map_or_else(|| period.to_string(), |calendar| calendar.shown(period))
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
        let calendar = billing.calendar_of(invoice.buyer.party);
        let local = |period| shown_by(calendar, period);
        Self {
            id: invoice.id.clone(),
            state: document.state(),
            balance_state: balance.map(|(_, state)| state),
            document: invoice.document,
            sign: if invoice.document == DocumentKind::CreditNote { -1 } else { 1 },
            run: invoice.run,
            cites: invoice.cites.clone(),
            seller: InvoicePartyForm::of(keys, &invoice.seller),
            buyer: InvoicePartyForm::of(keys, &invoice.buyer),
            currency: invoice.currency,
            period: invoice.period,
            local_period: local(invoice.period),
            issued_at: is_final.then_some(invoice.issued_at),
            due_at: is_final.then_some(invoice.due_at),
            price_tax: invoice.price_tax,
            lines: LineForm::all(invoice, calendar),
            net: invoice.net,
            subtotals: billing.subtotals(invoice),
            tax: invoice.tax.clone(),
            total: invoice.total,
            rounding: invoice.rounding,
            prepaid: invoice.prepaid.clone(),
            credited: balance.map(|(balance, _)| balance.credited),
            paid: balance.map(|(balance, _)| balance.paid()),
            due: balance.map_or(invoice.due, |(balance, _)| balance.due),
            review: billing.review(document).map(ReviewForm::of),
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
    let period = optional_period(&query)?;
    let (limit, after) = (query.limit()?, query.cursor::<DocumentCursor>()?);
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
        query::list(forms.collect(), page.next.map(DocumentCursor), sequence)
    }))
}

/// Whether a document is about the caller: they pay it, or it is paid to them.
pub(super) fn sees(ctx: &RequestContext, document: &Document) -> bool {
    let parties = [&document.invoice.buyer, &document.invoice.seller];
    parties.into_iter().any(|party| ctx.caller.sees_party(party.party))
}

/// A document of this id that the caller may see.
pub(super) fn find<'a>(
    ctx: &RequestContext,
    view: &'a BillingView,
    id: &str,
) -> Result<&'a Document, Problem> {
    let found = view.billing.document(id).filter(|document| sees(ctx, document));
    found.ok_or_else(|| match run_of_draft(id).filter(|run| view.is_drafting(*run)) {
        Some(run) => drafts_missing(run),
        None => unknown_invoice(id),
    })
}

/// Where a document is read: as of a sequence, and if it is a draft that is being computed, when it is there.
pub(super) async fn position_of(ctx: &RequestContext, query: &Query, id: &str) -> Result<Sequence, Problem> {
    let position = query.position(ctx).await?;
    if let Some(run) = run_of_draft(id) {
        runs::drafts_of(ctx, run, position).await?;
    }
    Ok(position)
}

/// The drafts of a run are being computed, and took longer than an answer waits.
pub(super) fn drafts_missing(run: RunId) -> Problem {
    Problem::unavailable(format!("the drafts of {run} are still being computed"), 1)
}

/// A place in the list of documents: run, payer, and which of the credit notes about their document.
struct DocumentCursor(DocumentPlace);

impl std::fmt::Display for DocumentCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let DocumentPlace { run, payer, note } = self.0;
        write!(f, "{run}.{payer}.{note}")
    }
}

impl std::str::FromStr for DocumentCursor {
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
    let position = position_of(&ctx, &Query::read(&uri, &[])?, &id).await?;
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
    invoice: InvoiceId,
    n: u32,
    /// All of them, as the line says.
    events: EventSet,
    items: Vec<EventForm>,
    next: Option<String>,
    sequence: Sequence,
}

/// An event behind a line: of usage with what was used, of an instance with what happened to it.
#[derive(Serialize, JsonSchema)]
pub(super) struct EventForm {
    sequence: Sequence,
    #[serde(rename = "type")]
    kind: &'static str,
    recorded_at: Timestamp,
    #[serde(flatten)]
    subject: EventSubject,
}

/// What an event is about: of usage all but `stream`, `voided` and `reason`; of a void its `source`, the `id` of the usage
/// event, the event that metered it and the reason; of anything else `stream` alone.
#[derive(Default, Serialize, JsonSchema)]
struct EventSubject {
    /// The computer that reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<ComputerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "UsageId")]
    id: Option<UsageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Sequence")]
    voided: Option<Sequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    subject: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ResourceId")]
    resource: Option<ResourceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    quantity: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    start: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    stop: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<Box<str>, Box<str>>,
    /// Whose history it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Stream")]
    stream: Option<Stream>,
}

impl EventForm {
    pub(super) fn of(recorded: &Recorded) -> Self {
        let usage = recorded.event.metered_usage();
        let source = || match &*recorded.stream {
            Stream::Usage(computer) => Some(computer.clone()),
            _ => None,
        };
        let subject = match usage {
            None => match &recorded.event {
                Event::UsageVoided(event) => EventSubject {
                    source: source(),
                    id: Some(event.voids.clone()),
                    voided: Some(event.voided),
                    reason: Some(event.reason.clone()),
                    ..EventSubject::default()
                },
                _ => EventSubject { stream: Some((*recorded.stream).clone()), ..EventSubject::default() },
            },
            Some(usage) => {
                let Usage { id, subject, resource, quantity, period, dimensions, .. } = usage.clone();
                EventSubject {
                    source: source(),
                    id: Some(id),
                    subject: Some(subject),
                    resource: Some(resource),
                    quantity: Some(quantity),
                    start: Some(period.start),
                    stop: Some(period.stop),
                    dimensions: dimensions.into_iter().collect(),
                    ..EventSubject::default()
                }
            }
        };
        let (sequence, recorded_at) = (recorded.sequence, recorded.recorded_at);
        Self { sequence, kind: recorded.event.name(), recorded_at, subject }
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
    let position = position_of(&ctx, &query, &id).await?;
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
