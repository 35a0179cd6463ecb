//! Invoice runs and invoices: what is fixed when a run is opened, and what makes a document final.
//!
//! A draft is computed elsewhere, as a function of the events up to the run's cut-off. Here is decided whether
//! it may become final: its sums must add up, its period must be over, nobody is invoiced twice for the same
//! time, and its number follows the last one of its series. The event holds the whole document.

mod document;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use chrono::Datelike;
use sha2::{Digest, Sha256};

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use super::money::{Amount, Currency, Exact, Rounding};
use super::party::Parties;
use super::pricing::PriceBooks;
use super::quantity::Quantity;
pub use super::tax::{Exemption, Tax, TaxCategory};
use super::time::{Period, Timestamp};

pub use document::{
    Citation, CreditUsed, DocumentKind, EventSet, Invoice, InvoiceFinalised, InvoiceLine,
    InvoiceLinesRecorded, InvoiceParty, LineKind, LineRef, PriceStep, TaxSubtotal,
};
pub use run::{
    Bound, InvoiceRunFinalised, InvoiceRunOpened, InvoiceRunRefreshed, InvoiceRunWithdrawn, RunPeriod,
};

/// Open an invoice run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInvoiceRun {
    /// Who sells.
    pub seller: PartyId,
    /// What it is about.
    pub period: RunPeriod,
    /// Whose prices; may be left out while there is but one price book.
    pub price_book: Option<PriceBookName>,
}

/// Make a draft final. Its id, and the dates of issue and payment, are given here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinaliseInvoice {
    /// The draft; what it says of id and dates is not looked at.
    pub draft: Invoice,
}

/// All drafts of a run are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinaliseInvoiceRun {
    /// Which.
    pub run: RunId,
    /// How many invoices it has.
    pub invoices: u32,
}

/// Why a command about invoices is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceRefusal {
    /// The seller or payer is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// The period runs backwards or is empty.
    #[error("period must stop after it starts")]
    EmptyPeriod,
    /// There are no prices.
    #[error("there is no price book; publish one first")]
    NoPriceBook,
    /// There are several price books, and none was named.
    #[error("there are several price books; name one")]
    SeveralPriceBooks,
    /// There is no such price book.
    #[error("there is no price book {name}")]
    UnknownPriceBook {
        /// Which.
        name: PriceBookName,
    },
    /// There is no such run.
    #[error("there is no invoice run {run}")]
    UnknownRun {
        /// Which.
        run: RunId,
    },
    /// The period of the run is not over.
    #[error("period ends at {stop}: until then there are drafts only")]
    PeriodNotOver {
        /// When it ends for this payer.
        stop: Timestamp,
    },
    /// The document is not about the period of its run.
    #[error("period of the document is not that of its run")]
    OtherPeriod,
    /// The sums of the document do not add up.
    #[error("sums do not add up: {what}")]
    SumsDoNotAddUp {
        /// Which.
        what: &'static str,
    },
    /// The run has issued an invoice for this payer and currency.
    #[error("run {run} has issued {invoice} for this payer already")]
    AlreadyInvoiced {
        /// Which run.
        run: RunId,
        /// Which invoice.
        invoice: InvoiceId,
    },
    /// The run is done: it issues nothing more.
    #[error("run {run} is final")]
    RunFinal {
        /// Which.
        run: RunId,
    },
    /// Another run has invoiced some of this time.
    #[error("{invoice} covers some of this period already")]
    PeriodInvoiced {
        /// Which invoice.
        invoice: InvoiceId,
    },
    /// Another run has issued something for this payer since: with it, late usage, fees in advance and charges by hand
    /// may have been charged that this draft charges too.
    #[error("{invoice} was issued after {run} was opened, and {run} does not know of it: open another run")]
    Outdated {
        /// Which run.
        run: RunId,
        /// Which invoice.
        invoice: InvoiceId,
    },
    /// Not all drafts of the run are final.
    #[error("run has {issued} invoices of {drafts}")]
    RunIncomplete {
        /// How many are final.
        issued: u32,
        /// How many there are to be.
        drafts: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Run {
    seller: PartyId,
    period: RunPeriod,
    cut_off: Sequence,
    issued: BTreeMap<(PartyId, Currency), InvoiceId>,
    finalised: bool,
}

/// All runs, and what has been invoiced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Invoices {
    runs: BTreeMap<RunId, Run>,
    /// The last number of each seller, kind of document and year.
    numbers: BTreeMap<(PartyId, DocumentKind, i32), u64>,
    invoiced: BTreeMap<(PartyId, PartyId, Currency), Vec<Invoiced>>,
}

