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
    fn reports(&self, payer: PartyId, period: Period) -> usize {
        let waiting = self.by_payer.get(&payer).into_iter().flatten();
        waiting.filter(|usage| may_be_within(usage, period)).count()
    }

    /// What keeps the draft of a payer from becoming final, if anything does; `warnings` are those of rating it.
    pub(crate) fn warning(&self, payer: PartyId, period: Period, warnings: &[Warning]) -> Option<Warning> {
        let implausible = match self.reports(payer, period) {
            0 => None,
            1 => Some("1 report of usage is implausible; resolve or dismiss it".to_owned()),
            n => Some(format!("{n} reports of usage are implausible; resolve or dismiss them")),
        };
        let too_much = warnings.iter().filter(|warning| warning.is_too_much()).map(ToString::to_string);
        let what: Vec<String> = implausible.into_iter().chain(too_much.take(MOST)).collect();
        (!what.is_empty()).then(|| Warning::UsageInDoubt { payer, what: what.join("; ").into() })
    }
}

/// The most lines that are named; each has a warning of its own.
const MOST: usize = 3;

/// The payers of a run for whom nothing can become final, and why.
pub fn in_doubt(billing: &Billing, run: RunId) -> BTreeMap<PartyId, Box<str>> {
    let open = billing.run(run).filter(|run| run.state() == DocumentState::Draft);
    let warnings = open.into_iter().flat_map(|run| &run.warnings);
    let in_doubt = warnings.filter_map(|warning| match warning {
        Warning::UsageInDoubt { payer, what } => Some((*payer, what.clone())),
        _ => None,
    });
    in_doubt.collect()
}
