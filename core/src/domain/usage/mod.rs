//! Usage: what computers report is recorded once, attributed to the instance it belongs to, and never lost.
//!
//! A report is accepted (metered), a duplicate (seen before, in this or an earlier revision), suspended (it
//! cannot be metered; a person looks at it) or in conflict (the same identity with other content, and not
//! allowed to replace it). Suspended usage is recorded but never metered.

mod attribution;
mod change;
mod decide;
mod due;
mod groups;
mod places;
mod quota;
pub mod seen;
mod starts;
#[cfg(test)]
mod tests;
mod void;

use std::collections::BTreeMap;
use std::sync::Arc;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use super::computer::Computers;
use super::id::{ComputerId, InstanceId, ProjectId, ResourceId, Sequence};
use super::pricing::PriceBooks;
use super::quantity::Quantity;
use super::time::{Period, Timestamp};

pub use change::UsageChange;
pub(crate) use decide::UsageSurroundings;
pub use due::{AcceptDueUsage, MOST_DUE};
pub use groups::MOST_GROUPS;
use groups::UsageGroups;
use places::Places;
use quota::SuspendedCounts;
pub use quota::{SuspendedQuota, UsageLimits};
pub use seen::{KnownUsage, MemoryIndex, SeenIndex, UsagePrint};
use starts::Starts;
pub use void::{MOST_VOIDS, UsageVoided, VoidRequest, VoidUsage};

/// The sender's name of a usage event; with the reporting computer it is its identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum UsageId {
    /// A UUID in its canonical lower-case spelling, as 16 bytes.
    Uuid([u8; 16]),
    /// Any other text.
    Text(Box<str>),
}

impl UsageId {
    /// From the sender's text: at most 255 bytes, not empty, no control characters.
    pub fn new(text: &str) -> Result<Self, super::id::InvalidText> {
        super::id::check_text(text, 255)?;
        Ok(match uuid::Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 && text.bytes().all(|b| !b.is_ascii_uppercase()) => {
                Self::Uuid(uuid.into_bytes())
            }
            _ => Self::Text(text.into()),
        })
    }
}

impl std::fmt::Display for UsageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(bytes) => uuid::Uuid::from_bytes(*bytes).fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for UsageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Usage that is metered. Its reporter is the stream it is in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Usage {
    /// The sender's name of it.
    pub id: UsageId,
    /// What the sender said it belongs to, as written.
    pub subject: Box<str>,
    /// What was measured.
    pub resource: ResourceId,
    /// How much.
    pub quantity: Quantity,
    /// When.
    pub period: Period,
    /// Whether the sender left the start out and it was found here.
    pub start_found: bool,
    /// Whom it belongs to.
    pub attribution: Attribution,
    /// Further properties, for grouping.
    pub dimensions: Vec<(Box<str>, Box<str>)>,
    /// The sender's own count of its events.
    pub node_sequence: Option<u64>,
}

/// Whom usage belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// All of it to the computer itself.
    Computer,
    /// All of it to one instance.
    Instance(InstanceId),
    /// To the instances that were there, each for its time. How a quantity is divided depends on the kind of
    /// resource (a counter by time, a gauge not at all), so its readers divide it.
    Shares(Vec<Share>),
}

/// The time of one instance in usage that belongs to several, or to one for a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Share {
    /// Who.
    pub instance: InstanceId,
    /// When, within the period of the usage.
    pub period: Period,
}

/// Usage that takes the place of usage recorded before.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct UsageCorrected {
    /// The event that metered what it takes the place of: of several revisions the last, of suspended usage the
    /// resolution.
    pub replaces: Sequence,
    /// What is metered instead.
    pub usage: Usage,
}

/// Usage that cannot be metered: kept as the sender wrote it, until somebody resolves or dismisses it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
pub struct UsageSuspended {
    /// The sender's name of it.
    pub id: UsageId,
    /// What the sender said it belongs to.
    pub subject: Box<str>,
    /// What was measured.
    pub resource: Box<str>,
    /// How much, as written.
    pub quantity: Box<str>,
    /// Since when, if said and readable.
    pub start: Option<Timestamp>,
    /// Until when, if said and readable.
    pub stop: Option<Timestamp>,
    /// A start that could not be read, as written.
    pub unreadable_start: Option<Box<str>>,
    /// A stop that could not be read, as written.
    pub unreadable_stop: Option<Box<str>>,
    /// Further properties.
    pub dimensions: Vec<(Box<str>, Box<str>)>,
    /// The sender's own count of its events.
    pub node_sequence: Option<u64>,
    /// The metered event it would take the place of.
    pub replaces: Option<Sequence>,
    /// Why it cannot be metered.
    pub reason: Unmeterable,
}

