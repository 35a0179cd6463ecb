//! The functions of the console, and the methods of its values.

use super::fault::Fault;
use super::instance;
use super::value::{ITEM, Value, check_weight};

/// A function that is there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Request,
    Supply,
    Dir,
    Help,
    Int,
    Len,
    Print,
    Range,
    Repr,
    Sorted,
    Str,
    Type,
}

/// All of them.
pub(super) const FUNCTIONS: [Function; 12] = [
    Function::Request,
    Function::Supply,
    Function::Dir,
    Function::Help,
    Function::Int,
    Function::Len,
    Function::Print,
    Function::Range,
    Function::Repr,
    Function::Sorted,
    Function::Str,
    Function::Type,
];

impl Function {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Supply => "supply",
            Self::Dir => "dir",
            Self::Help => "help",
            Self::Int => "int",
            Self::Len => "len",
            Self::Print => "print",
            Self::Range => "range",
            Self::Repr => "repr",
            Self::Sorted => "sorted",
            Self::Str => "str",
            Self::Type => "type",
        }
    }
}

/// What a function is called with.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(String, Value)>,
}

impl Arguments {
    /// Arguments by their names, the first `needed` of which must be given.
    pub(super) fn bind<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
        needed: usize,
    ) -> Result<[Option<Value>; N], Fault> {
        let mut bound = [const { None }; N];
        let given = self.positional.len();
        if given > N {
            return Err(Fault::new(format!("{function}() takes {N} arguments at most, not {given}")));
        }
        for (place, value) in bound.iter_mut().zip(self.positional) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            let Some(index) = names.iter().position(|known| *known == name) else {
                return Err(Fault::new(format!("{function}() has no argument {name}")));
            };
            if bound[index].replace(value).is_some() {
                return Err(Fault::new(format!("{function}(): {name} is given twice")));
            }
        }
        match bound.iter().take(needed).position(Option::is_none) {
            Some(missing) => Err(Fault::new(format!("{function}(): {} is missing", names[missing]))),
            None => Ok(bound),
        }
    }

    /// Arguments that must all be given.
    pub(super) fn required<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
    ) -> Result<[Value; N], Fault> {
        Ok(self.bind(function, names, N)?.map(|value| value.unwrap_or(Value::None)))
    }
}

/// The names of a value's methods.
pub(super) fn methods(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Instance(_) => &instance::METHODS,
        Value::Text(_) => &["endswith", "join", "lower", "replace", "split", "startswith", "strip", "upper"],
        Value::Dict(_) => &["get", "items", "keys", "values"],
        Value::Module("json") => &["dumps", "loads"],
        _ => &[],
    }
}

/// Calls a method of a value that has it.
pub(super) fn call_method(value: &Value, name: &'static str, arguments: Arguments) -> Result<Value, Fault> {
    match value {
        Value::Instance(instance) => instance.call(name, arguments),
        Value::Text(text) => text_method(text, name, arguments),
        Value::Dict(pairs) => {
            let pairs = &pairs.entries;
            if name == "get" {
                let [key, default] = arguments.bind(name, ["key", "default"], 1)?;
                let found = key.and_then(|key| pairs.iter().find(|(known, _)| known.equals(&key)));
                return Ok(found.map(|(_, value)| value.clone()).or(default).unwrap_or(Value::None));
            }
            let [] = arguments.required(name, [])?;
            let pairs = pairs.iter();
            let listed: Result<Vec<_>, Fault> = match name {
                "keys" => Ok(pairs.map(|(key, _)| key.clone()).collect()),
                "values" => Ok(pairs.map(|(_, value)| value.clone()).collect()),
                _ => pairs.map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()])).collect(),
            };
            Value::list(listed?)
        }
        _ => json_function(name, arguments),
    }
}

fn json_function(name: &'static str, arguments: Arguments) -> Result<Value, Fault> {
    if name == "dumps" {
        let [value] = arguments.required("json.dumps", ["value"])?;
        return Ok(Value::text(&value.to_json()?.to_string()));
    }
    let [text] = arguments.required("json.loads", ["text"])?;
    let text = text.as_str().ok_or_else(|| Fault::new("json.loads(): text must be a text"))?;
    let json = serde_json::from_str(text).map_err(|error| Fault::new(format!("json.loads(): {error}")))?;
    Value::of_json(&json)
}

fn text_method(text: &str, name: &'static str, arguments: Arguments) -> Result<Value, Fault> {
    let given = |value: &Value, what: &str| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| Fault::new(format!("{name}(): {what} must be a text")))
    };
    match name {
        "startswith" => {
            let [start] = arguments.required(name, ["prefix"])?;
            Ok(Value::Bool(text.starts_with(&given(&start, "prefix")?)))
        }
        "endswith" => {
            let [end] = arguments.required(name, ["suffix"])?;
            Ok(Value::Bool(text.ends_with(&given(&end, "suffix")?)))
        }
        "join" => {
            let [items] = arguments.required(name, ["items"])?;
            let items =
                items.items()?.iter().map(|item| given(item, "every item")).collect::<Result<Vec<_>, _>>()?;
            let weight = items.iter().map(|item| item.len() + text.len()).fold(ITEM, usize::saturating_add);
            check_weight(weight)?;
            Ok(Value::text(&items.join(text)))
        }
        "replace" => {
            let [old, new] = arguments.required(name, ["old", "new"])?;
            let (old, new) = (given(&old, "old")?, given(&new, "new")?);
            let times = text.matches(&old).count();
            check_weight(text.len().saturating_add(times.saturating_mul(new.len())))?;
            Ok(Value::text(&text.replace(&old, &new)))
        }
        "split" => {
            let [separator] = arguments.bind(name, ["separator"], 0)?;
            let parts: Vec<_> = match separator {
                None | Some(Value::None) => text.split_whitespace().map(Value::text).collect(),
                Some(separator) => match given(&separator, "separator")?.as_str() {
                    "" => return Err(Fault::new("split(): separator is empty")),
                    separator => text.split(separator).map(Value::text).collect(),
                },
            };
            Value::list(parts)
        }
        _ => {
            let [] = arguments.required(name, [])?;
            Ok(Value::text(&match name {
                "lower" => text.to_lowercase(),
                "upper" => text.to_uppercase(),
                _ => text.trim().to_owned(),
            }))
        }
    }
}
