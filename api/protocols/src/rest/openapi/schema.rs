//! The shapes of texts and numbers that have a form of their own, and of what the core writes by itself.
//!
//! A shape that bodies have holds what it means, and is read by the rule that it describes (`rules`).
//! The core knows nothing of schemas, so a field of one of its types names the shape here it is written in
//! (`#[schemars(with = "…")]`). That they agree is shown by tests that hold real answers against the document.

#![expect(dead_code, reason = "shapes of answers are described, and never made")]

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

/// A shape of a text that a body may have: what it says of the text is the rule that it is read by.
pub(crate) trait TextShape: Sized {
    /// Reads a text, or says which rule it breaks.
    fn read(text: &str) -> Result<Self, String>;
}

macro_rules! shapes {
    ($($(#[doc = $doc:literal])+ $name:ident $(($value:ty) by $read:path =>)? {$($shape:tt)*})*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name $((pub(crate) $value))?;

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

        $(
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
        )?
    )*};
}

shapes! {
    /// The place of an event in the one order; 0 is before the first one
    Sequence {"type": "integer", "minimum": 0, "maximum": 18_446_744_073_709_551_615_u64, "examples": [1]}
    /// A number from 1
    Number {"type": "integer", "minimum": 1, "maximum": 4_294_967_295_u32, "examples": [1]}
    /// How many items, at most
    Limit {"type": "integer", "minimum": 1, "maximum": 1000, "examples": [10]}
    /// Where a list goes on; the `next` of an earlier answer
    Cursor {"type": "string", "maxLength": 4096}
    /// An instant (RFC 3339)
    Instant(time::Timestamp) by rules::instant => {"type": "string", "format": "date-time", "examples": ["2026-10-01T01:00:00Z"]}
    /// A day
    Day(time::Date) by rules::day => {"type": "string", "format": "date", "examples": ["2026-10-01"]}
    /// A time zone of the IANA database
    TimeZone(time::TimeZone) by parsed => {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["Europe/Paris"]}
    /// A decimal number as a text
    Decimal {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$", "examples": ["12.5"]}
    /// A quantity: at most 15 digits before and 9 after the point
    Quantity(quantity::Quantity) by parsed => {"type": "string", "pattern": "^-?[0-9]{1,15}(\\.[0-9]{1,9})?$", "examples": ["12.5"]}
    /// A price: at most 9 digits before and 9 after the point
    Price {"type": "string", "pattern": "^-?[0-9]{1,9}(\\.[0-9]{1,9})?$", "examples": ["10.00"]}
    /// An amount of money, with the digits of its currency
    Amount(Box<str>) by rules::any_text => {"type": "string", "pattern": "^-?[0-9]{1,25}(\\.[0-9]{1,4})?$", "examples": ["10.00"]}
    /// A currency (ISO 4217)
    Currency(money::Currency) by parsed => {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]}
    /// Somebody who requests, pays or sells
    PartyId(id::PartyId) by parsed => {"type": "string", "pattern": "^PARTY-[1-9][0-9]*$", "examples": ["PARTY-1"]}
    /// A software instance; never used again
    InstanceId(id::InstanceId) by parsed => {"type": "string", "pattern": "^SOFTINST-[1-9][0-9]*$", "examples": ["SOFTINST-1"]}
    /// An invoice run
    RunId {"type": "string", "pattern": "^RUN-[1-9][0-9]*$", "examples": ["RUN-1"]}
    /// An invoice, or a draft
    InvoiceId {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["INV-2026-000001"]}
    /// A transaction of the journal: the event that caused it, and its currency
    TransactionId {"type": "string", "pattern": "^[1-9][0-9]*\\.[A-Z]{3}$", "examples": ["40300.EUR"]}
    /// An account of the chart
    AccountName {"type": "string", "minLength": 1, "maxLength": 300, "examples": ["Assets:Receivable:PARTY-2"]}
    /// A computer, by the reference it came with
    ComputerId(id::ComputerId) by parsed => {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["COMP-1"]}
    /// A partition, by its name on its computer
    PartitionId(id::PartitionId) by parsed => {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["slappart0"]}
    /// The address of a software release
    SoftwareRelease(id::SoftwareRelease) by rules::carried => {"type": "string", "minLength": 1, "maxLength": 2048, "examples": ["https://example.org/kvm/software.cfg"]}
    /// What a software release is asked to be
    SoftwareType(id::SoftwareType) by rules::carried => {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["default"]}
    /// The name its requester gave to an instance
    Reference(id::Reference) by rules::carried => {"type": "string", "minLength": 1, "maxLength": 1024, "examples": ["My first instance"]}
    /// What is measured
    ResourceId(id::ResourceId) by parsed => {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["service_module/cpu_load_percent"]}
    /// The sender's name of a usage event
    UsageId {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["8f0c5a52-0d3c-4f0e-9d2e-8a5c1c2f7a10"]}
    /// A price book, over all its versions
    PriceBookName(id::PriceBookName) by parsed => {"type": "string", "minLength": 1, "maxLength": 100, "examples": ["standard"]}
    /// What something is known by
    Name {"type": "string", "minLength": 1, "maxLength": 255}
    /// Bytes in hexadecimal digits
    Hex {"type": "string", "pattern": "^([0-9a-f]{2})*$"}
    /// Any text
    Text {"type": "string"}
    /// A text that is kept: of 1 to 255 characters, none of them a control character
    ShortText(Box<str>) by rules::any_text => {"type": "string", "minLength": 1, "maxLength": 255}
    /// A text that is kept: of 1 to 500 bytes, none of them a control character
    LongText(String) by rules::kept_text => {"type": "string", "minLength": 1, "maxLength": 500, "pattern": "^[^\\u0000-\\u001f\\u007f]+$"}
    /// What the numbers of somebody's invoices begin with
    Series(party::Series) by parsed => {"type": "string", "pattern": "^[A-Z][A-Z0-9]{0,19}$", "examples": ["ACME"]}
    /// A prepaid credit
    CreditId {"type": "string", "pattern": "^CREDIT-[1-9][0-9]*$", "examples": ["CREDIT-1"]}
    /// A one-off charge
    ChargeId {"type": "string", "pattern": "^CHARGE-[1-9][0-9]*$", "examples": ["CHARGE-1"]}
    /// A project
    ProjectId {"type": "string", "pattern": "^PROJ-[1-9][0-9]*$", "examples": ["PROJ-1"]}
    /// A credential
    CredentialId {"type": "string", "pattern": "^[0-9a-f]{32}$", "examples": ["0f8fad5bd9cb469fa16570867728950e"]}
    /// What somebody may act as
    Role(access::Role) by parsed => {"enum": ["admin", "provider", "publisher", "customer", "auditor", "node", "instance"]}
    /// What a credential is good for
    Purpose(access::Purpose) by rules::purpose => {"enum": ["access", "register_computer", "get_certificate"]}
    /// Whether something is wanted
    Flag {"type": "string", "enum": ["true", "false"]}
    /// A JSON object, whatever is in it
    AnyObject {"type": "object"}
    /// Opaque tags of a resource (RFC 9110), or `*`
    Tags {"type": "string", "examples": ["\"5d41402abc4b2a76b9719d911017c592\""]}
    /// An opaque tag of a resource (RFC 9110)
    Tag {"type": "string", "pattern": "^\"[^\"]+\"$"}
    /// A path on this server
    Location {"type": "string", "format": "uri-reference"}
    /// A name for a write, chosen by its sender
    IdempotencyKey {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$", "examples": ["order-4711"]}
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
    /// A tax category of EN 16931
    TaxCategory(tax::TaxCategory) by rules::tax_category => {"type": "string", "enum": ["O", "S", "Z", "E", "AE", "K", "G"]}
    /// What an instance is for
    InstanceType(instance::InstanceType) by rules::instance_type => {"type": "string", "enum": ["production", "testing"]}
    /// The state its requester wants an instance in
    RequestedState(instance::RequestedState) by rules::requested_state => {"type": "string", "enum": ["started", "stopped", "destroyed"]}
    /// The state its node says an instance is in
    ReportedState(instance::ReportedState) by rules::reported_state => {"type": "string", "enum": ["started", "stopped", "destroyed", "error"]}
    /// Whether a release is to be on a computer
    SupplyState(software::SupplyState) by rules::supply_state => {"type": "string", "enum": ["available", "destroyed"]}
    /// What a computer says of a release
    SoftwareState(software::SoftwareState) by rules::software_state => {"type": "string", "enum": ["building", "available", "destroyed", "error"]}
    /// A document of TioXML
    TioXml {"type": "string", "contentMediaType": "application/xml"}
}

/// A period: from its first instant up to the first one after it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Period {
    pub(crate) start: Instant,
    pub(crate) stop: Instant,
}

/// A day, which begins at midnight where the payer is, or an instant.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(crate) enum Bound {
    Day(Day),
    Instant(Instant),
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json_body::text(deserializer, |text| {
            rules::bound(text).map(|bound| match bound {
                invoice::Bound::Day(day) => Self::Day(Day(day)),
                invoice::Bound::Instant(instant) => Self::Instant(Instant(instant)),
            })
        })
    }
}

