//! Proration: what of a recurring fee the time costs in which an instance was really allocated.
//!
//! The rule: a fee is charged for so many of its units (hours, days, months or years) as the time is long. An hour has
//! 3,600 seconds. Days and months are those of the calendar where the customer lives: a day is an hour longer or shorter
//! when clocks change, and a month has 28 to 31 of them. Whole days and months count one each, and a part of one counts its
//! length divided by the length of the whole; a quarter is three months and a year twelve. The quantity is rounded once, half
//! up, to nine digits. Weeks, and units with an anchor, are those of `fee_units`.
//!
//! Nothing else prorates. What a unit costs is not known here; tiers, packages and free quantities are never prorated, and
//! the quantity of a counter is divided by time where usage is metered.

mod fee_units;

use slapledger_core::domain::calendar::{Calendar, Month};
use slapledger_core::domain::pricing::Every;
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::time::{Date, Period, Timestamp};

pub(crate) use fee_units::{FeeUnits, name_of_fee, sum_of, unit_of};

/// In microseconds.
pub(crate) const HOUR: i64 = 3_600_000_000;
/// In microseconds, where no clock is changed.
const DAY: i64 = 24 * HOUR;

/// How many units of a fee a time is: see the module. `None`, if they have more digits than a quantity.
pub(crate) fn prorate(period: Period, every: Every, calendar: &Calendar) -> Option<Quantity> {
    Quantity::from_billionths(match every {
        Every::Hour => units(period, HOUR),
        Every::Day => days(period, calendar),
        Every::Week => return FeeUnits::new(every, None, calendar).count(period),
        Every::Month => months(period, calendar, 1),
        Every::Quarter | Every::Year => months(period, calendar, months_of(every)),
    })
}

/// The parts of a time as they are prorated, each with the length in microseconds of the whole it is a part of, or of each
/// of the wholes it consists of. What they add up to is divided by [`months_of`] the fee.
pub(crate) fn prorated_parts(period: Period, every: Every, calendar: &Calendar) -> Vec<(Period, i64)> {
    match every {
        Every::Hour => vec![(period, HOUR)],
        Every::Day => by_length_of_day(period, calendar),
        Every::Week => FeeUnits::new(every, None, calendar).parts(period),
        Every::Month | Every::Quarter | Every::Year => {
            let months = by_month(period, calendar).into_iter();
            let length = |month: Month| start(month.next(), calendar) - start(month, calendar);
            months.map(|part| (part, length(calendar.month_of(part.start)))).collect()
        }
    }
}

