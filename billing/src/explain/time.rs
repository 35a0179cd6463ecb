//! The time that a fee is for, as it is prorated.

use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::id::InstanceId;
use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::pricing::{Every, FeeTerms, Model, Rate};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::{Period, Timestamp};

use super::number::Number;
use super::{ExplanationParts, LineBasis, MOST};
use crate::proration::{FeeUnits, unit_of};
use crate::rating::{FeePart, FeeTime, LineDetail, RatedLine, RatingSubject};

/// A time in units of a fee: the sum of `seconds / of_seconds` of its parts, divided by `divide_by`, rounded half up to
/// nine digits.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TimeExplained {
    /// What is counted.
    pub unit: &'static str,
    /// By calendar month where the customer is, or by unit; equal hours and days that follow each other are one. Of a fee
    /// that is charged whole, the units that were begun; of a fee for all instances, those of each.
    pub parts: Vec<TimePart>,
    /// How many more there are.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub parts_left_out: u64,
    /// 3 and 12, for quarters and years that are counted in months; else 1.
    pub divide_by: u32,
    /// How many units it is.
    pub quantity: Quantity,
}

/// A part of a time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TimePart {
    /// Whose time it is, of a fee for all instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub stop: Timestamp,
    /// How long it is.
    pub seconds: Number,
    /// How long the month is that it is a part of; or the hour, the day, or the unit of the fee.
    pub of_seconds: Number,
}

impl TimePart {
    fn of(part: Period, length_micros: i64) -> Self {
        Self {
            instance: None,
            start: part.start,
            stop: part.stop,
            seconds: Number::of_micros(part.micros().into()),
            of_seconds: Number::of_micros(length_micros.into()),
        }
    }
}

impl TimeExplained {
    /// A period in units of a fee.
    pub(super) fn of(subject: &RatingSubject<'_>, period: Period, every: Every, quantity: Quantity) -> Self {
        let units = FeeUnits::new(every, None, subject.calendar);
        let parts = units.parts(period).into_iter().map(|(part, whole)| TimePart::of(part, whole));
        Self::of_parts(parts.collect(), units.wholes(), (every, quantity))
    }

    /// The time of a fee, as it was rated.
    fn of_fee(time: &FeeTime, line: &InvoiceLine, every: Every) -> Self {
        let part = |part: &FeePart| TimePart {
            instance: part.instance.filter(|_| line.instance.is_none()),
            ..TimePart::of(part.time, part.whole)
        };
        let parts = time.parts.iter().map(part).collect();
        Self::of_parts(parts, time.wholes, (every, line.quantity))
    }

    fn of_parts(mut parts: Vec<TimePart>, wholes: i64, (every, quantity): (Every, Quantity)) -> Self {
        let parts_left_out = parts.len().saturating_sub(MOST) as u64;
        parts.truncate(MOST);
        let divide_by = u32::try_from(wholes).unwrap_or(1);
        Self { unit: unit_of(every), parts, parts_left_out, divide_by, quantity }
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
pub(super) fn explain(
    subject: &RatingSubject<'_>,
    line: &InvoiceLine,
    again: Option<&RatedLine>,
    rate: &Rate,
) -> ExplanationParts {
    let (every, plain) = match rate.model {
        Model::Recurring { every, terms, .. } => (every, terms == FeeTerms::default()),
        Model::BaseFee { every, .. } => (every, false),
        _ => return ExplanationParts::default(),
    };
    let time = match again.map(|again| &again.detail) {
        Some(LineDetail::Fee(time)) => TimeExplained::of_fee(time, line, every),
        _ if plain => TimeExplained::of(subject, line.period, every, line.quantity),
        _ => return ExplanationParts::default(),
    };
    ExplanationParts {
        formula: vec![time.formula()],
        basis: Some(LineBasis::Time(time)),
        ..ExplanationParts::default()
    }
}
