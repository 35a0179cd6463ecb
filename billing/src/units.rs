//! Units that are known, and the exact factors between them.
//!
//! A unit is a known one (`MiB`), or one times a unit of time (`MiB_hour`). Two can be converted into each other if they
//! measure the same thing: data (a byte is 8 bits), time, load of processors (a core is 100 percent), or a plain number.
//! Units that are only names of what is counted (`request`) are not known here and need no factor.
//!
//! Everything is a fraction of whole numbers; a value is rounded once, in [`quantity`].

use slapledger_core::domain::pricing::{Conversion, Meter};
use slapledger_core::domain::quantity::Quantity;

/// The largest factor that a price book may hold.
const MOST: u128 = 1_000_000_000_000;

const HOUR: Unit = Unit { size: 3600, powers: Powers { time: 1, ..Powers::NONE } };

/// Why what is reported cannot be brought to the unit that is charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitError {
    /// It is in no table.
    #[error(
        "{unit:?} is not a unit that is known, so that the factor must be told by multiply_by and divide_by instead"
    )]
    Unknown {
        /// As it was written.
        unit: Box<str>,
    },
    /// They do not measure the same.
    #[error("{from:?} cannot be brought to {to:?}{}", because(.from, .metered))]
    Incompatible {
        /// What is reported.
        from: Box<str>,
        /// What the meter makes of it.
        metered: Box<str>,
        /// What is charged.
        to: Box<str>,
    },
    /// What is counted has no unit.
    #[error("makes no difference to a meter that counts: it must be left out")]
    Counted,
    /// The factor is one that a price book cannot hold.
    #[error("{from:?} and {to:?} are more than 10^12 apart")]
    TooFar {
        /// What is reported.
        from: Box<str>,
        /// What is charged.
        to: Box<str>,
    },
}

fn because(from: &str, metered: &str) -> String {
    if from == metered { String::new() } else { format!(": the meter makes it {metered:?}") }
}

/// What a unit measures: the powers of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Powers {
    data: u8,
    load: u8,
    time: u8,
}

impl Powers {
    const NONE: Self = Self { data: 0, load: 0, time: 0 };
}

/// So many bits, percent, seconds, or just so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unit {
    size: u128,
    powers: Powers,
}

impl Unit {
    fn times(self, other: Self) -> Self {
        let (one, two) = (self.powers, other.powers);
        let powers =
            Powers { data: one.data + two.data, load: one.load + two.load, time: one.time + two.time };
        // The largest is PiB_day: below 10^22.
        Self { size: self.size * other.size, powers }
    }

    fn read(text: &str) -> Result<Self, UnitError> {
        let unknown = || UnitError::Unknown { unit: text.into() };
        match text.split_once('_') {
            None => Self::known(text).ok_or_else(unknown),
            Some((what, time)) => {
                let time = Self::known(time).filter(|unit| unit.powers == HOUR.powers);
                let product = Self::known(what).zip(time).map(|(what, time)| what.times(time));
                product.ok_or_else(unknown)
            }
        }
    }

    fn known(name: &str) -> Option<Self> {
        let data = |size| (size, Powers { data: 1, ..Powers::NONE });
        let load = |size| (size, Powers { load: 1, ..Powers::NONE });
        let time = |size| (size, Powers { time: 1, ..Powers::NONE });
        let number = |size| (size, Powers::NONE);
        let (size, powers) = match name {
            "bit" => data(1),
            "kbit" => data(1000),
            "Mbit" => data(1000_u128.pow(2)),
            "Gbit" => data(1000_u128.pow(3)),
            "Tbit" => data(1000_u128.pow(4)),
            "B" => data(8),
            "kB" => data(8 * 1000),
            "MB" => data(8 * 1000_u128.pow(2)),
            "GB" => data(8 * 1000_u128.pow(3)),
            "TB" => data(8 * 1000_u128.pow(4)),
            "PB" => data(8 * 1000_u128.pow(5)),
            "KiB" => data(8 * 1024),
            "MiB" => data(8 * 1024_u128.pow(2)),
            "GiB" => data(8 * 1024_u128.pow(3)),
            "TiB" => data(8 * 1024_u128.pow(4)),
            "PiB" => data(8 * 1024_u128.pow(5)),
            "percent" => load(1),
            "core" => load(100),
            "second" => time(1),
            "minute" => time(60),
            "hour" => time(3600),
            "day" => time(24 * 3600),
            "1" => number(1),
            "thousand" => number(1000),
            "million" => number(1_000_000),
            _ => return None,
        };
        Some(Self { size, powers })
    }
}

