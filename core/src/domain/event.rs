//! All that can happen, and the streams it happens in.
//!
//! Events are what the log keeps for ever. Each has a number that is never given to another (see
//! `log::payload`, where they become bytes); their fields may only change by a new version beside the old one.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Serialize, Serializer};

use super::access::{CredentialIssued, CredentialRevoked, CredentialSpent, ProjectOpened};
use super::account::AccountsClosed;
use super::catalogue::{CatalogueEntryRecorded, CatalogueEntryRemoved};
use super::charge::ChargeRecorded;
use super::clock::ClockConfirmed;
use super::computer::{
    AllocationScopeSet, ComputerBanged, ComputerConfigured, ComputerDescribed, ComputerFellSilent,
    ComputerHeard, ComputerRegistered, ComputerRetired, PartitionOffered, PartitionWithdrawn,
};
use super::credit::{CreditExpired, CreditGranted, CreditWithdrawn};
use super::discount::DiscountCodeRedeemed;
use super::erasure::KeyDestroyed;
use super::id::{
    ComputerId, CredentialId, InstanceId, InvoiceId, PartyId, PriceBookName, ProjectId, Reference, RunId,
};
use super::instance::{
    ConnectionParametersSet, InstanceAllocated, InstanceBanged, InstanceChanged, InstanceEnded,
    InstanceRenamed, InstanceRequested, InstanceStateReported, SealedPartRecorded,
};
use super::invoice::{
    InvoiceDraftReviewed, InvoiceFinalised, InvoiceLinesRecorded, InvoiceRunFinalised, InvoiceRunOpened,
    InvoiceRunRefreshed, InvoiceRunWithdrawn,
};
use super::log_key::LogKeySet;
use super::party::{PartyDescribed, PartyRegistered, PartyTimeZoneSet};
use super::pricing::{PriceBookPublished, PriceOverrideEnded, PriceOverrideSet};
use super::product::SoftwareReleasePublished;
use super::restore::LedgerRestored;
use super::software::{SoftwareStateReported, SoftwareSupplied};
use super::software_schema::SoftwareSchemaSupplied;
use super::tax::{ProductTaxSet, TaxRateSet, TaxTreatmentSet};
use super::time::Timestamp;
use super::top_up::{TopUpRequested, TopUpSet};
use super::usage::{
    SuspendedUsageDismissed, SuspendedUsageResolved, Usage, UsageCorrected, UsageSuspended, UsageVoided,
};

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
    (
        { $($(#[$doc:meta])* $name:ident($payload:ty),)* }
        $(
            $(#[$group_doc:meta])*
            $method:ident -> $group:ident {
                $($(#[$of_doc:meta])* $of_name:ident($of_payload:ty),)*
            }
        )*
    ) => {
        /// All that can happen.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(tag = "type", content = "data")]
        pub enum Event {
            $($(#[$doc])* $name($payload),)*
            $($($(#[$of_doc])* $of_name($of_payload),)*)*
        }

        impl Event {
            /// The names of all events, in the order above.
            pub const NAMES: &[&str] = &[$(stringify!($name),)* $($(stringify!($of_name),)*)*];

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                    $($(Self::$of_name(_) => stringify!($of_name),)*)*
                }
            }

            $(
                $(#[$group_doc])*
                pub fn $method(&self) -> Option<$group<'_>> {
                    match self {
                        $(Self::$of_name(event) => Some($group::$of_name(event)),)*
                        _ => None,
                    }
                }
            )*
        }

        $(
            /// An event of one subject. Who matches it names every event of the subject, a new one too.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $group<'a> {
                $($(#[$of_doc])* $of_name(&'a $of_payload),)*
            }
        )*
    };
}

events! {
    {
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
        /// A seller charges another tax for a product.
        ProductTaxSet(ProductTaxSet),
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
        /// An entry of the catalogue says something.
        CatalogueEntryRecorded(Box<CatalogueEntryRecorded>),
        /// An entry of the catalogue is gone.
        CatalogueEntryRemoved(CatalogueEntryRemoved),
        /// The parameters of a release were described.
        SoftwareSchemaSupplied(SoftwareSchemaSupplied),
        /// A release was asked for or away.
        SoftwareSupplied(SoftwareSupplied),
        /// A computer said how far it is with a release.
        SoftwareStateReported(SoftwareStateReported),
        /// A part of a long value that the next event of its stream sets.
        SealedPartRecorded(SealedPartRecorded),
        /// Prices.
        PriceBookPublished(PriceBookPublished),
        /// A customer has a price of their own.
        PriceOverrideSet(PriceOverrideSet),
        /// It ends.
        PriceOverrideEnded(PriceOverrideEnded),
        /// An invoice run began.
        InvoiceRunOpened(InvoiceRunOpened),
        /// Lines of a long invoice.
        InvoiceLinesRecorded(InvoiceLinesRecorded),
        /// An invoice was issued.
        InvoiceFinalised(Box<InvoiceFinalised>),
        /// An invoice run is done.
        InvoiceRunFinalised(InvoiceRunFinalised),
        /// The drafts of a run were drawn up again.
        InvoiceRunRefreshed(InvoiceRunRefreshed),
        /// A run was given up.
        InvoiceRunWithdrawn(InvoiceRunWithdrawn),
        /// Somebody approved or held a draft.
        InvoiceDraftReviewed(InvoiceDraftReviewed),
        /// A customer has prepaid credit.
        CreditGranted(CreditGranted),
        /// What was left of it is gone.
        CreditWithdrawn(CreditWithdrawn),
        /// What was left of it has expired.
        CreditExpired(CreditExpired),
        /// When more of it is requested.
        TopUpSet(TopUpSet),
        /// More of it is requested.
        TopUpRequested(TopUpRequested),
        /// Something was charged or given by hand.
        ChargeRecorded(ChargeRecorded),
        /// A customer redeemed a discount code.
        DiscountCodeRedeemed(DiscountCodeRedeemed),
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
        /// Checkpoints are signed with another key.
        LogKeySet(LogKeySet),
    }

    /// The event, if it is about an instance.
    about_instance -> EventOfInstance {
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
    }

    /// The event, if it is about usage.
    about_usage -> EventOfUsage {
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
        /// Usage is metered no more.
        UsageVoided(UsageVoided),
    }
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
    /// A software product, and the entry of the catalogue of this name.
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
    /// is in the default project, whatever command it is of.
    pub fn home(&self, project: ProjectId) -> ProjectId {
        match self {
            Self::Ledger => ProjectId::DEFAULT,
            _ => project,
        }
    }
}

/// An event is moved several times on its way into the log and stays in memory until all views have read it.
const _: () = assert!(size_of::<Event>() <= 224, "a large payload is boxed");

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
