//! Parameters as SLAP stores them: `<instance><parameter id="k">v</parameter></instance>`, and Python's `str()`,
//! through which every value goes on its way there.
//!
//! Invariants: [`write`] gives the bytes of `slapos.util.dict2xml`; [`read`] what `xml2dict` reads. An empty text is
//! read as `None` by Python clients; here it stays the empty text, and anyone who marshals it writes `None`.
//!
//! Not here: the JSON that a lone parameter `_` may hold; it is a text like any other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::marshal::{self, MarshalError, Value};
use super::xml::{self, UncarriableText, XmlError};

/// Why a text is no instance XML, or a value no parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceXmlError {
    /// Not a document that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A text that XML cannot carry. Only on writing.
    #[error(transparent)]
    Uncarriable(#[from] UncarriableText),
    /// An element that has no place there.
    #[error("line {line}: unexpected element {element:?}")]
    UnexpectedElement {
        /// Where, from 1.
        line: usize,
        /// Its name, shortened.
        element: String,
    },
    /// Text between the parameters.
    #[error("line {line}: text between the parameters of an instance")]
    UnexpectedText {
        /// Where the instance starts, from 1.
        line: usize,
    },
    /// A parameter without the attribute `id`.
    #[error("line {line}: parameter without an id")]
    MissingId {
        /// Where, from 1.
        line: usize,
    },
    /// The value is not a dictionary.
    #[error("parameters must be a dict, not {found}")]
    NotADict {
        /// What Python calls its type.
        found: &'static str,
    },
    /// A key of the dictionary is not a text.
    #[error("the name of a parameter must be a str, not {found}")]
    KeyNotText {
        /// What Python calls its type.
        found: &'static str,
    },
}

/// The parameters of a marshalled dictionary: its values through Python's `str()`.
pub fn parameters(value: &Value) -> Result<BTreeMap<String, String>, InstanceXmlError> {
    let pairs = value.as_dict().ok_or(InstanceXmlError::NotADict { found: value.type_name() })?;
    let mut parameters = BTreeMap::new();
    for (key, value) in pairs {
        let key = key.as_str().ok_or(InstanceXmlError::KeyNotText { found: key.type_name() })?;
        parameters.insert(key.to_owned(), python_str(value));
    }
    Ok(parameters)
}

/// The values of a marshalled dictionary that Python does not get back from their `str()`: the empty text, and all that
/// are no texts. Each as a marshalled text of its own.
pub fn typed(value: &Value) -> Result<BTreeMap<String, String>, MarshalError> {
    let pairs = value.as_dict().unwrap_or_default().iter();
    let is_typed = |value: &Value| value.as_str().is_none_or(str::is_empty);
    let typed =
        pairs.filter(|(_, value)| is_typed(value)).filter_map(|(key, value)| Some((key.as_str()?, value)));
    typed.map(|(key, value)| Ok((key.to_owned(), marshal::write(value)?))).collect()
}

/// The instance XML, byte for byte that of `slapos.util.dict2xml`.
pub fn write(parameters: &BTreeMap<String, String>) -> Result<String, InstanceXmlError> {
    write_typed(parameters, &BTreeMap::new())
}

/// The same, with the attribute `marshal` for what is [`typed`]: readers that do not know it see the texts.
pub fn write_typed(
    parameters: &BTreeMap<String, String>,
    typed: &BTreeMap<String, String>,
) -> Result<String, InstanceXmlError> {
    let mut out = String::from("<?xml version='1.0' encoding='utf-8'?>\n");
    if parameters.is_empty() {
        out.push_str("<instance/>\n");
        return Ok(out);
    }
    out.push_str("<instance>\n");
    for (key, value) in parameters {
        xml::check_text(key)?;
        xml::check_text(value)?;
        out.push_str("  <parameter id=\"");
        xml::escape_attribute(key, &mut out);
        if let Some(marshalled) = typed.get(key) {
            out.push_str("\" marshal=\"");
            xml::escape_attribute(marshalled, &mut out);
        }
        out.push_str("\">");
        xml::escape_text(value, &mut out);
        out.push_str("</parameter>\n");
    }
    out.push_str("</instance>\n");
    Ok(out)
}

