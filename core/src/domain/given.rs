//! The test kit of the decisions: given what happened, when a command comes, then events or a refusal.
//!
//! [`Given`] is a ledger without bytes: it executes commands one after the other, counts sequences and keeps what
//! happened. All of it is in one project, until another is named. Values come from short texts; sealed ones are no
//! ciphertext, but their digests differ as their texts do. Commands are structs with sensible members, changed by `..`
//! where a test is about one of them.

use super::computer::{ConfigureComputer, NetworkAddress, Offer, RegisterComputer};
use super::event::{Event, LedgerCreated, Mode, Stream, WriterStarted};
use super::id::{
    ComputerId, CredentialId, InstanceId, KeyId, PartitionId, PartyId, ProjectId, Reference, Sequence,
    SoftwareRelease, SoftwareType,
};
use super::instance::{
    InstancePlace, ReportInstance, ReportedState, RequestInstance, RequestedState, Requester,
    SetConnectionParameters, WithoutRoom,
};
use super::party::RegisterParty;
use super::sealed::Sealed;
use super::time::{Period, TimeZone, Timestamp};
use super::usage::{MemoryIndex, RecordUsage, Revision, UsageId, UsageOutcome, UsageReport};
use super::{Answer, Command, Context, Outcome, Project, Refusal, State};

/// What happened so far, and what time it is.
pub(crate) struct Given {
    pub(crate) state: State,
    /// The project of what comes next.
    pub(crate) project: ProjectId,
    /// The credential by which it comes.
    pub(crate) by: Option<String>,
    pub(crate) now: Timestamp,
    pub(crate) log: Vec<(Stream, Event)>,
}

/// What came of a command.
pub(crate) struct When {
    given: Given,
    before: Vec<u8>,
    outcome: Result<Outcome<Answer>, Refusal>,
}

impl Given {
    /// An empty ledger on 1 October 2026.
    pub(crate) fn nothing() -> Self {
        let (state, project) = (state(), ProjectId::DEFAULT);
        Self { state, project, by: None, now: at("2026-10-01T00:00:00Z"), log: Vec::new() }
    }

    /// PARTY-1 with its computer COMP-1, which offers slappart0 and slappart1; the rules are those of slapos proxy.
    pub(crate) fn cloud() -> Self {
        Self::nothing().with_computer()
    }

    /// The same, by the rules of the master.
    pub(crate) fn master() -> Self {
        Self::nothing().by_the_master().with_computer()
    }

    /// By the rules of the master from now on, as no real ledger can be.
    pub(crate) fn by_the_master(self) -> Self {
        let (ledger, key_ring, at) = ([1; 16], [2; 16], self.now);
        let created = LedgerCreated { ledger, format: 1, mode: Mode::Serve, key_ring, at };
        self.event(Stream::Ledger, Event::LedgerCreated(created))
    }

    /// PARTY-1 with its computer COMP-1.
    pub(crate) fn with_computer(self) -> Self {
        self.done(register_party())
            .done(register_computer("COMP-1"))
            .done(configure("COMP-1", &["slappart0", "slappart1"]))
    }

    /// From now on it is about this project.
    pub(crate) fn within(mut self, project: u64) -> Self {
        self.project = ProjectId(project);
        self
    }

    /// From now on it is done by anyone who holds this.
    pub(crate) fn by(mut self, credential: CredentialId) -> Self {
        self.by = Some(credential.to_string());
        self
    }

    /// So much happened where nobody here sees it.
    pub(crate) fn elsewhere(mut self, events: usize) -> Self {
        let started = WriterStarted { term: 1, program: "a test".into(), at: self.now };
        let started = (Stream::Ledger, Event::WriterStarted(started));
        self.log.extend(std::iter::repeat_n(started, events));
        self
    }

    /// From now on it is this time.
    pub(crate) fn at(mut self, instant: &str) -> Self {
        self.now = at(instant);
        self
    }

    /// This happened.
    pub(crate) fn event(mut self, stream: Stream, event: Event) -> Self {
        let sequence = self.next();
        self.state.evolve((self.project, self.by.as_deref()), &stream, &event, sequence);
        self.log.push((stream, event));
        self
    }

