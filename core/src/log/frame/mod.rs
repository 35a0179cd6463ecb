//! Frames: the bytes on disk of a run of events. `docs/format.md` describes them for other programs.
//!
//! A frame is a header of [`HEADER_BYTES`] (big-endian, written by hand, so that no library defines our format) and
//! a body of length-prefixed events, compressed where that pays. It names the sequences it holds, the root of the
//! Merkle tree before them, and a checksum over all of itself.
//!
//! Invariants: a frame holds at least one event; `last - first + 1` is its count; the tree before it has
//! `first - 1` leaves. Decoding any bytes at all gives a frame that keeps them, or an error; it never panics.
//!
//! A frame is not a unit of meaning: where one ends is a matter of size, and the same events may be framed anew.

mod events;
mod pack;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::merkle::{LeafRun, Root, Tree};
use crate::domain::id::Sequence;
use events::check_events;
pub use events::{DecodedFrame, EventBytes, FrameEvents, IntoEvents};
pub(crate) use pack::{FramePacker, PackedFrame};
pub use pack::{PackError, pack};

/// The version of the format that this program writes, and the newest that it reads.
pub const VERSION: u8 = 1;

/// The longest encoded event. Tile entries of the transparency log are no longer.
pub const MAX_EVENT_BYTES: usize = u16::MAX as usize;

/// The length of the header of version 1.
pub const HEADER_BYTES: usize = 76;

/// The longest frame that a store has to take. Larger values become files of sled outside its log.
pub const MAX_FRAME_BYTES: usize = HEADER_BYTES + MAX_PACKED_BYTES;

/// What [`pack`] puts into the body of one frame, before compression: bounds the frame whatever its content.
const MAX_PACKED_BYTES: usize = 100 * 1024;

/// What a reader agrees to unpack. Wider than what is written, so that the writer may change.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The length prefix of an event.
const PREFIX_BYTES: usize = 2;

/// Where the checksum stands in the header.
const CHECKSUM_AT: usize = 72;

/// Bytes that are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end before the frame does, or go on after it.
    #[error("decode a frame of {expected} bytes from {found} bytes")]
    Length {
        /// What the header promises, or the length of the header.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// A version that this program does not know.
    #[error("decode a frame of format {version}: it was written by a newer version of this program")]
    NewerVersion {
        /// The version in the frame.
        version: u8,
    },
    /// The checksum is not that of the bytes.
    #[error("decode a frame: its checksum is {expected:08x}, its bytes give {found:08x}")]
    Checksum {
        /// The checksum in the frame.
        expected: u32,
        /// The checksum of its bytes.
        found: u32,
    },
    /// Fields that contradict each other or the rules of the format.
    #[error("decode a frame: {0}")]
    Inconsistent(&'static str),
    /// The frame was written on another tree than the one before it.
    #[error("continue the tree of size {size} and root {root} with a frame written on another")]
    OtherTree {
        /// The size of the tree that the frame was to continue.
        size: u64,
        /// Its root.
        root: Root,
    },
}

/// How a body is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As it is.
    Plain,
    /// One LZ4 block, without the LZ4 frame format.
    Lz4,
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How the body is stored.
    pub codec: Codec,
    /// The number of events, at least 1.
    pub count: u32,
    /// The sequence of the first event.
    pub first: Sequence,
    /// The sequence of the last event.
    pub last: Sequence,
    /// The root of the tree of all events before `first`.
    pub root_before: Root,
    /// The length of the body before compression, in bytes.
    pub raw_bytes: u32,
}

/// The bytes of a frame, whose header and checksum are known to be good. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Frame {
    bytes: Arc<Vec<u8>>,
    header: Header,
    after: Option<Arc<After>>,
}

/// What a frame leads to. Not stored: the next frame, the head and the manifest say it.
#[derive(Debug)]
struct After {
    tree: Tree,
    root: Root,
}

