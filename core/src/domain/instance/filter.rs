//! Where an instance may be, and what else is wished of its node: the keys of an SLA filter.
//!
//! The master knows all keys below, and refuses others: an instance that waits for ever for a typing error helps
//! nobody. slapos proxy looks at `computer_guid` and `instance_guid` alone, and takes all others without a word.

use super::commands::InstanceRefusal;
use crate::domain::id::InstanceId;

/// Keys and values, as they came.
pub type SlaFilter = Vec<(Box<str>, Box<str>)>;

/// The computer it is to be on.
pub const COMPUTER: &str = "computer_guid";
/// The instance a shared one is to live on.
pub const HOST: &str = "instance_guid";
/// What its partition must be able to do.
pub const CAPABILITY: &str = "capability";
/// How it is to be spread.
pub const MODE: &str = "mode";
/// The one way to spread it: in no network in which its tree has another, shared or not.
pub const UNIQUE_BY_NETWORK: &str = "unique_by_network";
/// The network a computer is in: a key, and an attribute of computers.
pub const NETWORK: &str = "network_guid";

/// Keys that an attribute of the computer answers, by the same name. `europe/france` is in `europe`.
pub const ATTRIBUTES: [&str; 13] = [
    NETWORK,
    "project_guid",
    "group",
    "cpu_core",
    "cpu_frequency",
    "cpu_type",
    "local_area_network_type",
    "region",
    "memory_size",
    "memory_type",
    "storage_capacity",
    "storage_interface",
    "storage_redundancy",
];

/// Keys that say nothing of the place: its node is told them.
pub const FOR_THE_NODE: [&str; 4] =
    ["retention_delay", "fw_restricted_access", "fw_rejected_sources", "fw_authorized_sources"];

/// The value of a key.
pub fn get<'a>(filter: &'a [(Box<str>, Box<str>)], key: &str) -> Option<&'a str> {
    filter.iter().find(|(known, _)| &**known == key).map(|(_, value)| &**value)
}

/// The computer an instance is to be on, if its filter names one.
pub(super) fn named_computer(filter: &[(Box<str>, Box<str>)]) -> Option<&str> {
    get(filter, COMPUTER)
}

/// Whether an instance is to be in a network without others of its tree.
pub(super) fn is_spread(filter: &[(Box<str>, Box<str>)]) -> bool {
    get(filter, MODE) == Some(UNIQUE_BY_NETWORK)
}

/// Whether the master can make sense of a filter.
pub(super) fn check(filter: &[(Box<str>, Box<str>)], shared: bool) -> Result<(), InstanceRefusal> {
    for (key, value) in filter {
        let bad = |rule| Err(InstanceRefusal::BadFilter { key: key.clone(), rule });
        match &**key {
            MODE if &**value != UNIQUE_BY_NETWORK => return bad("must be unique_by_network"),
            "retention_delay" if !is_days(value) => return bad("must be a number of days"),
            "fw_restricted_access" if !matches!(&**value, "on" | "off") => return bad("must be on or off"),
            HOST if !shared => return bad("names the host of a shared instance, and this one is not shared"),
            HOST if value.parse::<InstanceId>().is_err() => return bad("must look like SOFTINST-1"),
            MODE | HOST => {}
            known if FOR_THE_NODE.contains(&known) => {}
            known if ATTRIBUTES.contains(&known) || matches!(known, COMPUTER | CAPABILITY) => {
                if value.is_empty() {
                    return bad("must not be empty");
                }
            }
            _ => return Err(InstanceRefusal::UnknownFilter { key: key.clone() }),
        }
    }
    Ok(())
}

/// Digits, perhaps with a decimal point between them.
fn is_days(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
