//! A table in memory that takes nothing in any more: another thread writes it as a run, and makes that and all runs
//! before it durable under a manifest. Until then it is looked at as if it were the run.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;

use super::manifest::RunManifest;
use super::run::{self, RunSpan, SortedRun};
use super::{Fingerprint, FingerprintFault, KnownUsage, told};

pub(super) type IdentityTable = FxHashMap<Fingerprint, KnownUsage>;

/// What became of a table.
pub(super) struct WrittenTable {
    /// The run that it became, if it held anything.
    pub(super) run: Option<Arc<SortedRun>>,
    /// Whether that and all runs of the manifest are durable, and the manifest, too.
    pub(super) is_durable: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct FrozenTable {
    table: Arc<IdentityTable>,
    manifest: RunManifest,
    progress: Arc<TableProgress>,
}

/// The work of the other thread.
pub(super) struct TableWork {
    dir: PathBuf,
    span: RunSpan,
    table: Arc<IdentityTable>,
    unsynced: Vec<Arc<SortedRun>>,
    manifest: RunManifest,
    progress: Arc<TableProgress>,
}

#[derive(Default)]
struct TableProgress {
    written: Mutex<Option<Result<WrittenTable, FingerprintFault>>>,
    changed: Condvar,
}

impl std::fmt::Debug for TableProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableProgress").finish_non_exhaustive()
    }
}

impl FrozenTable {
    /// A table to be written as a run in this folder, and the work to do so. The manifest names that run and all before
    /// it, of which some are not synced yet.
    pub(super) fn new(
        dir: PathBuf,
        (span, table): (RunSpan, IdentityTable),
        unsynced: Vec<Arc<SortedRun>>,
        manifest: RunManifest,
    ) -> (Self, TableWork) {
        let (table, progress) = (Arc::new(table), Arc::<TableProgress>::default());
        let work = TableWork {
            dir,
            span,
            table: Arc::clone(&table),
            unsynced,
            manifest: manifest.clone(),
            progress: Arc::clone(&progress),
        };
        (Self { table, manifest, progress }, work)
    }

    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<KnownUsage> {
        self.table.get(&fingerprint).copied()
    }

    /// The manifest that is being written; its files are needed.
    pub(super) fn manifest(&self) -> &RunManifest {
        &self.manifest
    }

    pub(super) fn is_done(&self) -> bool {
        self.progress.written.lock().is_some()
    }

    /// Waits for the other thread. The error comes with the table, which is nowhere else.
    pub(super) fn finish(self) -> Result<(WrittenTable, RunManifest), (IdentityTable, FingerprintFault)> {
        let mut written = self.progress.written.lock();
        let written = loop {
            match written.take() {
                Some(written) => break written,
                None => self.progress.changed.wait(&mut written),
            }
        };
        match written {
            Ok(written) => Ok((written, self.manifest)),
            Err(fault) => Err((Arc::unwrap_or_clone(self.table), fault)),
        }
    }
}

impl TableWork {
    /// Does it; the error is why the manifest is not durable.
    pub(super) fn run(self) -> Result<(), FingerprintFault> {
        let run = match self.write() {
            Ok(run) => run,
            Err(fault) => {
                let shown = told(&fault);
                self.tell(Err(fault));
                return Err(FingerprintFault::Earlier(shown));
            }
        };
        let synced = self.unsynced.iter().chain(&run).try_for_each(|run| run.sync());
        let durable = synced.and_then(|()| self.manifest.write(&self.dir));
        self.tell(Ok(WrittenTable { run, is_durable: durable.is_ok() }));
        durable
    }

    fn write(&self) -> Result<Option<Arc<SortedRun>>, FingerprintFault> {
        if self.table.is_empty() {
            return Ok(None);
        }
        let mut sorted: Vec<_> = self.table.iter().map(|(fingerprint, seen)| (*fingerprint, *seen)).collect();
        sorted.sort_unstable_by_key(|(fingerprint, _)| *fingerprint);
        let written = run::write(&self.dir, self.span, &sorted);
        written.map(|run| Some(Arc::new(run))).inspect_err(|_| run::remove(&self.dir, self.span))
    }

    fn tell(&self, written: Result<WrittenTable, FingerprintFault>) {
        self.progress.written.lock().get_or_insert(written);
        self.progress.changed.notify_all();
    }
}

impl Drop for TableWork {
    /// Work that was not done, or panicked, leaves the table to be written later.
    fn drop(&mut self) {
        if self.progress.written.lock().is_none() {
            self.tell(Err(FingerprintFault::NotWritten));
        }
    }
}
