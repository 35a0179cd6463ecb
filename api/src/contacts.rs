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
use slapledger_core::domain::access::Holder;
use slapledger_core::domain::computer::NoticeSilence;
use slapledger_core::domain::id::{ComputerId, ProjectId};
use slapledger_core::domain::time::Timestamp;
use slapledger_core::ledger::SubmitError;
use slapledger_core::log::envelope::Actor;
use slapledger_projections::inventory::Computer;

use crate::app::App;

/// When each computer of a project was last heard of.
pub struct Contacts {
    last: Arc<Mutex<Last>>,
    project: ProjectId,
}

/// When the computers of each project were last heard of.
type Last = HashMap<ProjectId, HashMap<ComputerId, Timestamp>>;

impl Default for Contacts {
    fn default() -> Self {
        Self { last: Arc::default(), project: ProjectId::DEFAULT }
    }
}

impl Contacts {
    /// Those of another project.
    #[must_use]
    pub fn within(&self, project: ProjectId) -> Self {
        Self { last: Arc::clone(&self.last), project }
    }

    /// A computer that exists was heard of.
    pub fn heard(&self, computer: &ComputerId, now: Timestamp) {
        let mut last = self.last.lock();
        let last = last.entry(self.project).or_default();
        if let Some(known) = last.get_mut(computer) {
            *known = now;
        } else {
            last.insert(computer.clone(), now);
        }
    }

    /// When a computer was last heard of, since the program started.
    pub fn last(&self, computer: &ComputerId) -> Option<Timestamp> {
        self.last.lock().get(&self.project)?.get(computer).copied()
    }
}

/// Looks for computers that fell silent, or were heard of again, as long as the program runs.
pub async fn watch(app: Arc<App>, silent_after: Duration) {
    let started = app.now();
    let every = (silent_after / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
    let limit = i64::try_from(silent_after.as_micros()).unwrap_or(i64::MAX);
    loop {
        tokio::time::sleep(every).await;
        for app in app.of_all_projects() {
            if let Err(error) = look(&app, started, limit).await {
                tracing::warn!(project = %app.project(), %error, "computers were not looked after");
            }
        }
    }
}

/// Notices who of a project fell silent, and who is heard of again.
pub(crate) async fn look(app: &App, started: Timestamp, limit: i64) -> Result<(), SubmitError> {
    let now = app.now();
    let known = app.slap.read(|view, _| {
        let computers = view.inventory.iter();
        let since = |computer: &Computer| computer.registered_at.max(started);
        let seen = computers.map(|computer| (computer.id.clone(), since(computer), computer.silent_since));
        seen.collect::<Vec<_>>()
    });
    for (computer, since, silent) in known {
        let last = app.contacts.last(&computer).unwrap_or(since);
        let is_silent = now.micros().saturating_sub(last.micros()) > limit;
        // Heard of again is who was heard of since and can come in: not by what was under way when it was revoked.
        let heard = app.contacts.last(&computer).is_some_and(|last| silent.is_some_and(|since| last > since))
            && (app.certifier.is_none() || has_certificate(app, &computer));
        if is_silent == silent.is_some() || silent.is_some() && !heard {
            continue;
        }
        let command = NoticeSilence { computer, since: is_silent.then_some(last) };
        let command = Command::NoticeSilence(command);
        let content = format!("{command:?}");
        app.ledger.submit(app.own(Actor::system(), command, content.as_bytes())).await?;
    }
    Ok(())
}

fn has_certificate(app: &App, computer: &ComputerId) -> bool {
    let (holder, now) = (Holder::Computer(computer.clone()), app.now());
    app.access.read(|view, _| view.access.certificates_of(app.project(), &holder, now).next().is_some())
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::event::Mode;

    use super::*;
    use crate::slap::testing::{COMPUTER, World};

    /// An hour.
    const LIMIT: i64 = 3_600_000_000;

    /// A computer of the same name in another project.
    #[test]
    fn who_is_heard_of_is_heard_of_in_its_project() {
        let world = World::empty(Mode::Serve);
        world.enter(2);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started = world.app.now();
        let silent = |app: &App| {
            let look = |view: &slapledger_projections::SlapViews| {
                view.inventory.computer(COMPUTER).map(|known| known.silent_since.is_some())
            };
            app.slap_now(look).unwrap()
        };
        world.set_clock("2026-11-23T16:00:00Z");
        world.get("/getFullComputerInformation?computer_id=COMP-1").expect(200);
        for app in world.app.of_all_projects() {
            runtime.block_on(look(&app, started, LIMIT)).unwrap();
        }
        let silent = [1, 2, 3].map(|project| silent(&world.app.within(ProjectId(project))));
        assert_eq!(silent, [Some(false), Some(true), None]);
    }

    #[test]
    fn who_is_silent_gets_nothing_new_until_it_is_heard_of() {
        let world = World::empty(Mode::Serve);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started = world.app.now();
        let look = || runtime.block_on(look(&world.app, started, LIMIT)).unwrap();
        let silent = |id: &str| {
            world.app.slap_now(|view| view.inventory.computer(id).unwrap().silent_since.is_some()).unwrap()
        };
        world.format(COMPUTER, 1);
        world.set_clock("2026-11-23T15:00:00Z");
        look();
        assert!(!silent(COMPUTER));
        world.set_clock("2026-11-23T16:00:00Z");
        world.post("/requestComputer", &[("computer_title", "new")]).expect(200);
        look();
        assert!(silent(COMPUTER));
        assert!(!silent("COMP-2"), "it was entered just now");
        world.request("one", &[], None).expect(408);
        look();
        world.get("/getFullComputerInformation?computer_id=COMP-1").expect(200);
        look();
        assert!(!silent(COMPUTER));
        world.request("one", &[], None).expect(200);
    }
}
