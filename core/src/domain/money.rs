//! Money: currencies with their minor unit, prices, amounts, and the one place where they are multiplied.
//!
//! A price has at most 9 digits before and 9 after the point; an amount is a whole number of minor units. The
//! product of a quantity and a price is formed exactly and rounded once, explicitly; nothing overflows and
//! nothing is lost without being asked for.

use std::fmt;
use std::str::FromStr;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::quantity::{
    InvalidNumber, ONE, Quantity, SCALE, billionths_of, decode_billionths, encode_billionths, parse_decimal,
};

/// A currency of ISO 4217 and its minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Currency([u8; 3]);

/// Currencies whose minor unit is not a hundredth (ISO 4217, table A.1); those without minor unit and the funds
/// and metals (`XAU`, `XXX`, ...) are not accepted as currencies.
const OTHER_MINOR_UNITS: &[(&str, u32)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// Currencies whose minor unit is a hundredth (ISO 4217, table A.1).
const HUNDREDTHS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD \
CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR \
ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC \
SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG";

/// The code is not one of a currency that can be invoiced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 currency code such as EUR")]
pub struct UnknownCurrency;

impl Currency {
    /// The Euro.
    pub const EUR: Self = Self(*b"EUR");

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits after the point in its minor unit: 2 for EUR, 0 for JPY, 3 for TND.
    pub fn minor_digits(&self) -> u32 {
        let other = OTHER_MINOR_UNITS.iter().find(|(code, _)| code.as_bytes() == self.0);
        other.map_or(2, |(_, digits)| *digits)
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(text: &str) -> Result<Self, UnknownCurrency> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| UnknownCurrency)?;
        let known = OTHER_MINOR_UNITS.iter().any(|(other, _)| *other == text)
            || HUNDREDTHS.split_ascii_whitespace().any(|other| other == text);
        known.then_some(Self(code)).ok_or(UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The price of one unit, in a currency named beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i128);

impl Price {
    /// From billionths, if within bounds: below a thousand million, and not negative.
    pub fn from_billionths(billionths: i128) -> Result<Self, InvalidNumber> {
        if billionths < 0 {
            return Err(InvalidNumber::Negative);
        }
        if billionths >= ONE * ONE {
            return Err(InvalidNumber::TooLarge { digits: 9 });
        }
        Ok(Self(billionths))
    }

    /// As a count of billionths.
    pub fn billionths(self) -> i128 {
        self.0
    }

    /// As a decimal, as it was written but for trailing zeros.
    pub fn to_decimal(self) -> Decimal {
        Decimal::from_i128_with_scale(self.0, SCALE).normalize()
    }
}

impl FromStr for Price {
    type Err = InvalidNumber;
    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        Self::from_billionths(billionths_of(parse_decimal(text)?)?)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_decimal().fmt(f)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Encode for Price {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_billionths(self.0, encoder)
    }
}

impl<C> Decode<C> for Price {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::from_billionths(decode_billionths(decoder)?)
            .map_err(|_| DecodeError::Other("price out of range"))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Price {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}

/// How a product is brought to the minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// A half goes away from zero.
    HalfUp,
    /// A half goes to the even neighbour.
    HalfEven,
}

/// A whole number of minor units of a currency named beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Amount {
    minor: i128,
    digits: u8,
}

impl Amount {
    /// Nothing, in minor units of this currency.
    pub fn zero(currency: Currency) -> Self {
        Self::from_minor(0, currency)
    }

    /// So many minor units of this currency.
    pub fn from_minor(minor: i128, currency: Currency) -> Self {
        // At most 3: the table of currencies has no finer one.
        Self { minor, digits: u8::try_from(currency.minor_digits()).unwrap_or(u8::MAX) }
    }

    /// In minor units.
    pub fn minor(self) -> i128 {
        self.minor
    }

    /// The sum, if both are of the same minor unit and it does not overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = (self.digits == other.digits).then(|| self.minor.checked_add(other.minor)).flatten()?;
        Some(Self { minor, digits: self.digits })
    }

    /// As much the other way.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { minor: self.minor.saturating_neg(), digits: self.digits }
    }

    /// The larger of two amounts of one currency.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if self.minor < other.minor { other } else { self }
    }

    /// The difference, if both are of the same minor unit and it does not overflow.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let minor = (self.digits == other.digits).then(|| self.minor.checked_sub(other.minor)).flatten()?;
        Some(Self { minor, digits: self.digits })
    }

    /// Whether it is counted in minor units of this currency.
    pub fn is_in(self, currency: Currency) -> bool {
        u32::from(self.digits) == currency.minor_digits()
    }

    /// Reads plain decimal notation, `-12.50`: at most 15 digits before the point, and after it no more than the minor
    /// unit of the currency has.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, InvalidAmount> {
        let digits = currency.minor_digits();
        let billionths = match parse_decimal(text).and_then(billionths_of) {
            Ok(billionths) => billionths,
            Err(InvalidNumber::TooFine) => return Err(InvalidAmount::TooFine { digits }),
            Err(error) => return Err(InvalidAmount::Number(error)),
        };
        let unit = 10_i128.pow(SCALE - digits);
        if billionths % unit != 0 {
            return Err(InvalidAmount::TooFine { digits });
        }
        Ok(Self::from_minor(billionths / unit, currency))
    }

    /// The sum of amounts of one currency.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }
}

