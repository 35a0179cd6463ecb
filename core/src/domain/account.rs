//! Accounting periods: what is closed stays as it is.
//!
//! Everything is dated at the time of its decision, which the writer never lets run backwards. So it is enough that books
//! are not closed ahead of time; whatever is to be dated otherwise one day has to ask [`Accounts::open_from`].

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::Outcome;
use super::event::{Event, Stream};
use super::id::PartyId;
use super::party::Parties;
use super::time::Timestamp;

/// The books of a seller are closed up to an instant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct AccountsClosed {
    /// Whose.
    pub seller: PartyId,
    /// The first instant that is still open.
    pub until: Timestamp,
    /// When it was done.
    pub at: Timestamp,
}

/// Close the books of a seller up to an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseAccounts {
    /// Whose.
    pub seller: PartyId,
    /// The first instant that stays open.
    pub until: Timestamp,
}

/// Why books are not closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefusal {
    /// The seller is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// More may happen before that instant.
    #[error("the books cannot be closed up to {until}, which is not over")]
    NotOver {
        /// Up to when they should be closed.
        until: Timestamp,
    },
    /// They are closed up to that instant, or a later one.
    #[error("the books are closed up to {until} already")]
    AlreadyClosed {
        /// Up to when they are.
        until: Timestamp,
    },
}

/// Up to when the books of sellers are closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Accounts {
    closed: BTreeMap<PartyId, Timestamp>,
}

impl Accounts {
    /// The first instant that is open in the books of a seller, if any were closed.
    pub fn open_from(&self, seller: PartyId) -> Option<Timestamp> {
        self.closed.get(&seller).copied()
    }

    pub(crate) fn close(
        &self,
        parties: &Parties,
        command: &CloseAccounts,
        now: Timestamp,
    ) -> Result<Outcome<()>, AccountRefusal> {
        let CloseAccounts { seller, until } = *command;
        parties.get(seller).ok_or(AccountRefusal::UnknownParty { party: seller })?;
        if until > now {
            return Err(AccountRefusal::NotOver { until });
        }
        if let Some(closed) = self.open_from(seller).filter(|closed| until <= *closed) {
            return Err(AccountRefusal::AlreadyClosed { until: closed });
        }
        let event = AccountsClosed { seller, until, at: now };
        Ok(Outcome::of((), [(Stream::Party(seller), Event::AccountsClosed(event))]))
    }

    /// Takes a closing over.
    pub fn closed(&mut self, event: &AccountsClosed) {
        self.closed.insert(event.seller, event.until);
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Answer;
    use crate::domain::event::{Event, Stream};
    use crate::domain::given::{Given, at, register_party};
    use crate::domain::id::PartyId;

    use super::{AccountRefusal, AccountsClosed, CloseAccounts};

    fn close(seller: u64, until: &str) -> CloseAccounts {
        CloseAccounts { seller: PartyId(seller), until: at(until) }
    }

    #[test]
    fn books_are_closed_forwards_and_never_ahead() {
        let given = Given::nothing().done(register_party()).done(register_party());
        let (september, now) = (at("2026-09-01T00:00:00Z"), given.now);
        let event = AccountsClosed { seller: PartyId(1), until: september, at: now };
        let again = AccountRefusal::AlreadyClosed { until: september };
        let given = given
            .when(close(1, "2026-09-01T00:00:00Z"))
            .then([(Stream::Party(PartyId(1)), Event::AccountsClosed(event))])
            .answered(&Answer::Done)
            .and()
            .when(close(1, "2026-09-01T00:00:00Z"))
            .refused(again.clone())
            .when(close(1, "2026-08-31T00:00:00Z"))
            .refused(again)
            .when(close(1, "2026-10-01T00:00:00.000001Z"))
            .refused(AccountRefusal::NotOver { until: at("2026-10-01T00:00:00.000001Z") })
            .when(close(3, "2027-01-01T00:00:00Z"))
            .refused(AccountRefusal::UnknownParty { party: PartyId(3) })
            .done(close(2, "2026-08-01T00:00:00Z"))
            .done(close(1, "2026-10-01T00:00:00Z"));
        assert_eq!(given.project().accounts.open_from(PartyId(1)), Some(now));
    }
}
