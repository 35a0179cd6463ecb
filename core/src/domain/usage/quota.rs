//! How much usage may be suspended at a time: it stays in memory until somebody resolves or dismisses it.
//!
//! A report that would be suspended beyond a quota is not recorded, and its sender is told so: it can send the report
//! again when others have been resolved or dismissed. A report that takes the place of a suspended one needs no room.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

use super::MOST_GROUPS;
use crate::domain::computer::Computers;
use crate::domain::id::{ComputerId, PartyId};

/// Limits of usage: settings of the program, not of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageLimits {
    /// Groups that an instance may have of a resource in a month.
    pub most_groups: usize,
    /// Suspended usage events of one computer.
    pub most_suspended_of_node: u32,
    /// Suspended usage events of all computers of one party.
    pub most_suspended_of_party: u32,
}

impl Default for UsageLimits {
    fn default() -> Self {
        Self { most_groups: MOST_GROUPS, most_suspended_of_node: 50_000, most_suspended_of_party: 200_000 }
    }
}

/// A quota of suspended usage that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum SuspendedQuota {
    /// That of the computer.
    #[error(
        "its computer has {max} suspended usage events, as many as it may have (usage.most_suspended_of_node); resolve or dismiss some, then send it again"
    )]
    Node {
        /// How many it may have.
        max: u32,
    },
    /// That of the party which owns the computer.
    #[error(
        "the computers of its provider have {max} suspended usage events, as many as they may have (usage.most_suspended_of_party); resolve or dismiss some, then send it again"
    )]
    Party {
        /// How many they may have together.
        max: u32,
    },
}

/// How many usage events are suspended, where there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct SuspendedCounts {
    of_node: BTreeMap<ComputerId, u32>,
    of_party: BTreeMap<PartyId, u32>,
}

impl SuspendedCounts {
    /// One more is suspended.
    pub(super) fn add(&mut self, computers: &Computers, computer: &ComputerId) {
        *self.of_node.entry(computer.clone()).or_default() += 1;
        if let Ok(known) = computers.known(computer) {
            *self.of_party.entry(known.owner).or_default() += 1;
        }
    }

    /// One was resolved or dismissed.
    pub(super) fn remove(&mut self, computers: &Computers, computer: &ComputerId) {
        take_one(&mut self.of_node, computer);
        if let Ok(known) = computers.known(computer) {
            take_one(&mut self.of_party, &known.owner);
        }
    }

    /// The quota that keeps one more from being suspended, after `added` others of the same command.
    pub(super) fn used_up(
        &self,
        limits: UsageLimits,
        (computer, owner): (&ComputerId, Option<PartyId>),
        added: i64,
    ) -> Option<SuspendedQuota> {
        let is_full = |known: Option<&u32>, max: u32| {
            i64::from(known.copied().unwrap_or_default()).saturating_add(added) >= i64::from(max)
        };
        let (node, party) = (limits.most_suspended_of_node, limits.most_suspended_of_party);
        if is_full(self.of_node.get(computer), node) {
            return Some(SuspendedQuota::Node { max: node });
        }
        let of_party = owner.and_then(|owner| self.of_party.get(&owner));
        is_full(of_party, party).then_some(SuspendedQuota::Party { max: party })
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, u32>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::computer::RegisterComputer;
    use crate::domain::given::{Given, computer, configure, register_computer, usage};
    use crate::domain::id::Sequence;
    use crate::domain::usage::{
        DismissSuspendedUsage, RecordUsage, Revision, Unmeterable, UsageOutcome, UsageReport,
    };
    use UsageOutcome::{Accepted, Duplicate, OverQuota, Suspended};

    const UNKNOWN: Unmeterable = Unmeterable::UnknownSubject;
    const OF_NODE: UsageOutcome = OverQuota(SuspendedQuota::Node { max: 2 });
    const OF_PARTY: UsageOutcome = OverQuota(SuspendedQuota::Party { max: 3 });

    /// Two may be suspended of a computer, and three of a party.
    fn given() -> Given {
        let given =
            Given::cloud().done(register_computer("COMP-2")).done(configure("COMP-2", &["slappart0"]));
        let mut given = given.done(crate::domain::given::request("a"));
        given.state.usage_limits =
            UsageLimits { most_suspended_of_node: 2, most_suspended_of_party: 3, ..UsageLimits::default() };
        given.at("2026-10-01T12:00:00Z")
    }

    fn bad(id: &str) -> UsageReport {
        UsageReport { subject: "nobody".into(), ..usage(id, "1") }
    }

    fn of(name: &str, reports: impl IntoIterator<Item = UsageReport>) -> RecordUsage {
        RecordUsage { computer: computer(name), reports: reports.into_iter().collect() }
    }

    #[test]
    fn what_would_be_suspended_beyond_the_quota_of_a_computer_is_not_recorded() {
        let given = given();
        let next = |n| Sequence(given.next().0 + n);
        // In one command as in several; what can be metered needs no room.
        let told = [Suspended(next(0), UNKNOWN), Suspended(next(1), UNKNOWN), OF_NODE, Accepted(next(2))];
        let known = Duplicate(next(0));
        let given = given.when_reported([bad("1"), bad("2"), bad("3"), usage("4", "1")]);
        let given = given.answered_usage(told).and();
        let given = given.when_reported([bad("1"), bad("3")]).answered_usage([known, OF_NODE]).and();
        // Who dismisses one makes room for one; what was refused comes as if for the first time.
        let Duplicate(first) = known else { unreachable!("a duplicate") };
        let given = given.done(DismissSuspendedUsage { suspended: first, reason: "a test".into() });
        let sequence = given.next();
        let given = given.when_reported([bad("3"), bad("5")]);
        given.answered_usage([Suspended(sequence, UNKNOWN), OF_NODE]);
    }

    #[test]
    fn the_computers_of_a_party_share_a_quota() {
        let given = given().done(of("COMP-1", [bad("1"), bad("2")]));
        let next = given.next();
        let given = given.when(of("COMP-2", [bad("1"), bad("2")]));
        let given = given.answered_usage([Suspended(next, UNKNOWN), OF_PARTY]).and();
        // Another party has its own.
        let given = given.done(crate::domain::given::register_party());
        let owner = PartyId(2);
        let given = given.done(RegisterComputer { owner, ..register_computer("COMP-3") });
        let next = given.next();
        given.when(of("COMP-3", [bad("1")])).answered_usage([Suspended(next, UNKNOWN)]);
    }

    #[test]
    fn a_revision_of_suspended_usage_needs_no_room() {
        let latest = |quantity: &str| UsageReport {
            revision: Revision::Latest,
            subject: "nobody".into(),
            ..usage("1", quantity)
        };
        let given = given().done(of("COMP-1", [latest("1"), bad("2")]));
        let next = given.next();
        let given = given.when_reported([latest("2")]).answered_usage([Suspended(next, UNKNOWN)]).and();
        given.when_reported([bad("3")]).answered_usage([OF_NODE]);
    }
}
