//! What the ledger asks of a log: append frames, read them back, and let one writer at a time do so.
//!
//! Invariants of every implementation, held by one contract suite: sequences have no gaps; what `head` and `read`
//! show is durable and never changes; the frames of one append appear together or not at all; a writer that has been
//! fenced appends nothing.
//!
//! The trait blocks on purpose. It is called from threads made for it, where the disk is the thing to wait for; the
//! adapter of a remote engine blocks the thread it is called on. Nothing here supposes an embedded store, and nothing
//! here knows what an event means.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::frame::{DecodedFrame, EventBytes, Frame, FrameError, MAX_FRAME_BYTES};
use super::merkle::Root;
use crate::domain::id::Sequence;

/// The reign of one writer. Each writer that acquires the store raises it, which fences those before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, bincode::Encode, bincode::Decode,
)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The end of the durable log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The sequence of the last event; 0 if there is none.
    pub last: Sequence,
    /// The root of the Merkle tree with that event.
    pub root: Root,
}

impl Head {
    /// The head of a log without events.
    pub const EMPTY: Self = Self { last: Sequence::ZERO, root: Root::EMPTY };
}

/// How an append ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing may be answered before the outcome is known"]
pub enum Appended {
    /// All frames are durable.
    Durable,
    /// The log does not end where the writer thought; nothing was written.
    Conflict {
        /// Where it ends.
        last: Sequence,
    },
    /// Another writer has taken over; nothing was written.
    Fenced {
        /// Its term.
        by: Term,
    },
    /// The frames may be durable or not. The store takes no more appends until it is opened again; the writer has to
    /// discard what it knows.
    Unknown {
        /// What happened.
        cause: String,
    },
}

/// A log of frames. Blocking; see the module.
pub trait EventStore: Send + Sync + 'static {
    /// Fences all earlier writers, durably, and gives the term to append with.
    fn acquire(&self) -> Result<Term, StoreFault>;

    /// The end of what is durable.
    fn head(&self) -> Result<Head, StoreFault>;

    /// Appends frames made by [`pack`](super::frame::pack) after `expected_last`. All of them become durable together
    /// or not at all; returns when they are. The term is judged before the place. No frames are durable at once.
    fn append(&self, term: Term, expected_last: Sequence, frames: &[Frame]) -> Appended;

    /// Durable frames with the events after `after`, in order, beginning with the frame that holds the next one (it
    /// may begin earlier). About `max_bytes` of them at most, but at least one if there is any. Fewer than asked for
    /// does not mean the end of the log; none does.
    fn read(&self, after: Sequence, max_bytes: usize) -> Result<Vec<Frame>, StoreFault>;

    /// Figures for the health page.
    fn stats(&self) -> StoreStats;

    /// Ends what goes on behind the writer. The error is what could not be finished; no acknowledged event is lost by it.
    /// Reads go on; nothing is appended any more.
    fn close(&self) -> Result<(), StoreFault> {
        Ok(())
    }

    /// What is wrong with the log although it is served: damage that was found in the background, in words.
    fn damage(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Figures about a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// The number of epochs, the open one included.
    pub epochs: u64,
    /// What the store takes on disk.
    pub bytes_on_disk: u64,
    /// Values that sled put outside its log, where they are never synced. Anything but 0 is a fault.
    pub blobs: u64,
}

/// How much [`read_frames`] asks a store for at a time.
const READ_BYTES: usize = 1024 * 1024;

/// The durable frames after `after`, unpacked, up to the end of the log at the time the iterator gets there. The first
/// may begin with earlier events ([`DecodedFrame::events_after`] skips them). After an error the iterator ends.
pub fn read_frames<S: EventStore + ?Sized>(
    store: &S,
    after: Sequence,
) -> impl Iterator<Item = Result<DecodedFrame, StoreFault>> + '_ {
    let mut after = after;
    let mut ready = Vec::new().into_iter();
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let next = next_frame(store, after, &mut ready);
        match &next {
            Some(Ok(frame)) => after = frame.last,
            Some(Err(_)) | None => ended = true,
        }
        next
    })
}

