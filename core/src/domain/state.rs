//! The state decisions look at: a fold of all events, kept in memory by the one writer.
//!
//! What belongs to a project is in [`Project`], and a decision is handed the one of its command and no other. Here
//! stand the projects, and what they share.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bincode::{Decode, Encode};

use super::access::Access;
use super::clock::ClockConfirmed;
use super::event::{Event, Mode, Stream};
use super::id::{ProjectId, Sequence};
use super::log_key::LogKeySet;
use super::project::{Project, ProjectsShare};
use super::restore::Restores;
use super::time::Timestamp;
use super::usage::{SeenIndex, UsageLimits, UsagePrint};
use super::{Answer, Command, Outcome, Refusal};

/// What a decision is given besides state and command.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The time of the decision.
    pub now: Timestamp,
    /// The sequence its first event will have.
    pub next: Sequence,
    /// Where it belongs.
    pub project: ProjectId,
}

/// All that decisions look at.
pub struct State {
    /// What the ledger is run as: the rules of the master, or those of slapos proxy.
    pub mode: Mode,
    /// Which usage is known, of all projects: each identity names its own.
    pub(crate) seen: Box<dyn SeenIndex>,
    /// Which projects there are, and who is let into which.
    pub access: Access,
    /// The limits of usage: settings of the program, not of the log.
    pub usage_limits: UsageLimits,
    /// What an operator last confirmed of the clock.
    clock: Option<ClockConfirmed>,
    /// What checkpoints are signed with.
    log_key: Option<LogKeySet>,
    /// That the ledger was restored from backups.
    restores: Restores,
    /// The projects in which something happened.
    projects: BTreeMap<ProjectId, Project>,
}

/// All of [`State`] but the index of usage identities.
#[derive(Encode)]
struct StateSnapshot<'a> {
    mode: Mode,
    access: &'a Access,
    clock: &'a Option<ClockConfirmed>,
    log_key: &'a Option<LogKeySet>,
    restores: &'a Restores,
    projects: &'a BTreeMap<ProjectId, Project>,
}

/// The same, read.
#[derive(Decode)]
struct RestoredState {
    mode: Mode,
    access: Access,
    clock: Option<ClockConfirmed>,
    log_key: Option<LogKeySet>,
    restores: Restores,
    projects: BTreeMap<ProjectId, Project>,
}

/// What a project is before anything happened in it.
static EMPTY: LazyLock<Project> = LazyLock::new(Project::default);

impl State {
    /// Before the first event. Usage identities will be kept in `seen`.
    pub fn new(seen: Box<dyn SeenIndex>) -> Self {
        Self {
            mode: Mode::Proxy,
            seen,
            access: Access::default(),
            usage_limits: UsageLimits::default(),
            clock: None,
            log_key: None,
            restores: Restores::default(),
            projects: BTreeMap::new(),
        }
    }

    /// A project; one of which nothing is known is empty.
    pub fn project(&self, project: ProjectId) -> &Project {
        self.projects.get(&project).unwrap_or(&EMPTY)
    }

    /// What an operator last confirmed of the clock, if anything.
    pub fn clock_confirmed(&self) -> Option<&ClockConfirmed> {
        self.clock.as_ref()
    }

    /// The key that signs checkpoints, if there is one yet.
    pub fn log_key(&self) -> Option<&LogKeySet> {
        self.log_key.as_ref()
    }

    #[cfg(test)]
    pub(crate) fn project_mut(&mut self, project: ProjectId) -> &mut Project {
        self.projects.entry(project).or_default()
    }

    /// The projects in which something happened, ascending.
    pub fn projects(&self) -> impl Iterator<Item = (ProjectId, &Project)> {
        self.projects.iter().map(|(id, project)| (*id, project))
    }

    /// Decides a command; changes nothing.
    pub fn decide(&self, context: &Context, command: &Command) -> Result<Outcome<Answer>, Refusal> {
        let project = self.project(context.project);
        match command {
            Command::OpenProject(command) => {
                Ok(self.access.open_project(command, context.now)?.map(Answer::Project))
            }
            Command::IssueCredential(command) => {
                Ok(self.access.issue(context.project, project.holders(), command, context.now)?.done())
            }
            Command::RevokeCredentials(command) => {
                let holders = |id| self.project(id).holders();
                let outcome = self.access.revoke(context.project, holders, command, context.now)?;
                Ok(outcome.map(Answer::Revoked))
            }
            Command::ConfirmClock(command) => Ok(command.decide(context.now).done()),
            Command::SetLogKey(command) => Ok(command.decide(self.log_key(), context.now).done()),
            Command::RecordRestore(command) => {
                let around = (context.now, context.next);
                Ok(self.restores.record(|id| self.project(id), command, around)?.done())
            }
            command => {
                let around = ProjectsShare {
                    mode: self.mode,
                    seen: &*self.seen,
                    usage_limits: self.usage_limits,
                    restores: &self.restores,
                };
                project.decide(around, context, command)
            }
        }
    }

