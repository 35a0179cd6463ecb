//! What is said of the routes of projects.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::ProjectForm;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listProjects", "access", "Projects, in the order they were opened")
        .lists::<ProjectForm>("A part of the list")
}

/// A project to be opened.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProject {
    /// Title; unique.
    pub(super) title: schema::ShortText,
    /// Where months of its first party begin, who is called as it is and runs it; UTC, if it is not said.
    pub(super) time_zone: Option<schema::TimeZone>,
}

pub(crate) fn open(operation: Operation) -> Operation {
    operation
        .called("openProject", "access", "Open a project: a world of its own")
        .body::<NewProject>(json!({"title": "acme"}))
        .writes::<ProjectForm>(201, "It is opened")
}
