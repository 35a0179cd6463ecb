//! The sequencer: commands in, frames and answers out. Synchronous; time, ids and store are passed in.
//!
//! Commands are decided one after the other against the state in memory, each seeing what those before it did.
//! Nothing it gives out may be told to anybody before its frames are durable: the state is ahead of the log for
//! that long, and is discarded if they do not become so.

use std::collections::BTreeMap;
use std::sync::Arc;

use bincode::{Decode, Encode};
use rustc_hash::FxHashMap;

use super::{Accepted, OpenFault, Queued, Submission, SubmitError, What};
use crate::domain::access::{AccessRefusal, NotGood};
use crate::domain::event::{AnswerRecorded, Event, LedgerCreated, Stream, WriterStarted};
use crate::domain::id::{CommandId, ProjectId, Sequence};
use crate::domain::restore::RestoreRefusal;
use crate::domain::time::Timestamp;
use crate::domain::usage::SeenIndex;
use crate::domain::{Answer, Command, Context, State};
use crate::log::envelope::{Actor, ActorKind, EventDecoder, Meta, RULES_VERSION, Recorded};
use crate::log::frame::{Frame, MAX_EVENT_BYTES, UnpackedFrame, pack};
use crate::log::merkle::{Root, Tree};
use crate::log::store::{EventStore, Term, read_frames};

/// The version of the bytes of an answer; raised when [`Answer`] changes.
const ANSWER_FORMAT: u8 = 1;
/// The most bytes of an answer in one event.
const ANSWER_PART_BYTES: usize = 60_000;

/// What the sequencer knows of a command that its sender named.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Remembered {
    digest: [u8; 16],
    /// The event that holds its answer, or the first of several.
    answer: Sequence,
}

/// The one writer's mind: the state, and where the log ends.
pub struct Sequencer {
    state: State,
    tree: Tree,
    last: Sequence,
    recorded_at: Timestamp,
    versions: FxHashMap<StreamPlace, u64>,
    named: BTreeMap<Name, Remembered>,
    created: Option<LedgerCreated>,
}

/// An actor as a key: kind and id, without the credential, which may change between two attempts.
type Actor2 = (u8, Box<str>);

/// What a sender named a command, in its project.
type Name = (ProjectId, Actor2, CommandId);

/// A stream and the project it belongs to.
type StreamPlace = (ProjectId, Arc<Stream>);

/// What came of a group of commands.
pub struct Group<R> {
    /// To be made durable, all or none.
    pub frames: Vec<Frame>,
    /// The events in them, in order.
    pub events: Vec<Recorded>,
    /// How many bytes their events have before they are compressed.
    pub event_bytes: usize,
    /// What each command is answered, once the frames are durable.
    pub replies: Vec<(R, Result<Accepted, SubmitError>)>,
}

/// Why a group of commands was not decided. The state may be ahead of the log, and is good for nothing any more.
#[derive(Debug, thiserror::Error)]
pub enum Undecided<R> {
    /// The index of usage identities is damaged. The commands can be decided again by a state that is as the log says.
    #[error("the index of usage identities is damaged: {fault}")]
    Damaged {
        /// What is wrong with it.
        fault: String,
        /// The whole group.
        commands: Vec<(R, Queued)>,
    },
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Everything but the index of usage identities.
#[derive(Encode, Decode)]
struct SequencerSnapshot {
    tree: Tree,
    last: Sequence,
    recorded_at: Timestamp,
    versions: BTreeMap<(ProjectId, Vec<u8>), u64>,
    named: BTreeMap<Name, Remembered>,
    created: Option<LedgerCreated>,
    state: Vec<u8>,
}

impl Sequencer {
    /// Before the first event.
    pub fn new(seen: Box<dyn SeenIndex>) -> Self {
        Self {
            state: State::new(seen),
            tree: Tree::new(),
            last: Sequence::ZERO,
            recorded_at: Timestamp::MIN,
            versions: FxHashMap::default(),
            named: BTreeMap::new(),
            created: None,
        }
    }

