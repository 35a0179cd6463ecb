//! The running program: ledger, key ring and views, and how the edge reaches them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use slapledger_billing::BillingView;
use slapledger_core::domain::Command;
use slapledger_core::domain::event::Mode;
use slapledger_core::domain::id::{
    CommandId, ComputerId, InstanceId, KeyId, PartitionId, PartyId, ProjectId, Sequence,
};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::fingerprints::TieredIndex;
use slapledger_core::keyring::{self, KeyRing};
use slapledger_core::ledger::{Accepted, Clock, Ledger, Options, Submission, SubmitError};
use slapledger_core::log::envelope::{Actor, ActorKind, Meta, RULES_VERSION};
use slapledger_core::log::sled_store::SledStore;
use slapledger_core::log::store::{EventStore, Head};
use slapledger_projections::instances::Instance;
use slapledger_projections::runner::{self, Runner};
use slapledger_projections::{SlapViews, View};

use crate::contacts::Contacts;
use crate::erasure;
use crate::slap::cache::Documents;

/// How many commands may wait for the writer; more are answered 503.
const QUEUE: usize = 4096;

/// A ledger that runs, and everything derived from it.
pub struct App {
    /// The one writer.
    pub ledger: Arc<Ledger>,
    /// The keys of sealed values.
    pub keys: Arc<KeyRing>,
    /// What SLAP and lists are answered from.
    pub slap: Runner<SlapViews>,
    /// Metering, prices, runs and invoices.
    pub billing: Runner<BillingView>,
    /// What nodes fetch, as it was last written.
    pub documents: Arc<Documents>,
    /// Which computers were heard of.
    pub contacts: Contacts,
    /// Whether a key could not be destroyed.
    pub owed: erasure::Owed,
    /// What this run is known by, to those who ask whether two addresses are one server.
    pub run: [u8; 16],
    /// What it is run as.
    pub mode: Mode,
    /// Who everybody is that comes without an identity (`proxy`, `demo`).
    pub local: PartyId,
    /// Where requests that name no computer look for room; anywhere, if nowhere is said.
    pub default_computer: Option<ComputerId>,
    /// Where everything is kept.
    pub data: PathBuf,
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

impl App {
    /// Opens or makes a data folder, reads the log and starts to write. The views catch up on their own threads.
    pub fn open(open: Open<'_>) -> anyhow::Result<Self> {
        let data = open.data.to_owned();
        std::fs::create_dir_all(&data)
            .with_context(|| format!("create the data folder {}", data.display()))?;
        let (log, ring) = (data.join("log"), data.join("keys"));
        ensure!(log.exists() || !ring.exists(), missing(&log, &ring));
        let store: Arc<dyn EventStore> = Arc::new(SledStore::open(&log)?);
        ensure!(store.head()? == Head::EMPTY || KeyRing::exists(&ring), missing(&ring, &log));
        let master_key = open.master_key.map(Path::to_owned);
        let now = Some(open.clock.now());
        let keys = Arc::new(KeyRing::open(&ring, &keyring::Options { master_key, now })?);
        let (index, key) = (data.join("index"), keys.fingerprint_key());
        let seen = move |at: Sequence| {
            let index = if at == Sequence::ZERO {
                TieredIndex::create(&index, key)
                    .inspect_err(
                        |fault| tracing::error!(%fault, "the index of usage identities cannot be made"),
                    )
                    .ok()
            } else {
                TieredIndex::open(&index, key, at)
            };
            index.map(|index| Box::new(index) as Box<dyn slapledger_core::domain::usage::SeenIndex>)
        };
        let options = Options {
            mode: open.mode,
            new_ledger: random_id(),
            key_ring: keys.id(),
            program: format!("slapledger {}", env!("CARGO_PKG_VERSION")),
            queue: QUEUE,
            snapshot: Some(data.join("state/writer.snapshot")),
            seen: Box::new(seen),
        };
        let ledger = Arc::new(Ledger::open(store, open.clock, options)?);
        let state = data.join("state");
        let slap: Runner<SlapViews> = start_view("slap", &ledger, &state)?;
        let lost =
            slap.read(|view, _| view.instances.iter().filter(|known| !keys.knows(known.key())).count());
        ensure!(
            lost == 0,
            "{} is older than {}: the keys of {lost} instances are missing",
            ring.display(),
            log.display()
        );
        let billing = start_view("billing", &ledger, &state)?;
        let destroyed =
            erasure::destroy_all(&keys, &slap, &billing).context("destroy the keys of what was erased")?;
        if destroyed > 0 {
            tracing::warn!(destroyed, "keys of what was erased were still there; they are destroyed now");
        }
        let (local, default_computer) = (PartyId(1), None);
        let (contacts, run) = (Contacts::default(), random_id());
        let mode = open.mode;
        let documents = Arc::new(Documents::default());
        keys.on_destroy({
            let documents = Arc::clone(&documents);
            move || documents.forget()
        });
        Ok(Self {
            ledger,
            keys,
            slap,
            billing,
            documents,
            contacts,
            owed: erasure::Owed::default(),
            run,
            mode,
            local,
            default_computer,
            data,
        })
    }

    /// Carries out a command of the program itself, from a thread without a runtime.
    pub fn submit_own(&self, actor: Actor, command: Command) -> Result<Accepted, SubmitError> {
        let content = format!("{command:?}");
        self.ledger.submit_blocking(self.own(actor, command, content.as_bytes()))
    }

    /// A command of the program itself, with its content in bytes.
    pub fn own(&self, actor: Actor, command: Command, content: &[u8]) -> Submission {
        let digest = self.keys.command_digest(&[content]);
        Submission { meta: Arc::new(meta(actor, random_id(), digest)), command }
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

    /// Takes no more commands, finishes those under way, and snapshots everything.
    pub fn shut_down(&self) {
        self.ledger.shut_down();
        self.slap.finish();
        self.billing.finish();
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

/// Restores a view and brings it up to date, with a bar if that takes long enough to be seen.
fn start_view<V: View>(name: &'static str, ledger: &Ledger, state: &Path) -> anyhow::Result<Runner<V>> {
    let options = runner::Options { folder: Some(state.to_owned()), ..runner::Options::default() };
    let bar = crate::cli::progress::bar(name, ledger.head().last);
    let store = Arc::clone(ledger.store());
    let started = Runner::start(name, ledger.feed(), store, options, |reached| bar.set_position(reached.0));
    bar.finish_and_clear();
    started.with_context(|| format!("bring the view {name} up to date"))
}

/// Sixteen random bytes, as the id of something new.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn random_id() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

/// What is written around the events of a command that its sender did not name.
pub fn meta(actor: Actor, command: [u8; 16], digest: [u8; 16]) -> Meta {
    Meta {
        project: ProjectId::DEFAULT,
        actor,
        command: CommandId(command),
        named_by_sender: false,
        digest,
        causation: None,
        correlation: None,
        rules: RULES_VERSION,
    }
}

/// A party as an actor.
pub fn person(party: PartyId) -> Actor {
    Actor { kind: ActorKind::Person, id: party.to_string().into(), credential: None }
}

/// A computer as an actor.
pub fn computer(computer: &ComputerId) -> Actor {
    Actor { kind: ActorKind::Computer, id: computer.as_str().into(), credential: None }
}