    /// This was commanded, and not refused.
    pub(crate) fn done(mut self, command: impl Into<Command>) -> Self {
        if let Err(refusal) = self.execute(command.into()) {
            panic!("refused what was given: {refusal}");
        }
        self
    }

    /// A command comes.
    pub(crate) fn when(mut self, command: impl Into<Command>) -> When {
        let before = self.state.snapshot();
        let outcome = self.execute(command.into());
        When { given: self, before, outcome }
    }

    /// A computer reports usage.
    pub(crate) fn when_reported(self, reports: impl IntoIterator<Item = UsageReport>) -> When {
        self.when(record("COMP-1", reports))
    }

    /// The sequence the next event will have.
    pub(crate) fn next(&self) -> Sequence {
        Sequence(self.log.len() as u64 + 1)
    }

    /// What its decisions look at.
    pub(crate) fn project(&self) -> &Project {
        self.state.project(self.project)
    }

    /// The same, as no real ledger can be.
    pub(crate) fn project_mut(&mut self) -> &mut Project {
        self.state.project_mut(self.project)
    }

    pub(crate) fn execute(&mut self, command: Command) -> Result<Outcome<Answer>, Refusal> {
        let context = Context { now: self.now, next: self.next(), project: self.project };
        let outcome = self.state.execute_by(&context, self.by.as_deref(), command)?;
        self.log.extend(outcome.events.iter().cloned());
        Ok(outcome)
    }
}

impl When {
    /// These events, in this order.
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = (Stream, Event)>) -> Self {
        assert_eq!(self.outcome().events, events.into_iter().collect::<Vec<_>>());
        self
    }

    /// Events of these names, in this order, where their content is not the point.
    #[track_caller]
    pub(crate) fn then_named(self, names: &[&str]) -> Self {
        let got: Vec<_> = self.outcome().events.iter().map(|(_, event)| event.name()).collect();
        assert_eq!(got, names);
        self
    }

    /// This answer.
    #[track_caller]
    pub(crate) fn answered(self, answer: &Answer) -> Self {
        assert_eq!(self.outcome().answer, *answer);
        self
    }

    /// These outcomes of reported usage.
    #[track_caller]
    pub(crate) fn answered_usage(self, outcomes: impl IntoIterator<Item = UsageOutcome>) -> Self {
        self.answered(&Answer::Usage(outcomes.into_iter().collect()))
    }

    /// Nothing is recorded, and the sender is told so.
    #[track_caller]
    pub(crate) fn unchanged(self) -> Self {
        self.then([]).answered(&Answer::Unchanged)
    }

    /// This refusal, and nothing is other than before.
    #[track_caller]
    pub(crate) fn refused(self, refusal: impl Into<Refusal>) -> Given {
        assert_eq!(self.outcome.as_ref().err(), Some(&refusal.into()));
        assert_eq!(self.given.state.snapshot(), self.before, "a refusal changed something");
        self.given
    }

    /// And on it goes.
    pub(crate) fn and(self) -> Given {
        self.outcome();
        self.given
    }

    /// The last event of all.
    #[track_caller]
    pub(crate) fn last_event(&self) -> &Event {
        &self.outcome().events.last().expect("there should be an event").1
    }

    #[track_caller]
    pub(crate) fn outcome(&self) -> &Outcome<Answer> {
        self.outcome.as_ref().expect("it should not be refused")
    }
}

macro_rules! commands {
    ($($module:ident::$name:ident,)*) => {$(
        impl From<super::$module::$name> for Command {
            fn from(command: super::$module::$name) -> Self {
                Self::$name(command)
            }
        }
    )*};
}
impl From<super::restore::RecordRestore> for Command {
    fn from(command: super::restore::RecordRestore) -> Self {
        Self::RecordRestore(Box::new(command))
    }
}

impl From<super::access::IssueCredential> for Command {
    fn from(command: super::access::IssueCredential) -> Self {
        Self::IssueCredential(Box::new(command))
    }
}

