//! Quantities: exact decimals with at most 15 digits before the point and 9 after.
//!
//! Kept as a count of billionths, so that adding is integer addition; on disk as the shortest mantissa and its
//! scale. The bounds make every later product exact (see `money`). Binary floats do not come in here.

use std::fmt;
use std::str::FromStr;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::time::Period;

/// Digits after the point.
pub const SCALE: u32 = 9;
/// Billionths in one.
pub const ONE: i128 = 1_000_000_000;
/// One more than the largest whole part of a quantity.
const WHOLE_LIMIT: i128 = 1_000_000_000_000_000;

/// Why a number is not a quantity or a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// Not a decimal number.
    #[error("must be a decimal number such as 12.5")]
    NotANumber,
    /// Too many digits before the point.
    #[error("must have at most {digits} digits before the point")]
    TooLarge {
        /// How many there may be.
        digits: u32,
    },
    /// Too many digits after the point.
    #[error("must have at most 9 digits after the point")]
    TooFine,
    /// Below zero where that makes no sense.
    #[error("must not be negative")]
    Negative,
}

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i128);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From billionths, if within bounds.
    pub fn from_billionths(billionths: i128) -> Option<Self> {
        (billionths.unsigned_abs() < (WHOLE_LIMIT * ONE).unsigned_abs()).then_some(Self(billionths))
    }

    /// From an exact decimal; nothing is rounded.
    pub fn from_decimal(decimal: Decimal) -> Result<Self, InvalidNumber> {
        let billionths = billionths_of(decimal)?;
        Self::from_billionths(billionths).ok_or(InvalidNumber::TooLarge { digits: 15 })
    }

    /// As a count of billionths.
    pub fn billionths(self) -> i128 {
        self.0
    }

    /// As a decimal without trailing zeros.
    pub fn to_decimal(self) -> Decimal {
        let (mantissa, scale) = shortest(self.0);
        Decimal::from_i128_with_scale(mantissa, scale.into())
    }

    /// The share of this quantity that falls into each part of a period, by time. The parts must follow each
    /// other; their shares always add up to the whole when together they cover `whole`: each boundary is
    /// rounded once, and a share is the difference of its boundaries.
    pub fn split(self, whole: Period, parts: &[Period]) -> Vec<Self> {
        parts
            .iter()
            .map(|part| Self(self.until(whole, part.stop.micros()) - self.until(whole, part.start.micros())))
            .collect()
    }

    /// What has accumulated between the start of `whole` and an instant, spread evenly; toward zero at scale 9.
    fn until(self, whole: Period, instant: i64) -> i128 {
        let elapsed = i128::from((instant - whole.start.micros()).clamp(0, whole.micros()));
        let span = i128::from(whole.micros());
        // |self| < 10^24 and elapsed < 10^18: the product would pass i128, so divide first and carry the rest.
        (self.0 / span) * elapsed + (self.0 % span) * elapsed / span
    }
}

/// The count of billionths in a decimal, if it has no finer digits.
pub(crate) fn billionths_of(decimal: Decimal) -> Result<i128, InvalidNumber> {
    let decimal = decimal.normalize();
    let missing = SCALE.checked_sub(decimal.scale()).ok_or(InvalidNumber::TooFine)?;
    // A mantissa has at most 96 bits (< 10^29), and 10^29 * 10^9 = 10^38 is within i128.
    Ok(decimal.mantissa() * 10_i128.pow(missing))
}

/// Reads plain decimal notation: digits, at most one point, an optional minus. No exponent, no thousands.
pub(crate) fn parse_decimal(text: &str) -> Result<Decimal, InvalidNumber> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.bytes().filter(|b| *b == b'.').count() <= 1;
    if !plain {
        return Err(InvalidNumber::NotANumber);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.trim_end_matches('0').len() > SCALE as usize {
        return Err(InvalidNumber::TooFine);
    }
    if whole.trim_start_matches('0').len() > 15 {
        return Err(InvalidNumber::TooLarge { digits: 15 });
    }
    let shortest = if fraction.is_empty() { text } else { text.trim_end_matches('0').trim_end_matches('.') };
    Decimal::from_str(shortest).map_err(|_| InvalidNumber::NotANumber)
}

impl FromStr for Quantity {
    type Err = InvalidNumber;
    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        parse_usual(text).map_or_else(|| Self::from_decimal(parse_decimal(text)?), Ok)
    }
}

/// The form of nearly all quantities, read without a decimal in between: at most nine digits, and at most nine after a point.
fn parse_usual(text: &str) -> Option<Quantity> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let number = |digits: &str| {
        let is_short = (1..=SCALE as usize).contains(&digits.len());
        let add =
            |number: i64, digit: u8| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'));
        is_short.then(|| digits.bytes().try_fold(0, add)).flatten()
    };
    let missing = SCALE.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let billionths = number(whole)? * 10_i64.pow(SCALE) + number(fraction)? * 10_i64.pow(missing);
    Some(Quantity(billionths.into()))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_decimal().fmt(f)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The shortest mantissa and its scale: what numbers look like on disk.
pub(crate) fn encode_billionths<E: Encoder>(billionths: i128, encoder: &mut E) -> Result<(), EncodeError> {
    let (mantissa, scale) = shortest(billionths);
    scale.encode(encoder)?;
    mantissa.encode(encoder)
}

