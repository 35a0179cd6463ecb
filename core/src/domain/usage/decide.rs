//! The decision on each report: accepted, duplicate, suspended or conflict.

use rustc_hash::FxHashMap;

use super::attribution::Reporter;
use super::groups::{UsageGroups, group_of};
use super::places::{Added, Places};
use super::seen::{Content, Fingerprint, Seen, SeenIndex, revision};
use super::starts::LastFound;
use super::{
    DismissSuspendedUsage, RecordUsage, ResolveSuspendedUsage, Revision, Sequence, SuspendedUsageDismissed,
    SuspendedUsageResolved, Timestamp, Told, Unmeterable, Unreadable, Usage, UsageCorrected, UsageLedger,
    UsageOutcome, UsageRefusal, UsageReport, UsageSeries, UsageSuspended,
};
use crate::domain::Outcome;
use crate::domain::computer::Computers;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{ProjectId, ResourceId};
use crate::domain::instance::Instances;
use crate::domain::pricing::PriceBooks;
use crate::domain::time::Period;

/// How far a node's clock may be ahead of ours before its report is one of the future.
const CLOCK_TOLERANCE_MICROS: i64 = 5 * 60 * 1_000_000;

/// What a decision about usage looks at besides usage.
pub(crate) struct Surroundings<'a> {
    pub(crate) seen: &'a dyn SeenIndex,
    pub(crate) computers: &'a Computers,
    pub(crate) instances: &'a Instances,
    pub(crate) price_books: &'a PriceBooks,
    /// How many groups an instance may have of a resource in a month.
    pub(crate) most_groups: usize,
    pub(crate) project: ProjectId,
    pub(crate) now: Timestamp,
    /// The sequence the first event of this decision will have.
    pub(crate) next: Sequence,
}

/// What the reports of this command have added so far, before any of it is recorded.
struct Overlay<'a> {
    seen: FxHashMap<Fingerprint, Seen>,
    last_found: FxHashMap<UsageSeries, LastFound>,
    /// Suspended by this command, and what it would take the place of.
    suspended: FxHashMap<Sequence, Option<Sequence>>,
    /// What is replaced by this command, and by what.
    places: Added<'a>,
    /// Groups that were not there before.
    groups: UsageGroups,
}

impl<'a> Overlay<'a> {
    fn on(recorded: &'a dyn SeenIndex) -> Self {
        Self {
            seen: FxHashMap::default(),
            last_found: FxHashMap::default(),
            suspended: FxHashMap::default(),
            places: Added::to(recorded),
            groups: UsageGroups::default(),
        }
    }
}

impl UsageLedger {
    pub(crate) fn record(
        &self,
        around: &Surroundings<'_>,
        command: &RecordUsage,
    ) -> Result<Outcome<Vec<UsageOutcome>>, UsageRefusal> {
        let reporter = Reporter::new(&command.computer, around.computers, around.instances)?;
        let stream = Stream::Usage(command.computer.clone());
        let mut overlay = Overlay::on(around.seen);
        let mut outcomes = Vec::with_capacity(command.reports.len());
        let mut events = Vec::with_capacity(command.reports.len());
        for report in &command.reports {
            let sequence = Sequence(around.next.0 + events.len() as u64);
            let (outcome, decided) = self.decide_one(around, &reporter, &mut overlay, report, sequence);
            outcomes.push(outcome);
            events.extend(decided.into_iter().flatten().map(|event| (stream.clone(), event)));
        }
        Ok(Outcome::of(outcomes, events))
    }

