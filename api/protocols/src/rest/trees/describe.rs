//! What is said of the routes of instance trees.

use super::{TreeItem, TreeResource};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called(
            "listInstanceTrees",
            "instances",
            "Instance trees, living and ended, by the id of their roots",
        )
        .lists::<TreeItem>("A part of the list")
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showInstanceTree", "instances", "An instance tree, by its root")
        .path::<schema::InstanceId>("id", "The root of the tree")
        .shows::<TreeResource>("The tree")
}
