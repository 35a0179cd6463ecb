//! The functions of the console by their names and arguments, and the methods of its values.

use super::fault::ConsoleFault;
use super::instance;
use super::value::{Arguments, ConsoleValue};

/// The functions that are there from the start.
pub(super) const FUNCTIONS: [&str; 5] = ["request", "supply", "dir", "help", "print"];

/// A text, or nothing.
pub(super) fn text(
    function: &str,
    name: &str,
    value: Option<ConsoleValue>,
) -> Result<Option<String>, ConsoleFault> {
    match value {
        None | Some(ConsoleValue::None) => Ok(None),
        Some(ConsoleValue::Text(text)) => Ok(Some(text.to_string())),
        Some(other) => Err(ConsoleFault::new(format!(
            "{function}(): {name} must be a text, not a {}",
            other.type_name()
        ))),
    }
}

/// The names of a value's methods.
pub(super) fn methods(value: &ConsoleValue) -> &'static [&'static str] {
    match value {
        ConsoleValue::Instance(_) => &instance::METHODS,
        ConsoleValue::Module("json") => &["dumps", "loads"],
        _ => &[],
    }
}

/// Calls a method of a value that has it.
pub(super) fn call_method(
    value: &ConsoleValue,
    name: &'static str,
    arguments: Arguments,
) -> Result<ConsoleValue, ConsoleFault> {
    match value {
        ConsoleValue::Instance(instance) => instance.call(name, arguments),
        _ if name == "dumps" => {
            let [value] = arguments.required("json.dumps", ["value"])?;
            Ok(ConsoleValue::text(&value.to_json()?.to_string()))
        }
        _ => {
            let [given] = arguments.required("json.loads", ["text"])?;
            let given = text("json.loads", "text", Some(given))?.unwrap_or_default();
            let wrong = |error| ConsoleFault::new(format!("json.loads(): {error}"));
            ConsoleValue::of_json(&serde_json::from_str(&given).map_err(wrong)?)
        }
    }
}
