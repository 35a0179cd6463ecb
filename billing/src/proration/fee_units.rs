//! The units of time that a fee is counted in: how long each is and where it begins, and how many a time is.
//!
//! Units of the calendar are those of the module above. A fee with an anchor has units of its own: they begin on the anchor's day
//! and follow each other by whole weeks, months, quarters or years; a month that has no such day has the last one instead.
//! A time of several instances is added up exactly, and rounded once, half up, to nine digits.

use std::collections::BTreeMap;

use slapledger_core::domain::calendar::{Calendar, Month};
use slapledger_core::domain::pricing::Every;
use slapledger_core::domain::quantity::{ONE, Quantity};
use slapledger_core::domain::time::{Date, Period, Timestamp};

use super::{HOUR, months_of, prorate, prorated_parts};

/// A unit of time, as lines name it.
pub(crate) fn unit_of(every: Every) -> &'static str {
    match every {
        Every::Hour => "hour",
        Every::Day => "day",
        Every::Week => "week",
        Every::Month => "month",
        Every::Quarter => "quarter",
        Every::Year => "year",
    }
}

/// A fee, for people.
pub(crate) fn name_of_fee(item: &str, every: Every) -> &str {
    if !item.is_empty() {
        return item;
    }
    match every {
        Every::Hour => "hourly fee",
        Every::Day => "daily fee",
        Every::Week => "weekly fee",
        Every::Month => "monthly fee",
        Every::Quarter => "quarterly fee",
        Every::Year => "yearly fee",
    }
}

/// The units of a fee, where the customer is.
#[derive(Clone, Copy)]
pub(crate) struct FeeUnits<'c> {
    every: Every,
    /// The day on which one of them begins; none, if they are those of the calendar.
    anchor: Option<Date>,
    calendar: &'c Calendar,
}

impl<'c> FeeUnits<'c> {
    pub(crate) fn new(every: Every, anchor: Option<Date>, calendar: &'c Calendar) -> Self {
        Self { every, anchor, calendar }
    }

    /// How many of the wholes that parts are told with a unit is: a quarter or a year of the calendar is so many months.
    pub(crate) fn wholes(&self) -> i64 {
        if self.anchor.is_some() { 1 } else { months_of(self.every) }
    }

    /// How many units a time is, each counted by the share of it that the time has.
    pub(crate) fn count(&self, time: Period) -> Option<Quantity> {
        match (self.anchor, self.every) {
            (Some(_), _) | (None, Every::Week) => sum_of(&self.parts(time), self.wholes()),
            (None, every) => prorate(time, every, self.calendar),
        }
    }

    /// The parts of a time, each with the length in microseconds of the whole it is a part of, or of each of the wholes it
    /// consists of.
    pub(crate) fn parts(&self, time: Period) -> Vec<(Period, i64)> {
        match (self.anchor, self.every) {
            (Some(_), _) | (None, Every::Week) => {
                let units = self.begun(time);
                units.filter_map(|unit| Some((unit.intersection(time)?, unit.micros()))).collect()
            }
            (None, every) => prorated_parts(time, every, self.calendar),
        }
    }

    /// Whether they are hours.
    pub(crate) fn are_hours(&self) -> bool {
        self.every == Every::Hour
    }

    /// The units that have any time of a time, in order.
    pub(crate) fn begun(&self, time: Period) -> impl Iterator<Item = Period> {
        let units = *self;
        let first = units.around(time.start);
        let next = move |unit: &Period| {
            let next = units.around(unit.stop);
            // Time ends with a unit.
            (next.start > unit.start).then_some(next)
        };
        std::iter::successors(Some(first), next).take_while(move |unit| unit.start < time.stop)
    }

