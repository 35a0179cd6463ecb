//! The index of usage identities on disk: exact, and small in memory however many there are.
//!
//! A table in memory takes what is new. When it is full it becomes a run: a sorted file that never changes, with a
//! filter in memory, so that a lookup of an identity that is new reads no disk. Runs of like size are merged in the
//! background, so there are few. A checkpoint makes all of it durable under the sequence of an event; another thread may
//! do the work of it.
//!
//! Invariants: what it answers is what [`MemoryIndex`](crate::domain::usage::MemoryIndex) would; the table is newer
//! than all runs, runs stand from old to new, and the newest entry of a fingerprint wins. What it read wrongly or
//! could not write is a fault, kept in [`SeenIndex::fault`]; from then on it knows nothing and takes nothing in.
//!
//! It is a cache of the log, and no part of it: what is younger than the last checkpoint is gone after a crash, and
//! all of it can be rebuilt by inserting what the log says. The folder belongs to one index at a time; anyone who
//! holds the lock of the data folder sees to that.

mod filter;
mod frozen;
mod manifest;
mod merge;
mod run;
#[cfg(test)]
mod tests;

use std::fs;
use std::hash::Hasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use rustc_hash::{FxBuildHasher, FxHashSet};
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::domain::id::Sequence;
use crate::domain::usage::seen::{CheckpointWork, Fingerprint, KnownUsage, SeenIndex, revision};
use crate::log::witness::Witness;
use frozen::{FrozenTable, IdentityTable, TableWork};
use manifest::RunManifest;
use merge::{Merge, MergeFault};
use run::{RunSpan, SortedRun, io_fault};

/// How many identities the table in memory holds: what fills a hash table of 2^20 places (35 MB) without growing it.
const RECENT: usize = (1 << 20) / 8 * 7;
/// So many runs of like size become one.
const FAN_IN: usize = 2;
/// No merge takes more at once.
const WIDEST_MERGE: usize = 8;
/// With more runs than this, the index waits for merges.
const MOST_RUNS: usize = 16;
/// While the disk takes no more, the table grows to so many times its size at most (140 MB at the usual size).
const WIDEST_TABLE: usize = 4;
/// How many manifests are kept.
const MANIFESTS: usize = 2;

/// What can go wrong with the files of the index. The log is not touched by any of it: rebuild the index.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintFault {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that cannot be what was written.
    #[error("{} is damaged: {what} cannot be read", path.display())]
    Damaged {
        /// The run.
        path: PathBuf,
        /// Which part of it.
        what: &'static str,
    },
    /// The thread that was to write it did not.
    #[error("a table of fingerprints was not written")]
    NotWritten,
    /// A bug in merging.
    #[error("merging runs of fingerprints panicked")]
    MergePanicked,
    /// There was a fault before; the index is not to be believed any more.
    #[error("an earlier fault: {0}")]
    Earlier(String),
}

/// See the module.
#[derive(Debug)]
pub struct TieredIndex {
    key: [u8; 16],
    dir: PathBuf,
    limit: usize,
    recent: IdentityTable,
    /// The table before it, while it is being written.
    frozen: Option<FrozenTable>,
    /// The table is written when it has no room below this; it is the limit, unless the disk took no more.
    write_at: usize,
    /// Oldest first.
    runs: Vec<Arc<SortedRun>>,
    /// Runs, newest last, that no sync has reached.
    unsynced: Vec<Arc<SortedRun>>,
    /// Where the next run's span begins.
    next: u64,
    merge: Option<Merge>,
    sweeper: Option<JoinHandle<()>>,
    /// Oldest first.
    manifests: Vec<RunManifest>,
    fault: OnceLock<String>,
}

impl TieredIndex {
    /// An empty index in this folder, which is made if need be; an index that is there is deleted.
    pub fn create(dir: &Path, key: [u8; 16]) -> Result<Self, FingerprintFault> {
        fs::create_dir_all(dir).map_err(io_fault("create", dir))?;
        let index = Self::empty(dir, key);
        remove_all(&index.unneeded()?)?;
        Ok(index)
    }

    /// The index as it was at the checkpoint of this event; files of later ones are deleted. None if there is no such
    /// checkpoint, or it has another key. Then, and after a fault, [`TieredIndex::create`] it, and insert all that
    /// the log says.
    pub fn open(dir: &Path, key: [u8; 16], at: Sequence) -> Result<Option<Self>, FingerprintFault> {
        let manifest = RunManifest::read(dir, at)?.filter(|manifest| manifest.key == digest(key));
        manifest.map(|manifest| Self::of_manifest(dir, key, manifest)).transpose()
    }

