//! Small bodies in JSON or XML, without unknown members.
//!
//! They become a tree, so that every error can name the path of the member to blame. Usage events, which are many, have
//! a reader of their own (`cloud_event`), and price books one that knows their form.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::Request;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::body::{self, ReceivedRequest};
use super::forms::xml;
use super::problem::Problem;
use crate::collect;
use crate::sealing::error_text;

/// The most bytes of such a body.
pub const MOST_BYTES: usize = 256 * 1024;

/// Reads a request of at most `most` bytes and what its body tells, to the last member.
pub async fn told<T>(
    request: Request,
    most: usize,
    read: impl FnOnce(&mut JsonObject) -> Result<T, Problem>,
) -> Result<(ReceivedRequest, T), Problem> {
    told_in(request, most, object, read).await
}

/// The same for a route that can do without a body: none tells what an empty object does.
pub async fn told_if_any<T>(
    request: Request,
    most: usize,
    read: impl FnOnce(&mut JsonObject) -> Result<T, Problem>,
) -> Result<(ReceivedRequest, T), Problem> {
    told_in(request, most, optional_object, read).await
}

async fn told_in<T>(
    request: Request,
    most: usize,
    object: fn(&HeaderMap, &[u8]) -> Result<JsonObject, Problem>,
    read: impl FnOnce(&mut JsonObject) -> Result<T, Problem>,
) -> Result<(ReceivedRequest, T), Problem> {
    let sent = body::read_any(request, most).await?;
    let mut object = object(&sent.headers, &sent.body)?;
    let told = read(&mut object)?;
    object.end()?;
    Ok((sent, told))
}

/// The object in a body that says it is JSON or XML.
pub fn object(headers: &HeaderMap, bytes: &[u8]) -> Result<JsonObject, Problem> {
    match collect::media_type(headers).as_deref() {
        Some("application/json") => JsonObject::parse(bytes),
        Some("application/xml" | "text/xml") => {
            Ok(JsonObject { path: String::new(), members: xml::read(bytes)?, all_texts: true })
        }
        _ => Err(Problem::unsupported_media_type("application/json or application/xml")),
    }
}

/// The same for a route that can do without one: no body is an empty object.
pub fn optional_object(headers: &HeaderMap, bytes: &[u8]) -> Result<JsonObject, Problem> {
    if bytes.is_empty() {
        Ok(JsonObject { path: String::new(), members: Map::new(), all_texts: false })
    } else {
        object(headers, bytes)
    }
}

/// The name of a member, and its text; none, if it is to be taken away.
pub type TextOrNull = (String, Option<String>);

/// What is told of a member that may be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced<T> {
    /// Nothing: it stays.
    Not,
    /// It is this now; none, if it is taken away.
    By(Option<T>),
}

/// The members of a JSON object, taken out one by one; what is left at the end is unknown.
#[derive(Debug, Clone)]
pub struct JsonObject {
    path: String,
    members: Map<String, Value>,
    /// It came in XML, which has nothing but texts.
    all_texts: bool,
}

