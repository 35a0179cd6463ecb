//! One run: a writer, its disk, its clock, those who send commands, those who read, and what befalls them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use slapledger_core::domain::Command;
use slapledger_core::domain::event::{LedgerCreated, Mode};
use slapledger_core::domain::id::{CommandId, ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::{
    Accepted, DecidedGroup, OpenFault, Sequencer, Submission, SubmitError, Undecided,
};
use slapledger_core::log::envelope::{Actor, ActorKind, EventDecoder, Meta, RULES_VERSION};
use slapledger_core::log::memory::{AppendOutcome, MemoryStore};
use slapledger_core::log::merkle::Root;
use slapledger_core::log::store::{Appended, EventStore, Term};
use slapledger_tests::random::Random;
use tempfile::TempDir;

use crate::commands::CommandSender;
use crate::index::SharedIndex;
use crate::keys::{SHOWN, credential};
use crate::promises::Promises;
use crate::readers::LogReaders;
use crate::whole::{PROJECTS, Whole};

/// How often something happens in a run.
pub(crate) const STEPS: u32 = 200;

/// A writer, as one process has it.
struct SimulatedWriter {
    store: MemoryStore,
    sequencer: Sequencer,
    index: SharedIndex,
    term: Term,
}

/// A snapshot that a writer left on disk.
struct WriterSnapshot {
    at: Sequence,
    bytes: Vec<u8>,
    index: SharedIndex,
}

/// See the module.
pub(crate) struct SimulatedWorld {
    random: Random,
    sender: CommandSender,
    clock: Timestamp,
    writer: SimulatedWriter,
    readers: LogReaders,
    /// Where the readers keep their snapshots, in some runs.
    folder: Option<TempDir>,
    facts: Whole,
    promises: Promises,
    snapshots: Vec<WriterSnapshot>,
    restarts: u64,
}

type Replies = Vec<(Submission, Result<Accepted, SubmitError>)>;

impl SimulatedWorld {
    /// A new ledger.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let clock = Timestamp::parse_rfc3339("2026-10-01T00:00:00Z").expect("an instant");
        let sender = CommandSender::new(random.fork());
        let store = MemoryStore::new();
        let writer = take_over(&store, &[], clock, &mut random);
        let facts = Whole::of(&writer.store);
        let (promises, snapshots) = (Promises::default(), Vec::new());
        let folder = random.once_in(4).then(|| tempfile::tempdir().expect("a folder"));
        let readers = LogReaders::start(&writer.store, folder.as_ref().map(TempDir::path), &mut random);
        Self { random, sender, clock, writer, readers, folder, facts, promises, snapshots, restarts: 0 }
    }

    /// Something happens.
    pub(crate) fn step(&mut self) {
        self.pass_time();
        match self.random.below(40) {
            0 => self.restart(),
            1 => self.rival(),
            2 | 3 => self.take_snapshot(),
            _ => self.work(),
        }
    }

    /// The last look: how often each kind of event occurs, and how many restarts there were.
    pub(crate) fn finish(mut self) -> (BTreeMap<&'static str, u64>, u64) {
        self.restart();
        assert_eq!(self.facts.starts, self.restarts + 1, "every start leaves its mark, and no other");
        (self.facts.kinds, self.restarts)
    }

    /// The root of the whole log.
    pub(crate) fn root(&self) -> Root {
        self.writer.sequencer.root()
    }

    /// The log.
    #[cfg(test)]
    pub(crate) fn store(&self) -> &MemoryStore {
        &self.writer.store
    }

    fn pass_time(&mut self) {
        let minutes =
            if self.random.once_in(12) { -self.random.between(0, 240) } else { self.random.between(0, 40) };
        self.clock = self.clock.plus_micros(minutes * 60_000_000 + self.random.between(0, 999));
    }

    /// A group of commands comes, and its frames land or do not.
    fn work(&mut self) {
        let submissions = self.submissions();
        let failure = match self.random.below(60) {
            0 => Some(AppendOutcome::Conflict),
            1 => Some(AppendOutcome::Fenced),
            2 => Some(AppendOutcome::Unknown { landed: true }),
            3 => Some(AppendOutcome::Unknown { landed: false }),
            _ => None,
        };
        let before = self.random.once_in(6).then(|| (self.writer.snapshot(), self.writer.index.content()));
        let expected = self.writer.sequencer.last();
        let at = self.clock.max(self.writer.sequencer.recorded_at());
        let good: Vec<_> = SHOWN.map(|n| credential(n).to_string()).collect();
        let good: Vec<_> = good.into_iter().filter(|shown| self.facts.is_good(shown, at)).collect();
        let failing_read = self.random.once_in(8).then(|| self.random.below(2));
        let decided = self.writer.decide(self.clock, submissions, failing_read);
        // What could not be read might have changed the decision: this writer is of no use any more.
        let Some((group, replies)) = decided else { return self.come_back() };
        if group.frames.is_empty() {
            assert!(group.events.is_empty(), "events without frames");
            if let Some(before) = before {
                assert!(before == (self.writer.snapshot(), self.writer.index.content()), "nothing happened");
            }
            self.promise(&replies, expected, (&good, at));
            return;
        }
        if let Some(outcome) = failure {
            self.writer.store.inject(outcome);
        }
        let appended = self.writer.store.append(self.writer.term, expected, &group.frames);
        let as_asked = match failure {
            None => appended == Appended::Durable,
            Some(AppendOutcome::Conflict) => matches!(appended, Appended::Conflict { .. }),
            Some(AppendOutcome::Fenced) => matches!(appended, Appended::Fenced { .. }),
            Some(AppendOutcome::Unknown { .. }) => matches!(appended, Appended::Unknown { .. }),
        };
        assert!(as_asked, "{failure:?} became {appended:?}");
        if appended == Appended::Durable {
            group.events.iter().for_each(|event| self.facts.take(event));
            self.readers.publish(group.events, group.event_bytes);
            self.facts.check();
            self.promise(&replies, expected, (&good, at));
            return;
        }
        // The writer's mind is ahead of the log or beside it: it is discarded.
        let landed = failure == Some(AppendOutcome::Unknown { landed: true });
        if landed {
            group.events.iter().for_each(|event| self.facts.take(event));
        }
        self.come_back();
        if landed {
            // Nobody heard these answers, but they will be given again.
            self.promise(&replies, expected, (&good, at));
        }
    }

    /// `good` is what let somebody in when the group came, at this instant; the log ended at `end` then.
    fn promise(&mut self, replies: &Replies, mut end: Sequence, (good, at): (&[String], Timestamp)) {
        let was_good =
            |shown: &str| self.facts.is_good(shown, at) && good.iter().any(|known| *known == shown);
        for (submission, result) in replies {
            let facts = self.facts.project(submission.meta.project);
            self.promises.take((facts, end), submission, result, was_good);
            end = result.as_ref().map_or(end, |accepted| accepted.sequence);
        }
    }

    /// Somebody is let in, or no more.
    fn about_credentials(&mut self, now: Timestamp) -> Submission {
        let project = PROJECTS[usize::from(self.random.once_in(4))];
        let command = self.sender.about_credentials(&self.facts, project, now);
        let meta = self.meta(project, digest(&command));
        // By the program itself, as the first of them is.
        let actor = Actor { credential: None, ..meta.actor.clone() };
        Submission { meta: Arc::new(Meta { actor, ..meta }), command }
    }

    /// The program does something to the ledger itself.
    fn about_ledger(&mut self, now: Timestamp) -> Submission {
        let command = self.sender.about_ledger(self.facts.last, now);
        let meta = self.meta(ProjectId::DEFAULT, digest(&command));
        Submission { meta: Arc::new(Meta { actor: Actor::system(), ..meta }), command }
    }

    /// Mostly sensible, from what is there.
    fn command(&mut self, project: ProjectId, now: Timestamp) -> Command {
        let Self { sender, readers, facts, .. } = self;
        readers.billing(project, |billing| sender.command(facts.project(project), billing, now))
    }

    fn many_charges(&mut self, now: Timestamp) -> Vec<Submission> {
        let commands = self.sender.many_charges(now);
        let submit = |command: Command| {
            let meta = self.meta(ProjectId::DEFAULT, digest(&command));
            Submission { meta: Arc::new(meta), command }
        };
        commands.into_iter().map(submit).collect()
    }

    fn submissions(&mut self) -> Vec<Submission> {
        let now = self.facts.recorded_at.max(Some(self.clock)).unwrap_or(self.clock);
        if self.random.once_in(300) {
            return self.many_charges(now);
        }
        let mut group: Vec<Submission> = Vec::new();
        for _ in 0..=self.random.below(5) {
            let again: Vec<&Submission> =
                self.promises.named().iter().map(|(known, _)| known).chain(&group).collect();
            let again =
                (self.random.once_in(8) && !again.is_empty()).then(|| (*self.random.pick(&again)).clone());
            let submission = match again {
                Some(known) if self.random.once_in(3) => {
                    // Its name for something else.
                    let command = self.command(known.meta.project, now);
                    let meta = Meta { digest: digest(&command), ..(*known.meta).clone() };
                    Submission { meta: Arc::new(meta), command }
                }
                Some(known) => known,
                None if self.random.once_in(20) => self.about_credentials(now),
                None if self.random.once_in(60) => self.about_ledger(now),
                None => {
                    let project = PROJECTS[usize::from(self.random.once_in(3))];
                    let command = self.command(project, now);
                    Submission { meta: Arc::new(self.meta(project, digest(&command))), command }
                }
            };
            group.push(submission);
        }
        group
    }

    fn meta(&mut self, project: ProjectId, digest: [u8; 16]) -> Meta {
        let kinds = [ActorKind::Person, ActorKind::Computer];
        let (kind, id) = (*self.random.pick(&kinds), format!("actor {}", self.random.below(3)).into());
        let credential = self.random.once_in(2).then(|| self.shown());
        let mut command = self.random.sixteen();
        if self.random.once_in(3) {
            // Different actors may use the same name.
            command = [0; 16];
            command[0] = self.random.below(64).to_le_bytes()[0];
        }
        Meta {
            project,
            actor: Actor { kind, id, credential },
            command: CommandId(command),
            named_by_sender: self.random.once_in(3),
            digest,
            causation: self.random.once_in(20).then_some(Sequence(1)),
            correlation: None,
            rules: RULES_VERSION,
        }
    }

    /// What an actor comes by: mostly what lets them in.
    fn shown(&mut self) -> Box<str> {
        let at = self.clock.max(self.writer.sequencer.recorded_at());
        let all: Vec<String> = SHOWN.map(|n| credential(n).to_string()).collect();
        let good: Vec<&String> = all.iter().filter(|shown| self.facts.is_good(shown, at)).collect();
        let from = if good.is_empty() || self.random.once_in(6) { all.iter().collect() } else { good };
        self.random.pick(&from).as_str().into()
    }

    fn take_snapshot(&mut self) {
        let (at, bytes) = (self.writer.sequencer.last(), self.writer.snapshot());
        self.snapshots.push(WriterSnapshot { at, bytes, index: self.writer.index.copy() });
        self.readers.snapshot();
    }

    /// The process is killed between two groups, and started again.
    fn restart(&mut self) {
        let (state, index) = (self.writer.snapshot(), self.writer.index.content());
        self.facts.check_state(self.writer.sequencer.state());
        self.readers.catch_up(&mut self.random);
        self.readers.check(&self.facts, &mut self.random);
        let store = self.writer.store.reopen();
        let found = replay(&store, &[], &mut self.random);
        assert!(found.0.snapshot() == state, "a replay of the log is not what was live");
        assert!(found.1.content() == index, "a replay of the log knows other usage than was live");
        self.come_back();
    }

    /// Another process opens the same log while this one still runs, and wins.
    fn rival(&mut self) {
        let store = self.writer.store.reopen();
        let rival = take_over(&store, &self.snapshots, self.clock, &mut self.random);
        let mut old = std::mem::replace(&mut self.writer, rival);
        let expected = old.sequencer.last();
        let submissions = self.submissions();
        let (group, _) = old.decide(self.clock, submissions, None).expect("a log that can be read");
        if !group.frames.is_empty() {
            let appended = old.store.append(old.term, expected, &group.frames);
            assert!(matches!(appended, Appended::Fenced { .. }), "a writer that was fenced: {appended:?}");
        }
        self.look_again();
    }

    fn come_back(&mut self) {
        let store = self.writer.store.reopen();
        self.writer = take_over(&store, &self.snapshots, self.clock, &mut self.random);
        self.look_again();
    }

    fn look_again(&mut self) {
        self.restarts += 1;
        self.readers.finish(&mut self.random);
        let folder = self.folder.as_ref().map(TempDir::path);
        self.readers = LogReaders::start(&self.writer.store, folder, &mut self.random);
        let read = Whole::of(&self.writer.store);
        assert!(read.last > self.facts.last && read.term > self.facts.term, "a start leaves its mark");
        read.check_state(self.writer.sequencer.state());
        // But for the marks of the start, the log says what it said.
        let mut known = self.facts.clone();
        let mut decoder = EventDecoder::default();
        for frame in self.writer.store.read(Sequence(known.last), usize::MAX).expect("a store in memory") {
            let frame = frame.decode().expect("a frame that was written");
            for (sequence, bytes) in frame.events_after(Sequence(self.facts.last)) {
                known.take(&decoder.decode(sequence, bytes).expect("an event that was written"));
            }
        }
        assert!(known == read, "the log says something else than was durable before");
        self.facts = read;
    }
}

