//! The running program: ledger, key ring and views, and how the edge reaches them.

use std::any::Any;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow, ensure};
use indicatif::MultiProgress;
use slapledger_billing::BillingView;
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{
    CommandId, ComputerId, InstanceId, KeyId, PartitionId, PartyId, ProjectId, Sequence,
};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::fingerprints::{self, TieredIndex};
use slapledger_core::keyring::{self, KeyRing, KeyRingFault};
use slapledger_core::ledger::{
    Accepted, Clock, ClockBounds, FreeSpace, GuardOptions, IndexAt, Ledger, NoIndex, Options, RoomOptions,
    Submission, SubmitError,
};
use slapledger_core::log::envelope::{Actor, ActorKind, Meta, RULES_VERSION};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::{EventStore, Head};
use slapledger_projections::instances::Instance;
use slapledger_projections::runner::{
    self, FinishFault, ReadFault, RebuildFault, Rebuilt, Restored, Runner, Status,
};
use slapledger_projections::{AccessView, Part, Projects, SlapViews, View};

use crate::access::{Caller, Doors};
use crate::certification::Certifier;
use crate::config::Requests;
use crate::contacts::Contacts;
use crate::erasure;
use crate::folder;
use crate::health::Monitor;
use crate::http::problem::Problem;
use crate::shipping::Shipping;
use crate::slap::cache::Documents;

/// How many commands may wait for the writer; more are answered 503.
const QUEUE: usize = 4096;

/// Name and version of this program.
pub const PROGRAM: &str = concat!("slapledger ", env!("CARGO_PKG_VERSION"));

/// A ledger that runs, and everything derived from it.
pub struct App {
    /// The one writer.
    pub ledger: Arc<Ledger>,
    /// The log that it writes, for commands that copy its files.
    pub log: Arc<SledStore>,
    /// What copies sealed epochs elsewhere, where that is configured.
    pub shipping: Option<Arc<Shipping>>,
    /// The keys of sealed values.
    pub keys: Arc<KeyRing>,
    /// What SLAP and lists are answered from.
    pub slap: Scoped<SlapViews>,
    /// Metering, prices, runs and invoices.
    pub billing: Scoped<BillingView>,
    /// What nodes fetch, as it was last written.
    pub documents: Arc<Documents>,
    /// Which computers were heard of.
    pub contacts: Contacts,
    /// Whether a key could not be destroyed.
    pub owed: Arc<erasure::Owed>,
    /// What health is told from, and is not in memory.
    pub health: Arc<Monitor>,
    /// What this run is known by, to those who ask whether two addresses are one server.
    pub run: [u8; 16],
    /// What it is run as.
    pub mode: Mode,
    /// Who is let in.
    pub access: Arc<Runner<AccessView>>,
    /// How it is kept who comes in; nobody is asked, if it is not.
    pub doors: Option<Arc<Doors>>,
    /// Bounds of requests.
    pub requests: Arc<Requests>,
    /// Who issues certificates, where anybody has to have one.
    pub certifier: Option<Arc<Certifier>>,
    /// On whose behalf this is: what is shown and done is what they may see and do.
    pub caller: Caller,
    /// Where requests that name no computer look for room; anywhere, if nowhere is said.
    pub default_computer: Option<ComputerId>,
    /// Where everything is kept.
    pub data: PathBuf,
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

/// The view of one project: who holds this can read no other. Cheap to clone.
pub struct Scoped<V: View> {
    runner: Arc<Runner<Projects<V>>>,
    project: ProjectId,
}

impl<V: View> Clone for Scoped<V> {
    fn clone(&self) -> Self {
        self.within(self.project)
    }
}

impl<V: View> Scoped<V> {
    /// The view of another project.
    #[must_use]
    pub fn within(&self, project: ProjectId) -> Self {
        Self { runner: Arc::clone(&self.runner), project }
    }

