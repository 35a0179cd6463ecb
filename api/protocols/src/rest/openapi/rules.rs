//! The rules that texts of bodies are read by. A rule says what a text must be, for the sender to put it right.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use slapledger_core::domain::access::Purpose;
use slapledger_core::domain::instance::{InstanceType, ReportedState, RequestedState};
use slapledger_core::domain::invoice::Bound;
use slapledger_core::domain::party;
use slapledger_core::domain::software::{SoftwareState, SupplyState};
use slapledger_core::domain::tax::TaxCategory;
use slapledger_core::domain::time::{Date, Timestamp};
use slapledger_kit::text::carriable;
use slapledger_usecases::requesting::parse_state;
use slapledger_usecases::software::supply_state as word_of_supply;

/// The longest text that is kept, in bytes.
const MOST_BYTES: usize = 500;
/// The longest text that a node gets back, in bytes.
const MOST_NODE_BYTES: usize = 255;

/// A text that knows its own rule.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|rule: T::Err| rule.to_string())
}

/// The same of a text that XML can carry.
pub(super) fn carried<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    carriable("", text).map_err(|problem| problem.detail)?;
    parsed(text)
}

/// Any text: whether it fits is decided where it goes.
#[expect(clippy::unnecessary_wraps, reason = "it reads a member of a body, as others do that may refuse")]
pub(super) fn any_text(text: &str) -> Result<Box<str>, String> {
    Ok(text.into())
}

/// A text that is kept.
pub(crate) fn kept_text(text: &str) -> Result<String, String> {
    let fine = !text.trim().is_empty() && text.len() <= MOST_BYTES && !text.chars().any(char::is_control);
    let rule = || format!("must be a text of 1 to {MOST_BYTES} bytes without control characters");
    fine.then(|| text.to_owned()).ok_or_else(rule)
}

/// A text that nodes get back in XML.
pub(super) fn node_text(text: &str) -> Result<Box<str>, String> {
    carriable("", text).map_err(|problem| problem.detail)?;
    if text.len() > MOST_NODE_BYTES {
        return Err(format!("must not be longer than {MOST_NODE_BYTES} bytes"));
    }
    Ok(text.into())
}

/// An instant.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| "must be an RFC 3339 instant with its offset, such as 2027-01-01T00:00:00Z".to_owned())
}

/// A day.
pub(super) fn day(text: &str) -> Result<Date, String> {
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    day.ok_or_else(|| "must be a day such as 2026-11-01".to_owned())
}

/// A day, or an instant.
pub(crate) fn bound(text: &str) -> Result<Bound, String> {
    text.parse()
        .map_err(|_| "must be a day such as 2026-10-01, or an RFC 3339 instant with its offset".to_owned())
}

pub(super) fn purpose(text: &str) -> Result<Purpose, String> {
    match text {
        "access" => Ok(Purpose::Access),
        "register_computer" => Ok(Purpose::RegisterComputer),
        "get_certificate" => Ok(Purpose::GetCertificate),
        _ => Err("must be access, register_computer or get_certificate".to_owned()),
    }
}

pub(super) fn tax_category(text: &str) -> Result<TaxCategory, String> {
    use TaxCategory::{AE, E, G, K, O, S, Z};
    let known = [S, Z, E, AE, K, G, O].into_iter().find(|category| format!("{category:?}") == text);
    known.ok_or_else(|| "must be S, Z, E, AE, K, G or O".to_owned())
}

pub(super) fn instance_type(text: &str) -> Result<InstanceType, String> {
    let mut all = [InstanceType::Production, InstanceType::Testing].into_iter();
    let known = all.find(|known| known.as_str() == text);
    known.ok_or_else(|| "must be production or testing".to_owned())
}

pub(super) fn requested_state(text: &str) -> Result<RequestedState, String> {
    parse_state(text).ok_or_else(|| "must be started, stopped or destroyed".to_owned())
}