    fn decide_one(
        &self,
        around: &Surroundings<'_>,
        reporter: &Reporter<'_>,
        overlay: &mut Overlay<'_>,
        report: &UsageReport,
        sequence: Sequence,
    ) -> (UsageOutcome, [Option<Event>; 2]) {
        let known = |overlay: &Overlay<'_>, print| {
            overlay.seen.get(&print).copied().or_else(|| around.seen.get(print))
        };
        let identity = around.seen.identity(around.project, reporter.id, &report.id);
        let content = around.seen.content(&Content::of_report(report));
        let before = known(overlay, identity);
        let replaces = match (before, &report.revision) {
            (Some(before), _) if before.content == content => {
                return (UsageOutcome::Duplicate(before.sequence), [None, None]);
            }
            (Some(before), Revision::Latest) => {
                if let Some(earlier) = known(overlay, revision(identity, content)) {
                    return (UsageOutcome::Duplicate(earlier.sequence), [None, None]);
                }
                Some(before.sequence)
            }
            (Some(before), _) => return (UsageOutcome::Conflict(before.sequence), [None, None]),
            (None, Revision::Replaces(other)) => {
                match known(overlay, around.seen.identity(around.project, reporter.id, other)) {
                    Some(other) => Some(other.sequence),
                    None => return (UsageOutcome::NothingToReplace, [None, None]),
                }
            }
            (None, _) => None,
        };
        // A suspended event has never been metered: what takes its place corrects what it would have corrected,
        // and nobody needs to look at it any more.
        let waiting = |sequence: &Sequence| {
            let here = overlay.suspended.get(sequence).copied();
            here.or_else(|| self.suspended.get(sequence).map(|(_, event)| event.replaces))
        };
        let replaces = replaces.and_then(|sequence| overlay.places.holder(sequence));
        let superseded = replaces.filter(|sequence| waiting(sequence).is_some());
        let replaces = replaces.and_then(|sequence| waiting(&sequence).unwrap_or(Some(sequence)));
        // What it would have replaced may have been replaced by another meanwhile.
        let replaces = replaces.and_then(|sequence| overlay.places.holder(sequence));
        let dismissal = superseded.map(|suspended| {
            let reason = "superseded by a later report".into();
            let superseded_by = Some(sequence);
            Event::SuspendedUsageDismissed(SuspendedUsageDismissed { suspended, reason, superseded_by })
        });