fn shortest(billionths: i128) -> (i128, u8) {
    let mut scale = 9;
    // Nearly all numbers have 64 bits, and those are divided many times faster: lines of invoices are full of them.
    if let Ok(mut mantissa) = i64::try_from(billionths) {
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        return (mantissa.into(), scale);
    }
    let mut mantissa = billionths;
    while scale > 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    (mantissa, scale)
}

pub(crate) fn decode_billionths<D: Decoder>(decoder: &mut D) -> Result<i128, DecodeError> {
    let scale = u8::decode(decoder)?;
    let mantissa = i128::decode(decoder)?;
    let missing = 9_u8
        .checked_sub(scale)
        .ok_or(DecodeError::Other("number with more than 9 digits after the point"))?;
    mantissa.checked_mul(10_i128.pow(u32::from(missing))).ok_or(DecodeError::Other("number out of range"))
}

impl Encode for Quantity {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_billionths(self.0, encoder)
    }
}

impl<C> Decode<C> for Quantity {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::from_billionths(decode_billionths(decoder)?).ok_or(DecodeError::Other("quantity out of range"))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Quantity {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::time::Timestamp;
    use super::*;

    #[test]
    fn reads_plain_decimals_alone() {
        let rows = [
            ("12.5", Ok("12.5")),
            ("-0.000000001", Ok("-0.000000001")),
            ("007.500000000000", Ok("7.5")),
            ("999999999999999.999999999", Ok("999999999999999.999999999")),
            ("1000000000000000", Err(InvalidNumber::TooLarge { digits: 15 })),
            ("0.0000000001", Err(InvalidNumber::TooFine)),
            ("NaN", Err(InvalidNumber::NotANumber)),
            ("INF", Err(InvalidNumber::NotANumber)),
            ("1e3", Err(InvalidNumber::NotANumber)),
            ("1,5", Err(InvalidNumber::NotANumber)),
            (".5", Err(InvalidNumber::NotANumber)),
            ("5.", Err(InvalidNumber::NotANumber)),
            ("+5", Err(InvalidNumber::NotANumber)),
            ("", Err(InvalidNumber::NotANumber)),
        ];
        for (text, expected) in rows {
            assert_eq!(
                text.parse::<Quantity>().map(|q| q.to_string()),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }

    /// Bytes of others are decoded too: the least integer has no absolute value.
    #[test]
    fn numbers_out_of_range_are_no_quantities() {
        for billionths in [i128::MIN, i128::MAX, WHOLE_LIMIT * ONE, -WHOLE_LIMIT * ONE] {
            assert_eq!(Quantity::from_billionths(billionths), None);
        }
        for (scale, mantissa) in [(9_u8, i128::MIN), (0, i128::MIN), (0, i128::MAX), (10, 1)] {
            let bytes =
                bincode::encode_to_vec((scale, mantissa), bincode::config::standard()).expect("encodes");
            assert!(bincode::decode_from_slice::<Quantity, _>(&bytes, bincode::config::standard()).is_err());
        }
    }

    proptest! {
        #[test]
        fn the_usual_form_is_read_as_any_other(text in "-?[0-9]{0,11}(\\.[0-9]{0,11})?") {
            let expected = parse_decimal(&text).and_then(Quantity::from_decimal);
            prop_assert_eq!(text.parse::<Quantity>(), expected);
        }

        #[test]
        fn a_decimal_has_no_trailing_zeros(mantissa in -(10_i128.pow(12))..10_i128.pow(12), zeros in 0_u32..12) {
            let quantity = Quantity::from_billionths(mantissa * 10_i128.pow(zeros));
            let quantity = quantity.expect("at most 24 digits");
            let expected = Decimal::from_i128_with_scale(quantity.0, SCALE).normalize();
            prop_assert_eq!(quantity.to_decimal().serialize(), expected.serialize());
            prop_assert_eq!(quantity.to_string(), expected.to_string());
        }

        #[test]
        fn shares_add_up_to_the_whole(
            billionths in -(WHOLE_LIMIT * ONE - 1)..(WHOLE_LIMIT * ONE),
            cuts in prop::collection::btree_set(1_i64..100_000_000_000, 0..6),
            length in 100_000_000_000_i64..10_000_000_000_000,
        ) {
            let start = Timestamp::from_micros(1_700_000_000_000_000).expect("in range");
            let whole = Period::new(start, start.plus_micros(length)).expect("not empty");
            let mut bounds = vec![0];
            bounds.extend(cuts);
            bounds.push(length);
            let parts: Vec<Period> = bounds.windows(2)
                .filter_map(|w| Period::new(start.plus_micros(w[0]), start.plus_micros(w[1]))).collect();
            let quantity = Quantity::from_billionths(billionths).expect("in range");
            let sum: i128 = quantity.split(whole, &parts).iter().map(|q| q.billionths()).sum();
            prop_assert_eq!(sum, billionths);
        }

        #[test]
        fn bytes_come_back(billionths in -(WHOLE_LIMIT * ONE - 1)..(WHOLE_LIMIT * ONE)) {
            let quantity = Quantity::from_billionths(billionths).expect("in range");
            let bytes = bincode::encode_to_vec(quantity, bincode::config::standard()).expect("encodes");
            let (back, read): (Quantity, usize) =
                bincode::decode_from_slice(&bytes, bincode::config::standard()).expect("decodes");
            prop_assert_eq!((back, read), (quantity, bytes.len()));
        }
    }
}
