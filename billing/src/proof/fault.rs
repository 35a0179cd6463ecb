//! Why a document is not what its events give.

use slapledger_core::domain::id::{InvoiceId, PartyId, PriceBookName, ProjectId, RunId, Sequence};
use slapledger_core::domain::invoice::InvoiceRefusal;

/// Why a document is not what its events give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepeatFault {
    /// No event issues it.
    #[error("no event issues {invoice}")]
    NotIssued {
        /// Which.
        invoice: Box<str>,
    },
    /// Two events issue a document of one number.
    #[error("{invoice} was issued twice: by events {first} and {second}")]
    IssuedTwice {
        /// Which.
        invoice: InvoiceId,
        /// The first event.
        first: Sequence,
        /// The second event.
        second: Sequence,
    },
    /// Its lines are not those that the issuing event names.
    #[error(
        "the lines of {invoice} have another digest than event {sequence} says: lines are missing or changed"
    )]
    OtherLines {
        /// Which.
        invoice: InvoiceId,
        /// The event that issued it.
        sequence: Sequence,
    },
    /// The events have no run that made it.
    #[error("the events give no draft of {run} for {payer}")]
    NoDraft {
        /// Which run.
        run: RunId,
        /// For whom.
        payer: PartyId,
    },
    /// There is no such line.
    #[error("{invoice} has no line {line}")]
    NoLine {
        /// Which document.
        invoice: InvoiceId,
        /// Which line.
        line: u32,
    },
    /// A line, or a sum, is something else.
    #[error("{place}: {what} is {said}, the events give {found}")]
    Differs {
        /// A line or the document.
        place: String,
        /// Which of its values.
        what: &'static str,
        /// As it was issued.
        said: String,
        /// As it was derived.
        found: String,
    },
    /// A document is of a run that was opened later.
    #[error("{invoice} is of {run}, which was opened later")]
    BeforeRun {
        /// Which.
        invoice: InvoiceId,
        /// The run.
        run: RunId,
    },
    /// A run has a second document for a payer, and that is no credit note.
    #[error(
        "{invoice} is a second document of {run} for {payer}, after {first}: only credit notes may follow it"
    )]
    SecondDocument {
        /// Which.
        invoice: InvoiceId,
        /// The run.
        run: RunId,
        /// The payer.
        payer: PartyId,
        /// The document of the run.
        first: InvoiceId,
    },
    /// A line of a credit note does not cite a line of the document that the note is about.
    #[error("{note} line {line} cites no line of {invoice}, which the note is about")]
    NotCited {
        /// The credit note.
        note: InvoiceId,
        /// Its line.
        line: u32,
        /// The document.
        invoice: InvoiceId,
    },
    /// Nobody could issue such a credit note.
    #[error("{note} credits what it may not: {why}")]
    NotCredited {
        /// The credit note.
        note: InvoiceId,
        /// Why a command would be refused.
        why: Box<InvoiceRefusal>,
    },
    /// A run takes more or fewer versions of its price book than there are.
    #[error("{run} takes {said} versions of {book}, the events before it have {found}")]
    OtherVersions {
        /// Which run.
        run: RunId,
        /// Its price book.
        book: PriceBookName,
        /// How many it says.
        said: u32,
        /// How many events publish one.
        found: u64,
    },
    /// The events are of several projects.
    #[error("event {sequence} is of {project}, and those before it are of {first}")]
    OtherProject {
        /// The event.
        sequence: Sequence,
        /// Its project.
        project: ProjectId,
        /// The project of the others.
        first: ProjectId,
    },
}