    /// Whose view it is.
    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// See [`Runner::read`].
    pub fn read<R>(&self, read: impl FnOnce(&V, Sequence) -> R) -> R {
        self.runner.read(|projects, at| read(projects.of(self.project), at))
    }

    /// See [`Runner::read_at`].
    pub async fn read_at<R>(
        &self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.runner.read_at(min, |projects, at| read(projects.of(self.project), at)).await
    }

    /// See [`Runner::read_at_blocking`].
    pub fn read_at_blocking<R>(
        &self,
        min: Sequence,
        read: impl FnOnce(&V, Sequence) -> R,
    ) -> Result<R, ReadFault> {
        self.runner.read_at_blocking(min, |projects, at| read(projects.of(self.project), at))
    }

    /// Reads the views of all projects: for the program itself, never for an answer.
    pub fn read_all<R>(&self, read: impl FnOnce(&Projects<V>, Sequence) -> R) -> R {
        self.runner.read(read)
    }

    /// See [`Runner::reach`].
    pub async fn reach(&self, min: Sequence) -> Result<(), ReadFault> {
        self.runner.reach(min).await
    }

    /// Its name, which is that of the views of all projects.
    pub fn name(&self) -> &'static str {
        self.runner.name()
    }

    /// How the views of all projects are doing.
    pub fn status(&self) -> Status {
        self.runner.status()
    }

    /// What the views of all projects hold in short, and the last event in them.
    pub fn parts(&self) -> (Vec<Part>, Sequence) {
        self.runner.parts()
    }

    /// Builds the views of all projects anew: see [`Runner::rebuild`].
    pub fn rebuild(&self, progress: impl FnMut(Sequence)) -> Result<Rebuilt, RebuildFault> {
        self.runner.rebuild(progress)
    }

    /// See [`Runner::finish`].
    pub fn finish(&self) -> Result<(), FinishFault> {
        self.runner.finish()
    }
}

/// How a program is opened.
pub struct Open<'a> {
    /// Where everything is kept.
    pub data: &'a Path,
    /// What it is run as.
    pub mode: Mode,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The file of the master key of the key ring, if it does not lie beside the ring.
    pub master_key: Option<&'a Path>,
}

/// What the writer watches, and within which bounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct GuardBounds {
    /// How far the clock may step.
    pub clock: ClockBounds,
    /// How many bytes are kept free where the data folder is; see [`RoomOptions`].
    pub reserve_bytes: Option<u64>,
}

/// How much room there is on the file system of a folder for the account of this process.
pub(crate) fn free_space(folder: &Path) -> std::io::Result<FreeSpace> {
    let seen = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(seen.f_frsize);
    Ok(FreeSpace { free: bytes(seen.f_bavail), total: bytes(seen.f_blocks) })
}

/// Carries something on when whoever asked for it does not wait any more: between its steps nothing stops.
pub async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Problem::fault(&error)))
}

impl App {
    /// Opens or makes a data folder, reads the log and starts to write. The views catch up on their own threads.
    pub fn open(open: Open<'_>) -> anyhow::Result<Self> {
        Self::open_guarded(open, GuardBounds::default())
    }

