//! All that can happen, and the streams it happens in.
//!
//! Events are what the log keeps for ever. Each has a number that is never given to another (see
//! `log::payload`, where they become bytes); their fields may only change by a new version beside the old one.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::access::{CredentialIssued, CredentialRevoked, CredentialSpent, ProjectOpened};
use super::account::AccountsClosed;
use super::charge::ChargeRecorded;
use super::clock::ClockConfirmed;
use super::computer::{
    AllocationScopeSet, ComputerBanged, ComputerConfigured, ComputerDescribed, ComputerFellSilent,
    ComputerHeard, ComputerRegistered, ComputerRetired, PartitionOffered, PartitionWithdrawn,
};
use super::credit::{CreditGranted, CreditWithdrawn};
use super::erasure::KeyDestroyed;
use super::id::{
    ComputerId, CredentialId, InstanceId, InvoiceId, PartyId, PriceBookName, ProjectId, Reference, RunId,
};
use super::instance::{
    ConnectionParametersSet, InstanceAllocated, InstanceBanged, InstanceChanged, InstanceEnded,
    InstanceRenamed, InstanceRequested, InstanceStateReported, SealedPartRecorded,
};
use super::invoice::{
    InvoiceFinalised, InvoiceLinesRecorded, InvoiceRunFinalised, InvoiceRunOpened, InvoiceRunRefreshed,
    InvoiceRunWithdrawn,
};
use super::party::{PartyDescribed, PartyRegistered, PartyTimeZoneSet};
use super::pricing::PriceBookPublished;
use super::product::SoftwareReleasePublished;
use super::restore::LedgerRestored;
use super::software::{SoftwareStateReported, SoftwareSupplied};
use super::tax::{TaxRateSet, TaxTreatmentSet};
use super::time::Timestamp;
use super::usage::{SuspendedUsageDismissed, SuspendedUsageResolved, Usage, UsageCorrected, UsageSuspended};

/// The first event of every ledger.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LedgerCreated {
    /// Which ledger: random, and part of everything that is signed.
    #[serde(serialize_with = "super::sealed::hex")]
    pub ledger: [u8; 16],
    /// The version of the format of envelope and payloads.
    pub format: u16,
    /// What it is run as.
    pub mode: Mode,
    /// A digest of the key ring's secret: the keys that open what is sealed in this log.
    #[serde(serialize_with = "super::sealed::hex")]
    pub key_ring: [u8; 16],
    /// When.
    pub at: Timestamp,
}

/// What a ledger is run as, for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Invented data.
    Demo,
    /// One local user, as slapos proxy.
    Proxy,
    /// A master.
    Serve,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Demo => "demo",
            Self::Proxy => "proxy",
            Self::Serve => "serve",
        })
    }
}