fn next_frame<S: EventStore + ?Sized>(
    store: &S,
    after: Sequence,
    ready: &mut std::vec::IntoIter<Frame>,
) -> Option<Result<DecodedFrame, StoreFault>> {
    if ready.len() == 0 {
        match store.read(after, READ_BYTES) {
            Ok(frames) => *ready = frames.into_iter(),
            Err(fault) => return Some(Err(fault)),
        }
    }
    let frame = ready.next()?;
    Some(frame.decode().map_err(|source| StoreFault::Body { sequence: frame.first(), source }))
}

/// The durable events after `after`, one by one, each sharing the buffer of its frame. [`read_frames`] is faster where
/// a borrowed slice will do.
pub fn read_events<S: EventStore + ?Sized>(
    store: &S,
    after: Sequence,
) -> impl Iterator<Item = Result<(Sequence, EventBytes), StoreFault>> + '_ {
    let mut events = None;
    let mut frames = read_frames(store, after);
    std::iter::from_fn(move || {
        loop {
            if let Some(event) = events.as_mut().and_then(Iterator::next) {
                return Some(Ok(event));
            }
            match frames.next()? {
                Ok(frame) => {
                    events = Some(frame.into_events().skip_while(move |(sequence, _)| *sequence <= after));
                }
                Err(fault) => return Some(Err(fault)),
            }
        }
    })
}

/// The root of the log up to an event, if the log can tell it: it knows the roots between its frames.
pub fn root_at(store: &dyn EventStore, sequence: Sequence) -> Result<Option<Root>, StoreFault> {
    let head = store.head()?;
    if sequence >= head.last {
        return Ok((sequence == head.last).then_some(head.root));
    }
    let frames = store.read(sequence, 1)?;
    let next = frames.first().filter(|frame| frame.first() == sequence.next());
    Ok(next.map(|frame| frame.header().root_before))
}

/// Checks that frames continue the log from `head` and each other, and gives the head after them. The error is a cause
/// for [`Appended::Unknown`]: a writer that sends anything else has lost its way.
pub(super) fn check_chain(head: Head, frames: &[Frame]) -> Result<Head, String> {
    frames.iter().try_fold(head, |head, frame| {
        if (frame.first(), frame.header().root_before) != (head.last.next(), head.root) {
            return Err(format!(
                "a frame at sequence {} that does not continue {}",
                frame.first(),
                head.last
            ));
        }
        if frame.bytes().len() > MAX_FRAME_BYTES {
            return Err(format!("a frame of {} bytes at sequence {}", frame.bytes().len(), frame.first()));
        }
        let root = frame
            .root_after()
            .ok_or_else(|| format!("a frame without a tree at sequence {}", frame.first()))?;
        Ok(Head { last: frame.last(), root })
    })
}

