//! Where a backup comes from: the folder of a ledger, also while its server runs, or a server that is asked.
//!
//! The folder is only read. A tail may be sealed, and its file used again, while it is copied; the copier checks
//! what was copied, and asks for another plan when there is a newer one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{FileDigest, digest, io_fault};
use super::manifest::{BackupEpoch, BackupManifest, BackupTail, LOG, NamedFile, TERM};
use super::names::LogFile;
use super::{BackupFault, files};
use crate::domain::event::{Event, LedgerCreated};
use crate::domain::time::Timestamp;
use crate::log::envelope::EventDecoder;
use crate::log::frame::Frame;
use crate::log::sled_store::SledStore;
use crate::log::sled_store::backup::{self, LogPlan};

/// How often a folder that changes is listed.
const ATTEMPTS: u32 = 3;
/// How long it takes until it is listed again.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a backup comes from.
pub trait BackupSource {
    /// Fails if it cannot be asked at all, before anything is created at the destination.
    fn check(&self) -> Result<(), BackupFault> {
        Ok(())
    }

    /// What the ledger consists of now. `known` is the backup that is there already.
    fn plan(&self, known: Option<&BackupManifest>) -> Result<BackupManifest, BackupFault>;

    /// A file of the log, to be read; of a tail so many bytes.
    fn open(&self, file: LogFile, bytes: u64) -> Result<Box<dyn Read + '_>, BackupFault>;

    /// The data folder, if it is on this machine.
    fn data(&self) -> Option<&Path> {
        None
    }

    /// Where a file of the log is on this machine, if it is.
    fn path(&self, _file: LogFile) -> Option<PathBuf> {
        None
    }
}

/// What a plan says beyond the log.
#[derive(Debug, Clone, Copy)]
pub struct PlanFacts<'a> {
    /// Name and version of this program.
    pub program: &'a str,
    /// What time it is.
    pub now: Timestamp,
}

/// The folder of a ledger.
pub struct FolderSource<'a> {
    data: PathBuf,
    log: PathBuf,
    facts: PlanFacts<'a>,
}

impl<'a> FolderSource<'a> {
    /// The ledger in a data folder.
    pub fn new(data: &Path, program: &'a str, now: Timestamp) -> Result<Self, BackupFault> {
        let log = data.join(LOG);
        if !log.is_dir() {
            return Err(BackupFault::NoLedger { path: data.to_owned() });
        }
        Ok(Self { data: data.to_owned(), log, facts: PlanFacts { program, now } })
    }
}

impl FolderSource<'_> {
    /// The plan of the log. An epoch that is sealed while the folder is listed is looked at again.
    fn plan_of_log(&self) -> Result<LogPlan, BackupFault> {
        for _ in 1..ATTEMPTS {
            match backup::plan_of_folder(&self.log) {
                Ok(plan) => return Ok(plan),
                Err(fault) => tracing::debug!(%fault, "the log is listed again"),
            }
            std::thread::sleep(PAUSE);
        }
        Ok(backup::plan_of_folder(&self.log)?)
    }
}

impl BackupSource for FolderSource<'_> {
    fn plan(&self, known: Option<&BackupManifest>) -> Result<BackupManifest, BackupFault> {
        let plan = self.plan_of_log()?;
        if plan.head.last.0 == 0 {
            return Err(BackupFault::NoLedger { path: self.log.clone() });
        }
        // The first event of a long log is in a sealed epoch, which is copied to be opened: not for each backup.
        let first_root = |manifest: &BackupManifest| manifest.epochs.first().map(|epoch| epoch.root.clone());
        let known = known.filter(|known| {
            first_root(known)
                .is_some_and(|root| plan.epochs.first().is_some_and(|epoch| epoch.root.to_string() == root))
        });
        let (ledger, mode) = match known {
            Some(known) => (known.ledger.clone(), known.mode.clone()),
            None => identity(&match &plan.first_frame {
                Some(frame) => created(frame)?,
                None => created(&backup::first_frame(&self.log)?)?,
            }),
        };
        manifest_of(&self.log, plan, (ledger, mode), self.facts)
    }

    fn open(&self, file: LogFile, bytes: u64) -> Result<Box<dyn Read + '_>, BackupFault> {
        Ok(Box::new(open_log_file(&self.log, file, bytes)?))
    }

    fn data(&self) -> Option<&Path> {
        Some(&self.data)
    }

    fn path(&self, file: LogFile) -> Option<PathBuf> {
        Some(self.log.join(file.path()))
    }
}