    /// What the newest checkpoint in this folder says of the log, if there is one that can be read.
    pub fn witness(dir: &Path, name: &str) -> Option<Witness> {
        let all = manifest::list(dir).ok()?;
        let last = all.into_iter().rev().find(|last| matches!(RunManifest::read(dir, *last), Ok(Some(_))))?;
        let name = format!("{name}/{}", manifest::file_name(last));
        Some(Witness { name, last, root: None, is_whole: Box::new(|| true) })
    }

    /// Reads every byte of every checkpoint in a folder, and gives how many there are and how many entries they hold.
    /// The fault names the first file that is not as it was written. A process that is killed may leave a run half
    /// written that no checkpoint names: that is a fault only if the last one `was_closed`.
    pub fn verify(dir: &Path, was_closed: bool) -> Result<(usize, u64), FingerprintFault> {
        let sequences = match manifest::list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(io_fault("list", dir))?,
        };
        let (mut named, mut entries) = (FxHashSet::default(), 0);
        for &sequence in &sequences {
            let Some(manifest) = RunManifest::read(dir, sequence)? else { continue };
            for (span, count) in manifest.runs {
                if named.insert(span.file_name()) {
                    entries += SortedRun::open(dir, span)?.verify(count)?;
                }
            }
        }
        // Those that no checkpoint names are what a merge left; the next start deletes them.
        let left = run::spans(dir)?.into_iter().filter(|span| !named.contains(&span.file_name()));
        for span in left.filter(|_| was_closed) {
            let run = SortedRun::open(dir, span)?;
            run.verify(run.entries)?;
        }
        Ok((sequences.len(), entries))
    }

    /// The same with another size of the table in memory; for an index that was just made or opened.
    #[must_use]
    pub fn with_recent(mut self, identities: usize) -> Self {
        // An insertion adds up to two entries.
        self.limit = identities.max(2);
        self.write_at = self.limit;
        self.recent = table(self.limit);
        self
    }

    /// Makes everything up to now durable under the sequence of the last event it has seen. If the disk does not take
    /// it, the index goes on without this checkpoint.
    pub fn checkpoint(&mut self, last: Sequence) -> Result<(), FingerprintFault> {
        if let Some(earlier) = self.fault.get() {
            return Err(FingerprintFault::Earlier(earlier.clone()));
        }
        self.try_checkpoint(last)
    }

    fn empty(dir: &Path, key: [u8; 16]) -> Self {
        Self {
            key,
            dir: dir.to_owned(),
            limit: RECENT,
            recent: table(RECENT),
            frozen: None,
            write_at: RECENT,
            runs: Vec::new(),
            unsynced: Vec::new(),
            next: 0,
            merge: None,
            sweeper: None,
            manifests: Vec::new(),
            fault: OnceLock::new(),
        }
    }

    fn of_manifest(dir: &Path, key: [u8; 16], manifest: RunManifest) -> Result<Self, FingerprintFault> {
        let mut index = Self::empty(dir, key);
        for (span, entries) in &manifest.runs {
            let run = SortedRun::open(dir, *span)?;
            if run.entries != *entries {
                let path = dir.join(span.file_name());
                return Err(FingerprintFault::Damaged { path, what: "its number of entries" });
            }
            index.runs.push(Arc::new(run));
        }
        index.next = manifest.next;
        let mut earlier = manifest::list(dir).map_err(io_fault("list", dir))?;
        earlier.retain(|sequence| *sequence < manifest.last);
        // One that is damaged goes with its runs.
        let earlier =
            earlier.into_iter().rev().find_map(|sequence| RunManifest::read(dir, sequence).ok().flatten());
        index.manifests = earlier.into_iter().chain([manifest]).collect();
        remove_all(&index.unneeded()?)?;
        // A checkpoint beside the writer names one run more than the index had when it began.
        if index.runs.len() > MOST_RUNS {
            index.merge_runs();
        }
        Ok(index)
    }

    /// Begins a checkpoint, which is done when its work is. Whoever has the index goes on with it meanwhile.
    fn begin_checkpoint(&mut self, last: Sequence) -> Result<TableWork, FingerprintFault> {
        if let Some(earlier) = self.fault.get() {
            return Err(FingerprintFault::Earlier(earlier.clone()));
        }
        self.settle();
        if let Some(earlier) = self.fault.get() {
            return Err(FingerprintFault::Earlier(earlier.clone()));
        }
        let frozen = std::mem::replace(&mut self.recent, table(self.limit));
        self.write_at = self.limit;
        let span = RunSpan { first: self.next, last: self.next };
        let new = (!frozen.is_empty()).then_some((span, frozen.len() as u64));
        self.next += u64::from(new.is_some());
        self.unsynced.retain(|run| self.runs.iter().any(|current| current.span == run.span));
        let runs = self.runs.iter().map(|run| (run.span, run.entries)).chain(new).collect();
        let manifest = RunManifest::new(last, digest(self.key), runs, self.next);
        let (frozen, work) =
            FrozenTable::new(self.dir.clone(), (span, frozen), self.unsynced.clone(), manifest);
        self.frozen = Some(frozen);
        Ok(work)
    }

    /// Waits for the table that is being written, and takes over what became of it.
    fn settle(&mut self) {
        let Some(frozen) = self.frozen.take() else { return };
        match frozen.finish() {
            Ok((written, manifest)) => {
                if let Some(run) = written.run {
                    self.unsynced.push(Arc::clone(&run));
                    self.runs.push(run);
                }
                if written.is_durable {
                    let is_named =
                        |run: &Arc<SortedRun>| manifest.runs.iter().any(|(span, _)| *span == run.span);
                    self.unsynced.retain(|run| !is_named(run));
                    self.keep(manifest);
                }
                self.merge_runs();
            }
            // What came since is newer.
            Err((table, fault)) => {
                tracing::warn!(fault = %told(&fault), "usage identities stay in memory; writing them is tried again");
                for (fingerprint, seen) in table {
                    self.recent.entry(fingerprint).or_insert(seen);
                }
            }
        }
    }

    /// Adds a manifest that is durable, and deletes what only older ones needed.
    fn keep(&mut self, manifest: RunManifest) {
        self.manifests.retain(|known| known.last != manifest.last);
        self.manifests.push(manifest);
        self.manifests.drain(..self.manifests.len().saturating_sub(MANIFESTS));
        self.sweep_in_background(Vec::new());
    }

    fn try_checkpoint(&mut self, last: Sequence) -> Result<(), FingerprintFault> {
        self.settle();
        self.write_recent()?;
        if let Some(earlier) = self.fault.get() {
            return Err(FingerprintFault::Earlier(earlier.clone()));
        }
        // A merge takes the place of runs with one that is durable; those it took away need no sync any more.
        self.unsynced.retain(|run| self.runs.iter().any(|current| current.span == run.span));
        self.unsynced.iter().try_for_each(|run| run.sync())?;
        self.unsynced.clear();
        let runs = self.runs.iter().map(|run| (run.span, run.entries)).collect();
        let manifest = RunManifest::new(last, digest(self.key), runs, self.next);
        manifest.write(&self.dir)?;
        self.keep(manifest);
        Ok(())
    }

    /// Turns the table into a run. If that cannot be written, the table stays as it is.
    fn write_recent(&mut self) -> Result<(), FingerprintFault> {
        if self.recent.is_empty() {
            return Ok(());
        }
        let mut sorted: Vec<_> =
            self.recent.iter().map(|(fingerprint, seen)| (*fingerprint, *seen)).collect();
        sorted.sort_unstable_by_key(|(fingerprint, _)| *fingerprint);
        let span = RunSpan { first: self.next, last: self.next };
        let run = run::write(&self.dir, span, &sorted).inspect_err(|_| run::remove(&self.dir, span))?;
        let run = Arc::new(run);
        self.unsynced.push(Arc::clone(&run));
        self.runs.push(run);
        self.next += 1;
        if self.recent.capacity() > self.limit * 2 {
            self.recent = table(self.limit);
        }
        self.recent.clear();
        self.write_at = self.limit;
        self.merge_runs();
        Ok(())
    }

    /// Makes room for an identity and a revision. A disk that takes no more is tried again later; meanwhile the table
    /// grows, which is a fault when it reaches its bound.
    fn make_room(&mut self) -> Result<(), FingerprintFault> {
        if self.frozen.as_ref().is_some_and(FrozenTable::is_done) {
            self.settle();
        }
        if self.recent.len() + 2 <= self.write_at {
            return Ok(());
        }
        self.settle();
        let Err(fault) = self.write_recent() else { return Ok(()) };
        let widest = self.limit * WIDEST_TABLE;
        if self.write_at >= widest {
            return Err(fault);
        }
        self.write_at = (self.write_at + (self.limit / 8).max(2)).min(widest);
        tracing::warn!(
            fault = %told(&fault),
            identities = self.recent.len(),
            "usage identities stay in memory; writing them is tried again"
        );
        Ok(())
    }

    /// Adopts finished merges and begins others, and waits for them when there are too many runs.
    fn merge_runs(&mut self) {
        let mut merged = self.adopt_merge(false).and_then(|()| self.start_merge());
        while merged.is_ok() && self.runs.len() > MOST_RUNS && self.merge.is_some() {
            merged = self.adopt_merge(true).and_then(|()| self.start_merge());
        }
        if let Err(fault) = merged {
            self.record(&fault);
        }
    }

    /// Puts a finished merge in the place of the runs it merged.
    fn adopt_merge(&mut self, wait: bool) -> Result<(), FingerprintFault> {
        let Some(merge) = self.merge.take_if(|merge| wait || merge.is_finished()) else { return Ok(()) };
        let span = merge.span;
        let run = match merge.finish() {
            Ok(Some(run)) => run,
            Ok(None) => return Ok(()),
            // The runs are still there, and are merged later.
            Err(MergeFault::Target(fault)) if self.runs.len() <= MOST_RUNS => {
                tracing::warn!(fault = %told(&fault), "runs of fingerprints could not be merged; it is tried again");
                return Ok(());
            }
            Err(MergeFault::Source(fault) | MergeFault::Target(fault)) => return Err(fault),
        };
        let within = |other: &Arc<SortedRun>| span.first <= other.span.first && other.span.last <= span.last;
        let at = self.runs.iter().position(within).unwrap_or(self.runs.len());
        self.unsynced.retain(|other| !within(other));
        let retired = self.runs.extract_if(.., |other| within(other)).collect();
        self.runs.insert(at, Arc::new(run));
        self.sweep_in_background(retired);
        Ok(())
    }

    /// Merges the newest runs of like size, when there are enough of them.
    fn start_merge(&mut self) -> Result<(), FingerprintFault> {
        if self.merge.is_some() {
            return Ok(());
        }
        // A run counts at least as large as those after it, so that none is left behind among larger ones.
        let mut levels: Vec<_> = self.runs.iter().map(|run| level(run.entries, self.limit)).collect();
        for newer in (1..levels.len()).rev() {
            levels[newer - 1] = levels[newer - 1].max(levels[newer]);
        }
        let mut end = levels.len();
        for alike in levels.chunk_by(u32::eq).rev() {
            let begin = end - alike.len();
            if alike.len() >= FAN_IN {
                let runs = &self.runs[begin..end.min(begin + WIDEST_MERGE)];
                self.merge = Some(Merge::start(&self.dir, runs)?);
                return Ok(());
            }
            end = begin;
        }
        Ok(())
    }

    /// Deletes what is not needed any more. The system takes its time to free a large file, so somebody else waits.
    fn sweep_in_background(&mut self, retired: Vec<Arc<SortedRun>>) {
        self.wait_for_sweeper();
        let files = self.unneeded();
        let sweep = move || {
            drop(retired);
            if let Err(fault) = files.and_then(|files| remove_all(&files)) {
                tracing::warn!(fault = %told(&fault), "a file of fingerprints is left for the next time");
            }
        };
        match thread::Builder::new().name("fingerprints".into()).spawn(sweep) {
            Ok(thread) => self.sweeper = Some(thread),
            Err(error) => tracing::warn!(%error, "files of fingerprints are left for the next time"),
        }
    }

    fn wait_for_sweeper(&mut self) {
        if self.sweeper.take().is_some_and(|sweeper| sweeper.join().is_err()) {
            tracing::warn!("deleting files of fingerprints panicked");
        }
    }

    /// Files that neither the index nor a manifest needs.
    fn unneeded(&self) -> Result<Vec<PathBuf>, FingerprintFault> {
        let named = self.manifests.iter().flat_map(|manifest| &manifest.runs).map(|(span, _)| *span);
        let current = self.runs.iter().map(|run| run.span);
        let spans = current.chain(named).chain(self.merge.as_ref().map(|merge| merge.span));
        let mut needed: FxHashSet<_> = spans.map(RunSpan::file_name).collect();
        needed.extend(self.manifests.iter().map(RunManifest::file_name));
        // What another thread is writing.
        if let Some(manifest) = self.frozen.as_ref().map(FrozenTable::manifest) {
            needed.extend(manifest.runs.iter().map(|(span, _)| span.file_name()));
            needed.extend([manifest.file_name(), manifest::UNFINISHED.to_owned()]);
        }
        let mut unneeded = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io_fault("list", &self.dir))? {
            let entry = entry.map_err(io_fault("list", &self.dir))?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| manifest::is_ours(name) && !needed.contains(name)) {
                unneeded.push(entry.path());
            }
        }
        Ok(unneeded)
    }

    /// What was known when the table in memory was empty.
    #[inline]
    fn find_before(&self, fingerprint: Fingerprint) -> Option<KnownUsage> {
        let frozen = self.frozen.as_ref().and_then(|frozen| frozen.get(fingerprint));
        frozen.or_else(|| self.find_in_runs(fingerprint))
    }

    #[inline]
    fn find_in_runs(&self, fingerprint: Fingerprint) -> Option<KnownUsage> {
        for run in self.runs.iter().rev() {
            if !run.may_hold(fingerprint) {
                continue;
            }
            match run.find(fingerprint) {
                Ok(None) => {}
                Ok(found) => return found,
                Err(fault) => {
                    self.record(&fault);
                    return None;
                }
            }
        }
        None
    }

    /// The writer asks for it, rebuilds the index and says so.
    fn record(&self, fault: &FingerprintFault) {
        // The first one is the cause of all others.
        let _ = self.fault.set(told(fault));
    }
}

