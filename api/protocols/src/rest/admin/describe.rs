//! What is said of the routes for the operator.

use serde_json::json;

use super::{Health, PartForm, Ready, RebuiltForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema::{self, Nothing};

pub(crate) fn projections(operation: Operation) -> Operation {
    operation
        .called("listProjections", "log", "What is derived from the log, with digests that are computed now")
        .reads::<crate::rest::openapi::schema::List<PartForm>>("All projections")
        .only_now()
}

pub(crate) fn rebuild(operation: Operation) -> Operation {
    operation
        .called(
            "rebuildProjection",
            "log",
            "Derive a projection again from the first event, beside the one in use",
        )
        .path::<schema::Projection>("name", "Which projection")
        .body::<Nothing>(json!({}))
        .optional_body()
        .writes::<RebuiltForm>(200, "It was derived, and has taken its place")
}

pub(crate) fn health(operation: Operation) -> Operation {
    operation
        .called("health", "health", "Whether anything is wrong that a restart or a person has to mend")
        .answers::<Health>(200, "Nothing is wrong")
        .answers::<Health>(503, "Something is wrong; `faults` says what")
        .only_json()
}

pub(crate) fn ready(operation: Operation) -> Operation {
    operation
        .called("readiness", "health", "Whether requests are answered in time")
        .answers::<Ready>(200, "They are")
        .answers::<Ready>(503, "They are better sent elsewhere")
        .only_json()
}

pub(crate) fn document(operation: Operation) -> Operation {
    operation
        .called("describe", "health", "This document")
        .answers::<schema::AnyObject>(200, "The document")
        .only_json()
}
