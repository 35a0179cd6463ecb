//! The members of CloudEvents in JSON, as they came: no rule is looked at yet.
//!
//! Reading never fails on a value of another kind than expected: it says what was there, so that one bad event does not
//! condemn those beside it. Texts borrow from the body. What is not looked at is skipped without descending into it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use slapledger_core::domain::id::{ComputerId, ResourceId};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::usage::UsageId;

use super::MOST_DIMENSIONS;

/// Something where an event should be.
pub(super) enum Item<'a> {
    Event(Box<UsageEvent<'a>>),
    Other(&'static str),
}

impl<'a> Item<'a> {
    /// The event; the error is what is there instead.
    pub(super) fn event(&self) -> Result<&UsageEvent<'a>, &'static str> {
        match self {
            Self::Event(event) => Ok(event),
            Self::Other(what) => Err(what),
        }
    }
}

/// A usage event: a `CloudEvent` of type `org.slapos.usage`. Its rules are not looked at yet: what is left out, and what
/// is null, is missing.
#[derive(Default, JsonSchema)]
pub(in crate::rest) struct UsageEvent<'a> {
    #[schemars(with = "String")]
    pub(super) specversion: EventMember<'a>,
    #[schemars(rename = "type", with = "String")]
    pub(super) kind: EventMember<'a>,
    /// The computer that reports it.
    #[schemars(with = "ComputerId")]
    pub(super) source: EventMember<'a>,
    /// The sender's id of it: the same id and content again is a duplicate.
    #[schemars(with = "UsageId")]
    pub(super) id: EventMember<'a>,
    /// An instance, a partition or a unix user of the computer, or the computer itself.
    #[schemars(with = "Option<String>")]
    pub(super) subject: EventMember<'a>,
    #[schemars(with = "Option<Timestamp>")]
    pub(super) time: EventMember<'a>,
    /// `application/json`, if it is there.
    #[schemars(with = "Option<String>")]
    pub(super) datacontenttype: EventMember<'a>,
    #[schemars(with = "UsageData<'a>")]
    pub(super) data: Payload<'a>,
    /// A member that makes it no event whatever the others say, and why.
    #[schemars(skip)]
    pub(super) fault: Option<(String, &'static str)>,
}

impl<'a> UsageEvent<'a> {
    /// Where the value of a member goes that is one text.
    pub(super) fn slot(&mut self, name: &str) -> Option<&mut EventMember<'a>> {
        Some(match name {
            "specversion" => &mut self.specversion,
            "type" => &mut self.kind,
            "source" => &mut self.source,
            "id" => &mut self.id,
            "subject" => &mut self.subject,
            "time" => &mut self.time,
            "datacontenttype" => &mut self.datacontenttype,
            _ => return None,
        })
    }
}

#[derive(Default)]
#[expect(clippy::large_enum_variant, reason = "nearly every event has data, and it is moved twice at most")]
pub(super) enum Payload<'a> {
    #[default]
    Missing,
    Data(UsageData<'a>),
    Other(&'static str),
}

/// The `data` of a usage event.
#[derive(Default, JsonSchema)]
pub(super) struct UsageData<'a> {
    #[schemars(with = "ResourceId")]
    pub(super) resource: EventMember<'a>,
    // As it is written in JSON.
    #[schemars(with = "Quantity")]
    pub(super) quantity: Option<&'a str>,
    #[schemars(with = "Option<Timestamp>")]
    pub(super) start: EventMember<'a>,
    #[schemars(with = "Option<Timestamp>")]
    pub(super) stop: EventMember<'a>,
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub(super) dimensions: DimensionMembers<'a>,
    /// The id of an earlier event that it replaces.
    #[schemars(with = "Option<UsageId>")]
    pub(super) replaces: EventMember<'a>,
    /// Of a void: the event to void.
    #[schemars(skip)]
    pub(super) voids: EventMember<'a>,
    /// Of a void: why.
    #[schemars(skip)]
    pub(super) reason: EventMember<'a>,
    /// The sender's own count of its events.
    #[schemars(with = "Option<u64>")]
    pub(super) node_sequence: EventMember<'a>,
    #[schemars(skip)]
    pub(super) fault: Option<(String, &'static str)>,
}

impl<'a> UsageData<'a> {
    /// Where the value of a member goes that is one text, or a number.
    pub(super) fn slot(&mut self, name: &str) -> Option<&mut EventMember<'a>> {
        Some(match name {
            "resource" => &mut self.resource,
            "start" => &mut self.start,
            "stop" => &mut self.stop,
            "replaces" => &mut self.replaces,
            "voids" => &mut self.voids,
            "reason" => &mut self.reason,
            "node_sequence" => &mut self.node_sequence,
            _ => return None,
        })
    }

    /// The first member that only usage has.
    pub(super) fn only_of_usage(&self) -> Option<&'static str> {
        let members = [
            ("data.resource", self.resource.is_missing()),
            ("data.quantity", self.quantity.is_none()),
            ("data.start", self.start.is_missing()),
            ("data.stop", self.stop.is_missing()),
            ("data.dimensions", matches!(self.dimensions, DimensionMembers::Missing)),
            ("data.replaces", self.replaces.is_missing()),
            ("data.node_sequence", self.node_sequence.is_missing()),
        ];
        members.into_iter().find(|(_, missing)| !missing).map(|(name, _)| name)
    }

    /// The first member that only a void has.
    pub(super) fn only_of_void(&self) -> Option<&'static str> {
        let members = [("data.voids", self.voids.is_missing()), ("data.reason", self.reason.is_missing())];
        members.into_iter().find(|(_, missing)| !missing).map(|(name, _)| name)
    }
}