/// Suspended usage could be metered after all.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SuspendedUsageResolved {
    /// Which.
    pub suspended: Sequence,
    /// The metered event whose place it takes.
    pub replaces: Option<Sequence>,
    /// What is metered.
    pub usage: Usage,
}

/// Suspended usage will never be metered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SuspendedUsageDismissed {
    /// Which.
    pub suspended: Sequence,
    /// Why, in the words of who dismissed it.
    pub reason: Box<str>,
    /// The usage event that came in its place, if its sender thought better of it.
    pub superseded_by: Option<Sequence>,
}

/// Why usage cannot be metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Unmeterable {
    /// The quantity is no number.
    #[error("quantity is not a number")]
    NotANumber,
    /// The quantity is infinite.
    #[error("quantity is infinite")]
    Infinite,
    /// The quantity has more digits than can be kept.
    #[error("quantity has more than 15 digits before or 9 after the point")]
    OutOfRange,
    /// Nobody uses less than nothing.
    #[error("quantity is negative")]
    Negative,
    /// No resource, or not the name of one.
    #[error("resource is missing or not a name")]
    BadResource,
    /// No subject.
    #[error("subject is missing")]
    NoSubject,
    /// Nothing on the reporting computer goes by this name.
    #[error("subject is neither an instance, a partition nor a user of the reporting computer, nor itself")]
    UnknownSubject,
    /// A start that cannot be read.
    #[error("start is not a date")]
    BadStart,
    /// A stop that cannot be read.
    #[error("stop is not a date")]
    BadStop,
    /// No stop.
    #[error("stop is missing")]
    NoStop,
    /// It ends before it begins, or as it begins.
    #[error("stop is not after start")]
    EmptyPeriod,
    /// It has not happened yet.
    #[error("period ends in the future")]
    Future,
    /// There is no earlier report and no allocation to begin at.
    #[error("start is missing and cannot be found")]
    NoStart,
    /// Nobody was in the partition at that time.
    #[error("no instance was allocated there in this period")]
    Unallocated,
    /// A start that the clock of the computer showed twice.
    #[error("start is a local time that occurs twice, as the clock was put back: send it with an offset")]
    AmbiguousStart,
    /// A stop that the clock of the computer showed twice.
    #[error("stop is a local time that occurs twice, as the clock was put back: send it with an offset")]
    AmbiguousStop,
    /// A start that the clock of the computer never showed.
    #[error(
        "start is a local time that does not occur, as the clock was put forward: send it with an offset"
    )]
    SkippedStart,
    /// A stop that the clock of the computer never showed.
    #[error("stop is a local time that does not occur, as the clock was put forward: send it with an offset")]
    SkippedStop,
    /// It is more than the price book says there can be in that time.
    #[error("quantity is more than `most` in the price book allows for this time")]
    Implausible {
        /// Whose it would be, of several the first. Their payers are not invoiced before somebody resolves or
        /// dismisses it.
        first: InstanceId,
        /// Of several the last.
        last: InstanceId,
    },
    /// It would be a line more than an instance may have of a resource in a month.
    #[error(
        "the instance has as many groups of this resource in the month as are allowed (usage.most_groups): dimensions that are grouped by must not have a value of their own in each event"
    )]
    TooManyGroups,
}

impl Unmeterable {
    /// The member of a usage event that is to blame.
    pub fn field(self) -> &'static str {
        match self {
            Self::NotANumber
            | Self::Infinite
            | Self::OutOfRange
            | Self::Negative
            | Self::Implausible { .. } => "data.quantity",
            Self::BadResource => "data.resource",
            Self::NoSubject | Self::UnknownSubject | Self::Unallocated => "subject",
            Self::BadStart | Self::NoStart | Self::AmbiguousStart | Self::SkippedStart => "data.start",
            Self::BadStop
            | Self::NoStop
            | Self::EmptyPeriod
            | Self::Future
            | Self::AmbiguousStop
            | Self::SkippedStop => "data.stop",
            Self::TooManyGroups => "data.dimensions",
        }
    }

    /// All the words that [`name`](Self::name) has.
    pub const NAMES: [&str; 20] = [
        "not_a_number",
        "infinite",
        "out_of_range",
        "negative",
        "bad_resource",
        "no_subject",
        "unknown_subject",
        "bad_start",
        "bad_stop",
        "no_stop",
        "empty_period",
        "future",
        "no_start",
        "unallocated",
        "ambiguous_start",
        "ambiguous_stop",
        "skipped_start",
        "skipped_stop",
        "implausible",
        "too_many_groups",
    ];

    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotANumber => "not_a_number",
            Self::Infinite => "infinite",
            Self::OutOfRange => "out_of_range",
            Self::Negative => "negative",
            Self::BadResource => "bad_resource",
            Self::NoSubject => "no_subject",
            Self::UnknownSubject => "unknown_subject",
            Self::BadStart => "bad_start",
            Self::BadStop => "bad_stop",
            Self::NoStop => "no_stop",
            Self::EmptyPeriod => "empty_period",
            Self::Future => "future",
            Self::NoStart => "no_start",
            Self::Unallocated => "unallocated",
            Self::AmbiguousStart => "ambiguous_start",
            Self::AmbiguousStop => "ambiguous_stop",
            Self::SkippedStart => "skipped_start",
            Self::SkippedStop => "skipped_stop",
            Self::Implausible { .. } => "implausible",
            Self::TooManyGroups => "too_many_groups",
        }
    }
}

