//! What is said of the routes of instances.

#![expect(dead_code, reason = "bodies are described, and never made")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::json;

use super::{InstanceItem, InstanceResource};
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema;

/// What is wanted. What is left out of an instance that exists stays as it is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct InstanceWanted {
    software_release: schema::SoftwareRelease,
    /// The name it goes by: the same name again is the same instance.
    instance_id: schema::Reference,
    instance_type: Option<schema::InstanceType>,
    software_type: Option<schema::SoftwareType>,
    state: Option<schema::RequestedState>,
    parameters: Option<schema::Parameters>,
    /// Where it may be; counts when it is new.
    sla: Option<BTreeMap<String, String>>,
}

pub(in crate::http) fn list(operation: Operation) -> Operation {
    operation
        .called("listInstances", "instances", "Instances, living and ended, by id")
        .lists::<InstanceItem>("A part of the list")
}

pub(in crate::http) fn show(operation: Operation) -> Operation {
    operation
        .called("showInstance", "instances", "An instance with its parameters and how it is reached")
        .path::<schema::InstanceId>("id", "Which instance")
        .shows::<InstanceResource>("The instance")
}

pub(in crate::http) fn request(operation: Operation) -> Operation {
    operation
        .called("requestInstance", "instances", "Ask for an instance, or change it: `request()`")
        .body::<InstanceWanted>(json!({
            "software_release": "https://example.org/kvm/software.cfg",
            "instance_id": "My first instance",
            "instance_type": "production",
        }))
        .writes::<InstanceResource>(200, "It exists, as it was or changed")
        .location(200)
        .writes::<InstanceResource>(201, "It is new")
        .location(201)
        .writes::<InstanceResource>(
            202,
            "There is no room yet: it is kept, and allocated as soon as there is",
        )
        .location(202)
        .retry_after(202)
        .problem(404)
}
