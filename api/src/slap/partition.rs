//! What a node asks and says of its partitions, and of the instances in them.
//!
//! A node may say again what it said before. It says of free partitions too, at each of its reports, that they are
//! stopped and destroyed: so they are, and it is told so.

use axum::extract::Request;
use axum::http::StatusCode;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, KeyId, PartitionId, Reference, Sequence};
use slapledger_core::domain::instance::{
    BangInstance, InstanceRefusal, RenameInstance, ReportInstance, ReportedState, SetConnectionParameters,
};
use slapledger_core::domain::{Command, Refusal, instance};
use slapledger_core::ledger::{Accepted, SubmitError};
use slapledger_projections::SlapViews;
use slapledger_projections::instances::Instance;

use super::answers::SeenPartition;
use super::form::{Fields, Form, SMALL};
use super::reply::{Reply, document, text, xml};
use super::sealing::{error_text, seal, seal_parameters};
use super::wire::{documents, instance_xml};
use super::{ATTEMPTS, is_retry, names, no_computer, no_partition, read, submit, submit_as};
use crate::access::Here;
use crate::app::App;
use crate::http::problem::Problem;

/// Where a node speaks of.
pub(super) struct Place {
    computer: ComputerId,
    partition: PartitionId,
    /// Whose it has to be, whenever it is looked at: a partition that changes hands is there no more for who asked.
    only: Option<InstanceId>,
}

impl Place {
    /// Where a request speaks of, if its sender may speak of it.
    pub(super) async fn of(app: &App, fields: &Fields) -> Result<Self, Problem> {
        Self::named(app, fields.id("computer_id")?, fields.id("computer_partition_id")?).await
    }

    /// This one.
    async fn named(app: &App, computer: ComputerId, partition: PartitionId) -> Result<Self, Problem> {
        let place = Self { computer, partition, only: None };
        if app.caller.reaches_all() {
            return Ok(place);
        }
        let Self { computer, partition, .. } = &place;
        let occupant = |view: &SlapViews, _| {
            let occupant = view.instances.occupant(computer.as_str(), partition.as_str())?;
            Some((occupant.id, app.caller.opens_instance(occupant)))
        };
        let occupant = read(app, Sequence::ZERO, occupant).await?;
        app.caller.check_place((computer, partition), occupant.map(|(id, _)| id))?;
        // To a person there are the partitions of their own instances, and no others.
        if app.caller.is_party() && !occupant.is_some_and(|(_, theirs)| theirs) {
            return Err(no_partition(computer, partition));
        }
        let only = occupant.map(|(id, _)| id).filter(|_| app.caller.has_partitions_by_occupant());
        Ok(Self { only, ..place })
    }

    /// That it is yet whose it has to be: asked in the very look in which something of it is shown.
    fn check(&self, view: &SlapViews) -> Result<(), Problem> {
        let is_theirs =
            self.only.is_none_or(|only| self.occupant(view).is_some_and(|known| known.id == only));
        if is_theirs { Ok(()) } else { Err(no_partition(&self.computer, &self.partition)) }
    }

    /// The partition, free or not.
    pub(super) fn find(&self, mode: Mode, view: &SlapViews) -> Result<SeenPartition, Problem> {
        self.check(view)?;
        let Self { computer, partition, .. } = self;
        view.inventory.computer(computer.as_str()).ok_or_else(|| no_computer(computer))?;
        SeenPartition::find(mode, view, computer.as_str(), partition.as_str())
            .ok_or_else(|| no_partition(computer, partition))
    }

    /// Which computer it is of.
    pub(super) fn computer(&self) -> &ComputerId {
        &self.computer
    }

    /// Nobody is in it.
    pub(super) fn is_free(&self) -> Problem {
        let Self { computer, partition, .. } = self;
        Problem::not_found(format!("partition {partition} of computer {computer} is free"))
    }

    /// Who is in it.
    pub(super) fn occupant<'v>(&self, view: &'v SlapViews) -> Option<&'v Instance> {
        view.instances.occupant(self.computer.as_str(), self.partition.as_str())
    }

    /// Whom a node speaks of: the instance in the partition, or a shared one on it that has this reference.
    async fn meant(&self, app: &App, shared: Option<&str>) -> Result<Meant, Problem> {
        let find = |view: &SlapViews, _| {
            self.find(app.mode, view)?;
            let host = self.occupant(view).ok_or_else(|| self.is_free())?;
            let Some(reference) = shared else { return Ok(self.one(host, None)) };
            let unknown = || Problem::not_found(format!("there is no shared instance {reference}"));
            let shared = names::share(app.mode, view, host.id, reference).ok_or_else(unknown)?;
            Ok(self.one(shared, Some(shared.id)))
        };
        read(app, Sequence::ZERO, find).await?
    }

    fn one(&self, instance: &Instance, shared: Option<InstanceId>) -> Meant {
        Meant { place: self.as_told(shared), key: instance.key() }
    }

    fn as_told(&self, shared: Option<InstanceId>) -> instance::Place {
        instance::Place { computer: self.computer.clone(), partition: self.partition.clone(), shared }
    }

    fn report(&self, state: ReportedState) -> ReportInstance {
        ReportInstance { place: self.as_told(None), state, error: None }
    }
}

