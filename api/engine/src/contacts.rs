//! When each computer was last heard of.
//!
//! A contact is no event: nodes come every minute, and only silence means something. It is kept in memory, so a computer
//! is given time anew after a start.

use std::collections::HashMap;

use parking_lot::Mutex;
use slapledger_core::domain::id::{ComputerId, ProjectId};
use slapledger_core::domain::time::Timestamp;

/// When the computers of each project were last heard of.
#[derive(Default)]
pub struct Contacts(Mutex<HashMap<ProjectId, HashMap<ComputerId, Timestamp>>>);

impl Contacts {
    /// A computer that exists was heard of.
    pub fn heard(&self, project: ProjectId, computer: &ComputerId, now: Timestamp) {
        let mut last = self.0.lock();
        let last = last.entry(project).or_default();
        if let Some(known) = last.get_mut(computer) {
            *known = now;
        } else {
            last.insert(computer.clone(), now);
        }
    }

    /// When a computer was last heard of, since the program started.
    pub fn last(&self, project: ProjectId, computer: &ComputerId) -> Option<Timestamp> {
        self.0.lock().get(&project)?.get(computer).copied()
    }
}
