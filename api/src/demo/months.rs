//! The two months, day by day: requests, reports of the day before, reports that are late, and two farewells.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, bail};
use slapledger_core::domain::id::{ComputerId, PartyId, RunId};
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::{RecordUsage, UsageOutcome};
use slapledger_core::domain::{Answer, Command};

use super::usage::{self, Busy, DAY, HOUR};
use super::world::{COMPUTERS, Customer, NEWCOMER, Planned};
use super::{Living, Play, computer, instant};

/// What is requested on which day of October, in the order of the requests.
pub(super) type Plans = BTreeMap<i64, Vec<(PartyId, Planned)>>;

/// What September hands on to October: what lives, and the reports that are still to come.
pub(super) struct HandedOver {
    living: VecDeque<Living>,
    late: BTreeMap<i64, Vec<RecordUsage>>,
}

/// Days of the play of September before that of October begins.
const DAYS: i64 = 31;
/// The last day of the plan of October on which an instance may be there since September.
const THERE_BEFORE: i64 = 2;

impl Play<'_> {
    /// Two thirds are there before October begins, the others come in its course.
    pub(super) fn plan(&mut self, customers: &[(PartyId, Customer)]) -> Plans {
        let mut plans = Plans::new();
        for (party, customer) in customers {
            for planned in &customer.instances {
                let day = if self.random.once_in(3) {
                    self.random.between(4, 22)
                } else {
                    self.random.between(0, 2)
                };
                plans.entry(day).or_default().push((*party, planned.clone()));
            }
        }
        plans
    }

    /// September: what is there before October comes in its course.
    pub(super) fn september(&mut self, plans: &Plans) -> anyhow::Result<HandedOver> {
        self.beside(|play| play.before_october(plans))
    }

    fn before_october(&mut self, plans: &Plans) -> anyhow::Result<HandedOver> {
        let first = instant("2026-08-28T00:00:00Z");
        let mut coming: VecDeque<_> = plans.range(..=THERE_BEFORE).flat_map(|(_, plans)| plans).collect();
        // Half of them are there from the start, then comes one every other day.
        let at_first = coming.len() / 2;
        let mut living: Vec<Living> = Vec::new();
        let mut late: BTreeMap<i64, Vec<RecordUsage>> = BTreeMap::new();
        for day in 0..=DAYS {
            let midnight = first.plus_micros(day * DAY);
            if day > 0 {
                self.report_day(day, before(midnight), &living, &mut late)?;
            }
            for report in late.remove(&day).unwrap_or_default() {
                self.report(midnight.plus_micros(HOUR), report)?;
            }
            let mut at = midnight.plus_micros(9 * HOUR);
            while day < DAYS && (living.len() < at_first || (day > 3 && day % 2 == 0)) {
                let Some((party, planned)) = coming.pop_front() else { break };
                living.push(self.request(at, *party, planned.clone(), None)?);
                at = at.plus_micros(7 * 60 * 1_000_000);
                if living.len() > at_first {
                    break;
                }
            }
        }
        let late = late.into_iter().map(|(day, reports)| (day - DAYS, reports)).collect();
        Ok(HandedOver { living: living.into(), late })
    }

    /// October, with the days before it; and the run that closes September. Gives how many instances there were.
    pub(super) fn october(
        &mut self,
        seller: PartyId,
        mut plans: Plans,
        mut earlier: HandedOver,
    ) -> anyhow::Result<(usize, RunId)> {
        let mut living: Vec<Living> = Vec::new();
        let mut tree: Vec<Living> = Vec::new();
        let mut late: BTreeMap<i64, Vec<RecordUsage>> = BTreeMap::new();
        let mut september = None;
        let first = instant("2026-09-28T00:00:00Z");
        for day in 0..=34 {
            let midnight = first.plus_micros(day * DAY);
            let yesterday = before(midnight);
            if day > 0 {
                self.report_day(day, yesterday, &living, &mut late)?;
                self.beside(|play| {
                    play.report_rest(yesterday, &earlier.living.iter().chain(&tree).map(|one| &one.busy))
                })?;
                earlier.living.retain(|one| one.busy.allocated.stop == Timestamp::MAX);
            }
            for report in earlier.late.remove(&day).unwrap_or_default() {
                self.beside(|play| play.report(midnight.plus_micros(HOUR), report))?;
            }
            for report in late.remove(&day).unwrap_or_default() {
                self.report(midnight.plus_micros(HOUR), report)?;
            }
            if day == 7 {
                let closes = |play: &mut Self| {
                    play.invoice(seller, "2026-10-05T08:00:00Z", ["2026-09-01", "2026-10-01"])
                };
                september = Some(self.beside(closes)?);
            }
            let mut at = midnight.plus_micros(9 * HOUR);
            for (party, planned) in plans.remove(&day).unwrap_or_default() {
                let known = earlier.living.iter_mut().find(|one| {
                    one.busy.allocated.stop == Timestamp::MAX
                        && (one.owner, &one.planned.reference) == (party, &planned.reference)
                });
                let known = known.map(|one| {
                    // From this hour on its usage is that of October.
                    one.busy.allocated.stop = midnight.plus_micros(9 * HOUR);
                    one.id
                });
                living.push(self.request(at, party, planned, known)?);
                at = at.plus_micros(7 * 60 * 1_000_000);
            }
            // Two of those that were only tried out go when they have been tried.
            if day == 17 || day == 24 {
                self.farewell(at.plus_micros(HOUR), &mut living)?;
            }
            if day == 24 {
                let root = living.iter().find(|one| one.planned.reference == "ERP / CRM");
                let root = root.context("nobody runs an ERP")?;
                tree = self.beside(|play| play.grow_tree(at.plus_micros(2 * HOUR), seller, root))?;
            }
            if day % 12 == 7
                && let Some(one) = living.first()
            {
                let (computer, partition) = (one.busy.computer.clone(), one.busy.partition.clone());
                let report = usage::unmeterable(&computer, &partition, at);
                self.report(at.plus_micros(2 * HOUR), report)?;
            }
        }
        let september = september.context("September was not closed")?;
        Ok((living.len() + tree.len(), september))
    }

    fn report_day(
        &mut self,
        today: i64,
        yesterday: Period,
        living: &[Living],
        late: &mut BTreeMap<i64, Vec<RecordUsage>>,
    ) -> anyhow::Result<()> {
        for (name, _, _) in COMPUTERS {
            let id = ComputerId::new(name)?;
            let here = there(living.iter().map(|living| &living.busy), &id, yesterday);
            let at = yesterday.stop.plus_micros(HOUR / 2);
            let daily = usage::daily(&mut self.random, &id, &here, yesterday);
            let hourly = usage::hourly(&mut self.random, &id, &here, yesterday);
            if self.random.once_in(12) {
                // The node could not reach us for some days.
                late.entry(today + 3).or_default().push(daily.clone());
            } else {
                self.report(at, daily.clone())?;
            }
            if self.random.once_in(10) {
                // It did not hear our answer and sends the day again.
                self.report(at, hourly.clone())?;
            }
            if self.random.once_in(40) {
                // It measured again and knows better.
                let again = usage::daily(&mut self.random, &id, &here, yesterday);
                self.report(at, again)?;
            }
            self.report(at, hourly)?;
        }
        Ok(())
    }

    /// The reports of a day without mistakes. The levels of the day that is handed over are reported by who takes over.
    fn report_rest<'b>(
        &mut self,
        day: Period,
        busy: &(impl Iterator<Item = &'b Busy> + Clone),
    ) -> anyhow::Result<()> {
        for (name, _, _) in COMPUTERS.iter().chain([&NEWCOMER]) {
            let id = ComputerId::new(name)?;
            let here = there(busy.clone(), &id, day);
            if here.is_empty() {
                continue;
            }
            let goes_on = |busy: &&&Busy| busy.allocated.stop == Timestamp::MAX;
            let whole: Vec<&Busy> = here.iter().filter(goes_on).copied().collect();
            let at = day.stop.plus_micros(HOUR / 2);
            let daily = usage::daily(&mut self.random, &id, &whole, day);
            let hourly = usage::hourly(&mut self.random, &id, &here, day);
            for report in [daily, hourly] {
                if !report.reports.is_empty() {
                    self.report(at, report)?;
                }
            }
        }
        Ok(())
    }

    fn report(&mut self, at: Timestamp, report: RecordUsage) -> anyhow::Result<()> {
        let actor = computer(&report.computer);
        let Answer::Usage(outcomes) = self.submit(at, actor, Command::RecordUsage(report))? else {
            bail!("usage was answered otherwise");
        };
        for outcome in outcomes {
            match outcome {
                UsageOutcome::Accepted(_) => self.counts.accepted += 1,
                UsageOutcome::Duplicate(_) => self.counts.duplicates += 1,
                UsageOutcome::Suspended(..) => self.counts.suspended += 1,
                UsageOutcome::Conflict(_)
                | UsageOutcome::NothingToReplace
                | UsageOutcome::NothingToVoid
                | UsageOutcome::OverQuota(_) => {
                    self.counts.rejected += 1;
                }
                // The demo voids nothing.
                UsageOutcome::Voided(_) => {}
            }
        }
        Ok(())
    }
}

/// The day before a midnight.
fn before(midnight: Timestamp) -> Period {
    Period { start: midnight.plus_micros(-DAY), stop: midnight }
}

/// Who is on a computer in the course of a day.
fn there<'b>(busy: impl Iterator<Item = &'b Busy>, computer: &ComputerId, day: Period) -> Vec<&'b Busy> {
    busy.filter(|busy| busy.computer == *computer && busy.allocated.intersection(day).is_some()).collect()
}
