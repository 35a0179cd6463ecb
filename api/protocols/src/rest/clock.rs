//! The clock of the server: how it is doing, and an operator's confirmation of what it shows.

pub(super) mod describe;

use axum::extract::Request;
use axum::http::Uri;
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::ClockStatus;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;

use self::describe::ClockConfirmation;
use super::query::{self, Query};
use crate::access::Authorised;

/// Whether the clock can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ClockStateForm {
    /// It shows what it should show.
    Trusted,
    /// It does not, and nothing is recorded until it is corrected or confirmed.
    Unconfirmed,
    /// It shows an earlier time than that of the last event, and no document is issued until it has passed that time.
    Behind,
    /// It is set by hand or read from a file, and not watched.
    Unwatched,
}

/// The clock of the server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Clock")]
pub(crate) struct ClockShown {
    state: ClockStateForm,
    /// What it shows.
    now: Timestamp,
    /// What it should show, if it is unconfirmed: after a step, the time by elapsed time; after a start, that of the last
    /// event.
    expected: Option<Timestamp>,
    /// When the last event was recorded.
    recorded_at: Timestamp,
    /// What is wrong, and what to do, in words.
    fault: Option<String>,
    /// How far it may step while the server runs.
    most_step_seconds: u64,
    /// How far it may be ahead of the last event when the server starts.
    most_absence_seconds: u64,
}

impl ClockShown {
    fn of(ctx: &RequestContext) -> Self {
        let ClockStatus { now, recorded_at, watched, doubt, behind, bounds } = ctx.ledger().clock_status();
        let state = match doubt {
            Some(_) => ClockStateForm::Unconfirmed,
            None if behind => ClockStateForm::Behind,
            None if watched => ClockStateForm::Trusted,
            None => ClockStateForm::Unwatched,
        };
        Self {
            state,
            now,
            expected: doubt.map(|doubt| doubt.expected),
            recorded_at,
            fault: ctx.ledger().clock_fault(),
            most_step_seconds: bounds.most_step.as_secs(),
            most_absence_seconds: bounds.most_absence.as_secs(),
        }
    }
}

/// `GET /v1/clock`.
pub(super) async fn show(Authorised(ctx): Authorised, uri: Uri) -> Result<HttpAnswer<ClockShown>, Problem> {
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    Ok(HttpAnswer::ok(position, ClockShown::of(&ctx)))
}

/// `POST /v1/clock/confirm`: what the clock shows is right, if it is within a minute of what is sent. Where it is not in
/// doubt there is nothing to confirm, and nothing is recorded.
pub(super) async fn confirm(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<ClockShown>, Problem> {
    let (sent, ClockConfirmation { now }) = json_body::read(request, json_body::MOST_BYTES).await?;
    let meta = query::meta(&ctx, ctx.caller.actor(), &sent.headers, &sent.content())?;
    let confirmed = ctx.ledger().confirm_clock(meta, now.0).await?;
    let sequence = confirmed.map_or(ctx.ledger().head().last, |accepted| accepted.sequence);
    Ok(HttpAnswer::ok(sequence, ClockShown::of(&ctx)))
}

#[cfg(test)]
mod tests;