    /// The same with a writer that watches clock and disk within these bounds.
    pub fn open_guarded(open: Open<'_>, bounds: GuardBounds) -> anyhow::Result<Self> {
        let data = open.data.to_owned();
        std::fs::create_dir_all(&data)
            .with_context(|| format!("create the data folder {}", data.display()))?;
        let (log, ring) = (data.join(folder::LOG), data.join(folder::KEYS));
        ensure!(log.exists() || !ring.exists(), missing(&log, &ring));
        let master_key = open.master_key.map(Path::to_owned);
        let now = Some(open.clock.now());
        let of_ring = keyring::Options { master_key, now };
        if ring.join("ring").exists() {
            // A ring that refuses does so before the log is opened to be written: a refusal changes nothing. One that is in
            // use is met below, where its user gets time to end.
            match KeyRing::open_read_only(&ring, &of_ring) {
                Ok(_) | Err(KeyRingFault::InUse { .. }) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        let sled = Arc::new(folder::open_log(&data)?);
        let store = Arc::clone(&sled) as Arc<dyn EventStore>;
        ensure!(store.head()? == Head::EMPTY || KeyRing::exists(&ring), missing(&ring, &log));
        let keys = Arc::new(KeyRing::open(&ring, &of_ring)?);
        let options = Options {
            mode: open.mode,
            new_ledger: random_id(),
            key_ring: keys.id(),
            program: PROGRAM.to_owned(),
            queue: QUEUE,
            snapshot: Some(data.join(folder::STATE).join(folder::WRITER_SNAPSHOT)),
            seen: index_at(data.join(folder::INDEX), keys.fingerprint_key()),
        };
        let GuardBounds { clock, reserve_bytes } = bounds;
        let look = {
            let data = data.clone();
            Box::new(move || free_space(&data))
        };
        let guards = GuardOptions { clock, room: Some(RoomOptions { reserve_bytes, look }) };
        let state = data.join(folder::STATE);
        let end = store.head()?.last;
        let reads = Arc::clone(&store);
        let (ledger, views) = thread::scope(|scope| {
            let views = scope.spawn(|| RestoredViews::from_log(&*reads, &state, end));
            (Ledger::open_guarded(store, open.clock, options, guards), views.join())
        });
        let ledger = Arc::new(ledger?);
        let (slap, billing, access) = views.map_err(panicked)??.follow(&ledger, (&state, false))?;
        let lost = lost_keys(&slap, &keys);
        ensure!(
            lost == 0,
            "{} is older than {}: the keys of {lost} instances are missing",
            ring.display(),
            log.display()
        );
        let destroyed =
            erasure::destroy_all(&keys, &slap, &billing).context("destroy the keys of what was erased")?;
        if destroyed > 0 {
            tracing::warn!(destroyed, "keys of what was erased were still there; they are destroyed now");
        }
        Ok(Self::of(data, (sled, ledger, keys), (slap, billing, access)))
    }

    /// Opens a data folder to be read, and writes nothing in it. Every command is refused, and what is sealed is
    /// withheld if the key ring cannot be read.
    pub fn open_read_only(
        data: &Path,
        clock: Arc<dyn Clock>,
        master_key: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let sled = Arc::new(folder::read_log(data)?);
        let store = Arc::clone(&sled) as Arc<dyn EventStore>;
        let ledger = Arc::new(Ledger::open_read_only(store, clock)?);
        let ring = data.join(folder::KEYS);
        let options = keyring::Options { master_key: master_key.map(Path::to_owned), now: None };
        let opened = KeyRing::open_read_only(&ring, &options).map_err(|fault| fault.to_string());
        let is_of_log = |keys: &KeyRing| keys.id() == ledger.created().key_ring;
        let other = || format!("{} is not the key ring of this log", ring.display());
        let keys = opened.and_then(|keys| if is_of_log(&keys) { Ok(keys) } else { Err(other()) });
        let keys = keys.unwrap_or_else(|cause| {
            tracing::warn!("{cause}; names and parameters are withheld");
            KeyRing::in_memory().withheld()
        });
        let keys = Arc::new(keys);
        let state = data.join(folder::STATE);
        let views = RestoredViews::from_log(&**ledger.store(), &state, ledger.head().last)?;
        let (slap, billing, access) = views.follow(&ledger, (&state, true))?;
        // For this process alone: the ring is only read.
        erasure::destroy_all(&keys, &slap, &billing).context("withhold what was erased")?;
        Ok(Self::of(data.to_owned(), (sled, ledger, keys), (slap, billing, access)))
    }

    /// What runs on a ledger and its views, for whoever is on this machine.
    fn of(
        data: PathBuf,
        (log, ledger, keys): (Arc<SledStore>, Arc<Ledger>, Arc<KeyRing>),
        (slap, billing, access): (Scoped<SlapViews>, Scoped<BillingView>, Arc<Runner<AccessView>>),
    ) -> Self {
        let mode = ledger.created().mode;
        let health = Arc::new(Monitor::of(&ledger));
        let documents = Arc::new(Documents::default());
        keys.on_destroy({
            let documents = Arc::clone(&documents);
            move || documents.forget()
        });
        Self {
            ledger,
            log,
            shipping: None,
            keys,
            slap,
            billing,
            documents,
            contacts: Contacts::default(),
            owed: Arc::default(),
            health,
            run: random_id(),
            mode,
            access,
            doors: None,
            requests: Arc::default(),
            certifier: None,
            caller: Caller::Local,
            default_computer: None,
            data,
        }
    }

    /// The project whose views these are, and to which its own commands belong.
    pub fn project(&self) -> ProjectId {
        self.slap.project
    }

    /// The same program as seen from another project. Cheap.
    #[must_use]
    pub fn within(&self, project: ProjectId) -> Self {
        Self {
            ledger: Arc::clone(&self.ledger),
            log: Arc::clone(&self.log),
            shipping: self.shipping.clone(),
            keys: Arc::clone(&self.keys),
            slap: self.slap.within(project),
            billing: self.billing.within(project),
            documents: Arc::clone(&self.documents),
            contacts: self.contacts.within(project),
            health: Arc::clone(&self.health),
            run: self.run,
            mode: self.mode,
            access: Arc::clone(&self.access),
            owed: Arc::clone(&self.owed),
            doors: self.doors.clone(),
            requests: Arc::clone(&self.requests),
            certifier: self.certifier.clone(),
            caller: self.caller.clone(),
            default_computer: self.default_computer.clone(),
            data: self.data.clone(),
        }
    }

    /// The same program as somebody sees it: from their project, with what they may open.
    #[must_use]
    pub fn seen_by(&self, caller: &Caller) -> Self {
        let project = caller.known().map_or(self.project(), |known| known.project);
        let mut seen = self.within(project);
        if !caller.opens() {
            seen.keys = Arc::new(self.keys.withheld());
        }
        seen.caller = caller.clone();
        seen
    }

    /// Who issues certificates.
    pub fn certifier(&self) -> Result<&Certifier, Problem> {
        let none = || Problem::not_found("there are no certificates here: nobody needs one");
        self.certifier.as_deref().ok_or_else(none)
    }

    /// Reads what takes its time on a thread made for that.
    pub async fn apart<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || read(&app)).await.map_err(|error| Problem::fault(&error))
    }

