//! Which events a reader wants, of those they may see.

use slapledger_core::domain::event::Event;
use slapledger_core::log::envelope::{Meta, Recorded};
use slapledger_kit::problem::Problem;

use crate::rest::query::Query;
use crate::streams::EventRun;

/// The longest text of a stream or an actor.
const MOST_BYTES: usize = 512;

/// The filters of a request; events fit all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EventFilter {
    /// Any of these types; all types, if there are none.
    types: Vec<&'static str>,
    /// A stream such as `usage/COMP-1`, or its kind alone: `usage`.
    stream: Option<Box<str>>,
    /// The id of the actor.
    actor: Option<Box<str>>,
}

impl EventFilter {
    /// Reads `type`, `stream` and `actor`.
    pub(super) fn read(query: &Query) -> Result<Self, Problem> {
        let mut types = Vec::new();
        for told in query.text("type").into_iter().flat_map(|list| list.split(',')) {
            let known = Event::NAMES.iter().find(|name| **name == told.trim());
            let name = known.ok_or_else(|| {
                Problem::field(
                    "type",
                    "must be types of events, such as UsageRecorded, with commas between them",
                )
            })?;
            if !types.contains(name) {
                types.push(*name);
            }
        }
        let text = |name: &'static str, example: &str| match query.text(name) {
            Some(text) if text.is_empty() || text.len() > MOST_BYTES => {
                Err(Problem::field(name, format!("must be {example}: 1 to {MOST_BYTES} bytes")))
            }
            text => Ok(text.map(Into::into)),
        };
        let stream = text("stream", "a stream such as usage/COMP-1, or its kind, such as usage")?;
        let actor = text("actor", "the id of an actor, such as PARTY-2")?;
        Ok(Self { types, stream, actor })
    }

    /// Whether an event fits.
    pub(super) fn fits(&self, recorded: &Recorded) -> bool {
        self.fits_type(recorded.event.name())
            && self.fits_actor(&recorded.meta)
            && (self.stream.is_none() || self.fits_stream(&recorded.stream.to_string()))
    }

    /// Whether any event of a run may fit; if so, `fits_type` decides about each.
    pub(super) fn may_fit(&self, run: &EventRun) -> bool {
        run.types.iter().any(|name| self.fits_type(name))
            && self.fits_actor(&run.meta)
            && self.fits_stream(&run.written)
    }

    /// Whether a type of event fits.
    pub(super) fn fits_type(&self, name: &str) -> bool {
        self.types.is_empty() || self.types.contains(&name)
    }

    fn fits_actor(&self, meta: &Meta) -> bool {
        self.actor.as_ref().is_none_or(|actor| *actor == meta.actor.id)
    }

    fn fits_stream(&self, written: &str) -> bool {
        self.stream.as_deref().is_none_or(|wanted| {
            let kind = written.split('/').next().unwrap_or_default();
            wanted == written || wanted == kind
        })
    }
}
