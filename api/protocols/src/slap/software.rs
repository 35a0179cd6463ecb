//! Software on computers: what is supplied, and what computers say of it.

use axum::extract::Request;
use slapledger_core::domain::id::{ComputerId, Sequence, SoftwareRelease};
use slapledger_core::domain::software::{SoftwareState, SupplySoftware};
use slapledger_kit::problem::Problem;
use slapledger_kit::text::SMALL;
use slapledger_projections::SlapViews;
use slapledger_slap_wire::documents;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;
use slapledger_usecases::software::{parse_supply_state, record, supply_as_user};

use super::form::{Fields, PostedForm};
use super::reply::{SlapReply, document, text};
use crate::access::Authorised;

/// `POST supplySupply`.
pub(super) async fn supply(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let release: SoftwareRelease = form.fields.id("url")?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    let told = form.fields.text("state")?;
    let state = parse_supply_state(told);
    let state = state.ok_or_else(|| Problem::field("state", "must be available or destroyed"))?;
    let command = SupplySoftware { computer, release: release.clone(), state };
    supply_as_user(&ctx, form.digest(ctx.keys()), command).await?;
    Ok(text(format!("Supplied {release} to be {told}")))
}

/// `GET getSoftwareReleaseListFromSoftwareProduct`: the releases of a product, or of the product that a release is one
/// of; the best first, and none if there is no such product.
pub(super) async fn product(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let fields = Fields::of_query(&request);
    let product = fields.optional("software_product_reference")?;
    let release = fields.optional("software_release_url")?;
    let find = |view: &SlapViews, _| {
        let known = match (product, release) {
            (Some(product), None) => view.catalogue.product(product),
            (None, Some(release)) => view.catalogue.product_of(release),
            _ => {
                let rule = "must be given, or software_release_url instead; not both";
                return Err(Problem::field("software_product_reference", rule));
            }
        };
        let releases = known.into_iter().flat_map(|product| &product.releases);
        Ok(releases.map(ToString::to_string).collect::<Vec<_>>())
    };
    let releases = read(&ctx, Sequence::ZERO, find).await??;
    document(documents::text_list(&releases))
}

/// `POST buildingSoftwareRelease`.
pub(super) async fn building(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    report(&ctx, &PostedForm::read(request, SMALL).await?, SoftwareState::Building).await
}

/// `POST availableSoftwareRelease`.
pub(super) async fn available(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    report(&ctx, &PostedForm::read(request, SMALL).await?, SoftwareState::Available).await
}

/// `POST destroyedSoftwareRelease`.
pub(super) async fn destroyed(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    report(&ctx, &PostedForm::read(request, SMALL).await?, SoftwareState::Destroyed).await
}

/// `POST softwareReleaseError`.
pub(super) async fn error(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    report(&ctx, &PostedForm::read(request, SMALL).await?, SoftwareState::Error).await
}

async fn report(ctx: &RequestContext, form: &PostedForm, state: SoftwareState) -> SlapReply {
    let release: SoftwareRelease = form.fields.id("url")?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    let log = match state {
        SoftwareState::Error => Some(form.fields.bytes("error_log")?),
        SoftwareState::Building | SoftwareState::Available | SoftwareState::Destroyed => None,
    };
    record(ctx, form.digest(ctx.keys()), (computer, release), state, log).await?;
    Ok(text("OK"))
}