impl From<Bound> for invoice::Bound {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Day(Day(day)) => Self::Day(day),
            Bound::Instant(Instant(instant)) => Self::Instant(instant),
        }
    }
}

/// The period of an invoice run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunPeriod {
    pub(crate) start: Bound,
    pub(crate) stop: Bound,
}

impl From<RunPeriod> for invoice::RunPeriod {
    fn from(RunPeriod { start, stop }: RunPeriod) -> Self {
        Self { start: start.into(), stop: stop.into() }
    }
}

/// A version of a price book.
#[derive(JsonSchema)]
pub(crate) struct PriceVersion {
    name: PriceBookName,
    version: Number,
}

/// How something is taxed (EN 16931, BT-151 and BT-152).
#[derive(JsonSchema)]
pub(crate) struct Tax {
    category: TaxCategory,
    /// In percent.
    rate: Decimal,
}

/// The tax on all lines of a category and rate.
#[derive(JsonSchema)]
pub(crate) struct TaxSubtotal {
    category: TaxCategory,
    rate: Decimal,
    base: Amount,
    amount: Amount,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    exemption: Option<Exemption>,
}

/// Why there is no tax (EN 16931, BT-120 and BT-121).
#[derive(JsonSchema)]
pub(crate) struct Exemption {
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// What a document is.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DocumentKind {
    Invoice,
    CreditNote,
}

