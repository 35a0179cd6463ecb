//! What is said of the routes of price books.

#![expect(dead_code, reason = "bodies are described, and never made")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::json;

use super::{PublishedForm, VersionShown};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// A price book to be published.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PriceBook {
    name: schema::PriceBookName,
    currency: schema::Currency,
    valid_from: schema::Instant,
    rounding: Option<Rounding>,
    on_change: Option<OnChange>,
    resources: Option<Vec<MeasuredResource>>,
    rates: Vec<Rate>,
}

/// How amounts are brought to the minor unit.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Rounding {
    HalfUp,
    HalfEven,
}

/// What a change of version or rate within a month does to allowances, tiers, packages and minimums.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnChange {
    Continue,
    Restart,
}

/// What is measured, and how it is made into a quantity.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MeasuredResource {
    resource: schema::ResourceId,
    kind: schema::ResourceKind,
    meter: Meter,
    unit: schema::ShortText,
    /// The unit that is reported, if both are known.
    reported_in: Option<schema::ShortText>,
    multiply_by: Option<u64>,
    divide_by: Option<u64>,
    /// The dimensions of usage that are charged apart.
    group_by: Option<Vec<schema::ShortText>>,
    /// What an instance plausibly uses in an hour, in `unit`.
    most: Option<schema::Quantity>,
    /// Of `unique_count`: which dimension.
    dimension: Option<schema::ShortText>,
    /// Of `percentile`: from 1 to 100.
    percent: Option<u8>,
    /// Of `percentile`: it divides a day.
    sample_minutes: Option<u16>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Meter {
    Sum,
    TimeIntegral,
    Count,
    Min,
    Max,
    Average,
    Latest,
    UniqueCount,
    Percentile,
}

/// A price, and what it is the price of.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Rate {
    /// A fee for each instance.
    Recurring {
        item: Option<schema::ShortText>,
        every: Every,
        when: When,
        until: Option<FeeEnd>,
        price: schema::Price,
        r#match: Option<Match>,
    },
    /// For each unit of a resource.
    PerUnit {
        resource: schema::ResourceId,
        price: schema::Price,
        free: Option<schema::Quantity>,
        per: Option<Per>,
        r#match: Option<Match>,
    },
    /// Each unit costs what its tier says.
    Graduated {
        resource: schema::ResourceId,
        tiers: Vec<Tier>,
        free: Option<schema::Quantity>,
        per: Option<Per>,
        r#match: Option<Match>,
    },
    /// All units cost what the tier says in which the quantity is.
    Volume {
        resource: schema::ResourceId,
        tiers: Vec<Tier>,
        free: Option<schema::Quantity>,
        per: Option<Per>,
        r#match: Option<Match>,
    },
    /// So much for each package that was begun.
    Package {
        resource: schema::ResourceId,
        size: schema::Quantity,
        price: schema::Price,
        free: Option<schema::Quantity>,
        per: Option<Per>,
        r#match: Option<Match>,
    },
    /// A part of a customer's other lines.
    Percentage {
        percent: schema::Quantity,
        of: Option<Of>,
        resource: Option<schema::ResourceId>,
        r#match: Option<Match>,
    },
    /// What a customer pays at least for a month.
    Minimum {
        price: schema::Price,
        of: Option<Of>,
        resource: Option<schema::ResourceId>,
        proration: Option<Proration>,
        r#match: Option<Match>,
    },
}

/// A tier: its upper bound belongs to it, the last has none.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Tier {
    up_to: Option<schema::Quantity>,
    price: schema::Price,
    flat: Option<schema::Price>,
}

/// Until when a fee is charged.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FeeEnd {
    DestroyRequested,
    Destroyed,
}

/// What a customer owes with instances for a part of a month.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Proration {
    Allocated,
    None,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Every {
    Hour,
    Day,
    Month,
    Year,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum When {
    Arrears,
    Advance,
}

/// Whose usage is priced together.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Per {
    Instance,
    Customer,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Of {
    All,
    Recurring,
    Usage,
}

/// For which instances: the rate with most members that fit wins.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Match {
    software_release: Option<schema::SoftwareRelease>,
    software_type: Option<schema::SoftwareType>,
    computer: Option<schema::ComputerId>,
    instance_type: Option<schema::InstanceType>,
    customer: Option<schema::PartyId>,
    /// The region its computer says it is in.
    region: Option<schema::ShortText>,
    /// The state its owner requested.
    state: Option<schema::RequestedState>,
    /// Dimensions of usage; each counts as a member.
    dimensions: Option<BTreeMap<String, String>>,
}

/// Something in which two versions differ.
#[derive(JsonSchema)]
pub(super) struct ChangeShown {
    /// A setting, a resource, or a rate with what it is for.
    what: String,
    /// The fields that are others now, if it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<schema::AnyObject>,
    /// The fields that were others before, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<schema::AnyObject>,
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listPriceBooks", "prices", "The newest version of each price book, by name")
        .lists::<VersionShown>("A part of the list")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showPriceBook", "prices", "A version of a price book, and what versions there are")
        .path::<schema::PriceBookName>("name", "Which price book")
        .query::<schema::Number>("version", "Which version; the newest, if it is not said")
        .shows::<VersionShown>("The version")
}

pub(crate) fn publish(operation: Operation) -> Operation {
    let operation =
        operation.called("publishPriceBook", "prices", "Publish a price book as its next version");
    book(operation)
        .query::<schema::Flag>("preview", "Whether to tell what it would do, and record nothing")
        .query::<schema::Flag>("retroactive", "Whether it may take effect in a period that is invoiced")
        .writes::<PublishedForm>(200, "This version counted already, or it is a preview")
        .writes::<PublishedForm>(201, "It is published")
}

/// It reads a price book.
pub(crate) fn book(operation: Operation) -> Operation {
    operation
        .body_as::<PriceBook>(
            "application/json",
            Some(json!({
                "name": "standard", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z", "rounding": "half_up",
                "resources": [{"resource": "service_module/cpu_load_percent", "kind": "gauge",
                    "meter": "time_integral", "unit": "percent_hour"}],
                "rates": [{"kind": "recurring", "every": "month", "when": "arrears", "price": "10.00",
                    "match": {"instance_type": "production"}}],
            })),
        )
        .body_as::<schema::Text>("application/toml", None)
}
