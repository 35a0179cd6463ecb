//! Which instances are asked for.

use slapledger_core::domain::id::{InstanceId, PartyId};
use slapledger_core::domain::instance::{InstanceType, ReportedState, RequestedState};

use super::Instance;

/// Which instances are asked for; what is not said does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstanceFilter<'a> {
    /// Those this party pays for.
    pub owner: Option<PartyId>,
    /// Those of this tree.
    pub root: Option<InstanceId>,
    /// Those that are or were on this computer.
    pub computer: Option<&'a str>,
    /// Those that run this release.
    pub release: Option<&'a str>,
    /// Those of this name.
    pub reference: Option<&'a str>,
    /// Those that are for this.
    pub instance_type: Option<InstanceType>,
    /// Those wanted in this state.
    pub requested: Option<RequestedState>,
    /// Those their nodes say are in this state.
    pub reported: Option<ReportedState>,
    /// The living, or the ended.
    pub lives: Option<bool>,
}

impl InstanceFilter<'_> {
    /// Whether an instance is asked for.
    pub fn matches(&self, instance: &Instance) -> bool {
        let on =
            |computer| instance.allocation.as_ref().is_some_and(|place| place.computer.as_str() == computer);
        self.owner.is_none_or(|owner| instance.owner == owner)
            && self.root.is_none_or(|root| instance.root == root)
            && self.computer.is_none_or(on)
            && self.release.is_none_or(|release| instance.release.as_str() == release)
            && self.reference.is_none_or(|reference| instance.reference.as_str() == reference)
            && self.instance_type.is_none_or(|instance_type| instance.instance_type == instance_type)
            && self.requested.is_none_or(|state| instance.requested == state)
            && self.reported.is_none_or(|state| instance.reported == Some(state))
            && self.lives.is_none_or(|lives| instance.lives() == lives)
    }
}
