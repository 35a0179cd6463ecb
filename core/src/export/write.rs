//! Writing an export.

use std::io::Write;

use super::{END, EVENT, ExportFault, ExportRange, ExportSummary, HIDDEN, MAGIC, io};
use crate::domain::id::Sequence;
use crate::log::envelope::EventDecoder;
use crate::log::frame::EventBytes;
use crate::log::merkle::proof::{SubtreeHashes, root};
use crate::log::merkle::{LeafRun, Root};
use crate::log::store::{EventStore, StoreFault, read_events};
use crate::log::tiles::{TileHashes, TileReader};

/// The level of compression: a log is read back far more often than it is exported.
const LEVEL: i32 = 9;
/// Events of other projects that are hashed together.
const HIDDEN_TOGETHER: usize = 4096;

/// What is to be exported.
pub struct ExportWish<'a> {
    /// Which events.
    pub range: ExportRange,
    /// A signed checkpoint of the log at the end of the range, if there is one.
    pub note: Option<&'a str>,
}

/// Writes a part of a log to a file; `progress` is told how far it is. Returns what it holds.
pub fn export(
    store: &dyn EventStore,
    wish: &ExportWish<'_>,
    out: impl Write,
    progress: &mut dyn FnMut(Sequence),
) -> Result<ExportSummary, ExportFault> {
    let ExportRange { after, last, project } = wish.range;
    let end = store.head()?.last;
    if last > end || after > last {
        let what = if last > end { "the last event" } else { "the event it begins after" };
        return Err(ExportFault::Range { last: end.min(last), what });
    }
    let mut hashes = TileHashes::default();
    hashes.extend(store, last, || true)?;
    let mut reader = TileReader::new(&hashes, store);
    let root = root(&mut reader, last.0)?;
    let frontier = frontier(&mut reader, after.0)?;
    let mut out = zstd::stream::write::Encoder::new(out, LEVEL).map_err(io("write"))?;
    out.include_checksum(true).map_err(io("write"))?;
    let mut header = MAGIC.to_vec();
    header.extend(after.0.to_be_bytes());
    header.extend(last.0.to_be_bytes());
    header.extend(project.map_or(0, |project| project.0).to_be_bytes());
    header.extend(root.0);
    header.extend(frontier.as_flattened());
    out.write_all(&header).map_err(io("write"))?;
    let mut decoder = EventDecoder::default();
    let (mut events, mut of_projects, mut hidden) = (0, 0, HiddenEvents::default());
    for event in read_events(store, after) {
        let (sequence, bytes) = event?;
        if sequence > last {
            break;
        }
        let owner =
            decoder.owner(sequence, &bytes).map_err(|source| ExportFault::Event { sequence, source })?;
        if project.is_some() && owner.is_some() && owner != project {
            hidden.push(sequence, bytes, &mut out)?;
            continue;
        }
        hidden.flush(&mut out)?;
        let length = u16::try_from(bytes.len()).expect("an event is at most 65,535 bytes");
        out.write_all(&[EVENT]).map_err(io("write"))?;
        out.write_all(&length.to_be_bytes()).map_err(io("write"))?;
        out.write_all(&bytes).map_err(io("write"))?;
        (events, of_projects) = (events + 1, of_projects + u64::from(owner.is_some()));
        if events % 4096 == 0 {
            progress(sequence);
        }
    }
    hidden.flush(&mut out)?;
    let note = wish.note.unwrap_or_default().as_bytes();
    let length = u32::try_from(note.len()).expect("a note is at most 64 KiB");
    out.write_all(&[END]).map_err(io("write"))?;
    out.write_all(&length.to_be_bytes()).map_err(io("write"))?;
    out.write_all(note).map_err(io("write"))?;
    out.finish().and_then(|mut out| out.flush()).map_err(io("write"))?;
    Ok(ExportSummary { events, owned: of_projects, hidden: hidden.total, root: Root(root.0) })
}

/// The roots of the perfect subtrees that the first `size` leaves are made of, largest first.
fn frontier(reader: &mut TileReader<'_>, size: u64) -> Result<Vec<[u8; 32]>, StoreFault> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        let height = (size - at).ilog2();
        found.push(reader.subtree(height, at >> height)?);
        at += 1 << height;
    }
    Ok(found)
}

/// Events of other projects that follow each other.
#[derive(Default)]
struct HiddenEvents {
    first: u64,
    leaves: Vec<EventBytes>,
    total: u64,
}

impl HiddenEvents {
    fn push(
        &mut self,
        sequence: Sequence,
        bytes: EventBytes,
        out: &mut impl Write,
    ) -> Result<(), ExportFault> {
        if self.leaves.is_empty() {
            self.first = sequence.0 - 1;
        }
        self.leaves.push(bytes);
        if self.leaves.len() == HIDDEN_TOGETHER { self.flush(out) } else { Ok(()) }
    }

    /// Writes how many there are, and the largest perfect subtrees that they make up.
    fn flush(&mut self, out: &mut impl Write) -> Result<(), ExportFault> {
        if self.leaves.is_empty() {
            return Ok(());
        }
        let count = self.leaves.len() as u64;
        let run = LeafRun::new(self.first, self.leaves.iter().map(|leaf| &**leaf));
        out.write_all(&[HIDDEN]).map_err(io("write"))?;
        out.write_all(&count.to_be_bytes()).map_err(io("write"))?;
        run.subtrees().try_for_each(|(_, hash)| out.write_all(&hash)).map_err(io("write"))?;
        self.total += count;
        self.leaves.clear();
        Ok(())
    }
}
