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
mod review;
mod run;
mod run_period;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use super::Outcome;
use super::charge::{ChargeId, ChargeRecorded, Charges};
use super::credit::Credits;
use super::event::{Event, Stream};
use super::id::{InvoiceId, PartyId, PriceBookName, RunId, Sequence};
use super::money::{Amount, Currency};
use super::party::{Parties, Party};
use super::pricing::{InvoicedPeriod, PriceBooks};
use super::restore::Numbering;
pub use super::tax::{Exemption, Tax, TaxCategory};
use super::time::{Period, Timestamp};

pub use balance::{Balance, Balances, EarlierLines};
pub use document::{
    Citation, CreditUsed, DocumentKind, EventSet, Invoice, InvoiceFinalised, InvoiceLine,
    InvoiceLinesRecorded, InvoiceParty, LineKind, LineRef, PriceStep, Reduces, TaxSubtotal,
};
pub use note::{GiveBack, HowMuch, IssueCreditNote, credit_note};
pub use number::read as number_parts;
pub use parts::{has_lines_digest, lines_digest};
pub use refusal::InvoiceRefusal;
pub use remainder::{Remainders, Taken, as_charged, residue_as_charged};
pub use review::{DraftDecision, InvoiceDraftReviewed, ReviewDraft};
pub use run::{
    Bound, FinaliseInvoiceRun, InvoiceRunFinalised, InvoiceRunOpened, InvoiceRunRefreshed,
    InvoiceRunWithdrawn, MAX_PAYERS, OpenInvoiceRun, RefreshInvoiceRun, RunPeriod, RunReason,
    WithdrawInvoiceRun,
};
pub use run_period::InvalidPeriod;
pub use sums::base_and_tax;

/// Make a draft final. Its id, the dates of issue and payment, and what prepaid credit pays are given here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinaliseInvoice {
    /// The draft; what it says of these is not looked at.
    pub draft: Invoice,
    /// Whether it is finalised alone, and not with its run: somebody must have approved it.
    pub alone: bool,
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
    /// Whom it invoices; everybody, if nobody is named.
    payers: Vec<PartyId>,
    grace_until: Option<Timestamp>,
    issued: BTreeMap<(PartyId, Currency), InvoiceId>,
    /// What was decided of drafts that are not issued.
    reviews: BTreeMap<PartyId, review::Review>,
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
    /// What the lines of every document of a run charged.
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
    /// The last charge that corrects a line.
    corrected: Option<Sequence>,
}

/// In how many days a document is to be paid, if neither party says otherwise.
const TERMS_DAYS: u16 = 30;
const DAY_MICROS: i64 = 86_400 * 1_000_000;

impl Invoices {
    /// The invoices a run has issued.
    pub fn issued(&self, run: RunId) -> impl Iterator<Item = &InvoiceId> {
        self.runs.get(&run).into_iter().flat_map(|run| run.issued.values())
    }

    /// The periods that are invoiced by the prices of a book: those of documents that stand.
    pub(crate) fn invoiced_by(&self, book: &PriceBookName) -> impl Iterator<Item = InvoicedPeriod> {
        let runs = self.runs.values().filter(move |run| run.price_book == *book);
        let documents = runs.flat_map(|run| {
            let issued = run.issued.iter();
            issued.map(move |((payer, currency), invoice)| ((run.seller, *payer, *currency), invoice))
        });
        documents.filter_map(|(key, invoice)| {
            let mut standing = self.issued_to.get(&key)?.standing.iter();
            let (period, _) = standing.find(|(_, known)| known == invoice)?;
            Some(InvoicedPeriod { invoice: invoice.clone(), payer: key.1, period: *period })
        })
    }

    /// The last number of a series and year; 0 if there is none.
    pub(crate) fn last_number(&self, prefix: &str, year: i32) -> u64 {
        self.numbers.get(&(prefix.into(), year)).copied().unwrap_or(0)
    }

