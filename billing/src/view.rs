//! The billing view: metering, prices, invoice runs, their drafts and the documents that were issued.
//!
//! A fold of events. When a run is opened its drafts are computed here and then, from the state at that very event,
//! so that they are a function of the events up to the cut-off: whatever comes later leaves them as they are, and a
//! rebuild gives them back byte for byte. When an invoice is issued its document takes the place of the draft. Nothing
//! is decided here; what may become final, and under which number, is the domain's to say.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use serde::Serialize;
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use slapledger_core::domain::invoice::{
    Invoice, InvoiceFinalised, InvoiceLine, InvoiceLinesRecorded, InvoiceRunFinalised, InvoiceRunOpened,
};
use slapledger_core::domain::party::PartyRegistered;
use slapledger_core::domain::pricing::{PriceBook, PriceBookPublished, PriceBooks};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::Page;
use slapledger_projections::metering::Metering;
use slapledger_projections::view::{Projection, View, get, put};

use crate::history::Histories;
use crate::rating::{self, Basis, Payer};
use crate::warning::Warning;

/// Metering and billing, at one position.
#[derive(Debug, Default)]
pub struct BillingView {
    /// What was used.
    pub metering: Metering,
    /// What it costs, and what was invoiced.
    pub billing: Billing,
}

impl View for BillingView {
    const FORMAT: u32 = 1;

    fn apply(&mut self, event: &Recorded) {
        self.metering.apply(event);
        self.billing.apply(event, &self.metering);
    }

    fn projections(&self) -> Vec<&dyn Projection> {
        vec![&self.metering, &self.billing]
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        Ok(Self { metering: Metering::read_from(from)?, billing: get(from)? })
    }
}

impl BillingView {
    /// The events behind a line of an invoice or draft, ascending; none, if there is no such line, or if they are not
    /// those it names (of a document that was issued otherwise than from its draft).
    pub fn line_events(&self, invoice: &str, n: u32) -> Option<Vec<Sequence>> {
        let document = self.billing.document(invoice)?;
        let line = document.invoice.lines.get(usize::try_from(n).ok()?.checked_sub(1)?)?;
        let cut_off = self.billing.run(document.invoice.run)?.opened.cut_off;
        rating::events_behind(line, (&self.billing.histories, &self.metering), cut_off)
    }
}

/// Prices, what they are applied to, and the documents.
#[derive(Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Billing {
    payers: BTreeMap<PartyId, Payer>,
    histories: Histories,
    books: PriceBooks,
    /// The event that published each version of a book, the first being version 1.
    published: BTreeMap<PriceBookName, Vec<Sequence>>,
    runs: BTreeMap<RunId, Run>,
    documents: BTreeMap<(RunId, PartyId), Document>,
    issued: BTreeMap<InvoiceId, (RunId, PartyId)>,
    /// Lines of invoices that are not issued yet: their event is the next.
    parts: BTreeMap<InvoiceId, Vec<InvoiceLine>>,
}

/// Whether an invoice or a run can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// It is what would be invoiced.
    Draft,
    /// It never changes again.
    Final,
}

impl DocumentState {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Final => "final",
        }
    }
}

/// An invoice run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Run {
    /// What was fixed when it was opened.
    pub opened: InvoiceRunOpened,
    /// The event that opened it.
    pub sequence: Sequence,
    /// What it does not charge.
    pub warnings: Vec<Warning>,
    /// How many reports were suspended at the cut-off that may belong to its period.
    pub suspended_usage: u64,
    /// When all of its invoices were final, and the event that says so.
    pub finalised: Option<(Timestamp, Sequence)>,
}

impl Run {
    /// Whether it can still change.
    pub fn state(&self) -> DocumentState {
        if self.finalised.is_some() { DocumentState::Final } else { DocumentState::Draft }
    }
}

/// An invoice or the draft of one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Document {
    /// The document with all its lines; of a draft, the dates are those of its run.
    pub invoice: Invoice,
    /// The event that issued it; none, while it is a draft.
    pub issued: Option<Sequence>,
}

impl Document {
    /// Whether it can still change.
    pub fn state(&self) -> DocumentState {
        if self.issued.is_some() { DocumentState::Final } else { DocumentState::Draft }
    }
}