    /// The unit that an instant is in. Hours are those of UTC.
    pub(crate) fn around(&self, instant: Timestamp) -> Period {
        if self.every == Every::Hour {
            let into = instant.micros().rem_euclid(HOUR);
            return whole(instant.plus_micros(-into), instant.plus_micros(HOUR - into));
        }
        let day = self.calendar.day_of(instant);
        let start = |number: i64| self.day(number).map_or(Timestamp::MAX, |day| self.calendar.start_of(day));
        let mut number = self.number(day);
        // A day that a zone left out begins with the next one: a unit that ends there has no time.
        while start(number + 1) <= instant && start(number + 1) < Timestamp::MAX {
            number += 1;
        }
        while start(number) > instant && start(number) > Timestamp::MIN {
            number -= 1;
        }
        whole(start(number), start(number + 1))
    }

    /// The number of the unit that a day is in, counted from the anchor.
    fn number(&self, day: Date) -> i64 {
        match self.every {
            Every::Hour | Every::Day => day.since(self.origin()),
            Every::Week => day.since(self.origin()).div_euclid(7),
            Every::Month | Every::Quarter | Every::Year => {
                let months = i64::from(Month::of(day).since(Month::of(self.origin())));
                let months = if Month::of(day).same_day(self.origin()) > day { months - 1 } else { months };
                months.div_euclid(months_of(self.every))
            }
        }
    }

    /// The first day of a unit; none, if the calendar has no such day.
    fn day(&self, number: i64) -> Option<Date> {
        match self.every {
            Every::Hour | Every::Day => self.origin().plus_days(number),
            Every::Week => self.origin().plus_days(number.checked_mul(7)?),
            Every::Month | Every::Quarter | Every::Year => {
                let months = i32::try_from(number.checked_mul(months_of(self.every))?).ok()?;
                Some(Month::of(self.origin()).plus(months).same_day(self.origin()))
            }
        }
    }

    /// The day on which the unit of number 0 begins: of the calendar, a Monday and the first of a January.
    fn origin(&self) -> Date {
        self.anchor.unwrap_or_else(|| {
            let day = Date::epoch();
            if self.every == Every::Week { day.monday().unwrap_or(day) } else { day }
        })
    }
}

/// A unit. One without any time is a microsecond: no calendar has it, but the end of time.
fn whole(start: Timestamp, stop: Timestamp) -> Period {
    let shortest = || Period::new(start.plus_micros(-1), start);
    let unit = Period::new(start, stop).or_else(shortest);
    unit.or_else(|| Period::new(Timestamp::MIN, Timestamp::MAX)).expect("time is not empty")
}

/// What parts of wholes add up to, with so many wholes in a unit: rounded once, half up. `None`, if it has more digits than
/// a quantity.
pub(crate) fn sum_of(parts: &[(Period, i64)], wholes: i64) -> Option<Quantity> {
    let mut by_length: BTreeMap<i64, i128> = BTreeMap::new();
    for (part, length) in parts {
        *by_length.entry(*length).or_default() += i128::from(part.micros());
    }
    let exact = by_length
        .iter()
        .try_fold(MixedNumber::ZERO, |sum, (length, micros)| sum.plus(*micros, i128::from((*length).max(1))));
    let billionths = exact.and_then(|sum| sum.billionths(wholes.into())).unwrap_or_else(|| {
        // Lengths without a common measure below 10^27: no zone has as many.
        let fine = |(length, micros): (&i64, &i128)| micros * ONE * ONE / i128::from((*length).max(1));
        let sum: i128 = by_length.iter().map(fine).sum();
        sum / (ONE * i128::from(wholes))
    });
    Quantity::from_billionths(billionths)
}

/// A whole number and a fraction below one.
#[derive(Clone, Copy)]
struct MixedNumber {
    whole: i128,
    above: i128,
    below: i128,
}

impl MixedNumber {
    const ZERO: Self = Self { whole: 0, above: 0, below: 1 };

    /// The sum with another fraction; none, if it passes `i128`.
    fn plus(self, above: i128, below: i128) -> Option<Self> {
        let (whole, rest) = (above / below, above % below);
        let divisor = gcd(rest, below).max(1);
        let (rest, below) = (rest / divisor, below / divisor);
        let shared = gcd(self.below, below).max(1);
        let common = (self.below / shared).checked_mul(below)?;
        let own = self.above.checked_mul(below / shared)?;
        let above = own.checked_add(rest.checked_mul(self.below / shared)?)?;
        Some(Self { whole: self.whole + whole + above / common, above: above % common, below: common })
    }

