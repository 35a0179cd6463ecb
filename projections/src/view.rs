//! What a projection is, and how several of them are kept together.
//!
//! A [`Projection`] is one fold with a name and canonical bytes: the same events give the same bytes, whatever
//! order a hash map has or a group of events had. A [`View`] is one or more of them that share a thread, a lock and
//! a position, so that they are always read at the same sequence.
//!
//! Bytes are written and read as a stream: metering may be hundreds of megabytes, and a copy of it beside itself
//! would double them.

use std::fmt;
use std::io::{self, Read, Write};

use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};
use slapledger_core::log::envelope::Recorded;

use crate::rows::RowDigests;

/// One fold of events.
pub trait Projection {
    /// What it is called, for ever.
    fn name(&self) -> &'static str;

    /// Writes its canonical bytes, which say themselves where they end.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Shows its rows: together they are all that is written. Two generations that differ are compared by them.
    fn rows(&self, rows: &mut RowDigests) {
        rows.add("all", String::new(), |out| self.write(out));
    }
}

impl<P: Projection> Projection for &P {
    fn name(&self) -> &'static str {
        P::name(self)
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        P::write(self, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        P::rows(self, rows);
    }
}

/// Projections that share a thread, a lock and a position. `Default` is the state before the first event; a clone is the
/// view as it is now, and never changes.
pub trait View: Default + Clone + Send + Sync + 'static {
    /// The version of the bytes of its projections; raised when they, or the folds, change.
    const FORMAT: u32;
    /// Whether it looks at usage. One that does not is spared most of the log when it is rebuilt.
    const LOOKS_AT_USAGE: bool = true;

    /// Takes the next event over. Total: what is recorded cannot be refused.
    fn apply(&mut self, event: &Recorded);

    /// The same for a view that others read meanwhile: what takes long may be left to be done apart. Until it is done the
    /// view is as it would be without it, and reads say so; what is written is always whole.
    fn apply_live(&mut self, event: &Recorded) -> Option<Deferred<Self>> {
        self.apply(event);
        None
    }

    /// Its projections, in a fixed order.
    fn projections(&self) -> Vec<Box<dyn Projection + '_>>;

    /// The view whose projections were written one after the other, in their order.
    fn read(from: &mut dyn Read) -> io::Result<Self>;

    /// Writes all projections one after the other, in their order.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.projections().iter().try_for_each(|projection| projection.write(out))
    }

    /// The digests of all projections.
    fn parts(&self) -> Vec<ViewPart> {
        self.projections().iter().map(|projection| ViewPart::of(&**projection)).collect()
    }

    /// All of it as bytes. For views that are small; others are better written to where they go.
    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("memory can be written to");
        bytes
    }

    /// The view of [`snapshot`](Self::snapshot); `None` if the bytes are not one.
    fn restore(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let view = Self::read(&mut rest).ok()?;
        rest.is_empty().then_some(view)
    }
}

/// Takes over into a view what was done apart from it.
pub type Finish<V> = Box<dyn FnOnce(&mut V) + Send>;

/// Long work that an event left to be done apart from its view, without a lock.
pub struct Deferred<V>(Box<dyn FnOnce() -> Finish<V> + Send>);

impl<V: 'static> Deferred<V> {
    /// Work, which returns what takes its result over; that must be short.
    pub fn new(work: impl FnOnce() -> Finish<V> + Send + 'static) -> Self {
        Self(Box::new(work))
    }

    /// Does the work.
    pub fn run(self) -> Finish<V> {
        (self.0)()
    }

    /// The same for a view of which this one is a part.
    pub fn within<W: 'static>(self, part: impl FnOnce(&mut W) -> &mut V + Send + 'static) -> Deferred<W> {
        Deferred::new(move || {
            let finish = self.run();
            Box::new(move |whole: &mut W| finish(part(whole)))
        })
    }
}

/// One projection and what it holds, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewPart {
    /// Its name.
    pub name: &'static str,
    /// SHA-256 of its canonical bytes.
    pub digest: ContentDigest,
    /// How many bytes these are.
    pub bytes: u64,
}

impl ViewPart {
    /// The digest of a projection as it is now.
    pub fn of(projection: &dyn Projection) -> Self {
        let mut sink = HashingWriter { inner: io::sink(), hasher: Sha256::new(), bytes: 0 };
        {
            let mut buffered = io::BufWriter::with_capacity(BUFFER_BYTES, &mut sink);
            let written = projection.write(&mut buffered).and_then(|()| buffered.flush());
            written.expect("a sink takes everything");
        }
        Self {
            name: projection.name(),
            digest: ContentDigest(sink.hasher.finalize().into()),
            bytes: sink.bytes,
        }
    }
}

/// A SHA-256 digest, printed in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ContentDigest(pub [u8; 32]);

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How much is collected before it is hashed or written.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// Hashes what passes through on its way to somewhere.
pub(crate) struct HashingWriter<W> {
    pub(crate) inner: W,
    pub(crate) hasher: Sha256,
    pub(crate) bytes: u64,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a value in the encoding of all snapshots.
pub fn put(value: impl Encode, out: &mut dyn Write) -> io::Result<()> {
    let mut out = out;
    match bincode::encode_into_std_write(value, &mut out, bincode::config::standard()) {
        Ok(_) => Ok(()),
        Err(bincode::error::EncodeError::Io { inner, .. }) => Err(inner),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Reads a value that [`put`] wrote.
pub fn get<T: Decode<()>>(from: &mut dyn Read) -> io::Result<T> {
    let mut from = from;
    match bincode::decode_from_std_read(&mut from, bincode::config::standard()) {
        Ok(value) => Ok(value),
        Err(bincode::error::DecodeError::Io { inner, .. }) => Err(inner),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}