impl SimulatedWriter {
    fn snapshot(&self) -> Vec<u8> {
        self.sequencer.snapshot()
    }

    /// What becomes of a group; `None` if the log could not be read for it, which may fail after so many reads.
    fn decide(
        &mut self,
        now: Timestamp,
        submissions: Vec<Submission>,
        failing_read: Option<u64>,
    ) -> Option<(DecidedGroup<Submission>, Replies)> {
        let first = self.sequencer.last().next();
        let before = self.sequencer.recorded_at();
        let tagged = submissions.into_iter().map(|submission| (submission.clone(), submission));
        if let Some(after) = failing_read {
            self.store.fail_read(after);
        }
        let decided = self.sequencer.decide(now, &self.store, tagged);
        let failed = !self.store.fail_no_read() && failing_read.is_some();
        let mut group = match decided {
            Err(Undecided::Failed(_)) if failed => return None,
            Err(undecided) => panic!("a log that can be read, and {undecided}"),
            Ok(_) if failed => panic!("a read failed, and the group was decided"),
            Ok(group) => group,
        };
        let replies: Replies = std::mem::take(&mut group.replies);
        for (event, sequence) in group.events.iter().zip(first.0..) {
            assert_eq!(event.sequence.0, sequence, "a group goes on where the log ends");
            assert_eq!(event.recorded_at, now.max(before), "a group is of one moment");
        }
        let answered: usize =
            replies.iter().filter_map(|(_, result)| result.as_ref().ok()).map(|ok| ok.events).sum();
        assert_eq!(answered, group.events.len(), "every event is of one command that was carried out");
        let framed: u64 = group.frames.iter().map(|frame| u64::from(frame.count())).sum();
        assert_eq!(framed, group.events.len() as u64, "every event is in one frame");
        Some((group, replies))
    }
}

