//! What a page is made of: what somebody asked for, and the answers that it shows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::past::{self, AS_OF};
use crate::writer::ValueWriter;

/// The request that a page answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The path.
    pub path: String,
    /// The parameters of the path, decoded.
    pub names: BTreeMap<&'static str, String>,
    /// The time of the request, RFC 3339.
    pub now: String,
    /// The query.
    pub query: Vec<(String, String)>,
}

impl PageRequest {
    /// A parameter of the query; an empty one is absent.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// An address that reads as of the same event as this page.
    pub fn carried(&self, address: &str) -> String {
        match self.parameter(AS_OF) {
            Some(as_of) => past::carry(address, as_of),
            None => address.to_owned(),
        }
    }

    /// A parameter of the path.
    pub fn name(&self, name: &str) -> &str {
        self.names.get(name).map_or("", String::as_str)
    }
}

/// Answers by the names that templates have for them; `it` is that of the route.
pub type Answers = BTreeMap<String, Value>;

/// Another answer that a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in the template.
    pub name: String,
    /// Where it is read.
    pub path: String,
}

impl Part {
    /// A part.
    pub fn new(name: impl Into<String>, path: impl Into<String>) -> Self {
        Self { name: name.into(), path: path.into() }
    }
}

/// What a page is computed from.
pub(crate) struct DerivedFrom<'a> {
    pub(crate) asked: &'a PageRequest,
    pub(crate) answers: &'a Answers,
    pub(crate) writer: &'a ValueWriter,
}
