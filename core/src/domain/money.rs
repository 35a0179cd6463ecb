//! Money: currencies with their minor unit, prices, and amounts.
//!
//! A price has at most 9 digits before and 9 after the point; an amount is a whole number of minor units. What lies
//! between the two, and how it is rounded, is in `exact`.

mod exact;

use std::fmt;
use std::str::FromStr;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

pub use self::exact::{Exact, RoundedAmount, rate};
use super::quantity::{
    InvalidNumber, ONE, SCALE, billionths_of, decode_billionths, encode_billionths, parse_decimal,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// A half goes away from zero.
    #[default]
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

    /// So many minor units of the same currency.
    #[must_use]
    pub fn with_minor(self, minor: i128) -> Self {
        Self { minor, ..self }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
