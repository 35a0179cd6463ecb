//! What a fault says of what was to be verified: that it is damaged, of a newer format, or out of reach.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use slapledger_core::backup::BackupFault;
use slapledger_core::keyring::KeyRingFault;
use slapledger_core::log::PayloadError;
use slapledger_core::log::envelope::EnvelopeError;
use slapledger_core::log::store::StoreFault;
use slapledger_engine::folder;

/// There is no verdict: the folder could not be read.
#[derive(Debug)]
pub(super) struct Unverifiable {
    pub(super) data: PathBuf,
}

impl fmt::Display for Unverifiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be verified", self.data.display())
    }
}

/// Whether a newer version of this program wrote what it cannot read: nothing is known to be damaged.
pub(super) fn is_newer(fault: &anyhow::Error) -> bool {
    fault.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(StoreFault::NewerVersion { .. } | StoreFault::NewerFile { .. }))
            || matches!(cause.downcast_ref(), Some(EnvelopeError::Newer { .. }))
            || matches!(cause.downcast_ref(), Some(PayloadError::Newer { .. }))
            || matches!(cause.downcast_ref(), Some(BackupFault::NewerManifest { .. }))
    })
}

/// The verdict on such a folder.
pub(super) fn of_newer_format(folder: &Path) -> String {
    format!("{} has a newer format, which this version cannot verify", folder.display())
}

/// Whether somebody else has the folder, it may not be read, or holds no ledger.
pub(super) fn is_out_of_reach(fault: &anyhow::Error) -> bool {
    fault.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
            || cause.is::<folder::NoLedger>()
            || matches!(cause.downcast_ref(), Some(StoreFault::InUse { .. }))
            || matches!(cause.downcast_ref(), Some(KeyRingFault::InUse { .. }))
    })
}
