//! What every command says that is a client of a running master.

use std::path::PathBuf;

use clap::Args;

use super::catalogue::Catalogue;
use super::master::Master;

/// Where a master is, if nothing else is said.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:5000";

#[derive(Args)]
pub(crate) struct Client {
    /// The master to ask; else the `master_url` of the catalogue, else port 5000 of this machine
    #[arg(long, value_name = "URL", env = "SLAPLEDGER_URL")]
    url: Option<String>,
    /// Short names of software, in a file like ~/.slapos/slapos-client.cfg, which is read if none is named
    #[arg(long, value_name = "FILE", env = "SLAPLEDGER_CATALOGUE")]
    catalogue: Option<PathBuf>,
}

impl Client {
    /// The master and the catalogue that are meant.
    pub(crate) fn open(&self) -> anyhow::Result<(Master, Catalogue)> {
        let catalogue = Catalogue::open(self.catalogue.as_deref())?;
        let url = self.url.as_deref().or(catalogue.master.as_deref()).unwrap_or(DEFAULT_URL);
        Ok((Master::new(url), catalogue))
    }
}
