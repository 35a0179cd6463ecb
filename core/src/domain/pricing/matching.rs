//! Which instances a rate is for.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::domain::id::{ComputerId, PartyId, SoftwareRelease, SoftwareType};
use crate::domain::instance::{InstanceType, RequestedState};

/// Which instances a rate is for: all members that are named must be as named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Match {
    /// The release it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_release: Option<SoftwareRelease>,
    /// As what it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_type: Option<SoftwareType>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computer: Option<ComputerId>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<InstanceType>,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<PartyId>,
    /// The region its computer says it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Box<str>>,
    /// The state its owner wants it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RequestedState>,
    /// Dimensions of the usage, by which its resource groups; each counts as a member.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub dimensions: Vec<(Box<str>, Box<str>)>,
}

fn as_map<S: serde::Serializer>(pairs: &[(Box<str>, Box<str>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

/// What a match looks at.
#[derive(Debug, Clone, Copy)]
pub struct Matched<'a> {
    /// The release it runs.
    pub software_release: &'a SoftwareRelease,
    /// As what it runs.
    pub software_type: &'a SoftwareType,
    /// Where it runs.
    pub computer: &'a ComputerId,
    /// What it is for.
    pub instance_type: InstanceType,
    /// Who pays.
    pub customer: PartyId,
    /// The region of its computer, if that says one.
    pub region: Option<&'a str>,
    /// The state its owner wants it in.
    pub state: RequestedState,
    /// The group of usage, if this is about usage that is grouped.
    pub dimensions: &'a [(Box<str>, Box<str>)],
}

impl Match {
    /// How many members are named: the rate with most wins.
    pub fn members(&self) -> usize {
        let named = [
            self.software_release.is_some(),
            self.software_type.is_some(),
            self.computer.is_some(),
            self.instance_type.is_some(),
            self.customer.is_some(),
            self.region.is_some(),
            self.state.is_some(),
        ];
        named.into_iter().filter(|named| *named).count() + self.dimensions.len()
    }

    /// Whether an instance, and the group of its usage, are as all named members say.
    pub fn covers(&self, instance: Matched<'_>) -> bool {
        self.covers_any_group(instance)
            && self.dimensions.iter().all(|named| instance.dimensions.contains(named))
    }

    /// Whether an instance is as all named members say, whatever the group of its usage.
    pub fn covers_any_group(&self, instance: Matched<'_>) -> bool {
        self.software_release.as_ref().is_none_or(|named| named == instance.software_release)
            && self.software_type.as_ref().is_none_or(|named| named == instance.software_type)
            && self.computer.as_ref().is_none_or(|named| named == instance.computer)
            && self.instance_type.is_none_or(|named| named == instance.instance_type)
            && self.customer.is_none_or(|named| named == instance.customer)
            && self.region.as_deref().is_none_or(|named| Some(named) == instance.region)
            && self.state.is_none_or(|named| named == instance.state)
    }

    /// Whether it may look at no more than who pays.
    pub(super) fn names_customers_alone(&self) -> bool {
        self.members() == usize::from(self.customer.is_some())
    }

    /// Whether some instance could be as both say.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        let dimension = |key: &str| other.dimensions.iter().find(|(named, _)| **named == *key);
        agree(self.software_release.as_ref(), other.software_release.as_ref())
            && agree(self.software_type.as_ref(), other.software_type.as_ref())
            && agree(self.computer.as_ref(), other.computer.as_ref())
            && agree(self.instance_type.as_ref(), other.instance_type.as_ref())
            && agree(self.customer.as_ref(), other.customer.as_ref())
            && agree(self.region.as_ref(), other.region.as_ref())
            && agree(self.state.as_ref(), other.state.as_ref())
            && self
                .dimensions
                .iter()
                .all(|(key, value)| dimension(key).is_none_or(|(_, other)| value == other))
    }
}
