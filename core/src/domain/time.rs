//! Instants and half-open periods, in microseconds of UTC.
//!
//! A [`Timestamp`] is what the log stores (eight bytes, little-endian) and what decisions compare. It is not a
//! calendar: months, days and zones are cut by billing, with `chrono-tz`.

use std::fmt;
use std::str::FromStr;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z; nothing earlier is representable.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// The last microsecond of the year 9999; nothing later is representable.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// From microseconds since the epoch, if within the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&micros).then_some(Self(micros))
    }

    /// From a calendar instant; beyond the years 1 to 9999 the nearest bound.
    pub fn from_utc(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp_micros().clamp(Self::MIN.0, Self::MAX.0))
    }

    /// From RFC 3339 text with any offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        Self::parse_usual(text).or_else(|| {
            DateTime::parse_from_rfc3339(text).ok().map(|instant| Self::from_utc(instant.to_utc()))
        })
    }

    /// The form that nearly all senders write, such as `2026-10-01T01:00:00Z`, read by its places.
    fn parse_usual(text: &str) -> Option<Self> {
        let text: &[u8; 20] = text.as_bytes().try_into().ok()?;
        let is_form = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
        if is_form.iter().any(|(at, byte)| text[*at] != *byte) {
            return None;
        }
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
            })
        };
        let date = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
        let time = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
        let date = NaiveDate::from_ymd_opt(i32::try_from(date.0).ok()?, date.1, date.2)?;
        let instant = date.and_hms_opt(time.0, time.1, time.2)?;
        Some(Self::from_utc(instant.and_utc()))
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// As a calendar instant.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// This instant moved by so many microseconds, held within the representable years.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros).clamp(Self::MIN.0, Self::MAX.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Encode for Timestamp {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.to_le_bytes().encode(encoder)
    }
}

impl<C> Decode<C> for Timestamp {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let micros = i64::from_le_bytes(Decode::decode(decoder)?);
        Self::from_micros(micros).ok_or(DecodeError::Other("instant outside the years 1 to 9999"))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Timestamp {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// A half-open period [start, stop): its stop does not belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Period {
    /// The first instant within.
    pub start: Timestamp,
    /// The first instant after.
    pub stop: Timestamp,
}

impl Period {
    /// A period that is not empty and does not run backwards.
    pub fn new(start: Timestamp, stop: Timestamp) -> Option<Self> {
        (start < stop).then_some(Self { start, stop })
    }

    /// Its length in microseconds.
    pub fn micros(self) -> i64 {
        self.stop.0 - self.start.0
    }

    /// What this period and another have in common.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.stop.min(other.stop))
    }

    /// What is left of this period without others, in order.
    #[must_use]
    pub fn without(self, others: impl IntoIterator<Item = Self>) -> Vec<Self> {
        others.into_iter().fold(vec![self], |rest, other| {
            let parts = rest.into_iter().flat_map(|part| match part.intersection(other) {
                None => [Some(part), None],
                Some(shared) => [Self::new(part.start, shared.start), Self::new(shared.stop, part.stop)],
            });
            parts.flatten().collect()
        })
    }

    /// Whether the instant is within.
    pub fn contains(self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.stop
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.start, self.stop)
    }
}

/// A time zone of the IANA database, kept on disk by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeZone(pub Tz);

impl TimeZone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Tz::UTC);
}

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;
    fn from_str(name: &str) -> Result<Self, UnknownTimeZone> {
        name.parse().map(Self).map_err(|_| UnknownTimeZone)
    }
}

/// The name is not one of the IANA time zone database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone of the IANA database such as Europe/Paris")]
pub struct UnknownTimeZone;

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Encode for TimeZone {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.name().encode(encoder)
    }
}

impl<C> Decode<C> for TimeZone {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let name: String = Decode::decode(decoder)?;
        name.parse()
            .map_err(|UnknownTimeZone| DecodeError::OtherString(format!("unknown time zone {name:?}")))
    }
}

impl<'de, C> BorrowDecode<'de, C> for TimeZone {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// A day of the calendar, in a zone named elsewhere; on disk as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub NaiveDate);

impl Date {
    fn from_days(days: i32) -> Option<Self> {
        NaiveDate::from_num_days_from_ce_opt(days.checked_add(DAYS_BEFORE_1970)?).map(Self)
    }

    /// The first of January 1970.
    pub fn epoch() -> Self {
        Self(NaiveDate::default())
    }

    /// The day after, if the calendar has one.
    pub fn next(self) -> Option<Self> {
        self.0.succ_opt().map(Self)
    }

    /// The day before, if the calendar has one.
    pub fn before(self) -> Option<Self> {
        self.0.pred_opt().map(Self)
    }

    /// So many days later, or earlier if below zero, if the calendar has that day.
    pub fn plus_days(self, days: i64) -> Option<Self> {
        self.0.checked_add_signed(TimeDelta::try_days(days)?).map(Self)
    }

    /// The Monday on or before it, if the calendar has one.
    pub fn monday(self) -> Option<Self> {
        self.plus_days(-i64::from(self.0.weekday().num_days_from_monday()))
    }

    /// How many days later than another.
    pub fn since(self, other: Self) -> i64 {
        self.0.signed_duration_since(other.0).num_days()
    }

