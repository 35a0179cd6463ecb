//! What is missing before a run: nodes that were silent while instances were with them, reports that never came by a
//! node's own count, and usage that waits for somebody.
//!
//! A computer is silent in an hour (of UTC) in which nothing that it reported has any time, whatever the resource and
//! anybody's usage it is, while an instance was allocated on it. A resource of a started instance is silent in an hour
//! in which its computer reported something, and nothing of this resource for it: of resources that the instance ever
//! reported, and of those that a price book charges it for. A computer that was silent for more than a day when the
//! period ends is dead. Whether any of that is wrong is for the provider to say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use slapledger_core::domain::id::{ComputerId, InstanceId, PriceBookName, ResourceId, Sequence};
use slapledger_core::domain::instance::RequestedState;
use slapledger_core::domain::invoice::{Invoice, LineKind};
use slapledger_core::domain::money::{Amount, Currency};
use slapledger_core::domain::pricing::Model;
use slapledger_core::domain::time::{Period, Timestamp};
use slapledger_core::domain::usage::UsageSuspended;
use slapledger_projections::Page;
use slapledger_projections::metering::{HourMarks, Metering, MissingReports, Target};
use slapledger_projections::stop;

use crate::parallel::in_parallel;
use crate::rating::{Prices, RatingBasis, RatingSubject};
use crate::view::{Billing, BillingView, Document};
use crate::warning::Warning;

/// Of so many computers a run tells what is missing; the others are counted.
const MOST_TOLD: usize = 100;
/// The most resources that a warning names.
const MOST_RESOURCES: usize = 10;
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
    /// Nothing was reported of a resource of an instance for a time in which its computer reported other things.
    SilentResource {
        /// By which computer.
        computer: ComputerId,
        /// Of which instance.
        instance: InstanceId,
        /// Which resource.
        resource: ResourceId,
        /// How many hours, begun ones too.
        hours: u64,
        /// In how many times.
        times: u64,
        /// The start of the first.
        start: Timestamp,
        /// The end of the first.
        stop: Timestamp,
    },
    /// A computer with instances was silent for more than a day when the period ended.
    DeadComputer {
        /// Which.
        computer: ComputerId,
        /// Since when.
        start: Timestamp,
        /// The end of the period.
        stop: Timestamp,
        /// How many instances had any time then.
        instances: u64,
        /// The fees that are charged for them for that time all the same.
        charges: Vec<StillCharged>,
    },
}

/// Fees in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StillCharged {
    /// In which currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
}

/// The place of a gap in the list of all: its computer, which kind it is, and what orders those.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GapPlace {
    /// Of which computer.
    pub computer: ComputerId,
    /// 0 for silence, 1 for missing reports, 2 for what is suspended, 3 for silent resources, 4 for dead computers.
    pub kind: u8,
    /// The microsecond it starts, the number before it, which resource of which instance, or 0.
    pub at: i128,
}

impl Gap {
    /// Its place in the list.
    pub fn place(&self) -> GapPlace {
        let (computer, kind, at) = match self {
            Self::Silent { computer, start, .. } => (computer, 0, i128::from(start.micros())),
            Self::MissingReports { computer, after, .. } => (computer, 1, i128::from(*after)),
            Self::Suspended { computer, .. } => (computer, 2, 0),
            Self::SilentResource { computer, instance, .. } => (computer, 3, place_of(*instance, 0)),
            Self::DeadComputer { computer, .. } => (computer, 4, 0),
        };
        GapPlace { computer: computer.clone(), kind, at }
    }
}

/// The place of a resource of an instance, by its number among those of the instance.
fn place_of(instance: InstanceId, number: usize) -> i128 {
    (i128::from(instance.0) << 32) + i128::try_from(number).unwrap_or(i128::MAX >> 64)
}