    /// Divided by a number and rounded half up, in billionths; none, if it passes `i128`.
    fn billionths(self, divisor: i128) -> Option<i128> {
        let (whole, rest) = (self.whole / divisor, self.whole % divisor);
        let above = rest.checked_mul(self.below)?.checked_add(self.above)?;
        let below = self.below.checked_mul(divisor)?;
        let twice = above.checked_mul(2 * ONE)?.checked_add(below)?;
        Some(whole * ONE + twice / below.checked_mul(2)?)
    }
}

fn gcd(mut one: i128, mut other: i128) -> i128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use slapledger_core::domain::time::TimeZone;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect(text)
    }

    fn units<'c>(every: Every, anchor: &str, calendar: &'c Calendar) -> FeeUnits<'c> {
        FeeUnits::new(every, (!anchor.is_empty()).then(|| day(anchor)), calendar)
    }

    fn time(start: &str, stop: &str, calendar: &Calendar) -> Period {
        Period::new(calendar.start_of(day(start)), calendar.start_of(day(stop))).expect("not empty")
    }

    /// Units as their days.
    fn shown(every: Every, anchor: &str, zone: &str, (start, stop): (&str, &str)) -> Vec<String> {
        let calendar = Calendar::of(zone.parse().expect(zone));
        let units = units(every, anchor, &calendar);
        units.begun(time(start, stop, &calendar)).map(|unit| calendar.shown(unit)).collect()
    }

    #[test]
    fn a_month_without_the_day_of_its_anchor_ends_on_its_last_one() {
        let expected = ["2026-01-31/2026-02-28", "2026-02-28/2026-03-31", "2026-03-31/2026-04-30"];
        assert_eq!(shown(Every::Month, "2026-01-31", "Europe/Paris", ("2026-02-01", "2026-04-01")), expected);
        // Also before it.
        assert_eq!(shown(Every::Month, "2026-05-31", "UTC", ("2026-02-01", "2026-04-01")), expected);
        let leap = ["2027-02-28/2028-02-29", "2028-02-29/2029-02-28"];
        assert_eq!(shown(Every::Year, "2024-02-29", "UTC", ("2028-02-01", "2028-03-01")), leap);
        let quarters = ["2026-02-28/2026-05-31", "2026-05-31/2026-08-31"];
        assert_eq!(shown(Every::Quarter, "2025-08-31", "UTC", ("2026-05-01", "2026-06-30")), quarters);
    }

    #[test]
    fn units_of_the_calendar_begin_with_it() {
        let rows: [(Every, &[&str]); 4] = [
            (Every::Week, &["2026-09-28/2026-10-05", "2026-10-05/2026-10-12"]),
            (Every::Month, &["2026-10-01/2026-11-01"]),
            (Every::Quarter, &["2026-10-01/2027-01-01"]),
            (Every::Year, &["2026-01-01/2027-01-01"]),
        ];
        for (every, expected) in rows {
            assert_eq!(
                shown(every, "", "Asia/Kathmandu", ("2026-10-04", "2026-10-06")),
                expected,
                "{every:?}"
            );
        }
        assert_eq!(shown(Every::Day, "", "Pacific/Apia", ("2011-12-29", "2012-01-01")).len(), 2);
        assert_eq!(shown(Every::Hour, "", "UTC", ("2026-10-04", "2026-10-05")).len(), 24);
    }

    #[test]
    fn a_time_is_its_share_of_each_unit() {
        let utc = Calendar::of(TimeZone::UTC);
        let paris = Calendar::of("Europe/Paris".parse().expect("a zone"));
        let rows = [
            // Until 31 January 30 of 31 days, then 1 of 28: 0.967 741 935 4... + 0.035 714 285 7...
            (Every::Month, "2026-01-31", &utc, ("2026-01-01", "2026-02-01"), 1_003_456_221),
            // 27/28 + 1/31 = 0.964 285 714 2... + 0.032 258 064 5...
            (Every::Month, "2026-01-31", &utc, ("2026-02-01", "2026-03-01"), 996_543_779),
            (Every::Week, "", &utc, ("2026-10-01", "2026-11-01"), 4_428_571_429), // 31/7
            // The week in which clocks are put back has 169 hours.
            (Every::Week, "", &paris, ("2026-10-19", "2026-10-26"), 1_000_000_000),
            (Every::Week, "", &paris, ("2026-10-25", "2026-10-26"), 147_928_994), // 25/169
            (Every::Quarter, "", &utc, ("2026-10-01", "2026-11-01"), 333_333_333),
            (Every::Quarter, "2026-10-01", &utc, ("2026-10-01", "2026-11-01"), 336_956_522), // 31/92
            (Every::Year, "2026-10-01", &utc, ("2026-10-01", "2026-11-01"), 84_931_507),     // 31/365
        ];
        for (every, anchor, calendar, (start, stop), expected) in rows {
            let found = units(every, anchor, calendar).count(time(start, stop, calendar));
            assert_eq!(found.map(Quantity::billionths), Some(expected), "{every:?} {anchor} {start}/{stop}");
        }
    }

    #[test]
    fn half_hours_are_added_before_they_are_rounded() {
        let utc = Calendar::of(TimeZone::UTC);
        let start = utc.start_of(day("2026-10-01"));
        let half = Period::new(start, start.plus_micros(HOUR / 2)).expect("not empty");
        let third = Period::new(start, start.plus_micros(HOUR / 3)).expect("not empty");
        assert_eq!(sum_of(&[(half, HOUR); 200], 1).map(Quantity::billionths), Some(100 * ONE));
        assert_eq!(sum_of(&[(third, HOUR); 3], 1).map(Quantity::billionths), Some(ONE));
        assert_eq!(sum_of(&[], 1), Some(Quantity::ZERO));
    }

    proptest! {
        /// Units follow each other without gaps, whatever the zone, and each holds its first and last instant.
        #[test]
        fn units_tile_time(
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
            anchor in prop::option::of(-20_000_i64..40_000),
            every in prop::sample::select(vec![Every::Day, Every::Week, Every::Month, Every::Quarter, Every::Year]),
            at in -1_500_000_000_i64..4_000_000_000,
        ) {
            let calendar = Calendar::of(TimeZone(chrono_tz::TZ_VARIANTS[zone]));
            let anchor = anchor.and_then(|days| day("1970-01-01").plus_days(days));
            let units = FeeUnits::new(every, anchor, &calendar);
            let mut at = Timestamp::from_micros(at * 1_000_000).expect("in range");
            for _ in 0..5 {
                let unit = units.around(at);
                prop_assert!(unit.contains(at), "{} {}", at, unit);
                prop_assert_eq!(units.around(unit.start), unit);
                prop_assert_eq!(units.around(unit.stop.plus_micros(-1)), unit);
                prop_assert_eq!(units.around(unit.stop).start, unit.stop);
                at = unit.stop;
            }
        }

        /// What months and days are counted as one by one is what they are counted as together.
        #[test]
        fn parts_add_up_to_what_is_prorated(
            start in -1_500_000_000_i64..4_000_000_000,
            length in 1_i64..40_000_000,
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
            every in prop::sample::select(vec![Every::Hour, Every::Day, Every::Month, Every::Quarter, Every::Year]),
        ) {
            let calendar = Calendar::of(TimeZone(chrono_tz::TZ_VARIANTS[zone]));
            let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).expect("in range");
            let time = Period::new(at(start), at(start + length)).expect("not empty");
            let units = FeeUnits::new(every, None, &calendar);
            prop_assert_eq!(sum_of(&units.parts(time), units.wholes()), units.count(time));
        }
    }
}
