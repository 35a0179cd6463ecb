//! Values in the format of Python's `xml_marshaller` 1.0, which SLAP puts into forms and answers.
//!
//! Invariants: [`write`] gives the bytes of `slapos.util.dumps` (compact, no declaration, ASCII, ids `i2`.. in pre-order
//! with one counter, keys of dictionaries sorted, text escaped twice); [`read`] takes what `slapos.util.loads` takes, under
//! the bounds of this folder, which also hold after `<reference>` is resolved. Nothing is ever instantiated: an object is
//! its names, arguments and state.
//!
//! Not here: complex numbers and code objects, which no SLAP message has, and references on writing: a tree has no
//! object twice.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use super::xml::{self, Element, MAX_BYTES, MAX_DEPTH, MAX_NODES, UncarriableText, XmlError, is_xml_space};

/// The longest integer Python reads from text, in digits.
const MAX_INTEGER_DIGITS: usize = 4300;

/// A Python value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `None`.
    None,
    /// `bool`.
    Bool(bool),
    /// `int` of 64 bits.
    Int(i64),
    /// `int` beyond 64 bits.
    Long(Long),
    /// `float`.
    Float(Float),
    /// `str`.
    Str(String),
    /// `list`.
    List(Vec<Value>),
    /// `tuple`.
    Tuple(Vec<Value>),
    /// `set`, in the order of the document.
    Set(Vec<Value>),
    /// `dict`, in the order of the document; no key twice after [`read`].
    Dict(Vec<(Value, Value)>),
    /// An instance of a class.
    Object(Box<Object>),
}

/// An instance of a Python class, as its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Such as `slapos.slap.slap`.
    pub module: String,
    /// Such as `Computer`.
    pub class: String,
    /// The arguments of its constructor.
    pub initargs: Vec<Value>,
    /// Its attributes.
    pub state: Vec<(Value, Value)>,
}

/// An integer beyond 64 bits, as its canonical decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Long(String);

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Python float: equal if the bits are equal, shown as Python's `repr` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() {
            return f.write_str(if self.0.is_nan() {
                "nan"
            } else if self.0 > 0.0 {
                "inf"
            } else {
                "-inf"
            });
        }
        let (mantissa, exponent) = shortest(self.0);
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa.as_str()), |rest| ("-", rest));
        f.write_str(sign)?;
        let digits = mantissa.replace('.', "");
        match usize::try_from(exponent) {
            Ok(point @ 0..16) if digits.len() <= point + 1 => write!(f, "{digits:0<0$}.0", point + 1),
            Ok(point @ 0..16) => write!(f, "{}.{}", &digits[..=point], &digits[point + 1..]),
            Err(_) if exponent >= -4 => {
                let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
                write!(f, "0.{:0<zeros$}{digits}", "")
            }
            _ => {
                let sign = if exponent < 0 { '-' } else { '+' };
                write!(f, "{mantissa}e{sign}{:02}", exponent.unsigned_abs())
            }
        }
    }
}

/// The digits and the exponent of the scientific form that Python takes: as few digits as read back as the same number
/// and, where two of that length do and are equally near, the even one. Rust takes either of those two.
fn shortest(number: f64) -> (String, i32) {
    let parts = |form: &str| {
        let (mantissa, exponent) = form.split_once('e').unwrap_or((form, "0"));
        (mantissa.to_owned(), exponent.parse().unwrap_or(0))
    };
    let short = format!("{number:e}");
    let digits = parts(&short).0.bytes().filter(u8::is_ascii_digit).count();
    let even = format!("{number:.*e}", digits.saturating_sub(1));
    let same = even.parse::<f64>().is_ok_and(|read| read.to_bits() == number.to_bits());
    parts(if same { &even } else { &short })
}