    /// The keys with which to open what is sealed in an instance for whoever this is for.
    pub fn keys_for(&self, instance: &Instance) -> Arc<KeyRing> {
        if self.caller.opens_instance(instance) {
            Arc::clone(&self.keys)
        } else {
            Arc::new(self.keys.withheld())
        }
    }

    /// The computers of whoever this is for, as of a sequence.
    pub async fn computers_seen(&self, at: Sequence) -> Result<ComputersSeen, ReadFault> {
        if self.caller.reaches_all() {
            return Ok(ComputersSeen(None));
        }
        let theirs = |view: &SlapViews, _| {
            let computers = view.inventory.iter().filter(|computer| self.caller.sees_computer(computer));
            computers.map(|computer| computer.id.clone()).collect()
        };
        Ok(ComputersSeen(Some(self.slap.read_at(at, theirs).await?)))
    }

    /// A computer said something, or somebody on its behalf, which is no sign of life.
    pub fn heard(&self, computer: &ComputerId) {
        if self.caller.is_node() {
            self.contacts.heard(computer, self.now());
        }
    }

    /// What is written around the events of a command that its sender did not name.
    pub fn meta(&self, actor: Actor, digest: [u8; 16]) -> Meta {
        Meta {
            project: self.project(),
            actor,
            command: CommandId(random_id()),
            named_by_sender: false,
            digest,
            causation: None,
            correlation: None,
            rules: RULES_VERSION,
        }
    }