/// A document that another is about.
#[derive(JsonSchema)]
pub(crate) struct Citation {
    invoice: InvoiceId,
    reason: String,
    /// Whether nothing of it is left with this.
    all: bool,
}

/// A line of a document; 0, if the document had none for it.
#[derive(JsonSchema)]
pub(crate) struct LineRef {
    invoice: InvoiceId,
    line: u32,
}

/// A part of a quantity and what it costs.
#[derive(JsonSchema)]
pub(crate) struct PriceStep {
    /// How much of it; packages, of a price for each package.
    quantity: Quantity,
    /// For one.
    price: Decimal,
    /// Once.
    flat: Decimal,
    /// The upper bound of its tier.
    up_to: Option<Quantity>,
}

/// Prepaid credit that went into a document.
#[derive(JsonSchema)]
pub(crate) struct CreditUsed {
    credit: CreditId,
    amount: Amount,
}

/// The set of events that a line rests on.
#[derive(JsonSchema)]
pub(crate) struct EventSet {
    count: u64,
    first_sequence: Sequence,
    last_sequence: Sequence,
    /// SHA-256 of their sequences, each as 8 bytes big-endian, ascending.
    digest: Hex,
}

/// What a line is about. One object with all members, not one for each kind: generators make one type of it.
#[derive(JsonSchema)]
pub(crate) struct LineKind {
    kind: LineKindName,
    /// Of a line of usage: what was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ResourceId")]
    resource: Option<ResourceId>,
    /// Of a one-off line: its charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ChargeId")]
    charge: Option<ChargeId>,
}

/// The kinds of lines.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineKindName {
    Recurring,
    Usage,
    Advance,
    Percentage,
    Minimum,
    Adjustment,
    OneOff,
}

