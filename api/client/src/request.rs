//! `slapledger request` and `slapledger supply`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};
use slapledger_slap_wire::instance_xml;
use slapledger_slap_wire::marshal::{Float, Value};

use super::master::{Master, MasterError, Placed, Wanted, shown};
use super::options::Client;
use super::print::say;
use super::service::{self, ListedInstance};
use super::table::pair_lines;
use crate::invoices;

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_secs(1);
/// The key under which SLAP carries JSON.
const JSON_KEY: &str = "_";

#[derive(Args)]
pub struct Request {
    /// Name of the instance; unique for its requester
    reference: String,
    /// Address of a release, product.NAME, or a short name
    software: String,
    #[command(flatten)]
    client: Client,
    /// Software type. Default: `default`
    #[arg(long = "type", value_name = "TYPE")]
    software_type: Option<String>,
    /// Requested state. Default: unchanged; `started` for a new instance
    #[arg(long)]
    state: Option<RequestedStateArg>,
    /// A parameter; parameters that are not given are removed
    #[arg(long, visible_alias = "parameters", value_name = "KEY=VALUE", num_args = 1.., conflicts_with = "parameters_file")]
    parameter: Vec<String>,
    /// File of parameters: a JSON object, or instance XML (.xml)
    #[arg(long, value_name = "FILE")]
    parameters_file: Option<PathBuf>,
    /// How the parameters of a JSON file are sent
    #[arg(long, value_name = "HOW", default_value = "xml", requires = "parameters_file")]
    force_serialisation: Serialisation,
    /// Filter of computers: computer_guid=COMP-1, region=eu, ...
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    node: Vec<String>,
    /// Share the partition of an instance of that software
    #[arg(long, visible_alias = "slave")]
    shared: bool,
    /// Wait this long until the node reports the requested state
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RequestedStateArg {
    Started,
    Stopped,
    Destroyed,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Serialisation {
    /// Each member is a parameter: text, number, true or false
    Xml,
    /// The whole object goes as JSON in a parameter `_`
    JsonInXml,
}

pub fn request(asked: &Request) -> anyhow::Result<()> {
    let (master, catalogue) = asked.client.open()?;
    let parameters = match &asked.parameters_file {
        Some(file) => parameters_of(file, asked.force_serialisation)
            .with_context(|| format!("parameters of {}", file.display()))?,
        None => Value::dict(options("--parameter", &asked.parameter)?),
    };
    let state = asked.state.and_then(|state| state.to_possible_value());
    let wanted = Wanted {
        release: catalogue.release_by(&master, &asked.software)?,
        reference: asked.reference.clone(),
        software_type: asked.software_type.clone(),
        parameters,
        filter: Value::dict(options("--node", &asked.node)?),
        state: state.map(|state| state.get_name().to_owned()),
        is_shared: asked.shared,
    };
    let placed = match asked.wait {
        None => master.request(&wanted).map_err(anyhow::Error::from),
        Some(seconds) => wait(&master, &wanted, Duration::from_secs(seconds)),
    };
    let is_unplaced = match &placed {
        Ok(placed) => placed.partition.is_empty(),
        Err(error) => matches!(error.downcast_ref(), Some(MasterError::NotReady(_))),
    };
    if wanted.is_destruction() && is_unplaced {
        // An instance that waited for a partition ends at once; one that never existed, or is gone, stays gone.
        if asked.json {
            return invoices::print_json(&json!({"reference": wanted.reference, "state": "destroyed"}));
        }
        say!("{} is destroyed: it has no partition", wanted.reference);
        return Ok(());
    }
    let placed = placed?;
    if asked.json {
        say!("{}", serde_json::to_string_pretty(&as_json(&wanted, &placed))?);
        return Ok(());
    }
    say!("{} is requested: {} on {} {}", wanted.reference, placed.state, placed.computer, placed.partition);
    let connection = expanded(&placed.connection);
    if connection.is_empty() && placed.state != "started" {
        return Ok(());
    }
    if connection.is_empty() {
        say!("It has no connection parameters yet; the same command again shows them when they are there.");
    } else {
        say!("Connection parameters:");
        say!("{}", pair_lines(&connection));
    }
    Ok(())
}

/// Asks until its node has it in the state that is asked for.
fn wait(master: &Master, wanted: &Wanted, patience: Duration) -> anyhow::Result<Placed> {
    let until = Instant::now().checked_add(patience).context("--wait: too long")?;
    loop {
        let pending = match master.request(wanted) {
            Ok(placed) => match pending(master, wanted, &placed)? {
                None => return Ok(placed),
                Some(pending) => pending,
            },
            Err(error) if error.is_not_ready() && !wanted.is_destruction() => error,
            // To be destroyed without a partition, an instance is waiting for nothing.
            Err(error) => return Err(error.into()),
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(pending.into());
        }
        sleep(PAUSE.min(left));
    }
}

/// What is still missing.
fn pending(master: &Master, wanted: &Wanted, placed: &Placed) -> anyhow::Result<Option<MasterError>> {
    if placed.partition.is_empty() {
        return Ok(None);
    }
    let instances = service::instances(master.server())?;
    let of = |instance: &&ListedInstance| {
        instance.is_at(&placed.computer, &placed.partition) && instance.title == wanted.reference
    };
    let Some(instance) = instances.iter().find(of) else { return Ok(None) };
    let reported = instance.reported.as_deref();
    let is_there =
        reported == Some(placed.state.as_str()) || wanted.is_shared && !placed.connection.is_empty();
    let pending = MasterError::Pending {
        reference: wanted.reference.clone(),
        wanted: placed.state.clone(),
        reported: reported.unwrap_or("nothing").to_owned(),
    };
    Ok((!is_there).then_some(pending))
}

/// Options such as `key=value`; no key twice.
pub fn options(option: &str, given: &[String]) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut pairs = BTreeMap::new();
    for pair in given {
        let (key, value) =
            pair.split_once('=').with_context(|| format!("{option} {pair}: must be KEY=VALUE"))?;
        ensure!(
            pairs.insert(key.to_owned(), Value::from(value)).is_none(),
            "{option} {pair}: {key} is given twice"
        );
    }
    Ok(pairs)
}

fn parameters_of(file: &Path, serialisation: Serialisation) -> anyhow::Result<Value> {
    let text = invoices::read(file)?;
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml")) {
        let parameters = instance_xml::read(&text)?;
        return Ok(Value::dict(parameters.into_iter().map(|(key, value)| (key, Value::from(value)))));
    }
    let json: Json = serde_json::from_str(&text)?;
    let Json::Object(members) = &json else { bail!("must be a JSON object") };
    let is_wrapped = members.len() == 1 && members.contains_key(JSON_KEY);
    if serialisation == Serialisation::JsonInXml && !is_wrapped {
        return Ok(Value::dict([(JSON_KEY, Value::from(json.to_string()))]));
    }
    let members = members.iter().map(|(key, value)| {
        let value = simple(value).with_context(|| {
            format!(
                "{key}: must be text, a number, true or false; --force-serialisation json-in-xml sends JSON"
            )
        })?;
        Ok((key.clone(), value))
    });
    Ok(Value::dict(members.collect::<anyhow::Result<Vec<_>>>()?))
}

