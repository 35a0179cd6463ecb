//! From values to text.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::super::xml::{self, MAX_DEPTH};
use super::{MarshalError, Value};

/// The marshalled form, byte for byte that of `slapos.util.dumps`.
pub fn write(value: &Value) -> Result<String, MarshalError> {
    let mut writer = MarshalWriter { out: String::from("<marshal>"), id: 1 };
    writer.value(value, 2)?;
    writer.out.push_str("</marshal>");
    Ok(writer.out)
}

struct MarshalWriter {
    out: String,
    id: u32,
}

impl MarshalWriter {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), MarshalError> {
        if depth > MAX_DEPTH {
            return Err(MarshalError::TooDeep);
        }
        match value {
            Value::None => self.out.push_str("<none/>"),
            Value::Bool(value) => self.out.push_str(if *value { "<bool>1</bool>" } else { "<bool>0</bool>" }),
            Value::Int(value) => {
                let _ = write!(self.out, "<int>{value}</int>");
            }
            Value::Long(value) => {
                let tag = if is_within_float_of_1e24(&value.0) { "int" } else { "long" };
                let _ = write!(self.out, "<{tag}>{value}</{tag}>");
            }
            Value::Float(value) => {
                let _ = write!(self.out, "<float>{value}</float>");
            }
            Value::Str(text) => {
                xml::check_text(text)?;
                self.out.push_str("<string>");
                escape_twice(text, &mut self.out);
                self.out.push_str("</string>");
            }
            Value::List(items) => self.container("list", true, items, depth)?,
            Value::Tuple(items) => self.container("tuple", false, items, depth)?,
            Value::Set(items) => self.container("set", true, items, depth)?,
            Value::Dict(pairs) => self.dict(pairs, depth)?,
            Value::Object(object) => {
                xml::check_text(&object.module)?;
                xml::check_text(&object.class)?;
                self.id += 1;
                let _ = write!(self.out, "<object id=\"i{}\" module=\"", self.id);
                self.attribute(&object.module);
                self.out.push_str("\" class=\"");
                self.attribute(&object.class);
                self.out.push_str("\">");
                self.container("tuple", false, &object.initargs, depth + 1)?;
                self.dict(&object.state, depth + 1)?;
                self.out.push_str("</object>");
            }
        }
        Ok(())
    }

    fn attribute(&mut self, text: &str) {
        let mut escaped = String::new();
        xml::escape_attribute(text, &mut escaped);
        escaped.chars().for_each(|c| push_ascii(c, &mut self.out));
    }

    fn container(
        &mut self,
        tag: &str,
        has_id: bool,
        items: &[Value],
        depth: usize,
    ) -> Result<(), MarshalError> {
        self.start(tag, has_id, items.is_empty());
        for item in items {
            self.value(item, depth + 1)?;
        }
        self.end(tag, items.is_empty());
        Ok(())
    }

    fn dict(&mut self, pairs: &[(Value, Value)], depth: usize) -> Result<(), MarshalError> {
        self.start("dictionary", true, pairs.is_empty());
        let mut sorted: Vec<&(Value, Value)> = pairs.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| key_order(a, b));
        for (key, value) in sorted {
            self.value(key, depth + 1)?;
            self.value(value, depth + 1)?;
        }
        self.end("dictionary", pairs.is_empty());
        Ok(())
    }

    fn start(&mut self, tag: &str, has_id: bool, is_empty: bool) {
        let _ = write!(self.out, "<{tag}");
        if has_id {
            self.id += 1;
            let _ = write!(self.out, " id=\"i{}\"", self.id);
        }
        self.out.push_str(if is_empty { "/>" } else { ">" });
    }

    fn end(&mut self, tag: &str, is_empty: bool) {
        if !is_empty {
            let _ = write!(self.out, "</{tag}>");
        }
    }
}

/// The marshaller escapes, then its XML serialiser escapes again.
fn escape_twice(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;amp;"),
            '<' => out.push_str("&amp;lt;"),
            '>' => out.push_str("&amp;gt;"),
            '\r' => out.push_str("&#13;"),
            _ => push_ascii(c, out),
        }
    }
}

fn push_ascii(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c);
    } else {
        let _ = write!(out, "&#{};", u32::from(c));
    }
}

/// Python compares with the float 1e24, which is 16,777,216 below 10 to the 24th.
fn is_within_float_of_1e24(digits: &str) -> bool {
    const LIMIT: &str = "999999999999999983222784";
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    (digits.len(), digits) < (LIMIT.len(), LIMIT)
}

/// The order of keys. Python compares keys of one type by value and others by `repr`; that is no total order, so
/// types come in the order that their `repr` gives them: texts, tuples, numbers, `None`.
fn key_order(a: &Value, b: &Value) -> Ordering {
    fn rank(value: &Value) -> u8 {
        match value {
            Value::Str(_) => 0,
            Value::Tuple(_) => 1,
            Value::Bool(_) | Value::Int(_) | Value::Long(_) | Value::Float(_) => 2,
            Value::None => 3,
            _ => 4,
        }
    }
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)).then_with(|| match rank(a) {
            2 => as_float(a).total_cmp(&as_float(b)),
            _ => Ordering::Equal,
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "only to order mixed keys, which no SLAP message has")]
fn as_float(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Int(value) => *value as f64,
        Value::Long(value) => value.0.parse().unwrap_or(f64::NAN),
        Value::Float(value) => value.0,
        _ => f64::NAN,
    }
}
