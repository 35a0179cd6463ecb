//! Voiding usage: what was reported by mistake counts in no meter.
//!
//! A quantity of 0 still counts where reports are counted or averaged, so a correction cannot take an event back. A void
//! ends the place of the event: neither it nor what it replaced is metered any more. The identity stays known, so that
//! the same event sent again is a duplicate. Usage that is recorded later, under another identity or as a later revision
//! of the same one, is metered anew.

use bincode::{Decode, Encode};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::attribution::Reporter;
use super::places::{Added, Places};
use super::seen::{Fingerprint, KnownUsage};
use super::{
    ComputerId, Sequence, SuspendedUsageDismissed, UsageFold, UsageId, UsageLedger, UsageOutcome,
    UsageRefusal, UsageSurroundings,
};
use crate::domain::Outcome;
use crate::domain::event::{Event, Stream};

/// The most events that one command voids: each may have to be looked for among the starts of its computer.
pub const MOST_VOIDS: usize = 1000;

/// Void usage events of a computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidUsage {
    /// The computer that reported them.
    pub computer: ComputerId,
    /// Which, in order.
    pub voids: Vec<VoidRequest>,
}

/// A usage event to be voided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidRequest {
    /// The sender's name of the request, if it has one: the request is then known again.
    pub id: Option<UsageId>,
    /// The id of the usage event.
    pub voids: UsageId,
    /// Why.
    pub reason: Box<str>,
}

/// Usage that is metered no more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct UsageVoided {
    /// The event that metered it: of several revisions the last, of suspended usage the resolution.
    pub voided: Sequence,
    /// The id of the usage event that was to be voided.
    pub voids: UsageId,
    /// The sender's name of the request, if it had one.
    pub id: Option<UsageId>,
    /// Why, in the words of who voided it.
    pub reason: Box<str>,
}

/// What the requests of this command have changed so far.
struct VoidOverlay<'a> {
    seen: FxHashMap<Fingerprint, KnownUsage>,
    places: Added<'a>,
}

impl UsageLedger {
    pub(crate) fn void(
        &self,
        around: &UsageSurroundings<'_>,
        command: &VoidUsage,
    ) -> Result<Outcome<Vec<UsageOutcome>>, UsageRefusal> {
        if command.voids.len() > MOST_VOIDS {
            return Err(UsageRefusal::TooManyVoids);
        }
        if command.voids.iter().any(|request| !is_reason(&request.reason)) {
            return Err(UsageRefusal::BadReason);
        }
        let reporter = Reporter::new(&command.computer, around.computers, around.instances)?;
        let stream = Stream::Usage(command.computer.clone());
        let mut overlay = VoidOverlay { seen: FxHashMap::default(), places: Added::to(around.seen) };
        let (mut outcomes, mut events) = (Vec::with_capacity(command.voids.len()), Vec::new());
        for request in &command.voids {
            let next = Sequence(around.next.0 + events.len() as u64);
            let (outcome, decided) = self.void_one(around, reporter.id, &mut overlay, (request, next));
            outcomes.push(outcome);
            events.extend(decided.into_iter().map(|event| (stream.clone(), event)));
        }
        Ok(Outcome::of(outcomes, events))
    }

    fn void_one(
        &self,
        around: &UsageSurroundings<'_>,
        computer: &ComputerId,
        overlay: &mut VoidOverlay<'_>,
        (request, next): (&VoidRequest, Sequence),
    ) -> (UsageOutcome, Vec<Event>) {
        let identity = |id: &UsageId| around.seen.identity(around.project, computer, id);
        let own = request.id.as_ref().map(identity);
        let content = around.seen.void_content(&request.voids, &request.reason);
        let known = own.and_then(|own| overlay.seen.get(&own).copied().or_else(|| around.seen.get(own)));
        if let Some(known) = known {
            let outcome = if known.content == content {
                UsageOutcome::Duplicate(known.sequence)
            } else {
                UsageOutcome::Conflict(known.sequence)
            };
            return (outcome, Vec::new());
        }
        let Some(target) = around.seen.get(identity(&request.voids)) else {
            return (UsageOutcome::NothingToVoid, Vec::new());
        };
        let Some(mut holder) = overlay.places.holder(target.sequence) else {
            // It is void already, or was dismissed: nothing of it is metered.
            return (UsageOutcome::Duplicate(target.sequence), Vec::new());
        };
        let mut events = Vec::new();
        // A suspended event holds no place: what it would have replaced is metered, and is voided with it.
        if let Some((_, suspended)) = self.suspended.get(&holder) {
            let reason = request.reason.clone();
            let dismissal = SuspendedUsageDismissed { suspended: holder, reason, superseded_by: None };
            events.push(Event::SuspendedUsageDismissed(dismissal));
            let before = suspended.replaces.and_then(|before| overlay.places.holder(before));
            overlay.places.pass_on(holder, before.unwrap_or(Sequence::ZERO));
            match before {
                None => return (UsageOutcome::Voided(next), events),
                Some(before) => holder = before,
            }
        }
        let at = Sequence(next.0 + events.len() as u64);
        let VoidRequest { id, voids, reason } = request.clone();
        events.push(Event::UsageVoided(UsageVoided { voided: holder, voids, id, reason }));
        overlay.places.pass_on(holder, Sequence::ZERO);
        if let Some(own) = own {
            overlay.seen.insert(own, KnownUsage { sequence: at, content });
        }
        (UsageOutcome::Voided(next), events)
    }
}

impl UsageFold<'_> {
    pub(crate) fn voided(self, event: &UsageVoided) {
        let Self { ledger, seen, project, computer, sequence, .. } = self;
        seen.pass_on(event.voided, Sequence::ZERO);
        if let Some(id) = &event.id {
            let (identity, content) =
                (seen.identity(project, computer, id), seen.void_content(&event.voids, &event.reason));
            seen.insert(identity, KnownUsage { sequence, content });
            // The request meters nothing: nobody holds its place.
            seen.pass_on(sequence, Sequence::ZERO);
        }
        // No report begins any more where it stopped.
        for starts in ledger.starts.get_mut(computer).into_iter().flat_map(|all| all.values_mut()) {
            starts.voided(event.voided);
        }
    }
}

/// Whether these words say why something was done.
pub(super) fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 1000
}

#[cfg(test)]
mod tests;