    fn lines(&self) -> Lines<'_> {
        Lines { charged: &self.charged, remainders: &self.remainders }
    }

    /// Whether what is charged of a seller's lines is what it was at an event: no document and no correction is later.
    pub(crate) fn check_unchanged(
        &self,
        (seller, payer, currency): (PartyId, PartyId, Currency),
        as_of: Sequence,
    ) -> Result<(), InvoiceRefusal> {
        let issued_to = self.issued_to.get(&(seller, payer, currency));
        let document = issued_to.and_then(|issued_to| Some(issued_to.last.as_ref()?.1));
        let corrected = issued_to.and_then(|issued_to| issued_to.corrected);
        match document.max(corrected).filter(|last| *last > as_of) {
            Some(_) => Err(InvoiceRefusal::CorrectedMeanwhile { payer }),
            None => Ok(()),
        }
    }

    /// Whether there is still something to correct of a document: nothing, if it is void.
    pub(crate) fn check_stands(&self, invoice: &InvoiceId) -> Result<(), InvoiceRefusal> {
        if self.remainders.is_void(invoice) {
            return Err(InvoiceRefusal::Void { invoice: invoice.clone() });
        }
        Ok(())
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
        let OpenInvoiceRun { seller, period, ref price_book, ref payers, reason, grace_hours, finalise } =
            *command;
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
        let mut payers = payers.clone();
        payers.sort_unstable();
        payers.dedup();
        if payers.len() > MAX_PAYERS {
            return Err(InvoiceRefusal::TooManyPayers);
        }
        payers.iter().try_for_each(|payer| known(parties, *payer).map(drop))?;
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
            payers,
            reason,
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
        if !run::names(&run.payers, payer) {
            return Err(InvoiceRefusal::PayerNotNamed { run: draft.run, payer });
        }
        let whole = run.period.within(&buyer.calendar).filter(|whole| {
            draft.seller.party == seller && whole.intersection(draft.period) == Some(draft.period)
        });
        let whole = whole.ok_or(InvoiceRefusal::OtherPeriod)?;
        if draft.period.stop > now {
            return Err(InvoiceRefusal::PeriodNotOver { stop: draft.period.stop });
        }
        if let Some(invoice) = run.issued.get(&(payer, draft.currency)) {
            return Err(InvoiceRefusal::AlreadyInvoiced { run: draft.run, invoice: invoice.clone() });
        }
        run.check_open(draft.run)?;
        run.check_reviewed(draft.run, payer, (command.alone, now))?;
        let mut bounds = [(whole.start, whole.stop)].into_iter().collect::<Vec<_>>();
        if let Some(issued_to) = self.issued_to.get(&(seller, payer, draft.currency)) {
            bounds.extend(issued_to.standing.iter().map(|(period, _)| (period.stop, period.start)));
            let mut standing = issued_to.standing.iter();
            if let Some((_, known)) = standing.find(|(period, _)| period.intersection(draft.period).is_some())
            {
                return Err(InvoiceRefusal::PeriodInvoiced { invoice: known.clone() });
            }
            if let Some((known, _)) = issued_to.last.as_ref().filter(|(_, by)| *by > run.cut_off) {
                return Err(InvoiceRefusal::Outdated { run: draft.run, invoice: known.clone() });
            }
        }
        // It is about all the time up to the bounds of its run, or up to documents that stand.
        let is_whole = bounds.iter().any(|(start, _)| *start == draft.period.start)
            && bounds.iter().any(|(_, stop)| *stop == draft.period.stop);
        if !is_whole {
            return Err(InvoiceRefusal::OtherPeriod);
        }
        sums::check_sums(draft)?;
        if let Some(what) = draft.missing_details().next() {
            return Err(InvoiceRefusal::MissingDetails { payer, what });
        }
        check_charges(around.charges, draft)?;

        let mut invoice = draft.clone();
        invoice.prepaid = match draft.document {
            DocumentKind::Invoice => around.credits.pay((seller, payer, draft.currency), draft.total, now),
            DocumentKind::CreditNote => self.balances.returned(draft, &self.lines()),
        };
        let paid = Amount::sum(draft.currency, invoice.prepaid.iter().map(|used| used.amount));
        invoice.due = paid.and_then(|paid| draft.total.checked_sub(paid)).unwrap_or(draft.total);
        let pays = paid.filter(|paid| draft.document == DocumentKind::Invoice && paid.minor() > 0);
        let owner = (seller, payer, draft.currency);
        let top_up = pays.and_then(|paid| around.credits.top_up_after(owner, paid, now));
        let mut issued = self.issue(around, invoice, (seller_party, buyer), now)?;
        issued.events.extend(top_up);
        Ok(issued)
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
        let record = RunRecord {
            seller,
            period,
            cut_off,
            price_book: event.price_book.clone(),
            payers: event.payers.clone(),
            grace_until,
            issued: BTreeMap::new(),
            reviews: BTreeMap::new(),
            state: RunState::Open,
        };
        self.runs.insert(run, record);
    }

    pub(crate) fn refreshed(&mut self, event: &InvoiceRunRefreshed) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            run.cut_off = event.cut_off;
            run.drafts_changed();
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
            let Self { charged, remainders, balances, .. } = self;
            remainders.credited(invoice, lines);
            balances.credited(invoice, &Lines { charged, remainders });
            if let Some(cited) = invoice.cites.as_ref().filter(|cited| cited.all) {
                issued_to.standing.retain(|(_, known)| *known != cited.invoice);
            }
            return;
        }
        run.issued.insert(place, invoice.id.clone());
        run.reviews.remove(&invoice.buyer.party);
        issued_to.standing.push((invoice.period, invoice.id.clone()));
        self.charged.insert(invoice.id.clone(), note::ChargedLines::of(invoice.document, lines));
        let Self { charged, remainders, balances, .. } = self;
        remainders.issued(invoice, lines, |cited| charged.get(&cited.invoice)?.amount(cited.line));
        balances.issued(invoice, lines, &Lines { charged, remainders });
    }

    /// A charge corrects a line.
    pub(crate) fn corrected(&mut self, event: &ChargeRecorded, sequence: Sequence) {
        if event.cites.is_some() {
            let key = (event.seller, event.customer, event.currency);
            self.issued_to.entry(key).or_default().corrected = Some(sequence);
        }
    }

    pub(crate) fn run_finalised(&mut self, event: &InvoiceRunFinalised) {
        if let Some(run) = self.runs.get_mut(&event.run) {
            run.state = RunState::Final;
        }
    }
}

