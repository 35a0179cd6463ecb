//! What is told of computers, partitions and instances, in no format yet: SLAP writes it as a marshalled document,
//! JSON-RPC as JSON.

use std::collections::BTreeMap;

use bincode::Encode;

/// A computer, with what its node has to do (`getFullComputerInformation`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComputerDocument {
    /// Such as `COMP-1`.
    pub computer: String,
    /// Every partition that the asker may see, free ones too.
    pub partitions: Vec<PartitionDocument>,
    /// Its supplies.
    pub releases: Vec<ReleaseDocument>,
}

/// A supply of a software release.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct ReleaseDocument {
    /// Where its profile is.
    pub url: String,
    /// `available` or `destroyed`.
    pub requested_state: String,
}

/// A partition of a computer (`registerComputerPartition`, and in [`ComputerDocument`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionDocument {
    /// Such as `COMP-1`.
    pub computer: String,
    /// Such as `slappart0`.
    pub partition: String,
    /// The reference of the instance on it. slapos.proxy has one for free partitions too.
    pub instance_guid: Option<String>,
    /// What runs there; `None` if the partition is free.
    pub instance: Option<InstanceDocument>,
}

/// What a partition has to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceDocument {
    /// `instance_title`: the reference it was requested under.
    pub title: String,
    /// `root_instance_title`: the title of the root of its tree.
    pub root_title: String,
    /// `root_instance_short_title`, which only the master sends.
    pub root_short_title: Option<String>,
    /// `_requested_state`: `started`, `stopped` or `destroyed`.
    pub requested_state: String,
    /// `slap_software_release_url`.
    pub software_release: String,
    /// `slap_software_type`.
    pub software_type: String,
    /// Its own parameters.
    pub parameters: BTreeMap<String, String>,
    /// Its connection parameters.
    pub connection: BTreeMap<String, String>,
    /// `ip_list`: pairs of interface and address.
    pub addresses: Vec<(String, String)>,
    /// `full_ip_list`, which only the master sends.
    pub full_addresses: Option<Vec<FullAddress>>,
    /// `slave_instance_list`.
    pub shared: Vec<SharedDocument>,
    /// `timestamp`: nodes work on a partition when this text changes.
    pub timestamp: String,
    /// `_access_status`, which only the master sends.
    pub access_status: Option<String>,
    /// `_filter_dict`, which only the master sends.
    pub filter: Option<BTreeMap<String, String>>,
}

/// An address with all that a firewall or a router wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FullAddress {
    /// Network interface.
    pub interface: String,
    /// The address.
    pub address: String,
    /// Gateway, or empty.
    pub gateway: String,
    /// Netmask.
    pub netmask: String,
    /// Network, or empty.
    pub network: String,
}

/// A shared (slave) instance, as its host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedDocument {
    /// `slave_title`.
    pub title: String,
    /// `slave_reference`, under which the host publishes its connection parameters.
    pub reference: String,
    /// `slap_software_type`.
    pub software_type: String,
    /// `timestamp`, which only the master sends.
    pub timestamp: Option<String>,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Those of them that are no texts, marshalled, which only slapos.proxy keeps apart.
    pub typed: BTreeMap<String, String>,
    /// Its connection parameters, which only the master sends; they win over parameters of the same name.
    pub connection: BTreeMap<String, String>,
}

/// The answer to `requestComputerPartition`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestDocument {
    /// Where it was allocated; for a shared instance, where its host is.
    pub computer: String,
    /// The partition there.
    pub partition: String,
    /// `_instance_guid`. Without it the client asks `registerComputerPartition` and takes parameters and connection from
    /// there, those of the host in the case of a shared instance.
    pub instance_guid: Option<String>,
    /// `_requested_state`; the same holds.
    pub requested_state: Option<String>,
    /// Whether it is a shared instance: those have no `connection_xml`.
    pub is_shared: bool,
    /// `slap_software_release_url`.
    pub software_release: String,
    /// `slap_software_type`.
    pub software_type: String,
    /// Its own parameters.
    pub parameters: BTreeMap<String, String>,
    /// `timestamp` among the parameters; slapos.proxy has none for a shared instance.
    pub timestamp: Option<String>,
    /// Its connection parameters.
    pub connection: BTreeMap<String, String>,
    /// `ip_list`: pairs of interface and address.
    pub addresses: Vec<(String, String)>,
}