impl Serialize for Unmeterable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What one computer reports in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordUsage {
    /// Who reports.
    pub computer: ComputerId,
    /// What it reports, in order.
    pub reports: Vec<UsageReport>,
}

/// One reported usage, as read at the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// The sender's name of it.
    pub id: UsageId,
    /// What another content under the same identity means.
    pub revision: Revision,
    /// What it belongs to, as written.
    pub subject: Box<str>,
    /// What was measured, as written. A computer measures the same again and again: its reports share the text.
    pub resource: Arc<str>,
    /// How much: the text, which matters only if it cannot be read, and what it was read as.
    pub quantity: (Box<str>, Result<Quantity, Unmeterable>),
    /// Since when.
    pub start: ReportedInstant,
    /// Until when.
    pub stop: ReportedInstant,
    /// Further properties, sorted by key.
    pub dimensions: Vec<(Box<str>, Box<str>)>,
    /// The sender's own count of its events.
    pub node_sequence: Option<u64>,
}

/// What a sender said of an instant; `None` if nothing.
pub type ReportedInstant = Result<Option<Timestamp>, UnreadableInstant>;

/// An instant that was said and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableInstant {
    /// As it was written, within 255 bytes.
    pub text: Box<str>,
    /// Why it is no instant.
    pub why: NoInstant,
}

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoInstant {
    /// It is no date.
    Malformed,
    /// A local time that the clock showed twice.
    Ambiguous,
    /// A local time that the clock never showed.
    Skipped,
}

impl UnreadableInstant {
    /// A text that is no date.
    pub fn malformed(text: &str) -> Self {
        Self { text: text.into(), why: NoInstant::Malformed }
    }

    fn start(&self) -> Unmeterable {
        match self.why {
            NoInstant::Malformed => Unmeterable::BadStart,
            NoInstant::Ambiguous => Unmeterable::AmbiguousStart,
            NoInstant::Skipped => Unmeterable::SkippedStart,
        }
    }

    fn stop(&self) -> Unmeterable {
        match self.why {
            NoInstant::Malformed => Unmeterable::BadStop,
            NoInstant::Ambiguous => Unmeterable::AmbiguousStop,
            NoInstant::Skipped => Unmeterable::SkippedStop,
        }
    }
}

/// What it means if an identity is reported with other content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// A conflict, told to the sender (CloudEvents).
    None,
    /// The new content takes the place of what is known (daily reports).
    Latest,
    /// This event has an identity of its own and takes the place of another (`data.replaces`).
    Replaces(UsageId),
}

/// Meter suspended usage after all, with whatever was wrong put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveSuspendedUsage {
    /// Which.
    pub suspended: Sequence,
    /// What it belongs to, if that was wrong.
    pub subject: Option<Box<str>>,
    /// What was measured, if that was wrong.
    pub resource: Option<Box<str>>,
    /// How much, if that was wrong.
    pub quantity: Option<Quantity>,
    /// When, if that was wrong.
    pub period: Option<Period>,
}

/// Never meter this suspended usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DismissSuspendedUsage {
    /// Which.
    pub suspended: Sequence,
    /// Why.
    pub reason: Box<str>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum UsageOutcome {
    /// It is metered.
    Accepted(Sequence),
    /// It was known, as this event.
    Duplicate(Sequence),
    /// It is kept, not metered.
    Suspended(Sequence, Unmeterable),
    /// This event has its identity and other content.
    Conflict(Sequence),
    /// There is no usage event that it could take the place of.
    NothingToReplace,
    /// What it names is not metered any more, by this event.
    Voided(Sequence),
    /// There is no usage event that it could void.
    NothingToVoid,
    /// It would be suspended, and a quota of suspended usage is used up: it is not recorded.
    OverQuota(SuspendedQuota),
}

