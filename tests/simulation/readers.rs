//! Those who read while the writer writes: the projections, each kept by its runner, and somebody who is far behind.
//!
//! They read through a store of their own, whose reads fail now and then. A fault must be told, never be taken for the end
//! of the log; after it all is as if it had not been.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slapledger_billing::{Billing, BillingView};
use slapledger_core::domain::id::{ProjectId, Sequence};
use slapledger_core::ledger::{Feed, Publisher};
use slapledger_core::log::envelope::Recorded;
use slapledger_core::log::memory::MemoryStore;
use slapledger_core::log::store::EventStore;
use slapledger_projections::runner::rebuild::{RebuildFault, RebuildRequest};
use slapledger_projections::runner::{FinishFault, Runner, ViewOptions};
use slapledger_projections::{AccessView, Projects, SlapViews, View};
use slapledger_tests::random::Random;

use crate::whole::Whole;

/// How long is waited for a view.
const PATIENCE: Duration = Duration::from_secs(60);

/// The readers of one writer.
pub(crate) struct LogReaders {
    store: Arc<MemoryStore>,
    publisher: Arc<Publisher>,
    slap: Runner<Projects<SlapViews>>,
    billing: Runner<Projects<BillingView>>,
    access: Runner<AccessView>,
}

impl LogReaders {
    /// Starts them, from the snapshots in a folder if there is one.
    pub(crate) fn start(store: &MemoryStore, folder: Option<&Path>, random: &mut Random) -> Self {
        let store = Arc::new(store.reopen());
        let shared: Arc<dyn EventStore> = Arc::clone(&store) as Arc<dyn EventStore>;
        let publisher = Arc::new(Publisher::new(shared, store.head().expect("a store in memory")));
        let slap = start("slap", &store, &publisher, folder, random);
        let billing = start("billing", &store, &publisher, folder, random);
        let access = start("access", &store, &publisher, folder, random);
        Self { store, publisher, slap, billing, access }
    }

    /// Shows them what is durable.
    pub(crate) fn publish(&self, group: Vec<Recorded>, bytes: usize) {
        self.publisher.publish(group, bytes, self.store.head().expect("a store in memory"));
    }

    /// What a project is billed, at the end of the log.
    pub(crate) fn billing<R>(&self, project: ProjectId, read: impl FnOnce(&Billing) -> R) -> R {
        let last = self.publisher.head().last;
        // What is read decides what is done next: it must not depend on how long drafts take.
        let settled = self.billing.read_at_blocking(last, |_, _| ()).is_ok() && self.billing.settle(PATIENCE);
        assert!(settled, "drafts are there in the end");
        let read = self.billing.read_at_blocking(last, |views, at| {
            assert_eq!(at, last, "a view is where the log ends");
            read(&views.of(project).billing)
        });
        read.expect("a view that follows")
    }

    /// Snapshots are taken while it all goes on.
    pub(crate) fn snapshot(&self) {
        self.slap.snapshot();
        self.billing.snapshot();
        self.access.snapshot();
    }

    /// Somebody who is far behind reads up to the end.
    pub(crate) fn catch_up(&self, random: &mut Random) {
        let feed = Feed::new(&self.publisher);
        let last = feed.head().last;
        let mut at = Sequence(random.below(last.0 + 1));
        loop {
            let fails = random.once_in(4);
            if fails {
                self.store.fail_read(0);
            }
            let read = feed.poll(at);
            let failed = !self.store.fail_no_read() && fails;
            match read {
                Err(fault) => assert!(failed, "a read that was to succeed: {fault}"),
                Ok(_) if failed => panic!("a read failed, and nobody was told"),
                Ok(None) => break,
                Ok(Some(group)) => {
                    for event in &*group {
                        assert_eq!(event.sequence, at.next(), "the feed has a gap");
                        at = event.sequence;
                    }
                }
            }
        }
        assert_eq!(at, last, "the feed ends before the log");
    }

