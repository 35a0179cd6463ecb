//! What is written around every event: where it stands, when, by whom and because of what.
//!
//! The bytes made here are the leaves of the Merkle tree and are never encoded anew. Byte 0 is the version of the
//! envelope; what follows is bincode (docs/format.md). What all events of a command share comes first, so that it
//! compresses, and so that a reader of many events decodes it once.

use std::sync::Arc;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use super::frame::MAX_EVENT_BYTES;
use super::payload::{self, CONFIG, PayloadError};
use crate::domain::event::{Event, Stream};
use crate::domain::id::{
    CommandId, ComputerId, CredentialId, InstanceId, InvoiceId, PartyId, PriceBookName, ProjectId, Reference,
    RunId, Sequence,
};
use crate::domain::time::Timestamp;
use crate::domain::usage::{Attribution, UsageId};

/// The version of the envelope, byte 0 of every event.
const VERSION: u8 = 1;

/// The rules that decisions follow; raised when the same command would be decided otherwise.
pub const RULES_VERSION: u16 = 1;

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, Serialize, JsonSchema)]
pub struct Actor {
    /// What they are.
    pub kind: ActorKind,
    /// Who they are among those.
    pub id: Box<str>,
    /// What they showed to prove it.
    pub credential: Option<Box<str>>,
}

/// What an actor is. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
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
    #[schemars(with = "crate::schema::Hex")]
    pub digest: [u8; 16],
    /// The event it was sent because of.
    pub causation: Option<Sequence>,
    /// What it belongs to together with others, as its sender says.
    pub correlation: Option<Box<str>>,
    /// The rules it was decided by.
    pub rules: u16,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "RecordedEvent")]
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
struct EventPlace {
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

    /// Whether it is about usage: decisions about anything else do not look at what it changes.
    pub(crate) fn is_usage(&self) -> bool {
        payload::is_usage(payload::number(&self.event).0)
    }

    /// The bytes of this event, for ever.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = encode_shared(&self.meta, &self.stream);
        self.encode_rest(&mut bytes);
        bytes
    }

    /// What the events of a command and stream do not share.
    fn encode_rest(&self, bytes: &mut Vec<u8>) {
        let (number, version) = payload::number(&self.event);
        let Self { sequence, stream_version, recorded_at, .. } = *self;
        put(EventPlace { sequence, stream_version, recorded_at, number, version }, bytes);
        payload::encode(&self.event, bytes);
    }
}

/// Encodes events one after the other. Neighbours mostly share command and stream; what they share is encoded once.
#[derive(Debug, Default)]
pub(crate) struct EventEncoder {
    of: Option<(Arc<Meta>, Arc<Stream>)>,
    shared: Vec<u8>,
    measured: Vec<u8>,
}

impl EventEncoder {
    /// Appends the bytes of an event, for ever.
    pub(crate) fn encode(&mut self, event: &Recorded, into: &mut Vec<u8>) {
        self.share(event);
        into.extend_from_slice(&self.shared);
        event.encode_rest(into);
    }

    /// Whether an event is short enough for the log; the error is how many bytes it has.
    pub(crate) fn check_length(&mut self, event: &Recorded) -> Result<(), usize> {
        self.share(event);
        // Usage, which is most of a log, is not encoded for it.
        let most = most_usage_bytes(&event.event).map(|usage| self.shared.len() + PLACE_BYTES + usage);
        if most.is_some_and(|most| most <= MAX_EVENT_BYTES) {
            return Ok(());
        }
        self.measured.clear();
        event.encode_rest(&mut self.measured);
        let bytes = self.shared.len() + self.measured.len();
        if bytes <= MAX_EVENT_BYTES { Ok(()) } else { Err(bytes) }
    }

    fn share(&mut self, event: &Recorded) {
        let of = (&event.meta, &event.stream);
        let is_same =
            |(meta, stream): &(Arc<Meta>, Arc<Stream>)| Arc::ptr_eq(meta, of.0) && Arc::ptr_eq(stream, of.1);
        if !self.of.as_ref().is_some_and(is_same) {
            self.shared = encode_shared(of.0, of.1);
            self.of = Some((Arc::clone(of.0), Arc::clone(of.1)));
        }
    }
}

/// No event says its place in more bytes: three numbers of at most 9 bytes, one of 3 and one of 1.
const PLACE_BYTES: usize = 3 * 9 + 3 + 1;
/// No number or length has more bytes in bincode; an `i128` has 17 at most.
const NUMBER_BYTES: usize = 17;

/// As many bytes as usage that is metered has at most; `None` for other events.
fn most_usage_bytes(event: &Event) -> Option<usize> {
    let usage = match event {
        Event::UsageRecorded(usage) => usage,
        Event::UsageCorrected(corrected) => &corrected.usage,
        _ => return None,
    };
    let id = match &usage.id {
        UsageId::Uuid(bytes) => bytes.len(),
        UsageId::Text(text) => text.len(),
    };
    let shares = match &usage.attribution {
        Attribution::Computer | Attribution::Instance(_) => 0,
        Attribution::Shares(shares) => shares.len(),
    };
    let texts = usage.dimensions.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    // Fewer than twenty numbers, flags and kinds, three for each share and two for each dimension.
    let numbers = 20 + 3 * shares + 2 * usage.dimensions.len();
    Some(id + usage.subject.len() + usage.resource.as_str().len() + texts + numbers * NUMBER_BYTES)
}

