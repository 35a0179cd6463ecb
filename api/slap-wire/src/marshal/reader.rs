//! From text to values.

use std::collections::{HashMap, HashSet};

use super::super::xml::{self, Element, MAX_BYTES, MAX_DEPTH, MAX_NODES, is_xml_space};
use super::{Float, Long, MarshalError, Object, Value};

/// The longest integer Python reads from text, in digits.
const MAX_INTEGER_DIGITS: usize = 4300;

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
            if let xml::XmlNode::Element(child) = node {
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
