//! What is written around every event: where it stands, when, by whom and because of what.
//!
//! The bytes made here are the leaves of the Merkle tree and are never encoded anew. Byte 0 is the version of the
//! envelope; what follows is bincode (docs/format.md). What all events of a command share comes first, so that it
//! compresses, and so that a reader of many events decodes it once.

use std::sync::Arc;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::payload::{self, CONFIG, PayloadError};
use crate::domain::event::{Event, Stream};
use crate::domain::id::{
    CommandId, ComputerId, CredentialId, InstanceId, InvoiceId, PartyId, PriceBookName, ProjectId, Reference,
    RunId, Sequence,
};
use crate::domain::time::Timestamp;

/// The version of the envelope, byte 0 of every event.
const VERSION: u8 = 1;

/// The rules that decisions follow; raised when the same command would be decided otherwise.
pub const RULES_VERSION: u16 = 1;

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, Serialize)]
pub struct Actor {
    /// What they are.
    pub kind: ActorKind,
    /// Who they are among those.
    pub id: Box<str>,
    /// What they showed to prove it.
    pub credential: Option<Box<str>>,
}

/// What an actor is. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// The program itself.
    System,
    /// A user of the cloud.
    Person,
    /// A computer.
    Computer,
    /// An instance, from inside its partition.
    Instance,
    /// Somebody who runs or audits the ledger.
    Operator,
}

impl Actor {
    /// The program itself.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: "slapledger".into(), credential: None }
    }
}

/// What all events of a command share.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Meta {
    /// Where it belongs.
    pub project: ProjectId,
    /// Who sent it.
    pub actor: Actor,
    /// The command.
    pub command: CommandId,
    /// Whether the sender named the command (and may send it again), or the edge did.
    pub named_by_sender: bool,
    /// A keyed digest of what was sent.
    #[serde(serialize_with = "crate::domain::sealed::hex")]
    pub digest: [u8; 16],
    /// The event it was sent because of.
    pub causation: Option<Sequence>,
    /// What it belongs to together with others, as its sender says.
    pub correlation: Option<Box<str>>,
    /// The rules it was decided by.
    pub rules: u16,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Its place in the one order.
    pub sequence: Sequence,
    /// The history it belongs to.
    pub stream: Arc<Stream>,
    /// Its place in that history, from 1.
    pub stream_version: u64,
    /// When it was recorded; never before the event before it.
    pub recorded_at: Timestamp,
    /// What it shares with the other events of its command.
    #[serde(flatten)]
    pub meta: Arc<Meta>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Why bytes are not an event of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A version of the envelope this program does not know.
    #[error("decode an envelope of version {version}: it was written by a newer version of this program")]
    Newer {
        /// The version.
        version: u8,
    },
    /// Bytes that do not fit the format.
    #[error("decode an envelope: {0}")]
    Malformed(String),
    /// The event stands where it does not belong.
    #[error("decode the event at sequence {found}: its envelope says {told}")]
    OtherSequence {
        /// Where it stands.
        found: Sequence,
        /// Where it says it stands.
        told: Sequence,
    },
    /// The payload is not one.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

#[derive(Encode, Decode)]
struct Place {
    sequence: Sequence,
    stream_version: u64,
    recorded_at: Timestamp,
    number: u16,
    version: u8,
}

impl Recorded {
    /// The project it belongs to.
    pub fn project(&self) -> ProjectId {
        self.stream.home(self.meta.project)
    }

    /// The bytes of this event, for ever.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(VERSION);
        put(&*self.meta, &mut bytes);
        encode_stream(&self.stream, &mut bytes);
        let (number, version) = payload::number(&self.event);
        let Self { sequence, stream_version, recorded_at, .. } = *self;
        put(Place { sequence, stream_version, recorded_at, number, version }, &mut bytes);
        payload::encode(&self.event, &mut bytes);
        bytes
    }
}

fn put(value: impl Encode, into: &mut Vec<u8>) {
    bincode::encode_into_std_write(value, into, CONFIG)
        .expect("a value in memory can be encoded into memory");
}

/// A stream is its kind, one byte that is never given to another, and its id.
pub(crate) fn encode_stream(stream: &Stream, into: &mut Vec<u8>) {
    match stream {
        Stream::Ledger => put(0_u8, into),
        Stream::Party(id) => put((1_u8, id), into),
        Stream::Computer(id) => put((2_u8, id), into),
        Stream::Instance(id) => put((3_u8, id), into),
        Stream::Usage(id) => put((4_u8, id), into),
        Stream::PriceBook(id) => put((5_u8, id), into),
        Stream::InvoiceRun(id) => put((6_u8, id), into),
        Stream::Invoice(id) => put((7_u8, id), into),
        Stream::Product(id) => put((8_u8, id), into),
        Stream::Credential(id) => put((9_u8, id), into),
        Stream::Project(id) => put((10_u8, id), into),
    }
}

