//! Commands about runs and documents of a running server beyond listing them: refresh, withdraw, finalise, credit, void,
//! correct.

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::options::{QueryOptions, ReadOptions};
use super::print::say;
use super::table::table;
use crate::invoices::{path, print_run, text_of};

/// What is done about runs and invoices that are there.
#[derive(Subcommand)]
pub enum InvoiceChange {
    /// List invoice runs
    Runs(ReadOptions),
    /// Finalise the drafts of a run, or one approved draft
    Finalise(OfRun),
    /// Approve a draft: it may become final, also alone
    Approve(OfDraft),
    /// Hold a draft: it does not become final until approved
    Hold(OfDraft),
    /// Regenerate the drafts of a run from everything known now
    Refresh(OfRun),
    /// Withdraw the drafts of a run; issued invoices stay
    Withdraw(OfRun),
    /// Credit invoice lines, fully or partly
    Credit {
        /// Its number (INV-2026-000001)
        id: String,
        /// A line (3), or an amount of it (3=4.00); repeatable
        #[arg(long = "line", value_name = "N[=AMOUNT]", required = true)]
        lines: Vec<String>,
        #[command(flatten)]
        why: ReasonArgs,
    },
    /// Credit the rest of an invoice, to invoice it again
    Void {
        /// Its number (INV-2026-000001)
        id: String,
        #[command(flatten)]
        why: ReasonArgs,
    },
    /// Correct the amount of a line by credit or charge
    Correct {
        /// Number and line (INV-2026-000001/3)
        line: String,
        /// The correct amount
        amount: String,
        #[command(flatten)]
        why: ReasonArgs,
    },
}

#[derive(Args)]
pub struct OfDraft {
    /// Its id (RUN-1-PARTY-2)
    id: String,
    #[command(flatten)]
    why: ReasonArgs,
}

#[derive(Args)]
pub struct OfRun {
    /// Its id (RUN-1); `finalise` also takes a draft (RUN-1-PARTY-2)
    run: String,
    #[command(flatten)]
    shown: QueryOptions,
}

#[derive(Args)]
pub struct ReasonArgs {
    /// Reason, kept with it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    shown: QueryOptions,
}

pub fn run(change: &InvoiceChange) -> anyhow::Result<()> {
    match change {
        InvoiceChange::Runs(shown) => runs(shown),
        InvoiceChange::Finalise(of) if of.run.contains("-PARTY-") => {
            let invoice = send(&of.shown, &path(&["v1", "invoices", &of.run, "finalise"]), &json!({}))?;
            print_or(of.shown.json, &invoice, |invoice| say!("{} is {}", of.run, text_of(&invoice["id"])))
        }
        InvoiceChange::Finalise(of) => step(of, "finalise"),
        InvoiceChange::Approve(of) => review(of, ("approve", "approved")),
        InvoiceChange::Hold(of) => review(of, ("hold", "held")),
        InvoiceChange::Refresh(of) => step(of, "refresh"),
        InvoiceChange::Withdraw(of) => step(of, "withdraw"),
        InvoiceChange::Credit { id, lines, why } => {
            let lines: anyhow::Result<Vec<Value>> = lines.iter().map(|line| line_of(line)).collect();
            let body = json!({"reason": why.reason, "lines": lines?});
            let note = send(&why.shown, &path(&["v1", "invoices", id, "credit"]), &body)?;
            print_note(&why.shown, &note)
        }
        InvoiceChange::Void { id, why } => {
            let body = json!({"reason": why.reason});
            let note = send(&why.shown, &path(&["v1", "invoices", id, "void"]), &body)?;
            print_note(&why.shown, &note)
        }
        InvoiceChange::Correct { line, amount, why } => {
            let (id, n) = line.rsplit_once('/').context("must be INVOICE/LINE, such as INV-2026-000001/3")?;
            let body = json!({"amount": amount, "reason": why.reason});
            let told = send(&why.shown, &path(&["v1", "invoices", id, "lines", n, "correct"]), &body)?;
            print_or(why.shown.json, &told, |told| {
                match (told["credit_note"].as_str(), told["charge"].as_str()) {
                    (Some(note), _) => say!("{note} gives the difference back"),
                    (None, more) => {
                        say!("{} is the difference, on the next invoice", more.unwrap_or("a charge"));
                    }
                }
            })
        }
    }
}

fn review(OfDraft { id, why }: &OfDraft, (step, done): (&str, &str)) -> anyhow::Result<()> {
    let body = json!({"reason": why.reason});
    let draft = send(&why.shown, &path(&["v1", "invoices", id, step]), &body)?;
    print_or(why.shown.json, &draft, |_| say!("{id} is {done}"))
}

fn line_of(told: &str) -> anyhow::Result<Value> {
    let (n, amount) = told.split_once('=').map_or((told, None), |(n, amount)| (n, Some(amount)));
    let n: u32 = n.parse().with_context(|| format!("--line {told}: must be N or N=AMOUNT"))?;
    Ok(json!({"n": n, "amount": amount}))
}

fn send(shown: &QueryOptions, path: &str, body: &Value) -> anyhow::Result<Value> {
    shown.client.server()?.post_json(path, body)
}

fn print_or(json: bool, told: &Value, print: impl FnOnce(&Value)) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string_pretty(told)?);
    } else {
        print(told);
    }
    Ok(())
}

fn print_note(shown: &QueryOptions, note: &Value) -> anyhow::Result<()> {
    print_or(shown.json, note, |note| {
        let about = text_of(&note["cites"]["invoice"]);
        let (id, total, currency) =
            (text_of(&note["id"]), text_of(&note["total"]), text_of(&note["currency"]));
        say!("{id} gives {total} {currency} of {about} back");
    })
}

fn step(of: &OfRun, step: &str) -> anyhow::Result<()> {
    let run = send(&of.shown, &path(&["v1", "invoice-runs", &of.run, step]), &json!({}))?;
    print_or(of.shown.json, &run, print_run)
}

fn runs(shown: &ReadOptions) -> anyhow::Result<()> {
    let items = shown.client.server()?.list("/v1/invoice-runs", &[])?;
    print_or(shown.json, &json!(items), |items| {
        let mut runs = table(&["run", "state", "from", "to", "prices", "documents", "grace until"], &[5]);
        for run in items.as_array().into_iter().flatten() {
            runs.add_row([
                text_of(&run["id"]).to_owned(),
                text_of(&run["state"]).to_owned(),
                text_of(&run["period"]["start"]).to_owned(),
                text_of(&run["period"]["stop"]).to_owned(),
                text_of(&run["price_book"]).to_owned(),
                run["invoices"].as_array().map_or(0, Vec::len).to_string(),
                text_of(&run["grace_until"]).to_owned(),
            ]);
        }
        runs.print();
    })
}