    /// The projects in which something happened, as far as the views are: each as [`within`](Self::within) gives it, for what
    /// goes on by itself.
    pub fn of_all_projects(&self) -> Vec<Self> {
        let ids: Vec<_> = self.slap.read_all(|projects, _| projects.ids().collect());
        ids.into_iter().map(|project| self.within(project)).collect()
    }

    /// Carries out a command of the program itself, from a thread without a runtime.
    pub fn submit_own(&self, actor: Actor, command: Command) -> Result<Accepted, SubmitError> {
        let content = format!("{command:?}");
        self.ledger.submit_blocking(self.own(actor, command, content.as_bytes()))
    }

    /// A command of the program itself, with its content in bytes.
    pub fn own(&self, actor: Actor, command: Command, content: &[u8]) -> Submission {
        let digest = self.keys.command_digest(&[content]);
        Submission { meta: Arc::new(self.meta(actor, digest)), command }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.ledger.clock().now()
    }

    /// Where an instance is; waits for what has been acknowledged.
    pub fn place_of(&self, instance: InstanceId) -> Option<(ComputerId, PartitionId)> {
        let head = self.ledger.head().last;
        let place = |view: &SlapViews| {
            view.inventory.place(instance).map(|(computer, partition)| (computer.clone(), partition.clone()))
        };
        self.slap.read_at_blocking(head, |view, _| place(view)).ok().flatten()
    }

    /// The key an instance's values are sealed under; waits for what has been acknowledged.
    pub fn key_of(&self, instance: InstanceId) -> Option<KeyId> {
        let head = self.ledger.head().last;
        self.slap
            .read_at_blocking(head, |view, _| view.instances.get(instance).map(Instance::key))
            .ok()
            .flatten()
    }

    /// Takes no more commands, finishes those under way, and snapshots everything. The error is one line with all that
    /// failed, now or while it ran.
    pub fn shut_down(&self) -> anyhow::Result<()> {
        if let Some(shipping) = &self.shipping {
            shipping.stop();
        }
        self.health.stop();
        let mut failed = Vec::new();
        failed.extend(self.ledger.shut_down().err().map(|fault| fault.to_string()));
        for view in [self.slap.finish(), self.billing.finish(), self.access.finish()] {
            failed.extend(view.err().map(|fault| fault.to_string()));
        }
        failed.extend(self.ledger.store().close().err().map(|fault| fault.to_string()));
        ensure!(
            failed.is_empty(),
            "did not shut down cleanly: {}; what was acknowledged is in the log of {}, start it again",
            failed.join("; ").replace(['\n', '\r'], " "),
            self.data.display()
        );
        Ok(())
    }

    /// Reads the billing view as of all that has been acknowledged; for threads without a runtime.
    pub fn billing_now<R>(&self, read: impl FnOnce(&BillingView) -> R) -> anyhow::Result<R> {
        Ok(self.billing.read_at_blocking(self.ledger.head().last, |view, _| read(view))?)
    }

    /// Reads the SLAP views as of all that has been acknowledged; for threads without a runtime.
    pub fn slap_now<R>(&self, read: impl FnOnce(&SlapViews) -> R) -> anyhow::Result<R> {
        Ok(self.slap.read_at_blocking(self.ledger.head().last, |view, _| read(view))?)
    }
}

/// A loss is not made good with something new and empty: a start makes the log first, then the keys, then events.
fn missing(what: &Path, beside: &Path) -> String {
    format!("{} is missing beside {}; restore it from a backup", what.display(), beside.display())
}

/// The index of usage identities in a folder, as it was at a sequence.
fn index_at(folder: PathBuf, key: [u8; 16]) -> IndexAt {
    let damaged = |fault: fingerprints::Fault| NoIndex::Damaged(format!("{:#}", anyhow::Error::from(fault)));
    Box::new(move |at| {
        let index = if at == Sequence::ZERO {
            TieredIndex::create(&folder, key).map_err(damaged)?
        } else {
            TieredIndex::open(&folder, key, at).map_err(damaged)?.ok_or(NoIndex::Absent)?
        };
        Ok(Box::new(index))
    })
}

