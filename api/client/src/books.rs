//! Commands about the books of a running server: journal, trial balance, statements, and closing.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::options::{Client, ReadSourceArgs};
use super::print::say;
use super::table::{TextTable, table};
use crate::invoices::{path, text_of};

/// Whose books, in what.
#[derive(Args)]
pub struct Whose {
    /// Whose books (PARTY-1). Default: the local user's
    #[arg(long, value_name = "PARTY")]
    seller: Option<String>,
    /// Only this currency
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    #[command(flatten)]
    client: ReadSourceArgs,
}

#[derive(Args)]
pub struct JournalArgs {
    /// Print a file for hledger, ledger or beancount
    #[arg(long, value_name = "PROGRAM")]
    format: Option<JournalFormatArg>,
    /// Only this period: a month (2026-10), or START/STOP
    #[arg(long, value_name = "PERIOD", conflicts_with_all = ["from", "to"])]
    period: Option<String>,
    /// From this day (seller's time zone) or instant
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Up to this day or instant, exclusive
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    #[command(flatten)]
    whose: Whose,
    /// Print JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum JournalFormatArg {
    Hledger,
    Ledger,
    Beancount,
}

impl JournalFormatArg {
    fn name(self) -> &'static str {
        match self {
            Self::Hledger => "hledger",
            Self::Ledger => "ledger",
            Self::Beancount => "beancount",
        }
    }
}

#[derive(Args)]
pub struct TrialBalanceArgs {
    /// As of this day or instant, exclusive. Default: everything
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    #[command(flatten)]
    whose: Whose,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct AccountArgs {
    /// Its name (Assets:Receivable:PARTY-2)
    id: String,
    /// Only this period: a month (2026-10), or START/STOP
    #[arg(long, value_name = "PERIOD", conflicts_with_all = ["from", "to"])]
    period: Option<String>,
    /// From this day (seller's time zone) or instant
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Up to this day or instant, exclusive
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// Only the balance at this day or instant
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["from", "to", "period"])]
    at: Option<String>,
    #[command(flatten)]
    whose: Whose,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
