//! Conflicts: everything that is answered 409, and what it becomes for clients that take 409 for something else.

use axum::http::StatusCode;

use super::code::ProblemCode;
use super::problem::Problem;

/// It does not go with what is there.
pub fn conflict(detail: impl Into<String>) -> Problem {
    of_code(ProblemCode::Conflict, detail)
}

/// A conflict that has a code of its own.
pub fn of_code(code: ProblemCode, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}

/// A conflict with what a node reports. It is told that there is no such thing, as the master tells it: slapgrid then
/// goes on with its other partitions, and it would stop at 409.
pub fn for_node(code: ProblemCode, detail: impl Into<String>) -> Problem {
    Problem::unknown(code, detail)
}

/// A status as JSON-RPC has it: what is not there, or does not go with what is there, is forbidden.
pub fn rpc_status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => StatusCode::FORBIDDEN,
        status => status,
    }
}
