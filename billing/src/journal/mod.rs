//! The journal: what every document and every prepaid credit means in double entry.
//!
//! A fold of events into transactions. Each is balanced, exactly, in its one currency; each names the event that caused
//! it and is dated at that event's instant, but for the entries that close accounts, which are dated at the last
//! microsecond they close. Lines of a document are summed by account as they come, so that a year of long invoices
//! stays small. A document that does not balance stops the books with a fault that names it; it never becomes a
//! transaction.
//!
//! Not here: what may be recorded, names of people, money that is received for invoices.

pub mod account;
mod derive;
pub mod export;
mod query;
pub mod transaction;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use bincode::{Decode, Encode};
use slapledger_core::domain::calendar::Calendar;
use slapledger_core::domain::credit::{CreditId, CreditKind};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InvoiceId, PartyId, Sequence};
use slapledger_core::domain::money::{Currency, Exact};
use slapledger_core::domain::time::{Date, Timestamp};
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::CopyOnWrite;
use slapledger_projections::rows::RowDigests;
use slapledger_projections::view::{Projection, View, get, put};

pub use account::{Account, AccountKind, Income, Side};
pub use export::{Export, ExportFormat};
pub use query::{Book, Move, Statement, TransactionFilter, TrialBalance};
pub use transaction::{About, Cause, Posting, Transaction, TransactionId, Unbalanced};

use transaction::Postings;

/// The books of all sellers in all currencies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Journal {
    /// Where everybody's days begin.
    calendars: CopyOnWrite<BTreeMap<PartyId, Calendar>>,
    /// Whose a credit is, with whom, in what.
    credits: CopyOnWrite<BTreeMap<CreditId, Granted>>,
    /// The income of lines whose document is not issued yet: its event is the next.
    parts: CopyOnWrite<BTreeMap<InvoiceId, derive::SoldLines>>,
    /// In order of their ids.
    transactions: CopyOnWrite<Vec<CopyOnWrite<Transaction>>>,
    /// In the order they were closed.
    periods: CopyOnWrite<Vec<ClosedPeriod>>,
    /// The first event that could not be posted.
    fault: Option<PostingFault>,
}

/// What the journal remembers of a credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
struct Granted {
    seller: PartyId,
    customer: PartyId,
    currency: Currency,
    kind: CreditKind,
}

/// A period of a seller's books that is closed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ClosedPeriod {
    /// The event that closed it.
    pub sequence: Sequence,
    /// Whose.
    pub seller: PartyId,
    /// Its first instant; none, if nothing was closed before.
    pub from: Option<Timestamp>,
    /// The first instant after it.
    pub until: Timestamp,
    /// When it was closed.
    pub at: Timestamp,
}

/// What an event says cannot be posted. The log holds what should not have been recorded: the books are not to be used.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("post the event at sequence {sequence}: {reason}")]
pub struct PostingFault {
    /// Which event.
    pub sequence: Sequence,
    /// Why not.
    pub reason: FaultReason,
}

/// Why an event cannot be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum FaultReason {
    /// Its amounts do not add up.
    #[error(transparent)]
    Unbalanced(Unbalanced),
    /// It is about a credit that was never granted.
    #[error("there is no prepaid credit {0}")]
    UnknownCredit(CreditId),
}

impl From<Unbalanced> for FaultReason {
    fn from(unbalanced: Unbalanced) -> Self {
        Self::Unbalanced(unbalanced)
    }
}

/// The fold.
impl Journal {
    /// Takes the next event over.
    pub fn apply(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        let posted = match &recorded.event {
            Event::PartyRegistered(event) => {
                self.calendars.insert(event.party, Calendar::of(event.time_zone));
                Ok(())
            }
            Event::PartyTimeZoneSet(event) => {
                if let Some(calendar) = self.calendars.get_mut(&event.party) {
                    calendar.change(event.from, event.time_zone);
                }
                Ok(())
            }
            Event::InvoiceLinesRecorded(event) => {
                self.lines_recorded(event);
                Ok(())
            }
            Event::InvoiceFinalised(event) => self.finalised(&event.invoice, sequence),
            Event::CreditGranted(event) => self.granted(event, sequence),
            Event::CreditWithdrawn(event) => self.withdrawn(event, sequence),
            Event::CreditExpired(event) => self.expired(event, sequence),
            Event::AccountsClosed(event) => self.closed(event, sequence),
            _ => Ok(()),
        };
        if let Err(reason) = posted {
            self.fault.get_or_insert(PostingFault { sequence, reason });
        }
    }

    /// Whether everything that was recorded could be posted.
    pub fn check(&self) -> Result<(), PostingFault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Where the days of a party begin, if there is such a party.
    pub fn calendar_of(&self, party: PartyId) -> Option<&Calendar> {
        self.calendars.get(&party)
    }

    /// The day an instant is in where a party is, as the exports date it.
    pub fn day_of(&self, party: PartyId, instant: Timestamp) -> Option<Date> {
        self.calendar_of(party).map(|calendar| Date(export::day_of(calendar, instant)))
    }

    fn post(&mut self, about: About, postings: Postings) -> Result<(), FaultReason> {
        self.transactions.extend(Transaction::balanced(about, postings)?.map(CopyOnWrite::new));
        Ok(())
    }
}

impl Projection for Journal {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        rows.table("calendars", self.calendars.iter());
        rows.keyed("credits", self.credits.iter());
        rows.table("parts", self.parts.iter());
        rows.table("transactions", (1_u64..).zip(self.transactions.iter()));
        rows.table("periods", (1_u64..).zip(self.periods.iter()));
        rows.value("fault", String::new(), &self.fault);
    }
}

/// The journal alone: folded from a log without its usage, it takes as long as there are documents.
impl View for Journal {
    const FORMAT: u32 = 1;
    const LOOKS_AT_USAGE: bool = false;

    fn apply(&mut self, event: &Recorded) {
        Self::apply(self, event);
    }

    fn projections(&self) -> Vec<Box<dyn Projection + '_>> {
        vec![Box::new(self)]
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        get(from)
    }
}

/// An exact amount with at least the digits of its currency: 10.00, but 5.16129032.
pub fn amount_text(amount: Exact, currency: Currency) -> String {
    with_decimals(amount, usize::try_from(currency.minor_digits()).unwrap_or(0))
}

/// An exact amount with at least so many digits after the point.
fn with_decimals(amount: Exact, least: usize) -> String {
    let mut text = amount.to_string();
    let there = decimals(&text);
    if there == 0 && least > 0 {
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', least.saturating_sub(there)));
    text
}

/// How many digits a number has after the point.
fn decimals(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, fraction)| fraction.len())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
