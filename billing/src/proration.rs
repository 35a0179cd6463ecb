//! Proration: what of a recurring fee the time costs in which an instance was really allocated.
//!
//! The rule: a fee is charged for so many of its units (hours, days, months or years) as the time is long. An hour has
//! 3,600 seconds and a day 24 of those. A month is the calendar month where the customer lives: 28 to 31 days, an hour more
//! or less when clocks change. Whole months count one each, and a part of a month counts its length divided by the length
//! of that month; a year is twelve months. The quantity is rounded once, half up, to nine digits.
//!
//! Nothing else prorates. What a unit costs is not known here; tiers, packages and free quantities are never prorated, and
//! the quantity of a counter is divided by time where usage is metered.

use slapledger_core::domain::calendar::{Calendar, Month};
use slapledger_core::domain::pricing::Every;
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::time::Period;

/// In microseconds.
const HOUR: i64 = 3_600_000_000;
/// In microseconds.
const DAY: i64 = 24 * HOUR;

/// How many units of a fee a time is: see the module. `None`, if they have more digits than a quantity.
pub(crate) fn prorate(period: Period, every: Every, calendar: &Calendar) -> Option<Quantity> {
    Quantity::from_billionths(match every {
        Every::Hour => units(period, HOUR),
        Every::Day => units(period, DAY),
        Every::Month => months(period, calendar, 1),
        Every::Year => months(period, calendar, months_of(every)),
    })
}

/// The parts of a time as they are prorated, each with the length in microseconds of the whole it is a part of. What they
/// add up to is divided by [`months_of`] the fee.
pub(crate) fn prorated_parts(period: Period, every: Every, calendar: &Calendar) -> Vec<(Period, i64)> {
    match every {
        Every::Hour => vec![(period, HOUR)],
        Every::Day => vec![(period, DAY)],
        Every::Month | Every::Year => {
            let months = by_month(period, calendar).into_iter();
            let length = |month: Month| start(month.next(), calendar) - start(month, calendar);
            months.map(|part| (part, length(calendar.month_of(part.start)))).collect()
        }
    }
}

/// How many months a unit of a fee is; 1, if it is not counted in months.
pub(crate) fn months_of(every: Every) -> i64 {
    if every == Every::Year { 12 } else { 1 }
}

/// A time in calendar months.
pub(crate) fn by_month(period: Period, calendar: &Calendar) -> Vec<Period> {
    let mut parts = Vec::new();
    let mut rest = Some(period);
    while let Some(period) = rest {
        let next = calendar.next_month(period.start);
        parts.extend(Period::new(period.start, period.stop.min(next)));
        rest = Period::new(next.max(period.start.plus_micros(1)), period.stop);
    }
    parts
}

/// A time in units of so many microseconds, in billionths.
fn units(period: Period, unit: i64) -> i128 {
    let unit = i128::from(unit);
    (2 * i128::from(period.micros()) * ONE + unit) / (2 * unit)
}

/// A time in units of so many calendar months, in billionths.
fn months(period: Period, calendar: &Calendar, unit: i64) -> i128 {
    // The last microsecond within, so that a period that ends with a month does not touch the next one.
    let (first, last) = (calendar.month_of(period.start), calendar.month_of(period.stop.plus_micros(-1)));
    let length = |month: Month| i128::from(start(month.next(), calendar) - start(month, calendar));
    let (whole, numerator, denominator) = if first == last {
        (0, i128::from(period.micros()), length(first))
    } else {
        let head = i128::from(start(first.next(), calendar) - period.start.micros());
        let tail = i128::from(period.stop.micros() - start(last, calendar));
        let (of_first, of_last) = (length(first), length(last));
        (last.since(first) - 1, head * of_last + tail * of_first, of_first * of_last)
    };
    // Months are below 3 x 10^12 microseconds, so that nothing here is above 3 x 10^36.
    let unit = i128::from(unit);
    let (whole, rest) = (i128::from(whole) / unit, i128::from(whole) % unit);
    let (numerator, denominator) = (numerator + rest * denominator, denominator * unit);
    whole * ONE + (2 * numerator * ONE + denominator) / (2 * denominator)
}

