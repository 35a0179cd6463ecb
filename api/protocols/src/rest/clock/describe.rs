//! What is said of the routes of the clock.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::ClockShown;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showClock", "log", "Whether the clock of the server can be believed")
        .reads::<ClockShown>("The clock")
        .only_now()
}

/// A confirmation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClockConfirmation {
    /// What time it is, for anyone who confirms it.
    pub(super) now: schema::Instant,
}

pub(crate) fn confirm(operation: Operation) -> Operation {
    operation
        .called("confirmClock", "log", "Confirm what the clock of the server shows")
        .description(
            "For a clock that stepped, or that was far from the last event when the server started. `now` must be \
             within a minute of what the clock shows; otherwise it is 409, and the clock has to be corrected.",
        )
        .body::<ClockConfirmation>(json!({"now": "2026-10-01T01:00:00Z"}))
        .writes::<ClockShown>(200, "The clock as it is now; nothing is recorded where it was not in doubt")
}
