//! Software on computers: what is supplied, and what computers say of it.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use slapledger_core::domain::id::{ComputerId, Sequence, SoftwareRelease};
use slapledger_core::domain::software::{
    ReportSoftware, SoftwareRefusal, SoftwareState, SupplySoftware, SupplyState,
};
use slapledger_core::domain::{Command, Refusal};
use slapledger_core::ledger::{Submission, SubmitError};
use slapledger_projections::SlapViews;

use super::form::{Fields, Form, SMALL};
use super::reply::{Reply, document, text};
use super::sealing::{self, error_text};
use super::wire::documents;
use super::{no_computer, read, submit_as, supply_state};
use crate::access::Here;
use crate::app::App;
use crate::http::problem::Problem;

/// `POST supplySupply`.
pub(super) async fn supply(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let release: SoftwareRelease = form.fields.id("url")?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    let told = form.fields.text("state")?;
    let state = parse_supply_state(told);
    let state = state.ok_or_else(|| Problem::field("state", "must be available or destroyed"))?;
    let command = SupplySoftware { computer, release: release.clone(), state };
    supply_as_user(&app, form.digest(&app.keys), command).await?;
    Ok(text(format!("Supplied {release} to be {told}")))
}

/// The state of a supply, as on the wire.
pub(crate) fn parse_supply_state(told: &str) -> Option<SupplyState> {
    let known = [SupplyState::Available, SupplyState::Destroyed];
    known.into_iter().find(|state| supply_state(*state) == told)
}

/// Supplies a release, as the user asks.
pub(crate) async fn supply_as_user(
    app: &App,
    digest: [u8; 16],
    command: SupplySoftware,
) -> Result<(), Problem> {
    let computer = &command.computer;
    let theirs = read(app, Sequence::ZERO, |view, _| {
        view.inventory.computer(computer.as_str()).is_some_and(|known| app.caller.sees_computer(known))
    });
    if !theirs.await? {
        return Err(no_computer(computer));
    }
    let meta = Arc::new(app.meta(app.caller.actor(), digest));
    let command = Command::SupplySoftware(command);
    app.ledger.submit(Submission { meta, command }).await.map(drop).map_err(Into::into)
}

/// `GET getSoftwareReleaseListFromSoftwareProduct`: the releases of a product, or of the product that a release is one
/// of; the best first, and none if there is no such product.
pub(super) async fn product(Here(app): Here, request: Request) -> Reply {
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
    let releases = read(&app, Sequence::ZERO, find).await??;
    document(documents::text_list(&releases))
}

/// `POST buildingSoftwareRelease`.
pub(super) async fn building(Here(app): Here, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Building).await
}

/// `POST availableSoftwareRelease`.
pub(super) async fn available(Here(app): Here, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Available).await
}

/// `POST destroyedSoftwareRelease`.
pub(super) async fn destroyed(Here(app): Here, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Destroyed).await
}

/// `POST softwareReleaseError`.
pub(super) async fn error(Here(app): Here, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Error).await
}

async fn report(app: &App, form: &Form, state: SoftwareState) -> Reply {
    let release: SoftwareRelease = form.fields.id("url")?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    let log = match state {
        SoftwareState::Error => Some(form.fields.bytes("error_log")?),
        SoftwareState::Building | SoftwareState::Available | SoftwareState::Destroyed => None,
    };
    record(app, form.digest(&app.keys), (computer, release), state, log).await?;
    Ok(text("OK"))
}

/// Records what a computer says of a release, and what went wrong with it.
pub(crate) async fn record(
    app: &App,
    digest: [u8; 16],
    (computer, release): (ComputerId, SoftwareRelease),
    state: SoftwareState,
    log: Option<&[u8]>,
) -> Result<(), Problem> {
    app.caller.check_node(&computer)?;
    let error = match log {
        Some(log) => {
            let log = error_text(log);
            // The key of the error before it: the same error again is nothing new.
            let known = read(app, Sequence::ZERO, |view, _| {
                let supply = view.inventory.computer(computer.as_str())?.supplies().get(&release)?;
                supply.error.as_ref().map(|error| error.key)
            });
            let key = known.await?.map_or_else(|| sealing::fresh(app), Ok)?;
            Some(sealing::seal(&app.keys, key, &log)?)
        }
        None => None,
    };
    let command = ReportSoftware { computer: computer.clone(), release, state, error };
    match submit_as(app, digest, &computer, Command::ReportSoftware(command)).await {
        Ok(_) => Ok(()),
        // As the master answers, and what slapgrid can live with.
        Err(SubmitError::Refused(Refusal::Software(refusal @ SoftwareRefusal::NotToBeDestroyed { .. }))) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "conflict", refusal.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
