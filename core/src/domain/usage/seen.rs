//! Which usage is known: exact de-duplication by 128-bit keyed fingerprints.
//!
//! An identity (project, source, id) maps to the event that holds it now and a fingerprint of its content. When
//! a revision takes the place of another, the content of the earlier one stays known, so that an old report
//! sent again is a duplicate and never a reversal. The place of an event that was replaced leads to the one that
//! holds it now (`places`), so that nothing is replaced twice. All of it can be rebuilt from the log; the key only keeps
//! senders from aiming at collisions.

use std::hash::Hasher;

use bincode::{Decode, Encode};
use rustc_hash::FxHashMap;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::{
    ComputerId, ProjectId, ReportedInstant, Sequence, Timestamp, UnreadableInstant, Usage, UsageId,
    UsageReport, UsageSuspended,
};

/// A keyed 128-bit fingerprint.
pub type Fingerprint = u128;

/// What is known under an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct KnownUsage {
    /// The event that holds it.
    pub sequence: Sequence,
    /// Its content.
    pub content: u64,
}

/// The fingerprints of a usage event, as they were made to decide it: to make them again takes as long as the rest of
/// taking it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsagePrint {
    /// The event.
    pub sequence: Sequence,
    /// Of its identity.
    pub identity: Fingerprint,
    /// Of its content.
    pub content: u64,
}

/// What is left to do of a checkpoint, by another thread. The error is why it is not durable.
pub type CheckpointWork = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// The index of identities. Lookups and insertions cannot refuse; an index that lives on disk remembers a
/// fault and shows it in [`SeenIndex::fault`], which the writer asks before it makes anything durable.
pub trait SeenIndex: Send + Sync {
    /// The key of the fingerprints.
    fn key(&self) -> [u8; 16];
    /// What is known under an identity, or of a revision.
    fn get(&self, fingerprint: Fingerprint) -> Option<KnownUsage>;
    /// Takes an identity over; what was known under it becomes a revision.
    fn insert(&mut self, identity: Fingerprint, seen: KnownUsage);
    /// What went wrong so far, if something did.
    fn fault(&self) -> Option<String> {
        None
    }

    /// Makes everything up to here durable as an index of the log up to `last`, where that means anything.
    fn checkpoint(&mut self, _last: Sequence) -> Result<(), String> {
        Ok(())
    }

    /// Begins the same, and leaves the rest to another thread. One is begun when the one before is done.
    fn begin_checkpoint(&mut self, last: Sequence) -> Result<CheckpointWork, String> {
        let done = self.checkpoint(last);
        Ok(Box::new(move || done))
    }

    /// The fingerprint of an identity.
    fn identity(&self, project: ProjectId, computer: &ComputerId, id: &UsageId) -> Fingerprint {
        let mut hasher = SipHasher24::new_with_key(&self.key());
        hasher.write_u64(project.0);
        write_text(&mut hasher, computer.as_str());
        match id {
            UsageId::Uuid(bytes) => {
                hasher.write_u8(0);
                hasher.write(bytes);
            }
            UsageId::Text(text) => {
                hasher.write_u8(1);
                write_text(&mut hasher, text);
            }
        }
        hasher.finish128().as_u128()
    }

    /// The fingerprint of the place of an event among what is metered, under which it is known who holds it.
    fn place(&self, sequence: Sequence) -> Fingerprint {
        let mut hasher = SipHasher24::new_with_key(&self.key());
        hasher.write_u64(sequence.0);
        hasher.finish128().as_u128()
    }

    /// The fingerprint under which is known whose place an event took: of several that held it, the first.
    fn line(&self, sequence: Sequence) -> Fingerprint {
        let mut hasher = SipHasher24::new_with_key(&self.key());
        hasher.write_u64(sequence.0);
        hasher.write_u8(0);
        hasher.finish128().as_u128()
    }

    /// The fingerprint of the content of a request to void an event. It is that of no report.
    fn void_content(&self, voids: &UsageId, reason: &str) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key());
        hasher.write_u8(2);
        write_text(&mut hasher, &voids.to_string());
        write_text(&mut hasher, reason);
        hasher.finish128().h1
    }

    /// The fingerprint of a content.
    fn content(&self, content: &UsageContent<'_>) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key());
        write_text(&mut hasher, content.subject);
        write_text(&mut hasher, content.resource);
        match content.quantity {
            ContentAmount::Billionths(billionths) => {
                hasher.write_u8(0);
                hasher.write_i128(billionths);
            }
            ContentAmount::Text(text) => {
                hasher.write_u8(1);
                write_text(&mut hasher, text);
            }
        }
        for moment in [content.start, content.stop] {
            match moment {
                Moment::Missing => hasher.write_u8(0),
                Moment::At(instant) => {
                    hasher.write_u8(1);
                    hasher.write_i64(instant.micros());
                }
                Moment::Unreadable(text) => {
                    hasher.write_u8(2);
                    write_text(&mut hasher, text);
                }
            }
        }
        for (key, value) in content.dimensions {
            write_text(&mut hasher, key);
            write_text(&mut hasher, value);
        }
        hasher.write_u64(content.node_sequence.map_or(u64::MAX, |n| n));
        hasher.finish128().h1
    }
}

