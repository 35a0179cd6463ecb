//! The engine: ledger, keys, views and caches of one data folder, and what keeps them running.
//!
//! It is opened once and shared by everybody. It knows none of its users: no protocol, no caller, no command line. Who
//! opens it says how progress is shown ([`ViewProgress`]).
//!
//! Invariant: views of one project are read through a [`ProjectView`], which can read no other.

pub mod certifier;
pub mod clock;
pub mod contacts;
pub mod documents;
pub mod erased_keys;
pub mod folder;
pub mod health;
mod identity;
pub mod kept_checkpoints;
pub mod lost_keys;
pub mod metrics;
pub mod notary;
pub mod past;
pub mod publishing;
pub mod rating_pool;
pub mod rebuilds;
pub mod receipts;
mod restored;
pub mod shipping;
mod stop_signal;
mod views;
pub mod witnesses;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, ensure};
use slapledger_billing::BillingView;
use slapledger_core::domain::Command;
use slapledger_core::domain::event::{LedgerCreated, Mode};
use slapledger_core::domain::id::{CommandId, ComputerId, ProjectId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::UsageLimits;
use slapledger_core::fingerprints::{self, TieredIndex};
use slapledger_core::keyring::{self, KeyRing, KeyRingFault};
use slapledger_core::ledger::{
    Accepted, Clock, ClockBounds, FreeSpace, GuardOptions, IndexAt, Ledger, LedgerOptions, NoIndex,
    OpenFault, RoomOptions, Submission, SubmitError, created,
};
use slapledger_core::log::envelope::{Actor, Meta, RULES_VERSION};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::{EventStore, Head};
use slapledger_projections::runner::Runner;
use slapledger_projections::{AccessView, Projects, SlapViews};

use certifier::Certifier;
use contacts::Contacts;
use documents::DocumentCaches;
use erased_keys::DestructionDue;
use health::{HealthFault, Monitor};
use kept_checkpoints::KeptCheckpoints;
use lost_keys::LostKeys;
use metrics::Metrics;
use notary::Notary;
use past::PastCache;
use publishing::Publishing;
use rating_pool::RatingPool;
use rebuilds::RebuildSettings;
use receipts::UsageReceipts;
use restored::{RestoredViews, Views};
use shipping::Shipping;

pub use identity::{PROGRAM, random_bytes, random_id};
pub use views::{ProjectView, ViewLeases, ViewSource};

/// How many commands may wait for the writer; more are answered 503.
const QUEUE: usize = 4096;

/// A ledger that runs, and everything derived from it.
pub struct Engine {
    /// The one writer.
    pub ledger: Arc<Ledger>,
    /// The log that it writes, for commands that copy its files.
    pub log: Arc<SledStore>,
    /// What copies sealed epochs elsewhere, where that is configured.
    pub shipping: Option<Arc<Shipping>>,
    /// What publishes checkpoints, where something does.
    pub publishing: Option<Arc<Publishing>>,
    /// The keys of sealed values.
    pub keys: Arc<KeyRing>,
    /// The same keys for those who may open nothing.
    pub withheld_keys: Arc<KeyRing>,
    /// What SLAP and lists are answered from, of all projects.
    pub slap: Runner<Projects<SlapViews>>,
    /// Metering, prices, runs and invoices, of all projects.
    pub billing: Runner<Projects<BillingView>>,
    /// Projects and credentials.
    pub access: Runner<AccessView>,
    /// What makes proofs over the log.
    pub notary: Arc<Notary>,
    /// Where what takes long is rated.
    pub rating: RatingPool,
    /// The views as they were at earlier events.
    pub past: PastCache,
    /// What nodes fetch, as it was last written.
    pub documents: Arc<DocumentCaches>,
    /// When computers were last heard of.
    pub contacts: Contacts,
    /// What became of usage events that were sent since the start.
    pub receipts: UsageReceipts,
    /// Whether a key is still to be destroyed.
    pub destruction_due: DestructionDue,
    /// What Prometheus reads.
    pub metrics: Arc<Metrics>,
    /// What health is told from, and is not in memory.
    pub health: Arc<Monitor>,
    /// What this run is known by, to those who ask whether two addresses are one server.
    pub run: [u8; 16],
    /// What it is run as.
    pub mode: Mode,
    /// What issues certificates, where anybody has to have one.
    pub certifier: Option<Arc<Certifier>>,
    /// Where requests that name no computer look for room; anywhere, if nowhere is said.
    pub default_computer: Option<ComputerId>,
    /// The most bytes of the parameters of one instance, and of its connection parameters, as they are stored.
    pub most_parameter_bytes: usize,
    /// What applies to every rebuild of a view.
    pub rebuilds: RebuildSettings,
    /// Where everything is kept.
    pub data: PathBuf,
}

/// The most bytes of the parameters of one instance, if nothing else is configured.
pub const MOST_PARAMETER_BYTES: usize = 8 * 1024 * 1024;

/// Called when a view begins to catch up, with its name and the end of the log; what it returns is called as the view
/// comes closer, and dropped when it has arrived.
pub type ViewProgress<'a> = &'a (dyn Fn(&'static str, Sequence) -> Box<dyn FnMut(Sequence)> + Sync);

/// Progress that nobody watches.
pub fn unwatched(_: &'static str, _: Sequence) -> Box<dyn FnMut(Sequence)> {
    Box::new(|_| {})
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
    /// Who watches the views catch up.
    pub progress: ViewProgress<'a>,
    /// What else must hold before anything is written.
    pub accept: Accept<'a>,
}

/// A check before a data folder is opened to be written: what it refuses stays as it was.
pub type Accept<'a> = &'a dyn Fn() -> anyhow::Result<()>;

/// Nothing else must hold.
pub fn accepted() -> anyhow::Result<()> {
    Ok(())
}

/// What the writer watches, and the bounds of what it writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriterBounds {
    /// How far the clock may step.
    pub clock: ClockBounds,
    /// How many bytes are kept free where the data folder is; see [`RoomOptions`].
    pub reserve_bytes: Option<u64>,
    /// How long an epoch of the log becomes before it is sealed, if not as long as usual.
    pub epoch_bytes: Option<u64>,
    /// The limits of usage.
    pub usage: UsageLimits,
}

/// How much room there is on the file system of a folder for the account of this process.
pub fn free_space(folder: &Path) -> std::io::Result<FreeSpace> {
    let seen = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(seen.f_frsize);
    Ok(FreeSpace { free: bytes(seen.f_bavail), total: bytes(seen.f_blocks) })
}

impl Engine {
    /// Opens or makes a data folder, reads the log and starts to write. The views catch up on their own threads.
    pub fn open(open: Open<'_>) -> anyhow::Result<Self> {
        Self::open_guarded(open, WriterBounds::default())
    }

    /// The same with a writer that keeps to these bounds.
    pub fn open_guarded(open: Open<'_>, bounds: WriterBounds) -> anyhow::Result<Self> {
        let data = open.data.to_owned();
        std::fs::create_dir_all(&data)
            .with_context(|| format!("create the data folder {}", data.display()))?;
        let (log, ring) = (data.join(folder::LOG), data.join(folder::KEYS));
        ensure!(log.exists() || !ring.exists(), missing(&log, &ring));
        let master_key = open.master_key.map(Path::to_owned);
        let now = Some(open.clock.now());
        let of_ring = keyring::KeyRingOptions { master_key, now };
        let mut id = None;
        if ring.join("ring").exists() {
            // A ring that refuses does so before the log is opened to be written: a refusal changes nothing. One that is in
            // use is met below, where its user gets time to end.
            match KeyRing::open_read_only(&ring, &of_ring) {
                Ok(keys) => id = Some(keys.id()),
                Err(KeyRingFault::InUse { .. }) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        let accept = |store: &SledStore| {
            if store.head()? != Head::EMPTY {
                ensure!(KeyRing::exists(&ring), missing(&ring, &log));
                check_created(&created(store)?, open.mode, id)?;
            }
            (open.accept)()
        };
        let WriterBounds { clock, reserve_bytes, epoch_bytes, usage } = bounds;
        let sled = Arc::new(folder::open_log(&data, epoch_bytes, accept)?);
        let store = Arc::clone(&sled) as Arc<dyn EventStore>;
        let keys = Arc::new(KeyRing::open(&ring, &of_ring)?);
        let options = LedgerOptions {
            mode: open.mode,
            new_ledger: random_id(),
            key_ring: keys.id(),
            program: PROGRAM.to_owned(),
            queue: QUEUE,
            snapshot: Some(data.join(folder::STATE).join(folder::WRITER_SNAPSHOT)),
            seen: index_at(data.join(folder::INDEX), keys.fingerprint_key()),
        };
        let look = {
            let data = data.clone();
            Box::new(move || free_space(&data))
        };
        let guards = GuardOptions { clock, room: Some(RoomOptions { reserve_bytes, look }), usage };
        let state = data.join(folder::STATE);
        let end = store.head()?.last;
        let reads = Arc::clone(&store);
        // The views come from the log beside the state of the writer.
        let (ledger, views) = thread::scope(|scope| {
            let views = scope.spawn(|| RestoredViews::from_log(&*reads, &state, end, open.progress));
            (Ledger::open_guarded(store, open.clock, options, guards), views.join())
        });
        let ledger = Arc::new(ledger?);
        let views = views.map_err(restored::panicked)??.follow(&ledger, (&state, false))?;
        views
            .slap
            .read(|slap, _| views.billing.read(|billing, _| LostKeys::count(slap, billing, &keys)))
            .check(&ring, &log)?;
        let destroyed = erased_keys::destroy_all(&keys, &views.slap, &views.billing)
            .context("destroy the keys of what was erased")?;
        if destroyed > 0 {
            tracing::warn!(destroyed, "keys of what was erased were still there; they are destroyed now");
        }
        Ok(Self::of(data, (sled, ledger, keys), (views, true)))
    }

    /// Opens a data folder to be read, and writes nothing in it. Every command is refused, and what is sealed is
    /// withheld if the key ring cannot be read.
    pub fn open_read_only(
        data: &Path,
        clock: Arc<dyn Clock>,
        master_key: Option<&Path>,
        progress: ViewProgress<'_>,
    ) -> anyhow::Result<Self> {
        let sled = Arc::new(folder::read_log(data)?);
        let store = Arc::clone(&sled) as Arc<dyn EventStore>;
        let ledger = Arc::new(Ledger::open_read_only(store, clock)?);
        let ring = data.join(folder::KEYS);
        let options = keyring::KeyRingOptions { master_key: master_key.map(Path::to_owned), now: None };
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
        let end = ledger.head().last;
        let views = RestoredViews::from_log(&**ledger.store(), &state, end, progress)?;
        let views = views.follow(&ledger, (&state, true))?;
        // For this process alone: the ring is only read.
        erased_keys::destroy_all(&keys, &views.slap, &views.billing).context("withhold what was erased")?;
        Ok(Self::of(data.to_owned(), (sled, ledger, keys), (views, false)))
    }

    /// What runs on a ledger and its views.
    fn of(
        data: PathBuf,
        (log, ledger, keys): (Arc<SledStore>, Arc<Ledger>, Arc<KeyRing>),
        (Views { slap, billing, access }, writable): (Views, bool),
    ) -> Self {
        let folder = writable.then_some(&*data);
        let notary = Notary::new(ledger.created().ledger, Arc::clone(ledger.store()), folder);
        let notary = Arc::new(notary.with_kept(KeptCheckpoints::open(&data, writable)));
        let mode = ledger.created().mode;
        let since = ledger.clock().now();
        let health = Arc::new(Monitor::of(&ledger));
        let metrics = Arc::<Metrics>::default();
        ledger.observe_appends({
            let metrics = Arc::clone(&metrics);
            Box::new(move |took| metrics.appended(took))
        });
        let documents = Arc::new(DocumentCaches::default());
        keys.on_destroy({
            let documents = Arc::clone(&documents);
            move || documents.forget()
        });
        Self {
            ledger,
            log,
            shipping: None,
            publishing: None,
            withheld_keys: Arc::new(keys.withheld()),
            keys,
            slap,
            billing,
            notary,
            rating: RatingPool::default(),
            past: PastCache::default(),
            documents,
            contacts: Contacts::default(),
            receipts: UsageReceipts::new(since),
            destruction_due: DestructionDue::default(),
            metrics,
            health,
            run: random_id(),
            mode,
            access,
            certifier: None,
            default_computer: None,
            most_parameter_bytes: MOST_PARAMETER_BYTES,
            rebuilds: RebuildSettings::default(),
            data,
        }
    }

    /// What SLAP and lists of a project are answered from.
    pub fn slap_of(&self, project: ProjectId) -> ProjectView<'_, SlapViews> {
        ProjectView::new(ViewSource::Live(&self.slap), project)
    }

    /// Metering, prices, runs and invoices of a project.
    pub fn billing_of(&self, project: ProjectId) -> ProjectView<'_, BillingView> {
        ProjectView::new(ViewSource::Live(&self.billing), project)
    }

    /// The live generations of all views, for one request.
    pub fn lease(&self) -> ViewLeases {
        ViewLeases { slap: self.slap.lease(), billing: self.billing.lease(), access: self.access.lease() }
    }

    /// The projects in which something happened, as far as the views are.
    pub fn projects(&self) -> Vec<ProjectId> {
        self.slap.read(|projects, _| projects.ids().collect())
    }

    /// What is written around the events of a command that its sender did not name.
    pub fn meta(&self, project: ProjectId, actor: Actor, digest: [u8; 16]) -> Meta {
        Meta {
            project,
            actor,
            command: CommandId(random_id()),
            named_by_sender: false,
            digest,
            causation: None,
            correlation: None,
            rules: RULES_VERSION,
        }
    }

    /// A command of the program itself, with its content in bytes.
    pub fn own(&self, project: ProjectId, actor: Actor, command: Command, content: &[u8]) -> Submission {
        let digest = self.keys.command_digest(&[content]);
        Submission { meta: Arc::new(self.meta(project, actor, digest)), command }
    }

    /// Carries out a command of the program itself, from a thread without a runtime.
    pub fn submit_own(
        &self,
        project: ProjectId,
        actor: Actor,
        command: Command,
    ) -> Result<Accepted, SubmitError> {
        let content = format!("{command:?}");
        self.ledger.submit_blocking(self.own(project, actor, command, content.as_bytes()))
    }

    /// All that is wrong now; nothing, if nothing is.
    pub fn faults(&self) -> Vec<HealthFault> {
        let writer = self.ledger.fault().map(|cause| HealthFault::WriterStopped { cause });
        let views = [self.slap.status(), self.billing.status(), self.access.status()];
        let stopped = views
            .into_iter()
            .filter_map(|status| Some(HealthFault::ViewStopped { view: status.name, cause: status.fault? }));
        let clock = self.ledger.clock_fault().map(|cause| HealthFault::ClockInDoubt { cause });
        let room = self.ledger.room_fault().map(|cause| HealthFault::DiskFull { cause });
        let damage = self.ledger.store().damage().into_iter().map(|cause| HealthFault::LogDamaged { cause });
        let shipping = self.shipping.as_ref().and_then(|shipping| shipping.status().fault());
        let shipping = shipping.map(|cause| HealthFault::NotShipped { cause });
        let publishing = self.publishing.as_ref().and_then(|publishing| publishing.fault());
        let publishing = publishing.map(|cause| HealthFault::NotCosigned { cause });
        let of_ledger =
            writer.into_iter().chain(stopped).chain(clock).chain(room).chain(damage).chain(shipping);
        of_ledger.chain(publishing).chain(self.health.faults()).collect()
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.ledger.clock().now()
    }

    /// Takes no more commands, finishes those under way, and snapshots everything. The error is one line with all that
    /// failed, now or while it ran.
    pub fn shut_down(&self) -> anyhow::Result<()> {
        if let Some(shipping) = &self.shipping {
            shipping.stop();
        }
        if let Some(publishing) = &self.publishing {
            publishing.stop();
        }
        self.health.stop();
        let mut failed = Vec::new();
        failed.extend(self.ledger.shut_down().err().map(|fault| fault.to_string()));
        for view in [self.slap.finish(), self.billing.finish(), self.access.finish()] {
            failed.extend(view.err().map(|fault| fault.to_string()));
        }
        let store = self.ledger.store();
        failed.extend(store.close().err().map(|fault| fault.to_string()));
        let data = self.data.display();
        let remedy = if store.damage().is_empty() {
            format!("what was acknowledged is in the log of {data}, start it again")
        } else {
            format!("see what is left with `slapledger verify --data {data}`")
        };
        let failed = failed.join("; ").replace(['\n', '\r'], " ");
        ensure!(failed.is_empty(), "did not shut down cleanly: {failed}; {remedy}");
        Ok(())
    }
}

/// Refuses a ledger of another mode, or of another key ring.
fn check_created(created: &LedgerCreated, mode: Mode, ring: Option<[u8; 16]>) -> Result<(), OpenFault> {
    if created.mode != mode {
        return Err(OpenFault::OtherMode { found: created.mode, wanted: mode });
    }
    if ring.is_some_and(|ring| ring != created.key_ring) {
        return Err(OpenFault::OtherKeys);
    }
    Ok(())
}

/// A loss is not made good with something new and empty: a start makes the log first, then the keys, then events.
fn missing(what: &Path, beside: &Path) -> String {
    format!("{} is missing beside {}; restore it from a backup", what.display(), beside.display())
}

/// The index of usage identities in a folder, as it was at a sequence.
fn index_at(folder: PathBuf, key: [u8; 16]) -> IndexAt {
    let damaged =
        |fault: fingerprints::FingerprintFault| NoIndex::Damaged(format!("{:#}", anyhow::Error::from(fault)));
    Box::new(move |at| {
        let index = if at == Sequence::ZERO {
            TieredIndex::create(&folder, key).map_err(damaged)?
        } else {
            TieredIndex::open(&folder, key, at).map_err(damaged)?.ok_or(NoIndex::Absent)?
        };
        Ok(Box::new(index))
    })
}
