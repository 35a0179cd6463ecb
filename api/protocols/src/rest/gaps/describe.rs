//! What is said of the route of gaps.

#![expect(dead_code, reason = "shapes are described, and never made")]

use schemars::JsonSchema;

use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// Something that is missing.
#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum UsageGap {
    /// A computer reported nothing though instances were allocated on it.
    Silent { computer: schema::ComputerId, start: schema::Instant, stop: schema::Instant, instances: u64 },
    /// Numbers of a computer's own count (`node_sequence`) that never came; what is missing stopped, it seems, from `since` to
    /// `until`.
    MissingReports {
        computer: schema::ComputerId,
        after: u64,
        before: u64,
        count: u64,
        since: schema::Instant,
        until: schema::Instant,
    },
    /// Reports that may be about the period wait for somebody to resolve or dismiss them.
    Suspended {
        computer: schema::ComputerId,
        events: u64,
        first_sequence: schema::Sequence,
        last_sequence: schema::Sequence,
    },
    /// Nothing was reported of a resource of an instance while its computer reported other things; the first time it was so.
    SilentResource {
        computer: schema::ComputerId,
        instance: schema::InstanceId,
        resource: schema::ResourceId,
        hours: u64,
        times: u64,
        start: schema::Instant,
        stop: schema::Instant,
    },
    /// A computer was silent for more than a day when the period ended; fees are charged for that time all the same.
    DeadComputer {
        computer: schema::ComputerId,
        start: schema::Instant,
        stop: schema::Instant,
        instances: u64,
        charges: Vec<StillCharged>,
    },
}

/// Fees in one currency.
#[derive(JsonSchema)]
struct StillCharged {
    currency: schema::Currency,
    amount: schema::Amount,
}

/// Two days or instants, START/STOP
pub(crate) struct StartStop;

impl JsonSchema for StartStop {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StartStop".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Two days or instants, START/STOP; a day begins at midnight where the payer is",
            "type": "string",
            "pattern": "^[^/]+/[^/]+$",
            "examples": ["2026-10-01/2026-11-01"],
        })
    }
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called(
            "listUsageGaps",
            "usage",
            "Which computers were silent with instances on them, which reports never came, and what is suspended",
        )
        .required_query::<StartStop>("period", "When; where the seller is")
        .query::<schema::ComputerId>("computer", "Of this computer alone")
        .lists::<UsageGap>("A part of the list, by computer")
}