/// Why a command about usage is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageRefusal {
    /// No such computer.
    #[error(transparent)]
    UnknownComputer(#[from] super::computer::UnknownComputer),
    /// Nothing is suspended under this sequence.
    #[error("no usage is suspended under sequence {suspended}")]
    NotSuspended {
        /// Which.
        suspended: Sequence,
    },
    /// With everything put right that was said, it still cannot be metered.
    #[error("usage cannot be metered: {reason}")]
    StillUnmeterable {
        /// Why.
        reason: Unmeterable,
    },
    /// The words of a dismissal are missing or too many.
    #[error("reason must be a text of 1 to 1000 bytes")]
    BadReason,
    /// One command voids too many events.
    #[error("at most {MOST_VOIDS} usage events can be voided at once")]
    TooManyVoids,
    /// One command accepts too many reports.
    #[error("at most {MOST_DUE} reports can be accepted at once")]
    TooManyDue,
}

/// What was measured, and where: a partition, whatever the sender called it, or else the subject as written.
type UsageSeries = (Box<str>, ResourceId);

/// What decisions need to know of usage, but for its identities: those of all projects are in one index.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub struct UsageLedger {
    starts: BTreeMap<ComputerId, BTreeMap<UsageSeries, Starts>>,
    suspended: BTreeMap<Sequence, (ComputerId, UsageSuspended)>,
    suspended_counts: SuspendedCounts,
    groups: UsageGroups,
}

/// What an event about usage changes, and what is looked at for it.
pub(super) struct UsageFold<'a> {
    pub(super) ledger: &'a mut UsageLedger,
    pub(super) seen: &'a mut dyn SeenIndex,
    pub(super) computers: &'a Computers,
    pub(super) price_books: &'a PriceBooks,
    pub(super) project: ProjectId,
    /// Who reports.
    pub(super) computer: &'a ComputerId,
    /// Which event.
    pub(super) sequence: Sequence,
    /// Its fingerprints, if they are known.
    pub(super) print: Option<UsagePrint>,
}

impl UsageFold<'_> {
    pub(super) fn recorded(mut self, usage: &Usage) {
        self.identified(usage);
        self.metered(usage, None);
    }

    pub(super) fn corrected(mut self, event: &UsageCorrected) {
        self.identified(&event.usage);
        self.metered(&event.usage, Some(event.replaces));
        self.seen.pass_on(event.replaces, self.sequence);
    }

    pub(super) fn suspended(mut self, event: &UsageSuspended) {
        self.identify(&event.id, || seen::UsageContent::of_suspended(event));
        let Self { ledger, computers, computer, sequence, .. } = self;
        ledger.suspended.insert(sequence, (computer.clone(), event.clone()));
        ledger.suspended_counts.add(computers, computer);
    }

    /// The identity stays with the suspended event: what the sender sends again is a duplicate of it.
    pub(super) fn resolved(mut self, event: &SuspendedUsageResolved) {
        self.take_suspended(event.suspended);
        if let Some(replaced) = event.replaces {
            self.seen.pass_on(replaced, self.sequence);
        }
        self.seen.pass_on(event.suspended, self.sequence);
        self.metered(&event.usage, event.replaces);
    }

    pub(super) fn dismissed(mut self, event: &SuspendedUsageDismissed) {
        let before = self.take_suspended(event.suspended).and_then(|suspended| suspended.replaces);
        self.seen.pass_on(event.suspended, event.superseded_by.or(before).unwrap_or(Sequence::ZERO));
    }

    /// Usage that is suspended no more.
    fn take_suspended(&mut self, sequence: Sequence) -> Option<UsageSuspended> {
        let (computer, suspended) = self.ledger.suspended.remove(&sequence)?;
        self.ledger.suspended_counts.remove(self.computers, &computer);
        Some(suspended)
    }

    fn identified(&mut self, usage: &Usage) {
        self.identify(&usage.id, || seen::UsageContent::of_usage(usage));
    }

    fn identify<'e>(&mut self, id: &UsageId, content: impl Fn() -> seen::UsageContent<'e>) {
        let sequence = self.sequence;
        let make = || UsagePrint {
            sequence,
            identity: self.seen.identity(self.project, self.computer, id),
            content: self.seen.content(&content()),
        };
        let print = self.print.unwrap_or_else(make);
        debug_assert_eq!(print, make(), "the decision made the fingerprints of this event");
        self.seen.insert(print.identity, KnownUsage { sequence, content: print.content });
    }

    fn metered(&mut self, usage: &Usage, replaces: Option<Sequence>) {
        if let Some(group) = groups::group_of(self.price_books, usage) {
            self.ledger.groups.add(usage, group);
        }
        if !usage.start_found && replaces.is_none() {
            return;
        }
        let place = attribution::place(self.computers.known(self.computer).ok(), &usage.subject);
        let series = (place.into(), usage.resource.clone());
        let all = &mut self.ledger.starts;
        if usage.start_found {
            let starts = all.entry(self.computer.clone()).or_default().entry(series).or_default();
            starts.metered(usage, self.sequence, replaces);
        } else if let Some(starts) = all.get_mut(self.computer).and_then(|all| all.get_mut(&series)) {
            starts.metered(usage, self.sequence, replaces);
        }
    }
}
