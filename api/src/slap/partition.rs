//! What a node asks and says of its partitions, and of the instances in them.
//!
//! A node may say again what it said before. It says of free partitions too, at each of its reports, that they are
//! stopped and destroyed: so they are, and it is told so.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, KeyId, PartitionId, Sequence};
use slapledger_core::domain::instance::{
    InstanceRefusal, ReportInstance, ReportedState, SetConnectionParameters,
};
use slapledger_core::domain::{Command, Refusal};
use slapledger_core::ledger::{Accepted, SubmitError};
use slapledger_projections::SlapViews;

use super::answers::SeenPartition;
use super::form::{Fields, Form, SMALL};
use super::reply::{Reply, document, text};
use super::sealing::{error_text, seal, seal_parameters};
use super::wire::{documents, instance_xml};
use super::{ATTEMPTS, is_retry, no_computer, no_partition, read, submit};
use crate::app::App;
use crate::http::problem::Problem;

/// Where a node speaks of.
struct Place {
    computer: ComputerId,
    partition: PartitionId,
}

impl Place {
    fn of(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self { computer: fields.id("computer_id")?, partition: fields.id("computer_partition_id")? })
    }

    /// The partition, free or not.
    fn find(&self, view: &SlapViews) -> Result<SeenPartition, Problem> {
        let Self { computer, partition } = self;
        view.inventory.computer(computer.as_str()).ok_or_else(|| no_computer(computer))?;
        SeenPartition::find(view, computer.as_str(), partition.as_str())
            .ok_or_else(|| no_partition(computer, partition))
    }

    /// The key of the instance in it.
    async fn key(&self, app: &App) -> Result<KeyId, Problem> {
        let Self { computer, partition } = self;
        let key = |view: &SlapViews, _| {
            self.find(view)?;
            let occupant = view.instances.occupant(computer.as_str(), partition.as_str());
            let free = || Problem::not_found(format!("partition {partition} of computer {computer} is free"));
            occupant.map(slapledger_projections::instances::Instance::key).ok_or_else(free)
        };
        read(app, Sequence::ZERO, key).await?
    }

    fn report(self, state: ReportedState) -> ReportInstance {
        ReportInstance { computer: self.computer, partition: self.partition, state, error: None }
    }
}

/// `GET registerComputerPartition`.
pub(super) async fn partition(State(app): State<Arc<App>>, request: Request) -> Reply {
    let fields = Fields::of_query(&request);
    let computer = fields.id("computer_reference")?;
    let place = Place { computer, partition: fields.id("computer_partition_reference")? };
    let seen = read(&app, Sequence::ZERO, |view, _| place.find(view)).await??;
    document(documents::partition(&seen.document(&app.keys)))
}

/// `GET getComputerPartitionCertificate`: there is none. slapos proxy says so with an empty one.
pub(super) async fn certificate(State(app): State<Arc<App>>, request: Request) -> Reply {
    let place = Place::of(&Fields::of_query(&request))?;
    read(&app, Sequence::ZERO, |view, _| place.find(view).map(drop)).await??;
    match app.mode {
        Mode::Proxy => document(documents::certificate("", "")),
        Mode::Demo | Mode::Serve => Err(Problem::not_found("partitions have no certificates yet").into()),
    }
}

/// `POST startedComputerPartition`.
pub(super) async fn started(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let command = Place::of(&form.fields)?.report(ReportedState::Started);
    report(&app, &form, command).await?;
    Ok(text("OK"))
}

/// `POST stoppedComputerPartition`.
pub(super) async fn stopped(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let command = Place::of(&form.fields)?.report(ReportedState::Stopped);
    match report(&app, &form, command).await {
        Err(error) if is_free(&error) => Ok(text("OK")),
        reported => reported.map_err(Into::into).map(|_| text("OK")),
    }
}

