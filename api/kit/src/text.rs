//! Texts that can be carried back to a node in XML, and identities among them.

use std::str::FromStr;

use slapledger_core::domain::id::InvalidText;
use slapledger_slap_wire as slap_wire;

use super::collect::BodyLimit;
use super::problem::Problem;

/// The longest body of a call, in bytes as sent.
pub const SMALL: usize = 1024 * 1024;
/// The longest body that carries a document of a node.
pub const LARGE: usize = 8 * 1024 * 1024;

/// The longest body that carries so many bytes of parameters. A character that is stored as two bytes takes up to twelve
/// in a form (`%26%23233%3B` for the `&#233;` that `xml_marshaller` writes); no other is written longer.
pub const fn of_parameters(most_bytes: usize) -> BodyLimit {
    BodyLimit::Parameters(most_bytes.saturating_mul(6).saturating_add(SMALL))
}

/// A text that XML can carry.
pub fn carriable(field: &str, text: &str) -> Result<(), Problem> {
    slap_wire::check_text(text).map_err(|error| Problem::field(field, error.to_string()))
}

/// An identity, of a text that XML can carry.
pub fn id<T: FromStr<Err = InvalidText>>(field: &str, text: &str) -> Result<T, Problem> {
    carriable(field, text)?;
    text.parse().map_err(|error: InvalidText| Problem::field(field, error.to_string()))
}
