//! Parties: those who request, sell and pay.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::id::{KeyId, PartyId};
use super::sealed::Sealed;
use super::time::{TimeZone, Timestamp};

/// A party entered the books.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct PartyRegistered {
    /// Who.
    pub party: PartyId,
    /// The name people know them by.
    pub name: Sealed,
    /// Where their billing periods are cut.
    pub time_zone: TimeZone,
    /// When.
    pub at: Timestamp,
}

/// Enter a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterParty {
    /// Sealed under a key of its own, which becomes the party's key.
    pub name: Sealed,
    /// Where their billing periods are cut.
    pub time_zone: TimeZone,
}

/// What decisions need to know of a party.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Party {
    /// The key its values are sealed under.
    pub key: KeyId,
    /// Where its billing periods are cut.
    pub time_zone: TimeZone,
}

/// All parties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Parties {
    by_id: BTreeMap<PartyId, Party>,
}

impl Parties {
    /// The party, if there is one.
    pub fn get(&self, party: PartyId) -> Option<&Party> {
        self.by_id.get(&party)
    }

    /// Every party may be registered: a name is no identity.
    pub(crate) fn register(&self, command: &RegisterParty, now: Timestamp) -> Outcome<PartyId> {
        let party = PartyId(self.by_id.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        let event =
            PartyRegistered { party, name: command.name.clone(), time_zone: command.time_zone, at: now };
        Outcome::of(party, [(Stream::Party(party), Event::PartyRegistered(event))])
    }

    pub(crate) fn registered(&mut self, event: &PartyRegistered) {
        self.by_id.insert(event.party, Party { key: event.name.key, time_zone: event.time_zone });
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, register_party, register_party_in};
    use crate::domain::id::PartyId;

    use super::PartyRegistered;

    #[test]
    fn every_registration_is_another_party() {
        let given = Given::nothing().done(register_party());
        let at = given.now;
        let paris = register_party_in("Europe/Paris");
        let event = PartyRegistered {
            party: PartyId(2),
            name: paris.name.clone(),
            time_zone: "Europe/Paris".parse().expect("a zone"),
            at,
        };
        let given = given
            .when(paris)
            .then([(Stream::Party(PartyId(2)), Event::PartyRegistered(event))])
            .answered(&Answer::Party(PartyId(2)))
            .and();
        let party = given.state.parties.get(PartyId(2)).expect("it was registered");
        assert_eq!(party.key, crate::domain::given::key("party"));
        assert_eq!(given.state.parties.get(PartyId(3)), None);
    }
}