/// Why a text is no amount of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// It is no number, or too large a one.
    #[error(transparent)]
    Number(InvalidNumber),
    /// It has digits finer than the minor unit.
    #[error("must have at most {digits} digits after the point in this currency")]
    TooFine {
        /// How many the minor unit has.
        digits: u32,
    },
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.digits);
        let sign = if self.minor < 0 { "-" } else { "" };
        let text = format!("{:0>width$}", self.minor.unsigned_abs(), width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let point = if digits == 0 { "" } else { "." };
        f.pad_integral(true, "", &format!("{sign}{whole}{point}{fraction}"))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

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
pub struct Rated {
    /// In minor units.
    pub amount: Amount,
    /// What rounding added to the exact amount: less than one minor unit, and below zero if it took something away.
    pub residue: Exact,
}

impl Rated {
    /// Rounds an exact amount.
    pub fn of(exact: Exact, currency: Currency, rounding: Rounding) -> Self {
        let amount = exact.round(currency, rounding);
        Self { amount, residue: Exact::from(amount).minus(exact) }
    }
}

/// `quantity x price`, exactly, then rounded once to the minor unit of the currency.
pub fn rate(quantity: Quantity, price: Price, currency: Currency, rounding: Rounding) -> Rated {
    Rated::of(Exact::product(quantity, price), currency, rounding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn currencies_know_their_minor_unit() {
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("TND", 3)] {
            assert_eq!(code.parse::<Currency>().expect(code).minor_digits(), digits);
        }
        for wrong in ["", "eur", "EURO", "XXX", "XAU", "ZZZ"] {
            assert_eq!(wrong.parse::<Currency>(), Err(UnknownCurrency), "{wrong}");
        }
    }

    #[test]
    fn prices_are_bounded() {
        assert_eq!("-1".parse::<Price>(), Err(InvalidNumber::Negative));
        assert_eq!("1000000000".parse::<Price>(), Err(InvalidNumber::TooLarge { digits: 9 }));
        assert_eq!("0.0000000001".parse::<Price>(), Err(InvalidNumber::TooFine));
    }

    #[test]
    fn amounts_are_read_to_the_minor_unit() {
        let parse = |text, currency: &str| {
            let currency = currency.parse().expect(currency);
            Amount::parse(text, currency).map(|amount| (amount.minor(), amount.is_in(currency)))
        };
        let too_fine = |digits| Err(InvalidAmount::TooFine { digits });
        let rows = [
            ("100.00", "EUR", Ok((10_000, true))),
            ("-5", "EUR", Ok((-500, true))),
            ("0.010", "EUR", Ok((1, true))),
            ("0.001", "EUR", too_fine(2)),
            ("0.0000000001", "EUR", too_fine(2)),
            ("0.001", "TND", Ok((1, true))),
            ("7", "JPY", Ok((7, true))),
            ("7.5", "JPY", too_fine(0)),
            ("1e3", "EUR", Err(InvalidAmount::Number(InvalidNumber::NotANumber))),
            ("1000000000000000", "EUR", Err(InvalidAmount::Number(InvalidNumber::TooLarge { digits: 15 }))),
        ];
        for (text, currency, expected) in rows {
            assert_eq!(parse(text, currency), expected, "{text} {currency}");
        }
        let yen = Amount::from_minor(1, "JPY".parse().expect("a currency"));
        assert!(!yen.is_in(Currency::EUR));
        assert_eq!(yen.checked_sub(Amount::zero(Currency::EUR)), None);
        assert_eq!(yen.checked_sub(yen).map(Amount::minor), Some(0));
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
            let Rated { amount, residue } = Rated::of(exact, currency, rounding);
            prop_assert_eq!(Exact::from(amount), exact.plus(residue));
            let unit = Exact::from(Amount::from_minor(1, currency));
            let twice = residue.plus(residue);
            prop_assert!(twice <= unit && Exact::ZERO.minus(twice) <= unit, "{residue}");
            let other = Rated::of(Exact::ZERO.minus(exact), currency, rounding);
            prop_assert_eq!(other.amount.minor(), -amount.minor());
            prop_assert_eq!(Rated::of(amount.into(), currency, rounding), Rated { amount, residue: Exact::ZERO });
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
