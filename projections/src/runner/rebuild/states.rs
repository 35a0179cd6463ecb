//! What there is to say of generations: how one is asked for, how far it is, what it came to, and what is refused.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use slapledger_core::domain::id::Sequence;
use tokio::sync::watch;

use crate::rows::{RowDifferences, RowDigests};
use crate::stop;
use crate::view::{Projection, View, ViewPart};

/// How long a generation stays aside if nothing else is said.
pub const KEPT: Duration = Duration::from_secs(3600);

/// How a generation is made.
#[derive(Debug, Clone)]
pub struct RebuildRequest {
    /// Whether it takes its place by itself if it is equal to the live one.
    pub swap: bool,
    /// How many events a second are read at most.
    pub most_events_per_second: Option<NonZeroU64>,
    /// How long it waits for a swap, and the old one for a confirmation.
    pub kept: Duration,
    /// Called first on each thread that reads and compares, such as to lower its priority.
    pub on_thread: fn(),
}

impl Default for RebuildRequest {
    fn default() -> Self {
        Self { swap: true, most_events_per_second: None, kept: KEPT, on_thread: || () }
    }
}

/// Two generations at the same event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The last event in both.
    pub sequence: Sequence,
    /// What the live one holds.
    pub before: Vec<ViewPart>,
    /// What the new one holds.
    pub after: Vec<ViewPart>,
    /// The rows in which they differ.
    pub differences: RowDifferences,
}

impl Rebuilt {
    /// Whether the view came back byte for byte.
    pub fn is_same(&self) -> bool {
        self.before == self.after
    }

    pub(super) fn compare<V: View>(live: &V, fresh: &V, sequence: Sequence) -> Self {
        let rows = |projection: &dyn Projection| {
            let mut rows = RowDigests::default();
            projection.rows(&mut rows);
            rows
        };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut differences = RowDifferences::default();
        for (live, fresh) in live.projections().iter().zip(fresh.projections().iter()) {
            let (old, new) = (ViewPart::of(&**live), ViewPart::of(&**fresh));
            stop::check();
            if old != new {
                differences.add(new.name, rows(&**live), rows(&**fresh));
            }
            before.push(old);
            after.push(new);
            stop::check();
        }
        Self { sequence, before, after, differences }
    }
}

/// How far a generation is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildProgress {
    /// The last event it has taken over.
    pub done: Sequence,
    /// The last event of the log.
    pub total: Sequence,
    /// How many events it takes over in a second, on average.
    pub events_per_second: u64,
    /// How many seconds it will take; unknown at first.
    pub seconds_left: Option<u64>,
}

/// What a generation that is not live is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsideState {
    /// It is derived from the log.
    Building(BuildProgress),
    /// It is level with the log, and compared with the live one.
    Comparing,
    /// It waits for a swap, because it differs or because that was asked for; it is discarded after so long.
    Ready(Arc<Rebuilt>, Duration),
    /// It is brought level with the log, and takes the place of the live one.
    Swapping,
    /// It was live, and can be swapped back for so long.
    Previous(Arc<Rebuilt>, Duration),
}

impl AsideState {
    /// As it is written.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Building(_) => "building",
            Self::Comparing => "comparing",
            Self::Ready(..) => "ready",
            Self::Swapping => "swapping",
            Self::Previous(..) => "previous",
        }
    }
}

/// A generation that is not live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideGeneration {
    /// Which of its view.
    pub number: u64,
    /// The last event in it.
    pub position: Sequence,
    /// What it is about.
    pub state: AsideState,
}

/// What became of the last rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebuildOutcome {
    /// It waits for a swap.
    Ready(Arc<Rebuilt>),
    /// It is live.
    Swapped(Arc<Rebuilt>),
    /// The old generation is live again.
    SwappedBack(Arc<Rebuilt>),
    /// Somebody cancelled it, it waited too long, or the program stopped.
    Cancelled,
    /// The log could not be read, or a fold broke.
    Failed(Arc<str>),
}

impl RebuildOutcome {
    /// As it is written.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ready(_) => "ready",
            Self::Swapped(_) => "swapped",
            Self::SwappedBack(_) => "swapped_back",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }
}

