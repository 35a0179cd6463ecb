//! Where somebody's days and months begin: a time zone, and others from later instants on.
//!
//! A change of zone counts from the beginning of a month, as the old zone has it: the month before is as long as it was
//! opened, the month after begins where it ended, and no time is in two months or in none.

use bincode::{Decode, Encode};
use chrono::{Datelike, Days, NaiveDate, SecondsFormat};

use super::time::{Date, Period, TimeZone, Timestamp, first_at};

/// The time zones of somebody, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Calendar {
    first: TimeZone,
    /// By rising instants.
    changes: Vec<(Timestamp, TimeZone)>,
}

impl Calendar {
    /// Always the same zone.
    pub fn of(zone: TimeZone) -> Self {
        Self { first: zone, changes: Vec::new() }
    }

    /// The zone at an instant.
    pub fn zone_at(&self, instant: Timestamp) -> TimeZone {
        self.changes.iter().rev().find(|(from, _)| *from <= instant).map_or(self.first, |(_, zone)| *zone)
    }

    /// The zone that was said last, though it may not count yet.
    pub fn newest(&self) -> TimeZone {
        self.changes.last().map_or(self.first, |(_, zone)| *zone)
    }

    /// Another zone counts from an instant on; what was to count from then on or later never does.
    pub fn change(&mut self, from: Timestamp, zone: TimeZone) {
        self.changes.retain(|(at, _)| *at < from);
        self.changes.push((from, zone));
    }

    /// The first instant of a day.
    pub fn start_of(&self, day: Date) -> Timestamp {
        let mut start = day.start_in(self.first);
        for (from, zone) in &self.changes {
            if start <= *from {
                break;
            }
            start = day.start_in(*zone).max(*from);
        }
        start
    }

    /// The day an instant is in.
    pub fn day_of(&self, instant: Timestamp) -> Date {
        let local = instant.to_utc().with_timezone(&self.zone_at(instant).0);
        let mut day = Date(local.date_naive());
        // As with months: clocks put back at midnight show the last hour of a day again that is over, and a zone that begins
        // to count may show another day.
        while let Some(next) = day.next().filter(|next| self.start_of(*next) <= instant) {
            day = next;
        }
        while let Some(before) = day.before().filter(|_| self.start_of(day) > instant) {
            day = before;
        }
        day
    }

    /// The month an instant is in.
    pub fn month_of(&self, instant: Timestamp) -> Month {
        let local = instant.to_utc().with_timezone(&self.zone_at(instant).0);
        let named = local.year() * 12 + i32::try_from(local.month0()).unwrap_or(0);
        // A zone may be a day ahead of the end of time, or behind its beginning.
        let mut month = Month(named.clamp(12, 9999 * 12 + 11));
        // Clocks put back at midnight of the first show the last hour of a month again that is over, and a zone that
        // begins to count may show a day of the month before.
        while self.start_of(month.next().first()) <= instant && month.0 < 9999 * 12 + 11 {
            month = month.next();
        }
        while self.start_of(month.first()) > instant && month.0 > 12 {
            month = Month(month.0 - 1);
        }
        month
    }

    /// A period as it is read where this calendar counts: `2026-10-01/2026-11-01`; with times and offsets, if it is not
    /// one of whole days there.
    pub fn shown(&self, period: Period) -> String {
        let bounds = [period.start, period.stop];
        let days = bounds.map(|bound| Some(self.day_of(bound)).filter(|day| self.start_of(*day) == bound));
        if let [Some(start), Some(stop)] = days {
            return format!("{start}/{stop}");
        }
        let [start, stop] = bounds.map(|bound| {
            let local = bound.to_utc().with_timezone(&self.zone_at(bound).0);
            local.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        });
        format!("{start}/{stop}")
    }

    /// The same local time so many days later. Where clocks show it twice it is the first time; where they never do it is
    /// the first instant after it.
    pub fn days_after(&self, instant: Timestamp, days: u16) -> Timestamp {
        let zone = self.zone_at(instant);
        let local = instant.to_utc().with_timezone(&zone.0).naive_local();
        let Some(local) = local.checked_add_days(Days::new(days.into())) else { return Timestamp::MAX };
        let later = first_at(local, zone);
        let zone_then = self.zone_at(later);
        if zone_then == zone { later } else { first_at(local, zone_then) }
    }

    /// The first instant of the month after the one an instant is in.
    pub fn next_month(&self, instant: Timestamp) -> Timestamp {
        self.start_of(self.month_of(instant).next().first())
    }
}

/// Months since the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(i32);

