//! Erasure: the key of a party or an instance is destroyed, and all that was sealed under it is gone for good.
//!
//! It comes last: an instance is erased when it has ended, a party when it has no living instances and nobody is on its
//! computers. What is left is what was never sealed: ids, titles, countries, usage and amounts. Documents that were
//! issued have keys of their own and stay readable. An erased subject stays in the books, and nothing is sealed for it
//! any more.
//!
//! The event is the decision. The key itself lies in the key ring, which is not known here: the holder of the ring
//! destroys every key that such an event names.

use std::fmt;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::computer::Computers;
use super::event::{Event, Stream};
use super::id::{ComputerId, InstanceId, KeyId, PartyId};
use super::instance::Instances;
use super::party::Parties;
use super::time::Timestamp;

/// Whose values are erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureSubject {
    /// Name and details of a party.
    Party(PartyId),
    /// Parameters, connection parameters and error texts of an instance.
    Instance(InstanceId),
}

impl ErasureSubject {
    /// The history it is part of.
    pub fn stream(self) -> Stream {
        match self {
            Self::Party(party) => Stream::Party(party),
            Self::Instance(instance) => Stream::Instance(instance),
        }
    }
}

impl fmt::Display for ErasureSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party(party) => party.fmt(f),
            Self::Instance(instance) => instance.fmt(f),
        }
    }
}

/// All that was sealed for a subject is erased.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct KeyDestroyed {
    /// Whose.
    pub subject: ErasureSubject,
    /// The key that no key ring may have any more.
    pub key: KeyId,
    /// When.
    pub at: Timestamp,
}

/// Erase all that was sealed for a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erase {
    /// Whose.
    pub subject: ErasureSubject,
}

/// Why nothing is erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErasureRefusal {
    /// There is no such party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// There is no such instance.
    #[error("there is no instance {instance}")]
    UnknownInstance {
        /// Which.
        instance: InstanceId,
    },
    /// What it says is still needed.
    #[error("instance {instance} still exists; erase it after it was destroyed and removed")]
    InstanceLives {
        /// Which.
        instance: InstanceId,
    },
    /// It pays for something that is there.
    #[error(
        "{party} pays for instance {instance}, which lives; its instances have to be destroyed, and their nodes to have \
         said so"
    )]
    HasInstances {
        /// Who.
        party: PartyId,
        /// The first of its instances that live.
        instance: InstanceId,
    },
    /// Somebody else's instance is on a computer of theirs, which comes in no more when they do not.
    #[error("instance {instance} is on {computer}, which is of {party}; end what is on its computers first")]
    HasComputer {
        /// Who.
        party: PartyId,
        /// The first of its computers that somebody is on.
        computer: ComputerId,
        /// Who is on it.
        instance: InstanceId,
    },
    /// A document must say who issues it.
    #[error("{party} issues documents of series {series}, which must name it")]
    Sells {
        /// Who.
        party: PartyId,
        /// What their numbers begin with.
        series: Box<str>,
    },
}

impl Erase {
    pub(crate) fn decide(
        &self,
        parties: &Parties,
        computers: &Computers,
        instances: &Instances,
        now: Timestamp,
    ) -> Result<Outcome<()>, ErasureRefusal> {
        let (key, erased) = match self.subject {
            ErasureSubject::Party(party) => {
                let known = parties.get(party).ok_or(ErasureRefusal::UnknownParty { party })?;
                if let Some(instance) = instances.first_living_of(party) {
                    return Err(ErasureRefusal::HasInstances { party, instance });
                }
                if let Some(series) = parties.series_of(party) {
                    return Err(ErasureRefusal::Sells { party, series: series.into() });
                }
                if let Some((computer, instance)) = computers.first_used_of(party) {
                    return Err(ErasureRefusal::HasComputer { party, computer: computer.clone(), instance });
                }
                (known.key, known.erased)
            }
            ErasureSubject::Instance(instance) => {
                let known = instances.get(instance).ok_or(ErasureRefusal::UnknownInstance { instance })?;
                if !known.has_ended() {
                    return Err(ErasureRefusal::InstanceLives { instance });
                }
                (known.key, known.erased)
            }
        };
        if erased {
            return Ok(Outcome::unchanged(()));
        }
        let event = KeyDestroyed { subject: self.subject, key, at: now };
        Ok(Outcome::of((), [(self.subject.stream(), Event::KeyDestroyed(event))]))
    }
}

