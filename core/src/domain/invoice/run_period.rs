//! The one reader of periods as people write them: a month, two days, or two instants.

use std::str::FromStr;

use super::{Bound, RunPeriod};
use crate::domain::time::{Date, Timestamp};

/// A text that is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeriod {
    /// It has none of the forms.
    #[error(
        "must be a month such as 2026-10, or START/STOP with two days or two RFC 3339 instants, such as 2026-10-01/2026-11-01"
    )]
    Form,
    /// A side of it is neither a day nor an instant.
    #[error("must have a day such as 2026-10-01 or an RFC 3339 instant with its offset in place of {0:?}")]
    Bound(Box<str>),
    /// It ends before it begins.
    #[error("must stop after it starts; swap START and STOP, or correct one of them")]
    Backwards,
}

impl FromStr for RunPeriod {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let Some((start, stop)) = text.split_once('/') else {
            return month(text).ok_or(InvalidPeriod::Form);
        };
        let period = Self { start: start.parse()?, stop: stop.parse()? };
        let is_empty = match (period.start, period.stop) {
            (Bound::Day(start), Bound::Day(stop)) => start >= stop,
            (Bound::Instant(start), Bound::Instant(stop)) => start >= stop,
            // A day begins at another instant in each zone: whoever has a zone checks.
            _ => false,
        };
        if is_empty { Err(InvalidPeriod::Backwards) } else { Ok(period) }
    }
}

impl FromStr for Bound {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let day = || text.parse::<Date>().ok().filter(|_| text.len() == 10).map(Self::Day);
        let instant = || Timestamp::parse_rfc3339(text).map(Self::Instant);
        day().or_else(instant).ok_or_else(|| InvalidPeriod::Bound(text.chars().take(64).collect()))
    }
}

/// The days of `2026-10`.
fn month(text: &str) -> Option<RunPeriod> {
    let (year, month) = text.split_once('-')?;
    let digits =
        |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) {
        return None;
    }
    let (year, month): (i32, u32) = (year.parse().ok()?, month.parse().ok()?);
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let first =
        |year: i32, month: u32| format!("{year:04}-{month:02}-01").parse::<Date>().ok().map(Bound::Day);
    Some(RunPeriod { start: first(year, month)?, stop: first(next_year, next_month)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(start: &str, stop: &str) -> RunPeriod {
        let day = |text: &str| Bound::Day(text.parse().expect(text));
        RunPeriod { start: day(start), stop: day(stop) }
    }

    #[test]
    fn periods_are_read_in_all_forms() {
        let instant = |text: &str| Bound::Instant(Timestamp::parse_rfc3339(text).expect(text));
        let check = |text: &str, expected: RunPeriod| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("2026-10", days("2026-10-01", "2026-11-01"));
        check("2026-12", days("2026-12-01", "2027-01-01"));
        check("2028-02", days("2028-02-01", "2028-03-01"));
        check("2026-10-01/2026-11-01", days("2026-10-01", "2026-11-01"));
        check("2026-10-05/2026-10-06", days("2026-10-05", "2026-10-06"));
        let (start, stop) = ("2026-10-01T00:00:00+02:00", "2026-10-01T12:00:00Z");
        check(&format!("{start}/{stop}"), RunPeriod { start: instant(start), stop: instant(stop) });
        let mixed = RunPeriod { start: "2026-10-01".parse().expect("a day"), stop: instant(stop) };
        check(&format!("2026-10-01/{stop}"), mixed);
    }

    #[test]
    fn other_texts_are_no_periods_and_the_error_says_what_would_be() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<RunPeriod>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        for text in [
            "",
            "2026",
            "2026-1",
            "2026-13",
            "2026-00",
            "26-10",
            "2026-10-01",
            "october",
            "２０２６-10",
            "+026-10",
        ] {
            check(text, "a month such as 2026-10");
        }
        check("2026-10-01/", "in place of \"\"");
        check("2026-10-01/2026-10-32", "in place of \"2026-10-32\"");
        check("2026-10-01T00:00:00/2026-11-01", "in place of \"2026-10-01T00:00:00\"");
        check("2026-11-01/2026-10-01", "must stop after it starts");
        check("2026-10-01/2026-10-01", "must stop after it starts");
        check(&format!("{}/2026-10-01", "x".repeat(1000)), "in place of");
        assert!("y".repeat(1000).parse::<RunPeriod>().expect_err("no period").to_string().len() < 300);
    }
}