fn start(month: Month, calendar: &Calendar) -> i64 {
    calendar.start_of(month.first()).micros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use slapledger_core::domain::time::{Date, TimeZone, Timestamp};

    use super::*;

    fn period(start: &str, stop: &str, zone: &str) -> (Period, Calendar) {
        let zone: TimeZone = zone.parse().expect(zone);
        let at = |text: &str| {
            Timestamp::parse_rfc3339(text).unwrap_or_else(|| text.parse::<Date>().expect(text).start_in(zone))
        };
        (Period::new(at(start), at(stop)).expect("not empty"), Calendar::of(zone))
    }

    #[test]
    fn months_are_as_long_as_they_are_there() {
        let rows = [
            ("2026-10-01", "2026-11-01", "UTC", 1_000_000_000),
            ("2026-10-16", "2026-11-01", "UTC", 516_129_032), // 16/31 = 0.516 129 032 2...
            ("2026-02-01", "2026-02-02", "UTC", 35_714_286),  // 1/28 = 0.035 714 285 7...
            ("2028-02-01", "2028-02-02", "UTC", 34_482_759),  // 1/29 = 0.034 482 758 6...
            ("2026-10-15", "2026-12-15", "UTC", 2_000_000_000), // 17/31 + 1 + 14/31
            ("2026-01-31", "2026-03-02", "UTC", 1_064_516_129), // 1/31 + 1 + 1/31 = 1.064 516 129 0...
            ("2026-10-01T00:00:00Z", "2026-10-01T00:00:01Z", "UTC", 373), // 1/2 678 400 = 0.000 000 373 3...
            ("2025-01-01", "2026-01-01", "UTC", 12_000_000_000),
            // 31 days and one hour are 745 hours; the 25th has 25 of them.
            ("2026-10-01", "2026-11-01", "Europe/Paris", 1_000_000_000),
            ("2026-10-25", "2026-10-26", "Europe/Paris", 33_557_047), // 25/745 = 0.033 557 046 9...
            ("2026-10-24", "2026-10-25", "Europe/Paris", 32_214_765), // 24/745 = 0.032 214 765 1...
            ("2026-03-29", "2026-03-30", "Europe/Paris", 30_955_585), // 23/743 = 0.030 955 585 4...
            ("2026-10-01", "2026-11-01", "Asia/Kathmandu", 1_000_000_000),
            // From 18:15 UTC of 30 September: 5:45 hours of 744 are still in September as UTC has it.
            ("2026-09-30T18:15:00Z", "2026-10-01T00:00:00Z", "Asia/Kathmandu", 7_728_495), // 5.75/744
        ];
        for (start, stop, zone, expected) in rows {
            let (period, calendar) = period(start, stop, zone);
            assert_eq!(months(period, &calendar, 1), expected, "{start}/{stop} in {zone}");
        }
    }

    #[test]
    fn all_of_time_is_counted_in_every_zone() {
        let always = Period::new(Timestamp::MIN, Timestamp::MAX).expect("not empty");
        for zone in chrono_tz::TZ_VARIANTS {
            let months = months(always, &Calendar::of(TimeZone(zone)), 1);
            // The years 1 to 9999 have 119,988 months; zones that are ahead or behind cut into one.
            assert!((119_987 * ONE..=119_990 * ONE).contains(&months), "{zone}: {months}");
        }
    }

    proptest! {
        #[test]
        fn parts_add_up(
            start in -2_000_000_000_i64..4_000_000_000,
            lengths in (1_i64..100_000_000, 1_i64..100_000_000),
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
        ) {
            let calendar = Calendar::of(TimeZone(chrono_tz::TZ_VARIANTS[zone]));
            let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).expect("in range");
            let bounds = [at(start), at(start + lengths.0), at(start + lengths.0 + lengths.1)];
            let part = |from: usize, to: usize| {
                months(Period::new(bounds[from], bounds[to]).expect("not empty"), &calendar, 1)
            };
            prop_assert!((part(0, 1) + part(1, 2) - part(0, 2)).abs() <= 1);
        }
    }
}