/// Whom a node speaks of, and the key of what it says.
struct Meant {
    place: instance::Place,
    key: KeyId,
}

/// `GET registerComputerPartition`.
pub(super) async fn partition(Here(app): Here, request: Request) -> Reply {
    let fields = Fields::of_query(&request);
    let (computer, partition) =
        (fields.id("computer_reference")?, fields.id("computer_partition_reference")?);
    shown(&app, &Place::named(&app, computer, partition).await?).await
}

/// What is in a partition, as its node, its instance and its owner are shown it.
async fn shown(app: &App, place: &Place) -> Reply {
    if app.caller.is_party() && !app.caller.reaches_all() {
        let find = |view: &SlapViews, _| place.find(app.mode, view);
        let seen = read(app, Sequence::ZERO, find).await??;
        let seen = seen.sharing(|shared| app.caller.opens_instance(shared));
        return document(documents::partition(&seen.document(&app.keys)));
    }
    let of = (place.computer.clone(), place.partition.clone());
    let may = |view: &SlapViews| place.check(view);
    let find = |view: &SlapViews| place.find(app.mode, view);
    let write = |seen: SeenPartition| documents::partition(&seen.document(&app.keys));
    Ok(xml(app.documents.partitions.text(app, &of, may, find, write).await?))
}

/// `POST startedComputerPartition`.
pub(super) async fn started(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let command = Place::of(&app, &form.fields).await?.report(ReportedState::Started);
    report(&app, &form, command).await?;
    Ok(text("OK"))
}

/// `POST stoppedComputerPartition`.
pub(super) async fn stopped(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let command = Place::of(&app, &form.fields).await?.report(ReportedState::Stopped);
    match report(&app, &form, command).await {
        Err(error) if is_free(&error) => Ok(text("OK")),
        reported => reported.map_err(Into::into).map(|_| text("OK")),
    }
}

/// `POST destroyedComputerPartition`: the instance ends, unless others are left that it requested.
pub(super) async fn destroyed(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&app, &form.fields).await?;
    Ok(text(match end(&app, form.digest(&app.keys), place.as_told(None)).await? {
        Some(left) => not_yet(&left),
        None => "OK".to_owned(),
    }))
}

/// What a node is told of an instance that others have to go before.
pub(crate) fn not_yet(left: &str) -> String {
    format!("Not destroying yet because this partition has child partitions: {left}")
}

/// A node says that an instance is gone. Answers whom it requested and who has to go first.
pub(crate) async fn end(
    app: &App,
    digest: [u8; 16],
    place: instance::Place,
) -> Result<Option<String>, Problem> {
    let instance::Place { computer, partition, .. } = place.clone();
    let command = ReportInstance { place, state: ReportedState::Destroyed, error: None };
    match submit_as(app, digest, &computer, Command::ReportInstance(command)).await {
        Ok(accepted) => {
            let left = |view: &SlapViews, _| {
                let occupant = view.instances.occupant(computer.as_str(), partition.as_str())?;
                let children = view.instances.children(occupant.id).filter(|child| child.lives());
                let mut names: Vec<_> = children.map(|child| child.reference.to_string()).collect();
                names.sort();
                (!names.is_empty()).then(|| names.join(", "))
            };
            read(app, accepted.sequence, left).await
        }
        Err(error) if is_free(&error) => Ok(None),
        // Its user wants it back. A node that is told so with this status goes on with its other partitions.
        Err(SubmitError::Refused(Refusal::Instance(refusal @ InstanceRefusal::NotToBeDestroyed { .. }))) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "conflict", refusal.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn report(app: &App, form: &Form, command: ReportInstance) -> Result<Accepted, SubmitError> {
    let node = command.place.computer.clone();
    submit(app, form, &node, Command::ReportInstance(command)).await
}

fn is_free(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Refused(Refusal::Instance(InstanceRefusal::PartitionFree { .. })))
}

/// `POST softwareInstanceError`.
pub(super) async fn error(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&app, &form.fields).await?;
    let log = error_text(form.fields.bytes("error_log")?);
    sealed(&app, &form, &place, |meant| {
        let error = Some(seal(&app.keys, meant.key, &log)?);
        let state = ReportedState::Error;
        Ok(Command::ReportInstance(ReportInstance { place: meant.place, state, error }))
    })
    .await
}

