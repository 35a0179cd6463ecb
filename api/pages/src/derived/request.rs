//! A request, by a form that is made of the JSON schema of the software.

use serde_json::{Map, Value, json};

use super::values::{items, text};
use crate::answers::{Answers, DerivedFrom, PageRequest, Part};

/// The most fields of a form.
const MOST_FIELDS: usize = 100;

pub(crate) fn parts(asked: &PageRequest, _: &Answers) -> Vec<Part> {
    let mut parts =
        vec![Part::new("prices", "/v1/price-books?limit=5"), Part::new("products", "/v1/products?limit=200")];
    if let Some(release) = asked.parameter("software_release") {
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("software_release", release).finish();
        parts.push(Part::new("schema", format!("/v1/software-schemas?{query}")));
    }
    parts
}

/// A field of the form.
fn field(name: &str, told: &Value, required: &[Value]) -> Value {
    let kind = match text(told, "type") {
        "integer" | "number" => "number",
        "boolean" => "boolean",
        "string" | "" if !told["properties"].is_object() => "string",
        _ => "json",
    };
    let default = match &told["default"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let choices = items(&told["enum"]).iter().map(|choice| match choice {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let title = if text(told, "title").is_empty() { name } else { text(told, "title") };
    json!({"name": name, "kind": kind, "title": title, "description": text(told, "description"), "default": default,
        "choices": choices.collect::<Vec<_>>(), "required": required.iter().any(|known| known == name),
        "minimum": told["minimum"], "maximum": told["maximum"], "is_whole": text(told, "type") == "integer",
        "is_secret": text(told, "format") == "password"})
}

/// The schema of a software type: the document itself, or what its `software-type` says of it.
fn schema_of<'a>(document: &'a Value, wanted: Option<&str>) -> (&'a Value, Vec<&'a str>, &'a str) {
    let Some(types) = document["software-type"].as_object() else {
        return (document, Vec::new(), text(document, "serialisation"));
    };
    let names: Vec<&str> = types.keys().map(String::as_str).collect();
    let first = ["default", "RootSoftwareInstance"].into_iter().find(|name| types.contains_key(*name));
    let chosen = wanted.filter(|name| types.contains_key(*name)).or(first).or(names.first().copied());
    let told = chosen.map_or(&Value::Null, |name| &document["software-type"][name]);
    let own = text(told, "serialisation");
    let serialisation = if own.is_empty() { text(document, "serialisation") } else { own };
    (&told["request"], names, serialisation)
}

pub(crate) fn derive(view: &DerivedFrom<'_>) -> Value {
    let nothing = Value::Null;
    let document = view.answers.get("schema").map_or(&nothing, |schema| &schema["schema"]);
    let wanted = view.asked.parameter("software_type");
    let (schema, types, serialisation) = schema_of(document, wanted);
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let required = items(&schema["required"]);
    let fields = properties.iter().take(MOST_FIELDS).map(|(name, told)| field(name, told, required));
    let products = view.answers.get("products").map_or(&[][..], |products| items(&products["items"]));
    let releases =
        products.iter().flat_map(|product| items(&product["software_releases"])).filter_map(Value::as_str);
    json!({
        "release": view.asked.parameter("software_release"), "type": wanted, "types": types,
        "serialisation": serialisation, "title": text(schema, "title"), "fields": fields.collect::<Vec<_>>(),
        "has_schema": document.is_object(), "releases": super::values::distinct(releases),
    })
}
