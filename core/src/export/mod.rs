//! A log, or a part of one, as one file: the stored bytes of its events, compressed with zstd (docs/format.md, "Export").
//!
//! A file of a part begins with the frontier of the tree before it, and of events of other projects it has the hashes of
//! the subtrees that they make up. So its reader always comes to the root of the log. Nothing of the log depends on how
//! it was framed, so an imported log has the same root.

mod import;
mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::domain::id::{ProjectId, Sequence};
use crate::log::envelope::EnvelopeError;
use crate::log::frame::PackError;
use crate::log::merkle::Root;
use crate::log::store::StoreFault;

pub use import::import;
pub use read::{ExportReader, ExportedEvent};
pub use write::{ExportWish, export};

/// What a file begins with, after it is decompressed; the last byte is the version.
const MAGIC: [u8; 8] = *b"slapexp\x01";
/// The tags of what follows the header.
const END: u8 = 0;
const EVENT: u8 = 1;
const HIDDEN: u8 = 2;
/// The most bytes of the signed checkpoint at the end.
const MAX_NOTE_BYTES: u32 = 64 * 1024;

/// What a file is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportRange {
    /// It holds the events after this one.
    pub after: Sequence,
    /// Up to this one.
    pub last: Sequence,
    /// The project whose events it holds; `None` for all projects.
    pub project: Option<ProjectId>,
}

impl ExportRange {
    /// Whether a ledger can be made from it.
    pub fn is_whole(&self) -> bool {
        self.after == Sequence::ZERO && self.project.is_none()
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportSummary {
    /// How many events.
    pub events: u64,
    /// How many of them are of the project that was asked for; all but those of the log itself, if none was.
    pub owned: u64,
    /// How many events of other projects it has only the hashes of.
    pub hidden: u64,
    /// The root of the log with its last event.
    pub root: Root,
}

/// Why a file was not written or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// The file cannot be written or read.
    #[error("{action} the export")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// An event cannot be read.
    #[error("read event {sequence}")]
    Event {
        /// Which.
        sequence: Sequence,
        /// Why.
        source: EnvelopeError,
    },
    /// The range is not in the log.
    #[error("the log ends at sequence {last}: {what} must be at most that")]
    Range {
        /// Its end.
        last: Sequence,
        /// What is beyond it.
        what: &'static str,
    },
    /// It is not an export.
    #[error("it is not an export of slapledger: it does not begin with slapexp")]
    NotAnExport,
    /// It is of a newer version.
    #[error("the export has format {version}, which a newer version of slapledger wrote; use that version")]
    Newer {
        /// Its version.
        version: u8,
    },
    /// It contradicts itself.
    #[error("the export is damaged after sequence {after}: {cause}")]
    Damaged {
        /// The last event that is whole.
        after: Sequence,
        /// What is wrong.
        cause: &'static str,
    },
    /// Its events are not those that it was made from.
    #[error("the events up to sequence {last} have root {found}, the export says {expected}")]
    OtherRoot {
        /// Its last event.
        last: Sequence,
        /// What it says.
        expected: Root,
        /// What its events give.
        found: Root,
    },
    /// No ledger can be made from a part.
    #[error(
        "it holds a part of the log (events {} to {}{}); only an export of the whole log can be imported",
        .0.after.next(),
        .0.last,
        .0.project.map_or_else(String::new, |project| format!(" of {project}"))
    )]
    Part(ExportRange),
    /// An event cannot be stored again.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The log that was made did not take the events.
    #[error("write the log: {0}")]
    NotAppended(String),
}

fn io(action: &'static str) -> impl Fn(std::io::Error) -> ExportFault {
    move |source| ExportFault::Io { action, source }
}