impl Value {
    /// A dictionary whose keys are texts.
    pub fn dict<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Dict(pairs.into_iter().map(|(key, value)| (Self::Str(key.into()), value)).collect())
    }

    /// The text of a `str`.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The items of a `list` or `tuple`.
    pub fn as_items(&self) -> Option<&[Self]> {
        if let Self::List(items) | Self::Tuple(items) = self { Some(items) } else { None }
    }

    /// The pairs of a `dict`.
    pub fn as_dict(&self) -> Option<&[(Self, Self)]> {
        if let Self::Dict(pairs) = self { Some(pairs) } else { None }
    }

    /// The instance, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// What a `dict` has under a text.
    pub fn get(&self, key: &str) -> Option<&Self> {
        find(self.as_dict()?, key)
    }

    /// Python's truth: `shared_xml` may come as `False`, but also as the empty dictionary.
    pub fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => value.0 != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => !items.is_empty(),
            Self::Dict(pairs) => !pairs.is_empty(),
            Self::Long(_) | Self::Object(_) => true,
        }
    }

    /// What Python calls the type, for error messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Long(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::Dict(_) => "dict",
            Self::Object(_) => "object",
        }
    }
}

impl Object {
    /// The attribute of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        find(&self.state, name)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

fn find<'a>(pairs: &'a [(Value, Value)], key: &str) -> Option<&'a Value> {
    pairs.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
}

/// Why a text is not a marshalled value, or a value cannot be marshalled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarshalError {
    /// Not a document that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A text that XML cannot carry. Only on writing.
    #[error(transparent)]
    Uncarriable(#[from] UncarriableText),
    /// The value to write is nested deeper than [`MAX_DEPTH`].
    #[error("value is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// The value is larger than the bounds once its references are resolved.
    #[error("value is too large once its references are resolved")]
    TooLarge,
    /// A tag that the format does not have.
    #[error("line {line}: unknown tag {tag:?}")]
    UnknownTag {
        /// Where, from 1.
        line: usize,
        /// Its name, shortened.
        tag: String,
    },
    /// The content of a tag breaks its rule.
    #[error("line {line}: {tag}: {rule}")]
    Content {
        /// Where, from 1.
        line: usize,
        /// The tag.
        tag: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// A reference to an id that no container before it has.
    #[error("line {line}: reference to {id:?}, which is not the id of a container before it")]
    Reference {
        /// Where, from 1.
        line: usize,
        /// The id, shortened.
        id: String,
    },
}

/// The marshalled form, byte for byte that of `slapos.util.dumps`.
pub fn write(value: &Value) -> Result<String, MarshalError> {
    let mut writer = Writer { out: String::from("<marshal>"), id: 1 };
    writer.value(value, 2)?;
    writer.out.push_str("</marshal>");
    Ok(writer.out)
}

struct Writer {
    out: String,
    id: u32,
}

impl Writer {
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

/// The value of a marshalled text.
pub fn read(text: &str) -> Result<Value, MarshalError> {
    let root = xml::parse(text)?;
    if root.name != "marshal" {
        return Err(unknown_tag(&root));
    }
    let items = children(&root, "marshal")?;
    let [item] = items.as_slice() else {
        return Err(content(&root, "marshal", "must have exactly one value"));
    };
    let mut reader = Reader::default();
    reader.find_references(&root);
    reader.value(item, 2)
}

/// [`read`] of bytes in UTF-8 or in the encoding they declare.
pub fn read_bytes(bytes: &[u8]) -> Result<Value, MarshalError> {
    read(&xml::decode(bytes)?)
}

#[derive(Default)]
struct Reader<'a> {
    /// The ids that some reference names: only their containers are kept.
    wanted: HashSet<&'a str>,
    kept: HashMap<&'a str, (Value, Size)>,
    spent: Size,
}

/// What a value costs: bounds hold for the resolved value, or a few nested references would fill the memory.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    height: usize,
}

impl<'a> Reader<'a> {
    fn find_references(&mut self, element: &'a Element<'_>) {
        for node in &element.content {
            if let xml::Node::Element(child) = node {
                if child.name == "reference" {
                    self.wanted.extend(child.attribute("id"));
                }
                self.find_references(child);
            }
        }
    }