/// Acquires the log, reads it from a snapshot or from the start, and makes the mark of a start.
fn take_over(
    store: &MemoryStore,
    snapshots: &[WriterSnapshot],
    clock: Timestamp,
    random: &mut Random,
) -> SimulatedWriter {
    let store = store.reopen();
    let term = store.acquire().expect("a store that was just opened");
    let (mut sequencer, index) = replay(&store, snapshots, random);
    let expected = sequencer.last();
    let ledger = random.sixteen();
    // Half of the ledgers are masters.
    let mode = if ledger[0].is_multiple_of(2) { Mode::Serve } else { Mode::Proxy };
    let new = LedgerCreated { ledger, format: 1, mode, key_ring: [0; 16], at: clock };
    let start = sequencer.start(clock, term, "simulation", &new);
    let appended = store.append(term, expected, &start.frames);
    assert_eq!(appended, Appended::Durable, "the start of a writer");
    SimulatedWriter { store, sequencer, index, term }
}

/// The mind of a writer, from a random snapshot and what came after it, or from the log alone; where both are
/// possible they are the same.
fn replay(
    store: &MemoryStore,
    snapshots: &[WriterSnapshot],
    random: &mut Random,
) -> (Sequencer, SharedIndex) {
    if random.once_in(4) {
        store.fail_read(random.below(3));
        let found = catch_up(store, SharedIndex::default(), None, random);
        let failed = !store.fail_no_read();
        match found {
            Err(fault) => assert!(failed && matches!(fault, OpenFault::Store(_)), "{fault}"),
            Ok(_) => assert!(!failed, "a log that cannot be read was opened"),
        }
    }
    let whole = catch_up(store, SharedIndex::default(), None, random).expect("a log that can be read");
    if snapshots.is_empty() || random.once_in(3) {
        return whole;
    }
    let snapshot = random.pick(snapshots);
    let shortened = catch_up(store, snapshot.index.copy(), Some(snapshot), random);
    let shortened = shortened.expect("a log that can be read");
    assert!(shortened.0.snapshot() == whole.0.snapshot(), "snapshot and tail are not the whole log");
    assert!(
        shortened.1.content() == whole.1.content(),
        "snapshot and tail know other usage than the whole log"
    );
    shortened
}

