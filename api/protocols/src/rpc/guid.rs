//! What instances are called in calls.
//!
//! To slapos proxy an instance is `<title>___<title of its root>___<1 if it is shared, else 0>`, without the title of
//! the root if it is one; titles may hold underscores, so that a guid is looked up in every way it can be read. To a
//! master it is its id.

use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::domain::instance::Requester;
use slapledger_kit::problem::Problem;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::reading::read;

const BETWEEN: &str = "___";

/// The guid of an instance.
pub(super) fn of(mode: Mode, view: &SlapViews, instance: &InstanceView) -> String {
    if mode != Mode::Proxy {
        return instance.id.to_string();
    }
    let root = view.instances.get(instance.root).filter(|root| root.id != instance.id);
    let root = root.map_or("", |root| root.reference.as_str());
    format!("{}{BETWEEN}{root}{BETWEEN}{}", instance.reference, u8::from(instance.shared))
}

/// A guid that can be one.
pub(super) enum Guid<'a> {
    Id(InstanceId),
    Label { names: &'a str, shared: bool },
}

impl<'a> Guid<'a> {
    /// Reads a guid.
    pub(super) fn read(mode: Mode, text: &'a str) -> Result<Self, Problem> {
        let unreadable = || Problem::not_found(format!("instance_guid {text} not handled."));
        if mode != Mode::Proxy {
            return text.parse().map(Self::Id).map_err(|_| unreadable());
        }
        let (names, shared) = text.rsplit_once(BETWEEN).ok_or_else(unreadable)?;
        let shared = match shared {
            "0" => false,
            "1" => true,
            _ => return Err(unreadable()),
        };
        if !names.contains(BETWEEN) {
            return Err(unreadable());
        }
        Ok(Self::Label { names, shared })
    }

    /// Whether it is one of a shared instance, as far as it says.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Label { shared: true, .. })
    }

    /// The living instance that it means.
    pub(super) fn find<'v>(&self, view: &'v SlapViews) -> Option<&'v InstanceView> {
        match *self {
            Self::Id(id) => view.instances.get(id).filter(|instance| instance.lives()),
            Self::Label { names, shared } => {
                let ways = names.char_indices().map(|(at, _)| at);
                let ways = ways.filter(|at| names[*at..].starts_with(BETWEEN));
                let ways = ways.map(|at| (&names[..at], &names[at + BETWEEN.len()..]));
                ways.into_iter().find_map(|(title, root)| {
                    let party = Requester::Party(FIRST_PARTY);
                    let requester = match root {
                        "" => party,
                        root => Requester::Instance(view.instances.find(party, false, root)?.id),
                    };
                    view.instances.find(requester, shared, title)
                })
            }
        }
    }
}

/// Reads something of the instance that a guid means.
pub(super) async fn look<T>(
    ctx: &RequestContext,
    min: Sequence,
    text: &str,
    look: impl FnOnce(&SlapViews, &InstanceView) -> T,
) -> Result<T, Problem> {
    let guid = Guid::read(ctx.mode(), text)?;
    let found = read(ctx, min, |view, _| {
        let found = guid.find(view).filter(|instance| ctx.caller.opens_instance(instance));
        found.map(|instance| look(view, instance))
    });
    let kind = if guid.is_shared() { "shared" } else { "software" };
    found.await?.ok_or_else(|| Problem::not_found(format!("No {kind} instance {text} found.")))
}