/// The factor from the value of a meter to the unit that is charged, if nodes report in another known unit.
pub(crate) fn conversion(reported_in: &str, meter: &Meter, unit: &str) -> Result<Conversion, UnitError> {
    let from = Unit::read(reported_in)?;
    let (metered, from) = match meter {
        Meter::Count | Meter::UniqueCount { .. } => return Err(UnitError::Counted),
        Meter::TimeIntegral => (format!("{reported_in}_hour"), from.times(HOUR)),
        Meter::Sum | Meter::Min | Meter::Max | Meter::Average | Meter::Latest | Meter::Percentile { .. } => {
            (reported_in.to_owned(), from)
        }
    };
    let to = Unit::read(unit)?;
    if from.powers != to.powers {
        let (from, metered) = (reported_in.into(), metered.into());
        return Err(UnitError::Incompatible { from, metered, to: unit.into() });
    }
    let divisor = gcd(from.size, to.size);
    let factor = |size: u128| {
        let reduced = Some(size / divisor).filter(|reduced| *reduced <= MOST);
        reduced.and_then(|reduced| u64::try_from(reduced).ok())
    };
    match (factor(from.size), factor(to.size)) {
        (Some(multiply), Some(divide)) => Ok(Conversion { multiply, divide }),
        _ => Err(UnitError::TooFar { from: metered.into(), to: unit.into() }),
    }
}

/// The quantity that `numerator / denominator` billionths are after a conversion, rounded once to whole billionths, a
/// half away from zero. None, if it has more than 15 digits before the point, or if its fraction cannot be formed in
/// 128 bits.
#[allow(dead_code, reason = "for rating, which takes it up")]
pub(crate) fn quantity(numerator: i128, denominator: i128, conversion: Conversion) -> Option<Quantity> {
    let (multiply, divide) = (u128::from(conversion.multiply), u128::from(conversion.divide));
    let below = u128::try_from(denominator).ok().filter(|below| *below > 0 && divide > 0)?;
    let above = numerator.unsigned_abs();
    let (above, below) = reduced(above, below);
    let (above, divide) = reduced(above, divide);
    let (multiply, below) = reduced(multiply, below);
    let (multiply, divide) = reduced(multiply, divide);
    let below = below.checked_mul(divide)?;
    // The whole part first: what is left has a smaller product.
    let whole = (above / below).checked_mul(multiply)?;
    let rest = (above % below).checked_mul(multiply)?;
    let (more, rest) = (rest / below, rest % below);
    let up = u128::from(rest >= below - rest);
    let rounded = i128::try_from(whole.checked_add(more)?.checked_add(up)?).ok()?;
    Quantity::from_billionths(if numerator < 0 { -rounded } else { rounded })
}

/// The same fraction in lowest terms.
fn reduced(above: u128, below: u128) -> (u128, u128) {
    let divisor = gcd(above, below);
    // Nothing and nothing have no divisor.
    let divisor = divisor.max(1);
    (above / divisor, below / divisor)
}

