//! What is missing before a run: nodes that were silent while instances were with them, reports that never came by a
//! node's own count, and usage that waits for somebody.
//!
//! A computer is silent in an hour (of UTC) in which nothing that it reported has any time, whatever the resource and
//! whoever's usage it is, while an instance was allocated on it. Whether that is wrong is for the provider to say.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use slapledger_core::domain::id::{ComputerId, InstanceId, Sequence};
use slapledger_core::domain::invoice::Invoice;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::UsageSuspended;
use slapledger_projections::Page;
use slapledger_projections::metering::{HourMarks, Metering, MissingReports, Target};

use crate::view::{Billing, BillingView, Document};
use crate::warning::Warning;

/// Of so many computers a run tells what is missing; the others are counted.
const MOST_TOLD: usize = 100;
const HOUR: u64 = 3_600_000_000;

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Gap {
    /// Nothing was reported for a time in which instances were allocated.
    Silent {
        /// By which computer.
        computer: ComputerId,
        /// Since when.
        start: Timestamp,
        /// Until when.
        stop: Timestamp,
        /// How many instances had any time then.
        instances: u64,
    },
    /// Numbers of the node's own count never came.
    MissingReports {
        /// Of which computer.
        computer: ComputerId,
        /// The last number before the hole.
        after: u64,
        /// The first one after it.
        before: u64,
        /// How many are missing.
        count: u64,
        /// What is missing stopped, it seems, between this instant
        since: Timestamp,
        /// and this one.
        until: Timestamp,
    },
    /// Usage that may be about the period waits for somebody to resolve or dismiss it.
    Suspended {
        /// Reported by which computer.
        computer: ComputerId,
        /// How many reports.
        events: u64,
        /// The first.
        first_sequence: Sequence,
        /// The last.
        last_sequence: Sequence,
    },
}

/// The place of a gap in the list of all: its computer, which kind it is, and what orders those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GapPlace {
    /// Of which computer.
    pub computer: ComputerId,
    /// 0 for silence, 1 for missing reports, 2 for what is suspended.
    pub kind: u8,
    /// The microsecond it starts, the number before it, or 0.
    pub at: i128,
}

impl Gap {
    /// Its place in the list.
    pub fn place(&self) -> GapPlace {
        let (computer, kind, at) = match self {
            Self::Silent { computer, start, .. } => (computer, 0, i128::from(start.micros())),
            Self::MissingReports { computer, after, .. } => (computer, 1, i128::from(*after)),
            Self::Suspended { computer, .. } => (computer, 2, 0),
        };
        GapPlace { computer: computer.clone(), kind, at }
    }
}

/// Who was on a computer in a period, and when.
type Tenants = Vec<(InstanceId, Period)>;

impl BillingView {
    /// What is missing in a period, of one computer or of all, as of the last event; in order of computers.
    pub fn gaps(
        &self,
        period: Period,
        wanted: impl Fn(&ComputerId) -> bool,
        after: Option<&GapPlace>,
        limit: usize,
    ) -> Page<Gap, GapPlace> {
        let (tenants, suspended) = (self.billing.tenants(period), suspended(&self.metering, period));
        let counting = self.metering.counting_computers().cloned();
        let all: BTreeSet<ComputerId> = tenants
            .keys()
            .chain(suspended.keys())
            .map(|computer| (*computer).clone())
            .chain(counting)
            .collect();
        let all = all
            .into_iter()
            .filter(|known| wanted(known) && after.is_none_or(|after| after.computer <= *known));
        let gaps = all.flat_map(|computer| {
            let tenants = tenants.get(&computer).map_or(&[][..], Vec::as_slice);
            let silent = silent(&self.metering, &computer, tenants, Sequence(u64::MAX));
            let missing = self.metering.missing_reports(&computer, period).into_iter();
            let missing = missing.map(|hole| missing_reports(&computer, hole));
            let waiting = suspended.get(&computer).map(|(events, first, last)| Gap::Suspended {
                computer: computer.clone(),
                events: *events,
                first_sequence: *first,
                last_sequence: *last,
            });
            silent.into_iter().chain(missing).chain(waiting).collect::<Vec<_>>()
        });
        let rest = gaps.filter(|gap| after.is_none_or(|after| gap.place() > *after));
        Page::take(rest, limit, Gap::place)
    }
}

impl Billing {
    /// Who was allocated in a period, by computer.
    fn tenants(&self, period: Period) -> BTreeMap<&ComputerId, Tenants> {
        let mut tenants: BTreeMap<&ComputerId, Tenants> = BTreeMap::new();
        for (id, history) in self.histories.all() {
            let Some(allocation) = &history.allocation else { continue };
            if let Some(time) = allocation.within(period) {
                tenants.entry(&allocation.computer).or_default().push((id, time));
            }
        }
        tenants
    }

