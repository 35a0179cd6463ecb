//! Suspended usage whose time was reported again: dismissing it loses nothing, resolving it would charge twice.

use std::collections::{BTreeMap, BTreeSet};

use slapledger_core::domain::id::{ComputerId, InstanceId, Sequence};
use slapledger_core::domain::time::Period;
use slapledger_projections::metering::{Suspense, Target};

use crate::history::AllocationHistory;
use crate::view::BillingView;

/// Usage that covers the time of a suspended report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedAgain {
    /// Of which instance.
    pub instance: InstanceId,
    /// The first event that meters it.
    pub first_sequence: Sequence,
    /// How many events do.
    pub events: u64,
}

/// Who was in the partitions of computers, and when.
pub struct InstancePlaces<'a>(BTreeMap<(&'a ComputerId, &'a str), Vec<(InstanceId, &'a AllocationHistory)>>);

impl BillingView {
    /// Who was in the partitions of the computers that reported these.
    pub fn instance_places<'a>(
        &'a self,
        suspended: impl IntoIterator<Item = &'a Suspense>,
    ) -> InstancePlaces<'a> {
        let computers: BTreeSet<&ComputerId> =
            suspended.into_iter().map(|suspense| &suspense.computer).collect();
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        // Most of the time nothing is suspended.
        let all = (!computers.is_empty()).then(|| self.billing.histories.all());
        for (id, history) in all.into_iter().flatten() {
            if let Some(there) =
                history.allocation.as_ref().filter(|there| computers.contains(&there.computer))
            {
                places.entry((&there.computer, there.partition.as_str())).or_default().push((id, there));
            }
        }
        InstancePlaces(places)
    }

    /// The instances that suspended usage may be of: the one that its subject names, or those that had the partition
    /// then.
    pub(crate) fn may_be_of(&self, places: &InstancePlaces<'_>, suspense: &Suspense) -> Vec<InstanceId> {
        let usage = &suspense.usage;
        if let Ok(named) = usage.subject.parse::<InstanceId>() {
            return self.billing.histories.get(named).map(|_| named).into_iter().collect();
        }
        let time = match (usage.start.or(usage.stop), usage.stop.or(usage.start)) {
            (Some(start), Some(stop)) => Period::new(start, stop),
            _ => None,
        };
        let there = places.0.get(&(&suspense.computer, &*usage.subject)).into_iter().flatten();
        there
            .filter(|(_, there)| time.is_none_or(|time| there.within(time).is_some()))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whether all the time of a suspended report is metered by other events of the same resource and instance.
    pub fn reported_again(&self, places: &InstancePlaces<'_>, suspense: &Suspense) -> Option<ReportedAgain> {
        let usage = &suspense.usage;
        let period = Period::new(usage.start?, usage.stop?)?;
        let [instance] = self.may_be_of(places, suspense)[..] else { return None };
        let target = Target::Instance(instance);
        let mut metered = self.metering.as_of(Sequence(u64::MAX)).intervals(&target, &usage.resource, period);
        metered.sort_unstable_by_key(|interval| interval.period.start);
        let mut covered = period.start;
        for interval in &metered {
            if interval.period.start > covered {
                return None;
            }
            covered = covered.max(interval.period.stop);
        }
        let first_sequence = metered.iter().map(|interval| interval.sequence).min()?;
        let events = metered.len() as u64;
        (covered >= period.stop).then_some(ReportedAgain { instance, first_sequence, events })
    }
}
