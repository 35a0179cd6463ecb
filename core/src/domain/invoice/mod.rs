//! Invoice runs and invoices: what is fixed when a run is opened, and what makes a document final.
//!
//! A draft is computed elsewhere, as a function of the events up to the run's cut-off. Here is decided whether
//! it may become final: its sums must add up, its period must be over, nobody is invoiced twice for the same
//! time, and its number follows the last one of its series. The event holds the whole document.

mod balance;
mod document;
mod note;
pub(crate) mod number;
mod parts;
mod refusal;
mod remainder;
mod run;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use super::Outcome;
use super::charge::Charges;
use super::credit::Credits;
use super::event::{Event, Stream};
use super::id::{InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use super::money::{Amount, Currency};
use super::party::{Parties, Party};
use super::pricing::PriceBooks;
use super::restore::Numbering;
pub use super::tax::{Exemption, Tax, TaxCategory};
use super::time::{Period, Timestamp};

pub use balance::{Balance, Balances};
pub use document::{
    Citation, CreditUsed, DocumentKind, EventSet, Invoice, InvoiceFinalised, InvoiceLine,
    InvoiceLinesRecorded, InvoiceParty, LineKind, LineRef, PriceStep, TaxSubtotal,
};
pub use note::{GiveBack, HowMuch, IssueCreditNote};
pub(crate) use parts::lines_digest;
pub use refusal::InvoiceRefusal;
pub use remainder::{Remainders, Taken, as_charged};
pub use run::{
    Bound, FinaliseInvoiceRun, InvoiceRunFinalised, InvoiceRunOpened, InvoiceRunRefreshed,
    InvoiceRunWithdrawn, OpenInvoiceRun, RefreshInvoiceRun, RunPeriod, WithdrawInvoiceRun,
};

/// Make a draft final. Its id, the dates of issue and payment, and what prepaid credit pays are given here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinaliseInvoice {
    /// The draft; what it says of these is not looked at.
    pub draft: Invoice,
}