/// A version of a price book, and since when there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedBook<'a> {
    /// Its version, from 1.
    pub version: u32,
    /// What it says.
    pub book: &'a PriceBook,
    /// The event that published it.
    pub sequence: Sequence,
}

/// Queries.
impl Billing {
    /// Whether a party is known.
    pub fn knows_party(&self, party: PartyId) -> bool {
        self.payers.contains_key(&party)
    }

    /// Where the billing periods of a party are cut, if there is such a party.
    pub fn calendar_of(&self, party: PartyId) -> Option<&Calendar> {
        self.payers.get(&party).map(|payer| &payer.calendar)
    }

    /// All versions of a price book, the first one first.
    pub fn price_book(&self, name: &str) -> impl Iterator<Item = PublishedBook<'_>> {
        let published = self.published.get(name).into_iter().flatten();
        let versions = self.books.versions(name).iter().zip(published);
        (1..).zip(versions).map(|(version, (book, sequence))| PublishedBook {
            version,
            book,
            sequence: *sequence,
        })
    }

    /// The newest version of every price book, by name.
    pub fn price_books(&self) -> impl Iterator<Item = PublishedBook<'_>> {
        self.books.names().filter_map(|name| self.price_book(name.as_str()).last())
    }

    /// A run, if it was opened.
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run)
    }

    /// Runs after one, in the order they were opened.
    pub fn runs(&self, after: Option<RunId>, limit: usize) -> Page<&Run, RunId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        page(self.runs.range((from, Bound::Unbounded)).map(|(id, run)| (*id, run)), limit)
    }

    /// The invoices of a run and its drafts that are none yet, by payer.
    pub fn documents_of(&self, run: RunId) -> impl Iterator<Item = &Document> {
        let (first, last) = ((run, PartyId(u64::MIN)), (run, PartyId(u64::MAX)));
        self.documents.range(first..=last).map(|(_, document)| document)
    }

    /// An invoice by its number, or the draft or invoice by the id it had as a draft.
    pub fn document(&self, id: &str) -> Option<&Document> {
        self.documents.get(&self.place(id)?)
    }

    /// Invoices and drafts after one, of one payer or of all, in one state or in both; by run and payer.
    pub fn documents(
        &self,
        (payer, state): (Option<PartyId>, Option<DocumentState>),
        after: Option<(RunId, PartyId)>,
        limit: usize,
    ) -> Page<&Document, (RunId, PartyId)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.documents.range((from, Bound::Unbounded)).map(|(place, document)| (*place, document));
        let wanted = all.filter(|((_, of), document)| {
            payer.is_none_or(|payer| payer == *of) && state.is_none_or(|state| state == document.state())
        });
        page(wanted, limit)
    }

    fn place(&self, id: &str) -> Option<(RunId, PartyId)> {
        self.issued.get(id).copied().or_else(|| {
            let at = id.find("-PARTY-")?;
            Some((id[..at].parse().ok()?, id[at + 1..].parse().ok()?))
        })
    }
}

fn page<T, K>(mut items: impl Iterator<Item = (K, T)>, limit: usize) -> Page<T, K> {
    let mut last = None;
    let taken = items.by_ref().take(limit).map(|(key, item)| {
        last = Some(key);
        item
    });
    let items_taken = taken.collect();
    let next = last.filter(|_| items.next().is_some());
    Page { items: items_taken, next }
}