/// `POST setComputerPartitionConnectionXml`.
pub(super) async fn set_connection(Here(app): Here, request: Request) -> Reply {
    const FIELD: &str = "connection_xml";
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&app, &form.fields).await?;
    let value = form.fields.marshalled(FIELD)?.ok_or_else(|| Problem::field(FIELD, "is missing"))?;
    let parameters =
        instance_xml::parameters(&value).map_err(|error| Problem::field(FIELD, error.to_string()))?;
    sealed(&app, &form, &place, |meant| {
        let connection = seal_parameters(&app.keys, meant.key, FIELD, &parameters)?;
        Ok(Command::SetConnectionParameters(SetConnectionParameters { place: meant.place, connection }))
    })
    .await
}

/// `POST softwareInstanceBang`: the whole tree is to be processed again.
pub(super) async fn bang(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&app, &form.fields).await?;
    let message = form.fields.optional_bytes("message").map(error_text);
    sealed(&app, &form, &place, |meant| {
        let message = message.as_ref().map(|text| seal(&app.keys, meant.key, text)).transpose()?;
        Ok(Command::BangInstance(BangInstance { place: meant.place, message }))
    })
    .await
}

/// `POST softwareInstanceRename`.
pub(super) async fn rename(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&app, &form.fields).await?;
    let reference: Reference = form.fields.id("new_name")?;
    sealed(&app, &form, &place, |meant| {
        Ok(Command::RenameInstance(RenameInstance { place: meant.place, reference: reference.clone() }))
    })
    .await
}

/// The reference of the shared instance a node speaks of, if it speaks of one.
fn shared(fields: &Fields) -> Result<Option<&str>, Problem> {
    Ok(fields.optional("slave_reference")?.filter(|reference| !matches!(*reference, "" | "None")))
}

/// Carries out a command with a value sealed for the instance in a partition; with another one's key if it has changed
/// meanwhile.
async fn sealed(
    app: &App,
    form: &Form,
    place: &Place,
    command: impl Fn(Meant) -> Result<Command, Problem>,
) -> Reply {
    let shared = shared(&form.fields)?;
    for _ in 0..ATTEMPTS {
        let meant = place.meant(app, shared).await?;
        match submit(app, form, &place.computer, command(meant)?).await {
            Ok(_) => return Ok(text("OK")),
            Err(error) if is_retry(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(format!("partition {} changes hands; say it again", place.partition), 1).into())
}

/// `GET getHostingSubscriptionIpList`: every address of every partition of the tree, for firewalls.
pub(super) async fn tree_addresses(Here(app): Here, request: Request) -> Reply {
    let place = Place::of(&app, &Fields::of_query(&request)).await?;
    let find = |view: &SlapViews, _| {
        place.find(app.mode, view)?;
        let occupant = view.instances.occupant(place.computer.as_str(), place.partition.as_str());
        let members = occupant.into_iter().flat_map(|instance| view.instances.tree(instance.root));
        let places = members.filter_map(|member| view.inventory.place(member.id));
        let partitions = places.filter_map(|(computer, partition)| {
            view.inventory.partition(computer.as_str(), partition.as_str())
        });
        let mut addresses = Vec::new();
        for partition in partitions {
            let interface = partition.offer.tap.as_deref().unwrap_or_default();
            let of_partition = partition.offer.addresses.iter();
            addresses.extend(of_partition.map(|told| (interface.to_owned(), told.address.to_string())));
        }
        Ok::<_, Problem>(addresses)
    };
    let addresses = read(&app, Sequence::ZERO, find).await??;
    document(documents::address_list(&addresses))
}

/// `POST updateComputerPartitionRelatedInstanceList`: accepted, and nothing is made of it, as in the master.
pub(super) async fn set_related(Here(app): Here, request: Request) -> Reply {
    let form = Form::read(request, SMALL).await?;
    let place = Place::of(&app, &form.fields).await?;
    form.fields.marshalled("instance_reference_xml")?;
    read(&app, Sequence::ZERO, |view, _| place.find(app.mode, view).map(drop)).await??;
    Ok(text("OK"))
}

#[cfg(test)]
mod tests;
