//! The log of a running server as a source of backups: listed and downloaded over HTTP.

use std::io::Read;
use std::path::Path;

use slapledger_client::later::Later;
use slapledger_client::server::Server;
use slapledger_core::backup::{BackupFault, BackupManifest, BackupSource, LogFile};

/// Where the files are listed.
const PLAN: &str = "/v1/backup";

/// A running server.
pub(super) struct ServerSource {
    server: Server,
}

impl ServerSource {
    pub(super) fn new(server: Server) -> Self {
        Self { server }
    }
}

impl BackupSource for ServerSource {
    fn check(&self) -> Result<(), BackupFault> {
        self.plan(None).map(drop)
    }

    fn plan(&self, _known: Option<&BackupManifest>) -> Result<BackupManifest, BackupFault> {
        let text = self.server.get_text(PLAN, &[]).map_err(|error| failed(&error))?;
        BackupManifest::parse(text.as_bytes(), Path::new(&format!("{}{PLAN}", self.server.url())))
    }

    fn open(&self, file: LogFile, bytes: u64) -> Result<Box<dyn Read + '_>, BackupFault> {
        let path = format!("{PLAN}/files/{file}");
        let tail = [("bytes", bytes.to_string())];
        let query: Vec<_> = tail.iter().filter(|_| matches!(file, LogFile::Tail(_))).collect();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reader = self.server.download(&path, &query).map_err(|error| failed(&error))?;
        Ok(Box::new(reader.take(bytes)))
    }
}

fn failed(error: &anyhow::Error) -> BackupFault {
    let may_return = matches!(error.downcast_ref(), Some(Later::TryAgain(_)));
    BackupFault::Server { cause: format!("{error:#}"), may_return }
}
