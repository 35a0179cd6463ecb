//! What an event changes of the usage that is metered: said here once, for everything that meters or looks at usage.

use super::{Sequence, Usage, UsageSuspended};
use crate::domain::event::{Event, EventOfUsage};

/// What an event changes of the usage that is metered, and of the usage that is suspended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageChange<'a> {
    /// The event whose usage is no longer metered: it, or the event that took its place since.
    pub replaces: Option<Sequence>,
    /// The usage that is metered from now on.
    pub metered: Option<&'a Usage>,
    /// The usage that is suspended from now on.
    pub suspended: Option<&'a UsageSuspended>,
    /// The event whose usage is no longer suspended.
    pub settles: Option<Sequence>,
}

impl Event {
    /// What it changes of usage; nothing, if it is not about usage.
    pub fn usage_change(&self) -> Option<UsageChange<'_>> {
        let none = UsageChange::default();
        Some(match self.about_usage()? {
            EventOfUsage::UsageRecorded(usage) => UsageChange { metered: Some(usage), ..none },
            EventOfUsage::UsageCorrected(event) => {
                UsageChange { replaces: Some(event.replaces), metered: Some(&event.usage), ..none }
            }
            EventOfUsage::UsageSuspended(event) => UsageChange { suspended: Some(event), ..none },
            EventOfUsage::SuspendedUsageResolved(event) => UsageChange {
                replaces: event.replaces,
                metered: Some(&event.usage),
                settles: Some(event.suspended),
                ..none
            },
            EventOfUsage::SuspendedUsageDismissed(event) => {
                UsageChange { settles: Some(event.suspended), ..none }
            }
            // Nothing is metered in its place.
            EventOfUsage::UsageVoided(event) => UsageChange { replaces: Some(event.voided), ..none },
        })
    }

    /// The usage that is metered from this event on, if it meters any.
    pub fn metered_usage(&self) -> Option<&Usage> {
        self.usage_change()?.metered
    }
}