impl KeyDestroyed {
    /// What it changes in what decisions know.
    pub(crate) fn evolve(&self, parties: &mut Parties, instances: &mut Instances) {
        match self.subject {
            ErasureSubject::Party(party) => parties.erased(party),
            ErasureSubject::Instance(instance) => instances.erased(instance),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::computer::RegisterComputer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{
        Given, computer, configure, destroy, in_partition, key, on, reference, register_computer,
        register_party, report, request, sealed, state,
    };
    use crate::domain::id::{InstanceId, PartyId};
    use crate::domain::instance::{
        InstancePlace, InstanceRefusal, ReportInstance, ReportedState, RequestInstance, Requester,
    };
    use crate::domain::party::{DescribeParty, Description, PartyRefusal};
    use crate::domain::state::State;
    use crate::domain::usage::MemoryIndex;

    use super::{Erase, ErasureRefusal, ErasureSubject, KeyDestroyed};

    fn erase_party(party: u64) -> Erase {
        Erase { subject: ErasureSubject::Party(PartyId(party)) }
    }

    fn erase_instance(instance: u64) -> Erase {
        Erase { subject: ErasureSubject::Instance(InstanceId(instance)) }
    }

    fn by(party: u64, name: &str) -> RequestInstance {
        RequestInstance { requester: Requester::Party(PartyId(party)), ..request(name) }
    }

    fn gone(given: Given, party: u64, name: &str, partition: &str) -> Given {
        let away = RequestInstance { requester: Requester::Party(PartyId(party)), ..destroy(name) };
        given.done(away).done(report(partition, ReportedState::Destroyed))
    }

    #[test]
    fn an_instance_is_erased_once_and_when_it_has_ended() {
        let given = Given::cloud().done(request("a"));
        let lives = ErasureRefusal::InstanceLives { instance: InstanceId(1) };
        let given = given
            .when(erase_instance(2))
            .refused(ErasureRefusal::UnknownInstance { instance: InstanceId(2) })
            .when(erase_instance(1))
            .refused(lives.clone())
            .done(destroy("a"))
            .when(erase_instance(1))
            .refused(lives)
            .done(report("slappart0", ReportedState::Destroyed));
        let subject = ErasureSubject::Instance(InstanceId(1));
        let event = KeyDestroyed { subject, key: key("a"), at: given.now };
        let given = given
            .when(erase_instance(1))
            .then([(Stream::Instance(InstanceId(1)), Event::KeyDestroyed(event))])
            .answered(&Answer::Done)
            .and();
        let given = given.when(erase_instance(1)).unchanged().and();
        // What was sealed for it is refused for the next of its name, which is another instance.
        let other = InstanceRefusal::OtherKey { reference: reference("a") };
        let anew = RequestInstance { parameters: sealed("anew", "{}"), ..request("a") };
        given.when(request("a")).refused(other).done(anew);
    }

    #[test]
    fn a_party_is_erased_when_nothing_of_it_lives_and_it_sells_nothing() {
        let given = Given::cloud().done(register_party()).done(by(2, "a")).done(by(2, "b"));
        let has =
            |instance| ErasureRefusal::HasInstances { party: PartyId(2), instance: InstanceId(instance) };
        let given = given
            .when(erase_party(3))
            .refused(ErasureRefusal::UnknownParty { party: PartyId(3) })
            .when(erase_party(1))
            .refused(ErasureRefusal::Sells { party: PartyId(1), series: "INV".into() })
            .when(erase_party(2))
            .refused(has(1));
        let given = gone(given, 2, "a", "slappart0").when(erase_party(2)).refused(has(2));
        let given = gone(given, 2, "b", "slappart1");
        // Nor while others are on its computers.
        let own = RegisterComputer { owner: PartyId(2), ..register_computer("COMP-2") };
        let there = RequestInstance { filter: on("COMP-2"), ..by(1, "there") };
        let (party, instance) = (PartyId(2), InstanceId(3));
        let used = ErasureRefusal::HasComputer { party, computer: computer("COMP-2"), instance };
        let place = InstancePlace { computer: computer("COMP-2"), ..in_partition("p") };
        let end = ReportInstance { place, state: ReportedState::Destroyed, error: None };
        let given = given.done(own).done(configure("COMP-2", &["p"])).done(there);
        let given = given.when(erase_party(2)).refused(used).done(destroy("there")).done(end);
        let series = Description { series: Some("B".parse().expect("a series")), ..Description::default() };
        let describe = |description| DescribeParty { party: PartyId(2), description };
        let given = given
            .done(describe(series))
            .when(erase_party(2))
            .refused(ErasureRefusal::Sells { party: PartyId(2), series: "B".into() })
            .done(describe(Description::default()));
        let event =
            KeyDestroyed { subject: ErasureSubject::Party(PartyId(2)), key: key("party"), at: given.now };
        let given = given
            .when(erase_party(2))
            .then([(Stream::Party(PartyId(2)), Event::KeyDestroyed(event))])
            .answered(&Answer::Done)
            .and();
        let erased = PartyRefusal::Erased { party: PartyId(2) };
        given
            .when(erase_party(2))
            .unchanged()
            .and()
            .when(describe(Description { details: Some(sealed("party", "x")), ..Description::default() }))
            .refused(erased.clone())
            .when(describe(Description::default()))
            .refused(erased)
            .when(by(2, "c"))
            .refused(InstanceRefusal::PartyErased { party: PartyId(2) })
            .done(by(1, "c"));
    }

    #[test]
    fn what_is_erased_is_remembered_by_a_snapshot() {
        let given = Given::cloud().done(register_party()).done(by(2, "a"));
        let given = gone(given, 2, "a", "slappart0").done(erase_party(2)).done(erase_instance(1));
        let restored = State::restore(&given.state.snapshot(), Box::new(MemoryIndex::new([7; 16])));
        let given = Given { state: restored.unwrap_or_else(state), ..given };
        given.when(erase_party(2)).unchanged().and().when(erase_instance(1)).unchanged();
    }
}