    fn spend(&mut self, size: Size) -> Result<(), MarshalError> {
        self.spent.nodes += size.nodes;
        self.spent.bytes += size.bytes;
        if self.spent.nodes > MAX_NODES || self.spent.bytes > MAX_BYTES {
            return Err(MarshalError::TooLarge);
        }
        Ok(())
    }

    fn value(&mut self, element: &'a Element<'_>, depth: usize) -> Result<Value, MarshalError> {
        if depth > MAX_DEPTH {
            return Err(MarshalError::TooDeep);
        }
        let value = match element.name.as_ref() {
            "string" | "unicode" => Value::Str(unescape(scalar(element, "string")?)),
            "int" | "long" => integer(scalar(element, "int")?)
                .ok_or_else(|| content(element, "int", "must be a decimal integer of at most 4300 digits"))?,
            "float" => {
                let number = scalar(element, "float")?.trim_matches(is_xml_space).parse();
                Value::Float(Float(number.map_err(|_| content(element, "float", "must be a number"))?))
            }
            "bool" => match integer(scalar(element, "bool")?) {
                Some(number) => Value::Bool(number.is_true()),
                None => return Err(content(element, "bool", "must be 0 or 1")),
            },
            "none" => {
                scalar(element, "none")?;
                Value::None
            }
            "list" => Value::List(self.items(element, "list", depth)?),
            "tuple" => Value::Tuple(self.items(element, "tuple", depth)?),
            "set" => {
                let mut seen = HashSet::new();
                let mut items = self.items(element, "set", depth)?;
                if !items.iter().all(is_hashable) {
                    return Err(content(element, "set", "members must be hashable"));
                }
                items.retain(|item| seen.insert(item.clone()));
                Value::Set(items)
            }
            "dictionary" => Value::Dict(self.pairs(element, depth)?),
            "object" => self.object(element, depth)?,
            "reference" => return self.reference(element, depth),
            _ => return Err(unknown_tag(element)),
        };
        self.keep(element, &value)?;
        Ok(value)
    }

    fn items(
        &mut self,
        element: &'a Element<'_>,
        tag: &'static str,
        depth: usize,
    ) -> Result<Vec<Value>, MarshalError> {
        children(element, tag)?.into_iter().map(|child| self.value(child, depth + 1)).collect()
    }

    fn pairs(&mut self, element: &'a Element<'_>, depth: usize) -> Result<Vec<(Value, Value)>, MarshalError> {
        let items = self.items(element, "dictionary", depth)?;
        if items.len() % 2 != 0 {
            return Err(content(element, "dictionary", "must have a value for each key"));
        }
        let mut pairs: Vec<(Value, Value)> = Vec::with_capacity(items.len() / 2);
        let mut places: HashMap<Value, usize> = HashMap::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if !is_hashable(&key) {
                return Err(content(element, "dictionary", "keys must be hashable"));
            }
            // As in Python: the last value wins, at the place of the first.
            if let Some(place) = places.get(&key) {
                pairs[*place].1 = value;
            } else {
                places.insert(key.clone(), pairs.len());
                pairs.push((key, value));
            }
        }
        Ok(pairs)
    }

    fn object(&mut self, element: &'a Element<'_>, depth: usize) -> Result<Value, MarshalError> {
        let (Some(module), Some(class)) = (element.attribute("module"), element.attribute("class")) else {
            return Err(content(element, "object", "must have the attributes module and class"));
        };
        let mut items = self.items(element, "object", depth)?.into_iter();
        match (items.next(), items.next(), items.next()) {
            (Some(Value::Tuple(initargs)), Some(Value::Dict(state)), None) => {
                let object = Object { module: module.to_owned(), class: class.to_owned(), initargs, state };
                Ok(Value::Object(Box::new(object)))
            }
            _ => Err(content(element, "object", "must have a tuple of arguments and a dictionary")),
        }
    }

    fn reference(&mut self, element: &'a Element<'_>, depth: usize) -> Result<Value, MarshalError> {
        let id = element
            .attribute("id")
            .ok_or_else(|| content(element, "reference", "must have the attribute id"))?;
        let unknown = || MarshalError::Reference { line: element.line, id: xml::shorten(id) };
        let size = self.kept.get(id).map(|(_, size)| *size).ok_or_else(unknown)?;
        if depth + size.height > MAX_DEPTH + 1 {
            return Err(MarshalError::TooDeep);
        }
        // Paid for before it is cloned.
        self.spend(size)?;
        self.kept.get(id).map(|(value, _)| value.clone()).ok_or_else(unknown)
    }

    fn keep(&mut self, element: &'a Element<'_>, value: &Value) -> Result<(), MarshalError> {
        let Some(id) = element.attribute("id").filter(|id| self.wanted.contains(id)) else { return Ok(()) };
        if matches!(value, Value::List(_) | Value::Set(_) | Value::Dict(_) | Value::Object(_)) {
            let size = measure(value);
            self.spend(size)?;
            self.kept.insert(id, (value.clone(), size));
        }
        Ok(())
    }
}