    /// Decides a command and takes its events over: what the writer does, without the bytes.
    pub fn execute(&mut self, context: &Context, command: Command) -> Result<Outcome<Answer>, Refusal> {
        self.execute_by(context, None, command)
    }

    /// The same for somebody who came by a credential.
    #[expect(clippy::needless_pass_by_value, reason = "a command is carried out once")]
    pub fn execute_by(
        &mut self,
        context: &Context,
        by: Option<&str>,
        command: Command,
    ) -> Result<Outcome<Answer>, Refusal> {
        let mut outcome = self.decide(context, &command)?;
        self.evolve_all(context, by, &outcome.events, &outcome.prints);
        let mut done = 0;
        while done < outcome.events.len() {
            let new = &outcome.events[done..];
            let consequences = self.consequences(context, new.iter().map(|(_, event)| event));
            done = outcome.events.len();
            let context = Context { next: Sequence(context.next.0 + done as u64), ..*context };
            self.evolve_all(&context, by, &consequences, &[]);
            outcome.events.extend(consequences);
        }
        Ok(outcome)
    }

    /// What follows from events that were just taken over: room for those of their project who wait for it, and the end
    /// of the credentials of anyone who has ended. Recorded in the same step; what follows from it in turn is asked for
    /// again.
    pub fn consequences<'e>(
        &self,
        context: &Context,
        of: impl Iterator<Item = &'e Event> + Clone,
    ) -> Vec<(Stream, Event)> {
        let Context { now, project, .. } = *context;
        let known = self.project(project);
        let mut events = known.consequences(self.mode, now, of.clone());
        events.extend(of.flat_map(|event| self.access.ended_with(project, known.holders(), event, now)));
        events
    }

    /// Takes events over that follow each other from `context.next` on.
    fn evolve_all(
        &mut self,
        context: &Context,
        by: Option<&str>,
        events: &[(Stream, Event)],
        prints: &[UsagePrint],
    ) {
        let sequences = (context.next.0..).map(Sequence);
        let events = sequences.zip(events).map(|(sequence, (stream, event))| (stream, event, sequence));
        self.evolve_each((context.project, by), events, prints);
    }

    /// Takes an event over, of a project and of somebody who came by this credential. Total: what is recorded cannot be
    /// refused.
    pub fn evolve(
        &mut self,
        of: (ProjectId, Option<&str>),
        stream: &Stream,
        event: &Event,
        sequence: Sequence,
    ) {
        self.evolve_each(of, [(stream, event, sequence)], &[]);
    }

    /// Takes events over that are all of one command, with the fingerprints of usage among them that are known, in order.
    /// Its project is looked up once.
    pub(crate) fn evolve_each<'e>(
        &mut self,
        (id, by): (ProjectId, Option<&str>),
        events: impl IntoIterator<Item = (&'e Stream, &'e Event, Sequence)>,
        prints: &[UsagePrint],
    ) {
        let Self { mode, seen, access, clock, log_key, restores, projects, .. } = self;
        let mut found: Option<&mut Project> = None;
        let mut prints = prints.iter().copied().peekable();
        for (stream, event, sequence) in events {
            match event {
                // Those of the ledger are of no project, whatever command they are of.
                Event::LedgerCreated(event) => *mode = event.mode,
                Event::LedgerRestored(event) => restores.restored(event),
                Event::WriterStarted(_) | Event::AnswerRecorded(_) => {}
                Event::ClockConfirmed(event) => *clock = Some(event.clone()),
                Event::LogKeySet(event) => *log_key = Some(event.clone()),
                Event::ProjectOpened(event) => access.project_opened(event),
                Event::CredentialIssued(event) => access.credential_issued(id, by, event),
                Event::CredentialRevoked(event) => access.credential_revoked(event),
                Event::CredentialSpent(event) => access.credential_spent(event),
                _ => {
                    let project = match found.take() {
                        Some(project) => project,
                        None => projects.entry(id).or_default(),
                    };
                    let print = prints.next_if(|print| print.sequence == sequence);
                    project.evolve(&mut **seen, id, (stream, event), (sequence, print));
                    found = Some(project);
                }
            }
        }
    }

    /// All but the index of usage identities, as bytes that [`State::restore`] reads.
    pub fn snapshot(&self) -> Vec<u8> {
        let Self { mode, access, clock, log_key, restores, projects, .. } = self;
        let snapshot = StateSnapshot { mode: *mode, access, clock, log_key, restores, projects };
        bincode::encode_to_vec(snapshot, bincode::config::standard())
            .expect("a state in memory can be encoded")
    }

    /// The state of a snapshot, over an index of usage identities that is as far.
    pub fn restore(bytes: &[u8], seen: Box<dyn SeenIndex>) -> Option<Self> {
        let (restored, read): (RestoredState, usize) =
            bincode::decode_from_slice(bytes, bincode::config::standard()).ok()?;
        let RestoredState { mode, access, clock, log_key, restores, projects } = restored;
        (read == bytes.len()).then_some(Self {
            mode,
            seen,
            access,
            usage_limits: UsageLimits::default(),
            clock,
            log_key,
            restores,
            projects,
        })
    }
}