commands!(
    access::OpenProject,
    access::RevokeCredentials,
    clock::ConfirmClock,
    log_key::SetLogKey,
    party::RegisterParty,
    computer::RegisterComputer,
    computer::ConfigureComputer,
    computer::RequestComputer,
    computer::DescribeComputer,
    computer::SetAllocationScope,
    computer::NoticeSilence,
    computer::BangComputer,
    computer::RetireComputer,
    instance::ReleasePartition,
    product::PublishSoftwareRelease,
    catalogue::RemoveCatalogueEntry,
    software_schema::SupplySoftwareSchema,
    software::SupplySoftware,
    software::ReportSoftware,
    instance::RequestInstance,
    instance::ReportInstance,
    instance::SetConnectionParameters,
    instance::BangInstance,
    instance::RenameInstance,
    usage::RecordUsage,
    usage::ResolveSuspendedUsage,
    usage::DismissSuspendedUsage,
    usage::VoidUsage,
    usage::AcceptDueUsage,
    pricing::PublishPriceBook,
    pricing::SetPriceOverride,
    pricing::EndPriceOverride,
    invoice::OpenInvoiceRun,
    invoice::FinaliseInvoiceRun,
    invoice::RefreshInvoiceRun,
    invoice::WithdrawInvoiceRun,
    invoice::ReviewDraft,
    party::DescribeParty,
    party::SetPartyTimeZone,
    tax::SetTaxRate,
    tax::SetTaxTreatment,
    tax::SetProductTax,
    credit::GrantCredit,
    credit::ExpireCredits,
    top_up::SetTopUp,
    credit::WithdrawCredit,
    charge::RecordCharge,
    discount::RedeemDiscountCode,
    account::CloseAccounts,
    erasure::Erase,
);

impl From<super::catalogue::RecordCatalogueEntry> for Command {
    fn from(command: super::catalogue::RecordCatalogueEntry) -> Self {
        Self::RecordCatalogueEntry(Box::new(command))
    }
}

impl From<super::invoice::FinaliseInvoice> for Command {
    fn from(command: super::invoice::FinaliseInvoice) -> Self {
        Self::FinaliseInvoice(Box::new(command))
    }
}

impl From<super::invoice::IssueCreditNote> for Command {
    fn from(command: super::invoice::IssueCreditNote) -> Self {
        Self::IssueCreditNote(Box::new(command))
    }
}

pub(crate) fn state() -> State {
    State::new(Box::new(MemoryIndex::new([7; 16])))
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect(text)
}

/// `2026-10-01T00:00:00Z/2026-10-02T00:00:00Z`, or hours of 1 October: `0/12`.
pub(crate) fn period(text: &str) -> Period {
    let (start, stop) = text.split_once('/').expect(text);
    Period::new(instant(start), instant(stop)).expect(text)
}

/// An instant; an hour of 1 October, if it is but a number.
pub(crate) fn instant(text: &str) -> Timestamp {
    match text.parse::<i64>() {
        Ok(hour) => at("2026-10-01T00:00:00Z").plus_micros(hour * 3_600_000_000),
        Err(_) => at(text),
    }
}

pub(crate) fn computer(text: &str) -> ComputerId {
    ComputerId::new(text).expect(text)
}

pub(crate) fn partition(text: &str) -> PartitionId {
    PartitionId::new(text).expect(text)
}

pub(crate) fn reference(text: &str) -> Reference {
    Reference::new(text).expect(text)
}

pub(crate) fn release(text: &str) -> SoftwareRelease {
    SoftwareRelease::new(text).expect(text)
}

pub(crate) fn software_type(text: &str) -> SoftwareType {
    SoftwareType::new(text).expect(text)
}

pub(crate) fn key(text: &str) -> KeyId {
    KeyId(sixteen(text))
}

/// A value that differs as its key and its text do.
pub(crate) fn sealed(under: &str, text: &str) -> Sealed {
    Sealed { key: key(under), digest: sixteen(text), nonce: [0; 24], ciphertext: text.as_bytes().to_vec() }
}

