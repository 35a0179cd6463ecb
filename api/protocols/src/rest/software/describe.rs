//! What is said of the routes of software.

#![expect(dead_code, reason = "bodies are described, and never made")]

use schemars::JsonSchema;
use serde_json::json;

use super::{ProductItem, ReleaseItem};
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
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Publication {
    product: schema::Reference,
    software_release: schema::SoftwareRelease,
}

pub(crate) fn publish(operation: Operation) -> Operation {
    operation
        .called("publishSoftware", "software", "Publish a release as the best of a product")
        .body::<Publication>(
            json!({"product": "kvm", "software_release": "https://example.org/kvm/software.cfg"}),
        )
        .writes::<ProductItem>(200, "The product as it is now")
        .tagged(200)
}
