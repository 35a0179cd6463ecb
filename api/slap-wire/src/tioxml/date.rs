//! The dates of usage reports, from text to instant.
//!
//! Invariant: a text and a time zone always give the same instant, also where a clock was changed.

use chrono::{Duration, LocalResult, NaiveDate, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;
use slapledger_core::domain::usage::NoInstant;

use super::super::xml;

/// An instant as a report gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub micros: i64,
    /// Whether the text said its offset; else it was in the time zone of the computer.
    pub had_offset: bool,
    /// Whether its clock read hh:59:59, with no fraction.
    pub is_last_second_of_hour: bool,
}

impl Stamp {
    /// The end of a half-open period, in microseconds: `slapos node collect` writes the last second that still
    /// belongs to the period, so a stop of hh:59:59 is one second later.
    pub fn inclusive_stop(self) -> i64 {
        if self.is_last_second_of_hour { self.micros.saturating_add(1_000_000) } else { self.micros }
    }
}

/// Why a date cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// In none of the forms of [`parse_date`].
    #[error("date {text:?} is in no known form")]
    Unreadable {
        /// The text, shortened.
        text: String,
    },
    /// Such as the 30th of February, or an hour 24.
    #[error("date {text:?} does not exist")]
    NoSuchDate {
        /// The text, shortened.
        text: String,
    },
    /// A local time that its clock showed twice.
    #[error("date {text:?} is ambiguous: the clock was put back over it")]
    Ambiguous {
        /// The text, shortened.
        text: String,
    },
    /// A local time that its clock never showed.
    #[error("date {text:?} does not occur: the clock was put forward over it")]
    Skipped {
        /// The text, shortened.
        text: String,
    },
}

impl DateError {
    /// Why the text is no instant.
    pub fn why(&self) -> NoInstant {
        match self {
            Self::Unreadable { .. } | Self::NoSuchDate { .. } => NoInstant::Malformed,
            Self::Ambiguous { .. } => NoInstant::Ambiguous,
            Self::Skipped { .. } => NoInstant::Skipped,
        }
    }
}

/// The instant of a date: `2026-11-22 00:00:00`, `2026-11-23 at 14:11:56` or ISO 8601 with `T`, each with or without a
/// fraction (cut at microseconds) and an offset (`Z`, `+01`, `+0100`, `+01:00`). White space around it is ignored; an
/// empty text, and the text `None`, are no date.
///
/// Without an offset the date is on the clock of `zone`. A time that this clock shows twice, or never, is not guessed at:
/// it is an error. The very time at which the clock was put forward is the instant of that change.
pub fn parse_date(text: &str, zone: Tz) -> Result<Option<Stamp>, DateError> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed == "None" {
        return Ok(None);
    }
    let unreadable = || DateError::Unreadable { text: xml::shorten(trimmed) };
    let no_such_date = || DateError::NoSuchDate { text: xml::shorten(trimmed) };

    let mut rest = Scanner(trimmed);
    let (year, month, day) = rest.three('-', 4).ok_or_else(unreadable)?;
    if !(rest.skip(" at ") || rest.skip("T") || rest.skip(" ")) {
        return Err(unreadable());
    }
    let (hour, minute, second) = rest.three(':', 2).ok_or_else(unreadable)?;
    let micros = rest.fraction().ok_or_else(unreadable)?;
    let clock = rest.offset().ok_or_else(unreadable)?;
    if !rest.0.is_empty() {
        return Err(unreadable());
    }
    // Year 0 and what comes close to an end of the calendar is no date of a report.
    let local = NaiveDate::from_ymd_opt(i32::try_from(year).unwrap_or(0), month, day)
        .filter(|_| (1..=9999).contains(&year))
        .and_then(|date| date.and_hms_micro_opt(hour, minute, second, micros))
        .ok_or_else(no_such_date)?;
    let utc = match clock {
        DateClock::MinutesEast(minutes) => local.checked_sub_signed(Duration::minutes(minutes)),
        DateClock::OfComputer => match zone.from_local_datetime(&local) {
            LocalResult::Single(instant) => Some(instant.naive_utc()),
            LocalResult::Ambiguous(..) => {
                return Err(DateError::Ambiguous { text: xml::shorten(trimmed) });
            }
            LocalResult::None => match put_forward_at(local, zone) {
                Some(instant) => Some(instant),
                None => return Err(DateError::Skipped { text: xml::shorten(trimmed) }),
            },
        },
    };
    Ok(Some(Stamp {
        micros: utc.ok_or_else(no_such_date)?.and_utc().timestamp_micros(),
        had_offset: matches!(clock, DateClock::MinutesEast(_)),
        is_last_second_of_hour: (minute, second, micros) == (59, 59, 0),
    }))
}

