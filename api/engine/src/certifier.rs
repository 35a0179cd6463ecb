//! What issues certificates in a running master: its authority, and the folder that keeps the keys of instances.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use slapledger_ca::Authority;
use tokio::sync::Mutex;

/// The authority of a running master, and where it keeps the keys of instances.
pub struct Certifier {
    /// The authority itself.
    pub authority: Authority,
    /// Where the certificates and keys of instances are kept.
    pub folder: PathBuf,
    /// One certificate of an instance at a time: requests at the same time get the same.
    pub issuing: Mutex<()>,
    /// One registration of a computer at a time: its token is good for one.
    pub registering: Mutex<()>,
}

impl Certifier {
    /// Issues by this authority; keys of instances are in this folder.
    pub fn new(authority: Authority, folder: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self {
            authority,
            folder: folder.to_owned(),
            issuing: Mutex::default(),
            registering: Mutex::default(),
        })
    }
}