/// What decisions about documents look at besides runs and documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) parties: &'a Parties,
    pub(crate) credits: &'a Credits,
    pub(crate) charges: &'a Charges,
    pub(crate) numbering: Numbering<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct RunRecord {
    seller: PartyId,
    period: RunPeriod,
    cut_off: Sequence,
    price_book: PriceBookName,
    grace_until: Option<Timestamp>,
    issued: BTreeMap<(PartyId, Currency), InvoiceId>,
    state: RunState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
enum RunState {
    Open,
    Final,
    Withdrawn,
}

/// All runs, and what has been invoiced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Invoices {
    runs: BTreeMap<RunId, RunRecord>,
    /// The last number of each series (that of credit notes is one of its own) and year.
    numbers: BTreeMap<(Box<str>, i32), u64>,
    /// What a seller issued to a payer in a currency.
    issued_to: BTreeMap<(PartyId, PartyId, Currency), IssuedTo>,
    /// What the lines of every invoice charged.
    charged: BTreeMap<InvoiceId, note::ChargedLines>,
    /// What later documents took of them.
    remainders: Remainders,
    /// What is credited, paid and due of every invoice.
    balances: Balances,
    /// Lines of a document whose event is the next.
    parts: BTreeMap<InvoiceId, Vec<InvoiceLine>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
struct IssuedTo {
    /// The periods of documents that stand.
    standing: Vec<(Period, InvoiceId)>,
    /// The last document of all, and the event that issued it.
    last: Option<(InvoiceId, Sequence)>,
}

/// In how many days a document is to be paid, if neither party says otherwise.
const TERMS_DAYS: u16 = 30;
const DAY_MICROS: i64 = 86_400 * 1_000_000;

impl Invoices {
    /// The invoices a run has issued.
    pub fn issued(&self, run: RunId) -> impl Iterator<Item = &InvoiceId> {
        self.runs.get(&run).into_iter().flat_map(|run| run.issued.values())
    }

    /// The last number of a series and year; 0 if there is none.
    pub(crate) fn last_number(&self, prefix: &str, year: i32) -> u64 {
        self.numbers.get(&(prefix.into(), year)).copied().unwrap_or(0)
    }

    /// What a line of an invoice charged.
    fn charged(&self, cited: &LineRef) -> Option<Amount> {
        self.charged.get(&cited.invoice)?.amount(cited.line)
    }

    fn run(&self, run: RunId) -> Result<&RunRecord, InvoiceRefusal> {
        self.runs.get(&run).ok_or(InvoiceRefusal::UnknownRun { run })
    }

    pub(crate) fn open(
        &self,
        (parties, books): (&Parties, &PriceBooks),
        command: &OpenInvoiceRun,
        (now, next): (Timestamp, Sequence),
    ) -> Result<Outcome<RunId>, InvoiceRefusal> {
        let OpenInvoiceRun { seller, period, ref price_book, grace_hours, finalise } = *command;
        let calendar = &known(parties, seller)?.calendar;
        period.within(calendar).ok_or(InvoiceRefusal::EmptyPeriod)?;
        let price_book = if let Some(name) = price_book {
            name.clone()
        } else {
            let mut names = books.names();
            let only = names.next().ok_or(InvoiceRefusal::NoPriceBook)?;
            if names.next().is_some() {
                return Err(InvoiceRefusal::SeveralPriceBooks);
            }
            only.clone()
        };
        let versions = versions_of(books, price_book.as_str());
        if versions == 0 {
            return Err(InvoiceRefusal::UnknownPriceBook { name: price_book });
        }
        if grace_hours > run::MAX_GRACE_HOURS {
            return Err(InvoiceRefusal::GraceTooLong);
        }
        let grace_until = (grace_hours > 0).then(|| now.plus_micros(i64::from(grace_hours) * 3_600_000_000));
        let run = RunId(self.runs.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        let cut_off = Sequence(next.0 - 1);
        let event = InvoiceRunOpened {
            run,
            seller,
            period,
            cut_off,
            price_book,
            versions,
            grace_until,
            finalise,
            at: now,
        };
        Ok(Outcome::of(run, [(Stream::InvoiceRun(run), Event::InvoiceRunOpened(event))]))
    }

    pub(crate) fn refresh(
        &self,
        books: &PriceBooks,
        command: &RefreshInvoiceRun,
        (now, next): (Timestamp, Sequence),
    ) -> Result<Outcome<RunId>, InvoiceRefusal> {
        let RefreshInvoiceRun { run } = *command;
        let known = self.run(run)?;
        known.check_open(run)?;
        if let Some(invoice) = known.issued.values().next() {
            return Err(InvoiceRefusal::RunStarted { run, invoice: invoice.clone() });
        }
        let versions = versions_of(books, known.price_book.as_str());
        let event = InvoiceRunRefreshed { run, cut_off: Sequence(next.0 - 1), versions, at: now };
        Ok(Outcome::of(run, [(Stream::InvoiceRun(run), Event::InvoiceRunRefreshed(event))]))
    }

    /// A run that has issued documents is done with them; one that has issued none is gone.
    pub(crate) fn withdraw(
        &self,
        command: &WithdrawInvoiceRun,
        now: Timestamp,
    ) -> Result<Outcome<RunId>, InvoiceRefusal> {
        let WithdrawInvoiceRun { run } = *command;
        let known = self.run(run)?;
        let event = match known.state {
            RunState::Withdrawn => return Ok(Outcome::unchanged(run)),
            RunState::Final => return Err(InvoiceRefusal::RunFinal { run }),
            RunState::Open if known.issued.is_empty() => {
                Event::InvoiceRunWithdrawn(InvoiceRunWithdrawn { run, at: now })
            }
            RunState::Open => {
                Event::InvoiceRunFinalised(InvoiceRunFinalised { run, invoices: known.count(), at: now })
            }
        };
        Ok(Outcome::of(run, [(Stream::InvoiceRun(run), event)]))
    }

    pub(crate) fn finalise(
        &self,
        around: Around<'_>,
        command: &FinaliseInvoice,
        now: Timestamp,
    ) -> Result<Outcome<InvoiceId>, InvoiceRefusal> {
        let draft = &command.draft;
        let run = self.run(draft.run)?;
        let (seller, payer) = (run.seller, draft.buyer.party);
        let (buyer, seller_party) = (known(around.parties, payer)?, known(around.parties, seller)?);
        if draft.seller.party != seller || run.period.within(&buyer.calendar) != Some(draft.period) {
            return Err(InvoiceRefusal::OtherPeriod);
        }
        if draft.period.stop > now {
            return Err(InvoiceRefusal::PeriodNotOver { stop: draft.period.stop });
        }
        if let Some(invoice) = run.issued.get(&(payer, draft.currency)) {
            return Err(InvoiceRefusal::AlreadyInvoiced { run: draft.run, invoice: invoice.clone() });
        }
        run.check_open(draft.run)?;
        if let Some(until) = run.grace_until.filter(|until| now < *until) {
            return Err(InvoiceRefusal::InGrace { run: draft.run, until });
        }
        if let Some(issued_to) = self.issued_to.get(&(seller, payer, draft.currency)) {
            let mut standing = issued_to.standing.iter();
            if let Some((_, known)) = standing.find(|(period, _)| period.intersection(draft.period).is_some())
            {
                return Err(InvoiceRefusal::PeriodInvoiced { invoice: known.clone() });
            }
            if let Some((known, _)) = issued_to.last.as_ref().filter(|(_, by)| *by > run.cut_off) {
                return Err(InvoiceRefusal::Outdated { run: draft.run, invoice: known.clone() });
            }
        }
        sums::check_sums(draft)?;
        if let Some(what) = draft.missing_details().next() {
            return Err(InvoiceRefusal::MissingDetails { payer, what });
        }
        check_charges(around.charges, draft)?;

        let mut invoice = draft.clone();
        invoice.prepaid = match draft.document {
            DocumentKind::Invoice => around.credits.pay(seller, payer, draft.currency, draft.total),
            DocumentKind::CreditNote => self.balances.returned(draft, |cited| self.charged(cited)),
        };
        let paid = Amount::sum(draft.currency, invoice.prepaid.iter().map(|used| used.amount));
        invoice.due = paid.and_then(|paid| draft.total.checked_sub(paid)).unwrap_or(draft.total);
        self.issue(around, invoice, (seller_party, buyer), now)
    }

    /// The document with its number and dates.
    fn issue(
        &self,
        around: Around<'_>,
        mut invoice: Invoice,
        (seller, buyer): (&Party, &Party),
        now: Timestamp,
    ) -> Result<Outcome<InvoiceId>, InvoiceRefusal> {
        let series = around.parties.series_of(invoice.seller.party);
        let series = series.ok_or(InvoiceRefusal::NoSeries { seller: invoice.seller.party })?;
        let (prefix, year) = (number::prefix(series, invoice.document), number::year(&seller.calendar, now));
        let (prefix, floor) = around.numbering.in_force(&prefix, year, &seller.calendar);
        let number = self.last_number(&prefix, year).max(floor) + 1;
        let terms = buyer.terms_days.or(seller.terms_days).unwrap_or(TERMS_DAYS);
        invoice.id = number::write(&prefix, year, number);
        (invoice.issued_at, invoice.due_at) = (now, now.plus_micros(i64::from(terms) * DAY_MICROS));
        Ok(Outcome::of(invoice.id.clone(), parts::events(invoice)))
    }

    pub(crate) fn finalise_run(
        &self,
        command: &FinaliseInvoiceRun,
        now: Timestamp,
    ) -> Result<Outcome<RunId>, InvoiceRefusal> {
        let run = self.run(command.run)?;
        let issued = run.count();
        if run.state == RunState::Withdrawn {
            return Err(InvoiceRefusal::RunWithdrawn { run: command.run });
        }
        if issued != command.invoices {
            return Err(InvoiceRefusal::RunIncomplete { issued, drafts: command.invoices });
        }
        if run.state == RunState::Final {
            return Ok(Outcome::unchanged(command.run));
        }
        if let Some(until) = run.grace_until.filter(|until| now < *until) {
            return Err(InvoiceRefusal::InGrace { run: command.run, until });
        }
        let event = InvoiceRunFinalised { run: command.run, invoices: issued, at: now };
        Ok(Outcome::of(command.run, [(Stream::InvoiceRun(command.run), Event::InvoiceRunFinalised(event))]))
    }

    pub(crate) fn opened(&mut self, event: &InvoiceRunOpened) {
        let InvoiceRunOpened { run, seller, period, cut_off, grace_until, .. } = *event;
        let (price_book, issued, state) = (event.price_book.clone(), BTreeMap::new(), RunState::Open);
        self.runs.insert(run, RunRecord { seller, period, cut_off, price_book, grace_until, issued, state });
    }

    pub(crate) fn refreshed(&mut self, event: &InvoiceRunRefreshed) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            run.cut_off = event.cut_off;
        }
    }

    pub(crate) fn withdrawn(&mut self, event: &InvoiceRunWithdrawn) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            run.state = RunState::Withdrawn;
        }
    }

    pub(crate) fn lines_recorded(&mut self, event: &InvoiceLinesRecorded) {
        self.parts.entry(event.invoice.clone()).or_default().extend_from_slice(&event.lines);
    }

    pub(crate) fn finalised(&mut self, event: &InvoiceFinalised, sequence: Sequence) {
        let invoice = &event.invoice;
        let lines = self.parts.remove(&invoice.id);
        let lines = lines.as_deref().unwrap_or(&invoice.lines);
        if let Some((prefix, year, number)) = number::read(&invoice.id) {
            self.numbers.insert((prefix.into(), year), number);
        }
        let key = (invoice.seller.party, invoice.buyer.party, invoice.currency);
        let issued_to = self.issued_to.entry(key).or_default();
        issued_to.last = Some((invoice.id.clone(), sequence));
        let Some(run) = self.runs.get_mut(&invoice.run) else { return };
        let place = (invoice.buyer.party, invoice.currency);
        // After the document of the run for somebody come the credit notes about it.
        if run.issued.contains_key(&place) {
            self.remainders.credited(invoice, lines);
            self.balances.credited(invoice);
            if let Some(cited) = invoice.cites.as_ref().filter(|cited| cited.all) {
                issued_to.standing.retain(|(_, known)| *known != cited.invoice);
            }
            return;
        }
        run.issued.insert(place, invoice.id.clone());
        issued_to.standing.push((invoice.period, invoice.id.clone()));
        if invoice.document == DocumentKind::Invoice {
            self.charged.insert(invoice.id.clone(), note::ChargedLines::of(lines));
        }
        let Self { charged, remainders, balances, .. } = self;
        let charged = |cited: &LineRef| charged.get(&cited.invoice)?.amount(cited.line);
        remainders.issued(invoice, lines, charged);
        balances.issued(invoice, lines, charged);
    }

    pub(crate) fn run_finalised(&mut self, event: &InvoiceRunFinalised) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            run.state = RunState::Final;
        }
    }
}

