//! `POST /v1/usage-voids`: a usage event counts in no meter any more.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::usage::{MOST_VOIDS, UsageId, UsageOutcome, VoidRequest, VoidUsage};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::{Submission, SubmitError};
use slapledger_core::log::envelope::Actor;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body;
use slapledger_kit::problem::Problem;
use slapledger_usecases::context::RequestContext;

use crate::access::Authorised;
use crate::rest::openapi::schema;
use crate::rest::query;

/// A usage event that is to count in no meter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VoidWanted {
    /// The computer that reported it.
    computer: schema::ComputerId,
    /// The sender's id of it.
    id: schema::ShortText,
    reason: schema::LongText,
}

/// What became of a request to void an event.
#[derive(Serialize, JsonSchema)]
pub(crate) struct VoidedUsage {
    computer: ComputerId,
    /// The usage event.
    id: UsageId,
    /// `voided`, or `duplicate` if it was void already.
    outcome: &'static str,
    sequence: Sequence,
}

/// `POST /v1/usage-voids`.
pub(crate) async fn void(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<VoidedUsage>, Problem> {
    let (sent, wanted) = json_body::read::<VoidWanted>(request, json_body::MOST_BYTES).await?;
    let computer = ComputerId::from(wanted.computer);
    let id =
        UsageId::new(&Box::<str>::from(wanted.id)).map_err(|rule| Problem::field("id", rule.to_string()))?;
    let theirs = ctx.computers_seen(ctx.ledger().head().last).await?;
    let unknown = || {
        let detail = format!("there is no usage event {id} of {computer}");
        Problem { field: Some("id".into()), ..Problem::unknown(ProblemCode::UsageUnknown, detail) }
    };
    if !theirs.are_all() && !theirs.has(&computer) {
        return Err(unknown());
    }
    let reason = String::from(wanted.reason).into();
    let voids = vec![VoidRequest { id: None, voids: id.clone(), reason }];
    let command = Command::VoidUsage(VoidUsage { computer: computer.clone(), voids });
    let meta = query::meta(&ctx, super::local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let Answer::Usage(outcomes) = accepted.answer else {
        return Err(Problem::fault(&"a void was answered otherwise"));
    };
    let outcome = match outcomes.first() {
        Some(UsageOutcome::Voided(_)) => "voided",
        Some(UsageOutcome::Duplicate(_)) => "duplicate",
        _ => return Err(unknown()),
    };
    let sequence = accepted.sequence;
    Ok(HttpAnswer::ok(sequence, VoidedUsage { computer, id, outcome, sequence }))
}

/// Carries out requests of a computer that came beside usage: some at a time, each part under a name of its own.
pub(super) async fn carry_out(
    ctx: &Arc<RequestContext>,
    (actor, headers, content): (Actor, &HeaderMap, &[&[u8]]),
    computer: &ComputerId,
    voids: &[VoidRequest],
) -> Result<(Vec<UsageOutcome>, Sequence), SubmitOrProblem> {
    let (mut outcomes, mut sequence) = (Vec::with_capacity(voids.len()), Sequence::ZERO);
    for (part, some) in voids.chunks(MOST_VOIDS).enumerate() {
        let part = format!("voids {part}");
        let meta = query::meta_of_part(ctx, actor.clone(), headers, content, &part);
        let meta = meta.map_err(SubmitOrProblem::Problem)?;
        let command = VoidUsage { computer: computer.clone(), voids: some.to_vec() };
        let command = Command::VoidUsage(command);
        let accepted = ctx.ledger().submit_patiently(Submission { meta, command }).await;
        let accepted = accepted.map_err(SubmitOrProblem::Submit)?;
        let Answer::Usage(told) = accepted.answer else {
            return Err(SubmitOrProblem::Problem(Problem::fault(&"a void was answered otherwise")));
        };
        outcomes.extend(told);
        sequence = sequence.max(accepted.sequence);
    }
    Ok((outcomes, sequence))
}

/// Why requests were not carried out.
pub(super) enum SubmitOrProblem {
    Submit(SubmitError),
    Problem(Problem),
}

impl From<SubmitOrProblem> for Problem {
    fn from(error: SubmitOrProblem) -> Self {
        match error {
            SubmitOrProblem::Submit(error) => error.into(),
            SubmitOrProblem::Problem(problem) => problem,
        }
    }
}

#[cfg(test)]
mod tests;
