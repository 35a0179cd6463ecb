//! Decimals of any size and scale, as texts: what is summed up before it is divided has more digits than a quantity.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use slapledger_core::domain::quantity::SCALE;
use slapledger_core::schema::Decimal;

/// A whole number of units of 10^-scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    mantissa: i128,
    scale: u32,
}

impl Number {
    /// So many billionths.
    pub(super) fn of_billionths(mantissa: i128) -> Self {
        Self { mantissa, scale: SCALE }
    }

    /// So many billionths times microseconds, as a level times seconds.
    pub(super) fn of_level_micros(mantissa: i128) -> Self {
        Self { mantissa, scale: SCALE + 6 }
    }

    /// So many microseconds, as seconds.
    pub(super) fn of_micros(mantissa: i128) -> Self {
        Self { mantissa, scale: 6 }
    }
}

/// Without trailing zeros.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.scale as usize;
        let text = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        Decimal::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Decimal::json_schema(generator)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn numbers_are_written_without_trailing_zeros() {
        let rows = [
            (Number::of_billionths(0), "0"),
            (Number::of_billionths(-1), "-0.000000001"),
            (Number::of_billionths(12_500_000_000), "12.5"),
            (Number::of_micros(3_600_000_000), "3600"),
            (Number::of_level_micros(1), "0.000000000000001"),
            (Number::of_level_micros(i128::MAX), "170141183460469231731687.303715884105727"),
        ];
        for (number, expected) in rows {
            assert_eq!(number.to_string(), expected);
        }
    }
}