    /// Every view says what the log says, and comes back the same when it is derived again.
    pub(crate) fn check(&self, whole: &Whole, random: &mut Random) {
        let last = self.publisher.head().last;
        assert_eq!(last.0, whole.last, "readers are shown what is durable");
        self.billing.read_at_blocking(last, |_, _| ()).expect("a view that follows");
        assert!(self.billing.settle(PATIENCE), "drafts are there in the end");
        let slap = self.slap.read_at_blocking(last, |views, _| {
            whole.projects().for_each(|(project, facts)| facts.check_slap(views.of(project)));
        });
        let billing = self.billing.read_at_blocking(last, |views, _| {
            whole.projects().for_each(|(project, facts)| facts.check_billing(views.of(project)));
        });
        let access = self.access.read_at_blocking(last, |view, _| whole.check_access(&view.access));
        for read in [slap, billing, access] {
            read.expect("a view that follows");
        }
        self.rebuild(&self.slap, random);
        self.rebuild(&self.billing, random);
        self.rebuild(&self.access, random);
    }

    fn rebuild<V: View>(&self, runner: &Runner<V>, random: &mut Random) {
        let (before, at) = runner.parts();
        if random.once_in(4) {
            self.store.fail_read(random.below(2));
            let rebuilt = runner.rebuild(RebuildRequest::default());
            let failed = !self.store.fail_no_read();
            match rebuilt {
                Err(fault) => assert!(failed && matches!(fault, RebuildFault::Failed { .. }), "{fault}"),
                Ok(_) => assert!(!failed, "{} was rebuilt from a log that cannot be read", runner.name()),
            }
            assert_eq!(runner.parts(), (before.clone(), at), "{} after a fault", runner.name());
        }
        let rebuilt = runner.rebuild(RebuildRequest::default()).expect("a log that can be read");
        assert!(rebuilt.is_same(), "{} is another when it is rebuilt: {rebuilt:?}", runner.name());
        assert_eq!(rebuilt.sequence, self.publisher.head().last);
    }

    /// The ledger is shut down, and they end with it.
    pub(crate) fn finish(&self, random: &mut Random) {
        self.publisher.close();
        finish(&self.slap, &self.store, random);
        finish(&self.billing, &self.store, random);
        finish(&self.access, &self.store, random);
    }
}

/// A run that fails leaves no thread behind.
impl Drop for LogReaders {
    fn drop(&mut self) {
        self.publisher.close();
    }
}

fn start<V: View>(
    name: &'static str,
    store: &Arc<MemoryStore>,
    publisher: &Arc<Publisher>,
    folder: Option<&Path>,
    random: &mut Random,
) -> Runner<V> {
    let options =
        ViewOptions { folder: folder.map(Path::to_owned), patience: PATIENCE, ..ViewOptions::default() };
    let begin = || {
        let shared: Arc<dyn EventStore> = Arc::clone(store) as Arc<dyn EventStore>;
        Runner::start(name, Feed::new(publisher), shared, options.clone(), |_| ())
    };
    if random.once_in(4) {
        store.fail_read(random.below(3));
        let started = begin();
        let failed = !store.fail_no_read();
        match started {
            Err(fault) => assert!(failed, "{name} cannot start on a log that can be read: {fault}"),
            Ok(_) if failed => panic!("{name} starts on a log that cannot be read"),
            Ok(runner) => return runner,
        }
    }
    begin().expect("a log that can be read")
}

fn finish<V: View>(runner: &Runner<V>, store: &MemoryStore, random: &mut Random) {
    if random.once_in(8) {
        store.fail_read(0);
    }
    let finished = runner.finish();
    match finished {
        // Its snapshot is behind; the next start reads more of the log.
        Err(FinishFault::Snapshot { .. }) => {}
        other => assert_eq!(other, Ok(())),
    }
    store.fail_no_read();
}
