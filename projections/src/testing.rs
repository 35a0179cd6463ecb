//! What the tests of this crate share: events as the ledger would make them.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use slapledger_core::domain::computer::{ConfigureComputer, NetworkAddress, Offer, RegisterComputer};
use slapledger_core::domain::event::{Event, Stream};
use slapledger_core::domain::id::{
    CommandId, ComputerId, InstanceId, KeyId, PartitionId, PartyId, ProjectId, Reference, Sequence,
    SoftwareRelease, SoftwareType,
};
use slapledger_core::domain::instance::{InstancePlace, RequestInstance, Requester, WithoutRoom};
use slapledger_core::domain::party::RegisterParty;
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::usage::{MemoryIndex, RecordUsage, Revision, UsageId, UsageReport};
use slapledger_core::domain::{Answer, Command, Context, Refusal, State};
use slapledger_core::log::envelope::{Actor, Meta, RULES_VERSION, Recorded};

use crate::catalogue::Catalogue;
use crate::instances::InstancesView;
use crate::inventory::Inventory;
use crate::metering::Metering;
use crate::view::{Projection, View, get};

/// All projections of this crate in one view.
#[derive(Debug, Clone, Default)]
pub(crate) struct Everything {
    pub(crate) inventory: Inventory,
    pub(crate) instances: InstancesView,
    pub(crate) catalogue: Catalogue,
    pub(crate) metering: Metering,
}

impl View for Everything {
    const FORMAT: u32 = 1;

    fn apply(&mut self, event: &Recorded) {
        self.inventory.apply(event);
        self.instances.apply(event);
        self.catalogue.apply(event);
        self.metering.apply(event);
    }

    fn projections(&self) -> Vec<Box<dyn Projection + '_>> {
        vec![
            Box::new(&self.inventory),
            Box::new(&self.instances),
            Box::new(&self.catalogue),
            Box::new(&self.metering),
        ]
    }

    fn read(from: &mut dyn Read) -> io::Result<Self> {
        Ok(Self {
            inventory: get(from)?,
            instances: get(from)?,
            catalogue: get(from)?,
            metering: Metering::read_from(from)?,
        })
    }
}