    /// Where the log ends, as this writer knows it.
    pub fn last(&self) -> Sequence {
        self.last
    }

    /// The root of the log up to there.
    pub fn root(&self) -> Root {
        self.tree.root()
    }

    /// When the last event was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// The first event, once there is one.
    pub fn created(&self) -> Option<&LedgerCreated> {
        self.created.as_ref()
    }

    /// How many groups an instance may have of a resource in a month.
    pub(super) fn set_most_groups(&mut self, most: usize) {
        self.state.most_groups = most;
    }

    /// The state, to look at.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state, where its index of usage identities is to be made durable.
    pub(super) fn seen(&mut self) -> &mut dyn SeenIndex {
        &mut *self.state.seen
    }

    /// What is wrong with the index of usage identities, if something is.
    pub(super) fn index_fault(&self) -> Option<String> {
        self.state.seen.fault()
    }

    /// Takes a frame of the log over. Its root is checked against all that was taken over before.
    pub fn replay(
        &mut self,
        mut frame: UnpackedFrame,
        decoder: &mut EventDecoder,
        mut each: impl FnMut(&Recorded),
    ) -> Result<(), OpenFault> {
        let at = frame.first();
        frame.advance(&mut self.tree).map_err(|source| OpenFault::Frame { sequence: at, source })?;
        for (sequence, bytes) in frame.events.events() {
            let recorded =
                decoder.decode(sequence, bytes).map_err(|source| OpenFault::Event { sequence, source })?;
            self.take_over(&recorded);
            each(&recorded);
        }
        Ok(())
    }

    fn take_over(&mut self, recorded: &Recorded) {
        let Recorded { sequence, stream, stream_version, recorded_at, meta, event } = recorded;
        match event {
            Event::LedgerCreated(created) => self.created = Some(created.clone()),
            Event::AnswerRecorded(AnswerRecorded { part: 1, .. }) => {
                let remembered = Remembered { digest: meta.digest, answer: *sequence };
                self.named.insert(name_of(meta), remembered);
            }
            _ => {}
        }
        self.state.evolve(of(meta), stream, event, *sequence);
        self.versions.insert(place_of(recorded), *stream_version);
        self.last = *sequence;
        self.recorded_at = *recorded_at;
    }

    /// The events that every start begins with: the ledger itself, if it is new, and the writer.
    pub fn start(&mut self, now: Timestamp, term: Term, program: &str, new: &LedgerCreated) -> Group<()> {
        let meta = Arc::new(Meta {
            project: ProjectId::DEFAULT,
            actor: Actor::system(),
            command: CommandId(new.ledger),
            named_by_sender: false,
            digest: [0; 16],
            causation: None,
            correlation: None,
            rules: RULES_VERSION,
        });
        let at = now.max(self.recorded_at);
        let mut events = Vec::new();
        if self.created.is_none() {
            let created = LedgerCreated { at, ..new.clone() };
            self.created = Some(created.clone());
            events.push((Stream::Ledger, Event::LedgerCreated(created)));
        }
        let started = WriterStarted { term: term.0, program: program.into(), at };
        events.push((Stream::Ledger, Event::WriterStarted(started)));
        let (bytes, recorded) = self.envelop(&meta, at, self.last.next(), events);
        self.commit_to_memory(at, &recorded);
        let frames = pack(&mut self.tree, &bytes).expect("the events of a start are short");
        let event_bytes = bytes.iter().map(Vec::len).sum();
        Group { frames, events: recorded, event_bytes, replies: Vec::new() }
    }

