//! What is said of the routes of usage.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Answered, NoneAccepted, Readings, Settled, SuspenseForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// A usage event: a `CloudEvent` of type `org.slapos.usage`.
#[expect(dead_code, reason = "usage events are read by `cloud_event`")]
#[derive(JsonSchema)]
pub(crate) struct UsageEvent {
    specversion: String,
    r#type: String,
    /// The computer that reports it.
    source: schema::ComputerId,
    /// The sender's name of it: the same name and content again is a duplicate.
    id: schema::UsageId,
    /// An instance, a partition or a unix user of the computer, or the computer itself.
    subject: Option<String>,
    time: Option<schema::Instant>,
    data: UsageData,
}

/// One event, or a list of them.
#[expect(dead_code, reason = "usage events are read by `cloud_event`")]
#[derive(JsonSchema)]
#[serde(untagged)]
enum EventOrList {
    One(Box<UsageEvent>),
    List(Vec<UsageEvent>),
}

#[expect(dead_code, reason = "usage events are read by `cloud_event`")]
#[derive(JsonSchema)]
struct UsageData {
    resource: schema::ResourceId,
    quantity: schema::Quantity,
    start: Option<schema::Instant>,
    stop: Option<schema::Instant>,
    dimensions: Option<BTreeMap<String, String>>,
    /// The id of an earlier event whose place it takes.
    replaces: Option<schema::UsageId>,
    /// The sender's own count of its events.
    node_sequence: Option<u64>,
}

const NONE: &str = "No event was accepted; what became of each";

fn event() -> serde_json::Value {
    json!({
        "specversion": "1.0", "type": "org.slapos.usage", "source": "COMP-1",
        "id": "8f0c5a52-0d3c-4f0e-9d2e-8a5c1c2f7a10", "subject": "slappart0",
        "data": {"resource": "service_module/cpu_load_percent", "quantity": "12.5",
            "start": "2026-10-01T00:00:00Z", "stop": "2026-10-01T01:00:00Z"},
    })
}

pub(crate) fn record(operation: Operation) -> Operation {
    operation
        .called("recordUsage", "usage", "Report usage: one event, a list, or one a line")
        .description("Events are answered one by one: a duplicate, a conflict or one that cannot be metered does not keep \
            the others out. `outcomes` lists all that were not accepted. A CloudEvent in binary mode, with its attributes \
            in `ce-` headers and its data as the body, is taken too.")
        .body_as::<UsageEvent>("application/cloudevents+json", Some(event()))
        .body_as::<Vec<UsageEvent>>("application/cloudevents-batch+json", Some(json!([event()])))
        .body_as::<schema::Text>("application/x-ndjson", Some(event().to_string().into()))
        .writes::<Answered>(200, "What became of each event")
        .answers::<NoneAccepted>(422, NONE)
        .problem(404)
}

pub(crate) fn readings(operation: Operation) -> Operation {
    operation
        .called("readUsage", "usage", "What an instance used, in steps")
        .required_query::<schema::InstanceId>("instance", "Which instance")
        .required_query::<schema::Bound>("from", "The first day or instant")
        .required_query::<schema::Bound>("to", "The first day or instant after it")
        .query::<schema::ResourceId>("resource", "Of this resource alone")
        .query::<schema::Step>("step", "How long steps are; a day, if it is not said")
        .query::<schema::TimeZone>("time_zone", "Where days begin; the payer's zone, if it is not said")
        .reads::<Readings>("The readings")
        .problem(404)
}

pub(crate) fn suspense(operation: Operation) -> Operation {
    operation
        .called("listSuspendedUsage", "usage", "Usage that cannot be metered, until somebody puts it right")
        .lists::<SuspenseForm>("A part of the list")
}

/// What is put right; what is left out stays as it was reported.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    pub(super) subject: Option<schema::ShortText>,
    pub(super) resource: Option<schema::ResourceId>,
    pub(super) quantity: Option<schema::Quantity>,
    pub(super) period: Option<schema::Period>,
}

/// Why it is never metered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dismissal {
    pub(super) reason: schema::ShortText,
}

pub(crate) fn resolve(operation: Operation) -> Operation {
    operation
        .called("resolveSuspendedUsage", "usage", "Put suspended usage right, and meter it")
        .body::<Resolution>(json!({"subject": "slappart0"}))
        .optional_body()
        .writes::<Settled>(200, "It is metered")
}

pub(crate) fn dismiss(operation: Operation) -> Operation {
    operation
        .called("dismissSuspendedUsage", "usage", "Never meter suspended usage")
        .body::<Dismissal>(json!({"reason": "reported by a test"}))
        .writes::<Settled>(200, "It is dismissed")
}

pub(crate) fn report(operation: Operation) -> Operation {
    let document = "<journal><transaction type=\"Sale Packing List\"><title>Resource consumptions</title>\
        <start_date>2026-10-01 00:00:00</start_date><stop_date>2026-10-01 23:59:59</stop_date>\
        <reference>2026-10-01-global</reference><currency/><payment_mode/><category/><arrow type=\"Destination\"/>\
        <movement><resource>service_module/cpu_load_percent</resource><title>CPU</title><reference>slappart0</reference>\
        <quantity>12.5</quantity><price>0.0</price><VAT/><category/></movement></transaction></journal>";
    operation
        .called("reportUsage", "usage", "Report usage as a document: TioXML, or events in JSON")
        .query::<schema::ComputerId>("computer", "The computer that reports; needed with TioXML")
        .body_as::<schema::TioXml>("application/xml", Some(document.into()))
        .body_as::<EventOrList>("application/json", Some(json!([event()])))
        .body_as::<UsageEvent>("application/cloudevents+json", Some(event()))
        .body_as::<Vec<UsageEvent>>("application/cloudevents-batch+json", Some(json!([event()])))
        .body_as::<schema::Text>("application/x-ndjson", Some(event().to_string().into()))
        .writes::<Answered>(200, "What became of each event")
        .answers::<NoneAccepted>(422, NONE)
        .problem(404)
}