/// Opens a file of the log in a folder, to read at most so many bytes.
pub fn open_log_file(log: &Path, file: LogFile, bytes: u64) -> Result<std::io::Take<File>, BackupFault> {
    let path = log.join(file.path());
    Ok(File::open(&path).map_err(io_fault("open", &path))?.take(bytes))
}

/// The log of a ledger that this process runs: up to the last event that was acknowledged.
pub struct RunningSource<'a> {
    /// The store that is written.
    pub store: &'a SledStore,
    /// The first event of the ledger.
    pub created: &'a LedgerCreated,
    /// What a plan says beyond that.
    pub facts: PlanFacts<'a>,
}

impl BackupSource for RunningSource<'_> {
    fn plan(&self, _known: Option<&BackupManifest>) -> Result<BackupManifest, BackupFault> {
        manifest_of(self.store.folder(), self.store.backup_plan()?, identity(self.created), self.facts)
    }

    fn open(&self, file: LogFile, bytes: u64) -> Result<Box<dyn Read + '_>, BackupFault> {
        Ok(Box::new(open_log_file(self.store.folder(), file, bytes)?))
    }

    fn path(&self, file: LogFile) -> Option<PathBuf> {
        Some(self.store.folder().join(file.path()))
    }
}

fn identity(created: &LedgerCreated) -> (String, String) {
    (files::hex(&created.ledger), created.mode.to_string())
}

/// The first event of a ledger, from the frame that holds it.
pub(super) fn created(first: &Frame) -> Result<LedgerCreated, BackupFault> {
    let path = PathBuf::from(LOG);
    let damaged = |cause: String| BackupFault::DamagedManifest { path: path.clone(), cause };
    let frame = first.decode().map_err(|error| damaged(error.to_string()))?;
    let Some((sequence, bytes)) = frame.events().next() else {
        return Err(damaged("its first frame is empty".into()));
    };
    let event =
        EventDecoder::default().decode(sequence, bytes).map_err(|error| damaged(error.to_string()))?;
    match event.event {
        Event::LedgerCreated(created) => Ok(created),
        other => Err(damaged(format!("its first event is {}", other.name()))),
    }
}

/// The manifest of a backup that was copied whole. The hashes of tails are those of their bytes as they are copied.
fn manifest_of(
    log: &Path,
    plan: LogPlan,
    (ledger, mode): (String, String),
    facts: PlanFacts<'_>,
) -> Result<BackupManifest, BackupFault> {
    let mut epochs = Vec::with_capacity(plan.epochs.len());
    for epoch in plan.epochs {
        let mut files = Vec::with_capacity(3);
        for file in LogFile::of_sealed(epoch.number) {
            let known = match file {
                LogFile::Settings(_) => epoch.settings.clone(),
                LogFile::Database(_) => epoch.database.clone(),
                _ => None,
            };
            let digest = match known {
                Some((bytes, sha256)) => FileDigest { bytes, sha256 },
                // The manifest is small; files that it has no hashes of were sealed by format 1.
                None => digest(&log.join(file.path()), u64::MAX, &mut |_| true)?,
            };
            files.push(NamedFile { name: file, digest });
        }
        let root = epoch.root.to_string();
        epochs.push(BackupEpoch {
            epoch: epoch.number,
            first: epoch.first.0,
            last: epoch.last.0,
            root,
            files,
        });
    }
    let tails = plan.tails.into_iter().map(|tail| BackupTail {
        epoch: tail.number,
        first: tail.first.0,
        last: tail.last.0,
        file: NamedFile {
            name: LogFile::Tail(tail.number),
            digest: FileDigest { bytes: tail.bytes, sha256: String::new() },
        },
    });
    let term = log.join(TERM);
    let term = std::fs::read(&term).map_err(io_fault("read", &term))?;
    Ok(BackupManifest {
        format: BackupManifest::FORMAT,
        ledger,
        mode,
        created_at: facts.now.to_string(),
        program: facts.program.to_owned(),
        last: plan.head.last.0,
        root: plan.head.root.to_string(),
        epochs,
        tails: tails.collect(),
        term: files::hex(&term),
        private: None,
        sha256: String::new(),
    })
}
