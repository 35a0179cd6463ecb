//! Certificates of computers, as their owners, the computers and admins ask for them.

use slapledger_core::domain::access::{Holder, Renews, Role, Which};
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;

use super::certification::{self, Because, CertificatePair};
use super::context::RequestContext;
use super::reading::{no_computer, read};

/// A certificate for a computer: its first, or from itself another one. The one that it asks by stays good until it asks by
/// that other one, as the answer may be lost.
pub async fn generated(ctx: &RequestContext, computer: &ComputerId) -> Result<CertificatePair, Problem> {
    theirs(ctx, computer).await?;
    let itself = ctx.caller.principal().filter(|known| known.roles.has(Role::Node));
    let renews = itself.map_or(Renews::Nothing, |known| Renews::AllBut(known.credential));
    certification::certify_computer(ctx, computer, Because { spends: None, renews }).await
}

/// Revokes the certificates of a computer and of the instances in its partitions.
pub async fn revoked_with_instances(ctx: &RequestContext, computer: &ComputerId) -> Result<(), Problem> {
    theirs(ctx, computer).await?;
    certification::revoke_with_instances(ctx, vec![computer.clone()]).await
}

/// Revokes the certificates of a computer.
pub async fn revoked(ctx: &RequestContext, computer: &ComputerId) -> Result<(), Problem> {
    theirs(ctx, computer).await?;
    certification::revoke(ctx, Which::CertificatesOf(Holder::Computer(computer.clone()))).await
}

async fn theirs(ctx: &RequestContext, computer: &ComputerId) -> Result<(), Problem> {
    ctx.caller.check_node(computer)?;
    let theirs = |view: &SlapViews, _| {
        let known = view.inventory.computer(computer.as_str());
        known.is_some_and(|known| ctx.caller.sees_computer(known))
    };
    if !read(ctx, Sequence::ZERO, theirs).await? {
        return Err(no_computer(computer));
    }
    ctx.certifier().map(drop)
}
