//! Groups of events, in runs that readers decide about at once.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use parking_lot::Mutex;
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{InstanceId, Sequence};
use slapledger_core::log::envelope::{Actor, Meta, Recorded};
use slapledger_usecases::event_scope::metered_instances;

/// Of how many instances a run knows that they are in it; of more, a reader looks at its events.
const MOST_INSTANCES: usize = 256;

/// Events that follow each other.
pub(crate) struct EventGroup {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    pub(crate) runs: Vec<EventRun>,
    /// Not there if they have to be read from the log again.
    events: Mutex<Option<Arc<GroupEvents>>>,
}

/// Events of one command in one stream of the log.
pub(crate) struct EventRun {
    /// The first, by its place in the group.
    pub(crate) from: usize,
    /// The one after the last.
    pub(crate) until: usize,
    pub(crate) stream: Arc<Stream>,
    /// The stream as it is written.
    pub(crate) written: Box<str>,
    pub(crate) meta: Arc<Meta>,
    /// The types of its events.
    pub(crate) types: Vec<&'static str>,
    /// The instances whose usage it meters; `None` if they are too many to be known.
    pub(crate) instances: Option<Box<[InstanceId]>>,
}

impl EventRun {
    fn new(events: &[Recorded], from: usize, until: usize) -> Self {
        let run = &events[from..until];
        let (stream, meta) = (Arc::clone(&events[from].stream), Arc::clone(&events[from].meta));
        let mut types: Vec<&'static str> = Vec::new();
        let mut instances: Vec<InstanceId> = Vec::new();
        for recorded in run {
            let name = recorded.event.name();
            if types.last() != Some(&name) && !types.contains(&name) {
                types.push(name);
            }
            instances.extend(metered_instances(&recorded.event));
        }
        instances.sort_unstable();
        instances.dedup();
        let instances = (instances.len() <= MOST_INSTANCES).then(|| instances.into_boxed_slice());
        let written = stream.to_string().into_boxed_str();
        Self { from, until, stream, written, meta, types, instances }
    }
}

impl EventGroup {
    /// A group of events that follow each other; `None` of none.
    pub(crate) fn new(events: &Arc<Vec<Recorded>>) -> Option<Self> {
        let (first, last) = (events.first()?.sequence, events.last()?.sequence);
        let mut runs = Vec::new();
        let mut from = 0;
        for at in 1..=events.len() {
            let goes_on = events.get(at).is_some_and(|next| {
                Arc::ptr_eq(&next.meta, &events[from].meta) && Arc::ptr_eq(&next.stream, &events[from].stream)
            });
            if !goes_on {
                runs.push(EventRun::new(events, from, at));
                from = at;
            }
        }
        let events = Mutex::new(Some(Arc::new(GroupEvents::new(Arc::clone(events)))));
        Some(Self { first, last, runs, events })
    }

    /// How many events it has.
    pub(crate) fn len(&self) -> usize {
        self.runs.last().map_or(0, |run| run.until)
    }

    /// Its events, if they are in memory.
    pub(crate) fn events(&self) -> Option<Arc<GroupEvents>> {
        self.events.lock().clone()
    }

    /// Lets go of its events.
    pub(super) fn forget(&self) {
        let events = self.events.lock().take();
        drop(events);
    }

    /// Its events, as they were read again.
    pub(super) fn fill(&self, events: Arc<Vec<Recorded>>) -> Arc<GroupEvents> {
        let filled = Arc::new(GroupEvents::new(events));
        *self.events.lock() = Some(Arc::clone(&filled));
        filled
    }
}

/// Which members of an event a reader is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownMembers {
    /// All of them.
    Whole,
    /// All but the credential of its actor, which is nothing of the reader's.
    WithoutCredential,
}

/// The events of a group, and how they are written.
pub(crate) struct GroupEvents {
    pub(crate) recorded: Arc<Vec<Recorded>>,
    whole: Box<[OnceLock<Bytes>]>,
    without_credential: OnceLock<Box<[OnceLock<Bytes>]>>,
}

fn unwritten(count: usize) -> Box<[OnceLock<Bytes>]> {
    (0..count).map(|_| OnceLock::new()).collect()
}

impl GroupEvents {
    fn new(recorded: Arc<Vec<Recorded>>) -> Self {
        let whole = unwritten(recorded.len());
        Self { recorded, whole, without_credential: OnceLock::new() }
    }

    /// An event as streams send it: written once for all readers.
    pub(crate) fn written(&self, at: usize, shown: ShownMembers) -> serde_json::Result<Bytes> {
        let written = match shown {
            ShownMembers::Whole => &self.whole[at],
            ShownMembers::WithoutCredential => {
                &self.without_credential.get_or_init(|| unwritten(self.recorded.len()))[at]
            }
        };
        if let Some(bytes) = written.get() {
            return Ok(bytes.clone());
        }
        let bytes = write(&self.recorded[at], shown)?;
        Ok(written.get_or_init(|| bytes).clone())
    }
}

fn write(recorded: &Recorded, shown: ShownMembers) -> serde_json::Result<Bytes> {
    let head = format!("id: {}\nevent: {}\ndata: ", recorded.sequence, recorded.event.name());
    let mut bytes = head.into_bytes();
    // JSON has no line break outside of texts, and writes those within as \n: it is one line of data.
    match shown {
        ShownMembers::Whole => serde_json::to_writer(&mut bytes, recorded)?,
        ShownMembers::WithoutCredential => {
            let actor = Actor { credential: None, ..recorded.meta.actor.clone() };
            let meta = Arc::new(Meta { actor, ..(*recorded.meta).clone() });
            serde_json::to_writer(&mut bytes, &Recorded { meta, ..recorded.clone() })?;
        }
    }
    bytes.extend_from_slice(b"\n\n");
    Ok(bytes.into())
}
