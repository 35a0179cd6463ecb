//! The configuration of a computer, as `slapos node format` posts it to `loadComputerConfigurationFromXML`.
//!
//! Invariants: what slapos.proxy reads (`reference`, `address`, `netmask`, and of each partition `reference`, `address_list`
//! and `tap.name`) is read here under the same rules; all the rest is kept as it came. No partition is named twice.
//!
//! Not here: which partitions are new, changed or gone.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::marshal::Value;

/// A computer and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputerConfig {
    /// Such as `COMP-1`.
    pub reference: String,
    /// The address of the computer itself, if it has one.
    pub address: Option<String>,
    /// Its netmask.
    pub netmask: Option<String>,
    /// In the order of the node. May be empty.
    pub partitions: Vec<PartitionConfig>,
    /// What else the node says of itself: `os_type`, `slapos_version`, `software_root`...
    pub rest: BTreeMap<String, Value>,
}

/// A partition of a computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionConfig {
    /// Such as `slappart0`.
    pub reference: String,
    /// In the order of the node. May be empty.
    pub addresses: Vec<PartitionAddress>,
    /// The network interface of the addresses: `tap.name`, or the reference of the partition where there is none.
    pub tap_name: String,
    /// The address behind that interface to which its host routes, if it has one.
    pub route: Option<RouteAddress>,
    /// The unix user, which usage reports name.
    pub user_name: Option<String>,
    /// What a request can ask for under `capability`.
    pub capabilities: Vec<String>,
    /// What else the node says of it: `path`, `tap` and `user` whole, `tun`, `ipv6_range`...
    pub rest: BTreeMap<String, Value>,
}

/// An address of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionAddress {
    /// IPv4 or IPv6, as text.
    pub address: String,
    /// Such as `255.255.255.255` or `ffff:ffff:ffff:ffff::`.
    pub netmask: String,
}

/// The address that a partition is reached by through its network interface (`tap.ipv4_addr`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteAddress {
    /// The address.
    pub address: String,
    /// Its netmask.
    pub netmask: String,
    /// Its gateway.
    pub gateway: String,
    /// Its network.
    pub network: String,
}

/// Why a value is no configuration of a computer. `field` is a path such as `partition_list[2].tap.name`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputerConfigError {
    /// It is not there.
    #[error("field {field} is missing")]
    Missing {
        /// Which.
        field: String,
    },
    /// It has another type.
    #[error("field {field} must be {expected}, not {found}")]
    WrongType {
        /// Which.
        field: String,
        /// The type it must have.
        expected: &'static str,
        /// The type it has.
        found: &'static str,
    },
    /// It must not be empty.
    #[error("field {field} is empty")]
    Empty {
        /// Which.
        field: String,
    },
    /// Two partitions of one name.
    #[error("field {field}: partition {reference:?} is named twice")]
    Duplicate {
        /// Which.
        field: String,
        /// The name.
        reference: String,
    },
}

/// The configuration in an unmarshalled value.
pub fn read(value: &Value) -> Result<ComputerConfig, ComputerConfigError> {
    let root = Field { path: Path::Root, value };
    let pairs = root.dict()?;
    let mut seen = HashSet::new();
    let mut partitions = Vec::new();
    let list = root.required("partition_list")?;
    for (index, item) in list.items()?.iter().enumerate() {
        let item = Field { path: Path::Index(&list.path, index), value: item };
        let partition = partition(&item)?;
        if !seen.insert(partition.reference.clone()) {
            let field = Path::Key(&item.path, "reference").to_string();
            return Err(ComputerConfigError::Duplicate { field, reference: partition.reference });
        }
        partitions.push(partition);
    }
    Ok(ComputerConfig {
        reference: root.required("reference")?.name()?,
        address: root.required("address")?.optional_text()?,
        netmask: root.required("netmask")?.optional_text()?,
        partitions,
        rest: rest(pairs, &["reference", "address", "netmask", "partition_list"]),
    })
}

