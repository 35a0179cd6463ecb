//! The answers of the SLAP tool, as marshalled documents.
//!
//! Invariants: for a state that slapos.proxy 1.26.1 can have, a document is what it answers, byte for byte; what only the
//! ERP5 master sends is written where it is given. An empty parameter is written as `None`, which is how the clients
//! have always read it. The names that SLAP gives a meaning win over parameters of the same name.
//!
//! Not here: where the state comes from, and who may see it.

use std::collections::BTreeMap;

use slapledger_dto::documents::{
    ComputerDocument, FullAddress, InstanceDocument, PartitionDocument, RequestDocument, SharedDocument,
};

use super::instance_xml;
use super::marshal::{self, MarshalError, Object, Value};

/// The module of the four classes that clients accept.
const MODULE: &str = "slapos.slap.slap";

/// The answer to `getFullComputerInformation`.
pub fn computer(document: &ComputerDocument) -> Result<String, MarshalError> {
    let partitions = document.partitions.iter().map(partition_object).collect();
    let releases = document.releases.iter();
    let releases = releases.map(|release| {
        release_object(&release.url, &document.computer, Some(release.requested_state.as_str()))
    });
    let state = vec![
        pair("_computer_id", document.computer.as_str()),
        pair("_computer_partition_list", Value::List(partitions)),
        pair("_software_release_list", Value::List(releases.collect())),
    ];
    marshal::write(&object("Computer", vec![document.computer.as_str().into()], state))
}

/// The answer to `requestComputer`: a computer of which nothing but its name is told.
pub fn requested_computer(computer: &str) -> Result<String, MarshalError> {
    marshal::write(&object("Computer", vec![computer.into()], vec![pair("_computer_id", computer)]))
}

/// The answer to `registerComputerPartition`.
pub fn partition(document: &PartitionDocument) -> Result<String, MarshalError> {
    marshal::write(&partition_object(document))
}

/// The answer to `requestComputerPartition`.
pub fn request(document: &RequestDocument) -> Result<String, MarshalError> {
    let mut parameters = parameters(&document.parameters);
    if let Some(timestamp) = &document.timestamp {
        parameters.insert("timestamp".to_owned(), timestamp.as_str().into());
    }
    let mut state = vec![
        pair("_connection_dict", Value::dict(self::parameters(&document.connection))),
        pair("_parameter_dict", Value::dict(parameters)),
        pair("ip_list", addresses(&document.addresses)),
        pair("slap_computer_id", document.computer.as_str()),
        pair("slap_computer_partition_id", document.partition.as_str()),
        // Not a URL: slapos.proxy sends the name of the field, and slapos.core never reads it.
        pair("slap_server_url", "slap_server_url"),
        pair("slap_software_release_url", document.software_release.as_str()),
        pair("slap_software_type", document.software_type.as_str()),
    ];
    if let Some(guid) = &document.instance_guid {
        state.push(pair("_instance_guid", guid.as_str()));
    }
    if let Some(requested) = &document.requested_state {
        state.push(pair("_requested_state", requested.as_str()));
    }
    if !document.is_shared {
        let xml = if document.connection.is_empty() {
            Value::None
        } else {
            // The same texts are in `_connection_dict`, so whatever cannot be carried is named there too.
            instance_xml::write(&document.connection).map_or(Value::None, Value::Str)
        };
        state.push(pair("connection_xml", xml));
    }
    marshal::write(&object("SoftwareInstance", Vec::new(), state))
}

/// The answer to a request that another master answered, with what slapos.proxy adds to it.
pub fn forwarded(mut object: Object, master: &str, release: &str) -> Result<String, MarshalError> {
    let added = [("_master_url", master), ("_software_release_document", release)];
    object.state.retain(|(key, _)| added.iter().all(|(name, _)| key.as_str() != Some(name)));
    object.state.extend(added.map(|(key, text)| pair(key, text)));
    marshal::write(&Value::Object(Box::new(object)))
}

/// The answer to `getComputerPartitionCertificate` and `generateComputerCertificate`, both in PEM.
pub fn certificate(certificate: &str, key: &str) -> Result<String, MarshalError> {
    marshal::write(&Value::dict([("certificate", Value::from(certificate)), ("key", Value::from(key))]))
}

/// A list of texts, such as the answer to `getSoftwareReleaseListFromSoftwareProduct`, best release first.
pub fn text_list<T: AsRef<str>>(texts: &[T]) -> Result<String, MarshalError> {
    marshal::write(&Value::List(texts.iter().map(|text| text.as_ref().into()).collect()))
}

/// A list of tuples of interface and address: the answer to `getHostingSubscriptionIpList`.
pub fn address_list(list: &[(String, String)]) -> Result<String, MarshalError> {
    marshal::write(&addresses(list))
}

