//! What is said of the routes of usage.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::received::{ReceiptList, ReceiptOutcomeName};
use super::suspense::{SuspenseCounts, SuspenseForm};
use super::voids::{VoidWanted, VoidedUsage};
use super::{Answered, NoneAccepted, Readings, Settled};
use crate::rest::cloud_event::UsageEvent;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// One event, or a list of them.
enum EventOrList {}

impl JsonSchema for EventOrList {
    fn schema_name() -> Cow<'static, str> {
        "EventOrList".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One event, or a list of them.",
            "anyOf": [generator.subschema_for::<UsageEvent<'_>>(), generator.subschema_for::<Vec<UsageEvent<'_>>>()],
        })
    }
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
            in `ce-` headers and its data as the body, is taken too. An event of type `org.slapos.usage.void`, whose data \
            are `voids` (the id of a usage event of the same source) and `reason`, voids that usage event.")
        .body_as::<UsageEvent<'_>>("application/cloudevents+json", Some(event()))
        .body_as::<Vec<UsageEvent<'_>>>("application/cloudevents-batch+json", Some(json!([event()])))
        .body_as::<schema::Text>("application/x-ndjson", Some(event().to_string().into()))
        .writes::<Answered>(200, "What became of each event")
        .answers::<NoneAccepted>(422, NONE)
        .problem(404)
}

pub(crate) fn readings(operation: Operation) -> Operation {
    operation
        .called("readUsage", "usage", "What an instance used, in steps")
        .required_query::<schema::InstanceId>("instance", "Which instance")
        .query::<schema::StartStop>("period", "When, instead of `from` and `to`")
        .query::<schema::BoundText>("from", "The first day or instant; needed without `period`")
        .query::<schema::BoundText>("to", "The first day or instant after it")
        .query::<schema::ResourceId>("resource", "Of this resource alone")
        .query::<schema::Step>("step", "How long steps are; a day, if it is not said")
        .query::<schema::TimeZone>("time_zone", "Where days begin; the payer's zone, if it is not said")
        .reads::<Readings>("The readings")
        .problem(404)
}

pub(crate) fn receipts(operation: Operation) -> Operation {
    operation
        .called("listUsageReceipts", "usage", "What became of usage events since the program started")
        .description(
            "Accepted and suspended events are in the log, duplicates and rejected ones are not. Their numbers are \
             exact; of each computer and outcome the last 1,000 are listed, fewer if there are many computers. They \
             are in memory: a start begins anew. The newest come first.",
        )
        .query::<schema::Name>("computer", "Receipts of this computer alone")
        .query::<ReceiptOutcomeName>("outcome", "Receipts of this outcome alone")
        .query::<schema::Limit>("limit", "How many items, at most; 100, if it is not said")
        .query::<schema::Cursor>("cursor", "The `next` of an earlier answer: the items after those")
        .reads::<ReceiptList>("Receipts and counts")
        .only_now()
}

fn suspended(operation: Operation) -> Operation {
    operation
        .query::<schema::Name>("reason", "Only usage that is suspended for this, such as `not_a_number`")
        .query::<schema::ComputerId>("computer", "Only usage that this computer reported")
}

pub(crate) fn suspense_counts(operation: Operation) -> Operation {
    suspended(operation)
        .called("countSuspendedUsage", "usage", "How much usage is suspended, by reason and computer")
        .description("All that the caller may see, and the 100 computers with the most of it.")
        .reads::<SuspenseCounts>("The counts")
}

pub(crate) fn suspense(operation: Operation) -> Operation {
    suspended(operation)
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
    pub(super) period: Option<schema::AnyPeriod>,
}

/// Why it is never metered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dismissal {
    pub(super) reason: schema::ShortText,
}

pub(crate) fn void(operation: Operation) -> Operation {
    operation
        .called("voidUsage", "usage", "Void a usage event: it counts in no meter any more")
        .description(
            "The event and what it replaced are metered no more. The id stays known, so that the same event sent again is \
             a duplicate. A void that comes after a run adjusts the next invoice, as a correction does.",
        )
        .body::<VoidWanted>(json!({"computer": "COMP-1", "id": "8f0c5a52-0d3c-4f0e-9d2e-8a5c1c2f7a10", "reason": "sent by mistake"}))
        .writes::<VoidedUsage>(200, "It is void")
        .problem(404)
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
        .body_as::<UsageEvent<'_>>("application/cloudevents+json", Some(event()))
        .body_as::<Vec<UsageEvent<'_>>>("application/cloudevents-batch+json", Some(json!([event()])))
        .body_as::<schema::Text>("application/x-ndjson", Some(event().to_string().into()))
        .writes::<Answered>(200, "What became of each event")
        .answers::<NoneAccepted>(422, NONE)
        .problem(404)
}
