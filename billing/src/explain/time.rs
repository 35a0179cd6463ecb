//! The time that a fee is for, as it is prorated.

use serde::Serialize;
use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::pricing::{Every, Model, Rate};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};

use super::number::Number;
use super::{Basis, MOST, Why};
use crate::proration::{months_of, prorated_parts};
use crate::rating::RatingSubject;

/// A time in units of a fee: the sum of `seconds / of_seconds` of its parts, divided by `divide_by`, rounded half up to
/// nine digits.
#[derive(Debug, Serialize)]
pub struct Time {
    /// What is counted.
    pub unit: &'static str,
    /// By calendar month where the customer is; of hours and days there is one.
    pub parts: Vec<TimePart>,
    /// How many more there are.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub parts_left_out: u64,
    /// 12, for years; else 1.
    pub divide_by: u32,
    /// How many units it is.
    pub quantity: Quantity,
}

/// A part of a time.
#[derive(Debug, Serialize)]
pub struct TimePart {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub stop: Timestamp,
    /// How long it is.
    pub seconds: Number,
    /// How long the month is that it is a part of; or the hour or day.
    pub of_seconds: Number,
}

impl TimePart {
    fn of(part: Period, length_micros: i64) -> Self {
        Self {
            start: part.start,
            stop: part.stop,
            seconds: Number::of_micros(part.micros().into()),
            of_seconds: Number::of_micros(length_micros.into()),
        }
    }
}

impl Time {
    /// A period in units of a fee.
    pub(super) fn of(subject: &RatingSubject<'_>, period: Period, every: Every, quantity: Quantity) -> Self {
        let unit = match every {
            Every::Hour => "hour",
            Every::Day => "day",
            Every::Month => "month",
            Every::Year => "year",
        };
        let divide_by = u32::try_from(months_of(every)).unwrap_or(1);
        let parts = prorated_parts(period, every, subject.calendar).into_iter();
        let mut parts: Vec<_> = parts.map(|(part, whole)| TimePart::of(part, whole)).collect();
        let parts_left_out = parts.len().saturating_sub(MOST) as u64;
        parts.truncate(MOST);
        Self { unit, parts, parts_left_out, divide_by, quantity }
    }

    /// How it is computed, for people.
    pub(super) fn formula(&self) -> String {
        let Self { unit, parts, parts_left_out, divide_by, quantity } = self;
        let terms: Vec<String> =
            parts.iter().map(|part| format!("{} s / {} s", part.seconds, part.of_seconds)).collect();
        let more = if *parts_left_out > 0 { format!(" + {parts_left_out} more") } else { String::new() };
        let sum = format!("{}{more}", terms.join(" + "));
        match divide_by {
            1 => format!("{sum} = {quantity} {unit}"),
            _ => format!("({sum}) / {divide_by} = {quantity} {unit}"),
        }
    }
}

/// The time of a fee.
pub(super) fn explain(subject: &RatingSubject<'_>, line: &InvoiceLine, rate: &Rate) -> Why {
    let Model::Recurring { every, .. } = rate.model else { return Why::default() };
    let time = Time::of(subject, line.period, every, line.quantity);
    Why { formula: vec![time.formula()], basis: Some(Basis::Time(time)), ..Why::default() }
}
