//! What a node asks and says of its partitions, and of the instances in them.
//!
//! A node may say again what it said before. It says of free partitions too, at each of its reports, that they are
//! stopped and destroyed: so they are, and it is told so.

use axum::extract::Request;
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, KeyId, PartitionId, Reference, Sequence};
use slapledger_core::domain::instance::{
    self, BangInstance, RenameInstance, ReportInstance, ReportedState, SetConnectionParameters,
};
use slapledger_core::ledger::{Accepted, SubmitError};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::{error_text, seal, seal_parameters};
use slapledger_kit::text::SMALL;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_slap_wire::{documents, instance_xml};
use slapledger_usecases::answers::SeenPartition;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::names;
use slapledger_usecases::partition::{end, is_free, not_yet};
use slapledger_usecases::reading::{ATTEMPTS, is_retry, no_computer, no_partition, read};

use super::form::{Fields, PostedForm};
use super::reply::{SlapReply, document, text, written, xml};
use super::submit;
use crate::access::Authorised;

/// Where a node speaks of.
pub(super) struct NamedPartition {
    computer: ComputerId,
    partition: PartitionId,
    /// Whose it has to be, whenever it is looked at: a partition that changes hands is there no more for who asked.
    only: Option<InstanceId>,
}

impl NamedPartition {
    /// Where a request speaks of, if its sender may speak of it.
    pub(super) async fn of(ctx: &RequestContext, fields: &Fields) -> Result<Self, Problem> {
        Self::named(ctx, fields.id("computer_id")?, fields.id("computer_partition_id")?).await
    }

    /// This one.
    async fn named(
        ctx: &RequestContext,
        computer: ComputerId,
        partition: PartitionId,
    ) -> Result<Self, Problem> {
        let place = Self { computer, partition, only: None };
        if ctx.caller.reaches_all() {
            return Ok(place);
        }
        let Self { computer, partition, .. } = &place;
        let occupant = |view: &SlapViews, _| {
            let occupant = view.instances.occupant(computer.as_str(), partition.as_str())?;
            Some((occupant.id, ctx.caller.opens_instance(occupant)))
        };
        let occupant = read(ctx, Sequence::ZERO, occupant).await?;
        ctx.caller.check_place((computer, partition), occupant.map(|(id, _)| id))?;
        // To a person there are the partitions of their own instances, and no others.
        if ctx.caller.is_party() && !occupant.is_some_and(|(_, theirs)| theirs) {
            return Err(no_partition(computer, partition));
        }
        let only = occupant.map(|(id, _)| id).filter(|_| ctx.caller.has_partitions_by_occupant());
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
    pub(super) fn occupant<'v>(&self, view: &'v SlapViews) -> Option<&'v InstanceView> {
        view.instances.occupant(self.computer.as_str(), self.partition.as_str())
    }

    /// Whom a node speaks of: the instance in the partition, or a shared one on it that has this reference.
    async fn meant(&self, ctx: &RequestContext, shared: Option<&str>) -> Result<Meant, Problem> {
        let find = |view: &SlapViews, _| {
            self.find(ctx.mode(), view)?;
            let host = self.occupant(view).ok_or_else(|| self.is_free())?;
            let Some(reference) = shared else { return Ok(self.one(host, None)) };
            let unknown = || Problem::not_found(format!("there is no shared instance {reference}"));
            let shared = names::share(ctx.mode(), view, host.id, reference).ok_or_else(unknown)?;
            Ok(self.one(shared, Some(shared.id)))
        };
        read(ctx, Sequence::ZERO, find).await?
    }

    fn one(&self, instance: &InstanceView, shared: Option<InstanceId>) -> Meant {
        Meant { place: self.as_told(shared), key: instance.key() }
    }

    fn as_told(&self, shared: Option<InstanceId>) -> instance::InstancePlace {
        instance::InstancePlace { computer: self.computer.clone(), partition: self.partition.clone(), shared }
    }

    fn report(&self, state: ReportedState) -> ReportInstance {
        ReportInstance { place: self.as_told(None), state, error: None }
    }
}

/// Whom a node speaks of, and the key of what it says.
struct Meant {
    place: instance::InstancePlace,
    key: KeyId,
}

/// `GET registerComputerPartition`.
pub(super) async fn partition(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let fields = Fields::of_query(&request);
    let (computer, partition) =
        (fields.id("computer_reference")?, fields.id("computer_partition_reference")?);
    shown(&ctx, &NamedPartition::named(&ctx, computer, partition).await?).await
}

/// What is in a partition, as its node, its instance and its owner are shown it.
async fn shown(ctx: &RequestContext, place: &NamedPartition) -> SlapReply {
    if ctx.caller.is_party() && !ctx.caller.reaches_all() {
        let find = |view: &SlapViews, _| place.find(ctx.mode(), view);
        let seen = read(ctx, Sequence::ZERO, find).await??;
        let seen = seen.sharing(|shared| ctx.caller.opens_instance(shared));
        return document(documents::partition(&seen.document(ctx.keys())));
    }
    let of = (place.computer.clone(), place.partition.clone());
    let may = |view: &SlapViews| place.check(view);
    let find = |view: &SlapViews| place.find(ctx.mode(), view);
    let write = |seen: SeenPartition| written(documents::partition(&seen.document(ctx.keys())));
    Ok(xml(ctx
        .engine
        .documents
        .partitions
        .text((ctx.slap(), ctx.project, ctx.ledger().head().last), &of, may, find, write)
        .await?))
}

