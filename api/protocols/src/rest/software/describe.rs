//! What is said of the routes of software.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{ProductItem, ReleaseItem, SchemaForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listSoftware", "software", "Software releases, by address")
        .lists::<ReleaseItem>("A part of the list")
}

pub(crate) fn products(operation: Operation) -> Operation {
    operation
        .called("listProducts", "software", "Software products, by name")
        .lists::<ProductItem>("A part of the list")
}

/// A release that is the best of a product from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Publication")]
pub(super) struct ReleasePublication {
    pub(super) product: schema::Reference,
    pub(super) software_release: schema::SoftwareRelease,
}

pub(crate) fn publish(operation: Operation) -> Operation {
    operation
        .called("publishSoftware", "software", "Publish a release as the best of a product")
        .body::<ReleasePublication>(
            json!({"product": "kvm", "software_release": "https://example.org/kvm/software.cfg"}),
        )
        .writes::<ProductItem>(200, "The product as it is now")
        .tagged(200)
}

/// How the parameters of a release are described.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemaSupply {
    pub(super) software_release: schema::SoftwareRelease,
    /// The JSON schema, or the `software.cfg.json` that has it in place of the names of files.
    #[schemars(with = "schema::AnyObject")]
    pub(super) schema: serde_json::Map<String, serde_json::Value>,
}

pub(crate) fn schema(operation: Operation) -> Operation {
    operation
        .called("showSoftwareSchema", "software", "Which parameters a release takes")
        .required_query::<schema::SoftwareRelease>("software_release", "Which release")
        .shows::<SchemaForm>("The schema")
}

pub(crate) fn supply_schema(operation: Operation) -> Operation {
    operation
        .called("supplySoftwareSchema", "software", "Describe the parameters of a release")
        .body_as::<SchemaSupply>(
            "application/json",
            Some(json!({
                "software_release": "https://example.org/kvm/software.cfg",
                "schema": {"properties": {"size": {"type": "string", "enum": ["small", "large"]}}},
            })),
        )
        .writes::<SchemaForm>(200, "The schema as it is now")
        .tagged(200)
        .problem(404)
}
