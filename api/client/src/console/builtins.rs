//! The functions of the console by their names and arguments, and the methods of its values.

use super::fault::Fault;
use super::instance;
use super::value::Value;

/// The functions that are there from the start.
pub(super) const FUNCTIONS: [&str; 5] = ["request", "supply", "dir", "help", "print"];

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
        let given = self.positional.len();
        if given > N {
            return Err(Fault::new(format!("{function}() takes {N} arguments at most, not {given}")));
        }
        let mut positional = self.positional.into_iter();
        let mut bound = [const { None }; N].map(|_: Option<Value>| positional.next());
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

/// A text, or nothing.
pub(super) fn text(function: &str, name: &str, value: Option<Value>) -> Result<Option<String>, Fault> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.to_string())),
        Some(other) => {
            Err(Fault::new(format!("{function}(): {name} must be a text, not a {}", other.type_name())))
        }
    }
}

/// The names of a value's methods.
pub(super) fn methods(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Instance(_) => &instance::METHODS,
        Value::Module("json") => &["dumps", "loads"],
        _ => &[],
    }
}

/// Calls a method of a value that has it.
pub(super) fn call_method(value: &Value, name: &'static str, arguments: Arguments) -> Result<Value, Fault> {
    match value {
        Value::Instance(instance) => instance.call(name, arguments),
        _ if name == "dumps" => {
            let [value] = arguments.required("json.dumps", ["value"])?;
            Ok(Value::text(&value.to_json()?.to_string()))
        }
        _ => {
            let [given] = arguments.required("json.loads", ["text"])?;
            let given = text("json.loads", "text", Some(given))?.unwrap_or_default();
            let wrong = |error| Fault::new(format!("json.loads(): {error}"));
            Value::of_json(&serde_json::from_str(&given).map_err(wrong)?)
        }
    }
}