impl RunRecord {
    fn check_open(&self, run: RunId) -> Result<(), InvoiceRefusal> {
        match self.state {
            RunState::Open => Ok(()),
            RunState::Final => Err(InvoiceRefusal::RunFinal { run }),
            RunState::Withdrawn => Err(InvoiceRefusal::RunWithdrawn { run }),
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.issued.len()).unwrap_or(u32::MAX)
    }
}

fn known(parties: &Parties, party: PartyId) -> Result<&Party, InvoiceRefusal> {
    parties.get(party).ok_or(InvoiceRefusal::UnknownParty { party })
}

fn versions_of(books: &PriceBooks, name: &str) -> u32 {
    u32::try_from(books.versions(name).len()).unwrap_or(u32::MAX)
}

/// Each one-off charge of a draft is what was recorded, and on no other document.
fn check_charges(charges: &Charges, draft: &Invoice) -> Result<(), InvoiceRefusal> {
    let mut seen = BTreeSet::new();
    for line in &draft.lines {
        let LineKind::OneOff { charge } = line.kind else { continue };
        let amount = match draft.document {
            DocumentKind::Invoice => line.amount,
            DocumentKind::CreditNote => line.amount.negated(),
        };
        let parties = (draft.seller.party, draft.buyer.party, draft.currency);
        let same = charges.get(charge).is_some_and(|open| {
            (open.seller, open.customer, open.currency) == parties && open.amount == amount
        });
        if !same || !seen.insert(charge) {
            return Err(InvoiceRefusal::ChargeNotOpen { charge });
        }
    }
    Ok(())
}
