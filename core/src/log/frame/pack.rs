//! Packing: events become frames. What needs no tree (cutting, compressing, hashing) comes first, so that another
//! thread than the one that has the tree may do it.

use std::sync::Arc;

use super::{
    After, CHECKSUM_AT, Codec, Frame, HEADER_BYTES, Header, MAX_EVENT_BYTES, MAX_PACKED_BYTES, PREFIX_BYTES,
    VERSION,
};
use crate::domain::id::Sequence;
use crate::log::merkle::{LeafRun, Tree};

/// And how many events, so that a reader of one event never unpacks too many others.
pub(super) const MAX_PACKED_EVENTS: usize = 4096;

/// Shorter bodies are not worth the set-up of a compressor.
const MIN_COMPRESSED_BYTES: usize = 512;

/// Events that cannot be written. The caller's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// An event without bytes.
    #[error("pack event {index} of the batch: it is empty")]
    Empty {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// An event longer than [`MAX_EVENT_BYTES`].
    #[error("pack event {index} of the batch: {length} bytes are more than {MAX_EVENT_BYTES}")]
    TooLong {
        /// Its place in the batch, from 0.
        index: usize,
        /// Its length in bytes.
        length: usize,
    },
}

/// Cuts events, in order, into frames that continue `tree`, and advances it. Nothing happens to the tree if an event
/// is refused.
pub fn pack<E: AsRef<[u8]>>(tree: &mut Tree, events: &[E]) -> Result<Vec<Frame>, PackError> {
    let mut packer = FramePacker::new(Sequence(tree.size() + 1));
    for event in events {
        packer.push(|bytes| bytes.extend_from_slice(event.as_ref()))?;
    }
    Ok(packer.finish().into_iter().map(|frame| frame.seal(tree)).collect())
}

/// Writes events one after the other into the bodies of frames. It does everything for a frame that needs no tree:
/// cuts, compresses and hashes. Another thread than the one that has the tree may do it.
#[derive(Debug)]
pub(crate) struct FramePacker {
    /// The first sequence of the frame that is open.
    first: Sequence,
    /// The open frame: room for the header, then its events with their lengths.
    bytes: Vec<u8>,
    /// Where each of its events ends.
    ends: Vec<usize>,
    /// The number of events in the frames that are packed.
    before: usize,
    packed: Vec<PackedFrame>,
}

/// A frame but for what the tree before it says.
#[derive(Debug)]
pub(crate) struct PackedFrame {
    /// The header is not written yet.
    bytes: Vec<u8>,
    codec: Codec,
    count: u32,
    raw_bytes: u32,
    leaves: LeafRun,
}

impl FramePacker {
    /// The first event that is pushed has this sequence.
    pub(crate) fn new(first: Sequence) -> Self {
        Self { first, bytes: vec![0; HEADER_BYTES], ends: Vec::new(), before: 0, packed: Vec::new() }
    }

    /// Adds the next event, whose bytes `write` appends.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), PackError> {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; PREFIX_BYTES]);
        write(&mut self.bytes);
        let length = self.bytes.len() - at - PREFIX_BYTES;
        let index = self.before + self.ends.len();
        let prefix = match u16::try_from(length) {
            Ok(0) => return Err(PackError::Empty { index }),
            Ok(length) => length.to_be_bytes(),
            Err(_) => return Err(PackError::TooLong { index, length }),
        };
        self.bytes[at..at + PREFIX_BYTES].copy_from_slice(&prefix);
        let is_full =
            self.bytes.len() - HEADER_BYTES > MAX_PACKED_BYTES || self.ends.len() == MAX_PACKED_EVENTS;
        if is_full && !self.ends.is_empty() {
            // The event does not fit: it begins the next frame.
            let mut next = Vec::with_capacity(HEADER_BYTES + MAX_PACKED_BYTES);
            next.resize(HEADER_BYTES, 0);
            next.extend_from_slice(&self.bytes[at..]);
            self.bytes.truncate(at);
            self.close(next);
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// All frames, in order.
    pub(crate) fn finish(mut self) -> Vec<PackedFrame> {
        if !self.ends.is_empty() {
            self.close(Vec::new());
        }
        self.packed
    }

    /// Packs the open frame and opens the next one with these bytes.
    fn close(&mut self, next: Vec<u8>) {
        const BOUNDED: &str = "bounded by MAX_PACKED_BYTES and MAX_PACKED_EVENTS";
        let mut bytes = std::mem::replace(&mut self.bytes, next);
        let starts = [HEADER_BYTES].into_iter().chain(self.ends.iter().copied());
        let events = starts.zip(&self.ends).map(|(start, end)| &bytes[start + PREFIX_BYTES..*end]);
        let leaves = LeafRun::new(self.first.0 - 1, events);
        let length = bytes.len() - HEADER_BYTES;
        let codec = match compressed(&bytes[HEADER_BYTES..]) {
            Some(body) => {
                bytes.truncate(HEADER_BYTES);
                bytes.extend_from_slice(&body);
                bytes.shrink_to_fit();
                Codec::Lz4
            }
            None => Codec::Plain,
        };
        let count = self.ends.len();
        self.packed.push(PackedFrame {
            bytes,
            codec,
            count: u32::try_from(count).expect(BOUNDED),
            raw_bytes: u32::try_from(length).expect(BOUNDED),
            leaves,
        });
        self.first = Sequence(self.first.0 + count as u64);
        self.before += count;
        self.ends.clear();
    }
}

impl PackedFrame {
    /// How many bytes its events have before they are compressed.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw_bytes as usize
    }

    /// Makes it the frame that continues `tree`, which has to be where it was packed for, and advances the tree.
    pub(crate) fn seal(self, tree: &mut Tree) -> Frame {
        let Self { mut bytes, codec, count, raw_bytes, leaves } = self;
        let (size_before, root_before) = (tree.size(), tree.root());
        tree.push_run(&leaves);
        let (first, last) = (Sequence(size_before + 1), Sequence(tree.size()));
        let header = Header { codec, count, first, last, root_before, raw_bytes };
        let stored_bytes = u32::try_from(bytes.len() - HEADER_BYTES).expect("no longer than its events");
        bytes[0] = VERSION;
        bytes[1] = u8::from(codec == Codec::Lz4);
        bytes[4..8].copy_from_slice(&header.count.to_be_bytes());
        bytes[8..16].copy_from_slice(&header.first.0.to_be_bytes());
        bytes[16..24].copy_from_slice(&header.last.0.to_be_bytes());
        bytes[24..32].copy_from_slice(&size_before.to_be_bytes());
        bytes[32..64].copy_from_slice(&root_before.0);
        bytes[64..68].copy_from_slice(&header.raw_bytes.to_be_bytes());
        bytes[68..72].copy_from_slice(&stored_bytes.to_be_bytes());
        let checksum = crc32fast::hash(&bytes); // the field itself is still zero
        bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
        Frame { bytes: Arc::new(bytes), header, after: Some(After::of(tree)) }
    }
}

/// The body compressed, if that saves an eighth or more: less is not worth the work of every later reader.
fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < MIN_COMPRESSED_BYTES {
        return None;
    }
    let packed = lz4_flex::block::compress(body);
    (packed.len() <= body.len() / 8 * 7).then_some(packed)
}
