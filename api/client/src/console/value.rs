//! What the names of the console stand for.
//!
//! Values never change: lists and dictionaries are made anew. So nothing holds itself, and depth and weight are known when
//! a value is made: both are bounded, and with them all that walks over one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use super::builtins::Function;
use super::fault::Fault;
use super::instance::Instance;
use slapledger_slap_wire::instance_xml;
use slapledger_slap_wire::marshal::{self, Float};

/// How deep values may be nested.
const MAX_DEPTH: usize = 32;
/// How heavy a value may be, in bytes of text and as much again for each item.
const MAX_WEIGHT: usize = 16 * 1024 * 1024;
/// What an item weighs by itself.
pub(super) const ITEM: usize = 32;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(Float),
    Text(Rc<str>),
    List(Rc<Items>),
    Tuple(Rc<Items>),
    Dict(Rc<Pairs>),
    Function(Function),
    /// A method of a value.
    Method(Rc<(Value, &'static str)>),
    /// What has nothing but methods.
    Module(&'static str),
    Instance(Rc<Instance>),
}

/// The items of a list or a tuple.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) values: Vec<Value>,
    depth: usize,
    weight: usize,
}

/// The pairs of a dictionary, in the order they came.
#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) entries: Vec<(Value, Value)>,
    depth: usize,
    weight: usize,
}

fn bounded<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Result<(usize, usize), Fault> {
    let depth = values.clone().map(Value::depth).max().unwrap_or(0) + 1;
    let weight = values.map(Value::weight).fold(ITEM, usize::saturating_add);
    if depth > MAX_DEPTH {
        return Err(Fault::new(format!("a value is nested deeper than {MAX_DEPTH}")));
    }
    check_weight(weight)?;
    Ok((depth, weight))
}