pub enum AccountsCommand {
    /// List the accounts that are used, with their balances
    List {
        /// Balances as of this day or instant
        #[arg(long, value_name = "WHEN")]
        at: Option<String>,
        #[command(flatten)]
        whose: Whose,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Close the books before a day: move income to earnings
    Close {
        /// The first day that stays open (2026-11-01)
        #[arg(long, value_name = "DAY")]
        until: String,
        /// Whose books (PARTY-1). Default: the local user's
        #[arg(long, value_name = "PARTY")]
        seller: Option<String>,
        #[command(flatten)]
        client: Client,
    },
    /// List the periods that are closed
    Periods {
        /// Whose (PARTY-1). Default: the local user's
        #[arg(long, value_name = "PARTY")]
        seller: Option<String>,
        #[command(flatten)]
        client: ReadSourceArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// The parameters that were given.
fn given<'a>(all: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
    all.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect()
}

impl Whose {
    fn with<'a>(&'a self, more: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, Option<&'a str>)> {
        let own = [("seller", self.seller.as_deref()), ("currency", self.currency.as_deref())];
        own.into_iter().chain(more.iter().copied()).collect()
    }
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

pub fn journal(asked: &JournalArgs) -> anyhow::Result<()> {
    let JournalArgs { format, period, from, to, whose, json } = asked;
    let span = [("period", period.as_deref()), ("from", from.as_deref()), ("to", to.as_deref())];
    let server = whose.client.server()?;
    if let Some(format) = format {
        let mut query = whose.with(&span);
        query.push(("format", Some(format.name())));
        let text = server.get_text("/v1/journal", &given(&query))?;
        say!("{}", text.trim_end_matches('\n'));
        return Ok(());
    }
    let items = server.list("/v1/journal", &whose.with(&span))?;
    if *json {
        return print_json(&items);
    }
    let mut shown = table(&["day", "what", "account", "debit", "credit", "|currency"], &[3, 4]);
    for transaction in &items {
        for (n, posting) in transaction["postings"].as_array().into_iter().flatten().enumerate() {
            let once = |name: &str| if n == 0 { text_of(&transaction[name]) } else { "" };
            let [debit, credit] = sides(&posting["amount"]);
            let account = text_of(&posting["account"]);
            let currency = text_of(&transaction["currency"]);
            shown.add_row([once("day"), once("description"), account, debit, credit, currency]);
        }
    }
    shown.print();
    Ok(())
}

/// An amount in the column of debits or in that of credits.
fn sides(amount: &Value) -> [&str; 2] {
    let text = text_of(amount);
    text.strip_prefix('-').map_or([text, ""], |credit| ["", credit])
}

pub fn trial_balance(asked: &TrialBalanceArgs) -> anyhow::Result<()> {
    let TrialBalanceArgs { at, whose, json } = asked;
    let told =
        whose.client.server()?.get("/v1/trial-balance", &given(&whose.with(&[("at", at.as_deref())])))?;
    if *json {
        return print_json(&told);
    }
    let mut shown = table(&["account", "debit", "credit", "|currency"], &[1, 2]);
    for book in told["books"].as_array().into_iter().flatten() {
        let currency = text_of(&book["currency"]);
        for balance in book["accounts"].as_array().into_iter().flatten() {
            let [debit, credit] = sides(&balance["balance"]);
            shown.add_row([text_of(&balance["account"]), debit, credit, currency]);
        }
        shown.add_row(["total", text_of(&book["debits"]), text_of(&book["credits"]), currency]);
    }
    shown.print();
    Ok(())
}

pub fn account(asked: &AccountArgs) -> anyhow::Result<()> {
    let AccountArgs { id, period, from, to, at, whose, json } = asked;
    let (server, path) = (whose.client.server()?, path(&["v1", "accounts", id]));
    let span = [("period", period.as_deref()), ("from", from.as_deref()), ("to", to.as_deref())];
    let filters = whose.with(&span.into_iter().chain([("at", at.as_deref())]).collect::<Vec<_>>());
    let mut statement = server.get(&path, &given(&filters))?;
    if statement["next"].is_string() {
        statement["items"] = server.list(&path, &filters)?.into();
        statement["next"] = Value::Null;
    }
    if *json {
        return print_json(&statement);
    }
    say!(
        "{} of {} in {}",
        text_of(&statement["id"]),
        text_of(&statement["seller"]),
        text_of(&statement["currency"])
    );
    statement_table(&statement).print();
    Ok(())
}

fn statement_table(statement: &Value) -> TextTable {
    let mut shown = table(&["day", "what", "debit", "credit", "balance"], &[2, 3, 4]);
    shown.add_row(["", "opening", "", "", text_of(&statement["opening"])]);
    for known in statement["items"].as_array().into_iter().flatten() {
        let [debit, credit] = sides(&known["amount"]);
        let (day, what) = (text_of(&known["day"]), text_of(&known["description"]));
        shown.add_row([day, what, debit, credit, text_of(&known["balance"])]);
    }
    shown.add_row(["", "closing", "", "", text_of(&statement["closing"])]);
    shown
}

pub fn accounts(asked: &AccountsCommand) -> anyhow::Result<()> {
    match asked {
        AccountsCommand::List { at, whose, json } => {
            let items = whose.client.server()?.list("/v1/accounts", &whose.with(&[("at", at.as_deref())]))?;
            if *json {
                return print_json(&items);
            }
            let mut shown = table(&["account", "kind", "balance", "|currency"], &[2]);
            for account in &items {
                shown.add_row(["id", "kind", "balance", "currency"].map(|name| text_of(&account[name])));
            }
            shown.print();
            Ok(())
        }
        AccountsCommand::Close { until, seller, client } => {
            let body = json!({"until": until, "seller": seller});
            let period = client.server()?.post_json("/v1/accounting-periods", &body)?;
            let (seller, until) = (text_of(&period["seller"]), text_of(&period["until"]));
            say!("the books of {seller} are closed up to {until}");
            for earned in period["earnings"].as_array().into_iter().flatten() {
                say!("earned  {} {}", text_of(&earned["amount"]), text_of(&earned["currency"]));
            }
            Ok(())
        }
        AccountsCommand::Periods { seller, client, json } => {
            let items = client.server()?.list("/v1/accounting-periods", &[("seller", seller.as_deref())])?;
            if *json {
                return print_json(&items);
            }
            let mut shown = table(&["from", "until", "closed", "earned"], &[]);
            for period in &items {
                let earned = period["earnings"].as_array().into_iter().flatten();
                let earned =
                    earned.map(|sum| format!("{} {}", text_of(&sum["amount"]), text_of(&sum["currency"])));
                let [from, until, at] =
                    ["from", "until", "closed_at"].map(|name| text_of(&period[name]).to_owned());
                shown.add_row([from, until, at, earned.collect::<Vec<_>>().join(", ")]);
            }
            shown.print();
            Ok(())
        }
    }
}