/// The fold.
impl Billing {
    /// Takes the next event over, with metering as it is after it.
    fn apply(&mut self, recorded: &Recorded, metering: &Metering) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::PartyRegistered(event) => self.registered(event),
            Event::InstanceRequested(_)
            | Event::InstanceChanged(_)
            | Event::InstanceAllocated(_)
            | Event::InstanceEnded(_) => self.histories.apply(&recorded.event, sequence),
            Event::PriceBookPublished(event) => self.published(event, sequence),
            Event::InvoiceRunOpened(event) => self.opened(event, sequence, metering),
            Event::InvoiceLinesRecorded(event) => self.lines_recorded(event),
            Event::InvoiceFinalised(event) => self.finalised(event, sequence),
            Event::InvoiceRunFinalised(event) => self.run_finalised(event, sequence),
            _ => {}
        }
    }

    fn registered(&mut self, event: &PartyRegistered) {
        let PartyRegistered { party, name, time_zone, .. } = event;
        self.payers.insert(*party, Payer { name: name.clone(), calendar: Calendar::of(*time_zone) });
    }

    fn published(&mut self, event: &PriceBookPublished, sequence: Sequence) {
        self.books.published(event);
        self.published.entry(event.book.name.clone()).or_default().push(sequence);
    }

    fn opened(&mut self, event: &InvoiceRunOpened, sequence: Sequence, metering: &Metering) {
        let (drafts, warnings) = self.drafts(event, metering);
        let suspended_usage = self.suspended_within(event, metering);
        let told = (suspended_usage > 0).then_some(Warning::SuspendedUsage { events: suspended_usage });
        let warnings = told.into_iter().chain(warnings).collect();
        let run = Run { opened: event.clone(), sequence, warnings, suspended_usage, finalised: None };
        self.runs.insert(event.run, run);
        for invoice in drafts {
            let place = (event.run, invoice.buyer.party);
            self.documents.insert(place, Document { invoice, issued: None });
        }
    }

    fn drafts(&self, run: &InvoiceRunOpened, metering: &Metering) -> (Vec<Invoice>, Vec<Warning>) {
        let versions = self.books.versions(run.price_book.as_str());
        let versions = &versions[..versions.len().min(usize::try_from(run.versions).unwrap_or(usize::MAX))];
        let basis = Basis { payers: &self.payers, metering, versions };
        let invoiced = self.invoiced(run);
        let mut drafts = Vec::new();
        let mut warnings = Vec::new();
        for (payer, instances) in self.histories.by_owner() {
            let Some(known) = self.payers.get(&payer) else { continue };
            let Some(period) = run.period.within(&known.calendar) else {
                warnings.push(Warning::NoPeriod { payer });
                continue;
            };
            let before = invoiced.get(&payer).into_iter().flatten();
            if let Some(invoice) =
                before.into_iter().find(|before| before.period.intersection(period).is_some())
            {
                warnings.push(Warning::Invoiced { payer, invoice: invoice.id.clone() });
                continue;
            }
            drafts.extend(rating::draft(&basis, run, (payer, period), &instances, &mut warnings));
        }
        (drafts, warnings)
    }

    /// What the seller of a run has invoiced to whom in the currency of its prices.
    fn invoiced(&self, run: &InvoiceRunOpened) -> BTreeMap<PartyId, Vec<&Invoice>> {
        let currency = self.books.versions(run.price_book.as_str()).first().map(|book| book.currency);
        let mut invoiced: BTreeMap<PartyId, Vec<&Invoice>> = BTreeMap::new();
        let issued = self.documents.values().filter(|document| document.issued.is_some());
        for invoice in issued.map(|document| &document.invoice) {
            if (invoice.seller.party, Some(invoice.currency)) == (run.seller, currency) {
                invoiced.entry(invoice.buyer.party).or_default().push(invoice);
            }
        }
        invoiced
    }

    /// How many suspended reports may be about the period of a run, as the seller has it.
    fn suspended_within(&self, run: &InvoiceRunOpened, metering: &Metering) -> u64 {
        let period = self.payers.get(&run.seller).and_then(|seller| run.period.within(&seller.calendar));
        let Some(period) = period else { return 0 };
        let waiting = metering.suspense(Sequence::ZERO, usize::MAX).items.into_iter();
        let within = waiting.map(|(_, suspense)| &suspense.usage).filter(|usage| {
            usage.stop.is_none_or(|stop| stop > period.start)
                && usage.start.or(usage.stop).is_none_or(|start| start < period.stop)
        });
        within.count() as u64
    }

    fn lines_recorded(&mut self, event: &InvoiceLinesRecorded) {
        self.parts.entry(event.invoice.clone()).or_default().extend_from_slice(&event.lines);
    }

    fn finalised(&mut self, event: &InvoiceFinalised, sequence: Sequence) {
        let mut invoice = event.invoice.clone();
        if let Some(lines) = self.parts.remove(&invoice.id) {
            invoice.lines = lines;
        }
        let place = (invoice.run, invoice.buyer.party);
        self.issued.insert(invoice.id.clone(), place);
        self.documents.insert(place, Document { invoice, issued: Some(sequence) });
    }

    fn run_finalised(&mut self, event: &InvoiceRunFinalised, sequence: Sequence) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            run.finalised = Some((event.at, sequence));
        }
    }
}

impl Projection for Billing {
    fn name(&self) -> &'static str {
        "billing"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }
}
