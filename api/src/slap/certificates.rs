//! Certificates: there are none yet. slapos proxy gives partitions an empty one, and computers none.

use axum::extract::Request;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, Sequence};

use super::form::{Fields, Form, SMALL};
use super::partition::Place;
use super::reply::{Reply, document};
use super::wire::documents;
use super::{no_computer, read};
use crate::access::Here;
use crate::http::problem::Problem;

/// `GET getComputerPartitionCertificate`.
pub(super) async fn of_partition(Here(app): Here, request: Request) -> Reply {
    let place = Place::of(&app, &Fields::of_query(&request)).await?;
    // Of any partition, there or not.
    if app.mode == Mode::Proxy {
        return document(documents::certificate("", ""));
    }
    read(&app, Sequence::ZERO, |view, _| place.find(app.mode, view).map(drop)).await??;
    Err(Problem::not_found("partitions have no certificates yet").into())
}

/// `POST generateComputerCertificate` and `POST revokeComputerCertificate`.
pub(super) async fn of_computer(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let id: ComputerId = form.fields.id("computer_id")?;
    let known = read(&app, Sequence::ZERO, |view, _| view.inventory.computer(id.as_str()).map(drop));
    known.await?.ok_or_else(|| no_computer(&id))?;
    Err(Problem::not_found("computers have no certificates yet").into())
}