/// The answer to `computerBang`.
pub fn empty_text() -> Result<String, MarshalError> {
    marshal::write(&Value::from(""))
}

/// A dictionary of texts, such as the answer to `getComputerStatus`.
pub fn text_dict(texts: &BTreeMap<String, String>) -> Result<String, MarshalError> {
    marshal::write(&Value::dict(texts.iter().map(|(key, text)| (key.as_str(), Value::from(text.as_str())))))
}

fn partition_object(document: &PartitionDocument) -> Value {
    let PartitionDocument { computer, partition, instance_guid, instance } = document;
    let mut state = vec![
        pair("_computer_id", computer.as_str()),
        pair("_partition_id", partition.as_str()),
        pair("_request_dict", Value::None),
    ];
    if let Some(guid) = instance_guid {
        state.push(pair("_instance_guid", guid.as_str()));
    }
    match instance {
        None => state.extend([
            pair("_need_modification", Value::Int(0)),
            pair("_requested_state", "destroyed"),
            pair("_software_release_document", Value::None),
        ]),
        Some(instance) => {
            state.extend([
                pair("_connection_dict", Value::dict(parameters(&instance.connection))),
                pair("_need_modification", Value::Int(1)),
                pair("_parameter_dict", instance_parameters(computer, partition, instance)),
                pair("_requested_state", instance.requested_state.as_str()),
                pair(
                    "_software_release_document",
                    release_object(&instance.software_release, computer, None),
                ),
            ]);
            if let Some(status) = &instance.access_status {
                state.push(pair("_access_status", status.as_str()));
            }
            if let Some(filter) = &instance.filter {
                state.push(pair("_filter_dict", Value::dict(parameters(filter))));
            }
        }
    }
    object("ComputerPartition", vec![computer.as_str().into(), partition.as_str().into(), Value::None], state)
}

fn instance_parameters(computer: &str, partition: &str, instance: &InstanceDocument) -> Value {
    let mut all = parameters(&instance.parameters);
    let mut put = |key: &str, value: Value| all.insert(key.to_owned(), value);
    put("instance_title", instance.title.as_str().into());
    put("root_instance_title", instance.root_title.as_str().into());
    if let Some(title) = &instance.root_short_title {
        put("root_instance_short_title", title.as_str().into());
    }
    put("ip_list", addresses(&instance.addresses));
    put("full_address_list", Value::List(Vec::new()));
    if let Some(list) = &instance.full_addresses {
        put("full_ip_list", Value::List(list.iter().map(full_address).collect()));
    }
    put("slap_computer_id", computer.into());
    put("slap_computer_partition_id", partition.into());
    put("slap_software_release_url", instance.software_release.as_str().into());
    put("slap_software_type", instance.software_type.as_str().into());
    put("slave_instance_list", Value::List(instance.shared.iter().map(shared).collect()));
    put("timestamp", instance.timestamp.as_str().into());
    Value::dict(all)
}

fn full_address(full: &FullAddress) -> Value {
    let FullAddress { interface, address, gateway, netmask, network } = full;
    Value::Tuple([interface, address, gateway, netmask, network].map(|text| text.as_str().into()).to_vec())
}

fn shared(document: &SharedDocument) -> Value {
    let mut all = parameters(&document.parameters);
    let typed = document.typed.iter();
    all.extend(typed.filter_map(|(key, marshalled)| Some((key.clone(), marshal::read(marshalled).ok()?))));
    all.extend(parameters(&document.connection));
    let mut put = |key: &str, text: &str| all.insert(key.to_owned(), text.into());
    put("slave_title", &document.title);
    put("slave_reference", &document.reference);
    put("slap_software_type", &document.software_type);
    if let Some(timestamp) = &document.timestamp {
        put("timestamp", timestamp);
    }
    Value::dict(all)
}

fn release_object(url: &str, computer: &str, requested_state: Option<&str>) -> Value {
    let mut state = vec![
        pair("_computer_guid", computer),
        pair("_software_instance_list", Value::List(Vec::new())),
        pair("_software_release", url),
    ];
    state.extend(requested_state.map(|requested| pair("_requested_state", requested)));
    object("SoftwareRelease", vec![url.into(), computer.into()], state)
}

fn addresses(list: &[(String, String)]) -> Value {
    let tuple = |(interface, address): &(String, String)| {
        Value::Tuple(vec![interface.as_str().into(), address.as_str().into()])
    };
    Value::List(list.iter().map(tuple).collect())
}

