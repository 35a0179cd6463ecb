//! `slapledger revenue` and `slapledger invoice compare`: reports over the documents of a running server.

use anyhow::Context;
use clap::{Args, ValueEnum};
use rust_decimal::Decimal;
use serde_json::Value;

use super::options::ReadOptions;
use super::print::say;
use super::server::Server;
use super::table::table;
use crate::invoices::{print_json, text_of};

#[derive(Args)]
pub struct RevenueQuery {
    /// What it is shown by
    #[arg(long, value_name = "WHAT")]
    by: RevenueByArg,
    /// A month (2026-10), or START/STOP (2026-10-01/2026-11-01)
    #[arg(long, value_name = "PERIOD")]
    period: String,
    /// Only this seller (PARTY-1). Default: all sellers
    #[arg(long, value_name = "PARTY")]
    seller: Option<String>,
    #[command(flatten)]
    shown: ReadOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum RevenueByArg {
    Customer,
    Software,
    Computer,
}

impl RevenueByArg {
    fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Software => "software",
            Self::Computer => "computer",
        }
    }
}

pub fn revenue(asked: &RevenueQuery) -> anyhow::Result<()> {
    let RevenueQuery { by, period, seller, shown } = asked;
    let filters = [("by", Some(by.name())), ("period", Some(period.as_str())), ("seller", seller.as_deref())];
    let items = shown.client.server()?.list("/v1/revenue", &filters)?;
    if shown.json {
        return print_json(&items.into());
    }
    let mut rows = table(&[by.name(), "|name", "net", "|currency", "lines"], &[2, 4]);
    for item in &items {
        let text = |name: &str| text_of(&item[name]).to_owned();
        let id = item["id"].as_str().unwrap_or("(no instance)").to_owned();
        rows.add_row([id, text("name"), text("net"), text("currency"), item["lines"].to_string()]);
    }
    rows.print();
    Ok(())
}

/// `slapledger invoice compare`.
pub fn compare(server: &Server, (before, after): (&str, &str), json: bool) -> anyhow::Result<()> {
    let items = server.list("/v1/invoice-comparison", &[("before", Some(before)), ("after", Some(after))])?;
    if json {
        return print_json(&items.into());
    }
    let headings = ["customer", "|name", before, after, "change", "%", "|currency", "|drafts"];
    let mut rows = table(&headings, &[2, 3, 4, 5]);
    for item in &items {
        let text = |name: &str| text_of(&item[name]).to_owned();
        let drafts = if item["drafts"] == true { "with drafts" } else { "" };
        rows.add_row([
            text("payer"),
            text("name"),
            text("before"),
            text("after"),
            text("difference"),
            percent(item)?,
            text("currency"),
            drafts.to_owned(),
        ]);
    }
    rows.print();
    if items.is_empty() {
        say!("there are no documents for either period");
    }
    Ok(())
}

/// The change in percent of what was before; of nothing there is none.
fn percent(item: &Value) -> anyhow::Result<String> {
    let amount = |name: &str| {
        let text = text_of(&item[name]);
        text.parse::<Decimal>().with_context(|| format!("read the amount {text:?}"))
    };
    let percent = (amount("difference")? * Decimal::ONE_HUNDRED).checked_div(amount("before")?);
    Ok(percent.map_or(String::new(), |percent| format!("{:+.1}", percent.round_dp(1))))
}
