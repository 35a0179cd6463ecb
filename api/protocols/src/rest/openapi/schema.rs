//! The shapes of texts and numbers that have a form of their own, and of what the core writes by itself.
//!
//! A shape that bodies have holds what it means, and is read by the rule that it describes (`rules`). What answers show
//! is described by the type that is written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use slapledger_core::domain::{access, id, instance, invoice, money, party, quantity, software};
use slapledger_core::domain::{tax, time};
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;

use super::rules::{self, parsed};

pub(crate) use slapledger_core::domain::charge::ChargeId;
pub(crate) use slapledger_core::domain::credit::CreditId;
pub(crate) use slapledger_core::domain::id::{CredentialId, InvoiceId, ProjectId, RunId, Sequence};
pub(crate) use slapledger_core::domain::pricing::OverrideId;
pub(crate) use slapledger_core::schema::{AnyObject, Decimal, Hex};

/// A shape of a text that a body may have: what it says of the text is the rule that it is read by.
pub(crate) trait TextShape: Sized {
    /// Reads a text, or says which rule it breaks.
    fn read(text: &str) -> Result<Self, String>;
}

macro_rules! described {
    ($name:ident, [$($doc:literal)+], {$($shape:tt)*}) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema: Schema = json_schema!({$($shape)*});
                schema.insert("description".into(), concat!($($doc),+).trim().into());
                schema
            }
        }
    };
}

