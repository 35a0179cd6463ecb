//! What is said of the routes of computers.

use super::{ComputerItem, ComputerResource};
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schema;

pub(in crate::http) fn list(operation: Operation) -> Operation {
    operation
        .called("listComputers", "computers", "Computers, by reference")
        .lists::<ComputerItem>("A part of the list")
}

pub(in crate::http) fn show(operation: Operation) -> Operation {
    operation
        .called("showComputer", "computers", "A computer with its partitions and its software")
        .path::<schema::ComputerId>("id", "Which computer")
        .shows::<ComputerResource>("The computer")
}