fn measure(value: &Value) -> Size {
    let mut size = Size { nodes: 1, bytes: 0, height: 0 };
    let mut add = |part: &Value| {
        let part = measure(part);
        size.nodes += part.nodes;
        size.bytes += part.bytes;
        size.height = size.height.max(part.height);
    };
    match value {
        Value::Str(text) | Value::Long(Long(text)) => size.bytes = text.len(),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => items.iter().for_each(add),
        Value::Dict(pairs) => pairs.iter().for_each(|(key, value)| {
            add(key);
            add(value);
        }),
        Value::Object(object) => {
            object.initargs.iter().for_each(&mut add);
            object.state.iter().for_each(|(key, value)| {
                add(key);
                add(value);
            });
            // The tuple and the dictionary are levels of their own.
            size.height += 1;
            size.bytes += object.module.len() + object.class.len();
        }
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
    size.height += 1;
    size
}

/// Whether Python takes it as a key or the member of a set.
fn is_hashable(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Set(_) | Value::Dict(_) => false,
        Value::Tuple(items) => items.iter().all(is_hashable),
        _ => true,
    }
}

fn children<'t, 'a>(
    element: &'t Element<'a>,
    tag: &'static str,
) -> Result<Vec<&'t Element<'a>>, MarshalError> {
    element.elements().ok_or_else(|| content(element, tag, "must not have text between its values"))
}

fn scalar<'t>(element: &'t Element<'_>, tag: &'static str) -> Result<&'t str, MarshalError> {
    element.text().ok_or_else(|| content(element, tag, "must not have elements in it"))
}

fn content(element: &Element<'_>, tag: &'static str, rule: &'static str) -> MarshalError {
    MarshalError::Content { line: element.line, tag, rule }
}

fn unknown_tag(element: &Element<'_>) -> MarshalError {
    MarshalError::UnknownTag { line: element.line, tag: xml::shorten(&element.name) }
}

/// The second unescaping, in the order of `xml.sax.saxutils.unescape`.
fn unescape(text: &str) -> String {
    if text.contains('&') {
        text.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")
    } else {
        text.to_owned()
    }
}

