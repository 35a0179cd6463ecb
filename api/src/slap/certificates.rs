//! Certificates of computers and partitions. slapos proxy gives partitions an empty one, and computers none.

use axum::extract::Request;
use slapledger_core::domain::access::{Holder, Renews, Role, Which};
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, Sequence};
use slapledger_projections::SlapViews;

use super::form::{Fields, Form, SMALL};
use super::partition::Place;
use super::reply::{Reply, document, text};
use super::wire::documents;
use super::{no_computer, read};
use crate::access::{Caller, Here};
use crate::app::App;
use crate::certification::{self, Because, Pair};
use crate::http::problem::Problem;

/// `GET getComputerPartitionCertificate`.
pub(super) async fn of_partition(Here(app): Here, request: Request) -> Reply {
    let fields = Fields::of_query(&request);
    let place = Place::of(&app, &fields).await?;
    // Of any partition, there or not.
    if app.mode == Mode::Proxy {
        return document(documents::certificate("", ""));
    }
    let occupant = |view: &SlapViews, _| -> Result<InstanceId, Problem> {
        place.find(app.mode, view)?;
        let free = || Problem::not_found("the partition is free");
        Ok(place.occupant(view).ok_or_else(free)?.id)
    };
    let instance = read(&app, Sequence::ZERO, occupant).await??;
    let pair = certification::certify_instance(&app, instance).await?;
    document(documents::certificate(&pair.certificate, &pair.key))
}

/// `POST generateComputerCertificate`.
pub(super) async fn generate(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let pair = generated(&app, &form.fields.id("computer_id")?).await?;
    document(documents::certificate(&pair.certificate, &pair.key))
}

/// `POST revokeComputerCertificate`.
pub(super) async fn revoke(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    revoked(&app, &form.fields.id("computer_id")?).await?;
    Ok(text("OK"))
}

/// A certificate for a computer: its first, or from itself another one. The one that it asks by stays good until it asks by
/// that other one, as the answer may be lost.
pub(crate) async fn generated(app: &App, computer: &ComputerId) -> Result<Pair, Problem> {
    theirs(app, computer).await?;
    let itself = app.caller.known().filter(|known| known.roles.has(Role::Node));
    let renews = itself.map_or(Renews::Nothing, |known| Renews::AllBut(known.credential));
    certification::certify_computer(app, computer, Because { spends: None, renews }).await
}

/// The computer may not come in any more, from now on, nor what is in its partitions.
pub(crate) async fn revoked_with_instances(app: &App, computer: &ComputerId) -> Result<(), Problem> {
    theirs(app, computer).await?;
    certification::revoke_with_instances(app, vec![computer.clone()]).await
}

/// The computer may not come in any more, from now on.
pub(crate) async fn revoked(app: &App, computer: &ComputerId) -> Result<(), Problem> {
    theirs(app, computer).await?;
    certification::revoke(app, Which::CertificatesOf(Holder::Computer(computer.clone()))).await
}

async fn theirs(app: &App, computer: &ComputerId) -> Result<(), Problem> {
    app.caller.check_node(computer)?;
    let theirs = |view: &SlapViews, _| {
        let known = view.inventory.computer(computer.as_str());
        known.is_some_and(|known| Caller::sees_computer(&app.caller, known))
    };
    if !read(app, Sequence::ZERO, theirs).await? {
        return Err(no_computer(computer));
    }
    app.certifier().map(drop)
}
