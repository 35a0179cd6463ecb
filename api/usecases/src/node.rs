//! What computers say of themselves: who owns a new one, and the usage they report.

use chrono_tz::Tz;
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, PartyId, Sequence};
use slapledger_core::domain::usage::{RecordUsage, UsageReport};
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

/// Records what a computer used. `reports` reads its report, in which dates without an offset belong to this time zone.
pub async fn record_usage(
    ctx: &RequestContext,
    digest: [u8; 16],
    computer: &ComputerId,
    reports: impl FnOnce(Tz) -> Result<Vec<UsageReport>, Problem>,
) -> Result<(), Problem> {
    let zone = |view: &SlapViews, _| view.inventory.computer(computer.as_str()).map(|known| known.time_zone);
    let zone = read(ctx, Sequence::ZERO, zone).await?.ok_or_else(|| no_computer(computer))?;
    let command = Command::RecordUsage(RecordUsage { computer: computer.clone(), reports: reports(zone.0)? });
    submit_as(ctx, digest, computer, command).await?;
    Ok(())
}
