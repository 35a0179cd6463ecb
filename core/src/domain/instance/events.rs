//! What can happen to an instance, and the words for its states.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::id::{
    ComputerId, InstanceId, PartitionId, PartyId, Reference, SoftwareRelease, SoftwareType,
};
use crate::domain::sealed::Sealed;
use crate::domain::time::Timestamp;

/// Who asks for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Requester {
    /// A user of the cloud: the instance is the root of a tree.
    Party(PartyId),
    /// An instance, from inside its partition: the new one is its child.
    Instance(InstanceId),
}

/// The state its requester wants an instance in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestedState {
    /// Running.
    Started,
    /// Installed, not running.
    Stopped,
    /// Gone, and its partition free.
    Destroyed,
}

impl RequestedState {
    /// As on the SLAP wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Destroyed => "destroyed",
        }
    }
}

/// The state its node says an instance is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportedState {
    /// Running.
    Started,
    /// Not running.
    Stopped,
    /// Gone.
    Destroyed,
    /// Processing it failed.
    Error,
}

/// What an instance is for. Prices may depend on it; nodes do not see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceType {
    /// It earns its keep.
    Production,
    /// It is tried out.
    Testing,
}

impl InstanceType {
    /// As in price books and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Testing => "testing",
        }
    }
}

/// An instance was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceRequested {
    /// Its id, never used again.
    pub instance: InstanceId,
    /// Who asked.
    pub requester: Requester,
    /// Who pays: the party at the root of the tree.
    pub owner: PartyId,
    /// The root of its tree; itself, if a party asked.
    pub root: InstanceId,
    /// The name its requester gave it.
    pub reference: Reference,
    /// What is to run.
    pub release: SoftwareRelease,
    /// As what.
    pub software_type: SoftwareType,
    /// What for.
    pub instance_type: InstanceType,
    /// Its parameters, under the key of the instance.
    pub parameters: Sealed,
    /// Where it may be (SLA): keys and values as they came.
    pub filter: Vec<(Box<str>, Box<str>)>,
    /// In which state.
    pub state: RequestedState,
    /// Whether it lives on an instance of somebody (a slave), not in a partition of its own.
    pub shared: bool,
    /// When.
    pub at: Timestamp,
}

/// The requester changed its mind; only what is new is named.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceChanged {
    /// Which.
    pub instance: InstanceId,
    /// Another release.
    pub release: Option<SoftwareRelease>,
    /// Another type of software.
    pub software_type: Option<SoftwareType>,
    /// Another purpose.
    pub instance_type: Option<InstanceType>,
    /// Other parameters.
    pub parameters: Option<Sealed>,
    /// Another state.
    pub state: Option<RequestedState>,
    /// Another state that its requester wants it in, where its tree may force it into a different one.
    pub wish: Option<RequestedState>,
    /// Other places where it may be, if it still waits for one, and other wishes to its node.
    pub filter: Option<Vec<(Box<str>, Box<str>)>>,
    /// Another instance of its tree asks for it now.
    pub requester: Option<InstanceId>,
    /// When.
    pub at: Timestamp,
}

/// An instance got its partition; a shared one its host.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceAllocated {
    /// Which.
    pub instance: InstanceId,
    /// Where.
    pub computer: ComputerId,
    /// Where on it.
    pub partition: PartitionId,
    /// Whose partition it is, if the instance is shared.
    pub host: Option<InstanceId>,
    /// Since when it is charged for.
    pub at: Timestamp,
}

/// An instance is no more; its partition, if it had one, is free.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceEnded {
    /// Which.
    pub instance: InstanceId,
    /// Until when it is charged for.
    pub at: Timestamp,
}

/// A node said in which state an instance is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceStateReported {
    /// Which.
    pub instance: InstanceId,
    /// In which state.
    pub state: ReportedState,
    /// What went wrong, if something did.
    pub error: Option<Sealed>,
    /// When.
    pub at: Timestamp,
}

/// A node said how an instance is reached.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ConnectionParametersSet {
    /// Which.
    pub instance: InstanceId,
    /// Addresses and passwords, under the key of the instance.
    pub connection: Sealed,
    /// When.
    pub at: Timestamp,
}

/// An instance asked its whole tree to be processed again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceBanged {
    /// Which asked.
    pub instance: InstanceId,
    /// The root of its tree.
    pub root: InstanceId,
    /// Why, under the key of the instance.
    pub message: Option<Sealed>,
    /// When.
    pub at: Timestamp,
}

/// An instance goes by another name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InstanceRenamed {
    /// Which.
    pub instance: InstanceId,
    /// By which name, from now on.
    pub reference: Reference,
    /// When.
    pub at: Timestamp,
}
