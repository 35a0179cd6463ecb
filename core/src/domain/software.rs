//! Software supply: which releases a computer is to hold, and how far it has come.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use super::event::{Event, Mode, Stream};
use super::id::{ComputerId, SoftwareRelease};
use super::sealed::Sealed;
use super::time::Timestamp;
use super::{Outcome, computer::Computers, computer::UnknownComputer};

/// What is wanted of a release on a computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SupplyState {
    /// To be installed.
    Available,
    /// To be removed.
    Destroyed,
}

/// What a computer says of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SoftwareState {
    /// Being installed.
    Building,
    /// Installed.
    Available,
    /// Removed.
    Destroyed,
    /// Its installation or removal failed.
    Error,
}

/// A release was asked for on a computer, or asked away.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SoftwareSupplied {
    /// Where.
    pub computer: ComputerId,
    /// What.
    pub release: SoftwareRelease,
    /// To be installed or removed.
    pub state: SupplyState,
    /// When.
    pub at: Timestamp,
}

/// A computer said how far it is with a release.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SoftwareStateReported {
    /// Where.
    pub computer: ComputerId,
    /// What.
    pub release: SoftwareRelease,
    /// How far.
    pub state: SoftwareState,
    /// What went wrong, if something did.
    pub error: Option<Sealed>,
    /// When.
    pub at: Timestamp,
}

/// Ask for a release on a computer, or ask it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplySoftware {
    /// Where.
    pub computer: ComputerId,
    /// What.
    pub release: SoftwareRelease,
    /// To be installed or removed.
    pub state: SupplyState,
}

/// Say how far a computer is with a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSoftware {
    /// Where.
    pub computer: ComputerId,
    /// What.
    pub release: SoftwareRelease,
    /// How far.
    pub state: SoftwareState,
    /// What went wrong, if something did.
    pub error: Option<Sealed>,
}

