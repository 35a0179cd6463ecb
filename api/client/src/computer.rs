//! `slapledger computer`: what offers partitions.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value as Json, json};
use slapledger_slap_wire::computer_config;
use slapledger_slap_wire::marshal::{self, Float, Value};
use ureq::http::Method;

use super::options::{Client, ReadSourceArgs};
use super::print::say;
use super::request::options;
use super::table::table;
use super::user::CertificateTarget;
use crate::invoices::{self, text_of};

#[derive(Subcommand)]
pub enum ComputerCommand {
    /// List computers
    List(ComputerListArgs),
    /// Show a computer: its partitions and its software
    #[command(visible_alias = "info")]
    Show(ComputerShowArgs),
    /// Register a computer and print its reference; titles are unique
    Register(Register),
    /// Change the title and attributes of a computer
    Describe(DescribeArgs),
    /// Restrict who and what a computer serves
    Scope(ScopeArgs),
    /// Retire a lost computer; its instances move or end
    Retire(Retire),
    /// Release a lost partition; its instance moves or ends
    Release(ReleaseArgs),
    /// Issue the certificate of a computer: COMP-1.crt and COMP-1.key
    Certificate(Certificate),
    /// Add example partitions and software, to try requests
    ///
    /// Offers partitions without network of their own on a computer, and publishes kvm and mysql as products, so that
    /// `slapledger request i1 kvm` finds both. No software runs in them. Changes nothing on a computer that has
    /// partitions.
    Example(Example),
    /// Publish the partitions of computers, as `slapos node format` does
    ///
    /// A file is the JSON of what `slapos node format` sends, or that itself (marshalled XML):
    ///
    ///     {"reference": "COMP-1", "address": "10.0.0.1", "netmask": "255.255.255.0",
    ///      "partition_list": [{"reference": "slappart0", "tap": {"name": "tap0"},
    ///                          "address_list": [{"addr": "10.0.1.1", "netmask": "255.255.255.255"}]}]}
    ///
    /// Partitions that the file no longer names are withdrawn.
    #[command(verbatim_doc_comment)]
    Format(FormatArgs),
}

#[derive(Args)]
pub struct ComputerListArgs {
    #[command(flatten)]
    client: ReadSourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ComputerShowArgs {
    /// Its reference (COMP-1)
    computer: String,
    #[command(flatten)]
    client: ReadSourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Register {
    /// Title
    title: String,
    #[command(flatten)]
    client: Client,
}

#[derive(Args)]
pub struct DescribeArgs {
    /// Its reference (COMP-1)
    computer: String,
    #[command(flatten)]
    client: Client,
    /// Label
    #[arg(long)]
    title: Option<String>,
    /// Attribute for filters (region=eu, group=a, ...); KEY= removes it
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    attribute: Vec<String>,
}

#[derive(Args)]
pub struct ScopeArgs {
    /// Its reference (COMP-1)
    computer: String,
    /// Who may request instances
    #[arg(value_name = "SCOPE")]
    whom: Whom,
    #[command(flatten)]
    client: Client,
    /// A member of the group (PARTY-3)
    #[arg(long = "member", value_name = "PARTY", num_args = 1..)]
    members: Vec<String>,
    /// Only this software: short name, product.NAME or address; repeatable
    #[arg(long, num_args = 1..)]
    software: Vec<String>,
    /// At most this many instances
    #[arg(long, value_name = "N")]
    capacity: Option<u32>,
}

#[derive(Args)]
pub struct Retire {
    /// Its reference (COMP-1)
    computer: String,
    #[command(flatten)]
    client: Client,
}

#[derive(Args)]
pub struct ReleaseArgs {
    /// The reference of its computer (COMP-1)
    computer: String,
    /// Its name (slappart0)
    partition: String,
    #[command(flatten)]
    client: Client,
}

#[derive(Args)]
pub struct Certificate {
    /// Its reference (COMP-1)
    computer: String,
    /// Revoke its certificate
    #[arg(long, conflicts_with = "out")]
    revoke: bool,
    /// With --revoke: also revoke the certificates of its instances
    #[arg(long, requires = "revoke")]
    with_instances: bool,
    /// Folder for the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    client: Client,
}

/// Software that an example publishes: names, and releases of SlapOS.
pub const EXAMPLE_SOFTWARE: [(&str, &str); 2] = [
    ("kvm", "https://lab.nexedi.com/nexedi/slapos/raw/1.0.420/software/kvm/software.cfg"),
    ("mysql", "https://lab.nexedi.com/nexedi/slapos/raw/1.0.420/software/mariadb/software.cfg"),
];

#[derive(Args)]
pub struct Example {
    /// Its reference
    #[arg(default_value = "computer")]
    computer: String,
    /// How many partitions
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..))]
    partitions: u8,
    #[command(flatten)]
    client: Client,
}

