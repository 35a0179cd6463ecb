//! A ledger that is only read: no writer, no term, nothing written. For what looks at a folder or a copy of one.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};

use super::guards::Guards;
use super::{Clock, GuardOptions, Ledger, OpenFault, Publisher, Sequencer, StopCause};
use crate::domain::event::{Event, LedgerCreated};
use crate::domain::id::Sequence;
use crate::domain::usage::MemoryIndex;
use crate::log::envelope::{EventDecoder, Recorded};
use crate::log::store::{EventStore, Term, read_frames};

/// Why no command is taken.
const READ_ONLY: &str = "it was opened to be read";

impl Ledger {
    /// Opens a ledger to be read. It takes no command, and its feed ends where the log ends now.
    pub fn open_read_only(store: Arc<dyn EventStore>, clock: Arc<dyn Clock>) -> Result<Self, OpenFault> {
        let created = created(&*store)?;
        let publisher = Arc::new(Publisher::new(Arc::clone(&store), store.head()?));
        // Nothing is ever decided on it: there is no queue, which is asked first.
        let sequencer = Sequencer::new(Box::new(MemoryIndex::default()));
        let guards = Guards::new(Arc::clone(&clock), GuardOptions::default(), &sequencer);
        Ok(Self {
            observer: Arc::default(),
            queue: Mutex::new(None),
            sequencer: Arc::new(RwLock::new(sequencer)),
            publisher,
            resources: Arc::default(),
            store,
            writer: Mutex::new(None),
            stopped: Arc::new(StopCause(Mutex::new(Some(READ_ONLY.into())))),
            closing: Arc::new(AtomicBool::new(false)),
            created,
            term: Term::default(),
            clock,
            guards: Arc::new(guards),
        })
    }
}

/// The event that a log begins with.
pub fn created(store: &dyn EventStore) -> Result<LedgerCreated, OpenFault> {
    match event_after(store, Sequence::ZERO)?.map(|recorded| recorded.event) {
        Some(Event::LedgerCreated(created)) => Ok(created),
        Some(_) => Err(OpenFault::NoLedger),
        None => Err(OpenFault::Empty),
    }
}

/// The last event of a log, if it has any.
pub fn last_event(store: &dyn EventStore) -> Result<Option<Recorded>, OpenFault> {
    let head = store.head()?;
    if head.last == Sequence::ZERO { Ok(None) } else { event_after(store, Sequence(head.last.0 - 1)) }
}

fn event_after(store: &dyn EventStore, after: Sequence) -> Result<Option<Recorded>, OpenFault> {
    let Some(frame) = read_frames(store, after).next().transpose()? else {
        return Ok(None);
    };
    let Some((sequence, bytes)) = frame.events_after(after).next() else { return Ok(None) };
    let decoded = EventDecoder::default().decode(sequence, bytes);
    decoded.map(Some).map_err(|source| OpenFault::Event { sequence, source })
}
