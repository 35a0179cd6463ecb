//! Which events of the log somebody may read.
//!
//! Who reaches all that a project holds reads all its events; those of the ledger itself are in the first project, for
//! callers who reach all projects. Anybody else reads the events about what is their own: a party about itself, its
//! instances, its documents and the usage of its instances; a provider also about its computers, what runs on them and
//! what they report. An event that names things of several owners is only for those who see all of them.

use slapledger_core::domain::access::Access;
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{CredentialId, InstanceId, PartyId, ProjectId};
use slapledger_core::domain::usage::{Attribution, Usage};
use slapledger_core::log::envelope::Recorded;
use slapledger_projections::SlapViews;

use super::caller::Caller;
use super::context::RequestContext;

/// Whether a caller who reaches all of their project may read the events of a stream, recorded by a command of
/// `recorded`.
pub fn sees_stream(ctx: &RequestContext, stream: &Stream, recorded: ProjectId) -> bool {
    let of_ledger = matches!(stream, Stream::Ledger | Stream::Project(_));
    if of_ledger {
        return ctx.project == ProjectId::DEFAULT && ctx.caller.reaches_all_projects();
    }
    let (project, reaches_all) = match stream {
        Stream::Credential(id) => ctx.access().read(|view, _| gives_access(&view.access, *id, recorded)),
        _ => (stream.home(recorded), false),
    };
    project == ctx.project && (!reaches_all || ctx.caller.reaches_all_projects())
}

/// The project that a credential gives access to, wherever it was issued or revoked, and whether to all others too. An
/// unknown credential is treated as one that does.
fn gives_access(access: &Access, id: CredentialId, recorded: ProjectId) -> (ProjectId, bool) {
    access.credential(id).map_or((recorded, true), |known| (known.project, known.issued.all_projects))
}

/// What a caller sees of the events of a stream that is not wholly theirs to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamScope {
    /// All of them.
    All,
    /// Those about usage of instances that they see.
    UsageOfInstances,
    /// Those that are a document for them.
    Documents,
    /// None.
    None,
}

/// What a caller who reaches only their own things sees of a stream in their project.
pub fn own_scope(caller: &Caller, view: &SlapViews, stream: &Stream) -> StreamScope {
    let sees = |is_seen: bool| if is_seen { StreamScope::All } else { StreamScope::None };
    let sees_computer =
        |id: &str| view.inventory.computer(id).is_some_and(|computer| caller.sees_computer(computer));
    match stream {
        Stream::Party(party) => sees(caller.sees_party(*party)),
        Stream::Computer(id) => sees(sees_computer(id.as_str())),
        Stream::Instance(id) => sees(sees_instance(caller, view, *id)),
        Stream::Usage(id) if caller.provides() && sees_computer(id.as_str()) => StreamScope::All,
        Stream::Usage(_) => StreamScope::UsageOfInstances,
        Stream::Invoice(_) => StreamScope::Documents,
        Stream::Product(_) => StreamScope::All,
        Stream::Ledger
        | Stream::Project(_)
        | Stream::Credential(_)
        | Stream::PriceBook(_)
        | Stream::InvoiceRun(_) => StreamScope::None,
    }
}

/// Whether a caller sees an instance.
pub fn sees_instance(caller: &Caller, view: &SlapViews, id: InstanceId) -> bool {
    view.instances.get(id).is_some_and(|instance| caller.sees_instance(view, instance))
}

/// Whether a caller who reaches only their own things sees an event of a stream with this scope. `payer` is who pays the
/// document that the event is about.
pub fn sees_event(
    caller: &Caller,
    view: &SlapViews,
    (scope, event): (StreamScope, &Event),
    payer: impl FnOnce() -> Option<PartyId>,
) -> bool {
    match scope {
        StreamScope::None => false,
        StreamScope::All => match event {
            Event::SoftwareReleasePublished(published) => caller.publisher() == Some(published.publisher),
            Event::CatalogueEntryRecorded(recorded) => {
                recorded.says.customer.is_none_or(|customer| caller.sees_party(customer))
            }
            // It does not say whether the entry was the story of a customer.
            Event::CatalogueEntryRemoved(_) => false,
            _ => true,
        },
        StreamScope::Documents => payer().is_some_and(|payer| caller.sees_party(payer)),
        StreamScope::UsageOfInstances => usage_of(event).is_some_and(|usage| {
            let mut instances = instances_of(usage).peekable();
            instances.peek().is_some() && instances.all(|id| sees_instance(caller, view, id))
        }),
    }
}

/// The usage that an event meters.
fn usage_of(event: &Event) -> Option<&Usage> {
    match event {
        Event::UsageRecorded(usage) => Some(usage),
        Event::UsageCorrected(corrected) => Some(&corrected.usage),
        Event::SuspendedUsageResolved(resolved) => Some(&resolved.usage),
        _ => None,
    }
}

fn instances_of(usage: &Usage) -> impl Iterator<Item = InstanceId> + '_ {
    let (one, shares) = match &usage.attribution {
        Attribution::Computer => (None, &[][..]),
        Attribution::Instance(id) => (Some(*id), &[][..]),
        Attribution::Shares(shares) => (None, shares.as_slice()),
    };
    one.into_iter().chain(shares.iter().map(|share| share.instance))
}

/// The instances whose usage an event meters.
pub fn metered_instances(event: &Event) -> impl Iterator<Item = InstanceId> + '_ {
    usage_of(event).into_iter().flat_map(instances_of)
}

/// Who pays the document that an event is about; the parts of a long document come before it, in one command.
pub fn payer_of(events: &[Recorded], at: usize) -> Option<PartyId> {
    let stream = &events.get(at)?.stream;
    events[at..].iter().take_while(|event| event.stream == *stream).find_map(|event| match &event.event {
        Event::InvoiceFinalised(finalised) => Some(finalised.invoice.buyer.party),
        _ => None,
    })
}