/// The parameters of an instance XML; the texts of an id that comes again are joined with a space. An empty document
/// has none.
pub fn read(text: &str) -> Result<BTreeMap<String, String>, InstanceXmlError> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    if text.is_empty() {
        return Ok(parameters);
    }
    let root = xml::parse(text)?;
    if root.name != "instance" {
        return Err(unexpected(&root));
    }
    let elements = root.elements().ok_or(InstanceXmlError::UnexpectedText { line: root.line })?;
    for element in elements {
        if element.name != "parameter" {
            return Err(unexpected(element));
        }
        let id = element.attribute("id").ok_or(InstanceXmlError::MissingId { line: element.line })?;
        let value = element.text().ok_or_else(|| unexpected(element))?;
        let known = parameters.entry(id.to_owned()).or_default();
        // Python starts anew after None, and fails on a None that follows; nothing is lost here.
        if !known.is_empty() && !value.is_empty() {
            known.push(' ');
        }
        known.push_str(value);
    }
    Ok(parameters)
}

/// What is [`typed`] among the parameters of an instance XML, each as a marshalled text.
pub fn read_typed(text: &str) -> Result<BTreeMap<String, String>, InstanceXmlError> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    let root = xml::parse(text)?;
    let elements = root.elements().ok_or(InstanceXmlError::UnexpectedText { line: root.line })?;
    let typed = elements.into_iter().filter_map(|element| {
        Some((element.attribute("id")?.to_owned(), element.attribute("marshal")?.to_owned()))
    });
    Ok(typed.collect())
}

fn unexpected(element: &xml::Element<'_>) -> InstanceXmlError {
    InstanceXmlError::UnexpectedElement { line: element.line, element: xml::shorten(&element.name) }
}

/// Python's `str()`.
pub fn python_str(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        _ => python_repr(value),
    }
}

/// Python's `repr()`. An object, whose `repr` has an address in Python, is `Object('module', 'class', arguments,
/// state)`.
pub fn python_repr(value: &Value) -> String {
    let mut out = String::new();
    repr(value, &mut out);
    out
}

fn repr(value: &Value, out: &mut String) {
    match value {
        Value::None => out.push_str("None"),
        Value::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
        Value::Int(value) => drop(write!(out, "{value}")),
        Value::Long(value) => drop(write!(out, "{value}")),
        Value::Float(value) => drop(write!(out, "{value}")),
        Value::Str(text) => repr_text(text, out),
        Value::List(items) => {
            out.push('[');
            repr_items(items, out);
            out.push(']');
        }
        Value::Tuple(items) => repr_tuple(items, out),
        Value::Set(items) if items.is_empty() => out.push_str("set()"),
        Value::Set(items) => {
            out.push('{');
            repr_items(items, out);
            out.push('}');
        }
        Value::Dict(pairs) => repr_dict(pairs, out),
        Value::Object(object) => {
            out.push_str("Object(");
            repr_text(&object.module, out);
            out.push_str(", ");
            repr_text(&object.class, out);
            out.push_str(", ");
            repr_tuple(&object.initargs, out);
            out.push_str(", ");
            repr_dict(&object.state, out);
            out.push(')');
        }
    }
}

fn repr_items(items: &[Value], out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(item, out);
    }
}

fn repr_tuple(items: &[Value], out: &mut String) {
    out.push('(');
    repr_items(items, out);
    out.push_str(if items.len() == 1 { ",)" } else { ")" });
}

fn repr_dict(pairs: &[(Value, Value)], out: &mut String) {
    out.push('{');
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(key, out);
        out.push_str(": ");
        repr(value, out);
    }
    out.push('}');
}

fn repr_text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => {
                out.push('\\');
                out.push(c);
            }
            _ if is_printable(c) => out.push(c),
            _ => match u32::from(c) {
                code @ 0..=0xFF => drop(write!(out, "\\x{code:02x}")),
                code @ 0x100..=0xFFFF => drop(write!(out, "\\u{code:04x}")),
                code => drop(write!(out, "\\U{code:08x}")),
            },
        }
    }
    out.push(quote);
}

