//! Events as bytes: a number and a version for each, then bincode.
//!
//! The numbers are for ever: they are appended to, never given to another event, and do not depend on the order
//! of any enum. When an event changes, its payload gets a new version beside the old one, and an upcaster brings
//! old bytes to the present event when they are decoded. Golden bytes in `fixtures/golden` hold every version.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};

use super::upcast;
use crate::domain::event::Event;

/// Variable-length integers, little-endian where fixed, and no claim of memory beyond what an event could need.
pub(super) const CONFIG: Configuration<LittleEndian, Varint, Limit<16_777_216>> =
    bincode::config::standard().with_limit::<16_777_216>();

/// Why bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A number or version this program does not know.
    #[error("decode event {number} version {version}: it was written by a newer version of this program")]
    Newer {
        /// The number of the event.
        number: u16,
        /// The version of its payload.
        version: u8,
    },
    /// The bytes do not fit their number and version.
    #[error("decode event {number} version {version}: {cause}")]
    Malformed {
        /// The number of the event.
        number: u16,
        /// The version of its payload.
        version: u8,
        /// What is wrong.
        cause: String,
    },
}

macro_rules! payloads {
    (
        $($number:literal v $version:literal => $name:ident,)*
        once: $($old_number:literal v $old_version:literal => $old_name:ident as $old:ty,)*
    ) => {
        /// The number and the newest version of an event's payload.
        pub(super) fn number(event: &Event) -> (u16, u8) {
            match event { $(Event::$name(_) => ($number, $version),)* }
        }

        /// Appends the payload of an event, in its newest version.
        pub(super) fn encode(event: &Event, into: &mut Vec<u8>) {
            match event {
                $(Event::$name(payload) => {
                    bincode::encode_into_std_write(payload, into, CONFIG)
                        .expect("an event in memory can be encoded into memory");
                })*
            }
        }

        /// The event of a payload.
        pub(super) fn decode(number: u16, version: u8, bytes: &[u8]) -> Result<Event, PayloadError> {
            let malformed = |cause: String| PayloadError::Malformed { number, version, cause };
            let (event, read) = match (number, version) {
                $(($number, $version) => bincode::decode_from_slice(bytes, CONFIG)
                    .map(|(payload, read)| (Event::$name(payload), read))
                    .map_err(|error| malformed(error.to_string()))?,)*
                $(($old_number, $old_version) => bincode::decode_from_slice::<$old, _>(bytes, CONFIG)
                    .map(|(payload, read)| (Event::$old_name(payload.into()), read))
                    .map_err(|error| malformed(error.to_string()))?,)*
                _ => return Err(PayloadError::Newer { number, version }),
            };
            if read == bytes.len() { Ok(event) } else { Err(malformed("bytes are left over".into())) }
        }

        /// All numbers and versions that can be decoded.
        #[cfg(test)]
        pub(super) const KNOWN: &[(u16, u8, &str)] = &[
            $(($number, $version, stringify!($name)),)*
            $(($old_number, $old_version, stringify!($old_name)),)*
        ];
    };
}

/// Whether the event of this number is about usage: a block of numbers is kept for those.
pub(super) fn is_usage(number: u16) -> bool {
    (60..80).contains(&number)
}

/// Whether the event of this number says what the log is, or who signs it: every reader of a part of a log needs those.
pub(super) fn is_of_log(number: u16) -> bool {
    matches!(number, 1 | 110)
}