/// A document of a run, and the event that issued it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Invoiced {
    period: Period,
    invoice: InvoiceId,
    sequence: Sequence,
}

/// How long a buyer has to pay, until there are terms of payment.
const TERM_MICROS: i64 = 30 * 86_400 * 1_000_000;
/// The series of numbers, until a seller can choose one.
const SERIES: [(DocumentKind, &str); 2] =
    [(DocumentKind::Invoice, "INV"), (DocumentKind::CreditNote, "INVCN")];
/// The most bytes of lines in one event.
const PART_BYTES: usize = 48_000;

impl Invoices {
    /// The invoices a run has issued.
    pub fn issued(&self, run: RunId) -> impl Iterator<Item = &InvoiceId> {
        self.runs.get(&run).into_iter().flat_map(|run| run.issued.values())
    }

    pub(crate) fn open(
        &self,
        (parties, books): (&Parties, &PriceBooks),
        command: &OpenInvoiceRun,
        (now, next): (Timestamp, Sequence),
    ) -> Result<Outcome<RunId>, InvoiceRefusal> {
        let seller =
            parties.get(command.seller).ok_or(InvoiceRefusal::UnknownParty { party: command.seller })?;
        command.period.within(&seller.calendar).ok_or(InvoiceRefusal::EmptyPeriod)?;
        let price_book = if let Some(name) = &command.price_book {
            name.clone()
        } else {
            let mut names = books.names();
            let only = names.next().ok_or(InvoiceRefusal::NoPriceBook)?;
            if names.next().is_some() {
                return Err(InvoiceRefusal::SeveralPriceBooks);
            }
            only.clone()
        };
        let versions = u32::try_from(books.versions(price_book.as_str()).len()).unwrap_or(u32::MAX);
        if versions == 0 {
            return Err(InvoiceRefusal::UnknownPriceBook { name: price_book });
        }
        let run = RunId(self.runs.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        let (seller, period, cut_off) = (command.seller, command.period, Sequence(next.0 - 1));
        let event = InvoiceRunOpened {
            run,
            seller,
            period,
            cut_off,
            price_book,
            versions,
            grace_until: None,
            finalise: false,
            at: now,
        };
        Ok(Outcome::of(run, [(Stream::InvoiceRun(run), Event::InvoiceRunOpened(event))]))
    }

    pub(crate) fn finalise(
        &self,
        parties: &Parties,
        command: &FinaliseInvoice,
        now: Timestamp,
    ) -> Result<Outcome<InvoiceId>, InvoiceRefusal> {
        let draft = &command.draft;
        let run = self.runs.get(&draft.run).ok_or(InvoiceRefusal::UnknownRun { run: draft.run })?;
        let (seller, payer) = (run.seller, draft.buyer.party);
        let buyer = parties.get(payer).ok_or(InvoiceRefusal::UnknownParty { party: payer })?;
        let seller_party = parties.get(seller).ok_or(InvoiceRefusal::UnknownParty { party: seller })?;
        if draft.seller.party != seller || run.period.within(&buyer.calendar) != Some(draft.period) {
            return Err(InvoiceRefusal::OtherPeriod);
        }
        if draft.period.stop > now {
            return Err(InvoiceRefusal::PeriodNotOver { stop: draft.period.stop });
        }
        if let Some(invoice) = run.issued.get(&(payer, draft.currency)) {
            return Err(InvoiceRefusal::AlreadyInvoiced { run: draft.run, invoice: invoice.clone() });
        }
        if run.finalised {
            return Err(InvoiceRefusal::RunFinal { run: draft.run });
        }
        let key = (seller, payer, draft.currency);
        let before = self.invoiced.get(&key).map_or(&[][..], Vec::as_slice);
        if let Some(known) = before.iter().find(|known| known.period.intersection(draft.period).is_some()) {
            return Err(InvoiceRefusal::PeriodInvoiced { invoice: known.invoice.clone() });
        }
        if let Some(known) = before.iter().find(|known| known.sequence > run.cut_off) {
            return Err(InvoiceRefusal::Outdated { run: draft.run, invoice: known.invoice.clone() });
        }
        check_sums(draft)?;

        let year = now.to_utc().with_timezone(&seller_party.calendar.zone_at(now).0).year();
        let number = self.numbers.get(&(seller, draft.document, year)).copied().unwrap_or(0) + 1;
        let id = number_of(draft.document, year, number);
        let mut invoice = draft.clone();
        (invoice.id, invoice.issued_at, invoice.due_at) = (id.clone(), now, now.plus_micros(TERM_MICROS));
        (invoice.prepaid, invoice.due) = (Vec::new(), invoice.total);
        let stream = Stream::Invoice(id.clone());
        let (parts, lines_digest) = (cut_lines(&invoice.lines), lines_digest(&invoice.lines));
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        if count > 0 {
            invoice.lines = Vec::new();
        }
        let parts = (1..).zip(parts).map(|(part, lines)| {
            Event::InvoiceLinesRecorded(InvoiceLinesRecorded { invoice: id.clone(), part, lines })
        });
        let last = Event::InvoiceFinalised(InvoiceFinalised { invoice, parts: count, lines_digest });
        let events: Vec<_> = parts.chain([last]).map(|event| (stream.clone(), event)).collect();
        Ok(Outcome::of(id, events))
    }

    pub(crate) fn finalise_run(
        &self,
        command: &FinaliseInvoiceRun,
        now: Timestamp,
    ) -> Result<Outcome<RunId>, InvoiceRefusal> {
        let run = self.runs.get(&command.run).ok_or(InvoiceRefusal::UnknownRun { run: command.run })?;
        let issued = u32::try_from(run.issued.len()).unwrap_or(u32::MAX);
        if issued != command.invoices {
            return Err(InvoiceRefusal::RunIncomplete { issued, drafts: command.invoices });
        }
        if run.finalised {
            return Ok(Outcome::unchanged(command.run));
        }
        let event = InvoiceRunFinalised { run: command.run, invoices: issued, at: now };
        Ok(Outcome::of(command.run, [(Stream::InvoiceRun(command.run), Event::InvoiceRunFinalised(event))]))
    }

    pub(crate) fn opened(&mut self, event: &InvoiceRunOpened) {
        let InvoiceRunOpened { run, seller, period, cut_off, .. } = *event;
        self.runs.insert(run, Run { seller, period, cut_off, issued: BTreeMap::new(), finalised: false });
    }

    pub(crate) fn finalised(&mut self, event: &InvoiceFinalised, sequence: Sequence) {
        let invoice = &event.invoice;
        let (seller, payer) = (invoice.seller.party, invoice.buyer.party);
        if let Some((year, number)) = parse_number(invoice.document, &invoice.id) {
            self.numbers.insert((seller, invoice.document, year), number);
        }
        if let Some(run) = self.runs.get_mut(&invoice.run) {
            run.issued.insert((payer, invoice.currency), invoice.id.clone());
        }
        let invoiced = self.invoiced.entry((seller, payer, invoice.currency)).or_default();
        invoiced.push(Invoiced { period: invoice.period, invoice: invoice.id.clone(), sequence });
    }

    pub(crate) fn run_finalised(&mut self, event: &InvoiceRunFinalised) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            run.finalised = true;
        }
    }
}

