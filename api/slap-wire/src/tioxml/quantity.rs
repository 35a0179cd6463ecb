//! The quantities of usage reports, from text to decimal.
//!
//! Invariant: no binary float comes in between, so a quantity is what the text says to its ninth digit after the point.

use rust_decimal::Decimal;

use super::super::xml::is_xml_space;

/// Digits before the point that a quantity may have.
pub const QUANTITY_INTEGER_DIGITS: usize = 15;
/// Digits after the point that a quantity keeps.
pub const QUANTITY_FRACTION_DIGITS: u32 = 9;

/// Whether a text is in the lexical space of `xs:float`.
pub(super) fn is_float(text: &str) -> bool {
    read_float(text).is_some()
}

/// A text of the type `xs:float`, taken apart.
enum FloatText<'a> {
    NotANumber,
    Infinite,
    Number { is_negative: bool, integer: &'a str, fraction: &'a str, exponent: i64 },
}

/// `None` if the text is not in the lexical space of `xs:float` (XML Schema 1.0 part 2, section 3.2.4).
fn read_float(text: &str) -> Option<FloatText<'_>> {
    let text = text.trim_matches(is_xml_space);
    match text {
        "NaN" => return Some(FloatText::NotANumber),
        "INF" | "-INF" => return Some(FloatText::Infinite),
        _ => {}
    }
    let is_negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, read_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (integer.is_empty() && fraction.is_empty()) || !is_digits(integer) || !is_digits(fraction) {
        return None;
    }
    Some(FloatText::Number { is_negative, integer, fraction, exponent })
}

fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Far out of range is as good as further out.
    let magnitude = digits.parse().unwrap_or(i64::from(u32::MAX)).min(i64::from(u32::MAX));
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// A quantity that can be metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TioQuantity {
    /// At most 15 digits before the point and 9 after it, without trailing zeros; zero has no sign.
    pub value: Decimal,
    /// Whether the text had more than 9 digits after the point. Nodes send binary floats of up to 17 digits; refusing
    /// them would lose the usage.
    pub rounded: bool,
}

/// Why a quantity cannot be metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not in the lexical space of `xs:float`. Not in a [`Report`], whose texts were checked.
    #[error("quantity is no xs:float")]
    Unreadable,
    /// `NaN`.
    #[error("quantity is not a number")]
    NotANumber,
    /// `INF` or `-INF`.
    #[error("quantity is infinite")]
    Infinite,
    /// More than 15 digits before the point.
    #[error("quantity has more than {QUANTITY_INTEGER_DIGITS} digits before the point")]
    OutOfRange,
}

/// The quantity in a text of the type `xs:float`, exactly, then rounded half to even at the ninth digit after the point. No
/// binary float comes in between.
pub fn parse_quantity(text: &str) -> Result<TioQuantity, QuantityError> {
    let (is_negative, integer, fraction, exponent) = match read_float(text) {
        None => return Err(QuantityError::Unreadable),
        Some(FloatText::NotANumber) => return Err(QuantityError::NotANumber),
        Some(FloatText::Infinite) => return Err(QuantityError::Infinite),
        Some(FloatText::Number { is_negative, integer, fraction, exponent }) => {
            (is_negative, integer, fraction, exponent)
        }
    };
    let scale = i64::from(QUANTITY_FRACTION_DIGITS);
    // The value is 0.d1d2d3.. times ten to the `point`, d1 not zero.
    let digits: Vec<u8> = integer.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
    let Some(leading) = digits.iter().position(|digit| *digit != 0) else {
        return Ok(TioQuantity { value: Decimal::ZERO, rounded: false });
    };
    let last = digits.iter().rposition(|digit| *digit != 0).unwrap_or(leading);
    let point = to_i64(integer.len()) - to_i64(leading) + exponent;
    let digits = &digits[leading..=last];
    if point > to_i64(QUANTITY_INTEGER_DIGITS) {
        return Err(QuantityError::OutOfRange);
    }
    // How many of the digits stay: those up to the ninth after the point.
    let places = point + scale;
    let kept = usize::try_from(places).unwrap_or(0).min(digits.len());
    let mut mantissa = digits[..kept].iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(*digit));
    for _ in kept..usize::try_from(places).unwrap_or(0) {
        mantissa *= 10;
    }
    let dropped = &digits[kept..];
    // Below zero places, zeros stand between the last place and the first digit.
    let rounds_up = match dropped {
        [] => false,
        _ if places < 0 => false,
        [5] => mantissa % 2 == 1,
        [first, ..] => *first >= 5,
    };
    mantissa += i128::from(rounds_up);
    if mantissa >= 10_i128.pow(15 + QUANTITY_FRACTION_DIGITS) {
        return Err(QuantityError::OutOfRange);
    }
    let signed = if is_negative { -mantissa } else { mantissa };
    let value = Decimal::try_from_i128_with_scale(signed, QUANTITY_FRACTION_DIGITS)
        .map_err(|_| QuantityError::OutOfRange)?;
    Ok(TioQuantity { value: value.normalize(), rounded: !dropped.is_empty() })
}

fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities() {
        let check = |text: &str, expected: Result<(&str, bool), QuantityError>| {
            let quantity =
                parse_quantity(text).map(|quantity| (quantity.value.to_string(), quantity.rounded));
            assert_eq!(quantity, expected.map(|(value, rounded)| (value.to_owned(), rounded)), "{text:?}");
        };
        check("1.5", Ok(("1.5", false)));
        check(" \t\n1.50\r", Ok(("1.5", false)));
        check("1e3", Ok(("1000", false)));
        check("1.5E-2", Ok(("0.015", false)));
        check("-.5e+1", Ok(("-5", false)));
        check("+7.", Ok(("7", false)));
        check("-0.0", Ok(("0", false)));
        check("0e999999999999999999999", Ok(("0", false)));
        check("12.345678901234567", Ok(("12.345678901", true)));
        check("0.1", Ok(("0.1", false)));
        check("0.30000000000000004", Ok(("0.3", true)));
        check("0.0000000005", Ok(("0", true)));
        check("0.0000000015", Ok(("0.000000002", true)));
        check("0.00000000050000000001", Ok(("0.000000001", true)));
        check("0.0000000004999", Ok(("0", true)));
        check("0.00000000009", Ok(("0", true)));
        check("9e-11", Ok(("0", true)));
        check("-0.0000000025", Ok(("-0.000000002", true)));
        check("-1e-400", Ok(("0", true)));
        check("1e-999999999999999999999", Ok(("0", true)));
        check("999999999999999.999999999", Ok(("999999999999999.999999999", false)));
        check("999999999999999.9999999995", Err(QuantityError::OutOfRange));
        check("999999999999999.9999999994", Ok(("999999999999999.999999999", true)));
        check("1e15", Err(QuantityError::OutOfRange));
        check("1e14", Ok(("100000000000000", false)));
        check("000000000000000000000000000001", Ok(("1", false)));
        check("0.000000000000000000000000000001e30", Ok(("1", false)));
        check("1000000000000000000000000000000e-30", Ok(("1", false)));
        check("1e999999999999999999999", Err(QuantityError::OutOfRange));
        check("NaN", Err(QuantityError::NotANumber));
        check("INF", Err(QuantityError::Infinite));
        check(" -INF", Err(QuantityError::Infinite));
        for text in [
            "", "+INF", "nan", "1e", "1e+", "e1", ".", "-", "--1", "1 2", "0x1", "1_0", "1,5", "\u{a0}1",
            "١", "1e1.5",
        ] {
            check(text, Err(QuantityError::Unreadable));
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>(), number in "[-+]?[0-9]{0,40}\\.?[0-9]{0,40}([eE][-+]?[0-9]{0,30})?") {
            let _ = parse_quantity(&text);
            let _ = parse_quantity(&number);
        }

        /// The decimal is what the text says, to the last digit.
        #[test]
        fn quantities_are_exact(mantissa in -999_999_999_999_999_i64..1_000_000_000_000_000, scale in 0..10_u32) {
            let expected = Decimal::new(mantissa, scale);
            let scientific = format!("{mantissa}e-{scale}");
            let quantity = parse_quantity(&scientific).unwrap();
            prop_assert_eq!((quantity.value, quantity.rounded), (expected, false));
            prop_assert_eq!(parse_quantity(&expected.to_string()).unwrap().value, expected);
        }

        #[test]
        fn rounding_is_that_of_rust_decimal(mantissa in any::<i64>(), scale in 10..19_u32) {
            let exact = Decimal::new(mantissa, scale);
            let rounded = exact.round_dp_with_strategy(9, rust_decimal::RoundingStrategy::MidpointNearestEven);
            prop_assert_eq!(parse_quantity(&exact.to_string()).unwrap().value, rounded);
        }
    }
}