fn partition(field: &Field<'_>) -> Result<PartitionConfig, ComputerConfigError> {
    let pairs = field.dict()?;
    let reference = field.required("reference")?.name()?;
    let mut addresses = Vec::new();
    let list = field.required("address_list")?;
    for (index, item) in list.items()?.iter().enumerate() {
        let item = Field { path: Path::Index(&list.path, index), value: item };
        item.dict()?;
        addresses.push(PartitionAddress {
            address: item.required("addr")?.name()?,
            netmask: item.required("netmask")?.optional_text()?.unwrap_or_default(),
        });
    }
    let name_in = |key: &'static str| -> Result<Option<String>, ComputerConfigError> {
        let Some(inner) = field.optional(key) else { return Ok(None) };
        inner.dict()?;
        let Some(name) = inner.optional("name") else { return Ok(None) };
        Ok(name.optional_text()?.filter(|name| !name.is_empty()))
    };
    let route = match field.optional("tap") {
        None => None,
        Some(tap) => {
            let text = |key: &'static str| -> Result<String, ComputerConfigError> {
                let value = tap.optional(key).map(|value| value.text().map(str::to_owned)).transpose()?;
                Ok(value.unwrap_or_default())
            };
            let address = text("ipv4_addr")?;
            let (netmask, gateway) = (text("ipv4_netmask")?, text("ipv4_gateway")?);
            let network = text("ipv4_network")?;
            (!address.is_empty()).then_some(RouteAddress { address, netmask, gateway, network })
        }
    };
    let mut capabilities = Vec::new();
    if let Some(list) = field.optional("capability_list") {
        for (index, item) in list.items()?.iter().enumerate() {
            capabilities.push(Field { path: Path::Index(&list.path, index), value: item }.text()?.to_owned());
        }
    }
    Ok(PartitionConfig {
        addresses,
        route,
        tap_name: name_in("tap")?.unwrap_or_else(|| reference.clone()),
        user_name: name_in("user")?,
        capabilities,
        rest: rest(pairs, &["reference", "address_list", "capability_list"]),
        reference,
    })
}

fn rest(pairs: &[(Value, Value)], known: &[&str]) -> BTreeMap<String, Value> {
    let named = pairs.iter().filter_map(|(key, value)| key.as_str().map(|key| (key, value)));
    named
        .filter(|(key, _)| !known.contains(key))
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
}

/// A value and the way to it, which becomes text only if there is an error.
struct Field<'a> {
    path: Path<'a>,
    value: &'a Value,
}