pub(crate) fn fold<V: View>(events: &[Recorded]) -> V {
    let mut view = V::default();
    for event in events {
        view.apply(event);
    }
    view
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

pub(crate) fn computer(name: &str) -> ComputerId {
    ComputerId::new(name).expect(name)
}

pub(crate) fn partition(name: &str) -> PartitionId {
    PartitionId::new(name).expect(name)
}

pub(crate) fn release(url: &str) -> SoftwareRelease {
    SoftwareRelease::new(url).expect(url)
}

/// A value under a key that is put right by [`Story`].
pub(crate) fn sealed(content: u8) -> Sealed {
    Sealed { key: KeyId([0; 16]), digest: [content; 16], nonce: [0; 24], ciphertext: vec![content] }
}

pub(crate) fn offer(name: &str, address: &str) -> Offer {
    let address = NetworkAddress {
        address: address.into(),
        netmask: "255.255.255.255".into(),
        ..NetworkAddress::default()
    };
    let user = Some(name.replace("part", "user").into());
    Offer {
        partition: partition(name),
        addresses: vec![address],
        tap: Some("tap0".into()),
        user,
        capabilities: Vec::new(),
    }
}

pub(crate) fn configure(name: &str, offers: Vec<Offer>) -> Command {
    let (address, netmask) = ("10.0.0.1".into(), "255.255.255.0".into());
    Command::ConfigureComputer(ConfigureComputer {
        computer: computer(name),
        address,
        netmask,
        offers,
        owner_if_new: None,
    })
}

pub(crate) fn request(requester: Requester, reference: &str) -> RequestInstance {
    RequestInstance {
        requester,
        reference: Reference::new(reference).expect(reference),
        release: release("http://example.com/one.cfg"),
        software_type: SoftwareType::new("default").expect("a type"),
        instance_type: None,
        parameters: sealed(0),
        filter: Vec::new(),
        state: None,
        shared: false,
        default_computer: None,
        without_room: WithoutRoom::Wait,
    }
}

/// What a node reports, and on which the rest follows.
pub(crate) fn report(id: &str, subject: &str, quantity: &str, (start, stop): (&str, &str)) -> UsageReport {
    let number = quantity.parse().map_err(|_| slapledger_core::domain::usage::Unmeterable::NotANumber);
    UsageReport {
        id: UsageId::new(id).expect(id),
        revision: Revision::Latest,
        subject: subject.into(),
        resource: "cpu".into(),
        quantity: (quantity.into(), number),
        start: Ok(Some(at(start))),
        stop: Ok(Some(at(stop))),
        dimensions: Vec::new(),
        node_sequence: None,
    }
}

/// The same with the node's own number of it.
pub(crate) fn report_numbered(report: UsageReport, node_sequence: Option<u64>) -> UsageReport {
    UsageReport { node_sequence, ..report }
}

/// Commands and the events they make.
pub(crate) struct Story {
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<Recorded>,
    /// What the events so far make.
    pub(crate) view: Everything,
    /// The sequence of the next event: others may be elsewhere.
    pub(crate) next: Sequence,
    state: State,
    versions: HashMap<Stream, u64>,
}

impl Story {
    /// A party 1 and the computers COMP-1 and COMP-2, which offer two partitions each.
    pub(crate) fn begin() -> Self {
        Self::begin_at(Sequence(1))
    }

    /// The same, with this as its first event.
    pub(crate) fn begin_at(first: Sequence) -> Self {
        let state = State::new(Box::new(MemoryIndex::new([7; 16])));
        let now = at("2026-10-01T00:00:00Z");
        let (events, view, versions) = (Vec::new(), Everything::default(), HashMap::new());
        let mut story = Self { now, events, view, next: first, state, versions };
        story.then(Command::RegisterParty(RegisterParty {
            name: sealed(9),
            time_zone: TimeZone::UTC,
            description: None,
        }));
        for name in ["COMP-1", "COMP-2"] {
            let (computer, owner, time_zone) = (computer(name), PartyId(1), TimeZone::UTC);
            story.then(Command::RegisterComputer(RegisterComputer { computer, owner, time_zone }));
            story.then(configure(name, vec![offer("slappart0", "10.0.1.0"), offer("slappart1", "10.0.1.1")]));
        }
        story
    }

    /// A command; refusals are an answer too.
    pub(crate) fn execute(&mut self, mut command: Command) -> Result<Answer, Refusal> {
        self.seal(&mut command);
        let context = Context { now: self.now, next: self.next, project: ProjectId::DEFAULT };
        let outcome = self.state.execute(&context, command)?;
        for (stream, event) in outcome.events {
            self.record(stream, event);
        }
        Ok(outcome.answer)
    }

    /// Values of an instance are under its key; those of a new one are under a new one.
    fn seal(&self, command: &mut Command) {
        let fresh = self.events.len() as u128 + 1;
        let meant = |place: &InstancePlace| {
            let InstancePlace { computer, partition, shared } = place;
            let occupant = self.view.instances.occupant(computer.as_str(), partition.as_str());
            let meant = shared.map_or(occupant, |shared| self.view.instances.get(shared));
            meant.map_or(KeyId([0; 16]), crate::instances::InstanceView::key)
        };
        match command {
            Command::RequestInstance(request) => {
                let known =
                    self.view.instances.find(request.requester, request.shared, request.reference.as_str());
                request.parameters.key =
                    known.map_or(KeyId(fresh.to_be_bytes()), crate::instances::InstanceView::key);
            }
            Command::ReportInstance(report) => {
                if let Some(error) = &mut report.error {
                    error.key = meant(&report.place);
                }
            }
            Command::SetConnectionParameters(set) => {
                set.connection.key = meant(&set.place);
            }
            _ => {}
        }
    }

    /// A command that must not be refused.
    pub(crate) fn then(&mut self, command: Command) -> Answer {
        self.execute(command).expect("not refused")
    }

    pub(crate) fn request(&mut self, request: RequestInstance) -> InstanceId {
        match self.then(Command::RequestInstance(request)) {
            Answer::Instance { instance, .. } => instance,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn usage(&mut self, name: &str, reports: Vec<UsageReport>) -> Answer {
        self.then(Command::RecordUsage(RecordUsage { computer: computer(name), reports }))
    }

    pub(crate) fn passes(&mut self, micros: i64) {
        self.now = self.now.plus_micros(micros);
    }

    fn record(&mut self, stream: Stream, event: Event) {
        let version = self.versions.entry(stream.clone()).or_default();
        *version += 1;
        let event = recorded(self.next.0, (stream, *version), event, self.now);
        self.next = self.next.next();
        self.view.apply(&event);
        self.events.push(event);
    }
}

pub(crate) fn recorded(
    sequence: u64,
    (stream, stream_version): (Stream, u64),
    event: Event,
    recorded_at: Timestamp,
) -> Recorded {
    let meta = Meta {
        project: ProjectId::DEFAULT,
        actor: Actor::system(),
        command: CommandId([0; 16]),
        named_by_sender: false,
        digest: [0; 16],
        causation: None,
        correlation: None,
        rules: RULES_VERSION,
    };
    let (stream, meta) = (Arc::new(stream), Arc::new(meta));
    Recorded { sequence: Sequence(sequence), stream, stream_version, recorded_at, meta, event }
}