    /// Decides commands in order. `store` is asked for what happened before them: answers, and whether anything did.
    pub fn decide<R, S: Into<Queued>>(
        &mut self,
        now: Timestamp,
        store: &dyn EventStore,
        submissions: impl IntoIterator<Item = (R, S)>,
    ) -> Result<Group<R>, Undecided<R>> {
        let mut commands: Vec<(R, Queued)> =
            submissions.into_iter().map(|(reply, submission)| (reply, submission.into())).collect();
        if let Some(fault) = self.index_fault() {
            return Err(Undecided::Damaged { fault, commands });
        }
        let mut bytes = Vec::new();
        let mut events = Vec::new();
        let mut results = Vec::with_capacity(commands.len());
        let at = now.max(self.recorded_at);
        for (_, queued) in &commands {
            let before = events.len();
            let result = self.decide_one(at, store, queued, &mut bytes, &mut events);
            let result = result.map_err(Undecided::Failed)?;
            results.push(result.map(|answer| {
                let events = events.len() - before;
                Accepted { answer, sequence: self.last, events }
            }));
        }
        if let Some(fault) = self.index_fault() {
            return Err(Undecided::Damaged { fault, commands });
        }
        let frames = pack(&mut self.tree, &bytes).map_err(|error| Undecided::Failed(error.to_string()))?;
        let event_bytes = bytes.iter().map(Vec::len).sum();
        let replies = commands.drain(..).map(|(reply, _)| reply).zip(results).collect();
        Ok(Group { frames, events, event_bytes, replies })
    }

    /// What a command is answered if it changes nothing or is refused; `None` if it is to be decided in its turn. The
    /// answer is as durable as this state is.
    pub(super) fn decide_unchanged(
        &self,
        now: Timestamp,
        submission: &Submission,
    ) -> Option<Result<Accepted, SubmitError>> {
        let Submission { meta, command } = submission;
        // An answer that may be asked for again is recorded.
        if meta.named_by_sender || is_large(command) {
            return None;
        }
        let now = now.max(self.recorded_at);
        if let Err(refusal) = self.let_in(meta, now) {
            return Some(Err(refusal));
        }
        let context = Context { now, next: self.last.next(), project: meta.project };
        let decided = self.state.decide(&context, command);
        // Of an index that is damaged nothing is to be believed.
        if self.index_fault().is_some() {
            return None;
        }
        match decided {
            Ok(outcome) if outcome.events.is_empty() => {
                Some(Ok(Accepted { answer: outcome.answer, sequence: self.last, events: 0 }))
            }
            Ok(_) => None,
            Err(refusal) => Some(Err(SubmitError::Refused(refusal))),
        }
    }

    /// What a command is answered while nothing may be recorded: as it was answered before, or if it changes nothing or is
    /// refused; `None` if it would have to be recorded. As durable as this state is.
    pub(super) fn answer_without_writing(
        &self,
        now: Timestamp,
        store: &dyn EventStore,
        queued: &Queued,
    ) -> Result<Option<Result<Accepted, SubmitError>>, String> {
        let Queued { meta, what } = queued;
        let now = now.max(self.recorded_at);
        if let Err(refusal) = self.let_in(meta, now) {
            return Ok(Some(Err(refusal)));
        }
        let accepted = |answer| Accepted { answer, sequence: self.last, events: 0 };
        if let Some(known) = meta.named_by_sender.then(|| self.named.get(&name_of(meta))).flatten() {
            if known.digest != meta.digest {
                return Ok(Some(Err(SubmitError::CommandIdReused)));
            }
            return Ok(Some(answer_again(store, &[], known.answer)?.map(accepted)));
        }
        let command = match what {
            What::Repeat => return Ok(Some(Err(SubmitError::Moved))),
            What::IfUnmoved { stream, since, .. }
                if has_moved(store, &[], (meta.project, stream), *since)? =>
            {
                return Ok(Some(Err(SubmitError::Moved)));
            }
            What::Do(command) | What::IfUnmoved { command, .. } => command,
        };
        let context = Context { now, next: self.last.next(), project: meta.project };
        Ok(match self.state.decide(&context, command) {
            Err(refusal) => Some(Err(SubmitError::Refused(refusal))),
            // The answer to one that was named would be recorded.
            Ok(outcome) if outcome.events.is_empty() && !meta.named_by_sender => {
                Some(Ok(accepted(outcome.answer)))
            }
            Ok(_) => None,
        })
    }

