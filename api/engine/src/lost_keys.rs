//! A key ring that is older than the log: names and parameters that nobody erased could not be read any more.

use std::path::Path;

use anyhow::ensure;
use slapledger_billing::BillingView;
use slapledger_core::domain::id::Sequence;
use slapledger_core::keyring::KeyRing;
use slapledger_core::log::store::EventStore;
use slapledger_projections::runner::RestoredView;
use slapledger_projections::{Projects, SlapViews};

/// How many keys the log names that the ring never had. Keys that were destroyed are known to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostKeys {
    instances: usize,
    parties: usize,
}

impl LostKeys {
    /// Those of all projects.
    pub fn count(slap: &Projects<SlapViews>, billing: &Projects<BillingView>, keys: &KeyRing) -> Self {
        let instances = slap.iter().flat_map(|(_, view)| view.instances.iter());
        let parties = billing.iter().flat_map(|(_, view)| view.billing.sealing_keys());
        Self {
            instances: instances.filter(|known| !keys.knows(known.key())).count(),
            parties: parties.filter(|key| !keys.knows(*key)).count(),
        }
    }

    /// Those of a log that nobody writes to, with the snapshots of its views in a folder.
    pub fn of_log(store: &dyn EventStore, state: &Path, keys: &KeyRing) -> anyhow::Result<Self> {
        let end: Sequence = store.head()?.last;
        let slap = RestoredView::from_log("slap", store, Some(state), end, |_| ())?;
        let billing = RestoredView::from_log("billing", store, Some(state), end, |_| ())?;
        Ok(Self::count(slap.view(), billing.view(), keys))
    }

    /// Refuses a ring that lacks keys.
    pub fn check(self, ring: &Path, log: &Path) -> anyhow::Result<()> {
        let Self { instances, parties } = self;
        ensure!(
            instances + parties == 0,
            "{} is older than {}: the keys of {instances} instances and {parties} parties are missing; restore the key \
             ring that belongs to this log",
            ring.display(),
            log.display()
        );
        Ok(())
    }
}
