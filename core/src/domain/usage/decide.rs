//! The decision on each report: accepted, duplicate, suspended or conflict.

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::attribution::Reporter;
use super::groups::{GroupDigest, UsageGroups, group_of};
use super::places::{Added, Places};
use super::seen::{Fingerprint, KnownUsage, SeenIndex, UsageContent, UsagePrint, revision};
use super::starts::{Begun, Changes, ReportSeries};
use super::void::is_reason;
use super::{
    Attribution, DismissSuspendedUsage, NoInstant, RecordUsage, ReportedInstant, ResolveSuspendedUsage,
    Revision, Sequence, SuspendedUsageDismissed, SuspendedUsageResolved, Timestamp, Unmeterable,
    UnreadableInstant, Usage, UsageCorrected, UsageLedger, UsageLimits, UsageOutcome, UsageRefusal,
    UsageReport, UsageSeries, UsageSuspended,
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
pub(crate) struct UsageSurroundings<'a> {
    pub(crate) seen: &'a dyn SeenIndex,
    pub(crate) computers: &'a Computers,
    pub(crate) instances: &'a Instances,
    pub(crate) price_books: &'a PriceBooks,
    pub(crate) limits: UsageLimits,
    pub(crate) project: ProjectId,
    pub(crate) now: Timestamp,
    /// The sequence the first event of this decision will have.
    pub(crate) next: Sequence,
}

/// What the reports of this command have added so far, before any of it is recorded.
pub(super) struct Overlay<'a> {
    seen: FxHashMap<Fingerprint, KnownUsage>,
    starts: FxHashMap<UsageSeries, Changes>,
    /// Suspended by this command, and what it would take the place of.
    suspended: FxHashMap<Sequence, Option<Sequence>>,
    /// How many more are suspended than before.
    more_suspended: i64,
    /// What is replaced by this command, and by what.
    pub(super) places: Added<'a>,
    /// Groups that were not there before.
    pub(super) groups: UsageGroups,
}

/// The events of a command about usage, all of one stream.
struct UsageEvents {
    stream: Stream,
    /// The sequence of the first.
    first: Sequence,
    events: Vec<(Stream, Event)>,
    prints: Vec<UsagePrint>,
}

impl UsageEvents {
    /// The sequence the next event will have.
    fn next(&self) -> Sequence {
        Sequence(self.first.0 + self.events.len() as u64)
    }

    fn push(&mut self, event: Event) {
        self.events.push((self.stream.clone(), event));
    }
}

/// A report that can be metered, and corrections of those that were taken to begin before it stops.
pub(super) struct Meterable {
    pub(super) usage: Usage,
    /// The group it is in, if a price book groups it.
    pub(super) group: Option<GroupDigest>,
    pub(super) too_early: Vec<UsageCorrected>,
}

impl<'a> Overlay<'a> {
    /// On what is recorded, with room for so many reports.
    pub(super) fn on(recorded: &'a dyn SeenIndex, reports: usize) -> Self {
        Self {
            seen: FxHashMap::with_capacity_and_hasher(reports, FxBuildHasher),
            starts: FxHashMap::default(),
            suspended: FxHashMap::default(),
            more_suspended: 0,
            places: Added::to(recorded),
            groups: UsageGroups::default(),
        }
    }

    pub(super) fn metered(
        &mut self,
        reporter: &Reporter<'_>,
        usage: &Usage,
        sequence: Sequence,
        replaces: Option<Sequence>,
    ) {
        if usage.start_found || replaces.is_some() {
            let series = reporter.series(&usage.subject, &usage.resource);
            self.starts.entry(series).or_default().metered(usage, sequence, replaces);
        }
    }

    pub(super) fn corrected(
        &mut self,
        around: &UsageSurroundings<'_>,
        reporter: &Reporter<'_>,
        correction: &UsageCorrected,
        sequence: Sequence,
    ) {
        let usage = &correction.usage;
        self.metered(reporter, usage, sequence, Some(correction.replaces));
        let identity = around.seen.identity(around.project, reporter.id, &usage.id);
        let content = around.seen.content(&UsageContent::of_usage(usage));
        self.seen.insert(identity, KnownUsage { sequence, content });
    }
}

