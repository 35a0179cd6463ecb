//! One instance: what was requested, where it is, what its node says.

use bincode::{Decode, Encode};
use slapledger_core::domain::id::{
    InstanceId, KeyId, PartyId, Reference, Sequence, SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{Allocation, InstanceType, ReportedState, RequestedState, Requester};
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::Timestamp;

/// What somebody sees of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceCondition {
    /// It is to run.
    Started,
    /// It is not to run.
    Stopped,
    /// It is to be removed.
    Destroyed,
    /// It is no more.
    Ended,
    /// Its computer does not offer its partition any more.
    Lost,
    /// It waits for a place.
    Unplaced,
}

/// An instance, living or ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InstanceView {
    /// Its id, never used again.
    pub id: InstanceId,
    /// Who asked for it.
    pub requester: Requester,
    /// Who pays.
    pub owner: PartyId,
    /// The root of its tree; itself, if a party asked.
    pub root: InstanceId,
    /// Its title: the name its requester gave it.
    pub reference: Reference,
    /// What it runs.
    pub release: SoftwareRelease,
    /// As what.
    pub software_type: SoftwareType,
    /// What for.
    pub instance_type: InstanceType,
    /// Its parameters, sealed.
    pub parameters: Sealed,
    /// How it is reached, sealed; `None` until its node says it.
    pub connection: Option<Sealed>,
    /// Whether it lives on another (a slave) instead of in a partition of its own.
    pub shared: bool,
    /// Where it may be (SLA).
    pub filter: Vec<(Box<str>, Box<str>)>,
    /// The state its requester wants.
    pub requested: RequestedState,
    /// The state its node says.
    pub reported: Option<ReportedState>,
    /// What went wrong, if that is what its node last said; sealed.
    pub error: Option<Sealed>,
    /// Where it is or was, since when and until when.
    pub allocation: Option<Allocation>,
    /// Since when its computer does not offer its partition any more.
    pub lost_since: Option<Timestamp>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When its node last said in which state it is.
    pub reported_at: Option<Timestamp>,
    /// The timestamp of SLAP: see [`super`].
    pub changed_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When what was sealed for it was erased.
    pub erased_at: Option<Timestamp>,
    /// The event it was asked for by.
    pub first_sequence: Sequence,
    /// The last event that changed anything that is shown of it.
    pub changed_by: Sequence,
}

impl InstanceView {
    /// The key that its values are sealed under.
    pub fn key(&self) -> KeyId {
        self.parameters.key
    }

    /// Whether it has not ended.
    pub fn lives(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Whom it lives on, or lived on last, if it is shared.
    pub fn host(&self) -> Option<InstanceId> {
        self.allocation.as_ref()?.host
    }

    /// Whether it waits for a partition, or a host.
    pub fn waits(&self) -> bool {
        self.lives() && self.allocation.is_none()
    }

    /// The state that a reader sees: the requested one, unless the instance has ended or has no partition.
    pub fn condition(&self) -> InstanceCondition {
        if !self.lives() {
            InstanceCondition::Ended
        } else if self.lost_since.is_some() {
            InstanceCondition::Lost
        } else if self.allocation.is_none() {
            InstanceCondition::Unplaced
        } else {
            match self.requested {
                RequestedState::Started => InstanceCondition::Started,
                RequestedState::Stopped => InstanceCondition::Stopped,
                RequestedState::Destroyed => InstanceCondition::Destroyed,
            }
        }
    }

    /// Whether somebody has to look after it: it has no place, or is to run and its node does not say that it does.
    pub fn is_wrong(&self) -> bool {
        match self.condition() {
            InstanceCondition::Lost | InstanceCondition::Unplaced => true,
            InstanceCondition::Started => self.reported != Some(ReportedState::Started),
            _ => false,
        }
    }

    /// Something that must reach its node changed.
    pub(super) fn move_timestamp(&mut self, at: Timestamp) {
        if self.allocation.is_some() && self.lives() {
            self.changed_at = at.max(self.changed_at.plus_micros(1));
        }
    }
}