impl SeenIndex for TieredIndex {
    fn key(&self) -> [u8; 16] {
        self.key
    }

    fn get(&self, fingerprint: Fingerprint) -> Option<KnownUsage> {
        if self.fault.get().is_some() {
            return None;
        }
        self.recent.get(&fingerprint).copied().or_else(|| self.find_before(fingerprint))
    }

    fn insert(&mut self, identity: Fingerprint, seen: KnownUsage) {
        if self.fault.get().is_some() {
            return;
        }
        if let Err(fault) = self.make_room() {
            self.record(&fault);
            return;
        }
        let earlier = self.recent.insert(identity, seen).or_else(|| self.find_before(identity));
        if let Some(earlier) = earlier {
            self.recent.insert(revision(identity, earlier.content), earlier);
        }
    }

    fn checkpoint(&mut self, last: Sequence) -> Result<(), String> {
        Self::checkpoint(self, last).map_err(|fault| told(&fault))
    }

    fn begin_checkpoint(&mut self, last: Sequence) -> Result<CheckpointWork, String> {
        let work = Self::begin_checkpoint(self, last).map_err(|fault| told(&fault))?;
        Ok(Box::new(move || work.run().map_err(|fault| told(&fault))))
    }

    fn fault(&self) -> Option<String> {
        self.fault.get().cloned()
    }
}

