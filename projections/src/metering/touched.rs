//! What a usage event will change, seen just before it is applied: for anyone who must know that a period already
//! billed is not what it was.

use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::Period;
use slapledger_core::domain::usage::{Attribution, Share, Usage};
use slapledger_core::log::envelope::Recorded;

use super::{Metering, Target};

impl Metering {
    /// The targets and times whose readings an event changes: those of the usage it takes the place of, then those of
    /// the usage it meters; nothing, if it is not about usage that counts. To be asked before [`apply`](Self::apply),
    /// which moves what is replaced out of the way. Nothing is allocated but for usage of computers themselves.
    pub fn touched<'a>(&'a self, recorded: &'a Recorded) -> impl Iterator<Item = (Target, Period)> + 'a {
        let change = recorded.event.usage_change().unwrap_or_default();
        let (replaces, usage) = (change.replaces, change.metered);
        let counting = replaces.map_or(0, |replaces| self.counts_as(replaces).0);
        let (one, divided) = match (replaces, &*recorded.stream) {
            (Some(_), Stream::Usage(computer)) => self.holders(counting, computer, usage),
            _ => (None, [].as_slice()),
        };
        let before = one.into_iter().chain(divided.iter().copied()).flat_map(move |index| {
            let series = &self.series[index as usize];
            let intervals = series.of_event(counting).iter();
            intervals.filter_map(|interval| Some((self.target(series.owner), interval.period()?)))
        });
        let whole = usage.and_then(|usage| match (&usage.attribution, &*recorded.stream) {
            (Attribution::Instance(instance), _) => Some((Target::Instance(*instance), usage.period)),
            (Attribution::Computer, Stream::Usage(computer)) => {
                Some((Target::Computer(computer.clone()), usage.period))
            }
            _ => None,
        });
        let shares: &[Share] = match usage.map(|usage| &usage.attribution) {
            Some(Attribution::Shares(shares)) => shares,
            _ => &[],
        };
        let shares = shares.iter().map(|share| (Target::Instance(share.instance), share.period));
        before.chain(whole).chain(shares)
    }

    /// The series that hold what an event meters, if it still counts: one, or those it was divided among.
    fn holders(
        &self,
        sequence: u64,
        computer: &ComputerId,
        instead: Option<&Usage>,
    ) -> (Option<u32>, &[u32]) {
        match self.divided.get(&sequence) {
            Some(among) => (None, among),
            None => (self.holder(sequence, computer, instead), &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::Command;
    use slapledger_core::domain::id::Sequence;
    use slapledger_core::domain::usage::{ResolveSuspendedUsage, UsageId, VoidRequest, VoidUsage};

    use super::*;
    use crate::metering::tests::{DAY, MORNING, instance, one_tenant, period, two_tenants};
    use crate::testing::{Story, computer, report};

    /// What each event of a story touched, with metering as it was just before.
    fn touched(story: &Story) -> Vec<Vec<(Target, Period)>> {
        let mut metering = Metering::new();
        let each = story.events.iter().map(|event| {
            let touched = metering.touched(event).collect();
            metering.apply(event);
            touched
        });
        each.filter(|touched: &Vec<_>| !touched.is_empty()).collect()
    }

    #[test]
    fn corrections_touch_what_was_and_what_is() {
        let mut story = one_tenant();
        story.usage("COMP-1", vec![report("a", "slappart0", "1", MORNING)]);
        story.usage("COMP-1", vec![report("a", "slappart0", "1", DAY)]);
        let mut moved = report("a", "COMP-1", "1", MORNING);
        moved.resource = "memory".into();
        story.usage("COMP-1", vec![moved]);
        story.usage("COMP-1", vec![report("a", "slappart0", "2", DAY)]);
        story.usage("COMP-1", vec![report("b", "nobody", "2", MORNING)]);
        story.then(Command::ResolveSuspendedUsage(ResolveSuspendedUsage {
            suspended: Sequence(story.events.len() as u64),
            subject: Some("slappart0".into()),
            resource: None,
            quantity: None,
            period: None,
        }));
        story.usage("COMP-1", vec![report("b", "slappart0", "3", DAY)]);
        let (one, node) = (instance(1), Target::Computer(computer("COMP-1")));
        let (morning, day) = (period(MORNING), period(DAY));
        let expected: [&[_]; 6] = [
            &[(one.clone(), morning)],
            &[(one.clone(), morning), (one.clone(), day)],
            &[(one.clone(), day), (node.clone(), morning)],
            &[(node, morning), (one.clone(), day)],
            &[(one.clone(), morning)],
            &[(one.clone(), morning), (one, day)],
        ];
        assert_eq!(touched(&story), expected);
    }

    #[test]
    fn a_void_touches_what_was_and_leaves_nothing() {
        let mut story = one_tenant();
        story.usage("COMP-1", vec![report("a", "slappart0", "0", MORNING)]);
        story.usage("COMP-1", vec![report("b", "slappart0", "3", DAY)]);
        assert_eq!(story.view.metering.len(), 2);
        let reading = |story: &Story| {
            let reading = story.view.metering.totals(&instance(1), "cpu", period(DAY));
            (reading.count, reading.sum_billionths)
        };
        let before = reading(&story);
        let voids = UsageId::new("a").expect("an id");
        let voids = vec![VoidRequest { id: None, voids, reason: "by mistake".into() }];
        story.then(Command::VoidUsage(VoidUsage { computer: computer("COMP-1"), voids }));
        // It was 0, and counted.
        assert_eq!((before.0, reading(&story)), (2, (1, before.1)));
        let one = instance(1);
        let (morning, day) = ((one.clone(), period(MORNING)), (one, period(DAY)));
        assert_eq!(touched(&story), [vec![morning.clone()], vec![day], vec![morning]]);
        // As of an earlier event it still counts.
        let last = story.events.len() as u64;
        let as_of = |sequence| {
            let as_of = story.view.metering.as_of(Sequence(sequence));
            as_of.totals(&instance(1), "cpu", period(DAY)).count
        };
        assert_eq!([as_of(last - 1), as_of(last)], [2, 1]);
    }

    #[test]
    fn divided_usage_touches_all_who_share_it() {
        let mut story = two_tenants();
        story.usage("COMP-1", vec![report("a", "slappart0", "1", DAY)]);
        story.usage("COMP-1", vec![report("a", "slappart0", "1", MORNING)]);
        story.usage("COMP-1", vec![report("a", "slappart0", "2", DAY)]);
        let first = (instance(1), period(("2026-10-01T00:00:00Z", "2026-10-01T06:00:00Z")));
        let second = (instance(2), period(("2026-10-01T12:00:00Z", "2026-10-02T00:00:00Z")));
        let both = [first.clone(), second.clone()];
        let rows: [&[_]; 3] = [
            &both,
            &[first.clone(), second.clone(), first.clone()],
            &[first.clone(), first.clone(), second.clone()],
        ];
        assert_eq!(touched(&story), rows);
    }
}
