//! Why commands about runs and documents are refused.

use crate::domain::charge::ChargeId;
use crate::domain::id::{InvalidText, InvoiceId, PartyId, PriceBookName, RunId};
use crate::domain::money::{Amount, Currency};
use crate::domain::time::Timestamp;

use super::run::{MAX_GRACE_HOURS, MAX_PAYERS};

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
    /// The time of grace is longer than a year.
    #[error("grace_hours must be at most {MAX_GRACE_HOURS}")]
    GraceTooLong,
    /// More payers are named than a run may name.
    #[error("payers must name at most {MAX_PAYERS} parties; leave them out to invoice everybody")]
    TooManyPayers,
    /// The document is for somebody whom its run does not invoice.
    #[error("{run} does not invoice {payer}")]
    PayerNotNamed {
        /// Which run.
        run: RunId,
        /// Who.
        payer: PartyId,
    },
    /// There is no such run.
    #[error("there is no invoice run {run}")]
    UnknownRun {
        /// Which.
        run: RunId,
    },
    /// The period of the run is not over.
    #[error("period ends at {stop}; before that a run makes drafts only")]
    PeriodNotOver {
        /// When it ends for this payer.
        stop: Timestamp,
    },
    /// The drafts of the run may still be looked at.
    #[error("the grace period of {run} ends at {until}; finalise it then")]
    InGrace {
        /// Which run.
        run: RunId,
        /// When the time of grace is over.
        until: Timestamp,
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
    /// The tax categories of the document ask for something it does not say.
    #[error("the document for {payer} lacks {what}, which its tax categories ask for")]
    MissingDetails {
        /// For whom it is.
        payer: PartyId,
        /// What.
        what: &'static str,
    },
    /// Usage of the payer is not charged that may have to be.
    #[error("the draft for {payer} does not charge all usage: {what}")]
    UsageInDoubt {
        /// Who.
        payer: PartyId,
        /// What is not charged.
        what: Box<str>,
    },
    /// The seller has no series of numbers.
    #[error("{seller} has no series of invoice numbers; give it one first")]
    NoSeries {
        /// Who.
        seller: PartyId,
    },
    /// The document has a one-off charge that another has, or that is another.
    #[error("{charge} is on another document, or is not what the draft says")]
    ChargeNotOpen {
        /// Which.
        charge: ChargeId,
    },
    /// What is charged of a line is not what a correction was worked out from.
    #[error("documents or corrections of {payer} were recorded concurrently; read the line again and retry")]
    CorrectedMeanwhile {
        /// Whose line it is.
        payer: PartyId,
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
    /// The run was given up.
    #[error("run {run} was withdrawn")]
    RunWithdrawn {
        /// Which.
        run: RunId,
    },
    /// The run has issued documents as of its cut-off: its drafts cannot be drawn up as of another.
    #[error("run {run} has issued {invoice}, so its other drafts can only be kept or withdrawn")]
    RunStarted {
        /// Which.
        run: RunId,
        /// The first document it issued.
        invoice: InvoiceId,
    },
    /// Another run has invoiced some of this time.
    #[error("{invoice} already covers part of this period")]
    PeriodInvoiced {
        /// Which invoice.
        invoice: InvoiceId,
    },
    /// Another document was issued for this payer since: with it, late usage, fees in advance and charges by hand
    /// may have been charged, or given back, that this draft charges too.
    #[error("{invoice} was issued after {run} was drafted; refresh or withdraw the run")]
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
    /// There is no such document that is final.
    #[error("there is no final invoice {invoice}")]
    UnknownInvoice {
        /// Which.
        invoice: InvoiceId,
    },
    /// What gives back cannot be given back.
    #[error("{invoice} is a credit note: record a charge for what it credited too much")]
    NotAnInvoice {
        /// Which.
        invoice: InvoiceId,
    },
    /// All of it was given back.
    #[error("{invoice} is already fully credited")]
    Void {
        /// Which.
        invoice: InvoiceId,
    },
    /// A credit note is about at least one line.
    #[error("lines must name at least one line")]
    NoLines,
    /// The document has no such line.
    #[error("{invoice} has no line {line}")]
    UnknownLine {
        /// Which document.
        invoice: InvoiceId,
        /// Which line.
        line: u32,
    },
    /// A line is named twice.
    #[error("line {line} is named twice")]
    LineTwice {
        /// Which.
        line: u32,
    },
    /// It is not in minor units of the currency.
    #[error("amount must be in minor units of {currency}")]
    BadAmount {
        /// In what.
        currency: Currency,
    },
    /// The amount is nothing, of the other sign, or more than is left.
    #[error("amount must be above 0 and at most {left}, what is still uncredited of line {line}")]
    MoreThanLeft {
        /// Which line.
        line: u32,
        /// What is left of it.
        left: Amount,
    },
    /// The lines together are more than is left of the document, or less than nothing.
    #[error("{net} would be credited, but only {left} of {invoice} is uncredited")]
    MoreThanDocument {
        /// Which document.
        invoice: InvoiceId,
        /// What the lines add up to.
        net: Amount,
        /// What is left of the document.
        left: Amount,
    },
    /// The reason is empty, too long, or has control characters.
    #[error("reason {0}")]
    BadReason(InvalidText),
    /// Somebody holds the draft.
    #[error("the draft of {payer} in {run} is held ({reason}); approve it, or withdraw the run")]
    DraftHeld {
        /// Of which run.
        run: RunId,
        /// Whose draft.
        payer: PartyId,
        /// Why it is held.
        reason: Box<str>,
    },
    /// A draft that nobody approved is to be finalised alone.
    #[error("the draft of {payer} in {run} is not approved; approve it, or finalise the run")]
    DraftNotApproved {
        /// Of which run.
        run: RunId,
        /// Whose draft.
        payer: PartyId,
    },
    /// The document is not the one that was issued.
    #[error("the document is not {invoice} as it was issued")]
    OtherDocument {
        /// Which.
        invoice: InvoiceId,
    },
}
