//! Whether the explanations of a proof are those that its events give.

use anyhow::{bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use slapledger_billing::proof::explain_proved;
use slapledger_core::log::envelope::Recorded;

/// The most characters of a value that are printed.
const MOST_PRINTED: usize = 120;

/// A line and its explanation, as a proof has them.
#[derive(Deserialize)]
pub(super) struct ToldExplanation {
    line: u32,
    explanation: Value,
}

/// Compares the explanations of a proof with what the events give; whether there were any to compare. A proof of an earlier
/// version has none.
pub(super) fn compare(
    told: &[ToldExplanation],
    events: &[Recorded],
    (invoice, line): (&str, Option<u32>),
) -> anyhow::Result<bool> {
    let derived = explain_proved(events, invoice, line)?;
    if told.is_empty() {
        return Ok(derived.is_empty());
    }
    ensure!(
        told.len() == derived.len(),
        "the proof explains {} lines, the events give {}",
        told.len(),
        derived.len()
    );
    for (told, derived) in told.iter().zip(&derived) {
        ensure!(
            told.line == derived.line,
            "the proof explains line {} in the place of line {}",
            told.line,
            derived.line
        );
        let given: Value = serde_json::from_str(&serde_json::to_string(&derived.explanation)?)?;
        if let Some(ExplanationDifference { path, told, given }) =
            difference("explanation", &told.explanation, &given)
        {
            bail!("line {}: {path} is {told}, the events give {given}", derived.line);
        }
    }
    Ok(true)
}

/// The first value that differs.
#[derive(Debug, PartialEq, Eq)]
struct ExplanationDifference {
    path: String,
    told: String,
    given: String,
}

fn difference(path: &str, told: &Value, given: &Value) -> Option<ExplanationDifference> {
    if told == given {
        return None;
    }
    let inner = match (told, given) {
        (Value::Object(told), Value::Object(given)) => {
            let names = given.keys().chain(told.keys());
            let mut pairs = names.map(|name| (name, told.get(name), given.get(name)));
            pairs.find_map(|(name, told, given)| {
                let (told, given) = (told.unwrap_or(&Value::Null), given.unwrap_or(&Value::Null));
                difference(&format!("{path}.{name}"), told, given)
            })
        }
        (Value::Array(told), Value::Array(given)) if told.len() == given.len() => {
            let mut pairs = told.iter().zip(given).enumerate();
            pairs.find_map(|(at, (told, given))| difference(&format!("{path}[{at}]"), told, given))
        }
        _ => None,
    };
    // Without a member that differs, one of them has `null` where the other has nothing.
    Some(inner.unwrap_or_else(|| ExplanationDifference {
        path: path.into(),
        told: printed(told),
        given: printed(given),
    }))
}

fn printed(value: &Value) -> String {
    value.to_string().chars().take(MOST_PRINTED).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::difference;

    #[test]
    fn the_first_difference_is_named_with_its_path() {
        let given = json!({"amount": "1.00", "steps": [{"n": 1}, {"n": 2}], "tax": {"rate": "20"}});
        let said = |told: &Value| {
            let found = difference("explanation", told, &given)?;
            Some(format!("{} {} {}", found.path, found.told, found.given))
        };
        assert_eq!(said(&given), None);
        let mut told = given.clone();
        told["steps"][1]["n"] = json!(3);
        assert_eq!(said(&told).as_deref(), Some("explanation.steps[1].n 3 2"));
        let mut told = given.clone();
        told["steps"] = json!([]);
        assert_eq!(said(&told).as_deref(), Some(r#"explanation.steps [] [{"n":1},{"n":2}]"#));
        let mut told = given.clone();
        told["more"] = json!(true);
        assert_eq!(said(&told).as_deref(), Some("explanation.more true null"));
        let mut told = given.clone();
        told["more"] = Value::Null;
        assert!(said(&told).is_some_and(|said| said.starts_with("explanation {")), "null is not nothing");
    }
}