/// What the bytes of each event of a command and stream begin with.
pub(crate) fn encode_shared(meta: &Meta, stream: &Stream) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put(meta, &mut bytes);
    encode_stream(stream, &mut bytes);
    bytes
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

    /// The project that an event belongs to; none, if it says what the log is and who signs it.
    pub fn owner(&mut self, at: Sequence, bytes: &[u8]) -> Result<Option<ProjectId>, EnvelopeError> {
        let (envelope, _) = self.open(at, bytes)?;
        let of_log = payload::is_of_log(envelope.place.number);
        Ok((!of_log).then(|| envelope.stream.home(envelope.meta.project)))
    }

    /// When an event was recorded.
    pub fn recorded_at(&mut self, at: Sequence, bytes: &[u8]) -> Result<Timestamp, EnvelopeError> {
        self.open(at, bytes).map(|(envelope, _)| envelope.place.recorded_at)
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
        let (place, read): (EventPlace, usize) = get(rest)?;
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
    place: EventPlace,
}

impl Envelope {
    fn around(self, payload: &[u8]) -> Result<Recorded, EnvelopeError> {
        let Self { meta, stream, place } = self;
        let event = payload::decode(place.number, place.version, payload)?;
        let EventPlace { sequence, stream_version, recorded_at, .. } = place;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::ResourceId;
    use crate::domain::quantity::Quantity;
    use crate::domain::time::Period;
    use crate::domain::usage::{Share, Usage, UsageCorrected};

    fn instant() -> impl Strategy<Value = Timestamp> {
        let last = Timestamp::parse_rfc3339("9999-12-31T23:59:59Z").expect("an instant");
        (Timestamp::MIN.micros()..=last.micros() - 1)
            .prop_map(|micros| Timestamp::from_micros(micros).expect("within bounds"))
    }

    fn period() -> impl Strategy<Value = Period> {
        instant().prop_map(|start| Period::new(start, start.plus_micros(1)).expect("a period"))
    }

    prop_compose! {
        fn usage()(
            id in prop_oneof![
                any::<[u8; 16]>().prop_map(UsageId::Uuid),
                "[a-z]{1,255}".prop_map(|text| UsageId::Text(text.into())),
            ],
            subject in "[a-zé]{0,255}",
            resource in "[a-z]{1,100}",
            billionths in -999_999_999_999_999_999_999_999_i128..=999_999_999_999_999_999_999_999,
            period in period(),
            start_found in any::<bool>(),
            attribution in prop_oneof![
                Just(Attribution::Computer),
                any::<u64>().prop_map(|n| Attribution::Instance(InstanceId(n))),
                prop::collection::vec((any::<u64>(), period()), 0..40).prop_map(|shares| {
                    let share = |(n, period)| Share { instance: InstanceId(n), period };
                    Attribution::Shares(shares.into_iter().map(share).collect())
                }),
            ],
            dimensions in prop::collection::vec(("[a-z]{1,255}", "[a-z]{0,255}"), 0..16),
            node_sequence in any::<Option<u64>>(),
        ) -> Usage {
            let dimension = |(key, value): (String, String)| (key.into(), value.into());
            Usage {
                id,
                subject: subject.into(),
                resource: ResourceId::new(&resource).expect("a name"),
                quantity: Quantity::from_billionths(billionths).expect("within bounds"),
                period,
                start_found,
                attribution,
                dimensions: dimensions.into_iter().map(dimension).collect(),
                node_sequence,
            }
        }
    }

    proptest! {
        /// Where the bound were too low, an event could be decided that no frame takes.
        #[test]
        fn no_usage_has_more_bytes_than_its_bound(
            usage in usage(),
            replaces in any::<Option<u64>>(),
            (sequence, stream_version) in any::<(u64, u64)>(),
            recorded_at in instant(),
        ) {
            let event = match replaces {
                Some(replaces) => Event::UsageCorrected(UsageCorrected { replaces: Sequence(replaces), usage }),
                None => Event::UsageRecorded(usage),
            };
            let most = most_usage_bytes(&event).expect("it is usage") + PLACE_BYTES;
            let meta = Meta {
                project: ProjectId::DEFAULT,
                actor: Actor::system(),
                command: CommandId([0; 16]),
                named_by_sender: false,
                digest: [0; 16],
                causation: None,
                correlation: None,
                rules: RULES_VERSION,
            };
            let recorded = Recorded {
                sequence: Sequence(sequence),
                stream: Arc::new(Stream::Ledger),
                stream_version,
                recorded_at,
                meta: Arc::new(meta),
                event,
            };
            let mut rest = Vec::new();
            recorded.encode_rest(&mut rest);
            prop_assert!(rest.len() <= most, "{} bytes, and the bound is {most}", rest.len());
            let mut encoder = EventEncoder::default();
            prop_assert_eq!(encoder.check_length(&recorded), Ok(()));
            let mut bytes = Vec::new();
            encoder.encode(&recorded, &mut bytes);
            prop_assert_eq!(bytes, recorded.encode());
        }
    }
}
