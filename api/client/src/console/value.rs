//! What the names of the console stand for.
//!
//! Values never change: lists and dictionaries are made anew. So nothing holds itself, and depth and weight are known when
//! a value is made: both are bounded, and with them all that walks over one.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use serde_json::Value as Json;

use super::fault::ConsoleFault;
use slapledger_slap_wire::instance_xml;
use slapledger_slap_wire::marshal::{self, Float};

/// How deep values may be nested.
const MAX_DEPTH: usize = 32;
/// How heavy a value may be, in bytes of text and as much again for each item.
const MAX_WEIGHT: usize = 16 * 1024 * 1024;
/// What an item weighs by itself.
const ITEM: usize = 32;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum ConsoleValue {
    None,
    Bool(bool),
    Int(i64),
    Float(Float),
    Text(Rc<str>),
    Many(Collection, Rc<ValueItems>),
    Function(&'static str),
    /// A method of a value.
    Method(Rc<(ConsoleValue, &'static str)>),
    /// What has nothing but methods.
    Module(&'static str),
    Instance(Rc<dyn Callable>),
}

/// Something of the master that has methods.
pub(super) trait Callable: fmt::Debug + fmt::Display {
    /// Calls the method of this name.
    fn call(&self, name: &'static str, arguments: Arguments) -> Result<ConsoleValue, ConsoleFault>;
}

/// What a function is called with.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<ConsoleValue>,
    pub(super) named: Vec<(String, ConsoleValue)>,
}

impl Arguments {
    /// Arguments by their names, the first `needed` of which must be given.
    pub(super) fn bind<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
        needed: usize,
    ) -> Result<[Option<ConsoleValue>; N], ConsoleFault> {
        let given = self.positional.len();
        if given > N {
            return Err(ConsoleFault::new(format!("{function}() takes {N} arguments at most, not {given}")));
        }
        let mut positional = self.positional.into_iter();
        let mut bound = [const { None }; N].map(|_: Option<ConsoleValue>| positional.next());
        for (name, value) in self.named {
            let Some(index) = names.iter().position(|known| *known == name) else {
                return Err(ConsoleFault::new(format!("{function}() has no argument {name}")));
            };
            if bound[index].replace(value).is_some() {
                return Err(ConsoleFault::new(format!("{function}(): {name} is given twice")));
            }
        }
        match bound.iter().take(needed).position(Option::is_none) {
            Some(missing) => Err(ConsoleFault::new(format!("{function}(): {} is missing", names[missing]))),
            None => Ok(bound),
        }
    }

    /// Arguments that must all be given.
    pub(super) fn required<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
    ) -> Result<[ConsoleValue; N], ConsoleFault> {
        Ok(self.bind(function, names, N)?.map(|value| value.unwrap_or(ConsoleValue::None)))
    }
}

/// How values are held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    List,
    Tuple,
    Dict,
}

/// The items of a list or tuple, or the keys and values of a dictionary by turns, in the order they came.
#[derive(Debug)]
pub(super) struct ValueItems {
    values: Vec<ConsoleValue>,
    depth: usize,
    weight: usize,
}

impl ValueItems {
    /// The pairs of a dictionary.
    fn pairs(&self) -> impl Iterator<Item = (&ConsoleValue, &ConsoleValue)> {
        self.values.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))
    }
}

/// Whether a value may be that heavy.
fn check_weight(weight: usize) -> Result<(), ConsoleFault> {
    if weight > MAX_WEIGHT {
        return Err(ConsoleFault::new(format!("a value is larger than {} MiB", MAX_WEIGHT >> 20)));
    }
    Ok(())
}

impl ConsoleValue {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn list(values: Vec<Self>) -> Result<Self, ConsoleFault> {
        Self::many(Collection::List, values)
    }

    /// Of a key that comes again in a dictionary the last value counts, in the place of the first.
    pub(super) fn many(shape: Collection, mut values: Vec<Self>) -> Result<Self, ConsoleFault> {
        if shape == Collection::Dict {
            let mut places: HashMap<marshal::Value, usize> = HashMap::new();
            let mut given = values.into_iter();
            values = Vec::with_capacity(given.len());
            while let (Some(key), Some(value)) = (given.next(), given.next()) {
                let place = *places.entry(key.key()?).or_insert(values.len());
                if place < values.len() {
                    values[place + 1] = value;
                } else {
                    values.extend([key, value]);
                }
            }
        }
        let depth = values.iter().map(Self::depth).max().unwrap_or(0) + 1;
        let weight = values.iter().map(Self::weight).fold(ITEM, usize::saturating_add);
        if depth > MAX_DEPTH {
            return Err(ConsoleFault::new(format!("a value is nested deeper than {MAX_DEPTH}")));
        }
        check_weight(weight)?;
        Ok(Self::Many(shape, Rc::new(ValueItems { values, depth, weight })))
    }

    /// What makes a key the same as another.
    fn key(&self) -> Result<marshal::Value, ConsoleFault> {
        match self {
            Self::None | Self::Int(_) | Self::Text(_) => self.to_wire(),
            Self::Bool(value) => Ok(marshal::Value::Int(i64::from(*value))),
            other => Err(ConsoleFault::new(format!("a {} cannot be a key", other.type_name()))),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Many(_, items) => items.depth,
            Self::Method(method) => method.0.depth() + 1,
            _ => 0,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Text(text) => ITEM + text.len(),
            Self::Many(_, items) => items.weight,
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
            Self::Many(Collection::List, _) => "list",
            Self::Many(Collection::Tuple, _) => "tuple",
            Self::Many(Collection::Dict, _) => "dict",
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
            Self::Many(_, items) => !items.values.is_empty(),
            Self::Function(_) | Self::Method(_) | Self::Module(_) | Self::Instance(_) => true,
        }
    }

