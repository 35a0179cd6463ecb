//! The sequencer: commands in, frames and answers out. Synchronous; time, ids and store are passed in.
//!
//! Commands are decided one after the other against the state in memory, each seeing what those before it did.
//! Nothing it gives out may be told to anybody before what it rests on is durable: the state is ahead of the log for
//! that long, and is discarded if that does not become so. Each decision says how far the log has to be.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bincode::{Decode, Encode};
use rustc_hash::FxHashMap;

use super::idempotency::{CommandName, IdempotencyKeys, KeyOwner, NamedCommand};
use super::{Accepted, OpenFault, Queued, Submission, SubmitError, What};
use crate::domain::access::{AccessRefusal, InvalidCredential};
use crate::domain::event::{AnswerRecorded, Event, LedgerCreated, Stream, WriterStarted};
use crate::domain::id::{CommandId, ProjectId, Sequence};
use crate::domain::restore::RestoreRefusal;
use crate::domain::time::Timestamp;
use crate::domain::usage::{SeenIndex, UsageLimits, UsagePrint};
use crate::domain::{Answer, Command, Context, State};
use crate::log::envelope::{Actor, ActorKind, EventDecoder, EventEncoder, Meta, RULES_VERSION, Recorded};
use crate::log::frame::{Frame, FramePacker, PackError, PackedFrame, UnpackedFrame};
use crate::log::merkle::{Root, Tree};
use crate::log::store::{EventStore, Term, read_frames};

/// The version of the bytes of an answer; raised when [`Answer`] changes.
const ANSWER_FORMAT: u8 = 1;
/// The most bytes of an answer in one event.
const ANSWER_PART_BYTES: usize = 60_000;

/// The one writer's mind: the state, and where the log ends.
pub struct Sequencer {
    state: State,
    /// The tree of the events that were packed: not here, if somebody else packs them.
    tree: Tree,
    last: Sequence,
    /// The last event that is not about usage.
    last_beside_usage: Sequence,
    recorded_at: Timestamp,
    streams: FxHashMap<StreamPlace, StreamEnd>,
    named: IdempotencyKeys,
    /// Answers of named commands that may not be in the log yet, by their first event.
    unwritten: VecDeque<(Sequence, Answer)>,
    created: Option<LedgerCreated>,
    encoder: EventEncoder,
}

/// Where a stream ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
struct StreamEnd {
    /// How many events it has.
    version: u64,
    /// The last of them.
    last: Sequence,
}

/// A stream and the project it belongs to.
type StreamPlace = (ProjectId, Arc<Stream>);

/// What came of a group of commands.
pub struct DecidedGroup<R> {
    /// To be made durable, all or none.
    pub frames: Vec<Frame>,
    /// The events in them, in order.
    pub events: Vec<Recorded>,
    /// How many bytes their events have before they are compressed.
    pub event_bytes: usize,
    /// What each command is answered, once the frames are durable.
    pub replies: Vec<(R, Result<Accepted, SubmitError>)>,
}