/// Whether a value may be that heavy.
pub(super) fn check_weight(weight: usize) -> Result<(), Fault> {
    if weight > MAX_WEIGHT {
        return Err(Fault::new(format!("a value is larger than {} MiB", MAX_WEIGHT >> 20)));
    }
    Ok(())
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn list(items: Vec<Self>) -> Result<Self, Fault> {
        let (depth, weight) = bounded(items.iter())?;
        Ok(Self::List(Rc::new(Items { values: items, depth, weight })))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Result<Self, Fault> {
        let (depth, weight) = bounded(items.iter())?;
        Ok(Self::Tuple(Rc::new(Items { values: items, depth, weight })))
    }

    /// A dictionary: of a key that comes again the last value counts, in the place of the first.
    pub(super) fn dict(given: Vec<(Self, Self)>) -> Result<Self, Fault> {
        let mut places: HashMap<marshal::Value, usize> = HashMap::new();
        let mut pairs: Vec<(Self, Self)> = Vec::with_capacity(given.len());
        for (key, value) in given {
            let name = key.key()?;
            let place = *places.entry(name).or_insert(pairs.len());
            match pairs.get_mut(place) {
                Some(known) => known.1 = value,
                None => pairs.push((key, value)),
            }
        }
        let (depth, weight) = bounded(pairs.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Self::Dict(Rc::new(Pairs { entries: pairs, depth, weight })))
    }

    /// What makes a key the same as another.
    fn key(&self) -> Result<marshal::Value, Fault> {
        match self {
            Self::None | Self::Int(_) | Self::Text(_) => self.to_wire(),
            Self::Bool(value) => Ok(marshal::Value::Int(i64::from(*value))),
            other => Err(Fault::new(format!("a {} cannot be a key", other.type_name()))),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(items) | Self::Tuple(items) => items.depth,
            Self::Dict(pairs) => pairs.depth,
            Self::Method(method) => method.0.depth() + 1,
            _ => 0,
        }
    }

    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => ITEM + text.len(),
            Self::List(items) | Self::Tuple(items) => items.weight,
            Self::Dict(pairs) => pairs.weight,
            Self::Method(method) => method.0.weight().saturating_add(ITEM),
            _ => ITEM,
        }
    }

    /// What Python calls the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Function(_) | Self::Method(_) => "function",
            Self::Module(_) => "module",
            Self::Instance(_) => "instance",
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Python's truth.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => value.0 != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.values.is_empty(),
            Self::Dict(pairs) => !pairs.entries.is_empty(),
            Self::Function(_) | Self::Method(_) | Self::Module(_) | Self::Instance(_) => true,
        }
    }

    /// Python's equality, but that a whole float is no int.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Instance(a), Self::Instance(b)) => Rc::ptr_eq(a, b),
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => {
                a.values.len() == b.values.len() && a.values.iter().zip(&b.values).all(|(a, b)| a.equals(b))
            }
            (Self::Dict(a), Self::Dict(b)) => {
                let of: HashMap<_, _> =
                    b.entries.iter().map(|(key, value)| (key.key().ok(), value)).collect();
                let is_same = |(key, value): &(Self, Self)| {
                    of.get(&key.key().ok()).is_some_and(|other| value.equals(other))
                };
                a.entries.len() == b.entries.len() && a.entries.iter().all(is_same)
            }
            (Self::Function(a), Self::Function(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.0.total_cmp(&b.0).is_eq(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::None, Self::None) => true,
            (a, b) => a.as_int().is_some_and(|a| b.as_int() == Some(a)),
        }
    }

    /// A number of a bool or an int.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// What can be gone through one by one.
    pub(super) fn items(&self) -> Result<Vec<Self>, Fault> {
        match self {
            Self::List(items) | Self::Tuple(items) => Ok(items.values.clone()),
            Self::Dict(pairs) => Ok(pairs.entries.iter().map(|(key, _)| key.clone()).collect()),
            Self::Text(text) => Ok(text.chars().map(|c| Self::text(c.encode_utf8(&mut [0; 4]))).collect()),
            other => Err(Fault::new(format!("a {} has no items", other.type_name()))),
        }
    }

    /// Python's `repr()`.
    pub(super) fn repr(&self) -> String {
        let mut out = String::new();
        self.write_repr(&mut out);
        out
    }

    fn write_repr(&self, out: &mut String) {
        match self {
            Self::List(items) => write_items(&items.values, ["[", "]"], out),
            Self::Tuple(items) if items.values.len() == 1 => write_items(&items.values, ["(", ",)"], out),
            Self::Tuple(items) => write_items(&items.values, ["(", ")"], out),
            Self::Dict(pairs) => {
                out.push('{');
                for (index, (key, value)) in pairs.entries.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    key.write_repr(out);
                    out.push_str(": ");
                    value.write_repr(out);
                }
                out.push('}');
            }
            Self::Function(function) => drop(write!(out, "<function {}>", function.name())),
            Self::Method(method) => drop(write!(out, "<method {} of a {}>", method.1, method.0.type_name())),
            Self::Module(name) => drop(write!(out, "<module {name}>")),
            Self::Instance(instance) => drop(write!(out, "{instance}")),
            simple => {
                out.push_str(&instance_xml::python_repr(&simple.simple().unwrap_or(marshal::Value::None)));
            }
        }
    }

    /// Python's `str()`.
    pub(super) fn str(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            other => other.repr(),
        }
    }

    fn simple(&self) -> Option<marshal::Value> {
        Some(match self {
            Self::None => marshal::Value::None,
            Self::Bool(value) => marshal::Value::Bool(*value),
            Self::Int(value) => marshal::Value::Int(*value),
            Self::Float(value) => marshal::Value::Float(*value),
            Self::Text(text) => marshal::Value::from(&**text),
            _ => return None,
        })
    }

    /// The value as SLAP carries it.
    pub(super) fn to_wire(&self) -> Result<marshal::Value, Fault> {
        let all = |items: &Items| items.values.iter().map(Self::to_wire).collect::<Result<_, _>>();
        Ok(match self {
            Self::List(items) => marshal::Value::List(all(items)?),
            Self::Tuple(items) => marshal::Value::Tuple(all(items)?),
            Self::Dict(pairs) => {
                let pairs = pairs.entries.iter().map(|(key, value)| Ok((key.to_wire()?, value.to_wire()?)));
                marshal::Value::Dict(pairs.collect::<Result<_, Fault>>()?)
            }
            other => {
                other.simple().ok_or_else(|| Fault::new(format!("a {} cannot be sent", other.type_name())))?
            }
        })
    }

    /// What came from a master.
    pub(super) fn of_wire(value: &marshal::Value) -> Result<Self, Fault> {
        let all = |items: &[marshal::Value]| items.iter().map(Self::of_wire).collect::<Result<_, _>>();
        Ok(match value {
            marshal::Value::None => Self::None,
            marshal::Value::Bool(value) => Self::Bool(*value),
            marshal::Value::Int(value) => Self::Int(*value),
            marshal::Value::Float(value) => Self::Float(*value),
            marshal::Value::Str(text) => Self::text(text),
            marshal::Value::List(items) | marshal::Value::Set(items) => Self::list(all(items)?)?,
            marshal::Value::Tuple(items) => Self::tuple(all(items)?)?,
            marshal::Value::Dict(pairs) => Self::dict(
                pairs
                    .iter()
                    .map(|(key, value)| Ok((Self::of_wire(key)?, Self::of_wire(value)?)))
                    .collect::<Result<_, Fault>>()?,
            )?,
            other => Self::text(&instance_xml::python_str(other)),
        })
    }

    /// The value as JSON.
    pub(super) fn to_json(&self) -> Result<serde_json::Value, Fault> {
        use serde_json::Value as Json;
        let all = |items: &Items| items.values.iter().map(Self::to_json).collect::<Result<_, _>>();
        Ok(match self {
            Self::None => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(value.0),
            Self::Text(text) => Json::from(&**text),
            Self::List(items) | Self::Tuple(items) => Json::Array(all(items)?),
            Self::Dict(pairs) => {
                let pairs = pairs.entries.iter();
                Json::Object(
                    pairs
                        .map(|(key, value)| Ok((key.str(), value.to_json()?)))
                        .collect::<Result<_, Fault>>()?,
                )
            }
            other => return Err(Fault::new(format!("a {} is no JSON", other.type_name()))),
        })
    }

    /// What JSON says.
    pub(super) fn of_json(json: &serde_json::Value) -> Result<Self, Fault> {
        use serde_json::Value as Json;
        Ok(match json {
            Json::Null => Self::None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::Float(Float(number)),
                (None, None) => Self::text(&number.to_string()),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::list(items.iter().map(Self::of_json).collect::<Result<_, _>>()?)?,
            Json::Object(members) => Self::dict(
                members
                    .iter()
                    .map(|(key, value)| Ok((Self::text(key), Self::of_json(value)?)))
                    .collect::<Result<_, Fault>>()?,
            )?,
        })
    }
}

fn write_items(items: &[Value], [open, close]: [&str; 2], out: &mut String) {
    out.push_str(open);
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        item.write_repr(out);
    }
    out.push_str(close);
}
