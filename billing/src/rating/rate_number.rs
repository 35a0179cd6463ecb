//! How lines say by which rate they are priced.

use slapledger_core::domain::invoice::InvoiceLine;
use slapledger_core::domain::pricing::OverrideId;

/// The number of a rate that a line names, also if it is that of an override.
pub(super) fn rate_number(line: &InvoiceLine) -> u32 {
    line.price_override.map_or(line.rate, number_of)
}

/// The number of an override: one that no rate of a book has.
pub(super) fn number_of(id: OverrideId) -> u32 {
    u32::MAX - u32::try_from(id.0).unwrap_or(0)
}
