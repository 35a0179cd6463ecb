//! Usage that is not charged and may have to be: while there is any, nothing of its payer becomes final.
//!
//! Reports that say more than can be are suspended when they arrive; what is too much for a quantity is noticed when it is
//! rated. Charging the rest would be an invoice that is known to be wrong.

use std::collections::BTreeMap;

use slapledger_core::domain::id::{PartyId, RunId, Sequence};
use slapledger_core::domain::time::Period;
use slapledger_core::domain::usage::{Unmeterable, UsageSuspended};
use slapledger_projections::metering::Metering;

use crate::gaps::may_be_within;
use crate::history::Histories;
use crate::view::{Billing, DocumentState};
use crate::warning::Warning;

/// The implausible usage that waits for somebody to resolve or dismiss it, by payer.
#[derive(Default)]
pub(crate) struct ImplausibleUsage<'a> {
    by_payer: BTreeMap<PartyId, Vec<&'a UsageSuspended>>,
}

impl<'a> ImplausibleUsage<'a> {
    pub(crate) fn new(metering: &'a Metering, histories: &Histories) -> Self {
        let mut by_payer: BTreeMap<PartyId, Vec<&'a UsageSuspended>> = BTreeMap::new();
        for (_, suspense) in metering.suspense(|_| true, Sequence::ZERO, usize::MAX).items {
            let Unmeterable::Implausible { first, last } = suspense.usage.reason else { continue };
            let owner = |instance| histories.get(instance).map(|history| history.owner);
            let (first, last) = (owner(first), owner(last));
            for payer in first.into_iter().chain(last.filter(|last| Some(*last) != first)) {
                by_payer.entry(payer).or_default().push(&suspense.usage);
            }
        }
        Self { by_payer }
    }

    /// How many reports there are that may be about a period.
    fn reports(&self, payer: PartyId, period: Period) -> u64 {
        let waiting = self.by_payer.get(&payer).into_iter().flatten();
        waiting.filter(|usage| may_be_within(usage, period)).count() as u64
    }

    /// What a run says of a payer who has any.
    pub(crate) fn warning(&self, payer: PartyId, period: Period) -> Option<Warning> {
        let events = self.reports(payer, period);
        (events > 0).then_some(Warning::ImplausibleUsage { payer, events })
    }
}

impl Billing {
    /// The payer for whom nothing can become final, if a warning says so.
    pub(crate) fn payer_in_doubt(&self, warning: &Warning) -> Option<PartyId> {
        match warning {
            Warning::TooMuch { instance, .. } => self.histories.get(*instance).map(|history| history.owner),
            Warning::TooMuchTogether { payer, .. } | Warning::ImplausibleUsage { payer, .. } => Some(*payer),
            _ => None,
        }
    }
}

/// The payers of a run for whom nothing can become final, and why: the first of the reasons.
pub fn in_doubt(billing: &Billing, run: RunId) -> BTreeMap<PartyId, Box<str>> {
    let mut in_doubt = BTreeMap::new();
    let open = billing.run(run).filter(|run| run.state() == DocumentState::Draft);
    for warning in open.into_iter().flat_map(|run| &run.warnings) {
        if let Some(payer) = billing.payer_in_doubt(warning) {
            in_doubt.entry(payer).or_insert_with(|| warning.to_string().into());
        }
    }
    in_doubt
}
