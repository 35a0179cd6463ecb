//! Where usage begins whose sender left the start out.
//!
//! It begins where the last such report of its partition (or instance) and resource stopped that stopped before it does,
//! in whatever order they arrive; several reports with one stop cover one and the same period. A report that takes the
//! place of another begins where that one began.
//!
//! A report that comes late stops within the period of one that came before it: that one began too early, as it did not
//! know of this one, and its time would be charged twice. It is corrected to begin where the late one stops. What began
//! with the allocation stays as it is: it says nothing about an earlier report.
//!
//! Bounded: of each partition and resource the newest [`MOST`] reports are known, and the content of the newest
//! [`MOST_CONTENTS`], which is needed to correct them.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use super::{Quantity, Sequence, Timestamp, Usage, UsageId};
use crate::domain::time::Period;

/// Of how many reports it is known when they began: two months of one an hour.
const MOST: usize = 1500;
/// Of how many reports the content is known, so that they can be corrected.
const MOST_CONTENTS: usize = 100;
/// How many reports one that comes late may correct.
const MOST_CORRECTED: usize = 100;

/// A report by its stop.
type ByStop = (Timestamp, Sequence);

/// The reports without a start of one partition (or instance) and resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Starts {
    found: BTreeMap<ByStop, Timestamp>,
    contents: BTreeMap<Sequence, ReportContent>,
    /// Where the last of those stopped that are not known any more: what stops before is placed no more.
    forgotten: Option<Timestamp>,
}

/// What a correction of a report repeats.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct ReportContent {
    id: UsageId,
    subject: Box<str>,
    quantity: Quantity,
    dimensions: Vec<(Box<str>, Box<str>)>,
    node_sequence: Option<u64>,
}

/// Where a report begins, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) start: Timestamp,
    /// Those that are to begin where it stops.
    pub(super) too_early: Vec<Sequence>,
}

/// The reports of a series: those that are recorded, and what a command adds to them before that is recorded.
pub(super) struct ReportSeries<'a> {
    recorded: Option<&'a Starts>,
    added: Option<&'a Changes>,
}

/// What a command changes of a series.
#[derive(Debug, Default)]
pub(super) struct Changes {
    added: Starts,
    removed: BTreeSet<Sequence>,
}

impl Changes {
    pub(super) fn metered(&mut self, usage: &Usage, sequence: Sequence, replaces: Option<Sequence>) {
        self.removed.extend(replaces);
        self.added.metered(usage, sequence, replaces);
    }
}

impl<'a> ReportSeries<'a> {
    pub(super) fn new(recorded: Option<&'a Starts>, added: Option<&'a Changes>) -> Self {
        Self { recorded, added }
    }

    /// Where a report begins that stops then; `allocated` is where it begins if none stopped before it. `None`, if that is
    /// not known, or not known any more.
    pub(super) fn begin(
        &self,
        stop: Timestamp,
        replaces: Option<Sequence>,
        allocated: Option<Timestamp>,
    ) -> Option<Begun> {
        let earlier = replaces.and_then(|earlier| self.period_of(earlier));
        let as_earlier = earlier.map(|earlier| earlier.start).filter(|start| *start < stop);
        let last = self.before(stop, replaces);
        // Of those that are forgotten it is known where the last one stopped.
        let forgotten = self.parts().filter_map(|(starts, _)| starts.forgotten).max();
        let start = match (as_earlier, last, forgotten) {
            (Some(start), ..) | (None, Some(start), _) => start,
            (None, None, Some(forgotten)) if forgotten < stop => forgotten,
            (None, None, Some(_)) => return None,
            (None, None, None) => return allocated.map(|start| Begun { start, too_early: Vec::new() }),
        };
        // One that began with the allocation began where no report stopped.
        let too_early: Vec<Sequence> = if self.stops_at(start) || forgotten == Some(start) {
            let later = self.after(stop);
            let later = later.filter(|(sequence, began)| *began == start && Some(*sequence) != replaces);
            later.map(|(sequence, _)| sequence).take(MOST_CORRECTED + 1).collect()
        } else {
            Vec::new()
        };
        let known = too_early.iter().all(|sequence| self.content(*sequence).is_some());
        (known && too_early.len() <= MOST_CORRECTED).then_some(Begun { start, too_early })
    }

    /// A report as it was said, but that it begins at an instant; another report of the series says what is measured.
    pub(super) fn beginning_at(&self, sequence: Sequence, start: Timestamp, like: &Usage) -> Option<Usage> {
        let period = Period::new(start, self.period_of(sequence)?.stop)?;
        let ReportContent { id, subject, quantity, dimensions, node_sequence } =
            self.content(sequence)?.clone();
        Some(Usage { id, subject, quantity, period, dimensions, node_sequence, ..like.clone() })
    }

    /// Both parts, and what is not to be looked at of each.
    fn parts(&self) -> impl Iterator<Item = (&'a Starts, Option<&'a BTreeSet<Sequence>>)> {
        let removed = self.added.map(|changes| &changes.removed);
        let recorded = self.recorded.map(|recorded| (recorded, removed));
        recorded.into_iter().chain(self.added.map(|changes| (&changes.added, None)))
    }

    /// The last stop before an instant.
    fn before(&self, instant: Timestamp, but: Option<Sequence>) -> Option<Timestamp> {
        let last = self.parts().filter_map(|(starts, removed)| {
            let mut earlier = starts.found.range(..(instant, Sequence::ZERO)).rev().map(|(place, _)| place);
            earlier
                .find(|(_, sequence)| Some(*sequence) != but && !is_in(removed, *sequence))
                .map(|(stop, _)| *stop)
        });
        last.max()
    }