/// Why a command about software is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoftwareRefusal {
    /// No such computer.
    #[error(transparent)]
    UnknownComputer(#[from] UnknownComputer),
    /// The computer was never asked to hold it.
    #[error("software release {release} is not supplied to computer {computer}")]
    NotSupplied {
        /// Where.
        computer: ComputerId,
        /// What.
        release: SoftwareRelease,
    },
    /// Reported as removed while it is still wanted.
    #[error("software release {release} is not to be removed from computer {computer}")]
    NotToBeDestroyed {
        /// Where.
        computer: ComputerId,
        /// What.
        release: SoftwareRelease,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct SupplyRecord {
    requested: SupplyState,
    reported: Option<SoftwareState>,
    error: Option<Sealed>,
}

/// All supplies. A destroyed one is forgotten when its computer says it is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Supplies {
    by_place: BTreeMap<(ComputerId, SoftwareRelease), SupplyRecord>,
    /// The computers each release is to be on, for allocation.
    holders: BTreeMap<SoftwareRelease, BTreeSet<ComputerId>>,
}

impl Supplies {
    /// Whether the release is to be on the computer.
    pub fn is_supplied(&self, computer: &ComputerId, release: &SoftwareRelease) -> bool {
        self.holders.get(release).is_some_and(|computers| computers.contains(computer))
    }

    /// The computers the release is to be on.
    pub(crate) fn holders(&self, release: &SoftwareRelease) -> Option<&BTreeSet<ComputerId>> {
        self.holders.get(release)
    }

    pub(crate) fn supply(
        &self,
        computers: &Computers,
        command: &SupplySoftware,
        now: Timestamp,
    ) -> Result<Outcome<()>, SoftwareRefusal> {
        computers.known(&command.computer)?;
        let place = (command.computer.clone(), command.release.clone());
        let known = self.by_place.get(&place);
        let unchanged = match known {
            Some(supply) => supply.requested == command.state,
            None => command.state == SupplyState::Destroyed,
        };
        if unchanged {
            return Ok(Outcome::unchanged(()));
        }
        let (computer, release) = place;
        let stream = Stream::Computer(computer.clone());
        let event = SoftwareSupplied { computer, release, state: command.state, at: now };
        Ok(Outcome::of((), [(stream, Event::SoftwareSupplied(event))]))
    }

    pub(crate) fn report(
        &self,
        (mode, computers): (Mode, &Computers),
        command: &ReportSoftware,
        now: Timestamp,
    ) -> Result<Outcome<()>, SoftwareRefusal> {
        computers.known(&command.computer)?;
        let place = (command.computer.clone(), command.release.clone());
        let Some(supply) = self.by_place.get(&place) else {
            let (computer, release) = place;
            return Err(SoftwareRefusal::NotSupplied { computer, release });
        };
        // slapos proxy forgets whatever its node says is gone.
        let wanted = mode == Mode::Serve && supply.requested != SupplyState::Destroyed;
        if command.state == SoftwareState::Destroyed && wanted {
            let (computer, release) = place;
            return Err(SoftwareRefusal::NotToBeDestroyed { computer, release });
        }
        let same_error = match (&supply.error, &command.error) {
            (Some(known), Some(told)) => known.same_content(told),
            (None, None) => true,
            _ => false,
        };
        if supply.reported == Some(command.state) && same_error {
            return Ok(Outcome::unchanged(()));
        }
        let (computer, release) = place;
        let stream = Stream::Computer(computer.clone());
        let error = command.error.clone();
        let event = SoftwareStateReported { computer, release, state: command.state, error, at: now };
        Ok(Outcome::of((), [(stream, Event::SoftwareStateReported(event))]))
    }

    pub(crate) fn supplied(&mut self, event: &SoftwareSupplied) {
        let place = (event.computer.clone(), event.release.clone());
        self.by_place
            .entry(place)
            .and_modify(|supply| supply.requested = event.state)
            .or_insert(SupplyRecord { requested: event.state, reported: None, error: None });
        match event.state {
            SupplyState::Available => {
                self.holders.entry(event.release.clone()).or_default().insert(event.computer.clone());
            }
            SupplyState::Destroyed => self.let_go(&event.computer, &event.release),
        }
    }

    fn let_go(&mut self, computer: &ComputerId, release: &SoftwareRelease) {
        if let Some(computers) = self.holders.get_mut(release) {
            computers.remove(computer);
            if computers.is_empty() {
                self.holders.remove(release);
            }
        }
    }

    pub(crate) fn reported(&mut self, event: &SoftwareStateReported) {
        let place = (event.computer.clone(), event.release.clone());
        if event.state == SoftwareState::Destroyed {
            self.by_place.remove(&place);
            self.let_go(&event.computer, &event.release);
        } else if let Some(supply) = self.by_place.get_mut(&place) {
            supply.reported = Some(event.state);
            supply.error.clone_from(&event.error);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::given::{Given, computer, release, sealed};

    use super::*;

    fn supply(state: SupplyState) -> SupplySoftware {
        SupplySoftware { computer: computer("COMP-1"), release: release("http://release/1"), state }
    }

    fn report(state: SoftwareState, error: Option<&str>) -> ReportSoftware {
        let error = error.map(|text| sealed("computer", text));
        ReportSoftware { computer: computer("COMP-1"), release: release("http://release/1"), state, error }
    }

    fn supplied(given: &Given, state: SupplyState) -> [(Stream, Event); 1] {
        let SupplySoftware { computer, release, state } = supply(state);
        let stream = Stream::Computer(computer.clone());
        [(stream, Event::SoftwareSupplied(SoftwareSupplied { computer, release, state, at: given.now }))]
    }

    fn reported(given: &Given, state: SoftwareState, error: Option<&str>) -> [(Stream, Event); 1] {
        let ReportSoftware { computer, release, state, error } = report(state, error);
        let (stream, at) = (Stream::Computer(computer.clone()), given.now);
        [(
            stream,
            Event::SoftwareStateReported(SoftwareStateReported { computer, release, state, error, at }),
        )]
    }

    fn is_supplied(given: &Given) -> bool {
        given.project().supplies.is_supplied(&computer("COMP-1"), &release("http://release/1"))
    }

    #[test]
    fn a_release_is_supplied_and_taken_away() {
        let given = Given::cloud().when(supply(SupplyState::Destroyed)).unchanged().and();
        let wanted = supplied(&given, SupplyState::Available);
        let given = given.when(supply(SupplyState::Available)).then(wanted.clone()).and();
        let given = given.when(supply(SupplyState::Available)).unchanged().and();
        assert!(is_supplied(&given));

        let unwanted = supplied(&given, SupplyState::Destroyed);
        let given = given.when(supply(SupplyState::Destroyed)).then(unwanted.clone()).and();
        assert!(!is_supplied(&given));
        // Wanted again before it was gone, and given up again.
        let given = given.when(supply(SupplyState::Available)).then(wanted.clone()).and();
        let given = given.when(supply(SupplyState::Destroyed)).then(unwanted).and();
        let gone = reported(&given, SoftwareState::Destroyed, None);
        let given = given.when(report(SoftwareState::Destroyed, None)).then(gone).and();
        // It is forgotten: a new supply begins from nothing.
        given
            .when(supply(SupplyState::Destroyed))
            .unchanged()
            .and()
            .when(supply(SupplyState::Available))
            .then(wanted);
    }

    #[test]
    fn reports_are_recorded_when_they_say_something_new() {
        let mut given = Given::cloud().done(supply(SupplyState::Available));
        let rows = [
            (SoftwareState::Building, None, true),
            (SoftwareState::Building, None, false),
            (SoftwareState::Error, Some("no space left"), true),
            (SoftwareState::Error, Some("no space left"), false),
            (SoftwareState::Error, Some("out of memory"), true),
            (SoftwareState::Error, None, true),
            (SoftwareState::Available, None, true),
            (SoftwareState::Available, None, false),
        ];
        for (state, error, new) in rows {
            let expected = reported(&given, state, error);
            let when = given.when(report(state, error));
            given = if new { when.then(expected).and() } else { when.unchanged().and() };
        }
    }

    #[test]
    fn refusals_in_order() {
        let (at, what) = (computer("COMP-1"), release("http://release/1"));
        let elsewhere = UnknownComputer { computer: computer("COMP-9") };
        let given = Given::cloud()
            .when(SupplySoftware { computer: computer("COMP-9"), ..supply(SupplyState::Available) })
            .refused(SoftwareRefusal::UnknownComputer(elsewhere.clone()))
            .when(ReportSoftware { computer: computer("COMP-9"), ..report(SoftwareState::Destroyed, None) })
            .refused(SoftwareRefusal::UnknownComputer(elsewhere))
            .when(report(SoftwareState::Destroyed, None))
            .refused(SoftwareRefusal::NotSupplied { computer: at.clone(), release: what.clone() });
        let mut given = given.done(supply(SupplyState::Available));
        given.state.mode = Mode::Serve;
        given
            .when(report(SoftwareState::Destroyed, None))
            .refused(SoftwareRefusal::NotToBeDestroyed { computer: at, release: what });
    }

    #[test]
    fn slapos_proxy_takes_its_node_at_its_word() {
        let given = Given::cloud().done(supply(SupplyState::Available));
        let gone = reported(&given, SoftwareState::Destroyed, None);
        let given = given.when(report(SoftwareState::Destroyed, None)).then(gone).and();
        assert!(!is_supplied(&given));
        given.when(supply(SupplyState::Destroyed)).unchanged();
    }
}
