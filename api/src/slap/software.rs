//! Software on computers: what is supplied, and what computers say of it.

use std::sync::Arc;

use axum::extract::{Request, State};
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
use super::{read, submit, supply_state};
use crate::app::{self, App};
use crate::http::problem::Problem;

/// `POST supplySupply`.
pub(super) async fn supply(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let release: SoftwareRelease = form.fields.id("url")?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    let told = form.fields.text("state")?;
    let state = [SupplyState::Available, SupplyState::Destroyed]
        .into_iter()
        .find(|state| supply_state(*state) == told);
    let state = state.ok_or_else(|| Problem::field("state", "must be available or destroyed"))?;
    let answer = format!("Supplied {release} to be {told}");
    let command = Command::SupplySoftware(SupplySoftware { computer, release, state });
    let digest = form.digest(&app.keys);
    let meta = Arc::new(app::meta(app::person(app.local), app::random_id(), digest));
    app.ledger.submit(Submission { meta, command }).await?;
    Ok(text(answer))
}

/// `GET getSoftwareReleaseListFromSoftwareProduct`: the releases of a product, or of the product that a release is one
/// of; the best first, and none if there is no such product.
pub(super) async fn product(State(app): State<Arc<App>>, request: Request) -> Reply {
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
pub(super) async fn building(State(app): State<Arc<App>>, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Building).await
}

/// `POST availableSoftwareRelease`.
pub(super) async fn available(State(app): State<Arc<App>>, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Available).await
}

/// `POST destroyedSoftwareRelease`.
pub(super) async fn destroyed(State(app): State<Arc<App>>, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Destroyed).await
}

/// `POST softwareReleaseError`.
pub(super) async fn error(State(app): State<Arc<App>>, request: Request) -> Reply {
    report(&app, &Form::read(request, SMALL).await?, SoftwareState::Error).await
}

async fn report(app: &App, form: &Form, state: SoftwareState) -> Reply {
    let release: SoftwareRelease = form.fields.id("url")?;
    let computer: ComputerId = form.fields.id("computer_id")?;
    let error = match state {
        SoftwareState::Error => {
            let log = error_text(form.fields.bytes("error_log")?);
            // The key of the error before it: the same error again is nothing new.
            let known = read(app, Sequence::ZERO, |view, _| {
                let supply = view.inventory.computer(computer.as_str())?.supplies().get(&release)?;
                supply.error.as_ref().map(|error| error.key)
            });
            let key = known.await?.map_or_else(|| sealing::fresh(&app.keys), Ok)?;
            Some(sealing::seal(&app.keys, key, &log)?)
        }
        SoftwareState::Building | SoftwareState::Available | SoftwareState::Destroyed => None,
    };
    let command = ReportSoftware { computer: computer.clone(), release, state, error };
    match submit(app, form, &computer, Command::ReportSoftware(command)).await {
        Ok(_) => Ok(text("OK")),
        // As the master answers, and what slapgrid can live with.
        Err(SubmitError::Refused(Refusal::Software(refusal @ SoftwareRefusal::NotToBeDestroyed { .. }))) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "conflict", refusal.to_string()).into())
        }
        Err(error) => Err(error.into()),
    }
}
