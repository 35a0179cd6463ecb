//! The JSON form of the types that answers show, as JSON Schema: what is described is what is written.
//!
//! Most types derive it beside `Serialize`. Here are the types that write themselves as one text or number, and what
//! the derived descriptions need.

use std::borrow::Cow;

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::domain::charge::ChargeId;
use crate::domain::credit::CreditId;
use crate::domain::event::{Event, Stream};
use crate::domain::id::{
    CommandId, ComputerId, CredentialId, InstanceId, InvoiceId, PartitionId, PartyId, PriceBookName,
    ProjectId, Reference, ResourceId, RunId, Sequence, SoftwareRelease, SoftwareType,
};
use crate::domain::money::{Amount, Currency, Exact, Price};
use crate::domain::pricing::OverrideId;
use crate::domain::quantity::Quantity;
use crate::domain::time::{Date, TimeZone, Timestamp};
use crate::domain::usage::{Unmeterable, UsageId};

macro_rules! described {
    ($($type:ty, $name:literal, $description:literal: {$($shape:tt)*};)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema: Schema = json_schema!({$($shape)*});
                schema.insert("description".into(), $description.into());
                schema
            }
        }
    )*};
}

/// Bytes that are written in hexadecimal digits.
#[derive(Debug)]
pub enum Hex {}

/// A decimal number that is written as a text.
#[derive(Debug)]
pub enum Decimal {}

/// A JSON object with any members.
#[derive(Debug)]
pub enum AnyObject {}

described! {
    Hex, "Hex", "Bytes in hexadecimal digits": {"type": "string", "pattern": "^([0-9a-f]{2})*$"};
    Decimal, "Decimal", "A decimal number as a text":
        {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$", "examples": ["12.5"]};
    AnyObject, "AnyObject", "A JSON object with any members": {"type": "object"};
    Sequence, "Sequence", "The place of an event in the log, from 1; 0 is before the first event":
        {"type": "integer", "minimum": 0, "maximum": 18_446_744_073_709_551_615_u64, "examples": [1]};
    Timestamp, "Instant", "An instant (RFC 3339)":
        {"type": "string", "format": "date-time", "examples": ["2026-10-01T01:00:00Z"]};
    Date, "Day", "A day": {"type": "string", "format": "date", "examples": ["2026-10-01"]};
    TimeZone, "TimeZone", "A time zone of the IANA database":
        {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["Europe/Paris"]};
    Quantity, "Quantity", "A quantity: at most 15 digits before and 9 after the point":
        {"type": "string", "pattern": "^-?[0-9]{1,15}(\\.[0-9]{1,9})?$", "examples": ["12.5"]};
    Price, "Price", "A price: at most 9 digits before and 9 after the point":
        {"type": "string", "pattern": "^-?[0-9]{1,9}(\\.[0-9]{1,9})?$", "examples": ["10.00"]};
    Amount, "Amount", "An amount of money, with the digits of its currency":
        {"type": "string", "pattern": "^-?[0-9]{1,25}(\\.[0-9]{1,4})?$", "examples": ["10.00"]};
    Exact, "Decimal", "A decimal number as a text":
        {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$", "examples": ["12.5"]};
    Currency, "Currency", "A currency (ISO 4217)":
        {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]};
    PartyId, "PartyId", "A party: it requests, pays or sells":
        {"type": "string", "pattern": "^PARTY-[1-9][0-9]*$", "examples": ["PARTY-1"]};
    InstanceId, "InstanceId", "A software instance; never used again":
        {"type": "string", "pattern": "^SOFTINST-[1-9][0-9]*$", "examples": ["SOFTINST-1"]};
    RunId, "RunId", "An invoice run": {"type": "string", "pattern": "^RUN-[1-9][0-9]*$", "examples": ["RUN-1"]};
    InvoiceId, "InvoiceId", "An invoice, or a draft":
        {"type": "string", "minLength": 1, "maxLength": 64, "examples": ["INV-2026-000001"]};
    ComputerId, "ComputerId", "A computer, by its reference":
        {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["COMP-1"]};
    PartitionId, "PartitionId", "A partition, by its name on its computer":
        {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["slappart0"]};
    SoftwareRelease, "SoftwareRelease", "The address of a software release":
        {"type": "string", "minLength": 1, "maxLength": 2048, "examples": ["https://example.org/kvm/software.cfg"]};
    SoftwareType, "SoftwareType", "The software type that is requested of a release":
        {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["default"]};
    Reference, "Reference", "The name that its requester gave to an instance":
        {"type": "string", "minLength": 1, "maxLength": 1024, "examples": ["My first instance"]};
    ResourceId, "ResourceId", "The resource that is measured":
        {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["service_module/cpu_load_percent"]};
    UsageId, "UsageId", "The sender's id of a usage event":
        {"type": "string", "minLength": 1, "maxLength": 255, "examples": ["8f0c5a52-0d3c-4f0e-9d2e-8a5c1c2f7a10"]};
    PriceBookName, "PriceBookName", "A price book, over all its versions":
        {"type": "string", "minLength": 1, "maxLength": 100, "examples": ["standard"]};
    CreditId, "CreditId", "A prepaid credit":
        {"type": "string", "pattern": "^CREDIT-[1-9][0-9]*$", "examples": ["CREDIT-1"]};
    ChargeId, "ChargeId", "A one-off charge":
        {"type": "string", "pattern": "^CHARGE-[1-9][0-9]*$", "examples": ["CHARGE-1"]};
    OverrideId, "OverrideId", "A price of a customer that takes the place of rates of a book":
        {"type": "string", "pattern": "^OVERRIDE-[1-9][0-9]*$", "examples": ["OVERRIDE-1"]};
    ProjectId, "ProjectId", "A project":
        {"type": "string", "pattern": "^PROJ-[1-9][0-9]*$", "examples": ["PROJ-1"]};
    CredentialId, "CredentialId", "A credential":
        {"type": "string", "pattern": "^[0-9a-f]{32}$", "examples": ["0f8fad5bd9cb469fa16570867728950e"]};
    CommandId, "CommandId", "A command: what its idempotency key stands for":
        {"type": "string", "pattern": "^[0-9a-f]{32}$", "examples": ["0f8fad5bd9cb469fa16570867728950e"]};
    Stream, "Stream", "The stream of an event: the history of one thing":
        {"type": "string", "minLength": 1, "examples": ["invoice/INV-2026-000001"]};
    Unmeterable, "Unmeterable", "Why usage cannot be metered": {"type": "string", "examples": ["unknown_subject"]};
    Event, "Event", "What happened": {
        "type": "object",
        "properties": {
            "type": {"description": "What happened.", "type": "string"},
            "data": {"description": "The rest of the event.", "type": "object"},
        },
        "required": ["type", "data"],
    };
}

/// Writes a choice between names as one list of names: most generators make an enumeration of that alone.
#[derive(Debug, Clone)]
pub struct NamesAsEnum;

impl Transform for NamesAsEnum {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else { return };
        let mut names = Vec::new();
        for choice in choices {
            match (choice.get("const"), choice.get("enum").and_then(Value::as_array)) {
                (Some(name), _) => names.push(name.clone()),
                (None, Some(several)) => names.extend(several.iter().cloned()),
                (None, None) => return,
            }
        }
        schema.remove("oneOf");
        schema.insert("type".into(), "string".into());
        schema.insert("enum".into(), names.into());
    }
}

