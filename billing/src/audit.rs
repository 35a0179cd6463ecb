//! Checks the events of a log one after the other, as an auditor does: that each follows from what was before it.
//!
//! Always checked: sequences, instants, the versions of streams, the rules, and that numbers of documents have no gap
//! and are given once. A deep audit also derives every document from the events before it, and compares it with the one
//! that was issued ([`crate::proof`]); its postings follow from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{InvoiceId, ProjectId, Sequence};
use slapledger_core::domain::invoice::{Invoice, InvoiceLine, has_lines_digest, number_parts};
use slapledger_core::domain::restore::{LastNumber, LedgerRestored};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::{RULES_VERSION, Recorded};
use slapledger_projections::view::View as _;

use crate::proof::{RepeatFault, compare_issued};
use crate::view::BillingView;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditScope {
    /// Whether the events are all of the log, from the first on.
    pub is_whole: bool,
    /// Whether every document is derived again.
    pub deep: bool,
}

/// The first event that does not follow from those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// The log does not begin as a log does.
    #[error("event {0} creates the ledger, which only event 1 does")]
    CreatedLater(Sequence),
    /// The first event is another one.
    #[error("event 1 does not create the ledger")]
    NotCreated,
    /// It was recorded before the one before it.
    #[error("event {sequence} was recorded at {at}, before the event before it ({before})")]
    Backwards {
        /// Which.
        sequence: Sequence,
        /// When.
        at: Timestamp,
        /// When the one before was recorded.
        before: Timestamp,
    },
    /// Events of its stream are missing, or are there twice.
    #[error("event {sequence} is number {found} of {stream} in {project}, after number {before}")]
    StreamVersion {
        /// Which.
        sequence: Sequence,
        /// The project of the stream.
        project: ProjectId,
        /// The stream.
        stream: Box<str>,
        /// The number that it says it has.
        found: u64,
        /// The number of the event before it in that stream.
        before: u64,
    },
    /// It was decided by rules that this program does not know.
    #[error("event {sequence} was decided by rules {rules}; a newer version of slapledger knows them")]
    NewerRules {
        /// Which.
        sequence: Sequence,
        /// Its rules.
        rules: u16,
    },
    /// A number is given a second time.
    #[error("event {sequence} issues {invoice} a second time")]
    IssuedTwice {
        /// Which.
        sequence: Sequence,
        /// The number.
        invoice: InvoiceId,
    },
    /// A number is left out, or is before the last one.
    #[error("event {sequence} issues {invoice}; the last number of that series and year is {last}")]
    NumberGap {
        /// Which.
        sequence: Sequence,
        /// The number.
        invoice: InvoiceId,
        /// The last number before it.
        last: u64,
    },
    /// A document is not what its events give.
    #[error("event {sequence}: {fault}")]
    Document {
        /// The event that issued it.
        sequence: Sequence,
        /// What differs.
        fault: Box<RepeatFault>,
    },
}

/// What was checked so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditSummary {
    /// How many events.
    pub events: u64,
    /// How many documents were issued.
    pub documents: u64,
}

type SeriesOfYear = (ProjectId, Box<str>, i32);

/// An audit that goes through a log.
#[derive(Debug)]
pub struct LogAudit {
    scope: AuditScope,
    last_at: Timestamp,
    versions: HashMap<(ProjectId, Arc<Stream>), u64>,
    numbers: BTreeMap<SeriesOfYear, u64>,
    issued: BTreeSet<(ProjectId, InvoiceId)>,
    views: BTreeMap<ProjectId, BillingView>,
    parts: BTreeMap<(ProjectId, InvoiceId), Vec<InvoiceLine>>,
    keys: Vec<(Sequence, [u8; 32])>,
    created: Option<[u8; 16]>,
    summary: AuditSummary,
}

impl LogAudit {
    /// Begins before the first event.
    pub fn new(scope: AuditScope) -> Self {
        Self {
            scope,
            last_at: Timestamp::MIN,
            versions: HashMap::new(),
            numbers: BTreeMap::new(),
            issued: BTreeSet::new(),
            views: BTreeMap::new(),
            parts: BTreeMap::new(),
            keys: Vec::new(),
            created: None,
            summary: AuditSummary::default(),
        }
    }

    /// What was checked so far.
    pub fn summary(&self) -> AuditSummary {
        self.summary
    }

    /// Which ledger it is, if its first event was there.
    pub fn ledger(&self) -> Option<[u8; 16]> {
        self.created
    }

    /// The public key that signs a log of so many events, if the events say it, and the event that set it.
    pub fn key_at(&self, size: u64) -> Option<(Sequence, [u8; 32])> {
        self.keys.iter().rev().find(|(since, _)| since.0 <= size).copied()
    }

    /// Checks the next event.
    pub fn take(&mut self, recorded: &Recorded) -> Result<(), AuditFault> {
        let sequence = recorded.sequence;
        // Said first: a number that is given twice is also a stream with an event too many.
        if let Event::InvoiceFinalised(event) = &recorded.event {
            self.check_number(recorded.project(), sequence, &event.invoice.id)?;
        }
        self.check_place(recorded)?;
        if recorded.meta.rules > RULES_VERSION {
            return Err(AuditFault::NewerRules { sequence, rules: recorded.meta.rules });
        }
        let project = recorded.project();
        match &recorded.event {
            Event::LedgerCreated(event) => {
                if sequence != Sequence(1) {
                    return Err(AuditFault::CreatedLater(sequence));
                }
                self.created = Some(event.ledger);
            }
            Event::LedgerRestored(event) => self.restored(event),
            Event::LogKeySet(event) => self.keys.push((sequence, event.public)),
            Event::InvoiceLinesRecorded(event) => {
                let lines = self.parts.entry((project, event.invoice.clone())).or_default();
                lines.extend_from_slice(&event.lines);
            }
            Event::InvoiceFinalised(event) => {
                let parts = self.parts.remove(&(project, event.invoice.id.clone()));
                let document = match parts {
                    Some(lines) => event.invoice.with_lines(lines),
                    None => event.invoice.clone(),
                };
                if self.scope.is_whole && !has_lines_digest(&document.lines, event.lines_digest) {
                    let fault = RepeatFault::OtherLines { invoice: document.id, sequence };
                    return Err(AuditFault::Document { sequence, fault: Box::new(fault) });
                }
                self.check_document(project, sequence, &document)?;
                self.summary.documents += 1;
            }
            _ => {}
        }
        if self.is_deep() {
            self.views.entry(project).or_default().apply(recorded);
        }
        self.summary.events += 1;
        Ok(())
    }

