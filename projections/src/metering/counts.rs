//! The nodes' own counts of their usage events: which numbers were seen, and so which never came.
//!
//! Suspended usage was seen too. What was refused as a conflict, or was a duplicate, is not in the log: a node that gives
//! its numbers to what it sends, not to what it sends anew, has holes where it repeated itself.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use bincode::{Decode, Encode};
use rustc_hash::FxHashMap;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::{Period, Timestamp};

use super::{Metering, NameTable};
use crate::copy_on_write::CopyOnWrite;
use crate::view::{get, put};

/// Numbers that a computer's own count has passed over: usage events that it made, it seems, and that never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingReports {
    /// The last number seen before the hole.
    pub after: u64,
    /// The first number seen after it.
    pub before: u64,
    /// How many are missing.
    pub count: u64,
    /// When usage stopped in the events with those two numbers, the earlier one: missing usage, it seems, stopped in
    /// between.
    pub since: Timestamp,
    /// The later one; it may be the same instant.
    pub until: Timestamp,
}

impl MissingReports {
    /// Whether what is missing may have stopped after the start of a period, and not only after its stop. Between two
    /// instants that are the same it stopped there; otherwise between them.
    fn touches(&self, period: Period) -> bool {
        let before_end =
            if self.since == self.until { self.since <= period.stop } else { self.since < period.stop };
        period.start < self.until && before_end
    }
}

impl Metering {
    /// The computers that count their usage events, in no order.
    pub fn counting_computers(&self) -> impl Iterator<Item = &ComputerId> {
        self.counts.by_computer.keys().map(|computer| self.computers.name(*computer))
    }

    /// The holes in a computer's own count of its usage events that touch a period, in order of their numbers; as of
    /// the last event. Numbers before the first one seen, and those that came twice, are no holes.
    pub fn missing_reports(&self, computer: &ComputerId, period: Period) -> Vec<MissingReports> {
        let seen = self.computers.id(computer.as_str()).and_then(|id| self.counts.by_computer.get(&id));
        let ranges = || seen.into_iter().flat_map(|seen| &seen.ranges);
        let holes = ranges().zip(ranges().skip(1)).map(|((_, one), (before, next))| MissingReports {
            after: one.last,
            before: *before,
            count: before - one.last - 1,
            since: one.last_stop.min(next.first_stop),
            until: one.last_stop.max(next.first_stop),
        });
        holes.filter(|hole| hole.touches(period)).collect()
    }
}

/// What was seen of each computer.
#[derive(Debug, Clone, Default)]
pub(super) struct ReportCounts {
    by_computer: CopyOnWrite<FxHashMap<u32, CopyOnWrite<SeenNumbers>>>,
}

/// The numbers seen of one, as ranges that do not touch, by their first.
#[derive(Debug, Clone, Default, Encode, Decode)]
struct SeenNumbers {
    ranges: BTreeMap<u64, CountRange>,
}

/// Numbers that follow each other.
#[derive(Debug, Clone, Copy, Encode, Decode)]
struct CountRange {
    last: u64,
    /// When the usage with the first number stopped; of several, the earliest.
    first_stop: Timestamp,
    /// When the usage with the last number stopped; of several, the latest.
    last_stop: Timestamp,
}

impl ReportCounts {
    /// Usage of a computer that has a number stopped then.
    pub(super) fn saw(&mut self, computer: u32, number: u64, stop: Timestamp) {
        self.by_computer.entry(computer).or_default().saw(number, stop);
    }

    pub(super) fn write(&self, computers: &NameTable<ComputerId>, out: &mut dyn Write) -> io::Result<()> {
        let mut order: Vec<(&ComputerId, &SeenNumbers)> =
            self.by_computer.iter().map(|(id, seen)| (computers.name(*id), &**seen)).collect();
        order.sort_unstable_by_key(|(computer, _)| *computer);
        put(order, out)
    }

    pub(super) fn read(computers: &mut NameTable<ComputerId>, from: &mut dyn Read) -> io::Result<Self> {
        let all: Vec<(ComputerId, SeenNumbers)> = get(from)?;
        let by_computer: FxHashMap<_, _> =
            all.into_iter().map(|(computer, seen)| (computers.intern(&computer), seen.into())).collect();
        Ok(Self { by_computer: by_computer.into() })
    }
}