    /// Those that stop after an instant, and where they began.
    fn after(&self, instant: Timestamp) -> impl Iterator<Item = (Sequence, Timestamp)> {
        self.parts().flat_map(move |(starts, removed)| {
            let later = starts.found.range((instant, Sequence(u64::MAX))..);
            let later = later.map(|((_, sequence), start)| (*sequence, *start));
            later.filter(move |(sequence, _)| !is_in(removed, *sequence))
        })
    }

    fn stops_at(&self, instant: Timestamp) -> bool {
        self.parts().any(|(starts, removed)| {
            let mut there = starts.found.range((instant, Sequence::ZERO)..=(instant, Sequence(u64::MAX)));
            there.any(|((_, sequence), _)| !is_in(removed, *sequence))
        })
    }

    fn period_of(&self, sequence: Sequence) -> Option<Period> {
        let mut all = self.parts().flat_map(|(starts, _)| &starts.found);
        let ((stop, _), start) = all.find(|((_, known), _)| *known == sequence)?;
        Period::new(*start, *stop)
    }

    fn content(&self, sequence: Sequence) -> Option<&'a ReportContent> {
        self.parts().find_map(|(starts, _)| starts.contents.get(&sequence))
    }
}

fn is_in(set: Option<&BTreeSet<Sequence>>, sequence: Sequence) -> bool {
    set.is_some_and(|set| set.contains(&sequence))
}

impl Starts {
    /// A report is metered, and takes the place of another. If it says when it began, no other begins where it stopped.
    pub(super) fn metered(&mut self, usage: &Usage, sequence: Sequence, replaces: Option<Sequence>) {
        if let Some(replaced) = replaces {
            self.remove(replaced);
        }
        if usage.start_found {
            self.add(usage, sequence);
        }
    }

    /// A report is void: no other begins where it stopped.
    pub(super) fn voided(&mut self, sequence: Sequence) {
        self.remove(sequence);
    }

    fn add(&mut self, usage: &Usage, sequence: Sequence) {
        let Usage { id, subject, quantity, period, dimensions, node_sequence, .. } = usage;
        self.found.insert((period.stop, sequence), period.start);
        let content = ReportContent {
            id: id.clone(),
            subject: subject.clone(),
            quantity: *quantity,
            dimensions: dimensions.clone(),
            node_sequence: *node_sequence,
        };
        self.contents.insert(sequence, content);
        if self.contents.len() > MOST_CONTENTS {
            self.contents.pop_first();
        }
        if self.found.len() > MOST
            && let Some(((stop, _), _)) = self.found.pop_first()
        {
            self.forgotten = self.forgotten.max(Some(stop));
        }
    }

    fn remove(&mut self, sequence: Sequence) {
        let place = self.found.keys().find(|(_, known)| *known == sequence).copied();
        if let Some(place) = place {
            self.found.remove(&place);
        }
        self.contents.remove(&sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attribution, InstanceId, ResourceId};
    use super::*;

    fn instant(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000).expect("in range")
    }

    fn usage(start: i64, stop: i64) -> Usage {
        Usage {
            id: UsageId::new(&stop.to_string()).expect("an id"),
            subject: "slappart0".into(),
            resource: ResourceId::new("cpu").expect("a resource"),
            quantity: Quantity::ZERO,
            period: Period::new(instant(start), instant(stop)).expect("not empty"),
            start_found: true,
            attribution: Attribution::Instance(InstanceId(1)),
            dimensions: Vec::new(),
            node_sequence: None,
        }
    }

    /// Reports of ten seconds each, as many as are told.
    fn many(count: usize) -> Starts {
        let mut starts = Starts::default();
        for n in 0..i64::try_from(count).expect("few") {
            starts.metered(&usage(10 * n, 10 * n + 10), Sequence(u64::try_from(n).expect("few") + 1), None);
        }
        starts
    }

    fn begin(starts: &Starts, stop: i64) -> Option<Begun> {
        ReportSeries::new(Some(starts), None).begin(instant(stop), None, Some(instant(-1)))
    }

    #[test]
    fn only_the_newest_are_known() {
        let starts = many(MOST + 10);
        assert_eq!((starts.found.len(), starts.contents.len()), (MOST, MOST_CONTENTS));
        // The last one that was forgotten stopped at 100.
        assert_eq!(begin(&starts, 100), None);
        // It would begin at 100, and with it the one that stops at 110 would have to be corrected.
        assert_eq!(begin(&starts, 101), None);
        assert_eq!(begin(&starts, 110), Some(Begun { start: instant(100), too_early: Vec::new() }));
        assert_eq!(begin(&starts, 120), Some(Begun { start: instant(110), too_early: Vec::new() }));
        assert_eq!(begin(&many(MOST), 5), Some(Begun { start: instant(-1), too_early: Vec::new() }));
    }

    /// A late report whose successor can be corrected no more is not metered beside it.
    #[test]
    fn what_cannot_be_corrected_is_not_charged_twice() {
        let starts = many(MOST_CONTENTS + 5);
        assert_eq!(begin(&starts, 45), None);
        let fifth_last = 10 * i64::try_from(MOST_CONTENTS).expect("few");
        let begun = begin(&starts, fifth_last + 5).expect("its content is known");
        assert_eq!(begun.too_early, [Sequence(u64::try_from(MOST_CONTENTS).expect("few") + 1)]);
        let mut starts = many(1);
        for n in 0..=MOST_CORRECTED {
            let sequence = Sequence(u64::try_from(n).expect("few") + 2);
            starts.metered(&usage(10, 20), sequence, None);
        }
        assert_eq!(begin(&starts, 15), None);
        assert!(begin(&starts, 20).is_some());
    }
}
