//! What is asked of computers, and why it is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{AllocationScope, Offer};
use crate::domain::id::{ComputerId, InvalidText, PartitionId, PartyId, SoftwareRelease};
use crate::domain::instance::RequestedAgain;
use crate::domain::instance::filter::ATTRIBUTES;
use crate::domain::sealed::Sealed;
use crate::domain::time::{TimeZone, Timestamp};

/// Enter a computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterComputer {
    /// Which.
    pub computer: ComputerId,
    /// Its provider.
    pub owner: PartyId,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
}

/// Take over what a computer says of itself (`loadComputerConfigurationFromXML`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigureComputer {
    /// Which.
    pub computer: ComputerId,
    /// Its own address.
    pub address: Box<str>,
    /// And its netmask.
    pub netmask: Box<str>,
    /// All it offers; what it does not name any more is withdrawn.
    pub offers: Vec<Offer>,
    /// Where everybody may bring a computer (`slapledger proxy`): the provider of one not known yet.
    pub owner_if_new: Option<PartyId>,
}

/// Enter a computer under the next free name of the master (COMP-n), unless its provider has one of this title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestComputer {
    /// Its provider.
    pub owner: PartyId,
    /// What people call it.
    pub title: Box<str>,
    /// Where times it reports without an offset belong.
    pub time_zone: TimeZone,
}

/// Give a computer a title, and the attributes that filters ask for; what is not named is taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeComputer {
    /// Which.
    pub computer: ComputerId,
    /// What people call it.
    pub title: Option<Box<str>>,
    /// All of its attributes.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
}

/// Restrict who and what a computer serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAllocationScope {
    /// Which.
    pub computer: ComputerId,
    /// Whom it is for.
    pub scope: AllocationScope,
    /// The releases it is limited to; all, if there are none.
    pub software: BTreeSet<SoftwareRelease>,
    /// How many instances it takes at most.
    pub capacity: Option<u32>,
}

/// Say that nothing was heard of a computer for too long, or that something is heard again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeSilence {
    /// Which.
    pub computer: ComputerId,
    /// Since when it is silent; not any more, if not said.
    pub since: Option<Timestamp>,
}

/// A computer wants all its partitions to be processed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BangComputer {
    /// Which.
    pub computer: ComputerId,
    /// Why.
    pub message: Option<Sealed>,
}

/// Retire a computer that is gone: what is on it ends. At a master, an instance that its owner still wants stays until
/// `again` names it; the command is repeated until none is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetireComputer {
    /// Which.
    pub computer: ComputerId,
    /// The instances that end now and are requested again.
    pub again: Vec<RequestedAgain>,
}

/// There is no such computer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no computer {computer}")]
pub struct UnknownComputer {
    /// Which.
    pub computer: ComputerId,
}

/// Why a command about a computer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputerRefusal {
    /// No such computer.
    #[error(transparent)]
    Unknown(#[from] UnknownComputer),
    /// The reference is taken.
    #[error("computer {computer} is registered already")]
    AlreadyRegistered {
        /// Which.
        computer: ComputerId,
    },
    /// A title or an attribute is no text that can be kept.
    #[error("{what} {rule}")]
    BadText {
        /// Which.
        what: Box<str>,
        /// What it must be.
        rule: InvalidText,
    },
    /// No filter asks for such an attribute.
    #[error("{name} is not an attribute of computers; choose one of {}", ATTRIBUTES.join(", "))]
    UnknownAttribute {
        /// Its name.
        name: Box<str>,
    },
    /// A computer is to be of or for somebody who does not exist.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// A group or a list of software is too long.
    #[error("{what} must not have more than {max} members")]
    TooMany {
        /// Of what there are too many.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// What a computer says of itself is too long.
    #[error(
        "partition_list must have at most {max} bytes of texts, not {bytes}: name fewer partitions, addresses or capabilities"
    )]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// The reference could be taken for something else.
    #[error("a reference {rule}")]
    BadReference {
        /// What it must not be.
        rule: &'static str,
    },
    /// It was retired, and comes back no more.
    #[error("computer {computer} was retired; register a new one")]
    Retired {
        /// Which.
        computer: ComputerId,
    },
    /// A configuration names a partition more than once.
    #[error("partition {partition} is named more than once")]
    PartitionTwice {
        /// Which.
        partition: PartitionId,
    },
}
