//! What is said of the routes of price books.

#![expect(dead_code, reason = "bodies are described, and never made")]

use schemars::JsonSchema;
use serde_json::json;

use super::{Published, Shown};
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema;

/// A price book to be published.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PriceBook {
    name: schema::PriceBookName,
    currency: schema::Currency,
    valid_from: schema::Instant,
    rounding: Rounding,
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

/// What is measured, and how it is made into a quantity.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MeasuredResource {
    resource: schema::ResourceId,
    kind: ResourceKind,
    meter: Meter,
    unit: schema::ShortText,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ResourceKind {
    Counter,
    Gauge,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Meter {
    Sum,
    TimeIntegral,
}

/// A price, and what it is the price of.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Rate {
    /// A fee for each instance.
    Recurring { every: Month, when: Arrears, price: schema::Price, r#match: Option<Match> },
    /// For each unit of a resource.
    PerUnit { resource: schema::ResourceId, price: schema::Price, r#match: Option<Match> },
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Month {
    Month,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Arrears {
    Arrears,
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
}

pub(in crate::http) fn list(operation: Operation) -> Operation {
    operation
        .called("listPriceBooks", "prices", "The newest version of each price book, by name")
        .lists::<Shown<'static>>("A part of the list")
}

pub(in crate::http) fn show(operation: Operation) -> Operation {
    operation
        .called("showPriceBook", "prices", "A version of a price book, and what versions there are")
        .path::<schema::PriceBookName>("name", "Which price book")
        .query::<schema::Number>("version", "Which version; the newest, if it is not said")
        .shows::<Shown<'static>>("The version")
}

pub(in crate::http) fn publish(operation: Operation) -> Operation {
    operation
        .called("publishPriceBook", "prices", "Publish a price book as its next version")
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
        .writes::<Published<'static>>(200, "This version counted already")
        .writes::<Published<'static>>(201, "It is published")
}
