//! An instance, as calls show it.

use serde_json::{Value, json};
use slapledger_core::domain::event::Mode;
use slapledger_core::keyring::KeyRing;
use slapledger_dto::documents::FullAddress;
use slapledger_projections::SlapViews;
use slapledger_projections::instances::InstanceView;
use slapledger_usecases::answers::PlacedInstance;

use super::guid;

/// To which kind of call an instance is the answer; slapos proxy shows shared ones in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerTo {
    /// To its request.
    Requested,
    /// To a question.
    Asked,
}

/// An instance that has a place, as the views have it.
pub(super) struct SeenInstance {
    mode: Mode,
    guid: String,
    shared: bool,
    computer: String,
    partition: String,
    /// Its own, and its host's if it has one, in microseconds.
    changed: i64,
    host_changed: Option<i64>,
    placed: PlacedInstance,
}

impl SeenInstance {
    /// An instance; `None` if it has no place.
    pub(super) fn of(mode: Mode, view: &SlapViews, instance: &InstanceView) -> Option<Self> {
        let place = instance.allocation.as_ref()?;
        let host = instance.host().and_then(|host| view.instances.get(host));
        Some(Self {
            mode,
            guid: guid::of(mode, view, instance),
            shared: instance.shared,
            computer: place.computer.to_string(),
            partition: place.partition.to_string(),
            changed: instance.changed_at.micros(),
            host_changed: host.map(|host| host.changed_at.micros()),
            placed: PlacedInstance::find(mode, view, instance.id)?,
        })
    }

    fn timestamp(&self, shown: AnswerTo) -> i64 {
        const SECOND: i64 = 1_000_000;
        match (self.mode, self.shared, shown) {
            (Mode::Demo | Mode::Serve, _, _) => self.changed,
            // What has no partition of its own is not processed.
            (Mode::Proxy, true, AnswerTo::Requested) => 0,
            (Mode::Proxy, _, _) => self.host_changed.unwrap_or(self.changed).div_euclid(SECOND),
        }
    }

    pub(super) fn document(self, keys: &KeyRing, shown: AnswerTo) -> Value {
        let timestamp = self.timestamp(shown);
        let Self { mode, guid, shared, computer, partition, placed, .. } = self;
        let document = placed.document(keys);
        let no_addresses = mode == Mode::Proxy && shared && shown == AnswerTo::Asked;
        let addresses = if no_addresses { Vec::new() } else { document.addresses };
        let full = document.full_addresses.unwrap_or_default().into_iter();
        let full = full.map(|FullAddress { interface, address, gateway, netmask, network }| {
            json!([interface, address, gateway, netmask, network])
        });
        json!({
            "title": document.title,
            "instance_guid": guid,
            "software_release_uri": document.software_release,
            "software_type": document.software_type,
            "state": document.requested_state,
            "connection_parameters": parameters(document.connection),
            "parameters": parameters(document.parameters),
            "shared": shared,
            "root_instance_title": document.root_title,
            "ip_list": addresses.into_iter().map(|(interface, address)| json!([interface, address])).collect::<Vec<_>>(),
            "full_ip_list": full.collect::<Vec<_>>(),
            "sla_parameters": document.filter.unwrap_or_default(),
            "computer_guid": computer,
            "compute_partition_id": partition,
            "processing_timestamp": timestamp,
            "access_status_message": document.access_status.unwrap_or_default(),
        })
    }
}

/// Parameters as clients of SLAP have always read them: an empty one is none.
pub(super) fn parameters(stored: impl IntoIterator<Item = (String, String)>) -> Value {
    let value = |text: String| if text.is_empty() { Value::Null } else { Value::String(text) };
    stored.into_iter().map(|(key, text)| (key, value(text))).collect::<serde_json::Map<_, _>>().into()
}