/// How many instances have a key that the ring never had.
fn lost_keys(slap: &Scoped<SlapViews>, keys: &KeyRing) -> usize {
    slap.read_all(|projects, _| {
        let instances = projects.iter().flat_map(|(_, view)| view.instances.iter());
        instances.filter(|known| !keys.knows(known.key())).count()
    })
}

/// The views of all projects, and who has access.
type Views = (Scoped<SlapViews>, Scoped<BillingView>, Arc<Runner<AccessView>>);

/// All views as of an event; nobody keeps them up to date yet.
struct RestoredViews {
    slap: Restored<Projects<SlapViews>>,
    billing: Restored<Projects<BillingView>>,
    access: Restored<AccessView>,
}

impl RestoredViews {
    /// Restores the views, with a bar for each if that takes long enough to be seen. They know nothing of each other: each
    /// has a thread.
    fn from_log(store: &dyn EventStore, state: &Path, until: Sequence) -> anyhow::Result<Self> {
        let bars = MultiProgress::new();
        let (slap, access, billing) = thread::scope(|scope| {
            let slap = scope.spawn(|| restore_view("slap", store, state, until, &bars));
            let access = scope.spawn(|| restore_view("access", store, state, until, &bars));
            let billing = restore_view("billing", store, state, until, &bars);
            (slap.join(), access.join(), billing)
        });
        let (slap, access) = (slap.map_err(panicked)??, access.map_err(panicked)??);
        Ok(Self { slap, billing: billing?, access })
    }

    /// Keeps the views up to date from now on. The folder of snapshots may be one that is only read.
    fn follow(self, ledger: &Ledger, (state, read_only): (&Path, bool)) -> anyhow::Result<Views> {
        let Self { slap, billing, access } = self;
        let follows = Follows { ledger, state, read_only };
        let project = ProjectId::DEFAULT;
        let slap = Scoped { runner: Arc::new(follows.run(slap)?), project };
        let billing = Scoped { runner: Arc::new(follows.run(billing)?), project };
        Ok((slap, billing, Arc::new(follows.run(access)?)))
    }
}

fn panicked(_: Box<dyn Any + Send>) -> anyhow::Error {
    anyhow!("the thread of a view panicked")
}

fn restore_view<V: View>(
    name: &'static str,
    store: &dyn EventStore,
    state: &Path,
    until: Sequence,
    bars: &MultiProgress,
) -> anyhow::Result<Restored<V>> {
    let bar = bars.add(crate::cli::progress::bar(name, until));
    let restored = Restored::from_log(name, store, Some(state), until, |reached| bar.set_position(reached.0));
    bar.finish_and_clear();
    restored.with_context(|| format!("bring the view {name} up to date"))
}

/// What runners of views need.
struct Follows<'a> {
    ledger: &'a Ledger,
    state: &'a Path,
    read_only: bool,
}

impl Follows<'_> {
    fn run<V: View>(&self, restored: Restored<V>) -> anyhow::Result<Runner<V>> {
        let Self { ledger, state, read_only } = *self;
        let name = restored.name();
        let room = ledger.room().cloned();
        let options =
            runner::Options { folder: Some(state.to_owned()), read_only, room, ..runner::Options::default() };
        Runner::follow(restored, ledger.feed(), Arc::clone(ledger.store()), options)
            .with_context(|| format!("bring the view {name} up to date"))
    }
}

/// Sixteen random bytes, as the id of something new.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn random_id() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

/// Random bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

/// A party as an actor.
pub fn person(party: PartyId) -> Actor {
    Actor { kind: ActorKind::Person, id: party.to_string().into(), credential: None }
}

/// A computer as an actor.
pub fn computer(computer: &ComputerId) -> Actor {
    Actor { kind: ActorKind::Computer, id: computer.as_str().into(), credential: None }
}
