//! Invoice runs: what is fixed when one is opened, drawn up again, withdrawn, or done.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::calendar::Calendar;
use crate::domain::id::{PartyId, PriceBookName, RunId, Sequence};
use crate::domain::time::{Date, Period, Timestamp};

/// A bound of a run's period: a day counts from midnight in each payer's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(untagged)]
pub enum Bound {
    /// Midnight of a day, where the payer is.
    Day(Date),
    /// The same instant for everybody.
    Instant(Timestamp),
}

impl Bound {
    /// The instant it means for somebody.
    pub fn within(self, calendar: &Calendar) -> Timestamp {
        match self {
            Self::Day(date) => calendar.start_of(date),
            Self::Instant(instant) => instant,
        }
    }
}

/// The period a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RunPeriod {
    /// Its first instant.
    pub start: Bound,
    /// The first instant after it.
    pub stop: Bound,
}

impl RunPeriod {
    /// What it means for somebody; nothing, if it runs backwards where they are.
    pub fn within(self, calendar: &Calendar) -> Option<Period> {
        Period::new(self.start.within(calendar), self.stop.within(calendar))
    }
}

/// The most payers that a run names.
pub const MAX_PAYERS: usize = 1000;

/// The longest time of grace: a year.
pub(super) const MAX_GRACE_HOURS: u32 = 366 * 24;

/// Open an invoice run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInvoiceRun {
    /// Who sells.
    pub seller: PartyId,
    /// What it is about.
    pub period: RunPeriod,
    /// Whose prices; may be left out while there is but one price book.
    pub price_book: Option<PriceBookName>,
    /// Whom it invoices; everybody, if nobody is named.
    pub payers: Vec<PartyId>,
    /// Why it is opened.
    pub reason: RunReason,
    /// For how long its drafts may be looked at, and none may become final.
    pub grace_hours: u32,
    /// Whether its drafts are to become final by themselves when that time is over.
    pub finalise: bool,
}

/// Regenerate the drafts of a run from everything known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshInvoiceRun {
    /// Which.
    pub run: RunId,
}

/// Give up the drafts of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawInvoiceRun {
    /// Which.
    pub run: RunId,
}

/// All drafts of a run are final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinaliseInvoiceRun {
    /// Which.
    pub run: RunId,
    /// How many invoices it has.
    pub invoices: u32,
}

/// Why a run was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunReason {
    /// Somebody opened it for its period.
    #[default]
    Period,
    /// What a customer owes reached the threshold of the price book.
    Threshold,
}

/// A run was opened: from here on its drafts are fixed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceRunOpened {
    /// Which.
    pub run: RunId,
    /// Who sells.
    pub seller: PartyId,
    /// What it is about.
    pub period: RunPeriod,
    /// The last event its drafts look at: the one before this.
    pub cut_off: Sequence,
    /// The prices it takes.
    pub price_book: PriceBookName,
    /// The versions there were of it.
    pub versions: u32,
    /// Whom it is about, by rising ids; empty, if about everybody.
    pub payers: Vec<PartyId>,
    /// Why it was opened.
    pub reason: RunReason,
    /// Until when its drafts may be looked at and drawn up again, and none may become final.
    pub grace_until: Option<Timestamp>,
    /// Whether its drafts become final by themselves: at once, or when the time of grace is over.
    pub finalise: bool,
    /// When.
    pub at: Timestamp,
}

impl InvoiceRunOpened {
    /// Whether it invoices a payer.
    pub fn names(&self, payer: PartyId) -> bool {
        names(&self.payers, payer)
    }
}

/// Whether a payer is one of those that a run names: everybody, if it names nobody.
pub(super) fn names(payers: &[PartyId], payer: PartyId) -> bool {
    payers.is_empty() || payers.binary_search(&payer).is_ok()
}

/// All drafts of a run became final, or those that did not were given up.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceRunFinalised {
    /// Which.
    pub run: RunId,
    /// How many invoices it issued.
    pub invoices: u32,
    /// When.
    pub at: Timestamp,
}

/// The drafts of a run were drawn up again, from all that was known by then.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceRunRefreshed {
    /// Which.
    pub run: RunId,
    /// The last event its drafts look at: the one before this.
    pub cut_off: Sequence,
    /// The versions there were of its prices.
    pub versions: u32,
    /// When.
    pub at: Timestamp,
}

/// A run was given up: its drafts are gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceRunWithdrawn {
    /// Which.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
}
