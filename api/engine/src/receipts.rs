//! What became of usage events that were sent: exact counts, and the last of each outcome to look at.
//!
//! Accepted and suspended events are in the log, duplicates and rejected ones are not: nothing happened by them. They
//! are kept here, in memory, since the program started. What is in the log is kept by its sequence alone, so that a
//! batch costs the server next to nothing.
//!
//! Bounds: so many receipts of each computer and outcome, fewer of each when there are many of those.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use parking_lot::Mutex;
use slapledger_core::domain::id::{ComputerId, ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;

/// The most receipts of one computer and outcome.
pub const MOST_OF_EACH: usize = 1000;
/// About how many receipts there are at most.
const MOST: usize = 200_000;
/// How many of each there are at least, whatever their number.
const LEAST_OF_EACH: usize = 8;
/// The longest reason and id that are kept, in bytes.
const MOST_TEXT: usize = 512;

/// What became of a usage event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptOutcome {
    /// It is metered.
    Accepted,
    /// It was known already.
    Duplicate,
    /// It is in the log, and not metered.
    Suspended,
    /// It is not in the log.
    Rejected,
}

impl ReceiptOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Duplicate, Self::Suspended, Self::Rejected];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Suspended => "suspended",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for ReceiptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a sender was told about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReceipt {
    /// Its number among all receipts; later ones have higher numbers.
    pub number: u64,
    /// When it was received.
    pub received_at: Timestamp,
    /// The sender's id of the event, if the log does not say it.
    pub id: Option<Box<str>>,
    /// The event in the log: itself, the one it repeats, or the one it contradicts.
    pub sequence: Option<Sequence>,
    /// The member that is to blame.
    pub field: Option<Box<str>>,
    /// Why it was rejected.
    pub reason: Option<Box<str>>,
}

/// What became of one event of a report, as it is told.
#[derive(Debug, Clone, Default)]
pub struct ReceiptDetails {
    /// The sender's id of the event.
    pub id: Option<Box<str>>,
    /// The event in the log.
    pub sequence: Option<Sequence>,
    /// The member that is to blame.
    pub field: Option<Box<str>>,
    /// Why it was rejected.
    pub reason: Option<Box<str>>,
}

/// How many usage events of a computer became what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiptCounts([u64; 4]);

impl ReceiptCounts {
    /// How many became this.
    pub fn of(self, outcome: ReceiptOutcome) -> u64 {
        self.0[outcome as usize]
    }
}

/// A reporter: a computer, or none that is known.
pub type UsageReporter = Option<ComputerId>;

#[derive(Default)]
struct ReporterReceipts {
    counts: ReceiptCounts,
    last: [VecDeque<UsageReceipt>; 4],
}

#[derive(Default)]
struct KeptReceipts {
    number: u64,
    reporters: BTreeMap<(ProjectId, UsageReporter), ReporterReceipts>,
}

/// The receipts of all projects.
pub struct UsageReceipts {
    since: Timestamp,
    kept: Mutex<KeptReceipts>,
}

/// A receipt with its reporter and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedReceipt {
    /// Who reported it.
    pub computer: UsageReporter,
    /// What became of it.
    pub outcome: ReceiptOutcome,
    /// What its sender was told.
    pub receipt: UsageReceipt,
}

impl UsageReceipts {
    /// None yet.
    pub fn new(since: Timestamp) -> Self {
        Self { since, kept: Mutex::default() }
    }

    /// Since when they are counted.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// How many events became what, of all senders.
    pub fn totals(&self) -> ReceiptCounts {
        let kept = self.kept.lock();
        let mut totals = ReceiptCounts::default();
        for of in kept.reporters.values() {
            for (total, count) in totals.0.iter_mut().zip(of.counts.0) {
                *total += count;
            }
        }
        totals
    }

    /// Adds what became of the events of a report.
    pub fn add(
        &self,
        (project, computer): (ProjectId, UsageReporter),
        received_at: Timestamp,
        outcomes: impl IntoIterator<Item = (ReceiptOutcome, ReceiptDetails)>,
    ) {
        let mut kept = self.kept.lock();
        let KeptReceipts { number, reporters } = &mut *kept;
        let known = reporters.len().max(1);
        let most = (MOST / (known * ReceiptOutcome::ALL.len())).clamp(LEAST_OF_EACH, MOST_OF_EACH);
        let of = reporters.entry((project, computer)).or_default();
        for (outcome, details) in outcomes {
            *number += 1;
            let at = outcome as usize;
            of.counts.0[at] += 1;
            let ReceiptDetails { id, sequence, field, reason } = details;
            let [id, field, reason] = [id, field, reason].map(|text| text.map(shortened));
            of.last[at].push_back(UsageReceipt { number: *number, received_at, id, sequence, field, reason });
            while of.last[at].len() > most {
                of.last[at].pop_front();
            }
        }
    }