#[derive(Clone, Copy, ValueEnum)]
enum Whom {
    Open,
    Personal,
    Group,
    Closed,
}

#[derive(Args)]
pub struct FormatArgs {
    /// File of a computer
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    client: Client,
}

pub fn run(computer: &ComputerCommand) -> anyhow::Result<()> {
    match computer {
        ComputerCommand::List(asked) => list(asked),
        ComputerCommand::Show(asked) => show(asked),
        ComputerCommand::Register(asked) => {
            let (master, _) = asked.client.open()?;
            say!("{}", master.register(&asked.title)?);
            Ok(())
        }
        ComputerCommand::Describe(asked) => describe(asked),
        ComputerCommand::Scope(asked) => scope(asked),
        ComputerCommand::Certificate(asked) => certificate(asked),
        ComputerCommand::Retire(asked) => retire(asked),
        ComputerCommand::Release(asked) => release(asked),
        ComputerCommand::Example(asked) => example(asked),
        ComputerCommand::Format(asked) => format(asked),
    }
}

fn list(asked: &ComputerListArgs) -> anyhow::Result<()> {
    let (master, _) = asked.client.open()?;
    let items = master.server().list("/v1/computers", &[])?;
    if asked.json {
        say!("{}", serde_json::to_string_pretty(&items)?);
        return Ok(());
    }
    let mut rows = table(
        &["computer", "title", "address", "free", "busy", "lost", "withdrawn", "configured"],
        &[3, 4, 5, 6],
    );
    for computer in &items {
        let partitions = &computer["partitions"];
        rows.add_row([
            text_of(&computer["id"]).to_owned(),
            text_of(&computer["title"]).to_owned(),
            text_of(&computer["address"]).to_owned(),
            partitions["free"].to_string(),
            partitions["busy"].to_string(),
            partitions["lost"].to_string(),
            partitions["withdrawn"].to_string(),
            computer["configured_at"].as_str().unwrap_or("never").to_owned(),
        ]);
    }
    rows.print();
    Ok(())
}

fn show(asked: &ComputerShowArgs) -> anyhow::Result<()> {
    let (master, catalogue) = asked.client.open()?;
    let computer = master.server().get(&invoices::path(&["v1", "computers", &asked.computer]), &[])?;
    if asked.json {
        say!("{}", serde_json::to_string_pretty(&computer)?);
        return Ok(());
    }
    say_facts(&computer);
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
    say!("");
    partitions.print();
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
        say!("");
        rows.print();
    }
    Ok(())
}

fn describe(asked: &DescribeArgs) -> anyhow::Result<()> {
    let (master, _) = asked.client.open()?;
    let mut body = json!({});
    if let Some(title) = &asked.title {
        body["title"] = Json::from(title.as_str());
    }
    for (key, value) in options("--attribute", &asked.attribute)? {
        let value = value.as_str().filter(|value| !value.is_empty());
        body["attributes"][key] = value.map_or(Json::Null, Json::from);
    }
    let path = invoices::path(&["v1", "computers", &asked.computer]);
    let told = master.server().change(Method::PATCH, &path, &body)?;
    say_facts(&told);
    Ok(())
}

fn scope(asked: &ScopeArgs) -> anyhow::Result<()> {
    let (master, catalogue) = asked.client.open()?;
    let software = asked.software.iter().map(|name| catalogue.release_by(&master, name));
    let scope = asked.whom.to_possible_value();
    let mut body = json!({
        "scope": scope.as_ref().map(PossibleValue::get_name),
        "group": asked.members,
        "software": software.collect::<anyhow::Result<Vec<_>>>()?,
    });
    if let Some(capacity) = asked.capacity {
        body["capacity"] = capacity.into();
    }
    let path = invoices::path(&["v1", "computers", &asked.computer, "allocation-scope"]);
    say_facts(&master.server().change(Method::PUT, &path, &body)?);
    Ok(())
}

fn retire(asked: &Retire) -> anyhow::Result<()> {
    let path = invoices::path(&["v1", "computers", &asked.computer]);
    let computer = asked.client.server()?.delete(&path)?;
    say!("{} is retired since {}", text_of(&computer["id"]), text_of(&computer["retired_at"]));
    Ok(())
}