    /// What a run says of what is missing in its period: one warning for the silence and one for the missing reports of
    /// each computer.
    pub(crate) fn gap_warnings(&self, period: Period, as_of: Sequence, metering: &Metering) -> Vec<Warning> {
        let tenants = self.tenants(period);
        let counting = metering.counting_computers();
        let computers: BTreeSet<&ComputerId> = tenants.keys().copied().chain(counting).collect();
        let mut warnings = Vec::new();
        let (mut told, mut left_out) = (0, 0);
        for computer in computers {
            let tenants = tenants.get(computer).map_or(&[][..], Vec::as_slice);
            let silent = silence(metering, computer, tenants, as_of);
            let missing = metering.missing_reports(computer, period);
            if silent.is_empty() && missing.is_empty() {
                continue;
            }
            if told == MOST_TOLD {
                left_out += 1;
                continue;
            }
            told += 1;
            if let Some(first) = silent.first() {
                let micros: i64 = silent.iter().map(|time| time.micros()).sum();
                let hours = u64::try_from(micros).unwrap_or(0).div_ceil(HOUR);
                let (computer, times, first) = (computer.clone(), silent.len() as u64, *first);
                warnings.push(Warning::SilentComputer { computer, hours, times, first });
            }
            if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
                let events = missing.iter().fold(0_u64, |all, hole| all.saturating_add(hole.count));
                let (computer, after, before) = (computer.clone(), first.after, last.before);
                warnings.push(Warning::MissingReports { computer, events, after, before });
            }
        }
        if left_out > 0 {
            warnings.push(Warning::MoreComputers { computers: left_out });
        }
        warnings
    }

    /// The warnings of the run of a draft that are about its buyer, or about computers where they had instances in its
    /// period; of what is final none.
    pub fn warnings_of(&self, document: &Document) -> Vec<&Warning> {
        let Invoice { run, buyer, period, .. } = &document.invoice;
        let run = self.runs.get(run).filter(|_| document.issued.is_none());
        let mut computers: Option<BTreeSet<&ComputerId>> = None;
        let warnings = run.into_iter().flat_map(|run| &run.warnings);
        let about = warnings.filter(|warning| {
            if let Some(computer) = warning.computer() {
                let computers = computers.get_or_insert_with(|| {
                    let own = self.histories.of(buyer.party).into_iter();
                    let there = own.filter_map(|(_, history)| history.allocation.as_ref());
                    there
                        .filter(|there| there.within(*period).is_some())
                        .map(|there| &there.computer)
                        .collect()
                });
                return computers.contains(computer);
            }
            match (warning.payer(), warning.instance()) {
                (Some(payer), _) => payer == buyer.party,
                (_, Some(instance)) => {
                    self.histories.get(instance).is_some_and(|known| known.owner == buyer.party)
                }
                _ => true,
            }
        });
        about.collect()
    }
}

/// The times in which a computer was silent though it had tenants.
fn silence(
    metering: &Metering,
    computer: &ComputerId,
    tenants: &[(InstanceId, Period)],
    as_of: Sequence,
) -> Vec<Period> {
    let mut times: Vec<Period> = tenants.iter().map(|(_, time)| *time).collect();
    times.sort_unstable_by_key(|time| (time.start, time.stop));
    let mut together: Vec<Period> = Vec::new();
    for time in times {
        match together.last_mut() {
            Some(last) if time.start <= last.stop => last.stop = last.stop.max(time.stop),
            _ => together.push(time),
        }
    }
    let (Some(first), Some(last)) = (together.first(), together.last()) else { return Vec::new() };
    let Some(span) = Period::new(first.start, last.stop) else { return Vec::new() };
    let usage = metering.as_of(as_of);
    let mut marks = HourMarks::new(span);
    for (instance, time) in tenants {
        usage.mark_reported(&Target::Instance(*instance), *time, &mut marks);
    }
    usage.mark_reported(&Target::Computer(computer.clone()), span, &mut marks);
    together.into_iter().flat_map(|time| marks.unmarked(time)).collect()
}

fn silent(
    metering: &Metering,
    computer: &ComputerId,
    tenants: &[(InstanceId, Period)],
    as_of: Sequence,
) -> Vec<Gap> {
    let times = silence(metering, computer, tenants, as_of).into_iter();
    let silent = times.map(|time| {
        let there = tenants.iter().filter(|(_, tenant)| tenant.intersection(time).is_some());
        let instances = there.count() as u64;
        Gap::Silent { computer: computer.clone(), start: time.start, stop: time.stop, instances }
    });
    silent.collect()
}

fn missing_reports(computer: &ComputerId, hole: MissingReports) -> Gap {
    let MissingReports { after, before, count, since, until } = hole;
    Gap::MissingReports { computer: computer.clone(), after, before, count, since, until }
}

/// How many reports of each computer wait that may be about a period, the first and the last.
fn suspended(metering: &Metering, period: Period) -> BTreeMap<&ComputerId, (u64, Sequence, Sequence)> {
    let mut waiting: BTreeMap<&ComputerId, (u64, Sequence, Sequence)> = BTreeMap::new();
    for (sequence, suspense) in metering.suspense(|_| true, Sequence::ZERO, usize::MAX).items {
        if may_be_within(&suspense.usage, period) {
            let known = waiting.entry(&suspense.computer).or_insert((0, sequence, sequence));
            (known.0, known.2) = (known.0 + 1, sequence);
        }
    }
    waiting
}

/// Whether suspended usage may be about a period.
pub(crate) fn may_be_within(usage: &UsageSuspended, period: Period) -> bool {
    usage.stop.is_none_or(|stop| stop > period.start)
        && usage.start.or(usage.stop).is_none_or(|start| start < period.stop)
}
