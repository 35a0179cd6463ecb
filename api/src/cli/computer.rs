//! `slapledger computer`: what offers partitions.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::client::{self, text_of};
use super::options::Client;
use super::print::say;
use super::table::table;
use crate::slap::wire::computer_config;
use crate::slap::wire::marshal::{self, Float, Value};

#[derive(Subcommand)]
pub(super) enum Computer {
    /// List computers
    List(List),
    /// Show a computer: its partitions and its software
    #[command(visible_alias = "info")]
    Show(Show),
    /// Say what computers offer, as `slapos node format` does
    ///
    /// A file is the JSON of what `slapos node format` sends, or that itself (marshalled XML):
    ///
    ///     {"reference": "COMP-1", "address": "10.0.0.1", "netmask": "255.255.255.0",
    ///      "partition_list": [{"reference": "slappart0", "tap": {"name": "tap0"},
    ///                          "address_list": [{"addr": "10.0.1.1", "netmask": "255.255.255.255"}]}]}
    ///
    /// Partitions that are not named any more are withdrawn.
    #[command(verbatim_doc_comment)]
    Format(Format),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    client: Client,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Show {
    /// Its reference (COMP-1)
    computer: String,
    #[command(flatten)]
    client: Client,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Format {
    /// What a computer offers
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    client: Client,
}

pub(super) fn run(computer: &Computer) -> anyhow::Result<()> {
    match computer {
        Computer::List(asked) => list(asked),
        Computer::Show(asked) => show(asked),
        Computer::Format(asked) => format(asked),
    }
}

fn list(asked: &List) -> anyhow::Result<()> {
    let (master, _) = asked.client.open()?;
    let items = client::list(master.url(), "/v1/computers", &[])?;
    if asked.json {
        say!("{}", serde_json::to_string_pretty(&items)?);
        return Ok(());
    }
    let mut rows = table(&["computer", "address", "free", "busy", "withdrawn", "configured"], &[2, 3, 4]);
    for computer in &items {
        let partitions = &computer["partitions"];
        rows.add_row([
            text_of(&computer["id"]).to_owned(),
            text_of(&computer["address"]).to_owned(),
            partitions["free"].to_string(),
            partitions["busy"].to_string(),
            partitions["withdrawn"].to_string(),
            computer["configured_at"].as_str().unwrap_or("never").to_owned(),
        ]);
    }
    say!("{rows}");
    Ok(())
}

fn show(asked: &Show) -> anyhow::Result<()> {
    let (master, catalogue) = asked.client.open()?;
    let computer = client::get(master.url(), &client::path(&["v1", "computers", &asked.computer]), &[])?;
    if asked.json {
        say!("{}", serde_json::to_string_pretty(&computer)?);
        return Ok(());
    }
    let configured = computer["configured_at"].as_str().unwrap_or("never");
    say!("computer    {}", text_of(&computer["id"]));
    say!("address     {}", text_of(&computer["address"]));
    say!("configured  {configured}");
    let items = |member: &str| computer[member].as_array().cloned().unwrap_or_default();
    let mut partitions = table(&["partition", "state", "instance", "addresses"], &[]);
    for partition in items("partition_list") {
        let addresses = partition["addresses"].as_array().into_iter().flatten();
        let addresses: Vec<_> = addresses.map(|told| text_of(&told["address"])).collect();
        partitions.add_row([
            text_of(&partition["id"]),
            text_of(&partition["state"]),
            text_of(&partition["instance"]),
            &addresses.join(" "),
        ]);
    }
    say!("\n{partitions}");
    let software = items("software");
    if !software.is_empty() {
        let mut rows = table(&["software", "wanted", "reported", "error"], &[]);
        for supply in software {
            let error = text_of(&supply["error"]).trim();
            rows.add_row([
                catalogue.name(text_of(&supply["software_release"])),
                text_of(&supply["state"]),
                text_of(&supply["reported_state"]),
                error.lines().last().unwrap_or(""),
            ]);
        }
        say!("\n{rows}");
    }
    Ok(())
}

fn format(asked: &Format) -> anyhow::Result<()> {
    let (master, _) = asked.client.open()?;
    // All of them are read before one is sent.
    let read = |file: &PathBuf| configuration(file).with_context(|| format!("read {}", file.display()));
    for (computer, partitions, xml) in asked.files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()? {
        master.configure(&computer, &xml)?;
        say!("{computer} offers {partitions} partitions");
    }
    Ok(())
}

/// The computer, how many partitions it offers, and the marshalled document.
fn configuration(file: &Path) -> anyhow::Result<(String, usize, String)> {
    let text = client::read(file)?;
    let value = if text.trim_start().starts_with('<') {
        marshal::read(text.trim())?
    } else {
        marshalled(&serde_json::from_str(&text)?)
    };
    let config = computer_config::read(&value)?;
    Ok((config.reference.clone(), config.partitions.len(), marshal::write(&value)?))
}

/// JSON as Python's `json` reads it.
fn marshalled(json: &Json) -> Value {
    match json {
        Json::Null => Value::None,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| Value::Float(Float(number.as_f64().unwrap_or(f64::NAN))), Value::Int),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::List(items.iter().map(marshalled).collect()),
        Json::Object(members) => {
            Value::dict(members.iter().map(|(key, value)| (key.as_str(), marshalled(value))))
        }
    }
}
