//! The members of CloudEvents in JSON, as they came: no rule is looked at yet.
//!
//! Reading never fails on a value of another kind than expected: it says what was there, so that one bad event does not
//! condemn those beside it. Texts borrow from the body. What is not looked at is skipped without descending into it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::MOST_DIMENSIONS;

/// Something where an event should be.
pub(super) enum Item<'a> {
    Event(Box<Envelope<'a>>),
    Other(&'static str),
}

/// A `CloudEvent` before its rules were looked at. What is left out, and what is null, is missing.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    pub(super) specversion: Member<'a>,
    pub(super) kind: Member<'a>,
    pub(super) source: Member<'a>,
    pub(super) id: Member<'a>,
    pub(super) subject: Member<'a>,
    pub(super) time: Member<'a>,
    pub(super) datacontenttype: Member<'a>,
    pub(super) data: Payload<'a>,
    /// A member that makes it no event whatever the others say, and why.
    pub(super) fault: Option<(String, &'static str)>,
}

#[derive(Default)]
pub(super) enum Payload<'a> {
    #[default]
    Missing,
    Data(Box<Data<'a>>),
    Other(&'static str),
}

/// The `data` of a usage event.
#[derive(Default)]
pub(super) struct Data<'a> {
    pub(super) resource: Member<'a>,
    pub(super) quantity: Option<&'a RawValue>,
    pub(super) start: Member<'a>,
    pub(super) stop: Member<'a>,
    pub(super) dimensions: Dimensions<'a>,
    pub(super) replaces: Member<'a>,
    pub(super) node_sequence: Member<'a>,
    pub(super) fault: Option<(String, &'static str)>,
}

#[derive(Default)]
pub(super) enum Dimensions<'a> {
    #[default]
    Missing,
    /// No more than one past the most there may be.
    Pairs(Vec<(Cow<'a, str>, Member<'a>)>),
    Other(&'static str),
}

/// A value that should be a text, mostly.
#[derive(Default)]
pub(super) enum Member<'a> {
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Natural(u64),
    Other(&'static str),
}

impl Member<'_> {
    /// What it is, as it is called in messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Missing => "null",
            Self::Text(_) => "a string",
            Self::Natural(_) => "a number",
            Self::Other(what) => what,
        }
    }

    fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    fn is_compound(&self) -> bool {
        matches!(self, Self::Other(A_LIST | AN_OBJECT))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

const A_LIST: &str = "a list";
const AN_OBJECT: &str = "an object";

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Member<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Member::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Member::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Member::Natural(number))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Member::Other("a negative number"))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Member::Other("a number with a fraction or an exponent"))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Member::Other("true or false"))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Member::Missing)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                skip_list(items).map(Member::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                skip_object(members).map(Member::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn skip_list<'de, A: SeqAccess<'de>>(mut items: A) -> Result<&'static str, A::Error> {
    while items.next_element::<IgnoredAny>()?.is_some() {}
    Ok(A_LIST)
}

fn skip_object<'de, A: MapAccess<'de>>(mut members: A) -> Result<&'static str, A::Error> {
    while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(AN_OBJECT)
}

/// A type that should be read from an object, and says what else was there.
macro_rules! object_or_other {
    ($name:ident, $of_map:expr, $other:expr, $null:expr) => {
        impl<'de> Deserialize<'de> for $name<'de> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Any;
                impl<'de> Visitor<'de> for Any {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a value")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                        $of_map(members)
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                        skip_list(items).map($other)
                    }

                    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                        Ok($other("a string"))
                    }

                    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                        Ok($other("a number"))
                    }

                    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                        Ok($other("a number"))
                    }

                    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                        Ok($other("a number"))
                    }

                    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                        Ok($other("true or false"))
                    }

                    fn visit_unit<E>(self) -> Result<Self::Value, E> {
                        Ok($null)
                    }
                }
                deserializer.deserialize_any(Any)
            }
        }
    };
}

object_or_other!(Item, envelope, Item::Other, Item::Other("null"));
object_or_other!(Payload, data, Payload::Other, Payload::Missing);
object_or_other!(Dimensions, dimensions, Dimensions::Other, Dimensions::Missing);

pub(super) const TWICE: &str = "must not be given more than once";

fn envelope<'de, A: MapAccess<'de>>(mut members: A) -> Result<Item<'de>, A::Error> {
    let mut event = Box::<Envelope<'_>>::default();
    while let Some(Member::Text(name)) = members.next_key()? {
        let slot = match &*name {
            "specversion" => &mut event.specversion,
            "type" => &mut event.kind,
            "source" => &mut event.source,
            "id" => &mut event.id,
            "subject" => &mut event.subject,
            "time" => &mut event.time,
            "datacontenttype" => &mut event.datacontenttype,
            "data" => {
                let data = members.next_value()?;
                if !matches!(event.data, Payload::Missing) {
                    event.fault = Some((name.into_owned(), TWICE));
                }
                event.data = data;
                continue;
            }
            "data_base64" => {
                members.next_value::<IgnoredAny>()?;
                event.fault = Some((name.into_owned(), "must be data in JSON instead"));
                continue;
            }
            _ => {
                // An extension: any simple value.
                if members.next_value::<Member<'_>>()?.is_compound() {
                    event.fault = Some((shown(&name), "must be a string, a number, true or false"));
                }
                continue;
            }
        };
        let twice = !slot.is_missing();
        *slot = members.next_value()?;
        if twice {
            event.fault = Some((name.into_owned(), TWICE));
        }
    }
    Ok(Item::Event(event))
}

fn data<'de, A: MapAccess<'de>>(mut members: A) -> Result<Payload<'de>, A::Error> {
    let mut data = Box::<Data<'_>>::default();
    while let Some(Member::Text(name)) = members.next_key()? {
        let slot = match &*name {
            "resource" => &mut data.resource,
            "start" => &mut data.start,
            "stop" => &mut data.stop,
            "replaces" => &mut data.replaces,
            "node_sequence" => &mut data.node_sequence,
            "quantity" => {
                if data.quantity.replace(members.next_value()?).is_some() {
                    data.fault = Some(("data.quantity".to_owned(), TWICE));
                }
                continue;
            }
            "dimensions" => {
                let dimensions = members.next_value()?;
                if !matches!(data.dimensions, Dimensions::Missing) {
                    data.fault = Some(("data.dimensions".to_owned(), TWICE));
                }
                data.dimensions = dimensions;
                continue;
            }
            _ => {
                members.next_value::<IgnoredAny>()?;
                data.fault.get_or_insert_with(|| (format!("data.{}", shown(&name)), "is not a field here"));
                continue;
            }
        };
        let twice = !slot.is_missing();
        *slot = members.next_value()?;
        if twice {
            data.fault = Some((format!("data.{name}"), TWICE));
        }
    }
    Ok(Payload::Data(data))
}

fn dimensions<'de, A: MapAccess<'de>>(mut members: A) -> Result<Dimensions<'de>, A::Error> {
    let mut pairs = Vec::new();
    while let Some(Member::Text(name)) = members.next_key()? {
        if pairs.len() > MOST_DIMENSIONS {
            members.next_value::<IgnoredAny>()?;
        } else {
            pairs.push((name, members.next_value()?));
        }
    }
    Ok(Dimensions::Pairs(pairs))
}

/// A name from outside as an answer may repeat it.
pub(super) fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(64).collect()
}