    /// How many events of each computer of a project became what.
    pub fn counts(
        &self,
        project: ProjectId,
        is_wanted: impl Fn(&UsageReporter) -> bool,
    ) -> Vec<(UsageReporter, ReceiptCounts)> {
        let kept = self.kept.lock();
        let of_project =
            kept.reporters.iter().filter(|((known, who), _)| *known == project && is_wanted(who));
        of_project.map(|((_, who), of)| (who.clone(), of.counts)).collect()
    }

    /// The last receipts of a project before a number, the newest first.
    pub fn last(
        &self,
        project: ProjectId,
        (is_wanted, outcome): (impl Fn(&UsageReporter) -> bool, Option<ReceiptOutcome>),
        (before, limit): (u64, usize),
    ) -> Vec<ListedReceipt> {
        let kept = self.kept.lock();
        let of_project =
            kept.reporters.iter().filter(|((known, who), _)| *known == project && is_wanted(who));
        let mut found = Vec::new();
        for ((_, who), of) in of_project {
            for wanted in ReceiptOutcome::ALL {
                if outcome.is_some_and(|outcome| outcome != wanted) {
                    continue;
                }
                let last = &of.last[wanted as usize];
                let end = last.partition_point(|receipt| receipt.number < before);
                found
                    .extend(last.range(end.saturating_sub(limit)..end).map(|receipt| (who, wanted, receipt)));
            }
        }
        found.sort_unstable_by_key(|(_, _, receipt)| std::cmp::Reverse(receipt.number));
        found.truncate(limit);
        let listed = |(who, outcome, receipt): (&UsageReporter, ReceiptOutcome, &UsageReceipt)| {
            ListedReceipt { computer: who.clone(), outcome, receipt: receipt.clone() }
        };
        found.into_iter().map(listed).collect()
    }
}

fn shortened(text: Box<str>) -> Box<str> {
    if text.len() <= MOST_TEXT {
        return text;
    }
    let end = (0..=MOST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporter(n: usize) -> (ProjectId, UsageReporter) {
        (ProjectId::DEFAULT, Some(ComputerId::new(&format!("COMP-{n}")).expect("a name")))
    }

    fn numbers(receipts: &UsageReceipts, outcome: Option<ReceiptOutcome>, place: (u64, usize)) -> Vec<u64> {
        let last = receipts.last(ProjectId::DEFAULT, (|_: &UsageReporter| true, outcome), place);
        last.iter().map(|listed| listed.receipt.number).collect()
    }

    #[test]
    fn counts_are_exact_and_the_last_of_each_are_there() {
        let receipts = UsageReceipts::new(Timestamp::MIN);
        let add = |n: usize, outcome, count: usize| {
            receipts.add(
                reporter(n),
                Timestamp::MIN,
                (0..count).map(|_| (outcome, ReceiptDetails::default())),
            );
        };
        add(1, ReceiptOutcome::Accepted, MOST_OF_EACH + 10);
        add(1, ReceiptOutcome::Duplicate, 2);
        add(2, ReceiptOutcome::Rejected, 3);
        let counts = receipts.counts(ProjectId::DEFAULT, |_| true);
        let of = |at: usize| ReceiptOutcome::ALL.map(|outcome| counts[at].1.of(outcome));
        assert_eq!((of(0), of(1)), ([1010, 2, 0, 0], [0, 0, 0, 3]));
        assert_eq!(receipts.counts(ProjectId::DEFAULT, |who| *who == reporter(2).1).len(), 1);
        assert!(receipts.counts(ProjectId(2), |_| true).is_empty());
        assert_eq!(numbers(&receipts, None, (u64::MAX, 4)), [1015, 1014, 1013, 1012]);
        assert_eq!(numbers(&receipts, None, (1012, 2)), [1011, 1010]);
        assert_eq!(numbers(&receipts, Some(ReceiptOutcome::Duplicate), (u64::MAX, 9)), [1012, 1011]);
        let accepted = numbers(&receipts, Some(ReceiptOutcome::Accepted), (u64::MAX, usize::MAX));
        assert_eq!((accepted.len(), accepted.last()), (MOST_OF_EACH, Some(&11)));
        let theirs = (|who: &UsageReporter| *who == reporter(2).1, None);
        assert_eq!(receipts.last(ProjectId::DEFAULT, theirs, (u64::MAX, 9)).len(), 3);
    }

    #[test]
    fn they_are_bounded_together_and_each_in_length() {
        let receipts = UsageReceipts::new(Timestamp::MIN);
        for n in 0..2000 {
            let details =
                ReceiptDetails { reason: Some("é".repeat(1000).into()), ..ReceiptDetails::default() };
            let outcomes = (0..200).map(|_| (ReceiptOutcome::Rejected, details.clone()));
            receipts.add(reporter(n), Timestamp::MIN, outcomes);
        }
        let all = numbers(&receipts, None, (u64::MAX, usize::MAX));
        assert!(all.len() <= MOST, "{}", all.len());
        let last = receipts.last(ProjectId::DEFAULT, (|_: &UsageReporter| true, None), (u64::MAX, 1));
        let reason = last[0].receipt.reason.as_deref().expect("it has one");
        assert!(reason.len() <= MOST_TEXT + 3 && reason.ends_with('…'), "{reason}");
    }
}
