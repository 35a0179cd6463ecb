//! Price books as files and as JSON: read strictly, shown as they are read.
//!
//! Both forms have the same fields. Prices and instants are strings, unknown fields are errors, and every error
//! names the field and the rule, with line and column where the text is at hand. What is read has passed all the
//! rules of the domain. This is not where prices are applied, and not where books are published.

mod difference;
mod document;
mod place;
mod read;
mod show;

use std::fmt;

use slapledger_core::domain::pricing::{PriceBook, Rate};

pub use difference::{BookDifference, ChangeShown};
use document::Position;
pub use show::{PriceBookShown, RateShown, ResourceShown};

/// What is wrong with the text of a price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceBookError {
    /// The path of the field to blame (`rates[2].price`, counted from 0); empty for the text as a whole.
    pub field: String,
    /// The line it is in, from 1, if known.
    pub line: Option<usize>,
    /// The character it begins at, from 1, if known.
    pub column: Option<usize>,
    /// The rule it breaks, as words that follow the field.
    pub message: String,
}

impl PriceBookError {
    fn at(field: impl Into<String>, position: Option<Position>, message: impl Into<String>) -> Self {
        let (line, column) = position.unzip();
        Self { field: field.into(), line, column, message: message.into() }
    }
}

impl fmt::Display for PriceBookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{} ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PriceBookError {}

/// The JSON schema (2020-12) of both forms: all fields and most of their rules, for editors and for other programs.
pub const SCHEMA: &str = include_str!("../../../docs/price-book.schema.json");

/// Reads a price book from a TOML text.
pub fn parse_toml(text: &str) -> Result<PriceBook, PriceBookError> {
    read::book(&document::parse_toml(text)?)
}

/// Reads a price book from a JSON text.
pub fn parse_json(bytes: &[u8]) -> Result<PriceBook, PriceBookError> {
    read::book(&document::parse_json(bytes)?)
}

/// Reads a rate from a JSON text: a table as those of `rates`.
pub fn parse_rate_json(bytes: &[u8]) -> Result<Rate, PriceBookError> {
    read::one_rate(&document::parse_json(bytes)?)
}

/// Reads a rate from a TOML text.
pub fn parse_rate_toml(text: &str) -> Result<Rate, PriceBookError> {
    read::one_rate(&document::parse_toml(text)?)
}

/// Writes a price book as a TOML text that reads as the same book.
pub fn to_toml(book: &PriceBook) -> String {
    toml::to_string(&PriceBookShown::of(book)).expect("strings, lists and tables can be written as TOML")
}

#[cfg(test)]
mod tests;
