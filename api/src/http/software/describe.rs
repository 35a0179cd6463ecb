//! What is said of the routes of software.

use super::ReleaseItem;
use crate::http::openapi::operation::Operation;

pub(in crate::http) fn list(operation: Operation) -> Operation {
    operation
        .called("listSoftware", "software", "Software releases, by address")
        .lists::<ReleaseItem>("A part of the list")
}
