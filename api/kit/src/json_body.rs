//! Request bodies in JSON or XML, read as the type that describes them.
//!
//! A body becomes a tree first, because XML has only texts: the tree gives each member as the type that the body
//! asks for. Every fault names the path of the member to blame. Usage events, which are many, have a reader of
//! their own (`cloud_event`), and price books one that knows their form.

mod tree;
pub mod unique;

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::marker::PhantomData;

use axum::extract::Request;
use axum::http::HeaderMap;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use self::tree::{BodyTree, REPLACED};
use super::body::{self, ReceivedRequest};
use super::forms::xml;
use super::problem::Problem;
use crate::collect::{self, BodyLimit};

/// The most bytes of such a body.
pub const MOST_BYTES: usize = 256 * 1024;

/// The name of a struct that may be written as a text too.
pub const TEXT_OR_OBJECT: &str = "TextOrObject";

/// Reads a request within this limit, and its body.
pub async fn read<T: DeserializeOwned>(
    request: Request,
    limit: impl Into<BodyLimit>,
) -> Result<(ReceivedRequest, T), Problem> {
    let received = body::read_any(request, limit).await?;
    let body = parse(&received)?;
    Ok((received, body))
}

/// The same for a route whose body is optional: no body means an empty object.
pub async fn read_optional<T: DeserializeOwned>(
    request: Request,
    most: usize,
) -> Result<(ReceivedRequest, T), Problem> {
    let received = body::read_any(request, most).await?;
    let body = parse_optional(&received)?;
    Ok((received, body))
}

/// The body of a request.
pub fn parse<T: DeserializeOwned>(received: &ReceivedRequest) -> Result<T, Problem> {
    tree_of(&received.headers, &received.body).and_then(typed)
}

/// The body of a request to a route whose body is optional.
pub fn parse_optional<T: DeserializeOwned>(received: &ReceivedRequest) -> Result<T, Problem> {
    if received.body.is_empty() { typed(BodyTree::of(Map::new(), false)) } else { parse(received) }
}

fn tree_of(headers: &HeaderMap, bytes: &[u8]) -> Result<BodyTree, Problem> {
    match collect::media_type(headers).as_deref() {
        Some("application/json") => {
            let value = unique::from_slice(bytes)
                .map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
            match value {
                Value::Object(members) => Ok(BodyTree::of(members, false)),
                other => {
                    let kind = tree::kind(&other);
                    Err(Problem::bad_request(format!("the body must be a JSON object, not {kind}")))
                }
            }
        }
        Some("application/xml" | "text/xml") => Ok(BodyTree::of(xml::read(bytes)?, true)),
        _ => Err(Problem::unsupported_media_type("application/json or application/xml")),
    }
}

fn typed<T: DeserializeOwned>(tree: BodyTree) -> Result<T, Problem> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let mut path = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => drop(write!(path, "[{index}]")),
                Segment::Map { key } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        let fault = error.into_inner();
        let rule = fault.to_string();
        if path.is_empty() {
            Problem::bad_request(rule)
        } else if fault.is_unknown_field() {
            Problem::unknown_field(path, rule)
        } else {
            Problem::field(path, rule)
        }
    })
}

/// Reads a text by its rule. What `read` answers for a wrong one is what the sender is told.
pub fn text<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    read(&text).map_err(D::Error::custom)
}

/// A member of a change: a change tells the member that stays from the one that is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Replaced<T> {
    /// The member is absent, and what it describes stays.
    #[default]
    Not,
    /// What it describes is this now; `None`, if the member is null, which removes it.
    By(Option<T>),
}

impl<T> Replaced<T> {
    /// What there is after the change.
    pub fn or<U: From<T>>(self, before: Option<U>) -> Option<U> {
        match self {
            Self::Not => before,
            Self::By(now) => now.map(U::from),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Replaced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(REPLACED, ReplacedVisitor(PhantomData))
    }
}

struct ReplacedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ReplacedVisitor<T> {
    type Value = Replaced<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(Replaced::Not)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        Option::deserialize(value).map(Replaced::By)
    }
}

impl<T: JsonSchema> JsonSchema for Replaced<T> {
    fn inline_schema() -> bool {
        Option::<T>::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Option::<T>::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests;