fn sixteen(text: &str) -> [u8; 16] {
    let mut bytes = [0_u8; 16];
    for (at, byte) in text.bytes().enumerate() {
        bytes[at % 16] = byte ^ bytes[at % 16].rotate_left(3);
    }
    bytes
}

pub(crate) fn register_party() -> RegisterParty {
    register_party_in("UTC")
}

pub(crate) fn register_party_in(zone: &str) -> RegisterParty {
    RegisterParty {
        name: sealed("party", "somebody"),
        time_zone: zone.parse().expect(zone),
        description: None,
    }
}

pub(crate) fn register_computer(name: &str) -> RegisterComputer {
    RegisterComputer { computer: computer(name), owner: PartyId(1), time_zone: TimeZone::UTC }
}

/// A partition with an address and, if it ends in a number, a user of that number.
pub(crate) fn offer(name: &str) -> Offer {
    let user = name.strip_prefix("slappart").map(|number| format!("slapuser{number}").into());
    let address = NetworkAddress {
        address: "10.0.0.1".into(),
        netmask: "255.255.255.255".into(),
        ..NetworkAddress::default()
    };
    let (tap, capabilities) = (Some("tap0".into()), Vec::new());
    Offer { partition: partition(name), addresses: vec![address], tap, user, capabilities }
}

pub(crate) fn configure(name: &str, partitions: &[&str]) -> ConfigureComputer {
    ConfigureComputer {
        computer: computer(name),
        address: "10.0.0.254".into(),
        netmask: "255.255.255.0".into(),
        offers: partitions.iter().map(|partition| offer(partition)).collect(),
        owner_if_new: None,
    }
}

/// PARTY-1 asks for an instance; its key goes by its name.
pub(crate) fn request(name: &str) -> RequestInstance {
    RequestInstance {
        requester: Requester::Party(PartyId(1)),
        reference: reference(name),
        release: release("http://release/1"),
        software_type: software_type("default"),
        instance_type: None,
        parameters: sealed(name, "{}"),
        filter: Vec::new(),
        state: None,
        shared: false,
        default_computer: None,
        without_room: WithoutRoom::Wait,
    }
}

/// An instance asks for another, its child.
pub(crate) fn request_from(parent: u64, name: &str) -> RequestInstance {
    RequestInstance { requester: Requester::Instance(InstanceId(parent)), ..request(name) }
}

pub(crate) fn request_state(name: &str, state: RequestedState) -> RequestInstance {
    RequestInstance { state: Some(state), ..request(name) }
}

pub(crate) fn destroy(name: &str) -> RequestInstance {
    request_state(name, RequestedState::Destroyed)
}

pub(crate) fn on(name: &str) -> Vec<(Box<str>, Box<str>)> {
    vec![("computer_guid".into(), name.into())]
}

/// The instance in a partition of COMP-1.
pub(crate) fn in_partition(name: &str) -> InstancePlace {
    InstancePlace { computer: computer("COMP-1"), partition: partition(name), shared: None }
}

pub(crate) fn report(name: &str, state: ReportedState) -> ReportInstance {
    ReportInstance { place: in_partition(name), state, error: None }
}

pub(crate) fn connect(name: &str, connection: Sealed) -> SetConnectionParameters {
    SetConnectionParameters { place: in_partition(name), connection }
}

pub(crate) fn record(name: &str, reports: impl IntoIterator<Item = UsageReport>) -> RecordUsage {
    RecordUsage { computer: computer(name), reports: reports.into_iter().collect() }
}

/// Usage of slappart0 in an hour of 1 October, as an event that can be in conflict.
pub(crate) fn usage(id: &str, quantity: &str) -> UsageReport {
    UsageReport {
        id: UsageId::new(id).expect(id),
        revision: Revision::None,
        subject: "slappart0".into(),
        resource: "cpu".into(),
        quantity: (quantity.into(), Ok(quantity.parse().expect(quantity))),
        start: Ok(Some(instant("1"))),
        stop: Ok(Some(instant("2"))),
        dimensions: Vec::new(),
        node_sequence: None,
    }
}