impl SeenNumbers {
    fn saw(&mut self, number: u64, stop: Timestamp) {
        let following = number.checked_add(1).and_then(|following| self.ranges.get(&following).copied());
        let (first, before) = match self.ranges.range_mut(..=number).next_back() {
            Some((first, range)) if number <= range.last => {
                if number == *first {
                    range.first_stop = range.first_stop.min(stop);
                }
                if number == range.last {
                    range.last_stop = range.last_stop.max(stop);
                }
                return;
            }
            Some((first, range)) if range.last + 1 == number => (*first, Some(*range)),
            _ => (number, None),
        };
        if following.is_some() {
            self.ranges.remove(&(number + 1));
        }
        let joined = CountRange {
            last: following.map_or(number, |range| range.last),
            first_stop: before.map_or(stop, |range| range.first_stop),
            last_stop: following.map_or(stop, |range| range.last_stop),
        };
        self.ranges.insert(first, joined);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metering::tests::{DAY, MORNING, one_tenant, period};
    use crate::testing::{at, computer, report};
    use crate::view::Projection as _;

    fn instant(micros: i64) -> Timestamp {
        Timestamp::MIN.plus_micros(micros)
    }

    #[test]
    fn holes_are_told_with_the_time_around_them() {
        let mut story = one_tenant();
        let day = |n: u32| format!("2026-10-01T{n:02}:00:00Z");
        // Number, hour in which it was used, and to whom.
        let rows = [
            (7, 0, "slappart0"),
            (8, 1, "slappart0"),
            (11, 4, "nobody"),
            (12, 5, "COMP-1"),
            (14, 13, "slappart0"),
        ];
        for (number, hour, subject) in rows {
            let (start, stop) = (day(hour), day(hour + 1));
            let mut used = report(&format!("id {number}"), subject, "1", (&start, &stop));
            used.node_sequence = Some(number);
            story.usage("COMP-1", vec![used]);
        }
        // Going back, and repeating, is no hole; another computer counts for itself; not to count is allowed.
        for (id, number) in [("again", Some(8)), ("back", Some(7)), ("none", None)] {
            let used = report(id, "slappart0", "1", MORNING);
            story.usage("COMP-1", vec![crate::testing::report_numbered(used, number)]);
        }
        let used = report("other", "COMP-2", "1", MORNING);
        story.usage("COMP-2", vec![crate::testing::report_numbered(used, Some(100))]);

        let mut bytes = Vec::new();
        story.view.metering.write(&mut bytes).expect("memory");
        let restored = Metering::read_from(&mut bytes.as_slice()).expect("its own bytes");
        // The usage numbered 8 stopped at two, and, repeated, at noon; 11 at five, 12 at six, and 14 at two.
        let time = |hour: u32| at(&day(hour));
        let early = MissingReports { after: 8, before: 11, count: 2, since: time(5), until: time(12) };
        let late = MissingReports { after: 12, before: 14, count: 1, since: time(6), until: time(14) };
        for metering in [&story.view.metering, &restored] {
            let missing = |within| metering.missing_reports(&computer("COMP-1"), period(within));
            assert_eq!(missing(DAY), [early, late]);
            assert_eq!(missing(MORNING), [early, late]);
            assert_eq!(missing(("2026-10-01T00:00:00Z", "2026-10-01T06:00:00Z")), [early]);
            assert_eq!(missing(("2026-10-01T12:00:00Z", "2026-10-02T00:00:00Z")), [late]);
            assert_eq!(missing(("2026-10-01T14:00:00Z", "2026-10-02T00:00:00Z")), []);
            assert_eq!(metering.missing_reports(&computer("COMP-2"), period(DAY)), []);
            assert_eq!(metering.missing_reports(&computer("COMP-3"), period(DAY)), []);
        }
    }

    #[test]
    fn a_hole_at_one_instant_is_in_the_period_that_ends_with_it() {
        let hole = |since: i64, until: i64| MissingReports {
            after: 1,
            before: 3,
            count: 1,
            since: instant(since),
            until: instant(until),
        };
        let period = |start, stop| Period::new(instant(start), instant(stop)).expect("a period");
        let rows = [
            ((5, 5), (0, 5), true),
            ((5, 5), (5, 9), false),
            ((5, 6), (0, 5), false),
            ((5, 6), (5, 9), true),
            ((4, 5), (5, 9), false),
            ((0, 9), (4, 5), true),
        ];
        for ((since, until), (start, stop), expected) in rows {
            assert_eq!(
                hole(since, until).touches(period(start, stop)),
                expected,
                "{since} {until} {start} {stop}"
            );
        }
    }

    #[test]
    fn the_greatest_number_is_one_too() {
        let mut seen = SeenNumbers::default();
        for number in [u64::MAX, 0, u64::MAX, u64::MAX - 1, 0, 1] {
            seen.saw(number, instant(0));
        }
        let ranges: Vec<(u64, u64)> = seen.ranges.iter().map(|(first, range)| (*first, range.last)).collect();
        assert_eq!(ranges, [(0, 1), (u64::MAX - 1, u64::MAX)]);
    }

    proptest! {
           #[test]
           fn ranges_are_those_of_a_sorted_list(
               numbers in prop::collection::vec((0..40_u64, 0..1000_i64), 0..60),
               turn in 0..60_usize,
           ) {
               let seen_in = |numbers: &[(u64, i64)]| {
                   let mut seen = SeenNumbers::default();
                   for (number, stop) in numbers {
    seen.saw(*number, instant(*stop));
    }
                   let ranges = seen.ranges.iter();
                   ranges.map(|(first, one)| (*first, one.last, one.first_stop, one.last_stop)).collect::<Vec<_>>()
               };
               let mut sorted = numbers.clone();
               sorted.sort_unstable();
               let mut expected: Vec<(u64, u64, Timestamp, Timestamp)> = Vec::new();
               for (number, stop) in &sorted {
                   let stops = sorted.iter().filter(|(other, _)| other == number).map(|(_, stop)| *stop);
                   let latest = instant(stops.max().expect("itself"));
                   match expected.last_mut() {
                       Some(last) if last.1 == *number => {}
                       Some(last) if last.1 + 1 == *number => (last.1, last.3) = (*number, latest),
                       _ => expected.push((*number, *number, instant(*stop), latest)),
                   }
               }
               prop_assert_eq!(seen_in(&numbers), expected.clone());
               let mut other = numbers;
               if !other.is_empty() {
                   let turn = turn % other.len();
                   other.rotate_left(turn);
                   other.reverse();
                   other.extend_from_within(..turn);
               }
               prop_assert_eq!(seen_in(&other), expected);
           }
       }
}