/// The instant at which the clock was put forward, if it would have shown this time then: an hour that ends so stops there.
fn put_forward_at(local: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    let before = local.checked_sub_signed(Duration::microseconds(1))?;
    let before = zone.from_local_datetime(&before).single()?;
    before.naive_utc().checked_add_signed(Duration::microseconds(1))
}

/// The clock that a date was read from.
enum DateClock {
    OfComputer,
    MinutesEast(i64),
}

/// The rest of a date that is read from its start.
struct Scanner<'a>(&'a str);

impl Scanner<'_> {
    fn skip(&mut self, prefix: &str) -> bool {
        match self.0.strip_prefix(prefix) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        number.parse().ok()
    }

    /// Three numbers of which the first has `width` digits, the others two.
    fn three(&mut self, separator: char, width: usize) -> Option<(u32, u32, u32)> {
        let separator = separator.encode_utf8(&mut [0; 4]).to_owned();
        let first = self.number(width)?;
        let second = self.skip(&separator).then(|| self.number(2))??;
        let third = self.skip(&separator).then(|| self.number(2))??;
        Some((first, second, third))
    }

    fn fraction(&mut self) -> Option<u32> {
        if !(self.skip(".") || self.skip(",")) {
            return Some(0);
        }
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        if digits.is_empty() {
            return None;
        }
        Some(
            digits
                .bytes()
                .chain(std::iter::repeat(b'0'))
                .take(6)
                .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')),
        )
    }

    fn offset(&mut self) -> Option<DateClock> {
        if self.0.is_empty() {
            return Some(DateClock::OfComputer);
        }
        if self.skip("Z") || self.skip("z") {
            return Some(DateClock::MinutesEast(0));
        }
        self.skip(" ");
        let is_west = self.skip("-");
        if !is_west && !self.skip("+") {
            return None;
        }
        let hours = self.number(2)?;
        let minutes = if self.skip(":") || !self.0.is_empty() { self.number(2)? } else { 0 };
        if hours > 23 || minutes > 59 {
            return None;
        }
        let minutes = i64::from(hours * 60 + minutes);
        Some(DateClock::MinutesEast(if is_west { -minutes } else { minutes }))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates() {
        let check = |text: &str, zone: Tz, expected: &str, had_offset: bool| {
            let stamp = parse_date(text, zone).unwrap().unwrap();
            let shown = DateTime::from_timestamp_micros(stamp.micros).unwrap().to_rfc3339();
            assert_eq!((shown.as_str(), stamp.had_offset), (expected, had_offset), "{text}");
        };
        let paris = Tz::Europe__Paris;
        check("2026-11-22 00:00:00", Tz::UTC, "2026-11-22T00:00:00+00:00", false);
        check("2026-11-23 at 14:11:56", paris, "2026-11-23T13:11:56+00:00", false);
        check(" 2026-11-23T14:11:56.1234567\n", paris, "2026-11-23T13:11:56.123456+00:00", false);
        check("2026-11-23T14:11:56,5Z", paris, "2026-11-23T14:11:56.500+00:00", true);
        check("2026-11-23 14:11:56+05:30", paris, "2026-11-23T08:41:56+00:00", true);
        check("2026-11-23T14:11:56-0330", paris, "2026-11-23T17:41:56+00:00", true);
        check("2026-11-23T14:11:56 +01", paris, "2026-11-23T13:11:56+00:00", true);
        // The clocks of Paris skip from 02:00 to 03:00 on 2026-03-29 and show 02:00 to 03:00 twice on 2026-10-25.
        check("2026-03-29 01:59:59", paris, "2026-03-29T00:59:59+00:00", false);
        check("2026-03-29 02:00:00", paris, "2026-03-29T01:00:00+00:00", false);
        check("2026-03-29 03:00:00", paris, "2026-03-29T01:00:00+00:00", false);
        check("2026-10-25 01:59:59.999999", paris, "2026-10-24T23:59:59.999999+00:00", false);
        check("2026-10-25 02:30:00+02:00", paris, "2026-10-25T00:30:00+00:00", true);
        check("2026-10-25 02:30:00+01:00", paris, "2026-10-25T01:30:00+00:00", true);
        check("2026-10-25 03:00:00", paris, "2026-10-25T02:00:00+00:00", false);
        // Beirut's day of 2022-03-27 began at 01:00.
        check("2022-03-27 00:00:00", Tz::Asia__Beirut, "2022-03-26T22:00:00+00:00", false);

        for text in ["2026-10-25 02:00:00", "2026-10-25 02:30:00", "2026-10-25 02:59:59"] {
            assert!(matches!(parse_date(text, paris), Err(DateError::Ambiguous { .. })), "{text:?}");
        }
        // Samoa had no 30th of December 2011.
        let skipped = [
            ("2026-03-29 02:00:00.000001", paris),
            ("2026-03-29 02:30:00", paris),
            ("2026-03-29 02:59:59", paris),
            ("2011-12-30 12:00:00", Tz::Pacific__Apia),
        ];
        for (text, zone) in skipped {
            assert!(matches!(parse_date(text, zone), Err(DateError::Skipped { .. })), "{text:?}");
        }

        let stop = |text: &str| {
            let stamp = parse_date(text, Tz::Asia__Kolkata).unwrap().unwrap();
            stamp.inclusive_stop() - stamp.micros
        };
        assert_eq!(stop("2026-11-22 23:59:59"), 1_000_000);
        assert_eq!(stop("2026-11-22 12:59:59+05:30"), 1_000_000);
        assert_eq!(stop("2026-11-22 12:29:59"), 0);
        assert_eq!(stop("2026-11-22 12:59:58"), 0);
        assert_eq!(stop("2026-11-22 12:59:59.5"), 0);
        for text in ["", " \n", "None", " None "] {
            assert_eq!(parse_date(text, paris), Ok(None), "{text:?}");
        }
        for text in [
            "none",
            "2026-11-22",
            "22/11/2026 00:00:00",
            "2026-11-22 00:00",
            "2026-11-22  00:00:00",
            "2026-1-2 00:00:00",
            "2026-11-22 00:00:00 ",
            "2026-11-22T00:00:00.Z",
            "2026-11-22T00:00:00+1",
            "2026-11-22T00:00:00+24:00",
            "+026-11-22 00:00:00",
            "2026-11-22T00:00:00+01:",
            "2026-11-22T00:00:00ZZ",
            "é",
            "2026-11-é2 00:00:00",
            "2026-11-22 00:00:00 Europe/Paris",
        ] {
            let padded = text.ends_with(' ');
            assert_eq!(
                matches!(parse_date(text, paris), Err(DateError::Unreadable { .. })),
                !padded,
                "{text:?}"
            );
        }
        for text in [
            "2026-02-29 00:00:00",
            "2026-11-22 24:00:00",
            "2026-11-22 23:59:60",
            "0000-01-01 00:00:00",
            "2026-13-01 00:00:00",
        ] {
            assert!(matches!(parse_date(text, paris), Err(DateError::NoSuchDate { .. })), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(
            text in any::<String>(),
            date in "[0-9]{4}-[0-9]{2}-[0-9]{2}( at |T| )[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]{0,9})?(Z| ?[+-][0-9]{0,4})?",
        ) {
            let _ = parse_date(&text, Tz::Europe__Paris);
            for zone in [Tz::UTC, Tz::Pacific__Apia, Tz::America__Sao_Paulo] {
                let _ = parse_date(&date, zone);
            }
        }

        /// A local time that exists once comes back; one that does not is some instant only where the clock changes.
        #[test]
        fn local_times_return(seconds in 0..1_500_000_000_i64) {
            let local = DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
            let text = local.format("%Y-%m-%d %H:%M:%S").to_string();
            for zone in [Tz::Europe__Paris, Tz::Pacific__Apia, Tz::America__Sao_Paulo, Tz::Australia__Lord_Howe] {
                let back = parse_date(&text, zone).map(|stamp| {
                    let utc = DateTime::from_timestamp_micros(stamp.unwrap().micros).unwrap().naive_utc();
                    zone.from_utc_datetime(&utc).naive_local()
                });
                match zone.from_local_datetime(&local) {
                    LocalResult::Single(_) => prop_assert_eq!(back, Ok(local)),
                    LocalResult::Ambiguous(..) => prop_assert_eq!(back.unwrap_err().why(), NoInstant::Ambiguous),
                    LocalResult::None => match back {
                        Ok(back) => prop_assert!(back > local),
                        Err(error) => prop_assert_eq!(error.why(), NoInstant::Skipped),
                    },
                }
            }
        }
    }
}