/// Whether it is told what dead computers are charged for: it takes as long as to rate their instances.
#[derive(Clone, Copy)]
enum DeadCharges {
    Told,
    Left,
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
        let tenants = self.billing.tenants(period);
        let all = self.reporting(&tenants, period).into_iter();
        let all = all.filter(|known| wanted(known) && after.is_none_or(|after| after.computer <= *known));
        let rest = self
            .gaps_of(all, tenants, (period, DeadCharges::Told))
            .filter(|(place, _)| after.is_none_or(|after| place > after));
        Page::take(rest, limit, |(place, _)| place.clone()).map(|(_, gap)| gap)
    }

    /// What is missing in a period of computers with at most so many instances together, but at least of one computer;
    /// and how many computers are left out. Of dead computers their silence is told, and no charges.
    pub fn first_gaps(
        &self,
        period: Period,
        wanted: impl Fn(&ComputerId) -> bool,
        most_instances: usize,
    ) -> (Vec<Gap>, u64) {
        let tenants = self.billing.tenants(period);
        let mut all = self.reporting(&tenants, period);
        all.retain(|computer| wanted(computer));
        let mut instances = 0;
        let fits = |computer: &&ComputerId| {
            let is_first = instances == 0;
            instances += tenants.get(*computer).map_or(0, Vec::len);
            is_first || instances <= most_instances
        };
        let looked_at = all.iter().take_while(fits).count();
        let left_out = all.len() - looked_at;
        let looked_at = all.into_iter().take(looked_at);
        let gaps =
            self.gaps_of(looked_at, tenants, (period, DeadCharges::Left)).map(|(_, gap)| gap).collect();
        (gaps, left_out as u64)
    }

    /// The computers that had instances in a period, count their reports, or have reports that wait.
    fn reporting(&self, tenants: &BTreeMap<&ComputerId, Tenants>, period: Period) -> BTreeSet<ComputerId> {
        let waiting = suspended(&self.metering, period);
        let known = tenants.keys().chain(waiting.keys()).map(|computer| (*computer).clone());
        known.chain(self.metering.counting_computers().cloned()).collect()
    }

    /// What is missing of some computers, each with its place.
    fn gaps_of<'a>(
        &'a self,
        computers: impl Iterator<Item = ComputerId> + 'a,
        tenants: BTreeMap<&'a ComputerId, Tenants>,
        (period, charges): (Period, DeadCharges),
    ) -> impl Iterator<Item = (GapPlace, Gap)> + 'a {
        let suspended = suspended(&self.metering, period);
        computers.flat_map(move |computer| {
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
            let dead = match charges {
                DeadCharges::Told => self.dead(&computer, tenants, (silent.last(), period)),
                DeadCharges::Left => None,
            };
            let resources = self.silent_resource_gaps(&computer, tenants, &silent);
            let resources = resources.into_iter().map(|(at, gap)| (GapPlace { at, ..gap.place() }, gap));
            let others = silent.into_iter().chain(missing).chain(waiting).map(|gap| (gap.place(), gap));
            let dead = dead.into_iter().map(|gap| (gap.place(), gap));
            others.chain(resources).chain(dead).collect::<Vec<_>>()
        })
    }

    /// Resources of instances that were silent while their computer was not, each with its place.
    fn silent_resource_gaps(
        &self,
        computer: &ComputerId,
        tenants: &[(InstanceId, Period)],
        silent: &[Gap],
    ) -> Vec<(i128, Gap)> {
        let silent: Vec<Period> = silent.iter().filter_map(Gap::time).collect();
        let found = self.billing.silent_resources(
            &self.metering,
            tenants,
            (&silent, Sequence(u64::MAX)),
            Expected::Ever,
        );
        let gaps = found.into_iter().filter_map(|resource| {
            let SilentResource { instance, number, resource, times } = resource;
            let first = times.first()?;
            let gap = Gap::SilentResource {
                computer: computer.clone(),
                instance,
                resource,
                hours: hours_of(&times),
                times: times.len() as u64,
                start: first.start,
                stop: first.stop,
            };
            Some((place_of(instance, number), gap))
        });
        gaps.collect()
    }

    /// A computer that is silent for more than a day when a period ends, and what is charged for it all the same.
    fn dead(
        &self,
        computer: &ComputerId,
        tenants: &[(InstanceId, Period)],
        (last, period): (Option<&Gap>, Period),
    ) -> Option<Gap> {
        let time = last.and_then(Gap::time).filter(|time| time.stop == period.stop)?;
        if u64::try_from(time.micros()).unwrap_or(0) <= 24 * HOUR {
            return None;
        }
        let there: Vec<InstanceId> = tenants
            .iter()
            .filter(|(_, tenant)| tenant.intersection(time).is_some())
            .map(|(instance, _)| *instance)
            .collect();
        let mut charges: BTreeMap<Currency, Amount> = BTreeMap::new();
        for instance in &there {
            for (currency, amount) in self.fees(*instance, time) {
                let sum = charges.entry(currency).or_insert_with(|| Amount::zero(currency));
                *sum = sum.checked_add(amount).unwrap_or(*sum);
            }
        }
        let charges = charges.into_iter().map(|(currency, amount)| StillCharged { currency, amount });
        Some(Gap::DeadComputer {
            computer: computer.clone(),
            start: time.start,
            stop: time.stop,
            instances: there.len() as u64,
            charges: charges.collect(),
        })
    }

    /// The fees of an instance for a time, by every price book.
    fn fees(&self, instance: InstanceId, time: Period) -> Vec<(Currency, Amount)> {
        let billing = &self.billing;
        let known = billing.histories.get(instance);
        let known = known.and_then(|history| Some((history, billing.calendar_of(history.owner)?)));
        let Some((history, calendar)) = known else { return Vec::new() };
        let of_book = |name| {
            let versions = billing.books.versions(PriceBookName::as_str(name));
            let currency = versions.first()?.currency;
            let overrides = billing.overrides_for(name, history.owner, Sequence(u64::MAX));
            let prices = Prices::with(name, versions, &overrides);
            let Billing { regions, taxes, .. } = billing;
            let subject = RatingSubject {
                basis: RatingBasis { regions, metering: &self.metering, taxes },
                prices: &prices,
                seller: history.owner,
                payer: history.owner,
                calendar,
                period: time,
                as_of: Sequence(u64::MAX),
                taxes_as_of: Sequence(u64::MAX),
                taxes_charged: None,
                discounted: None,
                redeemed: None,
            };
            let own = subject.fees_alone(&[(instance, history)]);
            let fees = own.lines.iter().filter(|rated| {
                // A fee of the customer is not of the instance.
                rated.line.kind == LineKind::Recurring && rated.is_of(instance)
            });
            let fees = fees.chain(own.in_advance.values().flatten()).map(|rated| rated.line.amount);
            Some((currency, Amount::sum(currency, fees)?))
        };
        billing.books.names().filter_map(of_book).filter(|(_, amount)| amount.minor() != 0).collect()
    }
}