/// The generations of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewGenerations {
    /// The view.
    pub view: &'static str,
    /// The one that answers readers.
    pub live: u64,
    /// The last event in it.
    pub position: Sequence,
    /// The one aside, if there is one.
    pub aside: Option<AsideGeneration>,
    /// What became of the last rebuild, and its generation.
    pub latest: Option<(u64, RebuildOutcome)>,
}

/// A generation cannot be made, or not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildFault {
    /// Another is being made.
    #[error("rebuild {name}: a generation is {state} already")]
    UnderWay {
        /// Which view.
        name: &'static str,
        /// What it is about.
        state: &'static str,
    },
    /// The old generation differs from the live one, and nobody confirmed that.
    #[error("rebuild {name}: the previous generation differs and is not confirmed yet")]
    Unconfirmed {
        /// Which view.
        name: &'static str,
    },
    /// No generation can be cancelled.
    #[error("{name} has no rebuild to cancel")]
    NothingToCancel {
        /// Which view.
        name: &'static str,
    },
    /// No generation waits for a swap.
    #[error("{name} has no generation that is ready")]
    NotReady {
        /// Which view.
        name: &'static str,
    },
    /// No old generation is kept.
    #[error("{name} has no previous generation")]
    NoPrevious {
        /// Which view.
        name: &'static str,
    },
    /// It was cancelled before its end.
    #[error("rebuild {name}: it was cancelled")]
    Cancelled {
        /// Which view.
        name: &'static str,
    },
    /// The program stops.
    #[error("rebuild {name}: the view is closed")]
    Closed {
        /// Which view.
        name: &'static str,
    },
    /// The log cannot be folded.
    #[error("rebuild {name}: {cause}")]
    Failed {
        /// Which view.
        name: &'static str,
        /// Why not.
        cause: Arc<str>,
    },
}

impl RebuildOutcome {
    pub(super) fn into_rebuilt(self, name: &'static str) -> Result<Arc<Rebuilt>, RebuildFault> {
        match self {
            Self::Ready(rebuilt) | Self::Swapped(rebuilt) | Self::SwappedBack(rebuilt) => Ok(rebuilt),
            Self::Cancelled => Err(RebuildFault::Cancelled { name }),
            Self::Failed(cause) => Err(RebuildFault::Failed { name, cause }),
        }
    }
}

/// A view whose generations can be changed, whatever it holds.
pub trait RebuiltView: Send + Sync {
    /// The generations of the view, as they are now.
    fn generations(&self) -> ViewGenerations;

    /// Tells of each change of the generations; how far they are built is no change.
    fn generations_changed(&self) -> watch::Receiver<u64>;

    /// Begins to build a generation from the first event, on a thread of its own; which one it is. An old generation that
    /// is equal to the live one makes room for it.
    fn begin_rebuild(&self, request: RebuildRequest) -> Result<u64, RebuildFault>;

    /// Stops a build, or discards a generation that waits for a swap.
    fn cancel_rebuild(&self) -> Result<(), RebuildFault>;

    /// Lets the generation that waits take the place of the live one, also if it differs.
    fn swap_rebuilt(&self) -> Result<(), RebuildFault>;

    /// Discards the old generation: the live one is as it should be.
    fn confirm_rebuilt(&self) -> Result<(), RebuildFault>;

    /// Lets the old generation take its place again, as soon as it is level with the log; the new one is discarded.
    fn swap_back(&self) -> Result<(), RebuildFault>;
}

/// Waits until a rebuild has ended or waits for a swap, so long at most.
pub async fn rebuilt(view: &dyn RebuiltView, number: u64, patience: Duration) -> Option<RebuildOutcome> {
    let mut told = view.generations_changed();
    let until = tokio::time::Instant::now() + patience;
    loop {
        told.mark_unchanged();
        if let Some((_, outcome)) = view.generations().latest.filter(|(of, _)| *of == number) {
            return Some(outcome);
        }
        tokio::time::timeout_at(until, told.changed()).await.ok()?.ok()?;
    }
}
