//! A document before it means anything: texts, lists and tables, each with the place it was written at.
//!
//! TOML and JSON become the same tree, so that their rules are written once and every error can name the path of
//! what is wrong, in TOML with line and column. Nothing in a price book is read from
//! binary floats: of a number only a whole one is kept.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

use super::PriceBookError;

/// Line and column, both from 1; the column in characters.
pub(super) type Position = (usize, usize);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) position: Option<Position>,
}

#[derive(Debug)]
pub(super) enum Content {
    Text(Box<str>),
    /// A number, kept only if it is a whole one that is not negative.
    Number(Option<u64>),
    Boolean,
    Null,
    List(Vec<Node>),
    Table(Vec<Member>),
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Box<str>,
    pub(super) position: Option<Position>,
    pub(super) value: Node,
}

impl Content {
    /// As it is called in messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Boolean => "true or false",
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The tree of a TOML text.
pub(super) fn parse_toml(text: &str) -> Result<Node, PriceBookError> {
    let table = DeTable::parse(text).map_err(|error| {
        let position = error.span().map(|span| position(text, &span));
        PriceBookError::at("", position, error.message())
    })?;
    Ok(Node { content: Content::Table(members(text, table.get_ref())), position: Some((1, 1)) })
}

fn members(text: &str, table: &DeTable<'_>) -> Vec<Member> {
    let member =
        |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| Member {
            key: key.get_ref().as_ref().into(),
            position: Some(position(text, &key.span())),
            value: node(text, value),
        };
    table.iter().map(member).collect()
}

fn node(text: &str, value: &toml::Spanned<DeValue<'_>>) -> Node {
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Text(text.as_ref().into()),
        // TOML writes instants without quotes: the same text.
        DeValue::Datetime(instant) => Content::Text(instant.to_string().into()),
        DeValue::Integer(number) => Content::Number(number.as_str().replace('_', "").parse().ok()),
        DeValue::Float(_) => Content::Number(None),
        DeValue::Boolean(_) => Content::Boolean,
        DeValue::Array(items) => Content::List(items.iter().map(|item| node(text, item)).collect()),
        DeValue::Table(table) => Content::Table(members(text, table)),
    };
    Node { content, position: Some(position(text, &value.span())) }
}

fn position(text: &str, span: &Range<usize>) -> Position {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The tree of a JSON text.
pub(super) fn parse_json(bytes: &[u8]) -> Result<Node, PriceBookError> {
    serde_json::from_slice(bytes).map_err(|error| {
        // serde_json appends the place, which has fields of its own here.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        PriceBookError::at("", Some((error.line(), error.column())), message)
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Contents).map(|content| Self { content, position: None })
    }
}

struct Contents;

impl<'de> Visitor<'de> for Contents {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price book")
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.into()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Content, E> {
        Ok(Content::Boolean)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Number(number.try_into().ok()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Number(Some(number)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Content, E> {
        Ok(Content::Number(None))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut members: Vec<Member> = Vec::new();
        while let Some(key) = entries.next_key::<Box<str>>()? {
            if members.iter().any(|known| known.key == key) {
                return Err(A::Error::custom(format_args!("{key} is named more than once")));
            }
            members.push(Member { key, position: None, value: entries.next_value()? });
        }
        Ok(Content::Table(members))
    }
}