pub(crate) fn decode_stream(bytes: &[u8]) -> Result<(Stream, usize), EnvelopeError> {
    fn id<T: Decode<()>>(bytes: &[u8], into: impl Fn(T) -> Stream) -> Result<(Stream, usize), EnvelopeError> {
        get(bytes).map(|(id, read)| (into(id), read + 1))
    }
    let (kind, rest) =
        bytes.split_first().ok_or_else(|| EnvelopeError::Malformed("the stream is missing".into()))?;
    match kind {
        0 => Ok((Stream::Ledger, 1)),
        1 => id::<PartyId>(rest, Stream::Party),
        2 => id::<ComputerId>(rest, Stream::Computer),
        3 => id::<InstanceId>(rest, Stream::Instance),
        4 => id::<ComputerId>(rest, Stream::Usage),
        5 => id::<PriceBookName>(rest, Stream::PriceBook),
        6 => id::<RunId>(rest, Stream::InvoiceRun),
        7 => id::<InvoiceId>(rest, Stream::Invoice),
        8 => id::<Reference>(rest, Stream::Product),
        9 => id::<CredentialId>(rest, Stream::Credential),
        10 => id::<ProjectId>(rest, Stream::Project),
        _ => Err(EnvelopeError::Malformed(format!("stream kind {kind} is not known"))),
    }
}

fn get<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), EnvelopeError> {
    bincode::decode_from_slice(bytes, CONFIG).map_err(|error| EnvelopeError::Malformed(error.to_string()))
}

/// Decodes events one after the other. Neighbours mostly share command and stream; what they share is decoded and
/// kept once.
#[derive(Debug, Default)]
pub struct EventDecoder {
    meta: Option<(Vec<u8>, Arc<Meta>)>,
    stream: Option<(Vec<u8>, Arc<Stream>)>,
}

impl EventDecoder {
    /// The event of stored bytes that stand at a sequence.
    pub fn decode(&mut self, at: Sequence, bytes: &[u8]) -> Result<Recorded, EnvelopeError> {
        let (envelope, payload) = self.open(at, bytes)?;
        envelope.around(payload)
    }

    /// The same, but for usage: its payload is left alone. For folds that do not look at usage, which is most of a
    /// log.
    pub fn decode_unless_usage(
        &mut self,
        at: Sequence,
        bytes: &[u8],
    ) -> Result<Option<Recorded>, EnvelopeError> {
        let (envelope, payload) = self.open(at, bytes)?;
        if payload::is_usage(envelope.place.number) { Ok(None) } else { envelope.around(payload).map(Some) }
    }

    /// What is around an event, and its payload.
    fn open<'a>(&mut self, at: Sequence, bytes: &'a [u8]) -> Result<(Envelope, &'a [u8]), EnvelopeError> {
        let rest = match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((&version, _)) if version > VERSION => return Err(EnvelopeError::Newer { version }),
            _ => return Err(EnvelopeError::Malformed("the version is missing".into())),
        };
        let (meta, rest) = shared(&mut self.meta, rest, get)?;
        let (stream, rest) = shared(&mut self.stream, rest, decode_stream)?;
        let (place, read): (Place, usize) = get(rest)?;
        if place.sequence != at {
            return Err(EnvelopeError::OtherSequence { found: at, told: place.sequence });
        }
        Ok((Envelope { meta, stream, place }, &rest[read..]))
    }
}

/// What is around an event.
struct Envelope {
    meta: Arc<Meta>,
    stream: Arc<Stream>,
    place: Place,
}

impl Envelope {
    fn around(self, payload: &[u8]) -> Result<Recorded, EnvelopeError> {
        let Self { meta, stream, place } = self;
        let event = payload::decode(place.number, place.version, payload)?;
        let Place { sequence, stream_version, recorded_at, .. } = place;
        Ok(Recorded { sequence, stream, stream_version, recorded_at, meta, event })
    }
}

/// What the bytes begin with: the value of the last time if they begin as then (an encoding says itself where it
/// ends, so the same bytes are the same value), else decoded.
fn shared<'a, T>(
    last: &mut Option<(Vec<u8>, Arc<T>)>,
    bytes: &'a [u8],
    decode: impl Fn(&[u8]) -> Result<(T, usize), EnvelopeError>,
) -> Result<(Arc<T>, &'a [u8]), EnvelopeError> {
    if let Some((known, value)) = last
        && let Some(rest) = bytes.strip_prefix(known.as_slice())
    {
        return Ok((Arc::clone(value), rest));
    }
    let (value, read) = decode(bytes)?;
    let value = Arc::new(value);
    *last = Some((bytes[..read].to_vec(), Arc::clone(&value)));
    Ok((value, &bytes[read..]))
}
