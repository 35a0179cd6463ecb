//! What is said of the route of gaps.

use schemars::JsonSchema;

use super::UsageGap;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

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
