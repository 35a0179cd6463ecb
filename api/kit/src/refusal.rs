//! The table from refusals and faults of the core to statuses.

use axum::http::StatusCode;
use slapledger_core::domain::RefusalClass;
use slapledger_core::ledger::SubmitError;
use slapledger_projections::runner::ReadFault;

use crate::conflict;
use crate::problem::Problem;

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::Refused(refusal) => {
                let problem = match refusal.class() {
                    RefusalClass::NotFound => Self::not_found(detail),
                    RefusalClass::Invalid => Self::new(StatusCode::BAD_REQUEST, "invalid", detail),
                    RefusalClass::Conflict => conflict::conflict(detail),
                    RefusalClass::NoRoom => Self::new(StatusCode::NOT_FOUND, "no-room", detail),
                    RefusalClass::NotLetIn => Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail),
                    RefusalClass::Retry => return Self::unavailable(detail, 1),
                };
                Self { field: refusal.field().map(str::to_owned), ..problem }
            }
            SubmitError::CommandIdReused => {
                let problem = conflict::of_kind("idempotency-key-reused", detail);
                Self { field: Some("idempotency-key".into()), ..problem }
            }
            // Which event it is that would be too long is nothing to the client.
            SubmitError::TooLarge { bytes, .. } => {
                let detail =
                    format!("it would take {bytes} bytes to keep all of it, 65535 at most can be kept");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
            }
            SubmitError::ClockUnconfirmed(_) => Self::later("clock-unconfirmed", detail, 30),
            SubmitError::ClockBehind { now, recorded_at } => {
                let wait = recorded_at.micros().saturating_sub(now.micros()) / 1_000_000 + 1;
                let wait = u32::try_from(wait.clamp(1, 3600)).unwrap_or(3600);
                Self::later("clock-behind", detail, wait)
            }
            SubmitError::ClockStatedOtherwise { .. } => {
                let problem = conflict::of_kind("clock-stated-otherwise", detail);
                Self { field: Some("now".into()), ..problem }
            }
            SubmitError::NoRoom(_) => {
                let problem = Self::new(StatusCode::INSUFFICIENT_STORAGE, "insufficient-storage", detail);
                Self { retry_after_seconds: Some(60), ..problem }
            }
            SubmitError::Busy | SubmitError::Moved => Self::unavailable(detail, 1),
            SubmitError::AnswerUnreadable { .. } => Self::fault(&detail),
            SubmitError::Stopped(_) => {
                tracing::error!(%detail, "a command was not carried out");
                Self::unavailable("the ledger takes no commands at the moment", 30)
            }
        }
    }
}

impl From<ReadFault> for Problem {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Behind { .. } => Self::unavailable(fault.to_string(), 1),
            ReadFault::Stopped { .. } => Self::fault(&fault),
        }
    }
}
