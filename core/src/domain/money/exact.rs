//! Exact amounts, and the one place where quantities and prices are multiplied.
//!
//! The product of a quantity and a price is formed exactly and rounded once, explicitly; nothing overflows and nothing is
//! lost without being asked for.

use std::fmt;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::error::DecodeError;
use bincode::{BorrowDecode, Decode, Encode};
use serde::{Serialize, Serializer};

use super::{Amount, Currency, Price, Rounding};
use crate::domain::quantity::{ONE, Quantity, SCALE};

/// An exact amount of money, down to 10^-18 of one: what products of quantities and prices are before they are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode)]
pub struct Exact {
    whole: i128,
    /// Above `whole`, below one.
    attos: u64,
}

/// Attos in one.
const ATTOS: i128 = ONE * ONE;

impl Exact {
    /// Nothing.
    pub const ZERO: Self = Self { whole: 0, attos: 0 };

    fn of(whole: i128, attos: i128) -> Self {
        let attos_above = u64::try_from(attos.rem_euclid(ATTOS)).unwrap_or(0);
        Self { whole: whole + attos.div_euclid(ATTOS), attos: attos_above }
    }

    /// `quantity x price`: 24 digits before the point and 18 after it, none of them lost.
    pub fn product(quantity: Quantity, price: Price) -> Self {
        let (quantity, price) = (quantity.billionths(), price.billionths());
        let (q, q_rest) = (quantity.div_euclid(ONE), quantity.rem_euclid(ONE));
        let (p, p_rest) = (price / ONE, price % ONE);
        // q < 10^15 and p < 10^9, the rests < 10^9: nothing here passes 10^25.
        let billionths = q * p_rest + q_rest * p;
        let attos = billionths.rem_euclid(ONE) * ONE + q_rest * p_rest;
        Self::of(q * p + billionths.div_euclid(ONE), attos)
    }

    /// So many percent of an amount; nothing, if it has more digits than can be counted.
    pub fn percentage(base: Amount, percent: Quantity) -> Option<Self> {
        let scale = u32::from(base.digits) + SCALE + 2;
        let product = base.minor.checked_mul(percent.billionths())?;
        let one = 10_i128.pow(scale);
        Some(Self::of(product.div_euclid(one), product.rem_euclid(one) * 10_i128.pow(18 - scale)))
    }

    /// A part of an amount, such as 10 / 110 of it, to 18 digits: the digits after them are cut off, so that it rounds to
    /// the minor unit as all of its digits would. `None`, if it has more digits than can be counted.
    pub fn part_of(base: Amount, part: Quantity, whole: Quantity) -> Option<Self> {
        if base.minor < 0 {
            return Self::part_of(base.negated(), part, whole).map(|exact| Self::ZERO.minus(exact));
        }
        let product = base.minor.checked_mul(part.billionths())?;
        let divisor = whole.billionths().checked_mul(10_i128.pow(base.digits.into()))?;
        let (units, rest) = (product.checked_div_euclid(divisor)?, product.checked_rem_euclid(divisor)?);
        Some(Self::of(units, rest.checked_mul(ATTOS)?.checked_div_euclid(divisor)?))
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::of(self.whole + other.whole, i128::from(self.attos) + i128::from(other.attos))
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self::of(self.whole - other.whole, i128::from(self.attos) - i128::from(other.attos))
    }

    /// Less than nothing.
    pub fn is_negative(self) -> bool {
        self.whole < 0
    }

    /// Farther from nothing than a limit.
    pub fn is_beyond(self, limit: Self) -> bool {
        self > limit || Self::ZERO.minus(self) > limit
    }

    /// Brought to the minor unit of a currency, once.
    pub fn round(self, currency: Currency, rounding: Rounding) -> Amount {
        let negative = self.is_negative();
        let Self { whole, attos } = if negative { Self::ZERO.minus(self) } else { self };
        let per_one = 10_i128.pow(currency.minor_digits());
        let unit = ATTOS / per_one;
        let (floor, rest) = (i128::from(attos) / unit, i128::from(attos) % unit);
        let floor = whole * per_one + floor;
        let up = 2 * rest > unit
            || 2 * rest == unit
                && match rounding {
                    Rounding::HalfUp => true,
                    Rounding::HalfEven => floor % 2 == 1,
                };
        let minor = floor + i128::from(up);
        Amount::from_minor(if negative { -minor } else { minor }, currency)
    }
}

