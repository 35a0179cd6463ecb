//! When each computer was last heard of, and what follows from silence.
//!
//! A contact is no event: nodes come every minute, and only silence means something. It is kept in memory, so a computer
//! is given time anew after a start. In a master, a computer that is silent for too long gets no new instances until it
//! is heard of again; both are recorded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use slapledger_core::domain::Command;
use slapledger_core::domain::computer::NoticeSilence;
use slapledger_core::domain::id::ComputerId;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::{Submission, SubmitError};
use slapledger_core::log::envelope::Actor;

use crate::app::{self, App};

/// When each computer was last heard of.
#[derive(Default)]
pub struct Contacts {
    last: Mutex<HashMap<ComputerId, Timestamp>>,
}

impl Contacts {
    /// A computer that exists was heard of.
    pub fn heard(&self, computer: &ComputerId, now: Timestamp) {
        let mut last = self.last.lock();
        if let Some(known) = last.get_mut(computer) {
            *known = now;
        } else {
            last.insert(computer.clone(), now);
        }
    }

    /// When a computer was last heard of, since the program started.
    pub fn last(&self, computer: &ComputerId) -> Option<Timestamp> {
        self.last.lock().get(computer).copied()
    }
}

/// Looks for computers that fell silent, or were heard of again, as long as the program runs.
pub async fn watch(app: Arc<App>, silent_after: Duration) {
    let started = app.now();
    let every = (silent_after / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
    let limit = i64::try_from(silent_after.as_micros()).unwrap_or(i64::MAX);
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = look(&app, started, limit).await {
            tracing::warn!(%error, "computers were not looked after");
        }
    }
}

/// Notices who fell silent, and who is heard of again.
async fn look(app: &App, started: Timestamp, limit: i64) -> Result<(), SubmitError> {
    let now = app.now();
    let known = app.slap.read(|view, _| {
        let computers = view.inventory.iter();
        computers.map(|computer| (computer.id.clone(), computer.silent_since)).collect::<Vec<_>>()
    });
    for (computer, silent) in known {
        let last = app.contacts.last(&computer).unwrap_or(started);
        let is_silent = now.micros().saturating_sub(last.micros()) > limit;
        if is_silent == silent.is_some() || silent.is_some() && app.contacts.last(&computer).is_none() {
            continue;
        }
        let command = NoticeSilence { computer, since: is_silent.then_some(last) };
        let digest = app.keys.command_digest(&[format!("{command:?}").as_bytes()]);
        let meta = Arc::new(app::meta(Actor::system(), app::random_id(), digest));
        app.ledger.submit(Submission { meta, command: Command::NoticeSilence(command) }).await?;
    }
    Ok(())
}