impl UsageLedger {
    pub(crate) fn record(
        &self,
        around: &UsageSurroundings<'_>,
        command: &RecordUsage,
    ) -> Result<Outcome<Vec<UsageOutcome>>, UsageRefusal> {
        let reporter = Reporter::new(&command.computer, around.computers, around.instances)?;
        let mut overlay = Overlay::on(around.seen, command.reports.len());
        let mut events = UsageEvents {
            stream: Stream::Usage(command.computer.clone()),
            first: around.next,
            events: Vec::with_capacity(command.reports.len()),
            prints: Vec::with_capacity(command.reports.len()),
        };
        let decide = |report| self.decide_one(around, &reporter, &mut overlay, report, &mut events);
        let outcomes = command.reports.iter().map(decide).collect();
        Ok(Outcome { answer: outcomes, events: events.events, prints: events.prints })
    }

    /// The events of an accepted report are its own, the dismissal of what was suspended in its place, and the corrections
    /// of reports that began too early, in this order.
    fn decide_one(
        &self,
        around: &UsageSurroundings<'_>,
        reporter: &Reporter<'_>,
        overlay: &mut Overlay<'_>,
        report: &UsageReport,
        events: &mut UsageEvents,
    ) -> UsageOutcome {
        let sequence = events.next();
        let known = |overlay: &Overlay<'_>, print| {
            overlay.seen.get(&print).copied().or_else(|| around.seen.get(print))
        };
        let identity = around.seen.identity(around.project, reporter.id, &report.id);
        let content = around.seen.content(&UsageContent::of_report(report));
        let before = known(overlay, identity);
        let replaces = match (before, &report.revision) {
            (Some(before), _) if before.content == content => {
                return UsageOutcome::Duplicate(before.sequence);
            }
            (Some(before), Revision::Latest) => {
                if let Some(earlier) = known(overlay, revision(identity, content)) {
                    return UsageOutcome::Duplicate(earlier.sequence);
                }
                Some(before.sequence)
            }
            (Some(before), _) => return UsageOutcome::Conflict(before.sequence),
            (None, Revision::Replaces(other)) => {
                match known(overlay, around.seen.identity(around.project, reporter.id, other)) {
                    Some(other) => Some(other.sequence),
                    None => return UsageOutcome::NothingToReplace,
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

        let metered = self.meter(around, reporter, overlay, (report, replaces), false);
        if metered.is_err() && superseded.is_none() {
            let owner = around.computers.known(reporter.id).ok().map(|computer| computer.owner);
            let (of, added) = ((reporter.id, owner), overlay.more_suspended);
            if let Some(quota) = self.suspended_counts.used_up(around.limits, of, added) {
                return UsageOutcome::OverQuota(quota);
            }
        }
        overlay.more_suspended += i64::from(metered.is_err()) - i64::from(superseded.is_some());
        if let Some(before) = before {
            overlay.seen.insert(revision(identity, before.content), before);
        }
        overlay.seen.insert(identity, KnownUsage { sequence, content });
        events.prints.push(UsagePrint { sequence, identity, content });
        let outcome = match metered {
            Ok(Meterable { usage, group, too_early }) => {
                overlay.metered(reporter, &usage, sequence, replaces);
                if let Some(replaced) = replaces {
                    overlay.places.pass_on(replaced, sequence);
                }
                if let Some(group) = group {
                    overlay.groups.add_new(&usage, group, &self.groups);
                }
                events.push(match replaces {
                    Some(replaces) => Event::UsageCorrected(UsageCorrected { replaces, usage }),
                    None => Event::UsageRecorded(usage),
                });
                if let Some(dismissal) = dismissal {
                    events.push(dismissal);
                }
                for correction in too_early {
                    let corrected = events.next();
                    overlay.corrected(around, reporter, &correction, corrected);
                    overlay.places.pass_on(correction.replaces, corrected);
                    events.push(Event::UsageCorrected(correction));
                }
                UsageOutcome::Accepted(sequence)
            }
            Err(reason) => {
                overlay.suspended.insert(sequence, replaces);
                events.push(Event::UsageSuspended(suspend(report, replaces, reason)));
                if let Some(dismissal) = dismissal {
                    events.push(dismissal);
                }
                UsageOutcome::Suspended(sequence, reason)
            }
        };
        // After the event itself, as the dismissal is.
        if let Some(suspended) = superseded {
            overlay.places.pass_on(suspended, sequence);
        }
        outcome
    }

    pub(super) fn meter(
        &self,
        around: &UsageSurroundings<'_>,
        reporter: &Reporter<'_>,
        overlay: &Overlay<'_>,
        (report, replaces): (&UsageReport, Option<Sequence>),
        is_reviewed: bool,
    ) -> Result<Meterable, Unmeterable> {
        let quantity = report.quantity.1?;
        if quantity.billionths() < 0 {
            return Err(Unmeterable::Negative);
        }
        let resource = ResourceId::of_shared(&report.resource).map_err(|_| Unmeterable::BadResource)?;
        let target = reporter.resolve(&report.subject)?;
        let start = report.start.as_ref().map_err(UnreadableInstant::start)?;
        let stop = report.stop.as_ref().map_err(UnreadableInstant::stop)?;
        let stop = stop.ok_or(Unmeterable::NoStop)?;
        if stop > around.now.plus_micros(CLOCK_TOLERANCE_MICROS) {
            return Err(Unmeterable::Future);
        }
        let start_found = start.is_none();
        let series = start_found.then(|| reporter.series(&report.subject, &resource));
        let series = series.map(|series| {
            let recorded = self.starts.get(reporter.id.as_str()).and_then(|starts| starts.get(&series));
            ReportSeries::new(recorded, overlay.starts.get(&series))
        });
        let begun = match (*start, &series) {
            (Some(start), _) => Some(Begun { start, too_early: Vec::new() }),
            (None, Some(series)) => series.begin(stop, replaces, reporter.first_start(target, stop)),
            (None, None) => None,
        };
        let Begun { start, too_early } = begun.ok_or(Unmeterable::NoStart)?;
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
        let too_many =
            |group| self.groups.are_too_many(&usage, group, &overlay.groups, around.limits.most_groups);
        if group.is_some_and(too_many) {
            return Err(Unmeterable::TooManyGroups);
        }
        // Who resolves suspended usage has looked at it.
        if !is_reviewed {
            check_plausible(around.price_books, &usage)?;
        }
        if too_early.is_empty() {
            return Ok(Meterable { usage, group, too_early: Vec::new() });
        }
        // Those whose place another has taken meanwhile are not metered any more.
        let too_early = too_early.into_iter().filter(|other| overlay.places.holder(*other) == Some(*other));
        let corrections = too_early.map(|replaces| {
            let other = series.as_ref().and_then(|series| series.beginning_at(replaces, stop, &usage));
            let other = other.ok_or(Unmeterable::NoStart)?;
            let attribution = reporter.attribute(target, other.period)?;
            Ok(UsageCorrected { replaces, usage: Usage { attribution, ..other } })
        });
        let too_early = corrections.collect::<Result<Vec<_>, Unmeterable>>()?;
        Ok(Meterable { usage, group, too_early })
    }

    pub(crate) fn resolve(
        &self,
        around: &UsageSurroundings<'_>,
        command: &ResolveSuspendedUsage,
    ) -> Result<Outcome<()>, UsageRefusal> {
        let suspended = command.suspended;
        let (computer, known) =
            self.suspended.get(&suspended).ok_or(UsageRefusal::NotSuspended { suspended })?;
        let reporter = Reporter::new(computer, around.computers, around.instances)?;
        let as_reported = report_of(known, Revision::None);
        let quantity = command.quantity.map_or(as_reported.quantity.1, Ok);
        let replaces = known.replaces.and_then(|sequence| around.seen.holder(sequence));
        // What was said and could not be read must be told anew: nothing else is taken for it.
        let (start, stop) = match command.period {
            Some(period) => (Ok(Some(period.start)), Ok(Some(period.stop))),
            None => (as_reported.start.clone(), as_reported.stop.clone()),
        };
        let report = UsageReport {
            subject: command.subject.clone().unwrap_or_else(|| known.subject.clone()),
            resource: command.resource.as_ref().unwrap_or(&known.resource).as_ref().into(),
            quantity: (known.quantity.clone(), quantity),
            start,
            stop,
            ..as_reported
        };
        let Meterable { usage, too_early, .. } = self
            .meter(around, &reporter, &Overlay::on(around.seen, 0), (&report, replaces), true)
            .map_err(|reason| UsageRefusal::StillUnmeterable { reason })?;
        let event = SuspendedUsageResolved { suspended, replaces, usage };
        let stream = Stream::Usage(computer.clone());
        let events = [Event::SuspendedUsageResolved(event)].into_iter();
        let events = events.chain(too_early.into_iter().map(Event::UsageCorrected));
        Ok(Outcome::of((), events.map(|event| (stream.clone(), event))))
    }

    pub(crate) fn dismiss(&self, command: &DismissSuspendedUsage) -> Result<Outcome<()>, UsageRefusal> {
        let DismissSuspendedUsage { suspended, reason } = command;
        let suspended = *suspended;
        if !is_reason(reason) {
            return Err(UsageRefusal::BadReason);
        }
        let (computer, _) = self.suspended.get(&suspended).ok_or(UsageRefusal::NotSuspended { suspended })?;
        let reason = reason.clone();
        let event = SuspendedUsageDismissed { suspended, reason, superseded_by: None };
        let stream = Stream::Usage(computer.clone());
        Ok(Outcome::of((), [(stream, Event::SuspendedUsageDismissed(event))]))
    }
}

/// Whether usage that somebody is charged for can be.
fn check_plausible(books: &PriceBooks, usage: &Usage) -> Result<(), Unmeterable> {
    let whose = match &usage.attribution {
        Attribution::Computer => None,
        Attribution::Instance(instance) => Some((*instance, *instance)),
        Attribution::Shares(shares) => {
            shares.first().zip(shares.last()).map(|(first, last)| (first.instance, last.instance))
        }
    };
    match whose {
        Some((first, last)) if books.find_implausible(&usage.resource, usage.quantity, usage.period) => {
            Err(Unmeterable::Implausible { first, last })
        }
        _ => Ok(()),
    }
}

fn told(instant: Option<Timestamp>, unreadable: Option<&str>, reason: Unmeterable) -> ReportedInstant {
    let why = match reason {
        Unmeterable::AmbiguousStart | Unmeterable::AmbiguousStop => NoInstant::Ambiguous,
        Unmeterable::SkippedStart | Unmeterable::SkippedStop => NoInstant::Skipped,
        _ => NoInstant::Malformed,
    };
    unreadable.map_or(Ok(instant), |text| Err(UnreadableInstant { text: text.into(), why }))
}

/// The report that was suspended, as it was sent.
pub(super) fn report_of(known: &UsageSuspended, revision: Revision) -> UsageReport {
    // A quantity that cannot be read is the first thing that is wrong with a report.
    let quantity = known.quantity.parse().map_err(|_| known.reason);
    UsageReport {
        id: known.id.clone(),
        revision,
        subject: known.subject.clone(),
        resource: known.resource.as_ref().into(),
        quantity: (known.quantity.clone(), quantity),
        start: told(known.start, known.unreadable_start.as_deref(), known.reason),
        stop: told(known.stop, known.unreadable_stop.as_deref(), known.reason),
        dimensions: known.dimensions.clone(),
        node_sequence: known.node_sequence,
    }
}

/// An instant as an event keeps it: read, or as it was written.
fn kept(told: &ReportedInstant) -> (Option<Timestamp>, Option<Box<str>>) {
    match told {
        Ok(instant) => (*instant, None),
        Err(UnreadableInstant { text, .. }) => (None, Some(text.clone())),
    }
}

pub(super) fn suspend(
    report: &UsageReport,
    replaces: Option<Sequence>,
    reason: Unmeterable,
) -> UsageSuspended {
    let (start, unreadable_start) = kept(&report.start);
    let (stop, unreadable_stop) = kept(&report.stop);
    UsageSuspended {
        id: report.id.clone(),
        subject: report.subject.clone(),
        resource: report.resource.as_ref().into(),
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
