//! The views as the engine starts: restored from snapshots and the log while the writer restores its own state, and then
//! kept up to date.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow};
use slapledger_billing::BillingView;
use slapledger_core::domain::id::Sequence;
use slapledger_core::ledger::Ledger;
use slapledger_core::log::store::EventStore;
use slapledger_projections::runner::{RestoredView, Runner, ViewOptions};
use slapledger_projections::{AccessView, Projects, SlapViews, View};

use crate::ViewProgress;

/// The views of all projects, and who has access.
pub(crate) struct Views {
    pub(crate) slap: Runner<Projects<SlapViews>>,
    pub(crate) billing: Runner<Projects<BillingView>>,
    pub(crate) access: Runner<AccessView>,
}

/// The same as of one event; nobody keeps them up to date yet.
pub(crate) struct RestoredViews {
    slap: RestoredView<Projects<SlapViews>>,
    billing: RestoredView<Projects<BillingView>>,
    access: RestoredView<AccessView>,
}

impl RestoredViews {
    /// Restores the views as of `until`. They know nothing of each other: each has a thread. Writes nothing.
    pub(crate) fn from_log(
        store: &dyn EventStore,
        state: &Path,
        until: Sequence,
        progress: ViewProgress<'_>,
    ) -> anyhow::Result<Self> {
        let source = RestoreSource { store, state, until, progress };
        let (slap, access, billing) = thread::scope(|scope| {
            let slap = scope.spawn(|| source.restore("slap"));
            let access = scope.spawn(|| source.restore("access"));
            let billing = source.restore("billing");
            (slap.join(), access.join(), billing)
        });
        let (slap, access) = (slap.map_err(panicked)??, access.map_err(panicked)??);
        Ok(Self { slap, billing: billing?, access })
    }

    /// Keeps them up to date from now on. The folder of snapshots may be one that is only read.
    pub(crate) fn follow(self, ledger: &Ledger, snapshots: (&Path, bool)) -> anyhow::Result<Views> {
        let Self { slap, billing, access } = self;
        Ok(Views {
            slap: follow(slap, ledger, snapshots)?,
            billing: follow(billing, ledger, snapshots)?,
            access: follow(access, ledger, snapshots)?,
        })
    }
}

/// What views are restored from.
struct RestoreSource<'a> {
    store: &'a dyn EventStore,
    state: &'a Path,
    until: Sequence,
    progress: ViewProgress<'a>,
}

impl RestoreSource<'_> {
    fn restore<V: View>(&self, name: &'static str) -> anyhow::Result<RestoredView<V>> {
        let mut show = (self.progress)(name, self.until);
        RestoredView::from_log(name, self.store, Some(self.state), self.until, &mut show)
            .with_context(|| format!("bring the view {name} up to date"))
    }
}

fn follow<V: View>(
    restored: RestoredView<V>,
    ledger: &Ledger,
    (state, read_only): (&Path, bool),
) -> anyhow::Result<Runner<V>> {
    let name = restored.name();
    let room = ledger.room().cloned();
    let options = ViewOptions { folder: Some(state.to_owned()), read_only, room, ..ViewOptions::default() };
    Runner::follow(restored, ledger.feed(), Arc::clone(ledger.store()), options)
        .with_context(|| format!("bring the view {name} up to date"))
}

pub(crate) fn panicked(_: Box<dyn Any + Send>) -> anyhow::Error {
    anyhow!("the thread of a view panicked")
}
