//! The catalogue: every software release that was ever supplied or requested, and how much it is used.
//!
//! A release stays in it when nobody uses it any more; the counts say so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Bound;

use bincode::{Decode, Encode};
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{ComputerId, InstanceId, Sequence, SoftwareRelease};
use slapledger_core::domain::software::SoftwareState;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::log::envelope::Recorded;

use crate::page::Page;
use crate::view::{Projection, put};

/// A software release.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Release {
    /// Its address.
    pub release: SoftwareRelease,
    /// When it was first supplied or requested.
    pub first_seen: Timestamp,
    /// By which event.
    pub first_sequence: Sequence,
    /// How many living instances run it or are to run it.
    pub instances: u64,
    /// The computers it is to be on, or is being removed from.
    pub supplies: BTreeSet<ComputerId>,
}

/// All known releases.
#[derive(Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Catalogue {
    releases: BTreeMap<SoftwareRelease, Release>,
    /// What each living instance runs: the event that ends one does not say it.
    running: BTreeMap<InstanceId, SoftwareRelease>,
}

impl Catalogue {
    /// A release by its address.
    pub fn release(&self, release: &str) -> Option<&Release> {
        self.releases.get(release)
    }

    /// Releases after an address, in order of their addresses.
    pub fn releases(&self, after: Option<&str>, limit: usize) -> Page<&Release, SoftwareRelease> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.releases.range::<str, _>((from, Bound::Unbounded)).map(|(_, release)| release);
        Page::take(found, limit, |release| release.release.clone())
    }

    /// Takes the next event over.
    pub fn apply(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::SoftwareSupplied(event) => {
                // Asked away, it is there until the computer says that it is gone.
                let computer = event.computer.clone();
                self.seen(&event.release, event.at, sequence).supplies.insert(computer);
            }
            Event::SoftwareStateReported(event) if event.state == SoftwareState::Destroyed => {
                if let Some(release) = self.releases.get_mut(&event.release) {
                    release.supplies.remove(&event.computer);
                }
            }
            Event::InstanceRequested(event) => {
                self.seen(&event.release, event.at, sequence).instances += 1;
                self.running.insert(event.instance, event.release.clone());
            }
            Event::InstanceChanged(event) => {
                if let Some(release) = &event.release {
                    // One that has ended runs nothing.
                    if let Some(before) = self.running.insert(event.instance, release.clone()) {
                        self.seen(release, event.at, sequence).instances += 1;
                        self.leave(&before);
                    } else {
                        self.running.remove(&event.instance);
                    }
                }
            }
            Event::InstanceEnded(event) => {
                if let Some(release) = self.running.remove(&event.instance) {
                    self.leave(&release);
                }
            }
            _ => {}
        }
    }

    fn seen(&mut self, release: &SoftwareRelease, at: Timestamp, by: Sequence) -> &mut Release {
        self.releases.entry(release.clone()).or_insert_with(|| Release {
            release: release.clone(),
            first_seen: at,
            first_sequence: by,
            instances: 0,
            supplies: BTreeSet::new(),
        })
    }

    fn leave(&mut self, release: &SoftwareRelease) {
        if let Some(release) = self.releases.get_mut(release) {
            release.instances = release.instances.saturating_sub(1);
        }
    }
}

impl Projection for Catalogue {
    fn name(&self) -> &'static str {
        "catalogue"
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(self, out)
    }
}
