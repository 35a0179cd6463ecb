//! A request, as use cases see it: the engine, who asks, in which project, and until when.
//!
//! It is made for each request and is small. What it shows and does is what its caller may see and do: the views are
//! those of its project, and keys open nothing for a caller who may open nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slapledger_billing::BillingView;
use slapledger_core::domain::Command;
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{ComputerId, InstanceId, KeyId, PartitionId, ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::keyring::KeyRing;
use slapledger_core::ledger::{Accepted, Ledger, Submission, SubmitError};
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_engine::certifier::Certifier;
use slapledger_engine::past::{FoundPast, LOOK_FOR_IDLE, PastFault, PastProgress, PastViews};
use slapledger_engine::rating_pool::{RatingPoolFault, RatingShare};
use slapledger_engine::{Engine, ProjectView, ViewLeases, ViewSource};
use slapledger_kit::code::ProblemCode;
use slapledger_kit::collect::BodyLimit;
use slapledger_kit::problem::Problem;
use slapledger_kit::text::of_parameters;
use slapledger_projections::instances::InstanceView;
use slapledger_projections::runner::ReadFault;
use slapledger_projections::{AccessView, SlapViews};

use super::caller::Caller;

/// A request, or what the program does by itself. Cheap to clone.
#[derive(Clone)]
pub struct RequestContext {
    /// What carries it out.
    pub engine: Arc<Engine>,
    /// On whose behalf: what is shown and done is what they may see and do.
    pub caller: Caller,
    /// The project whose views these are, and to which commands belong.
    pub project: ProjectId,
    /// When its sender stops waiting, if it has one.
    pub deadline: Option<Instant>,
    /// The views that it reads, where it asks for those of an earlier event.
    pub past: Option<Arc<PastViews>>,
    /// The generations of the views that it reads. What goes on for long has none: each of its reads is of the
    /// generation that is live then.
    pub leases: Option<Arc<ViewLeases>>,
}

/// How long a read waits for views of the past; after that its sender asks again.
const PAST_PATIENCE: Duration = Duration::from_secs(2);

/// Views of the past, if they are there yet.
pub enum PastAnswer {
    /// They are.
    Ready(Arc<PastViews>),
    /// They are being derived.
    Pending(PastProgress),
}

/// The computers that somebody may see.
pub struct ComputersSeen(Option<BTreeSet<ComputerId>>);

impl ComputersSeen {
    /// Whether these are all there are.
    pub fn are_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is one of them.
    pub fn has(&self, computer: &ComputerId) -> bool {
        self.0.as_ref().is_none_or(|seen| seen.contains(computer))
    }
}

/// Carries something on when the requester does not wait any more: between its steps nothing stops.
pub async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Problem::fault(&error)))
}

impl RequestContext {
    /// What the program does by itself, or for the one local user, in the first project.
    pub fn local(engine: Arc<Engine>) -> Self {
        let (deadline, past, leases) = (None, None, None);
        Self { engine, caller: Caller::Local, project: ProjectId::DEFAULT, deadline, past, leases }
    }

    /// The same for what goes on for long: it reads whichever generations are live.
    #[must_use]
    pub fn unleased(&self) -> Self {
        Self { leases: None, ..self.clone() }
    }

    /// The same in another project.
    #[must_use]
    pub fn within(&self, project: ProjectId) -> Self {
        Self { project, ..self.clone() }
    }

    /// The same for somebody: in their project, with what they may open.
    #[must_use]
    pub fn seen_by(&self, caller: &Caller) -> Self {
        let project = caller.principal().map_or(self.project, |principal| principal.project);
        Self { project, caller: caller.clone(), ..self.clone() }
    }

    /// The projects in which something happened, as far as the views are: a context for each, for what goes on by
    /// itself.
    pub fn of_all_projects(&self) -> Vec<Self> {
        self.engine.projects().into_iter().map(|project| self.within(project)).collect()
    }