fn catch_up(
    store: &MemoryStore,
    index: SharedIndex,
    snapshot: Option<&WriterSnapshot>,
    random: &mut Random,
) -> Result<(Sequencer, SharedIndex), OpenFault> {
    let seen = Box::new(index.clone());
    let mut sequencer = match snapshot {
        Some(snapshot) => Sequencer::restore(&snapshot.bytes, seen).expect("a snapshot that was written"),
        None => Sequencer::new(seen),
    };
    assert_eq!(sequencer.last(), snapshot.map_or(Sequence::ZERO, |snapshot| snapshot.at));
    let mut decoder = EventDecoder::default();
    loop {
        let bytes = usize::try_from(random.below(20_000)).expect("a small number");
        let frames = store.read(sequencer.last(), bytes)?;
        if frames.is_empty() {
            let head = store.head().expect("a store in memory");
            assert_eq!((sequencer.last(), sequencer.root()), (head.last, head.root), "the end of the log");
            return Ok((sequencer, index));
        }
        for frame in frames {
            let frame = frame.unpack().expect("a frame that was written");
            sequencer.replay(frame, &mut decoder, |_| ()).expect("a frame that was written");
        }
    }
}

fn digest(command: &slapledger_core::domain::Command) -> [u8; 16] {
    let hash = Sha256::digest(format!("{command:?}"));
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash[..16]);
    digest
}
