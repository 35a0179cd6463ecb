//! The members of a body, given as the types that the body asks for.

use std::fmt::{self, Display};

use serde::Deserializer;
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::TEXT_OR_OBJECT;

/// The name that `Replaced` asks for, to be told of an absent member.
pub(super) const REPLACED: &str = "Replaced";

/// Which rule a member breaks. Where the member is, `serde_path_to_error` knows.
#[derive(Debug)]
pub(super) struct BodyFault {
    rule: String,
    is_unknown_field: bool,
}

impl BodyFault {
    fn new(rule: impl Into<String>) -> Self {
        Self { rule: rule.into(), is_unknown_field: false }
    }

    /// Whether the body has a member that its type does not have.
    pub(super) fn is_unknown_field(&self) -> bool {
        self.is_unknown_field
    }
}

impl Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}

impl std::error::Error for BodyFault {}

impl serde::de::Error for BodyFault {
    fn custom<T: Display>(rule: T) -> Self {
        Self::new(rule.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self { is_unknown_field: true, ..Self::new("is not a field here") }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let (last, others) = expected.split_last().unwrap_or((&"", &[]));
        let others = others.join(", ");
        Self::new(if others.is_empty() {
            format!("must be {last}")
        } else {
            format!("must be {others} or {last}")
        })
    }
}

/// A value of a body.
pub(super) struct BodyTree {
    value: Value,
    /// The body came in XML, which has only texts: flags and numbers are read from them.
    only_texts: bool,
    /// The body leaves it out. The value is null.
    is_absent: bool,
}

/// The kind of a value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Null is a member that is missing.
fn wrong(value: &Value, expected: &str) -> BodyFault {
    match value {
        Value::Null => BodyFault::new("is missing"),
        other => BodyFault::new(format!("must be {expected}, not {}", kind(other))),
    }
}

impl BodyTree {
    /// A body.
    pub(super) fn of(members: Map<String, Value>, only_texts: bool) -> Self {
        Self { value: Value::Object(members), only_texts, is_absent: false }
    }

    fn whole(&self, most: u64) -> Result<u64, BodyFault> {
        let number = match &self.value {
            Value::Null => return Err(BodyFault::new("is missing")),
            Value::Number(number) => number.as_u64(),
            Value::String(text) if self.only_texts => text.parse().ok(),
            _ => None,
        };
        let rule = || BodyFault::new(format!("must be a whole number from 0 to {most}"));
        number.filter(|number| *number <= most).ok_or_else(rule)
    }

    fn text(self) -> Result<String, BodyFault> {
        match self.value {
            Value::String(text) => Ok(text),
            other => Err(wrong(&other, "a string")),
        }
    }
}

impl<'de> Deserializer<'de> for BodyTree {
    type Error = BodyFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        let only_texts = self.only_texts;
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => {
                number.deserialize_any(visitor).map_err(|error| BodyFault::new(error.to_string()))
            }
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(BodyItems { items: items.into_iter(), only_texts }),
            Value::Object(members) => visitor.visit_map(Members::new(members, only_texts)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        match &self.value {
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::String(text) if self.only_texts && text == "true" => visitor.visit_bool(true),
            Value::String(text) if self.only_texts && text == "false" => visitor.visit_bool(false),
            other => Err(wrong(other, "true or false")),
        }
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        visitor.visit_u64(self.whole(u16::MAX.into())?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        visitor.visit_u64(self.whole(u32::MAX.into())?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, BodyFault> {
        if name == REPLACED && self.is_absent {
            visitor.visit_unit()
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BodyFault> {
        let word: StringDeserializer<BodyFault> = self.text()?.into_deserializer();
        visitor.visit_enum(word)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        let only_texts = self.only_texts;
        match self.value {
            Value::Array(items) => visitor.visit_seq(BodyItems { items: items.into_iter(), only_texts }),
            other => Err(wrong(&other, "a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BodyFault> {
        let only_texts = self.only_texts;
        match self.value {
            Value::Object(members) => visitor.visit_map(Members::new(members, only_texts)),
            other => Err(wrong(&other, "an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BodyFault> {
        let only_texts = self.only_texts;
        match self.value {
            Value::Object(members) => visitor.visit_map(Members::of_struct(fields, members, only_texts)),
            Value::String(text) if name == TEXT_OR_OBJECT => visitor.visit_string(text),
            other if name == TEXT_OR_OBJECT => Err(wrong(&other, "a string or an object")),
            other => Err(wrong(&other, "an object")),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

struct BodyItems {
    items: std::vec::IntoIter<Value>,
    only_texts: bool,
}

impl<'de> SeqAccess<'de> for BodyItems {
    type Error = BodyFault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, BodyFault> {
        let item =
            self.items.next().map(|value| BodyTree { value, only_texts: self.only_texts, is_absent: false });
        item.map(|item| seed.deserialize(item)).transpose()
    }
}

/// Members in the order in which they are read; `None` is one that the body leaves out.
struct Members {
    rest: std::vec::IntoIter<(String, Option<Value>)>,
    value: Option<Value>,
    only_texts: bool,
}

impl Members {
    fn new(members: Map<String, Value>, only_texts: bool) -> Self {
        let members: Vec<_> = members.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Self { rest: members.into_iter(), value: None, only_texts }
    }

    /// The members of a struct as it declares them, also the absent ones, and then the unknown ones. So of several
    /// faults the first one of the description is told, in whichever order they were sent.
    fn of_struct(fields: &[&str], mut members: Map<String, Value>, only_texts: bool) -> Self {
        let known = fields.iter().map(|name| ((*name).to_owned(), members.remove(*name)));
        let mut all: Vec<_> = known.collect();
        all.extend(members.into_iter().map(|(name, value)| (name, Some(value))));
        Self { rest: all.into_iter(), value: None, only_texts }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = BodyFault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, BodyFault> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.value = value;
        let name: StringDeserializer<BodyFault> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, BodyFault> {
        let (value, is_absent) = self.value.take().map_or((Value::Null, true), |value| (value, false));
        seed.deserialize(BodyTree { value, only_texts: self.only_texts, is_absent })
    }
}