/// A writer took the log over: appended at every start.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct WriterStarted {
    /// Later writers have higher terms.
    pub term: u64,
    /// Name and version of the program.
    pub program: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// The answer to a command its sender named, so that it can be given again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct AnswerRecorded {
    /// The version of the bytes below.
    pub format: u8,
    /// From 1.
    pub part: u16,
    /// How many parts the answer has.
    pub parts: u16,
    /// The part of the answer, in bincode.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($payload:ty),)*) => {
        /// All that can happen.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(tag = "type", content = "data")]
        #[expect(clippy::large_enum_variant, reason = "an invoice is rare, and a batch of events lives for a moment")]
        pub enum Event { $($(#[$doc])* $name($payload),)* }

        impl Event {
            /// The names of all events, in the order above.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }
        }
    };
}

events! {
    /// The ledger begins.
    LedgerCreated(LedgerCreated),
    /// A writer took over.
    WriterStarted(WriterStarted),
    /// What a command was answered.
    AnswerRecorded(AnswerRecorded),
    /// What was sealed for somebody is erased.
    KeyDestroyed(KeyDestroyed),
    /// A party entered the books.
    PartyRegistered(PartyRegistered),
    /// What invoices say of it was said.
    PartyDescribed(PartyDescribed),
    /// Its months are cut elsewhere.
    PartyTimeZoneSet(PartyTimeZoneSet),
    /// A seller charges another tax rate.
    TaxRateSet(TaxRateSet),
    /// A customer is taxed in another way.
    TaxTreatmentSet(TaxTreatmentSet),
    /// A computer entered the cloud.
    ComputerRegistered(ComputerRegistered),
    /// A computer told how it is reached.
    ComputerConfigured(ComputerConfigured),
    /// A partition is on offer.
    PartitionOffered(PartitionOffered),
    /// A partition is no longer on offer.
    PartitionWithdrawn(PartitionWithdrawn),
    /// A computer was described.
    ComputerDescribed(ComputerDescribed),
    /// Whom and what a computer is for was said.
    AllocationScopeSet(AllocationScopeSet),
    /// Nothing is heard of a computer.
    ComputerFellSilent(ComputerFellSilent),
    /// It was heard of again.
    ComputerHeard(ComputerHeard),
    /// It wants everything processed again.
    ComputerBanged(ComputerBanged),
    /// Its provider retired it.
    ComputerRetired(ComputerRetired),
    /// A publisher published a release.
    SoftwareReleasePublished(SoftwareReleasePublished),
    /// A release was asked for or away.
    SoftwareSupplied(SoftwareSupplied),
    /// A computer said how far it is with a release.
    SoftwareStateReported(SoftwareStateReported),
    /// An instance was asked for.
    InstanceRequested(InstanceRequested),
    /// Its requester changed its mind.
    InstanceChanged(InstanceChanged),
    /// It got a partition.
    InstanceAllocated(InstanceAllocated),
    /// It is no more.
    InstanceEnded(InstanceEnded),
    /// Its node said in which state it is.
    InstanceStateReported(InstanceStateReported),
    /// Its node said how it is reached.
    ConnectionParametersSet(ConnectionParametersSet),
    /// It wants its tree processed again.
    InstanceBanged(InstanceBanged),
    /// It goes by another name.
    InstanceRenamed(InstanceRenamed),
    /// A part of a long value that the next event of its stream sets.
    SealedPartRecorded(SealedPartRecorded),
    /// Usage to be metered.
    UsageRecorded(Usage),
    /// Usage that takes the place of other usage.
    UsageCorrected(UsageCorrected),
    /// Usage that cannot be metered.
    UsageSuspended(UsageSuspended),
    /// It could be, after all.
    SuspendedUsageResolved(SuspendedUsageResolved),
    /// It never will be.
    SuspendedUsageDismissed(SuspendedUsageDismissed),
    /// Prices.
    PriceBookPublished(PriceBookPublished),
    /// An invoice run began.
    InvoiceRunOpened(InvoiceRunOpened),
    /// Lines of a long invoice.
    InvoiceLinesRecorded(InvoiceLinesRecorded),
    /// An invoice was issued.
    InvoiceFinalised(InvoiceFinalised),
    /// An invoice run is done.
    InvoiceRunFinalised(InvoiceRunFinalised),
    /// The drafts of a run were drawn up again.
    InvoiceRunRefreshed(InvoiceRunRefreshed),
    /// A run was given up.
    InvoiceRunWithdrawn(InvoiceRunWithdrawn),
    /// A customer has prepaid credit.
    CreditGranted(CreditGranted),
    /// What was left of it is gone.
    CreditWithdrawn(CreditWithdrawn),
    /// Something was charged or given by hand.
    ChargeRecorded(ChargeRecorded),
    /// The books of a seller were closed up to an instant.
    AccountsClosed(AccountsClosed),
    /// A project was opened.
    ProjectOpened(ProjectOpened),
    /// Somebody may come in.
    CredentialIssued(CredentialIssued),
    /// A credential is no longer good.
    CredentialRevoked(CredentialRevoked),
    /// A credential that is good once was used.
    CredentialSpent(CredentialSpent),
    /// An operator confirmed what the clock showed.
    ClockConfirmed(ClockConfirmed),
    /// The ledger was restored from a backup.
    LedgerRestored(LedgerRestored),
}

/// The stream an event is in: the history of one thing of a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// The ledger itself.
    Ledger,
    /// A party.
    Party(PartyId),
    /// A computer, its partitions and its software.
    Computer(ComputerId),
    /// An instance.
    Instance(InstanceId),
    /// A software product.
    Product(Reference),
    /// What a computer reports.
    Usage(ComputerId),
    /// A price book.
    PriceBook(PriceBookName),
    /// An invoice run.
    InvoiceRun(RunId),
    /// An invoice.
    Invoice(InvoiceId),
    /// A credential.
    Credential(CredentialId),
    /// A project.
    Project(ProjectId),
}

impl Stream {
    /// Where the events of this stream belong, of those that a command of a project made. What is of the ledger itself
    /// is in the default project, whoever's command it is of.
    pub fn home(&self, project: ProjectId) -> ProjectId {
        match self {
            Self::Ledger => ProjectId::DEFAULT,
            _ => project,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger => f.write_str("ledger"),
            Self::Party(id) => write!(f, "party/{id}"),
            Self::Computer(id) => write!(f, "computer/{id}"),
            Self::Instance(id) => write!(f, "instance/{id}"),
            Self::Product(id) => write!(f, "product/{id}"),
            Self::Usage(id) => write!(f, "usage/{id}"),
            Self::PriceBook(id) => write!(f, "price-book/{id}"),
            Self::InvoiceRun(id) => write!(f, "invoice-run/{id}"),
            Self::Invoice(id) => write!(f, "invoice/{id}"),
            Self::Credential(id) => write!(f, "credential/{id}"),
            Self::Project(id) => write!(f, "project/{id}"),
        }
    }
}

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