impl<C> Decode<C> for Exact {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (whole, attos) = Decode::decode(decoder)?;
        let below_one = i128::from(attos) < ATTOS;
        below_one.then_some(Self { whole, attos }).ok_or(DecodeError::Other("more than 10^18 attos"))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Exact {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

impl From<Amount> for Exact {
    fn from(amount: Amount) -> Self {
        let per_one = 10_i128.pow(amount.digits.into());
        Self::of(amount.minor.div_euclid(per_one), amount.minor.rem_euclid(per_one) * (ATTOS / per_one))
    }
}

impl std::iter::Sum for Exact {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::plus)
    }
}

/// Without trailing zeros.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, shown) = if self.is_negative() { ("-", Self::ZERO.minus(*self)) } else { ("", *self) };
        let fraction = format!("{:018}", shown.attos);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{fraction}", shown.whole)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An exact amount, rounded once, and what rounding added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundedAmount {
    /// In minor units.
    pub amount: Amount,
    /// What rounding added to the exact amount: less than one minor unit, and below zero if it took something away.
    pub residue: Exact,
}

impl RoundedAmount {
    /// Rounds an exact amount.
    pub fn of(exact: Exact, currency: Currency, rounding: Rounding) -> Self {
        let amount = exact.round(currency, rounding);
        Self { amount, residue: Exact::from(amount).minus(exact) }
    }
}

