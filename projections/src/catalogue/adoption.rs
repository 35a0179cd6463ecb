//! What the log shows of each software: supplied, it is supported; requested as `testing`, it is tested; started, it is used;
//! and its usage on a final invoice shows that it is in production.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use slapledger_core::domain::catalogue::AdoptionStage;
use slapledger_core::domain::event::Event;
use slapledger_core::domain::id::{InstanceId, Sequence, SoftwareRelease};
use slapledger_core::domain::instance::{InstanceType, ReportedState};
use slapledger_core::domain::invoice::{InvoiceLine, LineKind};
use slapledger_core::log::envelope::Recorded;

/// The event that showed each stage of a software first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Adoption {
    /// A release of it was supplied to a computer.
    pub supported: Option<Sequence>,
    /// Somebody requested it for testing.
    pub tested: Option<Sequence>,
    /// An instance of it started.
    pub used: Option<Sequence>,
    /// Usage of it was invoiced.
    pub production: Option<Sequence>,
}

impl Adoption {
    /// The furthest stage that the log shows, and by which event.
    pub fn furthest(&self) -> Option<(AdoptionStage, Sequence)> {
        let shown = [
            (AdoptionStage::Production, self.production),
            (AdoptionStage::Used, self.used),
            (AdoptionStage::Tested, self.tested),
            (AdoptionStage::Supported, self.supported),
        ];
        shown.into_iter().find_map(|(stage, by)| Some((stage, by?)))
    }
}

/// All software, by the name of its releases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Adoptions {
    by_name: BTreeMap<Box<str>, Adoption>,
    /// The name of what each instance ran last: invoices come when many have ended.
    runs: BTreeMap<InstanceId, Box<str>>,
}

impl Adoptions {
    pub(super) fn of(&self, software: &str) -> Adoption {
        self.by_name.get(software).copied().unwrap_or_default()
    }

    pub(super) fn apply(&mut self, recorded: &Recorded) {
        let sequence = recorded.sequence;
        match &recorded.event {
            Event::SoftwareSupplied(event) => {
                let name = event.release.name().into_boxed_str();
                self.by_name.entry(name).or_default().supported.get_or_insert(sequence);
            }
            Event::InstanceRequested(event) => {
                self.runs(event.instance, &event.release);
                if event.instance_type == InstanceType::Testing {
                    self.shown(event.instance, |adoption| &mut adoption.tested, sequence);
                }
            }
            Event::InstanceChanged(event) => {
                if let Some(release) = &event.release {
                    self.runs(event.instance, release);
                }
                if event.instance_type == Some(InstanceType::Testing) {
                    self.shown(event.instance, |adoption| &mut adoption.tested, sequence);
                }
            }
            Event::InstanceStateReported(event) if event.state == ReportedState::Started => {
                self.shown(event.instance, |adoption| &mut adoption.used, sequence);
            }
            Event::InvoiceLinesRecorded(event) => self.invoiced(&event.lines, sequence),
            Event::InvoiceFinalised(event) => self.invoiced(&event.invoice.lines, sequence),
            _ => {}
        }
    }

    fn runs(&mut self, instance: InstanceId, release: &SoftwareRelease) {
        self.runs.insert(instance, release.name().into_boxed_str());
    }

    fn shown(
        &mut self,
        instance: InstanceId,
        stage: fn(&mut Adoption) -> &mut Option<Sequence>,
        by: Sequence,
    ) {
        let Some(name) = self.runs.get(&instance) else { return };
        let known = match self.by_name.get_mut(name) {
            Some(known) => known,
            None => self.by_name.entry(name.clone()).or_default(),
        };
        stage(known).get_or_insert(by);
    }

    fn invoiced(&mut self, lines: &[InvoiceLine], by: Sequence) {
        let usage = lines.iter().filter(|line| matches!(line.kind, LineKind::Usage { .. }));
        for instance in usage.filter_map(|line| line.instance) {
            self.shown(instance, |adoption| &mut adoption.production, by);
        }
    }
}

#[cfg(test)]
mod tests {
    use slapledger_core::domain::Command;
    use slapledger_core::domain::id::PartyId;
    use slapledger_core::domain::instance::{
        InstancePlace, InstanceType, ReportInstance, ReportedState, RequestInstance, Requester,
    };
    use slapledger_core::domain::software::{SupplySoftware, SupplyState};

    use super::*;
    use crate::testing::{Story, computer, release, request};

    #[test]
    fn a_software_advances_by_what_happens() {
        let mut story = Story::begin();
        let stage =
            |story: &Story| story.view.catalogue.adoption("one").furthest().map(|(stage, by)| (stage, by.0));
        let last = |story: &Story| story.events.last().expect("an event").sequence.0;
        assert_eq!(stage(&story), None);
        let release = release("http://example.com/One/software.cfg");
        let supply = SupplySoftware {
            computer: computer("COMP-1"),
            release: release.clone(),
            state: SupplyState::Available,
        };
        story.then(Command::SupplySoftware(supply));
        let supplied = last(&story);
        assert_eq!(stage(&story), Some((AdoptionStage::Supported, supplied)));
        let wish = RequestInstance {
            release,
            instance_type: Some(InstanceType::Production),
            ..request(Requester::Party(PartyId(1)), "a")
        };
        story.request(wish.clone());
        assert_eq!(stage(&story), Some((AdoptionStage::Supported, supplied)), "production is no test");
        story.request(RequestInstance { instance_type: Some(InstanceType::Testing), ..wish });
        let tested = last(&story);
        assert_eq!(stage(&story), Some((AdoptionStage::Tested, tested)));
        let (_, instance) = story
            .events
            .iter()
            .rev()
            .find_map(|recorded| match &recorded.event {
                Event::InstanceAllocated(event) => Some((event.computer.clone(), event)),
                _ => None,
            })
            .expect("it has a place");
        let place = InstancePlace::new(instance.computer.clone(), instance.partition.clone());
        let started = ReportInstance { place, state: ReportedState::Started, error: None };
        story.then(Command::ReportInstance(started));
        assert_eq!(stage(&story), Some((AdoptionStage::Used, last(&story))));
    }
}
