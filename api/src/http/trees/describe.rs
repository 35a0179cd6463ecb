//! What is said of the routes of instance trees.

use super::{TreeItem, TreeResource};
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema;

pub(in crate::http) fn list(operation: Operation) -> Operation {
    operation
        .called(
            "listInstanceTrees",
            "instances",
            "Instance trees, living and ended, by the id of their roots",
        )
        .lists::<TreeItem>("A part of the list")
}

pub(in crate::http) fn show(operation: Operation) -> Operation {
    operation
        .called("showInstanceTree", "instances", "An instance tree, by its root")
        .path::<schema::InstanceId>("id", "The root of the tree")
        .shows::<TreeResource>("The tree")
}