fn release(asked: &ReleaseArgs) -> anyhow::Result<()> {
    let path = invoices::path(&["v1", "computers", &asked.computer, "partitions", &asked.partition]);
    let computer = asked.client.server()?.delete(&path)?;
    say!("{} of {} is released", asked.partition, text_of(&computer["id"]));
    Ok(())
}

fn certificate(asked: &Certificate) -> anyhow::Result<()> {
    let server = asked.client.server()?;
    let path = invoices::path(&["v1", "computers", &asked.computer, "certificate"]);
    if asked.revoke {
        let path = if asked.with_instances { path + "?with_instances=true" } else { path };
        let computer = server.delete(&path)?;
        let and = if asked.with_instances { " with what is on it" } else { "" };
        say!("{}{and} comes in no more", text_of(&computer["id"]));
        return Ok(());
    }
    std::fs::create_dir_all(&asked.out).with_context(|| format!("create {}", asked.out.display()))?;
    // A name with a slash is no computer's, and names no file.
    let places = CertificateTarget::at(&asked.out, &asked.computer.replace('/', "_"))?;
    let told = server.post_json(&path, &json!({}))?;
    let lost = || format!("{} has a certificate whose key is lost; --revoke it", asked.computer);
    let files = places.take(&told).with_context(lost)?;
    for file in files {
        say!("{}", file.display());
    }
    Ok(())
}

/// What a computer is, a line for each fact that is told.
fn say_facts(computer: &Json) {
    let texts = |value: &Json| {
        let items = value.as_array().into_iter().flatten();
        items.map(text_of).collect::<Vec<_>>().join(" ")
    };
    let attributes = computer["attributes"].as_object().into_iter().flatten();
    let attributes: Vec<_> = attributes.map(|(key, value)| format!("{key}={}", text_of(value))).collect();
    let scope = &computer["allocation_scope"];
    let capacity = scope["capacity"].as_u64().map(|capacity| capacity.to_string());
    let configured = computer["configured_at"].as_str().unwrap_or("never");
    let group = texts(&scope["group"]);
    let facts = [
        ("computer", text_of(&computer["id"])),
        ("title", text_of(&computer["title"])),
        ("address", text_of(&computer["address"])),
        ("configured", configured),
        ("silent since", text_of(&computer["silent_since"])),
        ("retired", text_of(&computer["retired_at"])),
        ("attributes", &attributes.join(" ")),
        ("scope", text_of(&scope["scope"])),
        ("members", &group),
        ("software", &texts(&scope["software"])),
        ("capacity", capacity.as_deref().unwrap_or_default()),
    ];
    for (name, fact) in facts.into_iter().filter(|(_, fact)| !fact.is_empty()) {
        say!("{name:<14}{fact}");
    }
}

fn format(asked: &FormatArgs) -> anyhow::Result<()> {
    let (master, _) = asked.client.open()?;
    // All of them are read before one is sent.
    let read = |file: &PathBuf| configuration(file).with_context(|| format!("read {}", file.display()));
    for (computer, partitions, xml) in asked.files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()? {
        master.configure(&computer, &xml)?;
        say!("{computer} offers {partitions} partitions");
    }
    Ok(())
}

fn example(asked: &Example) -> anyhow::Result<()> {
    let (master, _) = asked.client.open()?;
    let server = master.server();
    let known = server.get(&invoices::path(&["v1", "computers", &asked.computer]), &[])?;
    let partitions = known["partition_list"].as_array().map_or(0, Vec::len);
    if partitions == 0 {
        let offers = (0..asked.partitions).map(|n| {
            json!({
                "reference": format!("slappart{n}"), "tap": {"name": format!("slaptap{n}")},
                "address_list": [{"addr": format!("127.0.1.{n}"), "netmask": "255.255.255.255"}],
            })
        });
        let config = json!({
            "reference": asked.computer, "address": "127.0.0.1", "netmask": "255.0.0.0",
            "partition_list": offers.collect::<Vec<_>>(),
        });
        master.configure(&asked.computer, &marshal::write(&marshalled(&config))?)?;
        say!("{} offers {} partitions", asked.computer, asked.partitions);
    } else {
        say!("{} has {partitions} partitions", asked.computer);
    }
    let products = server.list("/v1/products", &[])?;
    for (product, release) in EXAMPLE_SOFTWARE {
        if !products.iter().any(|known| known["product"] == product) {
            server.post_json("/v1/products", &json!({"product": product, "software_release": release}))?;
            say!("{product} is {release}");
        }
    }
    Ok(())
}

/// The computer, how many partitions it offers, and the marshalled document.
fn configuration(file: &Path) -> anyhow::Result<(String, usize, String)> {
    let text = invoices::read(file)?;
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
