//! What computers say of themselves: who owns a new one, and the usage they report.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono_tz::Tz;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId, Sequence};
use slapledger_core::domain::usage::{
    MOST_VOIDS, RecordUsage, UsageId, UsageOutcome, UsageReport, VoidRequest, VoidUsage,
};
use slapledger_core::domain::{Answer, Command};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::conflict;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;

use super::caller::FIRST_PARTY;
use super::context::RequestContext;
use super::reading::{no_computer, read, submit_as};
use super::receipts;

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
    reports: impl FnOnce(Tz) -> Result<(Vec<UsageReport>, Vec<VoidRequest>), Problem>,
) -> Result<RecordedUsage, Problem> {
    let zone = |view: &SlapViews, _| view.inventory.computer(computer.as_str()).map(|known| known.time_zone);
    let zone = read(ctx, Sequence::ZERO, zone).await?.ok_or_else(|| no_computer(computer))?;
    let (reports, voids) = reports(zone.0)?;
    let mut undeclared = undeclared(ctx, &reports);
    let resources = if undeclared.is_empty() { Vec::new() } else { resources_of(&reports) };
    let ids: Vec<_> = reports.iter().map(|report| report.id.clone()).collect();
    let command = Command::RecordUsage(RecordUsage { computer: computer.clone(), reports });
    let mut outcomes = submit_usage(ctx, digest, computer, command, ids).await?;
    // What is suspended has a reason of its own.
    let accepted = resources.iter().zip(&outcomes);
    let accepted = accepted.filter(|(_, (_, outcome))| matches!(outcome, UsageOutcome::Accepted(_)));
    let accepted: BTreeSet<&str> = accepted.map(|(resource, _)| &**resource).collect();
    undeclared.retain(|resource| accepted.contains(&**resource));
    for (part, some) in voids.chunks(MOST_VOIDS).enumerate() {
        let ids = some.iter().map(|request| request.voids.clone()).collect();
        let part_digest = ctx.keys().command_digest(&[&digest, b"voids", &part.to_le_bytes()]);
        let command = Command::VoidUsage(VoidUsage { computer: computer.clone(), voids: some.to_vec() });
        outcomes.extend(submit_usage(ctx, part_digest, computer, command, ids).await?);
    }
    Ok(RecordedUsage { outcomes, undeclared })
}

fn resources_of(reports: &[UsageReport]) -> Vec<Arc<str>> {
    reports.iter().map(|report| report.resource.clone()).collect()
}

async fn submit_usage(
    ctx: &RequestContext,
    digest: [u8; 16],
    computer: &ComputerId,
    command: Command,
    ids: Vec<UsageId>,
) -> Result<Vec<(UsageId, UsageOutcome)>, Problem> {
    let since = ctx.ledger().head().last;
    match submit_as(ctx, digest, computer, command).await?.answer {
        Answer::Usage(outcomes) => {
            receipts::keep(ctx, (computer, since), ids.iter().zip(&outcomes));
            check_recorded(&outcomes)?;
            Ok(ids.into_iter().zip(outcomes).collect())
        }
        _ => Err(Problem::fault(&"usage was answered otherwise")),
    }
}

/// What became of a report.
pub struct RecordedUsage {
    /// Of each movement, and of each that is void.
    pub outcomes: Vec<(UsageId, UsageOutcome)>,
    /// The resources that no price book declares.
    pub undeclared: BTreeSet<Arc<str>>,
}

impl RecordedUsage {
    /// What the sender is told, a line for each thing; nothing, if all is well.
    pub fn text(&self) -> Option<String> {
        let notices = self
            .undeclared
            .iter()
            .take(MOST_NAMED)
            .map(|resource| format!("warning: {}", notice_of(resource)));
        let lines: Vec<String> = suspended_text(&self.outcomes)
            .into_iter()
            .chain(unknown_text(&self.outcomes))
            .chain(notices)
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// The resources of reports that no price book declares. Before there is a price book, nobody is to be told that.
pub fn undeclared(ctx: &RequestContext, reports: &[UsageReport]) -> BTreeSet<Arc<str>> {
    let Some(declared) = ctx.ledger().declared_resources(ctx.project) else { return BTreeSet::new() };
    let mut undeclared: BTreeSet<Arc<str>> = BTreeSet::new();
    for report in reports {
        if !declared.contains(&*report.resource) && !undeclared.contains(&*report.resource) {
            undeclared.insert(report.resource.clone());
        }
    }
    undeclared
}

/// What the sender of a resource that no price book declares is told.
pub fn notice_of(resource: &str) -> String {
    format!(
        "no price book declares the resource {resource}: the usage is metered and nobody is charged for it; \
         declare the resource in a price book, or correct its name"
    )
}

/// The movements to be voided that nobody knows.
fn unknown_text(outcomes: &[(UsageId, UsageOutcome)]) -> Option<String> {
    let unknown = outcomes.iter().filter(|(_, outcome)| *outcome == UsageOutcome::NothingToVoid);
    let names: Vec<String> = unknown.map(|(id, _)| id.to_string()).take(MOST_NAMED).collect();
    (!names.is_empty())
        .then(|| format!("movements to be voided that were never reported:\n{}", names.join("\n")))
}

/// Refuses the report of a node of which something was not recorded: the node keeps the report and sends it again. What
/// was recorded is a duplicate then.
fn check_recorded(outcomes: &[UsageOutcome]) -> Result<(), Problem> {
    let quotas = outcomes.iter().filter_map(|outcome| match outcome {
        UsageOutcome::OverQuota(quota) => Some(quota),
        _ => None,
    });
    let Some(quota) = quotas.clone().next() else { return Ok(()) };
    let detail = format!("{} of {} movements were not recorded: {quota}", quotas.count(), outcomes.len());
    Err(conflict::of_code(ProblemCode::QuotaExceeded, detail))
}

/// How many suspended movements an answer names.
const MOST_NAMED: usize = 100;

/// What of a report is suspended and why, a line for each movement: the status says that all of it is recorded.
fn suspended_text(outcomes: &[(UsageId, UsageOutcome)]) -> Option<String> {
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