impl Gap {
    /// The time of a computer's silence.
    fn time(&self) -> Option<Period> {
        match self {
            Self::Silent { start, stop, .. } => Period::new(*start, *stop),
            _ => None,
        }
    }
}

/// Which resources of an instance are expected to be reported, besides those that it is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Those that were ever reported of it.
    Ever,
    /// Those that were reported of it in the same time.
    Meanwhile,
}

/// A resource of an instance that was silent while its computer was not.
struct SilentResource {
    instance: InstanceId,
    /// Which of the resources of the instance.
    number: usize,
    resource: ResourceId,
    /// When, as far as it is known.
    times: Vec<Period>,
}

/// Hours, begun ones too.
fn hours_of(times: &[Period]) -> u64 {
    times.iter().map(|time| u64::try_from(time.micros()).unwrap_or(0).div_ceil(HOUR)).sum()
}

impl Billing {
    /// Resources of instances on a computer that were silent while the computer, but for its own silence, was not.
    fn silent_resources(
        &self,
        metering: &Metering,
        tenants: &[(InstanceId, Period)],
        (silent, as_of): (&[Period], Sequence),
        expected: Expected,
    ) -> Vec<SilentResource> {
        let usage = metering.as_of(as_of);
        let mut found = Vec::new();
        for (instance, time) in tenants {
            let Some(history) = self.histories.get(*instance) else { continue };
            let started = history.within(*time).filter(|(_, was)| was.state == RequestedState::Started);
            let started: Vec<Period> = started.map(|(part, _)| part).collect();
            let target = Target::Instance(*instance);
            let charged = self.charged_resources(*instance, *time);
            let mut all = charged.clone();
            all.extend(metering.series(&target).into_iter().cloned());
            // A level that carries over is reported when it changes.
            all.retain(|resource| !self.books.carries_over(Some(resource)));
            for (number, resource) in all.into_iter().enumerate() {
                let mut marks = HourMarks::new(*time);
                usage.mark_resource(&target, resource.as_str(), *time, &mut marks);
                let is_unknown = || marks.is_empty() && !charged.contains(&resource);
                if expected == Expected::Meanwhile && is_unknown() {
                    continue;
                }
                let times = started.iter().flat_map(|part| marks.unmarked(*part));
                let times: Vec<Period> =
                    times.flat_map(|time| time.without(silent.iter().copied())).collect();
                if !times.is_empty() {
                    found.push(SilentResource { instance: *instance, number, resource, times });
                }
            }
        }
        found
    }