/// A JSON value that is no container, as Python has it.
fn simple(value: &Json) -> Option<Value> {
    match value {
        Json::Null => Some(Value::None),
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_f64().map(|float| Value::Float(Float(float)))),
        Json::String(text) => Some(Value::from(text.as_str())),
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// Pairs to show: of a lone JSON object in `_` its members.
fn expanded(pairs: &[(String, Value)]) -> Vec<(String, String)> {
    if let [(key, value)] = pairs
        && key == JSON_KEY
        && let Ok(Json::Object(members)) = serde_json::from_str(&shown(value))
    {
        let text = |value: Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return members.into_iter().map(|(key, value)| (key, text(value))).collect();
    }
    pairs.iter().map(|(key, value)| (key.clone(), shown(value))).collect()
}

fn as_json(wanted: &Wanted, placed: &Placed) -> Json {
    let object = |pairs: &[(String, Value)]| {
        pairs.iter().map(|(key, value)| (key.clone(), Json::from(shown(value)))).collect::<Json>()
    };
    json!({
        "reference": wanted.reference,
        "instance_guid": placed.guid,
        "state": placed.state,
        "software_release": placed.release,
        "computer": placed.computer,
        "partition": placed.partition,
        "parameters": object(&placed.parameters),
        "connection_parameters": object(&placed.connection),
    })
}

#[derive(Args)]
pub struct SupplyArgs {
    /// Address of a release, product.NAME, or a short name
    software: String,
    /// The computer (COMP-1)
    computer: String,
    #[command(flatten)]
    client: Client,
    /// Remove the software from the computer
    #[arg(long)]
    destroyed: bool,
}

pub fn supply(asked: &SupplyArgs) -> anyhow::Result<()> {
    let (master, catalogue) = asked.client.open()?;
    let release = catalogue.release_by(&master, &asked.software)?;
    let state = if asked.destroyed { "destroyed" } else { "available" };
    master.supply(&release, &asked.computer, state)?;
    say!("{release} is to be {state} on {}", asked.computer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_pairs() {
        let given = ["a=b", "c=d=e", "f="].map(str::to_owned);
        let pairs = options("--parameter", &given).unwrap();
        let expected = [("a", "b"), ("c", "d=e"), ("f", "")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), Value::from(value))).into());
        let error = |given: &[&str]| {
            let given: Vec<_> = given.iter().map(|pair| (*pair).to_owned()).collect();
            options("--node", &given).unwrap_err().to_string()
        };
        assert_eq!(error(&["a"]), "--node a: must be KEY=VALUE");
        assert_eq!(error(&["a=1", "a=2"]), "--node a=2: a is given twice");
    }

    #[test]
    fn parameters_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str, how| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            parameters_of(&file, how).map(|value| instance_xml::python_repr(&value))
        };
        let check = |name: &str, text: &str, how, expected: &str| {
            assert_eq!(read(name, text, how).unwrap(), expected);
        };
        let json = r#"{"a":"b","n":5,"f":0.5,"t":true,"z":null}"#;
        check("a.json", json, Serialisation::Xml, "{'a': 'b', 'f': 0.5, 'n': 5, 't': True, 'z': None}");
        check("a.json", r#"{"a":{"b":[1]}}"#, Serialisation::JsonInXml, r#"{'_': '{"a":{"b":[1]}}'}"#);
        check("a.json", r#"{"_":"{}"}"#, Serialisation::JsonInXml, "{'_': '{}'}");
        let xml = "<instance><parameter id='a'>b</parameter></instance>";
        check("a.XML", xml, Serialisation::JsonInXml, "{'a': 'b'}");
        let refused = |name: &str, text: &str, expected: &str| {
            let error = format!("{:#}", read(name, text, Serialisation::Xml).unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        refused("a.json", r#"{"a":[1]}"#, "a: must be text, a number, true or false");
        refused("a.json", "[]", "must be a JSON object");
        refused("a.json", "{", "EOF");
        refused("a.xml", "<a/>", "unexpected element");
    }

    #[test]
    fn json_in_a_connection_parameter_is_shown_by_member() {
        let pair = |key: &str, value: Value| (key.to_owned(), value);
        let lone = [pair("_", Value::from(r#"{"url":"http://x","n":1}"#))];
        assert_eq!(
            expanded(&lone),
            [("n", "1"), ("url", "http://x")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        let other = [pair("_", Value::from("[1]")), pair("b", Value::None)];
        assert_eq!(expanded(&other), [("_", "[1]"), ("b", "")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