    /// Whoever came by a credential that has ended meanwhile is too late, however long ago their request began.
    fn let_in(&self, meta: &Meta, now: Timestamp) -> Result<(), SubmitError> {
        let Some(shown) = &meta.actor.credential else { return Ok(()) };
        let checked = shown.parse().map_or(Err(NotGood::Unknown), |id| self.state.access.check(id, now));
        checked.map_err(|why| SubmitError::Refused(AccessRefusal::NotLetIn(why).into()))
    }

    fn decide_one(
        &mut self,
        at: Timestamp,
        store: &dyn EventStore,
        queued: &Queued,
        bytes: &mut Vec<Vec<u8>>,
        events: &mut Vec<Recorded>,
    ) -> Result<Result<Answer, SubmitError>, String> {
        let Queued { meta, what } = queued;
        if let Err(refusal) = self.let_in(meta, at) {
            return Ok(Err(refusal));
        }
        if is_for_the_program(what) && meta.actor.kind != ActorKind::System {
            return Ok(Err(SubmitError::Refused(RestoreRefusal::NotTheProgram.into())));
        }
        let key = meta.named_by_sender.then(|| name_of(meta));
        if let Some(known) = key.as_ref().and_then(|key| self.named.get(key)) {
            if known.digest != meta.digest {
                return Ok(Err(SubmitError::CommandIdReused));
            }
            return answer_again(store, events, known.answer);
        }
        let command = match what {
            What::Repeat => return Ok(Err(SubmitError::Moved)),
            What::IfUnmoved { stream, since, .. }
                if has_moved(store, events, (meta.project, stream), *since)? =>
            {
                return Ok(Err(SubmitError::Moved));
            }
            What::Do(command) | What::IfUnmoved { command, .. } => command,
        };
        let context = Context { now: at, next: self.last.next(), project: meta.project };
        let outcome = match self.state.decide(&context, command) {
            Ok(outcome) => outcome,
            Err(refusal) => return Ok(Err(SubmitError::Refused(refusal))),
        };
        let mut decided = outcome.events;
        if key.is_some() {
            decided.extend(answer_events(&outcome.answer));
        }
        // What does not fit into the log is refused before the state knows of it.
        let (encoded, recorded) = self.envelop(meta, at, context.next, decided);
        if let Some(long) = encoded.iter().position(|event| event.len() > MAX_EVENT_BYTES) {
            let bytes = encoded[long].len();
            return Ok(Err(SubmitError::TooLarge { event: recorded[long].event.name(), bytes }));
        }
        self.commit_to_memory(at, &recorded);
        if let Some(key) = key {
            let answer = recorded.iter().find(|event| matches!(event.event, Event::AnswerRecorded(_)));
            if let Some(answer) = answer {
                self.named.insert(key, Remembered { digest: meta.digest, answer: answer.sequence });
            }
        }
        bytes.extend(encoded);
        let mut new = recorded;
        while !new.is_empty() {
            let consequences = self.state.consequences(&context, new.iter().map(|recorded| &recorded.event));
            events.append(&mut new);
            if !consequences.is_empty() {
                let (encoded, recorded) = self.envelop(meta, at, self.last.next(), consequences);
                self.commit_to_memory(at, &recorded);
                bytes.extend(encoded);
                new = recorded;
            }
        }
        Ok(Ok(outcome.answer))
    }

    /// Gives events their place and their bytes; changes nothing yet.
    fn envelop(
        &self,
        meta: &Arc<Meta>,
        recorded_at: Timestamp,
        first: Sequence,
        events: Vec<(Stream, Event)>,
    ) -> (Vec<Vec<u8>>, Vec<Recorded>) {
        let mut versions: FxHashMap<Arc<Stream>, u64> = FxHashMap::default();
        let mut last_stream: Option<(Arc<Stream>, u64)> = None;
        let mut bytes = Vec::with_capacity(events.len());
        let mut recorded = Vec::with_capacity(events.len());
        for (sequence, (stream, event)) in (first.0..).zip(events) {
            // Most commands write to one stream: it is looked up once.
            let (stream, version) = match last_stream.take() {
                Some((last, version)) if *last == stream => (last, version + 1),
                other => {
                    if let Some((last, version)) = other {
                        versions.insert(last, version);
                    }
                    let stream = Arc::new(stream);
                    let known = versions.get(&stream).copied().or_else(|| {
                        let place = (stream.home(meta.project), Arc::clone(&stream));
                        self.versions.get(&place).copied()
                    });
                    let version = known.unwrap_or(0) + 1;
                    (stream, version)
                }
            };
            last_stream = Some((Arc::clone(&stream), version));
            let sequence = Sequence(sequence);
            let meta = Arc::clone(meta);
            let event = Recorded { sequence, stream, stream_version: version, recorded_at, meta, event };
            bytes.push(event.encode());
            recorded.push(event);
        }
        (bytes, recorded)
    }

