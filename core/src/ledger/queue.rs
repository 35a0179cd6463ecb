//! The commands that wait for the writer, in two bounded queues: those of people and nodes overtake usage.

use std::sync::OnceLock;
use std::thread::{self, Thread};

use tokio::sync::{mpsc, oneshot};

use super::{Accepted, QueueStatus, Queued, SubmitError, What};
use crate::domain::Command;

/// To whom a command is answered.
pub(super) type CommandReply = oneshot::Sender<Result<Accepted, SubmitError>>;

/// A command, and to whom it is answered.
pub(super) type WaitingCommand = (CommandReply, Queued);

/// The end of the queues that senders have.
pub(super) struct CommandQueue {
    senders: Option<Senders>,
    /// Whom to wake.
    writer: OnceLock<Thread>,
}

struct Senders {
    people: mpsc::Sender<WaitingCommand>,
    usage: mpsc::Sender<WaitingCommand>,
}

/// The end of the queues that the writer has.
pub(super) struct WaitingCommands {
    people: mpsc::Receiver<WaitingCommand>,
    usage: mpsc::Receiver<WaitingCommand>,
    /// How many of each are of the round.
    round: (usize, usize),
    /// How many commands of people were taken since usage waits.
    overtaken: usize,
}

/// So many commands of people overtake usage that waits; then it is its turn, so that it is never shut out.
const MOST_OVERTAKEN: usize = 64;

/// Two queues of so many commands each.
pub(super) fn command_queue(most: usize) -> (CommandQueue, WaitingCommands) {
    let (people, waiting_people) = mpsc::channel(most.max(1));
    let (usage, waiting_usage) = mpsc::channel(most.max(1));
    let queue = CommandQueue { senders: Some(Senders { people, usage }), writer: OnceLock::new() };
    let commands =
        WaitingCommands { people: waiting_people, usage: waiting_usage, round: (0, 0), overtaken: 0 };
    (queue, commands)
}

impl CommandQueue {
    /// The thread that takes commands out.
    pub(super) fn set_writer(&self, writer: Thread) {
        // It is set once, by whom made both.
        let _ = self.writer.set(writer);
    }

    /// The queue of a command. Whoever has sent one [wakes](Self::wake) the writer.
    pub(super) fn of(&self, queued: &Queued) -> Option<&mpsc::Sender<WaitingCommand>> {
        let senders = self.senders.as_ref()?;
        Some(if is_usage(queued) { &senders.usage } else { &senders.people })
    }

    /// How full both queues are together.
    pub(super) fn status(&self) -> Option<QueueStatus> {
        let Senders { people, usage } = self.senders.as_ref()?;
        let most = people.max_capacity() + usage.max_capacity();
        Some(QueueStatus { waiting: most - people.capacity() - usage.capacity(), most })
    }

    pub(super) fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

impl Drop for CommandQueue {
    fn drop(&mut self) {
        // The writer sees that nobody sends any more, if it is woken afterwards.
        self.senders = None;
        self.wake();
    }
}

impl WaitingCommands {
    /// Begins a round, which is of the commands that wait now. A clock that is read afterwards is ahead of all of them; one
    /// that comes later may follow from the answer to another, and would be decided in the past.
    pub(super) fn begin_round(&mut self) {
        self.round = (self.people.len(), self.usage.len());
    }

    /// The next command of the round.
    pub(super) fn next(&mut self) -> Option<WaitingCommand> {
        if self.overtaken >= MOST_OVERTAKEN
            && let Some(usage) = self.next_of_usage()
        {
            return Some(usage);
        }
        let Some(person) = take_one(&mut self.people, &mut self.round.0) else { return self.next_of_usage() };
        self.overtaken = if self.usage.is_empty() { 0 } else { self.overtaken + 1 };
        Some(person)
    }

    fn next_of_usage(&mut self) -> Option<WaitingCommand> {
        let usage = take_one(&mut self.usage, &mut self.round.1)?;
        self.overtaken = 0;
        Some(usage)
    }

    /// Waits until there is a command, and says so; `false` if there will be none. For the thread that is woken by
    /// senders. Others may wake it, too: it returns when `is_over`.
    pub(super) fn wait(&self, is_over: impl Fn() -> bool) -> bool {
        loop {
            // Looked at before the queues: what was sent before the last sender went is still there.
            let is_closed = self.people.is_closed() && self.usage.is_closed();
            if !self.people.is_empty() || !self.usage.is_empty() || is_over() {
                return true;
            }
            if is_closed {
                return false;
            }
            thread::park();
        }
    }
}

/// One of those that are left of a round.
fn take_one(from: &mut mpsc::Receiver<WaitingCommand>, left: &mut usize) -> Option<WaitingCommand> {
    *left = left.checked_sub(1)?;
    from.try_recv().ok()
}

fn is_usage(queued: &Queued) -> bool {
    match &queued.what {
        What::Do(command) | What::IfUnmoved { command, .. } => matches!(command, Command::RecordUsage(_)),
        What::Repeat => false,
    }
}
