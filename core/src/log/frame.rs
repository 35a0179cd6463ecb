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

use std::ops::Deref;
use std::sync::Arc;

use super::merkle::{LeafRun, Root, Tree};
use crate::domain::id::Sequence;

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

/// And how many events, so that a reader of one event never unpacks too many others.
const MAX_PACKED_EVENTS: usize = 4096;

/// What a reader agrees to unpack. Wider than what is written, so that the writer may change.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Shorter bodies are not worth the set-up of a compressor.
const MIN_COMPRESSED_BYTES: usize = 512;

/// The length prefix of an event.
const PREFIX_BYTES: usize = 2;

/// Where the checksum stands in the header.
const CHECKSUM_AT: usize = 72;

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

fn check_events(mut body: &[u8], count: u32) -> Result<(), FrameError> {
    for _ in 0..count {
        let (event, rest) =
            split_event(body).ok_or(FrameError::Inconsistent("its body ends within an event"))?;
        if event.is_empty() {
            return Err(FrameError::Inconsistent("it holds an empty event"));
        }
        body = rest;
    }
    if body.is_empty() {
        Ok(())
    } else {
        Err(FrameError::Inconsistent("its body goes on after the last event"))
    }
}

fn split_event(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
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

/// The events of a frame, unpacked and checked. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct DecodedFrame {
    /// The sequence of the first event.
    pub first: Sequence,
    /// The sequence of the last event.
    pub last: Sequence,
    /// The number of events, at least 1.
    pub count: u32,
    body: Arc<Vec<u8>>,
    start: usize,
}

impl DecodedFrame {
    /// The events in order, without copying.
    pub fn events(&self) -> FrameEvents<'_> {
        FrameEvents { next: self.first.0, body: &self.body[self.start..] }
    }

    /// The events that come after `after`, in order: all, some or none of them.
    pub fn events_after(&self, after: Sequence) -> FrameEvents<'_> {
        let mut events = self.events();
        while events.next <= after.0 && events.next().is_some() {}
        events
    }

    /// The event that starts at `at` in the body, as bytes that keep the frame alive.
    fn event_at(&self, at: usize) -> Option<(EventBytes, usize)> {
        let (event, _) = split_event(&self.body[at..])?;
        let start = at + PREFIX_BYTES;
        let end = start + event.len();
        Some((EventBytes { body: Arc::clone(&self.body), start, end }, end))
    }

    /// The events as values of their own, each sharing the buffer of the frame.
    pub fn into_events(self) -> IntoEvents {
        IntoEvents { next: self.first, at: self.start, frame: self }
    }
}

/// See [`DecodedFrame::events`].
#[derive(Debug, Clone)]
pub struct FrameEvents<'a> {
    next: u64,
    body: &'a [u8],
}

impl<'a> Iterator for FrameEvents<'a> {
    type Item = (Sequence, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (event, rest) = split_event(self.body)?;
        let sequence = Sequence(self.next);
        self.body = rest;
        self.next = self.next.saturating_add(1);
        Some((sequence, event))
    }
}

/// See [`DecodedFrame::into_events`].
#[derive(Debug)]
pub struct IntoEvents {
    next: Sequence,
    at: usize,
    frame: DecodedFrame,
}

impl Iterator for IntoEvents {
    type Item = (Sequence, EventBytes);

    fn next(&mut self) -> Option<Self::Item> {
        let (event, end) = self.frame.event_at(self.at)?;
        let sequence = self.next;
        self.at = end;
        self.next = Sequence(sequence.0.saturating_add(1));
        Some((sequence, event))
    }
}

/// The stored bytes of one event, as a part of the buffer of its frame. No copy, no allocation.
#[derive(Debug, Clone)]
pub struct EventBytes {
    body: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Deref for EventBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.body[self.start..self.end]
    }
}