impl JsonObject {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
        match value {
            Value::Object(members) => Ok(Self { path: String::new(), members, all_texts: false }),
            other => {
                Err(Problem::bad_request(format!("the body must be a JSON object, not {}", what(&other))))
            }
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// What is wrong with a member.
    pub fn fault(&self, name: &str, rule: impl Into<String>) -> Problem {
        Problem::field(self.path_of(name), rule)
    }

    /// A member; null is none.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A member that is a text and means something.
    pub fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => read(&text).map(Some).map_err(|rule| self.fault(name, rule)),
            Some(other) => Err(self.fault(name, format!("must be a string, not {}", what(&other)))),
        }
    }

    /// The same of what reads itself.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        self.optional(name, |text| text.parse().map_err(|rule: T::Err| rule.to_string()))
    }

    /// A member that is a text and cannot be left out.
    pub fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Problem> {
        let missing = self.fault(name, "is missing");
        self.optional(name, read)?.ok_or(missing)
    }

    /// A member that is true or false; false, if it is left out.
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) if self.all_texts && text == "true" => Ok(true),
            Some(Value::String(text)) if self.all_texts && text == "false" => Ok(false),
            Some(other) => Err(self.fault(name, format!("must be true or false, not {}", what(&other)))),
        }
    }

    /// A member that is an object.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => {
                let (path, all_texts) = (self.path_of(name), self.all_texts);
                Ok(Some(Self { path, members, all_texts }))
            }
            Some(other) => Err(self.fault(name, format!("must be an object, not {}", what(&other)))),
        }
    }

    /// A member that is an object and cannot be left out.
    pub fn required_object(&mut self, name: &str) -> Result<Self, Problem> {
        let missing = self.fault(name, "is missing");
        self.object(name)?.ok_or(missing)
    }

    /// The same of one that may also be taken away: what is left out is as it was, null is none.
    pub fn replaced<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Replaced<T>, Problem> {
        if self.is_null(name) {
            self.members.remove(name);
            return Ok(Replaced::By(None));
        }
        Ok(self.optional(name, read)?.map_or(Replaced::Not, |told| Replaced::By(Some(told))))
    }

    /// A member that is a list of texts; an empty one, if it is left out.
    pub fn texts(&mut self, name: &str) -> Result<Vec<Box<str>>, Problem> {
        let path = self.path_of(name);
        let text = |(n, item): (usize, Value)| match item {
            Value::String(text) => Ok(text.into()),
            other => {
                Err(Problem::field(format!("{path}[{n}]"), format!("must be a string, not {}", what(&other))))
            }
        };
        self.list(name)?.into_iter().enumerate().map(text).collect()
    }

    /// A member that is a list of objects; an empty one, if it is left out.
    pub fn objects(&mut self, name: &str) -> Result<Vec<Self>, Problem> {
        let (path, all_texts) = (self.path_of(name), self.all_texts);
        let object = |(n, item): (usize, Value)| {
            let path = format!("{path}[{n}]");
            match item {
                Value::Object(members) => Ok(Self { path, members, all_texts }),
                other => Err(Problem::field(path, format!("must be an object, not {}", what(&other)))),
            }
        };
        self.list(name)?.into_iter().enumerate().map(object).collect()
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>, Problem> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.fault(name, format!("must be a list, not {}", what(&other)))),
        }
    }

    /// A member that is an object of texts; null is one that is to be taken away.
    pub fn texts_or_null(&mut self, name: &str) -> Result<Option<Vec<TextOrNull>>, Problem> {
        let Some(object) = self.object(name)? else { return Ok(None) };
        let Self { path, members, .. } = object;
        let text = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, Some(text))),
            Value::Null => Ok((key, None)),
            other => {
                let path = format!("{path}.{key}");
                Err(Problem::field(path, format!("must be a string or null, not {}", what(&other))))
            }
        };
        members.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A member that is a whole number from 0.
    pub fn number(&mut self, name: &str) -> Result<Option<u32>, Problem> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) if self.all_texts => text.parse().ok(),
            Some(_) => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        let rule = || self.fault(name, format!("must be a whole number from 0 to {}", u32::MAX));
        number.map(Some).ok_or_else(rule)
    }

    /// What went wrong, as a node tells it: `error`, which goes with state `error` alone.
    pub fn error(&mut self, failed: bool) -> Result<Option<String>, Problem> {
        let told = self.optional("error", |text| Ok(text.to_owned()))?;
        if told.is_some() && !failed {
            return Err(self.fault("error", "goes with state error alone"));
        }
        Ok(failed.then(|| error_text(told.unwrap_or_default().as_bytes())))
    }

    /// Whether a member is there, and null.
    pub fn is_null(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_null)
    }

    /// All that is left, to be read later and more than once.
    #[must_use]
    pub fn take_rest(&mut self) -> Self {
        let (path, all_texts) = (self.path.clone(), self.all_texts);
        Self { path, members: std::mem::take(&mut self.members), all_texts }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Nothing must be left.
    pub fn end(self) -> Result<(), Problem> {
        match self.members.keys().next() {
            Some(name) => Err(Problem::unknown_field(self.path_of(name), "is not a field here")),
            None => Ok(()),
        }
    }
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
