//! What documents say of a party beyond its name, as it is sent, sealed and shown: the terms of EN 16931 that are about
//! seller (BG-4 to BG-6, BG-17) and buyer (BG-7 to BG-9, BT-10).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slapledger_core::domain::party::Country;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::keyring::KeyRing;
use slapledger_kit::json_body::{JsonObject, Replaced};
use slapledger_kit::problem::Problem;

/// The longest text, in bytes.
const MOST_BYTES: usize = 500;
/// The most lines of an address (BT-35, BT-36, BT-162).
const MOST_LINES: usize = 3;

/// Legal name, address, VAT identifier and the like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Details {
    /// The name in the register (BT-27, BT-44), if it is not the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legal_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    /// With the prefix of its country (BT-31, BT-48).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vat_id: Option<String>,
    /// In the register of companies (BT-30, BT-47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration_id: Option<String>,
    /// More that the law asks a seller to say (BT-33).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legal_info: Option<String>,
    /// A person or department (BT-41, BT-56).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    /// BT-42, BT-57.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// BT-43, BT-58.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    electronic_address: Option<ElectronicAddress>,
    /// What a buyer wants to find on its invoices (BT-10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buyer_reference: Option<String>,
    /// Where a seller is paid (BT-84).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iban: Option<String>,
    /// BT-86.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bic: Option<String>,
}

/// A postal address (BG-5, BG-8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Address {
    /// Street and the like, in at most three lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    lines: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subdivision: Option<String>,
    /// ISO 3166-1 (BT-40, BT-55).
    #[schemars(length(equal = 2))]
    country: String,
}

/// Where electronic invoices are sent to (BT-34, BT-49).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ElectronicAddress {
    /// Of the list of electronic address schemes, such as 0088.
    #[schemars(length(equal = 4))]
    scheme: String,
    id: String,
}

impl Details {
    /// What is sealed.
    pub(crate) fn open(keys: &KeyRing, sealed: Option<&Sealed>) -> Self {
        let bytes = sealed.and_then(|sealed| keys.open_sealed(sealed).ok());
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// As it is sealed; none, if there is nothing to say.
    pub(crate) fn bytes(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        if *self == Self::default() { Ok(None) } else { serde_json::to_vec(self).map(Some) }
    }

    pub(crate) fn country(&self) -> Option<Country> {
        self.address.as_ref().and_then(|address| address.country.parse().ok())
    }

    pub(crate) fn has_vat_id(&self) -> bool {
        self.vat_id.is_some()
    }

    /// What is told, over what was known: what is left out stays, what is null goes.
    pub(crate) fn read(sent: &mut JsonObject, before: Self) -> Result<Self, Problem> {
        let Self { legal_name, address, vat_id, registration_id, legal_info, .. } = before;
        let Self { contact, phone, email, electronic_address, buyer_reference, iban, bic, .. } = before;
        Ok(Self {
            legal_name: told(sent, "legal_name", text, legal_name)?,
            address: object(sent, "address", read_address, address)?,
            vat_id: told(sent, "vat_id", read_vat_id, vat_id)?,
            registration_id: told(sent, "registration_id", text, registration_id)?,
            legal_info: told(sent, "legal_info", text, legal_info)?,
            contact: told(sent, "contact", text, contact)?,
            phone: told(sent, "phone", text, phone)?,
            email: told(sent, "email", read_email, email)?,
            electronic_address: object(
                sent,
                "electronic_address",
                read_electronic_address,
                electronic_address,
            )?,
            buyer_reference: told(sent, "buyer_reference", text, buyer_reference)?,
            iban: told(sent, "iban", read_iban, iban)?,
            bic: told(sent, "bic", read_bic, bic)?,
        })
    }
}

fn told(
    sent: &mut JsonObject,
    name: &str,
    read: fn(&str) -> Result<String, String>,
    before: Option<String>,
) -> Result<Option<String>, Problem> {
    Ok(match sent.replaced(name, read)? {
        Replaced::Not => before,
        Replaced::By(now) => now,
    })
}

fn object<T>(
    sent: &mut JsonObject,
    name: &str,
    read: fn(&mut JsonObject) -> Result<T, Problem>,
    before: Option<T>,
) -> Result<Option<T>, Problem> {
    if sent.is_null(name) {
        sent.take(name);
        return Ok(None);
    }
    let Some(mut object) = sent.object(name)? else { return Ok(before) };
    let told = read(&mut object)?;
    object.end()?;
    Ok(Some(told))
}

fn read_address(sent: &mut JsonObject) -> Result<Address, Problem> {
    let lines = sent.texts("lines")?;
    if lines.len() > MOST_LINES {
        return Err(sent.fault("lines", format!("must be at most {MOST_LINES} texts")));
    }
    let lines: Result<_, String> = lines.iter().map(|line| text(line)).collect();
    let lines = lines.map_err(|rule| sent.fault("lines", rule))?;
    Ok(Address {
        lines,
        city: sent.optional("city", text)?,
        postal_code: sent.optional("postal_code", text)?,
        subdivision: sent.optional("subdivision", text)?,
        country: sent.required("country", |country| {
            country.parse::<Country>().map(|country| country.to_string()).map_err(|rule| rule.to_string())
        })?,
    })
}

fn read_electronic_address(sent: &mut JsonObject) -> Result<ElectronicAddress, Problem> {
    let scheme = sent.required("scheme", |scheme| {
        let known = scheme.len() == 4 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        known
            .then(|| scheme.to_owned())
            .ok_or_else(|| "must be four letters or digits, such as 0088".to_owned())
    })?;
    Ok(ElectronicAddress { scheme, id: sent.required("id", text)? })
}

/// A text that is kept.
pub(crate) fn text(text: &str) -> Result<String, String> {
    let fine = !text.trim().is_empty() && text.len() <= MOST_BYTES && !text.chars().any(char::is_control);
    let rule = || format!("must be a text of 1 to {MOST_BYTES} bytes without control characters");
    fine.then(|| text.to_owned()).ok_or_else(rule)
}

/// EN 16931, BR-CO-09: the prefix is a country, or EL for Greece.
fn read_vat_id(text: &str) -> Result<String, String> {
    let (prefix, rest) = text.split_at_checked(2).unwrap_or(("", ""));
    let country = prefix == "EL" || prefix.parse::<Country>().is_ok();
    let fine = (2..=13).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let rule = || "must begin with its country, without spaces, such as FR83404833048".to_owned();
    (country && fine).then(|| text.to_owned()).ok_or_else(rule)
}

fn read_email(address: &str) -> Result<String, String> {
    let (local, domain) = address.split_once('@').unwrap_or(("", ""));
    let fine = !local.is_empty() && domain.contains('.') && !address.contains(char::is_whitespace);
    if fine { text(address) } else { Err("must be an address such as billing@example.org".to_owned()) }
}

/// ISO 13616: the rest of a division by 97 is 1.
fn read_iban(text: &str) -> Result<String, String> {
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

fn read_bic(text: &str) -> Result<String, String> {
    let fine = matches!(text.len(), 8 | 11)
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    fine.then(|| text.to_owned()).ok_or_else(|| "must be a BIC of 8 or 11 characters".to_owned())
}
