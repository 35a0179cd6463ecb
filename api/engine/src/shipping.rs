//! Shipping: sealed epochs are copied to another folder as they are sealed, so that the loss of a disk loses the open epoch
//! at most. The folder is a backup without a tail, which `slapledger restore` and `repair` read.
//!
//! A thread of its own, which the writer never waits for. What fails is tried again, each time later up to a bound, and
//! is a fault on the health page until it succeeds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use slapledger_core::backup::{BackupFault, BackupWish, Extent, PlanFacts, RunningSource, back_up};
use slapledger_core::domain::event::LedgerCreated;
use slapledger_core::ledger::Clock;
use slapledger_core::log::sled_store::SledStore;

use super::identity::PROGRAM;
use super::stop_signal::StopSignal;

/// How often it is looked whether an epoch was sealed.
const EVERY: Duration = Duration::from_secs(2);
/// The longest it waits after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// With so many epochs that wait, it does not keep up.
const MOST_WAITING: usize = 4;

/// What copies sealed epochs, and how it is doing.
pub struct Shipping {
    to: PathBuf,
    state: Mutex<ShippingState>,
    stop: StopSignal,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Clone, Default)]
struct ShippingState {
    sealed: usize,
    shipped: usize,
    fault: Option<String>,
}

/// How shipping is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippingStatus {
    /// Where sealed epochs are copied to.
    pub to: PathBuf,
    /// How many are there.
    pub shipped: usize,
    /// How many are not there yet.
    pub waiting: usize,
    /// Why the last attempt failed, if it did.
    pub fault: Option<String>,
}

impl ShippingStatus {
    /// What is wrong, for the health page.
    pub fn fault(&self) -> Option<String> {
        let (to, waiting) = (self.to.display(), self.waiting);
        match &self.fault {
            Some(cause) => Some(format!("{waiting} sealed epochs are not shipped to {to}: {cause}")),
            None if waiting >= MOST_WAITING => Some(format!(
                "{waiting} sealed epochs wait to be shipped to {to}: it is slower than the log grows"
            )),
            None => None,
        }
    }
}

impl Shipping {
    /// Begins to ship the sealed epochs of a log.
    pub fn start(
        to: &Path,
        store: &Arc<SledStore>,
        created: &LedgerCreated,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<Arc<Self>> {
        let shipping = Arc::new(Self {
            to: to.to_owned(),
            state: Mutex::default(),
            stop: StopSignal::default(),
            thread: Mutex::default(),
        });
        let (ours, store, created) = (Arc::clone(&shipping), Arc::clone(store), created.clone());
        let clock = Arc::clone(clock);
        let thread = std::thread::Builder::new().name("shipping".into());
        let thread = thread.spawn(move || ours.run(&store, &created, &*clock))?;
        *shipping.thread.lock() = Some(thread);
        Ok(shipping)
    }

    /// How it is doing.
    pub fn status(&self) -> ShippingStatus {
        let ShippingState { sealed, shipped, fault, .. } = self.state.lock().clone();
        ShippingStatus { to: self.to.clone(), shipped, waiting: sealed.saturating_sub(shipped), fault }
    }

    /// Stops it; what it is copying is copied again next time.
    pub fn stop(&self) {
        self.stop.set();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    fn run(&self, store: &SledStore, created: &LedgerCreated, clock: &dyn Clock) {
        let mut pause = EVERY;
        loop {
            match self.ship(store, created, clock) {
                Ok(()) => pause = EVERY,
                Err(BackupFault::Cancelled) => return,
                Err(fault) => {
                    let fault = with_sources(&fault);
                    tracing::error!(to = %self.to.display(), fault, "sealed epochs are not shipped");
                    self.state.lock().fault = Some(fault);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if self.stop.wait(pause) {
                return;
            }
        }
    }

    /// Ships what was sealed since the last time.
    fn ship(&self, store: &SledStore, created: &LedgerCreated, clock: &dyn Clock) -> Result<(), BackupFault> {
        let sealed = store.sealed_count();
        {
            let mut state = self.state.lock();
            state.sealed = sealed;
            if sealed == 0 || (state.shipped == sealed && state.fault.is_none()) {
                return Ok(());
            }
        }
        if self.to.is_file() {
            return Err(BackupFault::NotAFolder { path: self.to.clone() });
        }
        // A folder that is made anew where another disk should be mounted fills the wrong disk.
        if !self.to.is_dir() {
            return Err(BackupFault::NoFolder { path: self.to.clone() });
        }
        let facts = PlanFacts { program: PROGRAM, now: clock.now() };
        let source = RunningSource { store, created, facts };
        let wish = BackupWish { destination: &self.to, private: None, link: false, extent: Extent::Sealed };
        let report = back_up(&source, &wish, &mut |_| !self.stop.is_set())?;
        let mut state = self.state.lock();
        (state.shipped, state.fault) = (report.epochs, None);
        tracing::info!(to = %self.to.display(), epochs = report.epochs, "sealed epochs are shipped");
        Ok(())
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

#[cfg(test)]
mod tests;