fn write_text(hasher: &mut SipHasher24, text: &str) {
    hasher.write_u64(text.len() as u64);
    hasher.write(text.as_bytes());
}

/// The fingerprint under which an earlier content of an identity stays known.
pub fn revision(identity: Fingerprint, content: u64) -> Fingerprint {
    // The identity is uniform and keyed; turning it by the content keeps different revisions apart.
    identity.rotate_left(64) ^ u128::from(content) ^ (u128::from(content) << 64)
}

/// What counts as the content of a usage event: all that the sender said beside its identity.
pub struct UsageContent<'a> {
    subject: &'a str,
    resource: &'a str,
    quantity: ContentAmount<'a>,
    start: Moment<'a>,
    stop: Moment<'a>,
    dimensions: &'a [(Box<str>, Box<str>)],
    node_sequence: Option<u64>,
}

enum ContentAmount<'a> {
    Billionths(i128),
    Text(&'a str),
}

impl<'a> ContentAmount<'a> {
    /// As it can be told from a suspended event, which keeps the text alone.
    fn of_text(text: &'a str) -> Self {
        let read = text.parse::<super::Quantity>();
        read.map_or(Self::Text(text), |quantity| Self::Billionths(quantity.billionths()))
    }
}

#[derive(Clone, Copy)]
enum Moment<'a> {
    Missing,
    At(Timestamp),
    Unreadable(&'a str),
}

impl<'a> Moment<'a> {
    fn of_told(told: &'a ReportedInstant) -> Self {
        match told {
            Ok(instant) => instant.map_or(Self::Missing, Self::At),
            Err(UnreadableInstant { text, .. }) => Self::Unreadable(text),
        }
    }

    fn of_kept(instant: Option<Timestamp>, unreadable: Option<&'a str>) -> Self {
        unreadable.map_or_else(|| instant.map_or(Self::Missing, Self::At), Self::Unreadable)
    }
}

impl<'a> UsageContent<'a> {
    pub(super) fn of_usage(usage: &'a Usage) -> Self {
        Self {
            subject: &usage.subject,
            resource: usage.resource.as_str(),
            quantity: ContentAmount::Billionths(usage.quantity.billionths()),
            start: if usage.start_found { Moment::Missing } else { Moment::At(usage.period.start) },
            stop: Moment::At(usage.period.stop),
            dimensions: &usage.dimensions,
            node_sequence: usage.node_sequence,
        }
    }

    pub(super) fn of_suspended(event: &'a UsageSuspended) -> Self {
        Self {
            subject: &event.subject,
            resource: &event.resource,
            quantity: ContentAmount::of_text(&event.quantity),
            start: Moment::of_kept(event.start, event.unreadable_start.as_deref()),
            stop: Moment::of_kept(event.stop, event.unreadable_stop.as_deref()),
            dimensions: &event.dimensions,
            node_sequence: event.node_sequence,
        }
    }

    pub(super) fn of_report(report: &'a UsageReport) -> Self {
        Self {
            subject: &report.subject,
            resource: &report.resource,
            quantity: match &report.quantity {
                (_, Ok(quantity)) => ContentAmount::Billionths(quantity.billionths()),
                (text, Err(_)) => ContentAmount::of_text(text),
            },
            start: Moment::of_told(&report.start),
            stop: Moment::of_told(&report.stop),
            dimensions: &report.dimensions,
            node_sequence: report.node_sequence,
        }
    }
}

/// An index in memory alone.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    key: [u8; 16],
    known: FxHashMap<Fingerprint, KnownUsage>,
}

impl MemoryIndex {
    /// An empty index with this key.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key, known: FxHashMap::default() }
    }
}

impl SeenIndex for MemoryIndex {
    fn key(&self) -> [u8; 16] {
        self.key
    }

    fn get(&self, fingerprint: Fingerprint) -> Option<KnownUsage> {
        self.known.get(&fingerprint).copied()
    }

    fn insert(&mut self, identity: Fingerprint, seen: KnownUsage) {
        if let Some(earlier) = self.known.insert(identity, seen) {
            self.known.insert(revision(identity, earlier.content), earlier);
        }
    }
}
