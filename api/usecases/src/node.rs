//! What computers say of themselves: who owns a new one, and the usage they report.

use std::fmt::Write as _;

use chrono_tz::Tz;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId, Sequence};
use slapledger_core::domain::usage::{RecordUsage, UsageId, UsageOutcome, UsageReport};
use slapledger_core::domain::{Answer, Command};
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;

use super::caller::FIRST_PARTY;
use super::context::RequestContext;
use super::reading::{no_computer, read, submit_as};

/// Whose a computer becomes that nobody knows yet.
pub fn owner_if_new(ctx: &RequestContext) -> Option<PartyId> {
    match ctx.mode() {
        // Everybody may bring a computer.
        Mode::Proxy | Mode::Demo => Some(FIRST_PARTY),
        Mode::Serve => None,
    }
}

/// Records what a computer used; what became of each report. `reports` reads its report, in which dates without an offset belong to this time zone.
pub async fn record_usage(
    ctx: &RequestContext,
    digest: [u8; 16],
    computer: &ComputerId,
    reports: impl FnOnce(Tz) -> Result<Vec<UsageReport>, Problem>,
) -> Result<Vec<(UsageId, UsageOutcome)>, Problem> {
    let zone = |view: &SlapViews, _| view.inventory.computer(computer.as_str()).map(|known| known.time_zone);
    let zone = read(ctx, Sequence::ZERO, zone).await?.ok_or_else(|| no_computer(computer))?;
    let reports = reports(zone.0)?;
    let ids: Vec<_> = reports.iter().map(|report| report.id.clone()).collect();
    let command = Command::RecordUsage(RecordUsage { computer: computer.clone(), reports });
    match submit_as(ctx, digest, computer, command).await?.answer {
        Answer::Usage(outcomes) => Ok(ids.into_iter().zip(outcomes).collect()),
        _ => Err(Problem::fault(&"usage was answered otherwise")),
    }
}

/// How many suspended movements an answer names.
const MOST_NAMED: usize = 100;

/// What of a report is suspended and why, a line for each movement: the status says that all of it is recorded.
pub fn suspended_text(outcomes: &[(UsageId, UsageOutcome)]) -> Option<String> {
    let lines: Vec<_> = outcomes
        .iter()
        .filter_map(|(id, outcome)| match outcome {
            UsageOutcome::Suspended(sequence, why) => Some(format!("{id} (sequence {sequence}): {why}")),
            _ => None,
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    let mut text = format!("{} of {} movements are suspended and not metered:", lines.len(), outcomes.len());
    for line in lines.iter().take(MOST_NAMED) {
        text.push('\n');
        text.push_str(line);
    }
    if lines.len() > MOST_NAMED {
        let others = lines.len() - MOST_NAMED;
        let _ = write!(text, "\nand {others} others, which GET /v1/usage-suspense lists");
    }
    Some(text)
}
