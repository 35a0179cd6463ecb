//! Certificates of computers and partitions. slapos proxy gives partitions an empty one, and computers none.

use axum::extract::Request;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_kit::problem::Problem;
use slapledger_kit::text::SMALL;
use slapledger_projections::SlapViews;
use slapledger_slap_wire::documents;
use slapledger_usecases::certificates::{generated, revoked};
use slapledger_usecases::certification;
use slapledger_usecases::reading::read;

use super::form::{Fields, PostedForm};
use super::partition::NamedPartition;
use super::reply::{SlapReply, document, text};
use crate::access::Authorised;

/// `GET getComputerPartitionCertificate`.
pub(super) async fn of_partition(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let fields = Fields::of_query(&request);
    let place = NamedPartition::of(&ctx, &fields).await?;
    // Of any partition, there or not.
    if ctx.mode() == Mode::Proxy {
        return document(documents::certificate("", ""));
    }
    let occupant = |view: &SlapViews, _| -> Result<InstanceId, Problem> {
        place.find(ctx.mode(), view)?;
        let free = || Problem::not_found("the partition is free");
        Ok(place.occupant(view).ok_or_else(free)?.id)
    };
    let instance = read(&ctx, Sequence::ZERO, occupant).await??;
    let pair = certification::certify_instance(&ctx, instance).await?;
    document(documents::certificate(&pair.certificate, &pair.key))
}

/// `POST generateComputerCertificate`.
pub(super) async fn generate(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let pair = generated(&ctx, &form.fields.id("computer_id")?).await?;
    document(documents::certificate(&pair.certificate, &pair.key))
}

/// `POST revokeComputerCertificate`.
pub(super) async fn revoke(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    revoked(&ctx, &form.fields.id("computer_id")?).await?;
    Ok(text("OK"))
}