/// Shapes that have no value: of parameters, which are read where they are used, and of texts that are made by hand.
macro_rules! markers {
    ($($(#[doc = $doc:literal])+ $name:ident {$($shape:tt)*})*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(crate) enum $name {}

        described!($name, [$($doc)+], {$($shape)*});
    )*};
}

/// A text that is read by a rule.
macro_rules! read_by {
    ($(#[doc = $doc:literal])+ $name:ident, $value:ty, $read:path) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) $value);

        impl TextShape for $name {
            fn read(text: &str) -> Result<Self, String> {
                let value: $value = $read(text)?;
                Ok(Self(value))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                json_body::text(deserializer, Self::read)
            }
        }

        impl From<$name> for $value {
            fn from(read: $name) -> Self {
                read.0
            }
        }
    };
}

/// Texts that only bodies have.
macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident($value:ty) by $read:path => {$($shape:tt)*})*) => {$(
        read_by!($(#[doc = $doc])+ $name, $value, $read);
        described!($name, [$($doc)+], {$($shape)*});
    )*};
}

/// Texts that answers show too: they have the description of the type that is shown.
macro_rules! shown_texts {
    ($($(#[doc = $doc:literal])+ $name:ident($value:ty) by $read:path, shown as $shown:ty;)*) => {$(
        read_by!($(#[doc = $doc])+ $name, $value, $read);
        described_as!($name, $shown);
    )*};
}

macro_rules! described_as {
    ($name:ident, $shown:ty) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                <$shown>::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                <$shown>::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$shown>::json_schema(generator)
            }
        }
    };
}

markers! {
    /// A number from 1
    Number {"type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32, "examples": [1]}
    /// How many items, at most
    Limit {"type": "integer", "minimum": 1, "maximum": 1000, "examples": [10]}
    /// Where a list goes on; the `next` of an earlier answer
    Cursor {"type": "string", "maxLength": 4096}
    /// The sequence of an event, or an RFC 3339 instant: the last event at or before it.
    AsOf {"type": "string", "examples": ["40213", "2026-10-01T01:00:00Z"]}
    /// A month, or two days or instants START/STOP; a day begins at midnight where the payer is
    StartStop {"type": "string", "pattern": "^([0-9]{4}-[0-9]{2}|[^/]+/[^/]+)$", "examples": ["2026-10", "2026-10-01/2026-11-01"]}
    /// A transaction of the journal: the event that caused it, and its currency
    TransactionId {"type": "string", "pattern": "^[1-9][0-9]*\\.[A-Z]{3}$", "examples": ["40300.EUR"]}
    /// An account of the chart
    AccountName {"type": "string", "minLength": 1, "maxLength": 300, "examples": ["Assets:Receivable:PARTY-2"]}
    /// What something is known by
    Name {"type": "string", "minLength": 1, "maxLength": 255}
    /// Any text
    Text {"type": "string"}
    /// Whether something is wanted
    Flag {"type": "string", "enum": ["true", "false"]}
    /// Opaque tags of a resource (RFC 9110), or `*`
    Tags {"type": "string", "examples": ["\"5d41402abc4b2a76b9719d911017c592\""]}
    /// An opaque tag of a resource (RFC 9110)
    Tag {"type": "string", "pattern": "^\"[^\"]+\"$"}
    /// A path on this server
    Location {"type": "string", "format": "uri-reference"}
    /// A name for a write, chosen by its sender
    IdempotencyKey {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$", "examples": ["order-4711"]}
    /// A document of TioXML
    TioXml {"type": "string", "contentMediaType": "application/xml"}
    /// How long the steps of a reading are
    Step {"type": "string", "enum": ["hour", "day", "month"]}
    /// A projection, by name
    Projection {"type": "string", "enum": ["inventory", "instances", "catalogue", "metering", "billing", "journal", "access"]}
    /// A state that a list of documents is filtered by
    InvoiceState {"type": "string", "enum": ["draft", "final", "open", "partly_credited", "credited", "void", "paid"]}
    /// 1, or -1 of a credit note
    Sign {"type": "integer", "enum": [1, -1]}
}

shown_texts! {
    /// An instant (RFC 3339)
    Instant(time::Timestamp) by rules::instant, shown as time::Timestamp;
    /// A day
    Day(time::Date) by rules::day, shown as time::Date;
    /// A time zone of the IANA database
    TimeZone(time::TimeZone) by parsed, shown as time::TimeZone;
    /// A quantity: at most 15 digits before and 9 after the point
    Quantity(quantity::Quantity) by parsed, shown as quantity::Quantity;
    /// An amount of money, with the digits of its currency
    Amount(Box<str>) by rules::any_text, shown as money::Amount;
    /// A currency (ISO 4217)
    Currency(money::Currency) by parsed, shown as money::Currency;
    /// Somebody who requests, pays or sells
    PartyId(id::PartyId) by parsed, shown as id::PartyId;
    /// A software instance; never used again
    InstanceId(id::InstanceId) by parsed, shown as id::InstanceId;
    /// A computer, by the reference it came with
    ComputerId(id::ComputerId) by parsed, shown as id::ComputerId;
    /// A partition, by its name on its computer
    PartitionId(id::PartitionId) by parsed, shown as id::PartitionId;
    /// The address of a software release
    SoftwareRelease(id::SoftwareRelease) by rules::carried, shown as id::SoftwareRelease;
    /// What a software release is asked to be
    SoftwareType(id::SoftwareType) by rules::carried, shown as id::SoftwareType;
    /// The name its requester gave to an instance
    Reference(id::Reference) by rules::carried, shown as id::Reference;
    /// What is measured
    ResourceId(id::ResourceId) by parsed, shown as id::ResourceId;
    /// A price book, over all its versions
    PriceBookName(id::PriceBookName) by parsed, shown as id::PriceBookName;
    /// A tax category of EN 16931
    TaxCategory(tax::TaxCategory) by rules::tax_category, shown as tax::TaxCategory;
    /// What an instance is for
    InstanceType(instance::InstanceType) by rules::instance_type, shown as instance::InstanceType;
    /// The state its requester wants an instance in
    RequestedState(instance::RequestedState) by rules::requested_state, shown as instance::RequestedState;
    /// The state its node says an instance is in
    ReportedState(instance::ReportedState) by rules::reported_state, shown as instance::ReportedState;
    /// Whether a release is to be on a computer
    SupplyState(software::SupplyState) by rules::supply_state, shown as software::SupplyState;
    /// What a computer says of a release
    SoftwareState(software::SoftwareState) by rules::software_state, shown as software::SoftwareState;
}

texts! {
    /// A text that is kept: of 1 to 255 characters, none of them a control character
    ShortText(Box<str>) by rules::any_text => {"type": "string", "minLength": 1, "maxLength": 255}
    /// A text that is kept: of 1 to 500 bytes, none of them a control character
    LongText(String) by rules::kept_text => {"type": "string", "minLength": 1, "maxLength": 500, "pattern": "^[^\\u0000-\\u001f\\u007f]+$"}
    /// What the numbers of somebody's invoices begin with
    Series(party::Series) by parsed => {"type": "string", "pattern": "^[A-Z][A-Z0-9]{0,19}$", "examples": ["ACME"]}
    /// What somebody may act as
    Role(access::Role) by parsed => {"enum": ["admin", "provider", "publisher", "customer", "auditor", "node", "instance"]}
    /// What a credential is good for
    Purpose(access::Purpose) by rules::purpose => {"enum": ["access", "register_computer", "get_certificate"]}
    /// A text that a node gets back in XML: of at most 255 bytes
    NodeText(Box<str>) by rules::node_text => {"type": "string", "maxLength": 255}
    /// The VAT identifier of a party, after its country (EN 16931, BR-CO-09)
    VatId(String) by rules::vat_id => {"type": "string", "pattern": "^[A-Z]{2}[0-9A-Za-z]{2,13}$", "examples": ["FR83404833048"]}
    /// A code of the VATEX list
    ExemptionCode(String) by rules::kept_text => {"type": "string", "minLength": 1, "maxLength": 50}
    /// An e-mail address
    Email(String) by rules::email => {"type": "string", "maxLength": 500, "pattern": "^[^@\\s]+@[^\\s]*\\.[^\\s]*$", "examples": ["billing@example.org"]}
    /// A country (ISO 3166-1)
    Country(String) by rules::country => {"type": "string", "minLength": 2, "maxLength": 2, "examples": ["FR"]}
    /// A scheme of electronic addresses: four letters or digits
    AddressScheme(String) by rules::address_scheme => {"type": "string", "pattern": "^[0-9A-Za-z]{4}$", "examples": ["0088"]}
    /// An account for payments (ISO 13616), with or without spaces
    Iban(String) by rules::iban => {"type": "string", "pattern": "^ *([0-9A-Z] *){15,34}$"}
    /// A bank (ISO 9362)
    Bic(String) by rules::bic => {"type": "string", "pattern": "^[0-9A-Z]{8}([0-9A-Z]{3})?$"}
}

/// A day, which begins at midnight where the payer is, or an instant.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Bound")]
pub(crate) enum BoundText {
    Day(Day),
    Instant(Instant),
}

impl<'de> Deserialize<'de> for BoundText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json_body::text(deserializer, |text| {
            rules::bound(text).map(|bound| match bound {
                invoice::Bound::Day(day) => Self::Day(Day(day)),
                invoice::Bound::Instant(instant) => Self::Instant(Instant(instant)),
            })
        })
    }
}

impl From<BoundText> for invoice::Bound {
    fn from(bound: BoundText) -> Self {
        match bound {
            BoundText::Day(Day(day)) => Self::Day(day),
            BoundText::Instant(Instant(instant)) => Self::Instant(instant),
        }
    }
}

/// The period of an invoice run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RunPeriod")]
pub(crate) struct RunPeriodBody {
    pub(crate) start: BoundText,
    pub(crate) stop: BoundText,
}

impl From<RunPeriodBody> for invoice::RunPeriod {
    fn from(RunPeriodBody { start, stop }: RunPeriodBody) -> Self {
        Self { start: start.into(), stop: stop.into() }
    }
}

/// A period: a month, START/STOP, or an object with both bounds.
pub(crate) struct AnyPeriod(pub(crate) invoice::RunPeriod);

impl JsonSchema for AnyPeriod {
    fn schema_name() -> Cow<'static, str> {
        "AnyPeriod".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<StartStop>();
        let bounds = generator.subschema_for::<RunPeriodBody>();
        json_schema!({
            "description": "A month, START/STOP, or an object with both bounds",
            "anyOf": [bounds, text],
        })
    }
}