    /// The one writer.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.engine.ledger
    }

    /// The keys of sealed values, which open nothing for anyone who may open nothing.
    pub fn keys(&self) -> &Arc<KeyRing> {
        if self.caller.opens() { &self.engine.keys } else { &self.engine.withheld_keys }
    }

    /// The same keys, and the most bytes of parameters that are sealed under them.
    pub fn parameter_keys(&self) -> (&KeyRing, usize) {
        (self.keys(), self.engine.most_parameter_bytes)
    }

    /// The longest body that carries parameters.
    pub fn parameter_body(&self) -> BodyLimit {
        of_parameters(self.engine.most_parameter_bytes)
    }

    /// What SLAP and lists are answered from.
    pub fn slap(&self) -> ProjectView<'_, SlapViews> {
        match (&self.past, &self.leases) {
            (Some(past), _) => past.slap_of(self.project),
            (None, Some(leases)) => leases.slap_of(self.project),
            (None, None) => self.engine.slap_of(self.project),
        }
    }

    /// Metering, prices, runs and invoices.
    pub fn billing(&self) -> ProjectView<'_, BillingView> {
        match (&self.past, &self.leases) {
            (Some(past), _) => past.billing_of(self.project),
            (None, Some(leases)) => leases.billing_of(self.project),
            (None, None) => self.engine.billing_of(self.project),
        }
    }

    /// Projects and credentials.
    pub fn access(&self) -> ViewSource<'_, AccessView> {
        match (&self.past, &self.leases) {
            (Some(past), _) => past.access(),
            (None, Some(leases)) => leases.access(),
            (None, None) => ViewSource::Live(&self.engine.access),
        }
    }

    /// The last event that a read reflects at least: all that was acknowledged, or the one that it asks for.
    pub fn newest(&self) -> Sequence {
        self.past.as_ref().map_or_else(|| self.ledger().head().last, |past| past.at)
    }

    /// The views as of an earlier event: at once if they are kept, and else as soon as they are derived, in the share of
    /// the caller. The work goes on if the caller does not wait, so that asking again finds it done.
    pub async fn views_as_of(&self, at: Sequence) -> Result<PastAnswer, Problem> {
        let busy = |fault: PastFault| match fault {
            PastFault::Busy => {
                Problem::later(ProblemCode::Overloaded, format!("{fault}; try again later"), 5)
            }
            PastFault::Unread { .. } | PastFault::Panicked { .. } => Problem::fault(&fault),
        };
        let share = self.rating_share();
        let mut progress = match self.engine.past.find(at, &share).map_err(busy)? {
            FoundPast::Kept(views) => return Ok(PastAnswer::Ready(views)),
            FoundPast::Derived(progress) => progress,
            FoundPast::Absent(progress, work) => {
                let (engine, store) = (Arc::clone(&self.engine), Arc::clone(self.ledger().store()));
                // What is not done tells so itself.
                tokio::spawn(async move {
                    let _ = engine.rating.run(share, move || work.run(&*store)).await;
                    let past = engine.past.clone();
                    drop(engine);
                    if past.begin_forgetting() {
                        while !past.forget_idle() {
                            tokio::time::sleep(LOOK_FOR_IDLE).await;
                        }
                    }
                });
                progress
            }
        };
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let patience = left.map_or(PAST_PATIENCE, |left| (left / 2).min(PAST_PATIENCE));
        match tokio::time::timeout(patience, progress.finished()).await {
            Ok(done) => done.map(PastAnswer::Ready).map_err(busy),
            Err(_) => Ok(PastAnswer::Pending(progress)),
        }
    }

    /// What the ledger is run as.
    pub fn mode(&self) -> Mode {
        self.engine.mode
    }

    /// What time it is; for a read of the past, when its last event was recorded.
    pub fn now(&self) -> Timestamp {
        self.past.as_ref().map_or_else(|| self.engine.now(), |past| past.time)
    }

    /// What issues certificates.
    pub fn certifier(&self) -> Result<&Certifier, Problem> {
        let none = || Problem::not_found("there are no certificates here: nobody needs one");
        self.engine.certifier.as_deref().ok_or_else(none)
    }

    /// Reads what takes long from a generation of the billing view, one that has taken over all events up to `min`. The
    /// work holds no lock and no thread that answers others; it waits for a place in the share of the caller, and
    /// stops when they do not wait any more.
    pub async fn rate<T: Send + 'static>(
        self: &Arc<Self>,
        min: Sequence,
        work: impl FnOnce(&Self, &BillingView, Sequence) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.billing().reach(min).await?;
        self.work_long(move |ctx| {
            let (view, sequence) = ctx.billing().generation();
            work(ctx, &view, sequence)
        })
        .await
    }

    /// Does what may take long in a place of the pool, as [`rate`](Self::rate) does, without a view.
    pub async fn work_long<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let ctx = Arc::clone(self);
        let done = self.engine.rating.run(self.rating_share(), move || work(&ctx));
        done.await.unwrap_or_else(|fault| match fault {
            RatingPoolFault::Full | RatingPoolFault::NoPlace => {
                Err(Problem::later(ProblemCode::Overloaded, format!("{fault}; try again later"), 5))
            }
            RatingPoolFault::Panicked => Err(Problem::fault(&fault)),
        })
    }

    fn rating_share(&self) -> RatingShare {
        let party = self.caller.principal().map(|principal| match &principal.holder {
            Holder::Operator(name) => name.clone(),
            Holder::Party(party) => party.to_string().into(),
            Holder::Computer(computer) => computer.as_str().into(),
            Holder::Instance(instance) => instance.to_string().into(),
        });
        RatingShare { project: self.project, party: party.unwrap_or_default() }
    }

    /// The keys with which to open what is sealed in an instance for the caller.
    pub fn keys_for(&self, instance: &InstanceView) -> &Arc<KeyRing> {
        // Who may read the past is decided by what is so now: what has ended has no node, which needs nothing of it.
        let still = |view: &SlapViews, _| {
            view.instances.get(instance.id).is_some_and(|now| self.caller.opens_instance(now))
        };
        let opens = self.caller.opens_instance(instance)
            && (self.past.is_none() || self.engine.slap_of(self.project).read(still));
        if opens { self.keys() } else { &self.engine.withheld_keys }
    }

    /// The computers of the caller, as of a sequence.
    pub async fn computers_seen(&self, at: Sequence) -> Result<ComputersSeen, ReadFault> {
        if self.caller.reaches_all() {
            return Ok(ComputersSeen(None));
        }
        let theirs = |view: &SlapViews, _| {
            let computers = view.inventory.iter().filter(|computer| self.caller.sees_computer(computer));
            computers.map(|computer| computer.id.clone()).collect()
        };
        Ok(ComputersSeen(Some(self.slap().read_at(at, theirs).await?)))
    }

    /// A computer said something, or somebody on its behalf, which is no sign of life.
    pub fn heard(&self, computer: &ComputerId) {
        if self.caller.is_node() {
            self.engine.contacts.heard(self.project, computer, self.now());
        }
    }

    /// When a computer was last heard of, since the program started. Nobody knows that of the past.
    pub fn last_heard(&self, computer: &ComputerId) -> Option<Timestamp> {
        self.past.is_none().then(|| self.engine.contacts.last(self.project, computer)).flatten()
    }

    /// What is written around the events of a command that its sender did not name.
    pub fn meta(&self, actor: Actor, digest: [u8; 16]) -> Meta {
        self.engine.meta(self.project, actor, digest)
    }

    /// Carries out a command of the program itself, from a thread without a runtime.
    pub fn submit_own(&self, actor: Actor, command: Command) -> Result<Accepted, SubmitError> {
        self.engine.submit_own(self.project, actor, command)
    }

    /// A command of the program itself, with its content in bytes.
    pub fn own(&self, actor: Actor, command: Command, content: &[u8]) -> Submission {
        self.engine.own(self.project, actor, command, content)
    }

    /// Where an instance is; waits for what has been acknowledged.
    pub fn place_of(&self, instance: InstanceId) -> Option<(ComputerId, PartitionId)> {
        let place = |view: &SlapViews| {
            view.inventory.place(instance).map(|(computer, partition)| (computer.clone(), partition.clone()))
        };
        self.slap_now(place).ok().flatten()
    }

    /// The key an instance's values are sealed under; waits for what has been acknowledged.
    pub fn key_of(&self, instance: InstanceId) -> Option<KeyId> {
        self.slap_now(|view| view.instances.get(instance).map(InstanceView::key)).ok().flatten()
    }

    /// Reads the billing view as of all that has been acknowledged; for threads without a runtime.
    pub fn billing_now<R>(&self, read: impl FnOnce(&BillingView) -> R) -> Result<R, ReadFault> {
        self.billing().read_at_blocking(self.newest(), |view, _| read(view))
    }

    /// Reads the SLAP views as of all that has been acknowledged; for threads without a runtime.
    pub fn slap_now<R>(&self, read: impl FnOnce(&SlapViews) -> R) -> Result<R, ReadFault> {
        self.slap().read_at_blocking(self.newest(), |view, _| read(view))
    }
}
