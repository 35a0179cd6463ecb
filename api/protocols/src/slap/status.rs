//! What a master says of the state of a computer, an instance or a piece of software: the last thing its node said.
//!
//! Nodes, panels and scripts of SlapOS read these dictionaries; slapos proxy answers nothing of use.

use axum::extract::Request;
use slapledger_core::domain::id::{ComputerId, Sequence, SoftwareRelease};
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;
use slapledger_slap_wire::documents;
use slapledger_usecases::reading::{no_computer, read};
use slapledger_usecases::status::{dictionary, of_computer, of_software, text};

use super::form::Fields;
use super::partition::NamedPartition;
use super::reply::{SlapReply, document};
use crate::access::Authorised;

/// `GET getComputerStatus`: when the computer was last heard of.
pub(super) async fn computer(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let id: ComputerId = Fields::of_query(&request).id("computer_id")?;
    document(documents::text_dict(&of_computer(&ctx, &id).await?))
}

/// `GET getComputerPartitionStatus`.
pub(super) async fn partition(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let fields = Fields::of_query(&request);
    let place = NamedPartition::of(&ctx, &fields).await?;
    let find = |view: &SlapViews, _| {
        place.find(ctx.mode(), view)?;
        place.occupant(view).cloned().ok_or_else(|| place.is_free())
    };
    let instance = read(&ctx, Sequence::ZERO, find).await??;
    let text = text(ctx.keys(), &instance);
    let user = place.computer().to_string();
    document(documents::text_dict(&dictionary(ctx.now(), &user, text, instance.reported_at)))
}

/// `GET getSoftwareInstallationStatus`.
pub(super) async fn software(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let fields = Fields::of_query(&request);
    let computer: ComputerId = fields.id("computer_id")?;
    let release: SoftwareRelease = fields.id("url")?;
    let find = |view: &SlapViews, _| {
        let known =
            view.inventory.computer(computer.as_str()).filter(|known| ctx.caller.sees_computer(known));
        let known = known.ok_or_else(|| no_computer(&computer))?;
        let not_there = || {
            Problem::not_found(format!("software release {release} is not supplied to computer {computer}"))
        };
        known.supplies().get(release.as_str()).cloned().ok_or_else(not_there)
    };
    let supply = read(&ctx, Sequence::ZERO, find).await??;
    let text = of_software(ctx.keys(), release.as_str(), &supply);
    document(documents::text_dict(&dictionary(ctx.now(), computer.as_str(), text, supply.reported_at)))
}