    /// Python's `repr()`.
    pub(super) fn repr(&self) -> String {
        match self {
            Self::Many(shape, items) => {
                let all: Vec<String> = items.values.iter().map(Self::repr).collect();
                match shape {
                    Collection::List => format!("[{}]", all.join(", ")),
                    Collection::Tuple if all.len() == 1 => format!("({},)", all[0]),
                    Collection::Tuple => format!("({})", all.join(", ")),
                    Collection::Dict => {
                        let pairs: Vec<String> = all.chunks_exact(2).map(|pair| pair.join(": ")).collect();
                        format!("{{{}}}", pairs.join(", "))
                    }
                }
            }
            Self::Function(name) => format!("<function {name}>"),
            Self::Method(method) => format!("<method {} of a {}>", method.1, method.0.type_name()),
            Self::Module(name) => format!("<module {name}>"),
            Self::Instance(instance) => instance.to_string(),
            simple => instance_xml::python_repr(&simple.to_wire().unwrap_or(marshal::Value::None)),
        }
    }

    /// Python's `str()`.
    pub(super) fn str(&self) -> String {
        self.as_str().map_or_else(|| self.repr(), str::to_owned)
    }

    /// The value as SLAP carries it.
    pub(super) fn to_wire(&self) -> Result<marshal::Value, ConsoleFault> {
        let all = |items: &ValueItems| items.values.iter().map(Self::to_wire).collect::<Result<_, _>>();
        Ok(match self {
            Self::None => marshal::Value::None,
            Self::Bool(value) => marshal::Value::Bool(*value),
            Self::Int(value) => marshal::Value::Int(*value),
            Self::Float(value) => marshal::Value::Float(*value),
            Self::Text(text) => marshal::Value::from(&**text),
            Self::Many(Collection::List, items) => marshal::Value::List(all(items)?),
            Self::Many(Collection::Tuple, items) => marshal::Value::Tuple(all(items)?),
            Self::Many(Collection::Dict, items) => {
                let pairs = items.pairs().map(|(key, value)| Ok((key.to_wire()?, value.to_wire()?)));
                marshal::Value::Dict(pairs.collect::<Result<_, ConsoleFault>>()?)
            }
            other => return Err(ConsoleFault::new(format!("a {} cannot be sent", other.type_name()))),
        })
    }

    /// What came from a master.
    pub(super) fn of_wire(value: &marshal::Value) -> Result<Self, ConsoleFault> {
        let all = |items: &[marshal::Value]| items.iter().map(Self::of_wire).collect::<Result<_, _>>();
        match value {
            marshal::Value::None => Ok(Self::None),
            marshal::Value::Bool(value) => Ok(Self::Bool(*value)),
            marshal::Value::Int(value) => Ok(Self::Int(*value)),
            marshal::Value::Float(value) => Ok(Self::Float(*value)),
            marshal::Value::List(items) | marshal::Value::Set(items) => Self::list(all(items)?),
            marshal::Value::Tuple(items) => Self::many(Collection::Tuple, all(items)?),
            marshal::Value::Dict(pairs) => {
                let flat = pairs.iter().flat_map(|(key, value)| [key, value]).map(Self::of_wire);
                Self::many(Collection::Dict, flat.collect::<Result<_, _>>()?)
            }
            other => Ok(Self::text(&instance_xml::python_str(other))),
        }
    }

    /// The value as JSON.
    pub(super) fn to_json(&self) -> Result<Json, ConsoleFault> {
        Ok(match self {
            Self::None => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(value.0),
            Self::Text(text) => Json::from(&**text),
            Self::Many(Collection::Dict, items) => {
                let members = items.pairs().map(|(key, value)| Ok((key.str(), value.to_json()?)));
                Json::Object(members.collect::<Result<_, ConsoleFault>>()?)
            }
            Self::Many(_, items) => {
                Json::Array(items.values.iter().map(Self::to_json).collect::<Result<_, _>>()?)
            }
            other => return Err(ConsoleFault::new(format!("a {} is no JSON", other.type_name()))),
        })
    }

    /// What JSON says.
    pub(super) fn of_json(json: &Json) -> Result<Self, ConsoleFault> {
        match json {
            Json::Null => Ok(Self::None),
            Json::Bool(value) => Ok(Self::Bool(*value)),
            Json::Number(number) => Ok(match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => Self::Float(Float(number)),
                (None, None) => Self::text(&number.to_string()),
            }),
            Json::String(text) => Ok(Self::text(text)),
            Json::Array(items) => Self::list(items.iter().map(Self::of_json).collect::<Result<_, _>>()?),
            Json::Object(members) => {
                let mut flat = Vec::with_capacity(2 * members.len());
                for (key, value) in members {
                    flat.extend([Self::text(key), Self::of_json(value)?]);
                }
                Self::many(Collection::Dict, flat)
            }
        }
    }
}