#[derive(Default)]
pub(super) enum DimensionMembers<'a> {
    #[default]
    Missing,
    /// No more than one past the most there may be.
    Pairs(Vec<(Cow<'a, str>, EventMember<'a>)>),
    Other(&'static str),
}

/// A value that should be a text, mostly.
#[derive(Default)]
pub(super) enum EventMember<'a> {
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Natural(u64),
    Other(&'static str),
}

impl EventMember<'_> {
    /// What it is, as it is called in messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Missing => "null",
            Self::Text(_) => "a string",
            Self::Natural(_) => "a number",
            Self::Other(what) => what,
        }
    }

    pub(super) fn is_missing(&self) -> bool {
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

impl<'de> Deserialize<'de> for EventMember<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MemberVisitor;
        impl<'de> Visitor<'de> for MemberVisitor {
            type Value = EventMember<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(EventMember::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(EventMember::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(EventMember::Natural(number))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(EventMember::Other("a negative number"))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(EventMember::Other("a number with a fraction or an exponent"))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(EventMember::Other("true or false"))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(EventMember::Missing)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                skip_list(items).map(EventMember::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                skip_object(members).map(EventMember::Other)
            }
        }
        deserializer.deserialize_any(MemberVisitor)
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
object_or_other!(DimensionMembers, dimensions, DimensionMembers::Other, DimensionMembers::Missing);

pub(super) const TWICE: &str = "must not be given more than once";

fn envelope<'de, A: MapAccess<'de>>(mut members: A) -> Result<Item<'de>, A::Error> {
    let mut event = Box::<UsageEvent<'_>>::default();
    while let Some(EventMember::Text(name)) = members.next_key()? {
        let slot = match &*name {
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
                let Some(slot) = event.slot(&name) else {
                    // An extension: any simple value.
                    if members.next_value::<EventMember<'_>>()?.is_compound() {
                        event.fault = Some((shown(&name), "must be a string, a number, true or false"));
                    }
                    continue;
                };
                slot
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
    let mut data = UsageData::default();
    while let Some(EventMember::Text(name)) = members.next_key()? {
        let slot = match &*name {
            "quantity" => {
                if data.quantity.replace(members.next_value::<&RawValue>()?.get()).is_some() {
                    data.fault = Some(("data.quantity".to_owned(), TWICE));
                }
                continue;
            }
            "dimensions" => {
                let dimensions = members.next_value()?;
                if !matches!(data.dimensions, DimensionMembers::Missing) {
                    data.fault = Some(("data.dimensions".to_owned(), TWICE));
                }
                data.dimensions = dimensions;
                continue;
            }
            _ => {
                let Some(slot) = data.slot(&name) else {
                    members.next_value::<IgnoredAny>()?;
                    data.fault
                        .get_or_insert_with(|| (format!("data.{}", shown(&name)), "is not a field here"));
                    continue;
                };
                slot
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

fn dimensions<'de, A: MapAccess<'de>>(mut members: A) -> Result<DimensionMembers<'de>, A::Error> {
    let mut pairs = Vec::new();
    while let Some(EventMember::Text(name)) = members.next_key()? {
        if pairs.len() > MOST_DIMENSIONS {
            members.next_value::<IgnoredAny>()?;
        } else {
            pairs.push((name, members.next_value()?));
        }
    }
    Ok(DimensionMembers::Pairs(pairs))
}

/// A name from outside as an answer may repeat it.
pub(super) fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(64).collect()
}