/// Python's `str.isprintable`. Rust's table for `Debug` has the same categories (Cc, Cf, Cs, Co, Cn, Zl, Zp, and Zs but
/// the space); a letter goes first because a combining character is escaped at the start of a text only.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut buffer = [0; 5];
    buffer[0] = b'a';
    let length = c.encode_utf8(&mut buffer[1..]).len();
    let pair = std::str::from_utf8(&buffer[..=length]).unwrap_or_default();
    pair.escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::marshal;

    /// Every recorded dictionary of texts is stored and read as Python does it.
    #[test]
    fn recorded_samples_both_ways() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/slap/marshal");
        let mut seen = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(instance) = fs::read_to_string(path.with_extension("instance")) else { continue };
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            seen += 1;
            let parameters =
                parameters(&marshal::read(&fs::read_to_string(&path).unwrap()).unwrap()).unwrap();
            assert_eq!(write(&parameters).unwrap(), instance, "{}", path.display());
            let back = read(&instance).unwrap();
            assert_eq!(back, parameters, "{}", path.display());
            let as_python =
                Value::dict(back.into_iter().map(|(key, value)| {
                    (key, if value.is_empty() { Value::None } else { Value::Str(value) })
                }));
            assert_eq!(python_repr(&as_python), fs::read_to_string(path.with_extension("params")).unwrap());
        }
        assert!(seen >= 7, "{seen}");
    }

    #[test]
    fn str_of_recorded_values() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/slap/marshal/str.tsv");
        for line in fs::read_to_string(path).unwrap().lines() {
            let (xml, text) = line.split_once('\t').unwrap();
            let value = marshal::read(xml).unwrap();
            assert_eq!(marshal::tests::unicode_escape(&python_str(&value)), text);
        }
    }

    #[test]
    fn an_id_that_comes_again() {
        let check = |inner: &str, expected: &str| {
            let parameters = read(&format!("<instance>{inner}</instance>")).unwrap();
            assert_eq!(parameters.get("a").map(String::as_str), Some(expected), "{inner}");
        };
        check("<parameter id='a'>1</parameter><parameter id='b'/><parameter id='a'>2</parameter>", "1 2");
        check("<parameter id='a'/><parameter id='a'>2</parameter>", "2");
        check("<parameter id='a'>1</parameter><parameter id='a'/>", "1");
        check("<parameter id='a'/>", "");
        check("<parameter id='a'> x&amp;lt; </parameter>", " x&lt; ");
        assert_eq!(read(""), Ok(BTreeMap::new()));
        assert_eq!(read("<instance/>"), Ok(BTreeMap::new()));
    }

    #[test]
    fn refusals() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        check("<marshal/>", "line 1: unexpected element \"marshal\"");
        check("<instance>\n<option/></instance>", "line 2: unexpected element \"option\"");
        check("<instance>a</instance>", "text between");
        check("<instance><parameter>a</parameter></instance>", "without an id");
        check("<instance><parameter id='a'><b/></parameter></instance>", "unexpected element");
        check("<!DOCTYPE a [<!ENTITY b 'c'>]><instance/>", "document type");
        assert_eq!(parameters(&Value::None), Err(InstanceXmlError::NotADict { found: "NoneType" }));
        let keyed = Value::Dict(vec![(Value::Int(1), Value::None)]);
        assert_eq!(parameters(&keyed), Err(InstanceXmlError::KeyNotText { found: "int" }));
        let uncarriable = BTreeMap::from([("a".to_owned(), "\u{1}".to_owned())]);
        assert!(matches!(write(&uncarriable), Err(InstanceXmlError::Uncarriable(_))));
    }

    proptest! {
        #[test]
        fn written_parameters_read_back(parameters: BTreeMap<String, String>) {
            match write(&parameters) {
                Ok(xml) => prop_assert_eq!(read(&xml).unwrap(), parameters),
                Err(error) => prop_assert!(matches!(error, InstanceXmlError::Uncarriable(_))),
            }
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = read(&text);
            let _ = read(&format!("<instance><parameter id='a'>{text}</parameter></instance>"));
            let _ = python_repr(&Value::Str(text));
        }
    }
}
