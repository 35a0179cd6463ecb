//! What is said of the routes of instances.

#![expect(dead_code, reason = "bodies are described, and never made")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::json;

use super::{InstanceItem, InstanceResource};
use crate::rest::computers::describe::Bang;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema::{self, Nothing};

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
    /// Where it may be.
    sla: Option<BTreeMap<String, String>>,
    /// Whether it is to live on another instance, not in a partition of its own.
    shared: Option<bool>,
    /// The instance that asks, from inside its partition; the user, if it is not said.
    requester: Option<schema::InstanceId>,
    /// Who asks for it and pays for it; the user, if it is not said.
    owner: Option<schema::PartyId>,
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listInstances", "instances", "Instances, living and ended, by id")
        .query::<schema::InstanceId>("root", "Those of this tree")
        .query::<schema::ComputerId>("computer", "Those that are or were on this computer")
        .query::<schema::Reference>("title", "Those of this name")
        .lists::<InstanceItem>("A part of the list")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showInstance", "instances", "An instance with its parameters and how it is reached")
        .path::<schema::InstanceId>("id", "Which instance")
        .shows::<InstanceResource>("The instance")
}

pub(crate) fn request(operation: Operation) -> Operation {
    operation
        .called("requestInstance", "instances", "Ask for an instance, or change it: `request()`")
        .body::<InstanceWanted>(json!({
            "software_release": "https://example.org/kvm/software.cfg",
            "instance_id": "My first instance",
            "instance_type": "production",
        }))
        .writes::<InstanceResource>(200, "It exists, as it was or changed")
        .location(200)
        .tagged(200)
        .writes::<InstanceResource>(201, "It is new")
        .location(201)
        .tagged(201)
        .writes::<InstanceResource>(
            202,
            "There is no room yet: it is kept, and allocated as soon as there is",
        )
        .location(202)
        .tagged(202)
        .retry_after(202)
        .problem(404)
}

/// What all changes of an instance have in common.
fn changes(operation: Operation) -> Operation {
    operation
        .path::<schema::InstanceId>("id", "Which instance")
        .if_match()
        .writes::<InstanceResource>(200, "The instance as it is now")
        .tagged(200)
        .problem(404)
}

/// What is wanted now; what is left out stays as it is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct InstanceChange {
    software_release: Option<schema::SoftwareRelease>,
    software_type: Option<schema::SoftwareType>,
    instance_type: Option<schema::InstanceType>,
    state: Option<schema::RequestedState>,
    parameters: Option<schema::Parameters>,
    sla: Option<BTreeMap<String, String>>,
}

pub(crate) fn want(operation: Operation) -> Operation {
    changes(operation.called("changeInstance", "instances", "Change what is wanted of an instance"))
        .body::<InstanceChange>(json!({"parameters": {"memory": "4 GiB"}}))
}

pub(crate) fn destroy(operation: Operation) -> Operation {
    changes(operation.called("destroyInstance", "instances", "Have an instance destroyed"))
        .description("It is there until its node says that it is gone.")
}

pub(crate) fn erase(operation: Operation) -> Operation {
    changes(operation.called("eraseInstance", "instances", "Erase what was sealed for an instance, for good"))
        .body::<Nothing>(json!({}))
        .optional_body()
        .description(
            "Its key is destroyed: parameters, connection parameters and error texts cannot be read any more, by anybody. \
             Only what has ended can be erased. Done again it changes nothing.",
        )
}

/// The state a node says an instance is in.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct InstanceReport {
    state: schema::ReportedState,
    /// What went wrong, with state `error`.
    error: Option<String>,
}

pub(crate) fn report(operation: Operation) -> Operation {
    changes(operation.called("reportInstance", "instances", "Say in which state an instance is"))
        .body::<InstanceReport>(json!({"state": "started"}))
}

/// How an instance is reached.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Connection {
    connection_parameters: schema::Parameters,
}

pub(crate) fn set_connection(operation: Operation) -> Operation {
    changes(operation.called("setConnectionParameters", "instances", "Say how an instance is reached"))
        .body::<Connection>(json!({"connection_parameters": {"url": "https://[2001:db8::1]/"}}))
}

pub(crate) fn bang(operation: Operation) -> Operation {
    changes(operation.called("bangInstance", "instances", "Have a whole tree processed again"))
        .body::<Bang>(json!({"message": "the certificate is new"}))
        .optional_body()
}

/// Another name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rename {
    title: schema::Reference,
}

pub(crate) fn rename(operation: Operation) -> Operation {
    changes(operation.called("renameInstance", "instances", "Give an instance another name"))
        .body::<Rename>(json!({"title": "My other instance"}))
}
