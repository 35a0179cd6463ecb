//! `POST /usage_report_module/`: the usage reports of nodes as documents. `TioXML` as `useComputer` takes it, or events
//! in JSON as `/v1/usage-events` does; recorded by the same decision.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Uri};
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::usage::RecordUsage;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_kit::collect;
use slapledger_kit::problem::Problem;
use slapledger_slap_wire::{self as slap_wire, usage_report};
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::{no_computer, read};

use super::notices::Notices;
use super::{Answered, UsageAnswer, binary, record_binary, record_events, voids};
use crate::access::Authorised;
use crate::rest::cloud_event::EventFormat;
use crate::rest::query::{self, Query};

/// `POST /usage_report_module/`.
pub(crate) async fn post(
    Authorised(ctx): Authorised,
    uri: Uri,
    request: Request,
) -> Result<UsageAnswer, Problem> {
    const EXPECTED: &str = "application/xml (TioXML), application/json or CloudEvents in JSON";
    let (parts, body) = request.into_parts();
    if binary::is_event(&parts.headers) {
        Query::read(&uri, &["computer"])?;
        return record_binary(&ctx, &parts, body).await;
    }
    let media_type = collect::media_type(&parts.headers);
    if let Some("application/xml" | "text/xml") = media_type.as_deref() {
        let query = Query::read(&uri, &["computer"])?;
        let computer: ComputerId = query.required("computer")?;
        let body = collect::collect(&parts, body, slap_wire::MAX_BYTES).await?;
        return record_document(&ctx, &parts.headers, computer, &body).await;
    }
    Query::read(&uri, &["computer"])?;
    let plain = media_type.as_deref() == Some("application/json");
    let format = media_type.as_deref().and_then(EventFormat::of).filter(|_| !plain);
    if format.is_none() && !plain {
        return Err(Problem::unsupported_media_type(EXPECTED));
    }
    let body = collect::collect(&parts, body, usize::MAX).await?;
    let list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let format = format.unwrap_or(if list { EventFormat::Batch } else { EventFormat::One });
    record_events(&ctx, &parts.headers, body, format).await
}

async fn record_document(
    ctx: &Arc<RequestContext>,
    headers: &HeaderMap,
    computer: ComputerId,
    body: &[u8],
) -> Result<UsageAnswer, Problem> {
    ctx.caller.check_node(&computer)?;
    let zone = read(ctx, Sequence::ZERO, |view, _| {
        view.inventory.computer(computer.as_str()).map(|known| known.time_zone)
    });
    let zone =
        zone.await?.ok_or_else(|| Problem { field: Some("computer".into()), ..no_computer(&computer) })?;
    let usage_report::ReadReport { reports, voids, void_names } =
        usage_report::read(body, zone.0).map_err(|error| Problem::bad_request(error.to_string()))?;
    let notices = Notices::of(ctx, &reports);
    let ids: Vec<_> = reports.iter().map(|report| report.id.clone()).collect();
    let content = [b"/usage_report_module/".as_slice(), computer.as_str().as_bytes(), body];
    let actor = ctx.caller.actor_at(&computer);
    let meta = query::meta(ctx, actor.clone(), headers, &content)?;
    let command = Command::RecordUsage(RecordUsage { computer: computer.clone(), reports });
    let accepted = ctx.ledger().submit_patiently(Submission { meta, command }).await?;
    ctx.heard(&computer);
    let Answer::Usage(outcomes) = accepted.answer else {
        return Err(Problem::fault(&"usage was answered otherwise"));
    };
    let mut told = Answered { sequence: accepted.sequence, ..Answered::default() };
    for (nth, (outcome, index)) in outcomes.into_iter().zip(0..).enumerate() {
        told.add(outcome, (index, &ids[nth]), notices.of_report(nth));
    }
    let (outcomes, sequence) = voids::carry_out(ctx, (actor, headers, &content), &computer, &voids).await?;
    told.sequence = told.sequence.max(sequence);
    for ((outcome, id), index) in
        outcomes.into_iter().zip(&void_names).zip(u32::try_from(ids.len()).unwrap_or(u32::MAX)..)
    {
        told.add(outcome, (index, id), None);
    }
    let all = ids.len() as u64 + void_names.len() as u64;
    told.rejected = all - told.accepted - told.duplicates - told.suspended - told.voided;
    Ok(told.into())
}