/// `POST destroyedComputerPartition`: the instance ends, unless others are left that it requested.
pub(super) async fn destroyed(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let Place { computer, partition } = Place::of(&form.fields)?;
    let command =
        Place { computer: computer.clone(), partition: partition.clone() }.report(ReportedState::Destroyed);
    match report(&app, &form, command).await {
        Ok(accepted) => {
            let left = |view: &SlapViews, _| {
                let occupant = view.instances.occupant(computer.as_str(), partition.as_str())?;
                let children = view.instances.children(occupant.id).filter(|child| child.lives());
                let mut names: Vec<_> = children.map(|child| child.reference.to_string()).collect();
                names.sort();
                (!names.is_empty()).then(|| names.join(", "))
            };
            match read(&app, accepted.sequence, left).await? {
                Some(names) => Ok(text(format!(
                    "Not destroying yet because this partition has child partitions: {names}"
                ))),
                None => Ok(text("OK")),
            }
        }
        Err(error) if is_free(&error) => Ok(text("OK")),
        // Its user wants it back. A node that is told so with this status goes on with its other partitions.
        Err(SubmitError::Refused(Refusal::Instance(refusal @ InstanceRefusal::NotToBeDestroyed { .. }))) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "conflict", refusal.to_string()).into())
        }
        Err(error) => Err(error.into()),
    }
}

async fn report(app: &App, form: &Form, command: ReportInstance) -> Result<Accepted, SubmitError> {
    let node = command.computer.clone();
    submit(app, form, &node, Command::ReportInstance(command)).await
}

fn is_free(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Refused(Refusal::Instance(InstanceRefusal::PartitionFree { .. })))
}

/// `POST softwareInstanceError`.
pub(super) async fn error(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&form.fields)?;
    let log = error_text(form.fields.bytes("error_log")?);
    refuse_shared(&form.fields)?;
    sealed(&app, &form, &place, |key| {
        let error = Some(seal(&app.keys, key, &log)?);
        let (computer, partition) = (place.computer.clone(), place.partition.clone());
        Ok(Command::ReportInstance(ReportInstance {
            computer,
            partition,
            state: ReportedState::Error,
            error,
        }))
    })
    .await
}

/// `POST setComputerPartitionConnectionXml`.
pub(super) async fn set_connection(State(app): State<Arc<App>>, request: Request) -> Reply {
    const FIELD: &str = "connection_xml";
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&form.fields)?;
    let value = form.fields.marshalled(FIELD)?.ok_or_else(|| Problem::field(FIELD, "is missing"))?;
    let parameters =
        instance_xml::parameters(&value).map_err(|error| Problem::field(FIELD, error.to_string()))?;
    refuse_shared(&form.fields)?;
    sealed(&app, &form, &place, |key| {
        let connection = seal_parameters(&app.keys, key, FIELD, &parameters)?;
        let (computer, partition) = (place.computer.clone(), place.partition.clone());
        Ok(Command::SetConnectionParameters(SetConnectionParameters { computer, partition, connection }))
    })
    .await
}

/// Nobody could request a shared instance, so there is none to speak of.
fn refuse_shared(fields: &Fields) -> Result<(), Problem> {
    match fields.optional("slave_reference")? {
        None | Some("" | "None") => Ok(()),
        Some(reference) => Err(Problem::not_found(format!("there is no shared instance {reference}"))),
    }
}

/// Carries out a command with a value sealed for the instance in a partition; with another one's key if it has changed
/// meanwhile.
async fn sealed(
    app: &App,
    form: &Form,
    place: &Place,
    command: impl Fn(KeyId) -> Result<Command, Problem>,
) -> Reply {
    for _ in 0..ATTEMPTS {
        let key = place.key(app).await?;
        match submit(app, form, &place.computer, command(key)?).await {
            Ok(_) => return Ok(text("OK")),
            Err(error) if is_retry(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(format!("partition {} changes hands; say it again", place.partition), 1).into())
}

/// `POST updateComputerPartitionRelatedInstanceList`: accepted, and nothing is made of it, as in the master.
pub(super) async fn set_related(State(app): State<Arc<App>>, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&form.fields)?;
    form.fields.marshalled("instance_reference_xml")?;
    read(&app, Sequence::ZERO, |view, _| place.find(view).map(drop)).await??;
    Ok(text("OK"))
}
