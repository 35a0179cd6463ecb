//! A ledger from an export of a whole log: the same events under the same root, framed anew.

use std::io::Read;

use super::{ExportFault, ExportReader};
use crate::domain::event::Event;
use crate::domain::id::Sequence;
use crate::log::envelope::EventDecoder;
use crate::log::frame::pack;
use crate::log::merkle::Tree;
use crate::log::store::{Appended, EventStore, Head};

/// Bytes of events that are made durable together.
const TOGETHER: usize = 4 * 1024 * 1024;

/// Appends all events of an export to a log that is empty; `progress` is told how far it is. Returns where it ends: the
/// root that the export names. What was appended before a fault is found means nothing.
pub fn import<R: Read>(
    reader: &mut ExportReader<R>,
    store: &dyn EventStore,
    progress: &mut dyn FnMut(Sequence),
) -> Result<Head, ExportFault> {
    let range = reader.range();
    if !range.is_whole() {
        return Err(ExportFault::Part(range));
    }
    let term = store.acquire()?;
    let mut tree = Tree::new();
    let (mut waiting, mut bytes) = (Vec::new(), 0);
    let mut decoder = EventDecoder::default();
    loop {
        let event = reader.next_event()?;
        let is_end = event.is_none();
        if let Some(event) = event {
            let sequence = event.sequence;
            // The root of a file says nothing of whether its bytes are events.
            let recorded = decoder.decode(sequence, &event.bytes);
            let recorded = recorded.map_err(|source| ExportFault::Event { sequence, source })?;
            if sequence == Sequence(1) && !matches!(recorded.event, Event::LedgerCreated(_)) {
                let cause = "its first event does not create a ledger";
                return Err(ExportFault::Damaged { after: Sequence::ZERO, cause });
            }
            bytes += event.bytes.len();
            waiting.push(event.bytes);
        }
        if waiting.is_empty() {
            break;
        }
        if is_end || bytes >= TOGETHER {
            let before = Sequence(tree.size());
            let frames = pack(&mut tree, &waiting)?;
            match store.append(term, before, &frames) {
                Appended::Durable => {}
                other => return Err(ExportFault::NotAppended(format!("{other:?}"))),
            }
            progress(Sequence(tree.size()));
            waiting.clear();
            bytes = 0;
        }
        if is_end {
            break;
        }
    }
    Ok(store.head()?)
}
