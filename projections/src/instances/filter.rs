//! Which instances are asked for.

use slapledger_core::domain::id::{InstanceId, PartyId};
use slapledger_core::domain::instance::{InstanceType, ReportedState, RequestedState};

use super::{InstanceCondition, InstanceView};

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
    pub fn matches(&self, instance: &InstanceView) -> bool {
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

/// Which trees are asked for, by their roots; what is not said does not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct TreeFilter<'a> {
    /// Those this party pays for.
    pub owner: Option<PartyId>,
    /// Those that are seen so.
    pub condition: Option<InstanceCondition>,
    /// Those that somebody has to look after, or the others.
    pub wrong: Option<bool>,
    /// Those whose id, title, software or computer has this text in it, whatever its case.
    pub sought: Option<&'a str>,
}

impl TreeFilter<'_> {
    /// Whether a root is asked for.
    pub fn matches(&self, root: &InstanceView) -> bool {
        self.owner.is_none_or(|owner| root.owner == owner)
            && self.condition.is_none_or(|condition| root.condition() == condition)
            && self.wrong.is_none_or(|wrong| root.is_wrong() == wrong)
            && self.sought.is_none_or(|sought| has(root, sought))
    }
}

fn has(root: &InstanceView, sought: &str) -> bool {
    let computer = root.allocation.as_ref().map(|place| place.computer.as_str());
    contains(root.reference.as_str(), sought)
        || contains(root.release.as_str(), sought)
        || computer.is_some_and(|computer| contains(computer, sought))
        || contains(&root.id.to_string(), sought)
}

/// Whether a text has another in it, whatever their case.
fn contains(text: &str, sought: &str) -> bool {
    if text.is_ascii() && sought.is_ascii() {
        let Some(first) = sought.bytes().next() else { return true };
        // Nearly all places differ in their first letter.
        return text.as_bytes().windows(sought.len()).any(|window| {
            window[0].eq_ignore_ascii_case(&first) && window.eq_ignore_ascii_case(sought.as_bytes())
        });
    }
    text.to_lowercase().contains(&sought.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_text_is_found_whatever_its_case() {
        assert!(contains("ERP / CRM", "crm") && contains("Université", "UNIVERSITÉ") && contains("a", ""));
        assert!(!contains("ERP", "erp5") && !contains("", "a"));
    }
}