    /// Numbers after the backup are lost: a series continues after the number that the operator stated. Other series
    /// begin again with the mark of the restore, at 1.
    fn restored(&mut self, event: &LedgerRestored) {
        for LastNumber { project, number } in &event.last_numbers {
            if let Some((prefix, year, stated)) = number_parts(number) {
                let last = self.numbers.entry((*project, prefix.into(), year)).or_default();
                *last = stated.max(*last);
            }
        }
    }

    fn is_deep(&self) -> bool {
        self.scope.deep && self.scope.is_whole
    }

    fn check_place(&mut self, recorded: &Recorded) -> Result<(), AuditFault> {
        let Recorded { sequence, recorded_at: at, stream_version: found, .. } = *recorded;
        if sequence == Sequence(1) && !matches!(recorded.event, Event::LedgerCreated(_)) {
            return Err(AuditFault::NotCreated);
        }
        if at < self.last_at {
            return Err(AuditFault::Backwards { sequence, at, before: self.last_at });
        }
        self.last_at = at;
        let project = recorded.project();
        let key = (project, Arc::clone(&recorded.stream));
        let before = self.versions.insert(key, found);
        // Of a part of a log it is not known which events a stream had before.
        let expected = before.map(|before| before + 1).or(self.scope.is_whole.then_some(1));
        let is_next = expected.is_none_or(|expected| found == expected);
        // Of a part by project, only some of the events of the ledger itself are there.
        if is_next || (!self.scope.is_whole && *recorded.stream == Stream::Ledger) {
            return Ok(());
        }
        let (stream, before) = (recorded.stream.to_string().into(), before.unwrap_or(0));
        Err(AuditFault::StreamVersion { sequence, project, stream, found, before })
    }

    fn check_number(
        &mut self,
        project: ProjectId,
        sequence: Sequence,
        id: &InvoiceId,
    ) -> Result<(), AuditFault> {
        let invoice = || id.clone();
        if !self.issued.insert((project, id.clone())) {
            return Err(AuditFault::IssuedTwice { sequence, invoice: invoice() });
        }
        let Some((prefix, year, number)) = number_parts(id) else { return Ok(()) };
        let before = self.numbers.insert((project, prefix.into(), year), number);
        let is_next = match before {
            Some(last) => last.checked_add(1) == Some(number),
            None => number == 1 || !self.scope.is_whole,
        };
        let last = before.unwrap_or(0);
        if is_next { Ok(()) } else { Err(AuditFault::NumberGap { sequence, invoice: invoice(), last }) }
    }

    fn check_document(
        &self,
        project: ProjectId,
        sequence: Sequence,
        document: &Invoice,
    ) -> Result<(), AuditFault> {
        if !self.is_deep() {
            return Ok(());
        }
        let empty = BillingView::default();
        let view = self.views.get(&project).unwrap_or(&empty);
        compare_issued(view, document)
            .map_err(|fault| AuditFault::Document { sequence, fault: Box::new(fault) })
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::restore::RestoreMark;

    use super::*;

    fn number(text: &str) -> InvoiceId {
        InvoiceId::new(text).expect("a number")
    }

    fn restored(stated: &[&str]) -> LedgerRestored {
        let stated =
            stated.iter().map(|text| LastNumber { project: ProjectId::DEFAULT, number: number(text) });
        LedgerRestored {
            ledger: [1; 16],
            from: "backup".into(),
            to: "data".into(),
            backup_last: Sequence(9),
            backup_at: Timestamp::MIN,
            kept: Sequence(9),
            root: [0; 32],
            mark: RestoreMark::new(7),
            last_numbers: stated.collect(),
            at: Timestamp::MIN,
        }
    }

    /// A restore explains the gap that its operator states, and no other one.
    #[test]
    fn after_a_restore_numbers_have_no_other_gap() {
        let mut audit = LogAudit::new(AuditScope { is_whole: true, deep: false });
        let check = |audit: &mut LogAudit, text: &str| {
            audit.check_number(ProjectId::DEFAULT, Sequence(1), &number(text)).is_ok()
        };
        assert!(check(&mut audit, "INV-2026-000001"));
        audit.restored(&restored(&["INV-2026-000005", "CN-2026-000000"]));
        let mut missed = LogAudit::new(AuditScope { is_whole: true, deep: false });
        missed.restored(&restored(&["INV-2026-000005"]));
        assert!(!check(&mut missed, "INV-2026-000007"), "not the number after the one that was stated");
        for next in ["INV-2026-000006", "INV-2026-000007", "CN-2026-000001", "INV-R000007-2026-000001"] {
            assert!(check(&mut audit, next), "{next}");
        }
        for gap in ["INV-2026-000009", "CN-2026-000003", "INV-R000007-2026-000003", "OTHER-2026-000002"] {
            assert!(!check(&mut audit, gap), "{gap}");
        }
    }
}