/// `POST startedComputerPartition`.
pub(super) async fn started(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let command = NamedPartition::of(&ctx, &form.fields).await?.report(ReportedState::Started);
    report(&ctx, &form, command).await?;
    Ok(text("OK"))
}

/// `POST stoppedComputerPartition`.
pub(super) async fn stopped(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let command = NamedPartition::of(&ctx, &form.fields).await?.report(ReportedState::Stopped);
    match report(&ctx, &form, command).await {
        Err(error) if is_free(&error) => Ok(text("OK")),
        reported => reported.map_err(Into::into).map(|_| text("OK")),
    }
}

/// `POST destroyedComputerPartition`: the instance ends, unless others are left that it requested.
pub(super) async fn destroyed(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let place = NamedPartition::of(&ctx, &form.fields).await?;
    Ok(text(match end(&ctx, form.digest(ctx.keys()), place.as_told(None)).await? {
        Some(left) => not_yet(&left),
        None => "OK".to_owned(),
    }))
}

async fn report(
    ctx: &RequestContext,
    form: &PostedForm,
    command: ReportInstance,
) -> Result<Accepted, SubmitError> {
    let node = command.place.computer.clone();
    submit(ctx, form, &node, Command::ReportInstance(command)).await
}

/// `POST softwareInstanceError`.
pub(super) async fn error(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let place = NamedPartition::of(&ctx, &form.fields).await?;
    let log = error_text(form.fields.bytes("error_log")?);
    sealed(&ctx, &form, &place, |meant| {
        let error = Some(seal(ctx.keys(), meant.key, &log)?);
        let state = ReportedState::Error;
        Ok(Command::ReportInstance(ReportInstance { place: meant.place, state, error }))
    })
    .await
}

/// `POST setComputerPartitionConnectionXml`.
pub(super) async fn set_connection(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    const FIELD: &str = "connection_xml";
    let form = PostedForm::read(request, ctx.parameter_body()).await?;
    let place = NamedPartition::of(&ctx, &form.fields).await?;
    let value = form.fields.marshalled(FIELD)?.ok_or_else(|| Problem::field(FIELD, "is missing"))?;
    let parameters =
        instance_xml::parameters(&value).map_err(|error| Problem::field(FIELD, error.to_string()))?;
    sealed(&ctx, &form, &place, |meant| {
        let connection = seal_parameters(ctx.parameter_keys(), meant.key, FIELD, &parameters)?;
        Ok(Command::SetConnectionParameters(SetConnectionParameters { place: meant.place, connection }))
    })
    .await
}

/// `POST softwareInstanceBang`: the whole tree is to be processed again.
pub(super) async fn bang(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let place = NamedPartition::of(&ctx, &form.fields).await?;
    let message = form.fields.optional_bytes("message").map(error_text);
    sealed(&ctx, &form, &place, |meant| {
        let message = message.as_ref().map(|text| seal(ctx.keys(), meant.key, text)).transpose()?;
        Ok(Command::BangInstance(BangInstance { place: meant.place, message }))
    })
    .await
}

/// `POST softwareInstanceRename`.
pub(super) async fn rename(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let place = NamedPartition::of(&ctx, &form.fields).await?;
    let reference: Reference = form.fields.id("new_name")?;
    sealed(&ctx, &form, &place, |meant| {
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
    ctx: &RequestContext,
    form: &PostedForm,
    place: &NamedPartition,
    command: impl Fn(Meant) -> Result<Command, Problem>,
) -> SlapReply {
    let shared = shared(&form.fields)?;
    for _ in 0..ATTEMPTS {
        let meant = place.meant(ctx, shared).await?;
        match submit(ctx, form, &place.computer, command(meant)?).await {
            Ok(_) => return Ok(text("OK")),
            Err(error) if is_retry(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let detail = format!("partition {} changes hands; say it again", place.partition);
    Err(Problem::later(ProblemCode::ModifiedConcurrently, detail, 1).into())
}

/// `GET getHostingSubscriptionIpList`: every address of every partition of the tree, for firewalls.
pub(super) async fn tree_addresses(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let place = NamedPartition::of(&ctx, &Fields::of_query(&request)).await?;
    let find = |view: &SlapViews, _| {
        place.find(ctx.mode(), view)?;
        let occupant = view.instances.occupant(place.computer.as_str(), place.partition.as_str());
        let members = occupant.into_iter().flat_map(|instance| view.instances.tree(instance.root));
        let places = members.filter_map(|member| view.inventory.place(member.id));
        let partitions = places.filter_map(|(computer, partition)| {
            view.inventory.partition(computer.as_str(), partition.as_str())
        });
        let mut addresses = Vec::new();
        for partition in partitions {
            let offer = &partition.offer;
            let told = offer.addresses.iter();
            addresses
                .extend(told.map(|told| (offer.interface_of(told).to_owned(), told.address.to_string())));
        }
        Ok::<_, Problem>(addresses)
    };
    let addresses = read(&ctx, Sequence::ZERO, find).await??;
    document(documents::address_list(&addresses))
}

/// `POST updateComputerPartitionRelatedInstanceList`: accepted, and nothing is made of it, as in the master.
pub(super) async fn set_related(Authorised(ctx): Authorised, request: Request) -> SlapReply {
    let form = PostedForm::read(request, SMALL).await?;
    let place = NamedPartition::of(&ctx, &form.fields).await?;
    form.fields.marshalled("instance_reference_xml")?;
    read(&ctx, Sequence::ZERO, |view, _| place.find(ctx.mode(), view).map(drop)).await??;
    Ok(text("OK"))
}

#[cfg(test)]
mod tests;
