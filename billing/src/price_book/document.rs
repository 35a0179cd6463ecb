//! A document before it means anything: texts, lists and tables, each with the place it was written at.
//!
//! TOML and JSON become the same tree, so that their rules are written once and every error can name the path of what
//! is wrong, in TOML with line and column. Nothing in a price book is read from binary floats: of a number only a whole
//! one is kept.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

use super::PriceBookError;

/// Line and column, both from 1; the column in characters.
pub(super) type Position = (usize, usize);

#[derive(Debug)]
pub(super) struct DocumentNode {
    pub(super) content: NodeContent,
    pub(super) position: Option<Position>,
}

#[derive(Debug)]
pub(super) enum NodeContent {
    Text(Box<str>),
    /// A number, kept only if it is a whole one that is not negative.
    Number(Option<u64>),
    Boolean(bool),
    Null,
    List(Vec<DocumentNode>),
    Table(Vec<TableMember>),
}

#[derive(Debug)]
pub(super) struct TableMember {
    pub(super) key: Box<str>,
    pub(super) position: Option<Position>,
    pub(super) value: DocumentNode,
}

impl NodeContent {
    /// As it is called in messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The tree of a TOML text.
pub(super) fn parse_toml(text: &str) -> Result<DocumentNode, PriceBookError> {
    let table = DeTable::parse(text).map_err(|error| {
        let position = error.span().map(|span| position(text, &span));
        PriceBookError::at("", position, error.message())
    })?;
    Ok(DocumentNode { content: NodeContent::Table(members(text, table.get_ref())), position: Some((1, 1)) })
}

fn members(text: &str, table: &DeTable<'_>) -> Vec<TableMember> {
    let member = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        TableMember {
            key: key.get_ref().as_ref().into(),
            position: Some(position(text, &key.span())),
            value: node(text, value),
        }
    };
    table.iter().map(member).collect()
}

fn node(text: &str, value: &toml::Spanned<DeValue<'_>>) -> DocumentNode {
    let content = match value.get_ref() {
        DeValue::String(text) => NodeContent::Text(text.as_ref().into()),
        // TOML writes instants without quotes: the same text.
        DeValue::Datetime(instant) => NodeContent::Text(instant.to_string().into()),
        DeValue::Integer(number) => NodeContent::Number(number.as_str().replace('_', "").parse().ok()),
        DeValue::Float(_) => NodeContent::Number(None),
        DeValue::Boolean(value) => NodeContent::Boolean(*value),
        DeValue::Array(items) => NodeContent::List(items.iter().map(|item| node(text, item)).collect()),
        DeValue::Table(table) => NodeContent::Table(members(text, table)),
    };
    DocumentNode { content, position: Some(position(text, &value.span())) }
}

fn position(text: &str, span: &Range<usize>) -> Position {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The tree of a JSON text.
pub(super) fn parse_json(bytes: &[u8]) -> Result<DocumentNode, PriceBookError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // serde_json appends the place, which has fields of its own here.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        PriceBookError::at("", Some((error.line(), error.column())), message)
    })
}

impl<'de> Deserialize<'de> for DocumentNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Contents).map(|content| Self { content, position: None })
    }
}

struct Contents;

impl<'de> Visitor<'de> for Contents {
    type Value = NodeContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price book")
    }

    fn visit_str<E>(self, text: &str) -> Result<NodeContent, E> {
        Ok(NodeContent::Text(text.into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeContent, E> {
        Ok(NodeContent::Boolean(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<NodeContent, E> {
        Ok(NodeContent::Number(number.try_into().ok()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<NodeContent, E> {
        Ok(NodeContent::Number(Some(number)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<NodeContent, E> {
        Ok(NodeContent::Number(None))
    }

    fn visit_unit<E>(self) -> Result<NodeContent, E> {
        Ok(NodeContent::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NodeContent, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(NodeContent::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<NodeContent, A::Error> {
        let mut members: Vec<TableMember> = Vec::new();
        while let Some(key) = entries.next_key::<Box<str>>()? {
            if members.iter().any(|known| known.key == key) {
                return Err(A::Error::custom(format_args!("{key} is named more than once")));
            }
            members.push(TableMember { key, position: None, value: entries.next_value()? });
        }
        Ok(NodeContent::Table(members))
    }
}