impl AsRef<[u8]> for EventBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(length: usize) -> Vec<u8> {
        (0..length).map(|n| u8::try_from(n * n % 251).unwrap()).collect()
    }

    /// Bytes that no compressor makes shorter: a multiplicative generator, cut to bytes.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[3]
            })
            .collect()
    }

    fn events_of(frames: &[Frame]) -> Vec<Vec<u8>> {
        frames
            .iter()
            .flat_map(|frame| frame.decode().unwrap().into_events())
            .map(|(_, e)| e.to_vec())
            .collect()
    }

    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[CHECKSUM_AT..HEADER_BYTES].fill(0);
        let checksum = crc32fast::hash(&bytes);
        bytes[CHECKSUM_AT..HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// These bytes must decode for ever.
    #[test]
    fn golden_bytes_of_version_1() {
        let mut tree = Tree::new();
        pack(&mut tree, &[b"before"]).unwrap();
        let frame = pack(&mut tree, &[b"one".as_slice(), b"three"]).unwrap().remove(0);
        let hex = frame.bytes().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
        assert_eq!(
            hex.concat(),
            concat!(
                "01000000",
                "00000002",
                "0000000000000002",
                "0000000000000003",
                "0000000000000001",
                "2f4cb6916fa42005660d363b5da123f6afda6e64f0297462c1e61352215d5ac9",
                "0000000c",
                "0000000c",
                "97d70154",
                "0003",
                "6f6e65",
                "0005",
                "7468726565",
            )
        );
    }

    #[test]
    fn events_that_cannot_be_written_are_refused_and_leave_the_tree() {
        let mut tree = Tree::new();
        let cases = [
            (vec![vec![1], vec![]], PackError::Empty { index: 1 }),
            (vec![vec![1], vec![0; 65_536]], PackError::TooLong { index: 1, length: 65_536 }),
        ];
        for (events, refusal) in cases {
            assert_eq!(pack(&mut tree, &events), Err(refusal));
            assert_eq!(tree, Tree::new());
        }
        assert_eq!(pack::<Vec<u8>>(&mut tree, &[]), Ok(vec![]));
    }

    #[test]
    fn frames_stay_below_the_limit_and_follow_each_other() {
        let batches = [
            vec![vec![7; MAX_EVENT_BYTES]; 5],
            (0..3000).map(|n| noise(n, 116)).collect(),
            vec![vec![9]; 10_000],
            vec![event(300); 2000],
        ];
        for batch in batches {
            let mut tree = Tree::new();
            let frames = pack(&mut tree, &batch).unwrap();
            let mut again = Tree::new();
            for frame in &frames {
                assert!(frame.bytes().len() <= MAX_FRAME_BYTES);
                assert!(usize::try_from(frame.count()).unwrap() <= MAX_PACKED_EVENTS);
                let mut stored = Frame::parse(frame.bytes().to_vec()).unwrap();
                assert_eq!(stored.root_after(), None);
                stored.advance(&mut again).unwrap();
                assert_eq!(stored.root_after(), frame.root_after());
            }
            assert_eq!(again, tree);
            assert_eq!(events_of(&frames), batch);
        }
    }

    #[test]
    fn compressed_only_where_it_pays() {
        let codec = |events: &[Vec<u8>]| pack(&mut Tree::new(), events).unwrap()[0].header().codec;
        assert_eq!(codec(&vec![event(100); 100]), Codec::Lz4);
        assert_eq!(codec(&(0..100).map(|n| noise(n, 100)).collect::<Vec<_>>()), Codec::Plain);
        assert_eq!(codec(&[vec![0; 100]]), Codec::Plain);
    }

    #[test]
    fn reads_from_the_middle() {
        let frame = pack(&mut Tree::new(), &[b"a", b"b", b"c"]).unwrap().remove(0).decode().unwrap();
        let from = |after| frame.events_after(Sequence(after)).map(|(s, e)| (s.0, e[0])).collect::<Vec<_>>();
        assert_eq!(from(0), [(1, b'a'), (2, b'b'), (3, b'c')]);
        assert_eq!(from(1), [(2, b'b'), (3, b'c')]);
        assert_eq!(from(3), []);
        assert_eq!(from(u64::MAX), []);
    }

    #[test]
    fn another_tree_is_refused() {
        let mut frame = pack(&mut Tree::new(), &[b"a"]).unwrap().remove(0);
        let mut tree = Tree::new();
        tree.push(b"x");
        assert!(matches!(frame.advance(&mut tree), Err(FrameError::OtherTree { size: 1, .. })));
    }

    /// Each rule of the header and the body, broken by itself under a good checksum.
    #[test]
    fn every_broken_rule_has_its_error() {
        let good = pack(&mut Tree::new(), &[b"one".as_slice(), b"three"]).unwrap()[0].bytes().to_vec();
        let squeezed = pack(&mut Tree::new(), &vec![event(100); 100]).unwrap()[0].bytes().to_vec();
        let broken = |bytes: &[u8], at: usize, value: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = value;
            Frame::parse(sealed(bytes)).and_then(|frame| frame.decode()).unwrap_err().to_string()
        };
        let rows: [(&[u8], usize, u8, &str); 15] = [
            (&good, 0, 0, "format 0"),
            (&good, 0, 2, "newer version"),
            (&good, 1, 9, "codec is unknown"),
            (&good, 2, 1, "reserved"),
            (&good, 7, 0, "no events"),
            (&good, 7, 3, "count is not that"),
            (&good, 15, 0, "first sequence is 0"),
            (&good, 23, 9, "count is not that"),
            (&good, 31, 9, "size of its tree"),
            (&good, 64, 9, "too long"),
            (&good, 67, 5, "too short"),
            (&good, 67, 11, "two lengths differ"),
            (&good, 77, 9, "within an event"),
            (&good, 82, 4, "goes on after the last event"),
            (&squeezed, 67, 1, "does not decompress"),
        ];
        for (bytes, at, value, part) in rows {
            let error = broken(bytes, at, value);
            assert!(error.contains(part), "byte {at}: {error}");
        }
        let mut other = good.clone();
        other[80] ^= 1;
        assert!(matches!(Frame::parse(other), Err(FrameError::Checksum { .. })));
        assert!(matches!(Frame::parse(good[..50].to_vec()), Err(FrameError::Length { .. })));
        assert!(matches!(Frame::parse(vec![]), Err(FrameError::Length { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), start in any::<bool>()) {
            if start && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            if let Ok(frame) = Frame::parse(bytes) {
                let _ = frame.decode();
            }
        }

        /// A forger can make the checksum good; the rest still holds or is refused.
        #[test]
        fn bytes_with_a_good_checksum_are_decoded_or_refused(
            at in 0..HEADER_BYTES + 40,
            bytes in prop::collection::vec(any::<u8>(), 1..20),
            squeezed in any::<bool>(),
        ) {
            let events = if squeezed { vec![event(100); 20] } else { (0..20).map(|n| noise(n, 10)).collect() };
            let mut forged = pack(&mut Tree::new(), &events).unwrap()[0].bytes().to_vec();
            for (n, byte) in bytes.iter().enumerate() {
                if let Some(place) = forged.get_mut(at + n) {
                    *place = *byte;
                }
            }
            if let Ok(decoded) = Frame::parse(sealed(forged)).and_then(|frame| frame.decode()) {
                prop_assert_eq!(decoded.events().count(), usize::try_from(decoded.count).unwrap());
                prop_assert_eq!(decoded.last.0 - decoded.first.0 + 1, u64::from(decoded.count));
            }
        }

        #[test]
        fn a_flipped_bit_is_always_refused(
            events in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 1..30),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let mut bytes = pack(&mut Tree::new(), &events).unwrap()[0].bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Frame::parse(bytes).is_err());
        }

        #[test]
        fn events_come_back_and_the_tree_agrees(
            events in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..400),
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(events.len());
            let mut tree = Tree::new();
            let mut frames = pack(&mut tree, &events[..cut]).unwrap();
            frames.extend(pack(&mut tree, &events[cut..]).unwrap());
            prop_assert_eq!(events_of(&frames), events.clone());
            let mut whole = Tree::new();
            for event in &events {
                whole.push(event);
            }
            prop_assert_eq!(tree, whole);
        }
    }
}
