//! What is asked of instances, and why it is refused.

use bincode::{Decode, Encode};

use super::events::{InstanceType, ReportedState, RequestedState, Requester};
use crate::domain::computer::UnknownComputer;
use crate::domain::id::{
    ComputerId, InstanceId, PartitionId, PartyId, Reference, SoftwareRelease, SoftwareType,
};
use crate::domain::sealed::Sealed;

/// `request()`: ask for an instance, or change one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInstance {
    /// Who asks.
    pub requester: Requester,
    /// The name it goes by among its requester's.
    pub reference: Reference,
    /// What is to run.
    pub release: SoftwareRelease,
    /// As what.
    pub software_type: SoftwareType,
    /// What for; as it is, if not said (production at first).
    pub instance_type: Option<InstanceType>,
    /// Its parameters, under the key of the instance (a fresh one if it is new).
    pub parameters: Sealed,
    /// Where it may be (SLA).
    pub filter: Vec<(Box<str>, Box<str>)>,
    /// In which state; as it is, if not said (started at first).
    pub state: Option<RequestedState>,
    /// Whether it is to live on an instance that runs the same (a slave), not in a partition of its own.
    pub shared: bool,
    /// Where to look for room if the filter names no computer; anywhere, if not said.
    pub default_computer: Option<ComputerId>,
    /// What becomes of it if there is no room.
    pub without_room: WithoutRoom,
}

/// What becomes of a request for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutRoom {
    /// It is refused (as slapos proxy does).
    Refuse,
    /// It is kept, and allocated as soon as there is room.
    Wait,
}

/// Whom a node speaks of: the instance in a partition, or a shared one that lives on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstancePlace {
    /// Which computer speaks.
    pub computer: ComputerId,
    /// Of which partition.
    pub partition: PartitionId,
    /// Of which shared instance on the one in it; of that one itself, if not said.
    pub shared: Option<InstanceId>,
}

impl InstancePlace {
    /// The instance in a partition.
    pub fn new(computer: ComputerId, partition: PartitionId) -> Self {
        Self { computer, partition, shared: None }
    }
}

/// The node says in which state an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportInstance {
    /// Who speaks, and of whom.
    pub place: InstancePlace,
    /// In which state it is.
    pub state: ReportedState,
    /// What went wrong, if something did.
    pub error: Option<Sealed>,
}

/// The node says how an instance is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetConnectionParameters {
    /// Who speaks, and of whom.
    pub place: InstancePlace,
    /// Addresses and passwords, under the key of the instance.
    pub connection: Sealed,
}

/// An instance wants its whole tree to be processed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BangInstance {
    /// Who asks.
    pub place: InstancePlace,
    /// Why, under the key of the instance.
    pub message: Option<Sealed>,
}

/// Give an instance another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameInstance {
    /// Who speaks, and of whom.
    pub place: InstancePlace,
    /// The new name.
    pub reference: Reference,
}

/// Give up the instance in a partition that its computer does not offer any more. At a master, one that its owner still
/// wants is requested again under a new id, by the same decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasePartition {
    /// Of which computer.
    pub computer: ComputerId,
    /// Which partition.
    pub partition: PartitionId,
    /// The instance in it, if it is requested again.
    pub again: Vec<RequestedAgain>,
}

/// An instance that loses its partition, and its parameters sealed for the instance that is requested in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedAgain {
    /// Which.
    pub instance: InstanceId,
    /// The digest of the parameters that were sealed again: it must still have them.
    pub parameters_were: [u8; 16],
    /// The same parameters under a fresh key.
    pub parameters: Sealed,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RequestOutcome {
    /// It is new.
    Created,
    /// It was there, and something is other now.
    Changed,
    /// It was there, as requested.
    Unchanged,
}

/// Why a command about an instance is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstanceRefusal {
    /// The requester is no party.
    #[error("there is no party {party}")]
    UnknownParty {
        /// Who.
        party: PartyId,
    },
    /// The requester was erased: its name is gone, and nothing begins for it any more.
    #[error("{party} was erased and can request nothing")]
    PartyErased {
        /// Who.
        party: PartyId,
    },
    /// The requesting instance does not exist, or no more.
    #[error("there is no instance {instance}")]
    UnknownInstance {
        /// Which.
        instance: InstanceId,
    },
    /// No such computer.
    #[error(transparent)]
    UnknownComputer(#[from] UnknownComputer),
    /// The computer has no such partition.
    #[error("computer {computer} has no partition {partition}")]
    UnknownPartition {
        /// Which computer.
        computer: ComputerId,
        /// Which partition.
        partition: PartitionId,
    },
    /// No instance sits in the partition.
    #[error("partition {partition} of computer {computer} is free")]
    PartitionFree {
        /// Which computer.
        computer: ComputerId,
        /// Which partition.
        partition: PartitionId,
    },
    /// The computer still offers the partition, so its node can report the instance as destroyed.
    #[error("partition {partition} of computer {computer} is still offered; destroy its instance instead")]
    StillOffered {
        /// Which computer.
        computer: ComputerId,
        /// Which partition.
        partition: PartitionId,
    },
    /// There is no free partition where it may be.
    #[error("there is no free partition for instance {reference}")]
    NoRoom {
        /// What was asked for.
        reference: Reference,
    },
    /// Too many instances of the party wait for room already.
    #[error("{max} instances of {party} wait for a partition already; destroy some, or register partitions")]
    TooManyWait {
        /// Whose.
        party: PartyId,
        /// How many may wait.
        max: usize,
    },
    /// Destruction was asked of something that does not exist.
    #[error("there is no instance {reference} to destroy")]
    NothingToDestroy {
        /// What was asked for.
        reference: Reference,
    },
    /// The node reports as destroyed what is still wanted.
    #[error("instance {instance} is not requested to be destroyed")]
    NotToBeDestroyed {
        /// Which.
        instance: InstanceId,
    },
    /// A value is sealed under a key that is not the instance's: it came or went while the request was under
    /// way. Sealing it anew and sending it again is all there is to do.
    #[error("instance {reference} got another owner during the request; retry")]
    OtherKey {
        /// Which.
        reference: Reference,
    },
    /// What is to be destroyed asks for another.
    #[error("instance {instance} is requested to be destroyed and cannot request another")]
    RequesterGoes {
        /// Which asks.
        instance: InstanceId,
    },
    /// The new name is another's.
    #[error("there is an instance {reference} already")]
    NameTaken {
        /// The name.
        reference: Reference,
    },
    /// The filter has a key that means nothing.
    #[error("{key} is not a key of a filter")]
    UnknownFilter {
        /// The key.
        key: Box<str>,
    },
    /// The filter has a value that means nothing.
    #[error("{key} {rule}")]
    BadFilter {
        /// The key.
        key: Box<str>,
        /// What its value must be.
        rule: &'static str,
    },
}
