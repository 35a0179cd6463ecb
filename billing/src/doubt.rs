//! Usage that is not charged and may have to be: while there is any, nothing of its payer becomes final.
//!
//! Reports that say more than can be are suspended when they arrive; what is too much for a quantity is noticed when it is
//! rated. Charging the rest would be an invoice that is known to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{InstanceId, PartyId, RunId, Sequence};
use slapledger_core::domain::time::{Period, Timestamp};
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
    pub(crate) fn new(metering: &'a Metering, histories: &'a Histories) -> Self {
        let mut by_payer: BTreeMap<PartyId, Vec<&'a UsageSuspended>> = BTreeMap::new();
        let mut tenants: Option<PartitionOwners<'a>> = None;
        for (_, suspense) in metering.suspense(|_| true, Sequence::ZERO, usize::MAX).items {
            let Unmeterable::Implausible { first, last } = suspense.usage.reason else { continue };
            let payers = if first == last {
                histories.get(first).map(|history| history.owner).into_iter().collect()
            } else {
                tenants
                    .get_or_insert_with(|| PartitionOwners::new(histories))
                    .owners(histories, (first, last))
            };
            for payer in payers {
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

/// The tenants of each partition, by the start of their allocation.
struct PartitionOwners<'a>(BTreeMap<(&'a str, &'a str), Vec<(Timestamp, PartyId)>>);

impl<'a> PartitionOwners<'a> {
    fn new(histories: &'a Histories) -> Self {
        let mut tenants: BTreeMap<_, Vec<(Timestamp, PartyId)>> = BTreeMap::new();
        for (_, history) in histories.all() {
            if let Some(allocation) = &history.allocation {
                let place = (allocation.computer.as_str(), allocation.partition.as_str());
                tenants.entry(place).or_default().push((allocation.since(), history.owner));
            }
        }
        Self(tenants)
    }

    /// Who owns the first of two tenants of a partition, the last, and those between them: a report about all of them
    /// names these two.
    fn owners(&self, histories: &Histories, (first, last): (InstanceId, InstanceId)) -> BTreeSet<PartyId> {
        let of = |instance| histories.get(instance).and_then(|history| history.allocation.as_ref());
        let ends = [first, last].into_iter().filter_map(|instance| Some(histories.get(instance)?.owner));
        let Some((from, until)) = of(first).zip(of(last)) else { return ends.collect() };
        let place = (from.computer.as_str(), from.partition.as_str());
        let there = self.0.get(&place).into_iter().flatten();
        let between = there.filter(|(since, _)| (from.since()..=until.since()).contains(since));
        ends.chain(between.map(|(_, owner)| *owner)).collect()
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