/// What a command is answered, and when that may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DecidedCommand {
    /// The answer.
    pub(super) result: Result<Accepted, SubmitError>,
    /// The last event that it rests on: the answer holds when the log is durable up to here.
    pub(super) rests_on: Sequence,
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
    last_beside_usage: Sequence,
    streams: BTreeMap<(ProjectId, Vec<u8>), StreamEnd>,
    named: Vec<(CommandName, NamedCommand)>,
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
            last_beside_usage: Sequence::ZERO,
            recorded_at: Timestamp::MIN,
            streams: FxHashMap::default(),
            named: IdempotencyKeys::default(),
            unwritten: VecDeque::new(),
            created: None,
            encoder: EventEncoder::default(),
        }
    }

    /// Where the log ends, as this writer knows it.
    pub fn last(&self) -> Sequence {
        self.last
    }

    /// The root of the log up to there, if nobody else packs its events.
    pub fn root(&self) -> Root {
        self.tree.root()
    }

    /// The tree of the log up to there.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Takes over the tree of all events up to the last, which somebody else packed.
    pub(super) fn take_tree(&mut self, tree: Tree) {
        debug_assert_eq!(tree.size(), self.last.0, "a tree of every event");
        self.tree = tree;
    }

    /// When the last event was recorded.
    pub fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// The first event, once there is one.
    pub fn created(&self) -> Option<&LedgerCreated> {
        self.created.as_ref()
    }

    /// The limits of usage.
    pub(super) fn usage_limits(&self) -> UsageLimits {
        self.state.usage_limits
    }

    /// Sets the limits of usage.
    pub(super) fn set_usage_limits(&mut self, limits: UsageLimits) {
        self.state.usage_limits = limits;
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
        self.named.forget(*recorded_at);
        match event {
            Event::LedgerCreated(created) => self.created = Some(created.clone()),
            Event::AnswerRecorded(AnswerRecorded { part: 1, .. }) => {
                let (digest, answer, at) = (meta.digest, *sequence, *recorded_at);
                self.named.insert(name_of(meta), NamedCommand { digest, answer, at });
            }
            _ => {}
        }
        self.state.evolve(of(meta), stream, event, *sequence);
        self.streams.insert(place_of(recorded), StreamEnd { version: *stream_version, last: *sequence });
        self.last = *sequence;
        if !recorded.is_usage() {
            self.last_beside_usage = *sequence;
        }
        self.recorded_at = *recorded_at;
    }

    /// The events that every start begins with: the ledger itself, if it is new, and the writer.
    pub fn start(
        &mut self,
        now: Timestamp,
        term: Term,
        program: &str,
        new: &LedgerCreated,
    ) -> DecidedGroup<()> {
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
        let recorded = self.envelop(&meta, at, self.last.next(), events);
        self.commit_to_memory(at, &recorded, &[]);
        let (frames, event_bytes) = self.pack(&recorded).expect("the events of a start are short");
        DecidedGroup { frames, events: recorded, event_bytes, replies: Vec::new() }
    }

    /// Decides commands in order, for callers that append by themselves, such as the simulation; the writer decides one at
    /// a time. `store` is asked for what happened before them: answers, and whether anything did.
    pub fn decide<R, S: Into<Queued>>(
        &mut self,
        now: Timestamp,
        store: &dyn EventStore,
        submissions: impl IntoIterator<Item = (R, S)>,
    ) -> Result<DecidedGroup<R>, Undecided<R>> {
        let mut commands: Vec<(R, Queued)> =
            submissions.into_iter().map(|(reply, submission)| (reply, submission.into())).collect();
        if let Some(fault) = self.index_fault() {
            return Err(Undecided::Damaged { fault, commands });
        }
        let mut events = Vec::new();
        let mut results = Vec::with_capacity(commands.len());
        let durable = store.head().map_or(Sequence::ZERO, |head| head.last);
        let at = self.begin_group(now, durable);
        for (_, queued) in &commands {
            let decided = self.decide_next(at, store, queued, &mut events).map_err(Undecided::Failed)?;
            results.push(decided.result);
        }
        if let Some(fault) = self.index_fault() {
            return Err(Undecided::Damaged { fault, commands });
        }
        let (frames, event_bytes) =
            self.pack(&events).map_err(|error| Undecided::Failed(error.to_string()))?;
        let replies = commands.drain(..).map(|(reply, _)| reply).zip(results).collect();
        Ok(DecidedGroup { frames, events, event_bytes, replies })
    }

    /// Begins a group of decisions that share one time, which is given. The log is durable up to `durable`.
    pub(super) fn begin_group(&mut self, now: Timestamp, durable: Sequence) -> Timestamp {
        while self.unwritten.front().is_some_and(|(first, _)| *first <= durable) {
            self.unwritten.pop_front();
        }
        now.max(self.recorded_at)
    }

    /// Decides a command as the next one of a group, and adds its events to those of the group. The error is a fault of
    /// the log.
    pub(super) fn decide_next(
        &mut self,
        at: Timestamp,
        store: &dyn EventStore,
        queued: &Queued,
        events: &mut Vec<Recorded>,
    ) -> Result<DecidedCommand, String> {
        let before = self.last;
        let answered = self.decide_one(at, store, queued, events)?;
        let count = usize::try_from(self.last.0 - before.0).unwrap_or(usize::MAX);
        let rests_on = if count > 0 { self.last } else { self.seen_by(&queued.what) };
        let accepted = |answer| Accepted { answer, sequence: rests_on, events: count };
        Ok(DecidedCommand { result: answered.map(accepted), rests_on })
    }

    /// The last event that a decision which changes nothing may rest on. Only decisions about usage look at usage.
    pub(super) fn seen_by(&self, what: &What) -> Sequence {
        let looks_at_usage = match what {
            What::Do(command) => is_about_usage(command),
            What::IfUnmoved { command, stream, .. } => {
                is_about_usage(command) || matches!(stream, Stream::Usage(_))
            }
            What::Repeat => false,
        };
        if looks_at_usage { self.last } else { self.last_beside_usage }
    }

    /// What a command is answered if it changes nothing or is refused, and rests on nothing but what is durable; `None`
    /// if it is to be decided in its turn.
    pub(super) fn decide_unchanged(
        &self,
        now: Timestamp,
        durable: Sequence,
        submission: &Submission,
    ) -> Option<Result<Accepted, SubmitError>> {
        let Submission { meta, command } = submission;
        // An answer that may be asked for again is recorded; large decisions would hold the lock for long.
        if meta.named_by_sender || is_large(command) || is_about_usage(command) {
            return None;
        }
        let sequence = self.last_beside_usage;
        if sequence > durable {
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
                Some(Ok(Accepted { answer: outcome.answer, sequence, events: 0 }))
            }
            Ok(_) => None,
            Err(refusal) => Some(Err(SubmitError::Refused(refusal))),
        }
    }

    /// What a command is answered while nothing may be recorded: as it was answered before, or if it changes nothing or
    /// is refused; `None` if it would have to be recorded.
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
        let sequence = self.seen_by(what);
        let accepted = |answer| Accepted { answer, sequence, events: 0 };
        // A clock in doubt forgets nothing.
        let since = self.recorded_at;
        if let Some(known) = meta.named_by_sender.then(|| self.named.get(&name_of(meta), since)).flatten() {
            if known.digest != meta.digest {
                return Ok(Some(Err(SubmitError::CommandIdReused)));
            }
            return Ok(Some(self.answer_again(store, known.answer)?.map(accepted)));
        }
        let command = match what {
            What::Repeat => return Ok(Some(Err(SubmitError::ModifiedConcurrently))),
            What::IfUnmoved { stream, since, .. } if self.has_moved(meta.project, stream, *since) => {
                return Ok(Some(Err(SubmitError::ModifiedConcurrently)));
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

    /// The writer refuses a command whose credential has expired, however long ago its request began.
    fn let_in(&self, meta: &Meta, now: Timestamp) -> Result<(), SubmitError> {
        let Some(shown) = &meta.actor.credential else { return Ok(()) };
        let checked =
            shown.parse().map_or(Err(InvalidCredential::Unknown), |id| self.state.access.check(id, now));
        checked.map_err(|why| SubmitError::Refused(AccessRefusal::Unauthenticated(why).into()))
    }

    fn decide_one(
        &mut self,
        at: Timestamp,
        store: &dyn EventStore,
        queued: &Queued,
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
        if let Some(known) = key.as_ref().and_then(|key| self.named.get(key, at)) {
            if known.digest != meta.digest {
                return Ok(Err(SubmitError::CommandIdReused));
            }
            return self.answer_again(store, known.answer);
        }
        let command = match what {
            What::Repeat => return Ok(Err(SubmitError::ModifiedConcurrently)),
            What::IfUnmoved { stream, since, .. } if self.has_moved(meta.project, stream, *since) => {
                return Ok(Err(SubmitError::ModifiedConcurrently));
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
        let recorded = self.envelop(meta, at, context.next, decided);
        for event in &recorded {
            if let Err(bytes) = self.encoder.check_length(event) {
                return Ok(Err(SubmitError::TooLarge { event: event.event.name(), bytes }));
            }
        }
        self.commit_to_memory(at, &recorded, &outcome.prints);
        if let Some(key) = key {
            let answer = recorded.iter().find(|event| matches!(event.event, Event::AnswerRecorded(_)));
            if let Some(answer) = answer {
                let (digest, first) = (meta.digest, answer.sequence);
                self.named.insert(key, NamedCommand { digest, answer: first, at });
                self.unwritten.push_back((answer.sequence, outcome.answer.clone()));
            }
        }
        let mut new = recorded;
        while !new.is_empty() {
            let consequences = self.state.consequences(&context, new.iter().map(|recorded| &recorded.event));
            events.append(&mut new);
            if !consequences.is_empty() {
                let recorded = self.envelop(meta, at, self.last.next(), consequences);
                self.commit_to_memory(at, &recorded, &[]);
                new = recorded;
            }
        }
        Ok(Ok(outcome.answer))
    }

    /// Gives events their place; changes nothing yet.
    fn envelop(
        &self,
        meta: &Arc<Meta>,
        recorded_at: Timestamp,
        first: Sequence,
        events: Vec<(Stream, Event)>,
    ) -> Vec<Recorded> {
        let mut versions: FxHashMap<Arc<Stream>, u64> = FxHashMap::default();
        let mut last_stream: Option<(Arc<Stream>, u64)> = None;
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
                        self.streams.get(&place).map(|end| end.version)
                    });
                    (stream, known.unwrap_or(0) + 1)
                }
            };
            last_stream = Some((Arc::clone(&stream), version));
            let sequence = Sequence(sequence);
            let meta = Arc::clone(meta);
            recorded.push(Recorded { sequence, stream, stream_version: version, recorded_at, meta, event });
        }
        recorded
    }

    /// Events as frames, and how many bytes they had before they were compressed.
    fn pack(&mut self, events: &[Recorded]) -> Result<(Vec<Frame>, usize), PackError> {
        let packed = pack_events(events)?;
        let bytes = packed.iter().map(PackedFrame::raw_bytes).sum();
        Ok((packed.into_iter().map(|frame| frame.seal(&mut self.tree)).collect(), bytes))
    }

    fn commit_to_memory(&mut self, at: Timestamp, recorded: &[Recorded], prints: &[UsagePrint]) {
        let Some(first) = recorded.first() else { return };
        self.named.forget(at);
        let events = recorded.iter().map(|event| (&*event.stream, &event.event, event.sequence));
        self.state.evolve_each(of(&first.meta), events, prints);
        let mut newest: Option<&Recorded> = None;
        for event in recorded {
            if let Some(before) = newest.filter(|before| before.stream != event.stream) {
                self.streams.insert(place_of(before), end_at(before));
            }
            newest = Some(event);
        }
        if let Some(event) = recorded.iter().rev().find(|event| !event.is_usage()) {
            self.last_beside_usage = event.sequence;
        }
        if let Some(event) = newest {
            self.streams.insert(place_of(event), end_at(event));
            self.last = event.sequence;
            self.recorded_at = at;
        }
    }

    /// Everything but the index of usage identities, as bytes that [`Sequencer::restore`] reads.
    pub fn snapshot(&self) -> Vec<u8> {
        let config = bincode::config::standard();
        let key = |(project, stream): &StreamPlace| (*project, stream_key(stream));
        let streams = self.streams.iter().map(|(place, end)| (key(place), *end)).collect();
        let snapshot = SequencerSnapshot {
            tree: self.tree.clone(),
            last: self.last,
            recorded_at: self.recorded_at,
            last_beside_usage: self.last_beside_usage,
            streams,
            named: self.named.list(),
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
        let streams = snapshot.streams.iter().map(|(key, end)| Some((place(key)?, *end)));
        Some(Self {
            state: State::restore(&snapshot.state, seen)?,
            tree: snapshot.tree,
            last: snapshot.last,
            last_beside_usage: snapshot.last_beside_usage,
            recorded_at: snapshot.recorded_at,
            streams: streams.collect::<Option<_>>()?,
            named: IdempotencyKeys::of_list(snapshot.named),
            unwritten: VecDeque::new(),
            created: snapshot.created,
            encoder: EventEncoder::default(),
        })
    }

    /// Whether anything happened in a stream of a project after a sequence.
    fn has_moved(&self, project: ProjectId, stream: &Stream, since: Sequence) -> bool {
        let place = (stream.home(project), Arc::new(stream.clone()));
        self.streams.get(&place).is_some_and(|end| end.last > since)
    }

    /// The answer that begins at a sequence: in memory, if the log may not hold it yet, else in the log. An answer of
    /// another format is of no use to anybody but its sender, who is told so; a log that cannot be read is a fault of
    /// the writer.
    fn answer_again(
        &self,
        store: &dyn EventStore,
        first: Sequence,
    ) -> Result<Result<Answer, SubmitError>, String> {
        if let Ok(at) = self.unwritten.binary_search_by_key(&first, |(sequence, _)| *sequence) {
            return Ok(Ok(self.unwritten[at].1.clone()));
        }
        answer_in_log(store, first)
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

/// Whether it is decided by what is known of usage. No other decision looks at usage.
fn is_about_usage(command: &Command) -> bool {
    matches!(
        command,
        Command::RecordUsage(_)
            | Command::ResolveSuspendedUsage(_)
            | Command::DismissSuspendedUsage(_)
            | Command::VoidUsage(_)
            | Command::AcceptDueUsage(_)
    )
}

/// Whether nobody but the program itself may command it.
fn is_for_the_program(what: &What) -> bool {
    match what {
        What::Do(command) | What::IfUnmoved { command, .. } => matches!(command, Command::RecordRestore(_)),
        What::Repeat => false,
    }
}

fn actor_key(actor: &Actor) -> KeyOwner {
    (actor.kind as u8, actor.id.clone())
}

fn name_of(meta: &Meta) -> CommandName {
    (meta.project, actor_key(&meta.actor), meta.command)
}

/// The project of an event, and what its actor came by.
fn of(meta: &Meta) -> (ProjectId, Option<&str>) {
    (meta.project, meta.actor.credential.as_deref())
}

fn place_of(recorded: &Recorded) -> StreamPlace {
    (recorded.project(), Arc::clone(&recorded.stream))
}

fn end_at(recorded: &Recorded) -> StreamEnd {
    StreamEnd { version: recorded.stream_version, last: recorded.sequence }
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

/// Events that follow each other, packed into frames that only lack the tree before them.
pub(super) fn pack_events(events: &[Recorded]) -> Result<Vec<PackedFrame>, PackError> {
    let Some(first) = events.first() else { return Ok(Vec::new()) };
    let mut encoder = EventEncoder::default();
    let mut packer = FramePacker::new(first.sequence);
    for event in events {
        packer.push(|bytes| encoder.encode(event, bytes))?;
    }
    Ok(packer.finish())
}

/// The answer that begins at a sequence of the log.
fn answer_in_log(store: &dyn EventStore, first: Sequence) -> Result<Result<Answer, SubmitError>, String> {
    let mut bytes = Vec::new();
    let mut readable = true;
    let mut complete = false;
    let before = Sequence(first.0 - 1);
    let mut decoder = EventDecoder::default();
    'log: for frame in read_frames(store, before) {
        let frame = frame.map_err(|fault| fault.to_string())?;
        for (sequence, event) in frame.events_after(before) {
            let recorded = decoder.decode(sequence, event).map_err(|error| error.to_string())?;
            let Event::AnswerRecorded(answer) = &recorded.event else { continue };
            readable &= answer.format == ANSWER_FORMAT;
            bytes.extend_from_slice(&answer.bytes);
            if answer.part == answer.parts {
                complete = true;
                break 'log;
            }
        }
    }
    let answer = bincode::decode_from_slice(&bytes, bincode::config::standard());
    Ok(match answer {
        Ok((answer, _)) if complete && readable => Ok(answer),
        _ => Err(SubmitError::AnswerUnreadable { sequence: first }),
    })
}
