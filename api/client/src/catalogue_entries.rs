//! Commands about the catalogue of a running server, and the tables that it is filled from.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::options::{QueryOptions, ReadOptions};
use super::print::say;
use super::table::table;
use crate::invoices::path;
use crate::party::plain;

/// The longest file that is imported, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// The catalogue.
#[derive(Subcommand)]
pub enum CatalogueCommand {
    /// List entries with what the log shows of their software
    List {
        /// Only this table: storage, platform, host or story
        #[arg(long)]
        table: Option<String>,
        /// Only what has reached this stage: supported, production, ..
        #[arg(long)]
        stage: Option<String>,
        #[command(flatten)]
        shown: ReadOptions,
    },
    /// Record an entry, or replace what it says
    Add(EntryArgs),
    /// Remove an entry
    Remove {
        /// Its name
        entry: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Record the entries of a file of tables
    ///
    /// The file has the form of fixtures/compatibility.json. Customers of stories must be parties of the same name.
    /// Running it again changes nothing.
    Import {
        /// A JSON file
        file: PathBuf,
        #[command(flatten)]
        shown: QueryOptions,
    },
}

#[derive(Args)]
pub struct EntryArgs {
    /// Its name (mysql)
    entry: String,
    /// Table: storage, platform, host or story
    #[arg(long)]
    table: String,
    /// Title
    #[arg(long)]
    title: String,
    /// Group, or market of a story
    #[arg(long)]
    category: Option<String>,
    /// Name of its releases: the folder of their address
    #[arg(long)]
    software: Option<String>,
    /// considered, planned, supported, tested, used or production
    #[arg(long)]
    stage: Option<String>,
    /// What runs on it
    #[arg(long = "application", value_name = "NAME")]
    applications: Vec<String>,
    /// How a host is reached
    #[arg(long)]
    recipe: Option<String>,
    /// The customer of a story (PARTY-2)
    #[arg(long, value_name = "PARTY")]
    customer: Option<String>,
    /// What a story runs on
    #[arg(long)]
    stack: Option<String>,
    /// The host of a story
    #[arg(long)]
    guest: Option<String>,
    #[command(flatten)]
    shown: QueryOptions,
}

/// The tables of the document of 2011.
#[derive(Deserialize)]
struct Tables {
    #[serde(default)]
    iaas: Rows<HostRow>,
    #[serde(default)]
    storage: Rows<SoftwareRow>,
    #[serde(default)]
    paas: Rows<SoftwareRow>,
    #[serde(default)]
    success_stories: Rows<[String; 6]>,
}

#[derive(Deserialize)]
struct Rows<T> {
    rows: Vec<T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

#[derive(Deserialize)]
struct HostRow {
    name: String,
    recipe: String,
    ticks: u8,
}

#[derive(Deserialize)]
struct SoftwareRow {
    category: String,
    software: String,
    reached: String,
    #[serde(default)]
    applications: Vec<String>,
}

/// An entry of a table, as a body of the route, and the name of its customer.
pub struct ImportedEntry {
    /// Its name.
    pub name: String,
    /// What it says.
    pub says: Map<String, Value>,
    /// The name of its customer.
    pub customer: Option<String>,
}

/// The name of a text in an address: lower case letters and digits, everything else a hyphen.
fn slug(text: &str) -> String {
    text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn entry(name: String, says: Value, customer: Option<String>) -> ImportedEntry {
    let Value::Object(mut says) = says else { return ImportedEntry { name, says: Map::new(), customer } };
    says.retain(|_, value| !value.is_null());
    ImportedEntry { name, says, customer }
}

/// The entries of tables, in their order.
pub fn tables(text: &str) -> anyhow::Result<Vec<ImportedEntry>> {
    let tables: Tables = serde_json::from_str(text)
        .context("the file is not a file of tables, as fixtures/compatibility.json")?;
    let mut entries = Vec::new();
    for (table, rows) in [("storage", tables.storage.rows), ("platform", tables.paas.rows)] {
        for SoftwareRow { category, software, reached, applications } in rows {
            let says = json!({"table": table, "title": software, "category": category, "software": slug(&software),
                "stage": reached, "applications": applications});
            entries.push(entry(format!("{table}-{}", slug(&software)), says, None));
        }
    }
    for HostRow { name, recipe, ticks } in tables.iaas.rows {
        let recipe = (recipe != "N/A").then_some(recipe);
        // The document has ticks without their columns. One tick or more is a host that is supported at least.
        let says = json!({"table": "host", "title": name, "software": slug(&name), "recipe": recipe, "ticks": ticks});
        entries.push(entry(format!("host-{}", slug(&name)), says, None));
    }
    for (nth, [user, market, application, stack, guest, status]) in
        tables.success_stories.rows.into_iter().enumerate()
    {
        let stage = match status.as_str() {
            "Production" => "production",
            "Pre Production" | "Alpha" => "used",
            _ => "tested",
        };
        let says = json!({"table": "story", "title": application, "category": market, "software": slug(&stack),
            "stage": stage, "status": status, "stack": stack, "guest": guest});
        entries.push(entry(format!("story-{:02}", nth + 1), says, Some(user)));
    }
    Ok(entries)
}

/// Carries a command out.
pub fn catalogue(asked: &CatalogueCommand) -> anyhow::Result<()> {
    match asked {
        CatalogueCommand::List { table: of, stage, shown } => {
            let filters = [("table", of.as_deref()), ("stage", stage.as_deref())];
            let entries = shown.client.server()?.list("/v1/catalogue", &filters)?;
            if shown.json {
                say!("{}", serde_json::to_string_pretty(&entries)?);
                return Ok(());
            }
            let columns = ["entry", "table", "title", "group", "said", "shown by the log", "sequence"];
            let mut rows = table(&columns, &[6]);
            for item in &entries {
                let members =
                    ["/id", "/table", "/title", "/category", "/stage", "/shown/stage", "/shown/sequence"];
                rows.add_row(members.map(|member| plain(item.pointer(member))));
            }
            rows.print();
            Ok(())
        }
        CatalogueCommand::Add(told) => {
            let says = json!({"table": told.table, "title": told.title, "category": told.category,
                "software": told.software, "stage": told.stage, "recipe": told.recipe, "customer": told.customer,
                "stack": told.stack, "guest": told.guest, "applications": told.applications});
            let recorded = put(&told.shown, entry(told.entry.clone(), says, None))?;
            if told.shown.json {
                say!("{}", serde_json::to_string_pretty(&recorded)?);
            } else {
                say!("{} is recorded", told.entry);
            }
            Ok(())
        }
        CatalogueCommand::Remove { entry, shown } => {
            let removed = shown.client.server()?.change(
                ureq::http::Method::DELETE,
                &path(&["v1", "catalogue", entry]),
                &json!({}),
            )?;
            if shown.json {
                say!("{}", serde_json::to_string_pretty(&removed)?);
            } else {
                say!("{entry} is removed");
            }
            Ok(())
        }
        CatalogueCommand::Import { file, shown } => import(file, shown),
    }
}

fn put(shown: &QueryOptions, entry: ImportedEntry) -> anyhow::Result<Value> {
    let place = path(&["v1", "catalogue", &entry.name]);
    shown.client.server()?.change(ureq::http::Method::PUT, &place, &Value::Object(entry.says))
}

fn import(file: &Path, shown: &QueryOptions) -> anyhow::Result<()> {
    let of_file = || file.display().to_string();
    let length = std::fs::metadata(file).with_context(of_file)?.len();
    if length > MOST_BYTES {
        bail!("{}: has {length} bytes; a file of tables has at most {MOST_BYTES}", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(of_file)?;
    let mut entries = tables(&text).with_context(of_file)?;
    let parties = shown.client.server()?.list("/v1/parties", &[])?;
    // Before anything is recorded.
    for entry in &mut entries {
        let Some(customer) = &entry.customer else { continue };
        let party = parties.iter().find(|party| party["name"] == customer.as_str());
        let Some(id) = party.map(|party| party["id"].clone()) else {
            bail!("{}: no party is called {customer}; add it with `slapledger party add`", entry.name);
        };
        entry.says.insert("customer".into(), id);
    }
    let count = entries.len();
    for entry in entries {
        let name = entry.name.clone();
        put(shown, entry).with_context(|| format!("record {name}"))?;
    }
    if shown.json {
        say!("{}", json!({"entries": count}));
    } else {
        say!("{count} entries are recorded");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_document_become_entries() {
        let entries = tables(slapledger_fixtures::COMPATIBILITY).expect("tables");
        let of = |table: &str| entries.iter().filter(|entry| entry.says["table"] == table).count();
        assert_eq!(["storage", "platform", "host", "story"].map(of), [29, 19, 29, 18]);
        let names: std::collections::BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
        assert_eq!(names.len(), entries.len(), "each has a name of its own");
        let kumofs = entries.iter().find(|entry| entry.name == "storage-kumofs").expect("it is there");
        assert_eq!(kumofs.says["stage"], "production");
        let story = entries.iter().find(|entry| entry.name == "story-12").expect("it is there");
        assert_eq!(
            (story.customer.as_deref(), &story.says["software"]),
            (Some("CompatibleOne"), &json!("kumofs"))
        );
        assert!(tables("{\"storage\": 1}").is_err());
    }
}
