//! What is said of the routes for the operator.

use super::{Health, PartForm, Ready};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn projections(operation: Operation) -> Operation {
    operation
        .called("listProjections", "log", "What is derived from the log, with digests that are computed now")
        .reads::<crate::rest::openapi::schema::List<PartForm>>("All projections")
        .only_now()
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
