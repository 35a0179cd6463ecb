//! Which computers take new instances, by who may use them and by what they have, so that a request of the master looks at few.
//!
//! It only narrows: whether a computer found here is right is decided by looking at it.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use crate::domain::id::{ComputerId, PartyId, SoftwareRelease};
use crate::domain::instance::filter::{ATTRIBUTES, CAPABILITY, get};

/// A reason to look at a computer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(super) enum RoomKey {
    /// It admits a party; nobody in particular, if everybody.
    Admits(Option<PartyId>),
    /// It takes a release; none in particular, if all.
    Takes(Option<SoftwareRelease>),
    /// An attribute begins like this, up to its end or a `/`.
    Attribute(Box<str>, Box<str>),
    /// One of its free partitions is capable of it.
    Capability(Box<str>),
}

/// Computers that take new instances, by the reasons to look at them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct RoomIndex {
    by_key: BTreeMap<RoomKey, BTreeSet<ComputerId>>,
}

impl RoomIndex {
    /// A computer is found by other keys than before.
    pub(super) fn replace(&mut self, id: &ComputerId, before: &BTreeSet<RoomKey>, after: BTreeSet<RoomKey>) {
        for key in before.difference(&after) {
            if let Some(computers) = self.by_key.get_mut(key) {
                computers.remove(id);
                if computers.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        for key in after.into_iter().filter(|key| !before.contains(key)) {
            self.by_key.entry(key).or_default().insert(id.clone());
        }
    }

    /// The fewest computers that have all there are for an instance of somebody.
    pub(super) fn candidates(
        &self,
        owner: PartyId,
        release: &SoftwareRelease,
        filter: &[(Box<str>, Box<str>)],
    ) -> Candidates<'_> {
        let either = |one, other| Candidates([self.by_key.get(&one), self.by_key.get(&other)]);
        let admitting = either(RoomKey::Admits(None), RoomKey::Admits(Some(owner)));
        let taking = either(RoomKey::Takes(None), RoomKey::Takes(Some(release.clone())));
        let asked = filter.iter().filter(|(key, _)| ATTRIBUTES.contains(&&**key));
        let asked = asked.map(|(key, value)| RoomKey::Attribute(key.clone(), value.clone()));
        let capable = get(filter, CAPABILITY).map(|able| RoomKey::Capability(able.into()));
        let narrowed = asked.chain(capable).map(|key| Candidates([self.by_key.get(&key), None]));
        [admitting, taking].into_iter().chain(narrowed).min_by_key(Candidates::len).unwrap_or_default()
    }
}

/// Computers to look at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Candidates<'a>([Option<&'a BTreeSet<ComputerId>>; 2]);

impl<'a> Candidates<'a> {
    /// At most so many.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().flatten().map(|computers| computers.len()).sum()
    }

    pub(crate) fn contains(&self, id: &ComputerId) -> bool {
        self.0.iter().flatten().any(|computers| computers.contains(id))
    }

    /// By rising ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a ComputerId> + use<'a> {
        let [mut one, mut other] = self.0.map(|computers| computers.into_iter().flatten().peekable());
        std::iter::from_fn(move || match (one.peek(), other.peek()) {
            (Some(first), Some(second)) if first > second => other.next(),
            (None, _) => other.next(),
            _ => one.next(),
        })
    }
}