    /// The first instant of this day in a zone. Where midnight does not exist (a clock put forward over it, a
    /// day left out as in Apia in 2011) it is the first instant that comes after it.
    pub fn start_in(self, zone: TimeZone) -> Timestamp {
        first_at(self.0.and_time(NaiveTime::MIN), zone)
    }
}

/// The first instant at which clocks in a zone show a local time; where they never do, the first one that comes after it.
pub(super) fn first_at(local: NaiveDateTime, zone: TimeZone) -> Timestamp {
    // Beyond the years of a timestamp chrono itself runs out of room for offsets.
    match local.year() {
        ..1 => return Timestamp::MIN,
        10_000.. => return Timestamp::MAX,
        _ => {}
    }
    match zone.0.from_local_datetime(&local).earliest() {
        Some(instant) => Timestamp::from_utc(instant.to_utc()),
        None => first_after_gap(local, zone),
    }
}

/// The transition over a local time that does not exist, to the second: the last instant whose local time is
/// before it, plus one second.
fn first_after_gap(local: NaiveDateTime, zone: TimeZone) -> Timestamp {
    // The widest gap known is a whole day; offsets are within a day of UTC.
    let base = local.and_utc().timestamp();
    let (mut before, mut after) = (base - 3 * 86_400, base + 3 * 86_400);
    while after - before > 1 {
        let middle = before.midpoint(after);
        let shown = DateTime::from_timestamp(middle, 0).map(|utc| utc.with_timezone(&zone.0).naive_local());
        if shown.is_some_and(|shown| shown < local) { before = middle } else { after = middle }
    }
    Timestamp(after.saturating_mul(1_000_000))
}

/// Days from 0001-01-01 (day 1) to 1970-01-01.
const DAYS_BEFORE_1970: i32 = 719_163;

impl FromStr for Date {
    type Err = chrono::ParseError;
    fn from_str(text: &str) -> Result<Self, chrono::ParseError> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map(Self)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Encode for Date {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.num_days_from_ce() - DAYS_BEFORE_1970).encode(encoder)
    }
}

impl<C> Decode<C> for Date {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::from_days(i32::decode(decoder)?).ok_or(DecodeError::Other("date out of range"))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Date {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect(text)
    }

    #[test]
    fn instants_are_read_with_any_offset_and_printed_in_utc() {
        assert_eq!(at("2026-10-01T02:00:00+02:00").to_string(), "2026-10-01T00:00:00Z");
        assert_eq!(at("2026-10-01T00:00:00.000001Z").micros() - at("2026-10-01T00:00:00Z").micros(), 1);
        assert_eq!(Timestamp::parse_rfc3339("2026-10-01"), None);
    }

    proptest::proptest! {
        #[test]
        fn the_usual_form_is_read_as_any_other(
            (year, month, day) in (0..=9999_u32, 0..=13_u32, 0..=32_u32),
            (hour, minute, second) in (0..=25_u32, 0..=61_u32, 0..=61_u32),
            broken_at in proptest::option::weighted(0.2, 0..20_usize),
            broken in proptest::sample::select(vec!["x", "-", ":", " ", "+", "t", "z", "0"]),
        ) {
            let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
            if let Some(at) = broken_at {
                text.replace_range(at..=at, broken);
            }
            let expected = DateTime::parse_from_rfc3339(&text).ok();
            let expected = expected.map(|instant| Timestamp::from_utc(instant.to_utc()));
            proptest::prop_assert_eq!(Timestamp::parse_rfc3339(&text), expected, "{}", text);
        }
    }

    #[test]
    fn days_begin_where_their_zone_says() {
        let rows = [
            ("2026-10-01", "UTC", "2026-10-01T00:00:00Z"),
            ("2026-10-01", "Europe/Paris", "2026-09-30T22:00:00Z"),
            ("2026-11-01", "Europe/Paris", "2026-10-31T23:00:00Z"),
            ("2026-10-01", "Asia/Kathmandu", "2026-09-30T18:15:00Z"),
            // 30 December 2011 was left out: it begins with the 31st.
            ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"),
            ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z"),
            // Clocks go from 00:00 to 01:00.
            ("2026-03-29", "Atlantic/Azores", "2026-03-29T01:00:00Z"),
            ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"),
        ];
        for (date, zone, expected) in rows {
            let start = date.parse::<Date>().expect(date).start_in(zone.parse().expect(zone));
            assert_eq!(start.to_string(), expected, "{date} in {zone}");
        }
    }

    /// chrono runs out of room for offsets at the end of its own time: the edge reads days as people wrote them.
    #[test]
    fn days_beyond_all_timestamps_are_the_nearest_bound() {
        for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let start = |date: &str| date.parse::<Date>().expect(date).start_in(zone.parse().expect(zone));
            for (date, expected) in [("-262143-01-01", Timestamp::MIN), ("+262142-12-31", Timestamp::MAX)] {
                assert_eq!(start(date), expected, "{date} in {zone}");
            }
            assert!(start("9999-12-31") <= Timestamp::MAX && start("0001-01-01") >= Timestamp::MIN, "{zone}");
        }
    }

    #[test]
    fn periods_are_half_open() {
        let day = Period::new(at("2026-10-01T00:00:00Z"), at("2026-10-02T00:00:00Z")).expect("a day");
        assert!(day.contains(day.start) && !day.contains(day.stop));
        let next = Period::new(day.stop, day.stop.plus_micros(1)).expect("a microsecond");
        assert_eq!(day.intersection(next), None);
        assert_eq!(Period::new(day.start, day.start), None);
    }
}
