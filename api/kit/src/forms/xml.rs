//! JSON as XML and back: an element for each member, `item` for each member of a list, and `parameter` with an `id`
//! where the names are those of users.
//!
//! Reading is bounded as all XML is here (`slapledger_slap_wire::xml`): size, depth, number of nodes; no document types, so no
//! entities but the five that need none.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use slapledger_slap_wire::xml::{self, Element, XmlError};

use crate::problem::Problem;

/// Members whose own members users name.
const MAPS: [&str; 5] = ["parameters", "connection_parameters", "sla", "attributes", "match"];
/// Members that are lists.
const LISTS: [&str; 5] = ["partitions", "addresses", "capabilities", "software", "group"];
/// The namespace of problem details (RFC 9457, appendix B).
const PROBLEM_NAMESPACE: &str = "urn:ietf:rfc:7807";

/// The root of a document.
#[derive(Debug, Clone, Copy)]
pub enum XmlRoot<'a> {
    /// An element of this name.
    Plain(&'a str),
    /// Problem details.
    Problem,
}

/// The name of a shape as that of an element: `SoftwareInstance` is `software_instance`.
pub fn element(name: &str) -> String {
    let mut element = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !element.is_empty() {
            element.push('_');
        }
        element.push(c.to_ascii_lowercase());
    }
    element
}

/// A value as a document.
pub fn write(root: XmlRoot<'_>, value: &Value) -> String {
    let (name, attributes) = match root {
        XmlRoot::Plain(name) => (name, String::new()),
        XmlRoot::Problem => ("problem", format!(" xmlns=\"{PROBLEM_NAMESPACE}\"")),
    };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    let _ = write!(out, "<{name}{attributes}>");
    close(name, value, 0, &mut out);
    out
}

/// Writes what stands in an element; whether that is a mere text.
fn write_content(name: &str, value: &Value, depth: usize, out: &mut String) -> bool {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) => {
            out.push('\n');
            for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                if MAPS.contains(&name) || !is_name(key) {
                    let _ = write!(out, "{indent}<parameter id=\"{}\">", escape(key));
                    close("parameter", value, depth, out);
                } else {
                    let _ = write!(out, "{indent}<{key}>");
                    close(key, value, depth, out);
                }
            }
            false
        }
        Value::Array(items) => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{indent}<item>");
                close("item", item, depth, out);
            }
            false
        }
        Value::Null => true,
        Value::String(text) => {
            out.push_str(&escape(text));
            true
        }
        other => {
            let _ = write!(out, "{other}");
            true
        }
    }
}

fn close(name: &str, value: &Value, depth: usize, out: &mut String) {
    let inside = write_content(name, value, depth + 1, out);
    let indent = if inside { String::new() } else { "  ".repeat(depth) };
    let _ = writeln!(out, "{indent}</{name}>");
}

/// Whether a member can be an element of the same name.
fn is_name(key: &str) -> bool {
    let mut bytes = key.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Text for an element or an attribute: what a reader of XML would take for mere space is kept, what XML cannot carry
/// is replaced.
fn escape(text: &str) -> String {
    let carried: String = text
        .chars()
        .map(|c| {
            let mut buffer = [0; 4];
            if xml::check_text(c.encode_utf8(&mut buffer)).is_ok() { c } else { char::REPLACEMENT_CHARACTER }
        })
        .collect();
    let escaped = quick_xml::escape::escape(carried.as_str());
    escaped.replace('\r', "&#13;").replace('\n', "&#10;").replace('\t', "&#9;")
}

/// The members of a document's root.
pub fn read(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let text = xml::decode(bytes).map_err(|error| unreadable(&error))?;
    let root = xml::parse(&text).map_err(|error| unreadable(&error))?;
    match content(&root, "")? {
        Value::Object(members) => Ok(members),
        Value::String(text) if text.trim().is_empty() => Ok(Map::new()),
        _ => Err(Problem::bad_request("the root element must have an element for each member")),
    }
}

fn unreadable(error: &XmlError) -> Problem {
    let detail = format!("the body is not XML that is read here: {error}");
    match error {
        XmlError::TooLarge { .. } | XmlError::TooManyNodes { .. } => Problem::body_too_large(detail),
        _ => Problem::malformed(detail),
    }
}

/// What stands in an element, as JSON. `path` names it to its sender.
fn content(element: &Element<'_>, path: &str) -> Result<Value, Problem> {
    let name = &*element.name;
    if let Some(text) = element.text() {
        let blank = text.trim().is_empty();
        return Ok(match text {
            _ if blank && MAPS.contains(&name) => Value::Object(Map::new()),
            _ if blank && LISTS.contains(&name) => Value::Array(Vec::new()),
            text => Value::String(text.to_owned()),
        });
    }
    let elements = element.elements().ok_or_else(|| fault(path, "must be a text or elements, not both"))?;
    if LISTS.contains(&name) {
        let item = |(n, item): (usize, &&Element<'_>)| {
            if item.name == "item" {
                content(item, &format!("{path}[{n}]"))
            } else {
                Err(fault(path, "must have an item for each of its members"))
            }
        };
        return elements.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::Array);
    }
    let mut members = Map::new();
    for child in elements {
        let key = if MAPS.contains(&name) {
            let id = child.attribute("id").filter(|_| child.name == "parameter");
            id.ok_or_else(|| {
                fault(path, "must have an element parameter with an id for each of its members")
            })?
        } else {
            &child.name
        };
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let value = content(child, &path)?;
        if members.insert(key.to_owned(), value).is_some() {
            return Err(fault(&path, "must not be given more than once"));
        }
    }
    Ok(Value::Object(members))
}

fn fault(path: &str, rule: &str) -> Problem {
    if path.is_empty() {
        Problem::bad_request(format!("the root element {rule}"))
    } else {
        Problem::field(path, rule)
    }
}