pub(super) fn reported_state(text: &str) -> Result<ReportedState, String> {
    match text {
        "started" => Ok(ReportedState::Started),
        "stopped" => Ok(ReportedState::Stopped),
        "destroyed" => Ok(ReportedState::Destroyed),
        "error" => Ok(ReportedState::Error),
        _ => Err("must be started, stopped, destroyed or error".to_owned()),
    }
}

pub(super) fn supply_state(text: &str) -> Result<SupplyState, String> {
    let mut all = [SupplyState::Available, SupplyState::Destroyed].into_iter();
    let found = all.find(|state| word_of_supply(*state) == text);
    found.ok_or_else(|| "must be available or destroyed".to_owned())
}

pub(super) fn software_state(text: &str) -> Result<SoftwareState, String> {
    match text {
        "building" => Ok(SoftwareState::Building),
        "available" => Ok(SoftwareState::Available),
        "destroyed" => Ok(SoftwareState::Destroyed),
        "error" => Ok(SoftwareState::Error),
        _ => Err("must be building, available, destroyed or error".to_owned()),
    }
}

pub(super) fn country(text: &str) -> Result<String, String> {
    parsed::<party::Country>(text).map(|country| country.to_string())
}

pub(super) fn address_scheme(text: &str) -> Result<String, String> {
    let fine = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let rule = || "must be four letters or digits, such as 0088".to_owned();
    fine.then(|| text.to_owned()).ok_or_else(rule)
}

/// EN 16931, BR-CO-09: the prefix is a country, or EL for Greece.
pub(super) fn vat_id(text: &str) -> Result<String, String> {
    let (prefix, rest) = text.split_at_checked(2).unwrap_or(("", ""));
    let country = prefix == "EL" || prefix.parse::<party::Country>().is_ok();
    let fine = (2..=13).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let rule = || "must begin with its country, without spaces, such as FR83404833048".to_owned();
    (country && fine).then(|| text.to_owned()).ok_or_else(rule)
}

pub(super) fn email(address: &str) -> Result<String, String> {
    let (local, domain) = address.split_once('@').unwrap_or(("", ""));
    let fine = !local.is_empty() && domain.contains('.') && !address.contains(char::is_whitespace);
    if fine { kept_text(address) } else { Err("must be an address such as billing@example.org".to_owned()) }
}

/// ISO 13616: the rest of a division by 97 is 1.
pub(super) fn iban(text: &str) -> Result<String, String> {
    let compact: String = text.chars().filter(|c| *c != ' ').collect();
    let letters = (15..=34).contains(&compact.len())
        && compact.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let (head, rest) = compact.split_at_checked(4).unwrap_or(("", ""));
    let digits = rest.bytes().chain(head.bytes());
    let remainder = digits.fold(0_u32, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97,
    });
    let rule = || "must be an IBAN whose check digits are right".to_owned();
    (letters && remainder == 1).then_some(compact).ok_or_else(rule)
}

pub(super) fn bic(text: &str) -> Result<String, String> {
    let fine = matches!(text.len(), 8 | 11)
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    fine.then(|| text.to_owned()).ok_or_else(|| "must be a BIC of 8 or 11 characters".to_owned())
}

/// Names and texts. Under `_` stands JSON, as SLAP has it: as it is, or as a text.
pub(super) fn parameters<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    deserializer.deserialize_any(ParametersVisitor)
}

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Err(E::custom("is missing"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut read = BTreeMap::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(ParameterValue { name: &name })?;
            read.insert(name, value);
        }
        Ok(read)
    }
}

/// The value of a parameter; the name tells whether it may be JSON.
struct ParameterValue<'a> {
    name: &'a str,
}

impl<'de> DeserializeSeed<'de> for ParameterValue<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            value if self.name == "_" => value.to_string(),
            _ => return Err(D::Error::custom("must be a string; JSON stands under _")),
        };
        for carried in [self.name, &text] {
            carriable("", carried).map_err(|problem| D::Error::custom(problem.detail))?;
        }
        Ok(text)
    }
}