fn series(document: DocumentKind) -> &'static str {
    SERIES.iter().find(|(kind, _)| *kind == document).map_or("", |(_, series)| series)
}

fn number_of(document: DocumentKind, year: i32, number: u64) -> InvoiceId {
    InvoiceId::new(&format!("{}-{year:04}-{number:06}", series(document)))
        .expect("a series, a year and a number are short text")
}

fn parse_number(document: DocumentKind, id: &InvoiceId) -> Option<(i32, u64)> {
    let (year, number) = id.as_str().strip_prefix(series(document))?.strip_prefix('-')?.split_once('-')?;
    Some((year.parse().ok()?, number.parse().ok()?))
}

/// EN 16931: BR-CO-10 (sum of lines), BR-CO-13 and 14 (net and tax), BR-CO-15 and 16 (totals), BR-CO-17 (tax of a
/// category).
fn check_sums(invoice: &Invoice) -> Result<(), InvoiceRefusal> {
    let currency = invoice.currency;
    let fails = |what| Err(InvoiceRefusal::SumsDoNotAddUp { what });
    if invoice.lines.iter().zip(1..).any(|(line, n)| line.n != n) {
        return fails("lines are not numbered from 1");
    }
    if Amount::sum(currency, invoice.lines.iter().map(|line| line.amount)) != Some(invoice.net) {
        return fails("net is not the sum of the lines");
    }
    for subtotal in &invoice.tax {
        let lines = invoice.lines.iter().filter(|line| line.tax == subtotal.tax).map(|line| line.amount);
        if Amount::sum(currency, lines) != Some(subtotal.base) {
            return fails("tax base is not the sum of its lines");
        }
        if subtotal.tax.category == TaxCategory::S {
            let exact = Exact::percentage(subtotal.base, subtotal.tax.rate);
            if exact.map(|exact| exact.round(currency, Rounding::HalfUp)) != Some(subtotal.amount) {
                return fails("tax is not its rate of the base");
            }
        } else if subtotal.tax.rate != Quantity::ZERO {
            return fails("tax rate of a category without tax is not zero");
        } else if subtotal.amount != Amount::zero(currency) {
            return fails("tax outside the scope of tax is not zero");
        }
    }
    if Amount::sum(currency, invoice.tax.iter().map(|subtotal| subtotal.base)) != Some(invoice.net) {
        return fails("tax bases are not the net");
    }
    let parts = invoice.tax.iter().map(|subtotal| subtotal.amount).chain([invoice.net, invoice.rounding]);
    if Amount::sum(currency, parts) != Some(invoice.total) {
        return fails("total is not net, tax and rounding");
    }
    Ok(())
}

/// SHA-256 over all lines in bincode, one after the other.
pub(crate) fn lines_digest(lines: &[InvoiceLine]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line_bytes(line));
    }
    hasher.finalize().into()
}

fn line_bytes(line: &InvoiceLine) -> Vec<u8> {
    bincode::encode_to_vec(line, bincode::config::standard()).expect("a line in memory can be encoded")
}

/// The lines in parts, if they are too long for one event.
fn cut_lines(lines: &[InvoiceLine]) -> Vec<Vec<InvoiceLine>> {
    let mut parts: Vec<Vec<InvoiceLine>> = Vec::new();
    let mut room = 0;
    for line in lines {
        let bytes = line_bytes(line).len();
        if bytes > room {
            parts.push(Vec::new());
            room = PART_BYTES;
        }
        room = room.saturating_sub(bytes);
        if let Some(part) = parts.last_mut() {
            part.push(line.clone());
        }
    }
    if parts.len() < 2 { Vec::new() } else { parts }
}