#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'static str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("computer"),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> Field<'a> {
    fn wrong(&self, expected: &'static str) -> ComputerConfigError {
        let field = self.path.to_string();
        ComputerConfigError::WrongType { field, expected, found: self.value.type_name() }
    }

    fn dict(&self) -> Result<&'a [(Value, Value)], ComputerConfigError> {
        self.value.as_dict().ok_or_else(|| self.wrong("dict"))
    }

    fn items(&self) -> Result<&'a [Value], ComputerConfigError> {
        self.value.as_items().ok_or_else(|| self.wrong("list"))
    }

    fn text(&self) -> Result<&'a str, ComputerConfigError> {
        self.value.as_str().ok_or_else(|| self.wrong("str"))
    }

    /// A text that is not empty.
    fn name(&self) -> Result<String, ComputerConfigError> {
        let text = self.text()?;
        if text.is_empty() {
            return Err(ComputerConfigError::Empty { field: self.path.to_string() });
        }
        Ok(text.to_owned())
    }

    fn optional_text(&self) -> Result<Option<String>, ComputerConfigError> {
        if *self.value == Value::None { Ok(None) } else { Ok(Some(self.text()?.to_owned())) }
    }

    fn required(&'a self, key: &'static str) -> Result<Self, ComputerConfigError> {
        let path = Path::Key(&self.path, key);
        match self.value.get(key) {
            Some(value) => Ok(Self { path, value }),
            None => Err(ComputerConfigError::Missing { field: path.to_string() }),
        }
    }

    /// What is there and not `None`.
    fn optional(&'a self, key: &'static str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| **value != Value::None)?;
        Some(Self { path: Path::Key(&self.path, key), value })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::marshal;

    const RECORDED: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/slap/answers/computer_configuration.xml");

    #[test]
    fn the_recorded_configuration() {
        let config = read(&marshal::read(&fs::read_to_string(RECORDED).unwrap()).unwrap()).unwrap();
        assert_eq!(config.reference, "COMP-1");
        assert_eq!(config.address.as_deref(), Some("127.0.0.1"));
        assert_eq!(config.netmask.as_deref(), Some("255.255.255.255"));
        assert_eq!(config.rest.get("slapos_version"), Some(&"1.26.1".into()));
        assert_eq!(config.rest.get("interface"), Some(&Value::None));
        let references: Vec<&str> = config.partitions.iter().map(|p| p.reference.as_str()).collect();
        assert_eq!(references, ["slappart0", "slappart1", "slappart2"]);
        let second = &config.partitions[1];
        assert_eq!(second.tap_name, "slaptap1");
        assert_eq!(second.user_name.as_deref(), Some("slapuser1"));
        assert_eq!(second.capabilities, ["gpu", "ssd"]);
        let address = |address: &str, netmask: &str| PartitionAddress {
            address: address.to_owned(),
            netmask: netmask.to_owned(),
        };
        assert_eq!(
            second.addresses,
            [address("10.0.1.1", "255.255.255.255"), address("2001:db8::1", "ffff:ffff:ffff:ffff::")]
        );
        assert_eq!(second.rest.get("path"), Some(&"/srv/slapgrid/slappart1".into()));
        assert_eq!(second.rest.get("tun"), Some(&Value::None));
    }

    fn config(partition: &str) -> Result<ComputerConfig, String> {
        let xml = format!(
            "<marshal><dictionary><string>reference</string><string>C</string><string>address</string><none/><string>netmask</string><none/>\
             <string>partition_list</string><list>{partition}</list></dictionary></marshal>"
        );
        read(&marshal::read(&xml).unwrap()).map_err(|error| error.to_string())
    }

    fn partition(fields: &str) -> String {
        format!("<dictionary><string>reference</string><string>p</string>{fields}</dictionary>")
    }

    #[test]
    fn the_interface_falls_back_to_the_partition() {
        let check = |tap: &str, expected: &str| {
            let config = config(&partition(&format!("<string>address_list</string><list/>{tap}"))).unwrap();
            assert_eq!(config.partitions[0].tap_name, expected, "{tap}");
        };
        check("", "p");
        check("<string>tap</string><none/>", "p");
        check("<string>tap</string><dictionary/>", "p");
        check("<string>tap</string><dictionary><string>name</string><none/></dictionary>", "p");
        check("<string>tap</string><dictionary><string>name</string><string></string></dictionary>", "p");
        check("<string>tap</string><dictionary><string>name</string><string>lo</string></dictionary>", "lo");
        assert_eq!(config("").unwrap().partitions, []);
    }

    #[test]
    fn refusals() {
        let check = |partition: String, expected: &str| {
            assert_eq!(config(&partition), Err(expected.to_owned()));
        };
        let addresses = "<string>address_list</string><list/>";
        check("<none/>".to_owned(), "field partition_list[0] must be dict, not NoneType");
        check("<dictionary/>".to_owned(), "field partition_list[0].reference is missing");
        check(partition(""), "field partition_list[0].address_list is missing");
        check(
            partition("<string>reference</string><string></string>"),
            "field partition_list[0].reference is empty",
        );
        check(
            partition("<string>address_list</string><list><dictionary/></list>"),
            "field partition_list[0].address_list[0].addr is missing",
        );
        check(
            partition("<string>address_list</string><list><string>a</string></list>"),
            "field partition_list[0].address_list[0] must be dict, not str",
        );
        check(
            partition(&format!("{addresses}<string>tap</string><string>a</string>")),
            "field partition_list[0].tap must be dict, not str",
        );
        check(
            partition(&format!(
                "{addresses}<string>user</string><dictionary><string>name</string><int>1</int></dictionary>"
            )),
            "field partition_list[0].user.name must be str, not int",
        );
        check(
            partition(&format!("{addresses}<string>capability_list</string><list><int>1</int></list>")),
            "field partition_list[0].capability_list[0] must be str, not int",
        );
        check(
            partition(addresses).repeat(2),
            "field partition_list[1].reference: partition \"p\" is named twice",
        );
        let error = |value: &Value| read(value).unwrap_err().to_string();
        assert_eq!(error(&Value::None), "field computer must be dict, not NoneType");
        assert_eq!(error(&Value::Dict(vec![])), "field partition_list is missing");
        let list = ("partition_list", Value::List(vec![]));
        assert_eq!(error(&Value::dict([list.clone()])), "field reference is missing");
        assert_eq!(
            error(&Value::dict([list, ("reference", Value::Int(1))])),
            "field reference must be str, not int"
        );
    }
}