/// Writes a choice between objects, told apart by the member `tag`, as one object with all members: generators make one
/// type of it, also where it is flattened into another. Only what all of them have is required.
pub fn one_object(tag: &str, schema: &mut Schema) {
    let Some(Value::Array(choices)) = schema.remove("oneOf") else { return };
    let mut properties = Map::new();
    let (mut names, mut required): (Vec<Value>, Option<Vec<Value>>) = (Vec::new(), None);
    for choice in &choices {
        for (name, member) in choice.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if name == tag {
                names.extend(member.get("const").cloned());
            } else {
                properties.entry(name.clone()).or_insert_with(|| member.clone());
            }
        }
        let own = choice.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let common = required.unwrap_or_else(|| own.clone());
        required = Some(common.into_iter().filter(|name| own.contains(name)).collect());
    }
    properties.insert(tag.to_owned(), json!({"type": "string", "enum": names}));
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties.into());
    schema.insert("required".into(), required.unwrap_or_default().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_enumeration_and_other_choices_stay() {
        let mut names = json_schema!({"oneOf": [{"const": "a", "description": "A"}, {"enum": ["b", "c"]}]});
        NamesAsEnum.transform(&mut names);
        assert_eq!(names, json_schema!({"type": "string", "enum": ["a", "b", "c"]}));
        let mut objects = json_schema!({"oneOf": [{"const": "a"}, {"type": "object"}]});
        let before = objects.clone();
        NamesAsEnum.transform(&mut objects);
        assert_eq!(objects, before);
    }

    #[test]
    fn tagged_objects_become_one_object_that_requires_what_all_have() {
        let mut schema = json_schema!({"description": "d", "oneOf": [
            {"properties": {"type": {"const": "one"}, "x": {"type": "string"}}, "required": ["type", "x"]},
            {"properties": {"type": {"const": "two"}, "y": {"type": "integer"}}, "required": ["type", "y"]},
        ]});
        one_object("type", &mut schema);
        let expected = json_schema!({
            "description": "d",
            "type": "object",
            "properties": {
                "x": {"type": "string"},
                "y": {"type": "integer"},
                "type": {"type": "string", "enum": ["one", "two"]},
            },
            "required": ["type"],
        });
        assert_eq!(schema, expected);
    }
}