    fn commit_to_memory(&mut self, at: Timestamp, recorded: &[Recorded]) {
        let Some(first) = recorded.first() else { return };
        let events = recorded.iter().map(|event| (&*event.stream, &event.event, event.sequence));
        self.state.evolve_each(of(&first.meta), events);
        let mut newest: Option<&Recorded> = None;
        for event in recorded {
            if let Some(before) = newest.filter(|before| before.stream != event.stream) {
                self.versions.insert(place_of(before), before.stream_version);
            }
            newest = Some(event);
        }
        if let Some(event) = newest {
            self.versions.insert(place_of(event), event.stream_version);
            self.last = event.sequence;
            self.recorded_at = at;
        }
    }

    /// Everything but the index of usage identities, as bytes that [`Sequencer::restore`] reads.
    pub fn snapshot(&self) -> Vec<u8> {
        let config = bincode::config::standard();
        let key = |(project, stream): &StreamPlace| (*project, stream_key(stream));
        let versions = self.versions.iter().map(|(place, version)| (key(place), *version)).collect();
        let snapshot = SequencerSnapshot {
            tree: self.tree.clone(),
            last: self.last,
            recorded_at: self.recorded_at,
            versions,
            named: self.named.clone(),
            created: self.created.clone(),
            state: self.state.snapshot(),
        };
        bincode::encode_to_vec(snapshot, config).expect("a state in memory can be encoded")
    }

    /// The sequencer of a snapshot, over an index of usage identities that is as far.
    pub fn restore(bytes: &[u8], seen: Box<dyn SeenIndex>) -> Option<Self> {
        let (snapshot, read): (SequencerSnapshot, usize) =
            bincode::decode_from_slice(bytes, bincode::config::standard()).ok()?;
        if read != bytes.len() {
            return None;
        }
        let place = |(project, key): &(ProjectId, Vec<u8>)| Some((*project, stream_of(key)?));
        let versions = snapshot.versions.iter().map(|(key, version)| Some((place(key)?, *version)));
        Some(Self {
            state: State::restore(&snapshot.state, seen)?,
            tree: snapshot.tree,
            last: snapshot.last,
            recorded_at: snapshot.recorded_at,
            versions: versions.collect::<Option<_>>()?,
            named: snapshot.named,
            created: snapshot.created,
        })
    }

