//! What is said of the routes of instance trees.

use schemars::JsonSchema;

use super::{InstanceCounts, TreeItem, TreeResource};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

/// What somebody sees of an instance; `wrong` is whatever somebody has to look after.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes a parameter")]
enum TreeState {
    Wrong,
    Started,
    Stopped,
    Destroyed,
    Ended,
    Lost,
    Unplaced,
}

/// The filters that the list and the counts have in common.
fn filtered(operation: Operation) -> Operation {
    operation
        .query::<schema::PartyId>("owner", "Only trees that this party pays for")
        .query::<schema::ShortText>("q", "Only roots whose id, title, software or computer has this in it")
}

pub(crate) fn counts(operation: Operation) -> Operation {
    filtered(operation.called("countInstances", "instances", "How many instance trees there are, by state"))
        .reads::<InstanceCounts>("The counts")
}

pub(crate) fn list(operation: Operation) -> Operation {
    filtered(operation)
        .query::<TreeState>("state", "Only trees whose root is seen so")
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