impl Month {
    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The month of a day.
    pub fn of(day: Date) -> Self {
        Self(day.0.year() * 12 + i32::try_from(day.0.month0()).unwrap_or(0))
    }

    /// So many months later, or earlier if below zero.
    #[must_use]
    pub fn plus(self, months: i32) -> Self {
        Self(self.0.saturating_add(months))
    }

    /// How many months later than another.
    pub fn since(self, other: Self) -> i32 {
        self.0 - other.0
    }

    /// How many months after the January of its year it is.
    pub fn in_year(self) -> i32 {
        self.0.rem_euclid(12)
    }

    /// The day of the month with the number that another day has in its month; the last one, if there is no such day.
    pub fn same_day(self, as_of: Date) -> Date {
        let last = self.next().first().before().unwrap_or(self.first());
        let wanted = self.first().plus_days(i64::from(as_of.0.day0()));
        wanted.map_or(last, |wanted| wanted.min(last))
    }

    /// Its first day.
    pub fn first(self) -> Date {
        let month = u32::try_from(self.0.rem_euclid(12)).unwrap_or(0) + 1;
        let first = NaiveDate::from_ymd_opt(self.0.div_euclid(12), month, 1);
        Date(first.expect("the years of an instant, and the next, are in the calendar"))
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::TZ_VARIANTS;
    use proptest::prelude::*;

    use crate::domain::given::at;
    use crate::domain::time::{Date, TimeZone, Timestamp};

    use super::{Calendar, Month};

    fn zone(name: &str) -> TimeZone {
        name.parse().expect(name)
    }

    fn day(text: &str) -> Date {
        text.parse().expect(text)
    }

    fn month(text: &str) -> Month {
        let (year, month) = text.split_once('-').expect(text);
        Month(year.parse::<i32>().expect(text) * 12 + month.parse::<i32>().expect(text) - 1)
    }

    /// Months from one on: each begins where the one before ended, and holds its first and last instant.
    #[track_caller]
    fn tiles(calendar: &Calendar, from: Month, months: usize) {
        let mut month = from;
        for _ in 0..months {
            let (start, stop) = (calendar.start_of(month.first()), calendar.start_of(month.next().first()));
            assert!(start < stop, "{month:?} is empty");
            for instant in [start, stop.plus_micros(-1)] {
                assert_eq!(calendar.month_of(instant), month, "{instant}");
                assert_eq!(calendar.next_month(instant), stop, "{instant}");
            }
            month = month.next();
        }
    }

    #[test]
    fn periods_are_shown_where_the_calendar_counts() {
        let check = |zone: &str, period: &str, expected: &str| {
            let calendar = Calendar::of(zone.parse().expect(zone));
            assert_eq!(calendar.shown(crate::domain::given::period(period)), expected, "{zone}: {period}");
        };
        let october = "2026-09-30T22:00:00Z/2026-10-31T23:00:00Z";
        check("Europe/Paris", october, "2026-10-01/2026-11-01");
        check("UTC", october, "2026-09-30T22:00:00Z/2026-10-31T23:00:00Z");
        check("UTC", "2026-10-01T00:00:00Z/2026-11-01T00:00:00Z", "2026-10-01/2026-11-01");
        let part = "2026-10-05T12:30:00Z/2026-10-31T23:00:00Z";
        check("Europe/Paris", part, "2026-10-05T14:30:00+02:00/2026-11-01T00:00:00+01:00");
        // Where clocks are put forward at midnight, a day begins at one.
        check("Africa/Cairo", "2026-04-23T22:00:00Z/2026-04-24T21:00:00Z", "2026-04-24/2026-04-25");
    }

    #[test]
    fn days_begin_at_midnight_or_when_the_clock_shows_more() {
        let rows = [
            ("Europe/Paris", "2026-03-29", "2026-03-28T23:00:00Z"),
            ("Europe/Paris", "2026-03-30", "2026-03-29T22:00:00Z"),
            ("Europe/Paris", "2026-10-25", "2026-10-24T22:00:00Z"),
            ("Europe/Paris", "2026-10-26", "2026-10-25T23:00:00Z"),
            ("Asia/Kathmandu", "2026-11-01", "2026-10-31T18:15:00Z"),
            ("UTC", "2026-11-01", "2026-11-01T00:00:00Z"),
        ];
        for (name, text, start) in rows {
            assert_eq!(Calendar::of(zone(name)).start_of(day(text)), at(start), "{text} in {name}");
        }
    }

    #[test]
    fn samoa_had_no_30_december_2011() {
        let apia = Calendar::of(zone("Pacific/Apia"));
        let start = |text| apia.start_of(day(text));
        assert_eq!(start("2011-12-30"), start("2011-12-31"));
        let hours = |from, to| (start(to).micros() - start(from).micros()) / 3_600_000_000;
        assert_eq!(hours("2011-12-29", "2011-12-30"), 24);
        assert_eq!(hours("2011-12-01", "2012-01-01"), 30 * 24);
        tiles(&apia, month("2011-11"), 4);
    }

    #[test]
    fn a_month_is_as_long_as_its_clock_says() {
        let hours = |name, text: &str| {
            let (calendar, month) = (Calendar::of(zone(name)), month(text));
            let (start, stop) = (calendar.start_of(month.first()), calendar.start_of(month.next().first()));
            (stop.micros() - start.micros()) / 3_600_000_000
        };
        assert_eq!(hours("Europe/Paris", "2026-03"), 31 * 24 - 1);
        assert_eq!(hours("Europe/Paris", "2026-10"), 31 * 24 + 1);
        assert_eq!(hours("Asia/Kathmandu", "2026-10"), 31 * 24);
    }

    #[test]
    fn a_move_leaves_no_gap_and_no_overlap() {
        // From, to, where November begins, and where December does.
        let rows = [
            // East: the new zone's November had begun before.
            ("Europe/Paris", "Asia/Tokyo", "2026-10-31T23:00:00Z", "2026-11-30T15:00:00Z"),
            // West: it begins later, but the old October is over.
            ("Asia/Tokyo", "Europe/Paris", "2026-10-31T15:00:00Z", "2026-11-30T23:00:00Z"),
            ("Pacific/Kiritimati", "Pacific/Niue", "2026-10-31T10:00:00Z", "2026-12-01T11:00:00Z"),
        ];
        for (from, to, november, december) in rows {
            let mut calendar = Calendar::of(zone(from));
            let start = calendar.next_month(at("2026-10-16T12:00:00Z"));
            calendar.change(start, zone(to));
            assert_eq!(start, at(november), "{from} to {to}");
            assert_eq!(calendar.start_of(day("2026-11-01")), at(november), "{from} to {to}");
            assert_eq!(calendar.start_of(day("2026-12-01")), at(december), "{from} to {to}");
            assert_eq!(calendar.zone_at(start.plus_micros(-1)), zone(from));
            assert_eq!(calendar.zone_at(start), zone(to));
            tiles(&calendar, month("2026-08"), 8);
        }
    }

    #[test]
    fn a_change_that_does_not_count_yet_can_be_replaced() {
        let mut calendar = Calendar::of(TimeZone::UTC);
        for name in ["Asia/Tokyo", "America/New_York"] {
            calendar.change(calendar.next_month(at("2026-10-16T00:00:00Z")), zone(name));
            assert_eq!(calendar.newest(), zone(name));
        }
        assert_eq!(calendar.start_of(day("2026-11-01")), at("2026-11-01T00:00:00Z"));
        assert_eq!(calendar.start_of(day("2026-12-01")), at("2026-12-01T05:00:00Z"));
        let mut once = Calendar::of(TimeZone::UTC);
        once.change(at("2026-11-01T00:00:00Z"), zone("America/New_York"));
        assert_eq!(calendar, once);
    }

    #[test]
    fn time_begins_and_ends_in_a_month() {
        for name in ["UTC", "Pacific/Kiritimati", "Pacific/Niue"] {
            let calendar = Calendar::of(zone(name));
            for instant in [Timestamp::MIN, Timestamp::MAX] {
                let _ = calendar.next_month(instant);
            }
        }
    }

    proptest! {
        #[test]
        fn months_tile_time_in_every_zone(
            zones in proptest::collection::vec(0..TZ_VARIANTS.len(), 1..4),
            from in 1900_i32 * 12..2100 * 12,
            waits in proptest::collection::vec(0_i64..40 * 86_400, 3),
        ) {
            let mut zones = zones.into_iter().map(|nth| TimeZone(TZ_VARIANTS[nth]));
            let mut calendar = Calendar::of(zones.next().unwrap_or(TimeZone::UTC));
            let mut now = calendar.start_of(Month(from + 2).first());
            for (zone, seconds) in zones.zip(waits) {
                now = now.plus_micros(seconds * 1_000_000);
                let (month, next) = (calendar.month_of(now), calendar.next_month(now));
                calendar.change(next, zone);
                prop_assert_eq!(calendar.month_of(now), month);
                prop_assert_eq!(calendar.next_month(now), next);
            }
            tiles(&calendar, Month(from), 10);
        }
    }
}
