//! `slapledger service`: the instances a master has, as trees.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value as Json;

use super::options::{Client, ReadSourceArgs};
use super::print::say;
use super::server::Server;
use super::table::{pair_lines, table};
use crate::invoices;

#[derive(Subcommand)]
pub enum Service {
    /// List instance trees
    List(ServiceListArgs),
    /// Show an instance, its parameters and its tree
    #[command(visible_alias = "info")]
    Show(ServiceShowArgs),
    /// Destroy an instance; its node then removes it
    Destroy {
        /// Title of an instance tree, or an instance (SOFTINST-3)
        name: String,
        #[command(flatten)]
        client: Client,
    },
}

#[derive(Args)]
pub struct ServiceListArgs {
    #[command(flatten)]
    client: ReadSourceArgs,
    /// Include destroyed instances
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct ServiceShowArgs {
    /// Title of an instance tree, or an instance (SOFTINST-3)
    name: String,
    #[command(flatten)]
    client: ReadSourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An instance as the master lists it.
#[derive(Deserialize)]
pub struct ListedInstance {
    pub id: String,
    pub title: String,
    state: String,
    #[serde(rename = "reported_state")]
    pub reported: Option<String>,
    #[serde(rename = "software_release")]
    release: String,
    software_type: String,
    requester: String,
    root: String,
    #[serde(default)]
    shared: bool,
    computer: Option<String>,
    partition: Option<String>,
    #[serde(default)]
    partition_lost_since: Option<String>,
    ended_at: Option<String>,
}

impl ListedInstance {
    fn lives(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Whether it lives there.
    pub fn is_at(&self, computer: &str, partition: &str) -> bool {
        self.lives()
            && self.computer.as_deref() == Some(computer)
            && self.partition.as_deref() == Some(partition)
    }

    fn place(&self) -> String {
        match (&self.computer, &self.partition) {
            (Some(computer), Some(partition)) => {
                let lost = if self.partition_lost_since.is_some() { " (lost)" } else { "" };
                format!("{computer} {partition}{lost}")
            }
            _ => "none yet".to_owned(),
        }
    }

    fn software_type(&self) -> String {
        let shared = if self.shared { " (shared)" } else { "" };
        format!("{}{shared}", self.software_type)
    }
}

/// All instances of a master, each with the document it came in.
fn listed(server: &Server) -> anyhow::Result<Vec<(ListedInstance, Json)>> {
    let items = server.list("/v1/instances", &[])?.into_iter();
    let read = |item: Json| {
        let instance = ListedInstance::deserialize(&item).context("read an instance of the master's list")?;
        Ok((instance, item))
    };
    items.map(read).collect()
}

/// All instances of a master.
pub fn instances(server: &Server) -> anyhow::Result<Vec<ListedInstance>> {
    Ok(listed(server)?.into_iter().map(|(instance, _)| instance).collect())
}

pub fn run(service: &Service) -> anyhow::Result<()> {
    match service {
        Service::List(asked) => list(asked),
        Service::Show(asked) => show(asked),
        Service::Destroy { name, client } => destroy(name, client),
    }
}

fn destroy(name: &str, client: &Client) -> anyhow::Result<()> {
    let (master, _) = client.open()?;
    let all = listed(master.server())?;
    let found = find(&all, name)?;
    let (title, id) = (&found.title, &found.id);
    let document = master.server().delete(&invoices::path(&["v1", "instances", id]))?;
    if document["ended_at"].is_string() {
        say!("{title} ({id}) has ended");
    } else {
        say!("{title} ({id}) is to be destroyed; it has ended when its node has said so");
    }
    Ok(())
}

fn list(asked: &ServiceListArgs) -> anyhow::Result<()> {
    let (master, catalogue) = asked.client.open()?;
    let all = listed(master.server())?;
    let mut sizes = BTreeMap::<&str, usize>::new();
    for (instance, _) in all.iter().filter(|(instance, _)| asked.all || instance.lives()) {
        *sizes.entry(&instance.root).or_default() += 1;
    }
    let is_shown =
        |instance: &ListedInstance| instance.root == instance.id && (asked.all || instance.lives());
    let roots: Vec<_> = all.iter().filter(|(instance, _)| is_shown(instance)).collect();
    if asked.json {
        let items: Vec<_> = roots.iter().map(|(_, item)| item).collect();
        say!("{}", serde_json::to_string_pretty(&items)?);
        return Ok(());
    }
    if roots.is_empty() {
        say!("there are no services");
        return Ok(());
    }
    let headings = ["service", "state", "reported", "software", "type", "place", "instances", "|id"];
    let mut rows = table(&headings, &[6]);
    for (root, _) in roots {
        rows.add_row([
            root.title.clone(),
            root.state.clone(),
            root.reported.clone().unwrap_or_default(),
            catalogue.name(&root.release).to_owned(),
            root.software_type(),
            root.place(),
            sizes.get(root.id.as_str()).copied().unwrap_or_default().to_string(),
            root.id.clone(),
        ]);
    }
    rows.print();
    Ok(())
}

fn show(asked: &ServiceShowArgs) -> anyhow::Result<()> {
    let (master, catalogue) = asked.client.open()?;
    let all = listed(master.server())?;
    let found = find(&all, &asked.name)?;
    let mut document = master.server().get(&invoices::path(&["v1", "instances", &found.id]), &[])?;
    if asked.json {
        let below = below(&all, &found.id);
        document["children"] = below.into_iter().map(|(_, _, item)| item.clone()).collect();
        say!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    let mut facts = vec![
        ("service", format!("{} ({})", found.title, found.id)),
        ("state", found.state.clone()),
        ("reported", found.reported.clone().unwrap_or_else(|| "nothing yet".to_owned())),
        ("software", catalogue.name(&found.release).to_owned()),
        ("type", found.software_type()),
        ("place", found.place()),
    ];
    if let Some(error) = document["error"].as_str() {
        facts.push(("error", error.trim_end().to_owned()));
    }
    for (name, fact) in facts {
        say!("{name:<10}{fact}");
    }
    for (title, member) in
        [("Parameters:", "parameters"), ("Connection parameters:", "connection_parameters")]
    {
        let members = document[member].as_object().into_iter().flatten();
        let pairs: Vec<_> =
            members.map(|(key, value)| (key.clone(), value.as_str().unwrap_or("").to_owned())).collect();
        if !pairs.is_empty() {
            say!("{title}\n{}", pair_lines(&pairs));
        }
    }
    let below = below(&all, &found.id);
    if !below.is_empty() {
        let mut rows = table(&["below it", "state", "reported", "software", "type", "place", "|id"], &[]);
        for (depth, instance, _) in below {
            rows.add_row([
                format!("{}{}", "  ".repeat(depth), instance.title),
                instance.state.clone(),
                instance.reported.clone().unwrap_or_default(),
                catalogue.name(&instance.release).to_owned(),
                instance.software_type(),
                instance.place(),
                instance.id.clone(),
            ]);
        }
        say!("");
        rows.print();
    }
    Ok(())
}

/// The instance that is meant: by id; else by title, one that lives and is asked for by a user first.
fn find<'a>(all: &'a [(ListedInstance, Json)], name: &str) -> anyhow::Result<&'a ListedInstance> {
    let all = || all.iter().map(|(instance, _)| instance);
    if let Some(found) = all().find(|instance| instance.id == name) {
        return Ok(found);
    }
    let is_root = |instance: &&ListedInstance| instance.root == instance.id;
    let of_title: Vec<_> = all().filter(|instance| instance.title == name && instance.lives()).collect();
    let roots: Vec<_> = of_title.iter().copied().filter(is_root).collect();
    match (roots.as_slice(), of_title.as_slice()) {
        ([found], _) | ([], [found]) => Ok(found),
        ([], []) => match all().filter(is_root).rfind(|instance| instance.title == name) {
            Some(ended) => Ok(ended),
            None => bail!("there is no service {name}"),
        },
        (many @ [_, ..], _) | (_, many) => {
            let ids: Vec<_> = many.iter().map(|instance| instance.id.as_str()).collect();
            bail!("{name} is the title of several instances: {}", ids.join(", "))
        }
    }
}

/// The tree below an instance, from the top, those that live: how deep, what, and its document.
fn below<'a>(all: &'a [(ListedInstance, Json)], id: &str) -> Vec<(usize, &'a ListedInstance, &'a Json)> {
    let mut children = BTreeMap::<&str, Vec<&(ListedInstance, Json)>>::new();
    for item in all.iter().filter(|(instance, _)| instance.lives()) {
        children.entry(&item.0.requester).or_default().push(item);
    }
    let mut found = Vec::new();
    let mut open: Vec<(usize, &(ListedInstance, Json))> = Vec::new();
    // A parent is taken once: what a master says cannot run in a circle.
    let mut push = |open: &mut Vec<_>, depth: usize, id: &str| {
        let below = children.remove(id).unwrap_or_default();
        open.extend(below.into_iter().rev().map(|child| (depth, child)));
    };
    push(&mut open, 0, id);
    while let Some((depth, (instance, item))) = open.pop() {
        found.push((depth, instance, item));
        push(&mut open, depth + 1, &instance.id);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instance(id: &str, title: &str, requester: &str, root: &str, lives: bool) -> (ListedInstance, Json) {
        let item = json!({
            "id": id, "title": title, "state": "started", "reported_state": null, "software_release": "a",
            "software_type": "default", "requester": requester, "root": root, "computer": null,
            "partition": null, "ended_at": (!lives).then_some("2026-10-01T00:00:00Z"),
        });
        (ListedInstance::deserialize(&item).unwrap(), item)
    }

    #[test]
    fn trees_are_found_by_title_or_id() {
        let all = [
            instance("SOFTINST-1", "web", "PARTY-1", "SOFTINST-1", false),
            instance("SOFTINST-2", "web", "PARTY-1", "SOFTINST-2", true),
            instance("SOFTINST-3", "db", "SOFTINST-2", "SOFTINST-2", true),
            instance("SOFTINST-4", "disk", "SOFTINST-3", "SOFTINST-2", true),
            instance("SOFTINST-5", "cache", "SOFTINST-2", "SOFTINST-2", true),
            instance("SOFTINST-6", "web", "SOFTINST-2", "SOFTINST-2", true),
            instance("SOFTINST-7", "cache", "SOFTINST-3", "SOFTINST-2", true),
            instance("SOFTINST-8", "gone", "PARTY-1", "SOFTINST-8", false),
        ];
        let check = |name: &str, expected: &str| match find(&all, name) {
            Ok(found) => assert_eq!(found.id, expected),
            Err(error) => assert_eq!(error.to_string(), expected),
        };
        check("web", "SOFTINST-2");
        check("SOFTINST-1", "SOFTINST-1");
        check("disk", "SOFTINST-4");
        check("gone", "SOFTINST-8");
        check("cache", "cache is the title of several instances: SOFTINST-5, SOFTINST-7");
        check("nothing", "there is no service nothing");
        let tree: Vec<_> =
            below(&all, "SOFTINST-2").iter().map(|(depth, found, _)| (*depth, found.id.clone())).collect();
        let expected =
            [(0, "SOFTINST-3"), (1, "SOFTINST-4"), (1, "SOFTINST-7"), (0, "SOFTINST-5"), (0, "SOFTINST-6")];
        assert_eq!(tree, expected.map(|(depth, id)| (depth, id.to_owned())));
        let circle = [instance("A", "a", "B", "A", true), instance("B", "b", "A", "A", true)];
        assert_eq!(below(&circle, "A").len(), 2);
    }
}
