//! Certificates of computers and partitions. slapos proxy gives partitions an empty one, and computers none.

use axum::extract::Request;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_projections::SlapViews;

use super::form::{Fields, Form};
use super::partition::Place;
use super::reply::{Reply, document, text};
use crate::kit::problem::Problem;
use crate::kit::text::SMALL;
use crate::protocols::access::Authorised;
use crate::slap_wire::documents;
use crate::usecases::certificates::{generated, revoked};
use crate::usecases::certification;
use crate::usecases::reading::read;

/// `GET getComputerPartitionCertificate`.
pub(super) async fn of_partition(Authorised(ctx): Authorised, request: Request) -> Reply {
    let fields = Fields::of_query(&request);
    let place = Place::of(&ctx, &fields).await?;
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
pub(super) async fn generate(Authorised(ctx): Authorised, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let pair = generated(&ctx, &form.fields.id("computer_id")?).await?;
    document(documents::certificate(&pair.certificate, &pair.key))
}

/// `POST revokeComputerCertificate`.
pub(super) async fn revoke(Authorised(ctx): Authorised, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    revoked(&ctx, &form.fields.id("computer_id")?).await?;
    Ok(text("OK"))
}
