//! Several runs that follow each other become one, in a thread of its own, so that the writer does not wait for it.
//!
//! Invariants: of a fingerprint in several runs, the entry of the newest stays; the result is durable when it is
//! there; the runs merged are not touched, so that one that is stopped or fails has changed nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::run::{self, Entries, RunSpan, RunWriter, SortedRun, io_fault};
use super::{Fingerprint, FingerprintFault, KnownUsage};

/// After this many entries (16 MiB) it waits for the disk.
const SETTLE_EVERY: u64 = 512 * 1024;

/// A merge under way.
#[derive(Debug)]
pub(super) struct Merge {
    /// Of the run that will be there.
    pub(super) span: RunSpan,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Option<SortedRun>, MergeFault>>,
}

/// Why runs could not be merged.
#[derive(Debug)]
pub(super) enum MergeFault {
    /// A run that is in use is damaged or cannot be read.
    Source(FingerprintFault),
    /// The new run could not be written: it is removed, and the merge can be tried again.
    Target(FingerprintFault),
}

impl Merge {
    /// Starts to merge these runs, oldest first, of which there is at least one.
    pub(super) fn start(dir: &Path, runs: &[Arc<SortedRun>]) -> Result<Self, FingerprintFault> {
        let (first, last) = (runs[0].span.first, runs[runs.len() - 1].span.last);
        let span = RunSpan { first, last };
        let stop = Arc::new(AtomicBool::new(false));
        let work = {
            let (dir, runs, stop): (PathBuf, _, _) = (dir.to_owned(), runs.to_vec(), Arc::clone(&stop));
            move || merge(&dir, span, &runs, &stop)
        };
        let thread = thread::Builder::new().name("fingerprints".into()).spawn(work);
        Ok(Self { span, stop, thread: thread.map_err(io_fault("start a thread for", dir))? })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the run; none if it was stopped.
    pub(super) fn finish(self) -> Result<Option<SortedRun>, MergeFault> {
        self.thread.join().unwrap_or(Err(MergeFault::Source(FingerprintFault::MergePanicked)))
    }

    /// Makes it end soon, without a result.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Err(MergeFault::Source(fault) | MergeFault::Target(fault)) = self.finish() {
            tracing::warn!(%fault, "a merge that was to be stopped failed");
        }
    }
}

fn merge(
    dir: &Path,
    span: RunSpan,
    runs: &[Arc<SortedRun>],
    stop: &AtomicBool,
) -> Result<Option<SortedRun>, MergeFault> {
    let mut sources =
        runs.iter().map(|run| run.read()).collect::<Result<Vec<_>, _>>().map_err(MergeFault::Source)?;
    let heads = sources.iter_mut().map(Entries::next).collect::<Result<Vec<_>, _>>();
    let heads = heads.map_err(MergeFault::Source)?;
    let entries = runs.iter().map(|run| run.entries).sum();
    let merged = write(dir, (span, entries), (heads, &mut sources), stop);
    if !matches!(merged, Ok(Some(_))) {
        run::remove(dir, span);
    }
    merged
}

/// The next entry of each run.
type Heads = Vec<Option<(Fingerprint, KnownUsage)>>;

fn write(
    dir: &Path,
    (span, entries): (RunSpan, u64),
    (mut heads, sources): (Heads, &mut [Entries<'_>]),
    stop: &AtomicBool,
) -> Result<Option<SortedRun>, MergeFault> {
    let mut writer = RunWriter::create(dir, span, entries).map_err(MergeFault::Target)?;
    let mut since_settled: u64 = 0;
    while let Some(smallest) = heads.iter().flatten().map(|(fingerprint, _)| *fingerprint).min() {
        let mut newest = None;
        for (head, source) in heads.iter_mut().zip(&mut *sources) {
            if let Some((_, seen)) = head.filter(|(fingerprint, _)| *fingerprint == smallest) {
                newest = Some(seen);
                *head = source.next().map_err(MergeFault::Source)?;
            }
        }
        if let Some(seen) = newest {
            writer.push(smallest, seen).map_err(MergeFault::Target)?;
        }
        since_settled += 1;
        if since_settled.is_multiple_of(4096) && stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if since_settled == SETTLE_EVERY {
            writer.settle().map_err(MergeFault::Target)?;
            since_settled = 0;
        }
    }
    let run = writer.finish().map_err(MergeFault::Target)?;
    run.sync().map_err(MergeFault::Target)?;
    Ok(Some(run))
}