impl Drop for TieredIndex {
    fn drop(&mut self) {
        // Nobody may be left in the folder when the next index begins to use it.
        if let Some(merge) = self.merge.take() {
            merge.stop();
        }
        self.wait_for_sweeper();
    }
}

fn table(identities: usize) -> IdentityTable {
    // The system gives memory for it as it fills.
    IdentityTable::with_capacity_and_hasher(identities, FxBuildHasher)
}

/// Runs of one level differ in size by less than a factor of two, and two of one level make one of the next, even if a
/// quarter of their entries is the same. A full table is level 6: those of small checkpoints are below.
fn level(entries: u64, limit: usize) -> u32 {
    (entries * 256 / (limit as u64 * 3)).max(1).ilog2()
}

fn digest(key: [u8; 16]) -> [u8; 16] {
    let mut hasher = SipHasher24::new_with_key(&key);
    hasher.write(b"slapledger index of fingerprints");
    hasher.finish128().as_bytes()
}

/// Removes files, manifests before the runs that they name: a stop in between leaves no manifest without its runs.
fn remove_all(files: &[PathBuf]) -> Result<(), FingerprintFault> {
    let is_run = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "seen");
    let (runs, manifests): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_run(file));
    let ordered = manifests.into_iter().chain(runs);
    ordered.into_iter().try_for_each(|file| fs::remove_file(file).map_err(io_fault("remove", file)))
}

/// A fault with its cause.
fn told(fault: &FingerprintFault) -> String {
    match fault {
        FingerprintFault::Io { source, .. } => format!("{fault}: {source}"),
        _ => fault.to_string(),
    }
}