        if let Some(before) = before {
            overlay.seen.insert(revision(identity, before.content), before);
        }
        overlay.seen.insert(identity, Seen { sequence, content });
        let decided = match self.meter(around, reporter, overlay, (report, replaces)) {
            Ok(usage) => {
                if usage.start_found {
                    let series = reporter.series(&usage.subject, &usage.resource);
                    let known = || self.last_found(reporter, &series).cloned();
                    let found = overlay.last_found.entry(series.clone());
                    let found =
                        found.or_insert_with(|| known().unwrap_or_else(|| LastFound::new(usage.period)));
                    found.add(usage.period, sequence, replaces);
                }
                if let Some(replaced) = replaces {
                    overlay.places.pass_on(replaced, sequence);
                }
                if let Some(group) = group_of(around.price_books, &usage) {
                    overlay.groups.add_new(&usage, group, &self.groups);
                }
                let event = match replaces {
                    Some(replaces) => Event::UsageCorrected(UsageCorrected { replaces, usage }),
                    None => Event::UsageRecorded(usage),
                };
                (UsageOutcome::Accepted(sequence), [Some(event), dismissal])
            }
            Err(reason) => {
                overlay.suspended.insert(sequence, replaces);
                let event = suspend(report, replaces, reason);
                (UsageOutcome::Suspended(sequence, reason), [Some(Event::UsageSuspended(event)), dismissal])
            }
        };
        // After the event itself, as the dismissal is.
        if let Some(suspended) = superseded {
            overlay.places.pass_on(suspended, sequence);
        }
        decided
    }

    fn meter(
        &self,
        around: &Surroundings<'_>,
        reporter: &Reporter<'_>,
        overlay: &Overlay<'_>,
        (report, replaces): (&UsageReport, Option<Sequence>),
    ) -> Result<Usage, Unmeterable> {
        let quantity = report.quantity.1?;
        if quantity.billionths() < 0 {
            return Err(Unmeterable::Negative);
        }
        let resource = ResourceId::new(&report.resource).map_err(|_| Unmeterable::BadResource)?;
        let target = reporter.resolve(&report.subject)?;
        let start = report.start.as_ref().map_err(|_| Unmeterable::BadStart)?;
        let stop = report.stop.as_ref().map_err(|_| Unmeterable::BadStop)?.ok_or(Unmeterable::NoStop)?;
        if stop > around.now.plus_micros(CLOCK_TOLERANCE_MICROS) {
            return Err(Unmeterable::Future);
        }
        let start_found = start.is_none();
        let start = if let Some(start) = *start {
            start
        } else {
            let series = reporter.series(&report.subject, &resource);
            let found = overlay.last_found.get(&series).or_else(|| self.last_found(reporter, &series));
            let start = match found {
                Some(found) => found.start(stop, replaces),
                None => reporter.first_start(target, stop),
            };
            start.ok_or(Unmeterable::NoStart)?
        };
        let period = Period::new(start, stop).ok_or(Unmeterable::EmptyPeriod)?;
        let attribution = reporter.attribute(target, period)?;
        let usage = Usage {
            id: report.id.clone(),
            subject: report.subject.clone(),
            resource,
            quantity,
            period,
            start_found,
            attribution,
            dimensions: report.dimensions.clone(),
            node_sequence: report.node_sequence,
        };
        let group = group_of(around.price_books, &usage);
        let too_many = |group| self.groups.are_too_many(&usage, group, &overlay.groups, around.most_groups);
        if group.is_some_and(too_many) { Err(Unmeterable::TooManyGroups) } else { Ok(usage) }
    }

    fn last_found(&self, reporter: &Reporter<'_>, series: &UsageSeries) -> Option<&LastFound> {
        self.last_found.get(reporter.id.as_str())?.get(series)
    }

    pub(crate) fn resolve(
        &self,
        around: &Surroundings<'_>,
        command: &ResolveSuspendedUsage,
    ) -> Result<Outcome<()>, UsageRefusal> {
        let suspended = command.suspended;
        let (computer, known) =
            self.suspended.get(&suspended).ok_or(UsageRefusal::NotSuspended { suspended })?;
        let reporter = Reporter::new(computer, around.computers, around.instances)?;
        // A quantity that cannot be read is the first thing that is wrong with a report.
        let quantity = command.quantity.map(Ok);
        let quantity = quantity.unwrap_or_else(|| known.quantity.parse().map_err(|_| known.reason));
        let replaces = known.replaces.and_then(|sequence| around.seen.holder(sequence));
        // What was said and could not be read must be told anew: nothing else is taken for it.
        let (start, stop) = match command.period {
            Some(period) => (Ok(Some(period.start)), Ok(Some(period.stop))),
            None => (
                told(known.start, known.unreadable_start.as_deref()),
                told(known.stop, known.unreadable_stop.as_deref()),
            ),
        };
        let report = UsageReport {
            id: known.id.clone(),
            revision: Revision::None,
            subject: command.subject.clone().unwrap_or_else(|| known.subject.clone()),
            resource: command.resource.clone().unwrap_or_else(|| known.resource.clone()),
            quantity: (known.quantity.clone(), quantity),
            start,
            stop,
            dimensions: known.dimensions.clone(),
            node_sequence: known.node_sequence,
        };
        let usage = self
            .meter(around, &reporter, &Overlay::on(around.seen), (&report, replaces))
            .map_err(|reason| UsageRefusal::StillUnmeterable { reason })?;
        let event = SuspendedUsageResolved { suspended, replaces, usage };
        let stream = Stream::Usage(computer.clone());
        Ok(Outcome::of((), [(stream, Event::SuspendedUsageResolved(event))]))
    }

    pub(crate) fn dismiss(&self, command: &DismissSuspendedUsage) -> Result<Outcome<()>, UsageRefusal> {
        let DismissSuspendedUsage { suspended, reason } = command;
        let suspended = *suspended;
        if reason.trim().is_empty() || reason.len() > 1000 {
            return Err(UsageRefusal::BadReason);
        }
        let (computer, _) = self.suspended.get(&suspended).ok_or(UsageRefusal::NotSuspended { suspended })?;
        let reason = reason.clone();
        let event = SuspendedUsageDismissed { suspended, reason, superseded_by: None };
        let stream = Stream::Usage(computer.clone());
        Ok(Outcome::of((), [(stream, Event::SuspendedUsageDismissed(event))]))
    }
}

fn told(instant: Option<Timestamp>, unreadable: Option<&str>) -> Told {
    unreadable.map_or(Ok(instant), |text| Err(Unreadable(text.into())))
}

/// An instant as an event keeps it: read, or as it was written.
fn kept(told: &Told) -> (Option<Timestamp>, Option<Box<str>>) {
    match told {
        Ok(instant) => (*instant, None),
        Err(Unreadable(text)) => (None, Some(text.clone())),
    }
}

fn suspend(report: &UsageReport, replaces: Option<Sequence>, reason: Unmeterable) -> UsageSuspended {
    let (start, unreadable_start) = kept(&report.start);
    let (stop, unreadable_stop) = kept(&report.stop);
    UsageSuspended {
        id: report.id.clone(),
        subject: report.subject.clone(),
        resource: report.resource.clone(),
        // What could be read is kept in one spelling, so that the same content is known again.
        quantity: report
            .quantity
            .1
            .map_or_else(|_| report.quantity.0.clone(), |quantity| quantity.to_string().into()),
        start,
        stop,
        unreadable_start,
        unreadable_stop,
        dimensions: report.dimensions.clone(),
        node_sequence: report.node_sequence,
        replaces,
        reason,
    }
}