/// How many months a unit of a fee is; 1, if it is not counted in months.
pub(crate) fn months_of(every: Every) -> i64 {
    match every {
        Every::Year => 12,
        Every::Quarter => 3,
        Every::Hour | Every::Day | Every::Week | Every::Month => 1,
    }
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

/// A time in parts of which all days are equally long: those at which clocks change are apart.
fn by_length_of_day(period: Period, calendar: &Calendar) -> Vec<(Period, i64)> {
    let mut parts: Vec<(Period, i64)> = Vec::new();
    let mut day = Some(calendar.day_of(period.start));
    while let Some(today) = day {
        let whole = Period::new(calendar.start_of(today), start_of_next(today, calendar));
        day = today.next().filter(|next| calendar.start_of(*next) < period.stop);
        let Some((part, whole)) = whole.and_then(|whole| Some((whole.intersection(period)?, whole))) else {
            continue;
        };
        match parts.last_mut() {
            Some((last, length)) if *length == whole.micros() => last.stop = part.stop,
            _ => parts.push((part, whole.micros())),
        }
    }
    parts
}

fn start_of_next(day: Date, calendar: &Calendar) -> Timestamp {
    day.next().map_or(Timestamp::MAX, |next| calendar.start_of(next))
}

/// A time in calendar days, in billionths.
fn days(period: Period, calendar: &Calendar) -> i128 {
    let (first, last) = (calendar.day_of(period.start), calendar.day_of(period.stop.plus_micros(-1)));
    let length =
        |day: Date| i128::from(start_of_next(day, calendar).micros() - calendar.start_of(day).micros());
    if first == last {
        return of_units((0, period.micros().into(), length(first)), 1);
    }
    let (second, start_of_last) = (start_of_next(first, calendar), calendar.start_of(last));
    let head = i128::from(second.micros() - period.start.micros());
    let tail = i128::from(period.stop.micros() - start_of_last.micros());
    let between = last.since(first) - 1;
    // A day that a zone left out, as Samoa did with 30 December 2011, has no time and counts for nothing.
    let as_long_as = (start_of_last.micros() - second.micros() + DAY / 2) / DAY;
    let whole = if as_long_as == between {
        between
    } else {
        let mut day = first.next();
        let mut whole = 0;
        while let Some(today) = day.filter(|day| *day < last) {
            whole += i64::from(length(today) > 0);
            day = today.next();
        }
        whole
    };
    let (of_first, of_last) = (length(first), length(last));
    of_units((whole.into(), head * of_last + tail * of_first, of_first * of_last), 1)
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
    of_units((whole.into(), numerator, denominator), unit)
}

/// So many days or months and a fraction of one, in units of so many of them: in billionths.
fn of_units((whole, numerator, denominator): (i128, i128, i128), unit: i64) -> i128 {
    // Months are below 3 x 10^12 microseconds, so that nothing here is above 3 x 10^36.
    let unit = i128::from(unit);
    let (whole, rest) = (whole / unit, whole % unit);
    let (numerator, denominator) = (numerator + rest * denominator, denominator * unit);
    whole * ONE + (2 * numerator * ONE + denominator) / (2 * denominator)
}

fn start(month: Month, calendar: &Calendar) -> i64 {
    calendar.start_of(month.first()).micros()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use slapledger_core::domain::time::TimeZone;

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

    /// October in Paris has 745 hours, and was charged 31.041666667 days.
    #[test]
    fn days_are_as_long_as_they_are_there() {
        const WHOLE: i128 = ONE;
        let rows = [
            ("2026-10-01", "2026-11-01", "Europe/Paris", 31 * WHOLE, 3),
            ("2026-10-01", "2026-11-01", "UTC", 31 * WHOLE, 1),
            ("2026-03-01", "2026-04-01", "Europe/Paris", 31 * WHOLE, 3),
            ("2026-10-25", "2026-10-26", "Europe/Paris", WHOLE, 1),
            ("2026-03-29", "2026-03-30", "Europe/Paris", WHOLE, 1),
            ("2026-10-24T22:00:00Z", "2026-10-25T10:30:00Z", "Europe/Paris", WHOLE / 2, 1), // 12.5/25
            // Half of 24 October, the 25th, and a quarter of the 26th.
            ("2026-10-24T10:00:00Z", "2026-10-26T05:00:00Z", "Europe/Paris", 1_750_000_000, 3),
            // One hour of a day of 25 and one of a day of 24: 1/25 + 1/24 = 0.081 666 666 6...
            ("2026-10-25T22:00:00Z", "2026-10-26T00:00:00Z", "Europe/Paris", 81_666_667, 2),
            // The clock goes forward at midnight: the day begins at 01:00 and has 23 hours.
            ("2026-09-06", "2026-09-07", "America/Santiago", WHOLE, 1),
            // Half an hour, in Lord Howe.
            ("2026-10-01", "2026-11-01", "Australia/Lord_Howe", 31 * WHOLE, 3),
            // Samoa had no 30 December 2011: of the 31 days of that month there were 30.
            ("2011-12-01", "2012-01-01", "Pacific/Apia", 30 * WHOLE, 1),
            ("2026-10-01T00:00:00Z", "2026-10-01T12:00:00Z", "UTC", WHOLE / 2, 1),
        ];
        for (start, stop, zone, expected, parts) in rows {
            let (period, calendar) = period(start, stop, zone);
            assert_eq!(days(period, &calendar), expected, "{start}/{stop} in {zone}");
            let found = prorated_parts(period, Every::Day, &calendar);
            assert_eq!(found.len(), parts, "{start}/{stop} in {zone}: {found:?}");
        }
    }

    /// Where a zone begins to count, a day is as long as the two zones make it, and no time is in two days or in none.
    #[test]
    fn a_change_of_zone_changes_the_length_of_a_day() {
        let (october, mut calendar) = period("2026-10-01", "2026-11-01", "Europe/Paris");
        calendar.change(october.stop, "Asia/Tokyo".parse().expect("a zone"));
        let november = Period::new(october.stop, calendar.next_month(october.stop)).expect("a month");
        assert_eq!(days(october, &calendar), 31 * ONE);
        assert_eq!(days(november, &calendar), 30 * ONE);
        let parts = prorated_parts(november, Every::Day, &calendar);
        // The first has 16 hours: Tokyo is eight ahead.
        assert_eq!(parts.iter().map(|(_, length)| length / HOUR).collect::<Vec<_>>(), [16, 24]);
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
            let part = |from: usize, to: usize| Period::new(bounds[from], bounds[to]).expect("not empty");
            let in_days = |from: usize, to: usize| days(part(from, to), &calendar);
            prop_assert!((in_days(0, 1) + in_days(1, 2) - in_days(0, 2)).abs() <= 1);
            // The explanation adds up to the same, in days of as many lengths as there are.
            let finer = 1_000_000;
            let by_length: i128 = prorated_parts(part(0, 2), Every::Day, &calendar)
                .iter()
                .map(|(part, length)| i128::from(part.micros()) * ONE * finer / i128::from(*length))
                .sum();
            prop_assert!((by_length - in_days(0, 2) * finer).abs() <= finer);
        }
    }
}