/// `quantity x price`, exactly, then rounded once to the minor unit of the currency.
pub fn rate(quantity: Quantity, price: Price, currency: Currency, rounding: Rounding) -> RoundedAmount {
    RoundedAmount::of(Exact::product(quantity, price), currency, rounding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn rated(quantity: &str, price: &str, currency: &str, rounding: Rounding) -> String {
        let amount = rate(
            quantity.parse().expect(quantity),
            price.parse().expect(price),
            currency.parse().expect(currency),
            rounding,
        );
        amount.amount.to_string()
    }

    /// 10 / 110 of 1,480 yen are 134.545454.. yen; half of a yen goes away from zero on both sides, a little less does not.
    #[test]
    fn a_part_of_an_amount_rounds_as_all_of_its_digits_would() {
        let quantity = |text: &str| text.parse::<Quantity>().expect(text);
        let yen: Currency = "JPY".parse().expect("a currency");
        let rows = [
            (1480, ("10", "110"), "134.545454545454545454", 135),
            (-1480, ("10", "110"), "-134.545454545454545454", -135),
            (11, ("5", "110"), "0.5", 1),
            (-11, ("5", "110"), "-0.5", -1),
            (-1, ("49.9999999", "100"), "-0.499999999", 0),
            (0, ("10", "110"), "0", 0),
        ];
        for (minor, (part, whole), exact, rounded) in rows {
            let found = Exact::part_of(Amount::from_minor(minor, yen), quantity(part), quantity(whole));
            let found = found.expect("in range");
            assert_eq!(found.to_string(), exact, "{minor}");
            assert_eq!(found.round(yen, Rounding::HalfUp).minor(), rounded, "{minor}");
        }
    }

    #[test]
    fn products_round_once() {
        use Rounding::{HalfEven, HalfUp};
        let rows = [
            ("1", "10.00", "EUR", HalfUp, "10.00"),
            ("0.516129032", "10.00", "EUR", HalfUp, "5.16"),
            ("0.5", "0.01", "EUR", HalfUp, "0.01"),
            ("0.5", "0.01", "EUR", HalfEven, "0.00"),
            ("1.5", "0.01", "EUR", HalfEven, "0.02"),
            ("0.500000001", "0.010000001", "EUR", HalfEven, "0.01"),
            ("0.499999999", "0.01", "EUR", HalfUp, "0.00"),
            ("-0.5", "0.01", "EUR", HalfUp, "-0.01"),
            ("3", "33.5", "JPY", HalfUp, "101"),
            ("3", "0.0005", "TND", HalfUp, "0.002"),
            (
                "999999999999999.999999999",
                "999999999.999999999",
                "EUR",
                HalfUp,
                "999999999999999998999999.00",
            ),
        ];
        for (quantity, price, currency, rounding, expected) in rows {
            assert_eq!(
                rated(quantity, price, currency, rounding),
                expected,
                "{quantity} x {price} {currency}"
            );
        }
    }

    #[test]
    fn exact_amounts_lose_nothing() {
        let exact = |quantity: &str, price: &str| {
            Exact::product(quantity.parse().expect(quantity), price.parse().expect(price))
        };
        let rows = [
            ("0.516129032", "10.00", "5.16129032"),
            ("-0.516129032", "10.00", "-5.16129032"),
            ("0.000000001", "0.000000001", "0.000000000000000001"),
            ("-0.000000001", "0.000000001", "-0.000000000000000001"),
            ("-1", "0.25", "-0.25"),
            (
                "999999999999999.999999999",
                "999999999.999999999",
                "999999999999999998999999.000000000000000001",
            ),
        ];
        for (quantity, price, expected) in rows {
            assert_eq!(exact(quantity, price).to_string(), expected, "{quantity} x {price}");
        }
        let sum = exact("0.5", "0.01").plus(exact("-0.5", "0.01"));
        assert_eq!(sum, Exact::ZERO);
        let tenth =
            Exact::percentage(Amount::from_minor(-12_345, Currency::EUR), "10.5".parse().expect("percent"));
        assert_eq!(tenth.expect("few digits").to_string(), "-12.96225");
        let huge = Amount::from_minor(i128::MAX, Currency::EUR);
        assert_eq!(Exact::percentage(huge, "10".parse().expect("percent")), None);
    }

    #[test]
    fn no_bytes_are_an_exact_amount_twice() {
        let config = bincode::config::standard();
        let one = bincode::encode_to_vec((0_i128, 1_000_000_000_000_000_000_u64), config).expect("encodes");
        assert!(bincode::decode_from_slice::<Exact, _>(&one, config).is_err(), "one is a whole");
        let most = bincode::encode_to_vec((0_i128, 999_999_999_999_999_999_u64), config).expect("encodes");
        assert!(bincode::decode_from_slice::<Exact, _>(&most, config).is_ok());
    }

    /// What the tests reckon with beside it: a count of attos that cannot overflow.
    type Digits = Vec<u8>;

    /// `|one| x |other|` by long multiplication, as decimal digits, the lowest first.
    fn multiplied(one: i128, other: i128) -> Digits {
        let digits =
            |n: i128| n.unsigned_abs().to_string().bytes().rev().map(|b| b - b'0').collect::<Vec<_>>();
        let (one, other) = (digits(one), digits(other));
        let mut product = vec![0_u8; one.len() + other.len()];
        for (at, a) in one.iter().enumerate() {
            let mut carry = 0;
            for (to, b) in other.iter().enumerate() {
                let sum = product[at + to] + a * b + carry;
                (product[at + to], carry) = (sum % 10, sum / 10);
            }
            product[at + other.len()] += carry;
        }
        product
    }

    /// Digits with so many of them after the point, as an exact amount is printed.
    fn printed(negative: bool, mut digits: Digits, scale: usize) -> String {
        digits.resize(digits.len().max(scale + 1), 0);
        let text: String = digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
        let (whole, fraction) = text.split_at(text.len() - scale);
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let nothing = whole.is_empty() && fraction.is_empty();
        let sign = if negative && !nothing { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }

    fn quantities() -> impl Strategy<Value = Quantity> {
        let most = 10_i128.pow(24) - 1;
        prop_oneof![-most..=most, -ONE..=ONE, Just(most), Just(-most)]
            .prop_map(|billionths| Quantity::from_billionths(billionths).expect("in range"))
    }

    fn prices() -> impl Strategy<Value = Price> {
        let most = 10_i128.pow(18) - 1;
        prop_oneof![0..=most, 0..=ONE, Just(most)]
            .prop_map(|billionths| Price::from_billionths(billionths).expect("in range"))
    }

    fn exacts() -> impl Strategy<Value = Exact> {
        (quantities(), prices()).prop_map(|(quantity, price)| Exact::product(quantity, price))
    }

    fn currencies() -> impl Strategy<Value = Currency> {
        prop::sample::select(vec!["EUR", "JPY", "TND"]).prop_map(|code| code.parse().expect(code))
    }

    proptest! {
        #[test]
        fn products_are_those_of_long_multiplication(quantity in quantities(), price in prices()) {
            let (q, p) = (quantity.billionths(), price.billionths());
            let expected = printed(q < 0, multiplied(q, p), 18);
            prop_assert_eq!(Exact::product(quantity, price).to_string(), expected);
        }

        #[test]
        fn percentages_are_those_of_long_multiplication(
            minor in -10_i128.pow(24)..10_i128.pow(24),
            percent in 0_i128..=1000 * ONE,
            currency in currencies(),
        ) {
            let rate = Quantity::from_billionths(percent).expect("in range");
            let digits = usize::try_from(currency.minor_digits()).expect("few");
            let expected = printed(minor < 0, multiplied(minor, percent), digits + 9 + 2);
            let got = Exact::percentage(Amount::from_minor(minor, currency), rate).expect("few digits");
            prop_assert_eq!(got.to_string(), expected);
        }

        #[test]
        fn sums_are_those_of_numbers(a in exacts(), b in exacts(), c in exacts()) {
            prop_assert_eq!(a.plus(b).plus(c), a.plus(b.plus(c)));
            prop_assert_eq!(a.plus(b), b.plus(a));
            prop_assert_eq!(a.plus(b).minus(b), a);
            prop_assert_eq!(a.minus(a), Exact::ZERO);
            prop_assert_eq!(a.plus(Exact::ZERO), a);
            prop_assert_eq!([a, b, c].into_iter().sum::<Exact>(), a.plus(b).plus(c));
            prop_assert_eq!(a.cmp(&b), a.minus(b).cmp(&Exact::ZERO));
            prop_assert_eq!(a.is_negative(), a < Exact::ZERO);
        }

        #[test]
        fn exact_amounts_come_back_from_bytes(exact in exacts()) {
            let config = bincode::config::standard();
            let bytes = bincode::encode_to_vec(exact, config).expect("encodes");
            let (back, read): (Exact, usize) = bincode::decode_from_slice(&bytes, config).expect("decodes");
            prop_assert_eq!((back, read), (exact, bytes.len()));
        }

        /// What rounding adds is at most half a minor unit, and what is below zero is rounded as what is above.
        #[test]
        fn rounding_is_near_and_the_same_on_both_sides(exact in exacts(), currency in currencies(), even: bool) {
            let rounding = if even { Rounding::HalfEven } else { Rounding::HalfUp };
            let RoundedAmount { amount, residue } = RoundedAmount::of(exact, currency, rounding);
            prop_assert_eq!(Exact::from(amount), exact.plus(residue));
            let unit = Exact::from(Amount::from_minor(1, currency));
            let twice = residue.plus(residue);
            prop_assert!(twice <= unit && Exact::ZERO.minus(twice) <= unit, "{residue}");
            let other = RoundedAmount::of(Exact::ZERO.minus(exact), currency, rounding);
            prop_assert_eq!(other.amount.minor(), -amount.minor());
            prop_assert_eq!(RoundedAmount::of(amount.into(), currency, rounding), RoundedAmount { amount, residue: Exact::ZERO });
        }

        /// Where the product fits rust_decimal, it must agree with it.
        #[test]
        fn agrees_with_rust_decimal(q in 0_i64..1_000_000_000_000, p in 0_i64..1_000_000_000_000) {
            let exact = Decimal::from_i128_with_scale(i128::from(q), 9)
                .checked_mul(Decimal::from_i128_with_scale(i128::from(p), 9)).expect("24 digits fit");
            let expected = exact.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
            let quantity = Quantity::from_billionths(i128::from(q)).expect("in range");
            let price = Price::from_billionths(i128::from(p)).expect("in range");
            let got = rate(quantity, price, Currency::EUR, Rounding::HalfUp);
            prop_assert_eq!(got.amount.to_string().parse::<Decimal>().expect("a decimal"), expected);
            prop_assert_eq!(got.residue.to_string().parse::<Decimal>().expect("a decimal"), expected - exact);
        }
    }
}
