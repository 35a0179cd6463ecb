//! Backups of a ledger: made while its server runs, verified before they are restored, used to repair sealed epochs.
//!
//! A backup is a folder: the log in the layout of a data folder (`log/`, which can be verified where it is), perhaps keys
//! and certificates (`private-N/`), and `backup.json`, which names every file with its hash and is written last. The next
//! backup to the same folder copies the epochs that were sealed since, and replaces the tail.
//!
//! Invariants: a backup that is interrupted leaves the one before it whole; a backup never replaces one of another ledger,
//! or one that its ledger does not continue; a restore verifies every byte before the folder it makes has its name.
//!
//! Not here: which numbers documents have after a restore (see [`crate::domain::restore`]), and the command line.

mod create;
mod files;
mod manifest;
mod names;
mod places;
mod private;
mod repair;
mod restore;
mod source;
#[cfg(test)]
mod tests;
mod verify;

use std::io;
use std::path::PathBuf;

pub use create::{BackupReport, BackupWish, Extent, back_up};
pub use files::{ByteProgress, FileDigest};
pub use manifest::{
    BackupEpoch, BackupManifest, BackupTail, LOG, MAX_MANIFEST_BYTES, NamedFile, PrivateFile, PrivateFiles,
};
pub use names::{InvalidLogFile, LogFile};
pub use places::check_destination;
pub use private::{PRIVATE, copy_all as copy_private};
pub use repair::{RepairReport, repair};
pub use restore::{RestoreReport, RestoreWish, Staging, UNFINISHED, Until, restore};
pub use source::{BackupSource, FolderSource, PlanFacts, RunningSource, open_log_file};
pub use verify::{VerifyReport, is_backup, verify};

use crate::domain::id::Sequence;
use crate::domain::refusal::Refusal;
use crate::domain::time::Timestamp;
use crate::ledger::{OpenFault, ShutdownFault, SubmitError};
use crate::log::merkle::Root;
use crate::log::store::StoreFault;

/// The name of the manifest in a backup.
pub const MANIFEST: &str = "backup.json";

