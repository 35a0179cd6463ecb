//! Who is let in: the projects and credentials of the ledger, as the edge looks them up for each request.

use std::io::{self, Read, Write};

use slapledger_core::domain::access::Access;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::Sequence;
use slapledger_core::domain::log_key::LogKeySet;
use slapledger_core::log::envelope::Recorded;

use crate::rows::RowDigests;
use crate::view::{Projection, View, get, put};

/// Projects and credentials, of the whole ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessView {
    /// The same fold that decisions look at.
    pub access: Access,
    /// The keys that sign checkpoints, each with its event, the present one last.
    pub log_keys: Vec<(Sequence, LogKeySet)>,
}

impl View for AccessView {
    const FORMAT: u32 = 3;
    const LOOKS_AT_USAGE: bool = false;

    fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::ProjectOpened(event) => self.access.project_opened(event),
            Event::CredentialIssued(event) => {
                let by = recorded.meta.actor.credential.as_deref();
                self.access.credential_issued(recorded.meta.project, by, event);
            }
            Event::CredentialRevoked(event) => self.access.credential_revoked(event),
            Event::CredentialSpent(event) => self.access.credential_spent(event),
            Event::LogKeySet(event) => self.log_keys.push((recorded.sequence, event.clone())),
            _ => {}
        }
    }

    fn projections(&self) -> Vec<Box<dyn Projection + '_>> {
        vec![Box::new(self)]
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        Ok(Self { access: get(from)?, log_keys: get(from)? })
    }
}

impl Projection for AccessView {
    fn name(&self) -> &'static str {
        "access"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(&self.access, out)?;
        put(&self.log_keys, out)
    }

    fn rows(&self, rows: &mut RowDigests) {
        rows.table("projects", self.access.projects());
        rows.table(
            "credentials",
            self.access.all().map(|credential| (credential.issued.credential, credential)),
        );
        rows.value("all credentials", String::new(), &self.access);
        rows.table("log keys", self.log_keys.iter().map(|(sequence, key)| (sequence, key)));
    }
}
