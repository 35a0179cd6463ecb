//! What is seen of computers, and how many are seen so.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use slapledger_core::domain::id::{ComputerId, Sequence};
use slapledger_core::domain::time::Timestamp;
use slapledger_projections::inventory::InventoryComputer;

use super::{PartitionCounts, partition_state};

/// The most computers that are named.
const MOST_NAMED: usize = 10;

/// What somebody sees of a computer. An `error` is seen beside any of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComputerState {
    Current,
    Silent,
    Requested,
    Retired,
    Error,
}

impl FromStr for ComputerState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
        Self::deserialize(text).map_err(|_| "must be current, silent, requested, retired or error")
    }
}

fn is_in_error(computer: &InventoryComputer) -> bool {
    computer.instances_in_error() > 0 || computer.releases_in_error() > 0
}

impl ComputerState {
    fn of(computer: &InventoryComputer) -> Self {
        if computer.retired_at.is_some() {
            Self::Retired
        } else if computer.silent_since.is_some() {
            Self::Silent
        } else if computer.configured_at.is_none() {
            Self::Requested
        } else {
            Self::Current
        }
    }

    /// Whether a computer is seen so.
    pub(crate) fn fits(self, computer: &InventoryComputer) -> bool {
        if self == Self::Error { is_in_error(computer) } else { Self::of(computer) == self }
    }
}

/// How many computers there are, by what is seen of them.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct ComputerCounts {
    pub(super) all: u64,
    pub(super) current: u64,
    pub(super) silent: u64,
    pub(super) requested: u64,
    pub(super) retired: u64,
    /// Those with an instance or a release in error, whatever else is seen of them.
    pub(super) error: u64,
    /// When the first of the silent ones was last heard of.
    pub(super) silent_since: Option<Timestamp>,
    /// The first of the silent ones, by reference; at most 10.
    pub(super) silent_computers: Vec<ComputerId>,
    /// The first of those with an error; at most 10.
    pub(super) error_computers: Vec<ComputerId>,
    /// The partitions of all computers that are not retired.
    pub(super) partitions: PartitionCounts,
    pub(super) sequence: Sequence,
}

impl ComputerCounts {
    pub(super) fn add(&mut self, computer: &InventoryComputer) {
        let state = ComputerState::of(computer);
        self.all += 1;
        *match state {
            ComputerState::Retired => &mut self.retired,
            ComputerState::Silent => &mut self.silent,
            ComputerState::Requested => &mut self.requested,
            ComputerState::Current | ComputerState::Error => &mut self.current,
        } += 1;
        if state == ComputerState::Silent {
            let since = [self.silent_since, computer.silent_since].into_iter().flatten().min();
            self.silent_since = since;
            if self.silent_computers.len() < MOST_NAMED {
                self.silent_computers.push(computer.id.clone());
            }
        }
        if is_in_error(computer) {
            self.error += 1;
            if self.error_computers.len() < MOST_NAMED {
                self.error_computers.push(computer.id.clone());
            }
        }
        if state == ComputerState::Retired {
            return;
        }
        for partition in computer.partitions() {
            *match partition_state(partition) {
                "busy" => &mut self.partitions.busy,
                "lost" => &mut self.partitions.lost,
                "free" => &mut self.partitions.free,
                _ => &mut self.partitions.withdrawn,
            } += 1;
        }
    }
}