/// Why a backup is not made, restored or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// The operating system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The server cannot be asked.
    #[error("{cause}")]
    Server {
        /// Why not.
        cause: String,
        /// Whether it may do when asked again later.
        may_return: bool,
    },
    /// There is no ledger to back up.
    #[error("there is no ledger in {}; --data names its folder", path.display())]
    NoLedger {
        /// Where.
        path: PathBuf,
    },
    /// There is no backup.
    #[error(
        "{} holds no backup: it has no {MANIFEST}; a backup that was interrupted is completed by `slapledger backup`",
        path.display()
    )]
    NoBackup {
        /// Where.
        path: PathBuf,
    },
    /// The manifest is damaged.
    #[error("read {}: {cause}", path.display())]
    DamagedManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The manifest was written by a newer version.
    #[error(
        "read {}: its format {format} was written by a newer version of slapledger; use that version",
        path.display()
    )]
    NewerManifest {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// A file is not the one that was recorded.
    #[error("verify {}: its {what} is not the one recorded in {recorded_in}; {remedy}", path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// Where it was recorded.
        recorded_in: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A file of a backup is gone.
    #[error("verify {}: it is not there, but {MANIFEST} names it; {remedy}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// The log of a backup does not end where its manifest says.
    #[error("verify {}: the log ends at sequence {last} with root {root}, not as {MANIFEST} records; use another backup", path.display())]
    OtherEnd {
        /// The folder of the log.
        path: PathBuf,
        /// Where it ends.
        last: Sequence,
        /// With which root.
        root: Root,
    },
    /// The log of a backup is that of another ledger.
    #[error("verify {}: the log is that of ledger {found}, {MANIFEST} records {recorded}; use another backup", path.display())]
    OtherLog {
        /// The folder of the log.
        path: PathBuf,
        /// Which ledger it is.
        found: String,
        /// Which one it should be.
        recorded: String,
    },
    /// The folder holds something else.
    #[error("{} is not empty and holds no backup; name a folder that is empty, does not exist, or holds a backup", path.display())]
    NotABackup {
        /// Where.
        path: PathBuf,
    },
    /// The folder to copy to is not there.
    #[error("{} is not there; create it, or mount the disk that it is on", path.display())]
    NoFolder {
        /// Where.
        path: PathBuf,
    },
    /// What should be a folder is something else.
    #[error("{} is not a folder; name a folder", path.display())]
    NotAFolder {
        /// Where.
        path: PathBuf,
    },
    /// A symbolic link leads nowhere.
    #[error("{} is a symbolic link to what is not there; create that, or name another folder", path.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// A folder would be inside one that others remove files from.
    #[error("{} is inside {what} {}; name a folder outside it", path.display(), outer.display())]
    Inside {
        /// The folder that was named.
        path: PathBuf,
        /// What it is inside of.
        what: &'static str,
        /// Where that is.
        outer: PathBuf,
    },
    /// A folder holds what would be copied into it.
    #[error("{} contains {}, which is backed up; name a folder that does not", path.display(), inner.display())]
    Around {
        /// The folder that was named.
        path: PathBuf,
        /// What it contains.
        inner: PathBuf,
    },
    /// Keys that the backup has are gone from the data folder.
    #[error(
        "{} is not there, and {} may hold the only copy of it; bring it back, or back up to another folder",
        path.display(), backup.display()
    )]
    KeysGone {
        /// What is gone.
        path: PathBuf,
        /// The backup that has it.
        backup: PathBuf,
    },
    /// The clock shows a time before something that happened.
    #[error(
        "the clock of this machine shows {now}, but {what} is of {at}; correct the clock, or add --confirm-clock if it \
         is right"
    )]
    ClockBehind {
        /// What the clock shows.
        now: Timestamp,
        /// What happened later.
        what: &'static str,
        /// When.
        at: Timestamp,
    },
    /// Another process makes a backup there.
    #[error("{} is in use by another backup; try again when it is done", path.display())]
    DestinationInUse {
        /// Where.
        path: PathBuf,
    },
    /// Keys would go where others can read them.
    #[error(
        "{} is open to others than its owner (mode {mode:04o}), and --with-keys copies keys there; chmod go= it",
        path.display()
    )]
    Exposed {
        /// Where.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder holds a backup of another ledger.
    #[error(
        "{} holds a backup of ledger {found}, this is ledger {wanted}; name another folder",
        path.display()
    )]
    OtherLedger {
        /// Where.
        path: PathBuf,
        /// Whose backup is there.
        found: String,
        /// Which ledger was to be backed up.
        wanted: String,
    },
    /// The folder holds a backup that goes on beyond the ledger.
    #[error(
        "{} holds a backup up to sequence {found}, this ledger ends at {last}: it was restored from an older backup, or \
         its log is incomplete; keep that backup and name another folder",
        path.display()
    )]
    Ahead {
        /// Where.
        path: PathBuf,
        /// Where the backup ends.
        found: Sequence,
        /// Where the ledger ends.
        last: Sequence,
    },
    /// The folder holds a backup that the ledger does not continue.
    #[error(
        "{} holds a backup with other events up to sequence {at}: one of the two was restored or copied and went on by \
         itself; keep that backup and name another folder",
        path.display()
    )]
    Diverged {
        /// Where.
        path: PathBuf,
        /// Up to where they were compared.
        at: Sequence,
    },
    /// A file changes while it is copied.
    #[error("copy {}: it changes all the time; try again", path.display())]
    Unstable {
        /// Which.
        path: PathBuf,
    },
    /// The folder to restore to holds something.
    #[error("{} exists and is not empty; name a folder that is empty or does not exist", path.display())]
    TargetNotEmpty {
        /// Where.
        path: PathBuf,
    },
    /// What a restore left unfinished may be something else.
    #[error("{} is in the way and was not left by a restore or an import; move it away", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
    },
    /// Another process puts a ledger together there.
    #[error("{} is being restored or imported by another process; wait until it ends", path.display())]
    BeingMade {
        /// Where.
        path: PathBuf,
    },
    /// The point to restore to is not in the backup.
    #[error("--until {until}: {rule}")]
    BadUntil {
        /// What was asked for.
        until: String,
        /// What is possible.
        rule: String,
    },
    /// The restored log cannot be opened.
    #[error("open the restored log")]
    Open(#[from] OpenFault),
    /// The restored log was not closed.
    #[error("close the restored log")]
    NotClosed(#[from] ShutdownFault),
    /// The restore cannot be recorded.
    #[error("{0}")]
    Refused(Refusal),
    /// The restore could not be recorded.
    #[error("record the restore")]
    Record(#[source] SubmitError),
    /// A sealed epoch cannot be repaired.
    #[error("repair epoch {epoch}: {cause}")]
    NotRepaired {
        /// Which epoch.
        epoch: u32,
        /// Why not, and what to do.
        cause: String,
    },
}