impl After {
    fn of(tree: &Tree) -> Arc<Self> {
        Arc::new(Self { tree: tree.clone(), root: tree.root() })
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Frame {}

impl Frame {
    /// Takes the stored bytes of a frame; checks length, version, checksum and the fields of the header.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, FrameError> {
        let header = parse_header(&bytes)?;
        Ok(Self { bytes: Arc::new(bytes), header, after: None })
    }

    /// How many bytes the frame that begins here has, if it is one of this version.
    pub(super) fn stored_length(bytes: &[u8]) -> Option<usize> {
        let head = bytes.first_chunk::<HEADER_BYTES>().filter(|head| head[0] == VERSION)?;
        usize::try_from(be_u32(head, 68)).ok()?.checked_add(HEADER_BYTES)
    }

    /// The bytes to store.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The sequence of the first event.
    pub fn first(&self) -> Sequence {
        self.header.first
    }

    /// The sequence of the last event.
    pub fn last(&self) -> Sequence {
        self.header.last
    }

    /// The number of events.
    pub fn count(&self) -> u32 {
        self.header.count
    }

    /// The root of the tree with the events of this frame; known after [`pack`] and [`advance`](Self::advance), not
    /// stored.
    pub fn root_after(&self) -> Option<Root> {
        self.after.as_ref().map(|after| after.root)
    }

    /// The tree with the events of this frame; known when [`root_after`](Self::root_after) is.
    pub fn tree_after(&self) -> Option<&Tree> {
        self.after.as_ref().map(|after| &after.tree)
    }

    /// Unpacks the body and checks that it is made of `count` events.
    pub fn decode(&self) -> Result<DecodedFrame, FrameError> {
        let (body, start) = match self.header.codec {
            Codec::Plain => (Arc::clone(&self.bytes), HEADER_BYTES),
            Codec::Lz4 => (Arc::new(self.decompress()?), 0),
        };
        check_events(&body[start..], self.header.count)?;
        Ok(DecodedFrame {
            first: self.header.first,
            last: self.header.last,
            count: self.header.count,
            body,
            start,
        })
    }

    /// Adds the events of this frame to `tree`, which has to be the tree that the frame was written on.
    pub fn advance(&mut self, tree: &mut Tree) -> Result<(), FrameError> {
        self.advance_by(self.hash(), tree)
    }

    /// The part of [`advance`](Self::advance) that takes the time and needs no tree: unpacks and hashes the events.
    pub(super) fn hash(&self) -> Result<LeafRun, FrameError> {
        let decoded = self.decode()?;
        Ok(LeafRun::new(self.first().0 - 1, decoded.events().map(|(_, event)| event)))
    }

    /// The rest of it, with what [`hash`](Self::hash) of this frame gave.
    pub(super) fn advance_by(
        &mut self,
        hashed: Result<LeafRun, FrameError>,
        tree: &mut Tree,
    ) -> Result<(), FrameError> {
        self.check_tree(tree)?;
        tree.push_run(&hashed?);
        self.after = Some(After::of(tree));
        Ok(())
    }

    fn check_tree(&self, tree: &Tree) -> Result<(), FrameError> {
        let root = tree.root();
        if (tree.size() + 1, root) == (self.first().0, self.header.root_before) {
            Ok(())
        } else {
            Err(FrameError::OtherTree { size: tree.size(), root })
        }
    }

    /// Does everything for a replay that needs nothing but this frame: another thread may do it.
    pub fn unpack(self) -> Result<UnpackedFrame, FrameError> {
        let events = self.decode()?;
        let hashes = LeafRun::new(self.first().0 - 1, events.events().map(|(_, event)| event));
        Ok(UnpackedFrame { frame: self, events, hashes })
    }

    fn decompress(&self) -> Result<Vec<u8>, FrameError> {
        const DAMAGED: FrameError =
            FrameError::Inconsistent("its body does not decompress to the length it names");
        let length = usize::try_from(self.header.raw_bytes).map_err(|_| DAMAGED)?;
        let mut body = vec![0; length];
        match lz4_flex::block::decompress_into(&self.bytes[HEADER_BYTES..], &mut body) {
            Ok(written) if written == length => Ok(body),
            _ => Err(DAMAGED),
        }
    }
}

fn parse_header(bytes: &[u8]) -> Result<Header, FrameError> {
    let found = bytes.len();
    // The version comes first: another version may have another header.
    match bytes.first() {
        Some(&VERSION) => {}
        Some(&version) if version > VERSION => return Err(FrameError::NewerVersion { version }),
        Some(_) => return Err(FrameError::Inconsistent("it has format 0")),
        None => return Err(FrameError::Length { expected: HEADER_BYTES, found }),
    }
    let Some((head, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(FrameError::Length { expected: HEADER_BYTES, found });
    };
    let stored_bytes = usize::try_from(be_u32(head, 68)).unwrap_or(usize::MAX);
    if stored_bytes != body.len() {
        return Err(FrameError::Length { expected: stored_bytes.saturating_add(HEADER_BYTES), found });
    }
    let expected = be_u32(head, CHECKSUM_AT);
    let computed = {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head[..CHECKSUM_AT]);
        hasher.update(&[0; HEADER_BYTES - CHECKSUM_AT]);
        hasher.update(body);
        hasher.finalize()
    };
    if computed != expected {
        return Err(FrameError::Checksum { expected, found: computed });
    }

    let codec = match head[1] {
        0 => Codec::Plain,
        1 => Codec::Lz4,
        _ => return Err(FrameError::Inconsistent("its codec is unknown")),
    };
    let (count, first, last) = (be_u32(head, 4), be_u64(head, 8), be_u64(head, 16));
    let size_before = be_u64(head, 24);
    let raw_bytes = be_u32(head, 64);
    let raw = usize::try_from(raw_bytes).unwrap_or(usize::MAX);
    let shortest = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(PREFIX_BYTES + 1);
    let faults = [
        (head[2..4] != [0, 0], "its reserved bytes are in use"),
        (count == 0, "it holds no events"),
        (first == 0, "its first sequence is 0"),
        (
            last.checked_sub(first) != Some(u64::from(count).wrapping_sub(1)),
            "its count is not that of its sequences",
        ),
        (first.wrapping_sub(1) != size_before, "the size of its tree is not that of its first sequence"),
        (raw > MAX_BODY_BYTES, "its body is too long"),
        (raw < shortest, "its body is too short for its count"),
        (codec == Codec::Plain && raw != body.len(), "its two lengths differ without compression"),
    ];
    if let Some((_, what)) = faults.into_iter().find(|(wrong, _)| *wrong) {
        return Err(FrameError::Inconsistent(what));
    }
    let mut root = [0; 32];
    root.copy_from_slice(&head[32..64]);
    Ok(Header {
        codec,
        count,
        first: Sequence(first),
        last: Sequence(last),
        root_before: Root(root),
        raw_bytes,
    })
}

fn be_u32(head: &[u8; HEADER_BYTES], at: usize) -> u32 {
    head[at..at + 4].iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn be_u64(head: &[u8; HEADER_BYTES], at: usize) -> u64 {
    head[at..at + 8].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A frame with its events, and what they add to the tree.
#[derive(Debug)]
pub struct UnpackedFrame {
    frame: Frame,
    /// Its events.
    pub events: DecodedFrame,
    hashes: LeafRun,
}

impl UnpackedFrame {
    /// The sequence of its first event.
    pub fn first(&self) -> Sequence {
        self.frame.first()
    }

    /// Adds its events to `tree`, which has to be the tree that the frame was written on.
    pub fn advance(&mut self, tree: &mut Tree) -> Result<(), FrameError> {
        self.frame.check_tree(tree)?;
        tree.push_run(&self.hashes);
        Ok(())
    }
}