fn integer(text: &str) -> Option<Value> {
    let text = text.trim_matches(is_xml_space);
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::Int(number));
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || digits.len() > MAX_INTEGER_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let canonical = format!("{sign}{}", digits.trim_start_matches('0'));
    // Only leading zeros can have hidden a small number from the parser, and it takes those.
    Some(Value::Long(Long(canonical)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::super::instance_xml::python_repr;
    use super::*;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/slap/marshal")
    }

    /// Every sample of `fixtures/slap/record_marshal.py` reads as what Python read and writes as what Python wrote.
    #[test]
    fn recorded_samples_both_ways() {
        let mut seen = 0;
        for entry in fs::read_dir(fixtures()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "xml") {
                continue;
            }
            seen += 1;
            let xml = fs::read(&path).unwrap();
            let value = read_bytes(&xml).unwrap();
            let repr = fs::read_to_string(path.with_extension("repr")).unwrap();
            assert_eq!(python_repr(&value), repr, "{}", path.display());
            let expanded = fs::read(path.with_extension("expanded")).unwrap_or(xml);
            assert_eq!(write(&value).unwrap(), String::from_utf8(expanded).unwrap(), "{}", path.display());
        }
        assert!(seen >= 19, "{seen}");
    }

    #[test]
    fn random_samples_both_ways() {
        let lines = fs::read_to_string(fixtures().join("random.tsv")).unwrap();
        assert!(lines.lines().count() >= 300);
        for line in lines.lines() {
            let (xml, repr) = line.split_once('\t').unwrap();
            let value = read(xml).unwrap();
            assert_eq!(unicode_escape(&python_repr(&value)), repr);
            assert_eq!(write(&value).unwrap().replace('\n', "&#10;").replace('\t', "&#9;"), xml);
        }
    }

    /// Python's codec of that name, for what the samples have.
    pub(in super::super) fn unicode_escape(text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                ' '..='~' => out.push(c),
                _ => match u32::from(c) {
                    code @ 0..=0xFF => drop(write!(out, "\\x{code:02x}")),
                    code @ 0x100..=0xFFFF => drop(write!(out, "\\u{code:04x}")),
                    code => drop(write!(out, "\\U{code:08x}")),
                },
            }
        }
        out
    }

    #[test]
    fn refusals() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        let nested = |tag: &str, depth: usize| {
            let open = format!("<{tag}>").repeat(depth);
            format!("<marshal>{open}{}</marshal>", format!("</{tag}>").repeat(depth))
        };
        assert!(read(&nested("list", 63)).is_ok());
        check(&nested("list", 64), "deeper than 64");
        check("<string>a</string>", "unknown tag \"string\"");
        check("<marshal/>", "exactly one value");
        check("<marshal><none/><none/></marshal>", "exactly one value");
        check("<marshal>a<none/></marshal>", "must not have text");
        check("<marshal><m:string xmlns:m=''/></marshal>", "unknown tag \"m:string\"");
        check("<marshal>\n<code>x</code></marshal>", "line 2: unknown tag \"code\"");
        check("<marshal><complex>1 2</complex></marshal>", "unknown tag \"complex\"");
        check("<marshal><int>1.0</int></marshal>", "decimal integer");
        check("<marshal><int></int></marshal>", "decimal integer");
        check(&format!("<marshal><int>{}</int></marshal>", "9".repeat(4301)), "decimal integer");
        check("<marshal><bool>yes</bool></marshal>", "0 or 1");
        check("<marshal><float>1,5</float></marshal>", "must be a number");
        check("<marshal><string>a<b/></string></marshal>", "must not have elements");
        check("<marshal><dictionary><string>a</string></dictionary></marshal>", "a value for each key");
        check("<marshal><dictionary><list/><none/></dictionary></marshal>", "keys must be hashable");
        check("<marshal><set><dictionary/></set></marshal>", "members must be hashable");
        check("<marshal><object><tuple/><dictionary/></object></marshal>", "module and class");
        check("<marshal><object module='a' class='b'><tuple/></object></marshal>", "a tuple of arguments");
        check("<marshal><reference/></marshal>", "attribute id");
        check("<marshal><reference id='i2'/></marshal>", "reference to \"i2\"");
        check("<marshal><list id='i2'><reference id='i2'/></list></marshal>", "reference to \"i2\"");
        check("<!DOCTYPE marshal><marshal><none/></marshal>", "document type");
    }

    /// A billion laughs made of references: each list has the one before it ten times.
    #[test]
    fn references_cannot_fill_the_memory() {
        let mut xml = String::from("<marshal><list id='i0'><list id='i1'><string>ha</string></list>");
        for id in 1..12 {
            let reference = format!("<reference id='i{id}'/>").repeat(10);
            let _ = write!(xml, "<list id='i{}'>{reference}</list>", id + 1);
        }
        xml.push_str("</list></marshal>");
        assert_eq!(read(&xml), Err(MarshalError::TooLarge));
        // The same in depth: each list is one deeper than the one before it.
        let mut xml = String::from("<marshal><list id='i0'><list id='i1'/>");
        for id in 1..70 {
            let _ = write!(xml, "<list id='i{}'><reference id='i{id}'/></list>", id + 1);
        }
        xml.push_str("</list></marshal>");
        assert_eq!(read(&xml), Err(MarshalError::TooDeep));
    }

    #[test]
    fn what_cannot_be_carried_is_not_written() {
        let error = write(&Value::List(vec!["a\u{0}b\u{1b}".into()])).unwrap_err();
        assert_eq!(error.to_string(), "text has characters that xml cannot carry: U+0000, U+001B");
        let deep = (0..64).fold(Value::None, |value, _| Value::List(vec![value]));
        assert_eq!(write(&deep), Err(MarshalError::TooDeep));
    }

    #[test]
    fn truth() {
        let check = |xml: &str, expected: bool| {
            assert_eq!(read(&format!("<marshal>{xml}</marshal>")).unwrap().is_true(), expected, "{xml}");
        };
        check("<dictionary id='i2'/>", false);
        check("<bool>0</bool>", false);
        check("<bool>1</bool>", true);
        check("<none/>", false);
        check("<string></string>", false);
        check("<string>0</string>", true);
        check("<float>0.0</float>", false);
        check("<int>-0000000000000000000000000</int>", false);
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = any::<String>().prop_filter("carriable", |text| xml::check_text(text).is_ok());
        let leaf = prop_oneof![
            Just(Value::None),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            "-?[1-9][0-9]{19,40}".prop_map(|digits| Value::Long(Long(digits))),
            any::<f64>().prop_filter("one nan", |f| !f.is_nan()).prop_map(|f| Value::Float(Float(f))),
            text.clone().prop_map(Value::Str),
        ];
        leaf.prop_recursive(6, 60, 6, move |inner| {
            let items = prop::collection::vec(inner.clone(), 0..5);
            let pairs = prop::collection::btree_map(text.clone(), inner, 0..5).prop_map(|map| {
                map.into_iter().map(|(key, value)| (Value::Str(key), value)).collect::<Vec<_>>()
            });
            let object = (text.clone(), items.clone(), pairs.clone()).prop_map(|(class, initargs, state)| {
                Value::Object(Box::new(Object { module: "m".to_owned(), class, initargs, state }))
            });
            prop_oneof![
                items.clone().prop_map(Value::List),
                items.prop_map(Value::Tuple),
                pairs.prop_map(Value::Dict),
                object
            ]
        })
    }

    proptest! {
        #[test]
        fn written_values_read_back(value in values()) {
            let xml = write(&value).unwrap();
            prop_assert!(xml.is_ascii());
            prop_assert_eq!(read(&xml).unwrap(), value);
        }

        #[test]
        fn never_panics(text in any::<String>(), parts in prop::collection::vec(prop::sample::select(vec![
            "<marshal>", "</marshal>", "<list id='i2'>", "</list>", "<tuple>", "</tuple>", "<set id='i3'>", "</set>",
            "<dictionary id='i2'>", "</dictionary>", "<object module='a' class='b' id='i4'>", "</object>",
            "<reference id='i2'/>", "<reference id='i3'/>", "<int>", "</int>", "<string>", "</string>", "1", "-", "&lt;", "&amp;lt;",
            "<none/>", "<bool>1</bool>", "<float>nan</float>"]), 0..30)) {
            let _ = read(&text);
            let _ = read(&parts.concat());
            let _ = read(&format!("<marshal><list>{}</list></marshal>", parts.concat()));
            let _ = read_bytes(text.as_bytes());
        }
    }
}