fn gcd(mut one: u128, mut other: u128) -> u128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P95: Meter = Meter::Percentile { percent: 95, sample_minutes: 5 };

    #[test]
    fn factors_are_exact_and_reduced() {
        let rows = [
            ("MiB", Meter::TimeIntegral, "GiB_hour", (1, 1024)),
            ("MiB", Meter::TimeIntegral, "MiB_hour", (1, 1)),
            ("MiB", Meter::TimeIntegral, "MB_hour", (16_384, 15_625)),
            ("MiB", Meter::TimeIntegral, "GiB_day", (1, 24_576)),
            ("MiB", Meter::TimeIntegral, "MiB_second", (3600, 1)),
            ("percent", Meter::TimeIntegral, "core_hour", (1, 100)),
            ("1", Meter::TimeIntegral, "hour", (1, 1)),
            ("1", Meter::TimeIntegral, "1_day", (1, 24)),
            ("B", Meter::Sum, "GB", (1, 1_000_000_000)),
            ("B", Meter::Sum, "GiB", (1, 1_073_741_824)),
            ("GiB", Meter::Sum, "B", (1_073_741_824, 1)),
            ("B", Meter::Sum, "bit", (8, 1)),
            ("bit", P95, "MB", (1, 8_000_000)),
            ("Mbit", P95, "Gbit", (1, 1000)),
            ("KiB", Meter::Max, "kB", (128, 125)),
            ("second", Meter::Sum, "hour", (1, 3600)),
            ("minute", Meter::Sum, "day", (1, 1440)),
            ("GiB_hour", Meter::Sum, "MiB_minute", (61_440, 1)),
            ("core", Meter::Average, "percent", (100, 1)),
            ("1", Meter::Sum, "million", (1, 1_000_000)),
            ("thousand", Meter::Latest, "1", (1000, 1)),
            ("TB", Meter::Min, "B", (1_000_000_000_000, 1)),
        ];
        for (from, meter, to, (multiply, divide)) in rows {
            let expected = Conversion { multiply, divide };
            assert_eq!(conversion(from, &meter, to), Ok(expected), "{from} {to}");
        }
    }

    #[test]
    fn units_that_do_not_go_together_are_named() {
        let unknown = "so that the factor must be told by multiply_by and divide_by instead";
        let rows = [
            ("MiB", Meter::Sum, "hour", "\"MiB\" cannot be brought to \"hour\"".to_owned()),
            (
                "MiB",
                Meter::TimeIntegral,
                "GiB",
                "\"MiB\" cannot be brought to \"GiB\": the meter makes it \"MiB_hour\"".to_owned(),
            ),
            ("percent", Meter::Max, "1", "\"percent\" cannot be brought to \"1\"".to_owned()),
            ("furlong", Meter::Sum, "B", format!("\"furlong\" is not a unit that is known, {unknown}")),
            ("B", Meter::Sum, "request", format!("\"request\" is not a unit that is known, {unknown}")),
            ("B", Meter::Sum, "b", format!("\"b\" is not a unit that is known, {unknown}")),
            ("hour_GiB", Meter::Sum, "B", format!("\"hour_GiB\" is not a unit that is known, {unknown}")),
            ("", Meter::Sum, "B", format!("\"\" is not a unit that is known, {unknown}")),
            (
                "GiB_hour_hour",
                Meter::Sum,
                "B",
                format!("\"GiB_hour_hour\" is not a unit that is known, {unknown}"),
            ),
            ("PB", Meter::Sum, "B", "\"PB\" and \"B\" are more than 10^12 apart".to_owned()),
            ("bit", Meter::Sum, "PiB", "\"bit\" and \"PiB\" are more than 10^12 apart".to_owned()),
            (
                "1",
                Meter::Count,
                "thousand",
                "makes no difference to a meter that counts: it must be left out".to_owned(),
            ),
        ];
        for (from, meter, to, expected) in rows {
            let told = conversion(from, &meter, to).map_err(|error| error.to_string());
            assert_eq!(told, Err(expected), "{from} {to}");
        }
    }

    #[test]
    fn quantities_are_rounded_once_half_away_from_zero() {
        let none = Conversion::NONE;
        let per_1024 = Conversion { multiply: 1, divide: 1024 };
        let huge = Conversion { multiply: 1_000_000_000_000, divide: 999_999_999_999 };
        let limit = 10_i128.pow(24);
        let rows = [
            (0, 1, none, Some(0)),
            (1, 2, none, Some(1)),
            (-1, 2, none, Some(-1)),
            (1, 3, none, Some(0)),
            (2, 3, none, Some(1)),
            (-2, 3, none, Some(-1)),
            (511, 1, per_1024, Some(0)),
            (512, 1, per_1024, Some(1)),
            (1024 * 7 + 511, 1, per_1024, Some(7)),
            (3_600_000_000 * 5 / 2, 3_600_000_000, none, Some(3)),
            // Rounding first and converting afterwards would make 1 of it, and then nothing.
            (1, 2, Conversion { multiply: 1, divide: 2 }, Some(0)),
            (limit - 1, 1, none, Some(limit - 1)),
            (limit, 1, none, None),
            (2 * limit - 1, 2, none, None),
            (-limit, 1, none, None),
            (limit, 1, per_1024, Some(limit / 1024)),
            (i128::MAX, i128::MAX, none, Some(1)),
            (i128::MIN, 1, none, None),
            (i128::MIN, i128::MAX, none, Some(-1)),
            (1, 0, none, None),
            (1, -1, none, None),
            (1, 1, Conversion { multiply: 1, divide: 0 }, None),
            // The product of numerator and factor has 50 digits.
            (10_i128.pow(38) - 7, 3_600_000_000_000_000, huge, Some(27_777_777_777_805_555_555_556)),
        ];
        for (above, below, factor, expected) in rows {
            let got = quantity(above, below, factor).map(Quantity::billionths);
            assert_eq!(got, expected, "{above} / {below} by {factor:?}");
        }
    }

    /// A whole number in base 2^32, the lowest digit first: slow, and wide enough for everything.
    fn wide(mut value: u128) -> Vec<u64> {
        let mut digits = Vec::new();
        while value > 0 {
            digits.push(u64::try_from(value & 0xffff_ffff).unwrap());
            value >>= 32;
        }
        digits
    }

    fn wide_product(one: &[u64], other: &[u64]) -> Vec<u64> {
        let mut digits = vec![0_u64; one.len() + other.len() + 1];
        for (at, digit) in one.iter().enumerate() {
            let mut carry = 0;
            for (place, by) in other.iter().chain(&[0]).enumerate() {
                let sum = digits[at + place] + digit * by + carry;
                digits[at + place] = sum & 0xffff_ffff;
                carry = sum >> 32;
            }
            assert_eq!(carry, 0);
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        digits
    }

    fn not_above(one: &[u64], other: &[u64]) -> bool {
        one.len().cmp(&other.len()).then_with(|| one.iter().rev().cmp(other.iter().rev())).is_le()
    }

    proptest! {
        /// `q` is right if `(2q - 1) x below <= 2 x above x multiply < (2q + 1) x below`, in numbers of any width.
        #[test]
        fn quantities_are_the_nearest(
            above in prop_oneof![0..i128::MAX, 0..10_i128.pow(24), 0..1000_i128],
            below in prop_oneof![1..i128::MAX, 1..10_i128.pow(16), 1..1000_i128],
            multiply in prop_oneof![1..1_000_000_000_001_u64, 1..100_u64],
            divide in prop_oneof![1..1_000_000_000_001_u64, 1..100_u64],
        ) {
            let conversion = Conversion { multiply, divide };
            let got = quantity(above, below, conversion);
            prop_assert_eq!(
                quantity(-above, below, conversion).map(Quantity::billionths),
                got.map(|quantity| -quantity.billionths())
            );
            let scaled = |factor: u128| {
                wide_product(&wide(factor), &wide_product(&wide(below.unsigned_abs()), &wide(divide.into())))
            };
            let twice = wide_product(
                &wide(2), &wide_product(&wide(above.unsigned_abs()), &wide(multiply.into())));
            if let Some(got) = got {
                let got = got.billionths().unsigned_abs();
                prop_assert!(got == 0 || not_above(&scaled(2 * got - 1), &twice));
                prop_assert!(!not_above(&scaled(2 * got + 1), &twice));
            } else {
                let too_large = not_above(&scaled(2 * 10_u128.pow(24) - 1), &twice);
                let factors = [below.unsigned_abs(), multiply.into(), divide.into()];
                let product = factors.into_iter().try_fold(1_u128, u128::checked_mul);
                prop_assert!(too_large || product.is_none(), "{} / {}", above, below);
            }
        }
    }
}
