//! `slapledger rebuild --url`: generations of the projections of a running server.

use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use slapledger_client::print::{note, say};
use slapledger_client::server::Server;
use slapledger_client::table::table;
use slapledger_core::domain::id::Sequence;

use super::progress;
use super::rebuild::{
    GenerationChange, RebuildArgs, RebuildServing, RebuiltProjection, of_each_view, report,
};

/// How often the server is asked how far it is.
const EVERY: Duration = Duration::from_millis(500);
/// How many rows that differ are printed.
const MOST_PRINTED: usize = 10;

pub(super) fn run(server: &Server, asked: &RebuildArgs) -> anyhow::Result<()> {
    let projection = asked.projection.as_deref();
    let GenerationChange { status, cancel, swap, confirm, swap_back } = asked.serving.change;
    let change = [
        (cancel, "cancel", &["building", "comparing", "ready"][..]),
        (swap, "swap", &["ready"][..]),
        (confirm, "confirm", &["previous"][..]),
        (swap_back, "swap-back", &["previous"][..]),
    ];
    if let Some((_, change, states)) = change.into_iter().find(|(asked, ..)| *asked) {
        return changed(server, (change, states), projection, asked.json);
    }
    if status {
        return print(&views(server, projection)?, asked.json);
    }
    rebuild(server, &asked.serving, projection, asked.json)
}

/// The generations of the view that has the projection, or of all views.
fn views(server: &Server, projection: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let names = match projection {
        Some(name) => vec![name],
        None => of_each_view().into_iter().flatten().collect(),
    };
    names.into_iter().map(|name| server.get(&place(name, "generations"), &[])).collect()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn place(name: &str, what: &str) -> String {
    format!("/v1/projections/{name}/{what}")
}

/// The first projection of a view stands for all of them.
fn first(view: &Value) -> anyhow::Result<&str> {
    texts(&view["projections"]).next().context("the server's answer has no projections")
}

/// Changes the generations of all views that have one in such a state.
fn changed(
    server: &Server,
    (change, states): (&str, &[&str]),
    projection: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let mut done = Vec::new();
    for view in views(server, projection)? {
        let items = view["items"].as_array().context("the server's answer has no items")?;
        // Of one projection the server says why not.
        let fits = items.iter().any(|item| states.contains(&item["state"].as_str().unwrap_or_default()));
        if fits || projection.is_some() {
            done.push(server.post_json(&place(first(&view)?, &format!("rebuild/{change}")), &json!({}))?);
        }
    }
    ensure!(!done.is_empty(), "no view has a generation to {}", change.replace('-', " "));
    print(&done, json)
}

fn print(views: &[Value], json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", json!({"items": views}));
        return Ok(());
    }
    let headings = ["view", "generation", "state", "position", "events/s", "left", "kept"];
    let mut list = table(&headings, &[1, 3, 4, 5, 6]);
    for view in views {
        for item in view["items"].as_array().context("the server's answer has no items")? {
            let number =
                |name: &str| item[name].as_u64().map(|number| number.to_string()).unwrap_or_default();
            let seconds =
                |name: &str| item[name].as_u64().map(|left| format!("{left} s")).unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            list.add_row([
                text(&view["view"]),
                number("number"),
                text(&item["state"]),
                number("position"),
                number("events_per_second"),
                seconds("seconds_left"),
                seconds("kept_seconds"),
            ]);
        }
    }
    list.print();
    Ok(())
}

fn rebuild(
    server: &Server,
    asked: &RebuildServing,
    projection: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let mut body = json!({});
    if asked.keep {
        body["swap"] = json!(false);
    }
    if let Some(most) = asked.throttle {
        body["most_events_per_second"] = json!(most);
    }
    let (mut rows, mut sequence) = (Vec::new(), 0);
    let mut waiting = Vec::new();
    for view in views(server, projection)? {
        let name = first(&view)?;
        let compared = compared(server, name, &body)?;
        sequence = compared["sequence"].as_u64().unwrap_or_default();
        for row in compared["projections"].as_array().context("the server's answer has no projections")? {
            let text = |field: &str| row[field].as_str().map(str::to_owned);
            let name = text("name").context("the server's answer has no name")?;
            let digest = text("digest").context("the server's answer has no digest")?;
            if projection.is_none_or(|projection| projection == name) {
                rows.push(RebuiltProjection { name, digest, kept: text("before") });
            }
        }
        if compared["swapped"] != true {
            waiting.push(name.to_owned());
        }
        print_differences(&compared["differences"]);
    }
    for name in &waiting {
        note!("{name}: the new generation waits: rebuild --swap {name} swaps it in, --cancel discards it");
    }
    report(projection, &rows, sequence, json)
}

/// Has a view rebuilt, and waits until both generations are compared.
fn compared(server: &Server, name: &str, body: &Value) -> anyhow::Result<Value> {
    let begun = server.post_json(&place(name, "rebuild"), body)?;
    let Some(items) = begun["items"].as_array() else { return Ok(begun) };
    let number = items.get(1).and_then(|aside| aside["number"].as_u64());
    let number = number.context("the server's answer has no generation")?;
    let total = items[1]["events_total"].as_u64().unwrap_or_default();
    let bar = progress::bar(begun["view"].as_str().unwrap_or(name), Sequence(total));
    loop {
        let now = server.get(&place(name, "generations"), &[])?;
        if let Some(aside) = now["items"].get(1).filter(|aside| aside["number"] == number) {
            bar.set_length(aside["events_total"].as_u64().unwrap_or(total));
            bar.set_position(aside["position"].as_u64().unwrap_or_default());
        }
        let latest = &now["latest"];
        if latest["number"] == number {
            bar.finish_and_clear();
            let outcome = latest["outcome"].as_str().unwrap_or_default();
            match outcome {
                "cancelled" => bail!("the rebuild of {name} was cancelled"),
                "failed" => {
                    bail!("the rebuild of {name} failed: {}", latest["cause"].as_str().unwrap_or_default())
                }
                _ => {}
            }
            return Ok(json!({
                "projections": latest["projections"], "differences": latest["differences"],
                "swapped": outcome != "ready", "sequence": now["sequence"],
            }));
        }
        // Both change in one step: what is neither is gone, as after a restart.
        if now["items"].get(1).is_none_or(|aside| aside["number"] != number) {
            bail!("the server does not know generation {number} of {name} any more; rebuild it again");
        }
        thread::sleep(EVERY);
    }
}

fn print_differences(differences: &Value) {
    let count = differences["count"].as_u64().unwrap_or_default();
    if count == 0 {
        return;
    }
    note!("{count} rows differ:");
    for row in differences["items"].as_array().into_iter().flatten().take(MOST_PRINTED) {
        let text = |field: &str| row[field].as_str().unwrap_or_default();
        note!("  {} {} {} {}", text("change"), text("projection"), text("table"), text("key"));
    }
}
