//! Receipts of usage events: what their senders were told, to be looked at later.

use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::usage::{UsageId, UsageOutcome};
use slapledger_engine::receipts::{ReceiptDetails, ReceiptOutcome};

use super::context::RequestContext;

/// The member that is to blame for an outcome, and the reason, as senders are told it.
pub fn blamed(outcome: &UsageOutcome) -> (Option<&'static str>, Option<String>) {
    let unknown = || Some("no usage event of this computer has this id".to_owned());
    match outcome {
        UsageOutcome::Accepted(_) | UsageOutcome::Voided(_) | UsageOutcome::Duplicate(_) => (None, None),
        UsageOutcome::Suspended(_, why) => (Some(why.field()), Some(why.to_string())),
        UsageOutcome::Conflict(with) => {
            (Some("data"), Some(format!("identity was reported with other content as sequence {with}")))
        }
        UsageOutcome::NothingToReplace => (Some("data.replaces"), unknown()),
        UsageOutcome::NothingToVoid => (Some("data.voids"), unknown()),
        UsageOutcome::OverQuota(quota) => (None, Some(quota.to_string())),
    }
}

/// Keeps the receipts of a report of a computer. A request to void an event is none. `since` is the last event before the
/// report was submitted: what was recorded earlier was known, also where a repeated command is answered as before.
pub fn keep<'a>(
    ctx: &RequestContext,
    (computer, since): (&ComputerId, Sequence),
    outcomes: impl IntoIterator<Item = (&'a UsageId, &'a UsageOutcome)>,
) {
    let receipts = outcomes.into_iter().filter_map(|(id, outcome)| {
        let named = |sequence| ReceiptDetails {
            id: Some(id.to_string().into()),
            sequence,
            ..ReceiptDetails::default()
        };
        // Of what is in the log, the log says the rest.
        let recorded = |sequence| ReceiptDetails { sequence: Some(sequence), ..ReceiptDetails::default() };
        let (kind, details) = match outcome {
            UsageOutcome::Accepted(known) | UsageOutcome::Suspended(known, _) if *known <= since => {
                return Some((ReceiptOutcome::Duplicate, named(Some(*known))));
            }
            UsageOutcome::Accepted(sequence) => (ReceiptOutcome::Accepted, recorded(*sequence)),
            UsageOutcome::Suspended(sequence, _) => (ReceiptOutcome::Suspended, recorded(*sequence)),
            UsageOutcome::Duplicate(sequence) => (ReceiptOutcome::Duplicate, named(Some(*sequence))),
            UsageOutcome::Conflict(sequence) => (ReceiptOutcome::Rejected, named(Some(*sequence))),
            UsageOutcome::NothingToReplace | UsageOutcome::OverQuota(_) => {
                (ReceiptOutcome::Rejected, named(None))
            }
            UsageOutcome::Voided(_) | UsageOutcome::NothingToVoid => return None,
        };
        if kind == ReceiptOutcome::Accepted || kind == ReceiptOutcome::Duplicate {
            return Some((kind, details));
        }
        let (field, reason) = blamed(outcome);
        let (field, reason) = (field.map(Into::into), reason.map(String::into_boxed_str));
        Some((kind, ReceiptDetails { field, reason, ..details }))
    });
    ctx.engine.receipts.add((ctx.project, Some(computer.clone())), ctx.now(), receipts);
}

/// Keeps receipts of events that were rejected before anybody decided about them. Those of no computer that is known
/// count together.
pub fn keep_rejected(
    ctx: &RequestContext,
    computer: Option<&ComputerId>,
    rejected: impl IntoIterator<Item = ReceiptDetails>,
) {
    let rejected = rejected.into_iter().map(|details| (ReceiptOutcome::Rejected, details));
    ctx.engine.receipts.add((ctx.project, computer.cloned()), ctx.now(), rejected);
}