/// The store cannot do what it is for. Ours or the disk's fault, never the caller's; nothing is repaired in silence.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// Another process has the folder open.
    #[error("open the log: data folder in use by another process: {}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database of an epoch failed or panicked.
    #[error("{action} epoch {epoch}, which begins at sequence {first}: {cause}")]
    Engine {
        /// What was tried, as a verb.
        action: &'static str,
        /// Which epoch.
        epoch: u32,
        /// The first sequence in it: of a damaged database nothing else is known.
        first: Sequence,
        /// The error, or the message of the panic.
        cause: String,
    },
    /// A frame on disk is damaged.
    #[error("read the frame at sequence {sequence} in epoch {epoch}")]
    DamagedFrame {
        /// Which epoch.
        epoch: u32,
        /// The first sequence of the frame, as its key says.
        sequence: Sequence,
        /// What is wrong with it.
        source: FrameError,
    },
    /// A frame on disk was written by a newer version of this program.
    #[error(
        "read the frame at sequence {sequence} in epoch {epoch}: format {version} was written by a newer version of slapledger; use that version"
    )]
    NewerVersion {
        /// Which epoch.
        epoch: u32,
        /// The first sequence of the frame, as its key says.
        sequence: Sequence,
        /// The format of the frame.
        version: u8,
    },
    /// A frame whose checksum is good does not hold the events it promises.
    #[error("unpack the frame at sequence {sequence}")]
    Body {
        /// The first sequence of the frame.
        sequence: Sequence,
        /// What is wrong with it.
        source: FrameError,
    },
    /// Events are missing.
    #[error("find sequence {expected} in epoch {epoch}: {}", found_instead(*found))]
    Gap {
        /// Which epoch.
        epoch: u32,
        /// The sequence that should come.
        expected: Sequence,
        /// The sequence that comes, if any does.
        found: Option<Sequence>,
    },
    /// The events are not those that were hashed when they were written.
    #[error(
        "verify the Merkle root at sequence {sequence} in epoch {epoch}: {expected} was recorded, {found} computed"
    )]
    OtherRoot {
        /// Which epoch.
        epoch: u32,
        /// The last sequence under the root.
        sequence: Sequence,
        /// The root that was recorded.
        expected: Root,
        /// The root of the events.
        found: Root,
    },
    /// The log ends before what a witness knows.
    #[error(
        "open the log: it ends at sequence {last} in epoch {epoch} ({found}), but {witness} knows sequence {known}: {} \
         events are missing; restore them from a backup with `slapledger restore` (a copy of the folder of a running server has to be \
         made with `slapledger backup`)",
        known.0 - last.0
    )]
    Shorter {
        /// The open epoch.
        epoch: u32,
        /// Where it ends.
        last: Sequence,
        /// What stands there.
        found: String,
        /// The file that knows more.
        witness: String,
        /// What it knows.
        known: Sequence,
    },
    /// A record of a tail is damaged.
    #[error("read {} at byte {at}, where sequence {sequence} of epoch {epoch} should begin: {cause}", path.display())]
    DamagedRecord {
        /// The tail.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
        /// Which epoch.
        epoch: u32,
        /// The sequence that should begin there.
        sequence: Sequence,
        /// What is wrong.
        cause: String,
    },
    /// A file of a sealed epoch is not the one that was sealed.
    #[error(
        "verify {} of epoch {epoch}, which holds sequences {first} to {last}: its {what} is not that of the manifest; \
         `slapledger repair --from BACKUP` brings it back from a backup",
        path.display()
    )]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// Which epoch.
        epoch: u32,
        /// The first sequence in it.
        first: Sequence,
        /// The last sequence in it.
        last: Sequence,
        /// What differs.
        what: &'static str,
    },
    /// A file was written by a newer version of this program.
    #[error(
        "read {}: its format {version} was written by a newer version of slapledger; use that version, or restore a backup \
         that this version made",
        path.display()
    )]
    NewerFile {
        /// The file.
        path: PathBuf,
        /// The format it has.
        version: u32,
    },
    /// Something was not finished when the log was closed.
    #[error("close the log: {cause}; the next start does it again")]
    NotClosed {
        /// What.
        cause: String,
    },
    /// The log was opened to read it.
    #[error("write to the log: it was opened to read")]
    ReadOnly,
    /// A file beside the epochs does not hold what it should.
    #[error("read {}: {cause}", path.display())]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// An epoch is not there.
    #[error("open epoch {epoch}: {cause}")]
    MissingEpoch {
        /// Which epoch.
        epoch: u32,
        /// What is missing.
        cause: &'static str,
    },
    /// An epoch is not what its manifest, or the manifest of the one before, says.
    #[error("verify epoch {epoch}, which ends at sequence {sequence}, against its manifest: {what} differs")]
    OtherManifest {
        /// Which epoch.
        epoch: u32,
        /// The last sequence that was looked at.
        sequence: Sequence,
        /// The field that differs.
        what: &'static str,
    },
    /// An append failed, so the store does not know its own end.
    #[error("write to the log: it stopped after {cause}")]
    Stopped {
        /// The first failure.
        cause: String,
    },
}

impl StoreFault {
    /// Whether bytes on the disk are not what they were, or cannot be read: nothing that a later try mends.
    pub(super) fn is_damage(&self) -> bool {
        !matches!(self, Self::InUse { .. } | Self::ReadOnly | Self::Stopped { .. })
            && !matches!(self, Self::Io { action: "create" | "write" | "sync" | "rename" | "remove", .. })
    }
}

fn found_instead(found: Option<Sequence>) -> String {
    found.map_or_else(
        || "the epoch ends before it".into(),
        |found| format!("sequence {found} is there instead"),
    )
}
