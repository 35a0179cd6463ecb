//! Hours, days and months of a time zone, as periods of UTC that follow each other without gaps.
//!
//! An hour begins where the clock of the zone shows a full hour; a day at its midnight or, where that does not
//! exist, at the first instant after it. Around a change of the clock days are longer or shorter, and hours too where
//! a clock is changed by half an hour; none is empty or left out.

use chrono::{Datelike as _, Days, Months, NaiveDate, Timelike as _};
use slapledger_core::domain::time::{Date, Period, TimeZone, Timestamp};

/// The length of the periods that a longer one is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;

impl Step {
    /// A period cut at every beginning of a step in a zone: the first and the last part may be shorter. `None` if
    /// there would be more than `most` parts.
    pub fn cut(self, period: Period, zone: TimeZone, most: usize) -> Option<Vec<Period>> {
        let mut parts = Vec::new();
        let mut start = period.start;
        while start < period.stop {
            if parts.len() == most {
                return None;
            }
            let stop = self.next(start, zone).min(period.stop);
            parts.push(Period { start, stop });
            start = stop;
        }
        Some(parts)
    }

    /// The first beginning of a step after an instant.
    fn next(self, after: Timestamp, zone: TimeZone) -> Timestamp {
        let local = after.to_utc().with_timezone(&zone.0).naive_local();
        match self {
            Self::Hour => {
                let into = i64::from(local.minute() * 60 + local.second()) * SECOND
                    + i64::from(local.and_utc().timestamp_subsec_micros() % 1_000_000);
                after.plus_micros(HOUR - into)
            }
            Self::Day => {
                first_after(after, zone, local.date(), |day, n| day.checked_add_days(Days::new(n.into())))
            }
            Self::Month => {
                let first = local.date().with_day(1).unwrap_or(local.date());
                first_after(after, zone, first, |first, n| first.checked_add_months(Months::new(n)))
            }
        }
    }
}

/// The start of the next day that begins after an instant; a day that was left out in its zone begins with the one
/// after it.
fn first_after(
    after: Timestamp,
    zone: TimeZone,
    first: NaiveDate,
    plus: impl Fn(NaiveDate, u32) -> Option<NaiveDate>,
) -> Timestamp {
    let later = (1..=3).filter_map(|n| plus(first, n)).map(|day| Date(day).start_in(zone));
    later.filter(|start| *start > after).min().unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(start: &str, stop: &str) -> Period {
        let at = |text: &str| Timestamp::parse_rfc3339(text).expect("an instant");
        Period::new(at(start), at(stop)).expect("a period")
    }

    #[test]
    fn steps_begin_where_the_zone_says() {
        let rows: [(Step, &str, &str, &str, &[&str]); 9] = [
            (Step::Hour, "UTC", "2026-10-01T00:30:00Z", "2026-10-01T02:00:00Z", &["2026-10-01T01:00:00Z"]),
            (
                Step::Hour,
                "Asia/Kathmandu",
                "2026-10-01T00:00:00Z",
                "2026-10-01T01:00:00Z",
                &["2026-10-01T00:15:00Z"],
            ),
            // The clock goes back from 02:00 to 01:30 at 15:00 UTC.
            (
                Step::Hour,
                "Australia/Lord_Howe",
                "2026-04-04T14:00:00Z",
                "2026-04-04T16:30:00Z",
                &["2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"],
            ),
            // 25 hours.
            (
                Step::Day,
                "Europe/Paris",
                "2026-10-24T22:00:00Z",
                "2026-10-26T23:00:00Z",
                &["2026-10-25T23:00:00Z"],
            ),
            // Midnight does not exist on the 29th.
            (
                Step::Day,
                "Atlantic/Azores",
                "2026-03-28T12:00:00Z",
                "2026-03-30T12:00:00Z",
                &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
            ),
            // The 30th was left out.
            (
                Step::Day,
                "Pacific/Apia",
                "2011-12-29T10:00:00Z",
                "2012-01-01T10:00:00Z",
                &["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"],
            ),
            (
                Step::Month,
                "Europe/Paris",
                "2026-09-30T22:00:00Z",
                "2026-12-15T00:00:00Z",
                &["2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"],
            ),
            (Step::Month, "UTC", "2026-01-31T00:00:00Z", "2026-02-02T00:00:00Z", &["2026-02-01T00:00:00Z"]),
            (Step::Month, "UTC", "9999-12-30T00:00:00Z", "9999-12-31T00:00:00Z", &[]),
        ];
        for (step, zone, start, stop, cuts) in rows {
            let whole = period(start, stop);
            let parts = step.cut(whole, zone.parse().expect(zone), 100).expect("few parts");
            let found: Vec<String> = parts.iter().skip(1).map(|part| part.start.to_string()).collect();
            assert_eq!(found, cuts, "{step:?} in {zone}");
            assert_eq!((parts[0].start, parts[parts.len() - 1].stop), (whole.start, whole.stop), "{zone}");
            assert!(parts.windows(2).all(|two| two[0].stop == two[1].start), "{zone}");
        }
    }

    #[test]
    fn too_many_parts_are_refused() {
        let day = period("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z");
        assert_eq!(Step::Hour.cut(day, TimeZone::UTC, 24).map(|parts| parts.len()), Some(24));
        assert_eq!(Step::Hour.cut(day, TimeZone::UTC, 23), None);
    }
}
