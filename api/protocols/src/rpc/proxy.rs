//! What slapos proxy answers otherwise than a master.

use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::ComputerId;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;

use super::call::{CallResult, success};

/// As slapos proxy says it.
pub(super) fn not_registered(computer: &ComputerId) -> Problem {
    Problem::not_found(format!("{computer} is not registered."))
}

/// slapos proxy takes no notice of these, and answers so whatever instance they name.
pub(super) fn ignored_at_proxy(ctx: &RequestContext, answer: CallResult) -> CallResult {
    match answer {
        Err(problem) if ctx.mode() == Mode::Proxy && problem.status == axum::http::StatusCode::NOT_FOUND => {
            Ok(success("Ignored"))
        }
        answer => answer,
    }
}