    /// Where a snapshot stands, without restoring it. Its bytes may be any.
    pub(super) fn snapshot_place(bytes: &[u8]) -> Option<(Sequence, Root)> {
        // More than a tree has: a length that is damaged makes no room for itself.
        let config = bincode::config::standard().with_limit::<4096>();
        let (tree, read): (Tree, usize) = bincode::decode_from_slice(bytes, config).ok()?;
        let (last, _): (Sequence, usize) = bincode::decode_from_slice(&bytes[read..], config).ok()?;
        Some((last, tree.root()))
    }
}

/// Whether to decide it twice would cost more than to hand it over, or it hardly ever changes nothing.
fn is_large(command: &Command) -> bool {
    matches!(
        command,
        Command::RecordUsage(_)
            | Command::PublishPriceBook(_)
            | Command::OpenInvoiceRun(_)
            | Command::FinaliseInvoice(_)
            | Command::FinaliseInvoiceRun(_)
    )
}

/// Whether nobody but the program itself may command it.
fn is_for_the_program(what: &What) -> bool {
    match what {
        What::Do(command) | What::IfUnmoved { command, .. } => matches!(command, Command::RecordRestore(_)),
        What::Repeat => false,
    }
}

fn actor_key(actor: &Actor) -> Actor2 {
    (actor.kind as u8, actor.id.clone())
}

fn name_of(meta: &Meta) -> Name {
    (meta.project, actor_key(&meta.actor), meta.command)
}

/// The project of an event, and what its actor came by.
fn of(meta: &Meta) -> (ProjectId, Option<&str>) {
    (meta.project, meta.actor.credential.as_deref())
}

fn place_of(recorded: &Recorded) -> StreamPlace {
    (recorded.project(), Arc::clone(&recorded.stream))
}

fn stream_key(stream: &Stream) -> Vec<u8> {
    let mut key = Vec::new();
    crate::log::envelope::encode_stream(stream, &mut key);
    key
}

fn stream_of(key: &[u8]) -> Option<Arc<Stream>> {
    crate::log::envelope::decode_stream(key).ok().map(|(stream, _)| Arc::new(stream))
}

fn answer_events(answer: &Answer) -> Vec<(Stream, Event)> {
    let bytes = bincode::encode_to_vec(answer, bincode::config::standard())
        .expect("an answer in memory can be encoded");
    let parts: Vec<_> = bytes.chunks(ANSWER_PART_BYTES).collect();
    let count = u16::try_from(parts.len()).unwrap_or(u16::MAX);
    let event = |(part, bytes): (u16, &&[u8])| {
        let format = ANSWER_FORMAT;
        AnswerRecorded { format, part, parts: count, bytes: bytes.to_vec() }
    };
    (1..).zip(&parts).map(event).map(|event| (Stream::Ledger, Event::AnswerRecorded(event))).collect()
}

/// Whether anything happened in a stream of a project after a sequence: in the group that is being decided, or in the log.
fn has_moved(
    store: &dyn EventStore,
    group: &[Recorded],
    (project, stream): (ProjectId, &Stream),
    since: Sequence,
) -> Result<bool, String> {
    let home = stream.home(project);
    let is_there = |event: &Recorded| *event.stream == *stream && event.project() == home;
    if group.iter().any(|event| event.sequence > since && is_there(event)) {
        return Ok(true);
    }
    let mut decoder = EventDecoder::default();
    for frame in read_frames(store, since) {
        let frame = frame.map_err(|fault| fault.to_string())?;
        for (sequence, event) in frame.events_after(since) {
            let recorded = decoder.decode(sequence, event).map_err(|error| error.to_string())?;
            if is_there(&recorded) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The answer that begins at a sequence: in the group that is being decided, or in the log. An answer of another
/// format is of no use to anybody but its sender, who is told so; a log that cannot be read is a fault of the writer.
fn answer_again(
    store: &dyn EventStore,
    group: &[Recorded],
    first: Sequence,
) -> Result<Result<Answer, SubmitError>, String> {
    let mut bytes = Vec::new();
    let mut readable = true;
    let mut add = |event: &Event| match event {
        Event::AnswerRecorded(answer) => {
            readable &= answer.format == ANSWER_FORMAT;
            bytes.extend_from_slice(&answer.bytes);
            answer.part == answer.parts
        }
        _ => false,
    };
    let here = group.iter().skip_while(|event| event.sequence != first);
    let mut complete = here.map(|event| &event.event).any(&mut add);
    if !complete {
        let before = Sequence(first.0 - 1);
        let mut decoder = EventDecoder::default();
        'log: for frame in read_frames(store, before) {
            let frame = frame.map_err(|fault| fault.to_string())?;
            for (sequence, event) in frame.events_after(before) {
                let recorded = decoder.decode(sequence, event).map_err(|error| error.to_string())?;
                if add(&recorded.event) {
                    complete = true;
                    break 'log;
                }
            }
        }
    }
    let answer = bincode::decode_from_slice(&bytes, bincode::config::standard());
    Ok(match answer {
        Ok((answer, _)) if complete && readable => Ok(answer),
        _ => Err(SubmitError::AnswerUnreadable { sequence: first }),
    })
}
