//! Where somebody's days and months begin: a time zone, and others from later instants on.
//!
//! A change of zone counts from the beginning of a month, as the old zone has it: the month before is as long as it was
//! opened, the month after begins where it ended, and no time is in two months or in none.

use bincode::{Decode, Encode};
use chrono::{Datelike, NaiveDate};

use super::time::{Date, TimeZone, Timestamp};

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

    /// How many months later than another.
    pub fn since(self, other: Self) -> i32 {
        self.0 - other.0
    }

    /// Its first day.
    pub fn first(self) -> Date {
        let month = u32::try_from(self.0.rem_euclid(12)).unwrap_or(0) + 1;
        let first = NaiveDate::from_ymd_opt(self.0.div_euclid(12), month, 1);
        Date(first.expect("the years of an instant, and the next, are in the calendar"))
    }
}
