//! Usage from the future, when its time has come.
//!
//! A report whose period ends in the future is suspended. When that time is over, a timer of the program asks the writer
//! to accept it: the writer decides it as if it had been reported then. If it cannot be metered for another reason, it is
//! suspended again, for that reason.

use std::collections::{BTreeMap, BTreeSet};

use super::attribution::Reporter;
use super::decide::{Meterable, Overlay, report_of, suspend};
use super::places::Places;
use super::{
    Revision, Sequence, SuspendedUsageDismissed, SuspendedUsageResolved, Unmeterable, UsageLedger,
    UsageRefusal, UsageSurroundings,
};
use crate::domain::Outcome;
use crate::domain::event::{Event, Stream};

/// The most reports that one command accepts.
pub const MOST_DUE: usize = 100;

/// Accept usage that was reported before its time, and whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptDueUsage {
    /// Which reports, in order; those that are not due are left as they are.
    pub suspended: Vec<Sequence>,
}

impl UsageLedger {
    pub(crate) fn accept_due(
        &self,
        around: &UsageSurroundings<'_>,
        command: &AcceptDueUsage,
    ) -> Result<Outcome<()>, UsageRefusal> {
        if command.suspended.len() > MOST_DUE {
            return Err(UsageRefusal::TooManyDue);
        }
        // Each report of a computer is decided with what those before it change.
        let mut events: Vec<(Stream, Event)> = Vec::new();
        let mut overlays = BTreeMap::new();
        let mut decided = BTreeSet::new();
        for suspended in &command.suspended {
            let Some((computer, known)) = self.suspended.get(suspended) else { continue };
            let is_due =
                known.reason == Unmeterable::Future && known.stop.is_some_and(|stop| stop <= around.now);
            if !is_due || !decided.insert(*suspended) {
                continue;
            }
            let reporter = Reporter::new(computer, around.computers, around.instances)?;
            let overlay = overlays.entry(computer).or_insert_with(|| Overlay::on(around.seen, 0));
            let at = Sequence(around.next.0 + events.len() as u64);
            let replaces = known.replaces.and_then(|before| overlay.places.holder(before));
            let report = report_of(known, Revision::None);
            let metered = self.meter(around, &reporter, overlay, (&report, replaces), false);
            let stream = Stream::Usage(computer.clone());
            let of_report: Vec<Event> = match metered {
                Ok(Meterable { usage, group, too_early }) => {
                    overlay.metered(&reporter, &usage, at, replaces);
                    if let Some(replaced) = replaces {
                        overlay.places.pass_on(replaced, at);
                    }
                    overlay.places.pass_on(*suspended, at);
                    if let Some(group) = group {
                        overlay.groups.add_new(&usage, group, &self.groups);
                    }
                    let resolved = SuspendedUsageResolved { suspended: *suspended, replaces, usage };
                    let mut events = vec![Event::SuspendedUsageResolved(resolved)];
                    for (n, correction) in too_early.into_iter().enumerate() {
                        let corrected = Sequence(at.0 + 1 + n as u64);
                        overlay.corrected(around, &reporter, &correction, corrected);
                        overlay.places.pass_on(correction.replaces, corrected);
                        events.push(Event::UsageCorrected(correction));
                    }
                    events
                }
                Err(reason) => {
                    overlay.places.pass_on(*suspended, at);
                    let dismissal = SuspendedUsageDismissed {
                        suspended: *suspended,
                        reason: format!("its time has come: {reason}").into(),
                        superseded_by: Some(at),
                    };
                    let again = suspend(&report, replaces, reason);
                    vec![Event::UsageSuspended(again), Event::SuspendedUsageDismissed(dismissal)]
                }
            };
            events.extend(of_report.into_iter().map(|event| (stream.clone(), event)));
        }
        Ok(Outcome::of((), events))
    }
}

#[cfg(test)]
mod tests;