impl<'de> Deserialize<'de> for AnyPeriod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrBounds;
        impl<'de> serde::de::Visitor<'de> for TextOrBounds {
            type Value = AnyPeriod;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a month such as 2026-10, START/STOP, or an object with start and stop")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map(AnyPeriod).map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                let members = serde::de::value::MapAccessDeserializer::new(members);
                RunPeriodBody::deserialize(members).map(|bounds| AnyPeriod(bounds.into()))
            }
        }
        deserializer.deserialize_struct(json_body::TEXT_OR_OBJECT, &["start", "stop"], TextOrBounds)
    }
}

impl From<AnyPeriod> for invoice::RunPeriod {
    fn from(AnyPeriod(period): AnyPeriod) -> Self {
        period
    }
}

/// Names and texts; under `_` stands JSON, as it is or as a text.
pub(crate) struct Parameters(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        rules::parameters(deserializer).map(Self)
    }
}

impl JsonSchema for Parameters {
    fn schema_name() -> Cow<'static, str> {
        "Parameters".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Names and texts; under `_` stands JSON, as it is or as a text",
            "type": "object",
            "properties": {"_": {"description": "JSON, as it is or as a text"}},
            "additionalProperties": {"type": "string"},
        })
    }
}

/// Whom a computer is for.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Scope")]
pub(crate) enum ScopeName {
    Open,
    Personal,
    Group,
    Closed,
}

impl Amount {
    /// The amount, in a currency: the member has no more digits than the currency.
    pub(crate) fn of(
        &self,
        field: impl Into<String>,
        currency: money::Currency,
    ) -> Result<money::Amount, Problem> {
        money::Amount::parse(&self.0, currency).map_err(|rule| Problem::field(field, rule.to_string()))
    }
}

/// A list of texts of one shape. The list as a whole is to blame for a text that breaks its rule.
#[derive(Debug)]
pub(crate) struct Texts<T>(pub(crate) Vec<T>);

impl<'de, T: TextShape> Deserialize<'de> for Texts<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let read: Result<_, _> = texts.iter().map(|text| T::read(text)).collect();
        read.map(Self).map_err(D::Error::custom)
    }
}

impl<T: JsonSchema> JsonSchema for Texts<T> {
    fn inline_schema() -> bool {
        Vec::<T>::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Vec::<T>::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }
}

/// A page of a list.
#[derive(Debug, serde::Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(crate) struct List<T> {
    /// Some of it.
    pub(crate) items: Vec<T>,
    /// What to ask for as `cursor` for those after them; none, if there are no more.
    pub(crate) next: Option<String>,
    /// The sequence that the list reflects.
    pub(crate) sequence: Sequence,
}

/// Nothing needs to be said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}
