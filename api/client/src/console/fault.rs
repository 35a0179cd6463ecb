//! What goes wrong in the console: one line, and where.

use std::fmt;

use crate::master::MasterError;

/// A place in a text, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextPosition {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Why a text cannot be read or carried out.
#[derive(Debug)]
pub(super) struct ConsoleFault {
    pub(super) place: Option<TextPosition>,
    text: String,
    /// Whether more text may make it right.
    pub(super) is_incomplete: bool,
    source: Option<MasterError>,
}

impl ConsoleFault {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { place: None, text: text.into(), is_incomplete: false, source: None }
    }

    pub(super) fn at(place: TextPosition, text: impl Into<String>) -> Self {
        Self { place: Some(place), ..Self::new(text) }
    }

    /// The text ends too early.
    pub(super) fn incomplete(place: TextPosition, text: impl Into<String>) -> Self {
        Self { is_incomplete: true, ..Self::at(place, text) }
    }

    /// The same, at a place if it has none.
    pub(super) fn or_at(mut self, place: TextPosition) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// What went wrong, without its place.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl From<MasterError> for ConsoleFault {
    fn from(error: MasterError) -> Self {
        let text = error.to_string();
        Self { source: Some(error), ..Self::new(text) }
    }
}

impl ConsoleFault {
    /// The error of a program that ends with it; anyone who looks for the master's finds it in the chain.
    pub(super) fn into_error(self) -> anyhow::Error {
        let text = self.to_string();
        match self.source {
            Some(error) => anyhow::Error::new(MasterMessage { text, error }),
            None => anyhow::Error::msg(text),
        }
    }
}

impl fmt::Display for ConsoleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(TextPosition { line, .. }) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// An error of the master, in the words of the console: it is not said again as its own cause.
#[derive(Debug)]
pub struct MasterMessage {
    text: String,
    /// What the master said.
    pub error: MasterError,
}

impl fmt::Display for MasterMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for MasterMessage {}
