//! `slapledger explain`: why an invoice, or a line of one, says what it says.

use clap::Args;
use serde_json::Value;
use slapledger_client::invoices::{self, path, text_of};
use slapledger_client::options::ReadSourceArgs;
use slapledger_client::print::say;
use slapledger_client::table::table;

#[derive(Args)]
pub(super) struct Explain {
    /// Invoice or draft (INV-2026-000001), or a line (INV-2026-000001/3)
    #[arg(value_name = "INVOICE[/LINE]")]
    what: String,
    /// At most this many events of a line
    #[arg(long, value_name = "N", default_value_t = 20)]
    events: u16,
    #[command(flatten)]
    client: ReadSourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(asked: &Explain) -> anyhow::Result<()> {
    match asked.what.rsplit_once('/') {
        Some(of) => explain_line(asked, of),
        None => explain_document(asked),
    }
}

fn explain_line(asked: &Explain, (invoice, line): (&str, &str)) -> anyhow::Result<()> {
    let limit = asked.events.clamp(1, 1000).to_string();
    let path = path(&["v1", "invoices", invoice, "lines", line, "explanation"]);
    let answer = asked.client.server()?.get(&path, &[("limit", &limit)])?;
    if asked.json {
        return invoices::print_json(&answer);
    }
    say_line(&answer["line"], &answer["explanation"], &answer);
    say_tables(&answer["explanation"]);
    say_events(&answer);
    Ok(())
}

fn explain_document(asked: &Explain) -> anyhow::Result<()> {
    let (server, path) = (asked.client.server()?, path(&["v1", "invoices", &asked.what, "explanation"]));
    let mut document = server.get(&path, &[])?;
    if document["next"].is_string() {
        document["items"] = server.list(&path, &[])?.into();
        document["next"] = Value::Null;
    }
    if asked.json {
        return invoices::print_json(&document);
    }
    for item in document["items"].as_array().into_iter().flatten() {
        say_line(&item["line"], &item["explanation"], &document);
        say!("");
    }
    say!("net {} {}", text_of(&document["net"]), text_of(&document["currency"]));
    document["tax"].as_array().into_iter().flatten().for_each(|tax| say!("{}", tax_of(tax)));
    say!("total {} {}", text_of(&document["total"]), text_of(&document["currency"]));
    Ok(())
}

fn tax_of(tax: &Value) -> String {
    let [category, rate, base, exact, amount] =
        ["category", "rate", "base", "exact", "amount"].map(|name| text_of(&tax[name]));
    format!("tax {category}: {base} x {rate} / 100 = {exact}, rounded half up {amount}")
}

fn say_line(line: &Value, why: &Value, document: &Value) {
    let currency = text_of(&document["currency"]);
    say!(
        "{} line {}: {} {currency}, {}",
        text_of(&document["invoice"]),
        line["n"],
        text_of(&line["amount"]),
        text_of(&line["kind"])
    );
    say!("  {}", text_of(&line["description"]));
    if let Some(price) = why["price"].as_object() {
        say!(
            "  price     {} version {} (published by {}, valid from {}), rate {}: {}",
            text_of(&price["name"]),
            price["version"],
            price["sequence"],
            text_of(&price["valid_from"]),
            price["number"],
            price["rate"]
        );
        if let Some(resource) = price.get("resource") {
            say!("  measured  {resource}");
        }
    }
    for formula in why["formula"].as_array().into_iter().flatten() {
        say!("  {}", text_of(formula));
    }
    if why["found"] == false {
        say!("  it could not be rated again as it stands: it was issued otherwise than from its draft");
    }
    for allocation in why["allocations"].as_array().into_iter().flatten() {
        let [instance, reference, computer, partition, start] =
            ["instance", "reference", "computer", "partition", "start"]
                .map(|name| text_of(&allocation[name]));
        let stop = allocation["stop"].as_str().unwrap_or("now");
        let ended = allocation["ended"].as_u64().map_or(String::new(), |ended| format!(" and {ended}"));
        let began = &allocation["began"];
        say!(
            "  {instance} {reference} on {computer} {partition} from {start} to {stop} (events {began}{ended})"
        );
    }
    if let Some(since) = why["since"].as_object() {
        say!(
            "  changed since: as of event {} it would be {} for {}, which is {} more; {} events, the first {}",
            since["as_of"],
            text_of(&since["amount"]),
            text_of(&since["quantity"]),
            text_of(&since["difference"]),
            since["events"]["count"],
            since["events"]["first_sequence"]
        );
    }
    for later in why["later"].as_array().into_iter().flatten() {
        say!(
            "  {} line {} is about it: {}",
            text_of(&later["invoice"]),
            later["line"],
            text_of(&later["amount"])
        );
    }
}

/// Steps of usage, and of the price.
fn say_tables(why: &Value) {
    let (basis, tax) = (&why["basis"], &why["tax"]);
    for part in basis["parts"].as_array().into_iter().flatten() {
        let steps = part["steps"].as_array().filter(|steps| !steps.is_empty());
        if let Some(steps) = steps {
            let first = format!("from ({})", text_of(&part["by"]));
            let mut shown = table(&[&first, "to", "events", "quantity", "level x s", "s"], &[2, 3, 4, 5]);
            for step in steps {
                let cells =
                    ["quantity", "level_seconds", "seconds"].map(|name| text_of(&step[name]).to_owned());
                let [quantity, level_seconds, seconds] = cells;
                let start = match step["dimension"].as_str() {
                    Some(value) => format!("{} {value}", text_of(&step["start"])),
                    None => text_of(&step["start"]).to_owned(),
                };
                let (stop, events) = (text_of(&step["stop"]).to_owned(), step["events"].to_string());
                shown.add_row([start, stop, events, quantity, level_seconds, seconds]);
            }
            shown.print();
        }
        if let Some(samples) = part["samples"]["values"].as_array() {
            let mut shown = table(&["value", "samples"], &[0, 1]);
            for value in samples {
                shown.add_row([text_of(&value["value"]).to_owned(), value["samples"].to_string()]);
            }
            shown.print();
        }
    }
    if let Some(steps) = why["steps"].as_array().filter(|steps| steps.len() > 1) {
        let mut shown = table(&["up to", "quantity", "price", "flat", "cost"], &[0, 1, 2, 3, 4]);
        for step in steps {
            shown.add_row(["up_to", "quantity", "price", "flat", "cost"].map(|name| text_of(&step[name])));
        }
        shown.print();
    }
    say!("{}", tax_of(tax));
}

fn say_events(answer: &Value) {
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    let count = &answer["events"]["count"];
    say!("{} of {count} events", items.len());
    let mut shown =
        table(&["event", "what", "source", "id", "from", "to", "quantity", "counted"], &[0, 6, 7]);
    for item in items {
        let counted = item["counted"].as_array().into_iter().flatten();
        let counted: Vec<&str> = counted.map(|counted| text_of(&counted["quantity"])).collect();
        let source = item["source"].as_str().or(item["stream"].as_str()).unwrap_or("");
        shown.add_row([
            item["sequence"].to_string(),
            text_of(&item["type"]).to_owned(),
            source.to_owned(),
            text_of(&item["id"]).to_owned(),
            item["start"].as_str().unwrap_or(text_of(&item["recorded_at"])).to_owned(),
            text_of(&item["stop"]).to_owned(),
            text_of(&item["quantity"]).to_owned(),
            counted.join(" + "),
        ]);
    }
    shown.print();
    if answer["next"].is_string() {
        say!("there are more: --events, or the route /v1/invoices/ID/lines/N/explanation?cursor=");
    }
}