payloads! {
    1 v 1 => LedgerCreated,
    2 v 1 => WriterStarted,
    3 v 1 => AnswerRecorded,
    4 v 1 => ProjectOpened,
    5 v 1 => CredentialIssued,
    6 v 1 => CredentialRevoked,
    7 v 1 => CredentialSpent,
    8 v 1 => KeyDestroyed,
    9 v 1 => ClockConfirmed,
    10 v 1 => PartyRegistered,
    11 v 1 => PartyDescribed,
    12 v 1 => PartyTimeZoneSet,
    13 v 1 => TaxRateSet,
    14 v 1 => TaxTreatmentSet,
    20 v 1 => ComputerRegistered,
    21 v 1 => ComputerConfigured,
    22 v 3 => PartitionOffered,
    23 v 1 => PartitionWithdrawn,
    24 v 1 => ComputerDescribed,
    25 v 1 => AllocationScopeSet,
    26 v 1 => ComputerFellSilent,
    27 v 1 => ComputerHeard,
    28 v 1 => ComputerBanged,
    29 v 1 => ComputerRetired,
    30 v 1 => SoftwareSupplied,
    31 v 1 => SoftwareStateReported,
    32 v 1 => SoftwareReleasePublished,
    33 v 1 => CatalogueEntryRecorded,
    34 v 1 => CatalogueEntryRemoved,
    35 v 1 => SoftwareSchemaSupplied,
    40 v 2 => InstanceRequested,
    41 v 2 => InstanceChanged,
    42 v 2 => InstanceAllocated,
    43 v 1 => InstanceEnded,
    44 v 1 => InstanceStateReported,
    45 v 1 => ConnectionParametersSet,
    46 v 1 => InstanceBanged,
    47 v 1 => InstanceRenamed,
    48 v 1 => SealedPartRecorded,
    60 v 1 => UsageRecorded,
    61 v 1 => UsageCorrected,
    62 v 1 => UsageSuspended,
    63 v 1 => SuspendedUsageResolved,
    64 v 1 => SuspendedUsageDismissed,
    65 v 1 => UsageVoided,
    80 v 5 => PriceBookPublished,
    90 v 3 => InvoiceRunOpened,
    91 v 3 => InvoiceLinesRecorded,
    92 v 3 => InvoiceFinalised,
    93 v 1 => InvoiceRunFinalised,
    94 v 1 => InvoiceRunRefreshed,
    95 v 1 => InvoiceRunWithdrawn,
    96 v 2 => CreditGranted,
    97 v 1 => CreditWithdrawn,
    98 v 1 => ChargeRecorded,
    103 v 1 => ProductTaxSet,
    104 v 1 => PriceOverrideSet,
    105 v 1 => PriceOverrideEnded,
    99 v 1 => AccountsClosed,
    100 v 1 => LedgerRestored,
    101 v 1 => InvoiceDraftReviewed,
    102 v 1 => DiscountCodeRedeemed,
    106 v 1 => CreditExpired,
    107 v 1 => TopUpRequested,
    108 v 1 => TopUpSet,
    110 v 1 => LogKeySet,
    once:
    22 v 1 => PartitionOffered as upcast::PartitionOfferedV1,
    22 v 2 => PartitionOffered as upcast::PartitionOfferedV2,
    40 v 1 => InstanceRequested as upcast::InstanceRequestedV1,
    41 v 1 => InstanceChanged as upcast::InstanceChangedV1,
    42 v 1 => InstanceAllocated as upcast::InstanceAllocatedV1,
    80 v 1 => PriceBookPublished as upcast::PriceBookPublishedV1,
    80 v 2 => PriceBookPublished as upcast::PriceBookPublishedV2,
    80 v 3 => PriceBookPublished as upcast::PriceBookPublishedV3,
    80 v 4 => PriceBookPublished as upcast::PriceBookPublishedV4,
    90 v 1 => InvoiceRunOpened as upcast::InvoiceRunOpenedV1,
    90 v 2 => InvoiceRunOpened as upcast::InvoiceRunOpenedV2,
    91 v 1 => InvoiceLinesRecorded as upcast::InvoiceLinesRecordedV1,
    91 v 2 => InvoiceLinesRecorded as upcast::InvoiceLinesRecordedV2,
    92 v 1 => InvoiceFinalised as upcast::InvoiceFinalisedV1,
    92 v 2 => InvoiceFinalised as upcast::InvoiceFinalisedV2,
    96 v 1 => CreditGranted as upcast::CreditGrantedV1,
}
