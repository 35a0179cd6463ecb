//! `slapledger usage`: usage that is missing or suspended, and events that are void.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::options::{QueryOptions, ReadOptions, ReadSourceArgs};
use super::print::say;
use super::server::Server;
use super::table::table;
use crate::invoices::{path, print_json, text_of};

#[derive(Subcommand)]
pub enum UsageCommand {
    /// List gaps: silent or dead computers, missing usage
    Gaps {
        /// A month (2026-10), or START/STOP (2026-10-01/2026-11-01)
        period: String,
        /// Only this computer
        #[arg(long, value_name = "ID")]
        computer: Option<String>,
        #[command(flatten)]
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List suspended usage, and why it is not metered
    Suspended {
        /// Only of this computer
        #[arg(long, value_name = "ID")]
        computer: Option<String>,
        #[command(flatten)]
        shown: ReadOptions,
    },
    /// Show what became of usage events since the server started
    Receipts {
        /// Only of this computer
        #[arg(long, value_name = "ID")]
        computer: Option<String>,
        /// accepted, duplicate, suspended or rejected
        #[arg(long, value_name = "OUTCOME")]
        outcome: Option<String>,
        /// How many, the newest first
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Correct suspended usage, so that it is metered
    Resolve(ResolveArgs),
    /// Dismiss suspended usage: it is never metered
    Dismiss {
        /// Sequences, as `usage suspended` lists them
        #[arg(value_name = "SEQUENCE", required = true)]
        suspended: Vec<u64>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// Void a usage event: it counts in no meter
    Void {
        /// The computer that reported it (COMP-1)
        computer: String,
        /// The sender's id of the event
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
}

#[derive(Args)]
pub struct ResolveArgs {
    /// Sequences, as `usage suspended` lists them
    #[arg(value_name = "SEQUENCE", required = true)]
    suspended: Vec<u64>,
    /// The subject it belongs to (slappart0)
    #[arg(long)]
    subject: Option<String>,
    /// The resource that was measured
    #[arg(long)]
    resource: Option<String>,
    /// The quantity
    #[arg(long)]
    quantity: Option<String>,
    /// The period: a month (2026-10), or START/STOP
    #[arg(long, value_name = "PERIOD")]
    period: Option<String>,
    #[command(flatten)]
    shown: QueryOptions,
}

pub fn run(asked: &UsageCommand) -> anyhow::Result<()> {
    match asked {
        UsageCommand::Gaps { period, computer, client, json } => {
            let filters = [("period", Some(period.as_str())), ("computer", computer.as_deref())];
            gaps(&client.server()?, &filters, *json)
        }
        UsageCommand::Suspended { computer, shown } => suspended(computer.as_deref(), shown),
        UsageCommand::Receipts { computer, outcome, limit, shown } => {
            receipts(computer.as_deref(), outcome.as_deref(), *limit, shown)
        }
        UsageCommand::Resolve(asked) => {
            let ResolveArgs { subject, resource, quantity, period, .. } = asked;
            let mut body = serde_json::Map::new();
            let members =
                [("subject", subject), ("resource", resource), ("quantity", quantity), ("period", period)];
            for (name, value) in members {
                if let Some(value) = value {
                    body.insert(name.to_owned(), value.as_str().into());
                }
            }
            settle(&asked.shown, &asked.suspended, ("resolve", "metered"), &body.into())
        }
        UsageCommand::Dismiss { suspended, reason, shown } => {
            settle(shown, suspended, ("dismiss", "dismissed"), &json!({"reason": reason}))
        }
        UsageCommand::Void { computer, id, reason, shown } => {
            let body = json!({"computer": computer, "id": id, "reason": reason});
            let told = shown.client.server()?.post_json("/v1/usage-voids", &body)?;
            if shown.json {
                return print_json(&told);
            }
            let already = if told["outcome"] == "duplicate" { " already" } else { "" };
            say!("{id} of {computer} is void{already}");
            Ok(())
        }
    }
}

/// One after the other; the first that is refused ends it, and the error names it.
fn settle(
    shown: &QueryOptions,
    suspended: &[u64],
    (step, done): (&str, &str),
    body: &Value,
) -> anyhow::Result<()> {
    let server = shown.client.server()?;
    let mut all = Vec::new();
    for sequence in suspended {
        let path = path(&["v1", "usage-suspense", &sequence.to_string(), step]);
        let told =
            server.post_json(&path, body).map_err(|error| error.context(format!("usage {sequence}")))?;
        if !shown.json {
            say!("usage {sequence} is {done}");
        }
        all.push(told);
    }
    if shown.json { print_json(&all.into()) } else { Ok(()) }
}

fn suspended(computer: Option<&str>, shown: &ReadOptions) -> anyhow::Result<()> {
    let mut items = shown.client.server()?.list("/v1/usage-suspense", &[])?;
    items.retain(|item| computer.is_none_or(|computer| item["computer"] == computer));
    if shown.json {
        return print_json(&items.into());
    }
    if items.is_empty() {
        say!("no usage is suspended");
    }
    let headings = ["suspended", "computer", "subject", "resource", "quantity", "from", "to", "reason", "id"];
    let mut rows = table(&headings, &[0, 4]);
    for item in &items {
        let text = |name: &str| text_of(&item[name]).to_owned();
        let instant = |name: &str, unreadable: &str| {
            item[name].as_str().or(item[unreadable].as_str()).unwrap_or("").to_owned()
        };
        rows.add_row([
            item["sequence"].to_string(),
            text("computer"),
            text("subject"),
            text("resource"),
            text("quantity"),
            instant("start", "unreadable_start"),
            instant("stop", "unreadable_stop"),
            text("detail"),
            text("id"),
        ]);
    }
    if !items.is_empty() || super::print::is_csv() {
        rows.print();
    }
    Ok(())
}

fn receipts(
    computer: Option<&str>,
    outcome: Option<&str>,
    limit: u16,
    shown: &QueryOptions,
) -> anyhow::Result<()> {
    let limit = limit.to_string();
    let filters = [("computer", computer), ("outcome", outcome), ("limit", Some(limit.as_str()))];
    let query: Vec<_> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let told = shown.client.server()?.get("/v1/usage-receipts", &query)?;
    if shown.json {
        return print_json(&told);
    }
    let outcomes = ["accepted", "duplicate", "suspended", "rejected"];
    if !super::print::is_csv() {
        let counted = outcomes.map(|outcome| format!("{} {outcome}", told["totals"][outcome]));
        say!("since {}: {}", text_of(&told["since"]), counted.join(", "));
    }
    let items = told["items"].as_array().map_or(&[][..], Vec::as_slice);
    let headings = ["outcome", "received", "computer", "id", "sequence", "field", "|reason and what to do"];
    let mut rows = table(&headings, &[4]);
    for item in items {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let reason = [text("reason"), text("remedy")].into_iter().filter(|text| !text.is_empty());
        rows.add_row([
            text("outcome"),
            text("received_at"),
            text("computer"),
            text("id"),
            item["sequence"].as_u64().map_or_else(String::new, |sequence| sequence.to_string()),
            text("field"),
            reason.collect::<Vec<_>>().join("; "),
        ]);
    }
    if !items.is_empty() || super::print::is_csv() {
        rows.print();
    }
    Ok(())
}

fn gaps(server: &Server, filters: &[(&str, Option<&str>)], json: bool) -> anyhow::Result<()> {
    let gaps = server.list("/v1/usage-gaps", filters)?;
    if json {
        return print_json(&gaps.into());
    }
    if gaps.is_empty() {
        say!("nothing is missing");
        return Ok(());
    }
    let mut shown = table(&["computer", "gap", "from", "to", "|what"], &[]);
    for gap in &gaps {
        let text = |name: &str| text_of(&gap[name]).to_owned();
        let (from, to, what) = match text_of(&gap["type"]) {
            "silent" => (text("start"), text("stop"), format!("with {} instances", gap["instances"])),
            "silent_resource" => {
                let what = format!(
                    "{} hours without {} of {}, in {} times",
                    gap["hours"],
                    text("resource"),
                    text("instance"),
                    gap["times"]
                );
                (text("start"), text("stop"), what)
            }
            "dead_computer" => {
                let charges = gap["charges"].as_array().map_or(&[][..], Vec::as_slice);
                let charges = charges
                    .iter()
                    .map(|one| format!("{} {}", text_of(&one["amount"]), text_of(&one["currency"])));
                let charges: Vec<String> = charges.collect();
                let charges = if charges.is_empty() { "nothing".to_owned() } else { charges.join(", ") };
                let what = format!("with {} instances; still charges {charges}", gap["instances"]);
                (text("start"), text("stop"), what)
            }
            "missing_reports" => {
                let what = format!("{} reports between {} and {}", gap["count"], gap["after"], gap["before"]);
                (text("since"), text("until"), what)
            }
            _ => {
                let what = format!(
                    "{} reports, events {} to {}",
                    gap["events"], gap["first_sequence"], gap["last_sequence"]
                );
                (String::new(), String::new(), what)
            }
        };
        shown.add_row([text("computer"), text("type").replace('_', " "), from, to, what]);
    }
    shown.print();
    Ok(())
}
