//! Silence: the hours of a period in which nothing was metered.

use slapledger_core::domain::time::{Period, Timestamp};

use super::read::AsOf;
use super::{Interval, Target};

const HOUR: i64 = 3_600_000_000;

/// The hours of UTC that a period has time in, each marked or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourMarks {
    period: Period,
    /// Hours since 1970 at the start.
    first: i64,
    /// A bit for each hour, the lowest first.
    words: Vec<u64>,
}

impl HourMarks {
    /// Of all hours that a period has time in, none is marked.
    pub fn new(period: Period) -> Self {
        let first = period.start.micros().div_euclid(HOUR);
        let hours = (period.stop.micros() - 1).div_euclid(HOUR) - first + 1;
        let words = usize::try_from(hours).unwrap_or(0).div_ceil(64);
        Self { period, first, words: vec![0; words] }
    }

    /// Marks every hour in which there is any of a time, in microseconds, that is in the period.
    fn mark(&mut self, start: i64, stop: i64) {
        let (from, to) = self.hours(start, stop);
        for word in from / 64..to.div_ceil(64) {
            let (low, high) = (from.saturating_sub(word * 64), (to - word * 64).min(64));
            // Bits low to high, high excluded.
            self.words[word] |= (u64::MAX << low) & (u64::MAX >> (64 - high));
        }
    }

    /// The first hour of a time within the period, and the first after it.
    fn hours(&self, start: i64, stop: i64) -> (usize, usize) {
        let hour = |instant: i64| usize::try_from(instant.div_euclid(HOUR) - self.first).unwrap_or(0);
        (hour(start), hour(stop - 1) + 1)
    }

    /// The first hour from one on, before another, that is marked, or that is not.
    fn find(&self, from: usize, to: usize, marked: bool) -> Option<usize> {
        let mut low = from % 64;
        for (number, word) in self.words.iter().enumerate().skip(from / 64) {
            let wanted = if marked { *word } else { !*word };
            let wanted = wanted & (u64::MAX << low);
            if wanted != 0 {
                let found = number * 64 + wanted.trailing_zeros() as usize;
                return (found < to).then_some(found);
            }
            low = 0;
        }
        None
    }

    /// Whether no hour is marked.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The times within a period, and within that of the marks, whose hours are not marked: adjacent hours together, cut
    /// at the edges.
    pub fn unmarked(&self, within: Period) -> Vec<Period> {
        let Some(within) = self.period.intersection(within) else { return Vec::new() };
        let (from, to) = self.hours(within.start.micros(), within.stop.micros());
        let edge = |hour: usize| {
            let micros = (self.first + i64::try_from(hour).unwrap_or(i64::MAX)) * HOUR;
            Timestamp::MIN.plus_micros(micros - Timestamp::MIN.micros())
        };
        let mut silent: Vec<Period> = Vec::new();
        let mut next = from;
        // Nearly all hours are marked, or none: times are made of runs of hours, found in words of 64.
        while let Some(begin) = self.find(next, to, false) {
            next = self.find(begin, to, true).unwrap_or(to);
            silent.extend(Period::new(edge(begin).max(within.start), edge(next).min(within.stop)));
        }
        silent
    }
}

impl AsOf<'_> {
    /// Marks each hour in which any usage of a target, of whatever resource, has time within a period.
    pub fn mark_reported(&self, target: &Target, period: Period, marks: &mut HourMarks) {
        let Some(period) = period.intersection(marks.period) else { return };
        let metering = self.metering;
        let series = metering.owner(target).and_then(|owner| metering.by_owner.get(&owner));
        for index in series.into_iter().flatten() {
            self.each_of(&metering.series[*index as usize], period, |interval: &Interval| {
                if let Some((start, stop)) = interval.time_in(period) {
                    marks.mark(start, stop);
                }
            });
        }
    }
}

