//! What documents say of a party beyond its name, as it is sent, sealed and shown: the terms of EN 16931 that are about
//! seller (BG-4 to BG-6, BG-17) and buyer (BG-7 to BG-9, BT-10).

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use slapledger_core::domain::party::Country;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::keyring::KeyRing;
use slapledger_kit::json_body::Replaced;

use crate::rest::openapi::schema::{
    AddressScheme, Bic, Country as CountryRead, Email, Iban, LongText, Texts, VatId,
};

/// The most lines of an address (BT-35, BT-36, BT-162).
const MOST_LINES: usize = 3;

/// Legal name, address, VAT identifier and the like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Details {
    /// The name in the register (BT-27, BT-44), if it is not the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legal_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<PostalAddress>,
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
#[schemars(rename = "Address")]
pub(crate) struct PostalAddress {
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
}

/// What a body says of the details: what it leaves out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DetailsChange {
    pub(super) legal_name: Replaced<LongText>,
    pub(super) address: Replaced<AddressRead>,
    pub(super) vat_id: Replaced<VatId>,
    pub(super) registration_id: Replaced<LongText>,
    pub(super) legal_info: Replaced<LongText>,
    pub(super) contact: Replaced<LongText>,
    pub(super) phone: Replaced<LongText>,
    pub(super) email: Replaced<Email>,
    pub(super) electronic_address: Replaced<ElectronicAddressRead>,
    pub(super) buyer_reference: Replaced<LongText>,
    pub(super) iban: Replaced<Iban>,
    pub(super) bic: Replaced<Bic>,
}

impl DetailsChange {
    /// The details after the change.
    pub(super) fn over(self, before: Details) -> Details {
        Details {
            legal_name: self.legal_name.or(before.legal_name),
            address: self.address.or(before.address),
            vat_id: self.vat_id.or(before.vat_id),
            registration_id: self.registration_id.or(before.registration_id),
            legal_info: self.legal_info.or(before.legal_info),
            contact: self.contact.or(before.contact),
            phone: self.phone.or(before.phone),
            email: self.email.or(before.email),
            electronic_address: self.electronic_address.or(before.electronic_address),
            buyer_reference: self.buyer_reference.or(before.buyer_reference),
            iban: self.iban.or(before.iban),
            bic: self.bic.or(before.bic),
        }
    }
}

/// A postal address, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddressRead {
    lines: Option<AddressLines>,
    city: Option<LongText>,
    postal_code: Option<LongText>,
    subdivision: Option<LongText>,
    country: CountryRead,
}

impl From<AddressRead> for PostalAddress {
    fn from(read: AddressRead) -> Self {
        Self {
            lines: read.lines.map(|lines| lines.0).unwrap_or_default(),
            city: read.city.map(Into::into),
            postal_code: read.postal_code.map(Into::into),
            subdivision: read.subdivision.map(Into::into),
            country: read.country.into(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AddressLines(Vec<String>);

impl<'de> Deserialize<'de> for AddressLines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Texts::<LongText>(lines) = Texts::deserialize(deserializer)?;
        if lines.len() > MOST_LINES {
            return Err(D::Error::custom(format!("must be at most {MOST_LINES} texts")));
        }
        Ok(Self(lines.into_iter().map(Into::into).collect()))
    }
}

/// Where electronic invoices are sent to, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ElectronicAddressRead {
    scheme: AddressScheme,
    id: LongText,
}

impl From<ElectronicAddressRead> for ElectronicAddress {
    fn from(read: ElectronicAddressRead) -> Self {
        Self { scheme: read.scheme.into(), id: read.id.into() }
    }
}