/// Stored parameters as Python has them after `xml2dict`.
fn parameters(stored: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let as_python = |text: &String| if text.is_empty() { Value::None } else { text.as_str().into() };
    stored.iter().map(|(key, text)| (key.clone(), as_python(text))).collect()
}

fn object(class: &str, initargs: Vec<Value>, state: Vec<(Value, Value)>) -> Value {
    let (module, class) = (MODULE.to_owned(), class.to_owned());
    Value::Object(Box::new(Object { module, class, initargs, state }))
}

fn pair(key: &str, value: impl Into<Value>) -> (Value, Value) {
    (key.into(), value.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use slapledger_dto::documents::ReleaseDocument;

    use super::*;

    const RELEASE: &str = "http://example.com/software.cfg?a=1&b=<2>";
    const TIMESTAMP: &str = "1795442650.73";

    /// Compares with a body that slapos.proxy answered, recorded by `fixtures/slap/record_answers.py`.
    fn check(name: &str, document: Result<String, MarshalError>) {
        let path = format!("{}/../../fixtures/slap/answers/{name}.xml", env!("CARGO_MANIFEST_DIR"));
        if name.starts_with("master_form/") && std::env::var_os("SLAPLEDGER_RECORD").is_some() {
            fs::write(&path, document.clone().unwrap()).unwrap();
        }
        let recorded = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{path}"));
        assert_eq!(document.unwrap(), recorded, "{name}");
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn root_parameters() -> BTreeMap<String, String> {
        map(&[("foo", "bar"), ("flag", "True"), ("empty", ""), ("list", "[1, 'é']"), ("awk", "x<y&z> \"q\"")])
    }

    fn root_connection() -> BTreeMap<String, String> {
        map(&[("url", "https://[2001:db8::]/?a=1&b=2"), ("pass", "p'\"<"), ("none", "")])
    }

    fn recorded_partitions() -> [PartitionDocument; 3] {
        let partition = |number: u8, instance: Option<InstanceDocument>| PartitionDocument {
            computer: "COMP-1".to_owned(),
            partition: format!("slappart{number}"),
            instance_guid: Some(format!("COMP-1-slappart{number}")),
            instance,
        };
        let root = InstanceDocument {
            title: "root".to_owned(),
            root_title: "root".to_owned(),
            requested_state: "started".to_owned(),
            software_release: RELEASE.to_owned(),
            software_type: "type a".to_owned(),
            parameters: root_parameters(),
            connection: root_connection(),
            addresses: pairs(&[("slaptap0", "10.0.0.1"), ("slaptap0", "2001:db8::0")]),
            shared: vec![SharedDocument {
                title: "_shared".to_owned(),
                reference: "_shared".to_owned(),
                software_type: "type a".to_owned(),
                parameters: map(&[("domain", "a&b.example"), ("slot", "1")]),
                ..SharedDocument::default()
            }],
            timestamp: TIMESTAMP.to_owned(),
            ..InstanceDocument::default()
        };
        let child = InstanceDocument {
            title: "child".to_owned(),
            root_title: "root".to_owned(),
            requested_state: "stopped".to_owned(),
            software_release: RELEASE.to_owned(),
            software_type: "default".to_owned(),
            addresses: pairs(&[("slaptap1", "10.0.1.1"), ("slaptap1", "2001:db8::1")]),
            timestamp: TIMESTAMP.to_owned(),
            ..InstanceDocument::default()
        };
        [partition(0, Some(root)), partition(1, Some(child)), partition(2, None)]
    }

    #[test]
    fn computers_and_partitions_as_recorded() {
        let partitions = recorded_partitions();
        for (number, document) in partitions.iter().enumerate() {
            check(&format!("partition{number}"), partition(document));
        }
        let release = |url: &str, requested_state: &str| ReleaseDocument {
            url: url.to_owned(),
            requested_state: requested_state.to_owned(),
        };
        let mut document = ComputerDocument {
            computer: "COMP-1".to_owned(),
            partitions: partitions.to_vec(),
            releases: vec![
                release(RELEASE, "available"),
                release("http://example.com/other.cfg", "destroyed"),
            ],
        };
        check("computer", computer(&document));
        document.releases.clear();
        for partition in &mut document.partitions {
            partition.instance = None;
        }
        check("computer_empty", computer(&document));
    }

    #[test]
    fn requests_as_recorded() {
        let mut document = RequestDocument {
            computer: "COMP-1".to_owned(),
            partition: "slappart0".to_owned(),
            instance_guid: Some("COMP-1-slappart0".to_owned()),
            requested_state: Some("started".to_owned()),
            is_shared: false,
            software_release: RELEASE.to_owned(),
            software_type: "type a".to_owned(),
            parameters: root_parameters(),
            timestamp: Some(TIMESTAMP.to_owned()),
            connection: BTreeMap::new(),
            addresses: pairs(&[("slaptap0", "10.0.0.1"), ("slaptap0", "2001:db8::0")]),
        };
        check("request_new", request(&document));
        document.connection = root_connection();
        check("request_again", request(&document));
        let mut slave = RequestDocument {
            instance_guid: None,
            requested_state: None,
            is_shared: true,
            timestamp: None,
            parameters: map(&[("domain", "a&b.example"), ("slot", "1")]),
            connection: BTreeMap::new(),
            ..document
        };
        check("request_shared_new", request(&slave));
        slave.connection = map(&[("site", "https://s/")]);
        check("request_shared", request(&slave));
        let child = RequestDocument {
            computer: "COMP-1".to_owned(),
            partition: "slappart1".to_owned(),
            instance_guid: Some("COMP-1-slappart1".to_owned()),
            requested_state: Some("stopped".to_owned()),
            software_release: RELEASE.to_owned(),
            software_type: "default".to_owned(),
            timestamp: Some(TIMESTAMP.to_owned()),
            addresses: pairs(&[("slaptap1", "10.0.1.1"), ("slaptap1", "2001:db8::1")]),
            ..RequestDocument::default()
        };
        check("request_child_stopped", request(&child));
    }

    #[test]
    fn small_answers_as_recorded() {
        check("certificate", certificate("", ""));
        check("release_list", text_list(&["http://example.com/other.cfg"]));
        check("release_list_empty", text_list::<&str>(&[]));
    }

    /// The documents that slapos.proxy cannot have; `fixtures/slap/record_answers.py` has the real client read these files,
    /// which this test writes if `SLAPLEDGER_RECORD` is set.
    #[test]
    fn what_only_the_master_sends() {
        let [mut document, _, _] = recorded_partitions();
        let instance = document.instance.as_mut().unwrap();
        instance.root_short_title = Some("HOSTSUBS-1".to_owned());
        instance.full_addresses = Some(vec![FullAddress {
            interface: "slaptap0".to_owned(),
            address: "10.0.0.1".to_owned(),
            gateway: "10.0.0.254".to_owned(),
            netmask: "255.255.255.0".to_owned(),
            network: "10.0.0.0".to_owned(),
        }]);
        instance.access_status = Some("#error no <data> & no disk".to_owned());
        instance.filter = Some(map(&[("fw_restricted_access", "on"), ("empty", "")]));
        instance.shared[0].timestamp = Some("1795442650730000".to_owned());
        instance.shared[0].connection = map(&[("site", "https://s/")]);
        check("master_form/partition", partition(&document));
        check("master_form/requested_computer", requested_computer("COMP-1"));
        check("master_form/address_list", address_list(&pairs(&[("slaptap0", "10.0.0.1")])));
        check("master_form/status", text_dict(&map(&[("user", "SlapOS Master"), ("text", "#access ok é")])));
        check("master_form/certificate", certificate("-----BEGIN\nA\n", "-----BEGIN\nB\n"));
        let shared = RequestDocument {
            computer: "COMP-1".to_owned(),
            partition: "slappart0".to_owned(),
            instance_guid: Some("SOFTINST-7".to_owned()),
            requested_state: Some("started".to_owned()),
            is_shared: true,
            software_release: RELEASE.to_owned(),
            software_type: "default".to_owned(),
            ..RequestDocument::default()
        };
        check("master_form/request_shared", request(&shared));
    }

    /// A tenant must not be able to pass as another shared instance, or to change what SLAP says of its partition.
    #[test]
    fn names_of_slap_win_over_parameters() {
        let [mut document, _, _] = recorded_partitions();
        let expected = partition(&document);
        let instance = document.instance.as_mut().unwrap();
        for key in ["slap_computer_id", "slave_instance_list", "ip_list", "timestamp", "instance_title"] {
            instance.parameters.insert(key.to_owned(), "forged".to_owned());
        }
        for key in ["slave_reference", "slave_title", "slap_software_type"] {
            instance.shared[0].parameters.insert(key.to_owned(), "forged".to_owned());
            instance.shared[0].connection.insert(key.to_owned(), "forged".to_owned());
        }
        assert_eq!(partition(&document), expected);
    }

    #[test]
    fn a_text_that_cannot_be_carried_is_named() {
        let error = requested_computer("COMP\u{0}").unwrap_err().to_string();
        assert_eq!(error, "text has characters that xml cannot carry: U+0000");
        let document = RequestDocument { connection: map(&[("a", "\u{1}")]), ..RequestDocument::default() };
        assert!(matches!(request(&document), Err(MarshalError::Uncarriable(_))));
    }
}