impl AsOf<'_> {
    /// The same of one resource.
    pub fn mark_resource(&self, target: &Target, resource: &str, period: Period, marks: &mut HourMarks) {
        let Some(period) = period.intersection(marks.period) else { return };
        let Some(index) = self.metering.series_of(target, resource) else { return };
        self.each_of(&self.metering.series[index as usize], period, |interval: &Interval| {
            if let Some((start, stop)) = interval.time_in(period) {
                marks.mark(start, stop);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slapledger_core::domain::id::Sequence;

    use super::*;
    use crate::metering::tests::{DAY, instance, one_tenant, period};
    use crate::testing::report;

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn silent_hours_are_told_together() {
        let mut story = one_tenant();
        let rows = [
            ("a", "cpu", ("2026-10-01T00:30:00Z", "2026-10-01T02:00:00Z")),
            ("b", "memory", ("2026-10-01T05:59:59Z", "2026-10-01T06:00:01Z")),
            ("c", "cpu", ("2026-10-01T23:00:00Z", "2026-10-02T01:00:00Z")),
        ];
        for (id, resource, when) in rows {
            let mut used = report(id, "slappart0", "1", when);
            used.resource = resource.into();
            story.usage("COMP-1", vec![used]);
        }
        let last = Sequence(story.events.len() as u64);
        let silent = |as_of: Sequence, whole: (&str, &str), within: (&str, &str)| {
            let mut marks = HourMarks::new(period(whole));
            for target in [instance(1), instance(2)] {
                story.view.metering.as_of(as_of).mark_reported(&target, period(DAY), &mut marks);
            }
            marks.unmarked(period(within)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            silent(last, DAY, DAY),
            ["2026-10-01T02:00:00Z/2026-10-01T05:00:00Z", "2026-10-01T07:00:00Z/2026-10-01T23:00:00Z"]
        );
        assert_eq!(silent(Sequence(last.0 - 2), DAY, DAY), ["2026-10-01T02:00:00Z/2026-10-02T00:00:00Z"]);
        let part = ("2026-10-01T04:20:00Z", "2026-10-01T07:10:00Z");
        let parts =
            ["2026-10-01T04:20:00Z/2026-10-01T05:00:00Z", "2026-10-01T07:00:00Z/2026-10-01T07:10:00Z"];
        assert_eq!(silent(last, DAY, part), parts);
        assert_eq!(silent(last, part, DAY), parts);
        assert_eq!(silent(last, part, ("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z")), [""; 0]);
        // Usage was looked for on the first of October alone.
        let next = ("2026-10-01T23:30:00Z", "2026-10-02T02:00:00Z");
        assert_eq!(silent(last, next, next), ["2026-10-02T00:00:00Z/2026-10-02T02:00:00Z"]);
    }

    #[test]
    fn all_of_time_can_be_marked() {
        let always = Period::new(Timestamp::MIN, Timestamp::MAX).expect("a period");
        let mut marks = HourMarks::new(always);
        assert_eq!(marks.unmarked(always), [always]);
        assert!(marks.is_empty());
        marks.mark(Timestamp::MIN.micros(), Timestamp::MAX.micros());
        assert_eq!(marks.unmarked(always), []);
        assert!(!marks.is_empty());
    }

    proptest! {
        #[test]
        fn every_hour_is_marked_that_has_time(
            start in -500 * MINUTE..500 * MINUTE,
            length in 1..20_000 * MINUTE,
            used in prop::collection::vec((0..20_000 * MINUTE, 1..9000 * MINUTE), 0..4),
        ) {
            let instant = |micros| Timestamp::from_micros(micros).expect("near 1970");
            let whole = Period::new(instant(start), instant(start + length)).expect("a period");
            let mut marks = HourMarks::new(whole);
            let used: Vec<Period> = used
                .iter()
                .filter_map(|(from, length)| Period::new(instant(start + from), instant(start + from + length)))
                .filter_map(|used| used.intersection(whole))
                .collect();
            for used in &used {
                marks.mark(used.start.micros(), used.stop.micros());
            }
            let mut expected: Vec<Period> = Vec::new();
            let mut at = start;
            while at < start + length {
                let hour = at.div_euclid(HOUR) * HOUR;
                let part = Period::new(instant(hour), instant(hour + HOUR)).expect("an hour");
                if used.iter().all(|used| used.intersection(part).is_none()) {
                    let part = part.intersection(whole).expect("time");
                    match expected.last_mut() {
                        Some(last) if last.stop == part.start => last.stop = part.stop,
                        _ => expected.push(part),
                    }
                }
                at = hour + HOUR;
            }
            prop_assert_eq!(marks.unmarked(whole), expected);
        }
    }
}