/// What an event is about: of usage all but `stream`, of anything else `stream` alone.
#[derive(JsonSchema)]
pub(crate) struct EventSubject {
    /// The computer that reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<ComputerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "UsageId")]
    id: Option<UsageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ResourceId")]
    resource: Option<ResourceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    quantity: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    start: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Instant")]
    stop: Option<Instant>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<String, String>,
    /// Whose history it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text")]
    stream: Option<Text>,
}

/// What kind of account it is.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountKind {
    Asset,
    Liability,
    Equity,
    Income,
}

/// The sides of an account.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Debit,
    Credit,
}

/// Whether a document or a run is final.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DocumentState {
    Draft,
    Final,
    Withdrawn,
}

/// How the amounts of a document count.
pub(crate) struct Sign;

impl JsonSchema for Sign {
    fn schema_name() -> Cow<'static, str> {
        "Sign".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "1, or -1 of a credit note", "type": "integer", "enum": [1, -1]})
    }
}

/// What became of an invoice: credit notes and prepaid credit are counted.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BalanceState {
    Open,
    PartlyCredited,
    Credited,
    Void,
    Paid,
}

/// A state that a list of documents is filtered by.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InvoiceState {
    Draft,
    Final,
    Open,
    PartlyCredited,
    Credited,
    Void,
    Paid,
}

/// Something that a run does not charge; what else it tells depends on its type.
#[derive(JsonSchema)]
pub(crate) struct Warning {
    r#type: String,
}

/// An event as it stands in the log. What is sealed shows its key and digest.
#[derive(JsonSchema)]
pub(crate) struct RecordedEvent {
    sequence: Sequence,
    stream: String,
    stream_version: u64,
    recorded_at: Instant,
    project: String,
    actor: Actor,
    command: Hex,
    named_by_sender: bool,
    digest: Hex,
    causation: Option<Sequence>,
    correlation: Option<String>,
    rules: u16,
    /// What happened.
    r#type: String,
    data: AnyObject,
}

/// Who caused an event.
#[derive(JsonSchema)]
pub(crate) struct Actor {
    kind: ActorKind,
    id: String,
    credential: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActorKind {
    System,
    Person,
    Computer,
    Instance,
}

/// Usage that cannot be metered, as its sender wrote it.
#[derive(JsonSchema)]
pub(crate) struct UsageSuspended {
    id: UsageId,
    subject: String,
    resource: String,
    quantity: String,
    start: Option<Instant>,
    stop: Option<Instant>,
    unreadable_start: Option<String>,
    unreadable_stop: Option<String>,
    dimensions: Vec<(String, String)>,
    node_sequence: Option<u64>,
    replaces: Option<Sequence>,
    reason: String,
}

/// The fields of a price book.
#[derive(JsonSchema)]
pub(crate) struct PriceBookShown {
    name: PriceBookName,
    currency: Currency,
    valid_from: Instant,
    rounding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_change: Option<String>,
    resources: Vec<ResourceShown>,
    rates: Vec<RateShown>,
}

/// What is measured, and how it becomes a quantity.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ResourceShown {
    resource: ResourceId,
    kind: ResourceKind,
    meter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_minutes: Option<u16>,
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    multiply_by: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    divide_by: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    group_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<Quantity>,
}

/// Whether quantities add up or are levels.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResourceKind {
    Counter,
    Gauge,
}

/// A rate of a price book.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RateShown {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tiers: Option<Vec<TierShown>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#match: Option<MatchShown>,
}

/// A tier: its upper bound belongs to it, the last has none.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct TierShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    up_to: Option<Quantity>,
    price: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    flat: Option<Decimal>,
}

/// Which instances a rate is for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct MatchShown {
    #[serde(skip_serializing_if = "Option::is_none")]
    software_release: Option<SoftwareRelease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_type: Option<SoftwareType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    computer: Option<ComputerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_type: Option<InstanceType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<PartyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<RequestedState>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dimensions: BTreeMap<String, String>,
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

/// How long the steps of a reading are.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Hour,
    Day,
    Month,
}

/// A projection, by name.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Projection {
    Inventory,
    Instances,
    Catalogue,
    Metering,
    Billing,
    Journal,
    Access,
}

/// Whom a computer is for.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
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
    #[schemars(with = "Sequence")]
    pub(crate) sequence: slapledger_core::domain::id::Sequence,
}

/// Nothing needs to be said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}