    /// The resources for whose usage some price book has a rate for an instance in a time.
    fn charged_resources(&self, instance: InstanceId, time: Period) -> BTreeSet<ResourceId> {
        let mut found = BTreeSet::new();
        let Some(history) = self.histories.get(instance) else { return found };
        let Some(allocation) = &history.allocation else { return found };
        for name in self.books.names() {
            let overrides = self.overrides_for(name, history.owner, Sequence(u64::MAX));
            let prices = Prices::with(name, self.books.versions(name.as_str()), &overrides);
            for (part, version) in prices.within(time) {
                let Some(version) = version else { continue };
                for (part, was) in history.within(part) {
                    for (_, region) in self.regions.within(&allocation.computer, part) {
                        let matched = was.matched((&allocation.computer, region), history.owner, &[]);
                        found.extend(version.rates().filter_map(|by| match &by.rate.model {
                            Model::Usage { resource, .. } if by.rate.matching.covers_any_group(matched) => {
                                Some(resource.clone())
                            }
                            _ => None,
                        }));
                    }
                }
            }
        }
        found
    }

    /// Who was allocated in a period, by computer.
    fn tenants(&self, period: Period) -> BTreeMap<&ComputerId, Tenants> {
        // There are many more instances than computers: these are put in order at the end.
        let mut tenants: HashMap<&ComputerId, Tenants> = HashMap::new();
        for (id, history) in self.histories.all() {
            let Some(allocation) = &history.allocation else { continue };
            if let Some(time) = allocation.within(period) {
                tenants.entry(&allocation.computer).or_default().push((id, time));
            }
        }
        tenants.into_iter().collect()
    }

    /// What a run says of what is missing in its period: one warning for the silence, one for the missing reports and one
    /// for the silent resources of each computer.
    pub(crate) fn gap_warnings(&self, period: Period, as_of: Sequence, metering: &Metering) -> Vec<Warning> {
        let tenants = self.tenants(period);
        let counting = metering.counting_computers();
        let computers: BTreeSet<&ComputerId> = tenants.keys().copied().chain(counting).collect();
        let computers: Vec<&ComputerId> = computers.into_iter().collect();
        let missing = |computer: &ComputerId| {
            let tenants = tenants.get(computer).map_or(&[][..], Vec::as_slice);
            self.missing_of(computer, tenants, (period, as_of), metering)
        };
        let found = in_parallel(&computers, |computers| {
            let mut found =
                computers.iter().map(|computer| missing(computer)).filter(|found| !found.is_empty());
            let told: Vec<Vec<Warning>> = found.by_ref().take(MOST_TOLD).collect();
            (told, found.count() as u64)
        });
        let left_out: u64 = found.iter().map(|(_, left_out)| left_out).sum();
        let mut told = found.into_iter().flat_map(|(told, _)| told);
        let mut warnings: Vec<Warning> = told.by_ref().take(MOST_TOLD).flatten().collect();
        let left_out = left_out + told.count() as u64;
        if left_out > 0 {
            warnings.push(Warning::MoreComputers { computers: left_out });
        }
        warnings
    }

    /// What a run says of what is missing of a computer.
    fn missing_of(
        &self,
        computer: &ComputerId,
        tenants: &[(InstanceId, Period)],
        (period, as_of): (Period, Sequence),
        metering: &Metering,
    ) -> Vec<Warning> {
        stop::check();
        let mut warnings = Vec::new();
        let silent = silence(metering, computer, tenants, as_of);
        let missing = metering.missing_reports(computer, period);
        let resources = self.silent_resources(metering, tenants, (&silent, as_of), Expected::Meanwhile);
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
        warnings.extend(of_resources(computer, &resources));
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

/// What a run says of the resources that a computer did not report.
fn of_resources(computer: &ComputerId, silent: &[SilentResource]) -> Option<Warning> {
    let times = silent.iter().flat_map(|resource| resource.times.iter().copied());
    let first = times.min_by_key(|time| (time.start, time.stop))?;
    let instances: BTreeSet<InstanceId> = silent.iter().map(|resource| resource.instance).collect();
    let resources: BTreeSet<&ResourceId> = silent.iter().map(|resource| &resource.resource).collect();
    // Resources are missing together, as a rule: the one that is missing for longest says how long.
    let hours = silent.iter().map(|resource| hours_of(&resource.times)).max().unwrap_or_default();
    Some(Warning::SilentResources {
        computer: computer.clone(),
        instances: instances.len() as u64,
        resources: resources.into_iter().take(MOST_RESOURCES).cloned().collect(),
        hours,
        first,
    })
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