/// The lines of all invoices.
struct Lines<'l> {
    charged: &'l BTreeMap<InvoiceId, note::ChargedLines>,
    remainders: &'l Remainders,
}

impl EarlierLines for Lines<'_> {
    fn line(&self, invoice: &InvoiceId, n: u32) -> Option<(Amount, Tax)> {
        self.charged.get(invoice)?.get(n)
    }

    fn remainders(&self) -> &Remainders {
        self.remainders
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

/// Each charge by hand of a draft is what was recorded, whole and on no other document. It is one line, or the lines that
/// it takes something of with what is left of it.
fn check_charges(charges: &Charges, draft: &Invoice) -> Result<(), InvoiceRefusal> {
    let parties = (draft.seller.party, draft.buyer.party, draft.currency);
    let mut amounts: BTreeMap<ChargeId, Amount> = BTreeMap::new();
    let mut whole = BTreeSet::new();
    for line in &draft.lines {
        let Some(charge) = line.kind.charge() else { continue };
        let refused = InvoiceRefusal::ChargeNotOpen { charge };
        if matches!(line.kind, LineKind::OneOff { .. }) && !whole.insert(charge) {
            return Err(refused);
        }
        let amount = as_charged(draft.document, line.amount);
        let known = amounts.entry(charge).or_insert_with(|| Amount::zero(draft.currency));
        *known = known.checked_add(amount).ok_or(refused)?;
    }
    let recorded = |charge: &ChargeId, amount: &Amount| {
        charges.get(*charge).is_some_and(|open| {
            (open.seller, open.customer, open.currency) == parties && open.amount == *amount
        })
    };
    match amounts.iter().find(|(charge, amount)| !recorded(charge, amount)) {
        Some((charge, _)) => Err(InvoiceRefusal::ChargeNotOpen { charge: *charge }),
        None => Ok(()),
    }
}
